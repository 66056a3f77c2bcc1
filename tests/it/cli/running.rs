//! Commands beside a running server, which follows them.

use serde_json::json;

use super::{Folder, KEY, upstream};
use crate::support::{app::eventually, upstream::Fault};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_follows_channels_keys_and_tokens() {
    let (folder, upstream) = (Folder::empty(), upstream());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    server.follows(&value, 200).await;

    folder.run(&["tokens", "disable", "laptop"]).ok();
    server.follows(&value, 401).await;
    folder.run(&["tokens", "enable", "LAPTOP"]).ok();
    server.follows(&value, 200).await;
    folder.run(&["channels", "disable", "groq"]).ok();
    server.follows(&value, 404).await;
    folder.run(&["channels", "enable", "groq"]).ok();
    server.follows(&value, 200).await;
    folder.run(&["keys", "disable", "1"]).ok();
    server.follows(&value, 503).await;
    folder.run(&["keys", "enable", "1"]).ok();
    server.follows(&value, 200).await;

    let replaced = folder.run(&["tokens", "replace", "laptop", "--grace", "1h"]).ok();
    server.follows(replaced.trim(), 200).await;
    assert_eq!(server.chat(&value).await, 200, "the grace time is not over");
    folder.run(&["tokens", "end-previous", "laptop", "--yes"]).ok();
    server.follows(&value, 401).await;
    folder.run(&["tokens", "remove", "laptop", "--yes"]).ok();
    server.follows(replaced.trim(), 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_ends_a_rest_that_everybody_can_see() {
    let (folder, upstream) = (Folder::empty(), upstream());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    server.follows(&value, 200).await;
    upstream.fail_all(Fault::Unauthorized);
    assert_eq!(server.chat(&value).await, 502);
    upstream.heal();
    assert_eq!(server.chat(&value).await, 503, "the key rests for an hour");

    eventually("the rest is saved", async || {
        folder.run(&["keys", "--json"]).json()["items"][0]["state"] == json!("resting")
    })
    .await;
    let status = folder.run(&["status", "--json"]).json();
    assert_eq!(status["keys"]["resting"][0]["rest"]["class"], json!("key_invalid"));
    assert_eq!(status["channels"]["available"], json!(0));
    for arguments in [&["status"][..], &["keys"], &["channels", "show", "Groq"]] {
        let text = folder.run(arguments).ok();
        assert!(text.contains("key invalid, HTTP 401"), "{text}");
    }
    folder.run(&["keys", "retry", "1"]).ok();
    assert_eq!(folder.run(&["keys", "--json"]).json()["items"][0]["state"], json!("available"));
    server.follows(&value, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_knows_the_running_server_its_calls_and_where_it_answers() {
    let (folder, upstream) = (Folder::empty(), upstream());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    server.follows(&value, 200).await;
    let asked = folder.run(&["status", "--json"]).json();
    assert_eq!(
        asked["server"],
        json!({ "running": true, "address": server.address.to_string(), "healthy": true })
    );
    assert_eq!((&asked["version"], &asked["last_backup"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(null)));
    assert!(
        asked["database_bytes"].as_u64().unwrap() > 0 && asked["schema"].as_i64().unwrap() >= 2,
        "{asked}"
    );
    eventually("the calls are counted", async || {
        let status = folder.run(&["status", "--json"]).json();
        status["last_hour"]["calls"].as_i64().unwrap() > 0 && status["journal"]["rows"] == json!(0)
    })
    .await;
    let text = folder.run(&["status"]).ok();
    assert!(text.contains(&format!("running, answers on {}", server.address)), "{text}");
    let text = folder.run_with(&["status"], &[("LANG", "zh_CN.UTF-8")]).ok();
    assert!(text.contains(&format!("运行中，{} 应答正常", server.address)), "{text}");

    let checked = folder.run(&["check-config", "--json"]).json();
    let port = checked["checks"].as_array().unwrap().iter().find(|check| check["about"] == "listen").unwrap();
    assert_eq!(port["result"], "ok", "the server on this folder is ours: {port}");

    std::fs::create_dir_all(folder.data.path().join("backups")).unwrap();
    std::fs::write(folder.data.path().join("backups/mine.db"), "12345").unwrap();
    std::fs::write(folder.data.path().join("backups/mine.db.draft"), "1").unwrap();
    drop(server);
    let status = folder.run(&["status", "--json"]).json();
    assert_eq!(status["server"], json!({ "running": false, "address": null, "healthy": null }));
    assert_eq!(
        (&status["last_backup"]["file"], &status["last_backup"]["bytes"]),
        (&json!("mine.db"), &json!(5))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_listed_and_summed_up_by_whatever_is_asked() {
    let (folder, upstream) = (Folder::empty(), upstream());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    let other = folder.run(&["tokens", "create", "other"]).ok();
    server.follows(&value, 200).await;
    server.follows(other.trim(), 200).await;
    let ok = |rows: &serde_json::Value| -> Vec<String> {
        let items = rows["items"].as_array().unwrap().iter().filter(|row| row["result"] == "ok");
        items.map(|row| row["token"]["name"].as_str().unwrap().to_owned()).collect()
    };
    eventually("both calls are in the log", async || {
        ok(&folder.run(&["usage", "log", "--json"]).json()).len() == 2
    })
    .await;
    let of_other = folder.run(&["usage", "log", "--token", "OTHER", "--status", "2xx", "--json"]).json();
    assert_eq!(ok(&of_other), ["other"]);
    let call = &of_other["items"][0];
    assert_eq!((&call["asked_model"], &call["channel"]["name"]), (&json!("m"), &json!("Groq")));
    let one = folder.run(&["usage", "log", "--limit", "1", "--json"]).json();
    assert!(one["items"].as_array().unwrap().len() == 1 && one["next"].is_string(), "{one}");

    let csv = folder.run(&["usage", "log", "--result", "ok", "--csv"]).ok();
    assert!(csv.starts_with("time,request_id,token,") && csv.lines().count() == 3, "{csv}");
    for (by, name) in
        [("token", "laptop"), ("model", "m"), ("channel", "Groq"), ("upstream", "m"), ("key", "main")]
    {
        let report = folder.run(&["usage", "report", "--by", by, "--result", "ok", "--json"]).json();
        assert_eq!((&report["by"], &report["totals"]["requests"]), (&json!(by), &json!(2)), "{report}");
        let names: Vec<&str> = report["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["name"].as_str().unwrap())
            .collect();
        assert!(names.contains(&name), "{by}: {names:?}");
    }
    let days = folder.run(&["usage", "--by", "day", "--since", "2d", "--result", "ok", "--json"]).json();
    let by_day: i64 =
        days["groups"].as_array().unwrap().iter().map(|day| day["sums"]["requests"].as_i64().unwrap()).sum();
    assert_eq!((days["groups"].as_array().unwrap().len(), by_day), (3, 2), "{days}");
    let only = folder.run(&["usage", "--token", "other", "--result", "ok", "--json"]).json();
    assert_eq!(only["totals"]["requests"], json!(1));
    let text = folder.run(&["usage"]).ok();
    assert!(text.contains("laptop") && text.lines().last().unwrap().starts_with("All"), "{text}");
    folder.run(&["usage", "log", "--token", "nobody"]).refused(2);
    folder.run(&["usage", "--since", "yesterday"]).refused(2);
    folder.run(&["usage", "--by", "day", "--since", "1000d"]).refused(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_tested_and_models_are_fetched_without_a_server() {
    let upstream = upstream();
    let (folder, _) = Folder::filled(&upstream.base_url());
    upstream.set_models(&["m", "n"]);
    let check = folder.run(&["keys", "check", "1", "--json"]).json();
    assert_eq!((&check["passed"], check["steps"].as_array().unwrap().len()), (&json!(true), 3), "{check}");
    upstream.fail_all(Fault::UnauthorizedEcho);
    let failed = folder.run(&["keys", "check", "1"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.out.contains("key invalid") && !failed.out.contains(KEY), "{failed:?}");
    upstream.heal();

    let found = folder.run(&["channels", "models", "Groq", "--fetch", "--json"]).json();
    let state = |name: &str| {
        let items = found["items"].as_array().unwrap();
        let named = |item: &&serde_json::Value| item["model"] == name || item["model"]["name"] == name;
        items.iter().find(named).map(|item| item["state"].as_str().unwrap().to_owned())
    };
    assert_eq!((state("n").as_deref(), state("m").as_deref()), (Some("new"), Some("offered")), "{found}");
    let before = folder.run(&["channels", "models", "Groq", "--json"]).json();
    assert_eq!(before["items"].as_array().unwrap().len(), 1, "looking changes nothing");
    folder.run(&["channels", "models", "Groq", "--fetch", "--apply"]).ok();
    let after = folder.run(&["channels", "models", "Groq", "--json"]).json();
    assert_eq!(after["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_counts_for_a_running_server() {
    let (folder, upstream) = (Folder::empty(), upstream());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    server.follows(&value, 200).await;
    let said = folder.run(&["channels", "pause", "groq", "--for", "5h"]).ok();
    assert!(said.starts_with("Channel “Groq” is paused until "), "{said}");
    server.follows(&value, 503).await;
    assert_eq!(folder.run(&["channels", "--json"]).json()["items"][0]["state"], json!("paused"));
    let explained = folder.run(&["explain", "M", "--json"]).json();
    assert_eq!(explained["candidates"][0]["hurdle"]["kind"], json!("paused"));
    let text = folder.run(&["explain", "m", "--token", "laptop"]).ok();
    assert!(text.contains("paused by operator") && text.contains("running server saved"), "{text}");
    folder.run(&["channels", "retry", "Groq"]).ok();
    server.follows(&value, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_without_a_server_counts_from_its_next_start_on() {
    let upstream = upstream();
    let (folder, value) = Folder::filled(&upstream.base_url());
    folder.run(&["keys", "pause", "1", "--for", "24h", "--model", "m"]).ok();
    let text = folder.run(&["explain", "m"]).ok();
    assert!(text.contains("paused by operator (m on key #1)") && text.contains("no server runs"), "{text}");
    let server = folder.serve();
    assert_eq!(
        server.chat(&value).await,
        503,
        "what was paused without a server is paused from its start on"
    );
    folder.run(&["keys", "retry", "1"]).ok();
    server.follows(&value, 200).await;
}

#[test]
fn capacity_and_explanations_do_without_a_server() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9");
    let capacity = folder.run(&["capacity", "--json"]).json();
    assert_eq!(capacity["items"][0]["capacity"]["unknown_keys"], json!(1));
    let text = folder.run(&["capacity"]).ok();
    assert!(text.contains("unknown") && text.contains("The whole pool"), "{text}");
    let explained = folder.run(&["explain", "m", "--json"]).json();
    assert_eq!(explained["candidates"][0]["place"], json!(1));
    folder.run(&["keys", "disable", "1"]).ok();
    assert!(folder.run(&["explain", "m"]).ok().contains("the key is switched off"));
    assert!(folder.run(&["explain", "other"]).ok().contains("No channel that is on offers this model"));
    for wrong in [
        &["explain", "m", "--prompt-tokens", "many"][..],
        &["channels", "pause", "Groq", "--for", "10s"],
        &["keys", "pause", "1", "--for", "31d"],
        &["keys", "pause", "1"],
        &["channels", "pause", "Groq", "--for", "1h", "--model", "other"],
    ] {
        folder.run(wrong).refused(2);
    }
    assert!(folder.run(&["explain", "m", "--token", "nobody"]).refused(1).contains("nobody"));
    folder.run(&["keys", "pause", "1", "--for", "1h"]).ok();
    assert_eq!(folder.run(&["keys", "--json"]).json()["items"][0]["rest"]["class"], json!("paused"));
}
