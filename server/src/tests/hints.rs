//! Whom a hint reaches: everybody whose phone the feed brings a record to, by unit or by grant, and nobody else.

use std::future::ready;

use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::wire::Verdict;

use crate::news::{Heard, Hearing};
use crate::station::GrantOrder;
use crate::testing::{Phone, World, visit};

/// Listens as a phone does with its token.
fn listening(world: &World, phone: &Phone) -> Hearing {
    let (book, reach) = world.station.hint_scope(&phone.enrolled.token).unwrap();
    world.station.store.news.listen(book, reach).unwrap()
}

/// What came since it was asked last, without waiting for more.
fn heard(hearing: &mut Hearing) -> Vec<Heard> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut all = Vec::new();
        loop {
            tokio::select! {
                biased;
                word = hearing.next() => all.extend(word),
                () = ready(()) => break all,
            }
        }
    })
}

fn hears(hearing: &mut Hearing) -> bool {
    let all = heard(hearing);
    assert!(all.iter().all(|word| *word == Heard::Records), "{all:?}");
    !all.is_empty()
}

/// A phone of a new person of a role in a unit.
fn phone_in(world: &World, unit: UnitId, role: &str) -> Phone {
    let user = world.station.add_user(None, "张", &[role.into()], unit).unwrap();
    world.phone_of(user)
}

fn order(user: Option<UserId>, unit: Option<UnitId>, ended: bool) -> GrantOrder {
    GrantOrder {
        user,
        unit,
        reason: "assigned".into(),
        ended,
    }
}

/// A change of a record by its author.
fn edit(world: &World, author: &mut Phone, record: RecordId, outcome: &str) {
    let change = author.write(record, None, Edit::new().field("outcome", outcome));
    assert_eq!(world.verdicts(author, vec![change]), [Verdict::Accepted]);
}

fn opened(world: &World, author: &mut Phone, unit: UnitId) -> RecordId {
    let record = world.record_id();
    let opening = author.write(record, Some(unit), visit());
    assert_eq!(world.verdicts(author, vec![opening]), [Verdict::Accepted]);
    record
}

#[test]
fn who_is_given_a_record_of_another_unit_is_hinted_when_he_gets_it_and_when_it_changes() {
    let world = World::new();
    let [east, west] = ["东", "西"].map(|name| world.station.add_unit(None, name, Some(world.unit)).unwrap());
    let mut author = phone_in(&world, east, "officer");
    let colleague = phone_in(&world, east, "officer");
    let [holder, other] = [(); 2].map(|()| phone_in(&world, west, "officer"));
    let [mut of_colleague, mut of_holder, mut of_other] = [&colleague, &holder, &other].map(|phone| listening(&world, phone));
    let record = opened(&world, &mut author, east);
    assert!(hears(&mut of_colleague) && !hears(&mut of_holder), "by unit alone so far");

    let user = Some(holder.enrolled.user);
    world.station.grant(None, record, &order(user, None, false)).unwrap();
    assert!(hears(&mut of_holder), "it is granted");
    edit(&world, &mut author, record, "no_answer");
    assert!(hears(&mut of_holder), "it changed");
    opened(&world, &mut author, east);
    assert!(!hears(&mut of_holder), "another one of that unit is nothing to him");
    world.station.grant(None, record, &order(user, None, true)).unwrap();
    assert!(hears(&mut of_holder), "it left him");
    edit(&world, &mut author, record, "refused");
    assert!(!hears(&mut of_holder), "it is not his any more");
    assert!(!hears(&mut of_other), "nothing of all that was for his colleague");
    assert!(hears(&mut of_colleague));
}

#[test]
fn a_department_is_hinted_of_what_it_was_given_and_of_nothing_else() {
    let world = World::new();
    let office = world.station.add_unit(None, "城管", None).unwrap();
    let mut author = world.phone("李警官", "officer");
    // One where the record lies, one of another office.
    let [near, far] = [world.unit, office].map(|unit| phone_in(&world, unit, "department"));
    let (mut of_near, mut of_far) = (listening(&world, &near), listening(&world, &far));
    let record = opened(&world, &mut author, world.unit);
    assert!(
        !hears(&mut of_near) && !hears(&mut of_far),
        "a department holds nothing by unit"
    );

    let user = Some(near.enrolled.user);
    for (user, unit) in [(user, None), (None, Some(office))] {
        world.station.grant(None, record, &order(user, unit, false)).unwrap();
    }
    assert!(hears(&mut of_near) && hears(&mut of_far));
    edit(&world, &mut author, record, "no_answer");
    assert!(hears(&mut of_near) && hears(&mut of_far));
    opened(&world, &mut author, world.unit);
    assert!(!hears(&mut of_near) && !hears(&mut of_far));
}
