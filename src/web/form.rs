//! What a browser's form sends, and what is wrong with it.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use http_body_util::{BodyExt, Limited};

use super::admin::visit::Visit;
use crate::error::Error;

/// The largest form of an operator: room for some ten thousand pasted keys.
const MAX_FORM_BYTES: usize = 2 << 20;
/// The largest form of anybody else, who has a name and a password to send.
const MAX_STRANGERS_FORM_BYTES: usize = 16 << 10;

/// The fields of a form (`application/x-www-form-urlencoded`) in the order in which they were sent; a name may occur
/// several times.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `a=1&b=2`, as it stands in a form's body or in a URL's query.
    pub fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Fields that were read otherwise.
    pub fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of a name as it was sent, or an empty text.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The same without surrounding white space.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// Every value of a name, trimmed.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// Every name with its value, as they were sent.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a check box was ticked.
    pub fn checked(&self, name: &str) -> bool {
        self.raw(name) == "true"
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, _state: &S) -> Result<Self, Error> {
        let operator = request.extensions().get::<Visit>().is_some_and(|visit| visit.user().is_some());
        let limit = if operator { MAX_FORM_BYTES } else { MAX_STRANGERS_FORM_BYTES };
        match Limited::new(request.into_body(), limit).collect().await {
            Ok(body) => Ok(Self::parse(&body.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Error::TooLarge { limit: limit as u64 })
            }
            Err(_) => Err(Error::BadRequest("the form did not arrive whole; send it again".into())),
        }
    }
}

/// Messages at fields, in the visitor's language.
#[derive(Debug, Clone, Default)]
pub struct FieldErrors(BTreeMap<String, String>);

impl FieldErrors {
    /// Notes a message; the first one of a field stays.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.entry(field.into()).or_insert_with(|| message.into());
    }

    /// The message at a field.
    pub fn find(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// Every field with its message.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, message)| (field.as_str(), message.as_str()))
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
