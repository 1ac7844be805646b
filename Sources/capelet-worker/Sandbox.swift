// The sandbox: what a process gives up for good before any code of a plugin runs in it (ISOLATION §1).
//
// The host has found out what this machine can (Probe.swift), has decided what is to be in force, and says so in the settings: see
// keeper_messages.h. Here it is done, in this order, and whatever fails ends the start: a plugin is never loaded with less than was decided.
//
//     cgroup (KeeperLaunch) → limits, priority, PDEATHSIG, descriptors (Confinement) → rules of Landlock are collected, while every path can
//     still be reached → user and group → user namespace → no capabilities → NO_NEW_PRIVS → Landlock → seccomp
//
// Namespaces and mounts are the keeper's (Namespaces.swift).

import CLibC

struct Sandbox {
    let settings: Settings

    /// Why it could not be entered, for the operator.
    typealias Failure = Text

    /// Gives up everything that `settings` does not grant. Called once, by a process with one thread. nil: it is done.
    ///
    /// - Parameter forks: this process makes workers by copying itself: what it needs for that is given up by each of them.
    func enter(forks: Bool) -> Failure? {
        var rules = LandlockRules(settings: settings)
        if let failure = rules?.collect() { return failure }
        // While it may: becoming another user takes the right to.
        if settings.flag("sandbox.no-capabilities") { capelet_linux_bound_capabilities() }
        if let user = settings.number("sandbox.user") {
            let error = capelet_linux_become_user(UInt32(truncatingIfNeeded: user))
            if error != 0 { return Self.failure("to become the user id that it is to run as", error) }
        }
        if settings.flag("sandbox.user-namespace") {
            let error = capelet_linux_enter_user_namespace()
            if error != 0 { return Self.failure("to enter a user namespace", error) }
        }
        if settings.flag("sandbox.no-capabilities") {
            let error = capelet_linux_drop_capabilities()
            if error != 0 { return Self.failure("to give up capabilities", error) }
        }
        _ = capelet_linux_no_new_privileges()
        if let failure = rules?.enter() { return failure }
        if let failure = install("seccomp.base") { return failure }
        return forks ? nil : enterAlone()
    }

    /// What remains for a process that copies itself no more.
    ///
    /// - Parameter isCopy: it was made by copying a template, and has siblings.
    func enterAlone(isCopy: Bool = false) -> Failure? {
        if isCopy, let failure = LandlockRules.separate(settings) { return failure }
        if let failure = install("seccomp.worker") { return failure }
        if settings.flag("seccomp.signals") {
            let error = capelet_linux_confine_signals()
            if error != 0 { return Self.failure("to confine signals", error) }
        }
        return nil
    }

    private func install(_ key: StaticString) -> Failure? {
        guard let program = settings.value(key) else { return nil }
        let error = capelet_linux_seccomp_install(program.baseAddress, program.count)
        return error == 0 ? nil : Self.failure("to put a filter of system calls in force", error)
    }

    static func failure(_ what: StaticString, _ error: Int32) -> Failure {
        var text = Text.of("the sandbox cannot be entered: it failed ", what, ": ")
        text.append(cString: strerror(-error))
        return text
    }
}
