//! What a person does at the station: acts and settlements, judged against the version that he saw, sealed into the station's own book.

use beatbook_protocol::document::{Document, Edit, EditError, FieldPath};
use beatbook_protocol::entry::{ActEntry, ChangeEntry, Entry, identity};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{ActorId, Hash, RecordId};
use beatbook_protocol::kind::duplicate::MERGE_INTO;
use beatbook_protocol::kind::{
    ActGiven, CheckedKind, DocumentName, FindingSeverity, Judged, Judgement, Label, UserContext, Who, workflow,
};
use beatbook_protocol::limits::ACT_BYTES_MAX;

use super::mask::Mask;
use super::page::{self, Names};
use super::view::{ActDone, ActOrder};
use super::written::changed;
use super::{glass, merges};
use crate::audit::{self, Line};
use crate::error::{ActError, StationError};
use crate::feed::reads_private;
use crate::intake::{OwnEntry, seal_own};
use crate::kinds::damaged;
use crate::ledger;
use crate::policy::{self, Permission};
use crate::projection::reading::{self, Documents, finding_view};
use crate::projection::record::RecordState;
use crate::registry::tokens::random;
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::{ReadTx, StoreError};

impl From<StoreError> for ActError {
    fn from(fault: StoreError) -> Self {
        Self::Station(fault.into())
    }
}

/// A record as it was opened for an act.
struct Opened<'k> {
    state: RecordState,
    kind: &'k CheckedKind,
    documents: Documents,
    whos: Vec<Who>,
}

/// What is to be written, and on what it was decided.
struct Decided {
    entry: OwnEntry,
    id: Hash,
    met: u64,
    /// The record that this one is merged into: it may have been merged into this one meanwhile, which moves nothing here.
    merges: Option<RecordId>,
}

/// Does an act.
pub(crate) fn act(station: &Station, session: &Session, record: RecordId, order: &ActOrder) -> Result<ActDone, ActError> {
    policy::require(Some(session), Permission::Act)?;
    write(station, session, record, || {
        station.store.read(|tx| decide_act(station, tx, session, record, order))
    })
}

/// Settles a conflict.
pub(crate) fn settle(
    station: &Station,
    session: &Session,
    record: RecordId,
    path: &str,
    value: &Value,
    if_match: &str,
) -> Result<ActDone, ActError> {
    policy::require(Some(session), Permission::Write)?;
    let place: FieldPath = path
        .parse()
        .map_err(|_| settlement(path, "没有这个字段", "there is no such place"))?;
    write(station, session, record, || {
        station
            .store
            .read(|tx| decide_settlement(station, tx, session, record, &place, value, if_match))
    })
}

/// How often a person's act is decided anew because somebody else's page came in between.
const DECISIONS_MAX: usize = 8;

/// Decides on one look, writes when nothing has moved since, decides anew when something has: the version that the person saw is
/// compared each time, so that nothing goes past him.
fn write(
    station: &Station,
    session: &Session,
    record: RecordId,
    decide: impl Fn() -> Result<Decided, ActError>,
) -> Result<ActDone, ActError> {
    for _ in 0..DECISIONS_MAX {
        let decided = match decide() {
            Ok(decided) => decided,
            Err(refused) => return Err(noted(station, session, record, refused)?),
        };
        let leaf = station.store.write(|tx| {
            if tx.record_leaf(record)? != Some(decided.met) {
                return Ok::<_, StationError>(None);
            }
            if let Some(target) = decided.merges
                && merges::ends_in(tx, target, record)?
            {
                return Ok(None);
            }
            let entry = OwnEntry {
                bytes: decided.entry.bytes.clone(),
                offered: decided.entry.offered,
            };
            let page = seal_own(tx, &station.keys, &station.env, vec![entry])?;
            let (leaf, touched) = ledger::append(tx, &station.kinds, &page)?;
            for id in touched {
                crate::rebuild::refresh(tx, &station.kinds, id)?;
            }
            Ok(Some(leaf))
        })?;
        let Some(leaf) = leaf else { continue };
        station.env.steps.passes("act appended");
        let state = station.store.read(|tx| {
            ledger::note(tx, &station.keys)?;
            Ok::<_, StationError>(tx.record(record)?)
        })?;
        let state = state.ok_or(ActError::NotFound)?;
        station.count("acts");
        return Ok(ActDone {
            entry: decided.id,
            leaf,
            version: state.version().to_string(),
            state: state.state,
        });
    }
    Err(StationError::Store("the record moves too fast: try again".into()).into())
}

