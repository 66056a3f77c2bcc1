//! The documents say what the code does, are alike in both languages, and link to files that exist.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use onepool::{
    model::{token::ClientProfile, upstream_job::JobKind},
    provider::Providers,
    relay::ending::{Ending, Told},
};

/// Documents in English; the Chinese one stands beside it.
const PAIRS: &[&str] = &[
    "README",
    "deploy/README",
    "docs/admin-pages",
    "docs/api",
    "docs/backup",
    "docs/budgets",
    "docs/calls",
    "docs/capacity",
    "docs/chains",
    "docs/cli",
    "docs/endpoints",
    "docs/errors",
    "docs/fixes",
    "docs/health",
    "docs/limits",
    "docs/metrics",
    "docs/models",
    "docs/notifications",
    "docs/openclaw",
    "docs/performance",
    "docs/playground",
    "docs/pool-file",
    "docs/providers",
    "docs/recipes",
    "docs/ranking",
    "docs/repair",
    "docs/settings",
    "docs/simulate",
    "docs/usage",
    "docs/usage-log",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every way for a call to end, with waits that no table names by chance.
fn endings() -> Vec<Ending> {
    let wait = Duration::from_secs(7);
    let model = || "m".to_owned();
    let endings = vec![
        Ending::BadRequest { message: "what is wrong".into(), param: None },
        Ending::Refused { status: 422, message: "the upstream's words".into(), param: None, code: None },
        Ending::Refused {
            status: 400,
            message: "the upstream's words".into(),
            param: None,
            code: Some("context_length_exceeded".into()),
        },
        Ending::OverKeyLimits,
        Ending::TooLarge { limit: 64 << 20 },
        Ending::BadToken { message: "says which of these" },
        Ending::AddressNotAllowed,
        Ending::ModelNotAllowed { model: model() },
        Ending::NoPrice { model: model() },
        Ending::ModelNotFound { model: model() },
        Ending::NotOnEndpoint { model: model(), endpoint: onepool::model::endpoint::Endpoint::Images },
        Ending::NoRoom,
        Ending::NoSuchJob { kind: JobKind::Video },
        Ending::NoSuchJob { kind: JobKind::Response },
        Ending::JobUnreachable { kind: JobKind::Video },
        Ending::JobUpstream { kind: JobKind::Video, timeout: false },
        Ending::JobUpstream { kind: JobKind::Video, timeout: true },
        Ending::TokenRate { retry_after: wait },
        Ending::TokenQuota { resets_in: None },
        Ending::TokenQuota { resets_in: Some(wait) },
        Ending::PoolExhausted { retry_after: wait },
        Ending::NoChannel { retry_after: None },
        Ending::NoChannel { retry_after: Some(wait) },
        Ending::UpstreamFailed,
        Ending::UpstreamTimeout,
        Ending::Interrupted { another: false },
        Ending::Interrupted { another: true },
        Ending::ShuttingDown,
        Ending::NotRecording,
    ];
    for ending in &endings {
        // A new ending does not compile here until it has been added to the list above and to the documents.
        match ending {
            Ending::BadRequest { .. }
            | Ending::Refused { .. }
            | Ending::OverKeyLimits
            | Ending::TooLarge { .. }
            | Ending::BadToken { .. }
            | Ending::AddressNotAllowed
            | Ending::ModelNotAllowed { .. }
            | Ending::NoPrice { .. }
            | Ending::ModelNotFound { .. }
            | Ending::NotOnEndpoint { .. }
            | Ending::NoRoom
            | Ending::NoSuchJob { .. }
            | Ending::JobUnreachable { .. }
            | Ending::JobUpstream { .. }
            | Ending::TokenRate { .. }
            | Ending::TokenQuota { .. }
            | Ending::PoolExhausted { .. }
            | Ending::NoChannel { .. }
            | Ending::UpstreamFailed
            | Ending::UpstreamTimeout
            | Ending::Interrupted { .. }
            | Ending::ShuttingDown
            | Ending::NotRecording => {}
        }
    }
    endings
}

#[test]
fn the_table_of_metrics_is_the_programs_own() {
    for (page, chinese) in [("docs/metrics.md", false), ("docs/metrics.zh-CN.md", true)] {
        let table = onepool::metrics::reference(chinese);
        assert!(read(page).contains(&table), "{page} does not hold this table:\n{table}");
    }
}

/// The rows of the table below a heading: each a list of cells.
fn rows<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let begin = format!("\n## {heading}\n");
    let (_, section) = document.split_once(&begin).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    section.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

/// Whether a row of the table says what the client is told.
fn describes(row: &[&str], ending: &Ending, told: &Told) -> bool {
    let [_, status, code, message, retry_after, should_retry] = row else { return false };
    let words_of_others =
        matches!(ending, Ending::BadRequest { .. } | Ending::Refused { .. } | Ending::BadToken { .. });
    let waited = match told.retry_after_s() {
        None => *retry_after == "–",
        // The wait of the ending itself, which the table describes in words.
        Some(7) => *retry_after != "–",
        Some(seconds) => {
            retry_after.split(|c: char| !c.is_ascii_digit()).any(|number| number == seconds.to_string())
        }
    };
    status.contains(&told.status.to_string())
        && code.contains(&format!("`{}`", told.code))
        && (words_of_others || *message == told.message)
        && waited
        && (told.should_retry != Some(false) || should_retry.contains("`false`"))
}

#[test]
fn every_ending_of_a_call_is_in_the_error_tables_of_both_languages() {
    for (file, generic_heading) in [("docs/errors.md", "Generic"), ("docs/errors.zh-CN.md", "通用")] {
        let document = read(file);
        let (generic, openclaw) = (rows(&document, generic_heading), rows(&document, "OpenClaw"));
        for ending in endings() {
            let told = ending.told(ClientProfile::Generic);
            assert!(
                generic.iter().any(|row| describes(row, &ending, &told)),
                "{file}, {generic_heading}: no row for {told:?}"
            );
            let to_openclaw = ending.told(ClientProfile::OpenClaw);
            if to_openclaw != told {
                assert!(
                    openclaw.iter().any(|row| describes(row, &ending, &to_openclaw)),
                    "{file}, OpenClaw: no row for {to_openclaw:?}"
                );
            }
        }
    }
}

/// How many headings, lines of code blocks' fences, and table rows a document has.
fn shape(document: &str) -> [usize; 3] {
    let mut in_code = false;
    let mut shape = [0; 3];
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            shape[1] += 1;
        } else if !in_code {
            shape[0] += usize::from(line.starts_with('#'));
            shape[2] += usize::from(line.starts_with('|'));
        }
    }
    shape
}

