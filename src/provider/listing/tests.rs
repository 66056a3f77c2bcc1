//! Lists of every shape, and lists that are wrong.

use std::fmt::Write as _;

use super::{Field, Knowledge, Listing, MAX_MODELS, Modality, ModelFacts, NextPage, diff, parse};
use crate::{
    model::{channel::Price, time::UnixMs},
    provider::preset::ListShape,
};

fn read(shape: ListShape, body: &str) -> Vec<ModelFacts> {
    match parse(shape, body.as_bytes()) {
        Ok(listing) => {
            assert!(listing.is_complete(), "{listing:?}");
            listing.models
        }
        Err(fault) => panic!("{fault}"),
    }
}

fn only(shape: ListShape, body: &str) -> ModelFacts {
    let mut models = read(shape, body);
    assert_eq!(models.len(), 1, "{models:?}");
    models.remove(0)
}

/// What it takes: text, images, audio.
fn takes(model: &ModelFacts) -> Option<[bool; 3]> {
    model.input.map(|input| [Modality::Text, Modality::Image, Modality::Audio].map(|kind| input.has(kind)))
}

#[test]
fn lists_of_names_are_read_whatever_holds_them() {
    for body in [
        r#"{"object":"list","data":[{"id":"b"},{"id":"a"},{"id":"a","context_length":9}]}"#,
        r#"[{"id":"a","object":"model"},{"id":"b"}]"#,
        r#"{"models":[{"name":"a"},{"name":"b"}],"data":null,"more":{"x":[1,{}]}}"#,
        "\u{feff}[\"a\",\"b\"]",
    ] {
        let body = body.replace(r#","data":null"#, "");
        let models = read(ListShape::Openai, &body);
        let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(names, ["a", "b"], "{body}");
        assert_eq!(
            models[0],
            ModelFacts { id: "a".into(), ..ModelFacts::default() },
            "nothing is guessed: {body}"
        );
    }
}

#[test]
fn openrouters_list_is_read_with_prices_and_modalities() {
    let model = only(
        ListShape::Openrouter,
        r#"{"data":[{"id":"x/a:free","name":"X: A (free)","created":1770000000,"context_length":131072,
            "top_provider":{"context_length":100,"max_completion_tokens":8192,"is_moderated":false},
            "architecture":{"modality":"text+image->text","input_modalities":["text","image"],"output_modalities":["text"]},
            "supported_parameters":["tools","seed"],"benchmarks":{"x":1},
            "pricing":{"prompt":"0.00000015","completion":"0.0000006","input_cache_read":"0.000000075","image":"0"}}],
            "total_count":1,"links":{"next":null}}"#,
    );
    assert_eq!(
        (model.id.as_str(), model.context_window, model.output_limit),
        ("x/a:free", Some(131_072), Some(8192))
    );
    assert_eq!(takes(&model), Some([true, true, false]));
    assert_eq!(model.output.map(|output| output.iter().collect::<Vec<_>>()), Some(vec![Modality::Text]));
    assert_eq!((model.tools, model.reasoning), (Some(true), Some(false)));
    assert_eq!(
        model.price,
        Some(Price { input: 150_000, cached: Some(75_000), output: 600_000, reasoning: None })
    );
    assert_eq!(model.created, Some(UnixMs(1_770_000_000_000)));
}

#[test]
fn groqs_and_mistrals_own_fields_are_read_and_inactive_models_left_out() {
    let models = read(
        ListShape::Openai,
        r#"{"data":[{"id":"g","active":true,"context_window":131072,"max_completion_tokens":65536,"created":0},
            {"id":"gone","active":false},
            {"id":"m","max_context_length":262144,"capabilities":{"completion_chat":true,"function_calling":true,"vision":false}}]}"#,
    );
    let [groq, mistral] = &models[..] else { panic!("{models:?}") };
    assert_eq!((groq.context_window, groq.output_limit, groq.created), (Some(131_072), Some(65_536), None));
    assert_eq!((mistral.tools, takes(mistral)), (Some(true), Some([true, false, false])));
    assert_eq!((mistral.reasoning, mistral.price), (None, None));
}

