//! Drafts and patrols through the end of the process.

use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::ItemId;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, GapReason, TrackView};

use super::{MORNING, Phone, Station};
use crate::error::CoreError;

#[test]
fn a_draft_is_there_after_the_process_died() {
    let mut station = Station::new("draft");
    let mut li = station.phone("Li", &["officer"]);
    let mut draft = li.core.draft_begin("household", None).unwrap();
    for end in 1..=4 {
        draft.edit = Edit::new().field("address", "大钟寺路".chars().take(end).collect::<String>());
        li.core.draft_save(&draft).unwrap();
    }
    station.restart(&mut li);
    let found = li.core.drafts().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].edit, draft.edit);
    let record = li.core.draft_commit(draft.id).unwrap();
    assert_eq!(
        li.core.record(record).unwrap().facts.fields["address"],
        Value::from("大钟寺路")
    );
    assert!(li.core.drafts().unwrap().is_empty());
    assert!(matches!(li.core.draft_commit(draft.id), Err(CoreError::Unknown { .. })));
}

#[test]
fn a_draft_that_cannot_be_committed_stays() {
    let mut station = Station::new("stays");
    let li = station.phone("Li", &["officer"]);
    let mut draft = li.core.draft_begin("household", None).unwrap();
    draft.edit = Edit::new().field("no_such_field", 1);
    li.core.draft_save(&draft).unwrap();
    assert!(matches!(li.core.draft_commit(draft.id), Err(CoreError::InvalidInput { .. })));
    assert_eq!(li.core.draft(draft.id).unwrap().edit, draft.edit);
    li.core.draft_drop(draft.id).unwrap();
    assert!(li.core.drafts().unwrap().is_empty());
}

#[test]
fn a_draft_never_writes_over_what_its_author_has_not_seen_in_private_either() {
    let mut station = Station::new("unseen");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("大钟寺路1号");
    let item = ItemId::from_bytes([1; 16]);
    let contact = |name: &str| Edit::new().item("contacts", item, [("name", Value::from(name))]);
    let place = format!("lists/contacts/{item}/name");
    for had_contacts in [false, true] {
        station.sync(&mut li);
        station.sync(&mut wang);
        let mut draft = li.core.draft_begin("household", Some(record)).unwrap();
        draft.edit = contact(if had_contacts { "李" } else { "王" });
        li.core.draft_save(&draft).unwrap();
        wang.core
            .edit(record, &contact(if had_contacts { "赵" } else { "张" }), None)
            .unwrap();
        station.sync(&mut wang);
        station.sync(&mut li);
        let met = li.core.draft_commit(draft.id);
        let Err(CoreError::Moved { version, paths }) = met else {
            panic!("{met:?}")
        };
        assert_eq!(paths, std::slice::from_ref(&place));
        // He has seen both now, and means it.
        draft.based_on = Some(version);
        li.core.draft_save(&draft).unwrap();
        li.core.draft_commit(draft.id).unwrap();
    }
}

#[test]
fn a_draft_never_writes_over_what_its_author_has_not_seen() {
    let mut station = Station::new("overtaken");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("大钟寺路1号");
    station.sync(&mut li);
    station.sync(&mut wang);
    let mut same = li.core.draft_begin("household", Some(record)).unwrap();
    same.edit = Edit::new().field("address", "大钟寺路2号");
    li.core.draft_save(&same).unwrap();
    let mut other = li.core.draft_begin("household", Some(record)).unwrap();
    other.edit = Edit::new().note("notes", "五楼");
    li.core.draft_save(&other).unwrap();
    wang.core
        .edit(record, &Edit::new().field("address", "大钟寺路3号"), None)
        .unwrap();
    station.sync(&mut wang);
    station.sync(&mut li);

    let Err(CoreError::Moved { version, paths }) = li.core.draft_commit(same.id) else {
        panic!("it was written over")
    };
    assert_eq!(paths, ["fields/address"]);
    assert_eq!(
        li.core.record(record).unwrap().facts.fields["address"],
        Value::from("大钟寺路3号")
    );
    // Elsewhere in the record both go together.
    li.core.draft_commit(other.id).unwrap();
    // He looks at it, and says it again.
    let seen = li.core.record(record).unwrap().row.version;
    assert_ne!(seen, version);
    same.based_on = Some(seen);
    li.core.draft_save(&same).unwrap();
    li.core.draft_commit(same.id).unwrap();
    let view = li.core.record(record).unwrap();
    assert_eq!(
        (view.facts.fields["address"].clone(), view.facts.notes["notes"].as_str()),
        (Value::from("大钟寺路2号"), "五楼")
    );
}

