//! What time it is elsewhere: the `Date` of an upstream's answer, to tell whether our clock is right.

use std::time::Duration;

use http::{Method, header};

use super::client::{Clients, UpstreamCall};
use crate::model::{
    channel::{Channel, EffectiveTimeouts},
    secret::Secret,
    time::{Clock, UnixMs},
};

/// How long an upstream has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// By how much our clock is ahead of an upstream's, in milliseconds (negative: behind), to a second or two. Asks for the root
/// of the channel's host, without a key, so that nothing is spent; any status will do. `None` if there is no answer within
/// five seconds, or none with a date.
pub async fn ahead_of(clients: &Clients, channel: &Channel, clock: &Clock) -> Option<i64> {
    let root = url::Url::parse(&channel.base_url).ok()?.join("/").ok()?;
    let timeouts = EffectiveTimeouts { connect: PATIENCE, first_byte: PATIENCE, idle: PATIENCE };
    let nothing = Secret::new("");
    // The channel's own headers may hold a credential, and this question needs none.
    let bare = Channel { headers: Vec::new(), ..channel.clone() };
    let call = UpstreamCall {
        channel: &bare,
        key: &nothing,
        timeouts,
        method: Method::GET,
        path: root.as_str(),
        key_header: None,
        body: None,
        stream: false,
    };
    let (asked, asked_wall) = (clock.steady(), clock.now());
    let answer = tokio::time::timeout(PATIENCE, clients.send(call)).await.ok()?.ok()?;
    let took_ms = clock.steady().0 - asked.0;
    let date = answer.headers().get(header::DATE)?.to_str().ok()?;
    Some(asked_wall.0 + took_ms / 2 - date_ms(date)?)
}

/// The middle of the second that a `Date` header names (RFC 9110, section 5.6.7).
fn date_ms(text: &str) -> Option<i64> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(UnixMs(zoned.timestamp().as_millisecond()).0 + 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_the_middle_of_its_second() {
        assert_eq!(date_ms("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_500));
        assert_eq!(date_ms("yesterday"), None);
    }
}
