//! A fake upstream that models a vendor: keys, limits, models, exact answers, and every fault of [`Fault`].
//!
//! It listens on loopback, on a thread of its own, so that synchronous tests can use it too; the example
//! `fake_upstream` runs the same code as a process. HTTP is written by hand, because most faults break its rules.
//! Start with [`Upstream::start`]. Prompts steer the answer: `marker=abc words=20 first=5 delay=10 tool=1 reasoning=2
//! cached=3`; the text is [`answer::text`]. A model named `fault:<name>` always shows that fault.

pub mod answer;
mod control;
pub mod fault;
pub mod jobs;
pub mod media;
mod reply;
mod serve;
pub mod skill;
pub mod vendor;
pub mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{net::TcpStream, sync::oneshot, task::JoinSet, time::Instant};

pub use self::{
    answer::Pace,
    fault::{Fault, Seen},
    vendor::{KeyRules, KeyState, RetryAfter, Windows},
};
use self::{
    answer::{Answer, Kind},
    reply::Reply,
    serve::{After, Exchange, send},
    vendor::Vendor,
    wire::{Cut, Reader, Request, Writer},
};

/// How a call ended, as the upstream saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// It is still running.
    Running,
    /// The fake wrote all that it wanted to write.
    Finished,
    /// The client closed the connection before that.
    ClientLeft,
}

/// One request that the fake saw.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number, from 0, over all requests.
    pub index: usize,
    /// The number of its connection.
    pub connection: usize,
    /// When it was read.
    pub started: Instant,
    /// The request.
    pub request: Request,
    /// The body as JSON; of a form its texts; `null` if it is neither.
    pub body: Value,
    /// The form, if the body is one.
    pub form: Option<media::Form>,
    /// The credential.
    pub key: Option<String>,
    /// The model that it names.
    pub model: String,
    /// The fault that it met.
    pub fault: Option<Fault>,
    /// The status with which the vendor's own books refused it, if they did.
    pub refused: Option<u16>,
    /// How it ended.
    pub end: CallEnd,
    /// How long after its start it ended.
    pub ended_after: Option<Duration>,
    /// Pieces of content that were sent before the end.
    pub pieces: usize,
}

impl Call {
    /// Whether it asks for an inference (and not for the list of models).
    pub fn is_inference(&self) -> bool {
        kind_of(&self.request).is_some()
    }
}

#[derive(Default)]
struct Books {
    vendor: Vendor,
    pace: Pace,
    next: VecDeque<Option<Fault>>,
    by_key: BTreeMap<String, Fault>,
    by_model: BTreeMap<String, Fault>,
    all: Option<Fault>,
    models_list: Option<Fault>,
    recorded: Option<Recorded>,
    rejected_fields: Vec<(String, Reply)>,
    day: Option<vendor::Day>,
    pages: BTreeMap<String, Reply>,
    list: Option<Reply>,
    skills: BTreeMap<String, skill::Skills>,
    jobs: jobs::Jobs,
    calls: Vec<Call>,
    first_index: usize,
    open: usize,
    most_open: usize,
    connections: usize,
}

/// A vendor's refusal as somebody recorded it, and whom it is for.
struct Recorded {
    key: Option<String>,
    model: Option<String>,
    reply: Reply,
}

/// Calls that are remembered; a load test makes more than memory should hold.
const CALLS_KEPT: usize = 20_000;

/// Larger bodies are not remembered, only what they held.
const BODY_KEPT: usize = 4 << 20;

struct Shared {
    origin: String,
    books: Mutex<Books>,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no test panics while it holds the fake's books")
    }
}

