//! The options of an export, the same on the page, in a URL, in the admin API and on the command line.

use std::collections::HashSet;

use super::{
    KEY_VARIABLE, PROVIDER_ID,
    fault::{OptionFault, Problem, shortened},
};

/// Every option, as it stands in a query.
pub const NAMES: &[&str] = &[
    "provider",
    "part",
    "model",
    "primary",
    "fallback",
    "alias",
    "image_model",
    "pdf_model",
    "utility_model",
    "embeddings",
    "speech",
    "voice",
    "transcription",
    "images",
    "video",
    "key",
    "variable",
    "form",
    "remember",
];
/// Options that may be given several times.
const LISTS: &[&str] = &["model", "fallback", "alias"];
/// The word for the first model that fits.
const FIRST: &str = "first";
/// The word for no model.
const NONE: &str = "none";

/// Ids of providers that OpenClaw brings along or treats in a way of its own: what an export says would be mixed with what
/// OpenClaw knows of them (<https://docs.openclaw.ai/concepts/model-providers>).
const TAKEN_IDS: &[&str] = &[
    "alibaba",
    "anthropic",
    "azure-openai",
    "azure-openai-responses",
    "bedrock",
    "cerebras",
    "chutes",
    "claude-cli",
    "clawrouter",
    "cloudflare-ai-gateway",
    "codex",
    "constructor",
    "copilot-proxy",
    "dashscope",
    "deepinfra",
    "deepseek",
    "default",
    "fireworks",
    "gemini",
    "github-copilot",
    "google",
    "google-vertex",
    "groq",
    "huggingface",
    "kilocode",
    "kimi",
    "litellm",
    "lmstudio",
    "minimax",
    "mistral",
    "modelstudio",
    "moonshot",
    "nvidia",
    "ollama",
    "openai",
    "openai-codex",
    "opencode",
    "opencode-go",
    "openrouter",
    "prototype",
    "qianfan",
    "qwen",
    "sglang",
    "synthetic",
    "together",
    "venice",
    "vercel-ai-gateway",
    "vllm",
    "volcengine",
    "xai",
    "xiaomi",
    "zai",
];

/// Words that follow `/model` and name no model (<https://docs.openclaw.ai/concepts/models>).
const TAKEN_ALIASES: &[&str] = &["default", "list", "status"];

/// What an export shall hold. `Default` is what is exported if nothing is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// The provider's id in OpenClaw's file.
    pub provider_id: String,
    /// Which part of the configuration.
    pub part: Part,
    /// The models to offer, in their order; none: all that the token may use.
    pub models: Vec<String>,
    /// The model to ask first; [`Choice::None`] leaves OpenClaw's present choice alone.
    pub primary: Choice,
    /// The models to try after it. `None`: those that follow the primary one in their order, at most
    /// [`MAX_FALLBACKS`](super::MAX_FALLBACKS).
    pub fallbacks: Option<Vec<String>>,
    /// Short names for `/model`.
    pub aliases: Vec<Alias>,
    /// The model that describes images for others; [`Choice::None`] leaves OpenClaw's choice alone.
    pub image_model: Choice,
    /// The model that reads PDF files, likewise.
    pub pdf_model: Choice,
    /// The model for small tasks such as titles, likewise.
    pub utility_model: Choice,
    /// What the media part holds.
    pub media: MediaOptions,
    /// How the token's value stands in the file; `None` is whatever is usual where the export is asked for.
    pub key: Option<KeyForm>,
    /// The environment variable for [`KeyForm::Environment`].
    pub variable: String,
    /// What the export is for; `None` is whatever is usual where it is asked for.
    pub form: Option<Form>,
    /// Whether the next export compares itself with this one; `None` is whatever is usual where it is asked for.
    pub remember: Option<bool>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            provider_id: PROVIDER_ID.to_owned(),
            part: Part::Chat,
            models: Vec::new(),
            primary: Choice::First,
            fallbacks: None,
            aliases: Vec::new(),
            image_model: Choice::None,
            pdf_model: Choice::None,
            utility_model: Choice::None,
            media: MediaOptions::default(),
            key: None,
            variable: KEY_VARIABLE.to_owned(),
            form: None,
            remember: None,
        }
    }
}

