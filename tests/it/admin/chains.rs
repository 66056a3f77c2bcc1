//! The pages of chains.

use axum::http::StatusCode;

use super::{Browser, Page};

async fn add(browser: &Browser, form: &str) -> Page {
    browser.post("/chains/new", form).await
}

/// The models in the rows of the form, in their order.
fn rows(page: &Page) -> Vec<String> {
    let inputs = page.body.split("name=\"model\" value=\"").skip(1);
    inputs.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_chain_is_made_shown_switched_and_deleted() {
    let browser = Browser::start().await;
    browser.add_channel(&[("small", false), ("large", false)]).await;
    let empty = browser.get("/chains").await;
    assert!(
        empty.has("No chains yet") && empty.has("href=\"/chains\" aria-current=\"page\""),
        "{}",
        empty.body
    );
    assert!(browser.get("/chains/new").await.has("<option value=\"small\">"));
    let made = add(
        &browser,
        "name=smart&enabled=true&model=large&spill=500&model=&spill=&model=small&spill=&model=gone&spill=never",
    )
    .await;
    assert_eq!((made.status, made.location.as_str()), (StatusCode::SEE_OTHER, "/chains/1"), "{}", made.body);

    let page = browser.get("/chains/1").await;
    assert_eq!(rows(&page), ["large", "small", "gone"]);
    for text in [
        "value=\"500\"",
        "value=\"2000\"",
        "value=\"never\"",
        "no channel that is on has it",
        "left after 500 ms",
    ] {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    let index = browser.get("/chains").await;
    assert!(index.has("large → small → gone") && index.has("some steps are skipped"), "{}", index.body);
    assert!(browser.get("/chains?q=nothing").await.has("No chain matches"));
    assert!(browser.get("/tokens/new").await.has("value=\"smart\""), "a token's scope may name it");

    assert_eq!(browser.post("/chains/1/switch", "").await.location, "/chains/1");
    assert!(!browser.get("/tokens/new").await.has("value=\"smart\""));
    browser.post("/chains/1/switch", "enabled=true").await;
    add(&browser, "name=outer&enabled=true&model=Smart&spill=&model=small&spill=").await;
    let nested = browser.get("/chains/2").await;
    assert!(nested.has("<code>large</code>") && nested.has("<code>small</code>"), "{}", nested.body);
    let asked = browser.get("/chains/1/delete").await;
    assert!(asked.has("Delete the chain smart?") && asked.has("<code>outer</code>"), "{}", asked.body);
    assert_eq!(browser.post("/chains/1/delete", "").await.location, "/chains");
    for path in ["/chains/1", "/chains/1/delete", "/chains/x"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    browser.app.shutdown().await;
}

#[tokio::test]
async fn steps_move_without_a_script_and_without_being_saved() {
    let browser = Browser::start().await;
    browser.add_channel(&[("a", false), ("b", false), ("c", false)]).await;
    let form = "name=x&enabled=true&model=a&spill=1&model=b&spill=2&model=c&spill=3";
    let moved = add(&browser, &format!("{form}&act=up-2")).await;
    assert_eq!((moved.status, rows(&moved)), (StatusCode::OK, ["a", "c", "b"].map(String::from).to_vec()));
    assert!(moved.has("nothing is saved yet") && moved.has("value=\"x\""), "{}", moved.body);
    assert!(browser.get("/chains").await.has("No chains yet"));

    add(&browser, form).await;
    let down = browser.post("/chains/1", &format!("{form}&act=down-0")).await;
    assert_eq!((down.status, rows(&down)), (StatusCode::OK, ["b", "a", "c"].map(String::from).to_vec()));
    let fewer = browser.post("/chains/1", &format!("{form}&act=remove-1")).await;
    assert_eq!(rows(&fewer), ["a", "c"]);
    assert_eq!(rows(&browser.post("/chains/1", &format!("{form}&act=add")).await), ["a", "b", "c", ""]);
    assert_eq!(rows(&browser.get("/chains/1").await), ["a", "b", "c"], "nothing was saved");
    let saved = browser.post("/chains/1", "name=x&enabled=true&model=c&spill=3&model=a&spill=1").await;
    assert_eq!(saved.location, "/chains/1");
    assert_eq!(rows(&browser.get("/chains/1").await), ["c", "a"]);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn a_form_with_mistakes_comes_back_with_its_values_and_a_message_at_each_field() {
    let browser = Browser::start().await;
    browser.add_channel(&[("a", false), ("twin", false)]).await;
    let page = add(&browser, "name=has+space&model=a&spill=soon&model=A&spill=").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for text in [
        "id=\"name-error\"",
        "id=\"spill-1-error\"",
        "id=\"model-2-error\"",
        "value=\"soon\"",
        "value=\"has space\"",
    ] {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    assert!(add(&browser, "name=x&model=&spill=").await.has("Name one model at least"));

    add(&browser, "name=first&enabled=true&model=a&spill=&model=second&spill=").await;
    let taken = add(&browser, "name=FIRST&model=a&spill=").await;
    assert!(
        taken.status == StatusCode::UNPROCESSABLE_ENTITY && taken.has("This name is taken"),
        "{}",
        taken.body
    );
    let closing = add(&browser, "name=second&model=a&spill=&model=First&spill=").await;
    assert_eq!(closing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        closing.has("id=\"model-2-error\"") && closing.has("second → first → second"),
        "{}",
        closing.body
    );
    let own = add(&browser, "name=own&model=own&spill=").await;
    assert!(own.has("own → own"), "{}", own.body);

    // A chain may take the place of a channel's model, and name it.
    assert_eq!(
        add(&browser, "name=twin&enabled=true&model=twin&spill=&model=a&spill=").await.location,
        "/chains/2"
    );
    assert!(browser.get("/chains/2").await.has("Calls for it go to this chain"));
    browser.app.shutdown().await;
}
