//! What answers and refusals show.

use serde_json::{Value, json};

use super::{
    judge::{Finding, judge_answer, judge_empty, judge_refusal},
    question::{Colour, Dialect, MAX_TOKENS, Picture, Question},
};
use crate::model::{probe::ProbeVerdict, usage::OutcomeClass};

const PICTURE: Picture = Picture { left: Colour::Red, right: Colour::Blue };
const REQUIRED: Question = Question::Tools { required: true };
const AUTO: Question = Question::Tools { required: false };
const OBJECT: Question = Question::Json { schema: false };
const SCHEMA: Question = Question::Json { schema: true };

fn answered(question: Question, message: Value, finish: &str) -> (Finding, bool) {
    let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    judge_answer(question, Dialect::default(), &body)
}

fn verdict(question: Question, message: Value) -> Option<ProbeVerdict> {
    match answered(question, message, "stop").0 {
        Finding::Shows(verdict, _) => Some(verdict),
        Finding::Again(..) => None,
    }
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"content": null, "tool_calls": [{"function": {"name": name, "arguments": arguments}}]})
}

#[test]
fn a_tool_is_called_only_by_its_name_with_its_argument() {
    let right = r#"{"word":"harbour"}"#;
    assert_eq!(verdict(REQUIRED, call("note_word", right.into())), Some(ProbeVerdict::Ok));
    assert_eq!(verdict(AUTO, call("note_word", json!({"word": "harbour"}))), Some(ProbeVerdict::Ok));
    assert_eq!(verdict(AUTO, call("note_word", "{}".into())), Some(ProbeVerdict::Not));
    assert_eq!(verdict(AUTO, call("note_word", "{\"word\": \"harb".into())), Some(ProbeVerdict::Not));
    assert_eq!(verdict(AUTO, call("write_word", right.into())), Some(ProbeVerdict::Not));
    let text = json!({"content": "note_word(harbour)"});
    assert_eq!(verdict(AUTO, text.clone()), Some(ProbeVerdict::Not));
    assert_eq!(
        answered(REQUIRED, text, "stop").0,
        Finding::Again(AUTO, Dialect::default()),
        "it may call a tool if it need not"
    );
    let legacy = json!({"content": null, "function_call": {"name": "note_word", "arguments": right}});
    assert_eq!(verdict(AUTO, legacy), Some(ProbeVerdict::Ok));
}

#[test]
fn an_empty_answer_to_a_demanded_call_is_asked_for_again_and_any_other_says_nothing() {
    assert_eq!(judge_empty(REQUIRED, Dialect::default()), Finding::Again(AUTO, Dialect::default()));
    for question in [AUTO, OBJECT, Question::Vision(PICTURE)] {
        assert!(matches!(
            judge_empty(question, Dialect::default()),
            Finding::Shows(ProbeVerdict::Unclear, _)
        ));
    }
}

#[test]
fn an_image_is_seen_only_by_one_who_tells_what_it_shows() {
    let vision = |text: &str| verdict(Question::Vision(PICTURE), json!({ "content": text }));
    for text in [
        "Red, blue",
        "red and Blue.",
        "左红右蓝",
        "Not green: the left is red, the right is blue.",
        "<think>blue? red?</think>Red Blue",
    ] {
        assert_eq!(vision(text), Some(ProbeVerdict::Ok), "{text}");
    }
    for text in ["OK", "Blue, red", "red", "Red, blue or green", "A picture of two colours."] {
        assert_eq!(vision(text), Some(ProbeVerdict::Accepted), "{text}");
    }
    for text in ["I can’t see images.", "There is no image in your message."] {
        assert_eq!(vision(text), Some(ProbeVerdict::Not), "{text}");
    }
}

#[test]
fn json_is_an_object_that_parses_as_it_stands() {
    let json = |text: &str| verdict(OBJECT, json!({ "content": text }));
    assert_eq!(json(" {\"sum\": 5}\n"), Some(ProbeVerdict::Ok));
    assert_eq!(json("<think>2+3</think>{\"sum\": 5}"), Some(ProbeVerdict::Ok));
    for text in ["```json\n{\"sum\": 5}\n```", "5", "{\"total\": 5}", "The sum is {\"sum\": 5}"] {
        assert_eq!(json(text), Some(ProbeVerdict::Not), "{text}");
    }
}

#[test]
fn reasoning_shows_under_each_of_its_names_and_in_counts() {
    for message in [
        json!({"content": "{}", "reasoning_content": "Hm."}),
        json!({"content": "{}", "reasoning": "Hm."}),
        json!({"content": "{}", "reasoning_details": [{"type": "reasoning.encrypted"}]}),
        json!({"content": "<think>Hm.</think>{}"}),
    ] {
        assert!(answered(OBJECT, message.clone(), "stop").1, "{message}");
    }
    assert!(
        !answered(OBJECT, json!({"content": "{}", "reasoning": "", "reasoning_content": null}), "stop").1
    );
    let counted = |tokens: u64| {
        let body = json!({"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}],
            "usage": {"completion_tokens_details": {"reasoning_tokens": tokens}}});
        judge_answer(OBJECT, Dialect::default(), &body).1
    };
    assert!(counted(12) && !counted(0));
}

