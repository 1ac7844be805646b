import CWorkerProtocol
public import Journal
import WorkerProtocol

// Events that wait for several upstreams (`after: [a, b]`).
//
// Every upstream's end is a part of the join, on disk in the transaction of that end. Complete and all succeeded: the event goes to
// the input stream and the parts go. Complete with a failure among them: the dependent's event is skipped; the parts stay on disk until the
// journal drops the event, and here up to a limit, so that redriving the failed upstream can still complete the join.

extension Scheduler {
    /// Parts of joins from disk: at start all there are, before or after `apply`; at a redrive those of the event. What is known already is not
    /// overwritten.
    public mutating func joinsLoaded(_ parts: [JoinPart]) {
        for part in parts {
            var known = takeJoin(part.key)
            if !known.contains(where: { $0.lambda == part.lambda }) { known.append(part) }
            put(part.key, known, dependent(of: part.key.stream))
        }
    }

    /// The topology has changed: joins whose dependent is not there do not count, those whose dependent is back do.
    mutating func sortJoins() {
        var stream: StreamID?
        var found: DependentSpec?
        let keys = Array(joins.keys) + Array(strayJoins.keys)
        for key in keys.sorted(by: { ($0.stream.rawValue, $0.offset) < ($1.stream.rawValue, $1.offset) }) {
            if key.stream != stream {
                stream = key.stream
                found = dependent(of: key.stream)
            }
            put(key, takeJoin(key), found)
        }
    }

    private mutating func takeJoin(_ key: JoinKey) -> [JoinPart] {
        joins.removeValue(forKey: key) ?? failedJoins.remove(key) ?? strayJoins.removeValue(forKey: key) ?? []
    }

    private mutating func put(_ key: JoinKey, _ parts: [JoinPart], _ dependent: DependentSpec?) {
        guard let dependent else {
            strayJoins[key] = parts
            return
        }
        if dependent.upstreams.allSatisfy({ upstream in parts.contains { $0.lambda == upstream } }) {
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
        var parts = takeJoin(part.key)
        parts.removeAll { $0.lambda == part.lambda }
        parts.append(part)
        let present = parts.filter { dependent.upstreams.contains($0.lambda) }
        let isComplete = present.count == dependent.upstreams.count
        guard isComplete, present.allSatisfy(\.succeeded) || faults.contains(.joinFailures) else {
            joinParts[part.key, default: []].removeAll { $0.lambda == part.lambda }
            joinParts[part.key, default: []].append(part)
            put(part.key, parts, dependent)
            if isComplete { skip(dependent, view: view) }
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
