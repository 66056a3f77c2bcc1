//! Limits as scripts, forms and command lines write them down, and the one check of them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::{Faults, within};
use crate::{
    i18n::Messages,
    model::{
        id::{ChannelId, KeyId},
        limit::{CalendarUnit, Limit, Metric, Models, Per, Problem, Rule, Source, Window},
    },
    pool::rules::{self, LIMIT_AMOUNTS, MAX_KEY_LIMITS, MAX_LIMIT_MODELS, MAX_LIMITS},
    provider::Provider,
};

/// A limit: how much of what is allowed in which window, and for whom each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitInput {
    /// What is counted.
    #[serde(default)]
    pub metric: Metric,
    /// How much; from 1 to 1,000,000,000,000.
    pub max: i64,
    /// When it comes back. Only `concurrency` needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowInput>,
    /// For whom each: every key, every quota group (a key without one counts by itself), each model on a key or a group, each
    /// model of the channel, or the whole channel. On a key only `key` and `key_model`.
    #[serde(default)]
    pub per: Per,
    /// Only for these upstream models: names in which `*` stands for anything, such as `*:free`; at most 50. Left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Whether it holds whatever headers, error texts and refusals tell. Left out, answers may teach another amount.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insist: bool,
}

/// When an amount comes back: a text, or an object for what needs more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowInput {
    /// `1m`, `5h`, `minute`, `hour`, `day`, `month`, `day@Asia/Shanghai+5m`, `bucket:1s,burst=1`, `one_shot`, `at_once`.
    Text(String),
    /// A calendar or a bucket, field by field.
    Object(WindowObject),
}

/// A window of a calendar, or a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowObject {
    /// So much per hour, day or month of a calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarUnit>,
    /// The calendar's IANA time zone, such as `Asia/Shanghai`. Left out: the one of the channel's provider, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Minutes after the unit's beginning at which it comes back. Left out: the provider's with the provider's zone, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_minutes: Option<i64>,
    /// In what span the whole amount flows back, little by little, such as `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// How much the bucket holds. Left out: the whole amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<i64>,
}

impl utoipa::PartialSchema for WindowInput {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{Ref, schema};
        schema::OneOfBuilder::new()
            .description(Some(
                "A span that rolls (`1s`, `1m`, `5h`, `1d`; also `second` and `minute`), `hour`, `day` or `month` of a calendar \
                 (perhaps with a time zone and minutes: `day@Asia/Shanghai+5m`), `bucket:1s` or `bucket:1s,burst=1`, `one_shot`, \
                 `at_once`; or an object.",
            ))
            .item(schema::Object::with_type(schema::Type::String))
            .item(Ref::from_schema_name("WindowObject"))
            .into()
    }
}

impl ToSchema for WindowInput {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        use utoipa::PartialSchema as _;
        schemas.push(("WindowObject".into(), WindowObject::schema()));
        WindowObject::schemas(schemas);
    }
}

