//! Own work: a record is opened, edited, acted on. Each becomes an entry in the outbox and counts as pending from then on. Rules come
//! from the kind; here they are applied to the record as it is shown.

use beatbook_protocol::document::{Change, Document, Edit, EditError, FieldPath};
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, Opens, identity};
use beatbook_protocol::facts::{Facts, Value};
use beatbook_protocol::id::{Hash, RecordId, UnitId};
use beatbook_protocol::kind::workflow::Misfit;
use beatbook_protocol::kind::{
    ActGiven, ActRule, CheckedKind, DocumentName, Finding, Judged, Judgement, RecordContext, UTC_OFFSET_MINUTES, UserContext,
    hinders, validate, workflow,
};
use beatbook_protocol::limits::{ACT_BYTES_MAX, HEADS_MAX};

use super::drafts::SeenHeads;
use super::identity::Identity;
use super::records::Records;
use super::rows::{self, NewChange, RecordHead, Status};
use super::{StoreError, outbox};
use crate::error::{CoreError, Fault};
use crate::record::{self, Course};

/// What an app asks for when somebody acts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ActOrder {
    /// Code of the act in the record's kind.
    pub code: String,
    /// What he says.
    pub comment: Option<String>,
    /// Values that go with it (to whom, until when), by name.
    pub values: Vec<(String, Value)>,
    /// The version of the view that he decided on.
    pub version: String,
}

/// What came of an act on this phone. The station has the last word.
#[derive(Debug, Clone, PartialEq)]
pub struct ActDone {
    /// Its entry; none when it was done already and changes nothing.
    pub entry: Option<Hash>,
    /// The state that the record is shown in now.
    pub state: String,
    /// What is worth telling, though it hinders nothing.
    pub findings: Vec<Finding>,
}

