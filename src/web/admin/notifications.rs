//! `/notifications`: who is told of what happens in the pool.

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
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
        notice::{Delivery, EventKind, MailSecurity, SentMessage, Severity, Target, Transport, Via},
    },
    notices::{
        Message, deliver,
        input::{NotificationTargetInput, USUAL_HEADER, shown_host},
        message::kind_label,
        report::{self, guide, via_label},
    },
    pool::input::PlainSecret,
    storage::{StorageError, notices::MOST_TARGETS},
    web::{
        Site,
        form::{FieldErrors, Fields},
    },
};

/// How many of the last deliveries a page shows.
const SHOWN_DELIVERIES: i64 = 20;

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
    via: &'static str,
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
    fn of(t: Messages, last: &Delivery, zone: &jiff::tz::TimeZone) -> Self {
        let (class, word) =
            if last.ok { ("ok", t.notices.delivered()) } else { ("bad", t.notices.not_delivered()) };
        Self { class, word, at: moment(last.at, zone), detail: report::sentence(t, &last.report) }
    }
}

fn moment(at: crate::model::time::UnixMs, zone: &jiff::tz::TimeZone) -> String {
    at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A message in the list of deliveries.
struct SentView {
    last: LastView,
    what: String,
    /// How often it was tried, and what comes next.
    next: String,
}

impl SentView {
    fn of(t: Messages, message: &SentMessage, zone: &jiff::tz::TimeZone) -> Self {
        let n = t.notices;
        let mut what = match message.test {
            true => vec![n.a_test().to_owned()],
            false => message.kinds.iter().map(|kind| kind_label(t, *kind).to_owned()).collect(),
        };
        if message.events > message.kinds.len() {
            what.push(n.events_count(message.events));
        }
        if message.left_out > 0 {
            what.push(n.dropped_count(message.left_out));
        }
        let mut next = Vec::new();
        if message.tries > 1 {
            next.push(n.tries(message.tries));
        }
        match message.next_at {
            Some(at) => next.push(n.again_at(&moment(at, zone))),
            None if !message.delivery.ok && !message.test => next.push(n.given_up().to_owned()),
            None => {}
        }
        Self {
            last: LastView::of(t, &message.delivery, zone),
            what: what.join(" · "),
            next: next.join(" · "),
        }
    }
}

async fn index(State(site): State<Site>, operator: Operator) -> Result<Response> {
    let t = operator.t();
    let zone = &site.catalog.load().zone;
    let row = |target: &Target| Row {
        id: target.id,
        name: target.set.name.clone(),
        via: via_label(t, target.set.transport.via()),
        on: target.set.enabled,
        host: shown_host(&target.set.transport),
        events: target.set.kinds.iter().map(|kind| kind_label(t, *kind)).collect::<Vec<_>>().join(" · "),
        last: target.last.as_ref().map(|last| LastView::of(t, last, zone)),
    };
    let targets = site.db.notice_targets().await?;
    render(&IndexPage { c: operator.chrome(Section::Settings), rows: targets.iter().map(row).collect() })
}

/// What the fields of the form show. Secrets are typed anew or stay: they are never shown.
struct FormView {
    errors: FieldErrors,
    via: Via,
    guide: Option<&'static str>,
    name: String,
    enabled: bool,
    has_url: bool,
    url_hint: String,
    has_server: bool,
    server: String,
    mail: Option<MailView>,
    chat: Option<String>,
    header: Option<String>,
    usual_header: &'static str,
    is_robot: bool,
    /// The label of the secret; `None` if there is none.
    secret_label: Option<&'static str>,
    secret_hint: String,
    secret_optional: bool,
    can_remove_secret: bool,
    allow_private: bool,
    language: String,
    languages: [(&'static str, &'static str); 2],
    events: Vec<EventView>,
    group_minutes: String,
    most_per_hour: String,
    quiet_hours: String,
    quiet_hint: String,
    digest_every: &'static str,
    digest_everies: [(&'static str, &'static str); 2],
    digest_hour: String,
    digest_hint: String,
}

/// An event to choose.
struct EventView {
    name: &'static str,
    label: &'static str,
    chosen: bool,
    critical: bool,
}

/// The fields of a mail server.
struct MailView {
    server: String,
    port: String,
    security: &'static str,
    securities: [(&'static str, &'static str); 3],
    user: String,
    from: String,
    to: String,
}

/// Numbers that cannot be read stay as they were typed, beside their message.
#[derive(Default)]
struct Typed {
    port: Option<String>,
    group_minutes: Option<String>,
    most_per_hour: Option<String>,
    digest_hour: Option<String>,
}

fn has_secret(transport: &Transport) -> bool {
    match transport {
        Transport::Webhook(hook) => hook.header.is_some(),
        Transport::Email(mailbox) => mailbox.login.is_some(),
        Transport::Telegram { .. } | Transport::Bark { .. } | Transport::ServerChan { .. } => true,
        Transport::DingTalk(robot) | Transport::Feishu(robot) | Transport::WeCom(robot) => {
            robot.secret.is_some()
        }
    }
}

impl FormView {
    fn of(
        site: &Site,
        t: Messages,
        input: &NotificationTargetInput,
        typed: Typed,
        known: Option<&Target>,
        errors: FieldErrors,
    ) -> Self {
        let n = t.notices;
        let via = input.transport;
        let zone = &site.catalog.load().zone;
        let zone = zone.iana_name().unwrap_or("UTC");
        let kept = known.is_some_and(|target| has_secret(&target.set.transport));
        let (secret_label, hint) = match via {
            Via::Webhook => (Some(n.secret()), n.secret_hint()),
            Via::Email => (Some(n.password()), n.password_hint()),
            Via::Telegram => (Some(n.bot()), n.bot_hint()),
            Via::Bark => (Some(n.device()), n.device_hint()),
            Via::ServerChan => (Some(n.sendkey()), n.sendkey_hint()),
            Via::DingTalk | Via::Feishu => (Some(n.signing()), n.signing_hint()),
            Via::WeCom => (None, ""),
        };
        let secret_optional = matches!(via, Via::Webhook | Via::Email | Via::DingTalk | Via::Feishu);
        let has_url = matches!(via, Via::Webhook | Via::DingTalk | Via::Feishu | Via::WeCom);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let security = input.security.unwrap_or(MailSecurity::StartTls);
        Self {
            errors,
            via,
            guide: guide(via),
            name: input.name.clone(),
            enabled: input.enabled,
            has_url,
            url_hint: match known {
                Some(target) if has_url => {
                    format!("{} {}", n.url_hint(), n.url_kept(&shown_host(&target.set.transport)))
                }
                _ => n.url_hint().to_owned(),
            },
            has_server: matches!(via, Via::Telegram | Via::Bark | Via::ServerChan),
            server: text(&input.server),
            mail: (via == Via::Email).then(|| MailView {
                server: text(&input.server),
                port: typed
                    .port
                    .unwrap_or_else(|| input.port.map(|port| port.to_string()).unwrap_or_default()),
                security: security.as_str(),
                securities: [
                    (MailSecurity::StartTls.as_str(), n.security_starttls()),
                    (MailSecurity::Tls.as_str(), n.security_tls()),
                    (MailSecurity::Plain.as_str(), n.security_plain()),
                ],
                user: text(&input.user),
                from: text(&input.from),
                to: input.to.join("\n"),
            }),
            chat: (via == Via::Telegram).then(|| text(&input.chat)),
            header: (via == Via::Webhook).then(|| text(&input.header)),
            usual_header: USUAL_HEADER,
            is_robot: matches!(via, Via::DingTalk | Via::Feishu),
            secret_label,
            secret_hint: if kept { format!("{hint} {}", n.secret_kept()) } else { hint.to_owned() },
            secret_optional,
            can_remove_secret: kept && secret_optional,
            allow_private: input.allow_private,
            language: input.language.clone(),
            languages: [(Lang::En.as_str(), "English"), (Lang::Zh.as_str(), "简体中文")],
            events: EventKind::ALL
                .iter()
                .map(|kind| EventView {
                    name: kind.as_str(),
                    label: kind_label(t, *kind),
                    chosen: input.events.contains(kind),
                    critical: kind.severity() == Severity::Critical,
                })
                .collect(),
            group_minutes: typed.group_minutes.unwrap_or_else(|| input.group_minutes.to_string()),
            most_per_hour: typed.most_per_hour.unwrap_or_else(|| input.most_per_hour.to_string()),
            quiet_hours: text(&input.quiet_hours),
            quiet_hint: n.quiet_hours_hint(zone),
            digest_every: if input.digest_weekly { "week" } else { "day" },
            digest_everies: [("day", n.digest_daily()), ("week", n.digest_weekly())],
            digest_hour: typed.digest_hour.unwrap_or_else(|| input.digest_hour.to_string()),
            digest_hint: n.digest_hour_hint(zone),
        }
    }
}

fn read(
    t: Messages,
    via: Via,
    fields: &Fields,
    errors: &mut FieldErrors,
) -> (NotificationTargetInput, Typed) {
    let given = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
    let owned = |name: &str| given(name).map(str::to_owned);
    let secret = match given("secret") {
        Some(secret) => Some(PlainSecret::new(secret)),
        None => fields.checked("remove_secret").then(|| PlainSecret::new("")),
    };
    let mut typed = Typed::default();
    let usual = NotificationTargetInput::blank(via, t.lang);
    let mut number = |name: &str, usual: u32, typed: &mut Option<String>| -> u32 {
        let Some(text) = given(name) else { return usual };
        text.parse().unwrap_or_else(|_| {
            errors.add(name, t.notices.number_wrong());
            *typed = Some(text.to_owned());
            usual
        })
    };
    let group_minutes = number("group_minutes", usual.group_minutes, &mut typed.group_minutes);
    let most_per_hour = number("most_per_hour", usual.most_per_hour, &mut typed.most_per_hour);
    let hour = number("digest_hour", usual.digest_hour.into(), &mut typed.digest_hour);
    let port = given("port").filter(|_| via == Via::Email).and_then(|text| {
        text.parse()
            .map_err(|_| {
                errors.add("port", t.notices.port_wrong());
                typed.port = Some(text.to_owned());
            })
            .ok()
    });
    let is_mail = via == Via::Email;
    let input = NotificationTargetInput {
        name: fields.text("name").to_owned(),
        enabled: fields.checked("enabled"),
        url: given("url").map(PlainSecret::new),
        server: owned("server"),
        port,
        security: MailSecurity::from_name(fields.text("security")).filter(|_| is_mail),
        user: owned("user"),
        from: owned("from"),
        to: fields
            .raw("to")
            .split(['\n', ',', ';'])
            .map(str::trim)
            .filter(|to| !to.is_empty())
            .map(str::to_owned)
            .collect(),
        chat: owned("chat"),
        header: owned("header"),
        secret,
        allow_private: fields.checked("allow_private"),
        events: fields.all("event").filter_map(EventKind::from_name).collect(),
        language: fields.text("language").to_owned(),
        group_minutes,
        most_per_hour,
        quiet_hours: owned("quiet_hours"),
        digest_weekly: fields.text("digest_every") == "week",
        // What is larger than a byte is larger than any hour.
        digest_hour: u8::try_from(hour).unwrap_or(u8::MAX),
        ..usual
    };
    (input, typed)
}

/// A way to choose.
struct Way {
    name: &'static str,
    label: &'static str,
    about: &'static str,
}

#[derive(Template)]
#[template(path = "pages/notifications/choose.html")]
struct ChoosePage {
    c: Chrome,
    ways: Vec<Way>,
}

#[derive(Template)]
#[template(path = "pages/notifications/new.html")]
struct NewPage {
    c: Chrome,
    title: String,
    form: FormView,
}

impl NewPage {
    fn of(operator: &Operator, form: FormView) -> Self {
        let t = operator.t();
        let title = t.notices.new_title_of(via_label(t, form.via));
        Self { c: operator.chrome(Section::Settings), title, form }
    }
}

/// Which way a form or a link names.
fn via_of(fields: &Fields) -> Option<Via> {
    Via::from_name(fields.text("via"))
}

async fn blank(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let t = operator.t();
    let n = t.notices;
    let Some(via) = via_of(&Fields::parse(query.unwrap_or_default().as_bytes())) else {
        let about = |via: Via| match via {
            Via::Webhook => n.about_webhook(),
            Via::Email => n.about_email(),
            Via::Telegram => n.about_telegram(),
            Via::Bark => n.about_bark(),
            Via::ServerChan => n.about_serverchan(),
            Via::DingTalk | Via::Feishu | Via::WeCom => n.about_robot(),
        };
        let way = |via: &Via| Way { name: via.as_str(), label: via_label(t, *via), about: about(*via) };
        let ways = Via::ALL.iter().map(way).collect();
        return render(&ChoosePage { c: operator.chrome(Section::Settings), ways });
    };
    let input = NotificationTargetInput::blank(via, t.lang);
    let form = FormView::of(&site, t, &input, Typed::default(), None, FieldErrors::default());
    render(&NewPage::of(&operator, form))
}

async fn create(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let Some(via) = via_of(&fields) else { return Ok(see_other("/notifications/new")) };
    let mut errors = FieldErrors::default();
    let (input, typed) = read(t, via, &fields, &mut errors);
    match input.check(None, t) {
        Ok(target) if errors.is_empty() => match site.db.create_notice_target(&target).await {
            Ok(id) => {
                return Ok(see_other_with(&format!("/notifications/{id}"), FlashKind::Ok, t.common.saved()));
            }
            Err(error) => note(error, t, &mut errors)?,
        },
        Ok(_) => {}
        Err(faults) => faults.0.into_iter().for_each(|fault| errors.add(fault.field, fault.message)),
    }
    let form = FormView::of(&site, t, &input, typed, None, errors);
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &NewPage::of(&operator, form))
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
    via: &'static str,
    host: String,
    on: bool,
    sent: Vec<SentView>,
    waiting: i64,
}

