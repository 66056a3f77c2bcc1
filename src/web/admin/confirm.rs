//! Checks passwords, at the login and wherever an operator confirms something: bounded in number, memory and time.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{Shared, throttle::Throttle, visit::Operator};
use crate::{
    error::{Error, Result},
    model::{
        secret::Secret,
        user::{PASSWORD_CHARACTERS, User},
    },
    storage::{Db, password},
};

/// Hashes at a time; each takes 19 MiB and a core.
const HASHES_AT_A_TIME: usize = 2;
/// How long a check may wait for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The longest password, in characters. Every longer one is wrong.
pub const MOST_CHARACTERS: usize = *PASSWORD_CHARACTERS.end();
/// The shortest new password, in characters.
pub const LEAST_CHARACTERS: usize = *PASSWORD_CHARACTERS.start();
/// What an unknown user's password is compared with, so that the answer takes as long as a known one's. Its digest is
/// 32 zero bytes, which no password is known to give.
const NOBODY: &str = concat!(
    "$argon2id$v=19$m=19456,t=2,p=1$",
    "b25lcG9vbCBub2JvZHkgYXQgYWxs$",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

/// The one place where passwords are hashed and compared.
#[derive(Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    throttle: Throttle,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(HASHES_AT_A_TIME)), throttle: Throttle::default() }
    }
}

impl Passwords {
    /// The account of a name and password, if they belong together.
    ///
    /// [`Error::TooManyRequests`] if the address, or the address with this name, has tried too often. Nobody can lock an
    /// account for its owner, who comes from another address. Unknown names take the same path and time as known ones.
    pub async fn log_in(
        &self,
        db: &Db,
        ip: std::net::IpAddr,
        name: &str,
        password: &str,
    ) -> Result<Option<User>> {
        self.throttle
            .check(ip, name, db.now())
            .map_err(|retry_after_s| Error::TooManyRequests { retry_after_s })?;
        let (user, hash) = match db.find_credentials(name).await? {
            Some((user, hash)) => (Some(user), hash),
            None => (None, NOBODY.to_owned()),
        };
        let right = self.verify(hash, password).await?;
        Ok(user.filter(|_| right))
    }

    /// Hashes a new password for the database.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = Secret::new(password);
        self.run(move || password::hash(password.expose())).await
    }

    async fn verify(&self, hash: String, password: &str) -> Result<bool> {
        let too_long = password.chars().count() > MOST_CHARACTERS;
        let password = Secret::new(if too_long { "" } else { password });
        let right = self.run(move || password::verify(&hash, password.expose())).await?;
        Ok(right && !too_long)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = tokio::time::timeout(LONGEST_WAIT, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| Error::Unavailable("too many passwords are being checked; try again in a minute"))?
            .map_err(|error| Error::Internal(error.into()))?;
        // The permit moves into the task: a visitor who leaves cannot free it while the work goes on.
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        })
        .await
        .map_err(|error| Error::Internal(error.into()))
    }
}

/// Whether `password` is the operator's own. Counts against the same limits as a login:
/// [`Error::TooManyRequests`] beyond them. On `true`, [`Grants::allow`](super::grants::Grants::allow) remembers it.
pub async fn confirm_password(shared: &Shared, db: &Db, operator: &Operator, password: &str) -> Result<bool> {
    is_password_of(shared, db, operator.visit.ip, &operator.user, password).await
}

/// Whether `password` is an account's, asked from an address; limited like [`confirm_password`].
pub async fn is_password_of(
    shared: &Shared,
    db: &Db,
    ip: std::net::IpAddr,
    account: &User,
    password: &str,
) -> Result<bool> {
    let found = shared.passwords.log_in(db, ip, &account.name, password).await?;
    Ok(found.is_some_and(|user| user.id == account.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_users_hash_costs_as_much_as_a_real_one() {
        let real = password::hash("whatever");
        let parameters = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parameters(NOBODY), parameters(&real));
        let digest = |hash: &str| hash.rsplit('$').next().map(str::len);
        assert_eq!(digest(NOBODY), digest(&real));
        let start = tokio::time::Instant::now();
        assert!(!password::verify(NOBODY, "whatever"));
        let took = start.elapsed();
        assert!(took > Duration::from_millis(2), "the hash was not computed: {took:?}");
    }
}
