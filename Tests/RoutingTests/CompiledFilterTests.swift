import Routing
import Testing

@Suite("Filters on raw bytes")
struct CompiledFilterTests {
    private func matches(_ filter: EventFilter, type: String = "t", subject: String = "s", headers: [String: String] = [:]) -> Bool {
        let stored = headers.map { (Array($0.key.utf8), Array($0.value.utf8)) }
        var scratch: [UInt8] = []
        for (_, value) in stored { scratch += value }
        var (type, subject) = (type, subject)
        return scratch.withUnsafeBytes { values in
            type.withUTF8 { typeBytes in
                subject.withUTF8 { subjectBytes in
                    CompiledFilter(filter).matches(
                        type: UnsafeRawBufferPointer(typeBytes), subject: UnsafeRawBufferPointer(subjectBytes)
                    ) { name in
                        var start = 0
                        for (key, value) in stored {
                            if key.elementsEqual(name) { return UnsafeRawBufferPointer(rebasing: values[start..<start + value.count]) }
                            start += value.count
                        }
                        return nil
                    }
                }
            }
        }
    }

    @Test("An empty filter lets everything through")
    func empty() {
        #expect(matches(EventFilter(), type: "", subject: ""))
        #expect(CompiledFilter(EventFilter()).isEmpty)
        #expect(!CompiledFilter(EventFilter()).needsHeaders)
    }

    @Test("Types")
    func types() {
        var filter = EventFilter()
        filter.types = ["order.paid", "order.sent"]
        #expect(matches(filter, type: "order.paid"))
        #expect(matches(filter, type: "order.sent"))
        #expect(!matches(filter, type: "order.pai"))
        #expect(!matches(filter, type: "order.paidx"))
        #expect(!matches(filter, type: ""))
        filter.types = []
        filter.notTypes = ["order.paid"]
        #expect(!matches(filter, type: "order.paid"))
        #expect(matches(filter, type: "order.sent"))
        #expect(matches(filter, type: ""))
        filter.types = [""]
        #expect(matches(filter, type: ""))
    }

    @Test("Subjects")
    func subjects() {
        var filter = EventFilter()
        filter.subjectPrefixes = ["a/", "ü"]
        #expect(matches(filter, subject: "a/b"))
        #expect(matches(filter, subject: "a/"))
        #expect(matches(filter, subject: "über"))
        #expect(!matches(filter, subject: "a"))
        #expect(!matches(filter, subject: "b/a/"))
        filter.subjectSuffixes = [".txt", ".md"]
        #expect(matches(filter, subject: "a/b.md"))
        #expect(!matches(filter, subject: "a/b.mdx"))
        #expect(!matches(filter, subject: "b.txt"))
        #expect(!matches(filter, subject: "md"))
    }

    @Test("Headers: every name, any of its values")
    func headers() {
        var filter = EventFilter()
        filter.headers = ["region": ["eu", "us"], "tier": ["1"]]
        #expect(matches(filter, headers: ["region": "us", "tier": "1"]))
        #expect(!matches(filter, headers: ["region": "us"]))
        #expect(!matches(filter, headers: ["region": "us", "tier": "12"]))
        #expect(!matches(filter, headers: ["region": "asia", "tier": "1"]))
        filter.headers = ["empty": [""]]
        #expect(matches(filter, headers: ["empty": ""]))
        #expect(!matches(filter))
        #expect(CompiledFilter(filter).needsHeaders)
    }
}
