//! What the station of the tests holds of records, for digests, fills and what is given back.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::digest::{Buckets, RecordDigest, SetDigest, bucket_of};
use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{DestructionEvent, Entry, RecoveredEntry, RegistryEvent, identity};
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::{
    BucketRecords, ExchangeRequest, FeedLeaf, Fill, GivenEntry, RecordState, Verdict, VerdictRun, runs,
};

use super::station::{Station, Taken};

/// The changes of a record, those that others build on, and its acts.
type Folded = (BTreeSet<Hash>, BTreeSet<Hash>, Vec<Hash>);

impl Station {
    /// Destroys a record, or its private document: of the whole one nothing is in what the station says from here on.
    pub(crate) fn destroy(&mut self, record: RecordId, private_only: bool) {
        if private_only {
            self.drop_private(record);
        } else {
            self.destroyed.insert(record);
        }
        let event = RegistryEvent::Destruction(DestructionEvent {
            record,
            document: private_only.then(|| DocumentName::Private.into()),
            why: "order".into(),
            rule: "a test".into(),
            entries: 1,
            root: Hash::of(&[]),
            on_behalf: None,
        });
        self.append(Taken {
            bytes: Vec::new(),
            incarnation: None,
            tip: None,
            page: Hash::of(&[record.as_bytes(), &[u8::from(private_only)]]),
            verdicts: vec![Verdict::Accepted],
            entries: vec![Entry::Registry(event).to_bytes()],
        });
    }

    /// Destroys a record, and the word of it does not reach the phone.
    pub(crate) fn destroy_unsaid(&mut self, record: RecordId) {
        self.destroyed.insert(record);
    }

    /// The station has the private document no longer.
    fn drop_private(&mut self, record: RecordId) {
        for leaf in &mut self.leaves {
            for (entry, verdict) in leaf.entries.iter().zip(&mut leaf.verdicts) {
                if let Ok(Entry::Change(change)) = Entry::parse(entry)
                    && change.record == record
                    && change.document.name() == Some(DocumentName::Private)
                {
                    *verdict = Verdict::Duplicate;
                }
            }
        }
    }

    pub(super) fn is_out(&self, record: RecordId) -> bool {
        self.left.contains_key(&record) || self.destroyed.contains(&record)
    }

    /// How many records the phone must hold.
    pub(crate) fn record_count(&self) -> usize {
        self.holdings().len()
    }

    /// What the phone must hold.
    pub(super) fn holdings(&self) -> BTreeMap<RecordId, RecordDigest> {
        let mut heads: BTreeMap<RecordId, Folded> = BTreeMap::new();
        let taken = self.leaves.iter().flat_map(|leaf| leaf.entries.iter().zip(&leaf.verdicts));
        for (bytes, _) in taken.filter(|(_, verdict)| **verdict == Verdict::Accepted) {
            let entry = match Entry::parse(bytes) {
                Ok(Entry::Recovered(recovered)) => recovered.inner().unwrap(),
                Ok(entry) => entry,
                Err(_) => continue,
            };
            match &entry {
                Entry::Change(change) if change.opens.is_some() || heads.contains_key(&change.record) => {
                    let envelope = guard::envelope(&change.change).unwrap();
                    let (heads, built_on, _) = heads.entry(change.record).or_default();
                    heads.insert(envelope.hash);
                    built_on.extend(envelope.deps);
                }
                Entry::Act(act) => {
                    if let Some((_, _, acts)) = heads.get_mut(&act.record) {
                        acts.push(identity(&entry.to_bytes()));
                    }
                }
                _ => {}
            }
        }
        let digest = |(record, (heads, built_on, acts)): (RecordId, Folded)| {
            let heads: Vec<Hash> = heads.difference(&built_on).copied().collect();
            (record, RecordDigest::facts(record, &heads, &acts))
        };
        let mut all: BTreeMap<_, _> = heads.into_iter().map(digest).collect();
        all.retain(|record, _| !self.is_out(*record));
        all
    }

    pub(super) fn set(holdings: &BTreeMap<RecordId, RecordDigest>) -> SetDigest {
        holdings.values().fold(SetDigest::default(), |set, digest| set.with(*digest))
    }

