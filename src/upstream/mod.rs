//! The network to vendors: the only room that names `reqwest`.
//!
//! - [`client`]: sends one request; small, so that the HTTP library can be exchanged.
//! - [`address`]: which addresses an upstream may be on.
//! - [`outcome`]: what an upstream's refusal means; pure.
//! - [`models`]: which models an upstream serves; [`check`]: whether a key works; [`counter`]: what it has used;
//!   [`probe`]: what a model can do.
//! - [`names`]: whether this machine finds upstreams' addresses; [`pieces`]: whether our own streams arrive piece by piece.
//! - [`webhook`]: posts a message to an address of the operator's; [`mail`]: sends a letter.

pub mod address;
pub mod check;
pub mod client;
pub mod clock;
pub mod counter;
mod inflate;
pub mod mail;
pub mod models;
pub mod names;
pub mod outcome;
pub mod pieces;
pub mod probe;
pub mod webhook;
