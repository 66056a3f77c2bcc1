//! What calls cost by their units, by what upstreams report, and what of it is reserved from a quota before anybody is asked.

use onepool::{
    model::{
        channel::ChannelModel,
        endpoint::Endpoint,
        id::ChannelId,
        token::{Quota, QuotaReset, QuotaUnit},
        unit_price::UnitPrices,
    },
    storage::channels::NewChannel,
};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, number, sums},
    raw::{self, Raw},
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";
const IMAGES: &str = "/v1/images/generations";
const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const VIDEOS: &str = "/v1/videos";
const RERANK: &str = "/v1/rerank";
const SPENT: &str = "SELECT COALESCE(SUM(spent), 0) FROM token_spending";

/// A channel for the model `m`, which has these prices and none per token, on every endpoint.
async fn priced(app: &TestApp, base_url: &str, prices: &str) -> ChannelId {
    let prices = UnitPrices::parse(prices).expect("prices");
    app.channel_with("c", base_url, &["key-1"], |channel| {
        channel.endpoints = Endpoint::ALL.iter().copied().collect();
        channel.models = vec![ChannelModel {
            name: "m".into(),
            unit_prices: (!prices.is_empty()).then(|| Box::new(prices)),
            ..ChannelModel::default()
        }];
    })
    .await
}

/// A server with such a channel, and a token that may spend so many micro-dollars.
async fn serving(prices: &str, dollars_micros: i64) -> (TestApp, Upstream) {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    with_quota(&app, dollars_micros).await;
    priced(&app, &upstream.base_url(), prices).await;
    (app, upstream)
}

async fn with_quota(app: &TestApp, dollars_micros: i64) {
    let quota = Quota::new(QuotaUnit::Dollars, dollars_micros, QuotaReset::Never);
    app.token_with(|token| token.quota = Some(quota)).await;
}

/// Fails unless the newest call cost this, and all of them together have charged `spent`, in micro-dollars.
async fn cost(app: &TestApp, cost: i64, spent: i64) -> Value {
    let row = app.rows().await.remove(0);
    assert_eq!(row["cost"], cost, "{row}");
    assert_eq!(number(&app.database(), SPENT).await, spent);
    let of_rows = number(&app.database(), "SELECT SUM(cost_micros) FROM usage").await;
    assert_eq!(sums(&app.app.site().db).await.0.cost_micros, of_rows, "the sums are the sums of the rows");
    row
}

fn is_over_quota(reply: &Reply) -> bool {
    (reply.status, reply.code().as_str()) == (429, "insufficient_quota")
}

#[tokio::test]
async fn pictures_charge_their_price_and_a_quota_without_room_for_them_asks_nobody() {
    let (app, upstream) = serving("image=0.04 image/1024x1024/high=0.167", 500_000).await;
    let ask = async |n: u64, size: &str, quality: &str| {
        app.post(IMAGES, &json!({"model": "m", "prompt": "a cat", "n": n, "size": size, "quality": quality}))
            .await
    };
    assert_eq!(ask(2, "1024x1024", "high").await.status, 200);
    cost(&app, 334_000, 334_000).await;
    assert!(is_over_quota(&ask(1, "1024x1024", "high").await), "one more would make $0.501");
    assert!(is_over_quota(&ask(1, "1024x1024", "auto").await), "it may become a dear one");
    assert!(is_over_quota(&ask(5, "512x512", "low").await), "five of $0.04 are too many");
    assert_eq!(upstream.inferences().len(), 1, "nobody was asked");
    assert_eq!(ask(4, "512x512", "low").await.status, 200, "four are not");
    cost(&app, 160_000, 494_000).await;
    app.stop().await;
}

#[tokio::test]
async fn pictures_in_events_charge_as_many_as_came() {
    let (app, _upstream) = serving("image/low=0.01 image/high=0.2", 500_000).await;
    let asked = json!({"model": "m", "prompt": "a cat", "stream": true});
    assert_eq!(app.post(IMAGES, &asked).await.status, 200);
    let row = cost(&app, 10_000, 10_000).await;
    assert_eq!(row["units"]["image_quality"], "low", "the dear one was only reserved");
    app.stop().await;
}

#[tokio::test]
async fn speech_charges_its_characters_which_are_reserved_before() {
    let (app, upstream) = serving("million_characters=15", 3000).await;
    let ask =
        async |input: String| app.post(SPEECH, &json!({"model": "m", "input": input, "voice": "a"})).await;
    assert_eq!(ask("世".repeat(150)).await.status, 200);
    cost(&app, 2250, 2250).await;
    assert!(is_over_quota(&ask("a".repeat(51)).await));
    assert_eq!(upstream.inferences().len(), 1);
    assert_eq!(ask("a".repeat(50)).await.status, 200);
    cost(&app, 750, 3000).await;
    app.stop().await;
}

