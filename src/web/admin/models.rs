//! `/upstream-models`: every model that the upstreams list, what changed, and offering some of them.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    discovery::{
        probe::{HeldBack, Prober, Subject, open_kinds},
        round::Progress,
    },
    error::{Error, Result},
    i18n::Messages,
    model::{
        catalog::{Catalog, ChannelEntry},
        channel::ChannelModel,
        decimal,
        id::ChannelId,
        probe::{ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        time::UnixMs,
    },
    pool::{
        rules::{DOLLAR_PLACES, MAX_MODELS, is_model_name, is_price},
        upkeep::patient_timeouts,
    },
    provider::listing::Modality,
    storage::discovery::{ChangeKind, DiscoveredModel, Discovery, ModelChange, ModelFilter},
    upstream::models::channel_model,
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render, see_other, see_other_with},
        form::Fields,
    },
};

/// How long a call of a probe may take while somebody waits for the page.
const MOST_PROBE: Duration = Duration::from_secs(30);
/// The models of a page.
const PER_PAGE: usize = 100;
/// The changes of the page, and those of a model that are shown.
const CHANGES: usize = 30;
/// The most channels whose state is listed; an operator with more has the filter.
const MOST_CHANNELS: usize = 50;
/// How long a page waits for upstreams that were asked; what takes longer goes on beside it.
const MOMENT: Duration = Duration::from_millis(800);
/// The longest name in a table, in characters.
const MOST_NAME: usize = 120;

/// `/upstream-models` and what its forms do.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/upstream-models", get(show))
        .route("/upstream-models/refresh", get(to_models).post(refresh_now))
        .route("/upstream-models/progress", get(progress))
        .route("/upstream-models/seen", get(to_models).post(seen))
        .route("/upstream-models/probe", post(probe).get(to_models))
        .route("/upstream-models/offer", post(offer).get(to_models))
}

#[derive(Template)]
#[template(path = "partials/asking.html")]
struct ProgressBox {
    t: Messages,
    progress: Progress,
}

#[derive(Template)]
#[template(path = "pages/models.html")]
struct ModelsPage {
    c: Chrome,
    /// Shows how far a round has come, while there is one.
    asking: String,
    q: String,
    channel: String,
    channels: Vec<(String, String)>,
    show: String,
    shows: Vec<(String, String)>,
    /// The query that brings back this part of the list.
    query: String,
    any: bool,
    count: String,
    rows: Vec<Row>,
    place: String,
    previous: String,
    next: String,
    offerable: bool,
    states: Vec<ChannelState>,
    changes: Vec<ChangeRow>,
    changes_title: String,
    more_changes: String,
    looked_at: i64,
}

