//! Managed chains as clients meet them: `auto` and its kin.

use std::{sync::Arc, time::Duration};

use onepool::{
    discovery::refresh,
    jobs,
    model::{
        channel::{ChannelModel, EffectiveTimeouts, Price},
        id::ChannelId,
        time::Clock,
    },
    ranking::{
        chain::{Purpose, Reason},
        identity::{Identity, OwnName},
        liveness::{Cause, Sign},
    },
    selection::Ranking,
};
use serde_json::Value;

use crate::support::{
    app::{TestApp, at, chat, eventually, model},
    upstream::{Fault, Upstream},
};

/// A server whose clock stands still at a noon, and which tries nothing out by itself.
async fn app() -> TestApp {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let noon = Clock::manual(at("2026-11-20T12:00:00Z"));
    let app = TestApp::start_in(data, noon, &[("PROBE_EVERY_HOURS", "0")]).await;
    app.token().await;
    app
}

/// A channel of a provider that offers nothing by a name of its own, and whose list has been asked for.
async fn listed(
    app: &TestApp,
    name: &str,
    provider: &str,
    upstream: &Upstream,
    models: &[&str],
) -> ChannelId {
    upstream.set_models(models);
    let id = app
        .channel_with(name, &upstream.base_url(), &[&format!("key-of-{name}")], |channel| {
            channel.provider = provider.into();
            channel.models = Vec::new();
        })
        .await;
    ask(app, id).await;
    id
}

async fn ask(app: &TestApp, id: ChannelId) {
    let site = app.app.site();
    let entry = site.catalog.load().channel(id).unwrap().clone();
    let wait = Duration::from_secs(20);
    let timeouts = EffectiveTimeouts { connect: wait, first_byte: wait, idle: wait };
    let provider = site.catalog.provider_of(&entry.channel);
    refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await.unwrap();
    site.rebuild_chains().await.unwrap();
}

/// A model that costs nothing, as its operator says.
fn free(name: &str) -> ChannelModel {
    ChannelModel { price: Some(Price::default()), ..model(name) }
}

