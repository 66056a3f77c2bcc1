//! The bars of channels, keys or models, those in trouble first.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State as Part},
    response::Response,
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::{
    Tab,
    bars::{Bar, Borders, Span},
    standing::{Rests, Standing, State, of_channel, of_key, of_model},
    tabs,
};
use crate::{
    error::Result,
    i18n::Messages,
    model::{
        catalog::{Catalog, ChannelEntry},
        key::Key,
        time::UnixMs,
        token::named_enum,
    },
    pool::upkeep::models_to_check,
    storage::{StorageError, usage_query::cells::CellsOf},
    web::{
        Site,
        admin::{
            channels::key_name,
            usage::period::url,
            visit::{Chrome, Operator, Section, render},
        },
        form::Fields,
        format::Moment,
    },
};

/// Rows on a page.
const ROWS: usize = 25;
/// The longest text to look for, in characters.
const MAX_CHARS: usize = 200;

named_enum! {
    /// What a row is about.
    By {
        /// A channel.
        Channel = "channel",
        /// A key.
        Key = "key",
        /// An upstream's model at a channel.
        Model = "model",
    }
}

/// `GET /health`.
pub fn router() -> Router<Site> {
    Router::new().route("/health", get(show))
}

/// What a row is about.
enum Subject {
    Channel(Arc<ChannelEntry>),
    Key(Arc<ChannelEntry>, Arc<Key>),
    Model(Arc<ChannelEntry>, String),
}

impl Subject {
    fn entry(&self) -> &ChannelEntry {
        match self {
            Self::Channel(entry) | Self::Key(entry, _) | Self::Model(entry, _) => entry,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Channel(entry) => entry.channel.name.clone(),
            Self::Key(_, key) => key_name(key),
            Self::Model(_, model) => model.clone(),
        }
    }

    /// Where it has a page.
    fn href(&self) -> String {
        let id = self.entry().channel.id;
        match self {
            Self::Key(_, key) => format!("/channels/{id}/keys/{}", key.id),
            Self::Channel(_) | Self::Model(..) => format!("/channels/{id}"),
        }
    }

    fn cells(&self) -> CellsOf {
        let id = self.entry().channel.id;
        match self {
            Self::Channel(_) => CellsOf::Channel(id),
            Self::Key(_, key) => CellsOf::Key(key.id),
            Self::Model(_, model) => CellsOf::Model(id, model.clone()),
        }
    }

    /// Whether its name, or its channel's, holds a text in small letters.
    fn has(&self, text: &str) -> bool {
        text.is_empty()
            || self.name().to_lowercase().contains(text)
            || self.entry().channel.name.to_lowercase().contains(text)
    }
}

/// A link, one of several of which one is where the visitor is.
struct Choice {
    href: String,
    label: String,
    current: bool,
}

struct Row {
    href: String,
    name: String,
    /// The channel of a key or a model.
    channel: String,
    standing: Standing,
    until: Option<Moment>,
    bar: Bar,
    /// Where the form leads that ends the rest; empty if that is not possible.
    try_now: String,
    /// What its button says.
    ends: &'static str,
    /// The scope that it sends.
    scope: String,
    /// Where the form leads that pauses; empty if it does not take calls anyway.
    pause: String,
    /// The model that it names.
    model: String,
}

#[derive(Template)]
#[template(path = "pages/health.html")]
struct HealthPage {
    c: Chrome,
    tabs: Vec<Tab>,
    by: By,
    bys: Vec<Choice>,
    spans: Vec<Choice>,
    span: Span,
    states: Vec<Choice>,
    state: String,
    filter: String,
    rows: Vec<Row>,
    /// Whether there is anything to show without a filter.
    any: bool,
    too_slow: bool,
    found: String,
    previous: String,
    next: String,
    now_ms: i64,
}

/// What the visitor asks for.
struct Asked {
    by: By,
    span: Span,
    state: Option<State>,
    text: String,
    page: usize,
}

