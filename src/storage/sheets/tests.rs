//! Sums from rows, sheets and days against sums that are made of the calls themselves.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::{
    model::{
        id::{ChannelId, KeyId, RequestId, TokenId},
        secret::Secret,
        time::{Clock, UnixMs},
        usage::{Attempt, CallResult, Endpoint, OutcomeClass, TokenCounts, UsageRecord},
    },
    storage::{
        Db,
        migrate::MIGRATIONS,
        recording::tests::{all_sums, number, open, record},
        rollups::{BUCKET_MS, Histogram, bucket_of},
        usage_query::{
            ResultFilter, UsageFilter,
            report::{Apart, GroupBy, GroupName, Question, Sums, UsageReport},
            steps::{Step, Steps},
        },
        vault::Vault,
    },
};

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Three days before clocks go back in Berlin.
const START: i64 = 1_792_627_200_000;
const DAYS: i64 = 6;

fn call(numbers: &mut Numbers, n: u32) -> UsageRecord {
    let at = UnixMs(START + numbers.below(DAYS as u64 * 86_400_000) as i64);
    let results = [CallResult::Ok, CallResult::Ok, CallResult::Timeout, CallResult::NoChannel];
    let result = results[numbers.below(4) as usize];
    let reached = result != CallResult::NoChannel;
    let channel = ChannelId(1 + numbers.below(3) as i64);
    let model = ["Llama", "llama", "gpt-5", "mistral"][numbers.below(4) as usize];
    let attempt = |key: u64, class| Attempt {
        channel_id: channel,
        key_id: KeyId(key as i64),
        model: model.to_ascii_lowercase(),
        class,
        started_ms: 1_200_000,
        ..record(1).attempts[0].clone()
    };
    let mut attempts = Vec::new();
    if reached {
        if numbers.below(3) == 0 {
            attempts.push(attempt(1 + numbers.below(5), OutcomeClass::RateLimited));
        }
        let class = if result == CallResult::Ok { OutcomeClass::Success } else { OutcomeClass::HostError };
        attempts.push(attempt(1 + numbers.below(5), class));
    }
    UsageRecord {
        request_id: RequestId(uuid::Uuid::from_u128(u128::from(n))),
        at,
        token_id: TokenId(1 + numbers.below(3) as i64),
        channel_id: reached.then_some(channel),
        key_id: attempts.last().map(|attempt| attempt.key_id),
        asked_model: if reached { model.into() } else { format!("made-up-{}", numbers.below(3)) },
        served_model: reached.then(|| model.to_ascii_lowercase()),
        endpoint: [Endpoint::Chat, Endpoint::Embeddings][numbers.below(2) as usize],
        status: if result == CallResult::Ok { 200 } else { 502 },
        result,
        queue_ms: numbers.below(3) as u32 * 70,
        first_token_ms: (numbers.below(3) > 0).then(|| numbers.below(9000) as u32),
        total_ms: numbers.below(90_000) as u32,
        tokens: TokenCounts {
            prompt: numbers.below(100_000),
            completion: numbers.below(300),
            cached: numbers.below(2) * 70_000,
            reasoning: numbers.below(2),
        },
        estimated: numbers.below(4) == 0,
        cost_micros: numbers.below(9) as i64,
        client_kind: ["curl", "openclaw"][numbers.below(2) as usize].into(),
        attempts,
        ..record(n)
    }
}

/// What a call adds to sums, worked out from the call itself.
fn sums_of(call: &UsageRecord) -> Sums {
    let mut sums =
        Sums { requests: 1, tokens: call.tokens, cost_micros: call.cost_micros, ..Sums::default() };
    let retried = call.attempts.len() > 1;
    if call.result == CallResult::Ok {
        (sums.ok, sums.ok_at_once) = (1, i64::from(!retried));
    } else {
        sums.failures = BTreeMap::from([(call.result, 1)]);
    }
    (sums.retried, sums.estimated) = (i64::from(retried), i64::from(call.estimated));
    sums.queue_ms = i64::from(call.queue_ms);
    let one = |ms: u32| {
        let mut histogram = Histogram::default();
        histogram.add(ms);
        histogram
    };
    (sums.queue, sums.total) = (one(call.queue_ms), one(call.total_ms));
    sums.first_token = call.first_token_ms.map(one).unwrap_or_default();
    sums
}

