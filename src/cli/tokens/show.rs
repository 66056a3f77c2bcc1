//! `onepool tokens list` and `show`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, facts, first_of, list as json_list, tell},
        session::{Session, on_folder},
        view,
    },
    i18n::Messages,
    model::{
        id::TokenId,
        time::UnixMs,
        token::{ClientProfile, Quota, QuotaUnit},
    },
    pool::rules::show_network,
    storage::{StorageError, tokens::TokenRow},
    web::format::{money, number},
};

/// How long before its end a token counts as one that ends soon.
const ENDS_SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// `onepool tokens list`.
pub fn list(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (m, now) = (call.m, session.now());
        let rows = session.db.token_rows(now, &session.config.zone).await?;
        let json: Vec<Value> = rows.iter().map(|row| view::token(row, now, &session.config.zone)).collect();
        tell(call, &json_list(json), || {
            let t = m.tokens;
            let mut table = Table::new([
                m.common.name(),
                t.value(),
                m.common.status(),
                t.scope(),
                t.quota(),
                m.token_form.expires_at(),
                t.last_used(),
            ]);
            for row in &rows {
                let token = &row.token;
                let local = |at: Option<UnixMs>| at.map(|at| session.local(at)).unwrap_or_default();
                table.row([
                    Cell::text(&token.name),
                    Cell::text(format!("sk-…{}", token.last4)),
                    state_cell(m, row, now),
                    Cell::text(first_of(&token.models, t.all_models(), m)),
                    Cell::text(
                        token.quota.map_or_else(
                            || t.unlimited().to_owned(),
                            |quota| quota_text(m, quota, row.spent),
                        ),
                    ),
                    Cell::text(local(token.expires_at)),
                    Cell::text(local(row.last_used_at)),
                ]);
            }
            if rows.is_empty() { m.terminal.no_tokens().to_owned() } else { table.draw() }
        })
    })
}

/// `onepool tokens show NAME`.
pub fn one(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let token = session.token(call.required("NAME")).await?;
        tell_token(call, session, token.id).await
    })
}

/// A token with what it has spent.
pub async fn row_of(session: &Session, id: TokenId) -> Result<TokenRow, Failure> {
    let row = session.db.find_token_row(id, session.now(), &session.config.zone).await?;
    row.ok_or(Failure::Storage(StorageError::Missing))
}

/// Shows a token.
pub async fn tell_token(call: &Invocation<'_>, session: &Session, id: TokenId) -> Result<(), Failure> {
    let (m, now) = (call.m, session.now());
    let row = row_of(session, id).await?;
    let previous = session.db.previous_values(id).await?;
    let (clients, recent) = (session.db.token_clients(id).await?, session.db.recent_models(id).await?);
    let json = json!({
        "token": view::token(&row, now, &session.config.zone),
        "previous_values": view::previous_values(&previous),
        "clients": view::token_clients(&clients),
        "recent_models": view::recent_models(&recent),
    });
    tell(call, &json, || {
        let (t, f, token) = (m.tokens, m.token_form, &row.token);
        let local = |at: Option<UnixMs>| Cell::text(at.map(|at| session.local(at)).unwrap_or_default());
        let quota = match token.quota {
            None => t.unlimited().to_owned(),
            Some(quota) => {
                let reset = match quota.reset.period_end(now, &session.config.zone) {
                    Some(end) => t.resets_at(&session.local(end)),
                    None => t.resets_never().to_owned(),
                };
                format!("{}, {reset}", quota_text(m, quota, row.spent))
            }
        };
        let rate =
            token.requests_per_minute.map_or_else(|| t.unlimited().to_owned(), |rate| rate.to_string());
        let models =
            if token.models.is_empty() { t.all_models().to_owned() } else { token.models.join(", ") };
        let old: Vec<String> = previous
            .iter()
            .map(|value| {
                format!("sk-…{}: {}", value.last4, t.previous_until(&session.local(value.valid_until)))
            })
            .collect();
        let seen: Vec<String> = clients
            .iter()
            .map(|client| {
                let version = client.version.as_deref().unwrap_or_default();
                let name = [client.kind.as_str(), version].join(" ");
                format!("{} ({})", name.trim_end(), session.local(client.last_at))
            })
            .collect();
        let asked: Vec<&str> = recent.iter().map(|recent| recent.model.as_str()).collect();
        facts(&[
            (m.common.name(), Cell::text(&token.name)),
            (t.value(), Cell::text(format!("sk-…{}", token.last4))),
            (m.common.status(), state_cell(m, &row, now)),
            (t.scope(), Cell::text(models)),
            (f.groups(), Cell::text(token.groups.join(", "))),
            (f.cidrs(), Cell::text(token.cidrs.iter().map(show_network).collect::<Vec<_>>().join(", "))),
            (f.expires_at(), local(token.expires_at)),
            (t.quota(), Cell::text(quota)),
            (f.requests_per_minute(), Cell::text(rate)),
            (f.weight(), Cell::text(token.weight.to_string())),
            (f.profile(), Cell::text(profile_name(m, token.profile))),
            (m.common.note(), Cell::text(&token.note)),
            (t.last_used(), local(row.last_used_at)),
            (t.clients(), Cell::text(seen.join(", "))),
            (t.recent_models(), Cell::text(asked.join(", "))),
            (t.previous_values(), Cell::text(old.join(", "))),
        ])
    })
}

fn profile_name(m: Messages, profile: ClientProfile) -> &'static str {
    match profile {
        ClientProfile::Generic => m.token_form.profile_generic(),
        ClientProfile::OpenClaw => m.token_form.profile_openclaw(),
    }
}

fn state_cell(m: Messages, row: &TokenRow, now: UnixMs) -> Cell {
    let (t, token) = (m.tokens, &row.token);
    let (text, look) = if !token.enabled {
        (t.state_off(), Look::Dim)
    } else if token.expires_at.is_some_and(|end| end <= now) {
        (t.state_expired(), Look::Bad)
    } else if token.quota.is_some_and(|quota| quota.stops() && row.spent >= quota.limit) {
        (t.state_used_up(), Look::Bad)
    } else if token.expires_at.is_some_and(|end| end <= now + ENDS_SOON) {
        (t.state_ends_soon(), Look::Doubtful)
    } else {
        (t.state_on(), Look::Good)
    };
    Cell::text(text).look(look)
}

fn quota_text(m: Messages, quota: Quota, spent: i64) -> String {
    let amount = |amount: i64| match quota.unit {
        QuotaUnit::Dollars => money(amount),
        QuotaUnit::Tokens | QuotaUnit::Requests => number(amount),
    };
    let unit = match quota.unit {
        QuotaUnit::Dollars => String::new(),
        QuotaUnit::Tokens => format!(" {}", m.token_form.unit_tokens()),
        QuotaUnit::Requests => format!(" {}", m.token_form.unit_requests()),
    };
    m.tokens.spent_of(&amount(spent), &format!("{}{unit}", amount(quota.limit)))
}
