//! Server-sent events, read from chunks of bytes as they arrive, and written.
//!
//! The format is <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>. Framing is on
//! bytes, so a character that is split between chunks is never looked at; an event that lies inside one chunk is a slice
//! of it.

use bytes::{Buf, Bytes};

/// The most bytes that one event or line may have. Images travel in events as base64, hence megabytes.
pub const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// Lines above this are few: images and the like.
const LARGE_LINE_BYTES: usize = 64 * 1024;

/// The data of the event that ends an OpenAI stream.
pub const DONE: &[u8] = b"[DONE]";

/// The framed event that ends an OpenAI stream.
pub const DONE_FRAME: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// A framed comment that keeps a connection alive.
pub const KEEP_ALIVE_FRAME: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// One thing that a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An event with data; several `data:` lines are joined with line feeds.
    Data {
        /// The `event:` name, if one was given.
        event: Option<Bytes>,
        /// The data; never empty.
        data: Bytes,
    },
    /// A comment, or an event whose data is empty: proof of life, and nothing else.
    Comment,
    /// `data: [DONE]`.
    Done,
}

/// An event or a line of more than [`MAX_EVENT_BYTES`]; the scanner yields nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
pub struct TooLong;

/// The data of the event that is being read.
#[derive(Debug, Default)]
enum Pending {
    #[default]
    Nothing,
    /// One line, a slice of the present chunk.
    Slice(Bytes),
    /// Lines copied out of their chunks.
    Copied(Vec<u8>),
}

/// An incremental reader of events.
///
/// Give it a chunk with [`push`](Self::push), take events with [`next`](Self::next) until there is none, and so on;
/// after the last chunk call [`finish`](Self::finish) and take the rest. Between events it holds no memory on the heap;
/// inside one it holds what came of it.
#[derive(Debug, Default)]
pub struct Scanner {
    chunk: Bytes,
    line: Vec<u8>,
    data: Pending,
    event: Option<Bytes>,
    skip_line_feed: bool,
    started: bool,
    ended: bool,
    failed: bool,
}

