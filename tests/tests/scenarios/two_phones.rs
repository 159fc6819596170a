//! Two phones and a chief on one record: what disagrees stays in sight until a person settles it, what comes late waits, and what no
//! longer fits comes back. Knows no internals: phones by their core, the chief by HTTP.

use beatbook_client_core::CoreError;
use beatbook_client_core::query::{CameBackWhy, ClaimView, RefusedWhat};
use beatbook_protocol::document::{Edit, FieldPath, Said};
use beatbook_protocol::facts::Value;
use beatbook_protocol::id::RecordId;
use beatbook_tests::day::{chief, content};
use beatbook_tests::seeded::Seeded;
use serde_json::json;

use super::post::{
    NAMES, Post, act, household, shown, state, submitted_behind_the_other, sync_both, try_act, version, visit, write,
};

fn said(claims: &[ClaimView]) -> Vec<(String, Said)> {
    let mut said: Vec<_> = claims
        .iter()
        .map(|claim| (claim.by.name.clone(), claim.value.clone()))
        .collect();
    said.sort_by(|one, other| one.0.cmp(&other.0));
    said
}

fn text(value: &str) -> Said {
    Said::Value(value.into())
}

#[tokio::test]
async fn two_phones_that_edited_one_field_both_see_both_values_and_authors_until_one_settles_it() {
    let post = Post::open("settled");
    let mut phones = post.phones::<2>().await;
    let record = household(&phones[0], 101);
    sync_both(&mut phones).await;
    let path = FieldPath::Field("dwelling_use".into());
    for (phone, used) in phones.iter().zip(["rented", "vacant"]) {
        write(phone, record, Edit::new().field("dwelling_use", used)).unwrap();
        assert!(phone.core.conflicts().unwrap().is_empty(), "nobody knows of the other yet");
    }
    sync_both(&mut phones).await;
    for phone in &phones {
        let conflicts = phone.core.conflicts().unwrap();
        assert_eq!(conflicts.len(), 1, "{conflicts:?}");
        assert_eq!((conflicts[0].record, &conflicts[0].path), (record, &path));
        let both = [(NAMES[1].to_owned(), text("vacant")), (NAMES[0].to_owned(), text("rented"))];
        assert_eq!(said(&conflicts[0].claims), both, "{} sees both", phone.name);
    }
    assert_eq!(
        shown(&phones[0], record, "dwelling_use"),
        shown(&phones[1], record, "dwelling_use")
    );
    assert_eq!(post.page(record).await["conflicts"][0]["claims"].as_array().unwrap().len(), 2);
    let blind = write(&phones[1], record, Edit::new().field("dwelling_use", "own"));
    assert!(
        matches!(&blind, Err(CoreError::Conflicted { paths }) if *paths == ["fields/dwelling_use"]),
        "{blind:?}"
    );

    phones[1].clock.advance(60_000);
    assert!(phones[1].core.settle(record, &path, &"rented".into(), None).unwrap());
    assert_eq!(phones[0].core.conflicts().unwrap().len(), 1, "the other has not heard of it");
    phones.reverse();
    sync_both(&mut phones).await;
    for phone in &phones {
        assert!(phone.core.conflicts().unwrap().is_empty());
        assert_eq!(shown(phone, record, "dwelling_use"), Value::from("rented"));
        let history = phone.core.history(record).unwrap();
        let settlements: Vec<_> = history.iter().filter(|write| write.settles).collect();
        assert_eq!(settlements.len(), 1, "{history:?}");
        assert_eq!((settlements[0].by.name.as_str(), &settlements[0].path), (NAMES[1], &path));
        assert_eq!(settlements[0].value, text("rented"));
        let lost = history.iter().any(|write| write.value == text("vacant") && !write.settles);
        assert!(lost, "what did not hold stays in the history");
    }
    assert_eq!(post.page(record).await["conflicts"], json!([]));
}

