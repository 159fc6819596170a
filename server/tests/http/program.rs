//! The program itself: configuration by file, environment and flags, its exit codes, and its life from `init` to a stop.

use std::process::{Command, Output};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beatbook-server"));
    command
        .env_clear()
        .envs(environment.iter().copied())
        .args(arguments)
        .output()
        .unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn environment_wins_over_the_file_and_flags_over_both() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("station.toml");
    std::fs::write(
        &file,
        "[station]\ndata = \"/file/data\"\nkeys = \"/file/keys\"\n[http]\nlisten = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let config = ("BEATBOOK_CONFIG", file.to_str().unwrap());
    let listen = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = said(&run(&[&["doctor"], arguments].concat(), environment).stdout);
        let line = output
            .lines()
            .find_map(|line| line.trim().strip_prefix("listen: "))
            .map(str::to_owned);
        line.unwrap_or_else(|| panic!("{output}"))
    };
    assert_eq!(listen(&[], &[config]), "127.0.0.1:1");
    assert_eq!(listen(&[], &[config, ("BEATBOOK_LISTEN", "127.0.0.1:2")]), "127.0.0.1:2");
    assert_eq!(
        listen(&["--listen", "127.0.0.1:3"], &[config, ("BEATBOOK_LISTEN", "127.0.0.1:2")]),
        "127.0.0.1:3"
    );
}

#[test]
fn an_unknown_key_stops_the_program_and_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("station.toml");
    std::fs::write(&file, "[station]\ndata = \"d\"\n\n[http]\nlissen = \"127.0.0.1:1\"\n").unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = said(&output.stderr);
    assert!(
        complaint.contains(&format!("{}:5: ", file.display())) && complaint.contains("lissen"),
        "{complaint}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for arguments in [&["fly"][..], &[], &["backup"], &["serve", "--listen", "nowhere"]] {
        assert_eq!(run(arguments, &[]).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(run(&["--help"], &[]).status.code(), Some(0));
}

#[test]
fn a_demo_that_is_not_built_says_how_to_build_it() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("beatbook-server");
    std::fs::copy(env!("CARGO_BIN_EXE_beatbook-server"), &copy).unwrap();
    let output = Command::new(copy).args(["demo", "--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("make demo"));
}

#[cfg(unix)]
#[test]
fn the_demo_gets_the_arguments_and_gives_its_exit_code() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("beatbook-server");
    std::fs::copy(env!("CARGO_BIN_EXE_beatbook-server"), &copy).unwrap();
    let demo = dir.path().join("beatbook-demo");
    std::fs::write(&demo, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    std::fs::set_permissions(&demo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(copy).args(["demo", "--once", "--json"]).output().unwrap();
    assert_eq!(
        (output.status.code(), said(&output.stdout).trim()),
        (Some(7), "--once --json")
    );
}

#[cfg(unix)]
#[test]
fn a_station_is_made_served_stopped_verified_backed_up_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (data, keys) = (path("data"), path("keys"));
    let environment = [("BEATBOOK_DATA", data.as_str()), ("BEATBOOK_KEYS", keys.as_str())];
    let well = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = run(arguments, environment);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output.stderr));
        said(&output.stdout)
    };
    assert!(well(&["init", "--station", "S"], &environment).contains("token: "));
    assert_eq!(
        run(&["init"], &environment).status.code(),
        Some(1),
        "a station is never made over another"
    );

    let address_file = path("address");
    let mut served = Command::new(env!("CARGO_BIN_EXE_beatbook-server"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--address-file",
            &address_file,
        ])
        .env_clear()
        .envs(environment)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(served.stdout.take().unwrap()), &mut first).unwrap();
    let address = first.trim().strip_prefix("listening on http://").unwrap().to_owned();
    assert!(!address.ends_with(":0"));
    assert!(health(&address).starts_with("HTTP/1.1 200"));
    assert_eq!(std::fs::read_to_string(&address_file).unwrap(), format!("http://{address}\n"));
    let second = run(&["serve", "--listen", "127.0.0.1:0"], &environment);
    assert_eq!(second.status.code(), Some(1), "one server for one data directory");
    assert!(
        said(&second.stderr).contains("another server is running"),
        "{}",
        said(&second.stderr)
    );
    let backup = path("backup");
    well(&["backup", "--to", &backup], &environment);
    assert!(Command::new("kill").arg(served.id().to_string()).status().unwrap().success());
    assert_eq!(served.wait().unwrap().code(), Some(0));

    assert!(well(&["ledger", "verify"], &environment).contains("faults: none"));
    assert!(well(&["doctor"], &environment).contains("ok "));
    let dump = well(&["dump"], &environment);
    well(&["rebuild"], &environment);
    assert_eq!(well(&["dump"], &environment), dump);
    let added = well(&["user", "add", "--name", "王", "--role", "officer", "--json"], &environment);
    let user = serde_json::from_str::<serde_json::Value>(&added).unwrap()["user"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(well(&["enrol-code", "--user", &user], &environment).contains("code: "));
    std::fs::rename(&data, path("lost")).unwrap();
    well(&["restore", "--from", &backup], &environment);
    assert!(well(&["ledger", "verify"], &environment).contains("faults: none"));
}

/// `GET /healthz` over a plain socket. The address file is written before the first request is answered.
fn health(address: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    reply
}
