//! The sync state machine: what to send next, and what a reply means. Does no IO and reads no clock.
