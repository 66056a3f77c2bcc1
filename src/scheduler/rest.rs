//! Rests: a key, a model or a host that answered badly takes no calls until a time.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{
    id::{ChannelId, KeyId},
    limit::Models,
    time::UnixMs,
    usage::OutcomeClass,
};

/// What rests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One key, for every model.
    Key(KeyId),
    /// Every key of a quota group of a channel.
    Group(ChannelId, String),
    /// One upstream model on one key.
    KeyModel(KeyId, String),
    /// One upstream model on every key of a quota group of a channel.
    GroupModel(ChannelId, String, String),
    /// One upstream model on every key of a channel.
    ChannelModel(ChannelId, String),
    /// The whole channel: its host does not answer.
    Channel(ChannelId),
    /// Of a key, a group or a channel only the upstream models that fit, such as `*:free`.
    Models(Box<Scope>, Models),
}

/// Which part of a lane (a key of a channel's model) a bad answer speaks of, from the narrowest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestScope {
    /// Nothing: only this request does not fit this lane.
    Request,
    /// This model on this key.
    KeyModel,
    /// The key, for every model.
    Key,
    /// This model on every key of the key's quota group; on the key alone, if it shares none.
    GroupModel,
    /// The key's quota group; the key alone, if it shares none.
    Group,
    /// The model, on every key of the channel.
    ChannelModel,
    /// The channel's host.
    Channel,
}

/// Why and until when something rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// What the last bad answer was taken for.
    pub class: OutcomeClass,
    /// When it began.
    pub since: UnixMs,
    /// When calls may be tried again.
    pub until: UnixMs,
    /// Bad answers in a row, this one included.
    pub strikes: u32,
    /// When the last of them was counted.
    #[serde(default)]
    pub struck_at: UnixMs,
    /// The upstream's status, if it answered.
    pub status: Option<u16>,
    /// Why, for the operator.
    pub detail: String,
    /// How its end is known.
    #[serde(default)]
    pub end: RestEnd,
    /// What a used-up budget stands in for: bad answers that are told of again once there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Box<Rest>>,
}

/// How the end of a rest is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestEnd {
    /// Nobody said; it is a guess by how often it went badly.
    #[default]
    Guessed,
    /// The upstream asked for it.
    Asked,
    /// The upstream's own counter says that nothing is left until then.
    Counted,
}

/// What bad answers say of a key that only an operator can mend: a budget that is used up as well hides none of it.
const REFUSALS: [OutcomeClass; 2] = [OutcomeClass::KeyInvalid, OutcomeClass::OutOfCredit];

impl Rest {
    /// A pause from `now` on until a time; what is known of bad answers before it stays known.
    pub fn pause(known: Option<&Self>, until: UnixMs, now: UnixMs) -> Self {
        Self {
            class: OutcomeClass::Paused,
            since: now,
            until,
            strikes: known.map_or(0, |rest| rest.strikes),
            struck_at: known.map_or(UnixMs(0), |rest| rest.struck_at),
            status: None,
            detail: String::new(),
            end: RestEnd::Guessed,
            below: None,
        }
    }

    /// Whether an operator wanted it, so that no answer ends or lengthens it.
    pub fn is_pause(&self) -> bool {
        self.class == OutcomeClass::Paused
    }

    /// Whether it has nothing to do with answers, so that none ends or lengthens it: a pause, or a budget that is used up.
    pub fn is_held(&self) -> bool {
        matches!(self.class, OutcomeClass::Paused | OutcomeClass::BudgetReached)
    }

    /// Whether bad answers of one of these classes made it, also if a used-up budget stands in for them now.
    pub fn is_of(&self, classes: &[OutcomeClass]) -> bool {
        classes.contains(&self.class) || self.below.as_ref().is_some_and(|rest| rest.is_of(classes))
    }

    /// Whether it is a mere suspicion, so that a call with no other way may be sent all the same.
    pub fn is_doubt(&self) -> bool {
        matches!(self.class, OutcomeClass::HostError | OutcomeClass::Ambiguous)
    }
}

