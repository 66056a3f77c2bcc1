//! One visit of a page: who looks at it, in which language, and the frame that is drawn around it.

use std::{convert::Infallible, net::IpAddr};

use askama::Template;
use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;

use crate::{
    error::Error,
    i18n::{Lang, Messages},
    model::{
        id::{RequestId, SessionId},
        secret::SecretHash,
        user::User,
    },
    storage::StorageResult,
    web::{Site, admin::search::places::key_of, assets, client::ClientAddress},
};

/// Headers of every page. Scripts and styles come from ourselves only, and nobody may frame a page.
pub const PAGE_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// Sets the headers of every page that the page has not set itself.
pub fn set_page_headers(headers: &mut HeaderMap) {
    for (name, value) in PAGE_HEADERS {
        headers.entry(*name).or_insert(HeaderValue::from_static(value));
    }
}

/// Name of the session cookie; on HTTPS with the `__Host-` prefix, which browsers refuse on plain HTTP.
pub const SESSION_COOKIE: &str = "onepool_session";
const FLASH_COOKIE: &str = "onepool_flash";
/// The longest text of a message, encoded. Browsers drop a cookie of more than 4096 bytes (RFC 6265 section 6.1).
const MAX_FLASH_BYTES: usize = 3500;

/// What is known of a visitor before anybody logs in.
#[derive(Clone)]
pub struct Visit {
    /// Texts in the visitor's language.
    pub t: Messages,
    /// `light` or `dark`; `None` follows the system.
    pub theme: Option<&'static str>,
    /// Where the visitor comes from.
    pub ip: IpAddr,
    /// Whether cookies may be `Secure`.
    pub https: bool,
    /// Path and query of the page; of a form that was sent, those of the page that it stood on, as far as the browser says.
    pub path: String,
    /// For messages and the log.
    pub request_id: String,
    /// The browser's name for itself, at most 200 characters.
    pub user_agent: String,
    flash: Option<Flash>,
    operator: Option<(User, SessionId)>,
    alarm: Option<String>,
    /// What is being captured, and where to see to it.
    capture: Option<(String, String)>,
}

impl Visit {
    /// Reads cookies and headers, and looks the session up.
    pub async fn of(parts: &mut Parts, site: &Site) -> Self {
        let cookies = CookieJar::from_headers(&parts.headers);
        let client = parts.extensions.get::<ClientAddress>().copied();
        let https = client.is_some_and(|client| client.https);
        let header = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let ip = client.map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |client| client.ip);
        let operator = match cookies.get(&session_cookie_name(https)) {
            Some(cookie) => find_operator(site, cookie.value(), ip).await.unwrap_or_else(|error| {
                tracing::error!(%error, "could not look a session up");
                None
            }),
            None => None,
        };
        let language = operator
            .as_ref()
            .and_then(|(user, _)| user.language.as_deref())
            .or_else(|| cookies.get("onepool_language").map(|cookie| cookie.value()))
            .and_then(Lang::from_code)
            .unwrap_or_else(|| Lang::negotiate(header(header::ACCEPT_LANGUAGE).unwrap_or_default()));
        let theme = operator
            .as_ref()
            .and_then(|(user, _)| user.theme.as_deref())
            .or_else(|| cookies.get("onepool_theme").map(|cookie| cookie.value()));
        Self {
            t: Messages::of(language),
            theme: match theme {
                Some("light") => Some("light"),
                Some("dark") => Some("dark"),
                _ => None,
            },
            ip,
            https,
            path: page_path(parts),
            request_id: parts.extensions.get::<RequestId>().map(ToString::to_string).unwrap_or_default(),
            user_agent: header(header::USER_AGENT).unwrap_or_default().chars().take(200).collect(),
            flash: cookies.get(FLASH_COOKIE).and_then(|cookie| Flash::decode(cookie.value())),
            alarm: site.admin.alarm(Messages::of(language)),
            capture: captured(site, Messages::of(language)).filter(|_| operator.is_some()),
            operator,
        }
    }

    /// The frame of a page in a section of the navigation.
    pub fn chrome(&self, section: Section) -> Chrome {
        Chrome {
            t: self.t,
            theme: self.theme,
            flash: self.flash.clone(),
            operator: self.operator.as_ref().map(|(user, _)| user.name.clone()),
            alarm: self.alarm.clone(),
            capture: self.capture.clone(),
            path: self.path.clone(),
            search: None,
            section,
        }
    }

    /// Whether what the visitor types can be read on its way: neither encrypted nor on this machine.
    pub fn is_exposed(&self) -> bool {
        !self.https && !self.ip.is_loopback()
    }

    /// The visitor's session, if there is one.
    pub fn session(&self) -> Option<SessionId> {
        self.operator.as_ref().map(|(_, session)| *session)
    }

    /// The logged-in account, if there is one.
    pub fn user(&self) -> Option<&User> {
        self.operator.as_ref().map(|(user, _)| user)
    }
}

