//! `/playground`: a call as a token would make it, with the way that it took.
//!
//! The page is a client of `/v1` in this process ([`call_as`]): scope, limits, quota and the row in the log are the token's,
//! whose value is neither needed nor shown. Without scripts the form comes back with the whole answer; with them
//! `POST /playground/stream` passes the answer on as it comes: an event `head` with status and headers, the answer's own events
//! (or one event `whole`), and an event `result` with a part of the page. Who leaves cancels the call.

mod ask;
mod outcome;

use std::{convert::Infallible, future::ready, sync::Arc};

use askama::Template;
use axum::{
    Json, Router,
    body::Body,
    extract::{RawQuery, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    ask::{
        Asked, Draft, EFFORTS, EXAMPLE_TOOLS, MOST_FORM_MB, MOST_PICTURE_MB, MOST_PICTURES, Sent, open_calls,
    },
    outcome::{Outcome, message_of, shown_headers},
};
use super::visit::{Chrome, Operator, Section, render_with};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{
        catalog::{Catalog, PublicModel},
        endpoint::Endpoint,
        id::RequestId,
        token::Token,
    },
    web::{
        Site,
        client::ClientAddress,
        form::{FieldErrors, Fields},
        public_url::PublicUrl,
        v1::own::{OwnCall, call_as},
    },
};

/// Calls of the playground that may be under way at a time.
const MOST_CALLS: usize = 8;
/// Names of models that a page or a search gives.
const MOST_MODELS: usize = 300;
/// The largest whole answer that a page shows.
const MOST_ANSWER_BYTES: usize = 16 << 20;
/// What the log calls the client.
const CLIENT_KIND: &str = "playground";

/// Bounds how many calls of the playground are under way.
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_CALLS)))
    }
}

/// `/playground` and what its script asks.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/playground", get(show).post(send))
        .route("/playground/stream", post(send_streaming))
        .route("/playground/models", get(models))
}

/// A message as the page shows it.
struct Said {
    role: &'static str,
    name: String,
    text: String,
    reasoning: String,
    pictures: Vec<String>,
    /// Calls of tools: names and arguments.
    calls: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "pages/playground.html")]
struct PlaygroundPage {
    c: Chrome,
    draft: Draft,
    errors: FieldErrors,
    tokens: Vec<(String, String)>,
    /// Names that can be asked for, and whether each is a chain.
    models: Vec<(String, bool)>,
    efforts: Vec<(&'static str, &'static str)>,
    example_tools: &'static str,
    said: Vec<Said>,
    /// The conversation as the form sends it back.
    conversation: String,
    /// Tools that wait for their results: ids, names, and what was typed.
    open: Vec<(String, String, String)>,
    /// Why the last call failed; empty if it did not.
    failed: String,
    /// What the last call did, as HTML of ours.
    result: String,
    pictures_hint: String,
}

impl PlaygroundPage {
    fn new(site: &Site, operator: &Operator, draft: Draft, errors: FieldErrors) -> Self {
        let t = operator.t();
        let catalog = site.catalog.load();
        let token = draft.token.parse().ok().and_then(|id| catalog.token(id)).cloned();
        let name = |token: &Arc<Token>| {
            if token.enabled { token.name.clone() } else { t.playground.token_off(&token.name) }
        };
        let effort =
            |name: &'static str| (name, if name.is_empty() { t.playground.effort_default() } else { name });
        Self {
            c: operator.chrome(Section::Playground),
            tokens: catalog.tokens().map(|token| (token.id.to_string(), name(token))).collect(),
            models: names(&catalog, token.as_deref(), ""),
            efforts: EFFORTS.iter().copied().map(effort).collect(),
            example_tools: EXAMPLE_TOOLS,
            said: draft.conversation.iter().map(|message| said(t, message)).collect(),
            conversation: if draft.conversation.is_empty() {
                String::new()
            } else {
                Value::from(draft.conversation.clone()).to_string()
            },
            open: open_calls(&draft.conversation)
                .map(|(id, name)| (id.to_owned(), name.to_owned(), String::new()))
                .collect(),
            draft,
            errors,
            failed: String::new(),
            result: String::new(),
            pictures_hint: t.playground.pictures_hint(MOST_PICTURES, MOST_PICTURE_MB),
        }
    }
}

