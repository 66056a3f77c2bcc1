//! The OpenClaw page: choose a token and what its OpenClaw shall know, get `openclaw.json` and the command that applies it.
//!
//! The form is a GET: the choice stands in the URL, and works without a script. Its fields are the options of
//! [`ExportOptions`], beside `token`, `up` (a button that raises a model) and `alias:MODEL` (a model's alias). The models are
//! sent in the order in which the page lists them, so the order is the choice of primary and fallbacks.
//! `GET /openclaw.json5` with the same options answers the command.

mod changes;
mod form;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use self::{
    changes::ChangesView,
    form::{Asked, ModelChoice, Select},
};
use super::{
    tokens::reveal_purpose,
    visit::{Chrome, Operator, Section, render, render_with, see_other},
};
use crate::{
    error::{Error, Result},
    export::openclaw::{
        ExportOptions, Form, KEY_VARIABLE, KeyForm, MAX_FALLBACKS, MAX_MODELS, OptionFault, PROVIDER_ID,
        Part, Problem, World, apply_command, models_of, onboard_command, pretty, shell_quoted,
    },
    i18n::Messages,
    model::{
        catalog::Catalog,
        id::TokenId,
        secret::Secret,
        token::{ClientProfile, Token},
    },
    provider::Providers,
    web::{
        Site,
        exports::{self, Made},
        form::{FieldErrors, Fields},
        format::Moment,
        public_url::PublicUrl,
    },
};

/// `/openclaw`, its file, and what notes that the file was copied.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/openclaw", get(show))
        .route("/openclaw/file", get(download))
        .route("/openclaw/copied", post(copied))
}

#[derive(Template)]
#[template(path = "pages/openclaw.html")]
struct OpenClawPage {
    c: Chrome,
    tokens: Vec<(String, String)>,
    token: Option<TokenId>,
    generic_profile: bool,
    media: bool,
    /// Whether the token may use any model of the part.
    has_models: bool,
    /// How many models the token may use, if they are more than OpenClaw reads at once and none of them is ticked yet.
    too_many: Option<usize>,
    most_models: usize,
    models: Vec<ModelChoice>,
    selects: Vec<Select>,
    literal: bool,
    provider: String,
    variable: String,
    voice: String,
    more_open: bool,
    errors: FieldErrors,
    /// Faults of options that have no field.
    problems: Vec<String>,
    guessed: bool,
    max_fallbacks: usize,
    made: Option<MadeView>,
}

/// What the choices give.
struct MadeView {
    file: String,
    /// The address of the file, and of the note that it was copied.
    query: String,
    set_variable: String,
    apply: String,
    look: String,
    local: String,
    onboard: Option<String>,
    trap: String,
    alias_trap: bool,
    /// Which of OpenClaw's own providers the media part takes over.
    takes_over: bool,
    last: Option<Moment>,
    changes: ChangesView,
}

