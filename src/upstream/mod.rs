//! The network to vendors: the only room that names `reqwest`.
//!
//! - [`client`]: sends one request; small, so that the HTTP library can be exchanged.
//! - [`address`]: which addresses an upstream may be on.
//! - [`outcome`]: what an upstream's refusal means; pure.

pub mod address;
pub mod client;
mod inflate;
pub mod outcome;
