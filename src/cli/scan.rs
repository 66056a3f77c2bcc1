//! `onepool scan`: finds free models, tries out what they can do, and offers those that are chosen.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    time::Duration,
};

use clap::Command;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    Failure,
    ask::confirm,
    command::{Entry, folder_flags, json_switch, option, switch, verb, yes_switch},
    invocation::Invocation,
    output::{Cell, Look, Table, complain, tell},
    session::{Session, on_folder},
};
use crate::{
    discovery::{
        probe::{HeldBack, Prober, Share, Subject, call_count, open_kinds},
        scan::{Scanned, Wanted, candidates, millions, params_of, rank, usual_choice},
    },
    dispatch::Dispatch,
    i18n::Messages,
    model::{
        catalog::Catalog,
        channel::{ChannelModel, EffectiveTimeouts},
        decimal,
        id::ChannelId,
        probe::{ProbeKind, ProbeVerdict},
    },
    pool::{
        rules::{MAX_MODELS, is_model_name, is_price},
        upkeep::{Wish, patient_timeouts},
    },
    provider::Providers,
    ranking::chain::Purpose,
    scheduler::limit::LimitScope,
    selection::{Sources, rebuild},
    storage::{
        discovery::{DiscoveredModel, ModelFilter},
        probes::ProbeBook,
    },
    upstream::models::channel_model,
    web::api::probes::{HeldBackView, ProbeView},
};

/// `onepool scan`.
pub const ENTRY: Entry = Entry { name: "scan", command, run };

/// What a scan finds out.
const KINDS: [ProbeKind; 2] = [ProbeKind::Tools, ProbeKind::Vision];

const USUAL_CANDIDATES: u32 = 6;
const MOST_CANDIDATES: u32 = 1000;
const USUAL_TIMEOUT_MS: u32 = 12_000;
const MOST_TIMEOUT_MS: u32 = 600_000;
const USUAL_CONCURRENCY: u32 = 3;
const MOST_CONCURRENCY: u32 = 32;
const MOST_DAYS: u32 = 36_500;

/// The most models that are looked at.
const MOST_MODELS: usize = 100_000;
/// How far back the calls of clients are looked at before anything is asked.
const TRAFFIC: Duration = Duration::from_secs(7 * 86_400);
/// The longest answer of a person.
const MOST_ANSWER_BYTES: u64 = 10_000;

