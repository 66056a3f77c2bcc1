//! Tells an answer on the wire: as a good vendor would, or with one fault.

use std::{
    future::pending,
    io::{self, Write},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    answer::{Answer, Kind},
    fault::Fault,
    media,
    reply::{self, Reply},
    wire::{Cut, Writer},
};

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It takes the next request.
    KeepAlive,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
}

/// Time between the last bytes and a reset, so that the bytes arrive first.
const BEFORE_RESET: Duration = Duration::from_millis(60);

/// One request that is being answered.
pub struct Exchange<'a> {
    /// What a good vendor would say.
    pub answer: Answer,
    /// The request's body.
    pub request: &'a Value,
    /// The key that the client gave.
    pub key: &'a str,
    /// How this vendor goes wrong.
    pub fault: Option<Fault>,
    /// `http://127.0.0.1:<port>` of this server, for redirects.
    pub origin: &'a str,
    /// What is kept of this call is found by this id.
    pub job_id: &'a str,
    /// Counts the pieces of content that were sent.
    pub pieces: &'a AtomicUsize,
}

/// How a stream is written.
struct Style {
    content_type: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    frame: fn(&str) -> String,
    prelude: Vec<Vec<u8>>,
    comments: bool,
    usage: Usage,
    dones: usize,
    usage_after_done: bool,
    empty_finish: bool,
    odd_envelope: bool,
    chunked: bool,
    gzip: bool,
    trailers: &'static str,
    cut: Cut,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    WhenAsked,
    Cumulative,
    Null,
    Missing,
    LastChoice,
    InsideChoice,
    XGroq,
    Negative,
    Incomplete,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            content_type: Some("text/event-stream; charset=utf-8"),
            headers: Vec::new(),
            frame: |data| format!("data: {data}\n\n"),
            prelude: Vec::new(),
            comments: false,
            usage: Usage::WhenAsked,
            dones: 1,
            usage_after_done: false,
            empty_finish: false,
            odd_envelope: false,
            chunked: true,
            gzip: false,
            trailers: "",
            cut: Cut::Whole,
        }
    }
}

const PRIVATE_HEADERS: &[(&str, &str)] = &[
    ("set-cookie", "session=upstream-secret; Path=/"),
    ("strict-transport-security", "max-age=31536000"),
    ("keep-alive", "timeout=5"),
    ("proxy-authenticate", "Basic"),
    ("openai-organization", "org-upstream-secret"),
    ("x-ratelimit-remaining-requests", "59"),
    ("alt-svc", "h3=\":443\""),
    ("server", "fake-vendor"),
];

