internal import CCapelet

/// The table of functions that the host hands in: a thin wrapper that turns codes into errors.
///
/// Invariant: `table` is valid from `start` until `stop` has returned, and its functions may be called from any thread; hence Sendable.
struct Host: @unchecked Sendable {
    let table: UnsafePointer<capelet_host>

    /// The element of the plugin's table that this worker runs; nil from a host that does not say.
    var entry: UnsafePointer<capelet_lambda>? {
        let end = MemoryLayout<capelet_host>.offset(of: \capelet_host.entry)! + MemoryLayout<UnsafeRawPointer>.size
        return Int(table.pointee.struct_size) >= end ? table.pointee.entry : nil
    }

    func config(_ key: String) -> capelet_bytes? {
        guard let config = table.pointee.config else { return nil }
        var value = capelet_bytes(data: nil, size: 0)
        return key.withCString { config(table, $0, &value) } == 0 ? value : nil
    }

    func log(_ token: UInt64, _ level: Int32, _ text: UnsafeRawBufferPointer) {
        guard let log = table.pointee.log else { return }
        // An empty buffer may have no address; the host gets one that it may look at.
        guard let start = text.baseAddress else { return "".withCString { log(table, token, level, $0, 0) } }
        log(table, token, level, start.assumingMemoryBound(to: CChar.self), text.count)
    }

    /// `lend` lends the bytes: an array's, a string's or a caller's own.
    func output(_ token: UInt64, _ lend: ((UnsafeRawBufferPointer) -> Void) -> Void) throws(LambdaError) {
        guard let output = table.pointee.output else { throw .fatal("output: this host has no outputs") }
        var code: Int32 = 0
        var size = 0
        lend { bytes in
            size = bytes.count
            code = output(table, token, bytes.baseAddress, bytes.count)
        }
        try check(code, "output of \(size) bytes", limit: "1 MiB")
    }

    func extend(_ token: UInt64, millis: UInt64) throws(LambdaError) {
        guard let extend = table.pointee.extend else { throw .fatal("extend: this host cannot extend deadlines") }
        try check(extend(table, token, millis), "extend", limit: "timeout-max")
    }

    func isCancelled(_ token: UInt64) -> Bool {
        guard let isCancelled = table.pointee.is_cancelled else { return false }
        return isCancelled(table, token) == 1
    }

    func complete(_ token: UInt64, _ outcome: Outcome) {
        guard let complete = table.pointee.complete else { return }
        guard outcome != .success else {
            _ = complete(table, token, Int32(bitPattern: CAPELET_SUCCESS.rawValue), nil)
            return
        }
        var result = capelet_result()
        result.struct_size = UInt32(MemoryLayout<capelet_result>.size)
        let status = outcome.write(to: &result)
        _ = complete(table, token, status, &result)
    }

    func emit(_ token: UInt64, _ emission: Emission) throws(LambdaError) {
        guard let emit = table.pointee.emit else { throw .fatal("emit: this host cannot emit") }
        // One block of bytes that all the C strings point into: names and values of headers as well, however many there are.
        var block: [UInt8] = []
        var sizes: [Int] = []
        func add(_ bytes: some Collection<UInt8>) {
            block.append(contentsOf: bytes)
            sizes.append(bytes.count)
        }
        add(emission.domain.utf8)
        add(emission.subject.utf8)
        add(emission.type.utf8)
        add((emission.id ?? "").utf8)
        for header in emission.headers {
            add(header.name.utf8)
            add(header.value.utf8)
        }
        let code = block.withUnsafeBytes { block in
            emission.payload.withUnsafeBytes { payload in
                var at = 0
                var next = 0
                func take() -> capelet_bytes {
                    defer { (at, next) = (at + sizes[next], next + 1) }
                    return capelet_bytes(data: sizes[next] == 0 ? nil : block.baseAddress! + at, size: sizes[next])
                }
                var raw = capelet_emit()
                raw.struct_size = UInt32(MemoryLayout<capelet_emit>.size)
                raw.header_count = UInt32(emission.headers.count)
                raw.domain = take()
                raw.subject = take()
                raw.type = take()
                raw.id = take()
                raw.payload = capelet_bytes(data: payload.baseAddress, size: payload.count)
                let headers = emission.headers.map { _ in capelet_header(name: take(), value: take()) }
                return headers.withUnsafeBufferPointer { headers in
                    raw.headers = headers.baseAddress
                    return emit(table, token, &raw)
                }
            }
        }
        try check(code, "emit to \(emission.domain)", limit: "1,000 events and 16 MiB")
    }

    private func check(_ code: Int32, _ what: @autoclosure () -> String, limit: String) throws(LambdaError) {
        switch code {
        case 0: return
        case Int32(CAPELET_ELIMIT): throw .fatal("\(what()): over the limit of \(limit)")
        case Int32(CAPELET_EGONE): throw .retry("\(what()): the run was already completed, or its deadline has passed")
        case Int32(CAPELET_EINVAL):
            throw .fatal("\(what()): the host refused an argument: an empty subject, or text that is not allowed there")
        default: throw .fatal("\(what()): the host answered \(code)")
        }
    }
}

extension Outcome {
    /// Fills in a C result (nil: the host does not want more) and returns the status.
    func write(to result: UnsafeMutablePointer<capelet_result>?) -> Int32 {
        switch self {
        case .success:
            return Int32(bitPattern: CAPELET_SUCCESS.rawValue)
        case .retry(let message, let after):
            result?.pointee.retry_after_millis = after?.millisecondsRoundedUp ?? 0
            result?.write(message: message)
            return Int32(bitPattern: CAPELET_RETRY.rawValue)
        case .fatal(let message):
            result?.write(message: message)
            return Int32(bitPattern: CAPELET_FATAL.rawValue)
        }
    }
}

extension UnsafeMutablePointer<capelet_result> {
    /// Writes the message, terminated; one that is too long is cut between two characters.
    func write(message: String) {
        let capacity = MemoryLayout.size(ofValue: pointee.message)
        let field = UnsafeMutableRawPointer(self) + MemoryLayout<capelet_result>.offset(of: \capelet_result.message)!
        message.withBytes { bytes in
            var count = Swift.min(bytes.count, capacity - 1)
            while count > 0, count < bytes.count, bytes[count] & 0xC0 == 0x80 { count -= 1 }
            if let start = bytes.baseAddress { field.copyMemory(from: start, byteCount: count) }
            field.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
        }
    }
}

extension Duration {
    /// Whole milliseconds, rounded up; 0 for a negative duration.
    var millisecondsRoundedUp: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        return overflow ? .max / 2 : whole + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

extension capelet_bytes {
    /// The bytes, without an owner.
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : size) }

    /// Whether these are exactly the bytes of `text`. Does not allocate.
    func equals(_ text: String) -> Bool {
        text.utf8.count == buffer.count && text.utf8.elementsEqual(buffer)
    }
}

extension String {
    /// The text of `bytes`; what is not UTF-8 in it is replaced.
    init(_ bytes: capelet_bytes) { self.init(decoding: bytes.buffer, as: UTF8.self) }

    /// Lends the UTF-8 bytes.
    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        var text = self
        text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
