//! What a phone holds, kept by hand: every byte that it got, its records' accepted entries, and the digest that it makes of them.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest};
use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{Entry, RegistryEvent, identity};
use beatbook_protocol::id::{BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::kind::{DocumentName, Who};
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

/// A unit, and what somebody is there.
type Posting = (UnitId, Vec<Who>);
/// Where a word on a grant stands, and whether it ends it.
type Word = ((u64, u32), bool);

/// What a phone holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) records: BTreeMap<RecordId, BTreeMap<Hash, HeldEntry>>,
    pub(crate) books: BTreeMap<BookId, UserId>,
    /// Where people work: each at home under his own id, and by his memberships under theirs while they are in force.
    pub(crate) postings: BTreeMap<UserId, BTreeMap<[u8; 16], Posting>>,
    pub(crate) parents: BTreeMap<UnitId, Option<UnitId>>,
    /// The newest word on to whom records are granted: where it stands, and whether it ends.
    pub(crate) grants: BTreeMap<(RecordId, [u8; 16]), Word>,
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
                Entry::Registry(RegistryEvent::Unit(event)) => drop(self.parents.insert(event.unit, event.parent)),
                Entry::Registry(RegistryEvent::User(event)) => {
                    let home = (event.unit, roles(&event.roles));
                    let postings = self.postings.entry(event.user).or_default();
                    postings.insert(*event.user.as_bytes(), home);
                }
                Entry::Registry(RegistryEvent::Membership(event)) => {
                    let postings = self.postings.entry(event.user).or_default();
                    if event.phase == 1 {
                        postings.insert(*event.membership.as_bytes(), (event.unit, roles(&event.roles)));
                    } else {
                        postings.remove(event.membership.as_bytes());
                    }
                }
                Entry::Registry(RegistryEvent::Grant(event)) => {
                    let to = event
                        .user
                        .map_or_else(|| *event.unit.unwrap().as_bytes(), |user| *user.as_bytes());
                    let newest = (place, event.ended == Some(true));
                    let known = self.grants.entry((event.record, to)).or_insert(newest);
                    *known = newest.max(*known);
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

    /// What somebody is over a record, by all that was said to this phone.
    fn roles_over(&self, user: UserId, record: RecordId, unit: UnitId) -> Vec<Who> {
        let granted = self.grants.iter().filter(|((of, _), (_, ended))| *of == record && !ended);
        let granted: Vec<[u8; 16]> = granted.map(|((_, to), _)| *to).collect();
        let mut all = Vec::new();
        for (name, (top, roles)) in self.postings.get(&user).into_iter().flatten() {
            let is_there = |unit: UnitId| {
                let above = |unit: &UnitId| self.parents.get(unit).copied().flatten();
                std::iter::successors(Some(unit), above).any(|unit| unit == *top)
            };
            let is_his = name == user.as_bytes() && granted.contains(user.as_bytes());
            if is_his || is_there(unit) || granted.iter().any(|to| is_there(UnitId::from_bytes(*to))) {
                all.extend(roles.iter().copied());
            }
        }
        all
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
                        let catalogue = super::catalogue();
                        let kind = catalogue.get(&opens.kind, opens.version).unwrap();
                        let opened_it = self.books.get(&held.book) == Some(&user);
                        reads = reads_private(kind, &self.roles_over(user, record, opens.unit), opened_it);
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
        acts.sort();
        let acts: Vec<Hash> = acts.into_iter().map(|(_, id)| id).collect();
        let facts = RecordDigest::facts(record, &heads(DocumentName::Facts), &acts);
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

fn roles(codes: &[String]) -> Vec<Who> {
    codes.iter().filter_map(|code| Who::from_code(code)).collect()
}
