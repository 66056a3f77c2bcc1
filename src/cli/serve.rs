//! `onepool serve`: runs the server until a signal.

use std::io::Write as _;

use clap::Command;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Failure,
    command::{Entry, all_flags, verb},
    invocation::Invocation,
    logging, runtime,
};
use crate::{
    app::App,
    config::Config,
    i18n::{Messages, cli::Cli},
    model::time::Clock,
};

/// `onepool serve`, and `onepool` alone.
pub const ENTRY: Entry = Entry { name: "serve", command, run };

fn command(m: Messages) -> Command {
    let examples = &["onepool serve", "onepool serve --data-dir /var/lib/onepool --listen 0.0.0.0:3000"];
    verb(ENTRY.name, m.cli.about_serve(), examples, m).args(all_flags(m))
}

/// Starts the server, prints its address (and the set-up link, if there is no account), and runs it until SIGTERM or
/// SIGINT. The first signal drains, a second one stops at once.
fn run(call: &Invocation) -> Result<(), Failure> {
    let (config, t) = (call.config()?, call.m.cli);
    logging::start(&config)?;
    allow_open_files();
    let runtime = runtime(t)?;
    let result = runtime.block_on(serve(config, t));
    // A second signal must not wait for tasks that hang.
    runtime.shutdown_background();
    result
}

/// Raises the soft limit of open files to the hard one. Most systems give 1024, so that old programs, which keep files in
/// a bit set of that size, don't break; a stream takes two, one for each side.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    // An unlimited number is refused by some systems; the old limit serves as well then, only fewer clients.
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, limit = limit.current, "cannot raise the limit of open files");
    }
}

async fn serve(config: Config, t: Cli) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(|error| Failure::Text(t.system_failed(&error.to_string())))?;
    let mut app = tokio::select! {
        app = App::start(config, Clock::system()) => app?,
        () = signals.next() => return Ok(()),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %app.address(), "listening");
    announce(&t.listening(&format!("http://{}", app.address())));
    if let Some(link) = app.setup_link() {
        announce(&t.set_up_here(&link));
    }
    let signalled = tokio::select! {
        () = signals.next() => true,
        () = app.stopped() => false,
    };
    tokio::select! {
        () = app.shutdown() => {}
        () = signals.next() => return Err(Failure::Text(t.stopped_at_once().to_owned())),
    }
    if !signalled {
        return Err(Failure::Text(t.stopped_by_fault().to_owned()));
    }
    tracing::info!("stopped");
    Ok(())
}

/// Prints a line on stdout, where it is read even if the log is off.
fn announce(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // A server whose output nobody reads runs all the same.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// The signals that ask a server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
