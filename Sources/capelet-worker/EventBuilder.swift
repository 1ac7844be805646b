import CCapelet
import CLibC
import CWorkerProtocol

/// Makes the `capelet_event` that a handler gets from the record that the host wrote: everything points into the record; only the arrays of
/// headers and inputs are made here, in buffers that are reused.
///
/// For one event: `build(slot, record)`. For a batch: `begin`, `reserve` for each, then `build` for each, so that the arrays
/// do not move once an event points to them.
struct EventBuilder {
    private var events: UnsafeMutablePointer<capelet_event>
    private var eventCapacity = 1
    private var headers: UnsafeMutablePointer<capelet_header>?
    private var headerCapacity = 0
    private var headersUsed = 0
    private var inputs: UnsafeMutablePointer<capelet_input>?
    private var inputCapacity = 0
    private var inputsUsed = 0
    private var domains: DomainNames

    init(settings: Settings) {
        events = .allocate(capacity: 1)
        domains = DomainNames(settings)
    }

    mutating func build(_ slot: capelet_slot, _ record: UnsafePointer<capelet_record>) -> UnsafePointer<capelet_event> {
        reserve(0, record)
        return build(0, slot, record)
    }

    /// Begins a batch of at most `max` events.
    mutating func begin(max: Int) {
        if max > eventCapacity {
            events.deallocate()
            events = .allocate(capacity: max)
            eventCapacity = max
        }
    }

    /// Makes room for what `record` needs. `index` 0, 1, 2 and so on.
    mutating func reserve(_ index: Int, _ record: UnsafePointer<capelet_record>) {
        if index == 0 {
            headersUsed = 0
            inputsUsed = 0
        }
        headersUsed += Int(record.pointee.header_count)
        inputsUsed += Int(record.pointee.input_count)
        if headersUsed > headerCapacity {
            headers?.deallocate()
            headerCapacity = max(64, headersUsed * 2)
            headers = .allocate(capacity: headerCapacity)
        }
        if inputsUsed > inputCapacity {
            inputs?.deallocate()
            inputCapacity = max(16, inputsUsed * 2)
            inputs = .allocate(capacity: inputCapacity)
        }
    }

    /// Makes event `index`. Valid until the next `begin` or the next event alone.
    mutating func build(_ index: Int, _ slot: capelet_slot, _ record: UnsafePointer<capelet_record>) -> UnsafePointer<capelet_event> {
        if index == 0 {
            headersUsed = 0
            inputsUsed = 0
        }
        let at = capelet_record_sections(record)
        let base = UnsafeRawPointer(record)
        let event = events + index
        event.pointee.struct_size = UInt32(MemoryLayout<capelet_event>.size)
        event.pointee.attempt = slot.attempt
        // REDRIVEN and REPLAYED are neighbours in both words.
        event.pointee.flags = UInt32(record.pointee.flags >> 1) & 3
        event.pointee.token = slot.token
        event.pointee.sequence = record.pointee.sequence
        event.pointee.offset = record.pointee.offset
        event.pointee.time_micros = record.pointee.time_micros
        event.pointee.domain = domains.name(record.pointee.domain)
        event.pointee.subject = capelet_bytes(data: base + Int(at.subject), size: Int(record.pointee.subject_size))
        event.pointee.type = capelet_bytes(data: base + Int(at.type), size: Int(record.pointee.type_size))
        event.pointee.id = capelet_bytes(data: base + Int(at.id), size: Int(record.pointee.id_size))
        event.pointee.payload = capelet_bytes(data: base + Int(at.payload), size: Int(record.pointee.payload_size))
        event.pointee.reserved = 0

        let headerCount = Int(record.pointee.header_count)
        event.pointee.header_count = UInt32(headerCount)
        event.pointee.headers = headers.map { UnsafePointer($0 + headersUsed) }
        var pair = base + Int(at.headers)
        for _ in 0..<headerCount {
            let (name, value, next) = Self.pair(pair)
            headers![headersUsed] = capelet_header(name: name, value: value)
            headersUsed += 1
            pair = next
        }

        let inputCount = Int(record.pointee.input_count)
        event.pointee.input_count = UInt32(inputCount)
        event.pointee.inputs = inputs.map { UnsafePointer($0 + inputsUsed) }
        pair = base + Int(at.inputs)
        for _ in 0..<inputCount {
            let (lambda, output, next) = Self.pair(pair)
            inputs![inputsUsed] = capelet_input(lambda: lambda, output: output)
            inputsUsed += 1
            pair = next
        }
        return UnsafePointer(event)
    }

    /// { u16, u32, bytes, bytes }, unaligned.
    @inline(__always)
    private static func pair(_ at: UnsafeRawPointer) -> (capelet_bytes, capelet_bytes, UnsafeRawPointer) {
        let first = Int(at.loadUnaligned(as: UInt16.self))
        let second = Int(at.loadUnaligned(fromByteOffset: 2, as: UInt32.self))
        return (capelet_bytes(data: at + 6, size: first), capelet_bytes(data: at + 6 + first, size: second), at + 6 + first + second)
    }
}

/// The names of domains by their number in the journal; a worker's events come from one or a few.
struct DomainNames {
    private var numbers: [UInt32] = []
    private var names: [capelet_bytes] = []
    private var last = 0

    init(_ settings: Settings) {
        var (numbers, names): ([UInt32], [capelet_bytes]) = ([], [])
        settings.forEach(prefix: "domain.") { number, name in
            guard let number = number.number.flatMap({ UInt32(exactly: $0) }) else { return }
            numbers.append(number)
            names.append(capelet_bytes(data: name.baseAddress, size: name.count))
        }
        (self.numbers, self.names) = (numbers, names)
    }

    /// Empty for a number that the settings do not have.
    mutating func name(_ number: UInt32) -> capelet_bytes {
        if last < numbers.count, numbers[last] == number { return names[last] }
        for i in numbers.indices where numbers[i] == number {
            last = i
            return names[i]
        }
        return capelet_bytes(data: nil, size: 0)
    }
}
