//! Sums as texts: tiles, lines of the table, and what has changed since the period before.

use super::metric::Metric;
use crate::{
    i18n::Messages,
    storage::{rollups::Histogram, usage_query::report::Sums},
    web::format::{
        NOTHING, approximate, count, duration, exact_money, money, number, optional_duration, share,
        short_count,
    },
};

/// A short text, and the exact one for its title.
pub struct Shown {
    /// What is shown.
    pub text: String,
    /// With every digit.
    pub title: String,
}

/// How a number compares with that of the period before, in words.
pub struct Change {
    /// The style sheet's class: `better`, `worse`, or nothing.
    pub class: &'static str,
    /// An arrow.
    pub arrow: &'static str,
    /// What it says.
    pub text: String,
    /// The number before, exactly.
    pub title: String,
}

impl Change {
    /// Of a metric, from sums before to those now.
    pub fn new(t: Messages, metric: Metric, now: &Sums, before: &Sums) -> Self {
        let u = t.usage;
        let title = u.before_was(&metric.exact_text(t, before));
        let (now, then) = (metric.value(now), metric.value(before));
        let plain = |arrow: &'static str, text: &str| Self {
            class: "",
            arrow,
            text: text.to_owned(),
            title: title.clone(),
        };
        let (Some(now), Some(then)) = (now, then) else {
            return plain("", if then.is_none() { u.nothing_before() } else { u.nothing_now() });
        };
        if now == then {
            return plain("=", u.unchanged());
        }
        let more = now > then;
        let arrow = if more { "▲" } else { "▼" };
        if then <= 0 {
            return plain(arrow, u.new_here());
        }
        let per_mille = (i128::from(now) - i128::from(then)).abs() * 1000 / i128::from(then);
        let size = match per_mille {
            0 => u.under_a_tenth().to_owned(),
            1..100 => format!("{}.{}%", per_mille / 10, per_mille % 10),
            100..100_000 => format!("{}%", number(i64::try_from(per_mille / 10).unwrap_or(i64::MAX))),
            _ => u.over_hundredfold().to_owned(),
        };
        let time = !metric.adds_up();
        let text = match (time, more) {
            (false, true) => u.more(&size),
            (false, false) => u.fewer(&size),
            (true, true) => u.slower(&size),
            (true, false) => u.faster(&size),
        };
        let judged = time || metric == Metric::Errors;
        let class = match (judged, more) {
            (false, _) => "",
            (true, true) => "worse",
            (true, false) => "better",
        };
        Self { class, arrow, text, title }
    }
}

/// A tile.
pub struct Tile {
    /// Its heading.
    pub label: &'static str,
    /// What the heading means; may be empty.
    pub hint: &'static str,
    /// The number.
    pub value: Shown,
    /// More about it; may be empty.
    pub detail: String,
    /// Since the period before.
    pub change: Option<Change>,
}

/// The tiles above the drawing; what was saved stands beside the cost, in micro-dollars, if it is known.
pub fn tiles(t: Messages, sums: &Sums, before: Option<&Sums>, saved_micros: Option<i64>) -> Vec<Tile> {
    let u = t.usage;
    let change = |metric| before.map(|before| Change::new(t, metric, sums, before));
    let view = SumsView::new(t, sums);
    let plain = |text: String| Shown { title: String::new(), text };
    let tile = |label, value, detail, change| Tile { label, hint: "", value, detail, change };
    vec![
        tile(u.requests(), plain(view.requests), u.failed_of_them(&view.failed), change(Metric::Requests)),
        Tile {
            label: u.success_rate(),
            hint: u.success_hint(),
            value: plain(view.success),
            detail: u.without_retries_value(&view.at_once),
            change: before.map(|before| Change {
                class: "",
                arrow: "",
                text: u.before_was(&share(before.ok, before.requests)),
                title: String::new(),
            }),
        },
        tile(
            u.tokens(),
            view.all_tokens,
            u.tokens_parts(&view.prompt.text, &view.cached.text, &view.completion.text, &view.reasoning.text),
            change(Metric::Tokens),
        ),
        Tile {
            label: u.cost(),
            hint: if saved_micros.is_some() { u.saved_hint() } else { "" },
            value: view.cost,
            detail: match saved_micros {
                Some(saved) => {
                    let saved = u.saved(&approximate(money(saved), sums.estimated > 0));
                    if view.estimated.is_empty() { saved } else { format!("{saved} · {}", view.estimated) }
                }
                None => view.estimated,
            },
            change: change(Metric::Cost),
        },
        tile(u.first_token(), plain(view.first_token), u.p99(&view.first_p99), change(Metric::FirstP95)),
        tile(u.total(), plain(view.total), u.queue_p95(&view.queue), change(Metric::TotalP95)),
    ]
}

