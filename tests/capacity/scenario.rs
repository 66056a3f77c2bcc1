//! One measurement: three keys whose limits a real listener enforces, the real program before them, and calls that come
//! when they are due, whatever became of those before.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    figures::{End, Figures, Outcome, Refused},
    ideal,
    server::Folder,
    support::{
        app::{self, Reply, TOKEN},
        upstream::{KeyRules, KeyState, Upstream, Windows},
    },
};

/// Each key's limit, and for how long calls come.
pub const PER_MINUTE: u64 = 40;
pub const LOAD: Duration = Duration::from_secs(180);
const MINUTE: Duration = Duration::from_secs(60);
const BURST: u64 = 60;

/// How long the fake upstream thinks before it answers.
pub const ANSWER: Duration = Duration::from_millis(150);

/// How long a plain call and a stream wait in line unless the operator says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
const STREAM_PATIENCE: Duration = Duration::from_secs(120);

/// When each key's fixed windows begin, in milliseconds after the load does.
const PHASES: [i64; 3] = [7_300, 23_000, 41_900];

/// Which windows are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    Rolling,
    Fixed,
}

/// How calls come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    Evenly,
    Bursts,
}

/// What happens in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Nothing,
    /// The program is killed and started again, more than once.
    Kill,
    /// The second key is revoked.
    KeyDies,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub enforced: Enforced,
    pub arrival: Arrival,
    /// Hundredths of what the three keys allow.
    pub load: u64,
    pub event: Event,
    /// Whether the program is told the limits.
    pub declared: bool,
}

impl Scenario {
    /// Its name in the table.
    pub fn name(&self) -> String {
        let windows = match self.enforced {
            Enforced::Rolling => "rolling",
            Enforced::Fixed => "fixed",
        };
        let arrival = match self.arrival {
            Arrival::Evenly => "evenly",
            Arrival::Bursts => "bursts",
        };
        let more = match (self.event, self.declared) {
            (Event::Kill, _) => ", kill -9",
            (Event::KeyDies, _) => ", a key dies",
            (Event::Nothing, false) => ", unknown limits",
            (Event::Nothing, true) => "",
        };
        format!("{windows} {arrival} {}.{:02}{more}", self.load / 100, self.load % 100)
    }

    fn keys(&self) -> Vec<String> {
        let name: String = self.name().chars().filter(char::is_ascii_alphanumeric).collect();
        (1..=3).map(|key| format!("sk-{name}-key-{key}")).collect()
    }

    /// Streams may wait for longer, which would make two lines of one; so above the capacity all calls are plain.
    fn is_stream(&self, number: usize) -> bool {
        self.load <= 100 && number % 2 == 1
    }

    /// When calls come, and how long they may wait.
    fn calls(&self) -> Vec<ideal::Call> {
        let together = if self.arrival == Arrival::Bursts { BURST } else { 1 };
        // Keys times calls a minute times the load, over a minute.
        let period_ms = together * 60_000 * 100 / (3 * PER_MINUTE * self.load);
        let times = (0..).map(|number| number * period_ms).take_while(|at| *at < LOAD.as_millis() as u64);
        let times = times.flat_map(|at| std::iter::repeat_n(at as i64, together as usize));
        let patience = |number| if self.is_stream(number) { STREAM_PATIENCE } else { PATIENCE };
        let call = |(number, at)| ideal::Call { at, patience: patience(number).as_millis() as i64 };
        times.enumerate().map(call).collect()
    }

    /// When something happens, in milliseconds: between the calls, and in the middle of bursts.
    fn events(&self) -> Vec<u64> {
        match (self.event, self.arrival) {
            (Event::Nothing, _) => vec![],
            (Event::Kill, Arrival::Evenly) => vec![45_000, 90_250, 135_700],
            // Bursts come every 33 or, above the capacity, every 20 seconds.
            (Event::Kill, Arrival::Bursts) if self.load <= 100 => vec![33_933, 68_000, 133_600],
            (Event::Kill, Arrival::Bursts) => vec![400, 80_500, 140_300],
            (Event::KeyDies, Arrival::Evenly) => vec![90_000],
            (Event::KeyDies, Arrival::Bursts) => vec![95_000],
        }
    }

    fn enforced_windows(&self, begin: Instant) -> [Windows; 3] {
        PHASES.map(|phase| match self.enforced {
            Enforced::Rolling => Windows::Rolling,
            Enforced::Fixed => Windows::Fixed(begin + Duration::from_millis(phase.unsigned_abs())),
        })
    }

    /// What nobody could avoid: who knows the windows that are enforced, and who knows of them only what is declared, which
    /// any phase of the windows must allow.
    fn unavoidable(&self, calls: &[ideal::Call]) -> [Vec<Option<i64>>; 2] {
        let end = match self.event {
            Event::KeyDies => self.events().first().map_or(i64::MAX, |at| *at as i64),
            Event::Nothing | Event::Kill => i64::MAX,
        };
        let keys = |rolling: bool| {
            let windows = |phase| match self.enforced {
                Enforced::Fixed if !rolling => ideal::Windows::Fixed(phase),
                _ => ideal::Windows::Rolling,
            };
            let key = |phase| ideal::Key::new(PER_MINUTE as usize, MINUTE.as_millis() as i64, windows(phase));
            let [first, second, third] = PHASES.map(key);
            vec![first, second.dying(end), third]
        };
        [false, true].map(|rolling| ideal::waits(keys(rolling), calls))
    }

