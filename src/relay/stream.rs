//! The rest of a stream, after its first content: piped on, watched, and booked before its end goes out.
//!
//! From here on there is no second upstream. A fault becomes an error event without `[DONE]`, so that no client takes a
//! part for the whole.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Relay, Search,
    attempt::{Beginning, Found, host_error},
    ending::Ending,
    job::{Job, Source},
    kept::Keep,
    search::fault_of,
    ticket::{Ticket, Used},
};
use crate::{
    dispatch::Permit,
    model::{
        endpoint::{Dialect, Endpoint, Unit},
        secret::Secret,
        token::ClientProfile,
        usage::{ModelFault, OutcomeClass, Units},
    },
    protocol::{
        openai::InBandError,
        sse::{DONE_FRAME, Event, KEEP_ALIVE_FRAME},
    },
    provider::Provider,
    scheduler::{
        pool::{Plan, Tried},
        rest::RestScope,
    },
    upstream::outcome::classify_in_band,
};

/// How long a stream may go on after its finish reason: a usage chunk and `[DONE]` follow at once, or never.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// What broke an answer off rests for so long if somebody else can take the call that its client then sends again.
const AFTER_BREAKING_OFF: Duration = Duration::from_secs(10);

/// The longest answer, however lively it is.
pub(super) const LONGEST_ANSWER: Duration = Duration::from_secs(2 * 3600);

/// A stream on its way to the client. Dropping it cancels the upstream call and books what was used.
///
/// It lasts long and there may be thousands, so it keeps of its job only what it needs: not the request's body.
struct Live {
    beginning: Box<Beginning>,
    /// Given back when the stream ends or is dropped.
    permit: Option<Permit>,
    /// Who could answer the call, if its client is one that asks again when an answer breaks off.
    plan: Option<Arc<Plan>>,
    prompt_tokens: u64,
    /// What was asked for in the endpoint's own units, if it has any.
    units: Option<Box<Units>>,
    /// The row of a stored response, until its id is known.
    keep: Option<Box<Keep>>,
    /// The last event of a stream that ends with it: it goes out once the row is safe.
    last: Option<Bytes>,
    dialect: Dialect,
    profile: ClientProfile,
    ticket: Ticket,
    drained: CancellationToken,
    idle: Duration,
    keepalive: Duration,
    /// When the upstream must have sent a piece of its answer; comments do not count.
    idle_by: Instant,
    /// When the upstream must have closed the stream, once it has finished its answer.
    finish_by: Option<Instant>,
    /// What no text may repeat.
    secrets: Vec<Secret>,
    provider: Arc<Provider>,
    ends_by: Instant,
    started: bool,
    over: bool,
}

/// What came from the upstream.
enum Step {
    Frames(Bytes),
    End,
    /// What went wrong, for the operator.
    Fault(Cow<'static, str>),
}

fn fault(detail: &'static str) -> Step {
    Step::Fault(detail.into())
}

/// The events of a stream whose first content is there.
pub(super) fn events(
    beginning: Box<Beginning>,
    source: Source,
    relay: Arc<Relay>,
    job: Job,
    ticket: Ticket,
) -> BoxStream<'static, Bytes> {
    let live = Box::new(Live::new(beginning, source, &relay, job, ticket));
    stream::unfold(live, |mut live| async move { live.next().await.map(|bytes| (bytes, live)) }).boxed()
}

/// The events of a stream that has been waiting for its first content for so long that it gets keep-alives.
pub(super) fn events_after_waiting(
    search: Search,
    relay: Arc<Relay>,
    profile: ClientProfile,
    endpoint: Endpoint,
) -> BoxStream<'static, Bytes> {
    let dialect = endpoint.shape().dialect;
    enum State {
        Waiting { search: Search, relay: Arc<Relay>, ping_at: Instant },
        Live(Box<Live>),
        Over,
    }
    let begin = State::Waiting { search, relay, ping_at: Instant::now() };
    stream::unfold(begin, move |state| async move {
        match state {
            State::Waiting { mut search, relay, ping_at } => tokio::select! {
                (found, job, mut ticket) = &mut search => match found {
                    Ok((Found::Stream(beginning), source)) => {
                        let mut live = Box::new(Live::new(beginning, source, &relay, job, ticket));
                        let bytes = live.next().await?;
                        Some((bytes, State::Live(live)))
                    }
                    // A call for a stream finds a stream; and if not, it failed.
                    Ok((Found::Whole(_) | Found::Download(_), _)) => None,
                    Err(ending) => {
                        let event = error_event(&mut ticket, &ending, profile, dialect).await;
                        Some((event, State::Over))
                    }
                },
                () = tokio::time::sleep_until(ping_at) => {
                    let every = relay.keepalive_every();
                    let next = State::Waiting { search, relay, ping_at: Instant::now() + every };
                    Some((keepalive(profile, dialect), next))
                }
            },
            State::Live(mut live) => live.next().await.map(|bytes| (bytes, State::Live(live))),
            State::Over => None,
        }
    })
    .boxed()
}

