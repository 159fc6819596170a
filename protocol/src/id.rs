//! Names of things: 16-byte identifiers (UUIDv7 made from given time and bytes) and 32-byte hashes. Makes no randomness of its own.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// A text that is not an identifier or a hash.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[error("{text:?} is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes sixteen bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// A UUIDv7 (RFC 9562, 5.7) of the given time and ten random bytes; later times sort later.
            #[must_use]
            pub fn from_parts(at: crate::time::UnixMillis, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.0).unwrap_or(0);
                Self(*uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_bytes())
            }

            /// The sixteen bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads sixteen bytes of a slice.
            ///
            /// # Errors
            /// When the slice is not exactly sixteen bytes long.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, ParseIdError> {
                bytes.try_into().map(Self).map_err(|_| ParseIdError { text: format!("{} bytes", bytes.len()), expected: "16 bytes" })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                uuid::Uuid::try_parse(text)
                    .map(|id| Self(*id.as_bytes()))
                    .map_err(|_| ParseIdError { text: text.to_owned(), expected: "a UUID" })
            }
        }

        byte_string!($name, 16);
    };
}

macro_rules! byte_string {
    ($name:ident, $len:literal) => {
        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let at = d.position();
                let bytes: [u8; $len] = d
                    .bytes()?
                    .try_into()
                    .map_err(|_| decode::Error::message(concat!("expected ", $len, " bytes")).at(at))?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier!(
    /// One record: a patrol, a visit, an incident, a household.
    RecordId
);
identifier!(
    /// One person's work in a unit beside his own, for a time.
    MembershipId
);
identifier!(
    /// One key of one user on one phone, and its chain of pages.
    BookId
);
identifier!(
    /// One enrolment, from its code on; no secret.
    EnrolmentId
);
identifier!(
    /// One life of a phone's database file.
    IncarnationId
);
identifier!(
    /// A person who writes or reviews.
    UserId
);
identifier!(
    /// A node of the organisation's tree.
    UnitId
);
identifier!(
    /// One item of a list within a record's facts.
    ItemId
);
identifier!(
    /// The random author mark of one opened store inside automerge changes; bound by the server to its book at first sight.
    ActorId
);

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Takes thirty-two bytes as a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The thirty-two bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads thirty-two bytes of a slice.
    ///
    /// # Errors
    /// When the slice has another length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ParseIdError> {
        bytes.try_into().map(Self).map_err(|_| ParseIdError {
            text: format!("{} bytes", bytes.len()),
            expected: "32 bytes",
        })
    }

    /// SHA-256 over the parts, one after the other. The first part must be a domain of [`crate::codec::domain`].
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = || ParseIdError {
            text: text.to_owned(),
            expected: "64 hexadecimal digits",
        };
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

byte_string!(Hash, 32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    #[test]
    fn ids_of_later_times_sort_later() {
        let early = RecordId::from_parts(UnixMillis(1_700_000_000_000), [0xff; 10]);
        let late = RecordId::from_parts(UnixMillis(1_700_000_000_001), [0; 10]);
        assert!(early < late);
    }

    #[test]
    fn ids_and_hashes_survive_text_and_cbor() {
        let id = BookId::from_parts(UnixMillis(1), [7; 10]);
        assert_eq!(id.to_string().parse::<BookId>(), Ok(id));
        assert_eq!(minicbor::decode::<BookId>(&minicbor::to_vec(id).unwrap()).unwrap(), id);
        let hash = Hash::of(&[b"x"]);
        assert_eq!(hash.to_string().parse::<Hash>(), Ok(hash));
        assert!(minicbor::decode::<Hash>(&minicbor::to_vec(id).unwrap()).is_err());
    }
}
