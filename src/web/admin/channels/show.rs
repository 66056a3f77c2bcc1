//! A channel's page: what it is, its keys, its models and prices, and what of it rests.

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
};

use super::{
    find_channel,
    form::{in_language, provider_name},
    gauges::{self, GaugeRow, Gauges},
    limits::LimitTables,
    models::ModelsForm,
    name_of_key, state,
};
use crate::{
    error::Result,
    i18n::Messages,
    inspect::price::prices,
    model::{
        budget::Owner,
        catalog::{Catalog, ChannelEntry},
        channel::{Channel, Protocol},
        decimal,
        key::KeyCheck,
        token::{Quota, QuotaUnit},
    },
    pool::{account::Accounts, rules, upkeep::models_to_check},
    provider::{GENERIC, Providers},
    storage::discovery::ModelFilter,
    web::{
        Site,
        admin::{
            budgets::{self, BudgetView},
            visit::{Chrome, FlashKind, Operator, Section, render_with, see_other, see_other_with},
        },
        form::{FieldErrors, Fields},
    },
};

#[derive(Template)]
#[template(path = "pages/channels/show.html")]
struct ShowPage {
    c: Chrome,
    path: String,
    rests_path: String,
    pause_path: String,
    routes_path: String,
    name: String,
    enabled: bool,
    badge: state::Badge,
    facts: Vec<(&'static str, String)>,
    budget_view: Option<BudgetView>,
    saved: String,
    /// That a budget in dollars does not see what has no price; empty if nothing is to be known.
    unpriced: String,
    rests: Vec<state::RestRow>,
    gauges: Gauges,
    no_limits: &'static str,
    upstream_models: Vec<String>,
    has_tightest: bool,
    keys: Vec<KeyLine>,
    /// What is to be known of the keys' accounts.
    account_texts: Vec<String>,
    paste: PasteForm,
    limits: LimitTables,
    models: ModelsForm,
    messages: Vec<String>,
    /// How many models of the upstream's list the channel does not offer; empty if there are none.
    new_models: String,
    new_models_path: String,
}

struct KeyLine {
    id: String,
    label: String,
    last4: String,
    group: String,
    /// The account that the provider named, if the group does not say it already; and whether the provider set the group.
    account: String,
    told: bool,
    enabled: bool,
    badge: state::Badge,
    tightest: Option<GaugeRow>,
    check: CheckSummary,
}

/// The last test of a key in a word.
pub(super) struct CheckSummary {
    /// The style sheet's class.
    pub class: &'static str,
    /// The word.
    pub text: &'static str,
    /// When it ran; empty without a test.
    pub at: String,
}

impl CheckSummary {
    /// Sums up a test.
    pub fn of(t: Messages, check: Option<&KeyCheck>, zone: &jiff::tz::TimeZone) -> Self {
        match check {
            None => Self { class: "", text: t.channels.never_checked(), at: String::new() },
            Some(check) => Self {
                class: if check.passed() { "ok" } else { "bad" },
                text: if check.passed() { t.channels.check_passed() } else { t.channels.check_failed() },
                at: check.at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
            },
        }
    }
}

/// The form for pasting keys, and what became of the last paste.
#[derive(Default)]
pub(super) struct PasteForm {
    /// The text, if it is to be corrected.
    pub text: String,
    /// The quota group for all of them.
    pub group: String,
    /// What is wrong with the fields.
    pub errors: FieldErrors,
    /// Counts of the results.
    pub summary: String,
    /// One result per key.
    pub results: Vec<PasteRow>,
}

/// What became of one pasted key.
pub(super) struct PasteRow {
    /// The line that it stood in.
    pub line: usize,
    /// Its label and its last four characters.
    pub name: String,
    /// The style sheet's class.
    pub class: &'static str,
    /// In words.
    pub result: String,
}

/// `GET /channels/{id}`.
pub(super) async fn show(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let models_page = query.text("page").parse().unwrap_or(1);
    let models = ModelsForm::part_of(&entry.channel, query.text("q"), models_page);
    page(&site, &operator, &entry, StatusCode::OK, PasteForm::default(), models).await
}

/// A page whose forms were sent to an address below it, asked for again: the channel's page.
pub(super) async fn to_channel(_operator: Operator, Path(id): Path<String>) -> Response {
    match id.parse::<i64>() {
        Ok(id) => see_other(&format!("/channels/{id}")),
        Err(_) => see_other("/channels"),
    }
}

/// What is to be known where a budget in dollars does not see what models cost.
fn unpriced(t: Messages, entry: &ChannelEntry, catalog: &Catalog) -> String {
    let id = entry.channel.id;
    let counts_dollars =
        |budget: &Option<Quota>| budget.is_some_and(|budget| budget.unit == QuotaUnit::Dollars);
    if !counts_dollars(&entry.channel.budget) && !entry.keys.iter().any(|key| counts_dollars(&key.budget)) {
        return String::new();
    }
    let rows = prices(catalog).into_iter();
    match rows.filter(|row| row.channel == id && !row.charged && !row.free).count() {
        0 => String::new(),
        count => t.budgets.unpriced(count),
    }
}

/// The page with the given state of its forms.
pub(super) async fn page(
    site: &Site,
    operator: &Operator,
    entry: &ChannelEntry,
    status: StatusCode,
    paste: PasteForm,
    models: ModelsForm,
) -> Result<Response> {
    let t = operator.t();
    let rows = site.db.key_rows(entry.channel.id).await?;
    let catalog = site.catalog.load();
    let now = site.dispatch.now();
    let readings = site.dispatch.lock().readings_of_channel(entry.channel.id, None, now);
    let mut tightest = gauges::tightest(t, entry, &readings, now, &catalog.zone);
    let shared: Vec<_> = readings.into_iter().filter(|(scope, _)| gauges::is_shared(scope)).collect();
    let gauges = Gauges::of(t, entry, &shared, now, &catalog.zone);
    let has_tightest = !tightest.is_empty();
    let providers = site.catalog.providers().load();
    let provider = providers.of(&entry.channel.provider);
    let filter = ModelFilter { channel: Some(entry.channel.id), not_offered: true, ..ModelFilter::default() };
    let (_, new_models) = site.db.discovered_models(&filter, 0, 0).await?;
    let owner = Owner::Channel(entry.channel.id);
    let budget_view = budgets::view_of(&site.db, &catalog, t, owner).await?;
    let saved = budgets::saved_text(&site.db, t, Some(owner)).await?;
    let page = {
        let pool = site.dispatch.lock();
        let book = pool.rests();
        let keys = rows
            .into_iter()
            .filter_map(|row| {
                let key = entry.keys.iter().find(|key| key.id == row.id)?;
                Some(KeyLine {
                    id: row.id.to_string(),
                    badge: state::of_key(t, entry, key, book, now.steady),
                    tightest: tightest.remove(&row.id),
                    check: CheckSummary::of(t, row.last_check.as_ref(), &catalog.zone),
                    told: row.grouped_by_provider,
                    account: row
                        .last_check
                        .and_then(|check| check.account)
                        .filter(|account| row.quota_group.as_ref() != Some(account))
                        .map_or_else(String::new, |account| t.onboarding.account_told(&account)),
                    label: row.label,
                    last4: row.last4,
                    group: row.quota_group.unwrap_or_default(),
                    enabled: row.enabled,
                })
            })
            .collect();
        ShowPage {
            c: operator.chrome(Section::Channels),
            path: format!("/channels/{}", entry.channel.id),
            rests_path: format!("/channels/{}/rests", entry.channel.id),
            pause_path: format!("/channels/{}/pause", entry.channel.id),
            routes_path: routes_path(&entry.channel),
            name: entry.channel.name.clone(),
            enabled: entry.channel.enabled,
            badge: state::of_channel(t, entry, book, now.steady),
            facts: facts(t, entry, &providers),
            budget_view,
            saved,
            unpriced: unpriced(t, entry, &catalog),
            rests: state::rest_rows(t, entry, None, book, now, &catalog.zone),
            gauges,
            no_limits: if has_tightest { t.inspect.no_shared_limits() } else { t.inspect.no_limits() },
            upstream_models: models_to_check(&entry.channel),
            has_tightest,
            keys,
            account_texts: Accounts::of(entry, provider).texts(provider, t),
            paste,
            limits: LimitTables::of(t, entry, None, provider),
            messages: models.messages(t),
            new_models: if new_models > 0 { t.discovery.new_models(new_models) } else { String::new() },
            new_models_path: format!("/upstream-models?channel={}&show=new", entry.channel.id),
            models,
        }
    };
    render_with(status, &page)
}

/// What the channel is, as terms and descriptions; what is not set is left out.
fn facts(t: Messages, entry: &ChannelEntry, providers: &Providers) -> Vec<(&'static str, String)> {
    let c = t.channels;
    let channel = &entry.channel;
    let mut facts = vec![
        (c.base_url(), channel.base_url.clone()),
        (c.provider(), provider_fact(t, channel, providers)),
        (
            c.protocol(),
            match channel.protocol {
                Protocol::OpenAi => c.protocol_openai().to_owned(),
            },
        ),
        (c.priority_weight(), format!("{} / {}", channel.priority, channel.weight)),
    ];
    if let Some(plan) = &channel.plan {
        let known = providers.find(&channel.provider).and_then(|provider| provider.plan(plan));
        let name = known.map_or_else(|| c.plan_gone(plan), |plan| in_language(t, &plan.name).to_owned());
        facts.insert(2, (c.plan(), name));
    }
    if !channel.endpoints.is_unset() {
        facts.push((c.endpoints(), channel.endpoints.to_string().replace(',', ", ")));
    }
    if !channel.groups.is_empty() {
        facts.push((c.groups(), channel.groups.join(", ")));
    }
    if !channel.headers.is_empty() {
        let names: Vec<&str> = channel.headers.iter().map(|(name, _)| name.as_str()).collect();
        facts.push((c.headers(), names.join(", ")));
    }
    if channel.proxy.is_some() {
        facts.push((c.proxy(), t.common.yes().to_owned()));
    }
    if channel.allow_private {
        facts.push((c.private_addresses(), c.allowed().to_owned()));
    }
    let fixes = rules::shown_fixes(&channel.shaping);
    if !fixes.is_empty() {
        facts.push((c.fixes(), fixes.join(", ")));
    }
    if let Some(seconds) = channel.shaping.response_cache_s {
        facts.push((c.response_cache_s(), seconds.to_string()));
    }
    let timeouts = &channel.timeouts;
    for (term, ms) in [
        (c.connect_s(), timeouts.connect_ms),
        (c.first_byte_s(), timeouts.first_byte_ms),
        (c.idle_s(), timeouts.idle_ms),
    ] {
        facts.extend(ms.map(|ms| (term, decimal::show(ms.into(), 3))));
    }
    if !channel.note.is_empty() {
        facts.push((t.common.note(), channel.note.clone()));
    }
    facts
}

/// Where calls for the channel's first public model go; empty if it offers none.
fn routes_path(channel: &Channel) -> String {
    let own = channel.models.iter().map(|model| &model.name);
    let first = own.chain(channel.redirects.iter().map(|redirect| &redirect.public)).next();
    first.map_or_else(String::new, |model| {
        form_urlencoded::Serializer::new("/routes?".to_owned()).append_pair("model", model).finish()
    })
}

/// The provider's name; a channel without one is told whose base URL it has.
fn provider_fact(t: Messages, channel: &Channel, providers: &Providers) -> String {
    let name = match providers.find(&channel.provider) {
        Some(provider) => provider_name(t, provider).to_owned(),
        None => return t.channels.provider_gone(&channel.provider),
    };
    match providers.at(&channel.base_url) {
        Some(other) if channel.provider == GENERIC && other.id != GENERIC => {
            format!("{name} · {}", t.channels.provider_other(provider_name(t, other)))
        }
        _ => name,
    }
}

/// `POST /channels/{id}/enabled`.
pub(super) async fn set_enabled(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let enabled = fields.checked("enabled");
    site.db.set_channel_enabled(entry.channel.id, enabled).await?;
    site.catalog.reload().await?;
    let t = operator.t().channels;
    let text = if enabled { t.switched_on() } else { t.switched_off() };
    Ok(see_other_with(&format!("/channels/{}", entry.channel.id), FlashKind::Ok, text))
}

impl KeyLine {
    fn name(&self) -> String {
        name_of_key(&self.label, &self.last4)
    }
}

/// A key's name for a line of a paste's result.
pub(super) fn pasted_name(label: &str, secret: Option<&crate::model::secret::Secret>) -> String {
    match secret {
        Some(secret) => name_of_key(label, &secret.last4()),
        None => label.to_owned(),
    }
}
