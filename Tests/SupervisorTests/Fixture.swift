import Foundation
import Glibc

/// Files that the tests use: the worker's executable, and plugins compiled from one C file.
enum Fixture {
    /// `capelet-worker`, which the build puts beside the test binary.
    static let worker: String = {
        let me = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        var folder = URL(fileURLWithPath: me).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent("capelet-worker").path
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
            folder.deleteLastPathComponent()
        }
        fatalError("capelet-worker is not beside \(me): build the package first")
    }()

    private static let root: URL = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// A folder of this process, removed at its end.
    static let folder: String = {
        let path = NSTemporaryDirectory() + "/capelet-supervisor-tests-\(getpid())"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        atexit { Fixture.removeFolder() }
        return path
    }()

    private static func removeFolder() {
        let path = NSTemporaryDirectory() + "/capelet-supervisor-tests-\(getpid())"
        let remove = Process()
        remove.executableURL = URL(fileURLWithPath: "/bin/rm")
        remove.arguments = ["-rf", path]
        try? remove.run()
        remove.waitUntilExit()
    }

    /// An empty folder for one test.
    static func newFolder() -> String {
        let path = folder + "/\(UInt64.random(in: 0...(.max)))"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// Plugins by what their loading does: `well`, `abort`, `hang`, `thread`; and `two`, another version of `well`.
    static let plugins: [String: String] = {
        var result: [String: String] = [:]
        let output = folder + "/plugins"
        try! FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        for (name, load, version) in [
            ("well", "well", "1"), ("two", "well", "2"), ("abort", "abort", "1"), ("hang", "hang", "1"), ("thread", "thread", "1"),
        ] {
            let path = output + "/\(name).so"
            let compile = Process()
            compile.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            compile.arguments = [
                "cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden",
                "-I", root.appendingPathComponent("PluginSDK/include").path, "-DSUP_LOAD=\"\(load)\"", "-DSUP_VERSION=\"\(version)\"",
                "-o", path, root.appendingPathComponent("Tests/Fixtures/c/sup_plugin.c").path,
            ]
            try! compile.run()
            compile.waitUntilExit()
            precondition(compile.terminationStatus == 0, "sup_plugin.c could not be compiled; see above")
            result[name] = path
        }
        return result
    }()

    /// Puts a plugin into a plugins folder, atomically.
    static func install(_ name: String, as plugin: String, in folder: String) throws {
        let path = "\(folder)/\(plugin).so"
        try FileManager.default.copyItem(atPath: plugins[name]!, toPath: path + ".new")
        guard rename(path + ".new", path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
