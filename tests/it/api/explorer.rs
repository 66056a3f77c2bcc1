//! The usage explorer says the same numbers everywhere: on the page, in its files, to scripts, on the command line, and in
//! the rows of the log. In zones whose days are not those of UTC, and over a change of clocks.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::Arc,
};

use onepool::{
    model::{
        id::{ChannelId, KeyId, RequestId, TokenId},
        time::{Clock, UnixMs},
        usage::{Attempt, CallResult, Endpoint, OutcomeClass, TokenCounts, UsageRecord},
    },
    storage::{rollups::Histogram, usage_query::report::GroupBy},
    web::admin::usage::metric::Metric,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::app::{TestApp, at};

/// In Berlin the clocks go back on October 25th.
const FROM: &str = "2026-10-24T18:30:00Z";
const TO: &str = "2026-10-26T18:30:00Z";

fn call(n: u32) -> UsageRecord {
    let reached = n % 9 != 8;
    let (status, result) = match n % 9 {
        8 => (404, CallResult::NoChannel),
        7 => (502, CallResult::UpstreamError),
        6 => (499, CallResult::ClientClosed),
        _ => (200, CallResult::Ok),
    };
    let key = KeyId(i64::from(n % 4) + 1);
    let channel = ChannelId(key.0 % 2 + 1);
    let attempt = |class| Attempt {
        channel_id: channel,
        key_id: key,
        model: format!("up-{}", n % 3),
        waited_ms: 0,
        waited_for: None,
        started_ms: 0,
        first_byte_ms: None,
        duration_ms: 5,
        status: Some(200),
        class,
        model_fault: None,
        detail: String::new(),
    };
    UsageRecord {
        request_id: RequestId(uuid::Uuid::from_u128(n.into())),
        at: UnixMs(at(FROM).0 + i64::from(n) * 23 * 60_000 + 61_000),
        token_id: TokenId(i64::from(n % 3) + 1),
        channel_id: reached.then_some(channel),
        key_id: reached.then_some(key),
        asked_model: ["smart", "Fast", "=cmd()", "smart-2"][(n % 4) as usize].into(),
        served_model: reached.then(|| format!("up-{}", n % 3)),
        endpoint: if n.is_multiple_of(5) { Endpoint::Embeddings } else { Endpoint::Chat },
        stream: n.is_multiple_of(2),
        status,
        result,
        error_code: None,
        queue_ms: (n * 7) % 900,
        first_token_ms: (result == CallResult::Ok).then_some(100 + (n * 37) % 2000),
        total_ms: 300 + (n * 91) % 9000,
        tokens: TokenCounts {
            prompt: u64::from(n) * 3,
            completion: u64::from(n),
            cached: u64::from(n % 7),
            reasoning: 2,
        },
        estimated: n.is_multiple_of(11),
        units: None,
        cost_micros: i64::from(n) * 1_234,
        saved_micros: i64::from(n) * 10,
        client_address: "127.0.0.1".into(),
        client_kind: if n.is_multiple_of(3) { "openclaw" } else { "curl" }.into(),
        client_version: None,
        trace_id: None,
        quota_unit: None,
        quota_charge: 0,
        quota_period: UnixMs(0),
        charges: Vec::new(),
        attempts: match n % 9 {
            8 => Vec::new(),
            0 => vec![attempt(OutcomeClass::RateLimited), attempt(OutcomeClass::Success)],
            _ => vec![attempt(OutcomeClass::Success)],
        },
    }
}

/// A server on the clock of a zone, with calls before, within and after the period.
async fn world(zone: &str) -> (Api, Vec<UsageRecord>) {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let clock = Clock::manual(at("2026-10-27T12:00:00Z"));
    let api = Api::of(TestApp::start_in(data, clock, &[("TZ", zone)]).await).await;
    let mut records: Vec<UsageRecord> = (1..=170).map(call).collect();
    records.push(UsageRecord { at: UnixMs(at(FROM).0 - 1), ..call(301) });
    records.push(UsageRecord { at: UnixMs(at(FROM).0 - 86_400_000), ..call(302) });
    api.app.app.site().db.insert_usage(&records).await.unwrap();
    let inside = |record: &UsageRecord| record.at >= at(FROM) && record.at < at(TO);
    records.retain(inside);
    assert!(records.len() > 100 && records.len() < 170);
    (api, records)
}

/// What the commands print on the server's folder.
fn command(api: &Api, zone: &str, arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_onepool"))
        .env_clear()
        .env("DATA_DIR", api.app.data.path().join("data"))
        .env("TZ", zone)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn group_of(by: GroupBy, record: &UsageRecord) -> String {
    let id = |id: Option<i64>| id.map(|id| format!("#{id}")).unwrap_or_default();
    match by {
        GroupBy::Token => id(Some(record.token_id.0)),
        GroupBy::Channel => id(record.channel_id.map(|id| id.0)),
        GroupBy::Key => id(record.key_id.map(|id| id.0)),
        GroupBy::Model => record.asked_model.clone(),
        GroupBy::Upstream => record.served_model.clone().unwrap_or_default(),
        GroupBy::Endpoint => record.endpoint.to_string(),
        GroupBy::Client => record.client_kind.clone(),
        GroupBy::Status => record.status.to_string(),
    }
}

/// The metric of rows as programs get it: a count, dollars or milliseconds; nothing without a value.
fn value(metric: Metric, records: &[&UsageRecord]) -> String {
    let sum = |of: fn(&UsageRecord) -> u64| records.iter().map(|record| of(record)).sum::<u64>().to_string();
    let quantile = |of: fn(&UsageRecord) -> Option<u32>, share: f64| {
        let mut histogram = Histogram::default();
        records.iter().filter_map(|record| of(record)).for_each(|ms| histogram.add(ms));
        histogram.quantile(share).map(|ms| ms.to_string()).unwrap_or_default()
    };
    match metric {
        Metric::Requests => records.len().to_string(),
        Metric::Errors => sum(|record| u64::from(record.result != CallResult::Ok)),
        Metric::Tokens => sum(|record| record.tokens.total()),
        Metric::Prompt => sum(|record| record.tokens.prompt),
        Metric::Completion => sum(|record| record.tokens.completion),
        Metric::Cached => sum(|record| record.tokens.cached),
        Metric::Reasoning => sum(|record| record.tokens.reasoning),
        Metric::Cost => {
            let micros: i64 = records.iter().map(|record| record.cost_micros).sum();
            format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
        }
        Metric::FirstP50 => quantile(|record| record.first_token_ms, 0.5),
        Metric::FirstP95 => quantile(|record| record.first_token_ms, 0.95),
        Metric::FirstP99 => quantile(|record| record.first_token_ms, 0.99),
        Metric::TotalP50 => quantile(|record| Some(record.total_ms), 0.5),
        Metric::TotalP95 => quantile(|record| Some(record.total_ms), 0.95),
        Metric::TotalP99 => quantile(|record| Some(record.total_ms), 0.99),
        Metric::QueueP50 => quantile(|record| Some(record.queue_ms), 0.5),
        Metric::QueueP95 => quantile(|record| Some(record.queue_ms), 0.95),
        Metric::QueueP99 => quantile(|record| Some(record.queue_ms), 0.99),
    }
}

/// Rows by group, with the metric of each.
fn expected(metric: Metric, by: GroupBy, records: &[UsageRecord]) -> BTreeMap<String, String> {
    let mut groups: BTreeMap<String, Vec<&UsageRecord>> = BTreeMap::new();
    for record in records {
        groups.entry(group_of(by, record)).or_default().push(record);
    }
    groups.into_iter().map(|(name, records)| (name, value(metric, &records))).collect()
}

/// The lines of the page's table: what each is called, and its metric for programs.
fn lines_of_page(page: &str) -> BTreeMap<String, String> {
    let lines = page.split("<td class=\"name\">").skip(1).map(|line| {
        let name = line.split_once('>').unwrap().1.split_once('<').unwrap().0;
        let name = if name.starts_with('(') { "" } else { name };
        let value = line.split("<data value=\"").nth(1).unwrap().split('"').next().unwrap();
        (name.replace("&#38;", "&"), value.to_owned())
    });
    lines.collect()
}

/// The column of a file.
fn column(metric: Metric) -> &'static str {
    match metric {
        Metric::Errors => "failed",
        Metric::Cost => "cost_dollars",
        Metric::FirstP50 => "first_token_p50_ms",
        Metric::FirstP95 => "first_token_p95_ms",
        Metric::FirstP99 => "first_token_p99_ms",
        Metric::TotalP50 => "total_p50_ms",
        Metric::TotalP95 => "total_p95_ms",
        Metric::TotalP99 => "total_p99_ms",
        Metric::QueueP50 => "queue_p50_ms",
        Metric::QueueP95 => "queue_p95_ms",
        Metric::QueueP99 => "queue_p99_ms",
        other => other.as_str(),
    }
}

/// The lines of a file as cells; no cell of these holds a comma.
fn cells(file: &str) -> Vec<Vec<String>> {
    let plain = |cell: &str| cell.trim_matches('"').trim_start_matches('\'').to_owned();
    file.trim_start_matches('\u{feff}').lines().map(|line| line.split(',').map(plain).collect()).collect()
}

/// A number of the API as a file writes it.
fn plain(metric: Metric, value: &Value) -> String {
    match (metric, value) {
        (_, Value::Null) => String::new(),
        (Metric::Cost, value) => format!("{:.6}", value.as_f64().unwrap()),
        (_, value) => value.to_string(),
    }
}

async fn everything_agrees_in(zone: &str) {
    let (api, records) = world(zone).await;
    for metric in Metric::ALL.iter().copied() {
        for by in GroupBy::ALL.iter().copied() {
            let what = format!("{zone} {metric} {by}");
            let query = format!("metric={metric}&by={by}&from={FROM}&to={TO}");
            let expected = expected(metric, by, &records);

            assert_eq!(lines_of_page(&api.page(&format!("/usage?{query}")).await), expected, "page, {what}");

            let file = cells(&api.page(&format!("/usage.csv?{query}")).await);
            let place = file[0].iter().position(|name| name == column(metric));
            let found: BTreeMap<String, String> = file[1..]
                .iter()
                .map(|line| {
                    let value = match place {
                        Some(place) => line[place].clone(),
                        // The file has both kinds of tokens by themselves.
                        None => {
                            let of = |name: &str| file[0].iter().position(|other| other == name).unwrap();
                            let number = |name| line[of(name)].parse::<u64>().unwrap();
                            (number("prompt_tokens") + number("completion_tokens")).to_string()
                        }
                    };
                    (line[0].clone(), value)
                })
                .collect();
            assert_eq!(found, expected, "file, {what}");

            let report = api.get(&format!("/api/usage/report?{query}")).await;
            let all: Vec<&UsageRecord> = records.iter().collect();
            let whole = value(metric, &all);
            if metric.adds_up() {
                let steps = report["series"]["totals"].as_array().unwrap();
                let sum: f64 = steps.iter().map(|step| step.as_f64().unwrap()).sum();
                assert!((sum - whole.parse::<f64>().unwrap()).abs() < 1e-6, "steps, {what}: {sum} {whole}");
                let of_groups = report["series"]["groups"].as_array().unwrap().iter();
                let sum: f64 = of_groups
                    .flat_map(|group| group["values"].as_array().unwrap())
                    .map(|step| step.as_f64().unwrap())
                    .sum();
                assert!((sum - whole.parse::<f64>().unwrap()).abs() < 1e-6, "groups' steps, {what}");
            }
            let name = match metric {
                Metric::Tokens => None,
                Metric::Prompt | Metric::Completion | Metric::Cached | Metric::Reasoning => {
                    Some(format!("/tokens/{}", metric.as_str().trim_end_matches("_tokens")))
                }
                Metric::Cost => Some("/cost".to_owned()),
                other => Some(format!("/{}", column(other))),
            };
            if let Some(name) = name {
                let of = |sums: &Value| plain(metric, sums.pointer(&name).unwrap());
                assert_eq!(of(&report["totals"]), whole, "totals, {what}");
                let mut found: Vec<String> =
                    report["groups"].as_array().unwrap().iter().map(|group| of(&group["sums"])).collect();
                let mut wanted: Vec<String> = expected.into_values().collect();
                found.sort();
                wanted.sort();
                assert_eq!(found, wanted, "api, {what}");
            }
        }
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_file_and_api_agree_with_the_rows_over_a_change_of_clocks() {
    everything_agrees_in("Europe/Berlin").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_file_and_api_agree_with_the_rows_where_hours_begin_at_half_past() {
    everything_agrees_in("Asia/Kolkata").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_prints_what_the_api_and_the_page_say() {
    for zone in ["Europe/Berlin", "Asia/Kolkata"] {
        let (api, _) = world(zone).await;
        for (by, metric) in GroupBy::ALL.iter().zip(Metric::ALL.iter().cycle().skip(5)) {
            let (by, metric) = (by.as_str(), metric.as_str());
            let query = format!("metric={metric}&by={by}&from={FROM}&to={TO}&compare=true");
            let shared =
                ["usage", "report", "--metric", metric, "--by", by, "--from", FROM, "--to", TO, "--compare"];
            let said: Value =
                serde_json::from_str(&command(&api, zone, &[&shared[..], &["--json"]].concat())).unwrap();
            let report = api.get(&format!("/api/usage/report?{query}")).await;
            for field in ["by", "metric", "from", "to", "totals", "saved", "groups", "before"] {
                assert_eq!(said[field], report[field], "{zone} {by} {metric}: {field}");
            }
            for field in ["step", "starts", "totals"] {
                assert_eq!(said["series"][field], report["series"][field], "{zone} {by} {metric}: {field}");
            }
            let file = command(&api, zone, &[&shared[..], &["--csv"]].concat());
            let of_page = api.page(&format!("/usage.csv?{query}")).await;
            assert_eq!(file, of_page.trim_start_matches('\u{feff}'), "{zone} {by} {metric}");
        }
        api.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_saved_stands_below_the_cost_of_whole_hours_and_of_one_owner() {
    let (api, records) = world("Asia/Kolkata").await;
    let (from, to) = ("2026-10-24T19:00:00Z", "2026-10-26T18:00:00Z");
    let inside = |record: &&UsageRecord| record.at >= at(from) && record.at < at(to);
    let of = |filter: &str, record: &UsageRecord| match filter {
        "" => true,
        "&token=3" => record.token_id == TokenId(3),
        "&channel=1" => record.channel_id == Some(ChannelId(1)),
        _ => record.key_id == Some(KeyId(2)),
    };
    for filter in ["", "&token=3", "&channel=1", "&key=2"] {
        let query = format!("by=model&from={from}&to={to}{filter}");
        let saved: i64 = records
            .iter()
            .filter(inside)
            .filter(|record| of(filter, record))
            .map(|record| record.saved_micros)
            .sum();
        let report = api.get(&format!("/api/usage/report?{query}")).await;
        let told = report["saved"].as_f64().unwrap();
        assert!(saved > 0 && (told * 1e6 - saved as f64).abs() < 0.5, "{filter}: {told} for {saved}");
        assert!(api.page(&format!("/usage?{query}")).await.contains("Saved: ≈ $"), "{filter}");
    }
    for filter in ["&model=smart", "&token=3&key=2", "&to=2026-10-26T18:30:00Z"] {
        let to = if filter.starts_with("&to=") { String::new() } else { format!("&to={to}") };
        let query = format!("by=model&from={from}{to}{filter}");
        assert!(api.get(&format!("/api/usage/report?{query}")).await["saved"].is_null(), "{filter}");
        assert!(!api.page(&format!("/usage?{query}")).await.contains("Saved: "), "{filter}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_those_of_the_zone_and_the_one_on_which_clocks_change_has_all_its_hours() {
    for (zone, starts) in [
        ("Europe/Berlin", ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]),
        ("Asia/Kolkata", ["2026-10-24T18:30:00Z", "2026-10-25T18:30:00Z", ""]),
    ] {
        let (api, records) = world(zone).await;
        let query = format!("by=model&from={FROM}&to={TO}&step=day");
        let report = api.get(&format!("/api/usage/report?{query}")).await;
        let starts: Vec<&str> = starts.into_iter().filter(|start| !start.is_empty()).collect();
        assert_eq!(report["series"]["starts"], json!(starts), "{zone}");
        let borders = starts.iter().map(|start| at(start)).chain([at(TO)]).collect::<Vec<_>>();
        let counts: Vec<usize> = borders
            .windows(2)
            .map(|day| records.iter().filter(|record| record.at >= day[0] && record.at < day[1]).count())
            .collect();
        assert_eq!(report["series"]["totals"], json!(counts), "{zone}");
        // Each step of the page leads to as many calls in the log.
        let page = api.page(&format!("/usage?{query}")).await;
        let table = page.split("id=\"series\"").nth(1).unwrap();
        let links = table.split("scope=\"row\"><a href=\"").skip(1);
        let links: Vec<String> =
            links.map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&")).collect();
        assert_eq!(links.len(), counts.len(), "{zone}");
        for (link, count) in links.iter().zip(counts) {
            let file = api.page(&link.replacen("/log", "/log.csv", 1)).await;
            assert_eq!(file.lines().count() - 1, count, "{zone}: {link}");
        }
        api.stop().await;
    }
}

#[tokio::test]
async fn filters_narrow_the_report_as_they_narrow_the_log() {
    let (api, records) = world("Europe/Berlin").await;
    for (filter, count) in [
        ("token=2", records.iter().filter(|record| record.token_id.0 == 2).count()),
        ("channel=1", records.iter().filter(|record| record.channel_id == Some(ChannelId(1))).count()),
        ("channel=0", records.iter().filter(|record| record.channel_id.is_none()).count()),
        (
            "key=3&status=2xx",
            records.iter().filter(|r| r.key_id == Some(KeyId(3)) && r.status == 200).count(),
        ),
        ("asked=fast", records.iter().filter(|record| record.asked_model == "Fast").count()),
        ("model=smart*", records.iter().filter(|record| record.asked_model.starts_with("smart")).count()),
        ("upstream=up-1", records.iter().filter(|r| r.served_model.as_deref() == Some("up-1")).count()),
        ("endpoint=embeddings", records.iter().filter(|r| r.endpoint == Endpoint::Embeddings).count()),
        ("client=openclaw", records.iter().filter(|record| record.client_kind == "openclaw").count()),
        ("result=failed", records.iter().filter(|record| record.result != CallResult::Ok).count()),
        ("stream=true", records.iter().filter(|record| record.stream).count()),
    ] {
        let query = format!("by=status&from={FROM}&to={TO}&{filter}");
        let report = api.get(&format!("/api/usage/report?{query}")).await;
        assert_eq!(report["totals"]["requests"], json!(count), "{filter}");
        let page = lines_of_page(&api.page(&format!("/usage?{query}")).await);
        assert_eq!(
            page.values().map(|count| count.parse::<usize>().unwrap()).sum::<usize>(),
            count,
            "{filter}"
        );
        let log = api.page(&format!("/log.csv?{query}")).await;
        assert_eq!(log.lines().count() - 1, count, "{filter}");
    }
    for (wrong, field) in [
        ("status=6xx", "status"),
        ("result=odd", "result"),
        ("limit=0", "limit"),
        ("metric=speed", "metric"),
        ("period=7d&from=2026-10-24T18:30:00Z", "period"),
    ] {
        let reply = api.send(Method::GET, &format!("/api/usage/report?{wrong}"), None).await;
        assert_refused(&reply, 422, "invalid_input");
        assert_eq!(fields(&reply), [field], "{wrong}");
    }
    api.stop().await;
}
