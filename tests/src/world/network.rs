//! The line between phones and station: it loses, doubles, delays, cuts and mangles messages as a seed decides. Knows what a message is
//! made of only to mangle one page of it.

use std::collections::VecDeque;

use beatbook_client_core::transport::{Outcome, OutgoingRequest, TransportFault};
use beatbook_protocol::wire::{self, ExchangeRequest, Refusal, RefusalCode};

use super::station::{Served, StationSide};
use super::trace::Trace;
use crate::seeded::Seeded;

/// How often the line does what, in chances of a thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    lost: u64,
    reply_lost: u64,
    doubled: u64,
    delayed: u64,
    request_cut: u64,
    reply_cut: u64,
    mangled: u64,
    busy: u64,
}

impl Faults {
    /// The faults of one world; one in four has a sound line.
    pub fn of(draw: &mut Seeded) -> Self {
        let much = draw.below(4);
        let mut often = |most: u64| draw.below(most + 1) * much / 3;
        Self {
            lost: often(150),
            reply_lost: often(200),
            doubled: often(150),
            delayed: often(200),
            request_cut: often(40),
            reply_cut: often(60),
            mangled: often(60),
            busy: often(60),
        }
    }
}

/// Requests under way at most; older ones are lost.
const UNDER_WAY_MAX: usize = 8;

/// The line of one world.
#[derive(Debug)]
pub struct Line {
    /// What it does.
    pub faults: Faults,
    under_way: VecDeque<OutgoingRequest>,
}

impl Line {
    /// A line with these faults.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            under_way: VecDeque::new(),
        }
    }

    /// Carries one request and what comes of it. Tells whether the answer came as the station gave it.
    pub fn carry(
        &mut self,
        draw: &mut Seeded,
        trace: &mut Trace,
        station: &mut StationSide,
        request: &OutgoingRequest,
    ) -> (Outcome, bool) {
        let faults = self.faults;
        let mut happens = |chances: u64| draw.below(1000) < chances;
        if happens(faults.delayed) {
            trace.say(format_args!("  line: a copy goes the long way"));
            self.under_way.push_back(request.clone());
            if self.under_way.len() > UNDER_WAY_MAX {
                self.under_way.pop_front();
            }
        }
        if happens(faults.lost) {
            trace.say(format_args!("  line: request lost"));
            return (Outcome::Failed(TransportFault::Unreachable("no line".into())), false);
        }
        if happens(faults.busy) {
            return (busy(draw, trace), false);
        }
        let mut happens = |chances: u64| draw.below(1000) < chances;
        let (cut, mangled, doubled) = (happens(faults.request_cut), happens(faults.mangled), happens(faults.doubled));
        let (reply_lost, reply_cut) = (happens(faults.reply_lost), happens(faults.reply_cut));
        let mut sent = request.clone();
        let mut sound = true;
        if cut {
            let left = usize::try_from(draw.below(sent.body.len() as u64)).unwrap_or(0);
            trace.say(format_args!("  line: request cut to {left} bytes"));
            sent.body.truncate(left);
            sound = false;
        } else if mangled && let Some(body) = mangle(draw, &sent.body) {
            trace.say(format_args!("  line: a page is mangled"));
            sent.body = body;
            sound = false;
        }
        let mut served = station.serve(draw, trace, &sent);
        if doubled {
            trace.say(format_args!("  line: request doubled"));
            let second = station.serve(draw, trace, &sent);
            if draw.below(2) == 0 {
                served = second;
            }
        }
        match served {
            Served::Gone => (Outcome::Failed(TransportFault::Broken("the station is gone".into())), false),
            Served::Reply(_) | Served::Refused { .. } if reply_lost => {
                trace.say(format_args!("  line: reply lost"));
                (Outcome::Failed(TransportFault::TimedOut), false)
            }
            Served::Reply(mut bytes) => {
                if reply_cut {
                    let left = usize::try_from(draw.below(bytes.len() as u64)).unwrap_or(0);
                    trace.say(format_args!("  line: reply cut to {left} bytes"));
                    bytes.truncate(left);
                    sound = false;
                }
                (Outcome::Reply(bytes), sound)
            }
            Served::Refused { status, bytes } => (Outcome::Refused { status, bytes }, sound),
        }
    }

    /// Lets one request arrive that was under way for long; nobody waits for the answer any more.
    pub fn let_arrive(&mut self, draw: &mut Seeded, trace: &mut Trace, station: &mut StationSide) {
        let place = usize::try_from(draw.below(self.under_way.len() as u64)).unwrap_or(0);
        if let Some(request) = self.under_way.remove(place) {
            trace.say(format_args!("  line: an old request arrives"));
            let _ = station.serve(draw, trace, &request);
        }
    }

    /// Whether a request is under way.
    #[must_use]
    pub fn holds_one(&self) -> bool {
        !self.under_way.is_empty()
    }
}

/// A proxy that is busy, or the station itself, which says when to come again.
fn busy(draw: &mut Seeded, trace: &mut Trace) -> Outcome {
    let code = RefusalCode::TryLater;
    let bytes = if draw.below(2) == 0 {
        trace.say(format_args!("  line: a proxy is busy"));
        b"<html>busy</html>".to_vec()
    } else {
        let retry_after_ms = 500 + draw.below(20_000);
        trace.say(format_args!("  station: busy for {retry_after_ms} ms"));
        wire::pack(&Refusal {
            retry_after_ms: Some(retry_after_ms),
            ..Refusal::new(&code, "busy")
        })
        .unwrap_or_default()
    };
    let status = code.http_status();
    Outcome::Refused { status, bytes }
}

/// The request with one byte of one page changed; none when it holds no page.
fn mangle(draw: &mut Seeded, packed: &[u8]) -> Option<Vec<u8>> {
    let bytes = wire::unpack(packed).ok()?;
    let mut request: ExchangeRequest = wire::read("request", &bytes).ok()?;
    let page = usize::try_from(draw.below(request.pages.len() as u64)).ok()?;
    let page = request.pages.get_mut(page)?;
    let target: &mut [u8] = match draw.below(3) {
        0 => &mut page.seed,
        1 => &mut page.signature,
        _ => page.entries.last_mut()?.as_mut_slice(),
    };
    let place = usize::try_from(draw.below(target.len() as u64)).ok()?;
    *target.get_mut(place)? ^= 1 << draw.below(8);
    wire::pack(&request).ok()
}
