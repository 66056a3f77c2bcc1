//! Lists in several pages: how one goes on, and where the next page is.

use serde::Deserialize;
use url::Url;

use super::{Listing, ListingFault, MAX_MODELS, MAX_SKIPPED, loose::Text};

/// How a list goes on after a page of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextPage {
    /// The same address with this parameter, in place of one that it has.
    Parameter {
        /// Its name.
        name: &'static str,
        /// Its value, as the page before gave it.
        value: String,
    },
    /// The provider gives an address, perhaps one that begins with `/`.
    Address(String),
}

impl NextPage {
    /// The address of the next page of the list that begins at `list`. `None` if it would be on another host or port: a
    /// key goes to nobody whom a list names.
    pub fn address(&self, list: &str) -> Option<String> {
        let list = Url::parse(list).ok()?;
        match self {
            Self::Parameter { name, value } => {
                let others: Vec<(String, String)> =
                    list.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
                let mut next = list.clone();
                next.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
                Some(next.into())
            }
            Self::Address(address) => {
                let next = list.join(address).ok()?;
                (next.origin() == list.origin()).then(|| next.into())
            }
        }
    }
}

/// The parameter that takes what a field of a page says: Google's (<https://ai.google.dev/api/models#method:-models.list>) and
/// Cohere's (<https://docs.cohere.com/reference/list-models>).
pub(super) fn parameter(field: &str) -> Option<&'static str> {
    match field {
        "nextPageToken" => Some("pageToken"),
        "next_page_token" => Some("page_token"),
        _ => None,
    }
}

/// OpenRouter's `links`, whose `next` is `/api/v1/models?offset=500&limit=500` or null
/// (<https://openrouter.ai/docs/client-sdks/typescript/models/modelslistresponselinks>).
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Links {
    pub next: Text,
}

impl Listing {
    /// Adds the next page, the `number`-th, counted from 1. The list is as complete then as that page is. Of a model that
    /// stands on both, the earlier entry counts.
    pub fn join(&mut self, number: usize, page: Self) {
        self.models.extend(page.models);
        self.sort();
        self.next = page.next;
        self.truncated = page.truncated || self.models.len() > MAX_MODELS;
        self.models.truncate(MAX_MODELS);
        self.skipped_count += page.skipped_count;
        let room = MAX_SKIPPED.saturating_sub(self.skipped.len());
        let on_page = |fault: ListingFault| fault.on_page(number);
        self.skipped.extend(page.skipped.into_iter().take(room).map(on_page));
    }

    /// Notes that the list goes on in a page, the `number`-th, that could not be had: what it lacks is not proved gone.
    pub fn break_off(&mut self, number: usize, message: String) {
        self.next = None;
        self.truncated = true;
        self.skipped_count += 1;
        // Before entries that were skipped, since it is the larger gap.
        self.skipped.insert(0, ListingFault { place: format!("page {number}"), message });
        self.skipped.truncate(MAX_SKIPPED);
    }

    /// Sorts the models by id, each once.
    pub(super) fn sort(&mut self) {
        // The sort keeps the order of entries with the same id.
        self.models.sort_by(|one, other| one.id.cmp(&other.id));
        self.models.dedup_by(|later, first| later.id == first.id);
        self.models.shrink_to_fit();
    }
}

impl ListingFault {
    fn on_page(self, number: usize) -> Self {
        Self { place: format!("page {number}, {}", self.place), ..self }
    }
}
