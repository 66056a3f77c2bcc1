//! What runs by the clock. Each job is a future that the app spawns and cancels; none of them answers a request.

pub mod backups;
pub mod budgets;
pub mod counters;
pub mod discovery;
pub mod follow;
pub mod notices;
pub mod probes;
pub mod ranking;
pub mod rests;
pub mod retention;
pub mod sheets;
pub mod vitals;
