// A station for an app's own tests: the real `beatbook-server` program on this machine, with a chief, and whoever is invited. It is found by
// BEATBOOK_SERVER or on the PATH, and keeps everything in one folder, which goes with it. Phones cannot start programs: there it is not.

#if os(Linux) || os(macOS)
    import Beatbook
    import Foundation
    #if canImport(FoundationNetworking)
        import FoundationNetworking
    #endif

    public enum StationError: Error {
        /// `beatbook-server` is neither named by BEATBOOK_SERVER nor on the PATH.
        case missing
        /// The program did not do what it was started for; this is what it said.
        case failed(String)
        /// It answered a call with this status and text.
        case answered(Int, String)
    }

    /// A station that serves until it is closed.
    public actor Station {
        private let folder: URL
        private let program: URL
        private let places: [String]
        private let token: String
        private var serving: Process?
        /// The address, which stays the same when the station comes back.
        public private(set) var url = ""

        /// Founds a station, and serves.
        public init() async throws {
            program = try Self.found()
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("beatbook-station-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            places = ["--data", folder.appendingPathComponent("data").path, "--keys", folder.appendingPathComponent("keys").path]
            let names = ["--station", "测试派出所", "--unit", "测试社区", "--chief", "测试所长"]
            let said = try Self.run(program, ["init"] + places + names)
            guard let line = said.split(separator: "\n").first(where: { $0.contains("token:") }),
                let told = line.range(of: "token:")
            else { throw StationError.failed(said) }
            token = line[told.upperBound...].trimmingCharacters(in: .whitespaces)
            try await start()
        }

        /// Serves, at the address of before if there was one.
        public func start() async throws {
            let address = folder.appendingPathComponent("address")
            let log = folder.appendingPathComponent("log")
            try? FileManager.default.removeItem(at: address)
            let listen = url.isEmpty ? "127.0.0.1:0" : String(url.dropFirst("http://".count))
            let process = Process()
            process.executableURL = program
            process.arguments = ["serve", "--listen", listen, "--address-file", address.path] + places
            try Data().write(to: log)
            let said = try FileHandle(forWritingTo: log)
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = said
            process.standardError = said
            try Self.start(process)
            serving = process
            let until = Date(timeIntervalSinceNow: 60)
            while true {
                if let told = try? String(contentsOf: address, encoding: .utf8), told.hasSuffix("\n") {
                    url = told.trimmingCharacters(in: .whitespacesAndNewlines)
                    return
                }
                guard process.isRunning, Date() < until else {
                    throw StationError.failed((try? String(contentsOf: log, encoding: .utf8)) ?? "")
                }
                try await Task.sleep(nanoseconds: 20_000_000)
            }
        }

        /// Goes off the network.
        public func stop() async {
            guard let process = serving else { return }
            serving = nil
            process.terminate()
            let until = Date(timeIntervalSinceNow: 30)
            while process.isRunning {
                if Date() > until { kill(process.processIdentifier, SIGKILL) }
                try? await Task.sleep(nanoseconds: 10_000_000)
            }
        }

        /// Goes for good.
        public func close() async {
            await stop()
            try? FileManager.default.removeItem(at: folder)
        }

        /// Asks as the chief, with a body in JSON; gives the body of the answer.
        @discardableResult
        public func call(_ method: String, _ path: String, _ body: String? = nil) async throws -> Data {
            guard let address = URL(string: url + path) else { throw StationError.failed("no address: \(url)\(path)") }
            var request = URLRequest(url: address)
            request.httpMethod = method
            request.httpBody = body.map { Data($0.utf8) }
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
            let (answer, reply) = try await URLSession.shared.data(for: request)
            let status = (reply as? HTTPURLResponse)?.statusCode ?? 0
            guard (200..<300).contains(status) else {
                throw StationError.answered(status, String(decoding: answer, as: UTF8.self))
            }
            return answer
        }

        /// Adds a person, and gives the invitation that the chief's screen would show his phone.
        public func invite(_ name: String, role: String = "officer") async throws -> String {
            struct NewUser: Encodable {
                let name: String
                let roles: [String]
            }
            struct Added: Decodable {
                let user: String
            }
            struct Invited: Decodable {
                let invitation: String
            }
            let person = try JSONEncoder().encode(NewUser(name: name, roles: [role]))
            let added = try await call("POST", "/api/v1/users", String(decoding: person, as: UTF8.self))
            let user = try JSONDecoder().decode(Added.self, from: added).user
            let invited = try await call("POST", "/api/v1/users/\(user)/enrolment-code", "{}")
            return try JSONDecoder().decode(Invited.self, from: invited).invitation
        }

        /// Fills the station with households and a visit to each, written by a colleague's phone: something to list, search and sync.
        public func sampleData(households: Int = 20) async throws {
            let phone = folder.appendingPathComponent("colleague")
            let vault = try softwareVault(folder: phone.appendingPathComponent("vault").path)
            let config = Config(folder: phone.appendingPathComponent("books").path, device: "sample")
            let book = try await Beatbook.open(config: config, platform: Platform(vault: vault, signer: nil, connectivity: nil))
            let session = try await book.addUser(label: "样例", newPin: "518264")
            let invitation = try await invite("样例", role: "grid_worker")
            _ = try await session.enrol(order: EnrolOrder(invitation: invitation, address: url, trust: nil))
            for number in 1...max(households, 1) {
                let (north, east) = (39_970_000 + number * 200, 116_440_000 + number * 200)
                let place = "geo:\(Self.degrees(north)),\(Self.degrees(east))"
                let home = try await Self.written(session, "household", ["address": .text("样例路\(number)号"), "place": .text(place)])
                _ = try await Self.written(session, "visit", ["household": .text(home), "outcome": "done"])
            }
            let outcome = try await session.sync().now()
            try await session.lock()
            guard outcome.complete else { throw StationError.failed("the sample did not reach the station: \(outcome)") }
        }

        deinit {
            // A test that failed before it closed this leaves no program behind.
            serving?.terminate()
        }

        private static func written(_ session: Session, _ kind: String, _ edit: RecordEdit) async throws -> String {
            let records = try session.records()
            var draft = try await records.draft(kind: kind, record: nil)
            draft.edit = edit
            let saved = try await records.save(draft: draft)
            return try await records.submit(draft: saved.id, act: nil).record
        }

        /// Millionths of a degree, as a decimal number in every region's settings.
        private static func degrees(_ millionths: Int) -> String {
            let digits = String(millionths % 1_000_000)
            return "\(millionths / 1_000_000)." + String(repeating: "0", count: 6 - digits.count) + digits
        }

        private static func found() throws -> URL {
            let environment = ProcessInfo.processInfo.environment
            if let named = environment["BEATBOOK_SERVER"], FileManager.default.isExecutableFile(atPath: named) {
                return URL(fileURLWithPath: named)
            }
            let folders = (environment["PATH"] ?? "").split(separator: ":")
            let places = folders.map { URL(fileURLWithPath: String($0)).appendingPathComponent("beatbook-server") }
            guard let place = places.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
                throw StationError.missing
            }
            return place
        }

        private static func run(_ program: URL, _ arguments: [String]) throws -> String {
            let process = Process()
            let pipe = Pipe()
            process.executableURL = program
            process.arguments = arguments
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = pipe
            process.standardError = pipe
            try start(process)
            let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            guard process.terminationStatus == 0 else { throw StationError.failed(said) }
            return said
        }

        /// Starts a program that hears signals. The threads that tasks run on hold them back, and a program inherits that from the thread that
        /// starts it: it would never hear that it should end.
        private static func start(_ process: Process) throws {
            var (none, before) = (sigset_t(), sigset_t())
            sigemptyset(&none)
            pthread_sigmask(SIG_SETMASK, &none, &before)
            defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
            try process.run()
        }
    }
#endif
