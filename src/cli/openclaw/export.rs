//! `onepool openclaw export`: the part of openclaw.json that makes OpenClaw use this server.

use clap::{Arg, Command};

use crate::{
    cli::{
        Failure,
        command::{folder_flags, option, repeated, switch, verb},
        invocation::Invocation,
        output::{complain, print},
        session::{Session, on_folder},
    },
    export::openclaw::{
        Export, ExportOptions, Form, KeyForm, MAX_FALLBACKS, OptionFault, Part, World, for_token, models_of,
        pretty,
    },
    i18n::Messages,
    model::{
        catalog::Catalog,
        secret::Secret,
        token::{ClientProfile, Token},
    },
    pool::input::Faults,
    storage::folder::{Claim, DataFolder},
};

/// Options that are written as in a query, with `-` for `_`: the flag, the option, and what its value is.
const PLAIN: &[(&str, &str, &str)] = &[
    ("provider", "provider", "ID"),
    ("primary", "primary", "NAME|none"),
    ("image-model", "image_model", "NAME|first|none"),
    ("pdf-model", "pdf_model", "NAME|first|none"),
    ("utility-model", "utility_model", "NAME|none"),
    ("embeddings", "embeddings", "NAME|none"),
    ("speech", "speech", "NAME|none"),
    ("voice", "voice", "NAME"),
    ("transcription", "transcription", "NAME|none"),
    ("images", "images", "NAME|none"),
    ("video", "video", "NAME|none"),
    ("variable", "variable", "NAME"),
];
/// Likewise, for those that may be repeated.
const LISTS: &[(&str, &str)] = &[("model", "NAME"), ("fallback", "NAME|none"), ("alias", "MODEL:NAME")];

/// Its shape.
pub fn command(m: Messages) -> Command {
    let h = m.help;
    let examples = &[
        "onepool openclaw export --token laptop > openclaw.json",
        "onepool openclaw export --url https://pool.example.com --model gpt-4o --alias gpt-4o:smart --image-model first",
        "onepool openclaw export --media --with-token --patch | openclaw config patch --stdin",
    ];
    verb("export", h.openclaw_export(), examples, m)
        .args(option_flags(m))
        .arg(switch("with-token", h.with_token(), m))
        .arg(switch("patch", h.openclaw_patch(), m))
        .arg(switch("preview", h.openclaw_preview(), m))
        .args(folder_flags(m))
}

/// The flags that choose a token, an address and what is exported. [`chosen_token`], [`base_url`] and [`options`] read them.
pub fn option_flags(m: Messages) -> Vec<Arg> {
    let h = m.help;
    let mut flags =
        vec![option("token", "NAME", h.openclaw_token(), m), option("url", "URL", h.openclaw_url(), m)];
    let about_list = |name: &str| match name {
        "model" => h.openclaw_model().to_owned(),
        "fallback" => h.openclaw_fallback(MAX_FALLBACKS),
        _ => h.openclaw_alias().to_owned(),
    };
    for (name, value) in LISTS.iter().copied() {
        flags.push(repeated(name, value, about_list(name), m));
    }
    flags.push(switch("media", h.openclaw_media(), m));
    for (flag, _, value) in PLAIN.iter().copied() {
        let about = match flag {
            "provider" => h.openclaw_provider(),
            "primary" => h.openclaw_primary(),
            "image-model" => h.openclaw_image_model(),
            "pdf-model" => h.openclaw_pdf_model(),
            "utility-model" => h.openclaw_utility_model(),
            "embeddings" => h.openclaw_embeddings(),
            "speech" => h.openclaw_speech(),
            "voice" => h.openclaw_voice(),
            "transcription" => h.openclaw_transcription(),
            "images" => h.openclaw_images(),
            "video" => h.openclaw_video(),
            _ => h.openclaw_variable(),
        };
        flags.push(option(flag, value, about, m));
    }
    flags
}

/// What the flags of [`option_flags`] choose.
///
/// # Errors
/// A flag with a value that cannot be one; the text names it.
pub fn options(call: &Invocation) -> Result<ExportOptions, Failure> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, _) in LISTS.iter().copied() {
        pairs.extend(call.all(name).unwrap_or_default().into_iter().map(|value| (name, value)));
    }
    pairs.extend(PLAIN.iter().filter_map(|(flag, option, _)| Some((*option, call.text(flag)?))));
    if call.is_on("media") {
        pairs.push(("part", Part::Media.as_str()));
    }
    ExportOptions::read(pairs).map_err(|faults| refused(&faults, call.m))
}

