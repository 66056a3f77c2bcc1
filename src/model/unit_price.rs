//! Prices per picture, minute of sound, character and the like, beside those per token.
//!
//! Operators write them in one line, which pages, the command line and this program's texts share:
//! `image=0.04 image/1024x1024/high=0.167 audio_minute=0.006`.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{decimal, endpoint::Unit, usage::Units};

/// The highest price, in micro-dollars: a million dollars.
const MOST_MICROS: i64 = 1_000_000_000_000;
/// Decimals of a price in dollars.
const DOLLAR_PLACES: u32 = 6;
/// The most prices for kinds of pictures.
const MOST_KINDS: usize = 50;
/// The longest size or quality, in characters; see [`Units::image_size`].
const MOST_WORD_CHARS: usize = 20;

/// Prices in micro-dollars per unit; what is `None` has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPrices {
    /// For a picture of no kind below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<i64>,
    /// For a picture of a size, a quality, or both: `1024x1024`, `high`, `1024x1024/high`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub image_by: BTreeMap<String, i64>,
    /// For a minute of sound that is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_minute: Option<i64>,
    /// For a million characters that are spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub million_characters: Option<i64>,
    /// For a second of video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_second: Option<i64>,
    /// For a search, the unit of rankings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<i64>,
}

impl UnitPrices {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there is one for what an endpoint counts.
    pub fn covers(&self, unit: Unit) -> bool {
        match unit {
            Unit::None => false,
            Unit::Images => self.image.is_some() || !self.image_by.is_empty(),
            Unit::Characters => self.million_characters.is_some(),
            Unit::Audio => self.audio_minute.is_some(),
            Unit::Video => self.video_second.is_some(),
            Unit::Searches => self.search.is_some(),
        }
    }

    /// What units cost in micro-dollars, rounded up; `None` if nothing of them has a price.
    pub fn cost_micros(&self, units: &Units) -> Option<i64> {
        self.cost_with(units, self.image_price(units))
    }

    /// The most that units may cost which are not made yet: a picture whose size or quality is not said may become one of
    /// the dearest kind.
    pub fn most_micros(&self, units: &Units) -> i64 {
        let said =
            |word: &Option<String>| word.as_ref().is_some_and(|word| !word.eq_ignore_ascii_case("auto"));
        let image = if said(&units.image_size) && said(&units.image_quality) {
            self.image_price(units)
        } else {
            self.image.into_iter().chain(self.image_by.values().copied()).max()
        };
        self.cost_with(units, image).unwrap_or(0)
    }

    fn cost_with(&self, units: &Units, image: Option<i64>) -> Option<i64> {
        let counted = [
            (image, units.images, 1),
            (self.audio_minute, units.audio_ms, 60_000),
            (self.million_characters, units.characters, 1_000_000),
            (self.video_second, units.video_ms, 1000),
            (self.search, units.searches, 1),
        ];
        let costs =
            counted.into_iter().filter(|(_, count, _)| *count > 0).filter_map(|(price, count, per)| {
                let micros = (i128::from(price?) * i128::from(count) + (per - 1)) / per;
                Some(i64::try_from(micros).unwrap_or(i64::MAX))
            });
        costs.reduce(i64::saturating_add)
    }

    /// The price of a picture: that of the kind which says most of it, of equal ones the dearest. One of an unknown kind
    /// takes the general price, else the dearest.
    fn image_price(&self, units: &Units) -> Option<i64> {
        let said = [&units.image_size, &units.image_quality];
        let is_said = |word: &str| {
            said.iter().any(|said| said.as_ref().is_some_and(|said| said.eq_ignore_ascii_case(word)))
        };
        let fitting = self.image_by.iter().filter(|(kind, _)| kind.split('/').all(is_said));
        let best = fitting.map(|(kind, price)| (kind.split('/').count(), *price)).max();
        best.map(|(_, price)| price).or(self.image).or_else(|| self.image_by.values().copied().max())
    }

    /// Reads prices as [`Display`](fmt::Display) writes them, separated by commas or white space.
    ///
    /// # Errors
    /// An entry that is none, has no sensible price, or is there twice; it is given back.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut prices = Self::default();
        let entries = text.split([',', ';', ' ', '\t', '\n', '\r', '，', '；', '、']);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let price = entry.split_once('=').and_then(|(name, price)| {
                let dollars = price.strip_prefix('$').unwrap_or(price);
                prices.add(name, decimal::parse(dollars, DOLLAR_PLACES)?)
            });
            price.ok_or_else(|| entry.to_owned())?;
        }
        Ok(prices)
    }

    /// Notes a price in micro-dollars under its name, `image/...` among them; `None` if there is no such name or price, or
    /// one already.
    pub fn add(&mut self, name: &str, micros: i64) -> Option<()> {
        if !(0..=MOST_MICROS).contains(&micros) {
            return None;
        }
        if let Some(kind) = name.strip_prefix("image/") {
            let is_new = !self.image_by.contains_key(kind) && self.image_by.len() < MOST_KINDS;
            return (is_new && is_kind(kind)).then(|| _ = self.image_by.insert(kind.to_owned(), micros));
        }
        let slot = match name {
            "image" => &mut self.image,
            "audio_minute" => &mut self.audio_minute,
            "million_characters" => &mut self.million_characters,
            "video_second" => &mut self.video_second,
            "search" => &mut self.search,
            _ => return None,
        };
        slot.replace(micros).is_none().then_some(())
    }

    /// Every price in micro-dollars with its name.
    pub fn entries(&self) -> impl Iterator<Item = (String, i64)> + '_ {
        let kinds = self.image_by.iter().map(|(kind, price)| (format!("image/{kind}"), *price));
        let others = [
            ("audio_minute", self.audio_minute),
            ("million_characters", self.million_characters),
            ("video_second", self.video_second),
            ("search", self.search),
        ];
        let named = |(name, price): (&str, Option<i64>)| Some((name.to_owned(), price?));
        named(("image", self.image)).into_iter().chain(kinds).chain(others.into_iter().filter_map(named))
    }
}

