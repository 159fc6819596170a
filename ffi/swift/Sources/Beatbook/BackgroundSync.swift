// Syncs when iOS gives the app time in the background; never built here. It unlocks nothing: it works on a session that the app holds open, and
// without one it ends at once; the app syncs after each unlocking anyway.

#if canImport(BackgroundTasks) && os(iOS)
    import BackgroundTasks
    import BeatbookCore
    import Foundation

    /// One sort of background task. Its identifier stands in the app's `Info.plist` under `BGTaskSchedulerPermittedIdentifiers`; `UIBackgroundModes`
    /// holds `fetch` for a refresh and `processing` for a long one.
    ///
    ///     let refresh = BackgroundSync("org.example.refresh", .refresh) { await books.session }
    ///     refresh.register()          // before the app has finished launching
    ///     try refresh.schedule()      // whenever it goes to the background
    public struct BackgroundSync: Sendable {
        public enum Sort: Sendable {
            /// Half a minute, some times a day: records alone.
            case refresh
            /// Some minutes while the phone lies still, mostly at night: photos too.
            case processing
        }

        private let identifier: String
        private let sort: Sort
        private let session: @Sendable () async -> Session?
        private let ended: @Sendable (Result<SyncOutcome, any Error>) async -> Void

        /// - Parameters:
        ///   - session: Gives the session that is open now, `nil` while the book is locked.
        ///   - ended: Told of each sync: here the app says that a person must act (`upgrade_required`, `sign_in_again`, ...).
        public init(
            _ identifier: String,
            _ sort: Sort,
            session: @escaping @Sendable () async -> Session?,
            ended: @escaping @Sendable (Result<SyncOutcome, any Error>) async -> Void = { _ in }
        ) {
            self.identifier = identifier
            self.sort = sort
            self.session = session
            self.ended = ended
        }

        /// Tells iOS what to start. Once, before the app has finished launching; `false` when `Info.plist` does not permit the identifier.
        @discardableResult
        public func register() -> Bool {
            BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: nil) { task in
                run(task)
            }
        }

        /// Asks for one sync, not before so many seconds have passed. A later call takes the place of an earlier one.
        public func schedule(after seconds: TimeInterval = 15 * 60) throws {
            let request: BGTaskRequest
            switch sort {
            case .refresh:
                request = BGAppRefreshTaskRequest(identifier: identifier)
            case .processing:
                let long = BGProcessingTaskRequest(identifier: identifier)
                long.requiresNetworkConnectivity = true
                request = long
            }
            request.earliestBeginDate = Date(timeIntervalSinceNow: seconds)
            try BGTaskScheduler.shared.submit(request)
        }

        /// Some seconds less than iOS gives: nothing begins that it would cut off.
        private var options: SyncOptions {
            switch sort {
            case .refresh: SyncOptions(photos: false, secondsMax: 20)
            case .processing: SyncOptions(secondsMax: 180)
            }
        }

        private func run(_ task: BGTask) {
            // iOS forgets a request that it has carried out. It refuses one when the user has switched this off: then there is no next time.
            try? schedule()
            let held = Held(task: task)
            let work = Task {
                held.task.setTaskCompleted(success: await sync())
            }
            // The time is up before its time. The sync ends with its task, and what was exchanged is kept; an app that does not end then is killed.
            task.expirationHandler = { work.cancel() }
        }

        private func sync() async -> Bool {
            guard let session = await session() else { return true }
            do {
                let outcome = try await session.sync().now(options)
                await ended(.success(outcome))
                return outcome.trouble == nil
            } catch BeatbookError.Locked {
                // The app locked the book meanwhile: whoever unlocks it syncs.
                return true
            } catch {
                await ended(.failure(error))
                return false
            }
        }
    }

    /// A task of iOS may be ended from any thread, which its type does not say.
    private struct Held: @unchecked Sendable {
        let task: BGTask
    }
#endif
