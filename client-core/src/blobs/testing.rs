//! A phone with blobs and a station of a few lines for them, for tests of this room.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use beatbook_protocol::blob::{BLOBS_STANDING_PATH, UploadMetadata, blob_name};
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::wire::{self, BlobRefusal, BlobStanding, StandingRequest, StandingResponse, WIRE_VERSION};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::*;
use crate::sync::testing::{Phone, Station};
use crate::transport::{Answer, CallOutcome, OutgoingCall, TransportFault, Verb};

/// What a station does about blobs, as far as a phone can tell.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) parts: BTreeMap<Hash, (u64, Vec<u8>)>,
    pub(super) arrived: BTreeMap<Hash, Vec<u8>>,
    pub(super) calls: Vec<(Verb, String)>,
    /// Bytes of each piece that came.
    pub(super) bodies: Vec<usize>,
    /// Bytes of each body after which the line breaks.
    pub(super) cut: Option<usize>,
    /// Changes a byte of whatever comes or goes.
    pub(super) garbles: bool,
}

impl Shelf {
    pub(super) fn call(&mut self, call: &OutgoingCall) -> CallOutcome {
        self.calls.push((call.verb, call.path.clone()));
        let header = |name: &str| {
            call.headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.clone())
        };
        let mut body = call.body.clone();
        if self.garbles && !body.is_empty() {
            body[0] ^= 1;
        }
        let named = || call.path.rsplit('/').next().unwrap().parse::<Hash>();
        if call.path == BLOBS_STANDING_PATH {
            return self.standing(&call.body);
        }
        match call.verb {
            Verb::Post => {
                let metadata = UploadMetadata::parse(&header("upload-metadata").unwrap()).unwrap();
                let length = header("upload-length").unwrap().parse().unwrap();
                self.parts.entry(metadata.sha256).or_insert((length, Vec::new()));
                self.append(metadata.sha256, 0, &body, 201)
            }
            Verb::Patch => self.append(
                named().unwrap(),
                header("upload-offset").unwrap().parse().unwrap(),
                &body,
                204,
            ),
            Verb::Head => {
                let hash = named().unwrap();
                let part = self.parts.get(&hash).map(|(_, part)| part.len());
                match self.arrived.get(&hash).map(Vec::len).or(part) {
                    Some(offset) => at(200, offset),
                    None => refused(BlobRefusal::NotFound),
                }
            }
            Verb::Get => self.range(named().unwrap(), &header("range").unwrap()),
        }
    }

    fn append(&mut self, hash: Hash, offset: usize, body: &[u8], status: u16) -> CallOutcome {
        if let Some(whole) = self.arrived.get(&hash) {
            return at(status, whole.len());
        }
        let Some((length, part)) = self.parts.get_mut(&hash) else {
            return refused(BlobRefusal::NotFound);
        };
        if part.len() != offset {
            return if status == 201 {
                at(201, part.len())
            } else {
                refused(BlobRefusal::WrongOffset)
            };
        }
        self.bodies.push(body.len());
        if let Some(cut) = self.cut.filter(|cut| *cut < body.len()) {
            part.extend_from_slice(&body[..cut]);
            return CallOutcome::Failed(TransportFault::Broken("cut".into()));
        }
        part.extend_from_slice(body);
        let (came, is_whole) = (part.len(), part.len() as u64 == *length);
        if is_whole {
            let (_, whole) = self.parts.remove(&hash).unwrap();
            if blob_name(&whole) != hash {
                return refused(BlobRefusal::WrongHash);
            }
            self.arrived.insert(hash, whole);
        }
        at(status, came)
    }

    fn range(&self, hash: Hash, range: &str) -> CallOutcome {
        let Some(whole) = self.arrived.get(&hash) else {
            return refused(BlobRefusal::NotFound);
        };
        let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse::<usize>().unwrap().min(whole.len() - 1));
        let mut body = whole[from..=to].to_vec();
        if self.garbles {
            body[0] ^= 1;
        }
        let cut = self.cut.filter(|cut| *cut < body.len());
        body.truncate(cut.unwrap_or(usize::MAX));
        CallOutcome::Answered(Answer {
            status: 206,
            headers: vec![("content-range".into(), format!("bytes {from}-{to}/{}", whole.len()))],
            body,
            broken: cut.map(|_| TransportFault::Broken("cut".into())),
        })
    }

    fn standing(&self, packed: &[u8]) -> CallOutcome {
        let bytes = wire::unpack(packed).unwrap();
        let asked: StandingRequest = wire::read("standing", &bytes).unwrap();
        let blobs = asked.blobs.into_iter().filter_map(|blob| {
            let whole = self.arrived.get(&blob)?;
            Some(BlobStanding {
                blob,
                bytes: whole.len() as u64,
                arrived: true,
            })
        });
        let reply = StandingResponse {
            version: WIRE_VERSION,
            blobs: blobs.collect(),
        };
        answer(200, Vec::new(), wire::pack(&reply).unwrap())
    }
}

pub(super) fn answer(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> CallOutcome {
    CallOutcome::Answered(Answer {
        status,
        headers,
        body,
        broken: None,
    })
}

pub(super) fn at(status: u16, offset: usize) -> CallOutcome {
    let headers = [("tus-resumable", "1.0.0".to_owned()), ("upload-offset", offset.to_string())];
    answer(
        status,
        headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        Vec::new(),
    )
}

pub(super) fn refused(refusal: BlobRefusal) -> CallOutcome {
    answer(refusal.http_status(), Vec::new(), wire::pack(&refusal.refusal()).unwrap())
}

pub(super) fn enrolled() -> Phone {
    enrolled_at().0
}

pub(super) fn enrolled_at() -> (Phone, Station) {
    let mut station = Station::new();
    (Phone::enrolled(&mut station), station)
}

pub(super) fn visit(phone: &Phone) -> RecordId {
    phone
        .core
        .begin("visit", &Edit::new().field("purpose", "routine").field("outcome", "done"))
        .unwrap()
}

pub(super) fn attach(phone: &Phone, record: RecordId, media_type: &str, content: &[u8]) -> Result<Attached, CoreError> {
    let attachment = Attachment {
        field: "photos",
        media_type,
        source: BlobSource::Bytes(content),
    };
    phone.core.attach(record, &attachment, None)
}

pub(super) fn sync(phone: &Phone, budget: BlobBudget, shelf: &mut Shelf) -> BlobReport {
    let mut machine = BlobMachine::open(&phone.core, budget).unwrap();
    loop {
        match machine.next(phone.now()).unwrap() {
            BlobStep::Send(call) => machine.receive(phone.now(), shelf.call(&call)).unwrap(),
            BlobStep::Wait { until, .. } => phone.pass(until.since(phone.now())),
            BlobStep::Done(report) => return report,
        }
    }
}

pub(super) fn photo(side: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(side, side, |x, y| {
        Rgb([(x * 7 % 251) as u8, (y * 3 % 241) as u8, ((x ^ y) % 239) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(super) fn recording(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| (at % 251) as u8 ^ seed ^ (at / 251 % 256) as u8)
        .collect()
}

pub(super) fn read(phone: &Phone, hash: &Hash) -> Option<Vec<u8>> {
    let mut content = phone.core.blob(hash).unwrap()?;
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

pub(super) fn folder(phone: &Phone) -> PathBuf {
    let mut name = phone.path().as_os_str().to_owned();
    name.push(".blobs");
    name.into()
}

pub(super) fn files(phone: &Phone) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(phone))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// The station's verdict on all that the phone has written.
pub(super) fn accept(phone: &Phone, station: &mut Station) {
    assert!(phone.sync(station).unwrap().complete);
}
