//! Who may read the files of private keys. Changes nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What is wrong with a private key's file, for the operator; none when its owner alone, or he and his group, may read it.
pub(crate) fn loose(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        // A group is how certificate clients hand keys to services; the world has no part in it.
        Ok(meta) if meta.permissions().mode() & 0o037 != 0 => {
            Some(format!("{} is open to others: chmod 640 {0}, or 600", path.display()))
        }
        Ok(_) => None,
        Err(fault) => Some(format!("{}: {fault}", path.display())),
    }
}