#[test]
fn both_languages_have_the_same_headings_code_blocks_and_table_rows() {
    for name in PAIRS {
        let (english, chinese) = (read(&format!("{name}.md")), read(&format!("{name}.zh-CN.md")));
        assert_eq!(shape(&english), shape(&chinese), "{name}: headings, fences, table rows");
    }
}

#[test]
fn code_blocks_are_the_same_in_both_languages() {
    let commands = |document: &str| -> Vec<String> {
        let code = document.split("\n```").skip(1).step_by(2);
        // Comments are translated.
        code.flat_map(|block| block.lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
            .filter(|line| !line.trim_start().starts_with('#'))
            .collect()
    };
    for name in PAIRS {
        let (english, chinese) = (read(&format!("{name}.md")), read(&format!("{name}.zh-CN.md")));
        assert_eq!(commands(&english), commands(&chinese), "{name}");
    }
}

#[test]
fn every_command_has_a_heading_and_an_example_in_both_languages() {
    let mut commands = onepool::cli::command_names();
    commands.sort();
    for file in ["docs/cli.md", "docs/cli.zh-CN.md"] {
        let document = read(file);
        let mut described = Vec::new();
        for section in document.split("\n### ").skip(1) {
            let name = section.lines().next().unwrap_or_default();
            let has_example = section.lines().any(|line| line.contains(&format!("onepool {name}")));
            assert!(has_example, "{file}: `{name}` has no example");
            described.push(name.to_owned());
        }
        described.sort();
        assert_eq!(described, commands, "{file}: its commands, and those of the program");
    }
}

#[test]
fn every_provider_is_in_the_list_of_both_languages_with_its_name_address_and_time_zone() {
    let providers = Providers::embedded();
    for (file, begin) in [("docs/providers.md", "| Id |"), ("docs/providers.zh-CN.md", "| ID |")] {
        let document = read(file);
        let expected: Vec<String> = providers
            .all()
            .map(|provider| {
                let name = if file.contains("zh-CN") { &provider.name.zh } else { &provider.name.en };
                let address = provider.base_urls.first().map_or("–".to_owned(), |url| format!("`{url}`"));
                let zone = provider.zone().unwrap_or("–");
                format!("| `{}` | {name} | {address} | {zone} | {} |", provider.id, provider.checked)
            })
            .collect();
        let table = document.lines().skip_while(|line| !line.starts_with(begin)).skip(2);
        let found: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
        assert!(found == expected, "{file}: its list should be\n{}", expected.join("\n"));
    }
}

/// The targets of a document's links and pictures, code blocks aside.
fn links(document: &str) -> Vec<&str> {
    let prose = document.split("\n```").step_by(2);
    prose
        .flat_map(|text| text.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .collect()
}

fn documents() -> Vec<PathBuf> {
    let in_folder = |folder: &Path| {
        fs::read_dir(folder)
            .expect("a readable folder")
            .map(|entry| entry.expect("a readable entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .collect::<Vec<_>>()
    };
    [in_folder(root()), in_folder(&root().join("deploy")), in_folder(&root().join("docs"))].concat()
}

#[test]
fn links_to_files_of_the_repository_lead_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("UTF-8");
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            let target = document.parent().expect("a folder").join(file);
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "the links are not found any more");
}

/// Words in backquotes that look like paths of this repository.
fn named_paths(document: &str) -> Vec<&str> {
    const FOLDERS: &[&str] =
        &["src/", "tests/", "docs/", "scripts/", "templates/", "migrations/", "static/", "examples/"];
    document
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| !word.contains(['*', '<', '{', ' ', '…']))
        .collect()
}

#[test]
fn paths_that_documents_name_exist() {
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "README.zh-CN.md", "docs/errors.md"] {
        let document = read(name);
        // Inside fences single backquotes do not pair up.
        let prose: String = document.split("\n```").step_by(2).collect();
        for path in named_paths(&prose) {
            assert!(root().join(path).exists(), "{name} names {path}, which does not exist");
        }
    }
}
