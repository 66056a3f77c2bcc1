//! A target as forms and scripts write it down.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::{
    i18n::{Lang, Messages},
    model::{
        notice::{EventKind, NewTarget, Target, Transport, Webhook},
        secret::Secret,
    },
    pool::{
        input::{Faults, PlainSecret},
        rules::check_name,
    },
    upstream::address::names_private_host,
};

/// The longest address.
const MOST_URL: usize = 2000;
/// The longest value of the header.
const MOST_SECRET: usize = 500;
/// The header that carries the secret if none is named.
pub const USUAL_HEADER: &str = "X-OnePool-Secret";
/// Headers that say how a request is to be read, and are not ours to set.
const RESERVED: [&str; 7] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "user-agent",
    "accept-encoding",
];

/// Whom notifications go to: a webhook, which gets them as a POST of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationTargetInput {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// Off means: it gets nothing.
    #[serde(default = "on")]
    #[schema(default = true)]
    pub enabled: bool,
    /// Where messages are posted. It is never shown again but for its host; left out, the address stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<PlainSecret>,
    /// The header that carries the secret, `X-OnePool-Secret` unless named.
    #[serde(default)]
    pub header: Option<String>,
    /// What the receiver knows us by. Never shown; left out, it stays, and an empty text removes it. It has to be given again if
    /// the address is on another host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<PlainSecret>,
    /// Whether the address may be on a loopback or private network.
    #[serde(default)]
    pub allow_private: bool,
    /// What it is told of: at least one.
    pub events: Vec<EventKind>,
    /// The language of texts, `en` or `zh`.
    #[serde(default = "english")]
    #[schema(default = "en")]
    pub language: String,
}

fn on() -> bool {
    true
}

fn english() -> String {
    Lang::En.as_str().to_owned()
}

impl NotificationTargetInput {
    /// A target as it could be written down; its secrets stay out.
    pub fn of(target: &NewTarget) -> Self {
        let Transport::Webhook(webhook) = &target.transport;
        Self {
            name: target.name.clone(),
            enabled: target.enabled,
            url: None,
            header: webhook.header.as_ref().map(|(name, _)| name.clone()),
            secret: None,
            allow_private: webhook.allow_private,
            events: target.kinds.clone(),
            language: target.language.clone(),
        }
    }

    /// The target that this describes; `known` is the one that it changes.
    pub fn check(&self, known: Option<&Target>, t: Messages) -> Result<NewTarget, Faults> {
        let mut faults = Faults::default();
        let n = t.notices;
        if let Err(message) = check_name(t, &self.name) {
            faults.add("name", message);
        }
        let mut kinds = self.events.clone();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.is_empty() {
            faults.add("events", n.choose_events());
        }
        if Lang::from_code(&self.language).is_none() {
            faults.add("language", n.language_wrong());
        }
        let known = known.map(|target| {
            let Transport::Webhook(webhook) = &target.set.transport;
            webhook
        });
        let url = match (&self.url, known) {
            (Some(url), _) => url.0.clone(),
            (None, Some(known)) => known.url.clone(),
            (None, None) => {
                faults.add("url", t.common.field_required());
                Secret::new("")
            }
        };
        if let Err(message) = check_url(&url, self.allow_private, t)
            && faults.0.iter().all(|fault| fault.field != "url")
        {
            faults.add("url", message);
        }
        let header_name = self.header.as_deref().filter(|name| !name.is_empty()).unwrap_or(USUAL_HEADER);
        if http::HeaderName::from_bytes(header_name.as_bytes()).is_err()
            || RESERVED.iter().any(|reserved| header_name.eq_ignore_ascii_case(reserved))
        {
            faults.add("header", n.header_wrong());
        }
        let kept = known.and_then(|known| known.header.as_ref());
        let secret = match (&self.secret, kept) {
            (Some(secret), _) if secret.0.expose().is_empty() => None,
            (Some(secret), _) => Some(secret.0.clone()),
            (None, Some((_, kept))) => {
                // Who may change the address must not read the secret by it.
                let moved = known.is_some_and(|known| origin(&known.url) != origin(&url));
                if moved {
                    faults.add("secret", n.secret_again());
                }
                Some(kept.clone())
            }
            (None, None) => None,
        };
        let unsendable = |secret: &Secret| {
            secret.expose().chars().count() > MOST_SECRET
                || http::HeaderValue::from_str(secret.expose()).is_err()
        };
        if secret.as_ref().is_some_and(unsendable) {
            faults.add("secret", n.secret_wrong(MOST_SECRET));
        }
        faults.or(NewTarget {
            name: self.name.clone(),
            enabled: self.enabled,
            kinds,
            language: self.language.clone(),
            transport: Transport::Webhook(Webhook {
                url,
                header: secret.map(|secret| (header_name.to_owned(), secret)),
                allow_private: self.allow_private,
            }),
        })
    }
}

