//! The form of a channel: what it holds, and what is wrong with it. Pure.

use std::collections::HashSet;

use crate::{
    i18n::Messages,
    model::{
        channel::{Channel, ChannelModel, Protocol, Redirect, Shaping, Timeouts},
        decimal,
        endpoint::{Endpoint, Endpoints},
        secret::Secret,
    },
    pool::rules::{
        self, HeaderProblem, MAX_HEADERS, MAX_MODELS, MAX_REDIRECTS, PRIORITIES, TIMEOUTS_MS, WEIGHTS,
    },
    provider::{Provider, Providers},
    storage::channels::NewChannel,
    web::{
        admin::budgets::BudgetFields,
        form::{FieldErrors, Fields},
    },
};

/// Stands for a part of a secret that is not shown.
const MASK: &str = "••••••••";

/// The fields as they were typed.
#[derive(Debug, Clone, Default)]
pub(super) struct ChannelForm {
    pub name: String,
    pub base_url: String,
    pub protocol: String,
    /// The provider's id; empty means the one that the base URL belongs to.
    pub provider: String,
    /// The plan with its provider's id in front, such as `openrouter/free`; empty means the provider's usual one.
    pub plan: String,
    pub models: String,
    pub redirects: String,
    pub priority: String,
    pub weight: String,
    pub groups: String,
    pub headers: String,
    pub proxy: String,
    pub connect_s: String,
    pub first_byte_s: String,
    pub idle_s: String,
    /// Fixes that are switched, one per line.
    pub fixes: String,
    pub response_cache_s: String,
    pub budget: BudgetFields,
    pub allow_private: bool,
    pub note: String,
    pub enabled: bool,
    pub endpoints: String,
    /// Keys to add; only on a new channel.
    pub keys: String,
    /// The quota group of these keys.
    pub account: String,
    /// Whether to ask the upstream for its models; only on a new channel.
    pub fetch: bool,
}

impl ChannelForm {
    /// An empty form.
    pub fn blank() -> Self {
        Self {
            protocol: Protocol::default().as_str().into(),
            priority: "0".into(),
            weight: "1".into(),
            enabled: true,
            fetch: true,
            ..Self::default()
        }
    }

    /// The form of a channel as it is.
    pub fn of(channel: &Channel) -> Self {
        let seconds = |ms: Option<u32>| ms.map_or_else(String::new, |ms| decimal::show(ms.into(), 3));
        let headers: Vec<String> =
            channel.headers.iter().map(|(name, value)| format!("{name}: {}", masked(value))).collect();
        let models: Vec<&str> = channel.models.iter().map(|model| model.name.as_str()).collect();
        Self {
            name: channel.name.clone(),
            base_url: channel.base_url.clone(),
            protocol: channel.protocol.as_str().into(),
            provider: channel.provider.clone(),
            plan: channel
                .plan
                .as_ref()
                .map(|plan| format!("{}/{plan}", channel.provider))
                .unwrap_or_default(),
            models: models.join("\n"),
            redirects: show_redirects(&channel.redirects),
            priority: channel.priority.to_string(),
            weight: channel.weight.to_string(),
            groups: channel.groups.join(", "),
            headers: headers.join("\n"),
            proxy: channel.proxy.as_ref().map(masked_proxy).unwrap_or_default(),
            connect_s: seconds(channel.timeouts.connect_ms),
            first_byte_s: seconds(channel.timeouts.first_byte_ms),
            idle_s: seconds(channel.timeouts.idle_ms),
            fixes: rules::shown_fixes(&channel.shaping).join("\n"),
            response_cache_s: channel
                .shaping
                .response_cache_s
                .map_or_else(String::new, |seconds| seconds.to_string()),
            budget: BudgetFields::of(channel.budget),
            allow_private: channel.allow_private,
            note: channel.note.clone(),
            enabled: channel.enabled,
            endpoints: channel.endpoints.to_string(),
            keys: String::new(),
            account: String::new(),
            fetch: false,
        }
    }

