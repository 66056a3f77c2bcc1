//! Tokens: what clients present to this server.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{id::TokenId, time::UnixMs};

/// A client's credential and what it may do. The `sk-` value itself is not here: it is sealed in the database, and
/// looked up by hash.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The operator's name for it; unique among tokens that are not deleted.
    pub name: String,
    /// The last four characters of the present value.
    pub last4: String,
    /// Models that it may ask for: names, or prefixes written `prefix*`. Empty means all.
    pub models: Vec<String>,
    /// Channel groups that it may use. Empty means all.
    pub groups: Vec<String>,
    /// Addresses that it may come from. Empty means all.
    pub cidrs: Vec<IpNet>,
    /// When it ends.
    pub expires_at: Option<UnixMs>,
    /// How much it may spend.
    pub quota: Option<Quota>,
    /// How many requests it may make in any 60 seconds.
    pub requests_per_minute: Option<u32>,
    /// Its share when calls of several tokens wait for the same keys: twice the weight, twice the calls. From 1 to 100.
    pub weight: u32,
    /// How its client reads errors.
    pub profile: ClientProfile,
    /// The operator's note.
    pub note: String,
    /// Off means: refused.
    pub enabled: bool,
    /// When it was made.
    pub created_at: UnixMs,
}

impl Token {
    /// Whether the token's scope covers a public model name; letter case does not matter.
    pub fn allows_model(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.models.is_empty()
            || self.models.iter().any(|pattern| {
                let pattern = pattern.to_lowercase();
                match pattern.strip_suffix('*') {
                    Some(prefix) => name.starts_with(prefix),
                    None => name == pattern,
                }
            })
    }

    /// Whether a client may come from an address. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.cidrs.is_empty() || self.cidrs.iter().any(|net| net.contains(&address))
    }

    /// Whether the token may use a channel of these groups.
    pub fn allows_groups(&self, channel_groups: &[String]) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|group| channel_groups.contains(group))
    }
}

/// How much a token, a key or a channel may spend: a budget. That of a token is called its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What is counted.
    pub unit: QuotaUnit,
    /// The most of it: micro-dollars, tokens or requests.
    pub limit: i64,
    /// When the count starts anew, in the server's time zone.
    pub reset: QuotaReset,
    /// At which parts of it operators are warned.
    #[serde(default)]
    pub warn_at: WarnLevels,
    /// What happens when it is used up.
    #[serde(default)]
    pub at_limit: AtLimit,
}

impl Quota {
    /// A budget that stops what is over it, and warns at the usual levels.
    pub fn new(unit: QuotaUnit, limit: i64, reset: QuotaReset) -> Self {
        Self { unit, limit, reset, warn_at: WarnLevels::default(), at_limit: AtLimit::Stop }
    }

    /// Whether calls are held back once it is used up.
    pub fn stops(&self) -> bool {
        self.at_limit == AtLimit::Stop
    }

    /// The highest warning level that so much spending has reached, in percent; 100 once all of it is spent.
    pub fn level(&self, spent: i64) -> Option<u8> {
        self.levels(spent).last()
    }

    /// Every warning level that so much spending has reached, in percent and rising; 100 at the end once all of it is spent.
    pub fn levels(&self, spent: i64) -> impl Iterator<Item = u8> {
        let limit = i128::from(self.limit);
        let below = self.warn_at.iter().filter(|level| *level < 100);
        below
            .chain([100])
            .filter(move |level| limit > 0 && i128::from(spent) * 100 >= limit * i128::from(*level))
    }
}

/// Parts of a budget in percent at which operators are warned: at most [`WarnLevels::MOST`] different ones from 1 to 100,
/// rising. The usual ones are 80 and 95.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct WarnLevels([u8; WarnLevels::MOST]);

impl WarnLevels {
    /// The most levels of a budget.
    pub const MOST: usize = 5;

    /// No warnings.
    pub const NONE: Self = Self([0; Self::MOST]);

