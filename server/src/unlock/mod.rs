//! Letting an officer into his own phone again, and what he wrote down while it was locked: the share of the phone's key that the station
//! keeps, one-time codes for it, custodians' keys, emergency notes. Knows no PINs, and cannot open a phone: it holds half a key.

mod code;
mod custody;
pub(crate) mod notes;
mod release;
mod share;

pub use code::UnlockCode;
pub(crate) use code::issue;
pub use custody::{KeyPair, UnitKeyView};
pub(crate) use custody::{add_key, end_key, keys};
pub(crate) use notes::open_note;
pub use notes::{NotePage, NoteView};
pub(crate) use release::release;
pub(crate) use share::keep;
