//! An answer that is neither JSON nor events but bytes, such as speech: piped on piece by piece, watched, and booked
//! before its end goes out.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, AnswerBody, Relay,
    attempt::host_error,
    ending::Ending,
    headers,
    job::{Job, Source},
    search::fault_of,
    stream::LONGEST_ANSWER,
    ticket::{Ticket, Used},
};
use crate::{
    dispatch::Permit,
    model::usage::{OutcomeClass, Units},
    scheduler::{pool::Tried, rest::RestScope},
    upstream::client::UpstreamResponse,
};

/// The beginning of an answer of bytes.
pub(super) struct Download {
    /// What came first; never empty.
    pub first: Bytes,
    /// Where the rest comes from.
    pub response: UpstreamResponse,
    /// What it is.
    pub content_type: HeaderValue,
    /// How long it is, if the upstream says so.
    pub length: Option<u64>,
}

/// A download on its way to the client. Dropping it cancels the upstream call and books what was used.
struct Live {
    download: Download,
    permit: Option<Permit>,
    prompt_tokens: u64,
    units: Units,
    ticket: Ticket,
    drained: CancellationToken,
    idle: std::time::Duration,
    ends_by: Instant,
    /// What the client has got, in bytes.
    sent: u64,
    over: bool,
}

/// The answer; its bytes are asked of the upstream as fast as the client takes them.
pub(super) fn answer(
    download: Box<Download>,
    source: Source,
    relay: Arc<Relay>,
    job: Job,
    ticket: Ticket,
) -> Answer {
    let mut headers = headers(&job, &ticket, "application/octet-stream");
    headers.insert(header::CONTENT_TYPE, download.content_type.clone());
    // What an upstream sends is never a page of ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(length) = download.length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let Source { target, permit } = source;
    let live = Live {
        idle: job.catalog.timeouts(&target.route.channel.channel).idle,
        ends_by: Instant::now() + LONGEST_ANSWER,
        prompt_tokens: job.prompt_tokens(),
        units: job.asked_units(),
        drained: relay.parts.drained.clone(),
        permit: Some(permit),
        download: *download,
        ticket,
        sent: 0,
        over: false,
    };
    let pieces =
        stream::unfold(
            Box::new(live),
            |mut live| async move { live.next().await.map(|piece| (piece, live)) },
        );
    Answer { status: 200, headers, body: AnswerBody::Bytes(pieces.boxed()) }
}

impl Live {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.over {
            return None;
        }
        let drained = self.drained.clone();
        let step = tokio::select! {
            biased;
            () = drained.cancelled() => Err((Ending::ShuttingDown, "the server was stopping")),
            step = self.step() => step,
        };
        match step {
            Ok(Some(piece)) => {
                self.sent += piece.len() as u64;
                // A client that knows the length sees its end with the last byte: the row must be safe by then.
                if self.download.length.is_some_and(|length| self.sent >= length) {
                    self.succeed().await;
                }
                Some(Ok(piece))
            }
            Ok(None) if self.download.length.is_some_and(|length| self.sent < length) => {
                self.break_off(Ending::Interrupted { another: false }, "the answer ended early").await
            }
            Ok(None) => {
                self.succeed().await;
                None
            }
            Err((ending, detail)) => self.break_off(ending, detail).await,
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, (Ending, &'static str)> {
        if !self.download.first.is_empty() {
            return Ok(Some(std::mem::take(&mut self.download.first)));
        }
        let by = (Instant::now() + self.idle).min(self.ends_by);
        match tokio::time::timeout_at(by, self.download.response.next_chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(_)) => Err((
                Ending::Interrupted { another: false },
                "the connection broke in the middle of the answer",
            )),
            Err(_) => Err((Ending::Interrupted { another: false }, "the answer stalled")),
        }
    }

    async fn succeed(&mut self) {
        self.over = true;
        self.book();
        if let Some(permit) = self.permit.take() {
            permit.settle(self.ticket.used());
        }
        self.ticket.succeed().await;
    }

    async fn break_off(&mut self, ending: Ending, detail: &'static str) -> Option<io::Result<Bytes>> {
        self.over = true;
        self.book();
        if matches!(ending, Ending::Interrupted { .. }) {
            self.ticket.end_attempt(OutcomeClass::HostError, None, detail);
            if let Some(permit) = self.permit.take() {
                let fault = fault_of(&host_error(RestScope::KeyModel, detail), None, false);
                permit.fail(&fault, &mut Tried::default());
            }
        }
        let code = ending.told(crate::model::token::ClientProfile::Generic).code;
        self.ticket.fail(&ending, 200, &code).await;
        Some(Err(io::Error::other(detail)))
    }

    fn book(&mut self) {
        self.ticket.book(Used {
            prompt_estimate: self.prompt_tokens,
            units: Some(self.units.clone()),
            ..Used::default()
        });
        if let (Some(permit), Some(used)) = (&mut self.permit, self.ticket.used()) {
            permit.used(used);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.over {
            self.book();
        }
    }
}
