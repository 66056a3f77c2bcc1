//! What upstreams list and which keys they take, on the command line.

use serde_json::json;

use super::{Folder, KEY};
use crate::support::upstream::{
    KeyRules, Upstream,
    skill::{Skills, Tools, Vision},
};

#[test]
fn upstreams_are_asked_and_what_they_list_is_listed() {
    let upstream = Upstream::start();
    upstream.set_models(&["m", "other"]);
    let (folder, _) = Folder::filled(&upstream.base_url());
    assert!(folder.run(&["models"]).ok().contains("`onepool refresh` asks the upstreams"));
    let asked = folder.run(&["refresh", "--json"]).json();
    assert_eq!((&asked["items"][0]["models"], &asked["items"][0]["first"]), (&json!(2), &json!(true)));
    let models = folder.run(&["models", "--json"]).json();
    assert_eq!((&models["total"], &models["items"][1]["name"]), (&json!(2), &json!("other")));
    assert_eq!(folder.run(&["models", "--new", "--json"]).json()["total"], 1);
    assert_eq!(folder.run(&["models", "--free", "--json"]).json()["total"], 0, "nobody said that it is free");
    upstream.set_models(&["m"]);
    let text = folder.run(&["refresh", "groq"]).ok();
    assert!(text.contains("0 appeared, 0 changed, 1 gone"), "{text}");
    assert_eq!(folder.run(&["models", "--changes", "--json"]).json()["items"][0]["kind"], "vanished");
    upstream.fail_models_list(crate::support::upstream::Fault::Status502);
    let failed = folder.run(&["refresh"]);
    assert!(failed.code == Some(1) && failed.out.contains("HTTP 502"), "{failed:?}");
    assert_eq!(folder.run(&["models", "--json"]).json()["total"], 1, "what is known stays");
}

#[test]
fn every_key_is_proved_once_a_day_and_a_wrong_one_makes_the_command_fail() {
    let upstream = Upstream::start();
    let (folder, _) = Folder::filled(&upstream.base_url());
    let good = folder.run(&["keys", "check", "--json"]).json();
    assert_eq!(good["items"][0]["check"]["verdict"], "callable");
    assert_eq!(upstream.inferences().len(), 1);
    folder.run(&["keys", "check"]).ok();
    assert_eq!(upstream.inferences().len(), 1, "it is believed for a day");
    upstream.set_key("another-key", KeyRules::default());
    let bad = folder.run(&["keys", "check", "--fresh", "--channel", "Groq"]);
    assert!(bad.code == Some(1) && bad.out.contains("Invalid") && !bad.out.contains(KEY), "{bad:?}");
}

#[test]
fn a_channel_is_made_of_a_provider_and_a_key_and_no_key_stands_on_the_command_line() {
    let folder = Folder::made();
    let refused = folder
        .run(&["channels", "add", "--provider", "openrouter", "--key", "sk-or-v1-0123456789"])
        .refused(2);
    assert!(refused.contains("--key") && !refused.contains("sk-or-v1"), "{refused}");
    let upstream = Upstream::start();
    upstream.set_models(&["m", "n"]);
    let arguments = [
        "channels",
        "add",
        "--base-url",
        &upstream.base_url(),
        "--allow-private",
        "true",
        "--provider",
        "groq",
        "--key",
        "env:GROQ",
        "--json",
    ];
    let made = folder.run_with(&arguments, &[("GROQ", "gsk_0123456789")]).json();
    assert_eq!((&made["name"], &made["provider"]), (&json!("Groq"), &json!("groq")));
    assert_eq!(made["models"], json!(["m", "n"]));
    let unclear =
        folder.run_with(&["channels", "add", "--key", "env:SOME"], &[("SOME", "sk-0123456789")]).refused(2);
    assert!(unclear.contains("--provider"), "{unclear}");
}

/// A channel of OpenRouter's kind, whose list says what is free.
fn with_free_models(upstream: &Upstream, models: &[&str]) -> Folder {
    let entry = |id: &&str| {
        json!({"id": id, "context_length": 131_072, "pricing": {"prompt": "0", "completion": "0"},
            "supported_parameters": ["tools"], "architecture": {"input_modalities": ["text", "image"]}})
    };
    upstream.set_list(&json!({ "data": models.iter().map(entry).collect::<Vec<_>>() }));
    let folder = Folder::made();
    let base_url = upstream.base_url();
    let add = ["channels", "add", "--name", "OR", "--base-url", &base_url, "--allow-private", "true"];
    let more = ["--provider", "openrouter", "--model", "paid/m"];
    folder.run(&[&add[..], &more].concat()).ok();
    folder.with_input(KEY, &["keys", "add", "OR"]).ok();
    folder.run(&["refresh"]).ok();
    folder
}

