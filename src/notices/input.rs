//! A target as forms and scripts write it down.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::vendor::{serverchan, telegram};
use crate::{
    i18n::{Lang, Messages},
    model::{
        notice::{
            DigestSchedule, EventKind, MailSecurity, Mailbox, NewTarget, Policy, Robot, Target, Transport,
            Via, Webhook,
        },
        secret::Secret,
    },
    pool::{
        input::{Faults, PlainSecret},
        rules::check_name,
    },
    upstream::{address::names_private_host, mail::is_mail_address},
};

/// The longest address.
const MOST_URL: usize = 2000;
/// The longest secret.
const MOST_SECRET: usize = 500;
/// The most readers of a letter.
const MOST_READERS: usize = 20;
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

/// Whom notifications go to, and how. Which fields count depends on `transport`; a field of another one is a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationTargetInput {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// Off means: it gets nothing.
    #[serde(default = "on")]
    #[schema(default = true)]
    pub enabled: bool,
    /// How it is reached. It cannot be changed later.
    #[serde(default = "webhook")]
    #[schema(default = "webhook")]
    pub transport: Via,
    /// `webhook`, `dingtalk`, `feishu`, `wecom`: the whole address that takes messages. It is never shown again but for its host; left
    /// out, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<PlainSecret>,
    /// `email`: the mail server's name. `telegram`, `bark`, `serverchan`: the address of another server than the vendor's own.
    #[serde(default)]
    pub server: Option<String>,
    /// `email`: the server's port; left out, what is usual for `security`.
    #[serde(default)]
    pub port: Option<u16>,
    /// `email`: how the way to the server is protected; `starttls` if left out. `plain` is only for a server on the same machine.
    #[serde(default)]
    pub security: Option<MailSecurity>,
    /// `email`: the user, if the server asks for one.
    #[serde(default)]
    pub user: Option<String>,
    /// `email`: who writes, such as `OnePool <onepool@example.com>`.
    #[serde(default)]
    pub from: Option<String>,
    /// `email`: who reads.
    #[serde(default)]
    pub to: Vec<String>,
    /// `telegram`: the chat: a number, or `@` and the name of a public channel.
    #[serde(default)]
    pub chat: Option<String>,
    /// `webhook`: the header that carries the secret, `X-OnePool-Secret` unless named.
    #[serde(default)]
    pub header: Option<String>,
    /// `webhook`: what the receiver knows us by. `email`: the password. `telegram`: the bot's token. `bark`: the device's key.
    /// `serverchan`: the SendKey. `dingtalk`, `feishu`: what messages are signed with. Never shown; left out, it stays, and an empty
    /// text removes it where it is optional. It has to be given again if the address is on another host.
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
    /// Minutes within which events of a kind go out together after the first; 0 to 1440.
    #[serde(default = "usual_group_minutes")]
    #[schema(default = 5)]
    pub group_minutes: u32,
    /// The most messages within an hour, 1 to 60; what is more goes out as one.
    #[serde(default = "usual_most_per_hour")]
    #[schema(default = 12)]
    pub most_per_hour: u32,
    /// When only critical events are told, such as `22:00-07:30`, in the server's time zone; left out or empty: never.
    #[serde(default)]
    pub quiet_hours: Option<String>,
    /// Whether digests come every Monday, not every day.
    #[serde(default)]
    pub digest_weekly: bool,
    /// The hour at which digests come, 0 to 23, in the server's time zone.
    #[serde(default = "usual_digest_hour")]
    #[schema(default = 9)]
    pub digest_hour: u8,
}

fn on() -> bool {
    true
}

fn webhook() -> Via {
    Via::Webhook
}

fn english() -> String {
    Lang::En.as_str().to_owned()
}

fn usual_group_minutes() -> u32 {
    Policy::default().group_minutes
}

fn usual_most_per_hour() -> u32 {
    Policy::default().most_per_hour
}

fn usual_digest_hour() -> u8 {
    DigestSchedule::default().hour
}

