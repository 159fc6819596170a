//! Scenarios through public doors: what a user could rely on, each as a sentence.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blobs;
mod destroyed;
mod ended;
mod first_sync;
mod hostile;
mod killed;
mod kinds;
mod line;
mod live;
mod locked;
mod members;
mod merged;
mod parcels;
mod post;
mod reconcile;
mod restored;
mod scope;
mod silent;
mod slow_callers;
mod slow_line;
mod tracks;
mod transit;
mod transit_edges;
mod two_phones;
mod upkeep;
mod world;
