//! How numbers and times read.

use super::texts;

texts! {
    /// How numbers and times read.
    Format {
        just_now: "just now" / "刚刚";
        minutes_ago(count: i64): "{count} min ago" / "{count} 分钟前";
        hours_ago(count: i64): "{count} h ago" / "{count} 小时前";
        day_and_time: "%b %-d, %H:%M" / "%-m月%-d日 %H:%M";
        full_day_and_time: "%b %-d, %Y, %H:%M" / "%Y年%-m月%-d日 %H:%M";
        full_day: "%b %-d, %Y" / "%Y年%-m月%-d日";
        day: "%b %-d" / "%-m月%-d日";
        month: "%b %Y" / "%Y年%-m月";
        minutes_and_seconds(minutes: u32, seconds: u32): "{minutes} min {seconds} s" / "{minutes} 分 {seconds} 秒";
        hours_and_minutes(hours: u32, minutes: u32): "{hours} h {minutes} min" / "{hours} 小时 {minutes} 分";
    }
}
