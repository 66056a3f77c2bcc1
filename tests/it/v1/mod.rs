//! The endpoints of clients.

mod budgets;
mod capabilities;
mod chains;
mod clawrouter;
mod drain;
mod endpoints;
mod envelope;
mod faults;
mod fixes;
mod limits;
mod managed;
mod models;
mod network;
mod openrouter;
mod outages;
mod prices;
mod providers;
mod queue;
mod quotas;
mod rests;
mod routing;
mod streams;
mod tokens;
mod usage;
