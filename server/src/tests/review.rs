//! What the chief sees and does.

use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::wire::Verdict;

use crate::error::ActError;
use crate::station::{ActOrder, QueueFilter, RecordFilter};
use crate::testing::World;

fn order(code: &str, version: &str, comment: Option<&str>) -> ActOrder {
    ActOrder {
        code: code.into(),
        comment: comment.map(str::to_owned),
        if_match: version.into(),
        ..ActOrder::default()
    }
}

#[test]
fn the_queue_holds_what_waits_and_lets_go_what_is_approved() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let (first, second) = (world.submitted_visit(&mut phone), world.submitted_visit(&mut phone));
    let filter = QueueFilter {
        limit: 1,
        ..QueueFilter::default()
    };
    let page = world.station.review_queue(&world.chief, &filter).unwrap();
    assert_eq!(page.rows[0].id, first);
    let rest = world
        .station
        .review_queue(
            &world.chief,
            &QueueFilter {
                after: page.next,
                ..filter
            },
        )
        .unwrap();
    assert_eq!((rest.rows[0].id, rest.next), (second, None));
    let records = [(first, world.version(first)), (second, "00".into())];
    let done = world.station.bulk_approve(&world.chief, &records, None);
    assert_eq!(done[0].1.as_ref().unwrap().state, "approved");
    assert!(matches!(done[1].1, Err(ActError::Moved { .. })));
    let left = world.station.review_queue(&world.chief, &QueueFilter::default()).unwrap();
    assert_eq!(left.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [second]);
}

#[test]
fn an_approval_of_facts_that_moved_is_refused_with_what_changed() {
    let world = World::new();
    let (mut phone, mut other) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let record = world.submitted_visit(&mut phone);
    let seen = world.version(record);
    world.send(&mut other, vec![]);
    let edit = other.write(record, None, Edit::new().field("duration_min", 7_i64));
    let remark = other.act(record, "comment", Some("补充时长"));
    world.verdicts(&mut other, vec![edit, remark]);
    match world.station.act(&world.chief, record, &order("approve", &seen, None)) {
        Err(ActError::Moved {
            changed,
            acts,
            version,
            shown,
        }) => {
            assert_eq!((changed.len(), shown.len()), (1, 0));
            assert_eq!(
                (changed[0].path.as_str(), changed[0].author.name.as_str()),
                ("fields/duration_min", "张网格")
            );
            assert_eq!(acts[0].comment.as_deref(), Some("补充时长"));
            assert_eq!(version, world.version(record));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.state(record), "submitted");
}

#[test]
fn a_return_needs_a_comment_and_reaches_the_phone_and_can_be_withdrawn() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    world.send(&mut phone, vec![]);
    let version = world.version(record);
    let bare = world.station.act(&world.chief, record, &order("return", &version, None));
    assert!(matches!(bare, Err(ActError::CommentRequired)));
    let done = world
        .station
        .act(&world.chief, record, &order("return", &version, Some("请补充")))
        .unwrap();
    assert_eq!(done.state, "returned");
    let reply = world.send(&mut phone, vec![]);
    assert_eq!(reply.feed.len(), 1);
    assert_eq!(crate::testing::id(&reply.feed[0].entries[0].entry), done.entry);
    let again = world
        .station
        .act(&world.chief, record, &order("approve", &done.version, None));
    assert!(matches!(again, Err(ActError::StateMet(state)) if state == "returned"));
    let withdrawn = world
        .station
        .act(&world.chief, record, &order("withdraw", &done.version, Some("误操作")))
        .unwrap();
    assert_eq!(withdrawn.state, "submitted");
    let page = world.station.record(&world.chief, record).unwrap().unwrap();
    let acts: Vec<(&str, &str)> = page
        .acts
        .iter()
        .map(|act| (act.code.as_str(), act.author.name.as_str()))
        .collect();
    assert_eq!(acts[2..], [("return", "王所长"), ("withdraw", "王所长")]);
}