/// A walk of one fix each five seconds, from second `from`.
fn walk(from: i64, to: i64) -> Vec<Fix> {
    (from..to)
        .step_by(5)
        .map(|second| {
            let north = 39.9 + second as f64 * 1.0e-5;
            Fix::check(UnixMillis(MORNING + second * 1_000), north, 116.4, Some(5.0)).unwrap()
        })
        .collect()
}

fn start(phone: &Phone) -> beatbook_protocol::id::RecordId {
    phone
        .core
        .patrol_start(&Edit::new().field("patrol_kind", "foot").field("started_at", MORNING))
        .unwrap()
}

#[test]
fn a_patrol_goes_on_after_the_process_died_and_says_where_it_broke_off() {
    let mut station = Station::new("patrol");
    let mut li = station.phone("Li", &["officer"]);
    let record = start(&li);
    li.core.patrol_add(&walk(0, 600)).unwrap();
    station.restart(&mut li);
    let active = li.core.patrol_active().unwrap().unwrap();
    assert_eq!(
        (active.record, active.counts.fixes_in, active.is_paused),
        (record, 120, false)
    );
    // Killed once more before anything came in.
    station.restart(&mut li);
    li.core.patrol_add(&walk(1_200, 1_800)).unwrap();
    station.restart(&mut li);
    let (ended, counts) = li.core.patrol_finish(&Edit::new()).unwrap();
    assert_eq!((ended, counts.fixes_in), (record, 240));
    assert_eq!(li.core.patrol_active().unwrap(), None);
    let view = li.core.record(record).unwrap();
    assert_eq!(view.row.state, "ended");
    assert!(view.facts.fields.contains_key("ended_at"));
    let track = TrackView::from_segments(view.facts.track.clone());
    assert_eq!(track.fixes_kept() as u64, counts.kept);
    assert_eq!(
        track.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(),
        [GapReason::AppKilled]
    );
    station.sync(&mut li);
    let mut wang = station.phone("Wang", &["officer"]);
    station.sync(&mut wang);
    assert_eq!(wang.core.record(record).unwrap().facts.track, view.facts.track);
}

#[test]
fn a_batch_that_is_handed_over_again_changes_nothing() {
    let mut station = Station::new("batch");
    let mut li = station.phone("Li", &["officer"]);
    let record = start(&li);
    // Long enough to be cut into segments in between.
    let counts = li.core.patrol_add(&walk(0, 6_000)).unwrap();
    assert_eq!(li.core.patrol_add(&walk(0, 6_000)).unwrap(), counts);
    station.restart(&mut li);
    assert_eq!(li.core.patrol_add(&walk(3_000, 6_000)).unwrap(), counts);
    assert!(
        !li.core.record(record).unwrap().facts.track.is_empty(),
        "a full segment is in the record already"
    );
    li.core.patrol_finish(&Edit::new()).unwrap();
    let track = TrackView::from_segments(li.core.record(record).unwrap().facts.track);
    assert_eq!(track.fixes_kept() as u64, 1_200);
    assert!(track.gaps.is_empty());
}

#[test]
fn a_pause_is_an_act_and_nothing_is_recorded_in_it() {
    let mut station = Station::new("pause");
    let mut li = station.phone("Li", &["officer"]);
    let record = start(&li);
    li.core.patrol_add(&walk(0, 300)).unwrap();
    li.core.patrol_pause(GapReason::Paused).unwrap();
    assert_eq!(li.core.record(record).unwrap().row.state, "paused");
    station.restart(&mut li);
    assert!(li.core.patrol_active().unwrap().unwrap().is_paused);
    li.core.patrol_add(&walk(300, 600)).unwrap();
    li.core.patrol_resume().unwrap();
    li.core.patrol_pause(GapReason::ProviderOff).unwrap();
    assert_eq!(
        li.core.record(record).unwrap().row.state,
        "started",
        "a dead receiver is nobody's act"
    );
    li.core.patrol_add(&walk(900, 1_200)).unwrap();
    let (_, counts) = li.core.patrol_finish(&Edit::new()).unwrap();
    assert_eq!((counts.kept, counts.while_paused), (120, 60));
    let track = TrackView::from_segments(li.core.record(record).unwrap().facts.track);
    assert_eq!(
        track.gaps.iter().map(|gap| gap.reason).collect::<Vec<_>>(),
        [GapReason::Paused]
    );
}

#[test]
fn one_patrol_goes_on_at_a_time() {
    let mut station = Station::new("one");
    let li = station.phone("Li", &["officer"]);
    assert!(matches!(li.core.patrol_add(&walk(0, 10)), Err(CoreError::Unknown { .. })));
    start(&li);
    assert!(matches!(
        li.core.patrol_start(&Edit::new()),
        Err(CoreError::InvalidInput { .. })
    ));
}
