//! What OpenClaw is told, and how it reads that.
//!
//! OpenClaw decides by status, text and `Retry-After` what becomes of a turn. An answer that it reads as one about
//! credentials or money makes it leave *every* model of the provider alone, for half a minute up to a day; after a 5xx or a short
//! `Retry-After` it asks the same model again for one to two minutes; a limit that lasts longer than a minute, a refused
//! request and an unknown model make it go on with its next model at once.
//!
//! Source: the package `openclaw` 2026.9.6 on npm, `dist/classify-core-*.mjs` (what counts before the text) and
//! `dist/retry-evidence-*.mjs` (which limits are long), and what it was seen to do. The texts are in
//! [`crate::protocol::openclaw`].

use std::time::Duration;

use super::{Ending, Told};
use crate::protocol::openclaw::{Reading, reading_of};

/// OpenClaw goes on with its next model at once when it is asked to wait for longer than a minute.
const LEAST: Duration = Duration::from_secs(61);

/// Without a next model it sleeps for as long as it is told, so it is never told to sleep for long.
const MOST: Duration = Duration::from_secs(120);

/// What OpenClaw is told.
pub(super) fn told(ending: &Ending) -> Told {
    let usual = ending.usual();
    let told = match ending {
        // A 403 makes it leave the whole provider alone.
        Ending::ModelNotAllowed { .. } | Ending::NoPrice { .. } => {
            Told { status: 404, code: "model_not_found".into(), ..usual }
        }
        // A 413 makes it shorten the conversation, which may not help: the instructions alone may be too long for such a key.
        Ending::OverKeyLimits => Told {
            status: 400,
            code: "over_key_limits".into(),
            message: "No key for this model takes a request of this size.".into(),
            ..usual
        },
        // It takes `insufficient_quota` for an empty account, also after the quota was raised.
        Ending::TokenQuota { resets_in } => {
            cooldown("rate_limit_exceeded", "Usage limit of this token reached", *resets_in)
        }
        Ending::PoolExhausted { retry_after } => cooldown(
            "pool_exhausted",
            "model_cooldown: every key for this model is at its limit",
            Some(*retry_after),
        ),
        Ending::NoChannel { retry_after } => {
            cooldown("model_cooldown", "model_cooldown: no channel can serve this model now", *retry_after)
        }
        Ending::UpstreamFailed => {
            cooldown("model_cooldown", "model_cooldown: every upstream of this model failed", None)
        }
        Ending::UpstreamTimeout => {
            cooldown("model_cooldown", "model_cooldown: every upstream of this model was too slow", None)
        }
        // This lasts until somebody has seen to it, so no call of the provider is worth trying again soon.
        Ending::NotRecording => cooldown(
            "not_recording",
            "model_cooldown: the server cannot save its usage log and takes no calls; its operator sees why",
            None,
        ),
        // Inside a stream its text alone decides. Here it keeps what it has, and asks the same model to go on,
        Ending::Interrupted { another: true } => Told {
            message: "server_error: the upstream broke the answer off; try again in 1 s.".into(),
            ..usual
        },
        // and here it goes on with its next model.
        Ending::Interrupted { another: false } => Told {
            retry_after: None,
            should_retry: None,
            ..cooldown(
                "upstream_interrupted",
                "model_cooldown: the upstream broke the answer off",
                Some(MOST),
            )
        },
        // A restart takes seconds and concerns all models: it is to try again. Inside a stream these words tell it to.
        Ending::ShuttingDown => {
            Told { message: "server_error: the server is stopping; try again in 5 s.".into(), ..usual }
        }
        _ => usual,
    };
    match ending {
        // The owner of a token must see that it is not taken.
        Ending::BadToken { .. } | Ending::AddressNotAllowed => told,
        _ if is_misread(&told) => Told { message: NEUTRAL.into(), ..told },
        _ => told,
    }
}

/// In place of words of an upstream's or a client's that would be misread.
const NEUTRAL: &str = "The request was refused as invalid; the operator's usage log has the reason.";

fn cooldown(code: &str, what: &str, retry_after: Option<Duration>) -> Told {
    let wait = retry_after.unwrap_or_default().clamp(LEAST, MOST);
    let seconds = wait.as_millis().div_ceil(1000);
    Told {
        status: 429,
        kind: "rate_limit_error",
        code: code.into(),
        message: format!("{what}; try again in {seconds} s."),
        param: None,
        retry_after: Some(wait),
        should_retry: Some(false),
    }
}