fn all<'a>(calls: impl IntoIterator<Item = &'a UsageRecord>) -> Sums {
    let mut sums = Sums::default();
    calls.into_iter().for_each(|call| sums.merge(&sums_of(call)));
    sums
}

fn group_of(by: GroupBy, call: &UsageRecord) -> String {
    match by {
        GroupBy::Token => call.token_id.to_string(),
        GroupBy::Channel => call.channel_id.map_or("none".into(), |id| id.to_string()),
        GroupBy::Key => call.key_id.map_or("none".into(), |id| id.to_string()),
        GroupBy::Model => call.asked_model.to_ascii_lowercase(),
        GroupBy::Upstream => call.served_model.clone().unwrap_or("none".into()),
        GroupBy::Endpoint => call.endpoint.as_str().into(),
        GroupBy::Client => call.client_kind.clone(),
        GroupBy::Status => call.status.to_string(),
    }
}

fn name_of(name: &GroupName) -> String {
    match name {
        GroupName::None => "none".into(),
        GroupName::Token(token) => token.id.to_string(),
        GroupName::Channel(channel) => channel.id.to_string(),
        GroupName::Key(key, _) => key.id.to_string(),
        GroupName::Model(text) => text.to_ascii_lowercase(),
        GroupName::Upstream(text) | GroupName::Endpoint(text) | GroupName::Client(text) => text.clone(),
        GroupName::Status(status) => status.to_string(),
        GroupName::Others => "others".into(),
    }
}

/// Fails unless a report of a random period says what the calls say.
async fn check(db: &Db, numbers: &mut Numbers, calls: &[UsageRecord], zone: &TimeZone) {
    let by = GroupBy::ALL[numbers.below(GroupBy::ALL.len() as u64) as usize];
    let mut border = || {
        // Often a local midnight, since days begin there.
        let at = UnixMs(START + numbers.below((DAYS + 1) as u64 * 86_400_000) as i64);
        match numbers.below(3) {
            0 => None,
            1 => at.zoned(zone).start_of_day().ok().map(|day| UnixMs(day.timestamp().as_millisecond())),
            _ => Some(at),
        }
    };
    let (from, to) = (border(), border());
    let mut filter = UsageFilter { from, to, ..UsageFilter::default() };
    match numbers.below(8) {
        0 => filter.token = Some(TokenId(2)),
        1 => filter.channel = Some(ChannelId(2)),
        2 => filter.result = Some(ResultFilter::Failed),
        3 => filter.model = Some("L*a".into()),
        _ => {}
    }
    let found: Vec<&UsageRecord> = calls
        .iter()
        .filter(|call| {
            let at = bucket_of(call.at);
            from.is_none_or(|from| at >= bucket_of(from))
                && to.is_none_or(|to| at < bucket_of(to))
                && filter.token.is_none_or(|token| token == call.token_id)
                && filter.channel.is_none_or(|channel| Some(channel) == call.channel_id)
                && (filter.result.is_none() || call.result != CallResult::Ok)
                && (filter.model.is_none() || call.asked_model.eq_ignore_ascii_case("llama"))
        })
        .collect();
    let mut question = Question::new(filter.clone(), by);
    let step = Step::ALL[numbers.below(4) as usize];
    let first = from.unwrap_or(UnixMs(START));
    question.steps = Some(Steps::new(step, first, to.unwrap_or(UnixMs(START + DAYS * 86_400_000)), zone));
    question.series_groups = 2;
    let report = db.usage_report(&question).await.unwrap();
    let place = format!("{by:?} {step:?} {filter:?}");
    assert_eq!(report.sums, all(found.iter().copied()), "{place}");
    let mut groups: BTreeMap<String, Vec<&UsageRecord>> = BTreeMap::new();
    for call in &found {
        groups.entry(group_of(by, call)).or_default().push(call);
    }
    let said: BTreeMap<String, Sums> = report
        .groups
        .iter()
        .filter(|group| group.sums.requests > 0)
        .map(|group| (name_of(&group.name), group.sums.clone()))
        .collect();
    let expected: BTreeMap<String, Sums> =
        groups.iter().map(|(name, calls)| (name.clone(), all(calls.iter().copied()))).collect();
    assert_eq!(said, expected, "{place}");
    check_series(&report, &found, by, &place);
    if let Some(attempts) = report.groups.first().and_then(|group| group.attempts.as_ref()) {
        assert!(attempts.all() >= 0);
        let all: i64 = report.groups.iter().filter_map(|group| Some(group.attempts.as_ref()?.all())).sum();
        let began = |call: &UsageRecord| bucket_of(UnixMs(call.at.0 + 1_200_000));
        let expected: usize = calls
            .iter()
            .filter(|call| {
                from.is_none_or(|from| began(call) >= bucket_of(from))
                    && to.is_none_or(|to| began(call) < bucket_of(to))
                    && filter.channel.is_none_or(|channel| Some(channel) == call.channel_id)
            })
            .map(|call| call.attempts.len())
            .sum();
        assert_eq!(all as usize, expected, "{place}");
    }
}

