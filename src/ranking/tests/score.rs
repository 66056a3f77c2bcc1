//! Scores and their reasons.

use super::super::{
    benchmark::{Benchmarks, Known, Measure},
    identity::Identity,
    score::{
        Component, Evidence, Measured, Part, Preset, Quota, Sample, Score, USUAL_RELIABILITY, USUAL_SPEED,
        Weights, WeightsFault, score,
    },
};

fn unknown() -> Evidence {
    Evidence {
        capability: Known::Unchecked,
        measured: Measured::default(),
        context_window: None,
        quota: Quota::Unknown,
    }
}

fn balanced(evidence: Evidence) -> Score {
    score(evidence, &Preset::Balanced.weights())
}

fn part(score: &Score, component: Component) -> Part {
    *score.parts.iter().find(|part| part.component == component).expect("a part")
}

fn points(evidence: Evidence, component: Component) -> Option<u16> {
    part(&balanced(evidence), component).points
}

fn calls(answered: u32, failed: u32) -> Evidence {
    Evidence { measured: Measured { answered, failed, ..Measured::default() }, ..unknown() }
}

fn speed(first_token_ms: (u32, u32), tokens_per_second: (u32, u32)) -> Evidence {
    let sample = |(mean, count)| Sample { mean, count };
    let measured = Measured {
        first_token_ms: sample(first_token_ms),
        tokens_per_second: sample(tokens_per_second),
        ..Measured::default()
    };
    Evidence { measured, ..unknown() }
}

#[test]
fn what_is_unknown_is_told_as_unknown_and_what_stands_in_for_it_is_shown() {
    let score = balanced(unknown());
    assert!(score.parts.iter().all(|part| part.points.is_none()), "{:?}", score.parts);
    let counted: Vec<u16> = score.parts.iter().map(|part| part.counted).collect();
    assert_eq!(counted, [0, USUAL_RELIABILITY, USUAL_SPEED, 0, 500]);
    assert_eq!(score.points, 350);
}

#[test]
fn contributions_add_up_to_the_score() {
    let capability = Benchmarks::embedded().of(&Identity::new("glm-5.2"), Measure::General);
    let evidence = Evidence {
        capability,
        context_window: Some(131_072),
        quota: Quota::Left(99),
        measured: Measured {
            answered: 95,
            failed: 5,
            first_token_ms: Sample { mean: 900, count: 90 },
            tokens_per_second: Sample { mean: 80, count: 90 },
        },
    };
    for preset in Preset::ALL {
        let score = score(evidence.clone(), &preset.weights());
        let sum: u16 = score.parts.iter().map(|part| part.contribution).sum();
        assert!(sum.abs_diff(score.points) <= 3, "{preset}: {score:?}");
        assert!(score.points <= 1000);
    }
}

#[test]
fn a_known_model_goes_before_one_that_is_unknown_and_else_the_same() {
    let known = Evidence {
        capability: Benchmarks::embedded().of(&Identity::new("qwen3-8b"), Measure::General),
        ..unknown()
    };
    assert!(balanced(known).points > balanced(unknown()).points);
    assert!(
        balanced(Evidence { context_window: Some(32_768), ..unknown() }).points > balanced(unknown()).points
    );
}

#[test]
fn few_calls_say_little_and_many_say_all() {
    let of = |answered, failed| points(calls(answered, failed), Component::Reliability);
    assert_eq!(of(0, 0), None);
    assert_eq!(of(0, 1), Some(727), "one failure does not condemn");
    assert_eq!(of(1, 0), Some(818), "one answer does not prove");
    assert_eq!(of(990, 10), Some(988));
    assert_eq!(of(0, 1000), Some(8));
    assert!(of(u32::MAX, u32::MAX).is_some_and(|points| (499..=501).contains(&points)));
    assert!(of(50, 0) > of(5, 0));
}

#[test]
fn quicker_is_better_and_few_samples_say_little() {
    let of = |first, flow| points(speed(first, flow), Component::Speed);
    assert_eq!(of((0, 0), (0, 0)), None);
    assert_eq!(of((2000, 100), (50, 100)), Some(500));
    assert!(of((300, 100), (200, 100)) > of((2000, 100), (50, 100)));
    assert!(of((300, 1), (200, 1)) < of((300, 100), (200, 100)));
    assert!(of((60_000, 1), (1, 1)) > of((60_000, 100), (1, 100)));
    assert!(of((300, 100), (0, 0)).is_some_and(|points| points > 800), "the first content alone");
    assert!(of((u32::MAX, u32::MAX), (u32::MAX, u32::MAX)).is_some());
}

#[test]
fn each_doubling_of_context_and_quota_is_worth_the_same() {
    let context = |window| points(Evidence { context_window: Some(window), ..unknown() }, Component::Context);
    assert_eq!(
        [4096, 8192, 16_384, 131_072, 1_048_576, u32::MAX].map(context),
        [Some(0), Some(0), Some(143), Some(571), Some(1000), Some(1000)]
    );
    let quota = |quota| points(Evidence { quota, ..unknown() }, Component::Quota);
    assert_eq!(
        [Quota::Left(0), Quota::Left(31), Quota::Left(1023), Quota::Left(u64::MAX), Quota::Unlimited]
            .map(quota),
        [Some(0), Some(500), Some(1000), Some(1000), Some(1000)]
    );
    assert_eq!(quota(Quota::Unknown), None);
}

#[test]
fn more_of_anything_never_lowers_a_score() {
    for preset in Preset::ALL {
        let of = |evidence| score(evidence, &preset.weights()).weighted;
        let mut last = 0;
        for window in (0..40).map(|step| 1000 * 2_u32.pow(step / 3) + 300 * step) {
            let now = of(Evidence { context_window: Some(window), ..unknown() });
            assert!(now >= last, "{preset} {window}");
            last = now;
        }
        last = 0;
        for left in 0..3000 {
            let now = of(Evidence { quota: Quota::Left(left), ..unknown() });
            assert!(now >= last, "{preset} {left}");
            last = now;
        }
    }
}

#[test]
fn weights_are_checked_and_presets_recognised() {
    assert_eq!(Weights::default().preset(), Some(Preset::Balanced));
    for preset in Preset::ALL {
        assert_eq!((preset.weights().check(), preset.weights().preset()), (Ok(()), Some(*preset)));
    }
    let none = Weights { capability: 0, reliability: 0, speed: 0, context: 0, quota: 0 };
    assert_eq!(none.check(), Err(WeightsFault::AllZero));
    assert_eq!(score(unknown(), &none).points, 0);
    let large = Weights { speed: 101, ..Weights::default() };
    assert_eq!(large.check(), Err(WeightsFault::TooLarge(Component::Speed)));
}
