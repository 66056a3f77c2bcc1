//! A token's form: its values as they were typed, and what they mean. Pure.

use ipnet::IpNet;
use jiff::civil::DateTime;

use super::dollars;
use crate::{
    i18n::Messages,
    model::{
        id::TokenId,
        secret::Secret,
        time::UnixMs,
        token::{AtLimit, ClientProfile, Quota, QuotaReset, QuotaUnit, Token, WarnLevels},
    },
    pool::rules::{self, REQUESTS_PER_MINUTE, TOKEN_WEIGHT},
    storage::tokens::{NewToken, ValueProblem, check_value, new_value},
    web::{
        admin::budgets::BudgetFields,
        form::{FieldErrors, Fields},
    },
};

/// When a token ends, as the form offers it.
const EXPIRY_DAYS: [(&str, i64); 4] = [("week", 7), ("month", 30), ("quarter", 90), ("year", 365)];

/// The values of a token's form, as they were typed.
#[derive(Debug, Clone, Default)]
pub struct TokenForm {
    pub name: String,
    /// Whether `value` is to be taken over, instead of generating one.
    pub take_over: bool,
    pub value: String,
    pub models: String,
    pub groups: String,
    pub cidrs: String,
    /// `entered`, `never`, or a name of [`EXPIRY_DAYS`].
    pub expiry: String,
    pub expires_at: String,
    /// A [`QuotaUnit`], or empty.
    pub quota_unit: String,
    pub quota_limit: String,
    pub quota_reset: String,
    pub quota_warn_at: String,
    /// An [`AtLimit`].
    pub quota_at_limit: String,
    pub requests_per_minute: String,
    pub weight: String,
    pub profile: String,
    pub note: String,
    pub enabled: bool,
}

impl TokenForm {
    /// The form of a token that is to be made.
    pub fn blank() -> Self {
        Self {
            expiry: "never".into(),
            quota_reset: QuotaReset::Month.as_str().into(),
            quota_warn_at: WarnLevels::default().to_string(),
            profile: ClientProfile::Generic.as_str().into(),
            enabled: true,
            ..Self::default()
        }
    }

    /// The form of a token that exists.
    pub fn of(token: &Token, zone: &jiff::tz::TimeZone) -> Self {
        let cidrs: Vec<String> = token.cidrs.iter().map(rules::show_network).collect();
        Self {
            name: token.name.clone(),
            models: token.models.join("\n"),
            groups: token.groups.join(", "),
            cidrs: cidrs.join("\n"),
            expiry: if token.expires_at.is_some() { "entered" } else { "never" }.into(),
            expires_at: token.expires_at.map(|at| input_time(at, zone)).unwrap_or_default(),
            quota_unit: token.quota.map(|quota| quota.unit.as_str().to_owned()).unwrap_or_default(),
            quota_limit: token
                .quota
                .map(|quota| match quota.unit {
                    QuotaUnit::Dollars => dollars(quota.limit),
                    QuotaUnit::Tokens | QuotaUnit::Requests => quota.limit.to_string(),
                })
                .unwrap_or_default(),
            quota_reset: token.quota.map_or(QuotaReset::Month, |quota| quota.reset).as_str().into(),
            quota_warn_at: token.quota.map(|quota| quota.warn_at).unwrap_or_default().to_string(),
            quota_at_limit: token.quota.map_or(AtLimit::Stop, |quota| quota.at_limit).as_str().into(),
            requests_per_minute: token.requests_per_minute.map(|rate| rate.to_string()).unwrap_or_default(),
            weight: token.weight.to_string(),
            profile: token.profile.as_str().into(),
            note: token.note.clone(),
            enabled: token.enabled,
            ..Self::default()
        }
    }

