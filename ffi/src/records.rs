//! Records: forms, drafts, lists, acts. Turns words; every rule is the core's.

use std::collections::HashMap;
use std::sync::Arc;

use beatbook_client_core::capture::draft::{Draft as CoreDraft, DraftId};
use beatbook_client_core::protocol::id::{Hash, UnitId};
use beatbook_client_core::protocol::place::Place;
use beatbook_client_core::query::{CameBackWhy, Filter};
use beatbook_client_core::{ActOrder, Core, sync};

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::forms::{DraftForm, KindForm};
use crate::observe::{ListenerError, Subscription, observe};
use crate::values::{Facts, FieldValue, Finding, Label, RecordEdit, RecordPage, RecordRow, RecordView, parsed, record};
use crate::work::caught;

/// The records of an open book.
#[derive(Debug, uniffi::Object)]
pub struct Records {
    desk: Arc<Desk>,
}

/// Which records a list shows. Unset conditions ask nothing.
#[derive(Debug, Clone, PartialEq, Default, uniffi::Record)]
pub struct RecordFilter {
    /// Of this kind.
    #[uniffi(default = None)]
    pub kind: Option<String>,
    /// In this state.
    #[uniffi(default = None)]
    pub state: Option<String>,
    /// Opened by this user.
    #[uniffi(default = false)]
    pub mine: bool,
    /// With work that the station has not answered.
    #[uniffi(default = false)]
    pub waiting: bool,
    /// That came back, or with work that was refused.
    #[uniffi(default = false)]
    pub came_back: bool,
    /// With conflicting values.
    #[uniffi(default = false)]
    pub conflicts: bool,
    /// About this record.
    #[uniffi(default = None)]
    pub about: Option<String>,
    /// With these words.
    #[uniffi(default = None)]
    pub text: Option<String>,
    /// After this place of a list that was shown before.
    #[uniffi(default = None)]
    pub after: Option<String>,
    /// Rows at most, 500 at the most.
    #[uniffi(default = 50)]
    pub limit: u32,
}

/// What is being typed. It is on the disk at each `save`, and never leaves the phone.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Draft {
    /// Its name.
    pub id: String,
    /// The record that it edits; none when it will open one.
    pub record: Option<String>,
    /// Its kind.
    pub kind: String,
    /// The unit in which it will open one; none is its author's own.
    pub unit: Option<String>,
    /// The values so far.
    pub edit: RecordEdit,
    /// The version of the record that its author had before him.
    pub based_on: Option<String>,
    /// The refused entry whose values it offers again.
    pub answers: Option<String>,
    /// When it was saved last, milliseconds since 1970.
    pub saved_at: i64,
}

/// What became of an act, or of a draft that was handed in.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Done {
    /// The record.
    pub record: String,
    /// The state that it is shown in now.
    pub state: String,
    /// Whether the act was done; else the findings say what hinders it, and the values are saved all the same.
    pub acted: bool,
    /// What is worth telling.
    pub findings: Vec<Finding>,
}

/// An act to do.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Act {
    /// Its code.
    pub code: String,
    /// The version of the record that its author had before him.
    pub version: String,
    /// What he says.
    #[uniffi(default = None)]
    pub comment: Option<String>,
    /// Values that go with it.
    #[uniffi(default)]
    pub values: HashMap<String, FieldValue>,
}

/// What waits on a record, since when and why.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Waiting {
    /// The record.
    pub record: String,
    /// How many entries.
    pub entries: u64,
    /// Since when, milliseconds since 1970.
    pub since: Option<i64>,
    /// Why: `not_enrolled`, `not_sent_yet`, `failed`, `station_lacks`.
    pub why: String,
}

/// An own entry that the station refused, or an act by which somebody sent a record back.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct CameBack {
    /// The record.
    pub record: String,
    /// What it is called.
    pub title: Label,
    /// Of a refusal: the entry, which `offer_again` and `dismiss` take.
    pub entry: Option<String>,
    /// Code of the act, or of the refusal.
    pub code: String,
    /// What was said.
    pub text: Option<String>,
    /// Who sent it back; none when the station refused.
    pub by: Option<String>,
    /// When, milliseconds since 1970.
    pub at: i64,
}

