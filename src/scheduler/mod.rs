//! Who gets the next call: pure bookkeeping.
//!
//! Nothing here reads a clock, a network, a database or a random source: `now` and random numbers are arguments, so the
//! same inputs always give the same plan. [`ledger::Ledger`] knows what each candidate may do now and whose turn
//! it is; [`rest::RestBook`] what takes no calls, and until when.

pub mod budget;
pub mod desk;
pub mod gauge;
mod learn;
pub mod ledger;
pub mod limit;
pub mod now;
pub mod pool;
pub mod queue;
pub mod rest;
pub mod simulate;
pub mod window;
