//! What probes, lists and providers' files say of the models that calls may go to.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::{Db, StorageResult, on};
use crate::{
    model::{
        ability::Abilities,
        catalog::{Catalog, FindingsByModel},
        id::ChannelId,
        probe::{ProbeKind, ProbeResult},
        time::UnixMs,
    },
    provider::{
        Providers,
        listing::{Modality, ModelFacts},
        preset::KnownModel,
    },
};

/// How many models the database is asked about at a time.
const AT_A_TIME: usize = 200;

impl Db {
    /// Counts the changes, by all processes that use the database, of what lists and probes say of models.
    pub async fn findings_version(&self) -> StorageResult<i64> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT version FROM findings_version WHERE id = 1").fetch_one(pool)
        })?)
    }

    /// Reads what is known of these models, which stand in `catalog`, and lets calls see it. A probe counts before the upstream's
    /// list, and that before the provider's file. A list's entry that cannot be read says nothing.
    pub(super) async fn fill_findings(
        &self,
        findings: &FindingsByModel,
        catalog: &Catalog,
        providers: &Providers,
    ) -> StorageResult<()> {
        let now = self.clock.now();
        let mut left = findings.iter().peekable();
        while left.peek().is_some() {
            let part: Vec<_> = left.by_ref().take(AT_A_TIME).collect();
            let places: Vec<(ChannelId, &str)> =
                part.iter().map(|((channel, model), _)| (*channel, &**model)).collect();
            let (listed, probed) = (self.listed_of(&places).await?, self.probes_of(&places).await?);
            for ((channel, model), findings) in part {
                let provider = catalog.channel(*channel).map(|entry| providers.of(&entry.channel.provider));
                let known = provider.and_then(|provider| provider.known_model(model));
                let place = (*channel, String::from(&**model));
                let probed = of_probes(probed.get(&place).map(Vec::as_slice).unwrap_or_default(), now);
                let listed = listed.get(&place).map(of_list).unwrap_or_default();
                findings.store(probed.or(listed).or(known.map(of_provider).unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// What the last lists say of some models, at most a few hundred.
    async fn listed_of(
        &self,
        models: &[(ChannelId, &str)],
    ) -> StorageResult<BTreeMap<(ChannelId, String), ModelFacts>> {
        let places = vec!["(?, ?)"; models.len()].join(", ");
        let sql = format!(
            "SELECT channel_id, name, facts FROM discovered_models
             WHERE vanished_at IS NULL AND (channel_id, name) IN (VALUES {places})"
        );
        let query = sqlx::query_as(AssertSqlSafe(sql));
        let query = models.iter().fold(query, |query, (channel, model)| query.bind(channel.0).bind(*model));
        let rows: Vec<(i64, String, String)> = on!(self.read, |pool| query.fetch_all(pool))?;
        let facts = |(channel, name, facts): (i64, String, String)| {
            Some(((ChannelId(channel), name), serde_json::from_str(&facts).ok()?))
        };
        Ok(rows.into_iter().filter_map(facts).collect())
    }
}

fn of_probes(results: &[ProbeResult], now: UnixMs) -> Abilities {
    let mut known = Abilities::default();
    for result in results {
        match result.kind {
            ProbeKind::Tools => known.tools = result.proves(now),
            ProbeKind::Vision => known.images = result.proves(now),
            ProbeKind::Json => known.schema = result.proves_schema(now),
            // A model that did not reason unasked may do so when it is asked to.
            ProbeKind::Reasoning => known.reasoning = result.proves(now).filter(|reasons| *reasons),
            ProbeKind::Stream => {}
        }
    }
    known
}

fn of_list(facts: &ModelFacts) -> Abilities {
    let reads = |kind| facts.input.map(|input| input.has(kind));
    Abilities {
        tools: facts.tools,
        images: reads(Modality::Image),
        // A list that tells of images alone says nothing of sound.
        audio: facts.audio.or(reads(Modality::Audio).filter(|hears| *hears)),
        schema: facts.schema,
        reasoning: facts.reasoning,
        window: facts.context_window,
    }
}

fn of_provider(known: &KnownModel) -> Abilities {
    let reads = |kind: Modality| known.input.as_ref().map(|input| input.contains(&kind));
    Abilities {
        tools: known.tools,
        images: reads(Modality::Image),
        audio: reads(Modality::Audio),
        schema: None,
        reasoning: known.reasoning,
        window: known.context_window,
    }
}
