import CCapelet
import CFFI
import CLibC

/// Makes the values of one call from an event. Memory for text that needs a zero byte behind it is reused.
struct FunctionArguments {
    let values: UnsafeMutablePointer<capelet_value>
    private let parameters: [FunctionPlan.Parameter]
    private let buffer: FunctionBuffer?
    /// What `$output.length` points to.
    private let length: UnsafeMutableRawPointer
    private var lengthType = FunctionType.void
    private var scratch: UnsafeMutableRawPointer?
    private var scratchSize = 0

    init(_ plan: FunctionPlan, buffer: FunctionBuffer?) {
        parameters = plan.parameters
        self.buffer = buffer
        values = .allocate(capacity: max(1, plan.parameters.count))
        values.initialize(repeating: capelet_value(), count: max(1, plan.parameters.count))
        length = .allocate(byteCount: 16, alignment: 16)
        for parameter in plan.parameters {
            if case .outputLength = parameter.source { lengthType = parameter.type }
        }
    }

    /// Fills in `values`. Returns why it cannot be done, for the operator; nil: it is done.
    mutating func fill(_ event: UnsafePointer<capelet_event>) -> Text? {
        guard reserve(event) else { return Text.of("there is not enough memory for the text of the arguments (`memory:`)") }
        var used = 0
        for index in 0..<parameters.count {
            if let why = fill(index, event, &used) {
                var text = Text.of("argument ")
                text.append(number: index + 1)
                text.append(": ")
                text.append(contentsOf: why)
                return text
            }
        }
        return nil
    }

    /// What the function has written by `$output.length`; nil: it has none.
    var writtenLength: WideInteger? {
        switch (lengthType.lengthSize, lengthType.isSigned) {
        case (4, true): WideInteger(Int64(length.load(as: Int32.self)))
        case (4, false): WideInteger(UInt64(length.load(as: UInt32.self)))
        case (8, true): WideInteger(length.load(as: Int64.self))
        case (8, false): WideInteger(length.load(as: UInt64.self))
        default: nil
        }
    }

    // MARK: text

    /// Makes room for all copies of one call, so that none of them moves.
    private mutating func reserve(_ event: UnsafePointer<capelet_event>) -> Bool {
        var needed = 0
        for parameter in parameters where parameter.type == .string {
            switch parameter.source {
            case .bytes(let bytes): needed += (bytes.of(event)?.count ?? 0) + 1
            case .header(let name): needed += (Self.header(name, event)?.count ?? 0) + 1
            default: continue
            }
        }
        if needed <= scratchSize { return true }
        free(scratch)
        scratch = malloc(needed)
        scratchSize = scratch == nil ? 0 : needed
        return scratch != nil
    }

