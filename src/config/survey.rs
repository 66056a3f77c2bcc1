//! Every setting as it is in force and where it comes from, wrong ones included: for `onepool check-config`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConfigError, Kind, PASSWORD_CHARACTERS, Problem, Setting, TABLE, secret_file, unusable};
use crate::model::token::named_enum;

named_enum! {
    /// Where a value comes from.
    Origin {
        /// The command line.
        Flag = "flag",
        /// The environment.
        Environment = "environment",
        /// The file that a secret's `_FILE` names.
        File = "file",
        /// The settings page.
        Saved = "saved",
        /// The table of settings.
        Default = "default",
    }
}

/// A setting as it is in force.
#[derive(Debug)]
pub struct Finding {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value; of a secret never more than `set`. Empty if it has none.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Why it cannot be used.
    pub problem: Option<ConfigError>,
}

/// Looks every setting up: in `flag`, then in `env` (both take the environment's name), then in what is `saved`, then in
/// the table. All problems are found, not only the first.
pub fn survey(
    flag: impl Fn(&str) -> Option<String>,
    env: impl Fn(&str) -> Option<String>,
    saved: &BTreeMap<String, String>,
) -> Vec<Finding> {
    TABLE.iter().map(|setting| find(setting, &flag, &env, saved)).collect()
}

fn find(
    setting: &'static Setting,
    flag: &impl Fn(&str) -> Option<String>,
    env: &impl Fn(&str) -> Option<String>,
    saved: &BTreeMap<String, String>,
) -> Finding {
    let name = setting.name;
    let env = |name: &str| env(name).filter(|text| !text.is_empty());
    let is_secret = setting.kind == Kind::Secret;
    let file = |source: &dyn Fn(&str) -> Option<String>| {
        if is_secret { secret_file(name, &source).transpose() } else { None }
    };
    let saved = saved.get(name).filter(|_| setting.at_run_time).cloned();
    let (value, origin) = if let Some(value) = flag(name) {
        (Ok(value), Origin::Flag)
    } else if let Some(read) = file(flag) {
        (read, Origin::File)
    } else if let Some(value) = env(name) {
        (Ok(value), Origin::Environment)
    } else if let Some(read) = file(&env) {
        (read, Origin::File)
    } else if let Some(value) = saved {
        (Ok(value), Origin::Saved)
    } else {
        (Ok(setting.default.to_owned()), Origin::Default)
    };
    let (value, problem) = match value {
        Ok(value) => {
            let problem = problem(setting, &value, origin).map(|problem| unusable(name, problem));
            let shown = if is_secret && !value.is_empty() { "set".to_owned() } else { value };
            (shown, problem)
        }
        Err(error) => (String::new(), Some(error)),
    };
    Finding { setting, value, origin, problem }
}

fn problem(setting: &Setting, value: &str, origin: Origin) -> Option<Problem> {
    if origin == Origin::Default {
        return None;
    }
    let characters = value.chars().count();
    match setting.name {
        "SECRET_KEY" if characters < 32 => Some(Problem::ShortKey),
        "ADMIN_PASSWORD" if !PASSWORD_CHARACTERS.contains(&characters) => Some(Problem::PasswordLength),
        _ if setting.kind.accepts(value) => None,
        _ => Some(Problem::Value { value: value.to_owned(), kind: setting.kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(flags: &[(&str, &str)], env: &[(&str, &str)], saved: &[(&str, &str)]) -> Vec<Finding> {
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let (flags, env) = (of(flags), of(env));
        survey(|name| flags.get(name).cloned(), |name| env.get(name).cloned(), &of(saved))
    }

    fn named<'a>(found: &'a [Finding], name: &str) -> &'a Finding {
        found.iter().find(|finding| finding.setting.name == name).unwrap()
    }

    #[test]
    fn each_value_is_shown_with_the_place_that_it_comes_from() {
        let found = look(
            &[("PORT", "81"), ("RETENTION_DAYS", "7")],
            &[("PORT", "82"), ("MAX_BODY_MB", "5"), ("LOG_FORMAT", "")],
            &[("RETENTION_DAYS", "8"), ("MAX_ATTEMPTS", "3"), ("DATA_DIR", "/not/from/there")],
        );
        for (name, value, origin) in [
            ("PORT", "81", Origin::Flag),
            ("RETENTION_DAYS", "7", Origin::Flag),
            ("MAX_BODY_MB", "5", Origin::Environment),
            ("MAX_ATTEMPTS", "3", Origin::Saved),
            ("LOG_FORMAT", "text", Origin::Default),
            ("DATA_DIR", "./data", Origin::Default),
        ] {
            let finding = named(&found, name);
            assert_eq!((finding.value.as_str(), finding.origin), (value, origin), "{name}");
            assert_eq!(finding.problem, None, "{name}");
        }
        assert_eq!(found.len(), TABLE.len());
    }

    #[test]
    fn all_wrong_values_are_found_and_no_secret_is_shown() {
        let found = look(
            &[("PORT", "x"), ("SECRET_KEY_FILE", "/no/such/file")],
            &[("LISTEN", "everywhere"), ("ADMIN_PASSWORD", "short")],
            &[("MAX_ATTEMPTS", "none")],
        );
        let wrong: Vec<&str> = found
            .iter()
            .filter(|finding| finding.problem.is_some())
            .map(|finding| finding.setting.name)
            .collect();
        assert_eq!(wrong, ["LISTEN", "PORT", "SECRET_KEY", "ADMIN_PASSWORD", "MAX_ATTEMPTS"]);
        assert!(!format!("{found:?}").contains("short\""));
        let key = "a master key that nobody may see anywhere";
        let found = look(&[], &[("SECRET_KEY", key)], &[]);
        assert_eq!(named(&found, "SECRET_KEY").value, "set");
        assert!(!format!("{found:?}").contains(key));
    }
}
