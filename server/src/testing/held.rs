//! What a phone holds, kept by hand: every byte that it got, its records' accepted entries, and the digest that it makes of them.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest};
use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{Entry, RegistryEvent, identity};
use beatbook_protocol::id::{BookId, Hash, RecordId, UserId};
use beatbook_protocol::kind::{Catalogue, DocumentName, Who};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{ExchangeResponse, FeedLeaf};

use crate::feed::reads_private;

/// An accepted entry.
#[derive(Debug, Clone)]
pub(crate) struct HeldEntry {
    pub(crate) place: (u64, u32),
    pub(crate) book: BookId,
    pub(crate) received: UnixMillis,
    pub(crate) bytes: Vec<u8>,
    pub(crate) entry: Entry,
}

/// What a phone holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) records: BTreeMap<RecordId, BTreeMap<Hash, HeldEntry>>,
    pub(crate) books: BTreeMap<BookId, UserId>,
    pub(crate) roles: BTreeMap<UserId, Vec<Who>>,
    /// Records in the order in which fills brought them.
    pub(crate) filled: Vec<RecordId>,
    /// Records of whose destruction it was told.
    pub(crate) destroyed: Vec<RecordId>,
}

fn is_private(entry: &Entry) -> bool {
    matches!(entry, Entry::Change(change) if change.document.name() == Some(DocumentName::Private))
}

impl Held {
    /// Takes in a reply: what left goes, what fills comes, then the feed.
    pub(crate) fn take(&mut self, reply: &ExchangeResponse) {
        for record in reply.left.iter().flatten() {
            self.records.remove(record);
        }
        for leaf in reply.fill.iter().flatten() {
            for record in self.leaf(leaf) {
                self.filled.push(record);
            }
        }
        for leaf in &reply.feed {
            self.leaf(leaf);
        }
        for (record, entries) in &self.records {
            assert!(
                entries
                    .values()
                    .any(|held| matches!(&held.entry, Entry::Change(change) if change.opens.is_some())),
                "{record} came without its opening"
            );
        }
    }

    fn leaf(&mut self, leaf: &FeedLeaf) -> BTreeSet<RecordId> {
        let mut records = BTreeSet::new();
        for one in &leaf.entries {
            let place = (leaf.leaf, one.position);
            match Entry::parse(&one.entry).unwrap() {
                Entry::Registry(RegistryEvent::Book(event)) => drop(self.books.insert(event.book, event.user)),
                Entry::Registry(RegistryEvent::User(event)) => {
                    let roles = event.roles.iter().filter_map(|code| Who::from_code(code)).collect();
                    self.roles.insert(event.user, roles);
                }
                Entry::Registry(RegistryEvent::Destruction(event)) => {
                    self.destroyed.push(event.record);
                    if event.document.is_none() {
                        self.records.remove(&event.record);
                    } else if let Some(entries) = self.records.get_mut(&event.record) {
                        entries.retain(|_, held| !is_private(&held.entry));
                    }
                }
                Entry::Recovered(recovered) => {
                    records.extend(self.put(place, recovered.book, recovered.received, recovered.entry.clone()));
                }
                _ => records.extend(self.put(place, leaf.book, leaf.received, one.entry.to_vec())),
            }
        }
        records
    }

    /// Puts an entry; where it stands says who put it last.
    pub(crate) fn put(&mut self, place: (u64, u32), book: BookId, received: UnixMillis, bytes: Vec<u8>) -> Option<RecordId> {
        let entry = Entry::parse(&bytes).unwrap();
        let record = entry.record()?;
        let held = HeldEntry {
            place,
            book,
            received,
            bytes,
            entry,
        };
        let id = identity(&held.bytes);
        self.records.entry(record).or_default().insert(id, held);
        Some(record)
    }

    /// The digest of a record for somebody.
    fn record(&self, user: UserId, record: RecordId, entries: &BTreeMap<Hash, HeldEntry>) -> RecordDigest {
        let mut heads: BTreeMap<DocumentName, BTreeSet<Hash>> = BTreeMap::new();
        let mut covered = BTreeSet::new();
        let mut acts = Vec::new();
        let mut reads = false;
        for (id, held) in entries {
            match &held.entry {
                Entry::Change(change) => {
                    let envelope = guard::envelope(&change.change).unwrap();
                    let name = change.document.name().unwrap();
                    heads.entry(name).or_default().insert(envelope.hash);
                    covered.extend(envelope.deps);
                    if let Some(opens) = &change.opens {
                        let catalogue = Catalogue::builtin().unwrap();
                        let kind = catalogue.get(&opens.kind, opens.version).unwrap();
                        let opened_it = self.books.get(&held.book) == Some(&user);
                        let nobody = Vec::new();
                        reads = reads_private(kind, self.roles.get(&user).unwrap_or(&nobody), opened_it);
                    }
                }
                Entry::Act(_) => acts.push((held.place, *id)),
                other => panic!("{other:?}"),
            }
        }
        let heads = |name| -> Vec<Hash> {
            let all = heads.get(&name).into_iter().flatten();
            all.filter(|hash| !covered.contains(hash)).copied().collect()
        };
        let last = acts.into_iter().max().map(|(_, id)| id);
        let facts = RecordDigest::facts(record, &heads(DocumentName::Facts), last.as_ref());
        if reads {
            facts.with(RecordDigest::private(record, &heads(DocumentName::Private)))
        } else {
            facts
        }
    }

    pub(crate) fn digest(&self, user: UserId) -> SetDigest {
        let all = self.records.iter();
        all.fold(SetDigest::default(), |sum, (id, entries)| {
            sum.with(self.record(user, *id, entries))
        })
    }

    pub(crate) fn buckets(&self, user: UserId) -> Buckets {
        let mut buckets = Buckets::default();
        for (id, entries) in &self.records {
            buckets.add(*id, self.record(user, *id, entries));
        }
        buckets
    }

    /// The digest of one record.
    pub(crate) fn digest_of(&self, user: UserId, record: RecordId) -> Option<RecordDigest> {
        Some(self.record(user, record, self.records.get(&record)?))
    }
}
