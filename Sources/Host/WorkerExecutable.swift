import Foundation

/// Where `capelet-worker` is: CAPELET_WORKER, beside this executable, or in ../libexec/capelet.
enum WorkerExecutable {
    struct NotFound: Error, CustomStringConvertible {
        var description: String
    }

    static func find() throws -> String {
        if let path = ProcessInfo.processInfo.environment["CAPELET_WORKER"] {
            guard access(path, X_OK) == 0 else { throw NotFound(description: "CAPELET_WORKER names \(path), which cannot be executed") }
            return path
        }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw NotFound(description: "/proc/self/exe cannot be read: is /proc mounted?") }
        let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = (own as NSString).deletingLastPathComponent
        let places = [folder + "/capelet-worker", (folder as NSString).deletingLastPathComponent + "/libexec/capelet/capelet-worker"]
        for place in places where access(place, X_OK) == 0 { return place }
        throw NotFound(description: "capelet-worker is not at \(places.joined(separator: " nor ")); name it in CAPELET_WORKER")
    }
}
