import CWorkerProtocol
import WorkerProtocol

/// What waits for the writer.
enum JournalOperation {
    case append(AppendRequest)
    case commit(JournalCommit, completion: @Sendable (Result<Void, JournalError>) -> Void)

    /// About how many bytes it writes.
    var size: Int {
        switch self {
        case .append(let request): request.records.size + 64
        case .commit(let commit, _): commit.appends.reduce(256) { $0 + $1.records.size }
        }
    }
}

/// Who is told what after a group.
enum PendingAnswer {
    case append(@Sendable (Result<AppendReceipt, JournalError>) -> Void, Result<AppendReceipt, JournalError>)
    case commit(@Sendable (Result<Void, JournalError>) -> Void, Result<Void, JournalError>)

    /// Tells it: what was decided, or that the group failed.
    func give(failure: JournalError?) {
        switch self {
        case .append(let completion, let result):
            if let failure, case .success = result { completion(.failure(failure)) } else { completion(result) }
        case .commit(let completion, let result):
            if let failure, case .success = result { completion(.failure(failure)) } else { completion(result) }
        }
    }
}

/// Turns operations into one group: gives positions and sequences, finds duplicates, refuses what is out of order.
///
/// No I/O but lookups of last sequences that are not in memory. One for each group; owned by the writer.
struct GroupBuilder {
    private let hasher: IDHasher
    private let storage: any JournalStorage
    private(set) var group = WriteGroup()
    private(set) var answers: [PendingAnswer] = []
    /// The streams that this group touches.
    private(set) var touched: [StreamLedger] = []
    private(set) var events: UInt64 = 0
    private var isRelaxed = true

    init(hasher: IDHasher, storage: any JournalStorage, nowMillis: Int64) {
        self.hasher = hasher
        self.storage = storage
        group.atMillis = nowMillis
    }

    /// Refuses an operation.
    mutating func refuse(_ operation: JournalOperation, _ error: JournalError) {
        switch operation {
        case .append(let request): answers.append(.append(request.completion, .failure(error)))
        case .commit(_, let completion): answers.append(.commit(completion, .failure(error)))
        }
    }

    /// Takes an append whose stream is known and has room.
    mutating func add(_ request: AppendRequest, to ledger: StreamLedger) {
        touch(ledger)
        do throws(JournalError) {
            let receipt = try stage(request.records, in: ledger, isEmitted: false, isAtomic: request.isAtomic)
            if let source = request.source, !request.sourceChanges.isEmpty {
                group.sources.append((source, request.sourceChanges))
            }
            isRelaxed = isRelaxed && request.isRelaxed
            answers.append(.append(request.completion, .success(receipt)))
        } catch {
            answers.append(.append(request.completion, .failure(error)))
        }
    }

    /// Takes a commit whose streams (`ledgers`, one for each of its appends) and routes are known.
    mutating func add(
        _ commit: JournalCommit, ledgers: [StreamLedger], completion: @escaping @Sendable (Result<Void, JournalError>) -> Void
    ) {
        isRelaxed = false
        do throws(JournalError) {
            for (append, ledger) in zip(commit.appends, ledgers) {
                touch(ledger)
                if ledger.description.kind == .domain {
                    _ = try stage(append.records, in: ledger, isEmitted: true, isAtomic: false)
                } else {
                    ledger.place(append.records, indices: nil, ids: [], fingerprints: [], external: append.records.externalNumbers)
                    events += UInt64(append.records.count)
                }
            }
            group.commits.append(commit)
            answers.append(.commit(completion, .success(())))
        } catch {
            // Only a failed lookup comes here, before anything of that append was placed; the appends before it are placed already, so that the
            // group cannot go on without this commit.
            answers.append(.commit(completion, .failure(error)))
            failure = error
        }
    }

    /// Why the whole group must fail; nil: it need not.
    private(set) var failure: JournalError?

    /// Completes the group.
    mutating func finish() {
        for ledger in touched where ledger.isStaged { ledger.finish(into: &group) }
        group.isRelaxed = isRelaxed
    }

    private mutating func touch(_ ledger: StreamLedger) {
        if touched.contains(where: { $0 === ledger }) { return }
        ledger.beginGroup(nowMillis: group.atMillis)
        touched.append(ledger)
    }