/// Every fault with its flag.
pub fn refused(faults: &[OptionFault], m: Messages) -> Failure {
    let mut named = Faults::default();
    for fault in faults {
        named.add(format!("--{}", fault.option.replace('_', "-")), fault.text(m));
    }
    Failure::options(named)
}

/// Makes an export with what is remembered of the last one. `value` is the token's, if it shall stand in it. It is remembered
/// with [`remember`] once OpenClaw gets it.
///
/// # Errors
/// A flag with a value that does not fit the catalog, or the database.
pub async fn make(
    session: &Session,
    catalog: &Catalog,
    token: &Token,
    base_url: &str,
    value: Option<&Secret>,
    options: &ExportOptions,
) -> Result<Export, Failure> {
    let providers = session.providers.load();
    let value = value.map(Secret::expose);
    let world = World { catalog, providers: &providers, token, base_url, value };
    let (provider, part) = (&options.provider_id, options.part.as_str());
    let last = session.db.find_openclaw_export(token.id, provider, part).await?;
    for_token(&world, options, last.as_ref().map(|last| &last.record))
        .map_err(|faults| refused(&faults, session.m))
}

/// Remembers what OpenClaw got, so that the next export takes back what it no longer holds.
pub async fn remember(
    session: &Session,
    token: &Token,
    options: &ExportOptions,
    export: &Export,
) -> Result<(), Failure> {
    let (provider, part) = (&options.provider_id, options.part.as_str());
    Ok(session.db.save_openclaw_export(token.id, provider, part, &export.record).await?)
}

/// Prints the configuration; what else is to know goes to stderr.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let mut options = options(call)?;
    options.form = Some(if call.is_on("patch") { Form::Patch } else { Form::File });
    on_folder(call, async |session| {
        let m = call.m;
        let token = chosen_token(call, session).await?;
        let catalog = session.catalog().await?;
        let url = base_url(call, session, &catalog)?;
        let value = match call.is_on("with-token") {
            true => Some(session.db.reveal_token(token.id).await?),
            false => None,
        };
        options.key = Some(if value.is_some() { KeyForm::Literal } else { KeyForm::Environment });
        let export = make(session, &catalog, &token, &url, value.as_ref(), &options).await?;
        let nothing = export.record.uses.is_empty();
        match options.part {
            Part::Chat if models_of(&catalog, &token).next().is_none() => complain(m.openclaw.no_models()),
            Part::Media if nothing => complain(m.openclaw.no_media()),
            _ => {}
        }
        if token.profile == ClientProfile::Generic {
            complain(m.openclaw.profile_hint());
        }
        if value.is_none() {
            complain(&m.openclaw.needs_variable(&options.variable));
        }
        if options.form == Some(Form::File) && !export.record.aliases.is_empty() {
            complain(&m.openclaw.alias_trap(&options.provider_id));
        }
        print(&pretty(&export.document))?;
        if call.is_on("preview") {
            return Ok(());
        }
        remember(session, &token, &options, &export).await
    })
}

/// The token that `--token` names, else the first one for OpenClaw, else the first one.
pub async fn chosen_token(call: &Invocation<'_>, session: &Session) -> Result<Token, Failure> {
    if let Some(name) = call.text("token") {
        return session.token(name).await;
    }
    let token = usual_token(session).await?;
    token.ok_or_else(|| Failure::Text(call.m.openclaw.no_tokens().to_owned()))
}

/// The first token for OpenClaw, else the first one.
pub async fn usual_token(session: &Session) -> Result<Option<Token>, Failure> {
    let tokens = session.db.tokens().await?;
    let openclaw = tokens.iter().find(|token| token.profile == ClientProfile::OpenClaw);
    Ok(openclaw.or(tokens.first()).cloned())
}

/// `--url`, else `PUBLIC_URL`, else where the running server listens, else where the settings say; with `/v1`.
pub fn base_url(call: &Invocation, session: &Session, catalog: &Catalog) -> Result<String, Failure> {
    if let Some(url) = call.text("url") {
        crate::config::Kind::Url.check(url).map_err(|_| Failure::option("--url", call.m.cli.give_url()))?;
        let url = url.trim_end_matches('/');
        return Ok(if url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") });
    }
    if let Some(url) = &catalog.settings.public_url {
        return Ok(format!("{url}/v1"));
    }
    let mut address = session.config.listen;
    if let Ok(folder) = DataFolder::existing(&session.config.data_dir)
        && let Claim::Server(Some(noted)) = folder.claim()
    {
        address = noted;
    }
    if address.ip().is_unspecified() {
        address.set_ip(crate::app::loopback_of(address));
    }
    complain(&call.m.terminal.url_guessed(&format!("http://{address}")));
    Ok(format!("http://{address}/v1"))
}