/// A refusal that shows sensitive values is on the log before anybody sees it.
fn noted(station: &Station, session: &Session, record: RecordId, refused: ActError) -> Result<ActError, StationError> {
    if let ActError::Moved { shown, .. } = &refused
        && !shown.is_empty()
    {
        let line = Line {
            record: Some(record),
            ..Line::of(Some(session.user), "record.moved", shown.join(" "))
        };
        audit::write(station, &line)?;
    }
    Ok(refused)
}

fn open<'k>(
    station: &'k Station,
    tx: &ReadTx<'_>,
    session: &Session,
    record: RecordId,
    if_match: &str,
) -> Result<Opened<'k>, ActError> {
    let state = tx.record(record)?.ok_or(ActError::NotFound)?;
    let (scope, unit) = (Scope::of(tx, session)?, state.opening.opens.unit);
    if !scope.holds(tx, record, unit)? {
        return Err(ActError::NotFound);
    }
    let kind = station.kinds.kind_of(&state)?;
    let sight = glass::sight(tx, &station.kinds, session, &state, station.env.clock.now())?.ok_or(ActError::NotFound)?;
    let documents = Documents::open(tx, &station.kinds, &state)?;
    if state.version().to_string() != if_match.trim_matches('"') {
        // What changed is shown as to one who gives no reason: he looks at the record's page if he must see more.
        return Err(moved(tx, &state, &documents, if_match, Mask::new(kind, &sight.plainly()))?);
    }
    let whos = workflow::whos(&scope.roles_over(tx, record, unit)?, state.opening.user == session.user);
    Ok(Opened {
        state,
        kind,
        documents,
        whos,
    })
}

/// What changed since the version that the person saw.
fn moved(
    tx: &ReadTx<'_>,
    state: &RecordState,
    documents: &Documents,
    seen: &str,
    mut mask: Mask<'_>,
) -> Result<ActError, StationError> {
    let broken = |fault| damaged(state, &fault);
    let version = state.version().to_string();
    let known = match seen.trim_matches('"').parse::<Hash>() {
        Ok(seen) => tx.version(state.id, &seen)?,
        Err(_) => None,
    };
    let Some((leaf, heads)) = known else {
        return Ok(ActError::Moved {
            changed: Vec::new(),
            acts: Vec::new(),
            version,
            shown: Vec::new(),
        });
    };
    let names = Names::of(tx, state.id)?;
    let now = documents.facts.view().map_err(broken)?;
    let before = documents.facts.view_at(&heads).map_err(broken)?.unwrap_or_default();
    let changed = changed(&documents.facts, &before, &now, &names, state, &mut mask)?;
    Ok(ActError::Moved {
        changed,
        acts: page::acts(tx, &names, state.id, Some(leaf), &mut mask)?,
        version,
        shown: mask.shown(),
    })
}

fn decide_act(
    station: &Station,
    tx: &ReadTx<'_>,
    session: &Session,
    record: RecordId,
    order: &ActOrder,
) -> Result<Decided, ActError> {
    let opened = open(station, tx, session, record, &order.if_match)?;
    let state = &opened.state;
    let offered = match workflow::judge(opened.kind, &state.state, &order.code, &opened.whos) {
        Judgement::Accepted { .. } | Judgement::Repeat => false,
        Judgement::OfferSupplement => true,
        Judgement::Returned { state_met } => return Err(ActError::StateMet(state_met)),
        Judgement::Forbidden => return Err(ActError::Forbidden),
        Judgement::UnknownAct => return Err(ActError::UnknownAct(order.code.clone())),
    };
    let values: Vec<(String, Value)> = order
        .values
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    check(station, session, &opened, order, &values)?;
    merges::check(tx, session, opened.kind, state, order)?;
    let act = ActEntry {
        record,
        code: order.code.clone(),
        heads: opened.documents.facts.heads(),
        last_act: state.last_act,
        at: station.env.clock.now(),
        comment: order.comment.clone(),
        values: (!values.is_empty()).then_some(values),
        private_heads: opened.documents.private.as_ref().map(Document::heads),
        on_behalf: Some(session.user),
        nonce: Some(random(&station.env)?),
    };
    if act.said_bytes() > ACT_BYTES_MAX {
        let text = format!("comment and values of an act have at most {ACT_BYTES_MAX} bytes");
        return Err(StationError::Invalid(text).into());
    }
    let merges = merges::named(opened.kind, order).filter(|_| order.code == MERGE_INTO);
    Ok(Decided {
        merges: merges.and_then(|(_, target)| target),
        ..decided(&Entry::Act(act), offered, state.leaf)
    })
}

