//! Two records of one thing: suggested, merged by a person, links following, and taken back without a trace but the acts.

use beatbook_protocol::document::Edit;
use beatbook_protocol::entry::{ActEntry, Entry};
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::duplicate::{MERGE_INTO, NOT_DUPLICATE, OTHER, TARGET, UNMERGE};
use beatbook_protocol::wire::Verdict;

use super::moves::two_units;
use crate::error::ActError;
use crate::station::{ActDone, ActOrder, GrantOrder, RecordFilter};
use crate::testing::{Phone, World, code, visit};

pub(super) fn household(world: &World, phone: &mut Phone, address: &str) -> RecordId {
    let record = world.record_id();
    phone.kinds.insert(record, "household".into());
    let opening = phone.write(record, Some(world.unit), Edit::new().field("address", address));
    assert_eq!(world.verdicts(phone, vec![opening]), [Verdict::Accepted]);
    record
}

fn visit_of(world: &World, phone: &mut Phone, household: RecordId) -> RecordId {
    let record = world.record_id();
    let opening = phone.write(
        record,
        Some(world.unit),
        visit().field("household", household.to_string().as_str()),
    );
    assert_eq!(world.verdicts(phone, vec![opening]), [Verdict::Accepted]);
    record
}

fn order(world: &World, record: RecordId, act: &str, named: Option<(&str, RecordId)>) -> Result<ActDone, ActError> {
    let order = ActOrder {
        code: act.into(),
        comment: Some("核对过门牌".into()),
        values: named
            .map(|(name, record)| (name.to_owned(), record.to_string().as_str().into()))
            .into_iter()
            .collect(),
        if_match: world.version(record),
    };
    world.station.act(&world.chief, record, &order)
}

pub(super) fn merge(world: &World, record: RecordId, into: RecordId) -> Result<ActDone, ActError> {
    order(world, record, MERGE_INTO, Some((TARGET, into)))
}

/// The finding's code of an act that was hindered.
fn hindered(outcome: Result<ActDone, ActError>) -> String {
    match outcome {
        Err(ActError::Findings(findings)) => findings[0].code.replace("rule:", ""),
        other => panic!("{other:?}"),
    }
}

/// A phone's act with a value.
pub(super) fn act_with(phone: &mut Phone, record: RecordId, code: &str, name: &str, value: RecordId) -> Vec<u8> {
    let Ok(Entry::Act(mut act)) = Entry::parse(&phone.act(record, code, None)) else {
        panic!("an act is an act");
    };
    act.values = Some(vec![(name.into(), value.to_string().as_str().into())]);
    Entry::Act(act).to_bytes()
}

/// Into which record the station shows this one as merged.
pub(super) fn merged_into(world: &World, record: RecordId) -> Option<RecordId> {
    let page = world.station.record(&world.chief, record).expect("the station reads");
    page.and_then(|page| page.header.merged_into)
}

fn pairs(world: &World) -> Vec<[RecordId; 2]> {
    let pairs = world.station.duplicates(&world.chief).unwrap();
    pairs.iter().map(|pair| [pair.older.id, pair.newer.id]).collect()
}

fn about(world: &World, household: RecordId) -> Vec<RecordId> {
    let filter = RecordFilter {
        about: Some(household),
        limit: 50,
        ..RecordFilter::default()
    };
    let mut rows: Vec<_> = world.station.records(&world.chief, &filter).unwrap().rows;
    rows.sort_by_key(|row| row.id);
    rows.iter().map(|row| row.id).collect()
}

fn sorted<const N: usize>(mut records: [RecordId; N]) -> [RecordId; N] {
    records.sort_unstable();
    records
}

/// The dump without what acts, pages and the ledger's places are of; digests hold the last act.
fn lasting(world: &World) -> Vec<String> {
    let passing = ["last_at", "state_since", "last_act", "received", "leaf", "version"];
    let dump = world.station.dump().unwrap();
    let lines = dump.lines().filter(|line| {
        let passing = [
            "page|",
            "book_tip|",
            "act|",
            "record_state|",
            "record_version|",
            "record_digest|",
            "digest_sum|",
        ];
        !passing.iter().any(|table| line.starts_with(table))
    });
    lines
        .map(|line| {
            let columns = line.split('|').filter(|column| {
                let name = column.split('=').next().unwrap_or_default();
                !(line.starts_with("record|") && passing.contains(&name))
            });
            columns.collect::<Vec<_>>().join("|")
        })
        .collect()
}

