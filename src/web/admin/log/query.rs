//! The log's filter in the URL.

use jiff::tz::TimeZone;

use crate::{
    i18n::Messages,
    model::{
        time::UnixMs,
        usage::{CallResult, Endpoint, trace_id},
    },
    storage::usage_query::{
        ResultFilter, UsageFilter,
        rows::{Cursor, Place},
    },
    web::{
        admin::usage::period::{Choice, Period, url},
        form::{FieldErrors, Fields},
    },
};

/// The longest text of a field, in characters; models' names are at most this long.
const MAX_CHARS: usize = 200;

/// The fields of the filter, beside the period.
const FIELDS: [&str; 13] = [
    "token", "channel", "key", "model", "asked", "upstream", "endpoint", "stream", "result", "status",
    "client", "q", "trace",
];

/// The filter as the visitor wrote it and as it was understood.
pub struct LogQuery {
    /// The period.
    pub period: Period,
    /// What is wrong with the fields.
    pub errors: FieldErrors,
    /// What to ask the database for; only right if nothing is wrong.
    pub filter: UsageFilter,
    /// Which page.
    pub place: Place,
    texts: Vec<(&'static str, String)>,
}

impl LogQuery {
    /// Reads a URL's query; without a period it means all time.
    pub fn read(query: &str, now: UnixMs, zone: &TimeZone, t: Messages) -> Self {
        Self::read_in(Choice::All, query, now, zone, t)
    }

    /// The same with another period where the URL names none.
    pub fn read_in(default: Choice, query: &str, now: UnixMs, zone: &TimeZone, t: Messages) -> Self {
        let fields = Fields::parse(query.as_bytes());
        let mut errors = FieldErrors::default();
        let period = Period::read(&fields, default, now, zone, t, &mut errors);
        let mut texts = Vec::new();
        for name in FIELDS {
            let text = fields.text(name);
            if text.chars().count() > MAX_CHARS {
                errors.add(name, t.common.field_too_long(MAX_CHARS));
            }
            texts.push((name, text.chars().take(MAX_CHARS).collect::<String>()));
        }
        let mut query = Self { period, errors, filter: UsageFilter::default(), place: Place::Newest, texts };
        query.filter = query.understand(t);
        query.place = match (fields.text("before").parse::<Cursor>(), fields.text("after").parse::<Cursor>())
        {
            (Ok(cursor), _) => Place::Before(cursor),
            (_, Ok(cursor)) => Place::After(cursor),
            _ => Place::Newest,
        };
        query
    }

    /// A field as it was written.
    pub fn text(&self, name: &str) -> &str {
        self.texts.iter().find(|(field, _)| *field == name).map_or("", |(_, text)| text)
    }

    /// The fields that narrow the log down, as they were written.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.texts.iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (*name, text.as_str()))
    }

    /// How many fields narrow the log down, beside the period.
    pub fn active(&self) -> usize {
        self.texts.iter().filter(|(_, text)| !text.is_empty()).count()
    }

    /// The URL of a path with this filter in another period.
    pub fn url_in(&self, path: &str, period: Choice) -> String {
        url(path, self.fields().chain([("period", period.as_str().to_owned())]))
    }

    /// The URL of a path with this filter and further fields.
    pub fn url_with<'a>(&'a self, path: &str, more: impl IntoIterator<Item = (&'a str, String)>) -> String {
        url(path, self.fields().chain(self.period.query()).chain(more))
    }

    fn fields(&self) -> impl Iterator<Item = (&str, String)> {
        self.texts.iter().map(|(name, text)| (*name, text.clone()))
    }

    fn understand(&mut self, t: Messages) -> UsageFilter {
        let some = |name: &str| Some(self.text(name).to_owned()).filter(|text| !text.is_empty());
        let mut wrong = Vec::new();
        let mut chosen = |name: &'static str, known: bool| {
            if !known && some(name).is_some() {
                wrong.push((name, t.log.unknown_choice()));
            }
        };
        let token = self.text("token").parse().ok();
        chosen("token", token.is_some());
        let channel = self.text("channel").parse().ok();
        chosen("channel", channel.is_some());
        let key = self.text("key").parse().ok();
        chosen("key", key.is_some());
        let endpoint = Endpoint::from_name(self.text("endpoint"));
        chosen("endpoint", endpoint.is_some());
        let stream = match self.text("stream") {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        chosen("stream", stream.is_some());
        let result = match self.text("result") {
            "failed" => Some(ResultFilter::Failed),
            name => CallResult::from_name(name).map(ResultFilter::Is),
        };
        chosen("result", result.is_some());
        let status = status_range(self.text("status"));
        if status.is_none() && some("status").is_some() {
            wrong.push(("status", t.log.status_unreadable()));
        }
        let trace = trace_id(self.text("trace"));
        if trace.is_none() && some("trace").is_some() {
            wrong.push(("trace", t.log.trace_unreadable()));
        }
        let filter = UsageFilter {
            from: self.period.from,
            to: self.period.to,
            token,
            channel,
            key,
            model: some("model"),
            asked_model: some("asked"),
            served_model: some("upstream"),
            endpoint,
            stream,
            result,
            status,
            client_kind: some("client"),
            search: some("q"),
            trace,
        };
        for (name, message) in wrong {
            self.errors.add(name, message);
        }
        filter
    }
}

/// `429`, or `4xx`, as the lowest and highest status.
pub(in crate::web) fn status_range(text: &str) -> Option<(u16, u16)> {
    let text = text.to_ascii_lowercase();
    let (lowest, highest) = match text.strip_suffix("xx") {
        Some(class) => {
            let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
            (class * 100, class * 100 + 99)
        }
        None => {
            let status = text.parse().ok()?;
            (status, status)
        }
    };
    (100..600).contains(&lowest).then_some((lowest, highest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{i18n::Lang, model::id::TokenId};

    fn read(query: &str) -> LogQuery {
        LogQuery::read(query, UnixMs(1_800_000_000_000), &TimeZone::UTC, Messages::of(Lang::En))
    }

    #[test]
    fn a_filter_reads_back_from_its_own_url() {
        let text = "token=3&model=gpt-4*&result=failed&status=5xx&q=a%26b&period=7d";
        let query = read(text);
        assert!(query.errors.is_empty());
        assert_eq!(query.filter.token, Some(TokenId(3)));
        assert_eq!(query.filter.status, Some((500, 599)));
        assert_eq!(query.active(), 5);
        let url = query.url_with("/log", [("before", "5-6".to_owned())]);
        assert_eq!(url, format!("/log?{text}&before=5-6"));
        let again = read(url.strip_prefix("/log?").unwrap());
        assert_eq!(again.filter, query.filter);
        assert_eq!(again.place, Place::Before("5-6".parse().unwrap()));
        assert_eq!(query.url_in("/log", Choice::All), format!("/log?{}", text.replace("7d", "all")));
    }

    #[test]
    fn what_a_field_cannot_mean_is_told_at_the_field_and_kept() {
        let long = "x".repeat(300);
        let query =
            read(&format!("status=6xx&token=me&endpoint=pictures&stream=maybe&result=odd&trace=ab&q={long}"));
        for name in ["status", "token", "endpoint", "stream", "result", "q", "trace"] {
            assert!(query.errors.find(name).is_some(), "{name}");
        }
        assert_eq!(query.text("status"), "6xx");
        assert_eq!(query.text("q").len(), MAX_CHARS);
        assert!(read("status=429&before=nonsense").errors.is_empty());
        assert!(read("status=99").errors.find("status").is_some());
    }
}
