//! The settings: all of them with their values, and changes of those that can change while the server runs.

use std::collections::BTreeMap;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{Asked, Body, Endpoint, Shown},
    refusal::Result,
};
use crate::{
    config::{Kind, Setting, TABLE, setting},
    i18n::{Lang, Messages},
    pool::{input::Faults, slip::nearest},
    web::{Site, admin::settings::problem},
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/settings", "List the settings", show)
            .about("Secrets are never shown, only whether they are set."),
        Endpoint::new(Method::PUT, "/api/settings", "Replace the settings", replace)
            .about(
                "Only those with `at_run_time` can be changed, and not those that the environment or a flag decides \
                 (`locked`). What is left out goes back to its default.",
            )
            .example(json!({"MAX_ATTEMPTS": 8, "RETENTION_DAYS": 30})),
        Endpoint::new(Method::PATCH, "/api/settings", "Change some settings", change)
            .about("What is left out stays; `null` brings back the default.")
            .example(json!({"MAX_ATTEMPTS": 8, "PUBLIC_URL": null})),
    ]
}

/// Every setting.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingList {
    /// The settings, in the order of the settings page.
    items: Vec<SettingView>,
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingView {
    /// Its name, the environment variable.
    name: &'static str,
    /// The value in force, as text; null if there is none, and of secrets always.
    value: Option<String>,
    /// Whether it has a value of its own, not only the default.
    is_set: bool,
    /// The value if nobody gives one; null if that is none.
    default: Option<&'static str>,
    /// The unit of a number; null if it has none.
    unit: Option<&'static str>,
    /// Whether it can be changed while the server runs.
    at_run_time: bool,
    /// Whether the environment or a flag decides it.
    locked: bool,
    /// What it does.
    description: &'static str,
}

/// New values by name. A number or a switch may be written as such or as text.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct SettingsInput(BTreeMap<String, SettingValue>);

/// A setting's value.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged, expecting = "Expected a text, a whole number, true or false, or null.")]
pub enum SettingValue {
    /// The default.
    Default,
    /// On or off.
    Switch(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl SettingValue {
    fn text(&self) -> String {
        match self {
            Self::Default => String::new(),
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.trim().to_owned(),
        }
    }
}

async fn list(site: &Site) -> Result<Shown<SettingList>> {
    let saved = site.db.settings().await?;
    let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let view = |setting: &'static Setting| {
        let fixed = site.config.fixed(setting.name);
        let own = fixed.or(saved.get(setting.name).filter(|_| setting.at_run_time).map(String::as_str));
        let value = own.or(some(setting.default)).filter(|_| setting.kind != Kind::Secret);
        SettingView {
            name: setting.name,
            value: value.map(str::to_owned),
            is_set: own.is_some(),
            default: some(setting.default),
            unit: some(setting.unit),
            at_run_time: setting.at_run_time,
            locked: fixed.is_some(),
            description: setting.doc(Lang::En),
        }
    };
    Ok(Shown(SettingList { items: TABLE.iter().map(view).collect() }))
}

async fn show(asked: Asked) -> Result<Shown<SettingList>> {
    list(&asked.site).await
}

async fn replace(asked: Asked<(), (), Body<SettingsInput>>) -> Result<Shown<SettingList>> {
    let site = &asked.site;
    let _changing = changing(site).await?;
    // What the environment decides keeps its saved value for the day when it is decided here again.
    let mut values = site.db.settings().await?;
    values.retain(|name, _| site.config.fixed(name).is_some());
    save(site, asked.caller.t(), &asked.body.0, values).await
}

async fn change(asked: Asked<(), (), Body<SettingsInput>>) -> Result<Shown<SettingList>> {
    let _changing = changing(&asked.site).await?;
    let values = asked.site.db.settings().await?;
    save(&asked.site, asked.caller.t(), &asked.body.0, values).await
}

async fn save(
    site: &Site,
    t: Messages,
    input: &SettingsInput,
    mut values: BTreeMap<String, String>,
) -> Result<Shown<SettingList>> {
    let mut faults = Faults::default();
    for (name, value) in &input.0 {
        let Some(setting) = setting(name) else {
            let known: Vec<&str> = TABLE.iter().map(|setting| setting.name).collect();
            faults.add(
                name,
                match nearest(name, &known) {
                    Some(near) => format!("There is no such setting. Did you mean `{near}`?"),
                    None => "There is no such setting; GET /api/settings lists them.".to_owned(),
                },
            );
            continue;
        };
        if !setting.at_run_time {
            faults.add(
                name,
                "This holds from the start on: set the environment variable or the flag, and restart.",
            );
        } else if site.config.fixed(name).is_some() {
            faults.add(name, "The environment or a flag decides this.");
        } else {
            let text = value.text();
            if text.is_empty() || text == setting.default {
                values.remove(name);
            } else if let Some(message) = problem(setting.kind, &text, t) {
                faults.add(name, message);
            } else {
                values.insert(name.clone(), text);
            }
        }
    }
    faults.or(())?;
    site.db.save_settings(&values).await?;
    site.catalog.reload().await?;
    list(site).await
}
