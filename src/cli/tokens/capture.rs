//! `onepool tokens capture`: begins and ends the capture of a token's requests and answers, and says how it stands.

use clap::Arg;
use serde_json::json;

use crate::{
    cli::{
        Failure,
        command::{option, switch},
        invocation::Invocation,
        output::tell,
        session::on_folder,
        when,
    },
    i18n::Messages,
    model::capture::LENGTH,
    storage::StorageError,
};

/// `--for`, `--stop` and `--erase`.
pub fn flags(m: Messages) -> [Arg; 3] {
    let t = m.capture;
    [
        option("for", "TIME", t.help_for(), m),
        switch("stop", t.help_stop(), m),
        switch("erase", t.help_erase(), m),
    ]
}

/// `onepool tokens capture NAME`. A running server follows within seconds.
pub fn capture(call: &Invocation) -> Result<(), Failure> {
    let t = call.m.capture;
    let wishes = [call.text("for").is_some(), call.is_on("stop"), call.is_on("erase")];
    if wishes.iter().filter(|wish| **wish).count() > 1 {
        return Err(Failure::option("--for", t.one_of()));
    }
    let length = match call.text("for") {
        None => None,
        Some(text) => Some(
            when::length(text)
                .filter(|length| LENGTH.contains(length))
                .ok_or_else(|| Failure::option("--for", t.bad_length()))?,
        ),
    };
    on_folder(call, async |session| {
        let token = session.token(call.required("NAME")).await?;
        let folder = session.db.capture_folder(&session.config.data_dir);
        if let Some(length) = length {
            match session.db.start_capture(token.id, length, t.command_line()).await {
                Err(StorageError::Taken(_)) => return Err(Failure::option("NAME", t.other_runs())),
                other => other?,
            };
        } else if call.is_on("stop") {
            session.db.stop_capture(token.id).await?;
        } else if call.is_on("erase") {
            session.db.end_capture(token.id).await?;
            folder.erase(token.id).map_err(|error| StorageError::Unreadable(error.to_string()))?;
        }
        let capture = session.db.captures().await?.into_iter().find(|capture| capture.token_id == token.id);
        let (calls, bytes) = if capture.is_some() { folder.size(token.id) } else { (0, 0) };
        let runs = capture.as_ref().is_some_and(|capture| capture.runs(session.now()));
        let at = |at: crate::model::time::UnixMs| at.timestamp().to_string();
        let told = json!({
            "token": token.name,
            "running": runs,
            "started_at": capture.as_ref().map(|capture| at(capture.started_at)),
            "ends_at": capture.as_ref().map(|capture| at(capture.ends_at)),
            "erased_at": capture.as_ref().map(|capture| at(capture.keep_until)),
            "started_by": capture.as_ref().map(|capture| capture.started_by.clone()),
            "calls": calls,
            "bytes": bytes,
        });
        tell(call, &told, || {
            let Some(capture) = &capture else {
                return if call.is_on("erase") { t.erased() } else { t.off() }.to_owned();
            };
            let (ends, until) = (session.local(capture.ends_at), session.local(capture.keep_until));
            let state = if runs {
                t.runs(&ends, &capture.started_by)
            } else {
                t.ended(&ends, &capture.started_by, &until)
            };
            format!("{state}\n{}", t.kept(calls, &format!("{bytes} B")))
        })
    })
}