/// A part of OpenClaw's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// The provider, its models and what they are used for: for every release of 2026.
    #[default]
    Chat,
    /// Embeddings, speech, transcription, images and video: for OpenClaw 2026.9 and later.
    Media,
}

impl Part {
    /// The words in a query.
    pub const WORDS: &'static [&'static str] = &["chat", "media"];

    /// The word in a query and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Media => "media",
        }
    }
}

/// How the token's value stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// As it is.
    Literal,
    /// As the name of an environment variable.
    Environment,
}

impl KeyForm {
    /// The words in a query.
    pub const WORDS: &'static [&'static str] = &["literal", "environment"];
}

/// What an export is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For `openclaw config patch`: `null` takes back what an earlier export said and this one does not.
    Patch,
    /// To be copied into `openclaw.json` by hand.
    File,
}

impl Form {
    /// The words in a query.
    pub const WORDS: &'static [&'static str] = &["patch", "file"];
}

/// A choice of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The first one that fits.
    First,
    /// No model.
    None,
    /// The model of this name.
    Model(String),
}

impl Choice {
    /// Reads `first`, `none` or a model's name.
    pub fn of(text: &str) -> Self {
        match text {
            FIRST => Self::First,
            NONE => Self::None,
            name => Self::Model(name.to_owned()),
        }
    }

    /// The word or name that [`of`](Self::of) reads.
    pub fn as_str(&self) -> &str {
        match self {
            Self::First => FIRST,
            Self::None => NONE,
            Self::Model(name) => name,
        }
    }
}

/// A short name for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The model's public name.
    pub model: String,
    /// The short name.
    pub alias: String,
}

impl Alias {
    /// Reads `model:name`; the model's own name may hold colons. `None` if it is not written so.
    pub fn of(text: &str) -> Option<Self> {
        let (model, alias) = text.rsplit_once(':')?;
        let (model, alias) = (model.trim(), alias.trim());
        (!model.is_empty() && !alias.is_empty())
            .then(|| Self { model: model.to_owned(), alias: alias.to_owned() })
    }
}

/// Which model serves which medium: by default the first one that is known to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaOptions {
    /// Embeddings for the memory's search.
    pub embeddings: Choice,
    /// Speech.
    pub speech: Choice,
    /// The voice; `None`: OpenClaw's usual one.
    pub voice: Option<String>,
    /// Transcription of what is said.
    pub transcription: Choice,
    /// Making images.
    pub images: Choice,
    /// Making videos.
    pub video: Choice,
}

impl Default for MediaOptions {
    fn default() -> Self {
        Self {
            embeddings: Choice::First,
            speech: Choice::First,
            voice: None,
            transcription: Choice::First,
            images: Choice::First,
            video: Choice::First,
        }
    }
}

