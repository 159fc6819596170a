//! HTTP: how phones, the console and operators reach the station. Decodes, calls, encodes; decides nothing.
//!
//! ```text
//!  listen ──► observe ──► access ──► sync | blobs | download | review | records | registry | about ──► app ──► Station
//!  (socket,   (id, log,   (bearer    (one function a call)                         (bound on
//!   limits)    metrics,    token)                                                   calls at work)
//!              timeout)
//!             routes: the table of all calls      fault ──► problem | Refusal
//! ```

mod about;
mod access;
mod app;
mod blobs;
mod decode;
mod download;
mod fault;
mod hints;
mod keeping;
mod listen;
mod merges;
mod metrics;
mod moves;
mod observe;
mod openapi;
mod problem;
mod records;
mod registry;
mod review;
mod routes;
mod shapes;
mod sync;

pub use listen::{ListenError, Listener, OpenConnections};
pub use routes::{Access, Route, router, routes};
pub(crate) use shapes::{LabelShape, PositionShape};
