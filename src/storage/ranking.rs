//! Managed chains, what their order is made from, and what operators say of it.
//!
//! Measurements and signs of life come from the usage log, of which each row is read once: `ranking.read_to` is the last
//! one that was. They change no catalog; the steps of a chain do.

mod calls;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, de::DeserializeOwned};
use sqlx::{AssertSqlSafe, FromRow};

use super::{Db, StorageError, StorageResult, WriteTransaction, on};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        key::{KeyCheck, KeyVerdict},
        managed::{ManagedStep, ManagedSteps},
        time::UnixMs,
    },
    provider::listing::ModelFacts,
    ranking::{
        chain::Purpose,
        identity::{Identity, OwnName},
        liveness::{Liveness, Sign, Turn},
        score::{Measured, Sample, Weights},
    },
};

/// The most models that a managed chain can have, and with how many one begins.
pub const MOST_MODELS: u16 = 100;
/// The most pins of a chain.
pub const MOST_PINS: usize = 100;
/// The most names that operators can join.
pub const MOST_NAMES: usize = 2000;

/// How many days of measurements count, today included.
pub const DAYS: i64 = 7;
const DAY_MS: i64 = 86_400_000;
/// How long it is remembered what speaks against a model of which nothing is heard.
const REMEMBERED_MS: i64 = 90 * DAY_MS;
/// How long lists that lack a model are a sign against it, from the first one on.
const VANISHED_MS: i64 = 7 * DAY_MS;

/// A managed chain as operators have set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedChain {
    /// What it is for; its name is that of the chain.
    pub purpose: Purpose,
    /// Off means: nobody can ask for it, and it is not built.
    pub enabled: bool,
    /// Whether only models that are known to cost nothing are taken, except pinned ones.
    pub free_only: bool,
    /// The most models that it has, each on all of its channels: 1 to [`MOST_MODELS`].
    pub most_models: u16,
    /// Models that stand in front of all others, in this order; at most [`MOST_PINS`].
    pub pins: Vec<Identity>,
    /// When its steps were built last; `None`: never.
    pub built_at: Option<UnixMs>,
}

/// Why a model at a channel is not simply alive, and when something was heard of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What speaks against it.
    pub liveness: Liveness,
    /// The time of the last sign.
    pub noted_at: UnixMs,
}

/// A model that left the chains, or returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnOf {
    /// The channel.
    pub channel: ChannelId,
    /// The upstream's name.
    pub model: String,
    /// What came of the signs.
    pub turn: Turn,
}

/// What lists say of the models that could be steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelsToRank {
    /// Each at its channel, in no order.
    pub models: Vec<(ChannelId, ModelFacts)>,
    /// How many models are passed over because they cost something.
    pub paid: usize,
    /// How many are passed over because nothing says what they cost.
    pub silent: usize,
}

/// A model at a channel.
type Place = (ChannelId, String);

fn unreadable(what: &str, error: &serde_json::Error) -> StorageError {
    StorageError::Unreadable(format!("{what}: {error}"))
}

/// Reads what the database has put together into one value: of thousands of rows, that is several times as fast as one by one.
fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> StorageResult<T> {
    serde_json::from_str(text).map_err(|error| unreadable(what, &error))
}

fn places(text: &str) -> StorageResult<Vec<Place>> {
    let places: Vec<(i64, String)> = from_json(text, "names of models")?;
    Ok(places.into_iter().map(|(channel, name)| (ChannelId(channel), name)).collect())
}

fn to_json(value: &impl serde::Serialize, what: &str) -> StorageResult<String> {
    serde_json::to_string(value).map_err(|error| unreadable(what, &error))
}

