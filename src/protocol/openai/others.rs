//! Answers in one piece of the endpoints beside chat: pictures, verdicts, rankings, what was heard, and the objects of
//! `/responses` and `/messages`.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    model::{
        endpoint::{Dialect, Endpoint},
        usage::{TokenCounts, Units},
    },
    protocol::{
        envelope::{short_text, video_ms},
        error_body::ErrorBody,
        estimate::TextMeter,
        json::{peek, quoted, says_something},
    },
};

use super::{
    InBandError,
    answer::{BadAnswer, readable},
    error_in_array,
    usage::{Reported, milliseconds, searches},
    with_model,
};

/// The most pictures that one answer is believed to hold.
const MAX_PICTURES: usize = 1000;

/// A usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherAnswer {
    /// What to send on: the same bytes but for the model's public name and blank space before the JSON.
    pub body: Bytes,
    /// The tokens that it reports, if plausible.
    pub usage: Option<TokenCounts>,
    /// What it says that it cost, in micro-dollars, if that can be believed.
    pub cost_micros: Option<i64>,
    /// An estimate of the tokens of its text; 0 where the answer is no text.
    pub output_estimate: u64,
    /// What it says of its endpoint's own units: pictures, their size and quality, the time that was heard, searches.
    pub units: Units,
}

