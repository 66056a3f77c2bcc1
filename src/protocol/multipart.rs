//! Forms with files, `multipart/form-data`, read from chunks of bytes as they arrive, and written.
//!
//! The format is RFC 7578 (<https://www.rfc-editor.org/rfc/rfc7578>) in the framing of RFC 2046, section 5.1. What was read is
//! written anew, so that an upstream can understand nothing else than what was understood here.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// The most bytes that the headers of one part may have.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// The most bytes before the first part; nobody sends any.
const MAX_PREAMBLE_BYTES: usize = 1024;

/// Why a form cannot be read; a sentence for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// What a part says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name; only of files.
    pub file_name: Option<String>,
    /// The type of its content, if it says.
    pub content_type: Option<String>,
}

/// One thing that a form says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A part begins.
    Begin(Part),
    /// Some of its content; never empty.
    Data(Bytes),
    /// The part is over.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    AfterDelimiter,
    Headers,
    Data,
    Over,
}

/// An incremental reader of a form: give it a chunk with [`push`](Self::push), take pieces with [`next`](Self::next) until
/// there is none, and so on; after the last chunk ask [`is_whole`](Self::is_whole). It holds what a chunk leaves unfinished.
#[derive(Debug)]
pub struct Scanner {
    /// What stands between parts, with the line break before it.
    delimiter: Vec<u8>,
    buffer: BytesMut,
    state: State,
}

/// The boundary that a content type names: 1 to 70 characters (RFC 2046, section 5.1.1). `None` if it is no form with files.
pub fn boundary_of(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let named = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let boundary = named.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(named);
    let fits = (1..=70).contains(&boundary.len())
        && boundary.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"');
    fits.then_some(boundary)
}

impl Scanner {
    /// A reader at the start of a form with this boundary.
    pub fn new(boundary: &str) -> Self {
        // The first delimiter may stand at the very start, without a line break before it.
        Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            buffer: BytesMut::from(&b"\r\n"[..]),
            state: State::Preamble,
        }
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.state != State::Over {
            self.buffer.extend_from_slice(chunk);
        }
    }

    /// Whether the form has ended as it should; asked after the last chunk.
    pub fn is_whole(&self) -> bool {
        self.state == State::Over
    }

    /// The next piece; `None` until another chunk is pushed.
    ///
    /// # Errors
    /// It is no form, or one of which two readers might think differently. Do not go on after it.
    #[expect(clippy::should_implement_trait, reason = "None is not the end here, so this is no iterator")]
    pub fn next(&mut self) -> Result<Option<Piece>, Malformed> {
        loop {
            match self.state {
                State::Preamble => match memmem::find(&self.buffer, &self.delimiter) {
                    Some(at) => {
                        self.buffer.advance(at + self.delimiter.len());
                        self.state = State::AfterDelimiter;
                    }
                    None if self.buffer.len() > MAX_PREAMBLE_BYTES + self.delimiter.len() => {
                        return Err(Malformed("it does not begin with the boundary of its Content-Type"));
                    }
                    None => return Ok(None),
                },
                State::AfterDelimiter => {
                    let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                    self.buffer.advance(padding);
                    match self.buffer.get(..2) {
                        None => return Ok(None),
                        Some(b"--") => {
                            self.buffer = BytesMut::new();
                            self.state = State::Over;
                        }
                        Some(b"\r\n") => {
                            self.buffer.advance(2);
                            self.state = State::Headers;
                        }
                        Some(_) => return Err(Malformed("something follows a boundary on its line")),
                    }
                }
                State::Headers => {
                    let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
                        return if self.buffer.len() > MAX_HEADER_BYTES {
                            Err(Malformed("the headers of a part are too long, or have no end"))
                        } else {
                            Ok(None)
                        };
                    };
                    if end > MAX_HEADER_BYTES {
                        return Err(Malformed("the headers of a part are too long"));
                    }
                    let head = self.buffer.split_to(end);
                    self.buffer.advance(4);
                    self.state = State::Data;
                    return part(&head).map(|part| Some(Piece::Begin(part)));
                }
                State::Data => match memmem::find(&self.buffer, &self.delimiter) {
                    Some(0) => {
                        self.buffer.advance(self.delimiter.len());
                        self.state = State::AfterDelimiter;
                        return Ok(Some(Piece::End));
                    }
                    Some(at) => return Ok(Some(Piece::Data(self.buffer.split_to(at).freeze()))),
                    None => {
                        // The end may be the beginning of a delimiter.
                        let sure = (self.buffer.len() + 1).saturating_sub(self.delimiter.len());
                        return Ok((sure > 0).then(|| Piece::Data(self.buffer.split_to(sure).freeze())));
                    }
                },
                State::Over => return Ok(None),
            }
        }
    }
}

