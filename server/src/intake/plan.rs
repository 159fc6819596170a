//! Second step: a batch of pages becomes a plan. Each page is placed in its book's chain, its entries are dealt into lanes, one for each
//! record, the lanes are judged, and the verdicts laid together again, page by page.

use std::collections::BTreeMap;
use std::sync::Arc;

use beatbook_protocol::entry::{Entry, identity};
use beatbook_protocol::id::{Hash, IncarnationId, RecordId};
use beatbook_protocol::page::{Header, Tip, VerifiedPage};
use beatbook_protocol::wire::Verdict;

use super::admit::{Admission, AdmittedPage, Fate};
use super::cores::{Queue, share_out};
use super::desk::{Look, refused};
use super::lane::{Item, JudgedLane, Lane, Matter, Place};
use super::merge::Board;
use super::verify::{Arrived, known};
use crate::error::StationError;
use crate::store::Store;

/// Lanes for which another thread is worth its start.
const LANES_A_THREAD: usize = 8;

/// Plans a batch.
pub(super) fn plan<'p>(
    look: &Look<'_>,
    arrived: &'p [Arrived],
    judge: impl FnOnce(Vec<Lane>) -> Result<Vec<JudgedLane>, StationError>,
) -> Result<Admission<'p>, StationError> {
    let mut dealer = Dealer {
        look,
        tips: BTreeMap::new(),
        met: BTreeMap::new(),
        pages: Vec::new(),
        verdicts: Vec::new(),
        lanes: BTreeMap::new(),
    };
    let fates = arrived
        .iter()
        .enumerate()
        .map(|(number, page)| dealer.place(number, page))
        .collect::<Result<Vec<_>, _>>()?;
    let Dealer {
        pages,
        mut verdicts,
        lanes,
        ..
    } = dealer;
    let lanes = lanes.into_iter().map(|(record, items)| Lane { record, items });
    let (last, first): (Vec<Lane>, Vec<Lane>) = lanes.partition(Lane::looks_beyond);
    let mut judged = judge(first)?;
    judge_last(look, last, &mut judged)?;
    for (place, verdict) in judged.iter().flat_map(|lane| &lane.verdicts) {
        let spot = verdicts.get_mut(place.page).and_then(|page| page.get_mut(place.position));
        if let Some(spot) = spot {
            *spot = Some(verdict.clone());
        }
    }
    let unjudged = || refused("internal", "it was not judged".into());
    let pages = pages.into_iter().zip(verdicts).map(|(page, verdicts)| {
        let verdicts = verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(unjudged)).collect();
        AdmittedPage::judged(page, verdicts, look.received)
    });
    Ok(Admission::of(arrived, fates, pages.collect(), judged))
}

/// Judges lanes under the look that is at hand, those last that look beyond their own record.
pub(super) fn judge_apart(look: &Look<'_>, lanes: Vec<Lane>) -> Result<Vec<JudgedLane>, StationError> {
    let (last, first): (Vec<Lane>, Vec<Lane>) = lanes.into_iter().partition(Lane::looks_beyond);
    let mut judged = judge_here(look, first)?;
    judge_last(look, last, &mut judged)?;
    Ok(judged)
}

/// Judges the few lanes that look beyond their own record, one after another, each knowing what was judged before it: as their author wrote
/// them, so that of two merges that would make a loop the earlier one holds.
fn judge_last(look: &Look<'_>, mut lanes: Vec<Lane>, judged: &mut Vec<JudgedLane>) -> Result<(), StationError> {
    if lanes.is_empty() {
        return Ok(());
    }
    lanes.sort_by_key(Lane::beyond_at);
    let mut board = Board::default();
    for lane in judged.iter() {
        board.opened.extend(lane.opened.clone().map(|opened| (lane.record, opened)));
    }
    for lane in lanes {
        let lane = lane.judge(look, &board)?;
        board.opened.extend(lane.opened.clone().map(|opened| (lane.record, opened)));
        board.merges.extend(lane.merged.map(|target| (lane.record, target)));
        judged.push(lane);
    }
    Ok(())
}

/// Judges lanes one after another under the look that is at hand.
pub(super) fn judge_here(look: &Look<'_>, lanes: Vec<Lane>) -> Result<Vec<JudgedLane>, StationError> {
    lanes.iter().map(|lane| lane.judge(look, &Board::default())).collect()
}

