import CCapelet
import CFFI
import CLibC

/// A lambda that is a plain C function: what a plugin's table would hold for it. One for each worker, made when it starts.
///
/// The function runs as a handler does: in a worker of its own lambda, under its limits and deadline. What it gets is checked against the
/// types of its parameters for every event; what it returns is copied at most up to the limit of an output. That the declared types are those
/// of the function cannot be known: a wrong signature is a fault like any other of a lambda's, and takes down this process only.
struct FunctionCall {
    private let plan: FunctionPlan
    private let call: OpaquePointer
    private let buffer: FunctionBuffer?
    private var arguments: FunctionArguments
    fileprivate var host: UnsafePointer<capelet_host>?

    enum Making {
        case made(FunctionCall)
        /// Why not, for the operator.
        case failed(Text)
    }

    /// Finds the function in a loaded library and prepares its call.
    static func make(library: UnsafeMutableRawPointer, settings: Settings) -> Making {
        let plan: FunctionPlan
        switch FunctionPlan.read(settings) {
        case .invalid(let why): return .failed(why)
        case .plan(let found): plan = found
        }
        let function: UnsafeMutableRawPointer
        switch FunctionSymbol.find(plan.symbol, in: library) {
        case .missing(let why): return .failed(why)
        case .found(let address): function = address
        }
        var types: [Int32] = []
        for parameter in plan.parameters { types.append(parameter.type.code) }
        guard let call = capelet_call_make(function, plan.result.code, types, Int32(types.count)) else {
            return .failed(Text.of("libffi cannot call a function of this signature"))
        }
        var buffer: FunctionBuffer?
        if plan.capacity > 0 {
            buffer = FunctionBuffer(capacity: plan.capacity)
            if buffer == nil { return .failed(Text.of("there is not enough memory for the output buffer (`memory:`)")) }
        }
        return .made(FunctionCall(plan: plan, call: call, buffer: buffer, arguments: FunctionArguments(plan, buffer: buffer), host: nil))
    }

    /// Calls the function for one event; returns a `capelet_status`.
    fileprivate mutating func handle(_ event: UnsafePointer<capelet_event>, _ result: UnsafeMutablePointer<capelet_result>) -> Int32 {
        func end(_ status: capelet_status, _ text: Text) -> Int32 {
            WorkerResult.setMessage(result, text)
            return Int32(status.rawValue)
        }
        if let why = arguments.fill(event) { return end(CAPELET_FATAL, why) }
        var returned = capelet_value()
        let error = capelet_call_run(call, arguments.values, &returned)
        if let buffer, !buffer.isWhole { dieOfOverrun(buffer) }
        guard isSuccess(returned) else {
            var text = saying(returned, error)
            text.append("; success is ")
            text.append(successName)
            return end(CAPELET_RETRY, text)
        }
        if let why = putOut(returned, event.pointee.token) {
            var text = saying(returned, error)
            text.append("; ")
            text.append(contentsOf: why)
            return end(CAPELET_FATAL, text)
        }
        return Int32(CAPELET_SUCCESS.rawValue)
    }

    /// What is in this process cannot be relied on any more.
    private func dieOfOverrun(_ buffer: FunctionBuffer) -> Never {
        var text = Text.of("capelet-worker: ")
        text.append(contentsOf: plan.symbol)
        text.append(" has written beyond its output buffer of ")
        text.append(number: buffer.capacity)
        text.append(" bytes\n")
        writeAll(2, text)
        abort()
    }

    // MARK: success

    private func isSuccess(_ returned: capelet_value) -> Bool {
        switch plan.success {
        case .any: true
        case .zero: returned.word == 0
        case .nonNegative: plan.result.isFloat ? returned.number >= 0 : Int64(bitPattern: returned.word) >= 0
        case .nonNull: plan.result.code == CAPELET_TYPE_POINTER ? returned.pointer != nil : returned.word != 0
        }
    }

    private var successName: StaticString {
        switch plan.success {
        case .any: "any"
        case .zero: "zero"
        case .nonNegative: "non-negative"
        case .nonNull: "non-null"
        }
    }

    /// `compress2 returned -5 (errno 11: Resource temporarily unavailable)`
    private func saying(_ returned: capelet_value, _ error: Int32) -> Text {
        var text = plan.symbol
        text.append(" returned")
        if plan.result != .void {
            text.append(" ")
            if plan.result.code == CAPELET_TYPE_POINTER {
                text.append(returned.pointer == nil ? "NULL" : "a pointer")
            } else {
                text.append(contentsOf: words(returned))
            }
        }
        if error != 0 {
            text.append(" (errno ")
            text.append(number: Int(error))
            text.append(": ")
            text.append(cString: strerror(error))
            text.append(")")
        }
        return text
    }

