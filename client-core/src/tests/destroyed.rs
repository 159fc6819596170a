//! What the station destroyed: gone from every table and from the file itself, with own work on it kept in words.

use beatbook_protocol::document::{Edit, FieldPath, Said};
use beatbook_protocol::id::{Hash, ItemId, RecordId};
use beatbook_protocol::kind::DocumentName;
use beatbook_protocol::wire::Verdict;

use super::agreement::{address, count, heard, written};
use crate::error::CoreError;
use crate::query::{CameBackWhy, RefusedWhat};
use crate::store::write::ActOrder;
use crate::sync::testing::{Phone, Station, opened};
use crate::sync::{SyncEvent, status};

const CODE: &str = "destroyed";

fn refusal(code: &str) -> Verdict {
    Verdict::Refused {
        code: code.into(),
        text: "it was destroyed".into(),
        state_met: None,
    }
}

fn told(record: RecordId, private_only: bool, stranded: u64) -> SyncEvent {
    SyncEvent::Destroyed {
        record,
        private_only,
        stranded,
    }
}

/// Whether these words stand anywhere in the phone's files.
fn stands(phone: &Phone, words: &str) -> bool {
    ["db", "db-wal"].iter().any(|ending| {
        let bytes = std::fs::read(phone.path().with_extension(ending)).unwrap_or_default();
        bytes.windows(words.len()).any(|window| window == words.as_bytes())
    })
}

/// Syncs with a station that refuses with this code what goes up of a record.
fn refused_of(phone: &Phone, station: &mut Station, record: RecordId, code: &str) -> crate::sync::SyncReport {
    let report = phone.sync_by(|request| {
        for entry in opened(request).pages.iter().flat_map(|page| &page.entries) {
            let parsed = beatbook_protocol::entry::Entry::parse(entry).unwrap();
            if parsed.record() == Some(record) {
                station
                    .verdicts
                    .insert(beatbook_protocol::entry::identity(entry), refusal(code));
            }
        }
        station.exchange(request)
    });
    report.unwrap()
}

#[test]
fn a_destroyed_record_is_in_no_table_and_no_byte_of_the_file() {
    let mut station = Station::new();
    let (mut phone, records) = written(&mut station, 2);
    let edit = Edit::new()
        .note("notes", "DOOMED-NOTE of the visitor")
        .field("address", "DOOMED-NEEDLE street");
    phone.core.edit(records[0], &edit, None).unwrap();
    phone.core.edit(records[1], &address("KEPT-NEEDLE street"), None).unwrap();
    assert!(phone.sync(&mut station).unwrap().complete);
    assert!(stands(&phone, "DOOMED-NEEDLE") && stands(&phone, "DOOMED-NOTE"));
    station.destroy(records[0], false);
    let (report, _) = heard(&phone, &mut station);
    assert!(report.events.contains(&told(records[0], false, 0)), "{report:?}");
    assert!(status(&phone.core).unwrap().synced && report.complete);
    assert_eq!(count(&phone), 1);
    assert!(matches!(phone.core.record(records[0]), Err(CoreError::UnknownRecord(_))));
    assert!(phone.core.search("DOOMED", 9).unwrap().is_empty());
    assert_eq!(phone.core.search("KEPT", 9).unwrap().len(), 1);
    for words in ["DOOMED-NEEDLE", "DOOMED-NOTE"] {
        assert!(!stands(&phone, words), "{words} is still in the file");
    }
    assert!(stands(&phone, "KEPT-NEEDLE"));
    assert_eq!(heard(&phone, &mut station).0.requests, 1, "and nothing more is to be done");
    phone.reopen();
    assert!(!stands(&phone, "DOOMED-NEEDLE") && count(&phone) == 1);
}

