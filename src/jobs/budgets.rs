//! Budgets of keys and channels as time goes by: new ones begin with what their period has seen, used-up ones take no calls
//! until they start anew, and what was raised takes calls again.
//!
//! A call reserves its room by itself (`relay`); this is for what no call brings about, and for everybody to see.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    model::{
        budget::{Owner, OwnerKind},
        catalog::Catalog,
        time::UnixMs,
        token::{QuotaReset, QuotaUnit},
    },
    relay::{quota::Meters, recorder::Recorder},
    scheduler::rest::Scope,
    storage::{
        Db, StorageResult,
        budgets::{Spending, declared},
        catalog::CatalogStore,
    },
};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// How long new budgets wait for rows on their way into the database.
const FLUSH: Duration = Duration::from_secs(10);

/// How often the time until a budget that could not begin is tried again is doubled at most: some four minutes.
const MOST_DOUBLED: u32 = 8;

/// When a budget that never starts anew does so: later than anybody waits, and still a date that can be shown.
const NEVER: UnixMs = UnixMs(32_503_680_000_000);

/// What the job works with.
pub struct Parts {
    /// Where spending is noted.
    pub db: Db,
    /// Who has a budget.
    pub catalog: CatalogStore,
    /// Who takes calls.
    pub dispatch: Dispatch,
    /// What is spent.
    pub meters: Meters,
    /// What is still on its way into the database.
    pub recorder: Recorder,
}

/// What each budget counts.
type Counts = HashMap<Owner, (QuotaUnit, QuotaReset)>;

/// Which budgets count.
#[derive(Default)]
pub struct Begun {
    known: Counts,
    /// Those that could not begin yet.
    failed: HashMap<Owner, Failed>,
}

/// A budget that could not begin.
#[derive(Default)]
struct Failed {
    times: u32,
    /// When it is tried again, on the steady clock.
    again_at: UnixMs,
}

impl Begun {
    /// Puts budgets off; says whether one of them never was before.
    fn put_off(&mut self, owners: impl Iterator<Item = Owner>, now: UnixMs) -> bool {
        let mut news = false;
        for owner in owners {
            let failed = self.failed.entry(owner).or_default();
            news |= failed.times == 0;
            failed.times = failed.times.saturating_add(1);
            failed.again_at = now + EVERY * (1_u32 << failed.times.min(MOST_DOUBLED));
        }
        news
    }
}

/// Takes over what the database says was spent, and has used-up keys and channels take no calls. Call it after the rests of an
/// earlier run were restored, and before the first call. Gives what [`run`] goes on with: a budget of which the log cannot be
/// summed up now begins then.
pub async fn restore(parts: &Parts) -> StorageResult<Begun> {
    let spent = parts.db.budget_spending().await?;
    let catalog = parts.catalog.load();
    let now = parts.dispatch.now().wall;
    // What nothing is noted of may have come while no server ran.
    let mut known = counts(&catalog);
    known.retain(|&owner, &mut (unit, reset)| counted(&spent, owner, unit, reset, now, &catalog.zone));
    parts
        .meters
        .restore(spent.into_iter().map(|((owner, period, unit), amount)| (owner, period, unit, amount)));
    let mut begun = Begun { known, ..Begun::default() };
    look(parts, &mut begun).await;
    Ok(begun)
}

/// Whether all that was spent of a budget in its present period is noted: something is, or was in an earlier period, so that it was
/// there when this one began. What was noted is forgotten when a budget ends or counts something else.
fn counted(
    spent: &Spending,
    owner: Owner,
    unit: QuotaUnit,
    reset: QuotaReset,
    now: UnixMs,
    zone: &jiff::tz::TimeZone,
) -> bool {
    let present = reset.period_start(now, zone);
    let is_one =
        |period: UnixMs| period == present || (period.0 > 0 && reset.period_start(period, zone) == period);
    spent
        .range((owner, UnixMs(i64::MIN), unit)..)
        .take_while(|((other, period, _), _)| *other == owner && *period <= present)
        .any(|((_, period, counts), _)| *counts == unit && is_one(*period))
}

/// Looks after budgets until `stopping`.
pub async fn run(parts: Parts, mut begun: Begun, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stopping.cancelled() => return,
        }
        look(&parts, &mut begun).await;
    }
}

fn counts(catalog: &Catalog) -> Counts {
    declared(catalog).map(|(owner, budget)| (owner, (budget.unit, budget.reset))).collect()
}

async fn look(parts: &Parts, begun: &mut Begun) {
    let catalog = parts.catalog.load();
    begin(parts, begun, &catalog).await;
    hold(parts, &catalog);
}

