//! Notifications: who is told of what happens in the pool.

use axum::http::{Method, StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{Asked, Body, Created, Endpoint, Gone, Patch, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, NamedPageQuery},
};
use crate::{
    error::Error,
    i18n::Messages,
    model::{
        id::NoticeTargetId,
        notice::{Delivery, EventKind, MailSecurity, SentMessage, Target, Via},
    },
    notices::{
        Message, deliver,
        input::{NotificationTargetInput, shown_host},
        report,
    },
    storage::{StorageError, notices::MOST_TARGETS},
    web::Site,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    let example = json!({
        "name": "ops", "url": "https://hooks.example.com/onepool", "secret": "a word that the receiver knows",
        "events": ["models_appeared", "models_vanished", "key_invalid"],
    });
    const TAKEN: &str = "Another target has this name, or there are 50 already.";
    vec![
        Endpoint::new(Method::GET, "/api/notification-targets", "List who is notified", list),
        Endpoint::new(Method::POST, "/api/notification-targets", "Notify somebody", create)
            .about(
                "`transport` says how: a webhook unless another one is named. Addresses of webhooks and robots and all secrets can \
                 be written, never read.",
            )
            .example(example)
            .fails(StatusCode::CONFLICT, TAKEN),
        Endpoint::new(Method::GET, "/api/notification-targets/{id}", "Show who is notified", show),
        Endpoint::new(
            Method::PATCH,
            "/api/notification-targets/{id}",
            "Change who is notified, switch it on or off",
            change,
        )
        .about("`url` and `secret` that are left out stay; an empty `secret` removes it.")
        .example(json!({"enabled": false}))
        .fails(StatusCode::CONFLICT, TAKEN),
        Endpoint::new(Method::DELETE, "/api/notification-targets/{id}", "Notify somebody no more", delete),
        Endpoint::new(
            Method::GET,
            "/api/notification-targets/{id}/deliveries",
            "List the last messages to a target",
            deliveries,
        )
        .about("The newest 50, tests included, with the receiver's own words."),
        Endpoint::new(Method::POST, "/api/notification-targets/{id}/test", "Send a test message", test)
            .about("Sent at once, also to a target that is off. Takes at most 15 s."),
    ]
}

/// Whom notifications go to.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotificationTargetView {
    /// Its id.
    id: i64,
    /// Its name.
    name: String,
    /// Off means: it gets nothing.
    enabled: bool,
    /// How it is reached.
    transport: Via,
    /// Where it is, as pages show it: scheme, host and port of an address, the chat, the readers.
    host: String,
    /// The mail server, or another server than the vendor's own.
    server: Option<String>,
    /// The mail server's port.
    port: Option<u16>,
    /// How the way to the mail server is protected.
    security: Option<MailSecurity>,
    /// The user at the mail server.
    user: Option<String>,
    /// Who writes.
    from: Option<String>,
    /// Who reads.
    to: Vec<String>,
    /// The chat.
    chat: Option<String>,
    /// The header that carries the secret, if there is one.
    header: Option<String>,
    /// Whether the address may be on a loopback or private network.
    allow_private: bool,
    /// What it is told of.
    events: Vec<EventKind>,
    /// The language of texts.
    language: String,
    /// Minutes within which events of a kind go out together after the first.
    group_minutes: u32,
    /// The most messages within an hour.
    most_per_hour: u32,
    /// When only critical events are told.
    quiet_hours: Option<String>,
    /// Whether digests come every Monday, not every day.
    digest_weekly: bool,
    /// The hour at which digests come.
    digest_hour: u8,
    /// When it was made.
    created_at: At,
    /// The last delivery that was tried.
    last_delivery: Option<DeliveryView>,
}

/// What came of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// When it was tried.
    at: At,
    /// Whether it was taken.
    ok: bool,
    /// What the receiver said, or why it could not be reached.
    detail: String,
    /// Why it did not arrive, as a word for programs; null if it did.
    fault: Option<String>,
}

impl DeliveryView {
    fn of(t: Messages, delivery: &Delivery) -> Self {
        Self {
            at: At(delivery.at),
            ok: delivery.ok,
            detail: report::sentence(t, &delivery.report),
            fault: delivery.report.fault.map(|fault| fault.as_str().to_owned()),
        }
    }
}

/// A message as it was sent, or as it was tried.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentMessageView {
    /// When it was tried last.
    at: At,
    /// Whether it was taken.
    ok: bool,
    /// What the receiver said, or why it could not be reached.
    detail: String,
    /// Why it did not arrive, as a word for programs; null if it did.
    fault: Option<String>,
    /// Whether it was a test.
    test: bool,
    /// Of what it told.
    events: Vec<EventKind>,
    /// How many events it told.
    count: usize,
    /// How many events were too many to keep.
    left_out: usize,
    /// How often it was tried.
    tries: u32,
    /// When it is tried again; null if it arrived or was given up.
    next_try_at: Option<At>,
}

