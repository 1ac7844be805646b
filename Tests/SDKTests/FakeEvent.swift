import CCapelet

/// An event as a test writes it down.
struct FakeEvent: Sendable {
    var token: UInt64 = 1
    var domain = "files"
    var subject = "a.txt"
    var sequence: UInt64 = 7
    var offset: UInt64 = 40
    var type = "created"
    var id = "id-1"
    var timeMicros: Int64 = 1_767_225_600_250_000
    var attempt: UInt32 = 1
    var flags: UInt32 = 0
    var headers: [(String, [UInt8])] = []
    var inputs: [(String, [UInt8])] = []
    var payload: [UInt8] = []

    struct Raw {
        let event: UnsafeMutablePointer<capelet_event>
        let bytes: UnsafeMutableRawPointer
        let headers: UnsafeMutablePointer<capelet_header>
        let inputs: UnsafeMutablePointer<capelet_input>
        let bytesSize: Int
    }

    /// Lends the C event. Its bytes are overwritten afterwards, so that a handler that keeps a pointer is found out.
    func withRaw<Result>(_ body: (UnsafePointer<capelet_event>) -> Result) -> Result {
        let raw = makeRaw()
        defer { Self.free(raw) }
        return body(UnsafePointer(raw.event))
    }

    func makeRaw() -> Raw {
        let strings = [domain, subject, type, id].map { Array($0.utf8) } + [payload]
        let pairs = (headers + inputs).flatMap { [Array($0.0.utf8), $0.1] }
        let size = (strings + pairs).reduce(0) { $0 + $1.count }
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: max(size, 1), alignment: 1)
        var at = 0
        func put(_ string: [UInt8]) -> capelet_bytes {
            guard !string.isEmpty else { return capelet_bytes(data: nil, size: 0) }
            (bytes + at).copyMemory(from: string, byteCount: string.count)
            defer { at += string.count }
            return capelet_bytes(data: UnsafeRawPointer(bytes + at), size: string.count)
        }
        let event = UnsafeMutablePointer<capelet_event>.allocate(capacity: 1)
        let rawHeaders = UnsafeMutablePointer<capelet_header>.allocate(capacity: max(headers.count, 1))
        let rawInputs = UnsafeMutablePointer<capelet_input>.allocate(capacity: max(inputs.count, 1))
        event.initialize(to: capelet_event())
        event.pointee.struct_size = UInt32(MemoryLayout<capelet_event>.size)
        event.pointee.token = token
        event.pointee.attempt = attempt
        event.pointee.flags = flags
        event.pointee.sequence = sequence
        event.pointee.offset = offset
        event.pointee.time_micros = timeMicros
        event.pointee.domain = put(strings[0])
        event.pointee.subject = put(strings[1])
        event.pointee.type = put(strings[2])
        event.pointee.id = put(strings[3])
        event.pointee.payload = put(strings[4])
        for (index, header) in headers.enumerated() {
            (rawHeaders + index).initialize(to: capelet_header(name: put(Array(header.0.utf8)), value: put(header.1)))
        }
        for (index, input) in inputs.enumerated() {
            (rawInputs + index).initialize(to: capelet_input(lambda: put(Array(input.0.utf8)), output: put(input.1)))
        }
        event.pointee.header_count = UInt32(headers.count)
        event.pointee.input_count = UInt32(inputs.count)
        event.pointee.headers = headers.isEmpty ? nil : UnsafePointer(rawHeaders)
        event.pointee.inputs = inputs.isEmpty ? nil : UnsafePointer(rawInputs)
        return Raw(event: event, bytes: bytes, headers: rawHeaders, inputs: rawInputs, bytesSize: max(size, 1))
    }

    static func free(_ raw: Raw) {
        raw.bytes.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "#"), count: raw.bytesSize)
        raw.bytes.deallocate()
        raw.headers.deallocate()
        raw.inputs.deallocate()
        raw.event.deallocate()
    }
}
