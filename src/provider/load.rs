//! Reading the data: what is embedded, and what replaces it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::Date;
use rust_embed::RustEmbed;

use super::{
    calendar::Calendar,
    check,
    data::{
        Auth, CounterData, File, HeaderData, LimitData, Plan, QuotaOwner, RefusalData, RejectedCalls, Status,
        Text,
    },
    preset::{FreeRule, KeyCheck, KnownModel, Links, ListSource, Terms},
};
use crate::model::{endpoint::Endpoints, limit::Reservation};

#[derive(RustEmbed)]
#[folder = "src/provider/data/"]
struct Embedded;

/// The most bytes of an override.
pub const MAX_FILE_BYTES: usize = 256 * 1024;
/// The most overrides.
pub const MAX_FILES: usize = 200;

/// The id of the provider about which nothing is known.
pub const GENERIC: &str = "generic";

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFault {
    /// The file's name.
    pub file: String,
    /// Where in it: a line and a column (`line 3, column 14`) or a field (`limits[2].window`).
    pub place: String,
    /// What is wrong and what would be right, in English.
    pub message: String,
}

impl std::fmt::Display for DataFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.place, self.message)
    }
}

/// A vendor, or a kind of server: its facts and rules.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in the database, in files and in the API.
    pub id: String,
    /// What pages call it.
    pub name: Text,
    /// When somebody last compared the data with its sources.
    pub checked: Date,
    /// Public sources.
    pub sources: Vec<String>,
    /// What it gives to whom.
    pub status: Status,
    /// Base URLs, the usual one first; none for the generic provider.
    pub base_urls: Vec<String>,
    /// How a key is presented.
    pub auth: Auth,
    /// How its keys begin.
    pub key_prefix: Option<String>,
    /// The endpoints that it is known to serve; it may serve others.
    pub endpoints: Endpoints,
    /// Who owns a quota.
    pub quota_owner: QuotaOwner,
    /// What is counted against a limit on tokens when a call is let in.
    pub reservation: Reservation,
    /// Whether refused calls count.
    pub rejected_calls: RejectedCalls,
    /// What units are, if it has limits on them.
    pub unit_name: Option<Text>,
    /// Its documents about limits.
    pub docs_url: Option<String>,
    /// What an operator should know.
    pub notes: Vec<Text>,
    /// Plans that limits depend on, the usual one first.
    pub plans: Vec<Plan>,
    /// Where models are listed, and how.
    pub list: ListSource,
    /// How a key is proved.
    pub key_check: KeyCheck,
    /// Which models cost nothing; `None` if nothing is known.
    pub free: Option<FreeRule>,
    /// Pages that people need.
    pub links: Links,
    /// What the terms say.
    pub terms: Terms,
    /// Models as public material describes them.
    pub models: Vec<KnownModel>,
    pub(super) calendar: Option<Calendar>,
    pub(super) limits: Vec<LimitData>,
    pub(super) quoted_headers: Option<String>,
    pub(super) headers: Vec<HeaderData>,
    pub(super) refusals: Vec<RefusalData>,
    pub(super) counter: Option<CounterData>,
}

impl Provider {
    /// The IANA name of the time zone in which its days begin, if it is known.
    pub fn zone(&self) -> Option<&str> {
        self.calendar.as_ref().map(|calendar| calendar.zone_name.as_str())
    }

    /// When its days and months begin, if it is known: an IANA time zone and minutes after midnight.
    pub fn day_reset(&self) -> Option<(&str, u16)> {
        self.calendar.as_ref().map(|calendar| (calendar.zone_name.as_str(), calendar.offset_minutes))
    }
}

/// All providers.
#[derive(Debug, Clone)]
pub struct Providers {
    all: BTreeMap<String, Arc<Provider>>,
    generic: Arc<Provider>,
}