/// What a token may ask for whose name holds a text; chains are marked.
fn names(catalog: &Catalog, token: Option<&Token>, wanted: &str) -> Vec<(String, bool)> {
    let wanted = wanted.to_lowercase();
    let fits = |model: &&PublicModel| wanted.is_empty() || model.name.to_lowercase().contains(&wanted);
    let entry = |model: &PublicModel| (model.name.clone(), model.chain.is_some() || model.managed);
    match token {
        Some(token) => catalog.models_for(token).filter(fits).take(MOST_MODELS).map(entry).collect(),
        None => catalog.models().filter(fits).take(MOST_MODELS).map(entry).collect(),
    }
}

fn said(t: Messages, message: &Value) -> Said {
    let p = t.playground;
    let (role, name) = match message["role"].as_str() {
        Some("user") => ("user", p.role_user()),
        Some("tool") => ("tool", p.role_tool()),
        _ => ("assistant", p.role_assistant()),
    };
    let parts = message["content"].as_array().into_iter().flatten();
    let of_parts = |kind: &str, pointer: &str| {
        let parts = parts.clone().filter(|part| part["type"] == kind);
        parts.filter_map(|part| part.pointer(pointer)?.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let text =
        message["content"].as_str().map_or_else(|| of_parts("text", "/text").join("\n"), str::to_owned);
    let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|field| message[*field].as_str());
    let call = |call: &Value| {
        let of = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        (of("/function/name"), of("/function/arguments"))
    };
    Said {
        role,
        name: name.to_owned(),
        text,
        reasoning: reasoning.unwrap_or_default().to_owned(),
        // Only what was sent inside of a request is shown: a page asks no other server.
        pictures: of_parts("image_url", "/image_url/url")
            .into_iter()
            .filter(|url| url.starts_with("data:image/"))
            .collect(),
        calls: message["tool_calls"].as_array().into_iter().flatten().map(call).collect(),
    }
}

/// `GET /playground`; `token`, `model` and `message` fill the form in.
async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let mut errors = FieldErrors::default();
    let mut draft = Draft::of(operator.t(), &fields, &mut errors);
    draft.stream = true;
    if draft.token.is_empty() {
        let catalog = site.catalog.load();
        let first = catalog.tokens().find(|token| token.enabled);
        draft.token = first.map(|token| token.id.to_string()).unwrap_or_default();
    }
    render_with(StatusCode::OK, &PlaygroundPage::new(&site, &operator, draft, errors))
}

/// `GET /playground/models`: names for the field, by `token` and `q`.
async fn models(
    State(site): State<Site>,
    _: Operator,
    RawQuery(query): RawQuery,
) -> Json<Vec<(String, bool)>> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let catalog = site.catalog.load();
    let token = fields.text("token").parse().ok().and_then(|id| catalog.token(id));
    Json(names(&catalog, token.map(|token| &**token), fields.text("q")))
}

/// Who asks, and where answers name our address.
struct Asking {
    request_id: RequestId,
    client: ClientAddress,
    base_url: String,
}

impl Asking {
    fn of(site: &Site, operator: &Operator, request: &Request) -> Result<Self> {
        let extensions = request.extensions();
        let missing = || Error::Unavailable("the request has no id");
        let settings = &site.catalog.load().settings;
        Ok(Self {
            request_id: extensions.get::<RequestId>().copied().ok_or_else(missing)?,
            client: extensions.get::<ClientAddress>().copied().ok_or_else(missing)?,
            base_url: PublicUrl::of(settings, request.headers(), operator.visit.https).base_url(),
        })
    }

    async fn call(&self, site: &Site, asked: &Asked) -> Response {
        let call = OwnCall {
            request_id: self.request_id,
            token: asked.token.clone(),
            endpoint: Endpoint::Chat,
            body: asked.body.to_string().into(),
            client: self.client,
            client_kind: CLIENT_KIND,
        };
        call_as(site, call).await
    }
}

fn place(site: &Site) -> Option<OwnedSemaphorePermit> {
    site.admin.playground.0.clone().try_acquire_owned().ok()
}

