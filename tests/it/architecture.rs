//! The layers of the code, checked by reading it. ARCHITECTURE.md explains the rules.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each top module of the crate, and the others that it may name.
const MAY_NAME: &[(&str, &str)] = &[
    ("error", ""),
    ("model", "error"),
    ("i18n", "error model"),
    ("config", "error model i18n"),
    ("protocol", "error model"),
    ("scheduler", "error model"),
    ("provider", "error model"),
    ("ranking", "error model provider"),
    ("storage", "error model protocol scheduler provider ranking"),
    ("upstream", "error model protocol scheduler provider"),
    ("export", "error model i18n protocol scheduler provider"),
    ("import", "error model protocol scheduler provider storage"),
    ("dispatch", "error model scheduler provider"),
    ("inspect", "error model scheduler provider dispatch"),
    ("discovery", "error model provider ranking scheduler storage upstream dispatch pool"),
    ("selection", "error model provider ranking scheduler storage dispatch"),
    ("relay", "error model protocol scheduler provider storage upstream dispatch"),
    ("pool", "error model protocol scheduler provider ranking storage upstream i18n"),
    ("notices", "error model i18n pool upstream"),
    ("openclaw", "error model protocol upstream config"),
    ("metrics", "error model"),
    ("capture", "error model protocol storage upstream"),
    (
        "jobs",
        "error model protocol scheduler provider ranking storage upstream dispatch discovery selection inspect relay i18n export import pool notices",
    ),
    (
        "repair",
        "error model scheduler storage upstream dispatch discovery selection relay i18n config pool notices jobs openclaw",
    ),
    (
        "web",
        "error model protocol scheduler provider ranking storage upstream dispatch discovery selection inspect relay i18n export import config pool notices repair metrics capture",
    ),
    (
        "app",
        "error model protocol scheduler provider ranking storage upstream dispatch discovery selection inspect relay i18n export import config pool notices jobs repair web metrics capture",
    ),
    (
        "cli",
        "error model protocol scheduler provider ranking storage upstream dispatch discovery selection inspect relay i18n export import config pool notices jobs repair web app openclaw metrics capture",
    ),
];

/// Crates that only one module names.
const ONLY_IN: &[(&str, &str)] = &[
    ("sqlx", "storage"),
    ("reqwest", "upstream"),
    ("hyper_rustls", "upstream"),
    ("lettre", "upstream"),
    ("axum", "web"),
    ("axum_extra", "web"),
    ("askama", "web"),
    ("pulldown_cmark", "web"),
    ("clap", "cli"),
];

/// What a module that owns no clock, network, database or randomness does not name.
const IMPURE: &[&str] = &[
    "tokio",
    "Clock",
    "SystemTime",
    "Instant",
    "TcpStream",
    "UdpSocket",
    "fs",
    "env",
    "process",
    "ThreadRng",
    "SysRng",
];
const PURE_MODULES: &[&str] = &["protocol", "scheduler", "provider", "ranking"];

/// Ways to hold state that nobody passes on.
const GLOBAL_STATE: &[&str] =
    &["OnceLock", "LazyLock", "OnceCell", "LazyCell", "lazy_static", "thread_local", "once_cell"];

