//! The page, without a server.

use super::*;
use crate::model::{
    id::{ChannelId, RequestId, TokenId},
    time::UnixMs,
    usage::{CallResult, Endpoint, TokenCounts, UsageRecord},
};

fn names<'a>(channels: impl IntoIterator<Item = (i64, &'a str)>) -> BTreeMap<ChannelId, String> {
    channels.into_iter().map(|(id, name)| (ChannelId(id), name.to_owned())).collect()
}

/// The samples of counters by channel.
fn counters(tally: &Tally, names: &BTreeMap<ChannelId, String>) -> BTreeMap<String, f64> {
    let page = page(tally, &Standing::default(), || names.clone());
    let families =
        ["onepool_channel_requests_", "onepool_attempts_", "onepool_tokens_", "onepool_cost_dollars_"];
    let lines = page.lines().filter(|line| families.iter().any(|family| line.starts_with(family)));
    let samples = lines.filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

/// A call that each of these channels has served.
fn call(tally: &Tally, channels: impl IntoIterator<Item = i64>) {
    let row = |id| UsageRecord {
        request_id: RequestId(uuid::Uuid::nil()),
        at: UnixMs(0),
        token_id: TokenId(1),
        channel_id: Some(ChannelId(id)),
        key_id: None,
        asked_model: "m".into(),
        served_model: None,
        endpoint: Endpoint::Chat,
        stream: false,
        status: 200,
        result: CallResult::Ok,
        error_code: None,
        queue_ms: 0,
        first_token_ms: None,
        total_ms: 9,
        tokens: TokenCounts { prompt: 10, completion: 5, cached: 4, reasoning: 1 },
        estimated: false,
        units: None,
        cost_micros: 7,
        saved_micros: 0,
        client_address: "127.0.0.1".into(),
        client_kind: "curl".into(),
        client_version: None,
        trace_id: None,
        quota_unit: None,
        quota_charge: 0,
        quota_period: UnixMs(0),
        charges: vec![],
        attempts: vec![],
    };
    tally.count(&channels.into_iter().map(row).collect::<Vec<_>>());
}

#[test]
fn no_counter_falls_when_channels_are_deleted_renamed_or_made_anew() {
    let all: Vec<(i64, String)> = (1..=250).map(|id| (id, format!("c{id}"))).collect();
    let mut channels = names(all.iter().map(|(id, name)| (*id, name.as_str())));
    let tally = Tally::new(UnixMs(0));
    call(&tally, (1..=250).chain([900]));
    let mut before = counters(&tally, &channels);
    let requests =
        |channel: &str| format!("onepool_channel_requests_total{{channel=\"{channel}\",result=\"ok\"}}");
    let count = |samples: &BTreeMap<String, f64>, channel: &str| samples.get(&requests(channel)).copied();
    assert_eq!((count(&before, "c200"), count(&before, "c201")), (Some(1.0), None));
    assert_eq!((count(&before, "other"), count(&before, "deleted")), (Some(50.0), Some(1.0)));
    let mut then = |change: &mut dyn FnMut(&mut BTreeMap<ChannelId, String>)| {
        change(&mut channels);
        for calls in [false, true] {
            if calls {
                call(&tally, channels.keys().map(|id| id.0));
            }
            let after = counters(&tally, &channels);
            for (name, value) in std::mem::replace(&mut before, after.clone()) {
                assert!(
                    after.get(&name).is_some_and(|now| *now >= value),
                    "{name} was {value}, is {:?}",
                    after.get(&name)
                );
            }
        }
        before.clone()
    };
    let after = then(&mut |channels| drop(channels.remove(&ChannelId(7))));
    assert_eq!(
        (count(&after, "c7"), count(&after, "deleted")),
        (Some(1.0), Some(1.0)),
        "it keeps its series"
    );
    assert_eq!((count(&after, "other"), count(&after, "c201")), (Some(100.0), None), "nobody moves up");
    // Two channels change their names, and a new one has the id of a deleted one.
    let after = then(&mut |channels| {
        channels.insert(ChannelId(1), "c2".to_owned());
        channels.insert(ChannelId(2), "c1".to_owned());
        channels.insert(ChannelId(7), "new".to_owned());
        channels.insert(ChannelId(900), "c3".to_owned());
    });
    assert_eq!((count(&after, "c1"), count(&after, "c2")), (Some(3.0), Some(3.0)));
    assert_eq!((count(&after, "c7"), count(&after, "c3")), (Some(1.0), Some(4.0)));
    assert_eq!((count(&after, "deleted"), count(&after, "other")), (Some(1.0), Some(151.0)));
}

#[test]
fn a_channel_that_is_renamed_gets_a_series_of_its_own_from_then_on() {
    let tally = Tally::new(UnixMs(0));
    call(&tally, [1, 1]);
    counters(&tally, &names([(1, "old")]));
    call(&tally, [1]);
    let after = counters(&tally, &names([(1, "new")]));
    let cost = |channel: &str| after.get(&format!("onepool_cost_dollars_total{{channel=\"{channel}\"}}"));
    assert_eq!((cost("old"), cost("new")), (Some(&0.000_021), None));
    call(&tally, [1]);
    let after = counters(&tally, &names([(1, "new")]));
    let of = |channel: &str| after[&format!("onepool_cost_dollars_total{{channel=\"{channel}\"}}")];
    assert_eq!((of("old"), of("new")), (0.000_021, 0.000_007));
}

#[test]
fn channels_beyond_the_bound_share_a_label() {
    let all: Vec<(i64, String)> = (1..=250).map(|id| (id, format!("c{id}"))).collect();
    let mut standing = Standing::default();
    for id in 1..=250 {
        standing.keys.insert(ChannelId(id), KeyStates { available: 2, ..KeyStates::default() });
    }
    let page = page(&Tally::new(UnixMs(1_500)), &standing, || {
        names(all.iter().map(|(id, name)| (*id, name.as_str())))
    });
    assert_eq!(page.matches("onepool_keys{").count(), 201 * 5);
    assert!(page.contains("onepool_keys{channel=\"other\",state=\"available\"} 100\n"), "{page}");
    assert!(page.contains("\nprocess_start_time_seconds 1.500\n"));
}

#[test]
fn a_name_with_quotes_and_line_breaks_stays_one_label() {
    let mut standing = Standing::default();
    standing.keys.insert(ChannelId(1), KeyStates::default());
    let page = page(&Tally::new(UnixMs(0)), &standing, || names([(1, "a\"b\\c\nd 渠道")]));
    assert!(page.contains(r#"onepool_keys{channel="a\"b\\c\nd 渠道",state="off"} 0"#), "{page}");
}

#[test]
fn every_metric_of_the_page_is_in_the_table_and_every_one_of_the_table_on_the_page() {
    let standing = Standing { process: Some(Process::default()), ..Standing::default() };
    let page = page(&Tally::new(UnixMs(0)), &standing, BTreeMap::new);
    let told: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let named: Vec<&str> = TABLE.iter().map(|family| family.name).collect();
    assert_eq!(told, named);
}