#[test]
fn an_answer_that_was_cut_off_says_nothing_about_the_model() {
    let spent = json!({"content": "", "reasoning_content": "Let me think"});
    for question in [REQUIRED, AUTO, OBJECT, Question::Vision(PICTURE)] {
        let (finding, reasoned) = answered(question, spent.clone(), "length");
        assert!(matches!(finding, Finding::Shows(ProbeVerdict::Unclear, _)) && reasoned, "{question:?}");
    }
}

#[test]
fn a_refusal_counts_against_the_model_only_if_it_is_about_what_was_asked() {
    use OutcomeClass::{ClientError, HostError, KeyInvalid, ModelUnavailable, RateLimited};
    let refused = |question, status, class, detail: &str| match judge_refusal(
        question,
        Dialect::default(),
        "acme/tool-vision-1",
        Some(status),
        class,
        detail,
    ) {
        Finding::Shows(verdict, _) => verdict.as_str(),
        Finding::Again(..) => "again",
    };
    let vision = Question::Vision(PICTURE);
    for (question, status, class, detail, expected) in [
        (REQUIRED, 400, ClientError, "400: This model does not support tools", "not"),
        (REQUIRED, 404, ModelUnavailable, "404: No endpoints found that support tool use.", "not"),
        (REQUIRED, 400, ClientError, "400: tool_choice 'required' is not supported", "again"),
        (AUTO, 400, ClientError, "400: \"auto\" tool choice requires --enable-auto-tool-choice", "not"),
        (vision, 400, ClientError, "400: image_url is only supported by multimodal models", "not"),
        (vision, 404, ModelUnavailable, "404: No endpoints found that support image input", "not"),
        (vision, 422, ClientError, "422: content must be a string", "not"),
        (OBJECT, 400, ClientError, "400: response_format json_object is not supported", "again"),
        (SCHEMA, 400, ClientError, "400: response_format is not supported", "not"),
        (Question::Stream, 400, ClientError, "400: streaming is not supported", "not"),
        // What only names the model, or is about something else, says nothing.
        (REQUIRED, 404, ModelUnavailable, "404: The model acme/tool-vision-1 does not exist", "unclear"),
        (vision, 400, ClientError, "400: acme/Tool-Vision-1: bad request", "unclear"),
        (REQUIRED, 400, ClientError, "400: something is wrong", "unclear"),
        (REQUIRED, 429, RateLimited, "429: too many tools in a minute", "unclear"),
        (vision, 401, KeyInvalid, "401: no key for image models", "unclear"),
        (vision, 503, HostError, "503: the vision workers are busy", "unclear"),
    ] {
        assert_eq!(refused(question, status, class, detail), expected, "{question:?} {detail}");
    }
}

#[test]
fn what_an_upstream_wants_otherwise_is_asked_again_once_in_that_way() {
    let words = "400: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let refused = |dialect, words: &str| {
        judge_refusal(OBJECT, dialect, "m", Some(400), OutcomeClass::ClientError, words)
    };
    let learned = Dialect { completion_limit: true, ..Dialect::default() };
    assert_eq!(refused(Dialect::default(), words), Finding::Again(OBJECT, learned));
    assert!(matches!(refused(learned, words), Finding::Shows(ProbeVerdict::Unclear, _)));
    let thinking = "400: parameter.enable_thinking must be set to false for non-streaming calls";
    let quiet = Dialect { no_thinking: true, ..learned };
    assert_eq!(refused(learned, thinking), Finding::Again(OBJECT, quiet));
    let body = OBJECT.body("m", quiet);
    assert_eq!(
        (&body["max_completion_tokens"], &body["max_tokens"], &body["enable_thinking"]),
        (&json!(MAX_TOKENS), &Value::Null, &json!(false))
    );
}

#[test]
fn the_pictures_are_twelve_and_each_is_a_whole_png_of_two_halves() {
    let mut all = Vec::new();
    for random in 0..100 {
        let picture = Picture::of(random);
        assert_ne!(picture.left, picture.right);
        if !all.contains(&picture) {
            all.push(picture);
        }
    }
    assert_eq!(all.len(), 12);
    let png = PICTURE.png();
    assert!(png.len() < 1000, "{} bytes", png.len());
    // Each chunk: length, kind, data, checksum.
    let mut rest = &png[8..];
    let mut data = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let mut crc = flate2::Crc::new();
        crc.update(&rest[4..8 + length]);
        assert_eq!(rest[8 + length..12 + length], crc.sum().to_be_bytes());
        if &rest[4..8] == b"IDAT" {
            data = rest[8..8 + length].to_vec();
        }
        rest = &rest[12 + length..];
    }
    let mut rows = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(&data[..]), &mut rows).unwrap();
    assert_eq!(rows, [0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].repeat(64));
}
