//! Habits of writing that hold in every file: it opens with what it is for, no lint is switched off in silence, and where phone and
//! station must agree nothing depends on the order of a hash map.

use crate::code::{attributes, code_of, has_word};
use crate::tree;

/// Rooms that run under simulation, where the same seed must give the same day.
const ORDERED: &[&str] = &["protocol", "client-core"];

/// What a Rust file does against the habits.
fn bad_habits(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path} does not open with //! and what it is for"));
    }
    if attributes(&code).into_iter().any(switches_off) {
        found.push(format!("{path} allows a lint; write #[expect(lint, reason = \"...\")]"));
    }
    let room = path.split('/').next().unwrap_or_default();
    for word in ["HashMap", "HashSet"] {
        if ORDERED.contains(&room) && has_word(&code, word) {
            found.push(format!("{path} names {word}, whose order is random; take the BTree one"));
        }
    }
    found
}

/// Whether an attribute allows a lint, a conditional one included.
fn switches_off(inside: &str) -> bool {
    let tight: String = inside.split_whitespace().collect();
    tight.starts_with("allow(") || (tight.starts_with("cfg_attr(") && tight.contains(",allow("))
}

/// Whether a manifest takes the workspace's lints.
fn takes_the_lints(manifest: &str) -> bool {
    let table: Option<toml::Table> = manifest.parse().ok();
    table
        .as_ref()
        .and_then(|table| table.get("lints")?.get("workspace")?.as_bool())
        == Some(true)
}

#[test]
fn every_file_keeps_the_habits() {
    let found: Vec<String> = tree::files(".rs")
        .iter()
        .flat_map(|file| bad_habits(&file.path, &file.text))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    // The fuzz targets stand outside the workspace, since they need another compiler; their bodies do not. Neither does the writer of bindings,
    // since nothing that it needs may be built into the library.
    let is_outside = |path: &str| path.contains("/fuzz/") || path.starts_with("ffi/bindgen/");
    for file in tree::files("/Cargo.toml").iter().filter(|file| !is_outside(&file.path)) {
        assert!(takes_the_lints(&file.text), "{} lacks [lints] workspace = true", file.path);
    }
}

#[test]
fn a_bad_habit_is_found() {
    for (path, text) in [
        ("server/src/lib.rs", "use std::fmt;\n//! Late."),
        ("server/src/lib.rs", "//! Doc.\n#[allow(dead_code)]\nfn f() {}"),
        ("server/src/lib.rs", "//! Doc.\n#![ allow ( dead_code ) ]"),
        ("tests/src/lib.rs", "//! Doc.\n#[cfg_attr(test, allow(dead_code))]\nfn f() {}"),
        ("protocol/src/lib.rs", "//! Doc.\nuse std::collections::HashMap;"),
        (
            "client-core/src/sync/mod.rs",
            "//! Doc.\nlet seen: std::collections::HashSet<u8>;",
        ),
    ] {
        assert_eq!(bad_habits(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "protocol/src/lib.rs",
            "//! No HashMap here.\n#[expect(dead_code, reason = \"#[allow(x)]\")]\nfn allow() {}",
        ),
        ("server/src/lib.rs", "//! Doc.\nuse std::collections::HashMap;"),
    ] {
        assert_eq!(bad_habits(path, text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn a_crate_without_the_lints_is_found() {
    assert!(takes_the_lints("[lints]\nworkspace = true"));
    assert!(!takes_the_lints("[lints]\nworkspace = false"));
    assert!(!takes_the_lints("[lints.rust]\nunsafe_code = 'deny'"));
    assert!(!takes_the_lints("[dependencies]"));
}
