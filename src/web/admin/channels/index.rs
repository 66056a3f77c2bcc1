//! The list of channels.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};

use super::{ledger, state};
use crate::{
    error::Result,
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
        form::Fields,
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
    let now = site.clock.now();
    let mut rows: Vec<Row> = {
        let ledger = ledger(&site);
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
                    badge: state::of_channel(t, entry, ledger.rests(), now),
                    keys: entry.keys.len(),
                    models: match names.len().saturating_sub(2) {
                        0 => first,
                        more => t.channels.models_more(&first, more),
                    },
                    priority: channel.priority,
                    weight: channel.weight,
                }
            })
            .collect()
    };
    let available = rows.iter().filter(|row| row.badge.available).count();
    let available = t.channels.available(available, rows.len());
    let any = !rows.is_empty();
    rows.retain(|row| row.shown);
    render(&IndexPage { c: operator.chrome(Section::Channels), rows, available, any, filter })
}

fn host(base_url: &str) -> String {
    url::Url::parse(base_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}
