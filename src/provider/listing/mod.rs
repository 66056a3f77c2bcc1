//! Lists of models, whatever their shape: reading one, and what changed between two.
//!
//! Unknown is `None` and stays so: no window, price or ability is guessed from a name. Unknown fields are passed over,
//! fields of a wrong type count as unknown, and an entry that is no model is counted with its place.

mod diff;
mod entry;
mod facts;
mod loose;
mod pages;

pub use diff::{Altered, Changes, Field, Knowledge, diff};
pub use facts::{Modalities, Modality, ModelFacts};
pub use pages::NextPage;

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::entry::Entry;
use super::preset::ListShape;

/// The most bytes of a list that are read.
pub const MAX_BYTES: usize = 16 << 20;
/// The most models that are kept of a list.
pub const MAX_MODELS: usize = 5000;
/// The most entries that are skipped with their place.
const MAX_SKIPPED: usize = 10;
/// The longest name of a model, in characters.
const MAX_NAME: usize = 200;

/// What a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The models, sorted by id, each id once (the first entry counts).
    pub models: Vec<ModelFacts>,
    /// Entries that are no models: where, and why. At most ten of them; `skipped_count` has them all.
    pub skipped: Vec<ListingFault>,
    /// How many entries were no models.
    pub skipped_count: usize,
    /// There were more than [`MAX_MODELS`] models, or the provider has more pages.
    pub truncated: bool,
    /// How the list goes on, if it does and says how. The list is truncated then, until the page was [joined](Listing::join).
    pub next: Option<NextPage>,
}

impl Listing {
    /// Whether the list proves that what it does not hold is gone: it has models, all of its entries were read, and it does
    /// not go on elsewhere.
    pub fn is_complete(&self) -> bool {
        !self.models.is_empty() && self.skipped_count == 0 && !self.truncated
    }
}

/// What is wrong with a list, or with one of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingFault {
    /// Where: a field (`data[3]`), or a line and a column.
    pub place: String,
    /// What is wrong, in English; quotes nothing of the list but names of fields.
    pub message: String,
}

impl fmt::Display for ListingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Reads a list of this shape.
///
/// A body that is no list of that shape is refused with the place; nothing of it is kept then. Takes time in proportion
/// to the body and memory in proportion to the models: no tree of the body is built.
pub fn parse(shape: ListShape, body: &[u8]) -> Result<Listing, ListingFault> {
    if body.len() > MAX_BYTES {
        let message = format!("it is longer than {MAX_BYTES} bytes");
        return Err(ListingFault { place: "the list".into(), message });
    }
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut reader = Reader { shape, listing: Listing::default(), last: None, has_more: false, fault: None };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = deserializer.deserialize_any(&mut reader).and_then(|()| deserializer.end());
    if let Some(fault) = reader.fault {
        return Err(fault);
    }
    if let Err(error) = read {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        let place = format!("line {}, column {}", error.line(), error.column());
        return Err(ListingFault { place, message });
    }
    let Reader { mut listing, last, has_more, .. } = reader;
    if has_more && listing.next.is_none() {
        // OpenAI's lists name the entry after which the next page begins.
        listing.next = last.map(|value| NextPage::Parameter { name: "after", value });
    }
    listing.truncated |= has_more || listing.next.is_some();
    if listing.models.is_empty()
        && let Some(first) = listing.skipped.first()
    {
        return Err(first.clone());
    }
    listing.sort();
    Ok(listing)
}

/// Reads the outermost value.
struct Reader {
    shape: ListShape,
    listing: Listing,
    /// The last entry's name, or what the list calls its last one.
    last: Option<String>,
    has_more: bool,
    fault: Option<ListingFault>,
}

/// The fields in which a shape keeps its list, the usual one first.
fn containers(shape: ListShape) -> &'static [&'static str] {
    match shape {
        ListShape::Openai | ListShape::Openrouter | ListShape::Together => &["data", "models"],
        ListShape::Huggingface => &["data"],
        ListShape::Google | ListShape::Cohere | ListShape::Ollama => &["models"],
        ListShape::Cloudflare => &["result"],
    }
}

impl Reader {
    fn refuse<E: serde::de::Error>(&mut self, place: &str, message: String) -> E {
        self.fault = Some(ListingFault { place: place.to_owned(), message });
        E::custom("no list")
    }

    fn expected(&self) -> String {
        let fields = containers(self.shape).join("` or `");
        match self.shape {
            ListShape::Openai | ListShape::Openrouter | ListShape::Together => {
                format!("a list of models is expected, or an object with one in `{fields}`")
            }
            _ => format!("an object with a list of models in `{fields}` is expected"),
        }
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of models")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(name) = map.next_key::<loose::Text>()? {
            let name = name.0.unwrap_or_default();
            if let Some(place) = containers(self.shape).iter().find(|known| ***known == *name)
                && !found
            {
                found = true;
                map.next_value_seed(Entries { reader: self, place })?;
            } else if let Some(parameter) = pages::parameter(&name) {
                let value = map.next_value::<loose::Text>()?.0.filter(|value| !value.is_empty());
                let next = value.map(|value| NextPage::Parameter { name: parameter, value });
                self.listing.next = next.or(self.listing.next.take());
            } else if name == "has_more" {
                self.has_more |= map.next_value::<loose::Flag>()?.0 == Some(true);
            } else if name == "last_id" {
                self.last = map.next_value::<loose::Text>()?.0.or(self.last.take());
            } else if name == "links" {
                let links = map.next_value::<loose::Object<pages::Links>>()?.0;
                let next = links.and_then(|links| links.next.0).filter(|next| !next.is_empty());
                self.listing.next = next.map(NextPage::Address).or(self.listing.next.take());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(self.refuse("the list", self.expected())) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        if matches!(self.shape, ListShape::Openai | ListShape::Openrouter | ListShape::Together) {
            Entries { reader: self, place: "" }.visit_seq(seq)
        } else {
            Err(self.refuse("the list", self.expected()))
        }
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.refuse("the list", self.expected()))
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.refuse("the list", self.expected()))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.refuse("the list", self.expected()))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.refuse("the list", self.expected()))
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.refuse("the list", self.expected()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(self.refuse("the list", self.expected()))
    }
}

/// Reads the list itself.
struct Entries<'a> {
    reader: &'a mut Reader,
    place: &'static str,
}

impl<'de> serde::de::DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Entries<'_> {
    fn no_list<E: serde::de::Error>(self) -> E {
        self.reader.refuse(self.place, "a list of models is expected here".into())
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of models")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Reader { shape, listing, last, .. } = self.reader;
        let mut index = 0_usize;
        while listing.models.len() < MAX_MODELS {
            let Some(entry) = seq.next_element::<Entry>()? else {
                let of_last = listing.models.last().map(|model| model.id.clone());
                *last = last.take().or(of_last);
                return Ok(());
            };
            match entry.model(*shape) {
                Ok(Some(model)) => listing.models.push(model),
                Ok(None) => {}
                Err(message) => {
                    listing.skipped_count += 1;
                    if listing.skipped.len() < MAX_SKIPPED {
                        let place = format!("{}[{index}]", self.place);
                        listing.skipped.push(ListingFault { place, message: message.to_owned() });
                    }
                }
            }
            index += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            listing.truncated = true;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.no_list())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.no_list())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.no_list())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.no_list())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.no_list())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.no_list())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(self.no_list())
    }
}

#[cfg(test)]
mod tests;
