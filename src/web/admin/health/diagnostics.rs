//! `/health/diagnostics`: what somebody who helps needs to know, as a page and as one text; and the test whether streams pass
//! what stands in front of the server.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use askama::Template;
use axum::{
    Router,
    body::Body,
    extract::{RawQuery, Request, State as Part},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::{Tab, tabs};
use crate::{
    config::Config,
    error::{Error, Result},
    repair::diagnosis::{Arrived, Diagnosis, NGINX_LINES, StreamTest, glance, look},
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render, see_other_with},
        client::Peer,
        form::Fields,
        format::Moment,
    },
};

/// Where the test of streams is: beside the real ones, so that it passes what they pass.
pub const STREAM_TEST_PATH: &str = "/v1/stream-test";
/// How many events the test sends.
const EVENTS: u32 = 5;
/// The time between two of them.
const BETWEEN: Duration = Duration::from_millis(250);
/// How long a code of the test is good for.
const CODE_LASTS: Duration = Duration::from_secs(600);
/// How often a code is good.
const CODE_USES: u32 = 5;
/// The most codes that are good at a time; with more the oldest goes.
const MOST_CODES: usize = 16;

/// What was found out last, and the codes of the test of streams. Nothing of it outlives the process.
#[derive(Default)]
pub struct Diagnostics {
    last: Mutex<Option<Arc<Diagnosis>>>,
    looking: tokio::sync::Mutex<()>,
    codes: Mutex<Vec<Code>>,
}

struct Code {
    text: String,
    until: Instant,
    uses: u32,
}

impl Diagnostics {
    fn last(&self) -> Option<Arc<Diagnosis>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new code for the test.
    fn issue(&self, now: Instant) -> String {
        let text = format!("{:032x}", rand::random::<u128>());
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|code| code.until > now && code.uses > 0);
        if codes.len() >= MOST_CODES {
            codes.remove(0);
        }
        codes.push(Code { text: text.clone(), until: now + CODE_LASTS, uses: CODE_USES });
        text
    }

    /// Whether a code is good; uses it once.
    fn accepts(&self, text: &str, now: Instant) -> bool {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = codes.iter_mut().find(|code| code.text == text && code.until > now && code.uses > 0);
        known.is_some_and(|code| {
            code.uses -= 1;
            true
        })
    }
}

/// `GET /health/diagnostics`, the same as a text, and what its form does.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/health/diagnostics", get(show).post(begin))
        .route("/health/diagnostics.txt", get(as_text))
}

struct FactView {
    class: &'static str,
    state: &'static str,
    label: String,
    value: String,
}

struct GroupView {
    title: &'static str,
    facts: Vec<FactView>,
}

#[derive(Template)]
#[template(path = "pages/health_diagnostics.html")]
struct DiagnosticsPage {
    c: Chrome,
    tabs: Vec<Tab>,
    groups: Vec<GroupView>,
    text: String,
    /// When others were asked last, if they were.
    asked: Option<Moment>,
    /// Where the browser finds the test of streams.
    stream_test: String,
    /// The time between the first event and the last, in milliseconds.
    sent_over_ms: u128,
    holds_back: bool,
    nginx: &'static str,
}

/// What the request tells of what stands in front of the server.
fn arrived(request: &Request, site: &Site) -> Option<Arrived> {
    let peer = request.extensions().get::<Peer>()?.0.ip().to_canonical();
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let public = site.catalog.load().settings.public_url.clone();
    let public = public.and_then(|public| url::Url::parse(&public).ok());
    let config: &Config = &site.config;
    Some(Arrived {
        peer,
        trusted: config.trusts(peer),
        forwarded_for: forwarded
            .flat_map(|value| value.split(','))
            .filter(|hop| !hop.trim().is_empty())
            .count(),
        forwarded_proto: match text("x-forwarded-proto") {
            Some(proto) if proto.eq_ignore_ascii_case("https") => Some("https"),
            Some(proto) if proto.eq_ignore_ascii_case("http") => Some("http"),
            _ => None,
        },
        is_public_host: public.map(|public| {
            let host =
                text("host").and_then(|host| url::Url::parse(&format!("{}://{host}", public.scheme())).ok());
            host.is_some_and(|host| host.origin() == public.origin())
        }),
    })
}

/// The facts of now; those of others as they were found last.
async fn facts(site: &Site, arrived: Option<Arrived>) -> Result<(Diagnosis, Option<Arc<Diagnosis>>)> {
    let place = super::repair::repairs(site)?.place().clone();
    let last = site.admin.diagnostics.last();
    let now = tokio::task::spawn_blocking(move || glance(&place, arrived.as_ref())).await;
    let mut now = now.map_err(|error| Error::Internal(error.into()))?;
    if let Some(last) = &last {
        let is_known = |code: &str| now.facts.iter().any(|fact| fact.code == code);
        let more: Vec<_> = last.facts.iter().filter(|fact| !is_known(&fact.code)).cloned().collect();
        now.facts.extend(more);
        now.facts.sort_by_key(|fact| fact.group);
        now.asked_others = last.asked_others;
    }
    Ok((now, last))
}

