//! `onepool openclaw apply`, `status` and `probe`, with a program that models OpenClaw's commands.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Folder, Ran, Server};
use crate::support::upstream::{Fault, Upstream};

/// Its commands, as far as they are used: `config validate|get|patch` and `gateway restart`. Files beside the
/// configuration make it refuse.
const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$*" >> calls
env >> environment
file="$PWD/openclaw.json"
case "$*" in
"config validate --json")
    if [ ! -f openclaw.json ]; then
        printf '{"ok":false,"error":{"message":"file not found"},"valid":false,"path":"%s"}\n' "$file"; exit 1
    fi
    if [ -f invalid ] || { [ -f reject ] && [ -f patched ]; }; then
        printf '{"ok":false,"valid":false,"path":"%s","issues":[{"path":"models","message":"odd"}]}\n' "$file"; exit 1
    fi
    printf '{"valid":true,"path":"%s","warnings":[]}\n' "$file" ;;
"config get "*)
    [ -f "get.$3" ] && cat "get.$3" && exit 0
    echo '{"ok":false,"error":{"message":"Config path is valid but unset: x"}}'; exit 1 ;;
"config patch --stdin "*)
    cat > input
    [ -f old ] && { echo "error: unknown command 'patch'" >&2; exit 1; }
    [ -f refuse ] && { echo "Config validation failed: Unrecognized key: bogus $(cat input)" >&2; exit 1; }
    case "$*" in *--dry-run*) echo '{"ok":true}'; exit 0 ;; esac
    cp input openclaw.json; touch patched; echo 'Applied.' ;;
"gateway restart --safe") [ -f stuck ] && { echo 'no gateway' >&2; exit 1; }; echo restarted ;;
*) echo "error: unknown command '$1'" >&2; exit 1 ;;
esac
"#;

/// A folder with the program and its configuration.
struct Client(TempDir);

impl Client {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("openclaw");
        fs::write(&program, SCRIPT).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, folder: &Folder, arguments: &[&str]) -> Ran {
        let path = format!("{}:/usr/bin:/bin", self.0.path().display());
        let words = [&["openclaw"], arguments].concat();
        folder.run_with(&words, &[("PATH", &path), ("ADMIN_PASSWORD", "correct horse")])
    }

    fn configuration(&self) -> Value {
        serde_json::from_str(&self.read("openclaw.json")).unwrap()
    }

    fn copies(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(".onepool-")).collect()
    }
}

const URL: &str = "http://127.0.0.1:9";

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

fn codes(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report}"));
    findings
        .iter()
        .map(|finding| (finding["code"].as_str().unwrap(), finding["state"].as_str().unwrap()))
        .collect()
}

fn has_code(report: &Value, code: &str, state: &str) {
    assert!(codes(report).contains(&(code, state)), "no {code} {state}: {report:#}");
}

#[test]
fn a_look_shows_what_would_change_and_writes_nothing() {
    let (folder, value) = Folder::filled(&format!("{URL}/v1"));
    let client = Client::new();
    let text = client.run(&folder, &["apply", "--url", URL, "--dry-run"]).ok();
    for part in ["+ model m", "onepool.baseUrl", "agents.defaults.model.primary", "Nothing was written."] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(&value) && text.contains(&value[value.len() - 4..]), "{text}");
    assert!(!client.has("openclaw.json") && client.copies().is_empty());
    assert!(client.read("calls").contains("--dry-run --json"), "OpenClaw itself was asked");
    let report = client.run(&folder, &["apply", "--url", URL, "--dry-run", "--json"]).json();
    assert_eq!((&report["code"], &report["applied"]), (&json!("dry_run"), &json!(false)));
    assert!(!report.to_string().contains(&value), "{report:#}");
}

