//! What is known about vendors, as data: what they allow, how their headers count it, and what their refusals mean.
//!
//! Pure: bytes, headers and `now` are arguments. The data is in `data/`, one dated file per provider with its public
//! sources, and files from the data folder may replace any field of any of them. Start reading at [`Providers`], then
//! at `data.rs`, which documents every field of a file.
//!
//! Beside its limits and rules a file is a preset: where models are listed ([`Provider::list_address`],
//! [`Provider::read_list`]), how a key is proved ([`Provider::key_endpoint`]), which models cost nothing, and what the terms
//! say. `preset/` has these types, `listing/` reads the lists.
//!
//! A provider answers four questions: what is allowed for a model ([`Provider::limits_for`]), what an answer's headers
//! say is left ([`Provider::observe`]), what a refusal means ([`Provider::judge`]), and when a day or a month begins
//! anew ([`Provider::reset_at`]); and of some a key can ask what it has used ([`Provider::counter`]). What requests need
//! otherwise than OpenAI has it is in [`Provider::fixes_for`]. What it says is advice: nothing here counts or waits. Data that is wrong, and headers
//! that are wrong, may close a limit too early; they never open one.

mod calendar;
mod check;
mod counter;
mod data;
mod fields;
mod fixes;
mod judge;
mod limits;
pub mod listing;
mod load;
pub mod moment;
mod observe;
pub mod preset;
mod text;

pub use counter::CounterReading;
pub use data::{Auth, Confidence, Plan, QuotaOwner, RejectedCalls, Scope, Status, Text};
pub use fields::Fields;
pub use fixes::FixRule;
pub use judge::Verdict;
pub use limits::DeclaredLimit;
pub use load::{DataFault, GENERIC, MAX_FILE_BYTES, MAX_FILES, Provider, Providers};
pub use observe::ObservedLimit;
pub use text::without_quotes;

#[cfg(test)]
mod tests;
