//! The course of a call: numbers for an SVG that the server draws.

use super::names::result_style;
use crate::{
    i18n::Messages,
    model::usage::OutcomeClass,
    storage::usage_query::rows::{AttemptRow, UsageRow},
    web::format::duration,
};

/// Where the bars stand, in units of the drawing.
const LEFT: u64 = 8;
const RIGHT: u64 = 992;
/// Height of a line: its text above, its bar below.
const LINE: u64 = 44;
const HEAD: u64 = 24;

/// A bar of the drawing.
#[derive(Debug, PartialEq, Eq)]
pub struct Bar {
    /// The style sheet's class.
    pub style: &'static str,
    /// Left border.
    pub x: u64,
    /// Width.
    pub width: u64,
}

/// A line of the drawing: a time in line, or an attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// Where its text stands.
    pub text_y: u64,
    /// Where its bars stand.
    pub bar_y: u64,
    /// One bar, or one until the first content and one after it.
    pub bars: Vec<Bar>,
}

/// The drawing.
#[derive(Debug)]
pub struct Waterfall {
    /// Its lines, from top to bottom.
    pub lines: Vec<Line>,
    /// Lines down, each with its place and its time.
    pub grid: Vec<(u64, String)>,
    /// Where the client got the first content.
    pub first_token: Option<u64>,
    /// The height of it all.
    pub height: u64,
}

impl Waterfall {
    /// Draws the calls of a turn, in the order of their arrival, to scale.
    pub fn of_calls(t: Messages, rows: &[UsageRow]) -> Self {
        let start = rows.iter().map(|row| row.at).min().unwrap_or_default();
        let since = |row: &UsageRow| row.at.since(start).as_millis().try_into().unwrap_or(u64::MAX);
        let end = rows.iter().map(|row| since(row).saturating_add(row.total_ms.into())).max();
        let scale = Scale { end: end.unwrap_or(0).max(1) };
        let mut lines = Lines::default();
        for (number, row) in (1..).zip(rows) {
            let begin = since(row);
            let (end, style) = (begin.saturating_add(row.total_ms.into()), result_style(row.result));
            let first = row.first_token_ms.map(|ms| begin.saturating_add(ms.into()).min(end));
            let bars = match first {
                Some(first) => vec![scale.bar("wait", begin, first), scale.bar(style, first, end)],
                None => vec![scale.bar(style, begin, end)],
            };
            let result = t.log.result_name(row.result);
            lines.add(
                format!("{number}. {} · {result} · {}", row.asked_model, duration(t, row.total_ms)),
                bars,
            );
        }
        lines.on(t, &scale, None)
    }

    /// Draws a call and its attempts to scale.
    pub fn new(t: Messages, row: &UsageRow, attempts: &[AttemptRow]) -> Self {
        let ends =
            attempts.iter().map(|attempt| u64::from(attempt.started_ms) + u64::from(attempt.duration_ms));
        let end = ends.chain([row.total_ms.into(), row.queue_ms.into(), 1]).max().unwrap_or(1);
        let scale = Scale { end };
        let bar = |style, from: u64, to: u64| scale.bar(style, from, to);
        let mut lines = Lines::default();
        let mut add = |label: String, bars: Vec<Bar>| lines.add(label, bars);
        let queued = |ms: u32, reason: &str| {
            let parts = [t.log.queue(), &duration(t, ms), reason];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
        };
        // What is in no attempt's books: the call was refused after it, or left while it waited.
        let waited = attempts.iter().map(|attempt| attempt.waited_ms).fold(0, u32::saturating_add);
        let unattended = row.queue_ms.saturating_sub(waited);
        let last =
            attempts.iter().map(|attempt| attempt.started_ms.saturating_add(attempt.duration_ms)).max();
        let is_last = row.total_ms.saturating_sub(last.unwrap_or(0)) >= unattended;
        if unattended > 0 && !is_last {
            add(queued(unattended, ""), vec![bar("queue", 0, unattended.into())]);
        }
        for (number, attempt) in (1..).zip(attempts) {
            let start = u64::from(attempt.started_ms);
            if attempt.waited_ms > 0 {
                let reason = attempt.waited_for.map_or("", |reason| t.log.wait_reason(reason));
                let from = start.saturating_sub(attempt.waited_ms.into());
                add(queued(attempt.waited_ms, reason), vec![bar("queue", from, start)]);
            }
            let end = start + u64::from(attempt.duration_ms);
            let first = attempt.first_byte_ms.map(|ms| (start + u64::from(ms)).min(end));
            let bars = match first {
                Some(first) => vec![bar("wait", start, first), bar(class_style(attempt.class), first, end)],
                None => vec![bar(class_style(attempt.class), start, end)],
            };
            let class = t.log.class_name(attempt.class);
            let name = super::names::named_text(&attempt.channel.name, attempt.channel.id);
            add(format!("{number}. {name} · {class} · {}", duration(t, attempt.duration_ms)), bars);
        }
        if unattended > 0 && is_last {
            let to = u64::from(row.total_ms);
            add(queued(unattended, ""), vec![bar("queue", to - u64::from(unattended), to)]);
        }
        let first_token = row.first_token_ms.map(|ms| scale.place(ms.into()));
        lines.on(t, &scale, first_token)
    }
}

