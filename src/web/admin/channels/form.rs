//! Adds and edits channels.

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
};

use super::{find_channel, keys::learn, paste_problem, validate::ChannelForm};
use crate::{
    discovery::{RefreshFailure, accounts::Told, refresh},
    error::Result,
    i18n::{Lang, Messages},
    model::{
        channel::Protocol,
        decimal,
        id::ChannelId,
        key::{PastedKey, parse_pasted},
    },
    pool::{
        preset::{self, Gap, Hint},
        upkeep::{patient_timeouts, sends_secrets_elsewhere},
    },
    provider::{GENERIC, Provider, Providers, Status, Text},
    storage::{StorageError, catalog::CatalogStore, keys::KeyAdded},
    web::{
        Site,
        admin::{
            budgets::BudgetFields,
            confirm::confirm_password,
            visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with},
        },
        form::{FieldErrors, Fields},
    },
};

#[derive(Template)]
#[template(path = "pages/channels/form.html")]
struct FormPage {
    c: Chrome,
    title: String,
    action: String,
    back: String,
    new: bool,
    form: ChannelForm,
    /// Whether the operator's password is asked for.
    confirm: bool,
    errors: FieldErrors,
    protocols: Vec<(&'static str, &'static str)>,
    providers: Vec<(String, String)>,
    /// Providers to begin with, on a new channel.
    presets: Vec<(String, String)>,
    /// What is to be known of the chosen one.
    preset: Option<PresetFacts>,
    plans: Vec<PlanGroup>,
    connect_hint: String,
    first_byte_hint: String,
    idle_hint: String,
}

/// What an operator should know of a provider before using it.
pub(in crate::web::admin) struct PresetFacts {
    /// Its name.
    pub name: String,
    /// Where a key is made; may be empty.
    pub keys_url: String,
    /// Where an account is opened, if that is another page; may be empty.
    pub sign_up_url: String,
    /// The terms of use; may be empty.
    pub terms_url: String,
    /// What it gives, what the terms say of several accounts and of prompts; as terms and descriptions.
    pub facts: Vec<(&'static str, String)>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// The day on which somebody last compared all this with its sources.
    pub checked: String,
}

impl PresetFacts {
    /// The facts in the language of a page.
    pub fn of(t: Messages, provider: &Provider) -> Self {
        let o = t.onboarding;
        let status = match provider.status {
            Status::Free => o.status_free(),
            Status::FreeGated => o.status_gated(),
            Status::FreeUncertain => o.status_uncertain(),
            Status::Keyless => o.status_keyless(),
            Status::CreditOnly => o.status_credit(),
            Status::Paid => o.status_paid(),
            Status::Local => o.status_local(),
            Status::Locked => o.status_locked(),
            Status::Retired => o.status_retired(),
            Status::Unknown => o.status_unknown(),
        };
        let clauses = [
            (o.accounts_term(), &provider.terms.several_accounts.text),
            (o.prompts_term(), &provider.terms.prompts.text),
        ];
        let clause = |(term, text): (&'static str, &Option<Text>)| {
            Some((term, in_language(t, text.as_ref()?).to_owned()))
        };
        let mut facts = vec![(o.status_label(), status.to_owned())];
        facts.extend(clauses.into_iter().filter_map(clause));
        let links = &provider.links;
        let keys_url = links.keys.clone().unwrap_or_default();
        let sign_up_url = links.sign_up.clone().filter(|url| *url != keys_url).unwrap_or_default();
        Self {
            name: provider_name(t, provider).to_owned(),
            keys_url,
            sign_up_url,
            terms_url: links.terms.clone().unwrap_or_default(),
            facts,
            notes: provider.notes.iter().map(|text| in_language(t, text).to_owned()).collect(),
            checked: o.as_of(&provider.checked.to_string()),
        }
    }

