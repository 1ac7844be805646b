import Frontend

/// The status for people.
enum StatusText {
    static func text(_ status: HostStatus, _ terminal: Terminal, now: Int64 = Figures.nowMillis()) -> String {
        var text = ""
        let state: Terminal.Style? = status.state == "running" ? .green : .yellow
        text += "capelet \(status.version)  \(terminal.styled(status.state, state))  pid \(status.pid)  "
        text += "up \(Figures.span(seconds: status.uptimeSeconds))\n"
        text += "routing   \(Terminal.printable(status.configPath)), generation \(status.generation)"
        if let reload = status.lastReload {
            text += "; last reload \(Figures.ago(millis: reload.atMillis, now: now)): "
            let message = Terminal.printable(reload.message)
            text += reload.ok ? message : terminal.styled("refused: \(message)", .red)
        }
        text += "\nlistening \(status.listening.joined(separator: ", "))\n"
        let journal = status.journal
        text += "journal   \(Figures.size(journal.databaseBytes)), log \(Figures.size(journal.walBytes)); "
        text += "\(Figures.counted(journal.events, "event")) in \(Figures.counted(journal.groups, "write")) since the start\n"
        if let fault = journal.fault { text += terminal.styled("journal at fault: \(Terminal.printable(fault))", .red) + "\n" }
        text += "\n" + domains(status.domains, terminal)
        text += "\n" + lambdas(status.lambdas, terminal)
        text += sandboxes(status.lambdas, terminal)
        if !status.sources.isEmpty { text += "\n" + sources(status.sources, terminal, now) }
        for warning in status.warnings { text += "\n" + terminal.styled("! \(Terminal.printable(warning))", .yellow) }
        if !status.warnings.isEmpty { text += "\n" }
        return text
    }

    static func domains(_ domains: [DomainStatus], _ terminal: Terminal) -> String {
        var table = TextTable([.text("domain"), .number("accepted"), .number("next offset"), .text("kept")])
        for domain in domains {
            let kept = domain.end - min(domain.start, domain.end)
            table.add([
                .init(domain.name), .number(domain.accepted), .number(domain.end),
                .init(kept == 0 ? "nothing" : "\(Figures.counted(kept, "event")), \(Figures.size(domain.bytes))"),
            ])
        }
        return table.text(terminal)
    }

    static func lambdas(_ lambdas: [LambdaStatus], _ terminal: Terminal) -> String {
        var table = TextTable([
            .text("lambda"), .text("domain"), .text("state"), .text("workers"), .number("lag"), .number("running", canGo: true),
            .number("waiting", canGo: true), .number("deferred", canGo: true), .number("parked", canGo: true), .number("dead", canGo: true),
            .number("succeeded"), .number("start p50", canGo: true), .number("start p99", canGo: true),
            .text("crashes", canShrink: true, canGo: true), .text("recycled", canShrink: true, canGo: true),
        ])
        for lambda in lambdas {
            let ready = lambda.workers.count { $0.state == "ready" || $0.state == "busy" }
            let crashes = lambda.crashes.sorted { $0.key < $1.key }.map { "\($0.key) \(Figures.grouped($0.value))" }
            let recycled = lambda.recycled.sorted { $0.key < $1.key }.map { "\($0.key) \(Figures.grouped($0.value))" }
            table.add([
                .init(lambda.name, .bold), .init(lambda.domain), .init(lambda.state.rawValue, style(lambda.state)),
                .init("\(ready)/\(lambda.workers.count)", ready < lambda.workers.count ? .yellow : nil), .number(lambda.lag),
                .number(lambda.inFlight),
                .number(lambda.waiting), .number(lambda.deferred, lambda.deferred > 0 ? .yellow : nil),
                .number(lambda.parked, lambda.parked > 0 ? .yellow : nil), .number(lambda.dead, lambda.dead > 0 ? .red : nil),
                .number(lambda.succeeded), .init(latency(lambda.startMicros, \.p50)), .init(latency(lambda.startMicros, \.p99)),
                .init(crashes.isEmpty ? "-" : crashes.joined(separator: ", ")),
                .init(recycled.isEmpty ? "-" : recycled.joined(separator: ", ")),
            ])
        }
        var text = table.text(terminal)
        var rolledBack: Set<String> = []
        for lambda in lambdas {
            guard let from = lambda.rolledBackFrom, rolledBack.insert(lambda.name).inserted else { continue }
            let line =
                "\(lambda.name): rolled back from #\(from) to #\(lambda.generation); `capelet rollback \(lambda.name) --undo` ends that"
            text += terminal.styled(line, .yellow) + "\n"
        }
        for lambda in lambdas {
            guard let reason = lambda.reason else { continue }
            let state = lambda.state == .running ? "" : " is \(lambda.state.rawValue)"
            let line = "\(lambda.name) (\(lambda.domain))\(state): \(Terminal.printable(reason))\(remedy(lambda))"
            text += terminal.styled(line, lambda.state == .running ? .yellow : style(lambda.state)) + "\n"
        }
        return text
    }

