//! `/`: what the pool can still do, how calls went lately, and which keys need a hand. Keeps itself up to date.

mod chart;
mod figures;
mod needs;

use std::time::Duration;

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};

pub use figures::Figures;

use self::{
    chart::Chart,
    figures::{Lately, cost_note, lately},
    needs::{Needs, needs},
};
use super::{
    live::Piece,
    visit::{Chrome, Operator, Section, render},
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    inspect::Shortages,
    model::in_flight::Overhead,
    scheduler::pool::Outlook,
    web::{
        Site,
        format::{
            NOTHING, approximate, count, duration, exact_money, money, number, optional_duration, share,
            short_count,
        },
        limits,
    },
};

/// How long a drawn overview holds at least.
const HOLDS: Duration = Duration::from_secs(1);

/// `GET /`, and the part of it that changes.
pub fn router() -> Router<Site> {
    Router::new().route("/", get(show)).route("/overview/live", get(live))
}

#[derive(Template)]
#[template(path = "pages/overview.html")]
struct OverviewPage {
    c: Chrome,
    piece: std::sync::Arc<Piece>,
    now_ms: i64,
}

/// A number with what it says exactly or what belongs to it.
struct Tile {
    label: String,
    hint: &'static str,
    value: String,
    exact: String,
    detail: String,
}

impl Tile {
    fn new(label: impl Into<String>, value: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            hint: "",
            value: value.into(),
            exact: String::new(),
            detail: detail.into(),
        }
    }
}

/// The part of the overview that changes.
#[derive(Template)]
#[template(path = "partials/overview.html")]
struct LivePart {
    t: Messages,
    /// Whether there are channels at all.
    any: bool,
    now: Vec<Tile>,
    lately: Vec<Tile>,
    too_slow: bool,
    chart: Option<Chart>,
    needs: Needs,
}

async fn show(State(site): State<Site>, operator: Operator) -> Result<Response> {
    let piece = piece(&site, operator.t()).await?;
    render(&OverviewPage { c: operator.chrome(Section::Overview), piece, now_ms: site.clock.now().0 })
}

async fn live(State(site): State<Site>, operator: Operator, headers: HeaderMap) -> Result<Response> {
    Ok(piece(&site, operator.t()).await?.answer(&headers))
}

async fn piece(site: &Site, t: Messages) -> Result<std::sync::Arc<Piece>> {
    let name = format!("overview {}", t.lang.as_str());
    // These have a pace of their own, so that the rest need not wait for the most expensive one.
    let figures = &site.admin.figures;
    let (outlook, shortages) = (figures.outlook(site).await, figures.shortages(site).await);
    let recent = lately(site).await?;
    let drawn = async { draw(site, t, &outlook, &shortages, recent.as_deref()) };
    site.admin.live.of(name, HOLDS, drawn).await
}

fn draw(
    site: &Site,
    t: Messages,
    outlook: &Outlook,
    shortages: &Shortages,
    recent: Option<&Lately>,
) -> Result<String> {
    let catalog = site.catalog.load();
    let (o, i) = (t.overview, t.inspect);
    let calls = site.in_flight.counts();
    let some = |count: usize| number(i64::try_from(count).unwrap_or(i64::MAX));
    let ready = outlook.keys.saturating_sub(outlook.resting);
    let now = vec![
        calls_tile(t, outlook, i.minute_now(), outlook.calls.next_minute, outlook.calls.per_minute),
        calls_tile(t, outlook, i.day_now(), outlook.calls.next_day, outlook.calls.per_day),
        Tile::new(
            o.under_way(),
            some(calls.all()),
            o.under_way_parts(&some(calls.waiting), &some(calls.upstream), &some(calls.answering)),
        ),
        Tile::new(
            o.keys_ready(),
            o.keys_of(&some(ready), &some(outlook.keys)),
            if outlook.resting > 0 { i.resting_keys(outlook.resting) } else { String::new() },
        ),
    ];
    let overhead = site.in_flight.overhead(site.clock.now());
    let part = LivePart {
        t,
        any: catalog.channels().next().is_some(),
        now,
        lately: recent.map(|recent| tiles(t, recent, overhead)).unwrap_or_default(),
        too_slow: recent.is_none(),
        chart: recent.and_then(|recent| Chart::new(t, recent, &catalog.zone)),
        needs: needs(t, site, &catalog, shortages),
    };
    part.render().map_err(|error| Error::Internal(error.into()))
}

/// How many calls the pool can serve, now and in theory: `12,000+` if some keys' part is unknown.
fn calls_tile(t: Messages, outlook: &Outlook, label: &'static str, now: u64, theory: u64) -> Tile {
    let short = |calls: u64| match outlook.unknown {
        0 => count(calls),
        unknown if unknown >= outlook.keys => t.inspect.unknown().to_owned(),
        _ => format!("{}+", count(calls)),
    };
    let tile = Tile::new(label, short(now), t.overview.in_theory(&short(theory)));
    Tile { exact: limits::calls(t, outlook, now), ..tile }
}

/// What the roll-ups say of the last hours.
fn tiles(t: Messages, recent: &Lately, overhead: Overhead) -> Vec<Tile> {
    let (u, o, sums) = (t.usage, t.overview, &recent.report.sums);
    let estimated = sums.estimated > 0;
    let tokens = |value: u64| approximate(short_count(value), estimated);
    let parts = u.tokens_parts(
        &tokens(sums.tokens.prompt),
        &tokens(sums.tokens.cached),
        &tokens(sums.tokens.completion),
        &tokens(sums.tokens.reasoning),
    );
    let (median, high) = (sums.first_token.quantile(0.5), sums.first_token.quantile(0.95));
    let first = match (median, high) {
        (Some(median), Some(high)) => format!("{} / {}", duration(t, median), duration(t, high)),
        _ => optional_duration(t, median),
    };
    let own = match overhead.calls {
        0 => Tile::new(o.overhead(), NOTHING, o.overhead_none()),
        calls => Tile::new(
            o.overhead(),
            format!("{} / {}", micros(t, overhead.p50_us), micros(t, overhead.p95_us)),
            o.overhead_calls(&count(calls)),
        ),
    };
    vec![
        Tile::new(u.requests(), number(sums.requests), u.failed_of_them(&number(sums.failed()))),
        Tile {
            hint: u.success_hint(),
            ..Tile::new(
                u.success_rate(),
                share(sums.ok, sums.requests),
                u.without_retries_value(&share(sums.ok_at_once, sums.requests)),
            )
        },
        Tile {
            exact: approximate(count(sums.tokens.total()), estimated),
            ..Tile::new(u.tokens(), tokens(sums.tokens.total()), parts)
        },
        Tile::new(u.first_token(), first, ""),
        Tile { hint: o.overhead_hint(), ..own },
        Tile {
            hint: u.saved_hint(),
            exact: approximate(exact_money(sums.cost_micros), estimated),
            ..Tile::new(u.cost(), approximate(money(sums.cost_micros), estimated), cost_note(t, recent))
        },
    ]
}

/// A number of microseconds: `85 µs`, `1.2 ms`, or as [`duration`] has it from ten milliseconds on.
fn micros(t: Messages, us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => duration(t, u32::try_from(us / 1_000).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn the_relays_own_time_is_shown_as_finely_as_it_is_short() {
        let t = Messages::of(Lang::En);
        assert_eq!(
            [7, 999, 1_250, 9_999, 12_345, 1_500_000].map(|us| micros(t, us)),
            ["7 µs", "999 µs", "1.2 ms", "9.9 ms", "12 ms", "1.50 s"]
        );
    }
}
