//! Chains and their steps.
//!
//! A chain may name another one, so whether a chain leads back to itself depends on all of them. It is checked within the
//! transaction that writes: pages, scripts and commands cannot close a loop together.

use super::{Db, StorageError, StorageResult, WriteTransaction, on};
use crate::model::{
    chain::{Chain, ChainStep, find_loop, folded},
    id::ChainId,
};

const COLUMNS: &str = "SELECT c.id, c.name, c.enabled, s.model, s.spill_ms
    FROM chains c LEFT JOIN chain_steps s ON s.chain_id = c.id
    ORDER BY LOWER(c.name), c.id, s.position";

type Row = (i64, String, bool, Option<String>, Option<i64>);

impl Db {
    /// Every chain, by name.
    pub async fn chains(&self) -> StorageResult<Vec<Chain>> {
        chains_of(on!(self.read, |pool| sqlx::query_as(COLUMNS).fetch_all(pool))?)
    }

    /// Makes a chain; its id does not count. [`StorageError::Taken`] says `name`, and [`StorageError::Loop`] that it would
    /// lead back to itself. Reload the catalog afterwards.
    pub async fn create_chain(&self, chain: &Chain) -> StorageResult<ChainId> {
        let mut tx = self.begin().await?;
        check(&mut tx, None, chain).await?;
        let id = self.insert_chain(&mut tx, chain).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The same within a transaction, without a look at the other chains.
    pub(super) async fn insert_chain(
        &self,
        tx: &mut WriteTransaction,
        chain: &Chain,
    ) -> StorageResult<ChainId> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO chains (name, enabled, created_at, updated_at) VALUES ($1, $2, $3, $3) RETURNING id",
        )
        .bind(&chain.name)
        .bind(chain.enabled)
        .bind(self.now().0)
        .fetch_one(&mut **tx)
        .await
        .map_err(taken)?;
        write_steps(tx, ChainId(id), &chain.steps).await?;
        Ok(ChainId(id))
    }

    /// Saves everything of a chain; fails as [`Db::create_chain`] does. Reload the catalog afterwards.
    pub async fn update_chain(&self, chain: &Chain) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        check(&mut tx, Some(chain.id), chain).await?;
        self.write_chain(&mut tx, chain).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction, without a look at the other chains.
    pub(super) async fn write_chain(&self, tx: &mut WriteTransaction, chain: &Chain) -> StorageResult<()> {
        let done = sqlx::query("UPDATE chains SET name = $2, enabled = $3, updated_at = $4 WHERE id = $1")
            .bind(chain.id.0)
            .bind(&chain.name)
            .bind(chain.enabled)
            .bind(self.now().0)
            .execute(&mut **tx)
            .await
            .map_err(taken)?;
        found(done.rows_affected())?;
        write_steps(tx, chain.id, &chain.steps).await
    }

    /// Switches a chain on or off. Reload the catalog afterwards.
    pub async fn set_chain_enabled(&self, id: ChainId, enabled: bool) -> StorageResult<()> {
        let done = on!(self.write, |pool| {
            sqlx::query("UPDATE chains SET enabled = $2, updated_at = $3 WHERE id = $1")
                .bind(id.0)
                .bind(enabled)
                .bind(self.now().0)
                .execute(pool)
        })?;
        found(done.rows_affected())
    }

    /// Deletes a chain; other chains that name it keep their steps. Reload the catalog afterwards.
    pub async fn delete_chain(&self, id: ChainId) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.erase_chain(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn erase_chain(&self, tx: &mut WriteTransaction, id: ChainId) -> StorageResult<()> {
        let done = sqlx::query("DELETE FROM chains WHERE id = $1").bind(id.0).execute(&mut **tx).await?;
        found(done.rows_affected())
    }
}

/// Whether a chain can be written: nobody else has its name, and it does not lead back to itself.
async fn check(tx: &mut WriteTransaction, id: Option<ChainId>, chain: &Chain) -> StorageResult<()> {
    let mut others = chains_of(sqlx::query_as(COLUMNS).fetch_all(&mut **tx).await?)?;
    others.retain(|other| Some(other.id) != id);
    let own = folded(&chain.name);
    // The index compares A to Z only.
    if others.iter().any(|other| folded(&other.name) == own) {
        return Err(StorageError::Taken("name"));
    }
    let offered: Vec<String> = if chain.steps.iter().any(|step| folded(&step.model) == own) {
        sqlx::query_scalar(
            "SELECT m.name FROM channel_models m JOIN channels c ON c.id = m.channel_id WHERE c.deleted_at IS NULL
             UNION SELECT r.public FROM redirects r JOIN channels c ON c.id = r.channel_id WHERE c.deleted_at IS NULL",
        )
        .fetch_all(&mut **tx)
        .await?
    } else {
        Vec::new()
    };
    let is_offered = |name: &str| offered.iter().any(|offered| folded(offered) == name);
    match find_loop(&chain.name, &chain.steps, &others, is_offered) {
        Some(found) => Err(StorageError::Loop(found)),
        None => Ok(()),
    }
}

