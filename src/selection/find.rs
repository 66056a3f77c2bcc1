//! The model that an operator means by a name.

use std::collections::BTreeSet;

use super::Sources;
use crate::{
    ranking::{identity::Identity, near::model_named},
    storage::StorageResult,
};

/// The model that a name means, of all that channels that are on offer or list; any name that a provider has for it will do,
/// letter case aside. Else names that look alike, at most five, the likest first.
pub async fn find_model(sources: Sources<'_>, name: &str) -> StorageResult<Result<Identity, Vec<String>>> {
    let Sources { db, catalog, providers, now, .. } = sources;
    let tables = providers.ranking().load();
    let identities = tables.identities.clone().with_own(&db.own_model_names().await?);
    let listed = db.listed_names(now).await?;
    let mut names: BTreeSet<_> = listed.iter().map(|(channel, name)| (*channel, name.as_str())).collect();
    for entry in catalog.channels() {
        let (channel, id) = (&entry.channel, entry.channel.id);
        names.extend(channel.models.iter().map(|model| (id, model.name.as_str())));
        names.extend(channel.redirects.iter().map(|redirect| (id, redirect.upstream.as_str())));
    }
    let offers = names.iter().filter_map(|(channel, model)| {
        let entry = catalog.channel(*channel).filter(|entry| entry.channel.enabled)?;
        Some((entry.channel.provider.as_str(), *model))
    });
    Ok(model_named(name, offers, &identities))
}
