//! The scheduler's desk in real time: one for the process, shared by the relay, the pages and the jobs.
//!
//! [`scheduler::desk`](crate::scheduler::desk) is pure: it decides, and waits for nobody. Here are the clock, the dice, the lock,
//! and who waits for what. Whoever changes something serves the line before it lets go of the lock, and one
//! [driver](Dispatch::run) does so when it is time; nothing is polled in between.
//!
//! A call gets a [`Permit`] to send. It is given back on every path, also by dropping it: a client that leaves frees its
//! place in line or its slot at once.

mod declare;
mod told;

use std::{
    collections::{HashMap, HashSet},
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        catalog::{Catalog, Route},
        id::{ChannelId, KeyId},
        time::{Clock, UnixMs},
        usage::Endpoint,
    },
    provider::{ObservedLimit, Providers},
    scheduler::{
        budget::RetryBudget,
        desk::{Answer, Bounds, Call, Desk, Event, Grant, Refusal, WaiterId},
        limit::Cost,
        now::Now,
        pool::{Fault, Held, Plan, Pool, Sent, StemId, Taken, Tier, Tried, Why},
        queue::Class,
        rest::Scope,
    },
};
use declare::{OtherEndpoints, declaration};

/// How long a call waits for a tier before it looks at the next one, and how long one does for which nobody waits.
const SPILL_MS: i64 = 2_000;
const BATCH_SPILL_MS: i64 = 30_000;

/// Tokens of output that an answer is expected to have, until some have come.
const USUAL_OUTPUT: f32 = 1024.0;

/// How long a candidate that has lately left calls without an answer is given.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// The most calls that wait at all, unless the bound for one set of candidates is higher.
const MOST_WAITING: usize = 10_000;

/// Plans that are remembered, so that calls for the same candidates wait in one line.
const MOST_PLANS: usize = 4096;

/// Models that are known beside those that channels offer for chat, at most.
const MOST_OTHERS: usize = 10_000;

/// Stems of a channel share its weight; this can be divided by most numbers of them.
const WEIGHT_SCALE: u32 = 60;

/// A step of a call: who serves it, and when it is left for the next one.
#[derive(Debug, Clone)]
pub struct Stage<'a> {
    /// Who serves it.
    pub routes: Vec<&'a Route>,
    /// How long a call waits, from its arrival, before the next step is looked at, in milliseconds; `None`: as long as it may.
    pub spill_ms: Option<u32>,
}

/// Notes a call that goes out, so that it survives the death of the process.
pub type Note = Arc<dyn Fn(&Sent) + Send + Sync>;

/// The desk that all calls share. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Dispatch(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told when the driver has to wake earlier than it meant to.
    earlier: Notify,
    clock: Clock,
    note: Note,
}

#[derive(Default)]
struct State {
    desk: Desk,
    waiting: HashMap<WaiterId, oneshot::Sender<Result<Box<Grant>, Refusal>>>,
    plans: HashMap<Arc<Plan>, u64>,
    sets: u64,
    catalog: Option<(Arc<Catalog>, Arc<Providers>)>,
    other_endpoints: OtherEndpoints,
    /// The plans of keys whose provider was asked.
    key_plans: HashMap<KeyId, String>,
    /// What three of four answers of each stem had less output than, in tokens.
    outputs: HashMap<StemId, f32>,
    /// What three of four first contents of each stem took less than, in milliseconds.
    first_contents: HashMap<StemId, f32>,
    budget: RetryBudget,
    /// When the driver means to wake.
    wake: Option<UnixMs>,
}

/// The pool under the lock: what rests, what the limits allow. When it is dropped, calls that can be sent now are.
pub struct Locked<'a> {
    state: MutexGuard<'a, State>,
    shared: &'a Shared,
}

impl Deref for Locked<'_> {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        self.state.desk.pool()
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Pool {
        self.state.desk.pool_mut()
    }
}

