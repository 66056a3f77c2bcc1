//! The network to vendors: the only room that names `reqwest`.
//!
//! - [`client`]: sends one request; small, so that the HTTP library can be exchanged.
//! - [`address`]: which addresses an upstream may be on.
//! - [`outcome`]: what an upstream's refusal means; pure.
//! - [`models`]: which models an upstream serves; [`check`]: whether a key works; [`counter`]: what it has used;
//!   [`probe`]: what a model can do.
//! - [`webhook`]: posts a message to an address of the operator's.

pub mod address;
pub mod check;
pub mod client;
pub mod clock;
pub mod counter;
mod inflate;
pub mod models;
pub mod outcome;
pub mod probe;
pub mod webhook;
