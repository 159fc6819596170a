//! Enrolments as the chief handles them: issuing a code with its invitation, watching what comes of it, comparing the check digits. Which
//! phone is let in, `enrol` decides.

use beatbook_protocol::id::{BookId, EnrolmentId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Invitation, code_letters};
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::people::{check_not_blocked, his, letters};
use super::tokens::{self, random};
use crate::audit::{self, Line};
use crate::ended::quarantine::person;
use crate::ended::wiped::{self, WipedView};
use crate::ended::{his_book, may_decide, own_book};
use crate::error::StationError;
use crate::policy::Permission;
use crate::qr;
use crate::review::view::PersonView;
use crate::station::{EnrolmentCode, Session, Station};
use crate::store::{EnrolmentRow, ReadTx};

const MINUTE_MS: i64 = 60 * 1000;

/// An enrolment as the chief sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EnrolmentView {
    /// Its number.
    #[schema(value_type = String)]
    pub id: EnrolmentId,
    /// Who is enrolled.
    pub user: PersonView,
    /// When the code was issued.
    #[schema(value_type = i64)]
    pub issued_at: UnixMillis,
    /// By whom; none for the operator at the machine.
    pub issued_by: Option<PersonView>,
    /// When the code runs out.
    #[schema(value_type = i64)]
    pub expires_at: UnixMillis,
    /// `open`, `run_out`, `awaits` (a phone used it, and its check digits wait to be compared), `enrolled` or `ended`.
    pub state: String,
    /// The book that came of it.
    pub book: Option<BookView>,
}

/// A book as the chief sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BookView {
    /// The book.
    #[schema(value_type = String)]
    pub book: BookId,
    /// Whose.
    pub user: PersonView,
    /// What the phone calls itself.
    pub device: String,
    /// When it was enrolled; none for books from before enrolments were kept.
    #[schema(value_type = Option<i64>)]
    pub enrolled_at: Option<UnixMillis>,
    /// The digits that the phone must show.
    pub check_digits: Option<String>,
    /// Whether its pages wait until these were compared.
    pub awaits: bool,
    /// Since when its pages are taken in.
    #[schema(value_type = Option<i64>)]
    pub confirmed_at: Option<UnixMillis>,
    /// Who compared the digits; none where nobody had to.
    pub confirmed_by: Option<PersonView>,
    /// Why and when its writing ended, and who ordered it.
    pub ended: Option<BookEndView>,
    /// What its phone said last.
    pub wiped: Option<WipedView>,
    /// Pages that came after its end.
    pub held_pages: u64,
}

/// The end of a book as the chief sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BookEndView {
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub why: String,
    /// When.
    #[schema(value_type = i64)]
    pub at: UnixMillis,
    /// Who ordered it; none for the operator at the machine.
    pub by: Option<PersonView>,
}

/// Draws a one-time code.
pub(crate) fn issue(station: &Station, by: Option<&Session>, user: UserId) -> Result<EnrolmentCode, StationError> {
    let letters = letters::<10>(&station.env)?;
    let code = format!(
        "{}-{}",
        letters.get(..5).unwrap_or_default(),
        letters.get(5..).unwrap_or_default()
    );
    let now = station.env.clock.now();
    let row = EnrolmentRow {
        id: EnrolmentId::from_bytes(random(&station.env)?),
        user,
        issued_by: by.map(|by| by.user),
        issued_at: now,
        expires_at: now.plus(i64::from(station.door.rules.code_minutes) * MINUTE_MS),
        book: None,
    };
    let hash = tokens::hash(code_letters(&code).as_bytes());
    station.store.write(|tx| {
        check_not_blocked(&his(tx, by, user, Permission::IssueCodes)?)?;
        tx.put_enrolment_code(&hash, user, row.expires_at)?;
        tx.put_enrolment(&row, &hash)?;
        let detail = format!("enrolment {} of {user}", row.id);
        audit::append(tx, &station.env, &Line::of(row.issued_by, "enrol.code", detail))
    })?;
    let invitation = Invitation::new(
        station.door.rules.address.clone(),
        &code,
        &station.origin,
        (
            station.keys.checkpoint.verifying_key().as_bytes(),
            station.keys.receipt.verifying_key().as_bytes(),
        ),
    );
    let invitation = invitation.to_text();
    Ok(EnrolmentCode {
        id: row.id,
        code,
        expires_at: row.expires_at,
        qr: qr::as_svg(&invitation)?,
        invitation,
    })
}

