//! `openclaw.json`: the part of OpenClaw's configuration that makes it use this server.
//!
//! OpenClaw refuses to start on any key that it does not know, so only keys stand here that its schema
//! (<https://docs.openclaw.ai/gateway/configuration-reference>) has had in all releases of 2026: `models.mode`,
//! `models.providers.<id>` and `agents.defaults.model`. `agents.defaults.models` is left out on purpose: in a file that
//! OpenClaw's own command line has never written, it would turn into a list of the only models allowed.

use serde_json::{Map, Number, Value, json};

use crate::model::{
    catalog::{Catalog, PublicModel, Route},
    channel::Price,
    token::Token,
};

/// The id of this server among OpenClaw's providers.
pub const PROVIDER_ID: &str = "onepool";

/// The environment variable that [`ApiKey::Environment`] names by default.
pub const KEY_VARIABLE: &str = "ONEPOOL_API_KEY";

/// The most fallbacks that an export names; each one costs a client's turn a try.
pub const MAX_FALLBACKS: usize = 8;

/// What an export is made of.
#[derive(Debug, Clone)]
pub struct ExportInput<'a> {
    /// The provider's id in OpenClaw's file; model references are `<id>/<model>`.
    pub provider_id: &'a str,
    /// The base URL, ending in `/v1`.
    pub base_url: &'a str,
    /// The token's value, or where OpenClaw finds it.
    pub key: ApiKey<'a>,
    /// The models to offer.
    pub models: Vec<ExportModel>,
    /// The id of the model to ask first; `None` leaves OpenClaw's present choice alone.
    pub primary: Option<&'a str>,
    /// The ids to try after it, in order.
    pub fallbacks: Vec<&'a str>,
}

/// How OpenClaw gets the token's value.
#[derive(Debug, Clone, Copy)]
pub enum ApiKey<'a> {
    /// It stands in the file.
    Literal(&'a str),
    /// The file names an environment variable in capital letters.
    Environment(&'a str),
}

/// A model as OpenClaw should know it. What is unknown is left out, and OpenClaw's own default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportModel {
    /// What to ask for.
    pub id: String,
    /// What OpenClaw shows.
    pub name: String,
    /// Context window in tokens.
    pub context_window: Option<u32>,
    /// Largest answer in tokens.
    pub max_output: Option<u32>,
    /// Whether it reads images.
    pub vision: bool,
    /// Whether it reasons.
    pub reasoning: bool,
    /// Its price.
    pub price: Option<Price>,
}

impl ExportModel {
    /// What holds for a public model whichever of a token's routes serves it: the smallest known window and answer, an
    /// ability only if every route has it, the highest price.
    pub fn of(model: &PublicModel, token: &Token) -> Self {
        let routes: Vec<&Route> =
            model.routes.iter().filter(|route| token.allows_groups(&route.channel.channel.groups)).collect();
        let every = |able: fn(&Route) -> Option<bool>| {
            !routes.is_empty() && routes.iter().all(|route| able(route) == Some(true))
        };
        Self {
            id: model.name.clone(),
            name: model.name.clone(),
            context_window: routes.iter().filter_map(|route| route.model.context_window).min(),
            max_output: routes.iter().filter_map(|route| route.model.max_output).min(),
            vision: every(|route| route.model.vision),
            reasoning: every(|route| route.model.reasoning),
            price: routes
                .iter()
                .filter_map(|route| route.model.price)
                .max_by_key(|price| price.input.saturating_add(price.output)),
        }
    }
}

/// Makes the configuration: plain JSON, which is also JSON5.
pub fn export(input: &ExportInput) -> Value {
    let reference = |id: &str| format!("{}/{id}", input.provider_id);
    let api_key = match input.key {
        // OpenClaw reads `${NAME}` as a variable; `$${` stands for the text itself.
        ApiKey::Literal(value) => value.replace("${", "$${"),
        ApiKey::Environment(name) => format!("${{{name}}}"),
    };
    let provider = json!({
        "baseUrl": input.base_url,
        "apiKey": api_key,
        "api": "openai-completions",
        // Lets the usage log tell OpenClaw from other clients of the same library.
        "headers": { "X-Client": "openclaw" },
        "models": input.models.iter().map(model_entry).collect::<Vec<_>>(),
    });
    let mut root = Map::new();
    root.insert("models".into(), json!({ "mode": "merge", "providers": { input.provider_id: provider } }));
    if let Some(primary) = input.primary {
        let fallbacks: Vec<String> = input.fallbacks.iter().map(|id| reference(id)).collect();
        root.insert(
            "agents".into(),
            json!({ "defaults": { "model": { "primary": reference(primary), "fallbacks": fallbacks } } }),
        );
    }
    Value::Object(root)
}

