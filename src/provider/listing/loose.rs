//! Fields of lists, read with whatever type they come: what cannot be meant is `None`, and never a fault.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{Modalities, Modality};

/// A value of any type, of which some types can be taken.
trait Take<'de>: Sized + Default {
    fn text(_: &str) -> Self {
        Self::default()
    }
    fn number(_: f64) -> Self {
        Self::default()
    }
    fn whole(value: u64) -> Self {
        Self::number(value as f64)
    }
    fn flag(_: bool) -> Self {
        Self::default()
    }
    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Take<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T, E> {
        Ok(T::text(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(T::whole(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(T::number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        Ok(T::number(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(T::flag(value))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }
}

macro_rules! loose {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Any(PhantomData))
            }
        }
    )*};
}

loose!(Text, Count, Decimal, Flag, Moment, Words, Kinds);

/// A text.
#[derive(Debug, Default, Clone)]
pub(super) struct Text(pub Option<String>);

impl Take<'_> for Text {
    fn text(value: &str) -> Self {
        Self(Some(value.to_owned()))
    }
}

impl Text {
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A whole number above zero that fits, also written as text.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count(pub Option<u32>);

impl Take<'_> for Count {
    fn text(value: &str) -> Self {
        Self(value.trim().parse().ok().filter(|value| *value > 0))
    }
    fn number(value: f64) -> Self {
        let whole = value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0;
        Self(whole.then_some(value as u32))
    }
    fn whole(value: u64) -> Self {
        Self(u32::try_from(value).ok().filter(|value| *value > 0))
    }
}

/// A decimal number, as text (read exactly) or as a number.
#[derive(Debug, Default, Clone)]
pub(super) enum Decimal {
    /// As a number.
    Number(f64),
    /// As text.
    Text(Box<str>),
    /// Neither.
    #[default]
    None,
}

impl Take<'_> for Decimal {
    fn text(value: &str) -> Self {
        Self::Text(value.trim().into())
    }
    fn number(value: f64) -> Self {
        Self::Number(value)
    }
}

impl Decimal {
    /// It times ten to the power of `places`, rounded; `None` for what is negative, no number, or above a million
    /// dollars per token.
    pub fn scaled(&self, places: u32) -> Option<i64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Text(text) => match crate::model::decimal::parse(text, places) {
                Some(exact) => return Some(exact),
                // More digits than that, or an exponent.
                None => text.parse().ok()?,
            },
            Self::None => return None,
        };
        let scaled = number * 10_f64.powi(i32::try_from(places).ok()?);
        (scaled.is_finite() && (0.0..=1e18).contains(&scaled)).then(|| scaled.round() as i64)
    }
}

/// Yes or no, also written as text or number.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flag(pub Option<bool>);

impl Take<'_> for Flag {
    fn text(value: &str) -> Self {
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        Self(if is("true") { Some(true) } else { is("false").then_some(false) })
    }
    fn flag(value: bool) -> Self {
        Self(Some(value))
    }
}

/// A point in time: seconds or milliseconds since 1970, or RFC 3339; between 2015 and 2100.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Moment(pub Option<i64>);

const YEAR_2015_MS: f64 = 1_420_070_400_000.0;
const YEAR_2100_MS: f64 = 4_102_444_800_000.0;

impl Take<'_> for Moment {
    fn text(value: &str) -> Self {
        match value.parse::<jiff::Timestamp>() {
            Ok(time) => Self::number(time.as_millisecond() as f64),
            Err(_) => value.trim().parse().map_or_else(|_| Self::default(), Self::number),
        }
    }
    fn number(value: f64) -> Self {
        let span = YEAR_2015_MS..YEAR_2100_MS;
        let ms = if span.contains(&value) { value } else { value * 1000.0 };
        Self(span.contains(&ms).then_some(ms as i64))
    }
}

/// Words: a list of texts, or an object whose fields are `true` or `false`.
#[derive(Debug, Default, Clone)]
pub(super) struct Words {
    /// The words that hold.
    pub yes: Vec<Box<str>>,
    /// The words of which it is said that they do not.
    pub no: Vec<Box<str>>,
    is_list: bool,
}

const MAX_WORDS: usize = 64;

impl<'de> Take<'de> for Words {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut words = Self { is_list: true, ..Self::default() };
        while let Some(word) = list.next_element::<Text>()? {
            if let Some(word) = word.0.filter(|_| words.yes.len() < MAX_WORDS) {
                words.yes.push(word.into());
            }
        }
        Ok(words)
    }

    fn map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut words = Self::default();
        while let Some((word, flag)) = map.next_entry::<Text, Flag>()? {
            let (Some(word), Some(flag)) = (word.0, flag.0) else { continue };
            let side = if flag { &mut words.yes } else { &mut words.no };
            if side.len() < MAX_WORDS {
                side.push(word.into());
            }
        }
        Ok(words)
    }
}

impl Words {
    /// Whether one of these words holds; `None` if nothing is said of any. `whole`: a list of the vendor's has every word
    /// that holds, so what is missing does not.
    pub fn any(&self, wanted: &[&str], whole: bool) -> Option<bool> {
        let among = |words: &[Box<str>]| {
            words.iter().any(|word| wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
        };
        if among(&self.yes) {
            Some(true)
        } else {
            (whole && self.is_list || among(&self.no)).then_some(false)
        }
    }
}

/// Kinds of content: a list of words; `None` without any known one.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Kinds(pub Option<Modalities>);

impl<'de> Take<'de> for Kinds {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut kinds = Vec::new();
        while let Some(word) = list.next_element::<Text>()? {
            kinds.extend(word.as_deref().and_then(Modality::named).filter(|_| kinds.len() < MAX_WORDS));
        }
        let kinds: Modalities = kinds.into_iter().collect();
        Ok(Self((!kinds.is_empty()).then_some(kinds)))
    }
}

/// An object, or nothing.
#[derive(Debug, Clone)]
pub(super) struct Object<T>(pub Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Take<'de> for Object<T> {
    fn map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Self(Some(value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// A list of objects; others are left out.
#[derive(Debug, Clone)]
pub(super) struct Objects<T>(pub Vec<T>);

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Take<'de> for Objects<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut objects = Vec::new();
        while let Some(object) = list.next_element::<Object<T>>()? {
            objects.extend(object.0.filter(|_| objects.len() < MAX_WORDS));
        }
        Ok(Self(objects))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Objects<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}
