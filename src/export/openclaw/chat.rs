//! The chat part: the provider, its models, and which of them OpenClaw asks for what.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};

use super::{
    Choice, Export, ExportModel, ExportOptions, Form, MAX_FALLBACKS, MAX_MODELS, OptionFault, Problem, World,
    changes, fault::shortened, models_of, replace_path,
};
use crate::model::{catalog::PublicModel, openclaw_export::ExportRecord, settings::RuntimeSettings};

/// The path of the primary model.
pub(super) const MODEL: &[&str] = &["agents", "defaults", "model"];
const MODELS: &[&str] = &["agents", "defaults", "models"];
const IMAGE_MODEL: &[&str] = &["agents", "defaults", "imageModel"];
const PDF_MODEL: &[&str] = &["agents", "defaults", "pdfModel"];
const UTILITY_MODEL: &[&str] = &["agents", "defaults", "utilityModel"];

/// OpenClaw gives a stream up in which nothing came for 60 to 120 seconds (<https://docs.openclaw.ai/concepts/agent-loop>).
/// Keep-alives that come more often than this need no word of it.
const QUIET_SECONDS: u32 = 45;
/// The time limit for a server whose keep-alives are rarer. OpenClaw takes it for the limit of a whole call as well.
const PATIENT_SECONDS: u32 = 1800;

/// A use of models: where it stands, the first one and those to try after it.
struct Use {
    path: &'static [&'static str],
    primary: String,
    /// `None` if the use takes one model only.
    fallbacks: Option<Vec<String>>,
}

