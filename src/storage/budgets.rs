//! Budgets of keys and channels: how they are stored, what was spent of them, and all budgets at a glance.
//!
//! What tokens spend is in [`spending`](super::spending). Both are written with the usage rows that they sum up.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    Db, StorageError, StorageResult, WriteTransaction, on,
    recording::{groups, placeholders},
    rollups::clamp_amount,
    spending,
    usage_query::{
        bounded,
        report::{GroupBy, Sums},
    },
};
use crate::model::{
    budget::{Charge, Owner, OwnerKind, Payer, Standing},
    catalog::Catalog,
    id::{ChannelId, KeyId},
    time::UnixMs,
    token::{Quota, QuotaUnit},
    usage::{CallResult, UsageRecord},
};

/// What was spent, by whose budget, the start of the period, and what is counted.
pub type Spending = BTreeMap<(Owner, UnixMs, QuotaUnit), i64>;

const HOUR_MS: i64 = 3_600_000;

/// How long the database may look for what was saved: pages show it beside other things.
const SAVED_LIMIT: Duration = Duration::from_secs(3);

/// A budget as its column has it.
pub(super) fn read(text: Option<&str>) -> Result<Option<Quota>, serde_json::Error> {
    text.map(serde_json::from_str).transpose()
}

/// What the column of a budget holds.
pub(super) fn write(budget: Option<Quota>) -> StorageResult<Option<String>> {
    let text = budget.map(|budget| serde_json::to_string(&budget)).transpose();
    text.map_err(|error| StorageError::Unreadable(error.to_string()))
}

