//! The list of what is held and what is decided by it: in which order, page by page, how much of it is shown to whom, and as whose work it is
//! judged.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{ItemId, RecordId};
use beatbook_protocol::page::{SealedPage, header_hash};

use super::ended::{end, evening, signed};
use crate::error::StationError;
use crate::station::{HeldChoice, QuarantineView, Session};
use crate::testing::{World, visit};

fn all_of<'p>(pages: impl IntoIterator<Item = &'p SealedPage>) -> HeldChoice {
    HeldChoice {
        pages: pages.into_iter().map(|page| header_hash(&page.header)).collect(),
        reason: "核实无误".into(),
        ..HeldChoice::default()
    }
}

fn records(view: &QuarantineView) -> Vec<RecordId> {
    view.records.iter().map(|record| record.record).collect()
}

/// The lines of the log about what was shown: whose reading, of which record, with which fields.
fn read_lines(world: &World) -> Vec<(RecordId, String)> {
    let lines = world.station.store.read(|tx| tx.audit_from(1, 1_000)).unwrap();
    let read = lines.into_iter().filter(|line| line.what == "quarantine.read");
    read.map(|line| (line.record.unwrap(), line.detail)).collect()
}

#[test]
fn pages_of_one_exchange_are_judged_in_their_authors_order() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let visits = [world.record_id(), world.record_id(), world.record_id()];
    let mut pages = Vec::new();
    for record in visits {
        let steps = [
            phone.write(record, Some(world.unit), visit()),
            phone.act(record, "finish", None),
            phone.act(record, "submit", None),
        ];
        pages.extend(steps.map(|entry| phone.seal(vec![entry])));
    }
    end(&world, &phone);
    signed(&world, &phone, pages.clone()).reply();
    let mut names: Vec<_> = pages.iter().map(|page| header_hash(&page.header)).collect();
    names.sort_unstable();
    assert_ne!(names, all_of(&pages).pages, "or this would try nothing");
    let told = world.station.admit_held(&world.chief, &all_of(&pages)).unwrap();
    assert!(told.iter().all(|line| line.state == "admitted"), "{told:?}");
    assert_eq!(visits.map(|record| world.state(record)), ["submitted"; 3]);
}

#[test]
fn others_pages_hide_nobodys_own_and_a_list_goes_on_where_it_stopped() {
    let world = World::new();
    let east = world.station.add_unit(None, "东", None).unwrap();
    let (mut phone, chief) = (world.phone("李警官", "officer"), world.person("赵所长", &["chief"], east));
    let user = world.station.add_user(None, "张警官", &["officer".into()], east).unwrap();
    let mut other = world.phone_of(user);
    let mut mine = Vec::new();
    for _ in 0..3 {
        let (record, page) = evening(&world, &mut phone);
        mine.push((record, page));
    }
    end(&world, &phone);
    signed(&world, &phone, mine.iter().map(|(_, page)| page.clone()).collect()).reply();
    let theirs = world.record_id();
    let page = other.write(theirs, Some(east), visit());
    let page = other.seal(vec![page]);
    world.station.end_book(None, other.book, "lost").unwrap();
    signed(&world, &other, vec![page]).reply();
    let list = |by: &Session, after: Option<&str>| world.station.quarantine(by, false, after, 1).unwrap();
    let view = list(&chief, None);
    assert_eq!(
        (records(&view), &view.next),
        (vec![theirs], &None),
        "though others' came before"
    );
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let view = list(&world.chief, after.as_deref());
        found.extend(records(&view));
        after = view.next;
        if after.is_none() {
            break;
        }
        // What is decided meanwhile does not stop who goes on behind it.
        let choice = HeldChoice {
            pages: vec![after.as_deref().unwrap().parse().unwrap()],
            reason: "不是他写的".into(),
            ..HeldChoice::default()
        };
        world.station.refuse_held(&world.chief, &choice).unwrap();
    }
    assert_eq!(found, mine.iter().map(|(record, _)| *record).collect::<Vec<_>>());
    for wrong in ["nonsense", &"00".repeat(32)] {
        assert!(matches!(
            world.station.quarantine(&world.chief, true, Some(wrong), 1),
            Err(StationError::Invalid(_))
        ));
    }
}

