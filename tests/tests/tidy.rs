//! The rules that the tree keeps, held as tests: who may name whom, sizes, habits, migration laws, documents that do not drift, and
//! what of others is in the tree.
//! Each rule is a small function over text that returns what it found, tried on a made-up violation beside its use on the tree.
//! It knows nothing of what the code does, only of how it is written.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/habits.rs"]
mod habits;
#[path = "tidy/migrations.rs"]
mod migrations;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/supply.rs"]
mod supply;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/yardsticks.rs"]
mod yardsticks;
