//! `POST /sync/v1/exchange`: pages up, verdicts and the feed down, in one round trip. Each reply is complete in itself, and any
//! request may be repeated at any time: pages are known by their hash.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::{Receipt, SealingOffer, VerdictRun};
use crate::codec::domain;
use crate::id::{BookId, Hash, IncarnationId};
use crate::ledger::Position;
use crate::page::SealedPage;
use crate::time::UnixMillis;

/// How far a phone has taken in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Cursor {
    /// The position up to which it holds everything in its scope.
    #[n(0)]
    pub position: Position,
    /// Where a first sync or a new scope stands; none when nothing is being filled.
    #[n(1)]
    pub fill: Option<Fill>,
}

/// Where a fill stands. The station interprets it; the phone sends it back as it came.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fill {
    /// Opaque place to go on from.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub token: Vec<u8>,
}

/// A phone's request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ExchangeRequest {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The book.
    #[n(1)]
    pub book: BookId,
    /// The life of its database.
    #[n(2)]
    pub incarnation: IncarnationId,
    /// How far it is; none before its first reply.
    #[n(3)]
    pub cursor: Option<Cursor>,
    /// Pages, in order.
    #[n(4)]
    pub pages: Vec<SealedPage>,
    /// Digest of the phone's kind catalogue.
    #[n(5)]
    pub kinds: Option<Hash>,
    /// Version of the app.
    #[n(6)]
    pub app: String,
    /// Bytes of feed that the phone wants at most now (a background window); none leaves it to the station. 0 asks for no feed and leaves
    /// the cursor where it is: so a phone asks while sealed pages wait behind those of the request.
    #[n(7)]
    pub feed_bytes_max: Option<u32>,
    /// Asks for the station's sealing key: the phone has none, or an old one.
    #[n(15)]
    pub sealing: Option<bool>,
    // 8 is reserved for bucket digests, 9 for what the phone gives back after a restore.
}

/// An answer to a challenge, beside the request's bytes (HTTP header `Beatbook-Signature`, CBOR in base64).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Challenged {
    /// The challenge as it came.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub challenge: Vec<u8>,
    /// The book's signature over [`exchange_message`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

/// What a book signs to get a new token: the challenge and the request's packed bytes.
#[must_use]
pub fn exchange_message(challenge: &[u8], packed: &[u8]) -> Vec<u8> {
    [
        domain::EXCHANGE,
        &[u8::try_from(challenge.len()).unwrap_or(u8::MAX)],
        challenge,
        Hash::of(&[packed]).as_bytes(),
    ]
    .concat()
}

/// The station's reply.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ExchangeResponse {
    /// Version of the messages.
    #[n(0)]
    pub version: u32,
    /// The station's clock.
    #[n(1)]
    pub server_time: UnixMillis,
    /// An answer to each page of the request, in order.
    #[n(2)]
    pub answers: Vec<PageAnswer>,
    /// The ledger since the cursor: leaves in the phone's scope, ascending.
    #[n(3)]
    pub feed: Vec<FeedLeaf>,
    /// How far the phone is after this reply.
    #[n(4)]
    pub cursor: Cursor,
    /// Whether there is more to fetch now.
    #[n(5)]
    pub more: Option<bool>,
    /// The signed checkpoint, when it is not the cursor's that the phone sent.
    #[n(6)]
    pub checkpoint: Option<String>,
    /// Consistency from the phone's position to the checkpoint's.
    #[n(7)]
    pub consistency: Option<Vec<Hash>>,
    /// Consistency from the reply's cursor to the checkpoint's, when the cursor stops before it.
    #[n(8)]
    pub cursor_consistency: Option<Vec<Hash>>,
    /// Kinds that the phone lacks, when its digest differs.
    #[n(9)]
    pub kinds: Option<Vec<KindFile>>,
    /// A new bearer token, when the old one is old or was missing.
    #[n(10)]
    pub token: Option<String>,
    /// Milliseconds until the phone should ask again of itself.
    #[n(11)]
    pub next_ms: Option<u64>,
    /// The receipt, when the reply answers pages or holds a feed.
    #[n(12)]
    pub receipt: Option<Receipt>,
    /// Ledger size up to which the station has a backup; authors keep their pages beyond it.
    #[n(13)]
    pub backed_up_to: Option<u64>,
    /// The key that parcels are sealed to, when the phone asked for it.
    #[n(21)]
    pub sealing: Option<SealingOffer>,
    // 14 is reserved for bucket digests, 15 for enter-scope and leave-scope.
}

/// What became of one page.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PageAnswer {
    /// The page, by its header's hash.
    #[n(0)]
    pub page: Hash,
    /// Its leaf in the ledger, when it was taken in.
    #[n(1)]
    pub leaf: Option<u64>,
    /// The verdicts on its entries, when it was taken in.
    #[n(2)]
    pub verdicts: Vec<VerdictRun>,
    /// Why it was not taken in as a whole ([`crate::page::PageFault::code`]).
    #[n(3)]
    pub fault: Option<String>,
    /// With `page_chain`: the number that would follow.
    #[n(4)]
    pub expected: Option<u64>,
}

/// A leaf as the feed shows it: the accepted entries in the phone's scope.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FeedLeaf {
    /// The leaf's number.
    #[n(0)]
    pub leaf: u64,
    /// Whose book.
    #[n(1)]
    pub book: BookId,
    /// When the station took it in.
    #[n(2)]
    pub received: UnixMillis,
    /// The entries.
    #[n(3)]
    pub entries: Vec<FeedEntry>,
}

/// One accepted entry in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FeedEntry {
    /// Number within its page.
    #[n(0)]
    pub position: u32,
    /// The entry's bytes.
    #[n(1)]
    pub entry: ByteVec,
    /// Whether an act was taken in as an offer only.
    #[n(2)]
    pub offered: Option<bool>,
}

/// A kind file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KindFile {
    /// Code.
    #[n(0)]
    pub kind: String,
    /// Version.
    #[n(1)]
    pub version: u32,
    /// The file's text.
    #[n(2)]
    pub source: String,
}
