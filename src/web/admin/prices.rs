//! `/prices`: what models cost and where that is known from, and the operator's own table.

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};

use crate::{
    error::Result,
    i18n::Messages,
    inspect::price::{PriceRow, prices},
    model::{
        channel::Price,
        decimal,
        price::{OwnPrice, PriceSource},
        time::UnixMs,
        unit_price::UnitPrices,
    },
    pool::rules::{DOLLAR_PLACES, MAX_PRICE_MICROS},
    ranking::{
        identity::{Identities, NameKind, is_model_name},
        price::is_stale,
    },
    storage::StorageError,
    web::{
        Site,
        admin::{
            usage::period::url,
            visit::{Chrome, FlashKind, Operator, Section, render_with, see_other, see_other_with},
        },
        form::{FieldErrors, Fields},
        format::money,
    },
};

/// The most rows of a page.
const MOST_ROWS: usize = 100;

/// How far back savings are shown, in days.
const SAVED_DAYS: i64 = 30;

/// The longest provider's id.
const MAX_PROVIDER_CHARS: usize = 100;

/// `/prices` and below.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/prices", get(index).post(save))
        .route("/prices/remove", post(remove).get(async || see_other("/prices")))
}

#[derive(Template)]
#[template(path = "pages/prices.html")]
struct PricesPage {
    c: Chrome,
    filter: String,
    source: String,
    sources: Vec<(&'static str, &'static str)>,
    rows: Vec<RowView>,
    any: bool,
    next: String,
    known: String,
    saved: String,
    own: Vec<OwnView>,
    form: PriceForm,
    /// Whether the form is open.
    editing: bool,
    providers: Vec<(String, String)>,
    errors: FieldErrors,
}

struct RowView {
    model: String,
    channel: String,
    channel_path: String,
    /// The class of the source's badge.
    class: &'static str,
    source: String,
    stale: bool,
    charged: bool,
    known: bool,
    input: String,
    cached: String,
    output: String,
    reasoning: String,
    units: String,
    /// What it is compared with, where that is something else.
    list: String,
    set: String,
}

struct OwnView {
    model: String,
    provider: String,
    input: String,
    cached: String,
    output: String,
    reasoning: String,
    units: String,
    edit: String,
}

/// The values of the form, as they were typed.
#[derive(Debug, Clone, Default)]
struct PriceForm {
    model: String,
    provider: String,
    input: String,
    cached: String,
    output: String,
    reasoning: String,
    units: String,
}

fn dollars(micros: Option<i64>) -> String {
    micros.map_or_else(String::new, |micros| decimal::show(micros, DOLLAR_PLACES))
}

