import Foundation
import Routing
import Testing

@testable import Supervisor

/// What comes of a lambda's settings on machines that can more or less.
@Suite struct SandboxPlannerTests {
    /// A data directory that only its owner can enter, and a folder beside it.
    final class Place: Sendable {
        let root = NSTemporaryDirectory() + "/capelet-planner-\(UUID().uuidString)"
        var data: String { root + "/data" }
        var inbox: String { root + "/inbox" }

        init() throws {
            for path in [data, inbox] { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
            chmod(root, 0o755)
            chmod(data, 0o700)
        }

        deinit { try? FileManager.default.removeItem(atPath: root) }
    }

    /// A machine with everything, whoever runs the tests.
    static func support(root: Bool) -> SandboxSupport {
        var support = SandboxSupport()
        support.landlock = 7
        support.seccomp = true
        support.isRoot = root
        support.noUsers = root ? nil : "the host is not root"
        support.noNamespaces = root ? nil : "Operation not permitted"
        support.noUserNamespace = nil
        support.noUserNamespaces = nil
        return support
    }

    static func route(_ settings: SandboxSettings = SandboxSettings(), name: String = "work") -> LambdaRoute {
        var route = LambdaRoute(name: name)
        route.sandbox = settings
        return route
    }

    func plan(
        _ support: SandboxSupport, _ change: (inout SandboxSettings) -> Void = { _ in }, place: Place, groups: String? = nil
    ) throws -> LambdaSandbox {
        var settings = SandboxSettings()
        change(&settings)
        var report = ControlGroups.Report()
        report.words = groups
        report.hasProcessors = groups != nil
        let planner = SandboxPlanner(support: support, data: place.data, users: 58_000...58_009, groups: report)
        return try planner.plan(Self.route(settings), state: place.data + "/state/work", sources: [place.inbox], libraries: ["/opt/lib"])
    }

    @Test("Standard, an ordinary user's host")
    func standard() throws {
        let place = try Place()
        let sandbox = try plan(Self.support(root: false), place: place)
        #expect(sandbox.tier == .standard && sandbox.lacks == [])
        #expect(sandbox.mechanisms == ["Landlock 7", "seccomp", "limits"])
        #expect(sandbox.user == nil && sandbox.namespaces == [] && sandbox.covers == [] && !sandbox.isExec)
        #expect(sandbox.writable == [place.data + "/state/work"])
        #expect(sandbox.readable.contains(place.inbox) && sandbox.readable.contains("/opt/lib") && sandbox.readable.contains("/usr"))
        #expect(!sandbox.readable.contains("/etc") && !sandbox.readable.contains(place.data))
        #expect(sandbox.filter == SystemCallFilter() && sandbox.ownSignals && sandbox.noCapabilities && !sandbox.network)
        #expect(sandbox.processesLimit == nil, "the limit would count the user's other processes")
        #expect(sandbox.nice == 5, "without a control group for processors, workers go behind the host")
        #expect(FileManager.default.fileExists(atPath: place.data + "/state/work"))
    }

