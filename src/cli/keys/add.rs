//! `onepool keys add`: reads keys in any of the shapes that the pages take, and says what became of each.

use serde_json::{Value, json};

use crate::{
    cli::{
        Failure,
        ask::secret_text,
        invocation::Invocation,
        options::{Options, option_of},
        output::{Cell, Look, Table, clean, tell},
        session::on_folder,
    },
    i18n::Messages,
    model::key::{MAX_PASTED_KEYS, PasteProblem, PastedKey, PastedLine, parse_pasted},
    model::limit::Limit,
    pool::{
        input::{Fault, Faults, LimitInput, Limited, check_limits},
        rules::{MAX_NAME_CHARS, check_length},
    },
    provider::Provider,
    storage::keys::KeyAdded,
};

/// `onepool keys add CHANNEL`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let (label, group) =
        (call.text("label").unwrap_or_default(), call.text("quota-group").unwrap_or_default());
    for (option, text) in [("--label", label), ("--quota-group", group)] {
        check_length(m, text, MAX_NAME_CHARS).map_err(|message| Failure::option(option, message))?;
    }
    on_folder(call, async |session| {
        // A channel that is not there is told before anybody types a key.
        let entry = session.channel(call.required("CHANNEL")).await?;
        let limits = limits_of(call, session.providers.load().of(&entry.channel.provider))?;
        let prompt = m.terminal.key_prompt(&clean(&entry.channel.name));
        let text = secret_text(call.text("file"), &prompt, m)?;
        let mut lines = parse_pasted(&text);
        if lines.is_empty() {
            return Err(Failure::Usage(m.channels.paste_nothing().to_owned()));
        }
        name_lines(&mut lines, label);
        let quota_group = Some(group.to_owned()).filter(|group| !group.is_empty());
        let keys: Vec<PastedKey> = lines
            .iter()
            .filter_map(|line| {
                let secret = line.key.as_ref().ok()?.clone();
                Some(PastedKey {
                    label: line.label.clone(),
                    secret,
                    quota_group: quota_group.clone(),
                    limits: limits.clone(),
                })
            })
            .collect();
        let added = session.db.add_keys(entry.channel.id, &keys).await?;
        report(call, &lines, &added)
    })
}

/// The limits of `--limit`, for each of the keys.
fn limits_of(call: &Invocation, provider: &Provider) -> Result<Vec<Limit>, Failure> {
    let (mut inputs, mut options) = (Vec::new(), Options::new(call));
    options.set_list("limit", &mut inputs, |lines| {
        lines.iter().map(|line| LimitInput::read(line, call.m)).collect()
    });
    let mut faults = options.faults;
    let limited = Limited { key: true, provider: Some(provider) };
    let mut wrong = Faults::default();
    let limits = check_limits(&inputs, limited, "", call.m, &mut wrong);
    faults.0.extend(wrong.0.into_iter().map(|fault| Fault { field: option_of(&fault.field), ..fault }));
    faults.or(limits).map_err(Failure::options)
}

/// Gives the keys the label that was asked for; several are numbered.
fn name_lines(lines: &mut [PastedLine], label: &str) {
    if label.is_empty() {
        return;
    }
    let several = lines.iter().filter(|line| line.key.is_ok()).count() > 1;
    for (number, line) in (1..).zip(lines.iter_mut().filter(|line| line.key.is_ok())) {
        line.label = if several { format!("{label} {number}") } else { label.to_owned() };
    }
}

/// Says what became of each key. A refused one makes it a failure, so that a script notices.
fn report(call: &Invocation, lines: &[PastedLine], added: &[KeyAdded]) -> Result<(), Failure> {
    let (m, c) = (call.m, call.m.channels);
    let mut table = Table::new([c.paste_line(), m.terminal.id(), c.label(), c.key(), c.paste_result()]);
    let mut results: Vec<Value> = Vec::new();
    let mut counts = [0_usize; 3];
    let mut added = added.iter();
    for line in lines {
        let outcome = line.key.as_ref().map(|secret| (secret, added.next()));
        let (id, last4, word, text, look, count) = match outcome {
            Ok((secret, Some(KeyAdded::Added(id)))) => {
                (Some(*id), secret.last4(), "added", c.paste_added().to_owned(), Look::Good, 0)
            }
            Ok((secret, _)) => {
                (None, secret.last4(), "duplicate", c.paste_duplicate().to_owned(), Look::Plain, 1)
            }
            Err(problem) => (None, String::new(), "refused", problem_text(m, *problem), Look::Bad, 2),
        };
        counts[count] += 1;
        results.push(json!({
            "line": line.line,
            "label": line.label,
            "last4": last4,
            "result": word,
            "key_id": id,
            "message": (word == "refused").then_some(&text),
        }));
        table.row([
            Cell::number(line.line.to_string()),
            Cell::number(id.map(|id| id.to_string()).unwrap_or_default()),
            Cell::text(&line.label),
            Cell::text(if last4.is_empty() { String::new() } else { format!("…{last4}") }),
            Cell::text(&text).look(look),
        ]);
    }
    let [good, duplicates, refused] = counts;
    let json = json!({ "added": good, "duplicates": duplicates, "refused": refused, "results": results });
    tell(call, &json, || format!("{}\n{}", table.draw(), c.paste_summary(good, duplicates, refused)))?;
    if refused > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn problem_text(m: Messages, problem: PasteProblem) -> String {
    let c = m.channels;
    match problem {
        PasteProblem::TooShort => c.paste_too_short().to_owned(),
        PasteProblem::TooLong => c.paste_too_long().to_owned(),
        PasteProblem::NotAscii => c.paste_not_ascii().to_owned(),
        PasteProblem::NoValue => c.paste_no_value().to_owned(),
        PasteProblem::TooMany => c.paste_too_many(MAX_PASTED_KEYS),
    }
}