impl ExportOptions {
    /// Reads options from names and values, such as those of a query. An empty value counts as none.
    ///
    /// # Errors
    /// Everything that can be told without the catalog: unknown and repeated options, words that are none, ids and names
    /// of a wrong form, an alias that is given twice.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<OptionFault>> {
        let mut options = Self::default();
        let mut faults = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        for (name, value) in pairs {
            let value = value.trim();
            let Some(name) = NAMES.iter().copied().find(|known| *known == name) else {
                faults.push(OptionFault::new(name, Problem::UnknownOption));
                continue;
            };
            if value.is_empty() {
                continue;
            }
            if !LISTS.contains(&name) && !seen.insert(name) {
                faults.push(OptionFault::new(name, Problem::Repeated));
                continue;
            }
            if let Err(problem) = options.set(name, value) {
                faults.push(OptionFault::new(name, problem));
            }
        }
        faults.extend(options.check());
        if faults.is_empty() { Ok(options) } else { Err(faults) }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let word = |words: &'static [&'static str]| {
            words.iter().position(|known| *known == value).ok_or(Problem::NoneOf(words))
        };
        match name {
            "provider" => self.provider_id = value.to_owned(),
            "part" => self.part = [Part::Chat, Part::Media][word(Part::WORDS)?],
            "model" => self.models.push(value.to_owned()),
            "primary" => self.primary = Choice::of(value),
            "fallback" => {
                let fallbacks = self.fallbacks.get_or_insert_default();
                if value != NONE {
                    fallbacks.push(value.to_owned());
                }
            }
            "alias" => self.aliases.push(Alias::of(value).ok_or(Problem::AliasForm)?),
            "image_model" => self.image_model = Choice::of(value),
            "pdf_model" => self.pdf_model = Choice::of(value),
            "utility_model" => self.utility_model = Choice::of(value),
            "embeddings" => self.media.embeddings = Choice::of(value),
            "speech" => self.media.speech = Choice::of(value),
            "voice" => self.media.voice = Some(value.to_owned()),
            "transcription" => self.media.transcription = Choice::of(value),
            "images" => self.media.images = Choice::of(value),
            "video" => self.media.video = Choice::of(value),
            "key" => self.key = Some([KeyForm::Literal, KeyForm::Environment][word(KeyForm::WORDS)?]),
            "variable" => self.variable = value.to_owned(),
            "form" => self.form = Some([Form::Patch, Form::File][word(Form::WORDS)?]),
            _ => self.remember = Some(word(&["true", "false"])? == 0),
        }
        Ok(())
    }

    /// What is wrong with ids and names, whoever has filled the fields.
    pub(super) fn check(&self) -> Vec<OptionFault> {
        let mut faults = Vec::new();
        let mut unless = |good: bool, option: &str, problem: Problem| {
            if !good {
                faults.push(OptionFault::new(option, problem));
            }
        };
        let taken = TAKEN_IDS.contains(&self.provider_id.as_str());
        unless(is_provider_id(&self.provider_id), "provider", Problem::ProviderId);
        unless(!taken, "provider", Problem::ProviderTaken(self.provider_id.clone()));
        unless(is_variable(&self.variable), "variable", Problem::Variable);
        unless(self.media.voice.as_deref().is_none_or(is_voice), "voice", Problem::Voice);
        let (mut names, mut models) = (HashSet::new(), HashSet::new());
        for Alias { model, alias } in &self.aliases {
            unless(is_alias(alias), "alias", Problem::AliasName(shortened(alias)));
            unless(names.insert(alias.to_lowercase()), "alias", Problem::AliasTaken(shortened(alias)));
            unless(models.insert(model.to_lowercase()), "alias", Problem::AliasTwice(shortened(model)));
        }
        faults
    }

    /// The options as names and values; what is not chosen is left out. [`read`](Self::read) gives the same back.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let usual = Self::default();
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        let mut add = |chosen: bool, name: &'static str, value: &str| {
            if chosen {
                pairs.push((name, value.to_owned()));
            }
        };
        add(self.provider_id != usual.provider_id, "provider", &self.provider_id);
        add(self.part != usual.part, "part", self.part.as_str());
        for model in &self.models {
            add(true, "model", model);
        }
        add(self.primary != usual.primary, "primary", self.primary.as_str());
        for fallback in self.fallbacks.iter().flatten() {
            add(true, "fallback", fallback);
        }
        add(self.fallbacks.as_ref().is_some_and(Vec::is_empty), "fallback", NONE);
        for Alias { model, alias } in &self.aliases {
            add(true, "alias", &format!("{model}:{alias}"));
        }
        add(self.image_model != usual.image_model, "image_model", self.image_model.as_str());
        add(self.pdf_model != usual.pdf_model, "pdf_model", self.pdf_model.as_str());
        add(self.utility_model != usual.utility_model, "utility_model", self.utility_model.as_str());
        let (media, plain) = (&self.media, &usual.media);
        add(media.embeddings != plain.embeddings, "embeddings", media.embeddings.as_str());
        add(media.speech != plain.speech, "speech", media.speech.as_str());
        add(media.voice.is_some(), "voice", media.voice.as_deref().unwrap_or_default());
        add(media.transcription != plain.transcription, "transcription", media.transcription.as_str());
        add(media.images != plain.images, "images", media.images.as_str());
        add(media.video != plain.video, "video", media.video.as_str());
        if let Some(key) = self.key {
            add(true, "key", if key == KeyForm::Literal { "literal" } else { "environment" });
        }
        add(self.variable != usual.variable, "variable", &self.variable);
        if let Some(form) = self.form {
            add(true, "form", if form == Form::Patch { "patch" } else { "file" });
        }
        if let Some(remember) = self.remember {
            add(true, "remember", if remember { "true" } else { "false" });
        }
        pairs
    }

    /// The same as a URL's query, without `?`.
    pub fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.pairs()).finish()
    }
}

