//! What a preset may not say: addresses that are none, names of headers that cannot be, clauses without words.

use url::Url;

use super::{KeyCheck, ListSource};
use crate::provider::data::File;

/// The most models that a file describes.
const MAX_MODELS: usize = 500;

/// Places and messages.
type Found = Vec<(String, String)>;

/// What is wrong with the fields of a preset.
pub(in crate::provider) fn faults(file: &File) -> Vec<(String, String)> {
    let mut found = Found::new();
    if let Some(list) = &file.list {
        check_list(list, &mut found);
    }
    match &file.key_check {
        Some(KeyCheck::Endpoint(endpoint)) => {
            reference(&endpoint.url, "key_check.endpoint.url", &mut found);
            page(Some(&endpoint.source), "key_check.endpoint.source", &mut found);
            let fields = [
                ("success", &endpoint.success),
                ("valid", &endpoint.valid),
                ("account", &endpoint.account),
                ("calls_left", &endpoint.calls_left),
                ("calls_limit", &endpoint.calls_limit),
                ("free_tier", &endpoint.free_tier),
            ];
            for (name, field) in fields {
                let good =
                    field.as_ref().is_none_or(|path| path.split('.').all(|part| !part.trim().is_empty()));
                unless(good, &format!("key_check.endpoint.{name}"), &mut found, || {
                    "write the field's path, such as `data.limit_remaining`".into()
                });
            }
        }
        Some(KeyCheck::Completion(completion)) => {
            patterns(&completion.models, "key_check.completion.models", &mut found);
        }
        Some(KeyCheck::None) | None => {}
    }
    if let Some(free) = &file.free {
        patterns(&free.models, "free.models", &mut found);
        patterns(&free.except, "free.except", &mut found);
        unless(!(free.all && (free.price_zero || free.others_are_paid)), "free.all", &mut found, || {
            "if every model is free, prices and other models decide nothing; name exceptions in `except`"
                .into()
        });
    }
    if let Some(links) = &file.links {
        for (name, link) in [("sign_up", &links.sign_up), ("keys", &links.keys), ("terms", &links.terms)] {
            page(link.as_ref(), &format!("links.{name}"), &mut found);
        }
    }
    check_terms(file, &mut found);
    check_models(file, &mut found);
    found
}

fn check_list(list: &ListSource, found: &mut Found) {
    reference(&list.url, "list.url", found);
    patterns(&list.except, "list.except", found);
    let good = list.key_header.as_ref().is_none_or(|name| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    });
    unless(good, "list.key_header", found, || "write a header's name in lower case".into());
}

fn check_terms(file: &File, found: &mut Found) {
    let Some(terms) = &file.terms else { return };
    let (accounts, prompts) = (&terms.several_accounts, &terms.prompts);
    let clauses = [
        ("terms.several_accounts", accounts.stance != Default::default(), &accounts.text),
        ("terms.prompts", prompts.stance != Default::default(), &prompts.text),
    ];
    for (place, known, text) in clauses {
        let said = text.as_ref().is_some_and(|text| !text.en.trim().is_empty() && !text.zh.trim().is_empty());
        unless(known == said && (said || text.is_none()), &format!("{place}.text"), found, || {
            "say it in both languages, with a `stance` other than `unknown`".into()
        });
    }
}

fn check_models(file: &File, found: &mut Found) {
    let models = file.models.as_deref().unwrap_or_default();
    unless(models.len() <= MAX_MODELS, "models", found, || format!("at most {MAX_MODELS} are read"));
    for (place, model) in models.iter().enumerate().take(MAX_MODELS) {
        let at = format!("models[{place}]");
        let name = (1..=200).contains(&model.id.len()) && !model.id.contains(char::is_whitespace);
        unless(name, &format!("{at}.id"), found, || "a name has 1 to 200 characters, and no blanks".into());
        let twice = models[..place].iter().any(|other| other.id.eq_ignore_ascii_case(&model.id));
        unless(!twice, &format!("{at}.id"), found, || format!("`{}` is there twice", model.id));
        unless(model.context_window != Some(0), &format!("{at}.context_window"), found, || {
            "leave it out if it is unknown".into()
        });
        unless(model.output_limit != Some(0), &format!("{at}.output_limit"), found, || {
            "leave it out if it is unknown".into()
        });
        page(Some(&model.source), &format!("{at}.source"), found);
    }
}

fn unless(good: bool, place: &str, found: &mut Found, message: impl FnOnce() -> String) {
    if !good {
        found.push((place.to_owned(), message()));
    }
}

/// An address, or one that is relative to a base URL.
fn reference(text: &str, place: &str, found: &mut Found) {
    let base = Url::parse("https://provider.invalid/v1/");
    let good = !text.is_empty()
        && !text.contains(char::is_whitespace)
        && !text.starts_with("//")
        && base.is_ok_and(|base| {
            base.join(text)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        });
    unless(good, place, found, || {
        format!("`{text}` is no address; write `models`, `../models` or a whole http or https address")
    });
}

/// A page for people.
fn page(address: Option<&String>, place: &str, found: &mut Found) {
    let good = address.is_none_or(|address| {
        Url::parse(address)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
    });
    unless(good, place, found, || {
        format!("`{}` is no http or https address", address.map_or("", String::as_str))
    });
}

fn patterns(patterns: &[String], place: &str, found: &mut Found) {
    for (index, pattern) in patterns.iter().enumerate() {
        unless((1..=200).contains(&pattern.len()), &format!("{place}[{index}]"), found, || {
            "a name has 1 to 200 characters".into()
        });
    }
}
