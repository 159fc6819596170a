//! Capture: what an officer's hands and pockets produce, before it is a record's. Drafts ([`draft`]); a patrol that goes on whatever
//! happens to the process ([`patrol`]), with tracks from a receiver ([`recorder`]) or a file ([`gpx`]).

pub mod draft;
pub mod gpx;
pub mod patrol;
pub mod recorder;
