//! A phone and a station for tests: the station keeps its ledger in memory, verifies pages, signs checkpoints and receipts, and can be
//! told to misbehave. It judges nothing about records.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_protocol::codec;
use beatbook_protocol::entry::{ActEntry, Entry, identity};
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::ledger::merkle::{self, Nodes};
use beatbook_protocol::ledger::{Checkpoint, Leaf, Position, StationKey};
use beatbook_protocol::page::{BookPublicKey, SealedPage, Tip};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    self, Challenged, Cursor, EnrolRequest, EnrolResponse, ExchangeRequest, ExchangeResponse, FeedEntry, FeedLeaf, PageAnswer,
    Receipt, Refusal, RefusalCode, Verdict, WIRE_VERSION, exchange_message, runs,
};

use super::{Budget, Enrolment, Step, StoreVault, SyncError, SyncMachine, SyncReport};
use crate::core::{Core, OpenOptions};
use crate::platform::{Clock, Platform, Randomness};
use crate::store::outbox;
use crate::transport::{Outcome, OutgoingRequest};

/// A core in a file of its own, under a clock and randomness of the test.
pub(super) struct Phone {
    pub(super) core: Core,
    clock: Arc<AtomicI64>,
    path: PathBuf,
    written: Cell<u64>,
}

struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst).cast_unsigned()
    }

    fn boot(&self) -> u64 {
        1
    }
}

struct TestRandomness(AtomicU64);

impl Randomness for TestRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(32) {
            let hash = Hash::of(&[b"test", &self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes()]);
            part.copy_from_slice(&hash.as_bytes()[..part.len()]);
        }
    }
}

impl Phone {
    /// A new phone that is not enrolled.
    pub(super) fn new() -> Self {
        static PHONES: AtomicU64 = AtomicU64::new(0);
        let number = PHONES.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("beatbook-sync-{}-{number}.db", std::process::id()));
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let platform = Platform {
            clock: Box::new(TestClock(Arc::clone(&clock))),
            random: Box::new(TestRandomness(AtomicU64::new(number << 32))),
        };
        let core = Core::open(&path, OpenOptions::default(), platform).unwrap().core;
        Self {
            core,
            clock,
            path,
            written: Cell::new(0),
        }
    }

    /// A new phone that is enrolled at the station.
    pub(super) fn enrolled(station: &mut Station) -> Self {
        let phone = Self::new();
        let enrolment = Enrolment::begin(&phone.core, &StoreVault(&phone.core), "code", "test").unwrap();
        let outcome = station.enrol(&enrolment.request());
        enrolment.finish(&phone.core, outcome).unwrap();
        phone
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.core.platform().clock.wall()
    }

    pub(super) fn pass(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    /// Writes an entry of about so many bytes.
    pub(super) fn write(&self, size: usize) -> Hash {
        self.written.set(self.written.get() + 1);
        let bytes = act(self.now(), &format!("{} {}", self.written.get(), "x".repeat(size)));
        let entry = identity(&bytes);
        let fault = |fault| self.core.fault(fault);
        self.core
            .write(|records| outbox::put(records.tx(), &entry, None, &bytes).map_err(fault))
            .unwrap();
        entry
    }

    pub(super) fn machine(&self) -> SyncMachine<'_> {
        SyncMachine::open(&self.core, &StoreVault(&self.core), Budget::default()).unwrap()
    }

    /// Syncs to the end; waits cost no time.
    pub(super) fn sync(&self, station: &mut Station) -> Result<SyncReport, SyncError> {
        self.sync_by(|request| station.exchange(request))
    }

    /// Syncs to the end over a network of the test's own.
    pub(super) fn sync_by(&self, mut network: impl FnMut(&OutgoingRequest) -> Outcome) -> Result<SyncReport, SyncError> {
        let mut machine = self.machine();
        loop {
            match machine.next(self.now())? {
                Step::Send(request) => drop(machine.receive(self.now(), network(&request))?),
                Step::Wait { until, .. } => self.pass(until.since(self.now())),
                Step::Done(report) => return Ok(report),
            }
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        for ending in ["db", "db-wal", "db-shm"] {
            drop(std::fs::remove_file(self.path.with_extension(ending)));
        }
    }
}

fn act(at: UnixMillis, comment: &str) -> Vec<u8> {
    Entry::Act(ActEntry {
        record: RecordId::from_bytes([5; 16]),
        code: "comment".into(),
        heads: Vec::new(),
        last_act: None,
        at,
        comment: Some(comment.into()),
        values: None,
        private_heads: None,
        on_behalf: None,
    })
    .to_bytes()
}

/// What a request looks like to the one who wrote it.
pub(super) fn opened(request: &OutgoingRequest) -> ExchangeRequest {
    wire::read("request", &wire::unpack(&request.body).unwrap()).unwrap()
}

/// One leaf with what the station knows beside it.
#[derive(Clone)]
struct Taken {
    bytes: Vec<u8>,
    incarnation: Option<IncarnationId>,
    tip: Option<Tip>,
    page: Hash,
    verdicts: Vec<Verdict>,
    entries: Vec<Vec<u8>>,
}