/// Whether it is about something else than it says: only a token is a matter of credentials, nothing one of money, and an invalid
/// request is not worth trying again.
fn is_misread(told: &Told) -> bool {
    match reading(Some(told.status), &told.message) {
        Reading::Auth | Reading::Billing => true,
        Reading::RateLimit | Reading::Overloaded | Reading::Trouble => matches!(told.status, 400..=428),
        Reading::ContextOverflow | Reading::ModelNotFound | Reading::Format => false,
    }
}

/// Words that OpenClaw looks for in longer phrases, each taken as the worse reading here.
const COARSE: &[(Reading, &[&str])] = &[
    (Reading::ContextOverflow, &["input is too long for", "exceeds the limit of"]),
    (Reading::Billing, &["more credits", "current plan"]),
    (Reading::Overloaded, &["at capacity"]),
    (Reading::Auth, &["expired"]),
];

/// Numbers and short words that count as whole words only.
const WORDS: &[(Reading, &[&str])] =
    &[(Reading::Billing, &["402"]), (Reading::RateLimit, &["429", "tpm"]), (Reading::Auth, &["401", "403"])];

/// What an error with a text is taken for. Where OpenClaw is more exact, the worse reading is taken.
fn reading(status: Option<u16>, text: &str) -> Reading {
    let of_text = reading_of_text(text);
    match (status, of_text) {
        (Some(402), _) => Reading::Billing,
        (Some(429), Some(Reading::Billing)) => Reading::Billing,
        (Some(429), _) => Reading::RateLimit,
        (Some(401 | 403), Some(Reading::Billing)) => Reading::Billing,
        (Some(401 | 403), _) => Reading::Auth,
        (Some(408), _) => Reading::Trouble,
        (_, Some(Reading::ContextOverflow)) => Reading::ContextOverflow,
        (Some(413), _) => Reading::ContextOverflow,
        (Some(404 | 410), Some(Reading::Billing | Reading::Auth)) => of_text.unwrap_or(Reading::Auth),
        (Some(404), _) => Reading::ModelNotFound,
        (Some(410 | 500..), _) => Reading::Trouble,
        (Some(_), found) => found.unwrap_or(Reading::Format),
        // A text that says nothing ends the turn; whoever asks for that treats it as trouble.
        (None, found) => found.unwrap_or(Reading::Trouble),
    }
}

