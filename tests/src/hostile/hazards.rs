//! The hazards, each a way to make requests and what the station must say to them.

use beatbook_protocol::codec;
use beatbook_protocol::document::Edit;
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, Opens};
use beatbook_protocol::id::{ActorId, Hash, RecordId, UnitId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::ledger::Position;
use beatbook_protocol::limits::{
    ACT_BYTES_MAX, CHANGE_OPS_MAX, ENTRY_BYTES_MAX, EXCHANGE_BYTES_MAX, EXCHANGE_PAGES_MAX, EXCHANGE_WIRE_BYTES_MAX,
    PAGE_ENTRIES_MAX,
};
use beatbook_protocol::page::BookKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{DeliverRequest, WIRE_VERSION};

use super::bytes::{nulls, run, with_columns};
use super::phone::{Lies, blank, shot};
use super::{Scene, Shot};
use crate::bench::BenchError;
use crate::fuzz::chunk;
use crate::seeded::Seeded;

/// How a hazard makes its requests.
type Make = fn(&mut Scene) -> Result<Vec<Shot>, BenchError>;

/// One hazard.
#[derive(Debug, Clone, Copy)]
pub struct Hazard {
    /// Its name.
    pub name: &'static str,
    /// What the station says to each of its requests, without repetitions.
    pub expects: &'static [&'static str],
    /// How often it is shot for a figure: what takes less than the clock's tick is shot often.
    pub times: usize,
    /// Makes its requests. Called again for each time.
    pub make: Make,
}

/// The name of the longest message that unpacks.
pub const AT_THE_LIMIT: &str = "zstd at the limit, no message";

/// All of them.
#[must_use]
#[rustfmt::skip]
pub fn hazards() -> Vec<Hazard> {
    vec![
        hazard("nothing to do",                    &[],                                20, |scene| pages(scene, vec![])),
        hazard("a page of honest visits",          &["accepted"],                       5, honest),
        hazard("a page signed by another key",     &["page_signature", "accepted"],    20, forged_author),
        hazard("a page of another book",           &["page_signature", "accepted"],    20, other_book),
        hazard("a wrong hash of the page before",  &["page_chain", "accepted"],        20, wrong_previous),
        hazard("entries that were not signed",     &["page_root", "accepted"],         20, wrong_entries),
        hazard("a page that comes three times",    &["accepted"],                      10, replayed),
        hazard("stamps from the end of time",      &["accepted"],                      10, wrong_stamps),
        hazard("another unit's record",            &["out_of_scope", "accepted"],      20, out_of_scope),
        hazard("a record that nobody opened",      &["unknown_record", "accepted"],    20, unopened),
        hazard("256 entries that are none",        &["malformed"],                     10, junk_entries),
        hazard("256 times the same entry",         &["accepted", "duplicate"],         10, identical),
        hazard("an act that says too much",        &["accepted", "too_large"],         20, talkative_act),
        hazard("a page of 257 entries",            &["page_too_large", "accepted"],    10, too_many_entries),
        hazard("an entry that is too long",        &["page_too_large", "accepted"],    10, too_long_entry),
        hazard("too many pages",                   &["too_large"],                      3, too_many_pages),
        hazard("CBOR 90,000 levels deep",          &["malformed", "accepted"],         10, deep_entry),
        hazard("a request 4 million levels deep",  &["malformed"],                     10, |_| Ok(vec![shot(compressed(&vec![0x81; 4_000_000])?)])),
        hazard("a promise of 2^63 entries",        &["malformed", "accepted"],         20, promised),
        hazard("zstd of 512 MiB of zeros",         &["too_large"],                      5, |_| Ok(vec![shot(bomb(512)?)])),
        hazard(AT_THE_LIMIT,                       &["malformed"],                      5, at_the_limit),
        hazard("noise",                            &["malformed"],                     10, noise),
        hazard("a body longer than any message",   &["too_large"],                      3, |_| Ok(vec![shot(vec![7; EXCHANGE_WIRE_BYTES_MAX + 1_000_000])])),
        hazard("a compressed chunk",               &["compressed", "accepted"],        20, compressed_chunk),
        hazard("a run of 2^60 nulls",              &["too_many_operations", "accepted"], 20, null_run),
        hazard("a run of 2^31 operations",         &["too_many_operations", "accepted"], 20, operations_run),
        hazard("as many operations as go",         &["malformed", "accepted"],          5, operations_at_the_limit),
        hazard("notes as long as they may be",     &["accepted"],                       3, long_notes),
        hazard("a thousand edits of one field",    &["accepted"],                       2, thousand_edits),
        hazard("a parcel that is none",            &["parcel_unreadable"],             20, junk_parcel),
        hazard("10,000 pages of one entry",        &["accepted"],                       1, ten_thousand_pages),
    ]
}