/// Reads the headers of a part.
fn part(head: &[u8]) -> Result<Part, Malformed> {
    let head = std::str::from_utf8(head).map_err(|_| Malformed("the headers of a part are not UTF-8"))?;
    let (mut disposition, mut content_type) = (None, None);
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) || line.contains(['\r', '\n', '\0']) {
            return Err(Malformed("a header of a part is broken into lines"));
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(Malformed("a header of a part has no colon"));
        };
        let slot = match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut content_type,
            // A text in another coding would be read as something else by who does not know it.
            "content-transfer-encoding" if !matches!(value.trim(), "binary" | "8bit" | "7bit") => {
                return Err(Malformed("a part has a transfer encoding; send it as it is"));
            }
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return Err(Malformed("a part has the same header twice"));
        }
    }
    let (name, file_name) = names(disposition.ok_or(Malformed("a part has no Content-Disposition"))?)?;
    let plain = |value: &&str| value.len() <= 200 && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    Ok(Part { name, file_name, content_type: content_type.filter(plain).map(str::to_owned) })
}

/// The field's name and the file's, from a `Content-Disposition`.
fn names(disposition: &str) -> Result<(String, Option<String>), Malformed> {
    let broken = Malformed("the Content-Disposition of a part cannot be read");
    let (kind, mut rest) = disposition.split_once(';').unwrap_or((disposition, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(Malformed("a part is not form-data"));
    }
    let (mut name, mut file_name, mut encoded) = (None, None, None);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            break;
        }
        let (key, after) = rest.split_once('=').ok_or(broken)?;
        let value;
        (value, rest) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or(broken)?,
            None => {
                let (token, rest) = after.split_once(';').unwrap_or((after, ""));
                (token.trim().to_owned(), rest)
            }
        };
        let slot = match key.trim().to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut file_name,
            "filename*" => &mut encoded,
            "name*" => return Err(broken),
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(broken);
        }
    }
    let name = name.filter(|name: &String| !name.is_empty()).ok_or(Malformed("a part has no name"))?;
    Ok((name, file_name.or(encoded)))
}

/// A quoted text from after its opening quote, and what follows its closing one. A backslash protects a quote or another
/// backslash, as curl writes it; before anything else it is itself, as in old Windows paths.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// What stands before a part's content; `first` for the first part of a form.
pub fn begin(boundary: &str, first: bool, part: &Part) -> String {
    // As browsers write names (<https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data>).
    let escaped = |text: &str| text.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
    let line_break = if first { "" } else { "\r\n" };
    let mut head = format!(
        "{line_break}--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
        escaped(&part.name)
    );
    if let Some(file_name) = &part.file_name {
        head.push_str(&format!("; filename=\"{}\"", escaped(file_name)));
    }
    if let Some(content_type) = &part.content_type {
        head.push_str(&format!("\r\nContent-Type: {content_type}"));
    }
    head.push_str("\r\n\r\n");
    head
}