impl Asked {
    fn read(query: &str) -> Self {
        let fields = Fields::parse(query.as_bytes());
        Self {
            by: By::from_name(fields.text("by")).unwrap_or(By::Channel),
            span: Span::from_name(fields.text("period")).unwrap_or(Span::Day),
            state: State::from_name(fields.text("state")),
            text: fields.text("q").chars().take(MAX_CHARS).collect(),
            page: fields.text("page").parse().unwrap_or(1).clamp(1, 100_000),
        }
    }

    fn url(&self, by: By, span: Span, state: Option<State>, page: usize) -> String {
        let state = state.map_or_else(String::new, |state| state.to_string());
        let page = if page > 1 { page.to_string() } else { String::new() };
        let fields = [
            ("by", by.to_string()),
            ("period", span.to_string()),
            ("state", state),
            ("q", self.text.clone()),
            ("page", page),
        ];
        url("/health", fields)
    }
}

/// `GET /health`: `by`, `period`, `state`, `q` and `page`; what cannot be meant is left out.
async fn show(Part(site): Part<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let (t, asked) = (operator.t(), Asked::read(&query.unwrap_or_default()));
    let catalog = site.catalog.load();
    let shortages = site.admin.figures.shortages(&site).await;
    let now = site.dispatch.now();
    let wanted = asked.text.to_lowercase();
    let mut all: Vec<(Subject, Standing)> = {
        let pool = site.dispatch.lock();
        let rests = Rests::new(pool.rests(), now);
        let stands = |subject: Subject| {
            let standing = match &subject {
                Subject::Channel(entry) => of_channel(t, entry, &rests, &shortages),
                Subject::Key(entry, key) => of_key(t, entry, key, &rests, &shortages),
                Subject::Model(entry, model) => of_model(t, entry, model, &rests),
            };
            (subject, standing)
        };
        subjects(&catalog, asked.by).filter(|subject| subject.has(&wanted)).map(stands).collect()
    };
    let states = states(t, &asked, &all);
    let any = catalog.channels().next().is_some();
    all.retain(|(_, standing)| asked.state.is_none_or(|state| standing.state == state));
    all.sort_by_cached_key(|(subject, standing)| {
        (standing.state.severity(), subject.name().to_lowercase(), subject.href())
    });
    let (count, pages) = (all.len(), all.len().div_ceil(ROWS).max(1));
    let page = asked.page.min(pages);
    let shown: Vec<(Subject, Standing)> = all.into_iter().skip((page - 1) * ROWS).take(ROWS).collect();
    let borders = Borders::of(asked.span, now.wall, &catalog.zone);
    let of: Vec<CellsOf> = shown.iter().map(|(subject, _)| subject.cells()).collect();
    let (cells, too_slow) = match site.db.cells(&of, &borders.at).await {
        Ok(cells) => (cells, false),
        Err(StorageError::TooSlow) => (vec![Vec::new(); of.len()], true),
        Err(error) => return Err(error.into()),
    };
    let rows = shown.into_iter().zip(cells).map(|((subject, standing), cells)| Row {
        bar: Bar::new(t, &cells, &borders),
        until: standing.until.map(|until| ending(until, now.wall, &catalog)),
        ..row(t, subject, standing)
    });
    let link = |page: usize| asked.url(asked.by, asked.span, asked.state, page);
    render(&HealthPage {
        c: operator.chrome(Section::Health),
        tabs: tabs(t, "/health"),
        bys: By::ALL
            .iter()
            .map(|by| Choice {
                href: asked.url(*by, asked.span, None, 1),
                label: by_label(t, *by).to_owned(),
                current: *by == asked.by,
            })
            .collect(),
        spans: Span::ALL
            .iter()
            .map(|span| Choice {
                href: asked.url(asked.by, *span, asked.state, page),
                label: span_label(t, *span).to_owned(),
                current: *span == asked.span,
            })
            .collect(),
        rows: rows.collect(),
        states,
        any,
        too_slow,
        found: t.health.found(count, page, pages),
        previous: if page > 1 { link(page - 1) } else { String::new() },
        next: if page < pages { link(page + 1) } else { String::new() },
        state: asked.state.map_or_else(String::new, |state| state.to_string()),
        by: asked.by,
        span: asked.span,
        filter: asked.text,
        now_ms: now.wall.0,
    })
}

