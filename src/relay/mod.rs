//! One relayed call, from a client's request to its answer and its usage row.

pub mod recorder;
