// The guide's samples in Swift (docs/ffi.md), as they run: whoever changes one changes it in both places.

import Beatbook
import BeatbookTesting
import Foundation
import XCTest

final class GuideTests: StationCase {
    func testTheQuickStartRunsFromEnrolmentToTheSecondPhone() async throws {
        let (folder, address) = (handset.folder, await station.url)
        let invitation = try await station.invite("张警官")
        let session = try await enrol(folder: folder, invitation: invitation, address: address)
        let home = try await recordAHousehold(session)
        let outcome = try await sync(session)
        XCTAssertTrue(outcome.complete)
        let shown = try await watch(session, until: home)
        XCTAssertEqual(shown, ["幸福里7号楼2单元301"])
        try await session.lock()

        let reader = try await other.enrolled(station, "李警官")
        let read = try await reader.records().get(record: home)
        XCTAssertEqual(read.facts.fields["address"], "幸福里7号楼2单元301")
        try await reader.lock()
        let locked = await failure { _ = try await reader.records().get(record: home) }
        XCTAssertEqual(locked.map(advice), "ask for the PIN")
    }

    private func enrol(folder: URL, invitation: String, address: String) async throws -> Session {
        // On a phone: a KeyVault of the app's own, over the Keychain.
        let vault = try softwareVault(folder: folder.appendingPathComponent("vault").path)
        let config = Config(folder: folder.appendingPathComponent("books").path, device: "iPhone 15")
        let book = try await Beatbook.open(config: config, platform: Platform(vault: vault, signer: nil, connectivity: nil))
        let session = try await book.addUser(label: "张警官", newPin: "518264")

        // What the chief's screen shows as a QR code. Without an address the invitation's word is taken.
        let enrolled = try await session.enrol(order: EnrolOrder(invitation: invitation, address: address, trust: nil))
        print("enrolled at \(enrolled.station), compare \(enrolled.checkDigits ?? "nothing")")
        _ = try await session.sync().now()
        return session
    }

    private func recordAHousehold(_ session: Session) async throws -> String {
        let records = try session.records()
        var draft = try await records.draft(kind: "household", record: nil)
        draft.edit = ["address": "幸福里7号楼2单元301", "place": "geo:39.971743,116.441827;u=12"]
        // Findings say what is missing and what is wrong, in both languages.
        let form = try await records.validate(draft: draft)
        for finding in form.findings where finding.hinders {
            print(finding.path, finding.text.zh)
        }
        let saved = try await records.save(draft: draft)
        return try await records.submit(draft: saved.id, act: nil).record
    }

    private func sync(_ session: Session) async throws -> SyncOutcome {
        // Cancelling the task that waits cancels the sync; what was exchanged is kept.
        let outcome = try await session.sync().now(SyncOptions(secondsMax: 60))
        if let trouble = outcome.trouble {
            print("not all was done: \(trouble.code), \(trouble.text)")
        }
        return outcome
    }

    private func watch(_ session: Session, until home: String) async throws -> [String] {
        var shown: [String] = []
        // A page now, and whenever it looks different. The subscription ends with the loop, or when the session is locked.
        for try await page in try session.records().pages(RecordFilter(kind: "household", mine: true)) {
            shown = page.rows.compactMap { row in
                if case .text(let address) = row.fields["address"] { address } else { nil }
            }
            if page.rows.contains(where: { $0.record == home }) { break }
        }
        return shown
    }

    private func advice(_ error: BeatbookError) -> String {
        switch error {
        case .InvalidInput(let field): "show \(field) again and let the user decide"
        case .Locked: "ask for the PIN"
        case .SignInAgain: "enrol"
        case .UpgradeRequired: "update the app"
        case .TryLater(let afterMs): "try again in \(afterMs) ms"
        case .StorageFull: "have some space freed; what was saved is safe"
        case .StorageDamaged(let keptAt): "open again; all bytes are kept at \(keptAt)"
        case .Internal(let report): "send us this: \(report)"
        }
    }
}
