//! The course of a simulation: events in the order of their times.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    Counting, Load, MOST_EVENTS, Report, Scenario, channel_of,
    load::Dice,
    provider::{Model, Verdict},
};
use crate::{
    model::{
        id::{KeyId, TokenId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    scheduler::{
        desk::{Answer, Bounds, Call, Desk, Event as DeskEvent, Grant, WaiterId},
        limit::{Cost, Models, Period},
        now::Now,
        pool::{Fault, Plan, Saved, SlotId, StemSpec, Tier, Tried, Why},
        queue::Class,
        rest::RestScope,
        rest::{Report as RestReport, Rest, Scope},
    },
};

/// A refused agent comes back after this, if it is not told when.
const AGENT_PAUSE_MS: i64 = 5_000;

/// How often the state is saved.
const SAVE_EVERY_MS: i64 = 1_000;

#[derive(Debug)]
enum Event {
    /// A client asks; agents do it again after each answer.
    Ask {
        client: usize,
        agent: bool,
    },
    /// A burst of an open load, or its next call.
    Arrivals {
        client: usize,
    },
    /// An attempt arrives at its provider.
    Upstream {
        attempt: usize,
    },
    /// The provider's verdict arrives here.
    Answer {
        attempt: usize,
        verdict: Verdict,
    },
    /// An answer ends.
    End {
        attempt: usize,
    },
    /// The desk's timer.
    Wake,
    Save,
    Stop,
    Start,
}

struct Attempt {
    grant: Box<Grant>,
    client: Asker,
    tries: u32,
    /// Which life of the server it belongs to.
    life: u32,
}

#[derive(Debug, Clone, Copy)]
struct Asker {
    client: usize,
    agent: bool,
    arrived: i64,
}

/// A simulation under way.
pub(super) struct Run<'a> {
    scenario: &'a Scenario,
    dice: Dice,
    now: i64,
    start: i64,
    events: BinaryHeap<Reverse<(i64, u64)>>,
    details: HashMap<u64, Event>,
    sequence: u64,
    desk: Desk,
    /// The models that are asked for, and the plan for each.
    asked: Vec<&'a str>,
    plans: Vec<Arc<Plan>>,
    /// The place of each client's model in `asked`.
    model_of: Vec<usize>,
    models: Vec<Model<'a>>,
    /// The first key's number of each provider.
    first_keys: Vec<i64>,
    attempts: Vec<Option<Attempt>>,
    free_attempts: Vec<usize>,
    waiting: HashMap<WaiterId, (Asker, u32)>,
    wake_at: Option<i64>,
    saved: Option<(Saved, Vec<(Scope, Rest)>)>,
    life: u32,
    down: bool,
    waits: Vec<i64>,
    report: Report,
}

impl<'a> Run<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let mut dice = Dice::new(scenario.seed);
        let start = scenario.start.0;
        let asked = scenario.models();
        let model_of = scenario
            .clients
            .iter()
            .map(|client| asked.iter().position(|model| *model == client.model).unwrap_or(0))
            .collect();
        let times = [start, start + scenario.warm_up_seconds as i64 * 1000];
        let models = scenario
            .providers
            .iter()
            .map(|provider| Model::new(provider, asked.len(), times, &mut dice))
            .collect();
        let mut first_keys = Vec::new();
        let mut keys = 1;
        for provider in &scenario.providers {
            first_keys.push(keys);
            keys += i64::from(provider.keys);
        }
        let seconds = scenario.seconds as usize;
        let report = Report {
            calls_by_client: vec![0; scenario.clients.len()],
            answered_by_client: vec![0; scenario.clients.len()],
            unserved_by_client: vec![0; scenario.clients.len()],
            attempts_in_trouble: scenario.providers.iter().map(|p| vec![0; p.keys as usize]).collect(),
            accepted_by_provider: vec![0; scenario.providers.len()],
            limited_by_provider: vec![0; scenario.providers.len()],
            faults_by_provider: vec![0; scenario.providers.len()],
            accepted_by_minute: vec![0; seconds.div_ceil(60)],
            ..Report::default()
        };
        let mut run = Self {
            scenario,
            dice,
            now: start,
            start,
            events: BinaryHeap::new(),
            details: HashMap::new(),
            sequence: 0,
            desk: Desk::new(Bounds::default()),
            asked,
            plans: Vec::new(),
            model_of,
            models,
            first_keys,
            attempts: Vec::new(),
            free_attempts: Vec::new(),
            waiting: HashMap::new(),
            wake_at: None,
            saved: None,
            life: 0,
            down: false,
            waits: Vec::new(),
            report,
        };
        run.open_desk();
        for (client, spec) in scenario.clients.iter().enumerate() {
            match spec.load {
                Load::Agents(agents) => {
                    for _ in 0..agents {
                        run.at(start, Event::Ask { client, agent: true });
                    }
                }
                Load::PerMinute(_) | Load::Bursts { .. } => run.at(start, Event::Arrivals { client }),
            }
        }
        if let Some(restart) = scenario.restart {
            run.at(start + restart.at_ms as i64, Event::Stop);
            run.at(start + (restart.at_ms + restart.down_ms) as i64, Event::Start);
            run.at(start, Event::Save);
        }
        run
    }

    fn at(&mut self, time: i64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((time.max(self.now), self.sequence)));
        self.details.insert(self.sequence, event);
    }

    fn moment(&self) -> Now {
        Now::both(UnixMs(self.now))
    }

    fn open_desk(&mut self) {
        let mut desk = Desk::new(Bounds::default());
        let (mut stems, mut rules, mut resets) = (Vec::new(), Vec::new(), HashMap::new());
        for (place, provider) in self.scenario.providers.iter().enumerate() {
            let keys = (0..provider.keys).map(|key| {
                let account = key / provider.keys_per_account;
                let group = (provider.keys_per_account > 1).then(|| format!("account {account}"));
                (KeyId(self.first_keys[place] + i64::from(key)), group)
            });
            let channel = channel_of(place);
            let keys: Vec<_> = keys.collect();
            for model in &provider.models {
                stems.push(StemSpec { channel, model: model.as_str().into(), keys: keys.clone() });
            }
            rules.extend(provider.rules(place));
            for enforced in &provider.enforced {
                if let Counting::Day { zone, offset_minutes } = &enforced.counting {
                    resets.insert(channel, (zone.clone(), *offset_minutes));
                }
            }
        }
        desk.pool_mut().declare(&stems, &rules, resets, self.moment());
        let plan = |model: &str| {
            let mut tiers: Vec<(u32, Tier)> = Vec::new();
            for (place, provider) in self.scenario.providers.iter().enumerate() {
                let Some(stem) = desk.pool().find_stem(channel_of(place), model) else { continue };
                match tiers.iter_mut().find(|(tier, _)| *tier == provider.tier) {
                    Some((_, tier)) => tier.stems.push((stem, 1)),
                    None => {
                        let tier = Tier { stems: vec![(stem, 1)], spill_ms: provider.spill_ms };
                        tiers.push((provider.tier, tier));
                    }
                }
            }
            tiers.sort_by_key(|(tier, _)| *tier);
            Arc::new(Plan { tiers: tiers.into_iter().map(|(_, tier)| tier).collect() })
        };
        self.plans = self.asked.iter().map(|model| plan(model)).collect();
        self.desk = desk;
    }

    /// Runs to the end.
    pub fn finish(mut self) -> Report {
        let end = self.start + self.scenario.seconds as i64 * 1000;
        let mut events = 0;
        while let Some(Reverse((time, number))) = self.events.pop() {
            if time >= end {
                break;
            }
            events += 1;
            if events > MOST_EVENTS {
                self.report.ended_early_at_s = Some((time - self.start).unsigned_abs() / 1000);
                break;
            }
            self.now = time;
            if let Some(event) = self.details.remove(&number) {
                self.handle(event);
                if !self.down {
                    self.serve_line();
                }
            }
        }
        self.report_quota(end);
        self.waits.sort_unstable();
        let rank = |share: f64| {
            let place = (self.waits.len() as f64 * share).ceil() as usize;
            self.waits.get(place.saturating_sub(1)).map_or(0, |wait| wait.unsigned_abs())
        };
        self.report.wait_p50_ms = rank(0.5);
        self.report.wait_p95_ms = rank(0.95);
        self.report.wait_max_ms = rank(1.0);
        self.report
    }

    fn report_quota(&mut self, end: i64) {
        let serves = |provider: usize, model: usize| {
            self.scenario.providers[provider].models.iter().any(|name| name == self.asked[model])
        };
        let of_models = |provider: usize, models: &[usize]| {
            let served: Vec<usize> =
                models.iter().copied().filter(|model| serves(provider, *model)).collect();
            if served.is_empty() { Some(0.0) } else { self.models[provider].allowed(&served, end) }
        };
        let all: Vec<usize> = (0..self.asked.len()).collect();
        let providers = 0..self.models.len();
        let each: Vec<Option<f64>> = providers.clone().map(|provider| of_models(provider, &all)).collect();
        let by_model = all.iter().map(|model| {
            let sum: Option<f64> = providers.clone().map(|provider| of_models(provider, &[*model])).sum();
            sum.map(|sum| sum.round() as u64)
        });
        let by_model = by_model.collect();
        self.report.unlimited = each.contains(&None);
        self.report.allowed_after_warm_up = each.iter().flatten().sum::<f64>().round() as u64;
        self.report.allowed_by_model = by_model;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Ask { client, agent } => self.ask(client, agent),
            Event::Arrivals { client } => self.arrivals(client),
            Event::Upstream { attempt } => self.upstream(attempt),
            Event::Answer { attempt, verdict } => self.answer(attempt, verdict),
            Event::End { attempt } => self.end(attempt),
            Event::Wake => self.wake_at = None,
            Event::Save => {
                if !self.down {
                    self.save();
                }
                self.at(self.now + SAVE_EVERY_MS, Event::Save);
            }
            Event::Stop => self.stop(),
            Event::Start => self.start_again(),
        }
    }

    fn arrivals(&mut self, client: usize) {
        match self.scenario.clients[client].load {
            Load::PerMinute(calls) => {
                self.ask(client, false);
                let gap = self.dice.exponential(60_000.0 / calls).round() as i64;
                self.at(self.now + gap, Event::Arrivals { client });
            }
            Load::Bursts { calls, every_ms } => {
                for _ in 0..calls {
                    self.ask(client, false);
                }
                self.at(self.now + every_ms as i64, Event::Arrivals { client });
            }
            Load::Agents(_) => {}
        }
    }

    fn ask(&mut self, client: usize, agent: bool) {
        if self.down {
            if agent {
                self.at(self.now + AGENT_PAUSE_MS, Event::Ask { client, agent });
            }
            return;
        }
        self.report.calls += 1;
        self.report.calls_by_client[client] += 1;
        let spec = &self.scenario.clients[client];
        let asker = Asker { client, agent, arrived: self.now };
        let call = Call {
            plan: self.plans[self.model_of[client]].clone(),
            set: self.model_of[client] as u64,
            cost: Cost::default(),
            conversation: None,
            token: TokenId(client as i64 + 1),
            weight: spec.weight,
            class: if spec.batch { Class::Batch } else { Class::Interactive },
            arrived: UnixMs(self.now),
            deadline: UnixMs(self.now + self.scenario.deadline_ms as i64),
            rests_until: UnixMs(self.now + self.scenario.deadline_ms as i64),
            tried: Tried::default(),
            place: None,
        };
        self.acquire(call, asker, 0);
    }

    fn acquire(&mut self, call: Call, asker: Asker, tries: u32) {
        let random = self.dice.next();
        match self.desk.acquire(call, self.moment(), random) {
            Answer::Send(grant) => self.send(grant, asker, tries),
            Answer::Queued(id) => {
                self.waiting.insert(id, (asker, tries));
                self.report.longest_line = self.report.longest_line.max(self.desk.waiting() as u64);
            }
            Answer::Refused(refusal) => self.refuse(asker, refusal.why, refusal.retry_after, tries),
        }
    }

    fn serve_line(&mut self) {
        let now = self.moment();
        let dice = &mut self.dice;
        for event in self.desk.poll(now, || dice.next()) {
            match event {
                DeskEvent::Send(id, grant) => {
                    if let Some((asker, tries)) = self.waiting.remove(&id) {
                        self.send(grant, asker, tries);
                    }
                }
                DeskEvent::Refused(id, refusal) => {
                    if let Some((asker, tries)) = self.waiting.remove(&id) {
                        self.refuse(asker, refusal.why, refusal.retry_after, tries);
                    }
                }
            }
        }
        if let Some(wake) = self.desk.next_wake().map(|wake| wake.0.max(self.now + 1))
            && self.wake_at.is_none_or(|at| wake < at)
        {
            self.wake_at = Some(wake);
            self.at(wake, Event::Wake);
        }
    }

    fn refuse(&mut self, asker: Asker, why: Why, retry_after: Option<Duration>, tries: u32) {
        self.report.reasons.count(why);
        self.report.unserved_by_client[asker.client] += 1;
        if tries == 0 || retry_after.is_some() {
            self.report.refused += 1;
            self.report.refused_late += u64::from(self.now - asker.arrived > 1_000);
        } else {
            self.report.failed += 1;
        }
        if asker.agent {
            let pause = retry_after.map_or(AGENT_PAUSE_MS, |after| after.as_millis() as i64);
            let pause = pause.clamp(1_000, 60_000);
            self.at(self.now + pause, Event::Ask { client: asker.client, agent: true });
        }
    }

    fn place(&self, grant: &Grant) -> (usize, u32) {
        let provider = grant.taken.channel.0 as usize - 1;
        (provider, (grant.taken.key.0 - self.first_keys[provider]) as u32)
    }

    fn send(&mut self, grant: Box<Grant>, asker: Asker, tries: u32) {
        if tries == 0 {
            self.waits.push(self.now - asker.arrived);
        }
        let (provider, _) = self.place(&grant);
        let life = self.life;
        let attempt = Attempt { grant, client: asker, tries: tries + 1, life };
        let index = match self.free_attempts.pop() {
            Some(index) => {
                self.attempts[index] = Some(attempt);
                index
            }
            None => {
                self.attempts.push(Some(attempt));
                self.attempts.len() - 1
            }
        };
        let delay = self.dice.shifted(f64::from(self.scenario.providers[provider].delay_ms));
        self.at(self.now + delay, Event::Upstream { attempt: index });
    }

    fn upstream(&mut self, index: usize) {
        let Some(attempt) = &self.attempts[index] else { return };
        let (provider, key) = self.place(&attempt.grant);
        let in_trouble = self.models[provider].trouble(key, self.now).is_some();
        let model = self.model_of[attempt.client.client];
        let verdict = self.models[provider].arrive(key, model, self.now);
        let measured = self.now - self.start >= self.scenario.warm_up_seconds as i64 * 1000;
        let report = &mut self.report;
        report.attempts += 1;
        report.attempts_in_trouble[provider][key as usize] += u64::from(in_trouble);
        match verdict {
            Verdict::Accepted => {
                report.accepted_after_warm_up += u64::from(measured);
                report.accepted_by_provider[provider] += 1;
                let minute = ((self.now - self.start) / 60_000) as usize;
                if let Some(count) = report.accepted_by_minute.get_mut(minute) {
                    *count += 1;
                }
            }
            Verdict::TooFast | Verdict::DayOver | Verdict::ModelDayOver => {
                report.limited += 1;
                report.limited_by_provider[provider] += 1;
                report.limited_after_warm_up += u64::from(measured);
            }
            Verdict::WrongKey | Verdict::GoneModel | Verdict::HostFault => {
                report.faults += 1;
                report.faults_by_provider[provider] += 1;
            }
        }
        let spec = &self.scenario.providers[provider];
        let back = self.dice.shifted(f64::from(spec.delay_ms));
        let work = match verdict {
            Verdict::Accepted => self.dice.shifted(f64::from(spec.first_content_ms)),
            _ => 5,
        };
        self.at(self.now + work + back, Event::Answer { attempt: index, verdict });
    }

    fn take_attempt(&mut self, index: usize) -> Option<Attempt> {
        let attempt = self.attempts[index].take()?;
        self.free_attempts.push(index);
        // What an earlier life of the server sent has nobody to come back to.
        (attempt.life == self.life).then_some(attempt)
    }

    fn answer(&mut self, index: usize, verdict: Verdict) {
        if verdict == Verdict::Accepted {
            let Some(attempt) = &self.attempts[index] else { return };
            let (provider, _) = self.place(&attempt.grant);
            let (slot, life): (SlotId, u32) = (attempt.grant.taken.slot, attempt.life);
            if life == self.life {
                let now = self.moment();
                self.desk.pool_mut().accepted(slot, now);
                self.desk.pool_mut().proved(slot, now);
            }
            let rest =
                self.dice.shifted(f64::from(self.scenario.providers[provider].rest_of_answer_ms)).max(1);
            self.at(self.now + rest, Event::End { attempt: index });
            return;
        }
        let Some(attempt) = self.take_attempt(index) else { return };
        let Attempt { grant, client, tries, .. } = attempt;
        let Grant { taken, mut call, .. } = *grant;
        let fault = fault_of(verdict);
        let now = self.moment();
        self.desk.pool_mut().fail(&taken, &fault, &mut call.tried, now);
        if tries >= self.scenario.attempts {
            self.refuse(client, Why::Tried, None, tries);
        } else {
            self.acquire(call, client, tries);
        }
    }

    fn end(&mut self, index: usize) {
        let Some(attempt) = self.take_attempt(index) else { return };
        let now = self.moment();
        self.desk.pool_mut().settle(attempt.grant.taken.slot, None, now);
        self.report.answered += 1;
        let Asker { client, agent, .. } = attempt.client;
        self.report.answered_by_client[client] += 1;
        if agent {
            self.at(self.now, Event::Ask { client, agent });
        }
    }

    fn save(&mut self) {
        let now = self.moment();
        let rests = self.desk.pool_mut().rests_mut().snapshot(now.steady);
        self.saved = Some((self.desk.pool_mut().save(now), rests));
    }

    fn stop(&mut self) {
        if self.scenario.restart.is_some_and(|restart| !restart.killed) {
            self.save();
        }
        self.life += 1;
        self.down = true;
        let waiting: Vec<Asker> = self.waiting.drain().map(|(_, (asker, _))| asker).collect();
        let under_way = self.attempts.iter().flatten().map(|attempt| attempt.client);
        let cut: Vec<Asker> = waiting.into_iter().chain(under_way).collect();
        self.report.cut_off += cut.len() as u64;
        for asker in cut.iter().filter(|asker| asker.agent) {
            self.at(self.now + 1_000, Event::Ask { client: asker.client, agent: true });
        }
    }

    fn start_again(&mut self) {
        self.down = false;
        self.wake_at = None;
        self.open_desk();
        let now = self.moment();
        let killed = self.scenario.restart.is_some_and(|restart| restart.killed);
        if let Some((saved, rests)) = self.saved.take() {
            let unsaved = killed.then_some(Duration::from_millis(SAVE_EVERY_MS as u64));
            self.desk.pool_mut().restore(&saved, unsaved, now);
            self.desk.pool_mut().rests_mut().restore(rests);
        }
    }
}

fn fault_of(verdict: Verdict) -> Fault {
    let (class, scope, period) = match verdict {
        Verdict::TooFast => (OutcomeClass::RateLimited, RestScope::KeyModel, None),
        Verdict::DayOver => (OutcomeClass::RateLimited, RestScope::Group, Some(Period::Day)),
        Verdict::ModelDayOver => (OutcomeClass::RateLimited, RestScope::KeyModel, Some(Period::Day)),
        Verdict::WrongKey => (OutcomeClass::KeyInvalid, RestScope::Key, None),
        Verdict::GoneModel => (OutcomeClass::ModelUnavailable, RestScope::ChannelModel, None),
        Verdict::HostFault | Verdict::Accepted => (OutcomeClass::HostError, RestScope::Channel, None),
    };
    let report = RestReport { class, asked: None, counted: false, status: None, detail: String::new() };
    Fault {
        report,
        scope,
        period,
        models: Models::default(),
        metric: None,
        allowed: None,
        window: None,
        pace: false,
        hung: false,
    }
}