#[tokio::test]
async fn clearing_against_setting_is_a_conflict_and_writing_the_same_is_none() {
    let post = Post::open("cleared");
    let mut phones = post.phones::<2>().await;
    let record = household(&phones[0], 101);
    sync_both(&mut phones).await;
    let same = |edit: Edit| edit.field("address_code", "110108-0042");
    write(&phones[0], record, same(Edit::new().clear("dwelling_use"))).unwrap();
    write(&phones[1], record, same(Edit::new().field("dwelling_use", "rented"))).unwrap();
    sync_both(&mut phones).await;
    for phone in &phones {
        let conflicts = phone.core.conflicts().unwrap();
        let paths: Vec<String> = conflicts.iter().map(|conflict| conflict.path.to_string()).collect();
        assert_eq!(paths, ["fields/dwelling_use"], "equal values are no conflict");
        let both = [
            (NAMES[1].to_owned(), text("rented")),
            (NAMES[0].to_owned(), Said::Value(Value::Null)),
        ];
        assert_eq!(said(&conflicts[0].claims), both);
        assert_eq!(shown(phone, record, "address_code"), Value::from("110108-0042"));
    }
    // Two edits of places that differ are none either.
    write(&phones[0], record, Edit::new().field("structure", "simple")).unwrap();
    write(&phones[1], record, Edit::new().field("language", "dialect")).unwrap();
    sync_both(&mut phones).await;
    for phone in &phones {
        assert_eq!(phone.core.conflicts().unwrap().len(), 1);
        assert_eq!(shown(phone, record, "structure"), Value::from("simple"));
        assert_eq!(shown(phone, record, "language"), Value::from("dialect"));
    }
}

#[tokio::test]
async fn an_edit_that_comes_after_the_submission_waits_until_the_chief_takes_it_in() {
    let post = Post::open("late");
    let mut phones = post.phones::<2>().await;
    let record = submitted_behind_the_other(&mut phones).await;
    let seen = version(&post.page(record).await);
    write(&phones[1], record, Edit::new().field("duration_min", 45)).unwrap();
    phones[1].sync().await.unwrap();
    assert!(phones[1].core.refused().unwrap().is_empty(), "its author could not know");

    let page = post.page(record).await;
    assert_eq!(page["pinned"], json!(true));
    assert_eq!(
        page["official"]["fields"]["duration_min"],
        json!(20),
        "what was submitted stays as it was"
    );
    let pending = page["pending"].as_array().unwrap();
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_eq!(
        (&pending[0]["path"], &pending[0]["value"], &pending[0]["author"]["name"]),
        (&json!("fields/duration_min"), &json!(45), &json!(NAMES[1]))
    );
    let on_phone = phones[1].core.record(record).unwrap();
    assert_eq!(on_phone.official.unwrap().fields["duration_min"], Value::from(20));
    assert_eq!(on_phone.facts.fields["duration_min"], Value::from(45));

    let (status, told) = post.order_on(record, json!({ "act": "approve" }), &seen).await;
    assert_eq!(status, 412, "he decided on what he had not seen: {told}");
    assert_eq!(told["changed"][0]["path"], json!("fields/duration_min"));
    assert_eq!(told["changed"][0]["value"], json!(45));
    assert_eq!(told["version"], page["header"]["version"]);

    assert_eq!(post.order(record, json!({ "act": "supplement" })).await.0, 200);
    let page = post.page(record).await;
    assert_eq!(page["official"]["fields"]["duration_min"], json!(45));
    assert_eq!(
        (&page["pending"], &page["header"]["state"]),
        (&json!([]), &json!("submitted"))
    );
    assert_eq!(post.order(record, json!({ "act": "approve" })).await.0, 200);
    sync_both(&mut phones).await;
    for phone in &phones {
        assert_eq!(state(phone, record), "approved");
        assert_eq!(shown(phone, record, "duration_min"), Value::from(45));
        assert_eq!(phone.core.record(record).unwrap().official, None, "nothing differs from it");
    }
}

#[tokio::test]
async fn who_knows_of_the_approval_may_not_write_and_who_could_not_know_is_taken_in_and_waits() {
    let post = Post::open("approved");
    let mut phones = post.phones::<2>().await;
    let record = submitted_behind_the_other(&mut phones).await;
    phones[1].sync().await.unwrap();
    assert_eq!(post.order(record, json!({ "act": "approve" })).await.0, 200);
    phones[0].sync().await.unwrap();
    let late = write(&phones[0], record, Edit::new().field("duration_min", 30));
    assert!(
        matches!(&late, Err(CoreError::Forbidden { what, state }) if what == "write" && state == "approved"),
        "{late:?}"
    );
    assert!(!phones[0].core.record(record).unwrap().may_write);

    write(&phones[1], record, Edit::new().field("duration_min", 45)).unwrap();
    phones[1].sync().await.unwrap();
    let view = phones[1].core.record(record).unwrap();
    assert_eq!(
        (view.row.waiting, view.row.refused, view.row.state.as_str()),
        (0, 0, "approved")
    );
    let page = post.page(record).await;
    assert_eq!(page["official"]["fields"]["duration_min"], json!(20));
    assert_eq!(page["pending"][0]["value"], json!(45));
    let again = write(&phones[1], record, Edit::new().field("duration_min", 50));
    assert!(matches!(again, Err(CoreError::Forbidden { .. })), "now he knows: {again:?}");
}