    /// What a browser sent.
    pub fn sent(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            name: text("name"),
            base_url: text("base_url"),
            protocol: text("protocol"),
            provider: text("provider"),
            plan: text("plan"),
            models: text("models"),
            redirects: text("redirects"),
            priority: text("priority"),
            weight: text("weight"),
            groups: text("groups"),
            headers: text("headers"),
            proxy: text("proxy"),
            connect_s: text("connect_s"),
            first_byte_s: text("first_byte_s"),
            idle_s: text("idle_s"),
            fixes: text("fixes"),
            response_cache_s: text("response_cache_s"),
            budget: BudgetFields::read(fields),
            allow_private: fields.checked("allow_private"),
            note: text("note"),
            enabled: fields.checked("enabled"),
            endpoints: text("endpoints"),
            keys: text("keys"),
            account: text("account"),
            fetch: fields.checked("fetch"),
        }
    }

    /// The channel that the form describes, or messages at its fields. `existing` is the channel before the change: masked
    /// values and what is known of its models are taken from it.
    pub fn validate(
        &self,
        t: Messages,
        providers: &Providers,
        existing: Option<&Channel>,
    ) -> Result<NewChannel, FieldErrors> {
        let mut errors = FieldErrors::default();
        or_note(&mut errors, "name", rules::check_name(t, &self.name));
        or_note(&mut errors, "note", rules::check_length(t, &self.note, rules::MAX_NOTE_CHARS));
        or_note(&mut errors, "account", rules::check_length(t, &self.account, rules::MAX_NAME_CHARS));
        let protocol = Protocol::from_name(&self.protocol).unwrap_or_default();
        let priority = whole_number(t, &mut errors, "priority", &self.priority, PRIORITIES);
        let weight = whole_number(t, &mut errors, "weight", &self.weight, WEIGHTS);
        let base_url = self.base_url.trim_end_matches('/').to_owned();
        let private = t.channels.url_private();
        or_note(&mut errors, "base_url", rules::check_base_url(t, &base_url, self.allow_private, private));
        let provider = match self.provider.as_str() {
            "" => providers.proposed(&base_url),
            id => {
                let kept = existing.is_some_and(|channel| channel.provider == id);
                let known = if kept { Ok(()) } else { rules::check_provider(t, providers, id) };
                or_note(&mut errors, "provider", known);
                id
            }
        };
        let plan = or_note(&mut errors, "plan", self.checked_plan(t, providers, existing, provider));
        let names = or_note(&mut errors, "models", parse_models(t, &self.models));
        let models = names
            .into_iter()
            .map(|name| {
                existing
                    .and_then(|channel| channel.model(&name))
                    .cloned()
                    .unwrap_or(ChannelModel { name, ..Default::default() })
            })
            .collect();
        let redirects = or_note(&mut errors, "redirects", parse_redirects(t, &self.redirects));
        let endpoints = or_note(&mut errors, "endpoints", parse_endpoints(t, &self.endpoints));
        let groups = or_note(&mut errors, "groups", parse_groups(t, &self.groups));
        let old_headers = existing.map_or(&[][..], |channel| &channel.headers);
        let headers = or_note(&mut errors, "headers", parse_headers(t, &self.headers, old_headers));
        let old_proxy = existing.and_then(|channel| channel.proxy.as_ref());
        let proxy = or_note(&mut errors, "proxy", parse_proxy(t, &self.proxy, old_proxy));
        let timeouts = Timeouts {
            connect_ms: or_note(&mut errors, "connect_s", parse_seconds(t, &self.connect_s)),
            first_byte_ms: or_note(&mut errors, "first_byte_s", parse_seconds(t, &self.first_byte_s)),
            idle_ms: or_note(&mut errors, "idle_s", parse_seconds(t, &self.idle_s)),
        };
        let shaping = self.checked_shaping(t, providers.of(provider), existing, &mut errors);
        let budget = self.budget.validate(t, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(NewChannel {
            name: self.name.clone(),
            base_url,
            protocol,
            provider: provider.to_owned(),
            plan,
            priority,
            weight: u32::try_from(weight).unwrap_or(1),
            groups,
            headers,
            proxy,
            timeouts,
            allow_private: self.allow_private,
            note: self.note.clone(),
            enabled: self.enabled,
            endpoints,
            models,
            redirects,
            // They have a page of their own.
            limits: existing.map(|channel| channel.limits.clone()).unwrap_or_default(),
            shaping,
            budget,
        })
    }

    fn checked_shaping(
        &self,
        t: Messages,
        provider: &Provider,
        existing: Option<&Channel>,
        errors: &mut FieldErrors,
    ) -> Shaping {
        let mut shaping = Shaping::default();
        for line in self.fixes.split(['\n', '\r', ',', '，']).map(str::trim).filter(|line| !line.is_empty())
        {
            match line.split_once('=').map(|(id, word)| (id.trim(), word.trim())) {
                Some((id, "on")) => shaping.fixes.insert(id.to_owned(), true),
                Some((id, "off")) => shaping.fixes.insert(id.to_owned(), false),
                _ => {
                    errors.add("fixes", t.pool.fix_shape());
                    None
                }
            };
        }
        if !self.response_cache_s.is_empty() {
            let range = rules::RESPONSE_CACHE_S;
            let seconds = whole_number(t, errors, "response_cache_s", &self.response_cache_s, range);
            shaping.response_cache_s = u32::try_from(seconds).ok();
        }
        let kept = existing.map(|channel| &channel.shaping);
        for fault in rules::check_shaping(t, Some(provider), kept, &shaping) {
            let of_cache = fault.field == "shaping.response_cache_s";
            errors.add(if of_cache { "response_cache_s" } else { "fixes" }, fault.message);
        }
        shaping
    }

    fn checked_plan(
        &self,
        t: Messages,
        providers: &Providers,
        existing: Option<&Channel>,
        provider: &str,
    ) -> Result<Option<String>, String> {
        let Some((owner, plan)) = self.plan.split_once('/') else { return Ok(None) };
        if owner != provider {
            return Err(t.channels.plan_of_another(&rules::shortened(plan)));
        }
        let kept = existing
            .is_some_and(|channel| channel.provider == provider && channel.plan.as_deref() == Some(plan));
        match providers.find(provider) {
            Some(provider) if !kept => rules::check_plan(t, provider, plan)?,
            _ => {}
        }
        Ok(Some(plan.to_owned()))
    }
}

