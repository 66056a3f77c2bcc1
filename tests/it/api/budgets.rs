//! Budgets that an operator starts anew, by script and by form.

use onepool::model::token::{Quota, QuotaReset, QuotaUnit};
use reqwest::Method;
use serde_json::json;

use super::{Api, COOKIE};
use crate::support::{app::number, upstream::Upstream};

const OF_TOKENS: &str = "SELECT COALESCE(SUM(spent), 0) FROM token_spending";
const OF_CHANNELS: &str = "SELECT COALESCE(SUM(spent), 0) FROM budget_spending";

#[tokio::test]
async fn what_starts_anew_forgets_calls_that_ended_just_before_whichever_way_it_is_asked_for() {
    let (api, upstream) = (Api::start().await, Upstream::start());
    let app = &api.app;
    let quota = Quota::new(QuotaUnit::Requests, 100, QuotaReset::Month);
    let token = app.token_with(|token| token.quota = Some(quota)).await;
    let channel =
        app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.budget = Some(quota)).await;
    let by_script = async |path: &str, body| api.send(Method::POST, path, body).await.status;
    let by_form = async |path: &str| {
        let request = app.http.post(app.url(path)).header("cookie", format!("onepool_session={COOKIE}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        answer.status().as_u16()
    };
    for way in 0..5 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
        // The rows are in the journal now, and on their way.
        let (status, of) = match way {
            0 => (by_script(&format!("/api/tokens/{token}/reset-quota"), None).await, OF_TOKENS),
            1 => (by_form(&format!("/tokens/{token}/reset-quota")).await, OF_TOKENS),
            2 => {
                let body = json!({"kind": "token", "id": token.0});
                (by_script("/api/budgets/reset", Some(body)).await, OF_TOKENS)
            }
            3 => {
                let body = json!({"kind": "channel", "id": channel.0});
                (by_script("/api/budgets/reset", Some(body)).await, OF_CHANNELS)
            }
            _ => (by_form(&format!("/budgets/channel/{channel}/reset")).await, OF_CHANNELS),
        };
        assert_eq!(status, 200, "way {way}");
        assert_eq!(app.rows().await.len(), way + 1);
        assert_eq!(number(&app.database(), of).await, 0, "way {way}");
    }
    api.app.stop().await;
}
