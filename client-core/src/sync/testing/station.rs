//! A station of one book: it keeps its ledger in memory, verifies pages, signs checkpoints and receipts, and can be told to misbehave.
//! It judges nothing about records; what of them is in scope it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec;
use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::entry::identity;
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::ledger::merkle::{self, Nodes};
use beatbook_protocol::ledger::{Checkpoint, Leaf, Position, StationKey};
use beatbook_protocol::page::{BookPublicKey, SealedPage, Tip};
use beatbook_protocol::parcel::SealingKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    self, Challenged, Cursor, EnrolRequest, EnrolResponse, ExchangeResponse, FeedEntry, FeedLeaf, PageAnswer, PinsOffer, Receipt,
    Refusal, RefusalCode, Verdict, exchange_message, runs,
};

use super::holdings::record_of;
use super::{act, answer, opened};
use crate::transport::{Outcome, OutgoingRequest};

/// One leaf with what the station knows beside it.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) bytes: Vec<u8>,
    pub(super) incarnation: Option<IncarnationId>,
    pub(super) tip: Option<Tip>,
    pub(super) page: Hash,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) entries: Vec<Vec<u8>>,
}

/// A station of one book.
pub(crate) struct Station {
    pub(crate) key: StationKey,
    pub(crate) token: String,
    pub(crate) epoch: u64,
    follows: Option<Position>,
    pub(super) book: Option<(BookId, BookPublicKey)>,
    pub(super) leaves: Vec<Taken>,
    /// Entries that the station says this of.
    pub(crate) verdicts: BTreeMap<Hash, Verdict>,
    /// Code of a fault that the next page has.
    pub(crate) fault: Option<&'static str>,
    pub(crate) leaves_in_reply: usize,
    pub(crate) buckets_in_reply: usize,
    pub(crate) backed_up_to: Option<u64>,
    /// Records that left the scope, with the ledger's size before.
    pub(super) left: BTreeMap<RecordId, u64>,
    /// Records that it destroyed as a whole.
    pub(super) destroyed: BTreeSet<RecordId>,
    /// How many records one reply of a fill holds; none sends all by the feed.
    pub(crate) fill_by: Option<usize>,
    /// Added to the digest that it tells.
    pub(crate) lie: SetDigest,
    /// Opens parcels.
    pub(crate) sealing: SealingKey,
    pub(crate) tells_sealing_key: bool,
    /// What it says about the keys of its certificate.
    pub(crate) pins: Option<PinsOffer>,
}

struct Kept(BTreeMap<(u32, u64), Hash>);

impl Nodes for Kept {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[&(level, index)])
    }
}

impl Station {
    pub(crate) fn new() -> Self {
        Self {
            key: StationKey::from_bytes(&[7; 32]),
            token: "token-1".into(),
            epoch: 0,
            follows: None,
            book: None,
            leaves: Vec::new(),
            verdicts: BTreeMap::new(),
            fault: None,
            leaves_in_reply: 1000,
            buckets_in_reply: usize::MAX,
            backed_up_to: None,
            left: BTreeMap::new(),
            destroyed: BTreeSet::new(),
            fill_by: None,
            lie: SetDigest::default(),
            sealing: SealingKey::from_bytes(&[8; 32]),
            tells_sealing_key: true,
            pins: None,
        }
    }

    /// A record leaves the scope: from here on it is in nothing that the station says.
    pub(crate) fn leave(&mut self, record: RecordId) {
        self.left.insert(record, self.leaves.len() as u64);
        self.write("a record left");
    }

    /// It is in scope again.
    pub(crate) fn enter(&mut self, record: RecordId) {
        self.left.remove(&record);
    }

    pub(crate) fn enrol(&mut self, request: &OutgoingRequest) -> Outcome {
        let request: EnrolRequest = wire::read("enrol", &wire::unpack(&request.body).unwrap()).unwrap();
        let key = BookPublicKey::parse(request.suite, &request.key).unwrap();
        let message = wire::enrol_message(&request.code, request.book, &request.key);
        assert!(key.verifies(&message, &request.proof));
        self.book = Some((request.book, key));
        let response = EnrolResponse {
            origin: "beatbook/test".into(),
            station: "Test".into(),
            user: UserId::from_bytes([1; 16]),
            user_name: "Li".into(),
            roles: vec!["officer".into()],
            unit: UnitId::from_bytes([2; 16]),
            checkpoint_key: self.key.verifying_key().to_bytes().to_vec(),
            receipt_key: self.key.verifying_key().to_bytes().to_vec(),
            token: self.token.clone(),
            server_time: UnixMillis(0),
            sealing: self.offer(),
            pins: self.pins.clone(),
            awaits: None,
            nonce: None,
            signature: None,
        };
        Outcome::Reply(wire::pack(&response).unwrap())
    }

    /// A leaf by somebody else.
    pub(crate) fn write(&mut self, comment: &str) {
        let bytes = act(UnixMillis(1), comment);
        self.append(Taken {
            bytes: Vec::new(),
            incarnation: None,
            tip: None,
            page: Hash::of(&[comment.as_bytes()]),
            verdicts: vec![Verdict::Accepted],
            entries: vec![bytes],
        });
    }

