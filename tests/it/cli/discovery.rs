//! What upstreams list and which keys they take, on the command line.

use serde_json::json;

use super::{Folder, KEY};
use crate::support::upstream::{KeyRules, Upstream};

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
