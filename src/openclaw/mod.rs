//! OpenClaw on this machine: finding it and running its commands. Only its own commands change its configuration.
//!
//! The commands are those of <https://docs.openclaw.ai/cli>.

mod bucket;
mod change;
mod keep;
mod present;
mod probe;
mod program;

use std::time::Duration;

pub use bucket::ProbeBucket;
pub use change::{Action, Change, changes};
pub use keep::Kept;
pub use present::{Present, PresentKey, REDACTED, Unread, problems_of};
pub use probe::{Probed, Target, ask_for_models};
pub use program::{Call, Program, Ran, Said};

/// How long a restart may take: a safe one waits up to five minutes for work that runs.
const RESTART: Duration = Duration::from_secs(400);

/// Restarts OpenClaw's gateway, which lets work that runs come to its end first.
pub async fn restart_gateway(program: &Program) -> Ran {
    let ran = program.run(Call::new(["gateway", "restart", "--safe"]).within(RESTART)).await;
    match &ran {
        // Releases before `--safe` have the plain restart only.
        Ran::Ended(code, said) if *code != 0 && said.is_unknown() => {
            program.run(Call::new(["gateway", "restart"]).within(RESTART)).await
        }
        _ => ran,
    }
}
