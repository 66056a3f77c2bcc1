//! What a message says: a text for people, and the same as fields for programs.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Message;
use crate::{
    i18n::Messages,
    model::{
        budget::Owner,
        limit::{CalendarUnit, Metric, Window},
        notice::{Digest, Event, EventKind, Occurrence, Severity},
        time::UnixMs,
        token::QuotaUnit,
        usage::OutcomeClass,
    },
};

/// The most lines of a text; of a kind with more events only some are written out.
const MOST_LINES: usize = 30;
/// The most events of a kind that are written out if there are several kinds.
const MOST_OF_KIND: usize = 8;
/// The longest part of a name that is told, in characters.
const MOST_NAME: usize = 120;

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// A line: what it is about.
    pub title: String,
    /// A line per event, as far as there is room; else how many there are.
    pub text: String,
    /// How much the weightiest event matters.
    pub severity: Severity,
}

impl Told {
    /// A message in a language, with times of `zone`.
    pub fn of(t: Messages, zone: &TimeZone, message: &Message) -> Self {
        let n = t.notices;
        let severity = message.events.iter().map(|event| event.kind().severity()).max();
        let severity = severity.unwrap_or(Severity::Info);
        if message.events.is_empty() && message.left_out == 0 {
            return Self { title: n.test_title().to_owned(), text: n.test_text().to_owned(), severity };
        }
        // The weightiest first; `EventKind` is in the order in which kinds matter.
        let mut kinds: Vec<(EventKind, Vec<&Event>)> = Vec::new();
        for event in &message.events {
            let kind = event.kind();
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, events)) => events.push(event),
                None => kinds.push((kind, vec![event])),
            }
        }
        kinds.sort_by_key(|(kind, _)| (std::cmp::Reverse(kind.severity()), *kind));
        let first = kinds.first().map(|(kind, events)| (kind_label(t, *kind), events.len()));
        let total = message.events.len();
        let title = match first {
            Some((label, count)) if count == total && count == 1 => n.title_one(label),
            Some((label, count)) if count == total => n.title_kind(label, count),
            Some((label, _)) => n.title_kinds(label, total - 1),
            None => n.title_kinds("", message.left_out),
        };
        let most = if kinds.len() == 1 { MOST_LINES } else { MOST_OF_KIND };
        let mut lines = Vec::new();
        for (kind, events) in &kinds {
            let shown = events.len().min(most).min(MOST_LINES.saturating_sub(lines.len()));
            lines.extend(events[..shown].iter().map(|event| sentence(t, zone, event)));
            if shown < events.len() {
                lines.push(n.more_of_kind(kind_label(t, *kind), events.len() - shown));
            }
        }
        if message.left_out > 0 {
            lines.push(n.left_out(message.left_out));
        }
        Self { title, text: lines.join("\n"), severity }
    }
}

/// A name as it is told: one line, bounded, without what a terminal or a phone would take for a command or would turn around.
fn plain(name: &str) -> String {
    let is_odd = |char: char| {
        char.is_control()
            || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    };
    let mut text: String =
        name.chars().take(MOST_NAME).map(|char| if is_odd(char) { ' ' } else { char }).collect();
    if name.chars().nth(MOST_NAME).is_some() {
        text.push('…');
    }
    text
}

fn list(names: &[String], more: bool) -> String {
    let mut text = names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    if more {
        text.push('…');
    }
    text
}

