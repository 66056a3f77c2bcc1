//! What becomes of the usage log and of lists; what is saved and what counts as a change.

use super::*;
use crate::{
    model::{
        channel::ChannelModel,
        usage::{Attempt, Endpoint, ModelFault, OutcomeClass, UsageRecord},
    },
    provider::listing::Listing,
    ranking::liveness::Cause,
    storage::{
        channels::NewChannel,
        recording::tests::{number, open, record},
    },
};

const NOON: UnixMs = UnixMs(1_800_000_000_000);

async fn channel(db: &Db) -> ChannelId {
    db.create_channel(&NewChannel { name: "c".into(), enabled: true, ..Default::default() }).await.unwrap()
}

/// A streamed chat with one attempt.
fn call(n: u32, class: OutcomeClass, fault: Option<ModelFault>, at: UnixMs) -> UsageRecord {
    let mut call = record(n);
    let attempt = Attempt {
        model: "m".into(),
        class,
        model_fault: fault,
        first_byte_ms: Some(200),
        duration_ms: 1200,
        started_ms: 0,
        ..call.attempts.remove(0)
    };
    call.tokens.completion = 100;
    UsageRecord { at, stream: true, estimated: false, attempts: vec![attempt], ..call }
}

#[tokio::test]
async fn each_call_is_measured_once_and_only_what_is_the_models_fault_counts_against_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let id = channel(&db).await;
    let calls = [
        call(1, OutcomeClass::Success, None, NOON),
        call(2, OutcomeClass::HostError, Some(ModelFault::Failed), NOON),
        call(3, OutcomeClass::RateLimited, None, NOON),
        call(4, OutcomeClass::KeyInvalid, None, NOON),
        call(5, OutcomeClass::ClientError, None, NOON),
        call(6, OutcomeClass::ModelUnavailable, None, NOON),
    ];
    db.insert_usage(&calls).await.unwrap();
    for _ in 0..2 {
        assert!(db.note_model_signs(NOON).await.unwrap().is_empty());
    }
    let measured = db.measured_models(NOON).await.unwrap()[&(id, "m".to_owned())];
    assert_eq!((measured.answered, measured.failed), (1, 1));
    assert_eq!(measured.first_token_ms, Sample { mean: 200, count: 1 });
    assert_eq!(measured.tokens_per_second, Sample { mean: 100, count: 1 });
    db.insert_usage(&[call(7, OutcomeClass::Success, None, NOON)]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    assert_eq!(db.measured_models(NOON).await.unwrap()[&(id, "m".to_owned())].answered, 2);

    // The newest of what was read is the first to go: it came late.
    let late = UsageRecord { at: UnixMs(NOON.0 - DAY_MS), ..call(8, OutcomeClass::Success, None, NOON) };
    db.insert_usage(&[late]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    db.fold_usage(100).await.unwrap();
    assert_eq!(db.delete_usage_before(NOON, 100).await.unwrap(), 1);
    db.note_model_signs(NOON).await.unwrap();
    assert_eq!(db.measured_models(NOON).await.unwrap()[&(id, "m".to_owned())].answered, 3);

    let later = UnixMs(NOON.0 + 7 * DAY_MS);
    assert!(db.measured_models(later).await.unwrap().is_empty(), "a week has passed");
    db.forget_old_model_signs(later).await.unwrap();
    assert_eq!(number(&db, "SELECT COUNT(*) FROM model_days").await, 0);
}

#[tokio::test]
async fn speed_is_measured_of_long_streams_and_signs_keep_the_order_of_their_calls() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let id = channel(&db).await;
    let good = |n| call(n, OutcomeClass::Success, None, NOON);
    let with_tokens = |n, count| {
        let mut call = good(n);
        call.tokens.completion = count;
        call
    };
    let mut fast = with_tokens(5, 100_000);
    fast.attempts[0].duration_ms = 300;
    let mut retried = good(6);
    let failed = Attempt {
        class: OutcomeClass::HostError,
        model_fault: Some(ModelFault::Failed),
        model: "n".into(),
        ..retried.attempts[0].clone()
    };
    retried.attempts.insert(0, failed);
    let elsewhere = UsageRecord { endpoint: Endpoint::Embeddings, ..good(7) };
    let calls = [
        UsageRecord { estimated: true, ..good(1) },
        UsageRecord { stream: false, ..good(2) },
        with_tokens(3, 15),
        good(4),
        fast,
        retried,
        elsewhere,
    ];
    db.insert_usage(&calls).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    let measured = db.measured_models(NOON).await.unwrap();
    let (m, n) = (measured[&(id, "m".to_owned())], measured[&(id, "n".to_owned())]);
    assert_eq!((m.answered, m.failed, n.answered, n.failed), (6, 0, 0, 1));
    assert_eq!(m.first_token_ms, Sample { mean: 200, count: 5 });
    // 100 a second twice, and what was sent at once as the most that counts.
    assert_eq!(m.tokens_per_second, Sample { mean: 3_400, count: 3 });
    let health = db.model_health().await.unwrap();
    assert_eq!(health.keys().collect::<Vec<_>>(), [&(id, "n".to_owned())], "nothing speaks against m");

    // An answer that comes later forgives; one that came before does not.
    let of_n = |n, class, fault| {
        let mut call = call(n, class, fault, NOON);
        call.attempts[0].model = "n".into();
        call
    };
    let failure = |n| of_n(n, OutcomeClass::HostError, Some(ModelFault::Failed));
    db.insert_usage(&[failure(8), of_n(9, OutcomeClass::Success, None)]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    assert!(db.model_health().await.unwrap().is_empty());
    db.insert_usage(&[of_n(10, OutcomeClass::Success, None), failure(11)]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    assert_eq!(db.model_health().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_log_is_not_read_and_one_that_was_emptied_is_read_from_its_new_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let id = channel(&db).await;
    let old = UnixMs(NOON.0 - 30 * DAY_MS);
    let success = |n, at| call(n, OutcomeClass::Success, None, at);
    db.insert_usage(&[success(1, old), success(2, old), success(3, NOON)]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    let answered = async || db.measured_models(NOON).await.unwrap()[&(id, "m".to_owned())].answered;
    assert_eq!(answered().await, 1);
    db.fold_usage(100).await.unwrap();
    db.delete_usage_before(UnixMs(NOON.0 + 1), 10).await.unwrap();
    db.insert_usage(&[success(4, NOON)]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    assert_eq!(answered().await, 2);
}

#[tokio::test]
async fn refusals_and_lists_take_a_model_away_and_answers_bring_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let id = channel(&db).await;
    let gone = |n, at| call(n, OutcomeClass::ModelUnavailable, Some(ModelFault::Gone), at);
    let minutes = |count: i64| UnixMs(NOON.0 + count * 60_000);
    db.insert_usage(&[gone(1, NOON), gone(2, minutes(2))]).await.unwrap();
    let turns = db.note_model_signs(minutes(3)).await.unwrap();
    assert_eq!(turns, [TurnOf { channel: id, model: "m".into(), turn: Turn::Died(Cause::Gone) }]);
    let back = async |at| db.note_model_sign(id, "m", Sign::Answered, at).await.unwrap();
    assert_eq!((back(minutes(30)).await, back(minutes(31)).await), (None, Some(Turn::Returned)));

    let list = |names: &[&str]| {
        let models = names.iter().map(|name| ModelFacts { id: (*name).into(), ..ModelFacts::default() });
        Listing { models: models.collect(), ..Listing::default() }
    };
    let mut turns = Vec::new();
    for (hour, names) in (0..).zip([&["n", "o"][..], &["o"], &["o"], &["n", "o"]]) {
        let now = minutes(60 * (hour + 1));
        db.save_listing(id, &list(names), now).await.unwrap();
        turns.extend(db.note_model_signs(now).await.unwrap());
        turns.extend(db.note_model_signs(now).await.unwrap());
    }
    assert_eq!(turns, [TurnOf { channel: id, model: "n".into(), turn: Turn::Died(Cause::Unlisted) }]);
    let health = &db.model_health().await.unwrap()[&(id, "n".to_owned())];
    assert!(health.liveness.wants_probe(minutes(241)), "it is listed again");
    assert!(!db.release_model(id, "n", minutes(241)).await.unwrap(), "no list, no trial");
}

#[tokio::test]
async fn only_steps_and_the_switch_are_changes_of_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let id = channel(&db).await;
    let versions = async || (db.catalog_version().await.unwrap(), db.ranking_version().await.unwrap());
    let (catalog, ranking) = versions().await;
    let model = ChannelModel { name: "m".into(), ..ChannelModel::default() };
    let step = ManagedStep { place: 0, spare: false, channel: id, identity: "m".into(), model };
    let lost = ManagedStep { channel: ChannelId(99), ..step.clone() };
    assert!(db.save_managed_steps(Purpose::Auto, &[step.clone(), lost]).await.unwrap());
    assert!(!db.save_managed_steps(Purpose::Auto, std::slice::from_ref(&step)).await.unwrap());
    assert_eq!(versions().await, (catalog + 1, ranking), "one step, saved once");
    assert_eq!(db.managed_steps().await.unwrap()[0].steps, [step]);

    db.insert_usage(&[call(1, OutcomeClass::HostError, Some(ModelFault::Failed), NOON)]).await.unwrap();
    db.note_model_signs(NOON).await.unwrap();
    assert_eq!(versions().await, (catalog + 1, ranking), "what is measured changes no snapshot");

    let mut chain = db.managed_chains().await.unwrap().remove(0);
    assert!(chain.built_at.is_some());
    chain.pins = vec![Identity::new("m")];
    db.update_managed_chain(&chain).await.unwrap();
    assert_eq!(versions().await.0, catalog + 1);
    chain.enabled = false;
    db.update_managed_chain(&chain).await.unwrap();
    let (after, built_for) = versions().await;
    assert_eq!(after, catalog + 2);
    assert_eq!(built_for, ranking + 2);
    assert!(db.managed_steps().await.unwrap().iter().all(|chain| chain.name != "auto"));
    assert_eq!(db.managed_chains().await.unwrap()[0], chain);
}

#[tokio::test]
async fn names_are_joined_replaced_and_parted_by_provider() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let own = |provider: Option<&str>, model: &str| OwnName {
        name: "House/M".into(),
        provider: provider.map(str::to_owned),
        identity: Identity::new(model),
    };
    for name in [own(None, "a"), own(Some("groq"), "b"), own(None, "c")] {
        db.join_model_name(&name).await.unwrap();
    }
    let names = db.own_model_names().await.unwrap();
    let pairs: Vec<_> = names.iter().map(|own| (own.provider.as_deref(), own.identity.as_str())).collect();
    assert_eq!(pairs, [(None, "c"), (Some("groq"), "b")]);
    assert_eq!(names[0].name, "house/m");
    db.part_model_name("house/M", Some("groq")).await.unwrap();
    assert!(matches!(db.part_model_name("x", None).await, Err(StorageError::Missing)));
    assert_eq!(db.own_model_names().await.unwrap().len(), 1);
}