async fn write_steps(tx: &mut WriteTransaction, id: ChainId, steps: &[ChainStep]) -> StorageResult<()> {
    sqlx::query("DELETE FROM chain_steps WHERE chain_id = $1").bind(id.0).execute(&mut **tx).await?;
    for (position, step) in (0_i64..).zip(steps) {
        sqlx::query("INSERT INTO chain_steps (chain_id, position, model, spill_ms) VALUES ($1, $2, $3, $4)")
            .bind(id.0)
            .bind(position)
            .bind(&step.model)
            .bind(step.spill_ms.map(i64::from))
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Chains from rows in which the steps of each follow each other.
fn chains_of(rows: Vec<Row>) -> StorageResult<Vec<Chain>> {
    let mut chains: Vec<Chain> = Vec::new();
    for (id, name, enabled, model, spill_ms) in rows {
        if chains.last().is_none_or(|chain| chain.id.0 != id) {
            chains.push(Chain { id: ChainId(id), name, enabled, steps: Vec::new() });
        }
        let (Some(chain), Some(model)) = (chains.last_mut(), model) else { continue };
        let spill_ms = spill_ms.map(u32::try_from).transpose().map_err(|_| {
            StorageError::Unreadable(format!("a step of chain {id} has no spill time in milliseconds"))
        })?;
        chain.steps.push(ChainStep { model, spill_ms });
    }
    Ok(chains)
}

fn found(rows: u64) -> StorageResult<()> {
    if rows == 0 { Err(StorageError::Missing) } else { Ok(()) }
}

fn taken(error: sqlx::Error) -> StorageError {
    let unique = error.as_database_error().is_some_and(|error| error.is_unique_violation());
    if unique { StorageError::Taken("name") } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::channel::ChannelModel,
        storage::{channels::NewChannel, recording::tests::open},
    };

    fn chain(name: &str, models: &[&str]) -> Chain {
        let steps = models.iter().map(|model| ChainStep::new(*model)).collect();
        Chain { id: ChainId(0), name: name.into(), enabled: true, steps }
    }

    #[tokio::test]
    async fn a_chain_reads_back_as_it_was_saved_and_is_gone_when_it_was_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let steps =
            [(0, "b"), (1, "a")].map(|(ms, model)| ChainStep { model: model.into(), spill_ms: Some(ms) });
        let mut wanted = Chain { steps: steps.to_vec(), ..chain("Best", &[]) };
        wanted.steps.push(ChainStep { model: "c".into(), spill_ms: None });
        wanted.id = db.create_chain(&wanted).await.unwrap();
        db.create_chain(&chain("another", &["x"])).await.unwrap();
        assert_eq!(db.chains().await.unwrap()[1], wanted);
        wanted.steps.swap(0, 2);
        wanted.name = "best".into();
        wanted.enabled = false;
        db.update_chain(&wanted).await.unwrap();
        assert_eq!(db.chains().await.unwrap()[1], wanted);
        db.set_chain_enabled(wanted.id, true).await.unwrap();
        assert!(db.chains().await.unwrap()[1].enabled);
        db.delete_chain(wanted.id).await.unwrap();
        assert_eq!(db.chains().await.unwrap().len(), 1);
        for gone in [db.delete_chain(wanted.id).await, db.update_chain(&wanted).await] {
            assert!(matches!(gone, Err(StorageError::Missing)), "{gone:?}");
        }
    }

    #[tokio::test]
    async fn every_change_of_a_chain_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let mut last = db.catalog_version().await.unwrap();
        let mut wanted = chain("a", &["x"]);
        wanted.id = db.create_chain(&wanted).await.unwrap();
        for step in 0..4 {
            let version = db.catalog_version().await.unwrap();
            assert!(version > last, "before step {step}");
            last = version;
            match step {
                0 => db.update_chain(&wanted).await.unwrap(),
                1 => db.set_chain_enabled(wanted.id, false).await.unwrap(),
                2 => db.delete_chain(wanted.id).await.unwrap(),
                _ => {}
            }
        }
    }

    #[tokio::test]
    async fn a_name_is_taken_whatever_its_letter_case_also_beyond_ascii() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.create_chain(&chain("Été", &["x"])).await.unwrap();
        let again = db.create_chain(&chain("éTÉ", &["x"])).await;
        assert!(matches!(again, Err(StorageError::Taken("name"))), "{again:?}");
    }

    #[tokio::test]
    async fn no_change_closes_a_loop_whichever_chain_it_is_of() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let mut a = chain("a", &["x", "b"]);
        a.id = db.create_chain(&a).await.unwrap();
        let told = |result: StorageResult<()>| match result {
            Err(StorageError::Loop(found)) => (found.step, found.way()),
            other => panic!("{other:?}"),
        };
        let created = db.create_chain(&chain("B", &["y", "z", "A"])).await;
        assert_eq!(told(created.map(drop)), (2, "B → a → B".into()));
        let mut b = chain("b", &["y"]);
        b.id = db.create_chain(&b).await.unwrap();
        b.steps.push(ChainStep::new("a"));
        assert_eq!(told(db.update_chain(&b).await), (1, "b → a → b".into()));
        // A new name closes one as well.
        let renamed = Chain { name: "X".into(), ..b.clone() };
        assert_eq!(told(db.update_chain(&renamed).await), (1, "X → a → X".into()));
        let own = Chain { name: "y".into(), id: b.id, ..chain("y", &["y"]) };
        assert_eq!(told(db.update_chain(&own).await), (0, "y → y".into()));
        db.create_channel(&NewChannel {
            name: "c".into(),
            models: vec![ChannelModel { name: "Y".into(), ..Default::default() }],
            ..Default::default()
        })
        .await
        .unwrap();
        db.update_chain(&own).await.unwrap();
    }
}
