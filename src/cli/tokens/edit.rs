//! `onepool tokens create` and `edit`: options become a [`TokenInput`], which the pool's own rules check.

use clap::Arg;

use super::{
    show::tell_token,
    value::{given_or_new, taken, tell_value},
};
use crate::{
    cli::{
        Failure, budget,
        command::{option, repeated},
        invocation::Invocation,
        options::{Options, on_or_off, option_of, whole},
        output::clean,
        session::{Session, on_folder},
        when,
    },
    i18n::Messages,
    model::token::{ClientProfile, Token},
    pool::input::{Fault, Faults, TokenInput},
    storage::tokens::NewToken,
};

/// Options for every field of a token but its name.
pub fn flags(m: Messages) -> Vec<Arg> {
    let (h, f) = (m.help, m.token_form);
    vec![
        repeated("model", "NAME", h.token_model(), m),
        repeated("group", "NAME", h.token_group(), m),
        repeated("cidr", "NETWORK", h.cidr(), m),
        option("expires-at", "TIME", h.expires_at(), m),
        option("quota", "AMOUNT", h.quota(), m),
        option("quota-unit", "dollars|tokens|requests", f.quota_unit_hint(), m),
        option("quota-reset", "never|hour|day|week|month", h.quota_reset(), m),
        option("quota-warn-at", "PERCENT,…", h.budget_warn_at(), m),
        option("quota-at-limit", "stop|warn", h.budget_at_limit(), m),
        option("requests-per-minute", "NUMBER", h.requests_per_minute(), m),
        option("weight", "NUMBER", h.token_weight(), m),
        option("profile", "generic|openclaw", h.profile(), m),
        option("note", "TEXT", h.note(), m),
        option("enabled", "true|false", f.enabled_hint(), m),
    ]
}

/// `onepool tokens create NAME`.
pub fn create(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let mut input = TokenInput {
            name: call.required("NAME").to_owned(),
            models: Vec::new(),
            groups: Vec::new(),
            cidrs: Vec::new(),
            expires_at: None,
            quota: None,
            requests_per_minute: None,
            weight: 1,
            profile: ClientProfile::Generic,
            note: String::new(),
            enabled: true,
        };
        let token = read_and_check(call, session, &mut input, None)?;
        let value = given_or_new(call)?;
        let new = NewToken {
            name: token.name,
            value: value.clone(),
            models: token.models,
            groups: token.groups,
            cidrs: token.cidrs,
            expires_at: token.expires_at,
            quota: token.quota,
            requests_per_minute: token.requests_per_minute,
            weight: token.weight,
            profile: token.profile,
            note: token.note,
            enabled: token.enabled,
        };
        let id = session.db.create_token(&new).await.map_err(|error| taken(error, call.m))?;
        let said = call.m.terminal.token_created(&clean(&new.name));
        tell_value(call, session, id, &value, &said).await
    })
}

/// `onepool tokens edit NAME`.
pub fn edit(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let known = session.token(call.required("NAME")).await?;
        let mut input = TokenInput::of(&known);
        let token = read_and_check(call, session, &mut input, Some(&known))?;
        session.db.update_token(&token).await.map_err(|error| match taken(error, call.m) {
            Failure::Options(faults) => Failure::Options(
                faults.into_iter().map(|fault| Fault { field: "--name".to_owned(), ..fault }).collect(),
            ),
            other => other,
        })?;
        tell_token(call, session, token.id).await
    })
}

fn read_and_check(
    call: &Invocation,
    session: &Session,
    input: &mut TokenInput,
    known: Option<&Token>,
) -> Result<Token, Failure> {
    let mut faults = read(call, session, input);
    match input.check(known, session.now(), call.m) {
        Ok(token) if faults.0.is_empty() => return Ok(token),
        Ok(_) => {}
        Err(more) => {
            // The name of a new token is no option.
            let option = |field: &str| {
                if field == "name" && known.is_none() { "NAME".to_owned() } else { option_of(field) }
            };
            faults.0.extend(more.0.into_iter().map(|fault| Fault { field: option(&fault.field), ..fault }));
        }
    }
    Err(Failure::options(faults))
}

/// Changes `input` as the options say; gives what could not be read, by option.
fn read(call: &Invocation, session: &Session, input: &mut TokenInput) -> Faults {
    let (m, t) = (call.m, call.m.terminal);
    let mut options = Options::new(call);
    options.set("name", &mut input.name, |text| Ok(text.to_owned()));
    options.set_list("model", &mut input.models, Ok);
    options.set_list("group", &mut input.groups, Ok);
    options.set_list("cidr", &mut input.cidrs, Ok);
    options.set("expires-at", &mut input.expires_at, |text| {
        let at = match text {
            "" => None,
            text => {
                let from_now = when::length(text).map(|length| session.now() + length);
                let at = from_now.or_else(|| when::point(text, &session.config.zone, false));
                Some(at.ok_or_else(|| t.point_shape().to_owned())?.timestamp())
            }
        };
        Ok(at)
    });
    budget::read(&mut options, call, &budget::QUOTA, &mut input.quota);
    options.set("weight", &mut input.weight, |text| whole(text, m));
    options.set("requests-per-minute", &mut input.requests_per_minute, |text| {
        let rate = if text.is_empty() { None } else { Some(whole(text, m)?) };
        Ok(rate)
    });
    options.set("profile", &mut input.profile, |text| {
        let profile = ClientProfile::from_name(text).ok_or_else(|| budget::one_of(m, ClientProfile::ALL))?;
        Ok(profile)
    });
    options.set("note", &mut input.note, |text| Ok(text.to_owned()));
    options.set("enabled", &mut input.enabled, |text| on_or_off(text, m));
    options.faults
}
