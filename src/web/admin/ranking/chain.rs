//! `/ranking`: a managed chain as it stands, what is left out of it and why, and what its operator wants of it.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

use super::{
    Tab, neighbours, part, rebuild_chains,
    rows::{LeftRow, ModelRow, Words, left_out, models, short},
    sources, tabs,
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{chain::folded, time::UnixMs},
    ranking::{
        chain::{Purpose, Reason},
        identity::Identity,
        score::Component,
    },
    selection::{Ranking, find_model, ranking},
    storage::ranking::{MOST_MODELS, MOST_PINS, ManagedChain},
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render_with, see_other, see_other_with},
        api::ranking::reason_name,
        form::{FieldErrors, Fields},
        format::Moment,
        ranking::{component, no_such_model, purpose as about, reason},
    },
};

/// The models of a page.
const PER_PAGE: usize = 20;
/// The offers that are left out on a page.
const LEFT_PER_PAGE: usize = 25;

#[derive(Template)]
#[template(path = "pages/ranking/chain.html")]
struct ChainPage {
    c: Chrome,
    tabs: Vec<Tab>,
    name: &'static str,
    about: &'static str,
    state_class: &'static str,
    state: &'static str,
    size: String,
    built: Option<Moment>,
    /// Where the chain is that was made by hand and has this name; empty if there is none.
    hand_made: String,
    /// Whether a channel has a model of this name.
    hidden: bool,
    form: ChainForm,
    idle: Vec<String>,
    any: bool,
    /// Whether there are more models than a page has.
    many: bool,
    legend: Vec<(&'static str, String, &'static str)>,
    all_failing: bool,
    filter: String,
    own_path: String,
    rows: Vec<ModelRow>,
    place: String,
    previous: String,
    next: String,
    left_total: usize,
    reasons: Vec<ReasonPill>,
    why: String,
    out: String,
    left: Vec<LeftRow>,
    left_place: String,
    left_previous: String,
    left_next: String,
    left_note: String,
}

/// What the forms of the page hold.
struct ChainForm {
    enabled: bool,
    free_only: bool,
    most_models: String,
    pin: String,
    errors: FieldErrors,
}

/// A reason and how many offers it leaves out.
struct ReasonPill {
    label: &'static str,
    count: usize,
    /// Where those are listed; empty if they are counted alone.
    href: String,
    current: bool,
}

/// Which part of the page is asked for.
struct View {
    purpose: Purpose,
    filter: String,
    page: usize,
    /// The name of a reason; empty for any.
    why: String,
    out: String,
    left_page: usize,
}

impl View {
    fn read(fields: &Fields) -> Self {
        let page = |name: &str| fields.text(name).parse::<usize>().unwrap_or(1).clamp(1, 100_000);
        Self {
            purpose: purpose_of(fields),
            filter: fields.text("q").to_owned(),
            page: page("page"),
            why: fields.text("why").to_owned(),
            out: fields.text("out").to_owned(),
            left_page: page("left"),
        }
    }

    /// The view with nothing searched.
    fn of(purpose: Purpose) -> Self {
        Self { purpose, filter: String::new(), page: 1, why: String::new(), out: String::new(), left_page: 1 }
    }

    /// The address of a page of the chain's models.
    fn models_page(&self, page: usize) -> String {
        self.address(page, &self.why, &self.out, self.left_page)
    }

    /// The address of a page of what is left out.
    fn left_page(&self, why: &str, out: &str, page: usize) -> String {
        format!("{}#left-out", self.address(self.page, why, out, page))
    }

    fn address(&self, page: usize, why: &str, out: &str, left_page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("chain", self.purpose.as_str());
        let (page, left_page) = (page.to_string(), left_page.to_string());
        let pairs = [
            ("q", self.filter.as_str()),
            ("page", if page == "1" { "" } else { &page }),
            ("why", why),
            ("out", out),
            ("left", if left_page == "1" { "" } else { &left_page }),
        ];
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        format!("/ranking?{}", query.finish())
    }
}

/// The chain that a form or an address names; `auto` if it names none.
fn purpose_of(fields: &Fields) -> Purpose {
    Purpose::from_name(fields.text("chain")).unwrap_or(Purpose::Auto)
}