/// One source file: its module path (`["web", "admin", "login"]`) and its code without comments and strings.
struct Source {
    name: String,
    module: Vec<String>,
    text: String,
    code: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Mark(char),
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
        Self {
            name: name.to_owned(),
            module: path.split('/').map(str::to_owned).collect(),
            text: text.to_owned(),
            code: tokens(&without_comments_and_strings(text)),
        }
    }

    fn top(&self) -> &str {
        &self.module[0]
    }

    fn words(&self) -> BTreeSet<&str> {
        let word = |token: &'_ Token| matches!(token, Token::Word(_));
        self.code
            .iter()
            .filter(|token| word(token))
            .map(|token| if let Token::Word(word) = token { word.as_str() } else { "" })
            .collect()
    }

    /// The top modules that this file names by `crate::...`, or by enough `super::`.
    fn named_modules(&self) -> BTreeSet<String> {
        let mut named = BTreeSet::new();
        let mut place = 0;
        let mut braces = 0usize;
        let mut inline_modules: Vec<usize> = Vec::new();
        while place < self.code.len() {
            match &self.code[place] {
                Token::Word(word) if word == "mod" && self.code.get(place + 2) == Some(&Token::Mark('{')) => {
                    inline_modules.push(braces);
                    place += 1;
                }
                Token::Mark('{') => {
                    braces += 1;
                    place += 1;
                }
                Token::Mark('}') => {
                    braces = braces.saturating_sub(1);
                    if inline_modules.last() == Some(&braces) {
                        inline_modules.pop();
                    }
                    place += 1;
                }
                Token::Word(word) if (word == "crate" || word == "super") && !self.is_path_rest(place) => {
                    let root = word == "crate";
                    let mut ups = usize::from(!root);
                    let mut rest = place + 1;
                    while self.code.get(rest) == Some(&Token::Path)
                        && self.code.get(rest + 1) == Some(&Token::Word("super".to_owned()))
                    {
                        ups += 1;
                        rest += 2;
                    }
                    if (root || ups >= self.module.len() + inline_modules.len())
                        && self.code.get(rest) == Some(&Token::Path)
                    {
                        named.extend(first_names(&self.code[rest + 1..]));
                    }
                    place = rest;
                }
                _ => place += 1,
            }
        }
        named
    }

    fn is_path_rest(&self, place: usize) -> bool {
        place > 0 && self.code[place - 1] == Token::Path
    }

    fn has_sequence(&self, words: &[&str]) -> bool {
        let wanted: Vec<Token> = words
            .iter()
            .map(|&word| match word {
                "::" => Token::Path,
                "!" => Token::Mark('!'),
                word => Token::Word(word.to_owned()),
            })
            .collect();
        self.code.windows(wanted.len()).any(|window| window == wanted)
    }
}

/// The names at the start of a path: one, or those of a `{...}` group.
fn first_names(code: &[Token]) -> Vec<String> {
    match code.first() {
        Some(Token::Word(word)) => vec![word.clone()],
        Some(Token::Mark('{')) => {
            let mut names = Vec::new();
            let mut depth = 0usize;
            let mut start = true;
            for token in code {
                match token {
                    Token::Mark('{') => {
                        depth += 1;
                        start = depth == 1;
                    }
                    Token::Mark('}') => {
                        depth -= 1;
                        if depth == 0 {
                            break;
                        }
                    }
                    Token::Mark(',') => start = depth == 1,
                    Token::Word(word) if start => {
                        names.push(word.clone());
                        start = false;
                    }
                    _ => {}
                }
            }
            names
        }
        _ => Vec::new(),
    }
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() || letter == '_' {
            let mut word = String::from(letter);
            while let Some(next) = letters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                word.push(next);
            }
            tokens.push(Token::Word(word));
        } else if letter == ':' && letters.next_if_eq(&':').is_some() {
            tokens.push(Token::Path);
        } else if !letter.is_whitespace() {
            tokens.push(Token::Mark(letter));
        }
    }
    tokens
}

/// The code with its comments and the insides of its strings and characters blanked out.
fn without_comments_and_strings(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let at = |place: usize| letters.get(place).copied().unwrap_or('\0');
    let mut place = 0;
    while place < letters.len() {
        let previous_is_word = place > 0 && (at(place - 1).is_alphanumeric() || at(place - 1) == '_');
        match at(place) {
            '/' if at(place + 1) == '/' => {
                while place < letters.len() && at(place) != '\n' {
                    place += 1;
                }
            }
            '/' if at(place + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(place), at(place + 1)) {
                        ('/', '*') => (depth, place) = (depth + 1, place + 2),
                        ('*', '/') => (depth, place) = (depth - 1, place + 2),
                        _ => place += 1,
                    }
                    if depth == 0 || place >= letters.len() {
                        break;
                    }
                }
            }
            'r' if !previous_is_word && raw_string_hashes(&letters, place + 1).is_some()
                || at(place) == 'r'
                    && place > 0
                    && at(place - 1) == 'b'
                    && raw_string_hashes(&letters, place + 1).is_some() =>
            {
                let hashes = raw_string_hashes(&letters, place + 1).unwrap_or(0);
                place += 2 + hashes;
                while place < letters.len()
                    && !(at(place) == '"' && (1..=hashes).all(|ahead| at(place + ahead) == '#'))
                {
                    place += 1;
                }
                place += 1 + hashes;
                code.push(' ');
            }
            '"' => {
                place += 1;
                while place < letters.len() && at(place) != '"' {
                    place += if at(place) == '\\' { 2 } else { 1 };
                }
                place += 1;
                code.push(' ');
            }
            '\'' if at(place + 1) == '\\' => {
                place += 3;
                while place < letters.len() && at(place) != '\'' {
                    place += 1;
                }
                place += 1;
                code.push(' ');
            }
            '\'' if at(place + 2) == '\'' => {
                place += 3;
                code.push(' ');
            }
            letter => {
                code.push(letter);
                place += 1;
            }
        }
    }
    code
}