/// A text that says something.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl NotificationTargetInput {
    /// A new target with what is usual: everything is told of but new and changed models.
    pub fn blank(via: Via, language: Lang) -> Self {
        let quiet = [EventKind::ModelsAppeared, EventKind::ModelsChanged];
        Self {
            name: String::new(),
            enabled: true,
            transport: via,
            url: None,
            server: None,
            port: None,
            security: None,
            user: None,
            from: None,
            to: Vec::new(),
            chat: None,
            header: None,
            secret: None,
            allow_private: false,
            events: EventKind::ALL.iter().copied().filter(|kind| !quiet.contains(kind)).collect(),
            language: language.as_str().to_owned(),
            group_minutes: usual_group_minutes(),
            most_per_hour: usual_most_per_hour(),
            quiet_hours: None,
            digest_weekly: false,
            digest_hour: usual_digest_hour(),
        }
    }

    /// A target as it could be written down; its secrets stay out.
    pub fn of(target: &NewTarget) -> Self {
        let mut input = Self::blank(target.transport.via(), Lang::En);
        input.name.clone_from(&target.name);
        input.enabled = target.enabled;
        input.allow_private = target.allow_private;
        input.events.clone_from(&target.kinds);
        input.language.clone_from(&target.language);
        input.group_minutes = target.policy.group_minutes;
        input.most_per_hour = target.policy.most_per_hour;
        input.quiet_hours = target.policy.quiet.map(quiet_text);
        input.digest_weekly = target.policy.digest.weekly;
        input.digest_hour = target.policy.digest.hour;
        match &target.transport {
            Transport::Webhook(hook) => input.header = hook.header.as_ref().map(|(name, _)| name.clone()),
            Transport::Email(mailbox) => {
                input.server = Some(mailbox.host.clone());
                input.port = Some(mailbox.port);
                input.security = Some(mailbox.security);
                input.user = mailbox.login.as_ref().map(|(user, _)| user.clone());
                input.from = Some(mailbox.from.clone());
                input.to.clone_from(&mailbox.to);
            }
            Transport::Telegram { server, chat, .. } => {
                input.server.clone_from(server);
                input.chat = Some(chat.clone());
            }
            Transport::Bark { server, .. } | Transport::ServerChan { server, .. } => {
                input.server.clone_from(server);
            }
            Transport::DingTalk(_) | Transport::Feishu(_) | Transport::WeCom(_) => {}
        }
        input
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
        let mut within = |field: &str, value: i64, least: i64, most: i64| {
            if !(least..=most).contains(&value) {
                faults.add(field, t.common.field_out_of_range(least, most));
            }
        };
        within("group_minutes", self.group_minutes.into(), 0, 1440);
        within("most_per_hour", self.most_per_hour.into(), 1, 60);
        within("digest_hour", self.digest_hour.into(), 0, 23);
        let quiet = match given(&self.quiet_hours).map(quiet_hours) {
            None => None,
            Some(Some(quiet)) => Some(quiet),
            Some(None) => {
                faults.add("quiet_hours", n.quiet_hours_wrong());
                None
            }
        };
        if known.is_some_and(|known| known.set.transport.via() != self.transport) {
            faults.add("transport", n.transport_fixed());
            return Err(faults);
        }
        self.check_strangers(&mut faults, t);
        let transport = self.check_transport(known.map(|known| &known.set), &mut faults, t);
        faults.or(NewTarget {
            name: self.name.clone(),
            enabled: self.enabled,
            kinds,
            language: self.language.clone(),
            policy: Policy {
                group_minutes: self.group_minutes,
                most_per_hour: self.most_per_hour,
                quiet,
                digest: DigestSchedule { weekly: self.digest_weekly, hour: self.digest_hour },
            },
            allow_private: self.allow_private,
            transport,
        })
    }

    /// Fields of other transports, which would be lost without a word.
    fn check_strangers(&self, faults: &mut Faults, t: Messages) {
        use Via::{Bark, DingTalk, Email, Feishu, ServerChan, Telegram, WeCom, Webhook};
        let fields: [(&str, bool, &[Via]); 9] = [
            ("url", self.url.is_some(), &[Webhook, DingTalk, Feishu, WeCom]),
            ("server", given(&self.server).is_some(), &[Email, Telegram, Bark, ServerChan]),
            ("port", self.port.is_some(), &[Email]),
            ("security", self.security.is_some(), &[Email]),
            ("user", given(&self.user).is_some(), &[Email]),
            ("from", given(&self.from).is_some(), &[Email]),
            ("to", !self.to.is_empty(), &[Email]),
            ("chat", given(&self.chat).is_some(), &[Telegram]),
            ("header", given(&self.header).is_some(), &[Webhook]),
        ];
        for (field, is_given, of) in fields {
            if is_given && !of.contains(&self.transport) {
                faults.add(field, t.notices.field_of_another(self.transport.as_str()));
            }
        }
        if self.transport == WeCom && self.secret.as_ref().is_some_and(|secret| !secret.expose().is_empty()) {
            faults.add("secret", t.notices.field_of_another(self.transport.as_str()));
        }
    }

    fn check_transport(&self, known: Option<&NewTarget>, faults: &mut Faults, t: Messages) -> Transport {
        let known = known.map(|known| &known.transport);
        match self.transport {
            Via::Webhook => {
                let known = match known {
                    Some(Transport::Webhook(hook)) => Some(hook),
                    _ => None,
                };
                let url = self.check_url(known.map(|known| &known.url), faults, t);
                let name = given(&self.header).unwrap_or(USUAL_HEADER);
                if http::HeaderName::from_bytes(name.as_bytes()).is_err()
                    || RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
                {
                    faults.add("header", t.notices.header_wrong());
                }
                let kept = known.and_then(|known| known.header.as_ref()).map(|(_, secret)| secret);
                let moved = known.is_some_and(|known| origin(&known.url) != origin(&url));
                let secret = self.optional_secret(kept, moved, faults, t);
                // Control characters have been told; what is left are those outside ASCII.
                if secret.as_ref().is_some_and(|secret| !secret.expose().is_ascii()) {
                    faults.add("secret", t.notices.secret_wrong(MOST_SECRET));
                }
                Transport::Webhook(Webhook { url, header: secret.map(|secret| (name.to_owned(), secret)) })
            }
            Via::Email => Transport::Email(self.check_mailbox(known, faults, t)),
            Via::Telegram => {
                let (kept, was) = match known {
                    Some(Transport::Telegram { server, bot, .. }) => (Some(bot), server.clone()),
                    _ => (None, None),
                };
                let server = self.check_server(faults, t);
                let bot = self.needed_secret(kept, was != server, faults, t);
                if !bot.expose().is_empty() && !telegram::is_token(bot.expose()) {
                    faults.add("secret", t.notices.bot_wrong());
                }
                let chat = given(&self.chat).unwrap_or_default().to_owned();
                if !telegram::is_chat(&chat) {
                    faults.add("chat", t.notices.chat_wrong());
                }
                Transport::Telegram { server, bot, chat }
            }
            Via::Bark => {
                let (kept, was) = match known {
                    Some(Transport::Bark { server, device }) => (Some(device), server.clone()),
                    _ => (None, None),
                };
                let server = self.check_server(faults, t);
                let device = self.needed_secret(kept, was != server, faults, t);
                Transport::Bark { server, device }
            }
            Via::ServerChan => {
                let (kept, was) = match known {
                    Some(Transport::ServerChan { server, key }) => (Some(key), server.clone()),
                    _ => (None, None),
                };
                let server = self.check_server(faults, t);
                let key = self.needed_secret(kept, was != server, faults, t);
                if !key.expose().is_empty() && !serverchan::is_key(key.expose()) {
                    faults.add("secret", t.notices.sendkey_wrong());
                }
                Transport::ServerChan { server, key }
            }
            Via::DingTalk | Via::Feishu | Via::WeCom => {
                let known = match known {
                    Some(Transport::DingTalk(robot) | Transport::Feishu(robot) | Transport::WeCom(robot)) => {
                        Some(robot)
                    }
                    _ => None,
                };
                let url = self.check_url(known.map(|known| &known.url), faults, t);
                let moved = known.is_some_and(|known| origin(&known.url) != origin(&url));
                let kept = known.and_then(|known| known.secret.as_ref());
                let secret = self.optional_secret(kept, moved, faults, t);
                let robot = Robot { url, secret };
                match self.transport {
                    Via::DingTalk => Transport::DingTalk(robot),
                    Via::Feishu => Transport::Feishu(robot),
                    _ => Transport::WeCom(robot),
                }
            }
        }
    }

    fn check_mailbox(&self, known: Option<&Transport>, faults: &mut Faults, t: Messages) -> Mailbox {
        let known = match known {
            Some(Transport::Email(mailbox)) => Some(mailbox),
            _ => None,
        };
        let host = given(&self.server).unwrap_or_default().to_owned();
        let is_host = host.len() <= 253 && url::Host::parse(&host).is_ok()
            || host.parse::<std::net::Ipv6Addr>().is_ok();
        if !is_host {
            faults.add("server", t.notices.mail_server_wrong());
        } else if !self.allow_private && is_private_host(&host) {
            faults.add("server", t.notices.url_private());
        }
        let security = self.security.unwrap_or(MailSecurity::StartTls);
        let port = self.port.unwrap_or(match security {
            MailSecurity::StartTls => 587,
            MailSecurity::Tls => 465,
            MailSecurity::Plain => 25,
        });
        if port == 0 {
            faults.add("port", t.common.field_out_of_range(1, 65_535));
        }
        if security == MailSecurity::Plain && is_host && !is_private_host(&host) {
            faults.add("security", t.notices.fault_plain_away());
        }
        let from = given(&self.from).unwrap_or_default().to_owned();
        if from.len() > 300 || !is_mail_address(&from) {
            faults.add("from", t.notices.mail_address_wrong());
        }
        let to: Vec<String> =
            self.to.iter().map(|to| to.trim().to_owned()).filter(|to| !to.is_empty()).collect();
        if to.is_empty() {
            faults.add("to", t.common.field_required());
        } else if to.len() > MOST_READERS {
            faults.add("to", t.notices.too_many_readers(MOST_READERS));
        } else if to.iter().any(|to| to.len() > 300 || !is_mail_address(to)) {
            faults.add("to", t.notices.mail_address_wrong());
        }
        let kept = known.and_then(|known| known.login.as_ref());
        let user = given(&self.user).unwrap_or_default().to_owned();
        // The password would go to whoever answers there, or in the clear.
        let moved = known.is_some_and(|known| {
            (known.host.as_str(), known.port, known.security) != (host.as_str(), port, security)
        });
        let secret = self.optional_secret(kept.map(|(_, password)| password), moved, faults, t);
        let login = match (user.is_empty(), secret) {
            (true, None) => None,
            (true, Some(_)) if self.secret.is_some() => {
                faults.add("user", t.notices.user_missing());
                None
            }
            // Without a user there is nothing to log in with.
            (true, Some(_)) => None,
            (false, Some(secret)) => Some((user, secret)),
            (false, None) => {
                faults.add("secret", t.common.field_required());
                None
            }
        };
        Mailbox { host, port, security, login, from, to }
    }

    fn check_url(&self, known: Option<&Secret>, faults: &mut Faults, t: Messages) -> Secret {
        let url = match (&self.url, known) {
            (Some(url), _) => url.0.clone(),
            (None, Some(known)) => known.clone(),
            (None, None) => {
                faults.add("url", t.common.field_required());
                return Secret::new("");
            }
        };
        if let Err(message) = check_url(url.expose(), self.allow_private, t) {
            faults.add("url", message);
        }
        url
    }

    /// Another server than the vendor's own: an address without a path that is not the vendor's.
    fn check_server(&self, faults: &mut Faults, t: Messages) -> Option<String> {
        let server = given(&self.server)?.trim_end_matches('/').to_owned();
        let message = check_url(&server, self.allow_private, t).err().or_else(|| {
            let query =
                Url::parse(&server).is_ok_and(|url| url.query().is_some() || url.fragment().is_some());
            query.then(|| t.notices.url_wrong().to_owned())
        });
        if let Some(message) = message {
            faults.add("server", message);
        }
        Some(server)
    }

    /// A secret that may be missing; `kept` is the present one, and `moved` says that it would go to somebody else.
    fn optional_secret(
        &self,
        kept: Option<&Secret>,
        moved: bool,
        faults: &mut Faults,
        t: Messages,
    ) -> Option<Secret> {
        let secret = match (&self.secret, kept) {
            (Some(secret), _) if secret.0.expose().is_empty() => return None,
            (Some(secret), _) => secret.0.clone(),
            (None, Some(kept)) => {
                // Who may change the address must not read the secret by it.
                if moved {
                    faults.add("secret", t.notices.secret_again());
                }
                kept.clone()
            }
            (None, None) => return None,
        };
        let text = secret.expose();
        if text.chars().count() > MOST_SECRET || text.chars().any(char::is_control) {
            faults.add("secret", t.notices.secret_wrong(MOST_SECRET));
        }
        Some(secret)
    }

    fn needed_secret(&self, kept: Option<&Secret>, moved: bool, faults: &mut Faults, t: Messages) -> Secret {
        let secret = self.optional_secret(kept, kept.is_some() && moved, faults, t);
        secret.unwrap_or_else(|| {
            faults.add("secret", t.common.field_required());
            Secret::new("")
        })
    }
}

