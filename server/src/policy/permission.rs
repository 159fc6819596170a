//! What the API can do, as permissions: a route has one, a role has some. Knows neither routes nor roles.

/// One thing that somebody may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// To look after his own session, tokens and password.
    OwnSession,
    /// To see kinds, checkpoint and the description of the calls.
    SeeStation,
    /// To see units and people by name.
    SeeDirectory,
    /// To read the records in scope, masked as `policy::sight` says.
    ReadRecords,
    /// To do acts on records, as their kind says which.
    Act,
    /// To write in records and to settle conflicts, where their kind lets him.
    Write,
    /// To assign and share records.
    Grant,
    /// To see what phones owe.
    SeePhones,
    /// To see how the station stands.
    SeeStatus,
    /// To read the counters of the process.
    SeeMetrics,
    /// To register and move units and people, to import them, and to order their memberships.
    Register,
    /// To issue one-time codes for phones, and tokens.
    IssueCodes,
    /// To end books: phones lost, retired, passed on; people blocked.
    EndBooks,
    /// To admit or refuse what an ended book had still to send.
    AdmitSetAside,
    /// To read emergency notes.
    ReadNotes,
    /// To hold records beyond their time, to have them destroyed, to answer residents' requests.
    Keep,
    /// To see what is due for destruction, what was destroyed and what is held.
    SeeKeeping,
    /// To read and export the audit log.
    ReadAudit,
}

impl Permission {
    /// Every one, in the order of this enum.
    pub const ALL: [Self; 18] = [
        Self::OwnSession,
        Self::SeeStation,
        Self::SeeDirectory,
        Self::ReadRecords,
        Self::Act,
        Self::Write,
        Self::Grant,
        Self::SeePhones,
        Self::SeeStatus,
        Self::SeeMetrics,
        Self::Register,
        Self::IssueCodes,
        Self::EndBooks,
        Self::AdmitSetAside,
        Self::ReadNotes,
        Self::Keep,
        Self::SeeKeeping,
        Self::ReadAudit,
    ];

    /// Its code in documents.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OwnSession => "own_session",
            Self::SeeStation => "see_station",
            Self::SeeDirectory => "see_directory",
            Self::ReadRecords => "read_records",
            Self::Act => "act",
            Self::Write => "write",
            Self::Grant => "grant",
            Self::SeePhones => "see_phones",
            Self::SeeStatus => "see_status",
            Self::SeeMetrics => "see_metrics",
            Self::Register => "register",
            Self::IssueCodes => "issue_codes",
            Self::EndBooks => "end_books",
            Self::AdmitSetAside => "admit_set_aside",
            Self::ReadNotes => "read_notes",
            Self::Keep => "keep",
            Self::SeeKeeping => "see_keeping",
            Self::ReadAudit => "read_audit",
        }
    }

    /// What it lets somebody do, after "may".
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::OwnSession => "look after his own session",
            Self::SeeStation => "see the station's kinds and checkpoint",
            Self::SeeDirectory => "see units and people by name",
            Self::ReadRecords => "read records",
            Self::Act => "do acts on records",
            Self::Write => "write in records",
            Self::Grant => "assign and share records",
            Self::SeePhones => "see what phones owe",
            Self::SeeStatus => "see how the station stands",
            Self::SeeMetrics => "read the station's counters",
            Self::Register => "register units and people",
            Self::IssueCodes => "issue codes and tokens",
            Self::EndBooks => "end phones' books",
            Self::AdmitSetAside => "admit what an ended book had still to send",
            Self::ReadNotes => "read emergency notes",
            Self::Keep => "hold records and see to their destruction",
            Self::SeeKeeping => "see what is due, held and destroyed",
            Self::ReadAudit => "read the audit log",
        }
    }
}