async fn show(Part(site): Part<Site>, operator: Operator, request: Request) -> Result<Response> {
    let t = operator.t();
    let (facts, last) = facts(&site, arrived(&request, &site)).await?;
    let (now, zone) = (site.clock.now(), site.catalog.load().zone.clone());
    let groups = facts.groups().into_iter().map(|(group, facts)| GroupView {
        title: group.label(t),
        facts: facts
            .into_iter()
            .map(|fact| FactView {
                class: match fact.state.as_str() {
                    "ok" => "ok",
                    "doubtful" => "warn",
                    "bad" => "bad",
                    _ => "",
                },
                state: fact.state.label(t),
                label: fact.label.text(t.lang).to_owned(),
                value: fact.value.text(t.lang).to_owned(),
            })
            .collect(),
    });
    render(&DiagnosticsPage {
        c: operator.chrome(Section::Health),
        tabs: tabs(t, "/health/diagnostics"),
        groups: groups.collect(),
        text: facts.text(t.lang),
        asked: last.as_ref().map(|last| Moment::new(t, last.at, now, &zone)),
        stream_test: format!("{STREAM_TEST_PATH}?code={}", site.admin.diagnostics.issue(Instant::now())),
        sent_over_ms: sent_over().as_millis(),
        holds_back: last.is_some_and(|last| last.holds_streams_back()),
        nginx: NGINX_LINES,
    })
}

/// `GET /health/diagnostics.txt`: the same as one text.
async fn as_text(Part(site): Part<Site>, operator: Operator, request: Request) -> Result<Response> {
    let (facts, _) = facts(&site, arrived(&request, &site)).await?;
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, facts.text(operator.t().lang)).into_response())
}

/// `POST /health/diagnostics`: asks others as well, and comes back with what they say.
async fn begin(Part(site): Part<Site>, operator: Operator, request: Request) -> Result<Response> {
    const BACK: &str = "/health/diagnostics";
    let t = operator.t().health;
    let place = super::repair::repairs(&site)?.place().clone();
    let diagnostics = &site.admin.diagnostics;
    let Ok(_turn) = diagnostics.looking.try_lock() else {
        return Ok(see_other_with(BACK, FlashKind::Bad, t.looking_already()));
    };
    let public = site.catalog.load().settings.public_url.clone();
    let stream = public.map(|public| StreamTest {
        address: format!(
            "{}{STREAM_TEST_PATH}?code={}",
            public.trim_end_matches('/'),
            diagnostics.issue(Instant::now())
        ),
        sent_over: sent_over(),
    });
    let found = look(&place, arrived(&request, &site), stream).await?;
    *diagnostics.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(found));
    Ok(see_other_with(BACK, FlashKind::Ok, t.looked()))
}

/// The time from the first event of the test to the last.
fn sent_over() -> Duration {
    BETWEEN * (EVENTS - 1)
}

/// `GET /v1/stream-test?code=...`: a few events, one after the other, sent as answers' streams are. Without a code of a page that
/// an operator opened there is nothing here.
pub async fn stream_test(Part(site): Part<Site>, RawQuery(query): RawQuery) -> Result<Response> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    if !site.admin.diagnostics.accepts(fields.text("code"), Instant::now()) {
        return Err(Error::NotFound);
    }
    let events = futures_util::stream::iter(0..EVENTS).then(|number| async move {
        if number > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        Ok::<_, Infallible>(format!("data: {{\"piece\":{number}}}\n\n"))
    });
    let mut response = Body::from_stream(events).into_response();
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_for_a_while_and_a_few_times() {
        let diagnostics = Diagnostics::default();
        let now = Instant::now();
        let (one, two) = (diagnostics.issue(now), diagnostics.issue(now));
        assert!(!diagnostics.accepts("", now) && !diagnostics.accepts("else", now));
        for _ in 0..CODE_USES {
            assert!(diagnostics.accepts(&one, now));
        }
        assert!(!diagnostics.accepts(&one, now));
        assert!(!diagnostics.accepts(&two, now + CODE_LASTS));
        let codes: Vec<String> = (0..=MOST_CODES).map(|_| diagnostics.issue(now)).collect();
        assert!(!diagnostics.accepts(&codes[0], now) && diagnostics.accepts(&codes[MOST_CODES], now));
    }
}
