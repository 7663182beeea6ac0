//! Passwords are known by their SHA-256 only.

use sha2::Digest;

/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// The SHA-256 of a password, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digested(String);

impl Digested {
    /// That of a password.
    pub fn of(password: &[u8]) -> Self {
        Digested(sha2::Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// One that is given as such.
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let valid = digits.len() == DIGITS && digits.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Digested(String::from_utf8_lossy(digits).into_owned()))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are the same, without telling by the time it takes how much is.
    pub fn is(&self, other: &Digested) -> bool {
        self.0.bytes().zip(other.0.bytes()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}
