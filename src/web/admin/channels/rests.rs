//! Ends rests on an operator's word.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{find_channel, ledger, state};
use crate::{
    error::{Error, Result},
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
    let now = site.clock.now();
    {
        let mut ledger = ledger(&site);
        let scopes: Vec<Scope> = match fields.raw("scope") {
            "" => ledger.rests().all_active(now).map(|(scope, _)| scope.clone()).collect(),
            scope => vec![serde_json::from_str(scope).map_err(|_| Error::NotFound)?],
        };
        for scope in scopes.iter().filter(|scope| state::concerns(&entry, scope)) {
            ledger.rests_mut().clear(scope);
        }
    }
    let back = match fields.raw("back") {
        "" => format!("/channels/{}", entry.channel.id),
        back => local_path(back).to_owned(),
    };
    Ok(see_other_with(&back, FlashKind::Ok, operator.t().channels.rest_cleared()))
}
