import CWorkerProtocol
public import Journal
import WorkerProtocol

// Events that wait for several upstreams (`after: [a, b]`).
//
// Every upstream's end is a part of the join, on disk in the transaction of that end. Complete and all succeeded: the event goes to
// the input stream and the parts go. Complete with a failure among them: the dependent's event is skipped; the parts stay on disk until the
// journal drops the event, and here up to a limit, so that redriving the failed upstream can still complete the join.

extension Scheduler {
    /// Parts of joins from disk: at start all there are, at a redrive those of the event. What is known already is not overwritten.
    public mutating func joinsLoaded(_ parts: [JoinPart]) {
        for part in parts {
            guard let dependent = dependent(of: part.key.stream), dependent.upstreams.contains(part.lambda) else { continue }
            var known = joins.removeValue(forKey: part.key) ?? failedJoins.remove(part.key) ?? []
            if !known.contains(where: { $0.lambda == part.lambda }) { known.append(part) }
            put(part.key, known, dependent: dependent)
        }
    }

    private mutating func put(_ key: JoinKey, _ parts: [JoinPart], dependent: DependentSpec) {
        if parts.count == dependent.upstreams.count {
            failedJoins.insert(key, parts, limits: limits)
        } else {
            joins[key] = parts
        }
    }

    private func dependent(of stream: StreamID) -> DependentSpec? {
        for index in routes.indices where routes[index].isActive {
            for dependent in routes[index].dependents where dependent.stream == stream { return dependent }
        }
        return nil
    }

    /// One upstream of a join has come to its end.
    mutating func join(_ part: JoinPart, dependent: DependentSpec, view: RecordView) {
        hasEffects = true
        var parts = joins.removeValue(forKey: part.key) ?? failedJoins.remove(part.key) ?? []
        parts.removeAll { $0.lambda == part.lambda }
        parts.append(part)
        guard parts.count == dependent.upstreams.count, parts.allSatisfy(\.succeeded) || faults.contains(.joinFailures) else {
            joinParts[part.key, default: []].removeAll { $0.lambda == part.lambda }
            joinParts[part.key, default: []].append(part)
            put(part.key, parts, dependent: dependent)
            if parts.count == dependent.upstreams.count { skip(dependent, view: view) }
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
        joinParts[part.key] = nil
        commit.joinsRemoved.append(part.key)
    }

    /// An event has ended otherwise than in success: those that come after do not get it.
    mutating func skipDependents(route: Int32, view: RecordView) {
        let lambda = routes[Int(route)].lambda
        for dependent in routes[Int(route)].dependents {
            if faults.contains(.handOnFailures) {
                appends(to: dependent.stream).append(copying: view, inputs: .empty)
            } else if dependent.upstreams.count == 1 {
                skip(dependent, view: view)
            } else {
                let key = JoinKey(stream: dependent.stream, offset: view.header.pointee.offset)
                join(JoinPart(key: key, lambda: lambda, succeeded: false, output: []), dependent: dependent, view: view)
            }
        }
    }

    /// A dependent never gets an event; nor does what comes after it.
    private mutating func skip(_ dependent: DependentSpec, view: RecordView) {
        for index in routes.indices
        where routes[index].isActive && routes[index].stream == dependent.stream && routes[index].lambda == dependent.lambda {
            routes[index].counts.skipped += 1
            skipDependents(route: Int32(index), view: view)
        }
    }
}
