//! The ledger verifies itself from its bytes up: every entry under its page's signed root, every page under its book's key and chain,
//! every leaf under the tree, the tree under what was signed, the audit log under what the ledger fixed of it. Trusts no projection and no
//! column that it can compute.

use std::collections::BTreeMap;

use beatbook_protocol::codec::{self, domain};
use beatbook_protocol::entry::{DestructionEvent, Entry, RegistryEvent, identity};
use beatbook_protocol::id::{BookId, Hash, IncarnationId};
use beatbook_protocol::ledger::merkle::{self, Node, Nodes};
use beatbook_protocol::ledger::{Leaf, Position};
use beatbook_protocol::page::{BookPublicKey, Header, P256_SHA256, Signer, header_hash, salted_hash};
use beatbook_protocol::wire::VerdictRun;

use crate::audit::{self, Fixed};
use crate::error::StationError;
use crate::keys::Keys;
use crate::report::{DestroyedLine, LedgerReport};
use crate::store::{DestroyedRow, EntryRow, Kept, ReadTx};

/// Faults that are listed; a ledger that is wholly broken need not fill the screen.
const FAULTS_MAX: usize = 100;
const REFUSED: u32 = 2;

/// Verifies the whole ledger.
pub(crate) fn verify(tx: &ReadTx<'_>, keys: &Keys) -> Result<LedgerReport, StationError> {
    let station = tx
        .station()?
        .ok_or_else(|| StationError::Damaged("the station's own line is missing".into()))?;
    let mut walk = Walk {
        keys: BTreeMap::from([(station.book, keys.book.public_key())]),
        tips: BTreeMap::new(),
        peaks: Vec::new(),
        nodes: 0,
        entries: 0,
        anchors: Vec::new(),
        destroyed: BTreeMap::new(),
        destructions: Vec::new(),
        faults: Vec::new(),
    };
    let size = tx.size()?;
    let signed = keys.signed();
    for number in 0..size {
        walk.leaf(tx, number)?;
        if let Some(signed) =
            signed.filter(|signed| signed.size == number + 1 && signed.epoch == tx.epoch().map_or(0, |row| row.epoch))
        {
            walk.check(walk.root() == signed.root, || {
                format!("the root over {} leaves is not the one that was signed", signed.size)
            });
        }
    }
    if let Some(signed) = signed {
        walk.check(signed.size <= size || signed.epoch < tx.epoch()?.epoch, || {
            format!("{} leaves were signed, {size} are here", signed.size)
        });
    }
    let stored = tx.tree_size()?;
    let complete = walk.nodes;
    walk.check(stored == complete, || {
        format!("the tree has {stored} nodes, {complete} are complete")
    });
    tx.each_content(|content| {
        walk.check(identity(&content.bytes) == content.id, || {
            format!("entry {} has other bytes than its name says", content.id)
        });
        Ok::<(), StationError>(())
    })?;
    let destroyed = walk.destructions(tx)?;
    let position = Position {
        epoch: tx.epoch()?.epoch,
        size,
        root: walk.root(),
    };
    let audited = audit::verify(tx, keys, &walk.anchors)?;
    let books: std::collections::BTreeSet<BookId> = walk.tips.keys().map(|(book, _)| *book).collect();
    Ok(LedgerReport {
        position,
        leaves: size,
        entries: walk.entries,
        books: u64::try_from(books.len()).unwrap_or(u64::MAX),
        destroyed,
        audit_lines: audited.lines,
        audit_fixed: audited.fixed,
        audit_lost: audited.lost,
        faults: walk.faults.into_iter().chain(audited.faults).collect(),
    })
}

struct Walk {
    keys: BTreeMap<BookId, BookPublicKey>,
    tips: BTreeMap<(BookId, IncarnationId), (u64, Hash)>,
    /// Complete subtrees from left to right, each higher than the next.
    peaks: Vec<Node>,
    nodes: u64,
    entries: u64,
    /// What the ledger fixed of the audit log.
    anchors: Vec<Fixed>,
    /// What stays of destroyed entries, by the destruction that they say names them; late ones apart.
    destroyed: BTreeMap<Hash, Named>,
    /// Destructions on the ledger: entry, leaf, and what they say.
    destructions: Vec<(Hash, u64, DestructionEvent)>,
    faults: Vec<String>,
}

