//! Which addresses a preset's endpoints have at a channel, and which of them may see a key.

use url::Url;

use super::{KeyCheck, KeyEndpoint};
use crate::provider::Provider;

impl Provider {
    /// Where a channel with this base URL lists its models. `None` if the preset names another host and the channel is
    /// not at one of the provider's own: a key is not sent to a vendor by whom the operator does not want to be served.
    pub fn list_address(&self, base_url: &str) -> Option<String> {
        self.address(base_url, &self.list.url)
    }

    /// The endpoint that proves a key of a channel with this base URL, and its address; `None` if there is none, or for
    /// the reason given at [`Provider::list_address`]. Then one cheap completion proves it.
    pub fn key_endpoint(&self, base_url: &str) -> Option<(&KeyEndpoint, String)> {
        match &self.key_check {
            KeyCheck::Endpoint(endpoint) => Some((endpoint, self.address(base_url, &endpoint.url)?)),
            KeyCheck::Completion(_) | KeyCheck::None => None,
        }
    }

    fn address(&self, base_url: &str, reference: &str) -> Option<String> {
        let mut base = Url::parse(base_url).ok()?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        let address = base.join(reference).ok()?;
        let host = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        let own = || {
            let known =
                self.base_urls.iter().filter_map(|known| Url::parse(&known.replace(['{', '}'], "")).ok());
            known.map(|known| host(&known)).any(|known| known == host(&base))
        };
        (host(&address) == host(&base) || own()).then(|| address.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Providers;

    #[test]
    fn endpoints_stand_below_or_beside_the_channels_base_url() {
        let providers = Providers::embedded();
        for (id, base_url, list) in [
            ("groq", "https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1/models"),
            ("groq", "https://relay.example/groq/", "https://relay.example/groq/models"),
            ("kilo", "https://api.kilo.ai/api/gateway/v1", "https://api.kilo.ai/api/gateway/models"),
            (
                "cloudflare",
                "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1",
                "https://api.cloudflare.com/client/v4/accounts/abc/ai/models/search?task=Text%20Generation&per_page=1000",
            ),
            ("ollama", "http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/api/tags"),
            (
                "google",
                "https://generativelanguage.googleapis.com/v1beta/openai",
                "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1000",
            ),
        ] {
            let provider = providers.find(id).expect("a known provider");
            assert_eq!(provider.list_address(base_url).as_deref(), Some(list), "{id}");
        }
    }

    #[test]
    fn a_key_of_a_relay_is_not_sent_to_the_vendor() {
        let providers = Providers::embedded();
        let modelscope = providers.find("modelscope").expect("modelscope");
        let (endpoint, address) =
            modelscope.key_endpoint("https://api-inference.modelscope.cn/v1").expect("an endpoint");
        assert_eq!(address, "https://modelscope.cn/openapi/v1/magicubes/balance");
        assert!(endpoint.source.starts_with("https://"));
        assert_eq!(modelscope.key_endpoint("https://relay.example/v1"), None);
        assert_eq!(modelscope.key_endpoint("no address"), None);
        assert_eq!(
            modelscope.list_address("https://relay.example/v1").as_deref(),
            Some("https://relay.example/v1/models")
        );
    }
}
