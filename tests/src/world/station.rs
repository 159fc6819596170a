//! The station of a world: the real one over real files, which may die at any of its steps and come back, and its chief. Judges nothing.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beatbook_client_core::transport::OutgoingRequest;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::UnitId;
use beatbook_protocol::kind::Comment;
use beatbook_protocol::wire::{self, Challenged, EnrolRequest, Refusal, WipedRequest};
use beatbook_server::error::ActError;
use beatbook_server::station::{ActOrder, Part, Reason, RecordFilter, RecordPage, Session, Station};

use super::device::{Device, copy_files, unless_killed};
use super::look::StationLook;
use super::trace::Trace;
use super::{Broken, broken};
use crate::seeded::Seeded;

/// What came of one call.
#[derive(Debug)]
pub enum Served {
    /// A reply.
    Reply(Vec<u8>),
    /// A refusal.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The packed refusal.
        bytes: Vec<u8>,
    },
    /// No answer.
    Gone,
}

/// Steps of one call within which a fuse ends.
const FUSE_STEPS: u64 = 14;

/// A station and its folders.
#[derive(Debug)]
pub struct StationSide {
    pub(super) dir: PathBuf,
    pub(super) life: u32,
    device: Device,
    chief: Session,
    kinds: Vec<(String, String)>,
    station: Option<Station>,
    look: Option<StationLook>,
    pub(super) backups: Vec<PathBuf>,
    /// The units, the chief's own first.
    pub(super) units: Vec<UnitId>,
    /// Chances in a thousand that a call kills it.
    pub fuse: u64,
}