/// `POST /playground`, without scripts: the page with the whole answer.
async fn send(State(site): State<Site>, operator: Operator, request: Request) -> Result<Response> {
    let t = operator.t();
    let asking = Asking::of(&site, &operator, &request)?;
    let sent = match Sent::read(request).await {
        Err(Error::TooLarge { .. }) => {
            let mut errors = FieldErrors::default();
            errors.add("conversation", t.playground.too_large(MOST_FORM_MB));
            let page = PlaygroundPage::new(&site, &operator, Draft::default(), errors);
            return render_with(StatusCode::PAYLOAD_TOO_LARGE, &page);
        }
        read => read?,
    };
    let mut errors = FieldErrors::default();
    let mut draft = Draft::of(t, &sent.fields, &mut errors);
    // Only its token was changed.
    if sent.fields.text("act") == "models" {
        return render_with(StatusCode::OK, &PlaygroundPage::new(&site, &operator, draft, errors));
    }
    let streamed = std::mem::replace(&mut draft.stream, false);
    let asked = draft.check(t, &sent, &site.catalog.load(), &mut errors);
    draft.stream = streamed;
    let place = place(&site);
    if place.is_none() {
        errors.add("message", t.playground.busy());
    }
    let (Some(mut asked), Some(_place)) = (asked, place) else {
        let mut page = PlaygroundPage::new(&site, &operator, draft, errors);
        for (id, _, typed) in &mut page.open {
            *typed = sent.fields.raw(&format!("answer:{id}")).to_owned();
        }
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let response = asking.call(&site, &asked).await;
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    let answer = Limited::new(body, MOST_ANSWER_BYTES).collect().await;
    let message = match answer {
        Ok(answer) => message_of(status, &answer.to_bytes()),
        Err(_) => Err(t.playground.lost().to_owned()),
    };
    let mut headers = shown_headers(&parts.headers);
    headers.insert(0, ("x-request-id".into(), asking.request_id.to_string()));
    let outcome = Outcome::of(t, &site.db, asking.request_id, headers, &asking.base_url, &asked.body).await;
    let failed = match message {
        Ok(message) => {
            asked.conversation.push(message);
            draft.conversation = asked.conversation;
            (draft.message, draft.picture_data) = (String::new(), String::new());
            String::new()
        }
        // What was typed stays, to be sent again.
        Err(message) => t.playground.failed(status, &message),
    };
    let mut page = PlaygroundPage::new(&site, &operator, draft, FieldErrors::default());
    (page.failed, page.result) = (failed, outcome.html());
    render_with(StatusCode::OK, &page)
}

/// `POST /playground/stream`: the answer as it comes; 422 with messages at fields if the form is wrong.
async fn send_streaming(State(site): State<Site>, operator: Operator, request: Request) -> Result<Response> {
    let t = operator.t();
    let refused =
        |status: StatusCode, errors: Value| Ok((status, Json(json!({ "errors": errors }))).into_response());
    let asking = Asking::of(&site, &operator, &request)?;
    let sent = match Sent::read(request).await {
        Err(Error::TooLarge { .. }) => {
            let message = t.playground.too_large(MOST_FORM_MB);
            return refused(StatusCode::PAYLOAD_TOO_LARGE, json!({ "conversation": message }));
        }
        read => read?,
    };
    let mut errors = FieldErrors::default();
    let draft = Draft::of(t, &sent.fields, &mut errors);
    let Some(asked) = draft.check(t, &sent, &site.catalog.load(), &mut errors) else {
        return refused(StatusCode::UNPROCESSABLE_ENTITY, errors.iter().collect());
    };
    let Some(place) = place(&site) else {
        return refused(StatusCode::TOO_MANY_REQUESTS, json!({ "message": t.playground.busy() }));
    };
    let response = asking.call(&site, &asked).await;
    let (parts, body) = response.into_parts();
    let mut headers = shown_headers(&parts.headers);
    headers.insert(0, ("x-request-id".into(), asking.request_id.to_string()));
    let head = event(
        "head",
        &json!({ "status": parts.status.as_u16(), "headers": headers, "request_id": asking.request_id.to_string() }),
    );
    let is_stream = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let answer = if is_stream {
        // Ends also where the answer breaks off; its last event says so.
        body.into_data_stream()
            .take_while(|piece| ready(piece.is_ok()))
            .filter_map(|piece| ready(piece.ok()))
            .boxed()
    } else {
        stream::once(async move {
            let whole = Limited::new(body, MOST_ANSWER_BYTES).collect().await.map(|whole| whole.to_bytes());
            let answer = whole.ok().and_then(|whole| serde_json::from_slice::<Value>(&whole).ok());
            event("whole", &answer.unwrap_or(Value::Null))
        })
        .boxed()
    };
    let last = stream::once(async move {
        let (id, url) = (asking.request_id, &asking.base_url);
        let outcome = Outcome::of(t, &site.db, id, headers, url, &asked.body).await;
        drop(place);
        event("result", &json!({ "html": outcome.html() }))
    });
    let events = stream::once(async move { head }).chain(answer).chain(last);
    let mut response = Response::new(Body::from_stream(events.map(Ok::<Bytes, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// A named event of ours.
fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}
