//! What models cost at their vendors: dated presets (`data/prices.json`), which files may extend, and which price holds for a
//! model at a channel.
//!
//! A preset is what somebody read on a day from a page of the vendor's; it has that day and its source. Prices are joined by
//! the models' identities, so that `x:free` has the price of `x` to be compared with.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Deserialize;

use super::{
    data::{is_address, read_all, unless},
    identity::{Identities, Identity, NameKind, is_model_name},
};
use crate::{
    model::{
        channel::Price,
        decimal,
        id::ChannelId,
        price::{ListPrice, OwnPrice, PriceSource},
        unit_price::UnitPrices,
    },
    provider::DataFault,
};

const EMBEDDED: (&str, &str) = ("prices.json", include_str!("data/prices.json"));

/// Decimals of a price in dollars.
const DOLLAR_PLACES: u32 = 6;

/// The highest price, in micro-dollars per million tokens: a million dollars.
const MOST_MICROS: i64 = 1_000_000_000_000;

/// A preset that is older than so many days may have been overtaken; pages say so.
pub const STALE_DAYS: i32 = 180;

/// A file of prices.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Prices in dollars per million tokens. A later file's entry for a model at a provider replaces that of an earlier one.
    prices: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The provider's id, such as `groq`; it need not be one that this program knows.
    provider: String,
    /// The model as the provider names it.
    model: String,
    /// Its other names there.
    #[serde(default)]
    names: Vec<String>,
    /// For prompt tokens.
    input: Option<serde_json::Number>,
    /// For cached prompt tokens; left out: the same as `input`.
    cached: Option<serde_json::Number>,
    /// For completion tokens.
    output: Option<serde_json::Number>,
    /// For completion tokens spent on reasoning; left out: the same as `output`.
    reasoning: Option<serde_json::Number>,
    /// Per picture, minute and the like, as forms have it: `image=0.04 audio_minute=0.006`.
    #[serde(default)]
    units: String,
    /// The day on which the price was read.
    as_of: jiff::civil::Date,
    /// Where.
    source: String,
}

/// A price that came with the program, or from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// The provider's id.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// Its other names there.
    pub names: Vec<String>,
    /// The price.
    pub list: Arc<ListPrice>,
    /// The day on which it was read.
    pub as_of: jiff::civil::Date,
    /// Where.
    pub source: String,
}

impl Preset {
    /// Whether it is so old that it may have been overtaken.
    pub fn is_stale(&self, today: jiff::civil::Date) -> bool {
        is_stale(self.as_of, today)
    }
}

/// Whether what was read on a day is so old that it may have been overtaken.
pub fn is_stale(as_of: jiff::civil::Date, today: jiff::civil::Date) -> bool {
    today.since(as_of).is_ok_and(|span| span.get_days() > STALE_DAYS)
}

/// All presets.
#[derive(Debug, Clone)]
pub struct Presets(Vec<Preset>);

impl Presets {
    /// Those that came with the program.
    ///
    /// # Panics
    ///
    /// If the embedded file is malformed, which a test rules out.
    pub fn embedded() -> Self {
        match Self::with_overrides(&[]) {
            Ok(presets) => presets,
            Err(faults) => panic!("the embedded prices are malformed: {}", faults[0]),
        }
    }

    /// The same with files (name and text) over it, in their order: an entry replaces that of the same provider and model. If any
    /// file is malformed, every fault is reported and there are no prices: keep those that you have.
    pub fn with_overrides(files: &[(String, String)]) -> Result<Self, Vec<DataFault>> {
        let read = read_all::<File>(EMBEDDED, files)?;
        let mut faults = Vec::new();
        let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut presets: Vec<Preset> = Vec::new();
        for (file, content) in &read {
            for (place, entry) in content.prices.iter().enumerate() {
                let Some(preset) = entry.preset(file, place, &mut faults) else { continue };
                let key = (preset.provider.clone(), preset.model.to_ascii_lowercase());
                match known.get(&key) {
                    Some(&at) => presets[at] = preset,
                    None => {
                        known.insert(key, presets.len());
                        presets.push(preset);
                    }
                }
            }
        }
        if faults.is_empty() { Ok(Self(presets)) } else { Err(faults) }
    }

