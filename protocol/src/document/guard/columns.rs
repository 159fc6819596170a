//! Sums up how many rows a change's columns would unpack to, before anything unpacks them: runs make a few bytes into millions of
//! rows (113 bytes once cost 26 s and 2.2 GB). Knows no meaning of the rows beyond what bounds them.

use super::bytes::Input;
use super::fault::GuardFault;
use crate::limits::CHANGE_OPS_MAX;

/// Bytes of a map key: an item's UUID has 36, a file's hash 64. Keys repeat by runs, so a long one would multiply.
const KEY_BYTES_MAX: usize = 128;

/// The columns of a change that a document of ours can need; specification numbers of automerge's binary format
/// (column id × 16 + type).
const OBJECT_ACTOR: u64 = 0x01;
const OBJECT_COUNTER: u64 = 0x02;
const KEY_ACTOR: u64 = 0x11;
const KEY_COUNTER: u64 = 0x13;
const KEY_STRING: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_META: u64 = 0x56;
const VALUE_RAW: u64 = 0x57;
const PRED_COUNT: u64 = 0x70;
const PRED_ACTOR: u64 = 0x71;
const PRED_COUNTER: u64 = 0x73;

/// Reads the columns to the end and gives the number of operations.
pub(super) fn check(mut input: Input<'_>, actors: usize) -> Result<usize, GuardFault> {
    let count = input.count(2)?;
    let mut head = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let spec = input.unsigned()?;
        let len = usize::try_from(input.unsigned()?).map_err(|_| GuardFault::Malformed { why: "it ends too soon" })?;
        if len == 0 || head.last().is_some_and(|&(before, _)| before >= spec) {
            return Err(GuardFault::NotCanonical {
                why: "columns are empty or not in order",
            });
        }
        head.push((spec, len));
    }
    let mut sums = Sums::default();
    for (spec, len) in head {
        let column = Input(input.take(len)?);
        sums.add(spec, column, u64::try_from(actors).unwrap_or(u64::MAX))?;
    }
    if !input.is_empty() {
        return Err(GuardFault::NotCanonical {
            why: "bytes follow the columns",
        });
    }
    sums.finish()
}

/// What the columns add up to.
#[derive(Debug, Default)]
struct Sums {
    /// Rows of the columns that have one row an operation.
    rows: Vec<u64>,
    operations: u64,
    value_bytes: u64,
    value_raw: u64,
    preds: u64,
    pred_rows: Vec<u64>,
}

