//! What OpenClaw's configuration says at present: read by its own commands, or from its file where that is plain JSON.
//!
//! `openclaw config get` gives secrets as `__OPENCLAW_REDACTED__` and mixes defaults in
//! (<https://docs.openclaw.ai/cli/config>). The file, as OpenClaw itself writes it, holds just what was configured; only a
//! file with comments or with `$include` cannot be taken for the whole.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Call, Program, Ran};
use crate::{
    config,
    model::secret::{Secret, SecretHash},
};

/// What stands for a secret in what OpenClaw prints of its configuration.
pub const REDACTED: &str = "__OPENCLAW_REDACTED__";
/// OpenClaw takes files of 8 MiB.
const MOST_BYTES: u64 = 8 << 20;
/// The most problems of a configuration that are told.
const MOST_PROBLEMS: usize = 10;

/// OpenClaw's present configuration.
pub struct Present {
    /// The file.
    pub path: PathBuf,
    /// Whether the file is there.
    pub exists: bool,
    /// Whether OpenClaw has put [`REDACTED`] in the place of secrets, and mixed defaults in.
    pub is_redacted: bool,
    values: Value,
}

/// Why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// A command did not end in time.
    Late(String),
    /// This release has no such command.
    TooOld(String),
    /// A command failed: the command, and what it said, without secrets.
    Failed(String, String),
    /// OpenClaw itself refuses the configuration: the file, and what is wrong with it.
    Invalid(PathBuf, String),
}

impl Present {
    /// Reads the configuration. `roots` are the top keys that matter, such as `models`.
    ///
    /// # Errors
    /// A program that cannot be run or does not answer, and a configuration that OpenClaw does not accept.
    pub async fn read(program: &Program, roots: &[&str]) -> Result<Self, Unread> {
        let mut present = Self::look(program).await?;
        if !present.exists {
            return Ok(present);
        }
        match whole_file(&present.path) {
            Some(values) => present.values = values,
            None => {
                present.is_redacted = true;
                let mut values = Map::new();
                for root in roots {
                    if let Some(value) = ask_for(program, root).await? {
                        values.insert((*root).to_owned(), value);
                    }
                }
                present.values = Value::Object(values);
            }
        }
        Ok(present)
    }

    /// Where the file is, and whether OpenClaw accepts it.
    async fn look(program: &Program) -> Result<Self, Unread> {
        let call = Call::new(["config", "validate", "--json"]);
        let words = call.words();
        let (code, said) = ended(program.run(call).await, &words)?;
        let failed = || Unread::Failed(words.clone(), said.shown());
        let answer: Value = serde_json::from_str(said.out.trim()).map_err(|_| failed())?;
        let path = answer["path"].as_str().map(PathBuf::from).ok_or_else(failed)?;
        let exists = path.exists();
        if exists && (code != 0 || answer["valid"] != true) {
            let problems = problems_of(&answer).unwrap_or_else(|| said.shown());
            return Err(Unread::Invalid(path, problems));
        }
        Ok(Self { path, exists, is_redacted: false, values: Value::Null })
    }

    /// The value at a path of keys; `Null` if nothing is there.
    pub fn at(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.values, |value, key| value.get(key).unwrap_or(&Value::Null))
    }

    /// The configuration as a whole, as far as it was asked for.
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// The key that a provider presents.
    pub fn key_of(&self, provider: &str) -> PresentKey {
        match self.at(&["models", "providers", provider, "apiKey"]) {
            Value::Null => PresentKey::None,
            Value::String(text) if text == REDACTED => PresentKey::Hidden,
            Value::String(text) => match variable_of(text) {
                Some(name) => match self.variable(name) {
                    Some(value) => PresentKey::Variable(name.to_owned(), Some(value)),
                    None => PresentKey::Variable(name.to_owned(), None),
                },
                None => PresentKey::Literal(Secret::new(text.replace("$${", "${"))),
            },
            _ => PresentKey::Hidden,
        }
    }

    /// What an environment variable has here: in this process's environment, else in the `.env` beside OpenClaw's file.
    /// OpenClaw's service may see another value.
    fn variable(&self, name: &str) -> Option<Secret> {
        if let Some(value) = config::environment(name).filter(|value| !value.is_empty()) {
            return Some(Secret::new(value));
        }
        let text = read_bounded(&self.path.with_file_name(".env"))?;
        let of = |line: &str| {
            let (key, value) = line.trim().trim_start_matches("export ").split_once('=')?;
            (key.trim() == name).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        text.lines().find_map(of).filter(|value| !value.is_empty()).map(Secret::new)
    }

    /// Whether any text in quotes of the file fits: for a file that only OpenClaw can read as a whole.
    pub fn find_text<Found>(&self, fits: impl Fn(SecretHash) -> Option<Found>) -> Option<Found> {
        let text = read_bounded(&self.path)?;
        text.split(['"', '\''])
            .filter(|piece| !piece.is_empty())
            .find_map(|piece| fits(SecretHash::of(piece)))
    }
}

