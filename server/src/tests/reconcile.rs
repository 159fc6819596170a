//! That phones and station hold the same: digests over random work, and how what differs is found.

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::wire::Verdict;

use crate::station::{ActOrder, GrantOrder, MembershipOrder};
use crate::testing::{Phone, World, visit};

/// Numbers that a seed decides.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 += 1;
        let hash = Hash::of(&[b"test/seeded\0", &self.0.to_be_bytes()]);
        usize::from(u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])) % bound
    }
}

/// One thing that somebody does.
fn step(
    world: &World,
    seeded: &mut Seeded,
    phones: &mut [Phone],
    records: &mut Vec<RecordId>,
    units: &[beatbook_protocol::id::UnitId],
) {
    let who = seeded.below(phones.len());
    let phone = &mut phones[who];
    let known: Vec<RecordId> = phone.held.records.keys().copied().collect();
    let record = (!known.is_empty()).then(|| known[seeded.below(known.len())]);
    match (seeded.below(9), record) {
        (0 | 1, _) | (_, None) => {
            let record = world.record_id();
            let unit = units[seeded.below(units.len())];
            let entry = phone.write(record, Some(unit), visit());
            if world.verdicts(phone, vec![entry]) == [Verdict::Accepted] {
                records.push(record);
            }
        }
        (2 | 3, Some(record)) => {
            let minutes = i64::try_from(seeded.below(600)).unwrap();
            let entry = phone.write(record, None, Edit::new().field("duration_min", minutes).settling());
            world.verdicts(phone, vec![entry]);
        }
        (4, Some(record)) => {
            let code = ["finish", "submit", "comment"][seeded.below(3)];
            let entry = phone.act(record, code, Some("好"));
            world.verdicts(phone, vec![entry]);
        }
        (5, Some(record)) => {
            let order = ActOrder {
                code: "comment".into(),
                comment: Some("阅".into()),
                if_match: world.version(record),
                ..ActOrder::default()
            };
            world.station.act(&world.chief, record, &order).unwrap();
        }
        (6, Some(_)) => {
            let order = GrantOrder {
                user: Some(phone.enrolled.user),
                unit: None,
                reason: "shared".into(),
                ended: seeded.below(2) == 0,
            };
            let any = records[seeded.below(records.len())];
            let _ = world.station.grant(Some(&world.chief), any, &order);
        }
        (7, Some(_)) => {
            let order = MembershipOrder {
                user: phone.enrolled.user,
                unit: units[seeded.below(units.len())],
                roles: vec![["officer", "department", "chief"][seeded.below(3)].into()],
                stands_in_for: None,
                from: None,
                until: None,
            };
            let there = world.station.memberships(false).unwrap();
            match there.into_iter().find(|view| view.user == order.user) {
                Some(view) => world.station.end_membership(Some(&world.chief), view.membership).unwrap(),
                None => drop(world.station.order_membership(Some(&world.chief), &order).unwrap()),
            }
        }
        (_, Some(_)) => {
            let unit = units[seeded.below(units.len())];
            world
                .station
                .move_user(Some(&world.chief), phone.enrolled.user, Some(unit), None)
                .unwrap();
        }
    }
}

#[test]
fn digests_agree_after_random_work_and_say_nothing_then() {
    let world = World::new();
    let mut seeded = Seeded(7);
    let below = world.station.add_unit(Some(&world.chief), "东", Some(world.unit)).unwrap();
    let beside = world.station.add_unit(Some(&world.chief), "西", Some(world.unit)).unwrap();
    let units = [world.unit, below, beside];
    let mut phones: Vec<Phone> = [("李", "officer"), ("张", "grid_worker"), ("周", "department")]
        .into_iter()
        .map(|(name, role)| world.phone(name, role))
        .collect();
    let mut records = Vec::new();
    for round in 0..16 {
        for _ in 0..8 {
            step(&world, &mut seeded, &mut phones, &mut records, &units);
        }
        for phone in &mut phones {
            world.sync(phone, (round % 2 == 0).then_some(300));
            let reply = world.sync(phone, None);
            assert_eq!(reply.digest, None, "round {round}");
            assert!(reply.feed.is_empty() && reply.fill.is_none() && reply.checkpoint.is_none());
        }
    }
    assert!(records.len() > 10);
    let counters = world.station.status().unwrap().counters;
    assert_eq!(counters.get("digests_disagreeing"), None);
    let dump = world.station.dump().unwrap();
    world.station.rebuild().unwrap();
    assert_eq!(world.station.dump().unwrap(), dump);
}

#[test]
fn a_row_that_a_phone_lost_is_noticed_found_and_sent_again() {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    let records: Vec<RecordId> = (0..30).map(|_| world.submitted_visit(&mut one)).collect();
    world.sync(&mut two, None);
    assert_eq!(world.sync(&mut two, None).digest, None);
    // One record loses its newest entry, another is lost whole.
    let entries = two.held.records.get_mut(&records[4]).unwrap();
    let newest = *entries.iter().max_by_key(|(_, held)| held.place).unwrap().0;
    entries.remove(&newest);
    two.held.records.remove(&records[9]);
    let said = world.sync(&mut two, None).digest;
    assert_eq!(said, Some(one.digest()));
    assert_eq!(world.station.status().unwrap().counters["digests_disagreeing"], 1);
    let mut request = two.request(vec![]);
    request.buckets = Some(two.held.buckets(two.enrolled.user).to_bytes());
    request.feed_bytes_max = Some(40);
    let mut wanted = Vec::new();
    for _ in 0..3 {
        let buckets = world.ask(&mut two, &request).buckets.unwrap();
        assert!(buckets.len() <= 2, "only where they differ: {buckets:?}");
        for state in buckets.iter().flat_map(|bucket| &bucket.records) {
            if two.held.digest_of(two.enrolled.user, state.record) != Some(state.digest) && !wanted.contains(&state.record) {
                wanted.push(state.record);
            }
        }
        let mut ask = two.request(vec![]);
        ask.wanted = Some(wanted.clone());
        world.ask(&mut two, &ask);
        request.buckets = Some(two.held.buckets(two.enrolled.user).to_bytes());
    }
    wanted.sort_unstable();
    let mut lost = vec![records[4], records[9]];
    lost.sort_unstable();
    assert_eq!(wanted, lost);
    assert_eq!(world.ask(&mut two, &request).buckets, Some(vec![]));
    assert_eq!(world.sync(&mut two, None).digest, None);
    // What is not in his scope is not sent, however much it is wanted.
    let unit = world.station.add_unit(None, "远", None).unwrap();
    let far = world.station.add_user(None, "远", &["officer".into()], unit).unwrap();
    let mut far = world.phone_of(far);
    world.sync(&mut far, None);
    let mut ask = far.request(vec![]);
    ask.wanted = Some(records.clone());
    assert_eq!(world.ask(&mut far, &ask).fill, None);
    assert!(records.iter().all(|record| !far.heard_of(record.as_bytes())));
}

#[test]
fn a_phone_that_asks_for_no_feed_is_given_none_and_stays_where_it_is() {
    let world = World::new();
    let (mut one, mut two) = (world.phone("李警官", "officer"), world.phone("张网格", "grid_worker"));
    world.sync(&mut two, None);
    world.submitted_visit(&mut one);
    let before = two.cursor.clone();
    let mut request = two.request(vec![]);
    request.feed_bytes_max = Some(0);
    let reply = world.ask(&mut two, &request);
    assert!(reply.feed.is_empty() && reply.fill.is_none() && reply.digest.is_none());
    assert_eq!(two.cursor, before);
}
