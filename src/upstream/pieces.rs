//! Asks our own public address for a few timed events, to tell whether something on the way holds them back.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;

use super::client::{Clients, SendError};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// The status.
    pub status: u16,
    /// When each piece of the body came, measured from the first one.
    pub after_first: Vec<Duration>,
}

impl Pieces {
    /// Whether the pieces came one by one, if they were sent over so long.
    pub fn one_by_one(&self, sent_over: Duration) -> bool {
        self.after_first.last().is_some_and(|last| *last >= sent_over / 2)
    }
}

/// Asks an address for a stream, without any credential, and notes when its pieces come.
pub async fn pieces(clients: &Clients, address: &str) -> Result<Pieces, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    let asked = async {
        // The address is the operator's own, so it may be a private one.
        let mut answer = clients.plain(Method::GET, address, true, headers, Bytes::new()).await?;
        let (mut first, mut after_first) = (None, Vec::new());
        while let Some(chunk) = answer.next_chunk().await? {
            if chunk.is_empty() || after_first.len() >= 100 {
                continue;
            }
            let now = Instant::now();
            after_first.push(now - *first.get_or_insert(now));
        }
        Ok(Pieces { status: answer.status(), after_first })
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(SendError::Broken("it took too long")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_come_together_are_told_from_those_that_come_one_by_one() {
        let pieces = |ms: &[u64]| Pieces {
            status: 200,
            after_first: ms.iter().map(|ms| Duration::from_millis(*ms)).collect(),
        };
        let over = Duration::from_millis(1000);
        assert!(pieces(&[0, 250, 500, 750, 1000]).one_by_one(over));
        assert!(!pieces(&[0, 1, 1, 2]).one_by_one(over));
        assert!(!pieces(&[0]).one_by_one(over) && !pieces(&[]).one_by_one(over));
    }
}
