//! Chains: who is asked first, and who is left out.

use super::super::{
    benchmark::Benchmarks,
    chain::{Chain, Offer, Purpose, Reason, Wishes, build, may_be_step},
    identity::{Identities, Identity, NameKind},
    liveness::{Cause, Liveness, Sign},
    score::{Measured, Preset, Quota, Sample, Weights},
};
use crate::model::{id::ChannelId, time::UnixMs};

static ALIVE: Liveness = Liveness::alive();

fn offer(channel: i64, provider: &'static str, model: &'static str) -> Offer<'static> {
    Offer {
        channel: ChannelId(channel),
        provider,
        model,
        keys: 1,
        text: None,
        vision: None,
        tools: None,
        free: Some(true),
        context_window: Some(131_072),
        measured: Measured::default(),
        quota: Quota::Unknown,
        liveness: &ALIVE,
    }
}

fn wishes() -> Wishes<'static> {
    Wishes { weights: Weights::default(), free_only: true, most_models: 20, pins: &[], before: &[] }
}

fn chain(purpose: Purpose, offers: &[Offer<'_>], wishes: &Wishes<'_>) -> Chain {
    build(purpose, offers, wishes, &Identities::embedded(), &Benchmarks::embedded())
}

/// The steps as `place model@channel`.
fn steps(chain: &Chain) -> Vec<String> {
    chain.steps.iter().map(|step| format!("{} {}@{}", step.place, step.model, step.channel)).collect()
}

fn reasons(chain: &Chain) -> Vec<(&str, Reason)> {
    chain.left_out.iter().map(|out| (out.upstream_model.as_str(), out.reason)).collect()
}

fn pins(models: &[&str]) -> Vec<Identity> {
    models.iter().map(|model| Identity::new(model)).collect()
}

fn fast(mean_ms: u32) -> Measured {
    Measured {
        answered: 100,
        first_token_ms: Sample { mean: mean_ms, count: 100 },
        tokens_per_second: Sample { mean: 100, count: 100 },
        ..Measured::default()
    }
}

#[test]
fn the_best_model_goes_first_on_all_of_its_channels_and_then_the_next_one() {
    let offers = [
        offer(1, "groq", "openai/gpt-oss-120b"),
        offer(2, "modelscope", "ZhipuAI/GLM-5.2"),
        offer(3, "nvidia", "z-ai/glm-5.2"),
        offer(4, "openrouter", "openai/gpt-oss-120b:free"),
        offer(5, "groq", "openai/gpt-oss-20b"),
    ];
    let expected = ["0 glm-5.2@2", "0 glm-5.2@3", "1 gpt-oss-120b@1", "1 gpt-oss-120b@4", "2 gpt-oss-20b@5"];
    let built = chain(Purpose::Auto, &offers, &wishes());
    assert_eq!(steps(&built), expected);
    assert_eq!(built.models(), pins(&["glm-5.2", "gpt-oss-120b", "gpt-oss-20b"]));
    assert!(built.left_out.is_empty() && built.idle_pins.is_empty());
    let mut reversed = offers.to_vec();
    reversed.reverse();
    assert_eq!(chain(Purpose::Auto, &reversed, &wishes()), built, "the order of the offers does not matter");
}

#[test]
fn of_a_models_channels_the_one_with_better_measurements_goes_first_then_the_one_with_more_keys() {
    let slow = Offer { measured: fast(9000), ..offer(1, "nvidia", "z-ai/glm-5.2") };
    let quick = Offer { measured: fast(300), ..offer(2, "modelscope", "ZhipuAI/GLM-5.2") };
    let built = chain(Purpose::Auto, &[slow.clone(), quick], &wishes());
    assert_eq!(steps(&built), ["0 glm-5.2@2", "0 glm-5.2@1"]);
    let keys = Offer { keys: 3, ..offer(7, "nvidia", "z-ai/glm-5.2") };
    let built = chain(Purpose::Auto, &[offer(6, "nvidia", "z-ai/glm-5.2"), keys], &wishes());
    assert_eq!(
        built.steps.iter().map(|step| (step.channel.0, step.keys)).collect::<Vec<_>>(),
        [(7, 3), (6, 1)]
    );
}

#[test]
fn one_key_with_four_models_makes_a_chain_of_four() {
    let names = ["MiniMax/MiniMax-M2.5", "Qwen/Qwen3.5-397B-A17B", "ZhipuAI/GLM-5", "moonshotai/Kimi-K2.5"];
    let offers = names.map(|name| offer(1, "modelscope", name));
    let built = chain(Purpose::Auto, &offers, &wishes());
    assert_eq!(
        steps(&built),
        ["0 qwen3.5-397b-a17b@1", "1 kimi-k2.5@1", "2 glm-5@1", "3 minimax-m2.5@1"],
        "by published figures"
    );
}

#[test]
fn no_word_in_a_name_is_worth_a_point() {
    let offers = [offer(1, "x", "acme/thinking-coder-flash-max"), offer(1, "x", "acme/mini-tiny")];
    let built = chain(Purpose::Auto, &offers, &wishes());
    let points: Vec<u16> = built.steps.iter().map(|step| step.score.points).collect();
    assert_eq!(points[0], points[1]);
}

#[test]
fn a_model_without_a_figure_stands_behind_those_with_one_and_is_not_left_out() {
    let offers = [
        Offer { measured: fast(1000), ..offer(1, "x", "acme/brand-new") },
        Offer { measured: fast(1000), ..offer(2, "siliconflow", "Qwen/Qwen3-8B") },
    ];
    assert_eq!(steps(&chain(Purpose::Auto, &offers, &wishes())), ["0 qwen3-8b@2", "1 acme/brand-new@1"]);
}

#[test]
fn a_pin_stays_on_top_whatever_its_score() {
    let offers = [
        offer(1, "modelscope", "ZhipuAI/GLM-5.2"),
        offer(2, "groq", "openai/gpt-oss-20b"),
        Offer { free: None, ..offer(3, "ollama-cloud", "gpt-oss:20b") },
        Offer { free: Some(false), ..offer(4, "deepseek", "deepseek-v4-pro") },
    ];
    let pins = pins(&["gpt-oss-20b", "no-such-model", "deepseek-v4-pro", "gpt-oss-20b"]);
    let built = chain(Purpose::Auto, &offers, &Wishes { pins: &pins, ..wishes() });
    assert_eq!(
        steps(&built),
        ["0 gpt-oss-20b@2", "0 gpt-oss-20b@3", "1 deepseek-v4-pro@4", "2 glm-5.2@1"],
        "a pin overrules what is unknown, and what costs something"
    );
    assert_eq!(built.steps.iter().filter(|step| step.pinned).count(), 3);
    assert_eq!(built.idle_pins, [Identity::new("no-such-model")]);
}

#[test]
fn a_dead_model_leaves_and_returns_to_its_place_and_so_does_a_pinned_one() {
    let mut gone = Liveness::default();
    gone.note(Sign::Refused, UnixMs(0));
    gone.note(Sign::Refused, UnixMs(60_000));
    let pins = pins(&["gpt-oss-20b"]);
    let wishes = Wishes { pins: &pins, ..wishes() };
    let best = offer(1, "modelscope", "ZhipuAI/GLM-5.2");
    let pinned = Offer { liveness: &gone, ..offer(2, "groq", "openai/gpt-oss-20b") };
    let built = chain(Purpose::Auto, &[best.clone(), pinned.clone()], &wishes);
    assert_eq!(steps(&built), ["0 glm-5.2@1"]);
    assert_eq!(reasons(&built), [("openai/gpt-oss-20b", Reason::Dead(Cause::Gone))]);
    assert_eq!(built.idle_pins, pins, "the pin is kept");
    let before = built.models();
    let back = Offer { liveness: &ALIVE, ..pinned };
    let built = chain(Purpose::Auto, &[best, back], &Wishes { before: &before, ..wishes });
    assert_eq!(steps(&built), ["0 gpt-oss-20b@2", "1 glm-5.2@1"]);
}

#[test]
fn each_chain_takes_what_it_is_for() {
    let offers = [
        Offer { vision: Some(true), tools: Some(false), ..offer(1, "google", "gemini-2.5-flash") },
        Offer { vision: Some(false), tools: Some(true), ..offer(2, "modelscope", "ZhipuAI/GLM-5.2") },
        Offer { vision: None, tools: None, ..offer(3, "modelscope", "moonshotai/Kimi-K2.5") },
        Offer { text: Some(false), ..offer(4, "x", "some-embedder") },
    ];
    let built = chain(Purpose::Vision, &offers, &wishes());
    assert_eq!(steps(&built), ["0 gemini-2.5-flash@1"]);
    assert_eq!(
        reasons(&built),
        [
            ("ZhipuAI/GLM-5.2", Reason::NoVision),
            ("moonshotai/Kimi-K2.5", Reason::VisionUnknown),
            ("some-embedder", Reason::NoText),
        ]
    );
    let built = chain(Purpose::Coding, &offers, &wishes());
    assert_eq!(steps(&built), ["0 glm-5.2@2", "1 kimi-k2.5@3"]);
    assert!(reasons(&built).contains(&("gemini-2.5-flash", Reason::NoTools)));
    let images = pins(&["kimi-k2.5", "glm-5.2"]);
    let built = chain(Purpose::Vision, &offers, &Wishes { pins: &images, ..wishes() });
    assert_eq!(
        steps(&built),
        ["0 kimi-k2.5@3", "1 gemini-2.5-flash@1"],
        "a pin does not make the impossible possible"
    );
}

#[test]
fn the_chain_for_coding_goes_by_figures_for_coding() {
    let offers =
        [offer(1, "x", "qwen3.5-35b-a3b"), offer(1, "x", "gemma-4-31b-it"), offer(1, "x", "minimax-m2.5")];
    assert_eq!(
        chain(Purpose::Coding, &offers, &wishes()).models(),
        pins(&["minimax-m2.5", "gemma-4-31b-it", "qwen3.5-35b-a3b"])
    );
    assert_eq!(
        chain(Purpose::Auto, &offers, &wishes()).models(),
        pins(&["gemma-4-31b-it", "qwen3.5-35b-a3b", "minimax-m2.5"])
    );
}

#[test]
fn the_quick_chain_goes_by_measured_speed() {
    let offers = [
        Offer { measured: fast(6000), ..offer(1, "modelscope", "ZhipuAI/GLM-5.2") },
        Offer { measured: fast(200), ..offer(2, "groq", "openai/gpt-oss-20b") },
    ];
    assert_eq!(chain(Purpose::Fast, &offers, &wishes()).models(), pins(&["gpt-oss-20b", "glm-5.2"]));
    let smartest = Wishes { weights: Preset::Smartest.weights(), ..wishes() };
    assert_eq!(chain(Purpose::Auto, &offers, &smartest).models(), pins(&["glm-5.2", "gpt-oss-20b"]));
}

#[test]
fn what_has_no_key_costs_something_or_is_too_much_is_left_out_with_its_reason() {
    let offers = [
        Offer { keys: 0, ..offer(1, "a", "glm-5") },
        Offer { free: Some(false), ..offer(2, "b", "glm-5.2") },
        Offer { free: None, ..offer(3, "c", "kimi-k2.5") },
        offer(4, "d", "gpt-oss-120b"),
        offer(4, "d", "gpt-oss-120b"),
        offer(5, "e", "gpt-oss-20b"),
    ];
    let built = chain(Purpose::Auto, &offers, &Wishes { most_models: 1, ..wishes() });
    assert_eq!(steps(&built), ["0 gpt-oss-120b@4"]);
    assert_eq!(
        reasons(&built),
        [
            ("glm-5", Reason::NoKeys),
            ("glm-5.2", Reason::Paid),
            ("kimi-k2.5", Reason::PriceUnknown),
            ("gpt-oss-120b", Reason::Twice),
        ]
    );
    assert_eq!(built.left_out_counts.get(&Reason::BeyondLimit), Some(&1));
    assert_eq!(built.left_out_counts.values().sum::<usize>(), 5);
    let any_price = Wishes { free_only: false, ..wishes() };
    assert_eq!(chain(Purpose::Auto, &offers, &any_price).models().first(), Some(&Identity::new("glm-5.2")));
    assert!(chain(Purpose::Auto, &[], &wishes()).steps.is_empty());
}

#[test]
fn small_differences_do_not_reorder_a_chain_and_large_ones_do() {
    let at = |one: u32, other: u32| {
        [
            Offer { measured: fast(one), ..offer(1, "x", "acme/one") },
            Offer { measured: fast(other), ..offer(2, "x", "acme/two") },
        ]
    };
    let before = pins(&["acme/two", "acme/one"]);
    let standing = Wishes { before: &before, ..wishes() };
    assert_eq!(chain(Purpose::Auto, &at(1000, 1100), &wishes()).models(), pins(&["acme/one", "acme/two"]));
    assert_eq!(chain(Purpose::Auto, &at(1000, 1100), &standing).models(), before);
    assert_eq!(chain(Purpose::Auto, &at(1000, 9000), &standing).models(), pins(&["acme/one", "acme/two"]));
}

#[test]
fn a_router_may_be_a_step_and_is_known_as_one() {
    let offers =
        [offer(1, "openrouter", "openrouter/free"), offer(1, "openrouter", "openai/gpt-oss-20b:free")];
    let built = chain(Purpose::Auto, &offers, &wishes());
    let kinds: Vec<NameKind> = built.steps.iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [NameKind::Model, NameKind::Router]);
}

