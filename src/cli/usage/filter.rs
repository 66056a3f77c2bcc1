//! Which calls are meant: the options that the log and the report share.

use clap::Arg;

use crate::{
    cli::{
        Failure,
        budget::one_of,
        command::option,
        invocation::Invocation,
        options::{Options, on_or_off, whole},
        session::Session,
        when,
    },
    i18n::Messages,
    model::{
        time::UnixMs,
        usage::{CallResult, Endpoint, trace_id},
    },
    storage::usage_query::{ResultFilter, UsageFilter},
    web::{
        admin::usage::period::{Choice, Period},
        form::{FieldErrors, Fields},
    },
};

/// The period if nobody says one.
const USUAL: &str = "24h";

/// Options for a period and for what calls have in common.
pub fn flags(m: Messages) -> Vec<Arg> {
    let h = m.help;
    vec![
        option("since", "TIME", format!("{} {}", h.since(), m.cli.help_default(USUAL)), m)
            .visible_alias("from"),
        option("until", "TIME", h.until(), m).visible_alias("to"),
        option("period", "WORD", h.period(), m).conflicts_with_all(["since", "until"]),
        option("token", "NAME", h.of_token(), m),
        option("channel", "NAME", h.of_channel(), m),
        option("key", "ID", h.of_key(), m),
        option("model", "NAME", m.log.model_hint(), m),
        option("endpoint", "chat|completions|embeddings", m.log.endpoint(), m),
        option("stream", "true|false", h.streaming(), m),
        option("result", "WORD", h.result(), m),
        option("status", "STATUS", m.log.status_hint(), m),
    ]
}

/// Reads the options. Names of tokens and channels may be those of deleted ones.
pub async fn read(call: &Invocation<'_>, session: &Session) -> Result<UsageFilter, Failure> {
    let (m, now, zone) = (call.m, session.now(), &session.config.zone);
    let mut filter = UsageFilter::default();
    let mut options = Options::new(call);
    let since = call.text("since").unwrap_or(USUAL);
    if let Some(word) = call.text("period") {
        match Choice::from_name(word).filter(|choice| *choice != Choice::Range) {
            None => {
                let words: Vec<Choice> = Period::choices().collect();
                options.fault("period", one_of(m, &words));
            }
            Some(choice) => {
                let errors = &mut FieldErrors::default();
                let period = Period::read(&Fields::default(), choice, now, zone, m, errors);
                (filter.from, filter.to) = (period.from, period.to);
            }
        }
    } else if since != "all" {
        filter.from = when::point_or_ago(since, now, zone, false);
        if filter.from.is_none() {
            options.fault("since", m.terminal.period_shape());
        }
    }
    options.set("until", &mut filter.to, |text| {
        let until = when::point_or_ago(text, now, zone, true);
        Ok(Some(until.ok_or_else(|| m.terminal.period_shape().to_owned())?))
    });
    if matches!((filter.from, filter.to), (Some(from), Some(to)) if from >= to) {
        options.fault("until", m.log.range_backwards());
    }
    let names = session.db.usage_names(None).await?;
    let same = |name: &str, wanted: &str| name.to_lowercase() == wanted.to_lowercase();
    options.set("token", &mut filter.token, |wanted| {
        let found = names.tokens.iter().find(|token| same(&token.name, wanted));
        Ok(Some(found.ok_or_else(|| m.log.unknown_choice().to_owned())?.id))
    });
    options.set("channel", &mut filter.channel, |wanted| {
        let found = names.channels.iter().find(|channel| same(&channel.name, wanted));
        Ok(Some(found.ok_or_else(|| m.log.unknown_choice().to_owned())?.id))
    });
    options.set("key", &mut filter.key, |text| {
        let id = text.trim_start_matches('#').parse().map_err(|_| m.log.unknown_choice().to_owned())?;
        Ok(Some(id))
    });
    options.set("model", &mut filter.model, |text| Ok(Some(bounded(text, m)?)));
    options.set("endpoint", &mut filter.endpoint, |text| {
        let endpoint = Endpoint::from_name(text);
        Ok(Some(endpoint.ok_or_else(|| one_of(m, Endpoint::ALL))?))
    });
    options.set("stream", &mut filter.stream, |text| Ok(Some(on_or_off(text, m)?)));
    options.set("result", &mut filter.result, |text| {
        let exact =
            || CallResult::from_name(text).map(ResultFilter::Is).ok_or_else(|| one_of(m, CallResult::ALL));
        Ok(Some(if text == "failed" { ResultFilter::Failed } else { exact()? }))
    });
    options.set("status", &mut filter.status, |text| {
        Ok(Some(status(text).ok_or_else(|| m.log.status_unreadable().to_owned())?))
    });
    options.set("client", &mut filter.client_kind, |text| Ok(Some(bounded(text, m)?)));
    options.set("trace", &mut filter.trace, |text| {
        Ok(Some(trace_id(text).ok_or_else(|| m.log.trace_unreadable().to_owned())?))
    });
    options.set("search", &mut filter.search, |text| Ok(Some(bounded(text, m)?)));
    if options.faults.0.is_empty() { Ok(filter) } else { Err(Failure::options(options.faults)) }
}

/// The period as the explorer knows it, so that it can tell the one before.
pub fn period(call: &Invocation, filter: &UsageFilter) -> Period {
    let choice = call.text("period").and_then(Choice::from_name).unwrap_or(Choice::Range);
    let nothing = String::new;
    Period { choice, from_text: nothing(), to_text: nothing(), from: filter.from, to: filter.to }
}

/// `--limit`, which is at most `most`.
pub fn limit(call: &Invocation, usual: usize, most: usize) -> Result<usize, Failure> {
    let Some(text) = call.text("limit") else { return Ok(usual) };
    let most_i64 = i64::try_from(most).unwrap_or(i64::MAX);
    let wrong = || call.m.cli.give_integer(1, most_i64);
    let number = whole(text, call.m).ok().filter(|number| (1..=most_i64).contains(number));
    number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| Failure::option("--limit", wrong()))
}

/// The same period with borders moved outwards to whole quarters of an hour, in which sums are kept.
pub fn aligned(mut filter: UsageFilter) -> UsageFilter {
    use crate::storage::rollups::{BUCKET_MS, bucket_of};
    filter.from = filter.from.map(bucket_of);
    filter.to = filter.to.map(|to| bucket_of(UnixMs(to.0.saturating_add(BUCKET_MS - 1))));
    filter
}

fn bounded(text: &str, m: Messages) -> Result<String, String> {
    const MOST: usize = 200;
    if text.chars().count() > MOST { Err(m.common.field_too_long(MOST)) } else { Ok(text.to_owned()) }
}

/// `429`, or a class such as `5xx`.
fn status(text: &str) -> Option<(u16, u16)> {
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let status: u16 = text.parse().ok().filter(|status| (100..=599).contains(status))?;
    Some((status, status))
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn a_status_is_one_or_a_class() {
        assert_eq!(status("429"), Some((429, 429)));
        assert_eq!(status("5xx"), Some((500, 599)));
        for text in ["", "xx", "6xx", "99", "4x", "-1"] {
            assert_eq!(status(text), None, "{text}");
        }
    }
}
