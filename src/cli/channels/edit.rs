//! `onepool channels add` and `edit`: options become a [`ChannelInput`], which the pool's own rules check.

use clap::Arg;

use super::show::tell_channel;
use crate::{
    cli::{
        Failure,
        ask::{confirm, secret_text, value_or_reference},
        budget,
        command::{option, repeated, switch},
        invocation::Invocation,
        options::{Options, on_or_off, option_of, set_limits, whole},
        output::{clean, complain},
        session::{Session, on_folder},
    },
    discovery::{Choice, RefreshFailure, offer_listed, summary},
    i18n::Messages,
    model::{
        catalog::Catalog,
        channel::{Channel, Protocol},
        endpoint::Endpoint,
        id::ChannelId,
        key::{PastedKey, parse_pasted},
    },
    pool::{
        input::{ChannelInput, Fault, Faults, ModelInput, PlainSecret, Upstreams},
        preset::{self, Gap, Hint},
        upkeep::{patient_timeouts, sends_secrets_elsewhere},
    },
    provider::Providers,
    storage::StorageError,
};

/// Options for every field of a channel.
pub fn flags(m: Messages) -> Vec<Arg> {
    let h = m.help;
    let mut flags = vec![
        option("name", "TEXT", h.new_name(), m),
        option("base-url", "URL", m.channels.base_url_hint(), m),
        option("protocol", "WORD", h.protocol(), m),
        option("provider", "ID", h.provider(), m),
        option("plan", "ID", h.plan(), m),
        option("priority", "NUMBER", m.channels.priority_hint(), m),
        option("weight", "NUMBER", m.channels.weight_hint(), m),
        repeated("group", "NAME", h.channel_group(), m),
        repeated("header", "NAME: VALUE", h.header(), m),
        option("proxy", "URL", h.proxy(), m),
        option("connect-ms", "NUMBER", h.connect_ms(), m),
        option("first-byte-ms", "NUMBER", h.first_byte_ms(), m),
        option("idle-ms", "NUMBER", h.idle_ms(), m),
        option("allow-private", "true|false", m.channels.allow_private_hint(), m),
        option("note", "TEXT", h.note(), m),
        option("enabled", "true|false", h.channel_enabled(), m),
        repeated("endpoint", "NAME", h.channel_endpoint(), m),
        repeated("model", "NAME", h.channel_model(), m),
        option("models-file", "FILE", h.models_file(), m),
        repeated("redirect", "PUBLIC=UPSTREAM", h.redirect(), m),
        repeated("limit", "LIMIT", h.declared_limit(), m),
        switch("no-limits", h.no_limits(), m).conflicts_with("limit"),
        repeated("fix", "ID=on|off", h.channel_fix(), m),
        option("response-cache", "SECONDS", h.response_cache(), m),
    ];
    flags.extend(budget::arguments(m));
    flags
}

/// Options that only make sense for a new channel.
pub fn flags_of_add(m: Messages) -> Vec<Arg> {
    vec![repeated("key", "SOURCE", m.discovery.about_key(), m)]
}

/// Options that only make sense for a channel that is there already.
pub fn flags_of_edit(m: Messages) -> Vec<Arg> {
    let h = m.help;
    vec![
        repeated("remove-header", "NAME", h.remove_header(), m),
        repeated("add-model", "NAME", h.add_model(), m),
        repeated("remove-model", "NAME", h.remove_model(), m),
    ]
}

/// `onepool channels add`.
pub fn add(call: &Invocation) -> Result<(), Failure> {
    let mut input = ChannelInput::blank();
    let mut read = read(call, &mut input);
    let keys = keys_of(call, &mut read);
    on_folder(call, async |session| {
        let (providers, m) = (session.providers.load(), call.m);
        if !fill_in(&mut input, &keys, &*session.catalog().await?, &providers, &mut read, m) {
            return Err(Failure::options(read));
        }
        let new = checked(&input, None, &providers, read, m)?;
        let id = session.db.create_channel(&new).await.map_err(|error| name_taken(error, m))?;
        if !keys.is_empty() {
            session.db.add_keys(id, &keys).await?;
            if new.models.is_empty() {
                offer_new(session, id).await?;
            }
        }
        tell_channel(call, session, &*session.channel_of(id).await?).await
    })
}

