//! Gives a data folder a new master key: everything sealed is opened with the old one and sealed with the new one.
//!
//! A key in the folder changes in this order: the new one is written as `secret.key.new`; one transaction seals everything
//! anew; the new file takes the old one's name. Whoever opens the folder for good after a kill sees from the canary which
//! key is the right one ([`settle_key`]).
//!
//! Start reading at [`rotate`].

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Db, Engine, OpenError, StorageError, StorageResult, WriteTransaction,
    backup::{stamp, with_end},
    channels, check,
    folder::{self, DataFolder, FolderError, FolderLock},
    keys, notices, tokens,
    vault::Vault,
};
use crate::model::{
    id::{ChannelId, KeyId, NoticeTargetId, TokenId},
    secret::Secret,
    time::{Clock, UnixMs},
};

/// Why the master key was not rotated; the old one is in force then.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database did not do it.
    #[error("cannot seal the secrets anew: {0}")]
    Storage(#[from] StorageError),
    /// The new key is the old one.
    #[error("the new master key is the one in force: choose another one")]
    SameKey,
}

/// What a rotation has sealed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Channels.
    pub channels: u64,
    /// Keys.
    pub keys: u64,
    /// Values of tokens, also replaced ones.
    pub token_values: u64,
    /// Addresses and secrets of notifications.
    pub notice_targets: u64,
}

/// A rotation that is done.
#[derive(Debug)]
pub struct Rotated {
    /// What was sealed anew.
    pub resealed: Resealed,
    /// Where the folder keeps the old key, for backups from before; `None` if the key was not in the folder.
    pub old_key: Option<PathBuf>,
}

/// Puts `new` in place of the master key of a folder. `given` is the key in force if it is not the folder's own; then
/// the folder's files stay as they are, and the caller tells the operator what to change. Settle the folder first
/// ([`settle`](super::settle)).
///
/// Dropping the future, or a kill, leaves either key in force, and a folder that opens with it.
pub async fn rotate(
    folder: &DataFolder,
    lock: &FolderLock,
    given: Option<&Secret>,
    new: &Secret,
    clock: Clock,
) -> Result<Rotated, RotateError> {
    let old = folder.master_key(given.cloned())?;
    if old == *new {
        return Err(RotateError::SameKey);
    }
    let now = clock.now();
    let db = Db::open_existing(&folder.database(), Vault::new(&old), clock).await?;
    let in_folder = given.is_none();
    if in_folder {
        let path = folder.next_key_file();
        folder::write_key(&path, new).map_err(|source| FolderError::Unusable { path, source })?;
    }
    let resealed = db.reseal(&Vault::new(new)).await;
    db.close().await;
    // Also after an error: the canary tells whether the commit took place.
    let old_key = if in_folder { settle_key(folder, lock, now).await? } else { None };
    Ok(Rotated { resealed: resealed?, old_key })
}

/// Ends a rotation that was killed: a new key that opens the canary takes the old one's place, which is kept beside it; one
/// that does not is deleted. Gives the place of the old key, if it was replaced.
pub(super) async fn settle_key(
    folder: &DataFolder,
    _lock: &FolderLock,
    now: UnixMs,
) -> Result<Option<PathBuf>, FolderError> {
    let next = folder.next_key_file();
    // A key that was never whole, nor used; usually there is none.
    let _ = fs::remove_file(with_end(&next, ".draft"));
    let Some(new) = folder::read_key(&next)? else { return Ok(None) };
    let present = folder::read_key(&folder.key_file())?;
    let database = folder.database();
    let canary = check::canary_of(&database)
        .await
        .map_err(|error| FolderError::Unusable { path: database, source: io::Error::other(error) })?;
    let opens = |key: &Secret| canary.as_ref().is_some_and(|sealed| Vault::new(key).opens_canary(sealed));
    let unusable = |source| FolderError::Unusable { path: next.clone(), source };
    if opens(&new) {
        return promote(folder, &next, now).map_err(unusable);
    }
    if canary.is_none() || present.as_ref().is_some_and(opens) {
        fs::remove_file(&next).map_err(unusable)?;
        folder::sync_folder(folder.path()).map_err(unusable)?;
        tracing::info!("discarded the new master key of a rotation that did not take place");
    }
    // Else the key in force is given from outside, or lost; opening the database will tell.
    Ok(None)
}

