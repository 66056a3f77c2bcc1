//! What upstreams list: the models of every channel, when each was seen, and what changed.

use std::collections::{BTreeMap, HashSet};

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, FromRow};

use super::{Db, StorageError, StorageResult, WriteTransaction, on};
use crate::{
    model::{
        id::{ChannelId, UserId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    provider::listing::{Altered, Field, Knowledge, Listing, ModelFacts, diff},
};

/// The most changes that are kept, of all channels together.
const MOST_CHANGES: i64 = 10_000;
/// The most changes that one list adds; more say no more than their number.
pub const MOST_CHANGES_OF_ONE: usize = 1000;
/// The most models of a channel that are remembered after they are gone.
const MOST_GONE: i64 = 2000;
/// How long changes and models that are gone are remembered, in milliseconds.
const REMEMBERED_MS: i64 = 90 * 86_400_000;
/// How many rows one statement takes.
const ROWS: usize = 100;

/// What a list changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Whether it is the first list of the channel; then nothing of it counts as new.
    pub first: bool,
    /// Models that were not there before.
    pub appeared: usize,
    /// Models of which something else is said.
    pub changed: usize,
    /// Models that are gone.
    pub vanished: usize,
    /// Models that the list lacks without proving that they are gone; they are kept.
    pub unproved: usize,
}

/// How the discovery of a channel stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// When the upstream was asked last.
    pub tried_at: UnixMs,
    /// When it gave the list that is shown; `None`: never.
    pub listed_at: Option<UnixMs>,
    /// How many models that list has.
    pub models: usize,
    /// Whether that list proves that what it lacks is gone.
    pub complete: bool,
    /// Why the last try gave no list, or what of it was passed over; at most 4 KiB, secrets masked.
    pub fault: Option<String>,
}

/// A model that an upstream lists, or listed.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoveredModel {
    /// Where.
    pub channel_id: ChannelId,
    /// The channel's name.
    pub channel: String,
    /// What is known of it.
    pub facts: ModelFacts,
    /// When it was listed first.
    pub first_seen_at: UnixMs,
    /// When it was listed last.
    pub last_seen_at: UnixMs,
    /// Since when it is gone.
    pub vanished_at: Option<UnixMs>,
    /// The last call that it answered.
    pub answered_at: Option<UnixMs>,
    /// The last call that was refused because of the model.
    pub refused_at: Option<UnixMs>,
    /// Whether the channel offers it.
    pub offered: bool,
}

impl DiscoveredModel {
    /// Whether calls to it succeed, as the last one showed; `None` if none was made: a list proves nothing.
    pub fn callable(&self) -> Option<bool> {
        match (self.answered_at, self.refused_at) {
            (None, None) => None,
            (answered, refused) => Some(answered >= refused && answered.is_some()),
        }
    }
}

/// Which models to show. The default shows all that are listed.
#[derive(Debug, Clone, Default)]
pub struct ModelFilter {
    /// A part of the name, whatever its letters' case; empty: any.
    pub search: String,
    /// Of this channel only.
    pub channel: Option<ChannelId>,
    /// Only those that cost nothing.
    pub free: bool,
    /// Only those that answered a call.
    pub callable: bool,
    /// Only those that their channel does not offer.
    pub not_offered: bool,
    /// Those that are gone, in place of those that are listed.
    pub gone: bool,
}

/// What happened to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not listed before.
    Appeared,
    /// Something else is said of it.
    Changed,
    /// It is not listed any more.
    Vanished,
}

impl ChangeKind {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Changed => "changed",
            Self::Vanished => "vanished",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Appeared, Self::Changed, Self::Vanished].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A change of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChange {
    /// When it was noticed.
    pub at: UnixMs,
    /// Where.
    pub channel_id: ChannelId,
    /// The channel's name.
    pub channel: String,
    /// The upstream's name for the model.
    pub name: String,
    /// What happened.
    pub kind: ChangeKind,
    /// Of a changed model: each field, what was said and what is said, as JSON.
    pub fields: Vec<(String, serde_json::Value, serde_json::Value)>,
}

