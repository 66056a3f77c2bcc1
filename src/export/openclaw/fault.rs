//! What is wrong with the options of an export: nothing is made, remembered or printed before it is mended.

use crate::i18n::Messages;

/// What is wrong with an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    /// The option, as it stands in a query: `image_model`. The command line writes `--image-model`.
    pub option: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with an option's value. Names are shortened for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such option.
    UnknownOption,
    /// It is given more than once.
    Repeated,
    /// Only these words can be chosen.
    NoneOf(&'static [&'static str]),
    /// It cannot be the id of a provider.
    ProviderId,
    /// OpenClaw has a provider of its own by this id.
    ProviderTaken(String),
    /// It cannot be the name of an environment variable.
    Variable,
    /// It cannot be a voice.
    Voice,
    /// An alias is written `model:name`.
    AliasForm,
    /// It cannot be an alias.
    AliasName(String),
    /// Two models shall have this alias.
    AliasTaken(String),
    /// A model has two aliases.
    AliasTwice(String),
    /// The token may not use the model, or nobody serves it.
    NoSuchModel(String),
    /// The model is not among those that are exported.
    NotExported(String),
    /// The model does not chat.
    NoChat(String),
    /// The model is not known to read images.
    NoImages(String),
    /// None of the exported models is known to read images.
    NoneSeesImages,
    /// There are fallbacks, but no primary model that they could follow.
    FallbackWithoutPrimary,
    /// Nobody is known to serve the model for this use.
    NotServed(String),
    /// There are more models than an export may hold.
    TooMany {
        /// How many there are.
        models: usize,
        /// How many there may be.
        most: usize,
    },
}

impl OptionFault {
    /// A fault of an option.
    pub(super) fn new(option: &str, problem: Problem) -> Self {
        Self { option: shortened(option), problem }
    }

    /// What is wrong, and what to do, as a sentence.
    pub fn text(&self, m: Messages) -> String {
        let t = m.openclaw;
        match &self.problem {
            Problem::UnknownOption => t.fault_unknown_option(&super::options::NAMES.join(", ")),
            Problem::Repeated => t.fault_repeated().to_owned(),
            Problem::NoneOf(words) => t.fault_none_of(&words.join(", ")),
            Problem::ProviderId => t.fault_provider_id().to_owned(),
            Problem::ProviderTaken(id) => t.fault_provider_taken(id),
            Problem::Variable => t.fault_variable().to_owned(),
            Problem::Voice => t.fault_voice().to_owned(),
            Problem::AliasForm => t.fault_alias_form().to_owned(),
            Problem::AliasName(name) => t.fault_alias_name(name),
            Problem::AliasTaken(name) => t.fault_alias_taken(name),
            Problem::AliasTwice(name) => t.fault_alias_twice(name),
            Problem::NoSuchModel(name) => t.fault_no_such_model(name),
            Problem::NotExported(name) => t.fault_not_exported(name),
            Problem::NoChat(name) => t.fault_no_chat(name),
            Problem::NoImages(name) => t.fault_no_images(name),
            Problem::NoneSeesImages => t.fault_none_sees_images().to_owned(),
            Problem::FallbackWithoutPrimary => t.fault_fallback_without_primary().to_owned(),
            Problem::NotServed(name) => t.fault_not_served(name),
            Problem::TooMany { models, most } => t.fault_too_many(*models, *most),
        }
    }
}

/// A name that somebody sent, short enough to be shown, and without what a terminal would take for a command.
pub(super) fn shortened(name: &str) -> String {
    const MOST: usize = 80;
    let mut text: String = name.chars().filter(|character| !character.is_control()).take(MOST).collect();
    if name.chars().count() > MOST {
        text.push('…');
    }
    text
}
