import Foundation
import Glibc

// The programs under test and the plugins that they run.

/// Executables and plugins that the build puts beside the test binary.
enum Programs {
    /// `capelet`.
    static let capelet = beside("capelet")
    /// `capelet-worker`.
    static let worker = beside("capelet-worker")
    /// The plugin in Swift that tests of the SDK use.
    static let swiftFixture = beside("libswift-fixture.so")
    /// The plugin in Swift that goes wrong.
    static let swiftVillain = beside("libswift-villain.so")
    /// The root of this repository, or CAPELET_TEST_ROOT, where what the tests need of it is for a user that cannot read it.
    static let root =
        ProcessInfo.processInfo.environment["CAPELET_TEST_ROOT"]
        ?? URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// `.build`, where `make test` has put the plugins from outside of the tree before.
    static let buildFolder: String = {
        var folder = URL(fileURLWithPath: capelet).deletingLastPathComponent()
        while folder.lastPathComponent != ".build" && folder.path != "/" { folder.deleteLastPathComponent() }
        return folder.path == "/" ? URL(fileURLWithPath: capelet).deletingLastPathComponent().path : folder.path
    }()

    private static func beside(_ name: String) -> String {
        let me = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        var folder = URL(fileURLWithPath: me).deletingLastPathComponent()
        while folder.path != "/" {
            let candidate = folder.appendingPathComponent(name).path
            if FileManager.default.fileExists(atPath: candidate) { return candidate }
            folder.deleteLastPathComponent()
        }
        fatalError("\(name) is not beside \(me): it is a product of this package, so `swift build --build-tests` makes it")
    }

    /// The same executable under a path of its own, so that processes tell by `/proc/PID/exe` to which test they belong.
    static func copyWorker(to path: String) throws {
        if link(worker, path) != 0 { try FileManager.default.copyItem(atPath: worker, toPath: path) }
    }
}

/// Builds of Tests/Fixtures/c/host_lambdas.c.
enum LambdaPlugin: String, CaseIterable {
    /// Version 1.
    case one
    /// The same with another version.
    case two
    /// The same with a third.
    case three
    /// The same with a fourth; loading takes half a second.
    case slow
    /// The same; every start of a worker aborts.
    case failing
    /// Without the lambda `obey`.
    case withoutObey
    /// Aborts when it is loaded.
    case aborting
    /// Has the lambda `sup-work`, whose start goes as its configuration says.
    case startable
    /// Tests/Fixtures/c/limit_lambdas.c.
    case limits
    /// No shared object at all.
    case text

    /// Puts it into a plugins folder under a name, atomically.
    func install(as name: String = "lambdas", in folder: String) throws {
        let path = "\(folder)/\(name).so"
        try FileManager.default.copyItem(atPath: self.path, toPath: path + ".new")
        guard rename(path + ".new", path) == 0 else { throw TestTrouble("rename: \(String(cString: strerror(errno)))") }
    }

    /// The compiled file.
    var path: String { Self.folder + "/\(rawValue).so" }

    /// The compiled plugins: made on first use, removed at the end of the process.
    private static let folder: String = {
        let folder = NSTemporaryDirectory() + "/capelet-lambdas-\(getpid())"
        try! FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "/capelet-lambdas-\(getpid())") }
        let builds: [(LambdaPlugin, String, [String])] = [
            (.one, "host_lambdas.c", ["-DVERSION=\"1\""]), (.two, "host_lambdas.c", ["-DVERSION=\"2\""]),
            (.three, "host_lambdas.c", ["-DVERSION=\"three\""]), (.slow, "host_lambdas.c", ["-DVERSION=\"slow\"", "-DLOAD_MILLIS=500"]),
            (.failing, "host_lambdas.c", ["-DVERSION=\"failing\"", "-DSTART_ABORTS"]),
            (.withoutObey, "host_lambdas.c", ["-DVERSION=\"3\"", "-DWITHOUT_OBEY"]),
            (.limits, "limit_lambdas.c", ["-I", "\(Programs.root)/Sources/CWorkerProtocol/include"]),
            (.aborting, "sup_plugin.c", ["-DSUP_LOAD=\"abort\""]), (.startable, "sup_plugin.c", []),
        ]
        for (plugin, source, flags) in builds {
            compile("\(Programs.root)/Tests/Fixtures/c/\(source)", to: "\(folder)/\(plugin.rawValue).so", flags: flags)
        }
        try! Data("this is not a shared object\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/text.so"))
        return folder
    }()

    static func compile(_ source: String, to path: String, flags: [String]) {
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments =
            [
                "cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden",
                "-I", "\(Programs.root)/PluginSDK/include", "-o", path, source,
            ] + flags
        try! compiler.run()
        compiler.waitUntilExit()
        precondition(compiler.terminationStatus == 0, "\(source) could not be compiled; see above")
    }
}

/// Something in a test's own machinery went wrong.
struct TestTrouble: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
