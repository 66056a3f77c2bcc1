//! Plans of small pools.

use super::*;
use crate::{
    i18n::Lang,
    model::{
        chain::Chain,
        id::{ChainId, ChannelId, KeyId},
    },
};

fn t() -> Messages {
    Messages::of(Lang::En)
}

fn file(json: &str) -> PoolFile {
    PoolFile::of_json(serde_json::from_str(json).unwrap(), t()).unwrap()
}

/// The pool that a file makes of an empty one.
fn pool(json: &str) -> PoolState {
    let plan = difference(&PoolState::default(), &file(json), false, &Providers::embedded(), t()).unwrap();
    let mut state = PoolState { version: 7, ..PoolState::default() };
    for (id, change) in (1..).zip(plan.change.channels) {
        let channel = change.write.unwrap().with_id(ChannelId(id));
        let keys = (1..).zip(change.add_keys).map(|(number, (key, enabled))| Key {
            id: KeyId(id * 100 + number),
            channel_id: ChannelId(id),
            label: key.label,
            last4: key.secret.last4(),
            quota_group: key.quota_group,
            enabled,
            secret: key.secret,
            limits: key.limits,
            budget: key.budget,
        });
        state.channels.push((channel, keys.collect()));
    }
    for (id, change) in (1..).zip(plan.change.chains) {
        state.chains.push(Chain { id: ChainId(id), ..change.chain });
    }
    for (id, change) in (1..).zip(plan.change.tokens) {
        let hash = SecretHash::of(change.value.unwrap().expose());
        state.credentials.push((hash, TokenId(id), None));
        state.tokens.push(Token { id: TokenId(id), ..change.token });
    }
    state
}

const CHANNEL: &str = r#""name": "A", "base_url": "https://a.example""#;
const ONE: &str = "sk-one-0123456789-0123456789-0123456789";
const TWO: &str = "sk-two-0123456789-0123456789-0123456789";

#[test]
fn what_is_already_so_needs_no_step() {
    let json = format!(
        r#"{{"channels": [{{{CHANNEL}, "headers": {{"b": "1", "A": "2"}}, "models": ["m", {{"name": "n", "tools": true}}],
            "redirects": {{"z": "m", "a": ["n", "m"]}}, "keys": [{{"secret": "abcd"}}]}}],
            "tokens": [{{"name": "t", "value": "{ONE}", "cidrs": ["10.1.2.3/8"]}}]}}"#
    );
    let state = pool(&json);
    for prune in [false, true] {
        let plan = difference(&state, &file(&json), prune, &Providers::embedded(), t()).unwrap();
        assert!(plan.is_empty(), "{:?}", plan.steps);
        assert!(plan.change.channels.is_empty() && plan.change.tokens.is_empty());
        assert_eq!(plan.version, 7);
    }
}

