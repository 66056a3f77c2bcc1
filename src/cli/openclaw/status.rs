//! `onepool openclaw status`: is the configuration of OpenClaw on this machine in step with the pool? Reads only.

use std::{collections::BTreeSet, time::Duration};

use clap::Command;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::{
    export::{base_url, make, option_flags, options, usual_token},
    local::{Stop, program, program_flag},
};
use crate::{
    cli::{
        Failure,
        command::{folder_flags, json_switch, verb},
        invocation::Invocation,
        output::{Look, clean, print},
        session::{Session, on_folder},
    },
    export::openclaw::{ExportOptions, Form, KeyForm, Part},
    i18n::{Messages, openclaw_here::OpenClawHere},
    model::{
        catalog::{Catalog, TokenMatch},
        secret::{Secret, SecretHash},
        token::{ClientProfile, Token},
    },
    openclaw::{Action, Change, Present, PresentKey, ask_for_models, changes},
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many names of a list are told.
const MOST_NAMES: usize = 8;
/// What OpenClaw uses models for: the setting below `agents.defaults`.
const USES: &[&str] = &["model", "imageModel", "pdfModel", "utilityModel", "voiceModel"];

/// Its shape.
pub fn command(m: Messages) -> Command {
    let examples = &["onepool openclaw status", "onepool openclaw status --json"];
    verb("status", m.openclaw_here.about_status(), examples, m)
        .arg(program_flag(m))
        .args(option_flags(m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Differs,
    /// Worth knowing; nothing is wrong with it for sure.
    Note,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Differs => "differs",
            Self::Note => "note",
        }
    }

    fn word(self, t: OpenClawHere) -> &'static str {
        match self {
            Self::Ok => t.state_ok(),
            Self::Differs => t.state_differs(),
            Self::Note => t.state_note(),
        }
    }
}

struct Finding {
    code: &'static str,
    state: State,
    message: String,
    remedy: Option<String>,
}

/// What was found so far.
struct Findings {
    t: OpenClawHere,
    list: Vec<Finding>,
    changes: Vec<Change>,
}

impl Findings {
    fn add(&mut self, code: &'static str, state: State, message: impl Into<String>, remedy: Option<String>) {
        self.list.push(Finding { code, state, message: message.into(), remedy });
    }

    fn ok(&mut self, code: &'static str, message: impl Into<String>) {
        self.add(code, State::Ok, message, None);
    }

    fn note(&mut self, code: &'static str, message: impl Into<String>) {
        self.add(code, State::Note, message, None);
    }

    fn differs(&mut self, code: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(code, State::Differs, message, Some(remedy.into()));
    }

    /// Something that an apply mends.
    fn apply(&mut self, code: &'static str, message: impl Into<String>) {
        self.differs(code, message, self.t.run_apply());
    }
}

/// Looks at everything and tells it.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let mut options = options(call)?;
    options.form = Some(Form::Patch);
    let program = program(call)?;
    on_folder(call, async |session| {
        let mut found = Findings { t: call.m.openclaw_here, list: Vec::new(), changes: Vec::new() };
        match &program {
            None => found.add("openclaw_absent", State::Differs, call.m.openclaw_here.absent(), None),
            Some(program) => {
                let path = program.path().display().to_string();
                found.ok("openclaw_found", found.t.found_program(&clean(&path)));
                let roots = ["models", "agents", "meta", "memory", "tts", "tools"];
                let roots = if options.part == Part::Media { &roots[..] } else { &roots[..3] };
                match Present::read(program, roots).await {
                    Ok(present) => look(call, session, &options, &present, &mut found).await?,
                    Err(unread) => {
                        let Stop { code, text } = Stop::unread(&unread, call.m);
                        found.add(code, State::Differs, text, None);
                    }
                }
            }
        }
        tell(call, &options, &found)
    })
}

