//! Reads the bytes of a change chunk without automerge: its frame, its head, and how long its columns would become. Knows no document.
//!
//! The format is automerge's binary format (automerge.org/automerge-binary-format-spec, "Change chunk"), and only its one canonical
//! writing is read: shortest LEB128, columns in order, nothing left over.

use super::columns;
use super::fault::GuardFault;
use crate::id::{ActorId, Hash};
use crate::limits::CHANGE_BYTES_MAX;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHUNK_CHANGE: u8 = 1;
const CHUNK_COMPRESSED: u8 = 2;

/// What a change says of itself, before its operations are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// automerge's hash of the change.
    pub hash: Hash,
    /// The author mark it was made under.
    pub actor: ActorId,
    /// The change's number among those of its author mark, from 1.
    pub seq: u64,
    /// Counter of its first operation.
    pub start_op: u64,
    /// The changes that its author saw last.
    pub deps: Vec<Hash>,
    /// Other author marks whose operations it names.
    pub others: Vec<ActorId>,
    /// How many operations it holds.
    pub operations: usize,
}

/// Reads a change's envelope. Takes time and memory in proportion to the bytes alone.
///
/// # Errors
/// When the bytes are too many, or not one canonical uncompressed change.
pub fn envelope(bytes: &[u8]) -> Result<Envelope, GuardFault> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(GuardFault::TooLarge { bytes: bytes.len() });
    }
    let (hash, checksum, body) = frame(bytes)?;
    if hash.as_bytes()[..4] != checksum {
        return Err(GuardFault::ChecksumWrong);
    }
    let mut input = Input(body);
    let count = input.count(32)?;
    let deps = (0..count)
        .map(|_| Ok(Hash::from_bytes(input.array()?)))
        .collect::<Result<Vec<_>, GuardFault>>()?;
    if !deps.is_sorted_by(|one, other| one < other) {
        return Err(GuardFault::NotCanonical {
            why: "dependencies are not in order",
        });
    }
    let actor = input.actor()?;
    let seq = input.unsigned()?;
    let start_op = input.unsigned()?;
    if seq == 0 || start_op == 0 {
        return Err(GuardFault::Malformed {
            why: "numbers begin at 1",
        });
    }
    let _time = input.signed()?;
    if input.unsigned()? != 0 {
        return Err(GuardFault::NotCanonical {
            why: "it carries a message",
        });
    }
    let count = input.count(17)?;
    let others = (0..count).map(|_| input.actor()).collect::<Result<Vec<_>, GuardFault>>()?;
    if !others.is_sorted_by(|one, other| one < other) || others.contains(&actor) {
        return Err(GuardFault::NotCanonical {
            why: "author marks are not in order",
        });
    }
    let operations = columns::check(input, 1 + others.len())?;
    Ok(Envelope {
        hash,
        actor,
        seq,
        start_op,
        deps,
        others,
        operations,
    })
}

/// The hash that a change would have, when its frame at least is sound: so that a refused change can be named.
pub(super) fn hash_of(bytes: &[u8]) -> Option<Hash> {
    frame(bytes).ok().map(|(hash, _, _)| hash)
}

/// Takes the frame off: hash, checksum, body.
fn frame(bytes: &[u8]) -> Result<(Hash, [u8; 4], &[u8]), GuardFault> {
    let mut input = Input(bytes);
    if input.array()? != MAGIC {
        return Err(GuardFault::Malformed {
            why: "it does not begin as a chunk",
        });
    }
    let checksum = input.array()?;
    match input.byte()? {
        CHUNK_CHANGE => {}
        CHUNK_COMPRESSED => return Err(GuardFault::Compressed),
        _ => {
            return Err(GuardFault::Malformed {
                why: "it is a chunk of another sort",
            });
        }
    }
    let framed = input.0;
    let len = input.unsigned()?;
    if u64::try_from(input.0.len()) != Ok(len) {
        return Err(GuardFault::Malformed {
            why: "its length is not the one it says",
        });
    }
    // The hash covers type, length and body; type and length stand before the body as hashed, since the length is in shortest form.
    Ok((Hash::of(&[&[CHUNK_CHANGE], framed]), checksum, input.0))
}

/// Bytes still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], GuardFault> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(GuardFault::Malformed { why: "it ends too soon" })?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, GuardFault> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], GuardFault> {
        self.take(N)?
            .try_into()
            .map_err(|_| GuardFault::Malformed { why: "it ends too soon" })
    }

    /// An unsigned LEB128 in its shortest form.
    pub(super) fn unsigned(&mut self) -> Result<u64, GuardFault> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(GuardFault::Malformed {
                    why: "a number is too large",
                });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(LONG_FORM) } else { Ok(value) };
            }
        }
        Err(GuardFault::Malformed {
            why: "a number is too large",
        })
    }

    /// A signed LEB128 in its shortest form.
    pub(super) fn signed(&mut self) -> Result<i64, GuardFault> {
        let mut value: i64 = 0;
        let mut before = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = i64::from(byte & 0x7f);
            if shift == 63 && bits != 0 && bits != 0x7f {
                return Err(GuardFault::Malformed {
                    why: "a number is too large",
                });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let is_negative = byte & 0x40 != 0;
                if is_negative && shift < 57 {
                    value |= -1 << (shift + 7);
                }
                let repeats_sign = (byte == 0 && before & 0x40 == 0) || (byte == 0x7f && before & 0x40 != 0);
                return if shift > 0 && repeats_sign {
                    Err(LONG_FORM)
                } else {
                    Ok(value)
                };
            }
            before = byte;
        }
        Err(GuardFault::Malformed {
            why: "a number is too large",
        })
    }

    /// A number of things of at least `size` bytes each, all of which must fit in what is left.
    pub(super) fn count(&mut self, size: usize) -> Result<usize, GuardFault> {
        let count = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        if count.saturating_mul(size) > self.0.len() {
            return Err(GuardFault::Malformed { why: "it ends too soon" });
        }
        Ok(count)
    }

    fn actor(&mut self) -> Result<ActorId, GuardFault> {
        if self.unsigned()? != 16 {
            return Err(GuardFault::NotCanonical {
                why: "an author mark is not 16 bytes long",
            });
        }
        Ok(ActorId::from_bytes(self.array()?))
    }
}

const LONG_FORM: GuardFault = GuardFault::NotCanonical {
    why: "a number is not in its shortest form",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_their_shortest_form_alone() {
        let signed = |bytes: &[u8]| Input(bytes).signed();
        let unsigned = |bytes: &[u8]| Input(bytes).unsigned();
        assert_eq!(unsigned(&[0xe5, 0x8e, 0x26]), Ok(624_485));
        assert_eq!(
            unsigned(&[0xff; 9].iter().copied().chain([1]).collect::<Vec<_>>()),
            Ok(u64::MAX)
        );
        assert_eq!(unsigned(&[0x80, 0]), Err(LONG_FORM));
        assert!(unsigned(&[0xff; 10]).is_err());
        assert_eq!(signed(&[0xc0, 0xbb, 0x78]), Ok(-123_456));
        assert_eq!(signed(&[0x40]), Ok(-64));
        assert_eq!(signed(&[0xc0, 0x00]), Ok(64));
        assert_eq!(
            signed(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]),
            Ok(i64::MIN)
        );
        assert_eq!(signed(&[0xff, 0x7f]), Err(LONG_FORM));
        assert_eq!(signed(&[0x80, 0x00]), Err(LONG_FORM));
    }
}