    pub(crate) fn size(&self) -> usize {
        self.leaves.len()
    }

    /// Hashes of the pages on the ledger.
    pub(crate) fn pages(&self) -> Vec<Hash> {
        let own = self.leaves.iter().filter(|leaf| leaf.incarnation.is_some());
        own.map(|leaf| leaf.page).collect()
    }

    /// Identities of own entries that were taken in, in order.
    pub(crate) fn accepted(&self) -> Vec<Hash> {
        let own = self.leaves.iter().filter(|leaf| leaf.incarnation.is_some());
        own.flat_map(|leaf| leaf.entries.iter().zip(&leaf.verdicts))
            .filter(|(_, verdict)| **verdict == Verdict::Accepted)
            .map(|(entry, _)| identity(entry))
            .collect()
    }

    /// Goes back to an old backup; openly, or as if nothing had been.
    pub(crate) fn restore(&mut self, size: usize, openly: bool) {
        let old = self.position(self.leaves.len());
        self.leaves.truncate(size);
        if openly {
            self.epoch += 1;
            self.follows = Some(old);
        }
    }

    pub(crate) fn exchange(&mut self, request: &OutgoingRequest) -> Outcome {
        if let Some(refusal) = self.stranger(request) {
            return refuse(&refusal);
        }
        let request = opened(request);
        if request.next.is_some_and(|next| next < self.tip(request.incarnation).next) {
            return self.renew(request.cursor);
        }
        let answers: Vec<PageAnswer> = request.pages.iter().map(|page| self.take_in(page.clone())).collect();
        let given = request.given.as_ref().map(|given| self.take_given(given));
        let from = request.cursor.as_ref().map(|cursor| cursor.position);
        let head = self.position(self.leaves.len());
        let is_first = from.is_none() && self.fill_by.is_some();
        let start = match from {
            None if is_first => self.leaves.len(),
            from => from
                .map_or(0, |from| usize::try_from(from.size).unwrap())
                .min(self.leaves.len()),
        };
        let end = self.end_of_feed(start, request.feed_bytes_max);
        let feed: Vec<FeedLeaf> = (start..end).filter_map(|leaf| self.feed(leaf, request.incarnation)).collect();
        let (fill, token) = self.fill(&request, is_first);
        let cursor = self.position(end);
        let left: Vec<RecordId> = self
            .left
            .iter()
            .filter(|(_, at)| from.is_some_and(|from| from.size <= **at) && **at < end as u64)
            .map(|(record, _)| *record)
            .collect();
        let at_head = end == self.leaves.len() && token.is_none() && request.feed_bytes_max != Some(0);
        let holds = Self::set(&self.holdings()).and(self.lie);
        let buckets = request
            .buckets
            .as_ref()
            .filter(|_| at_head)
            .map(|buckets| self.differing(buckets));
        let changed = !answers.is_empty() || !feed.is_empty() || !fill.is_empty();
        let root = wire::receipt_root(&answers, &feed, &fill);
        let reply = ExchangeResponse {
            receipt: changed.then(|| Receipt::sign(root, &self.key)),
            answers,
            feed,
            fill: (!fill.is_empty()).then_some(fill),
            left: (!left.is_empty()).then_some(left),
            digest: (at_head && request.digest != Some(holds)).then_some(holds),
            buckets,
            given,
            checkpoint: (from != Some(head)).then(|| self.checkpoint()),
            consistency: from
                .filter(|from| from.size <= head.size)
                .map(|from| self.proof(from.size, head.size)),
            cursor_consistency: (end < self.leaves.len()).then(|| self.proof(cursor.size, head.size)),
            more: (end < self.leaves.len() || token.is_some()).then_some(true),
            backed_up_to: self.backed_up_to,
            sealing: self.offer(),
            pins: self.pins.clone(),
            ..ExchangeResponse::plain(
                UnixMillis(0),
                Cursor {
                    position: cursor,
                    fill: token,
                },
            )
        };
        Outcome::Reply(wire::pack(&reply).unwrap())
    }

    fn renew(&self, cursor: Option<Cursor>) -> Outcome {
        let beginning = Cursor {
            position: self.position(0),
            fill: None,
        };
        let reply = ExchangeResponse {
            renew: Some(true),
            ..ExchangeResponse::plain(UnixMillis(0), cursor.unwrap_or(beginning))
        };
        Outcome::Reply(wire::pack(&reply).unwrap())
    }

    fn stranger(&self, request: &OutgoingRequest) -> Option<Refusal> {
        let signed = request.signature.as_ref().is_some_and(|signature| {
            let signed: Challenged = codec::from_bytes("challenged", &STANDARD.decode(signature).unwrap()).unwrap();
            let message = exchange_message(&signed.challenge, &request.body);
            signed.challenge == b"challenge" && self.book.unwrap().1.verifies(&message, &signed.signature)
        });
        (!signed && request.token.as_ref() != Some(&self.token)).then(|| Refusal {
            challenge: Some(b"challenge".to_vec()),
            ..Refusal::new(&RefusalCode::SignIn, "sign in")
        })
    }

