//! What a book sent after its end: held within bounds, shown to its chief, admitted or refused by him; and the phone's last word.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{BookId, RecordId};
use beatbook_protocol::page::{BookKey, SealedPage, header_hash};
use beatbook_protocol::parcel::{Parcel, ParcelContent, SealingKey};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{DeliverRequest, RefusalCode, WIRE_VERSION, WipeReceipt, WipedRequest, pack};

use super::ended::{end, evening, receipt_key, signed};
use crate::error::StationError;
use crate::station::{HeldChoice, Session};
use crate::testing::{Phone, World};

const REASON: &str = "当晚的走访, 核实无误";

fn all_of(pages: &[&SealedPage], reason: &str) -> HeldChoice {
    HeldChoice {
        pages: pages.iter().map(|page| header_hash(&page.header)).collect(),
        entries: Vec::new(),
        reason: reason.into(),
    }
}

/// A phone that ended with an evening's visit and a change of an earlier one on it, both held; and a colleague's.
struct Evening {
    world: World,
    other: Phone,
    record: RecordId,
    page: SealedPage,
    second: SealedPage,
}

fn held() -> Evening {
    let world = World::new();
    let (mut phone, mut other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    let before = world.submitted_visit(&mut phone);
    world.sync(&mut phone, None);
    world.sync(&mut other, None);
    let (record, page) = evening(&world, &mut phone);
    let rejected = phone.write(before, None, Edit::new().field("outcome", "no_answer"));
    let second = phone.seal(vec![rejected]);
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone(), second.clone()]).reply();
    Evening {
        world,
        other,
        record,
        page,
        second,
    }
}

#[test]
fn what_is_held_is_shown_to_its_chief_as_it_would_read_and_to_nobody_else() {
    let Evening {
        world,
        other,
        record,
        page,
        ..
    } = held();
    assert!(
        world.station.record(&world.chief, record).unwrap().is_none(),
        "nothing is taken in of itself"
    );

    let view = world.station.quarantine(&world.chief, false, None, 512).unwrap();
    assert_eq!((view.records.len(), view.others.len()), (2, 0));
    let shown = &view.records[0];
    assert_eq!(
        (shown.record, shown.is_here, shown.kind.as_deref()),
        (record, false, Some("visit"))
    );
    assert!(shown.title.as_deref().is_some_and(|title| !title.is_empty()));
    assert_eq!(shown.facts.as_ref().unwrap().fields["purpose"], "routine".into());
    let lines: Vec<_> = shown
        .entries
        .iter()
        .map(|line| (line.sort.as_str(), line.code.as_deref(), line.state.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("change", None, "open"),
            ("act", Some("finish"), "open"),
            ("act", Some("submit"), "open")
        ]
    );
    assert_eq!(shown.entries[0].author.name, "李警官");
    let stranger = colleague(&world, &other);
    assert!(
        world
            .station
            .quarantine(&stranger, true, None, 512)
            .unwrap()
            .records
            .is_empty(),
        "an officer sees none of it"
    );
    assert!(world.station.admit_held(&stranger, &all_of(&[&page], REASON)).is_err());
    assert!(
        world.station.admit_held(&world.chief, &all_of(&[&page], " ")).is_err(),
        "without a reason"
    );
}

#[test]
fn what_is_held_is_admitted_with_the_chiefs_name_and_reaches_the_colleagues() {
    let Evening {
        world,
        mut other,
        record,
        page,
        ..
    } = held();
    let told = world.station.admit_held(&world.chief, &all_of(&[&page], REASON)).unwrap();
    assert!(
        told.iter().all(|line| line.state == "admitted" && line.code.is_none()),
        "{told:?}"
    );
    assert_eq!(world.state(record), "submitted");
    let opened = world.station.record(&world.chief, record).unwrap().unwrap();
    let admitted = &opened.recovered[0];
    assert_eq!(
        (admitted.author.name.as_str(), admitted.admitted_by.as_ref().unwrap().user),
        ("李警官", world.chief.user)
    );
    world.sync(&mut other, None);
    assert!(other.heard_of(record.as_bytes()), "it shows on the colleagues' phones");
    assert_eq!(world.station.status().unwrap().recovered, 0, "it rests on no giver's word");
    let dump = world.station.dump().unwrap();
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
    assert_eq!(world.station.dump().unwrap(), dump);
    assert!(world.station.verify_ledger().unwrap().holds());
}

