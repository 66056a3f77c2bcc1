//! Chains: virtual models made by hand. A call for one goes to the first of its steps that can take it.

use std::collections::{HashMap, HashSet};

use super::id::ChainId;

/// How long a call waits for a step before the next one is looked at, unless the step says otherwise.
pub const DEFAULT_SPILL_MS: u32 = 2_000;

/// A virtual model: a name that clients ask for, and the models that serve it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its id.
    pub id: ChainId,
    /// The public model name; unique among chains, letter case aside. A channel's model of the same name is hidden by it.
    pub name: String,
    /// Off means: nobody can ask for it, and steps that name it do not mean it.
    pub enabled: bool,
    /// Its steps, in the order in which they are looked at.
    pub steps: Vec<ChainStep>,
}

/// A step of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStep {
    /// A public model name, served by all channels and keys that have it; or the name of another chain, whose steps then
    /// stand here. The chain's own name means the channels' model of that name.
    pub model: String,
    /// How long a call waits for this step, in milliseconds, before the next one is looked at: 0 is not at all, `None` is
    /// for as long as the call may wait.
    pub spill_ms: Option<u32>,
}

impl ChainStep {
    /// A step with the usual spill time.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), spill_ms: Some(DEFAULT_SPILL_MS) }
    }
}

/// A name as chains and models are told apart by it: letter case aside.
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Why a chain would lead back to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// The chain's step that it goes by, counted from 0.
    pub step: usize,
    /// The names on the way: the chain's, those of the chains between, and the chain's again.
    pub path: Vec<String>,
}

impl Loop {
    /// The way in one line.
    pub fn way(&self) -> String {
        self.path.join(" → ")
    }
}

/// How a chain with this name and these steps would lead back to itself by way of `others`, the other chains; chains that
/// are off count, so that switching one on closes no loop. A step with the chain's own name means a channel's model; it is
/// a loop only if `is_offered` does not know such a model.
pub fn find_loop<'a>(
    name: &str,
    steps: &[ChainStep],
    others: impl IntoIterator<Item = &'a Chain>,
    is_offered: impl Fn(&str) -> bool,
) -> Option<Loop> {
    let own = folded(name);
    let others: HashMap<String, &Chain> =
        others.into_iter().map(|chain| (folded(&chain.name), chain)).filter(|(key, _)| *key != own).collect();
    for (index, step) in steps.iter().enumerate() {
        let first = folded(&step.model);
        if first == own {
            if is_offered(&own) {
                continue;
            }
            return Some(Loop { step: index, path: vec![name.to_owned(), name.to_owned()] });
        }
        if let Some(between) = way_back(&own, &first, &others) {
            let names = between.iter().filter_map(|key| others.get(key)).map(|chain| chain.name.clone());
            let path = [name.to_owned()].into_iter().chain(names).chain([name.to_owned()]).collect();
            return Some(Loop { step: index, path });
        }
    }
    None
}

/// The chains from `first` on that lead to `own`.
fn way_back(own: &str, first: &str, others: &HashMap<String, &Chain>) -> Option<Vec<String>> {
    let mut came_from: HashMap<String, String> = HashMap::new();
    let mut seen: HashSet<String> = HashSet::from([first.to_owned()]);
    let mut open = vec![first.to_owned()];
    while let Some(at) = open.pop() {
        let Some(chain) = others.get(&at) else { continue };
        for step in &chain.steps {
            let next = folded(&step.model);
            if next == own {
                let mut way = vec![at.clone()];
                while let Some(earlier) = way.last().and_then(|last| came_from.get(last)) {
                    way.push(earlier.clone());
                }
                way.reverse();
                return Some(way);
            }
            // A chain that names itself means the channels' model.
            if next != at && seen.insert(next.clone()) {
                came_from.insert(next.clone(), at.clone());
                open.push(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(name: &str, models: &[&str]) -> Chain {
        let steps = models.iter().map(|model| ChainStep::new(*model)).collect();
        Chain { id: ChainId(0), name: name.into(), enabled: true, steps }
    }

    fn loop_of(chain: &Chain, others: &[Chain]) -> Option<(usize, String)> {
        find_loop(&chain.name, &chain.steps, others, |_| false).map(|found| (found.step, found.way()))
    }

    #[test]
    fn a_loop_is_found_at_its_step_and_told_with_its_way_whatever_the_letter_case() {
        let others = [chain("b", &["x", "C"]), chain("c", &["y", "A"]), chain("d", &["y"])];
        let asked = chain("a", &["x", "d", "B"]);
        assert_eq!(loop_of(&asked, &others), Some((2, "a → b → c → a".into())));
        assert_eq!(loop_of(&chain("a", &["x", "d"]), &others), None);
        assert_eq!(loop_of(&chain("e", &["b"]), &others), None, "names that lead elsewhere are no loop");
    }

    #[test]
    fn a_loop_among_others_is_not_walked_for_ever() {
        let others = [chain("b", &["c"]), chain("c", &["b", "c"])];
        assert_eq!(loop_of(&chain("a", &["b"]), &others), None);
    }

    #[test]
    fn a_chain_that_names_itself_means_a_channels_model_if_there_is_one() {
        let asked = chain("Fast", &["x", "fast"]);
        assert_eq!(loop_of(&asked, &[]), Some((1, "Fast → Fast".into())));
        assert_eq!(find_loop("Fast", &asked.steps, &[], |name| name == "fast"), None);
        assert_eq!(loop_of(&chain("a", &["fast"]), &[asked]), None);
    }

    #[test]
    fn many_chains_in_a_row_are_no_trouble() {
        let mut others: Vec<Chain> =
            (0..5000).map(|at| chain(&format!("c{at}"), &[&format!("c{}", at + 1)])).collect();
        others.push(chain("c5000", &["a"]));
        assert_eq!(loop_of(&chain("a", &["c0"]), &others).unwrap().0, 0);
        others.pop();
        assert_eq!(loop_of(&chain("a", &["c0"]), &others), None);
    }
}