impl Providers {
    /// The embedded data.
    ///
    /// # Panics
    ///
    /// If the embedded data is malformed, which a test rules out.
    pub fn embedded() -> Self {
        match Self::with_overrides(&[]) {
            Ok(providers) => providers,
            Err(faults) => panic!("the embedded provider data is malformed: {}", faults[0]),
        }
    }

    /// The embedded data with files (name and text) over it, in their order. A file with the id of a known provider
    /// replaces the fields that it has; one with a new id adds a provider. If any file is malformed, every fault is
    /// reported and there are no providers: keep those that you have.
    pub fn with_overrides(files: &[(String, String)]) -> Result<Self, Vec<DataFault>> {
        let mut faults = Vec::new();
        let mut read = BTreeMap::<String, (String, File)>::new();
        if files.len() > MAX_FILES {
            let message = format!("there are {} files; at most {MAX_FILES} are read", files.len());
            return Err(vec![DataFault {
                file: files[MAX_FILES].0.clone(),
                place: "the folder".into(),
                message,
            }]);
        }
        for (name, text) in embedded_files().chain(files.iter().cloned()) {
            match parse(&name, &text) {
                Ok(file) => {
                    let file = match read.remove(&file.id) {
                        Some((_, base)) => over(base, file),
                        None => file,
                    };
                    read.insert(file.id.clone(), (name, file));
                }
                Err(fault) => faults.push(fault),
            }
        }
        let mut all = BTreeMap::new();
        for (id, (name, file)) in read {
            match build(file) {
                Ok(provider) => {
                    all.insert(id, Arc::new(provider));
                }
                Err(found) => faults.extend(found.into_iter().map(|(place, message)| DataFault {
                    file: name.clone(),
                    place,
                    message,
                })),
            }
        }
        let Some(generic) = all.get(GENERIC).cloned() else {
            if faults.is_empty() {
                let (file, place) = (format!("{GENERIC}.json"), "the file".to_owned());
                faults.push(DataFault { file, place, message: "it is missing".to_owned() });
            }
            return Err(faults);
        };
        if faults.is_empty() { Ok(Self { all, generic }) } else { Err(faults) }
    }

    /// The provider of an id.
    pub fn find(&self, id: &str) -> Option<&Arc<Provider>> {
        self.all.get(id)
    }

    /// The provider about which nothing is known: any OpenAI-compatible server.
    pub fn generic(&self) -> &Arc<Provider> {
        &self.generic
    }

    /// The provider of an id, or the generic one if there is none (any more).
    pub fn of(&self, id: &str) -> &Arc<Provider> {
        self.find(id).unwrap_or(&self.generic)
    }

    /// The id that a channel at an address should have if nobody names one: its host's provider, else the generic one.
    pub fn proposed(&self, base_url: &str) -> &str {
        &self.at(base_url).unwrap_or(&self.generic).id
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.all.values()
    }

    /// The provider whose base URL has the same host as `base_url`, if there is one: a proposal for a channel that
    /// names none. Not a proof: a proxy may stand at any address, and a vendor's rules only speak of a vendor.
    pub fn at(&self, base_url: &str) -> Option<&Arc<Provider>> {
        let host = host(base_url)?;
        self.all()
            .find(|provider| provider.base_urls.iter().any(|known| self::host(known).as_ref() == Some(&host)))
    }

    /// The providers whose keys begin as `key` does: those with the longest beginning, and several if it does not tell
    /// them apart (`sk-`).
    pub fn with_key_like(&self, key: &str) -> Vec<&Arc<Provider>> {
        let fits = |provider: &&Arc<Provider>| {
            provider.key_prefix.as_deref().is_some_and(|prefix| key.starts_with(prefix))
        };
        let length = |provider: &&Arc<Provider>| provider.key_prefix.as_deref().map_or(0, str::len);
        let longest = self.all().filter(fits).map(|provider| length(&provider)).max();
        self.all().filter(fits).filter(|provider| Some(length(provider)) == longest).collect()
    }
}

