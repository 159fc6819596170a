//! A station in a directory of its own, for tests, with a clock and randomness that give the same day each time.

mod held;
mod phone;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use beatbook_protocol::document::Edit;
use beatbook_protocol::entry::identity;
use beatbook_protocol::id::{ActorId, BookId, Hash, IncarnationId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::Catalogue;
use beatbook_protocol::page::{BookKey, P256_SHA256, SealedPage, Signer};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    EnrolRequest, ExchangeRequest, ExchangeResponse, Verdict, WIRE_VERSION, enrol_message, pack, verdict_of,
};
pub(crate) use phone::Phone;
use tempfile::TempDir;

use crate::environment::{Clock, Environment, Randomness, Unwatched};
use crate::station::{InitOptions, Session, Station};

/// A kind with fields of every level, beside those that everybody has.
pub(crate) const CONFIDENCE: &str = include_str!("testing/confidence.toml");

/// The kinds of phones in tests.
pub(crate) fn catalogue() -> Catalogue {
    let builtin = Catalogue::builtin().unwrap();
    builtin.with([("confidence.toml", CONFIDENCE)]).unwrap()
}

/// A clock that a test moves.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct TestRandomness(AtomicU64);

impl Randomness for TestRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), std::io::Error> {
        for piece in bytes.chunks_mut(32) {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let hash = Hash::of(&[b"test/random\0", &number.to_be_bytes()]);
            piece.copy_from_slice(&hash.as_bytes()[..piece.len()]);
        }
        Ok(())
    }
}