fn raw_string_hashes(letters: &[char], start: usize) -> Option<usize> {
    let hashes = letters[start.min(letters.len())..].iter().take_while(|&&letter| letter == '#').count();
    (letters.get(start + hashes) == Some(&'"')).then_some(hashes)
}

/// What is wrong with one file, in sentences.
fn violations(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |text: String| found.push(format!("src/{}: {text}", source.name));
    let top = source.top();
    let words = source.words();
    if top != "lib" && top != "main" {
        match MAY_NAME.iter().find(|(module, _)| *module == top) {
            None => note(format!("the module `{top}` has no place in the layers (tests/it/architecture.rs)")),
            Some((_, allowed)) => {
                for named in source.named_modules() {
                    let known = MAY_NAME.iter().any(|(module, _)| *module == named);
                    if known && named != top && !allowed.split(' ').any(|module| module == named) {
                        note(format!("`{top}` names `{named}`, which is not below it"));
                    }
                }
            }
        }
    }
    for (name, module) in ONLY_IN {
        if top != *module && words.contains(name) {
            note(format!("names `{name}`, which only `{module}` may"));
        }
    }
    for part in ["admin", "api"] {
        if source.module.starts_with(&["web".to_owned(), part.to_owned()])
            && source.named_modules().contains("relay")
        {
            note(format!("`web/{part}` names `relay`"));
        }
    }
    if PURE_MODULES.contains(&top) {
        for word in IMPURE.iter().filter(|word| words.contains(**word)) {
            note(format!("`{top}` is pure, but names `{word}`"));
        }
        if source.has_sequence(&["rand", "::", "rng"]) || source.has_sequence(&["rand", "::", "random"]) {
            note(format!("`{top}` is pure, but owns randomness"));
        }
    }
    for word in GLOBAL_STATE.iter().filter(|word| words.contains(**word)) {
        note(format!("`{word}` holds global state"));
    }
    for static_type in ["mut", "Mutex", "RwLock"] {
        if has_static(source, static_type) {
            note(format!("a static `{static_type}` holds global state"));
        }
    }
    for mark in ["todo", "unimplemented"] {
        if source.has_sequence(&[mark, "!"]) {
            note(format!("`{mark}!` is unfinished"));
        }
    }
    for mark in ["TODO", "FIXME", "XXX"] {
        if source.text.contains(mark) {
            note(format!("a note `{mark}` is unfinished"));
        }
    }
    if !source.text.starts_with("//!") {
        note("does not begin with a `//!` line that says what it is for".to_owned());
    }
    found
}

