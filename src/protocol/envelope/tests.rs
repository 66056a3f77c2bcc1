//! What is read of a request, and what of it is changed.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn chat(body: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::read(Endpoint::Chat, Bytes::copy_from_slice(body.as_bytes()))
}

fn refused(body: &str) -> (String, Option<&'static str>) {
    let error = chat(body).unwrap_err();
    (error.message, error.param)
}

#[test]
fn reads_the_fields_that_routing_needs() {
    let envelope = chat(
        r#"{"model":"glm","messages":[],"stream":true,"stream_options":{"include_usage":true},
            "max_tokens":10,"max_completion_tokens":2e1,"n":3}"#,
    )
    .unwrap();
    assert_eq!(envelope.model, "glm");
    assert!(envelope.stream && envelope.include_usage);
    assert_eq!((envelope.max_tokens, envelope.choices), (Some(20), 3));
    let bare =
        chat(r#"{"messages":[],"stream":null,"n":null,"max_tokens":null,"model":"\u0067lm"}"#).unwrap();
    assert_eq!((bare.model.as_str(), bare.stream, bare.include_usage), ("glm", false, false));
    assert_eq!((bare.max_tokens, bare.choices), (None, 1));
    let huge = chat(r#"{"model":"m","messages":[],"max_tokens":1e300}"#).unwrap();
    assert_eq!(huge.max_tokens, Some(MAX_BELIEVED_TOKENS));
    assert_eq!(chat(r#"{"model":"m","messages":[],"max_tokens":-1}"#).unwrap().max_tokens, None);
}

#[test]
fn a_wrong_field_is_named_with_the_remedy() {
    for (body, param, words) in [
        (r#"{"messages":[]}"#, "model", "Missing"),
        (r#"{"model":5,"messages":[]}"#, "model", "string"),
        (r#"{"model":" ","messages":[]}"#, "model", "empty"),
        (r#"{"model":"a\nb","messages":[]}"#, "model", "control"),
        (r#"{"model":"\ud800","messages":[]}"#, "model", "valid characters"),
        (r#"{"model":"m"}"#, "messages", "Missing"),
        (r#"{"model":"m","messages":"hi"}"#, "messages", "array"),
        (r#"{"model":"m","messages":[],"stream":"yes"}"#, "stream", "true or false"),
        (r#"{"model":"m","messages":[],"stream_options":[]}"#, "stream_options", "object"),
        (
            r#"{"model":"m","messages":[],"stream_options":{"include_usage":1}}"#,
            "stream_options.include_usage",
            "true",
        ),
        (r#"{"model":"m","messages":[],"max_tokens":"5"}"#, "max_tokens", "whole number"),
        (
            r#"{"model":"m","messages":[],"max_completion_tokens":1.5}"#,
            "max_completion_tokens",
            "whole number",
        ),
        (r#"{"model":"m","messages":[],"n":0}"#, "n", "1 to 128"),
        (r#"{"model":"m","messages":[],"n":1e9}"#, "n", "1 to 128"),
        (r#"{"model":"m","model":"n","messages":[]}"#, "model", "twice"),
        (r#"{"model":"m","mod\u0065l":"n","messages":[]}"#, "model", "twice"),
        (r#"{"model":"m","Model":"n","messages":[]}"#, "model", "lower case"),
        (r#"{"model":"m","messages":[],"stream":false,"stream":true}"#, "stream", "twice"),
        (r#"{"model":"m","messages":[],"messages":[]}"#, "messages", "twice"),
    ] {
        let (message, found) = refused(body);
        assert_eq!(found, Some(param), "{body}");
        assert!(message.contains(words), "{body}: {message}");
    }
    let long = json!({"model": "模".repeat(201), "messages": []}).to_string();
    assert!(refused(&long).0.contains("200"));
    assert!(chat(&json!({"model": "模".repeat(200), "messages": []}).to_string()).is_ok());
}

#[test]
fn a_body_that_is_no_json_object_is_refused_without_quoting_it() {
    for body in
        ["", "  ", "[]", "\"secret\"", "{\"model\":\"secret\"", "{'model':1}", "{} x", "nul", "{\"a\":tru}"]
    {
        let (message, param) = refused(body);
        assert!(message.starts_with("The request body"), "{body}: {message}");
        assert!(param.is_none() && !message.contains("secret"));
    }
    let error = Envelope::read(Endpoint::Chat, Bytes::from_static(b"{\"model\":\"\xff\"}")).unwrap_err();
    assert!(error.message.contains("UTF-8"));
}

#[test]
fn deep_nesting_is_refused_and_brackets_in_strings_are_not_nesting() {
    let nested = |levels: usize| {
        format!(r#"{{"model":"m","messages":[],"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    assert!(chat(&nested(127)).is_ok());
    assert!(refused(&nested(128)).0.contains("nested"));
    assert!(refused(&nested(200_000)).0.contains("nested"));
    assert!(chat(&format!(r#"{{"model":"m","messages":[],"x":"\"{}"}}"#, "[".repeat(500))).is_ok());
}

#[test]
fn embeddings_and_legacy_completions_have_their_own_fields() {
    let read = |endpoint, body: &'static str| Envelope::read(endpoint, Bytes::from_static(body.as_bytes()));
    assert!(read(Endpoint::Embeddings, r#"{"model":"e","input":"hi","stream":false}"#).is_ok());
    let error = read(Endpoint::Embeddings, r#"{"model":"e","input":"hi","stream":true}"#).unwrap_err();
    assert_eq!(error.param, Some("stream"));
    assert_eq!(read(Endpoint::Embeddings, r#"{"model":"e"}"#).unwrap_err().param, Some("input"));
    let legacy = read(Endpoint::Completions, r#"{"model":"c","prompt":[1,2],"best_of":4,"n":2}"#).unwrap();
    assert_eq!((legacy.choices, legacy.prompt_estimate()), (4, 2));
    for (prompt, choices) in
        [(r#""hi""#, 2), (r#"["a","b","c"]"#, 6), ("[[1,2],[3]]", 4), ("[1,2,3]", 2), ("[]", 2)]
    {
        let body = format!(r#"{{"model":"c","prompt":{prompt},"n":2}}"#);
        let several = Envelope::read(Endpoint::Completions, body.into()).unwrap();
        assert_eq!(several.choices, choices, "{prompt}");
    }
}

#[test]
fn only_the_model_changes_and_numbers_order_and_spaces_stay() {
    let body = "{ \"temperature\": 0.10000000000000000001, \"messages\" :[ {\"model\":\"inner\"} ],\n \"model\" :\t\"glm\" , \"seed\":12345678901234567890123, \"enable_thinking\":false}";
    let patched = chat(body).unwrap().patched("z/\"glm\"", false);
    assert_eq!(patched, body.replace("\"glm\"", r#""z/\"glm\"""#));
    let same = chat(body).unwrap();
    assert_eq!(same.patched("glm", true).as_ptr(), same.body().as_ptr());
}

#[test]
fn usage_is_asked_for_in_every_state_of_stream_options() {
    for (options, patched) in [
        ("", r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{}"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{ "x":1}"#, r#","stream_options":{"include_usage":true, "x":1}"#),
        (r#","stream_options":{"include_usage": false}"#, r#","stream_options":{"include_usage": true}"#),
        (
            r#","stream_options":{"include_usage":null,"x":1}"#,
            r#","stream_options":{"include_usage":true,"x":1}"#,
        ),
        (r#","stream_options":{"include_usage":true}"#, r#","stream_options":{"include_usage":true}"#),
    ] {
        let body = format!(r#"{{"messages":[],"stream":true,"model":"a"{options}}}"#);
        let expected = format!(r#"{{"messages":[],"stream":true,"model":"bb"{patched}}}"#);
        assert_eq!(chat(&body).unwrap().patched("bb", true), expected);
        assert_eq!(chat(&body).unwrap().patched("bb", false), body.replace("\"a\"", "\"bb\""));
    }
    let plain = r#"{"messages":[],"model":"a"}"#;
    assert_eq!(chat(plain).unwrap().patched("a", true), plain);
}

#[test]
fn stream_options_before_the_model_are_patched_too() {
    let body = r#"{"stream_options":{},"stream":true,"messages":[],"model":"a"}"#;
    let expected = r#"{"stream_options":{"include_usage":true},"stream":true,"messages":[],"model":"b"}"#;
    assert_eq!(chat(body).unwrap().patched("b", true), expected);
}

#[test]
fn the_prompt_estimate_counts_text_and_tools_but_images_at_a_fixed_cost() {
    let estimate = |body: Value| chat(&body.to_string()).unwrap().prompt_estimate();
    let hello =
        estimate(json!({"model": "m", "messages": [{"role": "user", "content": "你好你好你好你好"}]}));
    assert!((12..=16).contains(&hello), "{hello}");
    let image = format!("data:image/png;base64,{}", "A".repeat(4_000_000));
    let part = json!([{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": "what?"}]);
    let seen = estimate(json!({"model": "m", "messages": [{"role": "user", "content": part}]}));
    assert!((1000..1100).contains(&seen), "{seen}");
    let sound = json!([{"type": "input_audio", "input_audio": {"data": "A".repeat(9000), "format": "wav"}}]);
    assert!(estimate(json!({"model": "m", "messages": [{"role": "user", "content": sound}]})) < 1100);
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"city": "x".repeat(400)}}}]);
    let with_tools = estimate(json!({"model": "m", "messages": [], "tools": tools}));
    assert!((110..150).contains(&with_tools), "{with_tools}");
    let escaped = r#"{"model":"m","messages":[{"role":"user","content":"\u4f60\u597d"}]}"#;
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"你好"}]}"#;
    assert_eq!(chat(escaped).unwrap().prompt_estimate(), chat(plain).unwrap().prompt_estimate());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\你🦀{}\\[\\]:,]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z\"\\\\]{1,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_patched_body_differs_in_model_and_stream_options_only(
        fields in prop::collection::vec(("[f-k\"\\\\]{2,6}", json_value()), 0..5),
        at in any::<prop::sample::Index>(),
        options in prop::option::of(json_value().prop_filter("an object", Value::is_object)),
        name in "[a-z/\"\\\\你]{1,12}",
        pretty in any::<bool>(),
    ) {
        let mut fields: Vec<(String, Value)> = fields;
        fields.insert(at.index(fields.len() + 1), ("model".into(), json!("public")));
        fields.push(("messages".into(), json!([{"role": "user", "content": "model"}])));
        fields.push(("stream".into(), json!(true)));
        if let Some(options) = options {
            fields.insert(at.index(fields.len() + 1), ("stream_options".into(), options));
        }
        let value = Value::Object(fields.into_iter().collect());
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let envelope = chat(&text).unwrap();
        let patched = envelope.patched(&name, false);
        prop_assert_eq!(&patched, &text.replacen("\"public\"", &quoted(&name), 1));
        let asked = envelope.patched(&name, true);
        let mut expected = value;
        expected["model"] = json!(name);
        expected["stream_options"]["include_usage"] = json!(true);
        prop_assert_eq!(serde_json::from_slice::<Value>(&asked).unwrap(), expected);
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for endpoint in Endpoint::ALL {
            let _ = Envelope::read(*endpoint, Bytes::from(body.clone()));
        }
    }

    #[test]
    fn broken_json_never_panics(cut in any::<prop::sample::Index>(), replacement in any::<u8>()) {
        let mut body = br#"{"model":"m","messages":[{"role":"user","content":[{"text":"a\u4f60"}]}],"stream":true,"tools":[{"a":"\\"}],"stream_options":{"include_usage":false},"n":1,"max_tokens":5}"#.to_vec();
        let at = cut.index(body.len());
        body[at] = replacement;
        if let Ok(envelope) = Envelope::read(Endpoint::Chat, Bytes::from(body.clone())) {
            envelope.prompt_estimate();
            prop_assert!(serde_json::from_slice::<&RawValue>(&envelope.patched("x", true)).is_ok());
        }
        body.truncate(at);
        prop_assert!(Envelope::read(Endpoint::Chat, Bytes::from(body)).is_err());
    }
}

#[test]
fn a_previous_response_is_read_and_replaced_by_the_upstreams() {
    let body = r#"{"previous_response_id": "resp_ours", "model": "public", "input": "And?"}"#;
    let mut envelope = Envelope::read(Endpoint::Responses, body.into()).unwrap();
    assert_eq!((envelope.previous.as_deref(), envelope.stores), (Some("resp_ours"), true));
    envelope.set_previous("theirs");
    let expected = r#"{"previous_response_id": "theirs", "model": "n", "input": "And?"}"#;
    assert_eq!(envelope.patched("n", false), expected);
    for (field, stores) in
        [("", true), (r#","store":null"#, true), (r#","store":false,"previous_response_id":null"#, false)]
    {
        let body = format!(r#"{{"model":"m","input":"a"{field}}}"#);
        let envelope = Envelope::read(Endpoint::Responses, body.into()).unwrap();
        assert_eq!((envelope.stores, envelope.previous), (stores, None), "{field}");
    }
    for (field, param) in [
        (r#""previous_response_id":7"#, "previous_response_id"),
        (r#""previous_response_id":"""#, "previous_response_id"),
        (r#""store":"no""#, "store"),
        (r#""store":false,"background":true"#, "background"),
    ] {
        let body = format!(r#"{{"model":"m","input":"a",{field}}}"#);
        assert_eq!(
            Envelope::read(Endpoint::Responses, body.into()).unwrap_err().param,
            Some(param),
            "{field}"
        );
    }
}

#[test]
fn the_length_of_a_video_is_read_in_every_way_of_writing_it_and_a_remix_names_no_model() {
    for (field, expected) in [
        (r#","seconds":"8""#, Some(8000)),
        (r#","seconds":4"#, Some(4000)),
        (r#","duration":5.5"#, Some(5500)),
        (r#","seconds":"long""#, None),
        (r#","seconds":-1"#, None),
        ("", None),
    ] {
        let body = format!(r#"{{"model":"m","prompt":"a"{field}}}"#);
        let envelope = Envelope::read(Endpoint::Videos, body.into()).unwrap();
        assert_eq!(envelope.video_ms, expected, "{field}");
    }
    let remix = Envelope::of_remix("public", r#"{"prompt":"b"}"#.into()).unwrap();
    assert_eq!((remix.model.as_str(), &remix.patched("n", false)[..]), ("public", &br#"{"prompt":"b"}"#[..]));
    assert_eq!(Envelope::of_remix("public", "{}".into()).unwrap_err().param, Some("prompt"));
}
