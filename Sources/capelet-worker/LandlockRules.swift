import CLibC

/// What a plugin may do with files and sockets, as rules of Landlock. Collected while all paths can be reached, then put in force.
///
/// Settings: `landlock.version` is what the kernel offers, as far as it is used here. `landlock.read.N` are paths that may be read,
/// executed and listed; `landlock.write.N` may be changed in every way as well; `landlock.use.N` are devices that may be read and written. A
/// path that is not there is passed over: it cannot be reached later either. `landlock.network`: TCP is allowed.
struct LandlockRules {
    private let settings: Settings
    private let version: Int
    private var rules: Int32 = -1

    /// nil: there are to be no rules.
    init?(settings: Settings) {
        guard let version = settings.number("landlock.version"), version > 0 else { return nil }
        self.settings = settings
        self.version = Int(min(version, 7))
    }

    /// Everything that the kernel can forbid.
    private var all: UInt64 {
        var bits = UInt64(CAPELET_LANDLOCK_REFER) - 1
        if version >= 2 { bits |= UInt64(CAPELET_LANDLOCK_REFER) }
        if version >= 3 { bits |= UInt64(CAPELET_LANDLOCK_TRUNCATE) }
        if version >= 5 { bits |= UInt64(CAPELET_LANDLOCK_IOCTL_DEV) }
        return bits
    }

    private static let reading = UInt64(CAPELET_LANDLOCK_EXECUTE | CAPELET_LANDLOCK_READ_FILE | CAPELET_LANDLOCK_READ_DIR)
    /// What there is to allow on something that is no folder.
    private static let ofFiles =
        UInt64(CAPELET_LANDLOCK_EXECUTE | CAPELET_LANDLOCK_WRITE_FILE | CAPELET_LANDLOCK_READ_FILE)
        | UInt64(CAPELET_LANDLOCK_TRUNCATE) | UInt64(CAPELET_LANDLOCK_IOCTL_DEV)
    /// Nobody needs to make devices, and without a capability nobody could.
    private static let never = UInt64(CAPELET_LANDLOCK_MAKE_CHAR | CAPELET_LANDLOCK_MAKE_BLOCK)

    /// Opens every path and notes what is allowed there.
    mutating func collect() -> Text? {
        let network: UInt64 = version >= 4 && !settings.flag("landlock.network") ? 3 : 0
        let scoped: UInt64 = version >= 6 ? 3 : 0
        rules = capelet_linux_landlock_open(all, network, scoped)
        if rules < 0 { return Sandbox.failure("to make a set of Landlock rules", rules) }
        let device = UInt64(CAPELET_LANDLOCK_READ_FILE | CAPELET_LANDLOCK_WRITE_FILE) | UInt64(CAPELET_LANDLOCK_IOCTL_DEV)
        for (prefix, rights) in [
            ("landlock.read." as StaticString, Self.reading), ("landlock.write.", all & ~Self.never), ("landlock.use.", device),
        ] {
            if let failure = allow(prefix: prefix, rights: rights & all) { return failure }
        }
        return nil
    }

    private func allow(prefix: StaticString, rights: UInt64) -> Text? {
        var failure: Text?
        settings.forEach(prefix: prefix) { _, value in
            if failure != nil { return }
            var path: Text = []
            path.append(value)
            let descriptor = path.withCString { capelet_linux_open_path($0) }
            if descriptor < 0 { return }
            defer { close(descriptor) }
            let isFolder = capelet_linux_is_folder(descriptor) == 1
            let error = capelet_linux_landlock_allow(rules, descriptor, isFolder ? rights : rights & Self.ofFiles)
            if error != 0 {
                var text = Sandbox.failure("to allow a path", error)
                text.append(" (")
                text.append(contentsOf: path)
                text.append(")")
                failure = text
            }
        }
        return failure
    }

    /// Puts the rules in force.
    mutating func enter() -> Text? {
        let error = capelet_linux_landlock_enter(rules)
        close(rules)
        rules = -1
        return error == 0 ? nil : Sandbox.failure("to put Landlock rules in force", error)
    }

    /// Puts this process into a domain of its own within its template's. Without that, siblings could read each other's memory and send each
    /// other signals: they share what was put in force before the copy. What is forbidden here is forbidden already.
    static func separate(_ settings: Settings) -> Text? {
        guard let version = settings.number("landlock.version"), version > 0 else { return nil }
        let rules = capelet_linux_landlock_open(UInt64(CAPELET_LANDLOCK_MAKE_BLOCK), 0, version >= 6 ? 3 : 0)
        if rules < 0 { return Sandbox.failure("to make a set of Landlock rules", rules) }
        defer { close(rules) }
        let error = capelet_linux_landlock_enter(rules)
        return error == 0 ? nil : Sandbox.failure("to put Landlock rules in force", error)
    }
}
