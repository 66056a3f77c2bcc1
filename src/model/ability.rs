//! What a model takes, as far as somebody knows.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a model takes; `None` is "nobody knows".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it reads images.
    pub images: Option<bool>,
    /// Whether it hears sound in messages.
    pub audio: Option<bool>,
    /// Whether it answers by a JSON schema.
    pub schema: Option<bool>,
    /// Whether it reasons when it is asked to.
    pub reasoning: Option<bool>,
    /// How many tokens it reads and writes together, at least 1.
    pub window: Option<u32>,
}

impl Abilities {
    /// The same, with another's word for what is not known here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools.or(other.tools),
            images: self.images.or(other.images),
            audio: self.audio.or(other.audio),
            schema: self.schema.or(other.schema),
            reasoning: self.reasoning.or(other.reasoning),
            window: self.window.or(other.window),
        }
    }
}

/// What probes, lists and providers' files say of a model of a channel. It is exchanged in place when they say something
/// else, so that no new snapshot of the catalog is needed; calls read it without a lock.
#[derive(Debug, Default)]
pub struct Findings(AtomicU64);

/// The lower half of a cell is the window; above it are two bits for each yes or no: whether it is known, and which.
const FLAGS_FROM: u32 = 32;

impl Findings {
    /// What is known now.
    pub fn load(&self) -> Abilities {
        let cell = self.0.load(Ordering::Relaxed);
        let flag = |place: u32| {
            let bits = cell >> (FLAGS_FROM + 2 * place);
            (bits & 1 != 0).then_some(bits & 2 != 0)
        };
        Abilities {
            tools: flag(0),
            images: flag(1),
            audio: flag(2),
            schema: flag(3),
            reasoning: flag(4),
            window: window(cell),
        }
    }

    /// The window that is known now.
    pub fn window(&self) -> Option<u32> {
        window(self.0.load(Ordering::Relaxed))
    }

    /// Exchanges what is known. A window of 0 is none.
    pub fn store(&self, known: Abilities) {
        let flags = [known.tools, known.images, known.audio, known.schema, known.reasoning];
        let window = u64::from(known.window.unwrap_or(0));
        let cell = (0..).zip(flags).fold(window, |cell, (place, flag)| {
            let bits = flag.map_or(0, |flag| 1 | u64::from(flag) << 1);
            cell | bits << (FLAGS_FROM + 2 * place)
        });
        self.0.store(cell, Ordering::Relaxed);
    }
}

fn window(cell: u64) -> Option<u32> {
    // The lower half is the window.
    Some(cell as u32).filter(|window| *window > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_was_stored_is_read_again(
            tools: Option<bool>, images: Option<bool>, audio: Option<bool>, schema: Option<bool>, reasoning: Option<bool>,
            window in proptest::option::of(1_u32..),
        ) {
            let known = Abilities { tools, images, audio, schema, reasoning, window };
            let findings = Findings::default();
            proptest::prop_assert_eq!(findings.load(), Abilities::default());
            findings.store(known);
            proptest::prop_assert_eq!(findings.load(), known);
            proptest::prop_assert_eq!(findings.window(), window);
        }
    }

    #[test]
    fn a_word_counts_before_anothers_and_a_window_of_nothing_is_none() {
        let first = Abilities { tools: Some(false), window: None, ..Abilities::default() };
        let second = Abilities { tools: Some(true), window: Some(5), ..Abilities::default() };
        assert_eq!(first.or(second), Abilities { tools: Some(false), ..second });
        let findings = Findings::default();
        findings.store(Abilities { window: Some(0), ..Abilities::default() });
        assert_eq!(findings.load(), Abilities::default());
    }
}