#[test]
fn what_lists_say_of_schemas_and_sound_is_read_and_nothing_is_guessed() {
    for (shape, fields, schema, audio) in [
        (
            ListShape::Openrouter,
            r#""supported_parameters":["response_format","structured_outputs"]"#,
            Some(true),
            None,
        ),
        (ListShape::Openrouter, r#""supported_parameters":["response_format","tools"]"#, None, None),
        (ListShape::Openrouter, r#""supported_parameters":["tools"]"#, Some(false), None),
        (ListShape::Openrouter, r#""architecture":{"input_modalities":["text","audio"]}"#, None, Some(true)),
        (ListShape::Openrouter, r#""architecture":{"input_modalities":["text","image"]}"#, None, Some(false)),
        (
            ListShape::Openai,
            r#""capabilities":{"vision":true,"audio":true,"structured_outputs":false}"#,
            Some(false),
            Some(true),
        ),
        (ListShape::Openai, r#""capabilities":{"vision":true}"#, None, None),
        (ListShape::Openai, r#""capabilities":["vision"]"#, None, None),
        (ListShape::Openai, r#""features":["json_schema"]"#, Some(true), None),
        (
            ListShape::Huggingface,
            r#""providers":[{"supports_structured_output":false},{"supports_structured_output":true}]"#,
            Some(true),
            None,
        ),
        (ListShape::Huggingface, r#""providers":[{"supports_structured_output":false}]"#, Some(false), None),
    ] {
        let model = only(shape, &format!(r#"{{"data":[{{"id":"m",{fields}}}]}}"#));
        assert_eq!((model.schema, model.audio), (schema, audio), "{fields}");
    }
}

#[test]
fn togethers_bare_list_has_prices_per_million_tokens() {
    let model = only(
        ListShape::Together,
        r#"[{"id":"z/b","type":"chat","context_length":262144,"pricing":{"input":0.88,"output":1.5,"hourly":0}}]"#,
    );
    assert_eq!(model.price, Some(Price { input: 880_000, cached: None, output: 1_500_000, reasoning: None }));
    assert!(model.output.is_some_and(|output| output.has(Modality::Text)));
    let openai = only(ListShape::Openai, r#"[{"id":"z/b","pricing":{"input":0.88,"output":1.5}}]"#);
    assert_eq!(openai.price, None, "without its unit a price is unknown");
}

#[test]
fn googles_own_list_is_read_without_what_does_not_generate() {
    let model = only(
        ListShape::Google,
        r#"{"models":[{"name":"models/gemini-x","inputTokenLimit":1048576,"outputTokenLimit":65536,
            "supportedGenerationMethods":["generateContent","countTokens"],"thinking":true},
            {"name":"models/embedder","supportedGenerationMethods":["embedContent"]}]}"#,
    );
    assert_eq!((model.id.as_str(), model.context_window), ("gemini-x", Some(1_048_576)));
    assert_eq!((model.output_limit, model.reasoning, model.input), (Some(65_536), Some(true), None));
}

#[test]
fn coheres_ollamas_cloudflares_and_hugging_faces_lists_are_read() {
    let cohere = only(
        ListShape::Cohere,
        r#"{"models":[{"name":"command-x","endpoints":["chat"],"context_length":288000,"features":["tools","vision"]}]}"#,
    );
    assert_eq!((cohere.context_window, cohere.tools), (Some(288_000), Some(true)));
    assert_eq!((cohere.reasoning, takes(&cohere)), (Some(false), Some([true, true, false])));

    let ollama = only(
        ListShape::Ollama,
        r#"{"models":[{"name":"gpt-oss:20b","model":"gpt-oss:20b","size":1,"capabilities":["completion","tools","thinking"]}]}"#,
    );
    assert_eq!((ollama.id.as_str(), ollama.tools, ollama.reasoning), ("gpt-oss:20b", Some(true), Some(true)));
    assert_eq!(takes(&ollama), Some([true, false, false]));

    let cloudflare = only(
        ListShape::Cloudflare,
        r#"{"success":true,"result":[{"id":"0f-uuid","name":"@cf/openai/gpt-oss-120b","task":{"name":"Text Generation"},
            "properties":[{"property_id":"context_window","value":"128000"},{"property_id":"function_calling","value":"true"},
            {"property_id":"price","value":[{"unit":"per M input tokens","price":0.35}]}]}]}"#,
    );
    assert_eq!(
        (cloudflare.id.as_str(), cloudflare.context_window),
        ("@cf/openai/gpt-oss-120b", Some(128_000))
    );
    assert_eq!((cloudflare.tools, cloudflare.price), (Some(true), None));

    let router = only(
        ListShape::Huggingface,
        r#"{"data":[{"id":"o/m","architecture":{"input_modalities":["text"],"output_modalities":["text"]},
            "providers":[{"provider":"a","context_length":131072,"supports_tools":false},{"provider":"b","context_length":8192,"supports_tools":true}]}]}"#,
    );
    assert_eq!((router.context_window, router.tools), (Some(8192), Some(true)));
    let silent = r#"{"data":[{"id":"o/m","providers":[{"context_length":1},{"provider":"b"}]}]}"#;
    assert_eq!(only(ListShape::Huggingface, silent).context_window, None, "one server does not say");
}

#[test]
fn what_cannot_be_meant_is_unknown() {
    let model = only(
        ListShape::Openrouter,
        r#"{"data":[{"id":"a","context_length":-1,"max_completion_tokens":"8192","created":true,"architecture":[],
            "supported_parameters":"tools","top_provider":null,"capabilities":7,"pricing":{"prompt":"-1","completion":"-1"}}]}"#,
    );
    let expected = ModelFacts { id: "a".into(), output_limit: Some(8192), ..ModelFacts::default() };
    assert_eq!(model, expected);
    for price in [r#""1e-7""#, "1e-7", r#""0.0000001""#] {
        let body = format!(r#"[{{"id":"a","pricing":{{"prompt":{price},"completion":0}}}}]"#);
        assert_eq!(
            only(ListShape::Openrouter, &body).price.map(|price| price.input),
            Some(100_000),
            "{price}"
        );
    }
    for price in [r#""NaN""#, r#""1e400""#, "1e300", "null", "{}"] {
        let body = format!(r#"[{{"id":"a","pricing":{{"prompt":{price},"completion":0}}}}]"#);
        assert_eq!(only(ListShape::Openrouter, &body).price, None, "{price}");
    }
}

#[test]
fn a_body_of_a_wrong_shape_is_refused_with_its_place() {
    for (shape, body, place, words) in [
        (ListShape::Openai, "{}", "the list", "`data` or `models`"),
        (ListShape::Openai, r#"{"error":{"message":"no"}}"#, "the list", "`data` or `models`"),
        (ListShape::Openai, r#"{"data":{"a":1}}"#, "data", "a list of models"),
        (ListShape::Openai, r#"{"object":"list","data":"none"}"#, "data", "a list of models"),
        (ListShape::Openai, r#"{"data":null}"#, "data", "a list of models"),
        (ListShape::Openai, "7", "the list", "a list of models"),
        (ListShape::Openai, "<html>", "line 1, column 1", "expected value"),
        (ListShape::Openai, "", "line 1, column 0", "EOF"),
        (ListShape::Openai, "{\"data\":[\n{\"id\":\"a\"},\n", "line 3, column 0", "EOF"),
        (ListShape::Openai, r#"{"data":[]} x"#, "line 1, column 13", "trailing"),
        (ListShape::Openai, r#"{"data":[7,{"x":1}]}"#, "data[0]", "an object or a name"),
        (ListShape::Google, r#"{"data":[{"id":"a"}]}"#, "the list", "`models`"),
        (ListShape::Google, r#"[{"name":"a"}]"#, "the list", "`models`"),
        (ListShape::Google, r#"{"models":[{"id":"a"}]}"#, "models[0]", "no `name`"),
        (ListShape::Cloudflare, r#"{"result":null,"success":false}"#, "result", "a list of models"),
    ] {
        let fault = parse(shape, body.as_bytes()).expect_err(body);
        assert!(fault.place == place && fault.message.contains(words), "{body}: {fault}");
    }
    let large = vec![b' '; super::MAX_BYTES + 1];
    assert_eq!(parse(ListShape::Openai, &large).expect_err("too large").place, "the list");
}

#[test]
fn an_entry_that_is_no_model_is_told_with_its_place_and_the_others_are_read() {
    let body = format!(
        r#"{{"data":[{{"id":"a"}},{{"x":1}},null,"two words",{{"id":"b"}},"{}",""]}}"#,
        "x".repeat(201)
    );
    let listing = parse(ListShape::Openai, body.as_bytes()).expect("a list");
    assert_eq!(listing.models.len(), 2);
    let skipped: Vec<String> = listing.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(
        skipped,
        [
            "data[1]: it has no `id`",
            "data[2]: an object or a name is expected here",
            "data[3]: the name has blanks or control characters",
            "data[5]: the name has more than 200 characters",
            "data[6]: the name is empty",
        ]
    );
    assert!(!listing.is_complete(), "what cannot be read might be any model");
}

#[test]
fn a_list_that_goes_on_elsewhere_or_is_too_long_is_known_to_be_cut_off() {
    let more = r#"{"models":[{"name":"models/a"}],"nextPageToken":"x"}"#;
    assert!(parse(ListShape::Google, more.as_bytes()).expect("a list").truncated);
    let last = r#"{"data":[{"id":"a"}],"has_more":false}"#;
    assert!(!parse(ListShape::Openai, last.as_bytes()).expect("a list").truncated);
    let names: Vec<String> = (0..=MAX_MODELS).map(|number| format!("m{number}")).collect();
    let body = serde_json::to_vec(&names).expect("JSON");
    let listing = parse(ListShape::Openai, &body).expect("a list");
    assert_eq!((listing.models.len(), listing.truncated), (MAX_MODELS, true));
}

#[test]
fn five_thousand_models_are_read() {
    let mut body = String::from(r#"{"data":["#);
    for number in 0..MAX_MODELS {
        let comma = if number == 0 { "" } else { "," };
        let text = "word ".repeat(200);
        let _ = write!(
            body,
            r#"{comma}{{"id":"vendor/model-{number}:free","name":"Model","description":"{text}","context_length":131072,
            "architecture":{{"input_modalities":["text"],"output_modalities":["text"],"tokenizer":"Other"}},
            "pricing":{{"prompt":"0","completion":"0"}},"supported_parameters":["tools","seed","top_p"]}}"#
        );
    }
    body.push_str("]}");
    let models = read(ListShape::Openrouter, &body);
    assert_eq!(models.len(), MAX_MODELS);
    assert!(models.iter().all(|model| model.price == Some(Price::default()) && model.tools == Some(true)));
}

fn listing(models: &[ModelFacts]) -> Listing {
    Listing { models: models.to_vec(), ..Listing::default() }
}

fn model(id: &str, context_window: Option<u32>, free: Option<bool>) -> ModelFacts {
    ModelFacts { id: id.into(), context_window, free, ..ModelFacts::default() }
}

#[test]
fn two_lists_differ_by_what_appeared_changed_and_vanished() {
    let before = [
        model("a", Some(1000), Some(true)),
        model("b", None, None),
        model("c", Some(1), None),
        model("d", Some(5), Some(true)),
    ];
    let after = listing(&[
        model("a", Some(2000), Some(false)),
        model("b", Some(7), None),
        model("bb", None, None),
        model("d", None, Some(true)),
    ]);
    let changes = diff(&before, &after);
    assert_eq!(changes.appeared, [&after.models[2]]);
    assert_eq!(changes.vanished, [&before[2]]);
    let changed: Vec<_> =
        changes.changed.iter().map(|one| (one.after.id.as_str(), &one.fields[..])).collect();
    assert_eq!(
        changed,
        [
            ("a", &[(Field::ContextWindow, Knowledge::Altered), (Field::Free, Knowledge::Altered)][..]),
            ("b", &[(Field::ContextWindow, Knowledge::Learned)][..]),
            ("d", &[(Field::ContextWindow, Knowledge::Forgotten)][..]),
        ]
    );
    assert!(diff(&before, &listing(&before)).is_empty());
}

#[test]
fn an_empty_or_broken_list_proves_nothing_gone() {
    let before = [model("a", None, None), model("b", None, None)];
    let empty = listing(&[]);
    let changes = diff(&before, &empty);
    assert!(changes.vanished.is_empty());
    assert_eq!(changes.unproved.len(), 2);
    let mut cut = listing(&before[..1]);
    cut.truncated = true;
    let changes = diff(&before, &cut);
    assert_eq!((changes.vanished.len(), changes.unproved.len()), (0, 1));
}

#[test]
fn facts_survive_being_saved() {
    let facts = only(
        ListShape::Openrouter,
        r#"[{"id":"a","context_length":5,"architecture":{"input_modalities":["text","image"]},"pricing":{"prompt":"0.000001","completion":"0"}}]"#,
    );
    let saved = serde_json::to_string(&facts).expect("JSON");
    assert!(saved.contains(r#""input":["text","image"]"#) && !saved.contains("free"), "{saved}");
    assert_eq!(serde_json::from_str::<ModelFacts>(&saved).expect("facts"), facts);
}

mod bounds {
    use proptest::prelude::*;

    use super::*;

    const SHAPES: [ListShape; 8] = [
        ListShape::Openai,
        ListShape::Openrouter,
        ListShape::Together,
        ListShape::Google,
        ListShape::Cohere,
        ListShape::Ollama,
        ListShape::Cloudflare,
        ListShape::Huggingface,
    ];

    /// Values that entries may have, from sensible to absurd.
    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,20}".prop_map(Into::into),
            "[0-9.e-]{0,30}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let name = prop::sample::select(vec![
                "id",
                "name",
                "model",
                "context_length",
                "pricing",
                "prompt",
                "completion",
                "architecture",
                "value",
                "input_modalities",
                "capabilities",
                "providers",
                "properties",
                "property_id",
                "created",
                "x",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn arbitrary_lists_never_panic_and_give_names_that_can_be_sent(entries in prop::collection::vec(value(), 0..6)) {
            for shape in SHAPES {
                for container in ["data", "models", "result"] {
                    let body = serde_json::json!({ container: entries }).to_string();
                    let Ok(listing) = parse(shape, body.as_bytes()) else { continue };
                    prop_assert!(listing.models.len() + listing.skipped_count <= entries.len());
                    for model in listing.models {
                        prop_assert!(!model.id.is_empty() && !model.id.contains(char::is_whitespace));
                        prop_assert!(model.context_window != Some(0) && model.output_limit != Some(0));
                        prop_assert!(model.price.is_none_or(|price| price.input >= 0 && price.output >= 0));
                    }
                }
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\{\}\[\]":,a-z0-9 ]{0,80}"#) {
            for shape in SHAPES {
                let _ = parse(shape, &body);
                let _ = parse(shape, text.as_bytes());
            }
        }
    }
}

#[test]
fn a_list_says_how_it_goes_on_and_pages_are_joined_in_order() {
    let read = |shape, body: &str| parse(shape, body.as_bytes()).expect("a list");
    let parameter = |name, value: &str| Some(NextPage::Parameter { name, value: value.into() });
    for (shape, body, next) in [
        (ListShape::Google, r#"{"nextPageToken":"t","models":[]}"#, parameter("pageToken", "t")),
        (
            ListShape::Cohere,
            r#"{"models":[{"name":"a"}],"next_page_token":"t"}"#,
            parameter("page_token", "t"),
        ),
        (ListShape::Cohere, r#"{"models":[{"name":"a"}],"next_page_token":""}"#, None),
        (ListShape::Openai, r#"{"has_more":true,"data":[{"id":"b"},{"id":"a"}]}"#, parameter("after", "a")),
        (
            ListShape::Openai,
            r#"{"data":[{"id":"a"}],"last_id":"z","has_more":true}"#,
            parameter("after", "z"),
        ),
        (ListShape::Openai, r#"{"data":[{"id":"a"}],"last_id":"z","has_more":false}"#, None),
        (
            ListShape::Openrouter,
            r#"{"data":[{"id":"a","links":{"next":"/no"}}],"links":{"next":"/api/v1/models?offset=1"}}"#,
            Some(NextPage::Address("/api/v1/models?offset=1".into())),
        ),
        (ListShape::Openrouter, r#"{"data":[{"id":"a"}],"links":{"next":null}}"#, None),
        (ListShape::Openrouter, r#"{"data":[{"id":"a"}],"links":"odd","has_more":"maybe"}"#, None),
    ] {
        let listing = read(shape, body);
        assert_eq!((listing.truncated, listing.next.clone()), (next.is_some(), next), "{body}");
    }
    let mut first = read(ListShape::Openai, r#"{"data":[{"id":"b","context_length":1}],"has_more":true}"#);
    first.join(2, read(ListShape::Openai, r#"{"data":[{"id":"a"},7,{"id":"b","context_length":2}]}"#));
    let windows: Vec<_> = first.models.iter().map(|one| (one.id.as_str(), one.context_window)).collect();
    assert_eq!(windows, [("a", None), ("b", Some(1))], "the earlier entry counts");
    assert_eq!(first.skipped[0].to_string(), "page 2, data[1]: an object or a name is expected here");
    assert!(!first.truncated && !first.is_complete());
    first.break_off(3, "HTTP 500".into());
    assert_eq!(first.skipped[0].to_string(), "page 3: HTTP 500");
    assert!(first.truncated && first.skipped_count == 2);
}

#[test]
fn the_next_page_is_on_the_same_host_or_nowhere() {
    let list = "https://host.example/v1/models?pageSize=9&pageToken=old";
    let parameter = NextPage::Parameter { name: "pageToken", value: "a b&c".into() };
    let next = parameter.address(list);
    assert_eq!(next.as_deref(), Some("https://host.example/v1/models?pageSize=9&pageToken=a+b%26c"));
    for (address, expected) in [
        ("/v1/models?offset=2", Some("https://host.example/v1/models?offset=2")),
        ("?offset=2", Some("https://host.example/v1/models?offset=2")),
        ("https://host.example:443/x", Some("https://host.example/x")),
        ("https://elsewhere.example/v1/models", None),
        ("//elsewhere.example/x", None),
        ("http://host.example/v1/models", None),
        ("https://host.example:8443/x", None),
        ("https://", None),
    ] {
        assert_eq!(NextPage::Address(address.into()).address(list).as_deref(), expected, "{address}");
    }
}
