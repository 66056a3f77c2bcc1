//! Which limits the pool is told of: the provider's, unless the operator says otherwise.

use super::*;
use crate::model::{
    channel::{Channel, ChannelModel, Protocol, Timeouts},
    key::Key,
    limit::{Limit, Metric, Window},
    secret::Secret,
    settings::RuntimeSettings,
};

const ROLLING_DAY: Window = Window::Rolling { ms: 86_400_000 };

fn providers() -> Providers {
    let text = r#"{"id": "acme", "checked": "2026-11-20", "name": {"en": "Acme", "zh": "顶峰"}, "status": "free",
        "base_urls": [], "reset": {"zone": "Asia/Shanghai", "offset_minutes": 5}, "reservation": "input_and_max_output",
        "plans": [{"id": "free", "name": {"en": "free", "zh": "免费"}}, {"id": "paid", "name": {"en": "paid", "zh": "付费"}}],
        "limits": [
            {"metric": "requests", "window": {"rolling": "1m"}, "scope": "group", "max": 20, "models": ["*:free"], "confidence": "high"},
            {"metric": "requests", "window": {"calendar": "day"}, "scope": "group", "max": 50, "plan": "free", "confidence": "high"},
            {"metric": "requests", "window": {"calendar": "day"}, "scope": "group", "max": 1000, "plan": "paid", "confidence": "high"},
            {"metric": "units", "window": {"rolling": "1d"}, "scope": "group", "max": 250, "per_call": 2, "confidence": "medium"},
            {"metric": "tokens", "window": {"rolling": "1m"}, "scope": "group_model", "max": 9000, "confidence": "low"},
            {"metric": "concurrency", "window": "at_once", "scope": "model", "confidence": "high"}
        ]}"#;
    Providers::with_overrides(&[("acme.json".to_owned(), text.to_owned())]).expect("right data")
}

/// Channel 1 of the provider `acme` with the models `a:free` and `b`, and these keys with their groups.
fn catalog(keys: &[(i64, Option<&str>)], limits: Vec<Rule>) -> Catalog {
    let model = |name: &str| ChannelModel { name: name.into(), ..ChannelModel::default() };
    let limits_of = |key| {
        let its = limits.iter().filter(|rule| rule.key == key).cloned();
        let limit = |Rule { models, per, metric, window, max, source, .. }| Limit {
            models,
            per,
            metric,
            window,
            max,
            source,
        };
        its.map(limit).collect::<Vec<_>>()
    };
    let channel = Channel {
        id: ChannelId(1),
        name: "c".into(),
        base_url: "http://127.0.0.1:1".into(),
        protocol: Protocol::OpenAi,
        provider: "acme".into(),
        plan: None,
        priority: 0,
        weight: 1,
        groups: vec![],
        headers: vec![],
        proxy: None,
        timeouts: Timeouts::default(),
        allow_private: true,
        note: String::new(),
        enabled: true,
        endpoints: Default::default(),
        models: vec![model("a:free"), model("b")],
        redirects: vec![],
        limits: limits_of(None),
        shaping: Default::default(),
        budget: None,
    };
    let keys = keys.iter().map(|(id, group)| Key {
        id: KeyId(*id),
        channel_id: ChannelId(1),
        label: String::new(),
        last4: String::new(),
        quota_group: group.map(str::to_owned),
        enabled: true,
        secret: Secret::new("key"),
        limits: limits_of(Some(KeyId(*id))),
        budget: None,
    });
    let zone = jiff::tz::TimeZone::UTC;
    Catalog::new(RuntimeSettings::sample(), zone, vec![(channel, keys.collect())], vec![], vec![])
}

fn declared(catalog: &Catalog, plans: &[(i64, &str)]) -> Declaration {
    let plans = plans.iter().map(|(key, plan)| (KeyId(*key), (*plan).to_owned())).collect();
    declaration(catalog, &providers(), &OtherEndpoints::new(), &plans)
}

