//! The page's form: what was asked, and the fields that show it.

use std::collections::{HashMap, HashSet};

use super::of_page;
use crate::{
    export::openclaw::{Choice, ExportModel, ExportOptions, MediaUse, OptionFault, World, models_of},
    i18n::Messages,
    model::{catalog::Catalog, catalog::PublicModel, token::Token},
    web::{form::Fields, format::short_count},
};

/// What a field for a model's alias begins with.
const ALIAS: &str = "alias:";
/// A page that lists more models than this has fields for aliases only at those that are ticked.
const MOST_ALIAS_FIELDS: usize = 30;

/// What the form asks for.
pub(super) struct Asked {
    /// The options, or what is wrong with them.
    pub options: Result<ExportOptions, Vec<OptionFault>>,
    /// The ticked models, in their order.
    ticked: Vec<String>,
    /// Aliases by folded model.
    aliases: HashMap<String, String>,
    /// What was chosen in lists, by field.
    chosen: HashMap<String, String>,
}

/// A model to tick.
pub(super) struct ModelChoice {
    pub name: String,
    pub ticked: bool,
    pub first: bool,
    /// What OpenClaw will be told of it, in short.
    pub facts: String,
    /// Its alias, if there is a field for it.
    pub alias: Option<String>,
}

/// A list to choose from.
pub(super) struct Select {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    /// Value, text, and whether it is chosen.
    pub options: Vec<(String, String, bool)>,
}