impl StationSide {
    /// Opens the station whose files are in the first life's folders of `dir`.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(dir: &Path, device: Device, (chief, units): (Session, Vec<UnitId>), fuse: u64) -> Result<Self, Broken> {
        let mut side = Self {
            dir: dir.to_owned(),
            life: 0,
            device,
            chief,
            kinds: Vec::new(),
            station: None,
            look: None,
            backups: Vec::new(),
            units,
            fuse,
        };
        side.come_back()?;
        Ok(side)
    }

    /// The folder of data in a life.
    #[must_use]
    pub fn data(dir: &Path, life: u32) -> PathBuf {
        dir.join(format!("station-{life}")).join("data")
    }

    /// The folder of keys in a life.
    #[must_use]
    pub fn keys(dir: &Path, life: u32) -> PathBuf {
        dir.join(format!("station-{life}")).join("keys")
    }

    /// Brings the station back when it is gone.
    ///
    /// # Errors
    /// When it does not open: whatever killed it, it must.
    pub fn come_back(&mut self) -> Result<(), Broken> {
        if self.station.is_none() {
            let (data, keys) = (Self::data(&self.dir, self.life), Self::keys(&self.dir, self.life));
            let station = Station::open(&data, &keys, &self.kinds, self.device.environment());
            self.station = Some(station.map_err(|fault| broken(format!("the station does not open: {fault}")))?);
            self.look = Some(StationLook::open(&data.join("station.db"))?);
        }
        Ok(())
    }

    /// What a station takes from its machine.
    pub(super) fn environment(&self) -> beatbook_server::station::Environment {
        self.device.environment()
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.station.is_some()
    }

    /// The station, if it is there.
    #[must_use]
    pub fn station(&self) -> Option<&Station> {
        self.station.as_ref()
    }

    /// A look into its file, if it is there.
    #[must_use]
    pub fn look(&self) -> Option<&StationLook> {
        self.look.as_ref()
    }

    /// The chief, as signed in.
    #[must_use]
    pub fn chief(&self) -> &Session {
        &self.chief
    }

    /// Ends the process between two calls.
    ///
    /// # Errors
    /// When its files cannot be copied.
    pub fn kill(&mut self) -> Result<(), Broken> {
        for (from, to) in self.copies() {
            copy_files(&from, &to).map_err(|fault| broken(fault.to_string()))?;
        }
        self.begin_life()
    }

    fn copies(&self) -> Vec<(PathBuf, PathBuf)> {
        let (now, next) = (self.life, self.life + 1);
        vec![
            (Self::data(&self.dir, now), Self::data(&self.dir, next)),
            (Self::keys(&self.dir, now), Self::keys(&self.dir, next)),
        ]
    }

    pub(super) fn begin_life(&mut self) -> Result<(), Broken> {
        self.look = None;
        self.station = None;
        fs::remove_dir_all(self.dir.join(format!("station-{}", self.life))).map_err(|fault| broken(fault.to_string()))?;
        self.life += 1;
        Ok(())
    }

    /// One call that may end the station; none when it did, or was not there.
    pub(super) fn call<T>(&mut self, draw: &mut Seeded, trace: &mut Trace, work: impl FnOnce(&Station) -> T) -> Option<T> {
        let station = self.station.as_ref()?;
        if draw.below(1000) < self.fuse {
            let steps = 1 + u32::try_from(draw.below(FUSE_STEPS)).unwrap_or(0);
            self.device.fuse.light(steps, self.copies());
        }
        let done = unless_killed(|| work(station));
        self.device.fuse.put_out();
        match done {
            Ok(done) => Some(done),
            Err(_) => {
                trace.say(format_args!("  station: killed within a call"));
                // A folder that cannot be removed stays; the next life has its own.
                let _ = self.begin_life();
                None
            }
        }
    }

    /// Serves one request, as HTTP would hand it over.
    pub fn serve(&mut self, draw: &mut Seeded, trace: &mut Trace, request: &OutgoingRequest) -> Served {
        let served = if request.path.ends_with("enrol") {
            self.call(draw, trace, |station| {
                let bytes = wire::unpack(&request.body).map_err(|fault| malformed(&fault))?;
                let request: EnrolRequest = wire::read("enrolment", &bytes).map_err(|fault| malformed(&fault))?;
                let reply = station.enrol(&request)?;
                wire::pack(&reply).map_err(|fault| malformed(&fault))
            })
        } else if request.path.ends_with("wiped") {
            self.call(draw, trace, |station| {
                let bytes = wire::unpack(&request.body).map_err(|fault| malformed(&fault))?;
                let request: WipedRequest = wire::read("wiped", &bytes).map_err(|fault| malformed(&fault))?;
                wire::pack(&station.wiped(&request)?).map_err(|fault| malformed(&fault))
            })
        } else {
            let challenged = request.signature.as_deref().and_then(|signature| {
                let bytes = STANDARD.decode(signature).ok()?;
                wire::read::<Challenged>("challenged", &bytes).ok()
            });
            self.call(draw, trace, |station| {
                station.exchange(&request.body, request.token.as_deref(), challenged.as_ref())
            })
        };
        match served {
            None => Served::Gone,
            Some(Ok(reply)) => {
                trace.say(format_args!("  station: {} bytes for {}", reply.len(), request.body.len()));
                Served::Reply(reply)
            }
            Some(Err(refusal)) => {
                trace.say(format_args!("  station: refuses, {refusal}"));
                Served::Refused {
                    status: refusal.code().http_status(),
                    bytes: wire::pack(&refusal).unwrap_or_default(),
                }
            }
        }
    }

    /// The chief does an act that is open to him on some record.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn chief_acts(&mut self, draw: &mut Seeded, trace: &mut Trace) -> Result<(), Broken> {
        let Some(page) = self.some_record(draw, false)? else {
            return Ok(());
        };
        let Some(open) = draw.pick(&page.acts_open) else {
            return Ok(());
        };
        let mut order = ActOrder {
            code: open.code.clone(),
            comment: matches!(open.comment, Comment::Required).then(|| format!("because {}", draw.below(100))),
            if_match: page.header.version.clone(),
            ..ActOrder::default()
        };
        if open.code == "merge_into"
            && let Some(other) = self.some_record(draw, false)?
        {
            order.values.insert("target".into(), Value::from(other.header.id.to_string()));
        }
        let (chief, record) = (self.chief.clone(), page.header.id);
        let done = self.call(draw, trace, |station| {
            station.act(&chief, record, &order).map(|done| done.state)
        });
        tell(trace, &format!("chief: {} on {record}", order.code), done)
    }

    /// The chief settles some conflict.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn chief_settles(&mut self, draw: &mut Seeded, trace: &mut Trace) -> Result<(), Broken> {
        let Some(page) = self.some_record(draw, true)? else {
            return Ok(());
        };
        let Some(conflict) = draw.pick(&page.conflicts) else {
            return Ok(());
        };
        let Some(claim) = draw.pick(&conflict.claims) else {
            return Ok(());
        };
        let Ok(value) = serde_json::from_value::<Value>(claim.value.clone()) else {
            return Ok(());
        };
        let (chief, record, path) = (self.chief.clone(), page.header.id, conflict.path.clone());
        let done = self.call(draw, trace, |station| {
            station
                .settle(&chief, record, &path, &value, &page.header.version)
                .map(|done| done.state)
        });
        tell(trace, &format!("chief: settles {path} of {record}"), done)
    }

    fn some_record(&self, draw: &mut Seeded, conflicted: bool) -> Result<Option<RecordPage>, Broken> {
        let Some(station) = &self.station else { return Ok(None) };
        let filter = RecordFilter {
            limit: 30,
            conflicted,
            ..RecordFilter::default()
        };
        let fault = |fault| broken(format!("the chief cannot read: {fault}"));
        let rows = station.records(&self.chief, &filter).map_err(fault)?.rows;
        // He settles conflicts in what is private too.
        let why = Reason::parse("settles and acts").map_err(fault)?;
        match draw.pick(&rows) {
            Some(row) => station.look(&self.chief, row.id, Part::Page, Some(&why)).map_err(fault),
            None => Ok(None),
        }
    }

    /// Ends the station and brings it back with one more kind file.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn raise_kind(&mut self, file: (String, String)) -> Result<(), Broken> {
        if self.kinds.iter().all(|known| known.0 != file.0) {
            self.kinds.push(file);
        }
        self.look = None;
        self.station = None;
        self.come_back()
    }
}

fn malformed(fault: &beatbook_protocol::codec::CodecError) -> Refusal {
    Refusal::new(&beatbook_protocol::wire::RefusalCode::Malformed, fault.to_string())
}

/// Tells what came of an act; only a fault of the station itself is wrong.
fn tell(trace: &mut Trace, what: &str, done: Option<Result<String, ActError>>) -> Result<(), Broken> {
    match done {
        None => trace.say(format_args!("{what}: no answer")),
        Some(Ok(state)) => trace.say(format_args!("{what}: {state}")),
        Some(Err(ActError::Station(fault))) => return Err(broken(format!("{what}: {fault}"))),
        Some(Err(refused)) => trace.say(format_args!("{what}: not done, {refused}")),
    }
    Ok(())
}
