//! The first steps: the account (with the code of the set-up link), then a channel, a token and the first call, each of
//! which can be skipped and taken up again at `/setup`.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};

use super::{
    Shared,
    account::check_new_password,
    channels::{PresetFacts, choices, learn, parse_models, parse_redirects, pasted_keys, preset_choices},
    confirm::LEAST_CHARACTERS,
    login::start_session,
    tokens::{Snippet, reveal_purpose, snippets},
    visit::{Chrome, FlashKind, Operator, Section, Visit, render, render_with, see_other, see_other_with},
};
use crate::{
    error::{Error, Result},
    export::openclaw::World,
    model::{
        catalog::Catalog,
        channel::{Channel, ChannelModel, EffectiveTimeouts},
        id::{ChannelId, TokenId},
        key::PastedKey,
        secret::Secret,
        time::UnixMs,
        token::Token,
    },
    pool::{
        preset::{self, Gap, Hint},
        rules,
    },
    provider::GENERIC,
    storage::{
        Db, StorageError,
        catalog::CatalogStore,
        channels::NewChannel,
        first_call::TokenCall,
        keys::KeyAdded,
        tokens::{NewToken, new_value},
    },
    upstream::{client::Clients, models::fetch_models},
    web::{
        Site,
        exports::snippet,
        form::{FieldErrors, Fields},
        public_url::PublicUrl,
    },
};

const MOST_NAME_CHARACTERS: usize = 60;
const MOST_FAILURE_CHARACTERS: usize = 300;
/// How long an operator may wait for an upstream's list.
const LONGEST_FETCH: Duration = Duration::from_secs(30);

/// `/setup` and its steps.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/setup", get(show_account).post(create_account))
        .route("/setup/channel", get(show_channel).post(create_channel))
        .route("/setup/token", get(show_token).post(create_token))
        .route("/setup/waiting", get(show_waiting))
}

/// A step on the line at the top of each page.
struct Step {
    number: usize,
    label: &'static str,
    current: bool,
    done: bool,
}

fn steps(c: &Chrome, current: usize) -> Vec<Step> {
    let t = c.t.setup;
    (1..)
        .zip([t.step_account(), t.step_channel(), t.step_token()])
        .map(|(number, label)| Step { number, label, current: number == current, done: number < current })
        .collect()
}

/// What is wrong with a name of one line.
fn check_name(errors: &mut FieldErrors, name: &str, visit: &Visit) {
    let t = visit.t;
    if name.is_empty() {
        errors.add("name", t.common.field_required());
    } else if name.chars().count() > MOST_NAME_CHARACTERS {
        errors.add("name", t.common.field_too_long(MOST_NAME_CHARACTERS));
    } else if name.chars().any(char::is_control) {
        errors.add("name", t.setup.name_unsuitable());
    }
}

// Step 1: the account.

#[derive(Template)]
#[template(path = "pages/setup_account.html")]
struct AccountPage {
    steps: Vec<Step>,
    code: String,
    name: String,
    exposed: bool,
    least: usize,
    errors: FieldErrors,
    c: Chrome,
}

impl AccountPage {
    fn new(visit: &Visit, code: &str, name: &str, errors: FieldErrors) -> Self {
        let mut c = visit.chrome(Section::None);
        // A change of language comes back to the form, code included.
        let code_in_url: String = form_urlencoded::byte_serialize(code.as_bytes()).collect();
        c.path = format!("/setup?code={code_in_url}");
        Self {
            steps: steps(&c, 1),
            code: code.to_owned(),
            name: name.to_owned(),
            exposed: visit.is_exposed(),
            least: LEAST_CHARACTERS,
            errors,
            c,
        }
    }
}

#[derive(Template)]
#[template(path = "pages/setup_link.html")]
struct LinkPage {
    c: Chrome,
}

fn wrong_link(visit: &Visit) -> Result<Response> {
    render_with(StatusCode::FORBIDDEN, &LinkPage { c: visit.chrome(Section::None) })
}

async fn show_account(
    State(shared): State<Arc<Shared>>,
    State(catalog): State<Arc<Catalog>>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let code = query.text("code");
    if shared.setup.matches(code) {
        return render(&AccountPage::new(&visit, code, "", FieldErrors::default()));
    }
    if visit.user().is_some() {
        return Ok(see_other(next_step(&catalog)));
    }
    wrong_link(&visit)
}

