//! Bytes that everybody writes the same way: deterministic CBOR (RFC 8949, 4.2) checked before it is decoded, and zstd under a cap.

use std::io::Read;

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode};
use zstd::zstd_safe::CParameter;

use crate::limits::CBOR_DEPTH_MAX;

/// What a hash or signature is about, so that no bytes can pass for bytes of another sort.
pub mod domain {
    /// An entry's identity.
    pub const ENTRY: &[u8] = b"beatbook/entry/1\0";
    /// A page header's hash, named by the next header.
    pub const HEADER: &[u8] = b"beatbook/header/1\0";
    /// What a book signs when it seals a page.
    pub const PAGE: &[u8] = b"beatbook/page/1\0";
    /// Salts of a page's entries.
    pub const SALT: &[u8] = b"beatbook/salt/1\0";
    /// What a phone signs when it enrols.
    pub const ENROL: &[u8] = b"beatbook/enrol/1\0";
    /// What an attestation of a phone's key is made over.
    pub const ATTESTATION: &[u8] = b"beatbook/attestation/1\0";
    /// What a station signs about a book that it took in.
    pub const ENROLLED: &[u8] = b"beatbook/enrolled/1\0";
    /// A station and its keys.
    pub const STATION: &[u8] = b"beatbook/station/1\0";
    /// The digits that both screens show when a phone enrols.
    pub const CHECK: &[u8] = b"beatbook/check/1\0";
    /// What a station signs when a phone must part with its records.
    pub const WIPE: &[u8] = b"beatbook/wipe/1\0";
    /// What a station signs about pages of a book that ended, which it holds for the chief.
    pub const HELD: &[u8] = b"beatbook/held/1\0";
    /// What a book signs last.
    pub const WIPED: &[u8] = b"beatbook/wiped/1\0";
    /// What a book that ended signs for its emergency notes.
    pub const NOTES: &[u8] = b"beatbook/notes/1\0";
    /// What a book signs when its token has run out.
    pub const EXCHANGE: &[u8] = b"beatbook/exchange/1\0";
    /// What a station signs for a whole reply.
    pub const RECEIPT: &[u8] = b"beatbook/receipt/1\0";
    /// A parcel's name: the hash of its file.
    pub const PARCEL: &[u8] = b"beatbook/parcel/1\0";
    /// What a book signs inside a parcel.
    pub const PARCEL_CONTENT: &[u8] = b"beatbook/parcel-content/1\0";
    /// What a station signs inside the answer to a parcel.
    pub const PARCEL_ANSWER: &[u8] = b"beatbook/parcel-answer/1\0";
    /// What a parcel, or its answer, is sealed under.
    pub const SEAL: &[u8] = b"beatbook/seal/1\0";
    /// What a station signs about its sealing key.
    pub const SEALING_KEY: &[u8] = b"beatbook/sealing-key/1\0";
    /// What a station signs about the keys of its certificate.
    pub const PINS: &[u8] = b"beatbook/pins/1\0";
    /// An emergency note's name, and what a book signs inside it.
    pub const NOTE: &[u8] = b"beatbook/note/1\0";
    /// What is said around the share of a phone's key.
    pub const UNLOCK: &[u8] = b"beatbook/unlock/1\0";
    /// The opaque version of a view.
    pub const VERSION: &[u8] = b"beatbook/version/1\0";
    /// A kind file, and a catalogue of them.
    pub const KIND: &[u8] = b"beatbook/kind/1\0";
    /// The actor of a document's first change.
    pub const GENESIS: &[u8] = b"beatbook/genesis/1\0";
    /// Digests of records.
    pub const STATE: &[u8] = b"beatbook/state/1\0";
}

/// Bytes that are not what they should be.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum CodecError {
    /// Not CBOR, or not of the expected shape.
    #[error("not a {what}: {fault}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What is wrong, with the position.
        fault: String,
    },
    /// CBOR, but not in its one deterministic form.
    #[error("CBOR is not deterministic at byte {at}: {rule}")]
    NotDeterministic {
        /// Position of the item.
        at: usize,
        /// The rule that is broken.
        rule: &'static str,
    },
    /// Nested deeper than any message of ours.
    #[error("CBOR is nested deeper than {CBOR_DEPTH_MAX} levels at byte {at}")]
    TooDeep {
        /// Position of the item.
        at: usize,
    },
    /// Longer than allowed.
    #[error("{what} is longer than {max} bytes")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// The limit in bytes.
        max: usize,
    },
}

/// The deterministic bytes of a value.
#[must_use]
pub fn to_bytes<T: Encode<()>>(value: &T) -> Vec<u8> {
    // Writing to a Vec cannot fail, and our own types raise no errors while encoding.
    minicbor::to_vec(value).unwrap_or_default()
}

/// Reads a value from bytes that came from elsewhere: checked for form and depth first, nothing left over.
///
/// # Errors
/// When the bytes are not one deterministic CBOR item of this shape. Unknown map keys are passed over.
pub fn from_bytes<'b, T: Decode<'b, ()>>(what: &'static str, bytes: &'b [u8]) -> Result<T, CodecError> {
    check(bytes)?;
    minicbor::decode(bytes).map_err(|fault| CodecError::Malformed {
        what,
        fault: fault.to_string(),
    })
}