#[test]
fn what_was_refused_stays_and_every_decision_stands_in_the_log() {
    let Evening { world, page, second, .. } = held();
    world.station.admit_held(&world.chief, &all_of(&[&page], REASON)).unwrap();
    let told = world
        .station
        .refuse_held(&world.chief, &all_of(&[&second], "不是他写的"))
        .unwrap();
    assert_eq!(told[0].state, "refused");
    assert!(
        world
            .station
            .admit_held(&world.chief, &all_of(&[&second], "x"))
            .unwrap()
            .is_empty(),
        "it is decided"
    );
    let one = HeldChoice {
        entries: vec![(header_hash(&second.header), 0)],
        reason: "x".into(),
        ..HeldChoice::default()
    };
    assert!(matches!(
        world.station.admit_held(&world.chief, &one),
        Err(StationError::Invalid(_))
    ));
    assert!(
        world
            .station
            .quarantine(&world.chief, false, None, 512)
            .unwrap()
            .records
            .is_empty()
    );
    let kept = world.station.quarantine(&world.chief, true, None, 512).unwrap();
    assert_eq!(
        kept.records[1].entries[0].reason.as_deref(),
        Some("不是他写的"),
        "what was refused stays"
    );

    let lines = world.station.store.read(|tx| tx.audit_from(1, 100)).unwrap();
    let said: Vec<&str> = lines
        .iter()
        .map(|line| line.what.as_str())
        .filter(|what| what.starts_with("book.") || what.starts_with("quarantine."))
        .collect();
    assert_eq!(
        said,
        [
            "book.end",
            "quarantine.admit",
            "quarantine.refuse",
            "quarantine.read",
            "quarantine.read"
        ],
        "nothing for what was decided before, and a line for each of the two records that were shown"
    );
    assert_eq!(
        lines
            .iter()
            .find(|line| line.what == "quarantine.admit")
            .unwrap()
            .reason
            .as_deref(),
        Some(REASON)
    );
}

fn colleague(world: &World, phone: &Phone) -> Session {
    let token = world.station.issue_token(Some(&world.chief), phone.enrolled.user).unwrap();
    world.station.session(&token).unwrap()
}

#[test]
fn what_its_author_might_not_have_written_is_not_admitted_either() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    world.sync(&mut phone, None);
    let forged = phone.act(record, "approve", None);
    let page = phone.seal(vec![forged, vec![0x82, 0x18, 50, 0xa0], b"nonsense".to_vec()]);
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone()]).reply();
    let view = world.station.quarantine(&world.chief, false, None, 512).unwrap();
    assert_eq!((view.records.len(), view.others.len()), (1, 2));
    let told = world.station.admit_held(&world.chief, &all_of(&[&page], "看看")).unwrap();
    let codes: Vec<_> = told
        .iter()
        .map(|line| (line.state.as_str(), line.code.as_deref().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [("open", "forbidden"), ("open", "not_understood"), ("open", "malformed")]
    );
    assert_eq!(world.state(record), "submitted");
}

