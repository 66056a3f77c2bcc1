//! The form of limits, as a browser without JavaScript sees it.

use onepool::model::{
    id::ChannelId,
    limit::{Limit, Metric, Models, Per, Source, Window},
};

use super::Browser;

/// Rows as the form sends them: amount, metric, window, zone, per, models.
fn form(rows: &[[&str; 6]], more: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for row in rows {
        form.extend_pairs(["amount", "metric", "window", "zone", "per", "models"].into_iter().zip(row));
    }
    form.extend_pairs(more).finish()
}

const EMPTY: [&str; 6] = ["", "requests", "", "", "key", ""];

impl Browser {
    fn limits(&self) -> Vec<Limit> {
        self.app.site().catalog.load().channel(ChannelId(1)).unwrap().channel.limits.clone()
    }
}

#[tokio::test]
async fn limits_are_written_changed_and_removed_row_by_row() {
    let browser = Browser::start().await;
    browser.add_channel(&[("m", false)]).await;
    let page = browser.get("/channels/1").await;
    assert!(
        page.has("href=\"/channels/1/limits\"") && page.has("No limits are declared here."),
        "{}",
        page.body
    );
    let page = browser.get("/channels/1/limits").await;
    assert_eq!(page.body.matches("name=\"amount\"").count(), 2, "empty rows");

    let rows = [
        ["40", "requests", "1m", "", "key", ""],
        EMPTY,
        ["1000", "requests", "day+5m", "Asia/Shanghai", "group", "*:free, a/b"],
        ["4", "concurrency", "", "", "key_model", ""],
    ];
    // One row more, and nothing is saved or lost.
    let page = browser.post("/channels/1/limits", &form(&rows, &[("do", "add")])).await;
    assert_eq!((page.status.as_u16(), page.body.matches("name=\"amount\"").count()), (200, 5));
    assert!(page.has("value=\"*:free, a/b\"") && browser.limits().is_empty());

    let page = browser.post("/channels/1/limits", &form(&rows, &[("insist", "0")])).await;
    assert_eq!((page.status.as_u16(), page.location.as_str()), (303, "/channels/1"), "{}", page.body);
    let limits = browser.limits();
    let first = Limit {
        models: Models::default(),
        per: Per::Key,
        metric: Metric::Requests,
        window: Window::MINUTE,
        max: 40,
        source: Source::Operator,
    };
    assert_eq!((limits.len(), &limits[0]), (3, &first));
    assert_eq!((limits[1].per, limits[2].window.clone()), (Per::Owner, Window::AtOnce));

    let page = browser.get("/channels/1/limits").await;
    for text in [
        "value=\"day+5m\"",
        "value=\"Asia/Shanghai\"",
        "value=\"*:free, a/b\"",
        "value=\"0\" aria-label=\"Insist 1\" checked",
    ] {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    // What the form shows can be sent back; a ticked row goes.
    let rows = [
        ["40", "requests", "1m", "", "key", ""],
        ["1000", "requests", "day+5m", "Asia/Shanghai", "group", "*:free, a/b"],
    ];
    browser.post("/channels/1/limits", &form(&rows, &[("remove", "0")])).await;
    assert_eq!(browser.limits(), limits[1..2]);
}

#[tokio::test]
async fn a_wrong_row_is_told_at_its_field_and_nothing_typed_is_lost() {
    let browser = Browser::start().await;
    browser.add_channel(&[("m", false)]).await;
    let rows = [
        EMPTY,
        ["many", "requests", "1m", "", "key", ""],
        ["40", "requests", "day", "", "key", ""],
        ["40", "requests", "1m", "UTC", "key", ""],
        ["30", "requests", "1h", "", "key", "typed-model"],
        ["20", "requests", "1h", "", "key", "typed-model"],
    ];
    let page = browser.post("/channels/1/limits", &form(&rows, &[])).await;
    assert_eq!(page.status, 422);
    for text in [
        "Row 2: please enter a whole number",
        "Row 3: It is not known when the days of generic begin",
        "Row 4: Only hour, day and month have a time zone",
        "Row 6: This says the same as row 5",
        "value=\"many\"",
        "value=\"typed-model\"",
        "aria-label=\"Time zone 4\" aria-invalid=\"true\"",
    ] {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    assert!(browser.limits().is_empty());
}

#[tokio::test]
async fn a_key_has_limits_of_its_own() {
    let browser = Browser::start().await;
    browser.add_channel(&[("m", false)]).await;
    browser.post("/channels/1/keys", "keys=nvapi-000000000001").await;
    let page = browser.get("/channels/1/keys/1/limits").await;
    assert!(page.has("value=\"key_model\"") && !page.has("value=\"group\""), "{}", page.body);
    let wider = form(&[["5", "requests", "1m", "", "channel", ""]], &[]);
    let page = browser.post("/channels/1/keys/1/limits", &wider).await;
    assert!(page.status == 422 && page.has("declare the others on the channel"), "{}", page.body);
    let own = form(&[["5", "requests", "1m", "", "key", ""]], &[]);
    assert_eq!(browser.post("/channels/1/keys/1/limits", &own).await.location, "/channels/1/keys/1");
    let entry = browser.app.site().catalog.load().channel(ChannelId(1)).unwrap().clone();
    assert_eq!((entry.keys[0].limits.len(), entry.channel.limits.len()), (1, 0));
    assert!(browser.get("/channels/1/keys/1").await.has("1m"));
    browser.post("/channels/1/keys/1", "label=mine").await;
    let entry = browser.app.site().catalog.load().channel(ChannelId(1)).unwrap().clone();
    assert_eq!((entry.keys[0].label.as_str(), entry.keys[0].limits.len()), ("mine", 1));
    assert_eq!(browser.get("/channels/1/keys/9/limits").await.status, 404);
}