pub(super) fn hazard(name: &'static str, expects: &'static [&'static str], times: usize, make: Make) -> Hazard {
    Hazard {
        name,
        expects,
        times,
        make,
    }
}

fn pages(scene: &mut Scene, entries: Vec<Vec<u8>>) -> Result<Vec<Shot>, BenchError> {
    let pages = if entries.is_empty() {
        Vec::new()
    } else {
        vec![scene.phone.seal(entries)?]
    };
    Ok(vec![scene.phone.exchange(pages)?])
}

/// A bad entry, and a good one behind it that must not wait.
fn beside_good(scene: &mut Scene, bad: Vec<u8>) -> Result<Vec<Shot>, BenchError> {
    let good = scene.phone.visit()?;
    pages(scene, vec![bad, good])
}

/// A page that lies, and an honest one behind it that must not wait.
fn before_good(scene: &mut Scene, lies: Lies) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    let bad = scene.phone.lie(vec![visit.clone()], lies)?;
    let good = scene.phone.seal(vec![visit])?;
    Ok(vec![scene.phone.exchange(vec![bad, good])?])
}

fn honest(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visits: Result<_, _> = (0..100).map(|_| scene.phone.visit()).collect();
    pages(scene, visits?)
}

fn forged_author(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let key = BookKey::from_secret(&[9; 32]).map_err(|fault| BenchError::Wrong(fault.to_string()))?;
    before_good(
        scene,
        Lies {
            key: Some(key),
            ..Lies::default()
        },
    )
}

fn other_book(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let book = Some(scene.other.book());
    before_good(scene, Lies { book, ..Lies::default() })
}

fn wrong_previous(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let previous = Some(Hash::from_bytes([9; 32]));
    before_good(
        scene,
        Lies {
            previous,
            ..Lies::default()
        },
    )
}

fn wrong_entries(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    let mut bad = scene.phone.lie(vec![visit.clone()], Lies::default())?;
    bad.seed[0] ^= 1;
    let good = scene.phone.seal(vec![visit])?;
    Ok(vec![scene.phone.exchange(vec![bad, good])?])
}

fn replayed(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    let page = scene.phone.seal(vec![visit])?;
    let once = scene.phone.exchange(vec![page.clone()])?;
    Ok(vec![once, scene.phone.exchange(vec![page.clone(), page])?])
}

fn wrong_stamps(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let strange = Position {
        epoch: u64::MAX,
        size: u64::MAX,
        root: Hash::from_bytes([1; 32]),
    };
    let mut sent = Vec::new();
    for stamp in [
        (UnixMillis(i64::MAX), u64::MAX, Some(strange)),
        (UnixMillis(i64::MIN), 0, None),
        (
            UnixMillis(-1),
            7,
            Some(Position {
                epoch: 0,
                size: u64::MAX,
                ..strange
            }),
        ),
    ] {
        let visit = scene.phone.visit()?;
        let lies = Lies {
            stamp: Some(stamp),
            ..Lies::default()
        };
        let page = scene.phone.lie(vec![visit], lies)?;
        scene.phone.follow(&page);
        sent.push(page);
    }
    Ok(vec![scene.phone.exchange(sent)?])
}

fn out_of_scope(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let (record, _, entry) = scene.phone.open("visit", &Edit::new().field("purpose", "routine"))?;
    let Ok(Entry::Change(change)) = Entry::parse(&entry) else {
        return Err(BenchError::Wrong("no change".into()));
    };
    let elsewhere = Entry::Change(ChangeEntry {
        record,
        opens: Some(Opens {
            kind: "visit".into(),
            version: 1,
            unit: UnitId::from_bytes([7; 16]),
        }),
        ..change
    });
    beside_good(scene, elsewhere.to_bytes())
}

fn unopened(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let change = honest_change(scene, "visit")?;
    let record = RecordId::from_bytes(scene.phone.sixteen());
    let bad = scene.phone.entry(record, "visit", change, false);
    beside_good(scene, bad)
}

fn junk_entries(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let junk = (0..PAGE_ENTRIES_MAX).map(|_| scene.phone.sixteen().to_vec()).collect();
    pages(scene, junk)
}

fn identical(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    pages(scene, vec![visit; PAGE_ENTRIES_MAX])
}

fn talkative_act(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let (record, document, opening) = scene.phone.open("visit", &Edit::new().field("purpose", "routine"))?;
    let act = Entry::Act(ActEntry {
        record,
        code: "comment".into(),
        heads: document.heads(),
        last_act: None,
        at: UnixMillis(1),
        comment: Some("x".repeat(ACT_BYTES_MAX + 1)),
        values: None,
        private_heads: None,
        on_behalf: None,
        nonce: None,
    });
    pages(scene, vec![opening, act.to_bytes()])
}

fn too_many_entries(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    let bad = scene.phone.lie(vec![visit.clone(); PAGE_ENTRIES_MAX + 1], Lies::default())?;
    let good = scene.phone.seal(vec![visit])?;
    Ok(vec![scene.phone.exchange(vec![bad, good])?])
}

fn too_long_entry(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    let bad = scene.phone.lie(vec![vec![7; ENTRY_BYTES_MAX + 1]], Lies::default())?;
    let good = scene.phone.seal(vec![visit])?;
    Ok(vec![scene.phone.exchange(vec![bad, good])?])
}

