//! What an answer's headers say is left.

use std::time::Duration;

use super::{
    Provider,
    data::{HeaderData, Scope},
    limits::resolve,
    moment,
    text::count,
};
use crate::model::{
    limit::{Metric, Window},
    time::UnixMs,
};

/// The largest amounts that are believed.
const MAX_CALLS: u64 = 1_000_000_000;
const MAX_TOKENS: u64 = 1_000_000_000_000;

/// The longest wait for a window that nobody knows.
const MAX_UNKNOWN: Duration = Duration::from_secs(26 * 3600);

/// A limit as an answer describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLimit {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back; `None` if the answer does not say of which window it speaks. Then it makes no limit, but
    /// nothing left until `reset` is still a reason to wait.
    pub window: Option<Window>,
    /// For whom it holds.
    pub scope: Scope,
    /// What is allowed: at least 1.
    pub max: Option<u64>,
    /// What is left: at most `max`.
    pub remaining: Option<u64>,
    /// When all of it is back: after the answer, and at most one window later.
    pub reset: Option<UnixMs>,
}

impl ObservedLimit {
    /// The same, but nothing larger than what is known already. A header that says more than is known should be believed
    /// only when a second answer agrees.
    pub fn at_most(self, known: u64) -> Self {
        Self {
            max: self.max.map(|max| max.min(known)),
            remaining: self.remaining.map(|left| left.min(known)),
            ..self
        }
    }
}

/// An amount that can be meant: neither zero nor absurd.
pub(super) fn plausible(metric: Metric, amount: u64) -> Option<u64> {
    let most = match metric {
        Metric::Requests | Metric::Concurrency => MAX_CALLS,
        Metric::InputTokens | Metric::Tokens | Metric::Units => MAX_TOKENS,
    };
    (1..=most).contains(&amount).then_some(amount)
}

impl Provider {
    /// What the headers of an answer say is left, whatever its status. Names are in lower case; of several values of one
    /// name the first counts. Points in time are read on the clock of the answer's `Date`. Nonsense is left out.
    pub fn observe<'a>(
        &self,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        now: UnixMs,
    ) -> Vec<ObservedLimit> {
        // Answers have few headers, mostly none of these, and dialects know many: so the answer's are looked up.
        let (mut date, mut told) = (None, Vec::new());
        for (name, value) in headers {
            if name == "date" {
                date = date.or(Some(value));
            } else if self.headers.iter().any(|dialect| dialect.reads(name)) {
                told.push((name, value));
            }
        }
        if told.is_empty() {
            return Vec::new();
        }
        let headers = |wanted: &str| told.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let their_now = date.and_then(moment::http_date).unwrap_or(now);
        self.headers.iter().filter_map(|dialect| self.read(dialect, &headers, now, their_now)).collect()
    }

    fn read<'a>(
        &self,
        dialect: &HeaderData,
        headers: &impl Fn(&str) -> Option<&'a str>,
        now: UnixMs,
        their_now: UnixMs,
    ) -> Option<ObservedLimit> {
        let find = |name: &Option<String>| headers(name.as_deref()?);
        let window = match &dialect.window {
            Some(window) => Some(resolve(window, self.calendar.as_ref())?),
            None => None,
        };
        let max = find(&dialect.max).and_then(count).and_then(|max| plausible(dialect.metric, max));
        let remaining = find(&dialect.remaining).and_then(|text| match count(text) {
            Some(left) => Some(left),
            // Overdrawn; but without a limit beside it, -1 may mean "unlimited".
            None if max.is_some() && text.trim().parse::<f64>().is_ok_and(|left| left < 0.0) => Some(0),
            None => None,
        });
        let remaining = match max {
            Some(max) => remaining.map(|left| left.min(max)),
            None => remaining.filter(|left| *left == 0 || plausible(dialect.metric, *left).is_some()),
        };
        let longest = window
            .as_ref()
            .and_then(Window::span_ms)
            .map_or(MAX_UNKNOWN, |ms| Duration::from_millis(ms.min(32 * 86_400_000)));
        let reset = find(&dialect.reset)
            .and_then(|text| moment::wait_in(text, dialect.format, their_now))
            .map(|wait| now + wait.min(longest))
            .filter(|reset| *reset > now);
        (max.is_some() || remaining.is_some()).then_some(ObservedLimit {
            metric: dialect.metric,
            window,
            scope: dialect.scope,
            max,
            remaining,
            reset,
        })
    }
}
