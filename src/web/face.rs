//! The faces of an error: a handler returns an [`Error`], and the layer of its router draws it.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use crate::error::Error;

/// An error on its way to the layer that draws it.
#[derive(Clone)]
pub struct Undrawn(pub Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Self::TooManyRequests { retry_after_s } = &self {
            response.headers_mut().insert("retry-after", (*retry_after_s).into());
        }
        response.extensions_mut().insert(Undrawn(Arc::new(self)));
        response
    }
}

/// Writes an error that is our own fault into the log, once.
pub fn log(error: &Error, request: &str) {
    if let Error::Internal(cause) = error {
        tracing::error!(request, cause = format!("{cause:#}"), "could not answer");
    }
}

/// A handler that panicked: the visitor gets a 500 and its request id, the log has the panic.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Error::Internal(anyhow::anyhow!("a handler panicked")).into_response()
}
