//! A channel from two fields, a provider and a key: what a form or a command leaves empty comes from the provider's data.

use std::sync::Arc;

use crate::{
    i18n::{Lang, Messages},
    model::{
        catalog::{Catalog, ChannelEntry},
        key::Key,
        secret::Secret,
    },
    pool::{input::ChannelInput, rules::MAX_NAME_CHARS},
    provider::{GENERIC, Provider, Providers, Status},
    storage::channels::NewChannel,
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

/// A key by which its provider is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Hint<'a> {
    /// What stood in front of it: a variable of a `.env` file, or nothing.
    pub label: &'a str,
    /// The key.
    pub key: &'a Secret,
}

/// The providers to whom a key may belong, by its beginning and, where that does not decide, by the variable that it stood
/// in. One: it is recognised. Those that are switched off are not proposed.
pub fn owners<'a>(providers: &'a Providers, hint: Hint<'_>) -> Vec<&'a Arc<Provider>> {
    let alive = |provider: &&Arc<Provider>| provider.status != Status::Retired;
    let by_form: Vec<_> = providers.with_key_like(hint.key.expose()).into_iter().filter(alive).collect();
    if by_form.len() == 1 {
        return by_form;
    }
    let fits = |provider: &&Arc<Provider>| {
        by_form.is_empty() && provider.key_prefix.is_none()
            || by_form.iter().any(|one| one.id == provider.id)
            || provider.key_prefix.as_deref().is_some_and(|prefix| hint.key.expose().starts_with(prefix))
    };
    let by_name: Vec<_> =
        providers.with_variable(hint.label).into_iter().filter(alive).filter(fits).collect();
    if by_name.is_empty() { by_form } else { by_name }
}

/// The providers with whom a channel can be made, by name; for a choice.
pub fn choosable(providers: &Providers, lang: Lang) -> Vec<&Arc<Provider>> {
    let usable = |provider: &&Arc<Provider>| {
        provider.id != GENERIC && !matches!(provider.status, Status::Retired | Status::Locked)
    };
    let mut all: Vec<_> = providers.all().filter(usable).collect();
    all.sort_by_key(|provider| name_of(provider, lang).to_lowercase());
    all
}

/// The channel that takes a provider's further keys: one that is switched on before one that is not, the oldest first.
pub fn channel_of<'a>(catalog: &'a Catalog, provider: &str) -> Option<&'a Arc<ChannelEntry>> {
    let of_provider = catalog.channels().filter(|entry| entry.channel.provider == provider);
    of_provider.min_by_key(|entry| (!entry.channel.enabled, entry.channel.id))
}

/// The channel and the key that have a secret already.
pub fn holder<'a>(catalog: &'a Catalog, secret: &Secret) -> Option<(&'a Arc<ChannelEntry>, &'a Arc<Key>)> {
    catalog.channels().find_map(|entry| {
        let key = entry.keys.iter().find(|key| key.secret.expose() == secret.expose())?;
        Some((entry, key))
    })
}

/// A channel made of a provider alone; else what is missing, in a sentence. `is_taken` says whether another channel has a
/// name.
pub fn new_channel(
    provider: &Provider,
    providers: &Providers,
    is_taken: impl Fn(&str) -> bool,
    m: Messages,
) -> Result<NewChannel, String> {
    let fields = Fields { provider: provider.id.clone(), ..Fields::default() };
    let filled = fill_in(fields, None, providers, is_taken, m).map_err(|gap| match gap {
        Gap::Provider(message) | Gap::BaseUrl(message) => message,
    })?;
    if filled.base_url.is_empty() {
        return Err(m.discovery.base_url_missing().to_owned());
    }
    let input = ChannelInput {
        name: filled.name,
        base_url: filled.base_url,
        provider: Some(filled.provider),
        allow_private: filled.allow_private,
        ..ChannelInput::blank()
    };
    input.check(None, Some(providers), m).map_err(|faults| {
        let texts: Vec<String> = faults.0.into_iter().map(|fault| fault.message).collect();
        texts.join(" ")
    })
}

/// A provider's name in a language.
pub fn name_of(provider: &Provider, lang: Lang) -> &str {
    match lang {
        Lang::En => &provider.name.en,
        Lang::Zh => &provider.name.zh,
    }
}

/// Fills in what is empty. Without a provider and a base URL the form of `key` decides, if it belongs to one provider
/// alone. What was typed stays. `is_taken` says whether another channel has a name.
pub fn fill_in(
    mut fields: Fields,
    key: Option<Hint<'_>>,
    providers: &Providers,
    is_taken: impl Fn(&str) -> bool,
    t: Messages,
) -> Result<Fields, Gap> {
    let d = t.discovery;
    if fields.base_url.is_empty() && fields.provider.is_empty() {
        let Some(key) = key else { return Ok(fields) };
        match &owners(providers, key)[..] {
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
        let key = key.map(Secret::new);
        let key = key.as_ref().map(|key| Hint { label: "", key });
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
    fn a_variables_name_tells_the_provider_where_the_keys_form_does_not() {
        let providers = Providers::embedded();
        let ids = |label: &str, key: &str| -> Vec<String> {
            let key = Secret::new(key);
            owners(&providers, Hint { label, key: &key }).iter().map(|one| one.id.clone()).collect()
        };
        assert_eq!(ids("", "ms-0123"), ["modelscope", "modelscope-intl"], "the form alone does not decide");
        assert_eq!(ids("MODELSCOPE_API_KEY", "ms-0123"), ["modelscope"]);
        assert_eq!(ids("DEEPSEEK_API_KEY_2", "sk-0123"), ["deepseek"]);
        assert_eq!(ids("MISTRAL_API_KEY 1", "0123456789"), ["mistral"]);
        assert_eq!(ids("MISTRAL_API_KEY", "sk-or-0123"), ["openrouter"], "a form of one alone is believed");
        assert_eq!(ids("GROQ_API_KEY", "0123456789"), [""; 0], "Groq's keys look otherwise");
        assert_eq!(ids("MY_KEY", "0123456789"), [""; 0]);
    }

    #[test]
    fn a_provider_alone_makes_a_channel_unless_its_address_holds_an_account() {
        let (providers, m) = (Providers::embedded(), Messages::of(Lang::En));
        let made = |id: &str| new_channel(providers.of(id), &providers, |_| false, m);
        let groq = made("groq").unwrap();
        assert_eq!((groq.name.as_str(), groq.provider.as_str()), ("Groq", "groq"));
        assert!(made("cloudflare").unwrap_err().contains("{account_id}"));
        assert!(made("generic").is_err());
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
