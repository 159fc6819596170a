//! Judging by the guard what arrived for many records: other cores judge those that come next while this one writes the rows of those
//! before. The guard knows neither rows nor clocks, so what it finds is the same whoever asks it, and when. Reads and writes no file.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::document::{Document, DocumentError, Shape, View};
use beatbook_protocol::id::ActorId;

use super::papers::SHOWN;
use super::rows::{ChangeRow, Status};

/// Records for which a thread is worth its start.
const RECORDS_A_THREAD: usize = 16;
/// Threads beside the caller's: more wait for his rows.
const HELPERS_MAX: usize = 3;
/// Records that are read before their turn, for each helper: a few documents, whatever a feed brings.
const AHEAD: usize = 2;

/// A document for which something arrived.
#[derive(Debug)]
pub(super) struct Case {
    /// Its shape.
    pub(super) shape: Shape,
    /// Who opens it.
    pub(super) actor: ActorId,
    /// Its snapshot.
    pub(super) snapshot: Option<Vec<u8>>,
    /// Its other changes, those that arrived among them.
    pub(super) rows: Arc<[ChangeRow]>,
}

/// What the guard found: the outcome of each change that arrived, in their order, and what the document says now.
pub(super) type Found = Result<(Vec<Outcome>, View), DocumentError>;

impl Case {
    fn judge(&self) -> Found {
        let shown = self.rows.iter().filter(|row| SHOWN.contains(&row.status));
        let shown: Vec<&[u8]> = shown.map(|row| row.bytes.as_slice()).collect();
        let document = if shown.is_empty() && self.snapshot.is_none() {
            Document::begin(&self.shape, self.actor)
        } else {
            Document::open_as(&self.shape, self.actor, self.snapshot.as_deref(), &shown)?
        };
        let arrived = self.rows.iter().filter(|row| row.status == Status::Arrived);
        let incoming: Vec<Incoming<'_>> = arrived
            .map(|row| Incoming {
                bytes: &row.bytes,
                settles: row.settles,
                actors: None,
            })
            .collect();
        let report = guard::check(&document, &incoming, Unknown::Keep);
        let view = match report.view {
            Some(view) => view,
            None => report.document.view()?,
        };
        Ok((report.outcomes, view))
    }
}

/// Where cases wait to be judged, by whoever is free.
#[derive(Debug, Default)]
pub(super) struct Bench {
    helpers: usize,
    cases: Mutex<Cases>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Cases {
    waiting: VecDeque<(Case, Sender<Found>)>,
    is_closed: bool,
}

/// Does work that puts cases on a bench, with as much help as that many records are worth.
pub(super) fn with_help<T>(records: usize, work: impl FnOnce(&Bench) -> T) -> T {
    let others = thread::available_parallelism().map_or(0, |cores| NonZeroUsize::get(cores) - 1);
    let bench = Bench {
        helpers: others.min(records / RECORDS_A_THREAD).min(HELPERS_MAX),
        ..Bench::default()
    };
    thread::scope(|scope| {
        // However the work ends, nobody waits for more of it.
        let bench = Open(&bench);
        for _ in 0..bench.0.helpers {
            let helped = bench.0;
            // A thread that cannot be had is done without: the caller judges what waits.
            let _ = thread::Builder::new().spawn_scoped(scope, move || helped.help());
        }
        work(bench.0)
    })
}

struct Open<'b>(&'b Bench);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.cases().is_closed = true;
        self.0.more.notify_all();
    }
}

impl Bench {
    /// How many records may be begun before the first of them is finished.
    pub(super) fn ahead(&self) -> usize {
        self.helpers * AHEAD
    }

    /// Puts a case where it will be judged.
    pub(super) fn put(&self, case: Case) -> Receiver<Found> {
        let (found, receiver) = mpsc::channel();
        self.cases().waiting.push_back((case, found));
        self.more.notify_one();
        receiver
    }

    /// What was found. Until then the caller judges himself what nobody has begun, the oldest first.
    pub(super) fn take(&self, receiver: &Receiver<Found>) -> Found {
        let broke_off = || Err(DocumentError::Crashed("a thread broke off".into()));
        loop {
            match receiver.try_recv() {
                Ok(found) => return found,
                Err(TryRecvError::Disconnected) => return broke_off(),
                Err(TryRecvError::Empty) => {}
            }
            let next = self.cases().waiting.pop_front();
            match next {
                // Whoever asked may have given up since.
                Some((case, found)) => drop(found.send(case.judge())),
                None => return receiver.recv().unwrap_or_else(|_| broke_off()),
            }
        }
    }

    /// Judges until the work has ended.
    fn help(&self) {
        let mut cases = self.cases();
        while !cases.is_closed {
            match cases.waiting.pop_front() {
                Some((case, found)) => {
                    drop(cases);
                    drop(found.send(case.judge()));
                    cases = self.cases();
                }
                None => cases = self.more.wait(cases).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn cases(&self) -> MutexGuard<'_, Cases> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use beatbook_protocol::document::Edit;
    use beatbook_protocol::id::{Hash, RecordId};
    use beatbook_protocol::kind::{Catalogue, DocumentName};
    use beatbook_protocol::time::UnixMillis;

    use super::*;

    fn case(shape: &Shape, n: i64) -> (Case, Hash) {
        let mut written = Document::begin(shape, ActorId::from_bytes([1; 16]));
        let change = written
            .edit(&Edit::new().field("purpose", n.to_string()), UnixMillis(n))
            .unwrap();
        let row = ChangeRow {
            n,
            entry: Hash::of(&[RecordId::from_bytes([2; 16]).as_bytes()]),
            hash: Some(change.hash),
            deps: Vec::new(),
            bytes: change.bytes,
            settles: false,
            status: Status::Arrived,
        };
        let case = Case {
            shape: shape.clone(),
            actor: ActorId::from_bytes([3; 16]),
            snapshot: None,
            rows: [row].into(),
        };
        (case, change.hash)
    }

    #[test]
    fn each_case_gets_its_own_findings_with_and_without_help() {
        let kinds = Catalogue::builtin().unwrap();
        let shape = Shape::shared(kinds.newest("visit").unwrap(), DocumentName::Facts).unwrap();
        for records in [1, 100] {
            with_help(records, |bench| {
                let put: Vec<_> = (0..100)
                    .map(|n| {
                        let (case, hash) = case(&shape, n);
                        (bench.put(case), hash)
                    })
                    .collect();
                for (receiver, hash) in put {
                    let (outcomes, view) = bench.take(&receiver).unwrap();
                    assert_eq!((outcomes, view.heads), (vec![Outcome::Admitted { hash }], vec![hash]));
                }
            });
        }
    }
}
