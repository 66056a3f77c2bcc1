//! Sends a letter by SMTP (RFC 5321), over TLS from the first byte (RFC 8314) or after STARTTLS (RFC 3207). A server without TLS is
//! spoken to only on this machine, and one on a private network only if that is allowed.

use std::{net::SocketAddr, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox as Party, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use super::address::is_public;
use crate::model::notice::{Fault, MailSecurity, Mailbox};

/// How long one step of the conversation may take; the caller limits the whole.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The subject; line breaks become spaces.
    pub subject: &'a str,
    /// The text.
    pub text: &'a str,
    /// What tells it from other letters, without `@`: a letter that is sent again has the same, so that it can be shown once.
    pub id: &'a str,
}

/// Why a letter was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// What went wrong.
    pub fault: Fault,
    /// The server's status, if it answered.
    pub status: Option<u16>,
    /// The server's own words, with whatever it chose to repeat; the caller masks what is secret.
    pub said: String,
    /// Whether the same may succeed later.
    pub worth_another: bool,
}

impl NotTaken {
    fn new(fault: Fault, worth_another: bool) -> Self {
        Self { fault, status: None, said: String::new(), worth_another }
    }
}

/// Sends a letter; gives the server's status and its words. Dropping the future ends the conversation.
pub async fn send(
    mailbox: &Mailbox,
    allow_private: bool,
    letter: Letter<'_>,
) -> Result<(u16, String), NotTaken> {
    let message = write(mailbox, letter).ok_or(NotTaken::new(Fault::Unsendable, false))?;
    let address = resolve(mailbox, allow_private).await?;
    // The certificate has to be that of the name; what is connected to is the address that was checked.
    let tls = || {
        TlsParameters::new_rustls(mailbox.host.clone()).map_err(|_| NotTaken::new(Fault::Unsendable, false))
    };
    let security = match mailbox.security {
        MailSecurity::StartTls => Tls::Required(tls()?),
        MailSecurity::Tls => Tls::Wrapper(tls()?),
        MailSecurity::Plain => Tls::None,
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
        .port(address.port())
        .timeout(Some(STEP_LIMIT))
        .tls(security);
    if let Some((user, password)) = &mailbox.login {
        transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    match transport.build().send(message).await {
        Ok(answer) => {
            let words = answer.message().collect::<Vec<_>>().join(" ");
            Ok((u16::from(answer.code()), words))
        }
        Err(error) => Err(describe(&error)),
    }
}

fn write(mailbox: &Mailbox, letter: Letter<'_>) -> Option<Message> {
    let domain = mailbox.from.rsplit_once('@').map_or("onepool.invalid", |(_, domain)| domain);
    let domain = domain.trim_end_matches('>');
    // A line break in a header would begin another one.
    let subject: String =
        letter.subject.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let mut message = Message::builder()
        .from(mailbox.from.parse::<Party>().ok()?)
        .subject(subject)
        .message_id(Some(format!("<{}@{domain}>", letter.id)))
        .header(ContentType::TEXT_PLAIN);
    for to in &mailbox.to {
        message = message.to(to.parse::<Party>().ok()?);
    }
    message.body(letter.text.to_owned()).ok()
}

/// Whether a mail server takes this for an address: `a@b.example`, or with a name before it.
pub fn is_mail_address(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<Party>().is_ok()
}

async fn resolve(mailbox: &Mailbox, allow_private: bool) -> Result<SocketAddr, NotTaken> {
    let looked_up = tokio::net::lookup_host((mailbox.host.as_str(), mailbox.port)).await;
    let all: Vec<SocketAddr> = looked_up.map_err(|_| NotTaken::new(Fault::NameUnknown, true))?.collect();
    let known = !all.is_empty();
    let allowed = all.into_iter().find(|address| allow_private || is_public(address.ip()));
    let fault = if known { Fault::PrivateAddress } else { Fault::NameUnknown };
    let address = allowed.ok_or(NotTaken::new(fault, !known))?;
    if mailbox.security == MailSecurity::Plain && !address.ip().is_loopback() {
        return Err(NotTaken::new(Fault::PlainAway, false));
    }
    Ok(address)
}

fn describe(error: &lettre::transport::smtp::Error) -> NotTaken {
    if let Some(code) = error.status() {
        let status = u16::from(code);
        // 535 and its kin (RFC 4954, section 6) speak of the login, all else of the letter.
        let fault =
            if matches!(status, 530 | 534 | 535 | 538) { Fault::LoginRefused } else { Fault::Rejected };
        let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        return NotTaken { fault, status: Some(status), said: words, worth_another: error.is_transient() };
    }
    if error.is_timeout() {
        return NotTaken::new(Fault::NoAnswer, true);
    }
    if error.is_tls() {
        return NotTaken::new(Fault::Tls, false);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    let mut text = error.to_string().to_lowercase();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            let fault = match io.kind() {
                std::io::ErrorKind::ConnectionRefused => Fault::ConnectionRefused,
                std::io::ErrorKind::TimedOut => Fault::ConnectTimeout,
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => Fault::Broken,
                std::io::ErrorKind::InvalidData => Fault::Tls,
                _ => Fault::NoConnection,
            };
            return NotTaken::new(fault, fault != Fault::Tls);
        }
        text.push_str(&inner.to_string().to_lowercase());
        cause = inner.source();
    }
    if text.contains("starttls") || text.contains("tls") || text.contains("certificate") {
        return NotTaken::new(Fault::Tls, false);
    }
    if text.contains("authentication") {
        return NotTaken::new(Fault::LoginRefused, false);
    }
    if error.is_client() {
        NotTaken::new(Fault::Unsendable, false)
    } else {
        NotTaken::new(Fault::Garbled, true)
    }
}
