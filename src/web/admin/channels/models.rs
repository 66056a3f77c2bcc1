//! The models of a channel, their prices, and the upstream's list of them.

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::{
    find_channel,
    show::{PasteForm, page},
    state,
    validate::{parse_redirects, show_redirects},
};
use crate::{
    discovery::{RefreshFailure, refresh},
    error::Result,
    i18n::Messages,
    model::{
        channel::{Channel, ChannelModel, Price},
        decimal,
        endpoint::Endpoints,
        unit_price::UnitPrices,
    },
    pool::{
        rules::{DOLLAR_PLACES, MAX_MODELS, MAX_PRICE_MICROS, is_model_name, is_price},
        upkeep::{merged_models, patient_timeouts},
    },
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with},
        form::{FieldErrors, Fields},
    },
};

/// Empty rows for new models.
const SPARE_ROWS: usize = 2;
/// Longer lists are shown with a search and in pages.
const MOST_FETCHED: usize = 250;
const MAX_TOKENS: i64 = 100_000_000;

/// The rows of a table. A channel with more models has a search, and its table comes in parts.
const MOST_ROWS: usize = 100;

/// Which part of a long table is shown.
#[derive(Default)]
pub(super) struct Part {
    /// What names must contain, whatever their letters' case.
    pub q: String,
    /// Counted from 1.
    pub page: usize,
    pub pages: usize,
    /// How many models fit.
    pub count: usize,
    /// The names of the part, as JSON: what the rows that are sent stand for. Others stay as they are.
    pub shown: String,
}

impl Part {
    /// The query of a page of the same search.
    pub fn query(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &self.q).append_pair("page", &page.to_string());
        query.finish()
    }
}

/// The table of models as it was typed.
#[derive(Default)]
pub(super) struct ModelsForm {
    /// Which part it is; `None`: the whole table.
    pub part: Option<Part>,
    /// One row per model.
    pub rows: Vec<ModelRow>,
    /// The redirects, one per line.
    pub redirects: String,
    /// What is wrong.
    pub errors: FieldErrors,
}

/// One row of the table.
#[derive(Default, Clone)]
pub(super) struct ModelRow {
    pub name: String,
    pub context: String,
    pub max_output: String,
    pub vision: String,
    pub tools: String,
    pub reasoning: String,
    pub input: String,
    pub cached: String,
    pub output: String,
    pub thinking: String,
    pub units: String,
    pub endpoints: String,
    pub remove: bool,
}

impl ModelsForm {
    /// The table of a channel as it is, with empty rows for new models.
    pub fn of(channel: &Channel) -> Self {
        Self::part_of(channel, "", 1)
    }

    /// The same with a part of the models, if they are many: those whose name contains `q`, page by page.
    pub fn part_of(channel: &Channel, q: &str, page: usize) -> Self {
        let wanted = q.to_lowercase();
        let fit = channel.models.iter().filter(|model| model.name.to_lowercase().contains(&wanted));
        let mut models: Vec<&ChannelModel> = fit.collect();
        let part = (channel.models.len() > MOST_ROWS).then(|| {
            let (count, pages) = (models.len(), models.len().div_ceil(MOST_ROWS).max(1));
            let page = page.clamp(1, pages);
            models = models.iter().skip((page - 1) * MOST_ROWS).take(MOST_ROWS).copied().collect();
            let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
            let shown = serde_json::to_string(&names).unwrap_or_default();
            Part { q: q.to_owned(), page, pages, count, shown }
        });
        if part.is_none() {
            models = channel.models.iter().collect();
        }
        let rows = models.into_iter().map(ModelRow::of);
        Self {
            part,
            rows: rows.chain(std::iter::repeat_n(ModelRow::default(), SPARE_ROWS)).collect(),
            redirects: show_redirects(&channel.redirects),
            errors: FieldErrors::default(),
        }
    }