#[tokio::test]
async fn an_act_that_no_longer_fits_comes_back_with_the_state_it_met_and_holds_up_nothing_else() {
    let post = Post::open("unfit");
    let mut phones = post.phones::<2>().await;
    let record = submitted_behind_the_other(&mut phones).await;
    act(&phones[1], record, "attempt");
    assert_eq!(
        state(&phones[1], record),
        "attempted",
        "shown at once, as far as the phone knows"
    );
    let other = household(&phones[1], 102);
    write(&phones[1], record, Edit::new().field("duration_min", 45)).unwrap();
    let report = phones[1].sync().await.unwrap();
    assert_eq!(report.refused, 1);
    let refused = phones[1].core.refused().unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((refused[0].record, refused[0].code.as_str()), (record, "state_met"));
    assert!(refused[0].text.contains("submitted"), "{}", refused[0].text);
    let attempt = RefusedWhat::Act {
        code: "attempt".into(),
        comment: None,
    };
    assert_eq!(refused[0].what, attempt);
    let came_back = phones[1].core.came_back().unwrap();
    assert!(
        matches!(&came_back[..], [back] if back.record == record && matches!(&back.why, CameBackWhy::Refused { code, .. } if code == "state_met")),
        "{came_back:?}"
    );
    assert_eq!(state(&phones[1], record), "submitted");
    assert!(phones[1].core.waiting().unwrap().is_empty(), "all else went through");
    assert_eq!(post.page(other).await["header"]["state"], json!("active"));
    assert_eq!(post.page(record).await["pending"][0]["value"], json!(45));
    phones[1].core.dismiss(&refused[0].entry).unwrap();
    assert!(phones[1].core.came_back().unwrap().is_empty());
}

#[tokio::test]
async fn a_second_submission_is_an_offer_and_what_the_chief_returned_comes_back_with_his_words() {
    let post = Post::open("offer");
    let mut phones = post.phones::<2>().await;
    let at = household(&phones[0], 101);
    let record = visit(&phones[0], at);
    act(&phones[0], record, "finish");
    sync_both(&mut phones).await;
    write(&phones[1], record, Edit::new().field("duration_min", 45)).unwrap();
    for phone in &phones {
        act(phone, record, "submit");
    }
    sync_both(&mut phones).await;
    for phone in &phones {
        let view = phone.core.record(record).unwrap();
        assert_eq!((view.row.state.as_str(), view.is_offered), ("submitted", true));
        assert_eq!(
            view.official.unwrap().fields["duration_min"],
            Value::from(20),
            "the first one holds"
        );
        assert!(phone.core.refused().unwrap().is_empty());
    }
    assert_eq!(post.page(record).await["header"]["offered"], json!(true));
    let (status, _) = post.order(record, json!({ "act": "return" })).await;
    assert_eq!(status, 422, "a return says why");
    let why = "请补充走访照片";
    assert_eq!(post.order(record, json!({ "act": "return", "comment": why })).await.0, 200);
    sync_both(&mut phones).await;
    let came_back = phones[0].core.came_back().unwrap();
    assert_eq!(came_back.len(), 1, "{came_back:?}");
    assert_eq!(came_back[0].by.as_ref().unwrap().name, "李所长");
    let returned = CameBackWhy::Act {
        code: "return".into(),
        comment: Some(why.into()),
    };
    assert_eq!(came_back[0].why, returned);
    assert_eq!(
        (state(&phones[0], record), state(&phones[1], record)),
        ("returned".into(), "returned".into())
    );
}

/// Ten opinions as long as may be: about 60 KB of a record's 256 KiB.
fn many_words(seeded: &mut Seeded) -> Edit {
    (0..10).fold(Edit::new(), |edit, _| {
        let words = [("topic", Value::from("other")), ("text", Value::from("楼".repeat(2_000)))];
        edit.item("opinions", content::item(seeded), words)
    })
}

