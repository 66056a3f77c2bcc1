//! Which models a scan tries out, and in what order its results stand. Pure.

use crate::{
    model::{
        id::ChannelId,
        probe::{ProbeKind, ProbeResult, ProbeVerdict},
        time::UnixMs,
    },
    provider::listing::Modality,
    storage::discovery::DiscoveredModel,
};

/// Which models to look at.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A provider's id, or the vendor before the slash of a model's name; letter case does not matter.
    pub provider: Option<String>,
    /// Of this channel only.
    pub channel: Option<ChannelId>,
    /// With at least so many parameters, in millions.
    pub least_params: Option<u64>,
    /// That came out after this time.
    pub created_after: Option<UnixMs>,
}

/// The parameters of a model in millions, as far as its name tells (`-70b`, `8x7b`, `0.6B`, `350m` does not count): the
/// largest number before a `b` that stands alone.
pub fn params_of(name: &str) -> Option<u64> {
    let lower = name.to_ascii_lowercase();
    let bytes = lower.as_bytes();
    let mut most = None;
    for (at, _) in lower.match_indices('b') {
        if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) {
            continue;
        }
        let begin = bytes[..at].iter().rposition(|byte| !(byte.is_ascii_digit() || *byte == b'.'));
        let number = &lower[begin.map_or(0, |begin| begin + 1)..at];
        let Some(params) = millions(number) else { continue };
        // "8x7b" is eight times seven.
        let times = begin.filter(|begin| bytes[*begin] == b'x').and_then(|begin| {
            let first = bytes[..begin].iter().rposition(|byte| !byte.is_ascii_digit());
            lower[first.map_or(0, |first| first + 1)..begin].parse::<u64>().ok()
        });
        most = most.max(Some(params.saturating_mul(times.unwrap_or(1))));
    }
    most
}

/// A number of billions as millions: `1.5` is 1500.
pub fn millions(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || (text.contains('.') && !is_number(part)) || whole.len() > 7 {
        return None;
    }
    let thousandths: u64 = format!("{part:0<3}")[..3].parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1000 + thousandths)
}

/// The models that fit, those that are likely to be good for something first: that answered a call, that claim to call tools,
/// with a long context, with many parameters. One that stands at several channels of a provider comes once. `provider_of`
/// gives the provider's id of a channel that can be asked, `None` if it cannot.
pub fn candidates(
    models: Vec<DiscoveredModel>,
    wanted: &Wanted,
    provider_of: impl Fn(ChannelId) -> Option<String>,
) -> Vec<DiscoveredModel> {
    let mut seen = std::collections::HashSet::new();
    let fits = |model: &DiscoveredModel| {
        let facts = &model.facts;
        let provider = provider_of(model.channel_id)?;
        let vendor = facts.id.split_once('/').map(|(vendor, _)| vendor);
        let is_meant = |meant: &String| {
            provider.eq_ignore_ascii_case(meant)
                || vendor.is_some_and(|vendor| vendor.eq_ignore_ascii_case(meant))
        };
        let writes = facts.output.is_none_or(|kinds| kinds.has(Modality::Text));
        let large = |least| params_of(&facts.id).is_some_and(|params| params >= least);
        let young = |after| facts.created.is_some_and(|created| created >= after);
        (writes
            && wanted.channel.is_none_or(|id| id == model.channel_id)
            && wanted.provider.as_ref().is_none_or(is_meant)
            && wanted.least_params.is_none_or(large)
            && wanted.created_after.is_none_or(young))
        .then_some(provider)
    };
    let mut found: Vec<DiscoveredModel> = Vec::new();
    for model in models {
        if let Some(provider) = fits(&model)
            && seen.insert((provider, model.facts.id.clone()))
        {
            found.push(model);
        }
    }
    found.sort_by_cached_key(|model| {
        let facts = &model.facts;
        (
            model.callable().map_or(1, |callable| if callable { 0 } else { 2 }),
            facts.tools.map_or(1, |tools| if tools { 0 } else { 2 }),
            std::cmp::Reverse(facts.context_window),
            std::cmp::Reverse(params_of(&facts.id)),
            facts.id.clone(),
        )
    });
    found
}

/// What was found out about a model.
#[derive(Debug, Clone)]
pub struct Scanned {
    /// The model.
    pub model: DiscoveredModel,
    /// What is known of it now.
    pub results: Vec<ProbeResult>,
}

impl Scanned {
    /// What is known of one ability.
    pub fn result(&self, kind: ProbeKind) -> Option<&ProbeResult> {
        self.results.iter().find(|result| result.kind == kind)
    }

    /// Whether it was proved to do this.
    pub fn does(&self, kind: ProbeKind) -> bool {
        self.result(kind).is_some_and(|result| result.verdict == ProbeVerdict::Ok)
    }

    /// How long it took to call a tool.
    pub fn tool_ms(&self) -> Option<u32> {
        let result = self.result(ProbeKind::Tools)?;
        (result.verdict == ProbeVerdict::Ok).then_some(result.duration_ms)
    }
}

