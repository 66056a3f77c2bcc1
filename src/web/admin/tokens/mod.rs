//! The pages of tokens: the index, the form, a token's value with ready snippets, and what can be done to a token.
//!
//! A handler that changes a token reloads the catalog before it answers, so that a revoked value is refused from then on.

mod actions;
mod capture;
mod edit;
mod form;
mod index;
mod several;
mod value;

use axum::Router;

use crate::{
    i18n::Messages,
    model::{
        catalog::{Catalog, PublicModel, has_price},
        time::UnixMs,
        token::{Quota, QuotaUnit, Token},
    },
    storage::tokens::TokenRow,
    web::{Site, format::money},
};

pub(in crate::web) use capture::erase_all as erase_captured;
pub(in crate::web) use form::new_token;
pub use value::{Snippet, reveal_purpose, snippets};

/// `/tokens` and everything below it.
pub fn router() -> Router<Site> {
    index::router()
        .merge(several::router())
        .merge(edit::router())
        .merge(value::router())
        .merge(actions::router())
        .merge(capture::router())
}

/// How long before its end a token counts as one that ends soon.
const ENDS_SOON: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// What a token's badge says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenState {
    On,
    Off,
    Expired,
    UsedUp,
    EndsSoon,
}

impl TokenState {
    fn of(row: &TokenRow, now: UnixMs) -> Self {
        let token = &row.token;
        if !token.enabled {
            Self::Off
        } else if token.expires_at.is_some_and(|end| end <= now) {
            Self::Expired
        } else if token.quota.is_some_and(|quota| quota.stops() && row.spent >= quota.limit) {
            Self::UsedUp
        } else if token.expires_at.is_some_and(|end| end <= now + ENDS_SOON) {
            Self::EndsSoon
        } else {
            Self::On
        }
    }

    /// The style sheet's class.
    fn class(self) -> &'static str {
        match self {
            Self::On => "ok",
            Self::Off => "",
            Self::EndsSoon => "warn",
            Self::Expired | Self::UsedUp => "bad",
        }
    }

    fn label(self, t: &Messages) -> &'static str {
        match self {
            Self::On => t.tokens.state_on(),
            Self::Off => t.tokens.state_off(),
            Self::Expired => t.tokens.state_expired(),
            Self::UsedUp => t.tokens.state_used_up(),
            Self::EndsSoon => t.tokens.state_ends_soon(),
        }
    }
}

/// A quota as a page shows it.
struct QuotaView {
    /// "$1.20 of $5.00".
    text: String,
    /// What was spent, at most `limit`.
    spent: i64,
    limit: i64,
    /// When it starts anew.
    reset: String,
}

impl QuotaView {
    fn of(quota: Quota, spent: i64, t: &Messages, now: UnixMs, zone: &jiff::tz::TimeZone) -> Self {
        let reset = match quota.reset.period_end(now, zone) {
            Some(end) => t.tokens.resets_at(&local_minute(end, zone)),
            None => t.tokens.resets_never().to_owned(),
        };
        Self {
            text: t.tokens.spent_of(&bare_amount(quota.unit, spent), &amount(quota.unit, quota.limit, t)),
            spent: spent.clamp(0, quota.limit),
            limit: quota.limit,
            reset,
        }
    }
}

/// `$0.0023`, `1,500`: what was spent, before the limit with its unit.
fn bare_amount(unit: QuotaUnit, count: i64) -> String {
    match unit {
        QuotaUnit::Dollars => money(count),
        QuotaUnit::Tokens | QuotaUnit::Requests => grouped(count),
    }
}

/// `$1.50`, `1,500 tokens`, `20 requests`.
fn amount(unit: QuotaUnit, count: i64, t: &Messages) -> String {
    match unit {
        QuotaUnit::Dollars => format!("${}", dollars(count)),
        QuotaUnit::Tokens => format!("{} {}", grouped(count), t.token_form.unit_tokens()),
        QuotaUnit::Requests => format!("{} {}", grouped(count), t.token_form.unit_requests()),
    }
}

