//! What OpenClaw's bundled provider `clawrouter` asks a server for: the models of its key, with prices, and what is left of
//! its budget (<https://docs.openclaw.ai/providers/clawrouter>). Other clients may ask as well.

use axum::{
    Json, Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};

use super::{auth, into_response, models, request_id};
use crate::{
    error::Error,
    model::{
        catalog::PublicModel,
        channel::Price,
        endpoint::Endpoint,
        time::UnixMs,
        token::{ClientProfile, QuotaReset, QuotaUnit, Token},
    },
    relay::error_answer,
    storage::usage_query::counts::TokenSums,
    web::Site,
};

/// The provider that all models belong to.
const PROVIDER: &str = "onepool";

/// Where the provider's own protocols are served, for models that speak no other: `NATIVE/v1/messages`.
const NATIVE: &str = "/v1/native/onepool";

/// The largest answer that is asked for where none is known. The client would ask for 32,768 tokens, which many models refuse.
const USUAL_MAX_OUTPUT: u32 = 8192;

/// Adds the endpoints to a router.
pub(super) fn add(mut router: Router<Site>) -> Router<Site> {
    for path in ["/v1/catalog", "/v1/catalog/"] {
        router = router.route(path, get(catalog));
    }
    for path in ["/v1/usage", "/v1/usage/"] {
        router = router.route(path, get(usage));
    }
    router.route(
        &format!("{NATIVE}/v1/messages"),
        axum::routing::post(async |State(site): State<Site>, request: Request| {
            super::relay(Endpoint::Messages, &site, request).await
        }),
    )
}

/// `GET /v1/catalog`.
async fn catalog(State(site): State<Site>, request: Request) -> Response {
    models::answer(&site, request, |site, token| {
        let catalog = site.catalog.load();
        let models: Vec<Value> =
            catalog.models_for(token).filter_map(|model| describe(site, model, token)).collect();
        Ok(json!({ "providers": [{
            "id": PROVIDER,
            "displayName": "OnePool",
            "openaiCompatible": true,
            "nativeBaseUrl": NATIVE,
            "routes": [{ "path": "/v1/messages", "requestFormat": "anthropic.messages", "methods": ["POST"] }],
            "models": models,
        }] }))
    })
}

/// A model that answers with text, as the client reads it.
fn describe(site: &Site, model: &PublicModel, token: &Token) -> Option<Value> {
    let served = site.relay.served(model, token).endpoints;
    // The client prefers responses, which fewer upstreams serve, so only the best one is named.
    let capability = [
        (Endpoint::Chat, "llm.chat"),
        (Endpoint::Responses, "llm.responses"),
        (Endpoint::Messages, "llm.messages"),
    ]
    .into_iter()
    .find_map(|(endpoint, capability)| served.contains(&endpoint).then_some(capability))?;
    let offer = model.offer(token);
    let mut pricing = offer.price.map(prices).unwrap_or_default();
    if let Some(window) = offer.context_window {
        pricing.insert("maxInputTokens".into(), window.into());
    }
    let most =
        offer.max_output.unwrap_or_else(|| offer.context_window.unwrap_or(u32::MAX).min(USUAL_MAX_OUTPUT));
    pricing.insert("defaultMaxOutputTokens".into(), most.into());
    Some(json!({
        "id": model.name,
        "displayName": model.name,
        // The name there is nobody's business but ours.
        "upstream": model.name,
        "capabilities": [capability],
        "pricing": pricing,
    }))
}

/// Prices in micro-dollars per million tokens.
fn prices(price: Price) -> Map<String, Value> {
    let fields = [
        ("inputMicrosPerMillion", price.input),
        ("outputMicrosPerMillion", price.output),
        ("cachedInputMicrosPerMillion", price.cached.unwrap_or(price.input)),
        ("cacheWrite5mInputMicrosPerMillion", price.input),
    ];
    fields.into_iter().map(|(name, micros)| (name.to_owned(), micros.into())).collect()
}

/// `GET /v1/usage`.
async fn usage(State(site): State<Site>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let now = site.clock.now();
    let token = match auth::token(&parts, &site.catalog.load(), now) {
        Ok(token) => token,
        Err(refused) => {
            let told = refused.ending.told(ClientProfile::Generic);
            return into_response(error_answer(&told, None, request_id(&parts.extensions)));
        }
    };
    match used(&site, &token, now).await {
        Ok(value) => Json(value).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn used(site: &Site, token: &Token, now: UnixMs) -> Result<Value, Error> {
    let zone = &site.catalog.load().zone;
    let mut budget = json!({ "configured": false });
    if let Some(quota) = token.quota.filter(|quota| quota.unit == QuotaUnit::Dollars) {
        let start = quota.reset.period_start(now, zone);
        let spent = site.db.spent(token.id, quota.unit, start).await?;
        budget = json!({
            "configured": true,
            "limitMicros": quota.limit,
            "spentMicros": spent,
            "windowKey": window_key(quota.reset, start, zone),
        });
    }
    let month = QuotaReset::Month.period_start(now, zone);
    let TokenSums { requests, tokens, cost_micros } = site.db.token_sums(token.id, month).await?;
    Ok(json!({
        "budget": budget,
        "usage": { "summary": {
            "requestCount": requests,
            "totalTokens": tokens,
            "actualCostMicros": cost_micros,
        } },
    }))
}

/// What the present period of a quota is called. The client knows months and reads the day of the reset from `/YYYY-MM`; what
/// other periods are called must not look like one.
fn window_key(reset: QuotaReset, start: UnixMs, zone: &jiff::tz::TimeZone) -> String {
    let start = start.zoned(zone);
    match reset {
        QuotaReset::Never => "all".into(),
        QuotaReset::Hour => format!("hour/{}", start.strftime("%Y-%m-%dT%H")),
        QuotaReset::Day => format!("day/{}", start.strftime("%Y-%m-%d")),
        QuotaReset::Week => format!("week/{}", start.strftime("%G-W%V")),
        QuotaReset::Month => format!("month/{}", start.strftime("%Y-%m")),
    }
}
