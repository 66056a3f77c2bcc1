//! Refusals of real vendors, as users recorded them: the right thing rests until the right time, and the client sees
//! nothing of it.

use std::{fs, sync::Arc, time::Duration};

use onepool::{
    model::{
        id::{ChannelId, KeyId},
        secret::Secret,
        time::Clock,
    },
    storage::access_tokens::new_access_token,
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, at, chat, eventually, model},
    upstream::{KeyRules, KeyState, Upstream},
};

const NOON: &str = "2026-11-20T12:00:00Z";

/// A new day is not believed in at once, since clocks differ.
const A_MOMENT: Duration = Duration::from_secs(90);

/// A pool of two keys at a vendor, which offers the models `m` and `n`, and a spare channel of a lower tier for both.
struct Pool {
    app: TestApp,
    vendor: Upstream,
    spare: Upstream,
    channel: ChannelId,
    key: KeyId,
    access_token: Secret,
}

impl Pool {
    async fn of(provider: &str) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let app = TestApp::start_in(data, Clock::manual(at(NOON)), &[]).await;
        app.token().await;
        let (vendor, spare) = (Upstream::start(), Upstream::start());
        let channel = app
            .channel_with("vendor", &vendor.base_url(), &["key-1", "key-2"], |channel| {
                channel.provider = provider.into();
                channel.priority = 1;
                channel.models.push(model("n"));
            })
            .await;
        app.channel_with("spare", &spare.base_url(), &["key-3"], |channel| channel.models.push(model("n")))
            .await;
        let site = app.app.site();
        let (user, _) = site.db.find_credentials("admin").await.unwrap().unwrap();
        let access_token = new_access_token();
        site.db.create_access_token(user.id, "test", &access_token, None).await.unwrap();
        let key = app.keys_of(channel)[0];
        Self { app, vendor, spare, channel, key, access_token }
    }

    async fn ask(&self, model: &str) -> Reply {
        self.app.post("/v1/chat/completions", &chat(model, false, "hi")).await
    }

    /// What rests, as scripts see it: `[{"scope": ..., "rest": {"until": ...}}]`.
    async fn rests(&self) -> Vec<Value> {
        let request = self.app.http.get(self.app.url("/api/rests")).bearer_auth(self.access_token.expose());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["items"].as_array().unwrap().clone()
    }

    /// Calls of the vendor so far with a key (any, if `None`) for a model.
    fn asked(&self, key: Option<&str>, model: &str) -> usize {
        let meant = |its: Option<&str>| key.is_none_or(|key| its == Some(key));
        self.vendor
            .inferences()
            .iter()
            .filter(|call| meant(call.key.as_deref()) && call.model == model)
            .count()
    }
}

/// A recorded refusal and what should come of it.
struct Case {
    provider: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// What rests.
    rests: Rests,
    /// Until when.
    until: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Rests {
    /// The model on the key that was refused.
    KeyModel,
    /// The key.
    Key,
    /// The model on every key.
    Model,
}

async fn check(case: Case) {
    let Case { provider, status, headers, body, rests, until } = case;
    let pool = Pool::of(provider).await;
    // A model that is busy is so for every key.
    let refused = Some("key-1").filter(|_| rests != Rests::Model);
    let of_model = Some("m").filter(|_| rests != Rests::Key);
    pool.vendor.refuse_as_recorded(refused, of_model, status, headers, body);
    for _ in 0..6 {
        assert_eq!(pool.ask("m").await.status, 200, "{provider}: the client sees nothing");
    }
    assert_eq!(pool.asked(refused, "m"), 1, "{provider}: what rests is not asked again");
    let expected = match rests {
        Rests::KeyModel => json!({"kind": "key_model", "key_id": pool.key, "model": "m"}),
        Rests::Key => json!({"kind": "key", "key_id": pool.key}),
        Rests::Model => json!({"kind": "channel_model", "channel_id": pool.channel, "model": "m"}),
    };
    let resting = pool.rests().await;
    let [rest] = &resting[..] else { panic!("{provider}: {resting:?}") };
    assert_eq!((&rest["scope"], rest["rest"]["until"].as_str()), (&expected, Some(until)), "{provider}");

    // The others go on: the other key, and unless the key itself rests, its other model.
    if rests == Rests::Model {
        assert_eq!(pool.spare.inferences().len(), 6, "{provider}");
    } else {
        assert_eq!((pool.asked(Some("key-2"), "m"), pool.spare.inferences().len()), (6, 0), "{provider}");
    }
    for _ in 0..2 {
        assert_eq!(pool.ask("n").await.status, 200);
    }
    assert_eq!(pool.asked(Some("key-1"), "n"), usize::from(rests != Rests::Key), "{provider}");

    // It comes back after that moment, and not before. For a model that is back within the next moments calls would wait.
    pool.vendor.heal();
    let left = at(until).since(at(NOON));
    let early = Duration::from_millis(if rests == Rests::Model { 3_000 } else { 1 });
    pool.app.clock.advance(left - early);
    for _ in 0..2 {
        assert_eq!(pool.ask("m").await.status, 200);
    }
    assert_eq!(pool.asked(refused, "m"), 1, "{provider}: it was asked before its time");
    pool.app.clock.advance(early + A_MOMENT);
    // While another key does as well, it may come first.
    pool.vendor.set_key("key-2", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    for _ in 0..2 {
        assert_eq!(pool.ask("m").await.status, 200);
    }
    assert!(pool.asked(refused, "m") >= 2, "{provider}: it did not come back");
    pool.app.stop().await;
}

#[tokio::test]
async fn googles_day_of_a_model_ends_at_midnight_in_california_whatever_delay_it_names() {
    check(Case {
        provider: "google",
        status: 429,
        headers: &[],
        body: r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"m","quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38s"}]}}]"#,
        rests: Rests::KeyModel,
        until: "2026-11-21T08:00:00Z",
    })
    .await;
}

