//! Channels as scripts write them down.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use super::{Decimal, Faults, LimitInput, Limited, PlainSecret, QuotaInput, check_limits, within, yes};
use crate::{
    i18n::Messages,
    model::{
        channel::{Channel, ChannelModel, Price, Protocol, Redirect, Shaping, Timeouts},
        decimal,
        endpoint::Endpoint,
        secret::Secret,
        unit_price::UnitPrices,
    },
    pool::rules,
    provider::Providers,
    storage::channels::NewChannel,
};

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
    /// The plan of the provider's that limits depend on, such as `free` or `credits` of `openrouter`. Left out: the
    /// provider's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
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
    /// The endpoints that it serves. Left out: what its provider is known to serve, else `chat`, `completions` and
    /// `embeddings`; the others are then tried last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// The upstream's models that are offered under their own names.
    #[serde(default)]
    pub models: Vec<ModelInput>,
    /// Further public names, each with one upstream model or several.
    #[serde(default)]
    pub redirects: BTreeMap<String, Upstreams>,
    /// What the upstream allows, as far as it is known; at most 50. The provider's own limits hold where none of the same
    /// kind is declared here.
    #[serde(default)]
    pub limits: Vec<LimitInput>,
    /// How its requests are shaped, beside what the provider's file says.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub shaping: Shaping,
    /// How much all of its keys may spend together. Once that is used up, the channel takes no calls until its budget
    /// starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<QuotaInput>,
}

fn is_plain(shaping: &Shaping) -> bool {
    *shaping == Shaping::default()
}

impl ChannelInput {
    /// A channel of which nothing is said: everything is as if left out, and name and base URL are empty.
    pub fn blank() -> Self {
        Self {
            name: String::new(),
            base_url: String::new(),
            protocol: Protocol::default(),
            provider: None,
            plan: None,
            priority: 0,
            weight: one(),
            groups: Vec::new(),
            headers: BTreeMap::new(),
            proxy: None,
            timeouts: TimeoutsInput::default(),
            allow_private: false,
            note: String::new(),
            enabled: yes(),
            endpoints: Vec::new(),
            models: Vec::new(),
            redirects: BTreeMap::new(),
            limits: Vec::new(),
            shaping: Default::default(),
            budget: None,
        }
    }
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
    /// The endpoints that it is served on. Left out: those of its channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Its price per token. Tokens with a quota in dollars cannot use a model without any price, unless it is known to be
    /// free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceInput>,
    /// Its prices per picture, minute and the like; what a call costs by them is added to what its tokens cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_prices: Option<Box<UnitPricesInput>>,
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
    /// For completion tokens that are spent on reasoning; left out: the same as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Decimal>,
}

/// Prices in dollars per unit, with at most six decimals; what is left out has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitPricesInput {
    /// For a picture that is made, of no kind in `image_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Decimal>,
    /// For a picture of a size, a quality, or both: `1024x1024`, `high`, `1024x1024/high`. At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_by: BTreeMap<String, Decimal>,
    /// For a minute of sound that is transcribed or translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_minute: Option<Decimal>,
    /// For a million characters that are spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub million_characters: Option<Decimal>,
    /// For a second of video that is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_second: Option<Decimal>,
    /// For a search, the unit in which vendors count rankings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Decimal>,
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
            plan: channel.plan.clone(),
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
            endpoints: channel.endpoints.iter().collect(),
            models: channel.models.iter().map(ModelInput::of).collect(),
            redirects,
            limits: channel.limits.iter().map(LimitInput::of).collect(),
            shaping: channel.shaping.clone(),
            budget: channel.budget.as_ref().map(QuotaInput::of),
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
        let plan = faults.take("plan", self.checked_plan(known, providers, &provider, t));
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
        // A provider that was refused says nothing of calendars, but that is told already.
        let calendar = providers.filter(|_| !provider.is_empty()).map(|providers| providers.of(&provider));
        let of = Limited { key: false, provider: calendar.map(|provider| &**provider) };
        let limits = check_limits(&self.limits, of, "", t, &mut faults);
        let kept = known.map(|channel| &channel.shaping);
        faults.0.extend(rules::check_shaping(t, calendar.map(|provider| &**provider), kept, &self.shaping));
        let budget = self.budget.as_ref().and_then(|budget| budget.check("budget", t, &mut faults));
        faults.or(NewChannel {
            name: self.name.clone(),
            base_url,
            protocol: self.protocol,
            provider,
            plan,
            priority: self.priority,
            weight: u32::try_from(weight).unwrap_or(1),
            groups: self.groups.clone(),
            headers,
            proxy: self.proxy.as_ref().map(|proxy| Secret::new(proxy.expose().trim_end_matches('/'))),
            timeouts,
            allow_private: self.allow_private,
            note: self.note.clone(),
            enabled: self.enabled,
            endpoints: self.endpoints.iter().copied().collect(),
            models,
            redirects,
            limits,
            shaping: self.shaping.clone(),
            budget,
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

    fn checked_plan(
        &self,
        known: Option<&Channel>,
        providers: Option<&Providers>,
        provider: &str,
        t: Messages,
    ) -> Result<Option<String>, String> {
        let Some(plan) = self.plan.as_ref().filter(|plan| !plan.is_empty()) else { return Ok(None) };
        let kept = |channel: &Channel| channel.provider == provider && channel.plan.as_ref() == Some(plan);
        // A provider that was refused is told already, and one may be known elsewhere.
        if let Some(provider) = providers.and_then(|providers| providers.find(provider))
            && !known.is_some_and(kept)
        {
            rules::check_plan(t, provider, plan)?;
        }
        Ok(Some(plan.clone()))
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
            endpoints: model.endpoints.iter().collect(),
            price: model.price.map(PriceInput::of),
            unit_prices: model.unit_prices.as_deref().map(|prices| Box::new(UnitPricesInput::of(prices))),
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
            endpoints: self.endpoints.iter().copied().collect(),
            price,
            unit_prices: self.unit_prices.as_ref().and_then(|prices| prices.check(field, t, faults)),
        }
    }
}