/// A bad answer, as reported to the book.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it was taken for.
    pub class: OutcomeClass,
    /// How long the upstream asks to wait, if it says so.
    pub asked: Option<Duration>,
    /// The upstream's own counter says so, not a refusal.
    pub counted: bool,
    /// The upstream's status, if it answered.
    pub status: Option<u16>,
    /// Why, for the operator.
    pub detail: String,
}

impl Report {
    fn end(&self) -> RestEnd {
        match self.asked {
            Some(_) if self.counted => RestEnd::Counted,
            Some(_) => RestEnd::Asked,
            None => RestEnd::Guessed,
        }
    }
}

/// All rests. Entries whose time is over are kept while they count strikes, and dropped a day later.
#[derive(Debug, Default)]
pub struct RestBook {
    rests: HashMap<Scope, Rest>,
    changes: u64,
}

impl RestBook {
    /// Takes over what an earlier process saved.
    pub fn restore(&mut self, saved: impl IntoIterator<Item = (Scope, Rest)>) {
        self.rests.extend(saved);
        self.changes += 1;
    }

    /// Whether nothing is known of any scope, as on most days.
    pub fn is_empty(&self) -> bool {
        self.rests.is_empty()
    }

    /// The rest of a scope that is in force now.
    pub fn active(&self, scope: &Scope, now: UnixMs) -> Option<&Rest> {
        self.rests.get(scope).filter(|rest| rest.until > now)
    }

    /// How many bad answers in a row a scope will have had with one to a call that was sent at `sent_at`. A call that was
    /// under way when the last one was counted says nothing new.
    pub fn strikes_with(&self, scope: &Scope, sent_at: UnixMs) -> u32 {
        match self.rests.get(scope) {
            None => 1,
            Some(rest) if sent_at <= rest.struck_at => rest.strikes.max(1),
            Some(rest) => rest.strikes + 1,
        }
    }

    /// Notes a bad answer to a call that was sent at `sent_at`, after which the scope rests for a time that the caller
    /// decided, perhaps none; returns until when it rests.
    pub fn strike(
        &mut self,
        scope: &Scope,
        report: Report,
        rest_for: Duration,
        sent_at: UnixMs,
        now: UnixMs,
    ) -> UnixMs {
        let strikes = self.strikes_with(scope, sent_at);
        let previous = self.rests.get(scope);
        let new = previous.is_none_or(|rest| sent_at > rest.struck_at);
        let mut active = previous.filter(|rest| rest.until > now);
        if let Some(held) = active.filter(|rest| rest.is_held()) {
            if held.is_pause() || !REFUSALS.contains(&report.class) {
                return held.until;
            }
            // More room in its budget does not help a key that its upstream refuses.
            active = None;
        }
        if !new && report.asked.is_none() {
            return previous.map_or(now, |rest| rest.until);
        }
        let since = active.map_or(now, |rest| rest.since);
        let until = active.map_or(now, |rest| rest.until).max(now + rest_for);
        let struck_at = if new { now } else { previous.map_or(now, |rest| rest.struck_at) };
        let end = report.end();
        let Report { class, status, detail, .. } = report;
        self.rests.insert(
            scope.clone(),
            Rest { class, since, until, strikes, struck_at, status, detail, end, below: None },
        );
        self.changes += 1;
        until
    }

    /// Notes that a trial of a scope that rests went badly: it goes on to rest, at least for a time that the caller decided,
    /// but this counts as no further bad answer. Gives until when it rests; `None` if it does not rest.
    pub fn renew(
        &mut self,
        scope: &Scope,
        report: &Report,
        rest_for: Duration,
        now: UnixMs,
    ) -> Option<UnixMs> {
        let rest = self.rests.get_mut(scope).filter(|rest| rest.until > now && !rest.is_held())?;
        rest.until = rest.until.max(now + rest_for);
        (rest.class, rest.status, rest.struck_at) = (report.class, report.status, now);
        rest.detail.clone_from(&report.detail);
        rest.end = report.end();
        self.changes += 1;
        Some(rest.until)
    }

