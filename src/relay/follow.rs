//! Asks an upstream for what it keeps: how a video stands, its content, a stored response.
//!
//! Such a request goes to the key that made it, whatever rests, has no row and takes nothing of its key's limits. Its
//! answer names our ids and addresses only. Once it tells what a video cost, and nobody knew that before, the row of the call
//! that made the video has it, and
//! the budgets of its channel and key are charged.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Answer, AnswerBody, Relay,
    attempt::{Failure, before, broken},
    collect::{Body, read_whole},
    ending::Ending,
    error_answer,
    kept::{kept_answer, path_segment, unreadable},
    quota::OverRate,
    rate_headers,
    stream::LONGEST_ANSWER,
};
use crate::{
    model::{
        channel::EffectiveTimeouts,
        endpoint::Endpoint,
        id::RequestId,
        time::UnixMs,
        token::{ClientProfile, Token},
        upstream_job::{JobKind, JobPage, UpstreamJob},
        usage::OutcomeClass,
    },
    protocol::{
        error_body::MAX_ERROR_BYTES,
        job::{JobState, Names, rename, rewrite},
    },
    storage::StorageError,
    upstream::{
        client::{Extra, UpstreamCall, UpstreamResponse},
        models::secrets_of,
        outcome::{Answered, classify, sanitized_client_error},
    },
};

/// The largest answer that is not content, in bytes: responses may hold pictures.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// When to come back to an upstream that does not say.
const SOON: std::time::Duration = std::time::Duration::from_secs(5);

/// A client's request for what an upstream keeps.
pub struct JobCall {
    /// Its id.
    pub request_id: RequestId,
    /// Who asks.
    pub token: Arc<Token>,
    /// When it arrived.
    pub at: UnixMs,
    /// What it is about.
    pub kind: JobKind,
    /// Our address with `/v1`, for the addresses in the answer.
    pub base_url: String,
    /// What it asks.
    pub ask: JobAsk,
}

/// What a client asks of what an upstream keeps.
#[derive(Debug, Clone)]
pub enum JobAsk {
    /// Those of its token.
    List(JobPage),
    /// How one stands.
    Show {
        /// Our id.
        id: String,
        /// The query for the upstream, without `?`; empty if there is none.
        query: String,
    },
    /// To delete it.
    Delete {
        /// Our id.
        id: String,
    },
    /// To stop making it.
    Cancel {
        /// Our id.
        id: String,
    },
    /// What a response was asked.
    Inputs {
        /// Our id.
        id: String,
        /// As with `Show`.
        query: String,
    },
    /// The bytes.
    Content {
        /// Our id.
        id: String,
        /// As with `Show`.
        query: String,
        /// The client's `Range`.
        range: Option<HeaderValue>,
    },
}

impl JobAsk {
    fn id(&self) -> &str {
        match self {
            Self::List(_) => "",
            Self::Show { id, .. }
            | Self::Delete { id }
            | Self::Cancel { id }
            | Self::Inputs { id, .. }
            | Self::Content { id, .. } => id,
        }
    }

    /// The method, and what follows the upstream's id in the path.
    fn request(&self) -> (Method, String) {
        let with = |suffix: &str, query: &str| match query {
            "" => suffix.to_owned(),
            query => format!("{suffix}?{query}"),
        };
        match self {
            Self::List(_) => (Method::GET, String::new()),
            Self::Show { query, .. } => (Method::GET, with("", query)),
            Self::Delete { .. } => (Method::DELETE, String::new()),
            Self::Cancel { .. } => (Method::POST, "/cancel".into()),
            Self::Inputs { query, .. } => (Method::GET, with("/input_items", query)),
            Self::Content { query, .. } => (Method::GET, with("/content", query)),
        }
    }
}

impl Relay {
    /// Answers a request for what an upstream keeps; it has no usage row.
    pub async fn follow(&self, call: JobCall) -> Answer {
        let endpoint = match call.kind {
            JobKind::Video => Endpoint::Videos,
            JobKind::Response => Endpoint::Responses,
        };
        let refused = |ending: &Ending| {
            error_answer(&ending.told(ClientProfile::Generic), Some(endpoint), call.request_id)
        };
        if self.parts.draining.is_cancelled() {
            return refused(&Ending::ShuttingDown);
        }
        let rate = match self.parts.meters.count_request(&call.token, call.at) {
            Ok(rate) => rate,
            Err(OverRate { retry_after }) => return refused(&Ending::TokenRate { retry_after }),
        };
        let answer = tokio::select! {
            answer = self.followed(&call) => answer,
            () = self.parts.drained.cancelled() => Err(Ending::ShuttingDown),
        };
        let mut answer = answer.unwrap_or_else(|ending| refused(&ending));
        if let Some(rate) = rate {
            rate_headers(&mut answer.headers, rate);
        }
        answer
    }

