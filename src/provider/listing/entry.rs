//! One entry of a list, and the model that it describes.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    MAX_NAME, Modality, ModelFacts,
    loose::{Count, Decimal, Flag, Kinds, Moment, Object, Objects, Text, Words},
};
use crate::{
    model::{channel::Price, time::UnixMs},
    provider::preset::ListShape,
};

/// One entry: an object, a mere name, or something else.
pub(super) enum Entry {
    Model(Box<Fields>),
    Name(String),
    Other,
}

/// The fields of entries, of all vendors: OpenRouter
/// (<https://openrouter.ai/docs/api-reference/list-available-models>), Groq
/// (<https://console.groq.com/docs/api-reference#models-list>), Mistral (<https://docs.mistral.ai/api/>), Google
/// (<https://ai.google.dev/api/models>), Cohere (<https://docs.cohere.com/reference/list-models>), Ollama
/// (<https://docs.ollama.com/api/tags>), Together (<https://docs.together.ai/reference/models-1>), Cloudflare
/// (<https://developers.cloudflare.com/api/resources/ai/subresources/models/methods/list/>), Hugging Face
/// (<https://huggingface.co/docs/inference-providers/hub-api>), vLLM (`max_model_len`).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    id: Text,
    name: Text,
    model: Text,
    active: Flag,
    is_deprecated: Flag,
    #[serde(rename = "type")]
    kind: Text,
    context_length: Count,
    context_window: Count,
    max_model_len: Count,
    max_context_length: Count,
    #[serde(rename = "inputTokenLimit")]
    input_token_limit: Count,
    #[serde(rename = "outputTokenLimit")]
    output_token_limit: Count,
    max_completion_tokens: Count,
    max_output_tokens: Count,
    top_provider: Object<TopProvider>,
    architecture: Object<Architecture>,
    input_modalities: Kinds,
    output_modalities: Kinds,
    supported_input_modalities: Kinds,
    supported_output_modalities: Kinds,
    supported_parameters: Words,
    capabilities: Words,
    features: Words,
    endpoints: Words,
    #[serde(rename = "supportedGenerationMethods")]
    methods: Words,
    thinking: Flag,
    pricing: Object<Pricing>,
    properties: Objects<Property>,
    providers: Objects<Backend>,
    is_free: Flag,
    #[serde(rename = "isFree")]
    is_free_camel: Flag,
    created: Moment,
    created_at: Moment,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TopProvider {
    context_length: Count,
    max_completion_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Architecture {
    input_modalities: Kinds,
    output_modalities: Kinds,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pricing {
    prompt: Decimal,
    completion: Decimal,
    input_cache_read: Decimal,
    internal_reasoning: Decimal,
    input: Decimal,
    output: Decimal,
    cached_input: Decimal,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Property {
    property_id: Text,
    value: Value,
}

/// A property's value: text, number or flag, as text.
#[derive(Default)]
struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(flag) => flag.to_string(),
            _ => String::new(),
        }))
    }
}

/// One of the servers behind a router.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Backend {
    context_length: Count,
    supports_tools: Flag,
    supports_structured_output: Flag,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyEntry)
    }
}

struct AnyEntry;

impl<'de> Visitor<'de> for AnyEntry {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a model")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map)).map(|fields| Entry::Model(Box::new(fields)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Entry, E> {
        Ok(Entry::Name(name.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
        while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Entry::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Entry, E> {
        Ok(Entry::Other)
    }
}

impl Entry {
    /// The model; `None` if the provider says that it is not served, and a message if this is no model.
    pub fn model(self, shape: ListShape) -> Result<Option<ModelFacts>, &'static str> {
        match self {
            Self::Name(name) => Ok(Some(ModelFacts { id: usable(&name)?, ..ModelFacts::default() })),
            Self::Model(fields) => fields.model(shape),
            Self::Other => Err("an object or a name is expected here"),
        }
    }
}

/// A name that can be sent in a request.
fn usable(name: &str) -> Result<String, &'static str> {
    if name.is_empty() {
        Err("the name is empty")
    } else if name.chars().count() > MAX_NAME {
        Err("the name has more than 200 characters")
    } else if name.contains(|char: char| char.is_whitespace() || char.is_control()) {
        Err("the name has blanks or control characters")
    } else {
        Ok(name.to_owned())
    }
}

