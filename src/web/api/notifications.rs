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
    model::{
        id::NoticeTargetId,
        notice::{EventKind, Target, Transport},
    },
    notices::{
        deliver,
        input::{NotificationTargetInput, shown_host},
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
        Endpoint::new(Method::POST, "/api/notification-targets", "Notify a webhook", create)
            .about("`url` is required here. Address and secret can be written, never read.")
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
    /// Scheme, host and port of the address.
    host: String,
    /// The header that carries the secret, if there is one.
    header: Option<String>,
    /// Whether the address may be on a loopback or private network.
    allow_private: bool,
    /// What it is told of.
    events: Vec<EventKind>,
    /// The language of texts.
    language: String,
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
    /// The receiver's status, or why there is none.
    detail: String,
}

impl NotificationTargetView {
    fn of(target: &Target) -> Self {
        let Transport::Webhook(webhook) = &target.set.transport;
        Self {
            id: target.id.0,
            name: target.set.name.clone(),
            enabled: target.set.enabled,
            host: shown_host(&target.set.transport),
            header: webhook.header.as_ref().map(|(name, _)| name.clone()),
            allow_private: webhook.allow_private,
            events: target.set.kinds.clone(),
            language: target.set.language.clone(),
            created_at: At(target.created_at),
            last_delivery: target.last.as_ref().map(|last| DeliveryView {
                at: At(last.at),
                ok: last.ok,
                detail: last.detail.clone(),
            }),
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
        items: targets.iter().map(NotificationTargetView::of).collect(),
        next,
    }))
}

async fn show(asked: Asked<NoticeTargetId>) -> Result<Shown<NotificationTargetView>> {
    Ok(Shown(NotificationTargetView::of(&find(&asked.site, asked.path).await?)))
}

async fn create(
    asked: Asked<(), (), Body<NotificationTargetInput>>,
) -> Result<Created<NotificationTargetView>> {
    let site = &asked.site;
    let target = asked.body.0.check(None, asked.caller.t())?;
    let id = site.db.create_notice_target(&target).await.map_err(refused)?;
    let view = NotificationTargetView::of(&find(site, id).await?);
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
    Ok(Shown(NotificationTargetView::of(&find(site, known.id).await?)))
}

async fn delete(asked: Asked<NoticeTargetId>) -> Result<Gone> {
    asked.site.db.delete_notice_target(asked.path).await?;
    Ok(Gone)
}

async fn test(asked: Asked<NoticeTargetId>) -> Result<Shown<DeliveryView>> {
    let site = &asked.site;
    let target = find(site, asked.path).await?;
    let delivery = deliver(&site.clients, &target.set, &[], 0, site.clock.now()).await.delivery;
    site.db.note_delivery(target.id, &delivery).await?;
    Ok(Shown(DeliveryView { at: At(delivery.at), ok: delivery.ok, detail: delivery.detail }))
}
