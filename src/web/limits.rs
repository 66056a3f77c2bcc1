//! Limits, gauges and what stands in a call's way, in words: for pages and commands.

use jiff::tz::TimeZone;

use super::format::{Moment, count, number};
use crate::{
    i18n::Messages,
    inspect::{Hurdle, Refused},
    model::{
        catalog::Bar,
        id::KeyId,
        limit::{CalendarUnit, Metric, Source, Window},
        time::UnixMs,
    },
    scheduler::{
        gauge::Reading,
        limit::LimitScope,
        pool::{Binding, Obstacle, Outlook},
        rest::Rest,
    },
};

/// What is counted.
pub fn metric(t: Messages, metric: Metric) -> &'static str {
    let t = t.inspect;
    match metric {
        Metric::Requests => t.requests(),
        Metric::InputTokens => t.input_tokens(),
        Metric::Tokens => t.tokens(),
        Metric::Units => t.units(),
        Metric::Concurrency => t.calls_at_once(),
    }
}

/// In which time; empty for what is counted at the same time.
pub fn window(t: Messages, window: &Window) -> String {
    let i = t.inspect;
    match window {
        Window::Rolling { ms } | Window::Bucket { ms, .. } => match ms {
            1_000 => i.per_second().into(),
            60_000 => i.per_minute().into(),
            3_600_000 => i.per_hour().into(),
            86_400_000 => i.per_day().into(),
            _ => i.per_span(&span(t, *ms)),
        },
        Window::Calendar { unit: CalendarUnit::Hour, .. } => i.calendar_hour().into(),
        Window::Calendar { unit: CalendarUnit::Day, .. } => i.calendar_day().into(),
        Window::Calendar { unit: CalendarUnit::Month, .. } => i.calendar_month().into(),
        Window::OneShot => i.once().into(),
        Window::AtOnce => String::new(),
    }
}

fn span(t: Messages, ms: u64) -> String {
    match ms {
        ..120_000 if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        ..120_000 => format!("{ms} ms"),
        _ => time_left(t, i64::try_from(ms).unwrap_or(i64::MAX)),
    }
}

/// A limit without its amount: `requests per minute`.
pub fn limit(t: Messages, of: Metric, within: &Window) -> String {
    let within = window(t, within);
    if within.is_empty() { metric(t, of).to_owned() } else { t.inspect.limit_name(&within, metric(t, of)) }
}

/// A limit with its amount: `40 requests per minute`.
pub fn amount(t: Messages, max: u64, of: Metric, within: &Window) -> String {
    let (i, max) = (t.inspect, count(max));
    let amount = match of {
        Metric::Requests => i.some_requests(&max),
        Metric::InputTokens => i.some_input_tokens(&max),
        Metric::Tokens => i.some_tokens(&max),
        Metric::Units => i.some_units(&max),
        Metric::Concurrency => i.some_calls_at_once(&max),
    };
    let within = window(t, within);
    if within.is_empty() { amount } else { i.limit_amount(&within, &amount) }
}

/// Where a limit is known from.
pub fn source(t: Messages, source: Source) -> &'static str {
    let t = t.inspect;
    match source {
        Source::Learned => t.source_learned(),
        Source::Declared => t.source_declared(),
        Source::Header => t.source_header(),
        Source::ErrorBody => t.source_error_body(),
        Source::Operator => t.source_operator(),
    }
}

/// Whom a limit or a rest holds for; `key` names a key.
pub fn holder(t: Messages, scope: &LimitScope, key: impl Fn(KeyId) -> String) -> String {
    let c = t.channels;
    match scope {
        LimitScope::Channel(_) => c.rest_channel().to_owned(),
        LimitScope::Key(id) => c.rest_key(&key(*id)),
        LimitScope::Group(_, group) => c.rest_group(group),
        LimitScope::KeyModel(id, model) => c.rest_key_model(&key(*id), model),
        LimitScope::GroupModel(_, group, model) => t.inspect.group_model(group, model),
        LimitScope::Model(_, model) => c.rest_channel_model(model),
        LimitScope::Models(whole, models) => c.rest_models(&holder(t, whole, key), &models.0.join(", ")),
    }
}

/// A length of time as one reads it at a glance: `5 min`, `2 h 5 min`, `3 d 4 h`.
pub fn time_left(t: Messages, ms: i64) -> String {
    let i = t.inspect;
    let minutes = ms / 60_000;
    match minutes {
        ..1 => i.under_a_minute().to_owned(),
        1..60 => i.minutes(minutes),
        60..1440 if minutes % 60 == 0 => i.hours(minutes / 60),
        60..1440 => i.hours_and_minutes(minutes / 60, minutes % 60),
        _ if minutes / 60 % 24 == 0 => i.days(minutes / 1440),
        _ => i.days_and_hours(minutes / 1440, minutes / 60 % 24),
    }
}

