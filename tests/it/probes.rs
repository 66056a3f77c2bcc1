//! What models can do is found out truthfully, charged, and within a share of daily quotas.

use std::time::Duration;

use onepool::{
    discovery::probe::{HeldBack, Probed, Prober, Subject},
    inspect::{Size, of_pool},
    jobs,
    model::{
        channel::EffectiveTimeouts,
        id::ChannelId,
        key::PastedKey,
        limit::{CalendarUnit, Limit, Metric, Per, Source, Window},
        probe::{ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        secret::Secret,
    },
    ranking::chain::Purpose,
};

use crate::support::{
    app::{TestApp, model},
    upstream::{
        Fault, Upstream,
        skill::{Json, Skills, Tools, Vision},
    },
};

use ProbeKind::{Reasoning, Stream};

const TIMEOUTS: EffectiveTimeouts = EffectiveTimeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(20),
    idle: Duration::from_secs(20),
};

async fn probe_within(
    app: &TestApp,
    id: ChannelId,
    model: &str,
    kinds: &[ProbeKind],
    percent: u32,
    timeouts: EffectiveTimeouts,
) -> Probed {
    let site = app.app.site();
    let entry = site.catalog.load().channel(id).unwrap().clone();
    let provider = site.catalog.provider_of(&entry.channel);
    let prober = Prober {
        db: &site.db,
        clients: &site.clients,
        dispatch: &site.dispatch,
        clock: &site.clock,
        percent,
    };
    let subject = Subject { entry: &entry, provider: &provider, model, timeouts };
    prober.probe(&subject, kinds, 5).await.unwrap()
}

async fn probe(app: &TestApp, id: ChannelId, model: &str, kinds: &[ProbeKind]) -> Probed {
    probe_within(app, id, model, kinds, 100, TIMEOUTS).await
}

fn verdict(probed: &Probed, kind: ProbeKind) -> ProbeVerdict {
    let result = probed.results.iter().find(|result| result.kind == kind);
    result.unwrap_or_else(|| panic!("no {kind}: {probed:?}")).verdict
}

async fn known(app: &TestApp, id: ChannelId, model: &str) -> Vec<ProbeResult> {
    app.app.site().db.probes_of(&[(id, model)]).await.unwrap().into_values().flatten().collect()
}

/// So many calls a day for each key.
fn a_day(max: u64) -> Limit {
    Limit {
        models: Default::default(),
        per: Per::Key,
        metric: Metric::Requests,
        window: Window::Calendar { unit: CalendarUnit::Day, zone: "UTC".into(), offset_minutes: 0 },
        max,
        source: Source::Declared,
    }
}

async fn limited(app: &TestApp, upstream: &Upstream, name: &str, limits: &[u64]) -> ChannelId {
    let id = app.channel(name, upstream, &[]).await;
    let keys: Vec<PastedKey> = limits
        .iter()
        .enumerate()
        .map(|(number, max)| PastedKey {
            label: String::new(),
            secret: Secret::new(format!("{name}-key-{number}")),
            quota_group: None,
            limits: vec![a_day(*max)],
            budget: None,
        })
        .collect();
    app.app.site().db.add_keys(id, &keys).await.unwrap();
    app.reload().await;
    id
}

#[tokio::test]
async fn a_model_that_can_do_all_is_found_out_with_four_calls() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_skills("m", Skills { reasoning: 300, ..Skills::default() });
    let id = app.channel("c", &upstream, &["key-0"]).await;
    let probed = probe(&app, id, "m", ProbeKind::ALL).await;
    for kind in ProbeKind::ALL {
        assert_eq!(verdict(&probed, *kind), ProbeVerdict::Ok, "{kind}: {probed:#?}");
    }
    assert_eq!((probed.calls.len(), upstream.inferences().len(), probed.held_back), (4, 4, None));
    assert!(probed.results[0].first_token_ms.is_some(), "{probed:#?}");
    let known = known(&app, id, "m").await;
    assert_eq!(known.len(), 5);
    assert!(known.iter().all(|result| result.holds(app.clock.now()) && result.source == ProbeSource::Probe));
    let (models, _) = app.app.site().db.discovered_models(&Default::default(), 0, 10).await.unwrap();
    assert!(models.is_empty(), "what was never listed is no discovered model");
}