#[tokio::test]
async fn a_transcription_charges_the_seconds_that_were_heard_else_an_estimate_that_is_marked() {
    let (app, upstream) = serving("audio_minute=0.006", 30_000).await;
    let ask = async |length: usize, format: &'static str| {
        let file = Part::bytes(vec![7; length]).file_name("a.mp3");
        let form = Form::new().text("model", "m").text("response_format", format).part("file", file);
        Reply::read(app.request(Method::POST, TRANSCRIPTIONS).multipart(form).send().await.unwrap()).await
    };
    assert_eq!(ask(16_000, "json").await.status, 200);
    let row = cost(&app, 300, 300).await;
    assert_eq!(row["units"], json!({"audio_ms": 3000}), "the answer says three seconds");
    assert_eq!(ask(160_000, "srt").await.status, 200);
    let row = cost(&app, 1000, 1300).await;
    assert_eq!(row["units"], json!({"audio_ms": 10_000, "estimated": true}), "ten at 128 kbit/s");
    assert!(is_over_quota(&ask(1_200_000, "json").await), "five minutes, if it is speech of 32 kbit/s");
    assert_eq!(upstream.inferences().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_video_charges_its_seconds_and_a_price_per_token_is_none_for_it() {
    let (app, upstream) = serving("video_second=0.1", 1_000_000).await;
    let asked = |seconds: &str| json!({"model": "m", "prompt": "a cat", "seconds": seconds});
    assert!(is_over_quota(&app.post(VIDEOS, &asked("12")).await));
    assert!(upstream.inferences().is_empty());
    let made = app.post(VIDEOS, &asked("8")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    cost(&app, 800_000, 800_000).await;
    let path = format!("{VIDEOS}/{}", made.json()["id"].as_str().unwrap());
    let shown = Reply::read(app.request(Method::GET, &path).send().await.unwrap()).await;
    assert_eq!(shown.json()["usage"]["cost"], 0.4, "what the upstream says reaches the client");
    cost(&app, 800_000, 800_000).await;
    app.channel_with("tokens", &upstream.base_url(), &["key-2"], |channel| {
        channel.models = vec![crate::support::app::model("chatty")];
        channel.endpoints = Endpoint::ALL.iter().copied().collect();
    })
    .await;
    let refused = app.post(VIDEOS, &json!({"model": "chatty", "prompt": "a"})).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "model_without_price"));
    app.stop().await;
}

#[tokio::test]
async fn what_a_finished_video_cost_is_booked_once_if_nobody_knew() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let id = priced(&app, &upstream.base_url(), "").await;
    let site = app.app.site();
    let mut channel = NewChannel::from(&site.db.find_channel(id).await.unwrap().unwrap());
    let budget = Quota::new(QuotaUnit::Dollars, 400_000, QuotaReset::Never);
    channel.budget = Some(budget);
    site.db.update_channel(id, &channel).await.unwrap();
    app.reload().await;
    let video = json!({"model": "m", "prompt": "polls=2", "seconds": "8"});
    let made = app.post(VIDEOS, &video).await;
    cost(&app, 0, 0).await;
    let path = format!("{VIDEOS}/{}", made.json()["id"].as_str().unwrap());
    for micros in [0, 400_000, 400_000] {
        assert_eq!(Reply::read(app.request(Method::GET, &path).send().await.unwrap()).await.status, 200);
        cost(&app, micros, 0).await;
    }
    assert_eq!(app.rows().await.len(), 1, "watching it is no call");
    let spent = site.db.budgets(&site.catalog.load(), site.clock.now()).await.unwrap()[0].spent;
    assert_eq!(spent, 400_000, "once as well");
    assert_eq!(app.post(VIDEOS, &video).await.status, 503, "the channel's budget is used up");
    app.stop().await;
}

