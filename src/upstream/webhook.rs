//! Posts a message to an address that an operator has given. As with upstreams no redirect is followed, and an address on a
//! private network is refused unless that is allowed.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::client::{Clients, SendError};
use crate::model::secret::Secret;

/// The most of an answer that is read, in bytes. Receivers answer in a line; of a page of HTML the beginning will do.
const MOST_ANSWER_BYTES: usize = 8 << 10;

/// What is posted, and where to.
pub struct Posting {
    /// The whole address; it may hold a credential.
    pub address: Secret,
    /// A further header.
    pub header: Option<(String, Secret)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it asks to wait, by `Retry-After` in seconds.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: Bytes,
}

/// Posts JSON. The caller limits the time; dropping the future cancels the request.
pub async fn post(clients: &Clients, posting: Posting, allow_private: bool) -> Result<Answer, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("onepool/", env!("CARGO_PKG_VERSION"))));
    if let Some((name, value)) = &posting.header {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.expose()))
        else {
            return Err(SendError::Misconfigured("the header with the secret cannot be sent"));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let body = Bytes::from(posting.body);
    let mut response = clients.post(posting.address.expose(), allow_private, headers, body).await?;
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Ok(Answer {
        status: response.status(),
        retry_after: retry_after.map(Duration::from_secs),
        body: response.read_prefix(MOST_ANSWER_BYTES).await,
    })
}
