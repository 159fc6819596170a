//! A station as it runs: the real `beatbook-server` program on loopback, started, killed and asked over HTTP like anybody's.

mod program;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

pub use program::program;

/// What can go wrong around a station process.
#[derive(Debug, thiserror::Error)]
pub enum StationProcessError {
    /// The program is not where cargo puts it.
    #[error("{0} is missing: `cargo build -p beatbook-server` builds it")]
    NoProgram(PathBuf),
    /// The program ended or said something unexpected.
    #[error("beatbook-server {what}: {said}")]
    Program {
        /// The subcommand.
        what: String,
        /// What it printed.
        said: String,
    },
    /// A file or process operation failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A call failed.
    #[error("{method} {path}: {fault}")]
    Call {
        /// Method.
        method: &'static str,
        /// Path.
        path: String,
        /// Status and body, or the network's fault.
        fault: String,
    },
}

type Result<T> = std::result::Result<T, StationProcessError>;

/// Where a station keeps its things.
#[derive(Debug, Clone)]
pub struct Places {
    /// Data directory.
    pub data: PathBuf,
    /// Keys directory.
    pub keys: PathBuf,
}

impl Places {
    /// Two directories under one root.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self {
            data: root.join("data"),
            keys: root.join("keys"),
        }
    }
}

/// Runs a subcommand to its end and gives what it printed.
///
/// # Errors
/// When the program is missing or ends with a fault.
pub fn run(arguments: &[&str]) -> Result<String> {
    let output = Command::new(program()?).args(arguments).stdin(Stdio::null()).output()?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(said(&output.stdout));
    }
    Err(StationProcessError::Program {
        what: arguments.join(" "),
        said: said(&output.stderr) + &said(&output.stdout),
    })
}

/// A running station; killed when dropped.
#[derive(Debug)]
pub struct StationProcess {
    child: Child,
    url: String,
}

impl StationProcess {
    /// Makes a new station and gives the chief's token.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn init(places: &Places) -> Result<String> {
        Self::init_with(places, &[])
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn init_with(places: &Places, more: &[&str]) -> Result<String> {
        let (data, keys) = (places.data.to_string_lossy(), places.keys.to_string_lossy());
        let arguments = [
            "init",
            "--data",
            &data,
            "--keys",
            &keys,
            "--station",
            "中关村派出所",
            "--unit",
            "中关村社区",
            "--chief",
            "李所长",
        ];
        let said = run(&[&arguments[..], more].concat())?;
        let token = said
            .lines()
            .find_map(|line| line.split_once("token:"))
            .map(|(_, token)| token.trim().to_owned());
        token.ok_or(StationProcessError::Program {
            what: "init".into(),
            said,
        })
    }

    /// Starts serving at `listen` and waits until it is ready.
    ///
    /// # Errors
    /// When it ends before it is ready.
    pub fn serve(places: &Places, listen: &str) -> Result<Self> {
        Self::serve_with(places, listen, &[])
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// When it ends before it is ready.
    pub fn serve_with(places: &Places, listen: &str, more: &[&str]) -> Result<Self> {
        Self::start(Command::new(program()?), places, listen, more)
    }

    /// The same under another program, as a tracer, that is given ours and its arguments.
    ///
    /// # Errors
    /// When it ends before it is ready.
    pub fn serve_under(mut tracer: Command, places: &Places, listen: &str) -> Result<Self> {
        tracer.arg(program()?);
        Self::start(tracer, places, listen, &[])
    }

    fn start(mut command: Command, places: &Places, listen: &str, more: &[&str]) -> Result<Self> {
        let address_file = places.data.with_extension("address");
        let _ = std::fs::remove_file(&address_file);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(places.data.with_extension("log"))?;
        command
            .args(["serve", "--listen", listen, "--address-file"])
            .arg(&address_file);
        command
            .arg("--data")
            .arg(&places.data)
            .arg("--keys")
            .arg(&places.keys)
            .args(more);
        let mut child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        for _ in 0..600 {
            if let Ok(address) = std::fs::read_to_string(&address_file)
                && address.ends_with('\n')
            {
                return Ok(Self {
                    child,
                    url: address.trim().to_owned(),
                });
            }
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(places.data.with_extension("log")).unwrap_or_default();
                return Err(StationProcessError::Program {
                    what: "serve".into(),
                    said: format!("{status}\n{said}"),
                });
            }
            pause(Duration::from_millis(20));
        }
        let _ = child.kill();
        Err(StationProcessError::Program {
            what: "serve".into(),
            said: "did not say where it listens within 12 s".into(),
        })
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to look at its certificate again (SIGHUP).
    ///
    /// # Errors
    /// When it is not running.
    pub fn hang_up(&self) -> Result<()> {
        let asked = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status()?;
        if asked.success() {
            return Ok(());
        }
        Err(StationProcessError::Program {
            what: "serve".into(),
            said: "is not there to be signalled".into(),
        })
    }

    /// Where it listens, `http://127.0.0.1:PORT`, or `https://` where it has a certificate.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would (SIGKILL).
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits for its end. A Ctrl-C at a terminal reaches it too: then it is ending already, which is well.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> Result<()> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status()?;
        if !asked.success() && self.is_running() {
            let said = "could not be asked to stop".into();
            return Err(StationProcessError::Program {
                what: "serve".into(),
                said,
            });
        }
        let ended = self.child.wait()?;
        if ended.success() {
            return Ok(());
        }
        Err(StationProcessError::Program {
            what: "serve".into(),
            said: format!("ended with {ended}"),
        })
    }
}

