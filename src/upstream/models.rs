//! Asks an upstream which models it serves.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    client::{Clients, SendError, UpstreamCall},
    outcome::{Answered, classify, mask_secrets},
};
use crate::{
    model::{
        channel::{Channel, ChannelModel, EffectiveTimeouts, endpoint_url},
        decimal,
        endpoint::{Endpoint, Endpoints},
        secret::Secret,
        time::UnixMs,
        usage::OutcomeClass,
    },
    provider::{
        Provider,
        listing::{self, Listing, ListingFault, Modalities, Modality, ModelFacts},
        preset::ListSource,
    },
};

/// The longest text of an upstream that is kept, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// The longest text of a page that could not be had.
const MAX_PAGE_TEXT_BYTES: usize = 300;
/// Lists of up to so many bytes are read at any time; longer ones share a little memory.
const SHORT_BYTES: usize = 256 << 10;
/// The most pages of a list that are asked for.
pub const MAX_PAGES: usize = 100;

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFailure {
    /// The upstream's status, if it answered.
    pub status: Option<u16>,
    /// What the answer was taken for. `None` if the upstream has no list (with a status), or if the channel cannot be
    /// called as it is configured (without).
    pub class: Option<OutcomeClass>,
    /// The upstream's text (at most 4 KiB, secrets masked), or what went wrong on the way to it.
    pub text: String,
}

impl FetchFailure {
    /// A request that got no answer.
    pub(super) fn unsent(error: &SendError) -> Self {
        let configured = matches!(error, SendError::Misconfigured(_) | SendError::PrivateAddress);
        Self {
            status: None,
            class: (!configured).then_some(OutcomeClass::HostError),
            text: error.to_string(),
        }
    }

    /// A request whose answer took too long.
    pub(super) fn late(limit: Duration) -> Self {
        Self {
            status: None,
            class: Some(OutcomeClass::HostError),
            text: format!("no answer within {} s", decimal::show(limit.as_millis() as i64, 3)),
        }
    }
}

/// What an upstream lists.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The models, with what is known of each.
    pub listing: Listing,
    /// The beginning of the upstream's text (at most 4 KiB, secrets masked).
    pub text: String,
    /// Room in memory for a long list, given back with this at the latest.
    room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Fetched {
    /// Lets the next long list be read: what is to be done with this one is done. Who keeps several lists has to call it, or
    /// the next one waits for ever.
    pub fn give_room_back(&mut self) {
        self.room = None;
    }

    /// The models as a channel offers them.
    pub fn models(&self) -> Vec<ChannelModel> {
        self.listing.models.iter().map(channel_model).collect()
    }
}

/// A model as a channel offers it.
pub fn channel_model(facts: &ModelFacts) -> ChannelModel {
    ChannelModel {
        name: facts.id.clone(),
        context_window: facts.context_window,
        max_output: facts.output_limit,
        vision: facts.input.map(|kinds| kinds.has(Modality::Image)),
        tools: facts.tools,
        reasoning: facts.reasoning,
        endpoints: endpoints_of(facts),
        price: facts.price,
        unit_prices: None,
    }
}

/// The endpoints that a model which does one thing only is served on, by what it takes and gives; none if a list does not
/// tell, or if it is a model for chat. Pictures are asked for in a chat as well, as OpenRouter has it.
fn endpoints_of(facts: &ModelFacts) -> Endpoints {
    let only = |kinds: Option<Modalities>, kind: Modality| {
        kinds.is_some_and(|kinds| Modality::ALL.iter().all(|other| kinds.has(*other) == (*other == kind)))
    };
    let endpoints: &[Endpoint] = if only(facts.output, Modality::Embedding) {
        &[Endpoint::Embeddings]
    } else if only(facts.output, Modality::Image) {
        &[Endpoint::Chat, Endpoint::Images, Endpoint::ImageEdits, Endpoint::ImagesDirect]
    } else if only(facts.output, Modality::Audio) {
        &[Endpoint::Speech]
    } else if only(facts.input, Modality::Audio) {
        &[Endpoint::Transcriptions, Endpoint::Translations]
    } else {
        &[]
    };
    endpoints.iter().copied().collect()
}

