import Foundation
import Glibc

/// A folder of its own, removed with the object. Its path is short, so that a socket's name fits.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/capelet-it-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestTrouble("mkdtemp: \(String(cString: strerror(errno)))") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of something in it.
    func file(_ name: String) -> String { path + "/" + name }

    /// Writes a file, with the folders above it; the name shows the whole contents or nothing.
    func write(_ name: String, _ text: String) throws {
        let url = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url, options: .atomic)
    }

    /// A file's text; empty if there is none.
    func read(_ name: String) -> String {
        (try? Data(contentsOf: URL(fileURLWithPath: file(name)))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
