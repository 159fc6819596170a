//! The glass before a record: what somebody sees of it, and how he breaks it, for a reason that his unit's auditor reads. Outside his scope
//! there is no glass, and nothing to see.

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::queue;
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::kinds::Kinds;
use crate::policy::{self, Permission, Reason, Sight};
use crate::projection::record::RecordState;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{GlassRow, ReadTx};

/// How long broken glass lets somebody see: three hours, a visit to the desk with the file in hand.
const GLASS_MS: i64 = 3 * 60 * 60 * 1000;
/// Glass shown in one answer.
pub(crate) const GLASS_ROWS_MAX: u32 = 500;

/// Glass that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GlassView {
    /// The line of the audit log that says so.
    pub line: u64,
    /// Before which record.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// Its unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// Who broke it.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub user_name: String,
    /// Why.
    pub reason: String,
    /// From when, by the station's clock.
    #[schema(value_type = i64)]
    pub begun_at: UnixMillis,
    /// Until when.
    #[schema(value_type = i64)]
    pub ends_at: UnixMillis,
}

/// What somebody sees of a record that is in his scope; none when none of his roles reads records.
pub(crate) fn sight(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    session: &Session,
    state: &RecordState,
    at: UnixMillis,
) -> Result<Option<Sight>, StationError> {
    let roles = Scope::of(tx, session)?.roles_over(tx, state.id, state.opening.opens.unit)?;
    let Some(sight) = Sight::of(kinds.kind_of(state)?, &roles, state.opening.user == session.user) else {
        return Ok(None);
    };
    Ok(Some(match tx.broken_glass(state.id, session.user, at)? {
        // What was said then was checked then.
        Some(glass) => sight.broken(Reason::parse(&glass.reason)?),
        None => sight,
    }))
}

/// Breaks the glass before a record; none when it is not in the person's scope.
pub(crate) fn break_glass(
    station: &Station,
    session: &Session,
    record: RecordId,
    reason: &Reason,
) -> Result<Option<GlassView>, StationError> {
    policy::require(Some(session), Permission::ReadRecords)?;
    let found = station.store.write(|tx| {
        let Some(row) = queue::row(tx, &station.kinds, session, record)? else {
            return Ok::<_, StationError>(None);
        };
        let line = Line {
            record: Some(record),
            reason: Some(reason.as_str().to_owned()),
            ..Line::of(Some(session.user), "record.break_glass", "three hours")
        };
        let line = audit::append_written(tx, &station.env, &line)?;
        let glass = GlassRow {
            line: line.number,
            record,
            user: session.user,
            reason: reason.as_str().to_owned(),
            begun_at: line.at,
            ends_at: line.at.plus(GLASS_MS),
        };
        tx.put_glass(&glass)?;
        Ok(Some(view(glass, row.unit, session.name.clone())))
    })?;
    if found.is_some() {
        station.env.steps.passes("glass broken");
        audit::anchor_when_due(station);
    }
    Ok(found)
}

/// The glass that was broken before records of an auditor's units, the newest first.
pub(crate) fn broken(station: &Station, session: &Session, below: Option<u64>) -> Result<Vec<GlassView>, StationError> {
    policy::require(Some(session), Permission::ReadAudit)?;
    station.store.read(|tx| {
        let mut views = Vec::new();
        for row in tx.glass_of(session.unit, below.unwrap_or(i64::MAX.unsigned_abs()), GLASS_ROWS_MAX)? {
            let Some(record) = tx.listed(row.record)? else { continue };
            let name = tx.user(row.user)?.map(|user| user.name).unwrap_or_default();
            views.push(view(row, record.unit, name));
        }
        Ok(views)
    })
}

fn view(row: GlassRow, unit: UnitId, user_name: String) -> GlassView {
    GlassView {
        line: row.line,
        record: row.record,
        unit,
        user: row.user,
        user_name,
        reason: row.reason,
        begun_at: row.begun_at,
        ends_at: row.ends_at,
    }
}
