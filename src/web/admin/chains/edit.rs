//! A new chain, the page of one, and what can be done to it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};

use super::{
    ChainState,
    form::{ChainForm, StepForm, note_loop},
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{
        catalog::Catalog,
        chain::{Chain, DEFAULT_SPILL_MS, folded},
        id::ChainId,
    },
    storage::StorageError,
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with},
        form::{FieldErrors, Fields},
    },
};

/// `/chains/new` and `/chains/{id}`.
pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/chains/new", get(blank).post(create))
        .route("/chains/{id}", get(show).post(update))
        .route("/chains/{id}/switch", post(switch))
        .route("/chains/{id}/delete", get(ask).post(delete))
}

/// What the fields of the form show.
struct FormView {
    values: ChainForm,
    errors: FieldErrors,
    rows: Vec<StepRow>,
    /// Public names that a step may have.
    models: Vec<String>,
    usual_spill_ms: u32,
    /// Whether the rows were moved and nothing is saved yet.
    rearranged: bool,
}

/// A row of the form, with the messages at it.
struct StepRow {
    /// Counted from 1, as people read it.
    number: usize,
    /// Counted from 0, as buttons say it.
    at: usize,
    last: bool,
    values: StepForm,
    model_error: Option<String>,
    spill_error: Option<String>,
    /// A model that nobody serves now.
    unserved: bool,
}

impl FormView {
    fn of(catalog: &Catalog, mut values: ChainForm, errors: FieldErrors, rearranged: bool) -> Self {
        if values.steps.is_empty() {
            values.steps.push(StepForm::default());
        }
        let count = values.steps.len();
        let error = |at: usize, field: &str| errors.find(&format!("steps[{at}].{field}")).map(str::to_owned);
        let row = |(at, step): (usize, &StepForm)| StepRow {
            number: at + 1,
            at,
            last: at + 1 == count,
            model_error: error(at, "model"),
            spill_error: error(at, "spill_ms"),
            unserved: !step.model.is_empty() && !catalog.serves_step(&values.name, &step.model),
            values: step.clone(),
        };
        let rows = values.steps.iter().enumerate().map(row).collect();
        let mut models: Vec<String> = catalog.models().map(|model| model.name.clone()).collect();
        // What a chain of the same name hides can be a step of that chain.
        let own = catalog.offered().find(|name| folded(name) == folded(&values.name));
        models.extend(own.filter(|_| catalog.model(&values.name).is_none()).map(str::to_owned));
        Self { rows, models, values, errors, usual_spill_ms: DEFAULT_SPILL_MS, rearranged }
    }
}

#[derive(Template)]
#[template(path = "pages/chains/new.html")]
struct NewPage {
    c: Chrome,
    form: FormView,
}

async fn blank(State(catalog): State<Arc<Catalog>>, operator: Operator) -> Result<Response> {
    let form = FormView::of(&catalog, ChainForm::blank(), FieldErrors::default(), false);
    render(&NewPage { c: operator.chrome(Section::Chains), form })
}

