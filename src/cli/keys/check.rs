//! `onepool keys check` tests a key at its upstream; `onepool keys retry` ends what keeps it from calls.

use std::collections::BTreeSet;

use serde_json::json;

use super::name_of;
use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, clean, list, print, tell},
        session::{Session, on_folder},
        view,
    },
    discovery::proof::{self, Depth, Subject},
    dispatch::on_every_endpoint,
    i18n::Messages,
    model::{
        catalog::ChannelEntry,
        key::{CheckKind, Key, KeyCheck, KeyVerdict},
    },
    pool::upkeep::{Wish, answered, concerns_key, models_to_check, patient_timeouts},
    scheduler::rest::{Rest, Scope},
};

/// The rests that can keep a key from every model.
fn whole_scopes(entry: &ChannelEntry, key: &Key) -> Vec<Scope> {
    let group = key.quota_group.clone().map(|group| Scope::Group(entry.channel.id, group));
    [Scope::Key(key.id), Scope::Channel(entry.channel.id)].into_iter().chain(group).collect()
}

/// Saves a test, and has a running server charge its calls to the key's limits.
/// Gives the quota group that the key joined for what the provider said of its account.
pub async fn saved(
    session: &Session,
    subject: &Subject<'_>,
    check: &KeyCheck,
) -> Result<Option<String>, Failure> {
    let group = proof::save(&session.db, subject, check).await?;
    let Some(model) = &check.model else { return Ok(group) };
    let wish = Wish::Charge {
        charge: subject.key.id,
        channel: subject.entry.channel.id,
        model: model.clone(),
        input_tokens: proof::COST.input_tokens,
        tokens: proof::COST.tokens,
    };
    for _ in 0..proof::charged(check) {
        session.leave_wish(&wish).await?;
    }
    Ok(group)
}

/// What is proved about a key, in a sentence.
pub fn verdict_text(m: Messages, verdict: KeyVerdict) -> &'static str {
    let d = m.discovery;
    match verdict {
        KeyVerdict::Callable => d.verdict_callable(),
        KeyVerdict::Known => d.verdict_known(),
        KeyVerdict::Invalid => d.verdict_invalid(),
        KeyVerdict::NotKnown => d.verdict_not_known(),
    }
}

/// `onepool keys check` without an id: proves every key that is switched on, as cheaply as possible. Proofs of the last day
/// are taken as they are, unless `--fresh`. A key that is wrong makes the command fail.
fn check_all(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let m = call.m;
        let wanted = match call.text("channel") {
            Some(name) => Some(session.channel(name).await?.channel.id),
            None => None,
        };
        let catalog = session.catalog().await?;
        let (dispatch, _) = session.dispatch(&catalog).await?;
        let (clients, providers) = (session.clients(), session.providers.load());
        let (mut rows, mut json) = (Vec::new(), Vec::new());
        for entry in catalog.channels().filter(|entry| wanted.is_none_or(|id| id == entry.channel.id)) {
            let known = session.db.key_rows(entry.channel.id).await?;
            for key in entry.keys.iter().filter(|key| key.enabled) {
                let last = known.iter().find(|row| row.id == key.id).and_then(|row| row.last_check.clone());
                let last =
                    last.filter(|check| !call.is_on("fresh") && proof::holds(Some(check), session.now()));
                let check = match last {
                    Some(check) => check,
                    None => {
                        let timeouts = patient_timeouts(&catalog, &entry.channel);
                        let provider = providers.of(&entry.channel.provider);
                        let subject = Subject { entry, key, provider, timeouts };
                        let check = proof::check_key(
                            &clients,
                            &dispatch,
                            &subject,
                            None,
                            Depth::Proof,
                            session.now(),
                        )
                        .await;
                        saved(session, &subject, &check).await?;
                        check
                    }
                };
                json.push(json!({
                    "key_id": key.id.0, "channel": entry.channel.name, "check": view::check(&check),
                }));
                rows.push((name_of(key), entry.channel.name.clone(), check));
            }
        }
        tell(call, &list(json), || {
            let d = m.discovery;
            let mut table = Table::new([m.channels.key(), m.log.channel(), m.log.result(), m.log.time()]);
            for (name, channel, check) in &rows {
                let look = match check.verdict {
                    KeyVerdict::Callable | KeyVerdict::Known => Look::Good,
                    KeyVerdict::Invalid => Look::Bad,
                    KeyVerdict::NotKnown => Look::Doubtful,
                };
                table.row([
                    Cell::text(name),
                    Cell::text(channel),
                    Cell::text(verdict_text(m, check.verdict)).look(look),
                    Cell::text(session.local(check.at)),
                ]);
            }
            if rows.is_empty() { d.no_keys().to_owned() } else { table.draw() }
        })?;
        let wrong = rows.iter().any(|(.., check)| check.verdict == KeyVerdict::Invalid);
        if wrong { Err(Failure::Told) } else { Ok(()) }
    })
}

