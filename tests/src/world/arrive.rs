//! Phones that come into a world, or into a new book: enrolled by a code of the desk, or begun as a copy of another one.

use super::device::copy_files;
use super::phone::PhoneSide;
use super::run::{World, phone_device, way};
use super::sync::Enrolling;
use super::template::phone_folder;
use super::{Broken, broken};

/// Phones at most.
const PHONES_MAX: usize = 6;

impl World {
    /// A phone without a book asks for one with its code; it gets a code first if it has none, and another where that was used up.
    pub(super) fn enrol(&mut self, at: usize) -> Result<(), Broken> {
        let Self {
            draw,
            trace,
            station,
            phones,
            line,
            time,
            ..
        } = self;
        let phone = phones.get_mut(at).ok_or_else(|| broken("no such phone"))?;
        let Some(code) = phone.code.clone() else {
            phone.device.fuse.put_out();
            if let Some((user, code)) = station.code(draw, trace, Some(phone.user))? {
                (phone.user, phone.code, phone.needs_code) = (user, Some(code), false);
            }
            return Ok(());
        };
        let whose = phone.whose();
        let mut way = way(line, station, draw, trace, time);
        let came = phone
            .unless_killed(|core| way.enrol(core, &code, whose.is_full))?
            .transpose()?;
        trace.say(format_args!("  {}: enrolling, {came:?}", phone.name));
        match came {
            Some(Enrolling::Done) => phone.code = None,
            Some(Enrolling::NewCode) => {
                if let Some((user, code)) = station.code(draw, trace, Some(phone.user))? {
                    (phone.user, phone.code) = (user, Some(code));
                }
            }
            Some(Enrolling::Again) | None => {}
        }
        Ok(())
    }

    /// A new phone of the same person, or of another one, with nothing in it but the code it will enrol with.
    pub(super) fn enrol_one_more(&mut self, at: usize) -> Result<(), Broken> {
        if self.phones.len() >= PHONES_MAX || !self.station.is_open() {
            return Ok(());
        }
        let owner = self
            .phones
            .get(at)
            .map(|phone| phone.user)
            .filter(|_| self.draw.below(2) == 0);
        let Some((user, code)) = self.station.code(&mut self.draw, &mut self.trace, owner)? else {
            return Ok(());
        };
        let number = self.phones.len();
        let device = phone_device(&self.time, self.seed, number, &mut self.draw);
        let folder = phone_folder(&self.dir, number);
        copy_files(&self.empty, &folder.join("0"))?;
        let mut phone = PhoneSide::open(&folder, format!("phone {number}"), user, device)?;
        phone.code = Some(code);
        self.phones.push(phone);
        Ok(())
    }

    /// A second phone begins with all files of the first, its book among them: one of both has to notice.
    pub(super) fn clone_phone(&mut self, at: usize) -> Result<(), Broken> {
        let number = self.phones.len();
        let first = self.phones.get(at).ok_or_else(|| broken("no such phone"))?;
        if number >= PHONES_MAX || first.has_no_book() {
            return Ok(());
        }
        let (folder, user) = (phone_folder(&self.dir, number), first.user);
        first.clone_to(&folder)?;
        let device = phone_device(&self.time, self.seed, number, &mut self.draw);
        let phone = PhoneSide::open(&folder, format!("phone {number}"), user, device)?;
        self.model.phone_began_anew(number, phone.look()?)?;
        self.phones.push(phone);
        Ok(())
    }
}
