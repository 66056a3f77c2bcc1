//! The limits of a channel or of one key: what is declared, what is known of the provider, and the form for them.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::{
    find_channel, find_key,
    form::{in_language, provider_name},
    key_name,
};
use crate::{
    error::Result,
    i18n::Messages,
    model::{
        catalog::ChannelEntry,
        key::Key,
        limit::{Limit, Metric, Per, Source},
    },
    pool::{
        input::{
            Faults, LimitInput, Limited, WindowInput, check_limits, metric_of, metric_word, per_of, per_word,
        },
        rules::{MAX_KEY_LIMITS, MAX_LIMITS, shortened},
    },
    provider::{Confidence, DeclaredLimit, Provider, Scope},
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render_with, see_other_with},
        form::{FieldErrors, Fields},
    },
};

/// Empty rows for new limits.
const SPARE_ROWS: usize = 2;
const METRICS: [Metric; 5] =
    [Metric::Requests, Metric::Tokens, Metric::InputTokens, Metric::Units, Metric::Concurrency];
const PERS: [Per; 6] = [Per::Key, Per::Owner, Per::KeyModel, Per::OwnerModel, Per::Model, Per::Channel];

/// A limit as a line of a table.
pub(super) struct LimitLine {
    /// How much, or that this is not known.
    pub amount: String,
    /// Of what.
    pub what: String,
    /// In which window; empty for calls at the same time.
    pub window: String,
    /// For whom each.
    pub per: &'static str,
    /// For which models.
    pub models: String,
    /// Where it is known from, and how sure that is.
    pub source: &'static str,
}

/// What is declared, and what is known of the provider.
pub(super) struct LimitTables {
    /// Of the channel, or of the key.
    pub own: Vec<LimitLine>,
    /// Of the provider, on the channel's plan.
    pub known: Vec<LimitLine>,
    /// The provider's name.
    pub provider: String,
}

impl LimitTables {
    /// The tables of a channel, or of one key of it.
    pub fn of(t: Messages, entry: &ChannelEntry, key: Option<&Key>, provider: &Provider) -> Self {
        let limits = key.map_or(&entry.channel.limits, |key| &key.limits);
        let known = provider.limits_on(entry.channel.plan.as_deref());
        Self {
            own: limits.iter().map(|limit| LimitLine::declared(t, limit, provider)).collect(),
            known: known.iter().map(|limit| LimitLine::known(t, limit, provider)).collect(),
            provider: provider_name(t, provider).to_owned(),
        }
    }
}

impl LimitLine {
    fn declared(t: Messages, limit: &Limit, provider: &Provider) -> Self {
        let input = LimitInput::of(limit);
        Self {
            amount: limit.max.to_string(),
            what: metric_name(t, limit.metric, provider),
            window: input.window.map(|window| window.to_string()).unwrap_or_default(),
            per: per_name(t, limit.per),
            models: model_names(t, &limit.models.0),
            source: match limit.source {
                Source::Operator => t.limits.insisted(),
                _ => t.limits.declared(),
            },
        }
    }

    fn known(t: Messages, limit: &DeclaredLimit, provider: &Provider) -> Self {
        let written = LimitInput::of(&Limit {
            models: limit.models.clone(),
            per: Per::Key,
            metric: limit.metric,
            window: limit.window.clone(),
            max: 1,
            source: Source::Declared,
        });
        Self {
            amount: limit.max.map_or_else(|| t.limits.unknown_amount().to_owned(), |max| max.to_string()),
            what: metric_name(t, limit.metric, provider),
            window: written.window.map(|window| window.to_string()).unwrap_or_default(),
            per: match limit.scope {
                Scope::Request | Scope::Key => t.limits.per_key(),
                Scope::KeyModel => t.limits.per_key_model(),
                Scope::Group => t.limits.per_group(),
                Scope::GroupModel => t.limits.per_group_model(),
                Scope::Model => t.limits.per_model(),
                Scope::Channel => t.limits.per_channel(),
            },
            models: model_names(t, &limit.models.0),
            source: match limit.confidence {
                Confidence::High => t.limits.confidence_high(),
                Confidence::Medium => t.limits.confidence_medium(),
                Confidence::Low => t.limits.confidence_low(),
            },
        }
    }
}

fn model_names(t: Messages, models: &[String]) -> String {
    if models.is_empty() { t.limits.all_models().to_owned() } else { models.join(", ") }
}

fn metric_name(t: Messages, metric: Metric, provider: &Provider) -> String {
    let l = t.limits;
    let name = match metric {
        Metric::Requests => l.requests(),
        Metric::InputTokens => l.input_tokens(),
        Metric::Tokens => l.tokens(),
        Metric::Units => provider.unit_name.as_ref().map_or(l.units(), |name| in_language(t, name)),
        Metric::Concurrency => l.concurrency(),
    };
    name.to_owned()
}