impl PriceForm {
    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            model: text("model"),
            provider: text("provider"),
            input: text("input"),
            cached: text("cached"),
            output: text("output"),
            reasoning: text("reasoning"),
            units: text("units"),
        }
    }

    fn of(own: &OwnPrice) -> Self {
        let price = |pick: fn(&Price) -> Option<i64>| dollars(own.price.as_ref().and_then(pick));
        Self {
            model: own.model.clone(),
            provider: own.provider.clone().unwrap_or_default(),
            input: price(|price| Some(price.input)),
            cached: price(|price| price.cached),
            output: price(|price| Some(price.output)),
            reasoning: price(|price| price.reasoning),
            units: own.unit_prices.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The entry that the form describes; what is wrong is noted at its fields.
    fn validate(&self, t: Messages, identities: &Identities, errors: &mut FieldErrors) -> Option<OwnPrice> {
        let p = t.prices;
        let mut amount = |field: &str, text: &str| {
            let micros = decimal::parse(text, DOLLAR_PLACES).filter(|micros| *micros <= MAX_PRICE_MICROS);
            if micros.is_none() && !text.is_empty() {
                errors.add(field, t.channels.price_invalid());
            }
            micros
        };
        let (input, cached) = (amount("input", &self.input), amount("cached", &self.cached));
        let (output, reasoning) = (amount("output", &self.output), amount("reasoning", &self.reasoning));
        let unit_prices = UnitPrices::parse(&self.units).unwrap_or_else(|entry| {
            let shown: String = entry.chars().take(80).collect();
            errors.add("units", t.channels.unit_price_invalid(&shown));
            UnitPrices::default()
        });
        let of_tokens = [&self.input, &self.cached, &self.output, &self.reasoning];
        let none_of_tokens = of_tokens.iter().all(|text| text.is_empty());
        match (self.input.is_empty(), self.output.is_empty()) {
            (false, false) => {}
            (true, true) if none_of_tokens && !self.units.is_empty() => {}
            (true, _) => errors.add("input", p.nothing()),
            (_, true) => errors.add("output", p.nothing()),
        }
        let provider = Some(self.provider.clone()).filter(|provider| !provider.is_empty());
        if self.provider.chars().count() > MAX_PROVIDER_CHARS {
            errors.add("provider", t.common.field_too_long(MAX_PROVIDER_CHARS));
        }
        let found = identities.identify(&self.provider, &self.model);
        if !is_model_name(&self.model) || found.kind == NameKind::Router {
            errors.add("model", p.model_wrong());
        }
        let price = input.zip(output).map(|(input, output)| Price { input, cached, output, reasoning });
        errors.is_empty().then(|| OwnPrice {
            model: found.identity.as_str().to_owned(),
            provider,
            price,
            unit_prices: (!unit_prices.is_empty()).then(|| Box::new(unit_prices)),
        })
    }
}

impl RowView {
    fn of(t: Messages, row: &PriceRow, identities: &Identities, today: jiff::civil::Date) -> Self {
        let p = t.prices;
        let price = |pick: fn(&Price) -> Option<i64>| dollars(row.price.as_ref().and_then(pick));
        let day = row.as_of.as_deref().and_then(|day| day.parse::<jiff::civil::Date>().ok());
        let source = match row.source {
            _ if row.free => p.source_free().to_owned(),
            None => p.source_none().to_owned(),
            Some(PriceSource::Channel) => p.source_channel().to_owned(),
            Some(PriceSource::Table) => p.source_table().to_owned(),
            Some(PriceSource::Upstream) => p.source_upstream().to_owned(),
            Some(PriceSource::Preset) => p.source_preset(row.as_of.as_deref().unwrap_or_default()),
        };
        let of_list = row.list.as_ref().and_then(|list| list.price).filter(|_| row.charged);
        let list = of_list.filter(|list| Some(*list) != row.price);
        let identity = identities.identify(&row.provider, &row.model).identity;
        Self {
            channel: row.channel_name.clone(),
            channel_path: format!("/channels/{}", row.channel),
            class: if row.free || row.charged { "ok" } else { "" },
            source,
            stale: day.is_some_and(|day| is_stale(day, today)),
            charged: row.charged,
            known: row.source.is_some(),
            input: price(|price| Some(price.input)),
            cached: price(|price| price.cached),
            output: price(|price| Some(price.output)),
            reasoning: price(|price| price.reasoning),
            units: row.unit_prices.as_ref().map(ToString::to_string).unwrap_or_default(),
            list: list.map_or_else(String::new, |list| {
                p.list_price(&dollars(Some(list.input)), &dollars(Some(list.output)))
            }),
            set: url("/prices", [("edit", identity.as_str().to_owned())]) + "#edit",
            model: row.model.clone(),
        }
    }
}

impl OwnView {
    fn of(own: &OwnPrice) -> Self {
        let PriceForm { model, provider, input, cached, output, reasoning, units } = PriceForm::of(own);
        let edit = url("/prices", [("edit", model.clone()), ("provider", provider.clone())]) + "#edit";
        Self { model, provider, input, cached, output, reasoning, units, edit }
    }
}

async fn identities(site: &Site) -> Result<Identities> {
    let tables = site.catalog.providers().ranking().load();
    Ok(tables.identities.clone().with_own(&site.db.own_model_names().await?))
}

/// `GET /prices`: `q` is a part of a name, `source` where a price is known from, `after` how many rows come before, `edit` the model
/// whose entry is to be edited.
async fn index(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    page(&site, &operator, StatusCode::OK, &fields, None, FieldErrors::default()).await
}

async fn page(
    site: &Site,
    operator: &Operator,
    status: StatusCode,
    fields: &Fields,
    typed: Option<PriceForm>,
    errors: FieldErrors,
) -> Result<Response> {
    let t = operator.t();
    let (catalog, now) = (site.catalog.load(), site.clock.now());
    let today = now.zoned(&catalog.zone).date();
    let identities = identities(site).await?;
    let (filter, source) = (fields.text("q").to_owned(), fields.text("source").to_owned());
    let all = prices(&catalog);
    let known = all.iter().filter(|row| row.free || row.source.is_some()).count();
    let wanted = filter.to_lowercase();
    let fits = |row: &&PriceRow| {
        let source_fits = match source.as_str() {
            "" => true,
            "free" => row.free,
            "none" => !row.free && row.source.is_none(),
            name => !row.free && row.source.is_some_and(|source| source.as_str() == name),
        };
        let texts = [&row.model, &row.channel_name, &row.provider];
        source_fits && texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    let after: usize = fields.text("after").parse().unwrap_or(0);
    let found: Vec<&PriceRow> = all.iter().filter(fits).skip(after).take(MOST_ROWS + 1).collect();
    let next = if found.len() > MOST_ROWS {
        let after = (after + MOST_ROWS).to_string();
        url("/prices", [("q", filter.clone()), ("source", source.clone()), ("after", after)])
    } else {
        String::new()
    };
    let own = site.db.own_prices().await?;
    let edited = fields.text("edit");
    let editing = typed.is_some() || !edited.is_empty();
    let form = typed.unwrap_or_else(|| {
        let provider = fields.text("provider");
        let is_meant =
            |own: &&OwnPrice| own.model == edited && own.provider.as_deref().unwrap_or("") == provider;
        own.iter().find(is_meant).map_or_else(
            || PriceForm { model: edited.to_owned(), provider: provider.to_owned(), ..PriceForm::default() },
            PriceForm::of,
        )
    });
    let since = UnixMs(now.0 - SAVED_DAYS * 86_400_000);
    let p = t.prices;
    let mut ids: Vec<(String, String)> = vec![(String::new(), p.provider_any().to_owned())];
    let mut used: Vec<&str> = all.iter().map(|row| row.provider.as_str()).collect();
    used.extend(own.iter().filter_map(|own| own.provider.as_deref()));
    used.sort_unstable();
    used.dedup();
    ids.extend(used.into_iter().map(|id| (id.to_owned(), id.to_owned())));
    let page = PricesPage {
        c: operator.chrome(Section::Budgets),
        filter,
        source,
        sources: vec![
            ("", p.all_sources()),
            (PriceSource::Channel.as_str(), p.source_channel()),
            (PriceSource::Table.as_str(), p.source_table()),
            (PriceSource::Upstream.as_str(), p.source_upstream()),
            (PriceSource::Preset.as_str(), p.source_preset_any()),
            ("free", p.source_free()),
            ("none", p.source_none()),
        ],
        any: !all.is_empty(),
        known: p.of_all(known, all.len()),
        rows: found.into_iter().take(MOST_ROWS).map(|row| RowView::of(t, row, &identities, today)).collect(),
        next,
        saved: match site.db.saved_micros(None, since, None).await {
            Err(StorageError::TooSlow) => "—".to_owned(),
            saved => money(saved?),
        },
        own: own.iter().map(OwnView::of).collect(),
        form,
        editing,
        providers: ids,
        errors,
    };
    render_with(status, &page)
}

/// `POST /prices`: writes an entry of the table.
async fn save(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let form = PriceForm::read(&fields);
    let mut errors = FieldErrors::default();
    let identities = identities(&site).await?;
    let Some(own) = form.validate(t, &identities, &mut errors) else {
        let none = Fields::parse(b"");
        return page(&site, &operator, StatusCode::UNPROCESSABLE_ENTITY, &none, Some(form), errors).await;
    };
    site.db.save_own_price(&own).await?;
    site.catalog.reload().await?;
    Ok(see_other_with("/prices#own", FlashKind::Ok, t.prices.saved_price()))
}

/// `POST /prices/remove`: removes an entry of the table.
async fn remove(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let provider = Some(fields.text("provider")).filter(|provider| !provider.is_empty());
    let (kind, text) = if site.db.delete_own_price(fields.text("model"), provider).await? {
        site.catalog.reload().await?;
        (FlashKind::Ok, t.prices.removed_price())
    } else {
        (FlashKind::Bad, t.prices.gone())
    };
    Ok(see_other_with("/prices#own", kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn sent(text: &str) -> (Option<OwnPrice>, FieldErrors) {
        let form = PriceForm::read(&Fields::parse(text.as_bytes()));
        let mut errors = FieldErrors::default();
        let own = form.validate(Messages::of(Lang::En), &Identities::embedded(), &mut errors);
        (own, errors)
    }

    #[test]
    fn a_price_is_kept_under_the_models_identity_and_shown_as_it_was_typed() {
        let (own, errors) =
            sent("model=OpenAI/GPT-OSS-120B:free&input=0.15&output=.6&cached=0.075&reasoning=1");
        assert!(errors.is_empty());
        let own = own.unwrap();
        assert_eq!((own.model.as_str(), &own.provider), ("gpt-oss-120b", &None));
        let price =
            Price { input: 150_000, cached: Some(75_000), output: 600_000, reasoning: Some(1_000_000) };
        assert_eq!(own.price, Some(price));
        assert_eq!(PriceForm::of(&own).output, "0.6");
        let (pictures, _) = sent("model=x&provider=groq&units=image%3D0.04");
        assert_eq!(pictures.unwrap().unit_prices.unwrap().to_string(), "image=0.04");
    }

    #[test]
    fn hostile_prices_are_told_at_their_fields() {
        for (text, field) in [
            ("model=&input=1&output=1", "model"),
            ("model=a+b&input=1&output=1", "model"),
            ("model=openrouter/auto&input=1&output=1", "model"),
            ("model=x&input=-1&output=1", "input"),
            ("model=x&input=1", "output"),
            ("model=x&input=1&output=1e9", "output"),
            ("model=x&input=9999999999&output=1", "input"),
            ("model=x&cached=1", "input"),
            ("model=x", "input"),
            ("model=x&units=%3Cscript%3E%3D1", "units"),
            ("model=x&input=%E4%B8%80&output=1", "input"),
        ] {
            let (own, errors) = sent(text);
            assert!(own.is_none() && errors.find(field).is_some(), "{text}");
        }
        let long = format!("model=x&input=1&output=1&provider={}", "x".repeat(101));
        assert!(sent(&long).1.find("provider").is_some());
    }
}
