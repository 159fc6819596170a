//! `serve`: opens the station, listens, and stops in good order when told to.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::error::CommandError;
use super::{daily, logs, output};
use crate::config::{Config, HttpConfig, PlainHttp};
use crate::environment::Environment;
use crate::http::{Listener, OpenConnections, router};
use crate::station::Station;
use crate::tls::Shown;

/// How long lines of the audit log wait at most until the ledger fixes them, where they are not many.
const ANCHOR_EVERY: Duration = Duration::from_secs(10 * 60);

/// Locked by the server of a data directory.
const LOCK: &str = "serve.lock";

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(config: Config) -> Result<(), CommandError> {
    logs::begin(config.log_format, config.log_level);
    // Held until the process ends, however it ends.
    let _only = hold(&config.data)?;
    let env = Environment::system();
    let shown = Arc::new(Shown::open(&config.http.tls, &config.keys)?);
    refuse_open_plain(&config.http, &shown)?;
    shown.warn(env.clock.now());
    let station = Station::open(&config.data, &config.keys, &kind_files(config.kinds.as_deref())?, env)?
        .asking_for_app(config.app_min)
        .signing_in_by(config.sign_in.clone())?
        .enrolling_by(config.enrolment.clone())
        .leasing(config.lease_ms)
        .asked_again_after(config.ask_again_ms)
        .keeping(config.retention.clone())?
        .showing(Arc::clone(&shown));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::io("starting threads"))?;
    // Dropping the runtime waits for calls that are still at work in the station.
    runtime.block_on(answer(Arc::new(station), shown, config))
}

/// The one server of a data directory. Other commands work beside it; a second server would answer phones from tables of its own mind.
fn hold(data: &Path) -> Result<Option<File>, CommandError> {
    if !data.is_dir() {
        // Opening says better what is missing.
        return Ok(None);
    }
    let file = File::create(data.join(LOCK)).map_err(CommandError::io("marking the data directory as served"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(CommandError::Served(data.to_owned())),
        // Some file systems have no locks: their operator counts his servers himself.
        Err(TryLockError::Error(fault)) => {
            tracing::warn!(%fault, "this file system has no locks: see that only one server runs on it");
            Ok(None)
        }
    }
}

/// Refuses to serve plain HTTP to the network: tokens and what people wrote about people would be anybody's.
fn refuse_open_plain(http: &HttpConfig, shown: &Shown) -> Result<(), CommandError> {
    if shown.is_there() || http.listen.ip().is_loopback() {
        return Ok(());
    }
    match http.tls.plain {
        PlainHttp::ThisMachine => Err(CommandError::Plain(http.listen)),
        PlainHttp::BehindProxy => {
            tracing::warn!(
                "plain HTTP beyond this machine: the proxy in front must speak TLS, and nobody else reach this address"
            );
            Ok(())
        }
    }
}

async fn answer(station: Arc<Station>, shown: Arc<Shown>, config: Config) -> Result<(), CommandError> {
    let http = config.http;
    // Signals are caught before anybody is told that the station answers.
    let stop = stop_signal().map_err(CommandError::io("waiting for signals"))?;
    let mut listener = Listener::bind(http.listen).await?;
    let mut scheme = "http";
    if shown.is_there() {
        listener = listener.speaking_tls(shown.server_config()?);
        scheme = "https";
    }
    let address = format!("{scheme}://{}", listener.address());
    // Without a certificate too: a signal that would end the station only says then that there is nothing to read.
    tokio::spawn(shown.look_after(station.env.clone()));
    let open = OpenConnections::default();
    let router = router(Arc::clone(&station), &http, open.clone());
    let stop = {
        let station = Arc::clone(&station);
        async move {
            stop.await;
            station.end_hints();
        }
    };
    output::line(&format!("listening on {address}"))?;
    tracing::info!(address, "listening");
    if let Some(path) = &http.address_file {
        write_address(path, &address).map_err(CommandError::io("writing the address file"))?;
    }
    let tasks = [
        tokio::spawn(notice_others(Arc::clone(&station))),
        tokio::spawn(keep_time(Arc::clone(&station))),
        tokio::spawn(anchor_now_and_then(Arc::clone(&station))),
        tokio::spawn(daily::keep(station)),
    ];
    listener.serve(router, &http, open, stop).await;
    for task in tasks {
        task.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

/// How often what has come due is looked for while nobody calls.
const TIME_MS: u64 = 20_000;

/// Writes what the time alone brings about, also while no phone calls: who listens for hints hears of it then.
async fn keep_time(station: Arc<Station>) {
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(TIME_MS)).await;
        let station = Arc::clone(&station);
        match tokio::task::spawn_blocking(move || station.keep_time()).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "what has come due could not be written"),
            Err(_) => tracing::error!("what has come due could not be looked for"),
        }
    }
}

/// Has the audit log fixed in the ledger, when there are new lines.
async fn anchor_now_and_then(station: Arc<Station>) {
    let mut every = tokio::time::interval(ANCHOR_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let station = Arc::clone(&station);
        match tokio::task::spawn_blocking(move || station.anchor_audit()).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => tracing::error!(%fault, "the audit log could not be fixed in the ledger"),
            // The panic hook has said where.
            Err(_) => tracing::error!("fixing the audit log in the ledger did not end well"),
        }
    }
}

/// How often the server looks whether a command beside it wrote into the ledger: a book that it ended is out within a second.
const NOTICE: Duration = Duration::from_millis(500);

async fn notice_others(station: Arc<Station>) {
    loop {
        tokio::time::sleep(NOTICE).await;
        let looking = Arc::clone(&station);
        let looked = tokio::task::spawn_blocking(move || looking.notice_others()).await;
        if let Ok(Err(fault)) = looked {
            tracing::warn!(%fault, "what other commands wrote was not looked at");
        }
    }
}

/// Renamed into place, so that nobody reads half an address.
fn write_address(path: &Path, address: &str) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, format!("{address}\n"))?;
    std::fs::rename(&new, path)
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// The station's own kinds: `*.toml` of the directory by name, so that every start sees them in one order.
pub(crate) fn kind_files(dir: Option<&Path>) -> Result<Vec<(String, String)>, CommandError> {
    let Some(dir) = dir else {
        return Ok(Vec::new());
    };
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |fault| CommandError::Kinds { path, fault }
    };
    let mut paths = Vec::new();
    for file in std::fs::read_dir(dir).map_err(wrong(dir))? {
        let path = file.map_err(wrong(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(wrong(&path))?;
            Ok((path.display().to_string(), text))
        })
        .collect()
}
