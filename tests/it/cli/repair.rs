//! `onepool repair`: what it finds, what it mends, and what it leaves alone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{Folder, KEY, Ran};
use crate::support::upstream::{Fault, KeyRules, Upstream};

/// The findings of a report, as `code` and `state`.
fn codes(report: &Value) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report}"));
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    findings.iter().map(|finding| (word(finding, "code"), word(finding, "state"))).collect()
}

/// The only finding of a code.
fn found<'a>(report: &'a Value, code: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report}"));
    let mut fitting = findings.iter().filter(|finding| finding["code"] == code);
    let one = fitting.next().unwrap_or_else(|| panic!("no {code}: {report:#}"));
    assert!(fitting.next().is_none(), "{code} twice: {report:#}");
    one
}

impl Ran {
    /// The report, whatever the exit code says.
    fn report(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A fake OpenClaw that notes its calls and answers as `cases` says (a part of a shell's `case`).
fn openclaw(folder: &Path, cases: &str) -> String {
    let program = folder.join("openclaw");
    let calls = folder.join("calls");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\necho \"secret: ${{SECRET_KEY:-none}}\" >> '{}.environment'\ncase \"$*\" in\n{cases}\nesac\nexit 0\n",
        calls.display(),
        calls.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder.display().to_string()
}

fn calls(folder: &Path) -> Vec<String> {
    let calls = fs::read_to_string(folder.join("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

#[test]
fn a_look_changes_nothing_and_calls_nobody() {
    let upstream = Upstream::start();
    let (folder, _) = Folder::filled(&upstream.base_url());
    // The commands before have folded the log into the file by now.
    let bytes = |folder: &Folder| fs::read(folder.data.path().join("onepool.db")).unwrap();
    let files = |folder: &Folder| {
        let mut names: Vec<_> =
            fs::read_dir(folder.data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (bytes(&folder), files(&folder));
    let ran = folder.run(&["repair", "--dry-run", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = ran.report();
    assert_eq!((&report["ok"], &report["dry_run"]), (&json!(true), &json!(true)));
    assert!(before == (bytes(&folder), files(&folder)), "the data folder was changed");
    assert_eq!(upstream.inferences().len(), 0);
    assert!(codes(&report).iter().all(|(_, state)| state != "fixed"), "{report:#}");
    for code in
        ["database_sound", "server_stopped", "port_free", "settings_fine", "providers_fine", "no_leftovers"]
    {
        found(&report, code);
    }
    assert_eq!(found(&report, "not_asked")["state"], "skipped");
    assert_eq!(found(&report, "clock_unknown")["state"], "skipped", "this upstream sends no date");
    let text = folder.run(&["repair", "--dry-run"]).ok();
    assert!(text.contains("Nothing was changed.") && text.contains("Keys and models (keys)"), "{text}");
    let chinese = folder.run_with(&["repair", "--dry-run"], &[("LANG", "zh_CN.UTF-8")]).ok();
    assert!(chinese.contains("密钥与模型 (keys)") && chinese.contains("数据库完好。"), "{chinese}");
}

#[test]
fn a_key_that_turned_bad_is_told_with_the_remedy_and_not_asked_again() {
    let upstream = Upstream::start();
    let (folder, _) = Folder::filled(&upstream.base_url());
    let good = folder.run(&["repair", "--only", "keys", "--json"]);
    assert_eq!((good.code, found(&good.report(), "key_valid")["state"].as_str()), (Some(0), Some("ok")));
    assert_eq!(upstream.inferences().len(), 1);
    let again = folder.run(&["repair", "--only", "keys", "--json"]).json();
    assert_eq!(codes(&again), [("believed".to_owned(), "ok".to_owned())]);
    assert_eq!(upstream.inferences().len(), 1, "what is proved is believed");

    folder.with_input("gsk_another_key_of_ours", &["keys", "add", "Groq", "--label", "second"]).ok();
    upstream.set_key(KEY, KeyRules::default());
    let bad = folder.run(&["repair", "--only", "keys", "--json"]);
    let report = bad.report();
    assert_eq!((bad.code, &report["ok"]), (Some(1), &json!(false)));
    let finding = found(&report, "key_invalid");
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("#2 second") && message.contains("HTTP 401"), "{finding}");
    assert!(finding["remedy"].as_str().unwrap().contains("replace it"), "{finding}");
    assert!(!bad.out.contains("gsk_another"), "{bad:?}");
    let asked = upstream.inferences().len();
    assert_eq!(folder.run(&["repair", "--only", "keys", "--json"]).code, Some(1));
    assert_eq!(upstream.inferences().len(), asked, "a refusal is believed for a day as well");
    assert_eq!(folder.run(&["repair", "--only", "server"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_answers_again_ends_its_rest_beside_a_running_server() {
    let (folder, upstream) = (Folder::empty(), Upstream::start());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    server.follows(&value, 200).await;
    upstream.fail_all(Fault::Unauthorized);
    assert_eq!(server.chat(&value).await, 502);
    upstream.heal();
    crate::support::app::eventually("the rest is saved", async || {
        folder.run(&["keys", "--json"]).json()["items"][0]["state"] == json!("resting")
    })
    .await;
    // The call before it is in the log, so the key counts as proved; a fresh one is asked.
    folder.with_input("gsk_another_key_of_ours", &["keys", "add", "Groq"]).ok();
    let ran = folder.run(&["repair", "--json"]);
    let report = ran.report();
    assert_eq!(ran.code, Some(0), "{report:#}");
    assert!(found(&report, "server_answers")["message"].as_str().unwrap().contains("127.0.0.1"));
    for code in ["no_stuck_slots", "tasks_run", "clock_steady", "reload_asked", "rows_are_the_servers"] {
        assert_eq!(found(&report, code)["state"], if code.starts_with("rows") { "skipped" } else { "ok" });
    }
    server.follows(&value, 200).await;
}

#[test]
fn a_broken_provider_file_a_wrong_setting_and_a_wrong_pool_file_are_told_with_their_places() {
    let folder = Folder::made();
    fs::create_dir_all(folder.data.path().join("providers")).unwrap();
    fs::write(folder.data.path().join("providers/groq.json"), "{\"name\": }").unwrap();
    let pool = folder.data.path().join("pool.toml");
    fs::write(&pool, "[[channel]]\nname = 7\n").unwrap();
    let path = pool.display().to_string();
    let ran = folder.run_with(&["repair", "--only", "config", "--json"], &[("POOL_FILE", &path)]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.report();
    let message = found(&report, "provider_file_wrong")["message"].as_str().unwrap();
    assert!(message.contains("groq.json"), "{message}");
    let wrong: Vec<_> = codes(&report).into_iter().filter(|(code, _)| code == "pool_file_wrong").collect();
    assert!(!wrong.is_empty() && ran.out.contains("pool.toml"), "{report:#}");
    found(&report, "openclaw_absent");
    assert_eq!(fs::read_to_string(folder.data.path().join("providers/groq.json")).unwrap(), "{\"name\": }");
}

#[test]
fn a_chain_of_ones_own_is_told_what_nobody_serves_and_left_as_it_is() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    folder.run(&["chains", "add", "--name", "mine", "--step", "m", "--step", "gone-model"]).ok();
    let before = folder.run(&["chains", "show", "mine", "--json"]).json();
    let ran = folder.run(&["repair", "--only", "chains", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let finding = found(&ran.report(), "step_unserved").clone();
    assert!(finding["message"].as_str().unwrap().contains("gone-model"), "{finding}");
    assert_eq!(folder.run(&["chains", "show", "mine", "--json"]).json(), before);
    folder.run(&["chains", "disable", "mine"]).ok();
    assert_eq!(folder.run(&["repair", "--only", "chains", "--json"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_the_database_is_emptied_while_the_server_goes_on() {
    let (folder, upstream) = (Folder::empty(), Upstream::start());
    let server = folder.serve();
    let value = folder.fill(&upstream.base_url());
    server.follows(&value, 200).await;
    let log = folder.data.path().join("onepool.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0);
    crate::support::app::eventually("nobody reads", async || {
        let report = folder.run(&["repair", "--only", "space", "--json"]).json();
        codes(&report).contains(&("log_emptied".to_owned(), "fixed".to_owned()))
    })
    .await;
    assert_eq!(server.chat(&value).await, 200);
}

#[test]
fn drafts_that_a_kill_has_left_go_and_what_people_named_stays() {
    let folder = Folder::made();
    let backups = folder.data.path().join("backups");
    fs::create_dir_all(&backups).unwrap();
    let old = "scheduled-20250101-000000.db.draft";
    let kept = ["mine.db.draft", "onepool-20250101-000000.db", "scheduled-20250102-000000.db.draft"];
    for name in kept.iter().chain([&old]) {
        fs::write(backups.join(name), "x").unwrap();
    }
    let long_ago = fs::File::open(backups.join(kept[2])).unwrap().metadata().unwrap().modified().unwrap()
        - Duration::from_secs(86_400);
    for name in [old, kept[0], kept[1]] {
        fs::File::options().write(true).open(backups.join(name)).unwrap().set_modified(long_ago).unwrap();
    }
    let look = folder.run(&["repair", "--only", "space", "--dry-run", "--json"]).json();
    assert_eq!(found(&look, "leftovers")["state"], "would_fix");
    assert!(backups.join(old).exists());
    let report = folder.run(&["repair", "--only", "space", "--json"]).json();
    assert_eq!(found(&report, "leftovers_deleted")["state"], "fixed");
    assert!(!backups.join(old).exists());
    for name in kept {
        assert!(backups.join(name).exists(), "{name}");
    }
}

#[test]
fn a_damaged_database_is_told_with_the_remedy_and_nothing_writes_to_it() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    let path = folder.data.path().join("onepool.db");
    let whole = fs::read(&path).unwrap();
    // The pages behind the first ones, which hold the schema.
    let mut bytes = whole.clone();
    let length = bytes.len();
    bytes[length * 3 / 4..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let ran = folder.run(&["repair", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = ran.report();
    let needs: Vec<&Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["state"] == "needs_you" && finding["step"] == "server")
        .collect();
    assert!(
        needs.iter().any(|finding| finding["remedy"].as_str().unwrap().contains("onepool restore")),
        "{report:#}"
    );
    let skipped = codes(&report).iter().filter(|(_, state)| state == "skipped").count();
    assert!(skipped >= 5, "{report:#}");
    // No database at all, and one that is none.
    fs::write(&path, "not a database, but long enough to be looked at as one").unwrap();
    let ran = folder.run(&["repair"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("onepool restore FILE"), "{ran:?}");
    let none = Folder::empty().run(&["repair", "--json"]);
    assert_eq!(
        (none.code, found(&none.report(), "database_unusable")["state"].as_str()),
        (Some(1), Some("needs_you"))
    );
}

#[test]
fn openclaw_is_only_asked_what_reads_and_never_to_fix_or_restart_by_itself() {
    let folder = Folder::made();
    let bin = tempfile::tempdir().unwrap();
    let path = openclaw(bin.path(), "'sessions cleanup'*) echo 'would remove 3 of 9 sessions' ;;");
    let with = [("PATH", path.as_str())];
    let ran = folder.run_with(&["repair", "--json"], &with);
    let report = ran.report();
    assert_eq!(ran.code, Some(0), "{report:#}");
    for code in ["openclaw_config_valid", "openclaw_doctor_content", "openclaw_sessions"] {
        assert_eq!(found(&report, code)["state"], "ok");
    }
    let reading = ["config validate", "doctor --lint", "sessions cleanup --all-agents --dry-run"];
    assert_eq!(calls(bin.path()), reading);

    fs::remove_file(bin.path().join("calls")).unwrap();
    let asked = ["repair", "--clean-openclaw", "--restart-openclaw", "--json"];
    let look = folder.run_with(&[&asked[..], &["--dry-run"]].concat(), &with).json();
    assert_eq!(found(&look, "openclaw_would_restart")["state"], "would_fix");
    assert_eq!(calls(bin.path()), reading, "a look only reads");

    fs::remove_file(bin.path().join("calls")).unwrap();
    let report = folder.run_with(&asked, &with).json();
    assert_eq!(found(&report, "openclaw_cleaned")["state"], "fixed");
    assert_eq!(found(&report, "openclaw_restarted")["state"], "fixed");
    assert_eq!(
        calls(bin.path()),
        ["config validate", "doctor --lint", "sessions cleanup --all-agents", "gateway restart --safe"]
    );
}

#[test]
fn what_openclaw_complains_of_is_shown_and_an_old_release_is_no_fault() {
    let folder = Folder::made();
    let bin = tempfile::tempdir().unwrap();
    let path = openclaw(
        bin.path(),
        "'config validate') echo 'models.providers.pool: Unrecognized key: foo' >&2; exit 1 ;;\n\
         'doctor --lint') echo \"error: unknown option '--lint'\" >&2; exit 1 ;;\n\
         'gateway restart --safe') echo \"error: unknown option '--safe'\" >&2; exit 1 ;;",
    );
    let with = [("PATH", path.as_str())];
    let ran = folder.run_with(&["repair", "--only", "config", "--json"], &with);
    let report = ran.report();
    assert_eq!(ran.code, Some(1), "{report:#}");
    let message = found(&report, "openclaw_config_invalid")["message"].as_str().unwrap();
    assert!(message.contains("Unrecognized key: foo"), "{message}");
    assert_eq!(found(&report, "openclaw_too_old")["state"], "skipped");
    let report =
        folder.run_with(&["repair", "--only", "reload", "--restart-openclaw", "--json"], &with).json();
    assert_eq!(found(&report, "openclaw_restarted")["state"], "fixed");
    let last = calls(bin.path());
    assert_eq!(last[last.len() - 2..], ["gateway restart --safe", "gateway restart"]);
}

#[test]
fn openclaw_never_sees_our_secrets() {
    let key = "0123456789012345678901234567890123456789";
    let folder = Folder::empty();
    let mut serving = folder.command(&["serve"]);
    let mut child = serving.env("SECRET_KEY", key).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let bin = tempfile::tempdir().unwrap();
    let path = openclaw(bin.path(), "");
    let with = [("PATH", path.as_str()), ("SECRET_KEY", key)];
    folder.run_with(&["repair", "--only", "config", "--json"], &with).ok();
    assert_eq!(calls(bin.path()).len(), 2);
    let seen = fs::read_to_string(bin.path().join("calls.environment")).unwrap();
    assert!(seen.lines().all(|line| line == "secret: none"), "{seen}");
}

#[test]
fn a_taken_port_is_named_and_wrong_words_are_refused() {
    let folder = Folder::made();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = folder.run_with(&["repair", "--only", "server", "--json"], &[("PORT", &port)]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(found(&ran.report(), "port_taken")["remedy"].as_str().unwrap().contains(&port));
    assert!(folder.run(&["repair", "--only", "tea"]).refused(2).contains("tea"));
    let left_out = folder.run(&["repair", "--only", "keys", "--restart-openclaw"]).refused(2);
    assert!(left_out.contains("--restart-openclaw") && left_out.contains("reload"), "{left_out}");
}

#[test]
fn a_server_that_hangs_is_told_and_not_stopped() {
    let folder = Folder::empty();
    let server = folder.serve();
    let id = server.child.id().to_string();
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    signal("-STOP");
    let ran = folder.run(&["repair", "--only", "server", "--json"]);
    signal("-CONT");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(found(&ran.report(), "server_silent")["state"], "needs_you");
    assert_eq!(folder.run(&["repair", "--only", "server", "--json"]).code, Some(0), "it goes on");
}
