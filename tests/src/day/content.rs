//! What officers write down in a day: households, visits, incidents and patrols of an ordinary community, decided by a seed.

use beatbook_protocol::document::Edit;
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::{ItemId, RecordId, UserId};
use beatbook_protocol::place::Place;
use beatbook_protocol::time::UnixMillis;

use crate::seeded::Seeded;
use crate::street;

const STREETS: &[&str] = &["中关村大街", "知春路", "海淀南路", "苏州街", "丹棱街", "科学院南路"];
const SURNAMES: &[&str] = &["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"];
const GIVEN: &[&str] = &["建国", "秀英", "志强", "丽华", "海燕", "伟", "敏", "静", "军", "洋"];
const OPINIONS: &[(&str, &str)] = &[
    (
        "fire_safety",
        "楼道堆放杂物，电动车在门厅充电，希望物业尽快清理并设置充电桩。",
    ),
    ("traffic", "晚间乱停车堵住消防通道，建议划线并安排人员劝导。"),
    ("public_order", "地下室出租人员流动频繁，夜间吵闹，希望增加巡逻次数。"),
    ("environment", "垃圾分类点夏季异味大，清运时间不固定。"),
    ("policing", "社区民警电话接通及时，希望每季度来一次反诈宣传。"),
];
const INCIDENTS: &[(&str, &str, &str)] = &[
    (
        "地下室电线私拉乱接",
        "hazard",
        "地下一层住户私拉电线，已当场要求断电并通知物业整改。",
    ),
    (
        "楼上漏水引发邻里争吵",
        "dispute",
        "两户因漏水赔偿发生争吵，已劝离，约定明日到社区警务室协商。",
    ),
    (
        "电动车失窃",
        "criminal",
        "居民报称停放于单元门口的电动车被盗，已调取监控并移交办案队。",
    ),
    ("独居老人求助", "citizen_help", "老人忘带钥匙，协助联系其女儿并请锁匠开门。"),
];

/// A household's address and dwelling.
#[must_use]
pub fn household(seeded: &mut Seeded, number: u64) -> Edit {
    let street = seeded.pick(STREETS).copied().unwrap_or_default();
    let door = 1 + seeded.below(120);
    Edit::new()
        .field("address", format!("{street}{door}号院{}单元{number}室", 1 + seeded.below(4)))
        .field("dwelling_use", "own")
        .field("place", place(seeded, None))
        .item(
            "residents",
            item(seeded),
            [("name", Value::from(name(seeded))), ("relation", Value::from("householder"))],
        )
}

/// A visit that found somebody at home.
#[must_use]
pub fn visit(seeded: &mut Seeded, household: RecordId, at: UnixMillis) -> Edit {
    let (topic, text) = seeded.pick(OPINIONS).copied().unwrap_or_default();
    Edit::new()
        .field("household", household.to_string())
        .field("purpose", "routine")
        .field("started_at", at.0)
        .field("duration_min", 5 + i64::try_from(seeded.below(30)).unwrap_or(0))
        .field("outcome", "done")
        .field("place", place(seeded, Some(at)))
        .item(
            "people_met",
            item(seeded),
            [("name", Value::from(name(seeded))), ("relation", Value::from("householder"))],
        )
        .item(
            "opinions",
            item(seeded),
            [
                ("topic", Value::from(topic)),
                ("text", Value::from(text)),
                ("satisfaction", Value::from(3 + i64::try_from(seeded.below(3)).unwrap_or(0))),
                ("wants_reply", Value::from(false)),
            ],
        )
        .note("notes", "住户情况与上次一致。Smoke detector checked, gas valve closed.")
}

/// An incident as first written down.
#[must_use]
pub fn incident(seeded: &mut Seeded, at: UnixMillis) -> Edit {
    let (title, category, summary) = seeded.pick(INCIDENTS).copied().unwrap_or_default();
    Edit::new()
        .field("title", title)
        .field("category", category)
        .field("happened_at", at.0)
        .field("place", place(seeded, Some(at)))
        .field("summary", summary)
}

/// A patrol as it begins.
#[must_use]
pub fn patrol(leader: UserId, at: UnixMillis) -> Edit {
    Edit::new()
        .field("patrol_kind", "foot")
        .field("leader", leader.to_string())
        .field("started_at", at.0)
}

/// What a patrol found, written when it ends.
#[must_use]
pub fn patrol_end(seeded: &mut Seeded, at: UnixMillis) -> Edit {
    Edit::new()
        .field("ended_at", at.0)
        .item(
            "findings",
            item(seeded),
            [
                ("at", Value::from(at.0)),
                ("type", Value::from("public_order")),
                ("text", Value::from("围挡倾斜，已通知施工方加固。")),
            ],
        )
        .note("handover_note", "东侧小区门禁损坏待修，请夜班留意。")
}

/// A fresh name for a list's item.
pub fn item(seeded: &mut Seeded) -> ItemId {
    let mut bytes = [0; 16];
    seeded.fill(&mut bytes);
    ItemId::from_bytes(bytes)
}

fn name(seeded: &mut Seeded) -> String {
    let surname = seeded.pick(SURNAMES).copied().unwrap_or_default();
    format!("{surname}{}", seeded.pick(GIVEN).copied().unwrap_or_default())
}

fn place(seeded: &mut Seeded, fixed_at: Option<UnixMillis>) -> String {
    let (lat, lon) = street::corner(seeded);
    Place {
        lat,
        lon,
        accuracy_m: Some(8.0),
        fixed_at,
        is_mock: false,
    }
    .to_string()
}
