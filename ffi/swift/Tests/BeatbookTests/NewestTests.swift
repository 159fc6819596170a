// The sequences: what a loop sees, and what ends it.

import BeatbookTesting
import XCTest

@testable import Beatbook

final class NewestTests: StationCase {
    func testAListIsASequenceThatShowsEachLookInOrder() async throws {
        let session = try await handset.enrolled(station, "观察甲")
        let pages = try session.records().pages(RecordFilter(kind: "household", mine: true))
        let looking = Task {
            var sizes: [Int] = []
            for try await page in pages {
                sizes.append(page.rows.count)
                if page.rows.count == 10 { break }
            }
            return sizes
        }
        for number in 0..<10 {
            try await session.household("南里\(number)号")
        }
        let sizes = try await looking.value
        XCTAssertEqual(sizes, sizes.sorted())
        XCTAssertLessThanOrEqual(sizes.count, 11)
        // The same value serves a second loop, which begins with how it looks by then.
        let now = try await first(of: pages)
        XCTAssertEqual(now.rows.count, 10)
        try await session.lock()
    }

    func testWhoeverIsSlowSeesTheNewestAlone() async throws {
        let session = try await handset.enrolled(station, "观察乙")
        let pages = try session.records().pages(RecordFilter(kind: "household"))
        var loop = pages.makeAsyncIterator()
        let empty = try await loop.next()
        XCTAssertEqual(empty?.rows.count, 0)
        for number in 0..<5 {
            try await session.household("西里\(number)号")
            try await Task.sleep(nanoseconds: 100_000_000)
        }
        _ = try await first(of: pages) { $0.rows.count == 5 }
        try await Task.sleep(nanoseconds: 200_000_000)
        let newest = try await loop.next()
        XCTAssertEqual(newest?.rows.count, 5)
        try await session.lock()
    }

    func testTheSubscriptionEndsWithTheLoopThatBreaks() async throws {
        let session = try await handset.enrolled(station, "观察丙")
        let (watched, released) = try watch(session)
        for try await page in watched {
            XCTAssertEqual(page.rows.count, 0)
            break
        }
        // Nothing else holds the listener: it goes when the core lets go of it.
        await fulfillment(of: [released], timeout: 20)
        try await session.lock()
    }

    func testTheSubscriptionEndsWithTheTaskOfTheLoop() async throws {
        let session = try await handset.enrolled(station, "观察丁")
        let (watched, released) = try watch(session)
        let began = expectation(description: "the loop has begun")
        let looking = Task {
            var looks = 0
            for try await _ in watched {
                looks += 1
                if looks == 1 { began.fulfill() }
            }
            return looks
        }
        await fulfillment(of: [began], timeout: 20)
        looking.cancel()
        let looks = try await looking.value
        XCTAssertEqual(looks, 1)
        await fulfillment(of: [released], timeout: 20)
        try await session.lock()
    }

    func testALoopEndsWhenTheSessionIsLocked() async throws {
        let session = try await handset.enrolled(station, "观察戊")
        let states = try session.sync().states()
        let began = expectation(description: "the loop has begun")
        began.assertForOverFulfill = false
        let looking = Task {
            for try await _ in states {
                began.fulfill()
            }
        }
        await fulfillment(of: [began], timeout: 20)
        try await session.lock()
        try await looking.value
        // A loop that begins afterwards has nothing to show, and ends too.
        for try await _ in states {
            XCTFail("a locked book showed something")
        }
    }

    func testAScreenLoopsOnItsOwnThreadAndIsNotHeldUp() async throws {
        let session = try await handset.enrolled(station, "观察己")
        let ticking = Task { @MainActor in
            var ticks = 0
            while !Task.isCancelled {
                ticks += 1
                try? await Task.sleep(nanoseconds: 5_000_000)
            }
            return ticks
        }
        let screen = Task { @MainActor in
            var shown = 0
            for try await page in try session.records().pages(RecordFilter(kind: "household")) {
                MainActor.assertIsolated()
                shown = page.rows.count
                if shown == 1 { break }
            }
            return shown
        }
        try await session.household("前里1号")
        let shown = try await screen.value
        ticking.cancel()
        let ticks = await ticking.value
        XCTAssertEqual(shown, 1)
        XCTAssertGreaterThan(ticks, 1)
        try await session.lock()
    }

    /// The pages of a session, and what is fulfilled when the core has let go of the listener.
    private func watch(_ session: Session) throws -> (Newest<RecordPage>, XCTestExpectation) {
        let records = try session.records()
        let released = expectation(description: "the core lets go of the listener")
        let pages = Newest<RecordPage> { told in
            try records.observe(filter: RecordFilter(), listener: Watching(told, released))
        }
        return (pages, released)
    }

    private final class Watching: RecordsListener {
        private let told: Told<RecordPage>
        private let released: XCTestExpectation

        init(_ told: Told<RecordPage>, _ released: XCTestExpectation) {
            self.told = told
            self.released = released
        }

        func onPage(page: RecordPage) {
            told.tell(page)
        }

        deinit {
            released.fulfill()
        }
    }
}