impl Exchange<'_> {
    /// Writes the whole answer.
    pub async fn run(&self, out: &mut Writer<'_>) -> io::Result<After> {
        sleep(self.answer.pace.first).await;
        let stream = self.request["stream"] == true || self.request["stream_format"] == "sse";
        if let Some(reply) = self.fault.and_then(|fault| reply::of_fault(fault, self.key)) {
            return send(out, &reply).await;
        }
        if let Some(fault) = self.fault
            && let Some(after) = self.break_http(out, fault, stream).await?
        {
            return Ok(after);
        }
        if let Kind::Other(path) = self.answer.kind {
            return media::answer(self, path, out).await;
        }
        match (stream, self.fault) {
            (true, Some(Fault::JsonToStream)) => self.plain(out).await,
            (false, Some(Fault::SseToPlain)) => self.stream(out).await,
            (true, _) => self.stream(out).await,
            (false, _) => self.plain(out).await,
        }
    }

    /// The faults below the level of an answer; `None` when the answer itself is to be told.
    async fn break_http(
        &self,
        out: &mut Writer<'_>,
        fault: Fault,
        stream: bool,
    ) -> io::Result<Option<After>> {
        let content_type = if stream { "text/event-stream" } else { "application/json" };
        let chunked = [("content-type", content_type), ("transfer-encoding", "chunked")];
        Ok(Some(match fault {
            Fault::HangBeforeHeaders => pending().await,
            Fault::TrickledHeaders => {
                out.raw("HTTP/1.1 200 OK\r\nx-slow: ").await?;
                repeat(out, b"a", Duration::from_millis(50)).await?
            }
            Fault::HangAfterHeaders => {
                out.head(200, &chunked).await?;
                pending().await
            }
            Fault::OnlyPings => {
                out.head(200, &chunked).await?;
                repeat(out, b"e\r\n: keep-alive\n\n\r\n", Duration::from_millis(50)).await?
            }
            Fault::OnlyBlankLines => {
                out.head(200, &chunked).await?;
                repeat(out, b"1\r\n\n\r\n", Duration::from_millis(50)).await?
            }
            Fault::OnlyEmptyChoices => {
                out.head(200, &chunked).await?;
                out.begin_body(true, false);
                let mut chunk = self.answer.chunk(json!({}));
                chunk["choices"] = json!([]);
                let event = format!("data: {chunk}\n\n");
                loop {
                    out.body(event.as_bytes()).await?;
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Fault::ResetOnAccept | Fault::ResetBeforeHeaders => After::Reset,
            Fault::CloseBeforeHeaders => After::Close,
            Fault::CloseInHeaders => {
                out.raw("HTTP/1.1 200 OK\r\ncontent-type: applic").await?;
                After::Close
            }
            Fault::ResetAfterHeaders => {
                out.head(200, &chunked).await?;
                sleep(BEFORE_RESET).await;
                After::Reset
            }
            Fault::CloseAfterHeaders => {
                out.head(200, &chunked).await?;
                After::Close
            }
            Fault::TlsGarbage => {
                out.raw([0x15, 3, 3, 0, 2, 2, 40]).await?;
                After::Close
            }
            Fault::GarbageBytes => {
                let bytes: Vec<u8> =
                    (0..4096u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
                out.raw(bytes).await?;
                After::Close
            }
            Fault::BadStatusLine => {
                out.raw("HTTP/1.1 two hundred OK\r\ncontent-length: 2\r\n\r\n{}").await?;
                After::Close
            }
            Fault::Redirect307 => {
                self.redirect(out, 307, &format!("{}/redirected/v1/chat/completions", self.origin)).await?
            }
            Fault::Redirect302 => {
                let other = self.origin.replace("127.0.0.1", "localhost");
                self.redirect(out, 302, &format!("{other}/redirected/v1/chat/completions")).await?
            }
            Fault::RedirectLoop => self.redirect(out, 301, "/v1/chat/completions").await?,
            Fault::BadChunkSize => {
                out.head(200, &chunked).await?;
                out.raw("zz\r\n{}\r\n0\r\n\r\n").await?;
                After::Close
            }
            Fault::HugeChunkSize => {
                out.head(200, &chunked).await?;
                out.raw("fffffffffffffffffff\r\n{}\r\n").await?;
                After::Close
            }
            Fault::NegativeLength => {
                out.head(200, &[("content-type", content_type), ("content-length", "-5")]).await?;
                out.raw("{}").await?;
                After::Close
            }
            Fault::TwoLengths => {
                out.head(200, &[("content-length", "2"), ("content-length", "40")]).await?;
                out.raw("{}").await?;
                After::Close
            }
            Fault::HugeHeader => {
                out.raw("HTTP/1.1 200 OK\r\nx-huge: ").await?;
                for _ in 0..100 {
                    out.raw([b'a'; 16 << 10]).await?;
                }
                out.raw("\r\ncontent-length: 2\r\n\r\n{}").await?;
                After::Close
            }
            Fault::ManyHeaders => {
                out.raw("HTTP/1.1 200 OK\r\n").await?;
                for index in 0..20_000 {
                    out.raw(format!("x-header-{index}: {index}\r\n")).await?;
                }
                out.raw("content-length: 2\r\n\r\n{}").await?;
                After::Close
            }
            Fault::HugeLine => {
                out.head(200, &chunked).await?;
                out.begin_body(true, false);
                out.body(br#"data: {"choices":[{"index":0,"delta":{"content":""#).await?;
                flood(out, b'a', 100).await?;
                out.body(b"\"}}]}\n\n").await?;
                After::Close
            }
            Fault::HugeComments => {
                out.head(200, &chunked).await?;
                out.begin_body(true, false);
                let comments = b": OPENROUTER PROCESSING\n\n".repeat(1 << 12);
                for _ in 0..1_000 {
                    out.body(&comments).await?;
                }
                out.end_body("").await?;
                After::Close
            }
            Fault::HugeBody => {
                out.head(200, &chunked).await?;
                out.begin_body(true, false);
                out.body(br#"{"choices":[{"index":0,"message":{"role":"assistant","content":""#).await?;
                flood(out, b'a', 100).await?;
                out.body(b"\"}}]}").await?;
                out.end_body("").await?;
                After::Close
            }
            Fault::HugeErrorBody => {
                out.head(500, &[("content-type", "application/json"), ("transfer-encoding", "chunked")])
                    .await?;
                out.begin_body(true, false);
                flood(out, b'e', 50).await?;
                out.end_body("").await?;
                After::Close
            }
            Fault::GzipBomb => {
                let headers = [
                    ("content-type", content_type),
                    ("content-encoding", "gzip"),
                    ("transfer-encoding", "chunked"),
                ];
                out.head(200, &headers).await?;
                out.begin_body(true, false);
                let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
                gzip.write_all(if stream {
                    b"data: {\"choices\":[{\"delta\":{\"content\":\""
                } else {
                    b"{\"choices\":\""
                })?;
                let zeros = vec![b'0'; 1 << 20];
                for _ in 0..300 {
                    gzip.write_all(&zeros)?;
                    let part = std::mem::take(gzip.get_mut());
                    out.body(&part).await?;
                    tokio::task::yield_now().await;
                }
                out.body(&gzip.finish()?).await?;
                out.end_body("").await?;
                After::Close
            }
            Fault::GzipGarbage | Fault::UnknownCoding => {
                let coding = if fault == Fault::GzipGarbage { "gzip" } else { "dcb" };
                let body: Vec<u8> = (0..512u16).map(|index| (index * 37) as u8).collect();
                let headers = [
                    ("content-type", content_type),
                    ("content-encoding", coding),
                    ("content-length", &body.len().to_string()),
                ];
                out.head(200, &headers).await?;
                out.raw(body).await?;
                After::KeepAlive
            }
            Fault::StreamOptionsRejected if !self.request["stream_options"].is_null() => {
                let message = "Unrecognized request argument supplied: stream_options";
                send(out, &Reply::error(400, message, "invalid_request_error", "unknown_parameter")).await?
            }
            Fault::Continue100 => {
                out.raw("HTTP/1.1 100 Continue\r\n\r\n").await?;
                return Ok(None);
            }
            _ => return Ok(None),
        }))
    }

    async fn redirect(&self, out: &mut Writer<'_>, status: u16, location: &str) -> io::Result<After> {
        send(out, &Reply::new(status, "text/plain", "moved").header("location", location)).await
    }

    async fn plain(&self, out: &mut Writer<'_>) -> io::Result<After> {
        let mut answer = self.answer.plain();
        let choice_error = reply::error("The provider failed", "server_error", json!(502))["error"].take();
        match self.fault {
            Some(Fault::ErrorInChoices) => {
                answer["choices"] = json!([{"index": 0, "error": choice_error, "finish_reason": "error"}]);
            }
            Some(Fault::FinishReasonError) => {
                answer["choices"][0]["finish_reason"] = "error".into();
                answer["choices"][0]["message"]["content"] = "".into();
            }
            Some(Fault::EmptyCompletion) if self.answer.kind == Kind::Chat => {
                answer["choices"][0]["message"] = json!({"role": "assistant", "content": ""});
            }
            Some(Fault::EmptyCompletion) if self.answer.kind == Kind::Completion => {
                answer["choices"][0]["text"] = "".into();
            }
            Some(Fault::EmptyCompletion | Fault::NoChoices) if self.answer.kind == Kind::Embedding => {
                answer["data"] = json!([]);
            }
            Some(Fault::NoChoices) => answer["choices"] = json!([]),
            Some(Fault::NoMessage) => answer["choices"] = json!([{"index": 0, "finish_reason": "stop"}]),
            Some(Fault::OddEnvelope) => odd_envelope(&mut answer),
            Some(Fault::UsageNull) => answer["usage"] = Value::Null,
            Some(Fault::UsageMissing) => {
                answer.as_object_mut().and_then(|answer| answer.remove("usage"));
            }
            Some(Fault::UsageNegative) => answer["usage"] = negative_usage(),
            Some(Fault::UsageIncomplete) => {
                answer["usage"].as_object_mut().and_then(|usage| usage.remove("completion_tokens"));
            }
            _ => {}
        }
        let mut body = answer.to_string().into_bytes();
        match self.fault {
            Some(Fault::Bom) => _ = body.splice(..0, *b"\xef\xbb\xbf"),
            Some(Fault::LeadingBlankLines) => _ = body.splice(..0, *b"\n\n\r\n\n"),
            _ => {}
        }
        let content_type = match self.fault {
            Some(Fault::NoContentType) => None,
            Some(Fault::TextPlain) => Some("text/plain"),
            _ => Some("application/json"),
        };
        let gzip = self.fault == Some(Fault::Gzipped);
        let mut headers: Vec<(&str, &str)> =
            content_type.map(|value| ("content-type", value)).into_iter().collect();
        if gzip {
            headers.push(("content-encoding", "gzip"));
        }
        if self.fault == Some(Fault::PrivateHeaders) {
            headers.extend(PRIVATE_HEADERS);
        }
        let half = body.len() / 2;
        let length = body.len().to_string();
        match self.fault {
            Some(
                Fault::ShortBody
                | Fault::CutAfterContent
                | Fault::CloseAfterContent
                | Fault::StallAfterContent,
            ) => {
                headers.push(("content-length", &length));
                out.head(200, &headers).await?;
                out.raw(&body[..half]).await?;
                if self.fault == Some(Fault::StallAfterContent) {
                    return pending().await;
                }
                sleep(BEFORE_RESET).await;
                Ok(if self.fault == Some(Fault::CutAfterContent) { After::Reset } else { After::Close })
            }
            Some(Fault::BadChunkAfterContent) => {
                headers.push(("transfer-encoding", "chunked"));
                out.head(200, &headers).await?;
                out.begin_body(true, false);
                out.body(&body[..half]).await?;
                out.raw("zz\r\nrest\r\n").await?;
                Ok(After::Close)
            }
            Some(
                Fault::LeadingBlankLines
                | Fault::SplitUtf8
                | Fault::SlowDrip
                | Fault::Trailers
                | Fault::Gzipped,
            ) => {
                headers.push(("transfer-encoding", "chunked"));
                let style = self.style();
                self.whole(out, &headers, &style, &body).await?;
                Ok(After::KeepAlive)
            }
            Some(Fault::EofDelimited) => {
                headers.push(("connection", "close"));
                out.head(200, &headers).await?;
                out.raw(&body).await?;
                self.pieces.store(self.answer.pieces(), Ordering::SeqCst);
                Ok(After::Close)
            }
            _ => {
                headers.push(("content-length", &length));
                out.head(200, &headers).await?;
                out.raw(&body).await?;
                self.pieces.store(self.answer.pieces(), Ordering::SeqCst);
                Ok(After::KeepAlive)
            }
        }
    }

    async fn whole(
        &self,
        out: &mut Writer<'_>,
        headers: &[(&str, &str)],
        style: &Style,
        body: &[u8],
    ) -> io::Result<()> {
        out.head(200, headers).await?;
        out.begin_body(true, style.gzip);
        out.cut = style.cut;
        out.body(body).await?;
        self.pieces.store(self.answer.pieces(), Ordering::SeqCst);
        out.end_body(style.trailers).await
    }

    fn style(&self) -> Style {
        let mut style = Style::default();
        let Some(fault) = self.fault else { return style };
        match fault {
            Fault::NoContentType => style.content_type = None,
            Fault::TextPlain => style.content_type = Some("text/plain"),
            Fault::PrivateHeaders => style.headers = PRIVATE_HEADERS.to_vec(),
            Fault::NoSpace => style.frame = |data| format!("data:{data}\n\n"),
            Fault::CrLf => style.frame = |data| format!("data: {data}\r\n\r\n"),
            Fault::LoneCr => style.frame = |data| format!("data: {data}\r\r"),
            Fault::MultiLineData => {
                // Lines may break between JSON tokens only; the markers of the tests hold no `,"`.
                style.frame = |data| format!("data: {}\n\n", data.replace(",\"", ",\ndata: \""));
            }
            Fault::EventFields => {
                style.frame = |data| format!("event: message\nid: 7\nretry: 100\nfoo: bar\ndata: {data}\n\n");
            }
            Fault::Comments => {
                style.comments = true;
                style.prelude.push(b": OPENROUTER PROCESSING\n\n:\n\n: keep-alive\n".to_vec());
            }
            Fault::Bom => style.prelude.push(b"\xef\xbb\xbf".to_vec()),
            Fault::LargeEvent => {
                let mut chunk = self.answer.chunk(json!({}));
                chunk["padding"] = "p".repeat(2 << 20).into();
                style.prelude.push(format!("data: {chunk}\n\n").into_bytes());
            }
            Fault::EmptyChoicesFirst => {
                let mut chunk = self.answer.chunk(json!({}));
                chunk["choices"] = json!([]);
                chunk["prompt_filter_results"] = json!([{"prompt_index": 0, "content_filter_results": {}}]);
                style.prelude.push(format!("data: {chunk}\n\n").into_bytes());
            }
            Fault::NoDone => style.dones = 0,
            Fault::DoubleDone => style.dones = 2,
            Fault::UsageAfterDone => style.usage_after_done = true,
            Fault::EmptyFinishReason => style.empty_finish = true,
            Fault::OddEnvelope => style.odd_envelope = true,
            Fault::SplitUtf8 => style.cut = Cut::InsideUtf8,
            Fault::SlowDrip => style.cut = Cut::EachByte,
            Fault::EofDelimited => style.chunked = false,
            Fault::Trailers => style.trailers = "x-checksum: 1\r\nset-cookie: late=1\r\n",
            Fault::Gzipped => style.gzip = true,
            Fault::UsageCumulative => style.usage = Usage::Cumulative,
            Fault::UsageNull => style.usage = Usage::Null,
            Fault::UsageMissing => style.usage = Usage::Missing,
            Fault::UsageInLastChoice => style.usage = Usage::LastChoice,
            Fault::UsageInsideChoice => style.usage = Usage::InsideChoice,
            Fault::UsageXGroq => style.usage = Usage::XGroq,
            Fault::UsageNegative => style.usage = Usage::Negative,
            Fault::UsageIncomplete => style.usage = Usage::Incomplete,
            _ => {}
        }
        style
    }

    async fn stream(&self, out: &mut Writer<'_>) -> io::Result<After> {
        let style = self.style();
        let mut headers: Vec<(&str, &str)> =
            style.content_type.map(|value| ("content-type", value)).into_iter().collect();
        headers.push(("cache-control", "no-cache"));
        headers.extend(&style.headers);
        headers.push(if style.chunked { ("transfer-encoding", "chunked") } else { ("connection", "close") });
        if style.gzip {
            headers.push(("content-encoding", "gzip"));
        }
        out.head(200, &headers).await?;
        out.begin_body(style.chunked, style.gzip);
        out.cut = style.cut;
        for part in &style.prelude {
            out.body(part).await?;
        }
        if let Some(after) = self.break_before_content(out, &style).await? {
            return Ok(after);
        }
        if let Some(role) = self.answer.role_chunk() {
            self.event(out, &style, role, 0).await?;
        }
        let content = if self.fault == Some(Fault::EmptyCompletion) { 0 } else { self.answer.pieces() };
        for index in 0..content {
            // A timer takes a millisecond at least: too slow for a flood.
            if index > 0 && !self.answer.pace.chunk.is_zero() {
                sleep(self.answer.pace.chunk).await;
            }
            if index == content.min(2)
                && let Some(after) = self.break_after_content(out, &style).await?
            {
                return Ok(after);
            }
            if style.comments {
                out.body(b": keep-alive\n\n").await?;
            }
            self.event(out, &style, self.answer.piece_chunk(index), index + 1).await?;
            self.pieces.store(index + 1, Ordering::SeqCst);
        }
        self.event(out, &style, self.answer.finish_chunk(), content).await?;
        let asked = self.request["stream_options"]["include_usage"] == true;
        let usage = match style.usage {
            Usage::WhenAsked => asked.then(|| self.answer.usage_chunk()),
            Usage::Negative | Usage::Incomplete | Usage::Null => {
                let mut chunk = self.answer.usage_chunk();
                match style.usage {
                    Usage::Negative => chunk["usage"] = negative_usage(),
                    Usage::Null => chunk["usage"] = Value::Null,
                    _ => {
                        _ = chunk["usage"].as_object_mut().and_then(|usage| usage.remove("completion_tokens"))
                    }
                }
                Some(chunk)
            }
            Usage::Cumulative | Usage::Missing | Usage::LastChoice | Usage::InsideChoice | Usage::XGroq => {
                None
            }
        };
        let last = |data: &str| {
            if self.fault == Some(Fault::NoFinalBlankLine) {
                format!("data: {data}")
            } else {
                (style.frame)(data)
            }
        };
        if let Some(usage) = usage.as_ref().filter(|_| !style.usage_after_done) {
            out.body((style.frame)(&usage.to_string()).as_bytes()).await?;
        }
        for _ in 0..style.dones {
            out.body(last("[DONE]").as_bytes()).await?;
        }
        if let Some(usage) = usage.filter(|_| style.usage_after_done) {
            out.body((style.frame)(&usage.to_string()).as_bytes()).await?;
        }
        out.end_body(style.trailers).await?;
        Ok(if style.chunked { After::KeepAlive } else { After::Close })
    }

    async fn event(
        &self,
        out: &mut Writer<'_>,
        style: &Style,
        mut chunk: Value,
        pieces: usize,
    ) -> io::Result<()> {
        let finish = !chunk["choices"][0]["finish_reason"].is_null();
        match style.usage {
            Usage::Cumulative => chunk["usage"] = self.answer.usage_after(pieces),
            Usage::LastChoice if finish => chunk["usage"] = self.answer.usage(),
            Usage::InsideChoice if finish => chunk["choices"][0]["usage"] = self.answer.usage(),
            Usage::XGroq if finish => chunk["x_groq"] = json!({"id": "req_1", "usage": self.answer.usage()}),
            _ => {}
        }
        if style.empty_finish && !finish {
            chunk["choices"][0]["finish_reason"] = "".into();
        }
        if style.odd_envelope {
            odd_envelope(&mut chunk);
        }
        out.body((style.frame)(&chunk.to_string()).as_bytes()).await
    }

    /// Stream faults that show before any content.
    async fn break_before_content(&self, out: &mut Writer<'_>, style: &Style) -> io::Result<Option<After>> {
        let Some(fault) = self.fault else { return Ok(None) };
        let role = self.answer.role_chunk().unwrap_or_else(|| self.answer.chunk(json!({})));
        let failed = |code: Value| reply::error("The provider failed", "server_error", code);
        let events: Vec<String> = match fault {
            Fault::RoleThenHang => {
                self.event(out, style, role, 0).await?;
                return pending().await;
            }
            Fault::ErrorFirstEvent => vec![failed(json!(502)).to_string()],
            Fault::ErrorFirstEventTextCode => vec![failed(json!("internal_error")).to_string()],
            Fault::RateLimitFirstEvent => {
                vec![reply::error("Rate limit exceeded", "rate_limit_error", json!(429)).to_string()]
            }
            Fault::ErrorArrayFirstEvent => vec![json!([failed(json!(500))]).to_string()],
            Fault::NamedErrorEvent => {
                out.body(format!("event: error\ndata: {}\n\n", failed(json!(500))).as_bytes()).await?;
                vec![]
            }
            Fault::ErrorInChoices => {
                let mut chunk = self.answer.chunk(json!({}));
                chunk["choices"][0]["error"] = failed(json!(502))["error"].take();
                chunk["choices"][0]["finish_reason"] = "error".into();
                vec![chunk.to_string()]
            }
            Fault::FinishReasonError => {
                let mut chunk = self.answer.chunk(json!({}));
                chunk["choices"][0]["finish_reason"] = "error".into();
                vec![role.to_string(), chunk.to_string(), "[DONE]".to_owned()]
            }
            Fault::RoleThenError => vec![role.to_string(), failed(json!(502)).to_string()],
            Fault::BadJsonEvent => vec!["{\"choices\":[{\"delta\":".to_owned(), "[DONE]".to_owned()],
            Fault::NoChoices => {
                let mut chunk = self.answer.chunk(json!({}));
                chunk["choices"] = json!([]);
                vec![chunk.to_string(), "[DONE]".to_owned()]
            }
            Fault::OnlyDone => vec!["[DONE]".to_owned()],
            Fault::OnlyUsage => vec![self.answer.usage_chunk().to_string(), "[DONE]".to_owned()],
            Fault::EofBeforeContent => vec![role.to_string()],
            _ => return Ok(None),
        };
        for event in events {
            out.body((style.frame)(&event).as_bytes()).await?;
        }
        out.end_body("").await?;
        Ok(Some(After::KeepAlive))
    }

    /// Stream faults that show after two pieces of content.
    async fn break_after_content(&self, out: &mut Writer<'_>, style: &Style) -> io::Result<Option<After>> {
        let Some(fault) = self.fault else { return Ok(None) };
        Ok(Some(match fault {
            Fault::EofAfterContent => {
                out.end_body("").await?;
                After::KeepAlive
            }
            Fault::CutAfterContent => {
                sleep(BEFORE_RESET).await;
                After::Reset
            }
            Fault::CloseAfterContent => After::Close,
            Fault::StallAfterContent => pending().await,
            Fault::PingsAfterContent => {
                repeat(out, b"e\r\n: keep-alive\n\n\r\n", Duration::from_millis(50)).await?
            }
            Fault::ErrorAfterContent => {
                let event = reply::error("The provider failed", "server_error", json!(502)).to_string();
                out.body((style.frame)(&event).as_bytes()).await?;
                out.end_body("").await?;
                After::KeepAlive
            }
            Fault::ErrorInChoicesAfterContent => {
                let mut chunk = self.answer.chunk(json!({}));
                chunk["choices"][0]["error"] = json!({"code": 502, "message": "The provider failed"});
                chunk["choices"][0]["finish_reason"] = "error".into();
                out.body((style.frame)(&chunk.to_string()).as_bytes()).await?;
                out.body(b"data: [DONE]\n\n").await?;
                out.end_body("").await?;
                After::KeepAlive
            }
            Fault::BadChunkAfterContent => {
                out.raw("zz\r\nrest\r\n").await?;
                After::Close
            }
            Fault::HugeLineAfterContent => {
                out.body(br#"data: {"choices":[{"index":0,"delta":{"content":""#).await?;
                flood(out, b'a', 100).await?;
                out.body(b"\"}}]}\n\n").await?;
                After::Close
            }
            _ => return Ok(None),
        }))
    }
}

/// Writes a whole reply.
pub async fn send(out: &mut Writer<'_>, reply: &Reply) -> io::Result<After> {
    let mut headers = reply.headers.clone();
    if !matches!(reply.status, 204 | 304) {
        headers.push(("content-length".to_owned(), reply.body.len().to_string()));
    }
    out.head(reply.status, &headers).await?;
    out.raw(&reply.body).await?;
    Ok(After::KeepAlive)
}

async fn repeat(out: &mut Writer<'_>, bytes: &[u8], every: Duration) -> io::Result<After> {
    loop {
        out.raw(bytes).await?;
        sleep(every).await;
    }
}

/// Writes that many megabytes of one letter without ever holding them.
async fn flood(out: &mut Writer<'_>, letter: u8, megabytes: usize) -> io::Result<()> {
    let part = vec![letter; 64 << 10];
    for _ in 0..megabytes * 16 {
        out.body(&part).await?;
    }
    Ok(())
}

fn odd_envelope(answer: &mut Value) {
    answer["id"] = "".into();
    answer["model"] = "vendor/internal-name-0613".into();
    answer["created"] = json!(1_760_000_000.5);
}

fn negative_usage() -> Value {
    json!({"prompt_tokens": -5, "completion_tokens": -1_000_000, "total_tokens": -1_000_005})
}
