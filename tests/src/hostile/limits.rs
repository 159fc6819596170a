//! Walks `protocol/src/limits.rs`: every constant has a case at the limit, which passes, and one over it, which does not; or names the
//! tests that hold both. A new limit without a case fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use beatbook_protocol::blob::{check_length, check_media_type};
use beatbook_protocol::codec::{self, CodecError};
use beatbook_protocol::document::guard::{self, Incoming, Outcome, Unknown};
use beatbook_protocol::document::{Document, Edit, EditError};
use beatbook_protocol::entry::{ActEntry, Entry, RecoveredEntry};
use beatbook_protocol::facts::FileRef;
use beatbook_protocol::id::{ActorId, BookId, Hash, IncarnationId, ItemId, RecordId};
use beatbook_protocol::kind::{DocumentName, Kind};
use beatbook_protocol::limits::*;
use beatbook_protocol::page::{BookKey, Draft, P256_SHA256, PageFault, SealedPage, Signer as _};
use beatbook_protocol::parcel::{PARCEL_MAGIC, Parcel, ParcelFault};
use beatbook_protocol::time::{Stamp, UnixMillis};
use beatbook_protocol::wire;

use super::bytes::{run, with_columns};
use crate::fuzz::builtin;
use crate::seeded::Seeded;

/// How a limit is held.
enum Case {
    /// At it, and over it.
    Here(fn() -> bool, fn() -> bool),
    /// By these tests, elsewhere.
    In(&'static [&'static str]),
}

use Case::{Here, In};