async fn public(app: &TestApp) -> Vec<String> {
    let request = app.request(reqwest::Method::GET, "/v1/models").send().await.unwrap();
    let models = request.json::<Value>().await.unwrap();
    models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// The upstream models of a chain, step by step, each with its channel.
fn steps(app: &TestApp, name: &str) -> Vec<Vec<String>> {
    let catalog = app.app.site().catalog.load();
    let of_step = |step: &onepool::model::catalog::Step| {
        let mut routes: Vec<String> = step
            .routes
            .iter()
            .map(|route| format!("{}@{}", route.upstream_model, route.channel.channel.name))
            .collect();
        routes.sort();
        routes
    };
    catalog.steps(name).iter().map(of_step).collect()
}

async fn ranking(app: &TestApp, purpose: Purpose) -> Ranking {
    app.app.site().ranking(purpose).await.unwrap().unwrap()
}

async fn pin(app: &TestApp, models: &[&str]) {
    let site = app.app.site();
    let mut chain = site.db.managed_chains().await.unwrap().remove(0);
    chain.pins = models.iter().map(|model| Identity::new(model)).collect();
    site.db.update_managed_chain(&chain).await.unwrap();
    site.rebuild_chains().await.unwrap();
}

/// The models that upstreams were asked for since the last look.
fn asked(upstreams: &[&Upstream]) -> Vec<String> {
    let mut models = Vec::new();
    for upstream in upstreams {
        models.extend(upstream.inferences().into_iter().map(|call| call.model));
        upstream.forget_calls();
    }
    models
}

#[tokio::test]
async fn auto_is_the_best_free_model_on_all_of_its_channels_by_their_own_names_and_then_the_next() {
    let (app, one, two) = (app().await, Upstream::start(), Upstream::start());
    let models = ["openai/gpt-oss-20b:free", "openai/gpt-oss-120b:free", "dear/model"];
    listed(&app, "one", "openrouter", &one, &models).await;
    listed(&app, "two", "nvidia", &two, &["openai/gpt-oss-120b"]).await;
    assert_eq!(
        steps(&app, "auto"),
        [
            vec!["openai/gpt-oss-120b:free@one".to_owned(), "openai/gpt-oss-120b@two".to_owned()],
            vec!["openai/gpt-oss-20b:free@one".to_owned()],
        ]
    );
    assert_eq!(public(&app).await, ["auto", "auto:coding", "auto:fast"], "no model is known to take images");

    let call = async || app.post("/v1/chat/completions", &chat("auto", false, "hi")).await;
    let answer = call().await;
    assert_eq!((answer.status, answer.json()["model"].as_str()), (200, Some("auto")), "{}", answer.text());
    let first = asked(&[&one, &two]);
    assert!(first[0].starts_with("openai/gpt-oss-120b"), "{first:?}");
    one.fail_model("openai/gpt-oss-120b:free", Fault::RateLimitedSeconds);
    two.fail_model("openai/gpt-oss-120b", Fault::RateLimitedSeconds);
    assert_eq!(call().await.status, 200);
    let mut all = asked(&[&one, &two]);
    all.sort();
    assert_eq!(all, ["openai/gpt-oss-120b", "openai/gpt-oss-120b:free", "openai/gpt-oss-20b:free"]);
    app.app.flush_usage().await;
    let rows = app.rows().await;
    assert!(rows.iter().all(|row| row["asked"] == "auto"), "{rows:?}");
    app.stop().await;
}

#[tokio::test]
async fn what_costs_something_or_does_not_say_is_in_no_free_chain_unless_it_is_pinned() {
    let (app, upstream) = (app().await, Upstream::start());
    upstream.set_models(&["free-model", "paid-model", "silent-model"]);
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        let silent = ChannelModel { price: None, ..model("silent-model") };
        channel.models = vec![free("free-model"), model("paid-model"), silent];
    })
    .await;
    app.app.site().rebuild_chains().await.unwrap();
    assert_eq!(steps(&app, "auto"), [["free-model@c"]]);
    let told = ranking(&app, Purpose::Auto).await;
    let why: Vec<(&str, Reason)> =
        told.left_out.iter().map(|out| (out.upstream_model.as_str(), out.reason)).collect();
    assert_eq!(why, [("paid-model", Reason::Paid), ("silent-model", Reason::PriceUnknown)]);
    pin(&app, &["paid-model"]).await;
    assert_eq!(steps(&app, "auto"), [["paid-model@c"], ["free-model@c"]]);
    assert!(ranking(&app, Purpose::Auto).await.models[0].pinned);
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_is_gone_leaves_the_chains_and_returns_after_two_answers_to_probes() {
    let (app, upstream) = (app().await, Upstream::start());
    upstream.set_models(&["a-large", "small"]);
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = vec![free("a-large"), free("small")];
    })
    .await;
    pin(&app, &["a-large"]).await;
    upstream.fail_model("a-large", Fault::ModelNotFound);
    for _ in 0..2 {
        let answer = app.post("/v1/chat/completions", &chat("auto", false, "hi")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        app.app.flush_usage().await;
        // Longer than its rest, and than what lies between two refusals that count.
        app.clock.advance(Duration::from_secs(2 * 3600));
    }
    assert_eq!(asked(&[&upstream])[..4], ["a-large", "small", "a-large", "small"]);
    let site = app.app.site();
    // The server's own job may be at the same work.
    eventually("a chain without the dead model, pinned as it is", async || {
        site.rebuild_chains().await.unwrap();
        steps(&app, "auto") == [["small@c"]]
    })
    .await;
    let told = ranking(&app, Purpose::Auto).await;
    assert_eq!(told.left_out[0].reason, Reason::Dead(Cause::Gone));
    assert_eq!(told.idle_pins, [Identity::new("a-large")]);

    let parts = jobs::ranking::Parts {
        db: site.db.clone(),
        catalog: site.catalog.clone(),
        dispatch: site.dispatch.clone(),
        clients: site.clients.clone(),
        clock: site.clock.clone(),
    };
    app.clock.advance(Duration::from_secs(25 * 3600));
    upstream.heal();
    let before = asked(&[&upstream]).len();
    eventually("the model in its place again", async || {
        let dead = parts.rebuild().await.unwrap().to_probe;
        parts.ask_dead(&dead).await.unwrap();
        steps(&app, "auto") == [["a-large@c"], ["small@c"]]
    })
    .await;
    let probed = asked(&[&upstream]).split_off(before);
    assert_eq!(probed, ["a-large", "a-large"], "two answers, and no more calls than that");
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_two_lists_lack_leaves_the_chains() {
    let (app, upstream) = (app().await, Upstream::start());
    let id = listed(&app, "c", "nvidia", &upstream, &["one", "two"]).await;
    upstream.set_models(&["one"]);
    app.clock.advance(Duration::from_secs(3600));
    ask(&app, id).await;
    assert_eq!(steps(&app, "auto").len(), 2, "one list may be wrong");
    app.clock.advance(Duration::from_secs(3600));
    ask(&app, id).await;
    assert_eq!(steps(&app, "auto"), [["one@c"]]);
    app.stop().await;
}

#[tokio::test]
async fn if_everything_fails_the_chain_stays_as_it_is() {
    let (app, upstream) = (app().await, Upstream::start());
    upstream.set_models(&["only"]);
    let id = app
        .channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.models = vec![free("only")])
        .await;
    let site = app.app.site();
    for minute in 0..6 {
        let at = site.clock.now() + Duration::from_secs(minute * 120);
        site.db.note_model_sign(id, "only", Sign::Failed, at).await.unwrap();
    }
    site.rebuild_chains().await.unwrap();
    assert!(!site.db.model_health().await.unwrap().values().next().unwrap().liveness.is_alive());
    assert_eq!(steps(&app, "auto"), [["only@c"]]);
    assert!(ranking(&app, Purpose::Auto).await.all_failing);
    app.stop().await;
}

