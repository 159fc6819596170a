//! The log as its auditor reads it, and as he takes it along. That he did is a line of it, which stands before he gets anything.

use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::Line;
use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::sheets;
use crate::station::{Session, Station};
use crate::store::{AuditQuery, AuditedLine};

/// Lines of a page when nobody says how many.
const LINES: u32 = 100;
/// Lines of a page at most.
const LINES_MAX: u32 = 1_000;
/// Lines of an export at most: some ten megabytes. Who needs more asks again from where it ended.
const EXPORT_LINES_MAX: u32 = 20_000;
/// Characters of `what` in a filter: no line's is longer.
const WHAT_CHARS_MAX: usize = 60;

/// Columns of the table.
const COLUMNS: [&str; 9] = [
    "number",
    "at",
    "user",
    "user_name",
    "what",
    "record",
    "detail",
    "reason",
    "hash",
];

/// Which lines to read.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By this person.
    pub user: Option<UserId>,
    /// About this record.
    pub record: Option<RecordId>,
    /// This, as `record.read`, or all of a sort, as `record`.
    pub what: Option<String>,
    /// Not before.
    pub from: Option<UnixMillis>,
    /// Before.
    pub until: Option<UnixMillis>,
    /// Go on after this line: on pages backwards, in exports forwards.
    pub after: Option<u64>,
    /// Lines at most.
    pub limit: u32,
}

/// A line as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AuditLine {
    /// Its number.
    pub number: u64,
    /// When, by the station's clock.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// Who; none for the operator at the machine, and for somebody who was not let in.
    #[schema(value_type = Option<String>)]
    pub user: Option<UserId>,
    /// His name.
    pub user_name: Option<String>,
    /// What was done, by code.
    pub what: String,
    /// The record it was about.
    #[schema(value_type = Option<String>)]
    pub record: Option<RecordId>,
    /// More of what: names of fields, a unit, a count.
    pub detail: String,
    /// Why, in his words.
    pub reason: Option<String>,
    /// Hash over the line before and this one.
    #[schema(value_type = String)]
    pub hash: Hash,
}

impl From<AuditedLine> for AuditLine {
    fn from(found: AuditedLine) -> Self {
        let line = found.line;
        Self {
            number: line.number,
            at: line.at,
            user: line.user,
            user_name: found.name,
            what: line.what,
            record: line.record,
            detail: line.detail,
            reason: line.reason,
            hash: line.hash,
        }
    }
}

/// Lines and where to go on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    /// The lines, the newest first.
    pub lines: Vec<AuditLine>,
    /// Where to go on; none at the end.
    pub next: Option<u64>,
}

/// In which form an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportForm {
    /// One JSON object a line.
    Ndjson,
    /// A table for spreadsheets, with formulas made harmless.
    Csv,
}

/// An export.
#[derive(Debug, Clone)]
pub struct AuditExport {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The line to go on after; none when all is in it.
    pub next: Option<u64>,
}

/// Lines of the auditor's units, the newest first.
pub(crate) fn page(station: &Station, session: &Session, filter: &AuditFilter) -> Result<AuditPage, StationError> {
    policy::require(Some(session), Permission::ReadAudit)?;
    let limit = if filter.limit == 0 {
        LINES
    } else {
        filter.limit.min(LINES_MAX)
    };
    let mut query = query(session, filter, limit)?;
    query.below = Some(filter.after.unwrap_or(i64::MAX.unsigned_abs()));
    super::write(station, &Line::of(Some(session.user), "audit.read", said(filter)))?;
    let (lines, next) = read(station, &query, limit)?;
    Ok(AuditPage { lines, next })
}

/// Lines of the auditor's units from the first on, to be taken along.
pub(crate) fn export(
    station: &Station,
    session: &Session,
    filter: &AuditFilter,
    form: ExportForm,
) -> Result<AuditExport, StationError> {
    policy::require(Some(session), Permission::ReadAudit)?;
    let mut query = query(session, filter, EXPORT_LINES_MAX)?;
    query.above = filter.after.unwrap_or(0);
    super::write(station, &Line::of(Some(session.user), "audit.export", said(filter)))?;
    let (lines, next) = read(station, &query, EXPORT_LINES_MAX)?;
    let bytes = match form {
        ExportForm::Ndjson => {
            ndjson(&lines).map_err(|fault| StationError::Store(format!("the export could not be written: {fault}")))?
        }
        ExportForm::Csv => csv(&lines)?,
    };
    Ok(AuditExport { bytes, next })
}

fn query(session: &Session, filter: &AuditFilter, limit: u32) -> Result<AuditQuery, StationError> {
    if filter.what.as_ref().is_some_and(|what| what.chars().count() > WHAT_CHARS_MAX) {
        return Err(StationError::Invalid(format!(
            "`what` has at most {WHAT_CHARS_MAX} characters"
        )));
    }
    Ok(AuditQuery {
        unit: session.unit,
        user: filter.user,
        record: filter.record,
        what: filter.what.clone(),
        from: filter.from,
        until: filter.until,
        below: None,
        above: 0,
        // One more than asked for tells whether there is more.
        limit: limit.saturating_add(1),
    })
}

fn read(station: &Station, query: &AuditQuery, limit: u32) -> Result<(Vec<AuditLine>, Option<u64>), StationError> {
    let found = station.store.read(|tx| Ok::<_, StationError>(tx.audit_lines(query)?))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > limit;
    let lines: Vec<AuditLine> = found.into_iter().take(limit).map(AuditLine::from).collect();
    let next = lines.last().map(|line| line.number).filter(|_| has_more);
    Ok((lines, next))
}

/// What was asked for, in the log's own words: ids and codes, never more.
fn said(filter: &AuditFilter) -> String {
    let mut said = Vec::new();
    said.extend(filter.user.map(|user| format!("user={user}")));
    said.extend(filter.record.map(|record| format!("record={record}")));
    let is_code = |what: &&String| what.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '.' | '_'));
    said.extend(filter.what.as_ref().filter(is_code).map(|what| format!("what={what}")));
    said.extend(filter.from.map(|from| format!("from={}", from.0)));
    said.extend(filter.until.map(|until| format!("until={}", until.0)));
    said.extend(filter.after.map(|after| format!("after={after}")));
    if said.is_empty() { "all".to_owned() } else { said.join(" ") }
}

fn ndjson(lines: &[AuditLine]) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn csv(lines: &[AuditLine]) -> Result<Vec<u8>, StationError> {
    let rows = lines.iter().map(|line| {
        [
            line.number.to_string(),
            line.at.0.to_string(),
            line.user.map(|user| user.to_string()).unwrap_or_default(),
            line.user_name.clone().unwrap_or_default(),
            line.what.clone(),
            line.record.map(|record| record.to_string()).unwrap_or_default(),
            line.detail.clone(),
            line.reason.clone().unwrap_or_default(),
            line.hash.to_string(),
        ]
    });
    sheets::write_csv(&COLUMNS, rows)
}
