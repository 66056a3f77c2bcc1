//! Declared limits, the line in which calls wait for them, and what becomes of those who leave.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use onepool::model::{
    id::ChannelId,
    limit::{Limit, Metric, Models, Per, Source, Window},
    time::Clock,
};

use crate::support::{
    app::{TestApp, at, eventually, number},
    upstream::{Fault, KeyRules, Upstream},
};

/// A server whose clock stands still.
async fn start() -> TestApp {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &[]).await;
    app.token().await;
    app
}

/// Declares a limit for each key of a channel.
async fn limit(app: &TestApp, channel: ChannelId, metric: Metric, window: Window, max: u64) {
    let limit =
        Limit { models: Models::default(), per: Per::Key, metric, window, max, source: Source::Declared };
    app.app.site().db.set_limits(channel, None, &[limit]).await.unwrap();
    app.reload().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bursts_below_the_declared_limits_of_three_keys_meet_no_refusal() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let keys = ["key-1", "key-2", "key-3"];
    for key in keys {
        let requests = Some((5, Duration::from_secs(2)));
        upstream.set_key(key, KeyRules { requests, ..KeyRules::default() });
    }
    let channel = app.channel("c", &upstream, &keys).await;
    // Half a second more than is enforced: on a busy machine calls that run at the same time overtake each other by as much.
    // Twelve fit into two seconds then; eleven come at once.
    limit(&app, channel, Metric::Requests, Window::Rolling { ms: 2500 }, 5).await;
    let bursts = (0..3).map(|burst| {
        let app = &app;
        async move {
            tokio::time::sleep(Duration::from_secs(2 * burst)).await;
            join_all((0..11).map(|call| app.chat(call % 2 == 0, "hi"))).await
        }
    });
    let replies: Vec<_> = join_all(bursts).await.into_iter().flatten().collect();
    for reply in &replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(upstream.inferences().len(), replies.len(), "no call was refused and sent again");
    app.stop().await;
}

#[tokio::test]
async fn a_call_waits_for_a_limited_key_and_is_served_when_it_is_back() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_next([Some(Fault::RateLimitedSeconds)]);
    let back = async {
        eventually("a call in line", async || app.app.site().dispatch.waiting() == 1).await;
        app.clock.advance(Duration::from_secs(7));
    };
    let (reply, ()) = tokio::join!(app.chat(false, "hi"), back);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.inferences().len(), 2);
    assert_eq!(app.rows().await.len(), 1);
    let waits = "SELECT COUNT(*) FROM attempts WHERE waited_for IS NOT NULL";
    assert_eq!(number(&app.database(), waits).await, 1, "only the second attempt was waited for");
    app.stop().await;
}

#[tokio::test]
async fn a_call_that_would_wait_too_long_is_told_at_once_when_to_come_back_also_after_a_restart() {
    let (app, upstream) = (start().await, Upstream::start());
    let channel = app.channel("c", &upstream, &["key-1"]).await;
    limit(&app, channel, Metric::Requests, Window::Rolling { ms: 3_600_000 }, 2).await;
    assert_eq!((app.chat(false, "hi").await.status, app.chat(true, "hi").await.status), (200, 200));
    let told = |reply: crate::support::app::Reply| {
        assert_eq!((reply.status, reply.code().as_str()), (429, "pool_exhausted"));
        let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((3590..=3660).contains(&seconds), "{seconds}");
    };
    told(app.chat(false, "hi").await);
    let clock = app.clock.clone();
    let data = app.stop().await;
    let app = TestApp::start_in(data, clock, &[]).await;
    told(app.chat(false, "hi").await);
    assert_eq!(upstream.inferences().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_in_line_and_its_slot() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let channel = app.channel("c", &upstream, &["key-1"]).await;
    limit(&app, channel, Metric::Concurrency, Window::AtOnce, 1).await;
    upstream.fail_next([Some(Fault::HangBeforeHeaders)]);
    let waiting = || app.app.site().dispatch.waiting();
    {
        let holding = app.chat(false, "hi");
        let in_line = app.chat(true, "hi");
        tokio::pin!(holding, in_line);
        let sent = eventually("a call at the upstream", async || upstream.inferences().len() == 1);
        tokio::select! { _ = &mut holding => panic!("it hangs"), () = sent => {} }
        let queued = eventually("a call in line", async || waiting() == 1);
        tokio::select! { _ = &mut in_line => panic!("no slot is free"), () = queued => {} }
        // Both clients leave here.
    }
    eventually("an empty line", async || waiting() == 0).await;
    let reply = app.chat(false, "hi").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.inferences().len(), 2, "the call that left the line was never sent");
    app.stop().await;
}