#[test]
fn who_reads_names_in_what_is_held_stands_in_the_log_with_the_fields_and_without_the_names() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (record, item) = (world.record_id(), ItemId::from_bytes(world.sixteen()));
    let met = visit().item("people_met", item, [("name", "NAME-NEEDLE".into())]);
    let entries = vec![phone.write(record, Some(world.unit), met)];
    let page = phone.seal(entries);
    end(&world, &phone);
    signed(&world, &phone, vec![page]).reply();
    assert_eq!(read_lines(&world), []);
    let view = world.station.quarantine(&world.chief, false, None, 512).unwrap();
    let shown = &view.records[0];
    assert_eq!((shown.in_scope, shown.kind.as_deref()), (true, Some("visit")));
    assert!(
        serde_json::to_string(&view).unwrap().contains("NAME-NEEDLE"),
        "he works on visits"
    );
    let lines = read_lines(&world);
    assert_eq!((lines.len(), lines[0].0), (1, record));
    assert!(lines[0].1.contains("people_met/name") && !lines[0].1.contains("NEEDLE"));
}

#[test]
fn of_a_record_in_another_unit_a_chief_sees_that_something_is_held_and_nothing_that_it_says() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    let east = world.station.add_unit(None, "东", None).unwrap();
    let chief = world.person("赵所长", &["chief"], east);
    let entries = vec![
        phone.write(record, None, Edit::new().field("outcome", "no_answer")),
        phone.act(record, "comment", Some("COMMENT-NEEDLE")),
        phone.write(world.record_id(), Some(world.unit), visit()),
    ];
    let page = phone.seal(entries);
    world.station.move_user(None, phone.enrolled.user, Some(east), None).unwrap();
    world.station.end_book(Some(&chief), phone.book, "lost").unwrap();
    signed(&world, &phone, vec![page]).reply();
    let view = world.station.quarantine(&chief, false, None, 512).unwrap();
    assert_eq!(view.records.len(), 2);
    for shown in &view.records {
        assert!(!shown.in_scope && shown.facts.is_none() && shown.title.is_none() && shown.kind.is_none());
    }
    let sorts: Vec<_> = view.records[0].entries.iter().map(|line| line.sort.as_str()).collect();
    assert_eq!(sorts, ["change", "act"], "he still decides on it");
    assert!(!serde_json::to_string(&view).unwrap().contains("COMMENT-NEEDLE"));
    assert_eq!(read_lines(&world), []);
    assert!(
        world
            .station
            .quarantine(&world.chief, false, None, 512)
            .unwrap()
            .records
            .is_empty(),
        "and who reads the record has nobody to decide on"
    );
}

#[test]
fn what_a_person_wrote_before_he_was_blocked_is_judged_by_what_he_was_then() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (record, page) = evening(&world, &mut phone);
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone()]).reply();
    world.station.block(None, phone.enrolled.user, true).unwrap();
    let told = world.station.admit_held(&world.chief, &all_of([&page])).unwrap();
    assert!(told.iter().all(|line| line.state == "admitted"), "{told:?}");
    assert_eq!(world.state(record), "submitted");
}

#[test]
fn blocking_a_person_ends_no_book_and_ending_his_books_is_an_order_of_its_own() {
    let world = World::new();
    let phone = world.phone("李警官", "officer");
    let user = phone.enrolled.user;
    world.station.block(Some(&world.chief), user, true).unwrap();
    assert!(
        world.station.book(&world.chief, phone.book).unwrap().ended.is_none(),
        "it can be undone"
    );
    assert_eq!(world.station.end_books(Some(&world.chief), user).unwrap(), 1);
    world.station.block(Some(&world.chief), user, false).unwrap();
    assert!(
        world.station.book(&world.chief, phone.book).unwrap().ended.is_some(),
        "this cannot"
    );
}

#[test]
fn a_reason_is_one_line_that_shows_itself_as_it_is() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (_, page) = evening(&world, &mut phone);
    end(&world, &phone);
    signed(&world, &phone, vec![page.clone()]).reply();
    let long = "长".repeat(501);
    for reason in ["", " \t ", "one\ntwo", "esc\u{1b}[31m", "a\u{202e}b", &long] {
        let choice = HeldChoice {
            reason: reason.into(),
            ..all_of([&page])
        };
        for outcome in [
            world.station.admit_held(&world.chief, &choice),
            world.station.refuse_held(&world.chief, &choice),
        ] {
            assert!(matches!(outcome, Err(StationError::Invalid(_))), "{reason:?}");
        }
        if reason.trim() != "" {
            let record = world.submitted_visit(&mut world.phone("张警官", "officer"));
            let outcome = world.station.hold(None, record, reason);
            assert!(matches!(outcome, Err(StationError::Invalid(_))), "{reason:?}");
        }
    }
}