/// An event in a sentence.
pub fn sentence(t: Messages, zone: &TimeZone, event: &Event) -> String {
    let n = t.notices;
    let channel = event.channel.as_ref().map(|place| plain(&place.name)).unwrap_or_default();
    let channel = channel.as_str();
    let until = |at: &Option<UnixMs>| at.map(|at| n.resets_at(&moment(at, zone))).unwrap_or_default();
    match &event.what {
        Occurrence::Models { kind, names, count, more } => {
            let list = list(names, *count > names.len() || *more);
            let count = if *more { format!("{count}+") } else { count.to_string() };
            match kind {
                EventKind::ModelsAppeared => n.models_appeared(channel, &count, &list),
                EventKind::ModelsVanished => n.models_vanished(channel, &count, &list),
                _ => n.models_changed(channel, &count, &list),
            }
        }
        Occurrence::KeyInvalid { shown, .. } => n.key_invalid(channel, &plain(shown)),
        Occurrence::QuotaLow { holder, model, metric, window, used, max, resets_at } => {
            let mut of: Vec<String> = Vec::new();
            if !holder.is_empty() {
                of.push(plain(holder));
            }
            of.extend(model.as_deref().map(plain));
            let of = if of.is_empty() { n.whole_channel().to_owned() } else { of.join(" · ") };
            let amounts = n.amounts(*used, *max, metric_label(t, *metric), &window_label(t, window));
            n.quota_low(channel, &of, percent(*used, *max), &amounts, &until(resets_at))
        }
        Occurrence::PoolLow { left, of } => n.pool_low(percent(of.saturating_sub(*left), *of), *left, *of),
        Occurrence::ChannelDown { class, keys, since, until: retry } => {
            let why = class.map_or("", |class| class_label(t, class));
            let retry = retry.map(|at| n.tried_again_at(&moment(at, zone))).unwrap_or_default();
            n.channel_down(channel, &moment(*since, zone), *keys, why, &retry)
        }
        Occurrence::ChannelUp { lasted_ms } => n.channel_up(channel, &length(t, *lasted_ms)),
        Occurrence::ChainEmpty { chain } => n.chain_empty(&plain(chain)),
        Occurrence::Budget { whose, owner, level, unit, used, limit, resets_at } => {
            let (used_text, limit_text) = (amount(t, *unit, *used), amount(t, *unit, *limit));
            let (owner, until) = (plain(owner), until(resets_at));
            let owner = match whose {
                Owner::Token(_) => n.budget_of_token(&owner),
                Owner::Key(_) => n.budget_of_key(channel, &owner),
                Owner::Channel(_) => n.budget_of_channel(&owner),
            };
            if *level >= 100 {
                n.budget_reached(&owner, &used_text, &limit_text, &until)
            } else {
                let percent = percent(used.unsigned_abs(), limit.unsigned_abs());
                n.budget_warned(&owner, percent, &used_text, &limit_text, &until)
            }
        }
        Occurrence::BackupFailed { reason } => n.backup_failed(&plain(reason)),
        Occurrence::Digest(digest) => of_digest(t, digest),
    }
}

fn of_digest(t: Messages, digest: &Digest) -> String {
    let n = t.notices;
    let (first, last) = (digest.days.0.as_str(), digest.days.1.as_str());
    let days = if first == last { first.to_owned() } else { format!("{first} – {last}") };
    if digest.requests == 0 {
        return join(n.digest_nothing(&days), &digest_keys(t, digest));
    }
    let rate = permille(digest.ok, digest.requests);
    let rate = format!("{}.{} %", rate / 10, rate % 10);
    let about = if digest.estimated { "≈" } else { "" };
    let cost = dollars(digest.cost_micros);
    let mut text = n.digest(&days, digest.requests, &rate, about, digest.total_tokens, &cost);
    if !digest.models.is_empty() {
        let models = digest.models.iter().map(|(name, count)| format!("{} {count}", plain(name)));
        text = join(text, &n.digest_models(&models.collect::<Vec<_>>().join(", ")));
    }
    join(text, &digest_keys(t, digest))
}

fn digest_keys(t: Messages, digest: &Digest) -> String {
    if digest.keys.is_empty() {
        return t.notices.digest_no_keys().to_owned();
    }
    t.notices.digest_keys(digest.keys.len() + digest.more_keys, &list(&digest.keys, digest.more_keys > 0))
}

fn join(text: String, more: &str) -> String {
    if more.is_empty() { text } else { format!("{text}\n{more}") }
}

/// A share in percent, rounded down: 100 is all of it.
fn percent(used: u64, max: u64) -> u64 {
    if max == 0 { 100 } else { (u128::from(used) * 100 / u128::from(max)).try_into().unwrap_or(u64::MAX) }
}

fn permille(part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        0
    } else {
        i64::try_from(i128::from(part.max(0)) * 1000 / i128::from(whole)).unwrap_or(0)
    }
}

fn moment(at: UnixMs, zone: &TimeZone) -> String {
    at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A length of time in its two largest units.
fn length(t: Messages, ms: u64) -> String {
    let n = t.notices;
    let minutes = ms / 60_000;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => n.length_minutes(minutes.max(1)),
        (0, hours, minutes) => n.length_hours(hours, minutes),
        (days, hours, _) => n.length_days(days, hours),
    }
}

fn dollars(micros: i64) -> String {
    let cents = micros.saturating_add(5_000) / 10_000;
    if micros != 0 && cents == 0 {
        return "< $0.01".to_owned();
    }
    format!("${}.{:02}", cents / 100, (cents % 100).abs())
}

