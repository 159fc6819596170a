//! Registry events: what the station's own book says about units, people, books, kinds and grants.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use super::pair;
use crate::id::{BookId, RecordId, UnitId, UserId};

/// What a station writes about units, people, books, kinds and grants: the registry is a projection of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryEvent {
    /// A unit is there, or has changed.
    Unit(UnitEvent),
    /// A person is there, or has changed.
    User(UserEvent),
    /// A book is enrolled.
    Book(BookEvent),
    /// A kind is in force.
    Kind(KindEvent),
    /// A record is in somebody's scope, or no longer.
    Grant(GrantEvent),
    /// An event of a later version.
    Other(u32),
}

/// A unit as it is from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UnitEvent {
    /// The unit.
    #[n(0)]
    pub unit: UnitId,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// Its parent in the tree.
    #[n(2)]
    pub parent: Option<UnitId>,
}

/// A person as he is from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UserEvent {
    /// The person.
    #[n(0)]
    pub user: UserId,
    /// His name as colleagues know it.
    #[n(1)]
    pub name: String,
    /// Roles by code (`officer`, `chief`, ...).
    #[n(2)]
    pub roles: Vec<String>,
    /// The unit he works in.
    #[n(3)]
    pub unit: UnitId,
}

/// A book and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BookEvent {
    /// The book.
    #[n(0)]
    pub book: BookId,
    /// Whose it is.
    #[n(1)]
    pub user: UserId,
    /// Signature suite, see [`crate::page::P256_SHA256`].
    #[n(2)]
    pub suite: u8,
    /// Public key in the suite's form.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub key: Vec<u8>,
    /// What the phone calls itself.
    #[n(4)]
    pub device: String,
}

/// A kind that is in force from now on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KindEvent {
    /// Code.
    #[n(0)]
    pub kind: String,
    /// Version.
    #[n(1)]
    pub version: u32,
    /// The kind file.
    #[n(2)]
    pub source: String,
}

/// A record comes into the scope of a person or a unit beside that of its own unit, or leaves it again. Exactly one of `user` and
/// `unit` says whose.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantEvent {
    /// The record.
    #[n(0)]
    pub record: RecordId,
    /// To a person.
    #[n(1)]
    pub user: Option<UserId>,
    /// To a unit and those below it.
    #[n(2)]
    pub unit: Option<UnitId>,
    /// `assigned` or `shared`.
    #[n(3)]
    pub reason: String,
    /// Whether it ends here.
    #[n(4)]
    pub ended: Option<bool>,
    /// The person, when a station's book writes for a signed-in person.
    #[n(5)]
    pub on_behalf: Option<UserId>,
}

const UNIT: u32 = 0;
const USER: u32 = 1;
const BOOK: u32 = 2;
const KIND: u32 = 3;
const GRANT: u32 = 4;

impl<C> Encode<C> for RegistryEvent {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self {
            Self::Unit(unit) => e.u32(UNIT)?.encode_with(unit, ctx)?.ok(),
            Self::User(user) => e.u32(USER)?.encode_with(user, ctx)?.ok(),
            Self::Book(book) => e.u32(BOOK)?.encode_with(book, ctx)?.ok(),
            Self::Kind(kind) => e.u32(KIND)?.encode_with(kind, ctx)?.ok(),
            Self::Grant(grant) => e.u32(GRANT)?.encode_with(grant, ctx)?.ok(),
            Self::Other(_) => Err(encode::Error::message(
                "an event of a later version is kept as bytes, never written",
            )),
        }
    }
}

impl<'b, C> Decode<'b, C> for RegistryEvent {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        pair(d)?;
        Ok(match d.u32()? {
            UNIT => Self::Unit(d.decode_with(ctx)?),
            USER => Self::User(d.decode_with(ctx)?),
            BOOK => Self::Book(d.decode_with(ctx)?),
            KIND => Self::Kind(d.decode_with(ctx)?),
            GRANT => Self::Grant(d.decode_with(ctx)?),
            other => {
                d.skip()?;
                Self::Other(other)
            }
        })
    }
}
