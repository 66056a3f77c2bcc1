//! Tests of the questions against rows as the recorder writes them.

use std::time::Duration;

use super::{
    ResultFilter, UsageFilter, fixtures,
    reader::bounded,
    report::{Apart, Group, GroupBy, GroupName, MAX_GROUPS, Measure, OrderBy, Question, Sums},
    rows::{Cursor, Place, UsagePage},
    steps::{Step, Steps},
};
use crate::{
    model::{
        id::{ChannelId, KeyId, RequestId, TokenId},
        time::UnixMs,
        usage::{CallResult, Endpoint, OutcomeClass, UsageRecord},
    },
    storage::{
        Db, StorageError,
        recording::tests::{open, record},
        rollups::{BUCKET_MS, bucket_of},
    },
};

const START: UnixMs = UnixMs(1_800_000_000_000);

async fn world(records: &[UsageRecord]) -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    fixtures::names(&db).await;
    db.insert_usage(records).await.unwrap();
    (folder, db)
}

/// The `n`th call, one second after the one before.
fn call(n: u32) -> UsageRecord {
    UsageRecord { at: UnixMs(START.0 + i64::from(n) * 1000), ..record(n) }
}

fn numbers(page: &UsagePage) -> Vec<u128> {
    page.rows.iter().map(|row| row.request_id.0.as_u128()).collect()
}

