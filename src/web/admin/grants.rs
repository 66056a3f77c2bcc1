//! What a session may do for a few minutes because its operator has just confirmed the password.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::{id::SessionId, time::UnixMs};

/// How long a grant lasts.
pub const GRANT_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// More grants than operators can hold at a time; beyond them the oldest one goes.
const MOST: usize = 1000;

/// Grants by session and purpose, such as `token:12`. In memory only: a restart asks for the password again.
#[derive(Debug, Default)]
pub struct Grants(Mutex<HashMap<(SessionId, String), UnixMs>>);

impl Grants {
    /// Lets a session do something until [`GRANT_LIFETIME`] after `now`. Call it after
    /// [`confirm_password`](super::confirm::confirm_password) said yes.
    pub fn allow(&self, session: SessionId, purpose: &str, now: UnixMs) {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|_, until| *until > now);
        if grants.len() >= MOST {
            let oldest = grants.iter().min_by_key(|(_, until)| **until).map(|(grant, _)| grant.clone());
            oldest.map(|oldest| grants.remove(&oldest));
        }
        grants.insert((session, purpose.to_owned()), now + GRANT_LIFETIME);
    }

    /// Takes back whatever a session may do. Call it when one begins: the database gives the id of a session that was
    /// deleted to the next one.
    pub fn forget(&self, session: SessionId) {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.retain(|(of, _), _| *of != session);
    }

    /// Whether a session may do something now.
    pub fn allowed(&self, session: SessionId, purpose: &str, now: UnixMs) -> bool {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.get(&(session, purpose.to_owned())).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_holds_for_its_session_and_purpose_and_ends() {
        let (grants, now) = (Grants::default(), UnixMs(1_000_000));
        grants.allow(SessionId(1), "token:12", now);
        assert!(grants.allowed(SessionId(1), "token:12", now));
        assert!(!grants.allowed(SessionId(2), "token:12", now));
        assert!(!grants.allowed(SessionId(1), "token:13", now));
        assert!(!grants.allowed(SessionId(1), "token:12", now + GRANT_LIFETIME));
        grants.forget(SessionId(1));
        assert!(!grants.allowed(SessionId(1), "token:12", now), "its id may belong to somebody else now");
    }

    #[test]
    fn the_number_of_grants_is_bounded_and_the_oldest_go_first() {
        let (grants, now) = (Grants::default(), UnixMs(1_000_000));
        for number in 0..=MOST as i64 {
            grants.allow(SessionId(1), &format!("token:{number}"), UnixMs(now.0 + number));
        }
        assert!(!grants.allowed(SessionId(1), "token:0", now));
        assert!(grants.allowed(SessionId(1), "token:1000", now));
    }
}