    /// Prepares the data folder and starts the program; the load begins at `begin`.
    pub async fn prepare(self, upstream: &Upstream) -> Prepared {
        let keys = self.keys();
        let folder = Folder::new(&upstream.base_url(), &keys, self.declared.then_some(PER_MINUTE)).await;
        let server = folder.start();
        for key in &keys {
            upstream.set_key(key, KeyRules::default());
        }
        Prepared { scenario: self, folder: Arc::new(folder), server, keys }
    }
}

/// A scenario whose server runs.
pub struct Prepared {
    scenario: Scenario,
    folder: Arc<Folder>,
    server: crate::server::Server,
    keys: Vec<String>,
}

impl Prepared {
    /// Applies the load from `begin` on, and gives what came of it.
    pub async fn run(self, upstream: Arc<Upstream>, begin: Instant) -> Figures {
        let Self { scenario, folder, server, keys } = self;
        for (key, windows) in keys.iter().zip(scenario.enforced_windows(begin)) {
            let requests = Some((PER_MINUTE as usize, MINUTE));
            upstream.set_key(key, KeyRules { requests, windows, ..KeyRules::default() });
        }
        let calls = scenario.calls();
        let client = Client {
            http: crate::client(),
            address: Mutex::new(server.address()),
            begin,
            again: scenario.event == Event::Kill,
        };
        let last = calls.len() - 1;
        let load = join_all(calls.iter().enumerate().map(|(number, call)| {
            let obedient = scenario.load > 100 && number == last;
            client.call(number, call.at, scenario.is_stream(number), obedient)
        }));
        let events = async {
            let (mut server, mut died) = (server, None);
            for at in scenario.events() {
                sleep_until(begin + Duration::from_millis(at)).await;
                if scenario.event == Event::KeyDies {
                    let state = KeyState::Revoked;
                    upstream.set_key(&keys[1], KeyRules { state, ..KeyRules::default() });
                    died = Some(Instant::now());
                    continue;
                }
                server.kill();
                let folder = folder.clone();
                let started = tokio::task::spawn_blocking(move || folder.start()).await;
                server = started.expect("it starts again");
                *client.address.lock().unwrap_or_else(PoisonError::into_inner) = server.address();
            }
            (server, died)
        };
        let (outcomes, (server, died)) = tokio::join!(load, events);
        drop(server);
        let seen = upstream
            .inferences()
            .into_iter()
            .filter(|call| call.key.as_ref().is_some_and(|key| keys.contains(key)));
        let [unavoidable, by_declaration] = scenario.unavoidable(&calls);
        Figures {
            scenario,
            outcomes,
            upstream: seen.collect(),
            begin,
            keys,
            died,
            unavoidable,
            by_declaration,
            log: folder.log(),
        }
    }
}

struct Client {
    http: reqwest::Client,
    address: Mutex<SocketAddr>,
    begin: Instant,
    /// Whether a call that is cut is sent again, as clients' libraries do.
    again: bool,
}

impl Client {
    /// Makes a call when it is due. An obedient one that is refused comes again when it was told to.
    async fn call(&self, number: usize, due: i64, stream: bool, obedient: bool) -> Outcome {
        let at = self.begin + Duration::from_millis(due.unsigned_abs());
        sleep_until(at).await;
        let late = ms(at.elapsed());
        let mut cut = 0;
        let end = loop {
            match self.send(number, stream).await {
                None if self.again && cut < 600 => {
                    cut += 1;
                    sleep(Duration::from_millis(100)).await;
                }
                end => break end,
            }
        };
        let took = ms(at.elapsed());
        let mut outcome =
            Outcome { number, due, late, took, cut, end: end.unwrap_or(End::Cut), came_again: None };
        if obedient && let End::Refused(Refused { retry_after: Some(seconds), .. }) = &outcome.end {
            sleep(Duration::from_secs(*seconds)).await;
            outcome.came_again = Some(matches!(self.send(number, stream).await, Some(End::Accepted)));
        }
        outcome
    }

    /// What came; `None` if the connection broke.
    async fn send(&self, number: usize, stream: bool) -> Option<End> {
        let address = *self.address.lock().unwrap_or_else(PoisonError::into_inner);
        let prompt = format!("marker=c{number} words=3");
        let request = self
            .http
            .post(format!("http://{address}/v1/chat/completions"))
            .bearer_auth(TOKEN)
            .json(&app::chat("m", stream, &prompt));
        let reply = Reply::read(request.send().await.ok()?).await;
        if !reply.whole {
            return None;
        }
        let good = reply.status == 200 && (!stream || reply.done()) && !reply.content().is_empty();
        Some(match reply.status {
            200 if good => End::Accepted,
            429 => End::Refused(Refused {
                code: reply.code(),
                retry_after: reply.header("retry-after").and_then(|text| text.parse().ok()),
            }),
            status => End::Failed(status, reply.text()),
        })
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
