//! Entries: one change of a document, one act, or one registry event, as it travels and is kept. An entry's identity is the hash of
//! its whole bytes; automerge's change hash is not one (two records by the same hand with equal first edits have equal ones).

mod registry;

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::codec::{self, CodecError, domain};
use crate::facts::Value;
use crate::id::{BookId, Hash, RecordId, UnitId, UserId};
use crate::kind::DocumentName;
use crate::limits::{ENTRY_BYTES_MAX, HEADS_MAX, RECOVERED_FRAME_BYTES};
use crate::time::UnixMillis;

pub use registry::{
    AuditAnchorEvent, BookEndEvent, BookEvent, DestructionEvent, GrantEvent, HoldEvent, KindEvent, MembershipEvent,
    RegistryEvent, UnitEvent, UnitKeyEvent, UserEvent,
};

/// What a book writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A change of one of a record's documents.
    Change(ChangeEntry),
    /// A signed step on a record.
    Act(ActEntry),
    /// Something the station says about units, people, books, kinds or grants.
    Registry(RegistryEvent),
    /// What another book wrote, as somebody gave it back to a station that had lost it.
    Recovered(RecoveredEntry),
    /// A sort of entry of a later version: kept as it is, never interpreted.
    Other(u32),
}

/// A change of a document.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChangeEntry {
    /// The record.
    #[n(0)]
    pub record: RecordId,
    /// 0 `facts`, 1 `private`.
    #[n(1)]
    pub document: DocumentCode,
    /// One automerge change, uncompressed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub change: Vec<u8>,
    /// When it was written, by the phone's wall clock.
    #[n(3)]
    pub at: UnixMillis,
    /// Whether it settles conflicts; only then may it overwrite differing concurrent values.
    #[n(4)]
    pub settles: Option<bool>,
    /// On a record's first change: what it opens. Kind and unit are no facts and never merge.
    #[n(5)]
    pub opens: Option<Opens>,
    /// The person, when a station's book writes for a signed-in person (a settlement).
    #[n(6)]
    pub on_behalf: Option<UserId>,
}

/// What a record's first entry says about it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Opens {
    /// Code of the kind.
    #[n(0)]
    pub kind: String,
    /// Version of the kind.
    #[n(1)]
    pub version: u32,
    /// The unit it belongs to.
    #[n(2)]
    pub unit: UnitId,
}

/// A signed step on a record: appended, ordered by the ledger, never merged.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ActEntry {
    /// The record.
    #[n(0)]
    pub record: RecordId,
    /// Code of the act in the record's kind.
    #[n(1)]
    pub code: String,
    /// The `facts` document's heads that its author had before him (automerge change hashes, ascending).
    #[n(2)]
    pub heads: Vec<Hash>,
    /// The last act that its author had seen.
    #[n(3)]
    pub last_act: Option<Hash>,
    /// When it was done, by the author's clock.
    #[n(4)]
    pub at: UnixMillis,
    /// What its author says.
    #[n(5)]
    pub comment: Option<String>,
    /// Values that the act carries (to whom, until when), by name, ascending.
    #[n(6)]
    pub values: Option<Vec<(String, Value)>>,
    /// The `private` document's heads, where its author holds it.
    #[n(7)]
    pub private_heads: Option<Vec<Hash>>,
    /// The person, when a station's book writes for a signed-in person.
    #[n(8)]
    pub on_behalf: Option<UserId>,
    /// Random, so that the same act of two people is two entries.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub nonce: Option<[u8; 8]>,
}

impl ActEntry {
    /// The value of this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values
            .as_ref()?
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Bytes of what its author says by it, comment and values together: what [`ACT_BYTES_MAX`](crate::limits::ACT_BYTES_MAX) bounds.
    #[must_use]
    pub fn said_bytes(&self) -> usize {
        let values = self.values.iter().flatten();
        let values = values.map(|(name, value)| name.len() + value.as_text().map_or(8, str::len));
        self.comment.as_ref().map_or(0, String::len) + values.sum::<usize>()
    }
}

/// Which document of a record, as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct DocumentCode(#[n(0)] u8);

impl From<DocumentName> for DocumentCode {
    fn from(name: DocumentName) -> Self {
        Self(match name {
            DocumentName::Facts => 0,
            DocumentName::Private => 1,
        })
    }
}

impl DocumentCode {
    /// The document, if this version knows it.
    #[must_use]
    pub const fn name(self) -> Option<DocumentName> {
        match self.0 {
            0 => Some(DocumentName::Facts),
            1 => Some(DocumentName::Private),
            _ => None,
        }
    }
}

/// An entry that a restored station had lost, as a phone gave it back. It rests on the giver's word until its author's page returns.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecoveredEntry {
    /// The entry's bytes; its identity is theirs.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub entry: Vec<u8>,
    /// Whose book it is said to come from.
    #[n(1)]
    pub book: BookId,
    /// Whose book gave it back.
    #[n(2)]
    pub giver: BookId,
    /// When the station is said to have taken it in.
    #[n(3)]
    pub received: UnixMillis,
    /// Who let it in from the quarantine of a book that had ended; none where a restore brought it.
    #[n(4)]
    pub admitted_by: Option<UserId>,
}

