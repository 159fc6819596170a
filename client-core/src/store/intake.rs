//! Entries and kinds as they come from the station, by feed or by fill. What cannot be read is kept, and read again by a later app.

use beatbook_protocol::document::guard;
use beatbook_protocol::entry::{self, Entry, RegistryEvent};
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::time::UnixMillis;

use super::records::Records;
use super::rows::{self, Came, NewChange, Status};
use super::{StoreError, ended, identity, lock, registry};

/// An entry from the ledger, as the feed shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedItem<'a> {
    /// The leaf's number.
    pub(crate) leaf: u64,
    /// Number within its page.
    pub(crate) position: u32,
    /// Whose book.
    pub(crate) book: BookId,
    /// When the station took it in.
    pub(crate) received: UnixMillis,
    /// The entry's bytes.
    pub(crate) bytes: &'a [u8],
    /// Whether an act was taken in as an offer only.
    pub(crate) offered: bool,
}

impl Records<'_> {
    /// Takes in an entry from the feed. Bytes that we cannot read are kept, and their record is marked; an entry that is here already
    /// (an own one that comes back to a restored phone) is accepted from now on.
    pub(crate) fn take_in(&mut self, item: &FeedItem<'_>) -> Result<(), StoreError> {
        let entry = entry::identity(item.bytes);
        let place = (item.leaf, item.position);
        if self.settle_known(&entry, place, item.offered)? {
            return Ok(());
        }
        let came = Came {
            place,
            received: item.received,
            bytes: item.bytes,
        };
        match Entry::parse(item.bytes) {
            Ok(Entry::Change(change)) => {
                let envelope = guard::envelope(&change.change).ok();
                let row = NewChange {
                    entry,
                    record: change.record,
                    document: change.document,
                    hash: envelope.as_ref().map(|envelope| envelope.hash),
                    deps: envelope.as_ref().map_or(&[], |envelope| &envelope.deps),
                    bytes: &change.change,
                    opens: change.opens.as_ref(),
                    settles: change.settles == Some(true),
                    book: item.book,
                    at: change.at,
                    status: Status::Arrived,
                    came: Some(came),
                };
                rows::put_change(self.tx, &row)?;
                self.moved.insert(change.record);
                self.touch(change.record, change.at.min(item.received));
            }
            Ok(Entry::Act(act)) => {
                let stands = (Status::Accepted, Some(came), item.offered);
                rows::put_act(self.tx, &entry, &act, item.bytes, item.book, stands)?;
                self.moved.insert(act.record);
                self.touch(act.record, act.at.min(item.received));
            }
            Ok(Entry::Registry(event)) => self.register(&event, item.leaf)?,
            // What a restored station was given back.
            Ok(Entry::Recovered(recovered)) => self.take_in(&FeedItem {
                book: recovered.book,
                received: recovered.received,
                bytes: &recovered.entry,
                ..*item
            })?,
            Ok(Entry::Other(sort)) => self.keep_unread(&entry, item, &format!("entry of sort {sort}, from a newer version"))?,
            Err(error) => self.keep_unread(&entry, item, &error.to_string())?,
        }
        Ok(())
    }

    /// Takes in a kind file from a reply, and reads the records that waited for it.
    pub(crate) fn put_kind(&mut self, kind: &str, version: u32, source: &str) -> Result<(), StoreError> {
        registry::put_kind(self.tx, kind, version, source)?;
        match self.pen.office.kinds.with([(format!("{kind} {version}").as_str(), source)]) {
            Ok(kinds) => self.pen.office.kinds = kinds,
            Err(error) => tracing::warn!(%error, kind, version, "a kind cannot be read"),
        }
        self.pen.is_outdated = true;
        let mut waiting = self.tx.prepare_cached(
            "SELECT record, updated_at FROM record WHERE kind = ?1 AND version = ?2 AND unreadable IS NOT NULL",
        )?;
        let waiting = waiting.query_map((kind, version), |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in waiting {
            let (record, at) = row?;
            self.touch(RecordId::from_bytes(record), UnixMillis(at));
        }
        Ok(())
    }

    fn register(&mut self, event: &RegistryEvent, leaf: u64) -> Result<(), StoreError> {
        match event {
            // Where he works reaches as far as the tree does.
            RegistryEvent::Unit(unit) => self.pen.is_outdated |= registry::put_unit(self.tx, unit, leaf)?,
            RegistryEvent::User(user) => {
                let is_news = registry::put_person(self.tx, user.user, &user.name, &user.roles, user.unit, Some(leaf))?;
                if is_news && self.pen.office.user() == user.user {
                    // What he opens from now on belongs to the unit that he works in now.
                    identity::set_unit(self.tx, user.unit)?;
                    self.pen.is_outdated = true;
                }
            }
            RegistryEvent::Book(book) => registry::put_book(self.tx, book.book, book.user)?,
            RegistryEvent::Kind(kind) => self.put_kind(&kind.kind, kind.version, &kind.source)?,
            RegistryEvent::Membership(membership) => {
                let is_news = registry::put_membership(self.tx, membership, leaf)?;
                self.pen.is_outdated |= is_news && self.pen.office.user() == membership.user;
            }
            // Whose scope a record is in shows by its coming and going; what somebody is over it, by whom it is granted to.
            RegistryEvent::Grant(grant) => registry::put_grant(self.tx, grant, leaf)?,
            RegistryEvent::BookEnd(end) => ended::put_book_end(self.tx, end.book, &end.why, leaf)?,
            RegistryEvent::Destruction(event) => self.destroy(event.record, event.document.is_some())?,
            RegistryEvent::Hold(_) | RegistryEvent::AuditAnchor(_) => {}
            RegistryEvent::UnitKey(key) => lock::put_unit_key(self.tx, key, leaf)?,
            RegistryEvent::Other(event) => tracing::info!(event, "a registry event of a newer version"),
        }
        Ok(())
    }

    fn keep_unread(&self, entry: &Hash, item: &FeedItem<'_>, why: &str) -> Result<(), StoreError> {
        tracing::warn!(%entry, why, "an entry cannot be read");
        self.tx
            .prepare_cached(
                "INSERT INTO unread (entry, bytes, book, leaf, position, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute((
                entry.as_bytes(),
                item.bytes,
                item.book.as_bytes(),
                item.leaf.cast_signed(),
                item.position,
                why,
            ))?;
        Ok(())
    }

    /// Reads again what an earlier app could not read, and counts all digests anew: called once when another app opens the file.
    pub(crate) fn read_again(&mut self) -> Result<(), StoreError> {
        type Row = (Vec<u8>, [u8; 16], i64, u32);
        let unread: Vec<Row> = self
            .tx
            .prepare("SELECT bytes, book, leaf, position FROM unread ORDER BY leaf, position, entry")?
            .query_map([], |row| row.try_into())?
            .collect::<Result<_, _>>()?;
        self.tx.execute("DELETE FROM unread", [])?;
        for (bytes, book, leaf, position) in unread {
            self.take_in(&FeedItem {
                leaf: leaf.cast_unsigned(),
                position,
                book: BookId::from_bytes(book),
                received: self.now,
                bytes: &bytes,
                offered: false,
            })?;
        }
        let refused = "UPDATE change SET status = 4, code = NULL, text = NULL WHERE status = 3 RETURNING record, at";
        for (record, at) in self.returned(refused, [])? {
            self.touch(record, at);
        }
        for (record, at) in self.returned(
            "SELECT record, updated_at FROM record WHERE unreadable IS NOT NULL ORDER BY n",
            [],
        )? {
            self.touch(record, at);
        }
        self.count_all()
    }
}
