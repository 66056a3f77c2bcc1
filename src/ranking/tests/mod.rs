//! The embedded tables against the presets, and each part by itself.

mod benchmark;
mod chain;
mod identity;
mod liveness;
mod score;
