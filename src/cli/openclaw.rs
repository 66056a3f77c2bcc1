//! `onepool openclaw export`: the part of openclaw.json that makes OpenClaw use this server.

use clap::Command;

use super::{
    Failure,
    command::{Entry, folder_flags, noun, option, repeated, switch, verb},
    invocation::Invocation,
    output::{clean, complain, print},
    session::{Session, on_folder},
};
use crate::{
    export::openclaw::{ApiKey, KEY_VARIABLE, for_token},
    i18n::Messages,
    model::{
        catalog::Catalog,
        token::{ClientProfile, Token},
    },
    storage::folder::{Claim, DataFolder},
};

/// `onepool openclaw`.
pub const ENTRY: Entry = Entry { name: "openclaw", command, run };

fn command(m: Messages) -> Command {
    let h = m.help;
    let examples = &[
        "onepool openclaw export --token laptop > openclaw.json",
        "onepool openclaw export --url https://pool.example.com --model gpt-4o --model llama-3.3-70b-versatile",
    ];
    let export = verb("export", h.openclaw_export(), examples, m)
        .arg(option("token", "NAME", h.openclaw_token(), m))
        .arg(option("url", "URL", h.openclaw_url(), m))
        .arg(repeated("model", "NAME", h.openclaw_model(), m))
        .arg(switch("with-token", h.with_token(), m))
        .args(folder_flags(m));
    noun(ENTRY.name, h.openclaw(), m)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(export)
}

/// Prints the configuration; what else is to know goes to stderr.
fn run(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let m = call.m;
        let token = chosen_token(call, session).await?;
        let catalog = session.catalog().await?;
        let models = chosen_models(call, &catalog, &token)?;
        let url = base_url(call, session, &catalog)?;
        let value = match call.is_on("with-token") {
            true => Some(session.db.reveal_token(token.id).await?),
            false => None,
        };
        let key = match &value {
            Some(value) => ApiKey::Literal(value.expose()),
            None => ApiKey::Environment(KEY_VARIABLE),
        };
        if catalog.models_for(&token).next().is_none() {
            complain(m.openclaw.no_models());
        }
        if token.profile == ClientProfile::Generic {
            complain(m.openclaw.profile_hint());
        }
        if value.is_none() {
            complain(m.openclaw.needs_variable());
        }
        print(&format!("{:#}", for_token(&catalog, &token, &url, key, &models)))
    })
}

/// The token that `--token` names, else the first one for OpenClaw, else the first one.
async fn chosen_token(call: &Invocation<'_>, session: &Session) -> Result<Token, Failure> {
    if let Some(name) = call.text("token") {
        return session.token(name).await;
    }
    let token = usual_token(session).await?;
    token.ok_or_else(|| Failure::Text(call.m.openclaw.no_tokens().to_owned()))
}

/// The first token for OpenClaw, else the first one.
pub async fn usual_token(session: &Session) -> Result<Option<Token>, Failure> {
    let tokens = session.db.tokens().await?;
    let openclaw = tokens.iter().find(|token| token.profile == ClientProfile::OpenClaw);
    Ok(openclaw.or(tokens.first()).cloned())
}

/// The models that are named. One that the token may not use is a fault: left out in silence, it would be missed later.
fn chosen_models(call: &Invocation, catalog: &Catalog, token: &Token) -> Result<Vec<String>, Failure> {
    let mut models = Vec::new();
    for name in call.all("model").unwrap_or_default() {
        let wanted = name.to_lowercase();
        if !catalog.models_for(token).any(|model| model.name.to_lowercase() == wanted) {
            let message = call.m.terminal.model_not_for_token(&clean(name), &clean(&token.name));
            return Err(Failure::option("--model", message));
        }
        models.push(name.to_owned());
    }
    Ok(models)
}

/// `--url`, else `PUBLIC_URL`, else where the running server listens, else where the settings say; with `/v1`.
pub fn base_url(call: &Invocation, session: &Session, catalog: &Catalog) -> Result<String, Failure> {
    if let Some(url) = call.text("url") {
        crate::config::Kind::Url.check(url).map_err(|_| Failure::option("--url", call.m.cli.give_url()))?;
        let url = url.trim_end_matches('/');
        return Ok(if url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") });
    }
    if let Some(url) = &catalog.settings.public_url {
        return Ok(format!("{url}/v1"));
    }
    let mut address = session.config.listen;
    if let Ok(folder) = DataFolder::existing(&session.config.data_dir)
        && let Claim::Server(Some(noted)) = folder.claim()
    {
        address = noted;
    }
    if address.ip().is_unspecified() {
        address.set_ip(crate::app::loopback_of(address));
    }
    complain(&call.m.terminal.url_guessed(&format!("http://{address}")));
    Ok(format!("http://{address}/v1"))
}