/// Has new budgets count what their periods have seen, all of a kind and a period at once.
async fn begin(parts: &Parts, begun: &mut Begun, catalog: &Catalog) {
    let now = parts.dispatch.now();
    let present = counts(catalog);
    begun.known.retain(|owner, _| present.contains_key(owner));
    begun.failed.retain(|owner, _| present.contains_key(owner));
    let mut due: BTreeMap<(OwnerKind, UnixMs), Vec<(Owner, QuotaUnit)>> = BTreeMap::new();
    for (&owner, counts) in &present {
        let waits = begun.failed.get(&owner).is_some_and(|failed| failed.again_at > now.steady);
        if begun.known.get(&owner) != Some(counts) && !waits {
            let period = counts.1.period_start(now.wall, &catalog.zone);
            due.entry((owner.kind(), period)).or_default().push((owner, counts.0));
        }
    }
    if due.is_empty() {
        return;
    }
    if tokio::time::timeout(FLUSH, parts.recorder.flush()).await.is_err() {
        let owners = due.values().flatten().map(|(owner, _)| *owner);
        if begun.put_off(owners, now.steady) {
            tracing::warn!("new budgets wait for the usage log; trying again");
        }
        return;
    }
    for ((kind, period), budgets) in due {
        for (owner, _) in &budgets {
            if begun.known.remove(owner).is_some() {
                parts.meters.reset(*owner);
            }
        }
        match parts.db.begin_budgets(kind, period, &budgets).await {
            Ok(spent) => {
                parts.meters.restore(spent);
                for (owner, _) in budgets {
                    begun.failed.remove(&owner);
                    begun.known.extend(present.get(&owner).map(|counts| (owner, *counts)));
                }
            }
            Err(error) => {
                let count = budgets.len();
                if begun.put_off(budgets.into_iter().map(|(owner, _)| owner), now.steady) {
                    tracing::warn!(%error, count, "what new budgets have spent cannot be summed up; trying again");
                }
                // The others next time: budgets that are used up wait for this.
                return;
            }
        }
    }
}

/// Has used-up keys and channels take no calls, and others take them again.
fn hold(parts: &Parts, catalog: &Catalog) {
    let now = parts.dispatch.now().wall;
    let used_up: Vec<(Scope, UnixMs)> = declared(catalog)
        .filter(|(owner, budget)| {
            budget.stops() && parts.meters.spent(*owner, *budget, now, &catalog.zone) >= budget.limit
        })
        .filter_map(|(owner, budget)| {
            let scope = match owner {
                Owner::Key(id) => Scope::Key(id),
                Owner::Channel(id) => Scope::Channel(id),
                Owner::Token(_) => return None,
            };
            Some((scope, budget.reset.period_end(now, &catalog.zone).unwrap_or(NEVER)))
        })
        .collect();
    for scope in parts.dispatch.hold_for_budgets(&used_up) {
        tracing::info!(?scope, "takes no calls: its budget is used up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::KeyId;

    #[test]
    fn a_budget_that_was_there_before_its_period_began_needs_no_look_into_the_log() {
        const DAY_MS: i64 = 86_400_000;
        let (owner, zone) = (Owner::Key(KeyId(2)), jiff::tz::TimeZone::UTC);
        let now = UnixMs(20_000 * DAY_MS + 5000);
        let at = |days: i64| UnixMs((20_000 + days) * DAY_MS);
        let (daily, never) = (QuotaReset::Day, QuotaReset::Never);
        for (whose, unit, period, reset, expected) in [
            (owner, QuotaUnit::Tokens, at(0), daily, true),
            (owner, QuotaUnit::Tokens, at(-3), daily, true),
            (owner, QuotaUnit::Requests, at(-3), daily, false),
            (Owner::Key(KeyId(3)), QuotaUnit::Tokens, at(-3), daily, false),
            (owner, QuotaUnit::Tokens, UnixMs(at(-3).0 + 3_600_000), daily, false),
            (owner, QuotaUnit::Tokens, UnixMs(0), daily, false),
            (owner, QuotaUnit::Tokens, UnixMs(0), never, true),
            (owner, QuotaUnit::Tokens, at(-3), never, false),
        ] {
            let spent = Spending::from([((whose, period, unit), 1)]);
            assert_eq!(
                counted(&spent, owner, QuotaUnit::Tokens, reset, now, &zone),
                expected,
                "{whose:?} {unit} {period:?} {reset}"
            );
        }
    }

    #[test]
    fn a_budget_that_cannot_begin_is_tried_again_less_and_less_often() {
        let (owner, now, mut begun) = (Owner::Key(KeyId(2)), UnixMs(1000), Begun::default());
        assert!(begun.put_off([owner].into_iter(), now));
        assert_eq!(begun.failed[&owner].again_at, now + EVERY * 2);
        for _ in 0..50 {
            assert!(!begun.put_off([owner].into_iter(), now), "it is told once");
        }
        assert_eq!(begun.failed[&owner].again_at, now + EVERY * 256);
    }
}
