//! The media part: embeddings for the memory, speech, transcription, images and video, for OpenClaw 2026.9 and later.
//!
//! OpenClaw takes each from a provider that it brings along, so `models.providers.openai` and `.litellm` are pointed at this
//! server. Keys: <https://docs.openclaw.ai/gateway/configuration-reference>; earlier releases refuse some of them.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::{
    Choice, Export, ExportOptions, Form, MediaOptions, OptionFault, Problem, World, changes,
    chat::put,
    facts::{serves, usable},
    fault::shortened,
};
use crate::model::{
    catalog::{PublicModel, Route},
    endpoint::Endpoint,
    openclaw_export::ExportRecord,
};

/// OpenClaw's provider for speech, transcription and video.
const OPENAI: &[&str] = &["models", "providers", "openai"];
/// OpenClaw's provider for images: the one that takes any name of a model, and a private address.
const LITELLM: &[&str] = &["models", "providers", "litellm"];
/// The list of what understands media.
const UNDERSTANDING: &[&str] = &["tools", "media", "models"];

/// What a model of the media part is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaUse {
    /// Embeddings for the memory's search.
    Embeddings,
    /// Speech.
    Speech,
    /// Transcription.
    Transcription,
    /// Making images.
    Images,
    /// Making videos.
    Video,
}

impl MediaUse {
    /// Every use, in the order in which they are shown.
    pub const ALL: &'static [Self] =
        &[Self::Embeddings, Self::Speech, Self::Transcription, Self::Images, Self::Video];

    /// The option that chooses its model.
    pub fn option(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Images => "images",
            Self::Video => "video",
        }
    }

    /// What was chosen for it.
    pub fn choice(self, options: &MediaOptions) -> &Choice {
        match self {
            Self::Embeddings => &options.embeddings,
            Self::Speech => &options.speech,
            Self::Transcription => &options.transcription,
            Self::Images => &options.images,
            Self::Video => &options.video,
        }
    }

    fn endpoint(self) -> Endpoint {
        match self {
            Self::Embeddings => Endpoint::Embeddings,
            Self::Speech => Endpoint::Speech,
            Self::Transcription => Endpoint::Transcriptions,
            Self::Images => Endpoint::Images,
            Self::Video => Endpoint::Videos,
        }
    }

    /// Where OpenClaw's configuration names its model.
    fn path(self) -> &'static [&'static str] {
        match self {
            Self::Embeddings => &["memory", "search"],
            Self::Speech => &["tts"],
            Self::Transcription => &["tools", "media"],
            Self::Images => &["agents", "defaults", "mediaModels", "image"],
            Self::Video => &["agents", "defaults", "mediaModels", "video"],
        }
    }

    /// The models of a token that are known to be for this use, by name.
    pub fn models<'a>(self, world: &World<'a>) -> impl Iterator<Item = &'a PublicModel> {
        let token = world.token;
        let (endpoint, catalog) = (self.endpoint(), world.catalog);
        catalog
            .models_for(token)
            .filter(move |model| usable(model, token).any(|route| is_for(route, endpoint)))
    }
}

/// Whether somebody says of a route's model, or of a channel that does not chat, that it serves an endpoint. That most channels
/// serve embeddings says nothing of a model.
fn is_for(route: &Route, endpoint: Endpoint) -> bool {
    let (own, channel) = (route.model.endpoints, route.channel.channel.endpoints);
    if own.is_unset() {
        channel.contains(endpoint) && !channel.contains(Endpoint::Chat)
    } else {
        own.contains(endpoint)
    }
}