fn per_name(t: Messages, per: Per) -> &'static str {
    let l = t.limits;
    match per {
        Per::Key => l.per_key(),
        Per::Owner => l.per_group(),
        Per::KeyModel => l.per_key_model(),
        Per::OwnerModel => l.per_group_model(),
        Per::Model => l.per_model(),
        Per::Channel => l.per_channel(),
    }
}

#[derive(Template)]
#[template(path = "pages/channels/limits.html")]
struct LimitsPage {
    c: Chrome,
    title: String,
    path: String,
    back: String,
    /// Whether they are of one key.
    key: bool,
    rows: Vec<Row>,
    errors: FieldErrors,
    messages: Vec<String>,
    metrics: Vec<(&'static str, String)>,
    pers: Vec<(&'static str, &'static str)>,
    tables: LimitTables,
    zone: String,
}

/// A row of the form as it was typed.
#[derive(Default)]
struct Row {
    amount: String,
    metric: String,
    window: String,
    zone: String,
    per: String,
    models: String,
    insist: bool,
    remove: bool,
}

impl LimitsPage {
    fn wrong(&self, field: &str, row: &usize) -> bool {
        self.errors.find(&format!("{field}-{row}")).is_some()
    }
}

impl Row {
    fn of(limit: &Limit) -> Self {
        let input = LimitInput::of(limit);
        let (window, zone) = match input.window {
            Some(WindowInput::Object(mut object)) => {
                let zone = object.zone.take().unwrap_or_default();
                (WindowInput::Object(object).to_string(), zone)
            }
            Some(window) => (window.to_string(), String::new()),
            None => Default::default(),
        };
        Self {
            amount: limit.max.to_string(),
            metric: metric_word(limit.metric).to_owned(),
            window,
            zone,
            per: per_word(limit.per).to_owned(),
            models: limit.models.0.join(", "),
            insist: input.insist,
            remove: false,
        }
    }

    fn sent(fields: &Fields) -> Vec<Self> {
        let column = |name| fields.all(name).map(str::to_owned).collect::<Vec<_>>();
        let [mut metrics, mut windows, mut zones, mut pers, mut models] =
            ["metric", "window", "zone", "per", "models"].map(|name| column(name).into_iter());
        let ticked = |name, row: usize| fields.all(name).any(|ticked| ticked.parse() == Ok(row));
        // One more than is allowed is enough to say so.
        let rows = column("amount").into_iter().take(MAX_LIMITS + SPARE_ROWS + 1).enumerate();
        rows.map(|(row, amount)| Self {
            amount,
            metric: metrics.next().unwrap_or_default(),
            window: windows.next().unwrap_or_default(),
            zone: zones.next().unwrap_or_default(),
            per: pers.next().unwrap_or_default(),
            models: models.next().unwrap_or_default(),
            insist: ticked("insist", row),
            remove: ticked("remove", row),
        })
        .collect()
    }

    /// What the row describes, or the field that is wrong and why.
    fn read(&self, t: Messages) -> Result<LimitInput, (&'static str, String)> {
        let l = t.limits;
        let max = self.amount.parse().map_err(|_| ("amount", l.amount_invalid().to_owned()))?;
        let separators = |c: char| matches!(c, ',' | '，' | '、') || c.is_whitespace();
        let models = self.models.split(separators).filter(|name| !name.is_empty());
        Ok(LimitInput {
            metric: metric_of(&self.metric)
                .ok_or_else(|| ("metric", l.line_metric(&shortened(&self.metric))))?,
            max,
            window: WindowInput::typed(&self.window, &self.zone),
            per: per_of(&self.per).ok_or_else(|| ("per", l.line_per(&shortened(&self.per))))?,
            models: models.map(str::to_owned).collect(),
            insist: self.insist,
        })
    }
}

/// The column that a fault's path is about.
fn column(rest: &str) -> &'static str {
    match rest {
        _ if rest.starts_with(".window.zone") => "zone",
        _ if rest.starts_with(".window") => "window",
        _ if rest.starts_with(".per") => "per",
        _ if rest.starts_with(".models") => "models",
        _ => "amount",
    }
}

/// The limits that the rows describe, or messages: at the fields of their rows, and with them in words.
fn validate(t: Messages, rows: &[Row], of: Limited<'_>) -> Result<Vec<Limit>, (FieldErrors, Vec<String>)> {
    let mut wrong: Vec<(Option<(usize, &str)>, String)> = Vec::new();
    let (mut inputs, mut places) = (Vec::new(), Vec::new());
    for (row, typed) in rows.iter().enumerate().filter(|(_, row)| !row.remove && !row.amount.is_empty()) {
        match typed.read(t) {
            Ok(input) => {
                inputs.push(input);
                places.push(row);
            }
            Err((column, message)) => wrong.push((Some((row, column)), message)),
        }
    }
    let mut faults = Faults::default();
    let limits = check_limits(&inputs, of, "", t, &mut faults);
    for fault in faults.0 {
        let inner = fault.field.strip_prefix("limits[").and_then(|rest| rest.split_once(']'));
        let place =
            inner.and_then(|(place, rest)| Some((*places.get(place.parse::<usize>().ok()?)?, column(rest))));
        // Another limit is named by its place among those that are given; people see rows.
        let message = places.iter().enumerate().fold(fault.message, |message, (place, row)| {
            message.replace(&format!("limits[{place}]"), &t.limits.row_name(row + 1))
        });
        wrong.push((place, message));
    }
    if wrong.is_empty() {
        return Ok(limits);
    }
    let (mut errors, mut messages) = (FieldErrors::default(), Vec::new());
    for (place, message) in wrong {
        match place {
            Some((row, column)) => {
                messages.push(t.limits.row_error(row + 1, &message));
                errors.add(format!("{column}-{row}"), message);
            }
            None => {
                messages.push(message.clone());
                errors.add("limits", message);
            }
        }
    }
    Err((errors, messages))
}

