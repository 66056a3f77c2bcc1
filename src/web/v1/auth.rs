//! Who calls: the token behind `Authorization: Bearer` or `x-api-key`.

use std::{net::Ipv4Addr, sync::Arc};

use axum::http::{header, request::Parts};

use crate::{
    model::{catalog::Catalog, secret::SecretHash, time::UnixMs, token::Token},
    relay::ending::Ending,
    web::client::ClientAddress,
};

/// Why a request's credential is refused, and whose it is, if that is known.
pub struct Refused {
    /// What the client is told.
    pub ending: Ending,
    /// The token, if the value is one of ours: its operator should see that it is still in use.
    pub token: Option<Arc<Token>>,
}

/// The token of a request, if it may be used now and from there.
///
/// The presented value is hashed first and only the hash is looked up.
pub fn token(parts: &Parts, catalog: &Catalog, now: UnixMs) -> Result<Arc<Token>, Refused> {
    let bad = |message| Refused { ending: Ending::BadToken { message }, token: None };
    let presented = presented(parts).ok_or(bad("No token: send `Authorization: Bearer sk-...`."))?;
    let found = catalog
        .find_credential(&SecretHash::of(presented))
        .filter(|found| found.valid_until.is_none_or(|until| now < until))
        .ok_or(bad("This token is not known here."))?;
    let token = &found.token;
    let refused = |ending| Refused { ending, token: Some(token.clone()) };
    if let Some(ending) = state(token, now) {
        return Err(refused(ending));
    }
    let address = parts.extensions.get::<ClientAddress>().map(|client| client.ip);
    if !token.allows_address(address.unwrap_or(Ipv4Addr::UNSPECIFIED.into())) {
        return Err(refused(Ending::AddressNotAllowed));
    }
    Ok(token.clone())
}

/// Why a token may not be used now, wherever the call comes from.
pub(super) fn state(token: &Token, now: UnixMs) -> Option<Ending> {
    if !token.enabled {
        return Some(Ending::BadToken { message: "This token is switched off." });
    }
    let ended = token.expires_at.is_some_and(|end| now >= end);
    ended.then_some(Ending::BadToken { message: "This token has ended." })
}

/// The credential that a request presents, if any.
pub(super) fn presented(parts: &Parts) -> Option<&str> {
    let bearer =
        parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
    let key = || parts.headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim);
    bearer.or_else(key).filter(|token| !token.is_empty())
}
