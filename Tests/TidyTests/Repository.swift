// TidyTests: rules of the house that a compiler does not check. Lengths of files, names, which module may know which, links in documents.
//
// They read the sources of this checkout and build nothing. Any thread.

import Foundation

/// The files of this repository.
struct Repository {
    /// Its root folder.
    static let root: URL = URL(fileURLWithPath: #filePath).deletingLastPathComponent().resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// One file.
    struct File: CustomStringConvertible {
        /// Relative to the root.
        var path: String
        /// Its lines, without line ends.
        var lines: [Substring]

        var description: String { path }
    }

    /// Folders that hold nothing of ours.
    private static let skipped: Set<String> = [".build", ".git", ".swiftpm", "node_modules", "target"]

    /// Files made by a program: their length is nobody's fault.
    static let generated: Set<String> = ["Sources/ProjectTemplate/EmbeddedSDK.swift"]

    /// All files below `folder` (relative to the root) with one of these extensions, in the order of their paths.
    static func files(in folder: String = "", _ extensions: String...) throws -> [File] {
        let start = folder.isEmpty ? root : root.appendingPathComponent(folder)
        guard FileManager.default.fileExists(atPath: start.path) else { return [] }
        var paths: [String] = []
        var folders = [start.path]
        while let next = folders.popLast() {
            for name in try FileManager.default.contentsOfDirectory(atPath: next) where !skipped.contains(name) {
                let path = next + "/" + name
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                switch attributes[.type] as? FileAttributeType {
                case .typeDirectory: folders.append(path)
                case .typeRegular where extensions.contains((name as NSString).pathExtension): paths.append(path)
                default: continue
                }
            }
        }
        return try paths.sorted().map { path in
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            return File(path: String(path.dropFirst(root.path.count + 1)), lines: lines)
        }
    }
}