fn check_series(report: &UsageReport, found: &[&UsageRecord], by: GroupBy, place: &str) {
    let series = report.series.as_ref().unwrap();
    let own: Vec<String> = series.groups.iter().map(|group| name_of(&group.name)).collect();
    for (step, whole) in series.whole.iter().enumerate() {
        let of_step: Vec<&UsageRecord> =
            found.iter().copied().filter(|call| series.steps.index_of(bucket_of(call.at)) == step).collect();
        assert_eq!(whole, &all(of_step.iter().copied()), "{place} step {step}");
        for (name, group) in own.iter().zip(&series.groups) {
            let of_group = of_step.iter().copied().filter(|call| match name.as_str() {
                "others" => !own.contains(&group_of(by, call)),
                name => group_of(by, call) == name,
            });
            assert_eq!(group.points[step], all(of_group), "{place} step {step} {name}");
        }
    }
}

#[tokio::test]
async fn every_sum_of_every_period_is_that_of_the_calls_wherever_they_are_kept() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let other = TimeZone::get("Asia/Kolkata").unwrap();
    for seed in 1..=6 {
        let mut numbers = Numbers(seed);
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let (mut calls, mut next, mut gone) = (Vec::new(), 1, 0);
        for _ in 0..14 {
            match numbers.below(6) {
                // New rows; their calls arrived at any time, so most are late.
                0 | 1 => {
                    let more: Vec<_> =
                        (0..numbers.below(40)).map(|n| call(&mut numbers, next + n as u32)).collect();
                    next += more.len() as u32;
                    db.insert_usage(&more).await.unwrap();
                    // What is repeated changes nothing.
                    db.insert_usage(&more[more.len() / 2..]).await.unwrap();
                    calls.extend(more);
                }
                2 | 3 => {
                    db.fold_usage(1 + numbers.below(50) as u32).await.unwrap();
                }
                4 => {
                    let zone = if numbers.below(3) == 0 { &other } else { &berlin };
                    let now = UnixMs(START + numbers.below((DAYS + 2) as u64) as i64 * 86_400_000);
                    while db.sum_up_day(now, zone).await.unwrap() {}
                }
                _ => gone += db.delete_usage_before(UnixMs(START + 3 * 86_400_000), 10).await.unwrap(),
            }
            for _ in 0..6 {
                let zone = if numbers.below(4) == 0 { &other } else { &berlin };
                check(&db, &mut numbers, &calls, zone).await;
            }
        }
        assert_eq!(number(&db, "SELECT COUNT(*) FROM usage").await as u64 + gone, calls.len() as u64);
        assert_eq!(
            number(&db, "SELECT COUNT(*) FROM attempts WHERE usage_id NOT IN (SELECT id FROM usage)").await,
            0
        );
    }
}

