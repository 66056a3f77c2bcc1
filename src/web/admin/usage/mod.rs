//! Usage per token, channel, key and model.

pub mod chart;
mod page;
pub mod period;

pub use page::router;
