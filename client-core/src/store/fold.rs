//! Folding a record anew: its documents and acts become the row that lists show. Runs in the transaction that changed the record.

use std::sync::mpsc::Receiver;

use beatbook_protocol::document::View;
use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::kind::{CheckedKind, FieldType, Label};
use beatbook_protocol::time::UnixMillis;
use rusqlite::OptionalExtension;

use super::ahead::{self, Bench, Found};
use super::records::{Changes, Records};
use super::rows::{self, Opening, Status, joined};
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

/// A record that is being folded: what was read of it, until what arrived for it is judged.
#[derive(Debug)]
pub(super) struct Begun {
    record: RecordId,
    at: UnixMillis,
    opening: Opening,
    kind: CheckedKind,
    changes: Changes,
    /// What the guard will have found, by document.
    found: [Option<Receiver<Found>>; 2],
}

impl Records<'_> {
    /// Folds one record anew.
    pub(super) fn refold(&mut self, record: RecordId, at: UnixMillis) -> Result<(), StoreError> {
        ahead::with_help(1, |bench| match self.begin_fold(record, at, bench)? {
            Some(begun) => self.finish_fold(begun, bench),
            None => Ok(()),
        })
    }

    /// Begins to fold one record anew: what arrived for it goes to be judged. None where there is nothing to judge it by, and it is folded
    /// already. A record whose opening has not come yet stays unseen; its entries wait.
    pub(super) fn begin_fold(&mut self, record: RecordId, at: UnixMillis, bench: &Bench) -> Result<Option<Begun>, StoreError> {
        let Some(opening) = rows::opening(self.tx, record)? else {
            self.hide(record)?;
            return Ok(None);
        };
        let kind = self.pen.office.kinds.get(&opening.opens.kind, opening.opens.version).cloned();
        let Some(kind) = kind else {
            let why = format!(
                "kind {} version {} is not on this phone yet",
                opening.opens.kind, opening.opens.version
            );
            let shown = Shown {
                unreadable: Some(why),
                ..Shown::default()
            };
            self.show(record, &opening, None, &shown, at)?;
            return Ok(None);
        };
        let mut changes = self.changes_of(record)?;
        if self.park_descendants(record, &changes)? {
            changes = self.changes_of(record)?;
        }
        // Parking a descendant touches the record that is being folded: it is.
        self.touched.remove(&record);
        let mut found = [None, None];
        for (found, document) in found.iter_mut().zip(&changes) {
            *found = self.put_arrived(record, &kind, document)?.map(|case| bench.put(case));
        }
        Ok(Some(Begun {
            record,
            at,
            opening,
            kind,
            changes,
            found,
        }))
    }

    /// Ends it: takes in what the guard found, and writes the row.
    pub(super) fn finish_fold(&mut self, begun: Begun, bench: &Bench) -> Result<(), StoreError> {
        let (record, kind) = (begun.record, &begun.kind);
        let shown = match self.read_shown(&begun, bench) {
            Ok(shown) => shown,
            Err(StoreError::Document(error)) => Shown {
                unreadable: Some(error.to_string()),
                ..Shown::default()
            },
            Err(error) => return Err(error),
        };
        self.show(record, &begun.opening, Some(kind), &shown, begun.at)?;
        let long = begun
            .changes
            .iter()
            .filter(|(_, rows)| rows.len() >= papers::SNAPSHOT_CHANGES);
        for (name, _) in long {
            let shape = self.pen.office.shape(kind, *name)?;
            papers::fold(self.tx, &shape, self.pen.actor, record)?;
        }
        self.forget(record);
        Ok(())
    }

    /// Brings the row of a record up to date of which nothing moved but own changes that wait no longer: documents, course and words are
    /// as they were, so no document is opened. False when more may have to be shown, or kept, and the record must be folded.
    pub(super) fn recount(&self, record: RecordId) -> Result<bool, StoreError> {
        if self.pen.is_outdated {
            return Ok(false);
        }
        let (waiting, is_plain): (i64, Option<bool>) = self
            .tx
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE status = 1 AND folded = 0 AND document IN (0, 1)),
                        max(status) <= 1 AND count(opens) = 1 AND count(*) FILTER (WHERE status = 0 AND folded = 0) < ?2
                 FROM change WHERE record = ?1",
            )?
            .query_row(
                (record.as_bytes(), i64::try_from(papers::SNAPSHOT_CHANGES).unwrap_or(i64::MAX)),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
        if is_plain != Some(true) {
            return Ok(false);
        }
        let recounted = self
            .tx
            .prepare_cached(
                "UPDATE record SET waiting = ?2 + (SELECT count(*) FROM act WHERE record = ?1 AND status = 1)
                 WHERE record = ?1 AND unreadable IS NULL AND opener_user IS NOT NULL AND refused = 0",
            )?
            .execute((record.as_bytes(), waiting))?;
        Ok(recounted > 0)
    }

    fn read_shown(&mut self, begun: &Begun, bench: &Bench) -> Result<Shown, StoreError> {
        let (record, kind) = (begun.record, &begun.kind);
        let mut views = [None, None];
        let mut has_unread = false;
        for ((view, found), (name, rows)) in views.iter_mut().zip(&begun.found).zip(&begun.changes) {
            has_unread |= rows.iter().any(|row| row.status == Status::Unreadable);
            *view = match found {
                Some(found) => {
                    let (outcomes, says) = bench.take(found)?;
                    has_unread |= self.take_outcomes(rows, outcomes)?;
                    Some(says)
                }
                None => {
                    let document = self.take_read(record, kind, (*name, rows))?;
                    document.map(|document| document.view()).transpose()?
                }
            };
        }
        let [facts, private] = views;
        Ok(Shown {
            course: Course::of(kind, &rows::steps(self.tx, record)?),
            view: facts.unwrap_or_default(),
            private,
            unreadable: if has_unread { self.unreadable(record)? } else { None },
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
        // Not by RETURNING: a statement that may have to be undone by itself makes the index write out what it has gathered so far.
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