/// Something that must be done until a time.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Due {
    /// The record.
    pub row: RecordRow,
    /// Code of the clock.
    pub clock: String,
    /// What the clock is called.
    pub label: Label,
    /// When it runs out, milliseconds since 1970.
    pub until: i64,
    /// Whether it has.
    pub is_late: bool,
}

/// A record with a place, and how far it is.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct Near {
    /// The record.
    pub row: RecordRow,
    /// Metres from where was asked.
    pub metres: f64,
}

/// Told when a list looks different.
#[uniffi::export(with_foreign)]
pub trait RecordsListener: Send + Sync {
    /// How it looks now.
    fn on_page(&self, page: RecordPage) -> Result<(), ListenerError>;
}

impl Records {
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self { desk: Arc::clone(desk) })
    }
}

#[uniffi::export]
impl Records {
    /// The kinds that new records can be made of, with their forms.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn kinds(&self) -> Result<Vec<KindForm>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.kinds_in_force().iter().map(KindForm::from).collect()))
            .await
    }

    /// The kind of a record, by code and version: older records keep theirs.
    ///
    /// # Errors
    /// `InvalidInput` at `kind` when this app cannot read it.
    pub async fn kind(&self, code: String, version: u32) -> Result<KindForm, BeatbookError> {
        self.desk
            .work(move |core| {
                let kinds = core.kinds();
                let kind = kinds.get(&code, version);
                kind.map(KindForm::from)
                    .ok_or(BeatbookError::InvalidInput { field: "kind".into() })
            })
            .await
    }

    /// A new draft, for a new record of a kind or for a record as it is now. It is on the disk from the first `save`.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such kind or record.
    pub async fn draft(&self, kind: String, record: Option<String>) -> Result<Draft, BeatbookError> {
        let record = record.as_deref().map(crate::values::record).transpose()?;
        self.desk.work(move |core| Ok(core.draft_begin(&kind, record)?.into())).await
    }

    /// Saves a draft: it is on the disk when this returns. Items without a name get one; the draft that is given back has it.
    ///
    /// # Errors
    /// `InvalidInput` at what cannot be saved, `StorageFull`.
    pub async fn save(&self, draft: Draft) -> Result<Draft, BeatbookError> {
        self.desk
            .work(move |core| {
                let draft = draft.into_core(core)?;
                core.draft_save(&draft)?;
                Ok(core.draft(draft.id)?.into())
            })
            .await
    }

    /// All drafts, the latest first.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn drafts(&self) -> Result<Vec<Draft>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.drafts()?.into_iter().map(Draft::from).collect()))
            .await
    }

    /// Throws a draft away.
    ///
    /// # Errors
    /// `InvalidInput` when there is none of this name.
    pub async fn discard(&self, draft: String) -> Result<(), BeatbookError> {
        let id: DraftId = parsed("draft", &draft)?;
        self.desk.work(move |core| Ok(core.draft_drop(id)?)).await
    }

    /// How a draft stands with what is typed so far: which fields to show, and what is missing. Nothing is written.
    ///
    /// # Errors
    /// `InvalidInput` when its kind or record is not here.
    pub async fn validate(&self, draft: Draft) -> Result<DraftForm, BeatbookError> {
        self.desk
            .work(move |core| Ok(core.draft_form(&draft.into_core(core)?)?.into()))
            .await
    }

    /// Makes a saved draft an edit of its record, or opens one, and then does an act on it when a code is given (`finish`). When the act is
    /// hindered, the values are saved all the same, and the findings say by what.
    ///
    /// # Errors
    /// `InvalidInput` at the place that others have written meanwhile, or that cannot be taken.
    pub async fn submit(&self, draft: String, act: Option<String>) -> Result<Done, BeatbookError> {
        let id: DraftId = parsed("draft", &draft)?;
        self.desk
            .work(move |core| {
                let record = core.draft_commit(id)?;
                match act {
                    Some(code) => act_on(core, record, code),
                    None => Ok(Done {
                        record: record.to_string(),
                        state: core.record(record)?.row.state,
                        acted: false,
                        findings: Vec::new(),
                    }),
                }
            })
            .await
    }

    /// Edits a record that its author sees as `version`. Tells whether anything was written.
    ///
    /// # Errors
    /// `InvalidInput` at `version` when it has moved: show it again.
    pub async fn edit(&self, record: String, edit: RecordEdit, version: Option<String>) -> Result<bool, BeatbookError> {
        let record = crate::values::record(&record)?;
        self.desk
            .work(move |core| {
                let edit = edit.into_core(|| core.new_item())?;
                Ok(core.edit(record, &edit, version.as_deref())?)
            })
            .await
    }

    /// Acts on a record. The phone shows the state that follows; the station has the last word.
    ///
    /// # Errors
    /// `InvalidInput` at `version` when the record has moved, or at the act's code when it is not open to this user.
    pub async fn act(&self, record: String, act: Act) -> Result<Done, BeatbookError> {
        let id = crate::values::record(&record)?;
        self.desk
            .work(move |core| {
                let order = ActOrder {
                    code: act.code,
                    version: act.version,
                    comment: act.comment,
                    values: act.values.into_iter().map(|(code, value)| (code, value.into())).collect(),
                };
                done(core, id, &order)
            })
            .await
    }

    /// One record, whole.
    ///
    /// # Errors
    /// `InvalidInput` at `record` when it is not here.
    pub async fn get(&self, record: String) -> Result<RecordView, BeatbookError> {
        let record = crate::values::record(&record)?;
        self.desk.work(move |core| Ok(core.record(record)?.into())).await
    }

    /// A list of records.
    ///
    /// # Errors
    /// `InvalidInput` at `limit` when it is 0, at `after` when it is no place of a list.
    pub async fn page(&self, filter: RecordFilter) -> Result<RecordPage, BeatbookError> {
        let filter = filter.into_core()?;
        self.desk.work(move |core| page(core, &filter)).await
    }

    /// Records with these words, the last that came first: Chinese of two characters and more, words as they are typed, pinyin initials.
    ///
    /// # Errors
    /// `InvalidInput` at `limit` when it is 0.
    pub async fn search(&self, text: String, limit: u32) -> Result<Vec<RecordRow>, BeatbookError> {
        let filter = RecordFilter {
            text: Some(text),
            limit,
            ..RecordFilter::default()
        };
        let filter = filter.into_core()?;
        self.desk.work(move |core| Ok(page(core, &filter)?.rows)).await
    }

    /// What waits for the station, record by record.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, BeatbookError> {
        self.desk
            .work(|core| Ok(sync::waiting(core)?.into_iter().map(Waiting::from).collect()))
            .await
    }

    /// What came back, and why: acts of others, and what the station refused.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn refused(&self) -> Result<Vec<CameBack>, BeatbookError> {
        self.desk
            .work(|core| Ok(core.came_back()?.into_iter().map(CameBack::from).collect()))
            .await
    }

    /// Makes a draft of the values of a refused entry, to mend and submit again.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such entry.
    pub async fn offer_again(&self, entry: String) -> Result<Draft, BeatbookError> {
        let entry: Hash = parsed("entry", &entry)?;
        self.desk
            .work(move |core| {
                let id = core.offer_again(&entry)?;
                Ok(core.draft(id)?.into())
            })
            .await
    }

    /// Says that a refused entry has been dealt with. Its bytes stay.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such entry.
    pub async fn dismiss(&self, entry: String) -> Result<(), BeatbookError> {
        let entry: Hash = parsed("entry", &entry)?;
        self.desk.work(move |core| Ok(core.dismiss(&entry)?)).await
    }

    /// What must be done until when, the most pressing first.
    ///
    /// # Errors
    /// `Locked`.
    pub async fn due(&self, limit: u32) -> Result<Vec<Due>, BeatbookError> {
        self.desk
            .work(move |core| {
                let due = core.due(limit)?.into_iter().map(|due| Due {
                    row: due.row.into(),
                    clock: due.clock,
                    label: due.label.into(),
                    until: due.until.0,
                    is_late: due.is_late,
                });
                Ok(due.collect())
            })
            .await
    }

    /// Records of a kind whose place (a `geo:` URI) lies within so many metres, the nearest first.
    ///
    /// # Errors
    /// `InvalidInput` at `place` or `kind`.
    pub async fn nearby(&self, kind: String, place: String, metres: f64, limit: u32) -> Result<Vec<Near>, BeatbookError> {
        let place = Place::parse(&place).map_err(|_| BeatbookError::InvalidInput { field: "place".into() })?;
        self.desk
            .work(move |core| {
                let near = core.nearby(&kind, &place, metres, limit)?.into_iter().map(|near| Near {
                    row: near.row.into(),
                    metres: near.metres,
                });
                Ok(near.collect())
            })
            .await
    }

    /// The values of the last record of a kind about another one that carry over to the next.
    ///
    /// # Errors
    /// `InvalidInput` at `about` when it is no record's name.
    pub async fn starting_point(&self, kind: String, about: String) -> Result<Facts, BeatbookError> {
        let about = record(&about)?;
        self.desk
            .work(move |core| Ok(core.starting_point(&kind, about)?.into()))
            .await
    }

    /// Tells a listener how a list looks: now, and whenever it looks different.
    ///
    /// # Errors
    /// Those of `page`.
    pub fn observe(&self, filter: RecordFilter, listener: Arc<dyn RecordsListener>) -> Result<Arc<Subscription>, BeatbookError> {
        caught(|| {
            let filter = filter.into_core()?;
            observe(
                &self.desk,
                move |core| page(core, &filter),
                move |page| listener.on_page(page),
            )
        })
    }
}