/// Whose limits a page is about.
struct Subject {
    entry: std::sync::Arc<ChannelEntry>,
    key: Option<std::sync::Arc<Key>>,
}

impl Subject {
    fn find(site: &Site, id: &str, key: Option<&str>) -> Result<Self> {
        let entry = find_channel(&site.catalog.load(), id)?;
        let key = key.map(|key| find_key(&entry, key)).transpose()?;
        Ok(Self { entry, key })
    }

    fn limits(&self) -> &[Limit] {
        self.key.as_ref().map_or(&self.entry.channel.limits, |key| &key.limits)
    }

    /// The page that it belongs to.
    fn path(&self) -> String {
        let channel = format!("/channels/{}", self.entry.channel.id);
        match &self.key {
            Some(key) => format!("{channel}/keys/{}", key.id),
            None => channel,
        }
    }

    fn page(
        &self,
        site: &Site,
        operator: &Operator,
        status: StatusCode,
        rows: Vec<Row>,
        (errors, messages): (FieldErrors, Vec<String>),
    ) -> Result<Response> {
        let (t, channel) = (operator.t(), &self.entry.channel);
        let provider = site.catalog.provider_of(channel);
        let metrics = METRICS.map(|metric| (metric_word(metric), metric_name(t, metric, &provider)));
        let pers = PERS.iter().filter(|per| self.key.is_none() || matches!(per, Per::Key | Per::KeyModel));
        let path = self.path();
        render_with(
            status,
            &LimitsPage {
                c: operator.chrome(Section::Channels),
                title: match &self.key {
                    Some(key) => t.limits.of_key(&key_name(key)),
                    None => t.limits.of_channel(&channel.name),
                },
                back: path.clone(),
                path: format!("{path}/limits"),
                key: self.key.is_some(),
                rows,
                errors,
                messages,
                metrics: metrics.into(),
                pers: pers.map(|per| (per_word(*per), per_name(t, *per))).collect(),
                tables: LimitTables::of(t, &self.entry, self.key.as_deref(), &provider),
                zone: provider.zone().unwrap_or_default().to_owned(),
            },
        )
    }

    fn show(&self, site: &Site, operator: &Operator) -> Result<Response> {
        let spare = std::iter::repeat_with(Row::default).take(SPARE_ROWS);
        let rows = self.limits().iter().map(Row::of).chain(spare).collect();
        self.page(site, operator, StatusCode::OK, rows, Default::default())
    }

    async fn save(&self, site: &Site, operator: &Operator, fields: &Fields) -> Result<Response> {
        let mut rows = Row::sent(fields);
        if fields.raw("do") == "add" {
            rows.retain(|row| !row.remove);
            let most = if self.key.is_some() { MAX_KEY_LIMITS } else { MAX_LIMITS };
            if rows.len() < most {
                rows.push(Row::default());
            }
            return self.page(site, operator, StatusCode::OK, rows, Default::default());
        }
        let provider = site.catalog.provider_of(&self.entry.channel);
        let of = Limited { key: self.key.is_some(), provider: Some(&provider) };
        let limits = match validate(operator.t(), &rows, of) {
            Ok(limits) => limits,
            Err(wrong) => {
                return self.page(site, operator, StatusCode::UNPROCESSABLE_ENTITY, rows, wrong);
            }
        };
        let key = self.key.as_ref().map(|key| key.id);
        site.db.set_limits(self.entry.channel.id, key, &limits).await?;
        site.catalog.reload().await?;
        Ok(see_other_with(&self.path(), FlashKind::Ok, operator.t().common.saved()))
    }
}

/// `GET /channels/{id}/limits`.
pub(super) async fn show(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    Subject::find(&site, &id, None)?.show(&site, &operator)
}

/// `POST /channels/{id}/limits`: saves them, or adds a row.
pub(super) async fn save(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    Subject::find(&site, &id, None)?.save(&site, &operator, &fields).await
}

/// `GET /channels/{id}/keys/{key}/limits`.
pub(super) async fn show_of_key(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response> {
    Subject::find(&site, &id, Some(&key))?.show(&site, &operator)
}

/// `POST /channels/{id}/keys/{key}/limits`: saves them, or adds a row.
pub(super) async fn save_of_key(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response> {
    Subject::find(&site, &id, Some(&key))?.save(&site, &operator, &fields).await
}
