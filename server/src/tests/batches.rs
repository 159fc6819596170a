//! Pages that come together: judged and appended by batches, with the verdicts that they would have got one by one.

use beatbook_protocol::document::{Edit, genesis};
use beatbook_protocol::entry::{ChangeEntry, Entry, Opens};
use beatbook_protocol::id::{RecordId, UnitId};
use beatbook_protocol::kind::{Catalogue, DocumentName};
use beatbook_protocol::page::SealedPage;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{PageAnswer, Verdict, verdict_of};

use crate::testing::{Phone, World, code, visit};

const PAGES: usize = 10;

/// The work of a day with something wrong in many places, a record's entries spread over several pages.
fn mixed_pages(world: &World, phone: &mut Phone) -> Vec<SealedPage> {
    let foreign = UnitId::from_bytes([7; 16]);
    let mut pages: Vec<Vec<Vec<u8>>> = vec![Vec::new(); PAGES];
    for n in 0..40 {
        let record = world.record_id();
        let minutes = |minutes: i64| Edit::new().field("duration_min", minutes);
        let mut entries = match n % 8 {
            0 => vec![phone.write(record, Some(foreign), visit())],
            1 => vec![phone.write(record, None, visit())],
            _ => vec![phone.write(record, Some(world.unit), visit())],
        };
        let first = phone.write(record, None, minutes(5));
        let second = phone.write(record, None, minutes(6));
        match n % 8 {
            2 => entries.extend([second, first.clone(), first]),
            3 => entries.extend([first, phone.act(record, "approve", None), second]),
            4 => entries.extend([
                first,
                phone.act(record, "finish", None),
                second,
                phone.act(record, "submit", None),
            ]),
            5 => {
                let (finish, submit) = (phone.act(record, "finish", None), phone.act(record, "submit", None));
                let late = phone.write(record, None, minutes(7));
                entries.extend([
                    first,
                    second,
                    finish,
                    submit.clone(),
                    late,
                    submit,
                    phone.act(record, "submit", None),
                ]);
            }
            6 => entries.extend([b"junk".to_vec(), first.clone(), second, first]),
            _ => entries.extend([first, second, phone.act(record, "comment", None)]),
        }
        for (at, entry) in entries.into_iter().enumerate() {
            pages[(n % 3 + at) % PAGES].push(entry);
        }
    }
    pages.into_iter().map(|entries| phone.seal(entries)).collect()
}

fn verdicts(answers: &[PageAnswer]) -> Vec<Vec<Verdict>> {
    let all = |answer: &PageAnswer| (0..).map_while(|at| verdict_of(&answer.verdicts, at)).collect();
    answers.iter().map(all).collect()
}

#[test]
fn pages_that_come_together_get_the_verdicts_that_they_get_one_by_one() {
    let (together, apart) = (World::new(), World::new());
    let (mut one, mut other) = (together.phone("李警官", "officer"), apart.phone("李警官", "officer"));
    let pages = mixed_pages(&together, &mut one);
    assert_eq!(pages, mixed_pages(&apart, &mut other));
    let at_once = together.send(&mut one, pages.clone()).answers;
    let each: Vec<PageAnswer> = pages
        .into_iter()
        .flat_map(|page| apart.send(&mut other, vec![page]).answers)
        .collect();
    assert_eq!(verdicts(&at_once), verdicts(&each));
    assert_eq!(at_once, each);
    let all = verdicts(&at_once).concat();
    for sort in ["out_of_scope", "unknown_record", "state_met", "malformed", "comment_required"] {
        assert!(
            all.iter()
                .any(|verdict| matches!(verdict, Verdict::Refused { code, .. } if code == sort)),
            "{sort}"
        );
    }
    assert!(all.contains(&Verdict::Duplicate) && all.contains(&Verdict::Offered));
    assert!(all.iter().any(|verdict| matches!(verdict, Verdict::Needs { .. })));
    let report = together.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
}

#[test]
fn a_faulty_page_among_good_ones_stops_what_follows_in_its_chain_and_nothing_before() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let mut page = |record: RecordId| {
        let entry = phone.write(record, Some(world.unit), visit());
        phone.seal(vec![entry])
    };
    let records = [world.record_id(), world.record_id(), world.record_id()];
    let [good, mut bad, after] = records.map(&mut page);
    bad.signature[40] ^= 1;
    let answers = world.send(&mut phone, vec![good.clone(), bad, after, good]).answers;
    let faults: Vec<Option<&str>> = answers.iter().map(|answer| answer.fault.as_deref()).collect();
    assert_eq!(faults, [None, Some("page_signature"), Some("page_chain"), None]);
    assert_eq!(answers[2].expected, Some(1));
    assert_eq!(answers[3], answers[0]);
    assert_eq!(world.station.status().unwrap().records, 1);
}

#[test]
fn more_pages_than_one_batch_holds_are_all_taken_in() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    let opening = phone.write(record, Some(world.unit), visit());
    let mut pages = vec![phone.seal(vec![opening])];
    for n in 0..100_i64 {
        let entry = phone.write(record, None, Edit::new().field("duration_min", n));
        pages.push(phone.seal(vec![entry]));
    }
    let answers = world.send(&mut phone, pages).answers;
    let leaves: Vec<Option<u64>> = answers.iter().map(|answer| answer.leaf).collect();
    let first = leaves[0].unwrap();
    assert_eq!(leaves, (first..first + 101).map(Some).collect::<Vec<_>>());
    assert!(
        verdicts(&answers)
            .concat()
            .iter()
            .all(|verdict| *verdict == Verdict::Accepted)
    );
    let report = world.station.rebuild().unwrap();
    assert_eq!(report.before, report.after);
}

#[test]
fn a_record_cannot_be_opened_by_a_change_that_says_nothing() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    let catalogue = Catalogue::builtin().unwrap();
    let change = genesis(catalogue.newest("visit").unwrap(), DocumentName::Facts)
        .unwrap()
        .remove(0);
    let opening = Entry::Change(ChangeEntry {
        record,
        document: DocumentName::Facts.into(),
        change,
        at: UnixMillis(1_764_000_000_000),
        settles: None,
        opens: Some(Opens {
            kind: "visit".into(),
            version: 1,
            unit: world.unit,
        }),
        on_behalf: None,
    });
    let next = phone.write(record, None, visit());
    let sound = phone.write(world.record_id(), Some(world.unit), visit());
    let verdicts = world.verdicts(&mut phone, vec![opening.to_bytes(), next, sound]);
    assert_eq!([code(&verdicts[0]), code(&verdicts[1])], ["malformed", "descendant"]);
    assert_eq!(verdicts[2], Verdict::Accepted);
}

#[test]
fn the_words_of_a_batch_go_into_the_search_index_at_once() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let mut records: Vec<RecordId> = (0..40).map(|_| world.record_id()).collect();
    // Numbers are given in the order of arrival, which is not that of the names.
    records.sort_unstable_by(|one, other| other.cmp(one));
    let entries = records
        .iter()
        .map(|record| phone.write(*record, Some(world.unit), visit().note("notes", "楼道堆放杂物")))
        .collect();
    assert!(
        world
            .verdicts(&mut phone, entries)
            .iter()
            .all(|verdict| *verdict == Verdict::Accepted)
    );
    for table in ["search", "search_open"] {
        let parts = world.station.store.search_parts(table);
        assert_eq!(
            parts, 1,
            "{table}: each part that is written out apart is merged again and again"
        );
    }
}
