//! The pages of notifications.

use onepool::model::notice::{EventKind, Transport};

use super::Browser;
use crate::support::raw::{Raw, write_json};

const FIELDS: &str = "name=Ops&enabled=true&language=en&event=key_invalid&event=models_vanished";

#[tokio::test]
async fn a_webhook_is_added_tested_changed_and_removed_and_its_secrets_are_never_shown() {
    let browser = Browser::start().await;
    let index = browser.get("/notifications").await;
    assert!(index.has("Nobody is notified yet") && index.has("Add a webhook"), "{}", index.body);
    assert!(browser.get("/settings").await.has("href=\"/notifications\""));

    let receiver = Raw::answer(|_, socket| write_json(socket, "{}"));
    let url = format!("http://{}/hook/part-that-is-secret", receiver.address());
    let given = format!("{FIELDS}&url={url}&secret=a-word-between-us");
    let refused = browser.post("/notifications/new", &given).await;
    assert_eq!(refused.status.as_u16(), 422);
    assert!(refused.has("private or loopback network; allow that"), "{}", refused.body);
    assert!(
        !refused.has("a-word-between-us") && !refused.has("part-that-is-secret"),
        "typed secrets stay out"
    );

    let made = browser.post("/notifications/new", &format!("{given}&allow_private=true")).await;
    assert_eq!((made.status.as_u16(), made.location.as_str()), (303, "/notifications/1"));
    let tested = browser.post("/notifications/1/test", "").await;
    assert_eq!((tested.status.as_u16(), tested.location.as_str()), (303, "/notifications/1"));
    let page = browser.get("/notifications/1").await;
    assert!(page.has("HTTP 200") && page.has("delivered"), "{}", page.body);
    assert!(!page.has("a-word-between-us") && !page.has("part-that-is-secret"), "{}", page.body);
    let index = browser.get("/notifications").await;
    assert!(index.has("Ops") && index.has("Models are gone · A key became invalid"), "{}", index.body);
    assert!(!index.has("part-that-is-secret"));

    let taken = browser.post("/notifications/new", &format!("{given}&allow_private=true")).await;
    assert!(taken.status.as_u16() == 422 && taken.has("This name is taken"));
    let none = browser.post("/notifications/1", "name=Ops&enabled=true&language=en&allow_private=true").await;
    assert!(none.status.as_u16() == 422 && none.has("Choose at least one event."));
    let elsewhere = format!("{FIELDS}&url=https://elsewhere.example/");
    let moved = browser.post("/notifications/1", &elsewhere).await;
    assert!(moved.status.as_u16() == 422 && moved.has("give the secret again"), "{}", moved.body);
    let renamed = "name=Ops+2&language=zh&event=key_invalid&allow_private=true";
    assert_eq!(browser.post("/notifications/1", renamed).await.status.as_u16(), 303);
    let target = browser.app.site().db.notice_targets().await.unwrap().remove(0);
    let Transport::Webhook(webhook) = &target.set.transport;
    assert_eq!(
        (webhook.url.expose(), target.set.enabled),
        (url.as_str(), false),
        "what was left empty stayed"
    );
    assert_eq!(target.set.kinds, [EventKind::KeyInvalid]);
    let (header, secret) = webhook.header.clone().unwrap();
    assert_eq!((header.as_str(), secret.expose()), ("X-OnePool-Secret", "a-word-between-us"));

    assert!(browser.get("/notifications/1/delete").await.has("Delete “Ops 2”?"));
    assert_eq!(browser.post("/notifications/1/delete", "").await.location, "/notifications");
    assert_eq!(browser.get("/notifications/1").await.status.as_u16(), 404);
    assert_eq!(browser.get("/notifications/x").await.status.as_u16(), 404);
}