peek! {
    /// An answer, or the `response` or `message` inside an event.
    pub(super) OtherPeek {
        model: &'a RawValue = "model",
        object: &'a RawValue = "object",
        kind: &'a RawValue = "type",
        error: &'a RawValue = "error",
        usage: &'a RawValue = "usage",
        meta: MetaPeek<'a> = "meta",
        data: &'a RawValue = "data",
        images: &'a RawValue = "images",
        results: &'a RawValue = "results",
        output: &'a RawValue = "output",
        content: &'a RawValue = "content",
        stop_reason: &'a RawValue = "stop_reason",
        status: &'a RawValue = "status",
        text: &'a RawValue = "text",
        duration: &'a RawValue = "duration",
        size: &'a RawValue = "size",
        quality: &'a RawValue = "quality",
        id: &'a RawValue = "id",
        seconds: &'a RawValue = "seconds",
        message: &'a RawValue = "message",
        detail: &'a RawValue = "detail",
        title: &'a RawValue = "title",
    }
}
peek! {
    /// What Cohere, Jina and SiliconFlow say of a ranking's cost.
    MetaPeek { tokens: &'a RawValue = "tokens", billed_units: BilledPeek<'a> = "billed_units" }
}
peek! {
    /// What Cohere charges for (<https://docs.cohere.com/reference/rerank>).
    BilledPeek { search_units: &'a RawValue = "search_units" }
}

/// Reads the body of a 200 on one of these endpoints. Speech and plain text are none of its business.
///
/// # Errors
/// The body is no usable answer.
pub fn read_other(endpoint: Endpoint, public_model: &str, body: &Bytes) -> Result<OtherAnswer, BadAnswer> {
    let (body, text) = readable(body)?;
    if text.starts_with('[') {
        return Err(
            error_in_array(text).map_or(BadAnswer::NotJson, |error| BadAnswer::InBandError(Box::new(error)))
        );
    }
    if !text.starts_with('{') {
        return Err(BadAnswer::NotJson);
    }
    let peek: OtherPeek<'_> = serde_json::from_str(text).map_err(|_| BadAnswer::NotJson)?;
    if let Some(error) = peek.find_error(text) {
        return Err(BadAnswer::InBandError(Box::new(error)));
    }
    let dialect = endpoint.shape().dialect;
    if !peek.says(dialect)? {
        return Err(BadAnswer::Empty);
    }
    let mut meter = TextMeter::default();
    for raw in [peek.output, peek.content].into_iter().flatten() {
        meter.add_json(raw.get().as_bytes());
    }
    let reported = peek.reported();
    let heard = peek.duration.and_then(seconds).or(reported.and_then(|reported| reported.audio_ms()));
    let units = match dialect {
        Dialect::Images => Units {
            images: peek.pictures() as u64,
            image_size: peek.size.and_then(short_text),
            image_quality: peek.quality.and_then(short_text),
            ..Units::default()
        },
        Dialect::Transcript => Units { audio_ms: heard.unwrap_or(0), ..Units::default() },
        Dialect::Video => Units {
            video_ms: peek.seconds.and_then(|raw| video_ms(raw.get().trim_matches('"'))).unwrap_or(0),
            video_size: peek.size.and_then(short_text),
            ..Units::default()
        },
        Dialect::Ranking => Units { searches: peek.searches(reported.as_ref()), ..Units::default() },
        _ => Units::default(),
    };
    Ok(OtherAnswer {
        cost_micros: reported.and_then(|reported| reported.cost_micros()),
        usage: reported.and_then(|reported| reported.tokens()),
        output_estimate: if endpoint.shape().generates { meter.tokens() } else { 0 },
        units,
        body: with_model(&body, text, peek.model, &quoted(public_model)),
    })
}

/// A number of seconds, as a number or (in a verbose transcription of OpenAI's) as text, in milliseconds.
fn seconds(raw: &RawValue) -> Option<u64> {
    raw.get().trim_matches('"').parse().ok().and_then(milliseconds)
}

impl OtherPeek<'_> {
    /// The error that an answer of status 200 holds.
    pub(super) fn find_error(&self, whole: &str) -> Option<InBandError> {
        if let Some(raw) = self.error.filter(|raw| says_something(raw)) {
            return Some(InBandError::from_raw(raw));
        }
        let is = |raw: Option<&RawValue>, text: &str| raw.is_some_and(|raw| raw.get() == text);
        let failed = is(self.status, "\"failed\"") && self.output.is_some();
        let named = is(self.object, "\"error\"") || is(self.kind, "\"error\"");
        let speaks = [self.message, self.detail, self.title].into_iter().flatten().any(says_something);
        let answers = [self.data, self.images, self.results, self.output, self.content, self.text];
        // A video may have a message about its progress.
        let is_job = self.id.is_some() && self.status.is_some();
        let answers = is_job || answers.iter().any(Option::is_some);
        (failed || named || speaks && !answers)
            .then(|| InBandError::from_body(ErrorBody::read(whole.as_bytes()), whole.as_bytes()))
    }

    /// Whether there is an answer in it.
    fn says(&self, dialect: Dialect) -> Result<bool, BadAnswer> {
        let some = |raw: Option<&RawValue>| raw.is_some_and(says_something);
        Ok(match dialect {
            Dialect::Images => self.pictures() > 0,
            Dialect::Moderation => some(self.results),
            Dialect::Ranking => some(self.results) || some(self.data),
            // One that was cut short says why; another upstream would be cut as well. One in the background has just begun.
            Dialect::Response => {
                let waits = ["\"incomplete\"", "\"queued\"", "\"in_progress\""];
                some(self.output) || self.status.is_some_and(|raw| waits.contains(&raw.get()))
            }
            Dialect::Message => {
                some(self.content)
                    || self
                        .stop_reason
                        .is_some_and(|raw| matches!(raw.get(), "\"max_tokens\"" | "\"refusal\""))
            }
            // Silence is heard as nothing.
            Dialect::Transcript => self.text.ok_or(BadAnswer::NotJson)?.get().starts_with('"'),
            Dialect::Video => self.id.is_some_and(|raw| raw.get().starts_with('"') && raw.get().len() > 2),
            Dialect::Chat | Dialect::Completion | Dialect::Embeddings | Dialect::Speech => {
                return Err(BadAnswer::NotJson);
            }
        })
    }

    /// How many pictures there are.
    fn pictures(&self) -> usize {
        let list = self.data.or(self.images).filter(|raw| raw.get().starts_with('['));
        let entries: Vec<&RawValue> =
            list.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        entries.iter().filter(|entry| says_something(entry)).take(MAX_PICTURES).count()
    }

    /// The model that it names.
    pub(super) fn model(&self) -> Option<&RawValue> {
        self.model
    }

    /// The usage that it reports.
    pub(super) fn reported(&self) -> Option<Reported> {
        let meta = self.meta.as_ref().and_then(|meta| meta.tokens);
        self.usage.into_iter().chain(meta).find_map(Reported::read)
    }

    /// How many searches a ranking is charged as, if it says so.
    fn searches(&self, reported: Option<&Reported>) -> u64 {
        let billed = self.meta.as_ref().and_then(|meta| meta.billed_units.as_ref());
        let billed = billed.and_then(|billed| billed.search_units).and_then(searches);
        billed.or(reported.and_then(Reported::searches)).unwrap_or(0)
    }

    /// Whether a response's output holds anything.
    pub(super) fn has_output(&self) -> bool {
        self.output.is_some_and(says_something)
    }
}