    /// The facts of the provider of an id; nothing for the one of which nothing is known.
    pub fn find(t: Messages, providers: &Providers, id: &str) -> Option<Self> {
        let provider = providers.find(id).filter(|provider| provider.id != GENERIC)?;
        Some(Self::of(t, provider))
    }
}

/// The providers with whom a channel can be made, by name: ids and names.
pub(in crate::web::admin) fn preset_choices(t: Messages, providers: &Providers) -> Vec<(String, String)> {
    let pair =
        |provider: &std::sync::Arc<Provider>| (provider.id.clone(), provider_name(t, provider).to_owned());
    preset::choosable(providers, t.lang).into_iter().map(pair).collect()
}

/// The plans of a provider to choose from.
struct PlanGroup {
    /// The provider's id.
    provider: String,
    /// Its name.
    name: String,
    /// Values and names.
    plans: Vec<(String, String)>,
}

impl FormPage {
    fn new(operator: &Operator, store: &CatalogStore, form: ChannelForm, errors: FieldErrors) -> Self {
        let (t, catalog) = (operator.t(), store.load());
        let known = store.providers().load();
        let (providers, plans) = (choices(t, &known, &form.provider), plan_choices(t, &known, &form.plan));
        let presets = preset_choices(t, &known);
        let preset = PresetFacts::find(t, &known, &form.provider);
        let hint = |ms: u32| t.channels.timeout_hint(&t.channels.seconds(&decimal::show(ms.into(), 3)));
        Self {
            c: operator.chrome(Section::Channels),
            title: t.channels.new_title().to_owned(),
            action: "/channels/new".into(),
            back: "/channels".into(),
            new: true,
            form,
            confirm: errors.find("password").is_some(),
            errors,
            providers,
            presets,
            preset,
            plans,
            protocols: vec![(Protocol::OpenAi.as_str(), t.channels.protocol_openai())],
            connect_hint: hint(catalog.settings.connect_timeout_ms),
            first_byte_hint: hint(catalog.settings.first_byte_timeout_ms),
            idle_hint: hint(catalog.settings.idle_timeout_ms),
        }
    }

    fn editing(mut self, t: Messages, id: ChannelId, name: &str) -> Self {
        self.title = t.channels.edit_title(name);
        self.action = format!("/channels/{id}/edit");
        self.back = format!("/channels/{id}");
        self.new = false;
        self
    }

    /// What a provider is good for; on a new channel, that it and a key are enough.
    fn provider_hint(&self) -> &'static str {
        if self.new { self.c.t.discovery.preset_hint() } else { self.c.t.channels.provider_hint() }
    }

    /// What may be left empty on a new channel.
    fn preset_hint(&self) -> &'static str {
        if self.new { self.c.t.discovery.preset_hint() } else { "" }
    }

    /// Whether everything but provider and keys should be open: on an old channel; if nothing fills it in; or because one of
    /// the fields has a message.
    fn rest_open(&self) -> bool {
        let folded = ["name", "base_url", "plan", "protocol", "models", "redirects", "allow_private", "note"];
        let wrong = folded.iter().any(|field| self.errors.find(field).is_some());
        !self.new
            || wrong
            || self.routing_open()
            || self.network_open()
            || BudgetFields::is_wrong(&self.errors)
            || self.form.provider == GENERIC
    }

    /// Whether the rarely used fields should be open, because one of them has a message.
    fn routing_open(&self) -> bool {
        ["priority", "weight", "groups", "endpoints"].iter().any(|field| self.errors.find(field).is_some())
    }

    /// The same for the network's fields.
    fn network_open(&self) -> bool {
        ["headers", "proxy", "connect_s", "first_byte_s", "idle_s"]
            .iter()
            .any(|field| self.errors.find(field).is_some())
    }

    /// The same for the fields of the budget, which are open where there is one.
    fn budget_open(&self) -> bool {
        !self.form.budget.unit.is_empty() || BudgetFields::is_wrong(&self.errors)
    }

    /// The same for the fields of requests.
    fn shaping_open(&self) -> bool {
        ["fixes", "response_cache_s"].iter().any(|field| self.errors.find(field).is_some())
    }
}

/// The providers to choose from: what the base URL tells, those of the data, and the chosen one if it is not among them
/// any more.
pub(in crate::web::admin) fn choices(
    t: Messages,
    providers: &Providers,
    chosen: &str,
) -> Vec<(String, String)> {
    let by_address = (String::new(), t.channels.provider_by_address().to_owned());
    let mut known: Vec<(String, String)> = providers
        .all()
        .map(|provider| (provider.id.clone(), provider_name(t, provider).to_owned()))
        .collect();
    // The generic one is first, since it is not one of many.
    known.sort_by_key(|(id, name)| (id != GENERIC, name.to_lowercase()));
    let gone = (!chosen.is_empty() && providers.find(chosen).is_none())
        .then(|| (chosen.to_owned(), t.channels.provider_gone(chosen)));
    [by_address].into_iter().chain(known).chain(gone).collect()
}

