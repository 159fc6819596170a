//! The order of the day. Everything real: station process, HTTP, phones' files; only the phones' wall clock is moved by hand.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_client_core::query::Filter;
use beatbook_protocol::document::Edit;
use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::TrackView;

use super::table::DayTable;
use super::{DayError, DayPlan, chief, content, work};
use crate::phone::{DayClock, Phone};
use crate::seeded::Seeded;
use crate::station::{Chief, Places, StationProcess};

/// The people of the day: name and role.
const PEOPLE: [(&str, &str); 3] = [("王警官", "officer"), ("张网格员", "grid_worker"), ("刘警官", "officer")];
/// Households that are registered in the morning.
const HOUSEHOLDS: u64 = 8;
/// How long before now the day begins, milliseconds.
const DAY_MS: i64 = 11 * 3_600_000;

/// A day that is over: its figures, and the station that goes on.
#[derive(Debug)]
pub struct DayDone {
    /// The figures.
    pub table: DayTable,
    /// The station, still serving.
    pub station: StationProcess,
    /// The chief's token.
    pub token: String,
}

struct OnDuty {
    phone: Phone,
    user: UserId,
    seeded: Seeded,
}

/// Runs a day that ends `now`; says what it does to `progress`.
///
/// # Errors
/// When anything of it does not work, or does not show what it should.
pub async fn run(plan: &DayPlan, now: UnixMillis, progress: &(dyn Fn(String) + Sync)) -> Result<DayDone, DayError> {
    let places = Places::under(&plan.root);
    let token = StationProcess::init(&places)?;
    let station = StationProcess::serve(&places, "127.0.0.1:0")?;
    progress(format!("station at {}", station.url()));
    let desk = Chief::new(station.url(), &token)?;
    let mut table = DayTable::default();
    let mut staff = enrol(plan, &desk, station.url(), UnixMillis(now.0 - DAY_MS)).await?;
    table.phones = staff.len() as u64;
    progress(format!("{} phones enrolled", staff.len()));
    let households = morning(&mut staff).await?;
    progress(format!(
        "{} households registered and on every phone; the network goes away",
        households.len()
    ));
    for (number, duty) in staff.iter_mut().enumerate() {
        offline(plan, number, duty, &households, &mut table, progress)?;
        progress(format!("{}: {} visits, 2 incidents, patrols", duty.phone.name, plan.visits));
    }
    let shared = disagree(&staff, &households)?;
    evening(&mut staff, shared, &mut table).await?;
    progress(format!(
        "all phones are back; each shows {} conflict with both values and authors",
        table.conflicts
    ));
    table.settled = chief::settle_conflicts(&desk).await?;
    let reviewed = chief::review(&desk).await?;
    (table.approved, table.returned) = (reviewed.approved, reviewed.returned);
    progress(format!(
        "the chief settled {}, approved {}, returned {}",
        table.settled, table.approved, table.returned
    ));
    home(&mut staff).await?;
    compare(&staff, &desk, &mut table).await?;
    tracks(&staff, &mut table)?;
    Ok(DayDone { table, station, token })
}

async fn enrol(plan: &DayPlan, desk: &Chief, url: &str, began: UnixMillis) -> Result<Vec<OnDuty>, DayError> {
    let mut staff = Vec::new();
    for (number, (name, role)) in (0_u64..).zip(PEOPLE) {
        let (enrolment, invitation) = chief::invite(desk, name, role).await?;
        let clock = DayClock::standing_at(began);
        let mut phone = Phone::open(name, &plan.root.join(format!("phone-{}.db", number + 1)), url, &clock)?;
        let enrolled = phone.enrol_by(&invitation).await?;
        // Both look at their screens.
        if enrolled.check_digits != Some(chief::check_digits(desk, &enrolment).await?) {
            return Err(DayError::Wrong(format!("{name}: phone and station show different digits")));
        }
        phone.sync().await?;
        staff.push(OnDuty {
            phone,
            user: enrolled.user,
            seeded: Seeded::new(plan.seed ^ (number + 1)),
        });
    }
    Ok(staff)
}

/// The first phone registers the households while there is a network; all others get them.
async fn morning(staff: &mut [OnDuty]) -> Result<Vec<RecordId>, DayError> {
    let mut households = Vec::new();
    if let Some(first) = staff.first_mut() {
        for number in 0..HOUSEHOLDS {
            let edit = content::household(&mut first.seeded, 101 + number);
            households.push(first.phone.core.begin("household", &edit)?);
        }
    }
    for duty in staff.iter_mut() {
        duty.phone.sync().await?;
    }
    for duty in staff.iter() {
        let held = duty
            .phone
            .core
            .list(&Filter {
                kind: Some("household".into()),
                ..Filter::default()
            })?
            .rows
            .len();
        if held != households.len() {
            return Err(DayError::Wrong(format!(
                "{} holds {held} households of {}",
                duty.phone.name,
                households.len()
            )));
        }
    }
    Ok(households)
}