/// What an edit was made upon.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'s> {
    /// What is there now.
    Now,
    /// This version of the record, or nothing.
    Version(&'s str),
    /// These heads: only what others have written meanwhile at the same places is in the way.
    Heads(&'s SeenHeads),
}

impl Records<'_> {
    /// Opens a record with its first values, in a unit where its author works, or in his own.
    pub(crate) fn open_record(&mut self, record: RecordId, kind: &str, edit: &Edit, unit: Option<UnitId>) -> Result<(), Fault> {
        let me = self.me()?;
        let kind = self.kind_in_force(kind)?;
        let unit = unit.unwrap_or(me.unit);
        self.may_open(&kind, unit)?;
        let mut opens = Some(Opens {
            kind: kind.code.clone(),
            version: kind.version,
            unit,
        });
        for (name, part) in record::parts(&kind, edit) {
            if record::is_empty(&part) {
                continue;
            }
            if name == DocumentName::Private && opens.is_some() {
                // Everybody in scope is sent the change that opens a record, and this one would hold what few may read.
                break;
            }
            let shape = self.pen.office.shape(&kind, name)?;
            let mut document = Document::begin(&shape, self.pen.actor);
            let deps = document.heads();
            match document.edit(&part, self.now) {
                Ok(change) => self.put(&me, record, name, &change, &deps, opens.take())?,
                Err(EditError::Nothing) => continue,
                Err(error) => return Err(error.into()),
            }
            self.documents.insert((record, name), document);
        }
        if opens.is_some() {
            return Err(CoreError::InvalidInput {
                field: "edit".into(),
                why: "a record begins with at least one value that is not sensitive".into(),
            }
            .into());
        }
        Ok(())
    }

    /// Edits a record; tells whether anything was written.
    pub(crate) fn edit(&mut self, record: RecordId, edit: &Edit, seen: Seen<'_>) -> Result<bool, Fault> {
        let me = self.me()?;
        let head = self.head(record)?;
        self.may_build_on(record)?;
        let kind = self.kind_of(&head)?;
        self.may_write_record(&kind, record, &head)?;
        if let Seen::Version(version) = seen {
            same(version, &head)?;
        }
        let mut wrote = false;
        for (name, part) in record::parts(&kind, edit) {
            if record::is_empty(&part) {
                continue;
            }
            let shape = self.pen.office.shape(&kind, name)?;
            let document = self.take_document(record, &kind, name)?;
            let mut document = document.unwrap_or_else(|| Document::begin(&shape, self.pen.actor));
            if let Seen::Heads(heads) = seen {
                let heads = match name {
                    DocumentName::Facts => Some(&heads.facts),
                    DocumentName::Private => heads.private.as_ref(),
                };
                heads.map_or(Ok(()), |heads| overtaken(&document, heads, &part, &head))?;
            }
            let deps = document.heads();
            match document.edit(&part, self.now) {
                Ok(change) => {
                    self.put(&me, record, name, &change, &deps, None)?;
                    wrote = true;
                }
                Err(EditError::Nothing) => {}
                Err(error) => return Err(error.into()),
            }
            self.documents.insert((record, name), document);
        }
        Ok(wrote)
    }

    /// Acts on a record.
    pub(crate) fn act(&mut self, record: RecordId, order: &ActOrder) -> Result<ActDone, Fault> {
        let me = self.me()?;
        let head = self.head(record)?;
        self.may_build_on(record)?;
        same(&order.version, &head)?;
        let kind = self.kind_of(&head)?;
        let course = Course::of(&kind, &rows::steps(self.tx, record)?);
        let whos = self.whos(record, &head)?;
        let forbidden = || CoreError::Forbidden {
            what: order.code.clone(),
            state: course.state.clone(),
        };
        let to = match workflow::judge(&kind, &course.state, &order.code, &whos) {
            Judgement::Accepted { to, .. } => to,
            Judgement::OfferSupplement => course.state.clone(),
            Judgement::Repeat => {
                return Ok(ActDone {
                    entry: None,
                    state: course.state,
                    findings: Vec::new(),
                });
            }
            Judgement::UnknownAct => {
                return Err(CoreError::Unknown {
                    what: format!("act {}", order.code),
                }
                .into());
            }
            Judgement::Returned { .. } | Judgement::Forbidden => return Err(forbidden().into()),
        };
        let rule = kind.act(&order.code).ok_or_else(forbidden)?;
        let facts = self.take_document(record, &kind, DocumentName::Facts)?;
        let private = self.take_document(record, &kind, DocumentName::Private)?;
        let (facts_view, private_view) = (view_of(facts.as_ref())?, view_of(private.as_ref())?);
        let judged = Judged {
            facts: &facts_view,
            private: Some(&private_view),
            record: context(record, &head, &course.state),
            now: self.now,
            utc_offset_minutes: UTC_OFFSET_MINUTES,
            user: UserContext {
                id: me.user,
                roles: &whos,
            },
        };
        takes_values(rule, order)?;
        let findings = findings_of(&kind, rule, order, &judged);
        if hinders(&findings) {
            return Err(CoreError::Hindered { findings }.into());
        }
        let mut values = order.values.clone();
        values.sort_by(|one, other| one.0.cmp(&other.0));
        let act = ActEntry {
            record,
            code: order.code.clone(),
            heads: facts.as_ref().map(Document::heads).unwrap_or_default(),
            last_act: course.last_act,
            at: self.now,
            comment: order.comment.clone().filter(|comment| !comment.trim().is_empty()),
            values: (!values.is_empty()).then_some(values),
            private_heads: private.as_ref().map(Document::heads),
            on_behalf: None,
            // Random for each opened file, which is what tells two people's equal acts apart.
            nonce: self.pen.actor.as_bytes().first_chunk().copied(),
        };
        let entry = Some(self.put_act(&me, act)?);
        Ok(ActDone {
            entry,
            state: to,
            findings,
        })
    }

    /// Who writes.
    pub(crate) fn me(&self) -> Result<Identity, CoreError> {
        self.pen.office.me.clone().ok_or(CoreError::NotEnrolled)
    }

    /// The record as far as its row tells.
    pub(crate) fn head(&self, record: RecordId) -> Result<RecordHead, Fault> {
        Ok(rows::head(self.tx, record)?.ok_or(CoreError::UnknownRecord(record))?)
    }

    /// The kind under which new records are made.
    pub(crate) fn kind_in_force(&self, code: &str) -> Result<CheckedKind, CoreError> {
        let kind = self.pen.office.newest(code).cloned();
        kind.ok_or_else(|| CoreError::Unknown {
            what: format!("kind {code}"),
        })
    }

    fn kind_of(&self, head: &RecordHead) -> Result<CheckedKind, CoreError> {
        if let Some(why) = &head.unreadable {
            return Err(CoreError::InvalidInput {
                field: "record".into(),
                why: format!("it cannot be read here: {why}"),
            });
        }
        let kind = self.pen.office.kinds.get(&head.kind, head.kind_version).cloned();
        kind.ok_or_else(|| CoreError::Unknown {
            what: format!("kind {} version {}", head.kind, head.kind_version),
        })
    }

    fn put(
        &mut self,
        me: &Identity,
        record: RecordId,
        name: DocumentName,
        change: &Change,
        deps: &[Hash],
        opens: Option<Opens>,
    ) -> Result<(), StoreError> {
        let entry = Entry::Change(ChangeEntry {
            record,
            document: name.into(),
            change: change.bytes.clone(),
            at: self.now,
            settles: change.settles.then_some(true),
            opens: opens.clone(),
            on_behalf: None,
        });
        let bytes = entry.to_bytes();
        let entry = identity(&bytes);
        let row = NewChange {
            entry,
            record,
            document: name.into(),
            hash: Some(change.hash),
            deps,
            bytes: &change.bytes,
            opens: opens.as_ref(),
            settles: change.settles,
            book: me.book,
            at: self.now,
            status: Status::Pending,
            came: None,
        };
        rows::put_change(self.tx, &row)?;
        outbox::put(self.tx, &entry, Some(record), &bytes)?;
        self.touch(record, self.now);
        Ok(())
    }

    fn put_act(&mut self, me: &Identity, act: ActEntry) -> Result<Hash, Fault> {
        let private_heads = act.private_heads.as_ref().map_or(0, Vec::len);
        if act.heads.len().max(private_heads) > HEADS_MAX {
            let why = "too many people have written at once; edit one field first, which joins their work".into();
            return Err(CoreError::InvalidInput {
                field: "record".into(),
                why,
            }
            .into());
        }
        let record = act.record;
        let entry = Entry::Act(act.clone());
        let bytes = entry.to_bytes();
        if act.said_bytes() > ACT_BYTES_MAX {
            let comment = act.comment.as_ref().map_or(0, String::len);
            return Err(CoreError::InvalidInput {
                field: if comment * 2 >= act.said_bytes() {
                    "comment"
                } else {
                    "values"
                }
                .into(),
                why: format!("comment and values together are longer than {ACT_BYTES_MAX} bytes: say less"),
            }
            .into());
        }
        let entry = identity(&bytes);
        rows::put_act(self.tx, &entry, &act, &bytes, me.book, (Status::Pending, None, false))?;
        outbox::put(self.tx, &entry, Some(record), &bytes)?;
        self.touch(record, self.now);
        Ok(entry)
    }
}

