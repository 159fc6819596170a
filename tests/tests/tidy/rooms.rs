//! Who may name whom. The picture is in `docs/architecture.md`: protocol <- client-core <- ffi, protocol <- server, tests name all;
//! and a few libraries stand behind one door each, so that they can be watched there, or replaced.

use std::collections::BTreeSet;

use toml::Table;

use crate::code::{code_of, names_crate};
use crate::tree;

/// A crate of ours, by its folder, and the folders of those it may name.
struct Room {
    folder: &'static str,
    may_name: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room {
        folder: "protocol",
        may_name: &[],
    },
    Room {
        folder: "client-core",
        may_name: &["protocol"],
    },
    Room {
        folder: "ffi",
        may_name: &["client-core"],
    },
    Room {
        folder: "server",
        may_name: &["protocol"],
    },
    Room {
        folder: "tests",
        may_name: &["protocol", "client-core", "ffi", "server"],
    },
];

/// A library, and where alone it may be named.
struct Door {
    library: &'static str,
    places: &'static [&'static str],
}

const DOORS: &[Door] = &[
    Door {
        library: "automerge",
        places: &["protocol/src/document"],
    },
    Door {
        library: "rusqlite",
        places: &["client-core/src/store", "server/src/store", "tests"],
    },
    Door {
        library: "reqwest",
        places: &["client-core/src/transport", "server/src/sign_in/provider/carry.rs", "tests"],
    },
    Door {
        library: "openidconnect",
        places: &["server/src/sign_in/provider"],
    },
    Door {
        library: "totp_rs",
        places: &["server/src/sign_in/factor.rs", "server/tests/http/sign_in.rs"],
    },
    Door {
        library: "calamine",
        places: &["server/src/sheets"],
    },
    Door {
        library: "csv",
        places: &["server/src/sheets"],
    },
    Door {
        library: "flate2",
        places: &["server/src/sheets"],
    },
    Door {
        library: "hpke",
        places: &["protocol/src/parcel"],
    },
    Door {
        library: "uniffi",
        places: &["ffi"],
    },
];

/// What a Rust file names and may not.
fn strangers(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let folder = path.split('/').next().unwrap_or_default();
    let mut found = Vec::new();
    for room in ROOMS {
        let name = package_of(room.folder).replace('-', "_");
        if !may_name(folder, room.folder) && names_crate(&code, &name) {
            found.push(format!("{path} names {name}; {folder} may not"));
        }
    }
    for door in DOORS {
        if !door.places.iter().any(|place| is_within(path, place)) && names_crate(&code, door.library) {
            found.push(format!("{path} names {}; only {} may", door.library, door.places.join(", ")));
        }
    }
    found
}

/// What a crate's manifest depends on and may not.
fn strange_dependencies(folder: &str, manifest: &Table, workspace: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for package in dependencies(manifest, workspace) {
        let ours = ROOMS.iter().find(|room| package_of(room.folder) == package);
        let door = DOORS.iter().find(|door| door.library == package);
        let denied = ours.is_some_and(|room| !may_name(folder, room.folder))
            || door.is_some_and(|door| !door.places.iter().any(|place| is_within(place, folder)));
        if denied {
            found.push(format!(
                "{folder}/Cargo.toml depends on {package}, which {folder} may not name"
            ));
        }
    }
    found
}

fn may_name(folder: &str, other: &str) -> bool {
    folder == other
        || ROOMS
            .iter()
            .any(|room| room.folder == folder && room.may_name.contains(&other))
}

fn package_of(folder: &str) -> String {
    format!("beatbook-{folder}")
}

/// Whether `path` is `place`, lies in it, or is the module file of that name.
fn is_within(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs")
}

/// The packages of every dependency table, those of one platform included, under their real names.
fn dependencies(manifest: &Table, workspace: &Table) -> Vec<String> {
    let shared = workspace
        .get("workspace")
        .and_then(|table| table.get("dependencies"))
        .and_then(toml::Value::as_table);
    let platforms = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|table| table.values());
    let tables = std::iter::once(manifest).chain(platforms.filter_map(toml::Value::as_table));
    let mut packages = Vec::new();
    for table in tables {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(section).and_then(toml::Value::as_table);
            for (key, value) in entries.into_iter().flatten() {
                let renamed = value.get("package").or_else(|| shared?.get(key)?.get("package"));
                packages.push(renamed.and_then(toml::Value::as_str).unwrap_or(key).to_owned());
            }
        }
    }
    packages
}

