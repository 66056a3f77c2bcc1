//! Pool files: what they may say, and how they are read.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeSeed, IntoDeserializer as _, MapAccess},
};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ArrayBuilder, Object},
    },
};

use super::{
    input::{ChainInput, ChannelInput, Fault, Faults, KeyInput, PlainSecret, TokenInput},
    secrets::{self, Sources},
    shape,
    tree::{Place, Tree, Unreadable},
};
use crate::{i18n::Messages, model::chain};

/// The largest pool file, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The one version of the format.
const VERSION: u32 = 1;

/// Channels, keys, chains and tokens as they should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolFile {
    /// The version of this format: 1.
    #[serde(default = "version")]
    #[schema(minimum = 1, maximum = 1, default = 1)]
    pub version: u32,
    /// Channels, each known by its name.
    #[serde(default)]
    pub channels: Vec<PoolChannel>,
    /// Chains, virtual models made by hand, each known by its name.
    #[serde(default)]
    pub chains: Vec<ChainInput>,
    /// Tokens, each known by its name.
    #[serde(default)]
    pub tokens: Vec<PoolToken>,
}

fn version() -> u32 {
    VERSION
}

impl Default for PoolFile {
    fn default() -> Self {
        Self { version: VERSION, channels: Vec::new(), chains: Vec::new(), tokens: Vec::new() }
    }
}

/// A channel and its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolChannel {
    /// The channel.
    #[serde(flatten)]
    pub channel: ChannelInput,
    /// Its keys, each known by its secret; left out: the channel's keys are left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<KeyInput>>,
}

/// A token and perhaps its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenInput,
    /// What clients present. Left out: the present one stays, and a new token gets a random one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<PlainSecret>,
}

// `#[serde(flatten)]` cannot be combined with `deny_unknown_fields`, so the one field more is taken out on the way.
impl<'de> Deserialize<'de> for PoolChannel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (channel, keys) = deserializer.deserialize_map(WithField::new("keys"))?;
        Ok(Self { channel, keys })
    }
}

impl<'de> Deserialize<'de> for PoolToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (token, value) = deserializer.deserialize_map(WithField::new("value"))?;
        Ok(Self { token, value })
    }
}

/// Reads a `T` from a map that may have one field more, of type `F`.
struct WithField<T, F> {
    name: &'static str,
    types: std::marker::PhantomData<(T, F)>,
}

impl<T, F> WithField<T, F> {
    fn new(name: &'static str) -> Self {
        Self { name, types: std::marker::PhantomData }
    }
}

impl<'de, T: Deserialize<'de>, F: Deserialize<'de>> de::Visitor<'de> for WithField<T, F> {
    type Value = (T, Option<F>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut field = None;
        let rest = Rest { map, name: self.name, field: &mut field };
        let value = T::deserialize(de::value::MapAccessDeserializer::new(rest))?;
        Ok((value, field))
    }
}

/// A map without one of its fields, which is put aside.
struct Rest<'a, A, F> {
    map: A,
    name: &'static str,
    field: &'a mut Option<F>,
}

impl<'de, A: MapAccess<'de>, F: Deserialize<'de>> MapAccess<'de> for Rest<'_, A, F> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key != self.name {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            // A list that is there is not the same as one that is left out; `null` is.
            *self.field = self.map.next_value()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// The schema of an input with one property more.
fn schema_with(schema: RefOr<Schema>, about: &str, name: &str, property: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            let mut object: Object = object;
            object.description = Some(about.to_owned());
            object.properties.insert(name.to_owned(), property);
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}

fn described(mut schema: RefOr<Schema>, about: &str) -> RefOr<Schema> {
    match &mut schema {
        RefOr::T(Schema::Object(object)) => object.description = Some(about.to_owned()),
        RefOr::T(Schema::Array(array)) => array.description = Some(about.to_owned()),
        _ => {}
    }
    schema
}

