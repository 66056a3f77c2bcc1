//! The explorer as an operator's browser sees it.

use crate::{
    model::{
        id::TokenId,
        time::UnixMs,
        usage::{CallResult, UsageRecord},
    },
    storage::recording::tests::record,
    web::browser::{Browser, NOW},
};

fn calls() -> Vec<UsageRecord> {
    let failed = UsageRecord {
        status: 502,
        result: CallResult::UpstreamError,
        asked_model: "<b>evil</b>".into(),
        ..record(3)
    };
    [record(1), record(2), failed].map(|call| UsageRecord { at: UnixMs(NOW.0 - 60_000), ..call }).to_vec()
}

#[tokio::test]
async fn the_page_sums_up_a_period_by_key_and_marks_what_was_deleted() {
    let browser = Browser::new(&calls()).await;
    let page = browser.get("/usage?by=key&period=24h").await;
    assert_eq!(page.status, 200);
    for text in ["66.6%", "…bbbb", "Groq &#60;free&#62;", "deleted", "3 (3)", "rate-limited 3", "≈"] {
        assert!(page.text.contains(text), "{text}\n{}", page.text);
    }
    assert!(page.text.contains(r#"href="/log?period=24h&#38;channel=1&#38;key=3""#), "{}", page.text);
    assert!(page.text.contains(r#"href="/usage?period=24h&#38;key=3&#38;by=model""#), "{}", page.text);
    assert!(page.text.contains("Requests of the last 14 days"), "{}", page.text);
    assert!(!page.text.contains("style="), "styles in attributes are blocked by the policy");
}

#[tokio::test]
async fn a_models_name_is_text_and_leads_to_its_calls() {
    let browser = Browser::new(&calls()).await;
    let page = browser.get("/usage?by=model").await;
    assert!(!page.text.contains("<b>evil"));
    assert!(page.text.contains("asked=%3Cb%3Eevil%3C%2Fb%3E"));
    let log = browser.get("/log?asked=%3Cb%3Eevil%3C%2Fb%3E&period=24h").await;
    assert_eq!(log.text.matches("href=\"/log/0").count(), 1);
}

#[tokio::test]
async fn an_empty_period_offers_everything_and_a_wrong_one_says_what_is_wrong() {
    let browser = Browser::new(&calls()).await;
    let empty = browser.get("/usage?from=2020-01-01&to=2020-01-02").await;
    assert!(empty.text.contains("No calls in this period."));
    let wrong = browser.get("/usage?from=someday").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains(r#"value="someday""#) && wrong.text.contains("from-error"));
    let unknown = browser.get("/usage?metric=speed&token=nobody").await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.text.contains("Metric: This choice does not exist"), "{}", unknown.text);
    assert!(unknown.text.contains("Token: This choice does not exist"));
}

#[tokio::test]
async fn the_page_is_there_in_chinese() {
    let browser = Browser::new(&calls()).await;
    let page = browser.get_in("/usage?compare=true&metric=total_p99&period=7d", "zh-CN").await;
    for text in ["不计重试", "此前无数据", "总耗时 p99", "与上一时段对比", "每天"] {
        assert!(page.text.contains(text), "{text}\n{}", page.text);
    }
}

#[tokio::test]
async fn a_filter_is_named_and_can_be_taken_off() {
    let browser = Browser::new(&calls()).await;
    let page = browser.get("/usage?by=model&period=24h&token=1&status=5xx&key=0").await;
    assert!(page.text.contains("match these filters"), "{}", page.text);
    for text in ["Remove the filter Token: laptop", "Remove the filter Status: 5xx", "(no key)"] {
        assert!(page.text.contains(text), "{text}\n{}", page.text);
    }
    assert!(
        page.text.contains(r#"href="/usage?by=model&#38;period=24h&#38;key=0&#38;status=5xx""#),
        "{}",
        page.text
    );
    let page = browser.get("/usage?by=model&period=24h&token=1&status=5xx").await;
    assert!(page.text.contains("evil") && !page.text.contains(">Llama<"), "{}", page.text);
}

#[tokio::test]
async fn the_period_before_stands_beside_each_number_in_words() {
    let day = 86_400_000;
    let mut records = calls();
    for n in 10..14 {
        records.push(UsageRecord { at: UnixMs(NOW.0 - day - 60_000), ..record(n) });
    }
    records.push(UsageRecord { at: UnixMs(NOW.0 - day - 60_000), token_id: TokenId(2), ..record(20) });
    let browser = Browser::new(&records).await;
    let page = browser.get("/usage?period=today&compare=true").await;
    for text in ["40% less", "25% less", "before: 5", "before: 4", "Compared with", "period before"] {
        assert!(page.text.contains(text), "{text}\n{}", page.text);
    }
    assert!(!browser.get("/usage?period=all&compare=true").await.text.contains("Compared with"));
}

#[tokio::test]
async fn every_metric_and_group_has_a_page_that_sorts_by_every_column() {
    let browser = Browser::new(&calls()).await;
    for metric in super::metric::Metric::ALL {
        for by in crate::storage::usage_query::report::GroupBy::ALL {
            let page = browser.get(&format!("/usage?metric={metric}&by={by}&compare=true")).await;
            assert_eq!(page.status, 200, "{metric} {by}");
            assert!(page.text.contains(r#"id="groups""#), "{metric} {by}");
        }
    }
    for sort in super::query::Sort::ALL {
        let page = browser.get(&format!("/usage?by=model&sort={sort}&dir=asc")).await;
        let shown = page.text.contains(r#"aria-sort="ascending""#);
        assert_eq!(shown, !["change", "attempts"].contains(&sort.as_str()), "{sort}");
    }
    let page = browser.get("/usage?by=model&sort=errors").await;
    let place = |text: &str| page.text.rfind(text).unwrap();
    assert!(place("&#60;b&#62;evil") < place(">Llama<"), "{}", page.text);
}

#[tokio::test]
async fn the_file_has_every_group_and_no_cell_is_a_formula() {
    let formula = UsageRecord { asked_model: "=1+1".into(), at: UnixMs(NOW.0 - 60_000), ..record(9) };
    let records: Vec<_> = calls().into_iter().chain([formula]).collect();
    let browser = Browser::new(&records).await;
    let file = browser.get("/usage.csv?by=model&period=24h&compare=true&metric=cost").await.text;
    let lines: Vec<&str> = file.lines().collect();
    assert!(
        lines[0].starts_with("\u{feff}model,requests,ok,failed,prompt_tokens,")
            && lines[0].ends_with(",before_cost")
    );
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().any(|line| line.starts_with("\"'=1+1\",1,1,0,")), "{file}");
    let series = browser.get("/usage.csv?by=key&period=24h&table=series").await.text;
    assert!(series.starts_with("\u{feff}time,key,requests,"), "{series}");
    assert_eq!(series.lines().filter(|line| line.contains(",(all),")).count(), 24);
    assert!(browser.get("/usage.csv?from=someday").await.status == 400);
}

#[tokio::test]
async fn a_page_with_more_groups_than_it_shows_leads_to_the_file() {
    let many = (1..=130).map(|n| UsageRecord {
        asked_model: format!("a-model-with-a-rather-long-name-{n}"),
        at: UnixMs(NOW.0 - 60_000 - i64::from(n) * 600_000),
        ..record(n)
    });
    let browser = Browser::new(&many.collect::<Vec<_>>()).await;
    let page = browser.get("/usage?by=model&period=7d&step=hour&compare=true").await;
    assert!(page.text.contains("All others") && page.text.contains("The table shows the 100 largest"));
    assert_eq!(page.text.matches("<td class=\"name\">").count(), 101);
    assert!(page.text.len() < 450_000, "{} bytes before compression", page.text.len());
    let file = browser.get("/usage.csv?by=model&period=7d").await.text;
    assert_eq!(file.lines().count(), 131);
}
