//! What unit tests stand on: an open book of somebody who is not enrolled, in a folder of its own, and a turn for tests that
//! share a thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use beatbook_client_core::lock::{Phone, PinCost, SoftwareVault};
use beatbook_client_core::{Platform, SystemPlatform, sync};

use crate::desk::Desk;
use crate::work::threads;

/// A PIN that is taken.
pub(crate) const PIN: &str = "518264";

/// A turn: listeners of all tests of a process are called on one thread, and some tests hold it up.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a future on the threads of the surface.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    threads().unwrap().block_on(work)
}

/// A phone with one user, who is in.
pub(crate) struct Handset {
    folder: PathBuf,
    pub(crate) phone: Arc<Phone>,
    pub(crate) desk: Arc<Desk>,
}

impl Handset {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("beatbook-ffi-{}-{number}", std::process::id()));
        let vault = SoftwareVault::open(&folder.join("vault"), Box::new(SystemPlatform::start().unwrap())).unwrap();
        // What a PIN costs a finder is no matter here.
        let cost = PinCost {
            memory_kib: 64,
            passes: 1,
        };
        let books = folder.join("books");
        let phone = Phone::open(&books, Arc::new(vault), Platform::system().unwrap()).unwrap();
        let phone = Arc::new(phone.with_cost(cost));
        let open = phone.add_user("张警官", PIN).unwrap();
        let desk = Desk::new(Arc::clone(&phone), None, ("test".to_owned(), &books), open);
        Self { folder, phone, desk }
    }

    /// Writes something into the book, so that whoever observes looks again.
    pub(crate) fn write(&self) {
        block_on(self.desk.work(|core| Ok(sync::verify(core)?))).unwrap();
    }

    /// Locks, as an app does.
    pub(crate) fn lock(&self) {
        block_on(self.desk.lock()).unwrap();
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