impl Locked<'_> {
    /// The plan of a call by these steps, to look at: nobody waits for it.
    pub fn plan(&self, steps: &[Stage<'_>], endpoint: Endpoint) -> Plan {
        plan_of(self.state.desk.pool(), steps, endpoint, SPILL_MS, i64::MAX)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.shared.serve(&mut self.state);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now { steady: self.clock.steady(), wall: self.clock.now() }
    }

    fn locked(&self) -> Locked<'_> {
        Locked { state: self.state(), shared: self }
    }

    /// Serves the line: wakes those who can be sent, and those whose time is over.
    fn serve(&self, state: &mut State) {
        loop {
            let now = self.now();
            let mut given_back = false;
            for event in state.desk.poll(now, rand::random) {
                let (id, outcome) = match event {
                    Event::Send(id, grant) => (id, Ok(grant)),
                    Event::Refused(id, refusal) => (id, Err(refusal)),
                };
                let undelivered = match state.waiting.remove(&id) {
                    Some(waiter) => waiter.send(outcome).err(),
                    None => Some(outcome),
                };
                if let Some(Ok(grant)) = undelivered {
                    state.desk.pool_mut().cancel(grant.taken.slot, false, None, now);
                    given_back = true;
                }
            }
            if !given_back {
                break;
            }
        }
        let next = state.desk.next_wake();
        if let Some(next) = next
            && state.wake.is_none_or(|wake| next < wake)
        {
            self.earlier.notify_one();
        }
    }
}

impl Dispatch {
    /// A desk that knows nobody yet; see [`declare`](Self::declare).
    pub fn new(clock: Clock) -> Self {
        Self::noting(clock, Arc::new(|_| {}))
    }

