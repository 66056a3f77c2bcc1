//! What a call asks for, checked against its token and the catalog: everything that attempts need.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Call, Relay,
    ending::Ending,
    quota::{OverLimit, RateState},
    ticket::Ticket,
};
use crate::{
    model::{
        catalog::{Catalog, Route},
        key::Key,
        secret::Secret,
        token::{Quota, QuotaUnit, Token},
        usage::Endpoint,
    },
    protocol::envelope::Envelope,
    scheduler::ledger::Candidate,
    upstream::models::secrets_of,
};

/// Tokens of output that are reserved from a quota when neither the call nor the catalog sets a limit. Most models of
/// unknown limits stop well below that.
const UNKNOWN_OUTPUT_LIMIT: u64 = 16_384;

/// Estimates of prompt tokens are raised by this much in a reservation, because they may fall short.
const ESTIMATE_MARGIN_PERCENT: u64 = 15;

/// A call that may be sent.
pub(super) struct Job {
    pub catalog: Arc<Catalog>,
    pub token: Arc<Token>,
    pub endpoint: Endpoint,
    pub envelope: Envelope,
    /// The model's name as the client sees it.
    pub public_model: String,
    /// Who could serve it.
    pub candidates: Vec<Candidate>,
    /// What stands behind each candidate, at the same place.
    pub targets: Vec<Target>,
    /// When the first content must be there.
    pub deadline: Instant,
    prompt_tokens: u64,
}

/// What stands behind a candidate.
pub(super) struct Target {
    pub route: Route,
    pub key: Arc<Key>,
}

impl Target {
    /// What a request to it carries and no text may repeat.
    pub fn secrets(&self) -> Vec<&Secret> {
        secrets_of(&self.route.channel.channel, &self.key.secret)
    }
}

impl Job {
    /// An estimate of the prompt's tokens.
    pub fn prompt_tokens(&self) -> u64 {
        self.prompt_tokens
    }
}

impl Relay {
    /// Checks a call. What is refused here never reaches an upstream.
    pub(super) fn prepare(
        &self,
        call: Call,
        catalog: Arc<Catalog>,
        ticket: &mut Ticket,
    ) -> Result<(Job, Option<RateState>), Ending> {
        self.open()?;
        let Call { token, endpoint, body, at, arrived, .. } = call;
        let envelope = Envelope::read(endpoint, body).map_err(|error| Ending::BadRequest {
            message: error.message,
            param: error.param.map(str::to_owned),
        })?;
        ticket.asked(&envelope.model, envelope.stream);
        if !token.allows_model(&envelope.model) {
            return Err(Ending::ModelNotAllowed { model: envelope.model });
        }
        let Some(model) = catalog.model(&envelope.model) else {
            return Err(Ending::ModelNotFound { model: envelope.model });
        };
        let mut routes: Vec<&Route> =
            model.routes.iter().filter(|route| token.allows_groups(&route.channel.channel.groups)).collect();
        if routes.is_empty() {
            return Err(Ending::ModelNotFound { model: envelope.model });
        }
        let rate = self.parts.meters.count_request(&token, at).map_err(over_limit)?;
        let prompt_tokens = envelope.prompt_estimate();
        if let Some(quota) = token.quota {
            if quota.unit == QuotaUnit::Dollars {
                routes.retain(|route| route.model.price.is_some());
                if routes.is_empty() {
                    return Err(Ending::NoPrice { model: envelope.model });
                }
            }
            let amount = reservation(quota, &envelope, prompt_tokens, &routes);
            let reserved = self.parts.meters.reserve(&token, quota, amount, at, &catalog.zone);
            ticket.reserved(reserved.map_err(over_limit)?);
        }
        let mut candidates = Vec::new();
        let mut targets = Vec::new();
        for route in routes {
            for key in route.channel.keys.iter().filter(|key| key.enabled) {
                candidates.push(Candidate {
                    channel: key.channel_id,
                    key: key.id,
                    model: rested_name(endpoint, &route.upstream_model),
                    group: key.quota_group.clone(),
                    priority: route.channel.channel.priority,
                    weight: route.channel.channel.weight,
                });
                targets.push(Target { route: route.clone(), key: key.clone() });
            }
        }
        let public_model = model.name.clone();
        let deadline =
            arrived + std::time::Duration::from_secs(catalog.settings.first_content_deadline_s.into());
        let job = Job {
            catalog,
            token,
            endpoint,
            envelope,
            public_model,
            candidates,
            targets,
            deadline,
            prompt_tokens,
        };
        Ok((job, rate))
    }
}

/// The name under which a model rests. A chat model that knows no embeddings must not rest for chat.
fn rested_name(endpoint: Endpoint, model: &Arc<str>) -> Arc<str> {
    match endpoint {
        Endpoint::Chat => model.clone(),
        other => format!("{model} ({other})").into(),
    }
}

fn over_limit(over: OverLimit) -> Ending {
    match over {
        OverLimit::Rate { retry_after } => Ending::TokenRate { retry_after },
        OverLimit::Quota { resets_in } => Ending::TokenQuota { resets_in },
    }
}

/// The most that the call may cost, in the quota's unit: no call starts whose reservation does not fit.
fn reservation(quota: Quota, envelope: &Envelope, prompt_estimate: u64, routes: &[&Route]) -> i64 {
    let prompt = prompt_estimate + prompt_estimate * ESTIMATE_MARGIN_PERCENT / 100 + 8;
    let output = |route: &Route| {
        if envelope.endpoint == Endpoint::Embeddings {
            return 0;
        }
        let limit = route.model.max_output.map(u64::from);
        let each = match (envelope.max_tokens, limit) {
            (Some(asked), Some(limit)) => asked.min(limit),
            (Some(asked), None) => asked,
            (None, limit) => limit.unwrap_or(UNKNOWN_OUTPUT_LIMIT),
        };
        each.saturating_mul(u64::from(envelope.choices.max(1)))
    };
    let worst = |cost: &dyn Fn(&Route) -> i64| routes.iter().map(|route| cost(route)).max().unwrap_or(0);
    match quota.unit {
        QuotaUnit::Requests => 1,
        QuotaUnit::Tokens => {
            worst(&|route| i64::try_from(prompt.saturating_add(output(route))).unwrap_or(i64::MAX))
        }
        QuotaUnit::Dollars => {
            worst(&|route| route.model.price.map_or(0, |price| price.cost_micros(prompt, 0, output(route))))
        }
    }
}
