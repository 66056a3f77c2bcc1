//! What scripts send: every field has a name, a type and a default, and a field that is not known is an error.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::rules;
use crate::{
    i18n::Messages,
    model::{
        channel::{Channel, ChannelModel, Price, Protocol, Redirect, Timeouts},
        decimal,
        key::{Key, PastedKey},
        secret::Secret,
        time::UnixMs,
        token::{ClientProfile, QuotaReset, QuotaUnit, Token},
    },
    provider::Providers,
    storage::{channels::NewChannel, tokens::check_value},
};

/// A fault of an input, at a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// The path of the field, such as `keys[1].label` or `timeouts.idle_ms`.
    pub field: String,
    /// What is wrong and what to do, in the reader's language.
    pub message: String,
}

/// Every fault of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { field: field.into(), message: message.into() });
    }

    /// Gives the value of a check, or notes its message at a field and gives the default.
    pub fn take<T: Default>(&mut self, field: &str, result: Result<T, impl Into<String>>) -> T {
        result.unwrap_or_else(|message| {
            self.add(field, message);
            T::default()
        })
    }

    /// `value`, unless something is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// A secret in an input. It is not printed by `Debug`, but it is written when serialised: only for an operator who asked.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String)]
pub struct PlainSecret(pub Secret);

impl PlainSecret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for PlainSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl Serialize for PlainSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

/// A decimal number, given as a number or as a text, and kept as it was written: no float rounds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decimal(pub String);

impl utoipa::PartialSchema for Decimal {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Number, Type::String]))
            .description(Some("A decimal number, or the same as a text."))
            .into()
    }
}

impl ToSchema for Decimal {}

impl Decimal {
    /// A number of the smallest unit: `150_000` with 6 `places` is `0.15`.
    pub fn of(value: i64, places: u32) -> Self {
        Self(decimal::show(value, places))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 0.15")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                Ok(Decimal(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(Decimal(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
                Ok(Decimal(number.to_string()))
            }

            // The shortest text that reads back as the same float: what was written, up to 15 digits.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
                Ok(Decimal(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0.parse::<i64>(), self.0.parse::<f64>()) {
            (Ok(whole), _) => serializer.serialize_i64(whole),
            (_, Ok(float)) if float.to_string() == self.0 => serializer.serialize_f64(float),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

/// A channel: an upstream endpoint and its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelInput {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// The upstream's base URL, such as `https://api.example.com/v1`; with or without `/v1`.
    pub base_url: String,
    /// The protocol that it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// The id of the provider whose rules hold for it, such as `groq`; `generic` for any OpenAI-compatible server. Left
    /// out: the provider that the base URL belongs to, else `generic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Tier: channels of a higher priority are tried before those of a lower one.
    #[serde(default)]
    pub priority: i64,
    /// Share of the calls among channels of the same priority.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10_000, default = 1)]
    pub weight: i64,
    /// Groups that may use it. A token without groups may use every channel.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Headers to add to every upstream request. The values are stored sealed.
    #[serde(default)]
    pub headers: BTreeMap<String, PlainSecret>,
    /// Outbound proxy: `http://`, `https://`, `socks5://` or `socks5h://`, perhaps with `user:password@`. Stored sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<PlainSecret>,
    /// Its own time limits; what is left out is the server's setting.
    #[serde(default)]
    pub timeouts: TimeoutsInput,
    /// Whether the upstream may be on a private, loopback or link-local address.
    #[serde(default)]
    pub allow_private: bool,
    /// A note.
    #[serde(default)]
    pub note: String,
    /// Off means: takes no calls.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    /// The upstream's models that are offered under their own names.
    #[serde(default)]
    pub models: Vec<ModelInput>,
    /// Further public names, each with one upstream model or several.
    #[serde(default)]
    pub redirects: BTreeMap<String, Upstreams>,
}

fn yes() -> bool {
    true
}

fn one() -> i64 {
    1
}

/// Limits on the phases of an upstream call, in milliseconds, from 100 to 3,600,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsInput {
    /// Until the connection stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<i64>,
    /// From the request until the first real content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<i64>,
    /// Between two pieces of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<i64>,
}

/// An upstream model: its name alone, which leaves what is known of it as it is, or an object that says all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelInput {
    /// The name; what is known of the model stays.
    Name(String),
    /// Everything; what is left out becomes unknown.
    Details(ModelDetails),
}

