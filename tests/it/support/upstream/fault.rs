//! Every way in which a fake upstream can misbehave, and what a client of the gateway should then see.
//!
//! One table holds them all, so that a test can run each one: with a good channel beside the bad one and without,
//! streaming and not.

/// What a fault means to the gateway; it decides what the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing useful arrives until a time limit passes.
    Hang,
    /// The bytes are not an answer: reset, garbage, HTML, empty, too large.
    Broken,
    /// The key, the account or the model is limited for a while.
    RateLimited,
    /// The key is refused: unknown, revoked, without credit, banned, not entitled.
    KeyRefused,
    /// The upstream does not have the model.
    ModelMissing,
    /// The request itself is at fault; the status passes once and no other key is tried.
    ClientError(u16),
    /// The upstream says that it failed.
    ServerError,
    /// The answer breaks after its first content: too late for another key in a stream, early enough without one.
    AfterContent,
    /// Odd, but a whole answer can be read from it.
    Harmless,
    /// A whole answer can be read from it with some effort; giving up on it is right too.
    Tolerable,
}

/// Which kind of request a fault makes sense for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// Streams and plain answers.
    Both,
    /// Streams only.
    Stream,
    /// Plain answers only.
    Plain,
}

/// What the gateway's client should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The exact, whole answer.
    Answer,
    /// The whole answer, or an error with one of these statuses.
    AnswerOr(&'static [u16]),
    /// An OpenAI-shaped error with one of these statuses and no content.
    Status(&'static [u16]),
    /// Some content, then one error event and no `[DONE]`.
    ErrorEvent,
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident: $class:expr, $applies:ident;)*) => {
        /// One way to misbehave.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault { $($(#[doc = $doc])* $name,)* }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its meaning.
            pub fn class(self) -> Class {
                use Class::*;
                match self { $(Self::$name => $class,)* }
            }

            fn scope(self) -> Applies {
                match self { $(Self::$name => Applies::$applies,)* }
            }
        }
    };
}

