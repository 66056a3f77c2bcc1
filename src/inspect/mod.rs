//! The pool to look at, for pages, the admin API and commands: where a call would go and why not elsewhere, and what a model
//! can serve. Nothing is decided here: it asks the code that decides.

mod capacity;
pub mod price;
mod route;

pub use capacity::{Shortages, of_channels, of_model, of_pool, shortages};
pub use route::{Candidate, Hurdle, Refused, RouteReport, explain};

use crate::scheduler::limit::Cost;

/// The size of a call, in model tokens; limits on tokens and too large calls depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Of the prompt.
    pub prompt: u32,
    /// Of the answer.
    pub completion: u32,
}

impl Size {
    /// A call of a chat, if nobody says what calls are like.
    pub const USUAL: Self = Self { prompt: 1000, completion: 500 };
    /// The largest size that can be asked about, for each of both.
    pub const MAX: u32 = 100_000_000;

    /// What it takes of limits.
    pub fn cost(self) -> Cost {
        let (prompt, completion) = (u64::from(self.prompt), u64::from(self.completion));
        let tokens = prompt + completion;
        Cost { input_tokens: prompt, tokens, most_tokens: tokens, units: 0 }
    }
}
