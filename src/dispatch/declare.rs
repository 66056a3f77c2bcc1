//! What the pool is told of a catalog: who serves which model, what operators and providers allow, and when days begin.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    model::{
        catalog::{Catalog, ChannelEntry},
        id::{ChannelId, KeyId},
        limit::{Models, Per, Rule, Source},
        usage::Endpoint,
    },
    provider::{DeclaredLimit, Provider, Providers, Scope},
    scheduler::{limit::Counts, pool::StemSpec},
};

/// Models that were asked for on another endpoint than chat; on chat those that are tested although nobody offers them.
pub(super) type OtherEndpoints = HashSet<(ChannelId, Arc<str>, Endpoint)>;

/// What the pool takes.
#[derive(Debug, Default)]
pub(super) struct Declaration {
    pub stems: Vec<StemSpec>,
    /// How the providers of stems count, where that is not the plain way.
    pub counts: Vec<(ChannelId, Arc<str>, Counts)>,
    pub rules: Vec<Rule>,
    pub resets: HashMap<ChannelId, (String, u16)>,
}

/// Everything that is on. `plans` are those of keys whose provider was asked which one they have; they count where the
/// operator names none.
pub(super) fn declaration(
    catalog: &Catalog,
    providers: &Providers,
    others: &OtherEndpoints,
    plans: &HashMap<KeyId, String>,
) -> Declaration {
    let mut told = Declaration::default();
    // Whoever wrote them checked them; a limit that makes no sense must still stop nobody.
    let mut own: HashMap<ChannelId, Vec<&Rule>> = HashMap::new();
    for rule in catalog.limits().iter().filter(|rule| rule.check().is_ok()) {
        own.entry(rule.channel).or_default().push(rule);
    }
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        let channel = entry.channel.id;
        let provider = providers.of(&entry.channel.provider);
        if let Some((zone, offset_minutes)) = provider.day_reset() {
            told.resets.insert(channel, (zone.to_owned(), offset_minutes));
        }
        let keys: Vec<_> = entry
            .keys
            .iter()
            .filter(|key| key.enabled)
            .map(|key| (key.id, key.quota_group.clone()))
            .collect();
        let mut models = upstream_models(catalog, entry);
        let tested =
            others.iter().filter(|(other, _, endpoint)| *other == channel && *endpoint == Endpoint::Chat);
        for (_, model, _) in tested {
            if !models.contains(model) {
                models.push(model.clone());
            }
        }
        for model in &models {
            let counts = Counts {
                reservation: provider.reservation,
                units_per_call: provider.units_per_call(model, entry.channel.plan.as_deref()),
            };
            let mut declare = |name: Arc<str>| {
                if counts != Counts::default() {
                    told.counts.push((channel, name.clone(), counts));
                }
                told.stems.push(StemSpec { channel, model: name, keys: keys.clone() });
            };
            declare(model.clone());
            for endpoint in others
                .iter()
                .filter(|(other, name, endpoint)| {
                    *other == channel && name == model && *endpoint != Endpoint::Chat
                })
                .map(|(.., endpoint)| *endpoint)
            {
                declare(super::rested_name(endpoint, model));
            }
        }
        let own = own.remove(&channel).unwrap_or_default();
        // The operator's come last: what they say of a limit counts.
        told.rules.extend(provider_rules(entry, provider, &models, &own, plans));
        told.rules.extend(own.into_iter().cloned());
    }
    told
}

