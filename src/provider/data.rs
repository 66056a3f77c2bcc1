//! The format of a provider's file, field by field; the fields of a preset are in `preset/mod.rs`.
//!
//! A file is one JSON object. Of a file in the data folder only `id` is required if a provider of that id exists:
//! each other field that is there replaces the whole field of the embedded file. Unknown fields are faults.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    fixes::FixRule,
    preset::{FreeRule, KeyCheck, KnownModel, Links, ListSource, Terms},
};
use crate::model::{
    endpoint::Endpoints,
    limit::{CalendarUnit, Metric, Models, Period, Reservation},
    usage::OutcomeClass,
};

/// A text for people, in both languages of the pages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// English.
    pub en: String,
    /// 简体中文.
    pub zh: String,
}

/// What a provider gives to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Something is free, again and again.
    Free,
    /// The same, but only after a check of the person (real name, phone, a bound account).
    FreeGated,
    /// Reports differ on whether anything is still free.
    FreeUncertain,
    /// Free without an account or a key.
    Keyless,
    /// A credit or a grant once, then paid.
    CreditOnly,
    /// Paid.
    Paid,
    /// A server of one's own.
    Local,
    /// Only the vendor's own client is let in.
    Locked,
    /// Switched off.
    Retired,
    /// Any server: nothing is known about it.
    Unknown,
}

/// How a key is presented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// The same, but calls without a key are served too.
    BearerOrNone,
}

/// Who owns a quota: keys with the same owner share it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOwner {
    /// Each key for itself.
    #[default]
    Key,
    /// The account.
    Account,
    /// The organisation.
    Organisation,
    /// The project (Google Cloud).
    Project,
    /// The address that calls come from.
    Ip,
    /// The host that serves.
    Host,
}

/// Whether calls that are refused count against the limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectedCalls {
    /// Nobody says.
    #[default]
    Unknown,
    /// They do not.
    Free,
    /// They do.
    Count,
}

/// How sure a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// One report, or unverified: worth showing and a first guess for learning, not worth refusing calls for.
    Low,
    /// A third party's list or several reports.
    Medium,
    /// The provider's own documents, or a recorded answer.
    High,
}

/// For whom a limit holds, or what a refusal is about; from the narrowest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This request alone; only refusals have it.
    Request,
    /// One model on one key.
    KeyModel,
    /// One key, for every model.
    Key,
    /// One model on all keys of the quota's owner.
    GroupModel,
    /// All keys of the quota's owner, for every model.
    Group,
    /// One model on every key of the channel.
    Model,
    /// The whole channel.
    Channel,
}

/// A plan of the provider's that limits depend on. The first one of a file holds unless the operator names another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What limits and operators call it.
    pub id: String,
    /// What pages call it.
    pub name: Text,
}

/// A file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Lower-case letters, digits and hyphens; at most 40.
    pub id: String,
    /// When somebody last compared this file with its sources.
    pub checked: Option<Date>,
    /// Public sources.
    pub sources: Option<Vec<String>>,
    /// What pages call it.
    pub name: Option<Text>,
    /// What it gives to whom.
    pub status: Option<Status>,
    /// Base URLs, the usual one first; `{account_id}` stands for what the operator must fill in.
    pub base_urls: Option<Vec<String>>,
    /// How a key is presented.
    pub auth: Option<Auth>,
    /// How its keys begin.
    pub key_prefix: Option<String>,
    /// The endpoints that it serves, by the names that the usage log has, such as `images` and `speech`; it may serve others,
    /// which are tried last. Left out: nobody has looked.
    pub endpoints: Option<Endpoints>,
    /// Environment variables that hold its key by custom, the usual one first.
    pub key_env: Option<Vec<String>>,
    /// Who owns a quota.
    pub quota_owner: Option<QuotaOwner>,
    /// When its days and months begin; without it, no limit of the file may have a calendar window.
    pub reset: Option<ResetData>,
    /// What is counted against a limit on tokens when a call is let in.
    pub reservation: Option<Reservation>,
    /// Whether refused calls count.
    pub rejected_calls: Option<RejectedCalls>,
    /// What `units` are.
    pub unit_name: Option<Text>,
    /// The documents about limits.
    pub docs_url: Option<String>,
    /// What an operator should know: terms, traps.
    pub notes: Option<Vec<Text>>,
    /// Plans, the usual one first.
    pub plans: Option<Vec<Plan>>,
    /// What is allowed. Of limits on the same metric, window and scope the first one that fits the model holds.
    pub limits: Option<Vec<LimitData>>,
    /// Where, in a body, the headers of an inner answer are quoted (OpenRouter: `metadata.headers`).
    pub quoted_headers: Option<String>,
    /// What headers say is left.
    pub headers: Option<Vec<HeaderData>>,
    /// What refusals mean. The first one that fits decides.
    pub refusals: Option<Vec<RefusalData>>,
    /// Where a key is told what it has used.
    pub counter: Option<CounterData>,
    /// Whether it keeps answers for equal requests when headers ask for it, as OpenRouter does
    /// (<https://openrouter.ai/docs/guides/features/response-caching>).
    pub response_cache: Option<bool>,
    /// What its requests need otherwise than OpenAI has it, in the order in which it is made; see `fixes.rs`.
    pub fixes: Option<Vec<FixRule>>,
    /// Where models are listed, and how.
    pub list: Option<ListSource>,
    /// How a key is proved.
    pub key_check: Option<KeyCheck>,
    /// Which models cost nothing.
    pub free: Option<FreeRule>,
    /// Pages that people need.
    pub links: Option<Links>,
    /// What the terms say.
    pub terms: Option<Terms>,
    /// Models as public material describes them.
    pub models: Option<Vec<KnownModel>>,
}

