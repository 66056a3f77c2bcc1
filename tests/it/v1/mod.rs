//! The endpoints of clients.

mod chains;
mod drain;
mod endpoints;
mod envelope;
mod faults;
mod limits;
mod models;
mod network;
mod providers;
mod queue;
mod quotas;
mod rests;
mod routing;
mod streams;
mod tokens;
mod usage;
