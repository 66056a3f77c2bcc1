//! Ends rests on an operator's word.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::find_channel;
use crate::{
    error::{Error, Result},
    pool::upkeep::{concerns_channel, end_rests},
    scheduler::rest::Scope,
    web::{
        Site,
        admin::visit::{FlashKind, Operator, local_path, see_other_with},
        form::Fields,
    },
};

/// `POST /channels/{id}/rests`: ends one rest (`scope`), or all of the channel.
pub(super) async fn clear(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let only: Option<Scope> = match fields.raw("scope") {
        "" => None,
        scope => Some(serde_json::from_str(scope).map_err(|_| Error::NotFound)?),
    };
    end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| {
        concerns_channel(&entry, scope) && only.as_ref().is_none_or(|only| only == scope)
    });
    let back = match fields.raw("back") {
        "" => format!("/channels/{}", entry.channel.id),
        back => local_path(back).to_owned(),
    };
    Ok(see_other_with(&back, FlashKind::Ok, operator.t().channels.rest_cleared()))
}