/// Reads names of endpoints, separated by commas.
pub(super) fn parse_endpoints(t: Messages, text: &str) -> Result<Endpoints, String> {
    Endpoints::parse(text).map_err(|name| {
        let all: Vec<&str> = Endpoint::ALL.iter().map(|endpoint| endpoint.as_str()).collect();
        t.channels.endpoint_unknown(&rules::shortened(&name), &all.join(", "))
    })
}

fn or_note<T: Default>(errors: &mut FieldErrors, field: &str, result: Result<T, String>) -> T {
    result.unwrap_or_else(|message| {
        errors.add(field, message);
        T::default()
    })
}

fn whole_number(
    t: Messages,
    errors: &mut FieldErrors,
    field: &str,
    text: &str,
    range: std::ops::RangeInclusive<i64>,
) -> i64 {
    match text.parse() {
        Ok(number) if range.contains(&number) => return number,
        Ok(_) => errors.add(field, t.common.field_out_of_range(*range.start(), *range.end())),
        Err(_) => errors.add(field, t.common.field_not_a_number()),
    }
    *range.start()
}

/// Reads a list of model names, one per line or separated by commas.
pub(in crate::web::admin) fn parse_models(t: Messages, text: &str) -> Result<Vec<String>, String> {
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for name in text.split(['\n', '\r', ',', '，', '、']).map(str::trim).filter(|name| !name.is_empty()) {
        if !rules::is_model_name(name) {
            return Err(t.channels.model_invalid(&name.chars().take(80).collect::<String>()));
        }
        if seen.insert(name) {
            names.push(name.to_owned());
        }
        if names.len() > MAX_MODELS {
            return Err(t.channels.too_many_models(MAX_MODELS));
        }
    }
    Ok(names)
}

/// Reads `public = upstream` lines. A colon is no separator: model names hold one (`deepseek-r1:free`).
pub(in crate::web::admin) fn parse_redirects(t: Messages, text: &str) -> Result<Vec<Redirect>, String> {
    let mut redirects: Vec<Redirect> = Vec::new();
    let mut seen = HashSet::new();
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let split = ["=>", "->", "→", "="].iter().find_map(|separator| line.split_once(separator));
        let (public, upstream) = split.map(|(a, b)| (a.trim(), b.trim())).unwrap_or_default();
        if !rules::is_model_name(public) || !rules::is_model_name(upstream) {
            return Err(t.channels.redirect_invalid(number));
        }
        if seen.insert((public, upstream)) {
            redirects.push(Redirect { public: public.into(), upstream: upstream.into() });
        }
        if redirects.len() > MAX_REDIRECTS {
            return Err(t.channels.too_many_redirects(MAX_REDIRECTS));
        }
    }
    Ok(redirects)
}

/// Writes what [`parse_redirects`] reads.
pub(super) fn show_redirects(redirects: &[Redirect]) -> String {
    let lines: Vec<String> =
        redirects.iter().map(|redirect| format!("{} = {}", redirect.public, redirect.upstream)).collect();
    lines.join("\n")
}

fn parse_groups(t: Messages, text: &str) -> Result<Vec<String>, String> {
    let mut groups: Vec<String> = Vec::new();
    let separators = |c: char| matches!(c, ',' | ';' | '，' | '；' | '、' | '\n' | '\r');
    for group in text.split(separators).map(str::trim).filter(|group| !group.is_empty()) {
        if !rules::is_group(group) || groups.len() >= rules::MAX_CHANNEL_GROUPS {
            return Err(t.channels.group_invalid().into());
        }
        if !groups.iter().any(|known| known == group) {
            groups.push(group.to_owned());
        }
    }
    Ok(groups)
}

