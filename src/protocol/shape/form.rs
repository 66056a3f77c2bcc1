//! Carries out [fixes](crate::model::fix) on the fields of a form. Files stay as they are, and so do the texts that make the request what
//! it is.

use crate::model::fix::{Fix, KEPT_FIELDS, When};

/// A field of a form that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormField {
    /// Its name.
    pub name: String,
    /// Its text, unless it is a file or long.
    pub text: Option<String>,
    /// Which of the fields that were uploaded has its content; `None`: its text is all.
    pub stored: Option<usize>,
    /// Whether it is a file.
    pub is_file: bool,
}

impl FormField {
    /// Its name as a request in JSON would have it: `image` of `image[]`.
    pub fn plain_name(&self) -> &str {
        self.name.strip_suffix("[]").unwrap_or(&self.name)
    }

    fn is(&self, name: &str) -> bool {
        self.plain_name().eq_ignore_ascii_case(name)
    }

    /// Whether fixes leave it alone.
    fn is_kept(&self) -> bool {
        self.is_file || KEPT_FIELDS.iter().any(|kept| self.is(kept))
    }

    fn is_said(&self) -> bool {
        !matches!(self.text.as_deref(), Some("" | "null" | "false"))
    }
}

/// Carries out fixes, one after the other; those that have no meaning for a form do nothing. Gives the names of the client's
/// fields that were left out. [`When::stream`] is the caller's to check.
pub fn apply_to_form<'f>(
    fields: &mut Vec<FormField>,
    fixes: impl IntoIterator<Item = (&'f When, &'f Fix)>,
) -> Vec<String> {
    let mut dropped: Vec<String> = Vec::new();
    for (when, fix) in fixes {
        let said = |name: &String| fields.iter().any(|field| field.is(name) && field.is_said());
        if !(when.has.is_empty() || when.has.iter().any(said)) || when.lacks.iter().any(said) {
            continue;
        }
        match fix {
            Fix::Rename(rename) if fields.iter().any(|field| field.is(&rename.to)) => {
                fields.retain(|field| field.is_kept() || !field.is(&rename.from));
            }
            Fix::Rename(rename) => {
                for field in fields.iter_mut().filter(|field| !field.is_kept() && field.is(&rename.from)) {
                    let list = if field.name.ends_with("[]") { "[]" } else { "" };
                    field.name = format!("{}{list}", rename.to);
                }
            }
            Fix::Drop(names) => fields.retain(|field| {
                let stays = field.is_kept() || !names.iter().any(|name| field.is(name));
                let known = dropped.iter().any(|name| name == field.plain_name());
                if !stays && field.stored.is_some() && !known {
                    dropped.push(field.plain_name().to_owned());
                }
                stays
            }),
            Fix::Set(set) => {
                let Some(text) = as_text(&set.value) else { continue };
                let is_there = fields.iter().any(|field| field.is(&set.field));
                let is_kept = fields.iter().any(|field| field.is(&set.field) && field.is_kept());
                if is_kept || is_there && !set.always {
                    continue;
                }
                fields.retain(|field| !field.is(&set.field));
                let name = set.field.clone();
                fields.push(FormField { name, text: Some(text), stored: None, is_file: false });
            }
            Fix::Replace(replace) => {
                let meant = |field: &&mut FormField| {
                    !field.is_kept()
                        && field.is(&replace.field)
                        && field.text.as_deref() == Some(&*replace.from)
                };
                for field in fields.iter_mut().filter(meant) {
                    (field.text, field.stored) = (Some(replace.to.clone()), None);
                }
            }
            // These are about messages.
            Fix::Role(_)
            | Fix::DropPrefill
            | Fix::FillReasoningContent
            | Fix::CacheControl(_)
            | Fix::Effort(_) => {}
        }
    }
    dropped
}

