//! Makes a large pool: channels, keys, models, tokens, and a year of calls, all by the program's own functions. The same
//! numbers give the same pool, but for the time at which the year ends.

use std::{net::SocketAddr, path::Path, time::Duration};

use jiff::tz::TimeZone;
use onepool::{
    model::{
        capture::{CapturedCall, LENGTH},
        chain::{Chain, ChainStep},
        channel::{ChannelModel, Price},
        id::{ChainId, ChannelId, KeyId, RequestId, TokenId},
        key::PastedKey,
        notice::{EventKind, NewTarget, Policy, Transport, Webhook},
        price::OwnPrice,
        probe::{ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        secret::{Secret, SecretHash},
        time::{Clock, UnixMs},
        token::{AtLimit, Quota, QuotaReset, QuotaUnit, WarnLevels},
        usage::{
            Attempt, CallResult, Endpoint, ModelFault, OutcomeClass, TokenCounts, UsageRecord, WaitReason,
        },
    },
    provider::listing::{Listing, ModelFacts},
    storage::{
        Db,
        channels::NewChannel,
        password,
        ranking::{MOST_MODELS, ManagedChain},
        tokens::NewToken,
        vault::Vault,
    },
};

use crate::server::{COOKIE, MASTER_KEY, now};

pub const CHANNELS: u64 = 200;
pub const KEYS: u64 = 2000;
pub const MODELS: u64 = 5000;
const TOKENS: u64 = 100;
const CHAINS: u64 = 10;
const TARGETS: u64 = 8;
/// Of one in four tokens, one in five keys and one in ten channels; never used up here.
const BUDGET: Quota = Quota {
    unit: QuotaUnit::Dollars,
    limit: 1_000_000_000_000,
    reset: QuotaReset::Month,
    warn_at: WarnLevels::NONE,
    at_limit: AtLimit::Stop,
};
const YEAR_MS: i64 = 365 * 86_400_000;
/// Rows in a transaction, as the recorder writes them.
const BATCH: usize = 1000;

/// Numbers that look random (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `bound`, the `n`th about `n` times as rarely as the first.
    fn zipf(&mut self, bound: u64) -> u64 {
        let place = ((bound + 1) as f64).powf(self.unit()) as u64;
        place.clamp(1, bound) - 1
    }

    /// Around a number of milliseconds or tokens, sometimes far above.
    fn around(&mut self, middle: u32) -> u32 {
        (f64::from(middle) * (self.unit() * 2.0 - 1.0).mul_add(1.2, 0.0).exp()) as u32
    }
}

/// The name of a model; each is offered by one channel.
pub fn model_name(model: u64) -> String {
    format!("vendor-{}/model-{model:04}-of-a-usual-length", model % 40)
}

fn channel_of(model: u64) -> u64 {
    model % CHANNELS
}

/// Opens (or creates) the database of a folder.
pub async fn open(folder: &Path) -> Db {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("a data folder");
    let vault = Vault::new(&Secret::new(MASTER_KEY));
    Db::open(&data.join("onepool.db"), vault, Clock::system()).await.expect("a database")
}

/// Lets every model into the managed chains, with what its calls and two probes have shown.
pub async fn ranking(db: &Db) {
    for chain in db.managed_chains().await.expect("chains") {
        let wide = ManagedChain { enabled: true, free_only: false, most_models: MOST_MODELS, ..chain };
        db.update_managed_chain(&wide).await.expect("a chain");
    }
    // Each time some of the calls of the last week.
    for _ in 0..10 {
        db.note_model_signs(db.now()).await.expect("signs");
    }
    let probe = |model: u64, kind: ProbeKind| ProbeResult {
        channel: ChannelId(channel_of(model) as i64 + 1),
        model: model_name(model),
        kind,
        verdict: ProbeVerdict::Ok,
        at: db.now(),
        duration_ms: 900,
        first_token_ms: Some(200 + (model % 900) as u32),
        tokens_per_second: Some(20 + (model % 70) as u32),
        detail: "\"ok\"".to_owned(),
        source: ProbeSource::Probe,
    };
    let probes: Vec<ProbeResult> = (0..MODELS)
        .flat_map(|model| [probe(model, ProbeKind::Stream), probe(model, ProbeKind::Tools)])
        .collect();
    for some in probes.chunks(BATCH) {
        db.save_probes(some).await.expect("probes");
    }
}

/// The value of token 1.
pub fn token_value(token: u64) -> Secret {
    Secret::new(format!("sk-bench{token:040}"))
}