fn command(m: Messages) -> Command {
    let t = m.probes;
    let examples = &[
        "onepool scan",
        "onepool scan --provider openrouter --min-params 30 --max-age-days 365",
        "onepool scan --no-probe --json",
        "onepool scan --yes --set-default --set-image",
    ];
    verb(ENTRY.name, t.about(), examples, m)
        .arg(option("provider", "NAME", t.about_provider(), m))
        .arg(option("channel", "NAME", t.about_channel(), m))
        .arg(option("min-params", "BILLIONS", t.about_min_params(), m))
        .arg(option("max-age-days", "DAYS", t.about_max_age_days(), m))
        .arg(option("max-candidates", "NUMBER", t.about_max_candidates(), m))
        .arg(option("timeout", "MS", t.about_timeout(), m))
        .arg(option("concurrency", "NUMBER", t.about_concurrency(), m))
        .arg(option("quota-percent", "PERCENT", t.about_quota_percent(), m))
        .arg(switch("fresh", t.about_fresh(), m))
        .arg(switch("no-probe", t.about_no_probe(), m))
        .arg(yes_switch(m))
        .arg(switch("no-input", t.about_no_input(), m))
        .arg(switch("set-default", t.about_set_default(), m))
        .arg(switch("set-image", t.about_set_image(), m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

/// The options, read.
struct Options {
    wanted: Wanted,
    most: usize,
    timeout: Duration,
    concurrency: usize,
    percent: Option<u32>,
}

fn number(call: &Invocation, name: &str, usual: u32, least: u32, most: u32) -> Result<u32, Failure> {
    match call.text(name).map(str::parse::<u32>) {
        None => Ok(usual),
        Some(Ok(number)) if (least..=most).contains(&number) => Ok(number),
        Some(_) => Err(Failure::option(&format!("--{name}"), call.m.probes.count_wrong(least, most))),
    }
}

impl Options {
    fn read(call: &Invocation) -> Result<Self, Failure> {
        let t = call.m.probes;
        let least_params = match call.text("min-params") {
            None => None,
            Some(text) => {
                Some(millions(text).ok_or_else(|| Failure::option("--min-params", t.params_wrong()))?)
            }
        };
        let given = |name| call.text(name).is_some();
        let days = number(call, "max-age-days", 0, 1, MOST_DAYS)?;
        let now = crate::model::time::Clock::system().now();
        let age = Duration::from_secs(u64::from(days) * 86_400);
        let percent = number(call, "quota-percent", 0, 0, 100)?;
        Ok(Self {
            wanted: Wanted {
                provider: call.text("provider").map(str::to_owned),
                channel: None,
                least_params,
                created_after: given("max-age-days").then_some(now - age),
            },
            most: number(call, "max-candidates", USUAL_CANDIDATES, 1, MOST_CANDIDATES)? as usize,
            timeout: Duration::from_millis(u64::from(number(
                call,
                "timeout",
                USUAL_TIMEOUT_MS,
                1,
                MOST_TIMEOUT_MS,
            )?)),
            concurrency: number(call, "concurrency", USUAL_CONCURRENCY, 1, MOST_CONCURRENCY)? as usize,
            percent: given("quota-percent").then_some(percent),
        })
    }
}

/// A model that is to be tried out, and what of it.
struct Job {
    place: usize,
    kinds: Vec<ProbeKind>,
}

/// What a scan works with.
struct Scan<'a> {
    call: &'a Invocation<'a>,
    session: &'a Session,
    catalog: &'a Catalog,
    dispatch: &'a Dispatch,
    providers: &'a Providers,
    options: &'a Options,
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let mut options = Options::read(call)?;
    on_folder(call, async |session| {
        if let Some(name) = call.text("channel") {
            options.wanted.channel = Some(session.channel(name).await?.channel.id);
        }
        let catalog = session.catalog().await?;
        let (dispatch, _) = session.dispatch(&catalog).await?;
        let providers = session.providers.load();
        let scan = Scan {
            call,
            session,
            catalog: &catalog,
            dispatch: &dispatch,
            providers: &providers,
            options: &options,
        };
        scan.run().await
    })
}

impl Scan<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let Self { call, session, .. } = self;
        let db = &session.db;
        let filter = ModelFilter { free: true, ..ModelFilter::default() };
        let (models, _) = db.discovered_models(&filter, 0, MOST_MODELS).await?;
        let mut found = candidates(models, &self.options.wanted, |id| self.provider_of(id));
        found.truncate(self.options.most);
        db.note_probes_of_traffic(session.now() - TRAFFIC).await?;
        let mut scanned = self.with_results(found).await?;
        let clients = session.clients();
        let percent = self.options.percent.unwrap_or(self.catalog.settings.probe_quota_percent);
        let prober =
            Prober { db, clients: &clients, dispatch: self.dispatch, clock: &session.clock, percent };
        let (mut calls, mut held_back) = (0, None);
        if !call.is_on("no-probe") {
            let jobs = self.jobs(&scanned);
            if !jobs.is_empty() && self.agreed(&prober, &scanned, &jobs).await? {
                (calls, held_back) = self.probe(&prober, &scanned, jobs).await?;
                let models = scanned.into_iter().map(|one| one.model).collect();
                scanned = self.with_results(models).await?;
            }
        }
        rank(&mut scanned);
        if !call.is_on("json") {
            self.show(&scanned, calls, held_back)?;
        }
        let chosen = self.choose(&scanned)?;
        let offered = self.offer(&scanned, &chosen).await?;
        let mut pinned = BTreeMap::new();
        for (switch, purpose, kind) in [
            ("set-default", Purpose::Auto, ProbeKind::Tools),
            ("set-image", Purpose::Vision, ProbeKind::Vision),
        ] {
            if call.is_on(switch) {
                let best = chosen.iter().map(|place| &scanned[*place]).find(|one| one.does(kind));
                pinned.insert(purpose.as_str(), self.pin(best, purpose).await?);
            }
        }
        if call.is_on("json") {
            self.tell_json(&scanned, calls, held_back, &chosen, &pinned)?;
        } else {
            self.tell_changes(&scanned, offered, &pinned);
        }
        let failed = pinned.values().any(Option::is_none);
        if failed { Err(Failure::Told) } else { Ok(()) }
    }

    /// The provider of a channel that can be asked.
    fn provider_of(&self, id: ChannelId) -> Option<String> {
        let entry = self.catalog.channel(id)?;
        let has_key = entry.keys.iter().any(|key| key.enabled);
        (entry.channel.enabled && has_key).then(|| self.providers.of(&entry.channel.provider).id.clone())
    }

    async fn with_results(&self, models: Vec<DiscoveredModel>) -> Result<Vec<Scanned>, Failure> {
        let mut book = ProbeBook::new();
        // A statement has room for so many values.
        for part in models.chunks(200) {
            let names: Vec<(ChannelId, &str)> =
                part.iter().map(|model| (model.channel_id, model.facts.id.as_str())).collect();
            book.extend(self.session.db.probes_of(&names).await?);
        }
        let scanned = models.into_iter().map(|model| {
            let results = book.remove(&(model.channel_id, model.facts.id.clone())).unwrap_or_default();
            Scanned { model, results }
        });
        Ok(scanned.collect())
    }

    /// What is not known yet.
    fn jobs(&self, scanned: &[Scanned]) -> Vec<Job> {
        let fresh = self.call.is_on("fresh");
        let job = |(place, one): (usize, &Scanned)| {
            let known = if fresh { &[][..] } else { &one.results[..] };
            let kinds = open_kinds(&KINDS, Some(&one.model.facts), known, self.session.now());
            (!kinds.is_empty()).then_some(Job { place, kinds })
        };
        scanned.iter().enumerate().filter_map(job).collect()
    }

    /// Tells what the scan will cost, and asks whether it may. `false`: there is nobody to charge.
    async fn agreed(&self, prober: &Prober<'_>, scanned: &[Scanned], jobs: &[Job]) -> Result<bool, Failure> {
        let t = self.call.m.probes;
        let calls: usize = jobs.iter().map(|job| call_count(&job.kinds)).sum();
        let mut lines = vec![t.plan(jobs.len(), calls)];
        if scanned.len() > jobs.len() {
            lines.push(t.plan_known(scanned.len() - jobs.len()));
        }
        let mut of_shares: BTreeMap<String, (usize, Option<Share>)> = BTreeMap::new();
        let (mut without_key, mut short) = (Vec::new(), false);
        for job in jobs {
            let model = &scanned[job.place].model;
            let Some(entry) = self.catalog.channel(model.channel_id) else { continue };
            match prober.tightest_share(entry, &model.facts.id).await? {
                Err(_) if !without_key.contains(&model.channel) => without_key.push(model.channel.clone()),
                Err(_) => {}
                Ok(share) => {
                    let who = match &share {
                        Some(share) => t.quota_of(&model.channel, &self.scope_text(&share.scope)),
                        None => model.channel.clone(),
                    };
                    of_shares.entry(who).or_insert((0, share)).0 += call_count(&job.kinds);
                }
            }
        }
        for (who, (calls, share)) in &of_shares {
            lines.push(match share {
                Some(share) => {
                    short |= share.left < *calls as u64;
                    t.plan_share(*calls, who, share.max, share.used, share.left)
                }
                None => t.plan_free(*calls, who),
            });
        }
        if short {
            lines.push(t.plan_short().to_owned());
        }
        lines.extend(without_key.iter().map(|who| t.plan_no_key(who)));
        lines.iter().for_each(|line| complain(&super::output::clean(line)));
        if of_shares.is_empty() {
            return Ok(false);
        }
        if self.call.is_on("no-input") && !self.call.is_on("yes") {
            return Err(Failure::Usage(self.call.m.terminal.needs_yes(t.go_on())));
        }
        confirm(self.call, t.go_on())?;
        Ok(true)
    }

    fn scope_text(&self, scope: &LimitScope) -> String {
        let t = self.call.m.probes;
        match scope {
            LimitScope::Key(_) => t.scope_key().to_owned(),
            LimitScope::Group(_, group) => t.scope_group(group),
            LimitScope::KeyModel(_, model)
            | LimitScope::GroupModel(_, _, model)
            | LimitScope::Model(_, model) => t.scope_model(model),
            LimitScope::Channel(_) => t.scope_channel().to_owned(),
            LimitScope::Models(whole, _) => self.scope_text(whole),
        }
    }

    /// Makes the calls, some models at a time; has a running server charge them. Says how many there were, and why something
    /// was not asked.
    async fn probe(
        &self,
        prober: &Prober<'_>,
        scanned: &[Scanned],
        jobs: Vec<Job>,
    ) -> Result<(usize, Option<HeldBack>), Failure> {
        let total = jobs.len();
        let probes = jobs.into_iter().filter_map(|job| {
            let model = &scanned[job.place].model;
            let entry = self.catalog.channel(model.channel_id)?;
            Some(async move {
                let provider = self.providers.of(&entry.channel.provider);
                let patient = patient_timeouts(self.catalog, &entry.channel);
                let timeout = self.options.timeout;
                let timeouts = EffectiveTimeouts {
                    connect: patient.connect.min(timeout),
                    first_byte: timeout,
                    idle: patient.idle,
                };
                let subject = Subject { entry, provider, model: &model.facts.id, timeouts };
                let probed = prober.probe(&subject, &job.kinds, rand::random()).await?;
                prober.note_life(&subject, &probed).await?;
                for charged in &probed.calls {
                    self.session
                        .leave_wish(&Wish::Charge {
                            charge: charged.key,
                            channel: model.channel_id,
                            model: model.facts.id.clone(),
                            input_tokens: charged.cost.input_tokens,
                            tokens: charged.cost.tokens,
                        })
                        .await?;
                }
                Ok::<_, Failure>((&model.facts.id, probed))
            })
        });
        let mut probes = stream::iter(probes).buffer_unordered(self.options.concurrency);
        let (mut done, mut calls, mut held_back) = (0, 0, None);
        let shows_progress = io::stderr().is_terminal() && !self.call.is_on("json");
        while let Some(probed) = probes.next().await {
            let (name, probed) = probed?;
            done += 1;
            calls += probed.calls.len();
            held_back = held_back.or(probed.held_back);
            if shows_progress {
                complain(&super::output::clean(&self.call.m.probes.progress(done, total, name)));
            }
        }
        Ok((calls, held_back))
    }

    fn show(&self, scanned: &[Scanned], calls: usize, held_back: Option<HeldBack>) -> Result<(), Failure> {
        let t = self.call.m.probes;
        tell(self.call, &Value::Null, || {
            if scanned.is_empty() {
                return t.none().to_owned();
            }
            let d = self.call.m.discovery;
            let mut table = Table::new([
                t.col_number(),
                d.model(),
                d.channel(),
                t.col_image(),
                t.col_tools(),
                t.col_context(),
                t.col_params(),
            ]);
            for (place, one) in scanned.iter().enumerate() {
                let facts = &one.model.facts;
                let number = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
                let params =
                    params_of(&facts.id).map(|params| format!("{}B", decimal::show(params as i64, 3)));
                table.row([
                    Cell::number((place + 1).to_string()),
                    Cell::text(&facts.id),
                    Cell::text(&one.model.channel),
                    self.verdict(one, ProbeKind::Vision),
                    self.verdict(one, ProbeKind::Tools),
                    Cell::number(number(facts.context_window)),
                    Cell::number(params.unwrap_or_default()),
                ]);
            }
            let mut text = table.draw();
            let mut seeing: Vec<&Scanned> =
                scanned.iter().filter(|one| one.does(ProbeKind::Vision)).collect();
            seeing.sort_by_key(|one| one.result(ProbeKind::Vision).map(|result| result.duration_ms));
            if !seeing.is_empty() {
                let mut images = Table::new([t.heading_image(), d.channel(), t.col_image()]);
                for one in seeing {
                    images.row([
                        Cell::text(&one.model.facts.id),
                        Cell::text(&one.model.channel),
                        self.verdict(one, ProbeKind::Vision),
                    ]);
                }
                text = format!("{text}\n\n{}", images.draw());
            }
            if calls > 0 {
                text = format!("{text}\n\n{}", t.calls_made(calls));
            }
            if let Some(held_back) = held_back {
                text = format!("{text}\n{}", held_back_text(self.call.m, held_back));
            }
            text
        })
    }

    fn verdict(&self, one: &Scanned, kind: ProbeKind) -> Cell {
        let t = self.call.m.probes;
        let Some(result) = one.result(kind) else { return Cell::text("") };
        match result.verdict {
            ProbeVerdict::Ok if result.duration_ms > 0 => {
                Cell::text(t.took(result.duration_ms)).look(Look::Good)
            }
            ProbeVerdict::Ok => Cell::text(t.word_yes()).look(Look::Good),
            ProbeVerdict::Accepted => Cell::text(t.word_accepted()).look(Look::Doubtful),
            ProbeVerdict::Not => Cell::text(t.word_no()).look(Look::Bad),
            ProbeVerdict::Unclear => Cell::text(t.word_unclear()).look(Look::Doubtful),
        }
    }

    /// The places of the models that are to be offered: those that the person at the terminal names, or the usual ones with
    /// `--yes` or `--no-input`; without a person and without these none.
    fn choose(&self, scanned: &[Scanned]) -> Result<Vec<usize>, Failure> {
        let t = self.call.m.probes;
        let usual = usual_choice(scanned);
        if self.call.is_on("yes") || self.call.is_on("no-input") {
            return Ok(usual);
        }
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        if scanned.is_empty() || self.call.is_on("json") || self.call.is_on("no-probe") || !can_ask {
            let sets = self.call.is_on("set-default") || self.call.is_on("set-image");
            return Ok(if sets { usual } else { Vec::new() });
        }
        let numbers: Vec<String> = usual.iter().map(|place| (place + 1).to_string()).collect();
        let shown = if numbers.is_empty() { "0".to_owned() } else { numbers.join(",") };
        loop {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "{} ", t.choose(&shown)).and_then(|()| stderr.flush());
            let mut answer = String::new();
            let read = io::stdin().lock().take(MOST_ANSWER_BYTES).read_line(&mut answer);
            match read {
                Ok(0) | Err(_) => return Err(Failure::Text(t.no_answer().to_owned())),
                Ok(_) if answer.trim().is_empty() => return Ok(usual),
                Ok(_) => {}
            }
            match chosen(&answer, scanned.len()) {
                Some(places) => return Ok(places),
                None => complain(&t.choose_wrong(scanned.len())),
            }
        }
    }

    /// Has the channels offer the chosen models; says how many are new.
    async fn offer(&self, scanned: &[Scanned], chosen: &[usize]) -> Result<usize, Failure> {
        let mut of_channels: BTreeMap<ChannelId, Vec<&Scanned>> = BTreeMap::new();
        for place in chosen {
            let one = &scanned[*place];
            of_channels.entry(one.model.channel_id).or_default().push(one);
        }
        let mut count = 0;
        for (id, wanted) in of_channels {
            // As it is now: somebody may have changed it during the scan.
            let entry = self.session.channel_of(id).await?;
            let mut models: Vec<ChannelModel> = entry.channel.models.clone();
            let before = models.len();
            for one in wanted {
                let mut model = channel_model(&one.model.facts);
                model.price = model.price.filter(|price| is_price(*price));
                let is_new = !models.iter().any(|known| known.name == model.name);
                if is_new && is_model_name(&model.name) && models.len() < MAX_MODELS {
                    models.push(model);
                }
            }
            if models.len() > before {
                count += models.len() - before;
                self.session.db.set_channel_models(id, &models, &entry.channel.redirects).await?;
            }
        }
        Ok(count)
    }

    /// Puts a model at the head of a managed chain; gives its name.
    async fn pin(&self, best: Option<&Scanned>, purpose: Purpose) -> Result<Option<String>, Failure> {
        let Some(best) = best else { return Ok(None) };
        let session = self.session;
        let Some(provider) = self.provider_of(best.model.channel_id) else { return Ok(None) };
        let tables = session.providers.ranking().load();
        let names = session.db.own_model_names().await?;
        let identities = tables.identities.clone().with_own(&names);
        let identity = identities.identify(&provider, &best.model.facts.id).identity;
        let chains = session.db.managed_chains().await?;
        let Some(mut chain) = chains.into_iter().find(|chain| chain.purpose == purpose) else {
            return Ok(None);
        };
        chain.pins.retain(|pin| *pin != identity);
        chain.pins.insert(0, identity);
        chain.pins.truncate(crate::storage::ranking::MOST_PINS);
        session.db.update_managed_chain(&chain).await?;
        // A running server does the same within seconds.
        let catalog = session.catalog().await?;
        let sources = Sources {
            db: &session.db,
            catalog: &catalog,
            providers: &session.providers,
            dispatch: Some(self.dispatch),
            now: session.now(),
        };
        rebuild(sources).await?;
        Ok(Some(best.model.facts.id.clone()))
    }

    fn tell_changes(
        &self,
        scanned: &[Scanned],
        offered: usize,
        pinned: &BTreeMap<&'static str, Option<String>>,
    ) {
        let t = self.call.m.probes;
        if offered > 0 {
            complain(&t.offered(offered));
        }
        for (chain, model) in pinned {
            complain(&match model {
                Some(model) => t.pinned(&super::output::clean(model), chain),
                None => t.nothing_to_pin(chain),
            });
        }
        if offered == 0 && pinned.is_empty() && !scanned.is_empty() && !self.call.is_on("no-probe") {
            complain(t.chosen_none());
        }
    }

    fn tell_json(
        &self,
        scanned: &[Scanned],
        calls: usize,
        held_back: Option<HeldBack>,
        chosen: &[usize],
        pinned: &BTreeMap<&'static str, Option<String>>,
    ) -> Result<(), Failure> {
        let now = self.session.now();
        let items: Vec<Value> = scanned
            .iter()
            .enumerate()
            .map(|(place, one)| {
                let facts = &one.model.facts;
                let results: Vec<ProbeView> =
                    one.results.iter().map(|result| ProbeView::of(result, now)).collect();
                json!({
                    "model": facts.id,
                    "channel_id": one.model.channel_id.0,
                    "channel": one.model.channel,
                    "context_window": facts.context_window,
                    "params_millions": params_of(&facts.id),
                    "image": one.does(ProbeKind::Vision),
                    "tools": one.does(ProbeKind::Tools),
                    "tool_ms": one.tool_ms(),
                    "chosen": chosen.contains(&place),
                    "results": results,
                })
            })
            .collect();
        let held_back = held_back.map(HeldBackView::of);
        let json = json!({ "items": items, "calls": calls, "held_back": held_back, "pinned": pinned });
        tell(self.call, &json, String::new)
    }
}

fn held_back_text(m: Messages, held_back: HeldBack) -> &'static str {
    match held_back {
        HeldBack::NoKey => m.probes.held_no_key(),
        HeldBack::Limit => m.probes.held_limit(),
        HeldBack::Share => m.probes.held_share(),
    }
}

/// Numbers from 1 as places, each once; `0` alone is none. `None` if it is something else.
fn chosen(answer: &str, most: usize) -> Option<Vec<usize>> {
    let words: Vec<&str> =
        answer.split([',', '，', ' ']).map(str::trim).filter(|word| !word.is_empty()).collect();
    if words == ["0"] {
        return Some(Vec::new());
    }
    let mut places = Vec::new();
    for word in words {
        let number: usize = word.parse().ok().filter(|number| (1..=most).contains(number))?;
        if !places.contains(&(number - 1)) {
            places.push(number - 1);
        }
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn numbers_are_places_and_anything_else_is_asked_for_again() {
        assert_eq!(chosen("2, 1，2\n", 3), Some(vec![1, 0]));
        assert_eq!(chosen("0", 3), Some(vec![]));
        for wrong in ["4", "0,1", "one", "-1"] {
            assert_eq!(chosen(wrong, 3), None, "{wrong}");
        }
    }
}