/// Fetches the upstream's list of models, all pages of it, where its provider has it and in the provider's shape.
///
/// The whole takes at most the channel's time until the first byte, [`MAX_PAGES`] pages and [`listing::MAX_BYTES`]; waiting
/// for room in memory, of which long lists share a little, does not count. A page that cannot be had, or is on
/// another host, ends the list, which then proves nothing about what it lacks. Dropping the future cancels it. `now` dates what
/// the answer says of waiting. An empty `key` sends none. A provider whose list stands elsewhere than at OpenAI's place, and
/// who has nothing there, is asked at OpenAI's place as well: a relay may stand before it.
pub async fn fetch_list(
    clients: &Clients,
    channel: &Channel,
    provider: &Arc<Provider>,
    key: &Secret,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
) -> Result<Fetched, FetchFailure> {
    let base = endpoint_url(&channel.base_url, "");
    let usual = ListSource::default();
    let own = provider.list_address(&base).filter(|_| provider.list != usual);
    let time = Time { left: timeouts.first_byte, whole: timeouts.first_byte };
    let mut asked =
        Asked { clients, channel, provider, key, timeouts, now, time, bytes: listing::MAX_BYTES, room: None };
    let plain = endpoint_url(&channel.base_url, "models");
    let Some(address) = own else { return asked.fetch_pages(&plain, None, provider.list == usual).await };
    match asked.fetch_pages(&address, provider.list.key_header.as_deref(), true).await {
        Err(FetchFailure { status: Some(404 | 405 | 501), .. }) if provider.list.url != usual.url => {
            asked.fetch_pages(&plain, None, false).await
        }
        fetched => fetched,
    }
}

/// What is left of the time that a list may take.
#[derive(Debug, Clone, Copy)]
struct Time {
    left: Duration,
    whole: Duration,
}

impl Time {
    /// Runs a step of it.
    async fn within<T>(&mut self, step: impl Future<Output = T>) -> Result<T, FetchFailure> {
        let began = Instant::now();
        let done = tokio::time::timeout(self.left, step).await;
        self.left = self.left.saturating_sub(began.elapsed());
        done.map_err(|_| FetchFailure::late(self.whole))
    }
}

/// The models of a list alone; see [`fetch_list`].
pub async fn fetch_models(
    clients: &Clients,
    channel: &Channel,
    provider: &Arc<Provider>,
    key: &Secret,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
) -> Result<Vec<ChannelModel>, FetchFailure> {
    fetch_list(clients, channel, provider, key, timeouts, now).await.map(|fetched| fetched.models())
}

