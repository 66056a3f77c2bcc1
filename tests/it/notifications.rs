//! Notifications from end to end: what happens in the pool reaches a webhook, and nothing else does.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use onepool::{
    jobs::notices::{Parts, look},
    model::{
        notice::{Event, EventKind, NewTarget, Occurrence, Transport, Webhook},
        secret::Secret,
    },
    notices::deliver,
};
use serde_json::Value;

use crate::{
    discovery::asked,
    support::{
        app::TestApp,
        raw::{Raw, RawRequest, write_json},
        upstream::{KeyRules, KeyState, Upstream},
    },
};

/// A receiver that answers with this status; what it got.
struct Receiver {
    raw: Raw,
    got: Arc<Mutex<Vec<RawRequest>>>,
}

impl Receiver {
    fn start(answer: &'static str) -> Self {
        let got = Arc::new(Mutex::new(Vec::new()));
        let note = got.clone();
        let raw = Raw::answer(move |request: &RawRequest, socket| {
            note.lock().unwrap().push(request.clone());
            match answer {
                "" => write_json(socket, "{}"),
                answer => drop(socket.write_all(answer.as_bytes())),
            }
        });
        Self { raw, got }
    }

    fn target(&self, allow_private: bool) -> NewTarget {
        NewTarget {
            name: "ops".into(),
            enabled: true,
            kinds: EventKind::ALL.to_vec(),
            language: "en".into(),
            transport: Transport::Webhook(Webhook {
                url: Secret::new(format!("http://{}/hook/secret-part", self.raw.address())),
                header: Some(("X-Secret".into(), Secret::new("a-word-between-us"))),
                allow_private,
            }),
        }
    }
}

fn parts(app: &TestApp) -> Parts {
    let site = app.app.site();
    Parts {
        db: site.db.clone(),
        catalog: site.catalog.clone(),
        dispatch: site.dispatch.clone(),
        clients: site.clients.clone(),
        clock: site.clock.clone(),
    }
}

async fn news(app: &TestApp) -> Vec<Event> {
    look(&parts(app)).await.unwrap().1
}

#[tokio::test]
async fn what_lists_change_and_keys_that_became_invalid_are_told_once() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    upstream.set_models(&["a", "b"]);
    let id = app.channel("Groq", &upstream, &["key-0000-aaaa"]).await;
    asked(&app, id).await.unwrap();
    assert_eq!(news(&app).await, [], "a first list is no news");
    upstream.set_models(&["b", "c", "d"]);
    asked(&app, id).await.unwrap();
    let told: Vec<(EventKind, Vec<String>)> = news(&app)
        .await
        .into_iter()
        .map(|event| match event.what {
            Occurrence::Models { kind, names, .. } => (kind, names),
            Occurrence::KeyInvalid { .. } => panic!("no key became invalid"),
        })
        .collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        told,
        [(EventKind::ModelsAppeared, names(&["c", "d"])), (EventKind::ModelsVanished, names(&["a"]))]
    );
    assert_eq!(news(&app).await, [], "it was told");

    // A call finds that the key is refused now.
    upstream.set_key("key-0000-aaaa", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    app.token().await;
    app.chat(false, "words=3").await;
    let events = news(&app).await;
    let [Event { what: Occurrence::KeyInvalid { shown, .. }, channel_name, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((shown.as_str(), channel_name.as_str()), ("…aaaa", "Groq"));
    assert_eq!(news(&app).await, []);
}

#[tokio::test]
async fn a_webhook_gets_json_with_the_secret_and_is_never_reached_against_the_rules() {
    let app = TestApp::start().await;
    let clients = app.app.site().clients.clone();
    let now = app.clock.now();
    let good = Receiver::start("");
    let outcome = deliver(&clients, &good.target(true), &[], 0, now).await;
    assert!(outcome.delivery.ok && outcome.delivery.detail == "HTTP 200", "{outcome:?}");
    let got = good.got.lock().unwrap()[0].clone();
    assert!(
        got.head.starts_with("POST /hook/secret-part ")
            && got.head.to_lowercase().contains("x-secret: a-word-between-us")
    );
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!((&body["source"], &body["test"]), (&Value::from("onepool"), &Value::from(true)));

    let private = deliver(&clients, &good.target(false), &[], 0, now).await;
    assert!(!private.delivery.ok && !private.worth_another && private.delivery.detail.contains("private"));
    assert_eq!(good.got.lock().unwrap().len(), 1, "a private address is not connected to");

    let moved = Receiver::start(
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let outcome = deliver(&clients, &moved.target(true), &[], 0, now).await;
    assert!(
        !outcome.delivery.ok && outcome.delivery.detail.contains("redirects are not followed"),
        "{outcome:?}"
    );
    assert_eq!(moved.got.lock().unwrap().len(), 1);

    let busy = Receiver::start(
        "HTTP/1.1 503 Busy\r\ncontent-length: 30\r\nconnection: close\r\n\r\nnot now, a-word-between-us says",
    );
    let outcome = deliver(&clients, &busy.target(true), &[], 0, now).await;
    assert!(outcome.worth_another && outcome.delivery.detail.starts_with("HTTP 503: not now"), "{outcome:?}");
    assert!(!outcome.delivery.detail.contains("a-word-between-us"), "{outcome:?}");
    let refused = Receiver::start("HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(!deliver(&clients, &refused.target(true), &[], 0, now).await.worth_another);
}
