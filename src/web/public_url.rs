//! The address under which clients reach this server.

use axum::http::{HeaderMap, header};

use crate::model::settings::RuntimeSettings;

/// An address for snippets and links, such as `https://pool.example.com`, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// The address.
    pub url: String,
    /// Whether it is only the one that this request came to, because `PUBLIC_URL` is not set.
    pub guessed: bool,
}

impl PublicUrl {
    /// `PUBLIC_URL`; without one, the host that the request names. `https` says how the client is connected.
    pub fn of(settings: &RuntimeSettings, headers: &HeaderMap, https: bool) -> Self {
        if let Some(url) = &settings.public_url {
            return Self { url: url.clone(), guessed: false };
        }
        let scheme = if https { "https" } else { "http" };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        // Parsing leaves nothing in it that a shell or a file could take for something else.
        let origin = url::Url::parse(&format!("{scheme}://{host}"))
            .ok()
            .map(|url| url.origin())
            .filter(url::Origin::is_tuple)
            .map_or_else(|| format!("{scheme}://localhost:3000"), |origin| origin.ascii_serialization());
        Self { url: origin, guessed: true }
    }

    /// The base URL of the OpenAI-compatible endpoints.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(public_url: Option<&str>, host: &str, https: bool) -> PublicUrl {
        let settings =
            RuntimeSettings { public_url: public_url.map(str::to_owned), ..RuntimeSettings::sample() };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        PublicUrl::of(&settings, &headers, https)
    }

    #[test]
    fn the_setting_wins_over_the_requests_host() {
        let url = of(Some("https://pool.example"), "10.0.0.5:3000", false);
        assert_eq!((url.base_url().as_str(), url.guessed), ("https://pool.example/v1", false));
        let url = of(None, "10.0.0.5:3000", false);
        assert_eq!((url.base_url().as_str(), url.guessed), ("http://10.0.0.5:3000/v1", true));
        assert_eq!(of(None, "pool.lan", true).url, "https://pool.lan");
    }

    #[test]
    fn a_host_that_is_none_does_not_reach_a_snippet() {
        assert_eq!(of(None, "$(id) x", false).url, "http://localhost:3000");
        assert_eq!(of(None, "user@evil/path?`id`", false).url, "http://evil");
    }
}
