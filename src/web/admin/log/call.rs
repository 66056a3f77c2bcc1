//! `/log/{request id}`: one call, with everything that is known of it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};

use super::{
    list::RowView,
    names::{Label, result_style},
    turns::{self, TurnView},
    waterfall::{Waterfall, class_style},
};
use crate::{
    capture::Captures,
    error::{Error, Result},
    i18n::Messages,
    model::{capture::CapturedCall, catalog::Catalog, id::RequestId, time::Clock},
    storage::{
        Db, StorageError,
        usage_query::rows::{AttemptRow, UsageRow},
    },
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
        format::{Moment, NOTHING, approximate, bytes, count, duration, exact_money, optional_duration},
        public_url::PublicUrl,
        snippet,
    },
};

/// `GET /log/{request id}`.
pub fn router() -> Router<Site> {
    Router::new().route("/log/{request_id}", get(show))
}

struct Field {
    name: &'static str,
    value: String,
    /// Ids and addresses.
    code: bool,
    deleted: bool,
    /// An indented part of the field before.
    part: bool,
}

impl Field {
    fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), code: false, deleted: false, part: false }
    }

    fn code(name: &'static str, value: Option<String>) -> Self {
        Self { code: value.is_some(), ..Self::new(name, value.unwrap_or_else(|| NOTHING.into())) }
    }

    fn label(name: &'static str, label: Option<Label>) -> Self {
        match label {
            Some(label) => Self { deleted: label.deleted, ..Self::new(name, label.text) },
            None => Self::new(name, NOTHING),
        }
    }

    fn part(name: &'static str, value: String) -> Self {
        Self { part: true, ..Self::new(name, value) }
    }
}

struct AttemptView {
    number: usize,
    channel: Label,
    key: Label,
    model: String,
    /// How long it waited in line right before, and what for; empty if it did not.
    waited: String,
    started: String,
    first_byte: String,
    duration: String,
    status: String,
    style: &'static str,
    class: &'static str,
    detail: String,
}

#[derive(Template)]
#[template(path = "pages/log_call.html")]
struct CallPage {
    c: Chrome,
    request_id: String,
    time: Moment,
    style: &'static str,
    status: u16,
    result: &'static str,
    groups: Vec<Vec<Field>>,
    waterfall: Waterfall,
    /// Whether it waited in line.
    queued: bool,
    routes_path: String,
    summary: String,
    attempts: Vec<AttemptView>,
    /// Whether any of them was waited for.
    waited: bool,
    /// The turn that it belongs to.
    turn: Option<TurnView>,
    /// All calls of the turn, if it has others.
    rows: Vec<RowView>,
    /// A request that asks the same, without what was said.
    curl: String,
    /// What was said, if it was captured, and the sizes of request and answer.
    captured: Option<CapturedCall>,
    captured_sizes: (String, String),
    nothing: &'static str,
}

async fn show(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    State(clock): State<Clock>,
    operator: Operator,
    State(captures): State<Captures>,
    headers: HeaderMap,
    Path(request_id): Path<String>,
) -> Result<Response> {
    let request_id: RequestId = request_id.parse().map_err(|_| Error::NotFound)?;
    let (row, attempts) = db.usage_find(request_id).await?.ok_or(Error::NotFound)?;
    let (t, now) = (operator.t(), clock.now());
    let turn = match &row.trace_id {
        Some(trace) => match turns::with_calls(&db, row.token.id, trace).await {
            // The call is to be seen all the same.
            Err(StorageError::TooSlow) => None,
            found => found?,
        },
        None => None,
    };
    let base_url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https).base_url();
    let kept =
        catalog.captures().iter().any(|capture| capture.token_id == row.token.id && now < capture.keep_until);
    let captured = if kept { captures.find(row.token.id, request_id).await } else { None };
    let asked = snippet::placeholder(row.endpoint, &row.asked_model, row.stream);
    let others = turn.iter().filter(|(_, rows)| rows.len() > 1).flat_map(|(_, rows)| rows);
    let page = CallPage {
        c: operator.chrome(Section::Log),
        request_id: row.request_id.to_string(),
        time: Moment::new(t, row.at, now, &catalog.zone),
        style: result_style(row.result),
        status: row.status,
        result: t.log.result_name(row.result),
        groups: fields(t, &row),
        waterfall: Waterfall::new(t, &row, &attempts),
        queued: row.queue_ms > 0,
        routes_path: form_urlencoded::Serializer::new("/routes?".to_owned())
            .append_pair("model", &row.asked_model)
            .append_pair("token", &if row.token.deleted { String::new() } else { row.token.id.to_string() })
            .finish(),
        summary: t.log.waterfall_summary(attempts.len(), &duration(t, row.total_ms)),
        attempts: (1..).zip(&attempts).map(|(number, attempt)| view(t, number, attempt)).collect(),
        waited: attempts.iter().any(|attempt| attempt.waited_ms > 0),
        rows: others
            .map(|other| RowView {
                current: other.request_id == row.request_id,
                ..RowView::new(t, other, now, &catalog.zone)
            })
            .collect(),
        turn: turn.as_ref().map(|(turn, _)| TurnView::new(t, turn, now, &catalog.zone)),
        curl: snippet::curl(&base_url, row.endpoint, &asked),
        captured_sizes: captured
            .as_ref()
            .map(|call| (bytes(call.request_bytes), bytes(call.answer_bytes)))
            .unwrap_or_default(),
        captured,
        nothing: NOTHING,
    };
    render(&page)
}

