//! What `onepool setup` and `onepool auto` do with keys that have found their place: models, proofs, the managed chain, a
//! token, OpenClaw's configuration.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::{
    TOKEN,
    report::{Checked, Report, Serving, TokenMade},
};
use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        keys::{Fate, Filled, Placed, account_texts, fill, name_of, saved},
        openclaw::{base_url, make, usual_token},
        progress::Progress,
        session::Session,
    },
    discovery::{
        Choice, RefreshFailure,
        proof::{self, Depth, Subject},
        refresh, summary,
    },
    export::openclaw::{ExportOptions, Form},
    model::{
        catalog::{Catalog, ChannelEntry},
        id::{ChannelId, KeyId},
        key::{Key, KeyCheck, KeyVerdict},
        token::{ClientProfile, Token},
    },
    pool::{
        rules::{MAX_NAME_CHARS, check_length},
        upkeep::patient_timeouts,
    },
    selection::{self, Sources},
    storage::{
        folder::{Claim, DataFolder},
        tokens::{NewToken, new_value},
    },
};

/// How many keys are proved at the same time.
const AT_ONCE: usize = 4;

/// Takes every step; what is done already is left as it is.
pub async fn run(
    call: &Invocation<'_>,
    session: &Session,
    placed: Vec<Placed>,
    profile: ClientProfile,
) -> Result<Report, Failure> {
    let quiet = call.is_on("json");
    let name = call.text("token").unwrap_or(TOKEN);
    check_length(call.m, name, MAX_NAME_CHARS).map_err(|message| Failure::option("--token", message))?;
    let new: Vec<KeyId> =
        placed.iter().filter(|one| one.fate == Fate::Added).filter_map(|one| one.key).collect();
    let refused = placed.iter().filter_map(|one| one.told.as_ref()).filter(|told| told.is_refused());
    let refused: Vec<KeyId> = refused.map(|told| told.key).collect();
    switch_off(session, &refused).await?;
    let mut filled = list_models(call, session, quiet).await?;
    let mut checks = prove(session, quiet).await?;
    let wrong = |checked: &&mut Checked| checked.check.verdict == KeyVerdict::Invalid;
    for checked in checks.iter_mut().filter(wrong) {
        // A key that worked before is left to the pool, which lets it rest; somebody may be about to renew it.
        checked.switched_off = new.contains(&checked.key);
    }
    let off: Vec<KeyId> = checks.iter().filter(|one| one.switched_off).map(|one| one.key).collect();
    if !off.is_empty() {
        switch_off(session, &off).await?;
        // The list may have failed for want of a right key, which is the one that asks now.
        let failed = |filled: &&Filled| matches!(filled.models, Some(Err(_)));
        let again: Vec<ChannelId> = filled.iter().filter(failed).map(|filled| filled.id).collect();
        for second in fill(session, &again, choice(call)).await? {
            filled.retain(|one| one.id != second.id);
            filled.push(second);
        }
    }
    let channels: Vec<ChannelId> = filled.iter().map(|filled| filled.id).collect();
    let hints = account_texts(session, &channels).await?;
    let chains = chains(session, quiet).await?;
    let (token, value) = match token_in_use(call, session).await? {
        Some(token) => (token, None),
        None => make_token(session, name, profile).await?,
    };
    let catalog = session.catalog().await?;
    let url = base_url(call, session, &catalog)?;
    let options = ExportOptions {
        models: chosen(&chains, &catalog, &token),
        form: Some(Form::File),
        ..ExportOptions::default()
    };
    let snippet = make(session, &catalog, &token, &url, value.as_ref(), &options).await?.document;
    let serving = match DataFolder::existing(&session.config.data_dir)?.claim() {
        Claim::Server(address) => Serving::Runs(address),
        _ => Serving::Stands,
    };
    let models = catalog.models_for(&token).count();
    Ok(Report {
        dry_run: false,
        placed,
        checks,
        filled,
        hints,
        chains,
        token: Some(TokenMade { name: token.name.clone(), value, models }),
        openclaw: Some((url, snippet)),
        serving: Some(serving),
        settings_flags: call.text("DATA_DIR").map(|path| path.to_owned()),
    })
}

async fn switch_off(session: &Session, keys: &[KeyId]) -> Result<(), Failure> {
    for key in keys {
        session.db.set_key_enabled(*key, false).await?;
    }
    Ok(())
}