/// Forgets what was spent if a budget counts something else from now on, or ends: what is spent then is not noted, so the
/// sum would be too small later. It is summed up anew from the roll-ups.
pub(super) async fn forget_if_other(
    tx: &mut WriteTransaction,
    payer: Payer,
    budget: Option<Quota>,
) -> StorageResult<()> {
    let before = budget_of(tx, payer).await?;
    let counted = |budget: Option<Quota>| budget.map(|budget| (budget.unit, budget.reset));
    if counted(before) != counted(budget) {
        let owner = Owner::from(payer);
        sqlx::query("DELETE FROM budget_spending WHERE owner_kind = $1 AND owner_id = $2")
            .bind(owner.kind().as_str())
            .bind(owner.number())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// The budget of a key or a channel, as the transaction sees it.
async fn budget_of(tx: &mut WriteTransaction, payer: Payer) -> StorageResult<Option<Quota>> {
    let (sql, id) = match payer {
        Payer::Key(id) => ("SELECT budget FROM keys WHERE id = $1", id.0),
        Payer::Channel(id) => ("SELECT budget FROM channels WHERE id = $1", id.0),
    };
    let budget: Option<Option<String>> = sqlx::query_scalar(sql).bind(id).fetch_optional(&mut **tx).await?;
    Ok(budget.flatten().and_then(|text| read(Some(&text)).ok().flatten()))
}

/// Charges a cost that became known later to those of these keys and channels whose budgets count dollars, for the period in
/// which the call arrived; gives what was charged.
pub(super) async fn charge_later(
    tx: &mut WriteTransaction,
    payers: [Payer; 2],
    at: UnixMs,
    cost_micros: i64,
    zone: &jiff::tz::TimeZone,
) -> StorageResult<Vec<Charge>> {
    let (mut charges, mut books) = (Vec::new(), Books::default());
    for payer in payers {
        let Some(budget) = budget_of(tx, payer).await? else { continue };
        let owner = Owner::from(payer);
        if budget.unit == QuotaUnit::Dollars && cost_micros > 0 {
            let period = budget.reset.period_start(at, zone);
            books.charges.insert((owner, period, budget.unit), cost_micros);
            charges.push(Charge { owner, unit: budget.unit, period, amount: cost_micros });
        }
    }
    books.write(tx).await?;
    Ok(charges)
}

/// What the rows of one transaction charge to budgets, and save.
#[derive(Default)]
pub(super) struct Books {
    charges: Spending,
    /// By the hour, the token, the channel and the key.
    saved: BTreeMap<(&'static str, i64, i64), i64>,
}

impl Books {
    /// Adds a row that was inserted.
    pub(super) fn add(&mut self, record: &UsageRecord) {
        for charge in record.charges.iter().filter(|charge| charge.amount > 0) {
            let sum = self.charges.entry((charge.owner, charge.period, charge.unit)).or_default();
            *sum = sum.saturating_add(clamp_amount(charge.amount));
        }
        if record.saved_micros > 0 {
            let hour = record.at.0 - record.at.0.rem_euclid(HOUR_MS);
            let owners = [
                Some(Owner::Token(record.token_id)),
                record.channel_id.map(Owner::Channel),
                record.key_id.map(Owner::Key),
            ];
            for (kind, id) in owners.into_iter().flatten().map(saver).chain([ALL_CALLS]) {
                let sum = self.saved.entry((kind, id, hour)).or_default();
                *sum = sum.saturating_add(clamp_amount(record.saved_micros));
            }
        }
    }

    /// Adds it all to the tables.
    pub(super) async fn write(&self, tx: &mut WriteTransaction) -> StorageResult<()> {
        const CHARGE: &str = "INSERT INTO budget_spending (owner_kind, owner_id, period_start, unit, spent) \
                              VALUES ($1, $2, $3, $4, $5) \
                              ON CONFLICT (owner_kind, owner_id, period_start, unit) DO UPDATE SET \
                              spent = budget_spending.spent + excluded.spent";
        for ((owner, period, unit), amount) in &self.charges {
            sqlx::query(CHARGE)
                .bind(owner.kind().as_str())
                .bind(owner.number())
                .bind(period.0)
                .bind(unit.as_str())
                .bind(amount)
                .execute(&mut **tx)
                .await?;
        }
        let saved: Vec<_> = self.saved.iter().collect();
        for group in groups(&saved) {
            let sql = format!(
                "INSERT INTO savings (owner_kind, owner_id, hour, saved) VALUES {} \
                 ON CONFLICT (owner_kind, owner_id, hour) DO UPDATE SET saved = savings.saved + excluded.saved",
                placeholders(group.len(), 4)
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for ((kind, id, hour), amount) in group {
                query = query.bind(*kind).bind(id).bind(hour).bind(amount);
            }
            query.execute(&mut **tx).await?;
        }
        Ok(())
    }
}

impl Db {
    /// What keys and channels have spent, by whose it is, the start of the period and the unit; all periods that are known.
    pub async fn budget_spending(&self) -> StorageResult<Spending> {
        const SQL: &str = "SELECT owner_kind, owner_id, period_start, unit, spent FROM budget_spending";
        let rows: Vec<(String, i64, i64, String, i64)> =
            on!(self.read, |pool| sqlx::query_as(SQL).fetch_all(pool))?;
        let unreadable = |what: &str| StorageError::Unreadable(format!("{what:?} of what budgets spent"));
        rows.into_iter()
            .map(|(kind, id, period, unit, spent)| {
                let owner = Owner::of(OwnerKind::from_name(&kind).ok_or_else(|| unreadable(&kind))?, id);
                let unit = QuotaUnit::from_name(&unit).ok_or_else(|| unreadable(&unit))?;
                Ok(((owner, UnixMs(period), unit), spent))
            })
            .collect()
    }

    /// Notes what keys and channels have spent since `period_start` by the usage log, unless more is noted
    /// already: a budget that is new counts what its period has seen. Gives what is noted then. Requests are those that were
    /// answered, or broke off. Rows that are still on their way through the recorder are not seen; flush it first.
    ///
    /// The log is summed up once for all of a kind; rows that come meanwhile are added in the transaction that writes, which also
    /// sees what they charge. Missed are calls that began before there was a budget and end after this.
    ///
    /// Fails with [`TooSlow`](StorageError::TooSlow) if the database needs more than 10 seconds.
    pub async fn begin_budgets(
        &self,
        period_start: UnixMs,
        budgets: &[(Payer, QuotaUnit)],
    ) -> StorageResult<Vec<(Owner, UnixMs, QuotaUnit, i64)>> {
        let (mut keys, mut channels) = (Vec::new(), Vec::new());
        for &(payer, unit) in budgets {
            match payer {
                Payer::Key(_) => keys.push((payer.into(), unit)),
                Payer::Channel(_) => channels.push((payer.into(), unit)),
            }
        }
        let mut noted = Vec::with_capacity(budgets.len());
        for (group_by, column, budgets) in
            [(GroupBy::Key, "key_id", keys), (GroupBy::Channel, "channel_id", channels)]
        {
            if !budgets.is_empty() {
                noted.extend(self.begin_of_kind(group_by, column, period_start, &budgets).await?);
            }
        }
        Ok(noted)
    }

    /// [`begin_budgets`](Self::begin_budgets) of owners that are all of the kind that `column` names.
    async fn begin_of_kind(
        &self,
        group_by: GroupBy,
        column: &str,
        period_start: UnixMs,
        budgets: &[(Owner, QuotaUnit)],
    ) -> StorageResult<Vec<(Owner, UnixMs, QuotaUnit, i64)>> {
        let from = (period_start.0 > 0).then_some(period_start);
        let only = match budgets {
            [(owner, _)] => Some(owner.number()),
            _ => None,
        };
        let (sums, last) = self.sums_since(group_by, only, from).await?;
        let sql = format!(
            "SELECT {column}, SUM(cost_micros), SUM(prompt_tokens + completion_tokens), \
             SUM(result IN (SELECT id FROM words WHERE text IN ('{}', '{}'))) \
             FROM calls WHERE id > $1 AND +at >= $2 AND {column} IS NOT NULL GROUP BY {column}",
            CallResult::Ok,
            CallResult::Interrupted
        );
        let mut tx = self.begin().await?;
        let late: Vec<(i64, i64, i64, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(last)
            .bind(from.map_or(i64::MIN, |from| from.0))
            .fetch_all(&mut *tx)
            .await?;
        let late: HashMap<i64, [i64; 3]> =
            late.into_iter().map(|(id, cost, tokens, requests)| (id, [cost, tokens, requests])).collect();
        let mut noted = Vec::with_capacity(budgets.len());
        for &(owner, unit) in budgets {
            let summed = sums.get(&owner.number()).map_or(0, |sums| amount(unit, sums));
            let [cost, tokens, requests] = late.get(&owner.number()).copied().unwrap_or_default();
            let more = match unit {
                QuotaUnit::Dollars => cost,
                QuotaUnit::Tokens => tokens,
                QuotaUnit::Requests => requests,
            };
            let spent = clamp_amount(summed.saturating_add(more));
            noted.push((
                owner,
                period_start,
                unit,
                note_spent(&mut tx, owner, unit, period_start, spent).await?,
            ));
        }
        tx.commit().await?;
        Ok(noted)
    }

    /// Begins to count what a budget has spent in a period at nothing, on an operator's word. Rows that are still on their way
    /// through the recorder are added afterwards; flush it first.
    pub async fn reset_budget(&self, owner: Owner, period_start: UnixMs) -> StorageResult<()> {
        if let Owner::Token(id) = owner {
            return self.reset_spending(id, period_start).await;
        }
        const SQL: &str = "UPDATE budget_spending SET spent = 0 \
                           WHERE owner_kind = $1 AND owner_id = $2 AND period_start = $3";
        on!(self.write, |pool| {
            sqlx::query(SQL)
                .bind(owner.kind().as_str())
                .bind(owner.number())
                .bind(period_start.0)
                .execute(pool)
        })?;
        Ok(())
    }

    /// Every budget with what is spent of it at `now`: tokens by name, then channels, each followed by its keys. What a
    /// notification, a page or a command tells of budgets is in here; see [`Standing::level`] and [`Standing::is_stopped`].
    pub async fn budgets(&self, catalog: &Catalog, now: UnixMs) -> StorageResult<Vec<Standing>> {
        let zone = &catalog.zone;
        let standing = |owner, name, channel, quota: Quota| Standing {
            owner,
            name,
            channel,
            quota,
            spent: 0,
            period_start: quota.reset.period_start(now, zone),
            resets_at: quota.reset.period_end(now, zone),
        };
        let mut found: Vec<Standing> = catalog
            .tokens()
            .filter_map(|token| {
                let name = token.name.clone();
                Some(standing(Owner::Token(token.id), name, None, token.quota?))
            })
            .collect();
        found.sort_by_cached_key(|budget| (budget.name.to_lowercase(), budget.owner));
        for entry in catalog.channels() {
            let (id, name) = (entry.channel.id, &entry.channel.name);
            let own = entry.channel.budget;
            found.extend(own.map(|quota| standing(Owner::Channel(id), name.clone(), None, quota)));
            for key in &entry.keys {
                let Some(quota) = key.budget else { continue };
                let label =
                    if key.label.is_empty() { format!("…{}", key.last4) } else { key.label.clone() };
                found.push(standing(Owner::Key(key.id), label, Some((id, name.clone())), quota));
            }
        }
        if found.is_empty() {
            return Ok(found);
        }
        let mut spent = self.spending_of(now, zone).await?;
        for budget in &mut found {
            let key = (budget.owner, budget.period_start, budget.quota.unit);
            budget.spent = spent.remove(&key).unwrap_or(0);
        }
        Ok(found)
    }

    /// What is spent in the periods that `now` lies in, of all kinds of owners.
    async fn spending_of(&self, now: UnixMs, zone: &jiff::tz::TimeZone) -> StorageResult<Spending> {
        let sql = sqlx::AssertSqlSafe(spending_of_periods(&spending::present_starts(now, zone)));
        let rows: Vec<(String, i64, i64, String, i64)> =
            on!(self.read, |pool| sqlx::query_as(sql).fetch_all(pool))?;
        let entry = |(kind, id, period, unit, spent): (String, i64, i64, String, i64)| {
            let owner = Owner::of(OwnerKind::from_name(&kind)?, id);
            Some(((owner, UnixMs(period), QuotaUnit::from_name(&unit)?), spent))
        };
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// What calls saved from a time until before another one, in micro-dollars: what they would have cost by list prices, less
    /// what they did cost. Of everybody without an owner. Borders inside an hour (UTC) are moved to its start.
    ///
    /// Fails with [`TooSlow`](StorageError::TooSlow) if the database needs more than 3 seconds.
    pub async fn saved_micros(
        &self,
        owner: Option<Owner>,
        from: UnixMs,
        to: Option<UnixMs>,
    ) -> StorageResult<i64> {
        let hour = |at: UnixMs| at.0 - at.0.rem_euclid(HOUR_MS);
        let (kind, id) = owner.map_or(ALL_CALLS, saver);
        let mut reader = self.bounded_reader(SAVED_LIMIT).await?;
        let query =
            sqlx::query_scalar(SAVED).bind(kind).bind(id).bind(hour(from)).bind(to.map_or(i64::MAX, hour));
        let saved: i64 = query.fetch_one(reader.connection()).await.map_err(bounded)?;
        reader.finish().await?;
        Ok(saved)
    }
}

/// The statement that finds what all kinds of owners have spent in periods that began at one of these times.
fn spending_of_periods(starts: &str) -> String {
    format!(
        "{} UNION ALL SELECT owner_kind, owner_id, period_start, unit, spent FROM budget_spending \
         WHERE period_start IN ({starts})",
        spending::of_periods("'token', token_id, period_start, unit, spent", starts)
    )
}

/// Sums up what was saved in some hours.
const SAVED: &str = "SELECT CAST(COALESCE(SUM(saved), 0) AS BIGINT) FROM savings \
                     WHERE owner_kind = $1 AND owner_id = $2 AND hour >= $3 AND hour < $4";

/// Under which kind and number all calls together are noted.
const ALL_CALLS: (&str, i64) = ("", 0);

/// Under which kind and number an owner is noted.
fn saver(owner: Owner) -> (&'static str, i64) {
    (owner.kind().as_str(), owner.number())
}

/// What sums of calls amount to in a unit.
fn amount(unit: QuotaUnit, sums: &Sums) -> i64 {
    match unit {
        QuotaUnit::Dollars => sums.cost_micros,
        QuotaUnit::Tokens => i64::try_from(sums.tokens.total()).unwrap_or(i64::MAX),
        QuotaUnit::Requests => {
            let broken = sums.failures.get(&CallResult::Interrupted).copied().unwrap_or(0);
            sums.ok.saturating_add(broken)
        }
    }
}

/// Notes what is spent, unless more is noted already; gives what is noted then.
async fn note_spent(
    tx: &mut WriteTransaction,
    owner: Owner,
    unit: QuotaUnit,
    period_start: UnixMs,
    spent: i64,
) -> StorageResult<i64> {
    const SQL: &str = "INSERT INTO budget_spending (owner_kind, owner_id, period_start, unit, spent) \
                       VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (owner_kind, owner_id, period_start, unit) DO UPDATE SET \
                       spent = MAX(budget_spending.spent, excluded.spent) RETURNING spent";
    Ok(sqlx::query_scalar(SQL)
        .bind(owner.kind().as_str())
        .bind(owner.number())
        .bind(period_start.0)
        .bind(unit.as_str())
        .bind(spent)
        .fetch_one(&mut **tx)
        .await?)
}

/// The budgets of a catalog's keys and channels.
pub fn declared(catalog: &Catalog) -> impl Iterator<Item = (Payer, Quota)> + '_ {
    let of_channel = |id: ChannelId, quota: Option<Quota>| Some((Payer::Channel(id), quota?));
    let of_key = |id: KeyId, quota: Option<Quota>| Some((Payer::Key(id), quota?));
    catalog.channels().flat_map(move |entry| {
        let keys = entry.keys.iter().filter_map(move |key| of_key(key.id, key.budget));
        of_channel(entry.channel.id, entry.channel.budget).into_iter().chain(keys)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{channel::Channel, id::TokenId, settings::RuntimeSettings, token::QuotaReset},
        storage::{
            channels::NewChannel,
            recording::tests::{open, record},
        },
    };

    const DAY: UnixMs = UnixMs(1_799_971_200_000);

    fn daily(unit: QuotaUnit) -> Option<Quota> {
        Some(Quota::new(unit, 1000, QuotaReset::Day))
    }

    async fn with_budget(db: &Db, budget: Option<Quota>) -> Channel {
        let new = NewChannel { name: "a".into(), budget, ..NewChannel::default() };
        let id = db.create_channel(&new).await.unwrap();
        db.find_channel(id).await.unwrap().unwrap()
    }

    fn catalog(channels: Vec<Channel>) -> Catalog {
        let channels = channels.into_iter().map(|channel| (channel, Vec::new())).collect();
        Catalog::new(RuntimeSettings::sample(), jiff::tz::TimeZone::UTC, channels, Vec::new(), Vec::new())
    }

    fn charged(n: u32, amount: i64) -> UsageRecord {
        let charge =
            Charge { owner: Owner::Channel(ChannelId(1)), unit: QuotaUnit::Tokens, period: DAY, amount };
        UsageRecord { charges: vec![charge], ..record(n) }
    }

    #[tokio::test]
    async fn a_budget_is_charged_with_its_rows_and_once_for_a_row_that_comes_again() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let channel = with_budget(&db, daily(QuotaUnit::Tokens)).await;
        db.insert_usage(&[charged(1, 300), charged(2, 200)]).await.unwrap();
        db.insert_usage(&[charged(2, 200), charged(3, -9)]).await.unwrap();
        let found = db.budgets(&catalog(vec![channel]), record(1).at).await.unwrap();
        let [budget] = &found[..] else { panic!("{found:?}") };
        assert_eq!((budget.owner, budget.spent, budget.left()), (Owner::Channel(ChannelId(1)), 500, 500));
        assert_eq!((budget.period_start, budget.level()), (DAY, None));
        assert_eq!(budget.resets_at, Some(UnixMs(DAY.0 + 86_400_000)));
        let tomorrow = UnixMs(record(1).at.0 + 86_400_000);
        let channel = db.find_channel(ChannelId(1)).await.unwrap().unwrap();
        assert_eq!(db.budgets(&catalog(vec![channel]), tomorrow).await.unwrap()[0].spent, 0);
    }

    #[tokio::test]
    async fn a_new_budget_counts_what_its_period_has_seen_and_a_changed_one_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let channel = with_budget(&db, daily(QuotaUnit::Requests)).await;
        let failed = UsageRecord { result: CallResult::UpstreamError, ..record(2) };
        let yesterday = UsageRecord { at: UnixMs(DAY.0 - 1), ..record(3) };
        db.insert_usage(&[record(1), failed, yesterday]).await.unwrap();
        let owner = Payer::Channel(channel.id);
        for (unit, spent) in
            [(QuotaUnit::Requests, 1), (QuotaUnit::Dollars, 14), (QuotaUnit::Tokens, 10 + 1 + 10 + 2)]
        {
            let begun = db.begin_budgets(DAY, &[(owner, unit)]).await.unwrap();
            assert_eq!(begun, [(owner.into(), DAY, unit, spent)]);
        }
        db.insert_usage(&[charged(7, 77)]).await.unwrap();
        let again = db.begin_budgets(DAY, &[(owner, QuotaUnit::Tokens)]).await.unwrap();
        assert_eq!(again[0].3, 23 + 77, "what is noted is not counted twice");

        let change = async |budget| {
            let new = NewChannel { budget, ..NewChannel::from(&channel) };
            db.update_channel(channel.id, &new).await.unwrap();
            db.budget_spending().await.unwrap().len()
        };
        let higher = Quota { limit: 5000, ..daily(QuotaUnit::Requests).unwrap() };
        assert_eq!(change(Some(higher)).await, 3, "a higher limit counts on");
        assert_eq!(change(daily(QuotaUnit::Tokens)).await, 0);
    }

    #[tokio::test]
    async fn many_budgets_begin_at_once_each_with_its_own_calls_also_where_days_are_summed_up() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let of_key = |n: u32, key: i64, days: i64| UsageRecord {
            key_id: Some(KeyId(key)),
            at: UnixMs(DAY.0 + days * 86_400_000 + 1000),
            ..record(n)
        };
        db.insert_usage(&[of_key(1, 3, -2), of_key(2, 3, -1), of_key(3, 4, -1)]).await.unwrap();
        db.fold_usage(100).await.unwrap();
        while db.sum_up_day(DAY, &jiff::tz::TimeZone::UTC).await.unwrap() {}
        db.insert_usage(&[of_key(4, 3, 0), of_key(5, 4, 0)]).await.unwrap();
        let keys = [3, 4, 5].map(|key| Payer::Key(KeyId(key)));
        let budgets = keys.map(|key| (key, QuotaUnit::Requests));
        let channel = (Payer::Channel(ChannelId(1)), QuotaUnit::Requests);
        for (since, counts) in
            [(UnixMs(0), [3, 2, 0]), (UnixMs(DAY.0 - 86_400_000), [2, 2, 0]), (DAY, [1, 1, 0])]
        {
            let begun = db.begin_budgets(since, &budgets).await.unwrap();
            let expected: Vec<_> = keys
                .into_iter()
                .zip(counts)
                .map(|(key, count)| (key.into(), since, QuotaUnit::Requests, count))
                .collect();
            assert_eq!(begun, expected);
            let alone = db.begin_budgets(since, &budgets[..1]).await.unwrap();
            assert_eq!(alone, expected[..1]);
            let mixed = db.begin_budgets(since, &[channel, budgets[0]]).await.unwrap();
            let all = (Owner::Channel(ChannelId(1)), since, QuotaUnit::Requests, counts.iter().sum());
            assert_eq!(mixed, [expected[0], all], "each kind by its own calls");
        }
    }

    #[tokio::test]
    async fn an_operator_begins_a_budget_anew_and_other_periods_stay() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let key = Owner::Key(KeyId(3));
        let charge = |period| Charge { owner: key, unit: QuotaUnit::Dollars, period, amount: 5 };
        let row = UsageRecord { charges: vec![charge(DAY), charge(UnixMs(0))], ..record(1) };
        db.insert_usage(&[row]).await.unwrap();
        db.reset_budget(key, DAY).await.unwrap();
        let spent = db.budget_spending().await.unwrap();
        assert_eq!(spent[&(key, DAY, QuotaUnit::Dollars)], 0);
        assert_eq!(spent[&(key, UnixMs(0), QuotaUnit::Dollars)], 5);
    }

    #[tokio::test]
    async fn what_is_spent_now_is_found_without_reading_the_periods_that_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let starts = spending::present_starts(DAY, &jiff::tz::TimeZone::UTC);
        let sql = format!("EXPLAIN QUERY PLAN {}", spending_of_periods(&starts));
        let plan: Vec<(i64, i64, i64, String)> =
            on!(db.read, |pool| sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool)).unwrap();
        for table in ["token_spending", "budget_spending"] {
            let mut steps = plan.iter().filter(|(.., step)| step.contains(table)).peekable();
            assert!(steps.peek().is_some(), "{plan:?}");
            assert!(steps.all(|(.., step)| step.contains("SEARCH")), "{plan:?}");
        }
    }

    #[tokio::test]
    async fn what_was_saved_is_summed_by_owner_and_since_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let saved = |n, saved_micros| UsageRecord { saved_micros, ..record(n) };
        let other = UsageRecord { channel_id: Some(ChannelId(9)), ..saved(3, 1000) };
        let earlier = UsageRecord { at: UnixMs(DAY.0 - 1), ..saved(4, 50) };
        db.insert_usage(&[saved(1, 30), saved(2, -4), other, earlier]).await.unwrap();
        let sum = async |owner, since| db.saved_micros(owner, since, None).await.unwrap();
        assert_eq!(sum(None, DAY).await, 1030);
        assert_eq!(db.saved_micros(None, UnixMs(0), Some(DAY)).await.unwrap(), 50);
        assert_eq!(sum(None, UnixMs(0)).await, 1080);
        assert_eq!(sum(Some(Owner::Channel(ChannelId(1))), UnixMs(0)).await, 80);
        assert_eq!(sum(Some(Owner::Token(TokenId(2))), UnixMs(0)).await, 0);
        let plan: Vec<(i64, i64, i64, String)> = on!(db.read, |pool| sqlx::query_as(
            "EXPLAIN QUERY PLAN SELECT SUM(saved) FROM savings \
                 WHERE owner_kind = 'key' AND owner_id = 1 AND hour >= 0 AND hour < 9"
        )
        .fetch_all(pool))
        .unwrap();
        assert!(plan.iter().all(|(.., step)| step.contains("SEARCH")), "{plan:?}");
    }
}
