//! Calls of our own pages: the same walk as a client's, as a token whose value nobody needs to know.

use std::sync::Arc;

use axum::{http::HeaderMap, response::Response};
use bytes::Bytes;
use tokio::time::Instant;

use super::{auth, capture, client_kind, into_response};
use crate::{
    model::{endpoint::Endpoint, id::RequestId, token::Token},
    relay::{Call, response_cache},
    scheduler::queue::Class,
    web::{Site, client::ClientAddress},
};

/// What a page asks.
pub struct OwnCall {
    /// The id that the call has in the log.
    pub request_id: RequestId,
    /// As whom it is made: scope, quota and rate are this token's. Where it may come from is not asked, since it comes from here.
    pub token: Arc<Token>,
    /// On which endpoint.
    pub endpoint: Endpoint,
    /// The body, JSON.
    pub body: Bytes,
    /// Who sits before the page.
    pub client: ClientAddress,
    /// What the log calls the client.
    pub client_kind: &'static str,
}

/// Makes a call as a token. It is counted and logged as one of that token; what goes wrong is answered as a client would be.
/// Dropping the future, or the answer's body, cancels it.
pub async fn call_as(site: &Site, call: OwnCall) -> Response {
    let (arrived, at) = (Instant::now(), site.clock.now());
    let none = HeaderMap::new();
    let refused = auth::state(&call.token, at);
    let call = Call {
        request_id: call.request_id,
        token: call.token,
        endpoint: call.endpoint,
        body: call.body,
        form: None,
        at,
        arrived,
        client_address: call.client.ip,
        client_kind: call.client_kind.to_owned(),
        client_version: None,
        trace_id: None,
        session: None,
        class: Class::Interactive,
        cache: response_cache::asked(&none),
        base_url: None,
        remixes: None,
        passed: client_kind::passed(call.endpoint, &none),
    };
    let relay = site.relay.clone();
    into_response(match refused {
        Some(ending) => relay.turn_away(call, &ending).await,
        None => {
            let capture = site.catalog.load().capture_of(call.token.id, at).cloned();
            let taking =
                capture.and_then(|capture| site.captures.begin(&capture, call.request_id, &call.body));
            let answer = relay.serve(call).await;
            match taking {
                None => answer,
                Some(taking) => capture::copied(answer, taking),
            }
        }
    })
}