/// A secret as a form shows it.
fn masked(value: &Secret) -> String {
    format!("{MASK}{}", value.last4())
}

fn parse_headers(t: Messages, text: &str, old: &[(String, Secret)]) -> Result<Vec<(String, Secret)>, String> {
    let c = t.channels;
    let mut headers: Vec<(String, Secret)> = Vec::new();
    let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    for (number, line) in (1..).zip(lines) {
        let (name, value) = line.split_once(':').ok_or_else(|| c.header_invalid(number))?;
        let (name, value) = (name.trim(), value.trim());
        rules::check_header_name(name).map_err(|problem| match problem {
            HeaderProblem::Invalid => c.header_invalid(number),
            HeaderProblem::Authorization => c.header_authorization().to_owned(),
            HeaderProblem::Own => c.header_refused(name),
        })?;
        let value = if value.contains('•') {
            let kept = old
                .iter()
                .find(|(known, secret)| known.eq_ignore_ascii_case(name) && masked(secret) == value);
            kept.map(|(_, secret)| secret.clone()).ok_or_else(|| c.header_masked(name))?
        } else {
            if !rules::is_header_value(value) {
                return Err(c.header_invalid(number));
            }
            Secret::new(value)
        };
        if headers.len() >= MAX_HEADERS {
            return Err(c.too_many_headers(MAX_HEADERS));
        }
        headers.push((name.to_owned(), value));
    }
    Ok(headers)
}

/// A proxy as a form shows it: its password masked.
fn masked_proxy(proxy: &Secret) -> String {
    let text = proxy.expose();
    let Some((scheme, rest)) = text.split_once("://") else { return MASK.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return text.to_owned() };
    let user = user.split_once(':').map_or_else(|| user.to_owned(), |(user, _)| format!("{user}:{MASK}"));
    format!("{scheme}://{user}@{host}")
}

fn parse_proxy(t: Messages, text: &str, old: Option<&Secret>) -> Result<Option<Secret>, String> {
    let c = t.channels;
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('•') {
        let unchanged = old.filter(|old| masked_proxy(old) == text);
        return unchanged.map(|old| Some(old.clone())).ok_or_else(|| c.proxy_masked().into());
    }
    if !rules::is_proxy(text) {
        return Err(c.proxy_invalid().into());
    }
    Ok(Some(Secret::new(text.trim_end_matches('/'))))
}

