//! Decimal numbers as people write them, read exactly: no float in between.

/// Reads `1.25` as `1_250_000` (for 6 `places`). White space around it and a point without digits on one side are fine;
/// a sign, an exponent, digits beyond `places` that are not zero, and what does not fit are not.
pub fn parse(text: &str, places: u32) -> Option<i64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let places = places as usize;
    let (kept, beyond) = fraction.split_at(fraction.len().min(places));
    if beyond.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let padding = std::iter::repeat_n(b'0', places - kept.len());
    whole
        .bytes()
        .chain(kept.bytes())
        .chain(padding)
        .try_fold(0_i64, |value, digit| value.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
}

/// Writes what [`parse`] reads, without needless zeros: `1_250_000` with 6 `places` is `1.25`.
pub fn show(value: i64, places: u32) -> String {
    let digits = format!("{:0width$}", value.unsigned_abs(), width = places as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places as usize);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        for (text, value) in [
            ("0.15", Some(150_000)),
            (" 2 ", Some(2_000_000)),
            (".5", Some(500_000)),
            ("3.", Some(3_000_000)),
            ("0.0000010", Some(1)),
            ("0.0000001", None),
            ("9223372036854.775807", Some(i64::MAX)),
            ("9223372036854.775808", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1e3", None),
            ("1,5", None),
            ("١", None),
        ] {
            assert_eq!(parse(text, 6), value, "{text}");
        }
        assert_eq!(parse("0.00000015", 12), Some(150_000));
        assert_eq!(parse("7", 0), Some(7));
    }

    #[test]
    fn what_is_shown_reads_back() {
        for value in [0, 1, 10, 150_000, 1_000_000, 1_250_001, i64::MAX] {
            assert_eq!(parse(&show(value, 6), 6), Some(value));
        }
        assert_eq!(show(150_000, 6), "0.15");
        assert_eq!(show(2500, 3), "2.5");
        assert_eq!(show(-1500, 3), "-1.5");
    }
}
