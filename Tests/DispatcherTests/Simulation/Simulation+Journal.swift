import CWorkerProtocol
import Journal
import Synchronization
import WorkerProtocol

@testable import Dispatcher

// Producers and the journal.
extension Simulation {
    func encode(_ records: RecordBuffer, domain: StreamID, subject: String, event: UInt64, id: String) {
        var subject = subject
        var id = id
        subject.withUTF8 { subject in
            id.withUTF8 { id in
                withUnsafeBytes(of: event) { payload in
                    records.append(
                        domain: domain.rawValue, subjectHash: journal.subjectHash(UnsafeRawBufferPointer(subject)),
                        subject: UnsafeRawBufferPointer(subject), type: UnsafeRawBufferPointer(start: nil, count: 0),
                        id: UnsafeRawBufferPointer(id),
                        payload: payload, timeMicros: 0, acceptedMicros: 0)
                }
            }
        }
    }

    func produce() {
        let count = Int(random.next(upTo: 12)) + 1
        let records = RecordBuffer()
        let stream = chance(80) ? streams["d"]! : streams["e"]!
        for _ in 0..<count {
            encode(records, domain: stream, subject: "s\(random.next(upTo: UInt64(subjects - 1)))", event: nextEvent, id: "")
            nextEvent += 1
        }
        journal.append(AppendRequest(stream: stream, records: records) { _ in })
    }

    func takeCommit() {
        guard !commitInFlight else { return }
        if commitWaiting == nil, scheduler.hasCommit {
            noteDead()
            commitWaiting = scheduler.takeCommit()
            commitsTaken += 1
        }
        guard let commit = commitWaiting else { return }
        commitInFlight = true
        let answers = commitsDone
        journal.commit(commit) { result in answers.list.withLock { $0.append((try? result.get()) != nil) } }
    }

    func stepJournal() throws {
        if chance(5) && !script.isCalm {
            journal.setFailure(JournalError(.full, "the disk is full"))
            journal.step()
            journal.setFailure(nil)
        } else {
            journal.step(Int(random.next(upTo: 3)) + 1)
        }
        try harvest()
        let done = commitsDone.list.withLock { done in
            defer { done = [] }
            return done
        }
        for success in done { try commitEnded(success) }
        for name in streams.keys.sorted() { scheduler.streamAdvanced(streams[name]!, end: journal.end(of: streams[name]!)) }
        try act()
        let loads = pendingLoads
        pendingLoads = []
        for (route, position) in loads { try load(route, position) }
        try answerRowLoads()
        try act()
    }

    private func commitEnded(_ success: Bool) throws {
        commitInFlight = false
        guard success, let commit = commitWaiting else {
            if chance(50) { scheduler.setStalled(true) }
            return
        }
        if scheduler.isStalled { scheduler.setStalled(false) }
        commitWaiting = nil
        commitsWritten += 1
        for append in commit.appends where append.stream != streams["e"] {
            for index in 0..<append.records.count {
                let key = JoinKey(stream: append.stream, offset: append.records.record(index).pointee.offset)
                handedOn[key, default: 0] += 1
                if handedOn[key]! > 1 {
                    throw Violation(description: "offset \(key.offset) was handed on twice to stream \(key.stream.rawValue)")
                }
            }
        }
    }

    /// Rows are read once the commits that they depend on are written, and may come later still.
    private func answerRowLoads() throws {
        let ready = pendingRowLoads.filter { $0.commit <= commitsWritten }
        pendingRowLoads.removeAll { $0.commit <= commitsWritten }
        for (action, _) in ready {
            guard case .loadRows(let route, let lane, let serial, let hash, let after) = action, let id = scheduler.routeID(route) else {
                continue
            }
            let rows = try journal.deferredRows(id, subjectHash: hash, after: after, maximumBytes: 256)
            note(
                "\(scheduler.routes[Int(route)].lambda) lane \(lane) after \(after) reads \(rows.map { row in (row.id, (0..<row.records.count).map { row.records.record($0).pointee.offset }) })"
            )
            readRows.append((lane, serial, rows))
        }
        while !readRows.isEmpty, script.isCalm || chance(70) {
            let next = readRows.removeFirst()
            if !script.isCalm && chance(3) {
                scheduler.rowsFailed(lane: next.lane, serial: next.serial)
            } else {
                scheduler.rowsLoaded(lane: next.lane, serial: next.serial, rows: next.rows)
            }
        }
    }

    /// A row load needs the commit after which it was asked for, even if there is nothing in it.
    func flushEmptyCommit() {
        if !commitInFlight && commitWaiting == nil && !scheduler.hasCommit && pendingRowLoads.contains(where: { $0.commit > commitsTaken })
        {
            commitsTaken += 1
            commitsWritten += 1
        }
    }
}
