//! What scripts, pages and commands set of managed chains: settings, weights and names of models.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Faults, within, yes};
use crate::{
    i18n::Messages,
    pool::rules,
    provider::Providers,
    ranking::{
        identity::{Identity, OwnName, is_model_name},
        score::{Component, Preset, Weights, WeightsFault},
    },
    storage::ranking::{MOST_MODELS, MOST_PINS, ManagedChain},
};

/// How many models a managed chain may have.
pub const MODELS: RangeInclusive<i64> = 1..=MOST_MODELS as i64;
/// What a weight may be.
pub const WEIGHTS: RangeInclusive<i64> = 0..=100;
const USUAL_MODELS: i64 = 8;

fn usual_models() -> i64 {
    USUAL_MODELS
}

/// What an operator wants of a managed chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagedChainInput {
    /// Off means: nobody can ask for it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    /// Whether only models that are known to cost nothing are taken. A pinned model is taken all the same.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub free_only: bool,
    /// The most models that it has, each on all of its channels.
    #[serde(default = "usual_models")]
    #[schema(minimum = 1, maximum = 100, default = 8)]
    pub most_models: i64,
    /// Models that stand in front of all others, the first one first, by the names that rankings show; at most 100.
    #[serde(default)]
    pub pins: Vec<String>,
}

impl ManagedChainInput {
    /// The present state, as a script would write it.
    pub fn of(chain: &ManagedChain) -> Self {
        Self {
            enabled: chain.enabled,
            free_only: chain.free_only,
            most_models: chain.most_models.into(),
            pins: chain.pins.iter().map(|pin| pin.as_str().to_owned()).collect(),
        }
    }

    /// Makes it the settings of a chain, or says what is wrong at which field.
    pub fn check(&self, known: &ManagedChain, t: Messages) -> Result<ManagedChain, Faults> {
        let mut faults = Faults::default();
        let most_models = faults.take("most_models", within(t, self.most_models, MODELS));
        let mut pins: Vec<Identity> = Vec::new();
        if self.pins.len() > MOST_PINS {
            faults.add("pins", t.pool.too_many_pins(MOST_PINS));
        }
        for (position, pin) in self.pins.iter().enumerate().take(MOST_PINS) {
            let field = format!("pins[{position}]");
            let identity = Identity::new(pin);
            if !is_model_name(identity.as_str()) {
                faults.add(field, t.channels.model_invalid(&rules::shortened(pin)));
            } else if pins.contains(&identity) {
                faults.add(field, t.pool.twice(&rules::shortened(pin)));
            } else {
                pins.push(identity);
            }
        }
        faults.or(ManagedChain {
            purpose: known.purpose,
            enabled: self.enabled,
            free_only: self.free_only,
            most_models: u16::try_from(most_models).unwrap_or(MOST_MODELS),
            pins,
            built_at: known.built_at,
        })
    }
}

/// How much each component of a score counts: a preset by its name, or five numbers from 0 to 100 of which only the
/// proportions matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightsInput {
    /// A preset; then no number is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Published benchmarks.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100, default = 0)]
    pub capability: i64,
    /// The share of answered calls.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100, default = 0)]
    pub reliability: i64,
    /// The time until the first content, and tokens per second.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100, default = 0)]
    pub speed: i64,
    /// The context window.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100, default = 0)]
    pub context: i64,
    /// What is left of today's calls.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100, default = 0)]
    pub quota: i64,
}

impl WeightsInput {
    /// Makes them weights, or says what is wrong at which field.
    pub fn check(&self, t: Messages) -> Result<Weights, Faults> {
        let mut faults = Faults::default();
        let mut number = |component: Component, value: i64| {
            u8::try_from(faults.take(component.as_str(), within(t, value, WEIGHTS))).unwrap_or_default()
        };
        let weights = Weights {
            capability: number(Component::Capability, self.capability),
            reliability: number(Component::Reliability, self.reliability),
            speed: number(Component::Speed, self.speed),
            context: number(Component::Context, self.context),
            quota: number(Component::Quota, self.quota),
        };
        let none_given = weights.check() == Err(WeightsFault::AllZero);
        match self.preset {
            Some(preset) if none_given => return faults.or(preset.weights()),
            Some(_) => faults.add("preset", t.pool.preset_and_weights()),
            None if none_given && faults.0.is_empty() => faults.add("capability", t.pool.weights_all_zero()),
            None => {}
        }
        faults.or(weights)
    }
}

