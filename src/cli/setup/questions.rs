//! `onepool setup`: asks for the language and for keys, and then takes every step.

use super::{profile, report, steps};
use crate::{
    cli::{
        Failure,
        ask::Dialogue,
        invocation::Invocation,
        keys::{Arrival, Goal, ask_account, ask_provider, asks_for_account, place, problem_text, table},
        output::{clean, complain, print},
        session::{Session, make_folder, on_folder},
    },
    i18n::{Lang, Messages},
    model::{
        catalog::Catalog,
        key::{PastedLine, parse_pasted},
    },
    pool::preset::{Hint, channel_of, holder, name_of},
    provider::Providers,
};

/// The most keys of one run; whoever has more gives them in a file.
const MOST_KEYS: usize = 500;

/// `onepool setup`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let profile = profile(call)?;
    let m = ask_language(call.m)?;
    let call = &call.speaking(m);
    let made = make_folder(call)?;
    on_folder(call, async |session| {
        let t = m.onboarding;
        let folder = session.config.data_dir.display().to_string();
        complain(&if made { t.folder_made(&clean(&folder)) } else { t.folder_used(&clean(&folder)) });
        let arrivals = ask_keys(session).await?;
        let none = arrivals.is_empty() && session.catalog().await?.channels().next().is_none();
        if none {
            return Err(Failure::Text(t.nothing_to_set_up().to_owned()));
        }
        let placed = place(session, &arrivals).await?;
        if !placed.is_empty() {
            print(&table(&placed, m))?;
        }
        let report = steps::run(call, session, placed, profile).await?;
        print(&report::after_keys(&report, m))
    })
}

/// Asks in both languages, since nobody knows yet which one is read.
fn ask_language(m: Messages) -> Result<Messages, Failure> {
    let answers = [("en", "English"), ("zh", "简体中文")];
    let chosen = Dialogue::new(m).choose("Language / 语言", &answers)?;
    Ok(match chosen {
        Some(0) => Messages::of(Lang::En),
        Some(_) => Messages::of(Lang::Zh),
        None => m,
    })
}

/// Asks for keys until there are no more. Of each it is said at once where it goes.
async fn ask_keys(session: &Session) -> Result<Vec<Arrival>, Failure> {
    let (m, providers, catalog) = (session.m, session.providers.load(), session.catalog().await?);
    let (t, dialogue) = (m.onboarding, Dialogue::new(m));
    complain(t.keys_intro());
    let mut arrivals: Vec<Arrival> = Vec::new();
    while arrivals.len() < MOST_KEYS {
        let question = if arrivals.is_empty() { t.first_key() } else { t.next_key() };
        let Some(text) = dialogue.hidden(question)? else { break };
        let lines = parse_pasted(&text);
        if lines.is_empty() {
            complain(m.channels.paste_nothing());
        }
        for line in lines {
            let arrival = ask_about(line, arrivals.len() + 1, &arrivals, &providers, &catalog, &dialogue, m)?;
            arrivals.extend(arrival);
        }
    }
    if !arrivals.is_empty() {
        complain(&t.keys_taken(arrivals.len()));
    }
    Ok(arrivals)
}

/// What is to be known of one key: its provider, and its account if only the operator knows that and it matters.
fn ask_about(
    line: PastedLine,
    number: usize,
    before: &[Arrival],
    providers: &Providers,
    catalog: &Catalog,
    dialogue: &Dialogue,
    m: Messages,
) -> Result<Option<Arrival>, Failure> {
    let t = m.onboarding;
    let secret = match line.key {
        Ok(secret) => secret,
        Err(problem) => {
            complain(&problem_text(m, problem));
            return Ok(None);
        }
    };
    let known_here =
        |arrival: &Arrival| arrival.secret.as_ref().is_ok_and(|known| known.expose() == secret.expose());
    if holder(catalog, &secret).is_some() || before.iter().any(known_here) {
        complain(&t.key_known(&secret.last4()));
        return Ok(None);
    }
    let told = Goal::told_by(providers, &line.label, &secret, m);
    let provider = match told {
        Goal::Provider(provider) => {
            complain(&t.key_recognised(&secret.last4(), name_of(&provider, m.lang)));
            provider
        }
        _ => match ask_provider(dialogue, providers, Hint { label: &line.label, key: &secret }, m)? {
            Some(provider) => provider,
            None => {
                complain(&t.key_left_out(&secret.last4()));
                return Ok(None);
            }
        },
    };
    let same = |arrival: &Arrival| matches!(&arrival.goal, Goal::Provider(other) if other.id == provider.id);
    let others = channel_of(catalog, &provider.id).map_or(0, |entry| entry.keys.len())
        + before.iter().filter(|arrival| same(arrival)).count();
    let group = if others > 0 && asks_for_account(&provider) {
        ask_account(dialogue, &provider, &secret.last4(), m)?
    } else {
        None
    };
    Ok(Some(Arrival {
        line: number,
        label: line.label,
        secret: Ok(secret),
        goal: Goal::Provider(provider),
        group,
        limits: Vec::new(),
    }))
}
