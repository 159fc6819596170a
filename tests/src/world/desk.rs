//! What is done at the station's desk in a world: people and units move, records are assigned and shared, phones get their codes, a
//! backup takes the database's place. Judges nothing.

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_server::error::StationError;
use beatbook_server::station::{EnrolmentCode, GrantOrder, HeldChoice, MembershipOrder, RecordFilter, Station};

use super::device::copy_files;
use super::station::StationSide;
use super::trace::Trace;
use super::{Broken, broken};
use crate::seeded::Seeded;

impl StationSide {
    /// Somebody goes to another unit; sometimes a unit goes below another one.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn move_somebody(&mut self, draw: &mut Seeded, trace: &mut Trace, user: UserId) -> Result<(), Broken> {
        let (chief, units) = (self.chief().clone(), self.units.clone());
        let to = *draw.pick(&units).ok_or_else(|| broken("no unit"))?;
        if draw.below(6) == 0 {
            let unit = *draw
                .pick(units.get(1..).unwrap_or_default())
                .ok_or_else(|| broken("no unit"))?;
            let done = self.call(draw, trace, |station| station.move_unit(Some(&chief), unit, Some(to)));
            return tell(trace, &format!("desk: unit {unit} below {to}"), done);
        }
        let done = self.call(draw, trace, |station| station.move_user(Some(&chief), user, Some(to), None));
        tell(trace, &format!("desk: {user} to unit {to}"), done)
    }

    /// Some record is assigned to or shared with somebody or a unit, or that ends.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn grant(&mut self, draw: &mut Seeded, trace: &mut Trace, user: UserId) -> Result<(), Broken> {
        let (chief, units) = (self.chief().clone(), self.units.clone());
        let Some(record) = self.listed(draw)? else {
            return Ok(());
        };
        let unit: Option<UnitId> = (draw.below(3) == 0).then(|| draw.pick(&units).copied()).flatten();
        let order = GrantOrder {
            user: unit.is_none().then_some(user),
            unit,
            reason: (*draw.pick(&["assigned", "shared"]).unwrap_or(&"shared")).to_owned(),
            ended: draw.below(3) == 0,
        };
        let done = self.call(draw, trace, |station| station.grant(Some(&chief), record, &order));
        tell(trace, &format!("desk: {record} {order:?}"), done)
    }

    /// Somebody is to work in another unit for some hours, at once or later, or that ends before its time.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn lend(&mut self, draw: &mut Seeded, trace: &mut Trace, user: UserId) -> Result<(), Broken> {
        const HOUR_MS: i64 = 60 * 60 * 1000;
        let mut hours = |most: u64| i64::try_from(draw.below(most)).unwrap_or(0) * HOUR_MS;
        let (begins, lasts) = (hours(24), hours(72) + HOUR_MS);
        let now = self.environment().clock.now();
        let (chief, units) = (self.chief().clone(), self.units.clone());
        let unit = *draw.pick(&units).ok_or_else(|| broken("no unit"))?;
        // A department holds what is granted to it, and no private documents: the model's scope knows units and grants alone.
        let role = *draw
            .pick(&["officer", "grid_worker", "mediator", "chief"])
            .unwrap_or(&"officer");
        let order = MembershipOrder {
            user,
            unit,
            roles: vec![role.to_owned()],
            stands_in_for: None,
            from: (draw.below(2) == 0).then(|| now.plus(begins)),
            until: (draw.below(3) > 0).then(|| now.plus(begins + lasts)),
        };
        let is_end = draw.below(3) == 0;
        let done = self.call(draw, trace, |station| {
            if !is_end {
                return station.order_membership(Some(&chief), &order).map(drop);
            }
            let views = station.memberships(false)?;
            match views.iter().find(|view| view.user == user) {
                Some(view) => station.end_membership(Some(&chief), view.membership),
                None => Ok(()),
            }
        });
        let what = if is_end { "ends" } else { "begins" };
        tell(
            trace,
            &format!("desk: a membership of {user} in {unit} as {role} {what}"),
            done,
        )
    }

    /// Some record is destroyed by order, with what is merged with it, or its private document alone.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn destroy(&mut self, draw: &mut Seeded, trace: &mut Trace) -> Result<(), Broken> {
        let Some(record) = self.listed(draw)? else {
            return Ok(());
        };
        let private_only = draw.below(3) == 0;
        let done = self.call(draw, trace, |station| {
            station.destroy(None, record, private_only, None, Some("an order")).map(drop)
        });
        let what = if private_only { "the private document of " } else { "" };
        tell(trace, &format!("desk: destroys {what}{record}"), done)
    }

    /// The book of some phone of a person ends.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn end_book(&mut self, draw: &mut Seeded, trace: &mut Trace, user: UserId) -> Result<(), Broken> {
        let chief = self.chief().clone();
        let Some(station) = self.station() else { return Ok(()) };
        let phones = station
            .phones(&chief)
            .map_err(|fault| broken(format!("the chief cannot read: {fault}")))?;
        let his: Vec<_> = phones.into_iter().filter(|phone| phone.user == user).collect();
        let why = *draw
            .pick(&["lost", "retired", "transferred", "blocked"])
            .unwrap_or(&"retired");
        let Some(book) = draw.pick(&his).map(|phone| phone.book) else {
            return Ok(());
        };
        let done = self.call(draw, trace, |station| station.end_book(Some(&chief), book, why));
        tell(trace, &format!("desk: ends book {book}, {why}"), done)
    }

    /// The chief decides on an entry that came after its book had ended, or on all of a record.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn decide(&mut self, draw: &mut Seeded, trace: &mut Trace) -> Result<(), Broken> {
        let chief = self.chief().clone();
        let Some(station) = self.station() else { return Ok(()) };
        let held = station
            .quarantine(&chief, false, None, 64)
            .map_err(|fault| broken(format!("the chief cannot see what is held: {fault}")))?;
        let Some(record) = draw.pick(&held.records) else {
            return Ok(());
        };
        let open = record.entries.iter().filter(|line| line.state == "open");
        let mut entries: Vec<_> = open.map(|line| (line.page, line.position)).collect();
        if draw.below(3) == 0 {
            entries.truncate(1);
        }
        let choice = HeldChoice {
            pages: Vec::new(),
            entries,
            reason: "his own".to_owned(),
        };
        let refuses = draw.below(3) == 0;
        let done = self.call(draw, trace, |station| {
            let decided = if refuses {
                station.refuse_held(&chief, &choice)
            } else {
                station.admit_held(&chief, &choice)
            };
            decided.map(drop)
        });
        let what = if refuses { "refuses" } else { "admits" };
        tell(trace, &format!("chief: {what} what is held of {}", record.record), done)
    }

    /// Some record of those that the chief sees first.
    fn listed(&self, draw: &mut Seeded) -> Result<Option<RecordId>, Broken> {
        let Some(station) = self.station() else { return Ok(None) };
        let filter = RecordFilter {
            limit: 30,
            ..RecordFilter::default()
        };
        let rows = station
            .records(self.chief(), &filter)
            .map_err(|fault| broken(format!("the chief cannot read: {fault}")))?;
        Ok(draw.pick(&rows.rows).map(|row| row.id))
    }

    /// A code for a new phone of a person, or of a new person; also of one whom the station does not know any more.
    ///
    /// # Errors
    /// When the station has a fault.
    pub fn code(
        &mut self,
        draw: &mut Seeded,
        trace: &mut Trace,
        user: Option<UserId>,
    ) -> Result<Option<(UserId, String)>, Broken> {
        let chief = self.chief().clone();
        let name = format!("新人{}", draw.below(1000));
        let unit = *draw.pick(&self.units).unwrap_or(&chief.unit);
        let made = self.call(draw, trace, |station| {
            let is_known = |user: &UserId| Ok::<_, StationError>(station.users()?.iter().any(|known| known.user == *user));
            let user = match user {
                Some(user) if is_known(&user)? => user,
                _ => station.add_user(Some(&chief), &name, &["officer".to_owned()], unit)?,
            };
            let EnrolmentCode { code, .. } = station.enrolment_code(Some(&chief), user)?;
            Ok::<_, StationError>((user, code))
        });
        made.transpose()
            .map_err(|fault| broken(format!("no enrolment code: {fault}")))
    }

    /// Copies the database while it works.
    ///
    /// # Errors
    /// When it cannot.
    pub fn back_up(&mut self, draw: &mut Seeded, trace: &mut Trace) -> Result<(), Broken> {
        let to = self.dir.join(format!("backup-{}", self.backups.len()));
        match self.call(draw, trace, |station| station.backup(&to)) {
            Some(Ok(report)) => {
                trace.say(format_args!("station: backed up to {}", report.position.size));
                self.backups.push(report.file);
            }
            Some(Err(fault)) => return Err(broken(format!("no backup: {fault}"))),
            None => {}
        }
        Ok(())
    }

    /// Whether there is nothing to restore it from.
    #[must_use]
    pub fn has_no_backup(&self) -> bool {
        self.backups.is_empty()
    }

    /// Loses the database, and restores it from one of the backups. Says whether there was one.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restore(&mut self, draw: &mut Seeded, trace: &mut Trace) -> Result<bool, Broken> {
        let Some(backup) = draw.pick(&self.backups).cloned() else {
            return Ok(false);
        };
        let (now, next) = (self.life, self.life + 1);
        copy_files(&Self::keys(&self.dir, now), &Self::keys(&self.dir, next))?;
        self.begin_life()?;
        let (data, keys) = (Self::data(&self.dir, self.life), Self::keys(&self.dir, self.life));
        let restored = Station::restore(&backup, &data, &keys, &self.environment());
        let report = restored.map_err(|fault| broken(format!("no restore: {fault}")))?;
        trace.say(format_args!(
            "station: restored to {}, after {}",
            report.position.size, report.follows.size
        ));
        self.come_back()?;
        Ok(true)
    }
}

/// Tells what came of it; a restored station may know less than the desk remembers, and a unit does not go below itself.
fn tell(trace: &mut Trace, what: &str, done: Option<Result<(), StationError>>) -> Result<(), Broken> {
    match done {
        None => trace.say(format_args!("{what}: no answer")),
        Some(Ok(())) => trace.say(format_args!("{what}")),
        Some(Err(fault @ (StationError::NotFound(_) | StationError::Invalid(_)))) => trace.say(format_args!("{what}: {fault}")),
        Some(Err(fault)) => return Err(broken(format!("{what}: {fault}"))),
    }
    Ok(())
}
