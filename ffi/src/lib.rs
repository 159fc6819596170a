//! The core as apps in Kotlin, Swift and Python see it: plain values in, plain values or one of eight errors out. Knows no rule of its
//! own and nothing below [`beatbook_client_core`]; it only turns the core's words into those that every language has.
//!
//! Every call blocks, may come from any thread, and belongs on none that draws a screen. Every call returns a result, and a panic below
//! comes out as [`BeatbookError::Internal`]: nothing here takes the app down with it.

mod error;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use beatbook_client_core::query::RecordRow;
use beatbook_client_core::{Core, OpenOptions, Opened, Platform, sync};

pub use error::BeatbookError;

uniffi::setup_scaffolding!();

/// One user's record book on this phone.
#[derive(Debug, uniffi::Object)]
pub struct Beatbook {
    core: Core,
}

/// Where the book stands with its station.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Status {
    /// Own entries that the station has not answered.
    pub waiting: u64,
    /// Own entries that the station refused and nobody has dealt with.
    pub refused: u64,
    /// Places where others wrote different values at the same time.
    pub conflicts: u64,
    /// Whether nothing was left to do on either side at the last contact, and nothing came up here since.
    pub synced: bool,
}

/// A record in a list.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Row {
    /// The record's id, as a UUID.
    pub record: String,
    /// Code of its kind.
    pub kind: String,
    /// Code of its state.
    pub state: String,
    /// What it is called, in Chinese.
    pub title_zh: String,
    /// What it is called, in English.
    pub title_en: String,
}

#[uniffi::export]
impl Beatbook {
    /// Opens a user's file, or begins it. `key` is the file's 256-bit key, 32 bytes; none leaves the file plain.
    ///
    /// # Errors
    /// `InvalidInput` at `key` when it has another length, `Locked` when it is not this file's, `UpgradeRequired` when a newer app wrote
    /// the file. `StorageDamaged` when the file was broken: it has been moved to `kept_at` with all that it held, and opening again gives
    /// the empty one that was begun in its place. The app hears of it by an error so that it cannot take the empty book for the old one.
    #[uniffi::constructor]
    pub fn open(path: String, key: Option<Vec<u8>>) -> Result<Arc<Self>, BeatbookError> {
        caught(|| {
            let key = key.map(<[u8; 32]>::try_from).transpose();
            let key = key.map_err(|_| BeatbookError::InvalidInput { field: "key".into() })?;
            let options = OpenOptions {
                key,
                ..OpenOptions::default()
            };
            let platform = Platform::system().map_err(|error| BeatbookError::Internal {
                report: format!("the system gives no randomness: {error}"),
            })?;
            let Opened { core, recovered } = Core::open(Path::new(&path), options, platform)?;
            match recovered {
                None => Ok(Arc::new(Self { core })),
                Some(damaged) => Err(BeatbookError::StorageDamaged {
                    kept_at: damaged.kept_at.display().to_string(),
                }),
            }
        })
    }

    /// Where the book stands with its station.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn status(&self) -> Result<Status, BeatbookError> {
        caught(|| {
            let status = sync::status(&self.core)?;
            Ok(Status {
                waiting: status.waiting,
                refused: count(&self.core.refused()?),
                conflicts: count(&self.core.conflicts()?),
                synced: status.synced,
            })
        })
    }

    /// Records with these words, the last that came first, `limit` of them and never more than 500: Chinese of two characters and more,
    /// words as they are typed, pinyin initials. Whatever is typed, it is a question and no fault.
    ///
    /// # Errors
    /// `InvalidInput` at `limit` when it is 0; and when the file cannot be read.
    pub fn search(&self, text: String, limit: u32) -> Result<Vec<Row>, BeatbookError> {
        caught(|| {
            if limit == 0 {
                return Err(BeatbookError::InvalidInput { field: "limit".into() });
            }
            Ok(self.core.search(&text, limit)?.into_iter().map(Row::from).collect())
        })
    }
}

impl From<RecordRow> for Row {
    fn from(row: RecordRow) -> Self {
        Self {
            record: row.record.to_string(),
            kind: row.kind,
            state: row.state,
            title_zh: row.title.zh,
            title_en: row.title.en,
        }
    }
}

