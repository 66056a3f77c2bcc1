//! The first steps on the command line: keys find their channels by themselves, accounts are recognised, and `setup` and
//! `auto` do everything in one go.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::Folder;
use crate::support::upstream::{KeyRules, KeyState, Upstream};

/// Has a provider's channels go to an upstream of ours, as an operator's file does.
fn provider_at(folder: &Folder, id: &str, upstream: &Upstream) {
    let providers = folder.data.path().join("providers");
    fs::create_dir_all(&providers).unwrap();
    let mut file = json!({ "id": id, "base_urls": [upstream.base_url()] });
    if id == "openrouter" {
        file["list"] = json!({ "url": "catalogue", "shape": "openrouter", "needs_key": false });
    }
    fs::write(providers.join(format!("{id}.json")), file.to_string()).unwrap();
}

/// A vendor that tells keys' accounts, as OpenRouter does: two models, one of them free.
fn openrouter(account: &str) -> Upstream {
    let upstream = Upstream::start();
    upstream.set_page("/v1/key", &json!({"data": {"creator_user_id": account, "is_free_tier": true}}));
    upstream.set_page(
        "/v1/catalogue",
        &json!({"data": [
            {"id": "acme/good:free", "context_length": 131_072, "pricing": {"prompt": "0", "completion": "0"}},
            {"id": "acme/dear", "context_length": 131_072, "pricing": {"prompt": "0.1", "completion": "0.2"}},
        ]}),
    );
    upstream
}

const ROUTER_KEY: &str = "sk-or-v1-0123456789abcdef";
const SECOND_KEY: &str = "sk-or-v1-fedcba9876543210";
const NVIDIA_KEY: &str = "nvapi-0123456789abcdef";

#[test]
fn a_key_alone_makes_its_channel_and_further_ones_join_it() {
    let folder = Folder::made();
    let upstream = openrouter("user_1");
    provider_at(&folder, "openrouter", &upstream);
    let first = folder.run_with(&["keys", "add", "env:MINE", "--json"], &[("MINE", ROUTER_KEY)]).json();
    let result = &first["results"][0];
    assert_eq!((&result["channel"], &result["new_channel"]), (&json!("OpenRouter"), &json!(true)), "{first}");
    assert_eq!((&result["account"], &result["quota_group"]), (&json!("user_1"), &json!("user_1")));
    assert_eq!((&result["label"], &result["verdict"]), (&json!("MINE"), &json!("known")));
    let channel = folder.run(&["channels", "show", "OpenRouter", "--json"]).json();
    assert_eq!(channel["models"][0]["name"], "acme/good:free", "{channel}");
    assert_eq!(channel["models"].as_array().unwrap().len(), 1, "what costs something is not offered");

    let second = folder.with_input(SECOND_KEY, &["keys", "add"]);
    let text = second.ok();
    assert!(text.contains("OpenRouter") && text.contains("user_1"), "{text}");
    assert!(text.contains("More keys of one account add nothing"), "{text}");
    assert_eq!(folder.run(&["channels", "--json"]).json()["items"].as_array().unwrap().len(), 1);
    for command in [&["status"][..], &["capacity"]] {
        let text = folder.run(command).ok();
        assert!(text.contains("2 keys belong to one account (user_1)"), "{text}");
    }
    let keys = folder.run(&["keys"]).ok();
    assert!(keys.contains("user_1 (told by the provider)"), "{keys}");
    assert!(upstream.inferences().is_empty(), "none of this costs a call");

    let again = folder.with_input(SECOND_KEY, &["keys", "add", "--json"]).json();
    assert_eq!((&again["added"], &again["duplicates"]), (&json!(0), &json!(1)));
}

#[test]
fn an_operators_word_on_the_account_counts_more_than_the_providers() {
    let folder = Folder::made();
    let upstream = openrouter("user_1");
    provider_at(&folder, "openrouter", &upstream);
    folder.with_input(ROUTER_KEY, &["keys", "add"]).ok();
    folder.run(&["keys", "edit", "1", "--quota-group", ""]).ok();
    folder.run(&["keys", "check", "--fresh"]).ok();
    let group = |id: usize| folder.run(&["keys", "--json"]).json()["items"][id]["quota_group"].clone();
    assert_eq!(group(0), Value::Null, "it was undone, and stays so");
    folder.with_input(SECOND_KEY, &["keys", "add", "--account", "mine"]).ok();
    assert_eq!(group(1), "mine");
}