/// Judges lanes on all cores, each under one look of its own: the append compares what every lane has met.
pub(super) fn judge_on_all_cores(store: &Store, look: &Look<'_>, lanes: Vec<Lane>) -> Result<Vec<JudgedLane>, StationError> {
    let (kinds, author, received) = (look.kinds, look.author, look.received);
    share_out(lanes, LANES_A_THREAD, |queue: &Queue<Lane>| {
        store.read(|tx| {
            let look = Look {
                tx,
                kinds,
                author,
                received,
            };
            let mut judged = Vec::new();
            while let Some((number, lane)) = queue.next() {
                judged.push((number, lane.judge(&look, &Board::default())?));
            }
            Ok(judged)
        })
    })
}

struct Dealer<'a> {
    look: &'a Look<'a>,
    /// Where the book's chains end with the pages placed so far.
    tips: BTreeMap<IncarnationId, Tip>,
    /// Pages of this batch by their headers' hashes.
    met: BTreeMap<Hash, usize>,
    /// The pages that become leaves.
    pages: Vec<Arc<VerifiedPage>>,
    /// Verdicts so far, by page and position.
    verdicts: Vec<Vec<Option<Verdict>>>,
    lanes: BTreeMap<RecordId, Vec<Item>>,
}

impl Dealer<'_> {
    /// What becomes of a page; the entries of one that becomes a leaf are dealt.
    fn place(&mut self, number: usize, arrived: &Arrived) -> Result<Fate, StationError> {
        let page = match arrived {
            Arrived::Known(answer) => return Ok(Fate::Known(answer.clone())),
            Arrived::Faulty(_, fault) => return Ok(Fate::Faulty(fault.clone())),
            Arrived::Whole(page) => page,
        };
        if let Some(first) = self.met.get(&page.hash()) {
            return Ok(Fate::Again(*first));
        }
        self.met.insert(page.hash(), number);
        if let Some(answer) = known(self.look.tx, &page.hash())? {
            return Ok(Fate::Known(answer));
        }
        let incarnation = page.header().incarnation;
        let tip = match self.tips.get(&incarnation) {
            Some(tip) => *tip,
            None => self.look.tx.tip(self.look.author.book, incarnation)?,
        };
        if let Err(fault) = page.check_follows(&tip) {
            return Ok(Fate::Faulty(fault));
        }
        self.tips.insert(incarnation, page.as_tip());
        self.deal(page)?;
        Ok(Fate::Taken(self.pages.len() - 1))
    }

    fn deal(&mut self, page: &Arc<VerifiedPage>) -> Result<(), StationError> {
        let known = known_size(self.look, page.header())?;
        let number = self.pages.len();
        let mut verdicts = Vec::with_capacity(page.page().entries.len());
        for (position, (bytes, _)) in page.entries().enumerate() {
            let id = identity(bytes);
            let matter = matter_of(self.look, &id, bytes)?;
            verdicts.push(matter.as_ref().err().cloned());
            if let Ok((record, matter)) = matter {
                let place = Place { page: number, position };
                self.lanes.entry(record).or_default().push(Item {
                    place,
                    known,
                    id,
                    matter,
                });
            }
        }
        self.pages.push(Arc::clone(page));
        self.verdicts.push(verdicts);
        Ok(())
    }
}

/// What an entry is about, and which record; or the verdict on one that is none of a phone's to write.
pub(super) fn matter_of(look: &Look<'_>, id: &Hash, bytes: &[u8]) -> Result<Result<(RecordId, Matter), Verdict>, StationError> {
    Ok(match Entry::parse(bytes) {
        Ok(Entry::Change(entry)) => Ok((entry.record, Matter::Change(entry))),
        Ok(Entry::Act(entry)) => Ok((entry.record, Matter::Act(entry))),
        Ok(Entry::Other(sort)) => Err(refused(
            "not_understood",
            format!("entries of sort {sort} are not known here"),
        )),
        Ok(Entry::Registry(_) | Entry::Recovered(_)) if look.tx.is_accepted(id)? => Err(Verdict::Duplicate),
        Ok(Entry::Registry(_) | Entry::Recovered(_)) => Err(refused(
            "forbidden",
            "the registry, and what was recovered, are the station's to write".into(),
        )),
        Err(fault) => Err(refused("malformed", fault.to_string())),
    })
}

/// The ledger size that the author knew at least when he sealed the page.
pub(super) fn known_size(look: &Look<'_>, header: &Header) -> Result<u64, StationError> {
    let stamped = match &header.stamp.checkpoint {
        // What he saw in a life that is over counts as far as this one shares it.
        Some(position) => look
            .tx
            .shared_with(position.epoch)?
            .map_or(position.size, |shared| shared.min(position.size)),
        None => 0,
    };
    Ok(stamped.max(look.author.confirmed).min(look.tx.size()?))
}