#[tokio::test]
async fn names_that_an_operator_joins_are_one_model() {
    let (app, one, two) = (app().await, Upstream::start(), Upstream::start());
    listed(&app, "one", "nvidia", &one, &["house/model-x"]).await;
    listed(&app, "two", "nvidia", &two, &["model-x-instruct"]).await;
    assert_eq!(steps(&app, "auto").len(), 2);
    let site = app.app.site();
    for name in ["house/model-x", "model-x-instruct"] {
        let own = OwnName { name: name.into(), provider: None, identity: Identity::new("model-x") };
        site.db.join_model_name(&own).await.unwrap();
    }
    site.rebuild_chains().await.unwrap();
    assert_eq!(steps(&app, "auto"), [["house/model-x@one", "model-x-instruct@two"]]);
    app.stop().await;
}

#[tokio::test]
async fn what_was_made_by_hand_hides_a_managed_chain_and_may_name_another() {
    let (app, upstream) = (app().await, Upstream::start());
    upstream.set_models(&["a", "b", "auto:fast"]);
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = vec![free("a"), free("b"), model("auto:fast")];
    })
    .await;
    let site = app.app.site();
    site.rebuild_chains().await.unwrap();
    assert_eq!(steps(&app, "auto:fast"), [["auto:fast@c"]], "the channel's model");
    let chain = |name: &str, models: &[&str]| onepool::model::chain::Chain {
        id: onepool::model::id::ChainId(0),
        name: name.into(),
        enabled: true,
        steps: models.iter().map(|model| onepool::model::chain::ChainStep::new(*model)).collect(),
    };
    site.db.create_chain(&chain("mine", &["b", "auto"])).await.unwrap();
    site.db.create_chain(&chain("AUTO:coding", &["b"])).await.unwrap();
    app.reload().await;
    assert_eq!(steps(&app, "mine"), [["b@c"], ["a@c"]], "what stands there already is not asked twice");
    assert_eq!(steps(&app, "auto:coding"), [["b@c"]]);
    assert_eq!(public(&app).await, ["a", "auto", "AUTO:coding", "auto:fast", "b", "mine"]);

    let mut fast = site.db.managed_chains().await.unwrap().remove(0);
    fast.enabled = false;
    site.db.update_managed_chain(&fast).await.unwrap();
    site.rebuild_chains().await.unwrap();
    let answer = app.post("/v1/chat/completions", &chat("auto", false, "hi")).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "model_not_found"));
    assert_eq!(steps(&app, "mine"), [["b@c"]]);
    app.stop().await;
}

#[tokio::test]
async fn of_two_builds_of_the_chains_the_later_one_knows_what_came_between() {
    let (app, upstream) = (app().await, Upstream::start());
    upstream.set_models(&["a"]);
    let site = app.app.site().clone();
    let under_way = site.catalog.hold_for_chains().await;
    #[expect(clippy::disallowed_methods, reason = "a task of the test, which waits for it")]
    let later = tokio::spawn(async move { site.rebuild_chains().await.unwrap() });
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.models = vec![free("a")]).await;
    assert_eq!(steps(&app, "auto"), [] as [Vec<String>; 0], "nobody has built it yet");
    assert!(!later.is_finished(), "it waits for the one under way");
    drop(under_way);
    later.await.unwrap();
    assert_eq!(steps(&app, "auto"), [["a@c"]]);
    app.stop().await;
}

#[tokio::test]
async fn a_token_needs_the_chain_in_its_scope_and_its_groups_at_the_channels() {
    let (app, upstream) = (app().await, Upstream::start());
    upstream.set_models(&["a"]);
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = vec![free("a")];
        channel.groups = vec!["free".into()];
    })
    .await;
    app.app.site().rebuild_chains().await.unwrap();
    let site = app.app.site();
    let token = site.catalog.load().tokens().next().unwrap().clone();
    let scoped = |models: &[&str], groups: &[&str]| {
        let mut token = (*token).clone();
        token.models = models.iter().map(|name| (*name).to_owned()).collect();
        token.groups = groups.iter().map(|name| (*name).to_owned()).collect();
        let catalog = site.catalog.load();
        catalog.models_for(&token).map(|model| model.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(scoped(&["auto"], &[]), ["auto"]);
    assert_eq!(scoped(&["auto*"], &["free"]), ["auto", "auto:coding", "auto:fast"]);
    assert!(scoped(&["auto"], &["paid"]).is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_chains_pins_and_names() {
    let (app, upstream) = (app().await, Upstream::start());
    listed(&app, "c", "nvidia", &upstream, &["openai/gpt-oss-120b", "openai/gpt-oss-20b", "x"]).await;
    pin(&app, &["x"]).await;
    let own = OwnName { name: "x".into(), provider: None, identity: Identity::new("y") };
    app.app.site().db.join_model_name(&own).await.unwrap();
    let before = steps(&app, "auto");
    assert_eq!(before[0], ["x@c"]);
    let data = app.stop().await;
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T13:00:00Z")), &[]).await;
    assert!(public(&app).await.contains(&"auto".to_owned()), "at once");
    let site = app.app.site();
    assert_eq!(site.db.own_model_names().await.unwrap(), [own]);
    assert_eq!(site.db.managed_chains().await.unwrap()[0].pins, [Identity::new("x")]);
    let answer = app.post("/v1/chat/completions", &chat("auto:fast", false, "hi")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.stop().await;
}
