//! The endpoints of clients: one table says of each where it is, what it takes, what it answers and what it is measured by.
//!
//! Every one is a POST. Shapes: <https://platform.openai.com/docs/api-reference>; `/images` of OpenRouter:
//! <https://openrouter.ai/docs/api-reference>; `/rerank`: <https://docs.cohere.com/reference/rerank>; `/messages`:
//! <https://docs.anthropic.com/en/api/messages>.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::token::named_enum;

named_enum! {
    /// Which endpoint a call came in on.
    Endpoint {
        /// `/v1/chat/completions`.
        Chat = "chat",
        /// `/v1/completions`.
        Completions = "completions",
        /// `/v1/embeddings`.
        Embeddings = "embeddings",
        /// `/v1/responses`.
        Responses = "responses",
        /// `/v1/messages`, Anthropic's.
        Messages = "messages",
        /// `/v1/images/generations`.
        Images = "images",
        /// `/v1/images/edits`.
        ImageEdits = "image_edits",
        /// `/v1/images/variations`.
        ImageVariations = "image_variations",
        /// `/v1/images`, OpenRouter's.
        ImagesDirect = "images_direct",
        /// `/v1/audio/speech`.
        Speech = "speech",
        /// `/v1/audio/transcriptions`.
        Transcriptions = "transcriptions",
        /// `/v1/audio/translations`.
        Translations = "translations",
        /// `/v1/moderations`.
        Moderations = "moderations",
        /// `/v1/rerank`.
        Rerank = "rerank",
        /// `/v1/videos`.
        Videos = "videos",
    }
}

/// What a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// A JSON object.
    Json,
    /// A form with files, `multipart/form-data`.
    Form,
    /// Either, by the request's type; of a form the file may be missing.
    Either,
}

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `choices` with messages; its stream ends with `[DONE]`.
    Chat,
    /// `choices` with texts; its stream ends with `[DONE]`.
    Completion,
    /// `data` with vectors.
    Embeddings,
    /// OpenAI's `response` object; its stream ends with `response.completed` or the like.
    Response,
    /// Anthropic's `message` object; its stream ends with `message_stop`.
    Message,
    /// `data` with pictures; its stream ends with `*.completed`.
    Images,
    /// Sound as bytes, or as events that end with `speech.audio.done`.
    Speech,
    /// `text`, or plain text; its stream ends with `transcript.text.done`.
    Transcript,
    /// `results` with verdicts.
    Moderation,
    /// `results` or `data` with scores.
    Ranking,
    /// What becomes of a video, with an `id` to ask for it by.
    Video,
}

/// What is counted beside tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nothing.
    None,
    /// Pictures, with their size and quality.
    Images,
    /// Characters of the input.
    Characters,
    /// Time of the sound.
    Audio,
    /// Time of the video, with its size.
    Video,
    /// Searches, as vendors of rankings count them.
    Searches,
}

/// What the value of a field with text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// An array of messages.
    Messages,
    /// A string.
    Text,
    /// A string or an array.
    TextOrList,
    /// An array.
    List,
    /// A string, an array or an object.
    Any,
}

/// A field whose text reaches the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextField {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub form: TextForm,
    /// Whether a call without it is refused.
    pub required: bool,
}

/// An endpoint's row in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The path below `/v1/`, the same for clients and upstreams.
    pub path: &'static str,
    /// What its requests' bodies are.
    pub body: RequestBody,
    /// What its answers look like.
    pub dialect: Dialect,
    /// The fields with text; of a form also those of its files.
    pub texts: &'static [TextField],
    /// Of a form: the field that must hold a file, if one must.
    pub file: Option<&'static str>,
    /// Whether answers may be streams of events.
    pub streams: bool,
    /// Whether the tokens of an answer are what most of it costs.
    pub generates: bool,
    /// What is counted beside tokens.
    pub unit: Unit,
    /// Whether a channel of which nobody says what it serves is taken to serve this.
    pub usual: bool,
    /// The largest answer in one piece, in bytes.
    pub max_answer_bytes: usize,
    /// Of a form: its largest size in bytes, if the server's own limit is not lower.
    pub max_form_bytes: u64,
}

