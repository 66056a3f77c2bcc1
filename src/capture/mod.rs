//! Capturing one token's requests and answers for a limited time, for its operator to read.
//!
//! Off, it costs a call one look at an empty list of the catalog. On, a [`Taking`] keeps what goes by, within bounds, and hands it to
//! one task ([`run`]) when the call ends, however it ends. The task masks credentials, leaves contents of files out ([`clean`]),
//! and seals the rest into a file; it also erases what nobody may keep any longer.

pub mod clean;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        capture::{Capture, CapturedCall},
        id::{RequestId, TokenId},
        secret::Secret,
        time::{Clock, UnixMs},
    },
    storage::{Db, StorageResult, captures::CaptureFolder, catalog::CatalogStore},
};

/// The most calls that are captured for a token, and the most bytes that they take together, sealed.
pub const MOST_CALLS: usize = 500;
/// See [`MOST_CALLS`].
pub const MOST_BYTES: u64 = 64 << 20;
/// Calls that are watched at the same time; further ones are not captured.
const MOST_AT_A_TIME: usize = 16;
/// Of a request and of an answer, what is looked at.
const MOST_REQUEST_BYTES: usize = 8 << 20;
const MOST_ANSWER_BYTES: usize = 2 << 20;
/// How often it is looked what is to be erased.
const EVERY: Duration = Duration::from_secs(20);

/// Captures of the process. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Captures(Arc<Shared>);

struct Shared {
    taken: mpsc::Sender<Taken>,
    places: Arc<Semaphore>,
    folder: CaptureFolder,
}

/// What the task of captures works with.
pub struct Task {
    taken: mpsc::Receiver<Taken>,
    folder: CaptureFolder,
    db: Db,
    catalog: CatalogStore,
    clock: Clock,
}

/// A call that has ended.
struct Taken {
    token: TokenId,
    started_at: UnixMs,
    request_id: RequestId,
    request: Bytes,
    request_bytes: usize,
    answer: Vec<u8>,
    answer_bytes: u64,
    status: u16,
    stream: bool,
    whole: bool,
    _place: OwnedSemaphorePermit,
}

impl Captures {
    /// Captures into a folder, and what [`run`] needs.
    pub fn new(folder: CaptureFolder, db: Db, catalog: CatalogStore, clock: Clock) -> (Self, Task) {
        let (sender, taken) = mpsc::channel(MOST_AT_A_TIME * 2);
        let shared = Shared {
            taken: sender,
            places: Arc::new(Semaphore::new(MOST_AT_A_TIME)),
            folder: folder.clone(),
        };
        (Self(Arc::new(shared)), Task { taken, folder, db, catalog, clock })
    }

    /// Begins to capture a call; `None` if too many are being captured.
    pub fn begin(&self, capture: &Capture, request_id: RequestId, request: &Bytes) -> Option<Taking> {
        let place = self.0.places.clone().try_acquire_owned().ok()?;
        let small = request.len() <= MOST_REQUEST_BYTES;
        Some(Taking {
            captures: self.clone(),
            taken: Some(Taken {
                token: capture.token_id,
                started_at: capture.started_at,
                request_id,
                request: if small { request.clone() } else { Bytes::new() },
                request_bytes: request.len(),
                answer: Vec::new(),
                answer_bytes: 0,
                status: 0,
                stream: false,
                whole: false,
                _place: place,
            }),
        })
    }

    /// A call as it was captured.
    pub async fn find(&self, token: TokenId, id: RequestId) -> Option<CapturedCall> {
        let folder = self.0.folder.clone();
        tokio::task::spawn_blocking(move || folder.find(token, id)).await.ok().flatten()
    }

    /// How many calls of a token are kept, and how many bytes they take.
    pub async fn size(&self, token: TokenId) -> (usize, u64) {
        let folder = self.0.folder.clone();
        tokio::task::spawn_blocking(move || folder.size(token)).await.unwrap_or_default()
    }

    /// Erases a token's calls; end the capture first, else further ones are captured.
    pub async fn erase(&self, token: TokenId) -> std::io::Result<()> {
        let folder = self.0.folder.clone();
        tokio::task::spawn_blocking(move || folder.erase(token))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }
}

/// A call that is being captured. Dropped, it is handed over as far as it came.
pub struct Taking {
    captures: Captures,
    taken: Option<Taken>,
}

