//! Configuration: by file (TOML), then environment (`BEATBOOK_*`), then flags; the later wins, and what nobody says has a safe default.
//! Knows no station and opens nothing but the configuration file.

mod enrolment;
mod phones;
mod sign_in;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use beatbook_protocol::wire::AppVersion;
use serde::Deserialize;
pub use sign_in::{Network, ProviderConfig, ProviderSettings, SignInConfig, SignInSettings};

pub use tls::{PlainHttp, TlsConfig, TlsSettings};

pub use enrolment::{AttestationRule, EnrolmentRules, EnrolmentSettings};

use crate::retention::RetentionSettings;

/// Configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {fault}; name another with --config, or none")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: std::io::Error,
    },
    /// The file does not say what a configuration says.
    #[error("{path}:{line}: {fault}")]
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, with what would be right.
        fault: String,
    },
    /// Something without a default was said nowhere.
    #[error(
        "{what} is missing: give --{flag} DIR, set BEATBOOK_{env}, or write `{flag} = \"DIR\"` under [station] in the configuration file"
    )]
    Missing {
        /// What it is.
        what: &'static str,
        /// Its flag and its key in the file.
        flag: &'static str,
        /// Its environment variable, without the prefix.
        env: &'static str,
    },
    /// A limit of nothing would serve nobody.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// A certificate without its key, or a key without its certificate.
    #[error("[http.tls] names a certificate and its key: the {lacks} is missing")]
    Half {
        /// Which.
        lacks: &'static str,
    },
    /// Not the hash of a key.
    #[error("{0:?} is not the hash of a key: write its 64 hexadecimal digits, as `beatbook-server tls pin` prints them")]
    Pin(String),
    /// A code that nobody could use in time, or that lies about for days.
    #[error("code_minutes must be 1 to {0}")]
    CodeMinutes(u32),
    /// Not a version of an app.
    #[error("app_min {0:?} is no version: write it as 1.4.0")]
    Version(String),
    /// Something about signing in.
    #[error("{what} under [sign_in] or [provider]: {why}")]
    SignIn {
        /// The key.
        what: &'static str,
        /// What is wrong, with what would be right.
        why: String,
    },
    /// A pause that wears batteries out, or is none of a station that is in use.
    #[error("ask_again_seconds is {0}: phones ask again after 10 to 3600 seconds")]
    AskAgain(u64),
    /// A lease that is none, or none any more.
    #[error("lease_days is {0}: phones may work 1 to 90 days without the station")]
    Lease(u64),
}

/// Where the station lives: table `[station]`.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationSettings {
    /// Directory of the station's database and files.
    #[arg(long, value_name = "DIR", env = "BEATBOOK_DATA")]
    pub data: Option<PathBuf>,
    /// Directory of the station's keys; never inside the data directory or its backups.
    #[arg(long, value_name = "DIR", env = "BEATBOOK_KEYS")]
    pub keys: Option<PathBuf>,
    /// Directory of kind files (*.toml) beside the built-in ones.
    #[arg(long, value_name = "DIR", env = "BEATBOOK_KINDS")]
    pub kinds: Option<PathBuf>,
    /// Least version of the app that phones are asked to have, as 1.4.0; what older ones send is taken all the same.
    #[arg(long, value_name = "VERSION", env = "BEATBOOK_APP_MIN")]
    pub app_min: Option<String>,
    /// Days that a phone may work without seeing the station, 1 to 90; then it shows no records until it does [default: 7]
    #[arg(long, value_name = "N", env = "BEATBOOK_LEASE_DAYS")]
    pub lease_days: Option<u64>,
    /// Seconds after which a phone whose app is open asks again of itself while no hint reaches it, 10 to 3600 [default: the app's own, 300]
    #[arg(long, value_name = "N", env = "BEATBOOK_ASK_AGAIN_SECONDS")]
    pub ask_again_seconds: Option<u64>,
}

/// How the station is reached: table `[http]`.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port to listen on; loopback unless told otherwise, port 0 takes any free one [default: 127.0.0.1:7450]
    #[arg(long, value_name = "ADDRESS", env = "BEATBOOK_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// File that the bound address is written to, once the station answers.
    #[arg(long, value_name = "PATH", env = "BEATBOOK_ADDRESS_FILE")]
    pub address_file: Option<PathBuf>,
    /// Connections at once; more wait in the system's queue [default: 1024]
    #[arg(long, value_name = "N", env = "BEATBOOK_CONNECTIONS_MAX")]
    pub connections_max: Option<usize>,
    /// Calls at work at once; more are told to try again later [default: 32]
    #[arg(long, value_name = "N", env = "BEATBOOK_CALLS_MAX")]
    pub calls_max: Option<usize>,
    /// Milliseconds in which a request's headers must have come [default: 10000]
    #[arg(long, value_name = "MS", env = "BEATBOOK_HEADER_MS_MAX")]
    pub header_ms_max: Option<u64>,
    /// Milliseconds that a request's body may stand still [default: 20000]
    #[arg(long, value_name = "MS", env = "BEATBOOK_IDLE_MS_MAX")]
    pub idle_ms_max: Option<u64>,
    /// Milliseconds that a whole request may take [default: 300000]
    #[arg(long, value_name = "MS", env = "BEATBOOK_REQUEST_MS_MAX")]
    pub request_ms_max: Option<u64>,
    /// Where plain HTTP is served, when the station shows no certificate: to this machine alone, or (where a proxy in front speaks TLS) to it
    #[arg(long, value_name = "WHERE", env = "BEATBOOK_PLAIN_HTTP")]
    pub plain_http: Option<PlainHttp>,
    /// Certificate and pins.
    #[command(flatten)]
    #[serde(default)]
    pub tls: TlsSettings,
}

