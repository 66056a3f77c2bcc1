//! `onepool keys add`: reads keys in any of the shapes that the pages take, finds out where each belongs, and says what
//! became of it.

use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::place::{Arrival, Goal, account_texts, counts, fill, filled_text, place, table, touched};
use crate::{
    cli::{
        Failure,
        ask::{Dialogue, is_interactive, secret_text, value_or_reference},
        invocation::Invocation,
        options::{Options, option_of},
        output::{clean, complain, tell},
        session::{Session, on_folder},
    },
    discovery::Choice,
    i18n::Messages,
    model::{
        catalog::ChannelEntry,
        key::{MAX_PASTED_KEYS, PasteProblem, PastedLine, parse_pasted},
        limit::Limit,
    },
    pool::{
        account::counts_per_account,
        input::{Fault, Faults, LimitInput, Limited, check_limits},
        preset::{Hint, channel_of, choosable, name_of, owners},
        rules::{self, MAX_NAME_CHARS, check_length},
    },
    provider::{Provider, Providers},
};

/// A word of the command line that is shorter is taken for a channel's name that is not there, not for a key.
const SHORTEST_KEY: usize = 16;

/// `onepool keys add`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let label = call.text("label").unwrap_or_default();
    let group = call.text("quota-group").unwrap_or_default();
    for (option, text) in [("--label", label), ("--account", group)] {
        check_length(m, text, MAX_NAME_CHARS).map_err(|message| Failure::option(option, message))?;
    }
    on_folder(call, async |session| {
        let providers = session.providers.load();
        let words = call.all("KEY").unwrap_or_default();
        // A channel or provider that is not there is told before anybody types a key.
        let (target, words) = target(call, session, &providers, &words).await?;
        let prompt = match &target {
            Target::Channel(entry) => m.terminal.key_prompt(&clean(&entry.channel.name)),
            Target::Provider(provider) => m.terminal.key_prompt(name_of(provider, m.lang)),
            Target::ByKey => m.onboarding.key_prompt().to_owned(),
        };
        let mut lines = read(call, words, &prompt)?;
        if lines.is_empty() {
            return Err(Failure::Usage(m.channels.paste_nothing().to_owned()));
        }
        let variables: Vec<String> = lines.iter().map(|line| line.label.clone()).collect();
        name_lines(&mut lines, label);
        let mut arrivals = Vec::with_capacity(lines.len());
        for (line, variable) in lines.into_iter().zip(variables) {
            let goal = match (&target, &line.key) {
                (Target::Channel(entry), _) => Goal::Channel(entry.channel.id),
                (Target::Provider(provider), _) => Goal::Provider(provider.clone()),
                (Target::ByKey, Ok(secret)) => {
                    recognised(&providers, Hint { label: &variable, key: secret }, m)?
                }
                (Target::ByKey, Err(_)) => Goal::Unknown(String::new()),
            };
            let provider = match (&target, &goal) {
                (Target::Channel(entry), _) => providers.of(&entry.channel.provider),
                (_, Goal::Provider(provider)) => provider,
                _ => providers.generic(),
            };
            arrivals.push(Arrival {
                line: line.line,
                label: line.label,
                secret: line.key.map_err(|problem| problem_text(m, problem)),
                limits: limits_of(call, provider)?,
                goal,
                group: Some(group.to_owned()).filter(|group| !group.is_empty()),
            });
        }
        if group.is_empty() && is_interactive() && !call.is_on("json") {
            ask_accounts(session, &providers, &mut arrivals).await?;
        }
        let placed = place(session, &arrivals).await?;
        let touched = touched(&placed);
        let filled = fill(session, &touched, Choice::FreeFirst).await?;
        let hints = account_texts(session, &touched).await?;
        let [good, duplicates, refused] = counts(&placed);
        let results: Vec<_> = placed.iter().map(super::place::Placed::json).collect();
        let json = json!({ "added": good, "duplicates": duplicates, "refused": refused, "results": results });
        tell(call, &json, || {
            let mut text =
                format!("{}\n{}", table(&placed, m), m.channels.paste_summary(good, duplicates, refused));
            let made = filled.iter().filter_map(|filled| filled_text(filled, m));
            for line in made.chain(hints) {
                text.push_str(&format!("\n{}", clean(&line)));
            }
            text
        })?;
        if refused > 0 { Err(Failure::Told) } else { Ok(()) }
    })
}

