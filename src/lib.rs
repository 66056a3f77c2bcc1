//! OnePool: many upstream LLM keys behind one OpenAI-compatible endpoint.
//!
//! The map, from the top layer to the bottom; a layer names only what stands below it (`tests/it/architecture.rs`
//! checks that, ARCHITECTURE.md explains it):
//!
//! ```text
//! main, cli -> app -> web, jobs -> relay, pool -> dispatch, storage, upstream -> protocol, scheduler, provider -> model, error
//!              i18n (cli, web, jobs, pool, config)    export (cli, web, jobs)    config (app, cli, web)
//!              inspect (cli, web) -> dispatch
//!              selection (jobs, web, cli) -> dispatch, storage
//!              ranking (storage, selection, pool, jobs, web, cli), which names provider
//!              repair (cli, web) -> jobs, relay, discovery, pool, dispatch, storage, upstream, config, i18n
//!              notices (jobs, web, cli) -> pool, upstream
//!              openclaw (repair, cli) -> upstream, protocol, config
//!              metrics (web, app) -> model
//!              capture (web, app) -> upstream, storage, protocol
//!              ranking (storage, pool, jobs, web, cli), which names provider
//! ```

pub mod app;
pub mod capture;
pub mod cli;
pub mod config;
pub mod discovery;
pub mod dispatch;
pub mod error;
pub mod export;
pub mod i18n;
pub mod inspect;
pub mod jobs;
pub mod metrics;
pub mod model;
pub mod notices;
pub mod openclaw;
pub mod pool;
pub mod protocol;
pub mod provider;
pub mod ranking;
pub mod relay;
pub mod repair;
pub mod scheduler;
pub mod selection;
pub mod storage;
pub mod upstream;
pub mod web;