    /// Ends a rest, and forgets its strikes, because a call that was sent at `sent_at`, after the last of them, has got an
    /// answer. A pause goes on.
    pub fn prove(&mut self, scope: &Scope, sent_at: UnixMs) {
        if self.rests.get(scope).is_some_and(|rest| !rest.is_held() && rest.struck_at <= sent_at) {
            self.clear(scope);
        }
        self.forget_below(scope, |below| below.struck_at <= sent_at);
    }

    /// Lets a scope rest until a time on an operator's word, in place of a rest that is in force.
    pub fn pause(&mut self, scope: &Scope, until: UnixMs, now: UnixMs) {
        let rest = Rest::pause(self.rests.get(scope), until, now);
        self.rests.insert(scope.clone(), rest);
        self.changes += 1;
    }

    /// Ends a rest because its scope has just answered a test. A pause goes on: it was never about answers.
    pub fn answered(&mut self, scope: &Scope) {
        if self.rests.get(scope).is_some_and(|rest| !rest.is_held()) {
            self.clear(scope);
        }
        self.forget_below(scope, |_| true);
    }

    /// Forgets what a used-up budget stands in for, if good answers have refuted it.
    fn forget_below(&mut self, scope: &Scope, is_refuted: impl Fn(&Rest) -> bool) {
        if let Some(rest) = self.rests.get_mut(scope)
            && rest.below.as_deref().is_some_and(is_refuted)
        {
            (rest.below, rest.strikes, rest.struck_at) = (None, 0, UnixMs(0));
            self.changes += 1;
        }
    }

    /// Lets a scope rest until a time because its budget is used up. What an operator has paused stays paused, and what its
    /// upstream refuses rests for that; both are looked at again when that is over. Other bad answers are remembered. Says
    /// whether this is news.
    pub fn hold_for_budget(&mut self, scope: &Scope, until: UnixMs, now: UnixMs) -> bool {
        let known = self.rests.get(scope);
        let is_known = known.filter(|rest| rest.until > now).is_some_and(|rest| {
            // Both clocks are read one after the other.
            let is_same = rest.until.0.abs_diff(until.0) < 1000;
            let is_held = rest.class == OutcomeClass::BudgetReached && is_same;
            rest.is_pause() || REFUSALS.contains(&rest.class) || is_held
        });
        if is_known {
            return false;
        }
        let below = known.and_then(|rest| match rest.class {
            OutcomeClass::BudgetReached => rest.below.clone(),
            OutcomeClass::Paused => None,
            _ => Some(Box::new(rest.clone())),
        });
        let rest = Rest { class: OutcomeClass::BudgetReached, below, ..Rest::pause(known, until, now) };
        self.rests.insert(scope.clone(), rest);
        self.changes += 1;
        true
    }

    /// Ends the rests of used-up budgets but those that still are. What they stood in for is as it was.
    pub fn release_budgets(&mut self, is_used_up: impl Fn(&Scope) -> bool) {
        let mut changed = false;
        self.rests.retain(|scope, rest| {
            if rest.class != OutcomeClass::BudgetReached || is_used_up(scope) {
                return true;
            }
            changed = true;
            match rest.below.take() {
                Some(below) => *rest = *below,
                None => return false,
            }
            true
        });
        self.changes += u64::from(changed);
    }

    /// What is known of a scope, also when its rest is over.
    pub fn find(&self, scope: &Scope) -> Option<&Rest> {
        self.rests.get(scope)
    }

    /// Every scope with strikes, also those whose rest is over.
    pub fn all(&self) -> impl Iterator<Item = (&Scope, &Rest)> {
        self.rests.iter()
    }

    /// Notes a good answer to a call that was sent at `sent_at`: strikes of the scope are forgotten. A rest that is in
    /// force stays, because the answer was asked for before it began; unless the scope was only in doubt and the call
    /// was sent in spite of that.
    pub fn succeed(&mut self, scope: &Scope, sent_at: UnixMs, now: UnixMs) {
        let over = |rest: &Rest| rest.until <= now || (rest.is_doubt() && rest.since < sent_at);
        if self.rests.get(scope).is_some_and(over) {
            self.rests.remove(scope);
            self.changes += 1;
        }
    }

