//! Secrets in pool files: given as they are, by an environment variable, or by a file.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    file::PoolFile,
    input::{Faults, PlainSecret},
};
use crate::{i18n::Messages, model::secret::Secret};

/// In front of the name of an environment variable.
const ENVIRONMENT: &str = "env:";
/// In front of the path of a file.
const FILE: &str = "file:";
/// In front of a secret that begins with one of these words itself.
const LITERAL: &str = "literal:";
/// Stands for the secret that the pool has already.
pub const KEEP: &str = "keep:";
/// The largest file with a secret, in bytes; a token's value, a key or a header is far smaller.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where secrets come from that a pool file only names.
pub struct Sources<'a> {
    /// The folder that relative paths begin at: the pool file's.
    pub folder: PathBuf,
    /// The environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// What a text in the place of a secret means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The secret itself.
    Literal(Secret),
    /// The secret that the pool has.
    Keep,
    /// One that is elsewhere, and was not fetched.
    Elsewhere,
}

/// What a text in the place of a secret means, after [`resolve`].
pub fn meaning(secret: &PlainSecret) -> Meaning {
    let text = secret.expose();
    if let Some(literal) = text.strip_prefix(LITERAL) {
        Meaning::Literal(Secret::new(literal))
    } else if text == KEEP {
        Meaning::Keep
    } else if [ENVIRONMENT, FILE, KEEP].iter().any(|word| text.starts_with(word)) {
        Meaning::Elsewhere
    } else {
        Meaning::Literal(secret.0.clone())
    }
}

/// Writes a secret so that it is read as itself, whatever it begins with.
pub fn literal(secret: &Secret) -> PlainSecret {
    let text = secret.expose();
    if [ENVIRONMENT, FILE, KEEP, LITERAL].iter().any(|word| text.starts_with(word)) {
        PlainSecret::new(format!("{LITERAL}{text}"))
    } else {
        PlainSecret(secret.clone())
    }
}

/// Puts the secrets that `env:NAME` and `file:PATH` name in their places. Gives every fault with its field.
pub fn resolve(file: &mut PoolFile, sources: &Sources<'_>, t: Messages) -> Faults {
    let mut faults = Faults::default();
    each_secret(file, |field, secret| {
        let text = Zeroizing::new(secret.expose().to_owned());
        let found = if let Some(name) = text.strip_prefix(ENVIRONMENT) {
            sources.variable(name.trim(), t)
        } else if let Some(path) = text.strip_prefix(FILE) {
            sources.content(Path::new(path.trim()), t)
        } else {
            return;
        };
        match found {
            Ok(found) => *secret = literal(&found),
            Err(message) => faults.add(field, message),
        }
    });
    faults
}

impl Sources<'_> {
    fn variable(&self, name: &str, t: Messages) -> Result<Secret, String> {
        let value = (self.environment)(name).map(Zeroizing::new);
        let value = value.as_ref().map_or("", |value| value.trim_end_matches(['\r', '\n']));
        if value.is_empty() { Err(t.pool_file.no_variable(name)) } else { Ok(Secret::new(value)) }
    }

    fn content(&self, path: &Path, t: Messages) -> Result<Secret, String> {
        let path = self.folder.join(path);
        let shown = path.display().to_string();
        let unreadable = |cause: String| t.pool_file.unreadable_secret(&shown, &cause);
        let file = File::open(&path).map_err(|error| unreadable(error.to_string()))?;
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(t.pool_file.large_secret(&shown, MAX_FILE_BYTES / 1024));
        }
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(t.pool_file.empty_secret(&shown)) } else { Ok(Secret::new(text)) }
    }
}

/// Calls `visit` with every secret of a file and the path of its field.
fn each_secret(file: &mut PoolFile, mut visit: impl FnMut(String, &mut PlainSecret)) {
    for (position, channel) in file.channels.iter_mut().enumerate() {
        let field = format!("channels[{position}]");
        for (name, value) in &mut channel.channel.headers {
            visit(format!("{field}.headers.{name}"), value);
        }
        if let Some(proxy) = &mut channel.channel.proxy {
            visit(format!("{field}.proxy"), proxy);
        }
        for (number, key) in channel.keys.iter_mut().flatten().enumerate() {
            visit(format!("{field}.keys[{number}].secret"), &mut key.secret);
        }
    }
    for (position, token) in file.tokens.iter_mut().enumerate() {
        if let Some(value) = &mut token.value {
            visit(format!("tokens[{position}].value"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn file() -> PoolFile {
        serde_json::from_str(
            r#"{"channels": [{"name": "a", "base_url": "https://a.example", "proxy": "file:proxy",
                "headers": {"X-A": "env:A"}, "keys": [{"secret": "file:key"}, {"secret": "env:MISSING"},
                {"secret": "file:empty"}, {"secret": "file:large"}, {"secret": "env:ODD"}]}],
                "tokens": [{"name": "t", "value": "as it is"}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn secrets_come_from_variables_and_from_files_beside_the_pool_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("proxy", "socks5://user:pass@127.0.0.1:1080\r\n");
        write("key", "nvapi-from-a-file\n");
        write("empty", "\n");
        write("large", &"x".repeat(70_000));
        let environment = |name: &str| match name {
            "A" => Some("from the environment\n".to_owned()),
            "ODD" => Some("env:not a reference".to_owned()),
            _ => None,
        };
        let sources = Sources { folder: folder.path().to_owned(), environment: &environment };
        let mut file = file();
        let faults = resolve(&mut file, &sources, Messages::of(Lang::En));
        let fields: Vec<&str> = faults.0.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            ["channels[0].keys[1].secret", "channels[0].keys[2].secret", "channels[0].keys[3].secret"]
        );
        assert!(faults.0[0].message.contains("MISSING"), "{faults:?}");

        let is = |secret: &PlainSecret, text: &str| {
            assert_eq!(meaning(secret), Meaning::Literal(Secret::new(text)))
        };
        let channel = &file.channels[0];
        is(&channel.channel.headers["X-A"], "from the environment");
        is(channel.channel.proxy.as_ref().unwrap(), "socks5://user:pass@127.0.0.1:1080");
        let keys = channel.keys.as_ref().unwrap();
        is(&keys[0].secret, "nvapi-from-a-file");
        is(&keys[4].secret, "env:not a reference");
        assert_eq!(meaning(&keys[1].secret), Meaning::Elsewhere);
        is(file.tokens[0].value.as_ref().unwrap(), "as it is");
    }

    #[test]
    fn any_secret_can_be_written_so_that_it_reads_back() {
        for text in ["plain", "env:A", "file:b", "keep:", "keep:x", "literal:env:A"] {
            assert_eq!(meaning(&literal(&Secret::new(text))), Meaning::Literal(Secret::new(text)), "{text}");
        }
        assert_eq!(meaning(&PlainSecret::new("keep:")), Meaning::Keep);
    }
}
