//! A token's value with ready snippets, shown for a few minutes after it was made or the password was confirmed.

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};

use super::{edit::token_id, warnings};
use crate::{
    error::{Error, Result},
    export::openclaw::{ExportOptions, PROVIDER_ID, World, apply_command, replace_path, shell_quoted},
    model::{catalog::Catalog, id::TokenId, secret::Secret, token::Token},
    web::{
        Site,
        admin::{
            confirm::confirm_password,
            visit::{Chrome, Operator, Section, local_path, render, render_with, see_other},
        },
        exports::snippet,
        form::{FieldErrors, Fields},
        public_url::PublicUrl,
    },
};

/// `/tokens/{id}/value`.
pub(super) fn router() -> Router<Site> {
    Router::new().route("/tokens/{id}/value", get(show).post(confirm))
}

/// What a session must be granted to see a token's value.
pub fn reveal_purpose(id: TokenId) -> String {
    format!("token:{id}")
}

#[derive(Template)]
#[template(path = "pages/tokens/value.html")]
struct ValuePage {
    c: Chrome,
    id: TokenId,
    name: String,
    value: Secret,
    base_url: String,
    guessed: bool,
    has_model: bool,
    warnings: Vec<String>,
    snippets: Vec<Snippet>,
    openclaw: String,
    apply: String,
}

/// An example to paste.
pub struct Snippet {
    /// The element's id, for the copy button.
    pub id: &'static str,
    /// What it is for.
    pub title: &'static str,
    /// The example.
    pub text: String,
}

#[derive(Template)]
#[template(path = "pages/tokens/confirm.html")]
struct ConfirmPage {
    c: Chrome,
    id: TokenId,
    name: String,
    next: String,
    errors: FieldErrors,
}

async fn show(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let id = token_id(&id)?;
    let token = site.db.find_token(id).await?.ok_or(Error::NotFound)?;
    if !site.admin.grants.allowed(operator.session, &reveal_purpose(id), site.clock.now()) {
        let query = Fields::parse(query.unwrap_or_default().as_bytes());
        let next = Some(query.text("next")).filter(|next| !next.is_empty()).map(local_path);
        let page = ConfirmPage {
            c: operator.chrome(Section::Tokens),
            id,
            name: token.name,
            next: next.map_or_else(|| format!("/tokens/{id}/value"), str::to_owned),
            errors: FieldErrors::default(),
        };
        return render(&page);
    }
    let value = site.db.reveal_token(id).await?;
    let catalog = site.catalog.load();
    let url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https);
    let (providers, base_url) = (site.catalog.providers().load(), url.base_url());
    let shown = Some(value.expose());
    let world =
        World { catalog: &catalog, providers: &providers, token: &token, base_url: &base_url, value: shown };
    let openclaw = snippet(&world, operator.t());
    let model = first_model(&catalog, &token);
    render(&ValuePage {
        c: operator.chrome(Section::Tokens),
        id,
        base_url: url.base_url(),
        guessed: url.guessed,
        has_model: model.is_some(),
        warnings: warnings(&token, &catalog, &operator.t()),
        snippets: snippets(&url.base_url(), value.expose(), model.as_deref().unwrap_or("MODEL")),
        openclaw,
        apply: format!(
            "export ONEPOOL_API_KEY={}\n{}",
            shell_quoted(value.expose()),
            apply_command(&url.url, &ExportOptions::default(), &[replace_path(PROVIDER_ID)], false)
        ),
        name: token.name,
        value,
    })
}

async fn confirm(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let id = token_id(&id)?;
    let token = site.db.find_token(id).await?.ok_or(Error::NotFound)?;
    let next = local_path(fields.text("next")).to_owned();
    let t = operator.t();
    let mut errors = FieldErrors::default();
    if fields.raw("password").is_empty() {
        errors.add("password", t.common.field_required());
    } else if confirm_password(&site.admin, &site.db, &operator, fields.raw("password")).await? {
        site.admin.grants.allow(operator.session, &reveal_purpose(id), site.clock.now());
        return Ok(see_other(&next));
    } else {
        errors.add("password", t.tokens.wrong_password());
    }
    let page = ConfirmPage { c: operator.chrome(Section::Tokens), id, name: token.name, next, errors };
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn first_model(catalog: &Catalog, token: &Token) -> Option<String> {
    catalog.models_for(token).next().map(|model| model.name.clone())
}

/// Calls with a token's value and a model in them, ready to paste.
pub fn snippets(base_url: &str, value: &str, model: &str) -> Vec<Snippet> {
    // A JSON string is a string of JavaScript and, as values and names hold no surrogates, of Python too.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let body = serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
    let curl = format!(
        "curl -sS {} \\\n  -H {} \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
        shell_quoted(&format!("{base_url}/chat/completions")),
        shell_quoted(&format!("Authorization: Bearer {value}")),
        shell_quoted(&body.to_string()),
    );
    let (url, key, model) = (text(base_url), text(value), text(model));
    let python = format!(
        "# pip install openai\nfrom openai import OpenAI\n\nclient = OpenAI(base_url={url}, api_key={key})\n\
         stream = client.chat.completions.create(\n    model={model},\n    \
         messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}],\n    stream=True,\n)\n\
         for chunk in stream:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or \"\", end=\"\")\n"
    );
    let node = format!(
        "// npm install openai\nimport OpenAI from \"openai\";\n\n\
         const client = new OpenAI({{ baseURL: {url}, apiKey: {key} }});\n\
         const stream = await client.chat.completions.create({{\n  model: {model},\n  \
         messages: [{{ role: \"user\", content: \"Hello\" }}],\n  stream: true,\n}});\n\
         for await (const chunk of stream) {{\n  process.stdout.write(chunk.choices[0]?.delta?.content ?? \"\");\n}}\n"
    );
    vec![
        Snippet { id: "curl", title: "curl", text: curl },
        Snippet { id: "python", title: "Python", text: python },
        Snippet { id: "node", title: "Node.js", text: node },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_survive_a_value_with_quotes_and_dollars() {
        let [curl, python, node] = snippets("http://h/v1", r#"a'b"c$d\e"#, "m").try_into().ok().unwrap();
        assert!(curl.text.contains(r#"'Authorization: Bearer a'\''b"c$d\e'"#), "{}", curl.text);
        assert!(python.text.contains(r#"api_key="a'b\"c$d\\e""#), "{}", python.text);
        assert!(node.text.contains(r#"apiKey: "a'b\"c$d\\e""#), "{}", node.text);
    }
}