    fn sent(fields: &Fields) -> Self {
        let column = |name| fields.all(name).map(str::to_owned).collect::<Vec<_>>();
        let removed: std::collections::HashSet<usize> =
            fields.all("remove").filter_map(|row| row.parse().ok()).collect();
        let mut columns: HashMap<&str, std::vec::IntoIter<String>> = [
            "context",
            "max_output",
            "vision",
            "tools",
            "reasoning",
            "input",
            "cached",
            "output",
            "thinking",
            "units",
            "endpoints",
        ]
        .into_iter()
        .map(|name| (name, column(name).into_iter()))
        .collect();
        let mut next = |name| columns.get_mut(name).and_then(Iterator::next).unwrap_or_default();
        let rows = column("model")
            .into_iter()
            .enumerate()
            .map(|(index, name)| ModelRow {
                name,
                context: next("context"),
                max_output: next("max_output"),
                vision: next("vision"),
                tools: next("tools"),
                reasoning: next("reasoning"),
                input: next("input"),
                cached: next("cached"),
                output: next("output"),
                thinking: next("thinking"),
                units: next("units"),
                endpoints: next("endpoints"),
                remove: removed.contains(&index),
            })
            .collect();
        let number = |name: &str| fields.text(name).parse().unwrap_or(1);
        let part = (!fields.text("shown").is_empty()).then(|| Part {
            q: fields.text("q").to_owned(),
            page: number("page"),
            pages: number("pages"),
            count: number("count"),
            shown: fields.text("shown").to_owned(),
        });
        Self { part, rows, redirects: fields.text("redirects").to_owned(), errors: FieldErrors::default() }
    }

    /// Puts the models of a part in the place of those that it showed.
    fn put_in_place(
        &self,
        channel: &Channel,
        models: Vec<ChannelModel>,
        t: Messages,
    ) -> Result<Vec<ChannelModel>, FieldErrors> {
        let Some(part) = &self.part else { return Ok(models) };
        let shown: std::collections::HashSet<String> = serde_json::from_str(&part.shown).unwrap_or_default();
        let (mut all, mut at): (Vec<ChannelModel>, _) = (Vec::with_capacity(channel.models.len()), None);
        for model in &channel.models {
            if shown.contains(&model.name) {
                at.get_or_insert(all.len());
            } else {
                all.push(model.clone());
            }
        }
        let mut errors = FieldErrors::default();
        let names: std::collections::HashSet<&str> = all.iter().map(|model| model.name.as_str()).collect();
        let filled = self.rows.iter().enumerate().filter(|(_, row)| !row.remove);
        for (index, _) in filled.filter(|(_, row)| names.contains(row.name.as_str())) {
            errors.add(format!("model-{index}"), t.channels.model_twice());
        }
        if all.len() + models.len() > MAX_MODELS {
            errors.add("models", t.channels.too_many_models(MAX_MODELS));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let at = at.unwrap_or(all.len());
        all.splice(at..at, models);
        Ok(all)
    }

    /// The models that the table describes; messages stand at `model-0`, `input-0` and so on.
    fn validate(&self, t: Messages) -> Result<Vec<ChannelModel>, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut models: Vec<ChannelModel> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (index, row) in self.rows.iter().enumerate() {
            if row.remove || row.name.is_empty() {
                continue;
            }
            if !is_model_name(&row.name) {
                let shown: String = row.name.chars().take(80).collect();
                errors.add(format!("model-{index}"), t.channels.model_invalid(&shown));
            } else if !seen.insert(row.name.as_str()) {
                errors.add(format!("model-{index}"), t.channels.model_twice());
            }
            models.push(row.model(t, index, &mut errors));
        }
        if models.len() > MAX_MODELS {
            errors.add("models", t.channels.too_many_models(MAX_MODELS));
        }
        if errors.is_empty() { Ok(models) } else { Err(errors) }
    }

    /// The messages of all rows, each with its row and column: a table has no room for them.
    pub fn messages(&self, t: Messages) -> Vec<String> {
        let c = t.channels;
        let columns = [
            ("model", c.model()),
            ("context", c.context_window()),
            ("max_output", c.max_output()),
            ("input", c.price_input()),
            ("cached", c.price_cached()),
            ("output", c.price_output()),
            ("thinking", c.price_reasoning()),
            ("units", c.unit_prices()),
            ("endpoints", c.endpoints()),
        ];
        let of_rows = (0..self.rows.len()).flat_map(|row| {
            columns.iter().filter_map(move |(field, title)| {
                let message = self.errors.find(&format!("{field}-{row}"))?;
                Some(c.row_error(row + 1, title, message))
            })
        });
        self.errors.find("models").map(str::to_owned).into_iter().chain(of_rows).collect()
    }

