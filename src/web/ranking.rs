//! Ranking in words: for pages and commands.

use super::format::{count, duration};
use crate::{
    i18n::{Lang, Messages},
    provider::Text,
    ranking::{
        benchmark::{Benchmarks, Known, Measure},
        chain::{Purpose, Reason},
        identity::NameKind,
        liveness::Cause,
        score::{Component, Evidence, Measured, Part, Preset, Quota},
    },
};

/// What a managed chain is for, in a sentence.
pub fn purpose(t: Messages, purpose: Purpose) -> &'static str {
    let t = t.ranking;
    match purpose {
        Purpose::Auto => t.about_auto(),
        Purpose::Coding => t.about_coding(),
        Purpose::Vision => t.about_vision(),
        Purpose::Fast => t.about_fast(),
    }
}

/// The name of weights that somebody thought of, and what they are good for.
pub fn preset(t: Messages, preset: Preset) -> (&'static str, &'static str) {
    let t = t.ranking;
    match preset {
        Preset::Balanced => (t.balanced(), t.balanced_about()),
        Preset::Smartest => (t.smartest(), t.smartest_about()),
        Preset::Fastest => (t.fastest(), t.fastest_about()),
        Preset::MostReliable => (t.most_reliable(), t.most_reliable_about()),
    }
}

/// The name of a component of scores, and what it is.
pub fn component(t: Messages, component: Component) -> (&'static str, &'static str) {
    let t = t.ranking;
    match component {
        Component::Capability => (t.capability(), t.capability_about()),
        Component::Reliability => (t.reliability(), t.reliability_about()),
        Component::Speed => (t.speed(), t.speed_about()),
        Component::Context => (t.context(), t.context_about()),
        Component::Quota => (t.quota(), t.quota_about()),
    }
}

/// Why an offer is not in a chain.
pub fn reason(t: Messages, reason: Reason) -> &'static str {
    let t = t.ranking;
    match reason {
        Reason::NoKeys => t.no_keys(),
        Reason::Dead(Cause::Failing) => t.dead_failing(),
        Reason::Dead(Cause::Gone) => t.dead_gone(),
        Reason::Dead(Cause::Unlisted) => t.dead_unlisted(),
        Reason::NoText => t.no_text(),
        Reason::Paid => t.paid(),
        Reason::PriceUnknown => t.price_unknown(),
        Reason::NoVision => t.no_vision(),
        Reason::VisionUnknown => t.vision_unknown(),
        Reason::NoTools => t.no_tools(),
        Reason::BeyondLimit => t.beyond_limit(),
        Reason::Twice => t.twice(),
    }
}

/// A word and a sentence on a name that is no model of its own; `None` for a model.
pub fn name_kind(t: Messages, kind: NameKind) -> Option<(&'static str, &'static str)> {
    let t = t.ranking;
    match kind {
        NameKind::Model => None,
        NameKind::Moving => Some((t.moving(), t.moving_hint())),
        NameKind::Router => Some((t.router(), t.router_hint())),
    }
}

/// That nobody has a model of this name, and the names that look alike.
pub fn no_such_model(t: Messages, name: &str, near: &[String]) -> String {
    let text = t.ranking.no_such_model(name);
    if near.is_empty() {
        return text;
    }
    let between = match t.lang {
        Lang::En => (" ", ", "),
        Lang::Zh => ("", "、"),
    };
    format!("{text}{}{}", between.0, t.ranking.near_names(&near.join(between.1)))
}

/// Why a component has its points, in words, and the address of whoever says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// The words.
    pub text: String,
    /// Where a published figure stands; always a http or https address.
    pub source: Option<String>,
}

