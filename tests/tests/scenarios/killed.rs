//! Killed at random moments, and at every write: no acknowledged entry and no saved draft is lost. The killed programs are the real
//! ones; a line that a phone has printed is a promise that was made before the kill.
#![expect(
    clippy::print_stderr,
    reason = "what a killed program said, and what is skipped, is for the person who reads the output"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use beatbook_tests::bench::scratch;
use beatbook_tests::day::chief;
use beatbook_tests::seeded::Seeded;
use beatbook_tests::station::{Chief, Places, StationProcess, run};

/// What phones have promised so far.
#[derive(Debug, Default)]
struct Promises {
    drafts: BTreeMap<String, String>,
    records: BTreeMap<String, String>,
    accepted: BTreeSet<String>,
    done: bool,
}

impl Promises {
    fn take(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("draft"), Some(id), text) => {
                self.drafts.insert(id.to_owned(), text.unwrap_or_default().to_owned());
            }
            (Some("kept"), Some(id), Some(record)) => {
                let text = self.drafts.remove(id).unwrap_or_default();
                self.records.insert(record.to_owned(), text);
            }
            (Some("holds"), Some(record), text) => {
                self.records.insert(record.to_owned(), text.unwrap_or_default().to_owned());
            }
            (Some("accepted"), Some(entry), _) => {
                self.accepted.insert(entry.to_owned());
            }
            (Some("done"), ..) => self.done = true,
            other => panic!("a phone said {other:?}"),
        }
    }
}

struct Beat {
    root: PathBuf,
    places: Places,
    token: String,
    code: String,
    listen: String,
}

impl Beat {
    /// A station with one officer who has a code for his phone, not serving yet.
    async fn new(name: &str) -> Self {
        let root = scratch(name).unwrap();
        let places = Places::under(&root);
        let token = StationProcess::init(&places).unwrap();
        let station = StationProcess::serve(&places, "127.0.0.1:0").unwrap();
        let code = chief::register(&Chief::new(station.url(), &token).unwrap(), "王警官", "officer")
            .await
            .unwrap();
        let listen = station.url().trim_start_matches("http://").to_owned();
        station.stop().unwrap();
        Self {
            root,
            places,
            token,
            code,
            listen,
        }
    }

    fn serve(&self) -> StationProcess {
        StationProcess::serve(&self.places, &self.listen).unwrap()
    }

