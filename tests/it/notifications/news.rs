//! What is noticed: lists that change, keys, channels, limits, budgets, chains, and digests.

use std::time::Duration;

use onepool::{
    i18n::{Lang, Messages},
    jobs::notices::Desk,
    model::{
        chain::{Chain, ChainStep},
        id::ChainId,
        key::Key,
        limit::{Limit, Metric, Models, Per, Source, Window},
        notice::{DigestSchedule, Event, EventKind, NewTarget, Occurrence, Policy},
        time::Clock,
        token::{AtLimit, Quota, QuotaReset, QuotaUnit, WarnLevels},
    },
    notices::message::sentence,
};

use super::{Receiver, parts, target};
use crate::{
    discovery::asked,
    support::{
        app::{TestApp, at},
        upstream::{KeyRules, KeyState, Upstream},
    },
};

async fn news(desk: &mut Desk) -> Vec<Event> {
    desk.look().await.unwrap().events
}

#[tokio::test]
async fn what_lists_change_and_keys_that_became_invalid_are_told_once() {
    let app = TestApp::start_with(&[("NOTIFY_DOWN_MINUTES", "1000")]).await;
    let mut desk = Desk::new(parts(&app));
    let upstream = Upstream::start();
    upstream.set_models(&["a", "b"]);
    let id = app.channel("Groq", &upstream, &["key-0000-aaaa"]).await;
    asked(&app, id).await.unwrap();
    assert_eq!(news(&mut desk).await, [], "a first list is no news");
    upstream.set_models(&["b", "c", "d"]);
    asked(&app, id).await.unwrap();
    let told: Vec<(EventKind, Vec<String>)> = news(&mut desk)
        .await
        .into_iter()
        .map(|event| match event.what {
            Occurrence::Models { kind, names, .. } => (kind, names),
            other => panic!("{other:?}"),
        })
        .collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        told,
        [(EventKind::ModelsVanished, names(&["a"])), (EventKind::ModelsAppeared, names(&["c", "d"]))]
    );
    assert_eq!(news(&mut desk).await, [], "it was told");

    // A call finds that the key is refused now.
    upstream.set_key("key-0000-aaaa", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    app.token().await;
    app.chat(false, "words=3").await;
    let events = news(&mut desk).await;
    let [Event { what: Occurrence::KeyInvalid { shown, .. }, channel: Some(place), .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((shown.as_str(), place.name.as_str()), ("…aaaa", "Groq"));
    assert_eq!(news(&mut desk).await, []);
}

#[tokio::test]
async fn a_channel_that_takes_no_calls_is_told_after_its_time_and_again_when_it_takes_them() {
    let clock = Clock::manual(at("2026-11-20T08:00:00Z"));
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(folder, clock, &[("NOTIFY_DOWN_MINUTES", "5")]).await;
    let mut desk = Desk::new(parts(&app));
    let upstream = Upstream::start();
    app.channel("Groq", &upstream, &["key-0000-aaaa", "key-0000-bbbb"]).await;
    app.token().await;
    assert_eq!(news(&mut desk).await, []);
    for key in ["key-0000-aaaa", "key-0000-bbbb"] {
        upstream.set_key(key, KeyRules { state: KeyState::OutOfCredit, ..KeyRules::default() });
    }
    assert_ne!(app.chat(false, "words=3").await.status, 200);
    assert_eq!(news(&mut desk).await, [], "not yet");
    app.clock.advance(Duration::from_secs(299));
    assert_eq!(news(&mut desk).await, [], "not yet");
    app.clock.advance(Duration::from_secs(1));
    let events = news(&mut desk).await;
    let [Event { what: Occurrence::ChannelDown { keys: 2, class: Some(class), .. }, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(class.as_str(), "out_of_credit");
    // Its rests end, and nobody calls: nobody knows that it is well again.
    app.clock.advance(Duration::from_secs(20 * 3600));
    assert_eq!(news(&mut desk).await, []);
    for key in ["key-0000-aaaa", "key-0000-bbbb"] {
        upstream.set_key(key, KeyRules::default());
    }
    app.clock.advance(Duration::from_secs(4 * 3600));
    assert_eq!(app.chat(false, "words=3").await.status, 200);
    app.app.flush_usage().await;
    let events = news(&mut desk).await;
    let [Event { what: Occurrence::ChannelUp { lasted_ms }, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(lasted_ms / 1000, 300 + 24 * 3600);
    assert_eq!(news(&mut desk).await, []);
}

#[tokio::test]
async fn budgets_and_limits_are_told_when_they_run_out_and_a_digest_tells_of_the_day() {
    let clock = Clock::manual(at("2026-11-20T12:00:00Z"));
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(folder, clock, &[("NOTIFY_QUOTA_PERCENT", "75")]).await;
    let receiver = Receiver::saying("{}");
    let policy = Policy { digest: DigestSchedule { weekly: false, hour: 9 }, ..Policy::default() };
    let set = NewTarget { policy, ..target(receiver.hook()) };
    app.app.site().db.create_notice_target(&set).await.unwrap();
    let upstream = Upstream::start();
    app.channel_with("Groq", &upstream.base_url(), &["key-0000-aaaa"], |channel| {
        channel.limits = vec![Limit {
            models: Models::default(),
            per: Per::Key,
            metric: Metric::Requests,
            window: Window::Rolling { ms: 86_400_000 },
            max: 4,
            source: Source::Operator,
        }];
    })
    .await;
    app.token_with(|token| {
        let warn_at = WarnLevels::new([75]).unwrap();
        token.quota = Some(Quota { warn_at, ..Quota::new(QuotaUnit::Requests, 4, QuotaReset::Day) });
    })
    .await;
    let mut desk = Desk::new(parts(&app));
    assert_eq!(news(&mut desk).await, []);
    for _ in 0..3 {
        assert_eq!(app.chat(false, "words=3").await.status, 200);
    }
    app.app.flush_usage().await;
    app.clock.advance(Duration::from_secs(301));
    let mut kinds: Vec<EventKind> = news(&mut desk).await.iter().map(Event::kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [EventKind::QuotaLow, EventKind::PoolLow, EventKind::BudgetWarned]);
    assert_eq!(app.chat(false, "words=3").await.status, 200);
    app.app.flush_usage().await;
    app.clock.advance(Duration::from_secs(61));
    let kinds: Vec<EventKind> = news(&mut desk).await.iter().map(Event::kind).collect();
    assert_eq!(kinds, [EventKind::BudgetReached]);
    // The next morning.
    app.clock.advance(Duration::from_secs(21 * 3600));
    let personal = desk.look().await.unwrap().personal;
    let [(_, Event { what: Occurrence::Digest(digest), .. })] = &personal[..] else { panic!("{personal:?}") };
    assert_eq!((digest.requests, digest.ok, digest.days.0.as_str()), (4, 4, "2026-11-20"));
    assert_eq!(digest.models, [("m".to_owned(), 4)]);
    assert_eq!(desk.look().await.unwrap().personal, [], "once a day");
}

#[tokio::test]
async fn each_warning_level_of_a_tokens_a_keys_and_a_channels_budget_is_told_once_in_a_period() {
    let clock = Clock::manual(at("2026-11-20T12:00:00Z"));
    let app = TestApp::start_in(std::sync::Arc::new(tempfile::tempdir().unwrap()), clock, &[]).await;
    let budget = |levels: &[u8]| {
        let warn_at = WarnLevels::new(levels.iter().copied()).unwrap();
        let usual = Quota::new(QuotaUnit::Requests, 4, QuotaReset::Day);
        Some(Quota { warn_at, at_limit: AtLimit::Warn, ..usual })
    };
    let upstream = Upstream::start();
    let id = app
        .channel_with("Groq", &upstream.base_url(), &["key-0000-aaaa"], |channel| {
            channel.budget = budget(&[25, 50, 100]);
        })
        .await;
    let site = app.app.site();
    let mut key = Key::clone(&site.catalog.load().channel(id).unwrap().keys[0]);
    key.budget = budget(&[]);
    site.db.change_key(&key).await.unwrap();
    app.token_with(|token| token.quota = budget(&[50])).await;
    let mut desk = Desk::new(parts(&app));
    assert_eq!(news(&mut desk).await, []);
    let mut told_after = async |calls: usize, wait: Duration| {
        for _ in 0..calls {
            assert_eq!(app.chat(false, "words=3").await.status, 200);
        }
        app.app.flush_usage().await;
        app.clock.advance(wait);
        let mut told: Vec<String> = news(&mut desk)
            .await
            .iter()
            .map(|event| sentence(Messages::of(Lang::En), &jiff::tz::TimeZone::UTC, event))
            .collect();
        told.sort();
        told
    };
    let (minute, day) = (Duration::from_secs(61), Duration::from_secs(24 * 3600));
    let used = |whose: &str, percent: u32, used: u32| {
        format!(
            "{whose} has used {percent} % of its budget: {used} requests of 4 requests; resets 2026-11-21 00:00"
        )
    };
    let (channel, token) = ("The channel Groq", "The token test");
    assert_eq!(told_after(1, minute).await, [used(channel, 25, 1)]);
    assert_eq!(told_after(1, minute).await, [used(channel, 50, 2), used(token, 50, 2)]);
    assert_eq!(told_after(1, minute).await, [""; 0]);
    let reached = |whose: &str| {
        format!("{whose} has reached its budget: 4 requests of 4 requests; resets 2026-11-21 00:00")
    };
    let all = [reached("Groq: the key …aaaa"), reached(channel), reached(token)];
    assert_eq!(told_after(1, minute).await, all);
    assert_eq!(told_after(1, minute).await, [""; 0]);
    // The next day; and two levels at once are one warning.
    assert_eq!(told_after(0, day).await, [""; 0]);
    assert_eq!(told_after(2, minute).await.len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_chain_that_lost_its_last_step_is_told() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    let id = app.channel("Groq", &upstream, &["key-0000-aaaa"]).await;
    let db = &app.app.site().db;
    let chain =
        Chain { id: ChainId(0), name: "smart".into(), enabled: true, steps: vec![ChainStep::new("m")] };
    db.create_chain(&chain).await.unwrap();
    app.reload().await;
    let mut desk = Desk::new(parts(&app));
    assert_eq!(news(&mut desk).await, []);
    db.delete_channel(id).await.unwrap();
    app.reload().await;
    let events = news(&mut desk).await;
    assert!(
        matches!(&events[..], [Event { what: Occurrence::ChainEmpty { chain }, .. }] if chain == "smart"),
        "{events:?}"
    );
}
