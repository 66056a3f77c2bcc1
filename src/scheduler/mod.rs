//! Who gets the next call: pure bookkeeping.
//!
//! Nothing here reads a clock, a network, a database or a random source: `now` and random numbers are arguments, so the
//! same inputs always give the same plan. [`rest::RestBook`] knows what takes no calls, and until when.

pub mod rest;