/// The first step that is not done yet.
fn next_step(catalog: &Catalog) -> &'static str {
    if catalog.channels().next().is_none() {
        "/setup/channel"
    } else if catalog.tokens().next().is_none() {
        "/setup/token"
    } else {
        "/setup/waiting"
    }
}

async fn create_account(
    State(db): State<Db>,
    State(shared): State<Arc<Shared>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response> {
    let code = fields.text("code");
    if !shared.setup.matches(code) {
        return wrong_link(&visit);
    }
    let (name, password) = (fields.text("name"), fields.raw("password"));
    let mut errors = FieldErrors::default();
    check_name(&mut errors, name, &visit);
    check_new_password(&mut errors, password, fields.raw("repeat"), visit.t);
    if !errors.is_empty() {
        let page = AccountPage::new(&visit, code, name, errors);
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let hash = shared.passwords.hash(password).await?;
    let user = match db.create_account(name, &hash, false).await {
        Ok(user) => user,
        Err(StorageError::Taken(_)) => {
            shared.setup.close();
            return Ok(see_other("/login"));
        }
        Err(error) => return Err(error.into()),
    };
    shared.setup.close();
    tracing::info!(account = name, address = %visit.ip, "created the first account");
    db.set_preferences(user, visit.t.lang.as_str(), visit.theme).await?;
    start_session(&db, &shared, &visit, user, "/setup/channel").await
}

// Step 2: the first channel.

#[derive(Template)]
#[template(path = "pages/setup_channel.html")]
struct ChannelPage {
    steps: Vec<Step>,
    provider: String,
    providers: Vec<(String, String)>,
    /// Providers to begin with.
    presets: Vec<(String, String)>,
    /// What is to be known of the chosen one.
    preset: Option<PresetFacts>,
    /// Whether everything but provider and keys is open.
    rest_open: bool,
    account: String,
    name: String,
    base_url: String,
    keys: String,
    models: String,
    redirects: String,
    allow_private: bool,
    errors: FieldErrors,
    c: Chrome,
}

impl ChannelPage {
    fn new(operator: &Operator, store: &CatalogStore, fields: &Fields, errors: FieldErrors) -> Self {
        let c = operator.chrome(Section::None);
        let provider = fields.text("provider").to_owned();
        let (t, known) = (operator.t(), store.providers().load());
        let folded = ["name", "base_url", "models", "redirects"];
        Self {
            steps: steps(&c, 2),
            providers: choices(t, &known, &provider),
            presets: preset_choices(t, &known),
            preset: PresetFacts::find(t, &known, &provider),
            rest_open: provider == GENERIC || folded.iter().any(|field| errors.find(field).is_some()),
            account: fields.text("account").to_owned(),
            provider,
            name: fields.text("name").to_owned(),
            base_url: fields.text("base_url").to_owned(),
            keys: fields.raw("keys").to_owned(),
            models: fields.raw("models").to_owned(),
            redirects: fields.raw("redirects").to_owned(),
            allow_private: fields.checked("allow_private"),
            errors,
            c,
        }
    }
}

/// `GET /setup/channel`; `?provider=ID` chooses a provider.
async fn show_channel(
    State(catalog): State<CatalogStore>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let chosen = form_urlencoded::Serializer::new(String::new())
        .append_pair("provider", query.text("provider"))
        .finish();
    let fields = Fields::parse(chosen.as_bytes());
    render(&ChannelPage::new(&operator, &catalog, &fields, FieldErrors::default()))
}

async fn create_channel(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let (db, catalog, clients) = (&site.db, &site.catalog, &site.clients);
    let mut errors = FieldErrors::default();
    let (keys, problem) = pasted_keys(t, fields.raw("keys"));
    let typed = preset::Fields {
        name: fields.text("name").to_owned(),
        base_url: fields.text("base_url").trim_end_matches('/').to_owned(),
        provider: fields.text("provider").to_owned(),
        allow_private: fields.checked("allow_private"),
    };
    let (known, channels) = (catalog.providers().load(), catalog.load());
    let is_taken = |name: &str| {
        channels.channels().any(|entry| entry.channel.name.to_lowercase() == name.to_lowercase())
    };
    let first_key = keys.first().map(|key| Hint { label: &key.label, key: &key.secret });
    let preset::Fields { name, base_url, provider, allow_private } =
        match preset::fill_in(typed.clone(), first_key, &known, is_taken, t) {
            Ok(filled) => filled,
            Err(Gap::Provider(message)) => {
                errors.add("provider", message);
                typed
            }
            Err(Gap::BaseUrl(message)) => {
                errors.add("base_url", message);
                typed
            }
        };
    let (name, base_url) = (name.as_str(), base_url.as_str());
    check_name(&mut errors, name, &operator.visit);
    let private = t.setup.base_url_private();
    if errors.find("base_url").is_none()
        && let Err(message) = rules::check_base_url(t, base_url, allow_private, private)
    {
        errors.add("base_url", message);
    }
    let provider = match provider.as_str() {
        "" => known.proposed(base_url).to_owned(),
        id => {
            if let Err(message) = rules::check_provider(t, &known, id) {
                errors.add("provider", message);
            }
            provider
        }
    };
    if let Some(problem) = problem {
        errors.add("keys", problem);
    }
    if keys.is_empty() {
        errors.add("keys", t.setup.keys_none());
    }
    let account = fields.text("account");
    if let Err(message) = rules::check_length(t, account, rules::MAX_NAME_CHARS) {
        errors.add("account", message);
    }
    let names = parse_models(t, fields.raw("models")).unwrap_or_else(|message| {
        errors.add("models", message);
        Vec::new()
    });
    let mut models: Vec<ChannelModel> =
        names.into_iter().map(|name| ChannelModel { name, ..ChannelModel::default() }).collect();
    let redirects = parse_redirects(t, fields.raw("redirects")).unwrap_or_else(|message| {
        errors.add("redirects", message);
        Vec::new()
    });
    if errors.is_empty() && models.is_empty() {
        match listed_models(clients, catalog, (base_url, &provider), allow_private, &keys[0], db.now()).await
        {
            Ok(listed) if listed.is_empty() => errors.add("models", t.setup.models_empty()),
            Ok(listed) => models = listed,
            Err(why) => errors.add("models", t.setup.models_not_fetched(&why)),
        }
    }
    if !errors.is_empty() {
        let page = ChannelPage::new(&operator, catalog, &fields, errors);
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let model_count = models.len();
    let new = NewChannel {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        provider,
        allow_private,
        models,
        redirects,
        ..NewChannel::default()
    };
    let channel = match db.create_channel(&new).await {
        Ok(channel) => channel,
        Err(StorageError::Taken(_)) => {
            errors.add("name", t.common.field_taken());
            let page = ChannelPage::new(&operator, catalog, &fields, errors);
            return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
        Err(error) => return Err(error.into()),
    };
    let group = Some(account.to_owned()).filter(|group| !group.is_empty());
    let keys: Vec<PastedKey> =
        keys.into_iter().map(|key| PastedKey { quota_group: group.clone(), ..key }).collect();
    let added = db.add_keys(channel, &keys).await?;
    catalog.reload().await?;
    learn(&site, channel, &added).await?;
    let key_count = added.iter().filter(|added| matches!(added, KeyAdded::Added(_))).count();
    let text = t.setup.channel_made(key_count, model_count);
    Ok(see_other_with("/setup/token", FlashKind::Ok, text))
}

/// What the upstream lists with one of the keys, before there is a channel; else the upstream's text.
async fn listed_models(
    clients: &Clients,
    catalog: &CatalogStore,
    (base_url, provider): (&str, &str),
    allow_private: bool,
    key: &PastedKey,
    now: UnixMs,
) -> Result<Vec<ChannelModel>, String> {
    let new = NewChannel::default();
    let channel = Channel {
        id: ChannelId(0),
        name: String::new(),
        base_url: base_url.to_owned(),
        protocol: new.protocol,
        provider: provider.to_owned(),
        plan: None,
        priority: new.priority,
        weight: new.weight,
        groups: new.groups,
        headers: new.headers,
        proxy: new.proxy,
        timeouts: new.timeouts,
        allow_private,
        note: new.note,
        enabled: true,
        endpoints: new.endpoints,
        models: Vec::new(),
        redirects: Vec::new(),
        limits: Vec::new(),
        shaping: Default::default(),
        budget: None,
    };
    let limits = catalog.load().timeouts(&channel);
    let timeouts = EffectiveTimeouts {
        connect: limits.connect.min(LONGEST_FETCH),
        first_byte: limits.first_byte.min(LONGEST_FETCH),
        idle: limits.idle.min(LONGEST_FETCH),
    };
    let mut models =
        fetch_models(clients, &channel, &catalog.provider_of(&channel), &key.secret, timeouts, now)
            .await
            .map_err(|failure| failure.text.chars().take(MOST_FAILURE_CHARACTERS).collect::<String>())?;
    models.truncate(rules::MAX_MODELS);
    Ok(models)
}

// Step 3: the first token.

#[derive(Template)]
#[template(path = "pages/setup_token.html")]
struct TokenPage {
    steps: Vec<Step>,
    name: String,
    has_models: bool,
    errors: FieldErrors,
    c: Chrome,
}

impl TokenPage {
    fn new(operator: &Operator, catalog: &Catalog, name: &str, errors: FieldErrors) -> Self {
        let c = operator.chrome(Section::None);
        Self {
            steps: steps(&c, 3),
            name: name.to_owned(),
            has_models: catalog.models().next().is_some(),
            errors,
            c,
        }
    }
}

async fn show_token(State(catalog): State<Arc<Catalog>>, operator: Operator) -> Result<Response> {
    let name = if catalog.tokens().next().is_none() { operator.t().setup.token_name_default() } else { "" };
    render(&TokenPage::new(&operator, &catalog, name, FieldErrors::default()))
}

async fn create_token(
    State(db): State<Db>,
    State(shared): State<Arc<Shared>>,
    State(catalog): State<CatalogStore>,
    operator: Operator,
    fields: Fields,
) -> Result<Response> {
    let mut errors = FieldErrors::default();
    let name = fields.text("name");
    check_name(&mut errors, name, &operator.visit);
    let again = |errors| {
        let page = TokenPage::new(&operator, &catalog.load(), name, errors);
        render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    if !errors.is_empty() {
        return again(errors);
    }
    let token = match db.create_token(&NewToken::unlimited(name, new_value())).await {
        Ok(token) => token,
        Err(StorageError::Taken(_)) => {
            errors.add("name", operator.t().common.field_taken());
            return again(errors);
        }
        Err(error) => return Err(error.into()),
    };
    catalog.reload().await?;
    shared.grants.allow(operator.session, &reveal_purpose(token), db.now());
    Ok(see_other(&format!("/setup/waiting?token={token}")))
}

// The first call.

/// A token's value and the examples with it.
struct Shown {
    value: Secret,
    base_url: String,
    snippets: Vec<Snippet>,
    openclaw: String,
}

#[derive(Template)]
#[template(path = "pages/setup_waiting.html")]
struct WaitingPage {
    steps: Vec<Step>,
    token: TokenId,
    /// As long as the session may see it.
    shown: Option<Shown>,
    has_models: bool,
    call: Option<TokenCall>,
    /// Whether a call has yet to be answered.
    waiting: bool,
    c: Chrome,
}

#[derive(Template)]
#[template(path = "partials/waiting.html")]
struct WaitingFragment {
    c: Chrome,
    token: TokenId,
    call: Option<TokenCall>,
}

async fn show_waiting(
    State(db): State<Db>,
    State(shared): State<Arc<Shared>>,
    State(store): State<CatalogStore>,
    operator: Operator,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let catalog = store.load();
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let token: Option<&Arc<Token>> = match query.text("token") {
        "" => catalog.tokens().max_by_key(|token| token.id),
        id => Some(id.parse().ok().and_then(|id| catalog.token(id)).ok_or(Error::NotFound)?),
    };
    let Some(token) = token else { return Ok(see_other("/setup/token")) };
    let call = db.find_token_call(token.id).await?;
    let c = operator.chrome(Section::None);
    if headers.contains_key("hx-request") {
        return render(&WaitingFragment { c, token: token.id, call });
    }
    let model = catalog.models_for(token).next().map(|model| model.name.clone());
    let has_models = model.is_some();
    let shown = if shared.grants.allowed(operator.session, &reveal_purpose(token.id), db.now()) {
        let value = db.reveal_token(token.id).await?;
        let url = PublicUrl::of(&catalog.settings, &headers, operator.visit.https);
        let (providers, base_url) = (store.providers().load(), url.base_url());
        let world = World {
            catalog: &catalog,
            providers: &providers,
            token,
            base_url: &base_url,
            value: Some(value.expose()),
        };
        Some(Shown {
            snippets: snippets(&url.base_url(), value.expose(), model.as_deref().unwrap_or("MODEL")),
            openclaw: snippet(&world, operator.t()),
            base_url: url.base_url(),
            value,
        })
    } else {
        None
    };
    let waiting = !call.as_ref().is_some_and(|call| call.answered);
    render(&WaitingPage { steps: steps(&c, 3), token: token.id, shown, has_models, call, waiting, c })
}
