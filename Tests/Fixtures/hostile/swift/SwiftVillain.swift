// swift-villain: a Swift plugin that goes wrong as its events say. Built with the tests, as a dynamic library beside the test binary
// (libswift-villain.so).

public import CapeletSDK

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Musl
#endif

private let plugin = Plugin(version: "1", .lambda("villain", Villain.self))

/// The plugin's entry point.
@c(capelet_plugin_v1) public func swiftVillain() -> PluginTable { plugin.table }

struct Villain: Lambda {
    struct Thrown: Error {}

    private let folder: String

    init(context: Context) { folder = context.stateDirectory }

    func handle(_ event: borrowing Event) throws -> Outcome {
        let word = (event.text ?? "").filter { $0 != "\"" }
        record("B", event)
        switch word {
        case "trap": fatalError("the invariant does not hold")
        case "overflowing sum":
            // An arithmetic trap, which prints nothing.
            let one = event.attempt
            _ = UInt32.max - UInt32(one) + UInt32(one) + UInt32(one)
        case "out of bounds": print([1, 2, 3][Int(event.attempt) + 2])
        case "forced": print(folder.isEmpty ? 1 : Optional<Int>.none!)
        case "throw": throw Thrown()
        case "exit": exit(0)
        case "stack": print(recurse(0))
        case "null": UnsafeMutablePointer<Int>(bitPattern: 8)!.pointee = 1
        case "spin": while event.attempt > 0 {}
        default: break
        }
        record("E", event)
        return .success
    }

    @inline(never) private func recurse(_ depth: Int) -> Int {
        var block = (depth, depth, depth, depth, depth, depth, depth, depth)
        return withUnsafeMutablePointer(to: &block) { $0.pointee.7 < 0 ? 0 : recurse(depth + 1) + $0.pointee.0 }
    }

    private func record(_ mark: String, _ event: borrowing Event) {
        let line = "\(mark) \(event.subject) \(event.sequence) \(event.attempt) \(getpid()) 0 1\n"
        let descriptor = open(folder + "/record", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        _ = line.withCString { write(descriptor, $0, strlen($0)) }
        close(descriptor)
    }
}
