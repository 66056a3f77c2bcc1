//! Tokens: their list, one of them, its value, and what it has spent.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{
        Asked, Body, BodyPart, BodyShape, Created, Endpoint, Gone, Patch, Query, Schemas, Shown, add_schema,
        reference,
    },
    input,
    refusal::{Refusal, Result},
    shapes::{At, Ended, NamedPageQuery, amount},
};
use crate::{
    error::Error,
    model::{
        budget::Owner,
        capture::LENGTH,
        id::TokenId,
        secret::Secret,
        token::{ClientProfile, Token},
    },
    pool::input::{Decimal, Faults, PlainSecret, QuotaInput, TokenInput},
    storage::{
        StorageError,
        token_clients::{RecentModel, TokenClient},
        tokens::{NewToken, PreviousValue, TokenRow, ValueProblem, check_value, new_value},
    },
    web::{
        Site,
        admin::tokens::{erase_captured, new_token},
    },
};

/// The longest grace time: 30 days.
const MAX_GRACE_MS: i64 = 30 * 24 * 3600 * 1000;

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    let example = json!({
        "name": "laptop", "models": ["gpt-*", "llama-3.3-70b-versatile"], "requests_per_minute": 60,
        "quota": {"unit": "dollars", "limit": 5, "reset": "month"},
    });
    vec![
        Endpoint::new(Method::GET, "/api/tokens", "List tokens", list),
        Endpoint::new(Method::POST, "/api/tokens", "Make a token", create)
            .about("The answer holds its value. Without a `value` of your own a random one is made.")
            .example(example.clone())
            .fails(StatusCode::CONFLICT, "The name or the value is taken."),
        Endpoint::new(Method::GET, "/api/tokens/{id}", "Show a token", show),
        Endpoint::new(Method::PUT, "/api/tokens/{id}", "Replace a token's settings", replace)
            .about("Its value stays.")
            .example(example)
            .fails(StatusCode::CONFLICT, "The name is taken."),
        Endpoint::new(Method::PATCH, "/api/tokens/{id}", "Change a token, switch it on or off", change)
            .example(json!({"enabled": false, "expires_at": "2030-01-01T00:00:00Z", "quota": null}))
            .fails(StatusCode::CONFLICT, "The name is taken."),
        Endpoint::new(Method::DELETE, "/api/tokens/{id}", "Delete a token", delete)
            .about("It is refused from then on. Its value is erased; its name stays for the usage log."),
        Endpoint::new(Method::POST, "/api/tokens/{id}/reveal", "Show a token's value", reveal).about(
            "Needs no password: an access token may replace a token's value, so it may read it as well. Upstream keys are \
             never readable.",
        ),
        Endpoint::new(Method::POST, "/api/tokens/{id}/replace-value", "Replace a token's value", replace_value)
            .about("The answer holds the new value. The old one goes on working for the grace time.")
            .example(json!({"grace_ms": 86_400_000}))
            .fails(StatusCode::CONFLICT, "The value is taken."),
        Endpoint::new(Method::POST, "/api/tokens/{id}/revoke-previous", "End replaced values at once", revoke_previous),
        Endpoint::new(Method::POST, "/api/tokens/{id}/reset-quota", "Start a token's quota anew", reset_quota),
        Endpoint::new(Method::GET, "/api/tokens/{id}/capture", "Show a token's capture", show_capture),
        Endpoint::new(Method::PUT, "/api/tokens/{id}/capture", "Capture a token's requests and answers", start_capture)
            .about(
                "For 15 minutes to 24 hours. Every page of the admin says so meanwhile. What was captured is shown on the pages \
                 of calls, not by this API, and erases itself 6 hours after the end.",
            )
            .example(json!({"minutes": 60}))
            .fails(StatusCode::CONFLICT, "Another token's calls are being captured."),
        Endpoint::new(Method::POST, "/api/tokens/{id}/capture/stop", "Stop a token's capture", stop_capture)
            .about("What was captured stays for 6 hours."),
        Endpoint::new(Method::DELETE, "/api/tokens/{id}/capture", "Stop and erase a token's capture", erase_capture),
    ]
}

