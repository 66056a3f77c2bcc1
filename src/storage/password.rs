//! Password hashes: argon2id with 19 MiB, two passes and one lane, the least that OWASP's Password Storage Cheat Sheet
//! advises (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
//!
//! Both functions block for tens of milliseconds and take 19 MiB: call them in `spawn_blocking`, and behind a semaphore
//! where a visitor can cause the call.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes a password under a random salt. Returns the PHC string that the database keeps (`$argon2id$...`).
pub fn hash(password: &str) -> String {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constant parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes())
        .expect("hashing with constant parameters fails only if the system has no randomness")
        .to_string()
}

/// Whether a password is the one that [`hash`] made `hash` of. A damaged hash matches nothing.
pub fn verify(hash: &str, password: &str) -> bool {
    // The parameters are read from the hash itself, so older hashes keep working when the constants change.
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_own_password_only_and_differs_each_time() {
        let first = hash("correct horse");
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert!(verify(&first, "correct horse"));
        assert!(!verify(&first, "correct horsf"));
        assert!(!verify("not a hash", "correct horse"));
        assert_ne!(first, hash("correct horse"));
    }
}
