//! Lists of records out of their rows; no document is opened. Every query ends at an index and at a limit.

use beatbook_protocol::id::{RecordId, UnitId, UserId};
use beatbook_protocol::kind::Label;
use beatbook_protocol::time::UnixMillis;
use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, Row, params_from_iter};

use super::rows::user;
use super::{StoreError, Tx};
use crate::query::{Filter, Mark, RecordPage, RecordRow, segment};

const COLUMNS: &str = "r.n, r.record, r.kind, r.version, r.unit, r.opener_user, r.state, r.title_zh, r.title_en, coalesce(m.root, r.about), \
                       r.opened_at, r.updated_at, r.facts, r.shown_version, r.waiting, r.refused, r.conflicts, r.came_back, \
                       r.unreadable, a.title_zh, a.title_en, o.root";
/// A record, what it is about after all merges, and what it was merged into itself.
const JOINS: &str = "LEFT JOIN merged m ON m.record = r.about LEFT JOIN record a ON a.record = coalesce(m.root, r.about) \
                     LEFT JOIN merged o ON o.record = r.record";
/// About a record, or about one that ended in it.
const ABOUT: &str = "r.about IN (WITH one (record) AS (SELECT ?) SELECT record FROM one UNION ALL \
                     SELECT merged.record FROM merged JOIN one ON merged.root = one.record)";
const ROWS_DEFAULT: u32 = 50;
const ROWS_MAX: u32 = 500;

/// Rows of a list.
pub(crate) fn list(tx: &Tx<'_>, filter: &Filter, me: UserId) -> Result<RecordPage, StoreError> {
    let question = filter.text.as_deref().map(segment::question);
    if question == Some(None) {
        return Ok(RecordPage::default());
    }
    let (mut conditions, mut values) = conditions(filter, me);
    let (from, key) = match question.flatten() {
        Some(question) => {
            conditions.push("search MATCH ?".to_owned());
            values.push(Sql::Text(question));
            ("search CROSS JOIN record r ON r.n = search.rowid", "search.rowid")
        }
        None => ("record r", "r.updated_at"),
    };
    if let Some(after) = filter.after {
        conditions.push(format!("({key}, r.n) < (?, ?)"));
        values.extend([Sql::Integer(after.key), Sql::Integer(after.n)]);
    }
    let limit = filter.limit.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX);
    values.push(Sql::Integer(i64::from(limit) + 1));
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!("WHERE {}", conditions.join(" AND "))
    };
    // Numbers of the search rise with time and are unique: their order needs no second key, and no sorting.
    let order = if key == "search.rowid" {
        "search.rowid DESC"
    } else {
        "r.updated_at DESC, r.n DESC"
    };
    let mut rows = tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {from} {JOINS} {conditions} ORDER BY {order} LIMIT ?"
    ))?;
    let by_search = key == "search.rowid";
    let rows = rows.query_map(params_from_iter(values), |row| {
        let key: i64 = row.get(if by_search { 0 } else { 11 })?;
        Ok((Mark { key, n: row.get(0)? }, read(row)))
    })?;
    let mut page = RecordPage::default();
    let mut last = None;
    for row in rows {
        let (mark, row) = row?;
        if page.rows.len() == limit as usize {
            page.next = last;
            break;
        }
        page.rows.push(row?);
        last = Some(mark);
    }
    Ok(page)
}