/// A token as answers show it: everything but its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    id: i64,
    /// Its name.
    name: String,
    /// The last four characters of its value.
    last4: String,
    /// Models that it may ask for: names, or beginnings written `prefix*`. Empty means all.
    models: Vec<String>,
    /// Channel groups that it may use. Empty means all.
    groups: Vec<String>,
    /// Addresses or networks that it may come from. Empty means all.
    cidrs: Vec<String>,
    /// When it ends; null means never.
    expires_at: Option<At>,
    /// How much it may spend; null means as much as it likes.
    quota: Option<QuotaInput>,
    /// What it has spent in the present period of its quota, in the quota's unit.
    spent: Option<Decimal>,
    /// When the quota starts anew; null means never by itself.
    quota_resets_at: Option<At>,
    /// How many requests it may make in any 60 seconds.
    requests_per_minute: Option<u32>,
    /// Its share when calls of several tokens wait for the same keys: twice the weight, twice the calls.
    weight: u32,
    /// How its client reads errors.
    profile: ClientProfile,
    /// A note.
    note: String,
    /// Off means: refused.
    enabled: bool,
    /// Whether it works now: on, not past its end, and with quota left.
    usable: bool,
    /// When it was made.
    created_at: At,
    /// When it was last used, as far as the usage log reaches.
    last_used_at: Option<At>,
}

impl TokenView {
    fn of(row: &TokenRow, site: &Site) -> Self {
        let now = site.clock.now();
        let token = &row.token;
        let input = TokenInput::of(token);
        let ended = token.expires_at.is_some_and(|end| end <= now);
        let used_up = token.quota.is_some_and(|quota| quota.stops() && row.spent >= quota.limit);
        let zone = &site.catalog.load().zone;
        Self {
            id: token.id.0,
            name: input.name,
            last4: token.last4.clone(),
            models: input.models,
            groups: input.groups,
            cidrs: input.cidrs,
            expires_at: token.expires_at.map(At),
            quota: input.quota,
            spent: token.quota.map(|quota| amount(quota.unit, row.spent)),
            quota_resets_at: token.quota.and_then(|quota| quota.reset.period_end(now, zone)).map(At),
            requests_per_minute: token.requests_per_minute,
            weight: token.weight,
            profile: token.profile,
            note: input.note,
            enabled: token.enabled,
            usable: token.enabled && !ended && !used_up,
            created_at: token.created_at.into(),
            last_used_at: row.last_used_at.map(At),
        }
    }
}

/// A page of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    /// The tokens, by id.
    items: Vec<TokenView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

/// A token with the replaced values that still work, and who used it for what.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenDetails {
    /// The token.
    token: TokenView,
    /// Replaced values that still work, the one that ends last first.
    previous_values: Vec<PreviousView>,
    /// The programs that used it, the last one first; at most 8 are known.
    clients: Vec<ClientView>,
    /// The models of its last 1000 calls, the one asked for last first; at most 10.
    recent_models: Vec<RecentModelView>,
}

/// A program that used a token.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientView {
    /// What kind of client it is, as in the usage log.
    kind: String,
    /// Its version, or the name and version of the library that it calls with; null if it tells neither.
    version: Option<String>,
    /// When its last call arrived.
    last_seen_at: At,
}

/// A model that a token asked for lately.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecentModelView {
    /// The model as asked.
    model: String,
    /// How many of the last 1000 calls asked for it.
    calls: u32,
    /// When the last of them arrived.
    last_used_at: At,
}

/// A replaced value that still works.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviousView {
    /// Its last four characters.
    last4: String,
    /// When it was made.
    created_at: At,
    /// When it ends.
    valid_until: At,
}

/// A token and its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenWithValue {
    /// The token.
    token: TokenView,
    /// What its client presents. Keep it secret.
    value: String,
}

/// A token to make: its settings, and perhaps a value that clients have already.
pub struct NewTokenInput {
    token: TokenInput,
    value: Option<PlainSecret>,
}

/// The field that a token to be made has beside a token's settings.
#[derive(Deserialize)]
struct ValueOnly {
    value: Option<PlainSecret>,
}

impl BodyPart for NewTokenInput {
    fn shape(schemas: &mut Schemas) -> Option<BodyShape> {
        let of = add_schema::<TokenInput>(schemas);
        let mut schema = schemas.get(&of).cloned().unwrap_or_default();
        schema["description"] = "A token to make.".into();
        schema["properties"]["value"] = json!({
            "type": ["string", "null"],
            "description": "What its client presents, if it is to be taken over from elsewhere: 32 to 128 visible ASCII \
                            characters. Left out: a random one.",
        });
        schemas.insert("NewToken".into(), schema);
        Some(BodyShape { schema: reference("NewToken"), required: true, media_type: "application/json" })
    }

    fn read(mut value: Value) -> Result<Self, Faults> {
        let own = value.as_object_mut().and_then(|object| object.shift_remove("value"));
        let given = input::read::<ValueOnly>(json!({"value": own}));
        match (input::read(value), given) {
            (Ok(token), Ok(ValueOnly { value })) => Ok(Self { token, value }),
            (token, given) => {
                let faults = [token.err(), given.err()].into_iter().flatten().flat_map(|faults| faults.0);
                Err(Faults(faults.collect()))
            }
        }
    }
}

