//! Lists of records: the queue, filters, search; and counts for the status.

use beatbook_protocol::id::{Hash, RecordId, UnitId, UserId};
use beatbook_protocol::time::UnixMillis;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Row, params_from_iter};

use super::connection::{id, int, maybe_id};
use super::{ReadTx, StoreError};

/// In which order a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListOrder {
    /// Only what waits for review, the longest waiting first.
    Review,
    /// The newest arrival first.
    Newest,
    /// The best hit of a search first.
    Rank,
}

/// Whose lists: records of the units that he holds, and those granted to him or to a unit by which a grant reaches him.
#[derive(Debug, Clone)]
pub(crate) struct ListScope {
    /// He.
    pub(crate) user: UserId,
    /// The units whose records he holds.
    pub(crate) units: Vec<UnitId>,
    /// The units by which a grant reaches him.
    pub(crate) reach: Vec<UnitId>,
}

/// What to list. Every condition that is there must hold.
#[derive(Debug, Clone)]
pub(crate) struct ListQuery {
    /// The scope of whoever asks.
    pub(crate) scope: ListScope,
    /// Order.
    pub(crate) order: ListOrder,
    /// Of this kind.
    pub(crate) kind: Option<String>,
    /// In this state.
    pub(crate) state: Option<String>,
    /// Of this unit only.
    pub(crate) unit: Option<UnitId>,
    /// Opened by.
    pub(crate) author: Option<UserId>,
    /// With conflicts only.
    pub(crate) conflicted: bool,
    /// About this record, or about one that ended in it.
    pub(crate) about: Option<RecordId>,
    /// Full-text query, in FTS5's words.
    pub(crate) words: Option<String>,
    /// Go on after this place.
    pub(crate) after: Option<(i64, i64)>,
    /// Rows at most.
    pub(crate) limit: u32,
}

/// A record as lists have it.
#[derive(Debug, Clone)]
pub(crate) struct ListedRecord {
    /// The record.
    pub(crate) id: RecordId,
    /// Kind and version.
    pub(crate) kind: (String, u32),
    /// Unit.
    pub(crate) unit: UnitId,
    /// State and since when.
    pub(crate) state: (String, UnixMillis),
    /// Title.
    pub(crate) title: String,
    /// Who opened it: id, name, when.
    pub(crate) opened: (UserId, String, UnixMillis),
    /// When its newest entry came.
    pub(crate) received: UnixMillis,
    /// Version.
    pub(crate) version: Hash,
    /// Conflicts, findings, pending places.
    pub(crate) counts: (u32, u32, u32),
    /// Whether it has an offer, and whether it waits for review.
    pub(crate) flags: (bool, bool),
    /// The record that it was merged into in the end.
    pub(crate) merged_into: Option<RecordId>,
    /// What it is about, after all merges, and the title of that within its own unit.
    pub(crate) about: Option<(RecordId, Option<String>)>,
    /// Kind and version of that.
    pub(crate) about_kind: Option<(String, u32)>,
    /// Whether a search found it.
    pub(crate) searched: bool,
    /// Words around the hit of a search; none when only personal words hit.
    pub(crate) snippet: Option<String>,
    /// Its place in this order.
    pub(crate) place: (i64, i64),
}

/// Counts of records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    /// All.
    pub(crate) records: u64,
    /// Waiting for review.
    pub(crate) in_review: u64,
    /// With conflicts.
    pub(crate) conflicted: u64,
}