    /// These levels in any order; `None` if one is no percentage from 1 to 100, or there are too many.
    pub fn new(levels: impl IntoIterator<Item = u8>) -> Option<Self> {
        let mut sorted: Vec<u8> = levels.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() > Self::MOST || sorted.iter().any(|level| !(1..=100).contains(level)) {
            return None;
        }
        let mut kept = [0; Self::MOST];
        kept[..sorted.len()].copy_from_slice(&sorted);
        Some(Self(kept))
    }

    /// Reads `80, 95`, also with percent signs; an empty text means none. `None` if it is no such list.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | '、' | ';' | '%'));
        let levels: Option<Vec<u8>> =
            parts.filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect();
        Self::new(levels?)
    }

    /// The levels, rising.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().filter(|level| *level > 0)
    }
}

impl Default for WarnLevels {
    fn default() -> Self {
        Self([80, 95, 0, 0, 0])
    }
}

impl From<WarnLevels> for Vec<u8> {
    fn from(levels: WarnLevels) -> Self {
        levels.iter().collect()
    }
}

impl TryFrom<Vec<u8>> for WarnLevels {
    type Error = String;

    fn try_from(levels: Vec<u8>) -> Result<Self, String> {
        Self::new(levels).ok_or_else(|| format!("warning levels are at most {} percentages", Self::MOST))
    }
}

/// `80, 95`: what [`WarnLevels::parse`] reads.
impl std::fmt::Display for WarnLevels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let levels: Vec<String> = self.iter().map(|level| level.to_string()).collect();
        f.write_str(&levels.join(", "))
    }
}