/// A running fake upstream; it stops when this is dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Upstream {
    /// Starts one on a free port of 127.0.0.1, with any key and any model allowed.
    pub fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address"), 1).expect("a free port")
    }

    /// Starts one on this address with so many threads.
    pub fn start_on(address: SocketAddr, threads: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { origin: format!("http://{address}"), books: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || {
                runtime.block_on(accept(listener, shared, stopped));
                runtime.shutdown_background();
            }
        });
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:<port>/v1`
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Restricts the models; every name works before.
    pub fn set_models(&self, models: &[&str]) {
        self.shared.books().vendor.models = models.iter().map(|&model| model.to_owned()).collect();
    }

    /// Adds or changes a key. With the first key, all others become unknown (401).
    pub fn set_key(&self, key: &str, rules: KeyRules) {
        self.shared.books().vendor.set_key(key, rules);
    }

    /// Adds keys without limits.
    pub fn allow_keys(&self, keys: &[&str]) {
        for key in keys {
            self.set_key(key, KeyRules::default());
        }
    }

    /// Sets the speed and length of answers whose prompt does not say.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.books().pace = pace;
    }

    /// Every inference call meets this fault, or none.
    pub fn fail_all(&self, fault: impl Into<Option<Fault>>) {
        self.shared.books().all = fault.into();
    }

    /// Calls with this key meet this fault.
    pub fn fail_key(&self, key: &str, fault: Fault) {
        self.shared.books().by_key.insert(key.to_owned(), fault);
    }

    /// Calls for this model meet this fault.
    pub fn fail_model(&self, model: &str, fault: Fault) {
        self.shared.books().by_model.insert(model.to_owned(), fault);
    }

    /// Calls with this key (any, if `None`) for this model are refused with a vendor's recorded JSON.
    pub fn refuse_as_recorded(
        &self,
        key: Option<&str>,
        model: Option<&str>,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        let reply = Reply::new(status, "application/json", body);
        let reply = headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value));
        let (key, model) = (key.map(str::to_owned), model.map(str::to_owned));
        self.shared.books().recorded = Some(Recorded { key, model, reply });
    }

    /// Calls whose body has this field are refused with a vendor's recorded JSON; status 200 takes that back.
    pub fn reject_field(&self, field: &str, status: u16, body: &str) {
        let rejected = &mut self.shared.books().rejected_fields;
        rejected.retain(|(known, _)| known != field);
        if status != 200 {
            rejected.push((field.to_owned(), Reply::new(status, "application/json", body)));
        }
    }

    /// Calls for this model are answered like this, with these headers.
    pub fn answer_with_headers(&self, model: &str, headers: &[(&str, &str)]) {
        let body = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#;
        self.refuse_as_recorded(None, Some(model), 200, headers, body);
    }

    /// From now on calls are answered by the books of this day.
    pub fn begin_day(&self, day: vendor::Day) {
        self.shared.books().day = Some(day);
    }

    /// What a model can do; of others every request is answered with text.
    pub fn set_skills(&self, model: &str, skills: skill::Skills) {
        self.shared.books().skills.insert(model.to_owned(), skills);
    }

    /// What the list of models is, whatever the query.
    pub fn set_list(&self, body: &Value) {
        self.shared.books().list = Some(Reply::json(200, body));
    }

    /// What a GET of a path is answered with.
    pub fn set_page(&self, path: &str, body: &Value) {
        self.shared.books().pages.insert(path.to_owned(), Reply::json(200, body));
    }

    /// The next inference calls meet these, one each (`None`: works); then the other rules hold again.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.shared.books().next.extend(faults);
    }

    /// Requests for the list of models meet this fault, or none.
    pub fn fail_models_list(&self, fault: impl Into<Option<Fault>>) {
        self.shared.books().models_list = fault.into();
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut books = self.shared.books();
        books.next.clear();
        books.by_key.clear();
        books.by_model.clear();
        books.all = None;
        books.models_list = None;
        books.recorded = None;
    }

    /// Every request so far, the list of models and redirected ones included.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.books().calls.clone()
    }

    /// How many videos and responses it keeps.
    pub fn kept(&self) -> usize {
        self.shared.books().jobs.len()
    }

    /// Every inference call so far.
    pub fn inferences(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::is_inference).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.shared.books().forget();
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.books().open
    }

    /// The most connections that were ever open at once.
    pub fn most_open_connections(&self) -> usize {
        self.shared.books().most_open
    }

    /// Waits, at most this long, until the calls satisfy the condition; the calls then.
    ///
    /// # Panics
    /// When they do not in time; the panic shows them.
    pub async fn wait_for(&self, at_most: Duration, condition: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let deadline = Instant::now() + at_most;
        loop {
            let calls = self.calls();
            if condition(&calls) {
                return calls;
            }
            assert!(Instant::now() < deadline, "not within {at_most:?}: {calls:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

/// A port of 127.0.0.1 on which nothing listens: connections are refused.
pub fn refusing_base_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    format!("http://{address}/v1")
}

impl Books {
    fn forget(&mut self) {
        self.first_index += self.calls.len();
        self.calls.clear();
    }

    fn call(&mut self, index: usize) -> Option<&mut Call> {
        index.checked_sub(self.first_index).and_then(|place| self.calls.get_mut(place))
    }

    fn recorded_for(&self, key: Option<&str>, model: &str, body: &Value) -> Option<Reply> {
        let rejected = self.rejected_fields.iter().find(|(field, _)| !body[field].is_null());
        if let Some((_, reply)) = rejected {
            return Some(reply.clone());
        }
        let recorded = self.recorded.as_ref()?;
        let meant = recorded.key.as_deref().is_none_or(|its| key == Some(its))
            && recorded.model.as_deref().is_none_or(|its| model == its);
        meant.then(|| recorded.reply.clone())
    }

    fn fault_for(&mut self, key: Option<&str>, model: &str) -> Option<Fault> {
        if let Some(next) = self.next.pop_front() {
            return next;
        }
        model
            .strip_prefix("fault:")
            .and_then(Fault::find)
            .or_else(|| key.and_then(|key| self.by_key.get(key).copied()))
            .or_else(|| self.by_model.get(model).copied())
            .or(self.all)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a non-blocking listener");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    connections.spawn(serve_connection(socket, shared.clone()));
                }
            }
        }
    }
}

/// Counts an open connection.
struct Open(Arc<Shared>, usize);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        let mut books = shared.books();
        books.open += 1;
        books.connections += 1;
        books.most_open = books.most_open.max(books.open);
        let number = books.connections;
        drop(books);
        Self(shared, number)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.books().open -= 1;
    }
}

async fn serve_connection(mut socket: TcpStream, shared: Arc<Shared>) {
    let open = Open::new(shared.clone());
    _ = socket.set_nodelay(true);
    if shared.books().all == Some(Fault::ResetOnAccept) {
        _ = socket.set_zero_linger();
        return;
    }
    let after = {
        let (read, write) = socket.split();
        let mut reader = Reader::new(read);
        let mut writer = Writer::new(write);
        loop {
            let Ok(Some(request)) = reader.request().await else { break After::Close };
            match serve_request(&shared, open.1, request, &mut reader, &mut writer).await {
                Ok(After::KeepAlive) => writer.cut = Cut::Whole,
                Ok(after) => break after,
                Err(_) => break After::Close,
            }
        }
    };
    if after == After::Reset {
        _ = socket.set_zero_linger();
    }
}

/// Ends a call in the books, however its future ends.
struct Ending<'a> {
    shared: &'a Shared,
    index: usize,
    admitted: Option<String>,
    pieces: AtomicUsize,
    end: CallEnd,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut books = self.shared.books();
        if let Some(key) = &self.admitted {
            books.vendor.end(Some(key));
        }
        if let Some(call) = books.call(self.index) {
            call.end = self.end;
            call.ended_after = Some(call.started.elapsed());
            call.pieces = self.pieces.load(Ordering::SeqCst);
        }
    }
}

async fn serve_request(
    shared: &Shared,
    connection: usize,
    request: Request,
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
) -> io::Result<After> {
    if let Some(rest) = request.path.strip_prefix("/_fake/") {
        let reply = control::answer(&mut shared.books(), &request.method, rest, &request.body);
        return send(writer, &reply).await;
    }
    let kind = kind_of(&request);
    let mut request = request;
    let form = media::Form::of(&request);
    let body: Value = match &form {
        Some(form) => form.json(),
        None => serde_json::from_slice(&request.body).unwrap_or_default(),
    };
    if request.body.len() > BODY_KEPT {
        request.body = Vec::new();
    }
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let key = request.key().map(str::to_owned);
    let about = jobs::about(&request)
        .map(|(kind, id, rest)| (kind, id.to_owned(), rest.to_owned()))
        .filter(|_| kind.is_none());
    let mut told = None;
    let (index, fault, admitted, pace, skills, job_id) = {
        let mut books = shared.books();
        let fault = match kind {
            Some(_) => books.fault_for(key.as_deref(), &model),
            None if about.is_some() => books.fault_for(key.as_deref(), &model),
            None => books.models_list.filter(|_| is_models_list(&request)),
        };
        let previous = body["previous_response_id"].as_str();
        let known = previous.is_none_or(|id| books.jobs.knows(id, key.as_deref().unwrap_or_default()));
        let now = Instant::now();
        // A fault comes before the books of the keys: a broken vendor refuses nobody.
        let admitted = match (kind, fault) {
            (Some(_), None) if !known => {
                let message =
                    format!("Previous response with id '{}' not found.", previous.unwrap_or_default());
                let code = "previous_response_not_found";
                Err(Reply::error(400, &message, "invalid_request_error", code))
            }
            (Some(_), None) => match books.recorded_for(key.as_deref(), &model, &body) {
                Some(reply) => Err(reply),
                None => match &mut books.day {
                    Some(day) => Err(day.answer(&model)),
                    None => books.vendor.begin(key.as_deref(), &model, now),
                },
            },
            (_, Some(_)) => Ok(()),
            (None, None) if let Some((kind, id, rest)) = &about => {
                let name = key.as_deref().unwrap_or_default();
                books.vendor.check_key(key.as_deref()).map(|()| {
                    let about = (*kind, id.as_str(), rest.as_str());
                    told = Some(books.jobs.answer(&request, about, name, &body, &shared.origin));
                })
            }
            (None, None) if is_models_list(&request) => {
                Err(books.vendor.check_key(key.as_deref()).map_or_else(
                    |refusal| refusal,
                    |()| books.list.clone().unwrap_or_else(|| books.vendor.list()),
                ))
            }
            (None, None) if request.path.starts_with("/redirected/") => {
                Err(Reply::json(200, &serde_json::json!({"redirected": true})))
            }
            (None, None) if books.pages.contains_key(&request.path) => {
                Err(books.pages[&request.path].clone())
            }
            (None, None) => Err(Reply::new(404, "text/html", "<html><body>404 Not Found</body></html>")),
        };
        let job_id = match kind {
            Some(Kind::Other(path @ ("videos" | "responses")))
                if admitted.is_ok() && body["store"] != false =>
            {
                books.jobs.create(path, key.as_deref().unwrap_or_default(), &body)
            }
            _ => "theirs_unkept".to_owned(),
        };
        if books.calls.len() >= CALLS_KEPT {
            books.forget();
        }
        let index = books.first_index + books.calls.len();
        let skills = books.skills.get(&model).copied().filter(|_| fault.is_none());
        books.calls.push(Call {
            index,
            connection,
            started: now,
            request,
            body: body.clone(),
            form,
            key: key.clone(),
            model,
            fault,
            refused: admitted.as_ref().err().map(|reply| reply.status).filter(|status| *status >= 400),
            end: CallEnd::Running,
            ended_after: None,
            pieces: 0,
        });
        (index, fault, admitted, books.pace, skills, job_id)
    };
    let mut ending = Ending {
        shared,
        index,
        admitted: key.clone().filter(|_| admitted.is_ok() && fault.is_none() && told.is_none()),
        pieces: AtomicUsize::new(0),
        end: CallEnd::ClientLeft,
    };
    let after = match admitted {
        Err(reply) => send(writer, &reply).await,
        Ok(()) if let Some(told) = told => match told {
            jobs::Told::Reply(reply) => send(writer, &reply).await,
            jobs::Told::Content { from, length, partial } => {
                jobs::content(writer, from, length, partial).await
            }
        },
        Ok(()) if skills.is_some_and(|skills| skill::answer(skills, &body).is_some()) => {
            tokio::time::sleep(pace.first).await;
            match skills.and_then(|skills| skill::answer(skills, &body)) {
                Some(reply) => send(writer, &reply).await,
                None => Ok(After::Close),
            }
        }
        Ok(()) => {
            let mut answer = Answer::to(kind.unwrap_or(Kind::Chat), &body, index, pace);
            answer.reasoning += skills.map_or(0, |skills| usize::from(skills.reasoning > 0));
            let exchange = Exchange {
                answer,
                request: &body,
                key: key.as_deref().unwrap_or_default(),
                fault,
                origin: &shared.origin,
                job_id: &job_id,
                pieces: &ending.pieces,
            };
            tokio::select! {
                biased;
                after = exchange.run(writer) => after,
                () = reader.closed() => Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    };
    if after.is_ok() {
        ending.end = CallEnd::Finished;
    }
    after
}

fn kind_of(request: &Request) -> Option<Kind> {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/v1/chat/completions") => Some(Kind::Chat),
        ("POST", "/v1/completions") => Some(Kind::Completion),
        ("POST", "/v1/embeddings") => Some(Kind::Embedding),
        _ => media::path_of(request).map(Kind::Other),
    }
}

fn is_models_list(request: &Request) -> bool {
    request.method == "GET" && request.path.split('?').next() == Some("/v1/models")
}
