//! A new token, and the page of one.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::get,
};

use super::{
    QuotaView, TokenState,
    capture::CaptureView,
    form::{TokenForm, new_token},
    local_minute, masked, reveal_purpose, warnings,
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{budget::Owner, catalog::Catalog, id::TokenId, token::Token},
    storage::StorageError,
    web::{
        Site,
        admin::{
            budgets,
            usage::period::url,
            visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with},
        },
        form::{FieldErrors, Fields},
        format::{Moment, NOTHING, count},
    },
};

/// `/tokens/new` and `/tokens/{id}`.
pub(super) fn router() -> Router<Site> {
    Router::new().route("/tokens/new", get(blank).post(create)).route("/tokens/{id}", get(show).post(update))
}

/// What the form offers beside its fields.
struct Offers {
    /// Public models that are not in the form's scope by name.
    models: Vec<String>,
    groups_hint: String,
    expires_hint: String,
}

impl Offers {
    fn of(catalog: &Catalog, form: &TokenForm, t: &Messages) -> Self {
        let chosen = form.models.to_lowercase();
        let chosen: BTreeSet<&str> = chosen.split_whitespace().collect();
        let models = catalog.models().map(|model| model.name.clone());
        let groups: BTreeSet<&str> =
            catalog.channels().flat_map(|entry| entry.channel.groups.iter().map(String::as_str)).collect();
        let mut groups_hint = t.token_form.groups_hint().to_owned();
        if !groups.is_empty() {
            let groups: Vec<&str> = groups.into_iter().collect();
            groups_hint = format!("{groups_hint} {}", t.token_form.known_groups(&groups.join(", ")));
        }
        Self {
            models: models.filter(|name| !chosen.contains(name.to_lowercase().as_str())).collect(),
            groups_hint,
            expires_hint: t.token_form.expires_at_hint(catalog.zone.iana_name().unwrap_or("local time")),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/tokens/new.html")]
struct NewPage {
    c: Chrome,
    values: TokenForm,
    errors: FieldErrors,
    offers: Offers,
    is_new: bool,
}

impl NewPage {
    fn of(operator: &Operator, catalog: &Catalog, values: TokenForm, errors: FieldErrors) -> Self {
        Self {
            c: operator.chrome(Section::Tokens),
            offers: Offers::of(catalog, &values, &operator.t()),
            values,
            errors,
            is_new: true,
        }
    }
}

async fn blank(State(catalog): State<Arc<Catalog>>, operator: Operator) -> Result<Response> {
    render(&NewPage::of(&operator, &catalog, TokenForm::blank(), FieldErrors::default()))
}

async fn create(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let catalog = site.catalog.load();
    let form = TokenForm::read(&fields);
    let mut errors = FieldErrors::default();
    let value = form.validate_value(&t, &mut errors);
    let token = form.validate(None, site.clock.now(), &catalog.zone, &t, &mut errors);
    if errors.is_empty() {
        match site.db.create_token(&new_token(token, value)).await {
            Ok(id) => {
                site.catalog.reload().await?;
                site.admin.grants.allow(operator.session, &reveal_purpose(id), site.clock.now());
                let path = format!("/tokens/{id}/value");
                return Ok(see_other_with(&path, FlashKind::Ok, t.tokens.created_notice()));
            }
            Err(StorageError::Taken("value")) => errors.add("value", t.token_form.value_taken()),
            Err(StorageError::Taken(_)) => errors.add("name", t.common.field_taken()),
            Err(error) => return Err(error.into()),
        }
    }
    let page = NewPage::of(&operator, &catalog, form, errors);
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

#[derive(Template)]
#[template(path = "pages/tokens/show.html")]
struct ShowPage {
    c: Chrome,
    values: TokenForm,
    errors: FieldErrors,
    offers: Offers,
    is_new: bool,
    id: TokenId,
    name: String,
    masked: String,
    created: String,
    last_used: String,
    clients: Vec<ClientView>,
    models: Vec<ModelView>,
    log_path: String,
    turns_path: String,
    class: &'static str,
    state: &'static str,
    on: bool,
    quota: Option<QuotaView>,
    saved: String,
    previous: Vec<PreviousView>,
    warnings: Vec<String>,
    capture: CaptureView,
}

/// A program that used the token.
struct ClientView {
    kind: String,
    version: String,
    seen: Moment,
}

/// A model that it asked for lately.
struct ModelView {
    model: String,
    calls: String,
    last: Moment,
    href: String,
}

struct PreviousView {
    masked: String,
    until: String,
}

impl ShowPage {
    async fn of(
        site: &Site,
        operator: &Operator,
        catalog: &Catalog,
        id: TokenId,
        values: Option<TokenForm>,
        errors: FieldErrors,
    ) -> Result<Self> {
        let t = operator.t();
        let db = &site.db;
        let (now, zone) = (db.now(), &catalog.zone);
        let row = db.find_token_row(id, now, zone).await?.ok_or(Error::NotFound)?;
        let state = TokenState::of(&row, now);
        let token = &row.token;
        let values = values.unwrap_or_else(|| TokenForm::of(token, zone));
        let previous = db.previous_values(id).await?;
        Ok(Self {
            c: operator.chrome(Section::Tokens),
            offers: Offers::of(catalog, &values, &t),
            values,
            errors,
            is_new: false,
            id,
            name: token.name.clone(),
            masked: masked(token),
            created: t.tokens.created(&local_minute(token.created_at, zone)),
            last_used: match row.last_used_at {
                Some(at) => local_minute(at, zone),
                None => t.tokens.never_used().to_owned(),
            },
            clients: db
                .token_clients(id)
                .await?
                .into_iter()
                .map(|client| ClientView {
                    kind: client.kind,
                    version: client.version.unwrap_or_else(|| NOTHING.into()),
                    seen: Moment::new(t, client.last_at, now, zone),
                })
                .collect(),
            models: db
                .recent_models(id)
                .await?
                .into_iter()
                .map(|recent| ModelView {
                    calls: count(recent.calls.into()),
                    last: Moment::new(t, recent.last_at, now, zone),
                    href: url("/log", [("token", id.to_string()), ("asked", recent.model.clone())]),
                    model: recent.model,
                })
                .collect(),
            log_path: url("/log", [("token", id.to_string())]),
            turns_path: url("/log/turns", [("token", id.to_string())]),
            class: state.class(),
            state: state.label(&t),
            on: token.enabled,
            quota: token.quota.map(|quota| QuotaView::of(quota, row.spent, &t, now, zone)),
            saved: budgets::saved_text(db, t, Some(Owner::Token(id))).await?,
            previous: previous
                .into_iter()
                .map(|value| PreviousView {
                    masked: format!("sk-…{}", value.last4),
                    until: t.tokens.previous_until(&local_minute(value.valid_until, zone)),
                })
                .collect(),
            warnings: warnings(token, catalog, &t),
            capture: CaptureView::of(site, t, id).await,
        })
    }
}

async fn show(
    State(site): State<Site>,
    State(catalog): State<Arc<Catalog>>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = token_id(&id)?;
    render(&ShowPage::of(&site, &operator, &catalog, id, None, FieldErrors::default()).await?)
}

async fn update(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let id = token_id(&id)?;
    let t = operator.t();
    let catalog = site.catalog.load();
    let known: Token = site.db.find_token(id).await?.ok_or(Error::NotFound)?;
    let form = TokenForm::read(&fields);
    let mut errors = FieldErrors::default();
    let token = form.validate(Some(&known), site.clock.now(), &catalog.zone, &t, &mut errors);
    if errors.is_empty() {
        match site.db.update_token(&token).await {
            Ok(()) => {
                site.catalog.reload().await?;
                return Ok(see_other_with(&format!("/tokens/{id}"), FlashKind::Ok, t.common.saved()));
            }
            Err(StorageError::Taken(_)) => errors.add("name", t.common.field_taken()),
            Err(error) => return Err(error.into()),
        }
    }
    let page = ShowPage::of(&site, &operator, &catalog, id, Some(form), errors).await?;
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The id in a path; anything else is a page that does not exist.
pub(super) fn token_id(text: &str) -> Result<TokenId> {
    text.parse().map_err(|_| Error::NotFound)
}