/// A point in time that is to come, as seen from `now`: relative, with the exact one for its title.
pub fn coming(t: Messages, at: UnixMs, now: UnixMs, zone: &TimeZone) -> Moment {
    let left = at.0.saturating_sub(now.0);
    let text = if left <= 0 { t.inspect.now().to_owned() } else { t.inspect.in_time(&time_left(t, left)) };
    Moment { text, ..Moment::new(t, at, now, zone) }
}

/// When something of a limit comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// What comes back then, or how; `{moment}` follows it if there is one.
    pub text: String,
    /// The time, if it is known.
    pub moment: Option<Moment>,
    /// The same on the server's clock; empty without one.
    pub local: String,
    /// The same on the provider's clock, if the limit keeps to its calendar and the clocks differ.
    pub provider: Option<String>,
}

impl Reset {
    /// When something of a limit comes back, as seen from `now`.
    pub fn of(t: Messages, reading: &Reading, now: UnixMs, zone: &TimeZone) -> Self {
        let i = t.inspect;
        let plain =
            |text: &str| Self { text: text.to_owned(), moment: None, local: String::new(), provider: None };
        let Some(at) = reading.resets_at else {
            return plain(match &reading.window {
                Window::OneShot => i.never_comes_back(),
                Window::AtOnce => i.with_answers(),
                _ if reading.used == 0 => i.not_used(),
                _ => i.flows_back(),
            });
        };
        let pattern = t.format.day_and_time();
        let provider = match &reading.window {
            Window::Calendar { zone: name, .. } => TimeZone::get(name).ok().and_then(|theirs| {
                let there = at.zoned(&theirs);
                let differs = there.offset() != at.zoned(zone).offset();
                differs.then(|| i.provider_time(&there.strftime(pattern).to_string(), name))
            }),
            _ => None,
        };
        let moment = coming(t, at, now, zone);
        let is_calendar = matches!(reading.window, Window::Calendar { .. });
        Self {
            text: if is_calendar { String::new() } else { i.next_back(&moment.text) },
            // A minute's next call is back before anybody has read when.
            local: if is_calendar || at.since(now).as_secs() >= 60 {
                at.zoned(zone).strftime(pattern).to_string()
            } else {
                String::new()
            },
            provider,
            moment: Some(moment),
        }
    }

    /// All of it in one line, for the terminal.
    pub fn line(&self) -> String {
        let relative = match &self.moment {
            Some(moment) if self.text.is_empty() => moment.text.clone(),
            _ => self.text.clone(),
        };
        let parts = [Some(relative), Some(self.local.clone()), self.provider.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join(" · ")
    }
}

/// Why something rests, in words.
pub fn rest_reason(t: Messages, rest: &Rest) -> String {
    let class = t.log.class_name(rest.class);
    match rest.status {
        Some(status) => format!("{class}, {}", t.channels.rest_status(status)),
        None => class.to_owned(),
    }
}

/// The same, and whether it would be tried if nothing else were left.
pub fn of_candidate(
    t: Messages,
    hurdle: &Hurdle,
    last_resort: bool,
    key: impl Fn(KeyId) -> String,
) -> String {
    let why = self::hurdle(t, hurdle, key);
    if last_resort { t.inspect.why_last_resort(&why) } else { why }
}

/// Why a candidate is not tried; `key` names a key.
pub fn hurdle(t: Messages, hurdle: &Hurdle, key: impl Fn(KeyId) -> String) -> String {
    let i = t.inspect;
    match hurdle {
        Hurdle::Pool(obstacle) => obstacle_text(t, obstacle, key),
        Hurdle::ChannelOff => i.why_channel_off().into(),
        Hurdle::NoKeys => i.why_no_keys().into(),
        Hurdle::KeyOff => i.why_key_off().into(),
        Hurdle::Bar(Bar::Group) => i.why_group().into(),
        Hurdle::Bar(Bar::NoPrice) => i.why_no_price().into(),
        Hurdle::NotOffered => i.why_not_offered().into(),
    }
}

fn obstacle_text(t: Messages, obstacle: &Obstacle, key: impl Fn(KeyId) -> String) -> String {
    let i = t.inspect;
    match obstacle {
        Obstacle::Rest { scope, rest } if rest.is_pause() => i.why_paused(&holder(t, scope, key)),
        Obstacle::Rest { scope, rest } => i.why_rest(&holder(t, scope, key), &rest_reason(t, rest)),
        Obstacle::Limit { scope, reading } => i.why_limit(
            &holder(t, scope, key),
            &i.left_of(&count(reading.used), &count(reading.max)),
            &limit(t, reading.metric, &reading.window),
        ),
        Obstacle::Answers { scope } => i.why_answers(&holder(t, scope, key)),
        Obstacle::TooLarge { scope, reading } => {
            i.why_too_large(&holder(t, scope, key), &amount(t, reading.max, reading.metric, &reading.window))
        }
    }
}

/// Why a call is refused before any candidate is looked at, as a sentence.
pub fn refusal(t: Messages, refused: Refused) -> &'static str {
    let i = t.inspect;
    match refused {
        Refused::UnknownModel => i.refused_unknown_model(),
        Refused::TokenOff => i.refused_token_off(),
        Refused::TokenEnded => i.refused_token_ended(),
        Refused::ModelNotAllowed => i.refused_model(),
        Refused::NoChannel => i.refused_channel(),
        Refused::NoPrice => i.refused_price(),
    }
}

