//! The order in which waiting calls are served: fair between tokens, interactive ones before batches.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, 1996): each call gets a start tag, the later of the queue's virtual time and
//! the end of its token's previous call; the lowest tag is served first, and a token's calls lie `1/weight` apart. Tags hold
//! over all candidate sets, so a token that asks for two models gets no more than one that asks for one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::id::TokenId;

/// The distance of two calls of a token with weight 1.
const SCALE: u64 = 1 << 20;

/// A batch call that has waited for so long gets one turn after every three of the interactive ones.
const BATCH_PATIENCE_MS: i64 = 30_000;
const TURNS_BEFORE_BATCH: u32 = 3;

/// Tokens whose tags are remembered, at most, beyond those that wait.
const REMEMBERED: usize = 4096;

/// Whether somebody waits in front of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Yes.
    Interactive,
    /// No: it can wait longer.
    Batch,
}

/// A place in the queue: lower ones are served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    class: Class,
    tag: u64,
    number: u64,
}

/// Virtual time and the tokens' tags.
#[derive(Debug, Default)]
pub struct Turns {
    now: [u64; 2],
    ends: HashMap<(TokenId, Class), u64>,
    number: u64,
}

impl Turns {
    /// The place of a token's next call.
    pub fn place(&mut self, token: TokenId, class: Class, weight: u32) -> Place {
        let now = self.now[class as usize];
        if self.ends.len() > REMEMBERED {
            let times = self.now;
            self.ends.retain(|(_, class), end| *end > times[*class as usize]);
        }
        let end = self.ends.entry((token, class)).or_insert(0);
        let tag = (*end).max(now);
        *end = tag + SCALE / u64::from(weight.max(1));
        self.number += 1;
        Place { class, tag, number: self.number }
    }

    /// Notes that a call was served.
    pub fn served(&mut self, place: Place) {
        let now = &mut self.now[place.class as usize];
        *now = (*now).max(place.tag);
    }
}

/// The calls that wait for one set of candidates, in order.
#[derive(Debug, Default)]
pub struct Line {
    waiting: BTreeMap<Place, u32>,
    turns_of_interactive: u32,
}

impl Line {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts a call in line.
    pub fn push(&mut self, place: Place, waiter: u32) {
        self.waiting.insert(place, waiter);
    }

    /// Takes a call out of the line.
    pub fn remove(&mut self, place: Place) -> bool {
        self.waiting.remove(&place).is_some()
    }

    /// How many are before a place.
    pub fn before(&self, place: Place) -> usize {
        match self.waiting.last_key_value() {
            // Nearly always: whoever comes stands last.
            Some((last, _)) if *last < place => self.waiting.len(),
            _ => self.waiting.range(..place).count(),
        }
    }

    /// The first calls in the order in which they are to be served now. `arrived` tells when a waiter came.
    pub fn first(&self, most: usize, now: i64, arrived: impl Fn(u32) -> i64) -> Vec<(Place, u32)> {
        let mut first: Vec<_> =
            self.waiting.iter().take(most).map(|(place, &waiter)| (*place, waiter)).collect();
        let batch = Place { class: Class::Batch, tag: 0, number: 0 };
        if self.turns_of_interactive >= TURNS_BEFORE_BATCH
            && let Some((place, &waiter)) = self.waiting.range(batch..).next()
            && now - arrived(waiter) > BATCH_PATIENCE_MS
        {
            first.retain(|(_, other)| *other != waiter);
            first.insert(0, (*place, waiter));
        }
        first
    }

    /// Notes that a call was served.
    pub fn served(&mut self, place: Place) {
        self.turns_of_interactive = match place.class {
            Class::Interactive => self.turns_of_interactive.saturating_add(1),
            Class::Batch => 0,
        };
        self.waiting.remove(&place);
    }

    /// All that wait.
    pub fn all(&self) -> impl Iterator<Item = (Place, u32)> + '_ {
        self.waiting.iter().map(|(place, &waiter)| (*place, waiter))
    }
}

/// Times at which something is to be looked at: one timer for all.
#[derive(Debug, Default)]
pub struct Alarms {
    times: BTreeSet<(i64, u64)>,
}

impl Alarms {
    /// Sets an alarm.
    pub fn set(&mut self, at: i64, of: u64) {
        self.times.insert((at, of));
    }

    /// Takes an alarm back.
    pub fn clear(&mut self, at: i64, of: u64) {
        self.times.remove(&(at, of));
    }

    /// The next alarm.
    pub fn next(&self) -> Option<i64> {
        self.times.first().map(|(at, _)| *at)
    }

    /// Takes the first alarm whose time has come.
    pub fn pop_due(&mut self, now: i64) -> Option<u64> {
        let first = *self.times.first().filter(|(at, _)| *at <= now)?;
        self.times.remove(&first);
        Some(first.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves `count` calls of tokens that always have `deep` calls in line; gives how many each got.
    fn shares(tokens: &[(i64, u32, usize)], count: usize) -> Vec<usize> {
        let (mut turns, mut line) = (Turns::default(), Line::default());
        for &(token, weight, deep) in tokens {
            for _ in 0..deep {
                line.push(turns.place(TokenId(token), Class::Interactive, weight), token as u32);
            }
        }
        let mut served = vec![0; tokens.len()];
        for _ in 0..count {
            let (place, token) = line.first(1, 0, |_| 0)[0];
            line.served(place);
            turns.served(place);
            let index = tokens.iter().position(|(other, ..)| *other == i64::from(token)).unwrap();
            served[index] += 1;
            line.push(turns.place(TokenId(token.into()), Class::Interactive, tokens[index].1), token);
        }
        served
    }

    #[test]
    fn tokens_of_equal_weight_get_equal_shares_however_many_calls_they_have_in_line() {
        assert_eq!(shares(&[(1, 1, 2), (2, 1, 60)], 1000), [500, 500]);
    }

    #[test]
    fn a_token_of_weight_three_gets_three_times_as_much() {
        let served = shares(&[(1, 3, 10), (2, 1, 10)], 1000);
        assert!((745..=755).contains(&served[0]), "{served:?}");
    }

    #[test]
    fn a_token_that_was_idle_saves_nothing_up() {
        let mut turns = Turns::default();
        for _ in 0..100 {
            let place = turns.place(TokenId(1), Class::Interactive, 1);
            turns.served(place);
        }
        let idle = turns.place(TokenId(2), Class::Interactive, 1);
        let next = turns.place(TokenId(2), Class::Interactive, 1);
        let busy = turns.place(TokenId(1), Class::Interactive, 1);
        assert!(
            idle < busy && busy < next || idle < next && busy.tag == next.tag,
            "{idle:?} {busy:?} {next:?}"
        );
    }

    #[test]
    fn interactive_calls_go_first_and_batches_do_not_starve() {
        let (mut turns, mut line) = (Turns::default(), Line::default());
        line.push(turns.place(TokenId(2), Class::Batch, 1), 99);
        for waiter in 0..10 {
            line.push(turns.place(TokenId(1), Class::Interactive, 1), waiter);
        }
        let order = |now| {
            let mut line = Line { waiting: line.waiting.clone(), turns_of_interactive: 0 };
            let mut order = Vec::new();
            while let Some(&(place, waiter)) = line.first(1, now, |_| 0).first() {
                order.push(waiter);
                line.served(place);
            }
            order
        };
        assert_eq!(order(1000).iter().position(|waiter| *waiter == 99), Some(10));
        assert_eq!(order(31_000).iter().position(|waiter| *waiter == 99), Some(3));
    }
}
