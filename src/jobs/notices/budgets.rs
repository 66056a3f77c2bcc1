//! Budgets of tokens, keys and channels that have reached a warning level, or of which nothing is left.

use super::facts::Fact;
use crate::{
    model::{
        budget::{Owner, Standing},
        catalog::Catalog,
        notice::{Event, Occurrence, Place},
        time::UnixMs,
    },
    storage::{Db, StorageResult},
};

/// What the names of these facts begin with.
pub(super) const NAMES: &str = "budget:";

/// A fact for each level that a budget has reached in its present period, and for 100 % whatever its levels are.
pub(super) async fn spent(db: &Db, catalog: &Catalog, now: UnixMs) -> StorageResult<Vec<Fact>> {
    Ok(db.budgets(catalog, now).await?.iter().flat_map(|budget| levels(budget, now)).collect())
}

fn levels(budget: &Standing, now: UnixMs) -> impl Iterator<Item = Fact> + use<'_> {
    let warning = budget.quota.levels(budget.spent).filter(|level| *level < 100).last();
    budget.quota.levels(budget.spent).map(move |level| {
        let (owner, quota) = (budget.owner, &budget.quota);
        let name = format!(
            "{NAMES}{}:{}:{}:{}:{level}",
            owner.kind().as_str(),
            owner.number(),
            budget.period_start.0,
            quota.unit.as_str()
        );
        // Levels that one look finds reached are one warning: the highest one's.
        if level < 100 && Some(level) != warning {
            return Fact::untold(name);
        }
        let place = match owner {
            Owner::Channel(id) => Some((id, budget.name.clone())),
            Owner::Key(_) | Owner::Token(_) => budget.channel.clone(),
        };
        let what = Occurrence::Budget {
            whose: owner,
            owner: budget.name.clone(),
            level,
            unit: quota.unit,
            used: budget.spent,
            limit: quota.limit,
            resets_at: budget.resets_at,
        };
        Fact::new(name, Event { at: now, channel: place.map(|(id, name)| Place { id, name }), what })
    })
}