    /// The same; each call is noted by `note` before it goes out. It may write, but not wait.
    pub fn noting(clock: Clock, note: Note) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), earlier: Notify::new(), clock, note }))
    }

    /// The time: steady, as the pool's rests are, and of the day.
    pub fn now(&self) -> Now {
        self.0.now()
    }

    /// The pool, for pages, restoring and saving. Hold it briefly and never across an `await`.
    pub fn lock(&self) -> Locked<'_> {
        self.0.locked()
    }

    /// Lets scopes take no calls for a time on an operator's word, models on every endpoint; gives the end as a time of day.
    pub fn pause(&self, scopes: &[Scope], length: Duration) -> UnixMs {
        let now = self.now();
        let mut pool = self.lock();
        for scope in scopes.iter().flat_map(on_every_endpoint) {
            pool.pause(&scope, now.steady + length, now);
        }
        now.wall + length
    }

    /// Lets exactly these keys and channels take no calls until a time of day, because their budgets are used up; others that did
    /// so for that reason take calls again. Says which are news.
    pub fn hold_for_budgets(&self, used_up: &[(Scope, UnixMs)]) -> Vec<Scope> {
        let now = self.now();
        let still: HashSet<&Scope> = used_up.iter().map(|(scope, _)| scope).collect();
        let mut pool = self.lock();
        pool.rests_mut().release_budgets(|scope| still.contains(scope));
        let held =
            used_up.iter().filter(|(scope, until)| pool.hold_for_budget(scope, now.to_steady(*until), now));
        held.map(|(scope, _)| scope.clone()).collect()
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.0.state().desk.waiting()
    }

    /// Serves the line when it is time, until `stopping`.
    pub async fn run(self, stopping: CancellationToken) {
        loop {
            let wake = {
                let mut state = self.0.state();
                self.0.serve(&mut state);
                let now = self.0.clock.steady();
                // Never at once again, whatever the desk asks for.
                state.wake = state.desk.next_wake().map(|at| at.max(now + Duration::from_millis(1)));
                state.wake
            };
            let due = async {
                match wake {
                    Some(at) => self.0.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.0.earlier.notified() => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Takes over a new catalog, or new facts about providers: which keys there are, for which models, what is allowed, and how
    /// many calls may wait. What is known of a scope that is declared again stays.
    pub fn declare(&self, catalog: Arc<Catalog>, providers: Arc<Providers>) {
        let mut state = self.0.state();
        state.catalog = Some((catalog, providers));
        self.0.redeclare(&mut state);
        self.0.serve(&mut state);
    }

    /// Declares what calls of an earlier run were for: a model on another endpoint than chat, or one that is only tested, is
    /// otherwise known only once somebody asks for it there. Call it before these calls are [replayed](Pool::replay).
    pub fn recall(&self, sent: &[Sent]) {
        let mut state = self.0.state();
        let before = state.other_endpoints.len();
        for call in sent {
            match elsewhere(&call.model) {
                Some((model, endpoint)) => {
                    state.other_endpoints.insert((call.channel, model.into(), endpoint));
                }
                None if state.desk.pool().find_stem(call.channel, &call.model).is_none() => {
                    state.other_endpoints.insert((call.channel, call.model.clone(), Endpoint::Chat));
                }
                None => {}
            }
        }
        if state.other_endpoints.len() > before {
            self.0.redeclare(&mut state);
        }
    }

    /// Who serves a call by these steps, of which a plain model is one: each step's tiers by the channels' priority. `most_wait`
    /// is how long the call may wait at all: nobody is refused for whom a lower tier has room, except at a step that is never
    /// left.
    pub fn plan(
        &self,
        steps: &[Stage<'_>],
        endpoint: Endpoint,
        class: Class,
        most_wait: Duration,
    ) -> PlannedCall {
        let patience_ms = match class {
            Class::Interactive => SPILL_MS,
            Class::Batch => BATCH_SPILL_MS,
        };
        let most_ms = i64::try_from(most_wait.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.0.state();
        if endpoint != Endpoint::Chat {
            let before = state.other_endpoints.len();
            for route in steps.iter().flat_map(|step| &step.routes) {
                let id = route.channel.channel.id;
                state.other_endpoints.insert((id, route.upstream_model.clone(), endpoint));
            }
            if state.other_endpoints.len() > before {
                self.0.redeclare(&mut state);
            }
        }
        let plan = plan_of(state.desk.pool(), steps, endpoint, patience_ms, most_ms);
        let stems = plan.tiers.iter().flat_map(|tier| &tier.stems);
        let usual_output = stems
            .map(|(stem, _)| state.outputs.get(stem).copied().unwrap_or(USUAL_OUTPUT))
            .fold(0.0, f32::max) as u64;
        if let Some((known, &set)) = state.plans.get_key_value(&plan) {
            return PlannedCall { plan: known.clone(), set, usual_output };
        }
        if state.plans.len() >= MOST_PLANS {
            state.plans.clear();
        }
        state.sets += 1;
        let (plan, set) = (Arc::new(plan), state.sets);
        state.plans.insert(plan.clone(), set);
        PlannedCall { plan, set, usual_output }
    }

    /// What a call of this plan that may only go to one key begins with.
    pub fn only(&self, plan: &Plan, key: KeyId) -> Tried {
        let stems = plan.tiers.iter().flat_map(|tier| &tier.stems).map(|(stem, _)| *stem);
        self.lock().all_but(stems, key)
    }

    /// Waits until the call may be sent: at once, or in line until its deadline. The permit says where to; the call comes
    /// back for the next attempt. Dropping the future frees the place in line.
    pub async fn acquire(&self, call: Call) -> Result<Granted, Refusal> {
        let (id, receiver) = {
            let mut state = self.0.state();
            let answer = state.desk.acquire(call, self.0.now(), rand::random());
            let queued = match answer {
                Answer::Send(grant) => Ok(Ok(grant)),
                Answer::Refused(refusal) => Ok(Err(refusal)),
                Answer::Queued(id) => {
                    let (sender, receiver) = oneshot::channel();
                    state.waiting.insert(id, sender);
                    Err((id, receiver))
                }
            };
            self.0.serve(&mut state);
            match queued {
                Ok(answer) => return answer.map(|grant| self.permit(*grant)),
                Err(queued) => queued,
            }
        };
        let mut waiting = Waiting { dispatch: self.clone(), id, receiver };
        // A sender never goes without an answer, as long as the desk keeps its books.
        let lost = Refusal { why: Why::Nobody, retry_after: None };
        let answer = (&mut waiting.receiver).await.unwrap_or(Err(lost));
        answer.map(|grant| self.permit(*grant))
    }

    fn permit(&self, grant: Grant) -> Granted {
        let Grant { taken, call, waited_for } = grant;
        let cost = call.cost;
        let permit = Permit::new(self.clone(), taken, cost);
        Granted { permit, call, waited_for }
    }

    /// The permission to find out about one key with one chat call, now: whatever rests, but not beyond a limit. `Ok(None)`
    /// if the key or its channel is off, so that there is nothing to charge.
    pub fn try_key(
        &self,
        channel: ChannelId,
        model: &str,
        key: KeyId,
        cost: Cost,
    ) -> Result<Option<Permit>, Why> {
        self.take_key(channel, model, key, cost, true)
    }

    /// Charges a chat call that somebody else made with a key, such as a command beside the server.
    pub fn charge_key(&self, channel: ChannelId, model: &str, key: KeyId, cost: Cost) {
        if let Ok(Some(mut permit)) = self.take_key(channel, model, key, cost, false) {
            permit.sent();
            permit.used(cost);
        }
    }

    fn take_key(
        &self,
        channel: ChannelId,
        model: &str,
        key: KeyId,
        cost: Cost,
        only_if_allowed: bool,
    ) -> Result<Option<Permit>, Why> {
        self.know(channel, model);
        let now = self.now();
        let mut pool = self.lock();
        let Some(stem) = pool.find_stem(channel, model) else { return Ok(None) };
        let taken = pool.take_key(stem, key, cost, only_if_allowed, now)?;
        let dispatch = self.clone();
        Ok(taken.map(|taken| Permit::new(dispatch, taken, cost)))
    }

    /// How long a candidate that has lately left calls without an answer is given for its first content: a few seconds, or what
    /// is plenty by what it usually takes. Where that is not known, it is given longer each time, so that a slow one is not
    /// given up for ever.
    pub fn patience(&self, taken: &Taken) -> Duration {
        match self.0.state().first_contents.get(&taken.stem) {
            Some(usual_ms) => SHORT_PATIENCE.max(Duration::from_secs_f32(usual_ms * 3.0 / 1000.0)),
            None => SHORT_PATIENCE * (1 << taken.hangs.saturating_sub(1).min(5)),
        }
    }

    /// The calls that have been under way for longer than `longest`.
    pub fn stuck(&self, longest: Duration) -> Vec<Held> {
        let oldest = self.now().steady - longest;
        let mut held = self.lock().under_way();
        held.retain(|held| held.since < oldest);
        held
    }

    /// Takes back what calls hold that have been under way for longer than `longest`, which must be longer than any call
    /// may live; says what. They count against limits as sent. A call that lives all the same goes on, and gives nothing
    /// back a second time.
    pub fn release_stuck(&self, longest: Duration) -> Vec<Held> {
        let stuck = self.stuck(longest);
        let now = self.now();
        let mut pool = self.lock();
        for held in &stuck {
            pool.cancel(held.slot, true, None, now);
        }
        stuck
    }

    /// Has the limits of a channel count also for a model that it does not offer, so that a test of it is charged like any
    /// call. Clients are not sent there.
    pub fn know(&self, channel: ChannelId, model: &str) {
        let mut state = self.0.state();
        let is_known = state.desk.pool().find_stem(channel, model).is_some();
        if is_known || state.other_endpoints.len() >= MOST_OTHERS {
            return;
        }
        if state.other_endpoints.insert((channel, model.into(), Endpoint::Chat)) {
            self.0.redeclare(&mut state);
            self.0.serve(&mut state);
        }
    }

    /// Notes a client's call, which earns a part of a retry.
    pub fn earn_retry(&self) {
        self.0.state().budget.earn();
    }

    /// Whether a call that failed may be tried again there. Keys in good standing cost nothing.
    pub fn spend_retry(&self, permit: &Permit) -> bool {
        let mut state = self.0.state();
        let suspect = state.desk.pool().is_suspect(&permit.taken);
        state.budget.spend(suspect)
    }
}

impl Shared {
    fn redeclare(&self, state: &mut State) {
        let Some((catalog, providers)) = state.catalog.clone() else { return };
        let per_set = catalog.settings.queue_limit as usize;
        state.desk.set_bounds(Bounds { per_set, total: per_set.max(MOST_WAITING) });
        let told = declaration(&catalog, &providers, &state.other_endpoints, &state.key_plans);
        let pool = state.desk.pool_mut();
        pool.declare(&told.stems, &told.rules, told.resets, self.now());
        for (channel, model, counts) in told.counts {
            if let Some(stem) = pool.find_stem(channel, &model) {
                pool.set_counts(stem, counts);
            }
        }
    }
}

/// Of each step its tiers by the channels' priority; the stems of a channel share its weight.
fn plan_of(pool: &Pool, steps: &[Stage<'_>], endpoint: Endpoint, patience_ms: i64, most_ms: i64) -> Plan {
    let mut plan = Plan { tiers: Vec::with_capacity(1) };
    // Two steps may have names for one model of a channel; the first one that has it counts.
    let mut planned = HashSet::new();
    for step in steps {
        let leave_ms = step.spill_ms.map_or(i64::MAX, |ms| i64::from(ms).min(most_ms));
        let spill_ms = patience_ms.min(most_ms).min(leave_ms);
        let mut tiers: Vec<(i64, Tier)> = Vec::with_capacity(1);
        // A catalog has the routes of a channel one after the other.
        let of_channels = step.routes.chunk_by(|one, next| one.channel.channel.id == next.channel.channel.id);
        for of_channel in of_channels {
            let sharing = u32::try_from(of_channel.len()).unwrap_or(u32::MAX);
            for route in of_channel {
                let channel = &route.channel.channel;
                let name = rested_name(endpoint, &route.upstream_model);
                let Some(stem) = pool.find_stem(channel.id, &name) else { continue };
                if steps.len() > 1 && !planned.insert(stem) {
                    continue;
                }
                let weight = channel.weight.max(1).saturating_mul(WEIGHT_SCALE) / sharing;
                let stem = (stem, weight.max(1));
                match tiers.iter_mut().find(|(priority, _)| *priority == channel.priority) {
                    Some((_, tier)) => tier.stems.push(stem),
                    None => tiers.push((channel.priority, Tier { stems: vec![stem], spill_ms })),
                }
            }
        }
        tiers.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
        // The step is left from its last tier.
        if let Some((_, last)) = tiers.last_mut() {
            last.spill_ms = leave_ms;
        }
        plan.tiers.extend(tiers.into_iter().map(|(_, tier)| tier));
    }
    plan
}

/// A model's scope on every endpoint, that on chat first: what is paused with it. Other scopes stand for themselves.
pub fn on_every_endpoint(scope: &Scope) -> Vec<Scope> {
    let names = |model: &str| {
        let model: Arc<str> = model.into();
        let names = Endpoint::ALL.iter().map(|endpoint| rested_name(*endpoint, &model).to_string());
        names.collect::<Vec<_>>()
    };
    match scope {
        Scope::ChannelModel(id, model) => {
            names(model).into_iter().map(|name| Scope::ChannelModel(*id, name)).collect()
        }
        Scope::KeyModel(id, model) => {
            names(model).into_iter().map(|name| Scope::KeyModel(*id, name)).collect()
        }
        other => vec![other.clone()],
    }
}

/// The scope of the same model on chat, if a scope is one of a model on another endpoint.
pub fn on_chat(scope: &Scope) -> Option<Scope> {
    let chat_name = |name: &str| elsewhere(name).map(|(model, _)| model.to_owned());
    match scope {
        Scope::ChannelModel(id, name) => Some(Scope::ChannelModel(*id, chat_name(name)?)),
        Scope::KeyModel(id, name) => Some(Scope::KeyModel(*id, chat_name(name)?)),
        Scope::GroupModel(id, group, name) => Some(Scope::GroupModel(*id, group.clone(), chat_name(name)?)),
        _ => None,
    }
}

/// The model and the endpoint that a name stands for, if it is one of another endpoint than chat.
fn elsewhere(name: &str) -> Option<(&str, Endpoint)> {
    let others = Endpoint::ALL.iter().filter(|endpoint| **endpoint != Endpoint::Chat);
    others.filter_map(|endpoint| Some((name.strip_suffix(&format!(" ({endpoint})"))?, *endpoint))).next()
}

/// The name under which a model rests. A chat model that knows no embeddings must not rest for chat.
pub fn rested_name(endpoint: Endpoint, model: &Arc<str>) -> Arc<str> {
    match endpoint {
        Endpoint::Chat => model.clone(),
        other => format!("{model} ({other})").into(),
    }
}

/// A running estimate of what three of four values are below, with one more value: a step up by three for each that is
/// above, down by one for each that is below.
fn upper_quartile(estimate: f32, value: f32) -> f32 {
    let step = (estimate * 0.02).max(1.0);
    if value > estimate { (estimate + 3.0 * step).min(value) } else { (estimate - step).max(value) }
}

/// A place in line.
struct Waiting {
    dispatch: Dispatch,
    id: WaiterId,
    receiver: oneshot::Receiver<Result<Box<Grant>, Refusal>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let shared = &self.dispatch.0;
        let mut state = shared.state();
        if state.waiting.remove(&self.id).is_some() {
            state.desk.cancel(self.id);
        }
        // The answer may have come while the client left.
        if let Ok(Ok(grant)) = self.receiver.try_recv() {
            state.desk.pool_mut().cancel(grant.taken.slot, false, None, shared.now());
        }
        shared.serve(&mut state);
    }
}

/// Who may serve a call.
#[derive(Debug, Clone)]
pub struct PlannedCall {
    /// The candidates.
    pub plan: Arc<Plan>,
    /// The number of the line that calls of this plan wait in.
    pub set: u64,
    /// Tokens of output: fewer are in three of four answers of any of them.
    pub usual_output: u64,
}

/// A call that may be sent.
pub struct Granted {
    /// Where to.
    pub permit: Permit,
    /// The call, to come back with if it fails.
    pub call: Call,
    /// What it had to wait for, if it had to.
    pub waited_for: Option<Why>,
}

/// The permission to send one call to one key. Settle it, or let it fail; dropping it means that the client left.
pub struct Permit {
    dispatch: Dispatch,
    taken: Taken,
    cost: Cost,
    sent: bool,
    used: Option<Cost>,
    first_content: Option<Duration>,
}

impl Permit {
    fn new(dispatch: Dispatch, taken: Taken, cost: Cost) -> Self {
        Self { dispatch, taken, cost, sent: false, used: None, first_content: None }
    }

    /// Where to.
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Whether anybody else of a plan could take one more call like this now.
    pub fn another_could_take(&self, plan: &Plan) -> bool {
        let now = self.dispatch.now();
        self.dispatch.lock().could_take_beside(self.taken.slot, plan, self.cost, now)
    }

    /// Notes that the call goes out now: from here on the upstream may have counted it.
    pub fn sent(&mut self) {
        if self.sent {
            return;
        }
        self.sent = true;
        let Taken { channel, key, model, .. } = &self.taken;
        let at = self.dispatch.now().wall;
        let sent = Sent { at, channel: *channel, key: *key, model: model.clone(), cost: self.cost };
        (self.dispatch.0.note)(&sent);
    }

    /// Notes the upstream's answer: whether it accepted the call, with a status of success, and what its headers say of
    /// limits.
    pub fn answered(&self, accepted: bool, observed: &[ObservedLimit]) {
        let now = self.dispatch.now();
        let mut pool = self.dispatch.lock();
        if accepted {
            pool.accepted(self.taken.slot, now);
        }
        told::observed(&mut pool, &self.taken, accepted, observed, now);
    }

    /// Notes that the first content is there, so long after the call was sent.
    pub fn first_content(&mut self, after: Duration) {
        self.first_content = Some(after);
        // Others need not wait for the end of this answer.
        let now = self.dispatch.now();
        self.dispatch.lock().proved(self.taken.slot, now);
    }

    /// Notes what the call has really taken, for the case that it is dropped.
    pub fn used(&mut self, used: Cost) {
        self.used = Some(used);
    }

    /// Gives it back after an answer that came to its end.
    pub fn settle(self, used: Option<Cost>) {
        let now = self.dispatch.now();
        let mut pool = self.dispatch.lock();
        pool.settle(self.taken.slot, used, now);
        if let Some(used) = used.filter(|used| used.tokens > used.input_tokens) {
            let usual = pool.state.outputs.entry(self.taken.stem).or_insert(USUAL_OUTPUT);
            *usual = upper_quartile(*usual, (used.tokens - used.input_tokens) as f32);
        }
        if let Some(after) = self.first_content {
            let after_ms = after.as_secs_f32() * 1000.0;
            let usual = pool.state.first_contents.entry(self.taken.stem).or_insert(after_ms);
            *usual = upper_quartile(*usual, after_ms);
        }
    }

    /// Gives it back unsent, because a budget has no room for the call, which is not offered this key again; with
    /// `whole_channel`, no key of the channel.
    pub fn withhold(self, whole_channel: bool, tried: &mut Tried) {
        let now = self.dispatch.now();
        self.dispatch.lock().withhold(&self.taken, whole_channel, tried, now);
    }

    /// Gives it back after a bad answer. Says what rests for it and until when, on the steady clock.
    pub fn fail(self, fault: &Fault, tried: &mut Tried) -> Option<(Scope, UnixMs)> {
        let now = self.dispatch.now();
        self.dispatch.lock().fail(&self.taken, fault, tried, now)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // After `settle` and `fail` the pool finds nothing to do.
        let now = self.dispatch.now();
        self.dispatch.lock().cancel(self.taken.slot, self.sent, self.used, now);
    }
}
