import Testing

@testable import EventSources

@Suite struct CatalogTests {
    static func state(_ inode: UInt64, size: Int64 = 1) -> FileState { FileState(size: size, modified: 2, changed: 3, inode: inode) }

    @Test func remembersFilesByPathAndInode() {
        var catalog = Catalog()
        catalog.put(Array("a/b/c".utf8), Self.state(7), seen: 1)
        catalog.put(Array("a/b".utf8), Self.state(8), seen: 1)
        #expect(catalog.count == 2)
        #expect(catalog.observation(Array("a/b/c".utf8)) == .file(Self.state(7)))
        #expect(catalog.observation(Array("a/b".utf8)) == .file(Self.state(8)), "a file may have the name of a directory for a while")
        #expect(catalog.observation(Array("a".utf8)) == .absent)
        #expect(catalog.file(inode: 7).map { catalog.path($0) } == Array("a/b/c".utf8))
        catalog.remove(Array("a/b".utf8))
        #expect(catalog.observation(Array("a/b".utf8)) == .absent)
        #expect(catalog.observation(Array("a/b/c".utf8)) == .file(Self.state(7)))
        #expect(catalog.file(inode: 8) == nil)
    }

    @Test(arguments: 1...20) func isADictionary(seed: UInt64) {
        var random = SeededRandom(seed)
        var catalog = Catalog()
        var model: [RelativePath: FileState] = [:]
        let names = ["a", "b", "long-name", "ü", "x y"]
        for _ in 0..<2000 {
            let depth = Int.random(in: 1...4, using: &random)
            let path = Array((0..<depth).map { _ in names.randomElement(using: &random)! }.joined(separator: "/").utf8)
            if Bool.random(using: &random) {
                let state = Self.state(UInt64.random(in: 1...50, using: &random), size: Int64.random(in: 0...3, using: &random))
                catalog.put(path, state, seen: 1)
                model[path] = state
            } else {
                catalog.remove(path)
                model[path] = nil
            }
            #expect(catalog.count == model.count)
            #expect(catalog.observation(path).state == model[path])
        }
        var all: [RelativePath: FileState] = [:]
        catalog.forEach { all[$0] = $1 }
        #expect(all == model)
        for (path, state) in model {
            #expect(catalog.find(path).map { catalog.path($0) } == path)
            if let node = catalog.file(inode: state.inode) { #expect(catalog.state(node).inode == state.inode) }
        }
        for path in model.keys { catalog.remove(path) }
        #expect(catalog.count == 0)
        #expect(catalog.unseen(below: [], scan: 9).isEmpty)
    }

    @Test func unseenFilesAreThoseBelowWithoutUnreadableDirectories() {
        var catalog = Catalog()
        for path in ["a/1", "a/2", "a/deep/3", "b/4", "ab/5", "6"] { catalog.put(Array(path.utf8), Self.state(1), seen: 1) }
        func unseen(_ path: String, _ scan: UInt32) -> [String] {
            catalog.unseen(below: Array(path.utf8), scan: scan).map { String(decoding: catalog.path($0), as: UTF8.self) }.sorted()
        }
        #expect(unseen("", 1).isEmpty)
        #expect(unseen("a", 2) == ["a/1", "a/2", "a/deep/3"])
        catalog.markSeen(catalog.find(Array("a/1".utf8))!, scan: 2)
        catalog.keep(Array("a/deep".utf8), scan: 2)
        #expect(unseen("", 2) == ["6", "a/2", "ab/5", "b/4"])
        #expect(unseen("a/deep", 2).isEmpty)
        #expect(unseen("6", 2) == ["6"], "a file that a directory has replaced")
        #expect(unseen("", 3).count == 6)
        catalog.keep([], scan: 3)
        #expect(unseen("", 3).isEmpty)
    }

    /// A release build with a million files takes 134 bytes of resident memory a file, allocator included.
    @Test func aFileCostsAtMost150Bytes() {
        let files = 200_000
        var catalog = Catalog()
        for index in 0..<files {
            catalog.put(Array("documents/of-\(index / 100)/report-number-\(index).txt".utf8), Self.state(UInt64(index + 1)), seen: 1)
        }
        print("catalog: \(catalog.bytes / files) bytes a file")
        #expect(catalog.count == files)
        #expect(catalog.bytes / files <= 150)
        for index in 0..<files where index % 4 != 0 {
            catalog.remove(Array("documents/of-\(index / 100)/report-number-\(index).txt".utf8))
        }
        #expect(catalog.count == files / 4)
        #expect(catalog.observation(Array("documents/of-10/report-number-1004.txt".utf8)) == .file(Self.state(1005)))
    }
}
