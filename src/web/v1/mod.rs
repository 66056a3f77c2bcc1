//! The endpoints of clients, as OpenAI shapes them.
//!
//! Every path also works with a trailing slash and without `/v1`, because clients differ in what they take for the base
//! URL. Errors are OpenAI's JSON, drawn here.

pub mod auth;
mod body;
mod capture;
mod clawrouter;
mod client_kind;
mod form;
mod jobs;
mod models;
mod openclaw_export;
pub mod own;
mod unserved;

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
    routing::{any, get, post},
};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, Any, CorsLayer},
};

use self::auth::Refused;
use super::{
    Site,
    admin::health::{STREAM_TEST_PATH, stream_test},
    client::ClientAddress,
    face,
};
use crate::{
    error::Error,
    model::{
        endpoint::{Endpoint, RequestBody},
        id::RequestId,
        token::ClientProfile,
    },
    relay::{Answer, AnswerBody, Call, Relay, ending::Told, error_answer, response_cache},
    scheduler::queue::Class,
};

/// All endpoints of clients.
pub fn router(site: Site) -> Router {
    let mut router = Router::new();
    for prefix in ["/v1", ""] {
        for endpoint in Endpoint::ALL.iter().copied() {
            let handler = post(move |State(site): State<Site>, request: Request| async move {
                relay(endpoint, &site, request).await
            });
            let path = format!("{prefix}/{}", endpoint.path());
            router = router.route(&path, handler.clone()).route(&format!("{path}/"), handler);
        }
        router = router
            .route(&format!("{prefix}/models"), get(models::index))
            .route(&format!("{prefix}/models/"), get(models::index))
            .route(&format!("{prefix}/models/{{*id}}"), get(models::show));
        router = jobs::add(unserved::add(router, prefix), prefix);
    }
    router = clawrouter::add(router);
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(Any)
        .max_age(std::time::Duration::from_secs(86_400));
    router
        .route("/openclaw.json5", get(openclaw_export::show))
        .route(STREAM_TEST_PATH, get(stream_test))
        .route("/v1", any(async || Error::NotFound))
        .route("/v1/", any(async || Error::NotFound))
        .route("/v1/{*rest}", any(async || Error::NotFound))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(face::panicked))
        .layer(axum::middleware::from_fn(draw))
        .layer(cors)
        .with_state(site)
}

/// The endpoint of a call that needs nothing of the router: no page of another origin asks, whose browser wants to see the
/// headers of the CORS layer.
pub(super) fn plain_call(request: &Request) -> Option<Endpoint> {
    if request.method() != Method::POST || request.headers().contains_key(header::ORIGIN) {
        return None;
    }
    let path = request.uri().path();
    let path = path.strip_prefix("/v1").unwrap_or(path).strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    Endpoint::ALL.iter().copied().find(|endpoint| endpoint.path() == path)
}