    /// Ends a rest at once, on an operator's word.
    pub fn clear(&mut self, scope: &Scope) -> bool {
        let cleared = self.rests.remove(scope).is_some();
        self.changes += u64::from(cleared);
        cleared
    }

    /// Every rest that is in force now.
    pub fn all_active(&self, now: UnixMs) -> impl Iterator<Item = (&Scope, &Rest)> {
        self.rests.iter().filter(move |(_, rest)| rest.until > now)
    }

    /// Everything worth saving, after dropping what ended more than a day ago.
    pub fn snapshot(&mut self, now: UnixMs) -> Vec<(Scope, Rest)> {
        self.rests.retain(|_, rest| rest.until + Duration::from_secs(86_400) > now);
        self.rests.iter().map(|(scope, rest)| (scope.clone(), rest.clone())).collect()
    }

    /// A number that grows with every change, so that a saver knows when there is something to save.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMs = UnixMs(1_000_000);

    const HALF_MINUTE: Duration = Duration::from_secs(30);

    fn report(class: OutcomeClass) -> Report {
        Report { class, asked: None, counted: false, status: Some(429), detail: String::new() }
    }

    #[test]
    fn a_key_rests_as_long_as_it_was_told_to_and_comes_back_by_itself() {
        let mut book = RestBook::default();
        let scope = Scope::Key(KeyId(1));
        book.strike(&scope, report(OutcomeClass::RateLimited), HALF_MINUTE, T0, T0);
        assert!(book.active(&scope, T0 + Duration::from_millis(29_999)).is_some());
        assert!(book.active(&scope, T0 + HALF_MINUTE).is_none());
    }

    #[test]
    fn bad_answers_in_a_row_are_counted_and_a_good_one_starts_over() {
        let mut book = RestBook::default();
        let scope = Scope::Key(KeyId(1));
        let mut now = T0;
        for strikes in 1..=3 {
            assert_eq!(book.strikes_with(&scope, now), strikes);
            now = book.strike(&scope, report(OutcomeClass::RateLimited), HALF_MINUTE, now, now);
        }
        book.succeed(&scope, now, now);
        assert_eq!(book.strikes_with(&scope, now), 1);
    }

    #[test]
    fn a_good_answer_ends_a_doubt_that_was_there_when_it_was_asked_for_and_no_limit() {
        for (class, sent_at, rests) in [
            (OutcomeClass::HostError, T0 + Duration::from_secs(1), false),
            (OutcomeClass::HostError, T0, true),
            (OutcomeClass::RateLimited, T0 + Duration::from_secs(1), true),
        ] {
            let mut book = RestBook::default();
            let scope = Scope::Key(KeyId(1));
            book.strike(&scope, report(class), HALF_MINUTE, T0, T0);
            let now = T0 + Duration::from_secs(2);
            book.succeed(&scope, sent_at, now);
            assert_eq!(book.active(&scope, now).is_some(), rests, "{class} {sent_at:?}");
        }
    }

    #[test]
    fn only_the_operator_and_the_clock_end_a_pause() {
        let mut book = RestBook::default();
        let scope = Scope::Key(KeyId(1));
        book.strike(&scope, report(OutcomeClass::KeyInvalid), HALF_MINUTE * 100, T0, T0);
        let until = T0 + HALF_MINUTE;
        book.pause(&scope, until, T0);
        let later = T0 + Duration::from_secs(5);
        book.strike(&scope, report(OutcomeClass::RateLimited), HALF_MINUTE * 100, later, later);
        book.succeed(&scope, later, later);
        book.answered(&scope);
        let rest = book.active(&scope, later).expect("it is still paused");
        assert!(rest.is_pause() && !rest.is_doubt() && rest.until == until, "{rest:?}");
        assert!(book.active(&scope, until).is_none());
        assert_eq!(book.strikes_with(&scope, until), 2, "the bad answer before it is not forgotten");
        book.pause(&scope, until, T0);
        assert!(book.clear(&scope) && book.active(&scope, T0).is_none());
    }