/// A sign of life. OpenClaw's watchdog does not count comments, so it gets a chunk without choices (and without an id: the first
/// one that it sees is the answer's to it), Anthropic's ping, or an event of a type that says no more than that; OpenAI's own
/// servers send that one in long answers.
fn keepalive(profile: ClientProfile, dialect: Dialect) -> Bytes {
    match (profile, dialect) {
        (ClientProfile::OpenClaw, Dialect::Chat | Dialect::Completion) => Bytes::from_static(
            b"data: {\"id\":\"\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"\",\"choices\":[]}\n\n",
        ),
        (ClientProfile::OpenClaw, Dialect::Response) => {
            Bytes::from_static(b"event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n")
        }
        (ClientProfile::OpenClaw, Dialect::Message) => {
            Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
        }
        _ => KEEP_ALIVE_FRAME,
    }
}

/// Appends an event. JSON that came in several lines goes out in one: a line break between its tokens is only white
/// space, and many clients read one line an event.
pub(super) fn push_frame(frames: &mut BytesMut, event: Option<Bytes>, data: &[u8]) {
    if let Some(event) = event {
        frames.extend_from_slice(b"event: ");
        frames.extend_from_slice(&event);
        frames.extend_from_slice(b"\n");
    }
    frames.extend_from_slice(b"data: ");
    let begin = frames.len();
    frames.extend_from_slice(data);
    for byte in &mut frames[begin..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    frames.extend_from_slice(b"\n\n");
}

/// Books a failed stream and returns the event that says so.
async fn error_event(
    ticket: &mut Ticket,
    ending: &Ending,
    profile: ClientProfile,
    dialect: Dialect,
) -> Bytes {
    let told = ending.told(profile);
    ticket.fail(ending, 200, &told.code).await;
    let (name, data) = told.event(dialect, &ticket.request_id().to_string());
    let mut frames = BytesMut::new();
    push_frame(
        &mut frames,
        name.map(|name| Bytes::from_static(name.as_bytes())),
        data.to_string().as_bytes(),
    );
    frames.freeze()
}

impl Live {
    fn new(mut beginning: Box<Beginning>, source: Source, relay: &Relay, job: Job, ticket: Ticket) -> Self {
        let Source { target, permit } = source;
        let shape = job.endpoint.shape();
        let whole = beginning.done && beginning.reader.ends_itself();
        let last = whole.then(|| std::mem::take(&mut beginning.frames));
        let timeouts = job.catalog.timeouts(&target.route.channel.channel);
        let now = Instant::now();
        Self {
            drained: relay.parts.drained.clone(),
            idle: timeouts.idle,
            keepalive: Duration::from_millis(job.catalog.settings.keepalive_every_ms.into()),
            idle_by: now + timeouts.idle,
            finish_by: None,
            secrets: target.secrets().into_iter().cloned().collect(),
            provider: relay.parts.catalog.provider_of(&target.route.channel.channel),
            ends_by: now + LONGEST_ANSWER,
            prompt_tokens: job.prompt_tokens(),
            units: (shape.unit != Unit::None).then(|| Box::new(job.asked_units())),
            keep: relay.keep(&job, &target).map(Box::new),
            last,
            dialect: shape.dialect,
            profile: job.profile,
            plan: (job.profile == ClientProfile::OpenClaw).then(|| job.call.plan.clone()),
            permit: Some(permit),
            beginning,
            ticket,
            started: false,
            over: false,
        }
    }

    /// The next bytes for the client; `None` after the last ones.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if !self.started {
            self.started = true;
            if let Err(ending) = self.write_row().await {
                return Some(self.give_up(&ending).await);
            }
            if !self.beginning.frames.is_empty() {
                return Some(std::mem::take(&mut self.beginning.frames));
            }
        }
        let drained = self.drained.clone();
        // A lively upstream must not keep the server from stopping: see to that first.
        let quiet_until = Instant::now() + self.keepalive;
        let (profile, dialect) = (self.profile, self.dialect);
        let step = tokio::select! {
            biased;
            () = drained.cancelled() => {
                self.over = true;
                self.book();
                return Some(error_event(&mut self.ticket, &Ending::ShuttingDown, profile, dialect).await);
            }
            step = self.step() => step,
            () = tokio::time::sleep_until(quiet_until) => return Some(keepalive(profile, dialect)),
        };
        match step {
            Step::Frames(frames) => match self.write_row().await {
                Ok(()) => Some(frames),
                Err(ending) => Some(self.give_up(&ending).await),
            },
            Step::End => {
                if let Err(ending) = self.write_row().await {
                    return Some(self.give_up(&ending).await);
                }
                self.over = true;
                self.book();
                // The row is safe before the client sees the end of its answer. Meanwhile the last bytes of the
                // upstream's body, if they are there, free its connection for the next call.
                self.finish_body();
                if let Some(permit) = self.permit.take() {
                    permit.settle(self.ticket.used());
                }
                self.ticket.succeed().await;
                self.finish_body();
                if self.beginning.reader.ends_itself() { self.last.take() } else { Some(DONE_FRAME) }
            }
            Step::Fault(detail) => {
                let detail = &*detail;
                self.over = true;
                self.book();
                self.ticket.blame_model(Some(ModelFault::Failed));
                self.ticket.end_attempt(OutcomeClass::HostError, None, detail);
                let mut another = false;
                if let Some(permit) = self.permit.take() {
                    another = self.plan.take().is_some_and(|plan| permit.another_could_take(&plan));
                    let mut outcome = host_error(RestScope::KeyModel, detail);
                    // The call comes again at once, and must not meet the same fault.
                    outcome.rest_for = another.then_some(AFTER_BREAKING_OFF);
                    permit.fail(&fault_of(&outcome, None, false), &mut Tried::default());
                }
                Some(error_event(&mut self.ticket, &Ending::Interrupted { another }, profile, dialect).await)
            }
        }
    }

    /// Reads until there is something for the client. Cancel safe: what was read is kept in the scanner.
    async fn step(&mut self) -> Step {
        loop {
            let mut frames = BytesMut::new();
            while !self.beginning.done
                && let Some(event) = self.beginning.scanner.next()
            {
                match event {
                    Err(_) => return fault("an event of the stream is too long"),
                    Ok(Event::Comment) => {}
                    Ok(Event::Done) => self.beginning.done = true,
                    Ok(Event::Data { data, event }) => {
                        self.idle_by = Instant::now() + self.idle;
                        let chunk = self.beginning.reader.read(data);
                        if let Some(error) = chunk.error {
                            let detail = self.detail(&error);
                            return Step::Fault(format!("the upstream sent an error: {detail}").into());
                        }
                        if chunk.malformed {
                            return fault("the stream is not the expected JSON");
                        }
                        let ends_itself = self.beginning.reader.ends_itself();
                        if let Some(data) = chunk.forward {
                            push_frame(&mut frames, event.filter(|_| ends_itself), &data);
                        }
                        if ends_itself && self.beginning.reader.has_finished() {
                            self.beginning.done = true;
                            self.last = Some(std::mem::take(&mut frames).freeze());
                        }
                    }
                }
            }
            if !frames.is_empty() {
                return Step::Frames(frames.freeze());
            }
            let finished = self.beginning.reader.has_finished();
            if self.beginning.done {
                return Step::End;
            }
            let Some(response) = &mut self.beginning.response else {
                let whole = self.beginning.reader.may_end();
                return if whole { Step::End } else { fault("the stream ended without a finish reason") };
            };
            let by = if finished {
                // Kept, because every keep-alive begins this step anew.
                *self.finish_by.get_or_insert_with(|| Instant::now() + AFTER_FINISH)
            } else {
                self.idle_by
            };
            match tokio::time::timeout_at(by.min(self.ends_by), response.next_chunk()).await {
                Ok(Ok(Some(chunk))) => self.beginning.scanner.push(chunk),
                Ok(Ok(None)) => {
                    self.beginning.scanner.finish();
                    self.beginning.response = None;
                }
                // After the finish reason the answer is whole, whatever becomes of the connection.
                _ if finished => return Step::End,
                Ok(Err(_)) => return fault("the connection broke in the middle of the stream"),
                Err(_) => return fault("the stream stalled"),
            }
        }
    }

    /// Notes which key stores the response, as soon as its id is known and before the client sees it.
    async fn write_row(&mut self) -> Result<(), Ending> {
        let Some(id) = self.beginning.reader.upstream_id().filter(|_| self.keep.is_some()) else {
            return Ok(());
        };
        let id = id.to_owned();
        match self.keep.take() {
            Some(keep) => keep.write(id, None).await,
            None => Ok(()),
        }
    }

    /// Ends the stream because of a fault of our own.
    async fn give_up(&mut self, ending: &Ending) -> Bytes {
        self.over = true;
        self.book();
        if let Some(permit) = self.permit.take() {
            permit.settle(self.ticket.used());
        }
        error_event(&mut self.ticket, ending, self.profile, self.dialect).await
    }

    /// The words of an error inside the stream, for the operator.
    fn detail(&self, error: &InBandError) -> String {
        let secrets: Vec<&Secret> = self.secrets.iter().collect();
        classify_in_band(error, Some(&self.provider), self.ticket.now(), &secrets).detail
    }

    /// Takes the end of the upstream's body if it is already there, so that the connection can be used again.
    fn finish_body(&mut self) {
        if let Some(response) = &mut self.beginning.response {
            let _ = response.next_chunk().now_or_never();
        }
    }

    fn book(&mut self) {
        let reader = &self.beginning.reader;
        self.ticket.book(Used {
            tokens: self.beginning.usage.or(reader.usage()),
            prompt_estimate: self.prompt_tokens,
            output_estimate: reader.output_estimate(),
            units: self.units.as_ref().map(|asked| asked.as_ref().clone().completed(reader.units())),
            cost_micros: self.beginning.cost_micros.or(reader.cost_micros()),
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
