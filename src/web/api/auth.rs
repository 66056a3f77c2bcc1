//! Who asks: the access token behind `Authorization: Bearer`. Cookies are not looked at, so no other site can make a
//! browser ask in an operator's name.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::refusal::{Refusal, Result};
use crate::{
    error::Error,
    i18n::{Lang, Messages},
    model::{
        secret::{Secret, SecretHash},
        time::UnixMs,
        user::User,
    },
    web::{
        Site,
        admin::{
            confirm::is_password_of,
            throttle::{Throttle, network},
        },
        client::ClientAddress,
    },
};

/// The header in which a script sends the operator's password where one is needed.
pub const PASSWORD_HEADER: &str = "x-onepool-password";
/// Addresses that wait after failed tries; beyond them the oldest one is forgotten.
const MOST_WAITING: usize = 10_000;

/// Slows down whoever guesses access tokens, or another secret that has tries of its own: failed tries count against limits like the login's, and an address beyond
/// them waits, whatever it presents. Good tries count for nothing, so scripts may be as busy as they like.
#[derive(Debug, Default)]
pub struct FailedTries {
    throttle: Throttle,
    waiting: Mutex<HashMap<IpAddr, UnixMs>>,
}

impl FailedTries {
    /// In how many seconds an address may try again, if it must wait.
    pub(in crate::web) fn wait(&self, ip: IpAddr, now: UnixMs) -> Option<u64> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let left = waiting.get(&network(ip)).filter(|until| **until > now)?.since(now);
        Some(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    /// Counts a failed try; after too many the address waits.
    pub(in crate::web) fn count(&self, ip: IpAddr, now: UnixMs) {
        let Err(wait_s) = self.throttle.check(ip, "", now) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, until| *until > now);
        if waiting.len() >= MOST_WAITING
            && let Some(soonest) = waiting.iter().min_by_key(|(_, until)| **until).map(|(ip, _)| *ip)
        {
            waiting.remove(&soonest);
        }
        waiting.insert(network(ip), now + Duration::from_secs(wait_s));
    }
}

/// Who asks, and from where.
#[derive(Clone)]
pub struct Caller {
    /// The account that the access token belongs to.
    pub user: User,
    /// Where the request comes from.
    pub ip: IpAddr,
    /// Whether the client's connection is encrypted.
    pub https: bool,
    /// The operator's password, if it was sent.
    password: Option<Secret>,
}

impl Caller {
    /// The language of messages: English, since programs read them.
    pub fn t(&self) -> Messages {
        Messages::of(Lang::En)
    }

    /// Refuses unless the operator's password was sent, too; `why` says what for. Tries count like those of the login.
    pub async fn confirm(&self, site: &Site, why: &str) -> Result<()> {
        let Some(password) = &self.password else {
            return Err(Refusal::password(&format!(
                "{why} Send the account's password in the header {PASSWORD_HEADER}."
            )));
        };
        if is_password_of(&site.admin, &site.db, self.ip, &self.user, password.expose()).await? {
            Ok(())
        } else {
            Err(Refusal::password(&format!("{why} The password in the header {PASSWORD_HEADER} is wrong.")))
        }
    }
}

/// The layer: lets requests with a valid access token through, with their [`Caller`] in the extensions.
pub async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match caller(&site, &parts).await {
        Ok(caller) => {
            parts.headers.remove(PASSWORD_HEADER);
            parts.headers.remove(header::AUTHORIZATION);
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn caller(site: &Site, parts: &Parts) -> Result<Caller> {
    let client = parts.extensions.get::<ClientAddress>().copied();
    let ip = client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip);
    let now = site.clock.now();
    if let Some(retry_after_s) = site.admin.failed_tries.wait(ip, now) {
        return Err(Error::TooManyRequests { retry_after_s }.into());
    }
    let Some(presented) = bearer(&parts.headers) else { return Err(Error::Unauthorized.into()) };
    let Some((user, token)) = site.db.find_access_token(&SecretHash::of(presented), now).await? else {
        tracing::warn!(address = %ip, "an access token was refused");
        site.admin.failed_tries.count(ip, now);
        return Err(Error::Unauthorized.into());
    };
    if let Err(error) = site.db.touch_access_token(&token, now).await {
        tracing::error!(%error, "could not note that an access token is in use");
    }
    Ok(Caller {
        user,
        ip,
        https: client.is_some_and(|client| client.https),
        password: parts
            .headers
            .get(PASSWORD_HEADER)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .map(Secret::new),
    })
}

/// The credential that a request presents, if any.
pub(in crate::web) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let value = value.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::admin::throttle::PER_NAME;

    #[test]
    fn an_address_that_guesses_waits_and_others_do_not() {
        let (tries, now) = (FailedTries::default(), UnixMs(1_000_000));
        let (guesser, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..PER_NAME {
            tries.count(guesser, now);
            assert_eq!(tries.wait(guesser, now), None);
        }
        tries.count(guesser, now);
        assert_eq!((tries.wait(guesser, now), tries.wait(other, now)), (Some(6), None));
        let of_one_network = |end: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, end]);
        for end in 0..=PER_NAME as u16 {
            tries.count(of_one_network(end), now);
        }
        assert!(tries.wait(of_one_network(99), now).is_some(), "an IPv6 network counts as one address");
        assert_eq!(tries.wait(guesser, now + Duration::from_secs(6)), None);
    }
}