async fn find(site: &Site, id: TokenId) -> Result<TokenRow> {
    let zone = &site.catalog.load().zone;
    Ok(site.db.find_token_row(id, site.clock.now(), zone).await?.ok_or(Error::NotFound)?)
}

async fn view(site: &Site, id: TokenId) -> Result<TokenView> {
    Ok(TokenView::of(&find(site, id).await?, site))
}

async fn list(asked: Asked<(), Query<NamedPageQuery>>) -> Result<Shown<TokenList>> {
    let site = &asked.site;
    let mut rows = site.db.token_rows(site.clock.now(), &site.catalog.load().zone).await?;
    rows.retain(|row| asked.query.0.wants(&row.token.name));
    rows.sort_by_key(|row| row.token.id);
    let (rows, next) = asked.query.0.page()?.cut(rows, |row| row.token.id.0)?;
    Ok(Shown(TokenList { items: rows.iter().map(|row| TokenView::of(row, site)).collect(), next }))
}

async fn show(asked: Asked<TokenId>) -> Result<Shown<TokenDetails>> {
    let token = view(&asked.site, asked.path).await?;
    let previous = |value: PreviousValue| PreviousView {
        last4: value.last4,
        created_at: value.created_at.into(),
        valid_until: value.valid_until.into(),
    };
    let previous_values =
        asked.site.db.previous_values(asked.path).await?.into_iter().map(previous).collect();
    let client = |client: TokenClient| ClientView {
        kind: client.kind,
        version: client.version,
        last_seen_at: client.last_at.into(),
    };
    let clients = asked.site.db.token_clients(asked.path).await?.into_iter().map(client).collect();
    let recent = |recent: RecentModel| RecentModelView {
        model: recent.model,
        calls: recent.calls,
        last_used_at: recent.last_at.into(),
    };
    let recent_models = asked.site.db.recent_models(asked.path).await?.into_iter().map(recent).collect();
    Ok(Shown(TokenDetails { token, previous_values, clients, recent_models }))
}

async fn create(asked: Asked<(), (), NewTokenInput>) -> Result<Created<TokenWithValue>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let mut faults = Faults::default();
    let value = match &asked.body.value {
        None => new_value(),
        Some(value) => {
            match check_value(value.expose()) {
                Ok(()) => {}
                Err(ValueProblem::Length) => faults.add("value", t.token_form.value_length()),
                Err(ValueProblem::Characters) => faults.add("value", t.token_form.value_characters()),
            }
            value.0.clone()
        }
    };
    let token = match asked.body.token.check(None, site.clock.now(), t) {
        Ok(token) => faults.or(token)?,
        Err(more) => return Err(Faults(more.0.into_iter().chain(faults.0).collect()).into()),
    };
    let new: NewToken = new_token(token, value.clone());
    let id = match site.db.create_token(&new).await {
        Err(StorageError::Taken("value")) => {
            return Err(Refusal::taken("value", t.token_form.value_taken()));
        }
        other => other?,
    };
    site.catalog.reload().await?;
    Ok(Created(format!("/api/tokens/{id}"), with_value(site, id, &value).await?))
}

async fn with_value(site: &Site, id: TokenId, value: &Secret) -> Result<TokenWithValue> {
    Ok(TokenWithValue { token: view(site, id).await?, value: value.expose().to_owned() })
}

async fn replace(asked: Asked<TokenId, (), Body<TokenInput>>) -> Result<Shown<TokenView>> {
    let _changing = changing(&asked.site).await?;
    let known = find(&asked.site, asked.path).await?.token;
    save(&asked.site, &known, asked.body.0.check(Some(&known), asked.site.clock.now(), asked.caller.t())?)
        .await
}

async fn change(asked: Asked<TokenId, (), Patch<TokenInput>>) -> Result<Shown<TokenView>> {
    let _changing = changing(&asked.site).await?;
    let known = find(&asked.site, asked.path).await?.token;
    let input = asked.body.apply(&TokenInput::of(&known))?;
    save(&asked.site, &known, input.check(Some(&known), asked.site.clock.now(), asked.caller.t())?).await
}

async fn save(site: &Site, known: &Token, new: Token) -> Result<Shown<TokenView>> {
    site.db.update_token(&new).await?;
    site.catalog.reload().await?;
    Ok(Shown(view(site, known.id).await?))
}

async fn delete(asked: Asked<TokenId>) -> Result<Gone> {
    asked.site.db.delete_token(asked.path).await?;
    asked.site.catalog.reload().await?;
    asked.site.captures.erase(asked.path).await.map_err(|error| Error::Internal(error.into()))?;
    Ok(Gone)
}

async fn reveal(asked: Asked<TokenId>) -> Result<Shown<TokenWithValue>> {
    let site = &asked.site;
    let token = view(site, asked.path).await?;
    let value = site.db.reveal_token(asked.path).await?;
    tracing::info!(
        account = asked.caller.user.name,
        token = token.id,
        "a token's value was shown to a script"
    );
    Ok(Shown(TokenWithValue { token, value: value.expose().to_owned() }))
}

