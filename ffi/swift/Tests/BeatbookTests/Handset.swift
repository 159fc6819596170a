// What the tests stand on: phones in folders of their own, as apps hold them, and a station.

import Beatbook
import BeatbookTesting
import Foundation
import XCTest

let pin = "518264"

/// A phone in a folder.
struct Handset {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("beatbook-phone-\(UUID().uuidString)")

    func vault() throws -> any KeyVault {
        try softwareVault(folder: folder.appendingPathComponent("vault").path)
    }

    func open(_ vault: (any KeyVault)? = nil) async throws -> Beatbook {
        let config = Config(folder: folder.appendingPathComponent("books").path, device: "test phone")
        let platform = Platform(vault: try vault ?? self.vault(), signer: nil, connectivity: nil)
        return try await Beatbook.open(config: config, platform: platform)
    }

    /// A new user on this phone, enrolled and synced once.
    func enrolled(_ station: Station, _ name: String) async throws -> Session {
        let session = try await open().addUser(label: name, newPin: pin)
        let order = EnrolOrder(invitation: try await station.invite(name), address: await station.url, trust: nil)
        let enrolled = try await session.enrol(order: order)
        XCTAssertEqual(enrolled.userName, name)
        let first = try await session.sync().now()
        XCTAssertTrue(first.complete)
        return session
    }

    func unlocked() async throws -> Session {
        let book = try await open()
        let users = try await book.users()
        return try await book.unlock(user: try XCTUnwrap(users.first).user, pin: pin)
    }

    func remove() {
        try? FileManager.default.removeItem(at: folder)
    }
}

extension Session {
    /// Draws up a household and hands it in.
    @discardableResult
    func household(_ address: String) async throws -> String {
        let records = try records()
        var draft = try await records.draft(kind: "household", record: nil)
        draft.edit = ["address": .text(address)]
        let saved = try await records.save(draft: draft)
        return try await records.submit(draft: saved.id, act: nil).record
    }
}

/// A test with a station and two phones, which all go with it.
class StationCase: XCTestCase {
    private(set) var station: Station!
    let handset = Handset()
    let other = Handset()

    override func setUp() async throws {
        station = try await Station()
    }

    override func tearDown() async throws {
        await station?.close()
        handset.remove()
        other.remove()
    }

    /// Waits for the first element that holds, 20 seconds at most.
    func first<Element: Sendable>(
        of shown: Newest<Element>,
        where holds: @escaping @Sendable (Element) -> Bool = { _ in true }
    ) async throws -> Element {
        let looking = Task { () -> Element? in
            for try await element in shown where holds(element) {
                return element
            }
            return nil
        }
        let late = Task {
            try await Task.sleep(nanoseconds: 20_000_000_000)
            looking.cancel()
        }
        defer { late.cancel() }
        let found = try await looking.value
        return try XCTUnwrap(found, "nothing of that sort came")
    }

    /// The error of a call that must fail.
    func failure(_ call: () async throws -> Void, line: UInt = #line) async -> BeatbookError? {
        do {
            try await call()
            XCTFail("the call went well", line: line)
            return nil
        } catch {
            return error as? BeatbookError
        }
    }
}
