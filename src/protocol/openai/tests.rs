//! Quirks of real upstreams, one by one.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    answer::{Answer, BadAnswer, answer_as_chunks, read_answer},
    *,
};

fn chat() -> ChunkReader {
    ChunkReader::new(Endpoint::Chat, "public", false)
}

fn read(data: &str) -> Chunk {
    chat().read(Bytes::copy_from_slice(data.as_bytes()))
}

fn delta(delta: &str) -> Chunk {
    read(&format!(r#"{{"model":"public","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#))
}

fn answer(endpoint: Endpoint, body: &str) -> Result<Answer, BadAnswer> {
    read_answer(endpoint, "public", &Bytes::copy_from_slice(body.as_bytes()))
}

#[test]
fn real_content_is_text_refusal_reasoning_tool_calls_and_sound() {
    for content in [
        r#"{"content":"a"}"#,
        r#"{"content":" "}"#,
        r#"{"content":[{"type":"text","text":"a"}]}"#,
        r#"{"content":null,"refusal":"no"}"#,
        r#"{"content":"","reasoning_content":"a"}"#,
        r#"{"content":"","reasoning":"a"}"#,
        r#"{"reasoning_text":"a"}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"a"}]}"#,
        r#"{"tool_calls":[{"function":{"name":"f"}}]}"#,
        r#"{"function_call":{"name":"f"}}"#,
        r#"{"audio":{"data":"AA"}}"#,
    ] {
        assert!(delta(content).has_content, "{content}");
    }
}

#[test]
fn a_role_empty_strings_and_empty_lists_are_no_content() {
    for content in [
        r#"{"role":"assistant"}"#,
        r#"{"role":"assistant","content":"","tool_calls":[]}"#,
        r#"{"content":null,"refusal":null,"reasoning":"","reasoning_details":[ ],"function_call":null}"#,
        "{}",
        "null",
    ] {
        let chunk = delta(content);
        assert!(!chunk.has_content && !chunk.malformed && chunk.forward.is_some(), "{content}");
    }
}

#[test]
fn a_finish_reason_counts_only_when_it_says_something() {
    let finish = |reason: &str| {
        read(&format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":{reason}}}]}}"#)).finished
    };
    assert!(finish("\"stop\"") && finish("\"tool_calls\"") && finish("\"length\""));
    assert!(!finish("null") && !finish("\"\""));
}

#[test]
fn the_same_bytes_pass_when_the_model_has_its_public_name() {
    let data = Bytes::from_static(
        br#"{"id":"","created":1.5,"model":"public","choices":[{"delta":{"content":"a"}}]}"#,
    );
    let forward = chat().read(data.clone()).forward.unwrap();
    assert_eq!(forward.as_ptr(), data.as_ptr());
}

#[test]
fn the_upstreams_model_name_is_replaced_and_nothing_else() {
    let data =
        r#"{ "x":1.10, "model" : "z/glm", "choices":[{"delta":{"content":"model","model":"z/glm"}}] }"#;
    assert_eq!(read(data).forward.unwrap(), data.replacen("\"z/glm\"", "\"public\"", 1));
    let mut quoted = ChunkReader::new(Endpoint::Chat, "a\"b", false);
    let forward = quoted.read(Bytes::from_static(br#"{"model":"x","choices":[]}"#)).forward.unwrap();
    assert_eq!(forward, r#"{"model":"a\"b","choices":[]}"#);
}

#[test]
fn the_usage_chunk_reaches_only_a_client_that_asked() {
    let usage = Bytes::from_static(br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#);
    let mut silent = chat();
    let chunk = silent.read(usage.clone());
    assert_eq!(chunk.forward, None);
    assert_eq!(silent.usage().unwrap().total(), 5);
    let mut asked = ChunkReader::new(Endpoint::Chat, "public", true);
    assert_eq!(asked.read(usage.clone()).forward, Some(usage));
    let with_content =
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    assert!(read(with_content).forward.is_some());
}

#[test]
fn empty_choices_of_a_content_filter_prelude_pass_but_are_no_content() {
    let chunk = read(r#"{"choices":[],"prompt_filter_results":[{}]}"#);
    assert!(chunk.forward.is_some() && !chunk.has_content && chunk.error.is_none());
}

#[test]
fn an_object_without_choices_is_not_forwarded() {
    for data in ["{}", r#"{"type":"ping"}"#, r#"{"choices":null}"#] {
        let chunk = read(data);
        assert!(chunk.forward.is_none() && !chunk.malformed && chunk.error.is_none(), "{data}");
    }
}

#[test]
fn the_last_usage_wins_and_nothing_is_summed() {
    let mut reader = chat();
    for usage in [
        r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1}}"#,
        r#"{"choices":[],"usage":null}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":7}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":-10,"completion_tokens":9}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#,
    ] {
        reader.read(Bytes::from_static(usage.as_bytes()));
    }
    assert_eq!(reader.usage(), Some(TokenCounts { prompt: 10, completion: 7, cached: 0, reasoning: 0 }));
}

#[test]
fn usage_is_found_in_a_choice_and_in_x_groq() {
    for data in [
        r#"{"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":3,"completion_tokens":2}}]}"#,
        r#"{"choices":[{"delta":{}}],"usage":null,"x_groq":{"id":"r","usage":{"prompt_tokens":3,"completion_tokens":2}}}"#,
    ] {
        assert_eq!(read(data).usage.map(|usage| usage.total()), Some(5), "{data}");
    }
}

#[test]
fn output_is_estimated_with_reasoning_and_tool_arguments_and_reasoning_once() {
    let mut reader = chat();
    for data in [
        r#"{"choices":[{"delta":{"content":"abcdefgh"}}]}"#,
        r#"{"choices":[{"delta":{"content":"","reasoning":"abcd","reasoning_details":[{"text":"abcd"}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"abcd","arguments":"{\"a\":1}"}},null]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"a":"b"}}}]}}]}"#,
    ] {
        assert!(reader.read(Bytes::from_static(data.as_bytes())).has_content);
    }
    assert_eq!(reader.output_estimate(), 8);
}

#[test]
fn errors_inside_a_stream_are_found_wherever_they_are() {
    for (data, status, message) in [
        (r#"{"error":{"message":"busy","code":429}}"#, Some(429), "busy"),
        (r#"{"error":{"message":"busy","code":"429"},"choices":[]}"#, Some(429), "busy"),
        (r#"{"error":"busy"}"#, None, "busy"),
        (
            r#"{"id":"x","choices":[{"delta":{"content":""},"error":{"code":502,"message":"busy"}}]}"#,
            Some(502),
            "busy",
        ),
        (r#"[{"error":{"code":429,"message":"busy","status":"RESOURCE_EXHAUSTED"}}]"#, Some(429), "busy"),
        (r#"{"object":"error","message":"busy","code":503}"#, Some(503), "busy"),
        (r#"{"status":429,"title":"busy"}"#, Some(429), "busy"),
        (r#"{"detail":"busy"}"#, None, "busy"),
        (r#"{"code":50505,"message":"busy","data":null}"#, None, "busy"),
        (
            r#"{"error":{"message":"ResourceExhausted","type":"Service Unavailable","code":503}}"#,
            Some(503),
            "ResourceExhausted",
        ),
    ] {
        let chunk = read(data);
        let error = chunk.error.unwrap_or_else(|| panic!("no error: {data}"));
        assert_eq!((error.status, error.message.as_str()), (status, message), "{data}");
        assert!(chunk.forward.is_none() && !chunk.malformed, "{data}");
        assert!(!error.raw.is_empty());
    }
    let ended = read(r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#);
    assert!(ended.error.unwrap().message.contains("finish_reason"));
    for harmless in
        [r#"{"error":null,"choices":[]}"#, r#"{"error":{},"choices":[]}"#, r#"{"error":"","choices":[]}"#]
    {
        assert_eq!(read(harmless).error, None, "{harmless}");
    }
}

#[test]
fn what_is_no_json_object_is_malformed_and_not_forwarded() {
    for data in [
        &b"<html>"[..],
        b"null",
        b"7",
        b"\"text\"",
        b"[1]",
        b"{\"choices\":[",
        b"{\"choices\":[]} x",
        b"{\"model\":\"\xff\"}",
    ] {
        let chunk = chat().read(Bytes::from_static(data));
        assert!(chunk.malformed && chunk.forward.is_none(), "{}", data.escape_ascii());
    }
}

#[test]
fn a_stream_is_empty_without_content_unless_it_was_cut_short() {
    for (reason, empty) in
        [("stop", true), ("tool_calls", true), ("length", false), ("content_filter", false)]
    {
        let mut reader = chat();
        reader.read(format!(r#"{{"choices":[{{"delta":{{"role":"assistant","content":""}},"finish_reason":"{reason}"}}]}}"#).into());
        assert!(reader.has_finished());
        assert_eq!(reader.is_empty_answer(), empty, "{reason}");
    }
    assert!(chat().is_empty_answer());
}

#[test]
fn legacy_completions_have_their_content_in_text() {
    let mut reader = ChunkReader::new(Endpoint::Completions, "public", false);
    assert!(!reader.read(Bytes::from_static(br#"{"choices":[{"text":""}]}"#)).has_content);
    assert!(reader.read(Bytes::from_static(br#"{"choices":[{"text":"abcd"}]}"#)).has_content);
    assert_eq!(reader.output_estimate(), 1);
}

#[test]
fn a_plain_answer_passes_but_for_its_model_and_blank_lines_before_it() {
    let body = "\n\n\r\n {\"model\":\"z/glm\",\"choices\":[{\"message\":{\"content\":\"abcd\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n";
    let read = answer(Endpoint::Chat, body).unwrap();
    assert_eq!(read.body, body.trim_start().replace("z/glm", "public"));
    assert_eq!((read.usage.unwrap().total(), read.output_estimate), (5, 1));
}

#[test]
fn bad_answers_are_told_apart() {
    let bad = |body: &str| answer(Endpoint::Chat, body).unwrap_err();
    assert_eq!(bad("<!DOCTYPE html>"), BadAnswer::Html);
    assert_eq!(bad("data: {}\n\n"), BadAnswer::Stream);
    assert_eq!(bad(": OPENROUTER PROCESSING\n\ndata: {}"), BadAnswer::Stream);
    for body in ["ok", "{", "[]", "\"Invalid token\"", "{} {}"] {
        assert_eq!(bad(body), BadAnswer::NotJson, "{body}");
    }
    for body in [
        "",
        " \n",
        "{}",
        r#"{"choices":[]}"#,
        r#"{"choices":null}"#,
        r#"{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"message":{"content":"","tool_calls":[]},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[{"finish_reason":"stop"}]}"#,
    ] {
        assert_eq!(bad(body), BadAnswer::Empty, "{body}");
    }
    for body in [
        r#"{"error":{"message":"no","code":402}}"#,
        r#"[{"error":{"message":"no","code":402}}]"#,
        r#"{"choices":[{"message":{"content":""},"error":{"code":402,"message":"no"}}]}"#,
    ] {
        let BadAnswer::InBandError(error) = bad(body) else { panic!("{body}") };
        assert_eq!(error.status, Some(402));
    }
}

#[test]
fn an_answer_cut_short_before_its_first_word_is_not_asked_again() {
    for reason in ["length", "content_filter"] {
        let body = format!(r#"{{"choices":[{{"message":{{"content":""}},"finish_reason":"{reason}"}}]}}"#);
        assert!(answer(Endpoint::Chat, &body).is_ok(), "{reason}");
    }
}

#[test]
fn embeddings_need_data() {
    assert!(answer(Endpoint::Embeddings, r#"{"data":[{"embedding":[0.1]}],"model":"e"}"#).is_ok());
    assert_eq!(answer(Endpoint::Embeddings, r#"{"data":[],"model":"e"}"#), Err(BadAnswer::Empty));
}

#[test]
fn a_plain_answer_becomes_a_stream_that_reads_back() {
    let body = Bytes::from_static(
        br#"{"id":"c1","object":"chat.completion","created":7,"model":"z/glm","choices":[{"index":0,"message":{"role":"assistant",
            "content":"hi","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},
            "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
    );
    let chunked = answer_as_chunks(Endpoint::Chat, "public", &body, true).unwrap();
    let values: Vec<Value> =
        chunked.chunks.iter().map(|chunk| serde_json::from_slice(chunk).unwrap()).collect();
    let head = json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "public"});
    let with = |field: &str, value: Value| {
        let mut head = head.clone();
        head[field] = value;
        head
    };
    let call =
        json!({"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message = json!({"role": "assistant", "content": "hi", "tool_calls": [call]});
    let mut last = with("choices", json!([]));
    last["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 2});
    assert_eq!(
        values,
        [
            with("choices", json!([{"index": 0, "delta": message, "finish_reason": null}])),
            with("choices", json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
            last,
        ]
    );
    let mut reader = chat();
    let chunks: Vec<Chunk> = chunked.chunks.into_iter().map(|chunk| reader.read(chunk)).collect();
    assert!(chunks[0].has_content && chunks[1].finished && reader.has_finished());
    assert_eq!(reader.usage(), chunked.usage);
    assert_eq!(answer_as_chunks(Endpoint::Chat, "public", &body, false).unwrap().chunks.len(), 2);
}

#[test]
fn a_plain_answer_with_gaps_still_becomes_a_stream() {
    let body = Bytes::from_static(
        br#"{"choices":[{"message":{"content":"a"}},{"message":{"role":null,"tool_calls":[{"id":"t"}]}}]}"#,
    );
    let chunks = answer_as_chunks(Endpoint::Chat, "p", &body, true).unwrap().chunks;
    let values: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_slice(chunk).unwrap()).collect();
    assert_eq!(values[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "a"}));
    assert_eq!(values[1]["choices"][0]["finish_reason"], "stop");
    assert_eq!(values[2]["choices"][0]["index"], 1);
    assert_eq!(values[2]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(values[3]["choices"][0]["finish_reason"], "tool_calls");
    let legacy = Bytes::from_static(br#"{"choices":[{"text":"a","finish_reason":"stop"}]}"#);
    let chunks = answer_as_chunks(Endpoint::Completions, "p", &legacy, true).unwrap().chunks;
    let first: Value = serde_json::from_slice(&chunks[0]).unwrap();
    assert_eq!(
        (first["object"].as_str(), first["choices"][0]["text"].as_str()),
        (Some("text_completion"), Some("a"))
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let data = Bytes::from(data);
        for endpoint in Endpoint::ALL {
            ChunkReader::new(*endpoint, "p", true).read(data.clone());
            let _ = read_answer(*endpoint, "p", &data);
            let _ = answer_as_chunks(*endpoint, "p", &data, true);
        }
    }

    #[test]
    fn damaged_chunks_never_panic_and_what_is_forwarded_is_json(
        at in any::<prop::sample::Index>(),
        patch in prop::sample::select(vec!["null", "{", "[]", "\"", "-1", "{}", ",", "\\u12", "é"]),
    ) {
        let chunk = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"x"},"delta":{"content":"a","tool_calls":[{"function":{"arguments":"{}"}}]},"finish_reason":"stop","usage":{"prompt_tokens":1}}],"usage":{"prompt_tokens":1,"completion_tokens_details":{"reasoning_tokens":1}},"error":null}"#;
        let at = at.index(chunk.len());
        let damaged = format!("{}{patch}{}", &chunk[..at], &chunk[at + 1..]);
        let data = Bytes::from(damaged);
        if let Some(forward) = ChunkReader::new(Endpoint::Chat, "p", true).read(data.clone()).forward {
            prop_assert!(serde_json::from_slice::<&RawValue>(&forward).is_ok());
        }
        if let Ok(chunked) = answer_as_chunks(Endpoint::Chat, "p", &data, true) {
            for chunk in chunked.chunks {
                prop_assert!(serde_json::from_slice::<Value>(&chunk).is_ok(), "{:?}", chunk);
            }
        }
    }
}

#[test]
fn a_stream_of_several_choices_has_finished_when_each_of_them_has() {
    let chunk = |index: u32, reason: &str| {
        let reason = if reason.is_empty() { "null".to_owned() } else { format!("\"{reason}\"") };
        Bytes::from(format!(
            r#"{{"choices":[{{"index":{index},"delta":{{"content":"a"}},"finish_reason":{reason}}}]}}"#
        ))
    };
    let mut reader = ChunkReader::new(Endpoint::Chat, "m", false).with_choices(2);
    reader.read(chunk(0, ""));
    reader.read(chunk(1, ""));
    reader.read(chunk(0, "stop"));
    assert!(!reader.has_finished());
    reader.read(chunk(1, "stop"));
    assert!(reader.has_finished());
    let mut single = ChunkReader::new(Endpoint::Chat, "m", false);
    single.read(chunk(7, ""));
    single.read(chunk(0, "stop"));
    assert!(single.has_finished(), "a server that numbers choices oddly has finished too");
}