/// The largest answer that is text: far more than any, and room for some images in base64.
const TEXT_ANSWER: usize = 16 << 20;

/// A row with what most endpoints have in common.
const JSON: Shape = Shape {
    path: "",
    body: RequestBody::Json,
    dialect: Dialect::Chat,
    texts: &[],
    file: None,
    streams: false,
    generates: false,
    unit: Unit::None,
    usual: false,
    max_answer_bytes: TEXT_ANSWER,
    max_form_bytes: 0,
};

const fn required(name: &'static str, form: TextForm) -> TextField {
    TextField { name, form, required: true }
}

const fn optional(name: &'static str, form: TextForm) -> TextField {
    TextField { name, form, required: false }
}

const CHAT: Shape = Shape {
    path: "chat/completions",
    texts: &[required("messages", TextForm::Messages)],
    streams: true,
    generates: true,
    usual: true,
    ..JSON
};

const COMPLETIONS: Shape = Shape {
    path: "completions",
    dialect: Dialect::Completion,
    texts: &[required("prompt", TextForm::TextOrList)],
    streams: true,
    generates: true,
    usual: true,
    ..JSON
};

const EMBEDDINGS: Shape = Shape {
    path: "embeddings",
    dialect: Dialect::Embeddings,
    texts: &[required("input", TextForm::TextOrList)],
    usual: true,
    // A thousand inputs of 3072 numbers each, written out, take this much.
    max_answer_bytes: 64 << 20,
    ..JSON
};

const RESPONSES: Shape = Shape {
    path: "responses",
    dialect: Dialect::Response,
    texts: &[optional("input", TextForm::TextOrList), optional("instructions", TextForm::TextOrList)],
    streams: true,
    generates: true,
    ..JSON
};

const MESSAGES: Shape = Shape {
    path: "messages",
    dialect: Dialect::Message,
    texts: &[required("messages", TextForm::Messages), optional("system", TextForm::TextOrList)],
    streams: true,
    generates: true,
    ..JSON
};

const IMAGES: Shape = Shape {
    path: "images/generations",
    dialect: Dialect::Images,
    texts: &[required("prompt", TextForm::Text)],
    streams: true,
    unit: Unit::Images,
    // Ten pictures of some megabytes each, in base64.
    max_answer_bytes: 64 << 20,
    ..JSON
};

const IMAGE_EDITS: Shape = Shape {
    path: "images/edits",
    body: RequestBody::Form,
    file: Some("image"),
    // OpenAI takes 16 pictures of 50 MB; what people send is far below.
    max_form_bytes: 128 << 20,
    ..IMAGES
};

const IMAGE_VARIATIONS: Shape =
    Shape { path: "images/variations", texts: &[], streams: false, max_form_bytes: 32 << 20, ..IMAGE_EDITS };

const IMAGES_DIRECT: Shape = Shape { path: "images", ..IMAGES };

const SPEECH: Shape = Shape {
    path: "audio/speech",
    dialect: Dialect::Speech,
    texts: &[required("input", TextForm::Text), optional("instructions", TextForm::Text)],
    streams: true,
    unit: Unit::Characters,
    ..JSON
};

const TRANSCRIPTIONS: Shape = Shape {
    path: "audio/transcriptions",
    body: RequestBody::Form,
    dialect: Dialect::Transcript,
    texts: &[optional("prompt", TextForm::Text)],
    file: Some("file"),
    streams: true,
    unit: Unit::Audio,
    // OpenAI takes 25 MB, Groq 100 (<https://console.groq.com/docs/speech-to-text>).
    max_form_bytes: 104 << 20,
    ..JSON
};

const TRANSLATIONS: Shape = Shape { path: "audio/translations", streams: false, ..TRANSCRIPTIONS };

const MODERATIONS: Shape = Shape {
    path: "moderations",
    dialect: Dialect::Moderation,
    texts: &[required("input", TextForm::TextOrList)],
    ..JSON
};

const RERANK: Shape = Shape {
    path: "rerank",
    dialect: Dialect::Ranking,
    texts: &[required("query", TextForm::Any), required("documents", TextForm::List)],
    unit: Unit::Searches,
    ..JSON
};

