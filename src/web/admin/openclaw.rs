//! The OpenClaw page: choose a token and its models, get `openclaw.json` and the command that applies it.
//!
//! The form is a GET: the choice stands in the URL, and works without a script. The models are sent in the order in
//! which the page lists them, so the order is the choice of primary and fallbacks. `GET /openclaw.json5?model=...`
//! answers the command.

use std::{collections::HashSet, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};

use super::{
    tokens::reveal_purpose,
    visit::{Chrome, Operator, Section, render, see_other},
};
use crate::{
    error::Result,
    export::openclaw::{ApiKey, KEY_VARIABLE, MAX_FALLBACKS, PROVIDER_ID, for_token},
    model::{
        catalog::Catalog,
        id::TokenId,
        token::{ClientProfile, Token},
    },
    web::{Site, form::Fields, public_url::PublicUrl},
};

/// `/openclaw`.
pub fn router() -> Router<Site> {
    Router::new().route("/openclaw", get(show))
}

#[derive(Template)]
#[template(path = "pages/openclaw.html")]
struct OpenClawPage {
    c: Chrome,
    tokens: Vec<(String, String)>,
    token: Option<TokenId>,
    generic_profile: bool,
    models: Vec<ModelChoice>,
    literal: bool,
    guessed: bool,
    file: String,
    variable: String,
    apply: String,
    onboard: String,
    trap: String,
    max_fallbacks: usize,
}

struct ModelChoice {
    name: String,
    ticked: bool,
    first: bool,
}

async fn show(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let query = query.unwrap_or_default();
    let fields = Fields::parse(query.as_bytes());
    let catalog = site.catalog.load();
    let url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https);
    let mut tokens: Vec<&Arc<Token>> = catalog.tokens().collect();
    tokens.sort_by_key(|token| token.name.to_lowercase());
    let asked = fields.text("token").parse().ok().and_then(|id| catalog.token(id));
    let openclaw = || tokens.iter().copied().find(|token| token.profile == ClientProfile::OpenClaw);
    let token = asked.or_else(openclaw).or(tokens.first().copied()).cloned();
    let mut page = OpenClawPage {
        c: operator.chrome(Section::OpenClaw),
        tokens: tokens.iter().map(|token| (token.id.to_string(), token.name.clone())).collect(),
        token: token.as_ref().map(|token| token.id),
        generic_profile: token.as_ref().is_some_and(|token| token.profile == ClientProfile::Generic),
        models: Vec::new(),
        literal: fields.text("key") == "literal",
        guessed: url.guessed,
        file: String::new(),
        variable: format!("export {KEY_VARIABLE}=sk-…"),
        apply: String::new(),
        onboard: String::new(),
        trap: format!("\"{PROVIDER_ID}/*\": {{}}"),
        max_fallbacks: MAX_FALLBACKS,
    };
    let Some(token) = token else { return render(&page) };

    let chosen = chosen_models(&fields, &catalog, &token);
    page.models = choices(&catalog, &token, &chosen);
    let mut key = None;
    if page.literal {
        if !site.admin.grants.allowed(operator.session, &reveal_purpose(token.id), site.clock.now()) {
            let next: String =
                form_urlencoded::byte_serialize(format!("/openclaw?{query}").as_bytes()).collect();
            return Ok(see_other(&format!("/tokens/{}/value?next={next}", token.id)));
        }
        key = Some(site.db.reveal_token(token.id).await?);
    }
    let api_key = match &key {
        Some(key) => ApiKey::Literal(key.expose()),
        None => ApiKey::Environment(KEY_VARIABLE),
    };
    if let Some(key) = &key {
        page.variable = format!("export {KEY_VARIABLE}={}", shell_quoted(key.expose()));
    }
    page.file = pretty(&for_token(&catalog, &token, &url.base_url(), api_key, &chosen));
    // Without a choice of its own the command gives what the token may use at the time when it runs.
    let all = fields.all("model").next().is_none();
    page.apply = apply_command(&url.url, if all { &[] } else { &chosen });
    if let Some(primary) = chosen.first() {
        page.onboard = onboard_command(&url.base_url(), primary);
    }
    render(&page)
}

