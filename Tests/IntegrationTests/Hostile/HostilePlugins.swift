import Foundation
import Glibc

/// What a plugin is written in.
enum Language: String, CaseIterable, Sendable {
    case c, cpp, swift, rust, go
}

/// The plugins of Tests/Fixtures/hostile. CAPELET_HOSTILE_PLUGINS names a folder where they are built already, for users that cannot build.
enum HostilePlugins {
    /// The folder that has them.
    static let folder: String = {
        if let given = ProcessInfo.processInfo.environment["CAPELET_HOSTILE_PLUGINS"] { return given }
        let folder = Programs.buildFolder + "/fixtures/hostile"
        let build = Process()
        build.executableURL = URL(fileURLWithPath: "/bin/sh")
        build.arguments = [Programs.root + "/Tests/Fixtures/hostile/build.sh", folder]
        try! build.run()
        build.waitUntilExit()
        precondition(build.terminationStatus == 0, "Tests/Fixtures/hostile/build.sh failed; see above")
        return folder
    }()

    /// Languages whose compiler is not on this machine.
    static let missing: Set<Language> = {
        let names = (try? String(contentsOfFile: folder + "/missing", encoding: .utf8)) ?? ""
        return Set(names.split(separator: "\n").compactMap { Language(rawValue: String($0)) })
    }()

    /// The plugin `villain` in this language; nil: its compiler is missing.
    static func villain(_ language: Language) -> String? {
        if missing.contains(language) { return nil }
        switch language {
        case .c: return path("faults")
        case .swift: return Programs.swiftVillain
        default: return path(language.rawValue)
        }
    }

    /// The path of one of them.
    static func path(_ name: String) -> String { "\(folder)/\(name).so" }

    /// Puts a shared object into a host's plugins folder, atomically.
    static func install(_ path: String, as name: String, in host: TestHost) throws {
        let target = host.folder.file("plugins/\(name).so")
        try? FileManager.default.removeItem(atPath: target + ".new")
        try FileManager.default.copyItem(atPath: path, toPath: target + ".new")
        guard rename(target + ".new", target) == 0 else { throw TestTrouble("rename: \(String(cString: strerror(errno)))") }
    }
}

/// How strongly a lambda is confined.
enum Tier: String, CaseIterable, Sendable {
    case off, standard, strict
}

/// Who runs the tests.
enum TestUser {
    static let isRoot = geteuid() == 0
    static let name = isRoot ? "root" : "user \(geteuid())"
}
