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
        budget::{Owner, Payer},
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
type Counts = HashMap<Payer, (QuotaUnit, QuotaReset)>;

/// Which budgets count.
#[derive(Default)]
pub struct Begun {
    known: Counts,
    /// Those that could not begin yet.
    failed: HashMap<Payer, Failed>,
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
    fn put_off(&mut self, payers: impl Iterator<Item = Payer>, now: UnixMs) -> bool {
        let mut news = false;
        for payer in payers {
            let failed = self.failed.entry(payer).or_default();
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
    known.retain(|&payer, &mut (unit, reset)| counted(&spent, payer.into(), unit, reset, now, &catalog.zone));
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
    declared(catalog).map(|(payer, budget)| (payer, (budget.unit, budget.reset))).collect()
}

async fn look(parts: &Parts, begun: &mut Begun) {
    let catalog = parts.catalog.load();
    begin(parts, begun, &catalog).await;
    hold(parts, &catalog);
}

/// Has new budgets count what their periods have seen, all of a period at once.
async fn begin(parts: &Parts, begun: &mut Begun, catalog: &Catalog) {
    let now = parts.dispatch.now();
    let present = counts(catalog);
    begun.known.retain(|payer, _| present.contains_key(payer));
    begun.failed.retain(|payer, _| present.contains_key(payer));
    let mut due: BTreeMap<UnixMs, Vec<(Payer, QuotaUnit)>> = BTreeMap::new();
    for (&payer, counts) in &present {
        let waits = begun.failed.get(&payer).is_some_and(|failed| failed.again_at > now.steady);
        if begun.known.get(&payer) != Some(counts) && !waits {
            let period = counts.1.period_start(now.wall, &catalog.zone);
            due.entry(period).or_default().push((payer, counts.0));
        }
    }
    if due.is_empty() {
        return;
    }
    if !parts.recorder.flush_within(FLUSH).await {
        let payers = due.values().flatten().map(|(payer, _)| *payer);
        if begun.put_off(payers, now.steady) {
            tracing::warn!("new budgets wait for the usage log; trying again");
        }
        return;
    }
    for (period, budgets) in due {
        for (payer, _) in &budgets {
            if begun.known.remove(payer).is_some() {
                parts.meters.reset((*payer).into());
            }
        }
        match parts.db.begin_budgets(period, &budgets).await {
            Ok(spent) => {
                parts.meters.restore(spent);
                for (payer, _) in budgets {
                    begun.failed.remove(&payer);
                    begun.known.extend(present.get(&payer).map(|counts| (payer, *counts)));
                }
            }
            Err(error) => {
                let count = budgets.len();
                if begun.put_off(budgets.into_iter().map(|(payer, _)| payer), now.steady) {
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
        .filter(|&(payer, budget)| {
            budget.stops() && parts.meters.spent(payer.into(), budget, now, &catalog.zone) >= budget.limit
        })
        .map(|(payer, budget)| {
            let scope = match payer {
                Payer::Key(id) => Scope::Key(id),
                Payer::Channel(id) => Scope::Channel(id),
            };
            (scope, budget.reset.period_end(now, &catalog.zone).unwrap_or(NEVER))
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
        let (payer, now, mut begun) = (Payer::Key(KeyId(2)), UnixMs(1000), Begun::default());
        assert!(begun.put_off([payer].into_iter(), now));
        assert_eq!(begun.failed[&payer].again_at, now + EVERY * 2);
        for _ in 0..50 {
            assert!(!begun.put_off([payer].into_iter(), now), "it is told once");
        }
        assert_eq!(begun.failed[&payer].again_at, now + EVERY * 256);
    }
}
