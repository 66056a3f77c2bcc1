//! Builds the [`Catalog`] snapshot from the database, and holds the present one.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::{Db, StorageResult};
use crate::model::{catalog::Catalog, settings::RuntimeSettings};

/// Makes the settings in force from the saved ones; what the environment sets wins.
pub type SettingsInForce = Arc<dyn Fn(&BTreeMap<String, String>) -> RuntimeSettings + Send + Sync>;

/// The present snapshot. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct CatalogStore {
    current: Arc<ArcSwap<Catalog>>,
    /// Held while a snapshot is built, so that of two reloads the later one wins.
    building: Arc<tokio::sync::Mutex<()>>,
    db: Db,
    settings: SettingsInForce,
    zone: jiff::tz::TimeZone,
}

impl CatalogStore {
    /// Builds the first snapshot. `zone` is the time zone of quota resets.
    pub async fn open(db: Db, settings: SettingsInForce, zone: jiff::tz::TimeZone) -> StorageResult<Self> {
        let catalog = build(&db, &settings, &zone).await?;
        let current = Arc::new(ArcSwap::from_pointee(catalog));
        Ok(Self { current, building: Arc::default(), db, settings, zone })
    }

    /// The present snapshot.
    pub fn load(&self) -> Arc<Catalog> {
        self.current.load_full()
    }

    /// Builds a new snapshot and puts it in place of the present one. Call it after every change of a channel, a key, a
    /// token or a setting, before answering the operator: a revoked token must be refused from then on.
    pub async fn reload(&self) -> StorageResult<()> {
        let _building = self.building.lock().await;
        self.current.store(Arc::new(build(&self.db, &self.settings, &self.zone).await?));
        Ok(())
    }
}

async fn build(db: &Db, settings: &SettingsInForce, zone: &jiff::tz::TimeZone) -> StorageResult<Catalog> {
    Ok(Catalog::new(
        settings(&db.settings().await?),
        zone.clone(),
        db.channels_with_keys().await?,
        db.tokens().await?,
        db.token_credentials().await?,
    ))
}
