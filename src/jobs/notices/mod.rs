//! Notices what operators want to be told of, and tells them. What was noticed is queued in the transaction that notes it as
//! noticed, and stays until it was told or given up, so a kill loses nothing.

mod budgets;
mod digests;
mod facts;
mod keys;
mod models;
mod pool;

use std::{collections::BTreeSet, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    model::{
        id::NoticeTargetId,
        notice::{EventKind, Target},
        time::{Clock, UnixMs},
    },
    notices::{
        DELIVERY_LIMIT, Message, Outcome, deliver,
        outbox::{Backlog, LONGEST_MEMORY, Step, next_step, retry_at},
    },
    storage::{
        Db, StorageResult,
        catalog::CatalogStore,
        notice_queue::{Audience, News, Outgoing},
    },
    upstream::client::Clients,
};
use facts::{Fact, Held};

/// How often the job looks for news.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often it looks at limits and budgets, of which there may be thousands.
const SLOW_EVERY: Duration = Duration::from_secs(60);
/// How often it works out what the pool can still do.
const POOL_EVERY: Duration = Duration::from_secs(300);
/// When a message is tried again of which nobody noted what came of it, because the process was killed meanwhile. Longer
/// than a delivery may take.
const UNKNOWN_AFTER: Duration = Duration::from_secs(60);

/// What the job works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Channels and keys.
    pub catalog: CatalogStore,
    /// What rests, and why.
    pub dispatch: Dispatch,
    /// The network.
    pub clients: Clients,
    /// The time.
    pub clock: Clock,
}

/// Looks for ever. Deliveries run beside the looking and beside each other; each has its time limit.
pub async fn run(parts: Parts, stopping: CancellationToken) {
    let mut desk = Desk::new(parts);
    let mut deliveries = FuturesUnordered::new();
    let mut next_look = Instant::now() + LOOK_EVERY;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next_look) => {
                next_look = Instant::now() + LOOK_EVERY;
                if let Err(error) = desk.look().await {
                    tracing::warn!(%error, "cannot look for what is to be notified; trying again");
                }
                match desk.due().await {
                    Ok(due) => deliveries.extend(due),
                    Err(error) => tracing::warn!(%error, "cannot read which notifications are due; trying again"),
                }
            }
            Some(sent) = deliveries.next() => desk.note(sent).await,
            () = stopping.cancelled() => return,
        }
    }
}

/// A message that was tried, and what came of it.
type Sent = (Outgoing, Outcome);

/// What the job remembers between two looks; nothing that a restart would miss.
pub struct Desk {
    parts: Parts,
    /// Targets that are being written to.
    sending: BTreeSet<NoticeTargetId>,
    targets: Vec<Target>,
    slow: (Option<UnixMs>, Held),
    pool: (Option<UnixMs>, Vec<Fact>),
}