    /// All of them, in the order of the files.
    pub fn all(&self) -> &[Preset] {
        &self.0
    }
}

impl Entry {
    fn preset(&self, file: &str, place: usize, faults: &mut Vec<DataFault>) -> Option<Preset> {
        let before = faults.len();
        let at = |field: &str| format!("prices[{place}].{field}");
        let names = std::iter::once(&self.model).chain(&self.names);
        let are_names = names.into_iter().all(|name| is_model_name(name));
        unless(are_names, file, at("model"), faults, "a name has 1 to 200 characters, and no blanks");
        unless(is_model_name(&self.provider), file, at("provider"), faults, "name a provider by its id");
        unless(
            is_address(&self.source),
            file,
            at("source"),
            faults,
            "give the address where the price stands",
        );
        let mut dollars = |field: &str, number: &Option<serde_json::Number>| {
            let micros = number.as_ref().map(|number| decimal::parse(&number.to_string(), DOLLAR_PLACES));
            let fits =
                micros.is_none_or(|micros| micros.is_some_and(|micros| (0..=MOST_MICROS).contains(&micros)));
            let message = "write dollars per million tokens, with at most six decimals";
            unless(fits, file, format!("prices[{place}].{field}"), faults, message);
            micros.flatten()
        };
        let (input, cached) = (dollars("input", &self.input), dollars("cached", &self.cached));
        let (output, reasoning) = (dollars("output", &self.output), dollars("reasoning", &self.reasoning));
        let unit_prices = UnitPrices::parse(&self.units);
        unless(
            unit_prices.is_ok(),
            file,
            at("units"),
            faults,
            "write prices as `image=0.04 audio_minute=0.006`",
        );
        let unit_prices = unit_prices.ok().filter(|prices| !prices.is_empty());
        let is_whole = input.is_some() == output.is_some() && (input.is_some() || unit_prices.is_some());
        unless(is_whole, file, at("input"), faults, "give `input` and `output`, or `units`");
        if faults.len() > before {
            return None;
        }
        let price = input.zip(output).map(|(input, output)| Price { input, cached, output, reasoning });
        Some(Preset {
            provider: self.provider.clone(),
            model: self.model.clone(),
            names: self.names.clone(),
            list: Arc::new(ListPrice {
                price,
                unit_prices: unit_prices.map(Box::new),
                source: PriceSource::Preset,
                as_of: Some(self.as_of.to_string()),
            }),
            as_of: self.as_of,
            source: self.source.clone(),
        })
    }
}

/// A model's price in the list of a channel's upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The channel.
    pub channel: ChannelId,
    /// The upstream's name of the model.
    pub model: String,
    /// Its price there.
    pub price: Price,
}

/// Everything that is known of prices beside the channels' own, to look up what holds.
#[derive(Debug)]
pub struct PriceBook {
    identities: Identities,
    own: HashMap<(String, String), Arc<ListPrice>>,
    /// What is not free in a channel's list, by the model's identity; the dearest of one identity.
    listed: HashMap<(ChannelId, Identity), Arc<ListPrice>>,
    /// By identity, then by provider; the first one is the reference.
    presets: HashMap<Identity, Vec<(String, Arc<ListPrice>)>>,
}

