//! Who gets the next call: pure bookkeeping.
//!
//! Nothing here reads a clock, a network, a database or a random source: `now` and random numbers are arguments, so the
//! same inputs always give the same plan.
//!
//! [`desk::Desk`] is what calls come to: it stands on [`pool::Pool`], which knows what rests, whose turn it is and what the limits
//! still allow, reserves on them, and lets calls wait in line.
//! [`simulate`] runs a desk against modelled providers. [`rest::RestBook`] is what takes no calls, and until when.

pub mod budget;
pub mod calendar;
pub mod desk;
pub mod gauge;
mod learn;
pub mod limit;
pub mod now;
pub mod pool;
pub mod queue;
pub mod rest;
pub mod simulate;
pub mod window;
