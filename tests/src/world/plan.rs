//! What may happen in a world and how often: a seed draws its own mixture, so that some worlds are busy, some broken, some both. Does
//! nothing itself.

use super::device::sequence;
use super::network::Faults;
use crate::seeded::Seeded;

/// One thing that may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// An officer opens a record, at once or by a draft, and may hand it in.
    Open,
    /// An officer changes a record, his own or another's.
    Edit,
    /// An officer does an act that is open to him.
    Act,
    /// The next step of a patrol: start, fixes, pause, resume, end.
    Patrol,
    /// An officer settles a conflict.
    Settle,
    /// An officer takes up a refused entry again, or dismisses it.
    TakeUp,
    /// A phone syncs.
    Sync,
    /// A phone's process is killed between two calls.
    KillPhone,
    /// A phone's app is closed and opened in good order.
    ClosePhone,
    /// A phone's disk is full, or free again.
    PhoneDisk,
    /// A phone's clock is set.
    SetClock,
    /// A phone loses its token.
    LoseToken,
    /// A new phone of somebody is enrolled.
    Enrol,
    /// The station is killed, or comes back.
    KillStation,
    /// The chief does an act.
    ChiefActs,
    /// The chief settles a conflict.
    ChiefSettles,
    /// The station is backed up.
    Backup,
    /// The station comes back with a kind raised to a new version.
    RaiseKind,
    /// A request that was under way for long arrives.
    Stray,
    /// Hours or days pass.
    Pass,
    /// A phone goes back to an older copy of its file.
    RestorePhone,
    /// A second phone goes on from a copy of a first one's file.
    ClonePhone,
    /// The station is restored from a backup.
    RestoreStation,
    /// Somebody is moved to another unit, or a unit below another.
    MoveUser,
    /// A record is assigned to or shared with somebody or a unit, or that ends.
    Grant,
    /// Somebody is to work in another unit for a time, or that ends.
    Membership,
    /// A record is destroyed by order, or its private document alone.
    Destroy,
    /// A phone's book ends: it hands in what waits, parts with what it has, and is enrolled anew.
    EndBook,
    /// The chief admits or refuses what came after its book had ended.
    Decide,
}

/// Every deed, how often it happens in an ordinary world, and, while the project cannot do it yet, why it is switched off.
pub const DEEDS: &[(Deed, u64, Option<&str>)] = &[
    (Deed::Open, 12, None),
    (Deed::Edit, 14, None),
    (Deed::Act, 12, None),
    (Deed::Patrol, 6, None),
    (Deed::Settle, 3, None),
    (Deed::TakeUp, 2, None),
    (Deed::Sync, 22, None),
    (Deed::KillPhone, 3, None),
    (Deed::ClosePhone, 1, None),
    (Deed::PhoneDisk, 2, None),
    (Deed::SetClock, 1, None),
    (Deed::LoseToken, 1, None),
    (Deed::Enrol, 1, None),
    (Deed::KillStation, 2, None),
    (Deed::ChiefActs, 8, None),
    (Deed::ChiefSettles, 2, None),
    (Deed::Backup, 2, None),
    (Deed::RaiseKind, 1, None),
    (Deed::Stray, 4, None),
    (Deed::Pass, 4, None),
    (Deed::RestorePhone, 4, None),
    (Deed::ClonePhone, 2, None),
    (Deed::RestoreStation, 2, None),
    (Deed::MoveUser, 5, None),
    (Deed::Grant, 4, None),
    (Deed::Membership, 5, None),
    (Deed::Destroy, 3, None),
    (Deed::EndBook, 2, None),
    (Deed::Decide, 2, None),
];

/// Every so many seeds, one runs twice.
const TWICE: u64 = 100;

/// How one world goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Deeds before the healing.
    pub deeds: u32,
    /// Phones at the beginning.
    pub phones: usize,
    weights: Vec<(Deed, u64)>,
    /// What the network does.
    pub faults: Faults,
    /// Chances in a thousand that a phone is killed within a deed.
    pub phone_fuse: u64,
    /// Chances in a thousand that the station is killed within a call.
    pub station_fuse: u64,
    /// Whether the projections are folded anew at the end.
    pub rebuilds: bool,
    /// Whether the seed runs twice, and both stories must be one.
    pub runs_twice: bool,
}

impl Plan {
    /// The plan that a seed decides.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut draw = sequence(seed, "plan");
        let weights = DEEDS
            .iter()
            .filter(|(_, _, off)| off.is_none())
            .map(|(deed, usual, _)| {
                // Work and syncs happen in every world; of everything else some worlds see nothing and some see much.
                let always = matches!(deed, Deed::Open | Deed::Sync);
                let times = [0, 1, 1, 2, 4].get(usize::try_from(draw.below(5)).unwrap_or(1)).copied();
                (*deed, usual * times.unwrap_or(1).max(u64::from(always)))
            })
            .collect();
        Self {
            deeds: 25 + u32::try_from(draw.below(36)).unwrap_or(0),
            phones: 2 + usize::try_from(draw.below(3)).unwrap_or(0),
            weights,
            faults: Faults::of(&mut draw),
            phone_fuse: draw.below(3) * 40,
            station_fuse: draw.below(3) * 30,
            rebuilds: seed.is_multiple_of(10),
            runs_twice: seed.is_multiple_of(TWICE),
        }
    }

    /// The next deed.
    pub fn next(&self, draw: &mut Seeded) -> Deed {
        let sum: u64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut place = draw.below(sum);
        for (deed, weight) in &self.weights {
            if place < *weight {
                return *deed;
            }
            place -= weight;
        }
        Deed::Sync
    }
}
