//! A new channel: all that [`ChannelInput`] has, its keys as well, and whatever a provider's data can fill in.

use serde::Deserialize;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema, schema::ArrayBuilder},
};

use super::{
    channels::{ChannelView, checked, view},
    endpoint::{Asked, Body, BodyPart, BodyShape, Created, Schemas},
    input::read,
    refusal::Result,
};
use crate::{
    discovery::{Choice, RefreshFailure, offer_listed},
    error::Error,
    model::{id::ChannelId, key::PastedKey},
    pool::{
        input::{ChannelInput, Faults, KeyInput},
        preset::{self, Gap, Hint},
        upkeep::patient_timeouts,
    },
    web::{Site, admin::channels::learn},
};

/// The most keys that come with a channel; more are added to it afterwards.
const MOST_KEYS: usize = 100;

/// A channel to make.
pub struct NewChannelInput {
    channel: ChannelInput,
    keys: Vec<KeyInput>,
}

/// The part that a channel itself does not have.
#[derive(Default, Deserialize)]
struct Keys {
    #[serde(default)]
    keys: Vec<KeyInput>,
}

impl BodyPart for NewChannelInput {
    fn shape(schemas: &mut Schemas) -> Option<BodyShape> {
        <Body<Described> as BodyPart>::shape(schemas)
    }

    fn read(mut value: Value) -> std::result::Result<Self, Faults> {
        let mut keys = Ok(Keys::default());
        if let Value::Object(object) = &mut value {
            if let Some(given) = object.shift_remove("keys") {
                keys = read::<Keys>(Value::Object([("keys".to_owned(), given)].into_iter().collect()));
            }
            for name in ["name", "base_url"] {
                let left_out = object.get(name).is_none_or(Value::is_null);
                if left_out {
                    object.insert(name.to_owned(), Value::String(String::new()));
                }
            }
        }
        match (read::<ChannelInput>(value), keys) {
            (Ok(channel), Ok(Keys { keys })) => Ok(Self { channel, keys }),
            (Err(mut faults), Err(more)) => {
                faults.0.extend(more.0);
                Err(faults)
            }
            (Err(faults), _) | (_, Err(faults)) => Err(faults),
        }
    }
}

/// How the document describes it.
#[derive(Deserialize)]
struct Described {}

impl PartialSchema for Described {
    fn schema() -> RefOr<Schema> {
        let mut schema = ChannelInput::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.required.retain(|field| field != "name" && field != "base_url");
            let keys = ArrayBuilder::new()
                .items(Ref::from_schema_name("KeyInput"))
                .description(Some("Its keys; at most 100, more are added to the channel afterwards."))
                .max_items(Some(MOST_KEYS));
            object.properties.insert("keys".to_owned(), keys.into());
            object.description = Some(
                "A channel to make. With a provider, name and base URL may be left out; with a key whose form tells its \
                 provider, that too."
                    .to_owned(),
            );
        }
        schema
    }
}

impl ToSchema for Described {
    fn name() -> std::borrow::Cow<'static, str> {
        "NewChannelInput".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        ChannelInput::schemas(schemas);
        schemas.push(("KeyInput".into(), KeyInput::schema()));
        KeyInput::schemas(schemas);
    }
}

/// `POST /api/channels`.
pub async fn create(asked: Asked<(), (), NewChannelInput>) -> Result<Created<ChannelView>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let NewChannelInput { channel: mut input, keys } = asked.body;
    let providers = site.catalog.providers().load();
    let mut faults = Faults::default();
    if keys.len() > MOST_KEYS {
        faults.add("keys", t.channels.paste_too_many(MOST_KEYS));
        return Err(faults.into());
    }
    let first = keys.first().map(|key| Hint { label: &key.label, key: &key.secret.0 });
    let typed = preset::Fields {
        name: input.name.clone(),
        base_url: input.base_url.clone(),
        provider: input.provider.clone().unwrap_or_default(),
        allow_private: input.allow_private,
    };
    let catalog = site.catalog.load();
    let is_taken =
        |name: &str| catalog.channels().any(|entry| entry.channel.name.to_lowercase() == name.to_lowercase());
    match preset::fill_in(typed, first, &providers, is_taken, t) {
        Ok(filled) => {
            input.name = filled.name;
            input.base_url = filled.base_url;
            input.allow_private = filled.allow_private;
            input.provider = Some(filled.provider).filter(|provider| !provider.is_empty());
        }
        Err(Gap::Provider(message)) => faults.add("provider", message),
        Err(Gap::BaseUrl(message)) => faults.add("base_url", message),
    }
    let provider = providers.of(input.provider.as_deref().unwrap_or_default());
    let mut pasted: Vec<(PastedKey, bool)> = Vec::with_capacity(keys.len());
    for (position, key) in keys.iter().enumerate() {
        match key.check(&format!("keys[{position}]."), Some(provider), t) {
            Ok(checked) => pasted.push((checked, key.enabled)),
            Err(more) => faults.0.extend(more.0),
        }
    }
    faults.or(())?;
    let new = checked(site, &input, None, &asked.caller)?;
    let id = site.db.create_channel(&new).await?;
    let keys: Vec<(&PastedKey, bool)> = pasted.iter().map(|(key, enabled)| (key, *enabled)).collect();
    let added = site.db.add_switched_keys(id, &keys).await?;
    site.catalog.reload().await?;
    if !keys.is_empty() {
        learn(site, id, &added).await?;
        if new.models.is_empty() && new.redirects.is_empty() {
            offer(site, id).await?;
        }
    }
    Ok(Created(format!("/api/channels/{id}"), view(site, id)?))
}

/// Offers what the upstream lists; a list that does not come is noted with the channel, which then offers nothing yet.
async fn offer(site: &Site, id: ChannelId) -> Result<()> {
    let catalog = site.catalog.load();
    let Some(entry) = catalog.channel(id) else { return Ok(()) };
    let (timeouts, provider) =
        (patient_timeouts(&catalog, &entry.channel), site.catalog.provider_of(&entry.channel));
    let now = site.clock.now();
    match offer_listed(&site.db, &site.clients, entry, &provider, timeouts, Choice::All, now).await {
        Ok(_) => site.catalog.reload().await?,
        Err(RefreshFailure::Storage(error)) => return Err(Error::from(error).into()),
        Err(RefreshFailure::Fetch(_) | RefreshFailure::NoKey) => {}
    }
    Ok(())
}
