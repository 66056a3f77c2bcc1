//! What is done to several channels, or to several keys of a channel, at a time.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    response::Response,
};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{
    delete::{models_of_only, tokens_of_only},
    find_channel,
    key::verdict_text,
    key_name,
};
use crate::{
    discovery::proof::{self, Depth, Subject},
    error::Result,
    i18n::Messages,
    model::{
        catalog::{Catalog, ChannelEntry},
        channel::EffectiveTimeouts,
        id::{ChannelId, KeyId},
        key::{Key, KeyVerdict},
    },
    pool::upkeep::{
        answered, belongs_to_key, concerns_channel, concerns_key, end_rests, patient_timeouts, wake,
    },
    scheduler::rest::Scope,
    storage::{StorageError, several::Change},
    web::{
        Site,
        admin::{
            chosen::{Chosen, Deed, DeletePage, Fact, ResultRow, back, done, show_results},
            visit::{FlashKind, Operator, Section, render, see_other, see_other_with},
        },
        form::Fields,
    },
};

/// The most keys that are tested at a time: somebody waits for the page.
const MOST_TESTS: usize = 50;
/// Of those, at once.
const TESTS_AT_ONCE: usize = 8;
/// How long each phase of a test may take.
const MOST_TEST: Duration = Duration::from_secs(15);
/// How long all tests may take together: a proxy in front gives up after 60 seconds, and then nobody sees what came of them.
const LONGEST: Duration = Duration::from_secs(45);

/// `GET /channels/chosen`: where its form stands.
pub(super) async fn to_channels(_operator: Operator) -> Response {
    see_other("/channels")
}

/// `POST /channels/chosen`: switches, wakes or deletes the channels of `pick`; deleting asks first, until `sure`.
pub(super) async fn change_channels(
    State(site): State<Site>,
    operator: Operator,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let offered =
        [Deed::Change(Change::On), Deed::Change(Change::Off), Deed::Change(Change::Delete), Deed::Wake];
    let deed = Deed::read(t, &fields, &offered)?;
    let back = back(&fields, "/channels");
    let Chosen { ids, mut failures } = match Chosen::read(t, &fields) {
        Ok(chosen) => chosen,
        Err(text) => return Ok(see_other_with(back, FlashKind::Bad, text)),
    };
    let catalog = site.catalog.load();
    let mut entries: Vec<Arc<ChannelEntry>> = Vec::new();
    for id in ids {
        match catalog.channel(ChannelId(id)) {
            Some(entry) => entries.push(entry.clone()),
            None => failures.push(ResultRow::missing(id, t.chosen.not_found())),
        }
    }
    if deed == Deed::Change(Change::Delete) && !fields.checked("sure") && !entries.is_empty() {
        return ask_channels(&operator, &catalog, &entries, back);
    }
    let mut left = entries.len();
    if let Deed::Change(change) = deed
        && left > 0
    {
        let ids: Vec<ChannelId> = entries.iter().map(|entry| entry.channel.id).collect();
        let missing = site.db.change_channels(&ids, change).await?;
        left -= missing.len();
        for entry in entries.iter().filter(|entry| missing.contains(&entry.channel.id)) {
            failures.push(ResultRow::bad(&entry.channel.name, t.chosen.not_found()));
        }
        site.catalog.reload().await?;
    }
    if matches!(deed, Deed::Wake | Deed::Change(Change::Delete)) {
        let is_meant = |scope: &_| entries.iter().any(|entry| concerns_channel(entry, scope));
        end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), is_meant);
    }
    let summary = match deed {
        Deed::Change(Change::On) => t.chosen.switched_on(left),
        Deed::Change(Change::Off) => t.chosen.switched_off(left),
        Deed::Change(Change::Delete) => t.chosen.deleted(left),
        Deed::Wake | Deed::Test => t.chosen.woken(left),
    };
    done(&operator, Section::Channels, summary, failures, back)
}

fn ask_channels(
    operator: &Operator,
    catalog: &Catalog,
    entries: &[Arc<ChannelEntry>],
    back: &str,
) -> Result<Response> {
    let t = operator.t();
    let ids: HashSet<ChannelId> = entries.iter().map(|entry| entry.channel.id).collect();
    let mut facts = vec![Fact::names(entries.iter().map(|entry| entry.channel.name.clone()).collect())];
    let keys: usize = entries.iter().map(|entry| entry.keys.len()).sum();
    if keys > 0 {
        facts.push(Fact::plain(t.chosen.delete_keys(keys)));
    }
    let models = models_of_only(catalog, |id| ids.contains(&id));
    let tokens = tokens_of_only(catalog, |id| ids.contains(&id));
    if models.is_empty() && tokens.is_empty() {
        facts.push(Fact::plain(t.chosen.delete_nothing()));
    }
    if !models.is_empty() {
        facts.push(Fact::list(t.chosen.delete_models(), models));
    }
    if !tokens.is_empty() {
        facts.push(Fact::list(t.channels.delete_tokens(), tokens));
    }
    render(&DeletePage {
        c: operator.chrome(Section::Channels),
        title: t.chosen.delete_channels_title(entries.len()),
        text: t.channels.delete_text(),
        facts,
        action: "/channels/chosen".to_owned(),
        back: back.to_owned(),
        picks: entries.iter().map(|entry| entry.channel.id.to_string()).collect(),
    })
}