/// The configuration of a token: the models named in `chosen`, in that order, or all that the token may use if it is
/// empty. Models that the token may not use are left out. The first model is the primary one, the next
/// [`MAX_FALLBACKS`] are its fallbacks.
pub fn for_token(catalog: &Catalog, token: &Token, base_url: &str, key: ApiKey, chosen: &[String]) -> Value {
    let models = models_of(catalog, token, chosen);
    let ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
    export(&ExportInput {
        provider_id: PROVIDER_ID,
        base_url,
        key,
        models,
        primary: ids.first().map(String::as_str),
        fallbacks: ids.iter().skip(1).take(MAX_FALLBACKS).map(String::as_str).collect(),
    })
}

fn models_of(catalog: &Catalog, token: &Token, chosen: &[String]) -> Vec<ExportModel> {
    let allowed: Vec<&PublicModel> = catalog.models_for(token).collect();
    if chosen.is_empty() {
        return allowed.into_iter().map(|model| ExportModel::of(model, token)).collect();
    }
    let mut models: Vec<ExportModel> = Vec::new();
    for name in chosen {
        let name = name.to_lowercase();
        let found = allowed.iter().find(|model| model.name.to_lowercase() == name);
        if let Some(model) = found
            && !models.iter().any(|known| known.id == model.name)
        {
            models.push(ExportModel::of(model, token));
        }
    }
    models
}

fn model_entry(model: &ExportModel) -> Value {
    let input: &[&str] = if model.vision { &["text", "image"] } else { &["text"] };
    let mut entry = Map::new();
    entry.insert("id".into(), model.id.as_str().into());
    entry.insert("name".into(), model.name.as_str().into());
    entry.insert("reasoning".into(), model.reasoning.into());
    entry.insert("input".into(), json!(input));
    if let Some(price) = model.price {
        entry.insert(
            "cost".into(),
            json!({
                "input": dollars(price.input),
                "output": dollars(price.output),
                "cacheRead": dollars(price.cached.unwrap_or(price.input)),
                "cacheWrite": dollars(price.input),
            }),
        );
    }
    if let Some(window) = model.context_window {
        entry.insert("contextWindow".into(), window.into());
    }
    if let Some(max) = model.max_output {
        entry.insert("maxTokens".into(), max.into());
    }
    entry.insert(
        "compat".into(),
        json!({
            "supportsStore": false,
            "supportsDeveloperRole": false,
            "supportsReasoningEffort": false,
            // Without it OpenClaw asks for no usage, shows no cost and cannot see a context overflow coming.
            "supportsUsageInStreaming": true,
            "maxTokensField": "max_tokens",
        }),
    );
    Value::Object(entry)
}

