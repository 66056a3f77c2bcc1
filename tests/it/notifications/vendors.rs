//! Every vendor's way: what it is sent, what its answers mean, and that nothing secret comes back.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use onepool::{
    model::{
        notice::{Fault, Robot, Transport},
        secret::Secret,
    },
    notices::report,
};
use serde_json::{Value, json};

use super::{Receiver, invalid, message, target, tell};
use crate::support::raw::{RawRequest, write_json};

fn robot(url: String, secret: Option<&str>) -> Robot {
    Robot { url: Secret::new(url), secret: secret.map(Secret::new) }
}

fn signature(key: &str, text: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// The value of a parameter in a request line.
fn parameter(request: &RawRequest, name: &str) -> Option<String> {
    let query = request.head.lines().next()?.split(' ').nth(1)?.split_once('?')?.1.to_owned();
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_webhook_gets_json_with_the_secret_and_is_never_reached_against_the_rules() {
    let good = Receiver::saying("{}");
    let outcome = tell(&target(good.hook()), &message(vec![])).await;
    assert!(outcome.delivery.ok && outcome.delivery.report.status == Some(200), "{outcome:?}");
    let got = good.got()[0].clone();
    assert!(
        got.head.starts_with("POST /hook/secret-part ")
            && got.head.to_lowercase().contains("x-secret: a-word-between-us")
    );
    let body = good.bodies().remove(0);
    assert_eq!(
        (&body["source"], &body["test"], &body["id"]),
        (&json!("onepool"), &json!(true), &json!("onepool-1-1"))
    );

    let mut forbidden = target(good.hook());
    forbidden.allow_private = false;
    let private = tell(&forbidden, &message(vec![])).await;
    assert!(
        !private.worth_another && private.delivery.report.fault == Some(Fault::PrivateAddress),
        "{private:?}"
    );
    assert_eq!(good.got().len(), 1, "a private address is not connected to");

    let moved = Receiver::answering(
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    );
    let outcome = tell(&target(moved.hook()), &message(vec![])).await;
    assert_eq!(outcome.delivery.report.fault, Some(Fault::Redirected));
    assert_eq!(moved.got().len(), 1);

    let busy = Receiver::answering(
        "HTTP/1.1 503 Busy\r\nretry-after: 77\r\ncontent-length: 30\r\nconnection: close\r\n\r\nnot now, a-word-between-us says"
            .into(),
    );
    let outcome = tell(&target(busy.hook()), &message(vec![])).await;
    assert!(outcome.worth_another && outcome.retry_after.unwrap().as_secs() == 77, "{outcome:?}");
    let said = &outcome.delivery.report.said;
    assert!(said.starts_with("not now") && !said.contains("a-word-between-us"), "{said}");
    let refused =
        Receiver::answering("HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into());
    assert!(!tell(&target(refused.hook()), &message(vec![])).await.worth_another);
}

#[tokio::test]
async fn each_vendor_gets_what_its_documentation_asks_for() {
    let told = || message(vec![invalid("…cdef")]);
    let telegram = Receiver::saying(r#"{"ok":true,"result":{"message_id":7}}"#);
    let set = target(Transport::Telegram {
        server: Some(telegram.address()),
        bot: Secret::new("123:secret-of-the-bot"),
        chat: "-1001".into(),
    });
    assert!(tell(&set, &told()).await.delivery.ok);
    assert!(telegram.got()[0].head.starts_with("POST /bot123:secret-of-the-bot/sendMessage "));
    let body = telegram.bodies().remove(0);
    assert_eq!((&body["chat_id"], &body["parse_mode"]), (&json!(-1001), &Value::Null));
    assert_eq!(body["text"], "OnePool: A key became invalid\n: the provider refuses the key …cdef");

    let bark = Receiver::saying(r#"{"code":200,"message":"success","timestamp":1}"#);
    let set = target(Transport::Bark { server: Some(bark.address()), device: Secret::new("device-key-1") });
    assert!(tell(&set, &told()).await.delivery.ok);
    assert!(bark.got()[0].head.starts_with("POST /push "));
    let body = bark.bodies().remove(0);
    assert_eq!((&body["device_key"], &body["level"]), (&json!("device-key-1"), &json!("active")));

    for (key, path) in [
        ("SCT123456abcdef", "POST /SCT123456abcdef.send "),
        ("sctp42tabcdefgh", "POST /send/sctp42tabcdefgh.send "),
    ] {
        let serverchan = Receiver::saying(r#"{"code":0,"message":"","data":{"pushid":"1"}}"#);
        let set = target(Transport::ServerChan { server: Some(serverchan.address()), key: Secret::new(key) });
        assert!(tell(&set, &told()).await.delivery.ok);
        assert!(serverchan.got()[0].head.starts_with(path), "{}", serverchan.got()[0].head);
        assert_eq!(serverchan.bodies()[0]["title"], "OnePool: A key became invalid");
    }

    let wecom = Receiver::saying(r#"{"errcode":0,"errmsg":"ok"}"#);
    let set = target(Transport::WeCom(robot(format!("{}/send?key=abc", wecom.address()), None)));
    assert!(tell(&set, &told()).await.delivery.ok);
    assert!(wecom.got()[0].head.starts_with("POST /send?key=abc "));
    assert_eq!(wecom.bodies()[0]["msgtype"], "text");
}

#[tokio::test]
async fn robots_that_check_signatures_take_ours_and_no_other() {
    const SECRET: &str = "SEC0123456789";
    let dingtalk = || {
        Receiver::with(|request, socket| {
            let time = parameter(request, "timestamp").unwrap_or_default();
            let wanted = signature(SECRET, &format!("{time}\n{SECRET}"));
            let good = parameter(request, "sign") == Some(wanted) && time == "1800000000000";
            let token = parameter(request, "access_token");
            assert_eq!(token.as_deref(), Some("t0ken"));
            write_json(
                socket,
                if good {
                    r#"{"errcode":0,"errmsg":"ok"}"#
                } else {
                    r#"{"errcode":310000,"errmsg":"sign not match"}"#
                },
            );
        })
    };
    let feishu = || {
        Receiver::with(|request, socket| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let time = body["timestamp"].as_str().unwrap_or_default();
            let good = body["sign"] == signature(&format!("{time}\n{SECRET}"), "") && time == "1800000000";
            write_json(
                socket,
                if good {
                    r#"{"code":0,"msg":"success","data":{}}"#
                } else {
                    r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#
                },
            );
        })
    };
    for (secret, taken) in [(Some(SECRET), true), (Some("SECanother"), false), (None, false)] {
        let receiver = dingtalk();
        let url = format!("{}/robot/send?access_token=t0ken", receiver.address());
        let outcome = tell(&target(Transport::DingTalk(robot(url, secret))), &message(vec![])).await;
        assert_eq!(outcome.delivery.ok, taken, "{outcome:?}");
        let receiver = feishu();
        let url = format!("{}/open-apis/bot/v2/hook/x", receiver.address());
        let outcome = tell(&target(Transport::Feishu(robot(url, secret))), &message(vec![])).await;
        assert_eq!(outcome.delivery.ok, taken, "{outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_of_200_with_an_error_is_no_delivery_and_its_reason_is_told_without_secrets() {
    type Make = fn(String) -> Transport;
    let telegram: Make = |url| Transport::Telegram {
        server: Some(url),
        bot: Secret::new("123:secret-of-the-bot"),
        chat: "1".into(),
    };
    let bark: Make = |url| Transport::Bark { server: Some(url), device: Secret::new("device-key-1") };
    let serverchan: Make =
        |url| Transport::ServerChan { server: Some(url), key: Secret::new("SCT123456abcdef") };
    let dingtalk: Make =
        |url| Transport::DingTalk(robot(format!("{url}/robot/send?access_token=t0ken-1"), None));
    let feishu: Make = |url| Transport::Feishu(robot(format!("{url}/hook/t0ken-1"), None));
    let wecom: Make = |url| Transport::WeCom(robot(format!("{url}/send?key=t0ken-1"), None));
    // The vendor, its answer, a part of the reason, and whether it asks to come back.
    let cases: [(Make, &'static str, &str, bool); 11] = [
        (
            telegram,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
            "chat not found",
            false,
        ),
        (
            telegram,
            r#"{"ok":false,"description":"no bot at /bot123:secret-of-the-bot/x"}"#,
            "no bot at",
            false,
        ),
        (
            bark,
            r#"{"code":400,"message":"failed to get device token: device-key-1"}"#,
            "400 failed to get",
            false,
        ),
        (serverchan, r#"{"code":40001,"message":"bad pushtoken SCT123456abcdef"}"#, "40001 bad", false),
        (dingtalk, r#"{"errcode":310000,"errmsg":"keywords not in content"}"#, "310000 keywords", false),
        (dingtalk, r#"{"errcode":130101,"errmsg":"send too fast"}"#, "130101", true),
        (feishu, r#"{"code":19024,"msg":"Key Words Not Found"}"#, "19024", false),
        (feishu, r#"{"code":11232,"msg":"frequency limited"}"#, "11232", true),
        (wecom, r#"{"errcode":93000,"errmsg":"invalid webhook url, key=t0ken-1"}"#, "93000", false),
        (wecom, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, "45009", true),
        (wecom, "<html>a proxy's login</html>", "a proxy's login", false),
    ];
    for (make, answer, reason, again) in cases {
        let receiver = Receiver::saying(answer);
        let outcome = tell(&target(make(receiver.address())), &message(vec![invalid("…cdef")])).await;
        let report = &outcome.delivery.report;
        assert!(!outcome.delivery.ok && report.fault == Some(Fault::Rejected), "{outcome:?}");
        assert_eq!(outcome.worth_another, again, "{outcome:?}");
        assert!(report.said.contains(reason), "{outcome:?}");
        for secret in ["secret-of-the-bot", "device-key-1", "SCT123456abcdef", "t0ken-1"] {
            assert!(!format!("{outcome:?}").contains(secret), "{outcome:?}");
        }
        let chinese = report::sentence(onepool::i18n::Messages::of(onepool::i18n::Lang::Zh), report);
        assert!(chinese.starts_with("接收方未接收"), "{chinese}");
    }
    let answer =
        r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":33}}"#;
    let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nconnection: close";
    let slow = Receiver::answering(format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()));
    let outcome = tell(&target(telegram(slow.address())), &message(vec![])).await;
    assert!(outcome.worth_another && outcome.retry_after.unwrap().as_secs() == 33, "{outcome:?}");
}

#[tokio::test]
async fn a_hostile_name_is_bounded_names_nobody_and_begins_no_element() {
    let hostile = format!("<at user_id=\"all\"></at><@all>\r\n*b* {}", "长".repeat(10_000));
    let many = || message((0..60).map(|_| invalid(&hostile)).collect());
    let feishu = Receiver::saying(r#"{"code":0}"#);
    let url = format!("{}/hook/x", feishu.address());
    assert!(tell(&target(Transport::Feishu(robot(url, None))), &many()).await.delivery.ok);
    let text = feishu.bodies()[0]["content"]["text"].as_str().unwrap().to_owned();
    assert!(!text.contains('<') && text.len() <= 12_000, "{text}");
    let wecom = Receiver::saying(r#"{"errcode":0}"#);
    let url = format!("{}/send?key=x", wecom.address());
    assert!(tell(&target(Transport::WeCom(robot(url, None))), &many()).await.delivery.ok);
    let text = wecom.bodies()[0]["text"]["content"].as_str().unwrap().to_owned();
    assert!(!text.contains('<') && text.len() <= 2048, "{text}");
    let telegram = Receiver::saying(r#"{"ok":true}"#);
    let set = target(Transport::Telegram {
        server: Some(telegram.address()),
        bot: Secret::new("1:abcdefgh"),
        chat: "@ops_room".into(),
    });
    assert!(tell(&set, &many()).await.delivery.ok);
    let body = telegram.bodies().remove(0);
    assert_eq!(body["chat_id"], "@ops_room");
    assert!(body["text"].as_str().unwrap().encode_utf16().count() <= 4096);
}
