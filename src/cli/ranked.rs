//! `onepool list`: the ranked models of a managed chain; and `onepool switch`: puts one at its head.

use clap::{Arg, Command};
use serde_json::{Value, json};

use super::{
    Failure,
    command::{Entry, folder_flags, json_switch, option, switch, verb},
    invocation::Invocation,
    output::{Cell, Look, Table, at, clean, first_of, tell},
    session::{Session, on_folder},
};
use crate::{
    dispatch::Dispatch,
    i18n::Messages,
    model::{catalog::Catalog, time::UnixMs},
    ranking::{benchmark::Benchmarks, chain::Purpose, identity::Identity},
    selection::{RankedModel, RankedOffer, Ranking, Sources, find_model, ranking_if, rebuild},
    storage::ranking::{MOST_PINS, ManagedChain},
    web::{api::ranking::RankedModelView, format::count, ranking::no_such_model},
};

/// `onepool list`.
pub const LIST: Entry = Entry { name: "list", command: list_command, run: run_list };
/// `onepool switch`.
pub const SWITCH: Entry = Entry { name: "switch", command: switch_command, run: run_switch };

const USUAL_LINES: usize = 50;
const MOST_LINES: usize = crate::selection::MOST_RANKED;

fn chain_option(m: Messages) -> Arg {
    option("chain", "NAME", m.ranking.about_chain(), m)
}

