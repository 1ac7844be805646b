import Testing

@testable import EventSources

/// The detector, driven by hand. Times in milliseconds; the clock of inodes ticks every 4 ms.
@Suite struct ChangeDetectorTests {
    struct Driver {
        var detector: ChangeDetector
        var files: [String: FileState] = [:]
        var now: Int64 = 10_000

        init(_ change: (inout ChangeDetector.Settings) -> Void = { _ in }) {
            var settings = ChangeDetector.Settings()
            change(&settings)
            detector = ChangeDetector(settings: settings, catalog: Catalog())
        }

        var monotonic: Int64 { now * 1_000_000 }
        var wall: Int64 { 1_700_000_000_000_000_000 + now / 4 * 4_000_000 }

        mutating func write(_ path: String, size: Int64 = 1, inode: UInt64 = 1) {
            files[path] = FileState(size: size, modified: wall, changed: wall, inode: inode)
        }

        mutating func link(_ from: String, _ to: String) {
            var file = files[from]
            file?.changed = wall
            files[from] = file
            files[to] = file
        }

        mutating func rename(_ from: String, _ to: String) {
            link(from, to)
            files[from] = nil
        }

        mutating func ping(_ path: String, _ ping: ChangeDetector.Ping) { detector.ping(Array(path.utf8), ping, now: monotonic) }

        mutating func look() {
            for path in detector.takeLooks(now: monotonic, limit: 1000) { observe(path) }
        }

        mutating func observe(_ path: RelativePath) {
            let seen = files[String(decoding: path, as: UTF8.self)].map { Observation.file($0) } ?? .absent
            detector.observe(path, seen, at: Moment(monotonic: monotonic, wall: wall))
        }

        /// Lets time pass, a millisecond at a time, and returns what is announced, each with its time.
        mutating func pass(_ millis: Int64, each: (inout Driver) -> Void = { _ in }) -> [String] {
            var result: [String] = []
            for _ in 0..<millis {
                now += 1
                each(&self)
                for _ in 0..<3 { look() }
                while let batch = detector.takeBatch(now: monotonic) {
                    result += batch.announcements.map { Self.text($0) }
                    detector.succeeded(batch.id, now: monotonic)
                }
            }
            return result
        }

        static func text(_ announcement: Announcement) -> String {
            var text = "\(announcement.kind.rawValue) \(String(decoding: announcement.path, as: UTF8.self))"
            if let from = announcement.from { text += " from \(String(decoding: from, as: UTF8.self))" }
            if let to = announcement.to { text += " to \(String(decoding: to, as: UTF8.self))" }
            return text
        }
    }

    @Test func aClosedFileIsAnnouncedInTheNextTick() {
        var driver = Driver()
        driver.write("a")
        driver.ping("a", .written)
        #expect(driver.pass(100) == [])
        driver.ping("a", .closed)
        driver.write("a", size: 2)
        #expect(driver.pass(10) == ["created a"])
        #expect(driver.detector.pending == 0)
    }

    @Test func aSecondChangeInTheSameTickIsNotMissed() {
        var driver = Driver()
        driver.now = 10_000
        driver.write("a")
        driver.ping("a", .closed)
        driver.look()
        #expect(driver.detector.takeBatch(now: driver.monotonic) == nil, "its time is not over yet")
        // The same size, the same mtime and ctime: no stat can tell. But it is announced after it.
        driver.write("a")
        #expect(driver.pass(8) == ["created a"])
    }

    @Test func anUnclosedFileIsAnnouncedOnceQuiet() {
        var driver = Driver()
        var size: Int64 = 0
        let during = driver.pass(3000) {
            guard $0.now % 100 == 0 else { return }
            size += 1
            $0.write("log", size: size)
            $0.ping("log", .written)
        }
        #expect(during == [])
        #expect(driver.pass(400) == [])
        #expect(driver.pass(110) == ["created log"])
        #expect(driver.pass(1000) == [])
    }

    @Test func aFileThatNeverGetsQuietIsAnnouncedEveryMinuteAndOnceAtTheEnd() {
        var driver = Driver()
        var size: Int64 = 0
        let during = driver.pass(130_000) {
            guard $0.now % 200 == 0 else { return }
            size += 1
            $0.write("log", size: size)
            $0.ping("log", .written)
        }
        #expect(during == ["created log", "modified log"])
        #expect(driver.pass(600) == ["modified log"])
        #expect(driver.pass(1000) == [])
    }

    @Test func aFileAnnouncedWhileWrittenIsAnnouncedAgainWhenNoStatCouldTell() {
        var driver = Driver { $0.patience = 600_000_000 }
        driver.now = 10_000
        var events: [String] = []
        while events.isEmpty {
            events = driver.pass(1) {
                $0.write("log")
                $0.ping("log", .written)
            }
        }
        // Written once more, in the same tick if there is any of it left.
        driver.ping("log", .written)
        #expect(driver.now % 4 < 3)
        #expect(events == ["created log"])
        #expect(driver.pass(2000) == ["modified log"])
    }

    @Test func writingWithoutPingsIsNoticedByLooking() {
        var driver = Driver()
        driver.write("a")
        driver.observe(Array("a".utf8))
        driver.now += 300
        driver.write("a", size: 2)
        #expect(driver.pass(450) == [], "looked at after 500 ms, it was written to meanwhile")
        #expect(driver.pass(600) == ["created a"])
    }

