//! Whether a model costs nothing, and what a mere name is completed with.

use std::borrow::Cow;

use super::KnownModel;
use crate::model::{channel::Price, limit::fits};
use crate::provider::{
    Provider,
    listing::{Listing, ListingFault, Modalities, ModelFacts, parse},
};

impl Provider {
    /// Reads the body of this provider's list: what is listed and served, what it costs, and what is known of it beyond
    /// the list. At most [`crate::provider::listing::MAX_BYTES`] are read.
    pub fn read_list(&self, body: &[u8]) -> Result<Listing, ListingFault> {
        let mut listing = parse(self.list.shape, body)?;
        listing.models.retain(|model| !self.list.except.iter().any(|pattern| fits(pattern, &model.id)));
        for model in &mut listing.models {
            if let Some(known) = self.known_model(&model.id) {
                complete(model, known);
            }
            model.free = self.is_free(model);
        }
        Ok(listing)
    }

    /// What public material says of a model of this name, whatever its letters' case.
    pub fn known_model(&self, name: &str) -> Option<&KnownModel> {
        self.models.iter().find(|known| known.id.eq_ignore_ascii_case(name))
    }

    /// Whether a model of this name is known to cost nothing within the provider's limits.
    pub fn is_free_by_name(&self, name: &str) -> bool {
        self.is_free_at(name, None) == Some(true)
    }

    /// Whether a model costs nothing within the provider's limits; `None` if nothing says so.
    pub fn is_free(&self, model: &ModelFacts) -> Option<bool> {
        self.is_free_as(&model.id, model.price, model.free)
    }

    /// The same of a model of this name, and perhaps of this price by a list.
    pub fn is_free_at(&self, name: &str, price: Option<Price>) -> Option<bool> {
        self.is_free_as(name, price, None)
    }

    fn is_free_as(&self, name: &str, price: Option<Price>, listed: Option<bool>) -> Option<bool> {
        let rule = self.free.as_ref()?;
        let name = lower(name);
        let among = |patterns: &[String]| patterns.iter().any(|pattern| fits(&lower(pattern), &name));
        if among(&rule.except) {
            return Some(false);
        }
        if rule.all || among(&rule.models) {
            return Some(true);
        }
        let by_price = || {
            let price = price.filter(|_| rule.price_zero)?;
            Some(price.input == 0 && price.output == 0)
        };
        listed.or_else(by_price).or(rule.others_are_paid.then_some(false))
    }
}

/// In lower case; most names are.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Borrowed(text)
}

/// What the list itself says is believed over what is known of the model.
fn complete(model: &mut ModelFacts, known: &KnownModel) {
    model.context_window = model.context_window.or(known.context_window);
    model.output_limit = model.output_limit.or(known.output_limit);
    let input = known.input.as_ref().map(|input| input.iter().copied().collect::<Modalities>());
    model.input = model.input.or(input);
    model.tools = model.tools.or(known.tools);
    model.reasoning = model.reasoning.or(known.reasoning);
}

#[cfg(test)]
mod tests {
    use super::super::super::Providers;

    fn read(provider: &str, body: &str) -> Vec<(String, Option<bool>)> {
        let providers = Providers::embedded();
        let provider = providers.find(provider).expect("a known provider");
        let listing = provider.read_list(body.as_bytes()).expect("a list");
        listing.models.into_iter().map(|model| (model.id, model.free)).collect()
    }

    fn said(provider: &str, body: &str, expected: &[(&str, Option<bool>)]) {
        let expected: Vec<_> = expected.iter().map(|(id, free)| ((*id).to_owned(), *free)).collect();
        assert_eq!(read(provider, body), expected, "{provider}");
    }

    #[test]
    fn what_is_free_is_told_by_name_price_or_declaration_and_else_unknown() {
        said(
            "openrouter",
            r#"{"data":[{"id":"a/dear","pricing":{"prompt":"0.000001","completion":"0"}},{"id":"a/x:free"},
                {"id":"a/zero","pricing":{"prompt":"0","completion":"0"}},{"id":"a/silent"},{"id":"openrouter/auto","pricing":{"prompt":"-1","completion":"-1"}}]}"#,
            &[
                ("a/dear", Some(false)),
                ("a/silent", None),
                ("a/x:free", Some(true)),
                ("a/zero", Some(true)),
                ("openrouter/auto", None),
            ],
        );
        said("nvidia", r#"{"data":[{"id":"z-ai/glm-5.2"}]}"#, &[("z-ai/glm-5.2", Some(true))]);
        said("deepseek", r#"{"data":[{"id":"deepseek-chat"}]}"#, &[("deepseek-chat", Some(false))]);
        said(
            "siliconflow",
            r#"{"data":[{"id":"Pro/Qwen/Qwen3-8B"},{"id":"Qwen/Qwen3-8B"},{"id":"Qwen/Other"}]}"#,
            &[("Pro/Qwen/Qwen3-8B", Some(false)), ("Qwen/Other", None), ("Qwen/Qwen3-8B", Some(true))],
        );
        said("generic", r#"["x"]"#, &[("x", None)]);
    }

    #[test]
    fn models_that_are_listed_but_never_served_are_left_out() {
        said(
            "modelscope",
            r#"{"data":[{"id":"Qwen-Ambassador/x"},{"id":"Qwen/Qwen3.5-27B"}]}"#,
            &[("Qwen/Qwen3.5-27B", Some(true))],
        );
    }

    #[test]
    fn a_bare_name_is_completed_by_what_is_known_and_the_list_is_believed_over_it() {
        let providers = Providers::embedded();
        let groq = providers.find("groq").expect("groq");
        let listing = groq
            .read_list(br#"{"data":[{"id":"openai/gpt-oss-120b","context_window":1000},{"id":"openai/gpt-oss-20b"}]}"#)
            .expect("a list");
        let [large, small] = &listing.models[..] else { panic!("{listing:?}") };
        assert_eq!((large.context_window, small.context_window), (Some(1000), Some(131_072)));
        assert_eq!((large.tools, small.output_limit), (Some(true), Some(65_536)));
        assert_eq!(small.input, None, "what nobody says stays unknown");
    }
}
