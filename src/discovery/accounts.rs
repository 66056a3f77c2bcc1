//! Whose keys are: asks the provider about keys that have just been added, where asking costs nothing.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::proof::{self, Depth, Subject};
use crate::{
    dispatch::Dispatch,
    model::{
        catalog::ChannelEntry,
        channel::EffectiveTimeouts,
        id::KeyId,
        key::{Key, KeyCheck, KeyVerdict},
        time::UnixMs,
    },
    provider::Provider,
    storage::{Db, StorageResult},
    upstream::client::Clients,
};

/// The most keys that are asked about at a time; the others are learned of at their first test.
const MOST_KEYS: usize = 20;
/// How many of them at the same time.
const AT_ONCE: usize = 4;
/// Somebody waits for this.
const MOST_TIME: Duration = Duration::from_secs(10);

/// Keys to ask about.
pub struct Question<'a> {
    /// Their channel.
    pub entry: &'a ChannelEntry,
    /// Whose rules hold.
    pub provider: &'a Arc<Provider>,
    /// Which of the channel's keys.
    pub keys: &'a [KeyId],
    /// Limits of each request; 10 seconds at most count.
    pub timeouts: EffectiveTimeouts,
    /// The time of day.
    pub now: UnixMs,
}

/// What a provider said of a key.
#[derive(Debug, Clone)]
pub struct Told {
    /// The key.
    pub key: KeyId,
    /// All of it.
    pub check: KeyCheck,
    /// The quota group that the key joined for it.
    pub group: Option<String>,
}

impl Told {
    /// Whether the provider refuses the key.
    pub fn is_refused(&self) -> bool {
        self.check.verdict == KeyVerdict::Invalid
    }
}

/// Asks the provider about keys of a channel, saves what it says, and puts keys into the groups of their accounts. Nothing
/// is asked, and nothing comes back, if the provider has no endpoint for it; at most 20 keys are asked about, each for 10
/// seconds at most. After a group was set the catalog has to be loaded again. Dropping the future leaves what has been
/// saved.
pub async fn learn(
    db: &Db,
    clients: &Clients,
    dispatch: &Dispatch,
    question: Question<'_>,
) -> StorageResult<Vec<Told>> {
    let Question { entry, provider, keys, timeouts, now } = question;
    if provider.key_endpoint(&entry.channel.base_url).is_none() {
        return Ok(Vec::new());
    }
    let timeouts = EffectiveTimeouts {
        connect: timeouts.connect.min(MOST_TIME),
        first_byte: timeouts.first_byte.min(MOST_TIME),
        idle: timeouts.idle.min(MOST_TIME),
    };
    let meant: Vec<Arc<Key>> =
        entry.keys.iter().filter(|key| keys.contains(&key.id)).take(MOST_KEYS).cloned().collect();
    let mut told = Vec::with_capacity(meant.len());
    for some in meant.chunks(AT_ONCE) {
        let mut asked = Vec::with_capacity(some.len());
        for key in some {
            asked.push(ask(clients, dispatch, Subject { entry, key, provider, timeouts }, now));
        }
        let checks = join_all(asked).await;
        // One after the other, so that the second key of an account finds the group of the first.
        for (key, check) in some.iter().zip(checks) {
            let subject = Subject { entry, key, provider, timeouts };
            let group = proof::save(db, &subject, &check).await?;
            told.push(Told { key: key.id, check, group });
        }
    }
    Ok(told)
}

async fn ask(clients: &Clients, dispatch: &Dispatch, subject: Subject<'_>, now: UnixMs) -> KeyCheck {
    proof::check_key(clients, dispatch, &subject, None, Depth::Word, now).await
}
