//! Writes chains out: which models serve each, in which order.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{ChannelEntry, PublicModel, Route, Step};
use crate::model::{
    chain::{Chain, DEFAULT_SPILL_MS, folded},
    channel::Price,
    id::ChannelId,
    managed::ManagedSteps,
};

/// Every chain that is on as a public model, by its folded name; `real` are the channels' models, by theirs.
pub(super) fn resolve(
    chains: &[Arc<Chain>],
    real: &BTreeMap<String, PublicModel>,
) -> Vec<(String, PublicModel)> {
    let by_name: HashMap<String, &Chain> =
        chains.iter().filter(|chain| chain.enabled).map(|chain| (folded(&chain.name), &**chain)).collect();
    let model = |(key, chain): (&String, &&Chain)| {
        let steps = steps_of(key, chain, &by_name, real);
        let (name, routes) = (chain.name.clone(), distinct(&steps));
        let model = PublicModel { name, routes, steps, chain: Some(chain.id), managed: false };
        (key.clone(), model)
    };
    by_name.iter().map(model).collect()
}

/// A chain that is being written out.
struct Frame<'a> {
    key: String,
    chain: &'a Chain,
    /// The next of its steps.
    next: usize,
    /// How many steps there were before its first.
    begin: usize,
    /// How long a call waits for the last of its steps, which is the step's that named it; `None` for the chain itself.
    spill_ms: Option<Option<u32>>,
}

fn steps_of(
    key: &str,
    chain: &Chain,
    by_name: &HashMap<String, &Chain>,
    real: &BTreeMap<String, PublicModel>,
) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    // Each chain is written out once: the second time, each of its models would stand there already.
    let mut written: HashSet<String> = HashSet::from([key.to_owned()]);
    let mut open = vec![Frame { key: key.to_owned(), chain, next: 0, begin: 0, spill_ms: None }];
    while let Some(frame) = open.last_mut() {
        let Some(step) = frame.chain.steps.get(frame.next) else {
            if let Some(spill_ms) = frame.spill_ms
                && let Some(last) = steps[frame.begin..].last_mut()
            {
                last.spill_ms = spill_ms;
            }
            open.pop();
            continue;
        };
        frame.next += 1;
        let named = folded(&step.model);
        let inner = by_name.get(&named).filter(|_| named != frame.key);
        if let Some(inner) = inner {
            if written.insert(named.clone()) {
                let (begin, spill_ms) = (steps.len(), Some(step.spill_ms));
                open.push(Frame { key: named, chain: inner, next: 0, begin, spill_ms });
            }
        } else if let Some(model) = real.get(&named)
            && (!model.managed || named != frame.key)
            && seen.insert(named)
        {
            // A managed chain is written out; a plain model is its own only step.
            let mut its_own = model.steps.clone();
            if model.managed {
                let known = distinct(&steps);
                its_own.retain_mut(|inner| {
                    inner.routes.retain(|route| !known.iter().any(|other| same(route, other)));
                    !inner.routes.is_empty()
                });
            }
            if let Some(last) = its_own.last_mut() {
                last.spill_ms = step.spill_ms;
            }
            steps.extend(its_own);
        }
    }
    steps
}

/// A managed chain as a public model: a step per model, on all channels that are on. Routes of a channel stand together.
pub(super) fn managed(
    chain: &ManagedSteps,
    channels: &BTreeMap<ChannelId, Arc<ChannelEntry>>,
) -> PublicModel {
    let mut steps: Vec<Step> = Vec::new();
    for of_place in chain.steps.chunk_by(|one, next| one.place == next.place && one.spare == next.spare) {
        let mut routes: Vec<Route> = Vec::new();
        for step in of_place.iter().filter(|step| !step.spare) {
            let Some(entry) = channels.get(&step.channel).filter(|entry| entry.channel.enabled) else {
                continue;
            };
            let said = entry.channel.model(&step.model.name);
            let known = said.unwrap_or(&step.model).clone();
            let upstream_model: Arc<str> = step.model.name.as_str().into();
            let mut route = Route::new(entry.clone(), upstream_model, known.into(), said.is_some());
            // What is in a managed chain for being free has a price of 0 there, whatever the channel says of it.
            route.free = step.model.price == Some(Price::default());
            let of_channel = |other: &Route| other.channel.channel.id == step.channel;
            let at = routes.iter().rposition(of_channel).map_or(routes.len(), |last| last + 1);
            routes.insert(at, route);
        }
        if let Some(first) = of_place.first().filter(|_| !routes.is_empty()) {
            steps.push(Step { model: first.identity.clone(), spill_ms: Some(DEFAULT_SPILL_MS), routes });
        }
    }
    PublicModel { name: chain.name.clone(), routes: distinct(&steps), steps, chain: None, managed: true }
}

fn same(one: &Route, other: &Route) -> bool {
    one.channel.channel.id == other.channel.channel.id && one.upstream_model == other.upstream_model
}