async fn look(
    call: &Invocation<'_>,
    session: &Session,
    options: &ExportOptions,
    present: &Present,
    found: &mut Findings,
) -> Result<(), Failure> {
    let t = found.t;
    let path = present.path.display().to_string();
    let path = clean(&path);
    if !present.exists {
        found.apply("config_absent", t.config_absent(&path));
        return Ok(());
    }
    found.ok("config_valid", t.config_valid(&path));
    let id = options.provider_id.as_str();
    let provider = present.at(&["models", "providers", id]);
    if !provider.is_object() {
        found.apply("provider_missing", t.provider_missing(id));
        return Ok(());
    }
    found.ok("provider_there", t.provider_there(id));
    let catalog = session.catalog().await?;
    let (token, value) = look_at_key(session, &catalog, present, id, found);
    look_at_address(session, provider, value.as_ref(), token.is_some(), found).await;
    let token = match (call.text("token"), token) {
        (Some(name), _) => Some(session.token(name).await?),
        (None, Some(token)) => Some(token),
        (None, None) => usual_token(session).await?,
    };
    let Some(token) = token else { return Ok(()) };

    // The address that OpenClaw has was looked at above; here only what it is told of models counts.
    let url = match provider["baseUrl"].as_str() {
        Some(url) => url.to_owned(),
        None => base_url(call, session, &catalog)?,
    };
    let options = ExportOptions { key: Some(KeyForm::Environment), ..options.clone() };
    let export = make(session, &catalog, &token, &url, None, &options).await?;
    let all = changes(present, &export.document, id, &[]);
    if options.part == Part::Media {
        look_at_media(all, found);
        return Ok(());
    }
    look_at_models(all, export.record.models.len(), found);
    look_at_uses(&catalog, &token, present, id, found);
    look_at_allowlist(present, id, found);
    Ok(())
}

/// Which token it presents, and its value if that can be read.
fn look_at_key(
    session: &Session,
    catalog: &Catalog,
    present: &Present,
    provider: &str,
    found: &mut Findings,
) -> (Option<Token>, Option<Secret>) {
    let t = found.t;
    let find = |hash: SecretHash| catalog.find_credential(&hash).cloned();
    let (known, value) = match present.key_of(provider) {
        PresentKey::None => {
            found.apply("token_missing", t.token_missing());
            return (None, None);
        }
        PresentKey::Literal(value) | PresentKey::Variable(_, Some(value)) => {
            (find(SecretHash::of(value.expose())), Some(value))
        }
        PresentKey::Variable(name, None) => {
            found.note("token_variable", t.token_variable(&clean(&name)));
            return (None, None);
        }
        PresentKey::Hidden => match present.find_text(find) {
            Some(known) => (Some(known), None),
            None => {
                found.note("token_hidden", t.token_hidden());
                return (None, None);
            }
        },
    };
    let Some(TokenMatch { token, valid_until }) = known else {
        found.apply("token_unknown", t.token_unknown());
        return (None, value);
    };
    let (token, now) = ((*token).clone(), session.now());
    let name = clean(&token.name);
    if !token.enabled {
        found.differs("token_off", t.token_off(&name), t.token_off_remedy());
    } else if token.expires_at.is_some_and(|end| now >= end) {
        found.differs("token_ended", t.token_ended(&name), t.token_ended_remedy());
    } else if valid_until.is_some() {
        found.apply("token_replaced", t.token_replaced(&name));
    } else {
        found.ok("token_known", t.token_known(&name));
    }
    if token.profile == ClientProfile::Generic {
        let remedy = Some(t.token_generic_remedy(&name));
        found.add("token_generic", State::Note, t.token_generic(&name), remedy);
    }
    (Some(token), value)
}

