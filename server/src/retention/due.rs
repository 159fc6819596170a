//! What is due: the dry run, and carrying it out, one thing a transaction. A thing is a record with all that is merged with it.

use std::collections::BTreeMap;

use beatbook_protocol::id::{RecordId, UnitId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::{DAY_MS, RetentionSettings, notes};
use crate::destruction::{self, Hand, Order, Why, carry_out, group_of};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::policy::{self, Permission};
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{KeptRecord, ReadTx};

/// How something that is due stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// It goes with the next destruction.
    Due,
    /// It is held.
    Held,
    /// It waits for the chief: nobody destroys what nobody has decided on.
    InReview,
}

/// A record whose time is over, or whose private document's is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DueView {
    /// The record.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// Its kind.
    pub kind: String,
    /// Its unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// Its state.
    pub state: String,
    /// `record`, or `private` when that document alone is due.
    pub document: String,
    /// The last news of it and of what belongs to it, by the station's clock.
    #[schema(value_type = i64)]
    pub last_at: UnixMillis,
    /// Since when it is due.
    #[schema(value_type = i64)]
    pub due_at: UnixMillis,
    /// The rule.
    pub rule: String,
    /// How it stands.
    pub stands: Stands,
    /// The ground of the hold.
    pub ground: Option<String>,
}

/// What is due, or what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RetentionReport {
    /// Whether it was carried out; else this is what would be.
    pub applied: bool,
    /// Records, or private documents, that go or went.
    pub due: u64,
    /// Those that are held.
    pub held: u64,
    /// Those that wait for the chief.
    pub in_review: u64,
    /// Entries that lost salt and bytes.
    pub entries: u64,
    /// Emergency notes that go or went: 90 days after they were read.
    pub notes: u64,
    /// Each record, or private document.
    pub rows: Vec<DueView>,
}

/// One thing that is due.
struct Thing {
    rows: Vec<DueView>,
    private_only: bool,
}

/// The records that are one thing, and its last news.
struct Group<'r> {
    members: Vec<&'r KeptRecord>,
    last: UnixMillis,
}

impl Station {
    /// What is due now in the person's units, without touching it. `by` is none for the operator at the machine itself.
    ///
    /// # Errors
    /// When `by` may not see it, or those of the store.
    pub fn retention(&self, by: Option<&Session>) -> Result<RetentionReport, StationError> {
        policy::require(by, Permission::SeeKeeping)?;
        let now = self.env.clock.now();
        let (rows, notes) = self.store.read(|tx| {
            let his = by.map(|by| Scope::of(tx, by)).transpose()?;
            let his = his.map(|scope| scope.units_where(Permission::SeeKeeping));
            let notes = notes::due(tx, his.as_ref(), now)?;
            let rows = things(tx, &self.kinds, &self.retention, now)?
                .into_iter()
                .flat_map(|thing| thing.rows);
            let rows = rows.filter(|row| his.as_ref().is_none_or(|units| units.contains(&row.unit)));
            Ok::<_, StationError>((rows.collect(), notes))
        })?;
        Ok(report(rows, false, (0, notes)))
    }

    /// How many records, or private documents, are due and not held.
    pub(crate) fn due_count(&self) -> Result<u64, StationError> {
        Ok(self.retention(None)?.due)
    }

    /// Destroys what is due and neither held nor waiting for the chief. `by` is none for the operator and for the server's own clock.
    ///
    /// # Errors
    /// When `by` may not order it, or those of the store; what was destroyed before stays so.
    pub fn apply_retention(&self, by: Option<&Session>) -> Result<RetentionReport, StationError> {
        policy::require(by, Permission::Keep)?;
        let now = self.env.clock.now();
        let things = self.store.read(|tx| things(tx, &self.kinds, &self.retention, now))?;
        let (mut rows, mut entries, mut went) = (Vec::new(), 0, false);
        for thing in things {
            if thing.rows.iter().any(|row| row.stands != Stands::Due) {
                rows.extend(thing.rows);
                continue;
            }
            if let Some(count) = self.apply(by, &thing)? {
                went = true;
                entries += count;
                rows.extend(thing.rows);
            }
        }
        let notes = self.store.write(|tx| notes::apply(tx, &self.env, by, now))?;
        if went || notes > 0 {
            destruction::settle(self)?;
        }
        let report = report(rows, true, (entries, notes));
        if report.due > 0 || notes > 0 {
            tracing::info!(
                due = report.due,
                entries,
                notes,
                held = report.held,
                "what was due by its retention was destroyed"
            );
        }
        Ok(report)
    }

