//! The vocabulary: plain data that every layer shares.
//!
//! Nothing here reads a clock (except [`time::Clock`] itself), a network, a file or a database. Start with
//! [`catalog::Catalog`], the snapshot that answers "who may ask for what, and who can serve it".

pub mod ability;
pub mod budget;
pub mod capture;
pub mod catalog;
pub mod chain;
pub mod channel;
pub mod decimal;
pub mod endpoint;
pub mod fix;
pub mod id;
pub mod in_flight;
pub mod key;
pub mod limit;
pub mod managed;
pub mod notice;
pub mod openclaw_export;
pub mod price;
pub mod printable;
pub mod probe;
pub mod recording;
pub mod secret;
pub mod settings;
pub mod time;
pub mod token;
pub mod unit_price;
pub mod upstream_job;
pub mod usage;
pub mod user;
