//! Checkpoints: the station's word on its ledger, as a C2SP signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note) that any
//! tool of transparency logs can read. A phone cannot fake a restored station, because the note bears the station's key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::Position;
use crate::id::Hash;

/// A checkpoint that is not believed.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum CheckpointError {
    /// Not a signed note of a ledger.
    #[error("the checkpoint is malformed: {0}")]
    Malformed(&'static str),
    /// Another ledger's.
    #[error("the checkpoint is of {met:?}, expected {expected:?}: this is not the station that the phone enrolled with")]
    OtherOrigin {
        /// Named in the note.
        met: String,
        /// The station's.
        expected: String,
    },
    /// No signature by the station's key.
    #[error("the checkpoint bears no valid signature of {0}")]
    Unsigned(String),
}

/// What a new epoch follows: the ledger as it had been before the station was restored.
pub type Followed = Position;

/// A station's word on its ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The station's name in notes, without the epoch.
    pub origin: String,
    /// Epoch, size and root.
    pub position: Position,
    /// What this epoch follows, from the second epoch on.
    pub follows: Option<Followed>,
}

impl Checkpoint {
    /// Writes and signs the note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        let body = self.body();
        let name = self.key_name();
        let mut signature = key_id(&name, &key.verifying_key()).to_vec();
        signature.extend_from_slice(&key.sign(body.as_bytes()).to_bytes());
        format!("{body}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
    }

    /// Reads a note and believes it only under the station's key.
    ///
    /// # Errors
    /// When the note is malformed, of another origin, or not signed by the key.
    pub fn verify(note: &str, origin: &str, key: &VerifyingKey) -> Result<Self, CheckpointError> {
        let (body, signatures) = note
            .rsplit_once("\n\n")
            .ok_or(CheckpointError::Malformed("no blank line before the signatures"))?;
        let body = format!("{body}\n");
        let checkpoint = parse_body(&body)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::OtherOrigin {
                met: checkpoint.origin,
                expected: origin.to_owned(),
            });
        }
        let name = checkpoint.key_name();
        let id = key_id(&name, key);
        let signed = signatures.lines().any(|line| {
            line.strip_prefix("\u{2014} ")
                .and_then(|line| line.strip_prefix(name.as_str()))
                .and_then(|line| STANDARD.decode(line.trim_start_matches(' ')).ok())
                .and_then(|bytes| bytes.strip_prefix(&id).map(<[u8]>::to_vec))
                .and_then(|bytes| Signature::from_slice(&bytes).ok())
                .is_some_and(|signature| key.verify_strict(body.as_bytes(), &signature).is_ok())
        });
        if signed {
            Ok(checkpoint)
        } else {
            Err(CheckpointError::Unsigned(name))
        }
    }

    fn body(&self) -> String {
        let Position { epoch, size, root } = self.position;
        let mut body = format!("{}/{epoch}\n{size}\n{}\n", self.origin, STANDARD.encode(root.as_bytes()));
        if let Some(old) = self.follows {
            body.push_str(&format!(
                "follows {} {} {}\n",
                old.epoch,
                old.size,
                STANDARD.encode(old.root.as_bytes())
            ));
        }
        body
    }

    fn key_name(&self) -> String {
        format!("{}/{}", self.origin, self.position.epoch)
    }
}

fn parse_body(body: &str) -> Result<Checkpoint, CheckpointError> {
    let mut lines = body.lines();
    let (origin, epoch) = lines
        .next()
        .and_then(|line| line.rsplit_once('/'))
        .ok_or(CheckpointError::Malformed("no origin"))?;
    let epoch = number(Some(epoch))?;
    let size = number(lines.next())?;
    let root = hash(lines.next())?;
    let mut follows = None;
    for line in lines {
        if let Some(rest) = line.strip_prefix("follows ") {
            let mut parts = rest.split(' ');
            follows = Some(Position {
                epoch: number(parts.next())?,
                size: number(parts.next())?,
                root: hash(parts.next())?,
            });
        }
    }
    Ok(Checkpoint {
        origin: origin.to_owned(),
        position: Position { epoch, size, root },
        follows,
    })
}

fn number(text: Option<&str>) -> Result<u64, CheckpointError> {
    text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(CheckpointError::Malformed("a number is missing"))
}

fn hash(text: Option<&str>) -> Result<Hash, CheckpointError> {
    text.and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| Hash::from_slice(&bytes).ok())
        .ok_or(CheckpointError::Malformed("a root is missing"))
}

/// The first four bytes of the hash over name, algorithm (1: Ed25519) and key, by the signed-note specification.
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Hash::of(&[name.as_bytes(), b"\n", &[1], key.as_bytes()]);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let old = Position {
            epoch: 0,
            size: 9,
            root: Hash::of(&[b"old"]),
        };
        Checkpoint {
            origin: "beatbook/station-1".into(),
            position: Position {
                epoch: 1,
                size: 12,
                root: Hash::of(&[b"root"]),
            },
            follows: Some(old),
        }
    }

    #[test]
    fn a_checkpoint_is_believed_under_its_own_key_and_origin_only() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let note = checkpoint().sign(&key);
        assert_eq!(
            Checkpoint::verify(&note, "beatbook/station-1", &key.verifying_key()),
            Ok(checkpoint())
        );
        assert!(Checkpoint::verify(&note, "beatbook/station-2", &key.verifying_key()).is_err());
        assert!(Checkpoint::verify(&note, "beatbook/station-1", &SigningKey::from_bytes(&[8; 32]).verifying_key()).is_err());
    }

    #[test]
    fn no_byte_of_a_checkpoint_can_be_changed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let note = checkpoint().sign(&key);
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                let read = Checkpoint::verify(&changed, "beatbook/station-1", &key.verifying_key());
                assert!(read.is_err() || read == Ok(checkpoint()), "byte {at}");
            }
        }
    }
}