    @Test("Strict, an ordinary user's host: user namespace, and nothing of others is to be seen")
    func strictUser() throws {
        let place = try Place()
        let sandbox = try plan(Self.support(root: false), { $0.tier = .strict }, place: place, groups: "cgroup v2 (memory)")
        #expect(sandbox.tier == .strict && sandbox.isExec && sandbox.nice == 0)
        #expect(sandbox.namespaces == ["user", "pid", "mount", "ipc", "proc", "network"] && !sandbox.userNamespace)
        #expect(sandbox.covers.contains("/home") || !FileManager.default.fileExists(atPath: "/home"))
        #expect(sandbox.mechanisms.contains("cgroup v2 (memory)") && sandbox.processesLimit != nil)
        let real = URL(fileURLWithPath: place.root).resolvingSymlinksInPath().path
        #expect(sandbox.shows.contains { $0.hasSuffix("/state/work") } && sandbox.shows.contains(real + "/inbox"))
        #expect(!sandbox.shows.contains { $0 == real + "/data" || $0 == real })
        for cover in sandbox.covers { #expect(!sandbox.covers.contains { $0 != cover && cover.hasPrefix($0 + "/") }, "\(cover)") }
    }

    @Test("Strict with `network: true` keeps the machine's network and lets sockets through")
    func strictNetwork() throws {
        let sandbox = try plan(
            Self.support(root: false),
            {
                $0.tier = .strict
                $0.network = true
                $0.processes = 3
            }, place: try Place())
        #expect(!sandbox.namespaces.contains("network") && sandbox.network)
        #expect(sandbox.filter == SystemCallFilter(network: true, unixSockets: true, processes: true) && !sandbox.ownSignals)
        #expect(sandbox.processesLimit == 2 * (LambdaSandbox.threadsMax + 3))
    }

    @Test("What a machine lacks leads to the next tier, with the reason", arguments: [SandboxTier.standard, .strict])
    func degrading(_ tier: SandboxTier) throws {
        let place = try Place()
        var support = Self.support(root: false)
        support.noUserNamespaces = "Operation not permitted"
        let sandbox = try plan(support, { $0.tier = tier }, place: place)
        #expect(sandbox.tier == .standard)
        let reasons = ["not strict: no namespaces for an ordinary user (Operation not permitted)"]
        #expect(sandbox.lacks == (tier == .strict ? reasons : []))

        support.landlock = 0
        let weaker = try plan(support, { $0.tier = tier }, place: place)
        #expect(weaker.tier == .off && weaker.filter != nil, "what is there is used all the same")
        #expect(weaker.lacks.contains { $0.hasPrefix("not standard: the kernel has no Landlock") })
        support.landlock = 4
        #expect(try plan(support, place: place).lacks.contains { $0.hasPrefix("signals are confined in workers") })
    }

    @Test("`require` refuses what is weaker, naming why")
    func require() throws {
        let place = try Place()
        var support = Self.support(root: false)
        support.noUserNamespaces = "Operation not permitted"
        let refusal = #expect(throws: SandboxRefusal.self) {
            try plan(
                support,
                {
                    $0.tier = .strict
                    $0.require = .strict
                }, place: place)
        }
        #expect(
            refusal?.description == "its sandbox requires the tier strict, but this machine gives standard: "
                + "not strict: no namespaces for an ordinary user (Operation not permitted)")
        support.noUserNamespaces = nil
        #expect(
            try plan(
                support,
                {
                    $0.tier = .strict
                    $0.require = .strict
                }, place: place
            ).tier == .strict)
    }

    @Test("`off` leaves the limits")
    func off() throws {
        let sandbox = try plan(Self.support(root: false), { $0.tier = .off }, place: try Place())
        #expect(sandbox.tier == .off && sandbox.filter == nil && sandbox.landlock == 0 && sandbox.lacks == [] && !sandbox.noCapabilities)
        #expect(sandbox.mechanisms == ["limits"])
    }

    @Test("Root gives each lambda a user of its own, and shows it what it may see of folders that others cannot enter")
    func ownUser() throws {
        let place = try Place()
        let sandbox = try plan(Self.support(root: true), { $0.network = true }, place: place)
        let real = URL(fileURLWithPath: place.data).resolvingSymlinksInPath().path
        #expect(sandbox.user == 58_000 && sandbox.namespaces == ["mount"] && sandbox.processesLimit == 2 * LambdaSandbox.threadsMax)
        #expect(sandbox.covers.contains { real == $0 || real.hasPrefix($0 + "/") })
        #expect(sandbox.shows.contains(real + "/state/work"))
        #expect(sandbox.mechanisms.first == "user 58000" && sandbox.filter?.unixSockets == true)
        var support = Self.support(root: true)
        support.noNamespaces = "Operation not permitted"
        let without = try plan(support, place: place)
        #expect(without.user == nil && without.lacks.contains { $0.contains("there are no mount namespaces to mend that") })
        support.noUsers = "Operation not permitted"
        #expect(try plan(support, place: place).lacks.contains("no user id of its own: Operation not permitted"))
    }

    @Test("Where groups count processes, the user id's limit does not")
    func groupsCount() throws {
        let place = try Place()
        var report = ControlGroups.Report()
        report.hasTasks = true
        let planner = SandboxPlanner(support: Self.support(root: true), data: place.data, users: 58_000...58_009, groups: report)
        let sandbox = try planner.plan(Self.route(), state: place.data + "/state/work", sources: [], libraries: [])
        #expect(sandbox.user == 58_000 && sandbox.processesLimit == nil)
    }

    @Test("A file system that keeps a lambda's own user out is named")
    func unreadable() throws {
        let place = try Place()
        chmod(place.inbox, 0o700)
        let lacks = try plan(Self.support(root: true), place: place).lacks
        #expect(lacks.contains { $0.hasPrefix("its user 58000 cannot read \(place.inbox) (mode 700)") })
    }

    @Test("The host's user can be kept by a setting")
    func hostsUser() throws {
        let place = try Place()
        let sandbox = try plan(Self.support(root: true), { $0.user = .host }, place: place)
        #expect(sandbox.user == nil && sandbox.tier == .standard && sandbox.covers == [])
    }
}