/// Whether a text can be a provider's id: a path of `openclaw config` splits at dots, a reference to a model at slashes.
fn is_provider_id(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    text.len() <= 40
        && text.bytes().all(inner)
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}

/// Whether a text can be the name of a variable that OpenClaw replaces: capital letters, digits and `_`.
fn is_variable(text: &str) -> bool {
    text.len() <= 100
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn is_voice(text: &str) -> bool {
    text.len() <= 100 && !text.is_empty() && text.chars().all(|c| !c.is_control() && c != '$')
}

/// Whether `/model` takes a text for an alias: no reference, no number of its list, no word of its own.
fn is_alias(text: &str) -> bool {
    let lower = text.to_lowercase();
    text.chars().count() <= 40
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && text.chars().any(char::is_alphabetic)
        && !TAKEN_ALIASES.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<ExportOptions, Vec<OptionFault>> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        ExportOptions::read(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    #[test]
    fn a_query_gives_back_the_options_that_it_was_made_from() {
        let query = "provider=pool&model=org%2Fbig%3Afree&model=b&primary=none&fallback=b&alias=org%2Fbig%3Afree%3Abig\
                     &image_model=first&pdf_model=b&utility_model=b&key=environment&variable=POOL_KEY&form=file\
                     &remember=false";
        let options = read(query).unwrap();
        assert_eq!(options.query(), query);
        assert_eq!(options.aliases, [Alias { model: "org/big:free".into(), alias: "big".into() }]);
        assert_eq!((options.primary.clone(), options.image_model.clone()), (Choice::None, Choice::First));
        let media =
            "part=media&embeddings=none&speech=tts-1&voice=alloy&transcription=w&images=none&video=none";
        assert_eq!(read(media).unwrap().query(), media);
        assert_eq!(read("fallback=none").unwrap().fallbacks, Some(Vec::new()));
        assert_eq!(read("fallback=none").unwrap().query(), "fallback=none");
        assert_eq!(read("model=&primary=+&alias=").unwrap(), ExportOptions::default());
        assert_eq!(ExportOptions::default().query(), "");
    }

    #[test]
    fn a_wrong_option_is_refused_with_its_name() {
        for (query, option) in [
            ("modle=a", "modle"),
            ("part=all", "part"),
            ("key=value", "key"),
            ("form=json", "form"),
            ("remember=yes", "remember"),
            ("provider=", ""),
            ("provider=my.pool", "provider"),
            ("provider=Pool", "provider"),
            ("provider=a/b", "provider"),
            ("provider=openai", "provider"),
            ("provider=a&provider=b", "provider"),
            ("variable=9A", "variable"),
            ("variable=onepool", "variable"),
            ("voice=%24%7BHOME%7D", "voice"),
            ("alias=big", "alias"),
            ("alias=m:a+b", "alias"),
            ("alias=m:7", "alias"),
            ("alias=m:status", "alias"),
            ("alias=m:x&alias=n:X", "alias"),
            ("alias=m:x&alias=M:y", "alias"),
            ("alias=m:", "alias"),
        ] {
            let found = read(query).err().unwrap_or_default();
            assert_eq!(found.first().map_or("", |fault| &fault.option), option, "{query}: {found:?}");
        }
        assert_eq!(read("a=1&b=2&part=x").unwrap_err().len(), 3, "each fault is told");
    }

    #[test]
    fn a_fault_never_repeats_a_long_or_unprintable_text() {
        let long = format!("{}=1", "x".repeat(500));
        assert!(read(&long).unwrap_err()[0].option.chars().count() <= 81);
        assert_eq!(read("%1b[2J=1").unwrap_err()[0].option, "[2J");
    }
}
