//! Step 5: chains without dead models. The managed ones are built anew. Chains that a person made are never changed: what is
//! wrong with them is told.

use std::collections::BTreeSet;

use super::{Notes, Place};
use crate::{
    model::{catalog::Catalog, chain::Chain, id::ChannelId},
    selection::{self, Sources},
    storage::{StorageResult, discovery::ModelFilter},
};

/// The most models that upstreams list no more, of which is known which they are.
const MOST_GONE: usize = 10_000;

/// Builds the managed chains anew, and looks through the others that are on.
pub async fn rebuild(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    managed(place, notes).await?;
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

/// Builds the managed chains anew, or tells which of them would change.
async fn managed(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let _chains = place.catalog.hold_for_chains().await;
    place.catalog.follow().await?;
    let catalog = place.catalog.load();
    let sources = Sources {
        db: &place.db,
        catalog: &catalog,
        providers: place.catalog.providers(),
        dispatch: Some(&place.dispatch),
        now: place.clock.now(),
    };
    let mut fine = true;
    if notes.dry_run {
        for (purpose, saved) in place.db.all_managed_steps().await? {
            let Some(ranking) = selection::ranking(sources, purpose).await? else { continue };
            if !ranking.chain.enabled {
                continue;
            }
            let mut before: Vec<&str> =
                saved.iter().filter(|step| !step.spare).map(|step| step.identity.as_str()).collect();
            before.dedup();
            let models = ranking.models.iter().filter(|model| model.in_chain);
            if !models.map(|model| model.model.as_str()).eq(before) {
                fine = false;
                let name = purpose.to_string();
                notes.would_fix("chain_outdated", |t| t.chain_outdated(&name));
            }
        }
    } else {
        let rebuilt = selection::rebuild(sources).await?;
        if rebuilt.changed() {
            place.catalog.reload().await?;
        }
        for chain in &rebuilt.chains {
            let name = chain.purpose.to_string();
            if chain.changed && chain.before != chain.models {
                fine = false;
                notes.fixed("chain_rebuilt", |t| t.chain_rebuilt(&name, chain.models.len()));
            }
            if chain.all_failing {
                fine = false;
                notes.needs_you("chain_failing", |t| t.chain_failing(&name), |t| t.chain_failing_remedy());
            }
        }
    }
    if fine {
        notes.ok("managed_fine", |t| t.managed_fine());
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
            let has_key =
                |route: &crate::model::catalog::Route| route.channel.keys.iter().any(|key| key.enabled);
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