/// A page of the provider's that tells a key what it has used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterData {
    /// Its path below the base URL, such as `key`; it is asked for with GET.
    pub path: String,
    /// How often it may be asked for.
    pub every: Span,
    /// Which plan the key has: the first one whose condition holds.
    #[serde(default)]
    pub plans: Vec<PlanHint>,
    /// What it says of limits.
    #[serde(default)]
    pub limits: Vec<CountedLimit>,
}

/// How a plan shows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanHint {
    /// The plan's id.
    pub plan: String,
    /// A field of the page; see [`Condition::field`].
    pub field: String,
    /// It is one of these.
    pub is: Vec<String>,
}

/// What a page says of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CountedLimit {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: WindowData,
    /// For whom the limit holds.
    pub scope: Scope,
    /// Of a scope with several models, only those of these names, in which `*` stands for anything.
    #[serde(default)]
    pub models: Models,
    /// The field with what is allowed.
    pub max: Option<String>,
    /// The field with what is left.
    pub remaining: Option<String>,
}

/// When days and months begin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetData {
    /// An IANA time zone.
    pub zone: String,
    /// Minutes after midnight.
    #[serde(default)]
    pub offset_minutes: u16,
}

/// What is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitData {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: WindowData,
    /// For whom each.
    pub scope: Scope,
    /// How much. Without it a limit is known to exist, but not how large it is.
    pub max: Option<u64>,
    /// For which upstream models: names in which `*` stands for anything. All, if absent.
    #[serde(default)]
    pub models: Models,
    /// Only on this plan.
    pub plan: Option<String>,
    /// How many units a call takes; only for `units`.
    pub per_call: Option<u64>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Who says so, if one of the sources alone does.
    pub source: Option<String>,
}

/// When an amount comes back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WindowData {
    /// `{"rolling": "1m"}`: so much within any such span. Also for windows whose alignment nobody knows.
    Rolling(Span),
    /// `{"calendar": "day"}`: so much per unit of the provider's calendar (see `reset`).
    Calendar(CalendarUnit),
    /// `{"bucket": {"per": "1s", "burst": 1}}`: it refills all the time.
    Bucket(BucketData),
    /// `"one_shot"`: so much once.
    OneShot,
    /// `"at_once"`: so much at the same time; for concurrency.
    AtOnce,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BucketData {
    /// In what time the whole amount flows in.
    pub per: Span,
    /// How much it holds; the whole amount, if absent.
    pub burst: Option<u64>,
}

/// A span of time as a file writes it: `250ms`, `1s`, `1m`, `5h`, `1d`; in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub u64);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let factor = match &text[digits..] {
            "ms" => Some(1),
            "s" => Some(1000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            "d" => Some(86_400_000),
            _ => None,
        };
        let number = text[..digits].parse::<u64>().ok();
        number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).map(Self).ok_or_else(
            || {
                format!(
                    "`{text}` is no span of time; write a whole number and ms, s, m, h or d, such as `1m`"
                )
            },
        )
    }
}

