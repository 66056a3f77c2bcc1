//! What waits to be told, what was told, and which facts hold: news and what is queued of them are written together, so that a
//! kill neither loses an event nor notices it twice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Db, StorageResult, WriteTransaction, notices::json, on};
use crate::model::{
    id::NoticeTargetId,
    notice::{Delivery, Event, EventKind, Report, SentMessage},
    time::UnixMs,
};

/// The most events that wait for one target; of more the oldest are dropped and counted.
pub const MOST_WAITING: i64 = 200;
/// The most messages of a target that are kept with what came of them: more than an hour may have.
const MOST_KEPT: i64 = 100;
/// The most facts that are remembered.
const MOST_FACTS: usize = 20_000;

/// A fact that held at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFact {
    /// Since when; 0: from before it was watched, so that nobody was told.
    pub since: UnixMs,
    /// Whether it was told; else it has not held for long enough.
    pub told: bool,
}

/// What came up at a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// What happened, for every target that wants to be told of its kind.
    pub events: Vec<Event>,
    /// What is for one target alone, such as its digest.
    pub personal: Vec<(NoticeTargetId, Event)>,
    /// Facts that hold now and did not before, or that were told now.
    pub facts: Vec<(String, KnownFact)>,
    /// Facts that hold no more.
    pub ended: Vec<String>,
    /// How far sources were told.
    pub marks: Vec<(String, i64)>,
}

/// Who gets what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// The target.
    pub target: NoticeTargetId,
    /// What it wants to be told of.
    pub kinds: Vec<EventKind>,
}

/// What is on its way to a target; see `notices::outbox`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueState {
    /// Events that wait, the oldest first.
    pub waiting: Vec<(i64, EventKind)>,
    /// A message that has not arrived yet, and when it is tried.
    pub unfinished: Option<(i64, UnixMs)>,
    /// Messages since a time: when each was made, and of what it told.
    pub recent: Vec<(UnixMs, Vec<EventKind>)>,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its id.
    pub id: i64,
    /// To whom.
    pub target: NoticeTargetId,
    /// When it was made.
    pub created_at: UnixMs,
    /// What it tells.
    pub events: Vec<Event>,
    /// How many events were too many to keep.
    pub left_out: usize,
    /// How often it was tried, this time included.
    pub tries: u32,
}

fn kinds_of(text: &str) -> Vec<EventKind> {
    let names: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    names.iter().filter_map(|name| EventKind::from_name(name)).collect()
}