    pub(super) fn take_in(&mut self, page: SealedPage) -> PageAnswer {
        let key = self.book.unwrap().1;
        let bad = |page, fault: &str, expected| PageAnswer {
            page,
            leaf: None,
            verdicts: Vec::new(),
            fault: Some(fault.to_owned()),
            expected,
        };
        let page = page.verify(&key).unwrap();
        if let Some(leaf) = self.leaves.iter().position(|leaf| leaf.page == page.hash()) {
            return answer(page.hash(), leaf, &self.leaves[leaf].verdicts);
        }
        let incarnation = page.header().incarnation;
        let tip = self.tip(incarnation);
        if let Some(fault) = self.fault.take() {
            return bad(page.hash(), fault, None);
        }
        if let Err(fault) = page.check_follows(&tip) {
            return bad(page.hash(), fault.code(), Some(tip.next));
        }
        let mut known: BTreeSet<Hash> = self.accepted().into_iter().collect();
        let entries: Vec<Vec<u8>> = page.entries().map(|(entry, _)| entry.to_vec()).collect();
        let verdict = |entry: &Vec<u8>| {
            let id = identity(entry);
            let ruled = self.verdicts.get(&id).cloned();
            let fresh = known.insert(id);
            ruled.unwrap_or(if fresh { Verdict::Accepted } else { Verdict::Duplicate })
        };
        let verdicts: Vec<Verdict> = entries.iter().map(verdict).collect();
        self.append(Taken {
            bytes: page.page().header.clone(),
            incarnation: Some(incarnation),
            tip: Some(Tip {
                incarnation,
                next: tip.next + 1,
                last: page.hash(),
            }),
            page: page.hash(),
            verdicts: verdicts.clone(),
            entries,
        });
        answer(page.hash(), self.leaves.len() - 1, &verdicts)
    }

    pub(super) fn append(&mut self, taken: Taken) {
        let leaf = Leaf {
            version: 1,
            header: taken.bytes.clone(),
            signature: taken.page.as_bytes().to_vec(),
            verdicts: runs(&taken.verdicts),
            received: UnixMillis(1),
        };
        let bytes = leaf.to_bytes();
        self.leaves.push(Taken { bytes, ..taken });
    }

    fn tip(&self, incarnation: IncarnationId) -> Tip {
        let tips = self.leaves.iter().filter(|leaf| leaf.incarnation == Some(incarnation));
        tips.filter_map(|leaf| leaf.tip).next_back().unwrap_or(Tip {
            incarnation,
            next: 0,
            last: Hash::from_bytes([0; 32]),
        })
    }

    fn feed(&self, leaf: usize, incarnation: IncarnationId) -> Option<FeedLeaf> {
        (self.leaves[leaf].incarnation != Some(incarnation)).then(|| self.shown(leaf, |record| !self.is_out(record)))
    }

    /// A leaf with its accepted entries of these records.
    pub(super) fn shown(&self, leaf: usize, wanted: impl Fn(RecordId) -> bool) -> FeedLeaf {
        let taken = &self.leaves[leaf];
        let entries = (0..).zip(taken.entries.iter().zip(&taken.verdicts));
        let entries =
            entries.filter(|(_, (entry, verdict))| **verdict == Verdict::Accepted && record_of(entry).is_none_or(&wanted));
        FeedLeaf {
            leaf: leaf as u64,
            book: BookId::from_bytes([9; 16]),
            received: UnixMillis(1),
            entries: entries
                .map(|(position, (entry, _))| FeedEntry {
                    position,
                    entry: entry.clone().into(),
                    offered: None,
                })
                .collect(),
        }
    }

    fn position(&self, size: usize) -> Position {
        let hashes: Vec<Hash> = self.leaves[..size].iter().map(|leaf| Leaf::hash(&leaf.bytes)).collect();
        Position {
            epoch: self.epoch,
            size: size as u64,
            root: merkle::root_of(&hashes),
        }
    }

    pub(super) fn checkpoint(&self) -> String {
        let checkpoint = Checkpoint {
            origin: "beatbook/test".into(),
            position: self.position(self.leaves.len()),
            follows: self.follows,
        };
        checkpoint.sign(&self.key)
    }

    fn proof(&self, old: u64, size: u64) -> Vec<Hash> {
        let mut kept = Kept(BTreeMap::new());
        for (size, leaf) in (0..).zip(&self.leaves) {
            for node in merkle::append(&kept, size, Leaf::hash(&leaf.bytes)).unwrap() {
                kept.0.insert((node.level, node.index), node.hash);
            }
        }
        merkle::prove_consistency(&kept, old, size).unwrap()
    }
}

/// A refusal as it travels.
pub(crate) fn refuse(refusal: &Refusal) -> Outcome {
    Outcome::Refused {
        status: refusal.code().http_status(),
        bytes: wire::pack(refusal).unwrap(),
    }
}