    /// Whether a cell has a message.
    pub fn wrong(&self, field: &str, row: &usize) -> bool {
        self.errors.find(&format!("{field}-{row}")).is_some()
    }
}

impl ModelRow {
    fn of(model: &ChannelModel) -> Self {
        let count = |value: Option<u32>| value.map_or_else(String::new, |value| value.to_string());
        let choice = |value: Option<bool>| match value {
            None => String::new(),
            Some(value) => value.to_string(),
        };
        let price =
            |value: Option<i64>| value.map_or_else(String::new, |value| decimal::show(value, DOLLAR_PLACES));
        Self {
            name: model.name.clone(),
            context: count(model.context_window),
            max_output: count(model.max_output),
            vision: choice(model.vision),
            tools: choice(model.tools),
            reasoning: choice(model.reasoning),
            input: price(model.price.map(|price| price.input)),
            cached: price(model.price.and_then(|price| price.cached)),
            output: price(model.price.map(|price| price.output)),
            thinking: price(model.price.and_then(|price| price.reasoning)),
            units: model.unit_prices.as_ref().map(ToString::to_string).unwrap_or_default(),
            endpoints: model.endpoints.to_string(),
            remove: false,
        }
    }

    fn model(&self, t: Messages, index: usize, errors: &mut FieldErrors) -> ChannelModel {
        let mut count = |field: &str, text: &str| {
            let value = decimal::parse(text, 0).filter(|value| (1..=MAX_TOKENS).contains(value));
            if value.is_none() && !text.is_empty() {
                errors.add(format!("{field}-{index}"), t.channels.token_count_invalid());
            }
            value.and_then(|value| u32::try_from(value).ok())
        };
        let context_window = count("context", &self.context);
        let max_output = count("max_output", &self.max_output);
        let endpoints = super::validate::parse_endpoints(t, &self.endpoints).unwrap_or_else(|message| {
            errors.add(format!("endpoints-{index}"), message);
            Endpoints::default()
        });
        let unit_prices = UnitPrices::parse(&self.units).unwrap_or_else(|entry| {
            let shown: String = entry.chars().take(80).collect();
            errors.add(format!("units-{index}"), t.channels.unit_price_invalid(&shown));
            UnitPrices::default()
        });
        ChannelModel {
            name: self.name.clone(),
            endpoints,
            context_window,
            max_output,
            vision: parse_choice(&self.vision),
            tools: parse_choice(&self.tools),
            reasoning: parse_choice(&self.reasoning),
            price: self.price(t, index, errors),
            unit_prices: (!unit_prices.is_empty()).then(|| Box::new(unit_prices)),
        }
    }

    fn price(&self, t: Messages, index: usize, errors: &mut FieldErrors) -> Option<Price> {
        let mut dollars = |field: &str, text: &str| {
            let value = decimal::parse(text, DOLLAR_PLACES).filter(|value| *value <= MAX_PRICE_MICROS);
            if value.is_none() && !text.is_empty() {
                errors.add(format!("{field}-{index}"), t.channels.price_invalid());
            }
            value
        };
        let (input, cached) = (dollars("input", &self.input), dollars("cached", &self.cached));
        let (output, reasoning) = (dollars("output", &self.output), dollars("thinking", &self.thinking));
        match (self.input.is_empty(), self.output.is_empty()) {
            (false, false) => {}
            (true, true) if self.cached.is_empty() && self.thinking.is_empty() => {}
            (true, _) => errors.add(format!("input-{index}"), t.channels.price_incomplete()),
            (_, true) => errors.add(format!("output-{index}"), t.channels.price_incomplete()),
        }
        Some(Price { input: input?, cached, output: output?, reasoning })
    }
}

