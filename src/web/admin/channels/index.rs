//! The list of channels.

use std::{collections::HashMap, time::Duration};

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};

use super::state;
use crate::{
    error::Result,
    model::id::ChannelId,
    storage::usage_query::{
        UsageFilter,
        report::{Group, GroupBy, GroupName, Question},
    },
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
        form::Fields,
        format,
    },
};

#[derive(Template)]
#[template(path = "pages/channels/index.html")]
struct IndexPage {
    c: Chrome,
    rows: Vec<Row>,
    available: String,
    any: bool,
    filter: String,
    /// What is wrong with the operator's files of providers.
    faults: Vec<String>,
}

struct Row {
    shown: bool,
    id: String,
    name: String,
    host: String,
    badge: state::Badge,
    keys: usize,
    models: String,
    priority: i64,
    weight: u32,
    /// Of the last 24 hours: upstream calls, the share that was answered, and the median time to the first content.
    calls: String,
    answered: String,
    first_content: String,
}

/// The period that the figures are from.
const DAY: Duration = Duration::from_secs(86_400);

/// What the roll-ups say about each channel. Without an answer in time the list comes without figures: it is there to
/// work with, also when the database is busy.
async fn figures(site: &Site) -> HashMap<ChannelId, Group> {
    let since = site.clock.now() - DAY;
    let filter = UsageFilter { from: Some(since), ..UsageFilter::default() };
    match site.db.usage_report(&Question::new(filter, GroupBy::Channel)).await {
        Ok(report) => report
            .groups
            .into_iter()
            .filter_map(|group| match &group.name {
                GroupName::Channel(channel) => Some((channel.id, group)),
                _ => None,
            })
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "the list of channels goes without figures");
            HashMap::new()
        }
    }
}

/// `GET /channels`; `q` filters by name, host and model for browsers without scripts.
pub(super) async fn show(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let t = operator.t();
    let filter = Fields::parse(query.unwrap_or_default().as_bytes()).text("q").to_lowercase();
    let catalog = site.catalog.load();
    let now = site.clock.steady();
    let figures = figures(&site).await;
    let mut rows: Vec<Row> = {
        let pool = site.dispatch.lock();
        let mut entries: Vec<_> = catalog.channels().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.channel.priority));
        entries
            .into_iter()
            .map(|entry| {
                let channel = &entry.channel;
                let mut names: Vec<&str> = channel.redirects.iter().map(|r| r.public.as_str()).collect();
                names.extend(channel.models.iter().map(|model| model.name.as_str()));
                let mut seen = std::collections::HashSet::new();
                names.retain(|name| seen.insert(name.to_lowercase()));
                let figures = figures.get(&channel.id);
                let attempts = figures.and_then(|group| group.attempts.as_ref());
                let first = names[..names.len().min(2)].join(", ");
                Row {
                    shown: filter.is_empty()
                        || [&*channel.name, &*channel.base_url]
                            .iter()
                            .chain(&names)
                            .any(|text| text.to_lowercase().contains(&filter)),
                    id: channel.id.to_string(),
                    name: channel.name.clone(),
                    host: host(&channel.base_url),
                    badge: state::of_channel(t, entry, pool.rests(), now),
                    keys: entry.keys.len(),
                    models: match names.len().saturating_sub(2) {
                        0 => first,
                        more => t.channels.models_more(&first, more),
                    },
                    priority: channel.priority,
                    weight: channel.weight,
                    calls: attempts.map_or(format::NOTHING.to_owned(), |calls| format::number(calls.all())),
                    answered: attempts.map_or(format::NOTHING.to_owned(), |calls| {
                        format::share(calls.all() - calls.failed(), calls.all())
                    }),
                    first_content: format::optional_duration(
                        t,
                        figures.and_then(|group| group.sums.first_token.quantile(0.5)),
                    ),
                }
            })
            .collect()
    };
    let available = rows.iter().filter(|row| row.badge.available).count();
    let available = t.channels.available(available, rows.len());
    let any = !rows.is_empty();
    rows.retain(|row| row.shown);
    let faults = site.catalog.providers().faults().iter().map(ToString::to_string).collect();
    render(&IndexPage { c: operator.chrome(Section::Channels), rows, available, any, filter, faults })
}

fn host(base_url: &str) -> String {
    url::Url::parse(base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