    async fn followed(&self, call: &JobCall) -> Result<Answer, Ending> {
        if let JobAsk::List(page) = &call.ask {
            return self.list(call, page).await;
        }
        let job = self.find_job(call.token.id, call.kind, call.ask.id()).await?;
        let catalog = self.parts.catalog.load();
        Self::check_bound(&catalog, job.channel, job.key, job.kind)?;
        let unreachable = || Ending::JobUnreachable { kind: job.kind };
        let entry = catalog.channel(job.channel).ok_or_else(unreachable)?;
        let key = entry.keys.iter().find(|key| key.id == job.key).ok_or_else(unreachable)?;
        let timeouts = catalog.timeouts(&entry.channel);
        let (method, suffix) = call.ask.request();
        let path = format!("{}/{}{suffix}", &job.kind.path()[1..], path_segment(&job.upstream_id));
        let upstream_call = UpstreamCall {
            channel: &entry.channel,
            key: &key.secret,
            timeouts,
            method,
            path: &path,
            key_header: None,
            body: None,
            stream: false,
        };
        let mut extra = Extra { one_off: true, ..Extra::default() };
        if let JobAsk::Content { range, .. } = &call.ask {
            extra.accepts_any = true;
            extra.headers.extend(range.clone().map(|range| (header::RANGE, range)));
        }
        let first_by = Instant::now() + timeouts.first_byte;
        let sent = before(first_by, self.parts.clients.send_with(upstream_call, extra)).await;
        let sent = sent.map_err(|failure| failed(&job, &failure))?;
        let mut response = sent.map_err(|error| failed(&job, &broken(&error)))?;
        let status = response.status();
        let deletes = matches!(call.ask, JobAsk::Delete { .. });
        if !(200..300).contains(&status) {
            // What is gone there is deleted.
            if !(deletes && matches!(status, 404 | 410)) {
                let secrets = secrets_of(&entry.channel, &key.secret);
                let within = before(first_by, response.read_prefix(MAX_ERROR_BYTES)).await;
                let body = within.unwrap_or_default();
                let outcome = classify(&Answered {
                    status,
                    headers: response.headers(),
                    body: &body,
                    provider: Some(&self.parts.catalog.provider_of(&entry.channel)),
                    now: self.parts.clock.now(),
                    secrets: &secrets,
                });
                tracing::info!(
                    job = job.id, status, class = %outcome.class, detail = outcome.detail,
                    "an upstream does not answer for what it keeps"
                );
                if outcome.class == OutcomeClass::RateLimited {
                    return Err(Ending::PoolExhausted { retry_after: outcome.rest_for.unwrap_or(SOON) });
                }
                if !matches!(status, 400 | 404 | 405 | 409 | 410 | 413 | 416 | 422) {
                    return Err(Ending::JobUpstream { kind: job.kind, timeout: false });
                }
                let text = sanitized_client_error(status, &body, &secrets);
                let code = match status {
                    404 | 410 => Some("not_found".to_owned()),
                    _ => text.code,
                };
                let message = text.message.replace(&job.upstream_id, &job.id);
                return Err(Ending::Refused { status, message, param: text.param, code });
            }
        }
        if deletes {
            self.parts.db.delete_upstream_job(&job.id).await.map_err(|error| unreadable(&error))?;
            let object = if job.kind == JobKind::Video { "video.deleted" } else { "response" };
            return Ok(json_answer(&json!({"id": job.id, "object": object, "deleted": true})));
        }
        if matches!(call.ask, JobAsk::Content { .. }) {
            return self.content(&job, response, timeouts).await;
        }
        let body =
            read_whole(Body::default(), &mut response, first_by, timeouts.idle, MAX_ANSWER_BYTES).await;
        let body = body.map_err(|failure| failed(&job, &failure))?;
        let answer = self.renamed(call, &job, &body).await?;
        Ok(json_answer(&answer))
    }

    /// An answer about a job with our names.
    async fn renamed(&self, call: &JobCall, job: &UpstreamJob, body: &[u8]) -> Result<Value, Ending> {
        let unusable = || Ending::JobUpstream { kind: job.kind, timeout: false };
        let value: Value = serde_json::from_slice(body).map_err(|_| unusable())?;
        if matches!(call.ask, JobAsk::Inputs { .. }) {
            return rename(&value, &job.upstream_id, &job.id).ok_or_else(unusable);
        }
        let told = rewrite(&value, &names(job, &call.base_url)).ok_or_else(unusable)?;
        let mut answer = told.body;
        self.rename_source(job, &mut answer).await?;
        if let (JobState::Completed, Some(request_id), Some(cost)) =
            (told.state, job.unpriced_call, told.cost_micros)
        {
            // Known at last. What cannot be booked now is booked when it is asked for again.
            let zone = self.parts.catalog.load().zone.clone();
            match self.parts.db.book_job_cost(&job.id, request_id, cost, &zone).await {
                Ok(charges) => {
                    charges.iter().flatten().for_each(|charge| self.parts.meters.charge(charge));
                }
                Err(error) => tracing::warn!(%error, "what a video cost cannot be noted"),
            }
        }
        if job.kind == JobKind::Video {
            let noted = self.parts.db.note_job_answer(&job.id, &kept_answer(&answer)).await;
            if let Err(error) = noted {
                // The client has its answer all the same; lists show an older one.
                tracing::warn!(%error, "how a video stands cannot be noted");
            }
        }
        Ok(answer)
    }