/// Checks that the bytes are exactly one CBOR item in deterministic form: shortest integers and lengths, definite lengths, map keys
/// ascending by their bytes, floats of 64 bits only, no tags, valid UTF-8, bounded nesting.
///
/// # Errors
/// Names the first rule broken and where.
pub fn check(bytes: &[u8]) -> Result<(), CodecError> {
    let mut d = Decoder::new(bytes);
    item(&mut d, 0)?;
    if d.position() == bytes.len() {
        Ok(())
    } else {
        Err(CodecError::NotDeterministic {
            at: d.position(),
            rule: "bytes after the item",
        })
    }
}

fn item(d: &mut Decoder<'_>, depth: usize) -> Result<(), CodecError> {
    let at = d.position();
    if depth > CBOR_DEPTH_MAX {
        return Err(CodecError::TooDeep { at });
    }
    let malformed = |fault: minicbor::decode::Error| CodecError::Malformed {
        what: "CBOR item",
        fault: fault.to_string(),
    };
    let broken = |rule| Err(CodecError::NotDeterministic { at, rule });
    match d.datatype().map_err(malformed)? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let number = d.int().map_err(malformed)?;
            shortest(at, i128::from(number), d.position() - at)
        }
        Type::Bytes => {
            let length = d.bytes().map_err(malformed)?.len();
            shortest_length(at, length as u64, d.position() - at - length)
        }
        Type::String => {
            let length = d.str().map_err(malformed)?.len();
            shortest_length(at, length as u64, d.position() - at - length)
        }
        Type::Array => {
            let count = d.array().map_err(malformed)?.unwrap_or(0);
            shortest_length(at, count, d.position() - at)?;
            (0..count).try_for_each(|_| item(d, depth + 1))
        }
        Type::Map => map(d, at, depth),
        Type::Bool => d.bool().map(drop).map_err(malformed),
        Type::Null => d.null().map_err(malformed),
        Type::F64 => d.f64().map_err(malformed).and_then(|number| {
            if number.is_finite() {
                Ok(())
            } else {
                broken("a number is not finite")
            }
        }),
        Type::F16 | Type::F32 => broken("floats have 64 bits"),
        Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef => broken("lengths are definite"),
        Type::Tag => broken("tags are not used"),
        Type::Undefined | Type::Simple | Type::Break | Type::Unknown(_) => broken("this simple value is not used"),
    }
}

fn map(d: &mut Decoder<'_>, at: usize, depth: usize) -> Result<(), CodecError> {
    let count = d
        .map()
        .map_err(|fault| CodecError::Malformed {
            what: "CBOR map",
            fault: fault.to_string(),
        })?
        .unwrap_or(0);
    shortest_length(at, count, d.position() - at)?;
    let mut before: Option<&[u8]> = None;
    for _ in 0..count {
        let key_at = d.position();
        item(d, depth + 1)?;
        let key = d.input().get(key_at..d.position()).unwrap_or_default();
        if before.is_some_and(|before| before >= key) {
            return Err(CodecError::NotDeterministic {
                at: key_at,
                rule: "map keys ascend and occur once",
            });
        }
        before = Some(key);
        item(d, depth + 1)?;
    }
    Ok(())
}

fn shortest(at: usize, number: i128, head: usize) -> Result<(), CodecError> {
    let magnitude = if number < 0 { -1 - number } else { number };
    shortest_length(at, u64::try_from(magnitude).unwrap_or(u64::MAX), head)
}

// In 64 bits on phones of 32 bits too: a number of theirs may be longer than any length.
fn shortest_length(at: usize, number: u64, head: usize) -> Result<(), CodecError> {
    let expected = match number {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    };
    if head == expected {
        Ok(())
    } else {
        Err(CodecError::NotDeterministic {
            at,
            rule: "integers and lengths are shortest",
        })
    }
}

/// Above this length level 9 takes up to 20 MB for its tables unless it is told otherwise; up to it, 3 MB.
const LARGE_BYTES: usize = 256 * 1024;
/// Logarithm of the entries of a table for large messages, 512 KiB each: a thousand records of text came out 0.1 % smaller than with 16 MB.
const TABLE_LOG: u32 = 17;

/// Compresses a message as it travels: one zstd stream, level 9 (facts: 2-3 times smaller than per-document streams).
///
/// # Errors
/// When zstd cannot get memory.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let failed = |fault: std::io::Error| CodecError::Malformed {
        what: "message to compress",
        fault: fault.to_string(),
    };
    let mut compressor = zstd::bulk::Compressor::new(9).map_err(failed)?;
    if bytes.len() > LARGE_BYTES {
        for parameter in [CParameter::HashLog(TABLE_LOG), CParameter::ChainLog(TABLE_LOG)] {
            compressor.set_parameter(parameter).map_err(failed)?;
        }
    }
    compressor.compress(bytes).map_err(failed)
}