/// Answers such a call as the router would.
pub(super) async fn answer_plain_call(site: &Site, endpoint: Endpoint, request: Request) -> Response {
    let request_id = request_id(request.extensions());
    match AssertUnwindSafe(relay(endpoint, site, request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => drawn(face::panicked(panic), request_id),
    }
}

/// Relays a call.
async fn relay(endpoint: Endpoint, site: &Site, request: Request) -> Response {
    relay_on(endpoint, site, request, None).await
}

/// Relays a call that may make a video of ours anew.
async fn relay_on(endpoint: Endpoint, site: &Site, request: Request, remixes: Option<String>) -> Response {
    let arrived = Instant::now();
    let at = site.clock.now();
    let (parts, body) = request.into_parts();
    let request_id = request_id(&parts.extensions);
    let client = parts.extensions.get::<ClientAddress>().map(|client| client.ip);
    let is_form = match endpoint.shape().body {
        RequestBody::Json => false,
        RequestBody::Form => true,
        RequestBody::Either => remixes.is_none() && form::is_form(&parts.headers),
    };
    let (client_kind, client_version) = client_kind::of(&parts.headers);
    let call = |token, body, form| Call {
        request_id,
        token,
        endpoint,
        body,
        form,
        at,
        arrived,
        client_address: client.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()),
        client_kind,
        client_version,
        trace_id: client_kind::trace_id(&parts.headers),
        session: client_kind::session(&parts.headers),
        cache: response_cache::asked(&parts.headers),
        class: if client_kind::is_batch(&parts.headers) { Class::Batch } else { Class::Interactive },
        base_url: jobs::base_url(
            site,
            endpoint,
            &parts.headers,
            parts.extensions.get::<ClientAddress>().is_some_and(|client| client.https),
        ),
        remixes,
        passed: client_kind::passed(endpoint, &parts.headers),
    };
    let relay: Arc<Relay> = site.relay.clone();
    let limit = site.config.max_body_bytes;
    let found = {
        let catalog = site.catalog.load();
        auth::token(&parts, &catalog, at).map(|token| {
            // Nearly always none: a comparison, and a pointer that the call carries along.
            let capture = catalog.capture_of(token.id, at).cloned().map(Box::new);
            (token, capture)
        })
    };
    let read = match found {
        Err(Refused { ending, token }) => {
            body::discard(body, &parts.headers, limit).await;
            Err((token, ending))
        }
        Ok((token, capture)) if is_form => {
            let limit = usize::try_from(endpoint.shape().max_form_bytes).unwrap_or(limit).min(limit);
            let read = form::read(body, &parts.headers, endpoint, limit, relay.uploads(), request_id);
            match Box::pin(read).await {
                Ok(form) => Ok((token, capture, Bytes::new(), Some(form))),
                Err(ending) => Err((Some(token), ending)),
            }
        }
        Ok((token, capture)) => match body::read(body, &parts.headers, limit).await {
            Ok(body) => Ok((token, capture, body, None)),
            Err(ending) => Err((Some(token), ending)),
        },
    };
    // What each of them awaits is large, so each stands here once.
    into_response(match read {
        Ok((token, capture, body, form)) => {
            let taking = capture.and_then(|capture| site.captures.begin(&capture, request_id, &body));
            let answer = relay.serve(call(token, body, form)).await;
            match taking {
                None => answer,
                Some(taking) => capture::copied(answer, taking),
            }
        }
        Err((Some(token), ending)) => relay.turn_away(call(token, Bytes::new(), None), &ending).await,
        Err((None, ending)) => error_answer(&ending.told(ClientProfile::Generic), Some(endpoint), request_id),
    })
}

fn request_id(extensions: &axum::http::Extensions) -> RequestId {
    extensions.get::<RequestId>().copied().unwrap_or(RequestId(uuid::Uuid::nil()))
}

fn into_response(answer: Answer) -> Response {
    let body = match answer.body {
        AnswerBody::Whole(bytes) => Body::from(bytes),
        AnswerBody::Events(events) => Body::from_stream(events.map(Ok::<_, std::convert::Infallible>)),
        AnswerBody::Bytes(pieces) => Body::from_stream(pieces),
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = answer.headers;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Draws errors that are not the relay's own as OpenAI's JSON.
async fn draw(request: Request, next: Next) -> Response {
    let request_id = request_id(request.extensions());
    drawn(next.run(request).await, request_id)
}

fn drawn(mut response: Response, request_id: RequestId) -> Response {
    let Some(face::Undrawn(error)) = response.extensions_mut().remove::<face::Undrawn>() else {
        return response;
    };
    face::log(&error, &request_id.to_string());
    let message = match &*error {
        Error::NotFound => {
            "There is no such endpoint; see GET /v1/models and the endpoints below /v1.".to_owned()
        }
        Error::MethodNotAllowed => "This endpoint does not take this method.".to_owned(),
        Error::Internal(_) => "The server could not do this; its log says why.".to_owned(),
        other => other.to_string(),
    };
    let told = Told {
        status: error.status().as_u16(),
        kind: if error.status().is_server_error() { "server_error" } else { "invalid_request_error" },
        code: error.code().to_owned(),
        message,
        param: None,
        retry_after: None,
        should_retry: None,
    };
    let drawn = into_response(error_answer(&told, None, request_id));
    let (parts, body) = drawn.into_parts();
    response.headers_mut().extend(parts.headers.into_iter().filter_map(|(name, value)| Some((name?, value))));
    *response.body_mut() = body;
    response
}
