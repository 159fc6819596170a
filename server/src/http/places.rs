//! Places for connections, and for requests at work on them. When all places are taken, somebody who does nothing with his makes room, the address
//! with most of them first; and no address has more than its share of requests at work, so that there is always somebody who can make room. One
//! caller, however many connections he opens and however slowly he speaks, keeps nobody else out. Knows addresses, no bytes.

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
    freed: Notify,
    /// A request ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Seat>,
    busy: usize,
    busy_of: BTreeMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Seat {
    caller: IpAddr,
    is_busy: bool,
    leaves: bool,
    asked: Arc<Notify>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    caller: IpAddr,
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
            freed: Notify::new(),
            ended: Notify::new(),
        })
    }

    /// A place for a caller, as soon as there is one. When all are taken, one that does nothing is asked to leave. One at a time waits here.
    pub(crate) async fn take(self: &Arc<Self>, address: IpAddr) -> Arc<Place> {
        let caller = caller(address);
        loop {
            if let Some(place) = self.try_take(caller) {
                return place;
            }
            self.freed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>, caller: IpAddr) -> Option<Arc<Place>> {
        let mut taken = self.lock();
        if taken.seats.len() >= self.max {
            // One leaves at a time: whoever is on his way out frees the place that is waited for.
            if !taken.seats.values().any(|seat| seat.leaves)
                && let Some(seat) = taken.dispensable()
            {
                seat.leaves = true;
                seat.asked.notify_one();
            }
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        let asked = Arc::new(Notify::new());
        let seat = Seat {
            caller,
            is_busy: false,
            leaves: false,
            asked: Arc::clone(&asked),
        };
        taken.seats.insert(number, seat);
        Some(Arc::new(Place {
            places: Arc::clone(self),
            number,
            caller,
            asked,
        }))
    }

    /// Requests at work at once: one place in eight is always somebody's who can make room.
    fn busy_max(&self) -> usize {
        (self.max - self.max / 8).max(1)
    }

    /// Of these, those of one address: three in four of all places. A proxy, or a station's whole shift behind one address, has these.
    fn busy_of_one_max(&self) -> usize {
        (self.max - self.max / 4).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Who can be asked to leave: of the address with most connections that do nothing, the oldest.
    fn dispensable(&mut self) -> Option<&mut Seat> {
        let mut idle: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for seat in self.seats.values().filter(|seat| !seat.is_busy) {
            *idle.entry(seat.caller).or_default() += 1;
        }
        let (caller, _) = idle.into_iter().max_by_key(|(_, count)| *count)?;
        self.seats.values_mut().find(|seat| !seat.is_busy && seat.caller == caller)
    }
}

impl Place {
    /// Ends when the place is wanted for somebody else.
    pub(crate) async fn asked_to_leave(&self) {
        self.asked.notified().await;
    }

    /// Marks a request as at work, as soon as its address has a share left. Until then the connection does nothing, and may be asked to leave.
    pub(crate) async fn begin(self: Arc<Self>) -> Busy {
        loop {
            let ended = self.places.ended.notified();
            let mut ended = std::pin::pin!(ended);
            // Listens from before the look on: an end in between is not missed.
            ended.as_mut().enable();
            if self.try_begin() {
                return Busy(Arc::clone(&self));
            }
            ended.await;
        }
    }

    fn try_begin(&self) -> bool {
        let mut taken = self.places.lock();
        let of_one = taken.busy_of.get(&self.caller).copied().unwrap_or(0);
        if taken.busy >= self.places.busy_max() || of_one >= self.places.busy_of_one_max() {
            return false;
        }
        taken.busy += 1;
        *taken.busy_of.entry(self.caller).or_default() += 1;
        if let Some(seat) = taken.seats.get_mut(&self.number) {
            seat.is_busy = true;
        }
        true
    }

    fn end(&self) {
        let mut taken = self.places.lock();
        taken.busy = taken.busy.saturating_sub(1);
        if let Some(of_one) = taken.busy_of.get_mut(&self.caller) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.busy_of.remove(&self.caller);
            }
        }
        if let Some(seat) = taken.seats.get_mut(&self.number) {
            seat.is_busy = false;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().seats.remove(&self.number);
        self.places.freed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
        self.0.places.ended.notify_waiters();
        // Whoever waits for a place may now ask this one to leave.
        self.0.places.freed.notify_one();
    }
}

/// Who counts as one caller: an IPv4 address, or the network of 64 bits that one IPv6 line has (RFC 6177).
pub(super) fn caller(address: IpAddr) -> IpAddr {
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

    async fn soon<T>(what: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(Duration::from_millis(20), what).await.ok()
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
        assert!(soon(good.asked_to_leave()).await.is_none() && soon(slow[0].asked_to_leave()).await.is_none());
    }

    #[tokio::test]
    async fn who_opens_more_than_his_share_pushes_out_only_himself() {
        let places = Places::new(4);
        let good = places.take(GOOD).await;
        let slow = [places.take(SLOW).await, places.take(SLOW).await, places.take(SLOW).await];
        assert!(soon(places.take(SLOW)).await.is_none());
        assert!(soon(slow[0].asked_to_leave()).await.is_some() && soon(good.asked_to_leave()).await.is_none());
    }

    #[tokio::test]
    async fn one_address_has_three_requests_in_four_places_and_the_fourth_can_make_room() {
        let places = Places::new(8);
        let mut at_work = Vec::new();
        for _ in 0..6 {
            at_work.push(places.take(SLOW).await.begin().await);
        }
        let waiting = [places.take(SLOW).await, places.take(SLOW).await];
        assert!(
            soon(Arc::clone(&waiting[0]).begin()).await.is_none(),
            "six of eight are his share"
        );
        let arrives = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(GOOD).await.begin().await }
        });
        waiting[0].asked_to_leave().await;
        let [first, second] = waiting;
        drop(first);
        let good = arrives.await.unwrap();
        let goes_on = tokio::spawn(second.begin());
        assert!(!goes_on.is_finished());
        drop(at_work.pop());
        let _second = goes_on.await.unwrap();
        drop(good);
    }

    #[tokio::test]
    async fn requests_of_all_addresses_together_leave_a_place_that_can_be_freed() {
        let places = Places::new(8);
        let mut at_work = Vec::new();
        for number in 0..7 {
            let address = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, number));
            at_work.push(places.take(address).await.begin().await);
        }
        let eighth = places.take(GOOD).await;
        assert!(soon(Arc::clone(&eighth).begin()).await.is_none());
        assert!(soon(places.take(SLOW)).await.is_none());
        assert!(soon(eighth.asked_to_leave()).await.is_some());
    }

    #[tokio::test]
    async fn the_only_place_is_waited_for_while_a_request_is_at_work_and_no_longer() {
        let places = Places::new(1);
        let only = places.take(GOOD).await;
        let busy = Arc::clone(&only).begin().await;
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take(SLOW).await }
        });
        assert!(soon(only.asked_to_leave()).await.is_none());
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
