//! Saves what rests, and what is used and known of limits, so that a restart neither sends calls to keys that are known to
//! be bad nor more than a limit still allows.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    model::time::UnixMs,
    scheduler::{
        pool::Saved,
        rest::{Rest, Scope},
    },
    storage::{
        Db, StorageResult,
        sends::{self, SendLog},
    },
};

/// How often changes are looked for. A crash forgets the rests of this long, which costs a call or two to learn again.
const EVERY: Duration = Duration::from_millis(100);

/// The longest time between two looks. Calls that may have been sent in it before a crash are taken for sent.
const SELDOM: Duration = Duration::from_secs(1);

/// Saving a large pool takes time, of which this part at most is spent: one in so many.
const PART: u32 = 20;

/// Takes over what an earlier run saved; what no longer reads back is left out. Call it after the catalog was declared.
///
/// From now on, until [`run`] ends in good order, a start takes this run for one that crashed.
pub async fn restore(db: &Db, folder: &Path, dispatch: &Dispatch) -> StorageResult<()> {
    load(db, folder, dispatch, true).await?;
    db.open_ledger().await
}

/// The same without a trace: for commands that only look. What went out after the last save was noted in the data folder. If it
/// was not, then with `crashed` calls that a run which did not end in good order may have sent are taken for sent.
pub async fn load(db: &Db, folder: &Path, dispatch: &Dispatch, crashed: bool) -> StorageResult<()> {
    let rests = db.load_rests().await?;
    let ledger = db.load_ledger().await?;
    let sent = sends::noted(folder);
    dispatch.recall(sent.as_deref().unwrap_or_default());
    {
        let now = dispatch.now();
        let rests = rests.iter().filter_map(|(scope, rest)| {
            let (scope, rest): (Scope, Rest) =
                (serde_json::from_str(scope).ok()?, serde_json::from_str(rest).ok()?);
            Some((scope, with_times(rest, &|at| now.to_steady(at))))
        });
        let mut pool = dispatch.lock();
        pool.rests_mut().restore(rests);
        if let Some(row) = ledger {
            match serde_json::from_str::<Saved>(&row.saved) {
                Ok(saved) => {
                    let unsaved = crashed && !row.complete && sent.is_none();
                    pool.restore(&saved, unsaved.then_some(SELDOM), now);
                    pool.replay(&sent.unwrap_or_default(), saved.at, now);
                }
                Err(error) => tracing::warn!(%error, "what was used of limits does not read back"),
            }
        }
    }
    Ok(())
}

/// Saves the rests and the pool whenever they have changed, and once more at the end.
pub async fn run(db: Db, dispatch: Dispatch, sends: Arc<SendLog>, stopping: CancellationToken) {
    let (mut saved_rests, mut saved_pool) = (0, 0);
    let mut pause = EVERY;
    loop {
        let stop = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = stopping.cancelled() => true,
        };
        let began = Instant::now();
        let (rests, pool) = {
            sends.turn();
            let mut pool = dispatch.lock();
            // Not before the lock is held: what is sent from here on is later than what is saved.
            let now = dispatch.now();
            let changes = pool.rests_mut().changes();
            let rests = (changes != saved_rests).then(|| {
                let rests = pool.rests_mut().snapshot(now.steady).into_iter();
                (
                    changes,
                    rests.map(|(scope, rest)| (scope, with_times(rest, &|at| now.to_wall(at)))).collect(),
                )
            });
            let changes = pool.changes();
            (rests, (stop || changes != saved_pool).then(|| (changes, pool.save(now))))
        };
        if let Some((changes, rests)) = rests {
            match db.save_rests(&rows(rests)).await {
                Ok(()) => saved_rests = changes,
                Err(error) => tracing::warn!(%error, "could not save what rests; trying again"),
            }
        }
        if let Some((changes, saved)) = pool {
            match serde_json::to_string(&saved) {
                Ok(saved) => match db.save_ledger(&saved, stop).await {
                    Ok(()) => {
                        saved_pool = changes;
                        sends.forget();
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not save what is used of limits; trying again");
                    }
                },
                Err(error) => tracing::warn!(%error, "could not write down what is used of limits"),
            }
        }
        if stop {
            return;
        }
        pause = (began.elapsed() * PART).clamp(EVERY, SELDOM);
    }
}

fn rows(rests: Vec<(Scope, Rest)>) -> Vec<(String, String)> {
    let row = |(scope, rest): (Scope, Rest)| {
        Some((serde_json::to_string(&scope).ok()?, serde_json::to_string(&rest).ok()?))
    };
    rests.into_iter().filter_map(row).collect()
}

/// The pool measures rests on the steady clock; rows hold times of day, since the next process has another steady clock.
fn with_times(rest: Rest, convert: &dyn Fn(UnixMs) -> UnixMs) -> Rest {
    Rest {
        below: rest.below.map(|below| Box::new(with_times(*below, convert))),
        since: convert(rest.since),
        until: convert(rest.until),
        struck_at: convert(rest.struck_at),
        ..rest
    }
}
