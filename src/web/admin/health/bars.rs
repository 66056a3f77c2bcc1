//! Bars of cells: how upstream calls went, piece by piece of a period, as HTML that is short enough for thousands of cells.
//!
//! What a cell says is told by its shape as well as by its colour: a full cell went well, a low one badly, a line is no traffic.

use std::fmt::Write as _;

use jiff::{ToSpan, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    i18n::Messages,
    model::{time::UnixMs, token::named_enum},
    storage::usage_query::cells::Cell,
    web::format::{number, share},
};

/// The length of a cell of the shorter period.
const HALF_HOUR_MS: i64 = 30 * 60_000;
/// How many cells a bar of the shorter period has.
const HALF_HOURS: i64 = 48;
/// How many cells a bar of the longer period has.
const DAYS: i32 = 90;
/// From so many answered calls of a hundred on a cell counts as good.
const GOOD_PERCENT: i64 = 98;
/// From so many on it counts as doubtful, below as bad.
const DOUBTFUL_PERCENT: i64 = 50;

named_enum! {
    /// Which period a bar shows.
    Span {
        /// A day, in cells of half an hour.
        Day = "24h",
        /// Ninety local days, in cells of one.
        Quarter = "90d",
    }
}

/// The borders of a period's cells, with what each cell's title says of its time.
pub struct Borders {
    /// The borders; there is one more than there are cells.
    pub at: Vec<UnixMs>,
    whens: Vec<String>,
}

impl Borders {
    /// The cells of a period that ends with the running one.
    pub fn of(span: Span, now: UnixMs, zone: &TimeZone) -> Self {
        let (at, pattern): (Vec<UnixMs>, _) = match span {
            Span::Day => {
                let end = now.0 - now.0.rem_euclid(HALF_HOUR_MS) + HALF_HOUR_MS;
                let border = |back: i64| UnixMs(end - back * HALF_HOUR_MS);
                ((0..=HALF_HOURS).rev().map(border).collect(), "%H:%M")
            }
            Span::Quarter => {
                let today = now.zoned(zone).date();
                let border = |back: i32| {
                    let day = today.checked_add((1 - back).days()).ok()?.to_zoned(zone.clone()).ok()?;
                    Some(UnixMs(day.timestamp().as_millisecond()))
                };
                ((0..=DAYS).rev().filter_map(border).collect(), "%m-%d")
            }
        };
        let starts = at.iter().take(at.len().saturating_sub(1));
        let whens = starts.map(|at| at.zoned(zone).strftime(pattern).to_string()).collect();
        Self { at, whens }
    }
}

/// A bar, and what it adds up to.
pub struct Bar {
    /// The cells, as HTML that holds no text of anybody's.
    pub html: String,
    /// All of it in a sentence.
    pub summary: String,
    /// The share of answered calls.
    pub answered: String,
    /// How many calls there were.
    pub calls: String,
}

impl Bar {
    /// Draws cells.
    pub fn new(t: Messages, cells: &[Cell], borders: &Borders) -> Self {
        let h = t.health;
        let all = cells.iter().fold(Cell::default(), |sum, cell| sum.plus(*cell));
        let mut html = String::with_capacity(cells.len() * 48);
        for (cell, when) in cells.iter().zip(&borders.whens) {
            let class = class(cell);
            if class.is_empty() {
                html.push_str("<i></i>");
                continue;
            }
            let mut title = h.cell(when, &number(cell.answered), &number(cell.judged()));
            if cell.limited > 0 {
                title.push_str(&h.cell_limited(&number(cell.limited)));
            }
            // Only numbers and our own words, neither of which has a character that HTML knows; writing to a text never fails.
            let _ = write!(html, "<i class={class} title=\"{title}\"></i>");
        }
        let answered = share(all.answered, all.judged());
        Self {
            summary: h.bar_summary(&number(all.answered), &number(all.judged()), &number(all.limited)),
            html,
            answered,
            calls: number(all.judged()),
        }
    }
}

/// The style sheet's class of a cell; none without calls that say something.
fn class(cell: &Cell) -> &'static str {
    let (answered, judged) = (i128::from(cell.answered), i128::from(cell.judged()));
    match judged {
        0 => "",
        _ if answered * 100 >= judged * i128::from(GOOD_PERCENT) => "k",
        _ if answered * 100 >= judged * i128::from(DOUBTFUL_PERCENT) => "w",
        _ => "f",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn cells_are_told_by_their_share_of_answers() {
        let cell = |answered, limited, failed| Cell { answered, limited, failed, neutral: 5 };
        for (cell, expected) in [
            (cell(0, 0, 0), ""),
            (cell(98, 1, 1), "k"),
            (cell(97, 3, 0), "w"),
            (cell(1, 0, 1), "w"),
            (cell(1, 1, 1), "f"),
            (cell(0, 0, 1), "f"),
        ] {
            assert_eq!(class(&cell), expected, "{cell:?}");
        }
    }

    #[test]
    fn a_bar_says_what_its_cells_say() {
        let borders = Borders::of(Span::Day, UnixMs(86_400_000 + 60_000), &TimeZone::UTC);
        assert_eq!((borders.at.len(), borders.whens.len()), (49, 48));
        assert_eq!((borders.whens[0].as_str(), borders.whens[47].as_str()), ("00:30", "00:00"));
        let mut cells = vec![Cell::default(); 48];
        cells[0] = Cell { answered: 3, limited: 1, failed: 0, neutral: 2 };
        let bar = Bar::new(Messages::of(Lang::En), &cells, &borders);
        assert!(
            bar.html.starts_with("<i class=w title=\"00:30 · 3 of 4 answered, 1 limited\"></i><i></i>"),
            "{}",
            bar.html
        );
        assert_eq!((bar.answered.as_str(), bar.calls.as_str()), ("75.0%", "4"));
    }

    #[test]
    fn days_are_local_ones_also_when_clocks_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = UnixMs("2026-11-01T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let borders = Borders::of(Span::Quarter, now, &zone);
        assert_eq!(borders.whens.len(), 90);
        assert_eq!(borders.whens.last().unwrap(), "11-01");
        let lengths: Vec<i64> =
            borders.at.windows(2).map(|ends| (ends[1].0 - ends[0].0) / 3_600_000).collect();
        assert_eq!(lengths.iter().filter(|hours| **hours == 25).count(), 1);
        assert_eq!(lengths.iter().filter(|hours| **hours == 24).count(), 89);
    }
}
