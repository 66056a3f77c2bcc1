//! Chains as scripts write them down.

use std::{collections::HashSet, fmt, ops::RangeInclusive};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
    },
};

use super::{Faults, within, yes};
use crate::{
    i18n::Messages,
    model::{
        chain::{Chain, ChainStep, DEFAULT_SPILL_MS, folded},
        id::ChainId,
    },
    pool::rules,
};

/// The most steps of a chain.
pub const MAX_STEPS: usize = 50;
/// What a step's spill time may be, in milliseconds.
pub const SPILLS_MS: RangeInclusive<i64> = 0..=3_600_000;
/// The word for a step that is never left.
pub const NEVER: &str = "never";

/// A chain: a virtual model, served by the first of its models that can take the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainInput {
    /// The model name that clients ask for; unique among chains, letter case aside. A channel's model of the same name is
    /// hidden by it.
    pub name: String,
    /// Off means: nobody can ask for it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
    /// The models that serve it, in the order in which they are looked at: one at least, each once.
    pub steps: Vec<StepInput>,
}

/// A step of a chain, given by its model alone or as an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepInput {
    /// A public model name, or the name of another chain, whose steps then stand here. The chain's own name means the
    /// channels' model of that name.
    pub model: String,
    /// How long a call waits for it before the next step is looked at.
    pub spill: Spill,
}

/// How long a call waits for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spill {
    /// So many milliseconds; 0 is not at all.
    Ms(i64),
    /// As long as it may wait.
    Never,
}

impl Default for Spill {
    fn default() -> Self {
        Self::Ms(i64::from(DEFAULT_SPILL_MS))
    }
}

impl fmt::Display for Spill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ms(ms) => ms.fmt(f),
            Self::Never => f.write_str(NEVER),
        }
    }
}

impl Spill {
    /// A step's time.
    pub fn of(spill_ms: Option<u32>) -> Self {
        spill_ms.map_or(Self::Never, |ms| Self::Ms(i64::from(ms)))
    }

    /// Reads a time as people write it: milliseconds or `never`; nothing means the usual time.
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::default()),
            text if text.eq_ignore_ascii_case(NEVER) => Some(Self::Never),
            text => text.parse().ok().map(Self::Ms),
        }
    }
}

impl Serialize for Spill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ms(ms) => serializer.serialize_i64(*ms),
            Self::Never => serializer.serialize_str(NEVER),
        }
    }
}

impl<'de> Deserialize<'de> for Spill {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Spill;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of milliseconds, or the word never")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Spill, E> {
                Ok(Spill::Ms(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Spill, E> {
                Ok(Spill::Ms(i64::try_from(number).unwrap_or(i64::MAX)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Spill, E> {
                let wrong = || E::custom("Expected a whole number of milliseconds, or the word `never`.");
                if text == NEVER { Ok(Spill::Never) } else { Err(wrong()) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The schema of a spill time.
pub fn spill_schema() -> RefOr<Schema> {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(*SPILLS_MS.start()))
        .maximum(Some(*SPILLS_MS.end()));
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([NEVER]));
    let about = "How long a call waits for it before the next one is looked at, in milliseconds: 0 is not at all, `never` as \
                 long as the call may wait. Left out: 2000.";
    OneOfBuilder::new().description(Some(about)).item(number).item(word).into()
}

/// A step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDetails {
    /// A public model name, or the name of another chain, whose steps then stand here. The chain's own name means the
    /// channels' model of that name.
    pub model: String,
    /// How long a call waits for it before the next step is looked at, in milliseconds: 0 is not at all, `never` as long as
    /// the call may wait. Left out: 2000.
    #[serde(default)]
    #[schema(schema_with = spill_schema)]
    pub spill_ms: Spill,
}

impl PartialSchema for StepInput {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some(
                "The name of a step's model alone, which stands for the usual spill time, or an object.",
            ))
            .item(ObjectBuilder::new().schema_type(Type::String))
            .item(Ref::from_schema_name("StepDetails"))
            .into()
    }
}

impl ToSchema for StepInput {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("StepDetails".into(), StepDetails::schema()));
        StepDetails::schemas(schemas);
    }
}

impl<'de> Deserialize<'de> for StepInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = StepInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model's name, or an object with a model and a spill time")
            }

            fn visit_str<E: de::Error>(self, model: &str) -> Result<StepInput, E> {
                Ok(StepInput { model: model.to_owned(), spill: Spill::default() })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<StepInput, A::Error> {
                let details = StepDetails::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(StepInput { model: details.model, spill: details.spill_ms })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for StepInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StepDetails { model: self.model.clone(), spill_ms: self.spill }.serialize(serializer)
    }
}

