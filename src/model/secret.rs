//! Values that must never be printed.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: an upstream key, a client token, a proxy address with a password.
///
/// `Debug` is redacted, there is no `Display` and no `Serialize`; the memory is wiped when the value is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text; the caller's own copies are the caller's to forget.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, the only part that pages show; empty for secrets of fewer than twelve characters,
    /// of which four would be too much.
    pub fn last4(&self) -> String {
        let count = self.0.chars().count();
        if count < 12 { String::new() } else { self.0.chars().skip(count - 4).collect() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 of a credential. Only the hash is ever used to look one up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// Hashes a credential as a client presents it. The credentials are random, so a plain hash is enough.
    pub fn of(text: &str) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_redacted_in_debug_output_and_shows_four_characters_at_most() {
        let secret = Secret::new("nvapi-1234567890abcdef");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.last4(), "cdef");
        assert_eq!(Secret::new("short").last4(), "");
    }
}