/// The keys of `--key`. A key itself is refused: every user of the machine can read a command line.
fn keys_of(call: &Invocation, faults: &mut Faults) -> Vec<PastedKey> {
    let m = call.m;
    let mut keys = Vec::new();
    for value in call.all("key").unwrap_or_default() {
        let text = if value == "-" {
            secret_text(Some("-"), "", m).map_err(|_| m.discovery.key_on_command_line().to_owned())
        } else if value.starts_with("env:") || value.starts_with("file:") {
            value_or_reference(value, m)
        } else {
            Err(m.discovery.key_on_command_line().to_owned())
        };
        match text {
            Err(message) => faults.add("--key", message),
            Ok(text) => {
                let lines = parse_pasted(&text);
                if lines.is_empty() || lines.iter().any(|line| line.key.is_err()) {
                    faults.add("--key", m.channels.paste_nothing());
                }
                keys.extend(lines.into_iter().filter_map(|line| {
                    let secret = line.key.ok()?;
                    Some(PastedKey {
                        label: line.label,
                        secret,
                        quota_group: None,
                        limits: Vec::new(),
                        budget: None,
                    })
                }));
            }
        }
    }
    keys
}

/// Fills in what no option names and the provider's data know; whether that is enough to go on.
fn fill_in(
    input: &mut ChannelInput,
    keys: &[PastedKey],
    catalog: &Catalog,
    providers: &Providers,
    faults: &mut Faults,
    m: Messages,
) -> bool {
    let typed = preset::Fields {
        name: input.name.clone(),
        base_url: input.base_url.clone(),
        provider: input.provider.clone().unwrap_or_default(),
        allow_private: input.allow_private,
    };
    let is_taken =
        |name: &str| catalog.channels().any(|entry| entry.channel.name.to_lowercase() == name.to_lowercase());
    let key = keys.first().map(|key| Hint { label: &key.label, key: &key.secret });
    match preset::fill_in(typed, key, providers, is_taken, m) {
        Ok(filled) => {
            input.name = filled.name;
            input.base_url = filled.base_url;
            input.allow_private = filled.allow_private;
            input.provider = Some(filled.provider).filter(|provider| !provider.is_empty());
            return true;
        }
        Err(Gap::Provider(message)) => faults.add("--provider", message),
        Err(Gap::BaseUrl(message)) => faults.add("--base-url", message),
    }
    false
}

/// Offers everything that the upstream of a new channel lists; a list that does not come is told, and changes nothing.
async fn offer_new(session: &Session, id: ChannelId) -> Result<(), Failure> {
    let catalog = session.catalog().await?;
    let entry = session.channel_of(id).await?;
    let timeouts = patient_timeouts(&catalog, &entry.channel);
    let provider = session.providers.load().of(&entry.channel.provider).clone();
    let (clients, now) = (session.clients(), session.now());
    match offer_listed(&session.db, &clients, &entry, &provider, timeouts, Choice::All, now).await {
        Ok(_) | Err(RefreshFailure::NoKey) => {}
        Err(RefreshFailure::Storage(error)) => return Err(error.into()),
        Err(RefreshFailure::Fetch(failure)) => {
            complain(&format!("{} {}", session.m.channels.fetch_failed(), clean(&summary(&failure))));
        }
    }
    Ok(())
}

/// `onepool channels edit NAME`.
pub fn edit(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let entry = session.channel(call.required("NAME")).await?;
        let channel = &entry.channel;
        let mut input = ChannelInput::of(channel);
        let read = read(call, &mut input);
        let new = checked(&input, Some(channel), &session.providers.load(), read, call.m)?;
        if sends_secrets_elsewhere(channel, !entry.keys.is_empty(), &new) {
            confirm(call, &call.m.terminal.ask_other_host(&clean(&channel.name)))?;
        }
        session.db.update_channel(channel.id, &new).await.map_err(|error| name_taken(error, call.m))?;
        tell_channel(call, session, &*session.channel_of(channel.id).await?).await
    })
}

fn checked(
    input: &ChannelInput,
    known: Option<&Channel>,
    providers: &Providers,
    read: Faults,
    m: Messages,
) -> Result<crate::storage::channels::NewChannel, Failure> {
    let new = input.check(known, Some(providers), m);
    // What could not even be read is named first, and alone if the rest is right.
    let mut faults = read;
    match new {
        Ok(new) if faults.0.is_empty() => return Ok(new),
        Ok(_) => {}
        Err(more) => {
            faults.0.extend(more.0.into_iter().map(|fault| Fault { field: option_of(&fault.field), ..fault }))
        }
    }
    Err(Failure::options(faults))
}

fn name_taken(error: StorageError, m: Messages) -> Failure {
    match error {
        StorageError::Taken(_) => Failure::option("--name", m.common.field_taken()),
        other => other.into(),
    }
}

