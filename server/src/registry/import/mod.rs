//! The registry out of tables: units and people from the lists that an office keeps, CSV or XLSX. Each line is told what it would do; with
//! one line that cannot be, nothing is done; else all of it in one step. What is there already stays as it is, so the same list may come
//! again. Lines are known by their code, which is that of the list.

mod columns;
mod people;
mod units;

use beatbook_protocol::entry::RegistryEvent;
use serde::Serialize;

use columns::Cells;

use super::realm::Realm;
use super::write_events;
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::ledger;
use crate::policy::Permission;
use crate::sheets::{self, Table};
use crate::station::{Session, Station};
use crate::store::{ReadTx, WriteTx};

/// The column of a line's code, in either table.
const CODE: usize = 0;

/// The tables of an import, as the bytes of files: each CSV, or one XLSX with the sheets `units` (单位) and `people` (人员).
#[derive(Debug, Clone, Default)]
pub struct ImportSheets {
    /// Units.
    pub units: Option<Vec<u8>>,
    /// People.
    pub people: Option<Vec<u8>>,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// A unit or person is added.
    Added,
    /// One that is there is changed.
    Changed,
    /// It is as the line says.
    Unchanged,
    /// The line cannot be: `detail` says why.
    Refused,
}

/// A line and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ImportLine {
    /// `units` or `people`.
    pub sheet: &'static str,
    /// Its number in the file, from 1.
    pub line: u64,
    /// Its code.
    pub code: String,
    /// What becomes of it.
    pub outcome: ImportOutcome,
    /// What is changed, or why it cannot be.
    pub detail: String,
}

/// What an import does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ImportReport {
    /// Whether it was done.
    pub applied: bool,
    /// Lines that add something.
    pub added: usize,
    /// Lines that change something.
    pub changed: usize,
    /// Lines that say what is.
    pub unchanged: usize,
    /// Lines that cannot be; with one of them nothing is done.
    pub refused: usize,
    /// Every line.
    pub lines: Vec<ImportLine>,
}

/// A line that was judged: what is told of it, and what it writes.
struct Judged {
    told: ImportLine,
    event: Option<RegistryEvent>,
    /// Whose code the line's is from now on: a unit's (true) or a person's.
    code: Option<(bool, [u8; 16])>,
}

impl Judged {
    /// A line that cannot be, and why; tables have their code in the first column.
    fn refused(sheet: &'static str, line: &Cells, detail: String) -> Self {
        let told = ImportLine {
            sheet,
            line: line.line,
            code: line.get(CODE).to_owned(),
            outcome: ImportOutcome::Refused,
            detail,
        };
        Self {
            told,
            event: None,
            code: None,
        }
    }
}

impl Station {
    /// Brings units and people in from tables, or tells what that would do.
    ///
    /// # Errors
    /// When a table cannot be read or has no such columns, or `by` may not. Lines that cannot be are told in the report.
    pub fn import(&self, by: Option<&Session>, sheets: &ImportSheets, apply: bool) -> Result<ImportReport, StationError> {
        let (units, people) = tables(sheets)?;
        if !apply {
            let judged = self.store.read(|tx| judge(self, tx, by, (&units, &people)))?;
            return Ok(report(judged, false));
        }
        let report = self.store.write(|tx| {
            let judged = judge(self, tx, by, (&units, &people))?;
            let may = judged.iter().all(|line| line.told.outcome != ImportOutcome::Refused);
            if may {
                self.bring_in(tx, by, &judged)?;
            }
            Ok::<_, StationError>(report(judged, may))
        })?;
        self.env.steps.passes("registry imported");
        self.store.read(|tx| ledger::note(tx, &self.keys))?;
        Ok(report)
    }

    fn bring_in(&self, tx: &WriteTx<'_>, by: Option<&Session>, judged: &[Judged]) -> Result<(), StationError> {
        let events: Vec<RegistryEvent> = judged.iter().filter_map(|line| line.event.clone()).collect();
        for line in judged {
            if let Some((is_unit, id)) = &line.code {
                tx.put_code(*is_unit, id, &line.told.code)?;
            }
        }
        let what = format!("{} lines, {} entries", judged.len(), events.len());
        audit::append(tx, &self.env, &Line::of(by.map(|by| by.user), "registry.import", what))?;
        if !events.is_empty() {
            write_events(tx, &self.keys, &self.env, &self.kinds, events)?;
        }
        Ok(())
    }
}

fn judge(
    station: &Station,
    tx: &ReadTx<'_>,
    by: Option<&Session>,
    (units, people): (&Option<Table>, &Option<Table>),
) -> Result<Vec<Judged>, StationError> {
    let realm = Realm::of(tx, by, Permission::Register)?;
    let on_behalf = by.map(|by| by.user);
    let mut plan = units::Plan::of(tx, &realm, on_behalf)?;
    let mut judged = match units {
        Some(table) => plan.judge(table, || super::tokens::random(&station.env), station.env.clock.now())?,
        None => Vec::new(),
    };
    if let Some(table) = people {
        let people = people::People {
            tx,
            realm: &realm,
            tree: &plan,
            on_behalf,
        };
        judged.extend(people.judge(table, || super::tokens::random(&station.env), station.env.clock.now())?);
    }
    Ok(judged)
}

/// The tables of units and people, wherever they stand.
fn tables(files: &ImportSheets) -> Result<(Option<Table>, Option<Table>), StationError> {
    let (mut units, mut people) = (None, None);
    for (file, is_units) in [(&files.units, true), (&files.people, false)] {
        let Some(bytes) = file else { continue };
        if !bytes.starts_with(b"PK") {
            let table = Some(sheets::read_csv(bytes)?);
            *(if is_units { &mut units } else { &mut people }) = table;
            continue;
        }
        let mut found = false;
        for (name, table) in sheets::read_xlsx(bytes)? {
            match name.trim().to_lowercase().as_str() {
                "units" | "单位" => units = Some(table),
                "people" | "人员" => people = Some(table),
                _ => continue,
            }
            found = true;
        }
        if !found {
            return Err(StationError::Invalid(
                "the workbook has no sheet `units` (单位) or `people` (人员)".into(),
            ));
        }
    }
    if units.is_none() && people.is_none() {
        return Err(StationError::Invalid("name a table of units, of people, or both".into()));
    }
    Ok((units, people))
}

fn report(judged: Vec<Judged>, applied: bool) -> ImportReport {
    let lines: Vec<ImportLine> = judged.into_iter().map(|line| line.told).collect();
    let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
    ImportReport {
        applied,
        added: count(ImportOutcome::Added),
        changed: count(ImportOutcome::Changed),
        unchanged: count(ImportOutcome::Unchanged),
        refused: count(ImportOutcome::Refused),
        lines,
    }
}