impl Sums {
    fn add(&mut self, spec: u64, column: Input<'_>, actors: u64) -> Result<(), GuardFault> {
        match spec {
            OBJECT_ACTOR | KEY_ACTOR => self.rows.push(runs(column, read_below(actors), |_, _| Ok(()))?),
            OBJECT_COUNTER => self.rows.push(runs(column, read_below(u64::from(u32::MAX)), |_, _| Ok(()))?),
            KEY_COUNTER => self.rows.push(counters(column)?),
            KEY_STRING => self.rows.push(runs(column, read_key, |(), _| Ok(()))?),
            INSERT => self.rows.push(booleans(column)?),
            ACTION => {
                self.operations = runs(column, read_below(8), |_, _| Ok(()))?;
                self.rows.push(self.operations);
            }
            VALUE_META => {
                let mut bytes: u64 = 0;
                self.rows.push(runs(
                    column,
                    |column| column.unsigned(),
                    |meta, times| add_times(&mut bytes, meta >> 4, times),
                )?);
                self.value_bytes = bytes;
            }
            VALUE_RAW => self.value_raw = u64::try_from(column.0.len()).unwrap_or(u64::MAX),
            PRED_COUNT => {
                let mut preds: u64 = 0;
                self.rows.push(runs(
                    column,
                    |column| column.unsigned(),
                    |count, times| add_times(&mut preds, count, times),
                )?);
                self.preds = preds;
            }
            PRED_ACTOR => self.pred_rows.push(runs(column, read_below(actors), |_, _| Ok(()))?),
            PRED_COUNTER => self.pred_rows.push(counters(column)?),
            _ => {
                return Err(GuardFault::NotCanonical {
                    why: "it has a column that no document of ours needs",
                });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<usize, GuardFault> {
        if self.operations == 0 {
            return Err(GuardFault::NotCanonical {
                why: "it has no operations",
            });
        }
        let uneven = Err(GuardFault::Malformed {
            why: "its columns are not of one length",
        });
        if self.rows.iter().any(|&rows| rows != self.operations) || self.value_bytes != self.value_raw {
            return uneven;
        }
        if self.preds > max_rows() {
            return Err(GuardFault::TooManyOperations);
        }
        let pred_columns = if self.preds == 0 { 0 } else { 2 };
        if self.pred_rows.len() != pred_columns || self.pred_rows.iter().any(|&rows| rows != self.preds) {
            return uneven;
        }
        usize::try_from(self.operations).map_err(|_| GuardFault::TooManyOperations)
    }
}

fn max_rows() -> u64 {
    u64::try_from(CHANGE_OPS_MAX).unwrap_or(u64::MAX)
}

fn add_rows(rows: &mut u64, more: u64) -> Result<(), GuardFault> {
    *rows = rows.saturating_add(more);
    if *rows > max_rows() {
        Err(GuardFault::TooManyOperations)
    } else {
        Ok(())
    }
}

fn add_times(sum: &mut u64, value: u64, times: u64) -> Result<(), GuardFault> {
    *sum = value
        .checked_mul(times)
        .and_then(|more| sum.checked_add(more))
        .ok_or(GuardFault::TooManyOperations)?;
    Ok(())
}

/// Walks a run-length column: `n value` is a run, `-n values` are literals, `0 n` are nulls. `each` hears every value once with the
/// number of its rows. Gives the rows.
fn runs<T>(
    mut column: Input<'_>,
    read: impl Fn(&mut Input<'_>) -> Result<T, GuardFault>,
    mut each: impl FnMut(T, u64) -> Result<(), GuardFault>,
) -> Result<u64, GuardFault> {
    let mut rows = 0;
    while !column.is_empty() {
        match column.signed()? {
            0 => {
                let nulls = column.unsigned()?;
                if nulls == 0 {
                    return Err(GuardFault::NotCanonical { why: "a run is empty" });
                }
                add_rows(&mut rows, nulls)?;
            }
            run if run > 0 => {
                add_rows(&mut rows, run.unsigned_abs())?;
                each(read(&mut column)?, run.unsigned_abs())?;
            }
            literals => {
                add_rows(&mut rows, literals.unsigned_abs())?;
                for _ in 0..literals.unsigned_abs() {
                    each(read(&mut column)?, 1)?;
                }
            }
        }
    }
    Ok(rows)
}

/// Walks a column of counters, each written as its distance from the one before; all must be counters that can exist.
fn counters(column: Input<'_>) -> Result<u64, GuardFault> {
    let mut counter: i64 = 0;
    runs(
        column,
        |column| column.signed(),
        |distance, times| {
            // Within a run the counters go one way, so the last one bounds them all.
            counter = i64::try_from(times)
                .ok()
                .and_then(|times| distance.checked_mul(times))
                .and_then(|way| counter.checked_add(way))
                .filter(|counter| (0..=i64::from(u32::MAX)).contains(counter))
                .ok_or(GuardFault::Malformed {
                    why: "a counter is out of range",
                })?;
            Ok(())
        },
    )
}

/// Walks a column of booleans: lengths of alternating runs, the first of `false`.
fn booleans(mut column: Input<'_>) -> Result<u64, GuardFault> {
    let mut rows = 0;
    while !column.is_empty() {
        add_rows(&mut rows, column.unsigned()?)?;
    }
    Ok(rows)
}

fn read_below(end: u64) -> impl Fn(&mut Input<'_>) -> Result<u64, GuardFault> {
    move |column| {
        let value = column.unsigned()?;
        if value < end {
            Ok(value)
        } else {
            Err(GuardFault::Malformed {
                why: "a number is out of range",
            })
        }
    }
}

fn read_key(column: &mut Input<'_>) -> Result<(), GuardFault> {
    let len = column.count(1)?;
    if len > KEY_BYTES_MAX {
        return Err(GuardFault::Malformed {
            why: "a key is too long",
        });
    }
    std::str::from_utf8(column.take(len)?).map_err(|_| GuardFault::Malformed {
        why: "a key is not UTF-8",
    })?;
    Ok(())
}