impl Taking {
    /// Notes the beginning of the answer.
    pub fn answered(&mut self, status: u16, stream: bool) {
        if let Some(taken) = &mut self.taken {
            (taken.status, taken.stream) = (status, stream);
        }
    }

    /// Keeps a piece of the answer.
    pub fn piece(&mut self, piece: &[u8]) {
        if let Some(taken) = &mut self.taken {
            taken.answer_bytes += piece.len() as u64;
            let room = MOST_ANSWER_BYTES.saturating_sub(taken.answer.len());
            taken.answer.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    }

    /// Notes that the answer went out to its end.
    pub fn finished(&mut self) {
        if let Some(taken) = &mut self.taken {
            taken.whole = true;
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take()
            && self.captures.0.taken.try_send(taken).is_err()
        {
            tracing::warn!("a call was not captured: too many ended at once");
        }
    }
}

/// Keeps what was captured and erases what is over, until `stopping`.
pub async fn run(task: Task, stopping: CancellationToken) {
    let Task { mut taken, folder, db, catalog, clock } = task;
    let work = async {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                call = taken.recv() => match call {
                    Some(call) => keep(call, &folder, &catalog).await,
                    None => return,
                },
                _ = tick.tick() => {
                    if let Err(error) = erase_old(&folder, &db, &catalog, clock.now()).await {
                        tracing::error!(%error, "old captures could not be erased");
                    }
                }
            }
        }
    };
    stopping.run_until_cancelled(work).await;
}

async fn keep(call: Taken, folder: &CaptureFolder, catalog: &CatalogStore) {
    let snapshot = catalog.load();
    // Its capture may have been erased, or begun anew, while the call went on.
    let wanted = snapshot
        .captures()
        .iter()
        .any(|capture| capture.token_id == call.token && capture.started_at <= call.started_at);
    if !wanted {
        return;
    }
    let secrets: Vec<Secret> =
        snapshot.channels().flat_map(|entry| entry.keys.iter().map(|key| key.secret.clone())).collect();
    let folder = folder.clone();
    let kept = tokio::task::spawn_blocking(move || {
        let (calls, bytes) = folder.size(call.token);
        if calls >= MOST_CALLS || bytes >= MOST_BYTES {
            return Ok(());
        }
        folder.save(call.token, call.request_id, &cleaned(&call, &secrets))
    });
    if let Ok(Err(error)) = kept.await {
        tracing::error!(%error, "a captured call could not be kept");
    }
}

fn cleaned(call: &Taken, secrets: &[Secret]) -> CapturedCall {
    let cleaner = clean::Cleaner::new(secrets);
    let request = cleaner.body(&call.request);
    let (answer, text, pieces_left_out) = if call.stream {
        cleaner.events(&call.answer)
    } else {
        let (answer, text) = cleaner.answer(&call.answer);
        (answer, text, false)
    };
    let (request, cut_request) = clean::cut(request);
    let (answer, cut_answer) = clean::cut(answer);
    let (text, cut_text) = clean::cut(text);
    CapturedCall {
        request,
        request_bytes: call.request_bytes as u64,
        status: call.status,
        answer,
        answer_bytes: call.answer_bytes,
        text,
        stream: call.stream,
        whole: call.whole,
        cut: cut_request
            || cut_answer
            || cut_text
            || call.answer_bytes > call.answer.len() as u64
            || call.request_bytes > call.request.len(),
        pieces_left_out,
    }
}

async fn erase_old(
    folder: &CaptureFolder,
    db: &Db,
    catalog: &CatalogStore,
    now: UnixMs,
) -> StorageResult<()> {
    let captures = db.captures().await?;
    if captures.iter().any(|capture| capture.keep_until <= now) {
        db.delete_captures_before(now).await?;
        catalog.follow().await?;
    }
    let kept: BTreeSet<TokenId> =
        captures.iter().filter(|capture| capture.keep_until > now).map(|capture| capture.token_id).collect();
    let folder = folder.clone();
    let erased = tokio::task::spawn_blocking(move || folder.erase_all_but(&kept));
    if let Ok(Err(error)) = erased.await {
        tracing::error!(%error, "captured calls could not be erased");
    }
    Ok(())
}
