//! The record that benchmarks write: 15 fields, 300-800 bytes of text, half of it Chinese, in three changes.

use beatbook_client_core::Core;
use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::RecordId;

use super::BenchError;
use crate::day::content::item;
use crate::seeded::Seeded;

const CHINESE: &str = "走访中住户反映楼道照明损坏多日未修夜间行走不便希望物业尽快更换灯具并检查消防通道是否畅通社区民警已记录并转告物业负责人三日内回复另有电动车违规充电已当场劝阻并讲解安全知识";
const ENGLISH: &str = "The resident asked for better lighting in the stairwell and reported that scooters are charged near the exit. \
    The officer explained the rules, took note of the wish and promised to call the property office within three days. ";

/// Writes one record in three changes.
///
/// # Errors
/// Those of the core.
pub fn write(core: &Core, seeded: &mut Seeded, household: RecordId, n: usize) -> Result<RecordId, BenchError> {
    let record = core.begin("visit", &first(seeded, household, n))?;
    core.edit(record, &second(seeded), None)?;
    core.edit(record, &third(seeded), None)?;
    Ok(record)
}

/// The first change: the fields that a form fills at the door.
#[must_use]
pub fn first(seeded: &mut Seeded, household: RecordId, n: usize) -> Edit {
    Edit::new()
        .field("household", household.to_string())
        .field("purpose", "routine")
        .field("started_at", 1_795_000_000_000 + i64::try_from(n).unwrap_or(0) * 60_000)
        .field("arranged_at", 1_794_990_000_000 + i64::try_from(n).unwrap_or(0) * 60_000)
        .field(
            "place",
            format!("geo:39.{:06},116.{:06};u=8", seeded.below(1_000_000), seeded.below(1_000_000)),
        )
}

/// The second change: people, what they say, what was promised.
#[must_use]
pub fn second(seeded: &mut Seeded) -> Edit {
    let opinion = [
        ("topic", Value::from("public_order")),
        ("text", Value::from(chinese(seeded))),
        ("satisfaction", Value::from(1 + i64::try_from(seeded.below(5)).unwrap_or(0))),
        ("wants_reply", Value::from(false)),
    ];
    Edit::new()
        .item(
            "people_met",
            item(seeded),
            [("name", Value::from(name(seeded))), ("relation", Value::from("householder"))],
        )
        .item("opinions", item(seeded), opinion)
}

/// The third change: how it ended.
#[must_use]
pub fn third(seeded: &mut Seeded) -> Edit {
    Edit::new()
        .field("outcome", "done")
        .field("duration_min", 5 + i64::try_from(seeded.below(40)).unwrap_or(0))
        .item(
            "promises",
            item(seeded),
            [("what", Value::from(english(seeded))), ("due", Value::from("2026-12-01"))],
        )
}

/// The edit of a record that is there already.
#[must_use]
pub fn later(seeded: &mut Seeded) -> Edit {
    Edit::new().field("duration_min", 50 + i64::try_from(seeded.below(100)).unwrap_or(0))
}

fn chinese(seeded: &mut Seeded) -> String {
    let letters: Vec<char> = CHINESE.chars().collect();
    let length = 60 + usize::try_from(seeded.below(80)).unwrap_or(0);
    let start = usize::try_from(seeded.below(letters.len() as u64)).unwrap_or(0);
    letters.iter().cycle().skip(start).take(length).collect()
}

fn english(seeded: &mut Seeded) -> String {
    let words: Vec<&str> = ENGLISH.split(' ').collect();
    let count = 25 + usize::try_from(seeded.below(30)).unwrap_or(0);
    let drawn: Vec<&str> = (0..count).filter_map(|_| seeded.pick(&words).copied()).collect();
    drawn.join(" ")
}

fn name(seeded: &mut Seeded) -> String {
    chinese(seeded).chars().take(3).collect()
}
