//! OpenClaw's configuration by script.

use axum::http::Method;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Free, Query},
    refusal::{Refusal, Result},
};
use crate::{
    export::openclaw::{
        Alias, Choice, ExportOptions, Form, KEY_VARIABLE, KeyForm, MediaOptions, OptionFault, PROVIDER_ID,
        Part, World,
    },
    i18n::Messages,
    model::id::TokenId,
    pool::input::Faults,
    web::{exports, public_url::PublicUrl},
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/openclaw", "Export OpenClaw's configuration", openclaw).about(
            "The part of `openclaw.json` that makes OpenClaw use this server with a token. `GET /openclaw.json5` gives the \
             same to the token itself, with the same options.",
        ),
    ]
}

/// What to export. Where a model is chosen, `none` stands for no model.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenClawQuery {
    /// The token that OpenClaw is to use.
    token_id: i64,
    /// The provider's id in OpenClaw: lower-case letters, digits, `-` and `_`.
    #[serde(default = "provider_id")]
    provider: String,
    /// Which part of the configuration.
    #[serde(default)]
    part: PartName,
    /// A model to offer; may be given several times, in the order in which OpenClaw tries them. Left out: all that the token
    /// may use.
    #[serde(default)]
    model: Vec<String>,
    /// The primary model; left out: the first one. `none` leaves OpenClaw's choice alone.
    #[serde(default)]
    primary: Option<String>,
    /// A model to try after the primary one; may be given several times. Left out: the models that follow it. `none`: no
    /// model.
    #[serde(default)]
    fallback: Vec<String>,
    /// A short name for `/model`, written `model:name`; may be given several times.
    #[serde(default)]
    alias: Vec<String>,
    /// The model that describes images for others; `first`: the first one that sees them. Left out: OpenClaw's choice stays.
    #[serde(default)]
    image_model: Option<String>,
    /// The model that reads PDF files, likewise.
    #[serde(default)]
    pdf_model: Option<String>,
    /// The model for small tasks such as titles. Left out: OpenClaw's choice stays.
    #[serde(default)]
    utility_model: Option<String>,
    /// Of the media part: the model for embeddings. Left out: the first one that is known to serve them; so for the next ones.
    #[serde(default)]
    embeddings: Option<String>,
    /// Of the media part: the model that speaks.
    #[serde(default)]
    speech: Option<String>,
    /// Of the media part: its voice.
    #[serde(default)]
    voice: Option<String>,
    /// Of the media part: the model that transcribes.
    #[serde(default)]
    transcription: Option<String>,
    /// Of the media part: the model that makes images.
    #[serde(default)]
    images: Option<String>,
    /// Of the media part: the model that makes videos.
    #[serde(default)]
    video: Option<String>,
    /// How the token's value stands in the file: as a variable (`environment`, the default) or as it is (`literal`).
    #[serde(default)]
    key: KeyName,
    /// The environment variable.
    #[serde(default = "variable")]
    variable: String,
    /// What it is for: `file` (the default) to be copied, `patch` for `openclaw config patch`, where `null` takes back what
    /// the last export said and this one does not.
    #[serde(default)]
    form: FormName,
    /// Whether the next export compares itself with this one: true if OpenClaw gets it.
    #[serde(default)]
    remember: bool,
}

fn provider_id() -> String {
    PROVIDER_ID.to_owned()
}

fn variable() -> String {
    KEY_VARIABLE.to_owned()
}

/// A part of OpenClaw's configuration.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartName {
    /// The provider, its models and what they are used for.
    #[default]
    Chat,
    /// Embeddings, speech, transcription, images and video, for OpenClaw 2026.9 and later.
    Media,
}

/// How a token's value stands in an exported file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyName {
    /// As `${ONEPOOL_API_KEY}`.
    #[default]
    Environment,
    /// As it is.
    Literal,
}

/// What an export is for.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormName {
    /// To be copied into `openclaw.json`.
    #[default]
    File,
    /// For `openclaw config patch`.
    Patch,
}

/// A choice that was made, or the usual one.
fn choice(chosen: Option<&String>, usual: Choice) -> Choice {
    chosen.filter(|name| !name.is_empty()).map_or(usual, |name| Choice::of(name))
}

impl OpenClawQuery {
    fn options(&self, m: Messages) -> Result<ExportOptions> {
        let mut aliases = Vec::new();
        for text in &self.alias {
            let alias = Alias::of(text).ok_or_else(|| Refusal::at("alias", m.openclaw.fault_alias_form()))?;
            aliases.push(alias);
        }
        let named = self.fallback.iter().filter(|name| *name != Choice::None.as_str()).cloned().collect();
        let first = |chosen: &Option<String>| choice(chosen.as_ref(), Choice::First);
        let none = |chosen: &Option<String>| choice(chosen.as_ref(), Choice::None);
        Ok(ExportOptions {
            provider_id: self.provider.clone(),
            part: match self.part {
                PartName::Chat => Part::Chat,
                PartName::Media => Part::Media,
            },
            models: self.model.clone(),
            primary: first(&self.primary),
            fallbacks: (!self.fallback.is_empty()).then_some(named),
            aliases,
            image_model: none(&self.image_model),
            pdf_model: none(&self.pdf_model),
            utility_model: none(&self.utility_model),
            media: MediaOptions {
                embeddings: first(&self.embeddings),
                speech: first(&self.speech),
                voice: self.voice.clone(),
                transcription: first(&self.transcription),
                images: first(&self.images),
                video: first(&self.video),
            },
            key: Some(match self.key {
                KeyName::Environment => KeyForm::Environment,
                KeyName::Literal => KeyForm::Literal,
            }),
            variable: self.variable.clone(),
            form: Some(match self.form {
                FormName::File => Form::File,
                FormName::Patch => Form::Patch,
            }),
            remember: Some(self.remember),
        })
    }
}

async fn openclaw(asked: Asked<(), Query<OpenClawQuery>>) -> Result<Free> {
    let (site, query) = (&asked.site, &asked.query.0);
    let (catalog, providers) = (site.catalog.load(), site.catalog.providers().load());
    let id = TokenId(query.token_id);
    let token = catalog.token(id).ok_or_else(|| Refusal::at("token_id", "There is no such token."))?;
    let options = query.options(asked.caller.t())?;
    let value = match query.key {
        KeyName::Environment => None,
        KeyName::Literal => Some(site.db.reveal_token(id).await?),
    };
    let base_url = PublicUrl::of(&catalog.settings, &asked.headers, asked.caller.https).base_url();
    let value = value.as_ref().map(|value| value.expose());
    let world = World { catalog: &catalog, providers: &providers, token, base_url: &base_url, value };
    match exports::make(&site.db, &world, &options, query.remember).await? {
        Ok(made) => Ok(Free(made.export.document)),
        Err(faults) => Err(refusal(&faults, asked.caller.t())),
    }
}

fn refusal(faults: &[OptionFault], m: Messages) -> Refusal {
    let mut named = Faults::default();
    for fault in faults.iter().take(50) {
        named.add(fault.option.clone(), fault.text(m));
    }
    named.into()
}
