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

    /// Whether nothing has changed, but for so many control groups that are kept: a folder in each of three hierarchies, with a descriptor.
    func isLike(_ before: ArenaSnapshot, groupsKept: Int) -> Bool {
        processes == before.processes && zombies == before.zombies
            && (before.groups...before.groups + 3 * groupsKept).contains(groups)
            && (before.descriptors...before.descriptors + 3 * groupsKept).contains(descriptors)
    }

    init(of host: TestHost) {
        let pid = host.pid
        // Readers of the journal come and go by themselves.
        descriptors = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []).count {
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")
            return target.map { !$0.contains("/journal.sqlite") } ?? false
        }
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

    /// Control groups whose path names this host, in every hierarchy.
    static func groups(of pid: pid_t) -> Int {
        var count = 0
        // The host's own place may be deep; what is below its group is counted whole.
        func look(_ folder: String, depth: Int, isOwn: Bool) {
            guard depth < 12, let list = opendir(folder) else { return }
            defer { closedir(list) }
            while let entry = readdir(list) {
                guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name.hasPrefix(".") { continue }
                let isOurs = isOwn || name == "capelet-\(pid)"
                if isOurs { count += 1 }
                look(folder + "/" + name, depth: depth + 1, isOwn: isOurs)
            }
        }
        look("/sys/fs/cgroup", depth: 0, isOwn: false)
        return count
    }
}
