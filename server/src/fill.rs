//! The fill: records that enter a phone's scope, each whole, beside the feed. At its first sync all of them; later those that a move or a
//! grant brought. What is sent are the record's accepted entries in the ledger's order, so that an author, a verdict and an identity are
//! the same whichever way a record came.
//!
//! Where a fill stands is in the token that the phone sends back, and nowhere at the station. Whatever a token says, only what is in the
//! phone's scope now goes out.

mod leaving;

use std::collections::BTreeMap;

use beatbook_protocol::codec;
use beatbook_protocol::entry::{Entry, RegistryEvent};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::limits::REPLY_ENTRY_BYTES;
use beatbook_protocol::wire::{FeedLeaf, Fill};
use leaving::{Leaving, Parting};
use minicbor::{Decode, Encode};

use crate::error::StationError;
use crate::feed::{is_readable, push};
use crate::kinds::Kinds;
use crate::scope::{Scope, Shift};
use crate::store::{ReadTx, ScopedRecord};

/// Jobs that a token may hold; a phone whose scope moved oftener while it was being filled begins anew.
const JOBS_MAX: usize = 8;
/// Records that are looked at in one reply, so that a scope with few records in a large ledger costs no reply more than its share.
const LOOKS_MAX: u32 = 20_000;
/// Records that are looked up at once.
const LOOKS_AT_ONCE: u32 = 8_192;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Token {
    /// The life of the ledger that its sizes are of.
    #[n(0)]
    epoch: u64,
    /// Up to which size the scope's moves have been made into jobs.
    #[n(1)]
    scoped: u64,
    /// What is still to be brought.
    #[n(2)]
    jobs: Vec<Job>,
    /// What is still to be told of what left the scope; none where all was.
    #[n(3)]
    partings: Option<Vec<Parting>>,
}

/// Records to be brought: those of the scope at one size that were not in it at another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Job {
    #[n(0)]
    from: Option<u64>,
    #[n(1)]
    at: u64,
    /// Records opened later come by the feed.
    #[n(2)]
    top: u64,
    #[n(3)]
    phase: u8,
    /// In the registry's phase the next leaf, else the number above all that is left.
    #[n(4)]
    place: u64,
}

const REGISTRY: u8 = 0;
const HIS: u8 = 1;
const REST: u8 = 2;

impl Job {
    fn begin(from: Option<u64>, head: &Scope, newest: u64) -> Self {
        let top = newest.saturating_add(1);
        Self {
            from,
            at: head.size,
            top,
            phase: if from.is_none() { REGISTRY } else { HIS },
            place: if from.is_none() { 0 } else { top },
        }
    }
}

/// A job with the scopes that it is about.
#[derive(Debug)]
struct Work {
    job: Job,
    from: Option<Scope>,
    at: Scope,
}

impl Work {
    fn of(tx: &ReadTx<'_>, head: &Scope, job: Job) -> Result<Self, StationError> {
        let scope = |size: u64| {
            if size >= head.size {
                Ok(head.clone())
            } else {
                Scope::at(tx, head.user, size)
            }
        };
        Ok(Self {
            from: job.from.map(scope).transpose()?,
            at: scope(job.at)?,
            job,
        })
    }

    fn shift(&self) -> Shift<'_> {
        Shift {
            from: self.from.as_ref(),
            to: &self.at,
        }
    }

    /// Whether the phase is one that brings this record.
    fn is_due(&self, tx: &ReadTx<'_>, record: RecordId) -> Result<bool, StationError> {
        Ok(self.at.is_his(tx, record)? == (self.job.phase == HIS))
    }

    /// Whether a record was not brought yet.
    fn is_ahead(&self, tx: &ReadTx<'_>, record: &ScopedRecord) -> Result<bool, StationError> {
        if record.number >= self.job.top {
            return Ok(false);
        }
        Ok(match self.job.phase {
            REGISTRY => true,
            HIS => !self.is_due(tx, record.id)? || record.number < self.job.place,
            _ => self.is_due(tx, record.id)? && record.number < self.job.place,
        })
    }
}

/// What is left to be brought to a phone, and what it has to let go.
#[derive(Debug)]
pub(crate) struct Filling<'a> {
    head: &'a Scope,
    epoch: u64,
    works: Vec<Work>,
    /// Answers of `will_bring`, by record.
    ahead: BTreeMap<u64, bool>,
    leaving: Leaving,
}