    /// Destroys one thing; none when it is not due any more.
    fn apply(&self, by: Option<&Session>, thing: &Thing) -> Result<Option<u64>, StationError> {
        let hand = Hand {
            keys: &self.keys,
            kinds: &self.kinds,
            env: &self.env,
        };
        self.store.write(|tx| {
            for row in &thing.rows {
                if has_moved(tx, row)? {
                    return Ok(None);
                }
            }
            let orders: Vec<Order> = thing
                .rows
                .iter()
                .map(|row| Order {
                    record: row.record,
                    private_only: thing.private_only,
                    why: Why::Retention.code().into(),
                    rule: row.rule.clone(),
                    by: by.map(|by| by.user),
                })
                .collect();
            carry_out(hand, tx, &orders).map(Some)
        })
    }
}

/// Whether there was news of a thing since it was looked at: of a record, or of any that is one with it by now; of one about it; a hold.
fn has_moved(tx: &ReadTx<'_>, row: &DueView) -> Result<bool, StationError> {
    for member in group_of(tx, row.record)? {
        let Some(state) = tx.record(member)? else {
            return Ok(true);
        };
        if state.received > row.last_at
            || tx.hold(member)?.is_some()
            || tx.newest_about(member)?.is_some_and(|newest| newest > row.last_at)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn report(rows: Vec<DueView>, applied: bool, (entries, notes): (u64, u64)) -> RetentionReport {
    let count = |stands| rows.iter().filter(|row| row.stands == stands).count() as u64;
    RetentionReport {
        applied,
        due: count(Stands::Due),
        held: count(Stands::Held),
        in_review: count(Stands::InReview),
        entries,
        notes,
        rows,
    }
}

/// Everything that is due, the oldest records first.
fn things(tx: &ReadTx<'_>, kinds: &Kinds, settings: &RetentionSettings, now: UnixMillis) -> Result<Vec<Thing>, StationError> {
    let Some(least) = kinds.days_least() else {
        return Ok(Vec::new());
    };
    if !tx.any_older(now.plus(-i64::from(least) * DAY_MS))? {
        return Ok(Vec::new());
    }
    let rows = tx.kept_records()?;
    let root_of: BTreeMap<RecordId, RecordId> = rows.iter().map(|row| (row.record, row.root.unwrap_or(row.record))).collect();
    let mut groups: BTreeMap<RecordId, Group<'_>> = BTreeMap::new();
    for row in &rows {
        let root = row.root.unwrap_or(row.record);
        let group = groups.entry(root).or_insert(Group {
            members: Vec::new(),
            last: row.last,
        });
        group.members.push(row);
        group.last = group.last.max(row.last);
    }
    for row in &rows {
        let about = row.about.and_then(|about| root_of.get(&about));
        if let Some(group) = about.and_then(|root| groups.get_mut(root)) {
            group.last = group.last.max(row.last);
        }
    }
    let mut found = Vec::new();
    for (root, group) in groups {
        let thing = thing(kinds, settings, &group, now)?;
        if let Some(thing) = thing {
            debug_assert_eq!(
                group_of(tx, root)?.len(),
                group.members.len(),
                "merges and their groups agree"
            );
            found.push(thing);
        }
    }
    Ok(found)
}

fn thing(kinds: &Kinds, settings: &RetentionSettings, group: &Group<'_>, now: UnixMillis) -> Result<Option<Thing>, StationError> {
    let (mut days, mut rule) = (0, String::new());
    for member in &group.members {
        let (code, version) = &member.kind;
        let own = kinds.get(code, *version)?.retention.days;
        let longer = settings.longer.get(code).filter(|longer| longer.days > own);
        let (counts, text) = match longer {
            Some(longer) => (
                longer.days,
                format!(
                    "{code} {version}: {own} days after the last news, here {}: {}",
                    longer.days,
                    longer.ground.trim()
                ),
            ),
            None => (own, format!("{code} {version}: {own} days after the last news")),
        };
        if counts > days {
            (days, rule) = (counts, text);
        }
    }
    let due_at = |days: u32| group.last.plus(i64::from(days) * DAY_MS);
    if due_at(days) <= now {
        let rows = group
            .members
            .iter()
            .map(|member| view(group, member, false, due_at(days), &rule));
        return Ok(Some(Thing {
            rows: rows.collect(),
            private_only: false,
        }));
    }
    let mut rows = Vec::new();
    for member in group.members.iter().filter(|member| member.has_private) {
        let (code, version) = &member.kind;
        let days = kinds.get(code, *version)?.retention.private_days;
        if let Some(days) = days.filter(|days| due_at(*days) <= now) {
            let rule = format!("{code} {version}: its private document {days} days after the last news");
            rows.push(view(group, member, true, due_at(days), &rule));
        }
    }
    Ok((!rows.is_empty()).then_some(Thing {
        rows,
        private_only: true,
    }))
}

fn view(group: &Group<'_>, member: &KeptRecord, private: bool, due_at: UnixMillis, rule: &str) -> DueView {
    let ground = group.members.iter().find_map(|member| member.held.clone());
    let stands = match &ground {
        Some(_) => Stands::Held,
        None if group.members.iter().any(|member| member.review) => Stands::InReview,
        None => Stands::Due,
    };
    DueView {
        record: member.record,
        kind: member.kind.0.clone(),
        unit: member.unit,
        state: member.state.clone(),
        document: if private { "private" } else { "record" }.to_owned(),
        last_at: group.last,
        due_at,
        rule: rule.to_owned(),
        stands,
        ground,
    }
}

#[cfg(test)]
mod tests {
    use beatbook_protocol::document::Edit;
    use beatbook_protocol::kind::duplicate::{MERGE_INTO, TARGET};
    use beatbook_protocol::wire::Verdict;

    use super::*;
    use crate::station::ActOrder;
    use crate::testing::{Phone, World};

    fn household(world: &World, phone: &mut Phone) -> RecordId {
        let record = world.record_id();
        phone.kinds.insert(record, "household".into());
        let entry = phone.write(record, Some(world.unit), Edit::new().field("address", "清华东路1号"));
        assert_eq!(world.verdicts(phone, vec![entry]), [Verdict::Accepted]);
        record
    }

    #[test]
    fn what_was_merged_with_a_record_since_it_was_looked_at_keeps_it() {
        let world = World::new();
        let mut phone = world.phone("李警官", "officer");
        let over = household(&world, &mut phone);
        world.clock.pass(1825 * DAY_MS);
        let now = world.env.clock.now();
        let look = |tx: &ReadTx<'_>| things(tx, &world.station.kinds, &world.station.retention, now);
        let found = world.station.store.read(look).unwrap();
        assert_eq!(found.iter().map(|thing| thing.rows[0].record).collect::<Vec<_>>(), [over]);
        phone.sign_in(&world.station).unwrap();
        let news = household(&world, &mut phone);
        let order = ActOrder {
            code: MERGE_INTO.into(),
            comment: Some("同一户".into()),
            values: [(TARGET.to_owned(), over.to_string().as_str().into())].into(),
            if_match: world.version(news),
        };
        world.station.act(&world.chief, news, &order).unwrap();
        assert_eq!(world.station.apply(None, &found[0]).unwrap(), None);
        assert!(world.station.record(&world.chief, over).unwrap().is_some());
    }
}
