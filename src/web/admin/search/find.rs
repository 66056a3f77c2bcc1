//! What has such a name, of all kinds.

use super::{
    places::pages,
    wanted::{Wanted, best},
};
use crate::{
    config::TABLE,
    error::Result,
    i18n::{Lang, Messages},
    model::{
        catalog::{Catalog, ChannelEntry, PublicModel},
        key::Key,
        secret::SecretHash,
        token::Token,
        usage::trace_id,
    },
    ranking::chain::Purpose,
    storage::usage_query::{
        UsageFilter,
        rows::{Place, UsageRow},
    },
    web::{
        Site,
        admin::{channels::key_name, visit::Operator},
        format::Moment,
    },
};

/// The most of a kind that are shown.
const MOST: usize = 8;
/// The most calls that are shown: those of a trace id, of which there may be many.
const MOST_CALLS: usize = 5;

/// What was found.
pub(super) struct Found {
    /// By kind; none is empty.
    pub groups: Vec<Group>,
    /// How many there are, also those that are not shown.
    pub count: usize,
    /// The same question on the page of all models of the upstreams.
    pub in_all_models: String,
}

/// What was found of a kind.
pub(super) struct Group {
    /// For addresses within the page.
    pub id: &'static str,
    pub title: &'static str,
    pub hits: Vec<Hit>,
    /// Where all of them are, and what the link says; without an address it is only said.
    pub more: Option<(String, String)>,
}

/// Something that was found.
pub(super) struct Hit {
    pub href: String,
    pub name: String,
    /// Whether the name is written in letters of equal width.
    pub mono: bool,
    /// What helps to tell it from others of the name.
    pub about: String,
    pub time: Option<Moment>,
    /// Whether it is switched off.
    pub off: bool,
}

impl Hit {
    fn new(href: impl Into<String>, name: impl Into<String>, about: impl Into<String>) -> Self {
        let (href, name, about) = (href.into(), name.into(), about.into());
        Self { href, name, mono: false, about, time: None, off: false }
    }

    fn of_channel(entry: &ChannelEntry) -> Self {
        let channel = &entry.channel;
        let path = format!("/channels/{}", channel.id);
        Self { off: !channel.enabled, ..Self::new(path, &channel.name, &channel.base_url) }
    }

    fn of_key(t: Messages, entry: &ChannelEntry, key: &Key) -> Self {
        let path = format!("/channels/{}/keys/{}", entry.channel.id, key.id);
        Self {
            off: !key.enabled || !entry.channel.enabled,
            ..Self::new(path, key_name(key), t.search.key_of(&entry.channel.name))
        }
    }

    fn of_token(token: &Token) -> Self {
        let path = format!("/tokens/{}", token.id);
        Self { off: !token.enabled, ..Self::new(path, &token.name, format!("sk-…{}", token.last4)) }
    }

    fn of_model(t: Messages, model: &PublicModel) -> Self {
        let mut channels: Vec<_> = model.routes.iter().map(|route| route.channel.channel.id).collect();
        channels.sort_unstable();
        channels.dedup();
        let offered = match (channels.len(), model.routes.first()) {
            (1, Some(route)) => t.search.served_by_one(&route.channel.channel.name),
            (count, _) => t.search.served_by(count),
        };
        let other = model.routes.iter().map(|route| &*route.upstream_model).find(|name| *name != model.name);
        let about = other
            .map_or_else(|| offered.clone(), |name| format!("{} · {offered}", t.search.stands_for(name)));
        Self { mono: true, ..Self::new(with_query("/routes", "model", &model.name), &model.name, about) }
    }

    fn of_call(t: Messages, row: &UsageRow, time: Moment) -> Self {
        let about = format!("{} · {}", t.search.call_of(&row.token.name, &row.asked_model), row.status);
        let id = row.request_id.to_string();
        Self { mono: true, time: Some(time), ..Self::new(format!("/log/{id}"), id.clone(), about) }
    }
}

fn with_query(path: &str, name: &str, value: &str) -> String {
    format!("{path}?{}", form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish())
}

/// What of `count` is not among the hits, with a link to all of them if a page lists them.
fn group(
    t: Messages,
    id: &'static str,
    title: &'static str,
    (hits, count): (Vec<Hit>, usize),
    all: Option<String>,
) -> Group {
    let left = count.saturating_sub(hits.len());
    let more = (left > 0).then(|| match all {
        Some(href) => (href, t.search.more(count)),
        None => (String::new(), t.search.and_more(left)),
    });
    Group { id, title, hits, more }
}

