//! The files of the tree: what git tracks, and what is new and not ignored, so that a rule is met before the first commit.
//! It reads and judges nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// Content; bytes that are not UTF-8 are replaced, which no rule minds.
    pub(crate) text: String,
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file whose name ends in `ending`, in order of path.
pub(crate) fn files(ending: &str) -> Vec<File> {
    let files: Vec<File> = paths()
        .into_iter()
        .filter(|path| path.ends_with(ending))
        // A tracked file that was just removed is still in git's list.
        .filter_map(|path| {
            let bytes = std::fs::read(root().join(&path)).ok()?;
            Some(File {
                path,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            })
        })
        .collect();
    assert!(
        !files.is_empty(),
        "no file ends in {ending:?}: a rule over nothing holds nothing"
    );
    files
}

/// One file by its path from the root.
pub(crate) fn file(path: &str) -> File {
    match std::fs::read_to_string(root().join(path)) {
        Ok(text) => File {
            path: path.to_owned(),
            text,
        },
        Err(error) => panic!("{path}: {error}"),
    }
}

fn paths() -> Vec<String> {
    // A build machine often owns the clone under another user; these rules only read.
    let listed = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output();
    match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        Ok(output) => panic!(
            "git ls-files failed, run these tests in a clone: {}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("git is needed to list the tree: {error}"),
    }
}
