//! When a model leaves the chains, and when it may return.
//!
//! Both take more than one sign, so that a model does not come and go with each call. What is dead is asked again after a
//! time that grows with each death, by a probe alone, so that clients do not pay for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{time::UnixMs, token::named_enum};

/// So many failures in a row, and for at least this time, are needed to die of them.
const FAILURES: u16 = 5;
const FAILING_FOR: Duration = Duration::from_secs(5 * 60);
/// So many refusals as gone, the first and the last at least this time apart.
const REFUSALS: u16 = 2;
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// So many complete lists in a row without it.
const LISTS: u16 = 2;
/// So many answers in a row bring it back.
const ANSWERS: u16 = 2;
/// It is asked again after this time, then after twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(10 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// After so long a life, earlier deaths are forgotten.
const FORGETS_AFTER: Duration = Duration::from_secs(24 * 3600);

named_enum! {
    /// What a model at a channel can die of.
    Cause {
        /// The provider's faults, one after another.
        Failing = "failing",
        /// The provider says that there is no such model, or that it is not for this account.
        Gone = "gone",
        /// The provider's list lacks it.
        Unlisted = "unlisted",
    }
}

/// A sign of life or of death, from a call, a probe or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// It answered.
    Answered,
    /// It failed by the provider's fault; a limit or a wrong key is no sign.
    Failed,
    /// It was refused as gone, retired or not for this account.
    Refused,
    /// A complete list has it.
    Listed,
    /// A complete list lacks it (see [`crate::provider::listing::Changes::vanished`]).
    Unlisted,
}

/// What came of a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It leaves the chains.
    Died(Cause),
    /// It returns.
    Returned,
}

/// Whether a model at a channel is alive, and what speaks against it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Liveness {
    /// Failures and refusals in a row, and when the first of each came.
    failures: u16,
    failing_since: Option<UnixMs>,
    refusals: u16,
    refused_since: Option<UnixMs>,
    /// Lists in a row without it.
    unlisted: u16,
    /// Since when it is dead, and of what.
    dead: Option<Death>,
    /// Deaths in its recent past.
    deaths: u16,
    /// Since when it is back.
    returned: Option<UnixMs>,
}

/// Since when something is dead, and until when it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Since when.
    pub since: UnixMs,
    /// Of what.
    pub cause: Cause,
    /// From when on a probe may ask.
    pub retry_at: UnixMs,
    /// Answers in a row since then.
    answers: u16,
}

impl Liveness {
    /// Alive, and nothing speaks against it.
    pub const fn alive() -> Self {
        Self {
            failures: 0,
            failing_since: None,
            refusals: 0,
            refused_since: None,
            unlisted: 0,
            dead: None,
            deaths: 0,
            returned: None,
        }
    }

    /// Whether it belongs into chains.
    pub fn is_alive(&self) -> bool {
        self.dead.is_none()
    }

    /// Its death, if it is dead.
    pub fn death(&self) -> Option<Death> {
        self.dead
    }

    /// Whether it is dead and a probe may ask whether it still is.
    pub fn wants_probe(&self, now: UnixMs) -> bool {
        self.dead.is_some_and(|death| now >= death.retry_at)
    }

    /// Brings it back without an answer, once a probe might ask and may not be made: its next calls will show. What no list has
    /// stays away. Says whether it is back.
    pub fn release(&mut self, now: UnixMs) -> bool {
        if !self.dead.is_some_and(|death| death.cause != Cause::Unlisted && now >= death.retry_at) {
            return false;
        }
        self.dead = None;
        self.returned = Some(now);
        self.unmark();
        true
    }

    /// Takes note of a sign, and tells what comes of it.
    pub fn note(&mut self, sign: Sign, now: UnixMs) -> Option<Turn> {
        match sign {
            Sign::Answered => self.unmark(),
            Sign::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.failing_since.get_or_insert(now);
            }
            Sign::Refused => {
                self.refusals = self.refusals.saturating_add(1);
                self.refused_since.get_or_insert(now);
            }
            Sign::Listed => self.unlisted = 0,
            Sign::Unlisted => self.unlisted = self.unlisted.saturating_add(1),
        }
        if self.dead.is_some() { self.note_dead(sign, now) } else { self.judge(now) }
    }

    fn unmark(&mut self) {
        (self.failures, self.failing_since) = (0, None);
        (self.refusals, self.refused_since) = (0, None);
        // Some lists lack models that answer, such as the free ones of z.ai.
        self.unlisted = 0;
    }

    fn judge(&mut self, now: UnixMs) -> Option<Turn> {
        let lasted =
            |since: Option<UnixMs>, time: Duration| since.is_some_and(|since| now.since(since) >= time);
        let cause = if self.refusals >= REFUSALS && lasted(self.refused_since, REFUSED_FOR) {
            Cause::Gone
        } else if self.unlisted >= LISTS {
            Cause::Unlisted
        } else if self.failures >= FAILURES && lasted(self.failing_since, FAILING_FOR) {
            Cause::Failing
        } else {
            return None;
        };
        if self.returned.is_none_or(|returned| now.since(returned) >= FORGETS_AFTER) {
            self.deaths = 0;
        }
        let retry_at = now + self.pause();
        self.deaths = self.deaths.saturating_add(1);
        self.dead = Some(Death { since: now, cause, retry_at, answers: 0 });
        Some(Turn::Died(cause))
    }

    fn note_dead(&mut self, sign: Sign, now: UnixMs) -> Option<Turn> {
        let pause = self.pause();
        let death = self.dead.as_mut()?;
        match sign {
            Sign::Answered => {
                death.answers += 1;
                if death.answers >= ANSWERS {
                    self.dead = None;
                    self.returned = Some(now);
                    self.unmark();
                    return Some(Turn::Returned);
                }
                death.retry_at = now;
            }
            Sign::Failed | Sign::Refused => {
                death.answers = 0;
                // Calls that were under way when it died are no probes.
                if now >= death.retry_at {
                    death.retry_at = now + pause;
                    self.deaths = self.deaths.saturating_add(1);
                }
            }
            // It is back on the list: worth a probe, and no more.
            Sign::Listed if death.cause == Cause::Unlisted => death.retry_at = death.retry_at.min(now),
            Sign::Listed | Sign::Unlisted => {}
        }
        None
    }

    /// How long it is left alone: longer with each death and each probe in vain.
    fn pause(&self) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1_u32 << self.deaths.min(16));
        doubled.min(LONGEST_PAUSE)
    }
}
