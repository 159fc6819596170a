//! The world before its first day: a station with its people and their phones, made once by the real programs and copied for each seed.

use std::fs;
use std::path::{Path, PathBuf};

use beatbook_client_core::Core;
use beatbook_client_core::OpenOptions;
use beatbook_client_core::sync::{Budget, Enrolment, Step, StoreVault, SyncMachine};
use beatbook_client_core::transport::{Outcome, OutgoingRequest};
use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::wire;
use beatbook_server::station::{InitOptions, Session, Station};

use super::device::{Device, Time, copy_files, sequence};
use super::phone::FILE;
use super::station::StationSide;
use super::{Broken, broken};

/// Names and roles of the phones' owners; the third has the first one's second phone.
const PEOPLE: [(&str, &str); 4] = [
    ("王警官", "officer"),
    ("张网格员", "grid_worker"),
    ("", ""),
    ("刘调解员", "mediator"),
];

/// Files to begin from.
#[derive(Debug)]
pub struct Template {
    dir: PathBuf,
    /// The chief.
    pub chief: Session,
    /// The station's own unit, and two below it.
    pub units: Vec<UnitId>,
    /// Whose the phones are.
    pub users: Vec<UserId>,
}

impl Template {
    /// Makes the files in a new folder.
    ///
    /// # Errors
    /// When the programs do not do what they must.
    pub fn make(dir: &Path) -> Result<Self, Broken> {
        let time = Time::beginning();
        let (data, keys) = (StationSide::data(dir, 0), StationSide::keys(dir, 0));
        fs::create_dir_all(dir.join("station-0"))?;
        let environment = Device::new(&time, 0, sequence(0, "template station")).environment();
        let options = InitOptions {
            station_name: "朝阳派出所".into(),
            unit_name: "朝阳".into(),
            chief_name: "王所长".into(),
        };
        let told = |fault| broken(format!("the template's station: {fault}"));
        let made = Station::init(&data, &keys, &options, &environment).map_err(told)?;
        let station = Station::open(&data, &keys, &[], environment).map_err(told)?;
        let chief = station
            .session(&made.chief_token)
            .ok_or_else(|| broken("the chief is not known"))?;
        let mut units = vec![made.unit];
        for name in ["东街", "西街"] {
            units.push(station.add_unit(Some(&chief), name, Some(made.unit)).map_err(told)?);
        }
        let mut users: Vec<UserId> = Vec::new();
        for (number, (name, role)) in PEOPLE.into_iter().enumerate() {
            let user = match users.first() {
                Some(first) if name.is_empty() => *first,
                _ => station
                    .add_user(Some(&chief), name, &[role.to_owned()], made.unit)
                    .map_err(told)?,
            };
            users.push(user);
            let code = station.enrolment_code(Some(&chief), user).map_err(told)?.code;
            let device = Device::new(&time, 0, sequence(0, &format!("template phone {number}")));
            begin_phone(&phone_folder(dir, number), &device, &station, &code)?;
        }
        drop(station);
        let device = Device::new(&time, 0, sequence(0, "template empty phone"));
        fs::create_dir_all(empty_folder(dir))?;
        Core::open(&empty_folder(dir).join(FILE), OpenOptions::default(), device.platform())
            .map_err(|fault| broken(format!("the template's empty file: {fault}")))?;
        Ok(Self {
            dir: dir.to_owned(),
            chief,
            units,
            users,
        })
    }

    /// Copies the station and the first phones into a new folder.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn copy(&self, to: &Path, phones: usize) -> Result<(), Broken> {
        copy_files(&StationSide::data(&self.dir, 0), &StationSide::data(to, 0))?;
        copy_files(&StationSide::keys(&self.dir, 0), &StationSide::keys(to, 0))?;
        for number in 0..phones {
            copy_files(
                &phone_folder(&self.dir, number).join("0"),
                &phone_folder(to, number).join("0"),
            )?;
        }
        Ok(())
    }
}

impl Template {
    /// Where the file lies that a new app begins: a world copies it, since making its tables takes longer than an officer's hour.
    #[must_use]
    pub fn empty(&self) -> PathBuf {
        empty_folder(&self.dir)
    }
}

fn empty_folder(dir: &Path) -> PathBuf {
    dir.join("phone-empty")
}

/// Where a phone's lives are.
#[must_use]
pub fn phone_folder(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("phone-{number}"))
}

fn begin_phone(folder: &Path, device: &Device, station: &Station, code: &str) -> Result<(), Broken> {
    let told = |fault: &dyn std::fmt::Display| broken(format!("the template's phone: {fault}"));
    fs::create_dir_all(folder.join("0"))?;
    let opened = Core::open(&folder.join("0").join(FILE), OpenOptions::default(), device.platform());
    let core = opened.map_err(|fault| told(&fault))?.core;
    let enrolment = Enrolment::begin(&core, &StoreVault(&core), code, "模拟手机").map_err(|fault| told(&fault))?;
    let outcome = answer(station, &enrolment.request())?;
    enrolment.finish(&core, outcome).map_err(|fault| told(&fault))?;
    let mut machine = SyncMachine::open(&core, &StoreVault(&core), Budget::default()).map_err(|fault| told(&fault))?;
    while let Step::Send(request) = machine.next(device.wall()).map_err(|fault| told(&fault))? {
        let outcome = answer(station, &request)?;
        machine.receive(device.wall(), outcome).map_err(|fault| told(&fault))?;
    }
    Ok(())
}

fn answer(station: &Station, request: &OutgoingRequest) -> Result<Outcome, Broken> {
    let told = |fault: &dyn std::fmt::Display| broken(format!("the template's station: {fault}"));
    if request.path.ends_with("enrol") {
        let bytes = wire::unpack(&request.body).map_err(|fault| told(&fault))?;
        let request = wire::read("enrolment", &bytes).map_err(|fault| told(&fault))?;
        let reply = station.enrol(&request).map_err(|fault| told(&fault))?;
        return wire::pack(&reply).map(Outcome::Reply).map_err(|fault| told(&fault));
    }
    let reply = station.exchange(&request.body, request.token.as_deref(), None);
    reply.map(Outcome::Reply).map_err(|fault| told(&fault))
}
