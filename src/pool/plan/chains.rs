//! What is between the chains as they are and those of a pool file.

use std::collections::{HashMap, HashSet};

use super::{
    Action, Kind, Planner,
    changes::{compare_objects, json_of},
};
use crate::{
    model::{
        chain::{Chain, find_loop, folded},
        id::ChainId,
    },
    pool::{
        file::{self, PoolFile},
        input::{ChainInput, loop_fault},
    },
    storage::pool::ChainChange,
};

impl Planner<'_> {
    /// Plans every chain of a file.
    pub(super) fn chains(&mut self, file: &PoolFile, prune: bool) {
        let known: HashMap<String, &Chain> =
            self.state.chains.iter().map(|chain| (folded(&chain.name), chain)).collect();
        let mut wanted: Vec<(usize, Chain)> = Vec::new();
        for (position, given) in file.chains.iter().enumerate() {
            let id = known.get(&folded(&given.name)).map_or(ChainId(0), |chain| chain.id);
            match given.check(id, self.t) {
                Ok(chain) => wanted.push((position, chain)),
                Err(faults) => self.note(&format!("chains[{position}]"), faults),
            }
        }
        let declared: HashSet<String> = file.chains.iter().map(|chain| folded(&chain.name)).collect();
        let undeclared =
            || self.state.chains.iter().filter(|chain| !prune && !declared.contains(&folded(&chain.name)));
        let offered = self.offered(file, prune);
        let mut loops = Vec::new();
        for (position, chain) in &wanted {
            let others = wanted.iter().filter(|(other, _)| other != position).map(|(_, chain)| chain);
            // A file that was right yesterday is still right when a channel is gone.
            let unchanged = known.get(&folded(&chain.name)).is_some_and(|known| *known == chain);
            let is_offered = |name: &str| unchanged || self.providers.is_none() || offered.contains(name);
            if let Some(found) = find_loop(&chain.name, &chain.steps, others.chain(undeclared()), is_offered)
            {
                loops.push((*position, loop_fault(&found, self.t)));
            }
        }
        for (position, faults) in loops {
            self.note(&format!("chains[{position}]"), faults);
        }
        for (_, chain) in wanted {
            self.chain(known.get(&folded(&chain.name)).copied(), chain);
        }
    }

    fn chain(&mut self, known: Option<&Chain>, wanted: Chain) {
        let Some(known) = known else {
            let models: Vec<&str> = wanted.steps.iter().map(|step| step.model.as_str()).collect();
            let note = models.join(" → ");
            self.step(Action::Add, Kind::Chain, &wanted.name).notes.push(note);
            self.plan.change.chains.push(ChainChange { chain: wanted, new: true });
            return;
        };
        let mut changes = Vec::new();
        let (before, after) = (json_of(&ChainInput::of(known)), json_of(&ChainInput::of(&wanted)));
        compare_objects("", &before, &after, &mut changes);
        if !changes.is_empty() {
            self.step(Action::Change, Kind::Chain, &known.name).changes = changes;
            self.plan.change.chains.push(ChainChange { chain: wanted, new: false });
        }
    }

    /// Removes the chains that the file does not declare.
    pub(super) fn prune_chains(&mut self, file: &PoolFile) {
        let declared: HashSet<String> = file.chains.iter().map(|chain| folded(&chain.name)).collect();
        for chain in self.state.chains.iter().filter(|chain| !declared.contains(&folded(&chain.name))) {
            self.step(Action::Remove, Kind::Chain, &chain.name);
            self.plan.change.erase_chains.push(chain.id);
        }
    }

    /// The public names, folded, of the models that channels have when the file is applied.
    fn offered(&self, file: &PoolFile, prune: bool) -> HashSet<String> {
        let declared: HashSet<String> =
            file.channels.iter().map(|channel| file::folded(&channel.channel.name)).collect();
        let stays = |name: &str| !prune && !declared.contains(&file::folded(name));
        let kept =
            self.state.channels.iter().map(|(channel, _)| channel).filter(|channel| stays(&channel.name));
        let kept = kept.flat_map(|channel| {
            let redirects = channel.redirects.iter().map(|redirect| redirect.public.as_str());
            channel.models.iter().map(|model| model.name.as_str()).chain(redirects)
        });
        let given = file.channels.iter().flat_map(|channel| {
            let channel = &channel.channel;
            channel
                .models
                .iter()
                .map(|model| model.name())
                .chain(channel.redirects.keys().map(String::as_str))
        });
        kept.chain(given).map(folded).collect()
    }
}