/// Makes the media part; a use without a model is left out.
pub(super) fn export(
    world: &World<'_>,
    options: &ExportOptions,
    last: Option<&ExportRecord>,
) -> Result<Export, Vec<OptionFault>> {
    let mut faults = Vec::new();
    let mut chosen: Vec<(MediaUse, String)> = Vec::new();
    for media in MediaUse::ALL.iter().copied() {
        match pick(world, media, media.choice(&options.media)) {
            Ok(model) => chosen.extend(model.map(|model| (media, model))),
            Err(problem) => faults.push(OptionFault::new(media.option(), problem)),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut root = Value::Object(Map::new());
    for (media, model) in &chosen {
        write(&mut root, world, options, *media, model);
    }
    let uses = chosen.iter().map(|(media, model)| (media.path().join("."), model.clone())).collect();
    let hash = changes::hash(&root);
    let record = ExportRecord { uses, hash, options: options.query(), ..ExportRecord::default() };
    if options.form != Some(Form::File) {
        for media in MediaUse::ALL.iter().copied() {
            let path = media.path().join(".");
            if last.is_some_and(|last| last.uses.contains_key(&path)) && !record.uses.contains_key(&path) {
                take_back(&mut root, media, &chosen);
            }
        }
    }
    let lists = !root["tools"]["media"]["models"].is_null();
    let replace_paths = if lists { vec![UNDERSTANDING.join(".")] } else { Vec::new() };
    Ok(Export { document: root, replace_paths, record })
}

fn pick(world: &World<'_>, media: MediaUse, choice: &Choice) -> Result<Option<String>, Problem> {
    let name = match choice {
        Choice::None => return Ok(None),
        Choice::First => return Ok(media.models(world).next().map(|model| model.name.clone())),
        Choice::Model(name) => name,
    };
    let wanted = name.to_lowercase();
    let found = world.catalog.models_for(world.token).find(|model| model.name.to_lowercase() == wanted);
    let Some(model) = found else { return Err(Problem::NoSuchModel(shortened(name))) };
    let served = |route: &Route| serves(route, media.endpoint(), world.providers);
    if usable(model, world.token).any(served) {
        Ok(Some(model.name.clone()))
    } else {
        Err(Problem::NotServed(shortened(name)))
    }
}

fn write(root: &mut Value, world: &World<'_>, options: &ExportOptions, media: MediaUse, model: &str) {
    let (base_url, api_key) = (world.base_url, world.api_key(options));
    let private = is_private(base_url);
    let mut add = |path: &[&str], name: &str, value: Value| {
        let path: Vec<&str> = path.iter().copied().chain([name]).collect();
        put(root, &path, value);
    };
    match media {
        MediaUse::Embeddings => {
            add(media.path(), "provider", options.provider_id.as_str().into());
            add(media.path(), "model", model.into());
        }
        MediaUse::Speech => {
            let mut openai = json!({ "apiKey": api_key, "baseUrl": base_url, "model": model });
            if let Some(voice) = &options.media.voice {
                openai["speakerVoice"] = voice.as_str().into();
            }
            add(media.path(), "provider", "openai".into());
            add(media.path(), "providers", json!({ "openai": openai }));
        }
        MediaUse::Transcription => {
            let entry = json!({ "provider": "openai", "model": model, "capabilities": ["audio"], "baseUrl": base_url });
            add(media.path(), "models", json!([entry]));
            add(media.path(), "audio", json!({ "enabled": true }));
        }
        MediaUse::Images => {
            add(media.path(), "primary", format!("litellm/{model}").into());
            add(LITELLM, "baseUrl", base_url.into());
            add(LITELLM, "apiKey", api_key.as_str().into());
        }
        MediaUse::Video => add(media.path(), "primary", format!("openai/{model}").into()),
    }
    if matches!(media, MediaUse::Transcription | MediaUse::Video) {
        add(OPENAI, "baseUrl", base_url.into());
        add(OPENAI, "apiKey", world.api_key(options).into());
    }
    // Chat may go to a private address that the configuration names; sound and video may not without this.
    if private && !matches!(media, MediaUse::Embeddings | MediaUse::Images) {
        add(OPENAI, "request", json!({ "allowPrivateNetwork": true }));
    }
}

/// Takes back what an earlier export wrote for a use, and what no other use needs.
fn take_back(root: &mut Value, media: MediaUse, chosen: &[(MediaUse, String)]) {
    let others = |uses: &[MediaUse]| chosen.iter().any(|(other, _)| uses.contains(other));
    match media {
        MediaUse::Embeddings => {
            put(root, &["memory", "search", "provider"], Value::Null);
            put(root, &["memory", "search", "model"], Value::Null);
        }
        MediaUse::Speech => {
            put(root, &["tts", "provider"], Value::Null);
            put(root, &["tts", "providers", "openai"], Value::Null);
        }
        MediaUse::Transcription => {
            put(root, UNDERSTANDING, json!([]));
            put(root, &["tools", "media", "audio"], Value::Null);
        }
        MediaUse::Images => put(root, LITELLM, Value::Null),
        MediaUse::Video => {}
    }
    if matches!(media, MediaUse::Images | MediaUse::Video) {
        put(root, media.path(), Value::Null);
    }
    let of_openai = [MediaUse::Speech, MediaUse::Transcription, MediaUse::Video];
    if of_openai.contains(&media) && !others(&of_openai) {
        put(root, OPENAI, Value::Null);
    }
}

/// Whether OpenClaw takes a base URL's host for a private one. Of names only those are told that never are public.
fn is_private(base_url: &str) -> bool {
    let Ok(url) = url::Url::parse(base_url) else { return true };
    match url.host() {
        Some(url::Host::Ipv4(address)) => is_private_address(address.into()),
        Some(url::Host::Ipv6(address)) => is_private_address(address.to_canonical()),
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let ends = [".local", ".lan", ".internal", ".home.arpa", ".localhost", ".test"];
            !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
        }
        None => true,
    }
}

fn is_private_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_the_house_is_told_from_a_public_one() {
        for private in [
            "http://127.0.0.1:3000/v1",
            "http://[::1]/v1",
            "http://192.168.1.5/v1",
            "http://100.100.1.1/v1",
            "http://[fd00::1]/v1",
            "http://nas:3000/v1",
            "http://pool.lan/v1",
            "http://localhost/v1",
        ] {
            assert!(is_private(private), "{private}");
        }
        for public in ["https://pool.example.com/v1", "http://203.0.113.5/v1", "https://[2001:db8::1]/v1"] {
            assert!(!is_private(public), "{public}");
        }
    }
}