    #[test]
    fn neither_answers_nor_other_rests_end_the_rest_of_a_used_up_budget_and_a_higher_one_does() {
        let mut book = RestBook::default();
        let scope = Scope::Key(KeyId(1));
        let until = T0 + HALF_MINUTE * 10;
        assert!(book.hold_for_budget(&scope, until, T0) && !book.hold_for_budget(&scope, until, T0));
        let later = T0 + Duration::from_secs(5);
        assert_eq!(
            book.strike(&scope, report(OutcomeClass::RateLimited), HALF_MINUTE * 99, later, later),
            until
        );
        book.succeed(&scope, later, later);
        book.prove(&scope, later);
        book.answered(&scope);
        book.release_budgets(|held| *held == scope);
        assert!(book.active(&scope, later).is_some_and(|rest| rest.is_held() && !rest.is_pause()));
        book.release_budgets(|_| false);
        assert!(book.active(&scope, later).is_none());

        book.pause(&scope, until, T0);
        assert!(!book.hold_for_budget(&scope, until, T0), "an operator's word stays");
        book.release_budgets(|_| false);
        assert!(book.active(&scope, T0).is_some_and(Rest::is_pause));
    }

    #[test]
    fn a_used_up_budget_hides_no_refusal_and_gives_back_the_rest_that_it_stood_in_for() {
        let (scope, until) = (Scope::Key(KeyId(1)), T0 + HALF_MINUTE);
        for class in [OutcomeClass::KeyInvalid, OutcomeClass::OutOfCredit] {
            let mut book = RestBook::default();
            let refused_until = book.strike(&scope, report(class), HALF_MINUTE * 10, T0, T0);
            assert!(!book.hold_for_budget(&scope, until, T0));
            book.release_budgets(|_| false);
            let rest = book.active(&scope, T0).expect("it is still refused");
            assert_eq!((rest.class, rest.until), (class, refused_until));

            // Its rest is over, but nobody knows that it is any better.
            let later = refused_until + HALF_MINUTE;
            assert!(book.hold_for_budget(&scope, later + HALF_MINUTE, later));
            let rest = book.active(&scope, later).unwrap();
            assert!(rest.class == OutcomeClass::BudgetReached && rest.is_of(&[class]));
            book.release_budgets(|_| false);
            assert_eq!(book.find(&scope).map(|rest| rest.class), Some(class));
            assert_eq!(book.strikes_with(&scope, later), 2);

            book.hold_for_budget(&scope, later + HALF_MINUTE, later);
            book.answered(&scope);
            book.release_budgets(|_| false);
            assert_eq!(book.find(&scope), None, "it has answered meanwhile");

            // The answer to a call that was under way.
            book.hold_for_budget(&scope, until, T0);
            book.strike(&scope, report(class), HALF_MINUTE * 10, T0, T0);
            book.release_budgets(|_| false);
            assert!(book.active(&scope, until).is_some_and(|rest| rest.class == class));
        }
        let mut book = RestBook::default();
        let limited_until = book.strike(&scope, report(OutcomeClass::RateLimited), HALF_MINUTE * 10, T0, T0);
        assert!(book.hold_for_budget(&scope, until, T0));
        book.release_budgets(|_| false);
        assert_eq!(book.active(&scope, T0).map(|rest| rest.until), Some(limited_until));
    }

    #[test]
    fn answers_to_calls_that_were_under_way_do_not_lengthen_a_rest() {
        let mut book = RestBook::default();
        let scope = Scope::Key(KeyId(1));
        for answered_ms in 0..20 {
            let now = T0 + Duration::from_millis(answered_ms);
            book.strike(&scope, report(OutcomeClass::RateLimited), Duration::from_secs(5), T0, now);
        }
        assert!(book.active(&scope, T0 + Duration::from_secs(5)).is_none());
        assert_eq!(book.strikes_with(&scope, T0), 1);
    }
}
