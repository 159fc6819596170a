//! TLS: the certificate that the station shows, where it comes from, and what phones know it by. Knows no HTTP, no records and no people.
//!
//! ```text
//!  authority (a private CA and its server certificate) ──► files ──► certificate (read, checked)
//!                                                                       │
//!                       configuration ──► shown (what is shown now, looked after while it serves) ──► listener, status, pins
//! ```

pub(crate) mod authority;
mod certificate;
mod permissions;
mod shown;

pub(crate) use permissions::loose;
pub use shown::TlsStatus;
pub(crate) use shown::{Shown, TlsError, checks};