/// An enrolment, for who may register the person.
pub(crate) fn enrolment(station: &Station, session: &Session, id: EnrolmentId) -> Result<EnrolmentView, StationError> {
    station.store.read(|tx| {
        let row = tx
            .enrolment(id)?
            .filter(|row| may_decide(tx, Some(session), row.user, Permission::IssueCodes).is_ok())
            .ok_or_else(|| StationError::NotFound(format!("enrolment {id}")))?;
        let book = row
            .book
            .as_ref()
            .map(|enrolled| view(station, tx, enrolled.book))
            .transpose()?;
        let state = match &book {
            None if row.expires_at < station.env.clock.now() => "run_out",
            None => "open",
            Some(book) if book.ended.is_some() => "ended",
            Some(book) if book.awaits => "awaits",
            Some(_) => "enrolled",
        };
        Ok(EnrolmentView {
            id,
            user: person(tx, row.user)?,
            issued_at: row.issued_at,
            issued_by: row.issued_by.map(|by| person(tx, by)).transpose()?,
            expires_at: row.expires_at,
            state: state.to_owned(),
            book,
        })
    })
}

/// A book, for its person and for who decides about his phones.
pub(crate) fn book(station: &Station, session: &Session, book: BookId) -> Result<BookView, StationError> {
    station.store.read(|tx| {
        if own_book(station, tx, book)?.user != session.user {
            his_book(station, tx, Some(session), book, Permission::IssueCodes)?;
        }
        view(station, tx, book)
    })
}

fn view(station: &Station, tx: &ReadTx<'_>, book: BookId) -> Result<BookView, StationError> {
    let row = own_book(station, tx, book)?;
    let enrolled = tx.enrolment_of(book)?.and_then(|row| row.book);
    let ended = tx.book_end(book)?.map(|end| {
        Ok::<_, StationError>(BookEndView {
            why: end.why,
            at: end.at,
            by: end.by.map(|by| person(tx, by)).transpose()?,
        })
    });
    Ok(BookView {
        book,
        user: person(tx, row.user)?,
        device: row.device,
        enrolled_at: enrolled.as_ref().map(|enrolled| enrolled.used_at),
        check_digits: enrolled.as_ref().map(|enrolled| enrolled.digits.clone()),
        awaits: enrolled.as_ref().is_some_and(|enrolled| enrolled.confirmed_at.is_none()),
        confirmed_at: enrolled.as_ref().and_then(|enrolled| enrolled.confirmed_at),
        confirmed_by: enrolled
            .and_then(|enrolled| enrolled.confirmed_by)
            .map(|by| person(tx, by))
            .transpose()?,
        ended: ended.transpose()?,
        wiped: wiped::of(tx, book)?,
        held_pages: tx.held_of(book)?.0,
    })
}

/// Lets a book's pages in, by who read the digits on the phone: they must be the station's.
pub(crate) fn confirm(station: &Station, by: Option<&Session>, book: BookId, digits: &str) -> Result<(), StationError> {
    let told: String = digits.chars().filter(char::is_ascii_digit).collect();
    let confirmed = station.store.write(|tx| {
        let row = his_book(station, tx, by, book, Permission::IssueCodes)?;
        let by = by.map(|by| by.user);
        let enrolled = tx.enrolment_of(book)?.and_then(|row| row.book);
        let Some(enrolled) = enrolled.filter(|enrolled| enrolled.confirmed_at.is_none()) else {
            return Err(StationError::Invalid("this book's check digits are not waited for".into()));
        };
        if tx.book_end(book)?.is_some() {
            return Err(StationError::Ended(book));
        }
        let ours: String = enrolled.digits.chars().filter(char::is_ascii_digit).collect();
        let same = bool::from(ours.as_bytes().ct_eq(told.as_bytes()));
        let what = if same { "enrol.confirm" } else { "enrol.mismatch" };
        audit::append(tx, &station.env, &Line::of(by, what, format!("book {book} of {}", row.user)))?;
        if same {
            tx.confirm_enrolment(book, station.env.clock.now(), by)?;
        }
        Ok(same)
    })?;
    if confirmed {
        station.count("enrolments_confirmed");
        return Ok(());
    }
    tracing::warn!(%book, "other check digits than the station's were read on a phone");
    Err(StationError::Invalid(
        "the digits on the phone are not the station's: somebody may stand between. Read them again; if they stay different, end the book \
         as lost, and enrol over another network"
            .into(),
    ))
}