/// Orders as OpenClaw's scan does: those that see images first, then by how soon they call a tool, then by context, parameters
/// and name.
pub fn rank(scanned: &mut [Scanned]) {
    scanned.sort_by_cached_key(|one| {
        let facts = &one.model.facts;
        (
            !one.does(ProbeKind::Vision),
            one.tool_ms().unwrap_or(u32::MAX),
            std::cmp::Reverse(facts.context_window),
            std::cmp::Reverse(params_of(&facts.id)),
            facts.id.clone(),
        )
    });
}

/// The places of those that are chosen if nobody says otherwise: all that call tools.
pub fn usual_choice(scanned: &[Scanned]) -> Vec<usize> {
    (0..scanned.len()).filter(|&place| scanned[place].does(ProbeKind::Tools)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::listing::ModelFacts;

    fn model(id: &str, change: impl FnOnce(&mut DiscoveredModel)) -> DiscoveredModel {
        let mut model = DiscoveredModel {
            channel_id: ChannelId(1),
            channel: "c".into(),
            facts: ModelFacts { id: id.into(), ..ModelFacts::default() },
            first_seen_at: UnixMs(0),
            last_seen_at: UnixMs(0),
            vanished_at: None,
            answered_at: None,
            refused_at: None,
            offered: false,
        };
        change(&mut model);
        model
    }

    #[test]
    fn parameters_are_read_from_names_that_tell_them() {
        for (name, params) in [
            ("meta-llama/llama-3.3-70b-instruct:free", Some(70_000)),
            ("qwen/qwen3-30b-a3b", Some(30_000)),
            ("mistralai/mixtral-8x7b", Some(56_000)),
            ("qwen3-0.6B", Some(600)),
            ("gpt-oss-120b:free", Some(120_000)),
            ("1.5b", Some(1500)),
            ("glm-4.5-air", None),
            ("beta-b", None),
            ("v2.b", None),
            ("3bit", None),
        ] {
            assert_eq!(params_of(name), params, "{name}");
        }
    }

    #[test]
    fn only_models_that_fit_are_looked_at_and_each_once_per_provider() {
        let models = || {
            vec![
                model("qwen/a-7b", |one| one.facts.created = Some(UnixMs(100))),
                model("qwen/a-7b", |one| one.channel_id = ChannelId(2)),
                model("qwen/b-70b", |one| one.answered_at = Some(UnixMs(1))),
                model("z-ai/c", |one| one.channel_id = ChannelId(3)),
                model("gone/d", |one| one.channel_id = ChannelId(9)),
            ]
        };
        let provider_of = |id: ChannelId| match id.0 {
            1 | 2 => Some("openrouter".to_owned()),
            3 => Some("nvidia".to_owned()),
            _ => None,
        };
        let names = |wanted: &Wanted| -> Vec<String> {
            candidates(models(), wanted, provider_of).into_iter().map(|one| one.facts.id).collect()
        };
        assert_eq!(names(&Wanted::default()), ["qwen/b-70b", "qwen/a-7b", "z-ai/c"]);
        let of = |provider: &str| Wanted { provider: Some(provider.into()), ..Wanted::default() };
        assert_eq!(names(&of("Qwen")), ["qwen/b-70b", "qwen/a-7b"]);
        assert_eq!(names(&of("nvidia")), ["z-ai/c"]);
        assert_eq!(names(&Wanted { least_params: Some(10_000), ..Wanted::default() }), ["qwen/b-70b"]);
        assert_eq!(names(&Wanted { created_after: Some(UnixMs(50)), ..Wanted::default() }), ["qwen/a-7b"]);
        assert_eq!(names(&Wanted { channel: Some(ChannelId(3)), ..Wanted::default() }), ["z-ai/c"]);
    }

    #[test]
    fn those_that_see_stand_first_then_those_that_call_tools_soon() {
        let result = |kind, verdict, duration_ms| ProbeResult {
            channel: ChannelId(1),
            model: String::new(),
            kind,
            verdict,
            at: UnixMs(0),
            duration_ms,
            first_token_ms: None,
            tokens_per_second: None,
            detail: String::new(),
            source: crate::model::probe::ProbeSource::Probe,
        };
        use ProbeKind::{Tools, Vision};
        use ProbeVerdict::{Accepted, Not, Ok};
        let one = |id: &str, results: Vec<ProbeResult>| Scanned { model: model(id, |_| {}), results };
        let mut all = vec![
            one("mute", vec![result(Tools, Not, 10)]),
            one("slow", vec![result(Tools, Ok, 900)]),
            one("quick", vec![result(Tools, Ok, 100), result(Vision, Accepted, 5)]),
            one("seeing", vec![result(Tools, Ok, 5000), result(Vision, Ok, 5)]),
        ];
        rank(&mut all);
        let names: Vec<&str> = all.iter().map(|one| one.model.facts.id.as_str()).collect();
        assert_eq!(names, ["seeing", "quick", "slow", "mute"]);
        assert_eq!(usual_choice(&all), [0, 1, 2]);
    }
}
