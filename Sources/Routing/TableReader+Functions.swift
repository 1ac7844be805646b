extension TableReader {
    /// Reads the keys of a lambda that is a plain C function; nothing when there is none of them.
    func readFunction(_ section: Section, into draft: inout LambdaDraft) {
        guard RoutingKeys.function.contains(where: section.has) else { return }
        let missing = ["library", "function", "signature"].filter { !section.has($0) }
        for key in missing {
            let hint =
                key == "signature" ? "write signature: \"u64 (u64, bytes, u32)\"" : "a function needs library, function and signature"
            log.add(draft.at, "\(section.place) lacks the key '\(key)'", hint: hint)
        }
        for (key, why) in [
            ("plugin", "a function lives in a library, not in a plugin"), ("lambda", "'function' names what is called"),
            ("config", "a function gets its values by 'arguments'"),
        ] where section.has(key) {
            log.add(section.position(of: key), "\(section.name(key)) does not go together with 'library' and 'function'", hint: why)
        }
        let library = library(section)
        let function = symbol(section)
        guard let signature = signature(section) else { return }
        let arguments = arguments(section, of: signature, after: draft.route.after)
        let success = success(section, of: signature, at: draft.at)
        let output = output(section, of: signature, arguments: arguments)
        guard let library, let function, let arguments, let success, let output else { return }
        draft.route.function = FunctionRoute(
            library: library, function: function, signature: signature, arguments: arguments, success: success, output: output,
            libraryPlace: place("library", in: section), functionPlace: place("function", in: section))
    }

    private func place(_ key: String, in section: Section) -> FilePlace {
        section.value(key).map { FilePlace(line: $0.position.line, column: $0.position.column) } ?? FilePlace()
    }

    /// A name without a slash is the loader's to find; anything else is a path.
    private func library(_ section: Section) -> String? {
        guard let value = section.value("library"), let text = section.text("library") else { return nil }
        let name = text.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        // The name of the copy, and what `capelet lambdas` shows.
        let isPlain = name.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "+"): true
            default: false
            }
        }
        guard isPlain, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= 128 else {
            let hint = "a name as in libz.so.1 that the system's loader finds, or a path; letters, digits, '-', '_', '.', '+', at most 128"
            log.add(value.position, "\(section.name("library")) is \(quoted(text)), which is not the name of a library", hint: hint)
            return nil
        }
        return text.contains("/") ? path("library", in: section) : text
    }

    private func symbol(_ section: Section) -> String? {
        guard let value = section.value("function"), let text = section.text("function") else { return nil }
        let isSymbol = text.utf8.enumerated().allSatisfy { index, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "$"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."): index > 0
            default: false
            }
        }
        guard isSymbol, (1...1024).contains(text.utf8.count) else {
            let hint = "letters, digits, '_', '$' and '.', not beginning with a digit"
            log.add(value.position, "\(section.name("function")) is \(quoted(text)), which is not the name of a function", hint: hint)
            return nil
        }
        return text
    }

    private func signature(_ section: Section) -> FunctionSignature? {
        guard let value = section.value("signature"), let text = section.text("signature") else { return nil }
        do throws(FunctionSignatureError) {
            return try FunctionSignature(parsing: text)
        } catch {
            log.add(value.position, "\(section.name("signature")) has \(error)", hint: error.hint)
            return nil
        }
    }

    // MARK: arguments

    private func arguments(_ section: Section, of signature: FunctionSignature, after: [String]) -> [FunctionArgument]? {
        var items: [YAMLValue] = []
        if let value = section.value("arguments") {
            guard case .sequence(let found) = value.content else {
                log.add(value.position, "\(section.name("arguments")) must be a list, not \(value.summary)")
                return nil
            }
            items = found
        }
        guard items.count == signature.parameters.count else {
            let at = section.value("arguments")?.position ?? section.value("signature")?.position
            let (given, wanted) = (items.count, signature.parameters.count)
            log.add(
                at,
                "\(section.place) has \(given) argument\(given == 1 ? "" : "s"), but its signature '\(signature)' has \(wanted) "
                    + "parameter\(wanted == 1 ? "" : "s")")
            return nil
        }
        var arguments: [FunctionArgument] = []
        for (index, (item, type)) in zip(items, signature.parameters).enumerated() {
            let place = "argument \(index + 1) in \(section.place)"
            guard let argument = argument(item, place: place) else { continue }
            if check(argument, fits: type, at: item.position, place: place, after: after) { arguments.append(argument) }
        }
        guard arguments.count == items.count else { return nil }
        return checkBuffers(arguments, at: items, in: section) ? arguments : nil
    }

    private func argument(_ value: YAMLValue, place: String) -> FunctionArgument? {
        guard case .scalar(let text, plain: let plain) = value.content else {
            log.add(value.position, "\(place) must be a number, text or an expression, not \(value.summary)")
            return nil
        }
        if text.hasPrefix("$$") { return self.text(String(text.dropFirst()), at: value.position, place: place) }
        if text.hasPrefix("$") {
            do throws(FunctionArgument.Fault) {
                return try FunctionArgument(expression: text)
            } catch {
                log.add(value.position, "\(place): \(error.message)", hint: error.hint)
                return nil
            }
        }
        guard plain else { return self.text(text, at: value.position, place: place) }
        if value.isNull { return .null }
        if let bool = YAMLScalar.bool(text) { return .bool(bool) }
        switch YAMLScalar.number(text) {
        case .int(let number): return .integer(Int128(number))
        case .double(let number): return .float(number)
        case .unsupported:
            // All of u64, which is more than YAML's numbers carry elsewhere.
            let digits = text.hasPrefix("0x") ? Int128(text.dropFirst(2), radix: 16) : Int128(text)
            if let digits { return .integer(digits) }
            log.add(value.position, "\(place): the number \(quoted(text)) cannot be passed")
            return nil
        case nil: return self.text(text, at: value.position, place: place)
        }
    }

    private func text(_ text: String, at: Position, place: String) -> FunctionArgument? {
        guard !text.utf8.contains(0) else {
            log.add(at, "\(place): the text holds a zero byte, at which C would end it")
            return nil
        }
        return .text(text)
    }

    private func check(_ argument: FunctionArgument, fits type: FunctionType, at: Position, place: String, after: [String]) -> Bool {
        guard argument.fits(type) else {
            log.add(at, "\(place) is \(argument.summary), but its parameter is \(type.rawValue)", hint: Self.hint(argument, for: type))
            return false
        }
        if argument.isInput, after.count != 1 {
            let hint = "'$input' is the output of the one lambda that this one comes 'after'"
            log.add(
                at, "\(place) is '\(argument.text)', but \(after.isEmpty ? "there is no 'after'" : "'after' names several lambdas")",
                hint: hint)
            return false
        }
        if case .integer(let number) = argument {
            if let range = type.range, !range.contains(number) {
                log.add(at, "\(place) is \(number), but \(type.rawValue) is between \(range.lowerBound) and \(range.upperBound)")
                return false
            }
            // A number that is not the one in the file would be passed.
            let exact: Int128 = type == .f32 ? 1 << 24 : 1 << 53
            if type.isFloat, !(-exact...exact).contains(number) {
                log.add(
                    at, "\(place) is \(number), which \(type.rawValue) cannot hold exactly", hint: "write it with a point or an exponent")
                return false
            }
        }
        if case .float(let number) = argument, type == .f32, !Float(number).isFinite {
            log.add(at, "\(place) is \(number), which is too large for f32")
            return false
        }
        return true
    }

    private static func hint(_ argument: FunctionArgument, for type: FunctionType) -> String? {
        switch (argument, type) {
        case (.integer, .string), (.float, .string), (.bool, .string): return "put it in quotes to pass it as text"
        case (.text(let text), _):
            if (try? FunctionArgument(expression: "$" + text)) != nil { return "did you mean '$\(text)'?" }
            return type.isInteger || type.isFloat ? "numbers stand without quotes" : nil
        case (.bytes(let source), _) where type.isInteger:
            return "write $\(source.rawValue).size for its size, $\(source.rawValue).integer for the number that it spells"
        case (.bytes(let source), _) where type.isFloat: return "write $\(source.rawValue).float for the number that it spells"
        case (_, .buffer): return "write $output(SIZE), or null"
        case (_, _) where type.isLengthPointer: return "write $output.length, or null"
        case (.header, .bytes): return "headers can be passed as string only"
        default: return nil
        }
    }

    private func checkBuffers(_ arguments: [FunctionArgument], at items: [YAMLValue], in section: Section) -> Bool {
        var isFine = true
        var seen: (output: Bool, length: Bool) = (false, false)
        let capacity = arguments.compactMap { if case .output(let capacity) = $0 { capacity } else { nil } }.first
        for (index, argument) in arguments.enumerated() {
            let place = "argument \(index + 1) in \(section.place)"
            switch argument {
            case .output:
                if seen.output {
                    isFine = false
                    log.add(items[index].position, "\(place) is a second '$output'", hint: "a function can have one output buffer")
                }
                seen.output = true
            case .outputSize, .outputLength:
                if capacity == nil {
                    isFine = false
                    log.add(items[index].position, "\(place) is '\(argument.text)', but no argument is '$output(SIZE)'")
                }
                if argument == .outputLength {
                    if seen.length {
                        isFine = false
                        log.add(items[index].position, "\(place) is a second '$output.length'")
                    }
                    seen.length = true
                }
            default: break
            }
        }
        return isFine
    }

    // MARK: success and output

    private func success(_ section: Section, of signature: FunctionSignature, at: Position) -> FunctionRoute.Success? {
        let result = signature.result
        guard let value = section.value("success") else {
            // There is nothing to look at, so nothing to declare.
            if result == .void { return .any }
            let hint =
                "say what it returns when it has succeeded: \(FunctionRoute.Success.allCases.map(\.rawValue).joined(separator: ", "))"
            log.add(at, "\(section.place) lacks the key 'success'", hint: hint)
            return nil
        }
        guard let choice: FunctionRoute.Success = section.choice("success") else { return nil }
        let isSigned = result.isFloat || (result.range.map { $0.lowerBound < 0 } ?? false)
        let fits =
            switch choice {
            case .any: true
            case .zero: result.isInteger || result == .bool
            case .nonNegative: isSigned
            case .nonNull: result.isInteger || result == .bool || result == .string || result == .pointer
            }
        if fits { return choice }
        let hint = choice == .nonNegative && result.isInteger ? "an unsigned number is never negative" : nil
        log.add(
            value.position,
            "\(section.name("success")) is \(choice.rawValue), which says nothing about a result of type \(result.rawValue)", hint: hint)
        return nil
    }

    private func output(
        _ section: Section, of signature: FunctionSignature, arguments: [FunctionArgument]?
    ) -> FunctionRoute.Output? {
        guard let value = section.value("output") else { return FunctionRoute.Output.none }
        if value.isNull { return FunctionRoute.Output.none }
        guard let choice: FunctionRoute.Output = section.choice("output"), let arguments else { return nil }
        let named = section.name("output")
        let hasBuffer = arguments.contains { if case .output = $0 { true } else { false } }
        switch choice {
        case .none: break
        case .result:
            if signature.result == .void || signature.result == .pointer {
                log.add(value.position, "\(named) is result, but a result of type \(signature.result.rawValue) has no text")
                return nil
            }
        case .buffer, .bufferByResult, .bufferAsString:
            guard hasBuffer else {
                log.add(value.position, "\(named) is \(choice.rawValue), but no argument is '$output(SIZE)'")
                return nil
            }
            if choice != .buffer, arguments.contains(.outputLength) {
                log.add(
                    value.position, "\(named) is \(choice.rawValue), but '$output.length' says how long it is", hint: "write output: buffer"
                )
                return nil
            }
            if choice == .bufferByResult, !signature.result.isInteger {
                log.add(value.position, "\(named) is buffer(result), but a result of type \(signature.result.rawValue) is no length")
                return nil
            }
        }
        return choice
    }
}