    /// What was sent. Models that were ticked join those that were typed.
    pub fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        let mut models = text("models");
        for picked in fields.all("pick") {
            if !entries(&models).any(|entry| entry.eq_ignore_ascii_case(picked)) {
                if !models.is_empty() {
                    models.push('\n');
                }
                models.push_str(picked);
            }
        }
        Self {
            name: text("name"),
            take_over: text("value_source") == "given",
            value: text("value"),
            models,
            groups: text("groups"),
            cidrs: text("cidrs"),
            expiry: text("expiry"),
            expires_at: text("expires_at"),
            quota_unit: text("quota_unit"),
            quota_limit: text("quota_limit"),
            quota_reset: text("quota_reset"),
            quota_warn_at: text("quota_warn_at"),
            quota_at_limit: text("quota_at_limit"),
            requests_per_minute: text("requests_per_minute"),
            weight: text("weight"),
            profile: text("profile"),
            note: text("note"),
            enabled: fields.checked("enabled"),
        }
    }

    /// The value of a new token: a generated one, or the one to take over.
    pub fn validate_value(&self, t: &Messages, errors: &mut FieldErrors) -> Secret {
        if !self.take_over {
            return new_value();
        }
        match check_value(&self.value) {
            _ if self.value.is_empty() => errors.add("value", t.common.field_required()),
            Ok(()) => {}
            Err(ValueProblem::Length) => errors.add("value", t.token_form.value_length()),
            Err(ValueProblem::Characters) => errors.add("value", t.token_form.value_characters()),
        }
        Secret::new(self.value.as_str())
    }

    /// What the other fields mean: `known` with what was entered, or a token that has no id and value yet. An expiry
    /// that `known` already has may be past. What comes back is of use only if no error was noted.
    pub fn validate(
        &self,
        known: Option<&Token>,
        now: UnixMs,
        zone: &jiff::tz::TimeZone,
        t: &Messages,
        errors: &mut FieldErrors,
    ) -> Token {
        for (field, result) in [
            ("name", rules::check_name(*t, &self.name)),
            ("note", rules::check_length(*t, &self.note, rules::MAX_NOTE_CHARS)),
        ] {
            if let Err(message) = result {
                errors.add(field, message);
            }
        }
        Token {
            id: known.map_or(TokenId(0), |token| token.id),
            name: self.name.clone(),
            last4: known.map(|token| token.last4.clone()).unwrap_or_default(),
            models: self.models(t, errors),
            groups: self.groups(t, errors),
            cidrs: self.cidrs(t, errors),
            expires_at: self.expires_at(known, now, zone, t, errors),
            quota: self.quota(t, errors),
            requests_per_minute: self.requests_per_minute(t, errors),
            weight: self.weight(t, errors),
            profile: ClientProfile::from_name(&self.profile).unwrap_or(ClientProfile::Generic),
            note: self.note.clone(),
            enabled: self.enabled,
            created_at: known.map_or(now, |token| token.created_at),
        }
    }

    fn models(&self, t: &Messages, errors: &mut FieldErrors) -> Vec<String> {
        let models = distinct(entries(&self.models));
        for entry in &models {
            if let Err(message) = rules::check_model_scope(*t, entry) {
                errors.add("models", message);
            }
        }
        self.check_count("models", models.len(), t, errors);
        models
    }

    fn groups(&self, t: &Messages, errors: &mut FieldErrors) -> Vec<String> {
        let entries = self.groups.split([',', '，', ';', '\n']).map(str::trim);
        let groups = distinct(entries.filter(|entry| !entry.is_empty()));
        for entry in groups.iter().filter(|entry| !rules::is_group(entry)) {
            errors.add("groups", t.token_form.group_too_long(&rules::shortened(entry)));
        }
        self.check_count("groups", groups.len(), t, errors);
        groups
    }

    fn cidrs(&self, t: &Messages, errors: &mut FieldErrors) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for entry in entries(&self.cidrs) {
            match rules::read_network(*t, entry) {
                Ok(network) if !networks.contains(&network) => networks.push(network),
                Ok(_) => {}
                Err(message) => errors.add("cidrs", message),
            }
        }
        self.check_count("cidrs", networks.len(), t, errors);
        networks
    }

    fn check_count(&self, field: &str, count: usize, t: &Messages, errors: &mut FieldErrors) {
        if count > rules::MAX_ENTRIES {
            errors.add(field, t.token_form.too_many(rules::MAX_ENTRIES));
        }
    }

    fn expires_at(
        &self,
        known: Option<&Token>,
        now: UnixMs,
        zone: &jiff::tz::TimeZone,
        t: &Messages,
        errors: &mut FieldErrors,
    ) -> Option<UnixMs> {
        if self.expiry == "never" {
            return None;
        }
        if let Some((_, days)) = EXPIRY_DAYS.iter().find(|(name, _)| *name == self.expiry) {
            let end = now.zoned(zone).saturating_add(jiff::Span::new().days(*days));
            return Some(UnixMs(end.timestamp().as_millisecond()));
        }
        if self.expires_at.is_empty() {
            return None;
        }
        // The field has no seconds: what was not touched stays exactly as it is.
        let before = known.and_then(|token| token.expires_at);
        if let Some(before) = before
            && input_time(before, zone) == self.expires_at
        {
            return Some(before);
        }
        let entered = self
            .expires_at
            .parse::<DateTime>()
            .and_then(|time| time.to_zoned(zone.clone()))
            .map(|time| UnixMs(time.timestamp().as_millisecond()));
        match entered {
            Err(_) => errors.add("expires_at", t.token_form.expires_at_wrong()),
            Ok(at) if at <= now => errors.add("expires_at", t.token_form.expires_at_past()),
            Ok(at) => return Some(at),
        }
        None
    }

    fn quota(&self, t: &Messages, errors: &mut FieldErrors) -> Option<Quota> {
        let Some(unit) = QuotaUnit::from_name(&self.quota_unit) else {
            if !self.quota_limit.is_empty() {
                errors.add("quota_unit", t.token_form.quota_unit_missing());
            }
            return None;
        };
        let reset = QuotaReset::from_name(&self.quota_reset).unwrap_or(QuotaReset::Never);
        let quota = rules::read_quota(*t, unit, &self.quota_limit, reset);
        let quota = quota.map_err(|message| errors.add("quota_limit", message)).ok();
        let warn_at = WarnLevels::parse(&self.quota_warn_at);
        if warn_at.is_none() {
            errors.add("quota_warn_at", t.budgets.levels_wrong(WarnLevels::MOST));
        }
        let at_limit = AtLimit::from_name(&self.quota_at_limit).unwrap_or_default();
        Some(Quota { warn_at: warn_at?, at_limit, ..quota? })
    }

    fn weight(&self, t: &Messages, errors: &mut FieldErrors) -> u32 {
        // Forms of scripts from before may leave it out.
        if self.weight.is_empty() {
            return 1;
        }
        match self.weight.parse::<i64>() {
            Err(_) => errors.add("weight", t.common.field_not_a_number()),
            Ok(weight) if !TOKEN_WEIGHT.contains(&weight) => {
                errors.add("weight", t.common.field_out_of_range(*TOKEN_WEIGHT.start(), *TOKEN_WEIGHT.end()));
            }
            Ok(weight) => return u32::try_from(weight).unwrap_or(1),
        }
        1
    }

    fn requests_per_minute(&self, t: &Messages, errors: &mut FieldErrors) -> Option<u32> {
        if self.requests_per_minute.is_empty() {
            return None;
        }
        match self.requests_per_minute.parse::<i64>() {
            Err(_) => errors.add("requests_per_minute", t.common.field_not_a_number()),
            Ok(rate) if !REQUESTS_PER_MINUTE.contains(&rate) => {
                let (least, most) = (*REQUESTS_PER_MINUTE.start(), *REQUESTS_PER_MINUTE.end());
                errors.add("requests_per_minute", t.common.field_out_of_range(least, most));
            }
            Ok(rate) => return u32::try_from(rate).ok(),
        }
        None
    }

    /// The choices of the expiry, with their labels.
    pub fn expiry_choices(t: &Messages) -> [(&'static str, &'static str); 6] {
        [
            ("never", t.token_form.expiry_never()),
            ("week", t.token_form.expiry_week()),
            ("month", t.token_form.expiry_month()),
            ("quarter", t.token_form.expiry_quarter()),
            ("year", t.token_form.expiry_year()),
            ("entered", t.token_form.expiry_entered()),
        ]
    }

    /// The choices of the quota's unit, with their labels.
    pub fn unit_choices(t: &Messages) -> [(&'static str, &'static str); 4] {
        [
            ("", t.token_form.unit_none()),
            (QuotaUnit::Dollars.as_str(), t.token_form.unit_dollars()),
            (QuotaUnit::Tokens.as_str(), t.token_form.unit_tokens()),
            (QuotaUnit::Requests.as_str(), t.token_form.unit_requests()),
        ]
    }

    /// The choices of the quota's reset, with their labels.
    pub fn reset_choices(t: &Messages) -> [(&'static str, &'static str); 5] {
        BudgetFields::resets(t)
    }

    /// The choices of what happens when the quota is used up, with their labels.
    pub fn at_limit_choices(t: &Messages) -> [(&'static str, &'static str); 2] {
        BudgetFields::at_limits(t)
    }
}

