internal import CCapelet

/// A plugin: its version and its lambdas. Made once, kept for the life of the process.
///
/// ```swift
/// private let plugin = Plugin(version: "1.0.0", .lambda("hello", Hello.self), .lambda("bye", Bye.self))
///
/// @c(capelet_plugin_v1) public func capeletPlugin() -> PluginTable { plugin.table }
/// ```
///
/// The entry point has to be `public`: a release build drops one that is not. The global is made by the first call, and only once,
/// whatever thread calls; making it starts nothing.
public struct Plugin: @unchecked Sendable {
    /// What the entry point returns. Never freed and never changed, hence Sendable.
    public let table: PluginTable

    /// A plugin of one or more lambdas. Two of the same name, or a name that is not made of letters, digits, `-` and `_`, is a
    /// programming error.
    public init(version: String, _ lambdas: LambdaEntry...) {
        precondition(!lambdas.isEmpty, "a plugin has at least one lambda")
        let names = lambdas.map(\.name)
        for name in names {
            precondition(LambdaEntry.isValid(name), "\(name) is not a lambda's name: letters, digits, - and _, at most 64")
            precondition(names.count(where: { $0 == name }) == 1, "the plugin has two lambdas called \(name)")
        }
        let pointers = UnsafeMutablePointer<UnsafePointer<capelet_lambda>?>.allocate(capacity: lambdas.count)
        for (index, lambda) in lambdas.enumerated() { (pointers + index).initialize(to: lambda.makePermanent()) }

        var plugin = capelet_plugin()
        plugin.struct_size = UInt32(MemoryLayout<capelet_plugin>.size)
        plugin.abi_version = UInt32(CAPELET_ABI_VERSION)
        plugin.version = permanentCString(version)
        plugin.lambda_count = lambdas.count
        plugin.lambdas = UnsafePointer(pointers)
        let memory = UnsafeMutablePointer<capelet_plugin>.allocate(capacity: 1)
        memory.initialize(to: plugin)
        table = UnsafePointer(memory)
    }
}

/// One lambda of a plugin: its name, what it does in one line, and its type.
public struct LambdaEntry: Sendable {
    let name: String
    let summary: String?
    let batchMax: Int?
    let makesTasks: Bool
    /// Makes the runner; called in the worker.
    let start: @Sendable (Host) throws -> Runner

    /// A lambda that handles one event at a time. `summary` is one line for `capelet lambdas`.
    public static func lambda<L: Lambda>(_ name: String, _ type: L.Type, summary: String? = nil) -> LambdaEntry {
        LambdaEntry(name: name, summary: summary, batchMax: nil, makesTasks: false) { try LambdaRunner<L>(starting: $0) }
    }

    /// A lambda that handles several events at once. `summary` is one line for `capelet lambdas`.
    public static func lambda<L: BatchLambda>(_ name: String, _ type: L.Type, summary: String? = nil) -> LambdaEntry {
        let max = L.batchMax
        precondition((1...1024).contains(max), "batchMax of \(name) is \(max); it has to be 1 to 1,024")
        return LambdaEntry(name: name, summary: summary, batchMax: max, makesTasks: false) { try BatchRunner<L>(starting: $0) }
    }

    /// A lambda with an async handler. `summary` is one line for `capelet lambdas`.
    public static func lambda<L: AsyncLambda>(_ name: String, _ type: L.Type, summary: String? = nil) -> LambdaEntry {
        LambdaEntry(name: name, summary: summary, batchMax: nil, makesTasks: true) { try AsyncRunner<L>(starting: $0) }
    }

    static func isValid(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// The C entry, with what `start` needs to find its way back to Swift right behind it.
    fileprivate func makePermanent() -> UnsafePointer<capelet_lambda> {
        var entry = capelet_lambda()
        entry.struct_size = UInt32(MemoryLayout<capelet_lambda>.size)
        entry.name = permanentCString(name)
        entry.summary = summary.map(permanentCString)
        entry.start = startLambda
        entry.stop = stopLambda
        if let batchMax {
            entry.handle_batch = handleBatch
            entry.batch_max = UInt32(batchMax)
        } else {
            entry.handle = handleEvent
        }
        if makesTasks { entry.cancel = cancelRun }

        let cell = UnsafeMutablePointer<EntryCell>.allocate(capacity: 1)
        cell.initialize(to: EntryCell(entry: entry, lambda: self))
        return UnsafeRawPointer(cell).assumingMemoryBound(to: capelet_lambda.self)
    }
}

/// Invariant: `entry` is first, so that its address is that of the cell. Every entry of a table made by `Plugin` lies in one.
private struct EntryCell {
    let entry: capelet_lambda
    let lambda: LambdaEntry
}

private func permanentCString(_ text: String) -> UnsafePointer<CChar> {
    let bytes = text.utf8CString
    let memory = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    bytes.withUnsafeBufferPointer { memory.initialize(from: $0.baseAddress!, count: $0.count) }
    return UnsafePointer(memory)
}

// MARK: - The C functions in the table

/// The runner behind a `state`. Unretained: the host's `state` owns it from `start` to `stop`.
private func runner(_ state: UnsafeMutableRawPointer?) -> Runner {
    guard let state else { preconditionFailure("the host passed no state") }
    return Unmanaged<Runner>.fromOpaque(state).takeUnretainedValue()
}

private func startLambda(
    host: UnsafePointer<capelet_host>?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    result: UnsafeMutablePointer<capelet_result>?
) -> Int32 {
    guard let host, let state else { return 1 }
    guard let entry = Host(table: host).entry else {
        result?.write(message: "this host does not say which lambda to start: it is older than the plugin's SDK")
        return 1
    }
    let cell = UnsafeRawPointer(entry).assumingMemoryBound(to: EntryCell.self)
    do {
        let runner = try cell.pointee.lambda.start(Host(table: host))
        state.pointee = Unmanaged.passRetained(runner).toOpaque()
        return 0
    } catch {
        result?.write(message: String(describing: error))
        return 1
    }
}

private func stopLambda(state: UnsafeMutableRawPointer?) {
    guard let state else { return }
    let runner = Unmanaged<Runner>.fromOpaque(state).takeRetainedValue()
    runner.stop()
}

private func handleEvent(
    state: UnsafeMutableRawPointer?, event: UnsafePointer<capelet_event>?, result: UnsafeMutablePointer<capelet_result>?
) -> Int32 {
    guard let event else { preconditionFailure("the host passed no event") }
    return runner(state).handle(event, result)
}

private func handleBatch(
    state: UnsafeMutableRawPointer?, events: UnsafePointer<UnsafePointer<capelet_event>?>?, count: Int,
    statuses: UnsafeMutablePointer<Int32>?, results: UnsafePointer<UnsafeMutablePointer<capelet_result>?>?
) {
    guard let events, let statuses, let results, count > 0 else { return }
    runner(state).handleBatch(events, count, statuses, results)
}

private func cancelRun(state: UnsafeMutableRawPointer?, token: UInt64) {
    guard let state else { return }
    runner(state).cancel(token)
}