async fn create(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let mut values = ChainForm::read(&fields);
    let mut errors = FieldErrors::default();
    let rearranged = values.rearrange(fields.text("act"));
    if !rearranged && let Some(chain) = values.validate(ChainId(0), t, &mut errors) {
        match site.db.create_chain(&chain).await {
            Ok(id) => {
                site.catalog.reload().await?;
                return Ok(see_other_with(&format!("/chains/{id}"), FlashKind::Ok, t.chains.created()));
            }
            Err(error) => note(error, t, &mut errors)?,
        }
    }
    let form = FormView::of(&site.catalog.load(), values, errors, rearranged);
    let status = if rearranged { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    render_with(status, &NewPage { c: operator.chrome(Section::Chains), form })
}

/// Notes why storage refused a chain, or gives the error back.
fn note(error: StorageError, t: Messages, errors: &mut FieldErrors) -> Result<()> {
    match error {
        StorageError::Taken(_) => errors.add("name", t.common.field_taken()),
        StorageError::Loop(found) => note_loop(&found, t, errors),
        error => return Err(error.into()),
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "pages/chains/show.html")]
struct ShowPage {
    c: Chrome,
    form: FormView,
    id: ChainId,
    name: String,
    class: &'static str,
    state: &'static str,
    on: bool,
    hides: bool,
    order: Vec<OrderView>,
}

/// A model that serves the chain now.
struct OrderView {
    model: String,
    channels: String,
    spill: String,
}

impl ShowPage {
    fn of(
        operator: &Operator,
        catalog: &Catalog,
        chain: &Chain,
        values: Option<ChainForm>,
        errors: FieldErrors,
        rearranged: bool,
    ) -> Self {
        let t = operator.t();
        let state = ChainState::of(chain, catalog);
        let steps = catalog.resolved(chain.id).unwrap_or_default();
        let order = steps.iter().enumerate().map(|(at, step)| OrderView {
            model: step.model.clone(),
            channels: t.chains.channels(step.channels()),
            spill: match step.spill_ms {
                _ if at + 1 == steps.len() => t.chains.last_step().to_owned(),
                None => t.chains.spill_never().to_owned(),
                Some(0) => t.chains.spill_at_once().to_owned(),
                Some(ms) => t.chains.spill_after(&ms.to_string()),
            },
        });
        let values = values.unwrap_or_else(|| ChainForm::of(chain));
        Self {
            c: operator.chrome(Section::Chains),
            id: chain.id,
            name: chain.name.clone(),
            class: state.class(),
            state: state.label(&t),
            on: chain.enabled,
            hides: chain.enabled && catalog.offered().any(|name| folded(name) == folded(&chain.name)),
            order: order.collect(),
            form: FormView::of(catalog, values, errors, rearranged),
        }
    }
}

/// The chain of an id in a path; anything else is a page that does not exist.
fn find(catalog: &Catalog, id: &str) -> Result<Arc<Chain>> {
    let id = id.parse().map_err(|_| Error::NotFound)?;
    catalog.chain(id).cloned().ok_or(Error::NotFound)
}

async fn show(
    State(catalog): State<Arc<Catalog>>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let chain = find(&catalog, &id)?;
    render(&ShowPage::of(&operator, &catalog, &chain, None, FieldErrors::default(), false))
}

async fn update(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let catalog = site.catalog.load();
    let known = find(&catalog, &id)?;
    let mut values = ChainForm::read(&fields);
    let mut errors = FieldErrors::default();
    let rearranged = values.rearrange(fields.text("act"));
    if !rearranged && let Some(chain) = values.validate(known.id, t, &mut errors) {
        match site.db.update_chain(&chain).await {
            Ok(()) => {
                site.catalog.reload().await?;
                return Ok(see_other_with(&format!("/chains/{}", known.id), FlashKind::Ok, t.common.saved()));
            }
            Err(error) => note(error, t, &mut errors)?,
        }
    }
    let status = if rearranged { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    render_with(status, &ShowPage::of(&operator, &catalog, &known, Some(values), errors, rearranged))
}

async fn switch(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let id = find(&site.catalog.load(), &id)?.id;
    let on = fields.checked("enabled");
    site.db.set_chain_enabled(id, on).await?;
    site.catalog.reload().await?;
    let t = operator.t().chains;
    let text = if on { t.switched_on() } else { t.switched_off() };
    Ok(see_other_with(&format!("/chains/{id}"), FlashKind::Ok, text))
}

#[derive(Template)]
#[template(path = "pages/chains/delete.html")]
struct DeletePage {
    c: Chrome,
    id: ChainId,
    name: String,
    /// Chains that have it as a step.
    chains: Vec<String>,
    /// Tokens whose scope names it.
    tokens: Vec<String>,
}

async fn ask(
    State(catalog): State<Arc<Catalog>>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let chain = find(&catalog, &id)?;
    let own = folded(&chain.name);
    let names_it = |other: &&Arc<Chain>| {
        other.id != chain.id && other.steps.iter().any(|step| folded(&step.model) == own)
    };
    render(&DeletePage {
        c: operator.chrome(Section::Chains),
        id: chain.id,
        name: chain.name.clone(),
        chains: catalog.chains().filter(names_it).map(|other| other.name.clone()).collect(),
        tokens: catalog
            .tokens()
            .filter(|token| token.models.iter().any(|model| folded(model) == own))
            .map(|token| token.name.clone())
            .collect(),
    })
}

async fn delete(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let id = find(&site.catalog.load(), &id)?.id;
    site.db.delete_chain(id).await?;
    site.catalog.reload().await?;
    Ok(see_other_with("/chains", FlashKind::Ok, operator.t().common.deleted()))
}
