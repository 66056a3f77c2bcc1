//! What scripts send: every field has a name, a type and a default, and a field that is not known is an error.

mod chain;
mod channel;
mod key;
mod limit;
mod managed;
mod token;
mod value;

use crate::i18n::Messages;

pub use chain::{ChainInput, MAX_STEPS, SPILLS_MS, Spill, StepInput, loop_fault, spill_schema};
pub use channel::{
    ChannelInput, ModelDetails, ModelInput, PriceInput, TimeoutsInput, UnitPricesInput, Upstreams,
};
pub use key::KeyInput;
pub use limit::{
    LimitInput, Limited, WindowInput, WindowObject, check_limits, metric_of, metric_word, per_of, per_word,
};
pub use managed::{MODELS, ManagedChainInput, ModelNameInput, WEIGHTS, WeightsInput};
pub use token::{QuotaInput, TokenInput, check_token_value};
pub use value::{Decimal, Fault, Faults, PlainSecret};

fn yes() -> bool {
    true
}

fn within(t: Messages, value: i64, range: std::ops::RangeInclusive<i64>) -> Result<i64, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(t.common.field_out_of_range(*range.start(), *range.end()))
    }
}

#[cfg(test)]
mod tests;
