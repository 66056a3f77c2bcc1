//! What OpenClaw is told in an outage, and who answers its next turn: every way in which a model's only upstream fails, with a
//! healthy model beside it on the same server, and with a second upstream of the same model.
//!
//! The clock is set by hand, and moves on while somebody waits in line; so what is measured is how long a call was kept there.

use std::{sync::Arc, time::Duration};

use onepool::model::{time::Clock, token::ClientProfile};
use serde_json::json;

use crate::support::{
    app::{Reply, TOKEN, TestApp, at, chat, model},
    upstream::{Fault, Upstream, answer, refusing_base_url},
};

/// How long an upstream may take until its first content.
const FIRST_BYTE_MS: &str = "400";

/// OpenClaw itself takes a second and a half to go on with its next model, and the turn is to go on within five.
const MOST_WAIT: Duration = Duration::from_millis(3_000);

/// How an upstream fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Fault(Fault),
    /// Calls are refused with this status, `Retry-After` and text.
    Recorded(u16, Option<&'static str>, &'static str),
    Refused,
}

const TWO_SECONDS: Mode = Mode::Recorded(429, Some("2"), r#"{"error":{"message":"Slow down"}}"#);

/// A relay's daily limit that quotes an upstream's empty account: OpenClaw would take it for one of its own.
const QUOTED: Mode = Mode::Recorded(
    429,
    Some("86400"),
    r#"{"error":{"message":"Daily limit reached: Insufficient credits","code":"insufficient_quota"}}"#,
);

const MODES: &[Mode] = &[
    Mode::Fault(Fault::RateLimitedBare),
    TWO_SECONDS,
    Mode::Fault(Fault::RateLimitedDaily),
    QUOTED,
    Mode::Fault(Fault::Unauthorized),
    Mode::Fault(Fault::PaymentRequired),
    Mode::Fault(Fault::ForbiddenBanned),
    Mode::Fault(Fault::ForbiddenModel),
    Mode::Fault(Fault::ModelNotFound),
    Mode::Fault(Fault::Status500),
    Mode::Fault(Fault::Status503),
    Mode::Refused,
    Mode::Fault(Fault::HangBeforeHeaders),
    Mode::Fault(Fault::HangAfterHeaders),
    Mode::Fault(Fault::CutAfterContent),
    Mode::Fault(Fault::Empty200),
    Mode::Fault(Fault::OnlyDone),
    Mode::Fault(Fault::Html200),
    Mode::Fault(Fault::ErrorFirstEvent),
    Mode::Fault(Fault::RateLimitFirstEvent),
];

impl Mode {
    fn shows_after_content(self) -> bool {
        self == Self::Fault(Fault::CutAfterContent)
    }

    /// A fault of which one look tells that it is still there.
    fn is_told_at_once(self) -> bool {
        matches!(self, Self::Fault(Fault::Status500 | Fault::Status503) | Self::Refused)
    }

    fn begin(self, upstream: &Upstream, key: Option<&str>) {
        match (self, key) {
            (Self::Fault(fault), Some(key)) => upstream.fail_key(key, fault),
            (Self::Fault(fault), None) => upstream.fail_all(fault),
            (Self::Recorded(status, retry_after, body), key) => {
                let headers: Vec<_> =
                    retry_after.map(|seconds| ("retry-after", seconds)).into_iter().collect();
                upstream.refuse_as_recorded(key, None, status, &headers, body);
            }
            (Self::Refused, _) => {}
        }
    }
}

/// A server whose clock stands still.
async fn start() -> TestApp {
    let data = Arc::new(tempfile::tempdir().unwrap());
    // A keep-alive would decide the status before the fault does.
    let settings = [("FIRST_BYTE_TIMEOUT_MS", FIRST_BYTE_MS), ("KEEPALIVE_AFTER_MS", "60000")];
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &settings).await;
    app.token().await;
    app
}

/// A call of OpenClaw's, known by its header; and how long it was kept in line, by the server's clock.
async fn turn(app: &TestApp, model: &str) -> (Reply, Duration) {
    let before = app.clock.steady();
    let body = chat(model, true, "marker=abc words=4");
    let request = app.http.post(app.url("/v1/chat/completions")).bearer_auth(TOKEN).json(&body);
    let request = request.header("x-client", "openclaw");
    let call = async { Reply::read(request.send().await.expect("an answer")).await };
    tokio::pin!(call);
    loop {
        tokio::select! {
            reply = &mut call => return (reply, app.clock.steady().since(before)),
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                if app.app.site().dispatch.waiting() > 0 {
                    app.clock.advance(Duration::from_millis(50));
                }
            }
        }
    }
}

fn answered(reply: &Reply) -> bool {
    reply.status == 200 && reply.done() && reply.content() == answer::text("abc", 4)
}