/// Milliseconds to units of the drawing.
struct Scale {
    /// What the right border stands for; at least 1.
    end: u64,
}

impl Scale {
    fn place(&self, ms: u64) -> u64 {
        LEFT + u64::try_from(u128::from(RIGHT - LEFT) * u128::from(ms.min(self.end)) / u128::from(self.end))
            .unwrap_or(0)
    }

    fn bar(&self, style: &'static str, from: u64, to: u64) -> Bar {
        let (x, right) = (self.place(from), self.place(to));
        Bar { style, x: x.min(RIGHT - 2), width: (right - x).max(2) }
    }
}

/// The lines of a drawing while it is made.
#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, label: String, bars: Vec<Bar>) {
        let y = HEAD + LINE * self.0.len() as u64;
        self.0.push(Line { label, text_y: y + 16, bar_y: y + 22, bars });
    }

    /// The drawing, with lines down at each quarter.
    fn on(self, t: Messages, scale: &Scale, first_token: Option<u64>) -> Waterfall {
        Waterfall {
            height: HEAD + LINE * self.0.len() as u64 + 8,
            lines: self.0,
            grid: (0..=4)
                .map(|part| {
                    let ms = scale.end / 4 * part + scale.end % 4 * part / 4;
                    (scale.place(ms), duration(t, u32::try_from(ms).unwrap_or(u32::MAX)))
                })
                .collect(),
            first_token,
        }
    }
}

/// The style sheet's class for what an attempt was taken for.
pub fn class_style(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Success => "ok",
        OutcomeClass::RateLimited
        | OutcomeClass::ModelUnavailable
        | OutcomeClass::ClientError
        | OutcomeClass::Ambiguous
        | OutcomeClass::ClientClosed
        | OutcomeClass::Paused
        | OutcomeClass::BudgetReached => "warn",
        OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit | OutcomeClass::HostError => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        model::{id::RequestId, usage::WaitReason},
        storage::{
            Db,
            recording::tests::{open, record},
            usage_query::fixtures,
        },
    };

    /// A call that waited before each of its two attempts, and as long as `unattended_ms` says for none.
    async fn call(db: &Db, n: u32, second: WaitReason, unattended_ms: u32) -> (UsageRow, Vec<AttemptRow>) {
        let mut record = record(n);
        record.attempts[0].waited_ms = 100;
        record.attempts[0].started_ms = 100;
        record.attempts[1].waited_ms = 200;
        record.attempts[1].waited_for = Some(second);
        record.attempts[1].started_ms = 320;
        record.queue_ms = 300 + unattended_ms;
        db.insert_usage(&[record]).await.unwrap();
        db.usage_find(RequestId(uuid::Uuid::from_u128(n.into()))).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn each_wait_stands_before_its_attempt_with_its_reason_in_both_languages() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        fixtures::names(&db).await;
        for (n, reason, english, chinese) in [
            (1, WaitReason::Limit, "limits were used up", "限额已用尽"),
            (2, WaitReason::Rest, "what could serve it rested", "可用的密钥或模型在休息"),
            (3, WaitReason::Busy, "calls under way came first", "等待进行中的调用结束"),
        ] {
            let (row, attempts) = call(&db, n, reason, 0).await;
            for (lang, words) in [(Lang::En, english), (Lang::Zh, chinese)] {
                let lines = Waterfall::new(Messages::of(lang), &row, &attempts).lines;
                assert_eq!(lines.len(), 4, "{lines:#?}");
                assert!(lines[2].label.ends_with(&format!(" · {words}")), "{}", lines[2].label);
                assert!(lines[1].label.starts_with("1. ") && lines[3].label.starts_with("2. "), "{lines:#?}");
                for (wait, attempt) in [(&lines[0], &lines[1]), (&lines[2], &lines[3])] {
                    let wait = &wait.bars[0];
                    assert_eq!((wait.style, wait.x + wait.width), ("queue", attempt.bars[0].x), "{lines:#?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_wait_that_led_to_no_attempt_stands_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        fixtures::names(&db).await;
        let (row, attempts) = call(&db, 1, WaitReason::Limit, 500).await;
        let lines = Waterfall::new(Messages::of(Lang::En), &row, &attempts).lines;
        let last = lines.last().unwrap();
        assert_eq!((lines.len(), last.label.as_str()), (5, "Waited for a slot · 500 ms"));
        assert_eq!(last.bars[0].x + last.bars[0].width, RIGHT, "{lines:#?}");
    }
}