#[tokio::test]
async fn models_that_go_about_it_in_other_ways_are_asked_in_these_ways() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    let id = app.channel("c", &upstream, &["key-0"]).await;
    upstream.set_skills("empty", Skills { tools: Tools::EmptyIfRequired, ..Skills::default() });
    let probed = probe(&app, id, "empty", &[ProbeKind::Tools]).await;
    assert_eq!((verdict(&probed, ProbeKind::Tools), probed.calls.len()), (ProbeVerdict::Ok, 2));
    let choices: Vec<_> = upstream.inferences().iter().map(|call| call.body["tool_choice"].clone()).collect();
    assert_eq!(choices, ["required", "auto"]);

    upstream.set_skills(
        "o",
        Skills { completion_limit: true, reasoning: 200, json: Json::SchemaOnly, ..Skills::default() },
    );
    let probed = probe(&app, id, "o", &[ProbeKind::Tools, ProbeKind::Json]).await;
    assert_eq!(verdict(&probed, ProbeKind::Tools), ProbeVerdict::Ok);
    assert_eq!(verdict(&probed, ProbeKind::Json), ProbeVerdict::Ok);
    assert_eq!(probed.calls.len(), 4, "what was learned of the limit's name is not learned twice");
    assert_eq!(verdict(&probed, Reasoning), ProbeVerdict::Ok, "it showed by the way");
}

#[tokio::test]
async fn models_that_cannot_are_found_out_and_what_is_not_clear_is_not_held_against_them() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    let id = app.channel("c", &upstream, &["key-0"]).await;
    let skills = |tools, vision, json| Skills { tools, vision, json, ..Skills::default() };
    upstream.set_skills("plain", skills(Tools::Ignores, Vision::Accepts, Json::Fenced));
    upstream.set_skills("strict", skills(Tools::Refused, Vision::Refused, Json::Object));
    upstream.set_skills("routed", skills(Tools::NoEndpoint, Vision::Sees, Json::Object));
    use ProbeVerdict::{Accepted, Not, Ok, Unclear};
    for (model, tools, vision, json) in
        [("plain", Not, Accepted, Not), ("strict", Not, Not, Ok), ("routed", Not, Ok, Ok)]
    {
        let probed = probe(&app, id, model, ProbeKind::ALL).await;
        let found = [ProbeKind::Tools, ProbeKind::Vision, ProbeKind::Json].map(|kind| verdict(&probed, kind));
        assert_eq!(found, [tools, vision, json], "{model}: {probed:#?}");
        assert_eq!(verdict(&probed, Reasoning), Not);
    }
    // A model that cannot call tools is no dead one.
    let health = app.app.site().db.model_health().await.unwrap();
    assert!(health.values().all(|health| health.liveness.is_alive()), "{health:?}");

    for fault in [
        Fault::RateLimitedDaily,
        Fault::Unauthorized,
        Fault::Status503,
        Fault::ModelNotFound,
        Fault::PaymentRequired,
    ] {
        let (name, before) = (format!("{fault:?}"), upstream.inferences().len());
        upstream.fail_model(&name, fault);
        let probed = probe(&app, id, &name, ProbeKind::ALL).await;
        assert!(probed.results.iter().all(|result| result.verdict == Unclear), "{probed:#?}");
        assert_eq!(upstream.inferences().len(), before + 1, "{name}: one answer tells enough");
        assert_eq!(probed.calls.len(), 1, "{name}: a failed call counts");
    }
}

#[tokio::test]
async fn a_slow_model_ends_in_time_and_says_nothing_of_its_abilities() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    let id = app.channel("c", &upstream, &["key-0"]).await;
    upstream.fail_model("slow", Fault::HangBeforeHeaders);
    let timeouts = EffectiveTimeouts { first_byte: Duration::from_millis(300), ..TIMEOUTS };
    let probed = probe_within(&app, id, "slow", &[ProbeKind::Tools], 100, timeouts).await;
    let [result] = &probed.results[..] else { panic!("{probed:?}") };
    assert_eq!((result.verdict, probed.calls.len()), (ProbeVerdict::Unclear, 1));
    assert!(result.detail.contains("0.3 s") && probed.signs.is_empty(), "{probed:?}");
}

#[tokio::test]
async fn each_call_is_charged_to_the_key_with_most_left_also_for_models_that_nobody_offers() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    for model in ["m", "not-offered"] {
        upstream.set_skills(model, Skills::default());
    }
    let id = limited(&app, &upstream, "c", &[50, 80]).await;
    let left = || {
        let site = app.app.site();
        of_pool(&site.catalog.load(), &site.dispatch, Size::USUAL.cost()).calls.next_day
    };
    let before = left();
    probe(&app, id, "m", &[ProbeKind::Tools, ProbeKind::Json]).await;
    assert_eq!(left(), before - 2);
    let probed = probe(&app, id, "not-offered", &[ProbeKind::Tools]).await;
    assert_eq!((verdict(&probed, ProbeKind::Tools), left()), (ProbeVerdict::Ok, before - 3));
    assert!(upstream.inferences().iter().all(|call| call.key.as_deref() == Some("c-key-1")));
    upstream.fail_model("m", Fault::Status500);
    probe(&app, id, "m", &[ProbeKind::Vision]).await;
    assert_eq!(left(), before - 4, "a call that failed counts");
}

