//! What providers are known to allow and say that they allow, and what clients say of their calls.

use std::{fs, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use onepool::model::{
    id::ChannelId,
    limit::{Limit, Metric, Models, Per, Source, Window},
    time::Clock,
};
use serde_json::json;

use crate::support::{
    app::{Reply, TOKEN, TestApp, at, chat, eventually, model, number},
    upstream::{KeyRules, KeyState, Upstream},
};

/// Three calls a day, which begins at five past midnight in Shanghai, and what its headers and its counter say.
const MINE: &str = r#"{"id": "mine", "checked": "2026-11-20", "name": {"en": "Mine", "zh": "我的"}, "status": "free",
    "base_urls": [], "quota_owner": "account", "reset": {"zone": "Asia/Shanghai", "offset_minutes": 5},
    "plans": [{"id": "free", "name": {"en": "Free", "zh": "免费"}}, {"id": "paid", "name": {"en": "Paid", "zh": "付费"}}],
    "limits": [
        {"metric": "requests", "window": {"calendar": "day"}, "scope": "group", "max": 3, "plan": "free", "confidence": "high"},
        {"metric": "requests", "window": {"calendar": "day"}, "scope": "group", "max": 1000, "plan": "paid", "confidence": "high"}
    ],
    "headers": [
        {"metric": "requests", "window": {"calendar": "day"}, "scope": "group", "max": "x-day-limit", "remaining": "x-day-left"},
        {"metric": "requests", "scope": "key", "remaining": "x-some-left", "reset": "x-some-reset", "format": "seconds"}
    ],
    "counter": {
        "path": "account/left", "every": "15m",
        "plans": [{"plan": "paid", "field": "data.paid", "is": ["true"]}],
        "limits": [{"metric": "requests", "window": {"calendar": "day"}, "scope": "group", "max": "data.most", "remaining": "data.left"}]
    }}"#;

/// A server that knows the provider `mine`, whose clock stands still and where nobody waits, and a channel of that provider.
async fn start(keys: &[&str]) -> (TestApp, Upstream, ChannelId) {
    start_on(Arc::new(tempfile::tempdir().unwrap()), Upstream::start(), keys).await
}

const NO_WAITING: [(&str, &str); 2] = [("QUEUE_WAIT_SECONDS", "0"), ("QUEUE_WAIT_STREAM_SECONDS", "0")];

async fn start_on(
    data: Arc<tempfile::TempDir>,
    upstream: Upstream,
    keys: &[&str],
) -> (TestApp, Upstream, ChannelId) {
    let folder = data.path().join("data/providers");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mine.json"), MINE).unwrap();
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &NO_WAITING).await;
    app.token().await;
    let channel = app
        .channel_with("c", &upstream.base_url(), keys, |channel| {
            channel.provider = "mine".into();
            channel.models.push(model("n"));
        })
        .await;
    (app, upstream, channel)
}

async fn ask(app: &TestApp, model: &str) -> Reply {
    app.post("/v1/chat/completions", &chat(model, false, "hi")).await
}

fn seconds(reply: &Reply) -> u64 {
    reply.header("retry-after").expect("when to come back").parse().unwrap()
}

/// Declares a limit of the operator's.
async fn limit(app: &TestApp, channel: ChannelId, per: Per, window: Window, max: u64) {
    let (models, source) = (Models::default(), Source::Declared);
    let limit = Limit { models, per, metric: Metric::Requests, window, max, source };
    app.app.site().db.set_limits(channel, None, &[limit]).await.unwrap();
    app.reload().await;
}

#[tokio::test]
async fn a_providers_day_is_kept_and_opens_again_at_its_own_midnight_at_once() {
    let (app, upstream, _) = start(&["key-1"]).await;
    for _ in 0..3 {
        assert_eq!(ask(&app, "m").await.status, 200);
    }
    // From noon in London to 00:05 in Shanghai.
    let left = Duration::from_secs(4 * 3600 + 5 * 60);
    let over = ask(&app, "n").await;
    assert_eq!((over.status, over.code().as_str()), (429, "pool_exhausted"));
    assert_eq!(seconds(&over), left.as_secs());
    app.clock.advance(left - Duration::from_millis(1));
    assert_eq!(ask(&app, "m").await.status, 429);
    assert_eq!(upstream.inferences().len(), 3, "a day that is over is not tried");
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(ask(&app, "m").await.status, 200, "nothing of the new day is lost");
    app.stop().await;
}