impl Drop for StationProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The chief at his desk: calls of `/api/v1` with his token.
#[derive(Debug, Clone)]
pub struct Chief {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Chief {
    /// A chief with his token. The station is asked in plain HTTP on loopback, but the client wants a TLS provider all the same.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        Self::trusting(url, token, b"")
    }

    /// A chief whose browser trusts these roots (PEM) and no others.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn trusting(url: &str, token: &str, roots_pem: &[u8]) -> Result<Self> {
        // Whoever installed it before us installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |error: reqwest::Error| StationProcessError::Call {
            method: "GET",
            path: url.to_owned(),
            fault: error.to_string(),
        };
        let roots = reqwest::Certificate::from_pem_bundle(roots_pem).map_err(wrong)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only(roots)
            .build()
            .map_err(wrong)?;
        Ok(Self {
            http,
            url: url.to_owned(),
            token: token.to_owned(),
        })
    }

    /// `GET`.
    ///
    /// # Errors
    /// When the status is not 2xx.
    pub async fn get(&self, path: &str) -> Result<Json> {
        let (status, body) = self.call("GET", path, None, None).await?;
        expect_success("GET", path, status, body)
    }

    /// `GET` of what is masked, with the reason for it.
    ///
    /// # Errors
    /// When the status is not 2xx.
    pub async fn get_because(&self, path: &str, reason: &str) -> Result<Json> {
        let request = self.http.get(format!("{}{path}", self.url)).header("beatbook-reason", reason);
        let (status, body) = self.send("GET", path, request).await?;
        expect_success("GET", path, status, body)
    }

    /// `POST` with a body, and `If-Match` where the call takes a version.
    ///
    /// # Errors
    /// When the status is not 2xx.
    pub async fn post(&self, path: &str, body: &Json, version: Option<&str>) -> Result<Json> {
        let (status, body) = self.call("POST", path, Some(body), version).await?;
        expect_success("POST", path, status, body)
    }

    /// Any call; the status and the body, whatever they are.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Json>,
        version: Option<&str>,
    ) -> Result<(u16, Json)> {
        let url = format!("{}{path}", self.url);
        let mut request = if method == "GET" {
            self.http.get(url)
        } else {
            self.http.post(url)
        };
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(version) = version {
            request = request.header("if-match", format!("\"{version}\""));
        }
        self.send(method, path, request).await
    }

    async fn send(&self, method: &'static str, path: &str, request: reqwest::RequestBuilder) -> Result<(u16, Json)> {
        let fault = |fault: String| StationProcessError::Call {
            method,
            path: path.to_owned(),
            fault,
        };
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(|error| fault(error.to_string()))?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(|error| fault(error.to_string()))?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Json::String(text))))
    }
}

fn expect_success(method: &'static str, path: &str, status: u16, body: Json) -> Result<Json> {
    if (200..300).contains(&status) {
        return Ok(body);
    }
    Err(StationProcessError::Call {
        method,
        path: path.to_owned(),
        fault: format!("{status} {body}"),
    })
}

fn pause(time: Duration) {
    std::thread::sleep(time);
}
