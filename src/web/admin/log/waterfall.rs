//! The course of a call: numbers for an SVG that the server draws.

use crate::{
    i18n::Messages,
    model::usage::OutcomeClass,
    storage::usage_query::rows::{AttemptRow, UsageRow},
    web::format::duration,
};

/// Where the bars stand, in units of the drawing.
const LEFT: u64 = 8;
const RIGHT: u64 = 992;
/// Height of a line: its text above, its bar below.
const LINE: u64 = 44;
const HEAD: u64 = 24;

/// A bar of the drawing.
#[derive(Debug, PartialEq, Eq)]
pub struct Bar {
    /// The style sheet's class.
    pub style: &'static str,
    /// Left border.
    pub x: u64,
    /// Width.
    pub width: u64,
}

/// A line of the drawing: the time in the queue, or an attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// Where its text stands.
    pub text_y: u64,
    /// Where its bars stand.
    pub bar_y: u64,
    /// One bar, or one until the first content and one after it.
    pub bars: Vec<Bar>,
}

/// The drawing.
#[derive(Debug)]
pub struct Waterfall {
    /// Its lines, from top to bottom.
    pub lines: Vec<Line>,
    /// Lines down, each with its place and its time.
    pub grid: Vec<(u64, String)>,
    /// Where the client got the first content.
    pub first_token: Option<u64>,
    /// The height of it all.
    pub height: u64,
}

impl Waterfall {
    /// Draws a call and its attempts to scale.
    pub fn new(t: Messages, row: &UsageRow, attempts: &[AttemptRow]) -> Self {
        let ends =
            attempts.iter().map(|attempt| u64::from(attempt.started_ms) + u64::from(attempt.duration_ms));
        let end = ends.chain([row.total_ms.into(), row.queue_ms.into(), 1]).max().unwrap_or(1);
        let place = |ms: u64| LEFT + (RIGHT - LEFT) * ms.min(end) / end;
        let bar = |style, from: u64, to: u64| {
            let (x, right) = (place(from), place(to));
            Bar { style, x: x.min(RIGHT - 2), width: (right - x).max(2) }
        };
        let mut lines = Vec::new();
        let mut add = |label: String, bars: Vec<Bar>| {
            let y = HEAD + LINE * lines.len() as u64;
            lines.push(Line { label, text_y: y + 16, bar_y: y + 22, bars });
        };
        if row.queue_ms > 0 {
            let label = format!("{} · {}", t.log.queue(), duration(t, row.queue_ms));
            add(label, vec![bar("queue", 0, row.queue_ms.into())]);
        }
        for (number, attempt) in (1..).zip(attempts) {
            let start = u64::from(attempt.started_ms);
            let end = start + u64::from(attempt.duration_ms);
            let first = attempt.first_byte_ms.map(|ms| (start + u64::from(ms)).min(end));
            let bars = match first {
                Some(first) => vec![bar("wait", start, first), bar(class_style(attempt.class), first, end)],
                None => vec![bar(class_style(attempt.class), start, end)],
            };
            let class = t.log.class_name(attempt.class);
            let name = super::names::named_text(&attempt.channel.name, attempt.channel.id);
            add(format!("{number}. {name} · {class} · {}", duration(t, attempt.duration_ms)), bars);
        }
        let height = HEAD + LINE * lines.len() as u64 + 8;
        Self {
            lines,
            grid: (0..=4)
                .map(|part| {
                    let ms = end * part / 4;
                    (place(ms), duration(t, u32::try_from(ms).unwrap_or(u32::MAX)))
                })
                .collect(),
            first_token: row.first_token_ms.map(|ms| place(ms.into())),
            height,
        }
    }
}

/// The style sheet's class for what an attempt was taken for.
pub fn class_style(class: OutcomeClass) -> &'static str {
    match class {
        OutcomeClass::Success => "ok",
        OutcomeClass::RateLimited
        | OutcomeClass::ModelUnavailable
        | OutcomeClass::ClientError
        | OutcomeClass::Ambiguous
        | OutcomeClass::ClientClosed
        | OutcomeClass::Paused => "warn",
        OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit | OutcomeClass::HostError => "bad",
    }
}
