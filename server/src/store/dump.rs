//! The projections as a whole: their canonical dump, and taking them away before they are folded again.

use rusqlite::types::ValueRef;

use super::{ReadTx, StoreError, WriteTx};

/// The projections and the columns that order their rows. Snapshots are left out of the dump: they say nothing that changes do not, and
/// when they are made is a matter of speed.
pub(crate) const PROJECTIONS: &[(&str, &str)] = &[
    ("page", "hash"),
    ("book_tip", "book, incarnation"),
    ("unit", "unit"),
    ("user", "user"),
    ("book", "book"),
    ("kind", "kind, version"),
    ("actor", "actor"),
    ("record", "number"),
    ("record_state", "record, leaf, position"),
    ("record_version", "record, version"),
    ("change", "record, document, hash"),
    ("refused_change", "record, document, hash, book"),
    ("act", "record, leaf, position"),
    ("conflict", "record, path"),
    ("finding", "record, number"),
    ("record_file", "record, document, hash"),
    ("about", "record"),
    ("merged", "record"),
    ("duplicate_key", "record, key"),
    ("not_duplicate", "record, other"),
    ("search", "rowid"),
    ("search_open", "rowid"),
    ("audit_anchor", "leaf, position"),
    ("user_at", "user, leaf, position"),
    ("unit_at", "unit, leaf, position"),
    ("membership", "membership"),
    ("membership_at", "user, membership, leaf, position"),
    ("grant_at", "record, grantee, leaf, position"),
    ("granted", "record, grantee"),
    ("record_digest", "record"),
    ("digest_sum", "unit, kind, kind_version, opener"),
    ("recovered", "entry"),
    ("unit_key", "unit, key"),
    ("book_end", "book"),
    ("admitted", "entry"),
    ("destruction", "event"),
    ("gone", "record"),
    ("hold", "record"),
    ("snapshot", "record, document"),
];

impl ReadTx<'_> {
    /// Visits the dump line by line: `table|column=value|...`.
    pub(crate) fn each_dump_line(&self, mut visit: impl FnMut(&str)) -> Result<(), StoreError> {
        for (table, order) in PROJECTIONS.iter().copied() {
            if table == "snapshot" {
                continue;
            }
            let rowid = if table.starts_with("search") { "rowid, " } else { "" };
            let mut statement = self
                .conn()
                .prepare(&format!("SELECT {rowid}* FROM {table} ORDER BY {order}"))?;
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let mut line = table.to_owned();
                for (column, name) in names.iter().enumerate() {
                    line.push('|');
                    line.push_str(name);
                    line.push('=');
                    put_value(&mut line, row.get_ref(column)?);
                }
                visit(&line);
            }
        }
        Ok(())
    }
}

impl WriteTx<'_> {
    /// Takes every row of every projection away.
    pub(crate) fn clear_projections(&self) -> Result<(), StoreError> {
        for (table, _) in PROJECTIONS {
            self.run(&format!("DELETE FROM {table}"), [])?;
        }
        Ok(())
    }
}

fn put_value(line: &mut String, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => line.push_str("null"),
        ValueRef::Integer(number) => line.push_str(&number.to_string()),
        ValueRef::Real(number) => line.push_str(&number.to_string()),
        // Escaped, so that a text with a line break stays one line.
        ValueRef::Text(text) => line.extend(String::from_utf8_lossy(text).escape_debug()),
        ValueRef::Blob(bytes) => bytes.iter().for_each(|byte| line.push_str(&format!("{byte:02x}"))),
    }
}
