//! `onepool admin`: accounts, for an operator who cannot log in.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Failure, runtime};
use crate::{
    app::StartError,
    config::Config,
    i18n::cli::Cli,
    model::time::Clock,
    storage::{Db, StorageError, folder::DataFolder, password, vault::Vault},
};

/// Gives an account a random password and prints it on stdout. A running server knows it from then on.
pub fn reset_password(config: &Config, name: &str, t: Cli) -> Result<(), Failure> {
    let new = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>());
    runtime(t)?.block_on(async {
        let folder = DataFolder::existing(&config.data_dir)?;
        let master_key = folder.master_key(config.secret_key.clone())?;
        let path = folder.database();
        let db = Db::open_existing(&path, Vault::new(&master_key), Clock::system()).await?;
        let result = reset(&db, name, &password::hash(&new), t).await;
        db.close().await;
        result.map_err(|failure| match failure {
            ResetFailure::Told(text) => Failure::Text(text),
            ResetFailure::Storage(source) => StartError::Storage { path, source }.into(),
        })
    })?;
    writeln!(std::io::stdout(), "{}", t.password_reset(name, &new))
        .map_err(|error| Failure::Text(t.system_failed(&error.to_string())))
}

enum ResetFailure {
    Told(String),
    Storage(StorageError),
}

impl From<StorageError> for ResetFailure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn reset(db: &Db, name: &str, hash: &str, t: Cli) -> Result<(), ResetFailure> {
    match db.reset_password(name, hash).await {
        Err(StorageError::Missing) => {
            let names = db.account_names().await?;
            Err(ResetFailure::Told(if names.is_empty() {
                t.no_account_yet().to_owned()
            } else {
                t.no_such_account(name, &names.join(", "))
            }))
        }
        other => Ok(other?),
    }
}