/// Where the keys are to go.
enum Target {
    Channel(Arc<ChannelEntry>),
    Provider(Arc<Provider>),
    /// Each key tells.
    ByKey,
}

/// The target that options or the first word name, and the words that are left: a first word that is a channel's name is
/// meant as one.
async fn target<'a, 'b>(
    call: &Invocation<'_>,
    session: &Session,
    providers: &Providers,
    words: &'a [&'b str],
) -> Result<(Target, &'a [&'b str]), Failure> {
    let m = call.m;
    if let Some(name) = call.text("channel") {
        return Ok((Target::Channel(session.channel(name).await?), words));
    }
    if let Some(id) = call.text("provider") {
        rules::check_provider(m, providers, id).map_err(|message| Failure::option("--provider", message))?;
        let provider = providers.of(id).clone();
        return Ok((Target::Provider(provider), words));
    }
    let Some(first) = words.first() else { return Ok((Target::ByKey, words)) };
    let catalog = session.catalog().await?;
    let wanted = first.to_lowercase();
    if let Some(entry) = catalog.channels().find(|entry| entry.channel.name.to_lowercase() == wanted) {
        return Ok((Target::Channel(entry.clone()), &words[1..]));
    }
    if !is_reference(first) && (first.len() < SHORTEST_KEY || !first.is_ascii() || first.contains(' ')) {
        return Err(Failure::Text(m.terminal.no_such_channel(&clean(first))));
    }
    Ok((Target::ByKey, words))
}

fn is_reference(word: &str) -> bool {
    word == "-" || word.starts_with("env:") || word.starts_with("file:")
}

/// The keys in all sources: the words, and the file; if there is none, stdin or the terminal. Several sources count as one
/// text of several lines.
fn read(call: &Invocation, words: &[&str], prompt: &str) -> Result<Vec<PastedLine>, Failure> {
    let m = call.m;
    let file = call.text("file");
    if words.is_empty() {
        return Ok(parse_pasted(&secret_text(file, prompt, m)?));
    }
    if words.iter().any(|word| !is_reference(word)) {
        complain(m.onboarding.key_in_history());
    }
    let mut lines = Vec::new();
    let more = file.map(|path| if path == "-" { "-".to_owned() } else { format!("file:{path}") });
    for word in words.iter().copied().chain(more.as_deref()) {
        let text = match word {
            "-" => secret_text(Some("-"), prompt, m)?,
            word => match word.strip_prefix("env:") {
                // As a line of a `.env` file, so that the name is kept and may tell the provider.
                Some(name) => {
                    let value = value_or_reference(word, m).map_err(Failure::Usage)?;
                    Zeroizing::new(format!("{name}={}", value.as_str()))
                }
                None => value_or_reference(word, m).map_err(Failure::Usage)?,
            },
        };
        let before = lines.last().map_or(0, |line: &PastedLine| line.line);
        let found = parse_pasted(&text);
        lines.extend(found.into_iter().map(|line| PastedLine { line: before + line.line, ..line }));
    }
    lines.truncate(MAX_PASTED_KEYS + 1);
    Ok(lines)
}

/// The provider whose key this is; where its form does not tell, whoever sits at the terminal is asked.
fn recognised(providers: &Providers, hint: Hint<'_>, m: Messages) -> Result<Goal, Failure> {
    let told = Goal::told_by(providers, hint.label, hint.key, m);
    if !matches!(told, Goal::Unknown(_)) || !is_interactive() {
        return Ok(told);
    }
    Ok(ask_provider(&Dialogue::new(m), providers, hint, m)?.map_or(told, Goal::Provider))
}