impl ModelInput {
    /// The upstream's name for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Details(details) => &details.name,
        }
    }
}

impl utoipa::PartialSchema for ModelInput {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{Ref, schema};
        schema::OneOfBuilder::new()
            .description(Some(
                "The upstream's name alone, which leaves what is known of the model as it is, or an object that says all \
                 of it.",
            ))
            .item(schema::Object::with_type(schema::Type::String))
            .item(Ref::from_schema_name("ModelDetails"))
            .into()
    }
}

impl ToSchema for ModelInput {
    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>) {
        use utoipa::PartialSchema as _;
        schemas.push(("ModelDetails".into(), ModelDetails::schema()));
        ModelDetails::schemas(schemas);
    }
}

impl<'de> Deserialize<'de> for ModelInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ModelInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model's name, or an object with its name and details")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<ModelInput, E> {
                Ok(ModelInput::Name(name.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ModelInput, A::Error> {
                ModelDetails::deserialize(de::value::MapAccessDeserializer::new(map)).map(ModelInput::Details)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for ModelInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Details(details) => details.serialize(serializer),
        }
    }
}

/// Everything about an upstream model; what is left out is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDetails {
    /// The upstream's name for it.
    pub name: String,
    /// Context window in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Largest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// Whether it reads images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vision: Option<bool>,
    /// Whether it calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Its price. Tokens with a quota in dollars cannot use a model without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceInput>,
}

/// A price in dollars per million tokens, with at most six decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceInput {
    /// For prompt tokens.
    pub input: Decimal,
    /// For cached prompt tokens; left out: the same as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Decimal>,
    /// For completion tokens.
    pub output: Decimal,
}

/// The upstream models behind a public name: one, or several in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Upstreams {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Upstreams {
    /// The names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

impl<'de> Deserialize<'de> for Upstreams {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Upstreams;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an upstream model's name, or a list of them")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Upstreams, E> {
                Ok(Upstreams::One(name.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Upstreams, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Upstreams::Many)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A key: an upstream credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyInput {
    /// The credential; 4 to 1000 visible ASCII characters. Stored sealed.
    pub secret: PlainSecret,
    /// A name for it.
    #[serde(default)]
    pub label: String,
    /// The account whose quota it spends; keys of one account share a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_group: Option<String>,
    /// Off means: takes no calls.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
}

/// A token: what a client presents, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// Models that it may ask for: names, or beginnings written `prefix*`. Empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Channel groups that it may use. Empty means all.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Addresses or networks that it may come from. Empty means all.
    #[serde(default)]
    pub cidrs: Vec<String>,
    /// When it ends.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::pool::rules::optional_time"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<jiff::Timestamp>,
    /// How much it may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaInput>,
    /// How many requests it may make in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<i64>,
    /// How its client reads errors.
    #[serde(default = "generic")]
    #[schema(default = "generic")]
    pub profile: ClientProfile,
    /// A note.
    #[serde(default)]
    pub note: String,
    /// Off means: refused.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
}

fn generic() -> ClientProfile {
    ClientProfile::Generic
}

/// How much a token may spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaInput {
    /// What is counted.
    pub unit: QuotaUnit,
    /// The most of it: dollars with at most six decimals, or a whole number of tokens or requests.
    pub limit: Decimal,
    /// When the count starts anew, in the server's time zone.
    #[serde(default = "never")]
    #[schema(default = "never")]
    pub reset: QuotaReset,
}

fn never() -> QuotaReset {
    QuotaReset::Never
}