/// Changes `input` as the options say; gives what could not be read, by option.
fn read(call: &Invocation, input: &mut ChannelInput) -> Faults {
    let m = call.m;
    let mut options = Options::new(call);
    options.set("name", &mut input.name, |text| Ok(text.to_owned()));
    options.set("base-url", &mut input.base_url, |text| Ok(text.to_owned()));
    options.set("protocol", &mut input.protocol, |text| {
        let protocol =
            Protocol::from_name(text).ok_or_else(|| m.cli.give_one_of(Protocol::OpenAi.as_str()))?;
        Ok(protocol)
    });
    // Nothing means: by the base URL.
    options.set("provider", &mut input.provider, |text| {
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    });
    options.set("plan", &mut input.plan, |text| Ok(Some(text.to_owned()).filter(|text| !text.is_empty())));
    options.set("priority", &mut input.priority, |text| whole(text, m));
    options.set("weight", &mut input.weight, |text| whole(text, m));
    options.set_list("group", &mut input.groups, Ok);
    options.set_list("endpoint", &mut input.endpoints, |names| {
        let all: Vec<&str> = Endpoint::ALL.iter().map(|endpoint| endpoint.as_str()).collect();
        let unknown = |name: &str| m.channels.endpoint_unknown(name, &all.join(", "));
        names.iter().map(|name| Endpoint::from_name(name).ok_or_else(|| unknown(name))).collect()
    });
    if let Some(headers) = call.all("header") {
        for header in headers {
            let outcome = match header.split_once(':') {
                Some((name, value)) if !name.trim().is_empty() => {
                    value_or_reference(value.trim(), m).map(|value| (name.trim().to_owned(), value))
                }
                _ => Err(m.terminal.header_shape().to_owned()),
            };
            match outcome {
                Ok((name, value)) => {
                    input.headers.retain(|known, _| !known.eq_ignore_ascii_case(&name));
                    input.headers.insert(name, PlainSecret::new(value.as_str()));
                }
                Err(message) => options.fault("header", message),
            }
        }
    }
    for name in call.all("remove-header").unwrap_or_default() {
        let before = input.headers.len();
        input.headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
        if input.headers.len() == before {
            options.fault("remove-header", m.terminal.not_there(&clean(name)));
        }
    }
    options.set("proxy", &mut input.proxy, |text| {
        // Every user of the machine can read a command line.
        if text.rsplit_once('@').is_some_and(|(credentials, _)| credentials.contains("://")) {
            return Err(m.terminal.secret_on_command_line().to_owned());
        }
        let value = value_or_reference(text, m)?;
        Ok(Some(value).filter(|value| !value.is_empty()).map(|value| PlainSecret::new(value.as_str())))
    });
    let optional = |text: &str| if text.is_empty() { Ok(None) } else { whole(text, m).map(Some) };
    options.set("connect-ms", &mut input.timeouts.connect_ms, |text| optional(text));
    options.set("first-byte-ms", &mut input.timeouts.first_byte_ms, |text| optional(text));
    options.set("idle-ms", &mut input.timeouts.idle_ms, |text| optional(text));
    options.set("allow-private", &mut input.allow_private, |text| on_or_off(text, m));
    options.set("note", &mut input.note, |text| Ok(text.to_owned()));
    options.set("enabled", &mut input.enabled, |text| on_or_off(text, m));
    options
        .set_list("model", &mut input.models, |names| Ok(names.into_iter().map(ModelInput::Name).collect()));
    options.set("models-file", &mut input.models, |path| {
        let text = value_or_reference(&format!("file:{path}"), m)?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    });
    for name in call.all("add-model").unwrap_or_default() {
        input.models.push(ModelInput::Name(name.to_owned()));
    }
    for name in call.all("remove-model").unwrap_or_default() {
        let before = input.models.len();
        input.models.retain(|model| model.name() != name);
        if input.models.len() == before {
            options.fault("remove-model", m.terminal.not_there(&clean(name)));
        }
    }
    options.set_list("redirect", &mut input.redirects, |pairs| {
        let mut redirects: std::collections::BTreeMap<String, Upstreams> = Default::default();
        for pair in pairs {
            let (public, upstream) =
                pair.split_once('=').ok_or_else(|| m.terminal.redirect_shape().to_owned())?;
            let (public, upstream) = (public.trim().to_owned(), upstream.trim().to_owned());
            let known = redirects.remove(&public);
            let all = match known {
                None => Upstreams::One(upstream),
                Some(known) => Upstreams::Many(known.names().iter().cloned().chain([upstream]).collect()),
            };
            redirects.insert(public, all);
        }
        Ok(redirects)
    });
    set_limits(&mut options, call, &mut input.limits);
    budget::read(&mut options, call, &budget::BUDGET, &mut input.budget);
    options.set_list("fix", &mut input.shaping.fixes, |switches| {
        let read = |text: &String| match text.split_once('=') {
            Some((id, "on")) => Ok((id.to_owned(), true)),
            Some((id, "off")) => Ok((id.to_owned(), false)),
            _ => Err(m.pool.fix_shape().to_owned()),
        };
        switches.iter().map(read).collect()
    });
    options.set("response-cache", &mut input.shaping.response_cache_s, |text| {
        // What does not fit is out of the range, which is told with the range.
        Ok(optional(text)?.map(|seconds: i64| u32::try_from(seconds).unwrap_or(0)))
    });
    options.faults
}
