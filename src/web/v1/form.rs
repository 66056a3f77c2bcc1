//! Reads a form with files: checked while it arrives, and kept for the relay.

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::{
    model::{endpoint::Endpoint, id::RequestId},
    protocol::{
        form::FormFields,
        multipart::{Malformed, Piece, Scanner, boundary_of},
    },
    relay::{
        Form,
        ending::Ending,
        upload::{Draft, UploadFolder},
    },
};

/// How much of what has arrived is looked at in one go.
const STEP_BYTES: usize = 64 << 10;

fn bad(message: &str) -> Ending {
    Ending::BadRequest { message: message.to_owned(), param: None }
}

/// Whether a request says that it is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/"))
}

/// Reads a form of at most `limit` bytes. On a fault, what the client still sends is the caller's to read or not.
pub(super) async fn read(
    body: Body,
    headers: &HeaderMap,
    endpoint: Endpoint,
    limit: usize,
    folder: UploadFolder,
    id: RequestId,
) -> Result<Form, Ending> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(boundary) = content_type.and_then(boundary_of) else {
        super::body::discard(body, headers, limit).await;
        return Err(bad("This endpoint takes a form; send it as multipart/form-data with a boundary."));
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        super::body::discard(body, headers, limit).await;
        return Err(bad("A form cannot be compressed; send it as it is."));
    }
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(Ending::TooLarge { limit });
    }
    let mut body = Limited::new(body, limit);
    let result = collect(&mut body, boundary, endpoint, Draft::new(folder, id)).await;
    match result {
        // Whoever sends the whole body before he looks at the answer shall see it.
        Err(Fault::Bad(ending)) => {
            super::body::discard(Body::new(body), headers, limit).await;
            Err(ending)
        }
        Err(Fault::TooLarge) => Err(Ending::TooLarge { limit }),
        Ok(form) => Ok(form),
    }
}

enum Fault {
    TooLarge,
    Bad(Ending),
}

impl From<Malformed> for Fault {
    fn from(fault: Malformed) -> Self {
        Self::Bad(bad(&format!("The form cannot be read: {fault}.")))
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "an upload cannot be kept");
        Self::Bad(Ending::NoRoom)
    }
}

async fn collect(
    body: &mut Limited<Body>,
    boundary: &str,
    endpoint: Endpoint,
    mut draft: Draft,
) -> Result<Form, Fault> {
    let mut scanner = Scanner::new(boundary);
    let mut fields = FormFields::new(endpoint);
    let refused = |error: crate::protocol::envelope::EnvelopeError| {
        Fault::Bad(Ending::BadRequest { message: error.message, param: error.param.map(str::to_owned) })
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Fault::TooLarge
            } else {
                Fault::Bad(bad("The body did not arrive whole; send it again."))
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        // In small steps, so that little of it is there twice.
        for step in data.chunks(STEP_BYTES) {
            scanner.push(step);
            while let Some(piece) = scanner.next()? {
                match piece {
                    Piece::Begin(part) => {
                        fields.begin(&part).map_err(refused)?;
                        draft.begin(part);
                        if fields.is_in_model() {
                            draft.place_model();
                        }
                    }
                    Piece::Data(data) => {
                        fields.data(&data).map_err(refused)?;
                        if !fields.is_in_model() {
                            draft.write(&data).await?;
                        }
                    }
                    Piece::End => fields.end().map_err(refused)?,
                }
            }
        }
    }
    if !scanner.is_whole() {
        return Err(Malformed("it ends before its last boundary").into());
    }
    let envelope = fields.envelope().map_err(refused)?;
    Ok(Form { envelope, upload: draft.finish().await? })
}
