//! The log verifies itself: every line against the one before, the chain against what the ledger fixed and what the keys directory noted.
//! Says which line does not fit; trusts no projection.

use beatbook_protocol::entry::AuditAnchorEvent;
use beatbook_protocol::id::Hash;

use super::RESTORED;
use crate::error::StationError;
use crate::keys::Keys;
use crate::store::ReadTx;

/// Lines read at once.
const LINES_AT_ONCE: u32 = 4_096;
/// Faults that are listed.
const FAULTS_MAX: usize = 20;

/// An anchor and the leaf that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    /// The leaf.
    pub(crate) leaf: u64,
    /// What it fixed.
    pub(crate) event: AuditAnchorEvent,
}

/// What verifying the log found.
#[derive(Debug, Clone, Default)]
pub(crate) struct AuditReport {
    /// Lines verified.
    pub(crate) lines: u64,
    /// The last line that the ledger fixed.
    pub(crate) fixed: u64,
    /// Lines that restores lost, as the log itself tells.
    pub(crate) lost: u64,
    /// What does not fit.
    pub(crate) faults: Vec<String>,
}

impl AuditReport {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

/// Verifies the log against the anchors of the ledger.
pub(crate) fn verify(tx: &ReadTx<'_>, keys: &Keys, anchors: &[Fixed]) -> Result<AuditReport, StationError> {
    let mut report = AuditReport::default();
    let mut gaps = Vec::new();
    let (mut last, mut head) = (0, Hash::from_bytes([0; 32]));
    loop {
        let lines = tx.audit_from(last + 1, LINES_AT_ONCE)?;
        if lines.is_empty() {
            break;
        }
        for line in lines {
            if line.number != last + 1 {
                if line.what == RESTORED {
                    report.lost += line.number - last - 1;
                    gaps.push((last + 1)..line.number);
                } else {
                    report.fault(format!("audit: lines {} to {} are missing", last + 1, line.number - 1));
                }
            }
            if line.hash != line.chained(&head) {
                report.fault(format!(
                    "audit: line {} does not fit the line before it: one of the two was changed",
                    line.number
                ));
            }
            // From here on what stands is the measure, so that one wrong line is one fault.
            (last, head) = (line.number, line.hash);
            report.lines += 1;
        }
    }
    for anchor in anchors {
        report.fixed = report.fixed.max(anchor.event.lines);
        if tx.audit_hash(anchor.event.lines)? != Some(anchor.event.head) {
            report.fault(format!(
                "audit: leaf {} of the ledger fixed line {}, which is {}",
                anchor.leaf,
                anchor.event.lines,
                if anchor.event.lines > last { "missing" } else { "another now" }
            ));
        }
    }
    if let Some((lines, noted)) = keys.audited() {
        let told = gaps.iter().any(|gap| gap.contains(&lines));
        if !told && tx.audit_hash(lines)? != Some(noted) {
            report.fault(format!(
                "audit: the keys directory noted line {lines}, which is {}: if the data was restored from a backup, say so by `restore`",
                if lines > last { "missing" } else { "another now" }
            ));
        }
    }
    Ok(report)
}
