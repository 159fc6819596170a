// Syncs that end with the task that waits for them.

import BeatbookCore

extension StationSync {
    /// Syncs. When the task that waits is cancelled, the sync is too: this returns at once with the trouble `cancelled` and no counts. What was
    /// exchanged is kept.
    ///
    /// - Throws: `CancellationError` when the task was cancelled before anything began, otherwise a `BeatbookError`.
    public func now(_ options: SyncOptions = SyncOptions()) async throws -> SyncOutcome {
        // The core's futures hear nothing of a Swift task's end: the run itself must be told.
        try Task.checkCancellation()
        let run = try start(options: options)
        return try await withTaskCancellationHandler {
            try await run.finished()
        } onCancel: {
            try? run.cancel()
        }
    }
}
