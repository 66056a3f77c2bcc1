//! Pool files that are refused: each with its place, its field and a remedy, and without a change.

use std::fs;

use super::{Desk, full};

/// A file, and the beginnings of the lines that it is refused with, in their order.
const BAD: &[(&str, &[&str])] = &[
    // Syntax: all faults at once.
    (
        "[[channels]\nname = \"a\"\nnote = \"unclosed\nweight = = 2\n",
        &["pool.toml:1:12:", "pool.toml:4:10:", "pool.toml:4:12:"],
    ),
    ("version = 2\n", &["pool.toml:1:1: version: Please enter a number from 1 to 1."]),
    (
        "[channels]\nname = \"a\"\n",
        &["pool.toml:1:2: channels: Please give a list; this is a table of fields."],
    ),
    // Unknown and missing fields, wrong types, words and times.
    (
        "[[channels]]\nname = \"a\"\nwieght = 2\npriority = 1.5\nprotocol = \"grpc\"\n[channels.timeouts]\nidle = 5\n\
         [[chanels]]\n[[tokens]]\nname = 5\nexpires_at = 2030-01-31\n",
        &[
            "pool.toml:1:1: channels[0].base_url: This is missing",
            "pool.toml:3:1: channels[0].wieght: There is no field “wieght” here; “weight” is probably meant.",
            "pool.toml:4:1: channels[0].priority: Please give a whole number; this is a number.",
            "pool.toml:5:1: channels[0].protocol: Please use one of: openai.",
            "pool.toml:7:1: channels[0].timeouts.idle: There is no field “idle” here; “idle_ms” is probably meant.",
            "pool.toml:8:3: chanels: There is no field “chanels” here; “channels” is probably meant.",
            "pool.toml:10:1: tokens[0].name: Please give a text in quotes; this is a whole number.",
            "pool.toml:11:1: tokens[0].expires_at: This is not a time with its zone",
        ],
    ),
    // Values that the rules refuse, secrets that cannot be found, and what stands twice: together.
    (
        "[[channels]]\nname = \"a\"\nbase_url = \"http://127.0.0.1:1\"\nweight = 0\nproxy = \"env:NO_PROXY_HERE\"\n\
         headers = { X-A = \"file:missing\", x-a = \"b\", Host = \"c\" }\nmodels = [\"m\", \"m\"]\n\
         keys = [\n  { secret = \"same\" },\n  { secret = \"same\" },\n  { secret = \"a b\" },\n]\n\
         [[channels]]\nname = \"A\"\nbase_url = \"ftp://a.example\"\n\
         [[tokens]]\nname = \"t\"\nvalue = \"short\"\nquota = { unit = \"tokens\", limit = 1.5 }\n\
         [[tokens]]\nname = \"T\"\n",
        &[
            "pool.toml:3:1: channels[0].base_url: This is a private or loopback address.",
            "pool.toml:4:1: channels[0].weight: Please enter a number from 1 to 10000.",
            "pool.toml:5:1: channels[0].proxy: The environment variable NO_PROXY_HERE is not set",
            "pool.toml:6:13: channels[0].headers.X-A: missing cannot be read: No such file",
            "pool.toml:6:35: channels[0].headers.x-a: channels[0].headers.X-A is the same header",
            "pool.toml:6:46: channels[0].headers.Host: “Host” is set by the server itself",
            "pool.toml:7:16: channels[0].models[1]: “m” stands here twice",
            "pool.toml:10:5: channels[0].keys[1].secret: channels[0].keys[0].secret is the same key",
            "pool.toml:11:5: channels[0].keys[2].secret: A key has 4 to 1000 visible ASCII characters",
            "pool.toml:14:1: channels[1].name: channels[0].name is the same name",
            "pool.toml:15:1: channels[1].base_url:",
            "pool.toml:18:1: tokens[0].value:",
            "pool.toml:19:28: tokens[0].quota.limit:",
            "pool.toml:21:1: tokens[1].name: tokens[0].name is the same name",
        ],
    ),
    // The same value twice, and something to keep where nothing is.
    (
        "[[tokens]]\nname = \"t\"\nvalue = \"sk-0123456789-0123456789-0123456789\"\n\
         [[tokens]]\nname = \"u\"\nvalue = \"sk-0123456789-0123456789-0123456789\"\n",
        &["pool.toml:6:1: tokens[1].value: tokens[0].value is the same value"],
    ),
    (
        "[[channels]]\nname = \"new\"\nbase_url = \"https://a.example\"\nproxy = \"keep:\"\n",
        &["pool.toml:4:1: channels[0].proxy: The pool has no secret here that could be kept"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_every_place_field_and_remedy_and_changes_nothing() {
    let desk = full();
    let before = desk.rows().await;
    for (file, expected) in BAD {
        desk.write("pool.toml", file);
        for arguments in [&["apply", "pool.toml"][..], &["apply", "pool.toml", "--dry-run", "--prune"]] {
            let said = desk.run(arguments);
            assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{file}\n{}", said.err);
            let lines: Vec<&str> = said.err.lines().collect();
            assert_eq!(lines.len(), expected.len() + 1, "{file}\n{}", said.err);
            for (line, expected) in lines.iter().zip(*expected) {
                assert!(line.starts_with(expected), "{line}\nis not\n{expected}");
            }
            assert!(lines[lines.len() - 1].ends_with("nothing was changed"), "{}", said.err);
        }
    }
    assert_eq!(desk.rows().await, before);
}

#[test]
fn faults_of_json_have_their_places_too_and_scripts_can_read_them() {
    let desk = Desk::new();
    desk.write(
        "pool.json",
        "{\n  \"channels\": [\n    {\"name\": \"a\", \"base_url\": \"https://a.example\",\n     \"weight\": 0,\n     \
         \"modles\": []}\n  ]\n}\n",
    );
    let said = desk.run(&["apply", "pool.json", "--json"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.starts_with("pool.json:4:6: channels[0].weight: Please enter a number from 1"),
        "{}",
        said.err
    );
    let faults: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let fault = &faults["faults"][1];
    assert_eq!((&fault["line"], &fault["column"]), (&5.into(), &6.into()));
    assert_eq!((&fault["file"], &fault["field"]), (&"pool.json".into(), &"channels[0].modles".into()));

    desk.write("pool.json", "{\n  \"channels\": [],\n  \"channels\": []\n}");
    let said = desk.run(&["apply", "pool.json"]);
    assert!(said.err.starts_with("pool.json:3:3: “channels” stands here twice"), "{}", said.err);
    desk.write("pool.json", "{\n  \"channels\": [\n}");
    let said = desk.run(&["apply", "pool.json"]);
    assert!(said.err.starts_with("pool.json:3:1: This cannot be read: expected value."), "{}", said.err);
    assert!(!desk.path("data").exists(), "a bad file made a data folder");
}

#[test]
fn files_that_are_no_pool_files_are_refused() {
    let desk = Desk::new();
    let refused = |name: &str, text: &[u8], expected: &str| {
        fs::write(desk.path(name), text).unwrap();
        let said = desk.run(&["apply", name]);
        assert_eq!(said.code, Some(2), "{name}: {}", said.err);
        assert!(said.err.contains(expected), "{}", said.err);
    };
    refused("pool.yaml", b"a: 1", "pool.yaml: neither .toml nor .json");
    refused("pool.toml", b"a = \"\xff\"", "pool.toml: not UTF-8");
    refused("pool.toml", &vec![b'\n'; (4 << 20) + 1], "pool.toml: larger than 4 MiB");
    refused(
        "pool.json",
        "[".repeat(100_000).as_bytes(),
        "pool.json:1:128: This cannot be read: recursion limit",
    );
    refused("pool.toml", format!("a = {}", "[".repeat(100_000)).as_bytes(), "pool.toml:1:");
    let said = desk.run(&["apply", "none.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("none.toml: cannot be read: No such file"), "{}", said.err);
    // Ten thousand faults are not told one by one.
    let many = "[[tokens]]\nx = 1\n".repeat(10_000);
    fs::write(desk.path("pool.toml"), many).unwrap();
    let said = desk.run(&["apply", "pool.toml"]);
    assert_eq!(said.err.lines().count(), 101);
    assert!(said.err.ends_with("at least 100 faults; nothing was changed\n"));
    assert!(!desk.path("data").exists());
}

#[test]
fn an_export_without_a_database_or_to_a_place_that_is_none_says_what_to_do() {
    let desk = Desk::new();
    let said = desk.run(&["export"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no database in data"), "{}", said.err);
    desk.apply("", &[]);
    let said = desk.run(&["apply", "-"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "nothing to change\n"));
    let said = desk.run(&["export", "-o", "missing/pool.toml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("cannot write missing/pool.toml"), "{}", said.err);
}
