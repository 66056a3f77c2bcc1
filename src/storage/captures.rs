//! Captures: which there are, in the database; and what was captured, sealed, in files of the data folder.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Db, StorageError, StorageResult, on, vault::Vault};
use crate::model::{
    capture::{Capture, CapturedCall, KEPT_AFTER},
    id::{RequestId, TokenId},
    time::UnixMs,
};

/// The folder in the data folder.
const FOLDER: &str = "captures";

impl Db {
    /// Every capture that runs or whose calls are kept, by token.
    pub async fn captures(&self) -> StorageResult<Vec<Capture>> {
        type Row = (i64, i64, i64, i64, String);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT token_id, started_at, ends_at, keep_until, started_by FROM captures ORDER BY token_id",
            )
            .fetch_all(pool)
        })?;
        Ok(rows.into_iter().map(capture).collect())
    }

    /// Begins to capture a token's calls for a time; what was captured before belongs to it. Fails with
    /// [`StorageError::Taken`] while another token's calls are captured, and with [`StorageError::Missing`] if there is no
    /// such token.
    pub async fn start_capture(&self, token: TokenId, length: Duration, by: &str) -> StorageResult<Capture> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let living: Option<i64> =
            sqlx::query_scalar("SELECT id FROM tokens WHERE id = $1 AND deleted_at IS NULL")
                .bind(token.0)
                .fetch_optional(&mut *tx)
                .await?;
        if living.is_none() {
            return Err(StorageError::Missing);
        }
        let other: Option<i64> =
            sqlx::query_scalar("SELECT token_id FROM captures WHERE ends_at > $1 AND token_id <> $2")
                .bind(now.0)
                .bind(token.0)
                .fetch_optional(&mut *tx)
                .await?;
        if other.is_some() {
            return Err(StorageError::Taken("capture"));
        }
        let ends_at = now + length;
        let new = (token.0, now.0, ends_at.0, (ends_at + KEPT_AFTER).0, by.to_owned());
        sqlx::query(
            "INSERT INTO captures (token_id, started_at, ends_at, keep_until, started_by) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (token_id) DO UPDATE SET started_at = excluded.started_at, ends_at = excluded.ends_at,
             keep_until = excluded.keep_until, started_by = excluded.started_by",
        )
        .bind(new.0)
        .bind(new.1)
        .bind(new.2)
        .bind(new.3)
        .bind(&new.4)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(capture(new))
    }

    /// Ends a capture; what it has is kept for its time. Says whether one ran.
    pub async fn stop_capture(&self, token: TokenId) -> StorageResult<bool> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE captures SET ends_at = $2, keep_until = $3 WHERE token_id = $1 AND ends_at > $2",
        )
        .bind(token.0)
        .bind(now.0)
        .bind((now + KEPT_AFTER).0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Ends a capture; nothing of it may be kept. The files are the [`CaptureFolder`]'s to erase.
    pub async fn end_capture(&self, token: TokenId) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM captures WHERE token_id = $1").bind(token.0).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets captures whose calls are not kept any longer.
    pub async fn delete_captures_before(&self, now: UnixMs) -> StorageResult<u64> {
        let mut tx = self.begin().await?;
        let done =
            sqlx::query("DELETE FROM captures WHERE keep_until <= $1").bind(now.0).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// The files of captures in a data folder.
    pub fn capture_folder(&self, data_folder: &Path) -> CaptureFolder {
        CaptureFolder { path: data_folder.join(FOLDER), vault: self.vault().clone() }
    }
}

fn capture(row: (i64, i64, i64, i64, String)) -> Capture {
    let (token, started_at, ends_at, keep_until, started_by) = row;
    Capture {
        token_id: TokenId(token),
        started_at: UnixMs(started_at),
        ends_at: UnixMs(ends_at),
        keep_until: UnixMs(keep_until),
        started_by,
    }
}

/// What was captured: a folder per token, a sealed file per call. No backup has it, and with another master key it does not
/// open. Everything here blocks.
#[derive(Clone)]
pub struct CaptureFolder {
    path: PathBuf,
    vault: Vault,
}

impl CaptureFolder {
    fn of(&self, token: TokenId) -> PathBuf {
        self.path.join(token.to_string())
    }

    fn context(token: TokenId, call: RequestId) -> String {
        format!("capture:{token}:{call}")
    }

    /// Keeps a call; a file that only its owner can read.
    pub fn save(&self, token: TokenId, id: RequestId, call: &CapturedCall) -> io::Result<()> {
        let folder = self.of(token);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let text = serde_json::to_string(call).map_err(io::Error::other)?;
        let sealed = self.vault.seal(&Self::context(token, id), &text);
        let path = folder.join(format!("{id}.sealed"));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        io::Write::write_all(&mut file, &sealed)
    }

    /// A call, if it was captured and can be opened.
    pub fn find(&self, token: TokenId, id: RequestId) -> Option<CapturedCall> {
        let sealed = fs::read(self.of(token).join(format!("{id}.sealed"))).ok()?;
        let text = self.vault.open(&Self::context(token, id), &sealed).ok()?;
        serde_json::from_str(text.expose()).ok()
    }

    /// How many calls of a token there are, and how many bytes they take.
    pub fn size(&self, token: TokenId) -> (usize, u64) {
        let Ok(files) = fs::read_dir(self.of(token)) else { return (0, 0) };
        let sizes = files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len());
        sizes.fold((0, 0), |(calls, bytes), size| (calls + 1, bytes + size))
    }

    /// Erases a token's calls.
    pub fn erase(&self, token: TokenId) -> io::Result<()> {
        match fs::remove_dir_all(self.of(token)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Erases what belongs to no capture any more. What cannot be erased holds up nothing else; the last error is given.
    pub fn erase_all_but(&self, kept: &BTreeSet<TokenId>) -> io::Result<()> {
        let folders = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let mut done = Ok(());
        for folder in folders.flatten() {
            let name = folder.file_name();
            let token = name.to_str().and_then(|name| name.parse::<TokenId>().ok());
            if token.is_none_or(|token| !kept.contains(&token)) {
                let is_folder = folder.file_type().is_ok_and(|kind| kind.is_dir());
                let path = folder.path();
                let erased = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                done = erased.and(done);
            }
        }
        done
    }
}