async fn look_at_address(
    session: &Session,
    provider: &Value,
    value: Option<&Secret>,
    is_ours: bool,
    found: &mut Findings,
) {
    let t = found.t;
    let Some(url) = provider["baseUrl"].as_str() else {
        found.apply("url_missing", t.no_base_url());
        return;
    };
    let shown = clean(url);
    // A key that is not of this pool is nobody's business at that address.
    let value = value.filter(|_| is_ours);
    match ask_for_models(&session.clients(), url, value, PATIENCE).await {
        Ok(200) if value.is_some() => found.ok("url_answers", t.url_answers(&shown)),
        Ok(status) if value.is_some() => {
            found.differs("url_refuses", t.url_refuses(&shown, status), t.url_refuses_remedy());
        }
        Ok(_) => found.ok("url_answers", t.url_alive(&shown)),
        Err(reason) => {
            found.differs("url_silent", t.url_silent(&shown, &clean(&reason)), t.url_silent_remedy());
        }
    }
}

fn look_at_models(all: Vec<Change>, count: usize, found: &mut Findings) {
    let t = found.t;
    let changes: Vec<Change> = all.into_iter().filter(|change| change.model.is_some()).collect();
    let is_whole = |change: &Change| change.from.get("id").or(change.to.get("id")).is_some();
    let names = |wanted: fn(&Change, bool) -> bool| {
        let fitting = changes.iter().filter(|change| wanted(change, is_whole(change)));
        fitting.filter_map(|change| change.model.clone()).collect::<BTreeSet<_>>()
    };
    let missing = names(|change, whole| whole && change.action == Action::Add);
    let extra = names(|change, whole| whole && change.action == Action::Remove);
    let changed = names(|_, whole| !whole);
    if changes.is_empty() {
        found.ok("models_same", t.models_same(count));
    }
    if !missing.is_empty() {
        found.apply("models_missing", t.models_missing(&listed(&missing)));
    }
    if !extra.is_empty() {
        found.apply("models_extra", t.models_extra(&listed(&extra)));
    }
    if !changed.is_empty() {
        found.apply("models_changed", t.models_changed(&listed(&changed)));
    }
    found.changes = changes;
}

fn look_at_media(all: Vec<Change>, found: &mut Findings) {
    let t = found.t;
    // The key is looked at by itself: it may be written in more ways than one.
    let changes: Vec<Change> = all.into_iter().filter(|change| !change.path.ends_with(".apiKey")).collect();
    if changes.is_empty() {
        found.ok("media_same", t.media_same());
    } else {
        let paths = changes.iter().map(|change| change.path.clone()).collect();
        found.apply("media_differs", t.media_differs(&listed(&paths)));
    }
    found.changes = changes;
}

/// Some names of a list, and how many more there are.
fn listed(names: &BTreeSet<String>) -> String {
    let mut text =
        names.iter().take(MOST_NAMES).map(|name| clean(name).into_owned()).collect::<Vec<_>>().join(", ");
    if names.len() > MOST_NAMES {
        text.push_str(&format!(", … (+{})", names.len() - MOST_NAMES));
    }
    text
}

