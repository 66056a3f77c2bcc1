//! The open data folder that a command works on, whether a server runs on it or not.

use std::{sync::Arc, time::Duration};

use super::{Failure, invocation::Invocation, runtime};
use crate::{
    config::Config,
    dispatch::{Dispatch, on_every_endpoint},
    i18n::Messages,
    jobs,
    model::{
        catalog::{Catalog, ChannelEntry},
        chain::{Chain, folded},
        id::{ChannelId, KeyId},
        key::Key,
        time::{Clock, UnixMs},
        token::Token,
    },
    pool::upkeep::Wish,
    scheduler::rest::{Rest, RestBook, Scope},
    storage::{
        Db, StorageError,
        catalog::CatalogStore,
        folder::{Claim, DataFolder, FolderError},
        providers::ProviderStore,
        vault::Vault,
    },
    upstream::client::Clients,
};

/// An open data folder.
pub struct Session {
    /// Every text, in the user's language.
    pub m: Messages,
    /// The settings of this process. A running server may have been started with others.
    pub config: Arc<Config>,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// What is known of vendors.
    pub providers: ProviderStore,
}

/// Opens the data folder that the settings name, without claiming it, and does some work on it. A running server follows
/// what is written within a second.
pub fn on_folder(
    call: &Invocation,
    work: impl AsyncFnOnce(&Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let config = Arc::new(call.config()?);
    runtime(call.m.cli)?.block_on(async {
        let folder = DataFolder::existing(&config.data_dir)?;
        let master_key = folder.master_key(config.secret_key.clone())?;
        let clock = Clock::system();
        let db = Db::open_existing(&folder.database(), Vault::new(&master_key), clock.clone()).await?;
        let providers = ProviderStore::open(&config.data_dir);
        let session = Session { m: call.m, config, db, clock, providers };
        let result = work(&session).await;
        session.db.close().await;
        result
    })
}

/// Makes the data folder and the database that the settings name, if there is none yet; says whether it did. No server
/// starts on it meanwhile.
pub fn make_folder(call: &Invocation) -> Result<bool, Failure> {
    let config = call.config()?;
    runtime(call.m.cli)?.block_on(async {
        match DataFolder::existing(&config.data_dir) {
            Ok(_) => Ok(false),
            Err(FolderError::NoDatabase { .. }) => {
                if let Some(made) = super::apply::open(&config, true).await? {
                    made.db.close().await;
                }
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    })
}

impl Session {
    /// The time now.
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// A point in time to the second, in the configured time zone.
    pub fn local(&self, at: UnixMs) -> String {
        at.zoned(&self.config.zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Channels, keys, tokens and settings as a server would see them now.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, Failure> {
        let config = self.config.clone();
        let settings = Arc::new(move |saved: &_| config.runtime(saved));
        let store =
            CatalogStore::open(self.db.clone(), settings, self.config.zone.clone(), self.providers.clone())
                .await?;
        Ok(store.load())
    }

    /// The channel of a name; letter case does not matter.
    pub async fn channel(&self, name: &str) -> Result<Arc<ChannelEntry>, Failure> {
        let wanted = name.to_lowercase();
        let catalog = self.catalog().await?;
        let found = catalog.channels().find(|entry| entry.channel.name.to_lowercase() == wanted);
        found
            .cloned()
            .ok_or_else(|| Failure::Text(self.m.terminal.no_such_channel(&super::output::clean(name))))
    }

    /// The channel of an id, as it is now.
    pub async fn channel_of(&self, id: ChannelId) -> Result<Arc<ChannelEntry>, Failure> {
        let catalog = self.catalog().await?;
        catalog.channel(id).cloned().ok_or(Failure::Storage(StorageError::Missing))
    }

    /// The key of an id, and its channel.
    pub async fn key(&self, id: &str) -> Result<(Arc<ChannelEntry>, Arc<Key>), Failure> {
        let unknown = || Failure::Text(self.m.terminal.no_such_key(&super::output::clean(id)));
        let wanted: KeyId = id.trim_start_matches('#').parse().map_err(|_| unknown())?;
        let catalog = self.catalog().await?;
        let of = |entry: &Arc<ChannelEntry>| {
            let key = entry.keys.iter().find(|key| key.id == wanted)?;
            Some((entry.clone(), key.clone()))
        };
        catalog.channels().find_map(of).ok_or_else(unknown)
    }

    /// The chain of a name; letter case does not matter.
    pub async fn chain(&self, name: &str) -> Result<Chain, Failure> {
        let wanted = folded(name);
        let found = self.db.chains().await?.into_iter().find(|chain| folded(&chain.name) == wanted);
        found.ok_or_else(|| Failure::Text(self.m.terminal.no_such_chain(&super::output::clean(name))))
    }

    /// The token of a name; letter case does not matter.
    pub async fn token(&self, name: &str) -> Result<Token, Failure> {
        let wanted = name.to_lowercase();
        let found = self.db.tokens().await?.into_iter().find(|token| token.name.to_lowercase() == wanted);
        found.ok_or_else(|| Failure::Text(self.m.terminal.no_such_token(&super::output::clean(name))))
    }

    /// What rests, as far as it is saved; a running server saves it every second.
    pub async fn rests(&self) -> Result<RestBook, Failure> {
        let saved = self.db.load_rests().await?;
        let mut book = RestBook::default();
        book.restore(saved.iter().filter_map(|(scope, rest)| {
            Some((serde_json::from_str(scope).ok()?, serde_json::from_str(rest).ok()?))
        }));
        Ok(book)
    }

    /// Ends rests and pauses: at once in the database, within a second in a running server.
    pub async fn end_rests(&self, scopes: impl IntoIterator<Item = Scope>) -> Result<(), Failure> {
        for scope in scopes {
            self.db.ask_for_retry(&json(&scope)?).await?;
        }
        Ok(())
    }

    /// Lets scopes take no calls for a time, models on every endpoint: a running server within a second. Gives the end.
    pub async fn pause(&self, scope: &Scope, length: Duration) -> Result<UnixMs, Failure> {
        let (book, now) = (self.rests().await?, self.now());
        let until = now + length;
        for scope in on_every_endpoint(scope) {
            let rest = Rest::pause(book.find(&scope), until, now);
            let wish = Wish::Pause { pause: scope.clone(), until };
            self.db.ask_for_pause(&json(&scope)?, &json(&rest)?, &json(&wish)?).await?;
        }
        Ok(until)
    }

    /// Leaves a wish for the running server, which carries it out within a second; else for the next start.
    pub async fn leave_wish(&self, wish: &Wish) -> Result<(), Failure> {
        Ok(self.db.leave_wish(&json(wish)?).await?)
    }

    /// The scheduler as it is saved, to ask it questions; and a word on how fresh that is.
    pub async fn dispatch(&self, catalog: &Arc<Catalog>) -> Result<(Dispatch, &'static str), Failure> {
        let running = matches!(DataFolder::existing(&self.config.data_dir)?.claim(), Claim::Server(_));
        let dispatch = Dispatch::new(self.clock.clone());
        dispatch.declare(catalog.clone(), self.providers.load());
        jobs::rests::load(&self.db, &self.config.data_dir, &dispatch, !running).await?;
        let t = self.m.inspect;
        Ok((dispatch, if running { t.saved_by_server() } else { t.saved_state() }))
    }

    /// The chains that are on, each with its models in order: managed ones first, then those made by hand.
    pub async fn chain_models(&self) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let mut chains = Vec::new();
        for chain in self.db.managed_steps().await? {
            let mut models: Vec<String> = Vec::new();
            for step in chain.steps.into_iter().filter(|step| !step.spare) {
                if !models.contains(&step.identity) {
                    models.push(step.identity);
                }
            }
            chains.push((chain.name, models));
        }
        let own = self.db.chains().await?.into_iter().filter(|chain| chain.enabled);
        chains
            .extend(own.map(|chain| (chain.name, chain.steps.into_iter().map(|step| step.model).collect())));
        Ok(chains)
    }

    /// The network to vendors.
    pub fn clients(&self) -> Clients {
        // Fails if a provider is installed already; that one does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Clients::new()
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Text(error.to_string()))
}