/// The entries that say of themselves that a destruction names them.
#[derive(Default)]
struct Named {
    hashes: Vec<Hash>,
    last: u64,
    late: u64,
    /// Leaf of the first that came late.
    first_late: Option<u64>,
}

impl Walk {
    fn check(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds && self.faults.len() < FAULTS_MAX {
            self.faults.push(fault());
        }
    }

    fn leaf(&mut self, tx: &ReadTx<'_>, number: u64) -> Result<(), StationError> {
        let Some(bytes) = tx.leaf(number)? else {
            self.check(false, || format!("leaf {number} is missing"));
            return Ok(());
        };
        self.grow(tx, number, Leaf::hash(&bytes));
        let Ok(leaf) = codec::from_bytes::<Leaf>("leaf", &bytes) else {
            self.check(false, || format!("leaf {number} cannot be read"));
            return Ok(());
        };
        let Ok(header) = codec::from_bytes::<Header>("header", &leaf.header) else {
            self.check(false, || format!("leaf {number}: its header cannot be read"));
            return Ok(());
        };
        self.page(number, &leaf, &header);
        let rows = tx.entries_of(number)?;
        let stays = tx.destroyed_in(number)?.into_iter().map(|row| (row.place.1, row)).collect();
        self.rows((number, &leaf), &header, &rows, &stays);
        Ok(())
    }

    fn page(&mut self, number: u64, leaf: &Leaf, header: &Header) {
        let signed = self
            .keys
            .get(&header.book)
            .copied()
            .is_some_and(|key| key.verifies(&[domain::PAGE, &leaf.header].concat(), &leaf.signature));
        self.check(signed && header.suite == P256_SHA256, || {
            format!("leaf {number}: its signature is not its book's")
        });
        let hash = header_hash(&leaf.header);
        let tip = self
            .tips
            .insert((header.book, header.incarnation), (header.sequence + 1, hash));
        let (next, last) = tip.unwrap_or((0, Hash::from_bytes([0; 32])));
        self.check(header.sequence == next && header.previous == last, || {
            format!("leaf {number}: its book's chain is broken")
        });
    }

    fn rows(&mut self, (number, leaf): (u64, &Leaf), header: &Header, rows: &[EntryRow], stays: &BTreeMap<u32, DestroyedRow>) {
        let codes: Vec<u32> = leaf
            .verdicts
            .iter()
            .flat_map(|run: &VerdictRun| (0..run.count.min(header.entries)).map(|_| run.verdict))
            .collect();
        let count = usize::try_from(header.entries).unwrap_or(usize::MAX);
        self.check(rows.len() == count && codes.len() == count, || {
            format!("leaf {number}: entries are missing")
        });
        let mut hashes = Vec::with_capacity(rows.len());
        for ((expected, row), code) in (0_u32..).zip(rows).zip(&codes) {
            let at = || format!("leaf {number}, entry {expected}");
            self.entries += 1;
            let (salt, bytes) = match &row.kept {
                Kept::Whole(salt, bytes) => (salt, bytes),
                Kept::Destroyed => {
                    hashes.push(row.id);
                    let fits = row.position == expected && row.verdict == *code;
                    self.check(fits, || format!("{}: its row does not fit its leaf", at()));
                    self.gone(number, row, stays.get(&expected));
                    continue;
                }
                Kept::Missing => {
                    self.check(false, || format!("{}: its bytes are missing", at()));
                    continue;
                }
            };
            hashes.push(salted_hash(salt, bytes));
            let parsed = Entry::parse(bytes).ok();
            let named = row.position == expected && row.id == identity(bytes) && row.verdict == *code;
            let about = parsed.as_ref().and_then(Entry::record) == row.record;
            self.check(named && about, || {
                format!("{}: its row does not fit its bytes and its leaf", at())
            });
            if let (0, Some(Entry::Registry(RegistryEvent::Book(event)))) = (row.verdict, &parsed)
                && let Ok(key) = BookPublicKey::parse(event.suite, &event.key)
            {
                self.keys.entry(event.book).or_insert(key);
            }
            if let (0, Some(Entry::Registry(RegistryEvent::Destruction(event)))) = (row.verdict, parsed) {
                self.destructions.push((row.id, number, event));
            }
        }
        self.fixed(number, rows);
        self.check(merkle::root_of(&hashes) == header.root, || {
            format!("leaf {number}: its entries are not those that were signed")
        });
    }