/// Asks whose key this is: of those that it may belong to, or of all.
pub fn ask_provider(
    dialogue: &Dialogue,
    providers: &Providers,
    hint: Hint<'_>,
    m: Messages,
) -> Result<Option<Arc<Provider>>, Failure> {
    let mut candidates = owners(providers, hint);
    if candidates.is_empty() {
        candidates = choosable(providers, m.lang);
    }
    let answers: Vec<(&str, &str)> =
        candidates.iter().map(|provider| (provider.id.as_str(), name_of(provider, m.lang))).collect();
    let chosen = dialogue.choose(&m.onboarding.whose_key(&hint.key.last4()), &answers)?;
    Ok(chosen.map(|place| candidates[place].clone()))
}

/// Asks for the accounts of keys whose provider counts per account and does not tell it, if there is more than one key.
async fn ask_accounts(
    session: &Session,
    providers: &Providers,
    arrivals: &mut [Arrival],
) -> Result<(), Failure> {
    let (m, catalog) = (session.m, session.catalog().await?);
    let dialogue = Dialogue::new(m);
    let several = arrivals.len() > 1;
    for arrival in arrivals.iter_mut() {
        let Ok(secret) = &arrival.secret else { continue };
        let entry = match &arrival.goal {
            Goal::Channel(id) => catalog.channel(*id),
            Goal::Provider(provider) => channel_of(&catalog, &provider.id),
            Goal::Unknown(_) => continue,
        };
        let provider = match (&arrival.goal, entry) {
            (Goal::Provider(provider), _) => provider,
            (_, Some(entry)) => providers.of(&entry.channel.provider),
            _ => continue,
        };
        let first = entry.is_none_or(|entry| entry.keys.is_empty());
        if (first && !several) || !asks_for_account(provider) {
            continue;
        }
        arrival.group = ask_account(&dialogue, provider, &secret.last4(), m)?;
    }
    Ok(())
}

/// Whether only the operator knows the accounts of a provider's keys, and they matter.
pub fn asks_for_account(provider: &Provider) -> bool {
    use crate::provider::preset::KeyCheck;
    let tells = matches!(&provider.key_check, KeyCheck::Endpoint(endpoint) if endpoint.account.is_some());
    counts_per_account(provider) && !tells
}

/// Asks which account a key belongs to; nothing if that is not known.
pub fn ask_account(
    dialogue: &Dialogue,
    provider: &Provider,
    last4: &str,
    m: Messages,
) -> Result<Option<String>, Failure> {
    let question = m.onboarding.which_account(last4, name_of(provider, m.lang));
    let answer = dialogue.line(&question)?;
    Ok(answer.map(|text| text.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()))
}

/// The limits of `--limit`, for each of the keys.
fn limits_of(call: &Invocation, provider: &Provider) -> Result<Vec<Limit>, Failure> {
    let (mut inputs, mut options) = (Vec::new(), Options::new(call));
    options.set_list("limit", &mut inputs, |lines| {
        lines.iter().map(|line| LimitInput::read(line, call.m)).collect()
    });
    let mut faults = options.faults;
    let limited = Limited { key: true, provider: Some(provider) };
    let mut wrong = Faults::default();
    let limits = check_limits(&inputs, limited, "", call.m, &mut wrong);
    faults.0.extend(wrong.0.into_iter().map(|fault| Fault { field: option_of(&fault.field), ..fault }));
    faults.or(limits).map_err(Failure::options)
}

/// Gives the keys the label that was asked for; several are numbered.
fn name_lines(lines: &mut [PastedLine], label: &str) {
    if label.is_empty() {
        return;
    }
    let several = lines.iter().filter(|line| line.key.is_ok()).count() > 1;
    for (number, line) in (1..).zip(lines.iter_mut().filter(|line| line.key.is_ok())) {
        line.label = if several { format!("{label} {number}") } else { label.to_owned() };
    }
}

/// What is wrong with a piece of text that is no key.
pub fn problem_text(m: Messages, problem: PasteProblem) -> String {
    let c = m.channels;
    match problem {
        PasteProblem::TooShort => c.paste_too_short().to_owned(),
        PasteProblem::TooLong => c.paste_too_long().to_owned(),
        PasteProblem::NotAscii => c.paste_not_ascii().to_owned(),
        PasteProblem::NoValue => c.paste_no_value().to_owned(),
        PasteProblem::TooMany => c.paste_too_many(MAX_PASTED_KEYS),
    }
}