impl PriceBook {
    /// A book of these prices. `provider_of` gives a channel's provider.
    pub fn new(
        identities: Identities,
        own: &[OwnPrice],
        listed: &[Listed],
        presets: &Presets,
        provider_of: impl Fn(ChannelId) -> Option<String>,
    ) -> Self {
        let own = own.iter().map(|own| {
            let key = (own.model.to_ascii_lowercase(), own.provider.clone().unwrap_or_default());
            (key, Arc::new(own.list()))
        });
        let mut book =
            Self { own: own.collect(), listed: HashMap::new(), presets: HashMap::new(), identities };
        for Listed { channel, model, price } in
            listed.iter().filter(|listed| listed.price != Price::default())
        {
            let Some(provider) = provider_of(*channel) else { continue };
            let Some(identity) = book.identity(&provider, model) else { continue };
            let price = *price;
            let list = ListPrice {
                price: Some(price),
                unit_prices: None,
                source: PriceSource::Upstream,
                as_of: None,
            };
            let known = book.listed.entry((*channel, identity)).or_insert_with(|| Arc::new(list.clone()));
            let dearness =
                |price: Option<Price>| price.map_or(0, |price| price.input.saturating_add(price.output));
            if dearness(Some(price)) > dearness(known.price) {
                *known = Arc::new(list);
            }
        }
        for preset in presets.all() {
            for name in std::iter::once(&preset.model).chain(&preset.names) {
                let identity = book.identities.identify(&preset.provider, name).identity;
                let of_identity = book.presets.entry(identity).or_default();
                if !of_identity.iter().any(|(provider, _)| *provider == preset.provider) {
                    of_identity.push((preset.provider.clone(), preset.list.clone()));
                }
            }
        }
        book
    }

    /// The identity that prices are joined by; `None` of what stands for no model.
    pub fn identity(&self, provider: &str, model: &str) -> Option<Identity> {
        let found = self.identities.identify(provider, model);
        (found.kind != NameKind::Router).then_some(found.identity)
    }

