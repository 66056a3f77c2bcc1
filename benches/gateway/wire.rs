//! As much of HTTP/1.1 as the mock upstream and the load generator need.

use std::io;

use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Where some bytes begin.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

/// Where a message's head ends and its body begins.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header field, with its name in any case.
fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        (found.eq_ignore_ascii_case(name.as_bytes()) && value.first() == Some(&b':'))
            .then(|| value[1..].trim_ascii())
    })
}

/// The length of a message's body, if its head says it.
pub fn content_length(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(field(head, "content-length")?).ok()?.parse().ok()
}

/// What the load generator reads from one connection.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
    chunked: bool,
    /// What is left of the present chunk, its line end included.
    chunk_rest: usize,
}

fn broken(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl Reader {
    async fn fill(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(broken("the connection was closed")),
            _ => Ok(()),
        }
    }

    /// Reads the head of an answer that must be a 200; gives the body's length, `None` if it comes in chunks.
    pub async fn head(&mut self, stream: &mut TcpStream) -> io::Result<Option<usize>> {
        let end = loop {
            if let Some(end) = head_end(&self.buffer) {
                break end;
            }
            self.fill(stream).await?;
        };
        let head = &self.buffer[..end];
        if !head.starts_with(b"HTTP/1.1 200") {
            return Err(broken(&String::from_utf8_lossy(&self.buffer)));
        }
        let length = content_length(head);
        self.chunked = field(head, "transfer-encoding").is_some();
        if length.is_none() && !self.chunked {
            return Err(broken("an answer without a length"));
        }
        self.chunk_rest = 0;
        self.buffer.drain(..end);
        Ok(length)
    }

    /// Reads an answer to its end.
    pub async fn whole(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        match self.head(stream).await? {
            Some(length) => {
                while self.buffer.len() < length {
                    self.fill(stream).await?;
                }
                self.buffer.drain(..length);
                Ok(())
            }
            None => {
                let mut body = Vec::new();
                while self.chunks(stream, &mut body).await? {
                    body.clear();
                }
                Ok(())
            }
        }
    }

    /// Appends to `body` what the next read brings of a body in chunks; false at its end, also if that brought the last
    /// of it.
    pub async fn chunks(&mut self, stream: &mut TcpStream, body: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let before = body.len();
            let mut at = 0;
            let ended = loop {
                let rest = &self.buffer[at..];
                if self.chunk_rest > 0 {
                    let taken = self.chunk_rest.min(rest.len());
                    // The last two bytes are the chunk's line end.
                    let text = taken.min(self.chunk_rest.saturating_sub(2));
                    body.extend_from_slice(&rest[..text]);
                    self.chunk_rest -= taken;
                    at += taken;
                    if self.chunk_rest > 0 {
                        break false;
                    }
                    continue;
                }
                let Some(line) = find(rest, b"\r\n") else { break false };
                let size = std::str::from_utf8(&rest[..line])
                    .ok()
                    .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
                    .ok_or_else(|| broken("not a chunk"))?;
                if size == 0 {
                    if rest.len() < line + 4 {
                        break false;
                    }
                    at += line + 4;
                    break true;
                }
                self.chunk_rest = size + 2;
                at += line + 2;
            };
            self.buffer.drain(..at);
            if ended {
                return Ok(false);
            }
            if body.len() > before {
                return Ok(true);
            }
            self.fill(stream).await?;
        }
    }
}