/// `POST /channels/{id}/keys/chosen`: switches, tests, wakes or removes the keys of `pick`; removing asks first, until
/// `sure`. Ids of another channel's keys name nothing here.
pub(super) async fn change_keys(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let offered = [
        Deed::Change(Change::On),
        Deed::Change(Change::Off),
        Deed::Change(Change::Delete),
        Deed::Wake,
        Deed::Test,
    ];
    let deed = Deed::read(t, &fields, &offered)?;
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let list = format!("/channels/{}#channel-keys", entry.channel.id);
    let Chosen { ids, mut failures } = match Chosen::read(t, &fields) {
        Ok(chosen) => chosen,
        Err(text) => return Ok(see_other_with(&list, FlashKind::Bad, text)),
    };
    let mut keys: Vec<Arc<Key>> = Vec::new();
    for id in ids {
        match entry.keys.iter().find(|key| key.id == KeyId(id)) {
            Some(key) => keys.push(key.clone()),
            None => failures.push(ResultRow::missing(id, t.chosen.not_in_channel())),
        }
    }
    match deed {
        Deed::Change(Change::Delete) if !fields.checked("sure") && !keys.is_empty() => {
            return ask_keys(&operator, &entry, &keys, &list);
        }
        Deed::Test if keys.len() > MOST_TESTS => {
            let text = t.chosen.too_many_tests(keys.len(), MOST_TESTS);
            return Ok(see_other_with(&list, FlashKind::Bad, text));
        }
        Deed::Test => {
            let (rows, untested) = test(&site, &operator, &catalog, &entry, &keys).await?;
            let good = rows.iter().filter(|row| row.class == "ok").count();
            let summary = tested(t, good, keys.len(), untested);
            failures.extend(rows);
            return show_results(&operator, Section::Channels, summary, failures, &list);
        }
        _ => {}
    }
    let mut left = keys.len();
    if let Deed::Change(change) = deed
        && left > 0
    {
        let ids: Vec<KeyId> = keys.iter().map(|key| key.id).collect();
        let missing = site.db.change_keys(&ids, change).await?;
        left -= missing.len();
        for key in keys.iter().filter(|key| missing.contains(&key.id)) {
            failures.push(ResultRow::bad(key_name(key), t.chosen.not_in_channel()));
        }
        site.catalog.reload().await?;
    }
    if matches!(deed, Deed::Wake | Deed::Change(Change::Delete)) {
        let is_meant = |scope: &Scope| match (deed, scope) {
            (Deed::Wake, Scope::Channel(_) | Scope::ChannelModel(..)) => false,
            // A quota group's rest is what the page shows of its keys.
            (Deed::Wake, scope) => keys.iter().any(|key| concerns_key(&entry, key, scope)),
            (_, scope) => keys.iter().any(|key| belongs_to_key(key, scope)),
        };
        end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), is_meant);
    }
    let summary = match deed {
        Deed::Change(Change::On) => t.chosen.switched_on(left),
        Deed::Change(Change::Off) => t.chosen.switched_off(left),
        Deed::Change(Change::Delete) => t.chosen.removed(left),
        Deed::Wake | Deed::Test => t.chosen.woken(left),
    };
    done(&operator, Section::Channels, summary, failures, &list)
}

fn ask_keys(operator: &Operator, entry: &ChannelEntry, keys: &[Arc<Key>], list: &str) -> Result<Response> {
    let t = operator.t();
    let goes = |key: &Key| keys.iter().any(|chosen| chosen.id == key.id);
    let mut facts = vec![Fact::names(keys.iter().map(|key| key_name(key)).collect())];
    let takes_calls = entry.keys.iter().any(|key| key.enabled);
    if takes_calls && !entry.keys.iter().any(|key| key.enabled && !goes(key)) {
        facts.push(Fact::plain(t.chosen.delete_last_keys()));
    }
    render(&DeletePage {
        c: operator.chrome(Section::Channels),
        title: t.chosen.delete_keys_title(keys.len(), &entry.channel.name),
        text: t.chosen.delete_keys_text(),
        facts,
        action: format!("/channels/{}/keys/chosen", entry.channel.id),
        back: list.to_owned(),
        picks: keys.iter().map(|key| key.id.to_string()).collect(),
    })
}