faults! {
    // nothing, or not enough, arrives
    /// Reads the request and never answers.
    HangBeforeHeaders: Hang, Both;
    /// Sends one byte of an endless header every 50 ms.
    TrickledHeaders: Hang, Both;
    /// Sends the headers and no body.
    HangAfterHeaders: Hang, Both;
    /// Sends comments for ever.
    OnlyPings: Hang, Stream;
    /// Sends chunks with empty `choices` for ever.
    OnlyEmptyChoices: Hang, Stream;
    /// Sends the role and stops.
    RoleThenHang: Hang, Stream;
    /// Sends blank lines before a JSON body that never comes.
    OnlyBlankLines: Hang, Plain;

    // the connection
    /// Resets the connection before it reads the request.
    ResetOnAccept: Broken, Both;
    /// Resets it after the request.
    ResetBeforeHeaders: Broken, Both;
    /// Closes it after the request.
    CloseBeforeHeaders: Broken, Both;
    /// Closes it in the middle of the headers.
    CloseInHeaders: Broken, Both;
    /// Resets it after the headers.
    ResetAfterHeaders: Broken, Both;
    /// Closes it after the headers, inside a chunked body.
    CloseAfterHeaders: Broken, Both;
    /// Answers with a TLS alert.
    TlsGarbage: Broken, Both;
    /// Answers with random bytes.
    GarbageBytes: Broken, Both;
    /// Answers with a status line that is none.
    BadStatusLine: Broken, Both;

    // HTTP
    /// A login page with status 200.
    Html200: Broken, Both;
    /// A 200 without a body.
    Empty200: Broken, Both;
    /// A 200 with `{}`.
    EmptyObject200: Broken, Both;
    /// A 200 with `null`.
    Null200: Broken, Both;
    /// A 200 with half of a JSON body and an honest length.
    HalfJson200: Broken, Plain;
    /// A 307 to another path of this server.
    Redirect307: Broken, Both;
    /// A 302 to another name of this server.
    Redirect302: Broken, Both;
    /// A 301 to itself.
    RedirectLoop: Broken, Both;
    /// A 304, which nobody asked for.
    NotModified304: Broken, Both;
    /// A chunk whose size is no number.
    BadChunkSize: Broken, Both;
    /// A chunk larger than any number.
    HugeChunkSize: Broken, Both;
    /// A negative `content-length`.
    NegativeLength: Broken, Both;
    /// Two `content-length` headers that differ.
    TwoLengths: Broken, Both;
    /// A body that ends before its `content-length`.
    ShortBody: Broken, Plain;
    /// A header of 1.6 MB.
    HugeHeader: Broken, Both;
    /// Twenty thousand headers.
    ManyHeaders: Broken, Both;
    /// One SSE line of 100 MB.
    HugeLine: Broken, Stream;
    /// 100 MB of comment lines, without content.
    HugeComments: Broken, Stream;
    /// A JSON body of 100 MB.
    HugeBody: Broken, Plain;
    /// A 500 with a body of 50 MB.
    HugeErrorBody: ServerError, Both;
    /// A few hundred kilobytes of gzip that become 300 MB.
    GzipBomb: Broken, Both;
    /// Says gzip and is none.
    GzipGarbage: Broken, Both;
    /// Uses a content coding that nobody asked for.
    UnknownCoding: Broken, Both;

    // limits
    /// 429 without any header.
    RateLimitedBare: RateLimited, Both;
    /// 429 with `Retry-After: 7`.
    RateLimitedSeconds: RateLimited, Both;
    /// 429 with `Retry-After: 2`.
    RateLimitedTwoSeconds: RateLimited, Both;
    /// 429 with `Retry-After` as a date, 9 s ahead.
    RateLimitedHttpDate: RateLimited, Both;
    /// 429 with `retry-after-ms: 2500`.
    RateLimitedMs: RateLimited, Both;
    /// 429 with `x-ratelimit-reset-requests: 1m2.5s`.
    RateLimitedReset: RateLimited, Both;
    /// 429 with "Please try again in 20s" in its text.
    RateLimitedText: RateLimited, Both;
    /// 429 of a daily limit, told in the text only.
    RateLimitedDaily: RateLimited, Both;
    /// 429 because too many requests run at once.
    RateLimitedConcurrency: RateLimited, Both;
    /// 429 `insufficient_quota`: the account has no money.
    InsufficientQuota: KeyRefused, Both;
    /// OpenRouter's 429 of the provider behind it: the model is limited, the key is not.
    OpenRouterProvider429: RateLimited, Both;
    /// OpenRouter's 429 of the account, with a reset in milliseconds since 1970.
    OpenRouterAccount429: RateLimited, Both;
    /// NVIDIA's RFC 7807 body without a header.
    NvidiaBare429: RateLimited, Both;
    /// Gemini's array-wrapped error with `RetryInfo`.
    GeminiArray429: RateLimited, Both;
    /// 429 with `Retry-After: 0`.
    RateLimitedZero: RateLimited, Both;
    /// 429 with a `Retry-After` of thirty years.
    RateLimitedHuge: RateLimited, Both;
    /// 429 with a `Retry-After` that is neither seconds nor a date.
    RateLimitedGarbage: RateLimited, Both;
    /// A 400 that says "rate limit".
    RateLimitedAs400: RateLimited, Both;
    /// A 200 whose body says 429.
    RateLimitedAs200: RateLimited, Both;
    /// A 429 whose body is HTML.
    RateLimitedHtml: RateLimited, Both;

    // keys
    /// 401 in OpenAI's words.
    Unauthorized: KeyRefused, Both;
    /// 401 that repeats the key.
    UnauthorizedEcho: KeyRefused, Both;
    /// ModelScope's 401 of an account that is not bound yet.
    UnauthorizedUnbound: KeyRefused, Both;
    /// Google's 400 `API_KEY_INVALID`.
    KeyInvalidAs400: KeyRefused, Both;
    /// 402 in DeepSeek's words.
    PaymentRequired: KeyRefused, Both;
    /// OpenRouter's 402 of a negative balance.
    OpenRouter402: KeyRefused, Both;
    /// 403 of a banned account.
    ForbiddenBanned: KeyRefused, Both;
    /// 403 of a country that is not served.
    ForbiddenRegion: KeyRefused, Both;
    /// 403 of a model that the account may not use.
    ForbiddenModel: KeyRefused, Both;
    /// 403 with a challenge page.
    ForbiddenHtml: KeyRefused, Both;

    // models
    /// 404 in OpenAI's words.
    ModelNotFound: ModelMissing, Both;
    /// 404 with an HTML page.
    NotFoundHtml: ModelMissing, Both;
    /// 410: the model was switched off.
    ModelGone: ModelMissing, Both;

    // the request
    /// 400 of a wrong parameter.
    BadRequest: ClientError(400), Both;
    /// 400 of a prompt that is too long.
    ContextLength400: ClientError(400), Both;
    /// 400 of a content filter.
    ContentFilter400: ClientError(400), Both;
    /// 413.
    PayloadTooLarge: ClientError(413), Both;
    /// 422 with FastAPI's `detail` list.
    Unprocessable: ClientError(422), Both;

    // servers
    /// 408.
    Status408: ServerError, Both;
    /// 409.
    Status409: ServerError, Both;
    /// 425.
    Status425: ServerError, Both;
    /// 500.
    Status500: ServerError, Both;
    /// 502 with an HTML page.
    Status502: ServerError, Both;
    /// 503 with `Retry-After: 3`.
    Status503: ServerError, Both;
    /// 504 without a body.
    Status504: ServerError, Both;
    /// Cloudflare's 520.
    Status520: ServerError, Both;
    /// Cloudflare's 522.
    Status522: ServerError, Both;
    /// Cloudflare's 524.
    Status524: ServerError, Both;
    /// Cloudflare's 527.
    Status527: ServerError, Both;
    /// Anthropic's 529.
    Status529: ServerError, Both;
    /// 999.
    Status999: ServerError, Both;
    /// 204.
    NoContent204: ServerError, Both;

    // errors inside a 200
    /// `{"error":{...}}` as the whole body.
    ErrorInJson200: ServerError, Both;
    /// `[{"error":{...}}]` as the whole body.
    ErrorArray200: ServerError, Both;
    /// `{"error":"text"}` as the whole body.
    ErrorText200: ServerError, Both;
    /// The first event is an error with a number as its code.
    ErrorFirstEvent: ServerError, Stream;
    /// The first event is an error with a text as its code.
    ErrorFirstEventTextCode: ServerError, Stream;
    /// The first event is an error with code 429.
    RateLimitFirstEvent: RateLimited, Stream;
    /// The first event is an array with an error.
    ErrorArrayFirstEvent: ServerError, Stream;
    /// `event: error`, then the error.
    NamedErrorEvent: ServerError, Stream;
    /// The error stands in `choices[0]`.
    ErrorInChoices: ServerError, Both;
    /// `finish_reason: "error"` without content.
    FinishReasonError: ServerError, Both;
    /// The role, then an error.
    RoleThenError: ServerError, Stream;
    /// The first event is no JSON.
    BadJsonEvent: Broken, Stream;

    // empty answers
    /// A finished answer without content.
    EmptyCompletion: Broken, Both;
    /// An answer without choices.
    NoChoices: Broken, Both;
    /// `choices[0].message` is missing.
    NoMessage: Broken, Plain;
    /// Only `[DONE]`.
    OnlyDone: Broken, Stream;
    /// Only the usage chunk and `[DONE]`.
    OnlyUsage: Broken, Stream;
    /// The stream ends, cleanly, before any content.
    EofBeforeContent: Broken, Stream;

    // after the first content
    /// The stream ends cleanly without `finish_reason`.
    EofAfterContent: AfterContent, Stream;
    /// The connection is reset.
    CutAfterContent: AfterContent, Both;
    /// The connection is closed inside the chunked body.
    CloseAfterContent: AfterContent, Both;
    /// Nothing more arrives.
    StallAfterContent: AfterContent, Both;
    /// Only comments arrive.
    PingsAfterContent: AfterContent, Stream;
    /// An error event.
    ErrorAfterContent: AfterContent, Stream;
    /// An error in `choices[0]`, with `finish_reason: "error"`.
    ErrorInChoicesAfterContent: AfterContent, Stream;
    /// A chunk whose size is no number.
    BadChunkAfterContent: AfterContent, Both;
    /// A line of 100 MB.
    HugeLineAfterContent: AfterContent, Stream;

    // odd, but whole
    /// `finish_reason`, and no `[DONE]`.
    NoDone: Harmless, Stream;
    /// Two `[DONE]`.
    DoubleDone: Harmless, Stream;
    /// The usage chunk comes after `[DONE]`.
    UsageAfterDone: Harmless, Stream;
    /// A whole JSON answer to a stream request.
    JsonToStream: Harmless, Stream;
    /// A stream to a plain request.
    SseToPlain: Tolerable, Plain;
    /// A stream without a content type.
    NoContentType: Harmless, Both;
    /// A stream (or JSON) as `text/plain`.
    TextPlain: Harmless, Both;
    /// `data:` without a space.
    NoSpace: Harmless, Stream;
    /// CR LF line ends.
    CrLf: Harmless, Stream;
    /// Lone CR line ends.
    LoneCr: Harmless, Stream;
    /// One event in several `data:` lines.
    MultiLineData: Harmless, Stream;
    /// A byte order mark at the start.
    Bom: Harmless, Both;
    /// Writes end inside of UTF-8 sequences.
    SplitUtf8: Harmless, Both;
    /// One byte at a time.
    SlowDrip: Harmless, Both;
    /// The last event lacks its blank line.
    NoFinalBlankLine: Harmless, Stream;
    /// Comments before and between the events.
    Comments: Harmless, Stream;
    /// `event:`, `id:` and `retry:` lines.
    EventFields: Harmless, Stream;
    /// Blank lines before the JSON body.
    LeadingBlankLines: Harmless, Plain;
    /// The body ends with the connection: no length, no chunks.
    EofDelimited: Harmless, Both;
    /// `100 Continue` before the answer.
    Continue100: Harmless, Both;
    /// Trailers after the chunks.
    Trailers: Harmless, Both;
    /// gzip although identity was asked for.
    Gzipped: Harmless, Both;
    /// Cookies, hop-by-hop and account headers, which must not reach the client.
    PrivateHeaders: Harmless, Both;
    /// An event of 2 MB.
    LargeEvent: Harmless, Stream;
    /// A first chunk without choices (Azure's content filter).
    EmptyChoicesFirst: Harmless, Stream;
    /// The upstream's own model name in the answer, an empty id, a fractional `created`.
    OddEnvelope: Harmless, Both;
    /// `finish_reason: ""` in place of `null`.
    EmptyFinishReason: Harmless, Stream;
    /// The usage on every chunk, cumulative.
    UsageCumulative: Harmless, Stream;
    /// `usage: null`.
    UsageNull: Harmless, Both;
    /// No usage at all.
    UsageMissing: Harmless, Both;
    /// The usage in the chunk with the `finish_reason`.
    UsageInLastChoice: Harmless, Stream;
    /// The usage inside of `choices[0]` (Kimi).
    UsageInsideChoice: Harmless, Stream;
    /// The usage as `x_groq.usage`.
    UsageXGroq: Harmless, Stream;
    /// A negative usage.
    UsageNegative: Harmless, Both;
    /// A usage without `completion_tokens` (Gemini).
    UsageIncomplete: Harmless, Both;
    /// 400 as long as the body has `stream_options`.
    StreamOptionsRejected: Harmless, Stream;
}