impl Scanner {
    /// A scanner at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk. Take all events of the last one first: what is left of it is copied otherwise.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk =
            if self.chunk.is_empty() { chunk } else { [&self.chunk[..], &chunk[..]].concat().into() };
    }

    /// Says that no chunk follows: a last line or event needs no end mark.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// The next event; `None` until another chunk is pushed, and for good after an error.
    #[expect(clippy::should_implement_trait, reason = "None is not the end here, so this is no iterator")]
    pub fn next(&mut self) -> Option<Result<Event, TooLong>> {
        if self.failed {
            return None;
        }
        let found = self.scan();
        if found == Some(Err(TooLong)) {
            *self = Self { failed: true, ..Self::default() };
        }
        found
    }

    fn scan(&mut self) -> Option<Result<Event, TooLong>> {
        loop {
            if self.skip_line_feed && !self.chunk.is_empty() {
                self.skip_line_feed = false;
                if self.chunk[0] == b'\n' {
                    self.chunk.advance(1);
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', &self.chunk) else {
                if self.held() + self.chunk.len() > MAX_EVENT_BYTES {
                    return Some(Err(TooLong));
                }
                return self.run_dry().map(Ok);
            };
            if self.held() + end > MAX_EVENT_BYTES {
                return Some(Err(TooLong));
            }
            let mut line = self.chunk.split_to(end);
            self.skip_line_feed = self.chunk[0] == b'\r';
            self.chunk.advance(1);
            if !self.line.is_empty() {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(&line);
                line = whole.into();
            }
            if let Some(event) = self.take_line(line) {
                return Some(Ok(event));
            }
        }
    }

    /// The bytes of the unfinished event.
    fn held(&self) -> usize {
        let data = match &self.data {
            Pending::Nothing => 0,
            Pending::Slice(data) => data.len(),
            Pending::Copied(data) => data.len(),
        };
        self.line.len() + data + self.event.as_ref().map_or(0, Bytes::len)
    }

    /// Moves what the chunk leaves unfinished into own memory, so that a few bytes do not keep a whole network buffer
    /// alive; at the end of the stream yields what remains.
    fn run_dry(&mut self) -> Option<Event> {
        // A large line gets all the room that it may need at once, which takes memory only where it is written to; a
        // buffer that grows leaves freed copies behind, together as large again.
        if self.line.len() + self.chunk.len() > LARGE_LINE_BYTES {
            self.line.reserve(MAX_EVENT_BYTES.saturating_sub(self.line.len()));
        }
        self.line.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
        if self.ended {
            if !self.line.is_empty() {
                let line = std::mem::take(&mut self.line).into();
                if let Some(event) = self.take_line(line) {
                    return Some(event);
                }
            }
            return self.dispatch();
        }
        if let Pending::Slice(data) = &self.data {
            self.data = Pending::Copied(data.to_vec());
        }
        if let Some(event) = &self.event {
            self.event = Some(Bytes::copy_from_slice(event));
        }
        None
    }

    fn take_line(&mut self, mut line: Bytes) -> Option<Event> {
        if !self.started {
            self.started = true;
            if line.starts_with(b"\xEF\xBB\xBF") {
                line.advance(3);
            }
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = memchr::memchr(b':', &line);
        let name = &line[..colon.unwrap_or(line.len())];
        let value = |mut line: Bytes| {
            line.advance(colon.map_or(line.len(), |at| at + 1));
            if line.first() == Some(&b' ') {
                line.advance(1);
            }
            line
        };
        match name {
            b"" => return Some(Event::Comment),
            b"data" => {
                let value = value(line);
                self.data = match std::mem::take(&mut self.data) {
                    Pending::Nothing => Pending::Slice(value),
                    Pending::Slice(first) => Pending::Copied([&first[..], b"\n", &value[..]].concat()),
                    Pending::Copied(mut lines) => {
                        lines.push(b'\n');
                        lines.extend_from_slice(&value);
                        Pending::Copied(lines)
                    }
                };
            }
            b"event" => self.event = Some(value(line)),
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let event = self.event.take().filter(|name| !name.is_empty());
        let data: Bytes = match std::mem::take(&mut self.data) {
            Pending::Nothing => return None,
            Pending::Slice(data) => data,
            Pending::Copied(data) => data.into(),
        };
        Some(match data.trim_ascii() {
            b"" => Event::Comment,
            DONE => Event::Done,
            _ => Event::Data { event, data },
        })
    }
}

/// Writes data as one event; data of several lines becomes several `data:` lines.
pub fn frame(data: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(data.len() + 8);
    let mut rest = data;
    loop {
        framed.extend_from_slice(b"data: ");
        let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
            framed.extend_from_slice(rest);
            framed.extend_from_slice(b"\n\n");
            return framed.into();
        };
        framed.extend_from_slice(&rest[..end]);
        framed.push(b'\n');
        rest = if rest[end..].starts_with(b"\r\n") { &rest[end + 2..] } else { &rest[end + 1..] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(chunks: &[&[u8]]) -> Vec<Result<Event, TooLong>> {
        let mut scanner = Scanner::new();
        let mut events = Vec::new();
        for chunk in chunks {
            scanner.push(Bytes::copy_from_slice(chunk));
            events.extend(std::iter::from_fn(|| scanner.next()));
        }
        scanner.finish();
        events.extend(std::iter::from_fn(|| scanner.next()));
        events
    }

    fn data(text: &str) -> Result<Event, TooLong> {
        Ok(Event::Data { event: None, data: Bytes::copy_from_slice(text.as_bytes()) })
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = "data: a⏎⏎data: b⏎⏎".replace('⏎', end);
            assert_eq!(scan(&[stream.as_bytes()]), [data("a"), data("b")], "{end:?}");
        }
    }

    #[test]
    fn a_space_after_the_colon_is_optional_and_only_one_is_dropped() {
        assert_eq!(scan(&[b"data:a\n\ndata:  b\n\n"]), [data("a"), data(" b")]);
    }

    #[test]
    fn several_data_lines_are_joined_and_other_fields_are_read_over() {
        let events = scan(&[b"id: 7\nretry: 10\nevent: delta\ndata: a\ndata\ndata: b\nnonsense\n\n"]);
        let expected =
            Event::Data { event: Some(Bytes::from_static(b"delta")), data: Bytes::from_static(b"a\n\nb") };
        assert_eq!(events, [Ok(expected)]);
    }

    #[test]
    fn comments_and_empty_data_are_proof_of_life_only() {
        let events = scan(&[b": OPENROUTER PROCESSING\n\n:\n\ndata:\n\nevent: ping\n\ndata: a\n: mid\n\n"]);
        assert_eq!(
            events,
            [Ok(Event::Comment), Ok(Event::Comment), Ok(Event::Comment), Ok(Event::Comment), data("a")]
        );
    }

    #[test]
    fn a_byte_order_mark_at_the_start_is_dropped_even_when_it_is_split() {
        assert_eq!(scan(&[b"\xEF\xBB", b"\xBFdata: a\n\n"]), [data("a")]);
    }

    #[test]
    fn the_last_event_needs_no_blank_line() {
        assert_eq!(scan(&[b"data: a\n\ndata: b"]), [data("a"), data("b")]);
        assert_eq!(scan(&[b"data: b\n"]), [data("b")]);
    }

    #[test]
    fn done_is_seen_with_and_without_a_space() {
        assert_eq!(scan(&[b"data: [DONE]\n\ndata:[DONE] \n\n"]), [Ok(Event::Done), Ok(Event::Done)]);
    }

    #[test]
    fn an_event_inside_one_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from_static(b"data: hello\n\n");
        let mut scanner = Scanner::new();
        scanner.push(chunk.clone());
        let Some(Ok(Event::Data { data, .. })) = scanner.next() else { panic!("no event") };
        assert_eq!(data.as_ptr(), chunk[6..].as_ptr());
    }

    #[test]
    fn an_unfinished_event_does_not_keep_its_network_buffer() {
        let mut buffer = vec![b'x'; 64 * 1024];
        buffer[..9].copy_from_slice(b"event: e\n");
        buffer[9..17].copy_from_slice(b"data: a\n");
        buffer.truncate(20);
        let chunk = Bytes::from(buffer);
        let mut scanner = Scanner::new();
        scanner.push(chunk.clone());
        assert_eq!(scanner.next(), None);
        assert!(chunk.is_unique());
    }

    #[test]
    fn an_idle_scanner_holds_no_heap_memory() {
        let mut scanner = Scanner::new();
        for chunk in [&b"data: a"[..], b"bc\n", b"data: d\n\n"] {
            scanner.push(Bytes::from_static(chunk));
            while scanner.next().is_some() {}
        }
        assert_eq!(scanner.line.capacity(), 0);
        assert!(matches!(scanner.data, Pending::Nothing) && scanner.event.is_none());
        assert!(size_of::<Scanner>() <= 192, "{}", size_of::<Scanner>());
    }

    #[test]
    fn an_endless_line_and_an_endless_event_are_refused_once() {
        let mebibyte = vec![b'a'; 1 << 20];
        let mut line: Vec<&[u8]> = vec![b"data: "];
        line.extend(std::iter::repeat_n(&mebibyte[..], 10));
        assert_eq!(scan(&line), [Err(TooLong)]);
        let mut one = b"data: ".to_vec();
        one.extend(&mebibyte);
        one.push(b'\n');
        let event: Vec<&[u8]> = std::iter::repeat_n(&one[..], 10).collect();
        assert_eq!(scan(&event), [Err(TooLong)]);
    }

    #[test]
    fn an_event_of_several_megabytes_passes() {
        let mut stream = b"data: ".to_vec();
        stream.resize(6 << 20, b'a');
        stream.extend(b"\n\n");
        let events = scan(&stream.chunks(16_384).collect::<Vec<_>>());
        assert!(matches!(&events[..], [Ok(Event::Data { data, .. })] if data.len() == (6 << 20) - 6));
    }

    #[test]
    fn what_is_framed_reads_back() {
        for text in ["{}", "a\nb", "\na"] {
            assert_eq!(scan(&[&frame(text.as_bytes())]), [data(text)]);
        }
        assert_eq!(scan(&[&frame(b"a\r\nb\rc")]), [data("a\nb\nc")]);
        assert_eq!(scan(&[&DONE_FRAME, &KEEP_ALIVE_FRAME]), [Ok(Event::Done), Ok(Event::Comment)]);
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_bytes_are_split(
            parts in prop::collection::vec(prop::sample::select(vec![
                "data: ", "data:", "event: x", ": c", "\n", "\r\n", "\r", "\n\n", "你好", "🦀", "[DONE]", "{\"a\":1}", "\u{feff}", " ", ":", "id: 1",
            ]), 0..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream = parts.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&stream[from..cut]);
                from = cut;
            }
            chunks.push(&stream[from..]);
            prop_assert_eq!(scan(&chunks), scan(&[&stream]));
            prop_assert_eq!(scan(&stream.chunks(1).collect::<Vec<_>>()), scan(&[&stream]));
        }

        #[test]
        fn arbitrary_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..300)) {
            scan(&[&stream]);
            scan(&stream.chunks(7).collect::<Vec<_>>());
            frame(&stream);
        }
    }
}
