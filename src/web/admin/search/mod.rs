//! `/search`: everything that has a name, by a part of it; calls by their ids; keys and tokens by their whole value.
//!
//! What is typed is sent with POST, so that a whole key or token that somebody pastes is never part of an address. Anything else is
//! sent on to `/search?q=`, which can be kept and shared.

mod find;
pub mod places;
#[cfg(test)]
mod tests;
mod wanted;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use self::{
    find::{Found, Group},
    wanted::{MOST_CHARACTERS, Wanted},
};
use super::visit::{Chrome, Operator, Section, render, see_other};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    upstream::outcome::masked,
    web::{Site, form::Fields},
};

/// `/search`.
pub fn router() -> Router<Site> {
    Router::new().route("/search", get(show).post(ask))
}

/// What is said about a question.
enum Answer {
    /// Nothing was asked for.
    Nothing,
    /// It was a value that does not belong into an address.
    NotHere,
    /// Whose value it was; nobody's if this is empty.
    Owners(Vec<Group>),
    /// What has such a name.
    Found(Found),
}

impl Answer {
    /// What is listed, by kind.
    fn groups(&self) -> &[Group] {
        match self {
            Self::Nothing | Self::NotHere => &[],
            Self::Owners(groups) => groups,
            Self::Found(found) => &found.groups,
        }
    }
}

#[derive(Template)]
#[template(path = "pages/search.html")]
struct SearchPage {
    c: Chrome,
    t: Messages,
    q: String,
    answer: Answer,
}

/// The part of the page that changes while somebody types.
#[derive(Template)]
#[template(path = "partials/search_found.html")]
struct FoundPart {
    t: Messages,
    q: String,
    answer: Answer,
}

/// `GET /search`; `q` is what to look for.
async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let q = question(&fields);
    if looks_secret(&q) {
        let mut operator = operator;
        // Nor is it repeated by the form that brings the visitor back here.
        operator.visit.path = path("");
        return page(&operator, String::new(), Answer::NotHere);
    }
    let answer = answer(&site, &operator, &q).await?;
    page(&operator, q, answer)
}

/// `POST /search`: what was typed. Whole keys and tokens are answered here; anything else has an address.
async fn ask(
    State(site): State<Site>,
    operator: Operator,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response> {
    let q = question(&fields);
    let is_part = headers.contains_key("hx-request");
    let owners = find::owners(&site, operator.t(), value(&fields));
    // The key of a server of one's own may be any word: then it is also looked for.
    let is_word = q.len() < SHORTEST_VALUE && !looks_secret(&q);
    if !is_word && (!owners.is_empty() || looks_secret(&q)) {
        let answer = Answer::Owners(owners);
        return if is_part {
            part(operator.t(), String::new(), answer)
        } else {
            page(&operator, String::new(), answer)
        };
    }
    if is_part || !owners.is_empty() {
        let mut answer = answer(&site, &operator, &q).await?;
        if let Answer::Found(found) = &mut answer {
            found.count += owners.iter().map(|group| group.hits.len()).sum::<usize>();
            found.groups.splice(0..0, owners);
        }
        return if is_part { part(operator.t(), q, answer) } else { page(&operator, q, answer) };
    }
    Ok(see_other(&path(&q)))
}

/// Values from this length on are looked for as such only.
const SHORTEST_VALUE: usize = 16;

/// What was typed, if it is a whole key or token: without what often stands around one when it is copied.
fn value(fields: &Fields) -> &str {
    let text = fields.text("q").trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    text.trim_matches(['"', '\'', '`'])
}

fn question(fields: &Fields) -> String {
    fields.text("q").chars().take(MOST_CHARACTERS).collect::<String>().trim().to_owned()
}

/// Where the answer to a question is.
fn path(q: &str) -> String {
    if q.is_empty() {
        return "/search".into();
    }
    format!("/search?{}", form_urlencoded::Serializer::new(String::new()).append_pair("q", q).finish())
}

/// Whether a text looks like a whole credential. Ids of calls do as well, but are none, nor is what pages show of one.
fn looks_secret(q: &str) -> bool {
    let is_address = q.starts_with("https://") || q.starts_with("http://");
    !is_address && !q.contains('…') && q.parse::<uuid::Uuid>().is_err() && masked(q) != q
}

async fn answer(site: &Site, operator: &Operator, q: &str) -> Result<Answer> {
    let wanted = Wanted::of(q);
    if wanted.is_empty() {
        return Ok(Answer::Nothing);
    }
    Ok(Answer::Found(find::everything(site, operator, q, &wanted).await?))
}

fn page(operator: &Operator, q: String, answer: Answer) -> Result<Response> {
    let mut c = operator.chrome(Section::None);
    c.search = Some(q.clone());
    render(&SearchPage { c, t: operator.t(), q, answer })
}

fn part(t: Messages, q: String, answer: Answer) -> Result<Response> {
    // The address follows what is typed, so that coming back shows the same; never with a value.
    let address = HeaderValue::try_from(path(&q)).map_err(|error| Error::Internal(error.into()))?;
    let html = FoundPart { t, q, answer }.render().map_err(|error| Error::Internal(error.into()))?;
    Ok(([("hx-replace-url", address)], Html(html)).into_response())
}