impl<'de> Deserialize<'de> for WindowInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = WindowInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a window such as 1m or day, or an object with calendar or bucket")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<WindowInput, E> {
                Ok(WindowInput::Text(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<WindowInput, A::Error> {
                WindowObject::deserialize(de::value::MapAccessDeserializer::new(map)).map(WindowInput::Object)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for WindowInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

/// What limits are for.
#[derive(Debug, Clone, Copy)]
pub struct Limited<'a> {
    /// Whether they are of one key.
    pub key: bool,
    /// The provider of the channel, whose calendar holds where a limit names none; `None` believes that there is one.
    pub provider: Option<&'a Provider>,
}

/// The limits that these describe; faults stand at `limits[1].window` and the like, with `prefix` in front.
pub fn check_limits(
    inputs: &[LimitInput],
    of: Limited<'_>,
    prefix: &str,
    t: Messages,
    faults: &mut Faults,
) -> Vec<Limit> {
    let most = if of.key { MAX_KEY_LIMITS } else { MAX_LIMITS };
    if inputs.len() > most {
        faults.add(format!("{prefix}limits"), t.limits.too_many(most));
        return Vec::new();
    }
    let before = faults.0.len();
    let read = |(place, input): (usize, &LimitInput)| {
        let limit = input.check(&format!("{prefix}limits[{place}]"), of, t, faults)?;
        Some((place, limit))
    };
    let limits: Vec<(usize, Limit)> = inputs.iter().enumerate().filter_map(read).collect();
    // Which channel and key does not matter here, only that it is the same one.
    let key = of.key.then_some(KeyId(0));
    let rules: Vec<Rule> = limits.iter().map(|(_, limit)| limit.rule(ChannelId(0), key)).collect();
    for (at, problem) in Rule::check_all(&rules) {
        let (place, limit) = &limits[at];
        let (field, message) = told(&problem, &inputs[*place], limit, |other| limits[other].0, prefix, t);
        faults.add(format!("{prefix}limits[{place}]{field}"), message);
    }
    for (at, rule) in rules.iter().enumerate() {
        if let Some(other) = rules[..at].iter().position(|other| other == rule) {
            let other = format!("{prefix}limits[{}]", limits[other].0);
            faults.add(format!("{prefix}limits[{}]", limits[at].0), t.limits.twice(&other));
        }
    }
    if faults.0.len() > before { Vec::new() } else { limits.into_iter().map(|(_, limit)| limit).collect() }
}

/// The field that a problem is at, and what to do.
fn told(
    problem: &Problem,
    input: &LimitInput,
    limit: &Limit,
    place: impl Fn(usize) -> usize,
    prefix: &str,
    t: Messages,
) -> (&'static str, String) {
    let l = t.limits;
    let is_object = matches!(input.window, Some(WindowInput::Object(_)));
    let inner = |field: &'static str| if is_object { field } else { ".window" };
    match problem {
        Problem::ZeroMax => (".max", l.zero().to_owned()),
        Problem::WindowLength => (inner(".window.bucket"), l.window_length().to_owned()),
        Problem::Burst => (inner(".window.burst"), l.burst(limit.max)),
        Problem::UnknownZone(zone) => (inner(".window.zone"), l.zone_unknown(&rules::shortened(zone))),
        Problem::Offset => (inner(".window.offset_minutes"), l.offset().to_owned()),
        Problem::MetricAndWindow if limit.metric == Metric::Concurrency => {
            (".window", l.concurrency_window().to_owned())
        }
        Problem::MetricAndWindow => (".window", l.at_once_metric().to_owned()),
        Problem::KeyAndPer => (".per", l.wider_than_key().to_owned()),
        Problem::Contradiction { other } => {
            ("", l.contradiction(&format!("{prefix}limits[{}]", place(*other))))
        }
    }
}

impl LimitInput {
    /// A limit as an operator would write it down.
    pub fn of(limit: &Limit) -> Self {
        let object = WindowObject::default();
        let window = match &limit.window {
            Window::AtOnce => None,
            Window::OneShot => Some(WindowInput::Text(ONE_SHOT.into())),
            Window::Rolling { ms } => Some(WindowInput::Text(show_span(*ms))),
            Window::Calendar { unit, zone, offset_minutes } => Some(WindowInput::Object(WindowObject {
                calendar: Some(*unit),
                zone: Some(zone.clone()),
                offset_minutes: Some(i64::from(*offset_minutes)).filter(|minutes| *minutes != 0),
                ..object
            })),
            Window::Bucket { ms, burst } => Some(WindowInput::Object(WindowObject {
                bucket: Some(show_span(*ms)),
                burst: burst.and_then(|burst| i64::try_from(burst).ok()),
                ..object
            })),
        };
        Self {
            metric: limit.metric,
            max: i64::try_from(limit.max).unwrap_or(i64::MAX),
            window,
            per: limit.per,
            models: limit.models.0.clone(),
            insist: limit.source == Source::Operator,
        }
    }

    /// The limit, if it can be read; whether it makes sense is [`Rule::check_all`]'s to say.
    fn check(&self, path: &str, of: Limited<'_>, t: Messages, faults: &mut Faults) -> Option<Limit> {
        let before = faults.0.len();
        // Nought has a message of its own.
        if self.max != 0 {
            faults.take(&format!("{path}.max"), within(t, self.max, LIMIT_AMOUNTS));
        }
        if self.models.len() > MAX_LIMIT_MODELS {
            faults.add(format!("{path}.models"), t.channels.too_many_models(MAX_LIMIT_MODELS));
        } else {
            for (place, name) in
                self.models.iter().enumerate().filter(|(_, name)| !rules::is_model_name(name))
            {
                let message = t.channels.model_invalid(&rules::shortened(name));
                faults.add(format!("{path}.models[{place}]"), message);
            }
        }
        // A group's limit that one key alone knows of would be none.
        if of.key && !matches!(self.per, Per::Key | Per::KeyModel) {
            faults.add(format!("{path}.per"), t.limits.wider_than_key());
        }
        let window = match &self.window {
            Some(window) => window.check(&format!("{path}.window"), of.provider, t, faults),
            None if self.metric == Metric::Concurrency => Some(Window::AtOnce),
            None => {
                faults.add(format!("{path}.window"), t.limits.window_missing());
                None
            }
        };
        let max = u64::try_from(self.max).ok();
        let (Some(window), Some(max)) = (window, max) else { return None };
        // The order of names does not matter, and a star alone is every model.
        let mut models = self.models.clone();
        models.sort();
        models.dedup();
        if models.iter().any(|name| name == "*") {
            models.clear();
        }
        let source = if self.insist { Source::Operator } else { Source::Declared };
        let limit = Limit { models: Models(models), per: self.per, metric: self.metric, window, max, source };
        (faults.0.len() == before).then_some(limit)
    }
}

const ONE_SHOT: &str = "one_shot";
const AT_ONCE: &str = "at_once";

impl WindowInput {
    /// A window as a form has it: a text, and a time zone in a field of its own; `None` if both are empty.
    pub fn typed(text: &str, zone: &str) -> Option<Self> {
        if zone.is_empty() {
            return Some(text).filter(|text| !text.is_empty()).map(|text| Self::Text(text.to_owned()));
        }
        // What is no calendar is kept where its zone is found to be too much.
        let object = WindowObject::read(text)
            .unwrap_or_else(|| WindowObject { bucket: Some(text.to_owned()), ..WindowObject::default() });
        Some(Self::Object(WindowObject { zone: Some(zone.to_owned()), ..object }))
    }

    fn check(
        &self,
        path: &str,
        provider: Option<&Provider>,
        t: Messages,
        faults: &mut Faults,
    ) -> Option<Window> {
        match self {
            Self::Text(text) => match text.as_str() {
                AT_ONCE => Some(Window::AtOnce),
                ONE_SHOT | "once" => Some(Window::OneShot),
                text => match (read_span(text), WindowObject::read(text)) {
                    (Some(ms), _) => Some(Window::Rolling { ms }),
                    (_, Some(object)) => object.check(path, false, provider, t, faults),
                    (None, None) => {
                        faults.add(path, t.limits.window_unknown(&rules::shortened(text)));
                        None
                    }
                },
            },
            Self::Object(object) => object.check(path, true, provider, t, faults),
        }
    }
}

impl WindowObject {
    /// Reads `day@Asia/Shanghai+5m` and `bucket:1s,burst=1`.
    fn read(text: &str) -> Option<Self> {
        if let Some(bucket) = text.strip_prefix("bucket:") {
            let (span, burst) = match bucket.split_once(",burst=") {
                Some((span, burst)) => (span, Some(burst.parse().ok()?)),
                None => (bucket, None),
            };
            return Some(Self { bucket: Some(span.to_owned()), burst, ..Self::default() });
        }
        // A zone may hold a plus (`Etc/GMT+5`), but does not end in minutes.
        let (rest, offset_minutes) = match text.rsplit_once('+') {
            Some((rest, minutes)) => match minutes.strip_suffix('m').map(str::parse) {
                Some(Ok(minutes)) => (rest, Some(minutes)),
                _ => (text, None),
            },
            None => (text, None),
        };
        let (unit, zone) = match rest.split_once('@') {
            Some((unit, zone)) => (unit, Some(zone.to_owned())),
            None => (rest, None),
        };
        let calendar = match unit {
            "hour" => CalendarUnit::Hour,
            "day" => CalendarUnit::Day,
            "month" => CalendarUnit::Month,
            _ => return None,
        };
        Some(Self { calendar: Some(calendar), zone, offset_minutes, ..Self::default() })
    }

    /// `is_object` tells whether its fields have places of their own.
    fn check(
        &self,
        path: &str,
        is_object: bool,
        provider: Option<&Provider>,
        t: Messages,
        faults: &mut Faults,
    ) -> Option<Window> {
        let l = t.limits;
        let field = |name: &str| if is_object { format!("{path}.{name}") } else { path.to_owned() };
        let mut fault = |field: String, message: &str| {
            faults.add(field, message);
            None
        };
        match (self.calendar, &self.bucket) {
            (Some(_), Some(_)) | (None, None) => fault(path.to_owned(), l.one_window()),
            (Some(_), None) if self.burst.is_some() => fault(field("burst"), l.burst_without_bucket()),
            (None, Some(_)) if self.zone.is_some() || self.offset_minutes.is_some() => {
                let name = if self.zone.is_some() { "zone" } else { "offset_minutes" };
                fault(field(name), l.zone_without_calendar())
            }
            (None, Some(span)) => {
                let Some(ms) = read_span(span) else {
                    return fault(field("bucket"), &l.span_unknown(&rules::shortened(span)));
                };
                let burst = match self.burst.map(u64::try_from) {
                    None => None,
                    Some(Ok(burst)) => Some(burst),
                    Some(Err(_)) => return fault(field("burst"), l.burst_positive()),
                };
                Some(Window::Bucket { ms, burst })
            }
            (Some(unit), None) => {
                let offset = match self.offset_minutes.map(u16::try_from) {
                    None => None,
                    Some(Ok(minutes)) => Some(minutes),
                    Some(Err(_)) => return fault(field("offset_minutes"), l.offset()),
                };
                let window = |zone: &str| Window::Calendar {
                    unit,
                    zone: zone.to_owned(),
                    offset_minutes: offset.unwrap_or(0),
                };
                let (zone, provider) = match (&self.zone, provider) {
                    (Some(zone), _) => return Some(window(zone.trim())),
                    // Hours begin at the same time nearly everywhere.
                    (None, None) => return Some(window("UTC")),
                    (None, Some(provider)) => (provider.zone(), provider),
                };
                match (provider.calendar_window(unit), zone) {
                    (Some(known), _) if offset.is_none() => Some(known),
                    (_, Some(zone)) => Some(window(zone)),
                    _ if unit == CalendarUnit::Hour => Some(window("UTC")),
                    _ => fault(field("zone"), &l.zone_missing(&provider.id)),
                }
            }
        }
    }
}

/// A span such as `250ms`, `1s`, `1m`, `5h` or `1d`, or the word for one of them, in milliseconds.
fn read_span(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let factor = match unit {
        "ms" if digits > 0 => 1,
        "s" | "sec" | "second" => 1000,
        "m" | "min" | "minute" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// What [`read_span`] reads.
fn show_span(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let fitting = units.into_iter().find(|(factor, _)| ms >= *factor && ms.is_multiple_of(*factor));
    fitting.map_or_else(|| format!("{ms}ms"), |(factor, unit)| format!("{}{unit}", ms / factor))
}

/// What a limit is per, as it is written in words.
const PERS: [(&str, Per); 6] = [
    ("key", Per::Key),
    ("group", Per::Owner),
    ("key_model", Per::KeyModel),
    ("group_model", Per::OwnerModel),
    ("model", Per::Model),
    ("channel", Per::Channel),
];

/// What is counted, as it is written in words; the first of several words for one is the one that is shown.
const METRICS: [(&str, Metric); 10] = [
    ("requests", Metric::Requests),
    ("request", Metric::Requests),
    ("calls", Metric::Requests),
    ("input_tokens", Metric::InputTokens),
    ("input-tokens", Metric::InputTokens),
    ("tokens", Metric::Tokens),
    ("token", Metric::Tokens),
    ("units", Metric::Units),
    ("unit", Metric::Units),
    ("concurrency", Metric::Concurrency),
];

fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], meant: T) -> &'static str {
    words.iter().find(|(_, value)| *value == meant).map_or("", |(word, _)| word)
}

fn meaning<T: Copy>(words: &[(&'static str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// The word for what is counted.
pub fn metric_word(metric: Metric) -> &'static str {
    word(&METRICS, metric)
}

/// What a word counts.
pub fn metric_of(text: &str) -> Option<Metric> {
    meaning(&METRICS, text)
}

/// The word for whom a limit is per.
pub fn per_word(per: Per) -> &'static str {
    word(&PERS, per)
}

/// For whom a limit is by a word.
pub fn per_of(text: &str) -> Option<Per> {
    meaning(&PERS, text)
}

/// A limit on one line, such as `40 requests/1m per key models=*:free`; [`LimitInput::read`] reads it.
impl fmt::Display for LimitInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.max)?;
        match (&self.window, self.metric) {
            (None, Metric::Concurrency) => f.write_str(" at once")?,
            (None, metric) => write!(f, " {}", metric_word(metric))?,
            (Some(window), metric) => write!(f, " {}/{window}", metric_word(metric))?,
        }
        write!(f, " per {}", per_word(self.per))?;
        if !self.models.is_empty() {
            write!(f, " models={}", self.models.join(","))?;
        }
        if self.insist { f.write_str(" insist") } else { Ok(()) }
    }
}

