//! `/notifications`: who is told of what happens in the pool.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};

use super::visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other, see_other_with};
use crate::{
    error::{Error, Result},
    i18n::{Lang, Messages},
    model::{
        id::NoticeTargetId,
        notice::{EventKind, Target, Transport},
    },
    notices::{
        deliver,
        input::{NotificationTargetInput, USUAL_HEADER, shown_host},
        message::kind_label,
    },
    pool::input::PlainSecret,
    storage::{StorageError, notices::MOST_TARGETS},
    web::{
        Site,
        form::{FieldErrors, Fields},
    },
};

/// `/notifications` and below.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/notifications", get(index))
        .route("/notifications/new", get(blank).post(create))
        .route("/notifications/{id}", get(show).post(update))
        .route("/notifications/{id}/test", post(test).get(to_index))
        .route("/notifications/{id}/delete", get(ask).post(delete))
}

#[derive(Template)]
#[template(path = "pages/notifications/index.html")]
struct IndexPage {
    c: Chrome,
    rows: Vec<Row>,
}

struct Row {
    id: NoticeTargetId,
    name: String,
    on: bool,
    host: String,
    events: String,
    last: Option<LastView>,
}

/// The last delivery.
struct LastView {
    class: &'static str,
    word: &'static str,
    at: String,
    detail: String,
}

impl LastView {
    fn of(t: Messages, target: &Target, zone: &jiff::tz::TimeZone) -> Option<Self> {
        let last = target.last.as_ref()?;
        let (class, word) =
            if last.ok { ("ok", t.notices.delivered()) } else { ("bad", t.notices.not_delivered()) };
        Some(Self {
            class,
            word,
            at: last.at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
            detail: last.detail.clone(),
        })
    }
}

async fn index(State(site): State<Site>, operator: Operator) -> Result<Response> {
    let t = operator.t();
    let zone = &site.catalog.load().zone;
    let row = |target: &Target| Row {
        id: target.id,
        name: target.set.name.clone(),
        on: target.set.enabled,
        host: shown_host(&target.set.transport),
        events: target.set.kinds.iter().map(|kind| kind_label(t, *kind)).collect::<Vec<_>>().join(" · "),
        last: LastView::of(t, target, zone),
    };
    let targets = site.db.notice_targets().await?;
    render(&IndexPage { c: operator.chrome(Section::Settings), rows: targets.iter().map(row).collect() })
}

/// What the fields of the form show. Address and secret are typed anew or stay: they are never shown.
struct FormView {
    errors: FieldErrors,
    name: String,
    enabled: bool,
    header: String,
    usual_header: &'static str,
    allow_private: bool,
    language: String,
    languages: [(&'static str, &'static str); 2],
    events: Vec<(&'static str, &'static str, bool)>,
    url_hint: String,
    secret_hint: String,
    has_secret: bool,
}

impl FormView {
    fn of(t: Messages, input: &NotificationTargetInput, known: Option<&Target>, errors: FieldErrors) -> Self {
        let n = t.notices;
        let has_secret = known.is_some_and(|target| {
            let Transport::Webhook(webhook) = &target.set.transport;
            webhook.header.is_some()
        });
        Self {
            errors,
            name: input.name.clone(),
            enabled: input.enabled,
            header: input.header.clone().unwrap_or_default(),
            usual_header: USUAL_HEADER,
            allow_private: input.allow_private,
            language: input.language.clone(),
            languages: [(Lang::En.as_str(), "English"), (Lang::Zh.as_str(), "简体中文")],
            events: EventKind::ALL
                .into_iter()
                .map(|kind| (kind.as_str(), kind_label(t, kind), input.events.contains(&kind)))
                .collect(),
            url_hint: match known {
                Some(target) => {
                    format!("{} {}", n.url_hint(), n.url_kept(&shown_host(&target.set.transport)))
                }
                None => n.url_hint().to_owned(),
            },
            secret_hint: if has_secret {
                format!("{} {}", n.secret_hint(), n.secret_kept())
            } else {
                n.secret_hint().to_owned()
            },
            has_secret,
        }
    }
}

fn read(fields: &Fields) -> NotificationTargetInput {
    let given = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let secret = match given("secret") {
        Some(secret) => Some(PlainSecret::new(secret)),
        None => fields.checked("remove_secret").then(|| PlainSecret::new("")),
    };
    NotificationTargetInput {
        name: fields.text("name").to_owned(),
        enabled: fields.checked("enabled"),
        url: given("url").map(PlainSecret::new),
        header: given("header").map(str::to_owned),
        secret,
        allow_private: fields.checked("allow_private"),
        events: fields.all("event").filter_map(EventKind::from_name).collect(),
        language: fields.text("language").to_owned(),
    }
}

#[derive(Template)]
#[template(path = "pages/notifications/new.html")]
struct NewPage {
    c: Chrome,
    form: FormView,
}

