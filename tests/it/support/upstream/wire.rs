//! HTTP/1.1 by hand: a parser for requests, and a writer that can break every rule.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
};

/// The most that a request may have: enough for every test, and a bound.
const REQUEST_MAX_BYTES: usize = 96 << 20;

/// One request, as it stood on the wire.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// The target, with its query.
    pub path: String,
    /// Names in lower case, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The body, without its chunks' frames.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this (lower case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The bearer key, or `x-api-key`.
    pub fn key(&self) -> Option<&str> {
        self.header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .or_else(|| self.header("x-api-key"))
    }
}

/// The reading side of a connection.
pub struct Reader<'a> {
    socket: ReadHalf<'a>,
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Reads from this socket.
    pub fn new(socket: ReadHalf<'a>) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    /// The next request; `None` when the client closed the connection in between.
    pub async fn request(&mut self) -> io::Result<Option<Request>> {
        let head_end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if !self.more().await? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        self.buffer.drain(..head_end + 4);
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let mut request = Request {
            method: first.next().unwrap_or_default().to_owned(),
            path: first.next().unwrap_or_default().to_owned(),
            ..Request::default()
        };
        for line in lines {
            if let Some((name, value)) = line.split_once(':') {
                request.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        if request.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            request.body = self.chunked_body().await?;
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            self.fill(length).await?;
            request.body = self.buffer.drain(..length).collect();
        }
        Ok(Some(request))
    }

    /// Waits until the client closes the connection; keeps what else it sends.
    pub async fn closed(&mut self) {
        while let Ok(true) = self.more().await {}
    }

    async fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            self.fill(size + 2).await?;
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    async fn more(&mut self) -> io::Result<bool> {
        if self.buffer.len() > REQUEST_MAX_BYTES {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.buffer.reserve(16 << 10);
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }
}

fn find(buffer: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(buffer, needle)
}

/// How the bytes of a body are cut into writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// As they come.
    #[default]
    Whole,
    /// One byte each.
    EachByte,
    /// Inside of every UTF-8 sequence.
    InsideUtf8,
}

/// The writing side of a connection.
pub struct Writer<'a> {
    socket: WriteHalf<'a>,
    /// How the body is cut.
    pub cut: Cut,
    chunked: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl<'a> Writer<'a> {
    /// Writes to this socket.
    pub fn new(socket: WriteHalf<'a>) -> Self {
        Self { socket, cut: Cut::Whole, chunked: false, gzip: None }
    }

    /// Writes these bytes as they are.
    pub async fn raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.socket.write_all(bytes.as_ref()).await
    }

    /// Writes a status line and headers, as they are given.
    pub async fn head<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        status: u16,
        headers: &[(N, V)],
    ) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} Fake\r\n");
        for (name, value) in headers {
            head += &format!("{}: {}\r\n", name.as_ref(), value.as_ref());
        }
        self.raw(head + "\r\n").await
    }

    /// From here on [`Self::body`] writes chunks (else the body ends with the connection), compressed or not.
    pub fn begin_body(&mut self, chunked: bool, gzip: bool) {
        self.chunked = chunked;
        self.gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    }

    /// Writes a part of a body.
    pub async fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = match &mut self.gzip {
            Some(gzip) => {
                gzip.write_all(bytes)?;
                gzip.flush()?;
                std::mem::take(gzip.get_mut())
            }
            None => bytes.to_vec(),
        };
        match self.cut {
            Cut::Whole => self.part(&bytes).await,
            Cut::EachByte => {
                for (index, byte) in bytes.iter().enumerate() {
                    self.part(&[*byte]).await?;
                    if index % 64 == 0 {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                }
                Ok(())
            }
            Cut::InsideUtf8 => {
                // A cut behind each lead byte, with a pause so that the parts travel apart.
                for part in bytes.split_inclusive(|byte| *byte >= 0xc0) {
                    self.part(part).await?;
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
                Ok(())
            }
        }
    }

    /// Ends the body, with these trailers.
    pub async fn end_body(&mut self, trailers: &str) -> io::Result<()> {
        if let Some(gzip) = self.gzip.take() {
            let rest = gzip.finish()?;
            self.part(&rest).await?;
        }
        if self.chunked { self.raw(format!("0\r\n{trailers}\r\n")).await } else { Ok(()) }
    }

    async fn part(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.chunked {
            return self.raw(bytes).await;
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.raw(chunk).await
    }
}