/// The pool without calls.
pub async fn pool(db: &Db, upstream: SocketAddr) {
    let user =
        db.create_account("admin", &password::hash("bench, not a secret"), false).await.expect("an account");
    db.create_session(user, &SecretHash::of(COOKIE), "127.0.0.1", "bench", db.now())
        .await
        .expect("a session");
    for channel in 0..CHANNELS {
        let models = (0..MODELS).filter(|model| channel_of(*model) == channel);
        let offered =
            models.clone().map(|model| ChannelModel { name: model_name(model), ..ChannelModel::default() });
        let new = NewChannel {
            name: format!("Channel {channel:03}"),
            provider: "openrouter".into(),
            base_url: format!("http://{upstream}/{channel}"),
            allow_private: true,
            enabled: true,
            weight: 1,
            models: offered.collect(),
            budget: (channel % 10 == 1).then_some(BUDGET),
            ..NewChannel::default()
        };
        let id = db.create_channel(&new).await.expect("a channel");
        let key = |key: u64| PastedKey {
            label: format!("Key {key} of {channel}"),
            secret: Secret::new(format!("sk-upstream-{channel}-{key}")),
            quota_group: None,
            limits: Vec::new(),
            budget: (key % 5 == 1).then_some(BUDGET),
        };
        let keys: Vec<PastedKey> = (0..KEYS / CHANNELS).map(key).collect();
        db.add_keys(id, &keys).await.expect("keys");
        let listed = models.map(|model| ModelFacts { id: model_name(model), ..ModelFacts::default() });
        let listing = Listing { models: listed.collect(), ..Listing::default() };
        db.save_listing(id, &listing, db.now()).await.expect("a list");
    }
    for token in 0..TOKENS {
        let quota = (token % 4 == 1).then_some(BUDGET);
        let new = NewToken { quota, ..NewToken::unlimited(format!("Token {token:02}"), token_value(token)) };
        db.create_token(&new).await.expect("a token");
    }
    for chain in 0..CHAINS {
        let steps = (chain..MODELS).step_by(200).map(|model| ChainStep::new(model_name(model))).collect();
        // The id does not count.
        let new = Chain { id: ChainId(0), name: format!("chain-{chain:02}"), enabled: true, steps };
        db.create_chain(&new).await.expect("a chain");
    }
    for model in (0..MODELS).step_by(50) {
        let price = Price { input: 500_000, cached: Some(50_000), output: 1_500_000, reasoning: None };
        let own =
            OwnPrice { model: model_name(model), provider: None, price: Some(price), unit_prices: None };
        db.save_own_price(&own).await.expect("a price");
    }
    for target in 0..TARGETS {
        let url = Secret::new(format!("http://{upstream}/hooks/{target}"));
        let new = NewTarget {
            name: format!("Webhook {target}"),
            // Nothing is sent.
            enabled: false,
            kinds: EventKind::ALL.to_vec(),
            language: "en".into(),
            policy: Policy::default(),
            allow_private: true,
            transport: Transport::Webhook(Webhook { url, header: None }),
        };
        db.create_notice_target(&new).await.expect("a notification");
    }
    set(db, 400).await;
}

/// Captures the calls of a token from now on; one of them, of a usual length, is there.
pub async fn capture(db: &Db, folder: &Path, token: TokenId, call: RequestId) {
    // One may be left from the run before.
    for capture in db.captures().await.expect("captures") {
        db.end_capture(capture.token_id).await.expect("no capture");
    }
    db.start_capture(token, *LENGTH.end(), "bench").await.expect("a capture");
    let text = "All work and no play makes a benchmark a dull program. ".repeat(400);
    let captured = CapturedCall {
        request: format!("{{\"messages\": [{{\"role\": \"user\", \"content\": \"{text}\"}}]}}"),
        request_bytes: text.len() as u64,
        status: 200,
        answer: text.clone(),
        answer_bytes: text.len() as u64,
        text,
        whole: true,
        ..CapturedCall::default()
    };
    db.capture_folder(&folder.join("data")).save(token, call, &captured).expect("a captured call");
}

/// Keeps calls for so many days; nothing runs by the clock that asks upstreams.
pub async fn set(db: &Db, retention_days: u32) {
    let settings = [
        ("RETENTION_DAYS", retention_days),
        ("DISCOVERY_EVERY_HOURS", 0),
        ("PROBE_EVERY_HOURS", 0),
        ("BACKUP_EVERY_HOURS", 0),
    ];
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
    db.save_settings(&settings).await.expect("settings");
}

/// A year of calls, in the order in which they ended.
pub async fn calls(db: &Db, rows: u64) {
    let (began, start) = (now(), db.now().0 - YEAR_MS);
    let mut numbers = Numbers(42);
    let mut trace = (0, String::new());
    let mut batch = Vec::with_capacity(BATCH);
    let mut writing = Duration::ZERO;
    for row in 0..rows {
        let at = start + (i128::from(row) * i128::from(YEAR_MS) / i128::from(rows)) as i64;
        batch.push(call(&mut numbers, &mut trace, row, UnixMs(at)));
        if batch.len() == BATCH || row + 1 == rows {
            let begin = now();
            db.insert_usage(&batch).await.expect("rows");
            writing += now() - begin;
            batch.clear();
        }
        if row % 20_000 == 19_999 {
            while db.fold_usage(20_000).await.expect("sheets") == 20_000 {}
        }
        if row % 1_000_000 == 999_999 {
            println!("{:>9} rows after {:.0} s", row + 1, (now() - began).as_secs_f64());
        }
    }
    while db.fold_usage(20_000).await.expect("sheets") > 0 {}
    while db.sum_up_day(db.now(), &TimeZone::UTC).await.expect("the sums of a day") {}
    println!(
        "{rows} rows in {:.0} s, of which {:.1} us per row to insert it",
        (now() - began).as_secs_f64(),
        writing.as_secs_f64() * 1e6 / rows as f64
    );
    db.checkpoint().await.expect("a checkpoint");
}

