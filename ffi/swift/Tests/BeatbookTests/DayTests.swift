// A day on a phone through the layer of Swift's own ways, over a real station.

import Beatbook
import BeatbookTesting
import Foundation
import XCTest

final class DayTests: StationCase {
    func testARecordIsDrawnUpOfflineAndTravelsToAnotherPhone() async throws {
        let session = try await handset.enrolled(station, "走访甲")
        await station.stop()
        let records = try session.records()
        let kinds = try await records.kinds()
        XCTAssertTrue(Set(["household", "visit", "patrol"]).isSubset(of: Set(kinds.map(\.code))))

        var draft = try await records.draft(kind: "visit", record: nil)
        let missing = try await records.validate(draft: draft).findings.filter { $0.code == "required" }.map(\.path)
        XCTAssertTrue(missing.contains("fields/outcome"), "\(missing)")
        let home = try await session.household("幸福里7号楼2单元301")
        let began = Date(millisecondsSince1970: 1_700_000_000_123)
        draft.edit = ["household": .text(home), "outcome": "done", "started_at": .time(began), "duration_min": 12]
        let saved = try await records.save(draft: draft)
        let done = try await records.submit(draft: saved.id, act: "finish")
        XCTAssertEqual(done.state, "done")

        let away = try await session.sync().now()
        XCTAssertFalse(away.complete)
        XCTAssertEqual(away.trouble?.code, "try_later")
        let waiting = try await session.sync().status().waiting
        XCTAssertGreaterThan(waiting, 1)

        try await station.start()
        let back = try await session.sync().now()
        XCTAssertTrue(back.complete)
        XCTAssertEqual(back.refused, 0)
        XCTAssertEqual(back.accepted, waiting)

        let reader = try await other.enrolled(station, "走访乙")
        let read = try await reader.records().get(record: done.record)
        XCTAssertEqual(read.row.about, home)
        XCTAssertEqual(read.facts.fields["outcome"], "done")
        XCTAssertEqual(read.facts.fields["duration_min"], 12)
        XCTAssertEqual(read.facts.fields["started_at"], .number(began.millisecondsSince1970))
        let found = try await reader.records().search(text: "幸福里", limit: 10)
        XCTAssertEqual(found.map(\.record), [home])
        try await session.lock()
        try await reader.lock()
    }

    func testAPatrolIsRecordedInBatchesAndGoesOnAfterAStart() async throws {
        let session = try await handset.enrolled(station, "巡逻甲")
        let before = try await first(of: try session.patrols().states())
        XCTAssertNil(before)
        let record = try await session.patrols().start(edit: [:])
        for batch in stride(from: 0, to: 600, by: 200) {
            let points = (batch..<batch + 200).map(Self.point)
            _ = try await session.patrols().addPoints(points: points)
        }
        let shown = try await first(of: try session.patrols().states()) { $0?.counts.points == 600 }
        XCTAssertEqual(shown?.record, record)
        try await session.lock()

        let again = try await handset.unlocked()
        let active = try await again.patrols().active()
        XCTAssertEqual(active?.record, record)
        XCTAssertEqual(active?.counts.points, 600)
        let finished = try await again.patrols().finish(edit: [:])
        XCTAssertEqual(finished, record)
        let after = try await again.patrols().active()
        XCTAssertNil(after)
        let outcome = try await again.sync().now()
        XCTAssertTrue(outcome.complete)
        try await again.lock()
    }

    func testTwoPhonesSettleWhatBothWrote() async throws {
        let one = try await handset.enrolled(station, "冲突甲")
        let two = try await other.enrolled(station, "冲突乙")
        let home = try await one.household("解放路3号")
        _ = try await one.sync().now()
        _ = try await two.sync().now()
        _ = try await one.records().edit(record: home, edit: ["address": "解放路3号院"], version: nil)
        _ = try await two.records().edit(record: home, edit: ["address": "解放路三号"], version: nil)
        _ = try await one.sync().now()
        _ = try await two.sync().now()
        let conflicts = try await two.conflicts().all()
        let conflict = try XCTUnwrap(conflicts.first)
        XCTAssertEqual(conflicts.count, 1)
        XCTAssertEqual(conflict.record, home)
        XCTAssertEqual(Set(conflict.claims.map(\.by.name)), ["冲突甲", "冲突乙"])
        let version = try await two.records().get(record: home).row.version
        try await two.conflicts().settle(record: home, place: conflict.path, value: "解放路3号院", version: version)
        _ = try await two.sync().now()
        _ = try await one.sync().now()
        let settled = try await one.records().get(record: home).facts.fields["address"]
        XCTAssertEqual(settled, "解放路3号院")
        let left = try await one.conflicts().all()
        XCTAssertTrue(left.isEmpty)
        try await one.lock()
        try await two.lock()
    }

    func testAStationWithSampleDataGivesAPhoneSomethingToShow() async throws {
        try await station.sampleData(households: 7)
        let session = try await handset.enrolled(station, "新人甲")
        let page = try await session.records().page(filter: RecordFilter(kind: "household"))
        XCTAssertEqual(page.rows.count, 7)
        let near = try await session.records().nearby(kind: "household", place: "geo:39.9702,116.4402", metres: 5, limit: 5)
        XCTAssertEqual(near.count, 1)
        try await session.lock()
    }

    static func point(_ n: Int) -> TrackPoint {
        TrackPoint(
            at: 1_700_000_000_000 + 1000 * Int64(n),
            lat: 39.97 + Double(n) * 2e-5,
            lon: 116.44,
            accuracyM: 8,
            source: .gps
        )
    }
}