impl Db {
    /// How far a source was told; `None` if it was never looked at.
    pub async fn notice_mark(&self, source: &str) -> StorageResult<Option<i64>> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT mark FROM notice_marks WHERE source = $1")
                .bind(source)
                .fetch_optional(pool)
        })?)
    }

    /// The facts that held at the last look.
    pub async fn notice_facts(&self) -> StorageResult<BTreeMap<String, KnownFact>> {
        let rows: Vec<(String, i64, bool)> =
            on!(self.read, |pool| sqlx::query_as("SELECT fact, since, told FROM notice_facts")
                .fetch_all(pool))?;
        Ok(rows
            .into_iter()
            .map(|(fact, since, told)| (fact, KnownFact { since: UnixMs(since), told }))
            .collect())
    }

    /// Takes in what came up at a look, all of it or nothing.
    pub async fn take_in_news(&self, news: &News, audience: &[Audience]) -> StorageResult<()> {
        if *news == News::default() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let mut touched = BTreeSet::new();
        let wanting = |event: &Event| -> Vec<NoticeTargetId> {
            let kind = event.kind();
            audience.iter().filter(|one| one.kinds.contains(&kind)).map(|one| one.target).collect()
        };
        let all = news.events.iter().flat_map(|event| wanting(event).into_iter().map(move |id| (id, event)));
        for (target, event) in all.chain(news.personal.iter().map(|(target, event)| (*target, event))) {
            // Of a target that was deleted meanwhile nothing is kept.
            sqlx::query(
                "INSERT INTO notice_events (target_id, kind, event)
                 SELECT id, $2, $3 FROM notice_targets WHERE id = $1",
            )
            .bind(target.0)
            .bind(event.kind().as_str())
            .bind(json(event)?)
            .execute(&mut *tx)
            .await?;
            touched.insert(target);
        }
        for target in touched {
            drop_oldest(&mut tx, target).await?;
        }
        for (fact, known) in news.facts.iter().take(MOST_FACTS) {
            sqlx::query(
                "INSERT INTO notice_facts (fact, since, told) VALUES ($1, $2, $3)
                 ON CONFLICT (fact) DO UPDATE SET since = excluded.since, told = excluded.told",
            )
            .bind(fact)
            .bind(known.since.0)
            .bind(known.told)
            .execute(&mut *tx)
            .await?;
        }
        for fact in &news.ended {
            sqlx::query("DELETE FROM notice_facts WHERE fact = $1").bind(fact).execute(&mut *tx).await?;
        }
        for (source, mark) in &news.marks {
            sqlx::query(
                "INSERT INTO notice_marks (source, mark) VALUES ($1, $2)
                 ON CONFLICT (source) DO UPDATE SET mark = excluded.mark",
            )
            .bind(source)
            .bind(mark)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// What is on its way, by target, with the messages that were made since a time; tests do not count.
    pub async fn notice_queues(&self, since: UnixMs) -> StorageResult<BTreeMap<NoticeTargetId, QueueState>> {
        let mut queues: BTreeMap<NoticeTargetId, QueueState> = BTreeMap::new();
        let waiting: Vec<(i64, i64, String)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT target_id, id, kind FROM notice_events WHERE message_id IS NULL ORDER BY id",
            )
            .fetch_all(pool)
        })?;
        for (target, id, kind) in waiting {
            // An event of another version, whose kind this one does not know, waits for that version.
            if let Some(kind) = EventKind::from_name(&kind) {
                queues.entry(NoticeTargetId(target)).or_default().waiting.push((id, kind));
            }
        }
        let messages: Vec<(i64, i64, i64, String, Option<i64>)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT target_id, id, created_at, kinds, next_at FROM notice_messages
                 WHERE test = FALSE AND (next_at IS NOT NULL OR created_at >= $1) ORDER BY id",
            )
            .bind(since.0)
            .fetch_all(pool)
        })?;
        for (target, id, created_at, kinds, next_at) in messages {
            let queue = queues.entry(NoticeTargetId(target)).or_default();
            if let Some(at) = next_at {
                queue.unfinished.get_or_insert((id, UnixMs(at)));
            }
            queue.recent.push((UnixMs(created_at), kinds_of(&kinds)));
        }
        Ok(queues)
    }

    /// Makes a message of events that wait, and of the count of those that were too many; it is due at once. `None` if the
    /// target was deleted meanwhile.
    pub async fn compose_notice(&self, target: NoticeTargetId, events: &[i64]) -> StorageResult<Option<i64>> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let left_out: Option<i64> = sqlx::query_scalar("SELECT dropped FROM notice_targets WHERE id = $1")
            .bind(target.0)
            .fetch_optional(&mut *tx)
            .await?;
        sqlx::query("UPDATE notice_targets SET dropped = 0 WHERE id = $1")
            .bind(target.0)
            .execute(&mut *tx)
            .await?;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO notice_messages
                 (target_id, created_at, kinds, events, left_out, test, tries, next_at, ok, report)
             SELECT id, $2, '[]', 0, $3, FALSE, 0, $2, FALSE, '{}' FROM notice_targets WHERE id = $1 RETURNING id",
        )
        .bind(target.0)
        .bind(now.0)
        .bind(left_out.unwrap_or(0))
        .fetch_optional(&mut *tx)
        .await?;
        let Some(id) = id else { return Ok(None) };
        let mut kinds = BTreeSet::new();
        let mut count: i64 = 0;
        for event in events {
            let kind: Option<String> = sqlx::query_scalar(
                "UPDATE notice_events SET message_id = $2
                 WHERE id = $1 AND target_id = $3 AND message_id IS NULL RETURNING kind",
            )
            .bind(event)
            .bind(id)
            .bind(target.0)
            .fetch_optional(&mut *tx)
            .await?;
            count += i64::from(kind.is_some());
            kinds.extend(kind);
        }
        sqlx::query("UPDATE notice_messages SET kinds = $2, events = $3 WHERE id = $1")
            .bind(id)
            .bind(json(&kinds)?)
            .bind(count)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Notes that a message is tried now, and gives it; should nobody note what came of it, it is tried again at `again_at`.
    /// An event that another version wrote and this one cannot read counts as left out. `None` if the message is gone.
    pub async fn begin_notice(&self, message: i64, again_at: UnixMs) -> StorageResult<Option<Outgoing>> {
        let now = self.now();
        let row: Option<(i64, i64, i64, i64)> = on!(self.write, |pool| {
            sqlx::query_as(
                "UPDATE notice_messages SET tries = tries + 1, tried_at = $2, next_at = $3
                 WHERE id = $1 AND next_at IS NOT NULL RETURNING target_id, created_at, left_out, tries",
            )
            .bind(message)
            .bind(now.0)
            .bind(again_at.0)
            .fetch_optional(pool)
        })?;
        let Some((target, created_at, left_out, tries)) = row else { return Ok(None) };
        let events: Vec<String> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT event FROM notice_events WHERE message_id = $1 ORDER BY id")
                .bind(message)
                .fetch_all(pool)
        })?;
        let noted = events.len();
        let events: Vec<Event> = events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
        let unreadable = noted - events.len();
        if unreadable > 0 {
            tracing::warn!(
                message_id = message,
                unreadable,
                "events of a notification cannot be read and are left out"
            );
        }
        Ok(Some(Outgoing {
            id: message,
            target: NoticeTargetId(target),
            created_at: UnixMs(created_at),
            events,
            left_out: usize::try_from(left_out).unwrap_or_default().saturating_add(unreadable),
            tries: u32::try_from(tries).unwrap_or(u32::MAX),
        }))
    }

    /// Notes what came of a try; without `next_at` the message is over, and its events are forgotten.
    pub async fn note_notice(
        &self,
        message: i64,
        delivery: &Delivery,
        next_at: Option<UnixMs>,
    ) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        let target: Option<i64> = sqlx::query_scalar(
            "UPDATE notice_messages SET tried_at = $2, ok = $3, report = $4, next_at = $5 WHERE id = $1
             RETURNING target_id",
        )
        .bind(message)
        .bind(delivery.at.0)
        .bind(delivery.ok)
        .bind(json(&delivery.report)?)
        .bind(next_at.map(|at| at.0))
        .fetch_optional(&mut *tx)
        .await?;
        if next_at.is_none() {
            sqlx::query("DELETE FROM notice_events WHERE message_id = $1")
                .bind(message)
                .execute(&mut *tx)
                .await?;
        }
        if let Some(target) = target {
            drop_old_messages(&mut tx, NoticeTargetId(target)).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Notes what came of a test; of a target that is gone meanwhile nothing is noted.
    pub async fn note_notice_test(&self, target: NoticeTargetId, delivery: &Delivery) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO notice_messages
                 (target_id, created_at, kinds, events, left_out, test, tries, tried_at, ok, report)
             SELECT id, $2, '[]', 0, 0, TRUE, 1, $2, $3, $4 FROM notice_targets WHERE id = $1",
        )
        .bind(target.0)
        .bind(delivery.at.0)
        .bind(delivery.ok)
        .bind(json(&delivery.report)?)
        .execute(&mut *tx)
        .await?;
        drop_old_messages(&mut tx, target).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets what waits for targets that are off: nobody wants to hear of it later.
    pub async fn forget_notices_of_disabled(&self) -> StorageResult<()> {
        let any: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT 1 FROM notice_events e JOIN notice_targets t ON t.id = e.target_id WHERE t.enabled = FALSE LIMIT 1",
            )
            .fetch_optional(pool)
        })?;
        if any.is_none() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for sql in [
            "DELETE FROM notice_messages WHERE next_at IS NOT NULL
             AND target_id IN (SELECT id FROM notice_targets WHERE enabled = FALSE)",
            "DELETE FROM notice_events WHERE target_id IN (SELECT id FROM notice_targets WHERE enabled = FALSE)",
            "UPDATE notice_targets SET dropped = 0 WHERE enabled = FALSE",
        ] {
            sqlx::query(sql).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The last messages to a target that were tried, the newest first, and how many events wait.
    pub async fn sent_notices(
        &self,
        target: NoticeTargetId,
        limit: i64,
    ) -> StorageResult<(Vec<SentMessage>, i64)> {
        type Row = (i64, bool, String, bool, String, i64, i64, i64, Option<i64>);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT tried_at, ok, report, test, kinds, events, left_out, tries, next_at FROM notice_messages
                 WHERE target_id = $1 AND tried_at IS NOT NULL ORDER BY id DESC LIMIT $2",
            )
            .bind(target.0)
            .bind(limit)
            .fetch_all(pool)
        })?;
        let waiting: i64 = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT COUNT(*) FROM notice_events WHERE target_id = $1")
                .bind(target.0)
                .fetch_one(pool)
        })?;
        let message = |(at, ok, report, test, kinds, events, left_out, tries, next_at): Row| SentMessage {
            delivery: Delivery {
                at: UnixMs(at),
                ok,
                report: serde_json::from_str::<Report>(&report).unwrap_or_default(),
            },
            test,
            kinds: kinds_of(&kinds),
            events: usize::try_from(events).unwrap_or_default(),
            left_out: usize::try_from(left_out).unwrap_or_default(),
            tries: u32::try_from(tries).unwrap_or(u32::MAX),
            next_at: next_at.map(UnixMs),
        };
        Ok((rows.into_iter().map(message).collect(), waiting))
    }

    /// Notes why the last scheduled backup failed, or that it did not.
    pub async fn note_backup_failure(&self, reason: Option<&str>) -> StorageResult<()> {
        let sql = match reason {
            Some(_) => {
                "INSERT INTO meta (name, value) VALUES ('backup_failure', $1)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            }
            None => "DELETE FROM meta WHERE name = 'backup_failure' AND $1 IS NULL",
        };
        on!(self.write, |pool| sqlx::query(sql).bind(reason).execute(pool))?;
        Ok(())
    }

    /// Why the last scheduled backup failed; `None` if it did not.
    pub async fn backup_failure(&self) -> StorageResult<Option<String>> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT value FROM meta WHERE name = 'backup_failure'").fetch_optional(pool)
        })?)
    }
}

