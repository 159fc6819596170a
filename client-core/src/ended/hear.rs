//! Hearing of the end: an order is believed only under the signature of the station that this book was enrolled with, and only for this
//! book. From the moment that it is kept, nothing else is read or written.

use beatbook_protocol::codec;
use beatbook_protocol::id::Hash;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{ExchangeResponse, WipeOrder};

use crate::core::Core;
use crate::store::ended::{self, EndedRow};
use crate::store::sync_state::OwnBook;
use crate::store::{StoreError, Tx};
use crate::sync::SyncError;

/// The station's code for a page that it has no room for.
const FULL: &str = "full";

/// Takes an order in, with what came beside it.
pub(crate) fn hear(
    core: &Core,
    book: &OwnBook,
    order: &WipeOrder,
    reply: &ExchangeResponse,
    now: UnixMillis,
) -> Result<(), SyncError> {
    check(book, order, reply)?;
    let row = EndedRow {
        why: order.why.clone(),
        ended_at: order.ended_at,
        heard_at: now,
        is_unknown: false,
    };
    core.write_past_end(|records| {
        let tx = records.tx();
        ended::put_ended(tx, &row, &codec::to_bytes(order))?;
        settle(tx, reply).map(|_| ())
    })?;
    core.close();
    tracing::warn!(book = %book.book, why = order.why, "the station has put this phone out of use");
    Ok(())
}

/// Whether a reply that bears an order is this station's word to this book.
pub(super) fn check(book: &OwnBook, order: &WipeOrder, reply: &ExchangeResponse) -> Result<(), SyncError> {
    let unbelievable = |why: &str| Err(SyncError::Reply(why.to_owned()));
    if !order.is_for(book.book, &book.origin, &book.receipt_key) {
        return unbelievable("it orders this phone to destroy its records, and is not signed by this book's station");
    }
    if let Some(held) = &reply.held
        && !held.is_for(book.book, &book.origin, &book.receipt_key)
    {
        return unbelievable("what it says to hold is not signed by this book's station");
    }
    let is_signed = match &reply.receipt {
        Some(receipt) => receipt.holds(&reply.answers, &[], &[], &book.receipt_key),
        None => reply.answers.is_empty(),
    };
    if is_signed {
        Ok(())
    } else {
        unbelievable("its receipt is not the station's word on it")
    }
}

/// How many of these pages the station has no room for.
pub(super) fn without_room(reply: &ExchangeResponse) -> usize {
    let refused = reply.held.iter().flat_map(|held| &held.refused);
    refused.filter(|refused| refused.code == FULL).count()
}

/// The pages of which a reply says anything.
pub(super) fn answered(reply: &ExchangeResponse) -> impl Iterator<Item = &Hash> {
    let held = reply.held.iter().flat_map(|held| {
        let refused = held.refused.iter().map(|refused| &refused.page);
        held.pages.iter().chain(refused)
    });
    reply.answers.iter().map(|answer| &answer.page).chain(held)
}

/// Notes what of this phone's pages the station has; tells how many pages that settled.
pub(super) fn settle(tx: &Tx<'_>, reply: &ExchangeResponse) -> Result<usize, StoreError> {
    let mut settled = 0;
    for answer in reply.answers.iter().filter(|answer| answer.leaf.is_some()) {
        ended::settle_page(tx, &answer.page, ended::TAKEN_IN)?;
        settled += 1;
    }
    if let Some(held) = &reply.held {
        for page in &held.pages {
            ended::settle_page(tx, page, ended::HELD)?;
            settled += 1;
        }
        for refused in &held.refused {
            tracing::warn!(page = %refused.page, code = refused.code, text = refused.text, "the station does not hold a page");
            // Room can be made: such a page waits, as for a station that is not there.
            if refused.code == FULL {
                ended::unsettle_page(tx, &refused.page)?;
            } else {
                ended::settle_page(tx, &refused.page, &refused.code)?;
                settled += 1;
            }
        }
    }
    Ok(settled)
}