impl RecoveredEntry {
    /// The entry itself.
    ///
    /// # Errors
    /// When it is no change and no act, or not of an entry's shape.
    pub fn inner(&self) -> Result<Entry, CodecError> {
        match Entry::parse(&self.entry)? {
            entry @ (Entry::Change(_) | Entry::Act(_)) => Ok(entry),
            Entry::Registry(_) | Entry::Recovered(_) | Entry::Other(_) => Err(CodecError::Malformed {
                what: "recovered entry",
                fault: "only changes and acts are given back".into(),
            }),
        }
    }
}

/// The identity of an entry: the hash of its whole bytes.
#[must_use]
pub fn identity(bytes: &[u8]) -> Hash {
    Hash::of(&[domain::ENTRY, bytes])
}

impl Entry {
    /// The entry's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::to_bytes(self)
    }

    /// Reads an entry from bytes that came from elsewhere.
    ///
    /// # Errors
    /// When the bytes are too long, not deterministic, or not of an entry's shape. Unknown sorts of entries are `Other`.
    pub fn parse(bytes: &[u8]) -> Result<Self, CodecError> {
        let too_long = |max| CodecError::TooLong { what: "entry", max };
        if bytes.len() > ENTRY_BYTES_MAX + RECOVERED_FRAME_BYTES {
            return Err(too_long(ENTRY_BYTES_MAX));
        }
        let entry: Self = codec::from_bytes("entry", bytes)?;
        if bytes.len() > ENTRY_BYTES_MAX && !matches!(entry, Self::Recovered(_)) {
            return Err(too_long(ENTRY_BYTES_MAX));
        }
        if let Self::Act(act) = &entry {
            let heads = [Some(&act.heads), act.private_heads.as_ref()];
            let ascending = heads
                .into_iter()
                .flatten()
                .all(|heads| heads.is_sorted_by(|a, b| a < b) && heads.len() <= HEADS_MAX);
            let named_once = act.values.as_ref().is_none_or(|values| values.is_sorted_by(|a, b| a.0 < b.0));
            if !ascending || !named_once {
                return Err(CodecError::Malformed {
                    what: "act",
                    fault: "heads and values ascend and occur once".into(),
                });
            }
        }
        Ok(entry)
    }

    /// The record it is about, if it is about one.
    #[must_use]
    pub fn record(&self) -> Option<RecordId> {
        match self {
            Self::Change(change) => Some(change.record),
            Self::Act(act) => Some(act.record),
            Self::Recovered(recovered) => recovered.inner().ok()?.record(),
            Self::Registry(_) | Self::Other(_) => None,
        }
    }
}

const CHANGE: u32 = 0;
const ACT: u32 = 1;
const REGISTRY: u32 = 2;
const RECOVERED: u32 = 3;

impl<C> Encode<C> for Entry {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self {
            Self::Change(change) => e.u32(CHANGE)?.encode_with(change, ctx)?.ok(),
            Self::Act(act) => e.u32(ACT)?.encode_with(act, ctx)?.ok(),
            Self::Registry(event) => e.u32(REGISTRY)?.encode_with(event, ctx)?.ok(),
            Self::Recovered(recovered) => e.u32(RECOVERED)?.encode_with(recovered, ctx)?.ok(),
            Self::Other(_) => Err(encode::Error::message(
                "an entry of a later version is kept as bytes, never written",
            )),
        }
    }
}

impl<'b, C> Decode<'b, C> for Entry {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        pair(d)?;
        Ok(match d.u32()? {
            CHANGE => Self::Change(d.decode_with(ctx)?),
            ACT => Self::Act(d.decode_with(ctx)?),
            REGISTRY => Self::Registry(d.decode_with(ctx)?),
            RECOVERED => Self::Recovered(d.decode_with(ctx)?),
            other => {
                d.skip()?;
                Self::Other(other)
            }
        })
    }
}

/// Reads the head of `[sort, body]`.
fn pair(d: &mut Decoder<'_>) -> Result<(), decode::Error> {
    let at = d.position();
    if d.array()? == Some(2) {
        Ok(())
    } else {
        Err(decode::Error::message("expected [sort, body]").at(at))
    }
}

impl<C> Encode<C> for Value {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Null => e.null()?.ok(),
            Self::Bool(yes) => e.bool(*yes)?.ok(),
            Self::Int(number) => e.i64(*number)?.ok(),
            Self::Decimal(number) => e.f64(*number)?.ok(),
            Self::Text(text) => e.str(text)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Value {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Ok(match d.datatype()? {
            Type::Null => {
                d.null()?;
                Self::Null
            }
            Type::Bool => Self::Bool(d.bool()?),
            Type::F64 => Self::Decimal(d.f64()?),
            Type::String => Self::Text(d.str()?.to_owned()),
            _ => Self::Int(d.i64()?),
        })
    }
}