#[test]
fn another_order_of_models_is_a_change_without_values() {
    let state = pool(&format!(r#"{{"channels": [{{{CHANNEL}, "models": ["a", "b"]}}]}}"#));
    let other = file(&format!(r#"{{"channels": [{{{CHANNEL}, "models": ["b", "a"]}}]}}"#));
    let plan = difference(&state, &other, false, &Providers::embedded(), t()).unwrap();
    assert_eq!(plan.steps[0].changes, [FieldChange::of("models")]);
}

#[test]
fn keys_of_a_channel_without_a_list_are_not_pruned_and_those_of_an_empty_list_are() {
    let state = pool(&format!(r#"{{"channels": [{{{CHANNEL}, "keys": [{{"secret": "abcd"}}]}}]}}"#));
    let steps = |keys: &str| {
        let file = file(&format!(r#"{{"channels": [{{{CHANNEL}{keys}}}]}}"#));
        difference(&state, &file, true, &Providers::embedded(), t()).unwrap().steps
    };
    assert_eq!(steps(""), []);
    let steps = steps(r#", "keys": []"#);
    assert_eq!((steps.len(), steps[0].action, steps[0].kind), (1, Action::Remove, Kind::Key));
}

#[test]
fn a_new_host_and_a_new_proxy_say_that_keys_go_there() {
    let state = pool(&format!(r#"{{"channels": [{{{CHANNEL}, "keys": [{{"secret": "abcd"}}]}}]}}"#));
    let elsewhere = |channel: &str| {
        let file = file(&format!(r#"{{"channels": [{{{channel}}}]}}"#));
        difference(&state, &file, false, &Providers::embedded(), t()).unwrap().steps[0].sends_keys_elsewhere
    };
    assert!(elsewhere(r#""name": "A", "base_url": "https://b.example""#));
    assert!(elsewhere(&format!(r#"{CHANNEL}, "proxy": "http://127.0.0.1:8080""#)));
    assert!(!elsewhere(r#""name": "A", "base_url": "https://a.example/v2", "weight": 2"#));
}

#[test]
fn a_secret_that_was_not_fetched_is_refused_and_no_secret_is_in_a_plan() {
    let empty = PoolState::default();
    let unfetched = file(&format!(
        r#"{{"channels": [{{{CHANNEL}, "headers": {{"X": "file:x"}}, "keys": [{{"secret": "env:A"}}]}}],
            "tokens": [{{"name": "t", "value": "env:B"}}]}}"#
    ));
    let found = difference(&empty, &unfetched, false, &Providers::embedded(), t()).unwrap_err();
    let fields: Vec<&str> = found.0.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["channels[0].headers.X", "channels[0].keys[0].secret", "tokens[0].value"]);
    assert_eq!(faults(&unfetched, t()).0, [], "a file alone cannot tell");

    let secrets = file(&format!(
        r#"{{"channels": [{{{CHANNEL}, "headers": {{"X": "header-secret"}}, "proxy": "http://u:proxy-secret@127.0.0.1:1",
            "keys": [{{"secret": "key-secret-0123"}}]}}], "tokens": [{{"name": "t", "value": "{ONE}"}}]}}"#
    ));
    let plan = difference(&empty, &secrets, false, &Providers::embedded(), t()).unwrap();
    let json = serde_json::to_string(&plan).unwrap();
    for text in [format!("{plan:?}"), json] {
        assert!(!text.contains("secret-") && !text.contains("-secret\"") && !text.contains(ONE), "{text}");
        assert!(!text.contains("proxy-secret") && !text.contains("header-secret"), "{text}");
    }
}

#[test]
fn tokens_exchange_values_but_take_none_that_stays_valid() {
    let tokens = |a: &str, b: &str| {
        format!(r#"{{"tokens": [{{"name": "a", "value": "{a}"}}, {{"name": "b", "value": "{b}"}}]}}"#)
    };
    let mut state = pool(&tokens(ONE, TWO));
    assert_eq!(
        difference(&state, &file(&tokens(TWO, ONE)), false, &Providers::embedded(), t())
            .unwrap()
            .change
            .tokens
            .len(),
        2
    );

    let third = file(&format!(r#"{{"tokens": [{{"name": "c", "value": "{TWO}"}}]}}"#));
    let found = difference(&state, &third, false, &Providers::embedded(), t()).unwrap_err();
    assert_eq!(found.0[0].field, "tokens[0].value");
    assert!(difference(&state, &third, true, &Providers::embedded(), t()).is_ok(), "the other token goes");

    // A replaced value in its grace time is still somebody's.
    state.credentials[1].2 = Some(UnixMs(5));
    let taken = file(&format!(r#"{{"tokens": [{{"name": "a", "value": "{TWO}"}}]}}"#));
    assert!(difference(&state, &taken, false, &Providers::embedded(), t()).is_err());
}

fn faults_of(state: &PoolState, json: &str) -> Vec<(String, String)> {
    let faults = difference(state, &file(json), false, &Providers::embedded(), t()).unwrap_err();
    faults.0.into_iter().map(|fault| (fault.field, fault.message)).collect()
}

#[test]
fn a_chain_is_added_changed_and_pruned() {
    let one = r#"{"chains": [{"name": "Best", "steps": ["a", {"model": "b", "spill_ms": "never"}]}]}"#;
    let state = pool(one);
    let plan =
        |json: &str, prune| difference(&state, &file(json), prune, &Providers::embedded(), t()).unwrap();
    assert!(plan(one, true).is_empty());
    let changed =
        plan(r#"{"chains": [{"name": "Best", "steps": [{"model": "b", "spill_ms": 5}, "a"]}]}"#, false);
    let step = &changed.steps[0];
    assert_eq!(
        (step.action, step.kind, step.changes[0].field.as_str()),
        (Action::Change, Kind::Chain, "steps.b.spill_ms")
    );
    let swapped =
        plan(r#"{"chains": [{"name": "best", "steps": [{"model": "b", "spill_ms": "never"}, "a"]}]}"#, false);
    let fields: Vec<&str> = swapped.steps[0].changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["name", "steps"]);
    assert!(plan("{}", false).is_empty());
    let pruned = plan("{}", true);
    assert_eq!((pruned.steps[0].action, pruned.change.erase_chains.len()), (Action::Remove, 1));
}

#[test]
fn a_loop_is_a_fault_also_by_way_of_chains_that_the_file_does_not_declare() {
    let state = pool(r#"{"chains": [{"name": "a", "steps": ["x", "b"]}]}"#);
    let closing = r#"{"chains": [{"name": "B", "steps": ["y", "A"]}]}"#;
    let faults = faults_of(&state, closing);
    assert_eq!(faults[0].0, "chains[0].steps[1].model");
    assert!(faults[0].1.contains("B → a → B"), "{faults:?}");
    let pruned = difference(&state, &file(closing), true, &Providers::embedded(), t());
    assert!(pruned.is_ok(), "the chain that would close the loop goes");
    let both = r#"{"chains": [{"name": "p", "steps": ["q"]}, {"name": "q", "steps": ["p"]}, {"name": "P", "steps": []}]}"#;
    let fields: Vec<String> = faults_of(&state, both).into_iter().map(|(field, _)| field).collect();
    for field in ["chains[0].steps[0].model", "chains[1].steps[0].model", "chains[2].name", "chains[2].steps"]
    {
        assert!(fields.iter().any(|found| found == field), "{field} is missing in {fields:?}");
    }
}

#[test]
fn a_chain_may_name_itself_if_a_channel_has_such_a_model() {
    let own = r#"{"chains": [{"name": "m", "steps": ["M", "other"]}]}"#;
    assert_eq!(faults_of(&PoolState::default(), own)[0].0, "chains[0].steps[0].model");
    let with_channel = format!(
        r#"{{"channels": [{{{CHANNEL}, "models": ["m"]}}], "chains": [{{"name": "m", "steps": ["M", "other"]}}]}}"#
    );
    let mut state = pool(&with_channel);
    state.channels.clear();
    let plan = difference(&state, &file(own), false, &Providers::embedded(), t()).unwrap();
    assert!(plan.is_empty(), "what was right stays right when the channel is gone");
    assert!(faults(&file(own), t()).0.is_empty(), "a file alone does not tell which models there are");
}
