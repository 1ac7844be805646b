extension TableReader {
    /// The lambdas that have an entry under `lambdas:`.
    func definedLambdas(_ top: Section) -> [String: LambdaDraft] {
        guard let value = top.value("lambdas"), !value.isNull else { return [:] }
        guard case .mapping(let entries) = value.content else {
            log.add(value.position, "'lambdas' at the top level must be a mapping of names and settings, not \(value.summary)")
            return [:]
        }
        var drafts: [String: LambdaDraft] = [:]
        for entry in entries where checkName(entry.key, at: entry.keyPosition, kind: "lambda") {
            drafts[entry.key] = lambda(entry)
        }
        return drafts
    }

    private func lambda(_ entry: YAMLEntry) -> LambdaDraft {
        var draft = LambdaDraft(route: LambdaRoute(name: entry.key), at: entry.keyPosition, isDefined: true)
        guard let section = Section(entry.value, place: "lambda '\(entry.key)'", keys: RoutingKeys.lambda, log: log) else { return draft }
        if let plugin = section.readName("plugin") { draft.route.plugin = plugin }
        if let name = section.readName("lambda") { draft.route.entry = name }
        section.read("enabled", into: &draft.route.enabled)
        section.read("workers", into: &draft.route.workers, in: 1...1024)
        section.read("concurrency", into: &draft.route.concurrency, in: 1...65536)
        section.read("order", into: &draft.route.order)
        section.read("exhausted", into: &draft.route.exhausted)
        readAfter(section, into: &draft)
        readFunction(section, into: &draft)
        readFrom(section, into: &draft.route.from)
        readRetry(section, into: &draft.route.retry)
        readLimits(section, into: &draft.route.limits)
        readRecycling(section, under: draft.route.limits.memoryBytes, into: &draft.route.recycle)
        readFilter(section, into: &draft.route.filter)
        readSandbox(section, into: &draft.route.sandbox)
        readEnvironment(section, into: &draft.route.environment)
        if let value = section.value("config"), !value.isNull {
            draft.route.config = ConfigReader(reader: self).config(value, place: section.name("config"))
        }
        return draft
    }

    private func readAfter(_ section: Section, into draft: inout LambdaDraft) {
        guard let value = section.value("after"), !value.isNull, !value.isEmptyList else { return }
        for (name, at) in section.texts("after") ?? [] {
            if draft.after.contains(where: { $0.name == name }) {
                log.add(at, "lambda '\(name)' is named twice in \(section.name("after"))", hint: "keep one of them")
            } else {
                draft.after.append((name, at))
            }
        }
        draft.route.after = draft.after.map(\.name)
    }

    private func readFrom(_ section: Section, into from: inout StartPosition) {
        guard let value = section.value("from") else { return }
        switch value.content {
        case .scalar("now", plain: _): from = .now
        case .scalar("beginning", plain: _): from = .beginning
        case .scalar(let text, plain: true):
            if case .int(let offset) = YAMLScalar.number(text), offset >= 0 {
                from = .offset(UInt64(offset))
                return
            }
            fallthrough
        default: log.add(value.position, "\(section.name("from")) must be now, beginning or an offset, not \(value.summary)")
        }
    }

    private func readRetry(_ section: Section, into retry: inout RetrySettings) {
        guard let inner = section.section("retry", keys: RoutingKeys.retry) else { return }
        inner.read("attempts", into: &retry.attempts, in: 1...1_000_000)
        inner.read("crashes", into: &retry.crashes, in: 1...1_000_000)
        guard let value = inner.value("backoff"), let text = inner.text("backoff") else { return }
        let named = inner.name("backoff")
        // `200ms..30s`; one duration is both ends.
        let ends = text.components(around: "..").map { ($0.0, $0.1) } ?? (text, text)
        guard let least = inner.duration(ends.0, at: value.position, named: named),
            let most = ends.0 == ends.1 ? least : inner.duration(ends.1, at: value.position, named: named)
        else { return }
        if least > most {
            let message = "\(named) is \(text), but its least is longer than its most"
            return log.add(value.position, message, hint: "write the shorter one first")
        }
        let range = Duration.zero ... .seconds(7 * 24 * 3600)
        guard inner.check(most, shown: ends.1, at: value.position, named: named, in: range) else { return }
        retry.backoffMin = least
        retry.backoffMax = most
    }

    private func readLimits(_ section: Section, into limits: inout LambdaLimits) {
        let day = Duration.seconds(24 * 3600)
        readTimeout(section, into: &limits)
        section.read("boot", into: &limits.boot, in: .milliseconds(10) ... .seconds(3600))
        section.read("grace", into: &limits.grace, in: .zero ... .seconds(3600))
        section.read("memory", intoSize: &limits.memoryBytes, in: 8 << 20...1 << 46)
        readProcessors(section, into: &limits.processors)
        section.read("files", into: &limits.files, in: 16...1 << 20)
        section.read("file-size", intoSize: &limits.fileBytes, in: 0...RoutingLimits.sizeMax)
        section.read("stack", intoSize: &limits.stackBytes, in: 256 << 10...1 << 30)
        section.read("log-rate", intoSize: &limits.logBytesPerSecond, in: 1 << 10...1 << 30)
        if section.has("cpu"), !section.isNone("cpu") {
            // The host looks every 50 ms: a shorter limit would promise more than it can hold.
            var cpu = Duration.zero
            section.read("cpu", into: &cpu, in: .milliseconds(100)...day)
            if cpu > .zero { limits.cpu = cpu }
        }
        if limits.timeout == nil, limits.cpu == nil, let at = section.value("timeout")?.position {
            log.warn(at, "\(section.name("timeout")) is none and there is no 'cpu': a run that never ends is ended by nobody")
        }
    }

    private func readTimeout(_ section: Section, into limits: inout LambdaLimits) {
        let most = Duration.seconds(30 * 24 * 3600)
        guard !section.isNone("timeout") || section.value("timeout")?.isNull == true else {
            limits.timeout = nil
            if let at = section.position(of: "timeout-max") {
                log.add(at, "\(section.name("timeout-max")) has no meaning where 'timeout' is none", hint: "leave it out")
            }
            return
        }
        var timeout = limits.timeout ?? .zero
        section.read("timeout", into: &timeout, in: .milliseconds(1) ... .seconds(24 * 3600))
        section.read("timeout-max", into: &limits.timeoutMax, in: .milliseconds(1)...most)
        if timeout > limits.timeoutMax {
            if section.has("timeout"), section.has("timeout-max"), let at = section.value("timeout")?.position {
                let (given, longest) = (Quantity.text(timeout), Quantity.text(limits.timeoutMax))
                log.add(at, "\(section.name("timeout")) is \(given), longer than 'timeout-max', which is \(longest)")
            } else if section.has("timeout") {
                // Only one of them was given: the other default gives way.
                limits.timeoutMax = timeout
            } else {
                timeout = limits.timeoutMax
            }
        }
        limits.timeout = timeout
    }

    private func readSandbox(_ section: Section, into sandbox: inout SandboxSettings) {
        guard let value = section.value("sandbox"), !value.isNull else { return }
        if case .scalar(_, plain: _) = value.content { return section.read("sandbox", into: &sandbox.tier) }
        guard let inner = section.section("sandbox", keys: RoutingKeys.sandbox) else { return }
        inner.read("tier", into: &sandbox.tier)
        inner.read("require", into: &sandbox.require)
        inner.read("user", into: &sandbox.user)
        inner.read("network", into: &sandbox.network)
        inner.read("processes", into: &sandbox.processes, in: 0...4096)
        sandbox.read = paths("read", in: inner)
        sandbox.write = paths("write", in: inner)
        if sandbox.require > sandbox.tier, let at = inner.value("require")?.position {
            let message =
                "\(inner.name("require")) is \(sandbox.require.rawValue), which is stronger than its tier, \(sandbox.tier.rawValue)"
            log.add(at, message, hint: "write tier: \(sandbox.require.rawValue) too")
        }
        guard let names = inner.value("environment"), !names.isNull, !names.isEmptyList else { return }
        for (name, at) in inner.texts("environment") ?? [] {
            if Self.isVariable(name) {
                sandbox.environment.append(name)
            } else {
                let hint = "list names here; variables with values go under 'environment' of the lambda"
                log.add(at, "\(quoted(name)) in \(inner.name("environment")) is not a name for a variable", hint: hint)
            }
        }
    }

    /// Whether a name can be that of a variable: letters, digits and `_`, not beginning with a digit.
    private static func isVariable(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.enumerated().allSatisfy { index, byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): index > 0
                default: false
                }
            }
    }

    /// Reads `processors: 1.5`.
    private func readProcessors(_ section: Section, into processors: inout Double?) {
        guard let value = section.value("processors"), !value.isNull else { return }
        let named = section.name("processors")
        guard case .scalar(let text, plain: true) = value.content else {
            return log.add(value.position, "\(named) must be a number, not \(value.summary)", hint: "for instance 0.5, or none")
        }
        if text == "none" { return processors = nil }
        let number: Double? =
            switch YAMLScalar.number(text) {
            case .int(let whole): Double(whole)
            case .double(let number): number
            default: nil
            }
        guard let number else {
            return log.add(value.position, "\(named) must be a number, not \(value.summary)", hint: "for instance 0.5, or none")
        }
        guard (0.01...1024).contains(number) else {
            return log.add(value.position, "\(named) is \(text), but must be between 0.01 and 1024")
        }
        processors = number
    }

    private func readEnvironment(_ section: Section, into environment: inout [String: String]) {
        guard let value = section.value("environment"), !value.isNull else { return }
        guard case .mapping(let entries) = value.content else {
            return log.add(value.position, "\(section.name("environment")) must be a mapping of names and texts, not \(value.summary)")
        }
        for entry in entries {
            guard Self.isVariable(entry.key) else {
                log.add(
                    entry.keyPosition, "\(quoted(entry.key)) in \(section.name("environment")) is not a name for a variable",
                    hint: "letters, digits and '_', not beginning with a digit")
                continue
            }
            if case .mapping = entry.value.content {
                log.add(
                    entry.value.position, "variable '\(entry.key)' in \(section.name("environment")) must be text, not a mapping",
                    hint: "files with secrets can be named under 'config' only")
                continue
            }
            guard let text = section.text(entry.value, named: "variable '\(entry.key)' in \(section.name("environment"))") else { continue }
            if text.utf8.contains(0) {
                log.add(entry.value.position, "variable '\(entry.key)' in \(section.name("environment")) holds a zero byte")
            } else {
                environment[entry.key] = text
            }
        }
    }
}
