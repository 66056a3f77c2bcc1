//! Accounts: which keys spend one quota. More keys of one account add nothing, and that is said wherever it matters.

use std::collections::BTreeMap;

use crate::{
    i18n::Messages,
    model::catalog::{Catalog, ChannelEntry},
    pool::preset::name_of,
    provider::{Provider, Providers, QuotaOwner},
};

/// Whether keys of one account, organisation or project share what the provider allows.
pub fn counts_per_account(provider: &Provider) -> bool {
    matches!(provider.quota_owner, QuotaOwner::Account | QuotaOwner::Organisation | QuotaOwner::Project)
}

/// Whether all keys of a channel share what the provider allows, whosever they are: it counts addresses or hosts.
fn counts_for_all(provider: &Provider) -> bool {
    matches!(provider.quota_owner, QuotaOwner::Ip | QuotaOwner::Host)
}

/// What is to be known about the accounts of a channel's keys, as far as they are switched on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Groups that several keys share, with the number of those.
    pub shared: Vec<(String, usize)>,
    /// Whether the provider counts for all keys together, so that a second one adds nothing.
    pub all_share: bool,
    /// Keys of which nobody has said whose they are. None if there is but one key, or if the provider counts per key.
    pub undecided: usize,
}

impl Accounts {
    /// What holds for a channel whose provider this is. Groups of a provider that counts per key are the operator's own
    /// affair and not mentioned.
    pub fn of(entry: &ChannelEntry, provider: &Provider) -> Self {
        let keys: Vec<_> = entry.keys.iter().filter(|key| key.enabled).collect();
        if keys.len() < 2 {
            return Self::default();
        }
        if counts_for_all(provider) {
            return Self { all_share: true, ..Self::default() };
        }
        if !counts_per_account(provider) {
            return Self::default();
        }
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for group in keys.iter().filter_map(|key| key.quota_group.as_deref()) {
            *groups.entry(group).or_default() += 1;
        }
        let shared = groups.into_iter().filter(|(_, count)| *count > 1);
        Self {
            shared: shared.map(|(group, count)| (group.to_owned(), count)).collect(),
            all_share: false,
            undecided: keys.iter().filter(|key| key.quota_group.is_none()).count(),
        }
    }

    /// The same in sentences; at most one for the channel's undecided keys and five for shared groups.
    pub fn texts(&self, provider: &Provider, m: Messages) -> Vec<String> {
        const MOST: usize = 5;
        let (t, name) = (m.onboarding, name_of(provider, m.lang));
        let mut texts: Vec<String> = Vec::new();
        if self.all_share {
            texts.push(t.all_share(name));
        }
        for (group, count) in self.shared.iter().take(MOST) {
            texts.push(t.share_account(*count, group, name));
        }
        if self.shared.len() > MOST {
            texts.push(t.more_accounts(self.shared.len() - MOST));
        }
        if self.undecided > 0 {
            texts.push(t.undecided(self.undecided, name));
        }
        texts
    }
}

/// What keys of one account mean for the whole pool: for each channel where something is to be said, its name and the
/// sentences. Keys of which nobody knows the account are left to the channel's own page.
pub fn shared_in_pool(catalog: &Catalog, providers: &Providers, m: Messages) -> Vec<(String, Vec<String>)> {
    let of = |entry: &std::sync::Arc<ChannelEntry>| {
        let provider = providers.of(&entry.channel.provider);
        let accounts = Accounts { undecided: 0, ..Accounts::of(entry, provider) };
        let texts = accounts.texts(provider, m);
        (entry.channel.enabled && !texts.is_empty()).then(|| (entry.channel.name.clone(), texts))
    };
    catalog.channels().filter_map(of).collect()
}
