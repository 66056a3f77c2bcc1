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
    /// Held while something is made from a snapshot and saved ([`CatalogStore::hold_for_chains`]).
    chains: Arc<tokio::sync::Mutex<()>>,
    /// The [`Db::catalog_version`] that the present snapshot has at least.
    version: Arc<AtomicI64>,
    /// The [`Db::findings_version`] that is known at least of the models of the present snapshot.
    findings: Arc<AtomicI64>,
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
        let findings = Arc::new(AtomicI64::new(db.findings_version().await?));
        let mut catalog = build(&db, &settings, &zone, &providers).await?;
        let new = catalog.adopt_findings(None);
        db.fill_findings(&new, &catalog, &providers.load()).await?;
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(catalog)),
            building: Arc::default(),
            chains: Arc::default(),
            version,
            findings,
            db,
            settings,
            zone,
            observer: None,
            providers,
        })
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

    /// Waits until nobody in this process builds managed chains. Whoever builds them holds what this gives from before taking
    /// the snapshot until the steps are saved; else chains made from an older snapshot could replace newer ones.
    pub async fn hold_for_chains(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.chains.clone().lock_owned().await
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
        let mut catalog = build(&self.db, &self.settings, &self.zone, &self.providers).await?;
        let new = catalog.adopt_findings(Some(&self.load()));
        self.db.fill_findings(&new, &catalog, &self.providers.load()).await?;
        let catalog = Arc::new(catalog);
        if let Some(observer) = &self.observer {
            observer(&catalog, &self.providers.load());
        }
        self.current.store(catalog);
        self.version.store(version, Ordering::Release);
        Ok(())
    }

    /// The [`Db::catalog_version`] that the present snapshot has at least.
    pub fn version(&self) -> i64 {
        self.version.load(Ordering::Acquire)
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

    /// Reads anew what probes, lists and providers' files say of the models of the present snapshot; the next call sees it. It takes
    /// some milliseconds for a thousand models, and holds nobody up.
    pub async fn learn_findings(&self) -> StorageResult<()> {
        let version = self.db.findings_version().await?;
        let catalog = self.load();
        self.db.fill_findings(&catalog.findings(), &catalog, &self.providers.load()).await?;
        self.findings.store(version, Ordering::Release);
        Ok(())
    }

    /// Whether lists or probes, of this process or of another one, say something else since these were read.
    pub async fn has_new_findings(&self) -> StorageResult<bool> {
        Ok(self.db.findings_version().await? != self.findings.load(Ordering::Acquire))
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

async fn build(
    db: &Db,
    settings: &SettingsInForce,
    zone: &jiff::tz::TimeZone,
    providers: &ProviderStore,
) -> StorageResult<Catalog> {
    let known = providers.load();
    let is_free = |channel: &Channel, model: &str| known.of(&channel.provider).is_free_by_name(model);
    let catalog = Catalog::new(
        settings(&db.settings().await?),
        zone.clone(),
        db.channels_with_keys().await?,
        db.tokens().await?,
        db.token_credentials().await?,
    )
    .with_captures(db.captures().await?)
    .with_free(is_free)
    .with_managed(&db.managed_steps().await?);
    let prices = db.price_book(&catalog, providers).await?;
    let list = |channel: &Channel, model: &str| prices.find(channel.id, &channel.provider, model);
    Ok(catalog.with_prices(list).with_chains(db.chains().await?))
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
