//! The settings page: what can change at run time as a form, everything else to read.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};

use super::visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with};
use crate::{
    config::{Config, Kind, Setting, TABLE},
    error::Result,
    i18n::Messages,
    storage::{Db, catalog::CatalogStore},
    web::{
        Site,
        form::{FieldErrors, Fields},
    },
};

/// The longest value of a setting, in characters.
const MOST_CHARACTERS: usize = 500;

/// `/settings`.
pub fn router() -> Router<Site> {
    Router::new().route("/settings", get(show).post(save))
}

/// A setting that can change at run time.
struct FormRow {
    name: &'static str,
    label: &'static str,
    doc: String,
    default: String,
    unit: &'static str,
    value: String,
    control: Control,
    locked: bool,
}

/// What to draw for a setting.
enum Control {
    Switch,
    Number { min: i64, max: i64 },
    Choice(&'static [&'static str]),
    Text,
}

/// A setting that holds from the start on.
struct StartRow {
    name: &'static str,
    label: &'static str,
    doc: String,
    value: String,
    given: bool,
}

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct SettingsPage {
    c: Chrome,
    errors: FieldErrors,
    rows: Vec<FormRow>,
    start_rows: Vec<StartRow>,
}

impl SettingsPage {
    /// `values` are those of the form's fields, by name; what is missing shows its default.
    fn new(
        operator: &Operator,
        config: &Config,
        values: &BTreeMap<String, String>,
        errors: FieldErrors,
    ) -> Self {
        let t = operator.t();
        let (at_run_time, at_start): (Vec<_>, Vec<_>) = TABLE.iter().partition(|setting| setting.at_run_time);
        Self {
            c: operator.chrome(Section::Settings),
            errors,
            rows: at_run_time
                .into_iter()
                .map(|setting| FormRow {
                    name: setting.name,
                    label: setting.label(t.lang),
                    doc: doc(setting, t),
                    default: shown_default(setting, t),
                    unit: unit(setting, t),
                    value: config
                        .fixed(setting.name)
                        .or(values.get(setting.name).map(String::as_str))
                        .unwrap_or(setting.default)
                        .to_owned(),
                    control: match setting.kind {
                        Kind::Switch => Control::Switch,
                        Kind::Integer { min, max } => Control::Number { min, max },
                        Kind::Choice(words) => Control::Choice(words),
                        _ => Control::Text,
                    },
                    locked: config.fixed(setting.name).is_some(),
                })
                .collect(),
            start_rows: at_start.into_iter().map(|setting| start_row(setting, config, t)).collect(),
        }
    }
}

/// What a setting does, as plain text.
fn doc(setting: &Setting, t: Messages) -> String {
    setting.doc(t.lang).replace('`', "")
}

fn unit(setting: &Setting, t: Messages) -> &'static str {
    match setting.unit {
        "d" => t.settings.unit_d(),
        "s" => t.settings.unit_s(),
        "ms" => t.settings.unit_ms(),
        other => other,
    }
}

fn shown_default(setting: &Setting, t: Messages) -> String {
    match (setting.kind, setting.default) {
        (_, "") => t.settings.default_is_none().to_owned(),
        (Kind::Switch, "true") => t.settings.default_is(t.common.enabled()),
        (Kind::Switch, _) => t.settings.default_is(t.common.disabled()),
        (_, value) if setting.unit.is_empty() => t.settings.default_is(value),
        (_, value) => t.settings.default_is(&format!("{value} {}", unit(setting, t))),
    }
}

fn start_row(setting: &'static Setting, config: &Config, t: Messages) -> StartRow {
    let given = config.fixed(setting.name);
    let value = match (setting.kind, given.unwrap_or(setting.default)) {
        (Kind::Secret, "") => t.settings.is_not_set().to_owned(),
        (Kind::Secret, _) => t.settings.is_set().to_owned(),
        (_, "") => t.common.none().to_owned(),
        (_, value) if setting.unit.is_empty() => value.to_owned(),
        (_, value) => format!("{value} {}", unit(setting, t)),
    };
    StartRow {
        name: setting.name,
        label: setting.label(t.lang),
        doc: doc(setting, t),
        value,
        given: given.is_some(),
    }
}

/// What is wrong with a value, in the operator's language.
pub(in crate::web) fn problem(kind: Kind, value: &str, t: Messages) -> Option<String> {
    if value.chars().count() > MOST_CHARACTERS {
        return Some(t.common.field_too_long(MOST_CHARACTERS));
    }
    kind.check(value).err()?;
    Some(match kind {
        Kind::Integer { min, max } => t.common.field_out_of_range(min, max),
        Kind::Switch => t.settings.bad_switch().to_owned(),
        Kind::Url => t.settings.bad_url().to_owned(),
        Kind::Address => t.settings.bad_address().to_owned(),
        Kind::Networks => t.settings.bad_networks().to_owned(),
        Kind::Zone => t.settings.bad_zone().to_owned(),
        Kind::Choice(words) => t.settings.bad_choice(&words.join(", ")),
        Kind::Text | Kind::Secret | Kind::Path => t.common.field_required().to_owned(),
    })
}

async fn show(
    State(db): State<Db>,
    State(config): State<Arc<Config>>,
    operator: Operator,
) -> Result<Response> {
    let saved = db.settings().await?;
    render(&SettingsPage::new(&operator, &config, &saved, FieldErrors::default()))
}

async fn save(
    State(db): State<Db>,
    State(config): State<Arc<Config>>,
    State(catalog): State<CatalogStore>,
    operator: Operator,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let mut errors = FieldErrors::default();
    let mut typed = BTreeMap::new();
    let mut saved = db.settings().await?;
    // What the environment decides is not in the form; its saved value waits for the day when it is decided here again.
    for setting in TABLE.iter().filter(|setting| setting.at_run_time && config.fixed(setting.name).is_none())
    {
        let value = match setting.kind {
            Kind::Switch => fields.checked(setting.name).to_string(),
            _ => fields.text(setting.name).to_owned(),
        };
        if value.is_empty() || value == setting.default {
            saved.remove(setting.name);
        } else if let Some(message) = problem(setting.kind, &value, t) {
            errors.add(setting.name, message);
        } else {
            saved.insert(setting.name.to_owned(), value.clone());
        }
        typed.insert(setting.name.to_owned(), value);
    }
    if !errors.is_empty() {
        let page = SettingsPage::new(&operator, &config, &typed, errors);
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    db.save_settings(&saved).await?;
    catalog.reload().await?;
    Ok(see_other_with("/settings", FlashKind::Ok, t.common.saved()))
}