/// Says whose requests and answers are being captured, if anybody's are.
fn captured(site: &Site, t: Messages) -> Option<(String, String)> {
    let (catalog, now) = (site.catalog.load(), site.clock.now());
    let capture = catalog.captures().iter().find(|capture| capture.runs(now))?;
    let token = catalog.token(capture.token_id)?;
    let until = capture.ends_at.zoned(&catalog.zone).strftime("%Y-%m-%d %H:%M").to_string();
    Some((t.capture.notice(&token.name, &until), format!("/tokens/{}#capture", token.id)))
}

/// Where a change of language comes back to. A form may have been sent to a path that has no page of its own.
fn page_path(parts: &Parts) -> String {
    let own = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return own.to_owned();
    }
    let form =
        parts.headers.get(header::REFERER).and_then(|value| url::Url::parse(value.to_str().ok()?).ok());
    let form = form.map(|url| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned());
    form.filter(|path| local_path(path) == path).unwrap_or_else(|| own.to_owned())
}

async fn find_operator(site: &Site, cookie: &str, ip: IpAddr) -> StorageResult<Option<(User, SessionId)>> {
    let now = site.clock.now();
    let Some((user, session)) = site.db.find_session(&SecretHash::of(cookie), now).await? else {
        return Ok(None);
    };
    if let Err(error) = site.db.touch_session(&session, &ip.to_string(), now).await {
        tracing::error!(%error, "could not note that a session is in use");
    }
    Ok(Some((user, session.id)))
}

impl<S> FromRequestParts<S> for Visit
where
    S: Send + Sync,
    Site: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        match parts.extensions.get::<Self>() {
            Some(visit) => Ok(visit.clone()),
            None => Ok(Self::of(parts, &Site::from_ref(state)).await),
        }
    }
}

/// A visit by a logged-in operator. As an extractor it sends everybody else to the login.
#[derive(Clone)]
pub struct Operator {
    /// The visit.
    pub visit: Visit,
    /// The account.
    pub user: User,
    /// The session.
    pub session: SessionId,
}

impl Operator {
    /// Texts in the operator's language.
    pub fn t(&self) -> Messages {
        self.visit.t
    }

    /// The frame of a page in a section of the navigation.
    pub fn chrome(&self, section: Section) -> Chrome {
        self.visit.chrome(section)
    }
}

impl<S> FromRequestParts<S> for Operator
where
    S: Send + Sync,
    Site: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Ok(visit) = <Visit as FromRequestParts<S>>::from_request_parts(parts, state).await;
        let Some((user, session)) = visit.operator.clone() else {
            if parts.headers.contains_key("hx-request") {
                // A fragment of a page whose session has ended: the whole page is to be loaded anew.
                return Err((StatusCode::UNAUTHORIZED, [("hx-refresh", "true")]).into_response());
            }
            let next: String = form_urlencoded::byte_serialize(visit.path.as_bytes()).collect();
            let target =
                if parts.method == Method::GET { format!("/login?next={next}") } else { "/login".into() };
            return Err(see_other(&target));
        };
        let open = matches!(parts.uri.path(), "/account/password" | "/logout");
        if user.must_change_password && !open {
            return Err(see_other("/account/password"));
        }
        Ok(Self { visit, user, session })
    }
}

impl<S> OptionalFromRequestParts<S> for Operator
where
    S: Send + Sync,
    Site: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Infallible> {
        Ok(<Self as FromRequestParts<S>>::from_request_parts(parts, state).await.ok())
    }
}

/// Sections of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Outside the navigation: login, set-up, errors.
    None,
    /// How the pool does now.
    Overview,
    /// Channels and their keys.
    Channels,
    /// What upstreams list.
    Models,
    /// The managed chains.
    Ranking,
    /// Chains.
    Chains,
    /// Tokens.
    Tokens,
    /// Calls to try out.
    Playground,
    /// The usage log.
    Log,
    /// Usage per token, key, channel and model.
    Usage,
    /// Budgets and prices.
    Budgets,
    /// What the pool can do, and where calls go.
    Capacity,
    /// How channels, keys and models do; repairs and diagnostics.
    Health,
    /// The OpenClaw page.
    OpenClaw,
    /// Settings.
    Settings,
    /// The account and its sessions.
    Account,
}