/// Reads a text that is no JSON: an answer to a call that asks for plain text.
///
/// # Errors
/// It is a web page or an error.
pub fn read_plain_text(body: &Bytes) -> Result<(), BadAnswer> {
    let start = body.trim_ascii_start();
    let page = |name: &[u8]| start.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    if page(b"<!doctype") || page(b"<html") {
        return Err(BadAnswer::Html);
    }
    let text = std::str::from_utf8(start).map_err(|_| BadAnswer::NotJson)?;
    if text.starts_with('{')
        && let Ok(peek) = serde_json::from_str::<OtherPeek<'_>>(text)
        && let Some(error) = peek.find_error(text)
    {
        return Err(BadAnswer::InBandError(Box::new(error)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Endpoint, body: &str) -> Result<OtherAnswer, BadAnswer> {
        read_other(endpoint, "public", &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn pictures_are_counted_with_their_size_and_quality() {
        let body = r#"{"created":1,"data":[{"b64_json":"QUJD"},{"url":"https://x.example/a"}],"size":"1024x1024","quality":"high",
            "usage":{"input_tokens":10,"output_tokens":200,"total_tokens":210}}"#;
        for endpoint in [Endpoint::Images, Endpoint::ImageEdits, Endpoint::ImagesDirect] {
            let answer = read(endpoint, body).unwrap();
            assert_eq!(answer.units.images, 2);
            assert_eq!(answer.units.image_size.as_deref(), Some("1024x1024"));
            assert_eq!(answer.units.image_quality.as_deref(), Some("high"));
            assert_eq!(answer.usage.unwrap().completion, 200);
            assert_eq!(&answer.body[..], body.as_bytes());
        }
        assert_eq!(read(Endpoint::Images, r#"{"created":1,"data":[]}"#), Err(BadAnswer::Empty));
        assert_eq!(read(Endpoint::Images, r#"{"data":[{}]}"#), Err(BadAnswer::Empty));
    }

    #[test]
    fn an_answer_carries_the_public_name_of_its_model() {
        let answer = read(
            Endpoint::Messages,
            r#"{"id":"msg_1","type":"message","model":"claude-x","content":[{"type":"text","text":"hi"}],
                "usage":{"input_tokens":3,"output_tokens":2,"cache_read_input_tokens":5}}"#,
        )
        .unwrap();
        assert!(std::str::from_utf8(&answer.body).unwrap().contains(r#""model":"public""#));
        let usage = answer.usage.unwrap();
        assert_eq!((usage.prompt, usage.completion, usage.cached), (8, 2, 5));
        assert!(answer.output_estimate > 0);
    }

    #[test]
    fn errors_and_empty_answers_with_status_200_are_none() {
        let failed = r#"{"object":"response","status":"failed","error":{"code":"server_error","message":"no"},"output":[]}"#;
        for (endpoint, body) in [
            (Endpoint::Responses, failed),
            (Endpoint::Messages, r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#),
            (Endpoint::Rerank, r#"{"message":"invalid request"}"#),
            (Endpoint::Moderations, r#"{"detail":"Not Found"}"#),
            (Endpoint::Transcriptions, r#"[{"error":{"message":"no"}}]"#),
        ] {
            assert!(matches!(read(endpoint, body), Err(BadAnswer::InBandError(_))), "{endpoint} {body}");
        }
        for (endpoint, body) in [
            (Endpoint::Responses, r#"{"object":"response","status":"completed","output":[]}"#),
            (Endpoint::Messages, r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#),
            (Endpoint::Rerank, r#"{"results":[]}"#),
            (Endpoint::Moderations, r#"{"results":[]}"#),
        ] {
            assert_eq!(read(endpoint, body), Err(BadAnswer::Empty), "{endpoint} {body}");
        }
        assert_eq!(read(Endpoint::Transcriptions, r#"{"x":1}"#), Err(BadAnswer::NotJson));
        assert_eq!(read(Endpoint::Rerank, "<html>"), Err(BadAnswer::Html));
    }

    #[test]
    fn what_was_heard_may_be_silence_and_its_length_is_read() {
        let answer = read(Endpoint::Transcriptions, r#"{"text":"","usage":{"type":"duration","seconds":3}}"#);
        assert_eq!(answer.unwrap().units.audio_ms, 3000);
        let answer = read(Endpoint::Translations, r#"{"text":"a","duration":8.47,"segments":[]}"#);
        assert_eq!(answer.unwrap().units.audio_ms, 8470);
        let answer =
            read(Endpoint::Rerank, r#"{"results":[{"index":0}],"meta":{"tokens":{"input_tokens":9}}}"#);
        assert_eq!(answer.unwrap().usage.unwrap().prompt, 9);
        for (said, searches, cost) in [
            (r#""meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}"#, 2, None),
            (r#""usage":{"search_units":1,"total_tokens":150,"cost":0.002}"#, 1, Some(2000)),
            (r#""meta":{"billed_units":{"search_units":-1}}"#, 0, None),
        ] {
            let answer = read(Endpoint::Rerank, &format!(r#"{{"results":[{{"index":0}}],{said}}}"#)).unwrap();
            assert_eq!((answer.units.searches, answer.cost_micros), (searches, cost), "{said}");
        }
    }

    #[test]
    fn plain_text_is_anything_but_a_page_or_an_error() {
        let read = |text: &'static str| read_plain_text(&Bytes::from_static(text.as_bytes()));
        assert_eq!(read("1\n00:00:00,000 --> 00:00:01,000\nHello"), Ok(()));
        assert_eq!(read("<b> is what they said"), Ok(()));
        assert_eq!(read(" <!DOCTYPE html><title>Login</title>"), Err(BadAnswer::Html));
        assert!(matches!(read(r#"{"error":{"message":"no"}}"#), Err(BadAnswer::InBandError(_))));
    }
}
