//! Builds the [`Catalog`] snapshot from the database, and holds the present one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::{Db, StorageResult, on, providers::ProviderStore};
use crate::{
    model::{catalog::Catalog, channel::Channel, settings::RuntimeSettings},
    provider::{Provider, Providers},
};

/// Makes the settings in force from the saved ones; what the environment sets wins.
pub type SettingsInForce = Arc<dyn Fn(&BTreeMap<String, String>) -> RuntimeSettings + Send + Sync>;

/// Who is told of a new snapshot before it is put in place, and of what is known of vendors then.
pub type Observer = Arc<dyn Fn(&Arc<Catalog>, &Arc<Providers>) + Send + Sync>;

/// The present snapshot. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct CatalogStore {
    current: Arc<ArcSwap<Catalog>>,
    /// Held while a snapshot is built, so that of two reloads the later one wins.
    building: Arc<tokio::sync::Mutex<()>>,
    /// The [`Db::catalog_version`] that the present snapshot has at least.
    version: Arc<AtomicI64>,
    db: Db,
    settings: SettingsInForce,
    zone: jiff::tz::TimeZone,
    observer: Option<Observer>,
    providers: ProviderStore,
}

impl CatalogStore {
    /// Builds the first snapshot. `zone` is the time zone of quota resets.
    pub async fn open(
        db: Db,
        settings: SettingsInForce,
        zone: jiff::tz::TimeZone,
        providers: ProviderStore,
    ) -> StorageResult<Self> {
        let version = Arc::new(AtomicI64::new(db.catalog_version().await?));
        let catalog = build(&db, &settings, &zone).await?;
        let current = Arc::new(ArcSwap::from_pointee(catalog));
        Ok(Self { current, building: Arc::default(), version, db, settings, zone, observer: None, providers })
    }

    /// Tells somebody of the present snapshot now, and of each new one just before it counts. Clones that were made
    /// earlier tell nobody.
    #[must_use]
    pub fn observed_by(self, observer: Observer) -> Self {
        observer(&self.load(), &self.providers.load());
        Self { observer: Some(observer), ..self }
    }

    /// Tells the observer of the present snapshot again, because what is known of vendors has changed.
    pub async fn providers_changed(&self) {
        let _building = self.building.lock().await;
        if let Some(observer) = &self.observer {
            observer(&self.load(), &self.providers.load());
        }
    }

    /// The present snapshot.
    pub fn load(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// What is known of vendors. It changes by itself, apart from the snapshot.
    pub fn providers(&self) -> &ProviderStore {
        &self.providers
    }

    /// The provider whose rules hold for a channel now.
    pub fn provider_of(&self, channel: &Channel) -> Arc<Provider> {
        self.providers.load().of(&channel.provider).clone()
    }

    /// Builds a new snapshot and puts it in place of the present one. Call it after every change of a channel, a key, a
    /// token or a setting, before answering the operator: a revoked token must be refused from then on.
    pub async fn reload(&self) -> StorageResult<()> {
        let _building = self.building.lock().await;
        // Read first: a change during the building is followed once more, and none is missed.
        let version = self.db.catalog_version().await?;
        let catalog = Arc::new(build(&self.db, &self.settings, &self.zone).await?);
        if let Some(observer) = &self.observer {
            observer(&catalog, &self.providers.load());
        }
        self.current.store(catalog);
        self.version.store(version, Ordering::Release);
        Ok(())
    }

    /// Builds a new snapshot if the database was changed since the present one was built, by this process or by another
    /// one, such as a command. Says whether it did.
    pub async fn follow(&self) -> StorageResult<bool> {
        if self.db.catalog_version().await? == self.version.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.reload().await?;
        Ok(true)
    }
}

impl Db {
    /// Counts the changes of what catalogs are built from, by all processes that use the database.
    pub async fn catalog_version(&self) -> StorageResult<i64> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT version FROM catalog_version WHERE id = 1").fetch_one(pool)
        })?)
    }
}

async fn build(db: &Db, settings: &SettingsInForce, zone: &jiff::tz::TimeZone) -> StorageResult<Catalog> {
    Ok(Catalog::new(
        settings(&db.settings().await?),
        zone.clone(),
        db.channels_with_keys().await?,
        db.tokens().await?,
        db.token_credentials().await?,
    )
    .with_managed(&db.managed_steps().await?)
    .with_chains(db.chains().await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{channels::NewChannel, recording::tests::open};

    #[tokio::test]
    async fn a_change_by_another_process_is_followed_once() {
        let folder = tempfile::tempdir().unwrap();
        let (server, command) = (open(folder.path()).await, open(folder.path()).await);
        let settings = RuntimeSettings::sample();
        let providers = ProviderStore::open(folder.path());
        let settings = Arc::new(move |_: &_| settings.clone());
        let store = CatalogStore::open(server, settings, jiff::tz::TimeZone::UTC, providers).await.unwrap();
        assert!(!store.follow().await.unwrap());
        let id =
            command.create_channel(&NewChannel { name: "a".into(), ..Default::default() }).await.unwrap();
        assert!(store.follow().await.unwrap());
        assert!(store.load().channel(id).is_some());
        assert!(!store.follow().await.unwrap());
        command.set_channel_enabled(id, false).await.unwrap();
        assert!(store.follow().await.unwrap());
        store.reload().await.unwrap();
        assert!(!store.follow().await.unwrap(), "a reload takes note of the version");
    }
}
