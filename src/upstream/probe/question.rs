//! What a probe asks: the bodies of its requests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::scheduler::limit::Cost;

/// Enough for a short answer behind a model's reasoning; with less, models that reason never come to their answer.
pub const MAX_TOKENS: u32 = 1024;

/// What a call of a probe is expected to take, the picture included.
pub const COST: Cost =
    Cost { input_tokens: 300, tokens: 700, most_tokens: 300 + MAX_TOKENS as u64, units: 0 };

/// The name of the tool that is offered.
pub const TOOL: &str = "note_word";
/// The name of its one argument.
pub const ARGUMENT: &str = "word";

/// Width and height of the picture. Some models refuse what is smaller than one of their patches.
const SIDE: usize = 64;

/// A colour that models know by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Yellow.
    Yellow,
}

impl Colour {
    /// Every colour.
    pub const ALL: [Self; 4] = [Self::Red, Self::Green, Self::Blue, Self::Yellow];

    /// Its names, lower case: a model may answer in Chinese.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Self::Red => ["red", "红"],
            Self::Green => ["green", "绿"],
            Self::Blue => ["blue", "蓝"],
            Self::Yellow => ["yellow", "黄"],
        }
    }

    fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [230, 0, 0],
            Self::Green => [0, 160, 0],
            Self::Blue => [0, 0, 230],
            Self::Yellow => [255, 225, 0],
        }
    }
}

/// A picture of two colours: twelve of them, so that one who does not see is seldom right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// The colour of the left half.
    pub left: Colour,
    /// That of the right half.
    pub right: Colour,
}

impl Picture {
    /// The picture of a number.
    pub fn of(random: u32) -> Self {
        let left = random as usize % 4;
        let right = (left + 1 + (random as usize / 4) % 3) % 4;
        Self { left: Colour::ALL[left], right: Colour::ALL[right] }
    }

    /// It as a PNG (<https://www.w3.org/TR/png-3/>): two colours of a palette, one bit a point.
    pub fn png(self) -> Vec<u8> {
        let mut row = vec![0_u8];
        row.resize(1 + SIDE / 16, 0);
        row.resize(1 + SIDE / 8, 0xff);
        let rows = row.repeat(SIDE);
        let length = u16::try_from(rows.len()).unwrap_or(u16::MAX);
        // Deflate may store instead of compressing.
        let mut data = vec![0x78, 0x01, 0x01];
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(&rows);
        data.extend(adler32(&rows).to_be_bytes());
        let side = (SIDE as u32).to_be_bytes();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut png, b"IHDR", &[&side[..], &side, &[1, 3, 0, 0, 0]].concat());
        chunk(&mut png, b"PLTE", &[self.left.rgb(), self.right.rgb()].concat());
        chunk(&mut png, b"IDAT", &data);
        chunk(&mut png, b"IEND", &[]);
        png
    }
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    png.extend(crc.sum().to_be_bytes());
}

fn adler32(data: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in data {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    high << 16 | low
}

/// What is asked in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// For a short text as a stream. It needs a little thought, so that a model that reasons does.
    Stream,
    /// For a call of a tool: demanded, or left to the model beside a clear instruction.
    Tools {
        /// Whether `tool_choice` is `required`; some servers answer nothing to that.
        required: bool,
    },
    /// For the colours of a picture.
    Vision(Picture),
    /// For JSON: by `json_object`, or by a schema.
    Json {
        /// Whether `response_format` is `json_schema`.
        schema: bool,
    },
}

/// How this upstream wants requests, as its refusals taught.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dialect {
    /// `max_completion_tokens` in place of `max_tokens`, as OpenAI's reasoning models want it
    /// (<https://platform.openai.com/docs/api-reference/chat/create>).
    pub completion_limit: bool,
    /// `enable_thinking: false`, as some servers of Qwen's models want it where the answer comes in one piece
    /// (<https://www.alibabacloud.com/help/en/model-studio/deep-thinking>).
    pub no_thinking: bool,
}

impl Question {
    /// Whether the answer is to be a stream.
    pub fn streams(self) -> bool {
        self == Self::Stream
    }

    /// The request's body.
    pub fn body(self, model: &str, dialect: Dialect) -> Value {
        let text = match self {
            Self::Stream => "What is 17 times 23? Explain each step of the calculation in about 60 words.",
            Self::Tools { .. } => {
                "Call the tool note_word exactly once, with the argument word set to \"harbour\". Do not answer with text."
            }
            Self::Vision(_) => {
                "The left half of this picture has one colour and the right half another. Answer with the names of the two \
                 colours only, the left one first."
            }
            Self::Json { .. } => {
                "Answer with a JSON object and nothing else. It has one key, \"sum\", whose value is the number 2 + 3."
            }
        };
        let content = match self {
            Self::Vision(picture) => json!([
                {"type": "text", "text": text},
                {"type": "image_url", "image_url":
                    {"url": format!("data:image/png;base64,{}", STANDARD.encode(picture.png()))}},
            ]),
            _ => json!(text),
        };
        let mut body = json!({
            "model": model,
            "messages": [{"role": "user", "content": content}],
            "stream": self.streams(),
        });
        body[if dialect.completion_limit { "max_completion_tokens" } else { "max_tokens" }] =
            MAX_TOKENS.into();
        if dialect.no_thinking && !self.streams() {
            body["enable_thinking"] = false.into();
        }
        match self {
            Self::Stream | Self::Vision(_) => {}
            Self::Tools { required } => {
                body["tools"] = json!([{"type": "function", "function": {
                    "name": TOOL,
                    "description": "Notes a word.",
                    "parameters": {
                        "type": "object",
                        "properties": {ARGUMENT: {"type": "string", "description": "The word."}},
                        "required": [ARGUMENT],
                    },
                }}]);
                body["tool_choice"] = if required { "required" } else { "auto" }.into();
            }
            Self::Json { schema: false } => body["response_format"] = json!({"type": "json_object"}),
            Self::Json { schema: true } => {
                body["response_format"] = json!({"type": "json_schema", "json_schema": {
                    "name": "sum",
                    "strict": true,
                    "schema": {
                        "type": "object",
                        "properties": {"sum": {"type": "integer"}},
                        "required": ["sum"],
                        "additionalProperties": false,
                    },
                }});
            }
        }
        body
    }
}
