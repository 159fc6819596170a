//! What a day is told as at its end: a short table for people, the same as JSON for programs.

use serde::Serialize;

/// The figures of a day.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DayTable {
    /// Phones.
    pub phones: u64,
    /// Records that at least one phone holds.
    pub records_on_phones: u64,
    /// Records that the station holds.
    pub records_on_server: u64,
    /// Entries that a phone holds as accepted and the station does not have, by hash.
    pub missing: u64,
    /// Patrols recorded.
    pub patrols: u64,
    /// Fixes that came in.
    pub fixes_in: u64,
    /// Fixes kept.
    pub fixes_kept: u64,
    /// Gaps of a minute or more.
    pub gaps: u64,
    /// Metres over all patrols.
    pub distance_m: u64,
    /// Bytes of all track segments in documents.
    pub track_bytes: u64,
    /// Pages sealed.
    pub pages: u64,
    /// Entries in them.
    pub entries: u64,
    /// Requests.
    pub requests: u64,
    /// Bytes sent in bodies.
    pub bytes_up: u64,
    /// Bytes received in bodies.
    pub bytes_down: u64,
    /// Conflicts that phones showed.
    pub conflicts: u64,
    /// Conflicts settled.
    pub settled: u64,
    /// Records approved.
    pub approved: u64,
    /// Records returned.
    pub returned: u64,
    /// Leaves of the ledger.
    pub ledger_size: u64,
    /// Its root.
    pub ledger_root: String,
}

impl std::fmt::Display for DayTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line = |name: &str, value: String| writeln!(f, "  {name:<28} {value}");
        line("phones", self.phones.to_string())?;
        line("records on phones", self.records_on_phones.to_string())?;
        line(
            "records at the station",
            format!("{} ({} entries missing)", self.records_on_server, self.missing),
        )?;
        line(
            "patrols",
            format!("{}, {:.1} km, {} gaps", self.patrols, to_km(self.distance_m), self.gaps),
        )?;
        line(
            "fixes",
            format!("{} in, {} kept, {} bytes", self.fixes_in, self.fixes_kept, self.track_bytes),
        )?;
        line("pages", format!("{} with {} entries", self.pages, self.entries))?;
        line(
            "exchanges",
            format!(
                "{} requests, {} bytes up, {} down",
                self.requests, self.bytes_up, self.bytes_down
            ),
        )?;
        line(
            "conflicts",
            format!(
                "{} shown on each phone, {} settled by the chief",
                self.conflicts, self.settled
            ),
        )?;
        line("review", format!("{} approved, {} returned", self.approved, self.returned))?;
        line("ledger", format!("{} leaves, root {}", self.ledger_size, self.ledger_root))
    }
}

#[expect(clippy::cast_precision_loss, reason = "metres of a day fit a double exactly")]
fn to_km(metres: u64) -> f64 {
    metres as f64 / 1000.0
}
