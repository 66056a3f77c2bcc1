//! The network to vendors, and what their answers mean. `reqwest` is named only here.
//!
//! Start with [`outcome`]: it turns an upstream's refusal into a class, a scope and a time, without any network.

pub mod outcome;