/// What the act requires: a comment, values, rules over the facts. Findings on the facts as such only flag.
fn check(
    station: &Station,
    session: &Session,
    opened: &Opened<'_>,
    order: &ActOrder,
    values: &[(String, Value)],
) -> Result<(), ActError> {
    let Some(rule) = opened.kind.act(&order.code) else {
        return Err(ActError::UnknownAct(order.code.clone()));
    };
    if let Some((name, _)) = values
        .iter()
        .find(|(name, _)| rule.fields.iter().all(|field| field.code != *name))
    {
        return Err(StationError::Invalid(format!("the act {:?} takes no value {name:?}", order.code)).into());
    }
    let broken = |fault| ActError::Station(damaged(&opened.state, &fault));
    let view = opened.documents.facts.view().map_err(broken)?;
    let private = opened
        .documents
        .private
        .as_ref()
        .map(Document::view)
        .transpose()
        .map_err(broken)?
        .unwrap_or_default();
    let user = UserContext {
        id: session.user,
        roles: &opened.whos,
    };
    // What he orders he orders now, whenever the last act was.
    let judged = Judged {
        now: station.env.clock.now(),
        ..reading::judged(&opened.state, &view.facts, &private.facts, user)
    };
    let given = ActGiven {
        comment: order.comment.as_deref(),
        values,
    };
    let mut findings = workflow::check_act(opened.kind, rule, given, &judged);
    if findings
        .iter()
        .any(|finding| finding.path == "comment" && finding.code == "required")
    {
        return Err(ActError::CommentRequired);
    }
    findings.retain(|finding| finding.severity == FindingSeverity::Error);
    if findings.is_empty() {
        Ok(())
    } else {
        Err(ActError::Findings(findings.into_iter().map(finding_view).collect()))
    }
}

fn decide_settlement(
    station: &Station,
    tx: &ReadTx<'_>,
    session: &Session,
    record: RecordId,
    place: &FieldPath,
    value: &Value,
    if_match: &str,
) -> Result<Decided, ActError> {
    let path = place.to_string();
    let opened = open(station, tx, session, record, if_match)?;
    let state = &opened.state;
    if !workflow::may_write(opened.kind, &state.state, &opened.whos) {
        return Err(ActError::Forbidden);
    }
    let broken = |fault| ActError::Station(damaged(state, &fault));
    let conflicted = |document: &Document| {
        Ok::<_, ActError>(
            document
                .view()
                .map_err(broken)?
                .conflicts
                .iter()
                .any(|found| found.path == *place),
        )
    };
    let in_private = match &opened.documents.private {
        Some(private) if reads_private(opened.kind, &opened.whos, state.opening.user == session.user) => conflicted(private)?,
        Some(_) | None => false,
    };
    let name = match (conflicted(&opened.documents.facts)?, in_private) {
        (true, _) => DocumentName::Facts,
        (false, true) => DocumentName::Private,
        (false, false) => return Err(settlement(&path, "此处没有冲突", "there is no conflict here")),
    };
    // A fresh author mark for each settlement: one that was used twice would part the copies for ever.
    let actor = ActorId::from_bytes(random(&station.env)?);
    let mut document = station.kinds.document_as(tx, state, name, actor)?;
    let at = station.env.clock.now();
    let change = document.edit(
        &Edit::at(place, value)
            .ok_or_else(|| settlement(&path, "此处不能裁定", "this place cannot be settled"))?
            .settling(),
        at,
    );
    let change = change.map_err(|fault| match fault {
        EditError::Document(fault) => broken(fault),
        fault => settlement(&path, "取值不符合字段要求", &fault.to_string()),
    })?;
    let entry = Entry::Change(ChangeEntry {
        record,
        document: name.into(),
        change: change.bytes,
        at,
        settles: Some(true),
        opens: None,
        on_behalf: Some(session.user),
    });
    Ok(decided(&entry, false, state.leaf))
}

fn decided(entry: &Entry, offered: bool, met: u64) -> Decided {
    let bytes = entry.to_bytes();
    Decided {
        id: identity(&bytes),
        entry: OwnEntry { bytes, offered },
        met,
        merges: None,
    }
}

fn settlement(path: &str, zh: &str, en: &str) -> ActError {
    ActError::Settlement {
        path: path.to_owned(),
        message: Label {
            zh: zh.to_owned(),
            en: en.to_owned(),
        },
    }
}