impl Asked {
    /// Reads the form. The button "up" is carried out; a ticked model that is no more is a fault.
    pub fn of(fields: &Fields, catalog: &Catalog, token: &Token) -> Self {
        let known: HashMap<String, &str> =
            models_of(catalog, token).map(|model| (model.name.to_lowercase(), model.name.as_str())).collect();
        let mut ticked: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        for name in fields.all("model").filter(|name| !name.is_empty()) {
            let name = known.get(&name.to_lowercase()).map_or(name, |known| *known).to_owned();
            if seen.insert(name.to_lowercase()) {
                ticked.push(name);
            }
        }
        let raised = fields.text("up");
        if let Some(position) = ticked.iter().position(|name| name == raised)
            && position > 0
        {
            ticked.swap(position, position - 1);
        }
        let mut pairs: Vec<(String, String)> =
            ticked.iter().map(|name| ("model".to_owned(), name.clone())).collect();
        let (mut aliases, mut chosen) = (HashMap::new(), HashMap::new());
        for (name, value) in fields.pairs() {
            let value = value.trim();
            match name {
                "token" | "up" | "model" => {}
                "alias" => {
                    if let Some((model, alias)) = value.rsplit_once(':') {
                        aliases.insert(model.trim().to_lowercase(), alias.trim().to_owned());
                    }
                    pairs.push((name.to_owned(), value.to_owned()));
                }
                name => match name.strip_prefix(ALIAS) {
                    Some(_) if value.is_empty() => {}
                    Some(model) => {
                        aliases.insert(model.to_lowercase(), value.to_owned());
                        pairs.push(("alias".to_owned(), format!("{model}:{value}")));
                    }
                    None => {
                        chosen.insert(name.to_owned(), value.to_owned());
                        pairs.push((name.to_owned(), value.to_owned()));
                    }
                },
            }
        }
        let options = ExportOptions::read(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Self { options: options.map(of_page), ticked, aliases, chosen }
    }

    /// Whether a model is ticked.
    pub fn ticks_any(&self) -> bool {
        !self.ticked.is_empty()
    }

    /// The ticked models that are there, in their order, then the others. If these are too many to be meant all together, chains
    /// come first among them, since a few of those may do.
    pub fn models(&self, world: &World<'_>, too_many: bool, t: Messages) -> Vec<ModelChoice> {
        let all: Vec<&PublicModel> = models_of(world.catalog, world.token).collect();
        let place = |model: &&PublicModel| self.ticked.iter().position(|name| *name == model.name);
        let mut ticked: Vec<&PublicModel> =
            all.iter().copied().filter(|model| place(model).is_some()).collect();
        ticked.sort_by_key(place);
        let few = all.len() <= MOST_ALIAS_FIELDS;
        let count = ticked.len();
        let mut others: Vec<&PublicModel> =
            all.iter().copied().filter(|model| place(model).is_none()).collect();
        if too_many {
            others.sort_by_key(|model| model.chain.is_none() && !model.managed);
        }
        let ordered: Vec<&PublicModel> = ticked.into_iter().chain(others).collect();
        let choice = |(position, model): (usize, &PublicModel)| {
            let ticked = position < count;
            let alias = self.aliases.get(&model.name.to_lowercase()).cloned();
            let offered = ticked || alias.is_some() || (few && count == 0);
            ModelChoice {
                name: model.name.clone(),
                ticked,
                first: position == 0 && (ticked || (count == 0 && !too_many)),
                facts: facts(&ExportModel::of(model, world.token, world.providers), t),
                alias: offered.then(|| alias.unwrap_or_default()),
            }
        };
        ordered.into_iter().enumerate().map(choice).collect()
    }

    /// Which models are exported: the ticked ones, or all.
    fn exported<'a>(&self, world: &World<'a>) -> Vec<&'a PublicModel> {
        let all = models_of(world.catalog, world.token);
        all.filter(|model| self.ticked.is_empty() || self.ticked.contains(&model.name)).collect()
    }

    fn select(
        &self,
        name: &'static str,
        label: &'static str,
        hint: &'static str,
        words: &[(&str, String)],
        models: &[&str],
    ) -> Select {
        let chosen = self.chosen.get(name).map(String::as_str).unwrap_or_default();
        let words = words.iter().map(|(value, text)| ((*value).to_owned(), text.clone()));
        let names = models.iter().map(|name| ((*name).to_owned(), (*name).to_owned()));
        let mut options: Vec<(String, String, bool)> =
            words.chain(names).map(|(value, text)| (value.clone(), text, value == chosen)).collect();
        if !options.iter().any(|(_, _, chosen)| *chosen) {
            // What was asked for and is none of them is shown with what is wrong with it.
            options.push((chosen.to_owned(), chosen.to_owned(), true));
        }
        Select { name, label, hint, options }
    }

    /// The lists of the chat part.
    pub fn uses(&self, world: &World<'_>, m: Messages) -> Vec<Select> {
        let t = m.openclaw;
        let exported = self.exported(world);
        let names: Vec<&str> = exported.iter().map(|model| model.name.as_str()).collect();
        let sees = |model: &&&PublicModel| ExportModel::of(model, world.token, world.providers).vision;
        let seeing: Vec<&str> = exported.iter().filter(sees).map(|model| model.name.as_str()).collect();
        let stays = || (String::new(), t.stays().to_owned());
        let (nothing, kept) = stays();
        let first = (Choice::First.as_str(), t.first_that_sees().to_owned());
        let mut of_images = vec![(nothing.as_str(), kept.clone())];
        if !seeing.is_empty() {
            of_images.push(first);
        }
        let of_primary = [("", t.first_of_list().to_owned()), (Choice::None.as_str(), t.stays().to_owned())];
        vec![
            self.select("primary", t.primary(), "", &of_primary, &names),
            self.select("image_model", t.image_model(), t.image_model_hint(), &of_images, &seeing),
            self.select("pdf_model", t.pdf_model(), "", &of_images, &seeing),
            self.select("utility_model", t.utility_model(), t.utility_model_hint(), &[("", kept)], &names),
        ]
    }

    /// The lists of the media part.
    pub fn media(&self, world: &World<'_>, m: Messages) -> Vec<Select> {
        let t = m.openclaw;
        let label = |media| match media {
            MediaUse::Embeddings => (t.embeddings(), t.embeddings_hint()),
            MediaUse::Speech => (t.speech(), ""),
            MediaUse::Transcription => (t.transcription(), ""),
            MediaUse::Images => (t.images(), ""),
            MediaUse::Video => (t.video(), ""),
        };
        let select = |media: &MediaUse| {
            let names: Vec<&str> = media.models(world).map(|model| model.name.as_str()).collect();
            let (label, hint) = label(*media);
            let usual = match names.first() {
                Some(first) => t.first_known(first),
                None => t.nobody_known().to_owned(),
            };
            let words = [("", usual), (Choice::None.as_str(), t.left_out().to_owned())];
            self.select(media.option(), label, hint, &words, &names)
        };
        MediaUse::ALL.iter().map(select).collect()
    }
}

/// `128 K · 8 K out · images · reasoning`.
fn facts(model: &ExportModel, m: Messages) -> String {
    let t = m.openclaw;
    let mut parts = Vec::new();
    parts.extend(model.context_window.map(|window| t.fact_window(&short_count(window.into()))));
    parts.extend(model.max_output.map(|most| t.fact_output(&short_count(most.into()))));
    if model.vision {
        parts.push(t.fact_images().to_owned());
    }
    if model.reasoning {
        parts.push(t.fact_reasoning().to_owned());
    }
    if model.no_tools {
        parts.push(t.fact_no_tools().to_owned());
    }
    parts.join(" · ")
}