fn parse_seconds(t: Messages, text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    decimal::parse(text, 3)
        .filter(|ms| TIMEOUTS_MS.contains(ms))
        .and_then(|ms| u32::try_from(ms).ok())
        .map(Some)
        .ok_or_else(|| t.channels.seconds_invalid(TIMEOUTS_MS.end() / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn t() -> Messages {
        Messages::of(Lang::En)
    }

    fn form() -> ChannelForm {
        ChannelForm {
            name: "Example".into(),
            base_url: "https://api.example.com/v1/".into(),
            ..ChannelForm::blank()
        }
    }

    fn message(form: &ChannelForm, field: &str) -> String {
        let errors = form.validate(t(), &Providers::embedded(), None).unwrap_err();
        errors.find(field).unwrap_or_default().to_owned()
    }

    fn with_url(base_url: &str) -> ChannelForm {
        ChannelForm { base_url: base_url.into(), ..form() }
    }

    fn saved(new: NewChannel) -> Channel {
        new.with_id(crate::model::id::ChannelId(1))
    }

    #[test]
    fn a_base_url_is_an_address_without_credentials_query_or_endpoint() {
        let c = t().channels;
        assert_eq!(
            form().validate(t(), &Providers::embedded(), None).unwrap().base_url,
            "https://api.example.com/v1"
        );
        for (url, expected) in [
            ("api.example.com", c.url_invalid()),
            ("ftp://api.example.com", c.url_invalid()),
            ("https://", c.url_invalid()),
            ("https://user:password@api.example.com", c.url_credentials()),
            ("https://api.example.com/v1?key=1", c.url_query()),
            ("https://api.example.com/v1/chat/completions", c.url_endpoint()),
            ("", t().common.field_required()),
        ] {
            assert_eq!(message(&with_url(url), "base_url"), expected, "{url}");
        }
    }

    #[test]
    fn a_private_address_needs_its_switch() {
        for url in
            ["http://127.0.0.1:11434", "http://localhost/v1", "http://[::1]:8000", "http://192.168.1.5"]
        {
            assert_eq!(message(&with_url(url), "base_url"), t().channels.url_private(), "{url}");
            assert!(
                ChannelForm { allow_private: true, ..with_url(url) }
                    .validate(t(), &Providers::embedded(), None)
                    .is_ok()
            );
        }
    }

    #[test]
    fn redirects_are_read_with_every_usual_arrow_and_keep_colons() {
        let text = "smart = deepseek-r1:free\nsmart=>b\n\r\nfast -> c\nfast → d\nfast -> c";
        let redirects = parse_redirects(t(), text).unwrap();
        assert_eq!(show_redirects(&redirects), "smart = deepseek-r1:free\nsmart = b\nfast = c\nfast = d");
        assert_eq!(parse_redirects(t(), "a = b\nno arrow"), Err(t().channels.redirect_invalid(2)));
        assert!(parse_redirects(t(), "a b = c").is_err());
    }

    #[test]
    fn seconds_become_milliseconds_exactly() {
        assert_eq!(parse_seconds(t(), "2.5"), Ok(Some(2500)));
        assert_eq!(parse_seconds(t(), ""), Ok(None));
        for wrong in ["0", "0.0001", "-1", "ten", "3601"] {
            assert!(parse_seconds(t(), wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_of_our_own_and_credentials_are_refused_with_the_remedy() {
        let c = t().channels;
        let headers = |text: &str| message(&ChannelForm { headers: text.into(), ..form() }, "headers");
        assert_eq!(headers("authorization: Bearer x"), c.header_authorization());
        assert_eq!(headers("X-A: 1\nHost: example.com"), c.header_refused("Host"));
        assert_eq!(headers("X-A: 1\n\nno colon"), c.header_invalid(2));
        assert_eq!(headers("X-A: \u{7f}1"), c.header_invalid(1));
    }

    #[test]
    fn masked_values_are_kept_and_never_saved_as_they_are_shown() {
        let typed = ChannelForm {
            headers: "X-Secret: a-long-header-value\nX-Title: short".into(),
            proxy: "socks5://user:proxy-password@127.0.0.1:1080".into(),
            ..form()
        };
        let channel = saved(typed.validate(t(), &Providers::embedded(), None).unwrap());
        let shown = ChannelForm::of(&channel);
        assert_eq!(shown.headers, format!("X-Secret: {MASK}alue\nX-Title: {MASK}"));
        assert_eq!(shown.proxy, format!("socks5://user:{MASK}@127.0.0.1:1080"));
        let kept = shown.validate(t(), &Providers::embedded(), Some(&channel)).unwrap();
        assert_eq!(format!("{kept:?}"), format!("{:?}", NewChannel::from(&channel)));
        assert_eq!(kept.headers[0].1.expose(), "a-long-header-value");
        assert_eq!(kept.proxy.unwrap().expose(), "socks5://user:proxy-password@127.0.0.1:1080");

        let renamed = ChannelForm { headers: shown.headers.replace("X-Secret", "X-Other"), ..shown.clone() };
        let errors = renamed.validate(t(), &Providers::embedded(), Some(&channel)).unwrap_err();
        assert_eq!(errors.find("headers"), Some(&*t().channels.header_masked("X-Other")));
        let moved = ChannelForm { proxy: shown.proxy.replace("1080", "1081"), ..shown };
        assert!(
            moved.validate(t(), &Providers::embedded(), Some(&channel)).unwrap_err().find("proxy").is_some()
        );
    }

    #[test]
    fn a_proxy_is_one_of_the_four_kinds() {
        for good in [
            "http://10.0.0.1:3128",
            "https://p.example",
            "socks5://u:p@127.0.0.1:1080",
            "socks5h://p.example/",
        ] {
            assert!(parse_proxy(t(), good, None).is_ok(), "{good}");
        }
        for bad in ["10.0.0.1:3128", "ftp://p.example", "http://p.example/path", "socks5://"] {
            assert!(parse_proxy(t(), bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_known_of_a_model_outlives_an_edit_of_the_list() {
        let mut channel = saved(
            ChannelForm { models: "a\nb".into(), ..form() }
                .validate(t(), &Providers::embedded(), None)
                .unwrap(),
        );
        channel.models[1].context_window = Some(8192);
        let edited = ChannelForm { models: "b\nc, b".into(), ..ChannelForm::of(&channel) };
        let models = edited.validate(t(), &Providers::embedded(), Some(&channel)).unwrap().models;
        let names: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.context_window)).collect();
        assert_eq!(names, [("b", Some(8192)), ("c", None)]);
        assert!(!message(&ChannelForm { models: "a b".into(), ..form() }, "models").is_empty());
    }
}
