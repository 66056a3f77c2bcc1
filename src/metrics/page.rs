//! Writes the text format.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
};

use super::{Kind, table::family, tally::Histogram};

/// A page that grows by one family after the other.
pub(super) struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    pub fn new() -> Self {
        Self { text: String::with_capacity(16 * 1024), name: "" }
    }

    /// Begins a family of the table.
    pub fn family(&mut self, name: &'static str) {
        self.name = name;
        let (kind, help) = family(name).map_or((Kind::Gauge, ""), |family| (family.kind, family.help.0));
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    }

    /// A sample of the family that was begun last.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &'static str, value: impl Display) {
        self.family(name);
        self.sample(&[], value);
    }

    /// A family by a channel's label and one more label. Channels that share a label are added up.
    pub fn by_channel<'a>(
        &mut self,
        name: &'static str,
        other: &str,
        samples: impl Iterator<Item = (&'a str, &'a str, u64)>,
    ) {
        self.family(name);
        let mut sums: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (channel, value, count) in samples {
            let sum = sums.entry((channel, value)).or_default();
            *sum = sum.saturating_add(count);
        }
        for ((channel, value), count) in sums {
            self.sample(&[("channel", channel), (other, value)], count);
        }
    }

    /// A family that is one histogram.
    pub fn histogram(&mut self, name: &'static str, histogram: &Histogram) {
        self.family(name);
        for (bound_ms, count) in histogram.cumulative() {
            let bound = bound_ms.map_or_else(|| "+Inf".to_owned(), seconds);
            self.line("_bucket", &[("le", &bound)], count);
        }
        self.line(
            "_sum",
            &[],
            format_args!("{}.{:03}", histogram.sum_ms() / 1000, histogram.sum_ms() % 1000),
        );
        self.line("_count", &[], histogram.count());
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (place, (name, value)) in labels.iter().enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{name}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

/// `250` as `0.25`, without zeros at its end.
fn seconds(ms: u32) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
