//! Step 5: chains without dead models. Chains that a person made are never changed: what is wrong with them is told.

use std::collections::BTreeSet;

use super::{Notes, Place};
use crate::{
    model::{catalog::Catalog, chain::Chain, id::ChannelId},
    storage::{StorageResult, discovery::ModelFilter},
};

/// The most models that upstreams list no more, of which is known which they are.
const MOST_GONE: usize = 10_000;

/// Looks through every chain that is on.
pub async fn rebuild(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let catalog = place.catalog.load();
    let gone = gone(place).await?;
    let (mut any, mut fine) = (false, true);
    for chain in catalog.chains().filter(|chain| chain.enabled) {
        any = true;
        fine &= one(notes, &catalog, chain, &gone);
    }
    if !any {
        notes.ok("no_chains", |t| t.no_chains());
    } else if fine {
        notes.ok("chains_fine", |t| t.chains_fine());
    }
    Ok(())
}

/// The models that their upstreams list no more.
async fn gone(place: &Place) -> StorageResult<BTreeSet<(ChannelId, String)>> {
    let filter = ModelFilter { gone: true, ..ModelFilter::default() };
    let (models, _) = place.db.discovered_models(&filter, 0, MOST_GONE).await?;
    Ok(models.into_iter().map(|model| (model.channel_id, model.facts.id)).collect())
}

/// Looks at one chain; says whether nothing is wrong with it.
fn one(
    notes: &mut Notes<'_>,
    catalog: &Catalog,
    chain: &Chain,
    gone: &BTreeSet<(ChannelId, String)>,
) -> bool {
    let name = &chain.name;
    let Some(resolved) = catalog.resolved(chain.id) else {
        notes.needs_you("chain_dead", |t| t.chain_dead(name), |t| t.chain_remedy());
        return false;
    };
    let unserved: Vec<&str> = chain
        .steps
        .iter()
        .map(|step| step.model.as_str())
        .filter(|model| !catalog.serves_step(name, model))
        .collect();
    let no_keys: Vec<&str> = resolved
        .iter()
        .filter(|step| {
            let has_key = |route: &crate::model::catalog::Route| route.channel.keys.iter().any(|key| key.enabled);
            !step.routes.iter().any(has_key)
        })
        .map(|step| step.model.as_str())
        .collect();
    let vanished: Vec<&str> = resolved
        .iter()
        .filter(|step| {
            let is_gone = |route: &crate::model::catalog::Route| {
                gone.contains(&(route.channel.channel.id, route.upstream_model.to_string()))
            };
            !step.routes.is_empty() && step.routes.iter().all(is_gone)
        })
        .map(|step| step.model.as_str())
        .collect();
    for model in &unserved {
        notes.needs_you("step_unserved", |t| t.step_unserved(name, model), |t| t.chain_remedy());
    }
    for model in &no_keys {
        notes.needs_you("step_without_keys", |t| t.step_without_keys(name, model), |t| t.step_keys_remedy());
    }
    for model in &vanished {
        notes.needs_you("step_vanished", |t| t.step_vanished(name, model), |t| t.chain_remedy());
    }
    unserved.is_empty() && no_keys.is_empty() && vanished.is_empty()
}
