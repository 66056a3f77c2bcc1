//! Which programs used a token, and which models it asked for lately.

use std::collections::BTreeMap;

use super::{Db, StorageResult, WriteTransaction, on};
use crate::model::{id::TokenId, time::UnixMs, usage::UsageRecord};

/// The calls that [`Db::recent_models`] looks at.
pub const RECENT_CALLS: u32 = 1000;

/// The most models that [`Db::recent_models`] names.
pub const RECENT_MODELS: u32 = 10;

/// A program that used a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClient {
    /// What kind of client it is, as in the usage log.
    pub kind: String,
    /// Its version, or that of the library that it calls with, by name; `None` if it tells neither.
    pub version: Option<String>,
    /// When its last call arrived.
    pub last_at: UnixMs,
}

/// A model that a token asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentModel {
    /// The model as asked.
    pub model: String,
    /// How many of the token's last [`RECENT_CALLS`] calls asked for it.
    pub calls: u32,
    /// When the last of them arrived.
    pub last_at: UnixMs,
}

impl Db {
    /// The programs that used a token, the last one first; at most eight are known.
    pub async fn token_clients(&self, token: TokenId) -> StorageResult<Vec<TokenClient>> {
        let rows: Vec<(String, String, i64)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT kind, version, last_at FROM token_clients WHERE token_id = $1
                 ORDER BY last_at DESC, kind, version",
            )
            .bind(token.0)
            .fetch_all(pool)
        })?;
        Ok(rows
            .into_iter()
            .map(|(kind, version, last_at)| TokenClient {
                kind,
                version: Some(version).filter(|version| !version.is_empty()),
                last_at: UnixMs(last_at),
            })
            .collect())
    }

    /// The models of a token's last [`RECENT_CALLS`] calls, the one asked for last first; at most [`RECENT_MODELS`].
    pub async fn recent_models(&self, token: TokenId) -> StorageResult<Vec<RecentModel>> {
        let rows: Vec<(String, i64, i64)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT MAX(asked_model), COUNT(*), MAX(at) FROM
                     (SELECT asked_model, at FROM usage WHERE token_id = $1 ORDER BY at DESC, id DESC LIMIT $2) calls
                 WHERE asked_model <> '' GROUP BY LOWER(asked_model) ORDER BY 3 DESC, 1 LIMIT $3",
            )
            .bind(token.0)
            .bind(i64::from(RECENT_CALLS))
            .bind(i64::from(RECENT_MODELS))
            .fetch_all(pool)
        })?;
        Ok(rows
            .into_iter()
            .map(|(model, calls, last_at)| RecentModel {
                model,
                calls: u32::try_from(calls).unwrap_or(u32::MAX),
                last_at: UnixMs(last_at),
            })
            .collect())
    }
}

/// The programs that the rows of a batch tell of, each with its last call.
#[derive(Debug, Default)]
pub(super) struct Seen<'a>(BTreeMap<(TokenId, &'a str, &'a str), UnixMs>);

impl<'a> Seen<'a> {
    /// Adds a row.
    pub fn add(&mut self, record: &'a UsageRecord) {
        let version = record.client_version.as_deref().unwrap_or_default();
        let at = self.0.entry((record.token_id, &record.client_kind, version)).or_insert(record.at);
        *at = record.at.max(*at);
    }

    /// Saves them; the database keeps the last eight of a token.
    pub async fn write(&self, tx: &mut WriteTransaction) -> StorageResult<()> {
        for ((token, kind, version), at) in &self.0 {
            sqlx::query(
                "INSERT INTO token_clients (token_id, kind, version, last_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (token_id, kind, version) DO UPDATE SET last_at = MAX(last_at, excluded.last_at)",
            )
            .bind(token.0)
            .bind(kind)
            .bind(version)
            .bind(at.0)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::recording::tests::{open, record};

    fn by(n: u32, kind: &str, version: Option<&str>, at: i64) -> UsageRecord {
        UsageRecord {
            client_kind: kind.into(),
            client_version: version.map(str::to_owned),
            at: UnixMs(at),
            ..record(n)
        }
    }

    #[tokio::test]
    async fn a_token_knows_its_last_eight_clients_and_a_repeated_batch_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let first = [
            by(1, "openclaw", Some("2026.9.5"), 10),
            by(2, "openclaw", Some("2026.9.6"), 30),
            by(3, "curl", None, 20),
        ];
        db.insert_usage(&first).await.unwrap();
        db.insert_usage(&first).await.unwrap();
        db.insert_usage(&[by(4, "curl", None, 15)]).await.unwrap();
        let seen = |clients: Vec<TokenClient>| -> Vec<(String, Option<String>, i64)> {
            clients.into_iter().map(|client| (client.kind, client.version, client.last_at.0)).collect()
        };
        let client =
            |kind: &str, version: Option<&str>, at| (kind.to_owned(), version.map(str::to_owned), at);
        let expected = vec![
            client("openclaw", Some("2026.9.6"), 30),
            client("curl", None, 20),
            client("openclaw", Some("2026.9.5"), 10),
        ];
        assert_eq!(seen(db.token_clients(TokenId(1)).await.unwrap()), expected);

        let many: Vec<_> =
            (0..50).map(|n| by(100 + n, "openclaw", Some(&format!("1.{n}")), 100 + i64::from(n))).collect();
        db.insert_usage(&many).await.unwrap();
        let clients = seen(db.token_clients(TokenId(1)).await.unwrap());
        assert_eq!((clients.len(), &clients[0]), (8, &client("openclaw", Some("1.49"), 149)));
        assert!(db.token_clients(TokenId(2)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn recent_models_are_those_of_the_last_calls_whatever_their_letter_case() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let asking =
            |n: u32, model: &str, at| UsageRecord { asked_model: model.into(), ..by(n, "curl", None, at) };
        db.insert_usage(&[asking(1, "a", 10), asking(2, "b", 20), asking(3, "A", 30), asking(4, "", 40)])
            .await
            .unwrap();
        let models = db.recent_models(TokenId(1)).await.unwrap();
        let models: Vec<_> =
            models.iter().map(|model| (model.model.to_lowercase(), model.calls, model.last_at.0)).collect();
        assert_eq!(models, [("a".to_owned(), 2, 30), ("b".to_owned(), 1, 20)]);
    }
}
