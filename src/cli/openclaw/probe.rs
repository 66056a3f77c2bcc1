//! `onepool openclaw probe`: asks every model as OpenClaw's own probe would, through the running server.

use std::time::Duration;

use clap::Command;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::export::{base_url, chosen_token};
use crate::{
    cli::{
        Failure,
        command::{folder_flags, json_switch, option, repeated, verb},
        invocation::Invocation,
        output::{Cell, Look, Table, clean, complain, print},
        progress::Progress,
        session::on_folder,
    },
    export::openclaw::{PROVIDER_ID, models_of},
    i18n::Messages,
    model::{catalog::Catalog, token::Token},
    openclaw::{ProbeBucket, Probed, Target, ask_for_models},
};

const USUAL_TIMEOUT_MS: u32 = 8000;
const MOST_TIMEOUT_MS: u32 = 600_000;
const USUAL_CONCURRENCY: u32 = 4;
const MOST_CONCURRENCY: u32 = 16;
/// How long a server may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Its shape.
pub fn command(m: Messages) -> Command {
    let (h, t) = (m.help, m.openclaw_here);
    let examples = &["onepool openclaw probe", "onepool openclaw probe --token laptop --model gpt-4o --json"];
    verb("probe", t.about_probe(), examples, m)
        .arg(option("token", "NAME", h.openclaw_token(), m))
        .arg(option("url", "URL", h.openclaw_url(), m))
        .arg(repeated("model", "NAME", t.about_probe_model(), m))
        .arg(option("timeout", "MS", t.about_probe_timeout(), m))
        .arg(option("concurrency", "NUMBER", t.about_probe_concurrency(), m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn number(call: &Invocation, name: &str, usual: u32, most: u32) -> Result<u32, Failure> {
    match call.text(name).map(str::parse::<u32>) {
        None => Ok(usual),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(Failure::option(&format!("--{name}"), call.m.probes.count_wrong(1, most))),
    }
}

/// Asks, and tells what came; a model that does not answer well makes it fail.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let limit = Duration::from_millis(u64::from(number(call, "timeout", USUAL_TIMEOUT_MS, MOST_TIMEOUT_MS)?));
    let at_a_time = number(call, "concurrency", USUAL_CONCURRENCY, MOST_CONCURRENCY)? as usize;
    on_folder(call, async |session| {
        let t = call.m.openclaw_here;
        let token = chosen_token(call, session).await?;
        let catalog = session.catalog().await?;
        let models = wanted(call, &catalog, &token)?;
        let url = base_url(call, session, &catalog)?;
        let value = session.db.reveal_token(token.id).await?;
        let clients = session.clients();
        // One question whether anybody is there, so that not every model is asked in vain.
        let is_json = call.is_on("json");
        if let Err(reason) = ask_for_models(&clients, &url, None, PATIENCE).await {
            let text = t.nobody_answers(&clean(&url), &clean(&reason));
            if !is_json {
                return Err(Failure::Text(text));
            }
            let json =
                json!({ "ok": false, "code": "nobody_answers", "message": text, "items": [], "next": null });
            print(&format!("{json:#}"))?;
            return Err(Failure::Told);
        }
        let progress = Progress::begin(&t.probing(models.len(), &clean(&token.name)), models.len(), is_json);
        let target = Target { base_url: &url, provider: PROVIDER_ID, token: &value, limit };
        let calls = models.iter().enumerate().map(|(place, model)| {
            let (target, clients, progress) = (&target, &clients, &progress);
            async move {
                let probed = target.probe(clients, model, rand::random()).await;
                progress.step(model);
                (place, probed)
            }
        });
        let mut probed: Vec<(usize, Probed)> =
            stream::iter(calls).buffer_unordered(at_a_time).collect().await;
        drop(progress);
        probed.sort_unstable_by_key(|(place, _)| *place);
        let probed: Vec<(&str, Probed)> =
            probed.into_iter().map(|(place, probed)| (models[place].as_str(), probed)).collect();
        let bad = probed.iter().filter(|(_, probed)| probed.bucket != ProbeBucket::Ok).count();
        if is_json {
            let item = |(model, probed): &(&str, Probed)| {
                json!({
                    "model": model,
                    "result": probed.bucket,
                    "latency_ms": probed.latency_ms,
                    "status": probed.status,
                    "detail": probed.detail,
                })
            };
            let items = probed.iter().map(item).collect::<Vec<_>>();
            let json =
                json!({ "ok": bad == 0, "token": token.name, "url": url, "items": items, "next": null });
            print(&format!("{json:#}"))?;
        } else if probed.is_empty() {
            complain(call.m.openclaw.no_models());
        } else {
            print(&table(&probed, call.m))?;
            let all = probed.len();
            print(&format!("\n{}", if bad == 0 { t.probed_well(all) } else { t.probed_badly(bad, all) }))?;
        }
        if bad == 0 { Ok(()) } else { Err(Failure::Told) }
    })
}

/// The models that are named, else all that chat and that the token may use.
fn wanted(call: &Invocation, catalog: &Catalog, token: &Token) -> Result<Vec<String>, Failure> {
    let Some(names) = call.all("model") else {
        return Ok(models_of(catalog, token).map(|model| model.name.clone()).collect());
    };
    let mut models: Vec<String> = Vec::new();
    for name in names {
        let wanted = name.to_lowercase();
        let found = catalog.models_for(token).find(|model| model.name.to_lowercase() == wanted);
        let Some(model) = found else {
            let message = call.m.terminal.model_not_for_token(&clean(name), &clean(&token.name));
            return Err(Failure::option("--model", message));
        };
        if !models.contains(&model.name) {
            models.push(model.name.clone());
        }
    }
    Ok(models)
}

fn table(probed: &[(&str, Probed)], m: Messages) -> String {
    let t = m.openclaw_here;
    let mut table = Table::new([t.col_model(), t.col_result(), t.col_latency(), t.col_detail()]);
    for (model, probed) in probed {
        let look = match probed.bucket {
            ProbeBucket::Ok => Look::Good,
            ProbeBucket::RateLimit | ProbeBucket::Timeout => Look::Doubtful,
            _ => Look::Bad,
        };
        table.row([
            Cell::text(model),
            Cell::text(probed.bucket.as_str()).look(look),
            Cell::number(format!("{} ms", probed.latency_ms)),
            Cell::text(probed.detail.as_deref().unwrap_or_default()),
        ]);
    }
    table.draw()
}
