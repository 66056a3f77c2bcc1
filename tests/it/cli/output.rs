//! What commands print: tables in both languages, JSON without secrets, completions, nothing for a closed pipe.

use std::{collections::BTreeSet, io::Write as _, process::Stdio};

use super::{Folder, HEADER, KEY, PROXY_PASSWORD};

/// Commands whose purpose is to print a token's value.
const REVEALING: &[&str] = &["tokens create", "tokens replace", "tokens reveal"];

#[test]
fn tables_line_up_in_both_languages() {
    let (folder, value) = Folder::filled("http://127.0.0.1:9/v1");
    folder
        .run(&[
            "channels",
            "add",
            "--name",
            "渠道一",
            "--base-url",
            "https://api.example.com",
            "--priority",
            "10",
        ])
        .ok();
    let last4 = &value[value.len() - 4..];
    assert_eq!(
        folder.run(&["channels"]).ok(),
        "Name    Status     Keys  Models  Priority / weight  Base URL\n\
         Groq    Available   1/1  m                   0 / 1  http://127.0.0.1:9/v1\n\
         渠道一  No key      0/0  none               10 / 1  https://api.example.com\n"
    );
    let chinese = |arguments: &[&str]| folder.run_with(arguments, &[("LANG", "zh_CN.UTF-8")]).ok();
    assert_eq!(
        chinese(&["channels"]),
        "名称    状态    密钥  模型  优先级 / 权重  接口地址\n\
         Groq    可用     1/1  m             0 / 1  http://127.0.0.1:9/v1\n\
         渠道一  无密钥   0/0  无           10 / 1  https://api.example.com\n"
    );
    assert_eq!(
        folder.run(&["keys"]).ok(),
        "ID  Channel  Label  Key    Quota group  Status     Reason  Until  Last test\n\
         \u{20}1  Groq     main   …j4Hg  -            Available  -       -      not tested\n",
    );
    assert_eq!(
        folder.run(&["tokens"]).ok(),
        format!(
            "Name    Value     Status  Models      Quota      Ends at  Last used\n\
             laptop  sk-…{last4}  on      all models  unlimited  -        -\n"
        )
    );
    assert_eq!(
        chinese(&["tokens"]),
        format!(
            "名称    令牌值    状态  模型      额度  到期时间  最近使用\n\
             laptop  sk-…{last4}  启用  全部模型  不限  -         -\n"
        )
    );
    assert!(chinese(&["channels", "show", "渠道一"]).contains("接口地址       https://api.example.com"));
}