/// Asks about keys, some at once, and says of each what is proved. What has no answer in time is left for another form, and
/// nothing is noted of it; says how many these are. What was saved stays if the visitor leaves.
async fn test(
    site: &Site,
    operator: &Operator,
    catalog: &Catalog,
    entry: &ChannelEntry,
    keys: &[Arc<Key>],
) -> Result<(Vec<ResultRow>, usize)> {
    let t = operator.t();
    let provider = site.catalog.provider_of(&entry.channel);
    let patient = patient_timeouts(catalog, &entry.channel);
    let timeouts = EffectiveTimeouts {
        connect: patient.connect.min(MOST_TEST),
        first_byte: patient.first_byte.min(MOST_TEST),
        idle: patient.idle.min(MOST_TEST),
    };
    let (ends, mut joined, mut untested) = (Instant::now() + LONGEST, false, 0);
    let mut rows = Vec::with_capacity(keys.len());
    for some in keys.chunks(TESTS_AT_ONCE) {
        let subjects: Vec<Subject> =
            some.iter().map(|key| Subject { entry, key, provider: &provider, timeouts }).collect();
        let now = site.clock.now();
        let mut asked = Vec::with_capacity(some.len());
        for subject in &subjects {
            asked.push(proof::check_key(&site.clients, &site.dispatch, subject, None, Depth::Proof, now));
        }
        let checks = until(ends, asked).await;
        for (subject, check) in subjects.iter().zip(checks) {
            let Some(check) = check else {
                let (name, text) = (key_name(subject.key), t.chosen.not_in_time().to_owned());
                rows.push(ResultRow { name, class: "warn", text });
                untested += 1;
                continue;
            };
            // One after the other, so that the second key of an account finds the group of the first.
            match proof::save(&site.db, subject, &check).await {
                Ok(group) => joined |= group.is_some(),
                Err(StorageError::Missing) => {
                    rows.push(ResultRow::bad(key_name(subject.key), t.chosen.not_in_channel()));
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            if answered(&check) {
                wake(site.dispatch.lock().rests_mut(), entry, subject.key, check.model.as_deref());
            }
            rows.push(ResultRow {
                name: key_name(subject.key),
                class: match check.verdict {
                    KeyVerdict::Callable | KeyVerdict::Known => "ok",
                    KeyVerdict::NotKnown => "warn",
                    KeyVerdict::Invalid => "bad",
                },
                text: verdict_text(t, check.verdict).to_owned(),
            });
        }
    }
    if joined {
        site.catalog.reload().await?;
    }
    Ok((rows, untested))
}

/// What came of tests, in a sentence or two.
fn tested(t: Messages, good: usize, all: usize, untested: usize) -> String {
    let tested = t.chosen.tested(good, all);
    if untested == 0 { tested } else { format!("{tested} {}", t.chosen.some_not_in_time(untested)) }
}

/// What comes of each, all at once; `None` of what is not done by `ends`. What is not begun by then is not begun any more.
async fn until<T>(ends: Instant, asked: Vec<impl Future<Output = T>>) -> Vec<Option<T>> {
    if Instant::now() >= ends {
        return asked.into_iter().map(|_| None).collect();
    }
    let bounded = asked.into_iter().map(|one| tokio::time::timeout_at(ends, one));
    join_all(bounded).await.into_iter().map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::{pending, ready},
    };

    use futures_util::FutureExt as _;

    use super::*;
    use crate::i18n::Lang;

    #[tokio::test]
    async fn what_hangs_is_given_up_in_time_and_what_was_answered_beside_it_is_kept() {
        let (bound, begun) = (Duration::from_millis(300), Instant::now());
        let ends = begun + bound;
        let slow = async |number: u32, wait: Duration| {
            tokio::time::sleep(wait).await;
            number
        };
        let asked = vec![
            slow(1, Duration::from_millis(5)).boxed_local(),
            pending::<u32>().boxed_local(),
            slow(3, Duration::from_secs(60)).boxed_local(),
        ];
        assert_eq!(until(ends, asked).await, [Some(1), None, None]);
        assert!((bound..bound + Duration::from_secs(20)).contains(&begun.elapsed()));
        let asks = Cell::new(0);
        let more = (0..8).map(|_| async { asks.set(asks.get() + 1) }).collect();
        assert_eq!(until(ends, more).await, [None; 8]);
        assert_eq!(asks.get(), 0, "nothing else is sent");
        assert_eq!(until(Instant::now() + LONGEST, vec![ready(5)]).await, [Some(5)]);
    }

    #[test]
    fn what_was_not_tested_is_told_beside_what_was() {
        let told = |lang, untested| tested(Messages::of(lang), 1, 3, untested);
        assert_eq!(told(Lang::En, 0), "1 of 3 keys are good.");
        let late = "1 of 3 keys are good. Not tested, because all together took too long: 2.";
        assert_eq!(told(Lang::En, 2), late);
        assert_eq!(told(Lang::Zh, 2), "3 个密钥中 1 个可用。 因总耗时过长，2 个未测试。");
    }
}