impl Fields {
    fn name(&self, shape: ListShape) -> Option<&str> {
        let (id, name) = (self.id.as_deref(), self.name.as_deref());
        match shape {
            ListShape::Google => name.map(|name| name.strip_prefix("models/").unwrap_or(name)),
            ListShape::Cohere | ListShape::Cloudflare => name,
            ListShape::Ollama => self.model.as_deref().or(name),
            ListShape::Openai | ListShape::Openrouter | ListShape::Together | ListShape::Huggingface => {
                id.or(name).or(self.model.as_deref())
            }
        }
    }

    fn model(self, shape: ListShape) -> Result<Option<ModelFacts>, &'static str> {
        let missing = match shape {
            ListShape::Google | ListShape::Cohere | ListShape::Cloudflare => "it has no `name`",
            _ => "it has no `id`",
        };
        let id = usable(self.name(shape).ok_or(missing)?)?;
        // Google lists models of other services, Cohere those that only embed or rank.
        let unserved = self.active.0 == Some(false)
            || self.is_deprecated.0 == Some(true)
            || shape == ListShape::Google && self.methods.any(&["generateContent"], true) == Some(false);
        if unserved {
            return Ok(None);
        }
        let top = self.top_provider.0.as_ref();
        let architecture = self.architecture.0.as_ref();
        let window = [
            self.context_length,
            self.context_window,
            self.max_model_len,
            self.max_context_length,
            self.input_token_limit,
            top.map(|top| top.context_length).unwrap_or_default(),
        ];
        let limit = [
            top.map(|top| top.max_completion_tokens).unwrap_or_default(),
            self.max_completion_tokens,
            self.max_output_tokens,
            self.output_token_limit,
        ];
        let first = |counts: &[Count]| counts.iter().find_map(|count| count.0);
        let input = architecture
            .and_then(|of| of.input_modalities.0)
            .or(self.input_modalities.0)
            .or(self.supported_input_modalities.0);
        Ok(Some(ModelFacts {
            context_window: first(&window)
                .or_else(|| self.property("context_window")?.parse().ok().filter(|window| *window > 0))
                .or_else(|| self.smallest_backend()),
            output_limit: first(&limit),
            audio: input
                .map(|input| input.has(Modality::Audio))
                .or_else(|| self.capabilities.any(&["audio"], false)),
            schema: self.schema(),
            input: input.or_else(|| self.input_by_words(shape)),
            output: architecture
                .and_then(|of| of.output_modalities.0)
                .or(self.output_modalities.0)
                .or(self.supported_output_modalities.0)
                .or_else(|| self.output_by_words(shape)),
            tools: self.tools(shape),
            reasoning: self.reasoning(shape),
            price: self.price(shape),
            free: self.is_free.0.or(self.is_free_camel.0),
            created: self.created.0.or(self.created_at.0).map(UnixMs),
            id,
        }))
    }

    fn property(&self, name: &str) -> Option<&str> {
        let wanted = |property: &&Property| property.property_id.as_deref() == Some(name);
        self.properties.0.iter().find(wanted).map(|property| property.value.0.as_str())
    }

    /// A router may send a call to any of its servers: what all of them hold, if each says it.
    fn smallest_backend(&self) -> Option<u32> {
        let windows: Option<Vec<u32>> =
            self.providers.0.iter().map(|backend| backend.context_length.0).collect();
        windows?.into_iter().min()
    }

    /// Ollama and Cohere list all that a model can do; others tell yes or no of each, or only what it can.
    fn input_by_words(&self, shape: ListShape) -> Option<super::Modalities> {
        let vision = self
            .capabilities
            .any(&["vision"], shape == ListShape::Ollama)
            .or_else(|| self.features.any(&["vision"], shape == ListShape::Cohere))?;
        let kinds = [Some(Modality::Text), vision.then_some(Modality::Image)];
        Some(kinds.into_iter().flatten().collect())
    }

    fn output_by_words(&self, shape: ListShape) -> Option<super::Modalities> {
        let of = |kind: Modality| Some(std::iter::once(kind).collect());
        if shape == ListShape::Cohere {
            return match (
                self.endpoints.any(&["chat", "generate"], true),
                self.endpoints.any(&["embed"], true),
            ) {
                (Some(true), _) => of(Modality::Text),
                (_, Some(true)) => of(Modality::Embedding),
                _ => None,
            };
        }
        match self.kind.as_deref()? {
            "chat" | "language" | "code" => of(Modality::Text),
            "embedding" => of(Modality::Embedding),
            "image" => of(Modality::Image),
            "audio" => of(Modality::Audio),
            "video" => of(Modality::Video),
            _ => None,
        }
    }

    fn tools(&self, shape: ListShape) -> Option<bool> {
        let backends = || {
            let said: Vec<bool> =
                self.providers.0.iter().filter_map(|backend| backend.supports_tools.0).collect();
            (!said.is_empty()).then(|| said.contains(&true))
        };
        self.supported_parameters
            .any(&["tools"], true)
            .or_else(|| {
                let words = ["function_calling", "tools", "tool-calling", "tool_calling"];
                self.capabilities.any(&words, shape == ListShape::Ollama)
            })
            .or_else(|| {
                let words = ["tools", "tool_choice", "function-calling"];
                self.features.any(&words, shape == ListShape::Cohere)
            })
            .or_else(|| Some(self.property("function_calling")? == "true"))
            .or_else(backends)
    }

    fn reasoning(&self, shape: ListShape) -> Option<bool> {
        self.supported_parameters
            .any(&["reasoning", "include_reasoning"], true)
            .or_else(|| self.capabilities.any(&["thinking", "reasoning"], shape == ListShape::Ollama))
            .or_else(|| self.features.any(&["reasoning"], shape == ListShape::Cohere))
            .or_else(|| Some(self.property("reasoning")? == "true"))
            .or(self.thinking.0)
    }

    /// A parameter for answers in JSON alone does not tell whether a schema may be given with it.
    fn schema(&self) -> Option<bool> {
        let any_json = self.supported_parameters.any(&["response_format"], false) == Some(true);
        let backends = || {
            let said: Vec<bool> =
                self.providers.0.iter().filter_map(|one| one.supports_structured_output.0).collect();
            (!said.is_empty()).then(|| said.contains(&true))
        };
        self.supported_parameters
            .any(&["structured_outputs"], !any_json)
            .or_else(|| self.capabilities.any(&["structured_outputs", "structured_output"], false))
            .or_else(|| self.features.any(&["json_schema"], false))
            .or_else(backends)
    }

    fn price(&self, shape: ListShape) -> Option<Price> {
        let pricing = self.pricing.0.as_ref()?;
        match shape {
            // Dollars per token, times a million tokens and a million micro-dollars.
            ListShape::Openrouter => Some(Price {
                input: pricing.prompt.scaled(12)?,
                cached: pricing.input_cache_read.scaled(12),
                output: pricing.completion.scaled(12)?,
                // Zero says that it is billed as output.
                reasoning: pricing.internal_reasoning.scaled(12).filter(|price| *price > 0),
            }),
            ListShape::Together => Some(Price {
                input: pricing.input.scaled(6)?,
                cached: pricing.cached_input.scaled(6),
                output: pricing.output.scaled(6)?,
                reasoning: None,
            }),
            _ => None,
        }
    }
}
