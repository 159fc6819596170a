//! Answers to residents' requests: a copy of what is kept in a record, for its subject, and a deletion that was granted. Each rests on a
//! record of kind `request` that asks for it about this record, and is on the audit log under that request's id.

use beatbook_protocol::facts::Facts;
use beatbook_protocol::id::RecordId;
use beatbook_protocol::kind::{CheckedKind, DocumentName, Field, FieldType, Label};
use beatbook_protocol::time::UnixMillis;
use serde::Serialize;

use super::check_ground;
use crate::audit::{self, Line};
use crate::destruction::{self, Hand, Order, Why, carry_out, group_of};
use crate::error::StationError;
use crate::feed::reads_private;
use crate::kinds::damaged;
use crate::policy::{self, Permission};
use crate::projection::reading::{Documents, places};
use crate::scope::Scope;
use crate::station::{Session, Station};
use crate::store::ReadTx;

/// The kind of requests.
const REQUEST: &str = "request";

/// A copy of what is kept in a record, for whom it is about (PIPL art. 45), with why and how long it is kept (art. 17).
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Extract {
    /// The record.
    #[schema(value_type = String)]
    pub record: RecordId,
    /// The request that it answers.
    #[schema(value_type = String)]
    pub request: RecordId,
    /// Name of its kind.
    #[schema(value_type = crate::http::LabelShape)]
    pub kind: Label,
    /// Why such records are kept.
    pub purpose: String,
    /// By which power.
    pub legal_basis: String,
    /// How many days after the last news.
    pub retention_days: u32,
    /// Why so long.
    pub retention_why: String,
    /// Name of the unit that keeps it.
    pub unit: String,
    /// When it was opened.
    #[schema(value_type = i64)]
    pub opened_at: UnixMillis,
    /// When it was written in last.
    #[schema(value_type = i64)]
    pub last_at: UnixMillis,
    /// What it says, in the order of its places.
    pub said: Vec<ExtractLine>,
    /// The files that it names.
    pub files: Vec<ExtractFile>,
    /// What whoever hands it out has to look at first.
    pub notice: String,
}

/// One thing that a record says.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ExtractLine {
    /// Where, as `fields/outcome`.
    pub place: String,
    /// Name of the field.
    #[schema(value_type = Option<crate::http::LabelShape>)]
    pub label: Option<Label>,
    /// What it says.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
    /// Name of what was chosen.
    #[schema(value_type = Option<crate::http::LabelShape>)]
    pub chosen: Option<Label>,
    /// Why it is kept.
    pub purpose: Option<String>,
    /// Whether it is of the private document.
    pub private: bool,
}

/// A file that a record names.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ExtractFile {
    /// The blob, to be fetched by its own call.
    pub sha256: String,
    /// Media type.
    pub media_type: String,
    /// Length in bytes.
    pub bytes: u64,
}

impl Station {
    /// A copy of a record's data for its subject, nothing masked; none when there is no such record in the person's scope.
    ///
    /// # Errors
    /// When the person may not read all of it, or the request does not ask for access to this record, or is not being dealt with.
    pub fn extract(&self, by: &Session, record: RecordId, request: RecordId) -> Result<Option<Extract>, StationError> {
        policy::require(Some(by), Permission::Keep)?;
        self.store.write(|tx| {
            match check_unit(tx, Some(by), record, Permission::Keep) {
                Err(StationError::NotFound(_)) => return Ok(None),
                checked => checked?,
            }
            self.check_request(tx, Some(by), request, "access", &["examining", "answered"], record)?;
            let Some(state) = tx.record(record)? else { return Ok(None) };
            let kind = self.kinds.kind_of(&state)?;
            let roles = Scope::of(tx, by)?.roles_over(tx, record, state.opening.opens.unit)?;
            if !reads_private(kind, &roles, state.opening.user == by.user) {
                return Err(StationError::Forbidden(
                    "who does not read all of a record cannot hand out a copy of it".into(),
                ));
            }
            let documents = Documents::open(tx, &self.kinds, &state)?;
            let broken = |fault| damaged(&state, &fault);
            let facts = documents.facts.view().map_err(broken)?.facts;
            let private = documents
                .private
                .as_ref()
                .map(|document| document.view().map_err(broken))
                .transpose()?;
            let private = private.map(|view| view.facts).unwrap_or_default();
            let unit = tx.units()?.into_iter().find(|unit| unit.unit == state.opening.opens.unit);
            audit::append(
                tx,
                &self.env,
                &Line {
                    user: Some(by.user),
                    what: "record.extract",
                    record: Some(record),
                    detail: "facts, private".into(),
                    reason: Some(format!("request {request}")),
                },
            )?;
            Ok(Some(Extract {
                record,
                request,
                kind: kind.label.clone(),
                purpose: kind.purpose.clone(),
                legal_basis: kind.legal_basis.clone(),
                retention_days: kind.retention.days,
                retention_why: kind.retention.why.clone(),
                unit: unit.map(|unit| unit.name).unwrap_or_default(),
                opened_at: state.opening.at,
                last_at: state.last_at,
                said: lines(kind, &facts, false).chain(lines(kind, &private, true)).collect(),
                files: files(&facts).chain(files(&private)).collect(),
                notice: "What it says of others is theirs: take it out before the copy is handed over.".into(),
            }))
        })
    }

