//! Callers who hold on to what others need: hundreds of connections that never come to their point. A good phone beside them is served at once,
//! the station's memory does not grow with them, and they are hung up on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use beatbook_tests::station::{Chief, StationProcess};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::post::Post;
use crate::transit::Guarded;

/// As many as the issue names.
const CALLERS: usize = 500;
/// What a good caller waits at most while they are there; alone he waits some milliseconds.
const PROMPT: Duration = Duration::from_secs(5);
/// So long a caller holds on, unless he is hung up on: far longer than the station's times below.
const LIFE_MAX: Duration = Duration::from_secs(20);
/// What the station's memory may grow by for all of them: 100 KiB each, twice what a connection with TLS has.
const GROWTH_BYTES_MAX: u64 = CALLERS as u64 * 100 * 1024;

/// Beginnings of connections that lead to nothing.
#[derive(Clone, Copy)]
enum Opening {
    /// Not a word.
    Silence,
    /// Headers that do not end.
    Headers,
    /// A body that does not end.
    Body,
    /// A record of TLS that does not end.
    Handshake,
}

impl Opening {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Silence => b"",
            Self::Headers => b"POST /sync/v1/exchange HTTP/1.1\r\nHost: s\r\nX-Slow: ",
            Self::Body => {
                b"POST /sync/v1/exchange HTTP/1.1\r\nHost: s\r\nContent-Type: application/vnd.beatbook.v1+cbor-zstd\r\nContent-Length: \
                  100000\r\n\r\n"
            }
            Self::Handshake => &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        }
    }
}

/// From another address than the good caller's, as somebody elsewhere would.
async fn connect(to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.66:0".parse().unwrap()).unwrap();
    let connected = tokio::time::timeout(Duration::from_secs(10), socket.connect(to)).await;
    connected.ok().and_then(Result::ok)
}

/// Opens all of them, and lets each say a byte now and then until it is hung up on. Gives how many were within `LIFE_MAX`.
async fn besiege(to: SocketAddr, openings: &'static [Opening]) -> usize {
    let mut callers = Vec::new();
    for number in 0..CALLERS {
        let opening = openings[number % openings.len()];
        callers.push(tokio::spawn(async move {
            let Some(mut stream) = connect(to).await else { return true };
            if stream.write_all(opening.bytes()).await.is_err() {
                return true;
            }
            let connected = Instant::now();
            while connected.elapsed() < LIFE_MAX {
                let mut heard = [0; 256];
                match tokio::time::timeout(Duration::from_millis(300), stream.read(&mut heard)).await {
                    Ok(Ok(0) | Err(_)) => return true,
                    Ok(Ok(_)) => {}
                    Err(_) if matches!(opening, Opening::Silence | Opening::Handshake) => {}
                    Err(_) => {
                        if stream.write_all(b"x").await.is_err() {
                            return true;
                        }
                    }
                }
            }
            false
        }));
    }
    let mut hung_up = 0;
    for caller in callers {
        hung_up += usize::from(caller.await.unwrap());
    }
    hung_up
}

/// Calls the station while they are there; gives the longest wait.
async fn served_meanwhile(desk: impl Fn() -> Chief, until: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let begun = Instant::now();
        // A connection of its own each time: one that was open before would show nothing.
        let (status, _) = desk().call("GET", "/api/v1/status", None, None).await.unwrap();
        assert_eq!(status, 200);
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    longest
}

/// Bytes that a process has in memory.
fn resident(station: &StationProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", station.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn withstands(station: &StationProcess, desk: impl Fn() -> Chief, openings: &'static [Opening]) {
    let to: SocketAddr = station.url().split("://").nth(1).unwrap().parse().unwrap();
    desk().get("/api/v1/status").await.unwrap();
    let before = resident(station);
    let until = Instant::now() + Duration::from_secs(10);
    let siege = tokio::spawn(besiege(to, openings));
    let longest = served_meanwhile(&desk, until).await;
    let grown = resident(station).saturating_sub(before);
    assert!(longest < PROMPT, "a good caller waited {longest:?}");
    assert!(grown < GROWTH_BYTES_MAX, "grew by {grown} bytes");
    // They hold on still, and the station has let them go. (Some never got beyond the system's queue: they hold nothing of the station's.)
    // On a busy machine all of them may have been hung up on before this looks.
    let open = loop {
        let metrics = desk().call("GET", "/metrics", None, None).await.unwrap().1;
        let line = metrics
            .as_str()
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("beatbook_connections "));
        let open: i64 = line.unwrap().parse().unwrap();
        if open <= 10 || siege.is_finished() {
            break open;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(open <= 10, "{open} connections are open still");
    let hung_up = siege.await.unwrap();
    assert!(hung_up > CALLERS / 2, "{hung_up} were hung up on");
}

/// Short times, so that the test sees their end; the places are fewer than the callers, and then more.
const FEW: &[&str] = &["--header-ms-max", "2000", "--idle-ms-max", "2000", "--connections-max", "64"];
const MANY: &[&str] = &["--header-ms-max", "2000", "--idle-ms-max", "2000"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_slow_callers_keep_nobody_out() {
    for more in [FEW, MANY] {
        let post = Post::open_with("slow-callers", more);
        let desk = || Chief::new(post.station.url(), &post.token).unwrap();
        withstands(&post.station, desk, &[Opening::Headers, Opening::Body, Opening::Silence]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_slow_callers_of_a_station_with_a_certificate_keep_nobody_out() {
    for more in [FEW, MANY] {
        let guarded = Guarded::open("slow-callers-tls", more);
        withstands(&guarded.station, || guarded.desk(), &[Opening::Handshake, Opening::Silence]).await;
    }
}

#[tokio::test]
async fn a_body_that_drips_is_answered_and_ended() {
    let post = Post::open_with("slow-body", MANY);
    let to: SocketAddr = post.station.url().split("://").nth(1).unwrap().parse().unwrap();
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(Opening::Body.bytes()).await.unwrap();
    let begun = Instant::now();
    let mut reply = Vec::new();
    while begun.elapsed() < Duration::from_secs(15) {
        let mut heard = [0; 4096];
        match tokio::time::timeout(Duration::from_millis(100), stream.read(&mut heard)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(length)) => reply.extend_from_slice(&heard[..length]),
            Err(_) => drop(stream.write_all(b"x").await),
        }
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "a byte now and then does not count as going on"
    );
    assert!(reply.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&reply));
}
