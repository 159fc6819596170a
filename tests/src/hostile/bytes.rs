//! Changes made of columns by hand, as automerge lays them out (its binary document format), without automerge.

use crate::fuzz::chunk;

/// The columns `columns` behind the head of an honest change: the same author, number and dependencies.
pub(super) fn with_columns(honest: &[u8], columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut at = 9;
    skip(honest, &mut at);
    let begin = at;
    let dependencies = number(honest, &mut at);
    at += dependencies * 32;
    let actor = number(honest, &mut at);
    at += actor;
    // Number and first operation; then no time, no message and no other actors.
    skip(honest, &mut at);
    skip(honest, &mut at);
    let mut body = honest.get(begin..at).unwrap_or_default().to_vec();
    body.extend_from_slice(&[0, 0, 0]);
    unsigned(&mut body, columns.len() as u64);
    for (spec, column) in columns {
        unsigned(&mut body, *spec);
        unsigned(&mut body, column.len() as u64);
    }
    columns.iter().for_each(|(_, column)| body.extend_from_slice(column));
    chunk(1, &body)
}

/// A run of one value.
pub(super) fn run(length: u64, value: u8) -> Vec<u8> {
    let mut out = Vec::new();
    // Signed LEB128 of a positive number: one more bit for the sign.
    let mut rest = length;
    while rest >= 0x40 {
        out.push(low(rest) | 0x80);
        rest >>= 7;
    }
    out.extend_from_slice(&[low(rest), value]);
    out
}

/// A run of nulls.
pub(super) fn nulls(length: u64) -> Vec<u8> {
    let mut out = vec![0];
    unsigned(&mut out, length);
    out
}

fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low(value) | 0x80);
        value >>= 7;
    }
    out.push(low(value));
}

fn low(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or(0)
}

fn skip(bytes: &[u8], at: &mut usize) {
    number(bytes, at);
}

fn number(bytes: &[u8], at: &mut usize) -> usize {
    let (mut value, mut shift) = (0, 0);
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift > 28 {
            break;
        }
    }
    value
}