fn parse_choice(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// `POST /channels/{id}/models`: the table and the redirects.
pub(super) async fn save(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let entry = find_channel(&site.catalog.load(), &id)?;
    let mut form = ModelsForm::sent(&fields);
    let redirects = parse_redirects(t, &form.redirects);
    let models = form.validate(t).and_then(|models| form.put_in_place(&entry.channel, models, t));
    let (models, redirects) = match (models, redirects) {
        (Ok(models), Ok(redirects)) => (models, redirects),
        (models, redirects) => {
            form.errors = models.err().unwrap_or_default();
            if let Err(message) = redirects {
                form.errors.add("redirects", message);
            }
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return page(&site, &operator, &entry, status, PasteForm::default(), form).await;
        }
    };
    site.db.set_channel_models(entry.channel.id, &models, &redirects).await?;
    site.catalog.reload().await?;
    let query = form.part.as_ref().map(|part| format!("?{}", part.query(part.page))).unwrap_or_default();
    let back = format!("/channels/{}{query}#models", entry.channel.id);
    Ok(see_other_with(&back, FlashKind::Ok, t.channels.models_saved(models.len())))
}

#[derive(Template)]
#[template(path = "pages/channels/models.html")]
struct FetchedPage {
    c: Chrome,
    title: String,
    back: String,
    rows: Vec<FetchedRow>,
    failed: Option<Failure>,
}

struct FetchedRow {
    /// The model as JSON: what the form sends back for a new one.
    value: String,
    name: String,
    context: String,
    price: String,
    checked: bool,
    class: &'static str,
    state: &'static str,
}

struct Failure {
    result: String,
    text: String,
    advice: &'static str,
}

/// `POST /channels/{id}/models/fetch`: shows the upstream's list for a selection.
pub(super) async fn fetch(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let t = operator.t();
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let back = format!("/channels/{}", entry.channel.id);
    let timeouts = patient_timeouts(&catalog, &entry.channel);
    let provider = site.catalog.provider_of(&entry.channel);
    let fetched = refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await;
    let mut fetched_page = FetchedPage {
        c: operator.chrome(Section::Channels),
        title: t.channels.fetch_title(&entry.channel.name),
        back,
        rows: Vec::new(),
        failed: None,
    };
    match fetched {
        Ok(refreshed) => {
            let models = refreshed.fetched.models();
            if models.len() > MOST_FETCHED {
                let list = format!("/upstream-models?channel={}&show=new", entry.channel.id);
                return Ok(see_other_with(&list, FlashKind::Ok, t.discovery.refreshed(1, models.len())));
            }
            fetched_page.rows = fetched_rows(t, &entry.channel, models);
            render(&fetched_page)
        }
        Err(RefreshFailure::NoKey) => {
            let back = &fetched_page.back;
            Ok(see_other_with(back, FlashKind::Bad, t.channels.fetch_no_key()))
        }
        Err(RefreshFailure::Storage(error)) => Err(error.into()),
        Err(RefreshFailure::Fetch(failure)) => {
            let status = failure.status.map(|status| t.channels.rest_status(status));
            let class = failure.class.map(|class| state::class_name(t, class));
            let result: Vec<&str> = status.as_deref().into_iter().chain(class).collect();
            fetched_page.failed = Some(Failure {
                result: result.join(" · "),
                text: failure.text,
                advice: match (failure.class, failure.status) {
                    (Some(class), _) => state::advice(t, class),
                    (None, Some(_)) => t.channels.advice_no_list(),
                    (None, None) => t.channels.advice_settings(),
                },
            });
            render_with(StatusCode::BAD_GATEWAY, &fetched_page)
        }
    }
}

/// New models first, then those that are offered, those that the upstream no longer lists last. New ones are ticked only
/// if the channel offers nothing yet: some upstreams list hundreds.
fn fetched_rows(t: Messages, channel: &Channel, fetched: Vec<ChannelModel>) -> Vec<FetchedRow> {
    let row = |model: &ChannelModel, checked, class, state| FetchedRow {
        value: serde_json::to_string(model).unwrap_or_default(),
        name: model.name.clone(),
        context: model.context_window.map_or_else(String::new, |context| context.to_string()),
        price: model.price.map_or_else(String::new, |price| {
            let show = |value| decimal::show(value, DOLLAR_PLACES);
            format!("{} / {}", show(price.input), show(price.output))
        }),
        checked,
        class,
        state,
    };
    let first_time = channel.models.is_empty();
    let (known, new): (Vec<_>, Vec<_>) =
        fetched.into_iter().partition(|model| channel.model(&model.name).is_some());
    let names: std::collections::HashSet<&str> = known.iter().map(|model| model.name.as_str()).collect();
    let gone = channel.models.iter().filter(|model| !names.contains(model.name.as_str()));
    let t = t.channels;
    new.iter()
        .map(|model| row(model, first_time, "ok", t.fetch_new()))
        .chain(known.iter().map(|model| row(model, true, "", t.fetch_known())))
        .chain(gone.map(|model| row(model, true, "warn", t.fetch_gone())))
        .collect()
}

/// `POST /channels/{id}/models/apply`: the selection becomes what the channel offers.
pub(super) async fn apply(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let entry = find_channel(&site.catalog.load(), &id)?;
    let chosen: Vec<ChannelModel> = fields
        .all("offer")
        .filter_map(|value| serde_json::from_str::<ChannelModel>(value).ok())
        .filter(|model| is_model_name(&model.name) && model.price.is_none_or(is_price))
        // No list names these; what the channel says of them stays.
        .map(|model| ChannelModel { unit_prices: None, ..model })
        .take(MAX_MODELS)
        .collect();
    let models = merged_models(&entry.channel, chosen);
    site.db.set_channel_models(entry.channel.id, &models, &entry.channel.redirects).await?;
    site.catalog.reload().await?;
    let back = format!("/channels/{}#models", entry.channel.id);
    Ok(see_other_with(&back, FlashKind::Ok, t.channels.models_saved(models.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn t() -> Messages {
        Messages::of(Lang::En)
    }

    fn sent(query: &str) -> ModelsForm {
        ModelsForm::sent(&Fields::parse(query.as_bytes()))
    }

    const ROW: &str = "context=131072&max_output=&vision=true&tools=&reasoning=false";

    #[test]
    fn prices_are_read_exactly_in_dollars_per_million() {
        let form = sent(&format!("model=a&{ROW}&input=0.15&cached=0.075&output=.6"));
        let models = form.validate(t()).unwrap();
        assert_eq!(
            models[0].price,
            Some(Price { input: 150_000, cached: Some(75_000), output: 600_000, reasoning: None })
        );
        assert_eq!(
            (models[0].context_window, models[0].vision, models[0].tools, models[0].reasoning),
            (Some(131_072), Some(true), None, Some(false))
        );
        let row = ModelRow::of(&models[0]);
        assert_eq!((row.input.as_str(), row.cached.as_str(), row.output.as_str()), ("0.15", "0.075", "0.6"));
    }

    #[test]
    fn prices_per_unit_are_read_from_one_line_and_shown_as_they_were_written() {
        let prices = "input=&cached=&output=";
        let units = "image%3D0.04+image%2F1024x1024%2Fhigh%3D0.167";
        let models = sent(&format!("model=a&{ROW}&{prices}&units={units}")).validate(t()).unwrap();
        let read = models[0].unit_prices.as_ref().unwrap();
        assert_eq!((read.image, read.image_by["1024x1024/high"]), (Some(40_000), 167_000));
        assert_eq!(ModelRow::of(&models[0]).units, "image=0.04 image/1024x1024/high=0.167");
        let mut form = sent(&format!("model=a&{ROW}&{prices}&units=image%3D0.04+picture%3D1"));
        form.errors = form.validate(t()).unwrap_err();
        let c = t().channels;
        assert_eq!(form.messages(t()), [c.row_error(1, c.unit_prices(), &c.unit_price_invalid("picture=1"))]);
    }

    #[test]
    fn a_wrong_cell_is_named_by_row_and_column() {
        let c = t().channels;
        for (cells, row_message) in [
            ("input=1,5&cached=&output=1", c.row_error(1, c.price_input(), c.price_invalid())),
            ("input=&cached=&output=1", c.row_error(1, c.price_input(), c.price_incomplete())),
            ("input=1&cached=&output=", c.row_error(1, c.price_output(), c.price_incomplete())),
            ("input=0.0000001&cached=&output=1", c.row_error(1, c.price_input(), c.price_invalid())),
        ] {
            let mut form = sent(&format!("model=a&{ROW}&{cells}"));
            form.errors = form.validate(t()).unwrap_err();
            assert_eq!(form.messages(t()), [row_message], "{cells}");
        }
    }

    #[test]
    fn rows_without_a_name_and_removed_ones_are_left_out() {
        let prices = "input=&cached=&output=";
        let form =
            sent(&format!("model=a&{ROW}&{prices}&model=&{ROW}&{prices}&model=b&{ROW}&{prices}&remove=0"));
        let names: Vec<_> = form.validate(t()).unwrap().into_iter().map(|model| model.name).collect();
        assert_eq!(names, ["b"]);
        assert!(sent(&format!("model=a&{ROW}&{prices}&model=a&{ROW}&{prices}")).validate(t()).is_err());
    }
}