/// Decompresses at most `max` bytes; memory grows with what really comes out, never with what a header promises.
///
/// # Errors
/// When the bytes are not zstd, or more than `max` come out.
pub fn decompress(what: &'static str, bytes: &[u8], max: usize) -> Result<Vec<u8>, CodecError> {
    let malformed = |fault: std::io::Error| CodecError::Malformed {
        what,
        fault: fault.to_string(),
    };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(malformed)?;
    // 8 MiB: level 9 asks for 4, and a stream that asks for gigabytes is refused before it is given any.
    decoder.window_log_max(23).map_err(malformed)?;
    let mut out = Vec::new();
    let cap = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(cap).read_to_end(&mut out).map_err(malformed)?;
    if out.len() > max {
        Err(CodecError::TooLong { what, max })
    } else {
        Ok(out)
    }
}

/// Unpacks one message after the other in one piece of memory, which is had once and kept. Memory that each thread had for itself, an allocator
/// keeps for each of them.
#[derive(Default)]
pub struct Unpacker {
    context: zstd::bulk::Decompressor<'static>,
    out: Vec<u8>,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unpacker(..)")
    }
}

impl Unpacker {
    /// Decompresses at most `max` bytes.
    ///
    /// # Errors
    /// When the bytes are not zstd, or more than `max` come out.
    pub fn unpack(&mut self, what: &'static str, bytes: &[u8], max: usize) -> Result<&[u8], CodecError> {
        self.out.clear();
        // Address space alone, until something is written in it.
        self.out.reserve_exact(max);
        match self.context.decompress_to_buffer(bytes, &mut self.out) {
            Ok(length) if length <= max => Ok(&self.out),
            Ok(_) => Err(CodecError::TooLong { what, max }),
            Err(fault) if fault.to_string().contains(ZSTD_NO_ROOM) => Err(CodecError::TooLong { what, max }),
            Err(fault) => Err(CodecError::Malformed {
                what,
                fault: fault.to_string(),
            }),
        }
    }
}

/// What zstd says when more comes out than there is room for; it has no other way to tell.
const ZSTD_NO_ROOM: &str = "Destination buffer is too small";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_deterministic_form_passes() {
        for good in [
            &[0x00][..],
            &[0x18, 0x18],
            &[0xa2, 0x00, 0x01, 0x01, 0x02],
            &[0x63, b'a', b'b', b'c'],
            &[0xf6],
            &[0x20],
            &[0x80],
        ] {
            assert_eq!(check(good), Ok(()), "{good:02x?}");
        }
        for bad in [
            &[0x18, 0x17][..],                                       // 23 in two bytes
            &[0x19, 0x00, 0xff],                                     // 255 in three
            &[0x38, 0x10],                                           // -17 in two
            &[0xa2, 0x01, 0x01, 0x00, 0x02],                         // keys descend
            &[0xa2, 0x00, 0x01, 0x00, 0x02],                         // key twice
            &[0x9f, 0xff],                                           // indefinite
            &[0xc0, 0x00],                                           // tag
            &[0xfa, 0, 0, 0, 0],                                     // 32-bit float
            &[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],                   // NaN
            &[0x00, 0x00],                                           // two items
            &[0x58, 0x01, 0x00],                                     // long length
            &[0x61, 0xff],                                           // not UTF-8
            &[0x81],                                                 // cut off
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a promise of 2^64 items
        ] {
            assert!(check(bad).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion_running_away() {
        let deep = [vec![0x81; 100_000], vec![0x00]].concat();
        assert!(matches!(check(&deep), Err(CodecError::TooDeep { .. })));
    }

    #[test]
    fn a_zip_bomb_stops_at_the_cap() {
        let bomb = compress(&vec![0; 50_000_000]).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(
            decompress("test", &bomb, 1_000_000),
            Err(CodecError::TooLong {
                what: "test",
                max: 1_000_000
            })
        );
        assert_eq!(decompress("test", &compress(b"abc").unwrap(), 3).unwrap(), b"abc");
    }

    #[test]
    fn one_piece_of_memory_unpacks_what_a_stream_does_and_no_more() {
        let mut unpacker = Unpacker::default();
        let noise: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let frames = [compress(b"abc").unwrap(), compress(b"def").unwrap()].concat();
        let bomb = compress(&vec![0; 1024 * 1024]).unwrap().repeat(64);
        let streamed = {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
            std::io::Write::write_all(&mut encoder, &noise).unwrap();
            encoder.finish().unwrap()
        };
        for packed in [
            &frames[..],
            &compress(&noise).unwrap(),
            &streamed,
            &bomb,
            b"junk",
            &frames[..7],
        ] {
            for max in [5, 6, 1_000_000] {
                let unpacked = unpacker.unpack("test", packed, max).map(<[u8]>::to_vec);
                match (decompress("test", packed, max), unpacked) {
                    (Err(CodecError::Malformed { .. }), Err(CodecError::Malformed { .. })) => {}
                    (expected, unpacked) => assert_eq!(unpacked, expected, "{} bytes, {max}", packed.len()),
                }
            }
        }
    }
}
