//! Which label each channel has: what Prometheus knows its series by.

use std::collections::{BTreeMap, BTreeSet};

use super::MOST_CHANNELS;
use crate::model::id::ChannelId;

/// The label of channels for which there was no other left.
const OTHER: &str = "other";
/// The label of channels that were deleted before anybody asked.
const DELETED: &str = "deleted";

/// The labels that were given since the start of the process. A channel keeps its label, also once it is deleted, and a label
/// is not taken back for another: else a counter would fall.
#[derive(Debug, Default)]
pub(super) struct Labels {
    given: BTreeMap<ChannelId, Given>,
    /// Names that are labels; at most [`MOST_CHANNELS`].
    names: BTreeSet<String>,
}

#[derive(Debug)]
struct Given {
    label: String,
    /// What the channel was called then; `None`: it was gone.
    name: Option<String>,
}

impl Labels {
    /// The label of a channel, if it has one.
    pub fn of(&self, id: ChannelId) -> Option<&str> {
        self.given.get(&id).map(|given| given.label.as_str())
    }

    /// Gives a channel a label by its name, or as one that is gone, unless it has one. If it is called otherwise now, or if its id
    /// is another channel's now, it gets another, and what it had is returned.
    pub fn give(&mut self, id: ChannelId, name: Option<&str>) -> Option<String> {
        if self.given.get(&id).is_some_and(|given| given.name.as_deref() == name) {
            return None;
        }
        let label = match name {
            None => DELETED,
            Some(name) if self.names.contains(name) => name,
            Some(name) if self.names.len() < MOST_CHANNELS => {
                self.names.insert(name.to_owned());
                name
            }
            Some(_) => OTHER,
        };
        let given = Given { label: label.to_owned(), name: name.map(str::to_owned) };
        self.given.insert(id, given).map(|before| before.label).filter(|before| before != label)
    }
}
