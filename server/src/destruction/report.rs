//! What was destroyed, for people: who, when, by which rule, how much. Names no content: there is none any more.

use beatbook_protocol::id::{Hash, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use crate::audit::{self, Line};
use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::scope::Scope;
use crate::sheets;
use crate::station::{Session, Station};
use crate::store::{DestructionRow, ReadTx};

/// A destruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DestructionView {
    /// The event's entry, which `ledger verify` holds the rest against.
    #[schema(value_type = String)]
    pub event: Hash,
    /// Its leaf.
    pub leaf: u64,
    /// When, by the station's clock.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// The record.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// `record`, or `private` when that document alone went.
    pub document: String,
    /// Kind of the record; none for one that this station never held.
    pub kind: Option<String>,
    /// `retention`, `request` or `order`.
    pub why: String,
    /// The rule or decision that it rests on.
    pub rule: String,
    /// Entries that lost salt and bytes.
    pub entries: u32,
    /// Root over their salted hashes.
    #[schema(value_type = String)]
    pub root: Hash,
    /// Who ordered it; none where the rule alone did, and for the operator.
    #[schema(value_type = Option<String>)]
    pub by: Option<UserId>,
    /// His name.
    pub by_name: Option<String>,
}

/// A page of destructions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DestructionPage {
    /// In the ledger's order.
    pub rows: Vec<DestructionView>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

impl Station {
    /// What was destroyed in the person's units, in the ledger's order; a page may be shorter than asked for. `by` is none for the operator at the machine itself.
    ///
    /// # Errors
    /// When `by` may not see it, `after` is no place, or those of the store.
    pub fn destructions(&self, by: Option<&Session>, after: Option<&str>, limit: u32) -> Result<DestructionPage, StationError> {
        policy::require(by, Permission::SeeKeeping)?;
        let after = after.map(place).transpose()?;
        self.store.read(|tx| {
            let rows = tx.destructions(after, limit)?;
            let is_full = rows.len() == usize::try_from(limit).unwrap_or(usize::MAX);
            let next = rows
                .last()
                .filter(|_| is_full)
                .map(|row| format!("{}-{}", row.place.0, row.place.1));
            let rows = seen(tx, by, rows)?;
            Ok(DestructionPage { rows, next })
        })
    }

    /// The same as a table, which leaves the house: a line in the audit log says so.
    ///
    /// # Errors
    /// When `by` may not see it, or those of the store.
    pub fn export_destructions(&self, by: Option<&Session>) -> Result<Vec<DestructionView>, StationError> {
        policy::require(by, Permission::SeeKeeping)?;
        self.store.write(|tx| {
            let rows = seen(tx, by, tx.destructions(None, u32::MAX)?)?;
            let detail = format!("{} destructions", rows.len());
            audit::append(tx, &self.env, &Line::of(by.map(|by| by.user), "destruction.export", detail))?;
            Ok(rows)
        })
    }
}

/// Those of the units over which somebody may see it, and all for the operator. Where a record lay that this station never held nobody
/// knows: whoever sees to a whole station is told.
fn seen(tx: &ReadTx<'_>, by: Option<&Session>, rows: Vec<DestructionRow>) -> Result<Vec<DestructionView>, StationError> {
    let Some(by) = by else {
        return rows.into_iter().map(|row| view(tx, row)).collect();
    };
    let his = Scope::of(tx, by)?.units_where(Permission::SeeKeeping);
    let sees_all = tx
        .units()?
        .iter()
        .any(|unit| unit.parent.is_none() && his.contains(&unit.unit));
    let mut views = Vec::new();
    for row in rows {
        let unit = match tx.record(row.said.record)? {
            Some(state) => Some(state.opening.opens.unit),
            None => tx.gone(row.said.record)?.and_then(|gone| gone.unit),
        };
        if unit.map_or(sees_all, |unit| his.contains(&unit)) {
            views.push(view(tx, row)?);
        }
    }
    Ok(views)
}

/// Columns of the table.
const COLUMNS: [&str; 12] = [
    "event", "leaf", "at_ms", "record", "document", "kind", "why", "rule", "entries", "root", "by", "by_name",
];

/// Destructions as CSV, a line each.
///
/// # Errors
/// When the table cannot be written.
pub(crate) fn table(rows: &[DestructionView]) -> Result<Vec<u8>, StationError> {
    let rows = rows.iter().map(|row| {
        [
            row.event.to_string(),
            row.leaf.to_string(),
            row.at.0.to_string(),
            row.record.to_string(),
            row.document.clone(),
            row.kind.clone().unwrap_or_default(),
            row.why.clone(),
            row.rule.clone(),
            row.entries.to_string(),
            row.root.to_string(),
            row.by.map(|by| by.to_string()).unwrap_or_default(),
            row.by_name.clone().unwrap_or_default(),
        ]
    });
    sheets::write_csv(&COLUMNS, rows)
}

fn view(tx: &ReadTx<'_>, row: DestructionRow) -> Result<DestructionView, StationError> {
    let said = row.said;
    let kind = match tx.record(said.record)? {
        Some(state) => Some(state.opening.opens.kind),
        None => tx.gone(said.record)?.and_then(|gone| gone.kind).map(|(kind, _)| kind),
    };
    let by_name = said
        .on_behalf
        .map(|user| tx.user(user))
        .transpose()?
        .flatten()
        .map(|user| user.name);
    Ok(DestructionView {
        event: row.event,
        leaf: row.place.0,
        at: row.at,
        record: said.record,
        document: if said.document.is_some() { "private" } else { "record" }.to_owned(),
        kind,
        why: said.why,
        rule: said.rule,
        entries: said.entries,
        root: said.root,
        by: said.on_behalf,
        by_name,
    })
}

fn place(text: &str) -> Result<(u64, u32), StationError> {
    let parts = text.split_once('-').map(|(leaf, position)| (leaf.parse(), position.parse()));
    match parts {
        Some((Ok(leaf), Ok(position))) => Ok((leaf, position)),
        _ => Err(StationError::Invalid("`after` is the `next` of the page before".into())),
    }
}
