//! What commands take: every field by an option, faults at the option, exit codes, confirmations, and where secrets may
//! come from.

use serde_json::json;

use super::{Folder, HEADER, KEY};

#[test]
fn every_field_of_a_channel_has_an_option() {
    let folder = Folder::made();
    let models = folder.data.path().join("models.json");
    std::fs::write(
        &models,
        r#"["a", {"name": "b", "context_window": 8192, "price": {"input": 0.15, "output": "0.6"}}]"#,
    )
    .unwrap();
    let add = |extra: &[&str]| {
        let base = [
            "channels",
            "add",
            "--name",
            "Local",
            "--base-url",
            "http://127.0.0.1:9/v1/",
            "--protocol",
            "openai",
            "--provider",
            "openrouter",
            "--plan",
            "credits",
            "--priority",
            "-2",
            "--weight",
            "3",
            "--group",
            "home",
            "--group",
            "team",
            "--header",
            "X-Team: env:HEADER",
            "--proxy",
            "socks5://127.0.0.1:1080",
            "--connect-ms",
            "1000",
            "--first-byte-ms",
            "2000",
            "--idle-ms",
            "3000",
            "--allow-private",
            "true",
            "--note",
            "mine",
            "--enabled",
            "false",
            "--redirect",
            "smart=a",
            "--redirect",
            "smart=b",
            "--limit",
            "40/min per key",
            "--limit",
            "1000 requests/day@Asia/Shanghai per group models=*:free insist",
            "--json",
        ];
        folder.run_with(&[&base[..], extra].concat(), &[("HEADER", HEADER)])
    };
    let made = add(&["--models-file", models.to_str().unwrap()]).json();
    let expected = json!({
        "name": "Local", "base_url": "http://127.0.0.1:9/v1", "protocol": "openai", "provider": "openrouter", "plan": "credits", "priority": -2, "weight": 3,
        "groups": ["home", "team"], "headers": {"X-Team": "••••BnRs"}, "proxy": "socks5://127.0.0.1:1080",
        "timeouts": {"connect_ms": 1000, "first_byte_ms": 2000, "idle_ms": 3000}, "allow_private": true,
        "note": "mine", "enabled": false,
        "models": ["a", {"name": "b", "context_window": 8192, "price": {"input": 0.15, "output": 0.6}}],
        "redirects": {"smart": ["a", "b"]},
        "limits": [
            {"metric": "requests", "max": 40, "window": "1m", "per": "key"},
            {"metric": "requests", "max": 1000, "window": {"calendar": "day", "zone": "Asia/Shanghai"}, "per": "group",
                "models": ["*:free"], "insist": true},
        ],
        "state": "off", "keys": {"total": 0, "enabled": 0, "available": 0},
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    assert!(add(&[]).refused(2).contains("--name: This name is taken"), "a second one of that name");

    let edited = folder
        .run(&[
            "channels",
            "edit",
            "local",
            "--group",
            "",
            "--proxy",
            "",
            "--idle-ms",
            "",
            "--remove-header",
            "x-team",
            "--add-model",
            "c",
            "--remove-model",
            "a",
            "--redirect",
            "",
            "--name",
            "Here",
            "--json",
        ])
        .json();
    assert_eq!(edited["groups"], json!([]));
    assert_eq!(
        (&edited["proxy"], &edited["headers"], &edited["redirects"]),
        (&json!(null), &json!({}), &json!({}))
    );
    assert_eq!(edited["timeouts"], json!({"connect_ms": 1000, "first_byte_ms": 2000}));
    assert_eq!(edited["models"][0]["context_window"], json!(8192), "what is known of a model stays");
    assert_eq!(
        (&edited["models"][1], &edited["name"], &edited["note"]),
        (&json!("c"), &json!("Here"), &json!("mine"))
    );
    assert_eq!(edited["limits"], made["limits"], "limits that no option names stay");
    assert_eq!(
        folder.run(&["channels", "edit", "Here", "--no-limits", "--json"]).json()["limits"],
        json!([])
    );
    folder.run(&["channels", "remove", "Here", "--yes"]).ok();
    folder.run(&["channels", "show", "Here"]).refused(1);
}

#[test]
fn limits_are_written_on_a_line_each_and_faults_name_the_option() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9");
    let channel =
        |limit: &str| folder.run(&["channels", "edit", "Groq", "--limit", "9/5h", "--limit", limit]);
    for (limit, told) in [
        ("40 apples/min", "--limit: “apples” is not counted"),
        ("40/fortnight", "--limit [1].window: “fortnight” is no window"),
        ("40/day", "--limit [1].window: It is not known when the days of generic begin"),
        ("8/300m", "--limit [1]: This says the same as limits[0]"),
    ] {
        let said = channel(limit).refused(2);
        assert!(said.contains(told), "{limit}: {said}");
    }
    let shown = channel("4 at once per key_model").ok();
    assert!(shown.contains("9 requests/5h per key; 4 at once per key_model"), "{shown}");

    let key = |limit: &str| folder.run(&["keys", "edit", "1", "--limit", limit]);
    assert!(key("5/min per channel").refused(2).contains("--limit [0].per: A limit of one key"));
    key("5/min").ok();
    folder.run(&["keys", "edit", "1", "--label", "other"]).ok();
    let limits = || folder.run(&["keys", "--json"]).json()["items"][0]["limits"].clone();
    assert_eq!(limits(), json!([{"metric": "requests", "max": 5, "window": "1m", "per": "key"}]));
    folder.run(&["keys", "edit", "1", "--no-limits"]).ok();
    assert_eq!(limits(), json!([]));
    folder.with_input("gsk_another_key_0001", &["keys", "add", "Groq", "--limit", "7/min"]).ok();
    assert_eq!(folder.run(&["keys", "--json"]).json()["items"][1]["limits"][0]["max"], 7);
}

#[test]
fn every_field_of_a_token_has_an_option() {
    let folder = Folder::made();
    let own = "sk-own-000000000000000000000000000000";
    let value = folder
        .with_input(
            own,
            &[
                "tokens",
                "create",
                "ci",
                "--model",
                "gpt-*",
                "--model",
                "m",
                "--group",
                "g",
                "--cidr",
                "10.1.2.3/8",
                "--expires-at",
                "2099-01-31T18:00",
                "--quota",
                "2.5",
                "--quota-unit",
                "dollars",
                "--quota-reset",
                "month",
                "--quota-warn-at",
                "50,80",
                "--quota-at-limit",
                "warn",
                "--requests-per-minute",
                "60",
                "--profile",
                "openclaw",
                "--note",
                "n",
                "--enabled",
                "false",
                "--value-file",
                "-",
            ],
        )
        .ok();
    assert_eq!(value.trim(), own);
    assert_eq!(folder.run(&["tokens", "reveal", "ci"]).ok().trim(), own);
    let shown = folder.run(&["tokens", "show", "CI", "--json"]).json()["token"].clone();
    let expected = json!({
        "name": "ci", "models": ["gpt-*", "m"], "groups": ["g"], "cidrs": ["10.0.0.0/8"],
        "expires_at": "2099-01-31T18:00:00Z", "quota": {"unit": "dollars", "limit": 2.5, "reset": "month", "warn_at": [50, 80], "at_limit": "warn"},
        "requests_per_minute": 60, "profile": "openclaw", "note": "n", "enabled": false, "usable": false,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[field], value, "{field}");
    }
    let edited = folder
        .run(&[
            "tokens",
            "edit",
            "ci",
            "--quota",
            "",
            "--expires-at",
            "",
            "--model",
            "",
            "--requests-per-minute",
            "",
            "--name",
            "bot",
            "--json",
        ])
        .json()["token"]
        .clone();
    for field in ["quota", "expires_at", "requests_per_minute"] {
        assert_eq!(edited[field], json!(null), "{field}");
    }
    assert_eq!(
        (&edited["models"], &edited["name"], &edited["note"]),
        (&json!([]), &json!("bot"), &json!("n"))
    );
    assert!(
        folder
            .with_input(own, &["tokens", "create", "x", "--value-file", "-"])
            .refused(2)
            .contains("--value-file")
    );
}

#[test]
fn faults_name_the_option_in_the_users_language_and_nothing_is_saved() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    let add = &[
        "channels",
        "add",
        "--name",
        "x",
        "--base-url",
        "http://127.0.0.1:1",
        "--weight",
        "0",
        "--idle-ms",
        "soon",
        "--header",
        "Host: a",
        "--model",
        "a b",
        "--proxy",
        "ftp://x",
        "--redirect",
        "x",
    ];
    let said = folder.run(add).refused(2);
    for option in
        ["--base-url", "--weight", "--idle-ms", "--header Host", "--model [0]", "--proxy", "--redirect"]
    {
        assert!(said.contains(&format!("onepool: {option}:")), "{option} in {said}");
    }
    let said = folder.run_with(add, &[("LANG", "zh_CN.UTF-8")]).refused(2);
    assert!(said.contains("onepool：--weight：请输入 1 到 10000 之间的数字。"), "{said}");
    let said = folder
        .run(&[
            "tokens",
            "create",
            "x",
            "--cidr",
            "10.0.0.300",
            "--quota",
            "5",
            "--profile",
            "odd",
            "--expires-at",
            "2001-01-01",
        ])
        .refused(2);
    for option in ["--cidr [0]", "--quota-unit", "--profile", "--expires-at"] {
        assert!(said.contains(&format!("onepool: {option}:")), "{option} in {said}");
    }
    assert_eq!(folder.run(&["channels", "--json"]).json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(folder.run(&["tokens", "--json"]).json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn exit_codes_are_0_done_1_failed_2_wrong_usage() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    for (code, arguments) in [
        (0, &["channels"][..]),
        (0, &["keys", "edit", "1", "--label", "new"]),
        (1, &["channels", "show", "nobody"]),
        (1, &["keys", "enable", "99"]),
        (1, &["keys", "enable", "x"]),
        (1, &["tokens", "reveal", "nobody"]),
        (1, &["keys", "check", "1"]),
        (1, &["channels", "models", "Groq", "--fetch"]),
        (2, &["channels", "sohw"]),
        (2, &["channels", "models", "Groq", "--apply"]),
        (2, &["usage", "--csv", "--json"]),
        (2, &["usage", "log", "--limit", "0"]),
        (2, &["usage", "log", "--status", "odd"]),
        (2, &["tokens", "replace", "laptop", "--grace", "soon"]),
        (2, &["keys", "add", "Groq"]),
        (2, &["channels", "--port", "x"]),
    ] {
        let ran = folder.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    }
    let empty = Folder::empty();
    assert!(empty.run(&["channels"]).refused(1).contains("no database"));
    assert!(!empty.data.path().join("onepool.db").exists(), "a command makes no database");
}

#[test]
fn what_cannot_be_taken_back_needs_a_yes() {
    let (folder, value) = Folder::filled("http://127.0.0.1:9/v1");
    for arguments in [
        &["channels", "remove", "Groq"][..],
        &["channels", "edit", "Groq", "--base-url", "http://127.0.0.2:9"],
        &["keys", "remove", "1"],
        &["tokens", "remove", "laptop"],
        &["tokens", "replace", "laptop"],
    ] {
        assert!(folder.run(arguments).refused(2).contains("--yes"), "{arguments:?}");
    }
    assert_eq!(folder.run(&["tokens", "reveal", "laptop"]).ok().trim(), value);
    let moved =
        folder.run(&["channels", "edit", "Groq", "--base-url", "http://127.0.0.2:9", "-y", "--json"]).json();
    assert_eq!(moved["base_url"], "http://127.0.0.2:9");
    folder.run(&["keys", "remove", "1", "--yes"]).ok();
    folder.run(&["keys", "show"]).refused(2);
    assert_eq!(folder.run(&["keys", "--json"]).json()["items"], json!([]));
}

#[test]
fn keys_come_from_stdin_or_a_file_and_each_has_a_result() {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    let file = folder.data.path().join("keys.env");
    std::fs::write(&file, format!("# mine\nGROQ_KEY={KEY}\nexport OTHER='nvapi-000000000001'\nxx\n"))
        .unwrap();
    let ran = folder.run(&[
        "keys",
        "add",
        "Groq",
        "--file",
        file.to_str().unwrap(),
        "--quota-group",
        "g",
        "--json",
    ]);
    assert_eq!(ran.code, Some(1), "one was refused: {ran:?}");
    let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&said["added"], &said["duplicates"], &said["refused"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(
        (&said["results"][1]["label"], &said["results"][1]["last4"]),
        (&json!("OTHER"), &json!("0001"))
    );
    let keys = folder.run(&["keys", "--json"]).json();
    assert_eq!(
        (&keys["items"][1]["label"], &keys["items"][1]["quota_group"]),
        (&json!("OTHER"), &json!("g"))
    );
    folder.run(&["keys", "add", "Groq", "--file", "/no/such/file"]).refused(2);
    assert!(
        folder
            .run(&["channels", "edit", "Groq", "--proxy", "http://user:password@127.0.0.1:9"])
            .refused(2)
            .contains("every user of the machine")
    );
}

#[test]
fn openclaw_gets_a_reference_to_the_token_unless_its_value_is_asked_for() {
    let (folder, value) = Folder::filled("http://127.0.0.1:9/v1");
    let export = |arguments: &[&str]| folder.run(&[&["openclaw", "export"], arguments].concat());
    let file = export(&[]).json();
    let provider = &file["models"]["providers"]["onepool"];
    assert_eq!(
        (&provider["apiKey"], &provider["models"][0]["id"]),
        (&json!("${ONEPOOL_API_KEY}"), &json!("m"))
    );
    let file =
        export(&["--token", "laptop", "--url", "https://pool.example/", "--model", "M", "--with-token"])
            .json();
    let provider = &file["models"]["providers"]["onepool"];
    assert_eq!(
        (&provider["apiKey"], &provider["baseUrl"]),
        (&json!(value), &json!("https://pool.example/v1"))
    );
    let aliased = ["--alias", "m:x", "--provider", "pool", "--variable", "KEY", "--patch"];
    let patch = export(&aliased).json();
    assert_eq!(patch["agents"]["defaults"]["models"], json!({"pool/m": {"alias": "x"}}));
    let look = export(&["--provider", "pool", "--patch", "--preview"]).json();
    let taken_back = json!({"pool/m": {"alias": null}});
    assert_eq!(look["agents"]["defaults"]["models"], taken_back, "the last export is remembered");
    assert_eq!(export(&["--provider", "pool", "--patch"]).json()["agents"]["defaults"]["models"], taken_back);
    assert!(export(&["--provider", "pool"]).json()["agents"]["defaults"].get("models").is_none());
    for (flag, value) in [
        ("--model", "other"),
        ("--primary", "other"),
        ("--provider", "a.b"),
        ("--alias", "m"),
        ("--image-model", "m"),
        ("--variable", "key"),
    ] {
        assert!(export(&[flag, value]).refused(2).contains(flag), "{flag}");
    }
    assert!(export(&["--media", "--speech", "m"]).refused(2).contains("--speech"));
    export(&["--token", "nobody"]).refused(1);
    export(&["--url", "pool"]).refused(2);
}

#[test]
fn check_config_lists_all_that_is_wrong_and_where_values_come_from() {
    let folder = Folder::empty();
    let wrong =
        [("LISTEN", "everywhere"), ("PORT", "x"), ("SECRET_KEY", "too-short-a-key"), ("RUST_LOG", "a=b=c")];
    let ran = folder.run_with(&["check-config", "--max-attempts", "none"], &wrong);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for name in ["LISTEN", "PORT", "SECRET_KEY", "RUST_LOG", "MAX_ATTEMPTS"] {
        let line = ran.out.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(!line.ends_with(" -"), "{line}");
    }
    assert!(!ran.out.contains("too-short-a-key"), "{}", ran.out);

    let right =
        folder.run_with(&["check-config", "--drain-seconds", "5", "--json"], &[("MAX_BODY_MB", "9")]).json();
    let setting = |name: &str| {
        right["settings"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (&setting("DRAIN_SECONDS")["value"], &setting("DRAIN_SECONDS")["source"]),
        (&json!("5"), &json!("flag"))
    );
    assert_eq!(setting("MAX_BODY_MB")["source"], "environment");
    assert_eq!(setting("RETENTION_DAYS")["source"], "default");
    assert!(!folder.data.path().join("onepool.db").exists(), "looking makes nothing");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = address.rsplit(':').next().unwrap();
    let ran = folder.run_with(&["check-config"], &[("PORT", port)]);
    assert!(
        ran.code == Some(2) && ran.out.contains(&format!("[wrong] cannot listen on {address}")),
        "{ran:?}"
    );
    let everybody = [("TRUSTED_PROXIES", "0.0.0.0/0"), ("LISTEN", "0.0.0.0:0"), ("LANG", "zh_CN.UTF-8")];
    let ran = folder.run_with(&["check-config"], &everybody);
    assert!(ran.code == Some(2) && ran.out.contains("[错误] TRUSTED_PROXIES 信任所有地址"), "{ran:?}");
    let hinted = folder.run_with(&["check-config"], &[("PUBLIC_URL", "https://pool.example")]).ok();
    assert!(hinted.contains("[hint]") && hinted.contains("TRUSTED_PROXIES is empty"), "{hinted}");
    let file = folder.data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let unusable = file.join("data").display().to_string();
    assert_eq!(folder.run_with(&["check-config"], &[("DATA_DIR", &unusable)]).code, Some(2));
}
