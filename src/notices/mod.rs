//! Tells operators what happens in the pool, wherever they want to hear of it: what a message says ([`message`]), when it goes
//! out ([`outbox`]), how each vendor wants it ([`vendor`]), what came of it in words ([`report`]), what a target may be ([`input`]),
//! and sending one ([`deliver`]).
//!
//! `jobs/notices/` notices what happened, and `storage/notice_queue.rs` keeps it until it was told; no call ever waits for it. To add
//! a way to reach people: a variant of [`Transport`], what is sealed of it in `storage/notices.rs`, its file in `vendor/`, its
//! fields in `input.rs`.

pub mod input;
pub mod message;
pub mod outbox;
pub mod report;
pub mod vendor;

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::{
    i18n::{Lang, Messages},
    model::{
        notice::{Delivery, Event, Fault, NewTarget, Report, Transport},
        secret::Secret,
        time::UnixMs,
    },
    upstream::{
        client::{Clients, SendError},
        mail,
        outcome::mask_secrets,
        webhook::{Answer, Posting, post},
    },
};
use vendor::{Draft, Verdict, bark, dingtalk, feishu, is_busy, serverchan, telegram, wecom};

/// How long a delivery may take.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(15);
/// The longest part of a receiver's words that is kept, in characters.
const MOST_SAID: usize = 300;

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What tells it from others; the same when it is sent again.
    pub id: String,
    /// What happened; nothing makes it a test.
    pub events: Vec<Event>,
    /// How many events were too many to keep.
    pub left_out: usize,
}

impl Message {
    /// A test.
    pub fn test(now: UnixMs) -> Self {
        Self { id: format!("onepool-test-{}", now.0), events: Vec::new(), left_out: 0 }
    }
}

/// What came of a delivery, and whether another try makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is shown at the target.
    pub delivery: Delivery,
    /// Whether the same may succeed later.
    pub worth_another: bool,
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
}

impl Outcome {
    fn new(at: UnixMs, report: Report, worth_another: bool, retry_after: Option<Duration>) -> Self {
        let ok = report.fault.is_none();
        Self { delivery: Delivery { at, ok, report }, worth_another: worth_another && !ok, retry_after }
    }
}

/// Sends one message. Times in it are of `zone`. Takes at most [`DELIVERY_LIMIT`]; dropping the future cancels it.
pub async fn deliver(
    clients: &Clients,
    target: &NewTarget,
    message: &Message,
    now: UnixMs,
    zone: &TimeZone,
) -> Outcome {
    let t = Messages::of(Lang::from_code(&target.language).unwrap_or_default());
    let sending = async {
        match &target.transport {
            Transport::Email(mailbox) => {
                let told = message::Told::of(t, zone, message);
                let letter = mail::Letter { subject: &told.title, text: &told.text, id: &message.id };
                mailed(
                    mail::send(mailbox, target.allow_private, letter).await,
                    now,
                    &secrets(&target.transport),
                )
            }
            _ => posted(clients, target, message, t, now, zone).await,
        }
    };
    match tokio::time::timeout(DELIVERY_LIMIT, sending).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::new(now, Report { fault: Some(Fault::NoAnswer), ..Report::default() }, true, None),
    }
}

/// What must not be shown of what a receiver says.
fn secrets(transport: &Transport) -> Vec<Secret> {
    match transport {
        Transport::Webhook(hook) => {
            hook.header.iter().map(|(_, value)| value.clone()).chain([hook.url.clone()]).collect()
        }
        Transport::Email(mailbox) => mailbox.login.iter().map(|(_, password)| password.clone()).collect(),
        Transport::Telegram { bot, .. } => vec![bot.clone()],
        Transport::Bark { device, .. } => vec![device.clone()],
        Transport::ServerChan { key, .. } => vec![key.clone()],
        Transport::DingTalk(robot) | Transport::Feishu(robot) | Transport::WeCom(robot) => {
            // Their addresses hold the credential at the end, after the last of these.
            let credential = robot.url.expose().rsplit(['/', '=']).next().map(Secret::new);
            robot.secret.iter().cloned().chain(credential).chain([robot.url.clone()]).collect()
        }
    }
}

/// A receiver's words, in one line, bounded, without secrets.
fn bounded(said: &str, secrets: &[Secret]) -> String {
    let secrets: Vec<&Secret> = secrets.iter().collect();
    // Masked first: a cut could leave the beginning of a secret.
    let masked = mask_secrets(said, &secrets);
    let line: String = masked.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_SAID).collect()
}

