//! `/capacity`: how many calls the pool can serve, in theory and now, for each model.

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};

use crate::{
    error::Result,
    i18n::Messages,
    inspect::{Size, of_model, of_pool},
    pool::account::shared_in_pool,
    scheduler::pool::Outlook,
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render_with},
        form::{FieldErrors, Fields},
        limits,
    },
};

/// The most models of a page.
const MOST: usize = 100;

/// `GET /capacity`.
pub fn router() -> Router<Site> {
    Router::new().route("/capacity", get(show))
}

/// The size of a call as a form asks for it.
pub(super) struct SizeForm {
    /// The size; the usual one where a field is wrong.
    pub size: Size,
    /// The text of the field for the prompt.
    pub prompt: String,
    /// The text of the field for the answer.
    pub completion: String,
}

impl SizeForm {
    /// Reads `prompt` and `completion`; what is left out is usual.
    pub fn read(t: Messages, fields: &Fields, errors: &mut FieldErrors) -> Self {
        let mut number = |name: &str, usual: u32| match fields.text(name) {
            "" => usual,
            text => match text.parse() {
                Ok(number) if number <= Size::MAX => number,
                _ => {
                    errors.add(name, t.inspect.size_wrong());
                    usual
                }
            },
        };
        let size = Size {
            prompt: number("prompt", Size::USUAL.prompt),
            completion: number("completion", Size::USUAL.completion),
        };
        let shown = |name: &str, number: u32| match fields.text(name) {
            "" => number.to_string(),
            text => text.to_owned(),
        };
        let (prompt, completion) = (shown("prompt", size.prompt), shown("completion", size.completion));
        Self { size, prompt, completion }
    }
}

#[derive(Template)]
#[template(path = "pages/capacity.html")]
struct CapacityPage {
    c: Chrome,
    form: SizeForm,
    filter: String,
    errors: FieldErrors,
    pool: Row,
    /// Of each channel whose keys share accounts, its name and what is to be known.
    accounts: Vec<(String, Vec<String>)>,
    rows: Vec<Row>,
    any: bool,
    /// Where the next models are; empty at the end.
    next: String,
}

/// What a model, or all of them, can do.
struct Row {
    name: String,
    routes: String,
    keys: String,
    no_keys: bool,
    resting: String,
    unknown: String,
    shared: String,
    minute_now: String,
    minute: String,
    day_now: String,
    day: String,
    binding: Vec<String>,
}

impl Row {
    fn of(t: Messages, name: &str, size: &SizeForm, outlook: &Outlook) -> Self {
        let i = t.inspect;
        let calls = |number| limits::calls(t, outlook, number);
        let some = |number: usize, text: fn(crate::i18n::inspect::Inspect, usize) -> String| {
            if number > 0 { text(i, number) } else { String::new() }
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("model", name), ("prompt", &size.prompt), ("completion", &size.completion)])
            .finish();
        Self {
            name: name.to_owned(),
            routes: format!("/routes?{query}"),
            keys: limits::keys(t, outlook),
            no_keys: outlook.keys == 0,
            resting: some(outlook.resting, |i, count| i.resting_keys(count)),
            unknown: some(outlook.unknown, |i, count| i.unknown_keys(count)),
            shared: some(outlook.keys - outlook.owners, |i, count| i.shared_hint(count)),
            minute_now: calls(outlook.calls.next_minute),
            minute: calls(outlook.calls.per_minute),
            day_now: calls(outlook.calls.next_day),
            day: calls(outlook.calls.per_day),
            binding: outlook.binding.iter().map(|binding| limits::binding(t, binding)).collect(),
        }
    }
}

/// `GET /capacity`; `q` is a part of a model's name, `after` the name that the page before ended with.
async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let t = operator.t();
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let mut errors = FieldErrors::default();
    let form = SizeForm::read(t, &fields, &mut errors);
    let (filter, after) = (fields.text("q").to_owned(), fields.text("after").to_lowercase());
    let (catalog, cost) = (site.catalog.load(), form.size.cost());
    let wanted = filter.to_lowercase();
    let mut models: Vec<_> = catalog
        .models()
        .filter(|model| {
            let name = model.name.to_lowercase();
            name.contains(&wanted) && name > after
        })
        .take(MOST + 1)
        .collect();
    let more = models.len() > MOST;
    models.truncate(MOST);
    let last = models.last().filter(|_| more).map(|model| model.name.clone());
    let next = last.map(|last| {
        form_urlencoded::Serializer::new("/capacity?".to_owned())
            .extend_pairs([("q", &filter), ("prompt", &form.prompt), ("completion", &form.completion)])
            .append_pair("after", &last)
            .finish()
    });
    let rows = models
        .into_iter()
        .map(|model| Row::of(t, &model.name, &form, &of_model(&site.dispatch, model, cost)))
        .collect();
    let pool = Row::of(t, t.inspect.whole_pool(), &form, &of_pool(&catalog, &site.dispatch, cost));
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = CapacityPage {
        c: operator.chrome(Section::Capacity),
        form,
        filter,
        errors,
        pool,
        accounts: shared_in_pool(&catalog, &site.catalog.providers().load(), t),
        rows,
        any: catalog.models().next().is_some(),
        next: next.unwrap_or_default(),
    };
    render_with(status, &page)
}