#[test]
fn own_work_on_a_destroyed_record_comes_back_in_words_and_drafts_stand_for_themselves() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 2);
    let mut draft = phone.core.draft_begin("household", Some(records[0])).unwrap();
    draft.edit = address("half a word");
    phone.core.draft_save(&draft).unwrap();
    phone.core.edit(records[0], &address("on its way"), None).unwrap();
    phone.pass(1_000);
    let order = ActOrder {
        code: "comment".into(),
        comment: Some("看过".into()),
        version: phone.core.record(records[0]).unwrap().row.version,
        ..ActOrder::default()
    };
    phone.core.act(records[0], &order).unwrap();
    station.destroy(records[0], false);
    let report = refused_of(&phone, &mut station, records[0], CODE);
    assert!(report.events.contains(&told(records[0], false, 2)), "{report:?}");
    let back = phone.core.refused().unwrap();
    assert_eq!(back.len(), 2);
    assert!(back.iter().all(|entry| entry.record == records[0] && entry.code == CODE));
    let address_field = FieldPath::Field("address".into());
    let values = RefusedWhat::Values(vec![(address_field, Said::Value("on its way".into()))]);
    assert!(back.iter().any(|one| one.what == values), "{back:?}");
    let is_comment = |what: &RefusedWhat| matches!(what, RefusedWhat::Act { code, comment: Some(said) } if code == "comment" && said == "看过");
    assert!(back.iter().any(|one| is_comment(&one.what)), "{back:?}");
    let shown = phone.core.came_back().unwrap();
    assert_eq!(shown.len(), 2);
    assert!(
        shown
            .iter()
            .all(|one| matches!(&one.why, CameBackWhy::Refused { code, .. } if code == CODE) && !one.title.en.is_empty())
    );
    // The draft is no longer about that record: what is still needed goes into a new one.
    let kept = phone.core.drafts().unwrap();
    assert_eq!(
        (kept.len(), kept[0].record, &kept[0].edit),
        (1, None, &address("half a word"))
    );
    let new = phone.core.draft_commit(kept[0].id).unwrap();
    assert_ne!(new, records[0]);
    for entry in back {
        if matches!(entry.what, RefusedWhat::Act { .. }) {
            assert!(matches!(phone.core.offer_again(&entry.entry), Err(CoreError::Unknown { .. })));
            phone.core.dismiss(&entry.entry).unwrap();
        } else {
            let offered = phone.core.offer_again(&entry.entry).unwrap();
            let offered = phone.core.draft(offered).unwrap();
            assert_eq!((offered.record, &offered.edit), (None, &address("on its way")));
            assert!(
                phone.core.refused().unwrap().contains(&entry),
                "until the draft is saved or thrown away"
            );
            phone.core.draft_drop(offered.id).unwrap();
        }
    }
    assert!(phone.core.refused().unwrap().is_empty() && phone.core.came_back().unwrap().is_empty());
    assert!(phone.sync(&mut station).unwrap().complete);
    assert!(!stands(&phone, "on its way"));
}

#[test]
fn a_phone_that_missed_the_word_learns_it_when_it_sends_something_of_the_record() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 2);
    phone.core.edit(records[0], &address("on its way"), None).unwrap();
    station.destroy_unsaid(records[0]);
    let report = refused_of(&phone, &mut station, records[0], CODE);
    assert!(report.events.contains(&told(records[0], false, 1)), "{report:?}");
    assert_eq!((count(&phone), phone.core.refused().unwrap().len()), (1, 1));
}

#[test]
fn a_private_document_goes_alone() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 1);
    let item = ItemId::from_bytes([3; 16]);
    let contact = |phone: &str| Edit::new().item("contacts", item, [("name", "王".into()), ("phone", phone.into())]);
    phone.core.edit(records[0], &contact("DOOMED-PRIVATE"), None).unwrap();
    phone.sync(&mut station).unwrap();
    phone.core.edit(records[0], &contact("WAITING-PRIVATE"), None).unwrap();
    phone.core.edit(records[0], &address("stays"), None).unwrap();
    station.destroy(records[0], true);
    let report = phone.sync_by(|request| {
        for entry in opened(request).pages.iter().flat_map(|page| &page.entries) {
            if let Ok(beatbook_protocol::entry::Entry::Change(change)) = beatbook_protocol::entry::Entry::parse(entry)
                && change.document.name() == Some(DocumentName::Private)
            {
                station
                    .verdicts
                    .insert(beatbook_protocol::entry::identity(entry), refusal("private_destroyed"));
            }
        }
        station.exchange(request)
    });
    let events = report.unwrap().events;
    assert!(events.contains(&told(records[0], true, 1)), "{events:?}");
    let view = phone.core.record(records[0]).unwrap();
    assert_eq!(view.facts.fields["address"], "stays".into());
    assert!(
        view.facts.lists.is_empty() || !format!("{view:?}").contains("PRIVATE"),
        "{view:?}"
    );
    let back = phone.core.refused().unwrap();
    assert_eq!((back.len(), back[0].code.as_str()), (1, "private_destroyed"));
    assert!(!stands(&phone, "DOOMED-PRIVATE"));
    // The private document stays closed: what is still needed goes into a new record.
    let offered = phone.core.offer_again(&back[0].entry).unwrap();
    let mut draft = phone.core.draft(offered).unwrap();
    draft.edit = draft.edit.field("address", "a household of its own");
    phone.core.draft_save(&draft).unwrap();
    let new = phone.core.draft_commit(offered).unwrap();
    assert_ne!(new, records[0]);
    let private = phone.core.record(new).unwrap().private.unwrap();
    assert_eq!(private.lists["contacts"][&item].fields["phone"], "WAITING-PRIVATE".into());
    assert!(phone.core.refused().unwrap().is_empty());
    assert_eq!(phone.core.search("stays", 9).unwrap().len(), 1);
    let found = phone.core.search("PRIVATE", 9).unwrap();
    assert!(found.iter().all(|row| row.record == new), "{found:?}");
}

