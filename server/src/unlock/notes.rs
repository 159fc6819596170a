//! Emergency notes at the station: taken in sealed as they are, kept sealed, opened when the chief of the unit reads them, which stands on the
//! audit log first. Each says whose phone it came from; who held the phone nobody knows.

use beatbook_protocol::id::{BookId, Hash, UnitId, UserId};
use beatbook_protocol::limits::EMERGENCY_NOTES_MAX;
use beatbook_protocol::note::{NoteFault, NoteFile, OpenedNote, note_hash};
use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::parcel::SealingKey;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{NoteAnswer, NotesRequest, NotesResponse, Refusal, RefusalCode, WIRE_VERSION, pack};
use serde::Serialize;

use super::custody::unhex;
use crate::audit::{self, Line};
use crate::error::StationError;
use crate::policy::{self, Permission};
use crate::refused::refusal_of;
use crate::registry::tokens;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{NoteRow, ReadTx, UserRow, WriteTx};

/// Notes of one book that are taken in 30 days: ten a day.
const NOTES_OF_BOOK_MAX: u64 = 300;
/// The days that are counted.
const COUNTED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// Notes on one page.
const PAGE: u32 = 50;

/// An emergency note as the chief sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NoteView {
    /// The note, by the hash of its file.
    #[schema(value_type = String)]
    pub note: Hash,
    /// When the station got it.
    #[schema(value_type = i64)]
    pub received_at: UnixMillis,
    /// Whose phone it was written on; the phone was locked, so it may have been another's hand.
    #[schema(value_type = String)]
    pub user: UserId,
    /// His name.
    pub user_name: String,
    /// The unit that he worked in when it came.
    #[schema(value_type = String)]
    pub unit: UnitId,
    /// What the phone calls itself.
    pub device: String,
    /// When it was written, by the phone's clock.
    #[schema(value_type = Option<i64>)]
    pub at: Option<UnixMillis>,
    /// What it says; none when it does not open here, and a custodian must open the file.
    pub text: Option<String>,
    /// Where it was written, as a `geo:` URI.
    pub place: Option<String>,
    /// Whether the phone's own key signed it.
    pub is_signed: bool,
}

/// Emergency notes, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NotePage {
    /// The notes.
    pub notes: Vec<NoteView>,
    /// Give this as `before` for those that came earlier; none when there are none.
    pub before: Option<u64>,
}

/// Takes notes in, under the token of the phone that they were written on; once its book has ended, under the book's signature.
pub(crate) fn take(station: &Station, packed: &[u8], token: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let now = station.env.clock.now();
    // Nothing of a caller's is read before he has shown a token, unless he has none at all: then few are read at a time.
    let stranger = token.is_none().then(|| station.strangers.place()).transpose()?;
    let mut place = station.room.enter(None)?;
    let mut read_request = || place.read::<NotesRequest>("notes", packed);
    let early = token.is_none().then(&mut read_request).transpose()?;
    let carrier = station.store.read(|tx| match (token, &early) {
        (Some(token), _) => carrier_by_token(tx, token, now),
        (None, Some(request)) => carrier_by_signature(station, tx, request),
        (None, None) => Ok(None),
    });
    let Some((book, user)) = carrier.map_err(|fault| refusal_of(&fault))? else {
        return Err(Refusal::new(
            &RefusalCode::SignIn,
            "exchange first: notes are taken under the phone's token, or signed by a book that has ended",
        ));
    };
    drop(stranger);
    let request = early.map_or_else(read_request, Ok)?;
    if request.version != WIRE_VERSION {
        return Err(Refusal::new(
            &RefusalCode::Version,
            "this station speaks version 1: update the app",
        ));
    }
    if request.notes.len() > EMERGENCY_NOTES_MAX {
        return Err(Refusal::new(&RefusalCode::TooLarge, "too many notes in one request"));
    }
    let answers = station.store.write(|tx| {
        let notes = request.notes.iter();
        notes
            .map(|file| take_one(station, tx, (book, &user), file, now))
            .collect::<Result<Vec<_>, _>>()
    });
    let answers = answers.map_err(|fault| refusal_of(&fault))?;
    station.env.steps.passes("notes taken in");
    let taken = answers.iter().filter(|answer| answer.code.is_none()).count();
    tracing::info!(%book, taken, refused = answers.len() - taken, "emergency notes came");
    let response = NotesResponse {
        version: WIRE_VERSION,
        answers,
    };
    pack(&response).map_err(|fault| Refusal::new(&RefusalCode::Internal, fault.to_string()))
}

fn carrier_by_token(tx: &ReadTx<'_>, token: &str, now: UnixMillis) -> Result<Option<(BookId, UserRow)>, StationError> {
    let token = tokens::find(tx, token, now)?;
    let Some((book, user)) = token.and_then(|row| Some((row.book?, row.user))) else {
        return Ok(None);
    };
    Ok(tx.user(user)?.map(|user| (book, user)))
}

