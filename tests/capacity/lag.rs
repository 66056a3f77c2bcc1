//! Whether the machine had time for us: a thread that wants little of it notes how late it gets that.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// How long it sleeps, and the processor time that it then uses.
const SLEEP: Duration = Duration::from_millis(100);
const WORK: Duration = Duration::from_millis(2);

/// What was measured, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lag {
    /// All but one in a hundred were no later.
    pub p99: i64,
    /// The latest.
    pub most: i64,
}

impl Lag {
    /// Whether figures measured meanwhile say more of the machine than of the program.
    pub fn is_starved(self) -> bool {
        self.p99 > 200 || self.most > 600
    }
}

/// The thread.
pub struct Monitor {
    stop: Arc<AtomicBool>,
    lags: Arc<Mutex<Vec<i64>>>,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    pub fn start() -> Self {
        let (stop, lags) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<i64>>>::default());
        let thread = std::thread::spawn({
            let (stop, lags) = (stop.clone(), lags.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let lag = i64::try_from(once().as_millis()).unwrap_or(i64::MAX);
                    lags.lock().unwrap_or_else(PoisonError::into_inner).push(lag);
                }
            }
        });
        Self { stop, lags, thread: Some(thread) }
    }

    pub fn stop(mut self) -> Lag {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only measures");
        }
        let lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        Lag { p99: super::ideal::percentile(&lags, 99), most: super::ideal::percentile(&lags, 100) }
    }
}

/// How much longer than it should a sleep and a little work take.
fn once() -> Duration {
    let began = Instant::now();
    std::thread::sleep(SLEEP);
    let used = processor_time();
    while processor_time().saturating_sub(used) < WORK {
        std::hint::spin_loop();
    }
    began.elapsed().saturating_sub(SLEEP + WORK)
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