fn origin(url: &Secret) -> Option<String> {
    Url::parse(url.expose()).ok().map(|url| url.origin().ascii_serialization())
}

/// The part of a target's address that pages show.
pub fn shown_host(transport: &Transport) -> String {
    let Transport::Webhook(webhook) = transport;
    origin(&webhook.url).unwrap_or_default()
}

fn check_url(url: &Secret, allow_private: bool, t: Messages) -> Result<(), String> {
    let text = url.expose();
    if text.chars().count() > MOST_URL {
        return Err(t.common.field_too_long(MOST_URL));
    }
    let wrong = || t.notices.url_wrong().to_owned();
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(t.notices.url_with_user().to_owned());
    }
    if !allow_private && names_private_host(&url) {
        return Err(t.notices.url_private().to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{id::NoticeTargetId, time::UnixMs};

    fn input() -> NotificationTargetInput {
        NotificationTargetInput {
            name: "ops".into(),
            enabled: true,
            url: Some(PlainSecret::new("https://hooks.example/a")),
            header: None,
            secret: Some(PlainSecret::new("s3cret")),
            allow_private: false,
            events: vec![EventKind::KeyInvalid, EventKind::KeyInvalid],
            language: "en".into(),
        }
    }

    fn faults(input: &NotificationTargetInput, known: Option<&Target>) -> Vec<String> {
        let faults = input.check(known, Messages::of(Lang::En)).err().map(|faults| faults.0);
        faults.into_iter().flatten().map(|fault| fault.field).collect()
    }

    #[test]
    fn each_wrong_field_is_named() {
        let url = |url: &str| NotificationTargetInput { url: Some(PlainSecret::new(url)), ..input() };
        assert_eq!(faults(&input(), None), [""; 0]);
        for (wrong, field) in [
            (NotificationTargetInput { name: String::new(), ..input() }, "name"),
            (NotificationTargetInput { events: vec![], ..input() }, "events"),
            (NotificationTargetInput { language: "fr".into(), ..input() }, "language"),
            (NotificationTargetInput { url: None, ..input() }, "url"),
            (url("ftp://example.com"), "url"),
            (url("https://user:pw@example.com"), "url"),
            (url("http://127.0.0.1:9/x"), "url"),
            (url("http://169.254.169.254/"), "url"),
            (url("hooks"), "url"),
            (NotificationTargetInput { header: Some("two words".into()), ..input() }, "header"),
            (NotificationTargetInput { header: Some("Host".into()), ..input() }, "header"),
            (NotificationTargetInput { secret: Some(PlainSecret::new("a\nb")), ..input() }, "secret"),
        ] {
            assert_eq!(faults(&wrong, None), [field], "{wrong:?}");
        }
        let allowed = NotificationTargetInput { allow_private: true, ..url("http://127.0.0.1:9/x") };
        assert_eq!(faults(&allowed, None), [""; 0]);
    }

    #[test]
    fn what_is_left_out_stays_but_no_secret_goes_to_another_host() {
        let set = input().check(None, Messages::of(Lang::En)).unwrap();
        assert_eq!(set.kinds, [EventKind::KeyInvalid]);
        let known = Target { id: NoticeTargetId(1), set, created_at: UnixMs(0), last: None };
        let mut change = NotificationTargetInput::of(&known.set);
        assert_eq!(change.check(Some(&known), Messages::of(Lang::En)).unwrap(), known.set);
        change.url = Some(PlainSecret::new("https://hooks.example/b"));
        assert_eq!(faults(&change, Some(&known)), [""; 0]);
        change.url = Some(PlainSecret::new("https://elsewhere.example/b"));
        assert_eq!(faults(&change, Some(&known)), ["secret"]);
        change.secret = Some(PlainSecret::new(""));
        let changed = change.check(Some(&known), Messages::of(Lang::En)).unwrap();
        let Transport::Webhook(webhook) = changed.transport;
        assert_eq!(webhook.header, None);
    }
}