#[tokio::test]
async fn what_the_operator_declares_replaces_the_providers_and_a_changed_file_counts_at_once() {
    let (app, upstream, channel) = start(&["key-1"]).await;
    limit(&app, channel, Per::Key, Window::Rolling { ms: 86_400_000 }, 5).await;
    let mut served = 0;
    while ask(&app, "m").await.status == 200 {
        served += 1;
    }
    assert_eq!((served, upstream.inferences().len()), (5, 5));
    app.app.site().db.set_limits(channel, None, &[]).await.unwrap();
    app.reload().await;
    let folder = app.data.path().join("data/providers");
    fs::write(folder.join("mine.json"), MINE.replace(r#""max": 3"#, r#""max": 30"#)).unwrap();
    eventually("room", async || ask(&app, "m").await.status == 200).await;
    app.stop().await;
}

#[tokio::test]
async fn headers_that_say_that_nothing_is_left_hold_the_next_call_back() {
    let (app, upstream, _) = start(&["key-1"]).await;
    upstream.answer_with_headers("m", &[("x-some-left", "0"), ("x-some-reset", "30")]);
    assert_eq!(ask(&app, "m").await.status, 200);
    let held = ask(&app, "n").await;
    assert_eq!((held.status, seconds(&held)), (429, 30), "of no known window: a reason to wait");
    app.clock.advance(Duration::from_secs(30));
    upstream.answer_with_headers("m", &[("x-day-limit", "3"), ("x-day-left", "0")]);
    assert_eq!(ask(&app, "m").await.status, 200);
    let held = ask(&app, "n").await;
    assert_eq!(held.status, 429);
    assert!(seconds(&held) > 4 * 3600, "until the provider's day ends: {}", seconds(&held));
    assert_eq!(upstream.inferences().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn headers_that_cannot_be_meant_open_nothing() {
    let (app, upstream, _) = start(&["key-1"]).await;
    let odd = [("x-day-limit", "1000000"), ("x-day-left", "999999"), ("x-some-left", "-7")];
    upstream.answer_with_headers("m", &odd);
    let mut served = 0;
    while ask(&app, "m").await.status == 200 {
        served += 1;
        assert!(served <= 3, "a header opened the day");
    }
    assert_eq!(served, 3);
    app.stop().await;
}

#[tokio::test]
async fn what_the_providers_own_counter_says_counts_from_the_start() {
    let (app, upstream, _) = start(&["key-1"]).await;
    let data = app.stop().await;
    upstream.set_page("/v1/account/left", &json!({"data": {"paid": true, "most": 1000, "left": 0}}));
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &NO_WAITING).await;
    let asked = || upstream.calls().iter().any(|call| call.request.path == "/v1/account/left");
    eventually("a look at the counter", async || asked()).await;
    eventually("what it says", async || ask(&app, "m").await.status == 429).await;
    app.clock.advance(Duration::from_secs(4 * 3600 + 5 * 60));
    for _ in 0..4 {
        assert_eq!(ask(&app, "m").await.status, 200, "the plan that it shows allows more than three");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_counter_that_does_not_answer_changes_nothing() {
    let (app, upstream, _) = start(&["key-1"]).await;
    let data = app.stop().await;
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &NO_WAITING).await;
    let asked = || upstream.calls().iter().any(|call| call.request.path == "/v1/account/left");
    eventually("a look at the counter", async || asked()).await;
    let statuses = [ask(&app, "m").await.status, ask(&app, "m").await.status];
    assert_eq!(statuses, [200, 200]);
    app.stop().await;
}

#[tokio::test]
async fn a_conversation_stays_with_its_key_and_others_go_elsewhere() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1", "key-2"]).await;
    let turns = |turns: usize| {
        let mut messages = vec![
            json!({"role": "user", "content": format!("words=1 tell me a story {}", "of old ".repeat(800))}),
        ];
        for _ in 0..turns {
            messages.push(json!({"role": "assistant", "content": "Once"}));
            messages.push(json!({"role": "user", "content": "words=1 go on"}));
        }
        json!({"model": "m", "messages": messages})
    };
    for turn in 0..4 {
        assert_eq!(app.post("/v1/chat/completions", &turns(turn)).await.status, 200);
        assert_eq!(ask(&app, "m").await.status, 200, "somebody else talks too");
    }
    let keys: Vec<_> = upstream.inferences().iter().map(|call| call.key.clone().unwrap()).collect();
    assert!(keys.iter().step_by(2).all(|key| *key == keys[0]), "{keys:?}");
    // What the client calls it counts more than its words.
    let named = |name: &str, words: &str| {
        app.request(reqwest::Method::POST, "/v1/chat/completions")
            .header("x-session-id", name)
            .json(&chat("m", false, words))
    };
    upstream.forget_calls();
    for words in ["one", "two", "three", "four"] {
        assert_eq!(named("s", words).send().await.unwrap().status(), 200);
    }
    let keys: Vec<_> = upstream.inferences().iter().map(|call| call.key.clone().unwrap()).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_batch_waits_for_the_better_channel_and_its_row_says_for_what() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &[]).await;
    app.token().await;
    let (first, spare) = (Upstream::start(), Upstream::start());
    let channel =
        app.channel_with("first", &first.base_url(), &["key-1"], |channel| channel.priority = 1).await;
    app.channel("spare", &spare, &["key-2"]).await;
    limit(&app, channel, Per::Key, Window::Rolling { ms: 10_000 }, 1).await;
    assert_eq!(ask(&app, "m").await.status, 200);
    assert_eq!(ask(&app, "m").await.status, 200, "somebody waits: ten seconds are too long");
    assert_eq!((first.inferences().len(), spare.inferences().len()), (1, 1));
    let batch = app.chat_with(|request| request.bearer_auth(TOKEN).header("x-onepool-priority", "batch"));
    let back = async {
        eventually("a call in line", async || app.app.site().dispatch.waiting() == 1).await;
        app.clock.advance(Duration::from_secs(12));
    };
    let (reply, ()) = tokio::join!(batch, back);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!((first.inferences().len(), spare.inferences().len()), (2, 1));
    app.rows().await;
    let waited = number(&app.database(), "SELECT COUNT(*) FROM attempts WHERE waited_for = 'limit'").await;
    assert_eq!(waited, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_key_gets_at_most_two_of_many_calls() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    upstream.allow_keys(&["key-2", "key-3"]);
    upstream.set_key("key-1", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    app.channel("c", &upstream, &["key-1", "key-2", "key-3"]).await;
    for _ in 0..3 {
        let replies = join_all((0..8).map(|call| app.chat(call % 2 == 0, "hi"))).await;
        assert!(replies.iter().all(|reply| reply.status == 200));
    }
    let dead = upstream.inferences().iter().filter(|call| call.key.as_deref() == Some("key-1")).count();
    assert!((1..=2).contains(&dead), "{dead} calls to a dead key");
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_reads_is_no_fault_of_the_upstreams() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for _ in 0..4 {
        let request = app.request(reqwest::Method::POST, "/v1/chat/completions").json(&chat(
            "m",
            true,
            "words=200 delay=20",
        ));
        let mut stream = request.send().await.unwrap().bytes_stream();
        assert!(stream.next().await.is_some_and(|chunk| chunk.is_ok()), "some content");
    }
    eventually("their rows", async || app.rows().await.len() == 4).await;
    assert_eq!(app.app.site().dispatch.lock().rests().all().count(), 0, "nothing is held against anybody");
    let rows = app.rows().await;
    assert!(rows.iter().all(|row| row["attempts"][0]["class"] == "client_closed"), "{rows:#?}");
    assert_eq!(app.chat(true, "hi").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_call_that_was_noted_before_a_crash_counts_on_whatever_endpoint_it_was() {
    for model in ["m", "m (embeddings)"] {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let clock = Clock::manual(at("2026-11-20T12:00:00Z"));
        let app = TestApp::start_in(data, clock.clone(), &NO_WAITING).await;
        app.token().await;
        let upstream = Upstream::start();
        let channel = app.channel("c", &upstream, &["key-1"]).await;
        limit(&app, channel, Per::Key, Window::Rolling { ms: 3_600_000 }, 1).await;
        let data = app.stop().await;
        // As a run leaves it that was killed right after it had sent a call.
        let line = format!("{} {channel} 1 0 0 0 0 {model}\n", clock.now().0);
        fs::write(data.path().join("data").join("sends.log"), line).unwrap();
        let app = TestApp::start_in(data, clock, &NO_WAITING).await;
        assert_eq!(ask(&app, "m").await.status, 429, "the call on `{model}` used the key's limit up");
        assert_eq!(upstream.inferences().len(), 0);
        app.stop().await;
    }
}

#[tokio::test]
async fn a_lost_database_stops_neither_calls_nor_limits() {
    use sqlx::Connection as _;
    let data = Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &NO_WAITING).await;
    app.token().await;
    let upstream = Upstream::start();
    let channel = app.channel("c", &upstream, &["key-1"]).await;
    limit(&app, channel, Per::Key, Window::Rolling { ms: 3_600_000 }, 4).await;
    assert_eq!(ask(&app, "m").await.status, 200);
    let url = format!("sqlite://{}", app.database().display());
    let mut foreign = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for sql in ["DROP TABLE ledger", "DROP TABLE rests", "DROP TABLE catalog_version"] {
        sqlx::query(sql).execute(&mut foreign).await.unwrap();
    }
    fs::remove_file(app.database()).unwrap();
    // Longer than it takes to save, and to look for changes.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for _ in 0..3 {
        assert_eq!(ask(&app, "m").await.status, 200);
    }
    assert_eq!(ask(&app, "m").await.status, 429, "its limits are in memory");
    assert_eq!(upstream.inferences().len(), 4);
    app.stop().await;
}
