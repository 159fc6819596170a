//! The end of this phone's book: the station's order is heard and verified, what waits is handed in, then keys and records are destroyed, and
//! a last word is left. Killed at any step, it goes on at the next start.
//!
//! ```text
//!  sync ─► hear (order verified, kept; nothing is shown any more)
//!       ─► Parting: pages ─► station holds them ─► last word signed
//!       ─► shred: note beside the file ─► keys ─► files ─► Farewell: last word told to the station, note kept for the app
//! ```
//!
//! Knows neither why a book ends nor what becomes of what is held.

mod farewell;
mod forgotten;
mod hear;
mod note;
mod parting;
mod shred;

#[cfg(test)]
mod tests;

use beatbook_protocol::id::{BookId, UserId};
use beatbook_protocol::time::UnixMillis;

use crate::core::Core;
use crate::error::CoreError;
use crate::store::{ended, registry};

pub use farewell::{Farewell, FarewellFault};
pub(crate) use forgotten::{has_ended_it, may_enrol};
pub(crate) use hear::hear;
pub use note::{Farewelled, NoteState};
pub use parting::{LastWord, Parting, PartingReport, PartingStep};
#[cfg(test)]
pub(crate) use shred::shred_watched;
pub use shred::{KeysInFile, Shredder, shred};

/// The end of this phone's book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub why: String,
    /// When, by the station's clock.
    pub ended_at: UnixMillis,
    /// When this phone heard of it, by its own clock.
    pub heard_at: UnixMillis,
    /// Whether the station said last that it does not know this book, so that nothing can be handed in: it was restored to before its enrolment.
    /// An invitation of the chief's takes the end back ([`crate::sync::Enrolment`]); what waits goes along.
    pub is_unknown: bool,
}

/// A book of somebody whose writing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookEnd {
    /// The book.
    pub book: BookId,
    /// `lost`, `retired`, `transferred` or `blocked`.
    pub why: String,
    /// Whose, where the station said so.
    pub user: Option<UserId>,
    /// His name.
    pub name: Option<String>,
}

/// The end of this phone's book; none while it is written in. The one thing that is shown after it.
///
/// # Errors
/// Those of the store.
pub fn ended(core: &Core) -> Result<Option<Ended>, CoreError> {
    let row = core.read_past_end(ended::ended)?;
    Ok(row.map(|row| Ended {
        why: row.why,
        ended_at: row.ended_at,
        heard_at: row.heard_at,
        is_unknown: row.is_unknown,
    }))
}

/// Whether keys and records of a file are being destroyed: [`Farewell::go_on`] finishes it. A note that cannot be read counts as one.
pub(crate) fn is_being_shredded(database: &std::path::Path) -> bool {
    match Farewell::find(database) {
        Ok(found) => found.is_some_and(|farewell| farewell.state() == NoteState::Shredding),
        Err(_) => true,
    }
}

/// The books of colleagues whose writing ended, as the station told it.
///
/// # Errors
/// Those of the store.
pub fn book_ends(core: &Core) -> Result<Vec<BookEnd>, CoreError> {
    core.read(|tx| {
        ended::book_ends(tx)?
            .into_iter()
            .map(|(book, why, user)| {
                Ok(BookEnd {
                    book,
                    why,
                    user,
                    name: user.map(|user| registry::name_of(tx, user)).transpose()?,
                })
            })
            .collect()
    })
}