impl ReadTx<'_> {
    /// Lists records.
    pub(crate) fn list(&self, query: &ListQuery) -> Result<Vec<ListedRecord>, StoreError> {
        let (sql, values) = sql_of(query);
        self.all(&sql, params_from_iter(values), |row| read(row, query.words.is_some()))
    }

    /// One record as lists have it, whatever its unit.
    pub(crate) fn listed(&self, record: RecordId) -> Result<Option<ListedRecord>, StoreError> {
        let sql = format!(
            "{COLUMNS}, r.leaf, r.number, NULL FROM record AS r LEFT JOIN user AS u ON u.user = r.opener_user WHERE r.id = ?1"
        );
        self.one(&sql, [record.as_bytes()], |row| read(row, false))
    }

    /// Counts of records.
    pub(crate) fn totals(&self) -> Result<Totals, StoreError> {
        Ok(Totals {
            records: self.count("SELECT count(*) FROM record", [])?,
            in_review: self.count("SELECT count(*) FROM record WHERE review = 1", [])?,
            conflicted: self.count("SELECT count(*) FROM record WHERE conflicts > 0", [])?,
        })
    }

    /// Pages that a book has in the ledger.
    pub(crate) fn pages_of(&self, book: beatbook_protocol::id::BookId) -> Result<u64, StoreError> {
        self.count(
            "SELECT coalesce(sum(next), 0) FROM book_tip WHERE book = ?1",
            [book.as_bytes()],
        )
    }

    /// Pages in the ledger.
    pub(crate) fn pages(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM page", [])
    }
}

const COLUMNS: &str = "SELECT r.id, r.kind, r.kind_version, r.unit, r.state, r.state_since, r.title, r.opener_user, u.name, r.opened_at, \
     r.received, r.version, r.conflicts, r.findings, r.pending, r.offered IS NOT NULL, r.review, \
     (SELECT root FROM merged WHERE record = r.id), \
     (SELECT coalesce(m.root, a.target) FROM about AS a LEFT JOIN merged AS m ON m.record = a.target WHERE a.record = r.id), \
     (SELECT t.title FROM about AS a LEFT JOIN merged AS m ON m.record = a.target \
      JOIN record AS t ON t.id = coalesce(m.root, a.target) AND t.unit = r.unit WHERE a.record = r.id), \
     (SELECT t.kind || ' ' || t.kind_version FROM about AS a LEFT JOIN merged AS m ON m.record = a.target \
      JOIN record AS t ON t.id = coalesce(m.root, a.target) WHERE a.record = r.id)";

/// Whether a record is in the scope of a person (?2) who holds units (?1) and is reached by others (?3).
const IN_SCOPE: &str = "(r.unit IN (SELECT unhex(value) FROM json_each(?1)) OR EXISTS (SELECT 1 FROM granted AS g \
     WHERE g.record = r.id AND (g.grantee = ?2 OR g.grantee IN (SELECT unhex(value) FROM json_each(?3)))))";

/// Units as one parameter, for a statement takes a bounded number of them: JSON.
fn ids(units: &[UnitId]) -> SqlValue {
    let hex = |unit: &UnitId| unit.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let quoted: Vec<String> = units.iter().map(|unit| format!("\"{}\"", hex(unit))).collect();
    SqlValue::Text(format!("[{}]", quoted.join(",")))
}

