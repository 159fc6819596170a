//! The thin loop around the sync state machine.
