//! What the chief does with a day: settles conflicts, returns one record with a comment, approves the rest, all over HTTP.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::station::{Chief, StationProcessError};

type Result<T> = std::result::Result<T, StationProcessError>;

/// What the chief did.
#[derive(Debug, Clone, Default)]
pub struct Reviewed {
    /// Conflicts settled.
    pub settled: u64,
    /// Records approved or accepted.
    pub approved: u64,
    /// Records returned.
    pub returned: u64,
}

/// Adds a person and gives a one-time code for his phone.
///
/// # Errors
/// Those of the calls.
pub async fn register(chief: &Chief, name: &str, role: &str) -> Result<String> {
    let user = chief
        .post("/api/v1/users", &json!({ "name": name, "roles": [role] }), None)
        .await?;
    let id = text(&user, "user");
    let code = chief
        .post(&format!("/api/v1/users/{id}/enrolment-code"), &json!({}), None)
        .await?;
    Ok(text(&code, "code"))
}

/// Adds a person and issues an invitation for his phone: the enrolment's number, and the line that the phone's camera reads.
///
/// # Errors
/// Those of the calls.
pub async fn invite(chief: &Chief, name: &str, role: &str) -> Result<(String, String)> {
    let user = chief
        .post("/api/v1/users", &json!({ "name": name, "roles": [role] }), None)
        .await?;
    let id = text(&user, "user");
    let code = chief
        .post(&format!("/api/v1/users/{id}/enrolment-code"), &json!({}), None)
        .await?;
    Ok((text(&code, "id"), text(&code, "invitation")))
}

/// The digits that the phone of an enrolment must show.
///
/// # Errors
/// Those of the call.
pub async fn check_digits(chief: &Chief, enrolment: &str) -> Result<String> {
    let view = chief.get(&format!("/api/v1/enrolment-codes/{enrolment}")).await?;
    Ok(text(&view["book"], "check_digits"))
}

/// All rows of a list, page by page.
///
/// # Errors
/// Those of the calls.
pub async fn rows(chief: &Chief, path: &str) -> Result<Vec<Json>> {
    let mut rows = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let next = after
            .as_ref()
            .map(|after| format!("{joint}after={after}"))
            .unwrap_or_default();
        let page = chief.get(&format!("{path}{next}")).await?;
        rows.extend(page["rows"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(rows),
        }
    }
}

/// Settles every conflict in favour of the newest claim.
///
/// # Errors
/// Those of the calls.
pub async fn settle_conflicts(chief: &Chief) -> Result<u64> {
    let mut settled = 0;
    for row in rows(chief, "/api/v1/records?conflicted=true").await? {
        let id = text(&row, "id");
        loop {
            // What conflicts may be private: he says why he looks.
            let page = chief
                .get_because(&format!("/api/v1/records/{id}"), "settles a conflict")
                .await?;
            let Some(conflict) = page["conflicts"].get(0) else { break };
            let claims = conflict["claims"].as_array().cloned().unwrap_or_default();
            let newest = claims
                .iter()
                .max_by_key(|claim| claim["at"].as_i64())
                .cloned()
                .unwrap_or_default();
            let body = json!({ "path": conflict["path"], "value": newest["value"] });
            chief
                .post(
                    &format!("/api/v1/records/{id}/settle"),
                    &body,
                    page["header"]["version"].as_str(),
                )
                .await?;
            settled += 1;
        }
    }
    Ok(settled)
}

/// Goes through the review queue: the first visit comes back with a comment, incidents are accepted, everything else is approved at
/// once.
///
/// # Errors
/// Those of the calls.
pub async fn review(chief: &Chief) -> Result<Reviewed> {
    let mut done = Reviewed::default();
    let mut to_approve = Vec::new();
    for row in rows(chief, "/api/v1/review").await? {
        let (id, version) = (text(&row, "id"), text(&row, "version"));
        let path = format!("/api/v1/records/{id}/acts");
        match row["kind"].as_str().unwrap_or_default() {
            "visit" if done.returned == 0 => {
                let order = json!({ "act": "return", "comment": "请补充走访照片，并写明答复时限。" });
                chief.post(&path, &order, Some(&version)).await?;
                done.returned += 1;
            }
            "incident" => {
                chief.post(&path, &json!({ "act": "accept" }), Some(&version)).await?;
                done.approved += 1;
            }
            _ => to_approve.push(json!({ "id": id, "version": version })),
        }
    }
    for part in to_approve.chunks(50) {
        let outcome = chief
            .post("/api/v1/review/approve", &json!({ "records": part }), None)
            .await?;
        done.approved += outcome["approved"].as_u64().unwrap_or(0);
    }
    Ok(done)
}

/// Every record of the station: its changes' and acts' hashes, for comparing with what a phone holds.
///
/// # Errors
/// Those of the calls.
pub async fn holdings(chief: &Chief) -> Result<BTreeMap<String, Vec<String>>> {
    let mut holdings = BTreeMap::new();
    for row in rows(chief, "/api/v1/records?limit=200").await? {
        let id = text(&row, "id");
        let listed = chief.get(&format!("/api/v1/records/{id}/entries")).await?;
        let entries = listed["entries"].as_array().cloned().unwrap_or_default();
        holdings.insert(id, entries.iter().map(|entry| text(entry, "entry")).collect());
    }
    Ok(holdings)
}

fn text(json: &Json, key: &str) -> String {
    json[key].as_str().unwrap_or_default().to_owned()
}
