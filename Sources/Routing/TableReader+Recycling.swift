extension TableReader {
    /// `recycle:`, when a healthy worker is replaced.
    func readRecycling(_ section: Section, under limit: UInt64, into recycle: inout RecycleSettings) {
        guard let inner = section.section("recycle", keys: RoutingKeys.recycle) else { return }
        if inner.isNone("memory") {
            recycle.memory = nil
        } else if let value = inner.value("memory"), let text = inner.text("memory") {
            if text.hasSuffix("%") {
                if let percent = Int(text.dropLast()), (1...99).contains(percent) {
                    recycle.memory = .percent(percent)
                } else {
                    log.add(value.position, "\(inner.name("memory")) is \(quoted(text)), but must be between 1% and 99%")
                }
            } else {
                var bytes: UInt64 = 0
                inner.read("memory", intoSize: &bytes, in: 1 << 20...1 << 46)
                if bytes > 0 { recycle.memory = .bytes(bytes) }
                if bytes >= limit {
                    log.add(
                        value.position,
                        "\(inner.name("memory")) is \(text), but workers cannot have more than 'memory', which is \(Quantity.text(bytes: limit))",
                        hint: "choose less, or a share as in 80%")
                }
            }
        }
        if !inner.isNone("events"), inner.has("events") {
            var events = 0
            inner.read("events", into: &events, in: 1...1_000_000_000)
            if events > 0 { recycle.events = events }
        }
        if !inner.isNone("age"), inner.has("age") {
            var age = Duration.zero
            inner.read("age", into: &age, in: .seconds(1)...RoutingLimits.durationMax)
            if age > .zero { recycle.age = age }
        }
    }
}

extension Section {
    /// Whether a key says `none`, or nothing.
    func isNone(_ key: String) -> Bool {
        guard let value = value(key) else { return false }
        if value.isNull { return true }
        if case .scalar("none", plain: _) = value.content { return true }
        return false
    }
}