/// What the station writes about its work: table `[log]`.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Form of the log on stderr [default: text]
    #[arg(long, value_name = "FORMAT", env = "BEATBOOK_LOG_FORMAT")]
    #[serde(rename = "format")]
    pub log_format: Option<LogFormat>,
    /// Least level that is logged [default: info]
    #[arg(long, value_name = "LEVEL", env = "BEATBOOK_LOG_LEVEL")]
    #[serde(rename = "level")]
    pub log_level: Option<LogLevel>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Faults of the station.
    Error,
    /// What an operator should look at.
    Warn,
    /// Each request.
    #[default]
    Info,
    /// What happens inside.
    Debug,
    /// Everything.
    Trace,
}

/// What flags and environment say (clap reads both, flags first).
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Settings {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "BEATBOOK_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the station lives.
    #[command(flatten)]
    pub station: StationSettings,
    /// How it is reached.
    #[command(flatten)]
    pub http: HttpSettings,
    /// How phones are let in.
    #[command(flatten)]
    pub enrolment: EnrolmentSettings,
    /// What it logs.
    #[command(flatten)]
    pub log: LogSettings,
}

/// What is in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The keys directory.
    pub keys: PathBuf,
    /// Kind files beside the built-in ones.
    pub kinds: Option<PathBuf>,
    /// Least version of the app that phones are asked to have.
    pub app_min: Option<AppVersion>,
    /// Milliseconds that a phone may work without seeing the station.
    pub lease_ms: u64,
    /// Milliseconds after which phones are to ask again of themselves; none leaves it to their apps.
    pub ask_again_ms: Option<u64>,
    /// What it keeps longer, and whether what is due goes by itself.
    pub retention: RetentionSettings,
    /// How the station is reached.
    pub http: HttpConfig,
    /// How people sign in.
    pub sign_in: SignInConfig,
    /// How phones are let in.
    pub enrolment: EnrolmentRules,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Least level that is logged.
    pub log_level: LogLevel,
}

/// How the station is reached, with every default filled in.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// File that the bound address is written to.
    pub address_file: Option<PathBuf>,
    /// Connections at once.
    pub connections_max: usize,
    /// Calls at work at once.
    pub calls_max: usize,
    /// Bytes of requests' bodies that stand in memory at once, one caller's a quarter of it; photos and recordings on their way to disk are
    /// not counted.
    pub body_bytes_max: usize,
    /// Time in which a request's headers must have come.
    pub header_max: Duration,
    /// Time that a request's body may stand still.
    pub idle_max: Duration,
    /// Time that a whole request may take: 4 MiB at 2G's worst (20 KB/s) need 200 s.
    pub request_max: Duration,
    /// After this long without a hint a stream says that it is there, and looks whether its token still holds.
    pub hint_beat: Duration,
    /// Certificate, pins, and where plain HTTP is served.
    pub tls: TlsConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7450)),
            address_file: None,
            connections_max: 1024,
            calls_max: 32,
            // Six of the longest; most are a hundredth of that.
            body_bytes_max: 24 * 1024 * 1024,
            header_max: Duration::from_secs(10),
            idle_max: Duration::from_secs(20),
            request_max: Duration::from_secs(300),
            // Under the half minute after which mobile networks begin to forget a silent connection.
            hint_beat: Duration::from_secs(20),
            tls: TlsConfig::default(),
        }
    }
}

