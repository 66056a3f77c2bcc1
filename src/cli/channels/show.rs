//! `onepool channels list` and `show`.

use serde_json::json;

use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, Look, Table, facts, first_of, list as json_list, print, tell},
        session::{Session, on_folder},
        view::{self, ChannelState},
    },
    i18n::Messages,
    model::{catalog::ChannelEntry, time::UnixMs},
    pool::{input::LimitInput, rules, upkeep::concerns_channel},
    scheduler::rest::{Rest, RestBook, Scope},
};

/// `onepool channels list`.
pub fn list(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (catalog, book, now) = (session.catalog().await?, session.rests().await?, session.now());
        let m = call.m;
        let json = json_list(catalog.channels().map(|entry| view::channel(entry, &book, now)).collect());
        tell(call, &json, || {
            let c = m.channels;
            let mut table = Table::new([
                m.common.name(),
                m.common.status(),
                c.keys(),
                c.models(),
                c.priority_weight(),
                c.base_url(),
            ]);
            for entry in catalog.channels() {
                let channel = &entry.channel;
                let (state, available) = ChannelState::of(entry, &book, now);
                let names: Vec<String> = public_names(entry);
                table.row([
                    Cell::text(&channel.name),
                    state_cell(m, state),
                    Cell::number(format!("{available}/{}", entry.keys.len())),
                    Cell::text(first_of(&names, m.common.none(), m)),
                    Cell::number(format!("{} / {}", channel.priority, channel.weight)),
                    Cell::text(&channel.base_url),
                ]);
            }
            if catalog.channels().next().is_none() {
                m.terminal.no_channels().to_owned()
            } else {
                table.draw()
            }
        })
    })
}

/// What clients may ask a channel for: its models, then its redirects.
fn public_names(entry: &ChannelEntry) -> Vec<String> {
    let mut names: Vec<String> = entry.channel.models.iter().map(|model| model.name.clone()).collect();
    for redirect in &entry.channel.redirects {
        if !names.contains(&redirect.public) {
            names.push(redirect.public.clone());
        }
    }
    names
}

fn state_cell(m: Messages, state: ChannelState) -> Cell {
    let (text, look) = match state {
        ChannelState::Available => (m.channels.state_available(), Look::Good),
        ChannelState::Off => (m.channels.state_off(), Look::Dim),
        ChannelState::NoKeys => (m.channels.state_no_keys(), Look::Doubtful),
        ChannelState::NoModels => (m.channels.state_no_models(), Look::Doubtful),
        ChannelState::Resting => (m.terminal.resting(), Look::Doubtful),
        ChannelState::Paused => (m.terminal.paused(), Look::Dim),
    };
    Cell::text(text).look(look)
}

/// `onepool channels show NAME`.
pub fn one(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let entry = session.channel(call.required("NAME")).await?;
        tell_channel(call, session, &entry).await
    })
}