struct Asked<'a> {
    clients: &'a Clients,
    channel: &'a Channel,
    provider: &'a Arc<Provider>,
    key: &'a Secret,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
    time: Time,
    /// How many bytes are left that may be read.
    bytes: usize,
    /// Held from [`SHORT_BYTES`] on until nobody needs the list any more.
    room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Asked<'_> {
    /// Asks at one place, and goes on to the pages that follow; `own` says whether the provider's shape is expected there,
    /// or OpenAI's.
    async fn fetch_pages(
        &mut self,
        address: &str,
        key_header: Option<&str>,
        own: bool,
    ) -> Result<Fetched, FetchFailure> {
        let mut fetched = self.fetch(address, key_header, own).await?;
        let listing = &mut fetched.listing;
        let mut known = Vec::new();
        while let Some(next) = listing.next.take() {
            if listing.models.len() >= listing::MAX_MODELS {
                break;
            }
            let number = known.len() + 2;
            if number > MAX_PAGES {
                listing.break_off(number, format!("the list has more than {MAX_PAGES} pages"));
                break;
            }
            if known.contains(&next) {
                listing.break_off(number, "the list leads back to a page that was read already".into());
                break;
            }
            let Some(page) = next.address(address) else {
                listing.break_off(number, "it is on another host and was not asked for".into());
                break;
            };
            known.push(next);
            match self.fetch(&page, key_header, own).await {
                Ok(page) => listing.join(number, page.listing),
                Err(failure) => {
                    let status = failure.status.map(|status| format!("HTTP {status}: ")).unwrap_or_default();
                    let first = failure.text.lines().next().unwrap_or_default();
                    let mut text = format!("{status}{first}");
                    text.truncate(text.floor_char_boundary(MAX_PAGE_TEXT_BYTES));
                    listing.break_off(number, text);
                    break;
                }
            }
        }
        fetched.room = self.room.take();
        Ok(fetched)
    }

    /// Asks for one page.
    async fn fetch(
        &mut self,
        path: &str,
        key_header: Option<&str>,
        own: bool,
    ) -> Result<Fetched, FetchFailure> {
        let call = UpstreamCall {
            channel: self.channel,
            key: self.key,
            timeouts: self.timeouts,
            method: Method::GET,
            path,
            key_header,
            body: None,
            stream: false,
        };
        let secrets = secrets_of(self.channel, self.key);
        let sending = self.clients.send(call);
        let mut response = self.time.within(sending).await?.map_err(|error| FetchFailure::unsent(&error))?;
        let status = response.status();
        if !(200..300).contains(&status) {
            let reading = response.read_prefix(crate::protocol::error_body::MAX_ERROR_BYTES);
            let body = self.time.within(reading).await?;
            let answered = Answered {
                status,
                headers: response.headers(),
                body: &body,
                provider: Some(self.provider),
                now: self.now,
                secrets: &secrets,
            };
            let no_list = matches!(status, 404 | 405 | 501);
            return Err(FetchFailure {
                status: Some(status),
                class: (!no_list).then(|| classify(&answered).class),
                text: shown(&body, &secrets),
            });
        }
        let broken = |error| FetchFailure { status: Some(status), ..FetchFailure::unsent(&error) };
        let mut body = Vec::new();
        while let Some(chunk) = self.time.within(response.next_chunk()).await?.map_err(broken)? {
            if body.len() + chunk.len() > self.bytes {
                return Err(broken(SendError::TooLarge(listing::MAX_BYTES)));
            }
            if body.len() + chunk.len() > SHORT_BYTES && self.room.is_none() {
                self.room = self.clients.room_for_long_body().await.map(Arc::new);
                // Grown at once: a body that grows by doubling is in memory twice while it is copied.
                let announced = response
                    .length()
                    .map_or(body.len() + chunk.len(), |length| usize::try_from(length).unwrap_or(usize::MAX));
                body.reserve_exact(announced.min(self.bytes).saturating_sub(body.len()));
            }
            body.extend_from_slice(&chunk);
        }
        self.bytes -= body.len();
        let body = Bytes::from(body);
        let text = shown(&body, &secrets);
        match self.read(body, own).await {
            Ok(listing) => Ok(Fetched { listing, text, room: None }),
            Err(fault) => {
                let mut told = mask_secrets(&format!("{fault}\n{text}"), &secrets);
                told.truncate(told.floor_char_boundary(MAX_TEXT_BYTES));
                Err(FetchFailure { status: Some(status), class: None, text: told })
            }
        }
    }

    /// Reads a list. A long one is read beside the calls, which must not wait for it.
    async fn read(&self, body: Bytes, own: bool) -> Result<Listing, ListingFault> {
        let provider = self.provider.clone();
        let read = move || {
            if own {
                return provider.read_list(&body);
            }
            let mut elsewhere = (*provider).clone();
            elsewhere.list = ListSource::default();
            elsewhere.read_list(&body)
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| {
            Err(ListingFault { place: "the list".into(), message: "reading it failed".into() })
        })
    }
}

/// Everything that a request to a channel carries and no text may repeat. Short header values are names of applications
/// rather than secrets.
pub fn secrets_of<'a>(channel: &'a Channel, key: &'a Secret) -> Vec<&'a Secret> {
    let values = channel.headers.iter().map(|(_, value)| value).filter(|value| value.expose().len() >= 8);
    std::iter::once(key).chain(values).collect()
}

/// An upstream's text for an operator's eyes: secrets masked, at most [`MAX_TEXT_BYTES`].
pub(super) fn shown(body: &[u8], secrets: &[&Secret]) -> String {
    // Masked before it is cut, so that no half of a secret is left at the end.
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_TEXT_BYTES)]);
    let mut text = mask_secrets(text.trim(), secrets);
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES - "…".len()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_and_holds_no_secret() {
        let key = Secret::new("nvapi-0123456789abcdef");
        let body = format!("{}nvapi-0123456789abcdef", "ä ".repeat(1363));
        let text = shown(body.as_bytes(), &[&key]);
        assert!(text.len() <= MAX_TEXT_BYTES, "{}", text.len());
        assert!(!text.contains("nvapi-01"), "{text}");
    }
}