fn count<T>(things: &[T]) -> u64 {
    things.len() as u64
}

/// Turns a panic into an error. UniFFI would catch it as well, but throw what no app is told to expect. The core takes no harm: a
/// transaction that a panic leaves is rolled back, and its locks outlive it.
fn caught<T>(work: impl FnOnce() -> Result<T, BeatbookError>) -> Result<T, BeatbookError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(BeatbookError::Internal {
            report: said.unwrap_or_else(|| "a panic without words".into()),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    /// A directory of its own, gone with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("beatbook-ffi-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> String {
            self.0.join("book.db").display().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn open(folder: &Folder, key: Option<&[u8]>) -> Result<Arc<Beatbook>, BeatbookError> {
        Beatbook::open(folder.file(), key.map(<[u8]>::to_vec))
    }

    fn invalid(field: &str) -> BeatbookError {
        BeatbookError::InvalidInput { field: field.into() }
    }

    #[test]
    fn a_new_book_has_nothing_waiting_and_does_not_call_itself_synced() {
        let folder = Folder::new("new");
        let book = open(&folder, Some(&KEY)).unwrap();
        let nothing = Status {
            waiting: 0,
            refused: 0,
            conflicts: 0,
            synced: false,
        };
        assert_eq!(book.status(), Ok(nothing));
    }

    #[test]
    fn a_key_of_another_length_is_refused_before_a_file_is_made() {
        let folder = Folder::new("length");
        for key in [&KEY[..31], &[7; 33], &[]] {
            assert_eq!(open(&folder, Some(key)).unwrap_err(), invalid("key"));
        }
        assert!(!Path::new(&folder.file()).exists());
    }

    #[test]
    fn a_file_opens_again_with_its_own_key_alone() {
        let folder = Folder::new("locked");
        drop(open(&folder, Some(&KEY)).unwrap());
        let before = fs::read(folder.file()).unwrap();
        assert_eq!(open(&folder, Some(&[8; 32])).unwrap_err(), BeatbookError::Locked);
        assert_eq!(open(&folder, None).unwrap_err(), BeatbookError::Locked);
        assert_eq!(fs::read(folder.file()).unwrap(), before);
        assert!(open(&folder, Some(&KEY)).is_ok());
    }

    #[test]
    fn a_damaged_file_is_told_of_once_and_kept_as_it_was() {
        let folder = Folder::new("damaged");
        drop(open(&folder, None).unwrap());
        let mut broken = fs::read(folder.file()).unwrap();
        broken[16..100].fill(0xff);
        fs::write(folder.file(), &broken).unwrap();
        let BeatbookError::StorageDamaged { kept_at } = open(&folder, None).unwrap_err() else {
            panic!("the damage was not told");
        };
        assert_eq!(fs::read(kept_at).unwrap(), broken);
        assert_eq!(open(&folder, None).unwrap().status().map(|status| status.waiting), Ok(0));
    }

    #[test]
    fn a_place_that_cannot_hold_a_file_is_an_error_and_no_panic() {
        let folder = Folder::new("place");
        let inside = format!("{}/no/such/folder/book.db", folder.file());
        assert!(matches!(Beatbook::open(inside, None), Err(BeatbookError::Internal { .. })));
    }

    #[test]
    fn whatever_is_typed_is_a_question_but_no_rows_are_not_an_answer() {
        let folder = Folder::new("search");
        let book = open(&folder, None).unwrap();
        for text in ["", "幸福", "\"", "a* OR (", "NEAR(x", "\0"] {
            assert_eq!(book.search(text.into(), 10), Ok(vec![]), "{text:?}");
        }
        assert_eq!(book.search("幸福".into(), u32::MAX), Ok(vec![]));
        assert_eq!(book.search("幸福".into(), 0), Err(invalid("limit")));
    }

    #[test]
    fn a_panic_below_comes_out_as_an_error_with_its_words() {
        let told = caught::<()>(|| panic!("page {}", 7)).unwrap_err();
        assert_eq!(told, BeatbookError::Internal { report: "page 7".into() });
    }
}
