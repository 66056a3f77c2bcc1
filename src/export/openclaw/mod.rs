//! OpenClaw's configuration: the part of `openclaw.json` that makes it use this server.
//!
//! OpenClaw refuses to start on any key that it does not know, so every key that is written here stands in its schema
//! (<https://docs.openclaw.ai/gateway/configuration-reference>), which a test compares. The chat part keeps to keys that all
//! releases of 2026 know; what only newer ones do is the media part.
//!
//! Start reading at [`for_token`]. The options are the same wherever an export is asked for: [`ExportOptions`].

mod changes;
mod chat;
mod command;
mod facts;
mod fault;
mod media;
mod options;

use serde_json::Value;

pub use changes::{Change, Changes, Fact};
pub use command::{apply_command, onboard_command, shell_quoted};
pub use facts::ExportModel;
pub use fault::{OptionFault, Problem};
pub use media::MediaUse;
pub use options::{Alias, Choice, ExportOptions, Form, KeyForm, MediaOptions, NAMES, Part};

use crate::{
    model::{
        catalog::{Catalog, PublicModel},
        openclaw_export::ExportRecord,
        token::Token,
    },
    provider::Providers,
};

/// The id of this server among OpenClaw's providers, if no other is chosen.
pub const PROVIDER_ID: &str = "onepool";

/// The environment variable for the token's value, if no other is chosen.
pub const KEY_VARIABLE: &str = "ONEPOOL_API_KEY";

/// The most fallbacks that an export names by itself; each one costs a client's turn a try.
pub const MAX_FALLBACKS: usize = 8;

/// The most models of an export: `openclaw config patch --stdin` reads at most 1 MiB, and a model takes up to some 700 bytes.
pub const MAX_MODELS: usize = 1000;

/// What an export is made from.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Who serves what.
    pub catalog: &'a Catalog,
    /// What is known of providers.
    pub providers: &'a Providers,
    /// The token that OpenClaw presents.
    pub token: &'a Token,
    /// The base URL, ending in `/v1`.
    pub base_url: &'a str,
    /// The token's value; `None` names the environment variable of the options.
    pub value: Option<&'a str>,
}

/// An export.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The configuration: plain JSON, which is also JSON5.
    pub document: Value,
    /// Paths for `openclaw config patch --replace-path`, without which it refuses to take anything out of a list.
    pub replace_paths: Vec<String>,
    /// What the next export compares itself with.
    pub record: ExportRecord,
}

/// Makes a token's export. `last` is what was remembered of the one before, of the same part and the same provider id: a
/// [`Form::Patch`] takes back what it said and this one does not.
///
/// # Errors
/// Everything that is wrong with the options; nothing is made then.
pub fn for_token(
    world: &World<'_>,
    options: &ExportOptions,
    last: Option<&ExportRecord>,
) -> Result<Export, Vec<OptionFault>> {
    let faults = options.check();
    if !faults.is_empty() {
        return Err(faults);
    }
    match options.part {
        Part::Chat => chat::export(world, options, last),
        Part::Media => media::export(world, options, last),
    }
}

/// The models that a token may export by itself: those that a call would not be refused for, and that chat.
pub fn models_of<'a>(catalog: &'a Catalog, token: &'a Token) -> impl Iterator<Item = &'a PublicModel> {
    catalog.models_for(token).filter(|model| facts::usable(model, token).any(facts::chats))
}

impl World<'_> {
    /// The token's value as OpenClaw reads it: `${NAME}` is a variable, `$${` stands for the text itself.
    fn api_key(&self, options: &ExportOptions) -> String {
        match self.value {
            Some(value) => value.replace("${", "$${"),
            None => format!("${{{}}}", options.variable),
        }
    }
}

/// The path that a chat export of a provider id replaces: the list of its models.
pub fn replace_path(provider_id: &str) -> String {
    format!("models.providers.{provider_id}.models")
}

/// JSON for people.
pub fn pretty(document: &Value) -> String {
    format!("{document:#}")
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