#[test]
fn a_flood_of_an_ended_book_fills_its_own_bounds_and_nothing_else() {
    let world = World::new();
    let (mut phone, mut other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    end(&world, &phone);
    let large: Vec<u8> = [vec![0x82, 0x18, 50, 0x5a, 0, 1, 0x80, 0], vec![7; 96 * 1024]].concat();
    let (mut held, mut refused) = (0, Vec::new());
    for _ in 0..19 {
        let pages: Vec<SealedPage> = (0..10).map(|_| phone.seal(vec![large.clone()])).collect();
        let reply = signed(&world, &phone, pages).reply().held.unwrap();
        held += reply.pages.len();
        refused.extend(reply.refused);
    }
    assert!((160..=175).contains(&held), "{held} of some 100 KB each");
    assert!(!refused.is_empty() && refused.iter().all(|page| page.code == "full" && !page.text.is_empty()));
    let mut forged = phone.seal(vec![large]);
    forged.signature[5] ^= 1;
    let reply = signed(&world, &phone, vec![forged]).reply().held.unwrap();
    assert_eq!(reply.refused[0].code, "page_signature");
    world.submitted_visit(&mut other);
    let bytes = std::fs::read(world.data().join("station.db")).unwrap();
    let wal = std::fs::read(world.data().join("station.db-wal")).unwrap_or_default();
    let holds = |needle: &[u8]| {
        [&bytes, &wal]
            .iter()
            .any(|file| file.windows(needle.len()).any(|window| window == needle))
    };
    assert!(holds("李警官".as_bytes()), "the search finds what is there");
    assert!(!holds(&[7; 64]), "what is held lies sealed");
}

#[test]
fn a_parcel_of_a_book_that_has_ended_is_held_and_its_carrier_told() {
    let world = World::new();
    let (mut author, mut carrier) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    world.sync(&mut carrier, None);
    let (record, page) = evening(&world, &mut author);
    end(&world, &author);
    let to = author
        .enrolled
        .sealing
        .as_ref()
        .unwrap()
        .verify(&author.enrolled.origin, &receipt_key(&author))
        .unwrap();
    let content = ParcelContent {
        book: author.book,
        incarnation: author.incarnation,
        pages: vec![page.clone()],
        answer_key: *SealingKey::from_bytes(&[21; 32]).public_key().as_bytes(),
        made_at: UnixMillis(author.wall),
        app: "test".into(),
        blobs: None,
    };
    let file = Parcel::seal(&content, &author.enrolled.origin, &author.key, &to, &[4; 32]).unwrap();
    let request = pack(&DeliverRequest {
        version: WIRE_VERSION,
        parcel: file,
    })
    .unwrap();
    for _ in 0..2 {
        let refusal = world.station.deliver(&request, Some(&carrier.enrolled.token)).unwrap_err();
        assert_eq!(refusal.code, "parcel_ended");
    }
    let view = world.station.quarantine(&world.chief, false, None, 512).unwrap();
    assert_eq!(
        (view.records.len(), view.records[0].entries[0].carrier),
        (1, Some(carrier.book))
    );
    let told = world
        .station
        .admit_held(&world.chief, &all_of(&[&page], "托同事带来"))
        .unwrap();
    assert!(told.iter().all(|line| line.state == "admitted"), "{told:?}");
    assert_eq!(world.state(record), "submitted");
    let reply = signed(&world, &author, vec![page]).reply();
    assert_eq!(reply.held.unwrap().pages.len(), 1, "and its own phone hears that it is held");
}

#[test]
fn the_last_word_of_a_phone_is_taken_once_and_only_from_a_book_that_has_ended() {
    let world = World::new();
    let phone = world.phone("李警官", "officer");
    let receipt = WipeReceipt {
        book: phone.book,
        why: "lost".into(),
        wiped_at: UnixMillis(7),
        held_pages: 1,
        held_entries: 3,
        lost_entries: 2,
        lost_blobs: 1,
        lost_drafts: 0,
        left_notes: Some(4),
    };
    let said = |receipt: &WipeReceipt, key: &BookKey| WipedRequest::sign(receipt, &phone.enrolled.origin, key).unwrap();
    let sound = said(&receipt, &phone.key);
    assert_eq!(
        world.station.wiped(&sound).unwrap_err().code(),
        RefusalCode::Malformed,
        "it has not ended"
    );
    end(&world, &phone);
    let other = BookKey::from_secret(&[8; 32]).unwrap();
    assert_eq!(
        world.station.wiped(&said(&receipt, &other)).unwrap_err().code(),
        RefusalCode::Malformed
    );
    let stranger = WipeReceipt {
        book: BookId::from_bytes([3; 16]),
        ..receipt.clone()
    };
    assert_eq!(
        world.station.wiped(&said(&stranger, &phone.key)).unwrap_err().code(),
        RefusalCode::UnknownBook
    );
    world.station.wiped(&sound).unwrap();
    let later = WipeReceipt {
        lost_entries: 0,
        ..receipt
    };
    world.station.wiped(&said(&later, &phone.key)).unwrap();
    let view = world.station.book(&world.chief, phone.book).unwrap().wiped.unwrap();
    assert_eq!(
        (view.held_entries, view.lost_entries, view.left_notes),
        (3, 2, 4),
        "the first word stays"
    );
    let lines = world.station.store.read(|tx| tx.audit_from(1, 100)).unwrap();
    assert_eq!(lines.iter().filter(|line| line.what == "wipe.receipt").count(), 1);
}
