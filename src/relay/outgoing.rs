//! What goes out to a candidate: the client's body as its provider wants it.

use bytes::Bytes;

use super::{
    Relay,
    job::{Job, Target},
};
use crate::{
    model::fix::{Fix, When},
    protocol::shape::{self, FormField},
    upstream::outcome::RejectedField,
};

/// How often a candidate is asked again without what it refused.
const MAX_ROUNDS: usize = 3;

/// The field by which a stream is asked for its usage; we add it.
const USAGE_OPTION: &str = "stream_options";

/// A body for a candidate.
pub(super) struct Outgoing {
    pub body: Bytes,
    /// The fields of the form that is sent in place of a body; none if it is no form.
    pub form: Vec<FormField>,
    /// The client's fields that it lacks.
    pub dropped: Vec<String>,
}

/// Fixes for what a candidate was seen to refuse.
pub(super) struct Remedies {
    /// From earlier calls.
    pub known: Vec<Fix>,
    /// Of this call: one per field and round.
    pub tried: Vec<Fix>,
    rounds: usize,
}

impl Remedies {
    pub fn new(known: Vec<Fix>) -> Self {
        Self { known, tried: Vec::new(), rounds: 0 }
    }

    /// Notes what was refused; whether it is worth asking once more.
    pub fn learn(&mut self, rejected: &[RejectedField]) -> bool {
        let before = self.tried.len();
        for field in rejected {
            if !self.tried.contains(&field.remedy) {
                self.tried.push(field.remedy.clone());
            }
        }
        self.rounds += 1;
        self.rounds <= MAX_ROUNDS && self.tried.len() > before
    }

    fn all(&self) -> impl Iterator<Item = &Fix> {
        self.known.iter().chain(&self.tried)
    }
}

impl Relay {
    /// The body for a candidate: its name of the model, what its provider's file and the channel's operator say, and
    /// without what it was seen to refuse.
    pub(super) fn outgoing(&self, job: &Job, target: &Target, remedies: &Remedies) -> Outgoing {
        let channel = &target.route.channel.channel;
        let model = &target.route.upstream_model;
        let provider = self.parts.catalog.provider_of(channel);
        let rules = provider.fixes_for(model, job.endpoint, job.envelope.stream, &channel.shaping.fixes);
        let always = When::default();
        let fixes = rules.map(|rule| (&rule.when, &rule.fix)).chain(remedies.all().map(|fix| (&always, fix)));
        if let Some(upload) = &job.upload {
            let mut form = upload.fields();
            let dropped = shape::apply_to_form(&mut form, fixes);
            return Outgoing { body: Bytes::new(), form, dropped };
        }
        let drops_usage =
            |fix: &Fix| matches!(fix, Fix::Drop(names) if names.iter().any(|name| name == USAGE_OPTION));
        let ask_usage = job.envelope.stream && job.has_stream_options() && !remedies.all().any(drops_usage);
        let body = job.envelope.patched(model, ask_usage);
        let form = Vec::new();
        match shape::apply(&body, fixes) {
            Some(shaped) => Outgoing { body: shaped.body, form, dropped: shaped.dropped },
            None => Outgoing { body, form, dropped: Vec::new() },
        }
    }
}