#[tokio::test]
async fn a_ranking_charges_the_searches_that_the_answer_says() {
    let app = TestApp::start().await;
    let upstream = Raw::answer(|request, socket| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let said = match asked["query"].as_str() {
            Some("cohere") => json!({"meta": {"billed_units": {"search_units": 3}}}),
            Some("openrouter") => json!({"usage": {"search_units": 1, "total_tokens": 12, "cost": 0.5}}),
            _ => json!({"usage": {"total_tokens": 12}}),
        };
        let mut answer = json!({"results": [{"index": 0, "relevance_score": 0.9}]});
        answer.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        raw::write_json(socket, &answer.to_string());
    });
    with_quota(&app, 20_000).await;
    priced(&app, &upstream.base_url(), "search=0.002").await;
    let ask = async |query: &str, documents: usize| {
        app.post(RERANK, &json!({"model": "m", "query": query, "documents": vec!["a"; documents]})).await
    };
    assert_eq!(ask("cohere", 250).await.status, 200);
    let row = cost(&app, 6000, 6000).await;
    assert_eq!(row["units"], json!({"searches": 3}));
    assert_eq!(ask("openrouter", 2).await.status, 200);
    cost(&app, 2000, 8000).await;
    assert_eq!(ask("jina", 101).await.status, 200);
    let row = cost(&app, 4000, 12_000).await;
    assert_eq!((&row["units"], &row["prompt"]), (&json!({"searches": 2, "estimated": true}), &json!(12)));
    assert!(is_over_quota(&ask("cohere", 401).await), "five searches of $0.002 have no room");
    app.stop().await;
}

#[tokio::test]
async fn searches_are_not_guessed_where_they_have_no_price() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    priced(&app, &upstream.base_url(), "").await;
    assert_eq!(app.post(RERANK, &json!({"model": "m", "query": "q", "documents": ["a"]})).await.status, 200);
    let row = cost(&app, 0, 0).await;
    assert_eq!((&row["units"], &row["prompt"]), (&Value::Null, &json!(12)));
    app.stop().await;
}

/// An upstream of chat that reports a cost, written like this.
fn reporting(cost: &'static str) -> Raw {
    Raw::answer(move |request, socket| {
        let usage = format!(r#"{{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16,"cost":{cost}}}"#);
        if String::from_utf8_lossy(&request.body).contains(r#""stream":true"#) {
            raw::write_stream_head(socket);
            raw::write_chunk(socket, "hello", Some("stop"));
            let last = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
            std::io::Write::write_all(socket, last.as_bytes()).unwrap();
        } else {
            let choices =
                r#"[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]"#;
            raw::write_json(socket, &format!(r#"{{"choices":{choices},"usage":{usage}}}"#));
        }
    })
}

#[tokio::test]
async fn a_cost_that_the_upstream_reports_is_booked_unless_the_channel_has_a_price() {
    for (reported, own_price, micros) in [
        ("0.000123", false, 123),
        ("0.000123", true, 9 + 2 * 7),
        ("-1", false, 0),
        ("1e9", false, 0),
        ("1e999", false, 0),
        ("null", false, 0),
        (r#""0.5""#, false, 0),
    ] {
        let (app, upstream) = (TestApp::start().await, reporting(reported));
        app.token().await;
        app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
            if !own_price {
                channel.models[0].price = None;
            }
        })
        .await;
        for stream in [false, true] {
            let reply = app.chat(stream, "hi").await;
            assert_eq!(reply.status, 200, "{reported} {}", reply.text());
            let row = cost(&app, micros, 0).await;
            assert_eq!((&row["prompt"], &row["estimated"]), (&json!(9), &json!(0)), "{reported}");
        }
        app.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_counts_dollars_may_use_what_is_known_to_be_free_and_pays_what_it_costs_all_the_same() {
    let (app, upstream) = (TestApp::start().await, reporting("0.0005"));
    with_quota(&app, 900).await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.provider = "openrouter".into();
        let named = |name: &str| ChannelModel { name: name.into(), ..ChannelModel::default() };
        channel.models = vec![named("vendor/model:free"), named("vendor/model")];
    })
    .await;
    let ask = async |model: &str| app.post(CHAT, &crate::support::app::chat(model, false, "hi")).await;
    let refused = ask("vendor/model").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "model_without_price"));
    for spent in [500, 1000] {
        assert_eq!(ask("vendor/model:free").await.status, 200);
        cost(&app, 500, spent).await;
    }
    assert!(is_over_quota(&ask("vendor/model:free").await));
    let listed = Reply::read(app.request(Method::GET, "/v1/models").send().await.unwrap()).await.json();
    let names: Vec<&str> =
        listed["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(names.contains(&"vendor/model:free"), "{names:?}");
    assert!(!names.contains(&"vendor/model"), "{names:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_price_for_pictures_is_none_for_chat() {
    let (app, upstream) = serving("image=0.04", 500_000).await;
    let refused = app.chat(false, "hi").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "model_without_price"), "{}", refused.text());
    assert!(upstream.inferences().is_empty());
    app.stop().await;
}
