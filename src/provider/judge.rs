//! What a refusal means, by the provider's own rules.

use std::time::Duration;

use super::{
    Fields, ObservedLimit, Provider,
    calendar::longest_rest,
    data::{AmountHint, Condition, Hint, LimitHint, RefusalData, Scope},
    limits::resolve,
    moment,
    observe::plausible,
    text::{after, count, leading_number, without_quotes},
};
use crate::model::{
    limit::{Models, Period},
    time::UnixMs,
    usage::OutcomeClass,
};

/// Statuses whose text may quote the request, so that a client could write what it likes into it.
const QUOTING: &[u16] = &[400, 413, 422, 500];

/// What a provider's rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's name in the provider's data.
    pub rule: String,
    /// What the answer is taken for.
    pub class: OutcomeClass,
    /// What it is about.
    pub scope: Scope,
    /// Of a scope with several models, only those whose names fit one of these patterns; all, if there is none.
    pub models: Models,
    /// The kind of limit.
    pub period: Option<Period>,
    /// When it is over, if the rule or the answer says: later than now, and at most an hour, for an hour's limit two,
    /// for a day's 26, for a month's 32 days.
    pub until: Option<UnixMs>,
    /// Waiting does not mend it.
    pub permanent: bool,
    /// Calls came too quickly one after another: pace them, there is room.
    pub pace: bool,
    /// What the answer says about the limit.
    pub limit: Option<ObservedLimit>,
}

/// An answer, ready to be matched.
struct Answer<'a, 'b> {
    headers: &'b dyn Fn(&str) -> Option<&'a str>,
    body: &'b Fields,
    /// The body's text in lower case; without quotations where the client may be quoted.
    text: String,
    quoted_headers: Option<&'b str>,
    their_now: UnixMs,
}

impl Provider {
    /// What a refusal means, or `None` if no rule of the provider's speaks of it. `status` is `None` for an error inside
    /// a 200 that names none; `headers` finds a header's value by its name in lower case.
    ///
    /// Of a 400, 413, 422 or 500, or an error without a status, whose text alone fits a rule, nothing permanent follows:
    /// such texts may quote what a client wrote.
    pub fn judge<'a>(
        &self,
        status: Option<u16>,
        headers: impl Fn(&str) -> Option<&'a str>,
        body: &Fields,
        now: UnixMs,
    ) -> Option<Verdict> {
        let code = status.unwrap_or(0);
        let quoting = QUOTING.contains(&code);
        let text = if quoting { without_quotes(body.text()) } else { body.text().to_owned() };
        let their_now = headers("date").and_then(moment::http_date).unwrap_or(now);
        let answer = Answer {
            headers: &headers,
            body,
            text: text.to_lowercase(),
            quoted_headers: self.quoted_headers.as_deref(),
            their_now,
        };
        let fits = |rule: &&RefusalData| {
            rule.status.contains(&code) && rule.when.iter().all(|condition| answer.meets(condition))
        };
        let rule = self.refusals.iter().find(fits)?;
        let by_name = rule.when.iter().any(Condition::is_exact);
        let longest = longest_rest(rule.period);
        let until = rule
            .until
            .iter()
            .find_map(|hint| self.wait(hint, rule.period, &answer, now).filter(|wait| !wait.is_zero()))
            .map(|wait| now + wait.min(longest));
        Some(Verdict {
            rule: rule.id.clone(),
            class: rule.class,
            scope: rule.scope,
            models: rule.models.clone(),
            period: rule.period,
            until: until.filter(|until| *until > now),
            permanent: rule.permanent && (by_name || !quoting && status.is_some()),
            pace: rule.pace,
            limit: rule.limit.as_ref().and_then(|hint| self.limit(hint, &answer)),
        })
    }

    fn wait(
        &self,
        hint: &Hint,
        period: Option<Period>,
        answer: &Answer<'_, '_>,
        now: UnixMs,
    ) -> Option<Duration> {
        let read = |text: &str| moment::wait_in(text, hint.format, answer.their_now);
        if let Some(name) = &hint.header {
            return answer.header(name).and_then(read);
        }
        if let Some(path) = &hint.field {
            return answer.body.all(path).find_map(read);
        }
        if let Some(phrase) = &hint.after {
            let phrase = phrase.to_lowercase();
            return after(&answer.text, &phrase).find_map(|rest| Some(moment::span(rest)?.0));
        }
        if let Some(phrase) = &hint.date_after {
            let (phrase, calendar) = (phrase.to_lowercase(), self.calendar.as_ref()?);
            let date = after(&answer.text, &phrase).find_map(|rest| calendar.date_in(rest))?;
            return Some(date.since(answer.their_now));
        }
        match hint.fixed {
            Some(span) => Some(Duration::from_millis(span.0)),
            None => Some(self.reset_at(period?, now)?.since(now)),
        }
    }

    fn limit(&self, hint: &LimitHint, answer: &Answer<'_, '_>) -> Option<ObservedLimit> {
        let max = hint.max.iter().find_map(|place| answer.amount(place))?;
        Some(ObservedLimit {
            metric: hint.metric,
            window: Some(resolve(&hint.window, self.calendar.as_ref())?),
            scope: hint.scope,
            max: Some(plausible(hint.metric, max)?),
            remaining: None,
            reset: None,
        })
    }

    /// When a limit of this kind comes back in the provider's calendar: the next hour, day or month on its wall clock.
    /// `None` for shorter ones, and if nobody knows the calendar.
    pub fn reset_at(&self, period: Period, now: UnixMs) -> Option<UnixMs> {
        self.calendar.as_ref()?.next(period.unit()?, now)
    }
}

impl Answer<'_, '_> {
    fn header(&self, name: &str) -> Option<&str> {
        let own = (self.headers)(name);
        own.or_else(|| self.body.all(&format!("{}.{name}", self.quoted_headers?)).next())
    }

    fn amount(&self, place: &AmountHint) -> Option<u64> {
        if let Some(name) = &place.header {
            return self.header(name).and_then(count);
        }
        if let Some(path) = &place.field {
            // Several limits may be named, and which amount belongs to which is not kept: they must agree.
            let mut amounts = self.body.all(path).map(count);
            let first = amounts.next()?;
            return first.filter(|_| amounts.all(|amount| amount == first));
        }
        let phrase = place.after.as_ref()?.to_lowercase();
        after(&self.text, &phrase).find_map(leading_number)
    }

    fn meets(&self, condition: &Condition) -> bool {
        match (&condition.header, condition.field.as_deref()) {
            (Some(name), _) => {
                self.header(name).is_some_and(|value| condition.fits(&value.trim().to_lowercase()))
            }
            (None, Some("text")) => condition.fits(self.text.trim()),
            (None, Some(path)) => {
                self.body.all(path).any(|value| condition.fits(&value.trim().to_lowercase()))
            }
            (None, None) => false,
        }
    }
}

impl Condition {
    /// Whether a value (in lower case) is what is asked for.
    fn fits(&self, value: &str) -> bool {
        let any = |phrases: &[String], test: &dyn Fn(&str) -> bool| {
            phrases.iter().any(|phrase| test(&phrase.to_lowercase()))
        };
        self.present
            || any(&self.is, &|phrase| value == phrase)
            || any(&self.contains, &|phrase| value.contains(phrase))
            || any(&self.starts, &|phrase| value.starts_with(phrase))
            || any(&self.ends, &|phrase| value.ends_with(phrase))
    }

    /// Whether it asks for a name in a field, which no client can write there.
    fn is_exact(&self) -> bool {
        !self.is.is_empty() && self.field.as_deref() != Some("text")
    }
}
