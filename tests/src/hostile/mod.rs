//! Hostile phones: requests that an enrolled phone of somebody malicious could send, as bytes through the station's own door. The scenario asks
//! whether each gets a clear answer and the station goes on; the benchmark, what each costs the station.
//!
//! Real phones never make any of this: [`phone::HandPhone`] writes pages by hand, with the protocol's own types.

mod bytes;
mod greedy;
mod hazards;
#[cfg(test)]
mod limits;
mod phone;

use std::path::Path;

use beatbook_protocol::id::UnitId;
use beatbook_protocol::wire::{self, PageAnswer, Verdict};
use beatbook_protocol::wire::{ExchangeResponse, MEDIA_TYPE, Refusal, verdict_of};
pub use greedy::greedy;
pub use hazards::{AT_THE_LIMIT, Hazard, hazards};
pub use phone::HandPhone;

use crate::bench::BenchError;
use crate::day::chief;
use crate::station::{Chief, Places, StationProcess};

/// One request.
#[derive(Debug, Clone)]
pub struct Shot {
    /// Path.
    pub path: &'static str,
    /// The body, as it is sent.
    pub body: Vec<u8>,
}

/// A station with two phones, of which one is hostile.
#[derive(Debug)]
pub struct Scene {
    /// The process.
    pub station: StationProcess,
    /// The hostile phone.
    pub phone: HandPhone,
    /// A phone of somebody else, whom it would harm.
    pub other: HandPhone,
    /// The unit of both.
    pub unit: UnitId,
    desk: Chief,
    http: reqwest::Client,
}

/// Replies that bring all there is to a phone, at most.
const CATCHES_UP_IN: usize = 100;

/// What the station said to one request: codes, in order, each once where it repeats; then whether it brought records, and buckets.
pub type Said = Vec<String>;

impl Scene {
    /// A new station under a directory.
    ///
    /// # Errors
    /// When it does not start, or does not enrol.
    pub async fn open(root: &Path) -> Result<Self, BenchError> {
        let places = Places::under(root);
        let token = StationProcess::init(&places)?;
        let station = StationProcess::serve(&places, "127.0.0.1:0")?;
        let desk = Chief::new(station.url(), &token)?;
        // Pages by the thousand take seconds to make, and a station hangs up on a connection that says nothing.
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .pool_max_idle_per_host(0);
        let http = http.build()?;
        let phone = enrolled(&desk, &http, station.url(), "恶意").await?;
        let other = enrolled(&desk, &http, station.url(), "无辜").await?;
        let unit = phone.unit();
        Ok(Self {
            station,
            phone,
            other,
            unit,
            desk,
            http,
        })
    }

    /// Sends a request of the hostile phone and says what the station said.
    ///
    /// # Errors
    /// When there is no answer, or none that can be read.
    pub async fn shoot(&mut self, shot: Shot) -> Result<Said, BenchError> {
        let token = self.phone.token().to_owned();
        let (status, body) = send(&self.http, self.station.url(), shot.path, Some(&token), shot.body).await?;
        said(status, &body)
    }

    /// Fetches all that the hostile phone may have, so that it can ask for what only such a phone is told.
    ///
    /// # Errors
    /// When the station does not send it.
    pub async fn catch_up(&mut self) -> Result<(), BenchError> {
        for _ in 0..CATCHES_UP_IN {
            let shot = self.phone.ask(self.phone.cursor.clone(), |_| {})?;
            let answer = send(&self.http, self.station.url(), shot.path, Some(self.phone.token()), shot.body).await?;
            let (_, reply) = read(answer.0, &answer.1)?;
            let reply = reply.ok_or_else(|| BenchError::Wrong("the station sends nothing".into()))?;
            self.phone.cursor = Some(reply.cursor);
            if reply.more != Some(true) {
                return Ok(());
            }
        }
        Err(BenchError::Wrong("the station has always more".into()))
    }

    /// The same from the other phone.
    ///
    /// # Errors
    /// When there is no answer, or none that can be read.
    pub async fn shoot_as_other(&mut self, shot: Shot) -> Result<Said, BenchError> {
        let token = self.other.token().to_owned();
        let (status, body) = send(&self.http, self.station.url(), shot.path, Some(&token), shot.body).await?;
        said(status, &body)
    }

