//! `onepool admin access-token`: makes, lists and revokes access tokens for the admin API.

use std::{io::Write as _, time::Duration};

use clap::Command;
use serde_json::json;

use super::{
    Failure,
    command::{folder_flags, option, switch, verb},
    invocation::Invocation,
    output, runtime,
};
use crate::{
    app::StartError,
    config::Config,
    i18n::Messages,
    model::{
        id::UserId,
        time::{Clock, UnixMs},
        user::AccessToken,
    },
    pool::rules::MAX_NAME_CHARS,
    storage::{
        Db, StorageError,
        access_tokens::{MOST_ACCESS_TOKENS, NotMade, new_access_token},
        folder::DataFolder,
        vault::Vault,
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
pub fn run(config: &Config, call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let act = if call.is_on("list") {
        Act::List
    } else if let Some(name) = call.text("revoke") {
        Act::Revoke(name.to_owned())
    } else {
        make(call.text("name"), call.text("expires-days"), m)?
    };
    let (as_json, user) = (call.is_on("json"), call.text("user"));
    runtime(m.cli)?.block_on(async {
        let folder = DataFolder::existing(&config.data_dir)?;
        let master_key = folder.master_key(config.secret_key.clone())?;
        let path = folder.database();
        let db = Db::open_existing(&path, Vault::new(&master_key), Clock::system()).await?;
        let result = perform(&db, user, act, as_json, m).await;
        db.close().await;
        result.map_err(|problem| match problem {
            Problem::Told(text) => Failure::Text(text),
            Problem::Storage(source) => StartError::Storage { path, source }.into(),
        })
    })
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

enum Problem {
    Told(String),
    Storage(StorageError),
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn perform(db: &Db, user: Option<&str>, act: Act, as_json: bool, m: Messages) -> Result<(), Problem> {
    let t = m.api;
    let account = account(db, user, m).await?;
    match act {
        Act::Make { name, days } => {
            const DAY: Duration = Duration::from_secs(24 * 3600);
            let expires_at = days.map(|days| db.now() + DAY * days);
            let value = new_access_token();
            db.create_access_token(account, &name, &value, expires_at).await.map_err(
                |error| match error {
                    NotMade::NameTaken => Problem::Told(t.cli_taken(&name)),
                    NotMade::TooMany => Problem::Told(t.cli_too_many(MOST_ACCESS_TOKENS)),
                    NotMade::Storage(error) => error.into(),
                },
            )?;
            if as_json {
                let made =
                    json!({"name": name, "value": value.expose(), "expires_at": expires_at.map(shown)});
                print(&format!("{made:#}"), m)
            } else {
                eprintln!("{}", t.cli_keep());
                print(value.expose(), m)
            }
        }
        Act::List => {
            let tokens = db.access_tokens(account).await?;
            if as_json {
                let items: Vec<_> = tokens.iter().map(as_item).collect();
                return print(&format!("{:#}", output::list(items)), m);
            }
            if tokens.is_empty() {
                eprintln!("{}", t.no_access_tokens());
                return Ok(());
            }
            let mut lines = vec![format!(
                "{}\t{}\t{}\t{}\t{}",
                m.common.name(),
                t.last_four(),
                t.created(),
                t.expires(),
                t.last_used()
            )];
            lines.extend(tokens.iter().map(|token| {
                format!(
                    "{}\top-…{}\t{}\t{}\t{}",
                    token.name,
                    token.last4,
                    shown(token.created_at),
                    token.expires_at.map_or_else(|| t.never().to_owned(), shown),
                    token.last_used_at.map_or_else(|| t.never_used().to_owned(), shown)
                )
            }));
            print(&lines.join("\n"), m)
        }
        Act::Revoke(name) => {
            let tokens = db.access_tokens(account).await?;
            let found = tokens.iter().find(|token| token.name.to_lowercase() == name.to_lowercase());
            let Some(found) = found else {
                let names: Vec<&str> = tokens.iter().map(|token| token.name.as_str()).collect();
                let names = if names.is_empty() { m.common.none().to_owned() } else { names.join(", ") };
                return Err(Problem::Told(t.cli_no_such(&name, &names)));
            };
            db.delete_access_token(account, found.id).await?;
            if as_json {
                print(&json!({"revoked": found.name}).to_string(), m)
            } else {
                print(&t.cli_revoked(&found.name), m)
            }
        }
    }
}

/// The account of a name, or the only one.
async fn account(db: &Db, user: Option<&str>, m: Messages) -> Result<UserId, Problem> {
    let names = db.account_names().await?;
    let name = match (user, &names[..]) {
        (_, []) => return Err(Problem::Told(m.cli.no_account_yet().to_owned())),
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => crate::app::FIRST_ACCOUNT,
    };
    match db.find_credentials(name).await? {
        Some((user, _)) => Ok(user.id),
        None => Err(Problem::Told(m.cli.no_such_account(name, &names.join(", ")))),
    }
}

fn as_item(token: &AccessToken) -> serde_json::Value {
    json!({
        "name": token.name,
        "last4": token.last4,
        "created_at": shown(token.created_at),
        "expires_at": token.expires_at.map(shown),
        "last_used_at": token.last_used_at.map(shown),
    })
}

fn shown(at: UnixMs) -> String {
    at.timestamp().to_string()
}

fn print(text: &str, m: Messages) -> Result<(), Problem> {
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| Problem::Told(m.cli.system_failed(&error.to_string())))
}
