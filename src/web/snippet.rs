//! A call as something to paste: curl, Python or JavaScript. Never a secret and never what somebody wrote: the token is read from
//! the environment, and pictures are cut.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::{
    export::openclaw::shell_quoted,
    model::endpoint::{Endpoint, RequestBody},
};

/// The environment variable that stands for the token.
pub const TOKEN_VARIABLE: &str = "ONEPOOL_TOKEN";

/// The longest `data:` address that is shown whole.
const MOST_DATA: usize = 120;

/// A request that asks the same of an endpoint, with words of ours in place of what its client wrote.
pub fn placeholder(endpoint: Endpoint, model: &str, stream: bool) -> Value {
    let says = "Say hello.";
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let more = match endpoint {
        Endpoint::Chat => json!({ "messages": [{ "role": "user", "content": says }] }),
        Endpoint::Messages => {
            json!({ "max_tokens": 256, "messages": [{ "role": "user", "content": says }] })
        }
        Endpoint::Completions => json!({ "prompt": says }),
        Endpoint::Embeddings | Endpoint::Moderations | Endpoint::Responses => json!({ "input": says }),
        Endpoint::Speech => json!({ "input": says, "voice": "alloy" }),
        Endpoint::Rerank => json!({ "query": "fruit", "documents": ["an apple", "a car"] }),
        Endpoint::Images | Endpoint::ImagesDirect | Endpoint::ImageEdits | Endpoint::Videos => {
            json!({ "prompt": "a lighthouse at dawn" })
        }
        Endpoint::ImageVariations | Endpoint::Transcriptions | Endpoint::Translations => json!({}),
    };
    if let Value::Object(more) = more {
        body.extend(more);
    }
    if stream {
        body.insert("stream".into(), true.into());
    }
    Value::Object(body)
}

/// The call as a curl command for a POSIX shell. `base_url` ends with `/v1`.
pub fn curl(base_url: &str, endpoint: Endpoint, body: &Value) -> String {
    let mut text = format!("curl {}", shell_quoted(&format!("{base_url}/{}", endpoint.path())));
    let _ = write!(text, " \\\n  -H \"Authorization: Bearer ${TOKEN_VARIABLE}\"");
    if endpoint.shape().body == RequestBody::Form {
        for (name, value) in body.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(text, " \\\n  -F {}", shell_quoted(&format!("{name}={value}")));
        }
        let file = match endpoint {
            Endpoint::Transcriptions | Endpoint::Translations => "file=@sound.mp3",
            _ => "image=@picture.png",
        };
        let _ = write!(text, " \\\n  -F {file}");
    } else {
        let _ = write!(text, " \\\n  -H \"Content-Type: application/json\"");
        let _ = write!(text, " \\\n  -d {}", shell_quoted(&pretty(&cut(body))));
    }
    if body["stream"] == true {
        text.insert_str("curl".len(), " -N");
    }
    text
}

/// A chat call with the official Python package.
pub fn python(base_url: &str, body: &Value) -> String {
    let stream = body["stream"] == true;
    let (answer, read) = if stream {
        (
            "stream",
            "for chunk in stream:\n    for choice in chunk.choices:\n        print(choice.delta.content or \"\", end=\"\", flush=True)\n",
        )
    } else {
        ("answer", "print(answer.choices[0].message)\n")
    };
    let mut arguments = String::new();
    for (name, value) in cut(body).as_object().into_iter().flatten() {
        let _ = write!(arguments, "    {name}=");
        python_value(&mut arguments, value, 1);
        arguments.push_str(",\n");
    }
    format!(
        "import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url={}, api_key=os.environ[\"{TOKEN_VARIABLE}\"])\n\
         {answer} = client.chat.completions.create(\n{arguments})\n{read}",
        Value::from(base_url)
    )
}

