//! Collects an answer that comes in one piece.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    attempt::{Failure, before, broken},
    stream::LONGEST_ANSWER,
};
use crate::upstream::client::{SendError, UpstreamResponse};

/// Answers are collected in pieces of this size. One buffer that grows would be copied again and again, and take up to
/// three times the answer's memory meanwhile.
const PIECE_BYTES: usize = 256 << 10;

/// A body while it is collected.
#[derive(Default)]
pub(super) struct Body {
    pieces: Vec<Vec<u8>>,
    length: usize,
}

impl Body {
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            // The first piece grows as it likes: most answers are small.
            let room = self.pieces.last().map_or(0, |piece| PIECE_BYTES - piece.len());
            let (now, later) = bytes.split_at(bytes.len().min(room));
            match self.pieces.last_mut() {
                Some(piece) if room > 0 => piece.extend_from_slice(now),
                Some(_) => self.pieces.push(Vec::with_capacity(PIECE_BYTES)),
                None => self.pieces.push(Vec::new()),
            }
            bytes = later;
        }
    }

    fn whole(mut self) -> Bytes {
        match self.pieces.len() {
            0 | 1 => self.pieces.pop().unwrap_or_default().into(),
            _ => self.pieces.concat().into(),
        }
    }
}

/// Reads a body to its end, after what has `begun` of it: its first byte (white space is none: some upstreams send it to
/// keep the connection) before `first_by`, every further piece within `idle`.
pub(super) async fn read_whole(
    mut body: Body,
    response: &mut UpstreamResponse,
    first_by: Instant,
    idle: Duration,
    limit: usize,
) -> Result<Bytes, Failure> {
    let ends_by = Instant::now() + LONGEST_ANSWER;
    let mut by = first_by;
    while let Some(chunk) = before(by, response.next_chunk()).await?.map_err(|error| broken(&error))? {
        if body.length + chunk.len() > limit {
            return Err(broken(&SendError::TooLarge(limit)));
        }
        if chunk.iter().all(u8::is_ascii_whitespace) {
            if body.length == 0 {
                continue;
            }
        } else {
            by = (Instant::now() + idle).min(ends_by);
        }
        body.push(&chunk);
    }
    Ok(body.whole())
}