    /// Destroys a record, or its private document alone, with all that is one thing with it: because a request for deletion was granted, or
    /// by an order, which says on which ground. How many entries lost their bytes.
    ///
    /// # Errors
    /// When `by` may not, there is no such record in his units, it is held, or the request does not ask for this.
    pub fn destroy(
        &self,
        by: Option<&Session>,
        record: RecordId,
        private_only: bool,
        request: Option<RecordId>,
        ground: Option<&str>,
    ) -> Result<u64, StationError> {
        policy::require(by, Permission::Keep)?;
        let ground = ground.map(check_ground).transpose()?;
        let hand = Hand {
            keys: &self.keys,
            kinds: &self.kinds,
            env: &self.env,
        };
        let entries = self.store.write(|tx| {
            check_unit(tx, by, record, Permission::Keep)?;
            let (why, rule) = match (request, &ground) {
                (Some(request), None) => {
                    self.check_request(tx, by, request, "deletion", &["answered", "closed"], record)?;
                    (Why::Request, format!("request {request}"))
                }
                (None, Some(ground)) => (Why::Order, ground.clone()),
                (Some(_), Some(_)) | (None, None) => {
                    return Err(StationError::Invalid(
                        "name the request that asks for it, or the ground of the order: one of both".into(),
                    ));
                }
            };
            let group = group_of(tx, record)?;
            for member in &group {
                // A hold on one of them holds all, also where the private document of this one alone is to go.
                let hold = tx.hold(*member)?;
                if !private_only || hold.is_some() {
                    check_unit(tx, by, *member, Permission::Keep)?;
                }
                if let Some(hold) = hold {
                    return Err(StationError::Held {
                        record: *member,
                        ground: hold.ground,
                    });
                }
            }
            let group = if private_only { vec![record] } else { group };
            if private_only && tx.record(record)?.is_none_or(|state| state.private_heads.is_empty()) {
                return Err(StationError::NotFound(format!("private document of record {record}")));
            }
            let orders: Vec<Order> = group
                .into_iter()
                .map(|record| Order {
                    record,
                    private_only,
                    why: why.code().into(),
                    rule: rule.clone(),
                    by: by.map(|by| by.user),
                })
                .collect();
            carry_out(hand, tx, &orders)
        })?;
        destruction::settle(self)?;
        Ok(entries)
    }

    /// Whether a request asks for this about that record, and stands where it can be answered.
    fn check_request(
        &self,
        tx: &ReadTx<'_>,
        by: Option<&Session>,
        request: RecordId,
        asks: &str,
        states: &[&str],
        record: RecordId,
    ) -> Result<(), StationError> {
        let wrong = |why: &str| Err(StationError::Invalid(format!("request {request}: {why}")));
        check_unit(tx, by, request, Permission::Keep)?;
        let Some(state) = tx.record(request)?.filter(|state| state.opening.opens.kind == REQUEST) else {
            return wrong("it is no request of a resident");
        };
        if !states.contains(&state.state.as_str()) {
            return wrong(&format!(
                "it is in state {}, and is to be in {} first",
                state.state,
                states.join(" or ")
            ));
        }
        let kind = self.kinds.kind_of(&state)?;
        let view = self.kinds.document(tx, &state, DocumentName::Facts)?.view();
        let facts = view.map_err(|fault| damaged(&state, &fault))?.facts;
        let text = |code: &str| facts.fields.get(code).and_then(|value| value.as_text());
        if text("asks") != Some(asks) {
            return wrong(&format!("it does not ask for {asks}"));
        }
        let group = group_of(tx, record)?;
        let names = |field: &Field| {
            field.field_type == FieldType::Reference
                && text(&field.code)
                    .and_then(|text| text.parse().ok())
                    .is_some_and(|named| group.contains(&named))
        };
        if kind.fields.iter().any(names) {
            Ok(())
        } else {
            wrong("it is about another record")
        }
    }
}

/// Refuses a record that is not there, or not in a person's units.
pub(super) fn check_unit(
    tx: &ReadTx<'_>,
    by: Option<&Session>,
    record: RecordId,
    permission: Permission,
) -> Result<(), StationError> {
    let no_record = || StationError::NotFound(format!("record {record}"));
    let state = tx.record(record)?.ok_or_else(no_record)?;
    match by {
        Some(by) if !Scope::of(tx, by)?.units_where(permission).contains(&state.opening.opens.unit) => Err(no_record()),
        Some(_) | None => Ok(()),
    }
}

fn lines<'k>(kind: &'k CheckedKind, facts: &Facts, private: bool) -> impl Iterator<Item = ExtractLine> + use<'k> {
    places(facts).into_iter().map(move |(place, value)| {
        let field = field_of(kind, &place);
        let chosen = field.and_then(|field| {
            field
                .choices
                .iter()
                .find(|choice| value.as_str() == Some(choice.code.as_str()))
        });
        ExtractLine {
            label: field.map(|field| field.label.clone()),
            chosen: chosen.map(|choice| choice.label.clone()),
            purpose: field.map(|field| field.purpose.clone()),
            place,
            value,
            private,
        }
    })
}

/// The field of a place: `fields/CODE`, `notes/CODE`, `lists/LIST/ITEM/CODE`.
fn field_of<'k>(kind: &'k CheckedKind, place: &str) -> Option<&'k Field> {
    let parts: Vec<&str> = place.split('/').collect();
    match parts.as_slice() {
        ["fields" | "notes", code] => kind.field(code),
        ["lists", list, _, code] => kind.field(list)?.fields.iter().find(|field| field.code == *code),
        _ => None,
    }
}

fn files(facts: &Facts) -> impl Iterator<Item = ExtractFile> {
    facts
        .files
        .iter()
        .filter(|(_, file)| !file.removed)
        .map(|(hash, file)| ExtractFile {
            sha256: hash.to_string(),
            media_type: file.media_type.clone(),
            bytes: file.bytes,
        })
}