/// Makes the new key the folder's, and keeps the old one under a name that says until when it was in force.
fn promote(folder: &DataFolder, next: &Path, now: UnixMs) -> io::Result<Option<PathBuf>> {
    let path = folder.key_file();
    let mut kept = None;
    if path.try_exists()? {
        let old = folder::unused(folder.path(), &format!("secret.key.until-{}", stamp(now)), "");
        if fs::hard_link(&path, &old).is_err() {
            // A file system without links.
            let key = folder::read_key(&path).map_err(io::Error::other)?;
            folder::write_key(&old, &key.ok_or(io::ErrorKind::NotFound)?)?;
        }
        kept = Some(old);
    }
    fs::rename(next, &path)?;
    folder::sync_folder(folder.path())?;
    tracing::info!("a new master key is in force");
    Ok(kept)
}

impl Db {
    /// Opens everything that is sealed and seals it with `new`, the keyed hashes and the canary too, in one transaction that
    /// is on the disk when this returns. This handle keeps the old key: close it.
    pub(super) async fn reseal(&self, new: &Vault) -> StorageResult<Resealed> {
        let Engine::Sqlite(pool) = &self.write;
        // The key's file is replaced right after the commit, which must not get lost with the power then; and what
        // is sealed with the old key must not stay in the file's unused parts.
        for pragma in ["PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON"] {
            sqlx::query(pragma).execute(pool).await?;
        }
        let mut tx = self.begin().await?;
        let again = Again { old: self.vault(), new };
        let resealed = Resealed {
            channels: again.channels(&mut tx).await?,
            keys: again.keys(&mut tx).await?,
            token_values: again.token_values(&mut tx).await?,
            notice_targets: again.notice_targets(&mut tx).await?,
        };
        sqlx::query("UPDATE meta SET value = $1 WHERE name = 'canary'")
            .bind(new.canary())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await?;
        Ok(resealed)
    }
}

/// Seals again what each table holds. Of deleted rows the secrets are erased, so that there is nothing to open.
struct Again<'a> {
    old: &'a Vault,
    new: &'a Vault,
}

impl Again<'_> {
    fn seal(&self, context: &str, sealed: &[u8]) -> StorageResult<Vec<u8>> {
        Ok(self.new.seal(context, self.old.open(context, sealed)?.expose()))
    }

    async fn channels(&self, tx: &mut WriteTransaction) -> StorageResult<u64> {
        let rows: Vec<(i64, Vec<u8>, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT id, headers_sealed, proxy_sealed FROM channels WHERE LENGTH(headers_sealed) > 0",
        )
        .fetch_all(&mut **tx)
        .await?;
        for (id, headers, proxy) in &rows {
            let channel = ChannelId(*id);
            let headers = self.seal(&channels::headers_context(channel), headers)?;
            let proxy = proxy
                .as_ref()
                .map(|proxy| self.seal(&channels::proxy_context(channel), proxy))
                .transpose()?;
            sqlx::query("UPDATE channels SET headers_sealed = $1, proxy_sealed = $2 WHERE id = $3")
                .bind(headers)
                .bind(proxy)
                .bind(id)
                .execute(&mut **tx)
                .await?;
        }
        Ok(rows.len() as u64)
    }

    async fn keys(&self, tx: &mut WriteTransaction) -> StorageResult<u64> {
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, secret_sealed FROM keys WHERE LENGTH(secret_sealed) > 0")
                .fetch_all(&mut **tx)
                .await?;
        for (id, sealed) in &rows {
            let context = keys::context(KeyId(*id));
            let secret = self.old.open(&context, sealed)?;
            sqlx::query("UPDATE keys SET secret_sealed = $1, secret_hash = $2 WHERE id = $3")
                .bind(self.new.seal(&context, secret.expose()))
                .bind(self.new.fingerprint(&secret))
                .bind(id)
                .execute(&mut **tx)
                .await?;
        }
        Ok(rows.len() as u64)
    }

    async fn notice_targets(&self, tx: &mut WriteTransaction) -> StorageResult<u64> {
        let rows: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, config_sealed FROM notice_targets").fetch_all(&mut **tx).await?;
        for (id, sealed) in &rows {
            sqlx::query("UPDATE notice_targets SET config_sealed = $1 WHERE id = $2")
                .bind(self.seal(&notices::context(NoticeTargetId(*id)), sealed)?)
                .bind(id)
                .execute(&mut **tx)
                .await?;
        }
        Ok(rows.len() as u64)
    }

    async fn token_values(&self, tx: &mut WriteTransaction) -> StorageResult<u64> {
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
            sqlx::query_as("SELECT hash, token_id, sealed FROM token_values WHERE LENGTH(sealed) > 0")
                .fetch_all(&mut **tx)
                .await?;
        for (hash, token, sealed) in &rows {
            sqlx::query("UPDATE token_values SET sealed = $1 WHERE hash = $2")
                .bind(self.seal(&tokens::context(TokenId(*token)), sealed)?)
                .bind(hash)
                .execute(&mut **tx)
                .await?;
        }
        Ok(rows.len() as u64)
    }
}

#[cfg(test)]
mod tests;
