//! A key's page: its label and group, its state, and its test.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::{
    find_channel, find_key, gauges::Gauges, key_name, keys::MAX_NAME_CHARS, limits::LimitTables,
    show::CheckSummary, state,
};
use crate::{
    discovery::proof::{self, Depth, Subject},
    error::{Error, Result},
    i18n::Messages,
    model::{
        budget::Owner,
        catalog::{Catalog, ChannelEntry},
        key::{CheckKind, CheckStep, Key, KeyVerdict},
    },
    pool::upkeep::{answered, models_to_check, patient_timeouts, wake},
    scheduler::rest::Scope,
    web::{
        Site,
        admin::{
            budgets::{self, BudgetFields, BudgetView},
            visit::{Chrome, FlashKind, Operator, Section, render_with, see_other, see_other_with},
        },
        form::{FieldErrors, Fields},
    },
};

#[derive(Template)]
#[template(path = "pages/channels/key.html")]
struct KeyPage {
    c: Chrome,
    title: String,
    channel: String,
    channel_path: String,
    rests_path: String,
    pause_path: String,
    path: String,
    enabled: bool,
    badge: state::Badge,
    added_at: String,
    label: String,
    group: String,
    budget: BudgetFields,
    budget_view: Option<BudgetView>,
    saved: String,
    /// Who set the group, if it was not an operator.
    group_hint: &'static str,
    errors: FieldErrors,
    rests: Vec<state::RestRow>,
    limits: LimitTables,
    gauges: Gauges,
    models: Vec<String>,
    check: CheckSummary,
    verdict: &'static str,
    account: String,
    steps: Vec<StepRow>,
}

/// One step of a test, as it is shown.
struct StepRow {
    title: &'static str,
    ok: bool,
    result: String,
    took: String,
    text: String,
    advice: &'static str,
}

impl StepRow {
    fn of(t: Messages, step: &CheckStep) -> Self {
        let c = t.channels;
        let status = step.status.map(|status| c.rest_status(status));
        let class = step.class.map(|class| state::class_name(t, class));
        let result: Vec<&str> = status.as_deref().into_iter().chain(class).collect();
        Self {
            title: match step.kind {
                CheckKind::List => c.step_list(),
                CheckKind::Key => c.step_key(),
                CheckKind::Chat => c.step_chat(),
                CheckKind::Stream => c.step_stream(),
            },
            ok: step.ok,
            result: result.join(" · "),
            took: c.step_took(step.duration_ms),
            text: step.text.clone(),
            advice: match (step.ok, step.class, step.status) {
                (true, ..) => "",
                (_, Some(class), _) => state::advice(t, class),
                (_, None, Some(_)) => c.advice_no_list(),
                (_, None, None) => c.advice_settings(),
            },
        }
    }
}

/// What is proved about a key, in a sentence.
pub(super) fn verdict_text(t: Messages, verdict: KeyVerdict) -> &'static str {
    let d = t.discovery;
    match verdict {
        KeyVerdict::Callable => d.verdict_callable(),
        KeyVerdict::Known => d.verdict_known(),
        KeyVerdict::Invalid => d.verdict_invalid(),
        KeyVerdict::NotKnown => d.verdict_not_known(),
    }
}

/// `GET /channels/{id}/keys/{key}`.
pub(super) async fn show(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let key = find_key(&entry, &key)?;
    let label = key.label.clone();
    let group = key.quota_group.clone().unwrap_or_default();
    let typed = (label, group, BudgetFields::of(key.budget));
    page(&site, &operator, &entry, &key, StatusCode::OK, typed, FieldErrors::default()).await
}

async fn page(
    site: &Site,
    operator: &Operator,
    entry: &ChannelEntry,
    key: &Key,
    status: StatusCode,
    (label, group, budget): (String, String, BudgetFields),
    errors: FieldErrors,
) -> Result<Response> {
    let t = operator.t();
    let budget_view = budgets::view_of(&site.db, &site.catalog.load(), t, Owner::Key(key.id)).await?;
    let saved = budgets::saved_text(&site.db, t, Some(Owner::Key(key.id))).await?;
    let rows = site.db.key_rows(entry.channel.id).await?;
    let row = rows.into_iter().find(|row| row.id == key.id).ok_or(Error::NotFound)?;
    let catalog = site.catalog.load();
    let now = site.dispatch.now();
    let readings = site.dispatch.lock().readings_of_channel(entry.channel.id, Some(key.id), now);
    let models = models_to_check(&entry.channel);
    let channel_path = format!("/channels/{}", entry.channel.id);
    let page = {
        let pool = site.dispatch.lock();
        let book = pool.rests();
        KeyPage {
            c: operator.chrome(Section::Channels),
            title: t.channels.key_title(&key_name(key)),
            channel: entry.channel.name.clone(),
            rests_path: format!("{channel_path}/rests"),
            pause_path: format!("{}/pause", key_path(entry, key)),
            channel_path,
            path: key_path(entry, key),
            enabled: key.enabled,
            badge: state::of_key(t, entry, key, book, now.steady),
            added_at: row.created_at.zoned(&catalog.zone).strftime("%Y-%m-%d %H:%M").to_string(),
            label,
            group,
            budget,
            budget_view,
            saved,
            group_hint: if row.grouped_by_provider {
                t.onboarding.group_told_hint()
            } else {
                t.channels.quota_group_hint()
            },
            errors,
            rests: state::rest_rows(t, entry, Some(key), book, now, &catalog.zone),
            gauges: Gauges::of(t, entry, &readings, now, &catalog.zone),
            limits: LimitTables::of(t, entry, Some(key), &site.catalog.provider_of(&entry.channel)),
            models,
            check: CheckSummary::of(t, row.last_check.as_ref(), &catalog.zone),
            verdict: row.last_check.as_ref().map_or("", |check| verdict_text(t, check.verdict)),
            account: row
                .last_check
                .as_ref()
                .and_then(|check| check.account.as_ref())
                .map_or_else(String::new, |account| t.discovery.account(account)),
            steps: row
                .last_check
                .iter()
                .flat_map(|check| &check.steps)
                .map(|step| StepRow::of(t, step))
                .collect(),
        }
    };
    render_with(status, &page)
}

