//! One relayed call, from a client's request to its answer and its usage row.
//!
//! The walk, in the order of the files: [`Relay::serve`] checks the call against its token ([`quota`]) and the catalog
//! (`job`); `search` asks the [`Dispatch`] where to send it, waits in line if it must, and tries one candidate after the other
//! (each an `attempt`) until one has real content; `stream` pipes
//! that on, or `download` if it is no events but bytes, or the answer goes out whole (`collect`); `ticket` keeps the books and hands the row to the [`recorder`]. How a
//! call may end otherwise, and what the client is told then, is in [`ending`].
//!
//! Nothing here knows that HTML exists.

mod attempt;
mod capable;
mod collect;
mod download;
pub mod ending;
pub mod follow;
pub mod in_flight;
mod job;
mod kept;
mod outgoing;
pub mod quota;
pub mod recorder;
mod rejections;
pub mod response_cache;
mod search;
pub mod served;
mod stream;
mod ticket;
pub mod upload;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    model::{
        endpoint::{Dialect, Endpoint},
        id::RequestId,
        time::{Clock, UnixMs},
        token::{ClientProfile, Token},
    },
    protocol::envelope::Envelope,
    scheduler::queue::Class,
    storage::{Db, catalog::CatalogStore},
    upstream::client::Clients,
};
use attempt::Found;
use ending::Ending;
use in_flight::CallsInFlight;
use job::{Job, Source};
use quota::{Meters, RateState};
use recorder::Recorder;
use rejections::Rejections;
use ticket::{Ticket, Used};
use upload::{Upload, UploadFolder};

/// What the relay works with.
pub struct Parts {
    /// What upstreams keep for later.
    pub db: Db,
    /// Channels, keys, tokens and settings.
    pub catalog: CatalogStore,
    /// The network to vendors.
    pub clients: Clients,
    /// Which key may be sent to now, and who waits.
    pub dispatch: Dispatch,
    /// What each token may spend.
    pub meters: Meters,
    /// Where usage rows go.
    pub recorder: Recorder,
    /// Which calls are under way, for pages.
    pub in_flight: CallsInFlight,
    /// Where large forms are kept while they are sent.
    pub uploads: UploadFolder,
    /// The time.
    pub clock: Clock,
    /// Set when the server is stopping: no new calls.
    pub draining: CancellationToken,
    /// Set when calls that still run must end.
    pub drained: CancellationToken,
}

/// Relays calls. Shared by all of them.
pub struct Relay {
    parts: Parts,
    /// What upstream models refuse, so that it is not sent there again.
    rejections: Rejections,
}

/// A client's call whose token was accepted.
pub struct Call {
    /// Its id.
    pub request_id: RequestId,
    /// Who asks.
    pub token: Arc<Token>,
    /// On which endpoint.
    pub endpoint: Endpoint,
    /// The body, as it came; empty if it is a form.
    pub body: Bytes,
    /// The form, if the endpoint takes one.
    pub form: Option<Form>,
    /// When the request arrived.
    pub at: UnixMs,
    /// The same, on the clock that durations are measured with.
    pub arrived: Instant,
    /// Where it came from.
    pub client_address: IpAddr,
    /// What kind of client it is, such as `openai-python`.
    pub client_kind: String,
    /// Its version, or that of the library that it calls with, by name.
    pub client_version: Option<String>,
    /// The trace id of its `traceparent`.
    pub trace_id: Option<String>,
    /// What its client calls the conversation that it belongs to, if its headers say.
    pub session: Option<String>,
    /// Whether somebody waits for the answer.
    pub class: Class,
    /// What its headers say of an upstream's cache of answers.
    pub cache: response_cache::Headers,
    /// Our address with `/v1`, where answers name it.
    pub base_url: Option<String>,
    /// The video that it makes anew, by our id.
    pub remixes: Option<String>,
    /// Headers of the client's that go to the upstream, such as Anthropic's version.
    pub passed: Vec<(HeaderName, HeaderValue)>,
}