impl UnitPricesInput {
    /// Prices as they are written.
    pub fn of(prices: &UnitPrices) -> Self {
        let show = |micros: &i64| Decimal::of(*micros, rules::DOLLAR_PLACES);
        Self {
            image: prices.image.as_ref().map(show),
            image_by: prices.image_by.iter().map(|(kind, price)| (kind.clone(), show(price))).collect(),
            audio_minute: prices.audio_minute.as_ref().map(show),
            million_characters: prices.million_characters.as_ref().map(show),
            video_second: prices.video_second.as_ref().map(show),
            search: prices.search.as_ref().map(show),
        }
    }

    /// The prices that this describes; what is wrong is noted below `field`.
    pub fn check(&self, field: &str, t: Messages, faults: &mut Faults) -> Option<Box<UnitPrices>> {
        let kinds = self.image_by.iter().map(|(kind, price)| (format!("image/{kind}"), Some(price)));
        let others = [
            ("image", &self.image),
            ("audio_minute", &self.audio_minute),
            ("million_characters", &self.million_characters),
            ("video_second", &self.video_second),
            ("search", &self.search),
        ];
        let others = others.into_iter().map(|(name, price)| (name.to_owned(), price.as_ref()));
        let mut prices = UnitPrices::default();
        for (name, price) in kinds.chain(others).filter_map(|(name, price)| Some((name, price?))) {
            let micros = decimal::parse(&price.0, rules::DOLLAR_PLACES);
            if micros.and_then(|micros| prices.add(&name, micros)).is_none() {
                let written = format!("{name}={}", price.0);
                let message = t.channels.unit_price_invalid(&rules::shortened(&written));
                faults.add(format!("{field}.unit_prices"), message);
            }
        }
        (!prices.is_empty()).then(|| Box::new(prices))
    }
}

impl PriceInput {
    /// A price as it is written.
    pub fn of(price: Price) -> Self {
        let show = |micros| Decimal::of(micros, rules::DOLLAR_PLACES);
        Self {
            input: show(price.input),
            cached: price.cached.map(show),
            output: show(price.output),
            reasoning: price.reasoning.map(show),
        }
    }

    /// The price; `None` if one of its amounts is none.
    pub fn read(&self) -> Option<Price> {
        let read = |text: &Decimal| decimal::parse(&text.0, rules::DOLLAR_PLACES);
        let optional = |text: &Option<Decimal>| match text {
            Some(text) => read(text).map(Some),
            None => Some(None),
        };
        let price = Price {
            input: read(&self.input)?,
            cached: optional(&self.cached)?,
            output: read(&self.output)?,
            reasoning: optional(&self.reasoning)?,
        };
        rules::is_price(price).then_some(price)
    }
}
