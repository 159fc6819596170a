//! A road between phone and station: a TCP proxy on loopback that counts bytes at the socket and delays each way like a far network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What went over the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes from phones to the station.
    pub up: u64,
    /// Bytes from the station to phones.
    pub down: u64,
    /// Connections opened.
    pub connections: u64,
}

#[derive(Debug, Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    bytes_max: u64,
}

impl Counters {
    /// Counts bytes; how many of them still go over.
    fn pass(&self, count: &AtomicU64, bytes: usize) -> usize {
        let passed = self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed);
        let left = usize::try_from(self.bytes_max.saturating_sub(passed)).unwrap_or(usize::MAX);
        let bytes = bytes.min(left);
        count.fetch_add(bytes as u64, Ordering::Relaxed);
        bytes
    }
}

/// A running proxy; gone when dropped.
#[derive(Debug)]
pub struct Road {
    address: SocketAddr,
    counters: Arc<Counters>,
    accepting: JoinHandle<()>,
}

impl Road {
    /// Opens a road to `station`, with `delay` each way.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(station: SocketAddr, delay: Duration) -> std::io::Result<Self> {
        Self::open(station, delay, u64::MAX).await
    }

    /// Opens a road that breaks for good once so many bytes went over it, either way, whatever they are in the middle of.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn that_breaks_after(station: SocketAddr, bytes: u64) -> std::io::Result<Self> {
        Self::open(station, Duration::ZERO, bytes).await
    }

    async fn open(station: SocketAddr, delay: Duration, bytes_max: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counters = Arc::new(Counters {
            bytes_max,
            ..Counters::default()
        });
        let shared = Arc::clone(&counters);
        let accepting = tokio::spawn(async move {
            while let Ok((phone, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(phone, station, delay, Arc::clone(&shared)));
            }
        });
        Ok(Self {
            address,
            counters,
            accepting,
        })
    }

    /// Where phones call instead of the station.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has gone over it so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            up: read(&self.counters.up),
            down: read(&self.counters.down),
            connections: read(&self.counters.connections),
        }
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(phone: TcpStream, station: SocketAddr, delay: Duration, counters: Arc<Counters>) {
    // A far station answers a SYN after one round trip; the proxy's own accept took none.
    tokio::time::sleep(delay * 2).await;
    let Ok(station) = TcpStream::connect(station).await else {
        return;
    };
    let _ = (phone.set_nodelay(true), station.set_nodelay(true));
    let (from_phone, to_phone) = phone.into_split();
    let (from_station, to_station) = station.into_split();
    let up = Arc::clone(&counters);
    let upward = tokio::spawn(async move { pump(from_phone, to_station, delay, (&up, &up.up)).await });
    pump(from_station, to_phone, delay, (&counters, &counters.down)).await;
    upward.abort();
}

/// Passes bytes on, each `delay` after it came; reading goes on meanwhile, so the delay costs no throughput.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Duration,
    (counters, count): (&Counters, &AtomicU64),
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let writing = tokio::spawn(async move {
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        let passes = counters.pass(count, length);
        let sent = sender.send((Instant::now() + delay, buffer[..passes].to_vec())).await;
        if sent.is_err() || passes < length {
            break;
        }
    }
    drop(sender);
    let _ = writing.await;
}
