//! Posts a message to an address that an operator has given. As with upstreams no redirect is followed, and an address on a
//! private network is refused unless that is allowed.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    client::{Clients, SendError},
    outcome::mask_secrets,
};
use crate::model::notice::Webhook;

/// The longest part of a refusal that is told, in bytes.
const MAX_ANSWER_BYTES: usize = 300;

/// A message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whether the same may succeed later: the receiver was away, or had too much to do.
    pub worth_another: bool,
    /// Why, without an address or a secret.
    pub text: String,
}

/// Posts JSON; gives the status if it was taken (2xx). The caller limits the time; dropping the future cancels the request.
pub async fn post(clients: &Clients, webhook: &Webhook, body: Vec<u8>) -> Result<u16, Refused> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("onepool/", env!("CARGO_PKG_VERSION"))));
    if let Some((name, value)) = &webhook.header {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.expose()))
        else {
            let text = "the header with the secret cannot be sent".to_owned();
            return Err(Refused { worth_another: false, text });
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let sent = clients.post(webhook.url.expose(), webhook.allow_private, headers, Bytes::from(body)).await;
    let mut response = sent.map_err(|error| Refused {
        worth_another: !matches!(error, SendError::Misconfigured(_) | SendError::PrivateAddress),
        text: match error {
            SendError::PrivateAddress => {
                "the address is on a private or loopback network; allow that if it is meant".to_owned()
            }
            error => error.to_string(),
        },
    })?;
    let status = response.status();
    if (200..300).contains(&status) {
        return Ok(status);
    }
    let answer = response.read_prefix(4 * MAX_ANSWER_BYTES).await;
    let answer = String::from_utf8_lossy(&answer);
    let secrets: Vec<_> =
        webhook.header.iter().map(|(_, value)| value).chain(std::iter::once(&webhook.url)).collect();
    let mut answer = mask_secrets(answer.trim(), &secrets);
    answer.truncate(answer.floor_char_boundary(MAX_ANSWER_BYTES));
    let redirect = if (300..400).contains(&status) { " (redirects are not followed)" } else { "" };
    let colon = if answer.is_empty() { "" } else { ": " };
    Err(Refused {
        worth_another: matches!(status, 408 | 425 | 429) || status >= 500,
        text: format!("HTTP {status}{redirect}{colon}{answer}"),
    })
}