#[test]
fn one_household_registered_twice_is_suggested_and_merged_and_its_visits_follow() {
    let world = World::new();
    let (mut one, mut other) = (world.phone("李警官", "officer"), world.phone("张警官", "officer"));
    let a = household(&world, &mut one, "朝阳路 3 号院 2－501");
    let b = household(&world, &mut other, "朝阳路3号院2-501");
    let unlike = household(&world, &mut other, "朝阳路3号院2-502");
    let (of_a, of_b) = (visit_of(&world, &mut one, a), visit_of(&world, &mut other, b));
    assert_eq!(pairs(&world), [sorted([a, b])]);
    let page = world.station.record(&world.chief, b).unwrap().unwrap();
    assert_eq!(page.duplicates.iter().map(|row| row.id).collect::<Vec<_>>(), [a]);
    assert!(
        world
            .station
            .record(&world.chief, unlike)
            .unwrap()
            .unwrap()
            .duplicates
            .is_empty()
    );

    merge(&world, b, a).unwrap();
    assert_eq!(pairs(&world), Vec::<[RecordId; 2]>::new());
    let merged = world.station.record(&world.chief, b).unwrap().unwrap();
    assert_eq!((merged.header.merged_into, merged.header.state.as_str()), (Some(a), "merged"));
    assert_eq!(
        merged.official.fields["address"],
        "朝阳路3号院2-501".into(),
        "nothing of it is changed"
    );
    let stays = world.station.record(&world.chief, a).unwrap().unwrap();
    assert_eq!(stays.merged_here.iter().map(|row| row.id).collect::<Vec<_>>(), [b]);
    assert_eq!(about(&world, a), sorted([of_a, of_b]));
    let followed = world
        .station
        .record(&world.chief, of_b)
        .unwrap()
        .unwrap()
        .header
        .about
        .unwrap();
    assert_eq!((followed.id, followed.title), (a, Some(stays.header.title)));
    let before = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), before);
}

#[test]
fn what_a_merge_did_is_gone_when_it_is_taken_back() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let [a, b, c] = ["甲", "甲", "丙"].map(|address| household(&world, &mut phone, address));
    for home in [a, b, c] {
        visit_of(&world, &mut phone, home);
    }
    let before = lasting(&world);
    assert!(before.iter().any(|line| line.starts_with("duplicate_key|")) && before.iter().any(|line| line.starts_with("about|")));
    merge(&world, b, a).unwrap();
    merge(&world, a, c).unwrap();
    assert_ne!(lasting(&world), before);
    // Taken back in the order in which nobody would do it.
    order(&world, b, UNMERGE, None).unwrap();
    order(&world, a, UNMERGE, None).unwrap();
    assert_eq!(lasting(&world), before);
    assert_eq!(pairs(&world), [sorted([a, b])], "and the pair is there again");
}

#[test]
fn merges_make_chains_and_never_a_loop() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let [a, b, c] = ["甲", "乙", "丙"].map(|address| household(&world, &mut phone, address));
    let visits = [a, b, c].map(|home| visit_of(&world, &mut phone, home));
    assert_eq!(hindered(merge(&world, a, a)), "another_record");
    assert_eq!(hindered(merge(&world, a, visits[0])), "other_kind");
    assert_eq!(hindered(merge(&world, a, world.record_id())), "unknown_record");
    merge(&world, b, a).unwrap();
    assert_eq!(hindered(merge(&world, a, b)), "merge_loop");
    merge(&world, a, c).unwrap();
    assert_eq!(hindered(merge(&world, c, b)), "merge_loop", "also through others");
    let ends = |record| merged_into(&world, record);
    assert_eq!([a, b, c].map(ends), [Some(c), Some(c), None]);
    assert_eq!(about(&world, c), sorted(visits));
    // The middle stands for itself again, and for what was merged into it.
    order(&world, a, UNMERGE, None).unwrap();
    assert_eq!([a, b, c].map(ends), [None, Some(a), None]);
    assert_eq!(about(&world, a), sorted([visits[0], visits[1]]));
}

#[test]
fn a_pair_that_was_said_to_be_two_is_not_suggested_again() {
    let world = World::new();
    let mut phone = world.phone("李警官", "officer");
    let [a, b, c] = ["甲", "甲", "甲"].map(|address| household(&world, &mut phone, address));
    assert_eq!(pairs(&world).len(), 3);
    order(&world, b, NOT_DUPLICATE, Some((OTHER, a))).unwrap();
    let left: Vec<_> = pairs(&world).into_iter().map(sorted).collect();
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&sorted([a, b])) && left.iter().all(|pair| pair.contains(&c)));
    let edit = phone.write(b, None, Edit::new().field("structure", "simple"));
    assert_eq!(world.verdicts(&mut phone, vec![edit]), [Verdict::Accepted]);
    assert_eq!(
        pairs(&world).len(),
        2,
        "an edit that leaves the address does not bring it back"
    );
    world.station.rebuild().unwrap();
    assert_eq!(pairs(&world).len(), 2);
}