async fn drop_oldest(tx: &mut WriteTransaction, target: NoticeTargetId) -> StorageResult<()> {
    let done = sqlx::query(
        "DELETE FROM notice_events WHERE target_id = $1 AND message_id IS NULL AND id <=
             (SELECT id FROM notice_events WHERE target_id = $1 AND message_id IS NULL
              ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(target.0)
    .bind(MOST_WAITING)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() > 0 {
        sqlx::query("UPDATE notice_targets SET dropped = dropped + $2 WHERE id = $1")
            .bind(target.0)
            .bind(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn drop_old_messages(tx: &mut WriteTransaction, target: NoticeTargetId) -> StorageResult<()> {
    sqlx::query(
        "DELETE FROM notice_messages WHERE target_id = $1 AND next_at IS NULL AND id <=
             (SELECT id FROM notice_messages WHERE target_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(target.0)
    .bind(MOST_KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            id::KeyId,
            notice::{Fault, NewTarget, Occurrence, Policy, Transport, Webhook},
            secret::Secret,
            time::Clock,
        },
        storage::vault::Vault,
    };

    async fn open() -> (tempfile::TempDir, Db, NoticeTargetId) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(&Secret::new("a master key of a test, long enough"));
        let clock = Clock::manual(UnixMs(1_000_000));
        let db = Db::open(&folder.path().join("onepool.db"), vault, clock).await.unwrap();
        let target = NewTarget {
            name: "ops".into(),
            enabled: true,
            kinds: vec![EventKind::KeyInvalid],
            language: "en".into(),
            policy: Policy::default(),
            allow_private: false,
            transport: Transport::Webhook(Webhook { url: Secret::new("https://a.example"), header: None }),
        };
        let id = db.create_notice_target(&target).await.unwrap();
        (folder, db, id)
    }

    fn event(number: i64) -> Event {
        let what = Occurrence::KeyInvalid { key: KeyId(number), shown: "…cdef".into() };
        Event { at: UnixMs(number), channel: None, what }
    }

    fn news(numbers: std::ops::Range<i64>) -> News {
        News { events: numbers.map(event).collect(), ..News::default() }
    }

    #[tokio::test]
    async fn events_wait_become_a_message_and_are_forgotten_when_it_has_arrived() {
        let (_folder, db, target) = open().await;
        let audience = [Audience { target, kinds: vec![EventKind::KeyInvalid] }];
        db.take_in_news(&news(0..3), &audience).await.unwrap();
        let not_wanted = [Audience { target, kinds: vec![EventKind::Digest] }];
        db.take_in_news(&news(3..4), &not_wanted).await.unwrap();
        let queue = db.notice_queues(UnixMs(0)).await.unwrap().remove(&target).unwrap();
        assert_eq!(queue.waiting.len(), 3);
        let ids: Vec<i64> = queue.waiting.iter().map(|(id, _)| *id).collect();
        let message = db.compose_notice(target, &ids[..2]).await.unwrap().unwrap();
        let queue = db.notice_queues(UnixMs(0)).await.unwrap().remove(&target).unwrap();
        assert_eq!((queue.waiting.len(), queue.unfinished), (1, Some((message, UnixMs(1_000_000)))));
        assert_eq!(queue.recent, [(UnixMs(1_000_000), vec![EventKind::KeyInvalid])]);
        let outgoing = db.begin_notice(message, UnixMs(2_000_000)).await.unwrap().unwrap();
        assert_eq!((outgoing.events, outgoing.tries), (vec![event(0), event(1)], 1));
        let queue = db.notice_queues(UnixMs(0)).await.unwrap().remove(&target).unwrap();
        assert_eq!(queue.unfinished, Some((message, UnixMs(2_000_000))), "a kill now sends it again, later");
        let report = Report { fault: Some(Fault::NoAnswer), ..Report::default() };
        let failed = Delivery { at: UnixMs(5), ok: false, report };
        db.note_notice(message, &failed, Some(UnixMs(9))).await.unwrap();
        assert_eq!(db.begin_notice(message, UnixMs(10)).await.unwrap().unwrap().events.len(), 2);
        let ok = Delivery { at: UnixMs(9), ok: true, report: Report::default() };
        db.note_notice(message, &ok, None).await.unwrap();
        assert_eq!(db.begin_notice(message, UnixMs(10)).await.unwrap(), None, "it is over");
        let (sent, waiting) = db.sent_notices(target, 10).await.unwrap();
        assert_eq!((sent.len(), sent[0].tries, sent[0].events, waiting), (1, 2, 2, 1));
        assert_eq!(sent[0].delivery, ok);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_what_is_left_out_is_counted_once() {
        let (_folder, db, target) = open().await;
        let audience = [Audience { target, kinds: vec![EventKind::KeyInvalid] }];
        db.take_in_news(&news(0..MOST_WAITING + 5), &audience).await.unwrap();
        let queue = db.notice_queues(UnixMs(0)).await.unwrap().remove(&target).unwrap();
        let ids: Vec<i64> = queue.waiting.iter().map(|(id, _)| *id).collect();
        let message = db.compose_notice(target, &ids).await.unwrap().unwrap();
        let outgoing = db.begin_notice(message, UnixMs(0)).await.unwrap().unwrap();
        assert_eq!((outgoing.events.len(), outgoing.left_out), (MOST_WAITING as usize, 5));
        assert_eq!(outgoing.events[0], event(5), "the oldest were dropped");
        let again = db.compose_notice(target, &[]).await.unwrap().unwrap();
        assert_eq!(db.begin_notice(again, UnixMs(0)).await.unwrap().unwrap().left_out, 0);
    }

    #[tokio::test]
    async fn old_messages_go_and_a_deleted_or_disabled_target_keeps_nothing() {
        let (_folder, db, target) = open().await;
        let ok = Delivery { at: UnixMs(9), ok: true, report: Report::default() };
        for _ in 0..MOST_KEPT + 3 {
            db.note_notice_test(target, &ok).await.unwrap();
        }
        assert_eq!(db.sent_notices(target, 1000).await.unwrap().0.len() as i64, MOST_KEPT);
        let audience = [Audience { target, kinds: vec![EventKind::KeyInvalid] }];
        db.take_in_news(&news(0..3), &audience).await.unwrap();
        let off = NewTarget { enabled: false, ..db.notice_targets().await.unwrap().remove(0).set };
        db.update_notice_target(target, &off).await.unwrap();
        db.forget_notices_of_disabled().await.unwrap();
        assert_eq!(db.sent_notices(target, 1).await.unwrap().1, 0);
        db.take_in_news(&news(0..3), &audience).await.unwrap();
        db.delete_notice_target(target).await.unwrap();
        assert_eq!(db.notice_queues(UnixMs(0)).await.unwrap(), BTreeMap::new());
        db.take_in_news(&news(0..3), &audience).await.unwrap();
        assert_eq!(db.compose_notice(target, &[]).await.unwrap(), None, "nobody is there to get it");
    }

    #[tokio::test]
    async fn facts_and_marks_are_remembered_and_a_backups_failure_until_one_succeeds() {
        let (_folder, db, _) = open().await;
        let known = KnownFact { since: UnixMs(7), told: false };
        let mut news = News { marks: vec![("x".into(), 3)], ..News::default() };
        news.facts = vec![("a".into(), known), ("b".into(), known)];
        db.take_in_news(&news, &[]).await.unwrap();
        let told = KnownFact { told: true, ..known };
        let news = News { facts: vec![("a".into(), told)], ended: vec!["b".into()], ..News::default() };
        db.take_in_news(&news, &[]).await.unwrap();
        assert_eq!(db.notice_facts().await.unwrap(), BTreeMap::from([("a".to_owned(), told)]));
        assert_eq!((db.notice_mark("x").await.unwrap(), db.notice_mark("y").await.unwrap()), (Some(3), None));
        db.note_backup_failure(Some("no space")).await.unwrap();
        assert_eq!(db.backup_failure().await.unwrap().as_deref(), Some("no space"));
        db.note_backup_failure(None).await.unwrap();
        assert_eq!(db.backup_failure().await.unwrap(), None);
    }
}