/// Makes the chat part.
pub(super) fn export(
    world: &World<'_>,
    options: &ExportOptions,
    last: Option<&ExportRecord>,
) -> Result<Export, Vec<OptionFault>> {
    let mut faults = Vec::new();
    let models = chosen(world, options, &mut faults);
    let find = |name: &str| {
        let wanted = name.to_lowercase();
        models.iter().find(|model| model.id.to_lowercase() == wanted)
    };
    let uses = uses(options, &models, &find, &mut faults);
    let mut aliases = BTreeMap::new();
    for alias in &options.aliases {
        match find(&alias.model) {
            Some(model) => _ = aliases.insert(model.id.clone(), alias.alias.clone()),
            None => faults.push(not_exported("alias", &alias.model)),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }

    let reference = |id: &str| format!("{}/{id}", options.provider_id);
    let mut root = Value::Object(Map::new());
    put(&mut root, &["models", "mode"], "merge".into());
    put(&mut root, &["models", "providers", &options.provider_id], provider(world, options, &models));
    for Use { path, primary, fallbacks } in &uses {
        let value = match fallbacks {
            None => reference(primary).into(),
            Some(fallbacks) => {
                let fallbacks: Vec<String> = fallbacks.iter().map(|id| reference(id)).collect();
                json!({ "primary": reference(primary), "fallbacks": fallbacks })
            }
        };
        put(&mut root, path, value);
    }
    for (id, alias) in &aliases {
        let reference = reference(id);
        put(&mut root, &[MODELS[0], MODELS[1], MODELS[2], &reference], json!({ "alias": alias }));
    }
    let uses = uses.into_iter().map(|one| (one.path.join("."), one.primary)).collect();
    let mut record = ExportRecord {
        models: models.iter().map(ExportModel::record).collect(),
        aliases,
        uses,
        hash: String::new(),
        options: options.query(),
        ..ExportRecord::default()
    };
    record.hash = changes::hash(&root);
    record.without_alias = changes::without_alias(&record, last);
    match options.form {
        // In a file that OpenClaw's own command line has never written, the aliases are the only models that may be chosen.
        Some(Form::File) if !record.aliases.is_empty() => {
            put(&mut root, &[MODELS[0], MODELS[1], MODELS[2], &reference("*")], json!({}));
        }
        Some(Form::File) => {}
        _ => take_back(&mut root, &record, last, &reference),
    }
    let replace_paths = vec![replace_path(&options.provider_id)];
    Ok(Export { document: root, replace_paths, record })
}

/// The models to export, in their order.
fn chosen(world: &World<'_>, options: &ExportOptions, faults: &mut Vec<OptionFault>) -> Vec<ExportModel> {
    let make = |model: &PublicModel| ExportModel::of(model, world.token, world.providers);
    let mut models: Vec<ExportModel> = Vec::new();
    if options.models.is_empty() {
        models.extend(models_of(world.catalog, world.token).take(MAX_MODELS + 1).map(make));
        if models.len() > MAX_MODELS {
            let all = models_of(world.catalog, world.token).count();
            faults.push(OptionFault::new("model", Problem::TooMany { models: all, most: MAX_MODELS }));
            models.truncate(MAX_MODELS);
        }
        return models;
    }
    if options.models.len() > MAX_MODELS {
        let problem = Problem::TooMany { models: options.models.len(), most: MAX_MODELS };
        faults.push(OptionFault::new("model", problem));
        return models;
    }
    let allowed: BTreeMap<String, &PublicModel> =
        world.catalog.models_for(world.token).map(|model| (model.name.to_lowercase(), model)).collect();
    let chatting: BTreeMap<String, &PublicModel> =
        models_of(world.catalog, world.token).map(|model| (model.name.to_lowercase(), model)).collect();
    for name in &options.models {
        let key = name.to_lowercase();
        match chatting.get(&key) {
            Some(model) if models.iter().any(|known| known.id == model.name) => {}
            Some(model) => models.push(make(model)),
            None if allowed.contains_key(&key) => {
                faults.push(OptionFault::new("model", Problem::NoChat(shortened(name))));
            }
            None => faults.push(OptionFault::new("model", Problem::NoSuchModel(shortened(name)))),
        }
    }
    models
}

fn not_exported(option: &str, name: &str) -> OptionFault {
    OptionFault::new(option, Problem::NotExported(shortened(name)))
}

fn uses<'a>(
    options: &ExportOptions,
    models: &'a [ExportModel],
    find: &dyn Fn(&str) -> Option<&'a ExportModel>,
    faults: &mut Vec<OptionFault>,
) -> Vec<Use> {
    let mut uses = Vec::new();
    let mut pick =
        |option: &str, choice: &Choice, fits: fn(&ExportModel) -> bool, none_fits: Problem| match choice {
            Choice::None => None,
            Choice::First => {
                let first = models.iter().find(|model| fits(model));
                // A list that is empty for want of models is told elsewhere.
                if first.is_none() && !models.is_empty() {
                    faults.push(OptionFault::new(option, none_fits));
                }
                first
            }
            Choice::Model(name) => match find(name) {
                Some(model) if fits(model) => Some(model),
                Some(model) => {
                    faults.push(OptionFault::new(option, Problem::NoImages(shortened(&model.id))));
                    None
                }
                None => {
                    faults.push(not_exported(option, name));
                    None
                }
            },
        };
    let any = |_: &ExportModel| true;
    let sees = |model: &ExportModel| model.vision;
    let primary = pick("primary", &options.primary, any, Problem::NoneSeesImages);
    let image = pick("image_model", &options.image_model, sees, Problem::NoneSeesImages);
    let pdf = pick("pdf_model", &options.pdf_model, sees, Problem::NoneSeesImages);
    let utility = pick("utility_model", &options.utility_model, any, Problem::NoneSeesImages);

    let after = |first: &ExportModel, fits: fn(&ExportModel) -> bool| -> Vec<String> {
        let others = models.iter().filter(|model| fits(model) && model.id != first.id);
        others.take(MAX_FALLBACKS).map(|model| model.id.clone()).collect()
    };
    let mut named = Vec::new();
    for name in options.fallbacks.iter().flatten() {
        match find(name) {
            Some(model) if named.contains(&model.id) => {}
            Some(model) => named.push(model.id.clone()),
            None => faults.push(not_exported("fallback", name)),
        }
    }
    if primary.is_none() && !named.is_empty() && options.primary == Choice::None {
        faults.push(OptionFault::new("fallback", Problem::FallbackWithoutPrimary));
    }
    if let Some(model) = primary {
        let fallbacks = match options.fallbacks {
            Some(_) => named.into_iter().filter(|id| *id != model.id).collect(),
            None => after(model, any),
        };
        uses.push(Use { path: MODEL, primary: model.id.clone(), fallbacks: Some(fallbacks) });
    }
    for (path, model) in [(IMAGE_MODEL, image), (PDF_MODEL, pdf)] {
        if let Some(model) = model {
            let fallbacks = Some(after(model, sees));
            uses.push(Use { path, primary: model.id.clone(), fallbacks });
        }
    }
    if let Some(model) = utility {
        uses.push(Use { path: UTILITY_MODEL, primary: model.id.clone(), fallbacks: None });
    }
    uses
}

