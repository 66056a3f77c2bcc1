//! When messages go out: events are gathered for a moment, sent together, not too often, and tried again when that fails.
//!
//! Pure: `now` is an argument. What is kept is bounded; what is too much is counted.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{
    id::NoticeTargetId,
    notice::{Event, Target},
};

/// How long events are gathered before a message goes out.
pub const GATHER: Duration = Duration::from_secs(10);
/// The shortest time between two messages to one target.
pub const APART: Duration = Duration::from_secs(60);
/// How long to wait after each failure; after the last of them the message is given up.
pub const BACK_OFF: [Duration; 4] =
    [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600), Duration::from_secs(3600)];
/// The most events of a message.
pub const MOST_OF_ONE: usize = 30;
/// The most events that wait for one target; of more the oldest are dropped.
pub const MOST_WAITING: usize = 200;

/// Events on their way to a target.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    /// Events that were too many to keep since the last message.
    dropped: usize,
    /// When the next message may go out.
    due: Option<Instant>,
    last_sent: Option<Instant>,
    failures: usize,
    sending: bool,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// To whom.
    pub target: NoticeTargetId,
    /// What it tells.
    pub events: Vec<Event>,
    /// How many events were too many to keep.
    pub left_out: usize,
}

/// Everything that waits to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    queues: BTreeMap<NoticeTargetId, Queue>,
}

impl Outbox {
    /// Lines an event up for every target that is on and wants its kind.
    pub fn push(&mut self, targets: &[Target], event: &Event, now: Instant) {
        let wants = |target: &&Target| target.set.enabled && target.set.kinds.contains(&event.kind());
        for target in targets.iter().filter(wants) {
            let queue = self.queues.entry(target.id).or_default();
            queue.waiting.push_back(event.clone());
            if queue.waiting.len() > MOST_WAITING {
                queue.waiting.pop_front();
                queue.dropped += 1;
            }
            let earliest = queue.last_sent.map_or(now, |sent| sent + APART);
            queue.due.get_or_insert((now + GATHER).max(earliest));
        }
    }

    /// Takes out what is due now. Each message is [`sent`](Self::sent) or has [`failed`](Self::failed) before its target gets
    /// another one.
    pub fn take_due(&mut self, now: Instant) -> Vec<Message> {
        let mut messages = Vec::new();
        for (target, queue) in &mut self.queues {
            if queue.sending || queue.due.is_none_or(|due| due > now) {
                continue;
            }
            queue.sending = true;
            queue.due = None;
            let count = queue.waiting.len().min(MOST_OF_ONE);
            messages.push(Message {
                target: *target,
                events: queue.waiting.drain(..count).collect(),
                left_out: std::mem::take(&mut queue.dropped),
            });
        }
        messages
    }

    /// When the next message is due, unless it is on its way.
    pub fn next_due(&self) -> Option<Instant> {
        self.queues.values().filter(|queue| !queue.sending).filter_map(|queue| queue.due).min()
    }

    /// Notes that a message has arrived, or will never.
    pub fn sent(&mut self, target: NoticeTargetId, now: Instant) {
        let Some(queue) = self.queues.get_mut(&target) else { return };
        queue.sending = false;
        queue.failures = 0;
        queue.last_sent = Some(now);
        queue.due = (!queue.waiting.is_empty()).then_some(now + APART);
    }

    /// Notes that a message has not arrived and may later; gives whether it is tried again, which ends after some tries.
    pub fn failed(&mut self, message: Message, now: Instant) -> bool {
        let Some(queue) = self.queues.get_mut(&message.target) else { return false };
        let Some(wait) = BACK_OFF.get(queue.failures) else {
            self.sent(message.target, now);
            return false;
        };
        queue.failures += 1;
        queue.sending = false;
        queue.due = Some(now + *wait);
        queue.dropped += message.left_out;
        for event in message.events.into_iter().rev() {
            queue.waiting.push_front(event);
        }
        while queue.waiting.len() > MOST_WAITING {
            queue.waiting.pop_front();
            queue.dropped += 1;
        }
        true
    }