#[test]
fn a_phone_may_merge_as_its_kind_says_and_cannot_make_a_loop_on_one_page() {
    let world = World::new();
    let (mut officer, mut helper) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let mut both = ["甲", "乙"].map(|address| household(&world, &mut officer, address));
    // What one page says of two records is judged in the order of their ids.
    both.sort_unstable();
    let [a, b] = both;
    world.send(&mut helper, vec![]);
    let not_his = act_with(&mut helper, a, MERGE_INTO, TARGET, b);
    assert_eq!(code(&world.verdicts(&mut helper, vec![not_his])[0]), "forbidden");
    let nothing = officer.act(a, MERGE_INTO, None);
    let there = act_with(&mut officer, a, MERGE_INTO, TARGET, b);
    let back = act_with(&mut officer, b, MERGE_INTO, TARGET, a);
    let verdicts = world.verdicts(&mut officer, vec![nothing, there, back]);
    assert_eq!(code(&verdicts[0]), "merge_target");
    assert_eq!(verdicts[1], Verdict::Accepted);
    assert_eq!(code(&verdicts[2]), "merge_loop");
    let back_again = act_with(&mut officer, b, MERGE_INTO, TARGET, a);
    assert_eq!(
        code(&world.verdicts(&mut officer, vec![back_again])[0]),
        "merge_loop",
        "nor on two"
    );
    assert_eq!(
        world.station.record(&world.chief, a).unwrap().unwrap().header.merged_into,
        Some(b)
    );
}

#[test]
fn a_phone_may_merge_into_a_record_that_is_granted_to_its_officer() {
    let (world, units, [mut east, mut west]) = two_units();
    let home = |phone: &mut Phone, unit| {
        let record = world.record_id();
        phone.kinds.insert(record, "household".into());
        let opening = phone.write(record, Some(unit), Edit::new().field("address", "甲"));
        assert_eq!(world.verdicts(phone, vec![opening]), [Verdict::Accepted]);
        record
    };
    let (his, other) = (home(&mut east, units[0]), home(&mut west, units[1]));
    let act = act_with(&mut east, his, MERGE_INTO, TARGET, other);
    assert_eq!(
        code(&world.verdicts(&mut east, vec![act])[0]),
        "merge_target",
        "he does not know it"
    );
    let shared = GrantOrder {
        user: Some(east.enrolled.user),
        unit: None,
        reason: "shared".into(),
        ended: false,
    };
    world.station.grant(Some(&world.chief), other, &shared).unwrap();
    let act = act_with(&mut east, his, MERGE_INTO, TARGET, other);
    assert_eq!(world.verdicts(&mut east, vec![act]), [Verdict::Accepted]);
    assert_eq!(merged_into(&world, his), Some(other));
}

#[test]
fn an_act_takes_the_values_of_its_kind_and_has_seen_the_record() {
    let world = World::new();
    let mut officer = world.phone("李警官", "officer");
    let [a, b] = ["甲", "乙"].map(|address| household(&world, &mut officer, address));
    let strange = act_with(&mut officer, a, MERGE_INTO, "tagret", b);
    assert_eq!(code(&world.verdicts(&mut officer, vec![strange])[0]), "unknown_field");
    let with = |officer: &mut Phone, change: &dyn Fn(&mut ActEntry)| {
        let Ok(Entry::Act(mut act)) = Entry::parse(&act_with(officer, a, MERGE_INTO, TARGET, b)) else {
            panic!("an act is an act");
        };
        change(&mut act);
        let entry = Entry::Act(act).to_bytes();
        world.verdicts(officer, vec![entry]).remove(0)
    };
    let shouted = b.to_string().to_uppercase();
    let verdict = with(&mut officer, &|act| {
        act.values = Some(vec![(TARGET.into(), shouted.as_str().into())])
    });
    assert_eq!(code(&verdict), "wrong_type");
    let verdict = with(&mut officer, &|act| act.heads.clear());
    assert_eq!(code(&verdict), "malformed");
    assert_eq!(with(&mut officer, &|_| {}), Verdict::Accepted);
}
