//! What upstreams keep for later: a video or a stored response gets an id of ours and a row that says which key made it,
//! before its client is told of it. A call that goes on from one is bound to that key.

use bytes::Bytes;
use serde_json::Value;

use super::{
    Call, Relay,
    ending::Ending,
    job::{Job, Target},
    upload::Upload,
};
use crate::{
    model::{
        catalog::{Catalog, Route},
        endpoint::Endpoint,
        id::{ChannelId, KeyId, RequestId, TokenId},
        upstream_job::{JobKind, UpstreamJob},
    },
    protocol::{
        envelope::{Envelope, EnvelopeError},
        job::{Names, rewrite},
        openai::stored::StoredIds,
    },
    storage::{Db, upstream_jobs::new_job_id},
};

/// The one key that a call may go to.
pub(super) struct Bound {
    pub channel: ChannelId,
    pub key: KeyId,
    /// The upstream's model, if it must be this one.
    upstream_model: Option<String>,
    /// The path below `/v1/`, if it is not the endpoint's.
    pub path: Option<String>,
    /// Our id of the response that it goes on from.
    pub previous: Option<String>,
}

impl Bound {
    /// Whether a route may be taken.
    pub fn allows(&self, route: &Route) -> bool {
        route.channel.channel.id == self.channel
            && self.upstream_model.as_deref().is_none_or(|model| *route.upstream_model == *model)
    }

    /// Why none may.
    pub fn without_route(&self, model: &str) -> Ending {
        match &self.previous {
            Some(_) => Ending::BadRequest {
                message: format!(
                    "The previous response is kept where the model `{model}` is not served; ask for the model that made it."
                ),
                param: Some("previous_response_id".into()),
            },
            None => Ending::JobUnreachable { kind: JobKind::Video },
        }
    }
}

/// What a call asks, and where it must go.
pub(super) struct Asked {
    pub envelope: Envelope,
    pub upload: Option<Upload>,
    pub bound: Option<Box<Bound>>,
}

/// A row that is to be written as soon as the upstream's id is known.
pub(super) struct Keep {
    db: Db,
    row: UpstreamJob,
}

impl Keep {
    /// Writes it.
    ///
    /// # Errors
    /// The database does not work: nobody would find it again.
    pub async fn write(mut self, upstream_id: String, answer: Option<String>) -> Result<(), Ending> {
        self.row.upstream_id = upstream_id;
        self.row.answer = answer;
        self.db.create_upstream_job(&self.row).await.map_err(|error| {
            tracing::error!(%error, "what an upstream keeps cannot be noted");
            Ending::NotRecording
        })
    }
}

impl Relay {
    /// Reads a call, and finds what it goes on from.
    pub(super) async fn understand(&self, call: &mut Call) -> Result<Asked, Ending> {
        let body = std::mem::take(&mut call.body);
        if let Some(id) = &call.remixes {
            let job = Box::pin(self.find_job(call.token.id, JobKind::Video, id)).await?;
            let envelope = Envelope::of_remix(&job.model, body).map_err(bad_request)?;
            let bound = Bound {
                channel: job.channel,
                key: job.key,
                upstream_model: Some(job.upstream_model),
                path: Some(format!("videos/{}/remix", path_segment(&job.upstream_id))),
                previous: None,
            };
            return Ok(Asked { envelope, upload: None, bound: Some(Box::new(bound)) });
        }
        let (mut envelope, upload) = match call.form.take() {
            Some(form) => (form.envelope, Some(form.upload)),
            None => (Envelope::read(call.endpoint, body).map_err(bad_request)?, None),
        };
        let Some(previous) = envelope.previous.clone() else {
            return Ok(Asked { envelope, upload, bound: None });
        };
        let found = Box::pin(self.find_job(call.token.id, JobKind::Response, &previous)).await;
        let job = found.map_err(|ending| match ending {
            Ending::NoSuchJob { .. } => Ending::BadRequest {
                message: "There is no stored response with this id; send the conversation without it.".into(),
                param: Some("previous_response_id".into()),
            },
            other => other,
        })?;
        envelope.set_previous(&job.upstream_id);
        let bound = Bound {
            channel: job.channel,
            key: job.key,
            upstream_model: None,
            path: None,
            previous: Some(previous),
        };
        Ok(Asked { envelope, upload, bound: Some(Box::new(bound)) })
    }

    /// The job of an id of ours, if it is the token's.
    pub(super) async fn find_job(
        &self,
        token: TokenId,
        kind: JobKind,
        id: &str,
    ) -> Result<UpstreamJob, Ending> {
        let found =
            self.parts.db.find_upstream_job(token, kind, id).await.map_err(|error| unreadable(&error))?;
        found.ok_or(Ending::NoSuchJob { kind })
    }

