//! The floor under any sync: one POST of the zstd-compressed raw changes into SQLite, one GET out of it. Nothing is verified, merged,
//! ordered or signed; whoever does these things pays the difference.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::task::JoinHandle;

/// A running floor; gone when dropped.
#[derive(Debug)]
pub struct Floor {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

type Shared = Arc<Mutex<Connection>>;

impl Floor {
    /// Starts over a new file, flushed at each commit like a station's.
    ///
    /// # Errors
    /// When the file or the port cannot be had.
    pub async fn serve(file: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch("CREATE TABLE batch (n INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;")?;
        let router = axum::Router::new()
            .route("/push", post(push))
            .route("/after/{n}", get(pull))
            .layer(DefaultBodyLimit::max(1 << 30))
            .with_state(Arc::new(Mutex::new(connection)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn push(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    let connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match connection.execute("INSERT INTO batch (body) VALUES (?1)", params![&body[..]]) {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn pull(State(shared): State<Shared>, UrlPath(n): UrlPath<i64>) -> (StatusCode, Vec<u8>) {
    let connection = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let next = connection.query_row("SELECT body FROM batch WHERE n > ?1 ORDER BY n LIMIT 1", params![n], |row| {
        row.get(0)
    });
    match next.optional() {
        Ok(Some(body)) => (StatusCode::OK, body),
        Ok(None) => (StatusCode::NO_CONTENT, Vec::new()),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    }
}