const VIDEOS: Shape = Shape {
    path: "videos",
    body: RequestBody::Either,
    dialect: Dialect::Video,
    texts: &[required("prompt", TextForm::Text)],
    file: Some("input_reference"),
    unit: Unit::Video,
    max_answer_bytes: 1 << 20,
    // One picture or a short video to begin with.
    max_form_bytes: 128 << 20,
    ..JSON
};

impl Endpoint {
    /// Its row in the table.
    pub const fn shape(self) -> &'static Shape {
        match self {
            Self::Chat => &CHAT,
            Self::Completions => &COMPLETIONS,
            Self::Embeddings => &EMBEDDINGS,
            Self::Responses => &RESPONSES,
            Self::Messages => &MESSAGES,
            Self::Images => &IMAGES,
            Self::ImageEdits => &IMAGE_EDITS,
            Self::ImageVariations => &IMAGE_VARIATIONS,
            Self::ImagesDirect => &IMAGES_DIRECT,
            Self::Speech => &SPEECH,
            Self::Transcriptions => &TRANSCRIPTIONS,
            Self::Translations => &TRANSLATIONS,
            Self::Moderations => &MODERATIONS,
            Self::Rerank => &RERANK,
            Self::Videos => &VIDEOS,
        }
    }

    /// The path below `/v1/`, the same for clients and upstreams.
    pub const fn path(self) -> &'static str {
        self.shape().path
    }
}

/// A set of endpoints. Empty means that nobody has said anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Endpoints(u32);

impl Endpoints {
    /// Whether nobody has said anything.
    pub const fn is_unset(&self) -> bool {
        self.0 == 0
    }

    /// Whether the endpoint is named.
    pub const fn contains(self, endpoint: Endpoint) -> bool {
        self.0 & (1 << endpoint as u32) != 0
    }

    /// The same with one more.
    #[must_use]
    pub const fn with(self, endpoint: Endpoint) -> Self {
        Self(self.0 | (1 << endpoint as u32))
    }

    /// The endpoints, in the order in which pages offer them.
    pub fn iter(self) -> impl Iterator<Item = Endpoint> {
        Endpoint::ALL.iter().copied().filter(move |endpoint| self.contains(*endpoint))
    }

    /// Reads names that are separated by commas or white space, as pages, the database and the command line have them.
    ///
    /// # Errors
    /// A name that is none; it is given back.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ', '\t', '\n', '\r', '，', '、']).filter(|name| !name.is_empty());
        names.into_iter().try_fold(Self::default(), |set, name| {
            Endpoint::from_name(name).map(|endpoint| set.with(endpoint)).ok_or_else(|| name.to_owned())
        })
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        endpoints.into_iter().fold(Self::default(), Self::with)
    }
}

/// The names, separated by commas.
impl std::fmt::Display for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.iter().map(Endpoint::as_str).collect::<Vec<_>>().join(","))
    }
}

impl Serialize for Endpoints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Endpoint>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_endpoint_has_a_path_of_its_own_and_forms_say_how_large_they_may_be() {
        let paths: HashSet<_> = Endpoint::ALL.iter().map(|endpoint| endpoint.path()).collect();
        assert_eq!(paths.len(), Endpoint::ALL.len());
        for endpoint in Endpoint::ALL {
            let shape = endpoint.shape();
            assert_eq!(shape.body != RequestBody::Json, shape.max_form_bytes > 0, "{endpoint}");
            assert_eq!(shape.body != RequestBody::Json, shape.file.is_some(), "{endpoint}");
        }
    }

    #[test]
    fn a_set_of_endpoints_is_written_as_it_is_read() {
        let set = Endpoints::parse("speech, chat\nimages").unwrap();
        assert_eq!(set.to_string(), "chat,images,speech");
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["chat","images","speech"]"#);
        assert_eq!(serde_json::from_str::<Endpoints>(r#"["speech","images","chat"]"#).unwrap(), set);
        assert!(set.contains(Endpoint::Speech) && !set.contains(Endpoint::Rerank));
        assert_eq!(Endpoints::parse("chat,nothing"), Err("nothing".into()));
        assert!(Endpoints::parse(" ").unwrap().is_unset());
    }
}