/// The rules as texts: for whom, of which key, what, how much.
fn texts(declaration: &Declaration) -> Vec<String> {
    let text = |rule: &Rule| {
        let window = match &rule.window {
            Window::Calendar { zone, offset_minutes, .. } => format!("day of {zone}+{offset_minutes}"),
            window => window.span_ms().map_or("once".into(), |ms| format!("{} s", ms / 1000)),
        };
        let key = rule.key.map(|key| format!(" key {key}")).unwrap_or_default();
        format!("{:?}{key} {:?} {:?} {window}: {}", rule.per, rule.models.0, rule.metric, rule.max)
    };
    declaration.rules.iter().map(text).collect()
}

fn own(key: Option<i64>, per: Per, window: Window, max: u64) -> Rule {
    let (channel, models, source) = (ChannelId(1), Models::default(), Source::Declared);
    Rule { channel, key: key.map(KeyId), models, per, metric: Metric::Requests, window, max, source }
}

#[test]
fn a_channel_is_held_to_what_its_provider_is_known_to_allow() {
    let told = declared(&catalog(&[(1, None), (2, None)], vec![]), &[]);
    assert_eq!(
        texts(&told),
        [
            r#"Owner ["*:free"] Requests 60 s: 20"#,
            "Owner [] Requests day of Asia/Shanghai+5: 50",
            "Owner [] Units 86400 s: 250",
        ],
        "neither doubtful limits nor those of unknown size"
    );
    assert_eq!(told.resets[&ChannelId(1)], ("Asia/Shanghai".to_owned(), 5));
    let (channel, model, counts) = &told.counts[0];
    assert_eq!((*channel, &**model, counts.units_per_call), (ChannelId(1), "a:free", 2));
}

#[test]
fn what_the_operator_declares_for_the_same_calls_replaces_it() {
    let rules = |keys: &[(i64, Option<&str>)], limits| texts(&declared(&catalog(keys, limits), &[]));
    let day = vec![own(None, Per::Key, ROLLING_DAY, 500)];
    assert_eq!(
        rules(&[(1, None), (2, None)], day.clone()),
        [
            r#"Owner ["*:free"] Requests 60 s: 20"#,
            "Owner [] Units 86400 s: 250",
            "Key [] Requests 86400 s: 500",
        ],
        "a key without a group is its own owner, and a day is a day"
    );
    assert_eq!(
        rules(&[(1, Some("x")), (2, None)], day).len(),
        4,
        "of a shared quota a key's is another limit"
    );

    let one = vec![own(Some(2), Per::Key, Window::MINUTE, 5)];
    let found = rules(&[(1, None), (2, None)], one);
    assert!(found.contains(&r#"Owner key 1 ["*:free"] Requests 60 s: 20"#.to_owned()), "{found:#?}");
    assert!(!found.contains(&r#"Owner key 2 ["*:free"] Requests 60 s: 20"#.to_owned()), "{found:#?}");
    assert!(found.contains(&"Key key 2 [] Requests 60 s: 5".to_owned()), "{found:#?}");
}

#[test]
fn keys_have_the_plan_that_their_provider_says_they_have() {
    let told = declared(&catalog(&[(1, None), (2, None)], vec![]), &[(2, "paid")]);
    let days: Vec<_> = texts(&told).into_iter().filter(|rule| rule.contains("day of")).collect();
    assert_eq!(
        days,
        [
            "Owner key 1 [] Requests day of Asia/Shanghai+5: 50",
            "Owner key 2 [] Requests day of Asia/Shanghai+5: 1000",
        ]
    );
}

#[test]
fn a_model_that_the_operator_speaks_of_is_taken_out_of_the_providers_limit() {
    let only_b = Rule { models: Models(vec!["b".into()]), ..own(None, Per::Owner, ROLLING_DAY, 7) };
    let found = texts(&declared(&catalog(&[(1, None)], vec![only_b]), &[]));
    assert!(
        found.contains(&r#"Owner ["a:free"] Requests day of Asia/Shanghai+5: 50"#.to_owned()),
        "{found:#?}"
    );
}
