//! What a mistyped name was meant to be.

/// The known name that a mistyped one was most likely meant to be; letter case and hyphens are no slips.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 40 {
        return None;
    }
    let name = name.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|known| {
            let plain = known.to_lowercase();
            // The unit left out of `idle_ms` is a small slip, however long it is.
            let unit_left_out = plain.split('_').next() == Some(&name);
            (if unit_left_out { 1 } else { distance(&name, &plain) }, *known)
        })
        .filter(|(distance, known)| *distance <= known.len().min(name.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many characters must be added, removed, replaced or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let cost = usize::from(one[i - 1] != other[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["weight", "idle_ms", "PORT", "DIAGNOSTIC_HEADERS", "90d"];
        for (name, meant) in [
            ("wieght", Some("weight")),
            ("idle", Some("idle_ms")),
            ("idle-ms", Some("idle_ms")),
            ("port", Some("PORT")),
            ("900d", Some("90d")),
            ("usage_days", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), meant, "{name}");
        }
    }
}