/// The frame around a page; templates call it `c`.
pub struct Chrome {
    /// Texts in the visitor's language.
    pub t: Messages,
    /// `light` or `dark`; `None` follows the system.
    pub theme: Option<&'static str>,
    /// What the last form did.
    pub flash: Option<Flash>,
    /// The logged-in account's name.
    pub operator: Option<String>,
    /// Something that the operator should know at once.
    pub alarm: Option<String>,
    /// What is being captured, and the page where it can be stopped.
    pub capture: Option<(String, String)>,
    /// Path and query of this page.
    pub path: String,
    /// What is looked for, on the page of the search.
    pub search: Option<String>,
    section: Section,
}

/// An entry of the navigation.
pub struct NavigationItem {
    /// Where it leads.
    pub href: &'static str,
    /// Its text.
    pub label: &'static str,
    /// The key that leads there after `g`.
    pub key: &'static str,
    /// Whether the page belongs to it.
    pub current: bool,
}

impl Chrome {
    /// The entries of the navigation.
    pub fn navigation(&self) -> Vec<NavigationItem> {
        let t = &self.t.common;
        [
            (Section::Overview, "/", t.nav_overview()),
            (Section::Channels, "/channels", t.nav_channels()),
            (Section::Models, "/upstream-models", t.nav_models()),
            (Section::Ranking, "/ranking", t.nav_ranking()),
            (Section::Chains, "/chains", t.nav_chains()),
            (Section::Tokens, "/tokens", t.nav_tokens()),
            (Section::Playground, "/playground", t.nav_playground()),
            (Section::Log, "/log", t.nav_log()),
            (Section::Usage, "/usage", t.nav_usage()),
            (Section::Budgets, "/budgets", self.t.budgets.nav()),
            (Section::Capacity, "/capacity", t.nav_capacity()),
            (Section::Health, "/health", t.nav_health()),
            (Section::OpenClaw, "/openclaw", t.nav_openclaw()),
            (Section::Settings, "/settings", t.nav_settings()),
            (Section::Account, "/account", t.nav_account()),
        ]
        .into_iter()
        .map(|(section, href, label)| NavigationItem {
            href,
            label,
            key: key_of(href),
            current: section == self.section,
        })
        .collect()
    }

    /// What is to be known of this page, if it is one of the main pages.
    pub fn about(&self) -> Option<About> {
        self.operator.as_ref()?;
        let a = self.t.about;
        let (text, document) = match self.path.split('?').next().unwrap_or_default() {
            "/" => (a.overview(), "health"),
            "/channels" => (a.channels(), "providers"),
            "/upstream-models" => (a.models(), "models"),
            "/ranking" | "/ranking/weights" | "/ranking/names" => (a.ranking(), "ranking"),
            "/chains" => (a.chains(), "chains"),
            "/tokens" => (a.tokens(), "limits"),
            "/playground" => (a.playground(), "playground"),
            "/log" | "/log/turns" => (a.log(), "usage-log"),
            "/usage" => (a.usage(), "usage"),
            "/budgets" => (a.budgets(), "budgets"),
            "/prices" => (a.prices(), "budgets"),
            "/capacity" => (a.capacity(), "capacity"),
            "/routes" => (a.routes(), "capacity"),
            "/health" | "/health/diagnostics" => (a.health(), "health"),
            "/health/repair" => (a.repair(), "repair"),
            "/openclaw" => (a.openclaw(), "openclaw"),
            "/settings" => (a.settings(), "settings"),
            "/account" => (a.account(), "api"),
            "/notifications" => (a.notifications(), "notifications"),
            "/api" => (a.api(), "api"),
            _ => return None,
        };
        Some(About { text, document })
    }

    /// The URL of an embedded file.
    pub fn asset(&self, path: &str) -> String {
        assets::url(path)
    }
}

/// Help on a page.
pub struct About {
    /// What the page is for.
    pub text: &'static str,
    /// The document with the rest.
    pub document: &'static str,
}

/// A message about what the last form did, shown once on the next page.
#[derive(Debug, Clone)]
pub struct Flash {
    /// Good or bad news.
    pub kind: FlashKind,
    /// The text, in the visitor's language.
    pub text: String,
}

/// Good or bad news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashKind {
    /// It worked.
    Ok,
    /// It did not.
    Bad,
}

impl FlashKind {
    /// The style sheet's class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Bad => "bad",
        }
    }
}

impl Flash {
    fn encode(&self) -> String {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let mut text = encoded(&self.text);
        if text.len() > MAX_FLASH_BYTES {
            text.clear();
            // A whole character at a time, so that none is cut.
            for char in self.text.chars().map(|char| encoded(char.encode_utf8(&mut [0; 4]))) {
                if text.len() + char.len() > MAX_FLASH_BYTES {
                    break;
                }
                text.push_str(&char);
            }
        }
        format!("{}.{text}", self.kind.class())
    }

