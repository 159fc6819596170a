//! A build without SQLCipher: a key that is given to it is refused before anything is written, since plain SQLite would take it without a word.
//! Runs only in such a build: `make test-plain`.

use std::fs;
use std::sync::Arc;

use super::Station;
use crate::core::{Core, OpenOptions};
use crate::error::CoreError;
use crate::lock::{LockError, Phone, SoftwareVault};

fn keyed() -> OpenOptions {
    OpenOptions {
        key: Some([7; 32]),
        pages_max: None,
    }
}

#[test]
fn a_key_is_refused_before_anything_is_written() {
    let station = Station::new("plain");
    let path = station.folder.file("book.db");
    let beside = || fs::read_dir(path.parent().unwrap()).unwrap().count();
    let before = beside();
    let refused = Core::open(&path, keyed(), station.world.platform()).unwrap_err();
    assert!(matches!(refused, CoreError::NoCipher), "{refused}");
    assert!(refused.to_string().contains("`sqlcipher`"), "it says what to build");
    assert_eq!(beside(), before);
    // A plain file is there already: it is kept, and not taken for the encrypted one that was asked for.
    drop(Core::open(&path, OpenOptions::default(), station.world.platform()).unwrap());
    let plain = fs::read(&path).unwrap();
    assert!(plain.starts_with(b"SQLite format 3\0"));
    assert!(matches!(
        Core::open(&path, keyed(), station.world.platform()),
        Err(CoreError::NoCipher)
    ));
    assert_eq!(fs::read(&path).unwrap(), plain);
    let opened = Core::open(&path, OpenOptions::default(), station.world.platform()).unwrap();
    assert!(opened.recovered.is_none(), "without a key it opens as ever");
}

#[test]
fn nobody_gets_a_book_under_a_pin() {
    let station = Station::new("plain-pin");
    let (folder, vault) = (station.folder.file("phone"), station.folder.file("vault"));
    let vault = Arc::new(SoftwareVault::open(&vault, Box::new(station.world.clone())).unwrap());
    let phone = Phone::open(&folder, vault, station.world.platform()).unwrap();
    let refused = phone.add_user("Li", "739164").unwrap_err();
    assert!(matches!(refused, LockError::Core(CoreError::NoCipher)), "{refused}");
    assert!(phone.users().is_empty());
    assert_eq!(fs::read_dir(folder.join("users")).unwrap().count(), 0);
}
