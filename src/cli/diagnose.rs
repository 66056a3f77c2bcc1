//! `onepool diagnose`: what somebody who helps needs to know of an installation, without secrets.

use clap::Command;
use serde_json::{Value, json};

use super::{
    Failure,
    command::{Entry, all_flags, json_switch, switch, verb},
    invocation::Invocation,
    output::{at, clean, print},
    repair,
    session::on_folder,
};
use crate::{
    i18n::Messages,
    repair::diagnosis::{Diagnosis, glance, look},
};

/// `onepool diagnose`.
pub const ENTRY: Entry = Entry { name: "diagnose", command, run };

fn command(m: Messages) -> Command {
    let t = m.health;
    let examples = &["onepool diagnose", "onepool diagnose --offline --json"];
    verb(ENTRY.name, t.diagnose_about(), examples, m)
        .arg(switch("offline", t.diagnose_offline(), m))
        .arg(json_switch(m))
        .args(all_flags(m))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    on_folder(call, async |session| {
        let place = repair::place(session).await?;
        let diagnosis =
            if call.is_on("offline") { glance(&place, None) } else { look(&place, None, None).await? };
        if call.is_on("json") {
            print(&format!("{:#}", json_of(m, &diagnosis)))
        } else {
            let text = diagnosis.text(m.lang);
            print(&text.lines().map(clean).collect::<Vec<_>>().join("\n"))
        }
    })
}

fn json_of(m: Messages, diagnosis: &Diagnosis) -> Value {
    let facts: Vec<Value> = diagnosis
        .facts
        .iter()
        .map(|fact| {
            json!({
                "group": fact.group,
                "code": fact.code,
                "state": fact.state,
                "label": fact.label.text(m.lang),
                "value": fact.value.text(m.lang),
            })
        })
        .collect();
    json!({ "at": at(diagnosis.at), "asked_others": diagnosis.asked_others, "facts": facts })
}
