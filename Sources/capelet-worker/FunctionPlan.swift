import CFFI
import CLibC

/// What a lambda that is a plain C function calls, and with what: the `function.` keys of its worker's settings (keeper_messages.h). The host
/// has checked all of it when it read the routing file; what it means for memory is checked here once more.
struct FunctionPlan {
    let symbol: Text
    let result: FunctionType
    let success: Success
    let output: Output
    private(set) var parameters: [Parameter] = []
    /// Bytes of the output buffer; 0: there is none.
    private(set) var capacity = 0

    enum Success { case zero, nonNegative, nonNull, any }
    enum Output { case none, result, buffer, bufferByResult, bufferAsString }

    struct Parameter {
        let type: FunctionType
        let source: Source
    }

    /// Where a value comes from.
    enum Source {
        case integer(WideInteger)
        case float(Double)
        case bool(Bool)
        /// Text of the settings, ended by a zero byte that does not count; it lives as long as the process.
        case text(UnsafeRawBufferPointer)
        case null
        case bytes(Bytes)
        case size(Bytes)
        case parsedInteger(Bytes)
        case parsedFloat(Bytes)
        case sequence, offset, time, attempt
        /// The header's name; it lives as long as the process.
        case header(UnsafeRawBufferPointer)
        case output
        case outputSize
        case outputLength
    }

    /// Bytes of an event.
    enum Bytes { case payload, subject, type, id, input }

    enum Reading {
        case plan(FunctionPlan)
        case invalid(Text)
    }

    private static let capacityMax = UInt64(HostLimits.outputBytes)

    private init(symbol: Text, result: FunctionType, success: Success, output: Output) {
        self.symbol = symbol
        self.result = result
        self.success = success
        self.output = output
    }

    static func read(_ settings: Settings) -> Reading {
        let symbol = settings.text("function.symbol")
        guard !symbol.isEmpty, !symbol.contains(0) else { return .invalid(Text.of("the settings name no function")) }
        guard let result = settings.value("function.result").flatMap(FunctionType.init), result.canBeResult else {
            return invalid(settings, "function.result")
        }
        guard let success = success(settings) else { return invalid(settings, "function.success") }
        guard let output = output(settings) else { return invalid(settings, "function.output") }
        var plan = FunctionPlan(symbol: symbol, result: result, success: success, output: output)
        var wrong: Text?
        settings.forEach { key, value in
            if wrong == nil, key.equals("function.argument"), !plan.add(value) {
                wrong = Text.of("the settings have an argument that makes no sense: ")
                wrong?.append(value)
            }
        }
        if let wrong { return .invalid(wrong) }
        guard plan.parameters.count <= Int(CAPELET_CALL_PARAMETERS_MAX) else {
            return .invalid(Text.of("the function has too many parameters"))
        }
        var needsBuffer = false
        switch output {
        case .buffer, .bufferByResult, .bufferAsString: needsBuffer = true
        case .none, .result: needsBuffer = plan.parameters.contains { $0.source.refersToOutput }
        }
        guard !needsBuffer || plan.capacity > 0 else { return .invalid(Text.of("the settings want an output buffer and give none")) }
        return .plan(plan)
    }

    private static func invalid(_ settings: Settings, _ key: StaticString) -> Reading {
        var text = Text.of("the settings have ", key, ", which makes no sense: ")
        text.append(contentsOf: settings.text(key))
        return .invalid(text)
    }

    private static func success(_ settings: Settings) -> Success? {
        guard let word = settings.value("function.success") else { return nil }
        if word.equals("zero") { return .zero }
        if word.equals("non-negative") { return .nonNegative }
        if word.equals("non-null") { return .nonNull }
        return word.equals("any") ? .any : nil
    }

    private static func output(_ settings: Settings) -> Output? {
        guard let word = settings.value("function.output") else { return nil }
        if word.equals("none") { return Output.none }
        if word.equals("result") { return .result }
        if word.equals("buffer") { return .buffer }
        if word.equals("buffer(result)") { return .bufferByResult }
        return word.equals("buffer(string)") ? .bufferAsString : nil
    }

