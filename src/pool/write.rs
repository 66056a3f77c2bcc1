//! Writes the pool as a pool file, for people: what has its default is left out.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    file::{PoolChannel, PoolFile, PoolToken},
    input::{ChainInput, ChannelInput, KeyInput, PlainSecret, Spill, TokenInput},
    secrets,
};
use crate::{
    i18n::Messages,
    model::{id::ChannelId, key::Key},
    storage::{channels::NewChannel, pool::PoolState},
};

/// The widest line of a list before it is broken up.
const WIDTH: usize = 100;

/// The pool as a pool file. With secrets, it makes the same pool in an empty data folder. Without, keys and token values
/// are left out and secrets of channels say `keep:`, so that it changes nothing when it is applied to the same pool.
pub fn document(state: &PoolState, with_secrets: bool) -> PoolFile {
    let channels = state.channels.iter().map(|(channel, keys)| {
        let mut input = ChannelInput::of(channel);
        let shown = |value: &mut PlainSecret| {
            *value = if with_secrets { secrets::literal(&value.0) } else { PlainSecret::new(secrets::KEEP) };
        };
        input.headers.values_mut().for_each(shown);
        input.proxy.iter_mut().filter(|proxy| with_secrets || has_credentials(proxy)).for_each(shown);
        let keys = with_secrets.then(|| {
            let keys = keys.iter().map(KeyInput::of);
            keys.map(|key| KeyInput { secret: secrets::literal(&key.secret.0), ..key }).collect()
        });
        PoolChannel { channel: input, keys }
    });
    let tokens = state.tokens.iter().map(|token| PoolToken {
        token: TokenInput::of(token),
        value: state.values.get(&token.id).filter(|_| with_secrets).map(secrets::literal),
    });
    let chains = state.chains.iter().map(ChainInput::of);
    PoolFile {
        channels: channels.collect(),
        chains: chains.collect(),
        tokens: tokens.collect(),
        ..PoolFile::default()
    }
}

/// Whether a proxy's address has a password or a name in it; if not, it is no secret.
fn has_credentials(proxy: &PlainSecret) -> bool {
    url::Url::parse(proxy.expose()).map_or(true, |url| !url.username().is_empty() || url.password().is_some())
}

/// The file as JSON, with a line break at its end.
pub fn json(file: &PoolFile) -> String {
    let object = json!({
        "version": file.version,
        "channels": file.channels.iter().map(channel_fields).collect::<Vec<_>>(),
        "chains": file.chains.iter().map(chain_fields).collect::<Vec<_>>(),
        "tokens": file.tokens.iter().map(token_fields).collect::<Vec<_>>(),
    });
    format!("{object:#}\n")
}

/// The pool as TOML, with comments in the reader's language: also about what is left out.
pub fn toml(state: &PoolState, with_secrets: bool, t: Messages) -> String {
    let file = document(state, with_secrets);
    let t = t.pool_file;
    let mut text = String::new();
    comment(&mut text, t.written_by());
    comment(&mut text, if with_secrets { t.holds_secrets() } else { t.without_secrets() });
    let _ = writeln!(text, "\nversion = {}", file.version);
    for (channel, (_, keys)) in file.channels.iter().zip(&state.channels) {
        let mut fields = channel_fields(channel);
        let listed = fields.shift_remove("keys");
        let mut tables = Vec::new();
        for name in ["headers", "redirects"] {
            tables.extend(fields.shift_remove(name).map(|table| (name, table)));
        }
        text.push_str("\n[[channels]]\n");
        write_fields(&mut text, &fields);
        for (name, table) in tables {
            let _ = writeln!(text, "\n[channels.{name}]");
            write_fields(&mut text, table.as_object().unwrap_or(&Map::new()));
        }
        for key in listed.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_object) {
            text.push_str("\n[[channels.keys]]\n");
            write_fields(&mut text, key);
        }
        if listed.is_none() && !keys.is_empty() {
            text.push('\n');
            comment(&mut text, &t.keys_left_out(keys.len()));
            let prefix = variable(&channel.channel.name);
            for (number, key) in (1..).zip(keys) {
                commented_key(&mut text, &format!("{prefix}_KEY_{number}"), key);
            }
        }
    }
    for chain in &file.chains {
        text.push_str("\n[[chains]]\n");
        write_fields(&mut text, &chain_fields(chain));
    }
    for token in &file.tokens {
        text.push_str("\n[[tokens]]\n");
        write_fields(&mut text, &token_fields(token));
    }
    text
}

