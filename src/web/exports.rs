//! Exports for OpenClaw as pages, the admin API and `GET /openclaw.json5` make them.

use crate::{
    export::openclaw::{Export, ExportOptions, Form, OptionFault, World, for_token, pretty},
    i18n::Messages,
    model::openclaw_export::SavedExport,
    storage::{Db, StorageResult},
};

/// An export, and what was remembered of the one before.
pub struct Made {
    /// The export.
    pub export: Export,
    /// The last one of the same part and provider id.
    pub last: Option<SavedExport>,
}

/// Makes a token's export, and remembers it if it is one that OpenClaw gets. The inner error says what is wrong with the
/// options; nothing is remembered then.
pub async fn make(
    db: &Db,
    world: &World<'_>,
    options: &ExportOptions,
    remember: bool,
) -> StorageResult<Result<Made, Vec<OptionFault>>> {
    let (token, provider, part) = (world.token.id, &options.provider_id, options.part.as_str());
    let last = db.find_openclaw_export(token, provider, part).await?;
    let export = match for_token(world, options, last.as_ref().map(|last| &last.record)) {
        Ok(export) => export,
        Err(faults) => return Ok(Err(faults)),
    };
    if remember {
        db.save_openclaw_export(token, provider, part, &export.record).await?;
    }
    Ok(Ok(Made { export, last }))
}

/// The usual export of all of a token's models as text to copy; what is wrong instead, if it cannot be made.
pub fn snippet(world: &World<'_>, m: Messages) -> String {
    let options = ExportOptions { form: Some(Form::File), ..ExportOptions::default() };
    match for_token(world, &options, None) {
        Ok(export) => pretty(&export.document),
        Err(faults) => faults
            .iter()
            .map(|fault| format!("// {}: {}", fault.option, fault.text(m)))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}