impl<'a> Filling<'a> {
    /// Where a phone stands that holds everything up to `held` (none: nothing yet), with the token that it sent. What left its scope is told,
    /// as much as goes into a budget.
    pub(crate) fn begin(
        tx: &ReadTx<'_>,
        kinds: &Kinds,
        head: &'a Scope,
        (held, sent): (Option<u64>, Option<&Fill>),
        budget: usize,
    ) -> Result<Self, StationError> {
        let mut filling = Self {
            head,
            epoch: tx.epoch()?.epoch,
            works: Vec::new(),
            ahead: BTreeMap::new(),
            leaving: Leaving::default(),
        };
        let newest = tx.newest_number()?;
        let token = sent.map(|fill| read(fill, filling.epoch, head.size));
        let (Some(held), true) = (held.filter(|size| *size > 0), token.as_ref().is_none_or(Option::is_some)) else {
            // Nothing is held, or the token is of a life that is over.
            filling.works = vec![Work::of(tx, head, Job::begin(None, head, newest))?];
            return Ok(filling);
        };
        let (scoped, mut jobs) = match token.flatten() {
            Some(token) => {
                filling.leaving = Leaving::after(token.partings);
                (token.scoped.max(held), token.jobs)
            }
            None => (held, Vec::new()),
        };
        if scoped < head.size && tx.scope_moved(head.user, (scoped, head.size))? {
            filling.leaving.part_from(scoped);
            jobs.push(Job::begin(Some(scoped), head, newest));
            if jobs.len() > JOBS_MAX {
                jobs = vec![Job::begin(None, head, newest)];
            }
        }
        for job in jobs {
            filling.works.push(Work::of(tx, head, job)?);
        }
        filling.leaving.tell(tx, kinds, head, budget)?;
        Ok(filling)
    }

    /// Bytes of what it tells to be let go.
    pub(crate) fn left_bytes(&self) -> usize {
        self.leaving.bytes()
    }

    /// Records that left the phone's scope, as many as this reply tells.
    pub(crate) fn into_left(self) -> Vec<RecordId> {
        self.leaving.into_left()
    }

    /// Whether a record is still to be brought: the feed passes it over until then.
    pub(crate) fn will_bring(&mut self, tx: &ReadTx<'_>, kinds: &Kinds, number: u64) -> Result<bool, StationError> {
        if self.works.is_empty() {
            return Ok(false);
        }
        if let Some(known) = self.ahead.get(&number) {
            return Ok(*known);
        }
        let mut found = false;
        if let Some(record) = tx.scoped(number)? {
            for work in &self.works {
                found = found || (work.is_ahead(tx, &record)? && work.shift().brings(tx, kinds, &record)?);
            }
        }
        self.ahead.insert(number, found);
        Ok(found)
    }

    /// Brings as much as goes into a budget, and one thing at least; nothing beyond the size that the feed reaches. Nothing at all while there
    /// is still something to be let go: a phone would let go what was brought before it hears of that.
    pub(crate) fn run(
        &mut self,
        tx: &ReadTx<'_>,
        kinds: &Kinds,
        reaches: u64,
        budget: usize,
    ) -> Result<Vec<FeedLeaf>, StationError> {
        if !self.leaving.is_done() {
            return Ok(Vec::new());
        }
        let mut basket = Basket {
            leaves: Vec::new(),
            room: budget,
            looks: LOOKS_MAX,
        };
        while let Some(work) = self.works.first_mut() {
            let is_done = if work.job.phase == REGISTRY {
                registry(tx, &mut work.job, &mut basket)?
            } else {
                records(tx, kinds, self.head, work, reaches, &mut basket)?
            };
            if !is_done {
                break;
            }
            if work.job.phase == REST {
                self.works.remove(0);
            } else {
                work.job.phase += 1;
                work.job.place = work.job.top;
            }
        }
        Ok(basket.leaves)
    }

    /// Whether everything was brought, and all told that is to be let go.
    pub(crate) fn is_done(&self) -> bool {
        self.works.is_empty() && self.leaving.is_done()
    }

    /// The token that says what is left, for a cursor at a size; none when there is nothing to remember.
    pub(crate) fn token(&self, reaches: u64) -> Option<Fill> {
        let token = Token {
            epoch: self.epoch,
            scoped: self.head.size,
            jobs: self.works.iter().map(|work| work.job.clone()).collect(),
            partings: self.leaving.partings(),
        };
        let is_needed = !self.is_done() || reaches < token.scoped;
        is_needed.then(|| Fill {
            token: codec::to_bytes(&token),
        })
    }
}