/// The last messages to a target.
#[derive(Debug, Serialize, ToSchema)]
pub struct SentMessageList {
    /// The messages, the newest first.
    items: Vec<SentMessageView>,
    /// How many events wait to be told.
    waiting: i64,
}

impl NotificationTargetView {
    fn of(t: Messages, target: &Target) -> Self {
        let input = NotificationTargetInput::of(&target.set);
        Self {
            id: target.id.0,
            name: input.name,
            enabled: input.enabled,
            transport: input.transport,
            host: shown_host(&target.set.transport),
            server: input.server,
            port: input.port,
            security: input.security,
            user: input.user,
            from: input.from,
            to: input.to,
            chat: input.chat,
            header: input.header,
            allow_private: input.allow_private,
            events: input.events,
            language: input.language,
            group_minutes: input.group_minutes,
            most_per_hour: input.most_per_hour,
            quiet_hours: input.quiet_hours,
            digest_weekly: input.digest_weekly,
            digest_hour: input.digest_hour,
            created_at: At(target.created_at),
            last_delivery: target.last.as_ref().map(|last| DeliveryView::of(t, last)),
        }
    }
}

/// A page of targets.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotificationTargetList {
    /// The targets, by id.
    items: Vec<NotificationTargetView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

async fn find(site: &Site, id: NoticeTargetId) -> Result<Target> {
    let target = site.db.notice_targets().await?.into_iter().find(|target| target.id == id);
    Ok(target.ok_or(Error::NotFound)?)
}

fn refused(error: StorageError) -> Refusal {
    match error {
        StorageError::Taken("targets") => {
            let message = format!("There are {MOST_TARGETS} targets already; delete one first.");
            Refusal::new(StatusCode::CONFLICT, "conflict", message)
        }
        other => other.into(),
    }
}

async fn list(asked: Asked<(), Query<NamedPageQuery>>) -> Result<Shown<NotificationTargetList>> {
    let mut targets = asked.site.db.notice_targets().await?;
    targets.retain(|target| asked.query.0.wants(&target.set.name));
    targets.sort_by_key(|target| target.id);
    let (targets, next) = asked.query.0.page()?.cut(targets, |target| target.id.0)?;
    Ok(Shown(NotificationTargetList {
        items: targets.iter().map(|target| NotificationTargetView::of(asked.caller.t(), target)).collect(),
        next,
    }))
}

async fn show(asked: Asked<NoticeTargetId>) -> Result<Shown<NotificationTargetView>> {
    Ok(Shown(NotificationTargetView::of(asked.caller.t(), &find(&asked.site, asked.path).await?)))
}

async fn create(
    asked: Asked<(), (), Body<NotificationTargetInput>>,
) -> Result<Created<NotificationTargetView>> {
    let site = &asked.site;
    let target = asked.body.0.check(None, asked.caller.t())?;
    let id = site.db.create_notice_target(&target).await.map_err(refused)?;
    let view = NotificationTargetView::of(asked.caller.t(), &find(site, id).await?);
    Ok(Created(format!("/api/notification-targets/{id}"), view))
}

async fn change(
    asked: Asked<NoticeTargetId, (), Patch<NotificationTargetInput>>,
) -> Result<Shown<NotificationTargetView>> {
    let site = &asked.site;
    let _changing = changing(site).await?;
    let known = find(site, asked.path).await?;
    let input = asked.body.apply(&NotificationTargetInput::of(&known.set))?;
    let target = input.check(Some(&known), asked.caller.t())?;
    site.db.update_notice_target(known.id, &target).await.map_err(refused)?;
    Ok(Shown(NotificationTargetView::of(asked.caller.t(), &find(site, known.id).await?)))
}

async fn delete(asked: Asked<NoticeTargetId>) -> Result<Gone> {
    asked.site.db.delete_notice_target(asked.path).await?;
    Ok(Gone)
}

async fn deliveries(asked: Asked<NoticeTargetId>) -> Result<Shown<SentMessageList>> {
    const MOST: i64 = 50;
    let target = find(&asked.site, asked.path).await?;
    let (sent, waiting) = asked.site.db.sent_notices(target.id, MOST).await?;
    let view = |message: SentMessage| {
        let DeliveryView { at, ok, detail, fault } = DeliveryView::of(asked.caller.t(), &message.delivery);
        SentMessageView {
            at,
            ok,
            detail,
            fault,
            test: message.test,
            events: message.kinds,
            count: message.events,
            left_out: message.left_out,
            tries: message.tries,
            next_try_at: message.next_at.map(At),
        }
    };
    Ok(Shown(SentMessageList { items: sent.into_iter().map(view).collect(), waiting }))
}

async fn test(asked: Asked<NoticeTargetId>) -> Result<Shown<DeliveryView>> {
    let site = &asked.site;
    let target = find(site, asked.path).await?;
    let (now, zone) = (site.clock.now(), site.catalog.load().zone.clone());
    let delivery = deliver(&site.clients, &target.set, &Message::test(now), now, &zone).await.delivery;
    site.db.note_notice_test(target.id, &delivery).await?;
    Ok(Shown(DeliveryView::of(asked.caller.t(), &delivery)))
}
