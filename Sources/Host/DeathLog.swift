import Dispatch
import Foundation
import Frontend
import Glibc
import Logging
import Synchronization

/// The last deaths of workers, in memory and in a file of the data directory, so that they outlive the host. Any thread.
///
/// The file has one JSON object a line, oldest first. It is written at most once a second, however many die, and never with more than is kept: a crash loop
/// costs one small write a second. A death after a quiet time is written at once. When the file has grown to several times what is kept, it is
/// written anew. What cannot be written is kept in memory and said once.
final class DeathLog: Sendable {
    /// Deaths that are kept.
    static let countMax = 1_000
    /// Of these, of one lambda.
    static let lambdaCountMax = 200
    /// Size from which on the file is written anew, bytes. A record has at most 4 KiB of stderr, which JSON can make six times as long.
    static let fileBytesMax = 8 << 20
    /// How often it is written at most.
    static let pauseMillis = 1_000

    private struct Contents {
        var deaths: [WorkerDeath] = []
        /// How many of these, from the last, are not in the file.
        var unwritten = 0
        var isScheduled = false
        var isClosed = false

        mutating func add(_ death: WorkerDeath) {
            deaths.append(death)
            unwritten += 1
            var tooMany = deaths.count > DeathLog.countMax ? deaths.indices.first : nil
            if tooMany == nil, deaths.count(where: { $0.lambda == death.lambda }) > DeathLog.lambdaCountMax {
                tooMany = deaths.firstIndex { $0.lambda == death.lambda }
            }
            guard let tooMany else { return }
            if tooMany >= deaths.count - unwritten { unwritten -= 1 }
            deaths.remove(at: tooMany)
        }
    }

    private let path: String
    private let logger: Logger
    private let contents = Mutex(Contents())
    private let queue = DispatchQueue(label: "capelet-deaths", qos: .utility)
    /// Only on `queue`: size of the file, whether it has to be written anew, whether the last write failed.
    private let file = Mutex((bytes: 0, mustRewrite: false, hasFailed: false))

    /// Reads what an earlier host has left in the file.
    init(path: String, logger: Logger) {
        self.path = path
        self.logger = logger
        guard let handle = FileHandle(forReadingAtPath: path) else { return }
        defer { try? handle.close() }
        // Ours is smaller by far. A larger one is somebody else's doing; its end is enough.
        let size = (try? handle.seekToEnd()) ?? 0
        try? handle.seek(toOffset: size - min(size, UInt64(2 * Self.fileBytesMax)))
        let text = (try? handle.readToEnd()) ?? Data()
        let decoder = JSONDecoder()
        let lines = text.split(separator: UInt8(ascii: "\n"))
        let deaths = lines.compactMap { try? decoder.decode(WorkerDeath.self, from: $0) }
        contents.withLock {
            for death in deaths { $0.add(death) }
            $0.unwritten = 0
        }
        // A torn last line would swallow the next one.
        file.withLock { $0 = (text.count, deaths.count < lines.count || text.last.map { $0 != UInt8(ascii: "\n") } ?? false, false) }
    }

    /// Adds a death.
    func add(_ death: WorkerDeath) {
        let mustSchedule = contents.withLock { contents in
            contents.add(death)
            defer { contents.isScheduled = true }
            return !contents.isScheduled && !contents.isClosed
        }
        if mustSchedule { queue.async { [self] in turn() } }
    }

    /// The newest deaths, newest first.
    func newest(lambda: String?, limit: Int) -> [WorkerDeath] {
        contents.withLock { Array($0.deaths.filter { lambda == nil || $0.lambda == lambda }.suffix(max(limit, 0)).reversed()) }
    }

    /// The last death of this lambda.
    func last(lambda: String) -> WorkerDeath? { contents.withLock { $0.deaths.last { $0.lambda == lambda } } }

    /// Writes what is left. Blocks.
    func close() {
        contents.withLock { $0.isClosed = true }
        queue.sync { write() }
    }

    // MARK: the file, on the queue

    private func turn() {
        write()
        queue.asyncAfter(deadline: .now() + .milliseconds(Self.pauseMillis)) { [weak self] in
            guard let self else { return }
            let isMore = contents.withLock { contents in
                contents.isScheduled = contents.unwritten > 0 && !contents.isClosed
                return contents.isScheduled
            }
            if isMore { turn() }
        }
    }

    private func write() {
        file.withLock { file in
            let (all, new) = contents.withLock { contents in
                defer { contents.unwritten = 0 }
                return (contents.deaths, Array(contents.deaths.suffix(contents.unwritten)))
            }
            if new.isEmpty && !file.mustRewrite { return }
            do {
                let encoder = JSONEncoder()
                encoder.outputFormatting = .withoutEscapingSlashes
                let isAnew = file.mustRewrite || file.bytes > Self.fileBytesMax
                var text = Data()
                for death in isAnew ? all : new { text += try encoder.encode(death) + [UInt8(ascii: "\n")] }
                try Self.put(text, into: isAnew ? path + ".new" : path, anew: isAnew)
                if isAnew, rename(path + ".new", path) != 0 { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
                file = (isAnew ? text.count : file.bytes + text.count, false, false)
            } catch {
                if !file.hasFailed { logger.error("deaths of workers cannot be written to \(path): \(error.localizedDescription)") }
                // What is in the file now nobody knows: the next time it is written whole.
                file.mustRewrite = true
                file.hasFailed = true
            }
        }
    }

    private static func put(_ text: Data, into path: String, anew: Bool) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (anew ? O_TRUNC : O_APPEND), 0o600)
        guard descriptor >= 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        defer { Glibc.close(descriptor) }
        try text.withUnsafeBytes { bytes in
            var at = 0
            while at < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + at, bytes.count - at)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
                at += count
            }
        }
        guard fdatasync(descriptor) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }
}