impl Call {
    /// How its client reads errors: as its token says, or as OpenClaw does if the call carries the header by which its
    /// export makes it known.
    pub fn profile(&self) -> ClientProfile {
        if self.client_kind == "openclaw" { ClientProfile::OpenClaw } else { self.token.profile }
    }
}

/// A form that was read.
pub struct Form {
    /// What it asks.
    pub envelope: Envelope,
    /// All of it, to be sent on.
    pub upload: Upload,
}

/// What goes back to the client.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, without those of the connection.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an [`Answer`].
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// Events. Dropping the stream cancels the upstream call and records what was used.
    Events(BoxStream<'static, Bytes>),
    /// Bytes as they come; after an error the connection must be closed, so that nobody takes a part for the whole.
    /// Dropping it does the same as with events.
    Bytes(BoxStream<'static, std::io::Result<Bytes>>),
}

/// A search for content that is under way; it gives its job and ticket back.
type Search = BoxFuture<'static, (Result<(Found, Source), Ending>, Job, Ticket)>;

impl Relay {
    /// A relay with nothing under way.
    pub fn new(parts: Parts) -> Self {
        Self { parts, rejections: Rejections::default() }
    }

    /// Serves a call. Whatever happens, one usage row is written, also if the future or the answer's body is dropped
    /// because the client left.
    pub async fn serve(self: &Arc<Self>, mut call: Call) -> Answer {
        let catalog = self.parts.catalog.load();
        let mut ticket = self.ticket(&call);
        let (profile, rate_limit) = (call.profile(), call.token.requests_per_minute);
        let endpoint = call.endpoint;
        let asked = match self.open() {
            Ok(()) => self.understand(&mut call).await,
            Err(ending) => Err(ending),
        };
        let prepared = asked.and_then(|asked| self.prepare(call, asked, catalog, &mut ticket));
        let (job, rate) = match prepared {
            Ok(prepared) => prepared,
            Err(ending) => {
                let mut answer = refuse(ticket, &ending, profile).await;
                if let (Ending::TokenRate { .. }, Some(limit)) = (&ending, rate_limit) {
                    rate_headers(&mut answer.headers, RateState::used_up(limit));
                }
                return answer;
            }
        };
        let stream = job.envelope.stream;
        let keepalive_after = Duration::from_millis(job.catalog.settings.keepalive_after_ms.into());
        let mut search = self.clone().search(job, ticket);
        let mut answer = tokio::select! {
            (found, job, ticket) = &mut search => match found {
                Ok((Found::Whole(whole), source)) => self.whole_answer(whole, source, job, ticket).await,
                Ok((Found::Stream(live), source)) => {
                    let headers = headers(&job, &ticket, "text/event-stream");
                    let events = stream::events(live, source, self.clone(), job, ticket);
                    Answer { status: 200, headers, body: AnswerBody::Events(events) }
                }
                Ok((Found::Download(download), source)) => {
                    download::answer(download, source, self.clone(), job, ticket)
                }
                Err(ending) => refuse(ticket, &ending, profile).await,
            },
            // From here on the status is 200, and a failure becomes an error event.
            () = tokio::time::sleep(keepalive_after), if stream => {
                let mut headers = HeaderMap::new();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                let events = stream::events_after_waiting(search, self.clone(), profile, endpoint);
                Answer { status: 200, headers, body: AnswerBody::Events(events) }
            }
        };
        if let Some(rate) = rate {
            rate_headers(&mut answer.headers, rate);
        }
        if matches!(answer.body, AnswerBody::Events(_)) {
            answer.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
            answer.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        answer
    }

    /// How many usage rows are only in memory.
    pub fn unwritten_rows(&self) -> usize {
        self.parts.recorder.waiting_rows()
    }

    /// Where large forms are kept while they are sent.
    pub fn uploads(&self) -> UploadFolder {
        self.parts.uploads.clone()
    }

    /// Answers a call whose request could not be read; it has its usage row too.
    pub async fn turn_away(&self, call: Call, ending: &Ending) -> Answer {
        let ticket = self.ticket(&call);
        refuse(ticket, ending, call.profile()).await
    }

    async fn whole_answer(
        &self,
        whole: attempt::Whole,
        source: Source,
        job: Job,
        mut ticket: Ticket,
    ) -> Answer {
        let content_type =
            if job.envelope.plain_text { "text/plain; charset=utf-8" } else { "application/json" };
        let headers = headers(&job, &ticket, content_type);
        let output = if job.endpoint.shape().generates { whole.output_estimate } else { 0 };
        ticket.book(Used {
            tokens: whole.usage,
            prompt_estimate: job.prompt_tokens(),
            output_estimate: output,
            units: whole.units.map(|units| job.asked_units().completed(*units)),
            cost_micros: whole.cost_micros,
        });
        let Source { target, permit } = source;
        permit.settle(ticket.used());
        let mut body = whole.body;
        if job.keeps() {
            match Box::pin(self.keep_whole(&job, &target, body, ticket.unpriced())).await {
                Ok(renamed) => body = renamed,
                Err(ending) => return refuse(ticket, &ending, job.profile).await,
            }
        }
        ticket.succeed().await;
        Answer { status: 200, headers, body: AnswerBody::Whole(body) }
    }

    fn ticket(&self, call: &Call) -> Ticket {
        let Parts { recorder, clock, in_flight, .. } = &self.parts;
        Ticket::open(recorder.clone(), clock.clone(), in_flight.clone(), call)
    }

    /// Whether new calls may come now.
    fn open(&self) -> Result<(), Ending> {
        if self.parts.draining.is_cancelled() {
            return Err(Ending::ShuttingDown);
        }
        if !self.parts.recorder.accepting() {
            return Err(Ending::NotRecording);
        }
        Ok(())
    }

    /// Searches for content; ends early when the server must stop.
    fn search(self: Arc<Self>, mut job: Job, mut ticket: Ticket) -> Search {
        async move {
            let found = tokio::select! {
                found = self.find_content(&mut job, &mut ticket) => found,
                () = self.parts.drained.cancelled() => Err(Ending::ShuttingDown),
            };
            (found, job, ticket)
        }
        .boxed()
    }

    /// The time between two keep-alives.
    fn keepalive_every(&self) -> Duration {
        Duration::from_millis(self.parts.catalog.load().settings.keepalive_every_ms.into())
    }
}

/// Books a call that ends without an answer, and says so.
async fn refuse(mut ticket: Ticket, ending: &Ending, profile: ClientProfile) -> Answer {
    let told = ending.told(profile);
    ticket.fail(ending, told.status, &told.code).await;
    error_answer(&told, Some(ticket.endpoint()), ticket.request_id())
}

/// The answer to a call that was refused or failed, in the shape of its endpoint; OpenAI's if it was on none.
pub fn error_answer(told: &ending::Told, endpoint: Option<Endpoint>, request_id: RequestId) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = told.retry_after_s() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(should_retry) = told.should_retry {
        let text = if should_retry { "true" } else { "false" };
        headers.insert("x-should-retry", HeaderValue::from_static(text));
    }
    let request_id = request_id.to_string();
    let body = match endpoint.map(|endpoint| endpoint.shape().dialect) {
        Some(Dialect::Message) => told.json_of_messages(&request_id),
        _ => told.json(&request_id),
    };
    let body = body.to_string();
    Answer { status: told.status, headers, body: AnswerBody::Whole(body.into()) }
}

fn headers(job: &Job, ticket: &Ticket, content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(ticket.cache_told().iter().cloned());
    if job.catalog.settings.diagnostic_headers {
        ticket.diagnose(&mut headers, &job.catalog);
    }
    headers
}

fn rate_headers(headers: &mut HeaderMap, rate: RateState) {
    headers.insert("x-ratelimit-limit-requests", rate.limit.into());
    headers.insert("x-ratelimit-remaining-requests", rate.remaining.into());
    if let Ok(reset) = HeaderValue::from_str(&format!("{}s", rate.reset.as_secs())) {
        headers.insert("x-ratelimit-reset-requests", reset);
    }
}