#[test]
fn what_a_draft_says_of_a_private_document_that_is_destroyed_is_kept_in_words_alone() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 1);
    let item = ItemId::from_bytes([3; 16]);
    let contact = Edit::new().item("contacts", item, [("name", "DRAFT-PRIVATE".into())]);
    let mut both = phone.core.draft_begin("household", Some(records[0])).unwrap();
    both.edit = contact.clone().field("address", "a new address");
    phone.core.draft_save(&both).unwrap();
    let mut alone = phone.core.draft_begin("household", Some(records[0])).unwrap();
    alone.edit = contact;
    phone.core.draft_save(&alone).unwrap();
    station.destroy(records[0], true);
    let report = phone.sync(&mut station).unwrap();
    assert!(report.events.contains(&told(records[0], true, 2)), "{report:?}");
    let kept = phone.core.drafts().unwrap();
    assert_eq!(
        (kept.len(), kept[0].id, &kept[0].edit),
        (1, both.id, &address("a new address"))
    );
    let back = phone.core.refused().unwrap();
    let name = FieldPath::Item {
        list: "contacts".into(),
        item,
        field: "name".into(),
    };
    let values = RefusedWhat::Values(vec![(name, Said::Value("DRAFT-PRIVATE".into()))]);
    assert!(back.len() == 2 && back.iter().all(|one| one.what == values && one.code == "private_destroyed"));
    assert_eq!(phone.core.came_back().unwrap().len(), 2);
    for entry in back {
        phone.core.dismiss(&entry.entry).unwrap();
    }
    phone.core.draft_commit(both.id).unwrap();
    assert!(phone.sync(&mut station).unwrap().complete);
    assert!(
        !stands(&phone, "DRAFT-PRIVATE"),
        "once its author has dealt with it, it is nowhere"
    );
}

#[test]
fn what_the_outbox_kept_of_it_goes_and_a_restored_station_gets_the_rest_in_new_pages() {
    let mut station = Station::new();
    let phone = Phone::enrolled(&mut station);
    let first = phone.core.begin("household", &address("FIRST-NEEDLE")).unwrap();
    phone.sync(&mut station).unwrap();
    let size = station.size();
    // One page holds both.
    let doomed = phone.core.begin("household", &address("DOOMED-NEEDLE")).unwrap();
    let kept = phone.core.begin("household", &address("KEPT-NEEDLE")).unwrap();
    phone.sync(&mut station).unwrap();
    phone.core.edit(first, &address("LATER-NEEDLE"), None).unwrap();
    phone.sync(&mut station).unwrap();
    station.destroy(doomed, false);
    phone.sync(&mut station).unwrap();
    assert!(
        !stands(&phone, "DOOMED-NEEDLE"),
        "not even in the pages that no backup holds yet"
    );
    let before: Vec<Hash> = station.accepted();
    station.restore(size, true);
    let (report, asked) = heard(&phone, &mut station);
    assert!(report.complete, "{report:?}");
    assert!(
        !asked
            .iter()
            .flat_map(|request| &request.pages)
            .any(|page| page.entries.iter().any(|entry| entry.is_empty())),
        "no page goes up with a hole"
    );
    let after = station.accepted();
    assert_eq!(after.len(), before.len() - 1);
    assert!(
        after.iter().all(|entry| before.contains(entry)),
        "the same entries, under the same names"
    );
    assert_eq!(count(&phone), 2);
    assert_eq!(phone.core.record(kept).unwrap().facts.fields["address"], "KEPT-NEEDLE".into());
    assert!(status(&phone.core).unwrap().synced);
}

#[test]
fn a_patrol_that_is_going_on_is_written_to_its_end_before_its_record_goes() {
    let mut station = Station::new();
    let (phone, _) = written(&mut station, 1);
    let patrol = phone
        .core
        .patrol_start(&Edit::new().field("patrol_kind", "foot").field("started_at", phone.now().0))
        .unwrap();
    phone.sync(&mut station).unwrap();
    station.destroy(patrol, false);
    let report = phone.sync(&mut station).unwrap();
    assert!(!report.events.contains(&told(patrol, false, 0)), "{report:?}");
    assert!(phone.core.patrol_active().unwrap().is_some());
    phone.core.patrol_finish(&Edit::new()).unwrap();
    let report = refused_of(&phone, &mut station, patrol, CODE);
    assert!(
        report
            .events
            .iter()
            .any(|event| matches!(event, SyncEvent::Destroyed { record, .. } if *record == patrol)),
        "{report:?}"
    );
    assert_eq!(count(&phone), 1);
    assert!(!phone.core.refused().unwrap().is_empty(), "what he wrote is there in words");
}
