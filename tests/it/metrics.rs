//! `/metrics`, as Prometheus reads it, and the dashboard that is made for it.

use std::collections::{BTreeMap, BTreeSet};

use onepool::{
    metrics::{MOST_CHANNELS, TABLE},
    model::limit::{Limit, Metric, Models, Per, Source, Window},
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, chat, eventually},
    upstream::{Fault, Upstream},
};

const SECRET: &str = "a-secret-for-prometheus";

/// One sample: the labels in the order in which they stand, and the value.
#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads the text format as strictly as Prometheus' own parser: names, escapes, one `TYPE` per family and before its samples,
/// no sample twice, whole histograms.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut samples, mut seen, mut current) = (Vec::new(), BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(kinds.insert(name, kind).is_none(), "{name} has two types");
            current = name;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(!kinds.contains_key(name) && !help.is_empty(), "{line}");
        } else {
            let sample = sample(line);
            assert!(seen.insert((sample.name.clone(), format!("{:?}", sample.labels))), "twice: {line}");
            let family = match kinds[current] {
                "histogram" => {
                    let suffix = ["_bucket", "_sum", "_count"];
                    suffix.iter().find_map(|suffix| sample.name.strip_suffix(suffix)).expect(line)
                }
                _ => &sample.name,
            };
            assert_eq!(family, current, "{line} is not in its family");
            samples.push(sample);
        }
    }
    for (name, _) in kinds.iter().filter(|(_, kind)| **kind == "histogram") {
        let of =
            |suffix: &str| samples.iter().filter(|s| s.name == format!("{name}{suffix}")).collect::<Vec<_>>();
        let buckets = of("_bucket");
        assert!(buckets.windows(2).all(|pair| pair[0].value <= pair[1].value), "{name} is not cumulative");
        let last = buckets.last().expect("buckets");
        assert_eq!(last.labels["le"], "+Inf");
        assert_eq!((last.value, of("_sum").len()), (of("_count")[0].value, 1), "{name}");
    }
    samples
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(is_name(label), "{line}");
            let (mut value, mut chars) = (String::new(), after.char_indices());
            let end = loop {
                match chars.next().expect("the end of a label") {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().expect("an escaped sign").1 {
                        'n' => value.push('\n'),
                        sign @ ('\\' | '"') => value.push(sign),
                        other => panic!("\\{other} in {line}"),
                    },
                    (_, other) => value.push(other),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').expect("the end of the labels");
    }
    let value =
        rest.strip_prefix(' ').and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    Sample { name: name.into(), labels, value }
}

/// The sum of the samples with these labels.
fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |sample: &&Sample| {
        sample.name == name
            && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
    };
    samples.iter().filter(fits).map(|sample| sample.value).sum()
}

async fn start() -> TestApp {
    TestApp::start_with(&[("METRICS_TOKEN", SECRET)]).await
}