impl ChannelInput {
    /// A channel as an operator would write it down, secrets included.
    pub fn of(channel: &Channel) -> Self {
        let mut redirects: BTreeMap<String, Upstreams> = BTreeMap::new();
        for redirect in &channel.redirects {
            let upstream = redirect.upstream.clone();
            match redirects.remove(&redirect.public) {
                None => redirects.insert(redirect.public.clone(), Upstreams::One(upstream)),
                Some(known) => {
                    let names = known.names().iter().cloned().chain([upstream]).collect();
                    redirects.insert(redirect.public.clone(), Upstreams::Many(names))
                }
            };
        }
        let secret = |secret: &Secret| PlainSecret(secret.clone());
        Self {
            name: channel.name.clone(),
            base_url: channel.base_url.clone(),
            protocol: channel.protocol,
            provider: Some(channel.provider.clone()),
            priority: channel.priority,
            weight: channel.weight.into(),
            groups: channel.groups.clone(),
            headers: channel.headers.iter().map(|(name, value)| (name.clone(), secret(value))).collect(),
            proxy: channel.proxy.as_ref().map(secret),
            timeouts: TimeoutsInput {
                connect_ms: channel.timeouts.connect_ms.map(i64::from),
                first_byte_ms: channel.timeouts.first_byte_ms.map(i64::from),
                idle_ms: channel.timeouts.idle_ms.map(i64::from),
            },
            allow_private: channel.allow_private,
            note: channel.note.clone(),
            enabled: channel.enabled,
            models: channel.models.iter().map(ModelInput::of).collect(),
            redirects,
        }
    }

    /// The channel that this describes, or what is wrong with it. `known` is the channel before the change: models that
    /// are given by name alone keep what is known of them. Without `providers` any provider is believed to exist.
    pub fn check(
        &self,
        known: Option<&Channel>,
        providers: Option<&Providers>,
        t: Messages,
    ) -> Result<NewChannel, Faults> {
        let mut faults = Faults::default();
        faults.take("name", rules::check_name(t, &self.name));
        faults.take("note", rules::check_length(t, &self.note, rules::MAX_NOTE_CHARS));
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        faults.take(
            "base_url",
            rules::check_base_url(t, &base_url, self.allow_private, t.pool.private_address()),
        );
        let provider = faults.take("provider", self.checked_provider(known, providers, &base_url, t));
        faults.take("priority", within(t, self.priority, rules::PRIORITIES));
        let weight = faults.take("weight", within(t, self.weight, rules::WEIGHTS));
        if self.groups.len() > rules::MAX_CHANNEL_GROUPS
            || !self.groups.iter().all(|name| rules::is_group(name))
        {
            faults.add("groups", t.channels.group_invalid());
        }
        let headers = self.checked_headers(t, &mut faults);
        if self.proxy.as_ref().is_some_and(|proxy| !rules::is_proxy(proxy.expose())) {
            faults.add("proxy", t.channels.proxy_invalid());
        }
        let timeouts = self.timeouts.check(t, &mut faults);
        let models = self.checked_models(known, t, &mut faults);
        let redirects = self.checked_redirects(t, &mut faults);
        faults.or(NewChannel {
            name: self.name.clone(),
            base_url,
            protocol: self.protocol,
            provider,
            priority: self.priority,
            weight: u32::try_from(weight).unwrap_or(1),
            groups: self.groups.clone(),
            headers,
            proxy: self.proxy.as_ref().map(|proxy| Secret::new(proxy.expose().trim_end_matches('/'))),
            timeouts,
            allow_private: self.allow_private,
            note: self.note.clone(),
            enabled: self.enabled,
            models,
            redirects,
        })
    }

    fn checked_provider(
        &self,
        known: Option<&Channel>,
        providers: Option<&Providers>,
        base_url: &str,
        t: Messages,
    ) -> Result<String, String> {
        let Some(providers) = providers else { return Ok(self.provider.clone().unwrap_or_default()) };
        match &self.provider {
            // A provider whose file was removed is no reason to refuse another change.
            Some(id) if known.is_some_and(|channel| channel.provider == *id) => Ok(id.clone()),
            Some(id) => rules::check_provider(t, providers, id).map(|()| id.clone()),
            None => Ok(providers.proposed(base_url).to_owned()),
        }
    }

