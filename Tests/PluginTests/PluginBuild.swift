import Foundation

/// The C plugins and what tests need beside them, built once per test run from the sources of this checkout.
///
/// The folder holds `audit-log.so`, `webhook.so`, `capelet-audit` (as `Plugins/build.sh` makes them), `driver` (see C/driver.c) and
/// `audit-parts.so`: the parts of audit-log that are tested by themselves. It is removed when the process ends.
enum PluginBuild {
    /// What `folder` failed with.
    struct BuildFailure: Error, CustomStringConvertible {
        var description: String
    }

    /// A path in the folder of what was built.
    static func path(_ name: String) throws -> String {
        try folder.get().appendingPathComponent(name).path
    }

    private static let folder: Result<URL, BuildFailure> = {
        let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        let root = here.deletingLastPathComponent().deletingLastPathComponent()
        let out = URL(fileURLWithPath: scratchPath)
        atexit { try? FileManager.default.removeItem(atPath: PluginBuild.scratchPath) }
        let strict = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-I\(root.path)/PluginSDK/include"]
        let audit = root.appendingPathComponent("Plugins/audit-log").path
        do {
            try run("/bin/sh", [root.appendingPathComponent("Plugins/build.sh").path, out.path])
            try run("/usr/bin/env", ["cc"] + strict + ["-rdynamic", "-o", "\(out.path)/driver", "\(here.path)/C/driver.c", "-ldl"])
            try run(
                "/usr/bin/env",
                ["cc"] + strict + ["-fPIC", "-shared", "-o", "\(out.path)/audit-parts.so", "\(audit)/sha256.c", "\(audit)/offset_set.c"])
            return .success(out)
        } catch {
            return .failure(BuildFailure(description: "the C plugins do not build: \(error)"))
        }
    }()

    private static let scratchPath = NSTemporaryDirectory() + "/capelet-plugins-\(getpid())"

    private static func run(_ program: String, _ arguments: [String]) throws {
        let answer = try Command.run(program, arguments)
        guard answer.code == 0 else { throw BuildFailure(description: answer.error + answer.output) }
    }
}
