//! Rankings of a small pool: what counts in them, and that each change shows at once.

use super::*;
use crate::{
    model::{
        channel::{ChannelModel, Price},
        id::KeyId,
        key::PastedKey,
        limit::{Limit, Metric, Models, Per, Source, Window},
        probe::{ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        secret::Secret,
        settings::RuntimeSettings,
        time::Clock,
        usage::{Attempt, OutcomeClass, UsageRecord},
    },
    provider::listing::{Listing, ModelFacts},
    ranking::{
        identity::OwnName,
        score::{Measured, Preset, Quota, Sample},
    },
    scheduler::rest::{Rest, RestEnd, Scope},
    storage::{
        catalog::CatalogStore,
        channels::NewChannel,
        recording::tests::{open, record},
    },
};

struct Pool {
    _folder: tempfile::TempDir,
    db: Db,
    store: CatalogStore,
    dispatch: Dispatch,
    channel: ChannelId,
    new: NewChannel,
}

fn free(name: &str) -> ChannelModel {
    ChannelModel { name: name.into(), price: Some(Price::default()), ..ChannelModel::default() }
}

fn paid(name: &str) -> ChannelModel {
    let price = Price { input: 1, cached: None, output: 1, reasoning: None };
    ChannelModel { price: Some(price), ..free(name) }
}

impl Pool {
    /// A channel with these models, and three keys: the second and the third are of one group.
    async fn of(models: Vec<ChannelModel>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let window = Window::Rolling { ms: 86_400_000 };
        let (models_of, per, metric, source) =
            (Models::default(), Per::Owner, Metric::Requests, Source::Operator);
        let new = NewChannel {
            name: "one".into(),
            enabled: true,
            models,
            limits: vec![Limit { models: models_of, per, metric, window, max: 100, source }],
            ..NewChannel::default()
        };
        let channel = db.create_channel(&new).await.unwrap();
        let key = |(label, group): (&str, Option<&str>)| PastedKey {
            label: label.into(),
            secret: Secret::new(format!("sk-{label}")),
            quota_group: group.map(str::to_owned),
            limits: Vec::new(),
            budget: None,
        };
        let keys = [("a", None), ("b", Some("g")), ("c", Some("g"))].map(key);
        db.add_keys(channel, &keys).await.unwrap();
        let settings = RuntimeSettings::sample();
        let store = CatalogStore::open(
            db.clone(),
            Arc::new(move |_: &_| settings.clone()),
            jiff::tz::TimeZone::UTC,
            ProviderStore::open(folder.path()),
        )
        .await
        .unwrap();
        let dispatch = Dispatch::new(Clock::system());
        dispatch.declare(store.load(), store.providers().load());
        Self { _folder: folder, db, store, dispatch, channel, new }
    }

    /// The ranking of `auto` as a page has it, without a rebuild.
    async fn ranking(&self) -> Ranking {
        self.store.follow().await.unwrap();
        let catalog = self.store.load();
        ranking(self.sources(&catalog), Purpose::Auto).await.unwrap().unwrap()
    }

    fn sources<'a>(&'a self, catalog: &'a Catalog) -> Sources<'a> {
        Sources {
            db: &self.db,
            catalog,
            providers: self.store.providers(),
            dispatch: Some(&self.dispatch),
            now: self.db.now(),
        }
    }

    async fn models(&self) -> Vec<String> {
        self.ranking().await.models.iter().map(|model| model.model.to_string()).collect()
    }

    async fn pin(&self, models: &[&str]) {
        let mut chain = self.db.managed_chains().await.unwrap().remove(0);
        chain.pins = models.iter().map(|model| Identity::new(model)).collect();
        self.db.update_managed_chain(&chain).await.unwrap();
    }
}

#[tokio::test]
async fn what_an_operator_changes_shows_in_the_ranking_at_once() {
    let mut pool = Pool::of(vec![free("a"), free("b")]).await;
    assert_eq!(pool.models().await, ["a", "b"]);
    pool.pin(&["b"]).await;
    assert_eq!(pool.models().await, ["b", "a"]);
    pool.pin(&[]).await;

    pool.db.set_ranking_weights(&Preset::Smartest.weights()).await.unwrap();
    assert_eq!(pool.ranking().await.weights, Preset::Smartest.weights());

    let own = OwnName { name: "b".into(), provider: None, identity: Identity::new("a") };
    pool.db.join_model_name(&own).await.unwrap();
    let ranked = pool.ranking().await;
    assert_eq!((ranked.models.len(), ranked.models[0].offers.len()), (1, 2), "two names of one model");
    pool.db.part_model_name("b", None).await.unwrap();

    pool.new.name = "other".into();
    pool.new.models = vec![free("a"), paid("b"), free("c")];
    pool.db.update_channel(pool.channel, &pool.new).await.unwrap();
    let ranked = pool.ranking().await;
    assert_eq!(ranked.models[0].offers[0].channel_name, "other");
    assert_eq!(ranked.left_out_counts.get(&Reason::Paid), Some(&1));
    assert_eq!(pool.models().await, ["a", "c"]);
    pool.db.set_channel_enabled(pool.channel, false).await.unwrap();
    assert!(pool.models().await.is_empty());
}

#[tokio::test]
async fn what_was_measured_probed_and_left_of_quotas_counts_for_free_and_for_pinned_models() {
    let pool = Pool::of(vec![free("a"), paid("b"), free("c")]).await;
    let now = pool.db.now();
    let answered = |n: u32, model: &str| {
        let mut call = record(n);
        let attempt = Attempt {
            channel_id: pool.channel,
            model: model.into(),
            class: OutcomeClass::Success,
            model_fault: None,
            ..call.attempts.remove(0)
        };
        UsageRecord { at: now, attempts: vec![attempt], ..call }
    };
    pool.db.insert_usage(&[answered(1, "a"), answered(2, "a"), answered(3, "b")]).await.unwrap();
    pool.db.note_model_signs(now).await.unwrap();
    let probe = |model: &str, kind, verdict| ProbeResult {
        channel: pool.channel,
        model: model.into(),
        kind,
        verdict,
        at: now,
        duration_ms: 900,
        first_token_ms: Some(300),
        tokens_per_second: None,
        detail: "\"said\"".into(),
        source: ProbeSource::Probe,
    };
    let probes = [
        probe("c", ProbeKind::Stream, ProbeVerdict::Ok),
        probe("c", ProbeKind::Tools, ProbeVerdict::Not),
        probe("a", ProbeKind::Json, ProbeVerdict::Ok),
    ];
    pool.db.save_probes(&probes).await.unwrap();
    pool.pin(&["b"]).await;

    let ranked = pool.ranking().await;
    let of = |model: &str| {
        let found = ranked.models.iter().find(|one| one.model.as_str() == model).unwrap();
        found.offers[0].clone()
    };
    let measured = |model: &str| of(model).score.evidence.measured;
    assert_eq!((measured("a").answered, measured("b").answered), (2, 1));
    let probed = Sample { mean: 300, count: 1 };
    assert_eq!(measured("c"), Measured { first_token_ms: probed, ..Measured::default() });
    assert_eq!((of("c").facts.tools, of("a").facts.tools), (Some(false), None));
    for model in ["a", "b", "c"] {
        assert_eq!(of(model).score.evidence.quota, Quota::Left(200), "a key alone, and a group");
    }
    pool.pin(&[]).await;
    assert_eq!(pool.models().await, ["c", "a"], "b costs something, and c is quicker");
}

#[tokio::test]
async fn keys_that_are_refused_for_a_model_are_not_counted_for_it() {
    let pool = Pool::of(vec![free("a"), free("b"), free("c")]).await;
    let keys = async || {
        let ranked = pool.ranking().await;
        let of = |model: &RankedModel| (model.model.to_string(), model.keys());
        let keys: BTreeMap<String, u32> = ranked.models.iter().map(of).collect();
        ["a", "b", "c"].map(|model| keys.get(model).copied().unwrap_or_default())
    };
    assert_eq!(keys().await, [3, 3, 3]);
    let now = pool.dispatch.now().steady;
    let rest = |class| Rest {
        class,
        since: now,
        until: UnixMs(now.0 + 3_600_000),
        strikes: 1,
        struck_at: now,
        status: None,
        detail: String::new(),
        end: RestEnd::default(),
        below: None,
    };
    let rests = |rests: Vec<(Scope, Rest)>| pool.dispatch.lock().rests_mut().restore(rests);
    let gone = || rest(OutcomeClass::ModelUnavailable);
    rests(vec![
        (Scope::KeyModel(KeyId(1), "a".into()), gone()),
        (Scope::KeyModel(KeyId(2), "b".into()), gone()),
        (Scope::GroupModel(pool.channel, "g".into(), "b".into()), gone()),
        (Scope::KeyModel(KeyId(1), "c".into()), rest(OutcomeClass::RateLimited)),
    ]);
    assert_eq!(keys().await, [2, 1, 3], "a key and its group count once, and a limit ends by itself");
    rests(vec![(Scope::Key(KeyId(1)), rest(OutcomeClass::KeyInvalid))]);
    assert_eq!(keys().await, [2, 0, 2]);
    rests(vec![(Scope::Group(pool.channel, "g".into()), rest(OutcomeClass::OutOfCredit))]);
    assert_eq!(keys().await, [0, 0, 0]);
}

#[tokio::test]
async fn what_lists_have_is_told_apart_counted_and_found_by_its_name() {
    let pool = Pool::of(vec![ChannelModel { price: None, ..free("offered") }]).await;
    let listed =
        |name: &str, free: Option<bool>| ModelFacts { id: name.into(), free, ..ModelFacts::default() };
    let models = vec![
        listed("costs", Some(false)),
        listed("free", Some(true)),
        listed("odd\"name", None),
        listed("offered", Some(true)),
        listed("silent", None),
    ];
    let listing = Listing { models, ..Listing::default() };
    pool.db.save_listing(pool.channel, &listing, pool.db.now()).await.unwrap();
    // What is left of the quota is known of the one that the channel offers.
    assert_eq!(pool.models().await, ["offered", "free"]);
    let counts = pool.ranking().await.left_out_counts;
    assert_eq!((counts.get(&Reason::Paid), counts.get(&Reason::PriceUnknown)), (Some(&1), Some(&2)));
    pool.pin(&["odd\"name"]).await;
    assert_eq!(pool.models().await, ["odd\"name", "offered", "free"]);
    let catalog = pool.store.load();
    for name in ["costs", "ODD\"name", "offered"] {
        let found = find_model(pool.sources(&catalog), name).await.unwrap();
        assert_eq!(found, Ok(Identity::new(name)), "{name}");
    }
    let near = find_model(pool.sources(&catalog), "silnt").await.unwrap();
    assert_eq!(near, Err(vec!["silent".to_owned()]));
}