/// `onepool keys check ID`. A key that fails makes the command fail.
pub fn check(call: &Invocation) -> Result<(), Failure> {
    if call.text("ID").is_none() {
        return check_all(call);
    }
    on_folder(call, async |session| {
        let m = call.m;
        let (entry, key) = session.key(call.required("ID")).await?;
        let models = models_to_check(&entry.channel);
        let model = call.text("model").or(models.first().map(String::as_str));
        let timeouts = patient_timeouts(&*session.catalog().await?, &entry.channel);
        let catalog = session.catalog().await?;
        let (dispatch, _) = session.dispatch(&catalog).await?;
        let provider = session.providers.load().of(&entry.channel.provider).clone();
        let subject = Subject { entry: &entry, key: &key, provider: &provider, timeouts };
        let check =
            proof::check_key(&session.clients(), &dispatch, &subject, model, Depth::Full, session.now())
                .await;
        saved(session, &subject, &check).await?;
        if answered(&check) {
            // A key that has just answered need not rest any longer.
            let of_model = model.into_iter().flat_map(|model| {
                [
                    Scope::KeyModel(key.id, model.to_owned()),
                    Scope::ChannelModel(entry.channel.id, model.to_owned()),
                ]
            });
            let (book, now) = (session.rests().await?, session.now());
            let is_paused = |scope: &Scope| book.active(scope, now).is_some_and(Rest::is_pause);
            let scopes = whole_scopes(&entry, &key).into_iter().chain(of_model);
            session.end_rests(scopes.filter(|scope| !is_paused(scope))).await?;
        }
        tell(call, &view::check(&check), || {
            let c = m.channels;
            let mut table = Table::new([m.terminal.step(), m.log.result(), m.log.status(), m.log.duration()]);
            let mut texts = String::new();
            for step in &check.steps {
                let name = match step.kind {
                    CheckKind::List => c.step_list(),
                    CheckKind::Key => c.step_key(),
                    CheckKind::Chat => c.step_chat(),
                    CheckKind::Stream => c.step_stream(),
                };
                let (word, look) = match (step.ok, step.class) {
                    (true, _) => (c.check_passed(), Look::Good),
                    (false, Some(class)) => (m.log.class_name(class), Look::Bad),
                    (false, None) => (c.check_failed(), Look::Bad),
                };
                table.row([
                    Cell::text(name),
                    Cell::text(word).look(look),
                    Cell::number(step.status.map(|status| status.to_string()).unwrap_or_default()),
                    Cell::number(c.step_took(step.duration_ms)),
                ]);
                if !step.ok {
                    texts.push_str(&format!("\n\n{name}: {}", clean(&step.text)));
                }
            }
            let verdict = if check.passed() { c.test_passed() } else { m.terminal.check_failed() };
            let proved = verdict_text(m, check.verdict);
            format!("{}{texts}\n\n{verdict}\n{proved}", table.draw())
        })?;
        if check.passed() { Ok(()) } else { Err(Failure::Told) }
    })
}

/// `onepool keys retry ID`: ends every rest that calls with the key would wait for.
pub fn retry(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (entry, key) = session.key(call.required("ID")).await?;
        let book = session.rests().await?;
        // A rest that has just begun may not be saved yet, so those of the key itself are named in any case.
        let mut scopes: BTreeSet<Scope> = whole_scopes(&entry, &key).into_iter().collect();
        scopes.extend(
            models_to_check(&entry.channel)
                .into_iter()
                .flat_map(|model| on_every_endpoint(&Scope::KeyModel(key.id, model))),
        );
        let active = book.all_active(session.now()).map(|(scope, _)| scope);
        scopes.extend(active.filter(|scope| concerns_key(&entry, &key, scope)).cloned());
        session.end_rests(scopes).await?;
        print(&call.m.terminal.key_retried(&name_of(&key)))
    })
}