#[test]
fn a_scan_tries_out_free_models_tells_what_it_costs_and_offers_what_is_good() {
    let upstream = Upstream::start();
    let folder = with_free_models(&upstream, &["a/seeing-7b:free", "b/mute-70b:free", "c/blind-30b:free"]);
    upstream.set_skills("a/seeing-7b:free", Skills::default());
    upstream.set_skills("b/mute-70b:free", Skills { tools: Tools::Ignores, ..Skills::default() });
    upstream.set_skills("c/blind-30b:free", Skills { vision: Vision::Accepts, ..Skills::default() });
    let listed = folder.run(&["scan", "--no-probe", "--min-params", "30", "--json"]).json();
    let names = |json: &serde_json::Value| -> Vec<String> {
        json["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["model"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&listed), ["b/mute-70b:free", "c/blind-30b:free"]);
    assert_eq!(upstream.inferences().len(), 0);

    let asked = folder.run(&["scan"]).refused(2);
    assert!(asked.contains("3 models") && asked.contains("6 calls") && asked.contains("--yes"), "{asked}");
    assert!(asked.contains("50 calls a day") && asked.contains("may make 2 more today"), "{asked}");
    assert_eq!(folder.run(&["scan", "--no-input"]).code, Some(2));
    assert_eq!(upstream.inferences().len(), 0, "nobody agreed");

    let small = folder.run(&["scan", "--yes", "--provider", "a", "--json"]).json();
    assert_eq!((&small["calls"], &small["items"][0]["image"]), (&json!(2), &json!(true)), "{small:#}");
    assert_eq!(small["items"][0]["chosen"], true);
    assert_eq!(folder.run(&["scan", "--yes", "--provider", "a", "--json"]).json()["calls"], 0, "known");
    let short = folder.run(&["scan", "--yes", "--json"]).json();
    assert_eq!((&short["calls"], &short["held_back"]), (&json!(0), &json!("share")), "{short:#}");
    assert_eq!(upstream.inferences().len(), 2, "a twentieth of fifty is two");

    let all = folder
        .run(&["scan", "--yes", "--quota-percent", "50", "--set-default", "--set-image", "--json"])
        .json();
    let order = ["a/seeing-7b:free", "b/mute-70b:free", "c/blind-30b:free"];
    assert_eq!(names(&all), order, "who sees, and among those who calls tools: {all:#}");
    let choice: Vec<&serde_json::Value> =
        all["items"].as_array().unwrap().iter().map(|item| &item["chosen"]).collect();
    assert_eq!(choice.iter().filter(|chosen| ***chosen == json!(true)).count(), 2, "{all:#}");
    assert_eq!(all["pinned"]["auto"], "a/seeing-7b:free");
    assert_eq!(all["pinned"]["auto:vision"], "a/seeing-7b:free");
    let offered = folder.run(&["channels", "models", "OR", "--json"]).json();
    // A model of which nothing is known is its name alone.
    let name = |item: &'_ serde_json::Value| item["name"].as_str().or(item.as_str()).unwrap().to_owned();
    let offered: Vec<String> = offered["items"].as_array().unwrap().iter().map(name).collect();
    assert_eq!(offered, ["paid/m", "a/seeing-7b:free", "c/blind-30b:free"]);

    let text = folder.run_with(&["scan", "--no-probe"], &[("LANG", "zh_CN.UTF-8")]).ok();
    assert!(text.contains("能识别图像的模型") && text.contains("已接收") && !text.contains(KEY), "{text}");
    for wrong in
        [["--timeout", "0"], ["--concurrency", "x"], ["--min-params", "-1"], ["--quota-percent", "101"]]
    {
        let told = folder.run(&["scan", wrong[0], wrong[1]]).refused(2);
        assert!(told.contains(wrong[0]), "{told}");
    }
}

#[test]
fn a_running_server_charges_the_calls_of_a_scan() {
    let upstream = Upstream::start();
    let folder = with_free_models(&upstream, &["a/one:free"]);
    upstream.set_skills("a/one:free", Skills::default());
    let _server = folder.serve();
    // What is left of today's fifty calls, and tomorrow's.
    let left = || folder.run(&["capacity", "--json"]).json()["pool"]["next_day"].as_u64();
    assert_eq!(left(), Some(100));
    folder.run(&["scan", "--yes"]).ok();
    for _ in 0..100 {
        if left() == Some(98) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    panic!("{}", folder.run(&["capacity", "--json"]).ok());
}
