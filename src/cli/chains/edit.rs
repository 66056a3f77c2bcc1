//! `onepool chains add` and `edit`: options become a [`ChainInput`], which the pool's own rules check.

use clap::Arg;

use super::show::tell_chain;
use crate::{
    cli::{
        Failure,
        command::{option, repeated},
        invocation::Invocation,
        options::{Options, on_or_off, option_of},
        output::clean,
        session::on_folder,
    },
    i18n::Messages,
    model::{
        chain::{Chain, folded},
        id::ChainId,
    },
    pool::input::{ChainInput, Fault, Faults, Spill, StepInput, loop_fault},
    storage::StorageError,
};

/// Options for every field of a chain.
pub fn flags(m: Messages) -> Vec<Arg> {
    vec![
        option("name", "TEXT", m.help.chain_new_name(), m),
        repeated("step", "MODEL[=MS]", m.help.chain_step(), m),
        option("enabled", "true|false", m.help.chain_enabled(), m),
    ]
}

/// Options that only make sense for a chain that is there already.
pub fn flags_of_edit(m: Messages) -> Vec<Arg> {
    vec![
        repeated("add-step", "MODEL[=MS]", m.help.chain_add_step(), m),
        repeated("remove-step", "MODEL", m.help.chain_remove_step(), m),
    ]
}

/// `onepool chains add`.
pub fn add(call: &Invocation) -> Result<(), Failure> {
    let mut input = ChainInput { name: String::new(), enabled: true, steps: Vec::new() };
    let read = read(call, &mut input);
    let chain = checked(&input, ChainId(0), read, call.m)?;
    on_folder(call, async |session| {
        let id = session.db.create_chain(&chain).await.map_err(|error| refused(error, call.m))?;
        tell_chain(call, session, id).await
    })
}

/// `onepool chains edit NAME`.
pub fn edit(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let known = session.chain(call.required("NAME")).await?;
        let mut input = ChainInput::of(&known);
        let read = read(call, &mut input);
        let chain = checked(&input, known.id, read, call.m)?;
        session.db.update_chain(&chain).await.map_err(|error| refused(error, call.m))?;
        tell_chain(call, session, known.id).await
    })
}

fn checked(input: &ChainInput, id: ChainId, mut read: Faults, m: Messages) -> Result<Chain, Failure> {
    match input.check(id, m) {
        Ok(chain) if read.0.is_empty() => return Ok(chain),
        Ok(_) => {}
        Err(more) => read.0.extend(of_options(more)),
    }
    // A list that could not be read is not told to be empty as well.
    let mut told = std::collections::HashSet::new();
    read.0.retain(|fault| told.insert(fault.field.clone()));
    Err(Failure::options(read))
}

/// Faults of fields as faults of options.
fn of_options(faults: Faults) -> impl Iterator<Item = Fault> {
    faults.0.into_iter().map(|fault| Fault { field: option_of(&fault.field), ..fault })
}

fn refused(error: StorageError, m: Messages) -> Failure {
    match error {
        StorageError::Taken(_) => Failure::option("--name", m.common.field_taken()),
        StorageError::Loop(found) => Failure::Options(of_options(loop_fault(&found, m)).collect()),
        other => other.into(),
    }
}

/// Changes `input` as the options say; gives what could not be read, by option.
fn read(call: &Invocation, input: &mut ChainInput) -> Faults {
    let m = call.m;
    let mut options = Options::new(call);
    options.set("name", &mut input.name, |text| Ok(text.to_owned()));
    options.set_list("step", &mut input.steps, |steps| Ok(steps.iter().map(|step| step_of(step)).collect()));
    options.set("enabled", &mut input.enabled, |text| on_or_off(text, m));
    for name in call.all("remove-step").unwrap_or_default() {
        let before = input.steps.len();
        input.steps.retain(|step| folded(&step.model) != folded(name));
        if input.steps.len() == before {
            options.fault("remove-step", m.terminal.no_such_step(&clean(name)));
        }
    }
    for step in call.all("add-step").unwrap_or_default() {
        input.steps.push(step_of(step));
    }
    options.faults
}

/// A step as it is written on the command line: `model`, `model=500` or `model=never`. Another `=` is part of the name.
fn step_of(text: &str) -> StepInput {
    if let Some((model, time)) = text.rsplit_once('=')
        && let Some(spill) = Spill::read(time).filter(|_| !time.is_empty())
    {
        return StepInput { model: model.to_owned(), spill };
    }
    StepInput { model: text.to_owned(), spill: Spill::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_model_and_perhaps_its_time() {
        for (text, model, spill) in [
            ("org/b:free", "org/b:free", Spill::Ms(2000)),
            ("a=0", "a", Spill::Ms(0)),
            ("a=-5", "a", Spill::Ms(-5)),
            ("a=never", "a", Spill::Never),
            ("a=b", "a=b", Spill::Ms(2000)),
            ("a=", "a=", Spill::Ms(2000)),
            ("a=b=7", "a=b", Spill::Ms(7)),
        ] {
            assert_eq!(step_of(text), StepInput { model: model.into(), spill }, "{text}");
        }
    }
}
