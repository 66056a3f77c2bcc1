//! The ranked models of a managed chain, and the model at its head, on the command line.

use serde_json::json;

use super::Folder;

fn folder() -> Folder {
    let (folder, _) = Folder::filled("http://127.0.0.1:9/v1");
    folder
        .run(&[
            "channels",
            "edit",
            "Groq",
            "--add-model",
            "openai/gpt-oss-120b",
            "--add-model",
            "llama-3.3-70b",
        ])
        .ok();
    folder
}

#[test]
fn models_are_listed_by_rank_with_what_is_known_of_them() {
    let folder = folder();
    assert!(folder.run(&["list"]).ok().contains("`onepool list --all` shows paid models as well"));
    let all = folder.run(&["list", "--all", "--json"]).json();
    assert_eq!((&all["chain"], &all["total"]), (&json!("auto"), &json!(3)));
    let first = &all["items"][0];
    assert_eq!(
        (&first["place"], &first["model"]),
        (&json!(1), &json!("gpt-oss-120b")),
        "it has a published figure"
    );
    assert_eq!(
        (&first["offers"][0]["upstream_model"], &first["offers"][0]["keys"]),
        (&json!("openai/gpt-oss-120b"), &json!(1))
    );
    assert_eq!(first["offers"][0]["parts"][0]["component"], "capability");
    assert!(first["last_answered_at"].is_null() && first["points"].as_u64() > Some(0), "{first}");
    let text = folder.run(&["list", "--all", "--limit", "1"]).ok();
    assert!(text.contains("Groq (keys: 1)") && text.contains("1 of 3 models"), "{text}");
    let chinese = folder.run_with(&["list", "--all"], &[("LANG", "zh_CN.UTF-8")]).ok();
    assert!(chinese.contains("名次") && chinese.contains("密钥 1 个"), "{chinese}");
    let wrong = folder.run(&["list", "--chain", "auto:music"]).refused(2);
    assert!(wrong.contains("--chain") && wrong.contains("auto:coding"), "{wrong}");
    assert!(folder.run(&["list", "--limit", "0"]).refused(2).contains("--limit"));
}

#[test]
fn a_model_goes_to_the_head_of_a_chain_and_is_taken_away_again() {
    let folder = folder();
    let said = folder.run(&["switch", "LLAMA-3.3-70B"]).ok();
    assert!(said.contains("llama-3.3-70b is at the top of auto."), "{said}");
    // A pin overrules that nothing says that it is free.
    let list = folder.run(&["list", "--json"]).json();
    assert_eq!(
        (&list["items"][0]["model"], &list["items"][0]["pinned"]),
        (&json!("llama-3.3-70b"), &json!(true))
    );
    let switched = folder.run(&["switch", "gpt-oss:120b", "--json"]).json();
    assert_eq!(switched["pins"], json!(["gpt-oss-120b", "llama-3.3-70b"]));
    assert_eq!(switched["models"], json!(["gpt-oss-120b", "llama-3.3-70b"]));
    let other = folder.run(&["switch", "m", "--chain", "auto:coding", "--json"]).json();
    assert_eq!((&other["chain"], &other["pins"]), (&json!("auto:coding"), &json!(["m"])));

    let unknown = folder.run(&["switch", "gpt-os-120"]).refused(1);
    assert!(unknown.contains("gpt-os-120") && unknown.contains("Similar names: gpt-oss-120b"), "{unknown}");
    assert!(folder.run(&["switch"]).refused(2).contains("--unpin"));
    assert!(folder.run(&["switch", "--unpin", "gpt-oss-120b"]).ok().contains("no longer pinned in auto"));
    assert!(folder.run(&["switch", "--unpin", "gpt-oss-120b"]).ok().contains("was not pinned in auto"));
    assert!(folder.run(&["switch", "--unpin"]).ok().contains("Nothing is pinned in auto any more."));
    assert!(folder.run(&["switch", "--unpin"]).ok().contains("Nothing is pinned in auto."));
}