#[test]
fn a_key_that_may_be_of_several_providers_is_refused_with_their_names_and_added_where_one_is_named() {
    let folder = Folder::made();
    let upstream = Upstream::start();
    upstream.set_models(&["m"]);
    provider_at(&folder, "deepseek", &upstream);
    let key = "sk-0123456789abcdef0123456789abcdef";
    let unclear = folder.with_input(key, &["keys", "add"]);
    assert_eq!(unclear.code, Some(1));
    assert!(
        unclear.out.contains("--provider with one of: dashscope, deepseek")
            && unclear.out.contains("Moonshot"),
        "{unclear:?}"
    );
    assert!(!unclear.out.contains(key) && !unclear.err.contains(key));
    let unknown = folder.with_input("0123456789abcdef", &["keys", "add"]);
    assert!(unknown.code == Some(1) && unknown.out.contains("--provider"), "{unknown:?}");
    assert_eq!(folder.run(&["channels", "--json"]).json()["items"], json!([]), "no channel is left behind");
    let file = folder.data.path().join("keys.env");
    fs::write(&file, format!("DEEPSEEK_API_KEY={key}\n")).unwrap();
    let named = folder.run(&["keys", "add", "--file", file.to_str().unwrap(), "--json"]).json();
    assert_eq!(named["results"][0]["channel"], "DeepSeek", "the variable tells: {named}");
    folder.with_input("sk-ffffffffffffffff", &["keys", "add", "--provider", "deepseek"]).ok();
    assert_eq!(folder.run(&["keys", "--json"]).json()["items"].as_array().unwrap().len(), 2);
    let odd = folder.with_input(key, &["keys", "add", "--provider", "depseek"]).refused(2);
    assert!(odd.contains("--provider") && odd.contains("deepseek"), "{odd}");
    let account = folder.with_input("cf-0123456789abcdef", &["keys", "add", "--provider", "cloudflare"]);
    assert!(account.out.contains("{account_id}") && account.out.contains("--base-url"), "{account:?}");
}

#[test]
fn a_key_on_the_command_line_is_taken_with_a_word_on_the_shells_history() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    let ran = folder.run(&["keys", "add", "Groq", NVIDIA_KEY]);
    assert!(ran.code == Some(0) && ran.err.contains("history"), "{ran:?}");
    assert!(!ran.out.contains(NVIDIA_KEY) && !ran.err.contains(NVIDIA_KEY));
    let wrong = folder.run(&["keys", "add", "Grok"]).refused(1);
    assert!(wrong.contains("Grok"), "a name that is not there is no key: {wrong}");
}

#[test]
fn auto_goes_from_variables_to_a_working_token_and_changes_nothing_when_run_again() {
    let folder = Folder::empty();
    let (router, nvidia) = (openrouter("user_1"), Upstream::start());
    nvidia.set_models(&["nvidia/small"]);
    provider_at(&folder, "openrouter", &router);
    provider_at(&folder, "nvidia", &nvidia);
    let environment = [("OPENROUTER_API_KEY", ROUTER_KEY), ("NVIDIA_API_KEY_2", NVIDIA_KEY)];
    let planned = folder.run_with(&["auto", "--dry-run", "--json"], &environment).json();
    assert_eq!((&planned["added"], &planned["dry_run"]), (&json!(2), &json!(true)));
    assert!(!folder.data.path().join("onepool.db").exists(), "nothing was made");
    assert!(router.calls().is_empty() && nvidia.calls().is_empty(), "nobody was asked");

    let done = folder.run_with(&["auto", "--json"], &environment).json();
    assert_eq!(done["added"], 2, "{done}");
    let verdicts: Vec<&Value> =
        done["checks"].as_array().unwrap().iter().map(|one| &one["check"]["verdict"]).collect();
    assert!(verdicts.contains(&&json!("known")) && verdicts.contains(&&json!("callable")), "{done}");
    assert_eq!(nvidia.inferences().len(), 1, "one call proves a key");
    let value = done["token"]["value"].as_str().unwrap().to_owned();
    assert!(done["openclaw"].to_string().contains(&value), "{done}");
    assert_eq!(done["server"]["running"], false);
    let auto = done["chains"].as_array().unwrap().iter().find(|chain| chain["name"] == "auto").unwrap();
    assert!(!auto["steps"].as_array().unwrap().is_empty(), "{done}");

    let again = folder.run_with(&["auto", "--json"], &environment).json();
    assert_eq!((&again["added"], &again["duplicates"]), (&json!(0), &json!(2)));
    assert_eq!((&again["token"]["name"], &again["token"]["value"]), (&json!("openclaw"), &Value::Null));
    assert_eq!(nvidia.inferences().len(), 1, "a proof holds for a day");
    assert_eq!(folder.run(&["channels", "--json"]).json()["items"].as_array().unwrap().len(), 2);
    let text = folder.run_with(&["auto"], &environment).ok();
    assert!(text.contains("onepool serve") && !text.contains('\u{1b}') && !text.contains(&value), "{text}");
}

