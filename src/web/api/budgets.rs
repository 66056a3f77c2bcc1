//! Budgets of tokens, keys and channels, and prices.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{Asked, Body, Endpoint, Gone, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, Page, unknown_cursor},
};
use crate::{
    inspect::price::{PriceRow, prices},
    model::{
        budget::{Owner, OwnerKind, Standing},
        price::{OwnPrice, PriceSource},
        token::QuotaUnit,
    },
    pool::{
        input::{Decimal, Faults, PriceInput, QuotaInput, UnitPricesInput},
        rules::{self, DOLLAR_PLACES},
    },
    ranking::identity::{NameKind, is_model_name},
    storage::StorageResult,
    web::Site,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/budgets", "List budgets", list).about(
            "Every budget of a token (its quota), a channel or a key, with what was spent in the present period. Budgets are \
             set at their owners: `quota` of a token, `budget` of a channel or a key.",
        ),
        Endpoint::new(Method::POST, "/api/budgets/reset", "Start a budget anew", begin_anew)
            .about("The present period counts from zero again.")
            .fails(StatusCode::NOT_FOUND, "There is no such budget."),
        Endpoint::new(Method::GET, "/api/prices", "List prices", list_prices).about(
            "What every model of every channel that is on costs, and where that is known from. `charged` says whether it is \
             what calls cost; other prices are only compared with, to tell what was saved.",
        ),
        Endpoint::new(Method::GET, "/api/prices/own", "List your table of prices", list_own)
            .about("Prices that hold for a model wherever its channel has none and it is not free."),
        Endpoint::new(Method::PUT, "/api/prices/own", "Set a price in your table", set_own).about(
            "In place of the entry for the same model and provider. The model is kept under its identity, so any of its names \
             does.",
        )
        .example(json!({"model": "gpt-oss-120b", "provider": "groq", "price": {"input": 0.15, "output": 0.6}})),
        Endpoint::new(Method::DELETE, "/api/prices/own", "Remove a price from your table", remove_own)
            .fails(StatusCode::NOT_FOUND, "Your table has no such price."),
    ]
}

/// A budget, and what is spent of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetView {
    /// What has it.
    kind: OwnerKind,
    /// The id of the token, the key or the channel.
    id: i64,
    /// Its name; of a key its label, else its last four characters after an ellipsis.
    name: String,
    /// Of a key its channel.
    channel_id: Option<i64>,
    /// Of a key its channel's name.
    channel: Option<String>,
    /// How much is allowed.
    budget: QuotaInput,
    /// What was spent in the present period, in the budget's unit.
    spent: Decimal,
    /// What is left, never less than nothing.
    left: Decimal,
    /// The highest warning level that was reached, in percent; 100 once all is spent, null below the first one.
    level: Option<u8>,
    /// Whether calls are held back for it now.
    stopped: bool,
    /// When the present period began; null if it never ends.
    period_start: Option<At>,
    /// When it starts anew; null means never by itself.
    resets_at: Option<At>,
}

fn amount(unit: QuotaUnit, count: i64) -> Decimal {
    Decimal::of(count, if unit == QuotaUnit::Dollars { DOLLAR_PLACES } else { 0 })
}

impl BudgetView {
    /// A budget as answers and commands show it.
    pub fn of(budget: &Standing) -> Self {
        let unit = budget.quota.unit;
        Self {
            kind: budget.owner.kind(),
            id: budget.owner.number(),
            name: budget.name.clone(),
            channel_id: budget.channel.as_ref().map(|(id, _)| id.0),
            channel: budget.channel.as_ref().map(|(_, name)| name.clone()),
            budget: QuotaInput::of(&budget.quota),
            spent: amount(unit, budget.spent),
            left: amount(unit, budget.left()),
            level: budget.level(),
            stopped: budget.is_stopped(),
            period_start: Some(budget.period_start).filter(|start| start.0 > 0).map(At),
            resets_at: budget.resets_at.map(At),
        }
    }
}

/// Every budget.
#[derive(Debug, Serialize, ToSchema)]
pub struct BudgetList {
    /// Tokens by name, then channels, each followed by its keys.
    items: Vec<BudgetView>,
}

impl BudgetList {
    /// Budgets as answers and commands show them.
    pub fn of(budgets: &[Standing]) -> Self {
        Self { items: budgets.iter().map(BudgetView::of).collect() }
    }
}

async fn standings(site: &Site) -> StorageResult<Vec<Standing>> {
    site.db.budgets(&site.catalog.load(), site.clock.now()).await
}

async fn list(asked: Asked) -> Result<Shown<BudgetList>> {
    Ok(Shown(BudgetList::of(&standings(&asked.site).await?)))
}

/// Whose budget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerInput {
    /// What has it.
    kind: OwnerKind,
    /// The id of the token, the key or the channel.
    id: i64,
}

async fn begin_anew(asked: Asked<(), (), Body<OwnerInput>>) -> Result<Shown<BudgetView>> {
    let site = &asked.site;
    let owner = Owner::of(asked.body.0.kind, asked.body.0.id);
    let none = || Refusal::new(StatusCode::NOT_FOUND, "no_budget", "There is no such budget.");
    if !site.begin_budget_anew(owner).await? {
        return Err(none());
    }
    let all = standings(site).await?;
    let budget = all.iter().find(|budget| budget.owner == owner).ok_or_else(none)?;
    Ok(Shown(BudgetView::of(budget)))
}

/// Which prices to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PricesQuery {
    /// Only models, channels or providers whose name has this part.
    pub search: Option<String>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    pub cursor: Option<String>,
}