    /// How lambdas are confined; those that are confined alike in one line.
    static func sandboxes(_ lambdas: [LambdaStatus], _ terminal: Terminal) -> String {
        var groups: [(sandbox: SandboxStatus, names: [String])] = []
        for lambda in lambdas {
            guard let sandbox = lambda.sandbox else { continue }
            var alike = sandbox
            // A user of its own is the lambda's: the number differs, the kind does not.
            alike.mechanisms = alike.mechanisms.map { $0.hasPrefix("user ") ? "own user" : $0 }
            if let index = groups.firstIndex(where: { $0.sandbox == alike }) {
                if !groups[index].names.contains(lambda.name) { groups[index].names.append(lambda.name) }
            } else {
                groups.append((alike, [lambda.name]))
            }
        }
        if groups.isEmpty { return "" }
        var table = TextTable([.text("sandbox"), .text("in force", canShrink: true), .text("lambdas", canShrink: true)])
        for group in groups {
            table.add([
                .init(group.sandbox.tier, group.sandbox.tier == "off" ? .yellow : nil),
                .init(group.sandbox.mechanisms.joined(separator: ", ")), .init(group.names.joined(separator: ", ")),
            ])
        }
        var text = "\n" + table.text(terminal)
        for group in groups {
            for lack in group.sandbox.lacks {
                let line = "\(group.names.joined(separator: ", ")): \(Terminal.printable(lack))"
                text += terminal.styled(line, .yellow) + "\n"
            }
        }
        return text
    }

    /// What an operator can do about a lambda's state.
    private static func remedy(_ lambda: LambdaStatus) -> String {
        switch lambda.state {
        case .broken: "; it is tried again by itself; `capelet deaths --lambda \(lambda.name) --stderr` tells more"
        case .missing where lambda.function != nil: "; mend it, then `capelet reload`"
        case .missing: "; put the plugin there, then `capelet reload`"
        case .paused, .holding, .running, .removed: ""
        }
    }

    private static func latency(_ quantiles: Quantiles, _ path: KeyPath<Quantiles, UInt64>) -> String {
        quantiles.count == 0 ? "-" : Figures.duration(micros: quantiles[keyPath: path])
    }

    private static func style(_ state: LambdaState) -> Terminal.Style? {
        switch state {
        case .running: .green
        case .paused, .holding, .removed: .yellow
        case .broken, .missing: .red
        }
    }

    private static func sources(_ sources: [SourceStatus], _ terminal: Terminal, _ now: Int64) -> String {
        var table = TextTable([
            .text("source"), .text("domain"), .text("state"), .number("entries"), .number("events"), .text("last scan"),
            .text("", canShrink: true),
        ])
        for source in sources {
            table.add([
                .init("\(source.kind) \(source.path)"), .init(source.domain), .init(source.state, source.error == nil ? nil : .red),
                .number(source.entries),
                .number(source.events), .init(source.lastScanMillis.map { Figures.ago(millis: $0, now: now) } ?? "-"),
                .init(source.error ?? "", .red),
            ])
        }
        return table.text(terminal)
    }
}

/// Blocked subjects for people.
enum BlockedText {
    static func text(_ rows: [BlockedEventView], _ terminal: Terminal, now: Int64 = Figures.nowMillis()) -> String {
        if rows.isEmpty { return "Nothing is blocked.\n" }
        var table = TextTable([
            .number("id"), .text("lambda"), .text("domain"), .text("subject", canShrink: true), .number("offset"), .number("events"),
            .text("state"),
            .text("next try"), .number("attempts"), .text("since"), .text("cause", canShrink: true),
        ])
        for row in rows {
            let isParked = row.state == "parked"
            table.add([
                .init("\(row.id)"), .init(row.lambda), .init(row.domain), .init(row.subject), .init("\(row.offset)"), .number(row.events),
                .init(row.state, isParked ? .red : .yellow), .init(next(row, now)), .number(row.attempts),
                .init(row.sinceMillis > 0 ? Figures.ago(millis: row.sinceMillis, now: now) : "-"), .init(row.error),
            ])
        }
        return table.text(terminal)
    }

    private static func next(_ row: BlockedEventView, _ now: Int64) -> String {
        switch row.state {
        case "deferred": Figures.ahead(millis: row.dueMillis, now: now)
        case "parked": "redrive or drop"
        case "open": "running"
        default: "after the one before"
        }
    }
}