fn page(core: &Core, filter: &Filter) -> Result<RecordPage, BeatbookError> {
    let page = core.list(filter)?;
    Ok(RecordPage {
        rows: page.rows.into_iter().map(RecordRow::from).collect(),
        next: page.next.map(|mark| mark.to_string()),
    })
}

fn act_on(core: &Core, record: beatbook_client_core::protocol::id::RecordId, code: String) -> Result<Done, BeatbookError> {
    let order = ActOrder {
        code,
        version: core.record(record)?.row.version,
        comment: None,
        values: Vec::new(),
    };
    done(core, record, &order)
}

fn done(core: &Core, record: beatbook_client_core::protocol::id::RecordId, order: &ActOrder) -> Result<Done, BeatbookError> {
    use beatbook_client_core::CoreError;
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

impl RecordFilter {
    fn into_core(self) -> Result<Filter, BeatbookError> {
        if self.limit == 0 {
            return Err(BeatbookError::InvalidInput { field: "limit".into() });
        }
        Ok(Filter {
            kind: self.kind,
            state: self.state,
            mine: self.mine,
            waiting: self.waiting,
            came_back: self.came_back,
            conflicts: self.conflicts,
            about: self.about.as_deref().map(record).transpose()?,
            merged_into: None,
            text: self.text,
            after: self.after.as_deref().map(|after| parsed("after", after)).transpose()?,
            limit: Some(self.limit),
        })
    }
}

impl Draft {
    fn into_core(self, core: &Core) -> Result<CoreDraft, BeatbookError> {
        Ok(CoreDraft {
            id: parsed("draft", &self.id)?,
            record: self.record.as_deref().map(record).transpose()?,
            kind: self.kind,
            unit: self.unit.as_deref().map(|unit| parsed::<UnitId>("unit", unit)).transpose()?,
            edit: self.edit.into_core(|| core.new_item())?,
            based_on: self.based_on,
            answers: self.answers.as_deref().map(|entry| parsed("answers", entry)).transpose()?,
            saved_at: beatbook_client_core::protocol::time::UnixMillis(self.saved_at),
        })
    }
}

impl From<CoreDraft> for Draft {
    fn from(draft: CoreDraft) -> Self {
        Self {
            id: draft.id.to_string(),
            record: draft.record.map(|record| record.to_string()),
            kind: draft.kind,
            unit: draft.unit.map(|unit| unit.to_string()),
            edit: draft.edit.into(),
            based_on: draft.based_on,
            answers: draft.answers.map(|entry| entry.to_string()),
            saved_at: draft.saved_at.0,
        }
    }
}

impl From<sync::RecordWaiting> for Waiting {
    fn from(waiting: sync::RecordWaiting) -> Self {
        Self {
            record: waiting.record.to_string(),
            entries: waiting.entries,
            since: waiting.since.map(|since| since.0),
            why: crate::sync::why_code(&waiting.why).to_owned(),
        }
    }
}

impl From<beatbook_client_core::query::CameBack> for CameBack {
    fn from(came: beatbook_client_core::query::CameBack) -> Self {
        let (entry, code, text) = match came.why {
            CameBackWhy::Act { code, comment } => (None, code, comment),
            CameBackWhy::Refused { entry, code, text } => (Some(entry.to_string()), code, Some(text)),
        };
        Self {
            record: came.record.to_string(),
            title: came.title.into(),
            entry,
            code,
            text,
            by: came.by.map(|by| by.name),
            at: came.at.0,
        }
    }
}