/// How to replace a token's value.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceValueInput {
    /// For how long the old value goes on working, in milliseconds; by default it ends at once.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_592_000_000_i64, default = 0)]
    grace_ms: i64,
}

async fn replace_value(asked: Asked<TokenId, (), Body<ReplaceValueInput>>) -> Result<Shown<TokenWithValue>> {
    let site = &asked.site;
    let grace_ms = asked.body.0.grace_ms;
    if !(0..=MAX_GRACE_MS).contains(&grace_ms) {
        return Err(Refusal::at("grace_ms", asked.caller.t().common.field_out_of_range(0, MAX_GRACE_MS)));
    }
    let value = new_value();
    let grace = Duration::from_millis(grace_ms.unsigned_abs());
    site.db.rotate_token(asked.path, &value, grace).await?;
    site.catalog.reload().await?;
    Ok(Shown(with_value(site, asked.path, &value).await?))
}

async fn revoke_previous(asked: Asked<TokenId>) -> Result<Shown<Ended>> {
    let site = &asked.site;
    find(site, asked.path).await?;
    let ended = site.db.revoke_previous_values(asked.path).await?;
    site.catalog.reload().await?;
    Ok(Shown(Ended { ended }))
}

async fn reset_quota(asked: Asked<TokenId>) -> Result<Shown<TokenView>> {
    let site = &asked.site;
    find(site, asked.path).await?;
    if !site.begin_budget_anew(Owner::Token(asked.path)).await? {
        return Err(Refusal::new(StatusCode::CONFLICT, "no_quota", "The token has no quota."));
    }
    Ok(Shown(view(site, asked.path).await?))
}

/// For how long to capture.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureInput {
    /// How many minutes.
    #[schema(minimum = 15, maximum = 1440)]
    minutes: u32,
}

/// How the capture of a token stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaptureView {
    /// Whether calls that arrive now are captured.
    running: bool,
    /// When it began; null if there is none.
    started_at: Option<At>,
    /// When it ends, or ended.
    ends_at: Option<At>,
    /// When what was captured erases itself.
    erased_at: Option<At>,
    /// Who switched it on.
    started_by: Option<String>,
    /// Calls that are kept.
    calls: usize,
    /// The bytes that they take.
    bytes: u64,
}

async fn capture_view(site: &Site, id: TokenId) -> Result<Shown<CaptureView>> {
    find(site, id).await?;
    let captures = site.db.captures().await?;
    let capture = captures.into_iter().find(|capture| capture.token_id == id);
    let (calls, bytes) = if capture.is_some() { site.captures.size(id).await } else { (0, 0) };
    Ok(Shown(CaptureView {
        running: capture.as_ref().is_some_and(|capture| capture.runs(site.clock.now())),
        started_at: capture.as_ref().map(|capture| At(capture.started_at)),
        ends_at: capture.as_ref().map(|capture| At(capture.ends_at)),
        erased_at: capture.as_ref().map(|capture| At(capture.keep_until)),
        started_by: capture.map(|capture| capture.started_by),
        calls,
        bytes,
    }))
}

async fn show_capture(asked: Asked<TokenId>) -> Result<Shown<CaptureView>> {
    capture_view(&asked.site, asked.path).await
}

async fn start_capture(asked: Asked<TokenId, (), Body<CaptureInput>>) -> Result<Shown<CaptureView>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let minutes = asked.body.0.minutes;
    let length = Duration::from_secs(60) * minutes;
    if !LENGTH.contains(&length) {
        return Err(Refusal::at("minutes", t.common.field_out_of_range(15, 24 * 60)));
    }
    match site.db.start_capture(asked.path, length, &asked.caller.user.name).await {
        Err(StorageError::Taken(_)) => {
            return Err(Refusal::new(StatusCode::CONFLICT, "capture_running", t.capture.other_runs()));
        }
        other => other?,
    };
    site.catalog.reload().await?;
    tracing::info!(account = asked.caller.user.name, token = %asked.path, minutes, "a capture was started by a script");
    capture_view(site, asked.path).await
}

async fn stop_capture(asked: Asked<TokenId>) -> Result<Shown<CaptureView>> {
    find(&asked.site, asked.path).await?;
    asked.site.db.stop_capture(asked.path).await?;
    asked.site.catalog.reload().await?;
    capture_view(&asked.site, asked.path).await
}

async fn erase_capture(asked: Asked<TokenId>) -> Result<Gone> {
    find(&asked.site, asked.path).await?;
    erase_captured(&asked.site, asked.path).await?;
    Ok(Gone)
}
