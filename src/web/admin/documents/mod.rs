//! `/docs`: the documents of this version, from the program itself: they fit it, and need no network.

mod markdown;

use askama::Template;
use axum::{Router, extract::Path, response::Response, routing::get};

use crate::{
    error::{Error, Result},
    i18n::Lang,
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
    },
};

/// A document in both languages.
struct Document {
    /// Its name in addresses and its file's name.
    name: &'static str,
    en: &'static str,
    zh: &'static str,
}

impl Document {
    fn text(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }

    fn find(name: &str) -> Option<&'static Self> {
        DOCUMENTS.iter().find(|document| document.name == name)
    }
}

macro_rules! documents {
    ($($name:literal)*) => {
        &[$(Document {
            name: $name,
            en: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/", $name, ".md")),
            zh: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/", $name, ".zh-CN.md")),
        }),*]
    };
}

/// Every document of `docs/`, in the order of the page.
const DOCUMENTS: &[Document] = documents! {
    "providers" "models" "limits" "capacity" "budgets" "chains" "ranking" "openclaw" "recipes"
    "playground" "usage" "usage-log" "health" "repair" "notifications" "metrics"
    "endpoints" "calls" "errors" "fixes"
    "admin-pages" "settings" "backup" "pool-file" "cli" "api" "simulate" "performance"
};

/// `/docs` and the documents.
pub fn router() -> Router<Site> {
    Router::new().route("/docs", get(index)).route("/docs/{name}", get(show))
}

#[derive(Template)]
#[template(path = "pages/documents.html")]
struct IndexPage {
    c: Chrome,
    rows: Vec<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "pages/document.html")]
struct DocumentPage {
    c: Chrome,
    title: &'static str,
    html: String,
}

async fn index(operator: Operator) -> Result<Response> {
    let lang = operator.t().lang;
    let row =
        |document: &Document| (format!("/docs/{}", document.name), markdown::split(document.text(lang)).0);
    render(&IndexPage { c: operator.chrome(Section::None), rows: DOCUMENTS.iter().map(row).collect() })
}

async fn show(operator: Operator, Path(name): Path<String>) -> Result<Response> {
    let document = Document::find(&name).ok_or(Error::NotFound)?;
    let (title, text) = markdown::split(document.text(operator.t().lang));
    let html = markdown::html(text, |name| Document::find(name).is_some());
    render(&DocumentPage { c: operator.chrome(Section::None), title, html })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_document_of_the_folder_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".md").filter(|name| !name.ends_with(".zh-CN")).map(str::to_owned)
        };
        let files: BTreeSet<String> = fs::read_dir(folder).unwrap().filter_map(name).collect();
        let served: BTreeSet<String> = DOCUMENTS.iter().map(|document| document.name.to_owned()).collect();
        assert_eq!(files, served);
    }

    #[test]
    fn links_between_documents_lead_to_pages_and_to_headings_that_are_there() {
        for document in DOCUMENTS {
            for lang in [Lang::En, Lang::Zh] {
                let of = |document: &Document| {
                    let (title, text) = markdown::split(document.text(lang));
                    assert!(!title.is_empty() && !title.contains('['), "{}", document.name);
                    markdown::html(text, |name| Document::find(name).is_some())
                };
                let html = of(document);
                assert!(!html.contains(".md\"") && !html.contains(".md#"), "{}: {html}", document.name);
                for link in html.split("href=\"/docs/").skip(1).filter_map(|rest| rest.split('"').next()) {
                    let (name, anchor) = link.split_once('#').unwrap_or((link, ""));
                    let target = of(Document::find(name).unwrap());
                    // A link's percent signs are decoded as in a form, whose plus signs no anchor has.
                    let anchor = form_urlencoded::parse(anchor.as_bytes()).next();
                    let anchor = anchor.map(|(name, _)| name.into_owned()).unwrap_or_default();
                    let id = format!("id=\"{anchor}\"");
                    assert!(anchor.is_empty() || target.contains(&id), "{}: {link}", document.name);
                }
            }
        }
    }
}