/// The embedded files: names and texts.
pub(super) fn embedded_files() -> impl Iterator<Item = (String, String)> {
    Embedded::iter().filter_map(|name| {
        let text = String::from_utf8(Embedded::get(&name)?.data.into_owned()).ok()?;
        Some((name.into_owned(), text))
    })
}

/// The host and the port of an address.
fn host(address: &str) -> Option<(String, Option<u16>)> {
    let url = url::Url::parse(&address.replace(['{', '}'], "")).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}

fn parse(name: &str, text: &str) -> Result<File, DataFault> {
    let fault = |place: String, message: String| DataFault { file: name.to_owned(), place, message };
    if text.len() > MAX_FILE_BYTES {
        return Err(fault("the file".into(), format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    // A list would be taken for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(fault("line 1, column 1".into(), "a provider's file is one JSON object: {...}".into()));
    }
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        fault(format!("line {}, column {}", error.line(), error.column()), message)
    })
}

/// One file over another.
fn over(base: File, file: File) -> File {
    File {
        id: file.id,
        checked: file.checked.or(base.checked),
        sources: file.sources.or(base.sources),
        name: file.name.or(base.name),
        status: file.status.or(base.status),
        base_urls: file.base_urls.or(base.base_urls),
        auth: file.auth.or(base.auth),
        key_prefix: file.key_prefix.or(base.key_prefix),
        endpoints: file.endpoints.or(base.endpoints),
        quota_owner: file.quota_owner.or(base.quota_owner),
        reset: file.reset.or(base.reset),
        reservation: file.reservation.or(base.reservation),
        rejected_calls: file.rejected_calls.or(base.rejected_calls),
        unit_name: file.unit_name.or(base.unit_name),
        docs_url: file.docs_url.or(base.docs_url),
        notes: file.notes.or(base.notes),
        plans: file.plans.or(base.plans),
        limits: file.limits.or(base.limits),
        quoted_headers: file.quoted_headers.or(base.quoted_headers),
        headers: file.headers.or(base.headers),
        refusals: file.refusals.or(base.refusals),
        counter: file.counter.or(base.counter),
        list: file.list.or(base.list),
        key_check: file.key_check.or(base.key_check),
        free: file.free.or(base.free),
        links: file.links.or(base.links),
        terms: file.terms.or(base.terms),
        models: file.models.or(base.models),
    }
}

/// The provider that a file describes, or what is wrong with it.
fn build(file: File) -> Result<Provider, Vec<(String, String)>> {
    check::check(&file)?;
    let missing = |field: &str| vec![(field.to_owned(), "is missing; a new provider needs it".to_owned())];
    Ok(Provider {
        name: file.name.ok_or_else(|| missing("name"))?,
        checked: file.checked.ok_or_else(|| missing("checked"))?,
        status: file.status.ok_or_else(|| missing("status"))?,
        base_urls: file.base_urls.ok_or_else(|| missing("base_urls"))?,
        sources: file.sources.unwrap_or_default(),
        auth: file.auth.unwrap_or_default(),
        key_prefix: file.key_prefix,
        endpoints: file.endpoints.unwrap_or_default(),
        quota_owner: file.quota_owner.unwrap_or_default(),
        reservation: file.reservation.unwrap_or_default(),
        rejected_calls: file.rejected_calls.unwrap_or_default(),
        unit_name: file.unit_name,
        docs_url: file.docs_url,
        notes: file.notes.unwrap_or_default(),
        plans: file.plans.unwrap_or_default(),
        calendar: file.reset.as_ref().and_then(Calendar::new),
        limits: file.limits.unwrap_or_default(),
        quoted_headers: file.quoted_headers.map(|path| path.to_lowercase()),
        headers: file.headers.unwrap_or_default(),
        refusals: file.refusals.unwrap_or_default(),
        counter: file.counter,
        list: file.list.unwrap_or_default(),
        key_check: file.key_check.unwrap_or_default(),
        free: file.free,
        links: file.links.unwrap_or_default(),
        terms: file.terms.unwrap_or_default(),
        models: file.models.unwrap_or_default(),
        id: file.id,
    })
}
