//! The embedded data against recorded answers, and data that is wrong.

mod bounds;
mod calendar;
mod dialects;
mod fixes;
mod limits;
mod overrides;
mod presets;
mod refusals;

use std::collections::HashMap;

use super::{Fields, ObservedLimit, Providers, Verdict};
use crate::model::time::UnixMs;

/// 2026-10-06, 23:59:00 in UTC: 16:59 in Los Angeles, 07:59 of the next day in Shanghai.
const NOW: UnixMs = UnixMs(1_791_331_140_000);

fn observed(provider: &str, headers: &[(&str, &str)]) -> Vec<ObservedLimit> {
    let providers = Providers::embedded();
    providers.find(provider).expect("a known provider").observe(headers.iter().copied(), NOW)
}

fn judged(provider: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Option<Verdict> {
    let headers: HashMap<&str, &str> = headers.iter().copied().collect();
    let status = Some(status).filter(|status| *status != 0);
    let providers = Providers::embedded();
    let provider = providers.find(provider).expect("a known provider");
    provider.judge(status, |name| headers.get(name).copied(), &Fields::read(body.as_bytes()), NOW)
}

fn seconds_until(until: Option<UnixMs>) -> Option<f64> {
    Some(until?.since(NOW).as_secs_f64())
}