/// Everything that may have a row.
fn subjects(catalog: &Catalog, by: By) -> impl Iterator<Item = Subject> + '_ {
    catalog.channels().flat_map(move |entry| match by {
        By::Channel => vec![Subject::Channel(entry.clone())],
        By::Key => entry.keys.iter().map(|key| Subject::Key(entry.clone(), key.clone())).collect(),
        By::Model => models_to_check(&entry.channel)
            .into_iter()
            .map(|model| Subject::Model(entry.clone(), model))
            .collect::<Vec<_>>(),
    })
}

/// The states that there are, each with its number.
fn states(t: Messages, asked: &Asked, all: &[(Subject, Standing)]) -> Vec<Choice> {
    let choice = |state: Option<State>, label: &str, count: usize| Choice {
        href: asked.url(asked.by, asked.span, state, 1),
        label: format!("{label} {count}"),
        current: state == asked.state,
    };
    let of_state = |state: &State| {
        let count = all.iter().filter(|(_, standing)| standing.state == *state).count();
        let is_there = count > 0 || asked.state == Some(*state);
        is_there.then(|| choice(Some(*state), state.label(t), count))
    };
    std::iter::once(choice(None, t.health.all(), all.len()))
        .chain(State::ALL.iter().filter_map(of_state))
        .collect()
}

fn row(t: Messages, subject: Subject, standing: Standing) -> Row {
    let id = subject.entry().channel.id;
    let (pause, model) = match &subject {
        Subject::Channel(_) => (format!("/channels/{id}/pause"), String::new()),
        Subject::Key(_, key) => (format!("/channels/{id}/keys/{}/pause", key.id), String::new()),
        Subject::Model(_, model) => (format!("/channels/{id}/pause"), model.clone()),
    };
    let takes_calls = matches!(standing.state, State::Ok | State::UnknownLimits);
    let scope = standing.scope.as_ref().and_then(|scope| serde_json::to_string(scope).ok());
    let channel = match &subject {
        Subject::Channel(_) => String::new(),
        Subject::Key(entry, _) | Subject::Model(entry, _) => entry.channel.name.clone(),
    };
    Row {
        href: subject.href(),
        name: subject.name(),
        channel,
        try_now: scope.as_ref().map_or_else(String::new, |_| format!("/channels/{id}/rests")),
        ends: if standing.state == State::Paused { t.health.end_pause() } else { t.health.try_now() },
        scope: scope.unwrap_or_default(),
        pause: if takes_calls { pause } else { String::new() },
        model,
        standing,
        until: None,
        bar: Bar {
            html: String::new(),
            summary: String::new(),
            answered: String::new(),
            calls: String::new(),
        },
    }
}

/// A time that is to come, to be counted down by the page's script; without it, the time itself.
fn ending(until: UnixMs, now: UnixMs, catalog: &Catalog) -> Moment {
    let zoned = until.zoned(&catalog.zone);
    let pattern = if zoned.date() == now.zoned(&catalog.zone).date() { "%H:%M:%S" } else { "%m-%d %H:%M" };
    Moment {
        iso: zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        exact: zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        text: zoned.strftime(pattern).to_string(),
    }
}

fn by_label(t: Messages, by: By) -> &'static str {
    match by {
        By::Channel => t.health.by_channel(),
        By::Key => t.health.by_key(),
        By::Model => t.health.by_model(),
    }
}

fn span_label(t: Messages, span: Span) -> &'static str {
    match span {
        Span::Day => t.health.span_day(),
        Span::Quarter => t.health.span_quarter(),
    }
}
