//! Capture: what an officer's hands and pockets produce, before it is a record's. Tracks from a receiver ([`recorder`]) or a file ([`gpx`]).

pub mod gpx;
pub mod recorder;