/// Why a part of a score is what it is. `purpose` is what the chain is for; measurements are of the last `days` days.
pub fn because(
    t: Messages,
    part: &Part,
    evidence: &Evidence,
    purpose: Purpose,
    benchmarks: &Benchmarks,
    days: i64,
) -> Because {
    let r = t.ranking;
    let mut source = None;
    let text = match part.component {
        Component::Capability => match &evidence.capability {
            Known::Figure(figure) => {
                source = Some(figure.source.clone());
                let name = benchmarks
                    .find(&figure.benchmark)
                    .map_or(figure.benchmark.as_str(), |benchmark| in_language(t, &benchmark.name));
                let mut text = r.published(name, &figure.value.to_string(), &figure.as_of.to_string());
                let measure = purpose.measure();
                let notes = [
                    (figure.self_reported, r.self_reported()),
                    (figure.measure != measure && measure != Measure::General, r.general_figure()),
                ];
                for (_, note) in notes.into_iter().filter(|(holds, _)| *holds) {
                    text.push_str(separator(t));
                    text.push_str(note);
                }
                text
            }
            Known::NoneFound { checked, why: Some(why) } => {
                r.none_published_because(&checked.to_string(), in_language(t, why), part.counted)
            }
            Known::NoneFound { checked, why: None } => r.none_published(&checked.to_string(), part.counted),
            Known::Unchecked => r.capability_unchecked(part.counted),
        },
        Component::Reliability => match evidence.measured {
            Measured { answered: 0, failed: 0, .. } => r.reliability_unknown(part.counted),
            Measured { answered, failed, .. } => r.calls_in_days(answered, failed, days),
        },
        Component::Speed => {
            let (first, flow) = (evidence.measured.first_token_ms, evidence.measured.tokens_per_second);
            let known: Vec<String> = [
                (first.count > 0).then(|| r.first_content(&duration(t, first.mean), first.count)),
                (flow.count > 0).then(|| r.tokens_per_second(flow.mean, flow.count)),
            ]
            .into_iter()
            .flatten()
            .collect();
            if known.is_empty() { r.speed_unknown(part.counted) } else { known.join(separator(t)) }
        }
        Component::Context => match evidence.context_window {
            Some(tokens) => r.context_tokens(&count(tokens.into())),
            None => r.context_unknown(part.counted),
        },
        Component::Quota => match evidence.quota {
            Quota::Unknown => r.quota_unknown(part.counted),
            Quota::Left(calls) => r.quota_left(&count(calls)),
            Quota::Unlimited => r.quota_unlimited().to_owned(),
        },
    };
    Because { text, source }
}

/// Between two remarks.
fn separator(t: Messages) -> &'static str {
    match t.lang {
        Lang::En => "; ",
        Lang::Zh => "；",
    }
}

fn in_language(t: Messages, text: &Text) -> &str {
    match t.lang {
        Lang::En => &text.en,
        Lang::Zh => &text.zh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::{
        identity::Identity,
        score::{Sample, Weights, score},
    };

    fn words(lang: Lang, evidence: Evidence, purpose: Purpose) -> Vec<Because> {
        let t = Messages::of(lang);
        let score = score(evidence, &Weights::default());
        let benchmarks = Benchmarks::embedded();
        score.parts.iter().map(|part| because(t, part, &score.evidence, purpose, &benchmarks, 7)).collect()
    }

    fn texts(because: &[Because]) -> Vec<&str> {
        because.iter().map(|one| one.text.as_str()).collect()
    }

    #[test]
    fn what_is_unknown_is_told_as_unknown_with_what_it_counts_as() {
        let evidence = Evidence {
            capability: Known::Unchecked,
            measured: Measured::default(),
            context_window: None,
            quota: Quota::Unknown,
        };
        let english = words(Lang::En, evidence.clone(), Purpose::Auto);
        for (text, counted) in texts(&english).into_iter().zip(["0", "800", "500", "0", "500"]) {
            assert!(text.starts_with("unknown: ") && text.ends_with(counted), "{text}");
        }
        let chinese = words(Lang::Zh, evidence, Purpose::Auto);
        assert!(texts(&chinese).iter().all(|text| text.starts_with("未知：")), "{chinese:?}");
    }

    #[test]
    fn what_is_known_is_told_with_its_date_its_source_and_its_counts() {
        let benchmarks = Benchmarks::embedded();
        let model = Identity::new("command-a-plus-05-2026");
        let evidence = Evidence {
            capability: benchmarks.of(&model, Measure::General),
            measured: Measured {
                answered: 312,
                failed: 4,
                first_token_ms: Sample { mean: 640, count: 40 },
                tokens_per_second: Sample { mean: 88, count: 39 },
            },
            context_window: Some(131_072),
            quota: Quota::Left(1234),
        };
        let told = words(Lang::En, evidence.clone(), Purpose::Auto);
        assert_eq!(
            texts(&told),
            [
                "published: whatmodel.sh, score over all tasks: 63.7, as of 2026-10-01",
                "312 answered, 4 failed in 7 days",
                "first content after 640 ms (of 40); 88 tokens/s (of 39)",
                "131,072 tokens",
                "1,234 calls left today, over all keys",
            ]
        );
        assert!(told[0].source.as_deref().is_some_and(|source| source.starts_with("https://")));
        let for_coding = words(Lang::Zh, evidence, Purpose::Coding);
        assert!(for_coding[0].text.ends_with("；此用途没有专门的结果，采用综合结果"), "{for_coding:?}");
    }
}
