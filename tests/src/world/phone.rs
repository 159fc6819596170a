//! A phone of a world: a real core over a real file, which may be closed, killed and brought back, full, or set to another time. What its
//! officer does is `officer`'s business.

use std::fs;
use std::path::{Path, PathBuf};

use beatbook_client_core::ended::{Farewell, KeysInFile, LastWord, ended, shred};
use beatbook_client_core::{Core, OpenOptions};
use beatbook_protocol::id::UserId;

use super::device::{Device, copy_files, unless_killed};
use super::look::PhoneLook;
use super::sync::Whose;
use super::{Broken, broken};
use crate::seeded::Seeded;

/// The name of a phone's file in its folder.
pub const FILE: &str = "book.db";
/// Steps of one call within which a fuse ends.
const FUSE_STEPS: u64 = 12;

/// One phone.
#[derive(Debug)]
pub struct PhoneSide {
    /// What it is called in the trace.
    pub name: String,
    /// Whose it is.
    pub user: UserId,
    /// The code it is to be enrolled by, while it is not.
    pub code: Option<String>,
    /// Whether it has parted with its book, and nobody has given it a code yet.
    pub needs_code: bool,
    /// Its device.
    pub device: Device,
    dir: PathBuf,
    life: u32,
    core: Option<Core>,
    look: Option<PhoneLook>,
    copy_of: Option<UserId>,
    pages_max: Option<u32>,
}

