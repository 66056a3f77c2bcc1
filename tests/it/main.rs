//! Integration tests, in one binary: each module is one room of the program, seen from outside.

mod admin;
mod api;
mod architecture;
mod capture;
mod cli;
mod deploy;
mod discovery;
mod docs;
mod fake_upstream;
mod lists;
mod live;
mod metrics;
mod nginx;
mod notifications;
mod pages;
mod playground;
mod pool_file;
mod probes;
mod process;
mod recipes;
mod start;
mod support;
mod v1;
mod verdicts;
