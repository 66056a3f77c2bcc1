//! Which model is worth calling first: scores with reasons, one model under many names, and the chains that come of it.
//!
//! Pure: what was measured, what is left and what lists say are arguments; the same arguments give the same chain. Names of models are
//! compared and never read: no word in a name is worth a point. Start reading at [`chain::build`].
//!
//! - [`identity`]: the same model at different providers, by a table (`data/identities.json`) that files may extend.
//! - [`benchmark`]: published figures with date and source (`data/benchmarks.json`), which files may extend as well.
//! - [`score`]: the weighted sum of capability, reliability, speed, context and quota, and why it is what it is.
//! - [`liveness`]: when a model leaves the chains, and when it may return.
//! - [`near`]: names to propose for one that nobody has.
//! - [`price`]: what models cost at their vendors, with date and source (`data/prices.json`), which files may extend as well.
//! - [`chain`]: `auto`, `auto:coding`, `auto:vision`, `auto:fast`.

pub mod benchmark;
pub mod chain;
mod data;
pub mod identity;
pub mod liveness;
pub mod near;
pub mod price;
pub mod score;

#[cfg(test)]
mod tests;