#[test]
fn an_apply_goes_through_openclaws_own_command_and_the_token_only_through_its_input() {
    let (folder, value) = Folder::filled(&format!("{URL}/v1"));
    let client = Client::new();
    client.write("openclaw.json", r#"{"agents":{"defaults":{"model":{"primary":"other/x"}}}}"#);
    let before = client.read("openclaw.json");
    let refused = client.run(&folder, &["apply", "--url", URL]);
    assert!(refused.refused(2).contains("--yes"), "nobody is there to answer");
    assert_eq!(client.read("openclaw.json"), before);

    let ran = client.run(&folder, &["apply", "--url", URL, "--yes", "--restart", "--json"]);
    let report = json_of(&ran);
    assert_eq!((ran.code, &report["code"], &report["restarted"]), (Some(0), &json!("applied"), &json!(true)));
    let provider = &client.configuration()["models"]["providers"]["onepool"];
    assert_eq!((&provider["apiKey"], &provider["baseUrl"]), (&json!(value), &json!(format!("{URL}/v1"))));
    let copy = report["backup"].as_str().unwrap();
    assert_eq!(fs::read_to_string(copy).unwrap(), before);
    assert_eq!(Path::new(copy).metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let calls = client.read("calls");
    assert!(calls.contains("config patch --stdin --replace-path models.providers.onepool.models"), "{calls}");
    assert!(calls.contains("gateway restart --safe"), "{calls}");
    for told in [calls, client.read("environment"), ran.out, ran.err] {
        assert!(!told.contains(&value) && !told.contains("correct horse"), "{told}");
    }

    let again = client.run(&folder, &["apply", "--url", URL, "--yes", "--json"]).json();
    assert_eq!((&again["code"], &again["changes"]), (&json!("nothing_to_change"), &json!([])));
    assert_eq!(client.copies().len(), 1);
}

#[test]
fn what_openclaw_does_not_accept_is_put_back_as_it_was() {
    let (folder, _) = Folder::filled(&format!("{URL}/v1"));
    let client = Client::new();
    let before = "{ \"agents\": {} }\n";
    client.write("openclaw.json", before);
    client.write("reject", "");
    let ran = client.run(&folder, &["apply", "--url", URL, "--yes", "--json"]);
    let report = json_of(&ran);
    assert_eq!((ran.code, &report["code"], &report["applied"]), (Some(1), &json!("restored"), &json!(false)));
    assert!(report["message"].as_str().unwrap().contains("models: odd"), "{report:#}");
    assert_eq!(client.read("openclaw.json"), before);

    fs::remove_file(client.path("openclaw.json")).unwrap();
    fs::remove_file(client.path("patched")).unwrap();
    assert_eq!(client.run(&folder, &["apply", "--url", URL, "--yes"]).code, Some(1));
    assert!(!client.has("openclaw.json"), "there was none before");
}

#[test]
fn a_refused_patch_leaves_everything_and_never_repeats_the_token() {
    let (folder, value) = Folder::filled(&format!("{URL}/v1"));
    let client = Client::new();
    client.write("openclaw.json", "{}");
    client.write("refuse", "");
    for more in [&["--yes"][..], &["--dry-run"]] {
        let ran = client.run(&folder, &[&["apply", "--url", URL, "--json"], more].concat());
        assert_eq!((ran.code, &json_of(&ran)["code"]), (Some(1), &json!("refused")), "{ran:?}");
        assert!(ran.out.contains("Unrecognized key") && !ran.out.contains(&value), "{ran:?}");
    }
    assert_eq!((client.read("openclaw.json").as_str(), client.copies().len()), ("{}", 0));
    fs::remove_file(client.path("refuse")).unwrap();
    client.write("old", "");
    let ran = client.run(&folder, &["apply", "--url", URL, "--yes", "--json"]);
    assert_eq!((ran.code, &json_of(&ran)["code"]), (Some(1), &json!("openclaw_too_old")));
}

#[test]
fn a_gateway_that_does_not_restart_is_told_after_the_change() {
    let (folder, _) = Folder::filled(&format!("{URL}/v1"));
    let client = Client::new();
    client.write("stuck", "");
    let ran = client.run(&folder, &["apply", "--url", URL, "--yes", "--restart", "--json"]);
    let report = json_of(&ran);
    assert_eq!(
        (ran.code, &report["code"], &report["applied"]),
        (Some(1), &json!("not_restarted"), &json!(true))
    );
    assert!(client.has("openclaw.json"));
}

#[test]
fn what_is_wrong_is_told_before_anything_is_run() {
    let (folder, _) = Folder::filled(&format!("{URL}/v1"));
    let client = Client::new();
    for (arguments, named) in [
        (&["apply", "--alias", "m"][..], "--alias"),
        (&["apply", "--model", "nothing-like-it"], "--model"),
        (&["apply", "--provider", "openai"], "--provider"),
        (&["apply", "--openclaw", "/nowhere/openclaw"], "--openclaw"),
        (&["status", "--openclaw", "/nowhere/openclaw"], "--openclaw"),
        (&["probe", "--timeout", "0"], "--timeout"),
        (&["probe", "--model", "nothing-like-it", "--url", URL], "--model"),
    ] {
        let text = client.run(&folder, arguments).refused(2);
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
    assert!(!client.has("calls"), "{}", client.read("calls"));
    let absent = folder.run(&["openclaw", "apply", "--url", URL, "--yes"]).refused(1);
    assert!(absent.contains("--openclaw PATH"), "{absent}");
    let chinese = folder.run_with(&["openclaw", "status"], &[("LANG", "zh_CN.UTF-8")]);
    assert!(chinese.code == Some(1) && chinese.out.contains("PATH 中没有 OpenClaw"), "{chinese:?}");
    client.write("openclaw.json", "{}");
    client.write("invalid", "");
    let text = client.run(&folder, &["apply", "--url", URL, "--yes"]).refused(1);
    assert!(text.contains("models: odd") && text.contains("doctor --fix"), "{text}");
    assert!(!client.has("input"));
}

/// A server with a model that works, and a client that was applied to.
fn in_step() -> (Folder, Server, Upstream, Client, String) {
    let (folder, upstream, client) = (Folder::empty(), Upstream::start(), Client::new());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    let url = format!("http://{}", server.address);
    client.run(&folder, &["apply", "--url", &url, "--yes"]).ok();
    (folder, server, upstream, client, value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_tells_what_is_out_of_step() {
    let (folder, server, _upstream, client, value) = in_step();
    server.follows(&value, 200).await;
    let ran = client.run(&folder, &["status", "--json"]);
    let report = json_of(&ran);
    assert_eq!((ran.code, &report["in_step"]), (Some(0), &json!(true)), "{report:#}");
    for code in ["config_valid", "provider_there", "token_known", "url_answers", "models_same", "use_served"]
    {
        has_code(&report, code, "ok");
    }
    has_code(&report, "token_generic", "note");
    assert!(!ran.out.contains(&value));

    let mut configuration = client.configuration();
    configuration["agents"]["defaults"]["model"]["fallbacks"] = json!(["onepool/gone"]);
    configuration["agents"]["defaults"]["modelPolicy"] = json!({ "allow": ["other/*"] });
    configuration["models"]["providers"]["onepool"]["models"] =
        json!([{ "id": "m", "name": "m", "contextWindow": 5 }, { "id": "gone", "name": "gone" }]);
    client.write("openclaw.json", &configuration.to_string());
    folder.run(&["channels", "edit", "Groq", "--add-model", "new"]).ok();
    let ran = client.run(&folder, &["status", "--json"]);
    let report = json_of(&ran);
    assert_eq!(ran.code, Some(1), "{report:#}");
    for code in ["models_missing", "models_extra", "models_changed", "use_unserved", "allowlist_shut"] {
        has_code(&report, code, "differs");
    }

    // A file with comments is read by OpenClaw's own command, which shows no key.
    client.write("get.models", &configuration["models"].to_string().replace(&value, "__OPENCLAW_REDACTED__"));
    client.write("get.agents", &configuration["agents"].to_string());
    client.write("openclaw.json", &format!("// mine\n{configuration}"));
    let report = json_of(&client.run(&folder, &["status", "--json"]));
    has_code(&report, "token_known", "ok");
    has_code(&report, "models_extra", "differs");

    configuration["models"]["providers"]["onepool"]["apiKey"] = json!("sk-of-somebody-else");
    client.write("openclaw.json", &configuration.to_string());
    has_code(&json_of(&client.run(&folder, &["status", "--json"])), "token_unknown", "differs");
    configuration["models"]["providers"]["onepool"]["apiKey"] = json!("${NOT_SET_HERE}");
    client.write("openclaw.json", &configuration.to_string());
    has_code(&json_of(&client.run(&folder, &["status", "--json"])), "token_variable", "note");
    folder.run(&["tokens", "disable", "laptop"]).ok();
    configuration["models"]["providers"]["onepool"]["apiKey"] = json!(value);
    client.write("openclaw.json", &configuration.to_string());
    has_code(&json_of(&client.run(&folder, &["status", "--json"])), "token_off", "differs");

    client.write("openclaw.json", "{}");
    has_code(&json_of(&client.run(&folder, &["status", "--json"])), "provider_missing", "differs");
    fs::remove_file(client.path("openclaw.json")).unwrap();
    has_code(&json_of(&client.run(&folder, &["status", "--json"])), "config_absent", "differs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_asks_each_model_as_openclaw_would_and_names_its_bucket() {
    let (folder, server, upstream, _client, value) = in_step();
    server.follows(&value, 200).await;
    let url = format!("http://{}", server.address);
    let asked = upstream.inferences().len();
    let report = folder.run(&["openclaw", "probe", "--url", &url, "--json"]).json();
    assert_eq!((&report["ok"], &report["items"][0]["result"]), (&json!(true), &json!("ok")), "{report:#}");
    assert_eq!(upstream.inferences().len(), asked + 1, "one call a model");
    upstream.fail_all(Fault::Unauthorized);
    let ran = folder.run(&["openclaw", "probe", "--url", &url, "--json"]);
    let report = json_of(&ran);
    assert_eq!((ran.code, &report["ok"]), (Some(1), &json!(false)), "{report:#}");
    let item = &report["items"][0];
    assert!(item["result"] != "ok" && item["status"].is_u64() && item["latency_ms"].is_u64(), "{item}");
    assert!(!ran.out.contains(&value));
    let text = folder.run(&["openclaw", "probe", "--url", &url]);
    assert!(text.out.contains("1 of 1 models") && text.err.contains("charged"), "{text:?}");
    drop(server);
    let gone = folder.run(&["openclaw", "probe", "--url", &url]).refused(1);
    assert!(gone.contains("No server answers"), "{gone}");
}