/// Asks every channel that is switched on and has a key for its models; those that offer none begin with what is listed.
async fn list_models(call: &Invocation<'_>, session: &Session, quiet: bool) -> Result<Vec<Filled>, Failure> {
    let catalog = session.catalog().await?;
    let entries: Vec<Arc<ChannelEntry>> = catalog
        .channels()
        .filter(|entry| entry.channel.enabled && entry.keys.iter().any(|key| key.enabled))
        .cloned()
        .collect();
    let progress = Progress::begin(session.m.onboarding.step_models(), entries.len(), quiet);
    let (clients, providers) = (session.clients(), session.providers.load());
    let mut all = Vec::new();
    for entry in entries {
        let channel = &entry.channel;
        if channel.models.is_empty() && channel.redirects.is_empty() {
            all.extend(fill(session, &[channel.id], choice(call)).await?);
        } else {
            let timeouts = patient_timeouts(&catalog, channel);
            let provider = providers.of(&channel.provider);
            let asked = refresh(&session.db, &clients, &entry, provider, timeouts, session.now()).await;
            let models = match asked {
                Ok(_) | Err(RefreshFailure::NoKey) => None,
                Err(RefreshFailure::Storage(error)) => return Err(error.into()),
                Err(RefreshFailure::Fetch(failure)) => Some(Err(summary(&failure))),
            };
            all.push(Filled { id: channel.id, name: channel.name.clone(), models });
        }
        progress.step(&channel.name);
    }
    Ok(all)
}

/// What a channel without models begins with.
fn choice(call: &Invocation) -> Choice {
    if call.is_on("all-models") { Choice::All } else { Choice::FreeFirst }
}

/// Proves every key that is switched on and was not proved within the last day, as cheaply as possible, charged to its
/// limits.
async fn prove(session: &Session, quiet: bool) -> Result<Vec<Checked>, Failure> {
    let catalog = session.catalog().await?;
    let (dispatch, _) = session.dispatch(&catalog).await?;
    let (clients, providers) = (session.clients(), session.providers.load());
    let mut due: Vec<(Arc<ChannelEntry>, Arc<Key>)> = Vec::new();
    let mut done: Vec<Checked> = Vec::new();
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        let rows = session.db.key_rows(entry.channel.id).await?;
        for key in entry.keys.iter().filter(|key| key.enabled) {
            let last = rows.iter().find(|row| row.id == key.id).and_then(|row| row.last_check.clone());
            match last.filter(|check| proof::holds(Some(check), session.now())) {
                Some(check) => done.push(checked(entry, key, check, None)),
                None => due.push((entry.clone(), key.clone())),
            }
        }
    }
    let progress = Progress::begin(session.m.onboarding.step_keys(), due.len(), quiet || due.is_empty());
    let asked = stream::iter(due).map(async |(entry, key)| {
        let timeouts = patient_timeouts(&catalog, &entry.channel);
        let provider = providers.of(&entry.channel.provider).clone();
        let subject = Subject { entry: &entry, key: &key, provider: &provider, timeouts };
        let check = proof::check_key(&clients, &dispatch, &subject, None, Depth::Proof, session.now()).await;
        progress.step(&name_of(&key));
        (entry, key, provider, timeouts, check)
    });
    let results: Vec<_> = asked.buffered(AT_ONCE).collect().await;
    for (entry, key, provider, timeouts, check) in results {
        let subject = Subject { entry: &entry, key: &key, provider: &provider, timeouts };
        let group = saved(session, &subject, &check).await?;
        done.push(checked(&entry, &key, check, group));
    }
    done.sort_by_key(|checked| checked.key);
    Ok(done)
}

fn checked(entry: &ChannelEntry, key: &Key, check: KeyCheck, group: Option<String>) -> Checked {
    Checked {
        key: key.id,
        name: name_of(key),
        channel: entry.channel.name.clone(),
        check,
        group,
        switched_off: false,
    }
}

/// The token that clients use: the one that `--token` names, if there is one; without the option the usual one.
async fn token_in_use(call: &Invocation<'_>, session: &Session) -> Result<Option<Token>, Failure> {
    let Some(name) = call.text("token") else { return usual_token(session).await };
    let wanted = name.to_lowercase();
    Ok(session.db.tokens().await?.into_iter().find(|token| token.name.to_lowercase() == wanted))
}

async fn make_token(
    session: &Session,
    name: &str,
    profile: ClientProfile,
) -> Result<(Token, Option<crate::model::secret::Secret>), Failure> {
    let value = new_value();
    let new = NewToken { profile, ..NewToken::unlimited(name, value.clone()) };
    session.db.create_token(&new).await?;
    Ok((session.token(name).await?, Some(value)))
}

/// Has the managed chains built anew of what is known now; gives all chains, each with its models.
async fn chains(session: &Session, quiet: bool) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let progress = Progress::begin(session.m.onboarding.step_chains(), 1, quiet);
    let catalog = session.catalog().await?;
    let (dispatch, _) = session.dispatch(&catalog).await?;
    let sources = Sources {
        db: &session.db,
        catalog: &catalog,
        providers: &session.providers,
        dispatch: Some(&dispatch),
        now: session.now(),
    };
    selection::rebuild(sources).await?;
    progress.step("");
    session.chain_models().await
}

/// The models for a client to begin with: the chains that stand for something, `auto` first; without any, everything.
fn chosen(chains: &[(String, Vec<String>)], catalog: &Catalog, token: &Token) -> Vec<String> {
    let usable = |name: &str| {
        let folded = name.to_lowercase();
        catalog.models_for(token).any(|model| model.name.to_lowercase() == folded)
    };
    let full = chains.iter().filter(|(name, models)| !models.is_empty() && usable(name));
    full.map(|(name, _)| name.clone()).collect()
}