#[tokio::test]
async fn a_late_row_of_a_day_that_is_summed_up_counts_there_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path()).await;
    let day = UnixMs(START);
    let at = |n: u32| UsageRecord { at: UnixMs(day.0 + i64::from(n) * BUCKET_MS), ..record(n) };
    db.insert_usage(&[at(1), at(2)]).await.unwrap();
    let sum_up = async || {
        db.fold_usage(100).await.unwrap();
        while db.sum_up_day(UnixMs(day.0 + 86_400_000), &TimeZone::UTC).await.unwrap() {}
    };
    sum_up().await;
    let days = "SELECT COUNT(*) FROM day_sums";
    assert_eq!(number(&db, days).await, 12);
    db.insert_usage(&[at(3)]).await.unwrap();
    assert_eq!(all_sums(&db).await.requests, 3);
    db.fold_usage(100).await.unwrap();
    assert_eq!((all_sums(&db).await.requests, number(&db, days).await), (3, 0));
    sum_up().await;
    assert_eq!((all_sums(&db).await.requests, number(&db, days).await), (3, 12));
}

/// A database of the version before sheets, with rows, and with sums that go further back than the rows.
async fn old_database(path: &std::path::Path) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let before = MIGRATIONS.iter().filter(|migration| migration.version < 22).cloned().collect::<Vec<_>>();
    let mut migrator = sqlx::migrate::Migrator::with_migrations(before);
    migrator.set_ignore_missing(true);
    migrator.run(&pool).await.unwrap();
    let vault = Vault::new(&Secret::new("0123456789abcdef"));
    sqlx::query("INSERT INTO meta (name, value) VALUES ('canary', $1)")
        .bind(vault.canary())
        .execute(&pool)
        .await
        .unwrap();
    for sql in [
        "INSERT INTO usage (id, request_id, at, token_id, channel_id, key_id, asked_model, served_model, endpoint, stream,
            status, result, error_code, queue_ms, first_token_ms, total_ms, prompt_tokens, completion_tokens, cached_tokens,
            reasoning_tokens, estimated, cost_micros, client_address, client_kind, trace_id, attempt_count, units)
         VALUES (7, '019a0000-0000-7000-8000-00000000000a', 1800000000001, 1, 2, 3, 'Llama', 'llama', 'chat', 1, 200, 'ok',
            NULL, 0, 120, 900, 10, 20, 0, 0, 0, 5, '127.0.0.1', 'curl', '0af7651916cd43dd8448eb211c80319c', 2, NULL),
                (9, '019a0000-0000-7000-8000-00000000000b', 1800000000002, 1, NULL, NULL, 'nobody-has-it', NULL, 'chat', 0,
            404, 'no_channel', 'model_not_found', 0, NULL, 3, 0, 0, 0, 0, 0, 0, '::1', 'other', NULL, 0, '{\"images\":1}')",
        "INSERT INTO attempts (usage_id, position, channel_id, key_id, model, started_ms, first_byte_ms, duration_ms, status,
            class, detail, waited_ms, waited_for, model_fault)
         VALUES (7, 0, 2, 4, 'llama', 1, NULL, 30, 429, 'rate_limited', 'slow down', 0, NULL, NULL),
                (7, 1, 2, 3, 'llama', 40, 70, 800, 200, 'success', '', 9, 'limit', NULL)",
        "INSERT INTO rollups VALUES
            (1799999100000, 1, 2, 3, 'Llama', 'llama', 'chat', 'curl', 1, 200, 'ok', 1, 1, 0, 10, 20, 0, 0, 5, 0,
                '{\"1\":1}', '{\"125\":1}', '{\"1000\":1}'),
            (1799999100000, 1, 0, 0, 'nobody-has-it', '', 'chat', 'other', 0, 404, 'no_channel', 1, 0, 0, 0, 0, 0, 0, 0, 0,
                '{\"1\":1}', '{}', '{\"3\":1}'),
            (1700000100000, 1, 2, 3, 'long-gone', 'long-gone', 'chat', 'curl', 1, 200, 'ok', 5, 2, 3, 100, 200, 30, 4, 50, 70,
                '{\"1\":3,\"40\":2}', '{\"125\":4}', '{\"1000\":5}')",
        "INSERT INTO attempt_rollups VALUES (1799999100000, 2, 4, 'llama', 'rate_limited', 1, 30),
            (1799999100000, 2, 3, 'llama', 'success', 1, 800), (1700000100000, 2, 3, 'long-gone', 'success', 7, 900)",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    pool.close().await;
}

