//! Where somebody works beside his own unit, as his phone knows it: where he may open records, and what he is over those that lie there.

use beatbook_protocol::document::Edit;
use beatbook_protocol::entry::{ChangeEntry, Entry, GrantEvent, MembershipEvent, RegistryEvent, UnitEvent, UserEvent};
use beatbook_protocol::id::{BookId, MembershipId, RecordId, UnitId, UserId};
use beatbook_protocol::kind::Who;
use beatbook_protocol::time::UnixMillis;

use super::{Phone, Station, UNIT, outbox, visit};
use crate::error::CoreError;

const EAST: UnitId = UnitId::from_bytes([10; 16]);
const GRID: UnitId = UnitId::from_bytes([11; 16]);
const FAR: UnitId = UnitId::from_bytes([12; 16]);

fn say(station: &mut Station, event: RegistryEvent) {
    let book = BookId::from_bytes([0xff; 16]);
    station.ledger.push((book, Entry::Registry(event).to_bytes(), false));
}

fn unit(unit: UnitId, parent: Option<UnitId>, closed: bool) -> RegistryEvent {
    RegistryEvent::Unit(UnitEvent {
        unit,
        name: format!("unit {}", unit.as_bytes()[0]),
        parent,
        level: None,
        closed: closed.then_some(true),
        on_behalf: None,
    })
}

fn membership(phone: &Phone, unit: UnitId, role: &str, other: Option<UserId>, phase: u8) -> RegistryEvent {
    RegistryEvent::Membership(MembershipEvent {
        membership: MembershipId::from_bytes([unit.as_bytes()[0]; 16]),
        user: UserId::from_bytes(*phone.book.as_bytes()),
        unit,
        roles: vec![role.into()],
        stands_in_for: other,
        from: None,
        until: Some(UnixMillis(7)),
        phase,
        on_behalf: None,
    })
}

/// The unit in the change that opens a record.
fn opened_in(phone: &Phone, record: RecordId) -> UnitId {
    let opens = outbox(&phone.core)
        .into_iter()
        .find_map(|(_, bytes)| match Entry::parse(&bytes) {
            Ok(Entry::Change(ChangeEntry {
                record: of,
                opens: Some(opens),
                ..
            })) if of == record => Some(opens.unit),
            _ => None,
        });
    opens.unwrap()
}

fn address() -> Edit {
    Edit::new().field("address", "东街一号")
}

#[test]
fn records_are_opened_at_home_unless_another_unit_of_ones_own_is_named() {
    let mut station = Station::new("members-open");
    let mut li = station.phone("Li", &["officer"]);
    let wang = station.phone("Wang", &["officer"]);
    for event in [unit(EAST, None, false), unit(GRID, Some(EAST), false), unit(FAR, None, false)] {
        say(&mut station, event);
    }
    say(
        &mut station,
        membership(&li, EAST, "grid_worker", Some(UserId::from_bytes(*wang.book.as_bytes())), 0),
    );
    station.sync(&mut li);
    let beyond = |li: &Phone, unit| match li.core.begin_in(unit, "household", &address()) {
        Err(CoreError::InvalidInput { field, why }) if field == "unit" => why,
        found => panic!("{found:?}"),
    };
    assert!(beyond(&li, EAST).contains("does not work there"), "planned is not yet");
    assert_eq!(li.core.postings().unwrap().len(), 1);
    say(
        &mut station,
        membership(&li, EAST, "grid_worker", Some(UserId::from_bytes(*wang.book.as_bytes())), 1),
    );
    station.sync(&mut li);
    let postings = li.core.postings().unwrap();
    assert_eq!((postings[0].unit, postings[1].unit), (UNIT, EAST));
    assert_eq!(postings[1].acting_for.as_deref(), Some("Wang"));
    assert_eq!(
        (postings[1].roles.as_slice(), postings[1].until),
        ([Who::GridWorker].as_slice(), Some(UnixMillis(7)))
    );
    let home = li.core.begin("household", &address()).unwrap();
    let there = li.core.begin_in(GRID, "household", &address()).unwrap();
    assert_eq!((opened_in(&li, home), opened_in(&li, there)), (UNIT, GRID));
    beyond(&li, FAR);
    // A draft keeps its unit over a restart.
    let mut draft = li.core.draft_begin("household", None).unwrap();
    (draft.unit, draft.edit) = (Some(EAST), address());
    li.core.draft_save(&draft).unwrap();
    station.restart(&mut li);
    let drafted = li.core.draft_commit(draft.id).unwrap();
    assert_eq!(opened_in(&li, drafted), EAST);
    say(&mut station, unit(GRID, Some(EAST), true));
    station.sync(&mut li);
    assert!(beyond(&li, GRID).contains("closed"));
    say(&mut station, membership(&li, EAST, "grid_worker", None, 2));
    station.sync(&mut li);
    beyond(&li, EAST);
    assert_eq!(li.core.postings().unwrap().len(), 1);
}

#[test]
fn one_is_over_a_record_what_one_is_where_it_lies_or_where_it_is_granted_to() {
    let mut station = Station::new("members-roles");
    let mut li = station.phone("Li", &["chief"]);
    let mut wang = station.phone("Wang", &["officer"]);
    say(&mut station, unit(EAST, None, false));
    say(&mut station, unit(FAR, None, false));
    let home = UserEvent {
        user: UserId::from_bytes(*wang.book.as_bytes()),
        name: "Wang".into(),
        roles: vec!["officer".into()],
        unit: EAST,
        blocked: None,
        on_behalf: None,
    };
    say(&mut station, RegistryEvent::User(home));
    say(&mut station, membership(&li, EAST, "officer", None, 1));
    station.sync(&mut wang);
    let submitted = |wang: &Phone| {
        let household = wang.household("东街一号");
        let record = wang.core.begin("visit", &visit(household)).unwrap();
        wang.act(record, "finish").unwrap();
        wang.act(record, "submit").unwrap();
        record
    };
    let record = submitted(&wang);
    assert_eq!(opened_in(&wang, record), EAST);
    station.sync(&mut wang);
    station.sync(&mut li);
    let may = |li: &Phone| li.core.record(record).unwrap().acts_open.contains(&"approve".to_owned());
    assert!(!may(&li), "a chief at home is an officer there");
    assert!(matches!(li.act(record, "approve"), Err(CoreError::Forbidden { .. })));
    li.core.edit(record, &Edit::new().field("duration_min", 20), None).unwrap();
    // Granted to himself he has it as what he is at home; and to a unit, as what he is there.
    let grant = |user: Option<UserId>, unit: Option<UnitId>, ended: bool| {
        RegistryEvent::Grant(GrantEvent {
            record,
            user,
            unit,
            reason: "assigned".into(),
            ended: ended.then_some(true),
            on_behalf: None,
        })
    };
    let he = UserId::from_bytes(*li.book.as_bytes());
    for (user, unit) in [(Some(he), None), (None, Some(UNIT))] {
        say(&mut station, grant(user, unit, false));
        station.sync(&mut li);
        assert!(may(&li), "{user:?} {unit:?}");
        say(&mut station, grant(user, unit, true));
        station.sync(&mut li);
        assert!(!may(&li), "{user:?} {unit:?}");
    }
    say(&mut station, grant(None, Some(FAR), false));
    station.sync(&mut li);
    assert!(!may(&li), "what is granted elsewhere makes nobody more here");
    say(&mut station, membership(&li, EAST, "chief", None, 1));
    station.sync(&mut li);
    assert!(may(&li));
}