async fn blank(operator: Operator) -> Result<Response> {
    let t = operator.t();
    let input = NotificationTargetInput {
        name: String::new(),
        enabled: true,
        url: None,
        header: None,
        secret: None,
        allow_private: false,
        events: EventKind::ALL.to_vec(),
        language: t.lang.as_str().to_owned(),
    };
    let form = FormView::of(t, &input, None, FieldErrors::default());
    render(&NewPage { c: operator.chrome(Section::Settings), form })
}

async fn create(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let input = read(&fields);
    let mut errors = FieldErrors::default();
    match input.check(None, t) {
        Ok(target) => match site.db.create_notice_target(&target).await {
            Ok(id) => {
                return Ok(see_other_with(&format!("/notifications/{id}"), FlashKind::Ok, t.common.saved()));
            }
            Err(error) => note(error, t, &mut errors)?,
        },
        Err(faults) => faults.0.into_iter().for_each(|fault| errors.add(fault.field, fault.message)),
    }
    let form = FormView::of(t, &input, None, errors);
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &NewPage { c: operator.chrome(Section::Settings), form })
}

/// Notes why storage refused a target, or gives the error back.
fn note(error: StorageError, t: Messages, errors: &mut FieldErrors) -> Result<()> {
    match error {
        StorageError::Taken("targets") => errors.add("name", t.notices.too_many(MOST_TARGETS)),
        StorageError::Taken(_) => errors.add("name", t.common.field_taken()),
        error => return Err(error.into()),
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "pages/notifications/show.html")]
struct ShowPage {
    c: Chrome,
    form: FormView,
    id: NoticeTargetId,
    name: String,
    host: String,
    on: bool,
    last: Option<LastView>,
}

impl ShowPage {
    fn of(
        operator: &Operator,
        site: &Site,
        target: &Target,
        input: &NotificationTargetInput,
        errors: FieldErrors,
    ) -> Self {
        let t = operator.t();
        Self {
            c: operator.chrome(Section::Settings),
            id: target.id,
            name: target.set.name.clone(),
            host: shown_host(&target.set.transport),
            on: target.set.enabled,
            last: LastView::of(t, target, &site.catalog.load().zone),
            form: FormView::of(t, input, Some(target), errors),
        }
    }
}

async fn find(site: &Site, id: &str) -> Result<Target> {
    let id: NoticeTargetId = id.parse().map_err(|_| Error::NotFound)?;
    let targets = site.db.notice_targets().await?;
    targets.into_iter().find(|target| target.id == id).ok_or(Error::NotFound)
}

async fn show(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let target = find(&site, &id).await?;
    let input = NotificationTargetInput::of(&target.set);
    render(&ShowPage::of(&operator, &site, &target, &input, FieldErrors::default()))
}

async fn update(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let known = find(&site, &id).await?;
    let input = read(&fields);
    let mut errors = FieldErrors::default();
    match input.check(Some(&known), t) {
        Ok(target) => match site.db.update_notice_target(known.id, &target).await {
            Ok(()) => {
                let back = format!("/notifications/{}", known.id);
                return Ok(see_other_with(&back, FlashKind::Ok, t.common.saved()));
            }
            Err(error) => note(error, t, &mut errors)?,
        },
        Err(faults) => faults.0.into_iter().for_each(|fault| errors.add(fault.field, fault.message)),
    }
    let page = ShowPage::of(&operator, &site, &known, &input, errors);
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn to_index(_operator: Operator) -> Response {
    see_other("/notifications")
}

/// `POST /notifications/{id}/test`: sends a message now, whether the target is on or off, and notes what came of it.
async fn test(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let n = operator.t().notices;
    let target = find(&site, &id).await?;
    let delivery = deliver(&site.clients, &target.set, &[], 0, site.clock.now()).await.delivery;
    site.db.note_delivery(target.id, &delivery).await?;
    let (name, detail) = (&target.set.name, &delivery.detail);
    let (kind, text) = match delivery.ok {
        true => (FlashKind::Ok, n.test_ok(name, detail)),
        false => (FlashKind::Bad, n.test_failed(name, detail)),
    };
    Ok(see_other_with(&format!("/notifications/{}", target.id), kind, text))
}

#[derive(Template)]
#[template(path = "pages/notifications/delete.html")]
struct DeletePage {
    c: Chrome,
    id: NoticeTargetId,
    name: String,
}

async fn ask(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let target = find(&site, &id).await?;
    render(&DeletePage { c: operator.chrome(Section::Settings), id: target.id, name: target.set.name })
}

async fn delete(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let target = find(&site, &id).await?;
    site.db.delete_notice_target(target.id).await?;
    Ok(see_other_with("/notifications", FlashKind::Ok, operator.t().common.deleted()))
}
