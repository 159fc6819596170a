//! The seal on sensitive columns: what a copy of the database must not give away is in it only under a key of the keys directory, which
//! lies outside the data directory and its backups. Knows no rows: callers say what a value is and whose, and get bytes.

use beatbook_protocol::entry::Entry;
use beatbook_protocol::kind::DocumentName;
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
        self.seal_under(nonce, column, whose, value)
    }

    /// Seals a value that is named by its content and never changes: the same value of the same row gives the same bytes, so that a write
    /// that is repeated is the same write. The nonce is a keyed hash over both, as in SIV (RFC 5297): it cannot come twice for two values.
    pub(crate) fn seal_kept(&self, column: &str, whose: &[u8], value: &[u8]) -> Result<Vec<u8>, StationError> {
        let length = u64::try_from(whose.len()).unwrap_or(u64::MAX).to_be_bytes();
        let message = Zeroizing::new([b"beatbook/nonce/1\0", column.as_bytes(), b"\0", &length, whose, value].concat());
        // HKDF-Extract is HMAC-SHA256 with the salt as its key.
        let (hash, _) = Hkdf::<Sha256>::extract(Some(self.key.as_slice()), &message);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(hash.as_slice().get(..NONCE_BYTES).unwrap_or(&[0; NONCE_BYTES]));
        self.seal_under(nonce, column, whose, value)
    }

    fn seal_under(&self, nonce: [u8; NONCE_BYTES], column: &str, whose: &[u8], value: &[u8]) -> Result<Vec<u8>, StationError> {
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

/// Whether an entry's bytes are kept sealed: changes of other documents than `facts`, given back or not, and whatever cannot be read here.
pub(crate) fn is_sensitive(entry: &[u8]) -> bool {
    match Entry::parse(entry) {
        Ok(Entry::Change(change)) => change.document.name() != Some(DocumentName::Facts),
        Ok(Entry::Recovered(recovered)) => is_sensitive(&recovered.entry),
        Ok(Entry::Act(_) | Entry::Registry(_)) => false,
        Ok(Entry::Other(_)) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_sealed_alike_in_its_row_and_unlike_in_any_other() {
        let seal = ColumnSeal::new([7; 32]);
        let sealed = seal.seal_kept("content", b"entry", b"13800000000").unwrap();
        assert_eq!(sealed, seal.seal_kept("content", b"entry", b"13800000000").unwrap());
        assert_eq!(seal.open("content", b"entry", &sealed).unwrap().as_slice(), b"13800000000");
        let nonce = |bytes: &[u8]| bytes[1..=NONCE_BYTES].to_vec();
        for other in [
            seal.seal_kept("content", b"entry", b"13800000001").unwrap(),
            seal.seal_kept("content", b"entr", b"y13800000000").unwrap(),
            seal.seal_kept("snapshot", b"entry", b"13800000000").unwrap(),
            ColumnSeal::new([8; 32])
                .seal_kept("content", b"entry", b"13800000000")
                .unwrap(),
        ] {
            assert_ne!(nonce(&other), nonce(&sealed));
        }
    }

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