async fn found(db: &Db, filter: UsageFilter) -> Vec<u128> {
    numbers(&db.usage_page(&filter, Place::Newest, 100).await.unwrap())
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_a_row_while_rows_arrive() {
    let (_folder, db) = world(&(1..=10).map(call).collect::<Vec<_>>()).await;
    let filter = UsageFilter::default();
    let first = db.usage_page(&filter, Place::Newest, 4).await.unwrap();
    assert_eq!((numbers(&first), first.newer, first.older), (vec![10, 9, 8, 7], false, true));

    // A new call, and one that arrived long ago and ended only now.
    let late = UsageRecord { at: UnixMs(START.0 + 5_500), ..record(100) };
    db.insert_usage(&[call(11), late]).await.unwrap();
    let second = db.usage_page(&filter, Place::Before(first.rows[3].cursor()), 4).await.unwrap();
    assert_eq!((numbers(&second), second.newer, second.older), (vec![6, 100, 5, 4], true, true));
    let last = db.usage_page(&filter, Place::Before(second.rows[3].cursor()), 4).await.unwrap();
    assert_eq!((numbers(&last), last.newer, last.older), (vec![3, 2, 1], true, false));
    let back = db.usage_page(&filter, Place::After(last.rows[0].cursor()), 4).await.unwrap();
    assert_eq!((numbers(&back), back.newer, back.older), (vec![6, 100, 5, 4], true, true));
    let newest = db.usage_page(&filter, Place::After(first.rows[0].cursor()), 4).await.unwrap();
    assert_eq!((numbers(&newest), newest.newer), (vec![11], false));
}

#[tokio::test]
async fn calls_of_the_same_millisecond_are_all_shown_once() {
    let (_folder, db) = world(&(1..=7).map(record).collect::<Vec<_>>()).await;
    let (mut place, mut seen) = (Place::Newest, Vec::new());
    loop {
        let page = db.usage_page(&UsageFilter::default(), place, 2).await.unwrap();
        seen.extend(numbers(&page));
        let Some(last) = page.rows.last().filter(|_| page.older) else { break };
        place = Place::Before(last.cursor());
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_page_continues_although_the_row_at_its_border_was_deleted() {
    let (_folder, db) = world(&(1..=6).map(call).collect::<Vec<_>>()).await;
    let cursor = db.usage_page(&UsageFilter::default(), Place::Newest, 3).await.unwrap().rows[2].cursor();
    fixtures::forget_before(&db, UnixMs(START.0 + 5_000)).await;
    let newer = db.usage_page(&UsageFilter::default(), Place::After(cursor), 3).await.unwrap();
    assert_eq!(numbers(&newer), [6, 5]);
}

#[test]
fn a_cursor_reads_back_and_nothing_else_is_one() {
    let text = "1800000000000-42";
    assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
    for wrong in ["", "-", "5", "a-b", "1-2-3"] {
        assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn every_filter_finds_its_rows_and_no_others() {
    let other = UsageRecord {
        token_id: TokenId(2),
        channel_id: None,
        key_id: None,
        asked_model: "GPT_4%".into(),
        served_model: None,
        endpoint: Endpoint::Embeddings,
        status: 429,
        result: CallResult::PoolExhausted,
        client_kind: "openai-python".into(),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        attempts: Vec::new(),
        ..call(3)
    };
    let (_folder, db) = world(&[call(1), call(2), other]).await;
    let any = UsageFilter::default;
    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (any(), vec![3, 2, 1]),
        (UsageFilter { from: Some(UnixMs(START.0 + 2000)), ..any() }, vec![3, 2]),
        (UsageFilter { to: Some(UnixMs(START.0 + 2000)), ..any() }, vec![1]),
        (UsageFilter { token: Some(TokenId(2)), ..any() }, vec![3]),
        (UsageFilter { channel: Some(ChannelId(1)), ..any() }, vec![2, 1]),
        (UsageFilter { key: Some(KeyId(3)), ..any() }, vec![2, 1]),
        (UsageFilter { key: Some(KeyId(2)), ..any() }, vec![]),
        (UsageFilter { channel: Some(ChannelId(0)), ..any() }, vec![3]),
        (UsageFilter { key: Some(KeyId(0)), ..any() }, vec![3]),
        (UsageFilter { token: Some(TokenId(0)), ..any() }, vec![]),
        (UsageFilter { model: text("LLAMA"), ..any() }, vec![2, 1]),
        (UsageFilter { model: text("lla"), ..any() }, vec![]),
        (UsageFilter { model: text("lla*"), ..any() }, vec![2, 1]),
        (UsageFilter { model: text("gpt_4%"), ..any() }, vec![3]),
        (UsageFilter { model: text("gpt_4_"), ..any() }, vec![]),
        (UsageFilter { model: text("%"), ..any() }, vec![]),
        (UsageFilter { asked_model: text("llama"), ..any() }, vec![2, 1]),
        (UsageFilter { asked_model: text("lla*"), ..any() }, vec![]),
        (UsageFilter { served_model: text("llama"), ..any() }, vec![2, 1]),
        (UsageFilter { endpoint: Some(Endpoint::Embeddings), ..any() }, vec![3]),
        (UsageFilter { stream: Some(true), ..any() }, vec![2]),
        (UsageFilter { stream: Some(false), ..any() }, vec![3, 1]),
        (UsageFilter { result: Some(ResultFilter::Failed), ..any() }, vec![3]),
        (UsageFilter { result: Some(ResultFilter::Is(CallResult::Ok)), ..any() }, vec![2, 1]),
        (UsageFilter { status: Some((400, 499)), ..any() }, vec![3]),
        (UsageFilter { client_kind: text("OpenAI-*"), ..any() }, vec![3]),
        (UsageFilter { search: text("8448EB"), ..any() }, vec![3]),
        (UsageFilter { search: text("000000000002"), ..any() }, vec![2]),
        (UsageFilter { search: text("' OR 1=1 --"), ..any() }, vec![]),
        (UsageFilter { search: text("_"), ..any() }, vec![]),
    ] {
        assert_eq!(found(&db, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_call_shows_its_attempts_and_the_names_of_what_was_deleted() {
    let (_folder, db) = world(&[call(7), UsageRecord { token_id: TokenId(9), ..call(8) }]).await;
    let (row, attempts) = db.usage_find(RequestId(uuid::Uuid::from_u128(7))).await.unwrap().unwrap();
    assert_eq!((row.token.name.as_str(), row.token.deleted), ("laptop", false));
    let key = row.key.unwrap();
    assert_eq!((key.last4.as_str(), key.deleted), ("bbbb", true));
    assert_eq!(attempts.len(), 2);
    assert_eq!((attempts[0].key.label.as_str(), attempts[0].class), ("first", OutcomeClass::RateLimited));
    assert_eq!(attempts[0].detail, "slow\ndown");
    assert_eq!(db.usage_find(RequestId(uuid::Uuid::from_u128(99))).await.unwrap(), None);

    let (gone, _) = db.usage_find(RequestId(uuid::Uuid::from_u128(8))).await.unwrap().unwrap();
    assert_eq!((gone.token.name.as_str(), gone.token.deleted), ("", true));

    let names = db.usage_names(Some(ChannelId(1))).await.unwrap();
    assert_eq!(
        names.tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(),
        ["laptop", "old phone"]
    );
    assert!(names.tokens[1].deleted && names.keys[1].deleted);
    assert!(db.usage_names(None).await.unwrap().keys.is_empty());
}

/// Forty calls over an hour, of two tokens, some of them failed, some rescued by a second key.
fn mixed() -> Vec<UsageRecord> {
    (1..=40)
        .map(|n| {
            let mut call = UsageRecord {
                at: UnixMs(START.0 + i64::from(n) * BUCKET_MS / 10),
                token_id: TokenId(1 + i64::from(n % 2)),
                cost_micros: i64::from(n),
                ..record(n)
            };
            match n % 5 {
                0 => {
                    (call.status, call.result) = (502, CallResult::UpstreamError);
                    call.attempts[1].class = OutcomeClass::HostError;
                }
                1 => call.attempts = vec![call.attempts[1].clone()],
                2 => {
                    (call.channel_id, call.key_id, call.served_model) = (None, None, None);
                    (call.status, call.result) = (404, CallResult::NoChannel);
                    call.asked_model = if n == 2 { "none" } else { "NONE" }.into();
                    call.attempts.clear();
                }
                _ => {}
            }
            call
        })
        .collect()
}

fn all_of(sums: &[Sums]) -> Sums {
    let mut all = Sums::default();
    sums.iter().for_each(|sums| all.merge(sums));
    all
}

#[tokio::test]
async fn the_report_agrees_with_itself_and_with_the_rows() {
    let records = mixed();
    let (_folder, db) = world(&records).await;
    let (from, to) = (UnixMs(START.0 + BUCKET_MS), UnixMs(START.0 + 3 * BUCKET_MS));
    for period in [(None, None), (Some(from), None), (None, Some(to)), (Some(from), Some(to))] {
        let filter = UsageFilter { from: period.0, to: period.1, ..Default::default() };
        let rows = db.usage_page(&filter, Place::Newest, 100).await.unwrap().rows;
        assert!(!rows.is_empty());
        let sum = |value: fn(&super::rows::UsageRow) -> i64| rows.iter().map(value).sum::<i64>();
        for by in GroupBy::ALL {
            let mut question = Question::new(filter.clone(), *by);
            let (first, zone) = (bucket_of(rows.last().unwrap().at), jiff::tz::TimeZone::UTC);
            question.steps = Some(Steps::new(Step::Quarter, first, rows[0].at, &zone));
            question.series_groups = 2;
            let report = db.usage_report(&question).await.unwrap();
            let sums = &report.sums;
            assert_eq!(sums.requests, rows.len() as i64);
            assert_eq!(sums.ok, sum(|row| i64::from(row.result == CallResult::Ok)));
            let at_once = |row: &super::rows::UsageRow| {
                i64::from(row.result == CallResult::Ok && row.attempt_count == 1)
            };
            assert_eq!(sums.ok_at_once, sum(at_once));
            assert_eq!(sums.tokens.completion as i64, sum(|row| row.tokens.completion as i64));
            assert_eq!(sums.tokens.cached as i64, sum(|row| row.tokens.cached as i64));
            assert_eq!(sums.cost_micros, sum(|row| row.cost_micros));
            assert_eq!(sums.estimated, sum(|row| i64::from(row.estimated)));
            assert_eq!(sums.failures.values().sum::<i64>(), sums.failed());
            assert_eq!(sums.total.count() as i64, sums.requests);
            assert_eq!(sums.queue.count() as i64, sums.requests);
            assert_eq!(sums.queue_ms, sum(|row| i64::from(row.queue_ms)));
            assert_eq!(sums.retried, sum(|row| i64::from(row.attempt_count > 1)));

            let of_groups = |value: fn(&Group) -> i64| report.groups.iter().map(value).sum::<i64>();
            assert_eq!(of_groups(|group| group.sums.requests), sums.requests);
            assert_eq!(of_groups(|group| group.sums.ok), sums.ok);
            assert_eq!(of_groups(|group| group.sums.cost_micros), sums.cost_micros);
            let series = report.series.as_ref().unwrap();
            assert_eq!(&all_of(&series.whole), sums);
            for (place, whole) in series.whole.iter().enumerate() {
                let at: Vec<Sums> = series.groups.iter().map(|group| group.points[place].clone()).collect();
                assert_eq!(&all_of(&at), whole, "{by:?}");
            }
            type Number = fn(&Sums) -> String;
            let measures: [(Measure, Number); 5] = [
                (Measure::Sum(OrderBy::Failed), |sums| format!("{} {}", sums.requests, sums.failed())),
                (Measure::Sum(OrderBy::Tokens), |sums| format!("{} {}", sums.estimated, sums.tokens.total())),
                (Measure::Sum(OrderBy::Cost), |sums| sums.cost_micros.to_string()),
                (Measure::FirstToken, |sums| format!("{:?}", sums.first_token)),
                (Measure::Total, |sums| format!("{:?}", sums.total)),
            ];
            for (measure, number) in measures {
                question.measure = Some(measure);
                let measured = db.usage_report(&question).await.unwrap();
                assert_eq!((&measured.sums, &measured.groups), (sums, &report.groups));
                let measured = measured.series.unwrap();
                assert_eq!(measured.whole, series.whole);
                for (one, all) in measured.groups.iter().zip(&series.groups) {
                    let of = |points: &[Sums]| points.iter().map(number).collect::<Vec<_>>();
                    assert_eq!(of(&one.points), of(&all.points), "{measure:?}");
                }
            }
            for group in &series.groups {
                match report.groups.iter().find(|other| other.name == group.name) {
                    Some(other) if other.key.is_some() => assert_eq!(all_of(&group.points), other.sums),
                    _ => assert_eq!(group.name, GroupName::Others),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_filtered_report_agrees_with_the_filtered_log() {
    let (_folder, db) = world(&mixed()).await;
    let any = UsageFilter::default();
    for (filter, attempts_known) in [
        (UsageFilter { token: Some(TokenId(1)), ..any.clone() }, false),
        (UsageFilter { result: Some(ResultFilter::Failed), ..any.clone() }, false),
        (UsageFilter { status: Some((400, 499)), model: Some("n*".into()), ..any.clone() }, false),
        (UsageFilter { channel: Some(ChannelId(0)), ..any.clone() }, true),
        (UsageFilter { key: Some(KeyId(0)), status: Some((404, 404)), ..any.clone() }, false),
        (UsageFilter { stream: Some(true), endpoint: Some(Endpoint::Chat), ..any.clone() }, false),
        (UsageFilter { channel: Some(ChannelId(1)), from: Some(START), ..any.clone() }, true),
    ] {
        let rows = db.usage_page(&filter, Place::Newest, 100).await.unwrap().rows;
        let report = db.usage_report(&Question::new(filter.clone(), GroupBy::Key)).await.unwrap();
        assert_eq!(report.sums.requests, rows.len() as i64, "{filter:?}");
        assert_eq!(report.sums.cost_micros, rows.iter().map(|row| row.cost_micros).sum::<i64>());
        assert!(report.groups.iter().all(|group| group.attempts.is_some() == attempts_known), "{filter:?}");
    }
}

#[tokio::test]
async fn groups_have_names_and_each_agrees_with_the_log() {
    let (_folder, db) = world(&mixed()).await;
    let report = db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Token)).await.unwrap();
    for group in &report.groups {
        let GroupName::Token(token) = &group.name else { panic!("{:?}", group.name) };
        let filter = UsageFilter { token: Some(token.id), ..Default::default() };
        assert_eq!(group.sums.requests, found(&db, filter).await.len() as i64);
        assert_eq!(token.deleted, token.name == "old phone");
        assert_eq!(group.attempts, None);
    }
    let report = db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Model)).await.unwrap();
    let names: Vec<_> = report.groups.iter().map(|group| (group.name.clone(), group.sums.requests)).collect();
    assert_eq!(names.len(), 2, "letter case does not make two models of one: {names:?}");
    assert_eq!(names[0], (GroupName::Model("Llama".into()), 32));
    let report = db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Upstream)).await.unwrap();
    assert_eq!(report.groups[0].name, GroupName::Upstream("llama".into()));
    assert_eq!((&report.groups[1].name, report.groups[1].sums.requests), (&GroupName::None, 8));
}

#[tokio::test]
async fn a_key_that_others_always_rescued_shows_its_failed_attempts() {
    let (_folder, db) = world(&mixed()).await;
    let report = db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Key)).await.unwrap();
    let rescued = report
        .groups
        .iter()
        .find(|group| matches!(&group.name, GroupName::Key(key, Some(channel)) if key.id == KeyId(2) && channel.id == ChannelId(1)))
        .unwrap();
    let attempts = rescued.attempts.clone().unwrap();
    assert_eq!((rescued.sums.requests, attempts.all(), attempts.failed()), (0, 24, 24));
    assert_eq!(attempts.by_class[&OutcomeClass::RateLimited], 24);
    let all: i64 = report.groups.iter().filter_map(|group| group.attempts.as_ref()).map(|a| a.all()).sum();
    assert_eq!(all, 24 * 2 + 8);
}

#[tokio::test]
async fn more_groups_than_a_page_holds_are_summed_up_as_others() {
    let many = (1..=MAX_GROUPS as u32 + 50).map(|n| UsageRecord {
        asked_model: format!("model-{n}"),
        channel_id: Some(ChannelId(1)),
        ..record(n)
    });
    let (_folder, db) = world(&many.collect::<Vec<_>>()).await;
    let report = db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Model)).await.unwrap();
    assert_eq!(report.groups.len(), MAX_GROUPS + 1);
    let others = report.groups.last().unwrap();
    assert_eq!((&others.name, others.sums.requests), (&GroupName::Others, 50));
}

#[tokio::test]
async fn the_largest_groups_are_those_of_the_order_and_a_second_question_can_ask_for_them() {
    let calls = (1..=6_u32).map(|n| UsageRecord {
        asked_model: format!("model-{}", n.min(4)),
        cost_micros: if n == 2 { 1000 } else { i64::from(n) },
        at: UnixMs(START.0 + i64::from(n) * BUCKET_MS),
        ..record(n)
    });
    let (_folder, db) = world(&calls.collect::<Vec<_>>()).await;
    let mut question = Question::new(UsageFilter::default(), GroupBy::Model);
    (question.order, question.apart) = (OrderBy::Cost, Apart::Largest(2));
    let report = db.usage_report(&question).await.unwrap();
    let costs = |groups: &[Group]| -> Vec<(GroupName, i64)> {
        groups.iter().map(|group| (group.name.clone(), group.sums.cost_micros)).collect()
    };
    let model = |n: u32| GroupName::Model(format!("model-{n}"));
    let expected = [(model(2), 1000), (model(4), 15), (GroupName::Others, 4)];
    assert_eq!(costs(&report.groups), expected);

    let keys = report.groups.iter().filter_map(|group| group.key.clone());
    question.apart = Apart::These(keys.collect());
    question.filter.from = Some(UnixMs(START.0 + 4 * BUCKET_MS));
    let later = db.usage_report(&question).await.unwrap();
    assert_eq!(costs(&later.groups), [(model(4), 15), (model(2), 0)]);
    question.filter.to = Some(UnixMs(START.0 + 4 * BUCKET_MS));
    question.filter.from = None;
    let earlier = db.usage_report(&question).await.unwrap();
    assert_eq!(costs(&earlier.groups), [(model(2), 1000), (model(4), 0), (GroupName::Others, 4)]);
    assert_eq!(db.usage_begins().await.unwrap(), Some(bucket_of(UnixMs(START.0 + BUCKET_MS))));
}

#[tokio::test]
async fn calls_are_grouped_by_endpoint_client_and_status() {
    let records = mixed();
    let (_folder, db) = world(&records).await;
    for (by, expected) in [
        (GroupBy::Endpoint, vec![(GroupName::Endpoint("chat".into()), 40)]),
        (GroupBy::Client, vec![(GroupName::Client(records[0].client_kind.clone()), 40)]),
        (GroupBy::Status, [(200, 24), (404, 8), (502, 8)].map(|(s, n)| (GroupName::Status(s), n)).to_vec()),
    ] {
        let report = db.usage_report(&Question::new(UsageFilter::default(), by)).await.unwrap();
        let found: Vec<_> =
            report.groups.iter().map(|group| (group.name.clone(), group.sums.requests)).collect();
        assert_eq!(found, expected, "{by:?}");
    }
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_stopped_and_the_next_one_is_not() {
    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let (_folder, db) = world(&[call(1)]).await;
    // As many as there are connections, so that a limit left behind on one would show.
    for _ in 0..4 {
        let mut reader = db.bounded_reader(Duration::from_millis(20)).await.unwrap();
        let stopped = sqlx::query(ENDLESS).execute(reader.connection()).await.map_err(bounded);
        assert!(matches!(stopped, Err(StorageError::TooSlow)), "{stopped:?}");
    }
    for _ in 0..8 {
        let reader = db.bounded_reader(Duration::from_millis(20)).await.unwrap();
        reader.finish().await.unwrap();
        assert_eq!(found(&db, UsageFilter::default()).await, [1]);
    }
}
