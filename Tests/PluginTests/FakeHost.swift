import CCapelet
import Foundation

/// A host for one lambda in the test's own process: answers configuration, and keeps what the lambda logs, puts out and completes.
///
/// All of its functions may be called from any thread, as the interface says.
final class FakeHost: @unchecked Sendable {
    /// How a run that was pending ended.
    struct Completion: Equatable {
        var status: Int32
        var message: String
        var retryAfterMillis: UInt64
    }

    let table: UnsafeMutablePointer<capelet_host>
    private let condition = NSCondition()
    private var configuration: [String: Bytes] = [:]
    private let texts = Arena()
    // Guarded by `condition`.
    private var completionsByToken: [UInt64: Completion] = [:]
    private var outputsByToken: [UInt64: [UInt8]] = [:]
    private var logLines: [String] = []
    private var cancelled: Set<UInt64> = []
    private var repeatedCompletions = 0

    typealias Bytes = capelet_bytes

    /// `configuration` is what the routing file would say; nested keys are objects.
    init(stateDirectory: String, configuration: [String: Any] = [:]) throws {
        let size = MemoryLayout<capelet_host>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size + MemoryLayout<UnsafeRawPointer>.size, alignment: 16)
        table = memory.bindMemory(to: capelet_host.self, capacity: 1)
        table.initialize(to: capelet_host())
        memory.storeBytes(of: UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque()), toByteOffset: size, as: UnsafeRawPointer.self)
        table.pointee.struct_size = UInt32(MemoryLayout<capelet_host>.size)
        table.pointee.abi_version = CAPELET_ABI_VERSION
        table.pointee.lambda = texts.bytes("test")
        table.pointee.state_directory = texts.bytes(stateDirectory)
        table.pointee.config_json = texts.bytes(try JSONSerialization.data(withJSONObject: configuration))
        flatten(configuration, prefix: "")
        setFunctions()
    }

    deinit {
        UnsafeMutableRawPointer(table).deallocate()
    }

    private func flatten(_ object: [String: Any], prefix: String) {
        for (key, value) in object {
            if let inner = value as? [String: Any] {
                flatten(inner, prefix: prefix + key + ".")
            } else {
                configuration[prefix + key] = texts.bytes((value as? Bool).map { $0 ? "true" : "false" } ?? "\(value)")
            }
        }
    }

    private static func of(_ host: UnsafePointer<capelet_host>?) -> FakeHost {
        let raw = UnsafeRawPointer(host!).load(fromByteOffset: MemoryLayout<capelet_host>.stride, as: UnsafeRawPointer.self)
        return Unmanaged<FakeHost>.fromOpaque(raw).takeUnretainedValue()
    }

    private func setFunctions() {
        table.pointee.config = { host, key, value in
            guard let found = FakeHost.of(host).configuration[String(cString: key!)] else { return Int32(CAPELET_ENOENT) }
            value!.pointee = found
            return 0
        }
        table.pointee.log = { host, _, level, text, size in
            let line = String(decoding: UnsafeRawBufferPointer(start: text, count: size), as: UTF8.self)
            FakeHost.of(host).locked { $0.logLines.append("\(level) \(line)") }
        }
        table.pointee.output = { host, token, data, size in
            FakeHost.of(host).locked { $0.outputsByToken[token] = Array(UnsafeRawBufferPointer(start: data, count: size)) }
            return 0
        }
        table.pointee.complete = { host, token, status, result in
            let message = result.map { text($0.pointee) } ?? ""
            let completion = Completion(status: status, message: message, retryAfterMillis: result?.pointee.retry_after_millis ?? 0)
            FakeHost.of(host).locked {
                if $0.completionsByToken.updateValue(completion, forKey: token) != nil { $0.repeatedCompletions += 1 }
            }
            return 0
        }
        table.pointee.is_cancelled = { host, token in FakeHost.of(host).locked { $0.cancelled.contains(token) ? 1 : 0 } }
        table.pointee.extend = { _, _, _ in 0 }
        table.pointee.emit = { _, _, _ in Int32(CAPELET_EINVAL) }
    }

    @discardableResult
    private func locked<R>(_ body: (FakeHost) -> R) -> R {
        condition.lock()
        defer {
            condition.broadcast()
            condition.unlock()
        }
        return body(self)
    }

    var logs: [String] { locked { $0.logLines } }
    var completions: [UInt64: Completion] { locked { $0.completionsByToken } }
    var outputs: [UInt64: [UInt8]] { locked { $0.outputsByToken } }
    /// How often a run was completed that had been before.
    var doubleCompletions: Int { locked { $0.repeatedCompletions } }

    func cancel(_ token: UInt64) {
        locked { _ = $0.cancelled.insert(token) }
    }

    /// Waits until the run has ended; nil after 15 seconds.
    func completion(of token: UInt64) -> Completion? {
        let deadline = Date().addingTimeInterval(15)
        condition.lock()
        defer { condition.unlock() }
        while completionsByToken[token] == nil {
            if !condition.wait(until: deadline) { break }
        }
        return completionsByToken[token]
    }
}

/// The message of a result.
func text(_ result: capelet_result) -> String {
    withUnsafeBytes(of: result.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

/// Memory for what C structures point to, freed with the object.
final class Arena {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit {
        for block in blocks { block.deallocate() }
    }

    func bytes(_ content: some Sequence<UInt8>) -> capelet_bytes {
        let array = Array(content)
        guard !array.isEmpty else { return capelet_bytes(data: nil, size: 0) }
        let block = UnsafeMutableRawPointer.allocate(byteCount: array.count, alignment: 1)
        block.copyMemory(from: array, byteCount: array.count)
        blocks.append(block)
        return capelet_bytes(data: block, size: array.count)
    }

    func bytes(_ text: String) -> capelet_bytes { bytes(text.utf8) }

    func array<T>(_ elements: [T]) -> UnsafeMutablePointer<T> {
        let size = max(1, elements.count)
        let block = UnsafeMutableRawPointer.allocate(byteCount: size * MemoryLayout<T>.stride, alignment: MemoryLayout<T>.alignment)
        blocks.append(block)
        let typed = block.bindMemory(to: T.self, capacity: size)
        typed.initialize(from: elements, count: elements.count)
        return typed
    }
}