    /// The row that an answer from there needs, if the upstream keeps something.
    pub(super) fn keep(&self, job: &Job, target: &Target) -> Option<Keep> {
        let kind = if job.endpoint == Endpoint::Videos { JobKind::Video } else { JobKind::Response };
        let row = UpstreamJob {
            id: job.kept_id.clone()?,
            kind,
            token: job.token.id,
            channel: target.key.channel_id,
            key: target.key.id,
            upstream_id: String::new(),
            model: job.public_model.clone(),
            upstream_model: target.route.upstream_model.to_string(),
            created_at: self.parts.clock.now(),
            answer: None,
            unpriced_call: None,
        };
        Some(Keep { db: self.parts.db.clone(), row })
    }

    /// An answer in one piece as its client may see it, once what its upstream keeps is noted. `unpriced` is the call, if
    /// nobody knows yet what it costs.
    pub(super) async fn keep_whole(
        &self,
        job: &Job,
        target: &Target,
        body: Bytes,
        unpriced: Option<RequestId>,
    ) -> Result<Bytes, Ending> {
        let keep = self.keep(job, target);
        if let (Some(mut keep), Endpoint::Videos) = (keep, job.endpoint) {
            keep.row.unpriced_call = unpriced;
            let names = Names {
                kind: JobKind::Video,
                id: &keep.row.id,
                model: &job.public_model,
                base_url: job.base_url.as_deref().unwrap_or_default(),
            };
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            let mut answer = rewrite(&value, &names).ok_or(Ending::UpstreamFailed)?;
            self.rename_source(&keep.row, &mut answer.body).await?;
            let kept = kept_answer(&answer.body);
            keep.write(answer.upstream_id, Some(kept)).await?;
            return Ok(answer.body.to_string().into());
        }
        let Some(ids) = job.stored_ids() else { return Ok(body) };
        let (renamed, theirs) = ids.rename(&body);
        if let (Some(keep), Some(theirs)) = (self.keep(job, target), theirs) {
            keep.write(theirs, None).await?;
        }
        Ok(renamed)
    }

    /// Writes our id of what something was made of in place of the upstream's; `null` if it was not made here.
    pub(super) async fn rename_source(&self, job: &UpstreamJob, answer: &mut Value) -> Result<(), Ending> {
        for field in ["previous_response_id", "remixed_from_video_id"] {
            let Some(theirs) = answer.get(field).and_then(Value::as_str) else { continue };
            let found = self.parts.db.find_upstream_job_of_key(job, theirs).await;
            let ours = found.map_err(|error| unreadable(&error))?;
            answer[field] = ours.map_or(Value::Null, Value::from);
        }
        Ok(())
    }

    /// Whether the key that a call is bound to may be asked.
    pub(super) fn check_bound(
        catalog: &Catalog,
        channel: ChannelId,
        key: KeyId,
        kind: JobKind,
    ) -> Result<(), Ending> {
        let entry = catalog.channel(channel).filter(|entry| entry.channel.enabled);
        let usable = entry.is_some_and(|entry| entry.keys.iter().any(|its| its.id == key && its.enabled));
        if usable { Ok(()) } else { Err(Ending::JobUnreachable { kind }) }
    }
}

impl Job {
    /// What a stored response is called here, if the answer needs other ids than the upstream's.
    pub(super) fn stored_ids(&self) -> Option<StoredIds> {
        if self.endpoint != Endpoint::Responses {
            return None;
        }
        let previous = self.bound.as_ref().and_then(|bound| bound.previous.clone());
        (self.kept_id.is_some() || previous.is_some())
            .then(|| StoredIds { id: self.kept_id.clone(), previous })
    }
}

/// Our id for what the upstream is asked to keep, if it is.
pub(super) fn id_to_keep(envelope: &Envelope) -> Option<String> {
    match envelope.endpoint {
        Endpoint::Videos => Some(new_job_id(JobKind::Video)),
        _ => envelope.stores.then(|| new_job_id(JobKind::Response)),
    }
}

/// What lists show of a video: no prompt is kept.
pub(super) fn kept_answer(body: &Value) -> String {
    let mut kept = body.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.remove("prompt");
    }
    kept.to_string()
}

/// An upstream's id as a segment of a path.
pub(super) fn path_segment(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    id.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

pub(super) fn bad_request(error: EnvelopeError) -> Ending {
    Ending::BadRequest { message: error.message, param: error.param.map(str::to_owned) }
}

/// The database does not answer.
pub(super) fn unreadable(error: &crate::storage::StorageError) -> Ending {
    tracing::error!(%error, "what an upstream keeps cannot be looked up");
    Ending::NotRecording
}
