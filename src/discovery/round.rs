//! Asks several upstreams at once, and tells how far that has come. A slow one holds up none of the others.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{Stream, StreamExt as _};
use tokio::sync::{Notify, watch};

use super::{RefreshFailure, Refreshed, refresh};
use crate::{
    model::{catalog::ChannelEntry, channel::EffectiveTimeouts, id::ChannelId, time::UnixMs},
    provider::Provider,
    storage::Db,
    upstream::client::Clients,
};

/// How many upstreams are asked at a time.
pub const AT_A_TIME: usize = 8;
/// The most names that a round keeps of channels that gave no list.
const MOST_FAILED: usize = 50;

/// An upstream to be asked.
pub struct Question {
    /// The channel and its keys.
    pub entry: Arc<ChannelEntry>,
    /// Whose rules hold.
    pub provider: Arc<Provider>,
    /// Limits of each request.
    pub timeouts: EffectiveTimeouts,
}

/// Asks [`AT_A_TIME`] upstreams at a time, and gives each question's place and outcome as soon as it is there. Dropping the
/// stream cancels what is under way.
pub fn ask_each<'a>(
    db: &'a Db,
    clients: &'a Clients,
    questions: &'a [Question],
    now: impl Fn() -> UnixMs + Copy + 'a,
) -> impl Stream<Item = (usize, Result<Refreshed, RefreshFailure>)> + 'a {
    futures_util::stream::iter(questions.iter().enumerate())
        .map(move |(place, Question { entry, provider, timeouts })| async move {
            (place, refresh(db, clients, entry, provider, *timeouts, now()).await)
        })
        .buffer_unordered(AT_A_TIME)
}

/// How far a round has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether upstreams are being asked.
    pub running: bool,
    /// How many are asked in this round.
    pub total: usize,
    /// How many of them have answered, or failed to.
    pub done: usize,
    /// How many models they list.
    pub models: usize,
    /// Names of channels that gave no list, at most fifty.
    pub failed: Vec<String>,
}

/// Rounds that somebody asks for. A page asks for one and need not wait; a job does the work. Cheap to clone.
#[derive(Clone)]
pub struct Rounds(Arc<Inner>);

struct Inner {
    wanted: Mutex<Wanted>,
    wake: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Wanted {
    /// Not begun yet.
    waiting: BTreeSet<ChannelId>,
    /// Of this round, whether begun or not.
    of_round: BTreeSet<ChannelId>,
}

impl Default for Rounds {
    fn default() -> Self {
        let progress = watch::Sender::new(Progress::default());
        Self(Arc::new(Inner { wanted: Mutex::default(), wake: Notify::new(), progress }))
    }
}

impl Rounds {
    /// Asks for these channels. What is asked already is not asked twice; a round that is under way gets longer.
    pub fn ask(&self, channels: impl IntoIterator<Item = ChannelId>) {
        let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut added = 0;
        for channel in channels {
            if wanted.of_round.insert(channel) {
                wanted.waiting.insert(channel);
                added += 1;
            }
        }
        if added == 0 {
            return;
        }
        self.0.progress.send_modify(|progress| {
            if !progress.running {
                *progress = Progress { running: true, ..Progress::default() };
            }
            progress.total += added;
        });
        self.0.wake.notify_one();
    }

    /// How far the round has come, or how the last one ended.
    pub fn progress(&self) -> Progress {
        self.0.progress.borrow().clone()
    }

    /// Waits until no round is under way. Can be dropped at any time.
    pub async fn finished(&self) -> Progress {
        let mut progress = self.0.progress.subscribe();
        match progress.wait_for(|progress| !progress.running).await {
            Ok(progress) => progress.clone(),
            Err(_) => Progress::default(),
        }
    }

    /// Waits for channels that are to be asked, and takes them.
    pub async fn next(&self) -> BTreeSet<ChannelId> {
        loop {
            let waiting = {
                let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut wanted.waiting)
            };
            if !waiting.is_empty() {
                return waiting;
            }
            self.0.wake.notified().await;
        }
    }

    /// Notes what came of one channel: how many models it lists, or that it gave no list.
    pub fn answered(&self, channel: &ChannelEntry, models: Option<usize>) {
        self.0.progress.send_modify(|progress| {
            progress.done += 1;
            match models {
                Some(models) => progress.models += models,
                None if progress.failed.len() < MOST_FAILED => {
                    progress.failed.push(channel.channel.name.clone());
                }
                None => {}
            }
        });
    }

    /// Notes that what [`next`](Self::next) gave is done; the round ends unless more was asked for meanwhile.
    pub fn done(&self) {
        let mut wanted = self.0.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.of_round = wanted.waiting.clone();
        let running = !wanted.waiting.is_empty();
        self.0.progress.send_modify(|progress| progress.running = running);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_twice_is_asked_once_and_a_round_grows() {
        let rounds = Rounds::default();
        rounds.ask([ChannelId(1), ChannelId(2)]);
        rounds.ask([ChannelId(2)]);
        assert_eq!(rounds.progress().total, 2);
        assert_eq!(rounds.next().await, BTreeSet::from([ChannelId(1), ChannelId(2)]));
        rounds.ask([ChannelId(1), ChannelId(3)]);
        assert_eq!(rounds.progress().total, 3, "1 is under way");
        rounds.done();
        assert!(rounds.progress().running);
        assert_eq!(rounds.next().await, BTreeSet::from([ChannelId(3)]));
        rounds.done();
        assert!(!rounds.finished().await.running);
        rounds.ask([ChannelId(1)]);
        assert_eq!(rounds.progress(), Progress { running: true, total: 1, ..Progress::default() });
    }
}
