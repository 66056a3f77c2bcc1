//! The reader of a stream, whichever endpoint it is of.

use bytes::Bytes;

use crate::model::{
    endpoint::{Dialect, Endpoint},
    usage::{TokenCounts, Units},
};

use super::{Chunk, ChunkReader, events::EventReader, stored::StoredIds};

/// Reads the events of one stream, in order.
#[derive(Debug)]
pub enum StreamReader {
    /// Of chat and legacy completions: chunks, a finish reason, `[DONE]`.
    Chunks(ChunkReader),
    /// Of all other endpoints: events with a type, the last of which is the end.
    Events(Box<EventReader>),
}

impl StreamReader {
    /// A reader for the answer to a request on `endpoint` that asks for so many choices or pictures; `public_model` is the
    /// name that the client sees, and `include_usage` says whether the client asked for a usage chunk.
    pub fn new(endpoint: Endpoint, public_model: &str, include_usage: bool, choices: u32) -> Self {
        match endpoint.shape().dialect {
            Dialect::Chat | Dialect::Completion => {
                Self::Chunks(ChunkReader::new(endpoint, public_model, include_usage).with_choices(choices))
            }
            _ => Self::Events(Box::new(EventReader::new(endpoint, public_model, choices))),
        }
    }

    /// Writes our ids of a stored response in place of the upstream's.
    #[must_use]
    pub fn renaming(mut self, ids: Option<StoredIds>) -> Self {
        if let (Self::Events(reader), Some(ids)) = (&mut self, ids) {
            reader.rename(ids);
        }
        self
    }

    /// The upstream's id of a stored response, once it came.
    pub fn upstream_id(&self) -> Option<&str> {
        match self {
            Self::Chunks(_) => None,
            Self::Events(reader) => reader.upstream_id(),
        }
    }

    /// Whether its last event is the end, and no `[DONE]` follows.
    pub fn ends_itself(&self) -> bool {
        matches!(self, Self::Events(_))
    }

    /// Reads the data of one event.
    pub fn read(&mut self, data: Bytes) -> Chunk {
        match self {
            Self::Chunks(reader) => reader.read(data),
            Self::Events(reader) => reader.read(data),
        }
    }

    /// The last usage that the stream reported.
    pub fn usage(&self) -> Option<TokenCounts> {
        match self {
            Self::Chunks(reader) => reader.usage(),
            Self::Events(reader) => reader.usage(),
        }
    }

    /// What the stream says that it cost, in micro-dollars, if it does.
    pub fn cost_micros(&self) -> Option<i64> {
        match self {
            Self::Chunks(reader) => reader.cost_micros(),
            Self::Events(reader) => reader.cost_micros(),
        }
    }

    /// What the stream says of its endpoint's own units.
    pub fn units(&self) -> Units {
        match self {
            Self::Chunks(_) => Units::default(),
            Self::Events(reader) => reader.units(),
        }
    }

    /// An estimate of the tokens of all text so far.
    pub fn output_estimate(&self) -> u64 {
        match self {
            Self::Chunks(reader) => reader.output_estimate(),
            Self::Events(reader) => reader.output_estimate(),
        }
    }

    /// Whether any content came.
    pub fn has_content(&self) -> bool {
        match self {
            Self::Chunks(reader) => reader.has_content(),
            Self::Events(reader) => reader.has_content(),
        }
    }

    /// Whether the answer is whole: a finish reason came, or the last event.
    pub fn has_finished(&self) -> bool {
        match self {
            Self::Chunks(reader) => reader.has_finished(),
            Self::Events(reader) => reader.has_finished(),
        }
    }

    /// Whether the answer is whole if the upstream ends the stream here.
    pub fn may_end(&self) -> bool {
        match self {
            Self::Chunks(reader) => reader.has_finished(),
            Self::Events(reader) => reader.may_end(),
        }
    }

    /// Whether what came so far, taken as the whole stream, is an empty answer that another upstream should be asked for.
    pub fn is_empty_answer(&self) -> bool {
        match self {
            Self::Chunks(reader) => reader.is_empty_answer(),
            Self::Events(reader) => reader.is_empty_answer(),
        }
    }
}
