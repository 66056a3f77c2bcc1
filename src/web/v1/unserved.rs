//! Endpoints of OpenAI's that are not served here: a 501 that says why, in place of a 404 that says nothing.

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::any,
};

use super::{body, into_response, request_id};
use crate::{
    relay::{ending::Told, error_answer},
    web::Site,
};

/// Why something is not served.
#[derive(Clone, Copy)]
enum Why {
    /// It would have to be kept at one account.
    Kept,
    /// It needs a connection that stays open in both directions.
    Live,
    /// OpenAI itself has given it up.
    GivenUp,
}

/// First segments of paths below `/v1/`, what they are called, and why they are not served
/// (<https://platform.openai.com/docs/api-reference>).
const UNSERVED: &[(&str, &str, Why)] = &[
    ("files", "Files", Why::Kept),
    ("uploads", "Uploads", Why::Kept),
    ("batches", "Batches", Why::Kept),
    ("fine_tuning", "Fine-tuning", Why::Kept),
    ("fine-tunes", "Fine-tuning", Why::Kept),
    ("vector_stores", "Vector stores", Why::Kept),
    ("containers", "Containers", Why::Kept),
    ("evals", "Evals", Why::Kept),
    ("conversations", "Conversations", Why::Kept),
    ("assistants", "Assistants", Why::Kept),
    ("threads", "Threads", Why::Kept),
    ("realtime", "The realtime API", Why::Live),
    ("edits", "Edits", Why::GivenUp),
    ("engines", "Engines", Why::GivenUp),
];

/// Adds them to a router, below `prefix`.
pub(super) fn add(mut router: Router<Site>, prefix: &str) -> Router<Site> {
    for &(segment, name, why) in UNSERVED {
        let handler = any(move |State(site): State<Site>, request: Request| async move {
            refuse(&site, request, name, why).await
        });
        router = router
            .route(&format!("{prefix}/{segment}"), handler.clone())
            .route(&format!("{prefix}/{segment}/"), handler.clone())
            .route(&format!("{prefix}/{segment}/{{*rest}}"), handler);
    }
    router
}

async fn refuse(site: &Site, request: Request, name: &str, why: Why) -> Response {
    let reason = match why {
        Why::Kept => "they belong to one account, and calls here go to many",
        Why::Live => "it needs a connection that stays open, which this server does not relay",
        Why::GivenUp => "OpenAI has given them up",
    };
    let verb = if matches!(why, Why::Live) { "is" } else { "are" };
    let (parts, request_body) = request.into_parts();
    body::discard(request_body, &parts.headers, site.config.max_body_bytes).await;
    let told = Told {
        status: 501,
        kind: "invalid_request_error",
        code: "not_implemented".to_owned(),
        message: format!("{name} {verb} not served: {reason}."),
        param: None,
        retry_after: None,
        should_retry: Some(false),
    };
    into_response(error_answer(&told, None, request_id(&parts.extensions)))
}
