import CLinux
import Foundation
import Glibc
@testable import Journal
import Testing
import WorkerProtocol

/// Nobody but the host's user can read what is in the data directory.
@Suite("The journal's files are private") struct PrivacyTests {
    private let folder = TemporaryFolder()
    private var data: String { folder.path + "/data" }

    private func mode(_ path: String) -> mode_t? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o777 : nil
    }

    private static let files = ["journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "tail", "lock"]

    @Test("All files have mode 0600, folders 0700, a backup too")
    func modes() async throws {
        let journal = try SQLiteJournal.open(directory: data)
        defer { journal.close() }
        let stream = try journal.stream(.domain, named: "orders")
        _ = try await journal.append(stream, numbered(0..<1))
        let number = try [UInt8](repeating: 7, count: 300_000).withUnsafeBytes { bytes throws(JournalError) in
            try journal.storePayload(bytes)
        }
        #expect(mode(data) == 0o700)
        for name in Self.files { #expect(mode(data + "/" + name) == 0o600, "\(name)") }
        #expect(mode(data + "/payloads") == 0o700)
        #expect(mode(data + "/payloads/\(number)") == 0o600)
        let backup = folder.path + "/backup.sqlite"
        try journal.backup(to: backup)
        #expect(mode(backup) == 0o600)
        let again = #expect(throws: JournalError.self) { try journal.backup(to: backup) }
        #expect(again?.message == "\(backup) exists; a backup is not written over it")
        let nowhere = #expect(throws: JournalError.self) { try journal.backup(to: "/nowhere/backup") }
        #expect(nowhere?.message.contains("/nowhere/backup cannot be made") == true)
    }

    @Test("Files that came from elsewhere are made private when they are opened")
    func tightened() async throws {
        let first = try SQLiteJournal.open(directory: data)
        let stream = try first.stream(.domain, named: "orders")
        _ = try await first.append(stream, numbered(0..<1))
        first.close()
        for name in ["journal.sqlite", "tail"] { #expect(chmod(data + "/" + name, 0o644) == 0) }
        #expect(chmod(data + "/payloads", 0o755) == 0)
        let second = try SQLiteJournal.open(directory: data)
        defer { second.close() }
        _ = try await second.append(stream, numbered(1..<2))
        for name in Self.files { #expect(mode(data + "/" + name) == 0o600, "\(name)") }
        #expect(mode(data + "/payloads") == 0o700)
    }
}
