//! Texts that repeat in the usage log, each kept once and known by its number.
//!
//! A word never changes and is never deleted, so what was read of the table stays right: a writer knows the numbers of what
//! it has written before, and a reader asks for new words only. Only texts that neither clients nor upstreams
//! can make up at will become words.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use sqlx::SqliteConnection;

use super::{StorageResult, WriteTransaction};

/// What is known of the table. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    ids: HashMap<Arc<str>, i64>,
    texts: HashMap<i64, Arc<str>>,
    /// All words up to this number are known.
    read_to: i64,
}

impl Known {
    fn add(&mut self, id: i64, text: &str) {
        let text: Arc<str> = text.into();
        self.ids.insert(text.clone(), id);
        self.texts.insert(id, text);
    }
}

impl Words {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the words that came since the last time.
    pub(super) async fn refresh(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let read_to = self.read().read_to;
        let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, text FROM words WHERE id > $1 ORDER BY id")
            .bind(read_to)
            .fetch_all(connection)
            .await?;
        if let Some((last, _)) = rows.last() {
            let mut known = self.write();
            known.read_to = known.read_to.max(*last);
            rows.iter().for_each(|(id, text)| known.add(*id, text));
        }
        Ok(())
    }

    /// The text of a word, if it is known.
    pub(super) fn text(&self, id: i64) -> Option<Arc<str>> {
        self.read().texts.get(&id).cloned()
    }

    /// The number of a text, if it is known to be a word.
    pub(super) fn find(&self, text: &str) -> Option<i64> {
        self.read().ids.get(text).copied()
    }

    /// Every known word.
    pub(super) fn all(&self) -> Vec<(i64, Arc<str>)> {
        self.read().texts.iter().map(|(id, text)| (*id, text.clone())).collect()
    }
}

/// The words of one transaction: those that it adds are not yet anybody else's.
pub(super) struct NewWords {
    words: Words,
    added: HashMap<String, i64>,
}

impl NewWords {
    /// None so far.
    pub(super) fn new(words: &Words) -> Self {
        Self { words: words.clone(), added: HashMap::new() }
    }

    /// Makes sure that all these texts are words.
    pub(super) async fn add<'a>(
        &mut self,
        tx: &mut WriteTransaction,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> StorageResult<()> {
        let missing: Vec<&str> = {
            let known = self.words.read();
            texts.into_iter().filter(|text| !known.ids.contains_key(*text)).collect()
        };
        for text in missing {
            if self.added.contains_key(text) {
                continue;
            }
            sqlx::query("INSERT INTO words (text) VALUES ($1) ON CONFLICT (text) DO NOTHING")
                .bind(text)
                .execute(&mut **tx)
                .await?;
            let id: i64 = sqlx::query_scalar("SELECT id FROM words WHERE text = $1")
                .bind(text)
                .fetch_one(&mut **tx)
                .await?;
            self.added.insert(text.to_owned(), id);
        }
        Ok(())
    }

    /// The number of a text that was given to [`add`](Self::add).
    pub(super) fn id(&self, text: &str) -> i64 {
        self.words.find(text).or_else(|| self.added.get(text).copied()).unwrap_or_default()
    }

    /// The same of a text that need not be a word.
    pub(super) async fn find(&self, tx: &mut WriteTransaction, text: &str) -> StorageResult<Option<i64>> {
        if let Some(id) = self.words.find(text).or_else(|| self.added.get(text).copied()) {
            return Ok(Some(id));
        }
        Ok(sqlx::query_scalar("SELECT id FROM words WHERE text = $1")
            .bind(text)
            .fetch_optional(&mut **tx)
            .await?)
    }

    /// Lets others know of them; called after the commit.
    pub(super) fn committed(self) {
        if !self.added.is_empty() {
            let mut known = self.words.write();
            self.added.iter().for_each(|(text, id)| known.add(*id, text));
        }
    }
}