/// A whole record, as far as somebody may read it; the bytes of its entries, with what each costs beside.
pub(crate) fn whole(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    scope: &Scope,
    record: RecordId,
    reaches: u64,
    leaves: &mut Vec<FeedLeaf>,
) -> Result<usize, StationError> {
    let mut found = Vec::new();
    let mut bytes = 0;
    tx.each_of_record(record, reaches, |row| {
        if is_readable(tx, kinds, scope, &row)? {
            bytes += row.bytes.len() + REPLY_ENTRY_BYTES;
            push(&mut found, row);
        }
        Ok::<_, StationError>(())
    })?;
    leaves.append(&mut found);
    Ok(bytes)
}

/// What goes into one reply.
struct Basket {
    leaves: Vec<FeedLeaf>,
    room: usize,
    looks: u32,
}

impl Basket {
    fn is_full(&self) -> bool {
        !self.leaves.is_empty() && self.room == 0
    }

    fn take(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(bytes);
    }
}

/// The registry: units, people, books. Whether all of it is in the basket.
fn registry(tx: &ReadTx<'_>, job: &mut Job, basket: &mut Basket) -> Result<bool, StationError> {
    let mut is_done = true;
    tx.each_of_registry((job.place, job.at), |row| {
        let is_new = basket.leaves.last().is_none_or(|last| last.leaf != row.leaf);
        if is_new && basket.is_full() {
            job.place = row.leaf;
            is_done = false;
            return Ok::<_, StationError>(false);
        }
        // Kinds go their own way, grants along with their record, and what fixes the audit log to no phone; what was destroyed or is held
        // says nothing to who holds nothing yet.
        let goes = !matches!(
            Entry::parse(&row.bytes),
            Ok(Entry::Registry(
                RegistryEvent::Kind(_)
                    | RegistryEvent::Grant(_)
                    | RegistryEvent::AuditAnchor(_)
                    | RegistryEvent::Destruction(_)
                    | RegistryEvent::Hold(_)
            ))
        );
        if goes {
            basket.take(row.bytes.len() + REPLY_ENTRY_BYTES);
            push(&mut basket.leaves, row);
        }
        Ok(true)
    })?;
    Ok(is_done)
}

/// The records of a phase, newest first. Whether all of them are in the basket.
fn records(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    head: &Scope,
    work: &mut Work,
    reaches: u64,
    basket: &mut Basket,
) -> Result<bool, StationError> {
    loop {
        let numbers = if work.job.phase == HIS {
            tx.candidates(
                &[],
                &[crate::store::Grantee::User(head.user)],
                (0, 0),
                (work.job.place, LOOKS_AT_ONCE),
            )?
        } else {
            work.shift().candidates(tx, work.job.place, LOOKS_AT_ONCE)?
        };
        if numbers.is_empty() {
            return Ok(true);
        }
        for number in numbers {
            if basket.is_full() || basket.looks == 0 {
                return Ok(false);
            }
            basket.looks -= 1;
            work.job.place = number;
            let Some(record) = tx.scoped(number)? else { continue };
            let goes = head.holds(tx, record.id, record.unit)?
                && work.is_due(tx, record.id)?
                && work.shift().brings(tx, kinds, &record)?;
            if goes {
                let bytes = whole(tx, kinds, head, record.id, reaches, &mut basket.leaves)?;
                basket.take(bytes.max(1));
            }
        }
    }
}

/// What a token says; none when it is of a life of the ledger that is over, or no token.
fn read(fill: &Fill, epoch: u64, size: u64) -> Option<Token> {
    let token: Token = codec::from_bytes("fill", &fill.token).ok()?;
    let is_sound = |job: &Job| job.phase <= REST && job.at <= size && job.from.is_none_or(|from| from <= job.at);
    let partings = token.partings.as_deref().unwrap_or_default();
    let is_known = token.epoch == epoch && token.scoped <= size;
    let is_bounded = token.jobs.len() <= JOBS_MAX && partings.len() <= JOBS_MAX;
    let all_sound = token.jobs.iter().all(is_sound) && partings.iter().all(|parting| parting.is_sound(size));
    (is_known && is_bounded && all_sound).then_some(token)
}
