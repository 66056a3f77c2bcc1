//! What a client asks by a form with files: the few fields that routing and booking need.

use bytes::Bytes;

use super::{
    envelope::{Envelope, EnvelopeError},
    multipart::Part,
};
use crate::model::endpoint::{Dialect, Endpoint, RequestBody};

/// The most bytes that a text may have; prompts of OpenAI's pictures have at most 32,000 characters
/// (<https://platform.openai.com/docs/api-reference/images/createEdit#images-createedit-prompt>).
pub const MAX_TEXT_BYTES: usize = 256 << 10;

/// The most bytes that all texts together may have.
const MAX_ALL_TEXT_BYTES: usize = 512 << 10;

/// The most parts of a form: OpenAI takes 16 pictures and some texts.
const MAX_PARTS: usize = 100;

/// The texts that are read, each of which may be sent once. Others pass.
const READ_ONCE: &[&str] =
    &["model", "prompt", "stream", "n", "size", "quality", "response_format", "background", "seconds"];

/// The part that is being read.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    /// Its place in `READ_ONCE`, and what came of it.
    Text(usize, Vec<u8>),
    /// A text that nobody here reads, and its length.
    Passing(usize),
    /// Whether it is the file that must be there, and its length.
    File(bool, u64),
}

/// Collects the fields of a form while it arrives: [`begin`](Self::begin), [`data`](Self::data) and [`end`](Self::end) for each
/// part, then [`envelope`](Self::envelope).
#[derive(Debug)]
pub struct FormFields {
    endpoint: Endpoint,
    parts: usize,
    text_bytes: usize,
    open: Open,
    texts: [Option<String>; READ_ONCE.len()],
    /// The length of the files that must be there, together, in bytes.
    file_bytes: Option<u64>,
}

