//! Types that several endpoints share.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

use super::refusal::{Refusal, Result};
use crate::{
    model::{time::UnixMs, token::QuotaUnit},
    pool::{input::Decimal, rules::DOLLAR_PLACES},
};

/// A point in time, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub UnixMs);

impl From<UnixMs> for At {
    fn from(at: UnixMs) -> Self {
        Self(at)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.timestamp())
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        let object: Object = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A point in time, as RFC 3339 writes it, in UTC."))
            .build();
        object.into()
    }
}

impl ToSchema for At {}

/// Micro-dollars as dollars.
pub fn dollars(micros: i64) -> Decimal {
    Decimal::of(micros, DOLLAR_PLACES)
}

/// An amount of a quota: dollars, or a whole number of tokens or requests.
pub fn amount(unit: QuotaUnit, amount: i64) -> Decimal {
    match unit {
        QuotaUnit::Dollars => dollars(amount),
        QuotaUnit::Tokens | QuotaUnit::Requests => Decimal::of(amount, 0),
    }
}

/// Which part of a list to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    pub cursor: Option<String>,
}

/// Which part of a list to show, perhaps of a name only.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedPageQuery {
    /// Only the one of this name; letter case does not matter.
    pub name: Option<String>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    pub cursor: Option<String>,
}

impl NamedPageQuery {
    /// Whether an item of a name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|wanted| wanted.to_lowercase() == name.to_lowercase())
    }

    /// The part of the list.
    pub fn page(&self) -> Result<Page> {
        Page::read(self.limit, self.cursor.as_deref())
    }
}

/// A part of a list.
pub struct Page {
    limit: usize,
    after: Option<String>,
}

impl Page {
    /// Reads `limit` and `cursor`.
    pub fn read(limit: Option<i64>, cursor: Option<&str>) -> Result<Self> {
        const LIMITS: std::ops::RangeInclusive<i64> = 1..=500;
        const USUAL: i64 = 100;
        let limit = limit.unwrap_or(USUAL);
        if !LIMITS.contains(&limit) {
            return Err(Refusal::at("limit", "Give a whole number from 1 to 500."));
        }
        Ok(Self { limit: usize::try_from(limit).unwrap_or(1), after: cursor.map(str::to_owned) })
    }

    /// The most items.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Cuts the part out of all items, which are sorted by `key`; gives where to go on, too.
    pub fn cut<T, K>(
        &self,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> K,
    ) -> Result<(Vec<T>, Option<String>)>
    where
        K: Ord + std::str::FromStr + ToString,
    {
        let after: Option<K> = match &self.after {
            Some(text) => Some(text.parse().map_err(|_| unknown_cursor())?),
            None => None,
        };
        let mut items: Vec<T> = items
            .into_iter()
            .filter(|item| after.as_ref().is_none_or(|after| key(item) > *after))
            .take(self.limit + 1)
            .collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| more).map(|item| key(item).to_string());
        Ok((items, next))
    }
}

/// A cursor that no answer has given.
pub fn unknown_cursor() -> Refusal {
    Refusal::at("cursor", "This is no cursor; give `next` of the answer before, or leave it out.")
}

/// How many of something an act has ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ended {
    /// The number.
    pub ended: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_list_follow_each_other_without_a_gap() {
        let mut cursor: Option<String> = None;
        let mut seen = Vec::new();
        loop {
            let page = Page::read(Some(2), cursor.as_deref()).unwrap();
            let (items, next) = page.cut([1, 3, 4, 8, 9], |item| *item).unwrap();
            seen.extend(items);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [1, 3, 4, 8, 9]);
        assert!(Page::read(Some(0), None).is_err());
        assert!(Page::read(None, Some("x")).unwrap().cut([1], |item| *item).is_err());
    }
}
