//! A channel from two fields, a provider and a key: what a form or a command leaves empty comes from the provider's data.

use crate::{
    i18n::{Lang, Messages},
    pool::rules::MAX_NAME_CHARS,
    provider::{GENERIC, Provider, Providers},
    upstream::address::names_private_host,
};

/// The fields of a channel that a preset can fill in, as they were typed and then as they are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The channel's name.
    pub name: String,
    /// The base URL.
    pub base_url: String,
    /// The provider's id; empty means: by the base URL.
    pub provider: String,
    /// Whether the upstream may be on a private address.
    pub allow_private: bool,
}

/// What keeps the fields from being filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Nothing tells the provider. At the field of the provider.
    Provider(String),
    /// The provider does not tell the base URL. At the field of the base URL.
    BaseUrl(String),
}

/// The providers to whom a key may belong, by its beginning; one that is switched off is not proposed.
pub fn proposed_by_key<'a>(providers: &'a Providers, key: &str) -> Vec<&'a Provider> {
    let alive = |provider: &&Provider| provider.status != crate::provider::Status::Retired;
    providers.with_key_like(key).into_iter().map(|provider| &**provider).filter(alive).collect()
}

/// A provider's name in a language.
pub fn name_of(provider: &Provider, lang: Lang) -> &str {
    match lang {
        Lang::En => &provider.name.en,
        Lang::Zh => &provider.name.zh,
    }
}

/// Fills in what is empty. Without a provider and a base URL the beginning of `key` decides, if it belongs to one provider
/// alone. What was typed stays. `is_taken` says whether another channel has a name.
pub fn fill_in(
    mut fields: Fields,
    key: Option<&str>,
    providers: &Providers,
    is_taken: impl Fn(&str) -> bool,
    t: Messages,
) -> Result<Fields, Gap> {
    let d = t.discovery;
    if fields.base_url.is_empty() && fields.provider.is_empty() {
        let Some(key) = key else { return Ok(fields) };
        match &proposed_by_key(providers, key)[..] {
            [one] => fields.provider = one.id.clone(),
            [] => return Err(Gap::Provider(d.provider_not_told().to_owned())),
            several => {
                let names: Vec<&str> = several.iter().map(|provider| name_of(provider, t.lang)).collect();
                return Err(Gap::Provider(d.provider_ambiguous(&names.join(", "))));
            }
        }
    }
    let known = match fields.provider.as_str() {
        "" => providers.at(&fields.base_url),
        id => providers.find(id),
    };
    let Some(provider) = known.filter(|provider| provider.id != GENERIC) else {
        return Ok(fields);
    };
    if fields.base_url.is_empty() {
        let Some(base_url) = provider.base_urls.first() else {
            return Err(Gap::BaseUrl(d.base_url_missing().to_owned()));
        };
        if base_url.contains('{') {
            return Err(Gap::BaseUrl(d.base_url_of_account(base_url)));
        }
        // A preset of a server on one's own machine is meant to be reached there.
        let private = url::Url::parse(base_url).is_ok_and(|url| names_private_host(&url));
        fields.allow_private |= private;
        fields.base_url.clone_from(base_url);
    }
    if fields.name.is_empty() {
        let name: String = name_of(provider, t.lang).chars().take(MAX_NAME_CHARS - 8).collect();
        let numbered = (2..10_000).map(|number| format!("{name} {number}"));
        fields.name = [name.clone()].into_iter().chain(numbered).find(|name| !is_taken(name)).unwrap_or(name);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(fields: Fields, key: Option<&str>) -> Result<Fields, Gap> {
        let taken = |name: &str| name == "Groq";
        fill_in(fields, key, &Providers::embedded(), taken, Messages::of(Lang::En))
    }

    fn of(provider: &str) -> Fields {
        Fields { provider: provider.into(), ..Fields::default() }
    }

    #[test]
    fn a_provider_and_a_key_are_enough() {
        let openrouter = filled(of("openrouter"), None).unwrap();
        assert_eq!(
            (openrouter.name.as_str(), openrouter.base_url.as_str(), openrouter.allow_private),
            ("OpenRouter", "https://openrouter.ai/api/v1", false)
        );
        assert_eq!(filled(of("groq"), None).unwrap().name, "Groq 2", "the first name is taken");
        assert!(filled(of("ollama"), None).unwrap().allow_private, "it is on this machine");
    }

    #[test]
    fn the_form_of_a_key_tells_its_provider_if_it_belongs_to_one_alone() {
        assert_eq!(filled(Fields::default(), Some("sk-or-v1-0123")).unwrap().provider, "openrouter");
        assert_eq!(filled(Fields::default(), Some("nvapi-0123")).unwrap().provider, "nvidia");
        for key in ["sk-0123", "no-prefix"] {
            assert!(matches!(filled(Fields::default(), Some(key)), Err(Gap::Provider(_))), "{key}");
        }
    }

    #[test]
    fn what_was_typed_stays_and_what_nobody_knows_is_asked_for() {
        let typed = Fields { name: "Mine".into(), base_url: "https://relay.example/v1".into(), ..of("groq") };
        assert_eq!(filled(typed.clone(), Some("sk-or-0")).unwrap(), typed);
        assert_eq!(filled(of("generic"), None).unwrap(), of("generic"), "the form itself asks for the rest");
        let Err(Gap::BaseUrl(text)) = filled(of("cloudflare"), None) else { panic!("an account is needed") };
        assert!(text.contains("{account_id}"), "{text}");
    }
}