    fn decode(value: &str) -> Option<Self> {
        let (kind, text) = value.split_once('.')?;
        let kind = match kind {
            "ok" => FlashKind::Ok,
            "bad" => FlashKind::Bad,
            _ => return None,
        };
        let (text, _) = form_urlencoded::parse(text.as_bytes()).next()?;
        Some(Self { kind, text: text.into_owned() })
    }
}

/// Sends the browser on to a page after a form did its work (303).
pub fn see_other(path: &str) -> Response {
    // A part of it may come from a form, and a header takes no control characters.
    let mut target = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            0x21..=0x7e => target.push(char::from(byte)),
            _ => target.push_str(&format!("%{byte:02X}")),
        }
    }
    Redirect::to(&target).into_response()
}

/// The same, with a message on the next page.
pub fn see_other_with(path: &str, kind: FlashKind, text: impl Into<String>) -> Response {
    let cookie = format!(
        "{FLASH_COOKIE}={}; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
        Flash { kind, text: text.into() }.encode()
    );
    let mut response = see_other(path);
    if let Ok(value) = cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Renders a page with status 200.
pub fn render(page: &impl Template) -> Result<Response, Error> {
    render_with(StatusCode::OK, page)
}

/// Renders a page; a form that comes back with messages has 422. The flash message has been seen by then.
pub fn render_with(status: StatusCode, page: &impl Template) -> Result<Response, Error> {
    let html = page.render().map_err(|error| Error::Internal(error.into()))?;
    let forget = format!("{FLASH_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    Ok((status, [(header::SET_COOKIE, forget)], Html(html)).into_response())
}

/// A local path to go on to after the login; anything else becomes the start page.
pub fn local_path(next: &str) -> &str {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|c: char| c == '\\' || c.is_control());
    if local { next } else { "/" }
}

/// The name of the session cookie on a plain or an encrypted connection.
pub fn session_cookie_name(https: bool) -> String {
    if https { format!("__Host-{SESSION_COOKIE}") } else { SESSION_COOKIE.to_owned() }
}

#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage<'a> {
    c: Chrome,
    title: &'a str,
    text: String,
    request_id: &'a str,
}

/// The page of an error.
pub fn error_page(visit: Visit, error: &Error) -> Response {
    let t = visit.t.common;
    let (title, text) = match error {
        Error::NotFound | Error::MethodNotAllowed => (t.not_found_title(), t.not_found_text().to_owned()),
        Error::Forbidden(_) => (t.forbidden_title(), t.forbidden_text().to_owned()),
        Error::BadRequest(text) => (t.error_title(), text.clone()),
        Error::TooManyRequests { retry_after_s } => {
            (t.error_title(), visit.t.login.throttled(*retry_after_s))
        }
        _ => (t.error_title(), t.error_text().to_owned()),
    };
    let page = ErrorPage { c: visit.chrome(Section::None), title, text, request_id: &visit.request_id };
    render_with(error.status(), &page).unwrap_or_else(|_| error.status().into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_and_language_fits_into_a_cookie() {
        for text in ["模".repeat(3000), "a".repeat(9000), "🦀 ".repeat(900), "short, 100%".to_owned()] {
            let encoded = Flash { kind: FlashKind::Ok, text: text.clone() }.encode();
            assert!(encoded.len() < 4000, "{}", encoded.len());
            let shown = Flash::decode(&encoded).unwrap().text;
            assert!(!shown.is_empty() && text.starts_with(&shown), "{shown}");
        }
    }

    #[test]
    fn the_page_of_a_form_that_came_back_is_the_one_that_it_stood_on() {
        let path = |method: Method, referer: &str| {
            let request = axum::http::Request::builder().method(method).uri("/channels/3/keys");
            page_path(&request.header(header::REFERER, referer).body(()).unwrap().into_parts().0)
        };
        assert_eq!(path(Method::POST, "https://pool.example/channels/3?a=b#keys"), "/channels/3?a=b");
        assert_eq!(path(Method::POST, "https://pool.example//evil.example"), "/channels/3/keys");
        assert_eq!(path(Method::POST, "nonsense"), "/channels/3/keys");
        assert_eq!(path(Method::GET, "https://pool.example/channels"), "/channels/3/keys");
    }

    #[test]
    fn only_a_path_of_this_server_is_gone_on_to_after_the_login() {
        for path in ["/", "/log?status=429", "/openclaw?model=a%2Fb"] {
            assert_eq!(local_path(path), path);
        }
        for path in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "log",
            "/a\u{1}b",
            "/a\r\nb",
            "/\t/x",
        ] {
            assert_eq!(local_path(path), "/", "{path:?}");
        }
    }
}