    /// Forgets what waits for targets that are gone or off.
    pub fn keep(&mut self, targets: &[Target]) {
        let is_on = |id: &NoticeTargetId| targets.iter().any(|target| target.id == *id && target.set.enabled);
        self.queues.retain(|id, _| is_on(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        id::{ChannelId, KeyId},
        notice::{EventKind, NewTarget, Occurrence, Transport, Webhook},
        secret::Secret,
        time::UnixMs,
    };

    fn target(id: i64, kinds: &[EventKind]) -> Target {
        Target {
            id: NoticeTargetId(id),
            set: NewTarget {
                name: format!("t{id}"),
                enabled: true,
                kinds: kinds.to_vec(),
                language: "en".into(),
                transport: Transport::Webhook(Webhook {
                    url: Secret::new("https://example.com"),
                    header: None,
                    allow_private: false,
                }),
            },
            created_at: UnixMs(0),
            last: None,
        }
    }

    fn event(number: i64) -> Event {
        let what = Occurrence::KeyInvalid { key: KeyId(number), shown: String::new() };
        Event { at: UnixMs(number), channel: ChannelId(1), channel_name: "c".into(), what }
    }

    #[tokio::test]
    async fn events_of_a_moment_go_out_together_and_messages_a_minute_apart() {
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        let targets = [target(1, &[EventKind::KeyInvalid]), target(2, &[EventKind::ModelsAppeared])];
        for number in 0..3 {
            outbox.push(&targets, &event(number), start + Duration::from_secs(3) * number as u32);
        }
        assert_eq!(outbox.take_due(start + GATHER - Duration::from_millis(1)), []);
        assert_eq!(outbox.next_due(), Some(start + GATHER));
        let sent = outbox.take_due(start + GATHER);
        assert_eq!((sent.len(), sent[0].target, sent[0].events.len()), (1, NoticeTargetId(1), 3));
        outbox.push(&targets, &event(4), start + GATHER);
        assert_eq!(outbox.take_due(start + GATHER * 9), [], "the first one is on its way");
        outbox.sent(NoticeTargetId(1), start + GATHER);
        assert_eq!(outbox.take_due(start + GATHER + APART - Duration::from_millis(1)), []);
        assert_eq!(outbox.take_due(start + GATHER + APART)[0].events, [event(4)]);
    }

    #[tokio::test]
    async fn a_message_is_tried_again_ever_later_and_given_up_at_last() {
        let (mut outbox, mut now) = (Outbox::default(), Instant::now());
        let targets = [target(1, &[EventKind::KeyInvalid])];
        outbox.push(&targets, &event(1), now);
        now += GATHER;
        for wait in BACK_OFF {
            let message = outbox.take_due(now).remove(0);
            assert!(outbox.failed(message, now));
            assert_eq!(outbox.take_due(now + wait - Duration::from_millis(1)), []);
            now += wait;
        }
        let message = outbox.take_due(now).remove(0);
        assert_eq!(message.events, [event(1)]);
        assert!(!outbox.failed(message, now));
        assert_eq!(outbox.next_due(), None);
        outbox.push(&targets, &event(2), now);
        assert_eq!(outbox.take_due(now + APART)[0].events, [event(2)], "later events are not lost by it");
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_what_is_left_out_is_counted() {
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        let targets = [target(1, &[EventKind::KeyInvalid])];
        for number in 0..MOST_WAITING as i64 + 5 {
            outbox.push(&targets, &event(number), start);
        }
        let message = outbox.take_due(start + GATHER).remove(0);
        assert_eq!((message.events.len(), message.left_out), (MOST_OF_ONE, 5));
        assert_eq!(message.events[0], event(5), "the oldest were dropped");
        outbox.sent(NoticeTargetId(1), start + GATHER);
        assert_eq!(outbox.take_due(start + GATHER + APART)[0].left_out, 0);
        outbox.keep(&[]);
        assert_eq!(outbox.next_due(), None, "of a target that is gone nothing is kept");
    }
}
