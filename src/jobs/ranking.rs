//! Keeps the managed chains up to date: builds them anew when something changed that they are made from, and from time to
//! time because quotas and measurements change; and asks dead models whether they still are.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    discovery::probe::{HeldBack, Prober, Subject},
    dispatch::Dispatch,
    model::{id::ChannelId, probe::ProbeKind, time::Clock, usage::OutcomeClass},
    pool::upkeep::patient_timeouts,
    provider::Providers,
    ranking::liveness::{Sign, Turn},
    selection::{Rebuilt, Sources, rebuild},
    storage::{Db, StorageResult, catalog::CatalogStore, ranking::TurnOf, ranking_files::Tables},
    upstream::client::Clients,
};

/// How often the job looks whether something changed: three small queries.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the chains are built anew though nothing changed.
const REBUILD_EVERY: Duration = Duration::from_secs(5 * 60);

/// The most dead models that are asked after one rebuild, one at a time.
const MOST_PROBES: usize = 5;

/// What chains are built from, as far as it can be told cheaply whether it changed.
#[derive(Default)]
struct Seen {
    catalog: i64,
    ranking: i64,
    files: Option<(Arc<Tables>, Arc<Providers>)>,
}

/// What the job works with.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Channels, keys and settings; it is reloaded when steps change.
    pub catalog: CatalogStore,
    /// What rests, and what is left of quotas.
    pub dispatch: Dispatch,
    /// The network, for probes of dead models.
    pub clients: Clients,
    /// The time.
    pub clock: Clock,
}

/// Looks for ever, at once for the first time.
pub async fn run(parts: Parts, stopping: CancellationToken) {
    let mut seen = Seen::default();
    let mut due = Instant::now();
    let mut failed = false;
    loop {
        tokio::select! {
            result = parts.look(&mut seen, &mut due) => match result {
                Ok(()) => failed = false,
                Err(error) => {
                    if !failed {
                        tracing::warn!(%error, "cannot build the managed chains; trying again");
                    }
                    failed = true;
                }
            },
            () = stopping.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

impl Parts {
    /// Builds the chains if it is time.
    async fn look(&self, seen: &mut Seen, due: &mut Instant) -> StorageResult<()> {
        let turns = self.db.note_model_signs(self.clock.now()).await?;
        tell(&turns);
        // Read first: what changes during the building is seen the next time.
        let (catalog, ranking) = (self.db.catalog_version().await?, self.db.ranking_version().await?);
        let providers = self.catalog.providers();
        let files = (providers.ranking().load(), providers.load());
        let same_files = seen
            .files
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(&known.0, &files.0) && Arc::ptr_eq(&known.1, &files.1));
        let same = same_files && (seen.catalog, seen.ranking) == (catalog, ranking);
        if same && turns.is_empty() && Instant::now() < *due {
            return Ok(());
        }
        let rebuilt = self.rebuild().await?;
        *seen = Seen { catalog, ranking, files: Some(files) };
        *due = Instant::now() + REBUILD_EVERY;
        if self.ask_dead(&rebuilt.to_probe).await? {
            *due = Instant::now();
        }
        Ok(())
    }

    /// Builds the chains, and reloads the catalog if steps changed.
    pub async fn rebuild(&self) -> StorageResult<Rebuilt> {
        let _chains = self.catalog.hold_for_chains().await;
        self.catalog.follow().await?;
        let snapshot = self.catalog.load();
        let sources = Sources {
            db: &self.db,
            catalog: &snapshot,
            providers: self.catalog.providers(),
            dispatch: Some(&self.dispatch),
            now: self.clock.now(),
        };
        let rebuilt = rebuild(sources).await?;
        tell(&rebuilt.turns);
        if rebuilt.changed() {
            for chain in rebuilt.chains.iter().filter(|chain| chain.before != chain.models) {
                let models: Vec<&str> = chain.models.iter().map(|model| model.as_str()).collect();
                tracing::info!(chain = %chain.purpose, ?models, "a managed chain changed");
            }
            self.catalog.reload().await?;
        }
        Ok(rebuilt)
    }

    /// Asks some dead models with one call each. What no probe may ask comes back on trial. Says whether something was
    /// heard, so that the chains are worth another look.
    pub async fn ask_dead(&self, dead: &BTreeSet<(ChannelId, String)>) -> StorageResult<bool> {
        let snapshot = self.catalog.load();
        let percent = snapshot.settings.probe_quota_percent;
        let (db, clients, dispatch, clock) = (&self.db, &self.clients, &self.dispatch, &self.clock);
        let prober = Prober { db, clients, dispatch, clock, percent };
        let mut heard = false;
        for (channel, model) in dead.iter().take(MOST_PROBES) {
            let Some(entry) = snapshot.channel(*channel) else { continue };
            let provider = self.catalog.provider_of(&entry.channel);
            let timeouts = patient_timeouts(&snapshot, &entry.channel);
            let subject = Subject { entry, provider: &provider, model, timeouts };
            let probed = prober.probe(&subject, &[ProbeKind::Stream], 0).await?;
            let now = clock.now();
            if probed.classes.is_empty() && probed.held_back == Some(HeldBack::Share) {
                heard |= db.release_model(*channel, model, now).await?;
            }
            if let Some(sign) = probed.classes.last().and_then(|class| sign_of(*class)) {
                if let Some(turn) = db.note_model_sign(*channel, model, sign, now).await? {
                    tell(&[TurnOf { channel: *channel, model: model.clone(), turn }]);
                }
                heard |= sign == Sign::Answered;
            }
        }
        Ok(heard)
    }
}

/// What the answer to a plain question says of the model.
fn sign_of(class: OutcomeClass) -> Option<Sign> {
    match class {
        OutcomeClass::Success => Some(Sign::Answered),
        OutcomeClass::ModelUnavailable => Some(Sign::Refused),
        OutcomeClass::HostError => Some(Sign::Failed),
        _ => None,
    }
}

fn tell(turns: &[TurnOf]) {
    for TurnOf { channel, model, turn } in turns {
        match turn {
            Turn::Died(cause) => {
                tracing::info!(%channel, model, %cause, "a model leaves the managed chains");
            }
            Turn::Returned => tracing::info!(%channel, model, "a model may be in the managed chains again"),
        }
    }
}
