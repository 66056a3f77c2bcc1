//! Writing to the terminal: tables, facts, JSON. A closed pipe is no error, colours are for terminals that want them, and
//! nothing that is written can steer the terminal.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::{Failure, invocation::Invocation};
use crate::{config, i18n::Messages, model::time::UnixMs};

pub use crate::model::printable::printable as clean;

/// What stands where there is no value.
pub const NOTHING: &str = "-";
/// Between two columns.
const GAP: &str = "  ";

/// Writes a text to stdout, with one line break at its end.
pub fn print(text: &str) -> Result<(), Failure> {
    write(text.trim_end_matches('\n'), "\n")
}

/// Writes a text to stdout as it is.
pub fn print_raw(text: &str) -> Result<(), Failure> {
    write(text, "")
}

fn write(text: &str, end: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}{end}").and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::Text(format!("stdout: {error}")),
    })
}

/// Writes a text and a line break to stderr; nobody is left to tell if that fails.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes JSON if `--json` was given, else a text for people.
pub fn tell(call: &Invocation, json: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if call.is_on("json") { print(&format!("{json:#}")) } else { print(&text()) }
}

/// A whole list, in the shape of the admin API's pages.
pub fn list(items: Vec<Value>) -> Value {
    json!({ "items": items, "next": null })
}

/// A point in time for programs: RFC 3339, in UTC.
pub fn at(time: UnixMs) -> String {
    time.timestamp().to_string()
}

/// Whether stdout is a terminal that wants colours (<https://no-color.org>).
pub fn colors() -> bool {
    config::environment("NO_COLOR").is_none_or(|value| value.is_empty())
        && config::environment("TERM").is_none_or(|value| value != "dumb")
        && io::stdout().is_terminal()
}

/// How a cell looks on a terminal that has colours. What it means stands in words as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    Plain,
    /// Works.
    Good,
    /// Needs a look.
    Doubtful,
    /// Does not work.
    Bad,
    /// Switched off.
    Dim,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Doubtful => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
            Self::Dim => "\u{1b}[2m",
        }
    }

    /// A text in this look.
    pub fn paint(self, text: &str) -> String {
        if self == Self::Plain || !colors() {
            text.to_owned()
        } else {
            format!("{}{text}\u{1b}[0m", self.code())
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    look: Look,
    right: bool,
}

impl Cell {
    /// A text; an empty one is shown as a dash.
    pub fn text(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let text = if text.is_empty() { NOTHING.to_owned() } else { clean(text).into_owned() };
        Self { text, look: Look::Plain, right: false }
    }

    /// A number, aligned to the right.
    pub fn number(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::text(text) }
    }

    /// The same in another look.
    pub fn look(self, look: Look) -> Self {
        Self { look, ..self }
    }
}

/// A table: a row of headings, and rows of as many cells.
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(headings: impl IntoIterator<Item = &'static str>) -> Self {
        Self { headings: headings.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as lines; Chinese characters count as two columns, as terminals draw them.
    pub fn draw(&self) -> String {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.width()).collect();
        let mut right = vec![false; widths.len()];
        for row in &self.rows {
            for ((width, right), cell) in widths.iter_mut().zip(&mut right).zip(row) {
                *width = (*width).max(cell.text.width());
                *right |= cell.right;
            }
        }
        let headings = self.headings.iter().zip(&right).map(|(heading, right)| Cell {
            text: (*heading).to_owned(),
            look: Look::Dim,
            right: *right,
        });
        let mut text = line(&headings.collect::<Vec<_>>(), &widths);
        for row in &self.rows {
            text.push('\n');
            text.push_str(&line(row, &widths));
        }
        text
    }
}

fn line(cells: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    let last = cells.len().saturating_sub(1);
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let blank = " ".repeat(width.saturating_sub(cell.text.width()));
        if index > 0 {
            line.push_str(GAP);
        }
        if cell.right {
            line.push_str(&blank);
        }
        line.push_str(&cell.look.paint(&cell.text));
        // Blanks at the end of a line only make it wrap.
        if !cell.right && index < last {
            line.push_str(&blank);
        }
    }
    line
}

/// Labels and values in two columns.
pub fn facts(facts: &[(&str, Cell)]) -> String {
    let width = facts.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    let lines = facts.iter().map(|(label, cell)| {
        let blank = " ".repeat(width - label.width());
        format!("{}{blank}{GAP}{}", Look::Dim.paint(label), cell.look.paint(&cell.text))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The first name of a list and how many more there are; what an empty list means.
pub fn first_of(names: &[String], empty: &str, m: Messages) -> String {
    match names {
        [] => empty.to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => m.channels.models_more(first, rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_chinese_characters_in_them() {
        let mut table = Table::new(["Name", "Calls"]);
        table.row([Cell::text("渠道一"), Cell::number("7")]);
        table.row([Cell::text("b"), Cell::number("1,234")]);
        assert_eq!(table.draw(), "Name    Calls\n渠道一      7\nb       1,234");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\n");
        assert_eq!(clean("渠道 – ok"), "渠道 – ok");
    }
}