/// Sums as texts.
pub struct SumsView {
    /// All calls.
    pub requests: String,
    /// Those that were not answered completely.
    pub failed: String,
    /// The share of complete answers.
    pub success: String,
    /// The same of those that the first attempt answered.
    pub at_once: String,
    /// Prompt tokens.
    pub prompt: Shown,
    /// Completion tokens.
    pub completion: Shown,
    /// Cached tokens.
    pub cached: Shown,
    /// Tokens spent on reasoning.
    pub reasoning: Shown,
    /// Prompt and completion tokens.
    pub all_tokens: Shown,
    /// Cost.
    pub cost: Shown,
    /// p50 and p95 of the time to the first content.
    pub first_token: String,
    /// Prompt and completion tokens, for a cell of a table.
    pub prompt_completion: String,
    /// p50 and p95 of the time to the first content, for a cell of a table.
    pub first_lines: String,
    /// p50 and p95 of the time to the end, for a cell of a table.
    pub total_lines: String,
    /// p99 of it.
    pub first_p99: String,
    /// p50 and p95 of the time to the end.
    pub total: String,
    /// p95 of the time in line.
    pub queue: String,
    /// What of it is an estimate; empty if nothing is.
    pub estimated: String,
}

impl SumsView {
    /// In a language.
    pub fn new(t: Messages, sums: &Sums) -> Self {
        let estimated = sums.estimated > 0;
        let tokens = |value: u64| Shown {
            text: approximate(short_count(value), estimated),
            title: approximate(count(value), estimated),
        };
        Self {
            requests: number(sums.requests),
            failed: number(sums.failed()),
            success: share(sums.ok, sums.requests),
            at_once: share(sums.ok_at_once, sums.requests),
            prompt: tokens(sums.tokens.prompt),
            completion: tokens(sums.tokens.completion),
            cached: tokens(sums.tokens.cached),
            reasoning: tokens(sums.tokens.reasoning),
            all_tokens: tokens(sums.tokens.total()),
            cost: Shown {
                text: approximate(money(sums.cost_micros), estimated),
                title: approximate(exact_money(sums.cost_micros), estimated),
            },
            first_token: percentiles(t, &sums.first_token),
            prompt_completion: [tokens(sums.tokens.prompt), tokens(sums.tokens.completion)]
                .map(|shown| unbroken(&shown.text))
                .join(" / "),
            first_lines: lines(&percentiles(t, &sums.first_token)),
            total_lines: lines(&percentiles(t, &sums.total)),
            first_p99: optional_duration(t, sums.first_token.quantile(0.99)),
            total: percentiles(t, &sums.total),
            queue: optional_duration(t, sums.queue.quantile(0.95)),
            estimated: if estimated { t.usage.estimated(&number(sums.estimated)) } else { String::new() },
        }
    }
}

/// A text that stays on one line.
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// `p50 / p95` that may break between them, not before a unit.
fn lines(text: &str) -> String {
    text.split(" / ").map(unbroken).collect::<Vec<_>>().join(" / ")
}

/// `p50 / p95`.
pub fn percentiles(t: Messages, histogram: &Histogram) -> String {
    match (histogram.quantile(0.5), histogram.quantile(0.95)) {
        (Some(median), Some(high)) => format!("{} / {}", duration(t, median), duration(t, high)),
        _ => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn a_change_says_in_words_what_its_arrow_shows() {
        let t = Messages::of(Lang::En);
        let sums = |requests: i64, ok: i64| Sums { requests, ok, ..Sums::default() };
        let change = |metric, now: &Sums, before: &Sums| {
            let change = Change::new(t, metric, now, before);
            (change.arrow, change.text, change.class)
        };
        let is = |arrow, text: &str, class| (arrow, text.to_owned(), class);
        let ten = sums(10, 8);
        assert_eq!(change(Metric::Requests, &sums(15, 15), &ten), is("▲", "50% more", ""));
        assert_eq!(change(Metric::Requests, &sums(0, 0), &ten), is("▼", "100% less", ""));
        assert_eq!(change(Metric::Errors, &sums(10, 5), &ten), is("▲", "150% more", "worse"));
        assert_eq!(change(Metric::Requests, &ten, &ten), is("=", "unchanged", ""));
        assert_eq!(change(Metric::Requests, &ten, &sums(0, 0)), is("▲", "none before", ""));
        assert_eq!(change(Metric::FirstP95, &ten, &ten), is("", "none before", ""));
        let (mut slow, mut fast) = (ten.clone(), ten.clone());
        slow.total.add(2000);
        fast.total.add(1000);
        assert_eq!(change(Metric::TotalP95, &fast, &slow), is("▼", "50% faster", "better"));
        assert_eq!(change(Metric::TotalP95, &ten, &slow), is("", "none now", ""));
        assert_eq!(Change::new(t, Metric::Requests, &ten, &sums(9, 9)).title, "before: 9");
    }
}