/// The routes of all steps in order, each once: two names may stand for one model of a channel.
fn distinct(steps: &[Step]) -> Vec<Route> {
    let mut seen = HashSet::new();
    let new = |route: &&Route| seen.insert((route.channel.channel.id, route.upstream_model.clone()));
    steps.iter().flat_map(|step| &step.routes).filter(new).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        catalog::Catalog,
        chain::ChainStep,
        channel::{Channel, ChannelModel, Protocol},
        id::{ChainId, ChannelId},
        settings::RuntimeSettings,
    };

    fn channel(id: i64, models: &[&str]) -> Channel {
        Channel {
            id: ChannelId(id),
            name: format!("channel {id}"),
            base_url: "https://upstream.example".into(),
            protocol: Protocol::OpenAi,
            provider: "generic".into(),
            plan: None,
            priority: 0,
            weight: 1,
            groups: Vec::new(),
            headers: Vec::new(),
            proxy: None,
            timeouts: Default::default(),
            allow_private: false,
            note: String::new(),
            enabled: true,
            endpoints: Default::default(),
            models: models
                .iter()
                .map(|name| ChannelModel { name: (*name).into(), ..Default::default() })
                .collect(),
            redirects: Vec::new(),
            limits: Vec::new(),
            shaping: Default::default(),
            budget: None,
        }
    }

    fn chain(name: &str, steps: &[(&str, Option<u32>)]) -> Chain {
        let steps =
            steps.iter().map(|(model, spill_ms)| ChainStep { model: (*model).into(), spill_ms: *spill_ms });
        Chain { id: ChainId(1), name: name.into(), enabled: true, steps: steps.collect() }
    }

    fn catalog(channels: &[&[&str]], chains: Vec<Chain>) -> Catalog {
        let channels = (1..).zip(channels).map(|(id, models)| (channel(id, models), Vec::new())).collect();
        let (settings, zone) = (RuntimeSettings::sample(), jiff::tz::TimeZone::UTC);
        Catalog::new(settings, zone, channels, Vec::new(), Vec::new()).with_chains(chains)
    }

    fn steps(catalog: &Catalog, name: &str) -> Vec<(String, Option<u32>, usize)> {
        let steps = catalog.steps(name).iter();
        steps.map(|step| (step.model.clone(), step.spill_ms, step.routes.len())).collect()
    }

    fn names(catalog: &Catalog) -> Vec<&str> {
        catalog.models().map(|model| model.name.as_str()).collect()
    }

    #[test]
    fn a_chain_is_its_models_in_order_each_on_all_its_channels() {
        let both = chain("Best", &[("LARGE", Some(500)), ("small", Some(0))]);
        let catalog = catalog(&[&["small", "large"], &["large"]], vec![both]);
        assert_eq!(steps(&catalog, "best"), [("large".into(), Some(500), 2), ("small".into(), Some(0), 1)]);
        assert_eq!(steps(&catalog, "small"), [("small".into(), None, 1)], "a model is one step");
        assert!(steps(&catalog, "unknown").is_empty());
        assert_eq!(names(&catalog), ["Best", "large", "small"]);
        let routes = catalog.model("best").unwrap().routes.iter();
        let routes: Vec<_> =
            routes.map(|route| (route.channel.channel.id.0, &*route.upstream_model)).collect();
        assert_eq!(routes, [(1, "large"), (2, "large"), (1, "small")]);
    }

    #[test]
    fn a_chain_in_a_chain_stands_in_place_and_is_left_after_the_time_of_the_step_that_names_it() {
        let chains = vec![
            chain("inner", &[("b", Some(10)), ("c", None)]),
            chain("outer", &[("a", Some(1)), ("Inner", Some(7)), ("b", Some(9)), ("d", Some(2))]),
        ];
        let catalog = catalog(&[&["a", "b", "c", "d"]], chains);
        let step = |model: &str, spill_ms| (model.to_owned(), spill_ms, 1);
        assert_eq!(
            steps(&catalog, "outer"),
            [step("a", Some(1)), step("b", Some(10)), step("c", Some(7)), step("d", Some(2))],
            "a model that comes again is left out"
        );
    }

    #[test]
    fn a_chain_may_hide_a_model_and_name_it() {
        let catalog = catalog(&[&["gpt", "other"]], vec![chain("GPT", &[("gpt", Some(1)), ("other", None)])]);
        assert_eq!(steps(&catalog, "gpt").len(), 2);
        assert_eq!(names(&catalog), ["GPT", "other"]);
        assert_eq!(catalog.offered().collect::<Vec<_>>(), ["gpt", "other"]);
        assert!(catalog.serves_step("gpt", "GPT") && !catalog.serves_step("x", "nothing"));
    }

    #[test]
    fn steps_that_nobody_serves_are_skipped_and_a_chain_without_any_cannot_be_asked_for() {
        let chains = vec![
            chain("half", &[("gone", None), ("a", Some(3))]),
            chain("none", &[("gone", None)]),
            chain("b", &[("none", None)]),
        ];
        let catalog = catalog(&[&["a", "b"]], chains);
        assert_eq!(steps(&catalog, "half"), [("a".into(), Some(3), 1)]);
        assert_eq!(names(&catalog), ["a", "half"], "the model that a chain hides stays hidden");
    }

    #[test]
    fn a_chain_that_is_off_is_not_there() {
        let mut off = chain("a", &[("b", None)]);
        off.enabled = false;
        let catalog = catalog(&[&["a", "b"]], vec![off, chain("c", &[("a", Some(5))])]);
        assert_eq!(steps(&catalog, "a"), [("a".into(), None, 1)]);
        assert_eq!(steps(&catalog, "c"), [("a".into(), Some(5), 1)]);
        assert_eq!(catalog.chains().count(), 2);
    }

    #[test]
    fn chains_that_lead_to_themselves_end_all_the_same() {
        let chains = vec![chain("x", &[("y", None), ("a", None)]), chain("y", &[("x", None), ("b", None)])];
        let catalog = catalog(&[&["a", "b"]], chains);
        let models = |name| catalog.steps(name).iter().map(|step| step.model.clone()).collect::<Vec<_>>();
        assert_eq!((models("x"), models("y")), (vec!["b".into(), "a".into()], vec!["a".into(), "b".into()]));
    }
}
