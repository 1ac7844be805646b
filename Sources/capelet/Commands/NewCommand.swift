import ArgumentParser
import Foundation
import ProjectTemplate

/// `capelet new`: a project for a plugin, with the SDK in it.
struct NewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Make a folder with a new plugin that builds offline, anywhere.")

    enum Language: String, ExpressibleByArgument, CaseIterable {
        case swift, c
    }

    @Argument(help: "The plugin's name, and its folder's.")
    var name: String

    @Option(help: "swift or c.")
    var language = Language.swift

    @Option(help: ArgumentHelp("Where the folder is made (default: here).", valueName: "dir"))
    var directory: String?

    func run() throws {
        let language: ProjectTemplate.Language = self.language == .swift ? .swift : .c
        let files: [(path: String, contents: String)]
        do throws(ProjectTemplate.InvalidName) {
            files = try ProjectTemplate.render(name: name, language: language)
        } catch {
            throw ValidationError(error.description)
        }
        let manager = FileManager.default
        let root = HostOptions.absolute(name, base: HostOptions.absolute(directory ?? "."))
        guard !manager.fileExists(atPath: root) else { throw CommandFailure(.failed, "\(root) exists already") }
        do {
            for file in files {
                let path = root + "/" + file.path
                let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
                try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try Data(file.contents.utf8).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
            }
        } catch {
            throw CommandFailure(.failed, "cannot write \(root): \(error.localizedDescription)")
        }
        let build = language.build(name: name)
        Output.print(
            """
            \(root) is made. Build it:

              cd \(directory.map { $0 + "/" } ?? "")\(name) && \(build.command)

            Copy \(build.plugin) to the host's plugins folder as \(name).so, name the lambda in capelet.yaml

              domains: { example: { lambdas: [\(name)] } }

            and tell the host: capelet reload
            """)
    }
}
