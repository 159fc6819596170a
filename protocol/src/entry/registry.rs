//! Registry events: what the station's own book says about units, people, books, kinds and grants, and about what is held, destroyed and
//! audited. Each that a person ordered names him.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use super::{DocumentCode, pair};
use crate::id::{BookId, Hash, MembershipId, RecordId, UnitId, UserId};
use crate::time::UnixMillis;

/// What a station writes about units, people, books, kinds and grants, and about the life of records: the registry is a projection of
/// these.
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
    /// A person works in a further unit, or in another's place, for a time.
    Membership(MembershipEvent),
    /// A book's writing ends: its phone was lost, retired, passed on, or its person blocked.
    BookEnd(BookEndEvent),
    /// A record is kept beyond its time, or no longer.
    Hold(HoldEvent),
    /// Documents were destroyed.
    Destruction(DestructionEvent),
    /// The audit log up to a line.
    AuditAnchor(AuditAnchorEvent),
    /// A key that emergency notes of a unit are sealed to.
    UnitKey(UnitKeyEvent),
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
    /// Its level or sort by code (`county`, `community`, `grid`, `police_station`, ...).
    #[n(3)]
    pub level: Option<String>,
    /// Whether it is closed: it takes no new people and records.
    #[n(4)]
    pub closed: Option<bool>,
    /// Who ordered it; none for the operator at the machine.
    #[n(5)]
    pub on_behalf: Option<UserId>,
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
    /// Whether he is blocked: he may neither sign in nor write.
    #[n(4)]
    pub blocked: Option<bool>,
    /// Who ordered it; none for the operator at the machine.
    #[n(5)]
    pub on_behalf: Option<UserId>,
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
    /// The form of the attestation that the station verified when it was enrolled; none without.
    #[n(5)]
    pub attested: Option<String>,
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

/// A person works in a unit beside his own, or in a colleague's place during leave. Its beginning and its end are events of their own,
/// written when the time has come, so that who may what stays a function of the ledger alone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MembershipEvent {
    /// The membership, the same in all its events.
    #[n(0)]
    pub membership: MembershipId,
    /// Who.
    #[n(1)]
    pub user: UserId,
    /// In which unit.
    #[n(2)]
    pub unit: UnitId,
    /// As what, by code.
    #[n(3)]
    pub roles: Vec<String>,
    /// In whose place.
    #[n(4)]
    pub stands_in_for: Option<UserId>,
    /// From when on; none: at once.
    #[n(5)]
    pub from: Option<UnixMillis>,
    /// Until when; none: until it is ended.
    #[n(6)]
    pub until: Option<UnixMillis>,
    /// 0 planned, 1 in force from here on, 2 ended.
    #[n(7)]
    pub phase: u8,
    /// Who ordered it; none for the operator, and where the time alone did.
    #[n(8)]
    pub on_behalf: Option<UserId>,
}

/// A book's writing ends. What it sealed is no longer taken in as its author's; it never comes back: its person enrols anew.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BookEndEvent {
    /// The book.
    #[n(0)]
    pub book: BookId,
    /// `lost`, `retired`, `transferred` or `blocked`.
    #[n(1)]
    pub why: String,
    /// Who ordered it; none for the operator at the machine.
    #[n(2)]
    pub on_behalf: Option<UserId>,
}

/// A record is kept although its time is over (legal hold), or that ends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HoldEvent {
    /// The record.
    #[n(0)]
    pub record: RecordId,
    /// On what ground.
    #[n(1)]
    pub ground: String,
    /// Whether it ends here.
    #[n(2)]
    pub ended: Option<bool>,
    /// Who ordered it; none for the operator at the machine.
    #[n(3)]
    pub on_behalf: Option<UserId>,
}