/// A station of one book.
pub(super) struct Station {
    pub(super) key: StationKey,
    pub(super) token: String,
    pub(super) epoch: u64,
    follows: Option<Position>,
    book: Option<(BookId, BookPublicKey)>,
    leaves: Vec<Taken>,
    /// Entries that the station says this of.
    pub(super) verdicts: BTreeMap<Hash, Verdict>,
    /// Code of a fault that the next page has.
    pub(super) fault: Option<&'static str>,
    pub(super) leaves_in_reply: usize,
    pub(super) backed_up_to: Option<u64>,
}

struct Kept(BTreeMap<(u32, u64), Hash>);

impl Nodes for Kept {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[&(level, index)])
    }
}

impl Station {
    pub(super) fn new() -> Self {
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
            backed_up_to: None,
        }
    }

    pub(super) fn enrol(&mut self, request: &OutgoingRequest) -> Outcome {
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
        };
        Outcome::Reply(wire::pack(&response).unwrap())
    }

    /// A leaf by somebody else.
    pub(super) fn write(&mut self, comment: &str) {
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

    pub(super) fn size(&self) -> usize {
        self.leaves.len()
    }

    /// Hashes of the pages on the ledger.
    pub(super) fn pages(&self) -> Vec<Hash> {
        let own = self.leaves.iter().filter(|leaf| leaf.incarnation.is_some());
        own.map(|leaf| leaf.page).collect()
    }

    /// Identities of own entries that were taken in, in order.
    pub(super) fn accepted(&self) -> Vec<Hash> {
        let own = self.leaves.iter().filter(|leaf| leaf.incarnation.is_some());
        own.flat_map(|leaf| leaf.entries.iter().zip(&leaf.verdicts))
            .filter(|(_, verdict)| **verdict == Verdict::Accepted)
            .map(|(entry, _)| identity(entry))
            .collect()
    }

    /// Goes back to an old backup; openly, or as if nothing had been.
    pub(super) fn restore(&mut self, size: usize, openly: bool) {
        let old = self.position(self.leaves.len());
        self.leaves.truncate(size);
        if openly {
            self.epoch += 1;
            self.follows = Some(old);
        }
    }

    pub(super) fn exchange(&mut self, request: &OutgoingRequest) -> Outcome {
        if let Some(refusal) = self.stranger(request) {
            return refuse(&refusal);
        }
        let request = opened(request);
        let answers: Vec<PageAnswer> = request.pages.iter().map(|page| self.take_in(page.clone())).collect();
        let from = request.cursor.as_ref().map(|cursor| cursor.position);
        let head = self.position(self.leaves.len());
        let start = from
            .map_or(0, |from| usize::try_from(from.size).unwrap())
            .min(self.leaves.len());
        let end = (start + self.leaves_in_reply).min(self.leaves.len());
        let feed: Vec<FeedLeaf> = (start..end).filter_map(|leaf| self.feed(leaf, request.incarnation)).collect();
        let cursor = self.position(end);
        let changed = !answers.is_empty() || !feed.is_empty();
        let root = wire::receipt_root(&answers, &feed);
        let reply = ExchangeResponse {
            version: WIRE_VERSION,
            server_time: UnixMillis(0),
            receipt: changed.then(|| Receipt::sign(root, &self.key)),
            answers,
            feed,
            checkpoint: (from != Some(head)).then(|| self.checkpoint()),
            consistency: from
                .filter(|from| from.size <= head.size)
                .map(|from| self.proof(from.size, head.size)),
            cursor_consistency: (end < self.leaves.len()).then(|| self.proof(cursor.size, head.size)),
            more: (end < self.leaves.len()).then_some(true),
            cursor: Cursor {
                position: cursor,
                fill: None,
            },
            kinds: None,
            token: None,
            next_ms: None,
            backed_up_to: self.backed_up_to,
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

    fn take_in(&mut self, page: SealedPage) -> PageAnswer {
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
        let tips = self.leaves.iter().filter(|leaf| leaf.incarnation == Some(incarnation));
        let tip = tips.filter_map(|leaf| leaf.tip).next_back().unwrap_or(Tip {
            incarnation,
            next: 0,
            last: Hash::from_bytes([0; 32]),
        });
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

    fn append(&mut self, taken: Taken) {
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

    fn feed(&self, leaf: usize, incarnation: IncarnationId) -> Option<FeedLeaf> {
        let taken = &self.leaves[leaf];
        let entries = taken.entries.iter().map(|entry| FeedEntry {
            position: 0,
            entry: entry.clone().into(),
            offered: None,
        });
        (taken.incarnation != Some(incarnation)).then(|| FeedLeaf {
            leaf: leaf as u64,
            book: BookId::from_bytes([9; 16]),
            received: UnixMillis(1),
            entries: entries.collect(),
        })
    }

    fn position(&self, size: usize) -> Position {
        let hashes: Vec<Hash> = self.leaves[..size].iter().map(|leaf| Leaf::hash(&leaf.bytes)).collect();
        Position {
            epoch: self.epoch,
            size: size as u64,
            root: merkle::root_of(&hashes),
        }
    }

    fn checkpoint(&self) -> String {
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
pub(super) fn refuse(refusal: &Refusal) -> Outcome {
    Outcome::Refused {
        status: refusal.code().http_status(),
        bytes: wire::pack(refusal).unwrap(),
    }
}

fn answer(page: Hash, leaf: usize, verdicts: &[Verdict]) -> PageAnswer {
    PageAnswer {
        page,
        leaf: Some(leaf as u64),
        verdicts: runs(verdicts),
        fault: None,
        expected: None,
    }
}
