//! What a request says: pages first, then what differs, what is wanted and what is given back. Seals and packs; sends nothing and knows
//! no replies.

use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::id::{Hash, RecordId};
use beatbook_protocol::limits::WANTED_MAX;
use beatbook_protocol::page::Signer;
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{self, ExchangeRequest, GivenEntry, KeyShare};

use super::load::Load;
use super::{Budget, SyncError};
use crate::core::Core;
use crate::error::CoreError;
use crate::store::give::{self, Which};
use crate::store::sync_state::{self, Exchanged, OwnBook};
use crate::store::{StoreError, Tx, digests, lock, outbox, pages, parcels, sending};

/// What the phone calls its version.
pub(crate) const APP: &str = concat!("beatbook/", env!("CARGO_PKG_VERSION"));
/// Bytes of entries that one request gives back: what a phone sends in a few seconds over a slow line.
const GIVEN_BYTES: usize = 1024 * 1024;

/// What the machine wants of the next request, beside what waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// What the line has carried.
    pub(super) load: Load,
    /// What the sync may use.
    pub(super) budget: Budget,
    /// Whether to find the records that differ.
    pub(super) compares: bool,
    /// Whether the phone had caught up by the last reply: only then is it clear what a restored station lacks.
    pub(super) gives: bool,
    /// Whether to show the station the checkpoint that it does not know.
    pub(super) shows_witness: bool,
}

/// A request that is out.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) packed: Vec<u8>,
    pub(super) pages: usize,
    pub(super) token: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) said: Said,
}

/// What a request said that its reply is read against.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The digest of the phone's accepted state.
    pub(super) digest: Option<SetDigest>,
    /// Whether it asked for the feed.
    pub(super) wants_feed: bool,
    /// Whether it asked which records differ.
    pub(super) compares: bool,
    /// Records that it wanted whole.
    pub(super) wanted: Vec<RecordId>,
    /// Entries that it gave back.
    pub(super) given: Vec<Hash>,
    /// Whether it showed an older checkpoint.
    pub(super) witness: bool,
}

/// Seals what waits and packs a request.
pub(super) fn ask(
    core: &Core,
    book: &OwnBook,
    signer: &dyn Signer,
    wish: &mut Wish,
    now: UnixMillis,
) -> Result<Asked, SyncError> {
    super::seal::seal(core, book, signer, now)?;
    let kinds = Some(core.office().kinds_digest);
    loop {
        let exchanged = core.read(sync_state::exchanged)?;
        let (mut request, said) = core
            .read(|tx| written(tx, book, wish, &exchanged, now))?
            .ok_or(SyncError::NotEnrolled)?;
        request.kinds = kinds;
        request.share = own_share(core, book)?;
        let pages = request.pages.len();
        match wire::pack(&request) {
            Ok(packed) => {
                return Ok(Asked {
                    packed,
                    pages,
                    token: exchanged.token,
                    signature: None,
                    said,
                });
            }
            Err(_) if pages > 1 => wish.load.pages = pages / 2,
            Err(fault) => return Err(CoreError::Internal(fault.to_string()).into()),
        }
    }
}

/// The request as the file stands; none without a life to write in.
fn written(
    tx: &Tx<'_>,
    book: &OwnBook,
    wish: &Wish,
    exchanged: &Exchanged,
    now: UnixMillis,
) -> Result<Option<(ExchangeRequest, Said)>, StoreError> {
    let Some((incarnation, next)) = pages::incarnation(tx)? else {
        return Ok(None);
    };
    let is_filled = exchanged.cursor.as_ref().is_some_and(|cursor| cursor.fill.is_none());
    // What is shown of a history that the station does not know is no witness for what is given back.
    let may_give = !wish.shows_witness;
    let mut given = if may_give {
        give::batch(tx, Which::UnderOwn, GIVEN_BYTES, now)?
    } else {
        Vec::new()
    };
    let pages = if given.is_empty() {
        sending::to_send(tx, wish.load.pages, wish.budget.bytes_up_max)?
    } else {
        Vec::new()
    };
    // What happened elsewhere is learnt after the last sealed page is sent: the station holds the cursor against the author.
    let wants_feed = pages.len() >= pages::sealed(tx)?;
    let compares = wish.compares && wants_feed && is_filled;
    let mut said = Said {
        digest: if is_filled { Some(digests::total(tx)?) } else { None },
        wants_feed,
        compares,
        ..Said::default()
    };
    if wants_feed && is_filled {
        said.wanted = digests::wanted(tx, WANTED_MAX)?;
    }
    if wish.gives && may_give && is_filled && given.is_empty() && pages.is_empty() {
        given = give::batch(tx, Which::All, GIVEN_BYTES, now)?;
    }
    let witness = if wish.shows_witness {
        exchanged.checkpoint.clone()
    } else if given.is_empty() {
        None
    } else {
        give::witness(tx)?
    };
    said.witness = witness.is_some();
    let (hashes, entries): (Vec<Hash>, Vec<GivenEntry>) = given.into_iter().unzip();
    said.given = hashes;
    let request = ExchangeRequest {
        owes: outbox::owes(tx, pages.len())?,
        pages,
        app: APP.to_owned(),
        feed_bytes_max: if wants_feed {
            wish.load.feed_bytes(wish.budget.feed_bytes_max)
        } else {
            Some(0)
        },
        digest: said.digest,
        given: (!entries.is_empty()).then_some(entries),
        next: Some(next),
        buckets: if compares {
            Some(digests::buckets(tx)?.to_bytes())
        } else {
            None
        },
        wanted: (!said.wanted.is_empty()).then(|| said.wanted.clone()),
        witness,
        sealing: sync_state::wants_sealing_key(tx, &book.origin, now)?.then_some(true),
        lease_ms: lock::lease_ms(tx)?,
        ..ExchangeRequest::plain(book.book, incarnation, exchanged.cursor.clone())
    };
    Ok(Some((request, said)))
}

/// The share of the file's key, until the station has said that it keeps it. Sealed to the station, so that nothing between reads it.
fn own_share(core: &Core, book: &OwnBook) -> Result<Option<KeyShare>, CoreError> {
    let (own, key) = core.read(|tx| Ok((lock::share(tx)?, parcels::sealing_key(tx, &book.origin)?)))?;
    let share = own.filter(|own| !own.is_kept).and_then(|own| own.share);
    let (Some(share), Some((key, _))) = (share, key) else {
        return Ok(None);
    };
    // A station's key that is none comes right with the next word of it.
    Ok(KeyShare::seal(&share, &book.origin, book.book, &key, &core.platform().bytes()).ok())
}