fn call(numbers: &mut Numbers, trace: &mut (u32, String), row: u64, at: UnixMs) -> UsageRecord {
    // Popular models are spread over all channels.
    let model = numbers.zipf(MODELS) * 2311 % MODELS;
    let channel = channel_of(model);
    let key = |numbers: &mut Numbers| {
        KeyId((channel * (KEYS / CHANNELS) + numbers.zipf(KEYS / CHANNELS)) as i64 + 1)
    };
    let channel_id = ChannelId(channel as i64 + 1);
    let stream = numbers.chance(60);
    let first_ms = 80 + numbers.around(400);
    let total_ms = first_ms + numbers.around(if stream { 4000 } else { 800 });
    let attempt = |key_id: KeyId, class: OutcomeClass| {
        let failed = class != OutcomeClass::Success;
        Attempt {
            channel_id,
            key_id,
            model: model_name(model),
            waited_ms: 0,
            waited_for: None,
            started_ms: 1,
            first_byte_ms: (!failed).then_some(first_ms),
            duration_ms: if failed { 120 } else { total_ms },
            status: Some(match class {
                OutcomeClass::Success => 200,
                OutcomeClass::RateLimited => 429,
                _ => 503,
            }),
            class,
            model_fault: (class == OutcomeClass::HostError).then_some(ModelFault::Failed),
            detail: if failed { "HTTP 429: Rate limit reached for requests".into() } else { String::new() },
        }
    };
    let failed = numbers.chance(5);
    let second = numbers.chance(10);
    let mut attempts = Vec::new();
    if second {
        attempts.push(attempt(key(numbers), OutcomeClass::RateLimited));
    }
    attempts
        .push(attempt(key(numbers), if failed { OutcomeClass::HostError } else { OutcomeClass::Success }));
    if second && numbers.chance(30) {
        attempts[1].waited_ms = numbers.around(900);
        attempts[1].waited_for = Some(WaitReason::Limit);
    }
    // A tenth of the calls are an agent's, some of them in one turn.
    let trace_id = numbers.chance(10).then(|| {
        if trace.0 == 0 {
            *trace = (1 + numbers.below(8) as u32, format!("{:016x}{:016x}", numbers.next(), numbers.next()));
        }
        trace.0 -= 1;
        trace.1.clone()
    });
    let kinds = ["openai-python", "openai-node", "openclaw", "curl", "langchain", "python", "other"];
    let random: [u8; 10] = {
        let (one, other) = (numbers.next().to_le_bytes(), row.to_le_bytes());
        std::array::from_fn(|place| if place < 5 { one[place] } else { other[place - 5] })
    };
    UsageRecord {
        request_id: RequestId(
            uuid::Builder::from_unix_timestamp_millis(at.0.unsigned_abs(), &random).into_uuid(),
        ),
        at,
        token_id: TokenId(numbers.zipf(TOKENS) as i64 + 1),
        channel_id: Some(channel_id),
        key_id: attempts.last().map(|attempt| attempt.key_id),
        asked_model: model_name(model),
        served_model: Some(model_name(model)),
        endpoint: if numbers.chance(92) { Endpoint::Chat } else { Endpoint::Embeddings },
        stream,
        status: if failed { 502 } else { 200 },
        result: if failed { CallResult::UpstreamError } else { CallResult::Ok },
        error_code: failed.then(|| "upstream_error".into()),
        queue_ms: attempts.iter().map(|attempt| attempt.waited_ms).sum(),
        first_token_ms: (!failed).then_some(first_ms),
        total_ms: attempts.iter().map(|attempt| attempt.waited_ms + attempt.duration_ms).sum(),
        tokens: TokenCounts {
            prompt: u64::from(numbers.around(1800)),
            completion: if failed { 0 } else { u64::from(numbers.around(300)) },
            cached: if numbers.chance(30) { u64::from(numbers.around(900)) } else { 0 },
            reasoning: if numbers.chance(15) { u64::from(numbers.around(200)) } else { 0 },
        },
        estimated: numbers.chance(3),
        units: None,
        cost_micros: i64::from(numbers.around(1200)),
        saved_micros: i64::from(numbers.around(1200)),
        client_address: format!("10.{}.{}.{}", numbers.zipf(4), numbers.zipf(16), numbers.zipf(200)),
        client_kind: kinds[numbers.zipf(kinds.len() as u64) as usize].into(),
        client_version: None,
        trace_id,
        quota_unit: None,
        quota_charge: 0,
        quota_period: UnixMs(0),
        charges: Vec::new(),
        attempts,
    }
}