    /// Gives positions and sequences to records and places them.
    ///
    /// - Parameter isEmitted: the host numbers them; known ids are left out.
    private mutating func stage(
        _ records: RecordBuffer, in ledger: StreamLedger, isEmitted: Bool, isAtomic: Bool
    ) throws(JournalError) -> AppendReceipt {
        let count = records.count
        let first = ledger.stagedNext
        let numbered = ledger.settings.producerSequence
        var position = first
        var ids: [IDHash] = []
        var fingerprints: [IDHash] = []
        var external: [UInt64] = []
        var entries: [AppendEntry] = []
        var indices: [Int]?
        var undo: [(subject: IDHash, before: SequenceChange?)] = []
        let idsBefore = ledger.window?.count ?? 0
        if numbered { fingerprints.reserveCapacity(count) }

        func takeBack() {
            ledger.window?.removeNewest(downTo: idsBefore)
            for step in undo.reversed() { _ = ledger.stage(step.before, for: step.subject) }
        }

        for index in 0..<count {
            let record = records.record(index)
            let view = RecordView(record)
            var fate: AppendEntry?
            var id = IDHash.none
            if record.pointee.id_size > 0 {
                id = hasher.id(view.id)
                // A numbered event may still be refused, so that its id is remembered further down only.
                let known =
                    numbered
                    ? ledger.window?.offset(of: id) : ledger.window?.offset(of: id, orInsert: position, atMillis: group.atMillis)
                if let known { fate = .duplicate(offset: known) }
            }
            if fate == nil, numbered {
                let check: SequenceCheck
                do throws(JournalError) {
                    check = try checkSequence(view, in: ledger, isEmitted: isEmitted)
                } catch {
                    takeBack()
                    throw error
                }
                switch check {
                case .next(let sequence, let subject, let fingerprint):
                    record.pointee.sequence = sequence
                    let entry = SequenceEntry(sequence: sequence, fingerprint: fingerprint, offset: position)
                    let before = ledger.stage(SequenceChange(entry: entry, records: records, index: index), for: subject)
                    undo.append((subject, before))
                    fingerprints.append(fingerprint)
                    if fingerprint != .none { _ = ledger.window?.offset(of: fingerprint, orInsert: position, atMillis: group.atMillis) }
                case .duplicate(let offset): fate = .duplicate(offset: offset)
                case .outOfOrder(let last):
                    if isAtomic {
                        takeBack()
                        throw JournalError(
                            .outOfOrder,
                            "event \(index + 1) of \(count) for '\(ledger.description.name)', subject '\(view.subjectText)': sequence "
                                + "\(record.pointee.sequence) is out of order, the last one known is \(last); send a higher one")
                    }
                    fate = .outOfOrder(last: last)
                }
            }
            if let fate {
                if indices == nil {
                    indices = Array(0..<index)
                    entries.reserveCapacity(count)
                    for earlier in 0..<index { entries.append(.accepted(offset: first + UInt64(earlier))) }
                }
                entries.append(fate)
                continue
            }
            if id != .none {
                if numbered { _ = ledger.window?.offset(of: id, orInsert: position, atMillis: group.atMillis) }
                if ids.isEmpty {
                    ids.reserveCapacity(count)
                    for _ in 0..<position - first { ids.append(.none) }
                }
                ids.append(id)
            } else if !ids.isEmpty {
                ids.append(.none)
            }
            record.pointee.offset = position
            if !numbered { record.pointee.sequence = position }
            if let number = view.externalNumber { external.append(number) }
            if indices != nil {
                indices?.append(index)
                entries.append(.accepted(offset: position))
            }
            position += 1
        }
        ledger.place(records, indices: indices, ids: ids, fingerprints: fingerprints, external: external)
        events += position - first
        return AppendReceipt(firstOffset: first, count: count, entries: entries)
    }

    private enum SequenceCheck {
        case next(sequence: UInt64, subject: IDHash, fingerprint: IDHash)
        case duplicate(offset: UInt64)
        case outOfOrder(last: UInt64)
    }

    /// SEMANTICS §1.2.
    private func checkSequence(_ view: RecordView, in ledger: StreamLedger, isEmitted: Bool) throws(JournalError) -> SequenceCheck {
        let subject = hasher.subject(view.subject)
        var last = ledger.knownSequence(subject)
        if last == nil {
            last = try storage.lastSequence(ledger.id, subject: view.subject)
            if let last { ledger.keep(last, for: subject) }
        }
        if isEmitted {
            // The host numbers it; it is told from others by its id alone.
            return .next(sequence: (last?.sequence ?? 0) + 1, subject: subject, fingerprint: .none)
        }
        let sequence = view.header.pointee.sequence
        let payload =
            try view.externalNumber.map { number throws(JournalError) in try storage.payloadHash(number) }
            ?? hasher.payload(view.payloadSection)
        let fingerprint = hasher.numbered(subject: subject, sequence: sequence, payload: payload)
        guard let last, sequence <= last.sequence else {
            return .next(sequence: sequence, subject: subject, fingerprint: fingerprint)
        }
        if last.fingerprint == fingerprint { return .duplicate(offset: last.offset) }
        if let known = ledger.window?.offset(of: fingerprint) { return .duplicate(offset: known) }
        return .outOfOrder(last: last.sequence)
    }
}

extension RecordBuffer {
    /// Numbers of payload files that the records name.
    var externalNumbers: [UInt64] {
        var numbers: [UInt64] = []
        for index in 0..<count {
            if let number = view(index).externalNumber { numbers.append(number) }
        }
        return numbers
    }
}
