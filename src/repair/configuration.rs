//! Step 3: settings, the pool file, files of providers, and OpenClaw's configuration. Faults are told, never mended: what a
//! person wrote is the person's to change.

use super::{Notes, Place, openclaw};
use crate::{
    config,
    i18n::{Lang, Messages},
    pool::{self, apply::ApplyError, load::Document},
    storage::StorageResult,
};

/// The most faults that are told of one file.
const MOST_FAULTS: usize = 10;

/// Checks all of it.
pub async fn check(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    settings(place, notes).await?;
    pool_file(place, notes).await;
    providers(place, notes);
    openclaw::config(notes).await;
    Ok(())
}

/// Settings that are saved and can't be used; those of the environment were checked at the start.
async fn settings(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let saved = place.db.settings().await?;
    let given = |name: &str| place.config.fixed(name).map(str::to_owned);
    let findings = config::survey(|_| None, given, &saved);
    let mut any = false;
    for finding in findings.iter().filter(|finding| finding.origin == config::Origin::Saved) {
        if let Some(error) = &finding.problem {
            any = true;
            let name = finding.setting.name;
            notes.needs_you(
                "setting_wrong",
                |t| t.setting_wrong(name, &error.problem.text(t.0)),
                |t| t.setting_wrong_remedy(),
            );
        }
    }
    if !any {
        notes.ok("settings_fine", |t| t.settings_fine());
    }
    Ok(())
}

/// Whether the pool file could be applied at the next start.
async fn pool_file(place: &Place, notes: &mut Notes<'_>) {
    let Some(path) = place.config.pool_file.clone() else { return };
    let shown = path.display().to_string();
    let english = pool_faults(place, &path, Lang::En).await;
    match english {
        Ok(0) => notes.ok("pool_file_applied", |t| t.pool_file_applied(&shown)),
        Ok(steps) => notes.ok("pool_file_differs", |t| t.pool_file_differs(&shown, steps)),
        Err(english) => {
            // The faults are told in the reader's language, so the file is read once for each.
            let chinese = pool_faults(place, &path, Lang::Zh).await.err().unwrap_or_default();
            for (number, text) in english.iter().enumerate().take(MOST_FAULTS) {
                notes.needs_you(
                    "pool_file_wrong",
                    |t| match t.0 {
                        Lang::En => text.clone(),
                        Lang::Zh => chinese.get(number).unwrap_or(text).clone(),
                    },
                    |t| t.pool_file_remedy(),
                );
            }
        }
    }
}

/// How many steps the pool file would take, or what is wrong with it.
async fn pool_faults(place: &Place, path: &std::path::Path, lang: Lang) -> Result<usize, Vec<String>> {
    let m = Messages::of(lang);
    let document = Document::of_path(path, m).map_err(|fault| vec![fault])?;
    let told = |faults| document.complaints(faults).iter().map(ToString::to_string).collect::<Vec<_>>();
    let source = document.source(&config::environment, m).map_err(told)?;
    let providers = place.catalog.providers().load();
    match pool::apply::plan(&place.db, &source.file, pool::apply::Options::default(), &providers, m).await {
        Ok(plan) => Ok(plan.steps.len()),
        Err(ApplyError::Faults(faults)) => Err(told(source.located(faults))),
        Err(ApplyError::Busy) => Ok(0),
        Err(ApplyError::Storage(error)) => Err(vec![error.to_string()]),
    }
}

/// Files of providers that cannot be read.
pub fn providers(place: &Place, notes: &mut Notes<'_>) {
    let faults = place.catalog.providers().faults();
    if faults.is_empty() {
        notes.ok("providers_fine", |t| t.providers_fine());
    }
    for fault in faults.iter().take(MOST_FAULTS) {
        let text = fault.to_string();
        notes.needs_you(
            "provider_file_wrong",
            |t| t.provider_file_wrong(&text),
            |t| t.provider_file_remedy(),
        );
    }
}
