//! Destruction of whole documents: salts and bytes of their entries go, everything else of the ledger stays and proves. A destruction is an
//! event on the ledger, written in the same step, and a line in the keys directory, by which a restore carries it out again.
//!
//! ```text
//!  order (retention, a resident's request, an order) ─► carry: which entries, their root ─► event ─► projections, blobs, audit line
//!                                                        │ one transaction                      └─► feed: phones that may hold it
//!                                                        └─ afterwards: keys' log, files of blobs, index and journal (each made up for
//!                                                           at the next opening, should the process end in between)
//! ```
//!
//! Knows not when something is over: that is `retention`'s to say.

mod carry;
mod logbook;
mod refusal;
mod report;

use beatbook_protocol::id::{RecordId, UserId};
use beatbook_protocol::kind::DocumentName;

pub(crate) use carry::{Hand, again, carry_out, group_of};
pub(crate) use logbook::{FILE as LOGBOOK, Logbook};
pub(crate) use refusal::{Concerns, Destroyed, event_of, refused_for};
pub(crate) use report::table;
pub use report::{DestructionPage, DestructionView};

use crate::blobs::Blobs;
use crate::error::StationError;
use crate::station::Station;
use crate::store::Store;
use crate::{blobs, ledger};

/// Why something is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its time is over.
    Retention,
    /// A resident asked for it, and it was granted.
    Request,
    /// Somebody with the right to do so ordered it.
    Order,
}

impl Why {
    /// The code in events.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Request => "request",
            Self::Order => "order",
        }
    }
}

/// What is to be destroyed.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The record.
    pub(crate) record: RecordId,
    /// Whether its private document alone.
    pub(crate) private_only: bool,
    /// Why, by code.
    pub(crate) why: String,
    /// The rule or decision that it rests on.
    pub(crate) rule: String,
    /// Who ordered it; none where the rule alone did, and for the operator.
    pub(crate) by: Option<UserId>,
}

impl Order {
    /// The document that goes; none for the whole record.
    pub(crate) fn document(&self) -> Option<DocumentName> {
        self.private_only.then_some(DocumentName::Private)
    }
}

/// What follows a destruction outside the database. Each step may be repeated, and is at the next opening.
pub(crate) fn settle(station: &Station) -> Result<(), StationError> {
    station.env.steps.passes("destruction committed");
    let rows = station.store.read(|tx| {
        ledger::note(tx, &station.keys)?;
        Ok::<_, StationError>(tx.destructions(None, u32::MAX)?)
    })?;
    station.keys.destroyed.catch_up(&rows)?;
    station.env.steps.passes("destruction logged");
    blobs::remove_destroyed(&station.store, &station.blobs)?;
    station.env.steps.passes("blobs of the destroyed removed");
    scrub(&station.store);
    Ok(())
}

/// What a destruction left to do when the process ended.
pub(crate) fn resume(store: &Store, blobs: Blobs) -> Result<Blobs, StationError> {
    blobs::remove_destroyed(store, &blobs)?;
    scrub(store);
    Ok(blobs)
}

/// Drives deleted bytes out of the file. What does not succeed stays noted, and keeps nobody from working.
pub(crate) fn scrub(store: &Store) {
    match store.scrub() {
        Ok(true) => {}
        Ok(false) => tracing::info!("deleted bytes wait in the journal for a long read to end: they go at the next occasion"),
        Err(fault) => {
            tracing::warn!(%fault, "deleted bytes are still in the database's free pages or journal: make as much room as it is large")
        }
    }
}
