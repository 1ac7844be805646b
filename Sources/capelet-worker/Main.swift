// capelet-worker: the processes in which plugins run.
//
// One small executable in Embedded Swift, so that no Swift runtime is in the process and a plugin may bring its own. It links the C library
// only, exports nothing, and is never started by hand; `capelet` starts it as
//
//     keeper     above a template and its workers; runs no plugin code, reaps, reports deaths          Keeper.swift
//     template   has loaded one plugin; is copied for each worker                                       Template.swift
//     worker     runs one lambda's events; either such a copy, or (exec mode) a process of its own      Worker.swift
//     describe   loads a plugin, prints what it has, exits                                              Describe.swift
//     probe      prints what this machine lets a process give up                                        Probe.swift
//     library    loads a library that is no plugin, looks for functions in it, exits                    DescribeLibrary.swift
//
// Lambdas that are plain C functions: FunctionCall.swift.
//
// What is said between host and keeper is in keeper_messages.h, between host and worker in worker_channel.h, between worker and plugin in
// capelet.h.

import CLibC

@main
struct CapeletWorker {
    static func main() {
        let count = Int(capelet_linux_argument_count())
        func argument(_ index: Int) -> UnsafeMutablePointer<CChar>? { index < count ? capelet_linux_arguments()![index] : nil }
        func isArgument(_ index: Int, _ text: StaticString) -> Bool {
            guard let argument = argument(index) else { return false }
            return strcmp(argument, text.cString) == 0
        }
        func keeper() -> pid_t { argument(2).map { atoi($0) } ?? 0 }

        if isArgument(1, "keeper") && count == 2 { Keeper.run() }
        if isArgument(1, "template") && count >= 3 { Template.run(keeper: keeper()) }
        if isArgument(1, "worker") && count >= 3 { Worker.runAlone(keeper: keeper()) }
        if isArgument(1, "describe") && count == 4 { Describe.run(folder: argument(2)!, library: argument(3)!) }
        if isArgument(1, "probe") && count == 3 { Probe.run(user: UInt32(truncatingIfNeeded: atol(argument(2)!))) }
        if isArgument(1, "library") && count >= 4 {
            DescribeLibrary.run(folder: argument(2)!, library: argument(3)!, functions: (4..<count).map { argument($0)! })
        }
        if isArgument(1, "--version") && count == 2 {
            writeAll(1, Text.of("capelet-worker 0.1.0\n"))
            exit(0)
        }
        writeAll(
            2,
            Text.of(
                "usage: capelet-worker describe FOLDER NAME.so   print what a plugin has\n",
                "       capelet-worker probe USER-ID             print what this machine lets a sandbox use\n",
                "       capelet-worker library FOLDER NAME FUNCTION...   print which functions a library has; FOLDER - is the system's\n",
                "       capelet-worker --version\n",
                "The other modes (keeper, template, worker) are started by capelet itself.\n"))
        exit(64)
    }
}