fn amount(t: Messages, unit: QuotaUnit, value: i64) -> String {
    match unit {
        QuotaUnit::Dollars => dollars(value),
        QuotaUnit::Tokens => format!("{value} {}", metric_label(t, Metric::Tokens)),
        QuotaUnit::Requests => format!("{value} {}", metric_label(t, Metric::Requests)),
    }
}

fn metric_label(t: Messages, metric: Metric) -> &'static str {
    let n = t.notices;
    match metric {
        Metric::Requests => n.unit_requests(),
        Metric::InputTokens => n.unit_input_tokens(),
        Metric::Tokens => n.unit_tokens(),
        Metric::Units => n.unit_units(),
        Metric::Concurrency => n.unit_concurrency(),
    }
}

fn window_label(t: Messages, window: &Window) -> String {
    let n = t.notices;
    match window {
        Window::Calendar { unit: CalendarUnit::Hour, .. } => n.per_hours(1),
        Window::Calendar { unit: CalendarUnit::Day, .. } => n.per_day().to_owned(),
        Window::Calendar { unit: CalendarUnit::Month, .. } => n.per_month().to_owned(),
        Window::Rolling { ms } | Window::Bucket { ms, .. } => match ms / 3_600_000 {
            24 => n.per_day().to_owned(),
            hours => n.per_hours(hours.max(1)),
        },
        Window::OneShot | Window::AtOnce => n.per_all().to_owned(),
    }
}

fn class_label(t: Messages, class: OutcomeClass) -> &'static str {
    let n = t.notices;
    match class {
        OutcomeClass::RateLimited => n.class_rate_limited(),
        OutcomeClass::ModelUnavailable => n.class_model_unavailable(),
        OutcomeClass::KeyInvalid => n.class_key_invalid(),
        OutcomeClass::OutOfCredit => n.class_out_of_credit(),
        OutcomeClass::HostError => n.class_host_error(),
        _ => n.class_other(),
    }
}

/// A kind of event in a few words.
pub fn kind_label(t: Messages, kind: EventKind) -> &'static str {
    let n = t.notices;
    match kind {
        EventKind::ModelsAppeared => n.kind_models_appeared(),
        EventKind::ModelsChanged => n.kind_models_changed(),
        EventKind::ModelsVanished => n.kind_models_vanished(),
        EventKind::KeyInvalid => n.kind_key_invalid(),
        EventKind::QuotaLow => n.kind_quota_low(),
        EventKind::PoolLow => n.kind_pool_low(),
        EventKind::ChannelDown => n.kind_channel_down(),
        EventKind::ChannelUp => n.kind_channel_up(),
        EventKind::ChainEmpty => n.kind_chain_empty(),
        EventKind::BudgetWarned => n.kind_budget_warned(),
        EventKind::BudgetReached => n.kind_budget_reached(),
        EventKind::BackupFailed => n.kind_backup_failed(),
        EventKind::Digest => n.kind_digest(),
    }
}

