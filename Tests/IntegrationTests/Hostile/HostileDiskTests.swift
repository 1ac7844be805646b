import Foundation
import Glibc
import Testing

/// Row 54: a disk that is really full, or read-only, under the journal. Only root can mount one; for all users see CrashTests.
@Suite(.serialized, .ownThreads, .enabled(if: TestUser.isRoot, "only root can mount a file system"))
struct HostileDiskTests {
    /// Runs a command that has to succeed.
    private func command(_ words: String...) async throws {
        let answer = try await run(words[0], Array(words.dropFirst()))
        guard answer.code == 0 else { throw TestTrouble("\(words.joined(separator: " ")): \(answer.errors)") }
    }

    /// A host whose data folder is a small file system of its own; unmounts it afterwards.
    private func onSmallDisk(_ routing: String, _ body: (TestHost) async throws -> Void) async throws {
        let host = try TestHost(routing, plugins: [:])
        try HostilePlugins.install(HostilePlugins.path("neighbour"), as: "neighbour", in: host)
        let data = host.folder.file("data")
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        try await command("mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "capelet-test", data)
        do {
            try await body(host)
        } catch {
            umount2(data, Int32(MNT_DETACH))
            throw error
        }
        umount2(data, Int32(MNT_DETACH))
    }

    @Test("A full disk: producers get an error, nothing acknowledged is lost, it recovers by itself")
    func full() async throws {
        try await onSmallDisk("domains: { work: { lambdas: [neighbour] } }") { host in
            try await host.start()
            let pid = host.pid
            let payload = String(repeating: "x", count: 20_000)
            var accepted: Set<String> = []
            func offer(_ count: Int, _ prefix: String) async throws -> Int {
                var refusals = 0
                for number in 0..<count {
                    let id = "\(prefix)-\(number)"
                    let line = #"{"subject":"s\#(number % 5)","id":"\#(id)","payload":"\#(payload)"}"# + "\n"
                    let answer = try await host.post("/v1/domains/work/events", line, type: "application/x-ndjson")
                    let first = answer.lines.first.flatMap { try? JSONDecoder().decode(TestHost.LineAnswer.self, from: Data($0.utf8)) }
                    if answer.status == 200, first?.offset != nil, first?.error == nil {
                        accepted.insert(id)
                    } else {
                        refusals += 1
                        #expect([200, 429, 500, 503, 507].contains(answer.status), "\(answer.status): \(answer.text)")
                    }
                }
                return refusals
            }
            #expect(try await offer(20, "before") == 0)
            // All that is left is taken away.
            let ballast = host.folder.file("data/ballast")
            _ = try await run("dd", ["if=/dev/zero", "of=\(ballast)", "bs=64k"])
            var refusals = 0
            for round in 0..<40 where refusals < 3 { refusals += try await offer(10, "full-\(round)") }
            #expect(refusals >= 3, "a full disk is said to producers")
            #expect(host.end() == nil)
            let ready = try await host.get("/readyz")
            #expect(ready.status == 503 && ready.text.contains("the disk of"), "\(ready.status): \(ready.text)")
            try FileManager.default.removeItem(atPath: ballast)
            #expect(await eventually { try await offer(1, "probe-\(accepted.count)") == 0 })
            #expect(await eventually { try await host.get("/readyz").status == 200 })
            #expect(try await offer(20, "after") == 0)
            try await host.settled(also: { host.record("neighbour").finished.count >= accepted.count })
            #expect(host.pid == pid)
            let kept = Set(try await host.events("work").map(\.id))
            #expect(
                accepted.subtracting(kept).isEmpty, "\(accepted.subtracting(kept).count) of \(accepted.count) acknowledged events are lost")
            #expect(host.record("neighbour").inversions == [])
            // And they are on the disk.
            try await host.kill()
            try await host.start()
            #expect(accepted.subtracting(Set(try await host.events("work").map(\.id))).isEmpty)
            try await host.stop()
            FaultTable.shared.note(
                row: 54, "disk full", .c, verdict: "\(refusals) refused, \(accepted.count) kept, recovers", tier: .standard)
        }
    }

    @Test("A read-only data folder ends the start in words, and a writable one serves again with everything")
    func readOnly() async throws {
        try await onSmallDisk("domains: { work: { lambdas: [neighbour] } }") { host in
            try await host.start()
            try await host.send((0..<10).map { #"{"subject":"s","id":"\#($0)"}"# }, to: "work")
            try await host.settled()
            try await host.stop()
            let data = host.folder.file("data")
            try await command("mount", "-o", "remount,ro", data)
            try host.launch()
            #expect(try await host.ended() != .exit(0))
            #expect(host.log.lowercased().contains("read-only") || host.log.contains("cannot"), "\(host.log.suffix(1000))")
            #expect(host.children.isEmpty)
            try await command("mount", "-o", "remount,rw", data)
            try await host.start()
            #expect(try await host.events("work").count == 10)
            try await host.stop()
            FaultTable.shared.note(row: 54, "read-only file system", .c, verdict: "start refused in words", tier: .standard)
        }
    }
}
