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

/// How much a token may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// What is counted.
    pub unit: QuotaUnit,
    /// The most of it: micro-dollars, tokens or requests.
    pub limit: i64,
    /// When the count starts anew, in the server's time zone.
    pub reset: QuotaReset,
}

// `tt`, not `literal`: a literal is handed on in an invisible group, in which utoipa does not see the name.
macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:tt),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
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
        /// At midnight.
        Day = "day",
        /// At midnight before Monday.
        Week = "week",
        /// At midnight before the first of the month.
        Month = "month",
    }
}

impl QuotaReset {
    /// The start of the period that `now` lies in: `UnixMs(0)` for [`QuotaReset::Never`].
    pub fn period_start(self, now: UnixMs, zone: &jiff::tz::TimeZone) -> UnixMs {
        let today = now.zoned(zone).date();
        let first_day = match self {
            Self::Never => return UnixMs(0),
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
            Self::Day => jiff::Span::new().days(1),
            Self::Week => jiff::Span::new().days(7),
            Self::Month => jiff::Span::new().months(1),
        };
        Some(start_of_day(start.saturating_add(span), zone))
    }
}

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
}
