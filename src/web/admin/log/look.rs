//! What the log's views have in common when they are asked for: the page that the filter finds, and the ways to others.

use axum::http::StatusCode;

use super::{filters::View, query::LogQuery};
use crate::{
    error::Result,
    i18n::Messages,
    storage::{
        Db, StorageError, StorageResult,
        usage_query::{
            UsageFilter,
            rows::{Cursor, Place, UsagePage, UsageRow},
            turns::{Turn, TurnPage},
        },
    },
};

/// Lines on a page.
pub(super) const PAGE_LINES: usize = 50;

/// A page of a view.
pub(super) trait Paged: Sized {
    /// What a line is.
    type Line;

    /// A page without lines.
    fn empty() -> Self;

    /// The lines of a filter at a place.
    async fn find(db: &Db, filter: &UsageFilter, place: Place) -> StorageResult<Self>;

    /// Its lines, the newest first.
    fn lines(&self) -> &[Self::Line];

    /// A line's place.
    fn cursor(line: &Self::Line) -> Cursor;

    /// Whether there are newer lines, and older ones.
    fn further(&self) -> (bool, bool);
}

impl Paged for UsagePage {
    type Line = UsageRow;

    fn empty() -> Self {
        Self { rows: Vec::new(), newer: false, older: false }
    }

    async fn find(db: &Db, filter: &UsageFilter, place: Place) -> StorageResult<Self> {
        db.usage_page(filter, place, PAGE_LINES).await
    }

    fn lines(&self) -> &[UsageRow] {
        &self.rows
    }

    fn cursor(line: &UsageRow) -> Cursor {
        line.cursor()
    }

    fn further(&self) -> (bool, bool) {
        (self.newer, self.older)
    }
}

impl Paged for TurnPage {
    type Line = Turn;

    fn empty() -> Self {
        Self { turns: Vec::new(), newer: false, older: false }
    }

    async fn find(db: &Db, filter: &UsageFilter, place: Place) -> StorageResult<Self> {
        db.turn_page(filter, place, PAGE_LINES).await
    }

    fn lines(&self) -> &[Turn] {
        &self.turns
    }

    fn cursor(line: &Turn) -> Cursor {
        line.cursor
    }

    fn further(&self) -> (bool, bool) {
        (self.newer, self.older)
    }
}

/// A page with what stands around it.
pub(super) struct Look<P> {
    /// The status of the answer.
    pub status: StatusCode,
    /// What went wrong, beside fields that are.
    pub problem: Option<&'static str>,
    /// The page; empty if something is wrong.
    pub page: P,
    /// Where the newest page is, if this is not it.
    pub newest: Option<String>,
    /// Where the next newer page is.
    pub newer: Option<String>,
    /// Where the next older page is.
    pub older: Option<String>,
}

impl<P: Paged> Look<P> {
    /// A page for which nothing was looked.
    pub(super) fn nothing() -> Self {
        let (problem, newest, newer, older) = (None, None, None, None);
        Self { status: StatusCode::OK, problem, page: P::empty(), newest, newer, older }
    }
}

/// Looks at a page of a view. With wrong fields nothing is looked for (422); what takes too long is said (503).
pub(super) async fn look<P: Paged>(db: &Db, q: &LogQuery, view: View, t: Messages) -> Result<Look<P>> {
    let (mut status, mut problem, mut page) = (StatusCode::OK, None, P::empty());
    if q.errors.is_empty() {
        match find::<P>(db, q).await {
            Ok(found) => page = found,
            Err(StorageError::TooSlow) => {
                (status, problem) = (StatusCode::SERVICE_UNAVAILABLE, Some(t.log.too_slow()));
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    let edge = |field: &'static str, line: Option<&P::Line>, there: bool| {
        line.filter(|_| there).map(|line| q.url_with(view.path(), [(field, P::cursor(line).to_string())]))
    };
    let (newer, older) = page.further();
    Ok(Look {
        newest: newer.then(|| q.url_with(view.path(), [])),
        newer: edge("after", page.lines().first(), newer),
        older: edge("before", page.lines().last(), older),
        status,
        problem,
        page,
    })
}

/// The page that the filter asks for. If fewer newer lines are left than fill a page, the newest page shows them and what
/// follows.
async fn find<P: Paged>(db: &Db, q: &LogQuery) -> StorageResult<P> {
    let page = P::find(db, &q.filter, q.place).await?;
    if matches!(q.place, Place::After(_)) && page.lines().len() < PAGE_LINES {
        return P::find(db, &q.filter, Place::Newest).await;
    }
    Ok(page)
}
