//! Why the admin API refuses a request, and the JSON that says so.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::Error,
    i18n::{Lang, Messages},
    model::id::RequestId,
    pool::input::{Fault, Faults, loop_fault},
    storage::StorageError,
    web::face,
};

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetails,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetails {
    /// A stable word for programs, such as `invalid_input`, `unauthorized`, `not_found` or `conflict`.
    pub code: String,
    /// What is wrong and what to do, in English.
    pub message: String,
    /// What is wrong at which field; empty if it is about no field.
    pub fields: Vec<Fault>,
    /// The request's id, as in the header `x-request-id` and in the server's log.
    pub request_id: String,
}

/// Why a request is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    fields: Vec<Fault>,
    retry_after_s: Option<u64>,
    cause: Option<Arc<Error>>,
}

/// The result of an endpoint.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

impl Refusal {
    /// A refusal with a stable code and a message for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new(), retry_after_s: None, cause: None }
    }

    /// Something is wrong at one field.
    pub fn at(field: &str, message: impl Into<String>) -> Self {
        let mut faults = Faults::default();
        faults.add(field, message);
        faults.into()
    }

    /// A name or value that must be unique is taken.
    pub fn taken(field: &str, message: impl Into<String>) -> Self {
        let mut refusal = Self::at(field, message);
        (refusal.status, refusal.code) = (StatusCode::CONFLICT, "conflict");
        refusal.message = format!("Another one has this {field} already.");
        refusal
    }

    /// The operator's password is needed in the header `x-onepool-password`, or is wrong there.
    pub fn password(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "password_required", message)
    }
}

impl From<Faults> for Refusal {
    fn from(faults: Faults) -> Self {
        let first = faults.0.first().map(|fault| format!(" {}: {}", fault.field, fault.message));
        let message = match faults.0.len() {
            0 | 1 => format!("The input is wrong.{}", first.unwrap_or_default()),
            count => format!("The input is wrong at {count} fields.{}", first.unwrap_or_default()),
        };
        Self { fields: faults.0, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", message) }
    }
}

impl Refusal {
    fn of(error: &Error) -> Self {
        let message = match error {
            Error::NotFound => "There is nothing at this address; GET /api/openapi.json lists what there is.".into(),
            Error::MethodNotAllowed => "This address does not take this method.".into(),
            Error::Unauthorized => {
                "Send an access token: `Authorization: Bearer op-...`. `onepool admin access-token` makes one, and so \
                 does the account page."
                    .into()
            }
            Error::TooManyRequests { retry_after_s } => {
                format!("Too many failed tries from this address; try again in {retry_after_s} s.")
            }
            Error::Internal(_) => "The server could not do this; its log says why.".into(),
            Error::Unavailable(text) => format!("The server cannot do this now: {text}."),
            other => other.to_string(),
        };
        let retry_after_s = match error {
            Error::TooManyRequests { retry_after_s } => Some(*retry_after_s),
            _ => None,
        };
        Self { retry_after_s, ..Self::new(error.status(), error.code(), message) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let refusal = Self::of(&error);
        Self { cause: Some(Arc::new(error)), ..refusal }
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Taken(field) => Self::taken(field, Messages::of(Lang::En).common.field_taken()),
            StorageError::Loop(found) => loop_fault(&found, Messages::of(Lang::En)).into(),
            other => Error::from(other).into(),
        }
    }
}

/// A refusal on its way to the layer that draws it.
#[derive(Clone)]
struct Refused(Refusal);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Refused(self));
        response
    }
}

/// The layer that draws refusals, and errors of the router itself, as JSON; and sets the headers of every answer.
pub async fn draw(request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    let mut response = next.run(request).await;
    let refused = response.extensions_mut().remove::<Refused>().map(|refused| refused.0);
    let undrawn = response.extensions_mut().remove::<face::Undrawn>();
    let refusal = refused.or_else(|| {
        undrawn.map(|face::Undrawn(error)| Refusal { cause: Some(error.clone()), ..Refusal::of(&error) })
    });
    if let Some(refusal) = refusal {
        if let Some(cause) = &refusal.cause {
            face::log(cause, &request_id);
        }
        let retry_after_s = refusal.retry_after_s;
        let body = ErrorBody {
            error: ErrorDetails {
                code: refusal.code.to_owned(),
                message: refusal.message,
                fields: refusal.fields,
                request_id,
            },
        };
        let mut drawn = (refusal.status, axum::Json(body)).into_response();
        // `Allow` of a 405 stays.
        for (name, value) in response.headers() {
            if name == header::ALLOW {
                drawn.headers_mut().insert(name, value.clone());
            }
        }
        if let Some(seconds) = retry_after_s {
            drawn.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if refusal.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"onepool\"");
            drawn.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response = drawn;
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
