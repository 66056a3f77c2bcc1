//! Integration tests, in one binary: each module is one room of the program, seen from outside.

mod admin;
mod api;
mod architecture;
mod cli;
mod deploy;
mod discovery;
mod docs;
mod fake_upstream;
mod lists;
mod nginx;
mod notifications;
mod pool_file;
mod probes;
mod process;
mod recipes;
mod start;
mod support;
mod v1;
mod verdicts;
