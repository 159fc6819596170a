//! Where a user's station is, and how he is enrolled there.

use std::sync::Arc;

use beatbook_client_core::Core;
use beatbook_client_core::ended::ended;
use beatbook_client_core::lock::{OpenUser, Place};
use beatbook_client_core::protocol::wire::Invitation;
use beatbook_client_core::sync::{Enrolment, is_enrolled, pins, scanned};
use beatbook_client_core::transport::{HttpTransport, Transport, Trust};

use crate::desk::Desk;
use crate::error::BeatbookError;
use crate::session::Enrolled;
use crate::work::blocking;

/// Where a station is.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct StationPlace {
    /// Its address, `https://host[:port]`; plain http goes to this machine alone.
    pub address: String,
    /// Whom to believe to be it: the text that it prints for its phones (`beatbook-trust:…`), or root certificates in PEM. Needed for https.
    pub trust: Option<String>,
}

/// How somebody is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EnrolOrder {
    /// What the chief's screen shows as a QR code: `beatbook:enrol?…`.
    pub invitation: String,
    /// Where the station is; none takes the invitation's word.
    pub address: Option<String>,
    /// As of [`StationPlace`].
    pub trust: Option<String>,
}

fn wrong(field: &str) -> BeatbookError {
    BeatbookError::InvalidInput { field: field.into() }
}

fn trust_of(text: Option<&str>) -> Result<Trust, BeatbookError> {
    let Some(text) = text else { return Ok(Trust::default()) };
    let trust = if text.trim_start().starts_with("beatbook-trust:") {
        Trust::from_text(text)
    } else {
        Trust::from_pem(text.as_bytes())
    };
    trust.map_err(|_| wrong("trust"))
}

impl StationPlace {
    /// This, when a transport can be had to it.
    pub(crate) fn checked(self) -> Result<Self, BeatbookError> {
        transport(&self, None)?;
        Ok(self)
    }
}

impl From<Place> for StationPlace {
    fn from(place: Place) -> Self {
        Self {
            address: place.address,
            trust: place.trust,
        }
    }
}

impl From<StationPlace> for Place {
    fn from(place: StationPlace) -> Self {
        Self {
            address: place.address,
            trust: place.trust,
        }
    }
}

/// The way to a station; `core` knows the keys of its certificate that it announced last.
pub(crate) fn transport(place: &StationPlace, core: Option<&Core>) -> Result<HttpTransport, BeatbookError> {
    let announced = core.map(pins).transpose()?.flatten();
    let trust = trust_of(place.trust.as_deref())?;
    if trust.is_empty() && place.address.trim_start().starts_with("https:") {
        return Err(wrong("trust"));
    }
    HttpTransport::open_trusting(&place.address, &trust.holding_to(announced), None).map_err(|_| wrong("address"))
}

/// Keeps where a user's station is. A text of trust that is another than before was scanned: it takes the place of what the station announced.
pub(crate) fn remember(user: &OpenUser, place: StationPlace) -> Result<(), BeatbookError> {
    let before = user.place()?.and_then(|before| before.trust);
    if place.trust.is_some() && place.trust != before {
        scanned(user.core_for_contact(), &trust_of(place.trust.as_deref())?)?;
    }
    Ok(user.set_place(place.into())?)
}

pub(crate) async fn enrol(desk: &Arc<Desk>, order: EnrolOrder) -> Result<Enrolled, BeatbookError> {
    let invitation = Invitation::parse(&order.invitation).map_err(|_| wrong("invitation"))?;
    let address = order
        .address
        .or_else(|| invitation.address.clone())
        .ok_or_else(|| wrong("address"))?;
    let place = StationPlace {
        address,
        trust: order.trust,
    };
    // A code that was scanned anew is a person's word on whom to believe: what was announced before does not stand in its way.
    let transport = transport(&place, None)?;
    let (device, known) = (desk.device.clone(), place.clone());
    let enrolment = desk
        .work_as_user(move |user| {
            // Before the code is spent: a phone that dies after that still knows where to go on. One that has a station keeps to it until
            // another has taken it in: whoever showed the code may be nobody's station.
            let core = user.core_for_contact();
            if ended(core)?.is_none() && !is_enrolled(core)? {
                remember(user, known)?;
            }
            Ok(Enrolment::begin_by(
                user.core_for_contact(),
                &user.keys(),
                &invitation,
                &device,
                None,
            )?)
        })
        .await?;
    let outcome = transport.send(enrolment.request()).await;
    let held = desk.hold().await?;
    blocking(move || {
        let user = held.user()?;
        let enrolled = enrolment.finish(user.core_for_contact(), outcome)?;
        remember(user, place)?;
        user.contact()?;
        Ok(Enrolled {
            station: enrolled.station,
            user_name: enrolled.user_name,
            roles: enrolled.roles,
            check_digits: enrolled.check_digits,
            awaits: enrolled.awaits,
        })
    })
    .await
}