fn manifest(path: &str) -> Table {
    match tree::file(path).text.parse() {
        Ok(table) => table,
        Err(error) => panic!("{path}: {error}"),
    }
}

#[test]
fn every_file_names_only_what_its_room_may_know() {
    let found: Vec<String> = tree::files(".rs")
        .iter()
        .flat_map(|file| strangers(&file.path, &file.text))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_manifest_depends_only_on_what_its_room_may_know() {
    let workspace = manifest("Cargo.toml");
    let found: Vec<String> = ROOMS
        .iter()
        .flat_map(|room| strange_dependencies(room.folder, &manifest(&format!("{}/Cargo.toml", room.folder)), &workspace))
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_member_of_the_workspace_has_its_rule() {
    let workspace = manifest("Cargo.toml");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().filter_map(toml::Value::as_str).collect();
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|room| room.folder).collect();
    assert_eq!(members, rooms, "say in ROOMS what the new crate may name");
}

#[test]
fn a_stranger_in_a_file_is_found() {
    for (path, text) in [
        ("protocol/src/page/mod.rs", "use automerge::Change;"),
        ("protocol/src/document_old.rs", "use automerge::Change;"),
        ("protocol/src/time.rs", "fn f() -> beatbook_server::Clock { todo() }"),
        ("client-core/src/capture/mod.rs", "let row: rusqlite::Row;"),
        ("client-core/src/sync/mod.rs", "use reqwest;"),
        ("client-core/src/lib.rs", "pub use beatbook_server as station;"),
        ("server/src/http/mod.rs", "use beatbook_client_core::Core;"),
        ("server/src/intake/mod.rs", "use rusqlite::params;"),
        ("ffi/src/lib.rs", "use beatbook_protocol::id::RecordId;"),
        ("tests/src/lib.rs", "#[uniffi::export] fn f() {}"),
    ] {
        assert_eq!(strangers(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("protocol/src/document/guard.rs", "use automerge::Change;"),
        ("protocol/src/document.rs", "use automerge::Change;"),
        ("protocol/src/page/mod.rs", "/// Never automerge::Change.\nuse crate::id;"),
        (
            "ffi/src/lib.rs",
            "uniffi::setup_scaffolding!(); use beatbook_client_core::Core;",
        ),
        (
            "tests/src/bin/demo.rs",
            "use {reqwest::Client, rusqlite::Connection}; use beatbook_server::serve;",
        ),
    ] {
        assert_eq!(strangers(path, text), [""; 0], "{path}: {text}");
    }
}

#[test]
fn a_stranger_in_a_manifest_is_found() {
    let workspace: Table = "[workspace.dependencies]\nsql = { package = 'rusqlite', version = '1' }"
        .parse()
        .unwrap();
    for (folder, text) in [
        ("protocol", "[dependencies]\nbeatbook-client-core.workspace = true"),
        ("protocol", "[dev-dependencies]\nbeatbook-server = { path = '../server' }"),
        ("server", "[dependencies]\nautomerge = '1'"),
        ("ffi", "[target.'cfg(unix)'.build-dependencies]\nreqwest.workspace = true"),
        ("ffi", "[dependencies]\nsql.workspace = true"),
        ("client-core", "[dependencies]\nu = { package = 'uniffi', version = '1' }"),
    ] {
        assert_eq!(
            strange_dependencies(folder, &text.parse().unwrap(), &workspace).len(),
            1,
            "{folder}: {text}"
        );
    }
    let fine = "[dependencies]\nbeatbook-protocol.workspace = true\nsql.workspace = true\nreqwest.workspace = true"
        .parse()
        .unwrap();
    assert_eq!(strange_dependencies("client-core", &fine, &workspace), [""; 0]);
}
