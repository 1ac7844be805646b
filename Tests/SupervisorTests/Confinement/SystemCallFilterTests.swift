import Testing

@testable import Supervisor

/// The programs themselves. What they do to a process is seen in the fault matrix.
@Suite struct SystemCallFilterTests {
    @Test("Every combination of grants makes programs that the kernel can take", arguments: [false, true], [false, true])
    func programs(network: Bool, processes: Bool) throws {
        let filter = SystemCallFilter(network: network, processes: processes)
        for program in [try filter.base(), try filter.worker()] {
            #expect(!program.isEmpty && program.count % 8 == 0 && program.count / 8 < 4096)
        }
        #expect(try filter.base() == filter.base())
    }

    @Test("Grants make a difference")
    func grants() throws {
        let all = try [(false, false), (true, false), (false, true), (true, true)].map {
            try SystemCallFilter(network: $0, processes: $1).base()
        }
        #expect(Set(all).count == 4)
        #expect(try SystemCallFilter().worker() != SystemCallFilter(processes: true).worker())
    }
}