    async fn list(&self, call: &JobCall, page: &JobPage) -> Result<Answer, Ending> {
        let listed = self.parts.db.upstream_jobs(call.token.id, call.kind, page).await;
        let (jobs, has_more) = listed.map_err(|error| match error {
            StorageError::Missing => Ending::BadRequest {
                message: "There is nothing with this id to go on after; leave out 'after' to begin anew."
                    .into(),
                param: Some("after".into()),
            },
            error => unreadable(&error),
        })?;
        let data: Vec<Value> = jobs.iter().map(|job| listed_job(job, &call.base_url)).collect();
        let id = |job: Option<&UpstreamJob>| job.map_or(Value::Null, |job| job.id.clone().into());
        let body = json!({
            "object": "list", "data": data, "has_more": has_more,
            "first_id": id(jobs.first()), "last_id": id(jobs.last()),
        });
        Ok(json_answer(&body))
    }

    /// The bytes of a video, asked of the upstream as fast as the client takes them.
    async fn content(
        &self,
        job: &UpstreamJob,
        response: UpstreamResponse,
        timeouts: EffectiveTimeouts,
    ) -> Result<Answer, Ending> {
        let mut response = response;
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml") {
            tracing::info!(job = job.id, kind, "an upstream sent a text in place of a video");
            return Err(Ending::JobUpstream { kind: job.kind, timeout: false });
        }
        let pictures = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"];
        let is_medium =
            kind.starts_with("video/") || kind.starts_with("audio/") || pictures.contains(&kind.as_str());
        let octets = HeaderValue::from_static("application/octet-stream");
        let content_type = HeaderValue::from_str(&kind).ok().filter(|_| is_medium).unwrap_or(octets);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type);
        // What an upstream sends is never a page of ours.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for name in [header::CONTENT_RANGE, header::ACCEPT_RANGES] {
            if let Some(value) = response.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let status = if response.status() == 206 { 206 } else { 200 };
        let length = response.length();
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        response.forget_headers();
        let pieces = Pieces {
            response,
            left: length,
            idle: timeouts.idle,
            ends_by: Instant::now() + LONGEST_ANSWER,
            drained: self.parts.drained.clone(),
            over: false,
        };
        let pieces = stream::unfold(Box::new(pieces), |mut pieces| async move {
            pieces.next().await.map(|piece| (piece, pieces))
        });
        Ok(Answer { status, headers, body: AnswerBody::Bytes(pieces.boxed()) })
    }
}

/// A download on its way.
struct Pieces {
    response: UpstreamResponse,
    /// What is still to come, if the upstream has said how much there is.
    left: Option<u64>,
    idle: std::time::Duration,
    ends_by: Instant,
    drained: tokio_util::sync::CancellationToken,
    over: bool,
}

impl Pieces {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.over {
            return None;
        }
        let by = (Instant::now() + self.idle).min(self.ends_by);
        let step = tokio::select! {
            biased;
            () = self.drained.cancelled() => Err("the server was stopping"),
            step = tokio::time::timeout_at(by, self.response.next_chunk()) => match step {
                Ok(Ok(piece)) => Ok(piece),
                Ok(Err(_)) => Err("the connection broke in the middle of the answer"),
                Err(_) => Err("the answer stalled"),
            },
        };
        let step = match step {
            Ok(None) if self.left.is_some_and(|left| left > 0) => Err("the answer ended early"),
            other => other,
        };
        match step {
            Ok(Some(piece)) => {
                self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                Some(Ok(piece))
            }
            Ok(None) => None,
            Err(detail) => {
                self.over = true;
                Some(Err(io::Error::other(detail)))
            }
        }
    }
}

fn names<'a>(job: &'a UpstreamJob, base_url: &'a str) -> Names<'a> {
    Names { kind: job.kind, id: &job.id, model: &job.model, base_url }
}

/// A job as lists show it: as it stood when it was last asked for, with today's addresses.
fn listed_job(job: &UpstreamJob, base_url: &str) -> Value {
    let kept = job.answer.as_deref().and_then(|answer| serde_json::from_str(answer).ok());
    let shown = kept.and_then(|kept: Value| rewrite(&kept, &names(job, base_url)));
    shown.map_or_else(
        || json!({"id": job.id, "object": job.kind, "model": job.model, "created_at": job.created_at.0 / 1000}),
        |shown| shown.body,
    )
}

fn failed(job: &UpstreamJob, failure: &Failure) -> Ending {
    let (detail, timeout) = match failure {
        Failure::Elsewhere { outcome, timeout, .. } => (outcome.detail.as_str(), *timeout),
        _ => ("", false),
    };
    tracing::info!(job = job.id, detail, "an upstream does not answer for what it keeps");
    Ending::JobUpstream { kind: job.kind, timeout }
}

fn json_answer(body: &Value) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Answer { status: 200, headers, body: AnswerBody::Whole(body.to_string().into()) }
}
