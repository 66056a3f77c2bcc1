//! Follows what commands and operators change in the data folder while the server runs.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::vitals::{LONGEST_CALL, LifeSigns};
use crate::{
    dispatch::Dispatch,
    pool::upkeep::Wish,
    scheduler::limit::Cost,
    storage::{Db, StorageResult, catalog::CatalogStore},
};

/// How often the version counter is read: one row, a few microseconds. A command's change counts within a second.
const EVERY: Duration = Duration::from_millis(400);

/// How long what is known of models is believed without a look at how old it is.
const FINDINGS_HOLD: Duration = Duration::from_secs(3600);

/// Reads the version counter and looks at the provider and ranking files for ever; when somebody has changed something, builds a new
/// catalog, and begins and ends the rests that a command wants. A database that does not answer is tried again; what the
/// server knows stays in force.
pub async fn run(
    db: Db,
    catalog: CatalogStore,
    dispatch: Dispatch,
    signs: LifeSigns,
    stopping: CancellationToken,
) {
    // What was asked for while no server ran is done first.
    let mut followed = None;
    let mut failed = false;
    let mut findings = Findings::new();
    loop {
        let providers = catalog.providers().clone();
        // Listing a folder takes microseconds, but it may be on a network.
        let look = move || (providers.ranking().follow(), providers.follow());
        match tokio::task::spawn_blocking(look).await {
            Ok((tables_changed, providers_changed)) => {
                if providers_changed {
                    catalog.providers_changed().await;
                    findings.outdated = true;
                }
                // Prices are worked out with the snapshot.
                if tables_changed && let Err(error) = catalog.reload().await {
                    tracing::warn!(%error, "cannot take over what a ranking file changed");
                }
            }
            Err(_) => tracing::error!("looking for changed provider files panicked"),
        }
        let result = match follow(&db, &catalog, &dispatch, &signs, &mut followed).await {
            Ok(()) => findings.follow(&catalog).await,
            failure => failure,
        };
        match result {
            Ok(()) => failed = false,
            Err(error) => {
                if !failed {
                    tracing::warn!(%error, "cannot see whether a command has changed something; trying again");
                }
                failed = true;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// When what is known of models is read anew.
struct Findings {
    /// Whether providers' files have changed since.
    outdated: bool,
    /// Not before then, so that it takes no more than a twentieth of the time, however many models there are.
    not_before: Instant,
    /// By then in any case: what a probe has shown does not hold for ever.
    at_the_latest: Instant,
}

impl Findings {
    fn new() -> Self {
        let now = Instant::now();
        Self { outdated: false, not_before: now, at_the_latest: now + FINDINGS_HOLD }
    }

    async fn follow(&mut self, catalog: &CatalogStore) -> StorageResult<()> {
        let now = Instant::now();
        if now < self.not_before {
            return Ok(());
        }
        if self.outdated || now >= self.at_the_latest || catalog.has_new_findings().await? {
            catalog.learn_findings().await?;
            *self = Self { not_before: now + now.elapsed() * 20, ..Self::new() };
        }
        Ok(())
    }
}

/// `followed` is the version that this has seen to. The catalog's own does not do: an operator's change reloads the catalog
/// too, and then a wish to end rests, which was counted just before, would be overlooked.
async fn follow(
    db: &Db,
    catalog: &CatalogStore,
    dispatch: &Dispatch,
    signs: &LifeSigns,
    followed: &mut Option<i64>,
) -> StorageResult<()> {
    let version = db.catalog_version().await?;
    if *followed == Some(version) {
        return Ok(());
    }
    catalog.follow().await?;
    let wishes = db.take_retries().await?;
    let now = dispatch.now();
    for wish in wishes.iter().filter_map(|wish| serde_json::from_str(wish).ok()) {
        match wish {
            Wish::Retry(scope) => {
                dispatch.lock().rests_mut().clear(&scope);
            }
            Wish::Charge { charge, channel, model, input_tokens, tokens } => {
                let cost = Cost { input_tokens, tokens, most_tokens: tokens, units: 0 };
                dispatch.charge_key(channel, &model, charge, cost);
            }
            Wish::Sweep { sweep } => {
                let released = dispatch.release_stuck(LONGEST_CALL).len();
                signs.swept(sweep, released);
            }
            // One that nobody carried out while it lasted is over.
            Wish::Pause { until, .. } if until <= now.wall => {}
            Wish::Pause { pause, until } => dispatch.lock().pause(&pause, now.to_steady(until), now),
        }
    }
    *followed = Some(version);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{
            id::KeyId,
            settings::RuntimeSettings,
            time::{Clock, UnixMs},
            usage::OutcomeClass,
        },
        scheduler::rest::{Rest, RestEnd, Scope},
        storage::{providers::ProviderStore, recording::tests::open},
    };

    #[tokio::test]
    async fn a_rest_is_ended_although_a_page_has_reloaded_the_catalog_just_before() {
        let folder = tempfile::tempdir().unwrap();
        let (server, command) = (open(folder.path()).await, open(folder.path()).await);
        let settings = RuntimeSettings::sample();
        let settings = Arc::new(move |_: &_| settings.clone());
        let zone = jiff::tz::TimeZone::UTC;
        let catalog = CatalogStore::open(server.clone(), settings, zone, ProviderStore::open(folder.path()))
            .await
            .unwrap();
        let dispatch = Dispatch::new(Clock::system());
        let mut followed = None;
        follow(&server, &catalog, &dispatch, &LifeSigns::default(), &mut followed).await.unwrap();

        let scope = Scope::Key(KeyId(1));
        let rest = Rest {
            class: OutcomeClass::RateLimited,
            since: UnixMs(0),
            until: UnixMs(1_000),
            strikes: 1,
            struck_at: UnixMs(0),
            status: Some(429),
            detail: String::new(),
            end: RestEnd::Guessed,
            below: None,
        };
        dispatch.lock().rests_mut().restore([(scope.clone(), rest)]);
        command.ask_for_retry(&serde_json::to_string(&scope).unwrap()).await.unwrap();
        catalog.reload().await.unwrap();
        follow(&server, &catalog, &dispatch, &LifeSigns::default(), &mut followed).await.unwrap();
        assert!(dispatch.lock().rests().active(&scope, UnixMs(500)).is_none());
    }
}
