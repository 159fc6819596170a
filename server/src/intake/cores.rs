//! Work shared out over the machine's cores: whoever is free takes the next piece; results stand in the order of the pieces, so that
//! nothing depends on who did what. Knows nothing of the work.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::StationError;

/// Pieces that wait to be taken.
#[derive(Debug)]
pub(super) struct Queue<T>(Mutex<std::iter::Enumerate<std::vec::IntoIter<T>>>);

impl<T> Queue<T> {
    /// The next piece and its number.
    pub(super) fn next(&self) -> Option<(usize, T)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// Does the work on every piece. `work` takes pieces from the queue until none is left, and gives a result for each under its number.
/// A thread beside the caller's is begun for each `worth` pieces, and not more than there are other cores.
pub(super) fn share_out<T: Send, R: Send>(
    pieces: Vec<T>,
    worth: usize,
    work: impl Fn(&Queue<T>) -> Result<Vec<(usize, R)>, StationError> + Sync,
) -> Result<Vec<R>, StationError> {
    let others = thread::available_parallelism().map_or(0, |cores| NonZeroUsize::get(cores) - 1);
    let others = others.min(pieces.len().saturating_sub(1) / worth.max(1));
    let queue = Queue(Mutex::new(pieces.into_iter().enumerate()));
    let mut done = thread::scope(|scope| {
        // A thread that cannot be had is done without: the caller's takes the pieces.
        let helping: Vec<_> = (0..others)
            .filter_map(|_| thread::Builder::new().spawn_scoped(scope, || work(&queue)).ok())
            .collect();
        let mut done = work(&queue)?;
        for helper in helping {
            done.extend(
                helper
                    .join()
                    .map_err(|_| StationError::Store("a thread broke off".into()))??,
            );
        }
        Ok::<_, StationError>(done)
    })?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_and_results_stand_in_their_order() {
        let twice = |queue: &Queue<u32>| Ok(std::iter::from_fn(|| queue.next()).map(|(n, piece)| (n, piece * 2)).collect());
        let done = share_out((0..1_000).collect(), 1, twice).unwrap();
        assert_eq!(done, (0..1_000).map(|n| n * 2).collect::<Vec<u32>>());
        assert_eq!(share_out(Vec::new(), 1, twice).unwrap(), Vec::<u32>::new());
    }

    #[test]
    fn one_fault_fails_the_whole() {
        let fails = |queue: &Queue<u32>| match queue.next() {
            Some(_) => Err(StationError::Full),
            None => Ok(Vec::<(usize, ())>::new()),
        };
        assert!(matches!(share_out(vec![1, 2, 3], 1, fails), Err(StationError::Full)));
    }
}
