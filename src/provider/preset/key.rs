//! What an endpoint's answer proves about a key.

use serde_json::Value;

use super::KeyEndpoint;

/// The most bytes of an answer that are looked at.
const MAX_BYTES: usize = 64 * 1024;
/// The longest account id that is kept, in bytes.
const MAX_ACCOUNT: usize = 200;

/// What an answer proves about the key that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProof {
    /// The key is right. Whether a model may be called with it is another question, which only a call answers.
    Valid(KeyFacts),
    /// The provider does not know the key, or not any more.
    Invalid,
    /// Neither: the provider is out of order, something stands in between, or the answer is not what it should be.
    Nothing,
}

/// What an endpoint tells about a right key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFacts {
    /// The same for all keys of one account.
    pub account: Option<String>,
    /// Free calls that are left to the account today.
    pub calls_left: Option<u64>,
    /// Free calls that a day has.
    pub calls_limit: Option<u64>,
    /// Whether the account never bought anything.
    pub free_tier: Option<bool>,
}

impl KeyEndpoint {
    /// Reads an answer. 401 alone proves a key wrong: a 403 may come of a region, a firewall or a missing right.
    pub fn prove(&self, status: u16, body: &[u8]) -> KeyProof {
        match status {
            401 => return KeyProof::Invalid,
            200 => {}
            _ => return KeyProof::Nothing,
        }
        let answer = body.get(..body.len().min(MAX_BYTES)).and_then(|body| serde_json::from_slice(body).ok());
        let Some(answer @ Value::Object(_)) = answer else { return KeyProof::Nothing };
        let meant =
            self.success.as_deref().is_none_or(|path| field(&answer, path) == Some(&Value::Bool(true)));
        if !meant {
            return KeyProof::Nothing;
        }
        match self.valid.as_deref().map(|path| field(&answer, path)) {
            None => {}
            Some(Some(Value::Bool(true))) => {}
            Some(Some(Value::Bool(false))) => return KeyProof::Invalid,
            Some(Some(Value::String(word))) if matches!(word.as_str(), "active" | "valid" | "true") => {}
            Some(_) => return KeyProof::Nothing,
        }
        let count = |path: &Option<String>| match field(&answer, path.as_deref()?)? {
            Value::Number(number) => number
                .as_u64()
                .or_else(|| number.as_f64().filter(|count| *count >= 0.0).map(|count| count as u64)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let account = || match field(&answer, self.account.as_deref()?)? {
            Value::String(text) => Some(text.clone()).filter(|text| (1..=MAX_ACCOUNT).contains(&text.len())),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        KeyProof::Valid(KeyFacts {
            account: account(),
            calls_left: count(&self.calls_left),
            calls_limit: count(&self.calls_limit),
            free_tier: self.free_tier.as_deref().and_then(|path| field(&answer, path)?.as_bool()),
        })
    }
}

fn field<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(answer, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{Providers, preset::KeyCheck},
        *,
    };

    fn proof(provider: &str, status: u16, body: &str) -> KeyProof {
        let providers = Providers::embedded();
        let provider = providers.find(provider).expect("a known provider");
        let KeyCheck::Endpoint(endpoint) = &provider.key_check else {
            panic!("{} has no endpoint", provider.id)
        };
        endpoint.prove(status, body.as_bytes())
    }

    #[test]
    fn openrouters_answer_tells_the_account_and_what_is_left_today() {
        let body = r#"{"data":{"label":"sk-or-v1-au7...890","creator_user_id":"user_1","is_free_tier":true,"limit":null,
            "free_model_daily_requests":{"used":8,"limit":50,"remaining":42}}}"#;
        let facts = KeyFacts {
            account: Some("user_1".into()),
            calls_left: Some(42),
            calls_limit: Some(50),
            free_tier: Some(true),
        };
        assert_eq!(proof("openrouter", 200, body), KeyProof::Valid(facts));
        assert_eq!(proof("openrouter", 200, r#"{"data":{}}"#), KeyProof::Valid(KeyFacts::default()));
    }

    #[test]
    fn only_a_clear_no_is_taken_for_one() {
        assert_eq!(
            proof("openrouter", 401, r#"{"error":{"message":"No auth credentials found"}}"#),
            KeyProof::Invalid
        );
        assert_eq!(proof("cohere", 200, r#"{"valid":false}"#), KeyProof::Invalid);
        for (status, body) in
            [(403, "<html>"), (404, "{}"), (429, "{}"), (500, ""), (200, "<html>"), (200, "[]"), (200, "")]
        {
            assert_eq!(proof("openrouter", status, body), KeyProof::Nothing, "{status} {body}");
        }
        assert_eq!(proof("modelscope", 200, r#"{"success":false}"#), KeyProof::Nothing);
        for body in ["{}", r#"{"valid":null}"#, r#"{"valid":"perhaps"}"#] {
            assert_eq!(proof("cohere", 200, body), KeyProof::Nothing, "{body}");
        }
    }

    #[test]
    fn a_clear_yes_is_taken_for_one() {
        let cohere = proof("cohere", 200, r#"{"valid":true,"organization_id":"org","owner_id":"me"}"#);
        assert_eq!(cohere, KeyProof::Valid(KeyFacts { account: Some("org".into()), ..KeyFacts::default() }));
        let siliconflow = proof("siliconflow", 200, r#"{"code":20000,"data":{"id":7,"balance":"0"}}"#);
        assert_eq!(
            siliconflow,
            KeyProof::Valid(KeyFacts { account: Some("7".into()), ..KeyFacts::default() })
        );
        assert!(matches!(proof("modelscope", 200, r#"{"success":true,"data":{}}"#), KeyProof::Valid(_)));
        assert!(
            matches!(proof("deepseek", 200, r#"{"is_available":false}"#), KeyProof::Valid(_)),
            "empty is not wrong"
        );
    }
}