/// One record's row.
pub(crate) fn one(tx: &Tx<'_>, record: RecordId) -> Result<Option<RecordRow>, StoreError> {
    tx.prepare_cached(&format!("SELECT {COLUMNS} FROM record r {JOINS} WHERE r.record = ?1"))?
        .query_row([record.as_bytes()], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Hands over each place that a record of a kind names in one of these fields. Those that were merged into another are left out.
pub(crate) fn each_place(
    tx: &Tx<'_>,
    kind: &str,
    fields: &[String],
    mut found: impl FnMut(RecordId, &str),
) -> Result<(), StoreError> {
    for field in fields {
        let mut rows = tx.prepare_cached(
            "SELECT r.record, r.facts ->> ?2 FROM record r LEFT JOIN merged o ON o.record = r.record
             WHERE r.kind = ?1 AND o.root IS NULL AND r.facts ->> ?2 IS NOT NULL",
        )?;
        let mut rows = rows.query((kind, field))?;
        while let Some(row) = rows.next()? {
            found(RecordId::from_bytes(row.get(0)?), &row.get::<_, String>(1)?);
        }
    }
    Ok(())
}

/// The last record of a kind about another one.
pub(crate) fn last_about(tx: &Tx<'_>, kind: &str, about: RecordId) -> Result<Option<RecordId>, StoreError> {
    let record: Option<[u8; 16]> = tx
        .prepare_cached(
            "SELECT record FROM record WHERE kind = ?1 AND about IN (SELECT ?2 UNION ALL SELECT record FROM merged WHERE root = ?2)
             ORDER BY opened_at DESC, n DESC LIMIT 1",
        )?
        .query_row((kind, about.as_bytes()), |row| row.get(0))
        .optional()?;
    Ok(record.map(RecordId::from_bytes))
}

fn conditions(filter: &Filter, me: UserId) -> (Vec<String>, Vec<Sql>) {
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut given = |condition: &str, value: Option<Sql>| {
        if let Some(value) = value {
            conditions.push(condition.to_owned());
            values.push(value);
        }
    };
    given("r.kind = ?", filter.kind.clone().map(Sql::Text));
    given("r.state = ?", filter.state.clone().map(Sql::Text));
    given(ABOUT, filter.about.map(|about| Sql::Blob(about.as_bytes().to_vec())));
    given(
        "o.root = ?",
        filter.merged_into.map(|into| Sql::Blob(into.as_bytes().to_vec())),
    );
    given("r.opener_user = ?", filter.mine.then(|| Sql::Blob(me.as_bytes().to_vec())));
    for (asked, condition) in [
        (filter.waiting, "r.waiting > 0"),
        (filter.came_back, "(r.came_back > 0 OR r.refused > 0)"),
        (filter.conflicts, "r.conflicts > 0"),
    ] {
        if asked {
            conditions.push(condition.to_owned());
        }
    }
    (conditions, values)
}

fn read(row: &Row<'_>) -> Result<RecordRow, StoreError> {
    let fields: String = row.get(12)?;
    let about: Option<Label> = match (row.get(19)?, row.get(20)?) {
        (Some(zh), Some(en)) => Some(Label { zh, en }),
        _ => None,
    };
    let own = Label {
        zh: row.get(7)?,
        en: row.get(8)?,
    };
    Ok(RecordRow {
        record: RecordId::from_bytes(row.get(1)?),
        kind: row.get(2)?,
        kind_version: row.get(3)?,
        unit: UnitId::from_bytes(row.get(4)?),
        opener: user(row, 5)?,
        state: row.get(6)?,
        title: about.map_or_else(
            || own.clone(),
            |about| Label {
                zh: beside(&about.zh, &own.zh),
                en: beside(&about.en, &own.en),
            },
        ),
        about: row.get::<_, Option<[u8; 16]>>(9)?.map(RecordId::from_bytes),
        opened_at: UnixMillis(row.get(10)?),
        updated_at: UnixMillis(row.get(11)?),
        fields: serde_json::from_str(&fields).map_err(|error| StoreError::Damaged(format!("a record's row: {error}")))?,
        version: row.get(13)?,
        waiting: row.get(14)?,
        refused: row.get(15)?,
        conflicts: row.get(16)?,
        came_back: row.get(17)?,
        unreadable: row.get(18)?,
        merged_into: row.get::<_, Option<[u8; 16]>>(21)?.map(RecordId::from_bytes),
    })
}

fn beside(about: &str, own: &str) -> String {
    [about, own]
        .iter()
        .filter(|text| !text.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(" · ")
}

/// Accepted entries with their records, by record and entry.
pub(crate) fn accepted_entries(tx: &Tx<'_>) -> Result<Vec<(RecordId, beatbook_protocol::id::Hash)>, StoreError> {
    let mut rows = tx.prepare_cached(
        "SELECT record, entry FROM change WHERE status = 0 UNION ALL SELECT record, entry FROM act WHERE status = 0
         ORDER BY record, entry",
    )?;
    let rows = rows.query_map([], |row| {
        Ok((
            RecordId::from_bytes(row.get(0)?),
            beatbook_protocol::id::Hash::from_bytes(row.get(1)?),
        ))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
