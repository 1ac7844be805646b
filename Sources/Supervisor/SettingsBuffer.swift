internal import CLinux
internal import WorkerProtocol

/// Settings for a keeper, as entries of key and value (keeper_messages.h).
struct SettingsBuffer {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ key: String, _ value: String) { add(key, bytes: Array(value.utf8)) }

    mutating func add(_ key: String, bytes value: [UInt8]) {
        withUnsafeBytes(of: UInt32(key.utf8.count).littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt32(value.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: key.utf8)
        bytes.append(contentsOf: value)
    }

    /// A memfd that holds them. The caller closes it.
    func makeDescriptor() throws(SystemCallError) -> Int32 {
        let descriptor = capelet_linux_memfd("capelet-settings", bytes.count)
        guard descriptor >= 0 else { throw SystemCallError("memfd_create", code: descriptor) }
        let code = bytes.withUnsafeBytes { capelet_linux_write_all(descriptor, $0.baseAddress, $0.count, 0) }
        guard code == 0 else {
            capelet_linux_close(descriptor)
            throw SystemCallError("write a memfd", code: code)
        }
        let seals = CAPELET_LINUX_SEAL_SEAL | CAPELET_LINUX_SEAL_SHRINK | CAPELET_LINUX_SEAL_GROW | CAPELET_LINUX_SEAL_WRITE
        _ = capelet_linux_seal(descriptor, UInt32(seals))
        return descriptor
    }
}