impl Db {
    /// The managed chains, in the order of [`Purpose::ALL`].
    pub async fn managed_chains(&self) -> StorageResult<Vec<ManagedChain>> {
        type Row = (String, bool, bool, i64, String, Option<i64>);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as("SELECT name, enabled, free_only, most_models, pins, built_at FROM managed_chains")
                .fetch_all(pool)
        })?;
        let mut chains = Vec::new();
        for (name, enabled, free_only, most_models, pins, built_at) in rows {
            let Some(purpose) = Purpose::from_name(&name) else { continue };
            chains.push(ManagedChain {
                purpose,
                enabled,
                free_only,
                most_models: u16::try_from(most_models).unwrap_or(MOST_MODELS).clamp(1, MOST_MODELS),
                pins: serde_json::from_str(&pins).map_err(|error| unreadable("pins", &error))?,
                built_at: built_at.map(UnixMs),
            });
        }
        chains.sort_by_key(|chain| chain.purpose);
        Ok(chains)
    }

    /// Saves what operators set of a managed chain; when it was built stays. Rebuild it, and reload the catalog afterwards.
    pub async fn update_managed_chain(&self, chain: &ManagedChain) -> StorageResult<()> {
        let pins = to_json(&chain.pins, "pins")?;
        let done = on!(self.write, |pool| {
            sqlx::query(
                "UPDATE managed_chains SET enabled = $2, free_only = $3, most_models = $4, pins = $5 WHERE name = $1",
            )
            .bind(chain.purpose.as_str())
            .bind(chain.enabled)
            .bind(chain.free_only)
            .bind(i64::from(chain.most_models))
            .bind(&pins)
            .execute(pool)
        })?;
        if done.rows_affected() == 0 { Err(StorageError::Missing) } else { Ok(()) }
    }

    /// The steps of the managed chains, also of those that are off, by name.
    pub async fn all_managed_steps(&self) -> StorageResult<Vec<(Purpose, Vec<ManagedStep>)>> {
        let rows = self.read_steps(false).await?;
        Ok(rows.into_iter().filter_map(|of| Some((Purpose::from_name(&of.name)?, of.steps))).collect())
    }

    /// The steps of the managed chains that are on, as catalogs take them.
    pub async fn managed_steps(&self) -> StorageResult<Vec<ManagedSteps>> {
        self.read_steps(true).await
    }

    async fn read_steps(&self, only_enabled: bool) -> StorageResult<Vec<ManagedSteps>> {
        let rows: Vec<StepRow> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT c.name AS chain, s.place, s.spare, s.channel_id, s.identity, s.model
                 FROM managed_chains c LEFT JOIN managed_steps s ON s.chain = c.name
                 WHERE c.enabled OR NOT $1 ORDER BY c.name, s.position",
            )
            .bind(only_enabled)
            .fetch_all(pool)
        })?;
        let mut chains: Vec<ManagedSteps> = Vec::new();
        for row in rows {
            if chains.last().is_none_or(|last| last.name != row.chain) {
                chains.push(ManagedSteps { name: row.chain.clone(), steps: Vec::new() });
            }
            if let (Some(step), Some(last)) = (row.step()?, chains.last_mut()) {
                last.steps.push(step);
            }
        }
        Ok(chains)
    }

    /// Makes these the steps of a managed chain, built now; says whether they differ from those before. If so, reload the
    /// catalog. Steps at channels that are gone meanwhile are left out.
    pub async fn save_managed_steps(&self, purpose: Purpose, steps: &[ManagedStep]) -> StorageResult<bool> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let living = living_channels(&mut tx).await?;
        let steps: Vec<&ManagedStep> = steps.iter().filter(|step| living.contains(&step.channel)).collect();
        let rows: Vec<StepRow> = sqlx::query_as(
            "SELECT chain, place, spare, channel_id, identity, model FROM managed_steps
             WHERE chain = $1 ORDER BY position",
        )
        .bind(purpose.as_str())
        .fetch_all(&mut *tx)
        .await?;
        // One that cannot be read is written anew.
        let before: Vec<Option<ManagedStep>> =
            rows.into_iter().map(|row| row.step().ok().flatten()).collect();
        let changed = before.len() != steps.len()
            || before.iter().zip(&steps).any(|(before, step)| before.as_ref() != Some(*step));
        if changed {
            sqlx::query("DELETE FROM managed_steps WHERE chain = $1")
                .bind(purpose.as_str())
                .execute(&mut *tx)
                .await?;
            for (position, step) in (0_i64..).zip(steps) {
                sqlx::query(
                    "INSERT INTO managed_steps (chain, position, place, spare, channel_id, identity, model)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(purpose.as_str())
                .bind(position)
                .bind(i64::from(step.place))
                .bind(step.spare)
                .bind(step.channel.0)
                .bind(&step.identity)
                .bind(to_json(&step.model, "a step")?)
                .execute(&mut *tx)
                .await?;
            }
        }
        sqlx::query("UPDATE managed_chains SET built_at = $2 WHERE name = $1")
            .bind(purpose.as_str())
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// How much each component of a score counts.
    pub async fn ranking_weights(&self) -> StorageResult<Weights> {
        let text: Option<String> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT weights FROM ranking WHERE id = 1").fetch_one(pool)
        })?;
        let Some(text) = text else { return Ok(Weights::default()) };
        serde_json::from_str(&text).map_err(|error| unreadable("weights", &error))
    }

    /// Saves weights that were [checked](Weights::check). Rebuild the chains afterwards.
    pub async fn set_ranking_weights(&self, weights: &Weights) -> StorageResult<()> {
        let text = to_json(weights, "weights")?;
        on!(self.write, |pool| {
            sqlx::query("UPDATE ranking SET weights = $1 WHERE id = 1").bind(&text).execute(pool)
        })?;
        Ok(())
    }

    /// Counts the changes, by all processes that use the database, of what chains are built from and catalogs are not.
    pub async fn ranking_version(&self) -> StorageResult<i64> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT version FROM ranking WHERE id = 1").fetch_one(pool)
        })?)
    }

    /// The names that operators have joined, by name and provider.
    pub async fn own_model_names(&self) -> StorageResult<Vec<OwnName>> {
        let rows: Vec<(String, String, String)> = on!(self.read, |pool| {
            sqlx::query_as("SELECT name, provider, identity FROM model_names ORDER BY name, provider")
                .fetch_all(pool)
        })?;
        let name = |(name, provider, identity): (String, String, String)| OwnName {
            name,
            provider: Some(provider).filter(|provider| !provider.is_empty()),
            identity: Identity::new(&identity),
        };
        Ok(rows.into_iter().map(name).collect())
    }

    /// Joins a name to a model, in place of what it was joined to. Names are kept in lower case, without blanks around
    /// them. [`StorageError::Taken`] says that there are [`MOST_NAMES`] already.
    pub async fn join_model_name(&self, own: &OwnName) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO model_names (name, provider, identity) VALUES ($1, $2, $3)
             ON CONFLICT (name, provider) DO UPDATE SET identity = excluded.identity",
        )
        .bind(own.name.trim().to_ascii_lowercase())
        .bind(own.provider.as_deref().unwrap_or_default())
        .bind(own.identity.as_str())
        .execute(&mut *tx)
        .await?;
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM model_names").fetch_one(&mut *tx).await?;
        if usize::try_from(count).is_ok_and(|count| count > MOST_NAMES) {
            return Err(StorageError::Taken("every place of the table of names"));
        }
        Ok(tx.commit().await?)
    }

    /// Takes a name away from its model; [`StorageError::Missing`] if it was joined to none.
    pub async fn part_model_name(&self, name: &str, provider: Option<&str>) -> StorageResult<()> {
        let done = on!(self.write, |pool| {
            sqlx::query("DELETE FROM model_names WHERE name = $1 AND provider = $2")
                .bind(name.trim().to_ascii_lowercase())
                .bind(provider.unwrap_or_default())
                .execute(pool)
        })?;
        if done.rows_affected() == 0 { Err(StorageError::Missing) } else { Ok(()) }
    }

    /// What speaks against models; one that is not in it is alive.
    pub async fn model_health(&self) -> StorageResult<BTreeMap<Place, Health>> {
        let rows: Vec<HealthRow> = on!(self.read, |pool| sqlx::query_as(HEALTH).fetch_all(pool))?;
        rows.into_iter().map(HealthRow::health).collect()
    }

    /// What was measured of models in the last days.
    pub async fn measured_models(&self, now: UnixMs) -> StorageResult<HashMap<Place, Measured>> {
        let text: String = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT json_group_array(json_array(channel_id, model, answered, failed, first_tokens, first_token_ms,
                                                    speeds, speed))
                 FROM (SELECT channel_id, model, SUM(answered) AS answered, SUM(failed) AS failed,
                              SUM(first_tokens) AS first_tokens, SUM(first_token_ms) AS first_token_ms,
                              SUM(speeds) AS speeds, SUM(speed) AS speed
                       FROM model_days WHERE day > $1 GROUP BY channel_id, model)",
            )
            .bind(day_of(now) - DAYS)
            .fetch_one(pool)
        })?;
        let rows: Vec<MeasuredRow> = from_json(&text, "what was measured of models")?;
        Ok(rows.into_iter().map(MeasuredRow::measured).collect())
    }

    /// What lists say of the models that could be steps: those that cost nothing, and those that their channel offers; also
    /// some that a list lacks since a short time. And how many models are [passed over](Self::models_passed_over).
    pub async fn models_to_rank(&self, now: UnixMs) -> StorageResult<ModelsToRank> {
        let rows: Vec<(i64, Option<String>, i64, i64)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT m.channel_id,
                        '[' || group_concat(m.facts) FILTER (WHERE m.free OR o.name IS NOT NULL) || ']',
                        COUNT(m.free) FILTER (WHERE m.vanished_at IS NULL AND m.free IS NOT TRUE AND o.name IS NULL),
                        COUNT(*) FILTER (WHERE m.vanished_at IS NULL AND m.free IS NULL AND o.name IS NULL)
                 FROM channels c CROSS JOIN discovered_models m ON m.channel_id = c.id
                 LEFT JOIN channel_models o ON o.channel_id = m.channel_id AND o.name = m.name
                 WHERE c.deleted_at IS NULL AND c.enabled AND (m.vanished_at IS NULL OR m.vanished_at >= $1)
                 GROUP BY c.id",
            )
            .bind(now.0 - VANISHED_MS)
            .fetch_all(pool)
        })?;
        let count = |number: i64| usize::try_from(number).unwrap_or_default();
        let mut found = ModelsToRank::default();
        for (channel, facts, paid, silent) in rows {
            found.paid += count(paid);
            found.silent += count(silent);
            let Some(facts) = facts else { continue };
            let facts: Vec<ModelFacts> = from_json(&facts, "a discovered model")?;
            found.models.extend(facts.into_iter().map(|facts| (ChannelId(channel), facts)));
        }
        Ok(found)
    }

    /// The names of the models that [could be steps](Self::models_to_rank) and of those that are
    /// [passed over](Self::models_passed_over), by channel.
    pub async fn listed_names(&self, now: UnixMs) -> StorageResult<Vec<Place>> {
        let text: String = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT json_group_array(json_array(m.channel_id, m.name))
                 FROM channels c CROSS JOIN discovered_models m ON m.channel_id = c.id
                 LEFT JOIN channel_models o ON o.channel_id = m.channel_id AND o.name = m.name
                 WHERE c.deleted_at IS NULL AND c.enabled AND
                       (m.vanished_at IS NULL OR m.vanished_at >= $1 AND (m.free OR o.name IS NOT NULL))",
            )
            .bind(now.0 - VANISHED_MS)
            .fetch_one(pool)
        })?;
        places(&text)
    }

    /// The models that lists have besides, by channel and name: not free, and not offered.
    pub async fn models_passed_over(&self) -> StorageResult<Vec<Place>> {
        let text: String = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT json_group_array(json_array(m.channel_id, m.name)) FROM discovered_models m
                 JOIN channels c ON c.id = m.channel_id AND c.deleted_at IS NULL AND c.enabled
                 WHERE m.vanished_at IS NULL AND m.free IS NOT TRUE AND NOT EXISTS
                     (SELECT 1 FROM channel_models o WHERE o.channel_id = m.channel_id AND o.name = m.name)",
            )
            .fetch_one(pool)
        })?;
        places(&text)
    }

    /// The keys that their last test found to be refused.
    pub async fn refused_keys(&self) -> StorageResult<Vec<KeyId>> {
        let rows: Vec<(i64, String)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, last_check FROM keys
                 WHERE deleted_at IS NULL AND last_check LIKE '%\"verdict\":\"invalid\"%'",
            )
            .fetch_all(pool)
        })?;
        let is_refused = |check: &str| {
            serde_json::from_str::<KeyCheck>(check).is_ok_and(|check| check.verdict == KeyVerdict::Invalid)
        };
        Ok(rows.into_iter().filter(|(_, check)| is_refused(check)).map(|(id, _)| KeyId(id)).collect())
    }

    /// Takes note of one sign of a model at a channel, from a probe; says what came of it.
    pub async fn note_model_sign(
        &self,
        channel: ChannelId,
        model: &str,
        sign: Sign,
        at: UnixMs,
    ) -> StorageResult<Option<Turn>> {
        let mut tx = self.begin().await?;
        let turns = note_signs(&mut tx, &[((channel, model.to_owned()), sign, at)]).await?;
        tx.commit().await?;
        Ok(turns.first().map(|turn| turn.turn))
    }

    /// Brings a dead model back that no probe may ask; see [`Liveness::release`]. Says whether it is back.
    pub async fn release_model(&self, channel: ChannelId, model: &str, now: UnixMs) -> StorageResult<bool> {
        let mut tx = self.begin().await?;
        let row: Option<HealthRow> =
            sqlx::query_as(AssertSqlSafe(format!("{HEALTH} WHERE channel_id = $1 AND model = $2")))
                .bind(channel.0)
                .bind(model)
                .fetch_optional(&mut *tx)
                .await?;
        let Some(row) = row else { return Ok(false) };
        let (_, mut health) = row.health()?;
        if !health.liveness.release(now) {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE model_health SET liveness = $3, noted_at = $4 WHERE channel_id = $1 AND model = $2",
        )
        .bind(channel.0)
        .bind(model)
        .bind(to_json(&health.liveness, "what speaks against a model")?)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets measurements and signs that are too old to count.
    pub async fn forget_old_model_signs(&self, now: UnixMs) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM model_days WHERE day <= $1")
            .bind(day_of(now) - DAYS)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM model_health WHERE noted_at < $1")
            .bind(now.0 - REMEMBERED_MS)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Takes note of lists that came since the last time and prove what they lack.
    async fn read_lists(&self, now: UnixMs) -> StorageResult<Vec<TurnOf>> {
        let lists: Vec<(i64, i64, bool)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT d.channel_id, d.listed_at, d.complete FROM discoveries d
                 LEFT JOIN model_lists l ON l.channel_id = d.channel_id
                 WHERE d.listed_at IS NOT NULL AND (l.listed_at IS NULL OR l.listed_at <> d.listed_at)",
            )
            .fetch_all(pool)
        })?;
        if lists.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let mut signs = Vec::new();
        for (channel, listed_at, complete) in lists {
            sqlx::query(
                "INSERT INTO model_lists (channel_id, listed_at) VALUES ($1, $2)
                 ON CONFLICT (channel_id) DO UPDATE SET listed_at = excluded.listed_at",
            )
            .bind(channel)
            .bind(listed_at)
            .execute(&mut *tx)
            .await?;
            if !complete {
                continue;
            }
            let rows: Vec<(String, bool)> = sqlx::query_as(
                "SELECT m.name, m.vanished_at IS NOT NULL FROM discovered_models m
                 WHERE m.channel_id = $1 AND (m.vanished_at >= $2 OR m.name IN
                       (SELECT h.model FROM model_health h WHERE h.channel_id = $1))",
            )
            .bind(channel)
            .bind(now.0 - VANISHED_MS)
            .fetch_all(&mut *tx)
            .await?;
            signs.extend(rows.into_iter().map(|(model, gone)| {
                let sign = if gone { Sign::Unlisted } else { Sign::Listed };
                ((ChannelId(channel), model), sign, UnixMs(listed_at))
            }));
        }
        let turns = note_signs(&mut tx, &signs).await?;
        tx.commit().await?;
        Ok(turns)
    }
}

