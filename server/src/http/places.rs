//! Places for connections. When all are taken, somebody who does nothing with his makes room, the address with most of them first: so one
//! caller, however many connections he opens and however slowly he speaks, keeps nobody else out. Knows addresses and times, no bytes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    taken: Mutex<Taken>,
    /// A place became free, or may be made free.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    caller: IpAddr,
    /// Requests at work on the connection: one, or none.
    busy: bool,
    leaves: bool,
    asked: Arc<Notify>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    asked: Arc<Notify>,
}

/// A request at work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Place>);

impl Places {
    /// So many places.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            taken: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A place for a caller, as soon as there is one. When all are taken, one that does nothing is asked to leave.
    pub(crate) async fn take(self: &Arc<Self>, address: IpAddr) -> Arc<Place> {
        let caller = caller(address);
        loop {
            if let Some(place) = self.try_take(caller) {
                return place;
            }
            self.changed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>, caller: IpAddr) -> Option<Arc<Place>> {
        let mut taken = self.lock();
        if taken.seats.len() >= self.max {
            // One leaves at a time: whoever is on his way out frees the place that is waited for.
            if !taken.seats.values().any(|seat| seat.leaves)
                && let Some(seat) = taken.dispensable(caller, self.max)
            {
                seat.leaves = true;
                seat.asked.notify_one();
            }
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        let asked = Arc::new(Notify::new());
        taken.seats.insert(
            number,
            Seat {
                caller,
                busy: false,
                leaves: false,
                asked: Arc::clone(&asked),
            },
        );
        Some(Arc::new(Place {
            places: Arc::clone(self),
            number,
            asked,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Who can be asked to leave for a new caller: of the address with most connections that do nothing, the oldest. When all are at work,
    /// the oldest of an address that holds more than half of all places, unless the new caller is that address itself (as behind a proxy).
    fn dispensable(&mut self, newcomer: IpAddr, max: usize) -> Option<&mut Seat> {
        let most = |seats: &mut dyn Iterator<Item = &Seat>| {
            let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
            for seat in seats {
                *counts.entry(seat.caller).or_default() += 1;
            }
            counts.into_iter().max_by_key(|(_, count)| *count)
        };
        let idle = most(&mut self.seats.values().filter(|seat| !seat.busy));
        if let Some((caller, _)) = idle {
            return self.seats.values_mut().find(|seat| !seat.busy && seat.caller == caller);
        }
        let (caller, _) = most(&mut self.seats.values()).filter(|(caller, count)| count * 2 > max && *caller != newcomer)?;
        self.seats.values_mut().find(|seat| seat.caller == caller)
    }
}

impl Place {
    /// Ends when the place is wanted for somebody else.
    pub(crate) async fn asked_to_leave(&self) {
        self.asked.notified().await;
    }

    /// Marks a request as at work.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.mark(true);
        Busy(Arc::clone(self))
    }

    fn mark(&self, busy: bool) {
        if let Some(seat) = self.places.lock().seats.get_mut(&self.number) {
            seat.busy = busy;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().seats.remove(&self.number);
        self.places.changed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.mark(false);
        // Whoever waits may now ask this one to leave.
        self.0.places.changed.notify_one();
    }
}

/// Who counts as one caller: an IPv4 address, or the network of 64 bits that one IPv6 line has (RFC 6177).
fn caller(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SLOW: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const GOOD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    async fn told(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(20), place.asked_to_leave())
            .await
            .is_ok()
    }

    async fn waits(places: &Arc<Places>, address: IpAddr) -> bool {
        tokio::time::timeout(Duration::from_millis(20), places.take(address))
            .await
            .is_err()
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_oldest_idle_one_of_the_address_with_most_makes_room() {
        let places = Places::new(4);
        let good = places.take(GOOD).await;
        let mut slow = Vec::new();
        for _ in 0..3 {
            slow.push(places.take(SLOW).await);
        }
        let newcomer = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(GOOD).await }
        });
        slow[0].asked_to_leave().await;
        drop(slow.remove(0));
        newcomer.await.unwrap();
        assert!(!told(&good).await && !told(&slow[0]).await);
    }

    #[tokio::test]
    async fn who_opens_more_than_his_share_pushes_out_only_himself() {
        let places = Places::new(4);
        let good = places.take(GOOD).await;
        let slow = [places.take(SLOW).await, places.take(SLOW).await, places.take(SLOW).await];
        assert!(waits(&places, SLOW).await);
        assert!(told(&slow[0]).await && !told(&good).await);
    }

    #[tokio::test]
    async fn a_request_at_work_is_not_given_up_for_another_unless_its_address_holds_more_than_half() {
        let places = Places::new(4);
        let good = [places.take(GOOD).await, places.take(GOOD).await];
        let slow = [places.take(SLOW).await, places.take(SLOW).await];
        let _at_work: Vec<Busy> = good.iter().chain(&slow).map(Place::begin).collect();
        assert!(waits(&places, GOOD).await, "all work, and nobody has more than half");
        for place in good.iter().chain(&slow) {
            assert!(!told(place).await);
        }
        let hog = Places::new(4);
        let held = [
            hog.take(SLOW).await,
            hog.take(SLOW).await,
            hog.take(SLOW).await,
            hog.take(GOOD).await,
        ];
        let _at_work: Vec<Busy> = held.iter().map(Place::begin).collect();
        assert!(
            waits(&hog, SLOW).await && !told(&held[0]).await,
            "a proxy does not push out its own"
        );
        assert!(waits(&hog, GOOD).await && told(&held[0]).await);
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_a_request_ends() {
        let places = Places::new(2);
        let other = places.take("10.0.0.3".parse().unwrap()).await;
        let _at_work = other.begin();
        let only = places.take(GOOD).await;
        let busy = only.begin();
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(SLOW).await }
        });
        assert!(!told(&only).await);
        drop(busy);
        only.asked_to_leave().await;
        drop(only);
        waiting.await.unwrap();
    }

    #[test]
    fn one_line_of_ipv6_is_one_caller() {
        let parse = |text: &str| caller(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::1"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
        assert_eq!(parse("::ffff:10.0.0.1"), SLOW);
    }
}