    /// Sends a request so many times at once: in turn under the token of either phone, and under none.
    ///
    /// # Errors
    /// When one gets no answer, or none that can be read.
    pub async fn shoot_together(&self, shot: &Shot, times: usize) -> Result<Vec<Said>, BenchError> {
        let tokens = [Some(self.phone.token()), Some(self.other.token()), None].map(|token| token.map(str::to_owned));
        let mut under_way = tokio::task::JoinSet::new();
        for token in tokens.into_iter().cycle().take(times) {
            let (http, url, shot) = (self.http.clone(), self.station.url().to_owned(), shot.clone());
            under_way.spawn(async move { send(&http, &url, shot.path, token.as_deref(), shot.body).await });
        }
        let mut all = Vec::with_capacity(times);
        while let Some(answer) = under_way.join_next().await {
            let (status, body) = answer.map_err(|fault| BenchError::Wrong(fault.to_string()))??;
            all.push(said(status, &body)?);
        }
        Ok(all)
    }

    /// As many more phones ask for everything at once; how many of them were sent away for now.
    ///
    /// # Errors
    /// When one is not enrolled, or gets neither records nor `try_later`.
    pub async fn crowd(&self, phones: usize) -> Result<usize, BenchError> {
        let mut under_way = tokio::task::JoinSet::new();
        let mut all = Vec::with_capacity(phones);
        for number in 0..phones {
            all.push(enrolled(&self.desk, &self.http, self.station.url(), &format!("一伙{number}")).await?);
        }
        for phone in all {
            let (http, url, shot) = (self.http.clone(), self.station.url().to_owned(), phone.ask(None, |_| {})?);
            under_way.spawn(async move { send(&http, &url, shot.path, Some(phone.token()), shot.body).await });
        }
        let mut later = 0;
        while let Some(answer) = under_way.join_next().await {
            let (status, body) = answer.map_err(|fault| BenchError::Wrong(fault.to_string()))??;
            match said(status, &body)?.as_slice() {
                [one] if one == "records" => {}
                [one] if one == "try_later" => later += 1,
                other => return Err(BenchError::Wrong(format!("in the crowd the station said {other:?}"))),
            }
        }
        Ok(later)
    }

    /// Where the ledger ends.
    ///
    /// # Errors
    /// When the station does not say.
    pub async fn ledger(&self) -> Result<String, BenchError> {
        Ok(self.desk.get("/api/v1/status").await?["ledger"].to_string())
    }
}

async fn enrolled(desk: &Chief, http: &reqwest::Client, url: &str, name: &str) -> Result<HandPhone, BenchError> {
    let code = chief::register(desk, name, "officer").await?;
    let (phone, request) = HandPhone::begin(&code)?;
    let (status, body) = send(http, url, "/sync/v1/enrol", None, request).await?;
    if status != 200 {
        return Err(BenchError::Wrong(format!("enrolment: {status}")));
    }
    phone.enrolled(&body)
}

async fn send(
    http: &reqwest::Client,
    url: &str,
    path: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), BenchError> {
    let mut request = http
        .post(format!("{url}{path}"))
        .header("content-type", MEDIA_TYPE)
        .body(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, response.bytes().await?.to_vec()))
}

fn said(status: u16, body: &[u8]) -> Result<Said, BenchError> {
    read(status, body).map(|(said, _)| said)
}

fn read(status: u16, body: &[u8]) -> Result<(Said, Option<ExchangeResponse>), BenchError> {
    let wrong = |fault: &dyn std::fmt::Display| BenchError::Wrong(format!("status {status}, and {fault}"));
    let bytes = wire::unpack(body).map_err(|fault| wrong(&fault))?;
    if status != 200 {
        let refusal: Refusal = wire::read("refusal", &bytes).map_err(|fault| wrong(&fault))?;
        if refusal.text.is_empty() {
            return Err(wrong(&"a refusal without words"));
        }
        return Ok((vec![refusal.code], None));
    }
    let reply: ExchangeResponse = wire::read("reply", &bytes).map_err(|fault| wrong(&fault))?;
    let mut said: Said = reply.answers.iter().flat_map(words).collect();
    said.dedup();
    let brings = |what: &str, is_there: bool| is_there.then(|| what.to_owned());
    said.extend(brings("records", !reply.feed.is_empty() || reply.fill.is_some()));
    said.extend(brings("buckets", reply.buckets.is_some()));
    Ok((said, Some(reply)))
}

fn words(answer: &PageAnswer) -> Vec<String> {
    if let Some(fault) = &answer.fault {
        return vec![fault.clone()];
    }
    let verdicts = (0..).map_while(|position| verdict_of(&answer.verdicts, position));
    verdicts
        .map(|verdict| match verdict {
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Duplicate => "duplicate".to_owned(),
            Verdict::Refused { code, .. } => code,
            Verdict::Needs { .. } => "needs".to_owned(),
            Verdict::Offered => "offered".to_owned(),
            Verdict::Other(code) => format!("verdict {code}"),
        })
        .collect()
}
