//! Turns: the calls that an agent made to answer one message, together.

use axum::http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::Result,
    shapes::{At, Page, dollars},
    usage::{CountsView, NamedView, TOO_SLOW, UsageQuery, token_name},
};
use crate::{model::usage::CallResult, pool::input::Decimal, storage::usage_query::turns::Turn};

/// The endpoint of this file.
pub fn endpoint() -> Endpoint {
    Endpoint::new(Method::GET, "/api/usage/turns", "List turns", list)
        .about(
            "A turn is what calls of one token with the same trace id (`traceparent`) are together. The filters find turns by \
             any of their calls; the sums are of all. List the calls with `trace_id` and `token_id` of `/api/usage`.",
        )
        .fails(StatusCode::SERVICE_UNAVAILABLE, TOO_SLOW)
}

/// Calls of one token with the same trace id.
#[derive(Debug, Serialize, ToSchema)]
pub struct TurnView {
    /// The trace id that the calls share.
    trace_id: String,
    /// Who asked.
    token: NamedView,
    /// When the first call arrived.
    started_at: At,
    /// When the last call ended.
    ended_at: At,
    /// Milliseconds between the two.
    duration_ms: u32,
    /// How many calls it has; of more than 1000 the newest 1000 count, here and in all sums.
    calls: u32,
    /// Whether it has more.
    more_calls: bool,
    /// How many of them were not answered completely.
    failed: u32,
    /// The models as asked, in the order of their first calls; at most 8.
    models: Vec<String>,
    /// How many further models were asked.
    more_models: usize,
    /// What kind of client it is.
    client_kind: String,
    /// Token counts.
    tokens: CountsView,
    /// Whether some of the counts are an estimate.
    estimated: bool,
    /// The cost in dollars.
    cost: Decimal,
    /// The status that the client got for the call that ended last.
    status: u16,
    /// How that call ended.
    result: CallResult,
}

impl TurnView {
    fn of(turn: &Turn) -> Self {
        Self {
            trace_id: turn.trace_id.clone(),
            token: token_name(&turn.token),
            started_at: turn.started_at.into(),
            ended_at: turn.ended_at.into(),
            duration_ms: turn.duration_ms(),
            calls: turn.calls,
            more_calls: turn.more,
            failed: turn.failed,
            models: turn.models.clone(),
            more_models: turn.more_models,
            client_kind: turn.client_kind.clone(),
            tokens: turn.tokens.into(),
            estimated: turn.estimated,
            cost: dollars(turn.cost_micros),
            status: turn.status,
            result: turn.result,
        }
    }
}

/// A page of turns.
#[derive(Debug, Serialize, ToSchema)]
pub struct TurnList {
    /// The turns, the newest first.
    items: Vec<TurnView>,
    /// The `cursor` that goes on to older turns; null at the end.
    next: Option<String>,
}

async fn list(asked: Asked<(), Query<UsageQuery>>) -> Result<Shown<TurnList>> {
    let query = &asked.query.0;
    let filter = query.filter(asked.caller.t())?;
    let limit = Page::read(query.limit, None)?.limit();
    let page = asked.site.db.turn_page(&filter, query.place()?, limit).await?;
    let next = page.turns.last().filter(|_| page.older).map(|turn| turn.cursor.to_string());
    Ok(Shown(TurnList { items: page.turns.iter().map(TurnView::of).collect(), next }))
}