/// What a model costs at a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceView {
    /// The channel.
    channel_id: i64,
    /// Its name.
    channel: String,
    /// Its provider's id.
    provider: String,
    /// The upstream's name of the model.
    model: String,
    /// Whether the provider is known to charge nothing for it.
    free: bool,
    /// Where the price is known from; null if it is not known.
    source: Option<PriceSource>,
    /// Of a preset, the day that it is of.
    as_of: Option<String>,
    /// Whether it is what calls cost.
    charged: bool,
    /// Per million tokens.
    price: Option<PriceInput>,
    /// Per picture, minute and the like.
    unit_prices: Option<UnitPricesInput>,
    /// What it is compared with, to tell what was saved; per million tokens.
    list_price: Option<PriceInput>,
}

impl PriceView {
    fn of(row: &PriceRow) -> Self {
        Self {
            channel_id: row.channel.0,
            channel: row.channel_name.clone(),
            provider: row.provider.clone(),
            model: row.model.clone(),
            free: row.free,
            source: row.source,
            as_of: row.as_of.clone(),
            charged: row.charged,
            price: row.price.map(PriceInput::of),
            unit_prices: row.unit_prices.as_ref().map(UnitPricesInput::of),
            list_price: row.list.as_ref().and_then(|list| list.price).map(PriceInput::of),
        }
    }
}

/// A page of prices.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceList {
    /// The prices, by model and channel.
    items: Vec<PriceView>,
    /// How many there are in all.
    total: usize,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

async fn list_prices(asked: Asked<(), Query<PricesQuery>>) -> Result<Shown<PriceList>> {
    let query = asked.query.0;
    let page = Page::read(query.limit, None)?;
    let offset: usize = match &query.cursor {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| unknown_cursor())?,
    };
    let wanted = query.search.unwrap_or_default().to_lowercase();
    let mut all = prices(&asked.site.catalog.load());
    all.retain(|row| {
        [&row.model, &row.channel_name, &row.provider]
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    });
    let items: Vec<PriceView> = all.iter().skip(offset).take(page.limit()).map(PriceView::of).collect();
    let end = offset.saturating_add(items.len());
    let next = (!items.is_empty() && end < all.len()).then(|| end.to_string());
    Ok(Shown(PriceList { items, total: all.len(), next }))
}

/// A price of the operator's table.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPriceInput {
    /// The model, by any of its names.
    model: String,
    /// Only at this provider (its id); left out: at any.
    #[serde(default)]
    provider: Option<String>,
    /// Per million tokens.
    #[serde(default)]
    price: Option<PriceInput>,
    /// Per picture, minute and the like.
    #[serde(default)]
    unit_prices: Option<UnitPricesInput>,
}

impl OwnPriceInput {
    fn of(own: &OwnPrice) -> Self {
        Self {
            model: own.model.clone(),
            provider: own.provider.clone(),
            price: own.price.map(PriceInput::of),
            unit_prices: own.unit_prices.as_deref().map(UnitPricesInput::of),
        }
    }
}

/// The operator's table.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnPriceList {
    /// By model and provider.
    items: Vec<OwnPriceInput>,
}

async fn list_own(asked: Asked) -> Result<Shown<OwnPriceList>> {
    let own = asked.site.db.own_prices().await?;
    Ok(Shown(OwnPriceList { items: own.iter().map(OwnPriceInput::of).collect() }))
}

async fn set_own(asked: Asked<(), (), Body<OwnPriceInput>>) -> Result<Shown<OwnPriceInput>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let _changing = changing(site).await?;
    let input = asked.body.0;
    let mut faults = Faults::default();
    let provider = input.provider.filter(|provider| !provider.is_empty());
    let of = provider.as_deref().unwrap_or_default();
    faults.take("provider", rules::check_length(t, of, rules::MAX_NAME_CHARS));
    let tables = site.catalog.providers().ranking().load();
    let identities = tables.identities.clone().with_own(&site.db.own_model_names().await?);
    let found = identities.identify(of, &input.model);
    if !is_model_name(&input.model) || found.kind == NameKind::Router {
        faults.add("model", t.prices.model_wrong());
    }
    let price = input.price.as_ref().map(|price| price.read());
    if price == Some(None) {
        faults.add("price", t.channels.price_invalid());
    }
    let prices = input.unit_prices.as_ref();
    let unit_prices = prices.and_then(|prices| prices.check("", t, &mut faults));
    if input.price.is_none() && input.unit_prices.is_none() {
        faults.add("price", t.prices.nothing());
    }
    faults.or(())?;
    let model = found.identity.as_str().to_owned();
    let own = OwnPrice { model, provider, price: price.flatten(), unit_prices };
    site.db.save_own_price(&own).await?;
    site.catalog.reload().await?;
    Ok(Shown(OwnPriceInput::of(&own)))
}

/// Which price of the table.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPriceQuery {
    /// The model, as the table has it.
    model: String,
    /// The provider's id; left out: the entry for any.
    #[serde(default)]
    provider: Option<String>,
}

async fn remove_own(asked: Asked<(), Query<OwnPriceQuery>>) -> Result<Gone> {
    let (site, query) = (&asked.site, asked.query.0);
    let provider = query.provider.as_deref().filter(|provider| !provider.is_empty());
    if !site.db.delete_own_price(&query.model, provider).await? {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no_price", "Your table has no such price."));
    }
    site.catalog.reload().await?;
    Ok(Gone)
}