    /// The bytes with a zero byte behind them; nil: there is one among them.
    private func terminated(_ bytes: UnsafeRawBufferPointer, _ used: inout Int) -> UnsafeRawPointer? {
        if bytes.count > 0, memchr(bytes.baseAddress!, 0, bytes.count) != nil { return nil }
        let copy = scratch! + used
        if bytes.count > 0 { copy.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count) }
        copy.storeBytes(of: 0, toByteOffset: bytes.count, as: UInt8.self)
        used += bytes.count + 1
        return UnsafeRawPointer(copy)
    }

    private static func header(_ name: UnsafeRawBufferPointer, _ event: UnsafePointer<capelet_event>) -> UnsafeRawBufferPointer? {
        for i in 0..<Int(event.pointee.header_count) {
            let header = event.pointee.headers[i]
            if UnsafeRawBufferPointer(start: header.name.data, count: header.name.size).equals(name) {
                return UnsafeRawBufferPointer(start: header.value.data, count: header.value.size)
            }
        }
        return nil
    }

    // MARK: one argument

    private mutating func fill(_ index: Int, _ event: UnsafePointer<capelet_event>, _ used: inout Int) -> Text? {
        let (type, source) = (parameters[index].type, parameters[index].source)
        let value = values + index
        switch source {
        case .integer(let number): value.pointee.word = number.word
        case .float(let number): value.pointee.number = number
        case .bool(let truth): value.pointee.word = truth ? 1 : 0
        case .text(let text): value.pointee.pointer = text.baseAddress
        case .null: value.pointee.pointer = nil
        case .bytes(let bytes):
            guard let found = bytes.of(event) else { return Self.noInput }
            // What an empty one points to is not read, but some functions refuse NULL.
            value.pointee.pointer = found.baseAddress ?? UnsafeRawPointer(length)
            if type == .string {
                guard let copy = terminated(found, &used) else { return Self.holdsZero(bytes.name) }
                value.pointee.pointer = copy
            }
        case .header(let name):
            guard let found = Self.header(name, event) else {
                var text = Text.of("the event has no header '")
                text.append(name)
                text.append("'")
                return text
            }
            guard let copy = terminated(found, &used) else { return Self.holdsZero("the header") }
            value.pointee.pointer = copy
        case .size(let bytes):
            guard let found = bytes.of(event) else { return Self.noInput }
            return set(value, WideInteger(UInt64(found.count)), type, "the size of ", bytes.name)
        case .parsedInteger(let bytes):
            guard let found = bytes.of(event) else { return Self.noInput }
            guard let number = WideInteger(found) else { return Self.isNoNumber(found, bytes.name, "whole number of at most 64 bits") }
            return set(value, number, type, "the number in ", bytes.name)
        case .parsedFloat(let bytes):
            guard let found = bytes.of(event) else { return Self.noInput }
            guard let number = found.decimal else { return Self.isNoNumber(found, bytes.name, "decimal number") }
            guard type == .f32 ? Float(number).isFinite : number.isFinite else {
                return Text.of("the number in ", bytes.name, " is too large for ", type.name)
            }
            value.pointee.number = number
        case .sequence: return set(value, WideInteger(event.pointee.sequence), type, "$sequence", "")
        case .offset: return set(value, WideInteger(event.pointee.offset), type, "$offset", "")
        case .time: return set(value, WideInteger(event.pointee.time_micros), type, "$time", "")
        case .attempt: return set(value, WideInteger(UInt64(event.pointee.attempt)), type, "$attempt", "")
        case .output:
            buffer?.clear()
            value.pointee.pointer = buffer.map { UnsafeRawPointer($0.start) }
        case .outputSize: return set(value, WideInteger(UInt64(buffer?.capacity ?? 0)), type, "$output.size", "")
        case .outputLength:
            length.storeBytes(of: 0, as: UInt64.self)
            if type.lengthSize == 4 {
                length.storeBytes(of: UInt32(truncatingIfNeeded: buffer?.capacity ?? 0), as: UInt32.self)
            } else {
                length.storeBytes(of: UInt64(buffer?.capacity ?? 0), as: UInt64.self)
            }
            value.pointee.pointer = UnsafeRawPointer(length)
        }
        return nil
    }

    /// Never cuts a number to what fits.
    private func set(
        _ value: UnsafeMutablePointer<capelet_value>, _ number: WideInteger, _ type: FunctionType, _ what: StaticString,
        _ name: StaticString
    ) -> Text? {
        guard number.fits(type) else {
            var text = Text.of(what, name, " is ")
            number.append(to: &text)
            text.append(", which is out of the range of ")
            text.append(type.name)
            return text
        }
        value.pointee.word = number.word
        return nil
    }

    private static var noInput: Text { Text.of("there is no $input: the lambda before this one has no output for this event") }

    private static func holdsZero(_ name: StaticString) -> Text {
        Text.of(name, " holds a zero byte, at which a C string ends")
    }

    private static func isNoNumber(_ bytes: UnsafeRawBufferPointer, _ name: StaticString, _ kind: StaticString) -> Text {
        var text = Text.of(name, " is not a ", kind, ": '")
        text.append(UnsafeRawBufferPointer(rebasing: bytes.prefix(60)))
        text.append(bytes.count > 60 ? "...'" : "'")
        return text
    }
}

extension FunctionPlan.Bytes {
    /// nil: there is no input.
    fileprivate func of(_ event: UnsafePointer<capelet_event>) -> UnsafeRawBufferPointer? {
        let bytes: capelet_bytes
        switch self {
        case .payload: bytes = event.pointee.payload
        case .subject: bytes = event.pointee.subject
        case .type: bytes = event.pointee.type
        case .id: bytes = event.pointee.id
        case .input:
            guard event.pointee.input_count > 0, let inputs = event.pointee.inputs else { return nil }
            bytes = inputs[0].output
        }
        return UnsafeRawBufferPointer(start: bytes.data, count: bytes.size)
    }
}
