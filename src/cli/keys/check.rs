//! `onepool keys check` tests a key at its upstream; `onepool keys retry` ends what keeps it from calls.

use std::collections::BTreeSet;

use super::name_of;
use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, clean, print, tell},
        session::on_folder,
        view,
    },
    dispatch::on_every_endpoint,
    model::{
        catalog::ChannelEntry,
        key::{CheckKind, Key},
    },
    pool::upkeep::{answered, concerns_key, models_to_check, patient_timeouts},
    scheduler::rest::{Rest, Scope},
    upstream::check::check_key,
};

/// The rests that can keep a key from every model.
fn whole_scopes(entry: &ChannelEntry, key: &Key) -> Vec<Scope> {
    let group = key.quota_group.clone().map(|group| Scope::Group(entry.channel.id, group));
    [Scope::Key(key.id), Scope::Channel(entry.channel.id)].into_iter().chain(group).collect()
}

/// `onepool keys check ID`. A key that fails makes the command fail.
pub fn check(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let m = call.m;
        let (entry, key) = session.key(call.required("ID")).await?;
        let models = models_to_check(&entry.channel);
        let model = call.text("model").or(models.first().map(String::as_str));
        let timeouts = patient_timeouts(&*session.catalog().await?, &entry.channel);
        let clients = session.clients();
        let check = check_key(
            &clients,
            &entry.channel,
            session.providers.load().of(&entry.channel.provider),
            &key.secret,
            model,
            timeouts,
            &session.clock,
        )
        .await;
        session.db.save_key_check(key.id, &check).await?;
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
            format!("{}{texts}\n\n{verdict}", table.draw())
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