/// Whether what OpenClaw uses of this provider is served.
fn look_at_uses(catalog: &Catalog, token: &Token, present: &Present, provider: &str, found: &mut Findings) {
    let t = found.t;
    let served: BTreeSet<&str> = catalog.models_for(token).map(|model| model.name.as_str()).collect();
    let listed = present.at(&["models", "providers", provider, "models"]).as_array();
    let listed: BTreeSet<&str> =
        listed.into_iter().flatten().filter_map(|model| model["id"].as_str()).collect();
    let prefix = format!("{provider}/");
    let mut primary = None;
    for name in USES {
        let value = present.at(&["agents", "defaults", name]);
        let first = value.as_str().or(value["primary"].as_str()).map(|reference| ("primary", reference));
        if *name == "model" {
            primary = first.map(|(_, reference)| reference);
        }
        let others = value["fallbacks"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for (role, reference) in first.into_iter().chain(others.map(|reference| ("fallback", reference))) {
            let Some(model) = reference.strip_prefix(&prefix) else { continue };
            let (place, shown) = (format!("agents.defaults.{name} {role}"), clean(reference));
            if !served.contains(model) {
                found.apply("use_unserved", t.use_unserved(&place, &shown));
            } else if !listed.contains(model) {
                found.apply("use_unlisted", t.use_unlisted(&place, &shown));
            } else {
                found.ok("use_served", t.use_served(&place, &shown));
            }
        }
    }
    match primary {
        None => found.note("no_primary", t.no_primary()),
        Some(other) if !other.starts_with(&prefix) => {
            found.note("primary_elsewhere", t.use_elsewhere(&clean(other)));
        }
        Some(_) => {}
    }
}

/// Whether `/model` can choose the provider's models. A file that OpenClaw's command line of this release has never written
/// has its list in `agents.defaults.models`.
fn look_at_allowlist(present: &Present, provider: &str, found: &mut Findings) {
    let t = found.t;
    let defaults = present.at(&["agents", "defaults"]);
    let allow: Vec<&str> =
        defaults["modelPolicy"]["allow"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_migrated = present.at(&["meta", "migrations", "modelPolicyAllowlist"]) == &Value::Bool(true);
    let known = defaults["models"].as_object();
    let old: Vec<&str> = known.into_iter().flatten().map(|(reference, _)| reference.as_str()).collect();
    let (list, remedy) = match (allow.is_empty(), is_migrated) {
        (false, _) => (allow, t.allowlist_remedy(provider)),
        (true, false) if !old.is_empty() => (old, t.allowlist_old_remedy(provider)),
        _ => return,
    };
    if list.contains(&format!("{provider}/*").as_str()) {
        found.ok("allowlist_open", t.allowlist_fine());
        return;
    }
    let alias_of = |reference: &str| known.and_then(|known| known.get(reference)?.get("alias")?.as_str());
    let models = present.at(&["models", "providers", provider, "models"]).as_array();
    let ids = models.into_iter().flatten().filter_map(|model| model["id"].as_str());
    let shut = ids.filter(|id| {
        let reference = format!("{provider}/{id}");
        !list.contains(&reference.as_str())
            && !alias_of(&reference).is_some_and(|alias| list.contains(&alias))
    });
    match shut.count() {
        0 => found.ok("allowlist_open", t.allowlist_fine()),
        count => found.differs("allowlist_shut", t.allowlist_shut(provider, count), remedy),
    }
}

fn tell(call: &Invocation, options: &ExportOptions, found: &Findings) -> Result<(), Failure> {
    let t = found.t;
    let differing = found.list.iter().filter(|finding| finding.state == State::Differs).count();
    if call.is_on("json") {
        let finding = |finding: &Finding| {
            json!({
                "code": finding.code,
                "state": finding.state.as_str(),
                "message": finding.message,
                "remedy": finding.remedy,
            })
        };
        let json = json!({
            "in_step": differing == 0,
            "provider": options.provider_id,
            "findings": found.list.iter().map(finding).collect::<Vec<_>>(),
            "changes": found.changes,
        });
        print(&format!("{json:#}"))?;
    } else {
        let states = [State::Ok, State::Differs, State::Note];
        let width = states.iter().map(|state| state.word(t).width()).max().unwrap_or(0);
        let mut lines: Vec<String> = Vec::new();
        for finding in &found.list {
            let word = finding.state.word(t);
            let look = match finding.state {
                State::Ok => Look::Good,
                State::Differs => Look::Bad,
                State::Note => Look::Doubtful,
            };
            let blank = " ".repeat(width - word.width());
            lines.push(format!("{}{blank}  {}", look.paint(word), finding.message));
            let indent = " ".repeat(width + 2);
            lines.extend(finding.remedy.iter().map(|remedy| format!("{indent}→ {remedy}")));
        }
        let result = if differing == 0 { t.in_step().to_owned() } else { t.out_of_step(differing) };
        print(&format!("{}\n\n{result}", lines.join("\n")))?;
    }
    if differing == 0 { Ok(()) } else { Err(Failure::Told) }
}
