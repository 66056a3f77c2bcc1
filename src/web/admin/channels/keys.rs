//! Takes pasted keys into a channel.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::{
    find_channel,
    models::ModelsForm,
    paste_problem,
    show::{PasteForm, PasteRow, page, pasted_name},
};
use crate::{
    discovery::accounts::{self, Question, Told},
    error::Result,
    i18n::Messages,
    model::{
        id::{ChannelId, KeyId},
        key::{PastedKey, parse_pasted},
    },
    pool::upkeep::patient_timeouts,
    storage::keys::KeyAdded,
    web::{
        Site,
        admin::visit::Operator,
        form::{FieldErrors, Fields},
    },
};

/// The longest quota group and label, in characters.
pub(super) const MAX_NAME_CHARS: usize = 100;

/// `POST /channels/{id}/keys`: adds what can be added and shows what became of each line.
pub(super) async fn paste(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let entry = find_channel(&site.catalog.load(), &id)?;
    let group = fields.text("group").to_owned();
    let lines = parse_pasted(fields.raw("keys"));
    let mut errors = FieldErrors::default();
    if lines.is_empty() {
        errors.add("keys", t.channels.paste_nothing());
    }
    if group.chars().count() > MAX_NAME_CHARS {
        errors.add("group", t.common.field_too_long(MAX_NAME_CHARS));
    }
    if !errors.is_empty() {
        let form = PasteForm { text: fields.raw("keys").to_owned(), group, errors, ..PasteForm::default() };
        let models = ModelsForm::of(&entry.channel);
        return page(&site, &operator, &entry, StatusCode::UNPROCESSABLE_ENTITY, form, models).await;
    }
    let quota_group = Some(group).filter(|group| !group.is_empty());
    let keys: Vec<PastedKey> = lines
        .iter()
        .filter_map(|line| {
            let secret = line.key.as_ref().ok()?.clone();
            Some(PastedKey {
                label: line.label.clone(),
                secret,
                quota_group: quota_group.clone(),
                limits: Vec::new(),
                budget: None,
            })
        })
        .collect();
    let added = site.db.add_keys(entry.channel.id, &keys).await?;
    site.catalog.reload().await?;
    let told = learn(&site, entry.channel.id, &added).await?;
    let mut added = added.into_iter();
    let results: Vec<PasteRow> = lines
        .iter()
        .map(|line| {
            let (class, result) = match &line.key {
                Err(problem) => ("bad", paste_problem(t, *problem)),
                Ok(_) => match added.next() {
                    Some(KeyAdded::Added(id)) => added_text(t, told.iter().find(|told| told.key == id)),
                    Some(KeyAdded::Duplicate) | None => ("", t.channels.paste_duplicate().to_owned()),
                },
            };
            let name = pasted_name(&line.label, line.key.as_ref().ok());
            PasteRow { line: line.line, name, class, result }
        })
        .collect();
    let count = |class| results.iter().filter(|row| row.class == class).count();
    let summary = t.channels.paste_summary(count("ok") + count("warn"), count(""), count("bad"));
    let form = PasteForm { summary, results, ..PasteForm::default() };
    let entry = find_channel(&site.catalog.load(), &id)?;
    let models = ModelsForm::of(&entry.channel);
    page(&site, &operator, &entry, StatusCode::OK, form, models).await
}

/// Asks the provider whose keys that were just added are, where asking costs nothing, and loads the catalog again if that
/// put a key into a group.
pub(in crate::web) async fn learn(site: &Site, channel: ChannelId, added: &[KeyAdded]) -> Result<Vec<Told>> {
    let of = |added: &KeyAdded| match added {
        KeyAdded::Added(id) => Some(*id),
        KeyAdded::Duplicate => None,
    };
    let keys: Vec<KeyId> = added.iter().filter_map(of).collect();
    let catalog = site.catalog.load();
    let Some(entry) = catalog.channel(channel).filter(|_| !keys.is_empty()) else { return Ok(Vec::new()) };
    let question = Question {
        entry,
        provider: &site.catalog.provider_of(&entry.channel),
        keys: &keys,
        timeouts: patient_timeouts(&catalog, &entry.channel),
        now: site.clock.now(),
    };
    let told = accounts::learn(&site.db, &site.clients, &site.dispatch, question).await?;
    if told.iter().any(|told| told.group.is_some()) {
        site.catalog.reload().await?;
    }
    Ok(told)
}

/// What became of a key that was added: how it looks, and in words.
fn added_text(t: Messages, told: Option<&Told>) -> (&'static str, String) {
    match told {
        Some(told) if told.is_refused() => ("warn", t.onboarding.added_refused().to_owned()),
        Some(Told { group: Some(group), .. }) => {
            ("ok", format!("{}{}", t.channels.paste_added(), t.onboarding.joined_account(group)))
        }
        _ => ("ok", t.channels.paste_added().to_owned()),
    }
}
