//! The documents of pool files say what the program does.

use std::{fs, path::Path};

use onepool::pool::shape;
use serde_json::Value;

use super::Desk;

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// The code blocks of a language in a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    document.split(&begin).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_schema_of_pool_files_is_what_the_program_prints() {
    let said = Desk::new().run(&["export", "--schema"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let file = path("pool-file.schema.json");
    #[expect(
        clippy::disallowed_methods,
        reason = "tells the test to write the schema instead of comparing it"
    )]
    if std::env::var("UPDATE_DOCS").is_ok() {
        fs::write(&file, &said.out).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == said.out,
        "docs/pool-file.schema.json is out of date: UPDATE_DOCS=1 cargo test schema_of_pool_files"
    );

    // It is self-contained, and closed.
    let schema: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let references = written.matches("\"$ref\"").count();
    assert!(references > 5, "the schema refers to nothing");
    for reference in written.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(schema.pointer(reference).is_some(), "{reference} leads nowhere");
    }
    assert_eq!(written.matches("\"$ref\": \"#/$defs/").count(), references);
}

#[test]
fn the_examples_of_the_documents_can_be_applied_and_export_again() {
    for name in ["pool-file.md", "pool-file.zh-CN.md"] {
        let document = fs::read_to_string(path(name)).unwrap();
        let (toml, json) = (blocks(&document, "toml"), blocks(&document, "json"));
        assert_eq!((toml.len(), json.len()), (2, 1), "{name}");
        for (format, example) in
            toml.iter().map(|text| ("toml", text)).chain(json.iter().map(|text| ("json", text)))
        {
            let desk = Desk::new();
            fs::create_dir(desk.path("secrets")).unwrap();
            desk.write("secrets/account", "account\n");
            let file = format!("pool.{format}");
            desk.write(&file, example);
            let environment = [
                ("GROQ_KEY", "gsk_example-1"),
                ("NVIDIA_KEY_1", "nvapi-example-1"),
                ("NVIDIA_KEY_2", "nvapi-example-2"),
                ("AGENT_TOKEN", "sk-example-0123456789-0123456789-0123456789"),
            ];
            let said = desk.run_with(&["apply", &file], &environment);
            assert_eq!(said.code, Some(0), "{name}: {example}\n{}", said.err);
            let again = desk.run_with(&["apply", &file, "--prune"], &environment);
            assert_eq!(again.out, "nothing to change\n", "{name}: {example}");

            // What the program writes has the form that the schema describes.
            let pool: Value =
                serde_json::from_str(&desk.export(&["--with-secrets", "--format", "json"])).unwrap();
            let t = onepool::i18n::Messages::of(onepool::i18n::Lang::En);
            assert_eq!(shape::check(&pool, t).0, [], "{name}");
        }
    }
}

#[test]
fn the_example_of_faults_is_what_the_program_says() {
    let desk = Desk::new();
    desk.write(
        "pool.toml",
        "[[channels]]\nname = \"Groq\"\nwieght = 2\nbase_url = \"https://api.groq.com/openai/v1\"\n\n[[channels.keys]]\n\
         label = \"mine\"\n",
    );
    let said = desk.run(&["apply", "pool.toml"]);
    for name in ["pool-file.md", "pool-file.zh-CN.md"] {
        let document = fs::read_to_string(path(name)).unwrap();
        assert_eq!(blocks(&document, "text").concat(), said.err, "{name}");
    }
}
