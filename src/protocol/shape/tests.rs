//! Each fix on bodies as clients write them, odd ones and arbitrary ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn fix(text: &str) -> Fix {
    serde_json::from_str(text).expect(text)
}

/// The body after fixes; the same one if they find nothing to do.
fn shaped(body: &str, fixes: &[&str]) -> String {
    let fixes: Vec<Fix> = fixes.iter().map(|text| fix(text)).collect();
    let when = When::default();
    let body = Bytes::from(body.to_owned());
    let shaped = apply(&body, fixes.iter().map(|fix| (&when, fix)));
    String::from_utf8(shaped.map_or(body, |shaped| shaped.body).to_vec()).expect("UTF-8")
}

#[track_caller]
fn assert_shaped(fix: &str, body: &str, expected: &str) {
    assert_eq!(shaped(body, &[fix]), expected, "{fix}");
    assert_eq!(shaped(expected, &[fix]), expected, "{fix}: a second time changes nothing");
}

const TO_MAX_TOKENS: &str = r#"{"rename":{"from":"max_completion_tokens","to":"max_tokens"}}"#;
const DROP_STORE: &str = r#"{"drop":["store"]}"#;

#[test]
fn a_field_is_renamed_and_every_other_byte_stays() {
    assert_shaped(
        TO_MAX_TOKENS,
        "{ \"a\":1.0,\r\n\t\"max_completion_tokens\"  : 1E2 , \"big\":123456789012345678901234567890,\"neg\":-0.0 }\n",
        "{ \"a\":1.0,\r\n\t\"max_tokens\"  : 1E2 , \"big\":123456789012345678901234567890,\"neg\":-0.0 }\n",
    );
    for (case, body, expected) in [
        ("both", r#"{"max_completion_tokens":7,"max_tokens":5}"#, r#"{"max_tokens":5}"#),
        (
            "twice",
            r#"{"max_completion_tokens":7,"x":1,"max_completion_tokens":8}"#,
            r#"{"x":1,"max_tokens":8}"#,
        ),
        ("odd case", r#"{"Max_Tokens":5,"max_completion_tokens":7}"#, r#"{"Max_Tokens":5}"#),
        ("in a text", r#"{"x":"max_completion_tokens"}"#, r#"{"x":"max_completion_tokens"}"#),
        ("nested", r#"{"x":{"max_completion_tokens":1}}"#, r#"{"x":{"max_completion_tokens":1}}"#),
    ] {
        assert_eq!(shaped(body, &[TO_MAX_TOKENS]), expected, "{case}");
    }
}

#[test]
fn a_field_is_dropped_wherever_it_stands_with_its_comma() {
    for (body, expected) in [
        (r#"{"store":true}"#, "{}"),
        (r#"{ "store" : true , "a":1 }"#, r#"{ "a":1 }"#),
        (r#"{"a":1, "store":{"x":[1,2,"}"]}}"#, r#"{"a":1}"#),
        (r#"{"a":1,"store":1 , "b":2}"#, r#"{"a":1 , "b":2}"#),
        (r#"{"store":1,"a":1,"STORE":2,"store":3,"b":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":"store"}"#, r#"{"a":"store"}"#),
        ("[1]", "[1]"),
        ("{\"store\":", "{\"store\":"),
    ] {
        assert_shaped(DROP_STORE, body, expected);
    }
    assert_shaped(
        r#"{"drop":["tools.function.strict"]}"#,
        r#"{"tools":[{"function":{"name":"a","strict":true}},{"function":{"strict":false}},1],"strict":1}"#,
        r#"{"tools":[{"function":{"name":"a"}},{"function":{}},1],"strict":1}"#,
    );
}

#[test]
fn what_was_dropped_of_the_clients_is_told() {
    let when = When::default();
    let fixes = [
        fix(r#"{"set":{"field":"mine","value":1}}"#),
        fix(r#"{"drop":["mine","store","absent"]}"#),
        fix(r#"{"drop":["store"]}"#),
    ];
    let body = Bytes::from_static(b"{\"store\":1,\"a\":2}");
    let shaped = apply(&body, fixes.iter().map(|fix| (&when, fix))).expect("a change");
    assert_eq!((&shaped.body[..], shaped.dropped), (&b"{\"a\":2}"[..], vec!["store".to_owned()]));
}

#[test]
fn a_field_is_set_if_it_is_absent_or_always() {
    let set = r#"{"set":{"field":"enable_thinking","value":false}}"#;
    assert_shaped(set, r#"{"a":1 }"#, r#"{"a":1,"enable_thinking":false }"#);
    assert_shaped(set, "{ }", r#"{"enable_thinking":false }"#);
    assert_shaped(set, r#"{"Enable_Thinking":true}"#, r#"{"Enable_Thinking":true}"#);
    let always = r#"{"set":{"field":"enable_thinking","value":false,"always":true}}"#;
    assert_shaped(
        always,
        r#"{"enable_thinking":1,"enable_thinking": true}"#,
        r#"{"enable_thinking": false}"#,
    );
}

#[test]
fn a_value_and_a_role_are_replaced() {
    let any = r#"{"replace":{"field":"tool_choice","from":"required","to":"any"}}"#;
    assert_shaped(any, r#"{"tool_choice":"required"}"#, r#"{"tool_choice":"any"}"#);
    assert_shaped(any, r#"{"tool_choice":{"a":"required"}}"#, r#"{"tool_choice":{"a":"required"}}"#);
    assert_shaped(
        r#"{"role":{"from":"developer","to":"system"}}"#,
        r#"{"messages":[ {"role":"developer","content":"developer"}, {"content":"x","role" : "developer"},{"role":"user"}]}"#,
        r#"{"messages":[ {"role":"system","content":"developer"}, {"content":"x","role" : "system"},{"role":"user"}]}"#,
    );
}

#[test]
fn a_prefill_is_dropped_and_a_call_of_tools_is_none() {
    for (body, expected) in [
        (
            r#"{"messages":[{"role":"user"}, {"role":"assistant","content":"{"} , {"role":"assistant"} ],"a":1}"#,
            r#"{"messages":[{"role":"user"} ],"a":1}"#,
        ),
        (r#"{"messages":[{"role":"assistant"}]}"#, r#"{"messages":[{"role":"assistant"}]}"#),
        (
            r#"{"messages":[{"role":"user"},{"role":"assistant","tool_calls":[{}]}]}"#,
            r#"{"messages":[{"role":"user"},{"role":"assistant","tool_calls":[{}]}]}"#,
        ),
    ] {
        assert_shaped("\"drop_prefill\"", body, expected);
    }
}

#[test]
fn replayed_tool_calls_get_the_reasoning_that_they_lack() {
    assert_shaped(
        "\"fill_reasoning_content\"",
        r#"{"messages":[{"role":"assistant","tool_calls":[1]},{"role":"assistant","tool_calls":[1],"reasoning":"so\u0021"},
            {"role":"assistant","content":"x"},{"role":"assistant","tool_calls":[1],"reasoning_content":"y"},
            {"role":"assistant","tool_calls":[1],"reasoning_content":null},{"role":"assistant","tool_calls":[]}]}"#,
        r#"{"messages":[{"role":"assistant","tool_calls":[1],"reasoning_content":""},{"role":"assistant","tool_calls":[1],"reasoning":"so\u0021","reasoning_content":"so\u0021"},
            {"role":"assistant","content":"x"},{"role":"assistant","tool_calls":[1],"reasoning_content":"y"},
            {"role":"assistant","tool_calls":[1],"reasoning_content":""},{"role":"assistant","tool_calls":[]}]}"#,
    );
}

#[test]
fn cache_marks_are_added_where_there_are_none_or_stripped() {
    assert_shaped(
        r#"{"cache_control":"add"}"#,
        r#"{"messages":[{"role":"system","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"},
            {"role":"user","content":[{"type":"text","text":"d"},{"type":"text","text":"e"},{"type":"image_url"}]},{"role":"assistant"}]}"#,
        r#"{"messages":[{"role":"system","content":"a"},{"role":"system","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":"c"},
            {"role":"user","content":[{"type":"text","text":"d"},{"type":"text","text":"e","cache_control":{"type":"ephemeral"}},{"type":"image_url"}]},{"role":"assistant"}]}"#,
    );
    let own = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"d","cache_control":{}}]},{"role":"user","content":"x"}]}"#;
    assert_shaped(r#"{"cache_control":"add"}"#, own, own);
    let empty = r#"{"messages":[{"role":"user","content":""},{"role":"system","content":[]}]}"#;
    assert_shaped(r#"{"cache_control":"add"}"#, empty, empty);
    assert_shaped(
        r#"{"cache_control":"strip"}"#,
        r#"{"cache_control":{},"messages":[{"cache_control":1,"content":[{"text":"d","cache_control":{"a":1}}]}],"tools":[{"cache_control":1}]}"#,
        r#"{"messages":[{"content":[{"text":"d"}]}],"tools":[{}]}"#,
    );
}

#[test]
fn an_effort_is_said_in_every_dialect() {
    for (to, high, none) in [
        ("reasoning", r#""reasoning":{"effort":"high"}"#, r#""reasoning":{"enabled":false}"#),
        ("thinking", r#""thinking":{"type":"enabled"}"#, r#""thinking":{"type":"disabled"}"#),
        ("enable_thinking", r#""enable_thinking":true"#, r#""enable_thinking":false"#),
        (
            "template_enable_thinking",
            r#""chat_template_kwargs":{"enable_thinking":true}"#,
            r#""chat_template_kwargs":{"enable_thinking":false}"#,
        ),
        (
            "template_thinking",
            r#""chat_template_kwargs":{"thinking":true}"#,
            r#""chat_template_kwargs":{"thinking":false}"#,
        ),
    ] {
        let fix = format!(r#"{{"effort":{{"to":"{to}"}}}}"#);
        assert_shaped(&fix, r#"{"a":1,"reasoning_effort":"high"}"#, &format!(r#"{{"a":1,{high}}}"#));
        assert_shaped(&fix, r#"{"a":1,"reasoning_effort":"none"}"#, &format!(r#"{{"a":1,{none}}}"#));
        assert_shaped(&fix, r#"{"reasoning_effort":null}"#, r#"{"reasoning_effort":null}"#);
    }
    assert_shaped(r#"{"effort":{"to":"nothing"}}"#, r#"{"a":1,"reasoning_effort":"low"}"#, r#"{"a":1}"#);
    let keep = r#"{"effort":{"to":"thinking","keep":true}}"#;
    assert_shaped(
        keep,
        r#"{"reasoning_effort":"high"}"#,
        r#"{"reasoning_effort":"high","thinking":{"type":"enabled"}}"#,
    );
    assert_shaped(
        r#"{"effort":{"to":"template_thinking"}}"#,
        r#"{"reasoning_effort":"high","chat_template_kwargs":{"x":1}}"#,
        r#"{"chat_template_kwargs":{"x":1,"thinking":true}}"#,
    );
    assert_shaped(
        r#"{"effort":{"to":"thinking"}}"#,
        r#"{"reasoning_effort":"high","thinking":{"type":"disabled"}}"#,
        r#"{"thinking":{"type":"disabled"}}"#,
    );
}

#[test]
fn a_condition_asks_for_fields_that_say_something() {
    let when = |text: &str| serde_json::from_str::<When>(text).expect(text);
    let set = fix(r#"{"set":{"field":"x","value":1}}"#);
    for (condition, body, holds) in [
        (r#"{"has":["a","b"]}"#, r#"{"b":1}"#, true),
        (r#"{"has":["a"]}"#, r#"{"b":1}"#, false),
        (r#"{"has":["a"]}"#, r#"{"a":null}"#, false),
        (r#"{"lacks":["a"]}"#, r#"{"a":1}"#, false),
        (r#"{"lacks":["a"]}"#, r#"{"a":false}"#, true),
    ] {
        let (when, body) = (when(condition), Bytes::from(body.to_owned()));
        let changed = apply(&body, [(&when, &set)]).is_some();
        assert_eq!(changed, holds, "{condition} {body:?}");
    }
}

#[test]
fn later_fixes_see_what_earlier_ones_wrote() {
    let effort = r#"{"effort":{"to":"enable_thinking"}}"#;
    let body = r#"{"reasoning_effort":"high"}"#;
    assert_eq!(shaped(body, &[effort, r#"{"drop":["enable_thinking"]}"#]), "{}");
    assert_eq!(
        shaped(r#"{"max_completion_tokens":1}"#, &[TO_MAX_TOKENS, r#"{"drop":["max_tokens"]}"#]),
        "{}"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\{}:, é]{0,6}".prop_map(Value::from),
        Just(json!("assistant")),
        Just(json!("user")),
    ];
    let name = prop_oneof![
        "[a-c\"\\\\é]{0,2}",
        Just("role".to_owned()),
        Just("content".to_owned()),
        Just("messages".to_owned()),
        Just("tool_calls".to_owned()),
        Just("reasoning_effort".to_owned()),
        Just("store".to_owned()),
        Just("cache_control".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_stays_json_and_fields_that_no_fix_names_stay(value in any_json(), pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let fixes = [
            TO_MAX_TOKENS, r#"{"drop":["store","messages.content.store"]}"#, r#"{"role":{"from":"user","to":"system"}}"#,
            "\"drop_prefill\"", "\"fill_reasoning_content\"", r#"{"cache_control":"add"}"#, r#"{"cache_control":"strip"}"#,
            r#"{"effort":{"to":"template_thinking"}}"#, r#"{"set":{"field":"new","value":1}}"#,
        ];
        let after: Value = serde_json::from_str(&shaped(&body, &fixes)).expect("JSON");
        prop_assert_eq!(value.is_object(), after["new"] == 1);
        for (name, value) in value.as_object().into_iter().flatten() {
            if !["messages", "store", "cache_control", "reasoning_effort"].contains(&name.as_str()) {
                prop_assert_eq!(&after[name], value);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let when = When::default();
        let set = fix(r#"{"set":{"field":"x","value":1}}"#);
        let _ = apply(&body.into(), [(&when, &set)]);
    }
}
