//! Which routes can take what a call needs: tools, images, sound, a schema, reasoning, and room for its prompt.

use super::{
    Relay,
    ending::Ending,
    job::{Job, Serves, Target, add_stages},
};
use crate::{
    dispatch::{PlannedCall, Stage},
    model::{ability::Abilities, catalog::Route},
    protocol::envelope::{Envelope, Media},
};

/// Prompts shorter than this fit every model of which nobody says how much it reads.
const FITS_EVERYWHERE: u64 = 8000;

/// Something that a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Tools,
    Images,
    Audio,
    Schema,
    Reasoning,
    Room,
}

/// Whether a route takes what a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    Yes,
    Unknown,
    No,
}

/// Whether a model takes this.
fn takes(known: &Abilities, need: Need, prompt_tokens: u64) -> Takes {
    let said = match need {
        Need::Tools => known.tools,
        Need::Images => known.images,
        Need::Audio => known.audio,
        Need::Schema => known.schema,
        Need::Reasoning => known.reasoning,
        Need::Room => match known.window.map(u64::from) {
            Some(window) if prompt_tokens <= window => Some(true),
            // The estimate may be too high by a third, and only what surely does not fit is left out.
            Some(window) => (prompt_tokens - prompt_tokens / 4 > window).then_some(false),
            None => (prompt_tokens <= FITS_EVERYWHERE).then_some(true),
        },
    };
    match said {
        Some(true) => Takes::Yes,
        None => Takes::Unknown,
        Some(false) => Takes::No,
    }
}

/// What a call needs; nothing but room for most.
fn needs(envelope: &Envelope, media: Media) -> Vec<Need> {
    if !envelope.endpoint.shape().generates {
        return Vec::new();
    }
    let asks = [
        (envelope.needs.tools, Need::Tools),
        (media.images, Need::Images),
        (media.audio, Need::Audio),
        (envelope.needs.schema, Need::Schema),
        (envelope.needs.reasoning, Need::Reasoning),
        (true, Need::Room),
    ];
    asks.into_iter().filter(|(asked, _)| *asked).map(|(_, need)| need).collect()
}

impl Relay {
    /// Leaves out the routes that are known not to take what a call needs. Of each step those that are known to take it come
    /// first; the others are looked at without a wait when none of these has room.
    ///
    /// # Errors
    /// No route takes it: the ending names what is missing.
    pub(super) fn steer<'a>(
        &self,
        stages: Vec<Stage<'a>>,
        envelope: &Envelope,
        media: Media,
        prompt_tokens: u64,
    ) -> Result<Vec<Stage<'a>>, Ending> {
        let needs = needs(envelope, media);
        // Most calls: short, and text alone. A look at the windows that are known is enough.
        let has_room =
            |route: &&Route| route.context_window().is_none_or(|window| prompt_tokens <= window.into());
        let is_plain = needs.iter().all(|need| *need == Need::Room) && prompt_tokens <= FITS_EVERYWHERE;
        if is_plain && stages.iter().flat_map(|stage| &stage.routes).all(has_room) {
            return Ok(stages);
        }
        let judge = |route: &Route| {
            let known = route.abilities();
            needs
                .iter()
                .map(|need| (takes(&known, *need, prompt_tokens), *need))
                .max_by_key(|(takes, _)| *takes)
                .map_or((Takes::Yes, Need::Room, None), |(takes, need)| (takes, need, known.window))
        };
        let mut steered = Vec::with_capacity(stages.len());
        let (mut missing, mut largest) = (None, None);
        let mut any = false;
        for Stage { routes, spill_ms } in stages {
            let (mut known, mut unknown) = (Vec::new(), Vec::new());
            for route in routes {
                let (takes, need, window) = judge(route);
                match takes {
                    Takes::Yes => known.push(route),
                    Takes::Unknown => unknown.push(route),
                    Takes::No => {
                        missing.get_or_insert(need);
                        if need == Need::Room {
                            missing = Some(need);
                            largest = largest.max(window);
                        }
                    }
                }
            }
            any |= !known.is_empty() || !unknown.is_empty();
            match (known.is_empty(), unknown.is_empty()) {
                (_, true) => steered.push(Stage { routes: known, spill_ms }),
                (true, false) => steered.push(Stage { routes: unknown, spill_ms }),
                (false, false) => {
                    steered.push(Stage { routes: known, spill_ms: Some(0) });
                    steered.push(Stage { routes: unknown, spill_ms });
                }
            }
        }
        match missing.filter(|_| !any) {
            Some(need) => Err(refusal(need, &envelope.model, largest, prompt_tokens)),
            None => Ok(steered),
        }
    }

    /// Who else may serve a call that was too long for a model: those that are known to read more, in their order, and take
    /// what else it needs.
    pub(super) fn larger(&self, job: &Job, failed: &Target) -> Option<PlannedCall> {
        let window = |route: &Route| route.context_window().map(u64::from);
        let floor = window(&failed.route).unwrap_or_default().max(job.prompt_tokens());
        let model = job.catalog.model(&job.public_model)?;
        let serves = |route: &Route| match window(route) {
            Some(window) if window > floor => self.serves_call(route, job.endpoint, job.bound.as_deref()),
            _ => Serves::No,
        };
        let mut stages: Vec<Stage<'_>> = Vec::new();
        for step in &model.steps {
            add_stages(&mut stages, step, &job.token, job.endpoint, serves);
        }
        let (prompt_tokens, media) = job.envelope.prompt_measure();
        let mut stages = self.steer(stages, &job.envelope, media, prompt_tokens).ok()?;
        stages.retain(|stage| !stage.routes.is_empty());
        let most_wait = job.call.deadline.since(job.call.arrived);
        (!stages.is_empty())
            .then(|| self.parts.dispatch.plan(&stages, job.endpoint, job.call.class, most_wait))
    }
}

/// OpenAI's words for what a model does not take.
fn refusal(need: Need, model: &str, window: Option<u32>, prompt_tokens: u64) -> Ending {
    let lacking = |what: &str, param: &str| Ending::BadRequest {
        message: format!(
            "The model `{model}` does not {what}; ask for one that does, as GET /v1/models lists them."
        ),
        param: Some(param.to_owned()),
    };
    match need {
        Need::Tools => lacking("call tools", "tools"),
        Need::Images => lacking("take images", "messages"),
        Need::Audio => lacking("take audio", "messages"),
        Need::Schema => lacking("answer by a JSON schema", "response_format"),
        Need::Reasoning => lacking("reason", "reasoning_effort"),
        Need::Room => Ending::Refused {
            status: 400,
            message: format!(
                "This model's maximum context length is {} tokens. However, your messages resulted in about \
                 {prompt_tokens} tokens. Please reduce the length of the messages.",
                window.unwrap_or_default()
            ),
            param: Some("messages".to_owned()),
            code: Some("context_length_exceeded".to_owned()),
        },
    }
}