impl PhoneSide {
    /// A phone whose file is in the first life's folder of `dir`, or will be.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(dir: &Path, name: String, user: UserId, device: Device) -> Result<Self, Broken> {
        fs::create_dir_all(dir.join("0")).map_err(|fault| broken(fault.to_string()))?;
        let mut phone = Self {
            name,
            user,
            code: None,
            needs_code: false,
            device,
            dir: dir.to_owned(),
            life: 0,
            core: None,
            look: None,
            copy_of: None,
            pages_max: None,
        };
        phone.start()?;
        Ok(phone)
    }

    fn folder(&self, life: u32) -> PathBuf {
        self.dir.join(life.to_string())
    }

    /// Starts the app, unless it runs.
    ///
    /// # Errors
    /// When the file does not open, or was set aside.
    pub fn start(&mut self) -> Result<(), Broken> {
        if self.core.is_some() {
            return Ok(());
        }
        let path = self.folder(self.life).join(FILE);
        let options = OpenOptions {
            key: None,
            pages_max: self.pages_max,
        };
        self.device.boot();
        let opened = match Core::open(&path, options, self.device.platform()) {
            // A new version of the app may need room to open: the officer makes some.
            Err(beatbook_client_core::CoreError::StorageFull) if self.pages_max.is_some() => {
                self.pages_max = None;
                Core::open(&path, OpenOptions::default(), self.device.platform())
            }
            opened => opened,
        };
        let opened = opened.map_err(|fault| broken(format!("{}: the file does not open: {fault}", self.name)))?;
        if let Some(damaged) = opened.recovered {
            return Err(broken(format!("{}: the file was set aside as {damaged:?}", self.name)));
        }
        self.core = Some(opened.core);
        self.look = Some(PhoneLook::open(&path)?);
        Ok(())
    }

    /// The core.
    ///
    /// # Errors
    /// When the app does not run.
    pub fn core(&self) -> Result<&Core, Broken> {
        self.core
            .as_ref()
            .ok_or_else(|| broken(format!("{}: the app does not run", self.name)))
    }

    /// A look into its file.
    ///
    /// # Errors
    /// When the app does not run.
    pub fn look(&self) -> Result<&PhoneLook, Broken> {
        self.look
            .as_ref()
            .ok_or_else(|| broken(format!("{}: the app does not run", self.name)))
    }

    /// Whether its disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pages_max.is_some()
    }

    /// Whose it is, and on what it runs, for who has its core in hand.
    #[must_use]
    pub fn whose(&self) -> Whose {
        Whose {
            user: self.user,
            device: self.device.clone(),
            is_full: self.is_full(),
        }
    }

    /// Closes the app in good order.
    pub fn close(&mut self) {
        self.look = None;
        self.core = None;
    }

    /// Whether it has its book, and its officer can write.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_enrolled(&self) -> Result<bool, Broken> {
        beatbook_client_core::sync::is_enrolled(self.core()?).map_err(|fault| broken(format!("{}: {fault}", self.name)))
    }

    /// Whether it is to be enrolled first.
    #[must_use]
    pub fn has_no_book(&self) -> bool {
        self.code.is_some() || self.needs_code
    }

    /// Whether it has heard that its book ended, and is to part with it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_ended(&self) -> Result<bool, Broken> {
        let heard = ended(self.core()?).map_err(|fault| broken(format!("{}: {fault}", self.name)))?;
        Ok(heard.is_some())
    }

    /// Whether its book has ended, and a restored station does not know it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_unknown(&self) -> Result<bool, Broken> {
        let heard = ended(self.core()?).map_err(|fault| broken(format!("{}: {fault}", self.name)))?;
        Ok(heard.is_some_and(|end| end.is_unknown))
    }

    /// Destroys what it holds, after its last word.
    ///
    /// # Errors
    /// When something is left of it but the note.
    pub fn shred(&mut self, word: LastWord) -> Result<Farewell, Broken> {
        self.look = None;
        let core = self.core.take().ok_or_else(|| broken("the app does not run"))?;
        let farewell = shred(core, word, &KeysInFile).map_err(|fault| broken(format!("{}: {fault}", self.name)))?;
        for file in fs::read_dir(self.folder(self.life))? {
            let file = file?.file_name();
            if !file.to_string_lossy().ends_with(".ended") {
                return Err(broken(format!("{}: {} was left behind", self.name, file.display())));
            }
        }
        Ok(farewell)
    }

    /// Begins an empty file, when the last one was destroyed: it is to be enrolled.
    ///
    /// # Errors
    /// When it does not open.
    pub fn begin_empty(&mut self, empty: &Path) -> Result<(), Broken> {
        self.begin_life()?;
        copy_files(empty, &self.folder(self.life))?;
        self.needs_code = true;
        self.pages_max = None;
        self.start()
    }

    /// Kills the app between two calls.
    ///
    /// # Errors
    /// When its files cannot be copied.
    pub fn kill(&mut self) -> Result<(), Broken> {
        copy_files(&self.folder(self.life), &self.folder(self.life + 1)).map_err(|fault| broken(fault.to_string()))?;
        self.begin_life()
    }

    fn begin_life(&mut self) -> Result<(), Broken> {
        self.close();
        fs::remove_dir_all(self.folder(self.life)).map_err(|fault| broken(fault.to_string()))?;
        self.life += 1;
        Ok(())
    }

    /// Keeps a copy of its file as it is now, as a phone's own backup does; an older one is given up.
    ///
    /// # Errors
    /// When its files cannot be copied.
    pub fn keep_copy(&mut self) -> Result<(), Broken> {
        if self.has_no_book() {
            return Ok(());
        }
        self.copy_of = Some(self.user);
        let to = self.dir.join("copy");
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        Ok(copy_files(&self.folder(self.life), &to)?)
    }

    /// Goes back to the copy that was kept. Says whether there is one.
    ///
    /// # Errors
    /// When it does not open.
    pub fn go_back(&mut self) -> Result<bool, Broken> {
        let from = self.dir.join("copy");
        let Some(user) = self.copy_of else {
            return Ok(false);
        };
        (self.user, self.code, self.needs_code) = (user, None, false);
        copy_files(&from, &self.folder(self.life + 1))?;
        self.begin_life()?;
        self.start()?;
        Ok(true)
    }

    /// Copies its file, as it is now, to where another phone begins.
    ///
    /// # Errors
    /// When its files cannot be copied.
    pub fn clone_to(&self, dir: &Path) -> Result<(), Broken> {
        Ok(copy_files(&self.folder(self.life), &dir.join("0"))?)
    }

    /// Fills its disk up to some pages from now, or frees it. The app is closed meanwhile.
    ///
    /// # Errors
    /// When the file cannot be looked into, or does not open.
    pub fn fill_disk(&mut self, room: Option<u32>) -> Result<(), Broken> {
        self.pages_max = match room {
            Some(room) => Some(self.look()?.pages()? + room),
            None => None,
        };
        self.close();
        self.start()
    }

    /// Loses its token while the app is closed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn lose_token(&mut self) -> Result<(), Broken> {
        self.close();
        PhoneLook::open(&self.folder(self.life).join(FILE))?.lose_token()?;
        self.start()
    }

    /// Lights the fuse with so many chances in a thousand.
    pub fn endanger(&self, draw: &mut Seeded, chances: u64) {
        if draw.below(1000) < chances {
            let steps = 1 + u32::try_from(draw.below(FUSE_STEPS)).unwrap_or(0);
            let copies = vec![(self.folder(self.life), self.folder(self.life + 1))];
            self.device.fuse.light(steps, copies);
        }
    }

    /// Runs work on the core. None when the phone's fuse ended it: the app is then started anew from what was on the disk.
    ///
    /// # Errors
    /// When the file does not open again.
    pub fn unless_killed<T>(&mut self, work: impl FnOnce(&Core) -> T) -> Result<Option<T>, Broken> {
        self.start()?;
        let core = self.core()?;
        let done = unless_killed(|| work(core));
        self.device.fuse.put_out();
        match done {
            Ok(done) => Ok(Some(done)),
            Err(_) => {
                self.begin_life()?;
                self.start()?;
                Ok(None)
            }
        }
    }
}
