//! Budgets of keys and channels: reserved before a call, settled after it, taken over by others when they are used up; and what
//! is free, or cheaper than its list price, counts as saved.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use onepool::model::{
    channel::{ChannelModel, Price},
    id::{ChannelId, KeyId},
    price::OwnPrice,
    time::Clock,
    token::{AtLimit, Quota, QuotaReset, QuotaUnit},
};
use serde_json::json;

use crate::support::{
    app::{TestApp, at, chat, eventually, model, number},
    raw::{self, Raw},
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";
const SPENT: &str = "SELECT COALESCE(SUM(spent), 0) FROM budget_spending";
const SAVED: &str = "SELECT COALESCE(SUM(saved), 0) FROM savings WHERE owner_kind = ''";

async fn set_key_budget(app: &TestApp, channel: ChannelId, key: KeyId, budget: Option<Quota>) {
    let catalog = app.app.site().catalog.load();
    let entry = catalog.channel(channel).unwrap();
    let mut key = (**entry.keys.iter().find(|other| other.id == key).unwrap()).clone();
    key.budget = budget;
    app.app.site().db.change_key(&key).await.unwrap();
    app.reload().await;
}

/// The badge-like state of a key: whether it rests because its budget is used up.
fn is_held(app: &TestApp, key: KeyId) -> bool {
    use onepool::scheduler::rest::Scope;
    let now = app.app.site().dispatch.now().steady;
    let pool = app.app.site().dispatch.lock();
    pool.rests().active(&Scope::Key(key), now).is_some_and(|rest| rest.is_held() && !rest.is_pause())
}

#[tokio::test]
async fn a_used_up_key_is_followed_by_another_one_without_the_client_noticing() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let channel = app.channel("c", &upstream, &["key-1", "key-2"]).await;
    let keys = app.keys_of(channel);
    let budget = Quota::new(QuotaUnit::Requests, 2, QuotaReset::Day);
    set_key_budget(&app, channel, keys[0], Some(budget)).await;
    for call in 0..8 {
        assert_eq!(app.chat(call % 2 == 0, "hi").await.status, 200);
    }
    let rows = app.rows().await;
    let of_first = rows.iter().filter(|row| row["key"] == keys[0].0).count();
    assert_eq!((rows.len(), of_first), (8, 2));
    assert!(
        rows.iter().all(|row| row["attempts"].as_array().unwrap().len() == 1),
        "nobody was asked in vain"
    );
    assert_eq!(number(&app.database(), SPENT).await, 2);
    eventually("the key rests", async || is_held(&app, keys[0])).await;

    // Without another key a call is told when to come back.
    set_key_budget(&app, channel, keys[1], Some(budget)).await;
    eventually("the other key's budget knows what it has served", async || is_held(&app, keys[1])).await;
    let over = app.chat(false, "hi").await;
    assert_eq!((over.status, over.code().as_str()), (429, "pool_exhausted"), "{}", over.text());
    assert!(over.header("retry-after").is_some());

    // A higher budget takes calls again.
    set_key_budget(&app, channel, keys[0], Some(Quota { limit: 3, ..budget })).await;
    eventually("the key takes calls", async || !is_held(&app, keys[0])).await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_budget_that_only_warns_stops_nothing() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let budget = Quota { at_limit: AtLimit::Warn, ..Quota::new(QuotaUnit::Requests, 1, QuotaReset::Month) };
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.budget = Some(budget)).await;
    for _ in 0..3 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    app.rows().await;
    let site = app.app.site();
    let found = site.db.budgets(&site.catalog.load(), site.clock.now()).await.unwrap();
    assert_eq!((found[0].spent, found[0].level(), found[0].is_stopped()), (3, Some(100), false));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_at_once_never_pass_the_budgets_of_their_channels() {
    let (app, first, second) = (TestApp::start().await, Upstream::start(), Upstream::start());
    app.token().await;
    // A call may take some 1,020 tokens, of which it takes a few: about nine fit at once, and more as they end.
    let budget = Quota::new(QuotaUnit::Tokens, 9500, QuotaReset::Never);
    let spared = app
        .channel_with("spared", &first.base_url(), &["key-1", "key-2", "key-3"], |channel| {
            channel.priority = 9;
            channel.budget = Some(budget);
        })
        .await;
    app.channel("other", &second, &["key-4"]).await;
    let calls = join_all((0..100).map(|call| app.chat(call % 2 == 0, "marker=abc words=200")));
    assert!(calls.await.iter().all(|reply| reply.status == 200 && reply.content().contains("abc")));
    let rows = app.rows().await;
    let spent: i64 = rows
        .iter()
        .filter(|row| row["channel"] == spared.0)
        .map(|row| row["prompt"].as_i64().unwrap() + row["completion"].as_i64().unwrap())
        .sum();
    assert!((1..=9500).contains(&spent), "{spent}");
    assert_eq!(number(&app.database(), SPENT).await, spent, "what is noted is what the log says");
    assert!(!second.calls().is_empty(), "the other channel took what did not fit");
    app.stop().await;
}

#[tokio::test]
async fn a_budget_of_a_day_starts_anew_at_local_midnight_also_when_clocks_change() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    // In Berlin the 25th of October 2026 has 25 hours and ends at 23:00 UTC.
    let clock = Clock::manual(at("2026-10-25T22:50:00Z"));
    let app = TestApp::start_in(data, clock, &[("TZ", "Europe/Berlin")]).await;
    let upstream = Upstream::start();
    app.token().await;
    let budget = Quota::new(QuotaUnit::Requests, 1, QuotaReset::Day);
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.budget = Some(budget)).await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    let over = app.chat(false, "hi").await;
    assert_eq!((over.status, over.header("retry-after")), (429, Some("600")), "{}", over.text());
    app.clock.advance(Duration::from_secs(601));
    assert_eq!(app.chat(false, "hi").await.status, 200);
    assert_eq!(app.chat(false, "hi").await.status, 429);
    app.stop().await;
}

