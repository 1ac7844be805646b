import CapeletSDK
import Testing

@Suite("EventTime")
struct EventTimeTests {
    @Test(
        "prints as RFC 3339",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000000Z"), (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"), (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"), (1_767_225_600_000_001, "2026-01-01T00:00:00.000001Z"),
        ])
    func prints(microseconds: Int64, text: String) {
        #expect(EventTime(microseconds: microseconds).description == text)
    }

    @Test("earlier is less")
    func order() {
        #expect(EventTime(microseconds: -5) < EventTime(microseconds: 3))
        #expect(EventTime(microseconds: 1_500_000).seconds == 1.5)
    }
}
