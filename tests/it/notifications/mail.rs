//! Letters: a mail server on loopback that speaks enough of SMTP.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    sync::{Arc, Mutex},
};

use onepool::model::{
    notice::{Fault, MailSecurity, Mailbox, Transport},
    secret::Secret,
};

use super::{invalid, message, target, tell};
use crate::support::raw::Raw;

/// What a mail server was told, line by line.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn begins(&self, start: &str) -> bool {
        self.lines().iter().any(|line| line.starts_with(start))
    }
}

/// A server that offers a login and answers the first line that begins with `at` with `answer`.
fn server(at: &'static str, answer: &'static str) -> (Raw, Heard) {
    let heard = Heard::default();
    let noted = heard.clone();
    let raw = Raw::start(move |socket| {
        let mut writer = socket.try_clone().unwrap();
        let mut say = |text: &str| drop(write!(writer, "{text}\r\n"));
        say("220 mail.example ready");
        let mut in_data = false;
        for line in BufReader::new(socket).lines() {
            let Ok(line) = line else { return };
            noted.0.lock().unwrap().push(line.clone());
            if in_data {
                if line == "." {
                    in_data = false;
                    say("250 2.0.0 queued as 77");
                }
                continue;
            }
            let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            if !at.is_empty() && line.to_ascii_uppercase().starts_with(at) {
                say(answer);
                continue;
            }
            match word.as_str() {
                "EHLO" => say("250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN"),
                "AUTH" => say("235 2.7.0 welcome"),
                "DATA" => {
                    in_data = true;
                    say("354 go on");
                }
                "QUIT" => {
                    say("221 bye");
                    return;
                }
                _ => say("250 ok"),
            }
        }
    });
    (raw, heard)
}

fn mailbox(raw: &Raw, security: MailSecurity) -> Mailbox {
    Mailbox {
        host: "127.0.0.1".into(),
        port: raw.address().port(),
        security,
        login: Some(("user".into(), Secret::new("pass-word-1"))),
        from: "OnePool <pool@b.example>".into(),
        to: vec!["ops@b.example".into(), "值班 <duty@b.example>".into()],
    }
}

#[tokio::test]
async fn a_letter_reaches_every_reader_and_a_hostile_name_adds_no_header() {
    let (raw, heard) = server("", "");
    let set = target(Transport::Email(mailbox(&raw, MailSecurity::Plain)));
    let hostile = "x\r\nBcc: thief@c.example\r\n\r\n.\r\nMAIL FROM:<a@b>";
    let outcome = tell(&set, &message(vec![invalid(hostile)])).await;
    assert!(outcome.delivery.ok, "{outcome:?}\n{:#?}", heard.lines());
    assert_eq!(
        (outcome.delivery.report.status, outcome.delivery.report.said.contains("queued as 77")),
        (Some(250), true)
    );
    let lines = heard.lines();
    assert!(heard.begins("AUTH PLAIN "), "{lines:#?}");
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(
        (count("MAIL FROM:<pool@b.example>"), count("MAIL FROM"), count("RCPT TO:<")),
        (1, 1, 2),
        "{lines:#?}"
    );
    assert!(!heard.begins("Bcc:") && !heard.begins("RCPT TO:<thief"), "{lines:#?}");
    assert!(heard.begins("Subject: OnePool: A key became invalid"), "{lines:#?}");
    assert!(
        heard.begins("Message-ID: <onepool-1-1@b.example>"),
        "the same letter twice can be told: {lines:#?}"
    );
    assert!(heard.begins("Date: "), "{lines:#?}");
}

#[tokio::test]
async fn what_a_mail_server_refuses_is_told_and_tried_again_only_if_that_may_help() {
    for (at, answer, fault, said, again) in [
        ("AUTH", "535 5.7.8 pass-word-1 is wrong", Fault::LoginRefused, "is wrong", false),
        ("RCPT", "550 5.1.1 no such user", Fault::Rejected, "no such user", false),
        ("MAIL", "451 4.3.0 try later", Fault::Rejected, "try later", true),
    ] {
        let (raw, heard) = server(at, answer);
        let set = target(Transport::Email(mailbox(&raw, MailSecurity::Plain)));
        let outcome = tell(&set, &message(vec![])).await;
        let report = &outcome.delivery.report;
        assert_eq!(
            (report.fault, outcome.worth_another),
            (Some(fault), again),
            "{outcome:?} {:?}",
            heard.lines()
        );
        assert!(report.said.contains(said) && !report.said.contains("pass-word-1"), "{outcome:?}");
    }
}

#[tokio::test]
async fn without_tls_no_password_leaves_the_machine_and_none_goes_where_tls_is_missing() {
    for security in [MailSecurity::StartTls, MailSecurity::Tls] {
        let (raw, heard) = server("", "");
        let outcome = tell(&target(Transport::Email(mailbox(&raw, security))), &message(vec![])).await;
        assert!(!outcome.delivery.ok, "{outcome:?}");
        assert!(!heard.begins("AUTH") && !heard.begins("MAIL"), "{:?}", heard.lines());
    }
    // Never connected to: an address of a private network, and one that is not this machine.
    let away = |host: &str| Mailbox {
        host: host.into(),
        port: 25,
        security: MailSecurity::Plain,
        login: None,
        from: "a@b.example".into(),
        to: vec!["c@b.example".into()],
    };
    let outcome = tell(&target(Transport::Email(away("10.255.255.1"))), &message(vec![])).await;
    assert_eq!(outcome.delivery.report.fault, Some(Fault::PlainAway));
    let mut public_only = target(Transport::Email(away("127.0.0.1")));
    public_only.allow_private = false;
    let outcome = tell(&public_only, &message(vec![])).await;
    assert_eq!(outcome.delivery.report.fault, Some(Fault::PrivateAddress));
}