/// A key as one would write it by hand, as a comment.
fn commented_key(text: &mut String, variable: &str, key: &Key) {
    let mut fields = key_fields(&KeyInput::of(key));
    fields.insert("secret".into(), json!(format!("env:{variable}")));
    let mut lines = String::from("[[channels.keys]]\n");
    write_fields(&mut lines, &fields);
    for line in lines.lines() {
        let _ = write!(text, "# {line}");
        if line.starts_with("secret = ") && !key.last4.is_empty() {
            let _ = write!(text, " # ••••{}", key.last4);
        }
        text.push('\n');
    }
}

/// The name of an environment variable for a channel's keys: `NVIDIA` for `NVIDIA`, `MY_POOL` for `my pool`.
fn variable(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    let name: String = letters.collect();
    let name = name.trim_matches('_');
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("POOL_{name}")
    } else {
        name.into()
    }
}

fn comment(text: &mut String, words: &str) {
    for line in words.lines() {
        let _ = writeln!(text, "# {line}");
    }
}

/// The fields of a channel that differ from a channel that says only what it must.
fn channel_fields(channel: &PoolChannel) -> Map<String, Value> {
    let plain = ChannelInput {
        name: channel.channel.name.clone(),
        base_url: channel.channel.base_url.clone(),
        ..ChannelInput::of(&NewChannel::default().with_id(ChannelId(0)))
    };
    let mut fields = differing(&channel.channel, &plain, &["name", "base_url"]);
    if let Some(keys) = &channel.keys {
        let keys = keys.iter().map(key_fields).map(Value::Object);
        fields.insert("keys".into(), keys.collect());
    }
    fields
}

fn key_fields(key: &KeyInput) -> Map<String, Value> {
    let plain = KeyInput {
        secret: key.secret.clone(),
        label: String::new(),
        quota_group: None,
        enabled: true,
        limits: Vec::new(),
        budget: None,
    };
    differing(key, &plain, &["secret"])
}

fn chain_fields(chain: &ChainInput) -> Map<String, Value> {
    let plain = ChainInput { name: chain.name.clone(), enabled: true, steps: Vec::new() };
    let mut fields = differing(chain, &plain, &["name"]);
    let steps = chain
        .steps
        .iter()
        .map(|step| if step.spill == Spill::default() { json!(step.model) } else { json!(step) });
    fields.insert("steps".into(), steps.collect());
    fields
}

fn token_fields(token: &PoolToken) -> Map<String, Value> {
    let plain: TokenInput = TokenInput {
        name: token.token.name.clone(),
        models: Vec::new(),
        groups: Vec::new(),
        cidrs: Vec::new(),
        expires_at: None,
        quota: None,
        requests_per_minute: None,
        weight: 1,
        profile: crate::model::token::ClientProfile::Generic,
        note: String::new(),
        enabled: true,
    };
    let mut fields = differing(&token.token, &plain, &["name"]);
    if let Some(value) = &token.value {
        fields.insert("value".into(), json!(value.expose()));
    }
    fields
}

/// The fields of one value that another one has not, or has differently, and those of `always`.
fn differing<T: serde::Serialize>(value: &T, plain: &T, always: &[&str]) -> Map<String, Value> {
    let object = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    let plain = object(plain);
    object(value)
        .into_iter()
        .filter(|(name, value)| always.contains(&name.as_str()) || plain.get(name) != Some(value))
        .collect()
}

fn write_fields(text: &mut String, fields: &Map<String, Value>) {
    for (name, value) in fields {
        let line = format!("{} = {}", bare_or_quoted(name), inline(value));
        match value
            .as_array()
            .filter(|list| line.chars().count() > WIDTH || list.iter().any(Value::is_object))
        {
            Some(list) => {
                let _ = writeln!(text, "{} = [", bare_or_quoted(name));
                for item in list {
                    let _ = writeln!(text, "    {},", inline(item));
                }
                text.push_str("]\n");
            }
            None => {
                let _ = writeln!(text, "{line}");
            }
        }
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let fields: Vec<String> = object
                .iter()
                .map(|(name, value)| format!("{} = {}", bare_or_quoted(name), inline(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        // TOML has no null; what is not set is left out before it gets here.
        Value::Null => quoted(""),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A name in a table.
fn bare_or_quoted(name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
    if bare { name.to_owned() } else { quoted(name) }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
