//! `/routes`: which candidates a call would try now, in which order, and why not the others.

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use jiff::tz::TimeZone;

use super::{capacity::SizeForm, channels::key_name};
use crate::{
    error::Result,
    i18n::Messages,
    inspect::{Candidate, Hurdle, explain},
    model::{id::KeyId, time::UnixMs},
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render_with},
        form::{FieldErrors, Fields},
        format::Moment,
        limits,
    },
};

/// The most candidates that a page shows.
const MOST: usize = 500;

/// `GET /routes`.
pub fn router() -> Router<Site> {
    Router::new().route("/routes", get(show))
}

#[derive(Template)]
#[template(path = "pages/routes.html")]
struct RoutesPage {
    c: Chrome,
    model: String,
    token: String,
    form: SizeForm,
    errors: FieldErrors,
    models: Vec<String>,
    tokens: Vec<(String, String)>,
    refusal: &'static str,
    ready: usize,
    rows: Vec<Row>,
    others: Vec<(String, String)>,
}

struct Row {
    place: Option<usize>,
    channel: String,
    channel_path: String,
    key: String,
    key_path: String,
    model: String,
    priority: i64,
    /// The style sheet's class.
    class: &'static str,
    verdict: &'static str,
    why: String,
    back: Option<Moment>,
}

impl Row {
    fn of(t: Messages, candidate: &Candidate, now: UnixMs, zone: &TimeZone) -> Self {
        let i = t.inspect;
        let entry = &candidate.channel;
        let name_of = |id: KeyId| {
            entry.keys.iter().find(|key| key.id == id).map_or_else(String::new, |key| key_name(key))
        };
        let (class, verdict) = match &candidate.hurdle {
            None if candidate.place.is_some() => ("ok", i.would_try()),
            None => ("", i.is_ready()),
            Some(Hurdle::Pool(crate::scheduler::pool::Obstacle::TooLarge { .. })) => ("", i.never()),
            Some(Hurdle::Pool(_)) => ("warn", i.not_now()),
            Some(_) => ("", i.never()),
        };
        let channel_path = format!("/channels/{}", entry.channel.id);
        Self {
            place: candidate.place,
            channel: entry.channel.name.clone(),
            key: candidate.key.as_ref().map_or_else(String::new, |key| name_of(key.id)),
            key_path: candidate
                .key
                .as_ref()
                .map_or_else(String::new, |key| format!("{channel_path}/keys/{}", key.id)),
            channel_path,
            model: candidate.upstream_model.as_deref().unwrap_or_default().to_owned(),
            priority: entry.channel.priority,
            class,
            verdict,
            why: candidate.hurdle.as_ref().map_or_else(String::new, |hurdle| {
                limits::of_candidate(t, hurdle, candidate.last_resort, name_of)
            }),
            back: candidate.ready_at.map(|at| {
                let moment = limits::coming(t, at, now, zone);
                Moment { text: i.back_at(&moment.text), ..moment }
            }),
        }
    }
}

/// `GET /routes`; `model` is a public name, `token` an id, `prompt` and `completion` the size of the call.
async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let t = operator.t();
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let mut errors = FieldErrors::default();
    let form = SizeForm::read(t, &fields, &mut errors);
    let catalog = site.catalog.load();
    let model = fields.text("model").to_owned();
    let asked = fields.text("token");
    let token = asked.parse().ok().and_then(|id| catalog.token(id));
    if !asked.is_empty() && token.is_none() {
        errors.add("token", t.log.unknown_choice());
    }
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut page = RoutesPage {
        c: operator.chrome(Section::Capacity),
        token: token.map(|token| token.id.to_string()).unwrap_or_default(),
        form,
        errors,
        models: catalog.models().map(|model| model.name.clone()).collect(),
        tokens: catalog.tokens().map(|token| (token.id.to_string(), token.name.clone())).collect(),
        refusal: "",
        ready: 0,
        rows: Vec::new(),
        others: Vec::new(),
        model,
    };
    if !page.model.is_empty() && page.errors.is_empty() {
        let token = token.map(|token| &**token);
        let report = explain(&catalog, &site.dispatch, &page.model, token, page.form.size.cost());
        page.refusal = report.refused.map_or("", |refused| limits::refusal(t, refused));
        page.ready = report.candidates.iter().filter(|candidate| candidate.place.is_some()).count();
        let now = site.clock.now();
        for candidate in &report.candidates {
            if candidate.hurdle == Some(Hurdle::NotOffered) {
                let channel = &candidate.channel.channel;
                page.others.push((format!("/channels/{}", channel.id), channel.name.clone()));
            } else if page.rows.len() < MOST {
                page.rows.push(Row::of(t, candidate, now, &catalog.zone));
            }
        }
    }
    render_with(status, &page)
}
