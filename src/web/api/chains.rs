//! Chains: their list, and one of them.

use axum::http::{Method, StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{Asked, Body, Created, Endpoint, Gone, Patch, Query, Shown},
    refusal::Result,
    shapes::NamedPageQuery,
};
use crate::{
    error::Error,
    model::{catalog::Catalog, chain::Chain, id::ChainId},
    pool::input::{ChainInput, Spill, spill_schema},
    web::Site,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    let example = json!({
        "name": "smart",
        "steps": ["gpt-oss-120b", {"model": "llama-3.3-70b-versatile", "spill_ms": 500}, {"model": "local", "spill_ms": "never"}],
    });
    const LOOPS: &str =
        "A chain that would lead back to itself by way of other chains is refused at the step's `model`.";
    vec![
        Endpoint::new(Method::GET, "/api/chains", "List chains", list),
        Endpoint::new(Method::POST, "/api/chains", "Make a chain", create)
            .about(LOOPS)
            .example(example.clone())
            .fails(StatusCode::CONFLICT, "Another chain has this name."),
        Endpoint::new(Method::GET, "/api/chains/{id}", "Show a chain", show),
        Endpoint::new(Method::PUT, "/api/chains/{id}", "Replace a chain", replace)
            .about(LOOPS)
            .example(example)
            .fails(StatusCode::CONFLICT, "Another chain has this name."),
        Endpoint::new(Method::PATCH, "/api/chains/{id}", "Change a chain, switch it on or off", change)
            .about("A list of steps replaces the whole list.")
            .example(json!({"enabled": false}))
            .fails(StatusCode::CONFLICT, "Another chain has this name."),
        Endpoint::new(Method::DELETE, "/api/chains/{id}", "Delete a chain", delete)
            .about("Other chains that have it as a step skip that step from then on, unless a channel has a model of its name."),
    ]
}

/// A chain as answers show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChainView {
    /// Its id.
    id: i64,
    /// The model name that clients ask for.
    name: String,
    /// Off means: nobody can ask for it.
    enabled: bool,
    /// Its steps, in the order in which they are looked at.
    steps: Vec<ChainStepView>,
    /// Whether it can be asked for now: it is on, and somebody serves a step.
    usable: bool,
    /// The models that serve it now: chains among the steps are written out, and what nobody serves is left out. Empty if it
    /// cannot be asked for.
    resolved: Vec<ResolvedStepView>,
}

/// A step of a chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChainStepView {
    /// The public name of a model, or of another chain.
    model: String,
    /// How long a call waits for it before the next step is looked at, in milliseconds; or `never`.
    #[schema(schema_with = spill_schema)]
    spill_ms: Spill,
    /// Whether somebody serves it now; if not, it is skipped.
    served: bool,
}

/// A model that serves a chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResolvedStepView {
    /// Its public name.
    model: String,
    /// How long a call waits for it before the next one is looked at, in milliseconds; or `never`.
    #[schema(schema_with = spill_schema)]
    spill_ms: Spill,
    /// How many channels that are on serve it.
    channels: usize,
}

impl ChainView {
    fn of(chain: &Chain, catalog: &Catalog) -> Self {
        let input = ChainInput::of(chain);
        let resolved = catalog.resolved(chain.id).unwrap_or_default();
        Self {
            id: chain.id.0,
            enabled: chain.enabled,
            steps: input
                .steps
                .into_iter()
                .map(|step| ChainStepView {
                    served: catalog.serves_step(&chain.name, &step.model),
                    model: step.model,
                    spill_ms: step.spill,
                })
                .collect(),
            usable: !resolved.is_empty(),
            resolved: resolved
                .iter()
                .map(|step| ResolvedStepView {
                    model: step.model.clone(),
                    spill_ms: Spill::of(step.spill_ms),
                    channels: step.channels(),
                })
                .collect(),
            name: input.name,
        }
    }
}

/// A page of chains.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChainList {
    /// The chains, by id.
    items: Vec<ChainView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

async fn find(site: &Site, id: ChainId) -> Result<Chain> {
    let chain = site.db.chains().await?.into_iter().find(|chain| chain.id == id);
    Ok(chain.ok_or(Error::NotFound)?)
}

async fn view(site: &Site, id: ChainId) -> Result<ChainView> {
    Ok(ChainView::of(&find(site, id).await?, &site.catalog.load()))
}

async fn list(asked: Asked<(), Query<NamedPageQuery>>) -> Result<Shown<ChainList>> {
    let site = &asked.site;
    let mut chains = site.db.chains().await?;
    chains.retain(|chain| asked.query.0.wants(&chain.name));
    chains.sort_by_key(|chain| chain.id);
    let (chains, next) = asked.query.0.page()?.cut(chains, |chain| chain.id.0)?;
    let catalog = site.catalog.load();
    Ok(Shown(ChainList { items: chains.iter().map(|chain| ChainView::of(chain, &catalog)).collect(), next }))
}

async fn show(asked: Asked<ChainId>) -> Result<Shown<ChainView>> {
    Ok(Shown(view(&asked.site, asked.path).await?))
}

async fn create(asked: Asked<(), (), Body<ChainInput>>) -> Result<Created<ChainView>> {
    let site = &asked.site;
    let chain = asked.body.0.check(ChainId(0), asked.caller.t())?;
    let id = site.db.create_chain(&chain).await?;
    site.catalog.reload().await?;
    Ok(Created(format!("/api/chains/{id}"), view(site, id).await?))
}

async fn replace(asked: Asked<ChainId, (), Body<ChainInput>>) -> Result<Shown<ChainView>> {
    let _changing = changing(&asked.site).await?;
    let known = find(&asked.site, asked.path).await?;
    save(&asked.site, asked.body.0.check(known.id, asked.caller.t())?).await
}

async fn change(asked: Asked<ChainId, (), Patch<ChainInput>>) -> Result<Shown<ChainView>> {
    let _changing = changing(&asked.site).await?;
    let known = find(&asked.site, asked.path).await?;
    let input = asked.body.apply(&ChainInput::of(&known))?;
    save(&asked.site, input.check(known.id, asked.caller.t())?).await
}

async fn save(site: &Site, chain: Chain) -> Result<Shown<ChainView>> {
    site.db.update_chain(&chain).await?;
    site.catalog.reload().await?;
    Ok(Shown(view(site, chain.id).await?))
}

async fn delete(asked: Asked<ChainId>) -> Result<Gone> {
    asked.site.db.delete_chain(asked.path).await?;
    asked.site.catalog.reload().await?;
    Ok(Gone)
}