impl PartialSchema for PoolChannel {
    fn schema() -> RefOr<Schema> {
        let keys = ArrayBuilder::new().items(utoipa::openapi::Ref::from_schema_name("KeyInput")).into();
        let about = "Its keys, each known by its secret; left out: the channel's keys are left alone.";
        schema_with(ChannelInput::schema(), "A channel and its keys.", "keys", described(keys, about))
    }
}

impl ToSchema for PoolChannel {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ChannelInput::schemas(schemas);
        schemas.push(("KeyInput".into(), KeyInput::schema()));
        KeyInput::schemas(schemas);
    }
}

impl PartialSchema for PoolToken {
    fn schema() -> RefOr<Schema> {
        let about = "What clients present: 32 to 128 visible ASCII characters. Left out: the present one stays, and a new \
                     token gets a random one.";
        let value = described(String::schema(), about);
        schema_with(TokenInput::schema(), "A token and perhaps its value.", "value", value)
    }
}

impl ToSchema for PoolToken {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        TokenInput::schemas(schemas);
    }
}

/// How a pool file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl Format {
    /// The format that a file's extension names.
    pub fn of_path(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The format that a text looks like: JSON begins with a brace, TOML never does.
    pub fn of_text(text: &str) -> Self {
        // Windows' editors put a mark in front of UTF-8.
        if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            Self::Json
        } else {
            Self::Toml
        }
    }
}

/// A fault of a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// The line and the column; `None` if the file as a whole is meant.
    pub place: Option<Place>,
    /// What is wrong and what to do; `field` is empty if no field is meant.
    pub fault: Fault,
}

/// A pool file that was read, with the places of its fields for faults that are found later.
#[derive(Debug)]
pub struct Source<'a> {
    tree: Tree<'a>,
    /// What it says; secrets are in their places.
    pub file: PoolFile,
}

impl<'a> Source<'a> {
    /// Reads a text, and fetches the secrets that it names. Gives all faults that can be told at once.
    pub fn read(
        text: &'a str,
        format: Format,
        sources: &Sources<'_>,
        t: Messages,
    ) -> Result<Self, Vec<FileFault>> {
        let tree = tree_of(text, format, t)?;
        let document = tree.root.json();
        let mut faults = shape::check(&document, t);
        let mut file = match PoolFile::deserialised(document, t) {
            Ok(file) => file,
            Err(unreadable) => {
                return Err(located(&tree, if faults.0.is_empty() { unreadable } else { faults }));
            }
        };
        // Numbers out of bounds, for one, do not hide what else is wrong; but each field is told of once.
        faults.0.extend(secrets::resolve(&mut file, sources, t).0);
        faults.0.extend(super::plan::faults(&file, t).0);
        let mut told = HashSet::new();
        faults.0.retain(|fault| told.insert(fault.field.clone()));
        if faults.0.is_empty() { Ok(Self { tree, file }) } else { Err(located(&tree, faults)) }
    }

    /// Gives faults of the file's fields their places, in the order of the file.
    pub fn located(&self, faults: Faults) -> Vec<FileFault> {
        located(&self.tree, faults)
    }
}

/// A document as its type; the fault is one that the check of its form does not know.
pub(super) fn typed<T: for<'de> Deserialize<'de>>(document: Value, t: Messages) -> Result<T, Faults> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let mut faults = Faults::default();
        let (field, message) = (error.path().to_string(), error.inner().to_string());
        faults.add(if field == "." { "" } else { &field }, t.pool_file.unreadable_field(&message));
        faults
    })
}

