//! Reads options into the fields of an input, and names the option of a fault.

use super::{Failure, invocation::Invocation};
use crate::{
    i18n::Messages,
    pool::input::{Fault, Faults, LimitInput},
};

/// Reads options one after the other and gathers what is wrong with them.
pub struct Options<'a> {
    call: &'a Invocation<'a>,
    /// What could not be read, by option.
    pub faults: Faults,
}

impl<'a> Options<'a> {
    /// The options of a command line.
    pub fn new(call: &'a Invocation<'a>) -> Self {
        Self { call, faults: Faults::default() }
    }

    /// If an option was given, reads its value into a field; an error is noted at the option, and the field stays.
    pub fn set<T>(&mut self, name: &str, field: &mut T, read: impl FnOnce(&str) -> Result<T, String>) {
        match self.call.text(name).map(read) {
            Some(Ok(value)) => *field = value,
            Some(Err(message)) => self.fault(name, message),
            None => {}
        }
    }

    /// The same for all values of a repeated option. One empty value stands for an empty list.
    pub fn set_list<T>(
        &mut self,
        name: &str,
        field: &mut T,
        read: impl FnOnce(Vec<String>) -> Result<T, String>,
    ) {
        let Some(values) = self.call.all(name) else { return };
        let values =
            if values == [""] { Vec::new() } else { values.into_iter().map(str::to_owned).collect() };
        match read(values) {
            Ok(value) => *field = value,
            Err(message) => self.fault(name, message),
        }
    }

    /// Notes what is wrong with an option.
    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.add(format!("--{name}"), message);
    }
}

impl Failure {
    /// Options that cannot be used; each fault names its option.
    pub(super) fn options(faults: Faults) -> Self {
        Self::Options(faults.0)
    }

    /// One option that cannot be used.
    pub(super) fn option(name: &str, message: impl Into<String>) -> Self {
        Self::Options(vec![Fault { field: name.to_owned(), message: message.into() }])
    }
}

/// Takes over the limits of `--limit` and `--no-limits`; without either they stay.
pub fn set_limits(options: &mut Options, call: &Invocation, limits: &mut Vec<LimitInput>) {
    if call.is_on("no-limits") {
        limits.clear();
    }
    options
        .set_list("limit", limits, |lines| lines.iter().map(|line| LimitInput::read(line, call.m)).collect());
}

/// A whole number.
pub fn whole(text: &str, m: Messages) -> Result<i64, String> {
    text.parse().map_err(|_| m.common.field_not_a_number().to_owned())
}

/// `true` or `false`.
pub fn on_or_off(text: &str, m: Messages) -> Result<bool, String> {
    text.parse().map_err(|_| m.cli.give_switch().to_owned())
}

/// The option that sets a field of an input: `timeouts.idle_ms` is `--idle-ms`, `models[3].price` is `--model`.
pub fn option_of(field: &str) -> String {
    let field = ["timeouts.", "shaping."].into_iter().find_map(|of| field.strip_prefix(of)).unwrap_or(field);
    let first = field.split(['.', '[']).next().unwrap_or(field);
    let name = match first {
        "models" => "model",
        "steps" => "step",
        "groups" => "group",
        "headers" => "header",
        "redirects" => "redirect",
        "cidrs" => "cidr",
        "limits" => "limit",
        "fixes" => "fix",
        "response_cache_s" => "response_cache",
        "secret" => "file",
        other => other,
    };
    let place = &field[first.len()..];
    let option = format!("--{}", name.replace('_', "-"));
    // The place in a list and the name of a header or redirect help to find what is meant.
    match place.strip_prefix('.') {
        Some("limit" | "unit" | "reset") | None
            if place.is_empty() || matches!(first, "quota" | "budget") =>
        {
            option
        }
        Some("warn_at") => format!("{option}-warn-at"),
        Some(name) => format!("{option} {name}"),
        None => format!("{option} {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::option_of;

    #[test]
    fn a_fault_names_its_option() {
        for (field, option) in [
            ("base_url", "--base-url"),
            ("timeouts.first_byte_ms", "--first-byte-ms"),
            ("models[2]", "--model [2]"),
            ("headers.X-Title", "--header X-Title"),
            ("redirects.smart", "--redirect smart"),
            ("quota.limit", "--quota"),
            ("budget.limit", "--budget"),
            ("budget.warn_at", "--budget-warn-at"),
            ("limits[1].window.zone", "--limit [1].window.zone"),
            ("cidrs[0]", "--cidr [0]"),
            ("steps[1].model", "--step [1].model"),
            ("requests_per_minute", "--requests-per-minute"),
        ] {
            assert_eq!(option_of(field), option);
        }
    }
}