/// The key or the token of which a text is the whole value.
pub(super) fn owners(site: &Site, t: Messages, value: &str) -> Vec<Group> {
    let catalog = site.catalog.load();
    let keys = catalog.channels().flat_map(|entry| entry.keys.iter().map(move |key| (entry, key)));
    let of_keys = keys.filter(|(_, key)| !value.is_empty() && key.secret.expose() == value);
    let (keys, key_count) = best(of_keys, MOST, |_| Some(0));
    let keys = keys.into_iter().map(|(entry, key)| Hit::of_key(t, entry, key)).collect();
    let of_tokens = catalog.find_credential(&SecretHash::of(value)).map(|found| {
        let mut hit = Hit::of_token(&found.token);
        if found.valid_until.is_some() {
            hit.about = format!("{} · {}", hit.about, t.search.replaced_until());
        }
        hit
    });
    let tokens: Vec<Hit> = of_tokens.into_iter().collect();
    let token_count = tokens.len();
    let groups = [
        group(t, "keys-by-value", t.search.group_keys(), (keys, key_count), None),
        group(t, "tokens-by-value", t.search.group_tokens(), (tokens, token_count), None),
    ];
    groups.into_iter().filter(|group| !group.hits.is_empty()).collect()
}

/// Everything that has such a name, of each kind the best. All but calls, notification targets and prices is read from memory.
pub(super) async fn everything(site: &Site, operator: &Operator, q: &str, wanted: &Wanted) -> Result<Found> {
    let t = operator.t();
    let catalog = site.catalog.load();
    let mut count = 0;
    let mut groups = Vec::new();
    let mut add = |id, title, found: (Vec<Hit>, usize), all: Option<String>| {
        count += found.1;
        if !found.0.is_empty() {
            groups.push(group(t, id, title, found, all));
        }
    };
    let s = t.search;
    add("calls", s.group_calls(), calls(site, t, &catalog, q).await?, None);
    add("pages", s.group_pages(), of_pages(t, wanted), None);
    add("channels", s.group_channels(), channels(&catalog, wanted), Some(with_query("/channels", "q", q)));
    add("keys", s.group_keys(), keys(t, &catalog, wanted), None);
    add("tokens", s.group_tokens(), tokens(&catalog, wanted), Some(with_query("/tokens", "q", q)));
    add("chains", s.group_chains(), chains(t, &catalog, wanted), Some("/chains".into()));
    add("models", s.group_models(), models(t, &catalog, wanted), None);
    add("targets", s.group_targets(), targets(site, wanted).await?, Some("/notifications".into()));
    add("prices", s.group_prices(), prices(site, wanted).await?, Some(with_query("/prices", "q", q)));
    add("settings", s.group_settings(), settings(t, wanted), None);
    Ok(Found { groups, count, in_all_models: with_query("/upstream-models", "q", q) })
}

/// The call of a request id, or the calls of a trace id and the turns that they make.
async fn calls(site: &Site, t: Messages, catalog: &Catalog, q: &str) -> Result<(Vec<Hit>, usize)> {
    let Ok(id) = q.parse::<uuid::Uuid>() else { return Ok((Vec::new(), 0)) };
    let filter = UsageFilter { search: Some(id.to_string()), ..UsageFilter::default() };
    let page = site.db.usage_page(&filter, Place::Newest, MOST_CALLS).await?;
    let now = site.clock.now();
    let time = |row: &UsageRow| Moment::new(t, row.at, now, &catalog.zone);
    let mut hits: Vec<Hit> = page.rows.iter().map(|row| Hit::of_call(t, row, time(row))).collect();
    if let Some((trace, row)) = trace_id(&id.simple().to_string()).zip(page.rows.first())
        && row.request_id.0 != id
    {
        let path = format!("/log/turns/{}/{trace}", row.token.id);
        let turn = Hit::new(path, trace, t.search.turn_of(&row.token.name));
        hits.insert(0, Hit { mono: true, ..turn });
    }
    let count = hits.len() + usize::from(page.older);
    Ok((hits, count))
}