/// The name of a field of [`ModelFacts`], as its JSON has it.
fn field_name(field: Field) -> &'static str {
    match field {
        Field::ContextWindow => "context_window",
        Field::OutputLimit => "output_limit",
        Field::Input => "input",
        Field::Output => "output",
        Field::Tools => "tools",
        Field::Reasoning => "reasoning",
        Field::Audio => "audio",
        Field::Schema => "schema",
        Field::Price => "price",
        Field::Free => "free",
        Field::Created => "created",
    }
}

/// What was really altered: what is merely known now, or not told any more, is no change of the model.
fn altered_fields(altered: &Altered<'_>) -> Vec<(&'static str, serde_json::Value, serde_json::Value)> {
    let value = |facts: &ModelFacts| serde_json::to_value(facts).unwrap_or_default();
    let (before, after) = (value(altered.before), value(altered.after));
    altered
        .fields
        .iter()
        .filter(|(_, how)| *how == Knowledge::Altered)
        .map(|(field, _)| field_name(*field))
        .map(|name| (name, before[name].clone(), after[name].clone()))
        .collect()
}

fn unreadable(error: serde_json::Error) -> StorageError {
    StorageError::Unreadable(format!("a discovered model: {error}"))
}

impl Db {
    /// Takes over what a channel's upstream lists, and notes what changed. All or nothing. A list that proves nothing
    /// about what it lacks takes nothing away. A channel that is gone meanwhile is [`StorageError::Missing`].
    pub async fn save_listing(
        &self,
        channel: ChannelId,
        listing: &Listing,
        now: UnixMs,
    ) -> StorageResult<Saved> {
        let mut tx = self.begin().await?;
        let alive: Option<i64> =
            sqlx::query_scalar("SELECT id FROM channels WHERE id = $1 AND deleted_at IS NULL")
                .bind(channel.0)
                .fetch_optional(&mut *tx)
                .await?;
        alive.ok_or(StorageError::Missing)?;
        let listed_before: Option<Option<i64>> =
            sqlx::query_scalar("SELECT listed_at FROM discoveries WHERE channel_id = $1")
                .bind(channel.0)
                .fetch_optional(&mut *tx)
                .await?;
        let listed_before = listed_before.flatten();
        let mut before: Vec<ModelFacts> = Vec::new();
        let mut missed = HashSet::new();
        {
            // One row at a time: all of them as text would take as much memory again.
            let mut rows = sqlx::query_as::<_, (String, Option<i64>)>(
                "SELECT facts, last_seen_at FROM discovered_models
                 WHERE channel_id = $1 AND vanished_at IS NULL ORDER BY name",
            )
            .bind(channel.0)
            .fetch(&mut *tx);
            while let Some((facts, last_seen)) = rows.try_next().await? {
                let facts: ModelFacts = serde_json::from_str(&facts).map_err(unreadable)?;
                if last_seen.is_some() {
                    missed.insert(facts.id.clone());
                }
                before.push(facts);
            }
        }
        let changes = diff(&before, listing);
        let saved = Saved {
            first: listed_before.is_none(),
            appeared: changes.appeared.len(),
            changed: changes.changed.iter().filter(|altered| !altered_fields(altered).is_empty()).count(),
            vanished: changes.vanished.len(),
            unproved: changes.unproved.len(),
        };
        let written: Vec<&ModelFacts> =
            changes.appeared.iter().copied().chain(changes.changed.iter().map(|one| one.after)).collect();
        write_models(&mut tx, channel, &written, now).await?;
        let back: Vec<&str> =
            listing.models.iter().map(|model| model.id.as_str()).filter(|id| missed.contains(*id)).collect();
        for names in back.chunks(ROWS) {
            let sql = format!(
                "UPDATE discovered_models SET last_seen_at = NULL WHERE channel_id = ? AND name IN ({})",
                places(names.len())
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(channel.0);
            names.iter().fold(query, |query, name| query.bind(*name)).execute(&mut *tx).await?;
        }
        let last_seen = listed_before.unwrap_or(now.0);
        for (gone, vanished_at) in [(&changes.vanished, Some(now.0)), (&changes.unproved, None)] {
            for group in gone.chunks(ROWS) {
                let sql = format!(
                    "UPDATE discovered_models SET vanished_at = ?, last_seen_at = COALESCE(last_seen_at, ?)
                     WHERE channel_id = ? AND name IN ({})",
                    places(group.len())
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(vanished_at).bind(last_seen).bind(channel.0);
                group.iter().fold(query, |query, facts| query.bind(&facts.id)).execute(&mut *tx).await?;
            }
        }
        if !saved.first {
            let none = Vec::new;
            let rows = changes
                .vanished
                .iter()
                .map(|facts| (ChangeKind::Vanished, &facts.id, none()))
                .chain(changes.appeared.iter().map(|facts| (ChangeKind::Appeared, &facts.id, none())))
                .chain(changes.changed.iter().filter_map(|altered| {
                    let fields = altered_fields(altered);
                    (!fields.is_empty()).then_some((ChangeKind::Changed, &altered.after.id, fields))
                }));
            let rows: Vec<_> = rows.take(MOST_CHANGES_OF_ONE).collect();
            for group in rows.chunks(ROWS) {
                let values = vec!["(?, ?, ?, ?, ?)"; group.len()].join(", ");
                let sql =
                    format!("INSERT INTO model_changes (at, channel_id, name, kind, fields) VALUES {values}");
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for (kind, name, fields) in group {
                    let fields = serde_json::to_string(fields).map_err(unreadable)?;
                    query = query.bind(now.0).bind(channel.0).bind(*name).bind(kind.as_str()).bind(fields);
                }
                query.execute(&mut *tx).await?;
            }
        }
        sqlx::query(
            "INSERT INTO discoveries (channel_id, tried_at, listed_at, models, complete, fault)
             VALUES ($1, $2, $2, $3, $4, $5)
             ON CONFLICT (channel_id) DO UPDATE SET tried_at = excluded.tried_at, listed_at = excluded.listed_at,
             models = excluded.models, complete = excluded.complete, fault = excluded.fault",
        )
        .bind(channel.0)
        .bind(now.0)
        .bind(i64::try_from(listing.models.len()).unwrap_or(i64::MAX))
        .bind(listing.is_complete())
        .bind(listing.skipped.first().map(ToString::to_string))
        .execute(&mut *tx)
        .await?;
        forget_old(&mut tx, channel, now).await?;
        tx.commit().await?;
        Ok(saved)
    }

    /// Notes that an upstream gave no list, and why; what is known of its models stays.
    pub async fn save_failed_listing(
        &self,
        channel: ChannelId,
        fault: &str,
        now: UnixMs,
    ) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO discoveries (channel_id, tried_at, listed_at, models, complete, fault)
             SELECT id, $2, NULL, 0, FALSE, $3 FROM channels WHERE id = $1 AND deleted_at IS NULL
             ON CONFLICT (channel_id) DO UPDATE SET tried_at = excluded.tried_at, fault = excluded.fault",
        )
        .bind(channel.0)
        .bind(now.0)
        .bind(fault)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How the discovery of every channel stands that was ever asked.
    pub async fn discoveries(&self) -> StorageResult<BTreeMap<ChannelId, Discovery>> {
        type Row = (i64, i64, Option<i64>, i64, bool, Option<String>);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as("SELECT channel_id, tried_at, listed_at, models, complete, fault FROM discoveries")
                .fetch_all(pool)
        })?;
        let discovery = |(id, tried_at, listed_at, models, complete, fault): Row| {
            let discovery = Discovery {
                tried_at: UnixMs(tried_at),
                listed_at: listed_at.map(UnixMs),
                models: usize::try_from(models).unwrap_or_default(),
                complete,
                fault,
            };
            (ChannelId(id), discovery)
        };
        Ok(rows.into_iter().map(discovery).collect())
    }

    /// A part of the models that fit a filter, by name and then by channel, and how many fit in all.
    pub async fn discovered_models(
        &self,
        filter: &ModelFilter,
        offset: usize,
        limit: usize,
    ) -> StorageResult<(Vec<DiscoveredModel>, usize)> {
        // Only what filters is asked, so that an index can answer it without a look at each model. Models of channels that
        // were deleted are deleted with them.
        let mut conditions =
            vec![if filter.gone { "m.vanished_at IS NOT NULL" } else { "m.vanished_at IS NULL" }];
        if filter.free {
            conditions.push("m.free");
        }
        if filter.callable {
            conditions.push("m.answered_at IS NOT NULL AND m.answered_at >= COALESCE(m.refused_at, 0)");
        }
        if filter.channel.is_some() {
            conditions.push("m.channel_id = $1");
        }
        if !filter.search.is_empty() {
            // Letter case of A to Z does not matter to LIKE.
            conditions.push("m.name LIKE $2 ESCAPE '\\'");
        }
        let listed = conditions.join(" AND ");
        if filter.not_offered {
            conditions.push(NOT_OFFERED);
        }
        let condition = conditions.join(" AND ");
        let escape = |c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c]);
        let pattern = format!("%{}%", filter.search.chars().flat_map(escape).collect::<String>());
        let channel = filter.channel.map(|id| id.0);
        let mut count = format!("SELECT COUNT(*) FROM discovered_models m WHERE {listed}");
        if filter.not_offered {
            // Those that are offered are fewer, and quickly found.
            count = format!(
                "SELECT ({count}) - (SELECT COUNT(*) FROM channel_models o
                 CROSS JOIN discovered_models m ON m.channel_id = o.channel_id AND m.name = o.name WHERE {listed})"
            );
        }
        let total: i64 = on!(self.read, |pool| {
            sqlx::query_scalar(AssertSqlSafe(count)).bind(channel).bind(&pattern).fetch_one(pool)
        })?;
        let total = usize::try_from(total).unwrap_or_default();
        if offset >= total || limit == 0 {
            return Ok((Vec::new(), total));
        }
        // Whichever end is nearer: what lies before a part is looked at one by one.
        let limit = limit.min(total - offset);
        let after = total - offset - limit;
        let (order, skipped) = if after < offset { ("DESC", after) } else { ("ASC", offset) };
        // The names of a part are found first: what is skipped before it costs no more than an entry of an index.
        let page = format!(
            "SELECT m.channel_id, c.name AS channel, m.facts, m.first_seen_at,
                    COALESCE(m.last_seen_at, d.listed_at, m.first_seen_at) AS last_seen_at,
                    m.vanished_at, m.answered_at, m.refused_at, NOT ({NOT_OFFERED}) AS offered
             FROM (SELECT m.channel_id, m.name FROM discovered_models m WHERE {condition}
                   ORDER BY m.name {order}, m.channel_id {order} LIMIT $3 OFFSET $4) p
             JOIN discovered_models m ON m.channel_id = p.channel_id AND m.name = p.name
             JOIN channels c ON c.id = m.channel_id
             LEFT JOIN discoveries d ON d.channel_id = m.channel_id
             ORDER BY m.name, m.channel_id"
        );
        let rows: Vec<ModelRow> = on!(self.read, |pool| {
            sqlx::query_as(AssertSqlSafe(page))
                .bind(channel)
                .bind(&pattern)
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .bind(i64::try_from(skipped).unwrap_or(i64::MAX))
                .fetch_all(pool)
        })?;
        let models = rows.into_iter().map(ModelRow::model).collect::<StorageResult<_>>()?;
        Ok((models, total))
    }

    /// What a channel's last list says of one model, if it has it.
    pub async fn find_discovered(&self, channel: ChannelId, name: &str) -> StorageResult<Option<ModelFacts>> {
        let facts: Option<String> = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT facts FROM discovered_models
                 WHERE channel_id = $1 AND name = $2 AND vanished_at IS NULL",
            )
            .bind(channel.0)
            .bind(name)
            .fetch_optional(pool)
        })?;
        facts.map(|facts| serde_json::from_str(&facts).map_err(unreadable)).transpose()
    }

    /// The changes that were noticed after a time, the latest first, at most `limit` of them; and how many there are.
    pub async fn model_changes(
        &self,
        after: UnixMs,
        channel: Option<ChannelId>,
        limit: usize,
    ) -> StorageResult<(Vec<ModelChange>, usize)> {
        type Row = (i64, i64, String, String, String, String);
        let total: i64 = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT COUNT(*) FROM model_changes m JOIN channels c ON c.id = m.channel_id
                 WHERE c.deleted_at IS NULL AND m.at > $1 AND ($2 IS NULL OR m.channel_id = $2)",
            )
            .bind(after.0)
            .bind(channel.map(|id| id.0))
            .fetch_one(pool)
        })?;
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT m.at, m.channel_id, c.name, m.name, m.kind, m.fields
                 FROM model_changes m JOIN channels c ON c.id = m.channel_id
                 WHERE c.deleted_at IS NULL AND m.at > $1 AND ($2 IS NULL OR m.channel_id = $2)
                 ORDER BY m.at DESC, m.id DESC LIMIT $3",
            )
            .bind(after.0)
            .bind(channel.map(|id| id.0))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(pool)
        })?;
        let change = |(at, channel_id, channel, name, kind, fields): Row| {
            let kind = ChangeKind::from_name(&kind)
                .ok_or_else(|| StorageError::Unreadable(format!("a change of the kind {kind}")))?;
            let fields = serde_json::from_str(&fields).map_err(unreadable)?;
            let (at, channel_id) = (UnixMs(at), ChannelId(channel_id));
            Ok(ModelChange { at, channel_id, channel, name, kind, fields })
        };
        let changes = rows.into_iter().map(change).collect::<StorageResult<_>>()?;
        Ok((changes, usize::try_from(total).unwrap_or_default()))
    }

    /// Up to when an account has looked at the changes; 0 if it never has.
    pub async fn models_looked_at(&self, user: UserId) -> StorageResult<UnixMs> {
        let at: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT at FROM model_looks WHERE user_id = $1")
                .bind(user.0)
                .fetch_optional(pool)
        })?;
        Ok(UnixMs(at.unwrap_or_default()))
    }

    /// Notes that an account has looked at the changes up to a time.
    pub async fn set_models_looked_at(&self, user: UserId, at: UnixMs) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO model_looks (user_id, at) VALUES ($1, $2)
             ON CONFLICT (user_id) DO UPDATE SET at = MAX(at, excluded.at)",
        )
        .bind(user.0)
        .bind(at.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a call to a model was answered, or refused because of the model.
    pub async fn note_model_answer(
        &self,
        channel: ChannelId,
        name: &str,
        answered: bool,
        at: UnixMs,
    ) -> StorageResult<()> {
        let column = if answered { "answered_at" } else { "refused_at" };
        let mut tx = self.begin().await?;
        sqlx::query(AssertSqlSafe(format!(
            "UPDATE discovered_models SET {column} = $3 WHERE channel_id = $1 AND name = $2"
        )))
        .bind(channel.0)
        .bind(name)
        .bind(at.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes over which models answered and which were refused since a time, from the sums of the usage log, whose
    /// quarters of an hour are the precision.
    pub async fn note_model_answers(&self, since: UnixMs) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        let classes =
            [("answered_at", OutcomeClass::Success), ("refused_at", OutcomeClass::ModelUnavailable)];
        for (column, class) in classes {
            sqlx::query(AssertSqlSafe(format!(
                "UPDATE discovered_models SET {column} = s.at FROM (
                     SELECT channel_id, w.text AS model, MAX(at) AS at FROM (
                         SELECT channel_id, model, at FROM last_tries
                         WHERE at >= $1 AND class = (SELECT id FROM words WHERE text = $2)
                         UNION ALL
                         SELECT a.channel_id, a.model, (c.at + a.started_ms) / $3 * $3
                         FROM calls c JOIN call_attempts a ON a.call_id = c.id
                         WHERE c.id > (SELECT folded_to FROM folds) AND +c.at >= $1
                         AND a.class = (SELECT id FROM words WHERE text = $2)) t
                     JOIN words w ON w.id = t.model GROUP BY channel_id, w.text) s
                 WHERE discovered_models.channel_id = s.channel_id AND discovered_models.name = s.model
                 AND ({column} IS NULL OR {column} < s.at)"
            )))
            .bind(since.0)
            .bind(class.as_str())
            .bind(super::rollups::BUCKET_MS)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

const NOT_OFFERED: &str =
    "NOT EXISTS (SELECT 1 FROM channel_models o WHERE o.channel_id = m.channel_id AND o.name = m.name)";

#[derive(FromRow)]
struct ModelRow {
    channel_id: i64,
    channel: String,
    facts: String,
    first_seen_at: i64,
    last_seen_at: i64,
    vanished_at: Option<i64>,
    answered_at: Option<i64>,
    refused_at: Option<i64>,
    offered: bool,
}

impl ModelRow {
    fn model(self) -> StorageResult<DiscoveredModel> {
        Ok(DiscoveredModel {
            channel_id: ChannelId(self.channel_id),
            channel: self.channel,
            facts: serde_json::from_str(&self.facts).map_err(unreadable)?,
            first_seen_at: UnixMs(self.first_seen_at),
            last_seen_at: UnixMs(self.last_seen_at),
            vanished_at: self.vanished_at.map(UnixMs),
            answered_at: self.answered_at.map(UnixMs),
            refused_at: self.refused_at.map(UnixMs),
            offered: self.offered,
        })
    }
}

/// Places for so many values.
fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Writes what is said of models; those that were gone are back.
async fn write_models(
    tx: &mut WriteTransaction,
    channel: ChannelId,
    models: &[&ModelFacts],
    now: UnixMs,
) -> StorageResult<()> {
    for group in models.chunks(ROWS) {
        let values = vec!["(?, ?, ?, ?, ?)"; group.len()].join(", ");
        let sql = format!(
            "INSERT INTO discovered_models (channel_id, name, facts, free, first_seen_at) VALUES {values}
             ON CONFLICT (channel_id, name) DO UPDATE SET facts = excluded.facts, free = excluded.free,
             last_seen_at = NULL, vanished_at = NULL"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for facts in group {
            query = query
                .bind(channel.0)
                .bind(&facts.id)
                .bind(serde_json::to_string(facts).map_err(unreadable)?)
                .bind(facts.free)
                .bind(now.0);
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// Deletes what is too old or too much.
async fn forget_old(tx: &mut WriteTransaction, channel: ChannelId, now: UnixMs) -> StorageResult<()> {
    let oldest = now.0 - REMEMBERED_MS;
    sqlx::query(
        "DELETE FROM discovered_models WHERE channel_id = $1 AND vanished_at IS NOT NULL AND (vanished_at < $2
         OR name IN (SELECT name FROM discovered_models WHERE channel_id = $1 AND vanished_at IS NOT NULL
                     ORDER BY vanished_at DESC, name LIMIT -1 OFFSET $3))",
    )
    .bind(channel.0)
    .bind(oldest)
    .bind(MOST_GONE)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "DELETE FROM model_changes WHERE at < $1
         OR id IN (SELECT id FROM model_changes ORDER BY id DESC LIMIT -1 OFFSET $2)",
    )
    .bind(oldest)
    .bind(MOST_CHANGES)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