/// `22:00-07:30` as minutes of the day.
fn quiet_hours(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once(['-', '–', '~'])?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from != until).then_some((from, until))
}

fn quiet_text((from, until): (u16, u16)) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
}

fn origin(url: &Secret) -> Option<String> {
    Url::parse(url.expose()).ok().map(|url| url.origin().ascii_serialization())
}

/// The part of a target's address that pages show, such as its host; nothing secret.
pub fn shown_host(transport: &Transport) -> String {
    let own = |server: &Option<String>, usual: String| {
        server.as_ref().map_or(Some(usual), |server| origin(&Secret::new(server.clone())))
    };
    match transport {
        Transport::Webhook(hook) => origin(&hook.url),
        Transport::DingTalk(robot) | Transport::Feishu(robot) | Transport::WeCom(robot) => origin(&robot.url),
        Transport::Email(mailbox) => {
            Some(format!("{}:{} → {}", mailbox.host, mailbox.port, mailbox.to.join(", ")))
        }
        Transport::Telegram { server, chat, .. } => {
            own(server, telegram::SERVER.to_owned()).map(|server| format!("{server} → {chat}"))
        }
        Transport::Bark { server, .. } => own(server, super::vendor::bark::SERVER.to_owned()),
        Transport::ServerChan { server, key } => own(server, serverchan::server(key.expose())),
    }
    .unwrap_or_default()
}

