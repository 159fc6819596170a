// What changes, as asynchronous sequences: each loop has a subscription of its own, which ends with the loop.

@_exported import BeatbookCore

/// How something looks: now, and whenever it looks different. Whoever is slow sees the newest alone; of news he misses none.
///
/// A loop begins with a subscription of its own. It ends with the loop, with the task that the loop runs in, or when the session is locked.
public struct Newest<Element: Sendable>: AsyncSequence, Sendable {
    var keepsAll = false
    let observe: @Sendable (Told<Element>) throws -> Subscription

    public func makeAsyncIterator() -> Iterator {
        let (stream, continuation) = AsyncThrowingStream.makeStream(
            of: Element.self,
            throwing: (any Error).self,
            bufferingPolicy: keepsAll ? .unbounded : .bufferingNewest(1)
        )
        do {
            let subscription = try observe(Told(continuation))
            continuation.onTermination = { _ in try? subscription.cancel() }
        } catch {
            continuation.finish(throwing: error)
        }
        return Iterator(told: stream.makeAsyncIterator())
    }

    public struct Iterator: AsyncIteratorProtocol {
        // The stream ends when the last hold on this is let go: a loop that breaks needs to do no more.
        var told: AsyncThrowingStream<Element, any Error>.Iterator

        public mutating func next() async throws -> Element? {
            try await told.next()
        }
    }
}

/// Takes what the core tells. The core lets go of it when it has no more to tell, which ends the loop.
final class Told<Element: Sendable>: Sendable {
    private let continuation: AsyncThrowingStream<Element, any Error>.Continuation

    init(_ continuation: AsyncThrowingStream<Element, any Error>.Continuation) {
        self.continuation = continuation
    }

    func tell(_ shown: Element) {
        continuation.yield(shown)
    }

    deinit {
        continuation.finish()
    }
}

extension Records {
    /// How a list looks: now, and whenever it looks different.
    public func pages(_ filter: RecordFilter = RecordFilter()) -> Newest<RecordPage> {
        Newest { told in try self.observe(filter: filter, listener: RecordsTold(told: told)) }
    }
}

extension Patrols {
    /// How the patrol stands, `nil` when none goes on: now, and whenever that changes.
    public func states() -> Newest<ActivePatrol?> {
        Newest { told in try self.observe(listener: PatrolTold(told: told)) }
    }
}

extension StationSync {
    /// Where the book stands with its station: now, while a sync goes on, and whenever that changes.
    public func states() -> Newest<SyncStatus> {
        Newest { told in try self.observe(listener: SyncTold(told: told)) }
    }
}

extension StationSync {
    /// What syncs bring that an app may want to show, those of a sync that keeps up too: each exchange's news once, in order.
    public func news() -> Newest<[SyncNews]> {
        Newest(keepsAll: true) { told in try self.observeNews(listener: NewsTold(told: told)) }
    }
}

private final class RecordsTold: RecordsListener {
    private let told: Told<RecordPage>

    init(told: Told<RecordPage>) {
        self.told = told
    }

    func onPage(page: RecordPage) {
        told.tell(page)
    }
}

private final class PatrolTold: PatrolListener {
    private let told: Told<ActivePatrol?>

    init(told: Told<ActivePatrol?>) {
        self.told = told
    }

    func onPatrol(patrol: ActivePatrol?) {
        told.tell(patrol)
    }
}

private final class SyncTold: SyncListener {
    private let told: Told<SyncStatus>

    init(told: Told<SyncStatus>) {
        self.told = told
    }

    func onStatus(status: SyncStatus) {
        told.tell(status)
    }
}

private final class NewsTold: NewsListener {
    private let told: Told<[SyncNews]>

    init(told: Told<[SyncNews]>) {
        self.told = told
    }

    func onNews(news: [SyncNews]) {
        told.tell(news)
    }
}