#[tokio::test]
async fn probes_take_no_more_than_their_share_of_a_day() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    for model in ["m", "n"] {
        upstream.set_skills(model, Skills::default());
    }
    let id = limited(&app, &upstream, "c", &[50]).await;
    let probed = probe_within(&app, id, "m", ProbeKind::ALL, 5, TIMEOUTS).await;
    assert_eq!((probed.calls.len(), probed.held_back), (2, Some(HeldBack::Share)));
    let probed = probe_within(&app, id, "n", ProbeKind::ALL, 5, TIMEOUTS).await;
    assert_eq!((probed.calls.len(), probed.held_back), (0, Some(HeldBack::Share)));
    assert_eq!(upstream.inferences().len(), 2);
    assert_eq!(known(&app, id, "n").await, [], "what was not asked is no result");

    let id = limited(&app, &upstream, "small", &[10]).await;
    let probed = probe_within(&app, id, "m", ProbeKind::ALL, 5, TIMEOUTS).await;
    assert_eq!(probed.calls.len(), 0, "a twentieth of ten is none");
    // Beyond the share, a limit holds whatever it is.
    let id = limited(&app, &upstream, "spent", &[1]).await;
    let probed = probe_within(&app, id, "m", ProbeKind::ALL, 100, TIMEOUTS).await;
    assert_eq!(probed.calls.len(), 1);
    assert!(probed.held_back.is_some());
}

#[tokio::test]
async fn what_is_clear_stays_when_a_later_probe_says_nothing_and_goes_with_its_channel() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_skills("m", Skills::default());
    let id = app.channel("c", &upstream, &["key-0"]).await;
    probe(&app, id, "m", &[ProbeKind::Tools]).await;
    upstream.fail_model("m", Fault::Status503);
    probe(&app, id, "m", &[ProbeKind::Tools]).await;
    let [result] = &known(&app, id, "m").await[..] else { panic!() };
    assert_eq!(result.verdict, ProbeVerdict::Ok);
    let week = Duration::from_secs(7 * 86_400);
    assert!(result.holds(result.at + week / 2) && !result.holds(result.at + week));
    app.app.site().db.delete_channel(id).await.unwrap();
    assert_eq!(known(&app, id, "m").await, []);
}

#[tokio::test]
async fn what_calls_of_clients_have_shown_is_not_probed_again() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_pace(crate::support::upstream::Pace {
        chunk: Duration::from_millis(5),
        words: 40,
        ..Default::default()
    });
    let id = app.channel("c", &upstream, &["key-0"]).await;
    app.token().await;
    assert_eq!(app.chat(true, "marker=abc words=40").await.status, 200);
    app.app.flush_usage().await;
    let db = &app.app.site().db;
    db.note_probes_of_traffic(app.clock.now() - Duration::from_secs(3600)).await.unwrap();
    let [result] = &known(&app, id, "m").await[..] else { panic!() };
    assert_eq!(
        (result.kind, result.verdict, result.source),
        (Stream, ProbeVerdict::Ok, ProbeSource::Traffic)
    );
    assert!(result.first_token_ms.is_some() && result.tokens_per_second.is_some(), "{result:?}");
    let results = [result.clone()];
    let open =
        onepool::discovery::probe::open_kinds(&[Stream, ProbeKind::Tools], None, &results, app.clock.now());
    assert_eq!(open, [ProbeKind::Tools]);
}

#[tokio::test]
async fn the_job_asks_what_managed_chains_need_to_know_and_nothing_twice_a_day() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_skills("m", Skills::default());
    let id = app
        .channel_with("c", &upstream.base_url(), &["key-0"], |new| new.models = vec![model("m"), model("n")])
        .await;
    let site = app.app.site();
    let parts = || jobs::probes::Parts {
        db: site.db.clone(),
        catalog: site.catalog.clone(),
        clients: site.clients.clone(),
        dispatch: site.dispatch.clone(),
        clock: site.clock.clone(),
    };
    // The server builds its chains by itself; what this test writes stays.
    let _held = site.catalog.hold_for_chains().await;
    assert_eq!(jobs::probes::look(&parts()).await.unwrap(), 0, "no chain has a model");
    let step = onepool::model::managed::ManagedStep {
        place: 0,
        spare: false,
        channel: id,
        identity: "m".into(),
        model: model("m"),
    };
    site.db.save_managed_steps(Purpose::Auto, &[step]).await.unwrap();
    assert_eq!(jobs::probes::look(&parts()).await.unwrap(), 1);
    let asked = upstream.inferences();
    assert!(asked.iter().all(|call| call.model == "m") && asked.len() == 3, "{asked:#?}");
    assert_eq!(jobs::probes::look(&parts()).await.unwrap(), 0);
    assert_eq!(upstream.inferences().len(), 3);
    let never = [("PROBE_EVERY_HOURS".to_owned(), "0".to_owned())];
    site.db.save_settings(&never.into_iter().collect()).await.unwrap();
    app.reload().await;
    assert_eq!(jobs::probes::look(&parts()).await.unwrap(), 0, "switched off");
}