    fn checked_headers(&self, t: Messages, faults: &mut Faults) -> Vec<(String, Secret)> {
        if self.headers.len() > rules::MAX_HEADERS {
            faults.add("headers", t.channels.too_many_headers(rules::MAX_HEADERS));
        }
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let field = format!("headers.{name}");
            match rules::check_header_name(name) {
                Err(rules::HeaderProblem::Authorization) => {
                    faults.add(field, t.channels.header_authorization())
                }
                Err(rules::HeaderProblem::Own) => faults.add(field, t.pool.header_refused(name)),
                Err(rules::HeaderProblem::Invalid) => faults.add(field, t.pool.header_name_invalid()),
                Ok(()) if !rules::is_header_value(value.expose()) => {
                    faults.add(field, t.pool.header_value_invalid());
                }
                Ok(()) => headers.push((name.clone(), value.0.clone())),
            }
        }
        headers
    }

    fn checked_models(&self, known: Option<&Channel>, t: Messages, faults: &mut Faults) -> Vec<ChannelModel> {
        if self.models.len() > rules::MAX_MODELS {
            faults.add("models", t.channels.too_many_models(rules::MAX_MODELS));
            return Vec::new();
        }
        let mut names = std::collections::HashSet::new();
        let mut models = Vec::with_capacity(self.models.len());
        for (position, model) in self.models.iter().enumerate() {
            let field = format!("models[{position}]");
            if !rules::is_model_name(model.name()) {
                faults.add(field, t.channels.model_invalid(&rules::shortened(model.name())));
                continue;
            }
            if !names.insert(model.name()) {
                faults.add(field, t.pool.twice(&rules::shortened(model.name())));
                continue;
            }
            models.push(match model {
                ModelInput::Name(name) => known
                    .and_then(|channel| channel.model(name))
                    .cloned()
                    .unwrap_or(ChannelModel { name: name.clone(), ..Default::default() }),
                ModelInput::Details(details) => details.check(&field, t, faults),
            });
        }
        models
    }

    fn checked_redirects(&self, t: Messages, faults: &mut Faults) -> Vec<Redirect> {
        let mut redirects = Vec::new();
        for (public, upstreams) in &self.redirects {
            let field = format!("redirects.{public}");
            for name in [public].into_iter().chain(upstreams.names()) {
                if !rules::is_model_name(name) {
                    faults.add(&field, t.channels.model_invalid(&rules::shortened(name)));
                }
            }
            let mut names = std::collections::HashSet::new();
            for upstream in upstreams.names() {
                if names.insert(upstream) {
                    redirects.push(Redirect { public: public.clone(), upstream: upstream.clone() });
                } else {
                    faults.add(&field, t.pool.twice(&rules::shortened(upstream)));
                }
            }
            if names.is_empty() {
                faults.add(&field, t.pool.redirect_empty());
            }
        }
        if redirects.len() > rules::MAX_REDIRECTS {
            faults.add("redirects", t.channels.too_many_redirects(rules::MAX_REDIRECTS));
        }
        redirects
    }
}

fn within(t: Messages, value: i64, range: std::ops::RangeInclusive<i64>) -> Result<i64, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(t.common.field_out_of_range(*range.start(), *range.end()))
    }
}

impl TimeoutsInput {
    fn check(&self, t: Messages, faults: &mut Faults) -> Timeouts {
        let mut checked = |field: &str, value: Option<i64>| {
            let value = faults.take(field, within(t, value?, rules::TIMEOUTS_MS));
            u32::try_from(value).ok()
        };
        Timeouts {
            connect_ms: checked("timeouts.connect_ms", self.connect_ms),
            first_byte_ms: checked("timeouts.first_byte_ms", self.first_byte_ms),
            idle_ms: checked("timeouts.idle_ms", self.idle_ms),
        }
    }
}

impl ModelInput {
    /// A model with everything that is known of it; its name alone if nothing is.
    pub fn of(model: &ChannelModel) -> Self {
        let details = ModelDetails {
            name: model.name.clone(),
            context_window: model.context_window,
            max_output: model.max_output,
            vision: model.vision,
            tools: model.tools,
            reasoning: model.reasoning,
            price: model.price.map(PriceInput::of),
        };
        if details == (ModelDetails { name: model.name.clone(), ..Default::default() }) {
            Self::Name(details.name)
        } else {
            Self::Details(details)
        }
    }
}

impl ModelDetails {
    fn check(&self, field: &str, t: Messages, faults: &mut Faults) -> ChannelModel {
        let price = self.price.as_ref().and_then(|price| {
            price.read().or_else(|| {
                faults.add(format!("{field}.price"), t.channels.price_invalid());
                None
            })
        });
        ChannelModel {
            name: self.name.clone(),
            context_window: self.context_window,
            max_output: self.max_output,
            vision: self.vision,
            tools: self.tools,
            reasoning: self.reasoning,
            price,
        }
    }
}

impl PriceInput {
    /// A price as it is written.
    pub fn of(price: Price) -> Self {
        let show = |micros| Decimal::of(micros, rules::DOLLAR_PLACES);
        Self { input: show(price.input), cached: price.cached.map(show), output: show(price.output) }
    }