/// A model of a channel.
struct Row {
    /// The channel's id and the name; what a form sends back.
    value: String,
    name: String,
    channel: String,
    channel_path: String,
    badges: Vec<(&'static str, String)>,
    context: String,
    output: String,
    abilities: String,
    /// What probes and calls have shown: a class, a text and a title each.
    probes: Vec<(&'static str, String, String)>,
    /// What the button to probe it does; empty if it cannot be probed.
    probe_title: String,
    price: String,
    seen: String,
    offerable: bool,
}

/// How the discovery of a channel stands.
struct ChannelState {
    name: String,
    path: String,
    count: String,
    asked: String,
    fault: String,
    incomplete: bool,
}

/// A change of a model.
struct ChangeRow {
    at: String,
    class: &'static str,
    kind: &'static str,
    name: String,
    channel: String,
    details: String,
}

fn day(at: UnixMs, catalog: &Catalog) -> String {
    at.zoned(&catalog.zone).strftime("%Y-%m-%d").to_string()
}

fn minute(at: UnixMs, catalog: &Catalog) -> String {
    at.zoned(&catalog.zone).strftime("%Y-%m-%d %H:%M").to_string()
}

fn short(name: &str) -> String {
    if name.chars().count() <= MOST_NAME {
        return name.to_owned();
    }
    name.chars().take(MOST_NAME - 1).chain(['…']).collect()
}

impl Row {
    fn of(
        t: Messages,
        model: &DiscoveredModel,
        results: &[ProbeResult],
        catalog: &Catalog,
        now: UnixMs,
    ) -> Self {
        let d = t.discovery;
        let facts = &model.facts;
        let mut badges = Vec::new();
        if let Some(at) = model.vanished_at {
            badges.push(("warn", d.gone_since(&day(at, catalog))));
        } else {
            badges.push(match model.callable() {
                Some(true) => ("ok", d.callable().to_owned()),
                Some(false) => ("warn", d.refused().to_owned()),
                None => ("", d.listed().to_owned()),
            });
        }
        match facts.free {
            Some(true) => badges.push(("ok", d.free().to_owned())),
            Some(false) => badges.push(("", d.paid().to_owned())),
            None => {}
        }
        if model.offered {
            badges.push(("", d.offered().to_owned()));
        }
        let takes = |kind| facts.input.is_some_and(|kinds| kinds.has(kind));
        let abilities: Vec<&str> = [
            (facts.tools == Some(true), d.tools()),
            (facts.reasoning == Some(true), d.reasoning()),
            (takes(Modality::Image), d.images()),
            (takes(Modality::Audio), d.audio()),
            (takes(Modality::Video), d.video()),
            (takes(Modality::File), d.files()),
        ]
        .into_iter()
        .filter_map(|(has, word)| has.then_some(word))
        .collect();
        let count = |value: Option<u32>| value.map_or_else(|| "—".to_owned(), |value| value.to_string());
        let dollars = |micros| decimal::show(micros, DOLLAR_PLACES);
        Self {
            value: format!("{} {}", model.channel_id, facts.id),
            name: short(&facts.id),
            channel: model.channel.clone(),
            channel_path: format!("/channels/{}", model.channel_id),
            badges,
            context: count(facts.context_window),
            output: count(facts.output_limit),
            abilities: if abilities.is_empty() { "—".to_owned() } else { abilities.join(", ") },
            probes: results.iter().flat_map(|result| tags(t, result, catalog, now)).collect(),
            probe_title: if model.vanished_at.is_none() && is_model_name(&facts.id) {
                t.probes.probe_title(&short(&facts.id))
            } else {
                String::new()
            },
            price: facts.price.map_or_else(
                || "—".to_owned(),
                |price| format!("{} / {}", dollars(price.input), dollars(price.output)),
            ),
            seen: d.first_seen(&day(model.first_seen_at, catalog)),
            offerable: !model.offered && model.vanished_at.is_none() && is_model_name(&facts.id),
        }
    }
}

/// What a result says, in small tags with the details as their titles.
fn tags(
    t: Messages,
    result: &ProbeResult,
    catalog: &Catalog,
    now: UnixMs,
) -> Vec<(&'static str, String, String)> {
    let p = t.probes;
    let what = match result.kind {
        ProbeKind::Stream => p.stream(),
        ProbeKind::Tools => p.tools(),
        ProbeKind::Vision => p.vision(),
        ProbeKind::Json => p.json(),
        ProbeKind::Reasoning => p.reasoning(),
    };
    let (class, text) = match result.verdict {
        ProbeVerdict::Ok => ("ok", p.yes(what)),
        ProbeVerdict::Accepted => ("warn", p.accepted(what)),
        ProbeVerdict::Not => ("", p.no(what)),
        ProbeVerdict::Unclear => ("warn", p.unclear(what)),
    };
    let at = minute(result.at, catalog);
    let mut title = match result.source {
        ProbeSource::Probe => p.by_probe(&at),
        ProbeSource::Traffic => p.by_traffic(&at),
    };
    let is_old = result.verdict != ProbeVerdict::Unclear && !result.holds(now);
    for more in [is_old.then(|| p.outdated()), Some(result.detail.as_str())].into_iter().flatten() {
        if !more.is_empty() {
            title.push_str(" · ");
            title.push_str(more);
        }
    }
    let class = if is_old { "" } else { class };
    let mut tags = vec![(class, text, title.clone())];
    let measured = [
        result.first_token_ms.map(|ms| p.first_token(ms)),
        result.tokens_per_second.map(|tokens| p.speed(tokens)),
    ];
    let measured: Vec<String> = measured.into_iter().flatten().collect();
    if !measured.is_empty() {
        tags.push(("", measured.join(", "), title));
    }
    tags
}

impl ChangeRow {
    fn of(t: Messages, change: &ModelChange, catalog: &Catalog) -> Self {
        let d = t.discovery;
        let (class, kind) = match change.kind {
            ChangeKind::Appeared => ("ok", d.appeared()),
            ChangeKind::Changed => ("", d.changed()),
            ChangeKind::Vanished => ("warn", d.vanished()),
        };
        let fields = change.fields.iter().take(5);
        let details: Vec<String> =
            fields.map(|(name, before, after)| format!("{name}: {before} → {after}")).collect();
        Self {
            at: minute(change.at, catalog),
            class,
            kind,
            name: short(&change.name),
            channel: change.channel.clone(),
            details: details.join(", ").chars().take(300).collect(),
        }
    }
}

fn states(t: Messages, catalog: &Catalog, known: &BTreeMap<ChannelId, Discovery>) -> Vec<ChannelState> {
    let state = |entry: &std::sync::Arc<ChannelEntry>| {
        let id = entry.channel.id;
        let discovery = known.get(&id);
        let listed = discovery.and_then(|one| one.listed_at.map(|_| one.models));
        ChannelState {
            name: entry.channel.name.clone(),
            path: format!("/upstream-models?channel={id}"),
            count: listed.map_or_else(|| "—".to_owned(), |count| count.to_string()),
            asked: discovery
                .map_or_else(|| t.discovery.never_asked().to_owned(), |one| minute(one.tried_at, catalog)),
            fault: discovery
                .and_then(|one| one.fault.as_ref())
                .map(|fault| fault.chars().take(300).collect())
                .unwrap_or_default(),
            incomplete: discovery.is_some_and(|one| one.listed_at.is_some() && !one.complete),
        }
    };
    catalog.channels().take(MOST_CHANNELS).map(state).collect()
}

fn address(q: &str, channel: &str, show: &str, page: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("q", q), ("channel", channel), ("show", show)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    if page > 1 {
        query.append_pair("page", &page.to_string());
    }
    query.finish()
}

async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let t = operator.t();
    let d = t.discovery;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let (q, channel, show) = (fields.text("q"), fields.text("channel"), fields.text("show"));
    let wanted = fields.text("page").parse::<usize>().unwrap_or(1).clamp(1, 100_000);
    let catalog = site.catalog.load();
    let filter = ModelFilter {
        search: q.to_owned(),
        channel: channel.parse().ok().map(ChannelId),
        free: matches!(show, "free" | "free-callable"),
        callable: matches!(show, "callable" | "free-callable"),
        not_offered: show == "new",
        gone: show == "gone",
    };
    let (models, total) = site.db.discovered_models(&filter, (wanted - 1) * PER_PAGE, PER_PAGE).await?;
    let known = site.db.discoveries().await?;
    let looked_at = site.db.models_looked_at(operator.user.id).await?;
    let (changes, change_count) = site.db.model_changes(looked_at, filter.channel, CHANGES).await?;
    let pages = total.div_ceil(PER_PAGE).max(1);
    let places: Vec<(ChannelId, &str)> =
        models.iter().map(|model| (model.channel_id, model.facts.id.as_str())).collect();
    let mut results = site.db.probes_of(&places).await?;
    let now = site.clock.now();
    let row = |model: &DiscoveredModel| {
        let its = results.remove(&(model.channel_id, model.facts.id.clone())).unwrap_or_default();
        Row::of(t, model, &its, &catalog, now)
    };
    let rows: Vec<Row> = models.iter().map(row).collect();
    let link = |page: usize| format!("/upstream-models?{}", address(q, channel, show, page));
    let choice = |value: &str, label: &str| (value.to_owned(), label.to_owned());
    let channels = catalog.channels().map(|entry| (entry.channel.id.to_string(), entry.channel.name.clone()));
    let round = site.admin.rounds.progress();
    let asking = match round.running {
        true => ProgressBox { t, progress: round }.render().map_err(|error| Error::Internal(error.into()))?,
        false => String::new(),
    };
    let page = ModelsPage {
        c: operator.chrome(Section::Models),
        asking,
        q: q.to_owned(),
        channel: channel.to_owned(),
        channels: [choice("", t.common.all())].into_iter().chain(channels).collect(),
        show: show.to_owned(),
        shows: vec![
            choice("", d.show_listed()),
            choice("free", d.show_free()),
            choice("callable", d.show_callable()),
            choice("free-callable", d.show_free_callable()),
            choice("new", d.show_new()),
            choice("gone", d.show_gone()),
        ],
        query: address(q, channel, show, wanted),
        any: known.values().any(|discovery| discovery.listed_at.is_some()),
        count: d.count(total),
        offerable: rows.iter().any(|row| row.offerable),
        rows,
        place: d.page_of(wanted, pages),
        previous: if wanted > 1 { link(wanted.min(pages + 1) - 1) } else { String::new() },
        next: if wanted < pages { link(wanted + 1) } else { String::new() },
        states: states(t, &catalog, &known),
        changes: changes.iter().map(|change| ChangeRow::of(t, change, &catalog)).collect(),
        changes_title: if looked_at.0 > 0 {
            d.changes_since(&minute(looked_at, &catalog))
        } else {
            d.changes_all().to_owned()
        },
        more_changes: match change_count.saturating_sub(changes.len()) {
            0 => String::new(),
            more => d.more_changes(more),
        },
        // What is noticed after this page was drawn has not been looked at.
        looked_at: site.clock.now().0,
    };
    render(&page)
}

async fn to_models(_operator: Operator) -> Response {
    see_other("/upstream-models")
}

/// `POST /upstream-models/seen`: the changes up to the time at which the page was drawn have been looked at.
async fn seen(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let now = site.clock.now();
    let at = fields.text("at").parse().map_or(now, UnixMs).min(now);
    site.db.set_models_looked_at(operator.user.id, at).await?;
    Ok(see_other("/upstream-models"))
}

/// `POST /upstream-models/refresh`: has the upstream of one channel asked, or those of all that are on, beside the page. What is
/// there within a moment is told at once.
async fn refresh_now(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let d = operator.t().discovery;
    let only = fields.text("channel").parse().ok().map(ChannelId);
    let rounds = &site.admin.rounds;
    match only {
        Some(id) => {
            site.catalog.load().channel(id).ok_or(Error::NotFound)?;
            rounds.ask([id]);
        }
        None => rounds.ask(site.askable_channels()),
    }
    let (kind, text) = match tokio::time::timeout(MOMENT, rounds.finished()).await {
        Ok(progress) => ended(operator.t(), &progress),
        Err(_) => (FlashKind::Ok, d.asking_now().to_owned()),
    };
    let back = format!("/upstream-models?{}", address("", fields.text("channel"), "", 1));
    Ok(see_other_with(back.trim_end_matches('?'), kind, text))
}

/// `POST /upstream-models/probe`: finds out what one model can do, as far as that is not known.
async fn probe(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let p = operator.t().probes;
    let back = format!("/upstream-models?{}", fields.text("back"));
    let back = back.trim_end_matches('?');
    let chosen = fields.text("probe").split_once(' ').and_then(|(id, name)| Some((id.parse().ok()?, name)));
    let catalog = site.catalog.load();
    let entry = chosen.and_then(|(id, name)| Some((catalog.channel(ChannelId(id))?, name)));
    let Some((entry, name)) = entry else {
        return Ok(see_other_with(back, FlashKind::Bad, p.unknown_model().to_owned()));
    };
    let channel = entry.channel.id;
    let Some(facts) = site.db.find_discovered(channel, name).await? else {
        return Ok(see_other_with(back, FlashKind::Bad, p.unknown_model().to_owned()));
    };
    let known: Vec<ProbeResult> =
        site.db.probes_of(&[(channel, name)]).await?.into_values().flatten().collect();
    let kinds = open_kinds(ProbeKind::ALL, Some(&facts), &known, site.clock.now());
    let shown = short(name);
    if kinds.is_empty() {
        return Ok(see_other_with(back, FlashKind::Ok, p.nothing_open(&shown)));
    }
    let provider = site.catalog.provider_of(&entry.channel);
    let mut timeouts = patient_timeouts(&catalog, &entry.channel);
    timeouts.first_byte = timeouts.first_byte.min(MOST_PROBE);
    let subject = Subject { entry, provider: &provider, model: name, timeouts };
    let percent = catalog.settings.probe_quota_percent;
    let prober = Prober {
        db: &site.db,
        clients: &site.clients,
        dispatch: &site.dispatch,
        clock: &site.clock,
        percent,
    };
    let probed = prober.probe(&subject, &kinds, rand::random()).await?;
    prober.note_life(&subject, &probed).await?;
    let mut text = p.probed(&shown, probed.calls.len());
    let (kind, more) = match probed.held_back {
        None => (FlashKind::Ok, ""),
        Some(HeldBack::NoKey) => (FlashKind::Bad, p.held_no_key()),
        Some(HeldBack::Limit) => (FlashKind::Bad, p.held_limit()),
        Some(HeldBack::Share) => (FlashKind::Bad, p.held_share()),
    };
    if !more.is_empty() {
        text = format!("{text} {more}");
    }
    Ok(see_other_with(back, kind, text))
}

/// What came of a round.
fn ended(t: Messages, progress: &Progress) -> (FlashKind, String) {
    const MOST: usize = 10;
    let d = t.discovery;
    let failed = &progress.failed;
    let text = d.refreshed(progress.done - failed.len().min(progress.done), progress.models);
    if failed.is_empty() {
        return (FlashKind::Ok, text);
    }
    let mut names = failed.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    if failed.len() > MOST {
        names.push('…');
    }
    (FlashKind::Bad, format!("{text} {}", d.refresh_failed(&names)))
}

/// `GET /upstream-models/progress`: how far a round has come, for the box that shows it. Once the round is over the whole page
/// is loaded anew.
async fn progress(State(site): State<Site>, operator: Operator) -> Result<Response> {
    let progress = site.admin.rounds.progress();
    if !progress.running {
        return Ok(([("hx-refresh", "true")], "").into_response());
    }
    let t = operator.t();
    render(&ProgressBox { t, progress })
}

/// `POST /upstream-models/offer`: the selected models are offered by their channels, beside those that are already.
async fn offer(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let d = operator.t().discovery;
    let mut chosen: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (id, name) in fields.all("offer").take(PER_PAGE).filter_map(|value| value.split_once(' ')) {
        if let Ok(id) = id.parse() {
            chosen.entry(id).or_default().push(name);
        }
    }
    let _changing = site.admin.changing.lock().await;
    site.catalog.follow().await?;
    let catalog = site.catalog.load();
    let (mut count, mut full) = (0, false);
    for (id, names) in chosen {
        let Some(entry) = catalog.channel(ChannelId(id)) else { continue };
        let mut models: Vec<ChannelModel> = entry.channel.models.clone();
        let before = models.len();
        for name in names {
            if entry.channel.model(name).is_some() || models.iter().any(|model| model.name == name) {
                continue;
            }
            if models.len() >= MAX_MODELS {
                full = true;
                break;
            }
            let Some(facts) = site.db.find_discovered(entry.channel.id, name).await? else { continue };
            let mut model = channel_model(&facts);
            model.price = model.price.filter(|price| is_price(*price));
            if is_model_name(&model.name) {
                models.push(model);
            }
        }
        if models.len() > before {
            count += models.len() - before;
            site.db.set_channel_models(entry.channel.id, &models, &entry.channel.redirects).await?;
        }
    }
    if count > 0 {
        site.catalog.reload().await?;
    }
    let back = match fields.text("back") {
        "" => "/upstream-models".to_owned(),
        query => format!("/upstream-models?{query}"),
    };
    let (kind, text) = match (count, full) {
        (0, false) => (FlashKind::Bad, d.nothing_selected().to_owned()),
        (_, true) => (FlashKind::Bad, format!("{} {}", d.taken_over(count), d.too_many(MAX_MODELS))),
        (_, false) => (FlashKind::Ok, d.taken_over(count)),
    };
    Ok(see_other_with(&back, kind, text))
}