/// Draws the page. A form that came back with messages stands in the place of what is saved.
async fn draw(site: &Site, operator: &Operator, view: &View, typed: Option<ChainForm>) -> Result<Response> {
    let t = operator.t();
    let r = t.ranking;
    let purpose = view.purpose;
    let name = purpose.as_str();
    let now = site.clock.now();
    let catalog = site.catalog.load();
    let Some(ranked) = ranking(sources(site, &catalog), purpose).await? else { return Err(Error::NotFound) };
    let wanted = &ranked.chain;
    let words = Words { t, benchmarks: &ranked.tables.benchmarks, purpose };
    let status = if typed.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let form = typed.unwrap_or_else(|| ChainForm {
        enabled: wanted.enabled,
        free_only: wanted.free_only,
        most_models: wanted.most_models.to_string(),
        pin: String::new(),
        errors: FieldErrors::default(),
    });

    let found = models(&ranked, &view.filter.to_lowercase());
    let (shown, page, pages) = part(found, view.page, PER_PAGE);
    let (previous, next) = neighbours(page, pages, |page| view.models_page(page));
    let out = view.out.to_lowercase();
    let why = ranked.left_out_counts.keys().copied().find(|why| reason_name(*why) == view.why);
    let (left, left_page, left_pages) = part(left_out(&ranked, why, &out), view.left_page, LEFT_PER_PAGE);
    let (left_previous, left_next) =
        neighbours(left_page, left_pages, |page| view.left_page(&view.why, &view.out, page));
    let of_chain = || ranked.models.iter().filter(|model| model.in_chain);
    let mut channels: Vec<_> =
        of_chain().flat_map(|model| &model.offers).map(|offer| offer.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    let minute = |at: UnixMs| at.zoned(&catalog.zone).strftime("%Y-%m-%d %H:%M").to_string();
    let hand_made = catalog.chains().find(|chain| chain.enabled && folded(&chain.name) == name);
    let (state_class, state) = if wanted.enabled { ("ok", r.chain_on()) } else { ("", r.chain_off()) };
    let page = ChainPage {
        c: operator.chrome(Section::Ranking),
        tabs: tabs(t, name),
        name,
        about: about(t, purpose),
        state_class,
        state,
        size: r.chain_models(of_chain().count(), channels.len()),
        built: wanted.built_at.map(|at| Moment::new(t, at, now, &catalog.zone)),
        hidden: catalog.offered().any(|model| model.to_lowercase() == name),
        hand_made: hand_made.map(|chain| format!("/chains/{}", chain.id)).unwrap_or_default(),
        form,
        idle: ranked.idle_pins.iter().map(ToString::to_string).collect(),
        any: !ranked.models.is_empty(),
        many: ranked.models.len() > PER_PAGE,
        legend: legend(t, &ranked),
        all_failing: ranked.all_failing,
        filter: view.filter.clone(),
        own_path: View::of(purpose).models_page(1),
        rows: shown.into_iter().filter_map(|steps| ModelRow::of(&words, steps)).collect(),
        place: t.discovery.page_of(page, pages),
        previous,
        next,
        left_total: ranked.left_out_counts.values().sum(),
        reasons: reasons(t, &ranked, view),
        why: view.why.clone(),
        out: view.out.clone(),
        left: left.into_iter().map(|one| LeftRow::of(t, one, minute)).collect(),
        left_place: t.discovery.page_of(left_page, left_pages),
        left_previous,
        left_next,
        left_note: left_note(t, &ranked),
    };
    render_with(status, &page)
}

/// Class, name with weight, and meaning of each component.
fn legend(t: Messages, ranked: &Ranking) -> Vec<(&'static str, String, &'static str)> {
    let one = |part: &Component| {
        let (name, about) = component(t, *part);
        (part.as_str(), format!("{name} × {}", ranked.weights.of(*part)), about)
    };
    Component::ALL.iter().map(one).collect()
}

fn reasons(t: Messages, ranked: &Ranking, view: &View) -> Vec<ReasonPill> {
    let listed = |why: Reason| ranked.left_out.iter().any(|one| one.reason == why);
    let any = ReasonPill {
        label: t.ranking.any_reason(),
        count: ranked.left_out_counts.values().sum(),
        href: view.left_page("", &view.out, 1),
        current: view.why.is_empty(),
    };
    let of = |(why, count): (&Reason, &usize)| ReasonPill {
        label: reason(t, *why),
        count: *count,
        href: if listed(*why) { view.left_page(reason_name(*why), &view.out, 1) } else { String::new() },
        current: view.why == reason_name(*why),
    };
    let counts = ranked.left_out_counts.iter().filter(|(_, count)| **count > 0);
    std::iter::once(any).chain(counts.map(of)).collect()
}

/// That not all that is left out is listed, in a sentence; empty if all is.
fn left_note(t: Messages, ranked: &Ranking) -> String {
    let (listed, total) = (ranked.left_out.len(), ranked.left_out_counts.values().sum());
    if listed < total { t.ranking.left_out_listed(listed, total) } else { String::new() }
}

/// `GET /ranking`.
pub(super) async fn show(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    draw(&site, &operator, &View::read(&fields), None).await
}

/// `POST /ranking/wishes`: whether the chain is managed, with free models only, and how many.
pub(super) async fn save(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let purpose = purpose_of(&fields);
    let (enabled, free_only) = (fields.checked("enabled"), fields.checked("free_only"));
    let most_models = fields.text("most_models").parse().ok().filter(|most| (1..=MOST_MODELS).contains(most));
    let Some(most_models) = most_models else {
        let mut errors = FieldErrors::default();
        errors.add("most_models", t.common.field_out_of_range(1, MOST_MODELS.into()));
        let most_models = fields.text("most_models").to_owned();
        let form = ChainForm { enabled, free_only, most_models, pin: String::new(), errors };
        return draw(&site, &operator, &View::of(purpose), Some(form)).await;
    };
    let Some(saved) = managed(&site, purpose).await? else { return Err(Error::NotFound) };
    site.db.update_managed_chain(&ManagedChain { enabled, free_only, most_models, ..saved }).await?;
    rebuild_chains(&site).await?;
    Ok(see_other_with(&View::of(purpose).models_page(1), FlashKind::Ok, t.ranking.wishes_saved()))
}

/// `POST /ranking/rebuild`.
pub(super) async fn rebuild_now(
    State(site): State<Site>,
    operator: Operator,
    fields: Fields,
) -> Result<Response> {
    rebuild_chains(&site).await?;
    let back = View::of(purpose_of(&fields)).models_page(1);
    Ok(see_other_with(&back, FlashKind::Ok, operator.t().ranking.rebuilt_all()))
}

/// A managed chain as it is set.
async fn managed(site: &Site, purpose: Purpose) -> Result<Option<ManagedChain>> {
    Ok(site.db.managed_chains().await?.into_iter().find(|chain| chain.purpose == purpose))
}

/// `GET` of an address that only takes forms, as after a login.
pub(super) async fn to_chain(_operator: Operator) -> Response {
    see_other("/ranking")
}

/// `POST /ranking/pin`: `act` is `pin` (behind the other pins), `top` or `unpin`; `model` any name that a provider has for it.
pub(super) async fn pin(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let r = t.ranking;
    let purpose = purpose_of(&fields);
    let typed = fields.text("model");
    let _changing = site.admin.changing.lock().await;
    let Some(mut saved) = managed(&site, purpose).await? else { return Err(Error::NotFound) };
    let pinned = Identity::new(typed);
    let text = if fields.text("act") == "unpin" {
        let before = saved.pins.len();
        saved.pins.retain(|pin| *pin != pinned);
        let (model, chain) = (short(typed), purpose.as_str());
        if saved.pins.len() < before {
            r.was_unpinned(&model, chain)
        } else {
            r.was_not_pinned(&model, chain)
        }
    } else {
        let found = if saved.pins.contains(&pinned) {
            Ok(pinned)
        } else {
            find_model(sources(&site, &site.catalog.load()), typed).await?
        };
        let model = match found {
            Ok(model) if saved.pins.contains(&model) || saved.pins.len() < MOST_PINS => model,
            refused => {
                let message = match refused {
                    Ok(_) => r.too_many_pins(MOST_PINS),
                    Err(_) if typed.is_empty() => t.common.field_required().to_owned(),
                    Err(near) => no_such_model(t, &short(typed), &near),
                };
                let mut errors = FieldErrors::default();
                errors.add("model", message);
                let form = ChainForm {
                    enabled: saved.enabled,
                    free_only: saved.free_only,
                    most_models: saved.most_models.to_string(),
                    pin: typed.to_owned(),
                    errors,
                };
                return draw(&site, &operator, &View::of(purpose), Some(form)).await;
            }
        };
        saved.pins.retain(|pin| *pin != model);
        if fields.text("act") == "pin" {
            saved.pins.push(model.clone());
            r.was_pinned(&short(model.as_str()), purpose.as_str())
        } else {
            saved.pins.insert(0, model.clone());
            r.was_put_first(&short(model.as_str()), purpose.as_str())
        }
    };
    site.db.update_managed_chain(&saved).await?;
    rebuild_chains(&site).await?;
    Ok(see_other_with(&View::of(purpose).models_page(1), FlashKind::Ok, text))
}
