//! The pool as a whole: a declared state is applied, the present one is exported, the database is backed up.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Body, Created, Endpoint, Shown},
    refusal::{Refusal, Result},
};
use crate::{
    i18n::{Lang, Messages},
    model::secret::Secret,
    pool::{
        apply::{self, ApplyError, Options, Outcome},
        file::PoolFile,
        plan::Step,
    },
    storage::folder::DataFolder,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::POST, "/api/apply", "Bring the pool to a declared state", apply)
            .about(
                "Channels, keys, chains and tokens become what the document declares, all of it or nothing; the same document again \
                 changes nothing. Secrets stand in it literally. A change that sends a channel's keys or \
                 headers to another host or proxy needs the header `x-onepool-password`.",
            )
            .example(json!({
                "pool": {
                    "channels": [{
                        "name": "Example",
                        "base_url": "https://api.example.com/v1",
                        "models": ["example-large"],
                        "keys": [{"secret": "an-upstream-key"}]
                    }],
                    "tokens": [{"name": "laptop"}]
                },
                "dry_run": true
            }))
            .fails(StatusCode::FORBIDDEN, "The operator's password is needed.")
            .fails(StatusCode::CONFLICT, "Others changed the pool again and again meanwhile."),
        Endpoint::new(Method::GET, "/api/export", "Export the pool", export).about(
            "What `/api/apply` takes, without secrets: keys are left out, and `keep:` stands for a header or a proxy that \
             stays as it is.",
        ),
        Endpoint::new(Method::POST, "/api/backup", "Back up the database", backup)
            .about(
                "Makes a consistent copy in the data folder's `backups`, while calls go on. Secrets stay sealed; the master \
                 key is not in it.",
            )
            .fails(StatusCode::INTERNAL_SERVER_ERROR, "The backup could not be written."),
    ]
}

/// A state of the pool, and how to get there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyInput {
    /// The declared state.
    pool: PoolFile,
    /// Removes what is not declared.
    #[serde(default)]
    prune: bool,
    /// Only says what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// What was done, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplyView {
    /// Whether the pool was changed.
    changed: bool,
    /// The steps; none means that the pool is as declared.
    steps: Vec<Step>,
    /// New tokens whose values were made by the server; shown only here.
    new_tokens: Vec<NewTokenValue>,
}

/// The value of a new token.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewTokenValue {
    /// The token's name.
    name: String,
    /// Its value.
    value: String,
}

async fn apply(asked: Asked<(), (), Body<ApplyInput>>) -> Result<Shown<ApplyView>> {
    let (site, input) = (&asked.site, &asked.body.0);
    let t = Messages::of(Lang::En);
    let options = Options { prune: input.prune };
    let mut confirmed = false;
    for _ in 0..apply::TRIES {
        let plan = apply::plan(&site.db, &input.pool, options, &site.catalog.providers().load(), t)
            .await
            .map_err(refused)?;
        if input.dry_run {
            return Ok(Shown(ApplyView { changed: false, steps: plan.steps, new_tokens: Vec::new() }));
        }
        // Asked of each plan: what was harmless a moment ago may not be so any more.
        if !confirmed && plan.steps.iter().any(|step| step.sends_keys_elsewhere) {
            asked
                .caller
                .confirm(site, "This sends a channel's keys or headers to another host or proxy.")
                .await?;
            confirmed = true;
        }
        let Some(Outcome { plan, generated }) = apply::carry_out(&site.db, plan).await? else { continue };
        site.catalog.reload().await?;
        let value = |(name, value): &(String, Secret)| NewTokenValue {
            name: name.clone(),
            value: value.expose().to_owned(),
        };
        return Ok(Shown(ApplyView {
            changed: !plan.is_empty(),
            steps: plan.steps,
            new_tokens: generated.iter().map(value).collect(),
        }));
    }
    Err(refused(ApplyError::Busy))
}

fn refused(error: ApplyError) -> Refusal {
    match error {
        ApplyError::Faults(mut faults) => {
            for fault in &mut faults.0 {
                fault.field = format!("pool.{}", fault.field);
            }
            faults.into()
        }
        ApplyError::Busy => Refusal::new(
            StatusCode::CONFLICT,
            "conflict",
            "The pool was changed by others again and again meanwhile; nothing was done. Try again.",
        ),
        ApplyError::Storage(error) => error.into(),
    }
}

async fn export(asked: Asked) -> Result<Shown<PoolFile>> {
    Ok(Shown(apply::export(&asked.site.db, false).await?))
}

/// A backup.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupView {
    /// The file, on the server's machine.
    path: String,
    /// Its size.
    bytes: u64,
    /// The version of its schema.
    schema: i64,
    /// Channels in it.
    channels: u64,
    /// Keys in it.
    keys: u64,
    /// Tokens in it.
    tokens: u64,
    /// Rows of the usage log in it.
    usage_rows: u64,
}

async fn backup(asked: Asked) -> Result<Created<BackupView>> {
    let site = &asked.site;
    let failed = |reason: String| {
        tracing::error!(reason, "a backup that the admin API asked for failed");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "backup_failed",
            "The backup could not be written; the server's log says why.",
        )
    };
    let folder = DataFolder::existing(&site.config.data_dir).map_err(|error| failed(error.to_string()))?;
    let target = folder.new_backup(site.clock.now()).map_err(|error| failed(error.to_string()))?;
    let Some(make) = &site.admin.backup else { return Err(failed("nobody makes backups here".into())) };
    let made = make(target).await.map_err(|error| failed(error.to_string()))?;
    let contents = made.contents;
    Ok(Created(
        "/api/status".into(),
        BackupView {
            path: made.path.display().to_string(),
            bytes: made.bytes,
            schema: contents.schema,
            channels: contents.channels,
            keys: contents.keys,
            tokens: contents.tokens,
            usage_rows: contents.usage_rows,
        },
    ))
}
