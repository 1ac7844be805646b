internal import Glibc

/// Paths of the system that every plugin may use.
enum SystemPaths {
    /// Libraries, programs, and what the C library and common runtimes read.
    static let readable =
        ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/proc"] + configuration + [
            "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage", "/dev/random", "/dev/urandom",
        ]

    /// Configuration files without secrets. Some are links to elsewhere.
    static let configuration = [
        "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/timezone", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group",
        "/etc/hosts", "/etc/host.conf", "/etc/hostname", "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
        "/etc/networks", "/etc/mime.types", "/etc/locale.alias", "/etc/os-release", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
        "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust/extracted", "/etc/crypto-policies",
        "/etc/alternatives",
    ]

    /// Devices that hold nothing.
    static let usable = ["/dev/null", "/dev/zero", "/dev/full"]

    /// Folders of other users and programs: nothing of a strict sandbox.
    static let `private` = ["/home", "/root", "/tmp", "/var/tmp", "/run", "/srv", "/mnt", "/media", "/dev/shm"]

    /// Where the Swift runtime is that this host uses: plugins in Swift were most likely built with the same toolchain. Empty when it is
    /// linked in.
    static let ownRuntime: [String] = {
        guard let maps = fopen("/proc/self/maps", "re") else { return [] }
        defer { fclose(maps) }
        var line = [CChar](repeating: 0, count: 4608)
        while fgets(&line, Int32(line.count), maps) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasSuffix("/libswiftCore.so\n"), let slash = text.firstIndex(of: "/") else { continue }
            return [String(text[slash...].dropLast("/libswiftCore.so\n".count))]
        }
        return []
    }()
}