    fn read(&self) -> Option<Price> {
        let read = |text: &Decimal| decimal::parse(&text.0, rules::DOLLAR_PLACES);
        let cached = match &self.cached {
            Some(cached) => Some(read(cached)?),
            None => None,
        };
        let price = Price { input: read(&self.input)?, cached, output: read(&self.output)? };
        rules::is_price(price).then_some(price)
    }
}

impl KeyInput {
    /// A key as an operator would write it down, its secret included.
    pub fn of(key: &Key) -> Self {
        Self {
            secret: PlainSecret(key.secret.clone()),
            label: key.label.clone(),
            quota_group: key.quota_group.clone(),
            enabled: key.enabled,
        }
    }

    /// The key that this describes, or what is wrong with it; fields are named with `prefix` in front.
    pub fn check(&self, prefix: &str, t: Messages) -> Result<PastedKey, Faults> {
        let mut faults = Faults::default();
        if !crate::model::key::is_secret(self.secret.expose()) {
            faults.add(format!("{prefix}secret"), t.pool.key_invalid());
        }
        for (field, text) in [("label", Some(&self.label)), ("quota_group", self.quota_group.as_ref())] {
            let text = text.map_or("", String::as_str);
            faults.take(&format!("{prefix}{field}"), rules::check_length(t, text, rules::MAX_NAME_CHARS));
        }
        faults.or(PastedKey {
            label: self.label.clone(),
            secret: self.secret.0.clone(),
            quota_group: self.quota_group.clone().filter(|group| !group.is_empty()),
        })
    }
}

impl TokenInput {
    /// A token as an operator would write it down.
    pub fn of(token: &Token) -> Self {
        Self {
            name: token.name.clone(),
            models: token.models.clone(),
            groups: token.groups.clone(),
            cidrs: token.cidrs.iter().map(rules::show_network).collect(),
            expires_at: token.expires_at.map(UnixMs::timestamp),
            quota: token.quota.map(|quota| QuotaInput {
                unit: quota.unit,
                limit: Decimal(rules::show_quota(&quota)),
                reset: quota.reset,
            }),
            requests_per_minute: token.requests_per_minute.map(i64::from),
            profile: token.profile,
            note: token.note.clone(),
            enabled: token.enabled,
        }
    }

    /// The token that this describes: `known` with what is written here, or one that has no id and value yet.
    pub fn check(&self, known: Option<&Token>, now: UnixMs, t: Messages) -> Result<Token, Faults> {
        let mut faults = Faults::default();
        faults.take("name", rules::check_name(t, &self.name));
        faults.take("note", rules::check_length(t, &self.note, rules::MAX_NOTE_CHARS));
        for (field, count) in
            [("models", self.models.len()), ("groups", self.groups.len()), ("cidrs", self.cidrs.len())]
        {
            if count > rules::MAX_ENTRIES {
                faults.add(field, t.token_form.too_many(rules::MAX_ENTRIES));
                return Err(faults);
            }
        }
        for (position, entry) in self.models.iter().enumerate() {
            let field = format!("models[{position}]");
            if rules::is_model_name(entry) {
                faults.take(&field, rules::check_model_scope(t, entry));
            } else {
                faults.add(&field, t.channels.model_invalid(&rules::shortened(entry)));
            }
        }
        for (position, group) in self.groups.iter().enumerate().filter(|(_, group)| !rules::is_group(group)) {
            faults.add(format!("groups[{position}]"), t.token_form.group_too_long(&rules::shortened(group)));
        }
        let mut cidrs = Vec::with_capacity(self.cidrs.len());
        for (position, entry) in self.cidrs.iter().enumerate() {
            match rules::read_network(t, entry) {
                Ok(network) if !cidrs.contains(&network) => cidrs.push(network),
                Ok(_) => {}
                Err(message) => faults.add(format!("cidrs[{position}]"), message),
            }
        }
        let expires_at = self.expires_at.map(|at| UnixMs(at.as_millisecond()));
        let unchanged = expires_at == known.and_then(|token| token.expires_at);
        if expires_at.is_some_and(|at| at <= now) && !unchanged {
            faults.add("expires_at", t.token_form.expires_at_past());
        }
        let quota = self.quota.as_ref().and_then(|quota| {
            let read = rules::read_quota(t, quota.unit, &quota.limit.0, quota.reset);
            faults.take("quota.limit", read.map(Some))
        });
        let rate = self
            .requests_per_minute
            .map(|rate| faults.take("requests_per_minute", within(t, rate, rules::REQUESTS_PER_MINUTE)));
        faults.or(Token {
            id: known.map_or(crate::model::id::TokenId(0), |token| token.id),
            name: self.name.clone(),
            last4: known.map(|token| token.last4.clone()).unwrap_or_default(),
            models: self.models.clone(),
            groups: self.groups.clone(),
            cidrs,
            expires_at,
            quota,
            requests_per_minute: rate.and_then(|rate| u32::try_from(rate).ok()),
            profile: self.profile,
            note: self.note.clone(),
            enabled: self.enabled,
            created_at: known.map_or(now, |token| token.created_at),
        })
    }
}