/// The same with the official JavaScript package.
pub fn javascript(base_url: &str, body: &Value) -> String {
    let (answer, read) = if body["stream"] == true {
        (
            "stream",
            "for await (const chunk of stream) {\n  process.stdout.write(chunk.choices[0]?.delta?.content ?? '')\n}\n",
        )
    } else {
        ("answer", "console.log(answer.choices[0].message)\n")
    };
    format!(
        "import OpenAI from 'openai'\n\nconst client = new OpenAI({{ baseURL: {}, apiKey: process.env.{TOKEN_VARIABLE} }})\n\
         const {answer} = await client.chat.completions.create({})\n{read}",
        Value::from(base_url),
        pretty(&cut(body))
    )
}

/// JSON for people.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The same with long `data:` addresses cut to their type.
pub fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > MOST_DATA && text.starts_with("data:") => {
            let head = text.split_once(',').map_or("data:", |(head, _)| head);
            let head: String = head.chars().take(60).collect();
            format!("{head},...").into()
        }
        Value::Array(values) => values.iter().map(cut).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), cut(value))).collect(),
        other => other.clone(),
    }
}

/// A value as Python writes it. Strings of JSON are strings of Python.
fn python_value(text: &mut String, value: &Value, depth: usize) {
    let indent = "    ".repeat(depth + 1);
    let close = "    ".repeat(depth);
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(yes) => text.push_str(if *yes { "True" } else { "False" }),
        Value::Array(values) if !values.is_empty() => {
            text.push_str("[\n");
            for value in values {
                text.push_str(&indent);
                python_value(text, value, depth + 1);
                text.push_str(",\n");
            }
            let _ = write!(text, "{close}]");
        }
        Value::Object(fields) if !fields.is_empty() => {
            text.push_str("{\n");
            for (name, value) in fields {
                let _ = write!(text, "{indent}{}: ", Value::from(name.as_str()));
                python_value(text, value, depth + 1);
                text.push_str(",\n");
            }
            let _ = write!(text, "{close}}}");
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://pool.example/v1";

    #[test]
    fn a_hostile_model_name_stays_inside_its_quotes() {
        let model = "it's `id` $(id) \"x\" \\ \n end";
        let body = placeholder(Endpoint::Chat, model, true);
        let command = curl(BASE, Endpoint::Chat, &body);
        let out = std::process::Command::new("sh")
            .args(["-c", &command.replacen("curl -N", "printf '%s\\n'", 1)])
            .env(TOKEN_VARIABLE, "sk-from-the-environment")
            .output()
            .unwrap();
        let out = String::from_utf8(out.stdout).unwrap();
        assert!(out.starts_with(
            "https://pool.example/v1/chat/completions\n-H\nAuthorization: Bearer sk-from-the-environment\n"
        ));
        let sent = out.split_once("\n-d\n").unwrap().1;
        assert_eq!(serde_json::from_str::<Value>(sent).unwrap(), body);
    }

    #[test]
    fn every_endpoint_has_a_request_that_names_its_model_and_no_client_text() {
        for endpoint in Endpoint::ALL.iter().copied() {
            let command = curl(BASE, endpoint, &placeholder(endpoint, "m", false));
            assert!(command.contains(&format!("{BASE}/{}", endpoint.path())), "{command}");
            let named = command.contains("\"model\": \"m\"") || command.contains("model=m");
            assert!(named && command.contains("$ONEPOOL_TOKEN"), "{command}");
        }
    }

    #[test]
    fn pictures_are_cut_and_python_is_python() {
        let body = json!({ "model": "m", "stream": false, "messages": [
            { "role": "user", "content": [{ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{}", "A".repeat(500)) } }] },
        ], "tools": [], "stop": null });
        let text = python(BASE, &body);
        assert!(text.contains("\"url\": \"data:image/png;base64,...\""), "{text}");
        assert!(text.contains("    stream=False,\n") && text.contains("    stop=None,\n"), "{text}");
        assert!(javascript(BASE, &body).contains("\"stop\": null"));
    }
}
