//! A moment on two clocks.

use crate::model::time::UnixMs;

/// A moment: on a clock that never jumps, and on the clock of the day.
///
/// Minutes are measured on the steady clock, because the time of day may be set while the process runs, and a limit must not
/// open for that. Calendar days need the time of day. Both are milliseconds since 1970: the steady clock begins
/// at the time of day of the process's start and then counts what passes. Milliseconds are fine enough: networks
/// blur more than that, and what needs fractions (the interval of a bucket) keeps them itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time on the clock that never jumps.
    pub steady: UnixMs,
    /// The time of day.
    pub wall: UnixMs,
}

impl Now {
    /// A moment at which both clocks agree.
    pub fn both(at: UnixMs) -> Self {
        Self { steady: at, wall: at }
    }

    /// Milliseconds on the steady clock.
    pub(super) fn ms(self) -> i64 {
        self.steady.0
    }

    /// A steady time as a time of day, as far as can be told now.
    pub fn to_wall(self, steady: UnixMs) -> UnixMs {
        UnixMs(steady.0.saturating_add(self.wall.0.saturating_sub(self.steady.0)))
    }

    /// A time of day as a steady time, as far as can be told now.
    pub fn to_steady(self, wall: UnixMs) -> UnixMs {
        UnixMs(wall.0.saturating_sub(self.wall.0.saturating_sub(self.steady.0)))
    }
}
