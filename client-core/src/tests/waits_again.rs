//! What a restored station judges once more: accepted work whose base it refuses waits again, and is read when its base comes.

use beatbook_protocol::document::{Edit, FieldPath, Said};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Verdict;

use super::refusals::refused;
use super::{Phone, Station, outbox};
use crate::error::Fault;
use crate::query::RefusedWhat;
use crate::store::intake::FeedItem;

fn edit(address: &str) -> Edit {
    Edit::new().field("address", address)
}

/// A phone whose edit ("2") a colleague's ("3") rests on, all of it accepted; the record and the edit.
fn built_on(name: &str) -> (Phone, RecordId, Hash) {
    let mut station = Station::new(name);
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("1");
    station.sync(&mut li);
    li.core.edit(record, &edit("2"), None).unwrap();
    let lost = outbox(&li.core)[0].0;
    station.sync(&mut li);
    station.sync(&mut wang);
    wang.core.edit(record, &edit("3"), None).unwrap();
    station.sync(&mut wang);
    station.sync(&mut li);
    (li, record, lost)
}

/// The station, restored, says once more what it makes of an own edit.
fn judge_again(li: &Phone, lost: &Hash, verdict: &Verdict) {
    let settled = li.core.write(|records| {
        let sql = "UPDATE change SET status = 1, leaf = NULL, position = NULL WHERE entry = ?1";
        records.tx().execute(sql, [lost.as_bytes()]).map_err(Fault::from)?;
        records.settle_own(lost, 9, 0, verdict).map_err(Fault::from)
    });
    settled.unwrap();
}

#[test]
fn what_others_built_on_a_change_that_a_restored_station_refuses_waits_for_it() {
    let (li, record, lost) = built_on("restored");
    let address = || li.core.record(record).unwrap().facts.fields["address"].clone();
    assert_eq!(address(), Value::from("3"));
    judge_again(&li, &lost, &refused("constraint"));
    assert_eq!(address(), Value::from("1"));
    assert_eq!(li.core.record(record).unwrap().row.unreadable, None);
    judge_again(&li, &lost, &Verdict::Accepted);
    assert_eq!(address(), Value::from("3"));
}

#[test]
fn own_work_on_what_waits_again_is_shown_and_offered_with_its_values() {
    let (li, record, lost) = built_on("on-others");
    // On the colleague's edit, which rests on an own one that a restored station refuses now.
    li.core.edit(record, &edit("4"), None).unwrap();
    let on_top = outbox(&li.core).last().unwrap().0;
    judge_again(&li, &lost, &refused("constraint"));
    let refused = li.core.refused().unwrap();
    let said = |entry: Hash| {
        let found = refused.iter().find(|refused| refused.entry == entry).unwrap();
        found.what.clone()
    };
    let values = |address: &str| {
        let place = FieldPath::Field("address".into());
        RefusedWhat::Values(vec![(place, Said::Value(address.into()))])
    };
    assert_eq!((refused.len(), said(lost), said(on_top)), (2, values("2"), values("4")));
    assert_eq!(li.core.came_back().unwrap().len(), 2);
    let draft = li.core.offer_again(&on_top).unwrap();
    assert_eq!(li.core.draft_commit(draft).unwrap(), record);
    assert_eq!(li.core.record(record).unwrap().facts.fields["address"], Value::from("4"));
}

#[test]
fn own_work_that_a_restored_station_has_before_what_it_rests_on_is_read_when_that_comes() {
    let mut station = Station::new("before-its-base");
    let mut li = station.phone("Li", &["officer"]);
    let mut wang = station.phone("Wang", &["officer"]);
    let record = li.household("1");
    station.sync(&mut li);
    station.sync(&mut wang);
    wang.core.edit(record, &edit("2"), None).unwrap();
    station.sync(&mut wang);
    station.sync(&mut li);
    let (book, base, _) = station.ledger.last().cloned().unwrap();
    li.core.edit(record, &edit("3"), None).unwrap();
    let on_top = outbox(&li.core).last().unwrap().0;
    // The station would not have the colleague's edit from this phone; it has it from another one now, and with it what rests on it.
    li.core
        .write(|records| {
            let sql = "UPDATE change SET status = 6, leaf = NULL, position = NULL WHERE entry = ?1";
            let name = beatbook_protocol::entry::identity(&base);
            records.tx().execute(sql, [name.as_bytes()]).map_err(Fault::from)?;
            records.settle_own(&on_top, 9, 0, &Verdict::Accepted).map_err(Fault::from)?;
            let item = FeedItem {
                leaf: 8,
                position: 0,
                book,
                received: UnixMillis(1),
                bytes: &base,
                offered: false,
            };
            records.take_in(&item).map_err(Fault::from)
        })
        .unwrap();
    let view = li.core.record(record).unwrap();
    assert_eq!(view.facts.fields["address"], Value::from("3"));
    assert_eq!((view.row.unreadable, view.row.waiting), (None, 0));
}
