//! The account: its browser sessions and its access tokens.

use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Gone, Query, Shown},
    refusal::Result,
    shapes::{At, Ended, Page, PageQuery},
};
use crate::{
    error::Error,
    model::id::{AccessTokenId, SessionId},
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/sessions", "List the account's browser sessions", sessions),
        Endpoint::new(Method::DELETE, "/api/sessions", "End all of the account's browser sessions", end_sessions),
        Endpoint::new(Method::DELETE, "/api/sessions/{id}", "End a browser session", end_session),
        Endpoint::new(Method::GET, "/api/access-tokens", "List the account's access tokens", access_tokens).about(
            "New ones are made on the account page or with `onepool admin access-token` only, so that one that was stolen \
             cannot make its own successor.",
        ),
        Endpoint::new(Method::DELETE, "/api/access-tokens/{id}", "Revoke an access token", revoke)
            .about("It is refused from then on, also if it is the one that asks."),
    ]
}

/// The browser sessions of the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    /// The sessions, by id.
    items: Vec<SessionView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

/// A browser session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    id: i64,
    /// When the operator logged in.
    created_at: At,
    /// When it was last used, to the minute.
    last_used_at: At,
    /// The address that it was last used from.
    address: String,
    /// The browser's name for itself.
    user_agent: String,
}

/// The access tokens of the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessTokenList {
    /// The access tokens, by id.
    items: Vec<AccessTokenView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

/// An access token as answers show it: everything but its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessTokenView {
    /// Its id.
    id: i64,
    /// The operator's name for it.
    name: String,
    /// The last four characters of its value.
    last4: String,
    /// When it was made.
    created_at: At,
    /// When it ends; null means never.
    expires_at: Option<At>,
    /// When it was last used, to the minute.
    last_used_at: Option<At>,
}

async fn sessions(asked: Asked<(), Query<PageQuery>>) -> Result<Shown<SessionList>> {
    let query = &asked.query.0;
    let mut sessions = asked.site.db.sessions(asked.caller.user.id, asked.site.clock.now()).await?;
    sessions.sort_by_key(|session| session.id);
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let (sessions, next) = page.cut(sessions, |session| session.id.0)?;
    let view = |session: crate::model::user::Session| SessionView {
        id: session.id.0,
        created_at: session.created_at.into(),
        last_used_at: session.seen_at.into(),
        address: session.address,
        user_agent: session.user_agent,
    };
    Ok(Shown(SessionList { items: sessions.into_iter().map(view).collect(), next }))
}

async fn end_session(asked: Asked<SessionId>) -> Result<Gone> {
    let (db, user) = (&asked.site.db, asked.caller.user.id);
    let known = db.sessions(user, asked.site.clock.now()).await?;
    if !known.iter().any(|session| session.id == asked.path) {
        return Err(Error::NotFound.into());
    }
    db.delete_session(user, asked.path).await?;
    Ok(Gone)
}

async fn end_sessions(asked: Asked) -> Result<Shown<Ended>> {
    let (db, user) = (&asked.site.db, asked.caller.user.id);
    let known = db.sessions(user, asked.site.clock.now()).await?;
    for session in &known {
        db.delete_session(user, session.id).await?;
    }
    Ok(Shown(Ended { ended: known.len() as u64 }))
}

async fn access_tokens(asked: Asked<(), Query<PageQuery>>) -> Result<Shown<AccessTokenList>> {
    let query = &asked.query.0;
    let mut tokens = asked.site.db.access_tokens(asked.caller.user.id).await?;
    tokens.sort_by_key(|token| token.id);
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let (tokens, next) = page.cut(tokens, |token| token.id.0)?;
    let view = |token: crate::model::user::AccessToken| AccessTokenView {
        id: token.id.0,
        name: token.name,
        last4: token.last4,
        created_at: token.created_at.into(),
        expires_at: token.expires_at.map(At),
        last_used_at: token.last_used_at.map(At),
    };
    Ok(Shown(AccessTokenList { items: tokens.into_iter().map(view).collect(), next }))
}

async fn revoke(asked: Asked<AccessTokenId>) -> Result<Gone> {
    asked.site.db.delete_access_token(asked.caller.user.id, asked.path).await?;
    Ok(Gone)
}
