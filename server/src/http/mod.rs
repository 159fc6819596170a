//! HTTP: how phones, the console and operators reach the station. Decodes, calls, encodes; decides nothing.
//!
//! ```text
//!  listen ─────► observe ──► access ───► one function a call ──► app ──► Station
//!  (socket,      (id, log,   (bearer,    (the rooms below)       (bound on
//!   places,       metrics,    cookie,                             calls at work)
//!   pace)         timeout)    source)
//!
//!  routes: the table of all calls     openapi: the same, described     fault ──► problem | Refusal
//!
//!  rooms   for phones        sync, hints, blobs, download, unlock
//!          for signing in    sign_in, provider, account
//!          for records       records, review, merges, keeping
//!          for the registry  registry, members, moves, imports, books
//!          for operators     about, metrics, audit
//! ```

mod about;
mod access;
mod account;
mod app;
mod audit;
mod blobs;
mod bodies;
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
