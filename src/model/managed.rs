//! The steps of managed chains, such as `auto`, as catalogs need them: built elsewhere, and saved.

use super::{channel::ChannelModel, id::ChannelId};

/// A managed chain that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedSteps {
    /// The public model name.
    pub name: String,
    /// Its steps, in the order in which they are looked at; those of one place stand together.
    pub steps: Vec<ManagedStep>,
}

/// A model at a channel, whether the channel offers it under a name of its own or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedStep {
    /// The model's place, from 0: steps of one place are the same model, and any of them will do.
    pub place: u32,
    /// Whether it stands behind the chain's last model: no call goes there by this chain, but its limits are watched, so that it
    /// is known what is left of them should it come in.
    pub spare: bool,
    /// The channel.
    pub channel: ChannelId,
    /// The model's identity: one for all its names.
    pub identity: String,
    /// The upstream's name, and what is known of the model there. What the channel itself says counts instead, if it
    /// offers the model.
    pub model: ChannelModel,
}