#[tokio::test]
async fn what_budgets_spent_survives_a_restart_exactly_and_a_new_one_counts_what_came_before() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let budget = Quota::new(QuotaUnit::Requests, 4, QuotaReset::Month);
    let id = app
        .channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.budget = Some(budget))
        .await;
    for _ in 0..3 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    let clock = app.clock.clone();
    let app = TestApp::start_in(app.stop().await, clock, &[]).await;
    let statuses = [app.chat(false, "hi").await, app.chat(false, "hi").await];
    assert_eq!(statuses.map(|reply| reply.status), [200, 429]);
    app.rows().await;
    assert_eq!(number(&app.database(), SPENT).await, 4);

    // In place of it one of this month in dollars: it begins with what the calls of this month cost.
    let site = app.app.site();
    let mut channel =
        onepool::storage::channels::NewChannel::from(&site.db.find_channel(id).await.unwrap().unwrap());
    channel.budget = Some(Quota::new(QuotaUnit::Dollars, 1_000_000, QuotaReset::Month));
    site.db.update_channel(id, &channel).await.unwrap();
    app.reload().await;
    let cost: i64 = app.rows().await.iter().map(|row| row["cost"].as_i64().unwrap()).sum();
    eventually("the new budget knows what was spent", async || {
        let found = site.db.budgets(&site.catalog.load(), site.clock.now()).await.unwrap();
        cost > 0 && found[0].spent == cost
    })
    .await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    app.stop().await;
}

/// An upstream that answers with these counts.
fn counting(usage: serde_json::Value) -> Raw {
    Raw::answer(move |_, socket| {
        let message = json!({"role": "assistant", "content": "hello"});
        let body =
            json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage});
        raw::write_json(socket, &body.to_string());
    })
}

#[tokio::test]
async fn cached_and_reasoning_tokens_cost_what_they_are_priced_at() {
    let app = TestApp::start().await;
    app.token().await;
    let upstream = counting(json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
        "prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens_details": {"reasoning_tokens": 200}}));
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models[0].price = Some(Price {
            input: 1_000_000,
            cached: Some(100_000),
            output: 2_000_000,
            reasoning: Some(3_000_000),
        });
    })
    .await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    assert_eq!(app.rows().await[0]["cost"], 600 + 40 + 300 * 2 + 200 * 3);
    app.stop().await;
}

#[tokio::test]
async fn a_price_of_the_table_is_charged_where_the_channel_has_none_and_a_preset_never_is() {
    let app = TestApp::start().await;
    let quota = Quota::new(QuotaUnit::Dollars, 1_000_000, QuotaReset::Never);
    app.token_with(|token| token.quota = Some(quota)).await;
    let upstream = counting(json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}));
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models =
            vec![ChannelModel { name: "gpt-4o".into(), ..ChannelModel::default() }, model("gpt-4.1")];
    })
    .await;
    let refused = app.post(CHAT, &chat("gpt-4o", false, "hi")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "model_without_price"),
        "a preset's price says nothing of what this upstream charges"
    );
    let site = app.app.site();
    let own = OwnPrice {
        model: "gpt-4o".into(),
        provider: None,
        price: Some(Price { input: 3_000_000, cached: None, output: 4_000_000, reasoning: None }),
        unit_prices: None,
    };
    site.db.save_own_price(&own).await.unwrap();
    app.reload().await;
    assert_eq!(app.post(CHAT, &chat("gpt-4o", false, "hi")).await.status, 200);
    assert_eq!(app.rows().await[0]["cost"], 5000);
    assert_eq!(number(&app.database(), SAVED).await, 0, "it cost what the table says");

    // A channel's own price wins over the table, and what it is cheaper than the preset is saved.
    assert_eq!(app.post(CHAT, &chat("gpt-4.1", false, "hi")).await.status, 200);
    assert_eq!(app.rows().await[0]["cost"], 2000);
    let preset = site.catalog.load().model("gpt-4.1").unwrap().routes[0].list.clone().unwrap();
    let price = preset.price.unwrap();
    let listed = (1000 * price.input + 500 * price.output) / 1_000_000;
    assert!(listed > 2000);
    assert_eq!(number(&app.database(), SAVED).await, listed - 2000);
    app.stop().await;
}

#[tokio::test]
async fn what_is_free_saves_the_price_of_its_paid_counterpart() {
    let app = TestApp::start().await;
    app.token().await;
    let upstream =
        counting(json!({"prompt_tokens": 100_000, "completion_tokens": 0, "total_tokens": 100_000}));
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.provider = "openrouter".into();
        channel.models = ["openai/gpt-4o:free", "unknown/thing:free"]
            .map(|name| ChannelModel { name: name.into(), ..ChannelModel::default() })
            .into();
    })
    .await;
    for name in ["openai/gpt-4o:free", "unknown/thing:free"] {
        assert_eq!(app.post(CHAT, &chat(name, false, "hi")).await.status, 200, "{name}");
    }
    let rows = app.rows().await;
    assert!(rows.iter().all(|row| row["cost"] == 0));
    let site = app.app.site();
    let list = site.catalog.load().model("openai/gpt-4o:free").unwrap().routes[0].list.clone().unwrap();
    assert_eq!(number(&app.database(), SAVED).await, list.price.unwrap().input / 10);
    let saved = site.db.saved_micros(None, onepool::model::time::UnixMs(0), None).await.unwrap();
    assert_eq!(saved, list.price.unwrap().input / 10);
    app.stop().await;
}
