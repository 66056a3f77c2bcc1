//! Asks a provider what a key has used.

use http::Method;

use super::client::{Clients, UpstreamCall};
use crate::{
    model::{
        channel::{Channel, EffectiveTimeouts},
        secret::Secret,
    },
    provider::{CounterReading, Fields, Provider},
};

/// Such a page has some hundred bytes.
const MAX_PAGE_BYTES: usize = 64 * 1024;

/// What the provider's counter says of a key. `None` if it has no counter, or does not answer with a status of success and
/// JSON within the channel's time until the first byte: then nothing is known. Dropping the future cancels the request.
pub async fn read_counter(
    clients: &Clients,
    channel: &Channel,
    provider: &Provider,
    key: &Secret,
    timeouts: EffectiveTimeouts,
) -> Option<CounterReading> {
    let (path, _) = provider.counter()?;
    let call = UpstreamCall {
        channel,
        key,
        timeouts,
        method: Method::GET,
        path,
        key_header: None,
        body: None,
        stream: false,
    };
    let read = async {
        let mut response = clients.send(call).await.ok()?;
        if response.status() != 200 {
            return None;
        }
        let body = response.read_all(MAX_PAGE_BYTES).await.ok()?;
        body.trim_ascii().starts_with(b"{").then(|| provider.read_counter(&Fields::read(&body)))
    };
    tokio::time::timeout(timeouts.first_byte, read).await.ok()?
}