/// A value as a form writes it; `None` for lists and objects, which forms write in many ways.
fn as_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What becomes of a form with a model, a picture, a mask, a size, two words for `include[]` and a long prompt.
    fn fixed(rules: Value) -> (Vec<String>, Vec<String>) {
        let field = |(stored, (name, text)): (usize, (&str, Option<&str>))| FormField {
            name: name.to_owned(),
            text: text.map(str::to_owned),
            stored: Some(stored),
            is_file: matches!(name, "image[]" | "mask"),
        };
        let texts = [
            ("model", None),
            ("image[]", None),
            ("mask", None),
            ("Size", Some("auto")),
            ("include[]", Some("a")),
            ("include[]", Some("b")),
            ("prompt", None),
            ("watermark", Some("false")),
        ];
        let mut fields: Vec<FormField> = texts.into_iter().enumerate().map(field).collect();
        let rules: Vec<(When, Fix)> = serde_json::from_value(rules).unwrap();
        let dropped = apply_to_form(&mut fields, rules.iter().map(|(when, fix)| (when, fix)));
        let shown = fields.into_iter().skip(1).map(|field| match (field.text, field.stored) {
            (Some(text), stored) => {
                format!("{}={text}{}", field.name, if stored.is_none() { "!" } else { "" })
            }
            (None, _) => field.name,
        });
        (shown.collect(), dropped)
    }

    #[test]
    fn each_fix_does_to_a_form_what_it_does_to_json_and_files_and_prompts_stay() {
        let whole =
            ["image[]", "mask", "Size=auto", "include[]=a", "include[]=b", "prompt", "watermark=false"];
        let with = |from: &str, to: &[&str]| -> Vec<String> {
            let texts = whole.iter().flat_map(|text| if *text == from { to.to_vec() } else { vec![*text] });
            texts.map(str::to_owned).collect()
        };
        for (rules, expected, dropped) in [
            (json!([]), with("", &[]), &[][..]),
            (json!([[{}, {"drop": ["size", "mask", "prompt", "a.b"]}]]), with("Size=auto", &[]), &["Size"]),
            (
                json!([[{}, {"rename": {"from": "size", "to": "resolution"}}]]),
                with("Size=auto", &["resolution=auto"]),
                &[],
            ),
            (
                json!([[{}, {"rename": {"from": "watermark", "to": "size"}}]]),
                with("watermark=false", &[]),
                &[],
            ),
            (json!([[{}, {"rename": {"from": "mask", "to": "other"}}]]), with("", &[]), &[]),
            (
                json!([[{}, {"replace": {"field": "size", "from": "auto", "to": "1024x1024"}}]]),
                with("Size=auto", &["Size=1024x1024!"]),
                &[],
            ),
            (
                json!([[{}, {"set": {"field": "n", "value": 1}}]]),
                [with("", &[]), vec!["n=1!".into()]].concat(),
                &[],
            ),
            (json!([[{}, {"set": {"field": "size", "value": "x"}}]]), with("", &[]), &[]),
            (json!([[{}, {"set": {"field": "mask", "value": "x", "always": true}}]]), with("", &[]), &[]),
            (json!([[{"has": ["watermark"]}, {"drop": ["size"]}]]), with("", &[]), &[]),
            (
                json!([[{"lacks": ["watermark"]}, {"drop": ["watermark"]}]]),
                with("watermark=false", &[]),
                &["watermark"],
            ),
            (json!([[{"has": ["mask"]}, {"role": {"from": "size", "to": "x"}}]]), with("", &[]), &[]),
        ] {
            assert_eq!(
                fixed(rules.clone()),
                (expected, dropped.iter().map(ToString::to_string).collect()),
                "{rules}"
            );
        }
        let (rest, dropped) = fixed(
            json!([[{}, {"drop": ["include", "size"]}], [{}, {"set": {"field": "size", "value": "x"}}]]),
        );
        assert_eq!(rest, ["image[]", "mask", "prompt", "watermark=false", "size=x!"]);
        assert_eq!(dropped, ["Size", "include"]);
    }
}