/// The book of a phone that was put out of use has no token any more, and its notes are still to be heard.
fn carrier_by_signature(
    station: &Station,
    tx: &ReadTx<'_>,
    request: &NotesRequest,
) -> Result<Option<(BookId, UserRow)>, StationError> {
    let Some(signed) = &request.signed else { return Ok(None) };
    let Some(book) = tx.book(signed.book)?.filter(|book| book.book != station.book) else {
        return Ok(None);
    };
    let is_signed =
        BookPublicKey::parse(book.suite, &book.key).is_ok_and(|key| signed.is_of(&request.notes, &key, &station.origin));
    if !is_signed || tx.book_end(signed.book)?.is_none() {
        return Ok(None);
    }
    Ok(tx.user(book.user)?.map(|user| (signed.book, user)))
}

fn take_one(
    station: &Station,
    tx: &WriteTx<'_>,
    (book, user): (BookId, &UserRow),
    file: &[u8],
    now: UnixMillis,
) -> Result<NoteAnswer, StationError> {
    let note = note_hash(file);
    let refused = |code: &str, text: String| {
        Ok(NoteAnswer {
            note,
            code: Some(code.to_owned()),
            text: Some(text),
        })
    };
    let parsed = match NoteFile::parse(file) {
        Ok(parsed) if parsed.origin != station.origin => {
            let fault = NoteFault::OtherStation(parsed.origin.chars().take(80).collect());
            return refused(fault.code(), fault.to_string());
        }
        Ok(parsed) => parsed,
        Err(fault) => return refused(fault.code(), fault.to_string()),
    };
    match parsed.open(&station.keys.sealing) {
        Ok(opened) => {
            let author = tx.book(opened.content.book)?.map(|book| book.user);
            if author != Some(user.user) {
                return refused(
                    "note_other_author",
                    "the note says that it is of another person's phone".into(),
                );
            }
        }
        // Sealed to a key that this station had before, or to custodians alone: they open it.
        Err(NoteFault::Sealed) => tracing::warn!(%book, %note, "an emergency note does not open here"),
        Err(fault) => return refused(fault.code(), fault.to_string()),
    }
    if tx.notes_since(book, now.plus(-COUNTED_MS))? >= NOTES_OF_BOOK_MAX && !tx.has_note(&note)? {
        return refused(
            "note_quota",
            format!("the station has taken {NOTES_OF_BOOK_MAX} notes of this phone in 30 days"),
        );
    }
    tx.put_note(&NoteRow {
        number: 0,
        note,
        book,
        user: user.user,
        unit: user.unit,
        received_at: now,
        file: file.to_vec(),
    })?;
    Ok(NoteAnswer {
        note,
        code: None,
        text: None,
    })
}

/// The notes of the chief's units, the newest first; that he read them is on the log before he does.
pub(crate) fn read_notes(station: &Station, session: &Session, before: Option<u64>) -> Result<NotePage, StationError> {
    policy::require(Some(session), Permission::ReadNotes)?;
    station.store.write(|tx| {
        let units: Vec<UnitId> = Scope::of(tx, session)?
            .units_where(Permission::ReadNotes)
            .into_iter()
            .collect();
        let rows = tx.notes_in(&units, before, PAGE)?;
        let oldest = rows.last().map(|row| row.number);
        let is_full = rows.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        let views = rows.iter().map(|row| view(station, tx, row)).collect::<Result<Vec<_>, _>>()?;
        let now = station.env.clock.now();
        for (note, row) in views.iter().zip(&rows) {
            let line = Line::of(Some(session.user), "note.read", format!("note {}", note.note));
            audit::append(tx, &station.env, &line)?;
            // From here its time runs.
            tx.put_note_read(row.number, now)?;
        }
        Ok(NotePage {
            notes: views,
            before: oldest.filter(|_| is_full),
        })
    })
}

fn view(station: &Station, tx: &ReadTx<'_>, row: &NoteRow) -> Result<NoteView, StationError> {
    let opened = NoteFile::parse(&row.file)
        .and_then(|note| note.open(&station.keys.sealing))
        .ok();
    let book = tx.book(row.book)?;
    let is_signed = match &opened {
        Some(opened) => tx
            .book(opened.content.book)?
            .and_then(|book| BookPublicKey::parse(book.suite, &book.key).ok())
            .is_some_and(|key| opened.is_signed_by(&key)),
        None => false,
    };
    let content = opened.map(|opened| opened.content);
    Ok(NoteView {
        note: row.note,
        received_at: row.received_at,
        user: row.user,
        user_name: tx.user(row.user)?.map_or_else(|| row.user.to_string(), |user| user.name),
        unit: row.unit,
        device: book.map(|book| book.device).unwrap_or_default(),
        at: content.as_ref().map(|content| content.at),
        place: content.as_ref().and_then(|content| content.place.clone()),
        text: content.map(|content| content.text),
        is_signed,
    })
}

/// Opens a note's file with a custodian's secret, without any station.
pub(crate) fn open_note(file: &[u8], secret: &str) -> Result<OpenedNote, StationError> {
    let secret = unhex(secret).ok_or_else(|| StationError::Invalid("a custodian's secret has 64 hexadecimal digits".into()))?;
    let note = NoteFile::parse(file).and_then(|note| note.open(&SealingKey::from_bytes(&secret)));
    note.map_err(|fault| StationError::Invalid(fault.to_string()))
}