/// The plans of every provider that has some, and the chosen one if it is not among them any more.
fn plan_choices(t: Messages, providers: &Providers, chosen: &str) -> Vec<PlanGroup> {
    let mut groups: Vec<PlanGroup> = providers
        .all()
        .filter(|provider| !provider.plans.is_empty())
        .map(|provider| PlanGroup {
            provider: provider.id.clone(),
            name: provider_name(t, provider).to_owned(),
            plans: provider
                .plans
                .iter()
                .map(|plan| (format!("{}/{}", provider.id, plan.id), in_language(t, &plan.name).to_owned()))
                .collect(),
        })
        .collect();
    groups.sort_by_key(|group| group.name.to_lowercase());
    let known = groups.iter().flat_map(|group| &group.plans).any(|(value, _)| value == chosen);
    if let Some((provider, plan)) = chosen.split_once('/').filter(|_| !known) {
        let gone = (chosen.to_owned(), t.channels.plan_gone(plan));
        groups.push(PlanGroup { provider: provider.into(), name: provider.into(), plans: vec![gone] });
    }
    groups
}

/// A text of a provider's in the language of the page.
pub(super) fn in_language(t: Messages, text: &Text) -> &str {
    match t.lang {
        Lang::En => &text.en,
        Lang::Zh => &text.zh,
    }
}

/// A provider's name in the language of the page.
pub(in crate::web::admin) fn provider_name(t: Messages, provider: &Provider) -> &str {
    in_language(t, &provider.name)
}

/// `GET /channels/new`; `?provider=ID` fills in what that provider's data know.
pub(super) async fn show_new(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let t = operator.t();
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let mut form = ChannelForm::blank();
    if let Some(provider) = site.catalog.providers().load().find(query.text("provider")) {
        form.provider.clone_from(&provider.id);
        // What cannot be filled in is asked for.
        let _asked_for = fill_in_form(t, &site.catalog, &mut form, &[]);
    }
    render(&FormPage::new(&operator, &site.catalog, form, FieldErrors::default()))
}

