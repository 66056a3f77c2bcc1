//! `/ranking/weights`: how much each component of a score counts.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    Tab,
    rows::{Piece, weights_bar},
    tabs,
};
use crate::{
    error::Result,
    i18n::Messages,
    ranking::score::{Component, Preset, Weights, WeightsFault},
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render_with, see_other_with},
        form::{FieldErrors, Fields},
        ranking::{component, preset},
    },
};

#[derive(Template)]
#[template(path = "pages/ranking/weights.html")]
struct WeightsPage {
    c: Chrome,
    tabs: Vec<Tab>,
    presets: Vec<PresetCard>,
    /// Whether the weights are of no preset.
    own: bool,
    fields: Vec<WeightField>,
    errors: FieldErrors,
}

struct PresetCard {
    value: &'static str,
    name: &'static str,
    about: &'static str,
    bar: Vec<Piece>,
    label: String,
    /// Class, name and weight of each component.
    parts: Vec<(&'static str, &'static str, u8)>,
    chosen: bool,
}

struct WeightField {
    name: &'static str,
    label: &'static str,
    about: &'static str,
    value: String,
}

impl PresetCard {
    fn of(t: Messages, one: Preset, chosen: bool) -> Self {
        let weights = one.weights();
        let (name, about) = preset(t, one);
        let parts: Vec<_> = Component::ALL
            .iter()
            .map(|part| (part.as_str(), component(t, *part).0, weights.of(*part)))
            .collect();
        let label = parts.iter().map(|(_, name, weight)| format!("{name} {weight}"));
        Self {
            value: one.as_str(),
            name,
            about,
            bar: weights_bar(&weights),
            label: label.collect::<Vec<_>>().join(", "),
            parts,
            chosen,
        }
    }
}

/// What was typed into the five fields, in the order of [`Component::ALL`].
fn typed(fields: &Fields) -> Vec<String> {
    Component::ALL.iter().map(|component| fields.text(component.as_str()).to_owned()).collect()
}

/// The weights that were typed, unless a field is wrong.
fn read(t: Messages, fields: &Fields, errors: &mut FieldErrors) -> Option<Weights> {
    let mut of = |component: Component| match fields.text(component.as_str()).parse::<u8>() {
        Ok(weight) if weight <= 100 => weight,
        _ => {
            errors.add(component.as_str(), t.ranking.weight_wrong());
            0
        }
    };
    let weights = Weights {
        capability: of(Component::Capability),
        reliability: of(Component::Reliability),
        speed: of(Component::Speed),
        context: of(Component::Context),
        quota: of(Component::Quota),
    };
    match weights.check() {
        _ if !errors.is_empty() => None,
        Ok(()) => Some(weights),
        Err(WeightsFault::TooLarge(component)) => {
            errors.add(component.as_str(), t.ranking.weight_wrong());
            None
        }
        Err(WeightsFault::AllZero) => {
            errors.add("weights", t.ranking.weights_zero());
            None
        }
    }
}

fn page(operator: &Operator, weights: Weights, values: Vec<String>, errors: FieldErrors) -> WeightsPage {
    let t = operator.t();
    let chosen = weights.preset();
    let fields = Component::ALL.iter().zip(values).map(|(one, value)| {
        let (label, about) = component(t, *one);
        WeightField { name: one.as_str(), label, about, value }
    });
    WeightsPage {
        c: operator.chrome(Section::Ranking),
        tabs: tabs(t, "weights"),
        presets: Preset::ALL.iter().map(|one| PresetCard::of(t, *one, chosen == Some(*one))).collect(),
        own: chosen.is_none(),
        fields: fields.collect(),
        errors,
    }
}

/// `GET /ranking/weights`.
pub(super) async fn show(State(site): State<Site>, operator: Operator) -> Result<Response> {
    let weights = site.db.ranking_weights().await?;
    let values = Component::ALL.iter().map(|component| weights.of(*component).to_string()).collect();
    render_with(StatusCode::OK, &page(&operator, weights, values, FieldErrors::default()))
}

/// `POST /ranking/weights`: `preset`, or a field for each component.
pub(super) async fn save(State(site): State<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t();
    let mut errors = FieldErrors::default();
    let weights = match Preset::from_name(fields.text("preset")) {
        Some(preset) => Some(preset.weights()),
        None => read(t, &fields, &mut errors),
    };
    let Some(weights) = weights else {
        let saved = site.db.ranking_weights().await?;
        return render_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &page(&operator, saved, typed(&fields), errors),
        );
    };
    site.db.set_ranking_weights(&weights).await?;
    super::rebuild_chains(&site).await?;
    Ok(see_other_with("/ranking/weights", FlashKind::Ok, t.ranking.weights_saved()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn faults(form: &str) -> FieldErrors {
        let mut errors = FieldErrors::default();
        let read = read(Messages::of(Lang::En), &Fields::parse(form.as_bytes()), &mut errors);
        assert!(read.is_none() != errors.is_empty(), "{form}");
        errors
    }

    #[test]
    fn weights_are_whole_numbers_up_to_a_hundred_and_not_all_of_them_are_nothing() {
        assert!(faults("capability=100&reliability=0&speed=+5+&context=0&quota=0").is_empty());
        let wrong = faults("capability=101&reliability=-1&speed=1.5&context=&quota=256");
        for component in Component::ALL {
            assert!(wrong.find(component.as_str()).is_some(), "{component}");
        }
        assert!(
            faults("capability=101&reliability=0&speed=0&context=0&quota=1").find("capability").is_some()
        );
        assert!(faults("capability=0&reliability=0&speed=0&context=0&quota=0").find("weights").is_some());
    }
}