fn provider(world: &World<'_>, options: &ExportOptions, models: &[ExportModel]) -> Value {
    let mut provider = json!({
        "baseUrl": world.base_url,
        "apiKey": world.api_key(options),
        "api": "openai-completions",
        // Lets the usage log tell OpenClaw from other clients of the same library.
        "headers": { "X-Client": "openclaw" },
    });
    if let Some(seconds) = timeout_seconds(&world.catalog.settings) {
        provider["timeoutSeconds"] = seconds.into();
    }
    provider["models"] = models.iter().map(entry).collect();
    provider
}

/// The provider's time limit, if OpenClaw's usual one is shorter than the server's silence.
fn timeout_seconds(settings: &RuntimeSettings) -> Option<u32> {
    let quiet_ms = settings.keepalive_after_ms.max(settings.keepalive_every_ms);
    (quiet_ms > QUIET_SECONDS * 1000).then_some(PATIENT_SECONDS)
}

fn entry(model: &ExportModel) -> Value {
    let input: &[&str] = if model.vision { &["text", "image"] } else { &["text"] };
    let mut entry = Map::new();
    entry.insert("id".into(), model.id.as_str().into());
    entry.insert("name".into(), model.id.as_str().into());
    entry.insert("reasoning".into(), model.reasoning.into());
    entry.insert("input".into(), json!(input));
    if let Some(price) = model.price {
        entry.insert(
            "cost".into(),
            json!({
                "input": dollars(price.input),
                "output": dollars(price.output),
                "cacheRead": dollars(price.cached.unwrap_or(price.input)),
                "cacheWrite": dollars(price.input),
            }),
        );
    }
    if let Some(window) = model.context_window {
        entry.insert("contextWindow".into(), window.into());
    }
    if let Some(max) = model.max_output {
        entry.insert("maxTokens".into(), max.into());
    }
    entry.insert("compat".into(), compat(model));
    Value::Object(entry)
}

/// What OpenClaw may send, by what becomes of it here (see `docs/fixes.md`).
fn compat(model: &ExportModel) -> Value {
    let mut compat = json!({
        // Upstreams differ in these two; OpenClaw needs neither.
        "supportsStore": false,
        "supportsDeveloperRole": false,
        // Where a fix says it in the upstream's words. Elsewhere a value that the upstream does not know would be refused.
        "supportsReasoningEffort": model.effort,
        // Without it OpenClaw asks for no usage, shows no cost and cannot see a context overflow coming.
        "supportsUsageInStreaming": true,
        // Every upstream knows the older name, or is asked again with the newer one.
        "maxTokensField": "max_tokens",
    });
    if model.effort {
        compat["thinkingFormat"] = "openai".into();
        // Fixes know what `none` means, so that `/think off` reaches the upstream.
        compat["supportedReasoningEfforts"] = json!(["none", "low", "medium", "high"]);
    }
    if model.no_tools {
        compat["supportsTools"] = false.into();
    }
    compat
}

/// Micro-dollars as dollars. The nearest double of a decimal with at most 15 digits prints as that decimal.
pub(super) fn dollars(micros: i64) -> Number {
    if micros % 1_000_000 == 0 {
        return (micros / 1_000_000).into();
    }
    Number::from_f64(micros as f64 / 1e6).unwrap_or_else(|| 0.into())
}

/// Writes what a patch takes back: aliases and uses that the last export had and this one has not.
fn take_back(
    root: &mut Value,
    record: &ExportRecord,
    last: Option<&ExportRecord>,
    reference: &dyn Fn(&str) -> String,
) {
    for id in &record.without_alias {
        let known = record.models.iter().any(|model| model.id == *id);
        // What the user may have set beside the alias of a model that is still there stays.
        let nothing = if known { json!({ "alias": null }) } else { Value::Null };
        put(root, &[MODELS[0], MODELS[1], MODELS[2], &reference(id)], nothing);
    }
    let uses = last.into_iter().flat_map(|last| last.uses.keys());
    // OpenClaw always needs a primary model: the present one stays.
    for path in uses.filter(|path| **path != MODEL.join(".") && !record.uses.contains_key(*path)) {
        put(root, &path.split('.').collect::<Vec<_>>(), Value::Null);
    }
}

/// Writes a value at a path of objects, which are made where they are missing.
pub(super) fn put(root: &mut Value, path: &[&str], value: Value) {
    let Some((last, before)) = path.split_last() else { return };
    let mut place = root;
    for step in before {
        if !place[*step].is_object() {
            place[*step] = Value::Object(Map::new());
        }
        place = &mut place[*step];
    }
    place[*last] = value;
}
