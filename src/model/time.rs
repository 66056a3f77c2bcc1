//! Time: milliseconds since 1970 in rows and on pages, and the clock that yields them.

use std::{
    ops::{Add, Sub},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// The same point as jiff's timestamp; out-of-range values are clamped.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The same point on the wall clock of a time zone.
    pub fn zoned(self, zone: &jiff::tz::TimeZone) -> jiff::Zoned {
        self.timestamp().to_zoned(zone.clone())
    }
}

impl Add<Duration> for UnixMs {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for UnixMs {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Where the time comes from: the system, or in a test a hand that sets it. Cheap to clone; all clones agree.
///
/// There are two times. [`now`](Self::now) is the time of day, which somebody may set while the process runs.
/// [`steady`](Self::steady) begins at the time of day and then counts what passes, so it never jumps; what is
/// measured, such as a rest, is measured with it.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { began_at: UnixMs, began: Instant },
    Manual(Arc<watch::Sender<UnixMs>>),
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The system's clock. Its steady time begins now.
    pub fn system() -> Self {
        Self(Source::System { began_at: time_of_day(), began: Instant::now() })
    }

    /// A clock that stands still until it is [advanced](Self::advance). Both of its times are the same.
    pub fn manual(now: UnixMs) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(now))))
    }

    /// The time of day.
    pub fn now(&self) -> UnixMs {
        match &self.0 {
            Source::Manual(set) => *set.borrow(),
            Source::System { .. } => time_of_day(),
        }
    }

    /// The time on a clock that never jumps: the time of day at the start, and what has passed since.
    pub fn steady(&self) -> UnixMs {
        match &self.0 {
            Source::Manual(set) => *set.borrow(),
            Source::System { began_at, began } => *began_at + began.elapsed(),
        }
    }

    /// Waits until a [steady](Self::steady) time. Dropping the future is all it takes to stop waiting.
    pub async fn sleep_until(&self, steady: UnixMs) {
        match &self.0 {
            Source::Manual(set) => {
                // Cannot fail: the sender is held here.
                let _ = set.subscribe().wait_for(|now| *now >= steady).await;
            }
            Source::System { .. } => tokio::time::sleep(steady.since(self.steady())).await,
        }
    }

    /// Moves a manual clock on; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(set) = &self.0 {
            set.send_modify(|now| *now = *now + by);
        }
    }
}

fn time_of_day() -> UnixMs {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    let now = jiff::Timestamp::now();
    UnixMs(now.as_millisecond())
}
