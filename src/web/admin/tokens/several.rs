//! What is done to several tokens at a time.

use std::time::Duration;

use axum::{Router, extract::State, response::Response, routing::post};

use crate::{
    error::Result,
    model::id::TokenId,
    storage::{several::Change, tokens::TokenRow},
    web::{
        Site,
        admin::{
            chosen::{Chosen, Deed, DeletePage, Fact, ResultRow, back, done},
            visit::{FlashKind, Operator, Section, render, see_other, see_other_with},
        },
        form::Fields,
    },
};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// `/tokens/chosen`.
pub(super) fn router() -> Router<Site> {
    Router::new().route("/tokens/chosen", post(change).get(to_tokens))
}

async fn to_tokens(_operator: Operator) -> Response {
    see_other("/tokens")
}

/// `POST /tokens/chosen`: switches or deletes the tokens of `pick`; deleting asks first, until `sure`.
async fn change(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let changes = [Change::On, Change::Off, Change::Delete].map(Deed::Change);
    let deed = Deed::read(t, &fields, &changes)?;
    let back = back(&fields, "/tokens");
    let Chosen { ids, mut failures } = match Chosen::read(t, &fields) {
        Ok(chosen) => chosen,
        Err(text) => return Ok(see_other_with(back, FlashKind::Bad, text)),
    };
    let now = site.db.now();
    let zone = site.catalog.load().zone.clone();
    let known = site.db.token_rows(now, &zone).await?;
    let mut rows: Vec<&TokenRow> = Vec::new();
    for id in ids {
        match known.iter().find(|row| row.token.id == TokenId(id)) {
            Some(row) => rows.push(row),
            None => failures.push(ResultRow::missing(id, t.chosen.not_found())),
        }
    }
    let Deed::Change(change) = deed else { return Ok(see_other(back)) };
    if change == Change::Delete && !fields.checked("sure") && !rows.is_empty() {
        let names = |rows: &[&TokenRow]| rows.iter().map(|row| row.token.name.clone()).collect::<Vec<_>>();
        let used: Vec<&TokenRow> =
            rows.iter().filter(|row| row.last_used_at.is_some_and(|at| at > now - WEEK)).copied().collect();
        let use_fact = if used.is_empty() {
            Fact::plain(t.chosen.delete_unused())
        } else {
            Fact::list(t.chosen.delete_in_use(), names(&used))
        };
        return render(&DeletePage {
            c: operator.chrome(Section::Tokens),
            title: t.chosen.delete_tokens_title(rows.len()),
            text: t.chosen.delete_tokens_text(),
            facts: vec![Fact::names(names(&rows)), use_fact],
            action: "/tokens/chosen".to_owned(),
            back: back.to_owned(),
            picks: rows.iter().map(|row| row.token.id.to_string()).collect(),
        });
    }
    let mut left = rows.len();
    if left > 0 {
        let ids: Vec<TokenId> = rows.iter().map(|row| row.token.id).collect();
        let missing = site.db.change_tokens(&ids, change).await?;
        left -= missing.len();
        site.catalog.reload().await?;
        for row in rows {
            let id = row.token.id;
            if missing.contains(&id) {
                failures.push(ResultRow::bad(&row.token.name, t.chosen.not_found()));
            } else if change == Change::Delete
                && let Err(error) = site.captures.erase(id).await
            {
                tracing::error!(%error, token = id.0, "the captured calls of a deleted token could not be erased");
                failures.push(ResultRow::bad(&row.token.name, t.chosen.capture_kept()));
            }
        }
    }
    let summary = match change {
        Change::On => t.chosen.switched_on(left),
        Change::Off => t.chosen.switched_off(left),
        Change::Delete => t.chosen.deleted(left),
    };
    done(&operator, Section::Tokens, summary, failures, back)
}