impl Settings {
    /// Puts the file's word under these settings and fills in the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, says something unknown, or a directory is named nowhere.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => FileSettings::read(path)?,
            None => FileSettings::default(),
        };
        let (station, log) = (self.station, self.log);
        Ok(Config {
            data: station.data.or(file.station.data).ok_or(ConfigError::Missing {
                what: "the data directory",
                flag: "data",
                env: "DATA",
            })?,
            keys: station.keys.or(file.station.keys).ok_or(ConfigError::Missing {
                what: "the keys directory",
                flag: "keys",
                env: "KEYS",
            })?,
            kinds: station.kinds.or(file.station.kinds),
            app_min: phones::app_min(station.app_min.or(file.station.app_min))?,
            lease_ms: phones::lease_ms(station.lease_days.or(file.station.lease_days))?,
            ask_again_ms: phones::ask_again_ms(station.ask_again_seconds.or(file.station.ask_again_seconds))?,
            retention: file.retention,
            http: self.http.over(file.http)?,
            sign_in: file.sign_in.resolve(file.provider)?,
            enrolment: self.enrolment.over(file.enrolment)?,
            log_format: log.log_format.or(file.log.log_format).unwrap_or_default(),
            log_level: log.log_level.or(file.log.log_level).unwrap_or_default(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileSettings {
    station: StationSettings,
    http: HttpSettings,
    enrolment: EnrolmentSettings,
    log: LogSettings,
    sign_in: SignInSettings,
    provider: Option<ProviderSettings>,
    retention: RetentionSettings,
}

impl FileSettings {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|fault| ConfigError::Unreadable {
            path: path.to_owned(),
            fault,
        })?;
        toml::from_str(&text).map_err(|fault| ConfigError::File {
            path: path.to_owned(),
            line: line_of(&text, fault.span().map_or(0, |span| span.start)),
            fault: fault.message().to_owned(),
        })
    }
}

impl HttpSettings {
    fn over(self, file: Self) -> Result<HttpConfig, ConfigError> {
        let default = HttpConfig::default();
        let millis = |name, said: Option<u64>, otherwise: Duration| match said {
            Some(0) => Err(ConfigError::Zero(name)),
            Some(ms) => Ok(Duration::from_millis(ms)),
            None => Ok(otherwise),
        };
        let count = |name, said: Option<usize>, otherwise| match said {
            Some(0) => Err(ConfigError::Zero(name)),
            Some(count) => Ok(count),
            None => Ok(otherwise),
        };
        Ok(HttpConfig {
            listen: self.listen.or(file.listen).unwrap_or(default.listen),
            address_file: self.address_file.or(file.address_file),
            connections_max: count(
                "connections_max",
                self.connections_max.or(file.connections_max),
                default.connections_max,
            )?,
            calls_max: count("calls_max", self.calls_max.or(file.calls_max), default.calls_max)?,
            header_max: millis("header_ms_max", self.header_ms_max.or(file.header_ms_max), default.header_max)?,
            idle_max: millis("idle_ms_max", self.idle_ms_max.or(file.idle_ms_max), default.idle_max)?,
            request_max: millis(
                "request_ms_max",
                self.request_ms_max.or(file.request_ms_max),
                default.request_max,
            )?,
            body_bytes_max: default.body_bytes_max,
            hint_beat: default.hint_beat,
            tls: self.tls.over(file.tls, self.plain_http.or(file.plain_http))?,
        })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("station.toml");
        std::fs::write(&path, text).unwrap();
        let settings = Settings {
            config: Some(path),
            ..Settings::default()
        };
        (dir, settings)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let (_dir, mut settings) = written(
            "[station]\ndata = \"/file/data\"\nkeys = \"/file/keys\"\n[http]\nlisten = \"127.0.0.1:1\"\ncalls_max = 5\n[log]\nformat = \"json\"\n",
        );
        settings.station.data = Some("/flag/data".into());
        settings.http.listen = Some("127.0.0.1:2".parse().unwrap());
        let config = settings.resolve().unwrap();
        assert_eq!(config.data, Path::new("/flag/data"));
        assert_eq!(config.keys, Path::new("/file/keys"));
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.http.calls_max, 5);
        assert_eq!(config.http.connections_max, HttpConfig::default().connections_max);
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.log_level, LogLevel::Info);
    }

    #[test]
    fn an_unknown_key_or_table_is_refused_with_its_line() {
        for (text, line) in [
            ("[station]\ndata = \"d\"\nkesy = \"k\"\n", 3),
            ("\n[sttion]\n", 2),
            ("[http]\nlisten = \"nowhere\"\n", 2),
            ("[log]\n\nlevel = \"loud\"\n", 3),
            ("[http\n", 1),
        ] {
            let (dir, settings) = written(text);
            let fault = settings.resolve().unwrap_err().to_string();
            assert!(
                fault.starts_with(&format!("{}:{line}: ", dir.path().join("station.toml").display())),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_missing_directory_is_named_with_the_three_ways_to_say_it() {
        let fault = Settings::default().resolve().unwrap_err().to_string();
        for way in ["--data", "BEATBOOK_DATA", "[station]"] {
            assert!(fault.contains(way), "{fault}");
        }
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let mut settings = Settings::default();
        settings.station.data = Some("d".into());
        settings.station.keys = Some("k".into());
        settings.http.calls_max = Some(0);
        assert!(settings.resolve().unwrap_err().to_string().contains("calls_max"));
    }

    #[test]
    fn nothing_but_loopback_is_listened_on_unless_told_otherwise() {
        assert!(HttpConfig::default().listen.ip().is_loopback());
    }
}
