//! How pages write numbers, money, durations and times.
//!
//! What is shortened has its exact value beside it, for the `title` of the element. Money is never a float.

use jiff::tz::TimeZone;

use crate::{i18n::Messages, model::time::UnixMs};

/// What stands where there is no value.
pub const NOTHING: &str = "—";

/// A whole number with thousands separated: `1,234,567`.
pub fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(if value < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same for a count.
pub fn count(value: u64) -> String {
    number(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A large count in three to four digits: `9,999`, `12.3 K`, `41.2 M`, `3.1 B`. Cut off, not rounded up.
pub fn short_count(value: u64) -> String {
    let (unit, name) = match value {
        0..10_000 => return count(value),
        10_000..1_000_000 => (1_000, "K"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        1_000_000_000.. => (1_000_000_000, "B"),
    };
    format!("{}.{} {name}", count(value / unit), value % unit / (unit / 10))
}

/// Marks an estimate.
pub fn approximate(text: String, estimated: bool) -> String {
    if estimated { format!("≈ {text}") } else { text }
}

/// Micro-dollars for a table: two decimals from one dollar on, up to four from a hundredth of a cent on, else all six.
pub fn money(micros: i64) -> String {
    let size = micros.unsigned_abs();
    let unit = match size {
        0 => return "$0".into(),
        1..100 => 1,
        100..1_000_000 => 100,
        _ => 10_000,
    };
    let rounded = (size.saturating_add(unit / 2) / unit).saturating_mul(unit);
    dollars(micros < 0, rounded, if unit == 10_000 { 2 } else { 0 })
}

/// Micro-dollars with every digit, at least two decimals.
pub fn exact_money(micros: i64) -> String {
    dollars(micros < 0, micros.unsigned_abs(), 2)
}

fn dollars(negative: bool, micros: u64, least_decimals: usize) -> String {
    let sign = if negative { "-" } else { "" };
    let whole = count(micros / 1_000_000);
    let decimals = format!("{:06}", micros % 1_000_000);
    let shown = decimals.trim_end_matches('0').len().max(least_decimals);
    if shown == 0 { format!("{sign}${whole}") } else { format!("{sign}${whole}.{}", &decimals[..shown]) }
}

/// Micro-dollars as a plain decimal for programs: `0.000120`.
pub fn plain_money(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}.{:06}", micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000)
}

/// A duration: `182 ms`, `1.48 s`, `2 min 5 s`, `1 h 2 min`. Cut off, not rounded up.
pub fn duration(t: Messages, ms: u32) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
        10_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => t.format.minutes_and_seconds(ms / 60_000, ms % 60_000 / 1_000),
        _ => t.format.hours_and_minutes(ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// The same, or a dash.
pub fn optional_duration(t: Messages, ms: Option<u32>) -> String {
    ms.map_or_else(|| NOTHING.into(), |ms| duration(t, ms))
}

/// A size: `512 B`, `1.5 KiB`, `20.0 MiB`. Cut off, not rounded up.
pub fn bytes(size: u64) -> String {
    let (unit, name) = match size {
        0..1024 => return format!("{size} B"),
        1024..1_048_576 => (1024, "KiB"),
        1_048_576..1_073_741_824 => (1_048_576, "MiB"),
        1_073_741_824.. => (1_073_741_824, "GiB"),
    };
    format!("{}.{} {name}", count(size / unit), size % unit * 10 / unit)
}

/// A share in per cent with one decimal, cut off: only all of them are `100%`. A dash of nothing.
pub fn share(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return NOTHING.into();
    }
    let per_mille = i128::from(part.max(0)) * 1000 / i128::from(whole);
    if per_mille >= 1000 { "100%".into() } else { format!("{}.{}%", per_mille / 10, per_mille % 10) }
}

/// A point in time, for `<time datetime="{iso}" title="{exact}">{text}</time>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// For programs, with the offset of the server's zone.
    pub iso: String,
    /// To the second, with the offset.
    pub exact: String,
    /// As a visitor reads it: relative while it is less than a day ago.
    pub text: String,
}

impl Moment {
    /// A point in time as seen from `now`, in the server's zone.
    pub fn new(t: Messages, at: UnixMs, now: UnixMs, zone: &TimeZone) -> Self {
        let zoned = at.zoned(zone);
        let minutes = now.0.saturating_sub(at.0) / 60_000;
        let text = match minutes {
            _ if at > now => None,
            0 => Some(t.format.just_now().to_owned()),
            1..60 => Some(t.format.minutes_ago(minutes)),
            60..1440 => Some(t.format.hours_ago(minutes / 60)),
            _ => None,
        };
        Self {
            iso: zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            exact: zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
            text: text.unwrap_or_else(|| {
                let same_year = zoned.year() == now.zoned(zone).year();
                let pattern = if same_year { t.format.day_and_time() } else { t.format.full_day_and_time() };
                zoned.strftime(pattern).to_string()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn counts_are_grouped_and_shortened_without_claiming_more_than_there_is() {
        assert_eq!([0, 999, 1000, -1_234_567].map(number), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!(
            [9_999, 12_399, 999_999, 41_200_000, u64::MAX].map(short_count),
            ["9,999", "12.3 K", "999.9 K", "41.2 M", "18,446,744,073.7 B"]
        );
    }

    #[test]
    fn money_keeps_small_amounts_visible() {
        assert_eq!(
            [0, 7, 120, 12_345, 999_999, 1_005_000, 12_340_000_000].map(money),
            ["$0", "$0.000007", "$0.0001", "$0.0123", "$1", "$1.01", "$12,340.00"]
        );
        assert_eq!([0, 7, 1_500_000, -20_000].map(exact_money), ["$0.00", "$0.000007", "$1.50", "-$0.02"]);
        assert_eq!([0, -7, 1_500_000].map(plain_money), ["0.000000", "-0.000007", "1.500000"]);
        assert_eq!(exact_money(i64::MIN), "-$9,223,372,036,854.775808");
    }

    #[test]
    fn durations_read_in_the_visitors_language() {
        let (en, zh) = (Messages::of(Lang::En), Messages::of(Lang::Zh));
        assert_eq!(
            [0, 182, 1_489, 12_340].map(|ms| duration(en, ms)),
            ["0 ms", "182 ms", "1.48 s", "12.3 s"]
        );
        assert_eq!([125_000, 3_725_000].map(|ms| duration(en, ms)), ["2 min 5 s", "1 h 2 min"]);
        assert_eq!([125_000, 3_725_000].map(|ms| duration(zh, ms)), ["2 分 5 秒", "1 小时 2 分"]);
        assert_eq!(optional_duration(en, None), "—");
    }

    #[test]
    fn only_all_of_them_are_a_hundred_per_cent() {
        assert_eq!(share(9_999, 10_000), "99.9%");
        assert_eq!(share(3, 3), "100%");
        assert_eq!((share(0, 7), share(0, 0)), ("0.0%".into(), "—".into()));
        assert_eq!(share(i64::MAX, i64::MAX), "100%");
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!([512, 1536, 20 << 20].map(bytes), ["512 B", "1.5 KiB", "20.0 MiB"]);
    }

    #[test]
    fn a_moment_is_relative_for_a_day_and_exact_in_the_servers_zone() {
        let at = |text: &str| UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let now = at("2026-05-02T10:00:00Z");
        let text = |then: &str, lang| Moment::new(Messages::of(lang), at(then), now, &zone).text;
        assert_eq!(text("2026-05-02T09:59:30Z", Lang::En), "just now");
        assert_eq!(text("2026-05-02T09:55:00Z", Lang::Zh), "5 分钟前");
        assert_eq!(text("2026-05-01T11:00:00Z", Lang::En), "23 h ago");
        assert_eq!(text("2026-04-30T20:05:00Z", Lang::En), "May 1, 04:05");
        assert_eq!(text("2026-04-30T20:05:00Z", Lang::Zh), "5月1日 04:05");
        assert_eq!(text("2025-04-30T20:05:00Z", Lang::Zh), "2025年5月1日 04:05");
        assert_eq!(text("2026-05-02T10:00:01Z", Lang::En), "May 2, 18:00");
        let moment = Moment::new(Messages::of(Lang::En), at("2026-04-30T20:05:07Z"), now, &zone);
        assert_eq!(moment.exact, "2026-05-01 04:05:07 +08:00");
        assert_eq!(moment.iso, "2026-05-01T04:05:07+08:00");
    }
}
