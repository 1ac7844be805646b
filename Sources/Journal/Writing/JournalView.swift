import Synchronization

/// What readers on any thread see of the writer's work: positions, recent batches, figures.
///
/// The writer publishes after each group, before anybody is told of it.
final class JournalView: Sendable {
    private struct State {
        var streams: [StreamID: StreamFigures] = [:]
        var descriptions: [StreamDescription] = []
        var recent: RecentBatches
        var figures = JournalFigures()
        var observer: (@Sendable ([StreamAdvance]) -> Void)?
    }

    private let state: Mutex<State>

    init(cacheBytesMax: Int) {
        state = Mutex(State(recent: RecentBatches(bytesMax: cacheBytesMax)))
    }

    func end(of stream: StreamID) -> UInt64 { state.withLock { $0.streams[stream]?.end ?? 0 } }
    func start(of stream: StreamID) -> UInt64 { state.withLock { $0.streams[stream]?.start ?? 0 } }
    func cached(_ stream: StreamID, at position: UInt64) -> EventBatch? { state.withLock { $0.recent.batch(stream, at: position) } }
    var descriptions: [StreamDescription] { state.withLock { $0.descriptions } }

    func stream(_ kind: StreamKind, named name: String) -> StreamID? {
        state.withLock { $0.descriptions.first { $0.kind == kind && $0.name == name }?.id }
    }

    func figures() -> JournalFigures {
        state.withLock {
            var figures = $0.figures
            figures.streams = $0.streams
            return figures
        }
    }

    func setObserver(_ observer: @escaping @Sendable ([StreamAdvance]) -> Void) { state.withLock { $0.observer = observer } }

    /// A stream was made.
    func publish(_ ledger: StreamLedger) {
        state.withLock {
            if !$0.descriptions.contains(where: { $0.id == ledger.id }) { $0.descriptions.append(ledger.description) }
            $0.streams[ledger.id] = Self.figures(ledger)
        }
    }

    /// A group was written.
    func publish(_ touched: [StreamLedger], _ group: WriteGroup, events: UInt64, micros: UInt64) {
        state.withLock { state in
            for row in group.batches { state.recent.append(row.batch) }
            for ledger in touched { state.streams[ledger.id] = Self.figures(ledger) }
            state.figures.groups += 1
            state.figures.events += events
            state.figures.lastGroupMicros = micros
        }
    }

    /// Writing fails, or works again.
    func publish(fault: String?) { state.withLock { $0.figures.fault = fault } }

    /// Tells the observer which streams grew.
    func notify(_ ends: [(stream: StreamID, next: UInt64, total: UInt64)]) {
        guard !ends.isEmpty, let observer = state.withLock({ $0.observer }) else { return }
        observer(ends.map { StreamAdvance(stream: $0.stream, end: $0.next) })
    }

    private static func figures(_ ledger: StreamLedger) -> StreamFigures {
        var figures = StreamFigures()
        figures.start = ledger.start
        figures.end = ledger.next
        figures.bytes = ledger.bytesKept
        figures.ids = ledger.window?.count ?? 0
        return figures
    }
}
