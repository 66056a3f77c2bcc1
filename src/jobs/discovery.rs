//! Asks every channel's upstream for its models from time to time, and takes over which models answered calls.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::{
    discovery::{
        RefreshFailure, Refreshed, can_be_asked,
        round::{Question, Rounds, ask_each},
    },
    model::{
        catalog::{Catalog, ChannelEntry},
        time::{Clock, UnixMs},
    },
    pool::upkeep::patient_timeouts,
    storage::{Db, StorageError, StorageResult, catalog::CatalogStore, discovery::Discovery},
    upstream::client::Clients,
};

/// How often the job looks whether something is due. The first look is one such time after the start, so that a server
/// that starts does not ask everybody at once.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How far back the usage log is looked at for models that answered: at the first look, and at each later one.
const ANSWERS_AT_FIRST: Duration = Duration::from_secs(30 * 86_400);
const ANSWERS: Duration = Duration::from_secs(3600);

/// What the job works with.
#[derive(Clone)]
pub struct Parts {
    /// Where what is listed is noted.
    pub db: Db,
    /// The channels.
    pub catalog: CatalogStore,
    /// The network.
    pub clients: Clients,
    /// The time.
    pub clock: Clock,
}

/// Looks for ever.
pub async fn run(parts: Parts, stopping: CancellationToken) {
    let mut since = ANSWERS_AT_FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stopping.cancelled() => return,
        }
        let look = async {
            parts.db.note_model_answers(parts.clock.now() - since).await?;
            refresh_due(&parts).await
        };
        tokio::select! {
            result = look => match result {
                Ok(()) => since = ANSWERS,
                Err(error) => tracing::warn!(%error, "cannot note what upstreams list; trying again"),
            },
            () = stopping.cancelled() => return,
        }
    }
}

/// Does the rounds that pages and scripts ask for.
pub async fn run_rounds(parts: Parts, rounds: Rounds, stopping: CancellationToken) {
    loop {
        let round = async {
            let wanted = rounds.next().await;
            let snapshot = parts.catalog.load();
            let entries = snapshot.channels().filter(|entry| wanted.contains(&entry.channel.id));
            let questions = questions(&parts, &snapshot, entries);
            let note = |entry: &ChannelEntry, outcome: &Result<Refreshed, RefreshFailure>| {
                let models = outcome.as_ref().ok().map(|refreshed| refreshed.fetched.listing.models.len());
                rounds.answered(entry, models);
            };
            if let Err(error) = ask(&parts, &questions, note).await {
                tracing::warn!(%error, "cannot note what upstreams list");
            }
            rounds.done();
        };
        tokio::select! {
            () = round => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// Asks every upstream that is due, several at a time.
async fn refresh_due(parts: &Parts) -> StorageResult<()> {
    let snapshot = parts.catalog.load();
    let every = Duration::from_secs(u64::from(snapshot.settings.discovery_every_hours) * 3600);
    if every.is_zero() {
        return Ok(());
    }
    let known = parts.db.discoveries().await?;
    let is_due = |entry: &&Arc<ChannelEntry>| {
        let channel = &entry.channel;
        channel.enabled
            && can_be_asked(entry, &parts.catalog.provider_of(channel))
            && due(known.get(&channel.id), channel.id.0, every, parts.clock.now())
    };
    let questions = questions(parts, &snapshot, snapshot.channels().filter(is_due));
    ask(parts, &questions, |_, _| {}).await
}

fn questions<'a>(
    parts: &Parts,
    snapshot: &Catalog,
    entries: impl Iterator<Item = &'a Arc<ChannelEntry>>,
) -> Vec<Question> {
    let question = |entry: &Arc<ChannelEntry>| Question {
        entry: entry.clone(),
        provider: parts.catalog.provider_of(&entry.channel),
        timeouts: patient_timeouts(snapshot, &entry.channel),
    };
    entries.map(question).collect()
}

/// Asks them all; a fault of the database is given back at the end.
async fn ask(
    parts: &Parts,
    questions: &[Question],
    note: impl Fn(&ChannelEntry, &Result<Refreshed, RefreshFailure>),
) -> StorageResult<()> {
    let mut fault = Ok(());
    let mut outcomes = pin!(ask_each(&parts.db, &parts.clients, questions, || parts.clock.now()));
    while let Some((place, outcome)) = outcomes.next().await {
        let entry = &questions[place].entry;
        note(entry, &outcome);
        match outcome {
            Ok(refreshed) => {
                let saved = refreshed.saved;
                tracing::debug!(
                    channel = %entry.channel.id, models = refreshed.fetched.listing.models.len(),
                    appeared = saved.appeared, changed = saved.changed, vanished = saved.vanished,
                    "asked an upstream for its models"
                );
            }
            // A channel that was deleted meanwhile has no list.
            Err(RefreshFailure::Storage(StorageError::Missing)) => {}
            Err(RefreshFailure::Storage(error)) => fault = Err(error),
            Err(RefreshFailure::Fetch(_) | RefreshFailure::NoKey) => {
                tracing::debug!(channel = %entry.channel.id, "an upstream gave no list of models");
            }
        }
    }
    fault
}

/// Whether it is time to ask again: after the interval, up to a tenth sooner or later, so that channels that were made
/// together are not asked together. A clock that was set back delays nothing by more than the interval.
fn due(known: Option<&Discovery>, channel: i64, every: Duration, now: UnixMs) -> bool {
    let Some(known) = known else { return true };
    let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let mixed = (channel ^ known.tried_at.0).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed());
    let permille = 900 + (mixed >> 20).rem_euclid(201);
    let wait_ms = every_ms / 1000 * permille;
    now.0 >= known.tried_at.0.saturating_add(wait_ms) || now < known.tried_at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_asked_again_after_the_interval_give_or_take_a_tenth() {
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let tried_at = UnixMs(1_800_000_000_000);
        let known = Discovery { tried_at, listed_at: None, models: 0, complete: false, fault: None };
        let mut times = std::collections::BTreeSet::new();
        for channel in 0..50 {
            let due_at = |after: Duration| due(Some(&known), channel, hours(6), tried_at + after);
            assert!(!due_at(hours(6).mul_f64(0.89)) && due_at(hours(6).mul_f64(1.11)), "{channel}");
            times.insert((0..1000).find(|step| due_at(hours(6).mul_f64(f64::from(*step) / 500.0))));
        }
        assert!(times.len() > 20, "they would all be asked at once: {times:?}");
        assert!(due(None, 1, hours(6), tried_at), "one that was never asked is due");
        assert!(due(Some(&known), 1, hours(6), tried_at - hours(1)), "a clock that was set back");
    }
}
