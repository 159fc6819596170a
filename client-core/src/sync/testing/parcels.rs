//! The station of the tests as it takes in parcels.

use beatbook_protocol::page::BookPublicKey;
use beatbook_protocol::parcel::{Answer, AnswerContent, Parcel, ParcelFault, SealingPublicKey, parcel_hash};
use beatbook_protocol::time::UnixMillis;
use beatbook_protocol::wire::{
    self, DeliverRequest, DeliverResponse, PageAnswer, Receipt, Refusal, RefusalCode, SealingOffer, WIRE_VERSION,
};

use super::Phone;
use super::station::{Station, refuse};
use crate::store::sync_state;
use crate::sync::{KeyVault as _, StoreVault};
use crate::transport::{Outcome, OutgoingRequest};

impl Station {
    pub(super) fn offer(&self) -> Option<SealingOffer> {
        let offer = SealingOffer::sign(&self.sealing.public_key(), "beatbook/test", &self.key);
        self.tells_sealing_key.then_some(offer)
    }

    /// From now on it hears this phone, which was enrolled before another: it knows one book at a time.
    pub(crate) fn turn_to(&mut self, phone: &Phone) {
        let own = phone.core.read(sync_state::own_book).unwrap().unwrap();
        let key = StoreVault(&phone.core).load(&own.key_handle).unwrap().public_key();
        self.book = Some((own.book, key));
    }

    /// The key of the book that is enrolled here.
    pub(crate) fn book_key(&self) -> BookPublicKey {
        self.book.unwrap().1
    }

    /// Takes in a parcel of the book that is enrolled here, whoever brings it.
    pub(crate) fn deliver(&mut self, request: &OutgoingRequest) -> Outcome {
        let request: DeliverRequest = wire::read("delivery", &wire::unpack(&request.body).unwrap()).unwrap();
        let refused = |fault: ParcelFault| refuse(&Refusal::new(&RefusalCode::Other(fault.code().into()), fault.to_string()));
        let opened = Parcel::parse(&request.parcel).and_then(|parcel| parcel.open("beatbook/test", &self.sealing));
        let content = match opened.and_then(|opened| opened.verify(&self.book_key())) {
            Ok(content) => content,
            Err(fault) => return refused(fault),
        };
        let first = content.pages[0].header().unwrap();
        let known = self.pages();
        let tip = self
            .leaves
            .iter()
            .rev()
            .filter_map(|leaf| leaf.tip)
            .find(|tip| tip.incarnation == first.incarnation);
        let is_known = known.contains(&beatbook_protocol::page::header_hash(&content.pages[0].header));
        if !is_known && first.sequence > tip.map_or(0, |tip| tip.next) {
            return refused(ParcelFault::Early);
        }
        let answers: Vec<PageAnswer> = content.pages.into_iter().map(|page| self.take_in(page)).collect();
        let said = AnswerContent {
            parcel: parcel_hash(&request.parcel),
            server_time: UnixMillis(0),
            receipt: Receipt::sign(wire::receipt_root(&answers, &[], &[]), &self.key),
            answers,
            checkpoint: self.checkpoint(),
            backed_up_to: self.backed_up_to,
            blobs: None,
        };
        let to = SealingPublicKey::from_bytes(content.answer_key);
        let answer = Answer::seal(&said, "beatbook/test", &self.key, &to, &[3; 32]).unwrap();
        let reply = DeliverResponse {
            version: WIRE_VERSION,
            answer,
        };
        Outcome::Reply(wire::pack(&reply).unwrap())
    }
}
