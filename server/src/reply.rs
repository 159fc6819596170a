//! The reply to an exchange, made on one look at the ledger: feed, fill, what left the scope, digests, proofs, receipt. Writes nothing.

use beatbook_protocol::digest::SetDigest;
use beatbook_protocol::id::{BookId, Hash, IncarnationId, RecordId};
use beatbook_protocol::limits::{REPLY_BYTES, WANTED_MAX};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    BucketRecords, Cursor, ExchangeRequest, ExchangeResponse, FeedLeaf, PageAnswer, Receipt, VerdictRun, receipt_root,
};

use crate::error::StationError;
use crate::feed::{self, Feed};
use crate::fill::{self, Filling};
use crate::ledger::{self, OldPosition};
use crate::reconcile;
use crate::scope::Scope;
use crate::station::Station;
use crate::store::ReadTx;

/// What a phone has and wants, without what it brings.
#[derive(Debug)]
pub(crate) struct Wish {
    own: (BookId, IncarnationId),
    sent: Option<Cursor>,
    place: Option<OldPosition>,
    kinds: Option<Hash>,
    feed_bytes_max: Option<u32>,
    /// What it says that it holds.
    pub(crate) digest: Option<SetDigest>,
    buckets: Option<Vec<u8>>,
    wanted: Vec<RecordId>,
}

impl Wish {
    /// What a request wishes, its cursor found in this ledger.
    pub(crate) fn of(request: &ExchangeRequest, place: Option<OldPosition>) -> Self {
        Self {
            own: (request.book, request.incarnation),
            sent: request.cursor.clone(),
            place,
            kinds: request.kinds,
            feed_bytes_max: request.feed_bytes_max,
            digest: request.digest,
            buckets: request.buckets.clone(),
            wanted: request.wanted.iter().flatten().take(WANTED_MAX).copied().collect(),
        }
    }

    /// How much of the present ledger the phone holds; 0 when it has no cursor.
    pub(crate) fn held(&self) -> u64 {
        match self.place {
            Some(OldPosition::Beginning(size) | OldPosition::Lost(size)) => size,
            Some(OldPosition::Strange) | None => 0,
        }
    }

    /// Whether the phone holds all that there is, as far as it knows: only then its digest can be compared before anything is taken in.
    pub(crate) fn is_at(&self, size: u64) -> bool {
        self.place == Some(OldPosition::Beginning(size)) && self.sent.as_ref().is_some_and(|sent| sent.fill.is_none())
    }

    fn asks_for_no_feed(&self) -> bool {
        self.feed_bytes_max == Some(0)
    }

    fn budget(&self) -> usize {
        self.feed_bytes_max
            .and_then(|max| usize::try_from(max).ok())
            .map_or(REPLY_BYTES, |max| max.min(REPLY_BYTES))
    }
}

/// What the phone brought, answered.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its pages.
    pub(crate) pages: Vec<PageAnswer>,
    /// What it gave back.
    pub(crate) given: Option<Vec<VerdictRun>>,
}

/// What goes down besides answers and proofs.
struct Load {
    feed: Feed,
    fill: Vec<FeedLeaf>,
    token: Option<beatbook_protocol::wire::Fill>,
    left: Vec<RecordId>,
    digest: Option<SetDigest>,
    buckets: Option<Vec<BucketRecords>>,
    is_whole: bool,
}

impl Load {
    /// Nothing, and the phone stays where it is.
    fn none(wish: &Wish) -> Self {
        Self {
            feed: Feed::none(wish.held()),
            fill: Vec::new(),
            token: wish.sent.as_ref().and_then(|sent| sent.fill.clone()),
            left: Vec::new(),
            digest: None,
            buckets: None,
            is_whole: true,
        }
    }
}

