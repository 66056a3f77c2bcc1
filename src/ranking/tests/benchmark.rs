//! Published figures, and models without any.

use super::super::{
    benchmark::{Benchmarks, Known, Measure},
    identity::{Identities, Identity},
};
use crate::provider::{Providers, preset::KeyCheck};

fn points(benchmarks: &Benchmarks, model: &str, measure: Measure) -> Option<(u16, Measure)> {
    match benchmarks.of(&Identity::new(model), measure) {
        Known::Figure(capability) => Some((capability.points, capability.measure)),
        Known::NoneFound { .. } | Known::Unchecked => None,
    }
}

#[test]
fn every_model_of_the_presets_has_a_figure_or_somebody_looked_for_one() {
    let (providers, identities, benchmarks) =
        (Providers::embedded(), Identities::embedded(), Benchmarks::embedded());
    let mut named = 0;
    for provider in providers.all() {
        let hints = match &provider.key_check {
            KeyCheck::Completion(completion) => &completion.models[..],
            KeyCheck::Endpoint(_) | KeyCheck::None => &[],
        };
        let free = provider.free.iter().flat_map(|free| &free.models).filter(|name| !name.contains('*'));
        let models = provider.models.iter().map(|model| &model.id).chain(free).chain(hints);
        for name in models {
            let model = identities.identify(&provider.id, name).identity;
            let known = benchmarks.of(&model, Measure::General);
            assert_ne!(known, Known::Unchecked, "{name} at {} is {model}", provider.id);
            named += 1;
        }
    }
    assert!(named > 100, "{named}");
}

#[test]
fn each_figure_has_its_date_and_its_source() {
    let benchmarks = Benchmarks::embedded();
    let Known::Figure(glm) = benchmarks.of(&Identity::new("glm-5.2"), Measure::Coding) else {
        panic!("a figure")
    };
    assert_eq!((glm.value, glm.measure, glm.self_reported), (31.0, Measure::Coding, false));
    assert_eq!(glm.as_of.to_string(), "2026-10-01");
    assert!(glm.source.starts_with("https://"), "{}", glm.source);
    let Known::Figure(laguna) = benchmarks.of(&Identity::new("laguna-xs-2.1"), Measure::General) else {
        panic!("a figure")
    };
    assert!(laguna.self_reported, "nobody but the maker has measured it");
    let Known::NoneFound { checked, why } = benchmarks.of(&Identity::new("groq/compound"), Measure::General)
    else {
        panic!("no figure")
    };
    assert_eq!(checked.to_string(), "2026-11-20");
    assert!(why.is_some_and(|why| !why.en.is_empty() && !why.zh.is_empty()));
}

#[test]
fn figures_lie_between_the_fixed_points_of_their_benchmark() {
    let benchmarks = Benchmarks::embedded();
    // 61.5 of 40 to 85, and rank 164 of 469.
    assert_eq!(points(&benchmarks, "gpt-oss-120b", Measure::General), Some((478, Measure::General)));
    assert_eq!(points(&benchmarks, "gpt-oss-120b", Measure::Coding), Some((652, Measure::Coding)));
    let better = points(&benchmarks, "glm-5.2", Measure::Coding)
        > points(&benchmarks, "glm-4.7-flash", Measure::Coding);
    assert!(better, "a smaller rank is worth more");
    let none = points(&benchmarks, "gpt-oss-120b", Measure::Vision);
    assert_eq!(
        none,
        Some((478, Measure::General)),
        "without a figure for images the general one counts, and says so"
    );
    assert_eq!(points(&benchmarks, "no-such-model", Measure::General), None);
}

#[test]
fn a_file_brings_figures_of_ones_own() {
    let file = r#"{
        "benchmarks": [{"id": "mine", "name": {"en": "Mine", "zh": "我的"}, "measures": "general", "zero": 0, "full": 10, "source": "https://a.example"}],
        "figures": [
            {"model": "aion-3.0", "benchmark": "mine", "value": 7, "as_of": "2026-11-01", "source": "https://a.example"},
            {"model": "GLM-5.2", "benchmark": "mine", "value": 12, "as_of": "2026-11-01", "source": "https://a.example"},
            {"model": "gpt-oss-20b", "benchmark": "whatmodel", "value": 30, "as_of": "2026-11-01", "source": "https://a.example"}
        ],
        "none_found": [{"model": "new", "checked": "2026-11-20"}]
    }"#;
    let benchmarks = Benchmarks::with_overrides(&[("mine.json".into(), file.into())]).expect("no fault");
    assert_eq!(points(&benchmarks, "aion-3.0", Measure::General), Some((700, Measure::General)));
    assert_eq!(
        points(&benchmarks, "glm-5.2", Measure::General),
        Some((1000, Measure::General)),
        "one's own counts first"
    );
    assert_eq!(points(&benchmarks, "gpt-oss-20b", Measure::General), Some((0, Measure::General)));
    assert!(matches!(benchmarks.of(&Identity::new("new"), Measure::Coding), Known::NoneFound { .. }));
}

#[test]
fn malformed_figures_are_refused_with_their_place() {
    let figure =
        |fields: &str| format!(r#"{{"figures": [{{"model": "a", "as_of": "2026-11-01", {fields}}}]}}"#);
    for (text, place, words) in [
        ("".to_owned(), "line 1, column 1", "one JSON object"),
        (figure(r#""benchmark": "odd", "value": 1, "source": "https://a.example""#), "figures[0].benchmark", "none of this id"),
        (figure(r#""benchmark": "whatmodel", "value": 1, "source": "a friend""#), "figures[0].source", "http"),
        (figure(r#""benchmark": "whatmodel", "value": 1"#), "line 1, column 88", "missing field `source`"),
        (
            r#"{"none_found": [{"model": "glm-5", "checked": "2026-11-01"}]}"#.to_owned(),
            "none_found[0].model",
            "there is a figure",
        ),
        (
            r#"{"benchmarks": [{"id": "A", "name": {"en": "a", "zh": ""}, "measures": "coding", "zero": 1, "full": 1, "source": "x"}]}"#
                .to_owned(),
            "benchmarks[0].full",
            "two different",
        ),
    ] {
        let faults = Benchmarks::with_overrides(&[("mine.json".into(), text.clone())]).expect_err(&text);
        let found = faults.iter().any(|fault| {
            fault.file == "mine.json" && fault.place == place && fault.message.contains(words)
        });
        assert!(found, "{text}: {faults:?}");
    }
}