impl FormFields {
    /// An empty form for an endpoint that takes one.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            parts: 0,
            text_bytes: 0,
            open: Open::Nothing,
            texts: Default::default(),
            file_bytes: None,
        }
    }

    /// The name of the field that must hold a file.
    fn file_field(&self) -> &'static str {
        self.endpoint.shape().file.unwrap_or("file")
    }

    /// Whether a form without the file is refused.
    fn needs_file(&self) -> bool {
        self.endpoint.shape().body == RequestBody::Form
    }

    /// A part begins.
    ///
    /// # Errors
    /// There are too many, a text comes twice, or a file where a text is meant and the other way round.
    pub fn begin(&mut self, part: &Part) -> Result<(), EnvelopeError> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(EnvelopeError::body(format!("The form has more than {MAX_PARTS} parts.")));
        }
        let file = self.file_field();
        let is_file_field = part.name == file || part.name.strip_suffix("[]") == Some(file);
        let read = READ_ONCE.iter().position(|name| *name == part.name);
        self.open = match (read, &part.file_name) {
            (Some(at), None) => {
                if self.texts[at].is_some() {
                    return Err(EnvelopeError::field(READ_ONCE[at], "the field appears twice; send it once"));
                }
                Open::Text(at, Vec::new())
            }
            (Some(at), Some(_)) => {
                return Err(EnvelopeError::field(READ_ONCE[at], "it must be a text, not a file"));
            }
            // Where the file may be missing, a text may name one.
            (None, None) if is_file_field && self.needs_file() => {
                return Err(EnvelopeError::field(file, "it must be a file with a file name"));
            }
            // Some servers match names without regard to case and would take this one for the real one.
            (None, None) if part.name.trim().eq_ignore_ascii_case("model") => {
                return Err(EnvelopeError::field("model", "write the field's name in lower case"));
            }
            (None, None) => Open::Passing(0),
            (None, Some(_)) => Open::File(is_file_field, 0),
        };
        Ok(())
    }

    /// Whether the part that is being read is the model's name.
    pub fn is_in_model(&self) -> bool {
        matches!(self.open, Open::Text(0, _))
    }

    /// Some content of the part.
    ///
    /// # Errors
    /// A text is too long.
    pub fn data(&mut self, data: &[u8]) -> Result<(), EnvelopeError> {
        let too_long = |param| EnvelopeError { message: "A text of the form is too long.".into(), param };
        let (length, param) = match &mut self.open {
            Open::Text(at, text) => {
                text.extend_from_slice(data);
                (text.len(), Some(READ_ONCE[*at]))
            }
            Open::Passing(length) => {
                *length += data.len();
                (*length, None)
            }
            Open::File(_, length) => {
                *length += data.len() as u64;
                return Ok(());
            }
            Open::Nothing => return Ok(()),
        };
        self.text_bytes += data.len();
        if length > MAX_TEXT_BYTES || self.text_bytes > MAX_ALL_TEXT_BYTES {
            return Err(too_long(param));
        }
        Ok(())
    }

    /// The part is over.
    ///
    /// # Errors
    /// A text is not UTF-8, or the file is empty.
    pub fn end(&mut self) -> Result<(), EnvelopeError> {
        match std::mem::take(&mut self.open) {
            Open::Text(at, text) => {
                let text = String::from_utf8(text)
                    .map_err(|_| EnvelopeError::field(READ_ONCE[at], "it must be a text in UTF-8"))?;
                self.texts[at] = Some(text);
            }
            Open::File(true, 0) => return Err(EnvelopeError::field(self.file_field(), "the file is empty")),
            Open::File(true, length) => self.file_bytes = Some(self.file_bytes.unwrap_or(0) + length),
            Open::File(false, _) | Open::Passing(_) | Open::Nothing => {}
        }
        Ok(())
    }

    /// What the form asks.
    ///
    /// # Errors
    /// A field is missing or has a wrong value.
    pub fn envelope(self) -> Result<Envelope, EnvelopeError> {
        let shape = self.endpoint.shape();
        let file = self.file_field();
        let file_bytes = match self.file_bytes {
            None if self.needs_file() => return Err(EnvelopeError::missing(file)),
            bytes => bytes.unwrap_or(0),
        };
        let [model, prompt, stream, n, size, quality, response_format, _, seconds] = self.texts;
        let model = model.ok_or(EnvelopeError::missing("model"))?;
        if let Some(field) = shape.texts.iter().find(|field| field.required)
            && prompt.as_deref().is_none_or(|prompt| prompt.trim().is_empty())
        {
            return Err(EnvelopeError::missing(field.name));
        }
        let stream = match stream.as_deref().map(str::trim) {
            None | Some("" | "false" | "False" | "0") => false,
            Some("true" | "True" | "1") if shape.streams => true,
            Some("true" | "True" | "1") => {
                return Err(EnvelopeError::field("stream", "answers of this endpoint cannot be streamed"));
            }
            Some(_) => return Err(EnvelopeError::field("stream", "it must be true or false")),
        };
        let choices = match n.as_deref().map(str::trim) {
            None | Some("") => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=128).contains(number))
                .ok_or(EnvelopeError::field("n", "it must be a whole number from 1 to 128"))?,
        };
        let plain_text = !stream && matches!(response_format.as_deref(), Some("text" | "srt" | "vtt"));
        let prompt = Bytes::from(prompt.unwrap_or_default());
        let short = |text: Option<String>| text.and_then(|text| super::envelope::short(&text));
        let mut envelope = Envelope::of_form(self.endpoint, model, prompt)?;
        envelope.stream = stream;
        envelope.choices = choices;
        envelope.plain_text = plain_text && shape.dialect == Dialect::Transcript;
        envelope.picture = (short(size), short(quality));
        envelope.file_bytes = file_bytes;
        envelope.video_ms = seconds.as_deref().and_then(super::envelope::video_ms);
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(endpoint: Endpoint, parts: &[(&str, Option<&str>, &str)]) -> Result<Envelope, EnvelopeError> {
        let mut fields = FormFields::new(endpoint);
        for (name, file_name, data) in parts {
            let file_name = file_name.map(str::to_owned);
            fields.begin(&Part { name: (*name).into(), file_name, content_type: None })?;
            fields.data(data.as_bytes())?;
            fields.end()?;
        }
        fields.envelope()
    }

    const FILE: (&str, Option<&str>, &str) = ("file", Some("a.mp3"), "sound");

    #[test]
    fn the_fields_that_matter_are_read() {
        let parts =
            [FILE, ("model", None, "whisper"), ("response_format", None, "srt"), ("language", None, "de")];
        let envelope = form(Endpoint::Transcriptions, &parts).unwrap();
        assert_eq!((envelope.model.as_str(), envelope.plain_text, envelope.stream), ("whisper", true, false));
        assert_eq!(envelope.file_bytes, 5);
        let parts = [
            ("image[]", Some("a"), "x"),
            ("image[]", Some("b"), "yy"),
            ("mask", Some("m"), ""),
            ("model", None, "m"),
            ("prompt", None, "Add a hat, please"),
            ("n", None, "2"),
            ("size", None, "auto"),
            ("stream", None, "true"),
        ];
        let envelope = form(Endpoint::ImageEdits, &parts).unwrap();
        assert_eq!((envelope.choices, envelope.file_bytes, envelope.stream), (2, 3, true));
        assert_eq!(envelope.picture.0.as_deref(), Some("auto"));
        assert_eq!(envelope.prompt_estimate(), 5);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let model = ("model", None, "m");
        type Part<'a> = (&'a str, Option<&'a str>, &'a str);
        let wrong: &[(Endpoint, &[Part<'_>], &str)] = &[
            (Endpoint::Transcriptions, &[model], "file"),
            (Endpoint::Transcriptions, &[FILE], "model"),
            (Endpoint::Transcriptions, &[FILE, ("model", None, " ")], "model"),
            (Endpoint::Transcriptions, &[FILE, model, model], "model"),
            (Endpoint::Transcriptions, &[FILE, model, ("Model", None, "x")], "model"),
            (Endpoint::Transcriptions, &[model, ("file", None, "sound")], "file"),
            (Endpoint::Transcriptions, &[model, ("file", Some("a"), "")], "file"),
            (Endpoint::Transcriptions, &[FILE, ("model", Some("m"), "m")], "model"),
            (Endpoint::Translations, &[FILE, model, ("stream", None, "true")], "stream"),
            (Endpoint::ImageEdits, &[("image", Some("a"), "x"), model], "prompt"),
            (Endpoint::ImageVariations, &[("image", Some("a"), "x"), model, ("n", None, "0")], "n"),
        ];
        for (endpoint, parts, param) in wrong {
            let error = form(*endpoint, parts).unwrap_err();
            assert_eq!(error.param, Some(*param), "{parts:?}: {error}");
        }
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let error = form(Endpoint::ImageEdits, &[("prompt", None, &long)]).unwrap_err();
        assert_eq!(error.param, Some("prompt"));
    }
}
