//! `onepool chains`.

use serde_json::json;

use super::Folder;

#[test]
fn a_chain_is_added_shown_changed_switched_and_removed() {
    let folder = Folder::made();
    assert!(folder.run(&["chains"]).ok().contains("onepool chains add"));
    let fill =
        ["channels", "add", "--name", "c", "--base-url", "https://c.example", "--model", "a", "--model", "b"];
    folder.run(&fill).ok();
    let made = folder.run(&[
        "chains",
        "add",
        "--name",
        "smart",
        "--step",
        "a=0",
        "--step",
        "b",
        "--step",
        "gone=never",
        "--json",
    ]);
    let made = made.json();
    assert_eq!(
        made["steps"],
        json!([
            {"model": "a", "spill_ms": 0, "served": true},
            {"model": "b", "spill_ms": 2000, "served": true},
            {"model": "gone", "spill_ms": "never", "served": false},
        ])
    );
    let list = folder.run(&["chains"]).ok();
    assert!(list.contains("smart") && list.contains("a → b → gone") && list.contains("skipped"), "{list}");
    let shown = folder.run(&["chains", "show", "SMART"]).ok();
    assert!(shown.contains("a → b\n"), "{shown}");

    let edit = [
        "chains",
        "edit",
        "smart",
        "--remove-step",
        "GONE",
        "--add-step",
        "c=7",
        "--name",
        "clever",
        "--json",
    ];
    let edited = folder.run(&edit).json();
    assert_eq!((&edited["name"], &edited["steps"][2]["model"]), (&json!("clever"), &json!("c")));
    folder.run(&["chains", "disable", "clever"]).ok();
    assert_eq!(folder.run(&["chains", "list", "--json"]).json()["items"][0]["usable"], false);
    folder.run(&["chains", "enable", "clever"]).ok();
    assert!(folder.run(&["chains", "remove", "clever"]).refused(2).contains("--yes"));
    folder.run(&["chains", "remove", "clever", "--yes"]).ok();
    assert!(folder.run(&["chains", "show", "clever"]).refused(1).contains("onepool chains"));
}

#[test]
fn options_that_make_no_chain_are_named() {
    let folder = Folder::made();
    let refused = |arguments: &[&str]| folder.run(arguments).refused(2);
    let said = refused(&["chains", "add", "--name", "a b", "--step", "x", "--step", "X=1"]);
    assert!(said.contains("--name") && said.contains("--step [1].model"), "{said}");
    assert!(refused(&["chains", "add", "--name", "a"]).contains("--step"));
    folder.run(&["chains", "add", "--name", "a", "--step", "b"]).ok();
    assert!(refused(&["chains", "add", "--name", "A", "--step", "x"]).contains("--name"));
    let closing = refused(&["chains", "add", "--name", "b", "--step", "x", "--step", "a=0"]);
    assert!(closing.contains("--step [1].model") && closing.contains("b → a → b"), "{closing}");
    assert!(refused(&["chains", "edit", "a", "--remove-step", "nothing"]).contains("--remove-step"));
    assert_eq!(folder.run(&["chains", "--json"]).json()["items"].as_array().unwrap().len(), 1);
}
