//! The pages of notifications.

use onepool::model::notice::{EventKind, Transport};

use super::Browser;
use crate::support::raw::{Raw, write_json};

const FIELDS: &str = "via=webhook&name=Ops&enabled=true&language=en&event=key_invalid&event=models_vanished";

#[tokio::test]
async fn a_webhook_is_added_tested_changed_and_removed_and_its_secrets_are_never_shown() {
    let browser = Browser::start().await;
    let index = browser.get("/notifications").await;
    assert!(index.has("Nobody is notified yet") && index.has("Add a target"), "{}", index.body);
    assert!(browser.get("/settings").await.has("href=\"/notifications\""));

    let ways = browser.get("/notifications/new").await;
    for way in ["webhook", "email", "telegram", "bark", "serverchan", "dingtalk", "feishu", "wecom"] {
        assert!(ways.has(&format!("href=\"/notifications/new?via={way}\"")), "{way}: {}", ways.body);
        let form = browser.get(&format!("/notifications/new?via={way}")).await;
        assert!(form.has("name=\"event\"") && form.has(&format!("value=\"{way}\"")), "{way}: {}", form.body);
    }
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
    assert!(page.has("status 200") && page.has("delivered"), "{}", page.body);
    assert!(!page.has("a-word-between-us") && !page.has("part-that-is-secret"), "{}", page.body);
    let index = browser.get("/notifications").await;
    assert!(index.has("Ops") && index.has("A key became invalid · Models are gone"), "{}", index.body);
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
    let Transport::Webhook(webhook) = &target.set.transport else { panic!("{target:?}") };
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

#[tokio::test]
async fn a_bot_a_robot_and_a_mail_server_have_their_own_fields_and_nothing_typed_is_lost_but_secrets() {
    let browser = Browser::start().await;
    let refused = browser
        .post(
            "/notifications/new",
            "via=telegram&name=Bot&enabled=true&language=en&event=digest&secret=nonsense&chat=ops+room&group_minutes=soon&quiet_hours=later",
        )
        .await;
    assert_eq!(refused.status.as_u16(), 422);
    for text in [
        "This is no token of a bot",
        "Give the number of a chat",
        "Give a whole number.",
        "Give two different times",
    ] {
        assert!(refused.has(text), "{text}: {}", refused.body);
    }
    assert!(refused.has("value=\"ops room\"") && refused.has("value=\"soon\"") && !refused.has("nonsense"));
    let receiver = Raw::answer(|_, socket| {
        write_json(
            socket,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat <b>not</b> found"}"#,
        );
    });
    let form = format!(
        "via=telegram&name=Bot&enabled=true&language=zh&event=digest&secret=123:abcdefgh-secret&chat=-100&server=http://{}&allow_private=true&digest_every=week&digest_hour=8&quiet_hours=22:00-07:30",
        receiver.address()
    );
    let made = browser.post("/notifications/new", &form).await;
    assert_eq!(made.location, "/notifications/1", "{}", made.body);
    browser.post("/notifications/1/test", "").await;
    let page = browser.get("/notifications/1").await;
    assert!(
        page.has("chat &#60;b&#62;not&#60;/b&#62; found") || page.has("chat &lt;b&gt;not"),
        "{}",
        page.body
    );
    assert!(page.has("the receiver did not take it") && !page.has("abcdefgh-secret"), "{}", page.body);
    assert!(page.has("value=\"22:00-07:30\"") && page.has("value=\"-100\""), "{}", page.body);

    let mail = "via=email&name=Mail&enabled=true&language=en&event=digest&server=smtp.example.com&security=tls&from=a@b.example&to=c@d.example%0Ae@f.example";
    assert_eq!(browser.post("/notifications/new", mail).await.location, "/notifications/2");
    let page = browser.get("/notifications/2").await;
    assert!(page.has("smtp.example.com:465 → c@d.example, e@f.example"), "{}", page.body);
    let injected = mail
        .replace("from=a@b.example", "from=a@b.example%0D%0ABcc:+x@y.example")
        .replace("name=Mail", "name=M2");
    let refused = browser.post("/notifications/new", &injected).await;
    assert!(refused.status.as_u16() == 422 && refused.has("id=\"from-error\""), "{}", refused.body);
    let robot = "via=dingtalk&name=Ding&enabled=true&language=zh&event=key_invalid&url=https://oapi.dingtalk.com/robot/send?access_token%3Dt0ken-1&secret=SECword";
    assert_eq!(browser.post("/notifications/new", robot).await.location, "/notifications/3");
    let page = browser.get("/notifications/3").await;
    assert!(
        page.has("https://oapi.dingtalk.com") && !page.has("t0ken-1") && !page.has("SECword"),
        "{}",
        page.body
    );
    let index = browser.get("/notifications").await;
    assert!(index.has("DingTalk") && index.has("E-mail") && index.has("Telegram"), "{}", index.body);
}
