//! Records that leave the scope: what goes, what stays and until when, and what comes back.

use beatbook_protocol::facts::Value;

use super::agreement::{address, count, heard, refused, shown, written};
use crate::error::CoreError;
use crate::sync::testing::{Station, opened};
use crate::sync::{SyncEvent, status};

#[test]
fn a_record_that_left_goes_once_the_station_has_what_was_written_on_it() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 3);
    phone.core.edit(records[0], &address("written before he knew"), None).unwrap();
    station.leave(records[0]);
    let (report, asked) = heard(&phone, &mut station);
    assert_eq!(asked[0].pages.len(), 1, "his work goes up first");
    let left = SyncEvent::LeftScope {
        record: records[0],
        is_kept: false,
    };
    assert!(report.events.contains(&left), "{report:?}");
    assert!(matches!(phone.core.record(records[0]), Err(CoreError::UnknownRecord(_))));
    assert_eq!(count(&phone), 2);
    let kept = phone.core.read(|tx| {
        let sql = "SELECT (SELECT count(*) FROM change WHERE record = ?1) + (SELECT count(*) FROM snapshot WHERE record = ?1),
                   (SELECT count(*) FROM outbox WHERE record = ?1)";
        Ok(tx.query_row(sql, [records[0].as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?)
    });
    assert_eq!(
        kept.unwrap(),
        (0, 2),
        "nothing of it is here but what the station has in no backup yet"
    );
    assert!(status(&phone.core).unwrap().synced);
    assert_eq!(heard(&phone, &mut station).0.requests, 1);
}

#[test]
fn a_record_that_left_stays_as_long_as_own_work_hangs_on_it_and_takes_no_more() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 3);
    let mut draft = phone.core.draft_begin("household", Some(records[0])).unwrap();
    draft.edit = address("half a word");
    phone.core.draft_save(&draft).unwrap();
    phone.core.edit(records[1], &address("refused"), None).unwrap();
    station.leave(records[0]);
    station.leave(records[1]);
    let report = phone.sync_by(|request| {
        for entry in opened(request).pages.iter().flat_map(|page| &page.entries) {
            station.verdicts.insert(beatbook_protocol::entry::identity(entry), refused());
        }
        station.exchange(request)
    });
    let kept = |record| SyncEvent::LeftScope { record, is_kept: true };
    let events = report.unwrap().events;
    assert!(
        events.contains(&kept(records[0])) && events.contains(&kept(records[1])),
        "{events:?}"
    );
    let told = status(&phone.core).unwrap();
    assert_eq!(told.left.len(), 2);
    assert!(told.synced, "what left is in no digest: {told:?}");
    for met in [
        phone.core.edit(records[0], &address("more"), None).map(drop),
        phone.core.draft_commit(draft.id).map(drop),
    ] {
        assert!(matches!(met, Err(CoreError::LeftScope(of)) if of == records[0]), "{met:?}");
    }
    phone.core.draft_drop(draft.id).unwrap();
    phone.core.dismiss(&phone.core.refused().unwrap()[0].entry).unwrap();
    let events = phone.sync(&mut station).unwrap().events;
    for record in &records[..2] {
        let gone = SyncEvent::LeftScope {
            record: *record,
            is_kept: false,
        };
        assert!(events.contains(&gone), "{events:?}");
    }
    assert_eq!((count(&phone), status(&phone.core).unwrap().left.len()), (1, 0));
}

#[test]
fn a_record_that_left_and_comes_back_is_as_it_was_with_the_work_on_it() {
    let mut station = Station::new();
    let (phone, records) = written(&mut station, 2);
    let mut draft = phone.core.draft_begin("household", Some(records[0])).unwrap();
    draft.edit = address("half a word");
    phone.core.draft_save(&draft).unwrap();
    station.leave(records[0]);
    station.leave(records[1]);
    phone.sync(&mut station).unwrap();
    assert_eq!((count(&phone), status(&phone.core).unwrap().left), (1, vec![records[0]]));
    station.enter(records[0]);
    station.enter(records[1]);
    phone.sync(&mut station).unwrap();
    let told = status(&phone.core).unwrap();
    assert!(told.synced && told.left.is_empty(), "{told:?}");
    assert_eq!(shown(&phone, records[1]), Value::from("1"));
    phone.core.draft_commit(draft.id).unwrap();
    assert!(phone.sync(&mut station).unwrap().complete);
    assert_eq!(shown(&phone, records[0]), Value::from("half a word"));
}
