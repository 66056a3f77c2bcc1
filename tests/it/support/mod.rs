//! What the tests share.

pub mod app;
pub mod raw;
#[allow(dead_code, unused_imports, reason = "the example `fake_upstream` is built from the same file")]
pub mod upstream;
