//! What a preset says beyond limits and refusals: where models are listed, how a key is proved, what is free, what the
//! terms say. The types are the format of the file, field by field; all of it may be left out.

mod address;
mod check;
mod free;
mod key;

pub(super) use check::faults;
pub use key::{KeyFacts, KeyProof};

use jiff::civil::Date;
use serde::Deserialize;

use super::{Text, listing::Modality};

/// Where a provider lists its models, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSource {
    /// An address: `models` (below the channel's base URL), `../models`, `/api/tags`, or a whole one.
    #[serde(default = "models")]
    pub url: String,
    /// How the answer is laid out.
    #[serde(default)]
    pub shape: ListShape,
    /// Whether the list is refused to a wrong key. `false`: a list proves nothing about a key. `None`: nobody knows, so
    /// it proves nothing either.
    pub needs_key: Option<bool>,
    /// The header that carries the key, in lower case, if it is not `Authorization: Bearer`.
    pub key_header: Option<String>,
    /// Upstream names that are listed and never served, in which `*` stands for anything.
    #[serde(default)]
    pub except: Vec<String>,
}

fn models() -> String {
    "models".to_owned()
}

impl Default for ListSource {
    fn default() -> Self {
        Self {
            url: models(),
            shape: ListShape::default(),
            needs_key: None,
            key_header: None,
            except: Vec::new(),
        }
    }
}

/// How a list of models is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListShape {
    /// OpenAI's `{"data":[{"id"}]}`, also as a bare list or under `models`, and entries that are mere names; prices are
    /// not read, since their unit is unknown.
    #[default]
    Openai,
    /// OpenAI's with `architecture`, `top_provider`, and `pricing` in dollars per token.
    Openrouter,
    /// A bare list, or `data`, with `pricing` in dollars per million tokens.
    Together,
    /// Google's own: `models[].name` is `models/NAME`.
    Google,
    /// Cohere's own: `models[].name`, `endpoints`, `features`.
    Cohere,
    /// Ollama's own (`/api/tags`): `models[].name`, `capabilities`.
    Ollama,
    /// Cloudflare's search: `result[].name`, `properties[]` with `property_id` and `value`.
    Cloudflare,
    /// Hugging Face's router: `data[].providers[]`, each with its own context window.
    Huggingface,
}

/// How a key is proved: by what it may do, never by a list that everybody may read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyCheck {
    /// The provider tells about the key itself. Costs nothing.
    Endpoint(KeyEndpoint),
    /// One completion with an answer of one token. Costs a call.
    Completion(CheapCompletion),
    /// There is nothing to prove: the provider takes calls without a key.
    None,
}

impl super::Provider {
    /// Whether the list is given without a key: the provider takes calls without one, or shows its list to everybody.
    pub fn lists_without_key(&self) -> bool {
        self.key_check == KeyCheck::None || self.list.needs_key == Some(false)
    }
}

impl Default for KeyCheck {
    fn default() -> Self {
        Self::Completion(CheapCompletion::default())
    }
}

/// An endpoint that tells about the key that asks. [`KeyEndpoint::prove`] reads its answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEndpoint {
    /// An address as in [`ListSource::url`].
    pub url: String,
    /// How it is asked.
    #[serde(default)]
    pub method: CheckMethod,
    /// A field of the answer that must be `true` for the answer to mean anything, where faults come with 200 as well.
    pub success: Option<String>,
    /// A field of the answer that is `true`, `active` or `valid` for a right key and `false` for a wrong one, where both are
    /// answered with 200.
    pub valid: Option<String>,
    /// A field of the answer that is the same for all keys of one account.
    pub account: Option<String>,
    /// A field with what is left of the account's free calls today.
    pub calls_left: Option<String>,
    /// A field with the number of free calls that a day has.
    pub calls_limit: Option<String>,
    /// A field that is `true` as long as the account has never bought anything.
    pub free_tier: Option<String>,
    /// Where the provider documents it.
    pub source: String,
}

/// How a key's endpoint is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckMethod {
    /// `GET`.
    #[default]
    Get,
    /// `POST` with an empty object.
    Post,
}

/// A completion that proves a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheapCompletion {
    /// Models to ask, the best guess first. None: the first model of the list that chats.
    #[serde(default)]
    pub models: Vec<String>,
}

/// Which models cost nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeRule {
    /// Every model is free within the limits.
    #[serde(default)]
    pub all: bool,
    /// The list's prices decide: a model is free if prompt and completion cost nothing.
    #[serde(default)]
    pub price_zero: bool,
    /// Names of free models, in which `*` stands for anything.
    #[serde(default)]
    pub models: Vec<String>,
    /// Names of models that cost something in spite of the above.
    #[serde(default)]
    pub except: Vec<String>,
    /// Models that no rule speaks of cost something. Without it, nothing is known of them.
    #[serde(default)]
    pub others_are_paid: bool,
}

/// Pages of the provider's that people need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Where an account is opened.
    pub sign_up: Option<String>,
    /// Where a key is made.
    pub keys: Option<String>,
    /// The terms of use.
    pub terms: Option<String>,
}

/// What the terms say, as somebody read them on the day of `checked`. Not advice: whoever signs up reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// About several accounts of one person.
    #[serde(default)]
    pub several_accounts: AccountsClause,
    /// About what is done with prompts.
    #[serde(default)]
    pub prompts: PromptsClause,
}

/// What holds for several accounts of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountsClause {
    /// In a word.
    #[serde(default)]
    pub stance: AccountsStance,
    /// In a sentence; required unless nothing is known.
    pub text: Option<Text>,
}

/// What holds for several accounts of one person, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountsStance {
    /// Nobody has read the terms for it.
    #[default]
    Unknown,
    /// They are forbidden.
    Forbidden,
    /// They do not raise the limits.
    NoGain,
    /// There are no accounts, or one's own server.
    NoAccounts,
}

/// What is done with prompts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptsClause {
    /// In a word.
    #[serde(default)]
    pub stance: PromptsStance,
    /// In a sentence; required unless nothing is known.
    pub text: Option<Text>,
}

/// What is done with prompts, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptsStance {
    /// Nobody has read the terms for it.
    #[default]
    Unknown,
    /// They may be kept.
    MayBeLogged,
    /// They may be used to improve models.
    MayTrain,
    /// It depends on who serves the model.
    Depends,
    /// They do not leave one's own machine.
    Stay,
}

/// A model as public material describes it: what a list that tells nothing but names is completed with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// The upstream's name.
    pub id: String,
    /// The context window, in tokens.
    pub context_window: Option<u32>,
    /// The longest answer, in tokens.
    pub output_limit: Option<u32>,
    /// What it takes.
    pub input: Option<Vec<Modality>>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it reasons before it answers.
    pub reasoning: Option<bool>,
    /// When it was last seen there.
    pub seen: Date,
    /// Who says so.
    pub source: String,
}
