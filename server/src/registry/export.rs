//! The registry as tables: the units and people of whoever asks, in the columns in which an import takes them. Cells are made plain, so that
//! no office program runs what somebody is called.

use std::collections::BTreeMap;

use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::kind::Who;

use super::realm::Realm;
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::policy::Permission;
use crate::sheets::write_csv;
use crate::station::{Session, Station};
use crate::store::ReadTx;

impl Station {
    /// The units as CSV, by code.
    ///
    /// # Errors
    /// When `by` keeps no registry, or those of the store.
    pub fn export_units(&self, by: Option<&Session>) -> Result<Vec<u8>, StationError> {
        self.export(by, "units", |tx, realm| {
            let codes: BTreeMap<UnitId, String> = tx.unit_codes()?.into_iter().collect();
            let code = |unit: UnitId| codes.get(&unit).cloned().unwrap_or_default();
            let mut rows: Vec<Vec<String>> = Vec::new();
            for row in tx.units()?.into_iter().filter(|row| realm.holds(row.unit)) {
                let parent = row.parent.map(code).unwrap_or_default();
                rows.push(vec![code(row.unit), row.name, parent, row.level.unwrap_or_default()]);
            }
            rows.sort_unstable();
            write_csv(&["code", "name", "parent", "level"], &rows)
        })
    }

    /// The people as CSV, by code.
    ///
    /// # Errors
    /// When `by` keeps no registry, or those of the store.
    pub fn export_people(&self, by: Option<&Session>) -> Result<Vec<u8>, StationError> {
        self.export(by, "people", |tx, realm| {
            let units: BTreeMap<UnitId, String> = tx.unit_codes()?.into_iter().collect();
            let codes: BTreeMap<UserId, String> = tx.user_codes()?.into_iter().collect();
            let mut rows: Vec<Vec<String>> = Vec::new();
            for row in tx.users()?.into_iter().filter(|row| realm.holds(row.unit)) {
                if row.roles.iter().any(|role| role == Who::Station.code()) {
                    continue;
                }
                let unit = units.get(&row.unit).cloned().unwrap_or_default();
                let code = codes.get(&row.user).cloned().unwrap_or_default();
                rows.push(vec![code, row.name, unit, row.roles.join(" ")]);
            }
            rows.sort_unstable();
            write_csv(&["code", "name", "unit", "roles"], &rows)
        })
    }

    /// The line in the audit log is on the disk before the table leaves.
    fn export(
        &self,
        by: Option<&Session>,
        what: &str,
        table: impl FnOnce(&ReadTx<'_>, &Realm) -> Result<Vec<u8>, StationError>,
    ) -> Result<Vec<u8>, StationError> {
        self.store.write(|tx| {
            let realm = Realm::of(tx, by, Permission::Register)?;
            audit::append(tx, &self.env, &Line::of(by.map(|by| by.user), "registry.export", what))?;
            table(tx, &realm)
        })
    }
}
