//! Operators' accounts, their sessions and access tokens.

use super::{
    id::{AccessTokenId, SessionId, UserId},
    time::UnixMs,
};

/// How many characters a password has. A longer one costs only time.
pub const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=200;

/// An operator's account.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The name to log in with; letter case does not matter.
    pub name: String,
    /// Whether the next login must set a new password (after `admin reset-password`).
    pub must_change_password: bool,
    /// The language of the pages, `en` or `zh`; `None` follows the browser.
    pub language: Option<String>,
    /// `light` or `dark`; `None` follows the system.
    pub theme: Option<String>,
}

/// A browser session of an account.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id; the cookie's value is a different, random secret of which only the hash is stored.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When the operator logged in.
    pub created_at: UnixMs,
    /// When it was last used, to the minute.
    pub seen_at: UnixMs,
    /// The address that it was last used from.
    pub address: String,
    /// The browser's `User-Agent`, shortened.
    pub user_agent: String,
}

/// A script's credential for the admin API, without its value: only a hash of that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its id.
    pub id: AccessTokenId,
    /// The operator's name for it; unique in the account.
    pub name: String,
    /// The last four characters of its value.
    pub last4: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it ends; `None` means never.
    pub expires_at: Option<UnixMs>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<UnixMs>,
}