fn fields(t: Messages, row: &UsageRow) -> Vec<Vec<Field>> {
    let l = t.log;
    let tokens = |value: u64| approximate(count(value), row.estimated);
    let stream = if row.stream { t.common.yes() } else { t.common.no() };
    let (mut pictures, mut characters, mut sound, mut video, mut searches) = (None, None, None, None, None);
    if let Some(units) = &row.units {
        let kind = [&units.image_size, &units.image_quality].into_iter().flatten();
        let kind: String = kind.map(|word| format!(" · {word}")).collect();
        pictures = (units.images > 0).then(|| format!("{}{kind}", count(units.images)));
        characters = (units.characters > 0).then(|| count(units.characters));
        let heard_ms = u32::try_from(units.audio_ms).unwrap_or(u32::MAX);
        let video_ms = u32::try_from(units.video_ms).unwrap_or(u32::MAX);
        video = (video_ms > 0).then(|| {
            let size = units.video_size.as_ref().map(|size| format!(" · {size}")).unwrap_or_default();
            approximate(duration(t, video_ms), units.estimated) + &size
        });
        searches = (units.searches > 0).then(|| approximate(count(units.searches), units.estimated));
        sound = (heard_ms > 0).then(|| approximate(duration(t, heard_ms), units.estimated));
    }
    let used = [
        (l.pictures(), pictures),
        (l.characters(), characters),
        (l.sound(), sound),
        (l.video(), video),
        (l.searches(), searches),
    ];
    let guessed = row.estimated || row.units.as_ref().is_some_and(|units| units.estimated);
    let used = used.into_iter().filter_map(|(name, value)| Some(Field::new(name, value?)));
    let mut fields = vec![
        vec![
            Field::label(l.token(), Some(Label::named(&row.token))),
            Field::code(l.asked_model(), Some(row.asked_model.clone())),
            Field::code(l.served_model(), row.served_model.clone()),
            Field::label(l.channel(), row.channel.as_ref().map(Label::named)),
            Field::label(l.key(), row.key.as_ref().map(Label::key)),
            Field::code(l.endpoint(), Some(format!("/v1/{}", row.endpoint.path()))),
            Field::new(l.stream(), stream),
        ],
        vec![
            Field::new(l.queue(), duration(t, row.queue_ms)),
            Field::new(l.first_token(), optional_duration(t, row.first_token_ms)),
            Field::new(l.total(), duration(t, row.total_ms)),
            Field::new(l.prompt_tokens(), tokens(row.tokens.prompt)),
            Field::part(l.cached_tokens(), tokens(row.tokens.cached)),
            Field::new(l.completion_tokens(), tokens(row.tokens.completion)),
            Field::part(l.reasoning_tokens(), tokens(row.tokens.reasoning)),
            Field::new(l.cost(), approximate(exact_money(row.cost_micros), guessed && row.cost_micros != 0)),
        ],
        vec![
            Field::code(l.error_code(), row.error_code.clone()),
            Field::code(l.client_address(), Some(row.client_address.clone())),
            Field::code(l.client_kind(), Some(row.client_kind.clone())),
            Field::code(l.request_id(), Some(row.request_id.to_string())),
            Field::code(l.trace_id(), row.trace_id.clone()),
            Field::new(l.attempts(), row.attempt_count.to_string()),
        ],
    ];
    fields[1].extend(used);
    fields
}

fn view(t: Messages, number: usize, attempt: &AttemptRow) -> AttemptView {
    AttemptView {
        number,
        channel: Label::named(&attempt.channel),
        key: Label::key(&attempt.key),
        model: attempt.model.clone(),
        waited: match attempt.waited_for {
            Some(reason) if attempt.waited_ms > 0 => {
                format!("{} · {}", duration(t, attempt.waited_ms), t.log.wait_reason(reason))
            }
            _ => String::new(),
        },
        started: duration(t, attempt.started_ms),
        first_byte: optional_duration(t, attempt.first_byte_ms),
        duration: duration(t, attempt.duration_ms),
        status: attempt.status.map_or_else(|| NOTHING.into(), |status| status.to_string()),
        style: class_style(attempt.class),
        class: t.log.class_name(attempt.class),
        detail: attempt.detail.clone(),
    }
}