/// What a group of headers says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderData {
    /// What is counted.
    pub metric: Metric,
    /// The window that they speak of, if it is known.
    pub window: Option<WindowData>,
    /// For whom the limit holds.
    pub scope: Scope,
    /// The header with what is allowed, in lower case.
    pub max: Option<String>,
    /// The header with what is left.
    pub remaining: Option<String>,
    /// The header with the time when all of it is back.
    pub reset: Option<String>,
    /// How that time is written.
    #[serde(default)]
    pub format: Format,
}

impl HeaderData {
    /// Whether it is made of a header of this name, in lower case.
    pub(super) fn reads(&self, name: &str) -> bool {
        [&self.max, &self.remaining, &self.reset].into_iter().flatten().any(|own| own == name)
    }
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// By its looks: milliseconds or seconds since 1970 if it is that large a number, a smaller number is seconds from
    /// now, else a duration, an HTTP date or RFC 3339.
    #[default]
    Any,
    /// Seconds from now, with or without a fraction.
    Seconds,
    /// Milliseconds from now.
    Milliseconds,
    /// A duration such as Go's `1m2.5s`.
    Duration,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMs,
    /// RFC 3339, such as `2026-10-07T00:00:00Z`.
    Rfc3339,
    /// An HTTP date, such as `Wed, 07 Oct 2026 00:00:00 GMT`.
    HttpDate,
}

/// What a refusal means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusalData {
    /// The rule's name in the file, for logs.
    pub id: String,
    /// The statuses that it is about; 0 is an error inside a 200 that names no status.
    pub status: Vec<u16>,
    /// What must hold, all of it. Fields before phrases.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// What it is taken for.
    pub class: OutcomeClass,
    /// What it is about.
    pub scope: Scope,
    /// Of a scope with several models, only those of these names, in which `*` stands for anything.
    #[serde(default)]
    pub models: Models,
    /// The kind of limit.
    pub period: Option<Period>,
    /// Waiting does not mend it.
    #[serde(default)]
    pub permanent: bool,
    /// Calls came too quickly one after another: pace them.
    #[serde(default)]
    pub pace: bool,
    /// Where the end of it is found; the first that is there counts.
    #[serde(default)]
    pub until: Vec<Hint>,
    /// What the refusal says about the limit itself.
    pub limit: Option<LimitHint>,
}

/// What must hold: a place, and what stands there. Letter case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    /// A field of the body: its path without `error` and places in lists, such as `details.violations.quotaId`; or
    /// `text`, which is all that is meant for people in the body.
    pub field: Option<String>,
    /// A header, in lower case.
    pub header: Option<String>,
    /// It is one of these.
    #[serde(default)]
    pub is: Vec<String>,
    /// It contains one of these phrases.
    #[serde(default)]
    pub contains: Vec<String>,
    /// It begins with one of these phrases.
    #[serde(default)]
    pub starts: Vec<String>,
    /// It ends with one of these phrases.
    #[serde(default)]
    pub ends: Vec<String>,
    /// It is there.
    #[serde(default)]
    pub present: bool,
}

/// Where a time is found: exactly one of the places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hint {
    /// In a header, also a quoted one.
    pub header: Option<String>,
    /// In a field of the body.
    pub field: Option<String>,
    /// In the text, after this phrase: a span such as `7m30.5s` or `5631 seconds`.
    pub after: Option<String>,
    /// In the text, after this phrase: a date and a time of day, on the provider's wall clock unless it names a zone.
    pub date_after: Option<String>,
    /// So long.
    pub fixed: Option<Span>,
    /// At the end of the rule's period in the provider's calendar.
    #[serde(default)]
    pub end_of_period: bool,
    /// How a header or field writes it.
    #[serde(default)]
    pub format: Format,
}

/// What a refusal says about the limit itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitHint {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: WindowData,
    /// For whom.
    pub scope: Scope,
    /// Where the amount is found; the first that is there counts.
    pub max: Vec<AmountHint>,
}

/// Where an amount is found: exactly one of the places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountHint {
    /// In a header, also a quoted one.
    pub header: Option<String>,
    /// In a field of the body.
    pub field: Option<String>,
    /// In the text, after this phrase.
    pub after: Option<String>,
}