/// What is wrong with what OpenClaw is told of an outage, if anything is.
fn wrong(mode: Mode, reply: &Reply, waited: Duration) -> Option<String> {
    let text = reply.text();
    let error = match reply.chunks().pop() {
        Some(event) if reply.status == 200 => event["error"].clone(),
        _ => reply.json()["error"].clone(),
    };
    let message = error["message"].as_str().unwrap_or_default();
    let told = match reply.status {
        404 => mode == Mode::Fault(Fault::ModelNotFound) && error["code"] == "model_not_found",
        429 => {
            let seconds: u64 = reply.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(0);
            (61..=120).contains(&seconds) && message.contains(&format!("try again in {seconds} s"))
        }
        200 => mode.shows_after_content() && message.contains("try again in 120 s") && !reply.done(),
        _ => false,
    };
    let lower = message.split("(request id").next().unwrap_or_default().to_lowercase();
    let misread =
        ["401", "402", "403", "credit", "billing", "quota", "api key", "token", "expired", "forbidden"];
    let told = told && !misread.iter().any(|word| lower.contains(word));
    (!told || waited > MOST_WAIT).then(|| format!("after {waited:?}: {} {text}", reply.status))
}

/// Breaks a model's only upstream, has some turns, repairs it, and has one more.
async fn outage_alone(mode: Mode, turns: usize, pause: Duration) -> Result<(), String> {
    let app = start().await;
    let (mut bad, good) = (Upstream::start(), Upstream::start());
    app.channel("bad", &bad, &["key-bad"]).await;
    app.channel_with("good", &good.base_url(), &["key-good"], |channel| channel.models = vec![model("next")])
        .await;
    let (before, _) = turn(&app, "m").await;
    assert!(answered(&before), "{}", before.text());
    let address = bad.address();
    if mode == Mode::Refused {
        drop(bad);
        bad = Upstream::start();
    }
    mode.begin(&bad, None);
    let mut result = Ok(());
    for number in 1..=turns {
        app.clock.advance(pause);
        let asked = bad.inferences().len();
        let (reply, waited) = turn(&app, "m").await;
        if let Some(problem) = wrong(mode, &reply, waited) {
            result = result.and(Err(format!("turn {number}: {problem}")));
        }
        let attempts = bad.inferences().len() - asked;
        if mode.is_told_at_once() && (attempts > 1 || waited > Duration::ZERO) {
            result = result.and(Err(format!("turn {number}: {attempts} attempts, {waited:?} in line")));
        }
        let (fallback, _) = turn(&app, "next").await;
        if !answered(&fallback) {
            result = result.and(Err(format!("fallback {number}: {}", fallback.text())));
        }
    }
    bad.heal();
    if mode == Mode::Refused {
        bad = Upstream::start_on(address, 1).expect("its port is free again");
    }
    app.clock.advance(pause);
    let (reply, waited) = turn(&app, "m").await;
    if !answered(&reply) || waited > MOST_WAIT {
        result = result.and(Err(format!("after the repair, {waited:?}: {} {}", reply.status, reply.text())));
    }
    app.stop().await;
    drop(bad);
    result
}

