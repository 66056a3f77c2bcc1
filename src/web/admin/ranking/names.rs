//! `/ranking/names`: the same model under different names.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

use super::{Tab, neighbours, part, rebuild_chains, rows::short, tabs};
use crate::{
    error::Result,
    i18n::Messages,
    provider::Providers,
    ranking::identity::{Identities, Identity, OwnName, is_model_name},
    storage::{StorageError, ranking::MOST_NAMES},
    web::{
        Site,
        admin::{
            channels::provider_name,
            visit::{Chrome, FlashKind, Operator, Section, render_with, see_other, see_other_with},
        },
        form::{FieldErrors, Fields},
    },
};

/// The names of a page.
const PER_PAGE: usize = 100;

#[derive(Template)]
#[template(path = "pages/ranking/names.html")]
struct NamesPage {
    c: Chrome,
    tabs: Vec<Tab>,
    name: String,
    provider: String,
    providers: Vec<(String, String)>,
    identity: String,
    errors: FieldErrors,
    /// What is wrong with the operator's files of names and figures.
    faults: Vec<String>,
    filter: String,
    count: String,
    rows: Vec<NameRow>,
    place: String,
    previous: String,
    next: String,
}

/// A name and the model that it stands for.
struct NameRow {
    name: String,
    /// The provider's id, as the form sends it back; empty for any.
    provider: String,
    provider_name: String,
    identity: String,
    /// Whether an operator has joined it.
    own: bool,
}

/// What a form holds, and what is wrong with it.
#[derive(Default)]
struct NameForm {
    name: String,
    provider: String,
    identity: String,
    errors: FieldErrors,
}

impl NameForm {
    fn read(fields: &Fields) -> Self {
        Self {
            name: fields.text("name").to_owned(),
            provider: fields.text("provider").to_owned(),
            identity: fields.text("identity").to_owned(),
            errors: FieldErrors::default(),
        }
    }

    /// What the form describes, unless it notes what is wrong.
    fn check(&mut self, t: Messages, providers: &Providers, identities: &Identities) -> Option<OwnName> {
        for (field, text) in [("name", &self.name), ("identity", &self.identity)] {
            if !is_model_name(text) {
                self.errors.add(field, t.ranking.name_wrong());
            }
        }
        let provider = Some(self.provider.as_str()).filter(|provider| !provider.is_empty());
        if provider.is_some_and(|provider| providers.find(provider).is_none()) {
            self.errors.add("provider", t.log.unknown_choice());
        }
        let identity = Identity::new(&self.identity);
        if identities.identify(provider.unwrap_or_default(), &self.name).identity == identity {
            self.errors.add("identity", t.ranking.name_same());
        }
        self.errors.is_empty().then(|| OwnName {
            name: self.name.clone(),
            provider: provider.map(str::to_owned),
            identity,
        })
    }
}

async fn draw(site: &Site, operator: &Operator, query: &Fields, form: NameForm) -> Result<Response> {
    let t = operator.t();
    let providers = site.catalog.providers().load();
    let mut choices: Vec<(String, String)> =
        providers.all().map(|one| (one.id.clone(), provider_name(t, one).to_owned())).collect();
    choices.sort_by_key(|(_, name)| name.to_lowercase());
    let name_of = |id: &str| match id {
        "" => t.ranking.any_provider().to_owned(),
        id => {
            choices.iter().find(|(one, _)| one == id).map_or_else(|| id.to_owned(), |(_, name)| name.clone())
        }
    };
    let own = site.db.own_model_names().await?;
    let own = own.into_iter().map(|one| {
        let provider = one.provider.unwrap_or_default();
        NameRow {
            name: one.name,
            provider_name: name_of(&provider),
            provider,
            identity: one.identity.to_string(),
            own: true,
        }
    });
    let files = site.catalog.providers().ranking();
    let tables = files.load();
    let bundled = tables.identities.names().map(|(name, identity)| NameRow {
        name: name.to_owned(),
        provider: String::new(),
        provider_name: name_of(""),
        identity: identity.to_string(),
        own: false,
    });
    let filter = query.text("q").to_owned();
    let wanted = filter.to_lowercase();
    let fits = |row: &NameRow| row.name.contains(&wanted) || row.identity.contains(&wanted);
    let all: Vec<NameRow> = own.chain(bundled).filter(fits).collect();
    let count = t.ranking.name_count(all.len());
    let wanted_page = query.text("page").parse().unwrap_or(1).clamp(1, 100_000);
    let (rows, page, pages) = part(all, wanted_page, PER_PAGE);
    let (previous, next) = neighbours(page, pages, |page| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &filter).append_pair("page", &page.to_string());
        format!("/ranking/names?{}", query.finish())
    });
    let status = if form.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let any = (String::new(), t.ranking.any_provider().to_owned());
    let page = NamesPage {
        c: operator.chrome(Section::Ranking),
        tabs: tabs(t, "names"),
        name: form.name,
        provider: form.provider,
        providers: std::iter::once(any).chain(choices).collect(),
        identity: form.identity,
        errors: form.errors,
        faults: files.faults().iter().map(ToString::to_string).collect(),
        filter,
        count,
        rows,
        place: t.discovery.page_of(page, pages),
        previous,
        next,
    };
    render_with(status, &page)
}

/// `GET /ranking/names`.
pub(super) async fn show(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    draw(&site, &operator, &query, NameForm::default()).await
}

/// `POST /ranking/names`: a name stands for a model from now on.
pub(super) async fn add(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let mut form = NameForm::read(&fields);
    let own = site.db.own_model_names().await?;
    let tables = site.catalog.providers().ranking().load();
    let identities = tables.identities.clone().with_own(&own);
    let Some(joined) = form.check(t, &site.catalog.providers().load(), &identities) else {
        return draw(&site, &operator, &Fields::default(), form).await;
    };
    match site.db.join_model_name(&joined).await {
        Ok(()) => {}
        Err(StorageError::Taken(_)) => {
            form.errors.add("name", t.ranking.too_many_names(MOST_NAMES));
            return draw(&site, &operator, &Fields::default(), form).await;
        }
        Err(error) => return Err(error.into()),
    }
    rebuild_chains(&site).await?;
    let text = t.ranking.name_added(&short(&joined.name), joined.identity.as_str());
    Ok(see_other_with("/ranking/names", FlashKind::Ok, text))
}

/// `GET /ranking/names/remove`, as after a login.
pub(super) async fn to_names(_operator: Operator) -> Response {
    see_other("/ranking/names")
}

/// `POST /ranking/names/remove`: the name stands for itself again, or for what the bundled table says.
pub(super) async fn remove(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let name = fields.text("name");
    let provider = Some(fields.text("provider")).filter(|provider| !provider.is_empty());
    match site.db.part_model_name(name, provider).await {
        // Two windows may remove the same name.
        Ok(()) | Err(StorageError::Missing) => {}
        Err(error) => return Err(error.into()),
    }
    rebuild_chains(&site).await?;
    let text = operator.t().ranking.name_removed(&short(name));
    Ok(see_other_with("/ranking/names", FlashKind::Ok, text))
}
