// Bad input and bad luck: cancelled syncs, locked books, keystores that fail.

import Beatbook
import BeatbookTesting
import Foundation
import XCTest

final class LuckTests: StationCase {
    func testACancelledTaskCancelsItsSyncAndNothingIsLost() async throws {
        let session = try await handset.enrolled(station, "取消甲")
        try await session.household("东里1号")
        let sync = try session.sync()
        let keeping = Task { try await sync.now(SyncOptions(keepUp: true)) }
        _ = try await first(of: sync.states()) { $0.synced }
        try await session.household("东里2号")
        try sync.notifyConnectivity(network: .free)
        _ = try await first(of: sync.states()) { $0.synced && $0.waiting == 0 }
        keeping.cancel()
        let outcome = try await keeping.value
        XCTAssertEqual(outcome.trouble?.code, "cancelled")
        // It is over: what is captured now waits for the next one.
        try await session.household("东里3号")
        try await Task.sleep(nanoseconds: 500_000_000)
        let waiting = try await sync.status().waiting
        XCTAssertEqual(waiting, 1)
        let next = try await sync.now()
        XCTAssertTrue(next.complete)
        XCTAssertEqual(next.accepted, 1)
        try await session.lock()
    }

    func testATaskThatIsCancelledAlreadyBeginsNoSync() async throws {
        let session = try await handset.enrolled(station, "取消乙")
        let sync = try session.sync()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await sync.now()
        }
        task.cancel()
        do {
            _ = try await task.value
            XCTFail("the sync went on")
        } catch {
            XCTAssertTrue(error is CancellationError, "\(error)")
        }
        try await session.lock()
    }

    func testALockedBookSaysSoEverywhere() async throws {
        let session = try await handset.enrolled(station, "上锁甲")
        let (records, patrols, sync) = (try session.records(), try session.patrols(), try session.sync())
        let keeping = Task { try await sync.now(SyncOptions(keepUp: true)) }
        _ = try await first(of: sync.states()) { $0.synced }
        try await session.lock()
        do {
            let outcome = try await keeping.value
            XCTAssertEqual(outcome.trouble?.code, "cancelled")
        } catch {
            XCTAssertEqual(error as? BeatbookError, .Locked)
        }
        let failures = [
            await failure { _ = try await records.kinds() },
            await failure { _ = try await records.draft(kind: "household", record: nil) },
            await failure { _ = try await patrols.start(edit: [:]) },
            await failure { _ = try await sync.status() },
            await failure { _ = try await sync.now() },
            await failure { _ = try await session.state() },
        ]
        XCTAssertEqual(failures, Array(repeating: .Locked, count: failures.count))
        // A second time does nothing.
        try await session.lock()
    }

    func testErrorsSayWhatAnAppCanDo() async throws {
        let session = try await handset.enrolled(station, "错误甲")
        let records = try session.records()
        let noRecord = await failure { _ = try await records.get(record: "no id") }
        XCTAssertEqual(noRecord, .InvalidInput(field: "record"))
        let noLimit = await failure { _ = try await records.search(text: "x", limit: 0) }
        XCTAssertEqual(noLimit, .InvalidInput(field: "limit"))
        try await session.lock()

        let book = try await handset.open()
        let users = try await book.users()
        let user = try XCTUnwrap(users.first).user
        let wrongPin = await failure { _ = try await book.unlock(user: user, pin: "000001") }
        XCTAssertEqual(wrongPin, .InvalidInput(field: "pin"))
        let state = try await book.lockState(user: user)
        XCTAssertEqual(state.triesLeft, 9)
        let noUser = await failure { _ = try await book.lockState(user: "nobody") }
        XCTAssertEqual(noUser, .InvalidInput(field: "user"))
        let badPin = await failure { _ = try await book.addUser(label: "错误乙", newPin: "1") }
        XCTAssertEqual(badPin, .InvalidInput(field: "new_pin"))

        let unenrolled = try await other.open().addUser(label: "错误丙", newPin: pin)
        let order = EnrolOrder(invitation: "beatbook:nothing", address: nil, trust: nil)
        let noInvitation = await failure { _ = try await unenrolled.enrol(order: order) }
        XCTAssertEqual(noInvitation, .InvalidInput(field: "invitation"))
        let noStation = await failure { _ = try await unenrolled.sync().now() }
        XCTAssertEqual(noStation, .SignInAgain)
        try await unenrolled.lock()
    }

    func testAKeystoreOfTheAppThatFailsIsAnErrorAndOneThatThrowsAnythingElseIsToo() async throws {
        let vault = Moody(try handset.vault())
        let book = try await handset.open(vault)
        try await book.addUser(label: "钥匙甲", newPin: pin).lock()
        let users = try await book.users()
        let user = try XCTUnwrap(users.first).user
        vault.mood = { throw KeyVaultError.Denied }
        let denied = await failure { _ = try await book.unlock(user: user, pin: pin) }
        XCTAssertEqual(denied, .Locked)
        vault.mood = { throw OnFire() }
        let thrown = await failure { _ = try await book.unlock(user: user, pin: pin) }
        guard case .Internal = thrown else { return XCTFail("\(String(describing: thrown))") }
        vault.mood = {}
        try await book.unlock(user: user, pin: pin).lock()
    }

    private struct OnFire: Error {}

    /// The mood changes between calls, never during one.
    private final class Moody: KeyVault, @unchecked Sendable {
        private let inner: any KeyVault
        var mood: () throws -> Void = {}

        init(_ inner: any KeyVault) {
            self.inner = inner
        }

        func wrap(key: String, gate: KeyGate, bytes: Data) throws -> Data {
            try inner.wrap(key: key, gate: gate, bytes: bytes)
        }

        func release(key: String, wrapped: Data) throws -> Data {
            try mood()
            return try inner.release(key: key, wrapped: wrapped)
        }

        func forget(key: String) throws {
            try inner.forget(key: key)
        }

        func keepsApart() throws -> Bool {
            try inner.keepsApart()
        }
    }
}
