//! The fields of a budget in the forms of channels and keys, as they were typed, and what they mean. Pure.

use crate::{
    i18n::Messages,
    model::token::{AtLimit, Quota, QuotaReset, QuotaUnit, WarnLevels},
    pool::rules,
    web::form::{FieldErrors, Fields},
};

/// The values of a budget's fields; all of them begin with `budget_`.
#[derive(Debug, Clone)]
pub struct BudgetFields {
    /// A [`QuotaUnit`], or empty: no budget.
    pub unit: String,
    /// The amount.
    pub limit: String,
    /// A [`QuotaReset`].
    pub reset: String,
    /// Percentages, such as `80, 95`.
    pub warn_at: String,
    /// An [`AtLimit`].
    pub at_limit: String,
}

impl Default for BudgetFields {
    fn default() -> Self {
        Self::of(None)
    }
}

impl BudgetFields {
    /// A budget as the fields show it.
    pub fn of(budget: Option<Quota>) -> Self {
        Self {
            unit: budget.map(|budget| budget.unit.as_str().to_owned()).unwrap_or_default(),
            limit: budget.as_ref().map(rules::show_quota).unwrap_or_default(),
            reset: budget.map_or(QuotaReset::Month, |budget| budget.reset).as_str().into(),
            warn_at: budget.map(|budget| budget.warn_at).unwrap_or_default().to_string(),
            at_limit: budget.map_or(AtLimit::Stop, |budget| budget.at_limit).as_str().into(),
        }
    }

    /// What was sent. A form without these fields, such as a script's from before, sends none of them.
    pub fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            unit: text("budget_unit"),
            limit: text("budget_limit"),
            reset: text("budget_reset"),
            warn_at: text("budget_warn_at"),
            at_limit: text("budget_at_limit"),
        }
    }

    /// The budget that they describe; what is wrong is noted at its field.
    pub fn validate(&self, t: Messages, errors: &mut FieldErrors) -> Option<Quota> {
        let Some(unit) = QuotaUnit::from_name(&self.unit) else {
            if !self.limit.is_empty() || !self.unit.is_empty() {
                errors.add("budget_unit", t.budgets.unit_missing());
            }
            if WarnLevels::parse(&self.warn_at).is_none() {
                errors.add("budget_warn_at", t.budgets.levels_wrong(WarnLevels::MOST));
            }
            return None;
        };
        let reset = QuotaReset::from_name(&self.reset).unwrap_or(QuotaReset::Never);
        let quota = rules::read_quota(t, unit, &self.limit, reset);
        let quota = quota.map_err(|message| errors.add("budget_limit", message)).ok();
        let warn_at = WarnLevels::parse(&self.warn_at);
        if warn_at.is_none() {
            errors.add("budget_warn_at", t.budgets.levels_wrong(WarnLevels::MOST));
        }
        let at_limit = AtLimit::from_name(&self.at_limit).unwrap_or_default();
        Some(Quota { warn_at: warn_at?, at_limit, ..quota? })
    }

    /// Whether a field has a message.
    pub fn is_wrong(errors: &FieldErrors) -> bool {
        ["budget_unit", "budget_limit", "budget_warn_at"].iter().any(|field| errors.find(field).is_some())
    }

    /// The choices of the unit, with their labels.
    pub fn units(t: &Messages) -> [(&'static str, &'static str); 4] {
        [
            ("", t.budgets.unit_none()),
            (QuotaUnit::Dollars.as_str(), t.token_form.unit_dollars()),
            (QuotaUnit::Tokens.as_str(), t.token_form.unit_tokens()),
            (QuotaUnit::Requests.as_str(), t.token_form.unit_requests()),
        ]
    }

    /// The choices of the reset, with their labels.
    pub fn resets(t: &Messages) -> [(&'static str, &'static str); 5] {
        [
            (QuotaReset::Never.as_str(), t.token_form.reset_never()),
            (QuotaReset::Hour.as_str(), t.budgets.reset_hour()),
            (QuotaReset::Day.as_str(), t.token_form.reset_day()),
            (QuotaReset::Week.as_str(), t.token_form.reset_week()),
            (QuotaReset::Month.as_str(), t.token_form.reset_month()),
        ]
    }

    /// The choices of what happens when it is used up, with their labels.
    pub fn at_limits(t: &Messages) -> [(&'static str, &'static str); 2] {
        [
            (AtLimit::Stop.as_str(), t.budgets.at_limit_stop()),
            (AtLimit::Warn.as_str(), t.budgets.at_limit_warn()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn sent(text: &str) -> (Option<Quota>, FieldErrors) {
        let mut errors = FieldErrors::default();
        let fields = BudgetFields::read(&Fields::parse(text.as_bytes()));
        (fields.validate(Messages::of(Lang::En), &mut errors), errors)
    }

    #[test]
    fn a_budget_is_read_as_it_was_shown_and_nothing_sent_is_no_budget() {
        let budget = Quota {
            warn_at: WarnLevels::parse("50").unwrap(),
            at_limit: AtLimit::Warn,
            ..Quota::new(QuotaUnit::Dollars, 2_500_000, QuotaReset::Hour)
        };
        let mut errors = FieldErrors::default();
        let again = BudgetFields::of(Some(budget)).validate(Messages::of(Lang::Zh), &mut errors);
        assert_eq!((again, errors.is_empty()), (Some(budget), true));
        let (none, errors) = sent("");
        assert!(none.is_none() && errors.is_empty());
        let (none, errors) = sent("budget_unit=&budget_limit=&budget_warn_at=80%2C+95");
        assert!(none.is_none() && errors.is_empty());
    }

    #[test]
    fn hostile_amounts_and_levels_are_told_at_their_fields() {
        for (text, field) in [
            ("budget_warn_at=often", "budget_warn_at"),
            ("budget_unit=dollars&budget_limit=", "budget_limit"),
            ("budget_unit=dollars&budget_limit=-1", "budget_limit"),
            ("budget_unit=tokens&budget_limit=99999999999999999999", "budget_limit"),
            ("budget_unit=requests&budget_limit=1.5", "budget_limit"),
            ("budget_unit=dollars&budget_limit=%3Cscript%3E", "budget_limit"),
            ("budget_unit=&budget_limit=5", "budget_unit"),
            ("budget_unit=euros&budget_limit=5", "budget_unit"),
            ("budget_unit=dollars&budget_limit=5&budget_warn_at=0", "budget_warn_at"),
            ("budget_unit=dollars&budget_limit=5&budget_warn_at=1,2,3,4,5,6", "budget_warn_at"),
            ("budget_unit=dollars&budget_limit=5&budget_warn_at=%E5%85%AB%E5%8D%81", "budget_warn_at"),
        ] {
            let (budget, errors) = sent(text);
            assert!(budget.is_none() && errors.find(field).is_some(), "{text}");
        }
    }
}
