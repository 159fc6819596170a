//! People out of a table: each line against the people as they are and the units as the table makes them.

use std::collections::{BTreeMap, BTreeSet};

use beatbook_protocol::entry::{RegistryEvent, UserEvent};
use beatbook_protocol::id::{UnitId, UserId};
use beatbook_protocol::time::UnixMillis;

use super::columns::{self, Cells, Codes, PEOPLE};
use super::units::Plan;
use super::{CODE, ImportLine, ImportOutcome, Judged};
use crate::error::StationError;
use crate::registry::people::check_roles;
use crate::registry::realm::{Realm, keeps};
use crate::registry::{names, people};
use crate::sheets::Table;
use crate::store::{ReadTx, UserRow};

const NAME: usize = 1;
const UNIT: usize = 2;
const ROLES: usize = 3;

/// What lines of people are judged against.
pub(super) struct People<'a> {
    pub(super) tx: &'a ReadTx<'a>,
    pub(super) realm: &'a Realm,
    pub(super) tree: &'a Plan<'a>,
    pub(super) on_behalf: Option<UserId>,
}

impl People<'_> {
    /// Judges the lines of a table.
    pub(super) fn judge(
        &self,
        table: &Table,
        random: impl Fn() -> Result<[u8; 10], StationError>,
        now: UnixMillis,
    ) -> Result<Vec<Judged>, StationError> {
        let lines = columns::read("people", table, &PEOPLE)?;
        let mut keepers: BTreeSet<UserId> = BTreeSet::new();
        for row in self.tx.users()? {
            if keeps(&row.roles) && !row.blocked {
                keepers.insert(row.user);
            }
        }
        let codes = Codes::of(&lines);
        let mut judged = Vec::new();
        for line in &lines {
            if let Some(fault) = codes.fault(line) {
                judged.push(Judged::refused("people", line, fault));
                continue;
            }
            let before = match self.tx.user_of_code(line.get(CODE))? {
                Some(user) => self.tx.user(user)?,
                None => None,
            };
            let user = match &before {
                Some(row) => row.user,
                None => UserId::from_parts(now, random()?),
            };
            judged.push(match self.event(line, before.as_ref(), user) {
                Err(fault) => Judged::refused("people", line, fault),
                Ok(event) => {
                    if keeps(&event.roles) && event.blocked.is_none() {
                        keepers.insert(user);
                    } else {
                        keepers.remove(&user);
                    }
                    told(line, before.as_ref(), event)
                }
            });
        }
        if keepers.is_empty() {
            self.refuse_the_last(&mut judged)?;
        }
        Ok(judged)
    }

    /// The event that a line comes to, or why it cannot be.
    fn event(&self, line: &Cells, before: Option<&UserRow>, user: UserId) -> Result<UserEvent, String> {
        let text = |fault: StationError| fault.to_string();
        let name = names::check("a person", line.get(NAME)).map_err(text)?;
        let unit = self.unit(line, before)?;
        let roles = match (line.said(ROLES), before) {
            (Some(roles), _) => check_roles(&codes(roles)).map_err(text)?,
            (None, Some(row)) => row.roles.clone(),
            (None, None) => return Err("say what he is: his roles are missing".into()),
        };
        people::check_with_memberships(self.tx, user, &roles).map_err(text)?;
        let as_he_is = before.map(|row| people::event_of(row, None));
        Ok(UserEvent {
            user,
            name,
            roles,
            unit,
            blocked: as_he_is.and_then(|event| event.blocked),
            on_behalf: self.on_behalf,
        })
    }

    fn unit(&self, line: &Cells, before: Option<&UserRow>) -> Result<UnitId, String> {
        let beyond = || "this is beyond the person's own units".to_owned();
        if before.is_some_and(|row| !self.realm.holds(row.unit)) {
            return Err(beyond());
        }
        let Some(code) = line.said(UNIT) else {
            return before
                .map(|row| row.unit)
                .ok_or_else(|| "say where he works: his unit is missing".into());
        };
        let unit = self
            .tree
            .find(code)
            .ok_or_else(|| format!("his unit {code:?} is neither here nor in the table"))?;
        if !self.tree.is_his(unit.unit) {
            return Err(beyond());
        }
        if unit.closed == Some(true) && before.is_none_or(|row| row.unit != unit.unit) {
            return Err(format!("his unit {code:?} is closed"));
        }
        Ok(unit.unit)
    }

    /// Refuses the lines that would leave nobody who keeps the registry.
    fn refuse_the_last(&self, judged: &mut [Judged]) -> Result<(), StationError> {
        let kept: BTreeMap<UserId, UserRow> = self.tx.users()?.into_iter().map(|row| (row.user, row)).collect();
        for line in judged {
            let Some(RegistryEvent::User(event)) = &line.event else {
                continue;
            };
            if kept.get(&event.user).is_some_and(|row| keeps(&row.roles)) {
                line.told.outcome = ImportOutcome::Refused;
                line.told.detail = "this is the last chief or administrator: appoint another one first".into();
                line.event = None;
            }
        }
        Ok(())
    }
}

fn told(line: &Cells, before: Option<&UserRow>, event: UserEvent) -> Judged {
    let mut changes: Vec<&str> = Vec::new();
    if let Some(before) = before {
        let differing = [
            ("name", before.name != event.name),
            ("unit", before.unit != event.unit),
            ("roles", before.roles != event.roles),
        ];
        changes.extend(differing.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what));
    }
    let outcome = match (before, changes.is_empty()) {
        (None, _) => ImportOutcome::Added,
        (Some(_), false) => ImportOutcome::Changed,
        (Some(_), true) => ImportOutcome::Unchanged,
    };
    let user = event.user;
    Judged {
        told: ImportLine {
            sheet: "people",
            line: line.line,
            code: line.get(CODE).to_owned(),
            outcome,
            detail: changes.join(", "),
        },
        event: (outcome != ImportOutcome::Unchanged).then_some(RegistryEvent::User(event)),
        code: before.is_none().then(|| (false, *user.as_bytes())),
    }
}

/// Roles by code or by their Chinese names, with spaces, commas, semicolons or 、 between.
fn codes(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| letter.is_whitespace() || ",;，；、/|".contains(letter));
    let code = |word: &str| {
        let code = match word {
            "网格员" => "grid_worker",
            "民警" | "社区民警" => "officer",
            "调解员" => "mediator",
            "所长" => "chief",
            "部门" => "department",
            "督导" => "supervisor",
            "审计" | "审计员" => "auditor",
            "管理员" => "admin",
            other => other,
        };
        code.to_owned()
    };
    words.filter(|word| !word.is_empty()).map(code).collect()
}
