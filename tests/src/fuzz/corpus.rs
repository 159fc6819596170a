//! What mutations begin with: the golden vectors, real changes of sample documents, a piece of GPX.

use std::path::Path;

use beatbook_protocol::codec;
use beatbook_protocol::document::{Document, Edit};
use beatbook_protocol::id::{ActorId, ItemId};
use beatbook_protocol::kind::{CheckedKind, DocumentName};
use beatbook_protocol::time::UnixMillis;

/// Whole inputs of one target.
pub type Corpus = Vec<Vec<u8>>;

/// A visit that one person began, and what two others write in it.
#[derive(Debug)]
pub(super) struct Visit {
    /// The document.
    pub(super) document: Document,
    /// A change that must go in, whatever comes with it.
    pub(super) honest: Vec<u8>,
    /// Changes of one more person, in order.
    pub(super) changes: Vec<Vec<u8>>,
}

/// The visit of the guard's target: the same each time.
pub(super) fn visit() -> Visit {
    let at = UnixMillis(1_795_000_000_000);
    let mut document = opened(1, &[]);
    let first = Edit::new()
        .field("purpose", "routine")
        .field("outcome", "done")
        .note("notes", "楼道照明 broken");
    let first = written(&mut document, &first, at);
    let mut honest = opened(2, std::slice::from_ref(&first));
    let honest = written(&mut honest, &Edit::new().field("duration_min", 20), at);
    let mut other = opened(4, &[first]);
    let item = ItemId::from_bytes([7; 16]);
    let edits = [
        Edit::new()
            .field("outcome", "refused")
            .field("started_at", 1_794_999_000_000_i64),
        Edit::new().note("notes", "楼道照明 repaired, 12 号"),
        Edit::new().item("people_met", item, [("name", "张三".into())]),
        Edit::new().clear("outcome"),
        Edit::new().note("notes", "x".repeat(500)),
    ];
    let changes = edits
        .iter()
        .filter_map(|edit| other.edit(edit, at).ok().map(|change| change.bytes))
        .collect();
    Visit {
        document,
        honest,
        changes,
    }
}

/// The kind of the visit.
pub(super) fn visit_kind() -> CheckedKind {
    super::builtin("visit")
}

/// The inputs that a target begins with; nothing for one that is not known.
#[must_use]
pub fn corpus(target: &str) -> Corpus {
    let vectors = || vectors(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors"));
    match target {
        "guard" => {
            let visit = visit();
            visit.changes.into_iter().chain([visit.honest]).collect()
        }
        "page" => vectors(),
        "wire" => {
            let plain = vectors();
            let packed: Corpus = plain.iter().filter_map(|bytes| codec::compress(bytes).ok()).collect();
            let files = plain
                .iter()
                .flat_map(|bytes| [b"BBPARCEL", b"BBANSWER"].map(|magic| [magic.as_slice(), bytes].concat()));
            let files: Corpus = files.collect();
            let note = b"beatbook/1/0\n5\nAAAA\n\n\xe2\x80\x94 beatbook/1/0 AAAA\n".to_vec();
            plain.into_iter().chain(packed).chain(files).chain([note]).collect()
        }
        "gpx" => vec![GPX.as_bytes().to_vec()],
        _ => Vec::new(),
    }
}

fn opened(actor: u8, changes: &[Vec<u8>]) -> Document {
    Document::open(
        &visit_kind(),
        DocumentName::Facts,
        ActorId::from_bytes([actor; 16]),
        None,
        changes,
    )
    .unwrap_or_else(|fault| panic!("the sample does not open: {fault}"))
}

fn written(document: &mut Document, edit: &Edit, at: UnixMillis) -> Vec<u8> {
    match document.edit(edit, at) {
        Ok(change) => change.bytes,
        Err(fault) => panic!("the sample cannot be written: {fault}"),
    }
}

fn vectors(folder: &Path) -> Corpus {
    let files = std::fs::read_dir(folder).unwrap_or_else(|fault| panic!("{}: {fault}", folder.display()));
    let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    // A directory's order is the machine's; a seed must find the same inputs everywhere.
    paths.sort();
    let read = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    read.map(|text| unhex(&text)).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(value(pair[0]) * 16 + value(pair[1])).unwrap_or(0))
        .collect()
}

const GPX: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1">
 <wpt lat="39.9" lon="116.4"><name>gate</name></wpt>
 <trk><name>beat</name><trkseg>
  <trkpt lat="39.971743" lon="116.441827"><ele>44.2</ele><time>2026-09-01T08:00:00Z</time><hdop>1.2</hdop></trkpt>
  <trkpt lat="39.971843" lon="116.441927"><time>2026-09-01T08:00:05+08:00</time></trkpt>
  <trkpt lat="39.971943" lon="116.442027"><time>2026-09-01T08:00:10.500Z</time></trkpt>
 </trkseg><trkseg>
  <trkpt lat="-39.5" lon="-116.442027"><time>2026-09-01T09:00:10</time></trkpt>
 </trkseg></trk>
</gpx>
"#;
