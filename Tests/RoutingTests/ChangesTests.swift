import Routing
import Testing

@Suite("What a reload changes")
struct ChangesTests {
    @Test("Words for each change")
    func words() throws {
        let old = try table(
            """
            listen: { http: none }
            domains:
              orders: { lambdas: [charge, old-one], payload: 2MiB }
              gone: { lambdas: [gone-too] }
            lambdas:
              charge: { workers: 1, config: { url: a, key: { x: secret-1 } }, environment: { TOKEN: secret-2, KEEP: k } }
            """)
        let new = try table(
            """
            limits: { drain: 1m }
            domains:
              orders: { lambdas: [charge, receipt] }
              fresh: { lambdas: [charge] }
            lambdas:
              charge:
                workers: 4
                retry: { backoff: 1s..2s }
                filter: { type: [a, b], header: { h: v } }
                config: { url: a, key: { x: secret-3 }, more: [1] }
                environment: { TOKEN: secret-4, KEEP: k }
            """)
        let changes = new.changes(from: old)
        #expect(
            changes.map(\.description) == [
                "listen.http changed from none to 127.0.0.1:7070 (takes effect when the host is restarted)",
                "limits.drain changed from 30s to 1m",
                "domain 'fresh' added (lambdas charge)",
                "domain 'gone' removed",
                "domain 'orders': payload changed from 2MiB to 1MiB",
                "domain 'orders': lambda 'receipt' added",
                "domain 'orders': lambda 'old-one' removed",
                "lambda 'charge': workers changed from 1 to 4",
                "lambda 'charge': retry.backoff changed from 1s..10m to 1s..2s",
                "lambda 'charge': filter.type changed from none to [a, b]",
                "lambda 'charge': filter.header.h changed from none to [v]",
                "lambda 'charge': config.key.x changed",
                "lambda 'charge': config.more.0 changed",
                "lambda 'charge': environment.TOKEN changed",
                "lambda 'gone-too' removed",
                "lambda 'old-one' removed",
                "lambda 'receipt' added",
            ])
        #expect(changes.map(\.requiresRestart) == [true] + Array(repeating: false, count: changes.count - 1))
        #expect(changes[7].subject == .lambda("charge") && changes[7].kind == .changed && changes[7].key == "workers")
        #expect(new.changes(from: new).isEmpty)
    }

    @Test("No change goes unsaid")
    func alike() throws {
        let bare = try table("domains: { d: { lambdas: [a] } }")
        let named = try table("domains: { d: { lambdas: [a] } }\nlambdas: { a: { plugin: any } }")
        #expect(named.changes(from: bare).map(\.description) == ["lambda 'a': settings changed"])
        let swapped = try table("domains: { d: { lambdas: [a, b] } }").changes(from: try table("domains: { d: { lambdas: [b, a] } }"))
        #expect(swapped.map(\.description) == ["domain 'd': lambdas listed in another order"])
    }
}