#[tokio::test]
async fn openrouters_refusal_of_free_models_rests_no_other_model_of_the_key() {
    check(Case {
        provider: "openrouter",
        status: 429,
        headers: &[],
        body: r#"{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1795219200000"}}}}"#,
        rests: Rests::KeyModel,
        until: "2026-11-21T00:00:00Z",
    })
    .await;
}

#[tokio::test]
async fn a_busy_worker_of_nvidias_rests_the_model_for_seconds_and_no_key() {
    check(Case {
        provider: "nvidia",
        status: 503,
        headers: &[],
        body: r#"{"error":{"message":"ResourceExhausted: Worker local total request limit reached (16/16)","type":"Service Unavailable","code":503}}"#,
        rests: Rests::Model,
        until: "2026-11-20T12:00:05Z",
    })
    .await;
}

#[tokio::test]
async fn modelscopes_day_of_a_model_ends_at_its_reset_in_china_and_not_after_the_seconds_of_its_header() {
    check(Case {
        provider: "modelscope",
        status: 429,
        headers: &[("retry-after", "5")],
        body: r#"{"errors":{"message":"You have exceeded today's quota for model m, please try again tomorrow, or consider using other models"},"request_id":"r"}"#,
        rests: Rests::KeyModel,
        until: "2026-11-20T16:05:00Z",
    })
    .await;
}

#[tokio::test]
async fn zhipus_concurrency_rests_the_model_on_the_key_for_seconds() {
    check(Case {
        provider: "zhipu",
        status: 429,
        headers: &[],
        body: r#"{"error":{"code":"1302","message":"您当前使用该 API 的并发数过高"}}"#,
        rests: Rests::KeyModel,
        until: "2026-11-20T12:00:01Z",
    })
    .await;
}

#[tokio::test]
async fn an_account_in_arrears_at_zhipu_rests_the_key_for_an_hour_though_the_status_is_that_of_a_limit() {
    check(Case {
        provider: "zhipu",
        status: 429,
        headers: &[],
        body: r#"{"error":{"code":"1113","message":"您的账户已欠费，请充值后重试"}}"#,
        rests: Rests::Key,
        until: "2026-11-20T13:00:00Z",
    })
    .await;
}

#[tokio::test]
async fn groqs_tokens_per_minute_rest_the_model_on_the_key_for_the_time_in_its_sentence() {
    check(Case {
        provider: "groq",
        status: 429,
        headers: &[],
        body: r#"{"error":{"message":"Rate limit reached for model `m` in organization `org_x` service tier `on_demand` on tokens per minute (TPM): Limit 8000, Used 6644, Requested 2931. Please try again in 1m2.5s. Need more tokens? Upgrade at https://console.groq.com/settings/billing","type":"tokens","code":"rate_limit_exceeded"}}"#,
        rests: Rests::KeyModel,
        until: "2026-11-20T12:01:02.5Z",
    })
    .await;
}

#[tokio::test]
async fn the_same_words_mean_what_the_channels_provider_means_by_them() {
    // OpenAI's code for an empty account; at DashScope the tokens of this minute.
    let body = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details."}}"#;
    for (provider, until) in [
        ("generic", "2026-11-20T13:00:00Z"),
        ("gone", "2026-11-20T13:00:00Z"),
        ("dashscope", "2026-11-20T12:01:00Z"),
    ] {
        let pool = Pool::of(provider).await;
        pool.vendor.refuse_as_recorded(Some("key-1"), None, 429, &[], body);
        assert_eq!(pool.ask("m").await.status, 200);
        assert_eq!(pool.rests().await[0]["rest"]["until"], until, "{provider}");
        pool.app.stop().await;
    }
}

#[tokio::test]
async fn an_operators_file_counts_while_the_server_runs_and_a_wrong_one_changes_nothing() {
    let pool = Pool::of("mine").await;
    let folder = pool.app.data.path().join("data/providers");
    fs::create_dir(&folder).unwrap();
    let file = |seconds: u32| {
        let text = format!(
            r#"{{"id": "mine", "checked": "2026-11-20", "name": {{"en": "Mine", "zh": "我的"}}, "status": "unknown",
                "base_urls": [], "refusals": [{{"id": "busy", "status": [418], "class": "rate_limited",
                "scope": "key", "until": [{{"fixed": "{seconds}s"}}]}}]}}"#
        );
        fs::write(folder.join("mine.json"), text).unwrap();
    };
    file(20);
    let providers = pool.app.app.site().catalog.providers();
    eventually("the provider", async || providers.load().find("mine").is_some()).await;
    fs::write(folder.join("wrong.json"), "{").unwrap();
    eventually("the fault", async || !providers.faults().is_empty()).await;

    pool.vendor.refuse_as_recorded(Some("key-1"), None, 418, &[], r#"{"error":"short and stout"}"#);
    assert_eq!(pool.ask("m").await.status, 200);
    let rests = pool.rests().await;
    assert_eq!(rests[0]["scope"], json!({"kind": "key", "key_id": pool.key}));
    assert_eq!(rests[0]["rest"]["until"], "2026-11-20T12:00:20Z");
    pool.app.stop().await;
}
