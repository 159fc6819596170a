//! `POST /sync/v1/exchange`: pages up, verdicts and the feed down, in one round trip. Each reply is complete in itself, and any
//! request may be repeated at any time: pages are known by their hash.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::{BucketRecords, Held, KeyShare, PinsOffer, Receipt, SealingOffer, VerdictRun, WIRE_VERSION, WipeOrder};
use crate::codec::domain;
use crate::digest::SetDigest;
use crate::id::{BookId, Hash, IncarnationId, RecordId};
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
    /// Digest of what the phone holds accepted, when nothing is being filled.
    #[n(8)]
    pub digest: Option<SetDigest>,
    /// What others wrote and a restored station has lost.
    #[n(9)]
    pub given: Option<Vec<GivenEntry>>,
    /// Number of the next page of this incarnation, after all that are sealed: an old copy of a phone's file is known by it.
    #[n(10)]
    pub next: Option<u64>,
    /// Digests of the phone's 256 buckets ([`crate::digest::Buckets::to_bytes`]), to find records that differ.
    #[cbor(n(11), with = "minicbor::bytes")]
    pub buckets: Option<Vec<u8>>,
    /// Records to be sent whole.
    #[n(12)]
    pub wanted: Option<Vec<RecordId>>,
    /// With `given`: the newest checkpoint of the ledger's life before, as the station signed it.
    #[n(13)]
    pub witness: Option<String>,
    /// What the phone has still to send, for the chief's overview; none when that is nothing.
    #[n(14)]
    pub owes: Option<Owes>,
    /// Asks for the station's sealing key: the phone has none, or an old one.
    #[n(15)]
    pub sealing: Option<bool>,
    // 16 and 17 are reserved.
    /// The share of the phone's key that the station is to keep, until the station has said that it does.
    #[n(18)]
    pub share: Option<KeyShare>,
    /// How long the phone may work without seeing the station, as it knows it, in milliseconds; none while it was told nothing.
    #[n(19)]
    pub lease_ms: Option<u64>,
}

impl ExchangeRequest {
    /// A request that says no more than who asks and how far he is.
    #[must_use]
    pub const fn plain(book: BookId, incarnation: IncarnationId, cursor: Option<Cursor>) -> Self {
        Self {
            version: WIRE_VERSION,
            book,
            incarnation,
            cursor,
            pages: Vec::new(),
            kinds: None,
            app: String::new(),
            feed_bytes_max: None,
            digest: None,
            given: None,
            next: None,
            buckets: None,
            wanted: None,
            witness: None,
            owes: None,
            sealing: None,
            share: None,
            lease_ms: None,
        }
    }
}

/// An entry that somebody else wrote, given back to a station that has lost it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GivenEntry {
    /// The entry's bytes.
    #[n(0)]
    pub entry: ByteVec,
    /// Whose book it came from.
    #[n(1)]
    pub book: BookId,
    /// When the station had taken it in.
    #[n(2)]
    pub received: UnixMillis,
}

/// What waits on a phone after this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Owes {
    /// Own entries without an answer.
    #[n(0)]
    pub entries: u64,
    /// When the oldest of them was written, by the phone's clock.
    #[n(1)]
    pub since: Option<UnixMillis>,
    /// Blobs that the station does not have yet.
    #[n(2)]
    pub blobs: u64,
    /// Their bytes.
    #[n(3)]
    pub blob_bytes: u64,
    /// Entries that came back and wait for their author.
    #[n(4)]
    pub came_back: u64,
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
    /// Digest of what the phone must hold at the reply's cursor, when that is the ledger's end, nothing is left to fill, and the request
    /// did not say the same.
    #[n(14)]
    pub digest: Option<SetDigest>,
    /// Records that enter the phone's scope, or were wanted: their entries, record by record, each record's in the ledger's order.
    #[n(15)]
    pub fill: Option<Vec<FeedLeaf>>,
    /// Records that left the phone's scope.
    #[n(16)]
    pub left: Option<Vec<RecordId>>,
    /// The records of each bucket that differs.
    #[n(17)]
    pub buckets: Option<Vec<BucketRecords>>,
    /// The phone's file is an old copy of itself: nothing of the request was taken in, and it goes on under a new incarnation.
    #[n(18)]
    pub renew: Option<bool>,
    /// The app should be at least of this version. What an older one sends is taken in all the same.
    #[n(19)]
    pub app_min: Option<String>,
    /// Verdicts on what was given back, in the request's order.
    #[n(20)]
    pub given: Option<Vec<VerdictRun>>,
    /// The key that parcels are sealed to, when the phone asked for it.
    #[n(21)]
    pub sealing: Option<SealingOffer>,
    /// The book has ended: nothing comes down any more, and the phone parts with what it has.
    #[n(22)]
    pub wipe: Option<WipeOrder>,
    /// With `wipe`: what of the request's pages is held for the chief.
    #[n(23)]
    pub held: Option<Held>,
    /// The share of the phone's key that the station keeps now ([`super::share_name`]), when the request brought one.
    #[n(24)]
    pub share: Option<Hash>,
    /// How long the phone may work without seeing the station, in milliseconds, when it is not what the request said.
    #[n(25)]
    pub lease_ms: Option<u64>,
    /// The keys of the station's certificate, beside a new token.
    #[n(28)]
    pub pins: Option<PinsOffer>,
}

impl ExchangeResponse {
    /// A reply that says nothing new.
    #[must_use]
    pub const fn plain(server_time: UnixMillis, cursor: Cursor) -> Self {
        Self {
            version: WIRE_VERSION,
            server_time,
            answers: Vec::new(),
            feed: Vec::new(),
            cursor,
            more: None,
            checkpoint: None,
            consistency: None,
            cursor_consistency: None,
            kinds: None,
            token: None,
            next_ms: None,
            receipt: None,
            backed_up_to: None,
            digest: None,
            fill: None,
            left: None,
            buckets: None,
            renew: None,
            app_min: None,
            given: None,
            sealing: None,
            pins: None,
            share: None,
            lease_ms: None,
            wipe: None,
            held: None,
        }
    }
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
