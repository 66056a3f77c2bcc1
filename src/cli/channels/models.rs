//! `onepool channels models`: what a channel offers, and what its upstream lists.

use serde_json::json;

use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, clean, complain, list, tell},
        session::{Session, on_folder},
        view,
    },
    discovery::{RefreshFailure, refresh},
    i18n::Messages,
    model::{
        catalog::ChannelEntry,
        channel::{ChannelModel, Price},
        decimal,
    },
    pool::{
        input::ModelInput,
        rules::{DOLLAR_PLACES, MAX_MODELS, is_model_name, is_price},
        upkeep::{merged_models, patient_timeouts},
    },
    upstream::models::FetchFailure,
};

/// `onepool channels models NAME`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let entry = session.channel(call.required("NAME")).await?;
        if !call.is_on("fetch") {
            return tell(call, &list(view::models(&entry)), || {
                if entry.channel.models.is_empty() && entry.channel.redirects.is_empty() {
                    call.m.terminal.no_models().to_owned()
                } else {
                    own_table(call.m, &entry)
                }
            });
        }
        let fetched = fetch(call, session, &entry).await?;
        if call.is_on("apply") {
            let models = merged_models(&entry.channel, fetched);
            session.db.set_channel_models(entry.channel.id, &models, &entry.channel.redirects).await?;
            let entry = session.channel_of(entry.channel.id).await?;
            complain(&call.m.channels.models_saved(models.len()));
            return tell(call, &list(view::models(&entry)), || own_table(call.m, &entry));
        }
        let rows = compared(call.m, &entry, &fetched);
        let json =
            rows.iter().map(|(model, state, ..)| json!({ "model": ModelInput::of(model), "state": state }));
        tell(call, &list(json.collect()), || {
            let c = call.m.channels;
            let mut table = Table::new([
                c.model(),
                call.m.common.status(),
                c.context_window(),
                c.price_input(),
                c.price_output(),
                c.unit_prices(),
            ]);
            for (model, _, word, look) in &rows {
                let [context, input, output, units] = details(model);
                table.row([
                    Cell::text(&model.name),
                    Cell::text(word).look(*look),
                    context,
                    input,
                    output,
                    units,
                ]);
            }
            table.draw()
        })
    })
}

/// Asks the upstream with the channel's first key that is switched on.
async fn fetch(
    call: &Invocation<'_>,
    session: &Session,
    entry: &ChannelEntry,
) -> Result<Vec<ChannelModel>, Failure> {
    let timeouts = patient_timeouts(&*session.catalog().await?, &entry.channel);
    let provider = session.providers.load().of(&entry.channel.provider).clone();
    let clients = session.clients();
    let models = match refresh(&session.db, &clients, entry, &provider, timeouts, session.now()).await {
        Ok(refreshed) => refreshed.fetched.models(),
        Err(RefreshFailure::NoKey) => {
            return Err(Failure::Text(call.m.channels.fetch_no_key().to_owned()));
        }
        Err(RefreshFailure::Fetch(failure)) => return Err(Failure::Text(explain(call.m, &failure))),
        Err(RefreshFailure::Storage(error)) => return Err(error.into()),
    };
    let usable = |model: &ChannelModel| is_model_name(&model.name) && model.price.is_none_or(is_price);
    Ok(models.into_iter().filter(usable).take(MAX_MODELS).collect())
}

fn explain(m: Messages, failure: &FetchFailure) -> String {
    let mut text = m.channels.fetch_failed().to_owned();
    if let Some(status) = failure.status {
        text.push_str(&format!(" {}.", m.channels.rest_status(status)));
    }
    if let Some(class) = failure.class {
        text.push_str(&format!(" {}.", m.log.class_name(class)));
    }
    format!("{text}\n{}", clean(&failure.text))
}

type Compared = (ChannelModel, &'static str, &'static str, Look);

/// New models first, then those that are offered, those that the upstream no longer lists last.
fn compared(m: Messages, entry: &ChannelEntry, fetched: &[ChannelModel]) -> Vec<Compared> {
    let c = m.channels;
    let is_known = |model: &&ChannelModel| entry.channel.model(&model.name).is_some();
    let new = fetched.iter().filter(|model| !is_known(model));
    let known = fetched.iter().filter(is_known);
    let listed: std::collections::HashSet<&str> = fetched.iter().map(|model| model.name.as_str()).collect();
    let gone = entry.channel.models.iter().filter(|model| !listed.contains(model.name.as_str()));
    new.map(|model| (model.clone(), "new", c.fetch_new(), Look::Good))
        .chain(known.map(|model| (model.clone(), "offered", c.fetch_known(), Look::Plain)))
        .chain(gone.map(|model| (model.clone(), "no_longer_listed", c.fetch_gone(), Look::Doubtful)))
        .collect()
}

fn own_table(m: Messages, entry: &ChannelEntry) -> String {
    let c = m.channels;
    let mut table = Table::new([
        c.model(),
        m.terminal.upstream_model(),
        c.context_window(),
        c.price_input(),
        c.price_output(),
        c.unit_prices(),
    ]);
    for model in &entry.channel.models {
        let [context, input, output, units] = details(model);
        table.row([Cell::text(&model.name), Cell::text(&model.name), context, input, output, units]);
    }
    for redirect in &entry.channel.redirects {
        let model = entry.channel.model(&redirect.upstream).cloned().unwrap_or_default();
        let [context, input, output, units] = details(&model);
        table.row([
            Cell::text(&redirect.public),
            Cell::text(&redirect.upstream),
            context,
            input,
            output,
            units,
        ]);
    }
    table.draw()
}

/// Context window, input price, output price, and the prices beside those per token.
fn details(model: &ChannelModel) -> [Cell; 4] {
    let price = |pick: fn(&Price) -> i64| {
        let price = model.price.as_ref().map(|price| decimal::show(pick(price), DOLLAR_PLACES));
        Cell::number(price.unwrap_or_default())
    };
    let context = model.context_window.map(|window| window.to_string()).unwrap_or_default();
    let units = model.unit_prices.as_ref().map(ToString::to_string).unwrap_or_default();
    [Cell::number(context), price(|price| price.input), price(|price| price.output), Cell::text(units)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn a_failure_says_the_status_the_class_and_the_upstreams_text() {
        let failure = FetchFailure {
            status: Some(401),
            class: Some(crate::model::usage::OutcomeClass::KeyInvalid),
            text: "no\u{1b}[2J".into(),
        };
        let text = explain(Messages::of(Lang::En), &failure);
        assert!(
            text.contains("HTTP 401") && text.contains("key invalid") && text.ends_with("no\\u{1b}[2J"),
            "{text}"
        );
    }
}