    /// A result that is no pointer, as text.
    private func words(_ returned: capelet_value) -> Text {
        var text: Text = []
        if plan.result == .bool {
            text.append(returned.word == 0 ? "false" : "true")
        } else if plan.result.isFloat {
            withUnsafeTemporaryAllocation(byteCount: Int(CAPELET_NUMBER_TEXT_MAX), alignment: 8) { room in
                let start = room.baseAddress!
                let size = capelet_number_text(
                    returned.number, plan.result == .f32 ? 1 : 0, start.assumingMemoryBound(to: CChar.self))
                text.append(UnsafeRawBufferPointer(start: start, count: size))
            }
        } else {
            number(returned).append(to: &text)
        }
        return text
    }

    private func number(_ returned: capelet_value) -> WideInteger {
        plan.result.isSigned ? WideInteger(Int64(bitPattern: returned.word)) : WideInteger(returned.word)
    }

    // MARK: output

    /// Returns why it cannot be done; nil: it is done.
    private func putOut(_ returned: capelet_value, _ token: UInt64) -> Text? {
        switch plan.output {
        case .none: return nil
        case .result:
            if plan.result != .string { return words(returned).withUnsafeBytes { put($0, token) } }
            // NULL is a success only with `any`, and then there is nothing to put out.
            guard let start = returned.pointer else { return nil }
            let size = strnlen(start.assumingMemoryBound(to: CChar.self), HostLimits.outputBytes + 1)
            if size > HostLimits.outputBytes { return Text.of("its text is longer than an output can be, 1 MiB") }
            return put(UnsafeRawBufferPointer(start: start, count: size), token)
        case .buffer:
            guard let written = arguments.writtenLength else { return put(buffer, WideInteger(UInt64(plan.capacity)), token) }
            return put(buffer, written, token)
        case .bufferByResult: return put(buffer, number(returned), token)
        case .bufferAsString:
            guard let buffer else { return nil }
            let size = strnlen(buffer.start.assumingMemoryBound(to: CChar.self), buffer.capacity)
            if size == buffer.capacity { return Text.of("there is no zero byte in its output buffer") }
            return put(UnsafeRawBufferPointer(start: buffer.start, count: size), token)
        }
    }

    private func put(_ buffer: FunctionBuffer?, _ size: WideInteger, _ token: UInt64) -> Text? {
        guard let buffer else { return nil }
        guard !size.isNegative, size.magnitude <= UInt64(buffer.capacity) else {
            var text = Text.of("its output has, as it says, ")
            size.append(to: &text)
            text.append(" bytes, and the buffer ")
            text.append(number: buffer.capacity)
            return text
        }
        return put(UnsafeRawBufferPointer(start: buffer.start, count: Int(size.magnitude)), token)
    }

    private func put(_ bytes: UnsafeRawBufferPointer, _ token: UInt64) -> Text? {
        guard let host, let output = host.pointee.output else { return Text.of("there is no host to put it out to") }
        let status = output(host, token, bytes.baseAddress, bytes.count)
        // The run is over: nobody wants its output.
        return status == 0 || status == Int32(CAPELET_EGONE) ? nil : Text.of("its output was refused")
    }
}

// MARK: as a lambda of a table

extension FunctionCall {
    /// The table of a plugin with this one lambda. Made once in a process, and never freed.
    static func table(library: UnsafeMutableRawPointer, settings: Settings) -> PluginTable.Reading {
        switch make(library: library, settings: settings) {
        case .failed(let why): return .invalid(why)
        case .made(let call):
            let place = UnsafeMutablePointer<FunctionCall>.allocate(capacity: 1)
            place.initialize(to: call)
            loaded = place
            let element = UnsafeMutablePointer<capelet_lambda>.allocate(capacity: 1)
            var lambda = capelet_lambda()
            lambda.struct_size = UInt32(MemoryLayout<capelet_lambda>.size)
            lambda.start = startFunction
            lambda.handle = handleWithFunction
            element.initialize(to: lambda)
            let entry = PluginLambda.made(element, name: settings.text("lambda.entry"))
            return .table(PluginTable(abiVersion: CAPELET_ABI_VERSION, version: [], lambdas: [entry]))
        }
    }

    nonisolated(unsafe) fileprivate static var loaded: UnsafeMutablePointer<FunctionCall>? = nil
}

private func startFunction(
    host: UnsafePointer<capelet_host>?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _: UnsafeMutablePointer<capelet_result>?
) -> Int32 {
    FunctionCall.loaded?.pointee.host = host
    state?.pointee = FunctionCall.loaded.map { UnsafeMutableRawPointer($0) }
    return 0
}

private func handleWithFunction(
    state: UnsafeMutableRawPointer?, event: UnsafePointer<capelet_event>?, result: UnsafeMutablePointer<capelet_result>?
) -> Int32 {
    guard let state, let event, let result else { return -1 }
    return state.assumingMemoryBound(to: FunctionCall.self).pointee.handle(event, result)
}
