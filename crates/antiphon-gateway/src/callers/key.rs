//! Keys and their digests.

use std::fmt;

use antiphon::config::KeyHash;
use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// How keys begin: whoever finds one in a log knows what it opens.
const BEGIN: &str = "antiphon_";
/// Random bytes of a key.
const BYTES: usize = 32;

/// SHA-256 of a key. Keys are random and long, so that a slow digest would guard nothing more.
pub(super) fn hash_of(key: &[u8]) -> KeyHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, key).as_ref());
    KeyHash(hash)
}

/// Compares in a time that does not depend on the bytes.
pub(super) fn are_equal(one: &KeyHash, other: &KeyHash) -> bool {
    constant_time::verify_slices_are_equal(&one.0, &other.0).is_ok()
}

/// A key that was just made: the only moment at which it can be read.
pub struct NewKey(String);

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey")
    }
}

impl NewKey {
    /// Makes one from the operating system's randomness.
    ///
    /// # Errors
    /// There is none to be had; the message says so.
    pub fn make() -> Result<Self, String> {
        let mut bytes = [0; BYTES];
        let filled = rand::fill(&mut bytes);
        filled.map_err(|_| "the operating system gives no random bytes".to_owned())?;
        let random = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        Ok(Self(format!("{BEGIN}{random}")))
    }

    /// The key.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the configuration keeps of it: SHA-256 in hexadecimal digits.
    pub fn sha256(&self) -> String {
        let hash = hash_of(self.0.as_bytes());
        hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_usual_one() {
        // FIPS 180-2, appendix B.1
        let hash = hash_of(b"abc");
        assert_eq!(hash.0[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert!(are_equal(&hash, &hash_of(b"abc")));
        assert!(!are_equal(&hash, &hash_of(b"abd")));
    }

    #[test]
    fn new_keys_are_all_different_and_hold_32_bytes() {
        let keys = [0; 20].map(|_| NewKey::make().unwrap());
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(key.reveal().len(), BEGIN.len() + 43);
            assert!(key.reveal().starts_with(BEGIN));
            assert_eq!(key.sha256().len(), 64);
            let same = |other: &NewKey| other.reveal() == key.reveal();
            assert!(!keys[..index].iter().any(same));
            assert!(!format!("{key:?}").contains(key.reveal()));
        }
    }
}
