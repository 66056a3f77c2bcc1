//! What can be done to a token: replace its value, switch it, reset its quota, delete it.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};

use super::{edit::token_id, local_minute, masked, reveal_purpose};
use crate::{
    error::{Error, Result},
    model::{budget::Owner, catalog::Catalog, id::TokenId},
    storage::{Db, tokens::new_value},
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render, see_other_with},
        form::Fields,
    },
};

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// `/tokens/{id}/...`, all but the value.
pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/tokens/{id}/rotate", post(rotate))
        .route("/tokens/{id}/end-previous", post(end_previous))
        .route("/tokens/{id}/switch", post(switch))
        .route("/tokens/{id}/reset-quota", post(reset_quota))
        .route("/tokens/{id}/delete", get(ask).post(delete))
}

async fn rotate(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let id = token_id(&id)?;
    let grace = match fields.text("grace") {
        "none" => Duration::ZERO,
        "hour" => HOUR,
        "day" => 24 * HOUR,
        "week" => WEEK,
        _ => return Err(Error::BadRequest(operator.t().common.check_fields().to_owned())),
    };
    site.db.rotate_token(id, &new_value(), grace).await?;
    site.catalog.reload().await?;
    site.admin.grants.allow(operator.session, &reveal_purpose(id), site.clock.now());
    Ok(see_other_with(&format!("/tokens/{id}/value"), FlashKind::Ok, operator.t().tokens.rotated_notice()))
}

async fn end_previous(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = token_id(&id)?;
    site.db.revoke_previous_values(id).await?;
    site.catalog.reload().await?;
    Ok(back(id, operator.t().tokens.previous_ended()))
}

async fn switch(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let id = token_id(&id)?;
    let on = fields.checked("enabled");
    site.db.set_token_enabled(id, on).await?;
    site.catalog.reload().await?;
    let t = operator.t().tokens;
    Ok(back(id, if on { t.switched_on() } else { t.switched_off() }))
}

async fn reset_quota(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = token_id(&id)?;
    site.db.find_token(id).await?.ok_or(Error::NotFound)?;
    site.begin_budget_anew(Owner::Token(id)).await?;
    Ok(back(id, operator.t().tokens.spent_was_reset()))
}

fn back(id: TokenId, text: &str) -> Response {
    see_other_with(&format!("/tokens/{id}"), FlashKind::Ok, text)
}

#[derive(Template)]
#[template(path = "pages/tokens/delete.html")]
struct DeletePage {
    c: Chrome,
    id: TokenId,
    name: String,
    masked: String,
    last_used: String,
    /// Requests in the last 7 days.
    recent: i64,
}

async fn ask(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = token_id(&id)?;
    let now = db.now();
    let row = db.find_token_row(id, now, &catalog.zone).await?.ok_or(Error::NotFound)?;
    render(&DeletePage {
        c: operator.chrome(Section::Tokens),
        id,
        masked: masked(&row.token),
        last_used: match row.last_used_at {
            Some(at) => local_minute(at, &catalog.zone),
            None => operator.t().tokens.never_used().to_owned(),
        },
        recent: db.token_call_count(id, now - WEEK).await?,
        name: row.token.name,
    })
}

async fn delete(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let id = token_id(&id)?;
    site.db.delete_token(id).await?;
    site.catalog.reload().await?;
    site.captures.erase(id).await.map_err(|error| Error::Internal(error.into()))?;
    Ok(see_other_with("/tokens", FlashKind::Ok, operator.t().common.deleted()))
}
