//! placeholder
use super::*;

#[derive(Clone, Copy, Debug)]
enum Known { Right, TooHigh, Unknown }

fn provider(counting: Counting, known: Known, delay_ms: u32) -> Provider {
    let real = if matches!(known, Known::TooHigh) { 32 } else { 40 };
    Provider {
        keys: 3, keys_per_account: 1, tier: 0, spill_ms: 2000,
        declared: match known { Known::Unknown => vec![], _ => vec![Declared { per: Per::Key, metric: Metric::Requests, window: Window::MINUTE, max: 40 }] },
        enforced: vec![Enforced { counting, max: real, span_ms: 60_000 }],
        delay_ms, first_content_ms: 800, rest_of_answer_ms: 1200, counts_refused: false, troubles: vec![],
    }
}

#[test]
#[ignore = "prints"]
fn matrix() {
    for counting in [Counting::Rolling, Counting::Fixed, Counting::Bucket, Counting::SlidingCounter, Counting::Even] {
        for refused in [false, true] {
            if refused && counting != Counting::Rolling { continue }
            for known in [Known::Right, Known::TooHigh, Known::Unknown] {
                for delay in [40, 250] {
                    let cap = if matches!(known, Known::TooHigh) { 96.0 } else { 120.0 };
                    for (name, load) in [("closed", Load::Agents(40)), ("0.9", Load::PerMinute(cap * 0.9)), ("2x", Load::PerMinute(cap * 2.0))] {
                        let mut p = provider(counting.clone(), known, delay);
                        p.counts_refused = refused;
                        let (mut eff, mut lim, mut refs, mut failed, mut limw, mut late) = (vec![], vec![], vec![], 0, vec![], vec![]);
                        let mut last = None;
                        for seed in 0..5 {
                            let r = simulate(&Scenario { seconds: 600, warm_up_seconds: if matches!(known, Known::Unknown) {180} else {60}, start: UnixMs(1_791_331_140_000), seed, providers: vec![p.clone()],
                                clients: vec![Client { weight: 1, batch: false, load }], deadline_ms: 60_000, attempts: 6, restart: None }).unwrap();
                            eff.push(r.efficiency()); lim.push(r.limited); limw.push(r.limited_after_warm_up); refs.push(r.refused); failed += r.failed; late.push(r.refused_late);
                            last = Some(r);
                        }
                        let r = last.unwrap();
                        let m = eff.iter().copied().fold(f64::MAX, f64::min);
                        println!("{counting:?}{} {known:?} {delay} {name}: eff min {m:.3} {:.3} limited {lim:?} warm {limw:?} refused {refs:?} late {late:?} failed {failed} p50 {} p95 {} max {}", if refused {"+R"} else {""}, eff.iter().sum::<f64>()/5.0, r.wait_p50_ms, r.wait_p95_ms, r.wait_max_ms);
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "prints"]
fn one() {
    for seed in 0..5 {
    eprintln!("SEED {seed}");
    let p = provider(Counting::SlidingCounter, Known::Right, 40);
    let r = simulate(&Scenario { seconds: 600, warm_up_seconds: 60, start: UnixMs(1_791_331_140_000), seed, providers: vec![p],
        clients: vec![Client { weight: 1, batch: false, load: Load::PerMinute(240.0) }], deadline_ms: 60_000, attempts: 6, restart: None }).unwrap();
    println!("Report {} {:?}", r.efficiency(), r.accepted_by_minute);
    }
}