/// Makes the reply.
pub(crate) fn reply(
    station: &Station,
    tx: &ReadTx<'_>,
    scope: &Scope,
    wish: &Wish,
    answered: Answered,
    now: UnixMillis,
) -> Result<ExchangeResponse, StationError> {
    let (position, note) = ledger::sign(tx, &station.keys, &station.origin)?;
    // Of a page with a fault the phone makes a new incarnation, and is sent what the feed leaves out of its old one: another copy of its file may
    // have written there. Until then it stays where it is.
    let is_broken = answered.pages.iter().any(|answer| answer.fault.is_some());
    let load = if is_broken || wish.asks_for_no_feed() {
        Load::none(wish)
    } else {
        load(station, tx, scope, wish)?
    };
    let moved = wish.sent.as_ref().is_none_or(|sent| sent.position != position);
    let consistency = match wish.place {
        Some(OldPosition::Beginning(size)) if moved => Some(ledger::consistency(tx, size, position.size)?),
        _ => None,
    };
    let is_behind = load.feed.reaches < position.size;
    let kinds = station.kinds.digest();
    let (feed, pages) = (load.feed.leaves, answered.pages);
    let has_items = !pages.is_empty() || !feed.is_empty() || !load.fill.is_empty();
    let receipt = has_items.then(|| Receipt::sign(receipt_root(&pages, &feed, &load.fill), &station.keys.receipt));
    let backed_up_to = if moved || has_items {
        tx.station()?.map(|row| row.backed_up_to).filter(|size| *size > 0)
    } else {
        None
    };
    let cursor = Cursor {
        position: ledger::position_at(tx, load.feed.reaches)?,
        fill: load.token,
    };
    let some = |fill: Vec<FeedLeaf>| (!fill.is_empty()).then_some(fill);
    Ok(ExchangeResponse {
        answers: pages,
        feed,
        more: (is_behind || !load.is_whole).then_some(true),
        checkpoint: moved.then_some(note),
        consistency,
        cursor_consistency: if is_behind {
            Some(ledger::consistency(tx, load.feed.reaches, position.size)?)
        } else {
            None
        },
        kinds: (wish.kinds != Some(kinds)).then(|| station.kinds.files()),
        receipt,
        backed_up_to,
        digest: load.digest,
        fill: some(load.fill),
        left: (!load.left.is_empty()).then_some(load.left),
        buckets: load.buckets,
        given: answered.given,
        ..ExchangeResponse::plain(now, cursor)
    })
}

fn load(station: &Station, tx: &ReadTx<'_>, scope: &Scope, wish: &Wish) -> Result<Load, StationError> {
    let kinds = &station.kinds;
    let head = scope.size;
    let held = (wish.held() > 0).then_some(wish.held());
    let sent = wish.sent.as_ref().and_then(|sent| sent.fill.as_ref());
    // What left goes first: a phone that lets it go has room for what comes.
    let mut filling = Filling::begin(tx, kinds, scope, (held, sent), wish.budget())?;
    let budget = wish.budget().saturating_sub(filling.left_bytes());
    let from = held.unwrap_or(head);
    let feed = feed::feed(tx, kinds, (scope, &mut filling), wish.own, (from, head), budget)?;
    let mut room = budget.saturating_sub(feed.bytes);
    let mut fill = Vec::new();
    for record in &wish.wanted {
        if room == 0 && !fill.is_empty() {
            break;
        }
        let number = tx.number_of(*record)?;
        if let Some(found) = number.map(|number| tx.scoped(number)).transpose()?.flatten()
            && scope.holds(tx, *record, found.unit)?
        {
            let bytes = fill::whole(tx, kinds, scope, *record, feed.reaches, &mut fill)?;
            room = room.saturating_sub(bytes.max(1));
        }
    }
    if !filling.is_done() && (room > 0 || fill.is_empty()) {
        fill.extend(filling.run(tx, kinds, feed.reaches, room)?);
    }
    let is_complete = feed.reaches == head && filling.is_done();
    let digest = if is_complete {
        let digest = reconcile::digest(tx, kinds, scope)?;
        (wish.digest != Some(digest)).then_some(digest)
    } else {
        None
    };
    let buckets = match &wish.buckets {
        Some(others) if is_complete => Some(reconcile::buckets(tx, kinds, scope, others, room)?),
        Some(_) | None => None,
    };
    Ok(Load {
        token: filling.token(feed.reaches),
        is_whole: filling.is_done(),
        left: filling.into_left(),
        feed,
        fill,
        digest,
        buckets,
    })
}