    /// Adds one argument, `TYPE SOURCE VALUE`.
    private mutating func add(_ text: UnsafeRawBufferPointer) -> Bool {
        let (word, rest) = text.word
        guard let type = FunctionType(word), type.canBeParameter else { return false }
        let (kind, value) = rest.word
        guard let source = source(kind, value, for: type) else { return false }
        parameters.append(Parameter(type: type, source: source))
        return true
    }

    /// nil: there is no such source, its value is wrong, or it does not go with the type.
    private mutating func source(_ kind: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, for type: FunctionType) -> Source? {
        let isText = type == .string || type == .bytes
        if kind.equals("integer"), type.isInteger, let number = WideInteger(value), number.fits(type) { return .integer(number) }
        if kind.equals("float"), type.isFloat, let number = value.decimal { return .float(number) }
        if kind.equals("bool"), type == .bool { return .bool(value.equals("true")) }
        if kind.equals("text"), isText { return .text(value.terminatedCopy()) }
        if kind.equals("null"), isText || type == .buffer || type.lengthSize > 0 { return .null }
        if kind.equals("bytes"), isText, let bytes = Bytes(value) { return .bytes(bytes) }
        if kind.equals("size"), type.isInteger, let bytes = Bytes(value) { return .size(bytes) }
        if kind.equals("parsed-integer"), type.isInteger, let bytes = Bytes(value) { return .parsedInteger(bytes) }
        if kind.equals("parsed-float"), type.isFloat, let bytes = Bytes(value) { return .parsedFloat(bytes) }
        if kind.equals("number"), type.isInteger {
            if value.equals("sequence") { return .sequence }
            if value.equals("offset") { return .offset }
            if value.equals("time") { return .time }
            if value.equals("attempt") { return .attempt }
        }
        if kind.equals("header"), type == .string, value.count > 0 { return .header(value.terminatedCopy()) }
        if kind.equals("output"), type == .buffer, capacity == 0, let size = value.number, size > 0, size <= Self.capacityMax {
            capacity = Int(size)
            return .output
        }
        if kind.equals("output-size"), type.isInteger { return .outputSize }
        if kind.equals("output-length"), type.lengthSize > 0 { return .outputLength }
        return nil
    }
}

extension FunctionPlan.Source {
    fileprivate var refersToOutput: Bool {
        switch self {
        case .outputSize, .outputLength: true
        default: false
        }
    }
}

extension FunctionPlan.Bytes {
    fileprivate init?(_ word: UnsafeRawBufferPointer) {
        if word.equals("payload") {
            self = .payload
        } else if word.equals("subject") {
            self = .subject
        } else if word.equals("type") {
            self = .type
        } else if word.equals("id") {
            self = .id
        } else if word.equals("input") {
            self = .input
        } else {
            return nil
        }
    }

    /// As routing files write it.
    var name: StaticString {
        switch self {
        case .payload: "$payload"
        case .subject: "$subject"
        case .type: "$type"
        case .id: "$id"
        case .input: "$input"
        }
    }
}

extension UnsafeRawBufferPointer {
    /// What stands before the first space, and after it.
    fileprivate var word: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) {
        var end = 0
        while end < count && self[end] != UInt8(ascii: " ") { end += 1 }
        return (
            UnsafeRawBufferPointer(rebasing: self[..<end]), UnsafeRawBufferPointer(rebasing: self[Swift.min(end + 1, count)...])
        )
    }

    /// A copy with a zero byte behind it, for the life of the process.
    fileprivate func terminatedCopy() -> UnsafeRawBufferPointer {
        let copy = UnsafeMutableRawPointer.allocate(byteCount: count + 1, alignment: 16)
        if let baseAddress { copy.copyMemory(from: baseAddress, byteCount: count) }
        copy.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
        return UnsafeRawBufferPointer(start: copy, count: count)
    }
}
