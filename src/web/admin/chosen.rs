//! What forms do with several rows of a list: which were chosen, the question before anything is deleted, and what came of it.
//!
//! A list has a form of its own beside the table; the rows' boxes name it, so that each row keeps its own forms and nothing
//! of this needs a script.

use std::collections::HashSet;

use askama::Template;
use axum::response::Response;

use super::visit::{Chrome, FlashKind, Operator, Section, local_path, render, see_other_with};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    storage::several::Change,
    web::form::Fields,
};

/// The most rows that a form may choose.
pub const MOST: usize = 500;
/// Of a long list of names only these many are shown.
const MAX_NAMES: usize = 50;
/// How much is shown of an id that is none, in characters.
const MAX_STRANGE: usize = 40;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Switch on, switch off, or delete.
    Change(Change),
    /// End pauses and rests.
    Wake,
    /// Ask the upstream whether it is right.
    Test,
}

impl Deed {
    /// The deed that a form names with its button, if it is one of those that the list offers.
    pub fn read(t: Messages, fields: &Fields, offered: &[Self]) -> Result<Self> {
        let deed = match fields.text("do") {
            "on" => Some(Self::Change(Change::On)),
            "off" => Some(Self::Change(Change::Off)),
            "delete" => Some(Self::Change(Change::Delete)),
            "wake" => Some(Self::Wake),
            "test" => Some(Self::Test),
            _ => None,
        };
        deed.filter(|deed| offered.contains(deed))
            .ok_or_else(|| Error::BadRequest(t.common.check_fields().to_owned()))
    }
}

/// The rows that a form chose.
#[derive(Debug)]
pub struct Chosen {
    /// Their ids, each once, in the order of the page.
    pub ids: Vec<i64>,
    /// What is no id at all.
    pub failures: Vec<ResultRow>,
}

impl Chosen {
    /// Reads them; without any, or with more than [`MOST`], what to tell the operator.
    pub fn read(t: Messages, fields: &Fields) -> Result<Self, String> {
        let mut seen = HashSet::new();
        let picked: Vec<&str> = fields.all("pick").filter(|text| seen.insert(*text)).collect();
        match picked.len() {
            0 => return Err(t.chosen.none().to_owned()),
            many if many > MOST => return Err(t.chosen.too_many(many, MOST)),
            _ => {}
        }
        let mut chosen = Self { ids: Vec::new(), failures: Vec::new() };
        for text in picked {
            match text.parse() {
                Ok(id) => chosen.ids.push(id),
                Err(_) => {
                    let name: String = text.chars().take(MAX_STRANGE).collect();
                    chosen.failures.push(ResultRow::bad(name, t.chosen.not_found()));
                }
            }
        }
        Ok(chosen)
    }
}

/// Where a form goes on to: where it stood, else the list.
pub fn back<'a>(fields: &'a Fields, list: &'a str) -> &'a str {
    match fields.raw("back") {
        "" => list,
        back => local_path(back),
    }
}

/// What came of one row.
#[derive(Debug)]
pub struct ResultRow {
    /// Its name.
    pub name: String,
    /// The style sheet's class.
    pub class: &'static str,
    /// In words.
    pub text: String,
}

impl ResultRow {
    /// Of a row for which nothing was done.
    pub fn bad(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), class: "bad", text: text.into() }
    }

    /// Of an id that names nothing.
    pub fn missing(id: i64, text: &str) -> Self {
        Self::bad(format!("#{id}"), text)
    }
}

#[derive(Template)]
#[template(path = "pages/chosen.html")]
struct ResultPage {
    c: Chrome,
    summary: String,
    class: &'static str,
    rows: Vec<ResultRow>,
    back: String,
}

/// Goes on to a list with a message; or shows for which rows nothing was done, and why.
pub fn done(
    operator: &Operator,
    section: Section,
    summary: String,
    failures: Vec<ResultRow>,
    back: &str,
) -> Result<Response> {
    if failures.is_empty() {
        return Ok(see_other_with(back, FlashKind::Ok, summary));
    }
    let summary = format!("{summary} {}", operator.t().chosen.some_failed(failures.len()));
    show_results(operator, section, summary, failures, back)
}

/// Shows what came of each row.
pub fn show_results(
    operator: &Operator,
    section: Section,
    summary: String,
    rows: Vec<ResultRow>,
    back: &str,
) -> Result<Response> {
    render(&ResultPage {
        c: operator.chrome(section),
        summary,
        class: if rows.iter().all(|row| row.class == "ok") { "ok" } else { "warn" },
        rows,
        back: back.to_owned(),
    })
}

/// Asks before something is deleted, and says what depends on it.
#[derive(Template)]
#[template(path = "pages/channels/delete.html")]
pub struct DeletePage {
    /// The frame.
    pub c: Chrome,
    /// The question.
    pub title: String,
    /// What deleting means.
    pub text: &'static str,
    /// What depends on it.
    pub facts: Vec<Fact>,
    /// Where the answer goes.
    pub action: String,
    /// Where the visitor came from.
    pub back: String,
    /// The rows that were chosen; none if the address names what goes.
    pub picks: Vec<String>,
}

/// Something that depends on what is to be deleted.
pub struct Fact {
    text: String,
    names: Vec<String>,
}

impl Fact {
    /// A sentence.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), names: Vec::new() }
    }

    /// A sentence and names, of which the first ones are shown.
    pub fn list(text: impl Into<String>, mut names: Vec<String>) -> Self {
        let more = names.len().saturating_sub(MAX_NAMES);
        names.truncate(MAX_NAMES);
        if more > 0 {
            names.push(format!("… +{more}"));
        }
        Self { text: text.into(), names }
    }

    /// Every name of what goes.
    pub fn names(names: Vec<String>) -> Self {
        Self { text: String::new(), names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn what_is_no_id_is_named_and_what_is_chosen_twice_counts_once() {
        let t = Messages::of(Lang::En);
        let read = |form: &str| Chosen::read(t, &Fields::parse(form.as_bytes()));
        let chosen = read("pick=3&pick=1&pick=3&pick=%3Cb%3E&pick=99999999999999999999").unwrap();
        assert_eq!(chosen.ids, [3, 1]);
        let names: Vec<&str> = chosen.failures.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["<b>", "99999999999999999999"]);
        assert_eq!(read("do=on").unwrap_err(), t.chosen.none());
        let many: String = (0..=MOST).map(|id| format!("pick={id}&")).collect();
        assert_eq!(read(&many).unwrap_err(), t.chosen.too_many(MOST + 1, MOST));
    }
}
