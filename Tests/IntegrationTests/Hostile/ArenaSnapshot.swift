import Foundation
import Glibc

/// What a fault must leave as it was.
struct ArenaSnapshot: Equatable, CustomStringConvertible {
    /// The host's open descriptors.
    var descriptors = 0
    /// The host's living descendants, whatever they run, and those that run its worker's executable, whoever their parent is.
    var processes = 0
    /// The host's descendants that nobody has reaped.
    var zombies = 0
    /// Control groups that bear the host's name.
    var groups = 0

    var description: String { "\(descriptors) descriptors, \(processes) processes, \(zombies) zombies, \(groups) cgroups" }

    init(of host: TestHost) {
        let pid = host.pid
        descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? -1
        let all = ProcessTable.all()
        var family: Set<pid_t> = [pid]
        var grew = true
        while grew {
            let more = all.filter { family.contains($0.parent) && !family.contains($0.pid) }.map(\.pid)
            family.formUnion(more)
            grew = !more.isEmpty
        }
        family.remove(pid)
        zombies = all.count { family.contains($0.pid) && $0.isZombie }
        let living = Set(all.filter { family.contains($0.pid) && !$0.isZombie }.map(\.pid))
        processes = living.union(host.children.map(\.pid)).count
        groups = Self.groups(of: pid)
    }

    /// Directories below the control groups whose path names this host's pid.
    private static func groups(of pid: pid_t) -> Int {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/pids"]
        var own: Set<String> = []
        // Where the host is, its groups are: below its own place, in every hierarchy.
        let text = FileManager.default.contents(atPath: "/proc/\(pid)/cgroup").map { String(decoding: $0, as: UTF8.self) } ?? ""
        let places = Set(text.split(separator: "\n").compactMap { $0.split(separator: ":", maxSplits: 2).last.map(String.init) })
        for root in roots {
            for place in places {
                guard let names = FileManager.default.enumerator(atPath: root + place) else { continue }
                for case let name as String in names where name.contains("capelet") && name.contains("\(pid)") {
                    if names.fileAttributes?[.type] as? FileAttributeType == .typeDirectory { own.insert(root + place + "/" + name) }
                }
            }
        }
        return own.count
    }
}