/// `image=0.04 image/1024x1024/high=0.167`: what [`UnitPrices::parse`] reads.
impl fmt::Display for UnitPrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            self.entries().map(|(name, micros)| format!("{name}={}", decimal::show(micros, DOLLAR_PLACES)));
        f.write_str(&shown.collect::<Vec<_>>().join(" "))
    }
}

/// Whether a text names a kind of picture: a size, a quality, or both with a slash between.
fn is_kind(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | ':');
    let is_word = |word: &str| (1..=MOST_WORD_CHARS).contains(&word.len()) && word.chars().all(plain);
    text.split('/').count() <= 2 && text.split('/').all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(text: &str) -> UnitPrices {
        UnitPrices::parse(text).unwrap()
    }

    fn pictures(count: u64, size: &str, quality: &str) -> Units {
        let said = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        Units { images: count, image_size: said(size), image_quality: said(quality), ..Units::default() }
    }

    #[test]
    fn prices_are_written_as_they_are_read() {
        let text = "image=0.04 image/1024x1024/high=0.167 image/low=0.01 audio_minute=0.006 million_characters=15 \
                    video_second=0.1 search=0.002";
        let read = prices(&text.replace(' ', "\n,"));
        assert_eq!(read.to_string(), text.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(prices("audio_minute=$0.006、search=1").to_string(), "audio_minute=0.006 search=1");
        assert_eq!(serde_json::from_str::<UnitPrices>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
        assert!(prices(" ").is_empty());
    }

    #[test]
    fn what_is_no_price_is_given_back() {
        for wrong in [
            "picture=1",
            "image",
            "image=",
            "image=-1",
            "image=1e3",
            "image=0.0000001",
            "image=1000001",
            "image/=1",
            "image/a/b/c=1",
            "image/<b>=1",
            "search=1=2",
        ] {
            assert_eq!(UnitPrices::parse(&format!("video_second=1 {wrong}")), Err(wrong.to_owned()));
        }
        assert_eq!(UnitPrices::parse("image=1 image=2"), Err("image=2".into()));
        assert_eq!(UnitPrices::parse("image/a=1 image/a=2"), Err("image/a=2".into()));
    }

    #[test]
    fn a_picture_costs_what_its_kind_costs_and_one_of_an_unknown_kind_no_less() {
        let by_kind = prices("image=0.04 image/1024x1024=0.05 image/high=0.1 image/1024x1024/high=0.2");
        for (size, quality, micros) in [
            ("1024x1024", "high", 200_000),
            ("1024X1024", "low", 50_000),
            ("512x512", "HIGH", 100_000),
            ("512x512", "low", 40_000),
            ("", "", 40_000),
        ] {
            assert_eq!(
                by_kind.cost_micros(&pictures(2, size, quality)),
                Some(2 * micros),
                "{size} {quality}"
            );
        }
        assert_eq!(
            prices("image/low=0.01 image/high=0.1").cost_micros(&pictures(1, "", "medium")),
            Some(100_000)
        );
        assert_eq!(by_kind.cost_micros(&pictures(0, "1024x1024", "high")), None);
        assert_eq!(prices("search=1").cost_micros(&pictures(1, "", "")), None, "it has no price");
    }

    #[test]
    fn a_reservation_takes_the_dearest_kind_where_nothing_is_said() {
        let by_kind = prices("image=0.04 image/high=0.1");
        assert_eq!(by_kind.most_micros(&pictures(3, "1024x1024", "low")), 120_000);
        for quality in ["", "auto", "high"] {
            assert_eq!(by_kind.most_micros(&pictures(3, "1024x1024", quality)), 300_000, "{quality}");
        }
    }

    #[test]
    fn every_unit_is_charged_to_its_last_part_and_rounded_up() {
        let all = prices("audio_minute=0.006 million_characters=15 video_second=0.1 search=0.002");
        for (units, micros) in [
            (Units { audio_ms: 60_000, ..Units::default() }, 6000),
            (Units { audio_ms: 1, ..Units::default() }, 1),
            (Units { characters: 2_000_000, ..Units::default() }, 30_000_000),
            (Units { characters: 11, ..Units::default() }, 165),
            (Units { video_ms: 4500, ..Units::default() }, 450_000),
            (Units { searches: 3, ..Units::default() }, 6000),
            (Units { audio_ms: u64::MAX, video_ms: u64::MAX, ..Units::default() }, i64::MAX),
        ] {
            assert_eq!(all.cost_micros(&units), Some(micros), "{units:?}");
        }
    }
}