/// The ticked models that the token may use, in their order, after the button "up"; all if none is ticked.
fn chosen_models(fields: &Fields, catalog: &Catalog, token: &Token) -> Vec<String> {
    let allowed: Vec<&str> = catalog.models_for(token).map(|model| model.name.as_str()).collect();
    let known: HashSet<&str> = allowed.iter().copied().collect();
    let mut seen = HashSet::new();
    let mut chosen: Vec<String> = fields
        .all("model")
        .filter(|name| known.contains(name) && seen.insert((*name).to_owned()))
        .map(str::to_owned)
        .collect();
    if chosen.is_empty() {
        chosen = allowed.into_iter().map(str::to_owned).collect();
    }
    let raised = fields.text("up");
    if let Some(position) = chosen.iter().position(|name| name == raised)
        && position > 0
    {
        chosen.swap(position, position - 1);
    }
    chosen
}

/// The ticked models in their order, then the others.
fn choices(catalog: &Catalog, token: &Token, chosen: &[String]) -> Vec<ModelChoice> {
    let ticked: HashSet<&str> = chosen.iter().map(String::as_str).collect();
    let others =
        catalog.models_for(token).map(|model| &model.name).filter(|name| !ticked.contains(name.as_str()));
    let ticked = chosen.iter().map(|name| (name, true));
    ticked
        .chain(others.map(|name| (name, false)))
        .enumerate()
        .map(|(position, (name, ticked))| ModelChoice { name: name.clone(), ticked, first: position == 0 })
        .collect()
}

/// The command that fetches a token's configuration and merges it into OpenClaw's file. It reads the token from
/// `ONEPOOL_API_KEY`. An empty choice stands for all models.
pub fn apply_command(public_url: &str, models: &[String]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(models.iter().map(|model| ("model", model)));
    let query = query.finish();
    let separator = if query.is_empty() { "" } else { "?" };
    format!(
        "curl -fsS -H \"Authorization: Bearer ${KEY_VARIABLE}\" {} \\\n  | openclaw config patch --stdin \
         --replace-path models.providers.{PROVIDER_ID}.models",
        shell_quoted(&format!("{public_url}/openclaw.json5{separator}{query}")),
    )
}

fn onboard_command(base_url: &str, model: &str) -> String {
    format!(
        "openclaw onboard --non-interactive --accept-risk --auth-choice custom-api-key \\\n  \
         --custom-base-url {} --custom-api-key \"${KEY_VARIABLE}\" \\\n  \
         --custom-model-id {} --custom-provider-id {PROVIDER_ID} --custom-compatibility openai \\\n  \
         --skip-daemon --skip-health --skip-channels --skip-skills --skip-search --skip-ui",
        shell_quoted(base_url),
        shell_quoted(model),
    )
}

/// A word of a POSIX shell; quoted only if it has to be.
pub fn shell_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// JSON for people.
pub fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_the_chosen_models_in_their_order() {
        assert_eq!(
            apply_command("https://pool.example", &[]),
            "curl -fsS -H \"Authorization: Bearer $ONEPOOL_API_KEY\" https://pool.example/openclaw.json5 \\\n  | openclaw \
             config patch --stdin --replace-path models.providers.onepool.models"
        );
        let command = apply_command("http://h", &["org/b:free".into(), "a b".into()]);
        assert!(command.contains("'http://h/openclaw.json5?model=org%2Fb%3Afree&model=a+b'"), "{command}");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_as_it_is() {
        assert_eq!(shell_quoted("https://h/v1"), "https://h/v1");
        assert_eq!(shell_quoted("a'b$(id)"), r"'a'\''b$(id)'");
        assert_eq!(shell_quoted(""), "''");
    }
}
