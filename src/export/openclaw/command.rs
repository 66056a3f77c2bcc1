//! Commands for a POSIX shell that bring an export to OpenClaw.

use super::{ExportOptions, Part};

/// The command that fetches a token's configuration and merges it into OpenClaw's. It reads the token's value from the
/// variable of the options. `public_url` has no trailing slash. A dry run changes nothing, and the next export does not count
/// it.
pub fn apply_command(
    public_url: &str,
    options: &ExportOptions,
    replace_paths: &[String],
    dry_run: bool,
) -> String {
    // How the value and the text stand is this command's own business.
    let mut asked = ExportOptions { key: None, form: None, remember: None, ..options.clone() };
    let variable = std::mem::replace(&mut asked.variable, super::KEY_VARIABLE.to_owned());
    if dry_run {
        asked.remember = Some(false);
    }
    let query = asked.query();
    let separator = if query.is_empty() { "" } else { "?" };
    let url = shell_quoted(&format!("{public_url}/openclaw.json5{separator}{query}"));
    let mut command = format!(
        "curl -fsS -H \"Authorization: Bearer ${variable}\" {url} \\\n  | openclaw config patch --stdin"
    );
    for path in replace_paths {
        command.push_str(&format!(" --replace-path {}", shell_quoted(path)));
    }
    if dry_run {
        command.push_str(" --dry-run --json");
    }
    command
}

/// The command that sets a new OpenClaw up with one model; the rest comes with [`apply_command`].
pub fn onboard_command(base_url: &str, options: &ExportOptions, model: &str, vision: bool) -> String {
    debug_assert!(options.part == Part::Chat, "media come on top of chat");
    format!(
        "openclaw onboard --non-interactive --accept-risk --auth-choice custom-api-key \\\n  --custom-base-url {} \
         --custom-api-key \"${}\" \\\n  --custom-model-id {} --custom-provider-id {} --custom-compatibility openai{} \\\n  \
         --skip-daemon --skip-health --skip-channels --skip-skills --skip-search --skip-ui",
        shell_quoted(base_url),
        options.variable,
        shell_quoted(model),
        options.provider_id,
        if vision { " --custom-image-input" } else { "" },
    )
}

/// A word of a POSIX shell; quoted only if it has to be.
pub fn shell_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::openclaw::KeyForm;

    #[test]
    fn the_command_names_what_was_chosen_and_reads_the_token_from_the_chosen_variable() {
        let paths = ["models.providers.onepool.models".to_owned()];
        assert_eq!(
            apply_command("https://pool.example", &ExportOptions::default(), &paths, false),
            "curl -fsS -H \"Authorization: Bearer $ONEPOOL_API_KEY\" https://pool.example/openclaw.json5 \\\n  | openclaw \
             config patch --stdin --replace-path models.providers.onepool.models"
        );
        let options = ExportOptions {
            models: vec!["org/b:free".into(), "a b".into()],
            variable: "POOL_KEY".into(),
            key: Some(KeyForm::Environment),
            ..ExportOptions::default()
        };
        let command = apply_command("http://h", &options, &paths, true);
        let url = "'http://h/openclaw.json5?model=org%2Fb%3Afree&model=a+b&remember=false'";
        assert!(command.contains(url) && command.contains("Bearer $POOL_KEY\""), "{command}");
        assert!(command.ends_with("--dry-run --json"), "{command}");
    }

    #[test]
    fn a_shell_takes_a_quoted_word_as_it_is() {
        assert_eq!(shell_quoted("https://h/v1"), "https://h/v1");
        assert_eq!(shell_quoted("a'b$(id)"), r"'a'\''b$(id)'");
        assert_eq!(shell_quoted(""), "''");
    }
}
