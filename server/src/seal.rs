//! The seal on sensitive columns: what a copy of the database must not give away is in it only under a key of the keys directory, which
//! lies outside the data directory and its backups. Knows no rows: callers say what a value is and whose, and get bytes.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::error::StationError;

/// What sealed values begin with, so that a later form can be told apart.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Seals and opens values of columns.
pub(crate) struct ColumnSeal {
    key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for ColumnSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ColumnSeal(..)")
    }
}

impl ColumnSeal {
    /// A seal under the key of the keys directory.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(key),
        }
    }

    /// Seals a value of a column (`totp`, `change`, ...), bound to whose it is: in another row it does not open.
    pub(crate) fn seal(&self, env: &Environment, column: &str, whose: &[u8], value: &[u8]) -> Result<Vec<u8>, StationError> {
        let nonce = env
            .bytes::<NONCE_BYTES>()
            .map_err(|fault| StationError::Keys(format!("no randomness: {fault}")))?;
        let sealed = self
            .cipher(column)?
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: whose })
            .map_err(|_| StationError::Keys("a value could not be sealed".into()))?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(FORM);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// Opens it again.
    ///
    /// Fails with `Damaged` when it was changed, belongs to another row or column, or was sealed under another key.
    pub(crate) fn open(&self, column: &str, whose: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, StationError> {
        let broken = || StationError::Damaged(format!("a sealed {column} does not open under the keys of this station"));
        let (form, rest) = bytes.split_first().ok_or_else(broken)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(broken)?;
        if *form != FORM {
            return Err(broken());
        }
        self.cipher(column)?
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: whose })
            .map(Zeroizing::new)
            .map_err(|_| broken())
    }

    /// Each column has a key of its own, so that values cannot pass from one to another.
    fn cipher(&self, column: &str) -> Result<XChaCha20Poly1305, StationError> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(b"beatbook/column/1"), self.key.as_slice())
            .expand(column.as_bytes(), key.as_mut_slice())
            .map_err(|fault| StationError::Keys(format!("no key for {column}: {fault}")))?;
        Ok(XChaCha20Poly1305::new(&Key::from(*key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_row_and_column_under_its_key() {
        let env = Environment::system();
        let seal = ColumnSeal::new([7; 32]);
        let sealed = seal.seal(&env, "totp", b"user", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(
            sealed,
            seal.seal(&env, "totp", b"user", b"secret").unwrap(),
            "each sealing is fresh"
        );
        assert_eq!(seal.open("totp", b"user", &sealed).unwrap().as_slice(), b"secret");
        assert!(seal.open("totp", b"another", &sealed).is_err());
        assert!(seal.open("change", b"user", &sealed).is_err());
        assert!(ColumnSeal::new([8; 32]).open("totp", b"user", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal.open("totp", b"user", &changed).is_err(), "byte {at}");
            assert!(seal.open("totp", b"user", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
