//! The pool's lists: which lanes are worth a look, and which wait for what.

use std::cmp::Reverse;

use super::{NONE, On, Place, Pool};
use crate::scheduler::now::Now;

/// The most lanes that come back from a heap in one look; the others come with the next.
const MOST_DUE: usize = 64;

impl Pool {
    /// Puts a lane at the end of its stem's list.
    pub(super) fn list_last(&mut self, lane: u32) {
        let stem = self.lanes[lane as usize].stem as usize;
        let last = self.stems[stem].last;
        let entry = &mut self.lanes[lane as usize];
        (entry.before, entry.after, entry.place) = (last, NONE, Place::Listed);
        if last == NONE {
            self.stems[stem].first = lane;
        } else {
            self.lanes[last as usize].after = lane;
        }
        self.stems[stem].last = lane;
    }

    /// Takes a lane out of its stem's list, if it is there.
    pub(super) fn unlist(&mut self, lane: u32) {
        let entry = &self.lanes[lane as usize];
        if entry.place != Place::Listed {
            return;
        }
        let (stem, before, after) = (entry.stem as usize, entry.before, entry.after);
        if before == NONE {
            self.stems[stem].first = after;
        } else {
            self.lanes[before as usize].after = after;
        }
        if after == NONE {
            self.stems[stem].last = before;
        } else {
            self.lanes[after as usize].before = before;
        }
    }

    /// Takes a lane out of the list until a time, or until an event if there is no time.
    pub(super) fn block(&mut self, lane: u32, until: Option<i64>, on: On) {
        self.unlist(lane);
        let entry = &mut self.lanes[lane as usize];
        entry.place = Place::Blocked(on);
        entry.generation = entry.generation.wrapping_add(1);
        let (generation, stem) = (entry.generation, entry.stem as usize);
        match on {
            On::Node(node) | On::SlowStart(node) => self.nodes[node as usize].blocked += 1,
            On::Limit(limit) => self.gauges[limit as usize].blocked += 1,
        }
        if let Some(until) = until {
            // Lanes that events brought back leave their entries behind; too many are swept out.
            if self.stems[stem].blocked.len() > 4 * self.stems[stem].lanes.len() + 64 {
                let mut heap = std::mem::take(&mut self.stems[stem].blocked);
                heap.retain(|Reverse((_, lane, generation))| {
                    let lane = &self.lanes[*lane as usize];
                    lane.generation == *generation && matches!(lane.place, Place::Blocked(_))
                });
                self.stems[stem].blocked = heap;
            }
            self.stems[stem].blocked.push(Reverse((until, lane, generation)));
        }
    }

    fn unblock(&mut self, lane: u32) {
        if let Place::Blocked(on) = self.lanes[lane as usize].place {
            match on {
                On::Node(node) | On::SlowStart(node) => self.nodes[node as usize].blocked -= 1,
                On::Limit(limit) => self.gauges[limit as usize].blocked -= 1,
            }
            let entry = &mut self.lanes[lane as usize];
            entry.generation = entry.generation.wrapping_add(1);
            self.list_last(lane);
        }
    }

    /// Brings back the lanes of a stem whose time has come.
    pub(super) fn bring_due(&mut self, stem: u32, now: i64) {
        for _ in 0..MOST_DUE {
            match self.stems[stem as usize].blocked.peek() {
                Some(&Reverse((until, lane, generation))) if until <= now => {
                    self.stems[stem as usize].blocked.pop();
                    if self.lanes[lane as usize].generation == generation {
                        self.unblock(lane);
                    }
                }
                _ => return,
            }
        }
    }

    /// The first time at which a lane of a stem may come back.
    pub(super) fn first_due(&mut self, stem: u32) -> Option<i64> {
        loop {
            let &Reverse((until, lane, generation)) = self.stems[stem as usize].blocked.peek()?;
            let entry = &self.lanes[lane as usize];
            if entry.generation == generation && matches!(entry.place, Place::Blocked(_)) {
                return Some(until);
            }
            self.stems[stem as usize].blocked.pop();
        }
    }

    /// Something that may have stood in the way of a node's lanes is gone.
    pub(super) fn wake_node(&mut self, node: u32) {
        let entry = &self.nodes[node as usize];
        if entry.blocked == 0 && entry.stems.is_empty() {
            return;
        }
        self.wake_lanes(node, |on| matches!(on, On::Node(other) | On::SlowStart(other) if other == node));
    }

    /// A limit has room again before its time.
    pub(super) fn wake_limit(&mut self, limit: u32) {
        let gauge = &self.gauges[limit as usize];
        if gauge.blocked == 0 {
            return;
        }
        let node = gauge.node;
        self.wake_lanes(node, |on| on == On::Limit(limit));
        if !self.nodes[node as usize].stems.is_empty() {
            self.gauges[limit as usize].blocked = 0;
        }
    }

    fn wake_lanes(&mut self, node: u32, is_meant: impl Fn(On) -> bool) {
        for place in 0..self.nodes[node as usize].lanes.len() {
            let lane = self.nodes[node as usize].lanes[place];
            if matches!(self.lanes[lane as usize].place, Place::Blocked(on) if is_meant(on)) {
                self.unblock(lane);
                self.touch(self.lanes[lane as usize].stem);
            }
        }
        for place in 0..self.nodes[node as usize].stems.len() {
            self.touch(self.nodes[node as usize].stems[place]);
        }
    }

    pub(super) fn touch(&mut self, stem: u32) {
        let entry = &mut self.stems[stem as usize];
        if !entry.touched {
            entry.touched = true;
            self.touched.push(stem);
        }
    }

    /// The stems that something was given back to since the last question; calls that wait for them are worth a look.
    pub fn take_touched(&mut self, now: Now) -> Vec<super::StemId> {
        // Somebody may have ended rests.
        self.advance(now);
        let touched = std::mem::take(&mut self.touched);
        for &stem in &touched {
            self.stems[stem as usize].touched = false;
        }
        touched.into_iter().map(super::StemId).collect()
    }
}