impl fmt::Display for WindowInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = match self {
            Self::Text(text) => return f.write_str(text),
            Self::Object(object) => object,
        };
        if let Some(bucket) = &object.bucket {
            write!(f, "bucket:{bucket}")?;
            return object.burst.map_or(Ok(()), |burst| write!(f, ",burst={burst}"));
        }
        f.write_str(match object.calendar {
            Some(CalendarUnit::Hour) => "hour",
            Some(CalendarUnit::Day) => "day",
            Some(CalendarUnit::Month) | None => "month",
        })?;
        if let Some(zone) = &object.zone {
            write!(f, "@{zone}")?;
        }
        object.offset_minutes.map_or(Ok(()), |minutes| write!(f, "+{minutes}m"))
    }
}

impl LimitInput {
    /// Reads `MAX [WHAT][/WINDOW] [per WHOM] [models=A,B] [insist]`, or `MAX at once ...`. On an error says how to write
    /// it.
    pub fn read(text: &str, t: Messages) -> Result<Self, String> {
        let l = t.limits;
        // A slash behind these words belongs to a model's name.
        let behind = [" per ", " models=", " insist"].iter().filter_map(|word| text.find(word)).min();
        let slash = text.find('/').filter(|slash| behind.is_none_or(|behind| *slash < behind));
        let (first, last) = slash.map_or((text, None), |slash| (&text[..slash], Some(&text[slash + 1..])));
        let mut words = first.split_whitespace();
        let amount = words.next().unwrap_or_default();
        let max = amount.parse().map_err(|_| l.line_amount(&rules::shortened(amount)))?;
        let mut input = Self {
            metric: Metric::Requests,
            max,
            window: None,
            per: Per::Key,
            models: Vec::new(),
            insist: false,
        };
        let mut rest: Vec<&str> = words.collect();
        match last {
            Some(last) => {
                match rest[..] {
                    [] => {}
                    [what] => {
                        input.metric =
                            metric_of(what).ok_or_else(|| l.line_metric(&rules::shortened(what)))?
                    }
                    _ => return Err(l.line(&rules::shortened(text))),
                }
                let mut words = last.split_whitespace();
                input.window = words.next().map(|window| WindowInput::Text(window.to_owned()));
                rest = words.collect();
            }
            None => match rest[..] {
                ["at", "once", ..] => {
                    input.metric = Metric::Concurrency;
                    rest.drain(..2);
                }
                [what, "once", ..] => {
                    input.metric = metric_of(what).ok_or_else(|| l.line_metric(&rules::shortened(what)))?;
                    input.window = Some(WindowInput::Text(ONE_SHOT.into()));
                    rest.drain(..2);
                }
                [what, ..] if metric_of(what).is_some() => {
                    input.metric = metric_of(what).unwrap_or_default();
                    rest.remove(0);
                }
                _ => {}
            },
        }
        let mut words = rest.into_iter();
        while let Some(word) = words.next() {
            match word {
                "per" => {
                    let whom = words.next().unwrap_or_default();
                    input.per = per_of(whom).ok_or_else(|| l.line_per(&rules::shortened(whom)))?;
                }
                "insist" => input.insist = true,
                other => match other.strip_prefix("models=") {
                    Some(models) => {
                        input.models =
                            models.split(',').map(str::to_owned).filter(|name| !name.is_empty()).collect();
                    }
                    None => return Err(l.line(&rules::shortened(other))),
                },
            }
        }
        Ok(input)
    }
}