/// The body of a webhook's POST: `source`, `id`, `title`, `text`, `severity`, `test`, `sent_at`, `left_out` and `events`.
pub fn webhook_body(t: Messages, zone: &TimeZone, message: &Message, now: UnixMs) -> Value {
    let told = Told::of(t, zone, message);
    let time = |at: UnixMs| at.timestamp().to_string();
    let as_fields = |event: &Event| -> Value {
        let mut fields = json!({
            "kind": event.kind().as_str(), "severity": event.kind().severity().as_str(), "at": time(event.at),
            "text": sentence(t, zone, event),
        });
        if let Some(place) = &event.channel {
            fields["channel_id"] = json!(place.id.0);
            fields["channel"] = json!(place.name);
        }
        let more = match &event.what {
            Occurrence::Models { names, count, more, .. } => {
                json!({"models": names, "count": count, "more": more})
            }
            Occurrence::KeyInvalid { key, shown } => json!({"key_id": key.0, "key": shown}),
            Occurrence::QuotaLow { holder, model, metric, window, used, max, resets_at } => json!({
                "holder": holder, "model": model, "metric": metric, "window": window, "used": used, "max": max,
                "resets_at": resets_at.map(time),
            }),
            Occurrence::PoolLow { left, of } => json!({"left": left, "of": of}),
            Occurrence::ChannelDown { class, keys, since, until } => json!({
                "class": class, "keys": keys, "since": time(*since), "until": until.map(time),
            }),
            Occurrence::ChannelUp { lasted_ms } => json!({"lasted_ms": lasted_ms}),
            Occurrence::ChainEmpty { chain } => json!({"chain": chain}),
            Occurrence::Budget { whose, owner, level, unit, used, limit, resets_at } => json!({
                "owner_kind": whose.kind(), "owner_id": whose.number(), "owner": owner, "level": level,
                "unit": unit, "used": used, "limit": limit, "resets_at": resets_at.map(time),
            }),
            Occurrence::BackupFailed { reason } => json!({"reason": reason}),
            Occurrence::Digest(digest) => json!({
                "from": time(digest.from), "to": time(digest.to), "requests": digest.requests, "ok": digest.ok,
                "total_tokens": digest.total_tokens, "cost_micros": digest.cost_micros,
                "estimated": digest.estimated,
                "models": digest.models.iter().map(|(name, requests)| json!({"model": name, "requests": requests}))
                    .collect::<Vec<_>>(),
                "keys": digest.keys, "more_keys": digest.more_keys,
            }),
        };
        if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
            fields.extend(more);
        }
        fields
    };
    json!({
        "source": "onepool", "id": message.id, "title": told.title, "text": told.text,
        "severity": told.severity.as_str(), "test": message.events.is_empty() && message.left_out == 0,
        "sent_at": time(now), "left_out": message.left_out,
        "events": message.events.iter().map(as_fields).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        model::{
            id::{ChannelId, KeyId, TokenId},
            notice::Place,
        },
    };

    fn event(what: Occurrence) -> Event {
        Event { at: UnixMs(0), channel: Some(Place { id: ChannelId(3), name: "Groq".into() }), what }
    }

    fn message(events: Vec<Event>, left_out: usize) -> Message {
        Message { id: "m1".into(), events, left_out }
    }

    fn told(lang: Lang, events: Vec<Event>, left_out: usize) -> Told {
        Told::of(Messages::of(lang), &TimeZone::UTC, &message(events, left_out))
    }

    fn invalid(shown: &str) -> Event {
        event(Occurrence::KeyInvalid { key: KeyId(5), shown: shown.into() })
    }

    fn one_of_each() -> Vec<Event> {
        let models = |kind, count, more| {
            event(Occurrence::Models { kind, names: vec!["a".into(), "b".into()], count, more })
        };
        let budget = |whose, level, used| Occurrence::Budget {
            whose,
            owner: "team".into(),
            level,
            unit: QuotaUnit::Dollars,
            used,
            limit: 5_000_000,
            resets_at: Some(UnixMs(86_400_000)),
        };
        vec![
            models(EventKind::ModelsAppeared, 2, false),
            models(EventKind::ModelsChanged, 7, false),
            models(EventKind::ModelsVanished, 1000, true),
            invalid("main …cdef"),
            event(Occurrence::QuotaLow {
                holder: "main …cdef".into(),
                model: Some("m".into()),
                metric: Metric::Requests,
                window: Window::Rolling { ms: 86_400_000 },
                used: 91,
                max: 100,
                resets_at: Some(UnixMs(3_600_000)),
            }),
            event(Occurrence::PoolLow { left: 50, of: 1000 }),
            event(Occurrence::ChannelDown {
                class: Some(OutcomeClass::HostError),
                keys: 2,
                since: UnixMs(0),
                until: Some(UnixMs(60_000)),
            }),
            event(Occurrence::ChannelUp { lasted_ms: 3 * 3_600_000 + 60_000 }),
            event(Occurrence::ChainEmpty { chain: "smart".into() }),
            event(budget(Owner::Token(TokenId(3)), 80, 4_500_000)),
            event(budget(Owner::Key(KeyId(4)), 100, 5_100_000)),
            event(Occurrence::BackupFailed { reason: "no space".into() }),
            event(Occurrence::Digest(Box::new(Digest {
                days: ("2026-11-20".into(), "2026-11-20".into()),
                requests: 1000,
                ok: 995,
                total_tokens: 12_345,
                cost_micros: 1_234_567,
                estimated: true,
                models: vec![("m".into(), 900)],
                keys: vec!["Groq: …cdef".into()],
                ..Digest::default()
            }))),
        ]
    }

    #[test]
    fn every_kind_has_a_sentence_in_both_languages() {
        let english: Vec<String> = one_of_each()
            .iter()
            .map(|event| sentence(Messages::of(Lang::En), &TimeZone::UTC, event))
            .collect();
        assert_eq!(english[0], "Groq: 2 new models: a, b");
        assert_eq!(english[1], "Groq: 7 models changed: a, b…");
        assert_eq!(english[2], "Groq: 1000+ models are gone: a, b…");
        assert_eq!(english[3], "Groq: the provider refuses the key main …cdef");
        assert_eq!(
            english[4],
            "Groq: 91 % used of main …cdef · m: 91 of 100 requests per day; resets 1970-01-01 01:00"
        );
        assert_eq!(english[5], "The pool has used 95 % of what it can do today: 50 of 1000 calls are left");
        assert_eq!(
            english[6],
            "Groq takes no calls since 1970-01-01 00:00: all 2 keys rest (the host does not answer); next try 1970-01-01 00:01"
        );
        assert_eq!(english[7], "Groq takes calls again, after 3 h 1 min");
        assert_eq!(english[8], "The chain smart has no step left that anybody serves");
        assert_eq!(
            english[9],
            "The token team has used 90 % of its budget: $4.50 of $5.00; resets 1970-01-02 00:00"
        );
        assert_eq!(
            english[10],
            "Groq: the key team has reached its budget: $5.10 of $5.00; resets 1970-01-02 00:00"
        );
        assert_eq!(english[11], "The scheduled backup failed: no space");
        assert!(
            english[12].contains("1000 calls, 99.5 % answered, ≈12345 tokens, $1.23")
                && english[12].contains("m 900"),
            "{}",
            english[12]
        );
        for event in one_of_each() {
            let chinese = sentence(Messages::of(Lang::Zh), &TimeZone::UTC, &event);
            assert!(chinese.chars().any(|char| ('\u{4e00}'..'\u{9fff}').contains(&char)), "{chinese}");
        }
        assert_eq!(one_of_each().len(), EventKind::ALL.len());
        for (place, event) in one_of_each().iter().enumerate() {
            let kept = serde_json::to_string(event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&kept).unwrap(), *event, "{place}");
        }
    }

    #[test]
    fn a_title_says_what_matters_most_and_how_many_there_are() {
        let title = |events: Vec<Event>| told(Lang::En, events, 0).title;
        assert_eq!(title(vec![invalid("a")]), "OnePool: A key became invalid");
        assert_eq!(title(vec![invalid("a"), invalid("b")]), "OnePool: A key became invalid × 2");
        assert_eq!(title(one_of_each()[6..8].to_vec()), "OnePool: A channel takes no calls, and 1 more");
        assert_eq!(told(Lang::En, one_of_each(), 0).severity, Severity::Critical);
        assert_eq!(told(Lang::En, vec![], 0).text, "This is a test message of OnePool.");
    }

    #[test]
    fn many_events_are_counted_and_names_cannot_grow_or_begin_a_line() {
        let many: Vec<Event> = (0..100).map(|number| invalid(&number.to_string())).collect();
        let text = told(Lang::En, many, 4).text;
        assert_eq!(text.lines().count(), MOST_LINES + 2);
        assert!(
            text.ends_with("70 more: A key became invalid\n4 more events are not listed here."),
            "{text}"
        );
        let hostile = format!("<b>x</b>\r\nBcc: a@b.example\u{202e}{}", "y".repeat(10_000));
        let text = told(Lang::En, vec![invalid(&hostile)], 0).text;
        assert!(text.lines().count() == 1 && text.chars().count() < 250, "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn a_webhook_gets_the_same_as_fields() {
        let t = Messages::of(Lang::En);
        let body = webhook_body(t, &TimeZone::UTC, &message(vec![invalid("…cdef")], 0), UnixMs(1000));
        assert_eq!((&body["source"], &body["id"]), (&json!("onepool"), &json!("m1")));
        assert_eq!(body["sent_at"], "1970-01-01T00:00:01Z");
        assert_eq!(
            body["events"][0],
            json!({
                "kind": "key_invalid", "severity": "warning", "at": "1970-01-01T00:00:00Z",
                "text": "Groq: the provider refuses the key …cdef", "channel_id": 3, "channel": "Groq", "key_id": 5,
                "key": "…cdef",
            })
        );
        let test = webhook_body(t, &TimeZone::UTC, &message(vec![], 0), UnixMs(0));
        assert_eq!((test["test"].as_bool(), test["events"].as_array().map(Vec::len)), (Some(true), Some(0)));
    }
}