#[tokio::test]
async fn a_refused_change_takes_what_was_built_on_it_along_and_nothing_else_and_its_values_can_be_saved_again() {
    let post = Post::open("descendants");
    let mut phones = post.phones::<2>().await;
    let at = household(&phones[0], 101);
    let record = visit(&phones[0], at);
    sync_both(&mut phones).await;
    // Each fills half of the record and more; neither knows of the other, and together it is more than a record holds.
    let (mut one, mut other) = (Seeded::new(1), Seeded::new(2));
    for _ in 0..3 {
        write(&phones[0], record, many_words(&mut one)).unwrap();
        write(&phones[1], record, many_words(&mut other)).unwrap();
    }
    write(&phones[1], record, Edit::new().field("duration_min", 45)).unwrap();
    act(&phones[1], record, "finish");
    let elsewhere = household(&phones[1], 102);
    phones[0].sync().await.unwrap();
    phones[1].sync().await.unwrap();

    let codes: Vec<String> = phones[1]
        .core
        .refused()
        .unwrap()
        .into_iter()
        .map(|entry| entry.code)
        .collect();
    assert_eq!(codes, ["document_full", "descendant", "descendant", "descendant"]);
    let view = phones[1].core.record(record).unwrap();
    assert_eq!((view.row.waiting, view.row.refused, view.row.state.as_str()), (0, 4, "due"));
    assert_eq!(
        view.facts.lists["opinions"].len(),
        41,
        "the first's thirty, one of old, and ten of this phone"
    );
    assert_eq!(
        view.facts.fields["duration_min"],
        Value::from(20),
        "the record is as the station has it"
    );
    assert!(phones[1].core.waiting().unwrap().is_empty());
    assert_eq!(post.page(elsewhere).await["header"]["state"], json!("active"));

    let refused = phones[1].core.refused().unwrap();
    let small = [(FieldPath::Field("duration_min".into()), Said::Value(Value::from(45)))];
    let parked = refused
        .iter()
        .find(|entry| entry.what == RefusedWhat::Values(small.to_vec()))
        .unwrap();
    let draft = phones[1].core.offer_again(&parked.entry).unwrap();
    assert_eq!(phones[1].core.draft_commit(draft).unwrap(), record);
    sync_both(&mut phones).await;
    for phone in &phones {
        assert_eq!(shown(phone, record, "duration_min"), Value::from(45));
        assert_eq!(phone.core.record(record).unwrap().facts.lists["opinions"].len(), 41);
    }
    assert_eq!(
        phones[1].core.refused().unwrap().len(),
        3,
        "the rest is kept until he deals with it"
    );
}

#[tokio::test]
async fn a_mistaken_approval_withdrawn_leads_back_to_submitted_on_both_phones() {
    let post = Post::open("withdrawn");
    let mut phones = post.phones::<2>().await;
    let record = submitted_behind_the_other(&mut phones).await;
    assert_eq!(post.order(record, json!({ "act": "approve" })).await.0, 200);
    sync_both(&mut phones).await;
    assert_eq!(
        (state(&phones[0], record), state(&phones[1], record)),
        ("approved".into(), "approved".into())
    );
    assert_eq!(post.order(record, json!({ "act": "withdraw" })).await.0, 422, "he says why");
    assert_eq!(
        post.order(record, json!({ "act": "withdraw", "comment": "看错了住户" }))
            .await
            .0,
        200
    );
    sync_both(&mut phones).await;
    for phone in &phones {
        let view = phone.core.record(record).unwrap();
        assert_eq!((view.row.state.as_str(), view.may_write), ("submitted", true));
        let acts: Vec<&str> = view.acts.iter().map(|act| act.code.as_str()).collect();
        assert_eq!(acts, ["finish", "submit", "approve", "withdraw"], "nothing is struck out");
    }
    let queue = chief::rows(&post.desk, "/api/v1/review").await.unwrap();
    assert!(
        queue.iter().any(|row| row["id"] == json!(record.to_string())),
        "it waits for him again"
    );
}

#[tokio::test]
async fn two_records_of_one_household_are_merged_by_a_person_and_parted_again() {
    let post = Post::open("merged");
    let mut phones = post.phones::<2>().await;
    let (stays, goes) = (household(&phones[0], 101), household(&phones[1], 101));
    sync_both(&mut phones).await;
    let into = |target: RecordId| vec![("target".to_owned(), Value::from(target.to_string()))];
    let itself = try_act(&phones[0], goes, "merge_into", None, into(goes));
    assert!(matches!(itself, Err(CoreError::Hindered { .. })), "{itself:?}");
    try_act(&phones[0], goes, "merge_into", None, into(stays)).unwrap();
    sync_both(&mut phones).await;
    for phone in &phones {
        let view = phone.core.record(goes).unwrap();
        assert_eq!((view.row.state.as_str(), state(phone, stays)), ("merged", "active".into()));
        assert_eq!(view.acts.last().unwrap().values, into(stays));
        assert!(!view.facts.fields.is_empty(), "both keep what they say");
        let late = write(phone, goes, Edit::new().field("dwelling_use", "vacant"));
        assert!(matches!(late, Err(CoreError::Forbidden { .. })), "{late:?}");
    }
    try_act(&phones[1], goes, "unmerge", Some("门牌相同，但不是同一户"), vec![]).unwrap();
    phones.reverse();
    sync_both(&mut phones).await;
    for phone in &phones {
        assert_eq!(state(phone, goes), "active");
        assert!(write(phone, goes, Edit::new().field("address_code", phone.name.as_str())).unwrap());
    }
}