/// Micro-dollars as dollars. The nearest double of a decimal with at most 15 digits prints as that decimal.
fn dollars(micros: i64) -> Number {
    if micros % 1_000_000 == 0 {
        return (micros / 1_000_000).into();
    }
    Number::from_f64(micros as f64 / 1e6).unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        channel::{Channel, ChannelModel, Protocol},
        id::{ChannelId, TokenId},
        settings::RuntimeSettings,
        time::UnixMs,
        token::ClientProfile,
    };

    fn channel(id: i64, group: &str, models: Vec<ChannelModel>) -> Channel {
        Channel {
            id: ChannelId(id),
            name: format!("channel {id}"),
            base_url: "https://upstream.example".into(),
            protocol: Protocol::OpenAi,
            provider: "generic".into(),
            plan: None,
            priority: 0,
            weight: 1,
            groups: vec![group.into()],
            headers: Vec::new(),
            proxy: None,
            timeouts: Default::default(),
            allow_private: false,
            note: String::new(),
            enabled: true,
            endpoints: Default::default(),
            models,
            redirects: Vec::new(),
            limits: Vec::new(),
        }
    }

    fn token(models: &[&str], groups: &[&str]) -> Token {
        Token {
            id: TokenId(1),
            name: "t".into(),
            last4: "abcd".into(),
            models: models.iter().map(ToString::to_string).collect(),
            groups: groups.iter().map(ToString::to_string).collect(),
            cidrs: Vec::new(),
            expires_at: None,
            quota: None,
            requests_per_minute: None,
            weight: 1,
            profile: ClientProfile::OpenClaw,
            note: String::new(),
            enabled: true,
            created_at: UnixMs(0),
        }
    }

    fn catalog(channels: Vec<Channel>) -> Catalog {
        let settings = RuntimeSettings::sample();
        let channels = channels.into_iter().map(|channel| (channel, Vec::new())).collect();
        Catalog::new(settings, jiff::tz::TimeZone::UTC, channels, Vec::new(), Vec::new())
    }

    fn model(name: &str) -> ChannelModel {
        ChannelModel { name: name.into(), ..Default::default() }
    }

    #[test]
    fn an_export_has_only_keys_that_openclaw_knows() {
        let known = ChannelModel {
            context_window: Some(131_072),
            max_output: Some(8192),
            vision: Some(true),
            reasoning: Some(false),
            price: Some(Price { input: 150_000, cached: Some(75_000), output: 3_000_000 }),
            ..model("org/big:free")
        };
        let catalog = catalog(vec![channel(1, "a", vec![known, model("plain")])]);
        let value = for_token(
            &catalog,
            &token(&[], &[]),
            "https://pool.example/v1",
            ApiKey::Environment(KEY_VARIABLE),
            &[],
        );
        let compat = json!({
            "supportsStore": false, "supportsDeveloperRole": false, "supportsReasoningEffort": false,
            "supportsUsageInStreaming": true, "maxTokensField": "max_tokens",
        });
        assert_eq!(
            value,
            json!({
                "models": { "mode": "merge", "providers": { "onepool": {
                    "baseUrl": "https://pool.example/v1",
                    "apiKey": "${ONEPOOL_API_KEY}",
                    "api": "openai-completions",
                    "headers": { "X-Client": "openclaw" },
                    "models": [
                        { "id": "org/big:free", "name": "org/big:free", "reasoning": false, "input": ["text", "image"],
                          "cost": { "input": 0.15, "output": 3, "cacheRead": 0.075, "cacheWrite": 0.15 },
                          "contextWindow": 131072, "maxTokens": 8192, "compat": compat },
                        { "id": "plain", "name": "plain", "reasoning": false, "input": ["text"], "compat": compat },
                    ],
                } } },
                "agents": { "defaults": { "model": {
                    "primary": "onepool/org/big:free", "fallbacks": ["onepool/plain"],
                } } },
            })
        );
    }

    #[test]
    fn the_chosen_order_decides_primary_and_fallbacks_and_the_token_decides_what_may_be_chosen() {
        let catalog = catalog(vec![channel(1, "a", vec![model("one"), model("Two"), model("secret")])]);
        let chosen = ["two", "secret", "ONE", "two"].map(String::from);
        let value = for_token(
            &catalog,
            &token(&["one", "two"], &[]),
            "http://h/v1",
            ApiKey::Literal("sk-x"),
            &chosen,
        );
        assert_eq!(
            value["agents"]["defaults"]["model"],
            json!({ "primary": "onepool/Two", "fallbacks": ["onepool/one"] })
        );
        assert_eq!(value["models"]["providers"]["onepool"]["models"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_model_with_several_routes_promises_only_what_each_of_the_tokens_routes_holds() {
        let small = ChannelModel { context_window: Some(8_000), vision: Some(true), ..model("m") };
        let large = ChannelModel { context_window: Some(128_000), vision: None, ..model("m") };
        let catalog = catalog(vec![channel(1, "free", vec![small]), channel(2, "paid", vec![large])]);
        let public = catalog.model("m").unwrap();
        let both = ExportModel::of(public, &token(&[], &[]));
        assert_eq!((both.context_window, both.vision), (Some(8_000), false));
        let free = ExportModel::of(public, &token(&[], &["free"]));
        assert_eq!((free.context_window, free.vision), (Some(8_000), true));
        assert_eq!(ExportModel::of(public, &token(&[], &["paid"])).context_window, Some(128_000));
    }

    #[test]
    fn without_models_openclaws_present_choice_is_left_alone() {
        let value =
            for_token(&catalog(Vec::new()), &token(&[], &[]), "http://h/v1", ApiKey::Literal("sk-x"), &[]);
        assert!(value.get("agents").is_none());
        assert_eq!(value["models"]["providers"]["onepool"]["models"], json!([]));
    }

    #[test]
    fn a_price_is_an_exact_decimal_and_a_literal_key_is_never_read_as_a_variable() {
        for (micros, text) in
            [(0, "0"), (1, "1e-6"), (150_000, "0.15"), (2_500_000, "2.5"), (123_456_789, "123.456789")]
        {
            assert_eq!(dollars(micros).to_string(), text);
        }
        let value = for_token(
            &catalog(Vec::new()),
            &token(&[], &[]),
            "http://h/v1",
            ApiKey::Literal("sk-${HOME}"),
            &[],
        );
        assert_eq!(value["models"]["providers"]["onepool"]["apiKey"], "sk-$${HOME}");
    }
}