/// A form that was sent to an address below a key's page, asked for again: the key's page.
pub(super) async fn to_key(_operator: Operator, Path((id, key)): Path<(String, String)>) -> Response {
    match (id.parse::<i64>(), key.parse::<i64>()) {
        (Ok(id), Ok(key)) => see_other(&format!("/channels/{id}/keys/{key}")),
        _ => see_other("/channels"),
    }
}

fn key_path(entry: &ChannelEntry, key: &Key) -> String {
    format!("/channels/{}/keys/{}", entry.channel.id, key.id)
}

/// `POST /channels/{id}/keys/{key}`: label and quota group.
pub(super) async fn update(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let entry = find_channel(&site.catalog.load(), &id)?;
    let key = find_key(&entry, &key)?;
    let (label, group) = (fields.text("label").to_owned(), fields.text("group").to_owned());
    let mut errors = FieldErrors::default();
    for (field, value) in [("label", &label), ("group", &group)] {
        if value.chars().count() > MAX_NAME_CHARS {
            errors.add(field, t.common.field_too_long(MAX_NAME_CHARS));
        }
    }
    let typed = BudgetFields::read(&fields);
    let budget = typed.validate(t, &mut errors);
    if !errors.is_empty() {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return page(&site, &operator, &entry, &key, status, (label, group, typed), errors).await;
    }
    let quota_group = Some(group).filter(|group| !group.is_empty());
    site.db.change_key(&Key { label, quota_group, budget, ..(*key).clone() }).await?;
    site.catalog.reload().await?;
    Ok(see_other_with(&key_path(&entry, &key), FlashKind::Ok, t.common.saved()))
}

/// `POST /channels/{id}/keys/{key}/enabled`.
pub(super) async fn set_enabled(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let key = find_key(&entry, &key)?;
    let enabled = fields.checked("enabled");
    site.db.set_key_enabled(key.id, enabled).await?;
    site.catalog.reload().await?;
    let t = operator.t().channels;
    let text = if enabled { t.switched_on() } else { t.switched_off() };
    let back = if fields.raw("from") == "channel" {
        format!("/channels/{}#channel-keys", entry.channel.id)
    } else {
        key_path(&entry, &key)
    };
    Ok(see_other_with(&back, FlashKind::Ok, text))
}

/// `POST /channels/{id}/test`: tests one key of the channel, one that takes calls now if there is one.
pub(super) async fn test_any(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let now = site.clock.steady();
    let key = {
        let pool = site.dispatch.lock();
        let ready = |key: &&std::sync::Arc<Key>| {
            key.enabled && pool.rests().active(&Scope::Key(key.id), now).is_none()
        };
        let enabled = entry.keys.iter().find(|key| key.enabled);
        entry.keys.iter().find(ready).or(enabled).or(entry.keys.first()).cloned()
    };
    match key {
        Some(key) => run(&site, &operator, &catalog, &entry, &key, None, Depth::Full).await,
        None => {
            let back = format!("/channels/{}", entry.channel.id);
            Ok(see_other_with(&back, FlashKind::Bad, operator.t().channels.no_keys_yet()))
        }
    }
}

/// `POST /channels/{id}/keys/{key}/test`.
pub(super) async fn test(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response> {
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let key = find_key(&entry, &key)?;
    let model = Some(fields.text("model")).filter(|model| crate::pool::rules::is_model_name(model));
    let depth = if fields.raw("depth") == "proof" { Depth::Proof } else { Depth::Full };
    let model = model.filter(|_| depth == Depth::Full);
    run(&site, &operator, &catalog, &entry, &key, model, depth).await
}

async fn run(
    site: &Site,
    operator: &Operator,
    catalog: &Catalog,
    entry: &ChannelEntry,
    key: &Key,
    model: Option<&str>,
    depth: Depth,
) -> Result<Response> {
    let t = operator.t().channels;
    let models = models_to_check(&entry.channel);
    let model = if depth == Depth::Full { model.or(models.first().map(String::as_str)) } else { model };
    let timeouts = patient_timeouts(catalog, &entry.channel);
    let provider = site.catalog.provider_of(&entry.channel);
    let subject = Subject { entry, key, provider: &provider, timeouts };
    let check =
        proof::check_key(&site.clients, &site.dispatch, &subject, model, depth, site.clock.now()).await;
    let joined = proof::save(&site.db, &subject, &check).await?;
    if joined.is_some() {
        site.catalog.reload().await?;
    }
    if answered(&check) {
        wake(site.dispatch.lock().rests_mut(), entry, key, check.model.as_deref());
    }
    let (kind, text) = match depth {
        Depth::Full if check.passed() => (FlashKind::Ok, t.test_passed()),
        Depth::Full => (FlashKind::Bad, t.test_failed()),
        Depth::Proof | Depth::Word => {
            let good = matches!(check.verdict, KeyVerdict::Callable | KeyVerdict::Known);
            (if good { FlashKind::Ok } else { FlashKind::Bad }, verdict_text(operator.t(), check.verdict))
        }
    };
    let joined = joined.map(|group| format!(" {}", operator.t().onboarding.group_joined(&group)));
    Ok(see_other_with(&key_path(entry, key), kind, format!("{text}{}", joined.unwrap_or_default())))
}
