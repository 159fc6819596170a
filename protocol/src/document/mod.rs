//! Documents: the automerge shape of a record.
