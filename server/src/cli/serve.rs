//! `serve`: opens the station, listens, and stops in good order when told to.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::error::CommandError;
use super::{daily, logs, output};
use crate::config::Config;
use crate::environment::Environment;
use crate::http::{Listener, OpenConnections, router};
use crate::station::Station;

/// Locked by the server of a data directory.
const LOCK: &str = "serve.lock";

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(config: Config) -> Result<(), CommandError> {
    logs::begin(config.log_format, config.log_level);
    // Held until the process ends, however it ends.
    let _only = hold(&config.data)?;
    let station = Station::open(
        &config.data,
        &config.keys,
        &kind_files(config.kinds.as_deref())?,
        Environment::system(),
    )?
    .asking_for_app(config.app_min)
    .keeping(config.retention.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::io("starting threads"))?;
    // Dropping the runtime waits for calls that are still at work in the station.
    runtime.block_on(answer(Arc::new(station), config))
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

async fn answer(station: Arc<Station>, config: Config) -> Result<(), CommandError> {
    let http = config.http;
    // Signals are caught before anybody is told that the station answers.
    let stop = stop_signal().map_err(CommandError::io("waiting for signals"))?;
    let listener = Listener::bind(http.listen).await?;
    let address = format!("http://{}", listener.address());
    let open = OpenConnections::default();
    let router = router(Arc::clone(&station), &http, open.clone());
    let stopped = Arc::clone(&station);
    let stop = async move {
        stop.await;
        stopped.end_hints();
    };
    if !listener.address().ip().is_loopback() {
        tracing::warn!("listening beyond this machine without TLS: put a proxy with a certificate in front");
    }
    output::line(&format!("listening on {address}"))?;
    tracing::info!(address, "listening");
    if let Some(path) = &http.address_file {
        write_address(path, &address).map_err(CommandError::io("writing the address file"))?;
    }
    tokio::select! {
        () = listener.serve(router, &http, open, stop) => {}
        () = daily::keep(station) => {}
    }
    tracing::info!("stopped");
    Ok(())
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