async fn all_alone(turns: usize, pause: Duration) {
    let mut failures = Vec::new();
    for modes in MODES.chunks(5) {
        let runs = modes.iter().map(|&mode| async move {
            outage_alone(mode, turns, pause).await.err().map(|problem| format!("{mode:?}: {problem}"))
        });
        failures.extend(futures_util::future::join_all(runs).await.into_iter().flatten());
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), MODES.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_every_outage_openclaw_goes_on_at_once_and_its_turn_after_the_repair_is_served() {
    all_alone(2, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn also_after_many_turns_of_a_long_outage() {
    all_alone(9, Duration::from_secs(45)).await;
}

/// How a model has a second upstream.
#[derive(Debug, Clone, Copy)]
enum Second {
    Key,
    Channel,
}

async fn outage_beside(mode: Mode, second: Second) -> Result<(), String> {
    let app = start().await;
    let (bad, good) = (Upstream::start(), Upstream::start());
    match second {
        Second::Key => {
            app.channel("bad", &bad, &["key-bad", "key-good"]).await;
        }
        Second::Channel => {
            let address = if mode == Mode::Refused { refusing_base_url() } else { bad.base_url() };
            app.channel_with("bad", &address, &["key-bad"], |channel| channel.priority = 1).await;
            app.channel("good", &good, &["key-good"]).await;
        }
    }
    mode.begin(&bad, Some("key-bad"));
    let mut result = Ok(());
    for number in 1..=4 {
        let (reply, waited) = turn(&app, "m").await;
        if !answered(&reply) || waited > MOST_WAIT {
            let problem = format!("turn {number}, {waited:?}: {} {}", reply.status, reply.text());
            result = result.and(Err(problem));
        }
        app.clock.advance(Duration::from_secs(12));
    }
    app.stop().await;
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_healthy_second_upstream_no_turn_leaves_its_model() {
    let cases: Vec<(Mode, Second)> = MODES
        .iter()
        .filter(|mode| !mode.shows_after_content())
        .flat_map(|&mode| [(mode, Second::Key), (mode, Second::Channel)])
        .filter(|(mode, second)| !(*mode == Mode::Refused && matches!(second, Second::Key)))
        .collect();
    let mut failures = Vec::new();
    for cases in cases.chunks(6) {
        let runs = cases.iter().map(|&(mode, second)| async move {
            outage_beside(mode, second).await.err().map(|problem| format!("{mode:?} {second:?}: {problem}"))
        });
        failures.extend(futures_util::future::join_all(runs).await.into_iter().flatten());
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[tokio::test]
async fn an_outage_that_shows_after_a_keep_alive_is_told_in_words_that_lead_to_the_next_model() {
    let settings = [
        ("FIRST_BYTE_TIMEOUT_MS", FIRST_BYTE_MS),
        ("KEEPALIVE_AFTER_MS", "50"),
        ("KEEPALIVE_EVERY_MS", "100"),
    ];
    let (app, upstream) = (TestApp::start_with(&settings).await, Upstream::start());
    app.token_with(|token| token.profile = ClientProfile::OpenClaw).await;
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_all(Fault::HangBeforeHeaders);
    let input = json!({ "model": "m", "stream": true, "input": "hi" });
    let messages = json!({ "model": "m", "stream": true, "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    for (path, body, alive) in [
        ("/v1/chat/completions", chat("m", true, "hi"), r#""choices":[]"#),
        ("/v1/responses", input, r#"data: {"type":"keepalive"}"#),
        ("/v1/messages", messages, r#"data: {"type":"ping"}"#),
    ] {
        let reply = app.post(path, &body).await;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{path}: {text}");
        assert!(text.matches(alive).count() >= 2, "its watchdog counts events, not comments: {path}: {text}");
        assert!(!text.lines().any(|line| line.starts_with(':')), "{path}: {text}");
        assert!(
            text.contains("model_cooldown: every upstream of this model was too slow; try again in 61 s."),
            "{path}: {text}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_generic_client_waits_for_what_rests_as_long_as_it_may_and_openclaw_does_not() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_next([Some(Fault::RateLimitedSeconds)]);
    let (told, waited) = turn(&app, "m").await;
    assert_eq!((told.status, waited), (429, Duration::ZERO), "seven seconds are too long: {}", told.text());
    let reply = {
        let generic = app.chat(false, "marker=abc words=4");
        tokio::pin!(generic);
        loop {
            tokio::select! {
                reply = &mut generic => break reply,
                () = tokio::time::sleep(Duration::from_millis(5)) => app.clock.advance(Duration::from_millis(100)),
            }
        }
    };
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.inferences().len(), 2, "a word of a few seconds is kept");
    app.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_for_long_is_asked_ever_more_seldom_and_nothing_is_blamed_twice() {
    let (app, upstream) = (start().await, Upstream::start());
    let channel = app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_all(Fault::Unauthorized);
    for _ in 0..600 {
        let (reply, _) = turn(&app, "m").await;
        assert_eq!(reply.status, 429, "{}", reply.text());
        app.clock.advance(Duration::from_secs(1));
    }
    let asked = upstream.inferences().len();
    assert!((10..=25).contains(&asked), "{asked} calls in ten minutes of one turn a second");
    let scope = onepool::scheduler::rest::Scope::Key(app.keys_of(channel)[0]);
    let strikes = app.app.site().dispatch.lock().rests().find(&scope).map(|rest| rest.strikes);
    assert_eq!(strikes, Some(1), "one outage is one");
    app.stop().await;
}

#[tokio::test]
async fn a_hanging_upstream_is_not_awaited_again_for_its_full_time() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let settings = [("FIRST_BYTE_TIMEOUT_MS", "9000"), ("KEEPALIVE_AFTER_MS", "60000")];
    let app = TestApp::start_in(data, Clock::system(), &settings).await;
    app.token().await;
    let upstream = Upstream::start();
    app.channel("c", &upstream, &["key-1"]).await;
    assert!(answered(&turn(&app, "m").await.0), "what its first content usually takes is known now");
    upstream.fail_all(Fault::HangBeforeHeaders);
    for most in [Duration::from_secs(60), Duration::from_millis(8_500)] {
        let (reply, _) = tokio::time::timeout(most, turn(&app, "m")).await.expect("an answer in time");
        assert_eq!(reply.status, 429, "{}", reply.text());
    }
    upstream.heal();
    assert!(answered(&turn(&app, "m").await.0));
    app.stop().await;
}

#[tokio::test]
async fn when_an_answer_breaks_off_openclaw_asks_again_and_a_second_upstream_answers() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel("first", &upstream, &["key-1", "key-2"]).await;
    upstream.fail_next([Some(Fault::CutAfterContent)]);
    let (broken, _) = turn(&app, "m").await;
    assert!(broken.text().contains("server_error: the upstream broke the answer off"), "{}", broken.text());
    let (again, _) = turn(&app, "m").await;
    assert!(again.text().contains("abc.3"), "{}", again.text());
    let keys: Vec<_> = upstream.inferences().iter().map(|call| call.key.clone()).collect();
    assert_ne!(keys[0], keys[1], "what broke off rests for a moment");
    app.stop().await;
}
