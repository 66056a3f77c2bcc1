//! `GET /openclaw.json5`: the part of OpenClaw's configuration that makes it use this server, for the token that asks.

use axum::{
    Json,
    extract::{RawQuery, Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{auth, into_response, request_id};
use crate::{
    export::openclaw::{ExportOptions, KeyForm, OptionFault, World},
    i18n::{Lang, Messages},
    model::token::{ClientProfile, Token},
    relay::{ending::Ending, error_answer},
    storage::StorageResult,
    web::{Site, client::ClientAddress, exports, form::Fields, public_url::PublicUrl},
};

/// Answers with what the query's options choose, for `openclaw config patch`. The presented value stands in it literally,
/// unless `key=environment` is asked for: whoever reads the answer has sent it.
pub(super) async fn show(State(site): State<Site>, RawQuery(query): RawQuery, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let refuse = |ending: &Ending, profile: ClientProfile| {
        into_response(error_answer(&ending.told(profile), None, request_id(&parts.extensions)))
    };
    let catalog = site.catalog.load();
    let token = match auth::token(&parts, &catalog, site.clock.now()) {
        Ok(token) => token,
        Err(refused) => return refuse(&refused.ending, ClientProfile::Generic),
    };
    let https = parts.extensions.get::<ClientAddress>().is_some_and(|client| client.https);
    let url = PublicUrl::of(&catalog.settings, &parts.headers, https).base_url();
    let presented = auth::presented(&parts).unwrap_or_default();
    match made(&site, &token, &query.unwrap_or_default(), &url, presented).await {
        Ok(Ok(document)) => ([(header::CACHE_CONTROL, "no-store")], Json(document)).into_response(),
        Ok(Err(faults)) => refuse(&refusal(&faults), ClientProfile::Generic),
        Err(error) => crate::error::Error::from(error).into_response(),
    }
}

async fn made(
    site: &Site,
    token: &Token,
    query: &str,
    base_url: &str,
    presented: &str,
) -> StorageResult<Result<serde_json::Value, Vec<OptionFault>>> {
    let fields = Fields::parse(query.as_bytes());
    let options = match ExportOptions::read(fields.pairs()) {
        Ok(options) => options,
        Err(faults) => return Ok(Err(faults)),
    };
    let (catalog, providers) = (site.catalog.load(), site.catalog.providers().load());
    let value = (options.key != Some(KeyForm::Environment)).then_some(presented);
    let world = World { catalog: &catalog, providers: &providers, token, base_url, value };
    let remember = options.remember.unwrap_or(true);
    let made = exports::make(&site.db, &world, &options, remember).await?;
    Ok(made.map(|made| made.export.document))
}

/// Every fault with the name of its option; programs read the first one's in `param`.
fn refusal(faults: &[OptionFault]) -> Ending {
    let m = Messages::of(Lang::En);
    let texts: Vec<String> =
        faults.iter().take(20).map(|fault| format!("`{}`: {}", fault.option, fault.text(m))).collect();
    Ending::BadRequest { message: texts.join(" "), param: faults.first().map(|fault| fault.option.clone()) }
}