#[test]
fn auto_says_where_it_looked_and_switches_a_wrong_key_off() {
    let folder = Folder::empty();
    let nothing = folder.run(&["auto"]).refused(2);
    assert!(nothing.contains("OPENROUTER_API_KEY") && nothing.contains("--keys"), "{nothing}");
    assert!(!folder.data.path().join("onepool.db").exists());
    let nvidia = Upstream::start();
    nvidia.set_models(&["nvidia/small"]);
    nvidia.set_key(NVIDIA_KEY, KeyRules { state: KeyState::Valid, ..KeyRules::default() });
    provider_at(&folder, "nvidia", &nvidia);
    let ran = folder.with_input(
        &format!("NVIDIA_API_KEY={NVIDIA_KEY}\nother: nvapi-wrong-00000000"),
        &["auto", "--keys", "-", "--json"],
    );
    assert_eq!(ran.code, Some(1), "a script notices: {ran:?}");
    let keys = folder.run(&["keys", "--json"]).json();
    let states: Vec<&Value> = keys["items"].as_array().unwrap().iter().map(|key| &key["state"]).collect();
    assert_eq!(states, [&json!("available"), &json!("off")]);
}

#[test]
fn setup_asks_for_what_it_cannot_know_and_ends_with_what_a_client_needs() {
    let folder = Folder::empty();
    let (router, deepseek) = (openrouter("user_1"), Upstream::start());
    deepseek.set_models(&["deepseek-small"]);
    provider_at(&folder, "openrouter", &router);
    provider_at(&folder, "deepseek", &deepseek);
    // The language, a key whose form tells its provider, one whose does not, the provider by its word, and the end.
    let answers = format!("zh\n{ROUTER_KEY}\nsk-0123456789abcdef0123456789abcdef\ndeepseek\n\n");
    let ran = folder.with_input(&answers, &["setup"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("语言") && ran.err.contains("属于 OpenRouter"), "{}", ran.err);
    assert!(ran.out.contains("OpenRouter") && ran.out.contains("DeepSeek"), "{}", ran.out);
    assert!(ran.out.contains("onepool serve") && ran.out.contains("\"models\""), "{}", ran.out);
    assert!(!ran.out.contains(ROUTER_KEY) && !ran.err.contains(ROUTER_KEY));
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "nothing is drawn: {}", ran.err);
    let again = folder.with_input("en\n\n", &["setup"]);
    assert!(again.out.contains("Token “openclaw” is there"), "{again:?}");
    let nothing = Folder::empty().with_input("en\n\n", &["setup"]).refused(1);
    assert!(nothing.contains("no channel yet"), "{nothing}");
}

#[test]
fn setup_works_at_a_terminal() {
    let folder = Folder::empty();
    let router = openrouter("user_1");
    provider_at(&folder, "openrouter", &router);
    let program = format!("{} setup", env!("CARGO_BIN_EXE_onepool"));
    let mut child = Command::new("script")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm")
        .env("DATA_DIR", folder.data.path())
        .env("PORT", "0")
        .args(["-qefc", &program, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` of util-linux");
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut answer = |until: &str, text: &str| {
        let from = seen.len();
        let mut some = [0_u8; 4096];
        while !seen[from..].contains(until) {
            let count = output.read(&mut some).unwrap();
            assert!(count > 0, "it ended before it asked “{until}”: {seen}");
            seen.push_str(&String::from_utf8_lossy(&some[..count]));
        }
        input.write_all(text.as_bytes()).unwrap();
    };
    answer(">", "1\n");
    answer("Key:", &format!("{ROUTER_KEY}\n"));
    answer("Next key", "\n");
    answer("onepool serve", "");
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(folder.run(&["keys", "--json"]).json()["items"][0]["quota_group"], "user_1");
}

#[test]
fn status_tells_keys_quotas_chains_and_health() {
    let (folder, nvidia) = (Folder::empty(), Upstream::start());
    nvidia.set_models(&["nvidia/small"]);
    provider_at(&folder, "nvidia", &nvidia);
    folder.run_with(&["auto"], &[("NVIDIA_API_KEY", NVIDIA_KEY)]).ok();
    let status = folder.run(&["status", "--json"]).json();
    let quota = &status["quota"][0];
    assert_eq!((&quota["channel"], &quota["keys"]["good"]), (&json!("NVIDIA NIM"), &json!(1)), "{status}");
    assert_eq!(quota["next_minute"]["at_most"], 40, "{status}");
    assert_eq!((&status["problems"], &status["keys"]["good"]), (&json!([]), &json!(1)), "{status}");
    assert!(status["chains"].as_array().unwrap().iter().any(|chain| chain["name"] == "auto"), "{status}");
    let text = folder.run(&["status"]).ok();
    assert!(text.contains("1: 1 good, 0 resting, 0 refused, 0 off") && text.contains("auto: "), "{text}");
    folder.run(&["keys", "disable", "1"]).ok();
    let status = folder.run(&["status", "--json"]).json();
    assert_eq!(status["problems"].as_array().unwrap().len(), 1, "{status}");
    let chinese = folder.run_with(&["status"], &[("LANG", "zh_CN.UTF-8")]).ok();
    assert!(chinese.contains("没有渠道可接收调用"), "{chinese}");
}