const HEALTH: &str = "SELECT channel_id, model, liveness, noted_at FROM model_health";

/// Takes note of signs in their order; what is alive again without a trace is forgotten.
async fn note_signs(
    tx: &mut WriteTransaction,
    signs: &[(Place, Sign, UnixMs)],
) -> StorageResult<Vec<TurnOf>> {
    let mut turns = Vec::new();
    if signs.is_empty() {
        return Ok(turns);
    }
    let rows: Vec<HealthRow> = sqlx::query_as(HEALTH).fetch_all(&mut **tx).await?;
    let before: BTreeMap<Place, Health> =
        rows.into_iter().map(HealthRow::health).collect::<StorageResult<_>>()?;
    let mut after: BTreeMap<&Place, Health> = BTreeMap::new();
    for (place, sign, at) in signs {
        let known = before.get(place);
        if known.is_none() && !after.contains_key(place) && matches!(sign, Sign::Answered | Sign::Listed) {
            continue;
        }
        let health = after.entry(place).or_insert_with(|| {
            known.cloned().unwrap_or(Health { liveness: Liveness::alive(), noted_at: *at })
        });
        health.noted_at = health.noted_at.max(*at);
        if let Some(turn) = health.liveness.note(*sign, *at) {
            turns.push(TurnOf { channel: place.0, model: place.1.clone(), turn });
        }
    }
    for ((channel, model), health) in after {
        if health.liveness == Liveness::alive() {
            sqlx::query("DELETE FROM model_health WHERE channel_id = $1 AND model = $2")
                .bind(channel.0)
                .bind(model)
                .execute(&mut **tx)
                .await?;
            continue;
        }
        sqlx::query(
            "INSERT INTO model_health (channel_id, model, liveness, noted_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (channel_id, model) DO UPDATE SET liveness = excluded.liveness,
             noted_at = excluded.noted_at",
        )
        .bind(channel.0)
        .bind(model)
        .bind(to_json(&health.liveness, "what speaks against a model")?)
        .bind(health.noted_at.0)
        .execute(&mut **tx)
        .await?;
    }
    Ok(turns)
}