impl ShowPage {
    async fn of(
        operator: &Operator,
        site: &Site,
        target: &Target,
        input: &NotificationTargetInput,
        typed: Typed,
        errors: FieldErrors,
    ) -> Result<Self> {
        let t = operator.t();
        let (sent, waiting) = site.db.sent_notices(target.id, SHOWN_DELIVERIES).await?;
        let zone = site.catalog.load().zone.clone();
        Ok(Self {
            c: operator.chrome(Section::Settings),
            id: target.id,
            name: target.set.name.clone(),
            via: via_label(t, target.set.transport.via()),
            host: shown_host(&target.set.transport),
            on: target.set.enabled,
            sent: sent.iter().map(|message| SentView::of(t, message, &zone)).collect(),
            waiting,
            form: FormView::of(site, t, input, typed, Some(target), errors),
        })
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
    let errors = FieldErrors::default();
    render(&ShowPage::of(&operator, &site, &target, &input, Typed::default(), errors).await?)
}

async fn update(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let known = find(&site, &id).await?;
    let mut errors = FieldErrors::default();
    let (input, typed) = read(t, known.set.transport.via(), &fields, &mut errors);
    match input.check(Some(&known), t) {
        Ok(target) if errors.is_empty() => match site.db.update_notice_target(known.id, &target).await {
            Ok(()) => {
                let back = format!("/notifications/{}", known.id);
                return Ok(see_other_with(&back, FlashKind::Ok, t.common.saved()));
            }
            Err(error) => note(error, t, &mut errors)?,
        },
        Ok(_) => {}
        Err(faults) => faults.0.into_iter().for_each(|fault| errors.add(fault.field, fault.message)),
    }
    let page = ShowPage::of(&operator, &site, &known, &input, typed, errors).await?;
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn to_index(_operator: Operator) -> Response {
    see_other("/notifications")
}

/// `POST /notifications/{id}/test`: sends a message now, whether the target is on or off, and notes what came of it.
async fn test(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let t = operator.t();
    let n = t.notices;
    let target = find(&site, &id).await?;
    let (now, zone) = (site.clock.now(), site.catalog.load().zone.clone());
    let delivery = deliver(&site.clients, &target.set, &Message::test(now), now, &zone).await.delivery;
    site.db.note_notice_test(target.id, &delivery).await?;
    let (name, detail) = (&target.set.name, &report::sentence(t, &delivery.report));
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
