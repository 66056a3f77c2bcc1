//! Requests as their providers want them: fixes by data, an operator's switches, and fields that an upstream refuses.

use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, model},
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";

/// A server with a channel of a provider, which offers a model.
struct Shop {
    app: TestApp,
    upstream: Upstream,
    model: String,
}

impl Shop {
    async fn of(provider: &str, model_name: &str, switches: &[(&str, bool)]) -> Self {
        let (app, upstream) = (TestApp::start().await, Upstream::start());
        app.token().await;
        app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
            channel.provider = provider.into();
            channel.models = vec![model(model_name)];
            channel.shaping.fixes = switches.iter().map(|(id, on)| ((*id).to_owned(), *on)).collect();
        })
        .await;
        Self { app, upstream, model: model_name.into() }
    }

    /// Asks with these fields beside the model and a message.
    async fn ask(&self, fields: &Value) -> Reply {
        let mut body =
            json!({"model": self.model, "messages": [{"role": "user", "content": "marker=abc words=3"}]});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.app.post(CHAT, &body).await
    }

    /// What the upstream got last.
    fn got(&self) -> Value {
        self.upstream.inferences().last().expect("a call").body.clone()
    }
}

/// One rule: the provider, a model, the rule's id, whether it waits to be switched on, what is sent, and what arrives of
/// these fields (null: is not there).
type Case = (&'static str, &'static str, &'static str, bool, Value, Value);

fn cases() -> Vec<Case> {
    let short = || json!({"max_completion_tokens": 7});
    let shortened = || json!({"max_tokens": 7, "max_completion_tokens": null});
    let developer =
        || json!({"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]});
    let system =
        || json!({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]});
    let effort = || json!({"reasoning_effort": "high"});
    let prefilled = || json!({"reasoning": {"effort": "low"}, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]});
    let unfilled = || json!({"messages": [{"role": "user", "content": "a"}]});
    let calls = json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let called = || {
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "tool", "content": "x", "tool_call_id": "c"}]})
    };
    let recalled = || {
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": calls, "reasoning_content": ""},
        {"role": "tool", "content": "x", "tool_call_id": "c"}]})
    };
    let unmarked =
        || json!({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]});
    let mark = |text: &str| json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
    let marked = || json!({"messages": [{"role": "system", "content": mark("a")}, {"role": "user", "content": mark("b")}]});
    let tool = |strict: Value| {
        let mut function = json!({"name": "f", "parameters": {}});
        if !strict.is_null() {
            function["strict"] = strict;
        }
        json!({"tools": [{"type": "function", "function": function}]})
    };
    let thinking = |on: bool| json!({"enable_thinking": on, "reasoning_effort": null});
    let template = |name: &str| json!({"chat_template_kwargs": {name: true}, "reasoning_effort": null});
    let both = || json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"});
    let required =
        || json!({"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]});
    let mut cases: Vec<Case> = vec![
        ("mistral", "m", "random-seed", false, json!({"seed": 5}), json!({"random_seed": 5, "seed": null})),
        (
            "mistral",
            "m",
            "unknown-fields",
            false,
            json!({"store": false, "top_p": 0.5}),
            json!({"store": null, "top_p": 0.5}),
        ),
        (
            "groq",
            "m",
            "unknown-fields",
            false,
            json!({"logprobs": true, "logit_bias": {"1": 2}}),
            json!({"logprobs": null, "logit_bias": null}),
        ),
        (
            "nvidia",
            "m",
            "unknown-fields",
            false,
            json!({"tool_stream": true, "enable_thinking": true}),
            json!({"tool_stream": null, "enable_thinking": null}),
        ),
        ("nvidia", "qwen/q", "effort-template-enable-thinking", false, effort(), template("enable_thinking")),
        ("nvidia", "deepseek-ai/d", "effort-template-thinking", false, effort(), template("thinking")),
        (
            "dashscope",
            "qwen3-8b",
            "no-thinking-without-stream",
            false,
            json!({"enable_thinking": true}),
            thinking(false),
        ),
        ("modelscope", "Qwen/Qwen3-8B", "no-thinking-without-stream", false, json!({}), thinking(false)),
        ("modelscope-intl", "Qwen/Qwen3-8B", "no-thinking-without-stream", false, effort(), thinking(false)),
        ("modelscope", "ZhipuAI/GLM-5", "effort-enable-thinking", false, effort(), thinking(true)),
        (
            "siliconflow",
            "m",
            "effort-enable-thinking",
            false,
            json!({"reasoning_effort": "none"}),
            thinking(false),
        ),
        ("dashscope", "qwen-plus", "effort-enable-thinking", false, effort(), thinking(true)),
        ("deepseek", "deepseek-v4-pro", "effort-thinking", false, effort(), both()),
        (
            "deepseek",
            "deepseek-v4-pro",
            "effort-thinking",
            false,
            json!({"reasoning_effort": "none"}),
            json!({"thinking": {"type": "disabled"}, "reasoning_effort": null}),
        ),
        ("zhipu", "glm-5", "effort-thinking", false, effort(), both()),
        ("volcengine", "m", "effort-thinking", false, effort(), both()),
        ("deepseek", "deepseek-v4-pro", "fill-reasoning-content", false, called(), recalled()),
        ("moonshot", "kimi-k2.5", "fill-reasoning-content", false, called(), recalled()),
        ("openrouter", "deepseek/deepseek-v4-pro", "fill-reasoning-content", false, called(), recalled()),
        ("moonshot", "kimi-k2.5", "tool-choice-auto", false, required(), json!({"tool_choice": "auto"})),
        (
            "openrouter",
            "openai/gpt-5",
            "effort-reasoning",
            false,
            effort(),
            json!({"reasoning": {"effort": "high"}, "reasoning_effort": null}),
        ),
        ("openrouter", "anthropic/claude-opus-4.6", "no-prefill", false, prefilled(), unfilled()),
        (
            "openrouter",
            "anthropic/claude-3.7-sonnet",
            "no-prefill-while-reasoning",
            false,
            prefilled(),
            unfilled(),
        ),
        ("openrouter", "anthropic/claude-sonnet-4.5", "cache-control", true, unmarked(), marked()),
        (
            "generic",
            "m",
            "max-completion-tokens",
            true,
            json!({"max_tokens": 7}),
            json!({"max_tokens": null, "max_completion_tokens": 7}),
        ),
        ("generic", "m", "tool-choice-any", true, required(), json!({"tool_choice": "any"})),
        ("generic", "m", "tool-choice-auto", true, required(), json!({"tool_choice": "auto"})),
        ("generic", "m", "no-strict-tools", true, tool(json!(true)), tool(Value::Null)),
        ("generic", "m", "no-prefill", true, prefilled(), unfilled()),
        ("generic", "m", "fill-reasoning-content", true, called(), recalled()),
        ("generic", "m", "cache-control", true, unmarked(), marked()),
        (
            "generic",
            "m",
            "no-cache-control",
            true,
            marked(),
            json!({"messages": [
            {"role": "system", "content": [{"type": "text", "text": "a"}]}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]}),
        ),
        (
            "generic",
            "m",
            "effort-reasoning",
            true,
            effort(),
            json!({"reasoning": {"effort": "high"}, "reasoning_effort": null}),
        ),
        (
            "generic",
            "m",
            "effort-thinking",
            true,
            effort(),
            json!({"thinking": {"type": "enabled"}, "reasoning_effort": null}),
        ),
        ("generic", "m", "effort-enable-thinking", true, effort(), thinking(true)),
        ("generic", "m", "effort-template-enable-thinking", true, effort(), template("enable_thinking")),
        ("generic", "m", "effort-template-thinking", true, effort(), template("thinking")),
        ("generic", "m", "no-effort", true, effort(), json!({"reasoning_effort": null})),
    ];
    let rename = [
        "deepseek",
        "zhipu",
        "mistral",
        "nvidia",
        "siliconflow",
        "dashscope",
        "modelscope",
        "modelscope-intl",
        "ollama",
        "ollama-cloud",
    ];
    cases.extend(rename.map(|provider| (provider, "m", "max-tokens", false, short(), shortened())));
    let role = [
        "deepseek",
        "zhipu",
        "mistral",
        "nvidia",
        "siliconflow",
        "dashscope",
        "modelscope",
        "modelscope-intl",
        "ollama",
        "ollama-cloud",
        "moonshot",
        "volcengine",
    ];
    cases.extend(role.map(|provider| (provider, "m", "developer-role", false, developer(), system())));
    cases.push(("generic", "m", "max-tokens", true, short(), shortened()));
    cases.push(("generic", "m", "developer-role", true, developer(), system()));
    cases
}

/// The fields that a case speaks of, as they arrived.
fn of_case(got: &Value, expected: &Value) -> Value {
    expected.as_object().expect("fields").keys().map(|name| (name.clone(), got[name].clone())).collect()
}

#[tokio::test]
async fn each_rule_of_each_provider_gives_its_upstream_what_it_wants_and_can_be_switched() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let cases = cases();
    let name = |number: usize, on: bool| format!("model-{number}-{on}");
    for (number, (provider, upstream_model, id, waits, ..)) in cases.iter().enumerate() {
        for on in [true, false] {
            app.channel_with(&name(number, on), &upstream.base_url(), &["key"], |channel| {
                channel.provider = (*provider).into();
                channel.models = Vec::new();
                channel.redirects = vec![crate::support::app::redirect(&name(number, on), upstream_model)];
                if on == *waits {
                    channel.shaping.fixes.insert((*id).to_owned(), on);
                }
            })
            .await;
        }
    }
    for (number, (provider, _, id, waits, sent, expected)) in cases.iter().enumerate() {
        for on in [true, false] {
            let mut body =
                json!({"model": name(number, on), "messages": [{"role": "user", "content": "hi"}]});
            for (field, value) in sent.as_object().expect("fields") {
                body[field] = value.clone();
            }
            let reply = app.post(CHAT, &body).await;
            assert_eq!(reply.status, 200, "{provider} {id}: {}", reply.text());
            let got = upstream.inferences().last().expect("a call").body.clone();
            if on {
                assert_eq!(&of_case(&got, expected), expected, "{provider} {id}");
            } else if *waits {
                assert_eq!(&of_case(&got, sent), sent, "{provider} {id} is off");
            }
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_rule_that_is_switched_off_leaves_the_request_as_it_is() {
    let shop = Shop::of("mistral", "m", &[("max-tokens", false), ("unknown-fields", false)]).await;
    let sent = json!({"max_completion_tokens": 7, "store": true});
    assert_eq!(shop.ask(&sent).await.status, 200);
    assert_eq!(of_case(&shop.got(), &sent), sent);
    shop.app.stop().await;
}

#[tokio::test]
async fn a_request_that_needs_no_fix_passes_byte_for_byte_also_where_there_are_rules() {
    let shop = Shop::of("mistral", "m", &[]).await;
    let body = "{ \"zeta\":1.0,\r\n\"model\"  : \"m\" , \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\",\"x\":1e400}],\"big\":123456789012345678901234567890 }\n";
    assert_eq!(shop.app.post_raw(CHAT, body).await.status, 200);
    assert_eq!(String::from_utf8_lossy(&shop.upstream.calls()[0].request.body), body);
    let fixed = body.replace("\"zeta\"", "\"store\":0, \"zeta\"");
    let reply = shop.app.post_raw(CHAT, fixed).await;
    assert_eq!(reply.header("x-onepool-dropped"), Some("store"));
    assert_eq!(String::from_utf8_lossy(&shop.upstream.calls()[1].request.body), body);
    shop.app.stop().await;
}

#[tokio::test]
async fn thinking_is_left_on_in_streams() {
    let shop = Shop::of("modelscope", "Qwen/Qwen3-8B", &[]).await;
    let reply = shop.ask(&json!({"stream": true, "enable_thinking": true})).await;
    assert!(reply.done(), "{}", reply.text());
    assert_eq!(shop.got()["enable_thinking"], true);
    shop.app.stop().await;
}

/// Refusals of a field as vendors word them; `X` stands for it.
const WORDINGS: &[(u16, &str)] = &[
    (
        400,
        r#"{"error":{"message":"Unrecognized request argument supplied: X","type":"invalid_request_error","param":null,"code":null}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"Unknown parameter: 'X'.","type":"invalid_request_error","param":"X","code":"unknown_parameter"}}"#,
    ),
    (400, r#"{"error":{"message":"property 'X' is unsupported","type":"invalid_request_error"}}"#),
    (
        422,
        r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","X"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error"}"#,
    ),
    (
        400,
        r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'X'), 'msg': 'Extra inputs are not permitted'}]","type":"BadRequestError","code":400}"#,
    ),
    (400, r#"{"status":400,"title":"Bad Request","detail":"Validation: Unsupported parameter(s): `X`"}"#),
    (
        400,
        r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"X\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
    ),
];

#[tokio::test]
async fn a_field_that_an_upstream_does_not_know_is_dropped_once_named_and_remembered() {
    for (status, body) in WORDINGS {
        let shop = Shop::of("generic", "m", &[]).await;
        shop.upstream.reject_field("odd_option", *status, &body.replace('X', "odd_option"));
        let sent = json!({"odd_option": {"a": 1}, "kept_option": 1});
        let first = shop.ask(&sent).await;
        assert_eq!((first.status, first.header("x-onepool-dropped")), (200, Some("odd_option")), "{body}");
        assert_eq!(first.header("x-onepool-attempts"), Some("2"));
        let got = shop.got();
        assert!(got["odd_option"].is_null() && got["kept_option"] == 1, "{got}");
        let second = shop.ask(&sent).await;
        assert_eq!((second.status, second.header("x-onepool-dropped")), (200, Some("odd_option")));
        assert_eq!(shop.upstream.inferences().len(), 3, "it is not sent there again: {body}");
        let without = shop.ask(&json!({"kept_option": 1})).await;
        assert_eq!(without.header("x-onepool-dropped"), None, "nothing of this request was dropped");
        let rows = shop.app.rows().await;
        assert_eq!(rows.iter().filter(|row| row["result"] == "ok").count(), 3);
        shop.app.stop().await;
    }
}

#[tokio::test]
async fn a_field_whose_other_name_is_asked_for_is_sent_by_that_name() {
    let shop = Shop::of("generic", "m", &[]).await;
    shop.upstream.reject_field(
        "max_tokens",
        400,
        r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
    );
    let reply = shop.ask(&json!({"max_tokens": 9})).await;
    assert_eq!((reply.status, reply.header("x-onepool-dropped")), (200, None));
    assert_eq!(shop.got()["max_completion_tokens"], 9);
    assert_eq!(shop.ask(&json!({"max_tokens": 9})).await.status, 200);
    assert_eq!(shop.upstream.inferences().len(), 3);
    shop.app.stop().await;
}

#[tokio::test]
async fn what_makes_a_request_is_never_dropped_and_a_refusal_that_stays_reaches_the_client() {
    let shop = Shop::of("generic", "m", &[]).await;
    shop.upstream.reject_field("tools", 400, r#"{"error":{"message":"Unknown parameter: 'tools'."}}"#);
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    assert_eq!(shop.ask(&tools).await.status, 400);
    assert_eq!(shop.upstream.inferences().len(), 1);
    // The words name a field, but are about something else: dropping it does not help, and is not remembered.
    shop.upstream.reject_field("messages", 400, r#"{"error":{"message":"user is not supported here"}}"#);
    let reply = shop.ask(&json!({"user": "u"})).await;
    assert_eq!((reply.status, shop.upstream.inferences().len()), (400, 3), "{}", reply.text());
    shop.upstream.reject_field("messages", 200, "");
    assert_eq!(shop.ask(&json!({"user": "u"})).await.status, 200);
    assert_eq!(shop.got()["user"], "u");
    shop.app.stop().await;
}

#[tokio::test]
async fn an_upstream_that_refuses_one_field_after_the_other_is_asked_a_few_times_only() {
    let shop = Shop::of("generic", "m", &[]).await;
    let mut sent = json!({});
    for number in 0..6 {
        let name = format!("odd_{number}");
        shop.upstream.reject_field(
            &name,
            400,
            &format!(r#"{{"error":{{"message":"Unknown parameter: '{name}'."}}}}"#),
        );
        sent[&name] = 1.into();
    }
    assert_eq!(shop.ask(&sent).await.status, 400);
    assert_eq!(shop.upstream.inferences().len(), 4);
    shop.app.stop().await;
}

#[tokio::test]
async fn a_field_of_a_fix_that_the_model_does_not_take_is_left_out_as_well() {
    let shop = Shop::of("siliconflow", "m", &[]).await;
    shop.upstream.reject_field(
        "enable_thinking",
        400,
        r#"{"code":20015,"message":"Value error, current model does not support parameter `enable_thinking`.","data":null}"#,
    );
    let reply = shop.ask(&json!({"reasoning_effort": "high"})).await;
    assert_eq!((reply.status, reply.header("x-onepool-dropped")), (200, None), "{}", reply.text());
    assert!(shop.got()["enable_thinking"].is_null());
    shop.app.stop().await;
}

#[tokio::test]
async fn a_model_that_calls_no_tools_is_left_for_another_one() {
    let shop = Shop::of("nvidia", "m", &[]).await;
    let spare = Upstream::start();
    shop.app.channel_with("spare", &spare.base_url(), &["key-2"], |channel| channel.priority = -1).await;
    shop.upstream.refuse_as_recorded(
        None,
        None,
        400,
        &[],
        r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","code":400}"#,
    );
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
    assert_eq!(shop.ask(&tools).await.status, 200);
    assert_eq!((shop.upstream.inferences().len(), spare.inferences().len()), (1, 1));
    shop.app.stop().await;
}
