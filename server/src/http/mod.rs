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
mod account;
mod app;
mod audit;
mod blobs;
mod books;
mod cookie;
mod decode;
mod download;
mod fault;
mod hints;
mod imports;
mod keeping;
mod listen;
mod members;
mod merges;
mod metrics;
mod moves;
mod observe;
mod openapi;
mod pace;
mod places;
mod problem;
mod provider;
mod records;
mod registry;
mod review;
mod routes;
mod shapes;
mod sign_in;
mod source;
mod sync;
mod unlock;

pub use listen::{ListenError, Listener, OpenConnections};
pub use routes::{Access, Route, router, routes};
pub(crate) use shapes::{LabelShape, PositionShape};
pub use source::Peer;
