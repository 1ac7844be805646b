import Foundation
import Testing

@testable import Supervisor

@Suite struct StateFolderTests {
    let root = NSTemporaryDirectory() + "/capelet-state-\(UUID().uuidString)"

    @Test("It is made for its owner alone")
    func made() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try StateFolder.make(root + "/data/state/a")
        try StateFolder.make(root + "/data/state/a")
        try StateFolder.give(root + "/data/state/a", to: nil)
        var status = stat()
        #expect(stat(root + "/data/state/a", &status) == 0 && status.st_mode & 0o777 == 0o700 && status.st_uid == getuid())
        let refusal = #expect(throws: SandboxRefusal.self) { try StateFolder.make("/proc/none/state") }
        #expect(refusal?.description.hasPrefix("its state folder cannot be made") == true)
    }

    @Test("A new owner gets what is in it, and nothing that a link leads to; only root can give")
    func given() throws {
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root + "/state/deep", withIntermediateDirectories: true)
        for file in ["outside", "other", "state/file", "state/deep/file"] { try Data().write(to: URL(fileURLWithPath: root + "/" + file)) }
        symlink(root + "/outside", root + "/state/link")
        link(root + "/other", root + "/state/hard")
        try StateFolder.give(root + "/state", to: 58_001)
        func owner(_ path: String) -> uid_t {
            var status = stat()
            return lstat(root + "/" + path, &status) == 0 ? status.st_uid : .max
        }
        let expected = getuid() == 0 ? 58_001 : getuid()
        for path in ["state", "state/file", "state/deep", "state/deep/file", "state/link"] { #expect(owner(path) == expected, "\(path)") }
        #expect(owner("outside") == getuid() && owner("other") == getuid(), "links out of the folder lead nowhere")
        try StateFolder.give(root + "/state", to: nil)
        #expect(owner("state") == getuid() && owner("state/deep/file") == getuid())
    }
}