fn offline(
    plan: &DayPlan,
    number: usize,
    duty: &mut OnDuty,
    households: &[RecordId],
    table: &mut DayTable,
    progress: &dyn Fn(String),
) -> Result<(), DayError> {
    let OnDuty { phone, user, seeded } = duty;
    for visit in 0..plan.visits {
        let household = usize::try_from(visit).unwrap_or(0) % households.len().max(1);
        work::visit(phone, seeded, households[household])?;
    }
    for _ in 0..2 {
        work::incident(phone, seeded)?;
    }
    if plan.tracks.is_empty() {
        let fixes = work::walked(phone, seeded);
        work::patrol(phone, seeded, *user, &fixes, table)?;
    }
    for file in plan.tracks.iter().skip(number).step_by(PEOPLE.len()) {
        work::patrol(phone, seeded, *user, &work::from_gpx(file, progress)?, table)?;
    }
    Ok(())
}

/// Two phones say different things about one household.
fn disagree(staff: &[OnDuty], households: &[RecordId]) -> Result<RecordId, DayError> {
    let shared = *households.first().ok_or_else(|| DayError::Wrong("no household".into()))?;
    for (duty, used) in staff.iter().zip(["rented", "vacant"]) {
        duty.phone.core.edit(shared, &Edit::new().field("dwelling_use", used), None)?;
    }
    Ok(shared)
}

/// All come back: everything goes up, everything of the others comes down, and both phones show the conflict.
async fn evening(staff: &mut [OnDuty], shared: RecordId, table: &mut DayTable) -> Result<(), DayError> {
    for _ in 0..2 {
        for duty in staff.iter_mut() {
            duty.phone.sync().await?;
        }
    }
    for duty in staff.iter() {
        let conflicts = duty.phone.core.conflicts()?;
        let authors: BTreeSet<_> = conflicts
            .iter()
            .flat_map(|conflict| &conflict.claims)
            .map(|claim| claim.by.name.clone())
            .collect();
        if conflicts.len() != 1 || conflicts[0].record != shared || authors.len() != 2 {
            return Err(DayError::Wrong(format!("{} shows {conflicts:?}", duty.phone.name)));
        }
        table.conflicts = conflicts.len() as u64;
    }
    Ok(())
}

/// What the chief did reaches the phones: nothing conflicts any more, and the returned visit is back with its comment.
async fn home(staff: &mut [OnDuty]) -> Result<(), DayError> {
    let mut came_back = 0;
    for duty in staff.iter_mut() {
        duty.phone.sync().await?;
        if !duty.phone.core.conflicts()?.is_empty() {
            return Err(DayError::Wrong(format!(
                "{} still shows a conflict that the chief settled",
                duty.phone.name
            )));
        }
        came_back += duty.phone.core.came_back()?.len();
    }
    if came_back == 0 {
        return Err(DayError::Wrong("the returned visit did not come back".into()));
    }
    Ok(())
}

/// Every entry that a phone holds as accepted must be at the station, hash for hash.
async fn compare(staff: &[OnDuty], desk: &Chief, table: &mut DayTable) -> Result<(), DayError> {
    let holdings = chief::holdings(desk).await?;
    let mut on_phones: BTreeMap<RecordId, BTreeSet<String>> = BTreeMap::new();
    for duty in staff {
        for (record, entry) in duty.phone.core.accepted_entries()? {
            on_phones.entry(record).or_default().insert(entry.to_string());
        }
        let waiting = duty.phone.core.waiting()?.len() + duty.phone.core.refused()?.len();
        if waiting > 0 {
            return Err(DayError::Wrong(format!(
                "{} has {waiting} records that did not go through",
                duty.phone.name
            )));
        }
        let total = duty.phone.total;
        table.pages += total.pages;
        table.entries += total.entries;
        table.requests += total.requests;
        table.bytes_up += total.bytes_up;
        table.bytes_down += total.bytes_down;
    }
    for (record, entries) in &on_phones {
        let held: BTreeSet<String> = holdings.get(&record.to_string()).into_iter().flatten().cloned().collect();
        table.missing += entries.difference(&held).count() as u64;
    }
    table.records_on_phones = on_phones.len() as u64;
    table.records_on_server = holdings.len() as u64;
    let status = desk.get("/api/v1/status").await?;
    table.ledger_size = status["ledger"]["size"].as_u64().unwrap_or(0);
    table.ledger_root = status["ledger"]["root"].as_str().unwrap_or_default().to_owned();
    Ok(())
}

fn tracks(staff: &[OnDuty], table: &mut DayTable) -> Result<(), DayError> {
    for duty in staff {
        let mine = Filter {
            kind: Some("patrol".into()),
            mine: true,
            limit: Some(200),
            ..Filter::default()
        };
        for row in duty.phone.core.list(&mine)?.rows {
            let facts = duty.phone.core.record(row.record)?.facts;
            table.track_bytes += facts.track.values().map(|segment| segment.len() as u64).sum::<u64>();
            let view = TrackView::from_segments(&facts.track);
            table.fixes_kept += view.fixes_kept() as u64;
            table.gaps += view.gaps.len() as u64;
            table.distance_m += whole(view.distance_m);
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "metres of a patrol, never negative"
)]
fn whole(metres: f64) -> u64 {
    metres.round() as u64
}