/// Reads a text as a tree.
pub(super) fn tree_of(text: &str, format: Format, t: Messages) -> Result<Tree<'_>, Vec<FileFault>> {
    // Windows' editors put a mark in front of UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = match format {
        Format::Toml => Tree::toml(text),
        Format::Json => Tree::json(text),
    };
    tree.map_err(|faults| {
        let told = |(place, fault): (Place, Unreadable)| {
            let message = match fault {
                Unreadable::Syntax(words) => t.pool_file.syntax(words.trim()),
                Unreadable::Number => t.pool_file.odd_number().to_owned(),
                Unreadable::Twice(name) => t.pool.twice(&super::rules::shortened(&name)),
            };
            FileFault { place: Some(place), fault: Fault { field: String::new(), message } }
        };
        let mut faults: Vec<FileFault> = faults.into_iter().take(shape::MAX_FAULTS).map(told).collect();
        faults.sort_by_key(|fault| fault.place);
        faults
    })
}

/// Gives faults their places, in the order of the file.
pub(super) fn located(tree: &Tree<'_>, faults: Faults) -> Vec<FileFault> {
    let mut faults: Vec<FileFault> = faults
        .0
        .into_iter()
        .take(shape::MAX_FAULTS)
        .map(|fault| FileFault { place: Some(tree.place(&fault.field)), fault })
        .collect();
    faults.sort_by_key(|fault| fault.place);
    faults
}

impl PoolFile {
    /// Reads a JSON value; gives every fault of its form in the reader's language, at its field.
    pub fn of_json(document: Value, t: Messages) -> Result<Self, Faults> {
        shape::check(&document, t).or(())?;
        Self::deserialised(document, t)
    }

    /// The same without the check, which tells more faults and better.
    fn deserialised(document: Value, t: Messages) -> Result<Self, Faults> {
        typed(document, t)
    }

    /// The faults of names and secrets that stand twice.
    pub fn repetitions(&self, t: Messages) -> Faults {
        let mut faults = Faults::default();
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut once = |faults: &mut Faults, scope: &str, text: &str, field: String, what: Repeated| {
            if let Some(first) = seen.get(&format!("{scope}\n{text}")) {
                faults.add(field, what.text(first, t));
            } else {
                seen.insert(format!("{scope}\n{text}"), field);
            }
        };
        for (position, channel) in self.channels.iter().enumerate() {
            let field = format!("channels[{position}]");
            let name = folded(&channel.channel.name);
            once(&mut faults, "channel", &name, format!("{field}.name"), Repeated::Channel);
            for name in channel.channel.headers.keys() {
                let header = format!("{field}.headers.{name}");
                once(&mut faults, &format!("{field}.headers"), &folded(name), header, Repeated::Header);
            }
            for (number, key) in channel.keys.iter().flatten().enumerate() {
                let field_of_key = format!("{field}.keys[{number}].secret");
                once(&mut faults, &field, key.secret.expose(), field_of_key, Repeated::Key);
            }
        }
        for (position, given) in self.chains.iter().enumerate() {
            let (name, field) = (chain::folded(&given.name), format!("chains[{position}].name"));
            once(&mut faults, "chain", &name, field, Repeated::Chain);
        }
        for (position, token) in self.tokens.iter().enumerate() {
            let field = format!("tokens[{position}]");
            once(&mut faults, "token", &folded(&token.token.name), format!("{field}.name"), Repeated::Token);
            if let Some(value) = token.value.as_ref().filter(|value| value.expose() != secrets::KEEP) {
                once(&mut faults, "value", value.expose(), format!("{field}.value"), Repeated::Value);
            }
        }
        faults
    }
}

/// What may stand only once.
#[derive(Clone, Copy)]
enum Repeated {
    Channel,
    Header,
    Key,
    Chain,
    Token,
    Value,
}

impl Repeated {
    fn text(self, first: &str, t: Messages) -> String {
        let t = t.pool_file;
        match self {
            Self::Channel => t.channel_twice(first),
            Self::Header => t.header_twice(first),
            Self::Key => t.key_twice(first),
            Self::Chain => t.chain_twice(first),
            Self::Token => t.token_twice(first),
            Self::Value => t.value_twice(first),
        }
    }
}

/// A name as it is compared: letter case aside, by the rule of the database's own index, which knows A to Z only.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