#[test]
fn only_who_may_does_an_act_and_only_in_his_unit() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    let version = world.version(record);
    let officer = world
        .station
        .users()
        .unwrap()
        .into_iter()
        .find(|user| user.name == "李警官")
        .unwrap();
    assert!(matches!(
        world.station.act(&officer, record, &order("approve", &version, None)),
        Err(ActError::Forbidden)
    ));
    let mut stranger = world.chief.clone();
    stranger.unit = beatbook_protocol::id::UnitId::from_bytes([4; 16]);
    assert!(matches!(
        world.station.act(&stranger, record, &order("approve", &version, None)),
        Err(ActError::NotFound)
    ));
    assert!(world.station.record(&stranger, record).unwrap().is_none());
    assert!(
        world
            .station
            .records(&stranger, &RecordFilter::default())
            .unwrap()
            .rows
            .is_empty()
    );
    assert!(
        world
            .station
            .settle(&world.chief, record, "fields/outcome", &"done".into(), &version)
            .is_err()
    );
}

#[test]
fn search_finds_two_chinese_characters_and_the_start_of_an_english_word() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.submitted_visit(&mut phone);
    let edit = phone.write(record, None, Edit::new().note("notes", "楼道堆放杂物 needs clearing"));
    world.verdicts(&mut phone, vec![edit]);
    for (words, hits) in [("杂物", 1), ("clea", 1), ("杂 物", 1), ("物杂", 0), ("", 0), ("\"", 0)] {
        let found = world.station.search(&world.chief, words, 10).unwrap();
        assert_eq!(found.len(), hits, "{words}");
    }
    let snippet = world
        .station
        .search(&world.chief, "杂物", 10)
        .unwrap()
        .remove(0)
        .snippet
        .unwrap();
    assert!(snippet.contains("[杂物]"), "{snippet}");
}

#[test]
fn people_are_registered_by_those_who_may() {
    let world = World::new();
    let officer = world
        .station
        .add_user(Some(&world.chief), "李警官", &["officer".into()], world.unit)
        .unwrap();
    let session = world
        .station
        .users()
        .unwrap()
        .into_iter()
        .find(|user| user.user == officer)
        .unwrap();
    assert!(world.station.add_user(Some(&session), "x", &[], world.unit).is_err());
    assert!(world.station.enrolment_code(Some(&session), officer).is_err());
    assert!(world.station.add_user(None, "x", &["king".into()], world.unit).is_err());
    let token = world.station.issue_token(None, officer).unwrap();
    assert_eq!(world.station.session(&token), Some(session));
    assert_eq!(world.station.session("x"), None);
}

#[test]
fn what_is_ordered_is_judged_by_the_hour_of_the_order_and_not_of_the_last_act() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let record = world.record_id();
    phone.kinds.insert(record, "incident".into());
    let opening = phone.write(record, Some(world.unit), Edit::new().field("title", "楼道堆物"));
    let report = phone.act(record, "report", None);
    let verdicts = world.verdicts(&mut phone, vec![opening, report]);
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted]);
    let act = |order: ActOrder| world.station.act(&world.chief, record, &order);
    act(order("accept", &world.version(record), None)).unwrap();
    let accepted = world.env.clock.now();
    world.clock.pass(2 * 60 * 60 * 1000);
    let dispatch = |due: i64| ActOrder {
        values: [
            ("organ".to_owned(), "物业".into()),
            ("due_at".to_owned(), Value::from(accepted.0 + due)),
        ]
        .into(),
        ..order("dispatch", &world.version(record), None)
    };
    // An hour after the last act, and an hour ago.
    let Err(ActError::Findings(findings)) = act(dispatch(60 * 60 * 1000)) else {
        panic!("it lies in the past")
    };
    assert_eq!(findings[0].path, "values/due_at");
    act(dispatch(3 * 60 * 60 * 1000)).unwrap();
}
