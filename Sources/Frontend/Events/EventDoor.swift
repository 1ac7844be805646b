import HTTPTypes
import Journal
import NIOPosix
import Routing
import Telemetry
import WorkerProtocol

/// One domain's entrance, as it is for one request: what it takes, and the journal behind it. All content types go through it.
struct EventDoor: Sendable {
    let domain: DomainRoute
    let stream: StreamID
    let encoder: EventEncoder
    let journal: any Journal
    let metrics: DomainMetrics

    /// The entrance of the domain `name`; throws 404 with the nearest name, or 503 while nothing is taken in.
    init(_ name: String, control: any HostControl, journal: any Journal, metrics: HostMetrics) throws(Problem) {
        let routes = control.routes()
        guard let domain = routes.domains[name] else {
            throw Problem(.notFound, "unknown-domain", "Unknown domain", Self.unknown(name, routes))
        }
        if let reason = control.closedReason() { throw .unavailable(reason) }
        guard let stream = control.stream(ofDomain: name) else {
            throw .unavailable("the domain \(name) is not open yet; try again in a moment")
        }
        self.domain = domain
        self.stream = stream
        self.journal = journal
        self.metrics = metrics.domain(name)
        encoder = EventEncoder(
            domain: stream.rawValue, subjectHash: journal.subjectHash, limits: EventLimits(domain: domain, limits: routes.limits))
    }

    private static func unknown(_ name: String, _ routes: RouteTable) -> String {
        let text = "there is no domain `\(name.prefix(100))`"
        if let near = Nearest.name(to: name, among: routes.domains.keys) { return "\(text); did you mean `\(near)`?" }
        if routes.domains.isEmpty { return "\(text): the routing file names none" }
        let known = routes.domains.keys.sorted().prefix(10).joined(separator: ", ")
        return "\(text); there are: \(known)\(routes.domains.count > 10 ? ", …" : "")"
    }

    /// Hands records to the journal. `completion` runs on its writer thread.
    func append(_ records: RecordBuffer, isAtomic: Bool, completion: @escaping @Sendable (Result<AppendReceipt, JournalError>) -> Void) {
        let metrics = metrics
        let bytes = records.size
        journal.append(
            AppendRequest(stream: stream, records: records, isAtomic: isAtomic, isRelaxed: domain.durability == .relaxed) { result in
                Self.count(result, bytes: bytes, metrics)
                completion(result)
            })
    }

    /// Appends and waits for the commit.
    func append(_ records: RecordBuffer, isAtomic: Bool) async -> Result<AppendReceipt, JournalError> {
        let settlement = Settlement<Result<AppendReceipt, JournalError>>()
        append(records, isAtomic: isAtomic) { settlement.settle($0) }
        return await settlement.value()
    }

    /// Stores a large payload, off the cooperative pool.
    func store(_ payload: [UInt8]) async throws(Problem) -> UInt64 {
        let journal = journal
        let result: Result<UInt64, JournalError>
        do {
            result = try await NIOThreadPool.singleton.runIfActive {
                Result { () throws(JournalError) in
                    let outcome: Result<UInt64, JournalError> = payload.withUnsafeBytes { bytes in
                        do throws(JournalError) {
                            return .success(try journal.storePayload(bytes))
                        } catch {
                            return .failure(error)
                        }
                    }
                    return try outcome.get()
                }
            }
        } catch {
            throw .unavailable("the host is ending")
        }
        switch result {
        case .success(let number): return number
        case .failure(let error): throw Problem(error)
        }
    }

    private static func count(_ result: Result<AppendReceipt, JournalError>, bytes: Int, _ metrics: DomainMetrics) {
        switch result {
        case .success(let receipt):
            var accepted = receipt.count
            for entry in receipt.entries {
                switch entry {
                case .accepted: break
                case .duplicate:
                    metrics.duplicates.addShared()
                    accepted -= 1
                case .outOfOrder:
                    metrics.refused[.outOfOrder]?.addShared()
                    accepted -= 1
                }
            }
            metrics.accepted.addShared(UInt64(max(0, accepted)))
            if receipt.entries.isEmpty { metrics.acceptedBytes.addShared(UInt64(bytes)) }
        case .failure(let error):
            switch error.code {
            case .backlog: metrics.refused[.backlog]?.addShared()
            case .outOfOrder: metrics.refused[.outOfOrder]?.addShared()
            default: metrics.refused[.unavailable]?.addShared()
            }
        }
    }
}