#[tokio::test]
async fn a_database_of_an_older_version_keeps_its_rows_and_its_sums() {
    let folder = tempfile::tempdir().unwrap();
    old_database(&folder.path().join("onepool.db")).await;
    let vault = || Vault::new(&Secret::new("0123456789abcdef"));
    let path = folder.path().join("onepool.db");
    let db = Db::open(&path, vault(), Clock::system()).await.unwrap();
    let find = async |end: &str| {
        let id = format!("019a0000-0000-7000-8000-00000000000{end}").parse().unwrap();
        db.usage_find(id).await.unwrap().unwrap()
    };
    let (row, attempts) = find("a").await;
    assert_eq!((row.id, row.asked_model.as_str(), row.served_model.as_deref()), (7, "Llama", Some("llama")));
    assert_eq!(row.trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!((attempts.len(), attempts[0].detail.as_str(), attempts[1].waited_ms), (2, "slow down", 9));
    let (row, _) = find("b").await;
    assert_eq!((row.asked_model.as_str(), row.client_address.as_str()), ("nobody-has-it", "::1"));
    assert_eq!(
        (row.error_code.as_deref(), row.units.map(|units| units.images)),
        (Some("model_not_found"), Some(1))
    );

    for _ in 0..2 {
        let mut question = Question::new(UsageFilter::default(), GroupBy::Model);
        question.apart = Apart::Largest(10);
        let report = db.usage_report(&question).await.unwrap();
        let sums = &report.sums;
        assert_eq!((sums.requests, sums.ok, sums.ok_at_once, sums.retried, sums.estimated), (7, 6, 3, 3, 3));
        assert_eq!(
            (sums.tokens.prompt, sums.tokens.cached, sums.cost_micros, sums.queue_ms),
            (110, 30, 55, 70)
        );
        assert_eq!(
            (sums.first_token.count(), sums.total.count(), sums.queue.quantile(1.0)),
            (5, 7, Some(40))
        );
        let names: Vec<_> =
            report.groups.iter().map(|group| (name_of(&group.name), group.sums.requests)).collect();
        assert_eq!(names, [("long-gone".into(), 5), ("llama".into(), 1), ("nobody-has-it".into(), 1)]);
        let keys = db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Key)).await.unwrap();
        let attempts: i64 = keys.groups.iter().filter_map(|group| Some(group.attempts.as_ref()?.all())).sum();
        assert_eq!(attempts, 9);
        // From now on read from the sums of days.
        while db.sum_up_day(UnixMs(1_900_000_000_000), &TimeZone::UTC).await.unwrap() {}
    }
    let answers = db.last_answers(UnixMs(1_800_000_000_000)).await.unwrap();
    assert_eq!(
        answers.into_iter().collect::<Vec<_>>(),
        [((ChannelId(2), "llama".into()), UnixMs(1_799_999_100_000))]
    );
    db.insert_usage(&[record(1)]).await.unwrap();
    assert_eq!(all_sums(&db).await.requests, 8);
    assert_eq!(db.fold_usage(100).await.unwrap(), 1, "what was there is in the sums already");
    assert_eq!(all_sums(&db).await.requests, 8);
    db.close().await;
    let again = Db::open(&path, vault(), Clock::system()).await.unwrap();
    assert_eq!(all_sums(&again).await.requests, 8);
}
