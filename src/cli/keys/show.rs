//! `onepool keys list`.

use serde_json::Value;

use crate::{
    cli::{
        Failure,
        channels::reason,
        invocation::Invocation,
        output::{Cell, Look, Table, list as json_list, tell},
        session::on_folder,
        view,
    },
    model::{catalog::ChannelEntry, id::ChannelId, usage::OutcomeClass},
    pool::upkeep::key_rest,
};

/// `onepool keys list`.
pub fn list(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (m, book, now) = (call.m, session.rests().await?, session.now());
        let only: Option<ChannelId> = match call.text("channel") {
            Some(name) => Some(session.channel(name).await?.channel.id),
            None => None,
        };
        let catalog = session.catalog().await?;
        let meant = |entry: &&std::sync::Arc<ChannelEntry>| only.is_none_or(|id| id == entry.channel.id);
        let mut json: Vec<Value> = Vec::new();
        let c = m.channels;
        let mut table = Table::new([
            m.terminal.id(),
            m.log.channel(),
            c.label(),
            c.key(),
            c.quota_group(),
            m.common.status(),
            c.rest_reason(),
            m.terminal.until(),
            c.last_check(),
        ]);
        for entry in catalog.channels().filter(meant) {
            for row in session.db.key_rows(entry.channel.id).await? {
                let Some(key) = entry.keys.iter().find(|key| key.id == row.id) else { continue };
                json.push(view::key(entry, key, &row, &book, now));
                let rest = key_rest(entry, key, &book, now).filter(|_| key.enabled);
                let (state, look) = match rest {
                    _ if !key.enabled => (c.state_off(), Look::Dim),
                    Some(rest) if rest.class == OutcomeClass::KeyInvalid => {
                        (c.state_key_invalid(), Look::Bad)
                    }
                    Some(rest) if rest.is_pause() => (m.terminal.paused(), Look::Dim),
                    Some(_) => (m.terminal.resting(), Look::Doubtful),
                    None => (c.state_available(), Look::Good),
                };
                let checked = row.last_check.as_ref().map(|check| {
                    let outcome = if check.passed() { c.check_passed() } else { c.check_failed() };
                    format!("{outcome}, {}", session.local(check.at))
                });
                table.row([
                    Cell::number(key.id.to_string()),
                    Cell::text(&entry.channel.name),
                    Cell::text(&key.label),
                    Cell::text(format!("…{}", key.last4)),
                    Cell::text(match &key.quota_group {
                        Some(group) if row.grouped_by_provider => m.onboarding.group_told(group),
                        Some(group) => group.clone(),
                        None => String::new(),
                    }),
                    Cell::text(state).look(look),
                    Cell::text(rest.map(|rest| reason(m, rest)).unwrap_or_default()),
                    Cell::text(rest.map(|rest| session.local(rest.until)).unwrap_or_default()),
                    Cell::text(checked.as_deref().unwrap_or(c.never_checked())),
                ]);
            }
        }
        let none = json.is_empty();
        tell(call, &json_list(json), || if none { m.terminal.no_keys().to_owned() } else { table.draw() })
    })
}