/// What is wrong with a token's value that was given.
pub fn check_token_value(t: Messages, value: &str) -> Result<(), String> {
    use crate::storage::tokens::ValueProblem;
    check_value(value).map_err(|problem| {
        let message = match problem {
            ValueProblem::Length => t.token_form.value_length(),
            ValueProblem::Characters => t.token_form.value_characters(),
        };
        message.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{i18n::Lang, model::id::ChannelId};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn t() -> Messages {
        Messages::of(Lang::En)
    }

    fn channel(json: &str) -> Result<ChannelInput, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn faults(json: &str) -> Vec<String> {
        let faults = channel(json).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap_err();
        faults.0.into_iter().map(|fault| fault.field).collect()
    }

    fn saved(new: NewChannel) -> Channel {
        Channel {
            id: ChannelId(1),
            name: new.name,
            base_url: new.base_url,
            protocol: new.protocol,
            provider: new.provider,
            priority: new.priority,
            weight: new.weight,
            groups: new.groups,
            headers: new.headers,
            proxy: new.proxy,
            timeouts: new.timeouts,
            allow_private: new.allow_private,
            note: new.note,
            enabled: new.enabled,
            models: new.models,
            redirects: new.redirects,
        }
    }

    const FULL: &str = r#"{
        "name": "A", "base_url": "https://api.example.com/v1/", "protocol": "openai", "provider": "groq", "priority": 2, "weight": 3,
        "groups": ["g"], "headers": {"X-Title": "mine"}, "proxy": "socks5://user:pass@127.0.0.1:1080",
        "timeouts": {"idle_ms": 5000}, "allow_private": true, "note": "n", "enabled": false,
        "models": ["a", {"name": "b", "context_window": 8192, "price": {"input": 0.15, "output": "0.6"}}],
        "redirects": {"one": "a", "two": ["a", "b"]}
    }"#;

    #[test]
    fn a_channel_reads_back_as_it_was_written() {
        let checked = channel(FULL).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap();
        assert_eq!(
            (checked.base_url.as_str(), checked.weight, checked.enabled),
            ("https://api.example.com/v1", 3, false)
        );
        assert_eq!(checked.models[1].price, Some(Price { input: 150_000, cached: None, output: 600_000 }));
        assert_eq!(checked.redirects.len(), 3);
        let channel = saved(checked);
        let written = ChannelInput::of(&channel);
        let json = serde_json::to_string(&written).unwrap();
        assert_eq!(serde_json::from_str::<ChannelInput>(&json).unwrap(), written);
        assert_eq!(
            ChannelInput::of(&saved(
                written.check(Some(&channel), Some(&Providers::embedded()), t()).unwrap()
            )),
            written
        );
        assert!(!format!("{written:?}").contains("pass"), "a secret is not printed");
    }

    #[test]
    fn a_name_alone_keeps_what_is_known_of_a_model_and_an_object_replaces_it() {
        let known = saved(channel(FULL).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap());
        let again = |models: &str| {
            let json = format!(r#"{{"name": "A", "base_url": "https://a.example", "models": {models}}}"#);
            channel(&json).unwrap().check(Some(&known), None, t()).unwrap().models
        };
        assert_eq!(again(r#"["b"]"#)[0].context_window, Some(8192));
        assert_eq!(again(r#"[{"name": "b"}]"#)[0].context_window, None);
    }

    #[test]
    fn a_provider_that_is_not_named_is_that_of_the_base_url_and_an_unknown_one_is_told_the_nearest() {
        let providers = Providers::embedded();
        let provider = |fields: &str, known: Option<&Channel>| {
            let input = channel(&format!(r#"{{"name": "A", {fields}}}"#)).unwrap();
            input.check(known, Some(&providers), t()).map(|new| new.provider)
        };
        for (fields, expected) in [
            (r#""base_url": "https://api.groq.com/openai/v1""#, "groq"),
            (r#""base_url": "https://a.example""#, "generic"),
            (r#""base_url": "https://api.groq.com", "provider": null"#, "groq"),
            (r#""base_url": "https://api.groq.com", "provider": "generic""#, "generic"),
            (r#""base_url": "https://a.example", "provider": "nvidia""#, "nvidia"),
        ] {
            assert_eq!(provider(fields, None), Ok(expected.to_owned()), "{fields}");
        }
        let removed = r#""base_url": "https://a.example", "provider": "grok""#;
        let told = provider(removed, None).unwrap_err().0.remove(0);
        assert_eq!(told.field, "provider");
        assert!(told.message.contains("“groq”") && told.message.contains("generic, "), "{}", told.message);

        let mut known = saved(channel(FULL).unwrap().check(None, Some(&providers), t()).unwrap());
        known.provider = "grok".into();
        assert_eq!(provider(removed, Some(&known)), Ok("grok".into()), "what is there may stay");
        assert!(provider(&removed.replace("grok", "grok2"), Some(&known)).is_err());
    }

    #[test]
    fn an_unknown_field_is_refused_wherever_it_stands() {
        for json in [
            r#"{"name": "A", "base_url": "https://a.example", "wieght": 2}"#,
            r#"{"name": "A", "base_url": "https://a.example", "timeouts": {"idle": 2}}"#,
            r#"{"name": "A", "base_url": "https://a.example", "models": [{"name": "a", "ctx": 1}]}"#,
        ] {
            assert!(channel(json).unwrap_err().contains("unknown field"), "{json}");
        }
    }

    #[test]
    fn every_fault_of_a_channel_is_named_by_its_field() {
        let fields = faults(
            r#"{"name": "", "base_url": "http://127.0.0.1:9", "provider": "grok", "weight": 0, "headers": {"Host": "x", "a b": "y"},
                "proxy": "ftp://x", "timeouts": {"idle_ms": 1},
                "models": ["a", "a", "b c", {"name": "d", "price": {"input": -1, "output": 1}}],
                "redirects": {"x": [], "y": "b c"}}"#,
        );
        assert_eq!(
            fields,
            [
                "name",
                "base_url",
                "provider",
                "weight",
                "headers.Host",
                "headers.a b",
                "proxy",
                "timeouts.idle_ms",
                "models[1]",
                "models[2]",
                "models[3].price",
                "redirects.x",
                "redirects.y"
            ]
        );
    }

    #[test]
    fn a_token_reads_back_as_it_was_written_and_its_faults_are_named() {
        let json = r#"{"name": "t", "models": ["gpt-*"], "groups": ["g"], "cidrs": ["10.1.2.3/8", "192.0.2.1"],
            "expires_at": "2030-01-01T00:00:00Z", "quota": {"unit": "dollars", "limit": 2.5, "reset": "month"},
            "requests_per_minute": 60, "profile": "openclaw"}"#;
        let input: TokenInput = serde_json::from_str(json).unwrap();
        let token = input.check(None, NOW, t()).unwrap();
        assert_eq!(token.quota.unwrap().limit, 2_500_000);
        let written = TokenInput::of(&token);
        assert_eq!(written.cidrs, ["10.0.0.0/8", "192.0.2.1"]);
        assert_eq!(TokenInput::of(&written.check(Some(&token), NOW, t()).unwrap()), written);

        let json = r#"{"name": "", "models": ["a*b"], "cidrs": ["10.0.0.300"], "expires_at": "2020-01-01T00:00:00Z",
            "quota": {"unit": "tokens", "limit": 1.5}, "requests_per_minute": 0}"#;
        let wrong: TokenInput = serde_json::from_str(json).unwrap();
        let fields: Vec<String> =
            wrong.check(None, NOW, t()).unwrap_err().0.into_iter().map(|fault| fault.field).collect();
        assert_eq!(
            fields,
            ["name", "models[0]", "cidrs[0]", "expires_at", "quota.limit", "requests_per_minute"]
        );
    }
}
