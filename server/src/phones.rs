//! What each phone still owes, for the chief: when it was last heard of, what it had then, what it has not fetched, whether both ends agree.
//! Reads operational rows; decides nothing.

use beatbook_protocol::id::{BookId, UnitId, UserId};
use beatbook_protocol::limits::APP_CHARS_MAX;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::Owes;
use serde::Serialize;

use crate::error::StationError;
use crate::ledger;
use crate::policy::{self, Permission};
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::ReadTx;

/// One phone as the chief sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PhoneStatus {
    /// Its book.
    #[schema(value_type = String)]
    pub book: BookId,
    /// Whose.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub user_name: String,
    /// His unit.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// What the phone calls itself.
    pub device: String,
    /// Its app at the last contact.
    pub app: Option<String>,
    /// When it was last heard of.
    #[schema(value_type = Option<i64>)]
    pub last_contact: Option<UnixMillis>,
    /// Leaves of the ledger that it has not confirmed yet.
    pub leaves_unconfirmed: u64,
    /// What it said that it still has for the station; none when it said that it has nothing, or never said anything.
    pub owes: Option<PhoneOwes>,
    /// Pages of it that could not be taken in and are set aside here.
    pub pages_set_aside: u64,
    /// Why its book has ended; none while it is written in.
    pub ended: Option<String>,
    /// Whether its digest was the station's when they were last compared; none while they never were.
    pub agrees: Option<bool>,
    /// When they were compared.
    #[schema(value_type = Option<i64>)]
    pub compared_at: Option<UnixMillis>,
}

/// What a phone said that it still has for the station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PhoneOwes {
    /// When it said so, by the station's clock.
    #[schema(value_type = i64)]
    pub said_at: UnixMillis,
    /// Entries that wait on it.
    pub entries: u64,
    /// When the oldest of them was written, by its own clock.
    #[schema(value_type = Option<i64>)]
    pub since: Option<UnixMillis>,
    /// Photos and recordings that wait on it.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Entries that came back and wait for their author.
    pub came_back: u64,
}

/// The phones of the person's units, those that were silent longest first.
pub(crate) fn phones(station: &Station, session: &Session) -> Result<Vec<PhoneStatus>, StationError> {
    policy::require(Some(session), Permission::SeePhones)?;
    station.store.read(|tx| {
        let units = Scope::of(tx, session)?.units_where(Permission::SeePhones);
        let head = ledger::position(tx)?.size;
        let mut phones = Vec::new();
        for book in tx.books()? {
            let Some(user) = tx.user(book.user)?.filter(|user| units.contains(&user.unit)) else {
                continue;
            };
            if book.book != station.book {
                phones.push(phone(tx, head, user.unit, user.name, book)?);
            }
        }
        phones.sort_by_key(|phone| (phone.last_contact, phone.book));
        Ok(phones)
    })
}

fn phone(
    tx: &ReadTx<'_>,
    head: u64,
    unit: UnitId,
    user_name: String,
    book: crate::store::BookRow,
) -> Result<PhoneStatus, StationError> {
    let contact = tx.contact(book.book)?;
    let confirmed = tx.confirmed_by(contact.as_ref())?;
    let said = tx.owed(book.book)?;
    let owes = said.as_ref().filter(|said| said.owes != NOTHING).map(|said| PhoneOwes {
        said_at: said.said_at,
        entries: said.owes.entries,
        since: said.owes.since,
        blobs: said.owes.blobs,
        blob_bytes: said.owes.blob_bytes,
        came_back: said.owes.came_back,
    });
    let agrees = said.as_ref().and_then(|said| said.agrees);
    Ok(PhoneStatus {
        book: book.book,
        user: book.user,
        user_name,
        unit,
        device: book.device,
        app: said.map(|said| said.app).filter(|app| !app.is_empty()),
        last_contact: contact.map(|contact| contact.at),
        leaves_unconfirmed: head.saturating_sub(confirmed),
        owes,
        pages_set_aside: tx.quarantined(Some(book.book))?,
        ended: tx.book_end(book.book)?.map(|end| end.why),
        agrees: agrees.map(|(agrees, _)| agrees),
        compared_at: agrees.map(|(_, at)| at),
    })
}

/// A phone that owes nothing.
const NOTHING: Owes = Owes {
    entries: 0,
    since: None,
    blobs: 0,
    blob_bytes: 0,
    came_back: 0,
};

/// How often an agreement that is nothing new is written down again.
const AGREES_MS: i64 = 60 * 60 * 1000;

/// Notes whether a phone's digest was the station's when they were compared; an exchange with nothing new writes nothing.
pub(crate) fn note_digest(station: &Station, book: BookId, agrees: bool, now: UnixMillis) -> Result<(), StationError> {
    let known = station.store.read(|tx| Ok::<_, StationError>(tx.owed(book)?))?;
    if known
        .and_then(|known| known.agrees)
        .is_some_and(|(was, at)| was == agrees && now.since(at) < AGREES_MS)
    {
        return Ok(());
    }
    station.store.write(|tx| Ok(tx.put_agrees(book, agrees, now)?))
}

/// Keeps what a phone said of itself, when it is not what it said before: an exchange with nothing to do writes nothing.
pub(crate) fn note(station: &Station, book: BookId, app: &str, owes: Option<&Owes>, now: UnixMillis) -> Result<(), StationError> {
    let owes = owes.unwrap_or(&NOTHING);
    let app: String = app.chars().take(APP_CHARS_MAX).collect();
    let known = station.store.read(|tx| Ok::<_, StationError>(tx.owed(book)?))?;
    if known.is_some_and(|known| known.app == app && known.owes == *owes) {
        return Ok(());
    }
    station.store.write(|tx| Ok(tx.put_owed(book, &app, owes, now)?))
}