fn mailed(sent: Result<(u16, String), mail::NotTaken>, now: UnixMs, secrets: &[Secret]) -> Outcome {
    match sent {
        Ok((status, said)) => {
            let report = Report { fault: None, status: Some(status), said: bounded(&said, secrets) };
            Outcome::new(now, report, false, None)
        }
        Err(refused) => {
            let report = Report {
                fault: Some(refused.fault),
                status: refused.status,
                said: bounded(&refused.said, secrets),
            };
            Outcome::new(now, report, refused.worth_another, None)
        }
    }
}

async fn posted(
    clients: &Clients,
    target: &NewTarget,
    message: &Message,
    t: Messages,
    now: UnixMs,
    zone: &TimeZone,
) -> Outcome {
    let told = message::Told::of(t, zone, message);
    let draft = Draft { title: &told.title, text: &told.text, severity: told.severity };
    let own = |server: &Option<String>, usual: &str| server.clone().unwrap_or_else(|| usual.to_owned());
    let robot_secret = |secret: &'_ Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let mut header = None;
    let (address, body): (String, Value) = match &target.transport {
        // Letters do not come here.
        Transport::Email(_) => return Outcome::new(now, Report::default(), false, None),
        Transport::Webhook(hook) => {
            header.clone_from(&hook.header);
            (hook.url.expose().to_owned(), message::webhook_body(t, zone, message, now))
        }
        Transport::Telegram { server, bot, chat } => {
            (telegram::address(&own(server, telegram::SERVER), bot.expose()), telegram::body(chat, draft))
        }
        Transport::Bark { server, device } => {
            (bark::address(&own(server, bark::SERVER)), bark::body(device.expose(), draft))
        }
        Transport::ServerChan { server, key } => {
            let server = own(server, &serverchan::server(key.expose()));
            (serverchan::address(&server, key.expose()), serverchan::body(draft))
        }
        Transport::DingTalk(robot) => {
            let secret = robot_secret(&robot.secret);
            (dingtalk::address(robot.url.expose(), secret.as_deref(), now), dingtalk::body(draft))
        }
        Transport::Feishu(robot) => {
            let secret = robot_secret(&robot.secret);
            (robot.url.expose().to_owned(), feishu::body(draft, secret.as_deref(), now))
        }
        Transport::WeCom(robot) => (robot.url.expose().to_owned(), wecom::body(draft)),
    };
    let posting = Posting { address: Secret::new(address), header, body: body.to_string().into_bytes() };
    match post(clients, posting, target.allow_private).await {
        Ok(answer) => judged(&target.transport, &answer, now),
        Err(error) => {
            let fault = fault_of(&error);
            let worth_another = !matches!(fault, Fault::Unsendable | Fault::PrivateAddress);
            Outcome::new(now, Report { fault: Some(fault), ..Report::default() }, worth_another, None)
        }
    }
}

/// What an answer means.
fn judged(transport: &Transport, answer: &Answer, now: UnixMs) -> Outcome {
    let (status, body) = (answer.status, &answer.body[..]);
    let verdict = match transport {
        Transport::Telegram { .. } => telegram::verdict(status, body),
        Transport::Bark { .. } => bark::verdict(status, body),
        Transport::ServerChan { .. } => serverchan::verdict(status, body),
        Transport::DingTalk(_) => dingtalk::verdict(status, body),
        Transport::Feishu(_) => feishu::verdict(status, body),
        Transport::WeCom(_) => wecom::verdict(status, body),
        Transport::Webhook(_) | Transport::Email(_) => {
            let taken = (200..300).contains(&status);
            // What a webhook says to a message that it took is its own affair.
            let said = if taken { String::new() } else { String::from_utf8_lossy(body).trim().to_owned() };
            Verdict { taken, said, worth_another: is_busy(status), retry_after: None }
        }
    };
    let fault = match verdict.taken {
        true => None,
        false if (300..400).contains(&status) => Some(Fault::Redirected),
        false => Some(Fault::Rejected),
    };
    let report = Report { fault, status: Some(status), said: bounded(&verdict.said, &secrets(transport)) };
    Outcome::new(now, report, verdict.worth_another, verdict.retry_after.or(answer.retry_after))
}

/// What went wrong on the way, as it is told in both languages.
fn fault_of(error: &SendError) -> Fault {
    match error {
        SendError::Misconfigured(_) => Fault::Unsendable,
        SendError::PrivateAddress => Fault::PrivateAddress,
        SendError::ConnectTimeout => Fault::ConnectTimeout,
        SendError::Connect("refused") => Fault::ConnectionRefused,
        SendError::Connect(text) if text.contains("TLS") => Fault::Tls,
        SendError::Connect(text) if text.contains("resolve") => Fault::NameUnknown,
        SendError::Connect(_) => Fault::NoConnection,
        SendError::Broken(_) => Fault::Broken,
        SendError::Garbled(_) | SendError::TooLarge(_) => Fault::Garbled,
    }
}