fn list_command(m: Messages) -> Command {
    let t = m.ranking;
    let examples = &["onepool list", "onepool list --chain auto:coding --all", "onepool list --json"];
    verb(LIST.name, t.about_list(), examples, m)
        .arg(chain_option(m))
        .arg(switch("all", t.about_all(), m))
        .arg(option("limit", "NUMBER", t.about_limit(), m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn switch_command(m: Messages) -> Command {
    let t = m.ranking;
    let examples = &[
        "onepool switch gpt-oss-120b",
        "onepool switch qwen/qwen3-coder:free --chain auto:coding",
        "onepool switch --unpin",
    ];
    let model =
        Arg::new("MODEL").value_name("MODEL").help(t.about_model()).help_heading(m.cli.heading_arguments());
    verb(SWITCH.name, t.about_switch(), examples, m)
        .arg(model)
        .arg(chain_option(m))
        .arg(switch("unpin", t.about_unpin(), m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

/// The chain that `--chain` names; `auto` if it is left out.
fn purpose(call: &Invocation) -> Result<Purpose, Failure> {
    let Some(name) = call.text("chain") else { return Ok(Purpose::Auto) };
    Purpose::from_name(&name.to_lowercase()).ok_or_else(|| {
        let known: Vec<&str> = Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
        Failure::option("--chain", call.m.ranking.no_such_chain(&known.join(", ")))
    })
}

fn sources<'a>(session: &'a Session, catalog: &'a Catalog, dispatch: &'a Dispatch) -> Sources<'a> {
    Sources {
        db: &session.db,
        catalog,
        providers: &session.providers,
        dispatch: Some(dispatch),
        now: session.now(),
    }
}

fn run_list(call: &Invocation) -> Result<(), Failure> {
    let (m, t) = (call.m, call.m.ranking);
    let purpose = purpose(call)?;
    let all = call.is_on("all");
    let limit = match call.text("limit").map(str::parse::<usize>) {
        None => USUAL_LINES,
        Some(Ok(limit)) if (1..=MOST_LINES).contains(&limit) => limit,
        Some(_) => {
            // The bound fits.
            let most = i64::try_from(MOST_LINES).unwrap_or(i64::MAX);
            return Err(Failure::option("--limit", m.common.field_out_of_range(1, most)));
        }
    };
    on_folder(call, async |session| {
        let catalog = session.catalog().await?;
        let (dispatch, _) = session.dispatch(&catalog).await?;
        let ranked = ranking_if(sources(session, &catalog, &dispatch), purpose, Some(!all)).await?;
        let Some(ranked) = ranked else { return Err(Failure::Text(t.no_ranked_at_all().to_owned())) };
        let shown: Vec<&RankedModel> = ranked.models.iter().take(limit).collect();
        let answers = session.db.last_answers(session.now()).await?;
        let last = |model: &&RankedModel| {
            let of =
                |offer: &RankedOffer| answers.get(&(offer.channel, offer.upstream_model.clone())).copied();
            model.offers.iter().filter_map(of).max()
        };
        let answered: Vec<Option<UnixMs>> = shown.iter().map(last).collect();
        let benchmarks = &ranked.tables.benchmarks;
        let items =
            shown.iter().zip(&answered).map(|(model, answered)| as_json(model, benchmarks, *answered));
        let items = items.collect::<Result<Vec<Value>, Failure>>()?;
        let whole = json!({ "chain": purpose.as_str(), "enabled": ranked.chain.enabled, "items": items,
            "total": ranked.models.len() });
        tell(call, &whole, || {
            if shown.is_empty() {
                return if all { t.no_ranked_at_all() } else { t.no_ranked() }.to_owned();
            }
            let mut text = table(m, session, &shown, &answered).draw();
            text.push_str(&format!("\n\n{}", t.shown_of(shown.len(), ranked.models.len())));
            if !ranked.chain.enabled {
                text.push_str(&format!(" {}", t.chain_is_off(purpose.as_str())));
            }
            text
        })
    })
}

fn table(m: Messages, session: &Session, models: &[&RankedModel], answered: &[Option<UnixMs>]) -> Table {
    let t = m.ranking;
    let mut table = Table::new([
        t.place(),
        t.model(),
        t.score(),
        t.channels(),
        m.channels.context_window(),
        t.tools_vision(),
        m.common.status(),
        t.last_answered(),
    ]);
    for (model, answered) in models.iter().zip(answered) {
        let best = model.offers.first();
        let known = |of: fn(&RankedOffer) -> Option<bool>| match best.and_then(of) {
            Some(true) => m.common.yes(),
            Some(false) => m.common.no(),
            None => "?",
        };
        let channels: Vec<String> = model
            .offers
            .iter()
            .map(|offer| format!("{} ({})", offer.channel_name, t.keys(offer.keys)))
            .collect();
        let mut state = Vec::new();
        state.extend(model.pinned.then(|| t.pinned()));
        state.extend((!model.in_chain).then(|| t.next_in_line()));
        state.extend(best.filter(|best| best.free == Some(false)).map(|_| m.discovery.paid()));
        table.row([
            Cell::number((model.place + 1).to_string()),
            Cell::text(model.model.as_str()).look(if model.in_chain { Look::Plain } else { Look::Dim }),
            Cell::number(best.map(|best| best.score.points.to_string()).unwrap_or_default()),
            Cell::text(first_of(&channels, "", m)),
            Cell::number(
                best.and_then(|best| best.facts.context_window)
                    .map(|window| count(window.into()))
                    .unwrap_or_default(),
            ),
            Cell::text(format!(
                "{} / {}",
                known(|offer| offer.facts.tools),
                known(|offer| offer.facts.vision)
            )),
            Cell::text(state.join(", ")),
            Cell::text(answered.map(|at| session.local(at)).unwrap_or_default()),
        ]);
    }
    table
}

/// A model as the admin API has it, and when it answered last.
fn as_json(model: &RankedModel, benchmarks: &Benchmarks, answered: Option<UnixMs>) -> Result<Value, Failure> {
    let view = RankedModelView::of(model.clone(), benchmarks);
    let mut json = serde_json::to_value(view).map_err(|error| Failure::Text(error.to_string()))?;
    json["last_answered_at"] = json!(answered.map(at));
    Ok(json)
}

fn run_switch(call: &Invocation) -> Result<(), Failure> {
    let t = call.m.ranking;
    let (purpose, unpin) = (purpose(call)?, call.is_on("unpin"));
    let wanted = call.text("MODEL");
    if wanted.is_none() && !unpin {
        return Err(Failure::Usage(t.model_missing().to_owned()));
    }
    on_folder(call, async |session| {
        let catalog = session.catalog().await?;
        let (dispatch, _) = session.dispatch(&catalog).await?;
        let sources = sources(session, &catalog, &dispatch);
        let chains = session.db.managed_chains().await?;
        let Some(mut chain) = chains.into_iter().find(|chain| chain.purpose == purpose) else {
            return Err(Failure::Text(t.no_ranked_at_all().to_owned()));
        };
        let said = match wanted {
            None => unpin_all(call, &mut chain),
            Some(name) => {
                let model = model_of(call, sources, &chain, name).await?;
                if unpin { unpin_one(call, &mut chain, &model) } else { put_first(call, &mut chain, model)? }
            }
        };
        session.db.update_managed_chain(&chain).await?;
        rebuild(sources).await?;
        let ranked = ranking_if(sources, purpose, None).await?;
        let json = json!({ "chain": purpose.as_str(), "enabled": chain.enabled, "pins": chain.pins,
            "models": ranked.as_ref().map(|ranked| of_chain(ranked)), "idle_pins":
            ranked.as_ref().map(|ranked| &ranked.idle_pins) });
        tell(call, &json, || {
            let mut text = said;
            if !chain.enabled {
                text.push_str(&format!("\n{}", t.chain_is_off(purpose.as_str())));
            }
            if let Some(ranked) = ranked.filter(|ranked| !ranked.idle_pins.is_empty()) {
                let idle: Vec<&str> = ranked.idle_pins.iter().map(Identity::as_str).collect();
                text.push_str(&format!("\n{}: {}", t.idle_pins(), clean(&idle.join(", "))));
            }
            text
        })
    })
}

/// The models of the chain, in their order.
fn of_chain(ranked: &Ranking) -> Vec<&Identity> {
    ranked.models.iter().filter(|model| model.in_chain).map(|model| &model.model).collect()
}

/// The model that is meant; a pin may be named even if nobody offers it any more.
async fn model_of(
    call: &Invocation<'_>,
    sources: Sources<'_>,
    chain: &ManagedChain,
    name: &str,
) -> Result<Identity, Failure> {
    let itself = Identity::new(name);
    if chain.pins.contains(&itself) {
        return Ok(itself);
    }
    match find_model(sources, name).await? {
        Ok(model) => Ok(model),
        Err(near) => Err(Failure::Text(clean(&no_such_model(call.m, name, &near)).into_owned())),
    }
}

fn put_first(call: &Invocation, chain: &mut ManagedChain, model: Identity) -> Result<String, Failure> {
    let t = call.m.ranking;
    chain.pins.retain(|pin| *pin != model);
    if chain.pins.len() >= MOST_PINS {
        return Err(Failure::Text(t.too_many_pins(MOST_PINS)));
    }
    let said = t.was_put_first(&clean(model.as_str()), chain.purpose.as_str());
    chain.pins.insert(0, model);
    Ok(said)
}

fn unpin_one(call: &Invocation, chain: &mut ManagedChain, model: &Identity) -> String {
    let (t, before) = (call.m.ranking, chain.pins.len());
    chain.pins.retain(|pin| pin != model);
    let (name, of) = (clean(model.as_str()), chain.purpose.as_str());
    if chain.pins.len() < before { t.was_unpinned(&name, of) } else { t.was_not_pinned(&name, of) }
}

fn unpin_all(call: &Invocation, chain: &mut ManagedChain) -> String {
    let (t, of) = (call.m.ranking, chain.purpose.as_str());
    if std::mem::take(&mut chain.pins).is_empty() { t.nothing_pinned(of) } else { t.all_unpinned(of) }
}
