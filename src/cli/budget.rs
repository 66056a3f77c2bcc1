//! The options of a budget: a token's quota, the budget of a key or a channel.

use clap::Arg;

use super::{command::option, invocation::Invocation, options::Options};
use crate::{
    i18n::Messages,
    model::token::{AtLimit, QuotaReset, QuotaUnit, WarnLevels},
    pool::input::{Decimal, QuotaInput},
};

/// The names of the options of one kind of budget.
pub(super) struct Names {
    amount: &'static str,
    unit: &'static str,
    reset: &'static str,
    warn_at: &'static str,
    at_limit: &'static str,
}

/// Those of a token's quota.
pub(super) const QUOTA: Names = Names {
    amount: "quota",
    unit: "quota-unit",
    reset: "quota-reset",
    warn_at: "quota-warn-at",
    at_limit: "quota-at-limit",
};

/// Those of a key's or a channel's budget.
pub(super) const BUDGET: Names = Names {
    amount: "budget",
    unit: "budget-unit",
    reset: "budget-reset",
    warn_at: "budget-warn-at",
    at_limit: "budget-at-limit",
};

/// The options of a key's or a channel's budget.
pub(super) fn arguments(m: Messages) -> [Arg; 5] {
    let h = m.help;
    [
        option("budget", "AMOUNT", h.budget(), m),
        option("budget-unit", "dollars|tokens|requests", h.budget_unit(), m),
        option("budget-reset", "never|hour|day|week|month", h.budget_reset(), m),
        option("budget-warn-at", "PERCENT,…", h.budget_warn_at(), m),
        option("budget-at-limit", "stop|warn", h.budget_at_limit(), m),
    ]
}

/// Reads a budget's options; what is not given stays as it is, and an empty amount removes it.
pub(super) fn read(options: &mut Options, call: &Invocation, names: &Names, budget: &mut Option<QuotaInput>) {
    let m = call.m;
    let (mut unit, mut reset, mut warn_at, mut at_limit) = (None, None, None, None);
    options.set(names.unit, &mut unit, |text| {
        Ok(Some(QuotaUnit::from_name(text).ok_or_else(|| one_of(m, QuotaUnit::ALL))?))
    });
    options.set(names.reset, &mut reset, |text| {
        Ok(Some(QuotaReset::from_name(text).ok_or_else(|| one_of(m, QuotaReset::ALL))?))
    });
    options.set(names.warn_at, &mut warn_at, |text| {
        let levels = WarnLevels::parse(text);
        Ok(Some(levels.ok_or_else(|| m.budgets.levels_wrong(WarnLevels::MOST))?))
    });
    options.set(names.at_limit, &mut at_limit, |text| {
        Ok(Some(AtLimit::from_name(text).ok_or_else(|| one_of(m, AtLimit::ALL))?))
    });
    let says_more = unit.is_some() || reset.is_some() || warn_at.is_some() || at_limit.is_some();
    let known = budget.clone();
    let changed = |unit, limit, before: Option<&QuotaInput>| QuotaInput {
        unit,
        limit,
        reset: reset.or(before.map(|before| before.reset)).unwrap_or(QuotaReset::Never),
        warn_at: warn_at
            .map(Vec::from)
            .or_else(|| before.map(|before| before.warn_at.clone()))
            .unwrap_or_else(|| WarnLevels::default().into()),
        at_limit: at_limit.or(before.map(|before| before.at_limit)).unwrap_or_default(),
    };
    match (call.text(names.amount), &known) {
        (Some(""), _) if !says_more => *budget = None,
        (Some(amount), known) => match unit.or(known.as_ref().map(|known| known.unit)) {
            Some(unit) => *budget = Some(changed(unit, Decimal(amount.to_owned()), known.as_ref())),
            // A fault of the unit itself has been noted already.
            None if call.text(names.unit).is_some() => {}
            None => options.fault(names.unit, m.terminal.quota_unit_missing()),
        },
        (None, Some(known)) => {
            // An amount of dollars means something else in tokens.
            if unit.is_some_and(|unit| unit != known.unit) {
                options.fault(names.amount, m.terminal.quota_amount_missing());
            }
            *budget = Some(changed(known.unit, known.limit.clone(), Some(known)));
        }
        (None, None) if says_more => options.fault(names.amount, m.terminal.quota_amount_missing()),
        (None, None) => {}
    }
}

/// A message that lists the words that an option takes.
pub(super) fn one_of<T: std::fmt::Display>(m: Messages, all: &[T]) -> String {
    let words: Vec<String> = all.iter().map(T::to_string).collect();
    m.cli.give_one_of(&words.join(", "))
}