    pub(super) fn differing(&self, theirs: &[u8]) -> Vec<BucketRecords> {
        let holdings = self.holdings();
        let mut own = Buckets::default();
        holdings.iter().for_each(|(record, digest)| own.add(*record, *digest));
        let of = |bucket| BucketRecords {
            bucket,
            records: holdings
                .iter()
                .filter(|(record, _)| bucket_of(**record) == bucket)
                .map(|(record, digest)| RecordState {
                    record: *record,
                    digest: *digest,
                })
                .collect(),
        };
        own.differing(theirs)
            .into_iter()
            .take(self.buckets_in_reply)
            .map(of)
            .collect()
    }

    /// Where a reply's feed ends that begins there.
    pub(super) fn end_of_feed(&self, start: usize, bytes_max: Option<u32>) -> usize {
        let most = (start + self.leaves_in_reply).min(self.leaves.len());
        let Some(max) = bytes_max.filter(|max| *max > 0) else {
            return most;
        };
        let bytes = |leaf: usize| self.leaves[leaf].entries.iter().map(Vec::len).sum::<usize>();
        let fits = |end: &usize| (start..*end).map(bytes).sum::<usize>() <= max as usize;
        (start + 1..=most).take_while(fits).last().unwrap_or(most.min(start + 1))
    }

    /// Records that are wanted; and of a fill, the next ones.
    pub(super) fn fill(&self, request: &ExchangeRequest, is_first: bool) -> (Vec<FeedLeaf>, Option<Fill>) {
        let all: Vec<RecordId> = self.holdings().into_keys().collect();
        let mut sent: Vec<RecordId> = request.wanted.clone().unwrap_or_default();
        sent.retain(|record| all.contains(record));
        let stands = request.cursor.as_ref().and_then(|cursor| cursor.fill.as_ref());
        let stands = stands.map(|fill| usize::from(fill.token[0])).or(is_first.then_some(0));
        let mut token = None;
        if let (Some(start), Some(count)) = (stands, self.fill_by) {
            let end = (start + count).min(all.len());
            sent.extend(&all[start..end]);
            token = (end < all.len()).then(|| Fill {
                token: vec![u8::try_from(end).unwrap()],
            });
        }
        let of = |record: &RecordId| {
            let leaves = (0..self.leaves.len()).map(|leaf| self.shown(leaf, |of| of == *record));
            leaves
                .map(|mut leaf| {
                    leaf.entries.retain(|entry| record_of(&entry.entry) == Some(*record));
                    leaf
                })
                .filter(|leaf| !leaf.entries.is_empty())
                .collect::<Vec<_>>()
        };
        (sent.iter().flat_map(of).collect(), token)
    }

    pub(super) fn take_given(&mut self, given: &[GivenEntry]) -> Vec<VerdictRun> {
        let known: BTreeSet<Hash> = self
            .leaves
            .iter()
            .flat_map(|leaf| &leaf.entries)
            .map(|entry| match Entry::parse(entry) {
                Ok(Entry::Recovered(recovered)) => identity(&recovered.entry),
                _ => identity(entry),
            })
            .collect();
        let mut verdicts = Vec::new();
        for given in given {
            let id = identity(&given.entry);
            let fresh = if known.contains(&id) {
                Verdict::Duplicate
            } else {
                Verdict::Accepted
            };
            let verdict = self.verdicts.get(&id).cloned().unwrap_or(fresh);
            if verdict == Verdict::Accepted {
                let recovered = Entry::Recovered(RecoveredEntry {
                    entry: given.entry.to_vec(),
                    book: given.book,
                    giver: self.book.unwrap().0,
                    received: given.received,
                    admitted_by: None,
                });
                self.append(Taken {
                    bytes: Vec::new(),
                    incarnation: None,
                    tip: None,
                    page: id,
                    verdicts: vec![Verdict::Accepted],
                    entries: vec![recovered.to_bytes()],
                });
            }
            verdicts.push(verdict);
        }
        runs(&verdicts)
    }
}

pub(super) fn record_of(bytes: &[u8]) -> Option<RecordId> {
    match Entry::parse(bytes).ok()? {
        Entry::Recovered(recovered) => recovered.inner().ok()?.record(),
        entry => entry.record(),
    }
}