async fn show(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let query = query.unwrap_or_default();
    let fields = Fields::parse(query.as_bytes());
    let (catalog, providers) = (site.catalog.load(), site.catalog.providers().load());
    let url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https);
    let mut tokens: Vec<&Arc<Token>> = catalog.tokens().collect();
    tokens.sort_by_key(|token| token.name.to_lowercase());
    let asked = fields.text("token").parse().ok().and_then(|id| catalog.token(id));
    let openclaw = || tokens.iter().copied().find(|token| token.profile == ClientProfile::OpenClaw);
    let token = asked.or_else(openclaw).or(tokens.first().copied()).cloned();
    let mut page = OpenClawPage {
        c: operator.chrome(Section::OpenClaw),
        tokens: tokens.iter().map(|token| (token.id.to_string(), token.name.clone())).collect(),
        token: token.as_ref().map(|token| token.id),
        generic_profile: token.as_ref().is_some_and(|token| token.profile == ClientProfile::Generic),
        media: fields.text("part") == Part::Media.as_str(),
        has_models: false,
        too_many: None,
        most_models: MAX_MODELS,
        models: Vec::new(),
        selects: Vec::new(),
        literal: fields.text("key") == "literal",
        provider: fields.text("provider").to_owned(),
        variable: fields.text("variable").to_owned(),
        voice: fields.text("voice").to_owned(),
        more_open: false,
        errors: FieldErrors::default(),
        problems: Vec::new(),
        guessed: url.guessed,
        max_fallbacks: MAX_FALLBACKS,
        made: None,
    };
    let Some(token) = token else { return render(&page) };

    let t = operator.t();
    let place = Place { catalog: &catalog, providers: &providers, token: &token, url: &url };
    let asked = Asked::of(&fields, &catalog, &token);
    page.has_models = page.media || models_of(&catalog, &token).next().is_some();
    let base_url = url.base_url();
    let result = match &asked.options {
        Ok(options) => {
            let value =
                match revealed(&site, &operator, &token, options, &format!("/openclaw?{query}")).await? {
                    Ok(value) => value,
                    Err(elsewhere) => return Ok(elsewhere),
                };
            let world = place.world(&base_url, value.as_ref());
            exports::make(&site.db, &world, options, false).await?.map(|made| {
                let now = site.clock.now();
                view(&place, options, value.as_ref(), made, t, |at| Moment::new(t, at, now, &catalog.zone))
            })
        }
        Err(faults) => Err(faults.clone()),
    };
    let world = place.world(&base_url, None);
    let mut faults = match result {
        Ok(made) => {
            page.made = Some(made);
            Vec::new()
        }
        Err(faults) => faults,
    };
    // Who has ticked nothing has done nothing wrong: the page says what to do.
    faults.retain(|fault| match fault.problem {
        Problem::TooMany { models, .. } if !asked.ticks_any() => {
            page.too_many = Some(models);
            false
        }
        _ => true,
    });
    page.models = asked.models(&world, page.too_many.is_some(), t);
    page.selects = match page.too_many {
        _ if page.media => asked.media(&world, t),
        None => asked.uses(&world, t),
        // What is used for what is chosen among the models that are ticked.
        Some(_) => Vec::new(),
    };
    page.tell(&faults, t);
    let chosen = !page.provider.is_empty() || !page.variable.is_empty();
    page.more_open =
        chosen || page.errors.find("provider").is_some() || page.errors.find("variable").is_some();
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    render_with(status, &page)
}

impl OpenClawPage {
    fn provider_id(&self) -> &str {
        if self.provider.is_empty() { PROVIDER_ID } else { &self.provider }
    }

    fn variable_name(&self) -> &str {
        if self.variable.is_empty() { KEY_VARIABLE } else { &self.variable }
    }

    /// Puts each fault at its field.
    fn tell(&mut self, faults: &[OptionFault], t: Messages) {
        let mut fields: Vec<&str> = vec!["provider", "variable", "voice", "model", "alias"];
        fields.extend(self.selects.iter().map(|select| select.name));
        for fault in faults.iter().take(20) {
            if fields.contains(&fault.option.as_str()) {
                self.errors.add(fault.option.clone(), fault.text(t));
            } else {
                self.problems.push(format!("{}: {}", fault.option, fault.text(t)));
            }
        }
    }
}

/// What an export of the page is made from.
struct Place<'a> {
    catalog: &'a Catalog,
    providers: &'a Providers,
    token: &'a Token,
    url: &'a PublicUrl,
}

impl<'a> Place<'a> {
    fn world<'b>(&'b self, base_url: &'b str, value: Option<&'b Secret>) -> World<'b>
    where
        'a: 'b,
    {
        let value = value.map(Secret::expose);
        World { catalog: self.catalog, providers: self.providers, token: self.token, base_url, value }
    }
}

/// The token's value if it shall stand in the file; the way to confirm the password if that was not done.
async fn revealed(
    site: &Site,
    operator: &Operator,
    token: &Token,
    options: &ExportOptions,
    here: &str,
) -> Result<Result<Option<Secret>, Response>> {
    if options.key != Some(KeyForm::Literal) {
        return Ok(Ok(None));
    }
    if !site.admin.grants.allowed(operator.session, &reveal_purpose(token.id), site.clock.now()) {
        let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
        return Ok(Err(see_other(&format!("/tokens/{}/value?next={next}", token.id))));
    }
    Ok(Ok(Some(site.db.reveal_token(token.id).await?)))
}