#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Case)> {
    vec![
        ("PAGE_ENTRIES_MAX", Here(|| page(PAGE_ENTRIES_MAX, 9), || !page(PAGE_ENTRIES_MAX + 1, 9))),
        ("PAGE_BYTES_SEAL", In(&["a_page_holds_256_entries_or_128_kib"])),
        ("ENTRY_BYTES_MAX", Here(|| page(1, ENTRY_BYTES_MAX), || !page(1, ENTRY_BYTES_MAX + 1))),
        ("PAGE_BYTES_MAX", Here(|| page(4, PAGE_BYTES_MAX / 4), || !page(4, PAGE_BYTES_MAX / 4 + 1))),
        ("CHANGE_BYTES_MAX", Here(|| guarded(&vec![0; CHANGE_BYTES_MAX]) != "too_large", || guarded(&vec![0; CHANGE_BYTES_MAX + 1]) == "too_large")),
        ("CHANGE_OPS_MAX", Here(|| operations(CHANGE_OPS_MAX) != "too_many_operations", || operations(CHANGE_OPS_MAX + 1) == "too_many_operations")),
        ("DOCUMENT_CHANGES_MAX", In(&["a_document_takes_as_many_changes_as_it_may_and_no_more"])),
        ("DOCUMENT_BYTES_MAX", Here(|| grown(segments).0 <= DOCUMENT_BYTES_MAX, || grown(segments).1 > DOCUMENT_BYTES_MAX)),
        ("DOCUMENT_OPS_MAX", Here(|| rewritten(5), || !rewritten(6))),
        ("TEXT_CHARS_MAX", Here(|| edits("incident", field(TEXT_CHARS_MAX)), || !edits("incident", field(TEXT_CHARS_MAX + 1)))),
        ("NOTE_CHARS_MAX", Here(|| edits("visit", note(NOTE_CHARS_MAX)), || !edits("visit", note(NOTE_CHARS_MAX + 1)))),
        ("LIST_ITEMS_MAX", Here(|| edits("visit", items(LIST_ITEMS_MAX)), || !edits("visit", items(LIST_ITEMS_MAX + 1)))),
        ("FILES_MAX", Here(|| edits("visit", files(FILES_MAX)), || !edits("visit", files(FILES_MAX + 1)))),
        ("SEGMENT_BYTES_MAX", Here(|| edits("patrol", segment(SEGMENT_BYTES_MAX)), || !edits("patrol", segment(SEGMENT_BYTES_MAX + 1)))),
        ("SEGMENT_FIXES_MAX", In(&["fixes_out_of_order_or_too_many_make_no_segment"])),
        ("EXCHANGE_WIRE_BYTES_MAX", Here(|| !too_long(&vec![7; EXCHANGE_WIRE_BYTES_MAX]), || too_long(&vec![7; EXCHANGE_WIRE_BYTES_MAX + 1]))),
        ("EXCHANGE_BYTES_MAX", Here(|| !too_long(&zeros(EXCHANGE_BYTES_MAX)), || too_long(&zeros(EXCHANGE_BYTES_MAX + 1)))),
        ("RECOVERED_FRAME_BYTES", Here(|| recovered(ENTRY_BYTES_MAX), || !recovered(ENTRY_BYTES_MAX + RECOVERED_FRAME_BYTES))),
        ("GIVEN_MAX", In(&["what_a_request_gives_back_wants_and_calls_itself_is_bounded"])),
        ("WANTED_MAX", In(&["what_a_request_gives_back_wants_and_calls_itself_is_bounded"])),
        ("APP_CHARS_MAX", In(&["what_a_request_gives_back_wants_and_calls_itself_is_bounded"])),
        ("EXCHANGE_PAGES_MAX", In(&["every_hostile_request_gets_a_clear_answer_and_the_station_goes_on"])),
        ("REPLY_ENTRY_BYTES", In(&["a_reply_stops_after_two_mebibytes_of_entries_and_goes_on_with_the_next"])),
        ("REPLY_BYTES", In(&["a_reply_stops_after_two_mebibytes_of_entries_and_goes_on_with_the_next"])),
        ("CBOR_DEPTH_MAX", Here(|| codec::check(&nested(CBOR_DEPTH_MAX)).is_ok(), || codec::check(&nested(CBOR_DEPTH_MAX + 1)).is_err())),
        ("ACT_BYTES_MAX", In(&[ "every_hostile_request_gets_a_clear_answer_and_the_station_goes_on", "an_act_is_checked_with_its_comment_values_and_rules", ])),
        ("HEADS_MAX", Here(|| act(HEADS_MAX, 1) && act(1, HEADS_MAX), || !act(HEADS_MAX + 1, 1) && !act(1, HEADS_MAX + 1))),
        ("KIND_BYTES_MAX", In(&["what_is_no_kind_file_is_refused_at_its_line"])),
        ("EXPRESSION_CHARS_MAX", In(&["expressions_are_refused_with_the_row_at_fault"])),
        ("EXPRESSION_LOOPS_MAX", In(&["expressions_are_refused_with_the_row_at_fault"])),
        ("GPX_BYTES_MAX", In(&["a_file_larger_than_any_patrol_is_stopped_and_its_fixes_stay"])),
        ("BLOB_BYTES_MAX", Here(|| check_length(BLOB_BYTES_MAX).is_ok(), || check_length(BLOB_BYTES_MAX + 1).is_err())),
        ("BLOB_PIECE_BYTES", In(&["a_line_that_breaks_at_every_piece_still_gets_on"])),
        ("BLOB_PIECE_BYTES_MIN", In(&["a_line_that_breaks_at_every_piece_still_gets_on"])),
        ("BLOBS_ASKED_MAX", In(&["a_phone_learns_in_one_call_what_has_arrived"])),
        ("MEDIA_TYPE_CHARS_MAX", Here(|| check_media_type(&media_type(MEDIA_TYPE_CHARS_MAX)).is_ok(), || check_media_type(&media_type(MEDIA_TYPE_CHARS_MAX + 1)).is_err())),
        ("PARCEL_ENTRY_BYTES", In(&["much_that_waits_goes_into_several_parcels_that_may_come_in_any_order"])),
        ("PARCEL_BYTES_MAX", Here(|| parcel(PARCEL_BYTES_MAX), || !parcel(PARCEL_BYTES_MAX + 1))),
        ("PINS_MAX", In(&["roots_and_pins_are_as_many_and_as_long_as_they_may_be", "more_pins_than_a_station_has_keys_are_not_announced_and_not_believed"])),
        ("ROOTS_MAX", In(&["roots_and_pins_are_as_many_and_as_long_as_they_may_be"])),
        ("ROOT_BYTES_MAX", In(&["roots_and_pins_are_as_many_and_as_long_as_they_may_be"])),
        ("PARCEL_PIECES_MAX", In(&["a_parcel_holds_so_many_pieces_and_not_one_more"])),
        ("EMERGENCY_CHARS_MAX", In(&["a_note_takes_as_many_words_and_keys_as_it_may_and_no_more"])),
        ("EMERGENCY_KEYS_MAX", In(&["a_note_takes_as_many_words_and_keys_as_it_may_and_no_more"])),
        ("EMERGENCY_BYTES_MAX", In(&["a_note_takes_as_many_words_and_keys_as_it_may_and_no_more"])),
        ("EMERGENCY_NOTES_MAX", In(&["a_locked_phone_takes_a_bounded_number_of_notes_and_says_so"])),
        ("PARCELS_CARRIED_MAX", In(&["a_carrier_takes_whole_parcels_of_its_station_alone_and_a_bounded_number"])),
    ]
}

