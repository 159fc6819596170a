//! The alarm: this station's key has signed a history that this ledger does not have, and no restore says why (a copy that runs elsewhere
//! with the same keys, a file that was rewritten). From then on nothing is signed until the operator has looked.
//!
//! Only a note that bears the station's own signature raises it: a cursor alone proves nothing, anybody can invent one.

use beatbook_protocol::id::BookId;
use beatbook_protocol::ledger::Checkpoint;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{Refusal, RefusalCode};

use crate::error::StationError;
use crate::ledger::{self, OldPosition};
use crate::station::Station;
use crate::store::{AlarmRow, ReadTx};

/// Whether a note proves that another history was signed than the one at hand.
pub(crate) fn proves_another(station: &Station, tx: &ReadTx<'_>, note: &str) -> Result<bool, StationError> {
    let key = station.keys.checkpoint.verifying_key();
    Ok(match Checkpoint::verify(note, &station.origin, &key) {
        Ok(checkpoint) => ledger::place_of(tx, &checkpoint.position)? == OldPosition::Strange,
        Err(_) => false,
    })
}

/// Raises the alarm on such a note.
pub(crate) fn raise(station: &Station, book: BookId, note: &str, now: UnixMillis) -> Result<(), StationError> {
    tracing::error!(%book, note, "a phone shows a history that this station signed and does not have: nothing is signed any more");
    station.count("alarms");
    station.store.write(|tx| {
        Ok::<_, StationError>(tx.put_alarm(&AlarmRow {
            at: now,
            book,
            note: note.to_owned(),
        })?)
    })
}

/// The alarm for the operator, with what to do.
pub(crate) fn text(alarm: &AlarmRow) -> String {
    let position: Vec<&str> = alarm.note.lines().take(2).collect();
    format!(
        "book {} showed a checkpoint ({}) that this station's key signed and that is not of this ledger: another copy runs with the same \
         keys, or the database was rewritten. Nothing is signed any more. Find the copy; then restore from the newest backup, which opens \
         a new epoch",
        alarm.book,
        position.join(", size ")
    )
}

/// What phones are told meanwhile: they keep everything.
pub(crate) fn refusal() -> Refusal {
    let mut refusal = Refusal::new(
        &RefusalCode::Other("history_alarm".into()),
        "this station's history is in doubt, and it signs nothing until its operator has looked: keep everything, tell him",
    );
    refusal.retry_after_ms = Some(RETRY_MS);
    refusal
}

/// Phones ask again after so long: it takes a person to end this.
const RETRY_MS: u64 = 10 * 60 * 1000;
