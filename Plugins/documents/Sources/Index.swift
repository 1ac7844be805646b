internal import CapeletSDK

/// The lambda `index`: keeps a full-text index of what `extract` puts out, one transaction for a batch of events.
struct Index: BatchLambda {
    static var batchMax: Int { 256 }

    private let index: SearchIndex
    /// The lambda whose output is indexed.
    private let input: String

    init(context: Context) throws {
        let config = context.config
        let name = config.string("database", default: "search.db")
        let path = name.hasPrefix("/") ? name : "\(context.stateDirectory)/\(name)"
        input = config.string("input", default: "extract")
        let synchronous = config.string("synchronous", default: "full")
        guard ["full", "normal"].contains(synchronous) else {
            throw ConfigurationError(key: "synchronous", value: synchronous, problem: "is neither full nor normal")
        }
        let busy = try config.duration("busy-timeout", default: .seconds(20))
        index = try SearchIndex(path: path, isFullySynchronous: synchronous == "full", busyTimeout: busy)
        context.log.info("index at \(path)")
    }

    func handle(_ batch: borrowing Batch) throws {
        try index.transaction {
            // An event that SQLite failed in may be half written: then nothing of the batch is kept, and all of it comes again.
            var failure: (any Error)?
            batch.forEach { event in
                let extraction = try extraction(of: event)
                do {
                    try index.apply(
                        extraction, path: event.subject, sequence: event.sequence, offset: event.offset, rewrites: event.isReplayed)
                } catch {
                    failure = failure ?? error
                    throw error
                }
                return .success
            }
            if let failure { throw failure }
        }
    }

    private func extraction(of event: borrowing Event) throws(LambdaError) -> Extraction {
        let extraction = try event.withInput(from: input) { bytes throws(LambdaError) in
            guard let extraction = Extraction(encoded: bytes) else { throw .fatal("the output of \(input) is not one of extract") }
            return extraction
        }
        guard let extraction else {
            throw .fatal("there is no output of \(input): index needs `after: \(input)`, or config `input:` with the name it has")
        }
        return extraction
    }

    func stop() { index.close() }
}
