//! Where a record's acts have led it: state, pinned view, what is on offer. Acts come in the ledger's order, own pending ones last.

use beatbook_protocol::entry::ActEntry;
use beatbook_protocol::id::{BookId, Hash, RecordId};
use beatbook_protocol::kind::duplicate::{MERGE_INTO, merge_target};
use beatbook_protocol::kind::{Judgement, Kind, Who, workflow};
use beatbook_protocol::time::UnixMillis;

/// One act of a record.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// The entry.
    pub(crate) entry: Hash,
    /// What it says.
    pub(crate) act: ActEntry,
    /// Whose book.
    pub(crate) book: BookId,
    /// Whether the station took it as an offer only.
    pub(crate) offered: bool,
    /// Whether it still waits for its verdict.
    pub(crate) waiting: bool,
}

/// Where the acts lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Course {
    /// The state.
    pub(crate) state: String,
    /// Heads of the official view, once something was pinned.
    pub(crate) pinned: Option<Vec<Hash>>,
    /// Heads that are offered as a supplement.
    pub(crate) offered: Option<Vec<Hash>>,
    /// The last act.
    pub(crate) last_act: Option<Hash>,
    /// The act that led to the state, by its place.
    pub(crate) led_by: Option<usize>,
    /// The states that it was led to, the oldest first, and when, by the clocks of those who acted.
    pub(crate) entered: Vec<(String, UnixMillis)>,
    /// The record that it was merged into.
    pub(crate) merged_into: Option<RecordId>,
}

impl Course {
    /// Follows the acts. Whoever did them was judged before: the station judged others', this phone its own.
    pub(crate) fn of(kind: &Kind, steps: &[Step]) -> Self {
        let mut course = Self {
            state: kind.workflow.initial.clone(),
            ..Self::default()
        };
        for (place, step) in steps.iter().enumerate() {
            course.last_act = Some(step.entry);
            if step.offered {
                course.offered = Some(step.act.heads.clone());
                continue;
            }
            match workflow::judge(kind, &course.state, &step.act.code, &Who::ALL) {
                Judgement::Accepted { to, pins } => {
                    if step.act.code == MERGE_INTO && !kind.duplicate_key.is_empty() {
                        course.merged_into = merge_target(&step.act);
                    } else if to != course.state {
                        course.merged_into = None;
                    }
                    if to != course.state {
                        course.led_by = Some(place);
                        course.entered.push((to.clone(), step.act.at));
                    }
                    course.state = to;
                    if pins {
                        course.pinned = Some(step.act.heads.clone());
                        course.offered = None;
                    }
                }
                Judgement::OfferSupplement => course.offered = Some(step.act.heads.clone()),
                Judgement::Repeat | Judgement::Returned { .. } | Judgement::Forbidden | Judgement::UnknownAct => {}
            }
        }
        course
    }

    /// The heads of the official view, while the state holds to one.
    pub(crate) fn official(&self, kind: &Kind) -> Option<&[Hash]> {
        let is_pinned = kind.state(&self.state).is_some_and(|state| state.pinned);
        self.pinned.as_deref().filter(|_| is_pinned)
    }

    /// The opaque version of the record with these heads: it changes whenever facts, `private`, pin or acts move.
    pub(crate) fn version(&self, heads: &[Hash], private: &[Hash]) -> String {
        let mut parts: Vec<&[u8]> = vec![beatbook_protocol::codec::domain::VERSION];
        parts.extend(self.pinned.iter().flatten().map(|head| head.as_bytes().as_slice()));
        parts.push(&[0]);
        parts.extend(heads.iter().map(|head| head.as_bytes().as_slice()));
        if !private.is_empty() {
            parts.push(&[1]);
            parts.extend(private.iter().map(|head| head.as_bytes().as_slice()));
        }
        parts.extend(self.last_act.iter().map(|act| act.as_bytes().as_slice()));
        Hash::of(&parts).to_string()
    }
}