impl ChainInput {
    /// A chain as an operator would write it down.
    pub fn of(chain: &Chain) -> Self {
        let step =
            |step: &ChainStep| StepInput { model: step.model.clone(), spill: Spill::of(step.spill_ms) };
        Self {
            name: chain.name.clone(),
            enabled: chain.enabled,
            steps: chain.steps.iter().map(step).collect(),
        }
    }

    /// The chain that this describes, with an id. Whether it leads back to itself depends on the other chains:
    /// [`find_loop`](crate::model::chain::find_loop) says so.
    pub fn check(&self, id: ChainId, t: Messages) -> Result<Chain, Faults> {
        let mut faults = Faults::default();
        if self.name.is_empty() {
            faults.add("name", t.common.field_required());
        } else if !rules::is_model_name(&self.name) {
            faults.add("name", t.channels.model_invalid(&rules::shortened(&self.name)));
        }
        if self.steps.is_empty() {
            faults.add("steps", t.chains.no_steps());
        } else if self.steps.len() > MAX_STEPS {
            faults.add("steps", t.chains.too_many_steps(MAX_STEPS));
            return Err(faults);
        }
        let mut steps = Vec::with_capacity(self.steps.len());
        let mut seen = HashSet::new();
        for (position, step) in self.steps.iter().enumerate() {
            let field = format!("steps[{position}].model");
            if step.model.is_empty() {
                faults.add(field, t.common.field_required());
            } else if !rules::is_model_name(&step.model) {
                faults.add(field, t.channels.model_invalid(&rules::shortened(&step.model)));
            } else if !seen.insert(folded(&step.model)) {
                faults.add(field, t.pool.twice(&rules::shortened(&step.model)));
            }
            let spill_ms = match step.spill {
                Spill::Never => None,
                Spill::Ms(ms) => {
                    let ms = faults.take(&format!("steps[{position}].spill_ms"), within(t, ms, SPILLS_MS));
                    u32::try_from(ms).ok()
                }
            };
            steps.push(ChainStep { model: step.model.clone(), spill_ms });
        }
        faults.or(Chain { id, name: self.name.clone(), enabled: self.enabled, steps })
    }
}

/// The fault of a chain that would lead back to itself.
pub fn loop_fault(found: &crate::model::chain::Loop, t: Messages) -> Faults {
    let mut faults = Faults::default();
    faults.add(format!("steps[{}].model", found.step), t.chains.makes_loop(&rules::shortened(&found.way())));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::i18n::Lang;

    fn input(value: serde_json::Value) -> ChainInput {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_step_is_a_name_or_an_object_and_reads_back() {
        let given = input(json!({"name": "best", "steps": [
            "a", {"model": "b"}, {"model": "c", "spill_ms": 0}, {"model": "d", "spill_ms": "never"}
        ]}));
        let chain = given.check(ChainId(3), Messages::of(Lang::En)).unwrap();
        let spills: Vec<_> = chain.steps.iter().map(|step| step.spill_ms).collect();
        assert_eq!(spills, [Some(2000), Some(2000), Some(0), None]);
        let written = ChainInput::of(&chain);
        assert_eq!(written, given);
        assert_eq!(
            serde_json::to_value(&written).unwrap()["steps"][3],
            json!({"model": "d", "spill_ms": "never"})
        );
        for wrong in [json!("always"), json!(1.5), json!(true)] {
            let value = json!({"name": "x", "steps": [{"model": "a", "spill_ms": wrong}]});
            assert!(serde_json::from_value::<ChainInput>(value).is_err());
        }
    }

    #[test]
    fn every_fault_of_a_chain_is_told_at_its_field() {
        let fields = |value| {
            let faults = input(value).check(ChainId(0), Messages::of(Lang::En)).unwrap_err();
            faults.0.into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({"name": "", "steps": []})), ["name", "steps"]);
        assert_eq!(fields(json!({"name": "a\u{7}b", "steps": ["x"]})), ["name"]);
        assert_eq!(
            fields(json!({"name": "a", "steps": [
                "x", "", "with space", "X", {"model": "y", "spill_ms": -1}, {"model": "z", "spill_ms": 3_600_001}
            ]})),
            ["steps[1].model", "steps[2].model", "steps[3].model", "steps[4].spill_ms", "steps[5].spill_ms"]
        );
        let many: Vec<String> = (0..=MAX_STEPS).map(|number| format!("m{number}")).collect();
        assert_eq!(fields(json!({"name": "a", "steps": many})), ["steps"]);
    }
}
