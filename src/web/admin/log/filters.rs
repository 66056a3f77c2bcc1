//! What the log's views have in common: the form that narrows them down, the periods, and the way from one view to the other.

use super::{names::Label, query::LogQuery};
use crate::{
    i18n::Messages,
    model::{
        catalog::Catalog,
        usage::{CallResult, Endpoint},
    },
    storage::usage_query::names::UsageNames,
    web::{admin::usage::period::Period, form::FieldErrors},
};

/// The most models that the filter suggests.
const MAX_SUGGESTIONS: usize = 500;

/// How the log is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// A line for each call.
    Calls,
    /// A line for each turn of an agent.
    Turns,
}

impl View {
    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Calls => "/log",
            Self::Turns => "/log/turns",
        }
    }

    fn label(self, t: Messages) -> &'static str {
        match self {
            Self::Calls => t.log.by_call(),
            Self::Turns => t.log.by_turn(),
        }
    }
}

/// What a select offers: value and text.
pub type Choices = Vec<(String, String)>;

/// A link, one of several of which one is where the visitor is.
pub struct Choice {
    /// Where it leads.
    pub href: String,
    /// What it says.
    pub label: &'static str,
    /// Whether the visitor is there.
    pub current: bool,
}

/// The form above the log.
pub struct Filters {
    /// What the visitor asks for.
    pub q: LogQuery,
    /// Where the form leads.
    pub path: &'static str,
    /// What is wrong with it.
    pub errors: FieldErrors,
    /// The zone of all times, as a sentence.
    pub zone: String,
    /// The periods.
    pub periods: Vec<Choice>,
    /// The views, with the same filter.
    pub views: Vec<Choice>,
    /// Tokens, deleted ones included.
    pub tokens: Choices,
    /// Channels, deleted ones included.
    pub channels: Choices,
    /// The chosen channel's keys, deleted ones included.
    pub keys: Choices,
    /// Endpoints.
    pub endpoints: Choices,
    /// Streaming or not.
    pub streams: Choices,
    /// Ends of a call.
    pub results: Choices,
    /// Models that the form suggests.
    pub models: Vec<String>,
}

impl Filters {
    /// The form of a view.
    pub fn new(t: Messages, q: LogQuery, view: View, catalog: &Catalog, names: &UsageNames) -> Self {
        let label = |label: Label| match label.deleted {
            true => format!("{} ({})", label.text, t.log.deleted()),
            false => label.text,
        };
        let chosen = |name: &str, choices: Choices| {
            let (text, mut choices) = (q.text(name), self::choices(t, choices));
            // What is chosen but not among the names stays chosen.
            if !choices.iter().any(|(value, _)| value == text) {
                choices.push((text.to_owned(), format!("#{text}")));
            }
            choices
        };
        let tokens = names.tokens.iter().map(|token| (token.id.to_string(), label(Label::named(token))));
        let channels =
            names.channels.iter().map(|channel| (channel.id.to_string(), label(Label::named(channel))));
        let keys = names.keys.iter().map(|key| (key.id.to_string(), label(Label::key(key))));
        Self {
            path: view.path(),
            errors: q.errors.clone(),
            zone: t.log.zone(catalog.zone.iana_name().unwrap_or("UTC")),
            periods: Period::choices()
                .map(|choice| Choice {
                    href: q.url_in(view.path(), choice),
                    label: choice.label(t),
                    current: choice == q.period.choice,
                })
                .collect(),
            views: [View::Calls, View::Turns]
                .map(|other| Choice {
                    href: q.url_with(other.path(), []),
                    label: other.label(t),
                    current: other == view,
                })
                .into(),
            tokens: chosen("token", tokens.collect()),
            channels: chosen("channel", channels.collect()),
            keys: chosen("key", keys.collect()),
            endpoints: choices(
                t,
                Endpoint::ALL.iter().map(|endpoint| (endpoint.to_string(), endpoint.path().to_owned())),
            ),
            streams: choices(
                t,
                [("true", t.log.streaming()), ("false", t.log.not_streaming())]
                    .map(|(value, label)| (value.to_owned(), label.to_owned())),
            ),
            results: choices(
                t,
                std::iter::once(("failed".to_owned(), t.log.any_failure().to_owned())).chain(
                    CallResult::ALL
                        .iter()
                        .map(|result| (result.to_string(), t.log.result_name(*result).to_owned())),
                ),
            ),
            models: catalog.models().take(MAX_SUGGESTIONS).map(|model| model.name.clone()).collect(),
            q,
        }
    }

    /// Whether anything narrows the log down.
    pub fn narrow(&self) -> bool {
        self.q.active() > 0 || self.q.period.from.is_some() || self.q.period.to.is_some()
    }
}

/// "All", and what may be chosen instead.
fn choices(t: Messages, values: impl IntoIterator<Item = (String, String)>) -> Choices {
    std::iter::once((String::new(), t.common.all().to_owned())).chain(values).collect()
}
