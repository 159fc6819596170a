//! The bill of materials: every crate that Cargo.lock names, in CycloneDX 1.5 (JSON), made of what cargo itself says of the tree. The same lock gives
//! the same bytes: no time, no machine, no paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

/// A bill that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// Cargo does not say what is in the tree.
    #[error("cargo metadata: {0}")]
    Cargo(String),
    /// A file of the tree cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was read is not what it should be.
    #[error("{0}")]
    Form(String),
}

/// What cargo says of the tree at `root`: every package of the lock that some platform needs, with its licence. Asks the network only where a
/// package's manifest is not on this machine yet.
///
/// # Errors
/// When cargo cannot say.
pub fn metadata(root: &Path) -> Result<Json, SbomError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ask = |more: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(["metadata", "--locked", "--format-version", "1"]).args(more);
        command.current_dir(root).output()
    };
    let mut output = ask(&["--offline"])?;
    if !output.status.success() {
        output = ask(&[])?;
    }
    if !output.status.success() {
        return Err(SbomError::Cargo(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|fault| SbomError::Cargo(fault.to_string()))
}

/// The bill of the tree at `root`.
///
/// # Errors
/// When the tree cannot be read.
pub fn sbom(root: &Path) -> Result<Json, SbomError> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let locked: toml::Table = lock
        .parse()
        .map_err(|fault: toml::de::Error| SbomError::Form(fault.to_string()))?;
    let metadata = metadata(root)?;
    let said = Said::of(&metadata);
    let packages = locked.get("package").and_then(toml::Value::as_array);
    let packages: Vec<Locked<'_>> = packages.into_iter().flatten().filter_map(Locked::of).collect();
    let mut components: Vec<Json> = packages.iter().map(|package| package.component(&said)).collect();
    components.sort_by_key(|component| component["bom-ref"].to_string());
    let mut dependencies: Vec<Json> = packages
        .iter()
        .map(|package| json!({ "ref": package.purl(), "dependsOn": package.depends_on(&packages) }))
        .collect();
    dependencies.sort_by_key(|dependency| dependency["ref"].to_string());
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": serial(&lock),
        "version": 1,
        "metadata": { "component": { "type": "application", "name": "beatbook", "bom-ref": "beatbook" } },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// A package of the lock.
struct Locked<'l> {
    name: &'l str,
    version: &'l str,
    checksum: Option<&'l str>,
    is_ours: bool,
    needs: Vec<&'l str>,
}

impl<'l> Locked<'l> {
    fn of(package: &'l toml::Value) -> Option<Self> {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        let needs = package.get("dependencies").and_then(toml::Value::as_array);
        Some(Self {
            name: text("name")?,
            version: text("version")?,
            checksum: text("checksum"),
            is_ours: text("source").is_none(),
            needs: needs.into_iter().flatten().filter_map(toml::Value::as_str).collect(),
        })
    }

    /// The package URL, which is its name in the bill too.
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B"))
    }

    fn component(&self, said: &Said<'_>) -> Json {
        let mut component = json!({
            "type": "library",
            "bom-ref": self.purl(),
            "name": self.name,
            "version": self.version,
            "purl": self.purl(),
            "scope": if said.is_shipped(self.name, self.version) { "required" } else { "excluded" },
        });
        if let Some(licence) = said.licences.get(&(self.name, self.version)) {
            component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
        }
        if let Some(checksum) = self.checksum {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if self.is_ours {
            component.as_object_mut().map(|fields| fields.remove("purl"));
        }
        component
    }

    /// What it needs; the lock names versions only where there are several.
    fn depends_on(&self, all: &[Locked<'_>]) -> Vec<String> {
        let find = |need: &&str| {
            let mut words = need.split(' ');
            let (name, version) = (words.next()?, words.next());
            all.iter()
                .find(|other| other.name == name && version.is_none_or(|version| other.version == version))
                .map(Locked::purl)
        };
        self.needs.iter().filter_map(find).collect()
    }
}

/// What cargo says of packages.
struct Said<'m> {
    licences: BTreeMap<(&'m str, &'m str), &'m str>,
    shipped: BTreeSet<(&'m str, &'m str)>,
}

impl<'m> Said<'m> {
    fn of(metadata: &'m Json) -> Self {
        let mut licences = BTreeMap::new();
        let mut named = BTreeMap::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let (Some(name), Some(version), Some(id)) =
                (package["name"].as_str(), package["version"].as_str(), package["id"].as_str())
            else {
                continue;
            };
            named.insert(id, (name, version));
            if let Some(licence) = package["license"].as_str() {
                licences.insert((name, version), licence);
            }
        }
        let reached = Self::reached(metadata, &named);
        Self {
            licences,
            shipped: reached.iter().filter_map(|id| named.get(id).copied()).collect(),
        }
    }

    /// The ids of all that the station and the phone's core are built of, or with.
    fn reached(metadata: &'m Json, named: &BTreeMap<&'m str, (&'m str, &'m str)>) -> BTreeSet<&'m str> {
        let nodes: BTreeMap<&str, &Json> = metadata["resolve"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| Some((node["id"].as_str()?, node)))
            .collect();
        let begins = ["beatbook-server", "beatbook-ffi"];
        let mut next: Vec<&str> = named
            .iter()
            .filter(|(_, (name, _))| begins.contains(name))
            .map(|(id, _)| *id)
            .collect();
        let mut reached = BTreeSet::new();
        while let Some(id) = next.pop() {
            if !reached.insert(id) {
                continue;
            }
            let needs = nodes.get(id).and_then(|node| node["deps"].as_array());
            for need in needs.into_iter().flatten() {
                let for_tests_alone = need["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().all(|kind| kind["kind"] == "dev"));
                if let Some(id) = need["pkg"].as_str().filter(|_| !for_tests_alone) {
                    next.push(id);
                }
            }
        }
        reached
    }

    fn is_shipped(&self, name: &str, version: &str) -> bool {
        self.shipped.contains(&(name, version))
    }
}

/// A name for this bill: the same for the same lock (a UUID of version 8, RFC 9562, 5.8).
fn serial(lock: &str) -> String {
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&Sha256::digest(lock.as_bytes())[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