/// What the provider allows the keys of a channel, without what its operator's own limits replace.
fn provider_rules(
    entry: &ChannelEntry,
    provider: &Provider,
    models: &[Arc<str>],
    own: &[&Rule],
    plans: &HashMap<KeyId, String>,
) -> Vec<Rule> {
    let keys = || entry.keys.iter().filter(|key| key.enabled);
    let grouped = keys().any(|key| key.quota_group.is_some());
    // Keys of one plan and with the same limits of their own are alike.
    let mut kinds: BTreeMap<(Option<&str>, Vec<usize>), Vec<KeyId>> = BTreeMap::new();
    for key in keys() {
        let detected = || plans.get(&key.id).map(String::as_str);
        let plan = entry.channel.plan.as_deref().or_else(detected);
        let its_own = (0..own.len()).filter(|&place| own[place].key == Some(key.id)).collect();
        kinds.entry((plan, its_own)).or_default().push(key.id);
    }
    let alike = kinds.len() == 1;
    let mut rules: Vec<Rule> = Vec::new();
    for ((plan, its_own), keys) in kinds {
        let general = own.iter().filter(|rule| rule.key.is_none());
        let own: Vec<&Rule> = general.chain(its_own.iter().map(|&place| &own[place])).copied().collect();
        for (limit, per, models) in limits_of(provider, plan, models, &own, grouped) {
            let Some(max) = limit.max else { continue };
            let mut declare = |key| {
                let (metric, window) = (limit.metric, limit.window.clone());
                let (channel, models, source) = (entry.channel.id, models.clone(), Source::Declared);
                let rule = Rule { channel, key, models, per, metric, window, max, source };
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            };
            if alike || matches!(per, Per::Model | Per::Channel) {
                declare(None);
            } else {
                keys.iter().for_each(|&key| declare(Some(key)));
            }
        }
    }
    rules
}

/// The limits that hold calls back, each with the models that it is about.
fn limits_of(
    provider: &Provider,
    plan: Option<&str>,
    models: &[Arc<str>],
    own: &[&Rule],
    grouped: bool,
) -> Vec<(DeclaredLimit, Per, Models)> {
    let mut found: Vec<(DeclaredLimit, Per, Vec<&Arc<str>>)> = Vec::new();
    for model in models {
        for limit in provider.limits_for(model, plan) {
            let Some(per) = per_of(limit.scope).filter(|_| limit.is_binding()) else { continue };
            if own.iter().any(|rule| rule.models.fits(model) && replaces(rule, &limit, per, grouped)) {
                continue;
            }
            match found.iter_mut().find(|(known, ..)| *known == limit) {
                Some((_, _, its)) => its.push(model),
                None => found.push((limit, per, vec![model])),
            }
        }
    }
    let with_models = |(limit, per, its): (DeclaredLimit, Per, Vec<&Arc<str>>)| {
        // A counter belongs to its patterns, so they are kept where they say the same.
        let meant = models.iter().filter(|model| limit.models.fits(model)).count();
        let named = || Models(its.iter().map(|model| model.to_string()).collect());
        let models = if meant == its.len() { limit.models.clone() } else { named() };
        (limit, per, models)
    };
    found.into_iter().map(with_models).collect()
}

/// Whether an operator's limit is about the same calls as the provider's: the same amount of the same time for the same
/// keys. Without a shared quota a key is its own owner.
fn replaces(rule: &Rule, limit: &DeclaredLimit, per: Per, grouped: bool) -> bool {
    let same_keys = match (rule.per, per) {
        (own, of_provider) if own == of_provider => true,
        (Per::Key, Per::Owner) | (Per::Owner, Per::Key) => !grouped,
        (Per::KeyModel, Per::OwnerModel) | (Per::OwnerModel, Per::KeyModel) => !grouped,
        _ => false,
    };
    same_keys && rule.metric == limit.metric && rule.window.is_like(&limit.window)
}

/// For whom a provider's limit makes one each; nothing for what holds for a single request.
pub(super) fn per_of(scope: Scope) -> Option<Per> {
    Some(match scope {
        Scope::Request => return None,
        Scope::KeyModel => Per::KeyModel,
        Scope::Key => Per::Key,
        Scope::GroupModel => Per::OwnerModel,
        Scope::Group => Per::Owner,
        Scope::Model => Per::Model,
        Scope::Channel => Per::Channel,
    })
}

/// Every upstream name of a channel's models, once; those included that only managed chains know.
pub(super) fn upstream_models(catalog: &Catalog, entry: &ChannelEntry) -> Vec<Arc<str>> {
    let channel = &entry.channel;
    let own = channel.models.iter().map(|model| model.name.as_str());
    let redirected = channel.redirects.iter().map(|redirect| redirect.upstream.as_str());
    let mut seen = HashSet::new();
    let managed = catalog.managed_models(channel.id);
    own.chain(redirected).chain(managed).filter(|name| seen.insert(*name)).map(Arc::from).collect()
}

#[cfg(test)]
mod tests;