    @Test func anOldFileIsAnnouncedAtOnce() {
        var driver = Driver()
        driver.write("a")
        driver.now += 1000
        driver.observe(Array("a".utf8))
        #expect(driver.pass(1) == ["created a"])
        driver.observe(Array("a".utf8))
        driver.ping("a", .changed)
        #expect(driver.pass(100) == [])
    }

    @Test func aMoveIsPairedInWhateverOrderItIsSeen() {
        for scanOrder in [["old", "new"], ["new", "old"]] {
            var driver = Driver()
            driver.write("old", inode: 5)
            driver.ping("old", .closed)
            #expect(driver.pass(20) == ["created old"])
            driver.rename("old", "new")
            for path in scanOrder { driver.observe(Array(path.utf8)) }
            #expect(driver.pass(100) == ["deleted old to new", "created new from old"], "\(scanOrder)")
            #expect(driver.detector.pending == 0)
        }
    }

    @Test func aFileMovedOverAnotherIsModified() {
        var driver = Driver()
        for (path, inode) in [("draft", UInt64(5)), ("final", 6)] {
            driver.write(path, inode: inode)
            driver.ping(path, .closed)
        }
        #expect(driver.pass(20).sorted() == ["created draft", "created final"])
        driver.rename("draft", "final")
        driver.ping("draft", .changed)
        driver.detector.hint(Array("final".utf8), from: Array("draft".utf8), now: driver.monotonic)
        driver.ping("final", .closed)
        #expect(driver.pass(100) == ["deleted draft to final", "modified final from draft"])
    }

    @Test func aReusedInodeIsNoMove() {
        var driver = Driver()
        driver.write("old", size: 3, inode: 5)
        driver.ping("old", .closed)
        #expect(driver.pass(20) == ["created old"])
        driver.files["old"] = nil
        driver.write("new", size: 4, inode: 5)
        driver.ping("old", .changed)
        driver.ping("new", .closed)
        #expect(driver.pass(100).sorted() == ["created new", "deleted old"])
    }

    @Test func aHardLinkIsCreatedAndNotMoved() {
        var driver = Driver()
        driver.write("one", inode: 5)
        driver.ping("one", .closed)
        #expect(driver.pass(1000) == ["created one"])
        driver.link("one", "two")
        driver.ping("one", .changed)
        driver.ping("two", .written)
        #expect(driver.pass(1000).sorted() == ["created two", "modified one"])
    }

    @Test func failedBatchesAreTriedAgainWithPauses() {
        var driver = Driver()
        driver.write("a")
        driver.ping("a", .closed)
        driver.now += 10
        driver.look()
        driver.now += 10
        driver.look()
        var times: [Int64] = []
        for _ in 0..<40_000 {
            driver.now += 1
            driver.look()
            if let batch = driver.detector.takeBatch(now: driver.monotonic) {
                times.append(driver.now)
                #expect(driver.detector.catalog.count == 0)
                driver.detector.failed(batch.id, now: driver.monotonic)
            }
        }
        let pauses = zip(times.dropFirst(), times).map { $0 - $1 }
        #expect(pauses.prefix(6) == [100, 200, 400, 800, 1600, 3200])
        #expect(pauses.dropFirst(6).allSatisfy { $0 == 5000 })
        #expect(driver.pass(5001) == ["created a"])
        #expect(driver.detector.catalog.count == 1)
    }

    @Test func changesWhileInFlightComeAfterwards() {
        var driver = Driver()
        driver.write("a")
        driver.ping("a", .closed)
        driver.now += 5
        driver.look()
        driver.now += 5
        driver.look()
        let batch = driver.detector.takeBatch(now: driver.monotonic)
        #expect(batch?.announcements.count == 1)
        driver.now += 10
        driver.write("a", size: 9)
        driver.ping("a", .closed)
        for _ in 0..<50 {
            driver.now += 1
            driver.look()
            #expect(driver.detector.takeBatch(now: driver.monotonic) == nil, "one append for a path at a time")
        }
        if let batch { driver.detector.succeeded(batch.id, now: driver.monotonic) }
        #expect(driver.pass(10) == ["modified a"])
    }

    @Test func batchesAreBounded() {
        var driver = Driver { $0.batchEvents = 10 }
        for index in 0..<200 {
            driver.write("f\(index)", inode: UInt64(index + 1))
            driver.observe(Array("f\(index)".utf8))
        }
        driver.now += 1000
        driver.look()
        var batches: [AnnouncementBatch] = []
        while let batch = driver.detector.takeBatch(now: driver.monotonic) { batches.append(batch) }
        #expect(batches.map { $0.announcements.count } == Array(repeating: 10, count: 8))
        for batch in batches { driver.detector.succeeded(batch.id, now: driver.monotonic) }
        #expect(driver.pass(10).count == 120)
    }

    @Test func tooManyPingsAskForAScan() {
        var driver = Driver { $0.activeMax = 5 }
        for index in 0..<10 { driver.ping("f\(index)", .changed) }
        #expect(driver.detector.pending == 5)
        let overflows = [driver.detector.takeOverflow(), driver.detector.takeOverflow()]
        #expect(overflows == [true, false])
    }
}