/// A validated form and the value that goes with it, as storage takes them.
pub fn new_token(token: Token, value: Secret) -> NewToken {
    NewToken {
        name: token.name,
        value,
        models: token.models,
        groups: token.groups,
        cidrs: token.cidrs,
        expires_at: token.expires_at,
        quota: token.quota,
        requests_per_minute: token.requests_per_minute,
        weight: token.weight,
        profile: token.profile,
        note: token.note,
        enabled: token.enabled,
    }
}

/// The parts of a list: one per line, or separated by spaces or commas.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '，' | ';')).filter(|entry| !entry.is_empty())
}

fn distinct<'a>(entries: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    entries.filter(|entry| seen.insert(entry.to_lowercase())).map(str::to_owned).collect()
}

/// A time as `<input type="datetime-local">` has it.
fn input_time(at: UnixMs, zone: &jiff::tz::TimeZone) -> String {
    at.zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn checked(sent: &str) -> (NewToken, FieldErrors) {
        let t = Messages::of(Lang::En);
        let form = TokenForm::read(&Fields::parse(sent.as_bytes()));
        let mut errors = FieldErrors::default();
        let value = form.validate_value(&t, &mut errors);
        let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        let token = form.validate(None, NOW, &zone, &t, &mut errors);
        (new_token(token, value), errors)
    }

    fn message(sent: &str, field: &str) -> String {
        checked(sent).1.find(field).unwrap_or_default().to_owned()
    }

    #[test]
    fn a_name_alone_makes_a_token_without_limits() {
        let (token, errors) = checked("name=Laptop&value_source=generated&enabled=true&expiry=entered");
        assert!(errors.is_empty());
        assert_eq!(token.name, "Laptop");
        assert!(token.value.expose().starts_with("sk-") && token.enabled && token.models.is_empty());
        assert_eq!((token.quota, token.expires_at, token.requests_per_minute), (None, None, None));
    }

    #[test]
    fn models_are_separated_by_anything_and_ticked_ones_join_them_once() {
        let (token, errors) = checked("name=t&models=gpt-*%2C+Qwen%0Aqwen&pick=llama&pick=QWEN");
        assert!(errors.is_empty());
        assert_eq!(token.models, ["gpt-*", "Qwen", "llama"]);
        assert!(message("name=t&models=g*pt", "models").contains("`g*pt`"));
    }

    #[test]
    fn a_bad_network_is_named_and_good_ones_are_normalised() {
        assert!(message("name=t&cidrs=10.0.0.0%2F8%0A10.0.0.300", "cidrs").contains("`10.0.0.300`"));
        let (token, errors) =
            checked("name=t&cidrs=10.1.2.3%2F8+203.0.113.7+2001%3Adb8%3A%3A%2F32+::ffff:192.0.2.1");
        assert!(errors.is_empty());
        let written: Vec<String> = token.cidrs.iter().map(rules::show_network).collect();
        assert_eq!(written, ["10.0.0.0/8", "203.0.113.7", "2001:db8::/32", "192.0.2.1"]);
    }

    #[test]
    fn an_expiry_is_read_in_the_servers_zone() {
        let (token, _) = checked("name=t&expiry=entered&expires_at=2027-06-01T08%3A00");
        let expected: jiff::Timestamp = "2027-06-01T00:00:00Z".parse().unwrap();
        assert_eq!(token.expires_at, Some(UnixMs(expected.as_millisecond())));
        let (token, _) = checked("name=t&expiry=week&expires_at=2027-06-01T08%3A00");
        assert_eq!(token.expires_at, Some(UnixMs(NOW.0 + 7 * 86_400_000)));
        assert!(checked("name=t&expiry=never&expires_at=2027-06-01T08%3A00").0.expires_at.is_none());
        assert!(message("name=t&expires_at=tomorrow", "expires_at").contains("2027-01-31T18:00"));
        assert!(message("name=t&expires_at=2020-01-01T00%3A00", "expires_at").contains("past"));
    }

    #[test]
    fn an_expiry_that_was_not_touched_keeps_its_seconds_and_may_be_past() {
        let zone = jiff::tz::TimeZone::UTC;
        let t = Messages::of(Lang::En);
        let token = Token {
            id: TokenId(5),
            name: "t".into(),
            last4: "abcd".into(),
            models: vec!["gpt-*".into()],
            groups: vec!["a".into(), "b c".into()],
            cidrs: vec!["192.0.2.1/32".parse().unwrap()],
            expires_at: Some(UnixMs(1_700_000_012_345)),
            quota: Some(Quota::new(QuotaUnit::Dollars, 2_500_000, QuotaReset::Week)),
            requests_per_minute: Some(7),
            weight: 3,
            profile: ClientProfile::OpenClaw,
            note: "n".into(),
            enabled: false,
            created_at: NOW,
        };
        let mut errors = FieldErrors::default();
        let again = TokenForm::of(&token, &zone).validate(Some(&token), NOW, &zone, &t, &mut errors);
        assert!(errors.is_empty());
        assert_eq!(again.expires_at, token.expires_at);
        assert_eq!((again.id, again.last4), (token.id, token.last4));
        assert_eq!((again.models, again.groups, again.cidrs), (token.models, token.groups, token.cidrs));
        assert_eq!((again.quota, again.requests_per_minute), (token.quota, token.requests_per_minute));
        assert_eq!((again.profile, again.enabled, again.weight), (token.profile, token.enabled, 3));
    }

    #[test]
    fn a_quota_needs_a_unit_and_an_amount_that_suits_it() {
        let quota =
            |sent: &str| checked(&format!("name=t&quota_reset=day&{sent}")).0.quota.map(|quota| quota.limit);
        assert_eq!(quota("quota_unit=dollars&quota_limit=2.5"), Some(2_500_000));
        assert_eq!(quota("quota_unit=dollars&quota_limit=$.000001"), Some(1));
        assert_eq!(quota("quota_unit=tokens&quota_limit=1000000"), Some(1_000_000));
        for wrong in ["0", "-1", "1.2345678", "1,5", ".", "9999999999999999999"] {
            assert_ne!(
                message(&format!("name=t&quota_unit=dollars&quota_limit={wrong}"), "quota_limit"),
                "",
                "{wrong}"
            );
        }
        assert_ne!(message("name=t&quota_unit=requests&quota_limit=1.5", "quota_limit"), "");
        assert_ne!(message("name=t&quota_unit=requests&quota_limit=%2B5", "quota_limit"), "");
        assert_ne!(message("name=t&quota_unit=&quota_limit=5", "quota_unit"), "");
        assert_eq!(message("name=t&quota_unit=tokens", "quota_limit"), "Please fill this in.");
    }

    #[test]
    fn a_value_to_take_over_is_checked() {
        let value = "x".repeat(32);
        assert_eq!(checked(&format!("name=t&value_source=given&value={value}")).0.value.expose(), value);
        assert!(message("name=t&value_source=given&value=short", "value").contains("32 to 128"));
        assert!(message("name=t&value_source=given&value=a+b", "value").contains("ASCII"));
        assert_eq!(message("name=t&value_source=given", "value"), "Please fill this in.");
        assert_eq!(message("name=", "name"), "Please fill this in.");
        assert_ne!(message("name=t&requests_per_minute=0", "requests_per_minute"), "");
        assert_ne!(message("name=t&weight=101", "weight"), "");
    }
}
