//! A station with a chief and some phones, for scenarios: a real program on loopback, real phones' files, one directory that goes when the
//! test went well. Knows nothing of what is tried with them.

use std::path::{Path, PathBuf};

use beatbook_client_core::{ActDone, ActOrder, CoreError};
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::time::UnixMillis;
use beatbook_tests::bench::scratch;
use beatbook_tests::day::{chief, content};
use beatbook_tests::phone::{DayClock, Phone};
use beatbook_tests::seeded::Seeded;
use beatbook_tests::station::{Chief, Places, StationProcess, run};
use serde_json::Value as Json;

/// The day on which all of this happens.
const BEGAN: UnixMillis = UnixMillis(1_790_000_000_000);
pub(crate) const NAMES: [&str; 3] = ["王警官", "张警官", "刘警官"];

/// A station with a chief and some enrolled phones, in a directory that goes when the test went well.
pub(crate) struct Post {
    pub(crate) root: PathBuf,
    pub(crate) places: Places,
    pub(crate) token: String,
    pub(crate) station: StationProcess,
    pub(crate) desk: Chief,
    pub(crate) folder: Folder,
}

/// Removes a directory at the end, unless the test failed and somebody wants to look.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) const fn of(root: PathBuf) -> Self {
        Self(root)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl Post {
    pub(crate) fn open(name: &str) -> Self {
        Self::open_with(name, &[])
    }

    /// The same, served with more arguments.
    pub(crate) fn open_with(name: &str, more: &[&str]) -> Self {
        let root = scratch(name).unwrap();
        let places = Places::under(&root);
        let token = StationProcess::init(&places).unwrap();
        let station = StationProcess::serve_with(&places, "127.0.0.1:0", more).unwrap();
        let desk = Chief::new(station.url(), &token).unwrap();
        let folder = Folder(root.clone());
        Self {
            root,
            places,
            token,
            station,
            desk,
            folder,
        }
    }

    /// Phones of officers, enrolled and synced once.
    pub(crate) async fn phones<const N: usize>(&self) -> [Phone; N] {
        let mut phones = Vec::new();
        for name in &NAMES[..N] {
            let code = chief::register(&self.desk, name, "officer").await.unwrap();
            let file = self.root.join(format!("{name}.db"));
            let mut phone = Phone::open(name, &file, self.station.url(), &DayClock::standing_at(BEGAN)).unwrap();
            phone.enrol(&code).await.unwrap();
            phone.sync().await.unwrap();
            phones.push(phone);
        }
        phones.try_into().unwrap()
    }

    /// Stops the station well, and leaves what lies on the disk.
    pub(crate) fn stop(self) -> (PathBuf, Places, Folder) {
        self.station.stop().unwrap();
        (self.root, self.places, self.folder)
    }

    /// The same station after its disk was lost: restored from this folder of copies into new places, as they lie before anybody is served,
    /// under another address.
    pub(crate) fn restored_from(self, copies: &Path, look: impl FnOnce(&Places)) -> Self {
        self.station.kill().unwrap();
        let places = Places {
            data: self.root.join("restored"),
            keys: self.places.keys.clone(),
        };
        command(&["restore", "--from", &copies.to_string_lossy()], &places);
        look(&places);
        let station = StationProcess::serve(&places, "127.0.0.1:0").unwrap();
        let desk = Chief::new(station.url(), &self.token).unwrap();
        Self {
            places,
            station,
            desk,
            ..self
        }
    }

    pub(crate) async fn page(&self, record: RecordId) -> Json {
        self.desk.get(&format!("/api/v1/records/{record}")).await.unwrap()
    }

    /// What the chief orders on the record as he sees it now, and what he is told.
    pub(crate) async fn order(&self, record: RecordId, order: Json) -> (u16, Json) {
        let version = version(&self.page(record).await);
        self.order_on(record, order, &version).await
    }

    pub(crate) async fn order_on(&self, record: RecordId, order: Json, version: &str) -> (u16, Json) {
        let path = format!("/api/v1/records/{record}/acts");
        self.desk.call("POST", &path, Some(&order), Some(version)).await.unwrap()
    }
}

/// A command of the station's program on these places.
pub(crate) fn command(words: &[&str], places: &Places) {
    let (data, keys) = (places.data.to_string_lossy(), places.keys.to_string_lossy());
    run(&[words, &["--data", &data, "--keys", &keys]].concat()).unwrap();
}

pub(crate) fn version(page: &Json) -> String {
    page["header"]["version"].as_str().unwrap().to_owned()
}

pub(crate) fn household(phone: &Phone, number: u64) -> RecordId {
    let edit = content::household(&mut Seeded::new(number), number);
    phone.core.begin("household", &edit).unwrap()
}

/// A visit that was made, not yet finished.
pub(crate) fn visit(phone: &Phone, household: RecordId) -> RecordId {
    let edit = content::visit(&mut Seeded::new(1), household, BEGAN).field("duration_min", 20);
    phone.core.begin("visit", &edit).unwrap()
}

pub(crate) fn act(phone: &Phone, record: RecordId, code: &str) -> ActDone {
    try_act(phone, record, code, None, vec![]).unwrap()
}

pub(crate) fn try_act(
    phone: &Phone,
    record: RecordId,
    code: &str,
    comment: Option<&str>,
    values: Vec<(String, Value)>,
) -> Result<ActDone, CoreError> {
    // Somebody thinks before he acts: no two acts bear one time.
    phone.clock.advance(60_000);
    let version = phone.core.record(record)?.row.version;
    let order = ActOrder {
        code: code.into(),
        comment: comment.map(str::to_owned),
        values,
        version,
    };
    phone.core.act(record, &order)
}

pub(crate) fn write(phone: &Phone, record: RecordId, edit: Edit) -> Result<bool, CoreError> {
    phone.clock.advance(60_000);
    phone.core.edit(record, &edit, None)
}

pub(crate) fn state(phone: &Phone, record: RecordId) -> String {
    phone.core.record(record).unwrap().row.state
}

pub(crate) fn shown(phone: &Phone, record: RecordId, field: &str) -> Value {
    phone.core.record(record).unwrap().facts.fields[field].clone()
}

/// Syncs twice in turn: what the second sent is then with the first, too.
pub(crate) async fn sync_both(phones: &mut [Phone; 2]) {
    let [one, other] = phones;
    one.sync().await.unwrap();
    other.sync().await.unwrap();
    one.sync().await.unwrap();
}

/// A visit that the first phone has submitted, and the second still holds as it was before.
pub(crate) async fn submitted_behind_the_other(phones: &mut [Phone; 2]) -> RecordId {
    let at = household(&phones[0], 101);
    let record = visit(&phones[0], at);
    sync_both(phones).await;
    act(&phones[0], record, "finish");
    act(&phones[0], record, "submit");
    phones[0].sync().await.unwrap();
    record
}
