//! How the station stands, counted from its rows.

use crate::alarm;
use crate::error::StationError;
use crate::ledger;
use crate::report::{BookStatus, StationStatus};
use crate::station::Station;

/// Counts everything on one look.
pub(crate) fn status(station: &Station) -> Result<StationStatus, StationError> {
    let due = station.due_count()?;
    station.store.read(|tx| {
        let position = ledger::position(tx)?;
        let totals = tx.totals()?;
        let (entries, refused) = tx.entry_counts()?;
        let mut books = Vec::new();
        for book in tx.books()? {
            if book.book == station.book {
                continue;
            }
            let contact = tx.contact(book.book)?;
            books.push(BookStatus {
                book: book.book,
                user_name: tx.user(book.user)?.map(|user| user.name).unwrap_or_default(),
                device: book.device,
                last_contact: contact.map(|contact| contact.at),
                pages: tx.pages_of(book.book)?,
                leaves_owed: position.size.saturating_sub(contact.map_or(0, |contact| contact.size)),
            });
        }
        Ok(StationStatus {
            station: station.name.clone(),
            origin: station.origin.clone(),
            ledger: position,
            records: totals.records,
            in_review: totals.in_review,
            entries,
            refused,
            pages: tx.pages()?,
            quarantined: tx.quarantined(None)?,
            conflicts: totals.conflicted,
            due,
            recovered: tx.recovered_records()?,
            alarm: tx.alarm()?.as_ref().map(alarm::text),
            backed_up_to: tx.station()?.map_or(0, |row| row.backed_up_to),
            tls: station.shown.status(station.env.clock.now()),
            books,
            counters: station.counters.all(),
        })
    })
}