async fn scrape(app: &TestApp) -> Vec<Sample> {
    let reply =
        Reply::read(app.http.get(app.url("/metrics")).bearer_auth(SECRET).send().await.unwrap()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    parse(&reply.text())
}

#[tokio::test]
async fn there_are_no_metrics_unless_a_secret_is_set_and_none_without_it() {
    let app = TestApp::start().await;
    assert_eq!(app.http.get(app.url("/metrics")).bearer_auth("").send().await.unwrap().status(), 404);
    app.stop().await;
    let app = start().await;
    for wrong in [None, Some("another-secret-for-prometheus"), Some("")] {
        let mut request = app.http.get(app.url("/metrics"));
        if let Some(wrong) = wrong {
            request = request.bearer_auth(wrong);
        }
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
        assert!(!reply.text().contains("onepool_"), "{}", reply.text());
    }
    let in_query = app.http.get(app.url(&format!("/metrics?token={SECRET}"))).send().await.unwrap();
    assert_eq!(in_query.status(), 401);
    scrape(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn who_guesses_the_secret_has_to_wait() {
    let app = start().await;
    let mut last = 0;
    for _ in 0..100 {
        last = app
            .http
            .get(app.url("/metrics"))
            .bearer_auth("wrong-wrong-wrong")
            .send()
            .await
            .unwrap()
            .status()
            .as_u16();
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    app.stop().await;
}

#[tokio::test]
async fn a_scraper_with_an_outdated_secret_does_not_lock_the_admin_api() {
    let app = start().await;
    let api_status = async || {
        let request = app.http.get(app.url("/api/status")).bearer_auth("no-access-token");
        request.send().await.unwrap().status().as_u16()
    };
    let mut last = 0;
    for _ in 0..100 {
        let request = app.http.get(app.url("/metrics")).bearer_auth("an-outdated-secret");
        last = request.send().await.unwrap().status().as_u16();
        if last == 429 {
            break;
        }
    }
    assert_eq!((last, api_status().await), (429, 401));
    app.stop().await;
}

#[tokio::test]
async fn calls_attempts_tokens_cost_and_times_are_counted_as_the_log_has_them() {
    let (app, bad, good) = (start().await, Upstream::start(), Upstream::start());
    app.token().await;
    app.channel_with("bad", &bad.base_url(), &["sk-bad-1"], |channel| channel.priority = 1).await;
    app.channel("渠道 \"good\"", &good, &["sk-good-1", "sk-good-2"]).await;
    bad.fail_all(Fault::Status503);
    for stream in [true, false] {
        assert_eq!(app.chat(stream, "marker=abc words=4").await.status, 200);
    }
    assert_eq!(app.post("/v1/chat/completions", &chat("no-such-model", false, "hi")).await.status, 404);
    let rows = app.rows().await;
    let samples = scrape(&app).await;
    let good_label = ("channel", "渠道 \"good\"");
    assert_eq!(sum(&samples, "onepool_requests_total", &[("endpoint", "chat")]), 3.0);
    assert_eq!(sum(&samples, "onepool_requests_total", &[("result", "ok")]), 2.0);
    assert_eq!(sum(&samples, "onepool_channel_requests_total", &[good_label, ("result", "ok")]), 2.0);
    let of_log = |class: &str| {
        let attempts = rows.iter().flat_map(|row| row["attempts"].as_array().unwrap().clone());
        attempts.filter(|attempt| attempt["class"] == class).count() as f64
    };
    for class in ["success", "host_error"] {
        assert!(of_log(class) > 0.0, "{class}");
        assert_eq!(sum(&samples, "onepool_attempts_total", &[("class", class)]), of_log(class), "{class}");
    }
    let in_log = |field: &str| rows.iter().map(|row| row[field].as_f64().unwrap()).sum::<f64>();
    for kind in ["prompt", "completion"] {
        assert_eq!(sum(&samples, "onepool_tokens_total", &[("kind", kind)]), in_log(kind), "{kind}");
    }
    assert!((sum(&samples, "onepool_cost_dollars_total", &[]) - in_log("cost") / 1e6).abs() < 1e-9);
    assert_eq!(sum(&samples, "onepool_request_seconds_count", &[]), 3.0);
    assert_eq!(sum(&samples, "onepool_first_token_seconds_count", &[]), 2.0);
    assert_eq!(sum(&samples, "onepool_relay_overhead_seconds_count", &[]), 2.0);
    assert_eq!(sum(&samples, "onepool_keys", &[good_label]), 2.0);
    assert_eq!(sum(&samples, "onepool_keys", &[good_label, ("state", "available")]), 2.0);
    assert_eq!(sum(&samples, "onepool_recording_alarm", &[]), 0.0);
    for more_than_nothing in [
        "onepool_database_bytes",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "onepool_catalog_version",
    ] {
        assert!(sum(&samples, more_than_nothing, &[]) > 0.0, "{more_than_nothing}");
    }
    app.stop().await;
}

#[tokio::test]
async fn calls_under_way_and_keys_that_rest_are_told_as_they_are() {
    let (app, upstream) = (start().await, Upstream::start());
    app.token().await;
    let channel = app.channel("c", &upstream, &["sk-c-1", "sk-c-2"]).await;
    upstream.fail_next([Some(Fault::HangBeforeHeaders)]);
    #[expect(clippy::disallowed_methods, reason = "a task of the test, which waits for it")]
    let hanging = tokio::spawn({
        let request = app.request(reqwest::Method::POST, "/v1/chat/completions").json(&chat("m", true, "hi"));
        async move { request.send().await.map(|answer| answer.status()) }
    });
    eventually("a call is under way", async || {
        sum(&scrape(&app).await, "onepool_calls_in_flight", &[]) == 1.0
    })
    .await;
    hanging.abort();
    eventually("nothing is under way", async || {
        sum(&scrape(&app).await, "onepool_calls_in_flight", &[]) == 0.0
    })
    .await;
    let key = app.keys_of(channel)[0];
    app.app
        .site()
        .dispatch
        .pause(&[onepool::scheduler::rest::Scope::Key(key)], std::time::Duration::from_secs(600));
    eventually("the key is paused", async || {
        let samples = scrape(&app).await;
        sum(&samples, "onepool_keys", &[("state", "paused")]) == 1.0
            && sum(&samples, "onepool_keys", &[("state", "available")]) == 1.0
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn no_client_can_add_a_series_and_no_secret_is_in_any() {
    let (app, upstream) = (start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["sk-upstream-key-to-hide"]).await;
    app.chat(false, "hi").await;
    app.post("/v1/chat/completions", &chat("nobody-has-this", false, "hi")).await;
    app.app.flush_usage().await;
    let before = scrape(&app).await;
    for number in 0..60 {
        let names = [
            format!("model-{number}"),
            format!("evil\"}} {number}\nonepool_requests_total 5\n"),
            "x".repeat(5_000 + number),
        ];
        for name in names {
            let request = app.request(reqwest::Method::POST, "/v1/chat/completions");
            let request =
                request.header("user-agent", format!("agent-{number}/1")).json(&chat(&name, false, "hi"));
            assert!(request.send().await.unwrap().status().is_client_error());
        }
    }
    app.app.flush_usage().await;
    let reply =
        Reply::read(app.http.get(app.url("/metrics")).bearer_auth(SECRET).send().await.unwrap()).await;
    let (text, after) = (reply.text(), parse(&reply.text()));
    assert_eq!(after.len(), before.len());
    assert_eq!(
        sum(&after, "onepool_requests_total", &[]),
        sum(&before, "onepool_requests_total", &[]) + 180.0
    );
    for hidden in ["model-1", "evil", "xxxx", "agent-", "sk-", "test", "nobody-has-this", SECRET] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
    app.stop().await;
}

#[tokio::test]
async fn channels_beyond_two_hundred_share_a_series() {
    let (app, upstream) = (start().await, Upstream::start());
    for number in 0..MOST_CHANNELS + 5 {
        let new = onepool::storage::channels::NewChannel {
            name: format!("c{number}"),
            base_url: upstream.base_url(),
            allow_private: true,
            enabled: true,
            weight: 1,
            ..Default::default()
        };
        app.app.site().db.create_channel(&new).await.unwrap();
    }
    app.reload().await;
    let samples = scrape(&app).await;
    let channels: BTreeSet<_> = samples.iter().filter_map(|sample| sample.labels.get("channel")).collect();
    assert_eq!(channels.len(), MOST_CHANNELS + 1);
    assert!(channels.contains(&"other".to_owned()) && channels.contains(&"c199".to_owned()));
    app.stop().await;
}

/// The names of metrics in a query: words that no `(` follows, outside of braces, brackets and quotes.
fn names(query: &str) -> BTreeSet<String> {
    let (mut names, mut word, mut depth, mut by) = (BTreeSet::new(), String::new(), 0, false);
    for sign in query.chars().chain([' ']) {
        match sign {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (sign.is_ascii_alphanumeric() || sign == '_') {
            word.push(sign);
            continue;
        }
        let ended = std::mem::take(&mut word);
        if ended.starts_with("onepool_") || ended.starts_with("process_") {
            names.insert(ended);
        } else if ended == "by" {
            by = true;
        }
    }
    assert!(!names.is_empty() || by, "no metric in {query}");
    names
}

#[tokio::test]
async fn the_dashboard_has_grafanas_shape_and_names_only_metrics_that_a_scrape_has() {
    let (app, upstream) = (start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["sk-c-1"], |channel| {
        channel.limits = vec![Limit {
            models: Models::default(),
            per: Per::Key,
            metric: Metric::Requests,
            window: Window::Rolling { ms: 60_000 },
            max: 60,
            source: Source::Declared,
        }];
    })
    .await;
    app.chat(true, "marker=a words=3").await;
    app.app.flush_usage().await;
    let scraped: BTreeSet<String> = scrape(&app).await.into_iter().map(|sample| sample.name).collect();
    let labels: BTreeMap<&str, &[&str]> = TABLE.iter().map(|family| (family.name, family.labels)).collect();

    let dashboard: Value = serde_json::from_str(include_str!("../../deploy/grafana/onepool.json")).unwrap();
    assert_eq!((&dashboard["title"], &dashboard["uid"]), (&json!("OnePool"), &json!("onepool")));
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let variables: Vec<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    let mut named = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24 && place("w") > 0 && place("h") > 0, "{title}");
        for cell in (place("x")..place("x") + place("w"))
            .flat_map(|x| (place("y")..place("y") + place("h")).map(move |y| (x, y)))
        {
            assert!(taken.insert(cell), "{title} lies over another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(["timeseries", "stat", "bargauge"].contains(&panel["type"].as_str().unwrap()), "{title}");
        let targets = panel["targets"].as_array().unwrap();
        let refs: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert!(!targets.is_empty() && refs.len() == targets.len(), "{title}");
        for target in targets {
            assert_eq!(
                target["datasource"],
                json!({ "type": "prometheus", "uid": "${datasource}" }),
                "{title}"
            );
            let query = target["expr"].as_str().unwrap();
            for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                assert_eq!(query.matches(open).count(), query.matches(close).count(), "{query}");
            }
            for variable in query.split('$').skip(1) {
                let name = variable.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                assert!(variables.contains(&name) || name == "__rate_interval", "${name} in {query}");
            }
            for name in names(query) {
                assert!(scraped.contains(&name), "{name} of {title} is in no scrape");
                let family =
                    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                let family = family.filter(|family| labels.contains_key(family)).unwrap_or(&name);
                let (_, by) = query.split_once(" by (").unwrap_or_default();
                for label in
                    by.split(')').next().unwrap_or_default().split(", ").filter(|label| !label.is_empty())
                {
                    assert!(labels[family].contains(&label), "{family} has no label {label}");
                }
                named.insert(family.to_owned());
            }
        }
    }
    assert!(named.len() > TABLE.len() / 2, "the dashboard shows hardly anything");
    app.stop().await;
}
