//! Handing a draft in, with an act on what it becomes. What can be known is looked at before anything is written: a commit is not
//! taken back. Knows no rule of its own.

use beatbook_client_core::capture::draft::{Draft, DraftId};
use beatbook_client_core::protocol::id::RecordId;
use beatbook_client_core::protocol::kind::{CheckedKind, Comment, Meeting};
use beatbook_client_core::{ActOrder, Core, CoreError};

use super::words::Done;
use crate::error::BeatbookError;
use crate::forms::is_always_required;
use crate::values::Label;
use crate::views::Finding;

/// Where a record stands once the draft is part of it: values move no state.
struct Standing {
    kind: CheckedKind,
    state: String,
    /// The acts that are open to this user, of a record that is there already.
    acts_open: Option<Vec<String>>,
}

pub(super) fn submit(core: &Core, draft: DraftId, act: Option<String>) -> Result<Done, BeatbookError> {
    let standing = Standing::after(core, &core.draft(draft)?)?;
    if let Some(code) = &act {
        standing.may_be_followed_by(code)?;
    }
    let record = core.draft_commit(draft)?;
    let Some(code) = act else {
        return Ok(Done {
            record: record.to_string(),
            state: standing.state,
            acted: false,
            findings: Vec::new(),
        });
    };
    let acted = act_on(core, record, code);
    // The draft is gone and the record is there: an error would keep its name from the app.
    Ok(acted.unwrap_or_else(|fault| not_acted(record, standing.state, &fault)))
}

impl Standing {
    fn after(core: &Core, draft: &Draft) -> Result<Self, BeatbookError> {
        let Some(record) = draft.record else {
            let kind = core.kinds_in_force().into_iter().find(|kind| kind.code == draft.kind);
            let kind = kind.ok_or_else(|| BeatbookError::at("kind"))?;
            return Ok(Self {
                state: kind.workflow.initial.clone(),
                kind,
                acts_open: None,
            });
        };
        let view = core.record(record)?;
        let kinds = core.kinds();
        let kind = kinds.get(&view.row.kind, view.row.kind_version);
        Ok(Self {
            kind: kind.cloned().ok_or_else(|| BeatbookError::at("kind"))?,
            state: view.row.state,
            acts_open: Some(view.acts_open),
        })
    }

    /// Refuses an act of which it is known now that it will not be done: that there is none, that it does not lead out of this
    /// state or is not this user's, and that it asks for words or values, which do not go with a draft.
    fn may_be_followed_by(&self, code: &str) -> Result<(), BeatbookError> {
        let wrong = || BeatbookError::at("act");
        let rule = self.kind.act(code).ok_or_else(wrong)?;
        let is_from = rule.from.contains(&self.state);
        let is_open = match &self.acts_open {
            Some(open) => is_from && open.iter().any(|open| open == code),
            // What he may do with a record of his own the core says when he does it.
            None => is_from,
        };
        let asks = rule.comment == Comment::Required || rule.fields.iter().any(is_always_required);
        // In a record that the draft opens nobody has done anything that could be done again or added to.
        let meeting = rule.meets.get(&self.state).filter(|_| self.acts_open.is_some() && !is_from);
        match meeting {
            _ if is_open && !asks => Ok(()),
            Some(Meeting::OfferSupplement) if !asks => Ok(()),
            Some(Meeting::Repeat) => Ok(()),
            _ => Err(wrong()),
        }
    }
}

/// What is said when the act came to nothing after the draft had become a record.
fn not_acted(record: RecordId, state: String, fault: &BeatbookError) -> Done {
    tracing::warn!(%fault, "a draft was handed in, but the act on it was not done");
    let text = Label {
        zh: "内容已保存，但操作没有完成：请打开记录再试一次".to_owned(),
        en: "the values are saved, but the act was not done: open the record and try again".to_owned(),
    };
    Done {
        record: record.to_string(),
        state,
        acted: false,
        findings: vec![Finding {
            path: "act".to_owned(),
            code: "not_done".to_owned(),
            hinders: true,
            text,
        }],
    }
}

fn act_on(core: &Core, record: RecordId, code: String) -> Result<Done, BeatbookError> {
    let order = ActOrder {
        code,
        version: core.record(record)?.row.version,
        comment: None,
        values: Vec::new(),
    };
    done(core, record, &order)
}

pub(super) fn done(core: &Core, record: RecordId, order: &ActOrder) -> Result<Done, BeatbookError> {
    let (acted, state, findings) = match core.act(record, order) {
        Ok(done) => (true, done.state, done.findings),
        Err(CoreError::Hindered { findings }) => (false, core.record(record)?.row.state, findings),
        Err(fault) => return Err(fault.into()),
    };
    Ok(Done {
        record: record.to_string(),
        state,
        acted,
        findings: findings.into_iter().map(Finding::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use beatbook_client_core::protocol::kind::Catalogue;

    use super::*;

    fn standing(kind: &str, state: &str, acts_open: Option<&[&str]>) -> Standing {
        let kinds = Catalogue::builtin().unwrap();
        Standing {
            kind: kinds.newest(kind).unwrap().clone(),
            state: state.to_owned(),
            acts_open: acts_open.map(|open| open.iter().map(|&act| act.to_owned()).collect()),
        }
    }

    #[test]
    fn an_act_that_cannot_follow_a_draft_is_known_before_anything_is_written() {
        let wrong = Err(BeatbookError::at("act"));
        let household = standing("household", "active", None);
        // None of the kind's, not out of this state, with words, with a value.
        for act in ["dance", "reopen", "archive", "merge_into"] {
            assert_eq!(household.may_be_followed_by(act), wrong, "{act}");
        }
        assert_eq!(standing("visit", "due", None).may_be_followed_by("finish"), Ok(()));
        let open = |state, acts| standing("visit", state, Some(acts)).may_be_followed_by("finish");
        assert_eq!(open("due", &["finish", "refuse"]), Ok(()));
        assert_eq!(open("due", &["refuse"]), wrong, "not this user's");
        assert_eq!(open("done", &[]), Ok(()), "done again it changes nothing");
    }

    #[test]
    fn an_act_that_came_to_nothing_afterwards_leaves_the_app_the_records_name() {
        let record = RecordId::from_bytes([7; 16]);
        let done = not_acted(record, "due".to_owned(), &BeatbookError::StorageFull);
        assert_eq!(
            (done.record, done.state, done.acted),
            (record.to_string(), "due".to_owned(), false)
        );
        assert!(done.findings.iter().all(|finding| finding.hinders && finding.path == "act"));
        assert_eq!(done.findings.len(), 1);
    }
}