impl Fault {
    /// Its name in snake case, as the control interface and the model name `fault:<name>` use it.
    pub fn name(self) -> String {
        let mut name = String::new();
        for (index, letter) in format!("{self:?}").char_indices() {
            if letter.is_ascii_uppercase() && index > 0 {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    /// The fault of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    /// Whether the fault makes sense for a stream, or for a plain answer.
    pub fn applies_to(self, stream: bool) -> bool {
        match self.scope() {
            Applies::Both => true,
            Applies::Stream => stream,
            Applies::Plain => !stream,
        }
    }

    /// Whether it shows only after a time limit of the gateway, so that a test sets short ones.
    pub fn waits_for_a_time_limit(self) -> bool {
        self.class() == Class::Hang || matches!(self, Self::StallAfterContent | Self::PingsAfterContent)
    }

    /// What the client should see, for a stream or a plain answer, with a good channel beside this one or alone.
    pub fn seen(self, stream: bool, good_channel_beside: bool) -> Seen {
        match (self.class(), good_channel_beside) {
            (Class::Harmless, _) => Seen::Answer,
            (Class::ClientError(400), _) => Seen::Status(&[400]),
            (Class::ClientError(413), _) => Seen::Status(&[413]),
            (Class::ClientError(_), _) => Seen::Status(&[422]),
            (Class::AfterContent, _) if stream => Seen::ErrorEvent,
            (_, true) => Seen::Answer,
            (Class::Tolerable, false) => Seen::AnswerOr(&[502]),
            (Class::Hang, false) => Seen::Status(&[504]),
            (Class::Broken, false) => Seen::Status(&[502]),
            (Class::AfterContent, false) => Seen::Status(&[502, 504]),
            (Class::RateLimited, false) => Seen::Status(&[429]),
            (Class::KeyRefused, false) => Seen::Status(&[502, 503]),
            (Class::ModelMissing, false) => Seen::Status(&[404, 502]),
            (Class::ServerError, false) => Seen::Status(&[502, 503, 504]),
        }
    }
}
