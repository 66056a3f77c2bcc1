//! `onepool models`: what the upstreams list; and `onepool refresh`: asks them.

use std::{collections::BTreeMap, pin::pin};

use clap::Command;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{
    Failure,
    command::{Entry, folder_flags, json_switch, option, switch, verb},
    invocation::Invocation,
    output::{Cell, Look, Table, clean, tell},
    session::{Session, on_folder},
};
use crate::{
    discovery::{
        RefreshFailure,
        round::{Question, ask_each},
        summary,
    },
    i18n::Messages,
    model::{catalog::ChannelEntry, decimal, id::ChannelId, time::UnixMs},
    pool::{rules::DOLLAR_PLACES, upkeep::patient_timeouts},
    provider::listing::{Modality, ModelFacts},
    storage::discovery::{ChangeKind, DiscoveredModel, ModelFilter},
    web::api::models::{ChangeView, DiscoveredView},
};

/// `onepool models`.
pub const ENTRY: Entry = Entry { name: "models", command, run };
/// `onepool refresh`.
pub const REFRESH: Entry = Entry { name: "refresh", command: refresh_command, run: run_refresh };

const USUAL_LINES: usize = 100;
const MOST_LINES: usize = 100_000;

fn command(m: Messages) -> Command {
    let t = m.discovery;
    let examples = &[
        "onepool models --free",
        "onepool models --search gpt-oss --channel Groq --json",
        "onepool models --changes",
    ];
    verb(ENTRY.name, t.about_models(), examples, m)
        .arg(option("search", "TEXT", t.about_search(), m))
        .arg(option("channel", "NAME", t.about_of_channel(), m))
        .arg(switch("free", t.about_free(), m))
        .arg(switch("callable", t.about_callable(), m))
        .arg(switch("new", t.about_new(), m))
        .arg(switch("gone", t.about_gone(), m))
        .arg(switch("changes", t.about_changes(), m))
        .arg(option("limit", "NUMBER", t.about_limit(), m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn refresh_command(m: Messages) -> Command {
    let t = m.discovery;
    let channel = clap::Arg::new("CHANNEL")
        .value_name("CHANNEL")
        .help(t.about_channel())
        .help_heading(m.cli.heading_arguments());
    verb(REFRESH.name, t.about_refresh(), &["onepool refresh", "onepool refresh Groq --json"], m)
        .arg(channel)
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn as_json(view: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(view).map_err(|error| Failure::Text(error.to_string()))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let t = call.m.discovery;
    let limit = match call.text("limit").map(str::parse::<usize>) {
        None => USUAL_LINES,
        Some(Ok(limit)) if (1..=MOST_LINES).contains(&limit) => limit,
        Some(_) => return Err(Failure::option("--limit", t.limit_wrong())),
    };
    on_folder(call, async |session| {
        let channel = match call.text("channel") {
            Some(name) => Some(session.channel(name).await?.channel.id),
            None => None,
        };
        if call.is_on("changes") {
            return changes(call, session, channel, limit).await;
        }
        let filter = ModelFilter {
            search: call.text("search").unwrap_or_default().to_owned(),
            channel,
            free: call.is_on("free"),
            callable: call.is_on("callable"),
            not_offered: call.is_on("new"),
            gone: call.is_on("gone"),
        };
        let (models, total) = session.db.discovered_models(&filter, 0, limit).await?;
        let views = models.iter().map(|model| as_json(&DiscoveredView::of(model)));
        let items = views.collect::<Result<Vec<_>, _>>()?;
        tell(call, &json!({ "items": items, "total": total }), || {
            if models.is_empty() {
                return t.no_models().to_owned();
            }
            let mut table = Table::new([
                t.model(),
                t.channel(),
                call.m.common.status(),
                call.m.channels.context_window(),
                t.output_limit(),
                t.abilities(),
                call.m.channels.price_input(),
                call.m.channels.price_output(),
            ]);
            for model in &models {
                table.row(row(call.m, session, model));
            }
            format!("{}\n\n{}", table.draw(), t.shown_of(models.len(), total))
        })
    })
}

fn row(m: Messages, session: &Session, model: &DiscoveredModel) -> [Cell; 8] {
    let t = m.discovery;
    let facts = &model.facts;
    let mut words = vec![match model.callable() {
        Some(true) => t.callable(),
        Some(false) => t.refused(),
        None => t.listed(),
    }];
    words.extend(facts.free.map(|free| if free { t.free() } else { t.paid() }));
    words.extend(model.offered.then(|| t.offered()));
    let gone = model.vanished_at.map(|at| t.gone_since(&session.local(at)));
    let look = match (model.vanished_at, model.callable()) {
        (Some(_), _) | (None, Some(false)) => Look::Doubtful,
        (None, Some(true)) => Look::Good,
        (None, None) => Look::Plain,
    };
    let number = |value: Option<u32>| Cell::number(value.map(|value| value.to_string()).unwrap_or_default());
    let dollars = |micros: Option<i64>| {
        Cell::number(micros.map(|micros| decimal::show(micros, DOLLAR_PLACES)).unwrap_or_default())
    };
    [
        Cell::text(&facts.id),
        Cell::text(&model.channel),
        Cell::text(gone.unwrap_or_else(|| words.join(", "))).look(look),
        number(facts.context_window),
        number(facts.output_limit),
        Cell::text(abilities(m, facts).join(", ")),
        dollars(facts.price.map(|price| price.input)),
        dollars(facts.price.map(|price| price.output)),
    ]
}

/// What a model can do beyond text, in words.
fn abilities(m: Messages, facts: &ModelFacts) -> Vec<&'static str> {
    let t = m.discovery;
    let takes = |kind| facts.input.is_some_and(|kinds| kinds.has(kind));
    [
        (facts.tools == Some(true), t.tools()),
        (facts.reasoning == Some(true), t.reasoning()),
        (takes(Modality::Image), t.images()),
        (takes(Modality::Audio), t.audio()),
        (takes(Modality::Video), t.video()),
        (takes(Modality::File), t.files()),
    ]
    .into_iter()
    .filter_map(|(has, word)| has.then_some(word))
    .collect()
}

async fn changes(
    call: &Invocation<'_>,
    session: &Session,
    channel: Option<ChannelId>,
    limit: usize,
) -> Result<(), Failure> {
    let t = call.m.discovery;
    let (changes, total) = session.db.model_changes(UnixMs(0), channel, limit).await?;
    let views = changes.iter().map(|change| as_json(&ChangeView::of(change)));
    let items = views.collect::<Result<Vec<_>, _>>()?;
    tell(call, &json!({ "items": items, "total": total }), || {
        if changes.is_empty() {
            return t.nothing_changed().to_owned();
        }
        let mut table = Table::new([call.m.log.time(), t.channel(), t.model(), t.change(), t.details()]);
        for change in &changes {
            let (word, look) = match change.kind {
                ChangeKind::Appeared => (t.appeared(), Look::Good),
                ChangeKind::Changed => (t.changed(), Look::Plain),
                ChangeKind::Vanished => (t.vanished(), Look::Doubtful),
            };
            let fields =
                change.fields.iter().map(|(name, before, after)| format!("{name}: {before} → {after}"));
            table.row([
                Cell::text(session.local(change.at)),
                Cell::text(&change.channel),
                Cell::text(&change.name),
                Cell::text(word).look(look),
                Cell::text(fields.collect::<Vec<_>>().join(", ")),
            ]);
        }
        format!("{}\n\n{}", table.draw(), t.shown_of(changes.len(), total))
    })
}

/// Asks several upstreams at a time. One that gives no list makes the command fail, after the others were asked.
fn run_refresh(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (m, t) = (call.m, call.m.discovery);
        let catalog = session.catalog().await?;
        let entries: Vec<_> = match call.text("CHANNEL") {
            Some(name) => vec![session.channel(name).await?],
            None => catalog.channels().filter(|entry| entry.channel.enabled).cloned().collect(),
        };
        let (clients, providers) = (session.clients(), session.providers.load());
        let question = |entry: std::sync::Arc<ChannelEntry>| Question {
            provider: providers.of(&entry.channel.provider).clone(),
            timeouts: patient_timeouts(&catalog, &entry.channel),
            entry,
        };
        let questions: Vec<Question> = entries.into_iter().map(question).collect();
        let (mut answers, mut failed) = (BTreeMap::new(), false);
        let mut outcomes = pin!(ask_each(&session.db, &clients, &questions, || session.now()));
        while let Some((place, outcome)) = outcomes.next().await {
            let ChannelEntry { channel, .. } = &*questions[place].entry;
            let item;
            let (count, text, look) = match outcome {
                Ok(refreshed) => {
                    let (listing, saved) = (&refreshed.fetched.listing, refreshed.saved);
                    item = json!({
                        "channel": channel.name, "models": listing.models.len(), "first": saved.first,
                        "appeared": saved.appeared, "changed": saved.changed, "vanished": saved.vanished,
                        "unproved": saved.unproved, "skipped": listing.skipped_count,
                        "fault": listing.skipped.first().map(ToString::to_string),
                    });
                    let mut text = if saved.first {
                        t.first_list().to_owned()
                    } else {
                        t.changed_counts(saved.appeared, saved.changed, saved.vanished)
                    };
                    if let Some(fault) = listing.skipped.first() {
                        text.push_str(&format!("; {fault}"));
                    }
                    (Some(listing.models.len()), text, Look::Good)
                }
                Err(RefreshFailure::Storage(error)) => return Err(error.into()),
                Err(failure) => {
                    failed = true;
                    let text = match failure {
                        RefreshFailure::Fetch(failure) => summary(&failure),
                        _ => m.channels.fetch_no_key().to_owned(),
                    };
                    item = json!({ "channel": channel.name, "models": null, "fault": text });
                    (None, text, Look::Bad)
                }
            };
            answers.insert(place, (item, (channel.name.clone(), count, text, look)));
        }
        // As the channels stand, whoever was the quickest.
        let (items, rows): (Vec<_>, Vec<_>) = answers.into_values().unzip();
        tell(call, &json!({ "items": items }), || {
            let mut table = Table::new([t.channel(), t.title(), m.log.result()]);
            for (name, count, text, look) in &rows {
                table.row([
                    Cell::text(name),
                    Cell::number(count.map(|count| count.to_string()).unwrap_or_default()),
                    Cell::text(clean(text)).look(*look),
                ]);
            }
            table.draw()
        })?;
        if failed { Err(Failure::Told) } else { Ok(()) }
    })
}