/// What stands after the last part's content.
pub fn end(boundary: &str) -> String {
    format!("\r\n--{boundary}--\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parts of a form that arrives in chunks of this size.
    fn read(form: &[u8], chunk: usize) -> Result<Vec<(Part, Vec<u8>)>, Malformed> {
        let mut scanner = Scanner::new("b-1");
        let mut parts: Vec<(Part, Vec<u8>)> = Vec::new();
        let mut open = false;
        for chunk in form.chunks(chunk.max(1)) {
            scanner.push(chunk);
            while let Some(piece) = scanner.next()? {
                match piece {
                    Piece::Begin(part) => {
                        parts.push((part, Vec::new()));
                        open = true;
                    }
                    Piece::Data(data) => parts.last_mut().unwrap().1.extend_from_slice(&data),
                    Piece::End => open = false,
                }
            }
        }
        assert!(!scanner.is_whole() || !open);
        scanner.is_whole().then_some(parts).ok_or(Malformed("not whole"))
    }

    const FORM: &[u8] = b"--b-1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b-1  \r\n\
        content-type: audio/mpeg\r\nContent-disposition: form-data; filename=\"a \\\"b\\\".mp3\"; name=file\r\n\r\n\
        \r\n--b-\r\n--b\r\n\r\n--b-1--\r\nepilogue";

    #[test]
    fn a_form_is_read_the_same_however_it_is_cut() {
        for chunk in [1, 2, 3, 5, 7, 11, 64, 1000] {
            let parts = read(FORM, chunk).unwrap();
            assert_eq!(parts.len(), 2, "{chunk}");
            assert_eq!((parts[0].0.name.as_str(), &parts[0].1[..]), ("model", &b"whisper"[..]));
            let (file, data) = &parts[1];
            assert_eq!(file.file_name.as_deref(), Some("a \"b\".mp3"));
            assert_eq!((file.name.as_str(), file.content_type.as_deref()), ("file", Some("audio/mpeg")));
            assert_eq!(&data[..], b"\r\n--b-\r\n--b\r\n");
        }
    }

    #[test]
    fn what_two_readers_might_understand_differently_is_refused() {
        let with = |head: &str| format!("--b-1\r\n{head}\r\n\r\nx\r\n--b-1--\r\n");
        for head in [
            "Content-Disposition: form-data; name=\"a\"; name=\"model\"",
            "Content-Disposition: form-data; name*=utf-8''model",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"",
            "Content-Disposition: form-data;\r\n name=\"model\"",
            "Content-Disposition: form-data; name=\"model",
            "Content-Disposition: attachment; name=\"model\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
            "Content-Type: text/plain",
            "nonsense",
        ] {
            assert!(read(with(head).as_bytes(), 9).is_err(), "{head}");
        }
        assert!(read(b"--b-1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", 9).is_err(), "no end");
        assert!(read(b"{\"model\":\"m\"}", 9).is_err());
        assert!(read(&[b'x'; 5000], 100).is_err());
        assert!(read(&[&b"--b-1\r\nX: "[..], &[b'x'; 20_000]].concat(), 100).is_err());
    }

    #[test]
    fn the_boundary_is_found_in_the_content_type() {
        assert_eq!(boundary_of("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary_of("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), Some("a b"));
        for none in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=a",
        ] {
            assert_eq!(boundary_of(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            name in "[a-z\\[\\]]{1,12}",
            file_name in prop::option::of("[a-zA-Z0-9 ._%-]{0,20}"),
            data in prop::collection::vec(any::<u8>(), 0..200),
            chunk in 1_usize..50,
        ) {
            let part = Part { name, file_name, content_type: Some("audio/wav".into()) };
            let form = [begin("b-1", true, &part).as_bytes(), &data, end("b-1").as_bytes()].concat();
            prop_assume!(memmem::find(&data, b"\r\n--b-1").is_none());
            prop_assert_eq!(read(&form, chunk), Ok(vec![(part, data)]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..300), chunk in 1_usize..50) {
            _ = read(&data, chunk);
            _ = read(&[&b"--b-1\r\n"[..], &data].concat(), chunk);
        }
    }
}
