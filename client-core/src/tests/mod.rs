//! Phones on real files, and a station of a few lines that hands entries round: enough to try the store through the core's own door.
//! What a real station refuses and why is tried where the real one is.

mod agreement;
mod capture;
mod certificate;
mod destroyed;
mod faults;
mod left;
mod lists;
mod members;
#[cfg(not(feature = "sqlcipher"))]
mod plain;
mod records;
mod refusals;
mod restored;
mod rounds;
mod search;
mod waits_again;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use beatbook_protocol::document::Edit;
use beatbook_protocol::entry::{Entry, RegistryEvent, UserEvent};
use beatbook_protocol::id::{BookId, Hash, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use crate::core::{Core, OpenOptions, Opened};
use crate::error::{CoreError, Fault};
use crate::platform::{Clock, Platform, Randomness};
use crate::store::identity::Identity;
use crate::store::intake::FeedItem;
use crate::store::write::ActOrder;

/// 2026-11-23 09:00 in Beijing.
const MORNING: i64 = 1_795_395_600_000;
const UNIT: UnitId = UnitId::from_bytes([9; 16]);

/// One clock and one chance for all phones of a test.
#[derive(Clone)]
struct World(Arc<(AtomicI64, AtomicU64)>);

impl Clock for World {
    fn wall(&self) -> UnixMillis {
        // Every look at the clock is later than the one before.
        UnixMillis(self.0.0.fetch_add(1_000, Ordering::Relaxed))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.0.0.load(Ordering::Relaxed)).unwrap()
    }

    fn boot(&self) -> u64 {
        1
    }
}

impl Randomness for World {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let number = self.0.1.fetch_add(1, Ordering::Relaxed);
            chunk.copy_from_slice(&Hash::of(&[b"test", &number.to_be_bytes()]).as_bytes()[..chunk.len()]);
        }
    }
}

impl World {
    fn new() -> Self {
        Self(Arc::new((AtomicI64::new(MORNING), AtomicU64::new(0))))
    }

    fn platform(&self) -> Platform {
        Platform {
            clock: Box::new(self.clone()),
            random: Box::new(self.clone()),
        }
    }
}

/// A directory of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("beatbook-core-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A phone with what the station knows of it.
struct Phone {
    core: Core,
    path: PathBuf,
    book: BookId,
    /// Entries of the ledger that it has.
    taken: usize,
}

/// Phones, and a ledger that takes in whatever its judge lets through.
struct Station {
    world: World,
    folder: Folder,
    ledger: Vec<(BookId, Vec<u8>, bool)>,
}

impl Station {
    fn new(name: &str) -> Self {
        Self {
            world: World::new(),
            folder: Folder::new(name),
            ledger: Vec::new(),
        }
    }

    /// A phone of a new person, known to all by name.
    fn phone(&mut self, name: &str, roles: &[&str]) -> Phone {
        let number = u8::try_from(self.ledger.len() + 1).unwrap();
        let (user, book) = (UserId::from_bytes([number; 16]), BookId::from_bytes([number; 16]));
        let path = self.folder.file(&format!("{name}.db"));
        let core = self.open(&path);
        let me = Identity { user, unit: UNIT, book };
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        core.write(|records| records.enrol(&me, name, &roles)).unwrap();
        let person = UserEvent {
            user,
            name: name.into(),
            roles,
            unit: UNIT,
            blocked: None,
            on_behalf: None,
        };
        let station = BookId::from_bytes([0xff; 16]);
        self.ledger
            .push((station, Entry::Registry(RegistryEvent::User(person)).to_bytes(), false));
        let owner = beatbook_protocol::entry::BookEvent {
            book,
            user,
            suite: 1,
            key: vec![],
            device: name.into(),
            attested: None,
        };
        self.ledger
            .push((station, Entry::Registry(RegistryEvent::Book(owner)).to_bytes(), false));
        Phone {
            core,
            path,
            book,
            taken: 0,
        }
    }

    fn open(&self, path: &std::path::Path) -> Core {
        let Opened { core, recovered } = Core::open(path, OpenOptions::default(), self.world.platform()).unwrap();
        assert_eq!(recovered, None);
        core
    }

    /// The phone's process ends without a word, and another one opens the file.
    fn restart(&self, phone: &mut Phone) {
        // Locks are released with the connection; nothing is told to the core.
        let core = self.open(&phone.path);
        phone.core = core;
    }

    /// Up and down: the station accepts all that the phone wrote.
    fn sync(&mut self, phone: &mut Phone) {
        self.sync_judged(phone, |_| Verdict::Accepted);
    }

    /// Up and down, with a judge.
    fn sync_judged(&mut self, phone: &mut Phone, mut judge: impl FnMut(&Entry) -> Verdict) {
        let sent = outbox(&phone.core);
        let feed: Vec<_> = self.ledger[phone.taken..].iter().cloned().zip(phone.taken..).collect();
        phone
            .core
            .write(|records| {
                for ((book, bytes, offered), leaf) in &feed {
                    if *book != phone.book {
                        let (leaf, received) = (*leaf as u64, UnixMillis(i64::MAX));
                        let item = FeedItem {
                            leaf,
                            position: 0,
                            book: *book,
                            received,
                            bytes,
                            offered: *offered,
                        };
                        records.take_in(&item)?;
                    }
                }
                for (entry, bytes) in &sent {
                    let verdict = judge(&Entry::parse(bytes).unwrap());
                    let leaf = self.ledger.len() as u64;
                    match &verdict {
                        Verdict::Accepted => self.ledger.push((phone.book, bytes.clone(), false)),
                        Verdict::Offered => self.ledger.push((phone.book, bytes.clone(), true)),
                        _ => {}
                    }
                    records.settle_own(entry, leaf, 0, &verdict)?;
                    if !matches!(verdict, Verdict::Needs { .. }) {
                        records
                            .tx()
                            .execute(
                                "DELETE FROM queue WHERE n = (SELECT n FROM outbox WHERE entry = ?1)",
                                [entry.as_bytes()],
                            )
                            .map_err(Fault::from)?;
                    }
                }
                Ok::<_, Fault>(())
            })
            .unwrap();
        phone.taken = self.ledger.len();
    }
}

/// What waits to be sent.
fn outbox(core: &Core) -> Vec<(Hash, Vec<u8>)> {
    core.read(|tx| {
        let mut rows = tx.prepare("SELECT o.entry, o.bytes FROM queue q JOIN outbox o ON o.n = q.n ORDER BY q.n")?;
        let rows = rows.query_map([], |row| Ok((Hash::from_bytes(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    })
    .unwrap()
}

impl Phone {
    fn act(&self, record: RecordId, code: &str) -> Result<crate::ActDone, CoreError> {
        self.act_with(record, code, None)
    }

    fn act_with(&self, record: RecordId, code: &str, comment: Option<&str>) -> Result<crate::ActDone, CoreError> {
        let version = self.core.record(record)?.row.version;
        let comment = comment.map(str::to_owned);
        self.core.act(
            record,
            &ActOrder {
                code: code.into(),
                comment,
                values: vec![],
                version,
            },
        )
    }

    /// A household with this address.
    fn household(&self, address: &str) -> RecordId {
        self.core.begin("household", &Edit::new().field("address", address)).unwrap()
    }
}

/// The first values of a visit that can be submitted.
fn visit(household: RecordId) -> Edit {
    Edit::new()
        .field("household", household.to_string())
        .field("purpose", "routine")
        .field("started_at", MORNING)
        .field("outcome", "done")
}