#[test]
fn every_limit_has_a_case_at_it_and_one_over_it() {
    let text = std::fs::read_to_string(root().join("protocol/src/limits.rs")).unwrap();
    let named = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let named: BTreeSet<&str> = named.collect();
    let cases = cases();
    let held: BTreeSet<&str> = cases.iter().map(|(name, _)| *name).collect();
    let differing: Vec<_> = named.symmetric_difference(&held).collect();
    assert!(
        differing.is_empty(),
        "limits without a case, or cases without a limit: {differing:?}"
    );
    let tests = tests_of_the_tree();
    for (name, case) in cases {
        match case {
            Here(at, over) => {
                assert!(at(), "{name}: what is at the limit must pass");
                assert!(over(), "{name}: what is over the limit must not pass");
            }
            In(names) => {
                for test in names {
                    assert!(tests.contains(*test), "{name}: there is no test {test}");
                }
            }
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The functions under `#[test]` in the tree's Rust files.
fn tests_of_the_tree() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["protocol", "client-core", "server", "tests"]
        .map(|folder| root().join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let lines: Vec<&str> = text.lines().map(str::trim).collect();
                for pair in lines
                    .windows(2)
                    .filter(|pair| pair[0].starts_with("#[") && pair[0].contains("test]"))
                {
                    let name = pair[1]
                        .trim_start_matches("async ")
                        .strip_prefix("fn ")
                        .and_then(|rest| rest.split('(').next());
                    found.extend(name.map(str::to_owned));
                }
            }
        }
    }
    found
}

/// Whether a page of so many entries of so many bytes verifies.
fn page(count: usize, bytes: usize) -> bool {
    let entries: Vec<Vec<u8>> = vec![vec![7; bytes]; count];
    let key = BookKey::from_secret(&[5; 32]).unwrap();
    let draft = Draft {
        suite: P256_SHA256,
        book: BookId::from_bytes([1; 16]),
        incarnation: IncarnationId::from_bytes([2; 16]),
        sequence: 0,
        previous: Hash::from_bytes([0; 32]),
        stamp: Stamp {
            wall: UnixMillis(1),
            boot: 1,
            monotonic: 1,
            checkpoint: None,
        },
        follows: None,
        seed: [3; 32],
        entries: &entries,
    };
    let page = SealedPage::seal(draft.header(), [3; 32], entries.clone(), &key).unwrap();
    match page.verify(&key.public_key()) {
        Ok(_) => true,
        Err(fault) => {
            assert_eq!(fault, PageFault::TooLarge);
            false
        }
    }
}

fn document(kind: &str, actor: u8) -> Document {
    let actor = ActorId::from_bytes([actor; 16]);
    // The kinds that are built in allow shorter notes than a kind may.
    let source = builtin(kind)
        .source()
        .replace("chars_max = 8000", &format!("chars_max = {NOTE_CHARS_MAX}"));
    let kind = Kind::parse(&source, "longer.toml").unwrap();
    Document::open(&kind, DocumentName::Facts, actor, None, &[] as &[&[u8]]).unwrap()
}

/// What the guard says to the bytes.
fn guarded(bytes: &[u8]) -> &'static str {
    let incoming = [Incoming {
        bytes,
        settles: false,
        actors: None,
    }];
    match guard::check(&document("visit", 1), &incoming, Unknown::Refuse)
        .outcomes
        .swap_remove(0)
    {
        Outcome::Refused(fault) => fault.code(),
        other => panic!("{other:?}"),
    }
}

fn operations(count: usize) -> &'static str {
    let honest = document("visit", 2)
        .edit(&Edit::new().field("purpose", "routine"), UnixMillis(1))
        .unwrap();
    guarded(&with_columns(&honest.bytes, &[(0x42, run(count as u64, 1))]))
}

