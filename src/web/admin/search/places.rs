//! The pages by their names, and the keys that lead to them.

use crate::i18n::Messages;

/// A page that can be found by its name: its address and its name.
pub(super) type NamedPage = (&'static str, &'static str);

/// The key that leads to a page of the navigation after `g`. Each is used once; a test holds this.
pub fn key_of(href: &str) -> &'static str {
    match href {
        "/" => "o",
        "/channels" => "c",
        "/upstream-models" => "m",
        "/ranking" => "r",
        "/chains" => "f",
        "/tokens" => "t",
        "/playground" => "p",
        "/log" => "l",
        "/usage" => "u",
        "/budgets" => "b",
        "/capacity" => "q",
        "/health" => "h",
        "/openclaw" => "w",
        "/settings" => "s",
        "/account" => "a",
        _ => "",
    }
}

/// Every page that has a name of its own, but for those of a single channel, key, token, model or call.
pub(super) fn pages(t: Messages) -> Vec<NamedPage> {
    let c = t.common;
    vec![
        ("/", c.nav_overview()),
        ("/channels", c.nav_channels()),
        ("/channels/new", t.channels.new_title()),
        ("/upstream-models", c.nav_models()),
        ("/ranking", c.nav_ranking()),
        ("/ranking/weights", t.ranking.weights()),
        ("/ranking/names", t.ranking.names()),
        ("/chains", c.nav_chains()),
        ("/chains/new", t.chains.new_title()),
        ("/tokens", c.nav_tokens()),
        ("/tokens/new", t.tokens.add()),
        ("/playground", c.nav_playground()),
        ("/log", c.nav_log()),
        ("/log?live=true", t.log.live_log()),
        ("/log/turns", t.log.by_turn()),
        ("/usage", c.nav_usage()),
        ("/budgets", t.budgets.title()),
        ("/prices", t.prices.title()),
        ("/capacity", c.nav_capacity()),
        ("/routes", t.inspect.routes()),
        ("/health", c.nav_health()),
        ("/health/repair", t.health.tab_repair()),
        ("/health/diagnostics", t.health.tab_diagnostics()),
        ("/notifications", t.notices.title()),
        ("/notifications/new", t.notices.new_title()),
        ("/openclaw", c.nav_openclaw()),
        ("/settings", c.nav_settings()),
        ("/account", c.nav_account()),
        ("/account/password", t.account.change_password()),
        ("/account/access-tokens/new", t.api.new_title()),
        ("/api", t.api.title()),
        ("/search", t.search.keys_title()),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn no_two_pages_share_an_address_or_a_key() {
        let pages = pages(Messages::of(Lang::En));
        let addresses: BTreeSet<_> = pages.iter().map(|(href, _)| href).collect();
        assert_eq!(addresses.len(), pages.len());
        let keys: Vec<_> = pages.iter().map(|(href, _)| key_of(href)).filter(|key| !key.is_empty()).collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{keys:?}");
    }
}
