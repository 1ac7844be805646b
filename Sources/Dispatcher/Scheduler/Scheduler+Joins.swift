import CWorkerProtocol
public import Journal
import WorkerProtocol

// Events that wait for several upstreams (`after: [a, b]`).
//
// Every upstream's end is a part of the join, on disk in the transaction of that end. Complete and all succeeded: the event goes to
// the input stream and the parts go. Complete with a failure among them: the dependent's event is skipped; the parts stay on disk, so that redriving
// the failed upstream can still complete the join, until the journal drops the event.

extension Scheduler {
    /// Joins at once that are not complete, before upstreams of joins hold.
    static let joinsMax = 100_000

    /// Parts of joins from disk: at start all there are, at a redrive those of the event.
    public mutating func joinsLoaded(_ parts: [JoinPart]) {
        for part in parts {
            var known = joins[part.key] ?? []
            known.removeAll { $0.lambda == part.lambda }
            known.append(part)
            joins[part.key] = known
        }
        for (key, parts) in joins {
            guard let dependent = dependents(of: key.stream) else { continue }
            if parts.count == dependent.upstreams.count && parts.contains(where: { !$0.succeeded }) { joins[key] = nil }
        }
    }

    private func dependents(of stream: StreamID) -> DependentSpec? {
        for route in routes {
            for dependent in route.dependents where dependent.stream == stream { return dependent }
        }
        return nil
    }

    mutating func join(_ part: JoinPart, dependent: DependentSpec, view: RecordView) {
        hasEffects = true
        var parts = joins[part.key] ?? []
        parts.removeAll { $0.lambda == part.lambda }
        parts.append(part)
        guard parts.count == dependent.upstreams.count else {
            joins[part.key] = parts
            commit.joins.append(part)
            return
        }
        joins[part.key] = nil
        guard parts.allSatisfy(\.succeeded) else {
            commit.joins.append(part)
            countSkipped(lambda: dependent.lambda, stream: dependent.stream)
            return
        }
        var inputs = EncodedPairs()
        for upstream in dependent.upstreams {
            let output = parts.first { $0.lambda == upstream }?.output ?? []
            var name = upstream
            name.withUTF8 { name in
                output.withUnsafeBytes { inputs.append(name: UnsafeRawBufferPointer(name), value: $0) }
            }
        }
        appends(to: dependent.stream).append(copying: view, inputs: inputs)
        commit.joins.removeAll { $0.key == part.key }
        commit.joinsRemoved.append(part.key)
    }

    /// An event has ended otherwise than in success: those that come after do not get it.
    mutating func skipDependents(route: Int32, view: RecordView) {
        for dependent in routes[Int(route)].dependents {
            if faults.contains(.handOnFailures) {
                appends(to: dependent.stream).append(copying: view, inputs: .empty)
            } else if dependent.upstreams.count == 1 {
                countSkipped(lambda: dependent.lambda, stream: dependent.stream)
            } else {
                let part = JoinPart(
                    key: JoinKey(stream: dependent.stream, offset: view.header.pointee.offset), lambda: routes[Int(route)].lambda,
                    succeeded: false, output: [])
                join(part, dependent: dependent, view: view)
            }
        }
    }

    private mutating func countSkipped(lambda: String, stream: StreamID) {
        for index in routes.indices where routes[index].stream == stream && routes[index].lambda == lambda {
            routes[index].counts.skipped += 1
            // What comes after the skipped one is skipped too: it never gets its input. Nothing to write for it.
        }
    }
}