/// Micro-dollars as a decimal with two to six places.
fn dollars(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let fraction = format!("{:06}", micros % 1_000_000);
    let kept = fraction.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", micros / 1_000_000, &fraction[..kept])
}

/// Digits in groups of three.
fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if count < 0 { format!("-{text}") } else { text }
}

/// A time to the minute on the server's wall clock.
fn local_minute(at: UnixMs, zone: &jiff::tz::TimeZone) -> String {
    at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The present value as pages show it.
fn masked(token: &Token) -> String {
    format!("sk-…{}", token.last4)
}

/// What an operator should know about a token's scope: calls that will be refused although they look allowed.
fn warnings(token: &Token, catalog: &Catalog, t: &Messages) -> Vec<String> {
    const SHOWN: usize = 5;
    let list = |names: Vec<&str>| {
        let more = if names.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
    };
    let mut warnings = Vec::new();
    let usable: Vec<&PublicModel> = catalog.models_in_scope(token).collect();
    if usable.is_empty() {
        warnings.push(t.tokens.warn_no_models().to_owned());
        return warnings;
    }
    let unknown: Vec<&str> = token
        .models
        .iter()
        .map(String::as_str)
        .filter(|name| {
            !name.ends_with('*') && !usable.iter().any(|model| model.name.eq_ignore_ascii_case(name))
        })
        .collect();
    if !unknown.is_empty() {
        warnings.push(t.tokens.warn_unknown(&list(unknown)));
    }
    if token.quota.is_some_and(|quota| quota.unit == QuotaUnit::Dollars) {
        let unpriced: Vec<&str> =
            usable.iter().filter(|model| !has_price(model, token)).map(|model| model.name.as_str()).collect();
        if !unpriced.is_empty() {
            warnings.push(t.tokens.warn_no_price(&list(unpriced)));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{
        id::TokenId,
        token::{ClientProfile, QuotaReset},
    };

    fn row(change: impl FnOnce(&mut TokenRow)) -> TokenRow {
        let token = Token {
            id: TokenId(1),
            name: "t".into(),
            last4: "abcd".into(),
            models: Vec::new(),
            groups: Vec::new(),
            cidrs: Vec::new(),
            expires_at: None,
            quota: None,
            requests_per_minute: None,
            weight: 1,
            profile: ClientProfile::Generic,
            note: String::new(),
            enabled: true,
            created_at: UnixMs(0),
        };
        let mut row = TokenRow { token, last_used_at: None, spent: 0 };
        change(&mut row);
        row
    }

    #[test]
    fn the_badge_names_the_reason_that_stops_a_token_first() {
        let now = UnixMs(1_800_000_000_000);
        let state = |change: fn(&mut TokenRow)| TokenState::of(&row(change), UnixMs(1_800_000_000_000));
        assert_eq!(state(|_| {}), TokenState::On);
        assert_eq!(state(|row| row.token.enabled = false), TokenState::Off);
        assert_eq!(state(|row| row.token.expires_at = Some(UnixMs(1_800_000_000_000))), TokenState::Expired);
        let soon = row(|row| row.token.expires_at = Some(now + Duration::from_secs(3600)));
        assert_eq!(TokenState::of(&soon, now), TokenState::EndsSoon);
        let quota = |row: &mut TokenRow| {
            row.token.quota = Some(Quota::new(QuotaUnit::Requests, 10, QuotaReset::Day));
            row.spent = 10;
        };
        assert_eq!(TokenState::of(&row(quota), now), TokenState::UsedUp);
    }

    #[test]
    fn amounts_are_written_with_their_unit() {
        let t = Messages::of(crate::i18n::Lang::En);
        assert_eq!(amount(QuotaUnit::Dollars, 1_500_000, &t), "$1.50");
        assert_eq!(amount(QuotaUnit::Dollars, 1_234_567, &t), "$1.234567");
        assert_eq!(amount(QuotaUnit::Tokens, 1_234_567, &t), "1,234,567 tokens");
        assert_eq!(amount(QuotaUnit::Requests, 100, &t), "100 requests");
    }
}