fn is_private_host(host: &str) -> bool {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Url::parse(&format!("http://{host}/")).is_ok_and(|url| names_private_host(&url))
}

fn check_url(text: &str, allow_private: bool, t: Messages) -> Result<(), String> {
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
            url: Some(PlainSecret::new("https://hooks.example/a")),
            secret: Some(PlainSecret::new("s3cret")),
            events: vec![EventKind::KeyInvalid, EventKind::KeyInvalid],
            ..NotificationTargetInput::blank(Via::Webhook, Lang::En)
        }
    }

    fn mail() -> NotificationTargetInput {
        NotificationTargetInput {
            name: "mail".into(),
            server: Some("smtp.example.com".into()),
            user: Some("u".into()),
            secret: Some(PlainSecret::new("pw")),
            from: Some("OnePool <a@example.com>".into()),
            to: vec!["b@example.com".into()],
            ..NotificationTargetInput::blank(Via::Email, Lang::En)
        }
    }

    fn faults(input: &NotificationTargetInput, known: Option<&Target>) -> Vec<String> {
        let faults = input.check(known, Messages::of(Lang::En)).err().map(|faults| faults.0);
        faults.into_iter().flatten().map(|fault| fault.field).collect()
    }

    fn known(set: NewTarget) -> Target {
        Target { id: NoticeTargetId(1), set, created_at: UnixMs(0), last: None }
    }

    #[test]
    fn each_wrong_field_is_named() {
        let url = |url: &str| NotificationTargetInput { url: Some(PlainSecret::new(url)), ..input() };
        let chat = |chat: &str| NotificationTargetInput {
            url: None,
            header: None,
            chat: Some(chat.into()),
            secret: Some(PlainSecret::new("123:abcdefghij")),
            ..NotificationTargetInput { transport: Via::Telegram, ..input() }
        };
        assert_eq!(faults(&input(), None), [""; 0]);
        assert_eq!(faults(&mail(), None), [""; 0]);
        assert_eq!(faults(&chat("-1001"), None), [""; 0]);
        assert_eq!(faults(&chat("@ops_room"), None), [""; 0]);
        let quiet = |text: &str| NotificationTargetInput { quiet_hours: Some(text.into()), ..input() };
        assert_eq!(
            quiet("22:00-07:30").check(None, Messages::of(Lang::En)).unwrap().policy.quiet,
            Some((1320, 450))
        );
        for (wrong, field) in [
            (NotificationTargetInput { name: String::new(), ..input() }, "name"),
            (NotificationTargetInput { events: vec![], ..input() }, "events"),
            (NotificationTargetInput { language: "fr".into(), ..input() }, "language"),
            (NotificationTargetInput { url: None, ..input() }, "url"),
            (NotificationTargetInput { group_minutes: 9999, ..input() }, "group_minutes"),
            (NotificationTargetInput { most_per_hour: 0, ..input() }, "most_per_hour"),
            (NotificationTargetInput { digest_hour: 24, ..input() }, "digest_hour"),
            (quiet("22:00"), "quiet_hours"),
            (quiet("22:00-25:00"), "quiet_hours"),
            (url("ftp://example.com"), "url"),
            (url("https://user:pw@example.com"), "url"),
            (url("http://127.0.0.1:9/x"), "url"),
            (url("http://169.254.169.254/"), "url"),
            (url("hooks"), "url"),
            (NotificationTargetInput { header: Some("two words".into()), ..input() }, "header"),
            (NotificationTargetInput { header: Some("Host".into()), ..input() }, "header"),
            (NotificationTargetInput { secret: Some(PlainSecret::new("a\nb")), ..input() }, "secret"),
            (NotificationTargetInput { chat: Some("1".into()), ..input() }, "chat"),
            (NotificationTargetInput { transport: Via::WeCom, ..input() }, "secret"),
            (chat("ops room"), "chat"),
            (NotificationTargetInput { secret: Some(PlainSecret::new("../x")), ..chat("1") }, "secret"),
            (NotificationTargetInput { secret: None, ..chat("1") }, "secret"),
            (NotificationTargetInput { server: Some("http://10.0.0.1".into()), ..chat("1") }, "server"),
            (
                NotificationTargetInput { from: Some("a@example.com\r\nBcc: x@y.example".into()), ..mail() },
                "from",
            ),
            (NotificationTargetInput { to: vec!["nobody".into()], ..mail() }, "to"),
            (NotificationTargetInput { to: vec![], ..mail() }, "to"),
            (NotificationTargetInput { server: Some("smtp example".into()), ..mail() }, "server"),
            (NotificationTargetInput { server: Some("127.0.0.1".into()), ..mail() }, "server"),
            (NotificationTargetInput { security: Some(MailSecurity::Plain), ..mail() }, "security"),
            (NotificationTargetInput { user: None, ..mail() }, "user"),
            (NotificationTargetInput { secret: None, ..mail() }, "secret"),
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
        let known_hook = known(set);
        let mut change = NotificationTargetInput::of(&known_hook.set);
        assert_eq!(change.check(Some(&known_hook), Messages::of(Lang::En)).unwrap(), known_hook.set);
        change.url = Some(PlainSecret::new("https://hooks.example/b"));
        assert_eq!(faults(&change, Some(&known_hook)), [""; 0]);
        change.url = Some(PlainSecret::new("https://elsewhere.example/b"));
        assert_eq!(faults(&change, Some(&known_hook)), ["secret"]);
        change.secret = Some(PlainSecret::new(""));
        let changed = change.check(Some(&known_hook), Messages::of(Lang::En)).unwrap();
        assert!(matches!(changed.transport, Transport::Webhook(Webhook { header: None, .. })), "{changed:?}");
        change.transport = Via::Bark;
        assert_eq!(faults(&change, Some(&known_hook)), ["transport"]);

        let set = mail().check(None, Messages::of(Lang::En)).unwrap();
        let known_mail = known(set);
        let same = NotificationTargetInput::of(&known_mail.set);
        assert_eq!(same.check(Some(&known_mail), Messages::of(Lang::En)).unwrap(), known_mail.set);
        let moved = NotificationTargetInput { server: Some("smtp.other.example".into()), ..same.clone() };
        assert_eq!(faults(&moved, Some(&known_mail)), ["secret"]);
        let bark = NotificationTargetInput {
            transport: Via::Bark,
            url: None,
            secret: Some(PlainSecret::new("device-key")),
            ..input()
        };
        let known_bark = known(bark.check(None, Messages::of(Lang::En)).unwrap());
        let moved =
            NotificationTargetInput { server: Some("https://bark.example".into()), secret: None, ..bark };
        assert_eq!(faults(&moved, Some(&known_bark)), ["secret"]);
    }
}