#[test]
fn json_is_json_and_never_holds_a_secret() {
    let (folder, value) = Folder::filled("http://127.0.0.1:9/v1");
    let environment =
        [("PROXY", format!("http://user:{PROXY_PASSWORD}@127.0.0.1:9")), ("HEADER", HEADER.to_owned())];
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let master_key = std::fs::read_to_string(folder.data.path().join("secret.key")).unwrap();
    let edit = [
        "channels",
        "edit",
        "Groq",
        "--header",
        "X-Team: env:HEADER",
        "--proxy",
        "env:PROXY",
        "--yes",
        "--json",
    ];
    let sweep: &[&[&str]] = &[
        &["status", "--json"],
        &["auto", "--json"],
        &["channels", "--json"],
        &["channels", "list", "--json"],
        &["channels", "show", "Groq", "--json"],
        &["channels", "add", "--name", "B", "--base-url", "https://b.example", "--json"],
        &edit,
        &["channels", "models", "Groq", "--json"],
        &["keys", "--json"],
        &["keys", "list", "--channel", "Groq", "--json"],
        &["keys", "add", "Groq", "--json"],
        &["keys", "check", "1", "--json"],
        &["chains", "add", "--name", "auto", "--step", "glm5", "--json"],
        &["chains", "--json"],
        &["chains", "list", "--json"],
        &["chains", "show", "auto", "--json"],
        &["chains", "edit", "auto", "--step", "glm5=500", "--json"],
        &["budgets", "--json"],
        &["capacity", "--json"],
        &["explain", "--json", "glm5"],
        &["tokens", "--json"],
        &["tokens", "list", "--json"],
        &["tokens", "show", "laptop", "--json"],
        &["tokens", "edit", "laptop", "--note", "n", "--json"],
        &["tokens", "capture", "laptop", "--for", "15m", "--json"],
        &["usage", "--json"],
        &["usage", "log", "--json"],
        &["usage", "report", "--by", "day", "--json"],
        &["check-config", "--json"],
        &["apply", "-", "--dry-run", "--json"],
        &["simulate", "-", "--json"],
        &["admin", "access-token", "--list", "--json"],
        &["backup", "--json"],
        &["refresh", "--json"],
        &["models", "--json"],
        &["models", "--changes", "--json"],
        &["list", "--all", "--json"],
        &["switch", "--json", "m"],
        &["scan", "--no-probe", "--json"],
        &["openclaw", "apply", "--dry-run", "--json"],
        &["openclaw", "status", "--json"],
        &["openclaw", "probe", "--url", "http://127.0.0.1:9", "--json"],
        &["repair", "--dry-run", "--json"],
        &["repair", "--json"],
        &["diagnose", "--offline", "--json"],
        &["diagnose", "--json"],
    ];
    let mut seen: BTreeSet<String> = REVEALING.iter().map(|name| (*name).to_owned()).collect();
    for arguments in [&[&edit[..]], sweep].concat() {
        let mut child = folder
            .command(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(KEY.as_bytes()).unwrap_or_default();
        let ran = super::finish(child);
        let json: serde_json::Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert!(json.is_object(), "{arguments:?}: {json}");
        for secret in [KEY, &value, HEADER, PROXY_PASSWORD, master_key.trim(), "correct horse"] {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{arguments:?} shows {secret}");
        }
        assert!(!ran.out.contains('\u{1b}'), "{arguments:?} has colours");
        let words: Vec<&str> =
            arguments.iter().copied().take(2).filter(|word| !word.starts_with('-')).collect();
        seen.insert(words.join(" "));
    }
    // The text for people is swept as well: whatever it is, it is no secret.
    for arguments in
        [&["channels", "show", "Groq"][..], &["keys"], &["tokens", "show", "laptop"], &["check-config"]]
    {
        let ran = folder.run(arguments);
        for secret in [KEY, &value, HEADER, PROXY_PASSWORD, master_key.trim()] {
            assert!(!ran.out.contains(secret), "{arguments:?} shows {secret}");
        }
    }
    for name in onepool::cli::command_names() {
        let words: Vec<&str> = name.split(' ').chain(["--help"]).collect();
        let help = folder.run(&words).ok();
        assert!(!help.contains("--json") || seen.contains(&name), "`{name} --json` is not swept");
    }
}

#[test]
fn completions_are_scripts_that_shells_read() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.run(&["completions", shell]).ok();
        assert!(script.contains("end-previous") && script.contains("quota-unit"), "{shell}");
        if shell == "bash" {
            let file = folder.data.path().join("completions");
            std::fs::write(&file, &script).unwrap();
            let parsed = std::process::Command::new("bash").arg("-n").arg(&file).output().unwrap();
            assert!(parsed.status.success() && parsed.stderr.is_empty(), "{parsed:?}");
        }
    }
    folder.run(&["completions", "tcsh"]).refused(2);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    for arguments in [
        &["completions", "zsh"][..],
        &["channels"],
        &["usage", "log", "--csv"],
        &["status", "--json"],
        &["export"],
        &["export", "--schema"],
        &["admin", "access-token", "--list"],
        &["admin", "reset-password"],
    ] {
        let mut child = folder.command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ran = super::finish(child);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let folder = Folder::made();
    folder.run(&["tokens", "create", "a\u{1b}[2Jb"]).ok();
    for arguments in
        [&["tokens"][..], &["tokens", "show", "a\u{1b}[2Jb"], &["tokens", "disable", "a\u{1b}[2Jb"]]
    {
        let text = folder.run(arguments).ok();
        assert!(text.contains("a\\u{1b}[2Jb") && !text.contains('\u{1b}'), "{text}");
    }
    assert!(!folder.run(&["tokens", "show", "\u{1b}[2J"]).refused(1).contains('\u{1b}'));
}

#[test]
fn help_has_examples_in_the_language_of_the_terminal() {
    let folder = Folder::empty();
    let english = folder.run(&["channels", "add", "--help"]).ok();
    assert!(english.contains("Examples:\n  onepool channels add --provider openrouter"), "{english}");
    let chinese = folder.run_with(&["channels", "add", "--help"], &[("LC_ALL", "zh_CN.UTF-8")]).ok();
    assert!(chinese.contains("示例：") && chinese.contains("添加渠道"), "{chinese}");
}

#[test]
fn wrong_words_are_named_in_the_language_of_the_terminal() {
    let folder = Folder::empty();
    for (arguments, english, chinese) in [
        (&["frobnicate"][..], "no command `frobnicate`", "没有命令 `frobnicate`"),
        (&["tokns"], "mean `tokens`", "是否想用 `tokens`"),
        (&["channels", "edit", "A", "--wieght", "2"], "no option `--wieght`", "没有选项 `--wieght`"),
        (&["channels", "edit", "A", "--wieght", "2"], "mean `--weight`", "是否想用 `--weight`"),
        (&["apply"], "missing: <FILE|->", "缺少 <FILE|->"),
        (&["apply", "a.toml", "b.toml"], "`b.toml` is a word too many", "多余的内容 `b.toml`"),
        (&["tokens", "replace", "a", "--grace"], "needs a value", "需要一个值"),
        (&["export", "--format", "xml"], "give one of: toml, json", "toml, json"),
        (&["export", "--schema", "--with-secrets"], "do not go together", "不能与"),
        (&["channels", "edit"], "onepool channels edit --help", "onepool channels edit --help"),
    ] {
        for (language, wanted) in [("en_US.UTF-8", english), ("zh_CN.UTF-8", chinese)] {
            let text = folder.run_with(arguments, &[("LC_ALL", language)]).refused(2);
            assert!(text.starts_with("onepool") && text.contains(wanted), "{arguments:?}: {text}");
        }
    }
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    let pipe = folder.data.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    folder.run(&["export", "-o", pipe.to_str().unwrap()]).ok();
    // A pipe that a file had replaced would leave its reader waiting: let go of it.
    let still_a_pipe = !pipe.metadata().unwrap().is_file();
    assert!(still_a_pipe, "the pipe was replaced by a file");
    assert!(reader.join().unwrap().contains("[[channels]]"));
}