fn too_many_pages(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let visit = scene.phone.visit()?;
    let page = scene.phone.lie(vec![visit], Lies::default())?;
    Ok(vec![scene.phone.exchange(vec![page; EXCHANGE_PAGES_MAX + 1])?])
}

fn deep_entry(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    beside_good(scene, vec![0x81; 90_000])
}

fn promised(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    beside_good(scene, vec![0x82, 0x00, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
}

fn at_the_limit(_: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    // The longest that unpacks: one byte string, which is no request.
    let length = EXCHANGE_BYTES_MAX - 5;
    let head = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let message = [&[0x5a], head.as_slice(), &vec![0; length]].concat();
    Ok(vec![shot(compressed(&message)?)])
}

fn noise(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let mut noise = vec![0; 1_000_000];
    Seeded::new(u64::from(scene.phone.sixteen()[0])).fill(&mut noise);
    Ok(vec![shot(noise)])
}

fn compressed_chunk(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let change = honest_change(scene, "visit")?;
    let deflated = chunk(2, change.get(10..).unwrap_or_default());
    opened_with(scene, deflated)
}

fn null_run(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let change = with_columns(&honest_change(scene, "visit")?, &[(0x42, nulls(1 << 60))]);
    opened_with(scene, change)
}

fn operations_run(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let change = with_columns(&honest_change(scene, "visit")?, &[(0x42, run(1 << 31, 1))]);
    opened_with(scene, change)
}

/// As many as pass the count: 30 bytes that the guard must look into, and that are nothing.
fn operations_at_the_limit(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let change = with_columns(&honest_change(scene, "visit")?, &[(0x42, run(CHANGE_OPS_MAX as u64, 1))]);
    opened_with(scene, change)
}

fn long_notes(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let text = |n: usize| -> String { "楼道照明损坏多日未修".chars().cycle().skip(n).take(7_900).collect() };
    let (record, mut document, opening) = scene.phone.open("visit", &Edit::new().note("notes", text(0)))?;
    let mut sent = scene.phone.seal(vec![opening]).map(|page| vec![page])?;
    for n in 1..3 {
        let change = document
            .edit(&Edit::new().note("notes", text(n)), UnixMillis(1))
            .map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        let entry = scene.phone.entry(record, "visit", change.bytes, false);
        sent.push(scene.phone.seal(vec![entry])?);
    }
    Ok(vec![scene.phone.exchange(sent)?])
}

fn thousand_edits(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let (record, mut document, opening) = scene.phone.open("visit", &Edit::new().field("purpose", "routine"))?;
    let mut entries = vec![opening];
    for n in 1..1_000_i64 {
        let change = document
            .edit(&Edit::new().field("duration_min", n % 600), UnixMillis(n))
            .map_err(|fault| BenchError::Wrong(fault.to_string()))?;
        entries.push(scene.phone.entry(record, "visit", change.bytes, false));
    }
    let mut sent = Vec::new();
    for part in entries.chunks(250) {
        sent.push(scene.phone.seal(part.to_vec())?);
    }
    Ok(vec![scene.phone.exchange(sent)?])
}

fn junk_parcel(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let request = DeliverRequest {
        version: WIRE_VERSION,
        parcel: [b"BBPARCEL".as_slice(), &scene.phone.sixteen()].concat(),
    };
    Ok(vec![Shot {
        path: "/sync/v1/parcels",
        body: compressed(&codec::to_bytes(&request))?,
    }])
}

fn ten_thousand_pages(scene: &mut Scene) -> Result<Vec<Shot>, BenchError> {
    let mut sent = Vec::new();
    let mut left = 10_000;
    while left > 0 {
        let count = EXCHANGE_PAGES_MAX.min(left);
        let mut pages = Vec::with_capacity(count);
        for _ in 0..count {
            let visit = scene.phone.visit()?;
            pages.push(scene.phone.seal(vec![visit])?);
        }
        left -= count;
        sent.push(scene.phone.exchange(pages)?);
    }
    Ok(sent)
}

/// A record opened by a bad change, and a good one behind it.
fn opened_with(scene: &mut Scene, change: Vec<u8>) -> Result<Vec<Shot>, BenchError> {
    let record = RecordId::from_bytes(scene.phone.sixteen());
    let bad = scene.phone.entry(record, "visit", change, true);
    beside_good(scene, bad)
}

fn honest_change(scene: &mut Scene, kind: &str) -> Result<Vec<u8>, BenchError> {
    let actor = ActorId::from_bytes(scene.phone.sixteen());
    let mut document = blank(kind, actor)?;
    debug_assert_eq!(document.shape().name(), DocumentName::Facts);
    let change = document.edit(&Edit::new().field("purpose", "routine"), UnixMillis(1));
    change
        .map(|change| change.bytes)
        .map_err(|fault| BenchError::Wrong(fault.to_string()))
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>, BenchError> {
    codec::compress(bytes).map_err(|fault| BenchError::Wrong(fault.to_string()))
}

/// Frames of one MiB of zeros, one after another: together a stream that says nowhere how long it is.
fn bomb(mebibytes: usize) -> Result<Vec<u8>, BenchError> {
    Ok(compressed(&vec![0; 1024 * 1024])?.repeat(mebibytes))
}