/// Shows a channel.
pub async fn tell_channel(
    call: &Invocation<'_>,
    session: &Session,
    entry: &ChannelEntry,
) -> Result<(), Failure> {
    let (m, book, now) = (call.m, session.rests().await?, session.now());
    if call.is_on("json") {
        let mut json = view::channel(entry, &book, now);
        json["rests"] = rests_of(entry, &book, now)
            .into_iter()
            .map(|(scope, rest)| json!({ "scope": view::scope(scope), "rest": view::rest(rest) }))
            .collect();
        return print(&format!("{json:#}"));
    }
    let (c, channel) = (m.channels, &entry.channel);
    let (state, available) = ChannelState::of(entry, &book, now);
    let or_default =
        |ms: Option<u32>| ms.map_or_else(|| m.terminal.server_default().to_owned(), |ms| format!("{ms} ms"));
    let redirects: Vec<String> =
        channel.redirects.iter().map(|r| format!("{} → {}", r.public, r.upstream)).collect();
    let models: Vec<String> = channel.models.iter().map(|model| model.name.clone()).collect();
    let headers: Vec<String> =
        channel.headers.iter().map(|(name, value)| format!("{name}: ••••{}", value.last4())).collect();
    let limits: Vec<String> = channel.limits.iter().map(|limit| LimitInput::of(limit).to_string()).collect();
    let proxy = channel.proxy.as_ref().map(view::masked_proxy).unwrap_or_default();
    let yes_no = |yes: bool| if yes { m.common.yes() } else { m.common.no() };
    let mut text = facts(&[
        (m.common.name(), Cell::text(&channel.name)),
        (m.common.status(), state_cell(m, state)),
        (c.base_url(), Cell::text(&channel.base_url)),
        (c.protocol(), Cell::text(channel.protocol.as_str())),
        (c.provider(), Cell::text(&*channel.provider)),
        (c.plan(), Cell::text(channel.plan.as_deref().unwrap_or_default())),
        (c.priority_weight(), Cell::text(format!("{} / {}", channel.priority, channel.weight))),
        (c.groups(), Cell::text(channel.groups.join(", "))),
        (c.endpoints(), Cell::text(channel.endpoints.to_string().replace(',', ", "))),
        (c.keys(), Cell::text(c.available(available, entry.keys.len()))),
        (c.models(), Cell::text(models.join(", "))),
        (c.redirects(), Cell::text(redirects.join(", "))),
        (m.limits.title(), Cell::text(limits.join("; "))),
        (c.headers(), Cell::text(headers.join(", "))),
        (c.proxy(), Cell::text(proxy)),
        (m.terminal.connect_limit(), Cell::text(or_default(channel.timeouts.connect_ms))),
        (m.terminal.first_byte_limit(), Cell::text(or_default(channel.timeouts.first_byte_ms))),
        (m.terminal.idle_limit(), Cell::text(or_default(channel.timeouts.idle_ms))),
        (c.private_addresses(), Cell::text(yes_no(channel.allow_private))),
        (c.fixes(), Cell::text(rules::shown_fixes(&channel.shaping).join(", "))),
        (
            c.response_cache_s(),
            Cell::text(channel.shaping.response_cache_s.map_or(String::new(), |s| s.to_string())),
        ),
        (m.common.note(), Cell::text(&channel.note)),
    ]);
    let rests = rests_of(entry, &book, now);
    if !rests.is_empty() {
        text.push_str(&format!("\n\n{}\n{}", c.rests(), rest_table(m, session, entry, &rests)));
    }
    print(&text)
}

/// What rests of a channel; what comes back first stands first.
fn rests_of<'a>(entry: &ChannelEntry, book: &'a RestBook, now: UnixMs) -> Vec<(&'a Scope, &'a Rest)> {
    let mut rests: Vec<_> =
        book.all_active(now).filter(|(scope, _)| concerns_channel(entry, scope)).collect();
    rests.sort_by(|(scope, rest), (other_scope, other)| (rest.until, scope).cmp(&(other.until, other_scope)));
    rests
}

fn rest_table(m: Messages, session: &Session, entry: &ChannelEntry, rests: &[(&Scope, &Rest)]) -> String {
    let mut table = Table::new([m.channels.rest_what(), m.channels.rest_reason(), m.terminal.until()]);
    for (scope, rest) in rests {
        table.row([
            Cell::text(what_rests(m, entry, scope)),
            Cell::text(reason(m, rest)),
            Cell::text(session.local(rest.until)),
        ]);
    }
    table.draw()
}

/// What rests, in words.
pub fn what_rests(m: Messages, entry: &ChannelEntry, scope: &Scope) -> String {
    let c = m.channels;
    let key = |id| format!("#{id}");
    match scope {
        Scope::Channel(_) => format!("{}: {}", entry.channel.name, c.rest_channel()),
        Scope::Key(id) => c.rest_key(&key(*id)),
        Scope::Group(_, group) => c.rest_group(group),
        Scope::KeyModel(id, model) => c.rest_key_model(&key(*id), model),
        Scope::GroupModel(_, group, model) => c.rest_group_model(group, model),
        Scope::ChannelModel(_, model) => c.rest_channel_model(model),
        Scope::Models(whole, models) => c.rest_models(&what_rests(m, entry, whole), &models.0.join(", ")),
    }
}

/// Why something rests, in words.
pub fn reason(m: Messages, rest: &Rest) -> String {
    let class = m.log.class_name(rest.class);
    match rest.status {
        Some(status) => format!("{class}, {}", m.channels.rest_status(status)),
        None => class.to_owned(),
    }
}
