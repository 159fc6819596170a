//! The guard must let by whatever phones of ours write: seeded phones edit one document together, and nothing is ever refused.

use super::mutants::Numbers;
use super::*;
use crate::document::sample::{actor, copy, document, file, item, shape};
use crate::document::{Change, Edit, EditError};
use crate::facts::{FileRef, Value};
use crate::time::UnixMillis;

/// A phone with its copy and the changes that it has not got yet, each sender's in order.
struct Phone {
    document: Document,
    inbox: Vec<Change>,
}

/// Some edit; often of the same places, so that phones meet.
fn random_edit(numbers: &mut Numbers, note: &str) -> Edit {
    let mut edit = Edit::new();
    for _ in 0..=numbers.below(3) {
        let number = numbers.below(4) as i64;
        edit = match numbers.below(9) {
            0 => edit.field("purpose", ["巡逻", "b", "c", ""][numbers.below(4)]),
            1 => edit.field("visits", number),
            2 => edit.clear("visits"),
            3 => edit.item(
                "people_met",
                item(number as u8),
                [("name", Value::from(number.to_string())), ("age", Value::Int(number))],
            ),
            4 => edit.remove("people_met", item(number as u8)),
            5 => edit.segment(&number.to_string(), vec![number as u8; numbers.below(30)]),
            6 => {
                let photo = FileRef {
                    field: "photos".into(),
                    media_type: "image/jpeg".into(),
                    bytes: 9,
                    thumbnail: None,
                    removed: number == 3,
                };
                edit.file(file(numbers.below(3) as u8), photo)
            }
            _ => {
                let mut chars: Vec<char> = note.chars().collect();
                for _ in 0..=numbers.below(4) {
                    let at = numbers.below(chars.len() + 1);
                    match numbers.below(3) {
                        0 if at < chars.len() => drop(chars.remove(at)),
                        1 => "👨‍👩‍👧".chars().for_each(|letter| chars.insert(at, letter)),
                        _ => chars.insert(at, ['民', 'x', ' ', '\u{301}'][numbers.below(4)]),
                    }
                }
                edit.note("summary", chars.into_iter().collect::<String>())
            }
        };
    }
    if numbers.below(2) == 0 { edit.settling() } else { edit }
}

/// Lets a phone take in what waits for it, in an order of its own.
fn receive_some(phone: &mut Phone, numbers: &mut Numbers) {
    let count = numbers.below(phone.inbox.len() + 1);
    let mut batch: Vec<Change> = phone.inbox.drain(..count).collect();
    for at in (1..batch.len()).rev() {
        batch.swap(at, numbers.below(at + 1));
    }
    let incoming: Vec<_> = batch
        .iter()
        .map(|change| Incoming {
            bytes: &change.bytes,
            settles: change.settles,
            actors: None,
        })
        .collect();
    let report = check(&phone.document, &incoming, Unknown::Refuse);
    assert!(
        !report.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Refused(_))),
        "{:?}",
        report.outcomes
    );
    for (change, outcome) in batch.iter().zip(report.outcomes) {
        match outcome {
            Outcome::Admitted { hash } => assert_eq!(hash, change.hash),
            Outcome::Needs { .. } => phone.inbox.push(change.clone()),
            Outcome::Duplicate { .. } | Outcome::Refused(_) => panic!("{outcome:?}"),
        }
    }
    phone.document = report.document;
}

fn run(seed: u64) -> (usize, usize) {
    let mut numbers = Numbers(seed);
    let start = document(0);
    let mut phones: Vec<Phone> = (1..=4)
        .map(|number| Phone {
            document: copy(&start, number),
            inbox: vec![],
        })
        .collect();
    let (mut settled, mut conflicted) = (0, 0);
    for step in 0..80 {
        let who = numbers.below(phones.len());
        if numbers.below(3) == 0 {
            receive_some(&mut phones[who], &mut numbers);
            continue;
        }
        if numbers.below(10) == 0 {
            // The app was closed and opened: the same document under a new author mark.
            phones[who].document = copy(&phones[who].document, 100 + step as u8);
        }
        let note = phones[who]
            .document
            .view()
            .unwrap()
            .facts
            .notes
            .remove("summary")
            .unwrap_or_default();
        match phones[who]
            .document
            .edit(&random_edit(&mut numbers, &note), UnixMillis(step * 1_000))
        {
            Ok(change) => {
                settled += usize::from(change.settles);
                phones
                    .iter_mut()
                    .enumerate()
                    .filter(|(at, _)| *at != who)
                    .for_each(|(_, phone)| phone.inbox.push(change.clone()));
            }
            Err(EditError::Nothing) => {}
            Err(EditError::Conflicted { .. }) => conflicted += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    while phones.iter().any(|phone| !phone.inbox.is_empty()) {
        phones.iter_mut().for_each(|phone| receive_some(phone, &mut numbers));
    }
    let view = phones[0].document.view().unwrap();
    for phone in &phones {
        assert_eq!(phone.document.view().unwrap(), view, "seed {seed}");
        assert_eq!(phone.document.history(), phones[0].document.history(), "seed {seed}");
        let reopened = Document::open_as(&shape(), actor(99), Some(&phone.document.save()), &[] as &[&[u8]]).unwrap();
        assert_eq!(reopened.view().unwrap(), view, "seed {seed}");
    }
    (settled, conflicted)
}

#[test]
fn phones_of_ours_are_never_refused_and_end_alike() {
    let (settled, conflicted) = (1..=60).map(run).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(
        settled > 20 && conflicted > 20,
        "{settled} settled, {conflicted} conflicted: the seeds no longer meet"
    );
}