/// Refuses a value that the act has no field for: the station would.
pub(crate) fn takes_values(rule: &ActRule, order: &ActOrder) -> Result<(), CoreError> {
    match workflow::check_values(rule, &order.values) {
        Some(Misfit::Unknown(name)) => Err(CoreError::InvalidInput {
            field: format!("values/{name}"),
            why: format!("the act {} takes no such value", rule.code),
        }),
        // A finding says it.
        Some(Misfit::Value(..)) | None => Ok(()),
    }
}

/// What an act does not find; required fields of the record too, when it pins them.
pub(crate) fn findings_of(kind: &CheckedKind, rule: &ActRule, order: &ActOrder, judged: &Judged<'_>) -> Vec<Finding> {
    let given = ActGiven {
        comment: order.comment.as_deref(),
        values: &order.values,
    };
    let mut findings = workflow::check_act(kind, rule, given, judged);
    if rule.pins {
        findings.extend(validate(kind, judged));
    }
    findings
}

/// What an expression may know of a record.
pub(crate) fn context<'s>(record: RecordId, head: &RecordHead, state: &'s str) -> RecordContext<'s> {
    let opened_by = head.opener.unwrap_or(beatbook_protocol::id::UserId::from_bytes([0; 16]));
    let unit: UnitId = head.unit;
    RecordContext {
        id: record,
        state,
        unit,
        opened_at: head.opened_at,
        opened_by,
    }
}

fn view_of(document: Option<&Document>) -> Result<Facts, StoreError> {
    Ok(document.map(Document::view).transpose()?.unwrap_or_default().facts)
}

fn same(version: &str, head: &RecordHead) -> Result<(), CoreError> {
    if version == head.version {
        return Ok(());
    }
    Err(CoreError::Moved {
        version: head.version.clone(),
        paths: Vec::new(),
    })
}

/// Whether others have written where this edit writes since its author saw these heads. To write over them unseen would lose their
/// words; he sees both first.
fn overtaken(document: &Document, heads: &[Hash], edit: &Edit, head: &RecordHead) -> Result<(), Fault> {
    if document.heads() == heads {
        return Ok(());
    }
    let Some(then) = document.view_at(heads)? else {
        return Err(CoreError::Moved {
            version: head.version.clone(),
            paths: Vec::new(),
        }
        .into());
    };
    let now = document.view()?;
    let at = |facts: &Facts, path: &FieldPath| record::pick(facts, [path]);
    let places = record::paths(edit);
    let moved: Vec<String> = places
        .iter()
        .filter(|path| at(&then.facts, path) != at(&now.facts, path))
        .map(ToString::to_string)
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    Err(CoreError::Moved {
        version: head.version.clone(),
        paths: moved,
    }
    .into())
}
