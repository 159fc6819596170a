//! The station's answer to each entry of a page, and its form as runs: a day's page is mostly one run of `accepted`.

use minicbor::{Decode, Encode};

use crate::id::Hash;

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Taken in.
    Accepted,
    /// Taken in before, under the same identity.
    Duplicate,
    /// Not taken in.
    Refused {
        /// Stable code.
        code: String,
        /// For people.
        text: String,
        /// For an act that no longer fits: the state it met.
        state_met: Option<String>,
    },
    /// Waits for changes that the station does not have; the phone keeps it and sends it again after them.
    Needs {
        /// automerge change hashes.
        changes: Vec<Hash>,
    },
    /// An act taken in as an offer to supplement the official view.
    Offered,
    /// A verdict of a later version.
    Other(u32),
}

/// A run of equal verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct VerdictRun {
    /// Entries in the run.
    #[n(0)]
    pub count: u32,
    /// 0 accepted, 1 duplicate, 2 refused, 3 needs, 4 offered.
    #[n(1)]
    pub verdict: u32,
    /// Refusal's code.
    #[n(2)]
    pub code: Option<String>,
    /// Refusal's text.
    #[n(3)]
    pub text: Option<String>,
    /// State that an act met.
    #[n(4)]
    pub state_met: Option<String>,
    /// Changes needed.
    #[n(5)]
    pub changes: Option<Vec<Hash>>,
}

/// The verdicts as runs.
#[must_use]
pub fn runs(verdicts: &[Verdict]) -> Vec<VerdictRun> {
    let mut runs: Vec<VerdictRun> = Vec::new();
    for verdict in verdicts {
        let run = run_of(verdict);
        match runs.last_mut() {
            Some(last)
                if VerdictRun {
                    count: 1,
                    ..last.clone()
                } == run =>
            {
                last.count += 1
            }
            _ => runs.push(run),
        }
    }
    runs
}

/// The verdict on entry `position`, or none when the runs end before it.
#[must_use]
pub fn verdict_of(runs: &[VerdictRun], position: u32) -> Option<Verdict> {
    let mut start = 0_u32;
    for run in runs {
        let end = start.saturating_add(run.count);
        if position < end {
            return Some(run.verdict());
        }
        start = end;
    }
    None
}

impl VerdictRun {
    fn verdict(&self) -> Verdict {
        match self.verdict {
            0 => Verdict::Accepted,
            1 => Verdict::Duplicate,
            2 => Verdict::Refused {
                code: self.code.clone().unwrap_or_default(),
                text: self.text.clone().unwrap_or_default(),
                state_met: self.state_met.clone(),
            },
            3 => Verdict::Needs {
                changes: self.changes.clone().unwrap_or_default(),
            },
            4 => Verdict::Offered,
            other => Verdict::Other(other),
        }
    }
}

fn run_of(verdict: &Verdict) -> VerdictRun {
    let plain = |verdict| VerdictRun {
        count: 1,
        verdict,
        code: None,
        text: None,
        state_met: None,
        changes: None,
    };
    match verdict {
        Verdict::Accepted => plain(0),
        Verdict::Duplicate => plain(1),
        Verdict::Refused { code, text, state_met } => VerdictRun {
            code: Some(code.clone()),
            text: Some(text.clone()),
            state_met: state_met.clone(),
            ..plain(2)
        },
        Verdict::Needs { changes } => VerdictRun {
            changes: Some(changes.clone()),
            ..plain(3)
        },
        Verdict::Offered => plain(4),
        Verdict::Other(code) => plain(*code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_survive_as_runs() {
        let refused = Verdict::Refused {
            code: "forbidden".into(),
            text: "no".into(),
            state_met: None,
        };
        let needs = Verdict::Needs {
            changes: vec![Hash::from_bytes([1; 32])],
        };
        let all = [
            Verdict::Accepted,
            Verdict::Accepted,
            refused.clone(),
            refused,
            needs,
            Verdict::Offered,
            Verdict::Duplicate,
        ];
        let runs = runs(&all);
        assert_eq!(runs.len(), 5);
        for (position, verdict) in (0..).zip(&all) {
            assert_eq!(verdict_of(&runs, position).as_ref(), Some(verdict));
        }
        assert_eq!(verdict_of(&runs, 7), None);
    }
}