#[test]
fn what_may_be_a_step_is_just_what_a_chain_takes_or_would_take_alive() {
    let mut dead = Liveness::alive();
    for minute in 0..10 {
        dead.note(Sign::Failed, UnixMs(minute * 60_000));
    }
    assert!(dead.death().is_some());
    let some = [None, Some(false), Some(true)];
    let pinned = pins(&["x"]);
    for purpose in Purpose::ALL {
        for (free_only, pinned) in [(true, &pinned[..]), (true, &[]), (false, &[])] {
            for (keys, free, vision, tools, text) in
                some.iter().flat_map(|a| some.iter().map(move |b| (a, b))).flat_map(|(a, b)| {
                    [
                        (0, *a, *b, None, None),
                        (1, *a, *b, Some(false), None),
                        (1, *a, *b, None, Some(false)),
                        (1, *a, *b, Some(true), *b),
                    ]
                })
            {
                for liveness in [&ALIVE, &dead] {
                    let one = Offer { keys, free, vision, tools, text, liveness, ..offer(1, "p", "x") };
                    let wishes = Wishes { free_only, pins: pinned, ..wishes() };
                    let built = chain(*purpose, std::slice::from_ref(&one), &wishes);
                    let taken =
                        !built.steps.is_empty() || matches!(reasons(&built)[..], [(_, Reason::Dead(_))]);
                    assert_eq!(
                        may_be_step(&one, *purpose, free_only, || !pinned.is_empty()),
                        taken,
                        "{purpose} {free_only} {one:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn thousands_of_models_stand_in_the_order_of_their_scores_behind_pins() {
    let names: Vec<String> = (0..3000).map(|n| format!("model-{n:04}")).collect();
    let offers: Vec<Offer<'_>> = names
        .iter()
        .enumerate()
        .map(|(n, name)| Offer {
            model: name,
            quota: Quota::Left(n as u64 * 7919 % 1000),
            ..offer(1, "p", "")
        })
        .collect();
    let pinned = pins(&["model-0777", "nowhere", "model-0003"]);
    let wishes = Wishes { most_models: 1000, pins: &pinned, ..wishes() };
    let built = chain(Purpose::Auto, &offers, &wishes);
    let models = built.models();
    assert_eq!(models[..2], pins(&["model-0777", "model-0003"]));
    assert_eq!(built.idle_pins, pins(&["nowhere"]));
    let ranked: Vec<_> =
        built.steps[2..].iter().map(|step| (step.score.weighted, step.model.clone())).collect();
    let mut sorted = ranked.clone();
    sorted.sort_by(|(one, name), (other, other_name)| other.cmp(one).then(name.cmp(other_name)));
    assert!(ranked == sorted && models.len() == 1000);
    assert_eq!(built.left_out_counts.get(&Reason::BeyondLimit), Some(&2000));
}
