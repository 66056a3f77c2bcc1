//! The pool as operators write it down: channels, keys, chains and tokens with explicit fields, for the admin API, the command
//! line and pool files. Turns such a description into what storage takes, or says what is wrong at which field.
//!
//! Knows no HTTP and no terminal. Start with [`input::ChannelInput`]; [`rules`] are also what the pages check by, and
//! [`upkeep`] is what an act on a channel or key brings with it. A pool file goes from [`load::Document`] to
//! [`apply::apply`]; a [`scenario`] is read in the same way, and simulated.

pub mod account;
pub mod apply;
pub mod file;
pub mod input;
pub mod load;
pub mod plan;
pub mod preset;
pub mod rules;
pub mod scenario;
pub mod secrets;
pub mod shape;
pub mod slip;
pub mod tree;
pub mod upkeep;
pub mod write;