async fn living_channels(tx: &mut WriteTransaction) -> StorageResult<BTreeSet<ChannelId>> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM channels WHERE deleted_at IS NULL").fetch_all(&mut **tx).await?;
    Ok(ids.into_iter().map(ChannelId).collect())
}

/// The day (UTC) of a time, counted from 1970.
fn day_of(at: UnixMs) -> i64 {
    at.0.div_euclid(DAY_MS)
}

#[derive(FromRow)]
struct StepRow {
    chain: String,
    place: Option<i64>,
    spare: Option<bool>,
    channel_id: Option<i64>,
    identity: Option<String>,
    model: Option<String>,
}

impl StepRow {
    /// `None` of a chain without steps.
    fn step(self) -> StorageResult<Option<ManagedStep>> {
        let (Some(place), Some(spare), Some(channel), Some(identity), Some(model)) =
            (self.place, self.spare, self.channel_id, self.identity, self.model)
        else {
            return Ok(None);
        };
        Ok(Some(ManagedStep {
            place: u32::try_from(place).unwrap_or(u32::MAX),
            spare,
            channel: ChannelId(channel),
            identity,
            model: serde_json::from_str(&model).map_err(|error| unreadable("a step", &error))?,
        }))
    }
}

#[derive(FromRow)]
struct HealthRow {
    channel_id: i64,
    model: String,
    liveness: String,
    noted_at: i64,
}

impl HealthRow {
    fn health(self) -> StorageResult<(Place, Health)> {
        let liveness = serde_json::from_str(&self.liveness)
            .map_err(|error| unreadable("what speaks against a model", &error))?;
        let place = (ChannelId(self.channel_id), self.model);
        Ok((place, Health { liveness, noted_at: UnixMs(self.noted_at) }))
    }
}

/// A channel, a model, and the sums of its days, in the order of the table.
#[derive(Deserialize)]
struct MeasuredRow {
    channel_id: i64,
    model: String,
    answered: i64,
    failed: i64,
    first_tokens: i64,
    first_token_ms: i64,
    speeds: i64,
    speed: i64,
}

impl MeasuredRow {
    fn measured(self) -> (Place, Measured) {
        let count = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
        let sample = |sum: i64, samples: i64| Sample {
            mean: count(if samples > 0 { sum / samples } else { 0 }),
            count: count(samples),
        };
        let measured = Measured {
            answered: count(self.answered),
            failed: count(self.failed),
            first_token_ms: sample(self.first_token_ms, self.first_tokens),
            tokens_per_second: sample(self.speed, self.speeds),
        };
        ((ChannelId(self.channel_id), self.model), measured)
    }
}

#[cfg(test)]
mod tests;