/// The key that a provider presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresentKey {
    /// There is none.
    None,
    /// It stands in the file.
    Literal(Secret),
    /// It is in an environment variable: its name, and what it has here.
    Variable(String, Option<Secret>),
    /// OpenClaw does not show it, or takes it from elsewhere.
    Hidden,
}

/// The name in `${NAME}`.
fn variable_of(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let inner = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.bytes().all(inner)).then_some(name)
}

/// The file, if it says everything by itself.
fn whole_file(path: &Path) -> Option<Value> {
    let values: Value = serde_json::from_str(&read_bounded(path)?).ok()?;
    (values.is_object() && !includes(&values)).then_some(values)
}

fn includes(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("$include") || map.values().any(includes),
        Value::Array(items) => items.iter().any(includes),
        _ => false,
    }
}

fn read_bounded(path: &Path) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path).ok()?.take(MOST_BYTES + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= MOST_BYTES).then_some(text)
}

/// One part of the configuration, as OpenClaw prints it; `None` if it is not set.
async fn ask_for(program: &Program, root: &str) -> Result<Option<Value>, Unread> {
    let call = Call::new(["config", "get", root, "--json"]);
    let words = call.words();
    let (code, said) = ended(program.run(call).await, &words)?;
    let answer: Option<Value> = serde_json::from_str(said.out.trim()).ok();
    if code == 0
        && let Some(value) = answer
    {
        return Ok(Some(value));
    }
    let told = said.shown().to_lowercase();
    let is_unset = ["is valid but unset", "path not found", "unknown config path"];
    if code != 0 && is_unset.iter().any(|text| told.contains(text)) {
        return Ok(None);
    }
    Err(Unread::Failed(words, said.shown()))
}

/// The end of a run that came to one.
fn ended(ran: Ran, words: &str) -> Result<(i32, super::Said), Unread> {
    match ran {
        Ran::Ended(code, said) if code != 0 && said.is_unknown() => Err(Unread::TooOld(words.to_owned())),
        Ran::Ended(code, said) => Ok((code, said)),
        Ran::Late => Err(Unread::Late(words.to_owned())),
        Ran::Broke(text) | Ran::Unstartable(text) => Err(Unread::Failed(words.to_owned(), text)),
    }
}

/// What OpenClaw says is wrong, `path: message`; at most [`MOST_PROBLEMS`]. For its `issues` and its `errors`.
pub fn problems_of(answer: &Value) -> Option<String> {
    let list = ["issues", "errors"].iter().find_map(|name| answer[name].as_array())?;
    let told = list.iter().take(MOST_PROBLEMS).filter_map(|problem| {
        let message = problem["message"].as_str()?;
        Some(match problem["path"].as_str() {
            Some(path) if !path.is_empty() => format!("{path}: {message}"),
            _ => message.trim_start_matches("- ").to_owned(),
        })
    });
    let told = told.collect::<Vec<_>>().join("; ");
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
impl Present {
    /// A configuration with these values.
    pub fn of(values: Value, is_redacted: bool) -> Self {
        Self { path: "/nowhere/openclaw.json".into(), exists: true, is_redacted, values }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_told_by_how_it_stands_there() {
        let key = |value: Value| {
            Present::of(json!({ "models": { "providers": { "p": { "apiKey": value } } } }), false).key_of("p")
        };
        assert_eq!(key(Value::Null), PresentKey::None);
        assert_eq!(key(json!("sk-$${x")), PresentKey::Literal(Secret::new("sk-${x")));
        assert_eq!(key(json!(REDACTED)), PresentKey::Hidden);
        assert_eq!(key(json!({ "source": "env", "provider": "default", "id": "A" })), PresentKey::Hidden);
        assert_eq!(key(json!("${NOT_SET_ANYWHERE}")), PresentKey::Variable("NOT_SET_ANYWHERE".into(), None));
    }

    #[test]
    fn only_a_file_that_says_everything_by_itself_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openclaw.json");
        for (text, whole) in [
            (r#"{"models":{}}"#, true),
            ("{models:{}}", false),
            ("{\"models\":{} // mine\n}", false),
            (r#"{"models":{"$include":"./pool.json5"}}"#, false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(whole_file(&path).is_some(), whole, "{text}");
        }
        let present = Present { path, ..Present::of(Value::Null, true) };
        fs::write(&present.path, "{models:{providers:{p:{apiKey:'sk-secret'}}}}").unwrap();
        let wanted = SecretHash::of("sk-secret");
        assert_eq!(present.find_text(|hash| (hash == wanted).then_some(1)), Some(1));
        fs::write(present.path.with_file_name(".env"), "A=1\nexport ONEPOOL_TEST_ONLY=\"sk-x\"\n").unwrap();
        assert_eq!(present.variable("ONEPOOL_TEST_ONLY"), Some(Secret::new("sk-x")));
    }

    #[test]
    fn problems_are_told_with_their_places_and_few() {
        let answer =
            json!({ "issues": [{ "path": "meta", "message": "Unrecognized key" }, { "message": "- b" }] });
        assert_eq!(problems_of(&answer).as_deref(), Some("meta: Unrecognized key; b"));
        assert_eq!(problems_of(&json!({ "ok": false })), None);
    }
}
