//! Seals and opens secrets under the master key.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{StorageError, StorageResult};
use crate::model::secret::Secret;

const NONCE_LEN: usize = 24;
const CANARY: &str = "onepool canary 1";

/// Seals secrets with XChaCha20-Poly1305 under the master key. Cheap to clone.
///
/// Every box is bound to its purpose and row (`context`), so that a sealed value moved to another row doesn't open.
#[derive(Clone)]
pub struct Vault {
    cipher: Arc<XChaCha20Poly1305>,
    fingerprint_key: Arc<Zeroizing<[u8; 32]>>,
}

impl Vault {
    /// A vault under a master key. What seals is a SHA-256 of the text, so the text itself must be long and random:
    /// the settings and the data folder refuse fewer than 32 characters.
    pub fn new(master_key: &Secret) -> Self {
        let derive = |purpose: &str| {
            let mut digest = Sha256::new();
            digest.update(purpose.as_bytes());
            digest.update([0]);
            digest.update(master_key.expose().as_bytes());
            Zeroizing::new(<[u8; 32]>::from(digest.finalize()))
        };
        let key = derive("onepool seal");
        Self {
            cipher: Arc::new(XChaCha20Poly1305::new((&*key).into())),
            fingerprint_key: Arc::new(derive("onepool fingerprint")),
        }
    }

    /// Seals a text for a context such as `key:12`.
    pub fn seal(&self, context: &str, secret: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let payload = Payload { msg: secret.as_bytes(), aad: context.as_bytes() };
        let mut sealed = nonce.to_vec();
        sealed.extend(
            self.cipher
                .encrypt(&XNonce::from(nonce), payload)
                .expect("encryption of a text that fits into memory cannot fail"),
        );
        sealed
    }

    /// Opens what [`seal`](Self::seal) made for the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> StorageResult<Secret> {
        let unreadable = || StorageError::Unreadable(format!("the sealed value of {context} does not open"));
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(unreadable)?;
        let payload = Payload { msg: text, aad: context.as_bytes() };
        let plain = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| unreadable())?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| unreadable())
    }

    /// A keyed hash of a secret: finds duplicates without letting a stolen database be searched for known keys.
    pub fn fingerprint(&self, secret: &Secret) -> Vec<u8> {
        let mut digest = Sha256::new();
        digest.update(**self.fingerprint_key);
        digest.update(secret.expose().as_bytes());
        digest.finalize().to_vec()
    }

    pub(super) fn canary(&self) -> String {
        STANDARD.encode(self.seal("canary", CANARY))
    }

    pub(super) fn opens_canary(&self, sealed: &str) -> bool {
        STANDARD
            .decode(sealed)
            .ok()
            .and_then(|sealed| self.open("canary", &sealed).ok())
            .is_some_and(|secret| secret.expose() == CANARY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_in_its_row() {
        let vault = Vault::new(&Secret::new("0123456789abcdef"));
        let sealed = vault.seal("key:1", "sk-upstream");
        assert_eq!(vault.open("key:1", &sealed).unwrap().expose(), "sk-upstream");
        assert!(vault.open("key:2", &sealed).is_err());
        assert!(Vault::new(&Secret::new("another master key")).open("key:1", &sealed).is_err());
        assert!(!sealed.windows(11).any(|window| window == b"sk-upstream"));
    }
}
