//! One blob at rest: chunks of 64 KiB, each sealed with XChaCha20-Poly1305 (RFC 8439, with the 192-bit nonce of
//! draft-irtf-cfrg-xchacha-03) under the blob's own key, a fresh random nonce, and its place in the whole as associated data. A chunk
//! that was moved, cut off, appended or taken from another blob does not open. Knows no files.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};

/// Bytes of content in a chunk; the last one may be shorter.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a nonce, which stands before each chunk.
pub(super) const NONCE_BYTES: usize = 24;
/// Bytes that sealing adds to a chunk: nonce and tag.
pub(super) const SEAL_BYTES: usize = NONCE_BYTES + 16;
/// What the associated data begins with.
const DOMAIN: &[u8] = b"beatbook/blobchunk/1\0";

/// A chunk that is not what was sealed at its place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("chunk {index} of the blob is damaged")]
pub(super) struct ChunkDamaged {
    /// Which, from 0.
    pub(super) index: u64,
}

/// Where a chunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number, from 0.
    pub(super) index: u64,
    /// Whether it is the last one: so a whole is told from its beginning.
    pub(super) last: bool,
}

/// Seals a chunk.
pub(super) fn seal(secret: &[u8; 32], nonce: [u8; NONCE_BYTES], place: Place, content: &[u8]) -> Result<Vec<u8>, ChunkDamaged> {
    let damaged = |_| ChunkDamaged { index: place.index };
    let aad = place.aad();
    let payload = Payload { msg: content, aad: &aad };
    let sealed = cipher(secret).encrypt(&nonce.into(), payload).map_err(damaged)?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens a chunk.
pub(super) fn open(secret: &[u8; 32], place: Place, sealed: &[u8]) -> Result<Vec<u8>, ChunkDamaged> {
    let damaged = ChunkDamaged { index: place.index };
    let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE_BYTES>() else {
        return Err(damaged);
    };
    let aad = place.aad();
    let payload = Payload { msg: sealed, aad: &aad };
    cipher(secret).decrypt(&(*nonce).into(), payload).map_err(|_| damaged)
}

impl Place {
    /// The place of a chunk in a blob of so many bytes.
    pub(super) const fn of(index: u64, bytes: u64) -> Self {
        Self {
            index,
            last: (index + 1) * CHUNK_BYTES as u64 >= bytes,
        }
    }

    /// Where the sealed chunk begins in its file.
    pub(super) const fn at(self) -> u64 {
        self.index * (CHUNK_BYTES + SEAL_BYTES) as u64
    }

    fn aad(self) -> Vec<u8> {
        [DOMAIN, &self.index.to_be_bytes(), &[u8::from(self.last)]].concat()
    }
}

fn cipher(secret: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*secret).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn place(index: u64, last: bool) -> Place {
        Place { index, last }
    }

    #[test]
    fn a_chunk_opens_at_its_own_place_under_its_own_key_alone() {
        let sealed = seal(&SECRET, [1; NONCE_BYTES], place(3, false), b"content").unwrap();
        assert_eq!(sealed.len(), b"content".len() + SEAL_BYTES);
        assert_eq!(open(&SECRET, place(3, false), &sealed).unwrap(), b"content");
        for (secret, place) in [
            ([8; 32], place(3, false)),
            (SECRET, place(2, false)),
            (SECRET, place(4, false)),
            (SECRET, place(3, true)),
        ] {
            assert_eq!(open(&secret, place, &sealed), Err(ChunkDamaged { index: place.index }));
        }
    }

    #[test]
    fn one_changed_or_missing_bit_anywhere_is_noticed() {
        let sealed = seal(&SECRET, [2; NONCE_BYTES], place(0, true), b"a short recording").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            assert!(open(&SECRET, place(0, true), &changed).is_err(), "byte {at}");
            assert!(open(&SECRET, place(0, true), &sealed[..at]).is_err(), "cut at {at}");
        }
        assert!(open(&SECRET, place(0, true), &[&sealed[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_last_chunk_is_known_by_the_length_of_the_whole() {
        let chunk = CHUNK_BYTES as u64;
        assert!(Place::of(0, 1).last && Place::of(0, chunk).last && !Place::of(0, chunk + 1).last);
        assert!(Place::of(1, chunk + 1).last && Place::of(1, 2 * chunk).last);
    }
}