/// Whether a `static` item (not the lifetime) has this word, or an atomic, in its type.
fn has_static(source: &Source, wanted: &str) -> bool {
    source.code.iter().enumerate().any(|(place, token)| {
        *token == Token::Word("static".to_owned())
            && (place == 0 || source.code[place - 1] != Token::Mark('\''))
            && source.code[place..].iter().take_while(|token| **token != Token::Mark('=')).any(
                |token| matches!(token, Token::Word(word) if word == wanted || word.starts_with("Atomic")),
            )
    })
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path: PathBuf = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(&root).expect("a path below src").to_string_lossy().replace('\\', "/");
                sources.push(Source::new(&name, &fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    sources
}

#[test]
fn the_code_keeps_its_layers() {
    let found: Vec<String> = sources().iter().flat_map(violations).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_top_folder_has_a_module_file() {
    let folders: BTreeSet<String> = sources()
        .iter()
        .filter(|source| source.name.contains('/'))
        .map(|source| source.name.split('/').next().unwrap_or_default().to_owned())
        .collect();
    let sources = sources();
    for folder in folders {
        let module = format!("{folder}/mod.rs");
        assert!(sources.iter().any(|source| source.name == module), "src/{module} is missing");
    }
}

/// The complaints about a file of this name and text, which begins with a module comment.
fn complaints(name: &str, code: &str) -> Vec<String> {
    violations(&Source::new(name, &format!("//! What it is for.\n{code}")))
}

#[track_caller]
fn assert_caught(name: &str, code: &str, complaint: &str) {
    let found = complaints(name, code);
    assert!(found.iter().any(|text| text.contains(complaint)), "{name}: {code}: {found:?}");
}

#[test]
fn a_layer_that_names_a_higher_one_is_caught() {
    assert_caught("storage/keys.rs", "use crate::relay::Attempt;", "`storage` names `relay`");
    assert_caught("storage/keys.rs", "use crate::{model::Key, web::{self, x}};", "`storage` names `web`");
    assert_caught("protocol/sse.rs", "fn f() { crate::upstream::send() }", "`protocol` names `upstream`");
    assert_caught("scheduler/plan.rs", "use crate::protocol::Event;", "`scheduler` names `protocol`");
    assert_caught("relay/stream.rs", "use super::super::web::Page;", "`relay` names `web`");
    assert_caught("relay/mod.rs", "use super::web::Page;", "`relay` names `web`");
    assert_caught("relay/mod.rs", "mod tests { use super::super::web::Page; }", "`relay` names `web`");
    assert_caught("web/admin/keys.rs", "use crate::relay::serve;", "`web/admin` names `relay`");
    assert_caught("web/api/keys.rs", "use crate::relay::serve;", "`web/api` names `relay`");
    assert_caught("helpers/mod.rs", "", "has no place");
}

#[test]
fn a_layer_that_names_a_lower_one_or_itself_is_fine() {
    for (name, code) in [
        ("relay/mod.rs", "use crate::{model::Key, storage::Db};\nmod tests { use super::web; }"),
        ("web/v1/chat.rs", "use crate::relay::serve; use super::super::admin;"),
        ("model/mod.rs", "// use crate::web;\n/* crate::relay::x */ const TEXT: &str = \"crate::web::x\";"),
        ("model/key.rs", "const TEXT: &str = r#\"crate::web \"quoted\" sqlx\"#; const LETTER: char = '\"';"),
        ("model/id.rs", "fn f(text: &'static str) -> char { '\\'' }"),
    ] {
        assert_eq!(complaints(name, code), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_crate_outside_of_its_room_is_caught() {
    assert_caught("relay/mod.rs", "type Pool = sqlx::SqlitePool;", "names `sqlx`");
    assert_caught("relay/mod.rs", "use reqwest::Client;", "names `reqwest`");
    assert_caught("relay/mod.rs", "impl axum::response::IntoResponse for X {}", "names `axum`");
    assert_caught("i18n/mod.rs", "#[derive(askama::Template)] struct X;", "names `askama`");
}

#[test]
fn impurity_and_global_state_are_caught() {
    assert_caught("scheduler/plan.rs", "fn f() { tokio::time::sleep(x) }", "names `tokio`");
    assert_caught("scheduler/plan.rs", "fn f() { rand::random() }", "owns randomness");
    assert_caught("protocol/sse.rs", "fn f(clock: &Clock) {}", "names `Clock`");
    assert_caught("relay/mod.rs", "static mut COUNT: u8 = 0;", "a static `mut`");
    assert_caught("relay/mod.rs", "static COUNT: AtomicU64 = AtomicU64::new(0);", "a static");
    assert_caught("relay/mod.rs", "static X: std::sync::LazyLock<u8> = f();", "`LazyLock`");
    assert!(complaints("storage/mod.rs", "static MIGRATIONS: Migrator = f(Mutex::new());").is_empty());
}

#[test]
fn unfinished_code_is_caught() {
    assert_caught("relay/mod.rs", "fn f() { todo!() }", "`todo!`");
    assert_caught("relay/mod.rs", "// TODO later", "`TODO`");
    let bare = violations(&Source::new("relay/mod.rs", "fn f() {}"));
    assert!(bare.iter().any(|text| text.contains("does not begin with")), "{bare:?}");
}