    fn phone(&self, script: &str, seed: u64) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phone"));
        self.arguments(&mut command, script, seed);
        command
    }

    fn arguments(&self, command: &mut Command, script: &str, seed: u64) {
        command.arg(script).arg("--file").arg(self.root.join("phone.db"));
        command.args([
            "--url",
            &format!("http://{}", self.listen),
            "--code",
            &self.code,
            "--seed",
            &seed.to_string(),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// After a kill at write `n`: the phone goes on where it was, comes to its end, and nothing was made twice.
    async fn go_on(&self, n: u64, mut promises: Promises, station: StationProcess) {
        for script in ["visit", "finish"] {
            assert!(
                run_phone(self.phone(script, 1), &mut promises, None),
                "killed at write {n}: the phone cannot {script}"
            );
        }
        assert_eq!(promises.records.len(), 2, "killed at write {n}: one household and one visit");
        self.check(&promises, station).await;
    }

    /// Everything promised is at the station, and the station's ledger is whole and rebuilds to the same dump.
    async fn check(&self, promises: &Promises, station: StationProcess) {
        let desk = Chief::new(station.url(), &self.token).unwrap();
        let holdings = chief::holdings(&desk).await.unwrap();
        let held: BTreeSet<&String> = holdings.values().flatten().collect();
        let lost: Vec<_> = promises.accepted.iter().filter(|entry| !held.contains(entry)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let missing: Vec<_> = promises
            .records
            .keys()
            .filter(|record| !holdings.contains_key(*record))
            .collect();
        assert!(missing.is_empty(), "kept on the phone and not at the station: {missing:?}");
        station.stop().unwrap();
        let (data, keys) = (self.places.data.to_string_lossy(), self.places.keys.to_string_lossy());
        let at = ["--data", &data, "--keys", &keys];
        run(&[&["ledger", "verify"], &at[..]].concat()).unwrap();
        let before = run(&[&["dump"], &at[..]].concat()).unwrap();
        run(&[&["rebuild"], &at[..]].concat()).unwrap();
        assert_eq!(
            run(&[&["dump"], &at[..]].concat()).unwrap(),
            before,
            "rebuild gives another dump"
        );
        assert!(before.len() > 1_000);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// Runs a phone until it ends or, at the latest, is killed after `after`; whatever it printed is a promise.
fn run_phone(mut command: Command, promises: &mut Promises, after: Option<Duration>) -> bool {
    let mut child = command.spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).collect::<Vec<_>>());
    if let Some(after) = after {
        std::thread::sleep(after);
        let _ = child.kill();
    }
    let output = child.wait_with_output().unwrap();
    let lines = reading.join().unwrap();
    // The last line may be torn by the kill; a promise is a whole line, and lines are written whole or not at all to a pipe.
    lines.iter().for_each(|line| promises.take(line));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    if !output.status.success() && after.is_none() && !said.is_empty() {
        eprintln!("{said}");
    }
    output.status.success()
}

fn from_environment(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test]
async fn phone_and_station_killed_at_random_moments_lose_no_acknowledged_entry_and_no_saved_draft() {
    let beat = Beat::new("killed").await;
    let kills = from_environment("KILLS", 10);
    let mut seeded = Seeded::new(from_environment("SEED", 1));
    let mut promises = Promises::default();
    let mut station = beat.serve();
    for round in 0..kills {
        let after = Duration::from_millis(150 + seeded.below(1_500));
        if round % 2 == 0 {
            run_phone(beat.phone("work", round), &mut promises, Some(after));
        } else {
            let mut phone = beat.phone("work", round).spawn().unwrap();
            std::thread::sleep(after);
            station.kill().unwrap();
            station = beat.serve();
            std::thread::sleep(Duration::from_millis(200));
            let _ = phone.kill();
            let output = phone.wait_with_output().unwrap();
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .for_each(|line| promises.take(line));
        }
    }
    let saved = promises.drafts.clone();
    let mut last = Promises::default();
    assert!(
        run_phone(beat.phone("finish", 0), &mut last, None),
        "the phone did not come to its end"
    );
    assert!(last.done);
    for (id, text) in &saved {
        // One step at most came after the last promise: a later text of the same draft, or the draft became a record.
        let found = last.drafts.contains_key(id) || last.records.values().any(|notes| notes == text);
        assert!(found, "draft {id} with {text} is gone");
    }
    for (record, text) in &promises.records {
        assert_eq!(
            last.records.get(record),
            Some(text),
            "record {record} does not say what was saved"
        );
    }
    assert!(
        !promises.accepted.is_empty(),
        "nothing was ever acknowledged: the test shows nothing"
    );
    promises.accepted.extend(last.accepted);
    promises.records.extend(last.records);
    beat.check(&promises, station).await;
}

/// Runs a program under strace, which kills it at its `n`th call that writes to a file.
fn killed_at(n: u64, log: &Path) -> Command {
    let mut command = Command::new("strace");
    let inject = format!("inject=pwrite64,ftruncate,fsync,fdatasync,rename:signal=KILL:when={n}");
    command
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(["-e", "trace=pwrite64,ftruncate,fsync,fdatasync,rename", "-e", &inject]);
    command
}

/// Kills what a tracer traces; without that it would go on when the tracer is gone.
fn kill_traced(tracer: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
    let killed = Command::new("kill")
        .arg("-9")
        .args(children.split_whitespace())
        .status()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    killed.success()
}

fn has_strace() -> bool {
    let found = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(
        found || std::env::var_os("CI").is_none(),
        "strace is missing: .ci/needs installs it"
    );
    if !found {
        eprintln!("SKIPPED: strace is missing, so no kill at every write");
    }
    found
}

#[tokio::test]
async fn a_visit_survives_a_kill_of_the_phone_at_every_write() {
    if !has_strace() {
        return;
    }
    let every = from_environment("EVERY", 17);
    let (mut n, mut killed) = (1, 0);
    loop {
        let beat = Beat::new("every-write").await;
        let station = beat.serve();
        let mut command = killed_at(n, &beat.root.join("strace.log"));
        command.arg(env!("CARGO_BIN_EXE_phone"));
        beat.arguments(&mut command, "visit", 1);
        let mut promises = Promises::default();
        let ended = run_phone(command, &mut promises, None);
        beat.go_on(n, promises, station).await;
        if ended {
            break;
        }
        killed += 1;
        n += every;
    }
    assert!(killed >= 3, "{killed} kills: the phone writes more than that");
}

#[tokio::test]
async fn a_visit_survives_a_kill_of_the_station_at_every_write() {
    if !has_strace() {
        return;
    }
    let every = from_environment("EVERY", 17);
    let (mut n, mut killed) = (1, 0);
    loop {
        let beat = Beat::new("station-writes").await;
        let tracer = killed_at(n, &beat.root.join("strace.log"));
        let station = StationProcess::serve_under(tracer, &beat.places, &beat.listen);
        let mut promises = Promises::default();
        run_phone(beat.phone("visit", 1), &mut promises, None);
        let survived = station.is_ok_and(|mut station| station.is_running() && kill_traced(station.id()));
        let station = beat.serve();
        beat.go_on(n, promises, station).await;
        if survived {
            break;
        }
        killed += 1;
        n += every;
    }
    assert!(killed >= 3, "{killed} kills: the station writes more than that");
}

/// What a killed process cannot show, since the system keeps what it wrote: whether the disk had it. The order of the calls does.
#[tokio::test]
async fn the_station_flushes_ledger_and_signing_log_before_each_answer() {
    if !has_strace() {
        return;
    }
    let beat = Beat::new("flushes").await;
    let trace = beat.root.join("strace.log");
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-y", "-qq", "-o"]).arg(&trace);
    tracer.args(["-e", "trace=pwrite64,write,fsync,fdatasync,sendto,sendmsg,writev"]);
    let station = StationProcess::serve_under(tracer, &beat.places, &beat.listen).unwrap();
    assert!(run_phone(beat.phone("visit", 1), &mut Promises::default(), None));
    assert!(kill_traced(station.id()));
    let flushes = flushes_before_answers(&std::fs::read_to_string(&trace).unwrap()).unwrap();
    assert!(flushes.keys().any(|path| path.ends_with("-wal")), "{flushes:?}");
    assert!(flushes.keys().any(|path| path.ends_with("keys/log")), "{flushes:?}");
}

/// How often each file was flushed; an error when a good answer left while something that was written had not been.
fn flushes_before_answers(trace: &str) -> Result<BTreeMap<String, u32>, String> {
    let mut flushes = BTreeMap::new();
    let mut unflushed = BTreeSet::new();
    let mut flushing = BTreeMap::new();
    for line in trace.lines() {
        let (thread, call) = line.trim().split_once(char::is_whitespace).unwrap_or_default();
        let call = call.trim_start();
        let path = call
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or("", |(path, _)| path)
            .to_owned();
        let kept = path.ends_with("-wal") || path.ends_with("keys/log");
        if call.contains("\"HTTP/1.1 200") && !unflushed.is_empty() {
            return Err(format!("answered while {unflushed:?} was not flushed: {line}"));
        }
        let flushed = if call.starts_with("<... fsync") || call.starts_with("<... fdatasync") {
            flushing.remove(thread)
        } else if call.starts_with("fsync") || call.starts_with("fdatasync") {
            if call.contains("<unfinished") {
                flushing.insert(thread.to_owned(), path);
                continue;
            }
            Some(path)
        } else {
            if kept {
                unflushed.insert(path);
            }
            None
        };
        if let Some(path) = flushed.filter(|_| call.ends_with("= 0")) {
            unflushed.remove(&path);
            *flushes.entry(path).or_insert(0) += 1;
        }
    }
    Ok(flushes)
}

#[test]
fn an_answer_before_its_flush_is_noticed() {
    let write = "7 pwrite64(5</d/station.db-wal>, \"x\", 1, 0) = 1\n";
    let answer = "8 sendto(9<TCP:[1]>, \"HTTP/1.1 200 OK\", 15, 0, NULL, 0) = 15\n";
    let flush = "7 fdatasync(5</d/station.db-wal> <unfinished ...>\n7 <... fdatasync resumed>) = 0\n";
    assert!(flushes_before_answers(&[write, flush, answer].concat()).is_ok());
    assert!(flushes_before_answers(&[write, answer, flush].concat()).is_err());
    assert!(flushes_before_answers(&[flush, write, answer].concat()).is_err());
}