/// A number of calls of which some keys' part may be unknown.
pub fn calls(t: Messages, outlook: &Outlook, calls: u64) -> String {
    match outlook.unknown {
        0 => count(calls),
        unknown if unknown >= outlook.keys => t.inspect.unknown().to_owned(),
        _ => t.inspect.at_least(&count(calls)),
    }
}

/// The keys of an outlook, and how many accounts they belong to.
pub fn keys(t: Messages, outlook: &Outlook) -> String {
    if outlook.owners < outlook.keys {
        t.inspect.shared_keys(outlook.keys, outlook.owners)
    } else {
        number(i64::try_from(outlook.keys).unwrap_or(i64::MAX))
    }
}

/// What holds a plan back.
pub fn binding(t: Messages, binding: &Binding) -> String {
    let i = t.inspect;
    let whole = match &binding.scope {
        LimitScope::Models(whole, _) => whole,
        scope => scope,
    };
    let kind = match whole {
        LimitScope::Key(_) => i.kind_key(),
        LimitScope::Group(..) => i.kind_group(),
        LimitScope::KeyModel(..) => i.kind_key_model(),
        LimitScope::GroupModel(..) => i.kind_group_model(),
        LimitScope::Model(..) => i.kind_model(),
        LimitScope::Channel(_) | LimitScope::Models(..) => i.kind_channel(),
    };
    let one = i.binding_of(&amount(t, binding.max, binding.metric, &binding.window), kind);
    if binding.limits > 1 { i.binding_times(&one, binding.limits) } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn day(zone: &str, resets_at: &str) -> Reading {
        Reading {
            metric: Metric::Requests,
            window: Window::Calendar { unit: CalendarUnit::Day, zone: zone.into(), offset_minutes: 0 },
            source: Source::Declared,
            max: 250,
            used: 12,
            resets_at: Some(at(resets_at)),
            confidence: 100,
        }
    }

    #[test]
    fn a_providers_day_ends_on_both_clocks() {
        let (en, zh) = (Messages::of(Lang::En), Messages::of(Lang::Zh));
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        let reading = day("America/Los_Angeles", "2026-11-21T08:00:00Z");
        let now = at("2026-11-20T12:30:00Z");
        let reset = Reset::of(en, &reading, now, &shanghai);
        assert_eq!(reset.line(), "in 19 h 30 min · Nov 21, 16:00 · Nov 21, 00:00 in America/Los_Angeles");
        assert_eq!(reset.moment.unwrap().exact, "2026-11-21 16:00:00 +08:00");
        assert_eq!(
            Reset::of(zh, &reading, now, &shanghai).line(),
            "19 小时 30 分后 · 11月21日 16:00 · America/Los_Angeles 时间 11月21日 00:00"
        );
        let same = Reset::of(en, &day("Asia/Shanghai", "2026-11-20T16:00:00Z"), now, &shanghai);
        assert_eq!(same.line(), "in 3 h 30 min · Nov 21, 00:00", "one clock is enough");
    }

    #[test]
    fn limits_read_as_one_says_them() {
        let (en, zh) = (Messages::of(Lang::En), Messages::of(Lang::Zh));
        for (window, english, chinese) in [
            (Window::MINUTE, "40 requests per minute", "每分钟 40 次请求"),
            (Window::Rolling { ms: 5 * 3_600_000 }, "40 requests per 5 h", "每 5 小时 40 次请求"),
        ] {
            assert_eq!(amount(en, 40, Metric::Requests, &window), english);
            assert_eq!(amount(zh, 40, Metric::Requests, &window), chinese);
        }
        assert_eq!(amount(en, 4, Metric::Concurrency, &Window::AtOnce), "4 calls at once");
    }
}
