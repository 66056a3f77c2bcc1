//! The keys that OpenClaw knows, of the places that exports write to. It refuses to start on any other one.
//!
//! Source: the JSON schema of `openclaw config schema` in the npm package `openclaw` 2026.9.6, where each of these objects has
//! `additionalProperties: false`; described on <https://docs.openclaw.ai/gateway/configuration-reference>.

use serde_json::Value;

/// What may stand somewhere: `*` in a path is any name, `[]` any item. `&[]` is a place whose names are free.
const KNOWN: &[(&str, &[&str])] = &[
    ("", &["agents", "memory", "meta", "models", "tools", "tts"]),
    ("models", &["catalogRefresh", "mode", "providers"]),
    ("models.providers", &[]),
    (
        "models.providers.*",
        &[
            "agentRuntime",
            "api",
            "apiKey",
            "auth",
            "authHeader",
            "baseUrl",
            "headers",
            "injectNumCtxForOpenAICompat",
            "localService",
            "maxTokens",
            "models",
            "params",
            "region",
            "request",
            "timeoutSeconds",
        ],
    ),
    ("models.providers.*.headers", &[]),
    ("models.providers.*.request", &["allowPrivateNetwork", "auth", "headers", "proxy", "tls"]),
    (
        "models.providers.*.models.[]",
        &[
            "agentRuntime",
            "api",
            "baseUrl",
            "compat",
            "contextTokens",
            "contextWindow",
            "cost",
            "headers",
            "id",
            "input",
            "maxTokens",
            "mediaInput",
            "metadataSource",
            "name",
            "params",
            "reasoning",
            "thinkingLevelMap",
        ],
    ),
    ("models.providers.*.models.[].cost", &["cacheRead", "cacheWrite", "input", "output", "tieredPricing"]),
    (
        "models.providers.*.models.[].compat",
        &[
            "cacheControlFormat",
            "codeMode",
            "maxTokensField",
            "openRouterRouting",
            "reasoningEffortMap",
            "requiresAssistantAfterToolResult",
            "requiresOpenAiAnthropicToolPayload",
            "requiresReasoningContentOnAssistantMessages",
            "requiresStringContent",
            "requiresThinkingAsText",
            "requiresToolResultName",
            "sendSessionAffinityHeaders",
            "sendSessionIdHeader",
            "strictMessageKeys",
            "supportedReasoningEfforts",
            "supportsDeveloperRole",
            "supportsEagerToolInputStreaming",
            "supportsInstructions",
            "supportsJsonSchemaResponseFormat",
            "supportsLongCacheRetention",
            "supportsPromptCacheKey",
            "supportsReasoningEffort",
            "supportsResponsesContinuation",
            "supportsStore",
            "supportsStrictMode",
            "supportsTemperature",
            "supportsTools",
            "supportsUsageInStreaming",
            "thinkingFormat",
            "toolCallArgumentsEncoding",
            "toolSchemaProfile",
            "unsupportedToolSchemaKeywords",
            "vercelGatewayRouting",
            "visibleReasoningDetailTypes",
            "zaiToolStream",
        ],
    ),
    ("agents", &["defaults", "entries", "ownership"]),
    (
        "agents.defaults",
        &[
            "imageModel",
            "mediaModels",
            "model",
            "modelPolicy",
            "models",
            "params",
            "pdfModel",
            "thinkingDefault",
            "timeoutSeconds",
            "utilityModel",
            "voiceModel",
        ],
    ),
    ("agents.defaults.model", &["fallbacks", "primary"]),
    ("agents.defaults.imageModel", &["fallbacks", "primary", "timeoutMs"]),
    ("agents.defaults.pdfModel", &["fallbacks", "primary", "timeoutMs"]),
    ("agents.defaults.models", &[]),
    (
        "agents.defaults.models.*",
        &["agentRuntime", "alias", "codeMode", "params", "pickerRuntimes", "streaming"],
    ),
    ("agents.defaults.mediaModels", &["image", "music", "video"]),
    ("agents.defaults.mediaModels.*", &["fallbacks", "primary", "timeoutMs"]),
    ("memory", &["citations", "search"]),
    (
        "memory.search",
        &[
            "cache",
            "documentInputType",
            "enabled",
            "experimental",
            "extraPaths",
            "fallback",
            "inputType",
            "local",
            "model",
            "multimodal",
            "outputDimensionality",
            "provider",
            "query",
            "queryInputType",
            "rememberAcrossConversations",
            "remote",
            "sources",
            "store",
        ],
    ),
    (
        "tts",
        &[
            "auto",
            "enabled",
            "maxTextLength",
            "mode",
            "modelOverrides",
            "persona",
            "personas",
            "provider",
            "providers",
            "summaryModel",
            "timeoutMs",
        ],
    ),
    ("tts.providers", &[]),
    // The schema leaves these free; the keys that the provider `openai` reads stand in <https://docs.openclaw.ai/tools/tts>.
    (
        "tts.providers.*",
        &[
            "apiKey",
            "baseUrl",
            "extraBody",
            "instructions",
            "model",
            "responseFormat",
            "speakerVoice",
            "speed",
        ],
    ),
    ("tools", &["media"]),
    ("tools.media", &["audio", "concurrency", "image", "models", "video"]),
    (
        "tools.media.models.[]",
        &[
            "args",
            "baseUrl",
            "capabilities",
            "command",
            "headers",
            "language",
            "maxBytes",
            "maxChars",
            "model",
            "preferredProfile",
            "profile",
            "prompt",
            "provider",
            "providerOptions",
            "request",
            "timeoutSeconds",
            "type",
        ],
    ),
    ("tools.media.audio", &["enabled", "language", "preferredModel", "prompt", "timeoutSeconds"]),
];

/// Every key of a document that OpenClaw does not know, with its place.
pub fn unknown_keys(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(document, &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let Some((_, known)) = KNOWN.iter().find(|(place, _)| fits(place, path)) else {
                found.push(format!("{}: no object belongs here", path.join(".")));
                return;
            };
            for (name, value) in object {
                path.push(name.clone());
                if known.is_empty() || known.contains(&name.as_str()) {
                    walk(value, path, found);
                } else {
                    found.push(path.join("."));
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            path.push("[]".to_owned());
            items.iter().for_each(|item| walk(item, path, found));
            path.pop();
        }
        _ => {}
    }
}

fn fits(place: &str, path: &[String]) -> bool {
    let steps: Vec<&str> = place.split('.').filter(|step| !step.is_empty()).collect();
    steps.len() == path.len() && steps.iter().zip(path).all(|(step, name)| *step == "*" || step == name)
}

#[test]
fn an_unknown_key_is_found_at_every_depth() {
    for (document, place) in [
        (r#"{"_comment": 1}"#, "_comment"),
        (r#"{"models": {"providers": {"p": {"models": [{"id": "m", "vision": true}]}}}}"#, "vision"),
        (r#"{"models": {"providers": {"p": {"models": [{"compat": {"supportsX": 1}}]}}}}"#, "supportsX"),
        (r#"{"agents": {"defaults": {"models": {"p/org/m.1": {"name": "x"}}}}}"#, "name"),
        (r#"{"agents": {"defaults": {"imageGenerationModel": "p/m"}}}"#, "imageGenerationModel"),
        (r#"{"agents": {"defaults": {"utilityModel": {"primary": "p/m"}}}}"#, "utilityModel"),
    ] {
        let found = unknown_keys(&serde_json::from_str(document).unwrap());
        assert!(found.len() == 1 && found[0].contains(place), "{document}: {found:?}");
    }
}