fn reading_of_text(text: &str) -> Option<Reading> {
    reading_of(text, |reading, text| {
        let listed = |table: &[(Reading, &'static [&'static str])]| {
            table
                .iter()
                .filter(|(of, _)| *of == reading)
                .flat_map(|(_, words)| *words)
                .copied()
                .collect::<Vec<_>>()
        };
        listed(COARSE).iter().any(|phrase| text.contains(phrase))
            || listed(WORDS).iter().any(|word| {
                text.split(|char: char| !char.is_alphanumeric() && char != '_').any(|other| other == *word)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        endpoint::{Dialect, Endpoint},
        token::ClientProfile,
        upstream_job::JobKind,
    };

    /// What OpenClaw does with an answer.
    #[derive(Debug, PartialEq, Eq)]
    enum Does {
        /// Asks its next model at once.
        NextModel,
        /// Asks the same model again.
        SameModel,
        /// Leaves the provider alone.
        BlocksProvider,
        /// Shortens the conversation.
        Compacts,
    }

    /// The longest wait that a text announces, in seconds.
    fn seconds_in(text: &str) -> Option<u64> {
        let after = text.rsplit_once("try again in ")?.1;
        after.split_once(" s")?.0.parse().ok()
    }

    fn does(status: Option<u16>, text: &str, retry_after_s: Option<u64>) -> Does {
        let long = retry_after_s.max(seconds_in(text)).is_some_and(|seconds| seconds > 60);
        match reading(status, text) {
            Reading::Auth | Reading::Billing => Does::BlocksProvider,
            Reading::RateLimit if long => Does::NextModel,
            Reading::RateLimit | Reading::Overloaded | Reading::Trouble => Does::SameModel,
            Reading::ModelNotFound | Reading::Format => Does::NextModel,
            Reading::ContextOverflow => Does::Compacts,
        }
    }

    fn endings() -> Vec<(Ending, Does)> {
        use Does::{BlocksProvider, Compacts, NextModel, SameModel};
        let model = || "nvidia/llama-401:free".to_owned();
        let refused = |message: &str, code: Option<&str>| Ending::Refused {
            status: 400,
            message: message.into(),
            param: None,
            code: code.map(str::to_owned),
        };
        let seconds = Duration::from_secs;
        vec![
            (Ending::BadToken { message: "This token is not known here." }, BlocksProvider),
            (Ending::BadToken { message: "This token has ended." }, BlocksProvider),
            (Ending::AddressNotAllowed, BlocksProvider),
            (Ending::BadRequest { message: "`model` is missing.".into(), param: None }, NextModel),
            (refused("temperature must be at most 2", None), NextModel),
            (refused("fetching the image failed: 403 Forbidden", None), NextModel),
            (refused("Unauthorized tool; your plan requires more credits", None), NextModel),
            (refused("the upload timed out", None), NextModel),
            (
                refused(
                    "This model's maximum context length is 8192 tokens. However, you requested 9000.",
                    Some("context_length_exceeded"),
                ),
                Compacts,
            ),
            (Ending::TooLarge { limit: 64 << 20 }, Compacts),
            (Ending::OverKeyLimits, NextModel),
            (Ending::ModelNotAllowed { model: model() }, NextModel),
            (Ending::NoPrice { model: model() }, NextModel),
            (Ending::ModelNotFound { model: model() }, NextModel),
            (Ending::NotOnEndpoint { model: model(), endpoint: Endpoint::Chat }, NextModel),
            (Ending::NoSuchJob { kind: JobKind::Response }, NextModel),
            (Ending::TokenRate { retry_after: seconds(60) }, SameModel),
            (Ending::TokenQuota { resets_in: None }, NextModel),
            (Ending::TokenQuota { resets_in: Some(seconds(5)) }, NextModel),
            (Ending::PoolExhausted { retry_after: seconds(3) }, NextModel),
            (Ending::PoolExhausted { retry_after: seconds(30_000) }, NextModel),
            (Ending::NoChannel { retry_after: None }, NextModel),
            (Ending::NoChannel { retry_after: Some(seconds(2)) }, NextModel),
            (Ending::UpstreamFailed, NextModel),
            (Ending::UpstreamTimeout, NextModel),
            (Ending::NotRecording, NextModel),
            (Ending::ShuttingDown, SameModel),
        ]
    }

    #[test]
    fn openclaw_does_the_right_thing_with_every_ending_and_blocks_the_provider_for_a_bad_token_only() {
        for (ending, expected) in endings() {
            let told = ending.told(ClientProfile::OpenClaw);
            let text = format!("{} (request id: 0199c2f0-1111-7401-8403-429000000402)", told.message);
            assert_eq!(does(Some(told.status), &text, told.retry_after_s()), expected, "{told:?}");
            let other = ending.told(ClientProfile::Generic);
            assert_eq!(other, ending.usual(), "nobody else is told otherwise");
        }
    }

    #[test]
    fn inside_a_stream_the_words_alone_lead_it_to_its_next_model_in_every_dialect() {
        let outages = [
            Ending::PoolExhausted { retry_after: Duration::from_secs(3) },
            Ending::NoChannel { retry_after: None },
            Ending::UpstreamFailed,
            Ending::UpstreamTimeout,
            Ending::Interrupted { another: false },
            Ending::ModelNotFound { model: "m".into() },
        ];
        for ending in outages {
            let told = ending.told(ClientProfile::OpenClaw);
            for dialect in [Dialect::Chat, Dialect::Response, Dialect::Message] {
                let (_, event) = told.event(dialect, "x");
                let error = if event["error"].is_object() { &event["error"] } else { &event };
                // Of Anthropic's it reads the message alone, of the others more.
                let text = error["message"].as_str().expect("a message");
                assert_eq!(does(None, text, None), Does::NextModel, "{dialect:?}: {event}");
            }
        }
        let stopping = Ending::ShuttingDown.told(ClientProfile::OpenClaw);
        assert_eq!(does(None, &stopping.message, None), Does::SameModel);
        assert_eq!(reading_of_text(&stopping.message), Some(Reading::Trouble), "words that it knows");
    }

    #[test]
    fn without_a_next_model_it_never_sleeps_for_longer_than_two_minutes() {
        for (ending, _) in endings() {
            let wait = ending.told(ClientProfile::OpenClaw).retry_after_s();
            assert!(wait.is_none_or(|seconds| seconds <= 120), "{ending:?}: {wait:?}");
        }
    }

    #[test]
    fn words_that_would_be_misread_are_left_out_and_no_others() {
        let told = |message: &str| {
            let ending = Ending::Refused { status: 400, message: message.into(), param: None, code: None };
            ending.told(ClientProfile::OpenClaw).message
        };
        assert_eq!(told("temperature must be at most 2"), "temperature must be at most 2");
        assert_eq!(told("The tool `x` needs 4013 characters"), "The tool `x` needs 4013 characters");
        for misread in
            ["HTTP 401 from the tool", "余额不足", "credit balance too low", "系统繁忙", "link expired"]
        {
            assert_eq!(told(misread), NEUTRAL, "{misread}");
        }
    }
}
