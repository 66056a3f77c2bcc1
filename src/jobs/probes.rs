//! Finds out by itself what managed chains need to know of their models: whether they stream, call tools and see images.
//! Models that left the chains are asked when those are built ([`ranking`](super::ranking)).
//!
//! Few models at a time, each at most once in the time that is set, and never more of a daily quota than the probes' share.
//! What the calls of clients have shown is taken over first, and not asked again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    discovery::probe::{Prober, Subject, open_kinds},
    dispatch::Dispatch,
    model::{
        id::ChannelId,
        probe::{ProbeKind, ProbeResult, ProbeSource},
        time::Clock,
    },
    pool::upkeep::patient_timeouts,
    storage::{Db, StorageResult, catalog::CatalogStore},
    upstream::client::Clients,
};

/// How often the job looks whether something is to be found out. The first look is one such time after the start.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);

/// How far back the usage log is looked at: at the first look, and at each later one.
const TRAFFIC_AT_FIRST: Duration = Duration::from_secs(7 * 86_400);
const TRAFFIC: Duration = Duration::from_secs(3600);

/// The most models that are probed at a look.
const MOST_MODELS: usize = 2;

/// What chains need to know. Reasoning shows by the way.
const NEEDED: [ProbeKind; 3] = [ProbeKind::Stream, ProbeKind::Tools, ProbeKind::Vision];

/// What the job works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The channels, and the settings.
    pub catalog: CatalogStore,
    /// The network.
    pub clients: Clients,
    /// The limits.
    pub dispatch: Dispatch,
    /// The time.
    pub clock: Clock,
}

/// Looks for ever. One model is probed at a time.
pub async fn run(parts: Parts, stopping: CancellationToken) {
    let mut since = TRAFFIC_AT_FIRST;
    loop {
        tokio::select! {
            () = parts.clock.sleep_until(parts.clock.steady() + LOOK_EVERY) => {}
            () = stopping.cancelled() => return,
        }
        let look = async {
            parts.db.note_probes_of_traffic(parts.clock.now() - since).await?;
            parts.db.forget_old_probes(parts.clock.now()).await?;
            look(&parts).await
        };
        tokio::select! {
            result = look => match result {
                Ok(count) => {
                    since = TRAFFIC;
                    if count > 0 {
                        tracing::debug!(models = count, "probed models");
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot probe models; trying again"),
            },
            () = stopping.cancelled() => return,
        }
    }
}

/// A model, and what is to be found out about it.
type Wanted = (ChannelId, String, Vec<ProbeKind>);

/// Probes what is due now; says how many models were asked.
pub async fn look(parts: &Parts) -> StorageResult<usize> {
    let Parts { db, catalog, clients, dispatch, clock } = parts;
    let snapshot = catalog.load();
    let every = Duration::from_secs(u64::from(snapshot.settings.probe_every_hours) * 3600);
    if every.is_zero() {
        return Ok(0);
    }
    let percent = snapshot.settings.probe_quota_percent;
    let prober = Prober { db, clients, dispatch, clock, percent };
    let mut asked = 0;
    for (channel, model, kinds) in unknown(parts, every).await? {
        if asked >= MOST_MODELS {
            break;
        }
        let Some(entry) = snapshot.channel(channel).filter(|entry| entry.channel.enabled) else { continue };
        let provider = catalog.provider_of(&entry.channel);
        let timeouts = patient_timeouts(&snapshot, &entry.channel);
        let subject = Subject { entry, provider: &provider, model: &model, timeouts };
        let probed = prober.probe(&subject, &kinds, rand::random()).await?;
        prober.note_life(&subject, &probed).await?;
        // One that is held back by a limit stands in nobody's way.
        asked += usize::from(!probed.calls.is_empty());
    }
    Ok(asked)
}

/// The models of the managed chains of which something is unknown, those in front first.
async fn unknown(parts: &Parts, every: Duration) -> StorageResult<Vec<Wanted>> {
    let now = parts.clock.now();
    let mut places: BTreeMap<(ChannelId, String), u32> = BTreeMap::new();
    for chain in parts.db.managed_steps().await? {
        for step in chain.steps {
            let place = places.entry((step.channel, step.model.name)).or_insert(step.place);
            *place = step.place.min(*place);
        }
    }
    let known = parts.db.probes(None).await?;
    let in_order: BTreeSet<(u32, (ChannelId, String))> =
        places.into_iter().map(|(model, place)| (place, model)).collect();
    let mut wanted = Vec::new();
    for (_, model) in in_order {
        let results = known.get(&model).map_or(&[][..], Vec::as_slice);
        let recent = |result: &ProbeResult| {
            result.source == ProbeSource::Probe && result.at <= now && now.since(result.at) < every
        };
        if results.iter().any(recent) {
            continue;
        }
        let facts = parts.db.find_discovered(model.0, &model.1).await?;
        let kinds = open_kinds(&NEEDED, facts.as_ref(), results, now);
        if !kinds.is_empty() {
            wanted.push((model.0, model.1, kinds));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{settings::RuntimeSettings, time::UnixMs},
        storage::{channels::NewChannel, providers::ProviderStore, recording::tests::open},
    };

    #[tokio::test]
    async fn nothing_is_looked_at_when_a_server_starts_and_something_ten_minutes_later() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let settings = RuntimeSettings::sample();
        let settings = Arc::new(move |_: &_| settings.clone());
        let zone = jiff::tz::TimeZone::UTC;
        let providers = ProviderStore::open(folder.path());
        let catalog = CatalogStore::open(db.clone(), settings, zone, providers).await.unwrap();
        let clock = Clock::manual(UnixMs(1_800_000_000_000));
        let channel = db
            .create_channel(&NewChannel {
                name: "c".into(),
                base_url: "http://a.example".into(),
                ..NewChannel::default()
            })
            .await
            .unwrap();
        // A result of another year is forgotten at the first look, so it tells that there was one.
        let old = ProbeResult {
            channel,
            model: "m".into(),
            kind: ProbeKind::Tools,
            verdict: crate::model::probe::ProbeVerdict::Ok,
            at: UnixMs(1_700_000_000_000),
            duration_ms: 1,
            first_token_ms: None,
            tokens_per_second: None,
            detail: String::new(),
            source: ProbeSource::Probe,
        };
        db.save_probes(&[old]).await.unwrap();
        let dispatch = Dispatch::new(clock.clone());
        let parts =
            Parts { db: db.clone(), catalog, clients: Clients::new(), dispatch, clock: clock.clone() };
        let mut job = std::pin::pin!(run(parts, CancellationToken::new()));
        let mut go_on = async |time: Duration| {
            clock.advance(time);
            tokio::select! {
                () = &mut job => {}
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
            db.probes(None).await.unwrap().len()
        };
        // The job begins to wait at its first turn.
        assert_eq!(go_on(Duration::ZERO).await, 1);
        assert_eq!(go_on(LOOK_EVERY - Duration::from_secs(1)).await, 1);
        assert_eq!(go_on(Duration::from_secs(2)).await, 0);
    }
}