fn of_pages(t: Messages, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let in_both = pages(Messages::of(Lang::En)).into_iter().zip(pages(Messages::of(Lang::Zh)));
    let (found, count) =
        best(in_both, MOST, |((_, english), (_, chinese))| wanted.misfit(&[english, chinese], &[]));
    let hit = |((href, english), (_, chinese)): ((&str, &str), (&str, &str))| {
        Hit::new(href, if t.lang == Lang::Zh { chinese } else { english }, href)
    };
    (found.into_iter().map(hit).collect(), count)
}

fn settings(t: Messages, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let (found, count) = best(TABLE.iter(), MOST, |setting| {
        wanted.misfit(&[setting.name, setting.label(Lang::En), setting.label(Lang::Zh)], &[])
    });
    let hit = |setting: &crate::config::Setting| {
        Hit::new(format!("/settings#{}", setting.name), setting.label(t.lang), setting.name)
    };
    (found.into_iter().map(hit).collect(), count)
}

fn channels(catalog: &Catalog, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let (found, count) = best(catalog.channels(), MOST, |entry| {
        let channel = &entry.channel;
        wanted.misfit(&[&channel.name, &channel.base_url, &channel.provider], &[&channel.note])
    });
    (found.into_iter().map(|entry| Hit::of_channel(entry)).collect(), count)
}

fn keys(t: Messages, catalog: &Catalog, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let keys = catalog.channels().flat_map(|entry| entry.keys.iter().map(move |key| (entry, key)));
    let (found, count) = best(keys, MOST, |(entry, key)| {
        let group = key.quota_group.as_deref().unwrap_or_default();
        wanted.misfit(&[&key.label, &key.last4, group], &[&entry.channel.name])
    });
    (found.into_iter().map(|(entry, key)| Hit::of_key(t, entry, key)).collect(), count)
}

fn tokens(catalog: &Catalog, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let (found, count) =
        best(catalog.tokens(), MOST, |token| wanted.misfit(&[&token.name, &token.last4, &token.note], &[]));
    (found.into_iter().map(|token| Hit::of_token(token)).collect(), count)
}

/// Chains that were made by hand, and the managed ones.
fn chains(t: Messages, catalog: &Catalog, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let by_hand = catalog.chains().map(|chain| {
        let path = format!("/chains/{}", chain.id);
        let about = t.search.steps(chain.steps.len());
        Hit { mono: true, off: !chain.enabled, ..Hit::new(path, &chain.name, about) }
    });
    let managed = Purpose::ALL.iter().map(|purpose| {
        let path = with_query("/ranking", "chain", purpose.as_str());
        Hit { mono: true, ..Hit::new(path, purpose.as_str(), t.search.managed()) }
    });
    best(by_hand.chain(managed), MOST, |hit| wanted.misfit(&[&hit.name], &[]))
}

/// What clients may ask for, by its public name or by an upstream's name for it; but for chains.
fn models(t: Messages, catalog: &Catalog, wanted: &Wanted) -> (Vec<Hit>, usize) {
    let plain = catalog.models().filter(|model| model.chain.is_none() && !model.managed);
    let (found, count) = best(plain, MOST, |model| {
        let others =
            model.routes.iter().map(|route| &*route.upstream_model).filter(|name| *name != model.name);
        let mut names: Vec<&str> = std::iter::once(model.name.as_str()).chain(others).collect();
        names.dedup();
        wanted.misfit(&names, &[])
    });
    (found.into_iter().map(|model| Hit::of_model(t, model)).collect(), count)
}

async fn targets(site: &Site, wanted: &Wanted) -> Result<(Vec<Hit>, usize)> {
    let targets = site.db.notice_targets().await?;
    let (found, count) = best(targets.iter(), MOST, |target| wanted.misfit(&[&target.set.name], &[]));
    let hit = |target: &crate::model::notice::Target| {
        let path = format!("/notifications/{}", target.id);
        Hit { off: !target.set.enabled, ..Hit::new(path, &target.set.name, "") }
    };
    Ok((found.into_iter().map(hit).collect(), count))
}

async fn prices(site: &Site, wanted: &Wanted) -> Result<(Vec<Hit>, usize)> {
    let prices = site.db.own_prices().await?;
    let (found, count) = best(prices.iter(), MOST, |own| wanted.misfit(&[&own.model], &[]));
    let hit = |own: &crate::model::price::OwnPrice| {
        let about = own.provider.as_deref().unwrap_or_default();
        Hit { mono: true, ..Hit::new(with_query("/prices", "q", &own.model), &own.model, about) }
    };
    Ok((found.into_iter().map(hit).collect(), count))
}