/// A station in a directory that goes with it.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) env: Environment,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) station: Station,
    pub(crate) chief: Session,
    pub(crate) unit: UnitId,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_764_000_000_000)));
        let env = Environment {
            clock: clock.clone(),
            random: Arc::new(TestRandomness(AtomicU64::new(0))),
            steps: Arc::new(Unwatched),
        };
        let options = InitOptions {
            station_name: "朝阳派出所".into(),
            unit_name: "朝阳".into(),
            chief_name: "王所长".into(),
        };
        let made = Station::init(&dir.path().join("data"), &dir.path().join("keys"), &options, &env).unwrap();
        let station = Station::open(&dir.path().join("data"), &dir.path().join("keys"), &[], env.clone()).unwrap();
        let chief = station.session(&made.chief_token).unwrap();
        Self {
            dir,
            env,
            clock,
            station,
            chief,
            unit: made.unit,
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    /// Opens the same station again, with the kind of [`CONFIDENCE`] in force.
    pub(crate) fn with_confidence() -> Self {
        let mut world = Self::new();
        let files = [("confidence.toml".to_owned(), CONFIDENCE.to_owned())];
        world.station = Station::open(&world.data(), &world.keys(), &files, world.env.clone()).unwrap();
        world
    }

    /// A person of these roles in a unit, signed in.
    pub(crate) fn person(&self, name: &str, roles: &[&str], unit: UnitId) -> Session {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let user = self.station.add_user(None, name, &roles, unit).unwrap();
        self.station
            .users()
            .unwrap()
            .into_iter()
            .find(|session| session.user == user)
            .unwrap()
    }

    /// Opens the same station again, as after a restart.
    pub(crate) fn reopen(&mut self) {
        self.station = Station::open(&self.data(), &self.keys(), &[], self.env.clone()).unwrap();
    }

    /// Opens a station in another directory, under the same keys.
    pub(crate) fn reopen_at(&mut self, data: &std::path::Path) {
        self.station = Station::open(data, &self.keys(), &[], self.env.clone()).unwrap();
    }

    /// A phone of a new person.
    pub(crate) fn phone(&self, name: &str, role: &str) -> Phone {
        let user = self
            .station
            .add_user(Some(&self.chief), name, &[role.into()], self.unit)
            .unwrap();
        self.phone_of(user)
    }

    /// Another phone of a person.
    pub(crate) fn phone_of(&self, user: UserId) -> Phone {
        let code = self.station.enrolment_code(None, user).unwrap().code;
        let mut secret = [0; 32];
        self.env.random.fill(&mut secret).unwrap();
        let key = BookKey::from_secret(&secret).unwrap();
        let book = BookId::from_bytes(self.sixteen());
        let enrolled = self.station.enrol(&enrol_request(&code, book, &key)).unwrap();
        Phone {
            book,
            key,
            enrolled,
            incarnation: IncarnationId::from_bytes(self.sixteen()),
            actor: ActorId::from_bytes(self.sixteen()),
            next: 0,
            previous: Hash::from_bytes([0; 32]),
            cursor: None,
            documents: BTreeMap::new(),
            wall: 1_764_000_000_000,
            kinds: BTreeMap::new(),
            held: held::Held::default(),
            heard: Vec::new(),
            note: None,
        }
    }

    pub(crate) fn sixteen(&self) -> [u8; 16] {
        self.env.bytes().unwrap()
    }

    pub(crate) fn record_id(&self) -> RecordId {
        RecordId::from_bytes(self.sixteen())
    }

    /// Sends pages and takes in the reply.
    pub(crate) fn send(&self, phone: &mut Phone, pages: Vec<SealedPage>) -> ExchangeResponse {
        let request = phone.request(pages);
        self.ask(phone, &request)
    }

    /// Sends a request and takes in the reply.
    pub(crate) fn ask(&self, phone: &mut Phone, request: &ExchangeRequest) -> ExchangeResponse {
        let packed = pack(request).unwrap();
        let reply = self.station.exchange(&packed, Some(&phone.enrolled.token), None).unwrap();
        let reply = phone.receive(&reply);
        phone.settle(&request.pages, &reply);
        reply
    }

    /// Asks again and again, with this many bytes of feed at a time, until there is no more; the last reply.
    pub(crate) fn sync(&self, phone: &mut Phone, budget: Option<u32>) -> ExchangeResponse {
        for _ in 0..10_000 {
            let mut request = phone.request(vec![]);
            request.feed_bytes_max = budget;
            request.digest = Some(phone.digest());
            let reply = self.ask(phone, &request);
            if reply.more.is_none() {
                return reply;
            }
        }
        panic!("there is always more");
    }

    /// Sends entries as one page; the verdicts.
    pub(crate) fn verdicts(&self, phone: &mut Phone, entries: Vec<Vec<u8>>) -> Vec<Verdict> {
        let count = entries.len();
        let page = phone.seal(entries);
        let reply = self.send(phone, vec![page]);
        assert_eq!(reply.answers.len(), 1);
        assert_eq!(reply.answers[0].fault, None);
        (0..count)
            .map(|at| verdict_of(&reply.answers[0].verdicts, u32::try_from(at).unwrap()).unwrap())
            .collect()
    }

    /// A visit, written, finished and submitted by a phone.
    pub(crate) fn submitted_visit(&self, phone: &mut Phone) -> RecordId {
        let record = self.record_id();
        let opening = phone.write(record, Some(self.unit), visit());
        let finish = phone.act(record, "finish", None);
        let submit = phone.act(record, "submit", None);
        assert_eq!(
            self.verdicts(phone, vec![opening, finish, submit]),
            [Verdict::Accepted, Verdict::Accepted, Verdict::Accepted]
        );
        record
    }

    pub(crate) fn version(&self, record: RecordId) -> String {
        self.station.record(&self.chief, record).unwrap().unwrap().header.version
    }

    pub(crate) fn state(&self, record: RecordId) -> String {
        self.station.record(&self.chief, record).unwrap().unwrap().header.state
    }
}

/// Facts of a visit that was made.
pub(crate) fn visit() -> Edit {
    Edit::new()
        .field("household", "0190a0b0-0000-7000-8000-000000000001")
        .field("purpose", "routine")
        .field("outcome", "done")
        .field("started_at", 1_763_999_000_000_i64)
}

pub(crate) fn enrol_request(code: &str, book: BookId, key: &BookKey) -> EnrolRequest {
    let public = key.public_key().to_bytes();
    EnrolRequest {
        version: WIRE_VERSION,
        code: code.into(),
        book,
        suite: P256_SHA256,
        proof: key.sign(&enrol_message(code, book, &public)).unwrap(),
        key: public,
        device: "test phone".into(),
        app: "test".into(),
        attestation: None,
    }
}

/// The refusal's code of a verdict.
pub(crate) fn code(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Refused { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    }
}

/// The identity of an entry, for comparison.
pub(crate) fn id(entry: &[u8]) -> Hash {
    identity(entry)
}