fn sql_of(query: &ListQuery) -> (String, Vec<SqlValue>) {
    let mut values = vec![
        ids(&query.scope.units),
        SqlValue::Blob(query.scope.user.as_bytes().to_vec()),
        ids(&query.scope.reach),
    ];
    let mut wheres = vec![IN_SCOPE.to_owned()];
    let mut put = |condition: &str, value: SqlValue| {
        values.push(value);
        wheres.push(condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(kind) = &query.kind {
        put("r.kind = ?", SqlValue::Text(kind.clone()));
    }
    if let Some(state) = &query.state {
        put("r.state = ?", SqlValue::Text(state.clone()));
    }
    if let Some(unit) = query.unit {
        put("r.unit = ?", SqlValue::Blob(unit.as_bytes().to_vec()));
    }
    if let Some(author) = query.author {
        put("r.opener_user = ?", SqlValue::Blob(author.as_bytes().to_vec()));
    }
    if query.conflicted {
        put("r.conflicts > ?", SqlValue::Integer(0));
    }
    if let Some(about) = query.about {
        put(
            "r.id IN (SELECT record FROM about WHERE target = ? OR target IN (SELECT record FROM merged WHERE root = ?))",
            SqlValue::Blob(about.as_bytes().to_vec()),
        );
    }
    if let Some(words) = &query.words {
        put("search MATCH ?", SqlValue::Text(words.clone()));
    }
    let (place, direction, comparison) = match query.order {
        ListOrder::Review => ("r.state_since, r.number", "r.state_since, r.number", ">"),
        ListOrder::Newest => ("r.leaf, r.number", "r.leaf DESC, r.number DESC", "<"),
        ListOrder::Rank => ("0, r.number", "search.rank, r.number", ">"),
    };
    if query.order == ListOrder::Review {
        put("r.review = ?", SqlValue::Integer(1));
    }
    if let Some((first, second)) = query.after {
        values.push(SqlValue::Integer(first));
        values.push(SqlValue::Integer(second));
        wheres.push(format!("({place}) {comparison} (?{}, ?{})", values.len() - 1, values.len()));
    }
    let (snippet, search) = match &query.words {
        // 24 tokens: a Chinese sentence, or two lines of English. From the words that are not personal.
        Some(words) => {
            values.push(SqlValue::Text(words.clone()));
            let snippet = format!(
                "(SELECT snippet(search_open, 0, '[', ']', '…', 24) FROM search_open WHERE search_open MATCH ?{} AND rowid = r.number)",
                values.len()
            );
            (snippet, "search JOIN record AS r ON r.number = search.rowid")
        }
        None => ("NULL".to_owned(), "record AS r"),
    };
    values.push(SqlValue::Integer(int(query.limit.into())));
    let sql = format!(
        "{COLUMNS}, {place}, {snippet} FROM {search} LEFT JOIN user AS u ON u.user = r.opener_user
         WHERE {} ORDER BY {direction} LIMIT ?{}",
        wheres.join(" AND "),
        values.len()
    );
    (sql, values)
}

fn read(row: &Row<'_>, searched: bool) -> rusqlite::Result<ListedRecord> {
    Ok(ListedRecord {
        id: id!(row, 0, RecordId),
        kind: (row.get(1)?, row.get(2)?),
        unit: id!(row, 3, UnitId),
        state: (row.get(4)?, UnixMillis(row.get(5)?)),
        title: row.get(6)?,
        opened: (
            id!(row, 7, UserId),
            row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            UnixMillis(row.get(9)?),
        ),
        received: UnixMillis(row.get(10)?),
        version: id!(row, 11, Hash),
        counts: (row.get(12)?, row.get(13)?, row.get(14)?),
        flags: (row.get(15)?, row.get(16)?),
        merged_into: maybe_id!(row, 17, RecordId),
        about: match maybe_id!(row, 18, RecordId) {
            Some(about) => Some((about, row.get(19)?)),
            None => None,
        },
        about_kind: row.get::<_, Option<String>>(20)?.and_then(|text| {
            let (code, version) = text.split_once(' ')?;
            Some((code.to_owned(), version.parse().ok()?))
        }),
        place: (row.get(21)?, row.get(22)?),
        searched,
        snippet: if searched { row.get(23)? } else { None },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_a_place_of_its_own() {
        let query = ListQuery {
            scope: ListScope {
                user: UserId::from_bytes([4; 16]),
                units: vec![UnitId::from_bytes([1; 16])],
                reach: Vec::new(),
            },
            order: ListOrder::Review,
            kind: Some("visit".into()),
            state: Some("submitted".into()),
            unit: Some(UnitId::from_bytes([2; 16])),
            author: Some(UserId::from_bytes([3; 16])),
            conflicted: true,
            about: Some(RecordId::from_bytes([7; 16])),
            words: None,
            after: Some((4, 5)),
            limit: 6,
        };
        let (sql, values) = sql_of(&query);
        assert_eq!(values.len(), 13);
        assert!((1..=values.len()).all(|number| sql.contains(&format!("?{number}"))), "{sql}");
    }
}
