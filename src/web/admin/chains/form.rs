//! A chain's form: its values as they were typed, and what they mean. Pure.

use crate::{
    i18n::Messages,
    model::{
        chain::{Chain, Loop},
        id::ChainId,
    },
    pool::input::{ChainInput, MAX_STEPS, Spill, StepInput, loop_fault},
    web::form::{FieldErrors, Fields},
};

/// Rows of a form that has no steps yet.
const FIRST_ROWS: usize = 3;

/// The values of a chain's form, as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainForm {
    pub name: String,
    pub enabled: bool,
    pub steps: Vec<StepForm>,
}

/// A row of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepForm {
    pub model: String,
    /// Milliseconds, `never`, or nothing for the usual time.
    pub spill: String,
}

impl StepForm {
    fn is_empty(&self) -> bool {
        self.model.is_empty() && self.spill.is_empty()
    }
}

impl ChainForm {
    /// The form of a chain that is to be made.
    pub fn blank() -> Self {
        Self { enabled: true, steps: vec![StepForm::default(); FIRST_ROWS], ..Self::default() }
    }

    /// The form of a chain that exists.
    pub fn of(chain: &Chain) -> Self {
        let step = |step: &StepInput| StepForm { model: step.model.clone(), spill: step.spill.to_string() };
        Self {
            name: chain.name.clone(),
            enabled: chain.enabled,
            steps: ChainInput::of(chain).steps.iter().map(step).collect(),
        }
    }

    /// The form as it was sent.
    pub fn read(fields: &Fields) -> Self {
        let steps = fields.all("model").zip(fields.all("spill"));
        let steps = steps.map(|(model, spill)| StepForm { model: model.into(), spill: spill.into() });
        Self {
            name: fields.text("name").to_owned(),
            enabled: fields.checked("enabled"),
            // More than a chain may have, so that it can be told.
            steps: steps.take(MAX_STEPS + 1).collect(),
        }
    }

    /// Does what the button of a row says, such as `up-2`, counted from 0; says whether there was something to do. Saves
    /// nothing.
    pub fn rearrange(&mut self, button: &str) -> bool {
        if button == "add" {
            self.steps.push(StepForm::default());
            return true;
        }
        let Some((what, at)) = button.split_once('-') else { return false };
        let Some(at) = at.parse::<usize>().ok().filter(|at| *at < self.steps.len()) else { return false };
        match what {
            "up" if at > 0 => self.steps.swap(at, at - 1),
            "down" if at + 1 < self.steps.len() => self.steps.swap(at, at + 1),
            "remove" => drop(self.steps.remove(at)),
            _ => {}
        }
        true
    }

    /// The chain that the form describes, with an id, unless it notes what is wrong. Rows without anything are dropped.
    pub fn validate(&mut self, id: ChainId, t: Messages, errors: &mut FieldErrors) -> Option<Chain> {
        self.steps.retain(|step| !step.is_empty());
        let mut steps = Vec::with_capacity(self.steps.len());
        for (position, step) in self.steps.iter().enumerate() {
            let spill = Spill::read(&step.spill).unwrap_or_else(|| {
                errors.add(format!("steps[{position}].spill_ms"), t.chains.spill_wrong());
                Spill::default()
            });
            steps.push(StepInput { model: step.model.clone(), spill });
        }
        let input = ChainInput { name: self.name.clone(), enabled: self.enabled, steps };
        match input.check(id, t) {
            Ok(chain) => Some(chain).filter(|_| errors.is_empty()),
            Err(faults) => {
                for fault in faults.0 {
                    errors.add(fault.field, fault.message);
                }
                None
            }
        }
    }
}

/// Notes that a chain would lead back to itself.
pub fn note_loop(found: &Loop, t: Messages, errors: &mut FieldErrors) {
    for fault in loop_fault(found, t).0 {
        errors.add(fault.field, fault.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn form(encoded: &str) -> ChainForm {
        ChainForm::read(&Fields::parse(encoded.as_bytes()))
    }

    fn models(form: &ChainForm) -> Vec<&str> {
        form.steps.iter().map(|step| step.model.as_str()).collect()
    }

    #[test]
    fn rows_move_and_go_with_their_times() {
        let mut form = form("model=a&spill=1&model=b&spill=&model=c&spill=never");
        assert!(form.rearrange("up-2"));
        assert_eq!(models(&form), ["a", "c", "b"]);
        assert_eq!(form.steps[1].spill, "never");
        assert!(form.rearrange("down-0"));
        assert_eq!(models(&form), ["c", "a", "b"]);
        assert!(form.rearrange("remove-1") && form.rearrange("add"));
        assert_eq!(models(&form), ["c", "b", ""]);
        let before = form.clone();
        assert!(form.rearrange("up-0") && form.rearrange("down-2"), "at the ends nothing moves");
        assert!(!form.rearrange("up-9") && !form.rearrange("save") && !form.rearrange(""));
        assert_eq!(form, before);
    }

    #[test]
    fn what_was_typed_becomes_a_chain_or_messages_at_rows() {
        let t = Messages::of(Lang::En);
        let mut errors = FieldErrors::default();
        let mut good =
            form("name=x&enabled=true&model=&spill=&model=a&spill=&model=b&spill=Never&model=c&spill=0");
        let chain = good.validate(ChainId(1), t, &mut errors).unwrap();
        let spills: Vec<_> = chain.steps.iter().map(|step| step.spill_ms).collect();
        assert_eq!(spills, [Some(2000), None, Some(0)]);
        assert_eq!(ChainForm::of(&chain).steps[1].spill, "never");

        let mut bad = form("name=&model=&spill=&model=&spill=5&model=a&spill=soon&model=A&spill=-1");
        assert!(bad.validate(ChainId(1), t, &mut errors).is_none());
        for field in ["name", "steps[0].model", "steps[1].spill_ms", "steps[2].model", "steps[2].spill_ms"] {
            assert!(errors.find(field).is_some(), "{field}");
        }
    }
}
