//! Folding a record anew: its documents and acts become the row that lists show. Runs in the transaction that changed the record.

use beatbook_protocol::document::{Document, View};
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::{CheckedKind, DocumentName, FieldType, Label};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::records::Records;
use super::rows::{self, Opening, joined};
use super::{StoreError, blobs, merges, papers, registry};
use crate::query::segment;
use crate::record::{Course, search_text, title};

/// Domain of the hash that tells whether a record's words have changed; never leaves the phone.
const WORDS: &[u8] = b"beatbook/words/1\0";

/// What the row of a record shows.
#[derive(Debug, Default)]
struct Shown {
    course: Course,
    view: View,
    private: Option<View>,
    unreadable: Option<String>,
}

impl Records<'_> {
    /// Folds one record anew. A record whose opening has not come yet stays unseen; its entries wait.
    pub(super) fn refold(&mut self, record: RecordId, at: UnixMillis) -> Result<(), StoreError> {
        let Some(opening) = rows::opening(self.tx, record)? else {
            return self.hide(record);
        };
        let kind = self.pen.office.kinds.get(&opening.opens.kind, opening.opens.version).cloned();
        let Some(kind) = kind else {
            let why = format!(
                "kind {} version {} is not on this phone yet",
                opening.opens.kind, opening.opens.version
            );
            return self.show(
                record,
                &opening,
                None,
                &Shown {
                    unreadable: Some(why),
                    ..Shown::default()
                },
                at,
            );
        };
        self.park_descendants(record)?;
        let shown = match self
            .guard_arrived(record, &kind)
            .and_then(|()| self.read_shown(record, &kind))
        {
            Ok(shown) => shown,
            Err(StoreError::Document(error)) => Shown {
                unreadable: Some(error.to_string()),
                ..Shown::default()
            },
            Err(error) => return Err(error),
        };
        self.show(record, &opening, Some(&kind), &shown, at)?;
        for name in [DocumentName::Facts, DocumentName::Private] {
            let shape = self.pen.office.shape(&kind, name)?;
            papers::fold(self.tx, &shape, self.pen.actor, record)?;
        }
        // Parking a descendant touches the record that is being folded: it has been.
        self.touched.remove(&record);
        Ok(())
    }

    fn read_shown(&mut self, record: RecordId, kind: &CheckedKind) -> Result<Shown, StoreError> {
        let facts = self.take_document(record, kind, DocumentName::Facts)?;
        let private = self.take_document(record, kind, DocumentName::Private)?;
        Ok(Shown {
            course: Course::of(kind, &rows::steps(self.tx, record)?),
            view: facts.as_ref().map(Document::view).transpose()?.unwrap_or_default(),
            private: private.as_ref().map(Document::view).transpose()?,
            unreadable: self.unreadable(record)?,
        })
    }

    fn unreadable(&self, record: RecordId) -> Result<Option<String>, StoreError> {
        let fault: Option<String> = self
            .tx
            .prepare_cached("SELECT text FROM change WHERE record = ?1 AND status = 3 ORDER BY n LIMIT 1")?
            .query_row([record.as_bytes()], |row| row.get(0))
            .optional()?;
        Ok(fault)
    }

    /// Writes the row.
    fn show(
        &mut self,
        record: RecordId,
        opening: &Opening,
        kind: Option<&CheckedKind>,
        shown: &Shown,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let opener = registry::user_of(self.tx, opening.book)?;
        let is_mine = opener.is_some_and(|opener| opener == self.pen.office.user());
        let state = kind.and_then(|kind| kind.state(&shown.course.state));
        let came_back = is_mine && state.is_some_and(|state| state.came_back);
        let title = kind.map_or(
            Label {
                zh: String::new(),
                en: String::new(),
            },
            |kind| title(kind, &shown.view.facts),
        );
        let private_heads = shown.private.as_ref().map_or(&[][..], |view| view.heads.as_slice());
        let conflicts = shown.view.conflicts.len() + shown.private.as_ref().map_or(0, |view| view.conflicts.len());
        let about = kind.and_then(|kind| about(kind, &shown.view.facts));
        let fields = serde_json::to_string(&shown.view.facts.fields).map_err(|error| StoreError::Damaged(error.to_string()))?;
        self.tx.prepare_cached(UPSERT)?.execute(rusqlite::named_params! {
            ":record": record.as_bytes(),
            ":kind": opening.opens.kind,
            ":version": opening.opens.version,
            ":unit": opening.opens.unit.as_bytes(),
            ":book": opening.book.as_bytes(),
            ":user": opener.as_ref().map(beatbook_protocol::id::UserId::as_bytes),
            ":opened_at": opening.at.0,
            ":updated_at": at.0,
            ":state": shown.course.state,
            ":title_zh": title.zh,
            ":title_en": title.en,
            ":about": about.as_ref().map(RecordId::as_bytes),
            ":facts": fields,
            ":heads": joined(&shown.view.heads),
            ":pinned": shown.course.pinned.as_deref().map(joined),
            ":offered": shown.course.offered.as_deref().map(joined),
            ":last_act": shown.course.last_act.as_ref().map(Hash::as_bytes),
            ":private_heads": shown.private.as_ref().map(|view| joined(&view.heads)),
            ":shown_version": shown.course.version(&shown.view.heads, private_heads),
            ":conflicts": i64::try_from(conflicts).unwrap_or(i64::MAX),
            ":came_back": came_back,
            ":unreadable": shown.unreadable,
        })?;
        let documents = [Some(&shown.view.facts), shown.private.as_ref().map(|view| &view.facts)];
        blobs::put_files(self.tx, record, documents)?;
        merges::put(self.tx, record, shown.course.merged_into.filter(|target| *target != record))?;
        if let Some(kind) = kind {
            let private = shown.private.as_ref().map(|view| &view.facts);
            let text = search_text(kind, &title, &shown.view.facts, private.unwrap_or(&Facts::default()));
            self.index(record, &text)?;
        }
        Ok(())
    }

    /// Puts the record's words into the search, under the record's number, when they changed.
    fn index(&self, record: RecordId, text: &str) -> Result<(), StoreError> {
        let hash = Hash::of(&[WORDS, text.as_bytes()]);
        let (n, before): (i64, Option<[u8; 32]>) = self
            .tx
            .prepare_cached("SELECT n, words_hash FROM record WHERE record = ?1")?
            .query_row([record.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if before == Some(*hash.as_bytes()) {
            return Ok(());
        }
        if before.is_some() {
            self.tx.prepare_cached("DELETE FROM search WHERE rowid = ?1")?.execute([n])?;
        }
        self.tx
            .prepare_cached("INSERT INTO search (rowid, words, initials) VALUES (?1, ?2, ?3)")?
            .execute((n, segment::words(text), segment::initials(text)))?;
        self.tx
            .prepare_cached("UPDATE record SET words_hash = ?2 WHERE n = ?1")?
            .execute((n, hash.as_bytes()))?;
        Ok(())
    }
}

const UPSERT: &str = "
INSERT INTO record (record, kind, version, unit, opener_book, opener_user, opened_at, updated_at, state, title_zh, title_en,
                    about, facts, heads, private_heads, pinned, offered, last_act, shown_version, waiting, refused, conflicts,
                    came_back, unreadable)
VALUES (:record, :kind, :version, :unit, :book, :user, :opened_at, :updated_at, :state, :title_zh, :title_en,
        :about, :facts, :heads, :private_heads, :pinned, :offered, :last_act, :shown_version,
        (SELECT count(*) FROM change WHERE record = :record AND document IN (0, 1) AND folded = 0 AND status = 1)
          + (SELECT count(*) FROM act WHERE record = :record AND status = 1),
        (SELECT count(*) FROM change WHERE record = :record AND document IN (0, 1) AND folded = 0 AND status = 2)
          + (SELECT count(*) FROM act WHERE record = :record AND status = 2),
        :conflicts, :came_back, :unreadable)
ON CONFLICT (record) DO UPDATE SET
  kind = excluded.kind, version = excluded.version, unit = excluded.unit, opener_book = excluded.opener_book,
  opener_user = excluded.opener_user, opened_at = excluded.opened_at, updated_at = max(updated_at, excluded.updated_at),
  state = excluded.state, title_zh = excluded.title_zh, title_en = excluded.title_en, about = excluded.about,
  facts = excluded.facts, heads = excluded.heads, private_heads = excluded.private_heads, pinned = excluded.pinned, offered = excluded.offered,
  last_act = excluded.last_act, shown_version = excluded.shown_version, waiting = excluded.waiting,
  refused = excluded.refused, conflicts = excluded.conflicts, came_back = excluded.came_back,
  unreadable = excluded.unreadable";

/// The record that this one is about: what its first reference field names.
fn about(kind: &CheckedKind, facts: &Facts) -> Option<RecordId> {
    let field = kind.fields.iter().find(|field| field.field_type == FieldType::Reference)?;
    facts.fields.get(&field.code)?.as_text()?.parse().ok()
}