/// Documents were destroyed: salts and bytes of their entries are gone here, and go from every phone that learns of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DestructionEvent {
    /// The record.
    #[n(0)]
    pub record: RecordId,
    /// The document alone; none for the whole record, its acts included.
    #[n(1)]
    pub document: Option<DocumentCode>,
    /// `retention`, `request` or `order`.
    #[n(2)]
    pub why: String,
    /// The rule or the decision it rests on, for people.
    #[n(3)]
    pub rule: String,
    /// How many entries lost their bytes.
    #[n(4)]
    pub entries: u32,
    /// RFC 6962 root whose leaf hashes are the salted hashes of these entries under their pages' roots, in the ledger's order. They stay
    /// when salt and bytes are gone and say nothing of what was written, as an identity would of a short entry.
    #[n(5)]
    pub root: Hash,
    /// Who ordered it; none where the rule alone did.
    #[n(6)]
    pub on_behalf: Option<UserId>,
}

/// The audit log as it stands: its lines are chained by hash, and this fixes them in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AuditAnchorEvent {
    /// Number of lines.
    #[n(0)]
    pub lines: u64,
    /// Hash of the last of them, which names the one before, and so on.
    #[n(1)]
    pub head: Hash,
}

/// A custodian's key of a unit: emergency notes are sealed to it beside the station's own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct UnitKeyEvent {
    /// The unit.
    #[n(0)]
    pub unit: UnitId,
    /// X25519 public key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: [u8; 32],
    /// Who holds the other half, for people.
    #[n(2)]
    pub custodian: String,
    /// Whether nothing is sealed to it any more.
    #[n(3)]
    pub ended: Option<bool>,
    /// Who ordered it; none for the operator at the machine.
    #[n(4)]
    pub on_behalf: Option<UserId>,
}

const UNIT: u32 = 0;
const USER: u32 = 1;
const BOOK: u32 = 2;
const KIND: u32 = 3;
const GRANT: u32 = 4;
const MEMBERSHIP: u32 = 5;
const BOOK_END: u32 = 6;
const HOLD: u32 = 7;
const DESTRUCTION: u32 = 8;
const AUDIT_ANCHOR: u32 = 9;
const UNIT_KEY: u32 = 10;

impl<C> Encode<C> for RegistryEvent {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self {
            Self::Unit(unit) => e.u32(UNIT)?.encode_with(unit, ctx)?.ok(),
            Self::User(user) => e.u32(USER)?.encode_with(user, ctx)?.ok(),
            Self::Book(book) => e.u32(BOOK)?.encode_with(book, ctx)?.ok(),
            Self::Kind(kind) => e.u32(KIND)?.encode_with(kind, ctx)?.ok(),
            Self::Grant(grant) => e.u32(GRANT)?.encode_with(grant, ctx)?.ok(),
            Self::Membership(membership) => e.u32(MEMBERSHIP)?.encode_with(membership, ctx)?.ok(),
            Self::BookEnd(end) => e.u32(BOOK_END)?.encode_with(end, ctx)?.ok(),
            Self::Hold(hold) => e.u32(HOLD)?.encode_with(hold, ctx)?.ok(),
            Self::Destruction(destruction) => e.u32(DESTRUCTION)?.encode_with(destruction, ctx)?.ok(),
            Self::AuditAnchor(anchor) => e.u32(AUDIT_ANCHOR)?.encode_with(anchor, ctx)?.ok(),
            Self::UnitKey(key) => e.u32(UNIT_KEY)?.encode_with(key, ctx)?.ok(),
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
            MEMBERSHIP => Self::Membership(d.decode_with(ctx)?),
            BOOK_END => Self::BookEnd(d.decode_with(ctx)?),
            HOLD => Self::Hold(d.decode_with(ctx)?),
            DESTRUCTION => Self::Destruction(d.decode_with(ctx)?),
            AUDIT_ANCHOR => Self::AuditAnchor(d.decode_with(ctx)?),
            UNIT_KEY => Self::UnitKey(d.decode_with(ctx)?),
            other => {
                d.skip()?;
                Self::Other(other)
            }
        })
    }
}
