//! `onepool admin access-token`: makes, lists and revokes access tokens for the admin API.

use std::time::Duration;

use clap::Command;
use serde_json::json;

use super::{
    Failure,
    command::{folder_flags, option, switch, verb},
    invocation::Invocation,
    output::{Cell, Table, at, clean, complain, list, tell},
    session::{Session, on_folder},
};
use crate::{
    i18n::Messages,
    model::{id::UserId, user::AccessToken},
    pool::rules::MAX_NAME_CHARS,
    storage::{
        Db,
        access_tokens::{MOST_ACCESS_TOKENS, NotMade, new_access_token},
    },
};

/// The word after `onepool admin`.
pub const NAME: &str = "access-token";
/// What an access token is called if nobody says otherwise.
const USUAL_NAME: &str = "command line";
/// The longest lifetime: ten years.
const MAX_DAYS: i64 = 3650;

/// The command's shape.
pub fn command(m: Messages) -> Command {
    let t = m.api;
    let examples = &[
        "onepool admin access-token --name deploy --expires-days 90",
        "onepool admin access-token --list",
        "onepool admin access-token --revoke deploy",
    ];
    let about_name = format!("{} {}", t.about_name(), m.cli.help_default(USUAL_NAME));
    verb(NAME, t.about(), examples, m)
        .args([
            option("name", "NAME", about_name, m),
            option("expires-days", "NUMBER", t.about_expires(), m),
            option("user", "NAME", t.about_account(), m),
            switch("list", t.about_list(), m).conflicts_with_all(["name", "expires-days", "revoke"]),
            option("revoke", "NAME", t.about_revoke(), m).conflicts_with_all(["name", "expires-days"]),
            switch("json", t.about_json(), m),
        ])
        .args(folder_flags(m))
}

/// What to do.
enum Act {
    Make { name: String, days: Option<u32> },
    List,
    Revoke(String),
}

/// Does what the flags say. A new value is printed once, alone on stdout; what else there is to say goes to stderr. A
/// running server knows a new access token, and refuses a revoked one, from then on.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let act = if call.is_on("list") {
        Act::List
    } else if let Some(name) = call.text("revoke") {
        Act::Revoke(name.to_owned())
    } else {
        make(call.text("name"), call.text("expires-days"), call.m)?
    };
    on_folder(call, async |session| perform(call, session, act).await)
}

fn make(name: Option<&str>, days: Option<&str>, m: Messages) -> Result<Act, Failure> {
    let name = name.unwrap_or(USUAL_NAME).trim().to_owned();
    if !(1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Err(Failure::Usage(m.api.cli_name_wrong(MAX_NAME_CHARS)));
    }
    let days = days
        .map(|days| {
            let days = days.parse::<i64>().ok().filter(|days| (1..=MAX_DAYS).contains(days));
            days.and_then(|days| u32::try_from(days).ok())
                .ok_or_else(|| Failure::Usage(m.api.cli_expires_wrong(MAX_DAYS)))
        })
        .transpose()?;
    Ok(Act::Make { name, days })
}

async fn perform(call: &Invocation<'_>, session: &Session, act: Act) -> Result<(), Failure> {
    let (m, t, db) = (call.m, call.m.api, &session.db);
    let account = account(db, call.text("user"), m).await?;
    match act {
        Act::Make { name, days } => {
            const DAY: Duration = Duration::from_secs(24 * 3600);
            let expires_at = days.map(|days| session.now() + DAY * days);
            let value = new_access_token();
            db.create_access_token(account, &name, &value, expires_at).await.map_err(
                |error| match error {
                    NotMade::NameTaken => Failure::Text(t.cli_taken(&clean(&name))),
                    NotMade::TooMany => Failure::Text(t.cli_too_many(MOST_ACCESS_TOKENS)),
                    NotMade::Storage(error) => error.into(),
                },
            )?;
            if !call.is_on("json") {
                complain(t.cli_keep());
            }
            let json = json!({"name": name, "value": value.expose(), "expires_at": expires_at.map(at)});
            tell(call, &json, || value.expose().to_owned())
        }
        Act::List => {
            let tokens = db.access_tokens(account).await?;
            tell(call, &list(tokens.iter().map(as_item).collect()), || {
                let mut table =
                    Table::new([m.common.name(), t.last_four(), t.created(), t.expires(), t.last_used()]);
                for token in &tokens {
                    table.row([
                        Cell::text(&token.name),
                        Cell::text(format!("op-…{}", token.last4)),
                        Cell::text(session.local(token.created_at)),
                        Cell::text(
                            token.expires_at.map_or_else(|| t.never().to_owned(), |end| session.local(end)),
                        ),
                        Cell::text(
                            token
                                .last_used_at
                                .map_or_else(|| t.never_used().to_owned(), |used| session.local(used)),
                        ),
                    ]);
                }
                if tokens.is_empty() { t.no_access_tokens().to_owned() } else { table.draw() }
            })
        }
        Act::Revoke(name) => {
            let tokens = db.access_tokens(account).await?;
            let found = tokens.iter().find(|token| token.name.to_lowercase() == name.to_lowercase());
            let Some(found) = found else {
                let names: Vec<&str> = tokens.iter().map(|token| token.name.as_str()).collect();
                let names = if names.is_empty() { m.common.none().to_owned() } else { names.join(", ") };
                return Err(Failure::Text(t.cli_no_such(&clean(&name), &clean(&names))));
            };
            db.delete_access_token(account, found.id).await?;
            tell(call, &json!({"revoked": found.name}), || t.cli_revoked(&clean(&found.name)))
        }
    }
}

/// The account of a name, or the only one.
async fn account(db: &Db, user: Option<&str>, m: Messages) -> Result<UserId, Failure> {
    let names = db.account_names().await?;
    let name = match (user, &names[..]) {
        (_, []) => return Err(Failure::Text(m.cli.no_account_yet().to_owned())),
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => crate::app::FIRST_ACCOUNT,
    };
    match db.find_credentials(name).await? {
        Some((user, _)) => Ok(user.id),
        None => Err(Failure::Text(m.cli.no_such_account(&clean(name), &clean(&names.join(", "))))),
    }
}

fn as_item(token: &AccessToken) -> serde_json::Value {
    json!({
        "name": token.name,
        "last4": token.last4,
        "created_at": at(token.created_at),
        "expires_at": token.expires_at.map(at),
        "last_used_at": token.last_used_at.map(at),
    })
}
