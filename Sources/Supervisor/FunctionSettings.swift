internal import Routing

// A function's part of its workers' settings; keeper_messages.h describes it, `FunctionPlan` in capelet-worker reads it.

extension FunctionRoute {
    /// Adds the keys that begin with `function.`.
    func add(to settings: inout SettingsBuffer) {
        settings.add("function.symbol", function)
        settings.add("function.result", signature.result.rawValue)
        settings.add("function.success", success.rawValue)
        settings.add("function.output", output.rawValue)
        for (type, argument) in zip(signature.parameters, arguments) {
            settings.add("function.argument", "\(type.rawValue) \(argument.setting(for: type))")
        }
    }
}

extension FunctionArgument {
    /// `SOURCE VALUE`.
    fileprivate func setting(for type: FunctionType) -> String {
        switch self {
        case .integer(let number): type.isFloat ? "float \(number)" : "integer \(number)"
        case .float(let number): "float \(number)"
        case .bool(let truth): "bool \(truth)"
        case .text(let text): "text \(text)"
        case .null: "null"
        case .bytes(let source): "bytes \(source.rawValue)"
        case .size(let source): "size \(source.rawValue)"
        case .parsedInteger(let source): "parsed-integer \(source.rawValue)"
        case .parsedFloat(let source): "parsed-float \(source.rawValue)"
        case .number(let number): "number \(number.rawValue)"
        case .header(let name): "header \(name)"
        case .output(let capacity): "output \(capacity)"
        case .outputSize: "output-size"
        case .outputLength: "output-length"
        }
    }
}
