import Foundation
import Glibc
import Testing

/// The directory source end to end, with kill -9 of the host in between (SEMANTICS §8).
@Suite(.serialized, .ownThreads)
struct DirectoryTests {
    @Test("Files that come, change, move and go are neither missed nor doubled across kills")
    func acrossKills() async throws {
        let host = try TestHost(
            """
            domains:
              files:
                source: { directory: inbox, refresh: 2s, quiet: 100ms }
                lambdas: [files]
            """)
        let tree = try Tree(folder: host.folder)
        for number in 0..<40 { try tree.create("before-\(number)") }
        try await host.start()
        try await expectAnnounced(tree, by: host)
        for round in 0..<6 {
            switch round % 3 {
            case 0:
                try await host.kill()
                try tree.change(round)
                try await host.start()
            case 1:
                // Killed somewhere among the changes.
                async let changes: Void = onThread { try tree.change(round, pauseMicros: 3_000) }
                await pause(.milliseconds(Int.random(in: 5...150)))
                try await host.kill()
                try await host.start()
                try await changes
            default:
                try tree.change(round)
            }
            try await expectAnnounced(tree, by: host)
        }
        // Nothing more comes of further scans.
        let count = try await host.events("files").count
        #expect(try await host.stop() == .exit(0))
        try await host.start()
        #expect(await eventually { try await host.status().sources.first?.state == "watching" })
        try await host.settled()
        #expect(try await host.events("files").count == count)
        let handled = Set(host.folder.read("data/state/files/files").split(separator: "\n").compactMap { $0.split(separator: " ").last })
        #expect(handled.count == count, "every announcement was handled")
        try await host.stop()
    }

    private func expectAnnounced(_ tree: Tree, by host: TestHost, at place: SourceLocation = #_sourceLocation) async throws {
        func announced() async throws -> [String: [String]] {
            try await host.events("files").reduce(into: [:]) { $0[$1.subject, default: []].append($1.type) }
        }
        let expected = tree.expected
        let isRight = await eventually(every: .milliseconds(50)) { try await announced() == expected }
        guard !isRight else { return }
        let found = try await announced()
        for path in Set(found.keys).union(expected.keys).sorted() where found[path] != expected[path] {
            Issue.record("\(path): announced \(found[path] ?? []), expected \(expected[path] ?? [])", sourceLocation: place)
        }
        throw TestTrouble("not as expected: \(try await host.get("/v1/status").text)")
    }
}

/// A watched folder, and what has to be announced of it. Every change is one step that cannot be seen half done.
private final class Tree: @unchecked Sendable {
    private let folder: TestFolder
    private var present: [String] = []
    private var types: [String: [String]] = [:]

    /// Types of the announcements by subject.
    var expected: [String: [String]] { Dictionary(uniqueKeysWithValues: types.map { ($0.key.replacing("%", with: "%25"), $0.value) }) }

    init(folder: TestFolder) throws {
        self.folder = folder
        for name in ["inbox/a/deep/one", "inbox/b", "outside"] {
            try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
        }
    }

    private func path(_ name: String) -> String { folder.file("inbox/" + name) }

    func create(_ name: String) throws {
        let place = ["", "a/", "a/deep/one/", "b/"][abs(name.hashValue % 4)] + name
        try folder.write("outside/new", "contents of \(name)\n")
        guard rename(folder.file("outside/new"), path(place)) == 0 else { throw TestTrouble("rename") }
        present.append(place)
        types[place, default: []].append("created")
    }

    private func append(_ place: String) throws {
        let descriptor = open(path(place), O_WRONLY | O_APPEND | O_CLOEXEC)
        defer { close(descriptor) }
        guard write(descriptor, "more\n", 5) == 5 else { throw TestTrouble("write") }
        types[place, default: []].append("modified")
    }

    private func remove(_ place: String) throws {
        guard unlink(path(place)) == 0 else { throw TestTrouble("unlink") }
        types[place, default: []].append("deleted")
    }

    private func move(_ place: String, to other: String) throws {
        guard rename(path(place), path(other)) == 0 else { throw TestTrouble("rename") }
        types[place, default: []].append("deleted")
        types[other, default: []].append("created")
    }

    /// One round of changes, each to another file.
    func change(_ round: Int, pauseMicros: UInt32 = 0) throws {
        var files = present.shuffled()
        func pause() { if pauseMicros > 0 { usleep(pauseMicros) } }
        for _ in 0..<12 {
            try append(files.removeLast())
            pause()
        }
        for _ in 0..<4 {
            let place = files.removeLast()
            try remove(place)
            present.removeAll { $0 == place }
            pause()
        }
        for number in 0..<3 {
            let place = files.removeLast()
            let other = "b/moved-\(round)-\(number)"
            try move(place, to: other)
            present.removeAll { $0 == place }
            present.append(other)
            pause()
        }
        for number in 0..<10 {
            try create("new-\(round)-\(number) ä%")
            pause()
        }
    }
}