fn view(
    place: &Place<'_>,
    options: &ExportOptions,
    value: Option<&Secret>,
    made: Made,
    t: Messages,
    moment: impl Fn(crate::model::time::UnixMs) -> Moment,
) -> MadeView {
    let (url, export) = (place.url, made.export);
    let variable = &options.variable;
    let paths = &export.replace_paths;
    let first = export.record.models.first().filter(|_| options.part == Part::Chat);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("token", &place.token.id.to_string()).extend_pairs(options.pairs());
    let changes = match &made.last {
        Some(last) => ChangesView::new(&last.record, &export.record, t),
        None => ChangesView::default(),
    };
    MadeView {
        file: pretty(&export.document),
        query: query.finish(),
        set_variable: match value {
            Some(value) => format!("export {variable}={}", shell_quoted(value.expose())),
            None => format!("export {variable}=sk-…"),
        },
        apply: apply_command(&url.url, options, paths, false),
        look: apply_command(&url.url, options, paths, true),
        local: local_command(&place.token.name, options),
        onboard: first.map(|model| onboard_command(&url.base_url(), options, &model.id, model.vision)),
        trap: format!("\"{}/*\": {{}}", options.provider_id),
        alias_trap: !export.record.aliases.is_empty(),
        takes_over: export.document["models"]["providers"]["openai"].is_object()
            && options.part == Part::Media,
        last: made.last.map(|last| moment(last.at)),
        changes,
    }
}

/// The command for an OpenClaw on the server's own machine, which needs neither curl nor the variable.
fn local_command(token: &str, options: &ExportOptions) -> String {
    let mut command = format!("onepool openclaw apply --token {}", shell_quoted(token));
    for (name, value) in options.pairs() {
        match name {
            "part" => command.push_str(" --media"),
            "key" | "form" | "remember" => {}
            name => command.push_str(&format!(" --{} {}", name.replace('_', "-"), shell_quoted(&value))),
        }
    }
    command
}

/// What the address of a file chooses; the options must be right, since the page has shown them before.
async fn chosen(site: &Site, query: &str) -> Result<(Arc<Catalog>, Arc<Token>, ExportOptions)> {
    let fields = Fields::parse(query.as_bytes());
    let catalog = site.catalog.load();
    let token = fields.text("token").parse().ok().and_then(|id| catalog.token(id)).cloned();
    let token = token.ok_or(Error::NotFound)?;
    let asked = Asked::of(&fields, &catalog, &token);
    Ok((catalog, token, asked.options.map_err(|faults| wrong(&faults, Messages::of(Default::default())))?))
}

fn wrong(faults: &[OptionFault], t: Messages) -> Error {
    let texts: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.option, fault.text(t))).collect();
    Error::BadRequest(texts.join(" "))
}

/// The file to save, which counts as given to OpenClaw.
async fn download(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let query = query.unwrap_or_default();
    let (catalog, token, options) = chosen(&site, &query).await?;
    let value = match revealed(&site, &operator, &token, &options, &format!("/openclaw/file?{query}")).await?
    {
        Ok(value) => value,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https);
    let (providers, base_url) = (site.catalog.providers().load(), url.base_url());
    let place = Place { catalog: &catalog, providers: &providers, token: &token, url: &url };
    let world = place.world(&base_url, value.as_ref());
    let made = exports::make(&site.db, &world, &options, true).await?;
    let made = made.map_err(|faults| wrong(&faults, operator.t()))?;
    let name = if options.part == Part::Media { "openclaw-media.json" } else { "openclaw.json" };
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok((headers, pretty(&made.export.document) + "\n").into_response())
}

/// Notes that the shown file was copied.
async fn copied(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let (catalog, token, options) = chosen(&site, &query.unwrap_or_default()).await?;
    let url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https);
    let (providers, base_url) = (site.catalog.providers().load(), url.base_url());
    let place = Place { catalog: &catalog, providers: &providers, token: &token, url: &url };
    let made = exports::make(&site.db, &place.world(&base_url, None), &options, true).await?;
    made.map_err(|faults| wrong(&faults, operator.t()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The options of the page's own file: to be copied, and remembered only once it is.
fn of_page(mut options: ExportOptions) -> ExportOptions {
    options.form = Some(Form::File);
    options.key.get_or_insert(KeyForm::Environment);
    options
}
