//! What officers do on their phones, drawn from a seed, all through the core's public door: opening, editing, acting, patrolling, settling
//! conflicts, taking up what came back. Knows no network.

use beatbook_client_core::query::{Filter, RefusedWhat};
use beatbook_client_core::{ActOrder, Core, CoreError};
use beatbook_protocol::document::{Edit, Said};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{Hash, ItemId, RecordId, UserId};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::track::{Fix, GapReason};

use super::plan::Deed;
use crate::day::content;
use crate::seeded::Seeded;
use crate::street;

/// One officer at his phone.
#[derive(Debug)]
pub struct Officer<'w> {
    /// His phone's core.
    pub core: &'w Core,
    /// What he draws from.
    pub draw: &'w mut Seeded,
    /// Who he is.
    pub me: UserId,
    /// What time his phone says it is.
    pub now: UnixMillis,
    /// The records of entries that the core said it wrote, one for each entry.
    pub promised: &'w mut Vec<RecordId>,
    /// Entries that came back and that he took up or dismissed, or was about to.
    pub dealt_with: &'w mut Vec<Hash>,
}

/// What he did, in a word for the trace.
type Done = Result<String, CoreError>;

impl Officer<'_> {
    /// Does one deed.
    ///
    /// # Errors
    /// What the core says.
    pub fn does(&mut self, deed: Deed) -> Done {
        match deed {
            Deed::Edit => self.edits(),
            Deed::Act => self.acts(),
            Deed::Patrol => self.patrols(),
            Deed::Settle => self.settles(),
            Deed::TakeUp => self.takes_up(),
            _ => self.opens(),
        }
    }

    fn opens(&mut self) -> Done {
        let (kind, edit) = match self.draw.below(4) {
            0 => ("household", content::household(self.draw, 100 + self.draw.clone().below(900))),
            1 => ("incident", content::incident(self.draw, self.now)),
            _ => {
                let known = self.core.list(&Filter {
                    kind: Some("household".into()),
                    ..Filter::default()
                })?;
                let Some(household) = self.draw.pick(&known.rows).map(|row| row.record) else {
                    let record = self.core.begin("household", &content::household(self.draw, 1))?;
                    self.promised.push(record);
                    return Ok(format!("opens household {record}"));
                };
                ("visit", content::visit(self.draw, household, self.now))
            }
        };
        let record = if self.draw.below(3) == 0 {
            let mut draft = self.core.draft_begin(kind, None)?;
            draft.edit.fields.clone_from(&edit.fields);
            self.core.draft_save(&draft)?;
            draft.edit = edit;
            self.core.draft_save(&draft)?;
            if self.draw.below(8) == 0 {
                return Ok(format!("leaves a draft of a {kind}"));
            }
            self.core.draft_commit(draft.id)?
        } else {
            self.core.begin(kind, &edit)?
        };
        self.promised.push(record);
        let mut did = format!("opens {kind} {record}");
        if self.draw.below(2) == 0 {
            let codes: &[&str] = match kind {
                "visit" => &["finish", "submit"],
                "incident" => &["report"],
                _ => &[],
            };
            for code in codes {
                self.act(record, code)?;
                did = format!("{did}, {code}");
            }
        }
        Ok(did)
    }

    fn some_record(&mut self) -> Result<Option<(RecordId, String)>, CoreError> {
        let rows = self
            .core
            .list(&Filter {
                limit: Some(30),
                ..Filter::default()
            })?
            .rows;
        Ok(self.draw.pick(&rows).map(|row| (row.record, row.kind.clone())))
    }

    fn edits(&mut self) -> Done {
        let Some((record, kind)) = self.some_record()? else {
            return self.opens();
        };
        let view = self.core.record(record)?;
        let edit = self.some_edit(&kind, &view.facts.lists);
        if self.draw.below(3) == 0 {
            let mut draft = self.core.draft_begin(&kind, Some(record))?;
            draft.edit = edit;
            self.core.draft_save(&draft)?;
            self.core.draft_commit(draft.id)?;
            return Ok(format!("edits {kind} {record} by a draft"));
        }
        let version = (self.draw.below(2) == 0).then_some(view.row.version);
        let wrote = self.core.edit(record, &edit, version.as_deref())?;
        self.promised.extend(wrote.then_some(record));
        Ok(format!("edits {kind} {record}: {wrote}"))
    }

    fn some_edit(&mut self, kind: &str, lists: &Lists) -> Edit {
        let number = self.draw.below(4);
        let word = format!(
            "{} {}",
            self.draw.pick(&["灯", "门", "stairs", "alarm"]).unwrap_or(&"x"),
            number
        );
        match (kind, self.draw.below(5)) {
            ("household", 0) => {
                let uses = ["own", "rented", "vacant", "business"];
                Edit::new().field("dwelling_use", *self.draw.pick(&uses).unwrap_or(&"own"))
            }
            ("household", 1) => Edit::new().clear("place"),
            ("household", 2) => self.some_item("residents", lists, [("name", word.into()), ("relation", "family".into())]),
            ("household", 3) => self.some_item("contacts", lists, [("name", word.into()), ("phone", "13800138000".into())]),
            ("household", _) => Edit::new().field("address", word.clone()).note("notes", word),
            ("visit", 0) => {
                let outcomes = ["done", "refused", "moved", "no_answer"];
                Edit::new().field("outcome", *self.draw.pick(&outcomes).unwrap_or(&"done"))
            }
            ("visit", 1) => Edit::new().field("duration_min", i64::try_from(number).unwrap_or(1)),
            ("visit", 2) => self.some_item("opinions", lists, [("topic", "traffic".into()), ("text", word.into())]),
            ("incident", 0) => Edit::new().field(
                "category",
                *self.draw.pick(&["fire", "traffic", "dispute"]).unwrap_or(&"fire"),
            ),
            ("incident", 1) => Edit::new().field("summary", word),
            ("incident", 2) => Edit::new().field("injured", i64::try_from(number).unwrap_or(0)),
            ("incident", _) => self.some_item("people_involved", lists, [("name", word.into()), ("part", "witness".into())]),
            ("patrol", 0..2) => Edit::new().note("handover_note", word),
            ("patrol", _) => Edit::new().field("patrol_kind", *self.draw.pick(&["foot", "car"]).unwrap_or(&"foot")),
            _ => Edit::new().note("notes", word),
        }
    }

    /// A new item, another value in a known one, or one taken out or put back.
    fn some_item(&mut self, list: &str, lists: &Lists, fields: [(&'static str, Value); 2]) -> Edit {
        let known: Vec<ItemId> = lists
            .get(list)
            .map(|items| items.keys().copied().collect())
            .unwrap_or_default();
        match self.draw.pick(&known).copied() {
            Some(item) if self.draw.below(4) == 0 => Edit::new().remove(list, item),
            Some(item) if self.draw.below(2) == 0 => {
                let [first, _] = fields;
                Edit::new().item(list, item, [first])
            }
            _ => {
                let item = content::item(self.draw);
                Edit::new().item(list, item, fields)
            }
        }
    }

    fn acts(&mut self) -> Done {
        let Some((record, _)) = self.some_record()? else {
            return self.opens();
        };
        let open = self.core.record(record)?.acts_open;
        let Some(code) = self.draw.pick(&open).cloned() else {
            return Ok(format!("finds nothing to do on {record}"));
        };
        let state = self.act(record, &code)?;
        Ok(format!("{code} on {record}: {state}"))
    }

    fn act(&mut self, record: RecordId, code: &str) -> Done {
        let version = self.core.record(record)?.row.version;
        let comment = (self.draw.below(2) == 0 || code != "submit").then(|| format!("because {}", self.draw.below(50)));
        let mut values = Vec::new();
        if code == "merge_into"
            && let Some((other, _)) = self.some_record()?
        {
            values.push(("target".to_owned(), Value::from(other.to_string())));
        }
        let order = ActOrder {
            code: code.into(),
            comment,
            values,
            version,
        };
        let state = self.core.act(record, &order)?.state;
        self.promised.push(record);
        Ok(state)
    }

    fn patrols(&mut self) -> Done {
        let Some(active) = self.core.patrol_active()? else {
            let record = self.core.patrol_start(&content::patrol(self.me, self.now))?;
            self.promised.push(record);
            return Ok(format!("starts patrol {record}"));
        };
        let record = active.record;
        match self.draw.below(6) {
            0 => {
                if active.is_paused {
                    self.core.patrol_resume()?;
                } else {
                    self.core.patrol_pause(GapReason::Paused)?;
                }
                Ok(format!("{} {record}", if active.is_paused { "resumes" } else { "pauses" }))
            }
            1 => {
                let end = content::patrol_end(self.draw, self.now);
                self.core.patrol_finish(&end)?;
                self.promised.push(record);
                let state = self.act(record, "submit")?;
                Ok(format!("ends {record}: {state}"))
            }
            _ => {
                let walk = street::walk(self.draw, 60 + i64::try_from(self.draw.clone().below(300)).unwrap_or(0), 5);
                let fix = |seen: &street::Sighting| {
                    Fix::check(self.now.plus(seen.after_s * 1000), seen.lat, seen.lon, Some(seen.accuracy_m)).ok()
                };
                let fixes: Vec<Fix> = walk.iter().filter_map(fix).collect();
                let counts = self.core.patrol_add(&fixes)?;
                Ok(format!("walks on {record}: {} fixes", counts.fixes_in))
            }
        }
    }

    fn settles(&mut self) -> Done {
        let conflicts = self.core.conflicts()?;
        let Some(conflict) = self.draw.pick(&conflicts) else {
            return Ok("finds no conflict".into());
        };
        let value = match self.draw.pick(&conflict.claims).map(|claim| &claim.value) {
            Some(Said::Value(value)) => value.clone(),
            _ => return Ok("finds a conflict of no plain value".into()),
        };
        let wrote = self.core.settle(conflict.record, &conflict.path, &value, None)?;
        self.promised.extend(wrote.then_some(conflict.record));
        Ok(format!("settles {} of {}: {wrote}", conflict.path, conflict.record))
    }

    fn takes_up(&mut self) -> Done {
        let refused = self.core.refused()?;
        let Some(entry) = self.draw.pick(&refused) else {
            return Ok("finds nothing refused".into());
        };
        self.dealt_with.push(entry.entry);
        if matches!(entry.what, RefusedWhat::Act { .. }) || self.draw.below(3) == 0 {
            self.core.dismiss(&entry.entry)?;
            return Ok(format!("dismisses {}", entry.entry));
        }
        let draft = self.core.offer_again(&entry.entry)?;
        let record = self.core.draft_commit(draft)?;
        Ok(format!("writes {} again in {record}", entry.entry))
    }
}

type Lists = std::collections::BTreeMap<String, std::collections::BTreeMap<ItemId, beatbook_protocol::facts::Item>>;

/// Whether the core may say this to an officer who does nothing wrong. A place that no path names is never shown to him.
#[must_use]
pub fn is_an_answer(error: &CoreError, is_full: bool) -> bool {
    match error {
        CoreError::InvalidInput { .. }
        | CoreError::Moved { .. }
        | CoreError::Hindered { .. }
        | CoreError::Conflicted { .. }
        | CoreError::Forbidden { .. }
        | CoreError::OpeningRefused(_)
        | CoreError::LeftScope(_) => true,
        CoreError::StorageFull => is_full,
        CoreError::UnknownRecord(_)
        | CoreError::Unknown { .. }
        | CoreError::NotEnrolled
        | CoreError::Ended
        | CoreError::WrongKey
        | CoreError::NoCipher
        | CoreError::UpgradeRequired
        | CoreError::StorageDamaged { .. }
        | CoreError::Internal(_) => false,
    }
}
