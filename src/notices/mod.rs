//! Tells operators what happens in the pool, wherever they want to hear of it: what a message says ([`message`]), when it goes
//! out ([`outbox`]), what a target may be ([`input`]), and sending one ([`deliver`]).
//!
//! `jobs/notices.rs` notices what happened and runs the outbox; no call ever waits for it. To add a way to reach people: a variant
//! of [`Transport`], what is sealed of it in `storage/notices.rs`, and its sending here.

pub mod input;
pub mod message;
pub mod outbox;

use std::time::Duration;

use crate::{
    i18n::{Lang, Messages},
    model::{
        notice::{Delivery, Event, NewTarget, Transport},
        time::UnixMs,
    },
    upstream::{
        client::Clients,
        webhook::{Refused, post},
    },
};

/// How long a delivery may take.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(15);

/// What came of a delivery, and whether another try makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is shown at the target.
    pub delivery: Delivery,
    /// Whether the same may succeed later.
    pub worth_another: bool,
}

/// Sends one message with these events; none of them makes it a test. `left_out` more were too many to keep. Takes at most
/// [`DELIVERY_LIMIT`]; dropping the future cancels it.
pub async fn deliver(
    clients: &Clients,
    target: &NewTarget,
    events: &[Event],
    left_out: usize,
    now: UnixMs,
) -> Outcome {
    let t = Messages::of(Lang::from_code(&target.language).unwrap_or_default());
    let Transport::Webhook(webhook) = &target.transport;
    let body = message::webhook_body(t, events, left_out, now);
    let posted = tokio::time::timeout(DELIVERY_LIMIT, post(clients, webhook, body)).await;
    let (ok, detail, worth_another) = match posted {
        Ok(Ok(status)) => (true, format!("HTTP {status}"), false),
        Ok(Err(Refused { worth_another, text })) => (false, text, worth_another),
        Err(_) => (false, format!("no answer within {} s", DELIVERY_LIMIT.as_secs()), true),
    };
    Outcome { delivery: Delivery { at: now, ok, detail }, worth_another }
}