/// Whether a phone writes it, and the guard takes what it wrote.
fn edits(kind: &str, edit: Edit) -> bool {
    match document(kind, 2).edit(&edit, UnixMillis(1)) {
        Ok(change) => {
            let incoming = [Incoming {
                bytes: &change.bytes,
                settles: false,
                actors: None,
            }];
            let report = guard::check(&document(kind, 1), &incoming, Unknown::Refuse);
            matches!(report.outcomes[0], Outcome::Admitted { .. })
        }
        Err(EditError::OverLimit { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn field(chars: usize) -> Edit {
    Edit::new().field("summary", "长".repeat(chars))
}

fn note(chars: usize) -> Edit {
    Edit::new().note("notes", "x".repeat(chars))
}

/// Whether a note of the full length may be written so many times: 20,000 operations the first time, 40,000 each time after.
fn rewritten(times: usize) -> bool {
    let mut writer = document("visit", 2);
    (0..times).all(|time| {
        let text = char::from(b'a' + u8::try_from(time).unwrap())
            .to_string()
            .repeat(NOTE_CHARS_MAX);
        match writer.edit(&Edit::new().note("notes", text), UnixMillis(1)) {
            Ok(_) => true,
            Err(EditError::DocumentFull) => false,
            Err(other) => panic!("{other}"),
        }
    })
}

fn item_id(number: usize) -> ItemId {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&(number as u64).to_be_bytes());
    ItemId::from_bytes(id)
}

fn items(count: usize) -> Edit {
    (0..count).fold(Edit::new(), |edit, number| {
        edit.item("people_met", item_id(number), [("name", "n".into())])
    })
}

fn files(count: usize) -> Edit {
    (0..count).fold(Edit::new(), |edit, number| {
        let file = FileRef {
            field: "photos".into(),
            media_type: "image/jpeg".into(),
            bytes: 9,
            thumbnail: None,
            removed: false,
        };
        edit.file(Hash::of(&[&(number as u64).to_be_bytes()]), file)
    })
}

fn media_type(chars: usize) -> String {
    format!("image/{}", "x".repeat(chars - "image/".len()))
}

fn segment(bytes: usize) -> Edit {
    Edit::new().segment("1", vec![7; bytes])
}

/// Edits a document until it takes no more: the bytes of its changes then, and with the one that was not taken.
fn grown(next: fn(&mut Seeded, usize) -> Edit) -> (usize, usize) {
    let mut seeded = Seeded::new(1);
    let (mut writer, mut bytes) = (document("patrol", 2), 0);
    let mut changes: Vec<Vec<u8>> = Vec::new();
    for number in 0..200 {
        let Ok(change) = writer.edit(&next(&mut seeded, number), UnixMillis(1)) else {
            // The phone itself stops there: what it would have written is as long as what it wrote last.
            return (bytes, bytes + changes.last().map_or(0, Vec::len));
        };
        changes.push(change.bytes.clone());
        let incoming: Vec<Incoming<'_>> = changes
            .iter()
            .map(|bytes| Incoming {
                bytes,
                settles: false,
                actors: None,
            })
            .collect();
        let report = guard::check(&document("patrol", 1), &incoming, Unknown::Refuse);
        let with_it = bytes + change.bytes.len();
        match report.outcomes.last() {
            Some(Outcome::Admitted { .. }) => bytes = with_it,
            Some(Outcome::Refused(fault)) => {
                assert_eq!(fault.code(), "document_full");
                return (bytes, with_it);
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("the document takes everything");
}

fn segments(seeded: &mut Seeded, number: usize) -> Edit {
    let mut bytes = vec![0; 30_000];
    seeded.fill(&mut bytes);
    Edit::new().segment(&number.to_string(), bytes)
}

fn too_long(packed: &[u8]) -> bool {
    matches!(wire::unpack(packed), Err(CodecError::TooLong { .. }))
}

fn zeros(length: usize) -> Vec<u8> {
    codec::compress(&vec![0; length]).unwrap()
}

fn nested(depth: usize) -> Vec<u8> {
    [vec![0x81; depth], vec![0]].concat()
}

/// Whether a given-back entry of so many bytes is an entry.
fn recovered(bytes: usize) -> bool {
    let recovered = Entry::Recovered(RecoveredEntry {
        entry: vec![0; bytes],
        book: BookId::from_bytes([1; 16]),
        giver: BookId::from_bytes([2; 16]),
        received: UnixMillis(1),
        admitted_by: None,
    });
    Entry::parse(&recovered.to_bytes()).is_ok()
}

/// Whether an act with so many heads of `facts` and of `private` is one.
fn act(facts: usize, private: usize) -> bool {
    let heads = |count: usize| -> Vec<Hash> {
        (0..count)
            .map(|number| Hash::from_bytes([u8::try_from(number).unwrap(); 32]))
            .collect()
    };
    let act = Entry::Act(ActEntry {
        record: RecordId::from_bytes([1; 16]),
        code: "comment".into(),
        heads: heads(facts),
        last_act: None,
        at: UnixMillis(1),
        comment: Some("x".into()),
        values: None,
        private_heads: Some(heads(private)),
        on_behalf: None,
        nonce: None,
    });
    Entry::parse(&act.to_bytes()).is_ok()
}

/// Whether a file of so many bytes is looked into at all.
fn parcel(length: usize) -> bool {
    let mut file = PARCEL_MAGIC.to_vec();
    file.resize(length, 0);
    match Parcel::parse(&file) {
        Err(ParcelFault::Unreadable(why)) => !why.contains("longer than"),
        other => panic!("{other:?}"),
    }
}
