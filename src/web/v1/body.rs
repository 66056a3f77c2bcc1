//! Reads a request's body within its limits.

use std::{io::Read, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::relay::ending::Ending;

/// How long a refused client may go on sending.
const DISCARDED_FOR: Duration = Duration::from_secs(30);

/// Reads what a refused client still sends, up to `limit` bytes and for half a minute, and throws it away; then the client
/// can be told.
///
/// Most clients, and nginx, send the whole body before they look at the answer. If the connection were closed meanwhile,
/// they would report that it broke (nginx: a 502) in place of the refusal. Who asks with `Expect: 100-continue` is waiting
/// for the answer, and has sent nothing yet.
pub(super) async fn discard(body: Body, headers: &HeaderMap, limit: usize) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut body = Limited::new(body, limit);
    let _ = timeout(DISCARDED_FOR, async { while let Some(Ok(_)) = body.frame().await {} }).await;
}

/// The body, decompressed if it is gzip; refused above `limit` bytes in either form.
pub(super) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Ending> {
    let bad = |message: &str| Ending::BadRequest { message: message.to_owned(), param: None };
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Ending::TooLarge { limit }),
        Err(_) => return Err(bad("The body did not arrive whole; send it again.")),
    };
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(body),
        Some("gzip" | "x-gzip") => {
            let inflated = tokio::task::spawn_blocking(move || {
                let mut inflated = Vec::new();
                flate2::read::MultiGzDecoder::new(&body[..])
                    .take(limit as u64 + 1)
                    .read_to_end(&mut inflated)
                    .map(|_| inflated)
            });
            match inflated.await {
                Ok(Ok(inflated)) if inflated.len() > limit => Err(Ending::TooLarge { limit }),
                Ok(Ok(inflated)) => Ok(inflated.into()),
                _ => Err(bad("The body is not the gzip data that its Content-Encoding promises.")),
            }
        }
        Some(_) => Err(bad("This Content-Encoding is not known; send the body as it is, or as gzip.")),
    }
}
