//! What pages that keep themselves up to date share: numbers that are worked out once for all who look, and pieces of pages
//! that are drawn once for all of a language, with a tag by which a browser that has them already is told so.
//!
//! How often something is worked out anew depends on what it costs, so that live pages never take more than a small share of
//! a core, however large the pool or the log is.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How long a value holds at least, in times of what it cost: so each kind takes at most a two-hundredth of the time.
const REST_FACTOR: u32 = 200;

/// The longest that a value holds because it was expensive.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// The most pieces that are kept: a log has as many as there are filters that somebody looks through.
const MOST_PIECES: usize = 64;

/// A value, and until when it holds.
#[derive(Debug)]
struct Made<T> {
    value: T,
    holds_until: Instant,
}

/// A value that is worked out at most once at a time, and not again while it holds.
#[derive(Debug)]
pub struct Paced<T> {
    made: tokio::sync::Mutex<Option<Made<T>>>,
    least: Duration,
}

impl<T: Clone> Paced<T> {
    /// A value that holds for at least so long.
    pub fn new(least: Duration) -> Self {
        Self { made: tokio::sync::Mutex::new(None), least }
    }

    /// The value; `make` is asked for one if none holds. Those who come meanwhile wait for it.
    pub async fn of<E>(&self, make: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut made = self.made.lock().await;
        let began = Instant::now();
        if let Some(known) = made.as_ref().filter(|known| began < known.holds_until) {
            return Ok(known.value.clone());
        }
        let value = make.await?;
        let cost = began.elapsed();
        *made = Some(Made { value: value.clone(), holds_until: began + cost + hold(cost, self.least) });
        Ok(value)
    }
}

/// How long a value holds that cost so much, if it is to hold for at least `least`.
fn hold(cost: Duration, least: Duration) -> Duration {
    cost.saturating_mul(REST_FACTOR).min(LONGEST_HOLD).max(least)
}

/// A piece of a page, drawn.
#[derive(Debug)]
pub struct Piece {
    /// The tag of what it says.
    pub etag: String,
    /// The HTML.
    pub html: String,
}

impl Piece {
    /// A piece of this HTML.
    pub fn new(html: String) -> Self {
        let hash = Sha256::digest(html.as_bytes());
        let etag = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { etag: format!("\"{etag}\""), html }
    }

    /// The answer to a browser: 304 if it has the piece already, else the piece.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = [(header::ETAG, self.etag.clone())];
        let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
        // Compression on the way makes a tag weak (RFC 9110, section 8.8.1).
        let is_known = known.is_some_and(|known| known.trim_start_matches("W/") == self.etag);
        match is_known {
            true => (StatusCode::NOT_MODIFIED, tag).into_response(),
            false => (tag, Html(self.html.clone())).into_response(),
        }
    }
}

/// The pieces that were drawn lately, by what they show, the language included.
#[derive(Debug, Default)]
pub struct Pieces(Mutex<HashMap<String, Arc<Paced<Arc<Piece>>>>>);

impl Pieces {
    /// The piece of this name; `draw` is asked for its HTML if none holds. It holds for at least `least`.
    pub async fn of<E>(
        &self,
        name: String,
        least: Duration,
        draw: impl Future<Output = Result<String, E>>,
    ) -> Result<Arc<Piece>, E> {
        let piece = {
            let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if pieces.len() >= MOST_PIECES && !pieces.contains_key(&name) {
                pieces.clear();
            }
            pieces.entry(name).or_insert_with(|| Arc::new(Paced::new(least))).clone()
        };
        piece.of(async { Ok(Arc::new(Piece::new(draw.await?))) }).await
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_costs_much_is_worked_out_seldom_and_what_costs_little_as_often_as_it_may() {
        let second = Duration::from_secs(1);
        for (cost_ms, holds_ms) in [(0, 1_000), (4, 1_000), (50, 10_000), (5_000, 60_000)] {
            assert_eq!(hold(Duration::from_millis(cost_ms), second), Duration::from_millis(holds_ms));
        }
        assert_eq!(hold(second, Duration::from_secs(90)), Duration::from_secs(90));
    }

    #[tokio::test]
    async fn a_value_that_holds_is_not_worked_out_again_and_a_failure_is_no_value() {
        let make = async |number: u32| Ok::<_, &str>(number);
        let (long, short) = (Paced::new(Duration::from_secs(60)), Paced::new(Duration::ZERO));
        assert_eq!(long.of(async { Err::<u32, _>("no") }).await, Err("no"));
        for paced in [&long, &short] {
            assert_eq!(paced.of(make(1)).await, Ok(1));
        }
        assert_eq!(long.of(make(2)).await, Ok(1));
    }

    #[tokio::test]
    async fn a_browser_that_has_a_piece_is_told_so() {
        let pieces = Pieces::default();
        let draw = async |text: &str| Ok::<_, Infallible>(text.to_owned());
        let least = Duration::from_secs(60);
        let one = pieces.of("one".into(), least, draw("<p>one</p>")).await.unwrap();
        assert_eq!(pieces.of("one".into(), least, draw("other")).await.unwrap().html, "<p>one</p>");
        let mut headers = HeaderMap::new();
        let answer = one.answer(&headers);
        assert_eq!(answer.status(), StatusCode::OK);
        for tag in [one.etag.clone(), format!("W/{}", one.etag)] {
            headers.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
            assert_eq!(one.answer(&headers).status(), StatusCode::NOT_MODIFIED);
        }
        headers.insert(header::IF_NONE_MATCH, "\"else\"".parse().unwrap());
        assert_eq!(one.answer(&headers).status(), StatusCode::OK);
        for number in 0..MOST_PIECES {
            pieces.of(number.to_string(), least, draw("many")).await.unwrap();
        }
        assert!(pieces.0.lock().unwrap().len() <= MOST_PIECES);
    }
}