    fn fixed(&mut self, leaf: u64, rows: &[EntryRow]) {
        for row in rows.iter().filter(|row| row.verdict == 0) {
            let Kept::Whole(_, bytes) = &row.kept else { continue };
            if let Ok(Entry::Registry(RegistryEvent::AuditAnchor(event))) = Entry::parse(bytes) {
                self.anchors.push(Fixed { leaf, event });
            }
        }
    }

    /// An entry without salt and bytes: some destruction must name it.
    fn gone(&mut self, number: u64, row: &EntryRow, stays: Option<&DestroyedRow>) {
        let Some(stays) = stays else {
            let position = row.position;
            return self.check(false, || {
                format!("leaf {number}, entry {position}: it is gone, and no destruction names it")
            });
        };
        let named = self.destroyed.entry(stays.event).or_default();
        if stays.late {
            named.late += 1;
            named.first_late.get_or_insert(number);
            let position = row.position;
            return self.check(row.verdict == REFUSED, || {
                format!("leaf {number}, entry {position}: it is said to have come late, and was taken in")
            });
        }
        named.hashes.push(row.id);
        named.last = number;
    }

    /// Holds what is gone against the destructions on the ledger, and these against what is still there.
    fn destructions(&mut self, tx: &ReadTx<'_>) -> Result<Vec<DestroyedLine>, StationError> {
        let mut lines = Vec::new();
        let mut named = std::mem::take(&mut self.destroyed);
        for (entry, leaf, event) in std::mem::take(&mut self.destructions) {
            let found = named.remove(&entry).unwrap_or_default();
            let fits = found.hashes.len() == usize::try_from(event.entries).unwrap_or(usize::MAX)
                && merkle::root_of(&found.hashes) == event.root
                && (found.hashes.is_empty() || found.last < leaf)
                && found.first_late.is_none_or(|late| late > leaf);
            self.check(fits, || {
                format!("leaf {leaf}: the entries that are gone are not those that this destruction names")
            });
            if event.document.is_none() {
                let left = tx.undestroyed(event.record)?;
                self.check(left == 0, || {
                    format!(
                        "leaf {leaf}: {left} entries of record {} are still there after its destruction",
                        event.record
                    )
                });
            }
            lines.push(DestroyedLine {
                event: entry,
                leaf,
                record: event.record,
                entries: found.hashes.len() as u64,
                late: found.late,
            });
        }
        for (event, found) in named {
            let gone = found.hashes.len() as u64 + found.late;
            self.check(false, || {
                format!("{gone} entries are gone under a destruction {event} that is not on the ledger")
            });
        }
        Ok(lines)
    }

    /// Puts a leaf's hash into the tree and compares the nodes that it completes with those that are kept.
    fn grow(&mut self, tx: &ReadTx<'_>, number: u64, hash: Hash) {
        let mut node = Node {
            level: 0,
            index: number,
            hash,
        };
        loop {
            self.nodes += 1;
            let kept = tx.node(node.level, node.index);
            self.check(kept.is_ok_and(|kept| kept == node.hash), || {
                format!("tree node {} of level {} is wrong", node.index, node.level)
            });
            match self.peaks.last() {
                Some(left) if left.level == node.level => {
                    node = Node {
                        level: node.level + 1,
                        index: node.index / 2,
                        hash: merkle::node_hash(&left.hash, &node.hash),
                    };
                    self.peaks.pop();
                }
                Some(_) | None => break,
            }
        }
        self.peaks.push(node);
    }

    fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().map(|peak| peak.hash);
        let Some(last) = peaks.next() else { return Hash::of(&[]) };
        peaks.fold(last, |right, left| merkle::node_hash(&left, &right))
    }
}
