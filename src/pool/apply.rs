//! Brings the pool to the state that a pool file declares.

use super::{
    file::PoolFile,
    input::Faults,
    plan::{Plan, difference},
};
use crate::{
    i18n::Messages,
    model::secret::Secret,
    provider::Providers,
    storage::{Db, StorageError, StorageResult, pool::Applied},
};

/// How often a plan is made anew because somebody changed the pool after it was made.
pub const TRIES: usize = 10;

/// How a file is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether channels, keys, chains and tokens that the file does not declare are removed. Keys only go from channels whose
    /// `keys` the file gives.
    pub prune: bool,
}

/// Why nothing was applied.
#[derive(Debug)]
pub enum ApplyError {
    /// Something is wrong with the file.
    Faults(Faults),
    /// The pool was changed by others again and again.
    Busy,
    /// The database did not do it.
    Storage(StorageError),
}

impl From<Faults> for ApplyError {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

impl From<StorageError> for ApplyError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// What was done.
#[derive(Debug)]
pub struct Outcome {
    /// The steps.
    pub plan: Plan,
    /// The names of new tokens that got a random value, and the values: to be shown once, never to be logged.
    pub generated: Vec<(String, Secret)>,
}

/// What [`apply`] would do; changes nothing.
pub async fn plan(
    db: &Db,
    file: &PoolFile,
    options: Options,
    providers: &Providers,
    t: Messages,
) -> Result<Plan, ApplyError> {
    Ok(difference(&db.pool_state(false).await?, file, options.prune, providers, t)?)
}

/// Makes the pool as the file says, in one transaction. Secrets must be in their places: `env:` and `file:` are faults
/// here. Calls `show` with each plan before it is carried out; there is more than one only if the pool was changed in
/// between, and then nothing of the earlier one was done. Reload the catalog afterwards.
pub async fn apply(
    db: &Db,
    file: &PoolFile,
    options: Options,
    providers: &Providers,
    t: Messages,
    mut show: impl FnMut(&Plan),
) -> Result<Outcome, ApplyError> {
    for _ in 0..TRIES {
        let plan = plan(db, file, options, providers, t).await?;
        show(&plan);
        if let Some(outcome) = carry_out(db, plan).await? {
            return Ok(outcome);
        }
    }
    Err(ApplyError::Busy)
}

/// Does exactly what a plan says, in one transaction; `None`, and nothing is done, if the pool was changed since the plan
/// was made. Reload the catalog afterwards.
pub async fn carry_out(db: &Db, plan: Plan) -> StorageResult<Option<Outcome>> {
    if plan.is_empty() {
        return Ok(Some(Outcome { plan, generated: Vec::new() }));
    }
    Ok(match db.apply_pool(plan.version, &plan.change).await? {
        Applied::Done(generated) => Some(Outcome { plan, generated }),
        Applied::Outdated => None,
    })
}

/// The pool as a pool file; without `with_secrets` in a way that changes nothing when it is applied to the same pool.
pub async fn export(db: &Db, with_secrets: bool) -> StorageResult<PoolFile> {
    Ok(super::write::document(&db.pool_state(with_secrets).await?, with_secrets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        storage::{
            recording::tests::open,
            tokens::{NewToken, new_value},
        },
    };

    /// Changes the pool while a plan is being shown.
    fn meddle(db: &Db, name: String) {
        let token = NewToken::unlimited(name, new_value());
        let meddling = async { db.create_token(&token).await.unwrap() };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(meddling));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_pool_that_changes_meanwhile_is_planned_for_anew_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let t = Messages::of(Lang::En);
        let file = r#"{"tokens": [{"name": "wanted"}]}"#;
        let file = PoolFile::of_json(serde_json::from_str(file).unwrap(), t).unwrap();
        let prune = Options { prune: true };

        let mut shown = Vec::new();
        let providers = Providers::embedded();
        let outcome = apply(&db, &file, prune, &providers, t, |plan| {
            if shown.is_empty() {
                meddle(&db, "another".into());
            }
            shown.push(plan.steps.len());
        });
        let outcome = outcome.await.unwrap();
        assert_eq!(shown, [1, 2], "the second plan removes what came in between");
        assert_eq!((outcome.plan.steps.len(), outcome.generated.len()), (2, 1));
        let tokens = db.tokens().await.unwrap();
        assert_eq!(tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["wanted"]);

        let (mut plans, empty) = (0, PoolFile::default());
        let result = apply(&db, &empty, prune, &providers, t, |_| {
            plans += 1;
            meddle(&db, format!("another {plans}"));
        });
        assert!(matches!(result.await, Err(ApplyError::Busy)));
        assert_eq!((plans, db.tokens().await.unwrap().len()), (TRIES, TRIES + 1));
    }
}