/// A name that stands for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelNameInput {
    /// The name, as a provider has it; letter case does not matter.
    pub name: String,
    /// Only at this provider, by its id; left out: at any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that it stands for, by the name that rankings show.
    pub model: String,
}

impl ModelNameInput {
    /// A name as a script would write it.
    pub fn of(own: &OwnName) -> Self {
        Self {
            name: own.name.clone(),
            provider: own.provider.clone(),
            model: own.identity.as_str().to_owned(),
        }
    }

    /// Makes it a name, or says what is wrong at which field.
    pub fn check(&self, providers: &Providers, t: Messages) -> Result<OwnName, Faults> {
        let mut faults = Faults::default();
        for (field, text) in [("name", &self.name), ("model", &self.model)] {
            if text.trim().is_empty() {
                faults.add(field, t.common.field_required());
            } else if !is_model_name(text.trim()) {
                faults.add(field, t.channels.model_invalid(&rules::shortened(text)));
            }
        }
        if let Some(provider) = self.provider.as_ref().filter(|id| providers.find(id).is_none()) {
            faults.add("provider", t.pool.unknown_provider_id(&rules::shortened(provider)));
        }
        faults.or(OwnName {
            name: self.name.trim().to_ascii_lowercase(),
            provider: self.provider.clone(),
            identity: Identity::new(&self.model),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{i18n::Lang, ranking::chain::Purpose};

    fn known() -> ManagedChain {
        ManagedChain {
            purpose: Purpose::Auto,
            enabled: true,
            free_only: true,
            most_models: 8,
            pins: Vec::new(),
            built_at: None,
        }
    }

    #[test]
    fn every_fault_of_a_managed_chain_is_told_at_its_field() {
        let t = Messages::of(Lang::En);
        let fields = |value: serde_json::Value| {
            let input: ManagedChainInput = serde_json::from_value(value).unwrap();
            let faults = input.check(&known(), t).unwrap_err();
            faults.0.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({"most_models": 0})), ["most_models"]);
        assert_eq!(
            fields(json!({"most_models": 101, "pins": ["a b", "x", "X"]})),
            ["most_models", "pins[0]", "pins[2]"]
        );
        let input: ManagedChainInput = serde_json::from_value(json!({"pins": ["Big"]})).unwrap();
        let chain = input.check(&known(), t).unwrap();
        assert_eq!((chain.pins[0].as_str(), chain.most_models, chain.free_only), ("big", 8, true));
    }

    #[test]
    fn weights_are_a_preset_or_five_numbers() {
        let t = Messages::of(Lang::En);
        let check = |value: serde_json::Value| {
            let input: WeightsInput = serde_json::from_value(value).unwrap();
            input.check(t).map_err(|faults| faults.0.into_iter().map(|fault| fault.field).collect::<Vec<_>>())
        };
        assert_eq!(check(json!({"preset": "fastest"})), Ok(Preset::Fastest.weights()));
        assert_eq!(check(json!({"speed": 3})).unwrap().speed, 3);
        assert_eq!(check(json!({})), Err(vec!["capability".into()]));
        assert_eq!(check(json!({"speed": 101, "quota": -1})), Err(vec!["speed".into(), "quota".into()]));
        assert_eq!(check(json!({"preset": "fastest", "speed": 3})), Err(vec!["preset".into()]));
    }

    #[test]
    fn a_name_needs_a_model_and_a_provider_that_is_known() {
        let t = Messages::of(Lang::En);
        let check = |value: serde_json::Value| {
            let input: ModelNameInput = serde_json::from_value(value).unwrap();
            let checked = input.check(&Providers::embedded(), t);
            checked.map_err(|faults| faults.0.into_iter().map(|fault| fault.field).collect::<Vec<_>>())
        };
        let own = check(json!({"name": " House/Model ", "provider": "groq", "model": "Big"})).unwrap();
        assert_eq!((own.name.as_str(), own.identity.as_str()), ("house/model", "big"));
        let wrong = json!({"name": "", "provider": "nobody", "model": "a b"});
        assert_eq!(check(wrong), Err(vec!["name".into(), "model".into(), "provider".into()]));
    }
}