impl Desk {
    /// A desk that knows nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            sending: BTreeSet::new(),
            targets: Vec::new(),
            slow: (None, Held::default()),
            pool: (None, vec![]),
        }
    }

    /// Looks for news and queues what is to be told. What cannot be looked up of it waits for the next look and holds up nothing
    /// else.
    pub async fn look(&mut self) -> StorageResult<News> {
        let Parts { db, clock, .. } = &self.parts;
        self.targets = db.notice_targets().await?;
        db.forget_notices_of_disabled().await?;
        let (now, catalog) = (clock.now(), self.parts.catalog.load());
        let on: Vec<&Target> = self.targets.iter().filter(|target| target.set.enabled).collect();
        let known = db.notice_facts().await?;
        let mut held = Held::default();
        held.take(keys::NAMES, keys::refused(&self.parts, now).await);
        pool::channels_down(&mut held, &self.parts, &catalog, &known, now).await;
        held.facts.extend(pool::empty_chains(&catalog, now));
        held.take(EventKind::BackupFailed.as_str(), pool::backup_failed(db, now).await);
        let is_due =
            |last: Option<UnixMs>, every: Duration| last.is_none_or(|at| now < at || now.since(at) >= every);
        if is_due(self.slow.0, SLOW_EVERY) {
            let percent = catalog.settings.notify_quota_percent;
            let mut slow = Held::default();
            slow.facts.extend(pool::low_quotas(&self.parts, &catalog, &known, percent, now));
            slow.take(budgets::NAMES, budgets::spent(db, &catalog, now).await);
            self.slow = (Some(now), slow);
        }
        if is_due(self.pool.0, POOL_EVERY) {
            self.pool = (Some(now), pool::low_pool(&self.parts, &catalog, now));
        }
        held.take_again(&self.slow.1);
        held.facts.extend_from_slice(&self.pool.1);
        let mut news = News::default();
        let first = db.notice_mark(facts::MARK).await?.is_none();
        facts::compare(&mut news, &held, &known, first, &catalog, now);
        match models::news(db).await {
            Ok((events, told)) => {
                news.events.extend(events);
                news.marks.extend(told.map(|id| ("model_changes".to_owned(), id)));
            }
            Err(error) => tracing::warn!(%error, "cannot look for changes of models; trying again"),
        }
        digests::due(&mut news, &self.parts, &catalog, &on, now).await;
        let audience: Vec<Audience> =
            on.iter().map(|target| Audience { target: target.id, kinds: target.set.kinds.clone() }).collect();
        db.take_in_news(&news, &audience).await?;
        Ok(news)
    }

    /// Begins every delivery that is due; what comes of each goes to [`note`](Self::note). A target that is being written to
    /// gets nothing else meanwhile, and neither it nor one whose message cannot be made now holds up another.
    pub async fn due(&mut self) -> StorageResult<Vec<BoxFuture<'static, Sent>>> {
        let Parts { db, clock, .. } = &self.parts;
        let (now, zone) = (clock.now(), self.parts.catalog.load().zone.clone());
        let mut begun: Vec<BoxFuture<'static, Sent>> = Vec::new();
        for (id, state) in db.notice_queues(now - LONGEST_MEMORY).await? {
            let target = self.targets.iter().find(|target| target.id == id && target.set.enabled);
            let Some(target) = target.filter(|_| !self.sending.contains(&id)) else { continue };
            let backlog =
                Backlog { waiting: state.waiting, unfinished: state.unfinished, recent: state.recent };
            let step = next_step(&target.set.policy, &backlog, now, &zone);
            let outgoing = match begin(db, id, step, now).await {
                Ok(Some(outgoing)) => outgoing,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(target_id = id.0, %error, "cannot make a notification; trying again");
                    continue;
                }
            };
            let (set, clients, zone) = (target.set.clone(), self.parts.clients.clone(), zone.clone());
            let delivery = async move {
                let message = Message {
                    id: format!("onepool-{}-{}", outgoing.created_at.0, outgoing.id),
                    events: outgoing.events.clone(),
                    left_out: outgoing.left_out,
                };
                let outcome = deliver(&clients, &set, &message, now, &zone).await;
                (outgoing, outcome)
            };
            // Only what is handed out: nothing else would take the target out of here again.
            self.sending.insert(id);
            begun.push(delivery.boxed());
        }
        Ok(begun)
    }

    /// Notes what came of a delivery, and when it is tried again.
    pub async fn note(&mut self, (outgoing, outcome): Sent) {
        self.sending.remove(&outgoing.target);
        let now = self.parts.clock.now();
        let next =
            if outcome.worth_another { retry_at(outgoing.tries, outcome.retry_after, now) } else { None };
        if !outcome.delivery.ok && next.is_none() {
            let fault = outcome.delivery.report.fault.map_or("", |fault| fault.as_str());
            tracing::warn!(target_id = outgoing.target.0, fault, "a notification was given up");
        }
        if let Err(error) = self.parts.db.note_notice(outgoing.id, &outcome.delivery, next).await {
            tracing::warn!(%error, "cannot note what came of a notification; it is sent again");
        }
    }

    /// Looks once, and waits until all that was due then has been tried.
    pub async fn round(&mut self) -> StorageResult<News> {
        let news = self.look().await?;
        let mut deliveries: FuturesUnordered<_> = self.due().await?.into_iter().collect();
        while let Some(sent) = deliveries.next().await {
            self.note(sent).await;
        }
        Ok(news)
    }
}

/// The message that is to be sent to a target now; `None` if there is none, or if the target or the message is gone.
async fn begin(db: &Db, target: NoticeTargetId, step: Step, now: UnixMs) -> StorageResult<Option<Outgoing>> {
    let message = match step {
        Step::Wait(_) => return Ok(None),
        Step::Send(message) => message,
        Step::Compose(events) => match db.compose_notice(target, &events).await? {
            Some(message) => message,
            None => return Ok(None),
        },
    };
    db.begin_notice(message, now + UNKNOWN_AFTER).await
}

const _: () = assert!(UNKNOWN_AFTER.as_secs() > DELIVERY_LIMIT.as_secs());