// `tt`, not `literal`: a literal is handed on in an invisible group, in which utoipa does not see the name.
macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:tt),* $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        $(#[$doc])*
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            /// Every value, in the order in which pages offer them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the database, in forms and in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The value of a name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use named_enum;

named_enum! {
    /// What a quota counts.
    QuotaUnit {
        /// Cost in micro-dollars.
        Dollars = "dollars",
        /// Prompt and completion tokens.
        Tokens = "tokens",
        /// Requests that got an answer.
        Requests = "requests",
    }
}

named_enum! {
    /// When a quota's count starts anew.
    QuotaReset {
        /// Never by itself.
        Never = "never",
        /// At every full hour.
        Hour = "hour",
        /// At midnight.
        Day = "day",
        /// At midnight before Monday.
        Week = "week",
        /// At midnight before the first of the month.
        Month = "month",
    }
}

named_enum! {
    /// What happens when a budget is used up.
    #[derive(Default)]
    AtLimit {
        /// No call goes beyond it until it starts anew: a token's are refused, a key or channel gets none.
        #[default]
        Stop = "stop",
        /// Operators are warned, and calls go on.
        Warn = "warn",
    }
}

impl QuotaReset {
    /// The start of the period that `now` lies in: `UnixMs(0)` for [`QuotaReset::Never`].
    pub fn period_start(self, now: UnixMs, zone: &jiff::tz::TimeZone) -> UnixMs {
        let today = now.zoned(zone).date();
        let first_day = match self {
            Self::Never => return UnixMs(0),
            // By the time that passes, not by the hour's name: the hour that clocks repeat is two.
            Self::Hour => {
                let time = now.zoned(zone).time();
                let past_ms = (i64::from(time.minute()) * 60 + i64::from(time.second())) * 1000
                    + i64::from(time.millisecond());
                return UnixMs(now.0 - past_ms);
            }
            Self::Day => today,
            Self::Week => today
                .saturating_sub(jiff::Span::new().days(i64::from(today.weekday().to_monday_zero_offset()))),
            Self::Month => today.first_of_month(),
        };
        start_of_day(first_day, zone)
    }

    /// The end of the period that `now` lies in: `None` for [`QuotaReset::Never`].
    pub fn period_end(self, now: UnixMs, zone: &jiff::tz::TimeZone) -> Option<UnixMs> {
        let start = self.period_start(now, zone).zoned(zone).date();
        let span = match self {
            Self::Never => return None,
            Self::Hour => return Some(UnixMs(self.period_start(now, zone).0 + HOUR_MS)),
            Self::Day => jiff::Span::new().days(1),
            Self::Week => jiff::Span::new().days(7),
            Self::Month => jiff::Span::new().months(1),
        };
        Some(start_of_day(start.saturating_add(span), zone))
    }
}

const HOUR_MS: i64 = 3_600_000;

fn start_of_day(date: jiff::civil::Date, zone: &jiff::tz::TimeZone) -> UnixMs {
    let timestamp = date.to_zoned(zone.clone()).map(|zoned| zoned.timestamp());
    UnixMs(timestamp.unwrap_or(jiff::Timestamp::MAX).as_millisecond())
}

named_enum! {
    /// How a client reads errors; decides status, text and `Retry-After` of a call that fails.
    ClientProfile {
        /// Any client that follows OpenAI's conventions.
        Generic = "generic",
        /// OpenClaw, whose provider-wide cooldowns and retries want other answers.
        OpenClaw = "openclaw",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_quota_period_begins_at_local_midnight_also_when_clocks_change() {
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-03-29T12:00:00Z");
        assert_eq!(QuotaReset::Day.period_start(now, &berlin), at("2026-03-28T23:00:00Z"));
        assert_eq!(QuotaReset::Day.period_end(now, &berlin), Some(at("2026-03-29T22:00:00Z")));
        assert_eq!(QuotaReset::Week.period_start(now, &berlin), at("2026-03-22T23:00:00Z"));
        assert_eq!(QuotaReset::Month.period_end(now, &berlin), Some(at("2026-03-31T22:00:00Z")));
        assert_eq!(QuotaReset::Never.period_end(now, &berlin), None);
    }

    #[test]
    fn an_hour_that_clocks_repeat_is_two_periods_and_a_day_of_25_hours_is_one() {
        let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        // 02:30 summer time, and 02:30 winter time an hour later.
        let (first, second) = (at("2026-10-25T00:30:00.250Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(QuotaReset::Hour.period_start(first, &berlin), at("2026-10-25T00:00:00Z"));
        assert_eq!(QuotaReset::Hour.period_end(first, &berlin), Some(at("2026-10-25T01:00:00Z")));
        assert_eq!(QuotaReset::Hour.period_start(second, &berlin), at("2026-10-25T01:00:00Z"));
        for now in [first, second] {
            assert_eq!(QuotaReset::Day.period_start(now, &berlin), at("2026-10-24T22:00:00Z"));
            assert_eq!(QuotaReset::Day.period_end(now, &berlin), Some(at("2026-10-25T23:00:00Z")));
        }
        let kathmandu = jiff::tz::TimeZone::get("Asia/Kathmandu").unwrap();
        assert_eq!(QuotaReset::Hour.period_start(first, &kathmandu), at("2026-10-25T00:15:00Z"));
    }

    #[test]
    fn warning_levels_are_read_as_they_are_written_and_nonsense_is_none() {
        for (text, levels) in [("95%, 80", vec![80, 95]), ("", vec![]), ("50 50、100", vec![50, 100])] {
            assert_eq!(Vec::from(WarnLevels::parse(text).unwrap()), levels, "{text}");
        }
        for wrong in ["0", "101", "a", "-1", "1,2,3,4,5,6", "80.5", "1e2", "٨٠"] {
            assert_eq!(WarnLevels::parse(wrong), None, "{wrong}");
        }
        let levels = WarnLevels::default();
        assert_eq!(WarnLevels::parse(&levels.to_string()), Some(levels));
        assert!(serde_json::from_str::<WarnLevels>("[0]").is_err());
    }

    #[test]
    fn the_level_that_was_reached_is_the_highest_and_100_once_all_is_spent() {
        let quota = Quota::new(QuotaUnit::Tokens, 1000, QuotaReset::Day);
        for (spent, level) in [
            (0, None),
            (799, None),
            (800, Some(80)),
            (950, Some(95)),
            (1000, Some(100)),
            (i64::MAX, Some(100)),
        ] {
            assert_eq!(quota.level(spent), level, "{spent}");
        }
        let silent = Quota { warn_at: WarnLevels::NONE, ..quota };
        assert_eq!((silent.level(999), silent.level(1000)), (None, Some(100)));
    }
}
