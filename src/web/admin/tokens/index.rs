//! The index of tokens.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};

use super::{QuotaView, TokenState, local_minute, masked};
use crate::{
    error::Result,
    i18n::Messages,
    model::{catalog::Catalog, time::UnixMs},
    storage::{Db, tokens::TokenRow},
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
        form::Fields,
    },
};

/// `/tokens`.
pub(super) fn router() -> Router<Site> {
    Router::new().route("/tokens", get(index))
}

#[derive(Template)]
#[template(path = "pages/tokens/index.html")]
struct IndexPage {
    c: Chrome,
    filter: String,
    any: bool,
    rows: Vec<RowView>,
}

struct RowView {
    id: i64,
    name: String,
    note: String,
    masked: String,
    class: &'static str,
    state: &'static str,
    scope: String,
    quota: Option<QuotaView>,
    ends: Option<String>,
    last_used: String,
}

impl RowView {
    fn of(row: TokenRow, t: &Messages, now: UnixMs, zone: &jiff::tz::TimeZone) -> Self {
        let state = TokenState::of(&row, now);
        let token = row.token;
        Self {
            id: token.id.0,
            masked: masked(&token),
            class: state.class(),
            state: state.label(t),
            scope: match token.models.as_slice() {
                [] => t.tokens.all_models().to_owned(),
                [one] => one.clone(),
                [first, more @ ..] => t.tokens.more_models(first, more.len()),
            },
            quota: token.quota.map(|quota| QuotaView::of(quota, row.spent, t, now, zone)),
            ends: token.expires_at.map(|at| t.tokens.ends(&local_minute(at, zone))),
            last_used: match row.last_used_at {
                Some(at) => local_minute(at, zone),
                None => t.tokens.never_used().to_owned(),
            },
            name: token.name,
            note: token.note,
        }
    }

    fn matches(&self, filter: &str) -> bool {
        [&self.name, &self.note, &self.masked, &self.scope]
            .iter()
            .any(|text| text.to_lowercase().contains(filter))
    }
}

async fn index(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let t = operator.t();
    let now = db.now();
    let rows = db.token_rows(now, &catalog.zone).await?;
    let any = !rows.is_empty();
    let filter = query.text("q").to_owned();
    let wanted = filter.to_lowercase();
    let rows = rows.into_iter().map(|row| RowView::of(row, &t, now, &catalog.zone));
    render(&IndexPage {
        c: operator.chrome(Section::Tokens),
        any,
        rows: rows.filter(|row| row.matches(&wanted)).collect(),
        filter,
    })
}