    /// What a model costs by the list that holds: the operator's table (for the provider, else for any), else what the channel's
    /// upstream lists for it, or for its paid counterpart, else the preset of the provider, else that of the vendor.
    pub fn find(&self, channel: ChannelId, provider: &str, model: &str) -> Option<Arc<ListPrice>> {
        let identity = self.identity(provider, model)?;
        let own = |provider: &str| self.own.get(&(identity.as_str().to_owned(), provider.to_owned()));
        if let Some(list) = own(provider).or_else(|| own("")) {
            return Some(list.clone());
        }
        let presets = self.presets.get(&identity).map(Vec::as_slice).unwrap_or_default();
        let preset = presets.iter().find(|(of, _)| of == provider).or(presets.first());
        let listed = self.listed.get(&(channel, identity));
        listed.or(preset.map(|(_, list)| list)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Vec<(String, String)> {
        vec![("prices-own.json".into(), text.into())]
    }

    fn price(input: i64, output: i64) -> Price {
        Price { input, cached: None, output, reasoning: None }
    }

    #[test]
    fn every_preset_has_a_day_and_a_source_and_stands_once() {
        let presets = Presets::embedded();
        assert!(presets.all().len() > 100);
        for preset in presets.all() {
            assert!(preset.list.price.is_some_and(|price| price.input > 0 || price.output > 0), "{preset:?}");
            assert!(preset.as_of.year() >= 2025 && preset.source.starts_with("https://"), "{preset:?}");
        }
    }

    #[test]
    fn a_file_replaces_an_entry_and_what_is_wrong_in_it_is_told_with_its_place() {
        let own = r#"{"prices": [{"provider": "groq", "model": "openai/gpt-oss-120b", "input": 1, "output": 2.5,
            "reasoning": 3, "units": "search=0.001", "as_of": "2026-11-01", "source": "https://example.org/p"}]}"#;
        let presets = Presets::with_overrides(&files(own)).unwrap();
        let found: Vec<_> = presets
            .all()
            .iter()
            .filter(|p| p.provider == "groq" && p.model == "openai/gpt-oss-120b")
            .collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].list.price,
            Some(Price { reasoning: Some(3_000_000), ..price(1_000_000, 2_500_000) })
        );
        let entry = |change: &str| {
            format!(
                r#"{{"prices": [{{"provider": "a", "model": "b", {change} "as_of": "2026-11-01", "source": "https://a.b"}}]}}"#
            )
        };
        for (wrong, place) in [
            (r#""input": 1,"#, "prices[0].input"),
            (r#""input": -1, "output": 1,"#, "prices[0].input"),
            (r#""input": 1, "output": 0.0000001,"#, "prices[0].output"),
            (r#""input": 1, "output": 1e99,"#, "prices[0].output"),
            (r#""units": "picture=1","#, "prices[0].units"),
            ("", "prices[0].input"),
        ] {
            let faults = Presets::with_overrides(&files(&entry(wrong))).unwrap_err();
            assert!(faults.iter().any(|fault| fault.place == place), "{wrong}: {faults:?}");
        }
        let dateless = entry(r#""units": "image=1","#).replace(r#""as_of": "2026-11-01", "#, "");
        assert!(Presets::with_overrides(&files(&dateless)).unwrap_err()[0].message.contains("as_of"));
        assert!(Presets::with_overrides(&files(&entry(r#""units": "image=1","#))).is_ok());
    }

    #[test]
    fn what_is_older_than_half_a_year_is_stale() {
        let today: jiff::civil::Date = "2026-11-21".parse().unwrap();
        assert!(!is_stale("2026-05-25".parse().unwrap(), today));
        assert!(is_stale("2026-05-24".parse().unwrap(), today));
        assert!(!is_stale("2027-01-01".parse().unwrap(), today));
    }

    fn book(own: &[OwnPrice], listed: &[Listed]) -> PriceBook {
        let text = r#"{"prices": [
            {"provider": "maker", "model": "x-9", "input": 4, "output": 8, "as_of": "2026-11-01", "source": "https://a.b"},
            {"provider": "groq", "model": "openai/x-9", "input": 2, "output": 3, "as_of": "2026-11-01", "source": "https://a.b"}
        ]}"#;
        let presets = Presets::with_overrides(&files(text)).unwrap();
        PriceBook::new(Identities::embedded(), own, listed, &presets, |_| Some("openrouter".into()))
    }

    #[test]
    fn a_free_model_has_the_price_of_its_paid_counterpart_and_the_nearest_list_holds() {
        let channel = ChannelId(1);
        let input = |book: &PriceBook, provider: &str, model: &str| {
            let list = book.find(channel, provider, model)?;
            Some((list.price?.input, list.source))
        };
        let none = book(&[], &[]);
        assert_eq!(input(&none, "openrouter", "openai/x-9:free"), Some((4_000_000, PriceSource::Preset)));
        assert_eq!(input(&none, "groq", "openai/x-9"), Some((2_000_000, PriceSource::Preset)));
        assert_eq!(input(&none, "openrouter", "openrouter/free"), None, "nobody knows which model it is");
        assert_eq!(input(&none, "openrouter", "house-model"), None);

        let listed = |model: &str, price| Listed { channel, model: model.into(), price };
        let lists = [listed("openai/x-9:free", Price::default()), listed("openai/x-9", price(5, 6))];
        let with_lists = book(&[], &lists);
        assert_eq!(input(&with_lists, "openrouter", "openai/x-9:free"), Some((5, PriceSource::Upstream)));
        assert_eq!(with_lists.find(ChannelId(2), "openrouter", "x-9").unwrap().source, PriceSource::Preset);

        let own = |provider: Option<&str>, micros| OwnPrice {
            model: "x-9".into(),
            provider: provider.map(str::to_owned),
            price: Some(price(micros, micros)),
            unit_prices: None,
        };
        let with_own = book(&[own(None, 7), own(Some("groq"), 8)], &lists);
        assert_eq!(input(&with_own, "openrouter", "openai/x-9:free"), Some((7, PriceSource::Table)));
        assert_eq!(input(&with_own, "groq", "openai/x-9"), Some((8, PriceSource::Table)));
    }
}