/// Fills in what was left empty and the provider's data know. Without a provider, the beginning of the first key proposes
/// one: that is shown before anything is made of it.
fn fill_in_form(
    t: Messages,
    store: &CatalogStore,
    form: &mut ChannelForm,
    keys: &[PastedKey],
) -> Result<(), FieldErrors> {
    let (providers, catalog) = (store.providers().load(), store.load());
    let typed = preset::Fields {
        name: form.name.clone(),
        base_url: form.base_url.clone(),
        provider: form.provider.clone(),
        allow_private: form.allow_private,
    };
    let is_taken =
        |name: &str| catalog.channels().any(|entry| entry.channel.name.to_lowercase() == name.to_lowercase());
    let key = keys.first().map(|key| Hint { label: &key.label, key: &key.secret });
    let mut errors = FieldErrors::default();
    match preset::fill_in(typed, key, &providers, is_taken, t) {
        Ok(filled) => {
            let proposed = form.provider.is_empty() && !filled.provider.is_empty();
            form.name = filled.name;
            form.base_url = filled.base_url;
            form.provider = filled.provider;
            form.allow_private = filled.allow_private;
            if proposed {
                let name = provider_name(t, providers.of(&form.provider)).to_owned();
                errors.add("provider", t.discovery.provider_by_key(&name));
            }
        }
        Err(Gap::Provider(message)) => errors.add("provider", message),
        Err(Gap::BaseUrl(message)) => errors.add("base_url", message),
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// `POST /channels/new`.
pub(super) async fn create(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let mut form = ChannelForm::sent(&fields);
    let (keys, problem) = pasted_keys(t, &form.keys);
    if let Err(errors) = fill_in_form(t, &site.catalog, &mut form, &keys) {
        let page = FormPage::new(&operator, &site.catalog, form, errors);
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let form = form;
    let group = Some(form.account.clone()).filter(|group| !group.is_empty());
    let refuse = |errors: FieldErrors| {
        let page = FormPage::new(&operator, &site.catalog, form.clone(), errors);
        render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    let new = match (form.validate(t, &site.catalog.providers().load(), None), problem) {
        (Ok(new), None) => new,
        (result, problem) => {
            let mut errors = result.err().unwrap_or_default();
            if let Some(problem) = problem {
                errors.add("keys", problem);
            }
            return refuse(errors);
        }
    };
    let id = match site.db.create_channel(&new).await {
        Ok(id) => id,
        Err(StorageError::Taken(_)) => {
            let mut errors = FieldErrors::default();
            errors.add("name", t.common.field_taken());
            return refuse(errors);
        }
        Err(error) => return Err(error.into()),
    };
    let keys: Vec<PastedKey> =
        keys.into_iter().map(|key| PastedKey { quota_group: group.clone(), ..key }).collect();
    let added = site.db.add_keys(id, &keys).await?;
    site.catalog.reload().await?;
    let told = learn(&site, id, &added).await?;
    let mut kind = FlashKind::Ok;
    let mut texts = vec![t.channels.created(&new.name)];
    if !added.is_empty() {
        let duplicates = added.iter().filter(|added| **added == KeyAdded::Duplicate).count();
        texts.push(t.channels.paste_summary(added.len() - duplicates, duplicates, 0));
    }
    if told.iter().any(Told::is_refused) {
        kind = FlashKind::Bad;
        texts.push(t.onboarding.refused_new(told.iter().filter(|told| told.is_refused()).count()));
    }
    if form.fetch && new.models.is_empty() && !keys.is_empty() {
        match fetch_all(&site, id).await? {
            Some(count) => texts.push(t.channels.created_models(count)),
            None => {
                kind = FlashKind::Bad;
                texts.push(t.channels.created_no_models().to_owned());
            }
        }
    }
    Ok(see_other_with(&format!("/channels/{id}"), kind, texts.join(" ")))
}

/// The keys in a pasted text, and the first problem with it.
pub(in crate::web::admin) fn pasted_keys(t: Messages, text: &str) -> (Vec<PastedKey>, Option<String>) {
    let mut problem = None;
    let mut keys = Vec::new();
    for line in parse_pasted(text) {
        match line.key {
            Ok(secret) => keys.push(PastedKey {
                label: line.label,
                secret,
                quota_group: None,
                limits: Vec::new(),
                budget: None,
            }),
            Err(found) if problem.is_none() => {
                problem = Some(t.channels.paste_problem(line.line, &paste_problem(t, found)));
            }
            Err(_) => {}
        }
    }
    (keys, problem)
}

/// Takes over everything that the upstream lists; `None` if it gives no list.
async fn fetch_all(site: &Site, id: ChannelId) -> Result<Option<usize>> {
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id.to_string())?;
    let timeouts = patient_timeouts(&catalog, &entry.channel);
    let provider = site.catalog.provider_of(&entry.channel);
    let refreshed = refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await;
    let models = match refreshed {
        Ok(refreshed) => refreshed.fetched.models(),
        Err(RefreshFailure::Storage(error)) => return Err(error.into()),
        Err(RefreshFailure::Fetch(_) | RefreshFailure::NoKey) => return Ok(None),
    };
    let models = &models[..models.len().min(crate::pool::rules::MAX_MODELS)];
    site.db.set_channel_models(id, models, &entry.channel.redirects).await?;
    site.catalog.reload().await?;
    Ok(Some(models.len()))
}

/// `GET /channels/{id}/edit`.
pub(super) async fn show_edit(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let channel = &entry.channel;
    let page = FormPage::new(&operator, &site.catalog, ChannelForm::of(channel), FieldErrors::default());
    render(&page.editing(operator.t(), channel.id, &channel.name))
}

/// `POST /channels/{id}/edit`.
pub(super) async fn update(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let channel = &entry.channel;
    let form = ChannelForm::sent(&fields);
    let refuse = |errors: FieldErrors| {
        let page = FormPage::new(&operator, &site.catalog, form.clone(), errors);
        render_with(StatusCode::UNPROCESSABLE_ENTITY, &page.editing(t, channel.id, &channel.name))
    };
    let new = match form.validate(t, &site.catalog.providers().load(), Some(channel)) {
        Ok(new) => new,
        Err(errors) => return refuse(errors),
    };
    // Keys are never shown; sending them to another host would show them to whoever runs it.
    if sends_secrets_elsewhere(channel, !entry.keys.is_empty(), &new) {
        let password = fields.raw("password");
        let mut errors = FieldErrors::default();
        if password.is_empty() {
            errors.add("password", t.channels.confirm_host());
        } else if !confirm_password(&site.admin, &site.db, &operator, password).await? {
            errors.add("password", t.channels.confirm_wrong());
        }
        if !errors.is_empty() {
            return refuse(errors);
        }
    }
    match site.db.update_channel(channel.id, &new).await {
        Ok(()) => {}
        Err(StorageError::Taken(_)) => {
            let mut errors = FieldErrors::default();
            errors.add("name", t.common.field_taken());
            return refuse(errors);
        }
        Err(error) => return Err(error.into()),
    }
    site.catalog.reload().await?;
    Ok(see_other_with(&format!("/channels/{}", channel.id), FlashKind::Ok, t.common.saved()))
}
