//! What upstreams keep for later: videos, and stored responses. Creating one is a call like any other; these ask after it.

use std::str::FromStr;

use axum::{
    Router,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, header},
    response::Response,
    routing::{get, post},
};

use super::{
    auth::{self, Refused},
    body, into_response, request_id,
};
use crate::{
    model::{
        endpoint::Endpoint,
        token::ClientProfile,
        upstream_job::{JobKind, JobPage},
    },
    relay::{
        ending::Ending,
        error_answer,
        follow::{JobAsk, JobCall},
    },
    web::{Site, client::ClientAddress, form::Fields, public_url::PublicUrl},
};

/// How many videos a list shows if the client does not say; the most that it may ask for.
const USUAL_PAGE: u32 = 20;
const LARGEST_PAGE: u32 = 100;

/// The longest text of a query that is passed on, in bytes.
const MAX_QUERY_BYTES: usize = 2000;

/// Adds them to a router, below `prefix`.
pub(super) fn add(router: Router<Site>, prefix: &str) -> Router<Site> {
    let videos = format!("{prefix}/videos");
    let responses = format!("{prefix}/responses");
    router
        .route(&videos, get(list))
        .route(&format!("{videos}/"), get(list))
        .route(&format!("{videos}/{{id}}"), get(show_video).delete(delete_video))
        .route(&format!("{videos}/{{id}}/content"), get(content))
        .route(&format!("{videos}/{{id}}/remix"), post(remix))
        .route(&format!("{responses}/{{id}}"), get(show_response).delete(delete_response))
        .route(&format!("{responses}/{{id}}/cancel"), post(cancel))
        .route(&format!("{responses}/{{id}}/input_items"), get(inputs))
}

async fn list(State(site): State<Site>, RawQuery(query): RawQuery, request: Request) -> Response {
    let ask = page(query.as_deref()).map(JobAsk::List);
    ask_for(&site, JobKind::Video, ask, request).await
}

async fn show_video(State(site): State<Site>, Path(id): Path<String>, request: Request) -> Response {
    let ask = JobAsk::Show { id, query: String::new() };
    ask_for(&site, JobKind::Video, Ok(ask), request).await
}

async fn delete_video(State(site): State<Site>, Path(id): Path<String>, request: Request) -> Response {
    ask_for(&site, JobKind::Video, Ok(JobAsk::Delete { id }), request).await
}

async fn content(
    State(site): State<Site>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let range = request.headers().get(header::RANGE).cloned();
    let ask =
        passed(query.as_deref(), &["variant", "index"]).map(|query| JobAsk::Content { id, query, range });
    ask_for(&site, JobKind::Video, ask, request).await
}

async fn remix(State(site): State<Site>, Path(id): Path<String>, request: Request) -> Response {
    super::relay_on(Endpoint::Videos, &site, request, Some(id)).await
}

async fn show_response(
    State(site): State<Site>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let streams =
        Fields::parse(query.as_deref().unwrap_or_default().as_bytes()).all("stream").any(|on| on == "true");
    let ask = if streams {
        Err(bad(
            "stream",
            "a stored response is not streamed again; leave it out, and ask until it is completed",
        ))
    } else {
        passed(query.as_deref(), &["include", "include[]"]).map(|query| JobAsk::Show { id, query })
    };
    ask_for(&site, JobKind::Response, ask, request).await
}

async fn delete_response(State(site): State<Site>, Path(id): Path<String>, request: Request) -> Response {
    ask_for(&site, JobKind::Response, Ok(JobAsk::Delete { id }), request).await
}

async fn cancel(State(site): State<Site>, Path(id): Path<String>, request: Request) -> Response {
    ask_for(&site, JobKind::Response, Ok(JobAsk::Cancel { id }), request).await
}

async fn inputs(
    State(site): State<Site>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let names = ["after", "before", "limit", "order", "include", "include[]"];
    let ask = passed(query.as_deref(), &names).map(|query| JobAsk::Inputs { id, query });
    ask_for(&site, JobKind::Response, ask, request).await
}

async fn ask_for(site: &Site, kind: JobKind, ask: Result<JobAsk, Ending>, request: Request) -> Response {
    let (parts, rest) = request.into_parts();
    let request_id = request_id(&parts.extensions);
    // `cancel` has an empty body; whatever comes says nothing.
    body::discard(rest, &parts.headers, site.config.max_body_bytes).await;
    let catalog = site.catalog.load();
    let at = site.clock.now();
    let endpoint = match kind {
        JobKind::Video => Endpoint::Videos,
        JobKind::Response => Endpoint::Responses,
    };
    let refused = |ending: Ending| {
        into_response(error_answer(&ending.told(ClientProfile::Generic), Some(endpoint), request_id))
    };
    let token = match auth::token(&parts, &catalog, at) {
        Ok(token) => token,
        Err(Refused { ending, .. }) => return refused(ending),
    };
    let https = parts.extensions.get::<ClientAddress>().is_some_and(|client| client.https);
    let base_url = PublicUrl::of(&catalog.settings, &parts.headers, https).base_url();
    drop(catalog);
    match ask {
        Ok(ask) => {
            into_response(site.relay.follow(JobCall { request_id, token, at, kind, base_url, ask }).await)
        }
        Err(ending) => refused(ending),
    }
}

/// Our address with `/v1`, for a call whose answer names it.
pub(super) fn base_url(site: &Site, endpoint: Endpoint, headers: &HeaderMap, https: bool) -> Option<String> {
    (endpoint == Endpoint::Videos)
        .then(|| PublicUrl::of(&site.catalog.load().settings, headers, https).base_url())
}

fn bad(param: &str, rule: &str) -> Ending {
    Ending::BadRequest {
        message: format!("Invalid value for '{param}': {rule}."),
        param: Some(param.to_owned()),
    }
}

fn page(query: Option<&str>) -> Result<JobPage, Ending> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let find = |name: &str| fields.all(name).last().filter(|value| !value.is_empty()).map(str::to_owned);
    let limit = match find("limit") {
        None => USUAL_PAGE,
        Some(text) => u32::from_str(&text)
            .ok()
            .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
            .ok_or_else(|| bad("limit", "it must be a whole number from 1 to 100"))?,
    };
    let newest_first = match find("order").as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(bad("order", "it must be asc or desc")),
    };
    Ok(JobPage { after: find("after"), limit, newest_first })
}

/// The fields of a query that an upstream gets, written anew.
fn passed(query: Option<&str>, names: &[&str]) -> Result<String, Ending> {
    let query = query.unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        return Err(Ending::BadRequest { message: "The query is too long.".into(), param: None });
    }
    let mut passed = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if names.contains(&&*name) {
            passed.append_pair(&name, &value);
        }
    }
    Ok(passed.finish())
}
