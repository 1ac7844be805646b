internal import Glibc
internal import Routing

/// The environment of keepers, templates and workers: nothing of the host's own but what is named here.
enum WorkerEnvironment {
    /// For every process.
    static func base() -> [String: String] {
        var variables = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            // At a crash the Swift runtime would start a helper process.
            "SWIFT_BACKTRACE": "enable=no",
            // Libraries with initial-exec thread-local storage fail to load after a few without this (ISOLATION §1).
            "GLIBC_TUNABLES": "glibc.rtld.optional_static_tls=65536",
        ]
        if let zone = getenv("TZ") { variables["TZ"] = String(cString: zone) }
        return variables
    }

    /// For one worker: the lambda's own settings win.
    static func worker(_ spec: WorkerSpec) -> [String: String] {
        var own = ["HOME": spec.stateDirectory]
        // The only folder that it can write.
        if spec.sandbox.tier != .off { own["TMPDIR"] = spec.stateDirectory }
        for name in spec.route.sandbox.environment {
            if let value = getenv(name) { own[name] = String(cString: value) }
        }
        return base().merging(own) { $1 }.merging(spec.route.environment) { $1 }
    }
}
