//! The code of the set-up link, which proves that a visitor can read the server's output.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use crate::model::secret::Secret;

/// The code, while there is no account; it lives in memory only, so every start has another one.
///
/// While [`is_open`](Self::is_open), nothing but the set-up page answers. Create the account with
/// [`Db::create_account`](crate::storage::Db::create_account), which lets only one of two visitors win, and then
/// [`close`](Self::close).
#[derive(Debug, Default)]
pub struct SetupCode(Mutex<Option<Secret>>);

impl SetupCode {
    /// A new random code of 192 bits. The default value, in contrast, is closed.
    pub fn new() -> Self {
        Self(Mutex::new(Some(Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>())))))
    }

    /// Whether the server still waits for its first account.
    pub fn is_open(&self) -> bool {
        self.code().is_some()
    }

    /// Whether a visitor's code is the right one. Takes the same time for every wrong code of the right length.
    pub fn matches(&self, presented: &str) -> bool {
        self.code().as_ref().is_some_and(|code| code.expose().as_bytes().ct_eq(presented.as_bytes()).into())
    }

    /// Ends the set-up, once the account exists. From then on no code matches, and all pages answer.
    pub fn close(&self) {
        *self.code() = None;
    }

    /// Path and query of the set-up page, for the link that is printed at the start; `None` once it is closed.
    pub fn path(&self) -> Option<String> {
        self.code().as_ref().map(|code| format!("/setup?code={}", code.expose()))
    }

    fn code(&self) -> MutexGuard<'_, Option<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_matches_itself_only_and_nothing_once_it_is_closed() {
        let code = SetupCode::new();
        let path = code.path().unwrap();
        let text = path.strip_prefix("/setup?code=").unwrap();
        assert_eq!(text.len(), 32);
        assert!(code.matches(text));
        assert!(!code.matches(""));
        assert!(!code.matches(&text[1..]));
        assert!(!SetupCode::new().matches(text));
        code.close();
        assert!(!code.matches(text) && !code.is_open() && code.path().is_none());
        assert!(!SetupCode::default().matches(""));
    }
}
